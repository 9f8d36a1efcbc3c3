//! The rules of the house that a compiler does not keep: headers, sizes, who may import whom, which
//! foreign library lives where, what pure rooms may not know. Style breaks a test, not a
//! friendship.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this is more than one idea.
const FILE_LINES_MAX: usize = 700;
/// A function longer than this does not fit any screen.
const FUNCTION_LINES_MAX: usize = 100;
/// A test that is one table may be longer.
const TEST_LINES_MAX: usize = 200;
const LINE_COLUMNS_MAX: usize = 100;

/// Rooms, each with what it may import of ours: the ladder of ARCHITECTURE.md.
const LADDER: &[(&str, &[&str])] = &[
    ("src/model", &[]),
    ("pipelines", &["model"]),
    ("calibration", &["model"]),
    ("dqm", &["model"]),
    ("src/engine", &["model", "pipelines", "calibration", "dqm"]),
    ("src/sim", &["model", "pipelines", "engine"]),
    ("src/lanes", &[]),
    ("src/meter", &["model"]),
    ("src/ports", &["model"]),
    ("src/view", &["model"]),
    ("src/watch", &["model", "ports", "lanes"]),
    ("src/store", &["model", "ports"]),
    ("src/storage", &["model", "ports"]),
    ("src/executors", &["model", "ports", "lanes"]),
    ("src/programs", &["model", "calibration", "dqm"]),
    (
        "src/agents",
        &["model", "engine", "ports", "lanes", "meter"],
    ),
    ("src/api", &["model", "view", "ports", "lanes"]),
];

/// Rooms that are told the time and open no file.
const PURE: &[&str] = &["src/model", "src/engine", "pipelines", "calibration", "dqm"];

/// Libraries that any room may use.
const COMMON: &[&str] = &["serde", "serde_json", "thiserror"];

/// Libraries of pure functions that a pure room may use, with the reason.
const PURE_LIBRARIES: &[(&str, &str)] = &[
    ("toml", "definitions are text in that form"),
    ("nalgebra", "normal equations of hundreds of parameters"),
    (
        "flate2",
        "calibration records come compressed; bytes in, bytes out",
    ),
];

/// Libraries that several rooms share, with the reason.
const SHARED: &[(&str, &str)] = &[
    ("adler32", "a checksum, wherever bytes are read"),
    ("sha2", "a hash, wherever content is addressed"),
    ("rustix", "system calls without a wrapper in std"),
    ("tokio", "sqlx and axum each need its runtime"),
    ("parking_lot", "locks"),
    ("toml", "definitions and configuration"),
    ("crossbeam-utils", "back-off"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Rows of the table of faults that must have a test with their id: all whose component is ours.
const FAULTS_TESTED: &[std::ops::RangeInclusive<u32>] = &[
    1..=13,
    16..=18,
    20..=23,
    25..=25,
    31..=34,
    37..=43,
    47..=55,
    57..=59,
    65..=66,
];

/// Rows among them that have none yet, with what they wait for.
const FAULTS_WAITING: &[(u32, &str)] = &[];

/// Files with this ending below the folders that hold code, in order.
fn files(ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["src", "pipelines", "calibration", "dqm", "benches", "tests"] {
        walk(&root().join(folder), ending, &mut found);
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn report(rule: &str, offenders: &[String]) {
    assert!(
        offenders.is_empty(),
        "{rule}:\n  {}",
        offenders.join("\n  ")
    );
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut offenders = Vec::new();
    for path in files(".rs") {
        let text = fs::read_to_string(&path).expect("a source file is text");
        if !text.starts_with("//!") {
            offenders.push(shown(&path));
        }
    }
    report(
        "these files do not open with a paragraph saying what they are for",
        &offenders,
    );
}

#[test]
fn files_functions_and_lines_have_a_size() {
    let mut offenders = Vec::new();
    for path in files(".rs") {
        let text = fs::read_to_string(&path).expect("a source file is text");
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            offenders.push(format!("{}: {} lines", shown(&path), lines.len()));
        }
        for (number, line) in lines.iter().enumerate() {
            let columns = line.chars().count();
            // A string that tests compare may be as long as what it compares.
            if columns > LINE_COLUMNS_MAX && !line.contains('"') && !line.contains("http") {
                offenders.push(format!(
                    "{}:{}: {columns} columns",
                    shown(&path),
                    number + 1
                ));
            }
        }
        let name = shown(&path);
        let limit = if name.contains("tests") {
            TEST_LINES_MAX
        } else {
            FUNCTION_LINES_MAX
        };
        offenders.extend(long_functions(&lines, limit).map(|(line, length)| {
            format!("{}:{line}: a function of {length} lines", shown(&path))
        }));
    }
    report("too long", &offenders);
}

/// Functions over the limit: from a line with `fn` to the closing brace at the same indent.
fn long_functions(lines: &[&str], limit: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "async fn ",
            "pub async fn ",
        ]
        .iter()
        .any(|prefix| trimmed.starts_with(prefix));
        if !is_function {
            continue;
        }
        let close = format!("{}}}", &line[..line.len() - trimmed.len()]);
        let length = lines[start..]
            .iter()
            .position(|line| *line == close)
            .unwrap_or(0)
            + 1;
        if length > limit {
            found.push((start + 1, length));
        }
    }
    found.into_iter()
}

#[test]
fn forbidden_names_and_holes_do_not_appear() {
    let mut offenders = Vec::new();
    for path in files(".rs") {
        let name = shown(&path);
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if ["utils", "util", "common", "helpers", "helper", "misc"].contains(&stem.as_str()) {
            offenders.push(format!("{name}: if it has no noun it has no room"));
        }
        if name == "tests/tidy.rs" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file is text");
        for hole in [
            "todo!(",
            "unimplemented!(",
            "FIXME",
            "#[ignore",
            "pre_exec(",
        ] {
            if text.contains(hole) {
                offenders.push(format!("{name}: {hole}"));
            }
        }
    }
    report("forbidden", &offenders);
}

/// Dependencies of a manifest (not those for tests), as their names stand there.
fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).expect("every room has a manifest");
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && let Some((name, _)) = line.split_once([' ', '=', '.']) {
            names.insert(name.trim().to_owned());
        }
    }
    names.retain(|name| !name.is_empty() && !name.starts_with('#'));
    names
}

