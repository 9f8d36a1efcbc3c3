//! What a configuration names outside itself: programs, spool folders, files with secrets. All of
//! it is only looked at.
//!
//! In come the configuration and its pipelines, out come mistakes: what is not there, or not for
//! us to read or start.

use crate::config::{Completion, Config, Layers, StreamConfig};
use pipelines::diagnosis::{Diagnosis, nearest};
use pipelines::document::{Node, Value};
use pipelines::draft::Draft;
use pipelines::reader::Reader;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use watch::NamePattern;

/// Programs that the configuration names must be there.
pub(super) fn check_named_programs(reader: &Reader<'_>, layers: &Layers, config: &Config) {
    for (name, path) in &config.programs {
        if let Err(why) = startable(path) {
            let node = layers.document.root.get("programs");
            let node = node.and_then(|node| node.get(name));
            let message = format!(
                "program \"{name}\" cannot be started: {} {why}",
                path.display()
            );
            let hint = "name an executable file";
            reader.mistake(node.unwrap_or(&layers.document.root), "C006", message, hint);
        }
    }
}

/// Spool folders must be there and readable, and so must files with secrets, by us alone.
pub(super) fn check_files(reader: &Reader<'_>, layers: &Layers, config: &Config) {
    let root = &layers.document.root;
    for stream in &config.streams {
        if let Err(error) = std::fs::read_dir(&stream.folder) {
            let at = typed_of(layers, stream, "folder");
            let message = format!(
                "the spool folder {} cannot be read: {error}",
                stream.folder.display()
            );
            let hint = "make it, or let those who run the instance read it";
            reader.mistake(at, "C012", message, hint);
        }
    }
    if let Some(path) = &config.store.password_file {
        let at = root.get("store").and_then(|node| node.get("password_file"));
        if let Err(why) = secret(path) {
            let message = format!("the password file {} {why}", path.display());
            let hint = "let it be a file that only whoever runs the instance can read: chmod 600";
            reader.mistake(at.unwrap_or(root), "C012", message, hint);
        }
    }
}

/// The table of a stream, where it was typed.
fn table_of<'d>(layers: &'d Layers, stream: &StreamConfig) -> &'d Node {
    let root = &layers.document.root;
    let tables = match root.get("stream").map(|node| &node.value) {
        Some(Value::List(tables)) => tables.as_slice(),
        _ => &[],
    };
    let named = |table: &&Node| {
        let name = table.get("name").map(|name| &name.value);
        matches!(name, Some(Value::Text(name)) if name == stream.name.as_str())
    };
    tables.iter().find(named).unwrap_or(root)
}

/// Where a key of a stream was typed; the stream's table where it was not.
fn typed_of<'d>(layers: &'d Layers, stream: &StreamConfig, key: &str) -> &'d Node {
    let table = table_of(layers, stream);
    table.get(key).unwrap_or(table)
}

/// Patterns of files' names must be ones, and sidecars must be told from the files beside them.
pub(super) fn check_names_of_files(reader: &Reader<'_>, layers: &Layers, config: &Config) {
    for stream in &config.streams {
        let mistake = |key: &str, message: &str, hint: &str| {
            reader.mistake(typed_of(layers, stream, key), "C004", message, hint);
        };
        let pattern = stream.pattern.as_deref().map(NamePattern::parse);
        match &pattern {
            Some(Err(error)) => {
                let said = error.to_string();
                let (message, hint) = said.rsplit_once("; ").unwrap_or((&said, "correct it"));
                mistake("pattern", message, hint);
            }
            Some(Ok(pattern)) => {
                let given = [
                    ("run", stream.run.is_some()),
                    ("stream", stream.stream.is_some()),
                ];
                for (word, _) in given
                    .iter()
                    .filter(|(word, given)| !given && !pattern.has(word))
                {
                    let message = format!("nothing says which {word} its files belong to");
                    let hint = format!("put {{{word}}} into the pattern, or set {word} = ..");
                    mistake("pattern", &message, &hint);
                }
            }
            None => {}
        }
        let Completion::Sidecar { suffix } = &stream.completion else {
            continue;
        };
        if !suffix.starts_with('.') || suffix.len() < 2 {
            let message = format!("{suffix:?} is no suffix of sidecars");
            mistake("sidecar_suffix", &message, "write it as \".jsn\"");
        } else if stream
            .pattern
            .as_ref()
            .is_some_and(|pattern| pattern.ends_with(suffix))
        {
            let message = format!("files and their sidecars both end in {suffix:?}");
            mistake("pattern", &message, "give one of them another ending");
        }
    }
}

