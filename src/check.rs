//! Configuration and definitions together, without starting anything: what `tier0 check` says and
//! what `tier0 serve` begins with.
//!
//! In come the layers of a configuration, out come the configuration and the linked definitions
//! with its budgets in force, or every mistake of both at once. The file system is only looked at:
//! definitions are read, programs must exist. Nothing is made, nothing is started.

use crate::config::{Config, Layers, Typed, TypedText};
use pipelines::EMBEDDED;
use pipelines::definition::Definition;
use pipelines::diagnosis::{Diagnosis, nearest};
use pipelines::document::{Key, Node, Value};
use pipelines::draft::{Draft, parse};
use pipelines::link::link;
use pipelines::reader::Reader;
use pipelines::variants::Definitions;
use sha2::Digest;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A configuration and its pipelines, found to fit together.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// The pipelines in use, with the configuration's budgets.
    pub definitions: Definitions,
    /// What all of it was read from.
    pub typed: Typed,
}

impl Checked {
    /// Hash of what runs work with, 16 hex digits: the definitions in force and the programs they
    /// start.
    pub fn hash(&self) -> String {
        let meant = format!("{:?}{:?}", self.definitions, self.config.programs);
        let digest = sha2::Sha256::digest(meant);
        crate::data::hex(&digest[..8])
    }
}

/// Checks everything; the mistakes of configuration and definitions come together.
///
/// `search` are the folders in which programs without a path are looked for (`PATH`).
pub fn check(layers: &Layers, search: &[PathBuf]) -> Result<Checked, Vec<Diagnosis>> {
    let reader = Reader::new(&layers.document);
    let config = layers.read(&reader);
    // Without a whole configuration its pipelines are still worth a look; their mistakes were noted
    // once.
    let pipelines = match &config {
        Some(config) => config.pipelines.clone(),
        None => layers.read_pipelines(&Reader::new(&layers.document)),
    };
    let texts = match &pipelines.folder {
        Some(folder) => read_folder(&reader, folder),
        None => Some(embedded()),
    };
    // What an unreadable definition offers is unknown: names are compared once it is mended.
    let drafts = texts.as_deref().and_then(|texts| drafts(&reader, texts));
    let Some((texts, drafts)) = texts.zip(drafts) else {
        return reader.finish(None);
    };
    check_names(&reader, layers, &drafts);
    if let Some(config) = &config {
        check_programs(&reader, layers, config, &drafts, search);
    }
    let typed = layers.typed.with_definitions(texts);
    let checked = config.map(|config| Checked {
        definitions: linked(&reader, &config, drafts),
        config,
        typed,
    });
    reader.finish(checked)
}

/// What a run was opened with, read again from what was typed then. The file system is not looked
/// at: what was there then need not be there now.
pub fn recall(typed: Typed) -> Result<Checked, Vec<Diagnosis>> {
    let texts = typed.definitions.clone();
    let layers = typed.layers()?;
    let reader = Reader::new(&layers.document);
    let config = layers.read(&reader);
    let drafts = drafts(&reader, &texts);
    let checked = config.zip(drafts).map(|(config, drafts)| Checked {
        definitions: linked(&reader, &config, drafts),
        config,
        typed: layers.typed.clone(),
    });
    reader.finish(checked)
}

/// The pipelines that the configuration uses, with its budgets.
fn linked(reader: &Reader<'_>, config: &Config, drafts: Vec<Draft>) -> Definitions {
    let pipelines = &config.pipelines;
    let chosen = |draft: &Draft| {
        let names = pipelines.chosen.as_ref();
        names.is_none_or(|names| names.contains(&draft.definition.name))
    };
    let definitions = match link(drafts.into_iter().filter(chosen).collect()) {
        Ok(definitions) => definitions,
        Err(found) => {
            reader.note_all(found);
            Vec::new()
        }
    };
    let with_budget = |mut definition: Definition| {
        let budget = pipelines.budgets.get(&definition.name).copied();
        definition.budget = budget.or(definition.budget);
        definition
    };
    Definitions::fixed(definitions.into_iter().map(with_budget).collect())
}

/// The definitions that come with the program.
fn embedded() -> Vec<TypedText> {
    let own = |(file, text): &(&str, &str)| TypedText {
        file: (*file).to_owned(),
        text: (*text).to_owned(),
    };
    EMBEDDED.iter().map(own).collect()
}