#[test]
fn imports_go_only_downstairs() {
    let rooms: BTreeSet<&str> = LADDER
        .iter()
        .map(|(room, _)| room.rsplit('/').next().unwrap_or(room))
        .collect();
    let mut offenders = Vec::new();
    for (room, allowed) in LADDER {
        for name in dependencies(&root().join(room).join("Cargo.toml")) {
            if rooms.contains(name.as_str()) && !allowed.contains(&name.as_str()) {
                offenders.push(format!("{room} imports {name}"));
            }
        }
    }
    let on_ladder: BTreeSet<&str> = LADDER.iter().map(|(room, _)| *room).collect();
    for manifest in files("Cargo.toml") {
        let room = shown(manifest.parent().unwrap_or(&manifest));
        if !on_ladder.contains(room.as_str()) {
            offenders.push(format!("{room} is not on the ladder"));
        }
    }
    report("the import ladder of ARCHITECTURE.md", &offenders);
}

#[test]
fn a_foreign_library_lives_in_one_room() {
    let rooms: BTreeSet<&str> = LADDER
        .iter()
        .map(|(room, _)| room.rsplit('/').next().unwrap_or(room))
        .collect();
    let mut homes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (room, _) in LADDER {
        for name in dependencies(&root().join(room).join("Cargo.toml")) {
            let ours = rooms.contains(name.as_str());
            let shared = SHARED.iter().any(|(shared, _)| *shared == name);
            if !ours && !shared && !COMMON.contains(&name.as_str()) {
                homes.entry(name).or_default().push(room);
            }
        }
    }
    // lanes wraps crossbeam and nobody else touches it.
    let offenders: Vec<String> = homes
        .iter()
        .filter(|(_, homes)| homes.len() > 1)
        .map(|(name, homes)| format!("{name}: {}", homes.join(", ")))
        .collect();
    report("each of these libraries has several homes", &offenders);
}

#[test]
fn pure_rooms_know_no_runtime_no_clock_and_no_file() {
    let mut offenders = Vec::new();
    for room in PURE {
        for name in dependencies(&root().join(room).join("Cargo.toml")) {
            let ours = LADDER
                .iter()
                .any(|(other, _)| other.ends_with(name.as_str()));
            let library = PURE_LIBRARIES.iter().any(|(pure, _)| *pure == name);
            let pure = COMMON.contains(&name.as_str()) || library;
            if !ours && !pure {
                offenders.push(format!("{room} depends on {name}"));
            }
        }
        let bans = fs::read_to_string(root().join(room).join("clippy.toml"))
            .expect("a pure room has bans of its own");
        for ban in bans_of(&fs::read_to_string(root().join("clippy.toml")).expect("root bans")) {
            if !bans.contains(&ban) {
                offenders.push(format!("{room}/clippy.toml lacks the root's ban of {ban}"));
            }
        }
        for ban in [
            "Instant::now",
            "SystemTime::now",
            "File::open",
            "HashMap",
            "thread::spawn",
        ] {
            if !bans.contains(ban) {
                offenders.push(format!("{room}/clippy.toml does not ban {ban}"));
            }
        }
    }
    report("pure rooms", &offenders);
}

