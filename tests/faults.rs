//! Real faults: full disks, a store that others hold, a clock that is set, limits of the kernel,
//! programs that behave as badly as they can. Each row of the table of faults that is tested here
//! has a test whose name begins with its id, and asserts what becomes of the work and what people
//! are told.
//!
//! In: the real program, small file systems in memory (root mounts them; without root those tests
//! say that they did not run), and a library between the program and the operating system, made
//! from `tests/shim/faults.c`. Out: one line at the end, how many rows are tested and which.

mod support;

#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/limits.rs"]
mod limits;
#[path = "faults/programs.rs"]
mod programs;
#[path = "faults/rig.rs"]
mod rig;
#[path = "faults/spool.rs"]
mod spool;
#[path = "faults/store.rs"]
mod store;

use std::collections::BTreeSet;
use std::path::Path;
use support::say;

/// Rows of the table of faults in RELIABILITY.md, F01 to F68.
const ROWS: usize = 68;

/// Ids in the names of tests below a folder of sources.
fn ids(text: &str) -> BTreeSet<u32> {
    let names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("fn f"));
    let words = names.flat_map(|name| name.split('_').take_while(|word| word.len() <= 3));
    let digits = words.filter_map(|word| word.trim_start_matches('f').parse().ok());
    digits.filter(|id| (1..=ROWS as u32).contains(id)).collect()
}

#[test]
fn every_row_that_is_tested_here_is_counted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![
        root.join("tests/hostile.rs"),
        root.join("src/watch/spool_tests.rs"),
    ];
    files.push(root.join("src/watch/hostile_tests.rs"));
    let faults = std::fs::read_dir(root.join("tests/faults")).expect("it is there");
    files.extend(faults.flatten().map(|entry| entry.path()));
    let mut found = BTreeSet::new();
    for file in files {
        found.extend(ids(
            &std::fs::read_to_string(file).expect("sources are text")
        ));
    }
    let shown: Vec<String> = found.iter().map(|id| format!("F{id:02}")).collect();
    let (count, shown) = (found.len(), shown.join(" "));
    say(&format!(
        "faults: {count} of {ROWS} rows of RELIABILITY.md are tested here (ids {shown})"
    ));
    assert!(found.contains(&16) && found.contains(&21), "{shown}");
}
