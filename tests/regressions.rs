//! Worlds in which a promise was once broken, by a bug that was found or one that was planted
//! (`tests/mutants`), played again: one file each in `tests/regressions`, as `tier0 simulate`
//! prints it below the story of a seed that it has made small.
//!
//! In come the files, out comes a line for each. A file stays when its bug is gone: it is the
//! shortest way to that bug, and must end well from then on.

use std::fs;
use std::path::{Path, PathBuf};
use tier0::regression;

/// There are at least so many: an empty folder proves nothing.
const FILES_MIN: usize = 2;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("a file has a name").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn what_was_broken_once_is_not_broken_again() {
    let files = files();
    assert!(files.len() >= FILES_MIN, "{} files", files.len());
    let mut broken = Vec::new();
    for path in files {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).expect("a regression is text");
        let small = match regression::from_text(&text) {
            Ok(small) => small,
            Err(error) => panic!("{name}: {error}"),
        };
        match sim::replay(&small) {
            // Names and numbers of objects follow from the engine: what is decided of one that it
            // does not make any more does not happen.
            Ok(happened) => println!(
                "{name}: {} is kept, {happened} of {} decisions happened",
                small.promise,
                small.decisions.len()
            ),
            Err(story) => broken.push(format!("{name}:\n{story}")),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}