fn bans_of(text: &str) -> Vec<String> {
    let paths = text.split("path = \"").skip(1);
    paths
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Each bug of `tests/mutants/list.toml` can still be planted.
#[test]
fn every_planted_bug_finds_its_text_once() {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Planted {
        name: String,
        wrong: String,
        file: String,
        find: String,
        replace: String,
    }
    let text = fs::read_to_string(root().join("tests/mutants/list.toml")).expect("the list");
    let list: BTreeMap<String, Vec<Planted>> = toml::from_str(&text).expect("as run.py reads it");
    let (mut offenders, mut names) = (Vec::new(), BTreeSet::new());
    for planted in &list["mutant"] {
        let name = &planted.name;
        let file = fs::read_to_string(root().join(&planted.file)).unwrap_or_default();
        let times = file.matches(&planted.find).count();
        if times != 1 {
            let file = &planted.file;
            offenders.push(format!("{name}: its text is {times} times in {file}"));
        }
        if !names.insert(name) || planted.wrong.is_empty() || planted.find == planted.replace {
            offenders.push(format!("{name}: told twice, or not told, or no change"));
        }
    }
    assert!(names.len() >= 50, "{} bugs are too few", names.len());
    report("planted bugs", &offenders);
}

#[test]
fn the_required_top_level_is_there() {
    let missing: Vec<String> = [
        "Cargo.toml",
        "src",
        "pipelines",
        "calibration",
        "dqm",
        "benches",
        "config",
        "tests",
    ]
    .iter()
    .filter(|name| !root().join(name).exists())
    .map(|name| (*name).to_owned())
    .collect();
    report("missing at the top", &missing);
}

/// Ids at the beginning of the name of a test, as in `fn f16_f17_what_happens`.
fn fault_ids(line: &str) -> Vec<u32> {
    let Some(name) = line.trim().strip_prefix("fn ") else {
        return Vec::new();
    };
    let words = name.split('_').map(|word| word.strip_prefix('f'));
    let ids = words.map_while(|id| id.filter(|id| id.len() == 2)?.parse().ok());
    ids.collect()
}

/// Ids in the first column of RELIABILITY.md's table, as in `| F04-F07 |` and `| F58, F59 |`.
fn faults_promised(text: &str) -> BTreeSet<u32> {
    let mut promised = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| F")) {
        let column = line.split('|').nth(1).unwrap_or_default();
        for part in column.split(',').map(str::trim) {
            let number = |text: &str| text.trim_start_matches('F').parse::<u32>();
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (number(first), number(last)) {
                promised.extend(first..=last);
            }
        }
    }
    promised
}

#[test]
fn every_fault_that_is_ours_has_a_test_with_its_id() {
    let mut found: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for path in files("rs") {
        let text = fs::read_to_string(&path).expect("sources are text");
        let mut is_test = false;
        for line in text.lines() {
            if line.trim().starts_with("fn ") {
                for id in fault_ids(line).into_iter().filter(|_| is_test) {
                    found.entry(id).or_default().insert(shown(&path));
                }
                is_test = false;
            }
            is_test |= line.trim() == "#[test]";
        }
    }
    let text = fs::read_to_string(root().join("RELIABILITY.md")).expect("it is there");
    let promised = faults_promised(&text);
    assert!(promised.len() > 30, "the table is read: {promised:?}");
    let wanted: BTreeSet<u32> = FAULTS_TESTED.iter().cloned().flatten().collect();
    let waits = |id: &u32| FAULTS_WAITING.iter().find(|(waits, _)| waits == id);
    let mut offenders = Vec::new();
    for id in wanted.union(&promised) {
        match (found.contains_key(id), waits(id)) {
            (true, Some((_, what))) => {
                offenders.push(format!("F{id:02} has a test; {what} is here"));
            }
            (false, None) => offenders.push(format!("F{id:02} has no test fn f{id:02}_..")),
            _ => {}
        }
    }
    let waiting: Vec<String> = FAULTS_WAITING
        .iter()
        .map(|(id, what)| format!("F{id:02} {what}"))
        .collect();
    println!(
        "faults: {} of {} rows have a test with their id; waiting: {}",
        wanted.iter().filter(|id| found.contains_key(id)).count(),
        wanted.len(),
        waiting.join(", ")
    );
    report("faults", &offenders);
}
