//! Configuration and definitions together, without starting anything: what `tier0 check` says and
//! what `tier0 serve` begins with.
//!
//! In come the layers of a configuration, out come the configuration and the linked definitions
//! with its budgets in force, or every mistake of both at once. The file system is only looked at:
//! definitions are read, programs must exist. Nothing is made, nothing is started.

use crate::config::{Config, Layers, PipelinesConfig, Typed, TypedText};
use model::names::TagName;
use pipelines::EMBEDDED;
use pipelines::assembly::{Assembled, Look, assemble};
use pipelines::choice::Eras;
use pipelines::definition::Trigger;
use pipelines::diagnosis::{Diagnosis, nearest};
use pipelines::document::{Document, Key, Node, Value};
use pipelines::draft::Draft;
use pipelines::reader::Reader;
use sha2::Digest;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "check_changes.rs"]
mod compared;
#[path = "check_places.rs"]
mod places;
#[path = "check_release.rs"]
mod release;

pub use compared::{changes, needing_a_restart};

/// A configuration and its pipelines, found to fit together.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// The pipelines in use, with what the configuration says over them.
    pub pipelines: Assembled,
    /// What all of it was read from.
    pub typed: Typed,
    /// What is probably not meant.
    pub warnings: Vec<Diagnosis>,
}

impl Checked {
    /// Hash of what runs work with, 16 hex digits: the definitions in force and the programs they
    /// start.
    pub fn hash(&self) -> String {
        let meant = format!("{:?}{:?}", self.pipelines.definitions, self.config.programs);
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
        Some(folder) => read_folder(&reader, layers, folder),
        None => Some(embedded()),
    };
    let documents = texts.as_deref().and_then(|texts| documents(&reader, texts));
    let Some((texts, documents)) = texts.zip(documents) else {
        return reader.finish(None);
    };
    let mut warnings = Vec::new();
    if let Some(config) = &config {
        places::check_named_programs(&reader, layers, config);
        places::check_files(&reader, layers, config);
        places::check_names_of_files(&reader, layers, config);
        places::check_own_folders(&reader, layers, config);
        release::check_release(&reader, layers, config);
        warnings.extend(places::unused_settings(layers, config));
    }
    check_names(&reader, layers, &documents);
    let mut look = |drafts: &[Draft]| {
        let Some(config) = &config else {
            return Vec::new();
        };
        warnings.extend(check_streams(config, drafts));
        warnings.extend(check_constants(config, drafts));
        places::check_programs(config, drafts, search)
    };
    let assembled = assembled(
        &reader,
        layers,
        &pipelines,
        config.as_ref(),
        documents,
        &mut look,
    );
    warnings.sort();
    warnings.dedup();
    let typed = layers.typed.with_definitions(texts);
    let checked = config.zip(assembled).map(|(config, pipelines)| Checked {
        config,
        pipelines,
        typed,
        warnings,
    });
    reader.finish(checked)
}

/// An older configuration, as something to compare with. What it names outside itself may be gone
/// since, and is not looked at.
pub fn older(layers: &Layers) -> Result<Checked, Vec<Diagnosis>> {
    let reader = Reader::new(&layers.document);
    let texts = match layers.read_pipelines(&reader).folder {
        Some(folder) => read_folder(&reader, layers, &folder),
        None => Some(embedded()),
    };
    match texts {
        Some(texts) => recall(layers.typed.with_definitions(texts)),
        None => reader.finish(None),
    }
}

/// What a run was opened with, read again from what was typed then. The file system is not looked
/// at: what was there then need not be there now.
pub fn recall(typed: Typed) -> Result<Checked, Vec<Diagnosis>> {
    let texts = typed.definitions.clone();
    let layers = typed.layers()?;
    let reader = Reader::new(&layers.document);
    let config = layers.read(&reader);
    let documents = documents(&reader, &texts);
    let (Some(config), Some(documents)) = (config, documents) else {
        return reader.finish(None);
    };
    let nobody_looks = &mut |_: &[Draft]| Vec::new();
    let pipelines = config.pipelines.clone();
    let assembled = assembled(
        &reader,
        &layers,
        &pipelines,
        Some(&config),
        documents,
        nobody_looks,
    );
    let checked = assembled.map(|assembled| Checked {
        config,
        pipelines: assembled,
        typed: layers.typed.clone(),
        warnings: Vec::new(),
    });
    reader.finish(checked)
}

/// The pipelines that the configuration uses, by run; mistakes are noted.
fn assembled(
    reader: &Reader<'_>,
    layers: &Layers,
    pipelines: &PipelinesConfig,
    config: Option<&Config>,
    documents: Vec<Document>,
    look: Look<'_>,
) -> Option<Assembled> {
    let none = Eras::default();
    let eras = config.map_or(&none, |config| &config.eras);
    let used = pipelines.chosen.as_deref();
    assemble(documents, Some(layers.over()), eras, used, look)
        .map_err(|found| reader.note_all(found))
        .ok()
}

