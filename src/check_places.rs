//! What a configuration names outside itself: programs, spool folders, files with secrets. All of
//! it is only looked at.
//!
//! In come the configuration and its pipelines, out come mistakes: what is not there, or not for
//! us to read or start.

use crate::config::{Config, Layers};
use pipelines::diagnosis::{Diagnosis, nearest};
use pipelines::document::{Node, Value};
use pipelines::draft::Draft;
use pipelines::reader::Reader;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
            let tables = root.get("stream").map(|node| reader.one_or_more(node));
            let named = |table: &&Node| {
                let name = table.get("name").map(|name| &name.value);
                matches!(name, Some(Value::Text(name)) if name == stream.name.as_str())
            };
            let table = tables.unwrap_or_default().iter().find(named);
            let at = table.and_then(|table| table.get("folder"));
            let message = format!(
                "the spool folder {} cannot be read: {error}",
                stream.folder.display()
            );
            let hint = "make it, or let those who run the instance read it";
            reader.mistake(at.unwrap_or(root), "C012", message, hint);
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
        for (task, word) in draft.programs() {
            if let Some((message, hint)) = unstartable(config, word, search) {
                found.push(draft.diagnose_program(task, "C006", message, hint));
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
