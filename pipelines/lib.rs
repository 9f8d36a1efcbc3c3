//! What is done to data: pipelines as definitions, splitting as pure functions, release rules.
//!
//! In comes TOML text (embedded defaults or a folder of the configuration), out come checked
//! [`definition::Definition`]s and, for a window of unconsumed input, the jobs to make. Pure: no
//! file is opened here, no clock read. A sixth pipeline is a TOML file; a new splitter is a file in
//! `splitting/` and an arm in its `mod.rs`.
//!
//! Typed text goes `document` (a tree with places) -> `reader` (typed values, all mistakes noted)
//! -> `draft` (one pipeline) -> `link` (all of them together); `assembly` does so for every stretch
//! of runs, with what pipelines inherit (`overlay`) and what depends on the run (`choice`). The
//! configuration of an instance is read with the first two as well.

pub mod assembly;
pub mod choice;
pub mod definition;
pub mod diagnosis;
pub mod document;
pub mod draft;
pub mod link;
mod overlay;
pub mod reader;
pub mod release;
pub mod retry;
pub mod splitting;
pub mod variants;

/// The pipelines that come with the program, as (file, text), in the order of the flow.
pub const EMBEDDED: &[(&str, &str)] = &[
    ("express.toml", include_str!("definitions/express.toml")),
    (
        "calibration.toml",
        include_str!("definitions/calibration.toml"),
    ),
    ("prompt.toml", include_str!("definitions/prompt.toml")),
    ("dqm.toml", include_str!("definitions/dqm.toml")),
];
