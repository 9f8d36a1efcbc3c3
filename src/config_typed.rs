//! A configuration as it was typed: every text that was read to make it, so that it can be read
//! again later, on another day and by a newer program, for the runs that were opened with it.
//!
//! In come the texts, out comes one JSON text for the store, and the layers from it again. No
//! secret is in it: those are named by file or environment, never typed.

use super::Layers;
use pipelines::diagnosis::Diagnosis;
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

    /// Layers to read it from again.
    pub(crate) fn layers(self) -> Result<Layers, Vec<Diagnosis>> {
        Layers::of(self)
    }
}