/// Drafts of definitions; nothing when one of them has a mistake.
fn drafts(reader: &Reader<'_>, files: &[TypedText]) -> Option<Vec<Draft>> {
    let mut drafts = Vec::new();
    for TypedText { file, text } in files {
        match parse(text, file) {
            Ok(draft) => drafts.push(draft),
            Err(found) => reader.note_all(found),
        }
    }
    (drafts.len() == files.len()).then_some(drafts)
}

/// The `*.toml` of a folder, in order of their names; nothing when one cannot be read.
fn read_folder(reader: &Reader<'_>, folder: &Path) -> Option<Vec<TypedText>> {
    let read = || -> Result<Vec<TypedText>, (PathBuf, std::io::Error)> {
        let at = |path: &Path, error| (path.to_owned(), error);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|error| at(folder, error))? {
            let path = entry.map_err(|error| at(folder, error))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let text = std::fs::read_to_string(&path).map_err(|error| at(&path, error))?;
                let file = path.display().to_string();
                files.push(TypedText { file, text });
            }
        }
        files.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(files)
    };
    let failed = |path: &Path, why: String| {
        let message = format!("pipelines could not be read: {why}");
        let hint = "let [pipelines] folder name a folder with a TOML file for each pipeline";
        let file = path.display().to_string();
        reader.note(Diagnosis::without_place(
            &file,
            "C001",
            message,
            hint.to_owned(),
        ));
        None
    };
    match read() {
        Ok(files) if files.is_empty() => failed(folder, "no *.toml is there".to_owned()),
        Ok(files) => Some(files),
        Err((path, error)) => failed(&path, error.to_string()),
    }
}

/// Pipelines that the configuration names must be defined.
fn check_names(reader: &Reader<'_>, layers: &Layers, drafts: &[Draft]) {
    let known: Vec<&str> = drafts
        .iter()
        .map(|draft| draft.definition.name.as_str())
        .collect();
    let mistake = |at: &Node, name: &str| {
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("pipelines are {}", known.join(", ")),
        };
        reader.mistake(
            at,
            "C007",
            format!("no pipeline is called \"{name}\""),
            hint,
        );
    };
    let Some(Value::Table(entries)) = layers.document.root.get("pipelines").map(|n| &n.value)
    else {
        return;
    };
    for (Key { text, .. }, node) in entries {
        match (text.as_str(), &node.value) {
            ("use", Value::Untyped(names)) => {
                names
                    .split(',')
                    .filter(|name| !known.contains(name))
                    .for_each(|name| mistake(node, name));
            }
            ("use", _) => {
                for node in reader.one_or_more(node) {
                    if let Value::Text(name) = &node.value
                        && !known.contains(&name.as_str())
                    {
                        mistake(node, name);
                    }
                }
            }
            (name, Value::Table(_)) if !known.contains(&name) => mistake(node, name),
            _ => {}
        }
    }
}