/// What an instance writes must not lie where it looks for new files, and no folder may be watched
/// twice by way of links.
pub(super) fn check_own_folders(reader: &Reader<'_>, layers: &Layers, config: &Config) {
    let instance = &config.instance;
    let own = [
        ("state", &instance.state),
        ("work", &instance.work),
        ("storage", &instance.storage),
    ];
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for (position, stream) in config.streams.iter().enumerate() {
        let spool = whole(&stream.folder);
        let watched = |path: &Path| {
            let path = whole(path);
            path == spool || stream.recursive && path.starts_with(&spool)
        };
        // The first says it for those that lie in it by default.
        if let Some((key, path)) = own.into_iter().find(|(_, path)| watched(path)) {
            let section = layers.document.root.get("instance");
            let at = section.and_then(|section| section.get(key));
            let at = at.unwrap_or_else(|| typed_of(layers, stream, "folder"));
            let message = format!(
                "{key} ({}) lies in the spool folder of \"{}\": what the instance writes would be \
                 taken for new files",
                path.display(),
                stream.name
            );
            reader.mistake(at, "C005", message, "put it beside the spool folder");
        }
        let typed_apart = |other: &&StreamConfig| {
            let (a, b) = (&other.folder, &stream.folder);
            !a.starts_with(b) && !b.starts_with(a)
        };
        let same = |other: &&StreamConfig| {
            let other = whole(&other.folder);
            other.starts_with(&spool) || spool.starts_with(other)
        };
        let others = config.streams[..position].iter();
        if let Some(other) = others.filter(typed_apart).find(same) {
            let message = format!(
                "followed to the end, its folder ({}) and that of \"{}\" lie in each other",
                spool.display(),
                other.name
            );
            let at = typed_of(layers, stream, "folder");
            reader.mistake(
                at,
                "C005",
                message,
                "give each stream profile its own folder",
            );
        }
    }
}

/// Settings of streams that count only beside another one, which is not there.
pub(super) fn unused_settings(layers: &Layers, config: &Config) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for stream in &config.streams {
        let sidecar = matches!(stream.completion, Completion::Sidecar { .. });
        let stable = matches!(stream.completion, Completion::SizeStable { .. });
        for (key, counts, beside) in [
            ("quiet", stable, "size_stable"),
            ("sidecar_suffix", sidecar, "sidecar"),
        ] {
            if let Some(at) = table_of(layers, stream).get(key).filter(|_| !counts) {
                let message = format!("{key} counts only with completion = \"{beside}\"");
                let hint = "remove it, or change the completion";
                found.push(layers.document.diagnose(at, "C004", message, hint));
            }
        }
    }
    found
}

/// Whether a file can be read by us and by nobody else.
fn secret(path: &Path) -> Result<(), String> {
    let found = std::fs::metadata(path).map_err(|error| format!("cannot be found: {error}"))?;
    if !found.is_file() {
        return Err("is no file".to_owned());
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err("can be read by others".to_owned());
    }
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// Programs that tasks name must be there and may be started.
pub(super) fn check_programs(
    config: &Config,
    drafts: &[Draft],
    search: &[PathBuf],
) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for draft in drafts {
        for (task, word) in draft.programs().chain(draft.other_programs()) {
            if let Some((message, hint)) = unstartable(config, word, search) {
                found.push(draft.diagnose_program(task, "C006", message, hint));
            }
        }
        for (task, word) in draft.plugin_programs() {
            if let Some((message, hint)) = unstartable(config, word, search) {
                found.push(draft.diagnose_plugin(task, "C006", message, hint));
            }
        }
    }
    found
}

/// Why the first word of an argv starts nothing, and what to do.
fn unstartable(config: &Config, word: &str, search: &[PathBuf]) -> Option<(String, String)> {
    let named = word
        .strip_prefix("{program:")
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = named {
        if config.programs.contains_key(name) {
            return None;
        }
        let near = nearest(name, config.programs.keys().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!("did you mean \"{near}\"? "));
        let hint = format!("{near}add {name} = \"path\" to [programs]");
        return Some((format!("no program is called \"{name}\""), hint));
    }
    if word.starts_with('/') {
        let why = startable(Path::new(word)).err()?;
        let hint = "name an executable file, or {program:NAME} and [programs]";
        return Some((format!("{word} {why}"), hint.to_owned()));
    }
    if word.contains('/') {
        let hint = "write a whole path, or {program:NAME} and its path in [programs]";
        let message = format!("{word} is relative, and an attempt starts in an empty folder");
        return Some((message, hint.to_owned()));
    }
    let mut folders = search.iter();
    if word == "{tier0}" || folders.any(|folder| startable(&folder.join(word)).is_ok()) {
        return None;
    }
    let hint = "install it, or write a whole path";
    Some((format!("{word} is in no folder of PATH"), hint.to_owned()))
}

/// Whether a file can be executed by somebody.
fn startable(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err("is no file".to_owned()),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Err("is not executable".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot be found: {error}")),
    }
}