/// Pipelines set going by a stream that no profile brings. Where a profile takes the stream from
/// names of files, nobody knows which there will be.
fn check_streams(config: &Config, drafts: &[Draft]) -> Vec<Diagnosis> {
    let brought: Option<Vec<&str>> = config
        .streams
        .iter()
        .map(|stream| stream.stream.as_ref().map(|name| name.as_str()))
        .collect();
    let Some(brought) = brought.filter(|brought| !brought.is_empty()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for draft in used(config, drafts) {
        if let Trigger::Stream(stream) = &draft.definition.trigger
            && stream.as_str() != "*"
            && !brought.contains(&stream.as_str())
        {
            let hint = match nearest(stream.as_str(), brought.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("the profiles bring {}", brought.join(", ")),
            };
            let message = format!("no stream profile brings the stream \"{stream}\"");
            found.push(draft.diagnose_trigger("C011", message, hint));
        }
    }
    found
}

/// Tasks that read constants on which nobody decides: all they can get is what an earlier
/// configuration left behind.
fn check_constants(config: &Config, drafts: &[Draft]) -> Vec<Diagnosis> {
    let decided: BTreeSet<&TagName> = used(config, drafts)
        .flat_map(|draft| &draft.definition.tasks)
        .flat_map(|task| &task.calibrates)
        .map(|gate| &gate.tag)
        .collect();
    let mut found = Vec::new();
    for draft in used(config, drafts) {
        for task in &draft.definition.tasks {
            for tag in task.conditions.iter().filter(|tag| !decided.contains(*tag)) {
                let hint = match nearest(tag.as_str(), decided.iter().map(|tag| tag.as_str())) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "use a pipeline with a gate for it, or do not read it".to_owned(),
                };
                let message = format!("it reads constants \"{tag}\", which no task calibrates");
                found.push(draft.diagnose_conditions(&task.name, "P006", message, hint));
            }
        }
    }
    found
}

/// Those that the configuration uses.
fn used<'d>(config: &Config, drafts: &'d [Draft]) -> impl Iterator<Item = &'d Draft> {
    let chosen = config.pipelines.chosen.clone();
    let used = move |draft: &&Draft| {
        let chosen = chosen.as_ref();
        chosen.is_none_or(|names| names.contains(&draft.definition.name))
    };
    drafts.iter().filter(used)
}

/// The definitions that come with the program, so named that nobody looks for the files.
fn embedded() -> Vec<TypedText> {
    let own = |(file, text): &(&str, &str)| TypedText {
        file: format!("embedded/{file}"),
        text: (*text).to_owned(),
    };
    EMBEDDED.iter().map(own).collect()
}

/// Definitions as trees; nothing when one of them is not TOML.
fn documents(reader: &Reader<'_>, files: &[TypedText]) -> Option<Vec<Document>> {
    let mut documents = Vec::new();
    for TypedText { file, text } in files {
        match Document::parse(file, text) {
            Ok(document) => documents.push(document),
            Err(found) => reader.note_all(found),
        }
    }
    (documents.len() == files.len()).then_some(documents)
}

/// The `*.toml` of a folder, in order of their names; nothing when one cannot be read.
fn read_folder(reader: &Reader<'_>, layers: &Layers, folder: &Path) -> Option<Vec<TypedText>> {
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
        let root = &layers.document.root;
        let at = root.get("pipelines").and_then(|node| node.get("folder"));
        let message = format!("no pipelines could be read from {}: {why}", path.display());
        let hint = "name a folder with a TOML file for each pipeline, or leave it out for those \
                    that come with the program";
        reader.mistake(at.unwrap_or(root), "C001", message, hint);
        None
    };
    match read() {
        Ok(files) if files.is_empty() => failed(folder, "no *.toml is there".to_owned()),
        Ok(files) => Some(files),
        Err((path, error)) => failed(&path, error.to_string()),
    }
}

/// Pipelines that the configuration names must be defined.
fn check_names(reader: &Reader<'_>, layers: &Layers, documents: &[Document]) {
    let known: Vec<&str> = documents.iter().filter_map(Document::pipeline).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::RunNumber;

    fn said(layers: &Layers) -> String {
        match check(layers, &[]) {
            Ok(checked) => {
                let definitions = checked.pipelines.definitions.resolve(RunNumber(0));
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
        let budget = checked.pipelines.definitions.resolve(RunNumber(0))[0]
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
            "P006]: it waits for tag \"beamspot\", which no task calibrates\n  --> embedded/prompt.toml:",
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
