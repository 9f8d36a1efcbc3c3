//! What is done to data: pipelines as definitions, splitting as pure functions, release rules.
//!
//! In comes TOML text (embedded defaults or a folder of the configuration), out come checked [`definition::Definition`]s
//! and, for a window of unconsumed input, the jobs to make. Pure: no file is opened here, no clock read. A sixth
//! pipeline is a TOML file; a new splitter is a file in `splitting/` and an arm in its `mod.rs`.

pub mod definition;
pub mod release;
pub mod splitting;