/// Programs must be there and may be started.
fn check_programs(
    reader: &Reader<'_>,
    layers: &Layers,
    config: &Config,
    drafts: &[Draft],
    search: &[PathBuf],
) {
    for (name, path) in &config.programs {
        if let Err(why) = startable(path) {
            let node = layers
                .document
                .root
                .get("programs")
                .and_then(|node| node.get(name));
            let message = format!(
                "program \"{name}\" cannot be started: {} {why}",
                path.display()
            );
            let hint = "name an executable file";
            reader.mistake(node.unwrap_or(&layers.document.root), "C006", message, hint);
        }
    }
    for draft in drafts {
        for (task, word) in draft.programs() {
            let wrong = |message: String, hint: String| {
                reader.note(draft.diagnose_program(task, "C006", message, hint));
            };
            let named = word
                .strip_prefix("{program:")
                .and_then(|rest| rest.strip_suffix('}'));
            if let Some(name) = named {
                if !config.programs.contains_key(name) {
                    let near = nearest(name, config.programs.keys().map(String::as_str));
                    let near =
                        near.map_or(String::new(), |near| format!("did you mean \"{near}\"? "));
                    let hint = format!("{near}add {name} = \"path\" to [programs]");
                    wrong(format!("no program is called \"{name}\""), hint);
                }
            } else if word.starts_with('/') {
                if let Err(why) = startable(Path::new(word)) {
                    let hint = "name an executable file, or {program:NAME} and [programs]";
                    wrong(format!("{word} {why}"), hint.to_owned());
                }
            } else if word.contains('/') {
                let hint = "write a whole path, or {program:NAME} and its path in [programs]";
                let message =
                    format!("{word} is relative, and an attempt starts in an empty folder");
                wrong(message, hint.to_owned());
            } else if word != "{tier0}"
                && !search
                    .iter()
                    .any(|folder| startable(&folder.join(word)).is_ok())
            {
                let hint = "install it, or write a whole path";
                wrong(format!("{word} is in no folder of PATH"), hint.to_owned());
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::RunNumber;

    fn said(layers: &Layers) -> String {
        match check(layers, &[]) {
            Ok(checked) => {
                let definitions = checked.definitions.resolve(RunNumber(0));
                let names = definitions.iter().map(|d| d.name.as_str());
                names.collect::<Vec<_>>().join(" ")
            }
            Err(found) => found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    fn layers(base: &Path, text: &str) -> Layers {
        Layers::from_text("t.toml", text, base, &[], &[]).expect("the text is TOML")
    }

    #[test]
    fn the_embedded_pipelines_pass_and_budgets_are_overridden() {
        let base = Path::new("");
        assert_eq!(said(&layers(base, "")), "express calibration prompt dqm");
        assert_eq!(
            said(&layers(base, "[pipelines]\nuse = \"express\"\n")),
            "express"
        );
        let text = "[pipelines.express]\nbudget = { seen_to_published = \"5s\" }\n";
        let checked = check(&layers(base, text), &[]).expect("a legal override");
        let budget = checked.definitions.resolve(RunNumber(0))[0]
            .budget
            .expect("it has one");
        assert_eq!(budget.seen_to_published.as_secs_f64(), 5.0);
    }

    #[test]
    fn mistakes_of_both_come_together() {
        let text = "[instance]\nagent = -1\n[pipelines]\nuse = [\"expres\", \"prompt\"]\n\
                    [pipelines.prompts]\nbudget = { seen_to_published = \"5s\" }\n";
        let said = said(&layers(Path::new(""), text));
        for part in [
            "T008]: -1 is outside",
            "C007]: no pipeline is called \"expres\"\n --> t.toml:4:8",
            "did you mean \"express\"?",
            "C007]: no pipeline is called \"prompts\"\n --> t.toml:5:1",
            "P006]: it waits for tag \"beamspot\", which no task calibrates\n  --> prompt.toml:",
        ] {
            assert!(said.contains(part), "{part} is not in:\n{said}");
        }
    }

    #[test]
    fn programs_must_be_there() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let pipelines = folder.path().join("pipelines");
        std::fs::create_dir(&pipelines).expect("a folder for definitions");
        let text = "[pipelines]\nfolder = \"pipelines\"\n[programs]\ngood = \"/bin/sh\"\n\
                    flat = \"pipelines/a.toml\"\n";
        let layers = layers(folder.path(), text);
        assert!(
            said(&layers).contains("no *.toml is there"),
            "{}",
            said(&layers)
        );
        let mut definition = "[pipeline]\nname = \"a\"\ntrigger = { stream = \"*\" }\n".to_owned();
        let programs = [
            "{program:good}",
            "{program:goood}",
            "/no/such",
            "./run.sh",
            "nowhere",
        ];
        for (n, program) in programs.iter().enumerate() {
            definition += &format!("[[task]]\nname = \"t{n}\"\nprogram = [\"{program}\"]\n");
        }
        std::fs::write(pipelines.join("a.toml"), definition).expect("a definition is written");
        let said = said(&layers);
        let heads: Vec<&str> = said
            .lines()
            .filter_map(|line| line.strip_prefix("error[C006]: "))
            .collect();
        assert_eq!(heads.len(), 5, "{said}");
        for part in [
            "program \"flat\" cannot be started",
            "no program is called \"goood\"",
            "did you mean \"good\"? add goood = \"path\" to [programs]",
            "/no/such cannot be found",
            "./run.sh is relative",
            "nowhere is in no folder of PATH",
        ] {
            assert!(said.contains(part), "{part} is not in:\n{said}");
        }
    }
}
