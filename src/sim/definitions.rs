//! The pipelines that are simulated: those that come with the program, and two that cut by files.

use pipelines::definition::Definition;
use pipelines::link::load;

/// One job a file at once, over any order of arrival; and packs of three, with less hurry.
const BY_FILE: [(&str, &str); 2] = [
    ("monitor.toml", include_str!("monitor.toml")),
    ("packs.toml", include_str!("packs.toml")),
];

/// Pipelines that read a stream, and which: everything in it must be in their datasets.
pub(crate) const READERS: [(&str, &str); 4] = [
    ("express", "Muons"),
    ("prompt", "Muons"),
    ("monitor", "Tracks"),
    ("packs", "Tracks"),
];

/// Reads them.
pub(crate) fn all() -> Vec<Definition> {
    let files: Vec<(&str, &str)> = pipelines::EMBEDDED
        .iter()
        .chain(&BY_FILE)
        .copied()
        .collect();
    match load(&files) {
        Ok(definitions) => definitions,
        Err(found) => panic!("definitions that come with the program are right: {found:?}"),
    }
}
