//! A configuration as it was typed: every text that was read to make it, so that it can be read
//! again later, on another day and by a newer program, for the runs that were opened with it.
//!
//! In come the texts, out comes one JSON text for the store, and the layers from it again. No
//! secret is in it: those are named by file or environment, never typed.

use super::Layers;
use pipelines::diagnosis::{Diagnosis, Source};
use pipelines::document::{Document, Value};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The shape of the JSON text; a newer one says so.
const SCHEMA: u32 = 1;

/// A text and the name it is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypedText {
    /// Its file.
    pub file: String,
    /// The whole of it.
    pub text: String,
}

/// One setting from outside the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypedSetting {
    /// The environment or flags.
    pub origin: String,
    /// How it was written, its value at the end.
    pub shown: String,
    /// The way to it from the outermost table.
    pub path: Vec<String>,
    /// What it is set to.
    pub value: String,
}

/// Everything that was typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typed {
    schema: u32,
    /// The main file, if there is one.
    pub file: Option<TypedText>,
    /// What paths of the file are relative to.
    pub base: PathBuf,
    /// The site's file under it, if one is named.
    pub site: Option<TypedText>,
    /// What paths of the site's file are relative to.
    pub site_base: PathBuf,
    /// Settings over the file, in the order in which they are laid.
    pub settings: Vec<TypedSetting>,
    /// Pipelines.
    pub definitions: Vec<TypedText>,
}

impl Typed {
    pub(crate) fn new(file: Option<TypedText>, base: &Path, settings: Vec<TypedSetting>) -> Self {
        Self {
            schema: SCHEMA,
            file,
            base: base.to_owned(),
            site: None,
            site_base: PathBuf::new(),
            settings,
            definitions: Vec::new(),
        }
    }

    /// The same with the pipelines that were read.
    pub(crate) fn with_definitions(&self, definitions: Vec<TypedText>) -> Self {
        Self {
            definitions,
            ..self.clone()
        }
    }

    /// One text for the store.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and lists of texts are JSON")
    }

    /// From the store's text.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let typed: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if typed.schema == SCHEMA {
            Ok(typed)
        } else {
            Err(format!(
                "it has shape {}, this program reads shape {SCHEMA}",
                typed.schema
            ))
        }
    }

    /// Reads the site's file, if one is named.
    pub(crate) fn read_site(&mut self) -> Result<(), Vec<Diagnosis>> {
        let document = match &self.file {
            Some(file) => Document::parse(&file.file, &file.text)?,
            None => Document::empty(),
        };
        let node = document.root.get("site");
        let in_file = node.and_then(|node| match &node.value {
            Value::Text(path) => Some(path.as_str()),
            _ => None,
        });
        if let Some(node) = node.filter(|_| in_file.is_none()) {
            let hint = "write site = \"sites/small.toml\"";
            let message = format!("a site is a path, this is {}", node.value.kind());
            return Err(vec![document.diagnose(node, "T004", message, hint)]);
        }
        let Some((path, by_setting)) = self.names_site(in_file) else {
            return Ok(());
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let file = path.display().to_string();
                self.site = Some(TypedText { file, text });
                let whole = std::path::absolute(&path).unwrap_or(path);
                whole
                    .parent()
                    .unwrap_or(Path::new(""))
                    .clone_into(&mut self.site_base);
                Ok(())
            }
            Err(error) => {
                let path = path.display();
                let message = format!("the site's file {path} could not be read: {error}");
                let hint = "name a file that exists, relative to this one";
                let Some(setting) = by_setting.map(|at| &self.settings[at]) else {
                    let at = node.unwrap_or(&document.root);
                    return Err(vec![document.diagnose(at, "C001", message, hint)]);
                };
                let shown = &setting.shown;
                let at = shown.len() - setting.value.len()..shown.len();
                let source = Source::new(&setting.origin, shown);
                Err(vec![source.diagnose(
                    &at,
                    "C001",
                    message,
                    "name a file that exists",
                )])
            }
        }
    }

    /// The site's file that is named: by a flag, the environment or the file, whoever is last.
    fn names_site(&self, in_file: Option<&str>) -> Option<(PathBuf, Option<usize>)> {
        let named = |setting: &TypedSetting| setting.path == ["site"];
        match self.settings.iter().rposition(named) {
            Some(at) => Some((PathBuf::from(&self.settings[at].value), Some(at))),
            None => in_file.map(|path| (self.base.join(path), None)),
        }
    }

    /// Layers to read it from again.
    pub(crate) fn layers(self) -> Result<Layers, Vec<Diagnosis>> {
        Layers::of(self)
    }
}
