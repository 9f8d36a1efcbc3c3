//! Names: streams, pipelines, tasks, tags, datasets. Cheap to clone, compared by text, never
//! confused with each other.
//!
//! A dataset's name is `/primary/processed/TIER`, with `/SIM` at the end when the data are
//! simulated, so that real and simulated can be told apart by everybody who only sees the name.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text as it is.
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

name!(/// A stream of the detector, e.g. `Muons`.
    StreamName);
name!(/// A stream profile of the configuration: one spool folder and how to read it.
    ProfileName);
name!(/// A pipeline, e.g. `express`.
    PipelineName);
name!(/// A task of a pipeline, e.g. `reco`.
    TaskName);
name!(/// What a task calls one of its outputs, e.g. `ALCA`.
    OutputLabel);
name!(/// A tag of the conditions, e.g. `beamspot`.
    TagName);
name!(/// A file's name relative to its profile's folder, or an output's relative to the storage.
    FileName);
name!(/// The whole name of a dataset.
    DatasetName);

/// A task wherever it stands: `express.reco`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskPath {
    /// The pipeline that defines it.
    pub pipeline: PipelineName,
    /// Its name there.
    pub task: TaskName,
}

impl TaskPath {
    /// From the two names.
    pub fn new(pipeline: &str, task: &str) -> Self {
        Self {
            pipeline: pipeline.into(),
            task: task.into(),
        }
    }
}

impl fmt::Display for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pipeline, self.task)
    }
}

/// Where data come from. Real, simulated and replayed data are never in one histogram, dataset or
/// list.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum DataLabel {
    /// Recorded by a detector.
    #[default]
    Real,
    /// Made by a generator.
    Simulated,
}

impl DataLabel {
    /// As written in records and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Simulated => "simulated",
        }
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Real, Self::Simulated]
            .into_iter()
            .find(|label| label.as_str() == text)
    }
}

impl fmt::Display for DataLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl DatasetName {
    /// `/primary/processed/TIER`, and `/SIM` behind it for simulated data.
    ///
    /// Parts hold letters, digits, `_`, `-` and `.`; anything else becomes `_`.
    pub fn of(primary: &str, processed: &str, tier: &str, label: DataLabel) -> Self {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let end = match label {
            DataLabel::Real => "",
            DataLabel::Simulated => "/SIM",
        };
        let length = primary.len() + processed.len() + tier.len() + end.len();
        let mut name = String::with_capacity(length + 3);
        for part in [primary, processed, tier] {
            name.push('/');
            name.extend(part.chars().map(|c| if legal(c) { c } else { '_' }));
        }
        name.push_str(end);
        Self::new(&name)
    }

    /// Whether the name says that the data are simulated.
    pub fn is_simulated(&self) -> bool {
        self.as_str().ends_with("/SIM")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datasets_name_says_whether_it_is_simulated() {
        let check = |label, expect: &str| {
            let name = DatasetName::of("Muons", "express-reco v1", "RECO", label);
            assert_eq!(name.as_str(), expect);
            assert_eq!(name.is_simulated(), label == DataLabel::Simulated);
        };
        check(DataLabel::Real, "/Muons/express-reco_v1/RECO");
        check(DataLabel::Simulated, "/Muons/express-reco_v1/RECO/SIM");
    }
}
