//! What `tier0 check` says of broken configurations: where, what, and what to do.
//!
//! In come the folders of `tests/broken/`, each a configuration as somebody might have written it
//! (`site.toml` and what it names; `environment` with settings over it; `old.toml`, where it is
//! compared with an older one) and `expected.txt`, everything that the real program says of it. Out
//! comes each difference, line by line. With `TIER0_REWRITE_EXPECTED=1` the snapshots are written
//! anew. A snapshot can hold anything, so that the table below says, whatever it holds, which
//! mistakes are found where, and every message is held against the text that it talks about.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each folder with what is found in it, in the order in which it is told: code and place of a
/// mistake, which ends the check with exit code 2, or of a warning, which does not.
const CASES: &[(&str, &str)] = &[
    ("toml_unclosed_quote", "T001 site.toml:3"),
    ("toml_unquoted_text", "T001 site.toml:7"),
    ("toml_key_twice", "T001 site.toml:7"),
    ("toml_curly_quotes", "T001 site.toml:2"),
    ("toml_bracket_in_pipeline", "T001 pipelines/reco.toml:3"),
    ("toml_list_never_closed", "T001 site.toml:2"),
    ("unknown_key", "T002 site.toml:5"),
    (
        "unknown_key_of_another_section",
        "T002 site.toml:3, T002 site.toml:6",
    ),
    ("unknown_section", "T002 site.toml:4, T002 site.toml:7"),
    (
        "required_missing",
        "T003 pipelines/reco.toml:5, T003 pipelines/reco.toml:7, T003 site.toml:4",
    ),
    (
        "several_in_one_file",
        "T002 site.toml:2, T008 site.toml:3, C002 site.toml:6, T008 site.toml:9, T009 site.toml:14",
    ),
    (
        "wrong_type",
        "T004 pipelines/reco.toml:3, T004 pipelines/reco.toml:7, T004 site.toml:5, T004 site.toml:8, T004 site.toml:12, T004 site.toml:15",
    ),
    (
        "single_brackets",
        "T004 pipelines/reco.toml:5, T004 site.toml:4",
    ),
    (
        "duration_without_unit",
        "T006 pipelines/reco.toml:4, T006 pipelines/reco.toml:9, T006 pipelines/reco.toml:10, T006 site.toml:8, T006 site.toml:9",
    ),
    (
        "size_with_wrong_unit",
        "T007 pipelines/reco.toml:8, T007 pipelines/reco.toml:13, T007 pipelines/reco.toml:14",
    ),
    (
        "negative",
        "T008 pipelines/reco.toml:8, T008 pipelines/reco.toml:9, T008 pipelines/reco.toml:9, T008 pipelines/reco.toml:10, T008 site.toml:5, T008 site.toml:8",
    ),
    ("stream_names_twice", "C005 site.toml:8"),
    ("stream_folders_nested", "C005 site.toml:9"),
    ("stream_folders_the_same", "C005 site.toml:9"),
    ("stream_folder_missing", "C012 site.toml:3"),
    (
        "stream_pattern",
        "C004 site.toml:5, C004 site.toml:11, C004 site.toml:17, C004 site.toml:23",
    ),
    (
        "stream_settings_unused",
        "warning C004 site.toml:8, warning C004 site.toml:9",
    ),
    ("stream_sidecars", "C004 site.toml:5, C004 site.toml:14"),
    ("stream_of_nobody", "warning C011 pipelines/reco.toml:3"),
    ("storage_in_the_spool", "C005 site.toml:3"),
    ("release_on_one_disk", "C015 site.toml:9"),
    (
        "release_without_copies",
        "C014 site.toml:8, T006 site.toml:9, T002 site.toml:10",
    ),
    ("release_copies_in_the_spool", "C005 site.toml:9"),
    ("remote_listen", "C003 site.toml:2"),
    ("address_without_port", "C002 site.toml:2"),
    ("store_password", "C009 site.toml:2"),
    ("store_password_key", "C009 site.toml:3"),
    ("store_password_in_the_environment", "C009 environment:1"),
    ("store_scheme", "C008 site.toml:2"),
    ("store_password_file_missing", "C012 site.toml:3"),
    ("executor_not_built", "C013 site.toml:1, T002 site.toml:4"),
    (
        "site_below",
        "T002 sites/pit.toml:4, T006 sites/pit.toml:11",
    ),
    ("site_missing", "C001 site.toml:1"),
    ("environment_unknown_key", "T002 environment:1"),
    (
        "environment_wrong_value",
        "T004 environment:1, T004 environment:1",
    ),
    (
        "environment_spelling",
        "T002 environment:1, T002 environment:1, T002 environment:1",
    ),
    ("pipelines_folder_missing", "C001 site.toml:5"),
    (
        "pipeline_of_nobody",
        "C007 site.toml:2, C007 site.toml:4, C007 site.toml:7",
    ),
    (
        "pipeline_option_unknown",
        "T002 site.toml:2, T002 site.toml:5",
    ),
    (
        "budget_nobody_can_keep",
        "T008 site.toml:2, P005 site.toml:2, T003 site.toml:5",
    ),
    (
        "dataset_of_nobody",
        "C010 site.toml:1, C010 site.toml:5, C010 site.toml:8",
    ),
    (
        "inherits_nobody",
        "P020 pipelines/fast.toml:3, T002 pipelines/fast.toml:7",
    ),
    ("trigger_of_nobody", "P003 pipelines/harvest.toml:3"),
    ("two_pipelines_one_dataset", "P009 pipelines/b.toml:9"),
    (
        "pipeline_mistakes",
        "T002 pipelines/reco.toml:4, T009 pipelines/reco.toml:9, T005 pipelines/reco.toml:10",
    ),
    ("splitter_unknown", "T009 pipelines/reco.toml:8"),
    ("splitter_foreign_parameter", "T002 pipelines/reco.toml:8"),
    ("splitter_contradiction", "P010 pipelines/pack.toml:8"),
    (
        "input_of_nobody",
        "P003 pipelines/reco.toml:12, P003 pipelines/reco.toml:17",
    ),
    ("circle_of_tasks", "P004 pipelines/reco.toml:7"),
    ("task_names_twice", "P002 pipelines/reco.toml:11"),
    (
        "placeholder_unknown",
        "P001 pipelines/reco.toml:11, P001 pipelines/reco.toml:15",
    ),
    (
        "placeholder_without_program",
        "C006 pipelines/reco.toml:7, C006 pipelines/reco.toml:11",
    ),
    (
        "program_not_there",
        "C006 pipelines/reco.toml:11, C006 pipelines/reco.toml:15, C006 pipelines/reco.toml:19, C006 site.toml:5",
    ),
    ("from_run_without_default", "T011 pipelines/reco.toml:8"),
    ("era_of_nobody", "T011 pipelines/reco.toml:8"),
    ("value_wrong_for_some_runs", "T007 site.toml:2"),
    (
        "release_word",
        "T009 pipelines/reco.toml:8, T003 pipelines/reco.toml:13",
    ),
    (
        "tag_of_nobody",
        "P006 embedded/prompt.toml:19, P006 embedded/prompt.toml:19",
    ),
    (
        "global_tag_without_records",
        "T003 pipelines/reco.toml:8, T005 pipelines/reco.toml:13, P002 pipelines/reco.toml:13",
    ),
    ("constants_of_nobody", "warning P006 pipelines/reco.toml:18"),
    (
        "retry_policy",
        "T009 pipelines/reco.toml:8, T009 pipelines/reco.toml:8, T009 pipelines/reco.toml:8",
    ),
    (
        "memory_never_grows",
        "T008 pipelines/reco.toml:9, T008 pipelines/reco.toml:9",
    ),
    ("changed_budget", ""),
    ("changed_splitter", ""),
    ("changed_stream_folder", ""),
    ("changed_beside_a_broken_one", ""),
];

/// Fewer cases than this would not be the table.
const CASES_MIN: usize = 20;

/// A password in some of them, which nobody may print.
const SECRET: &str = "correct-horse";

fn broken() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
}

/// One case, on a copy of its folder.
struct Case {
    name: String,
    folder: tempfile::TempDir,
}

/// What the program said and how it ended.
struct Said {
    out: String,
    err: String,
    code: i32,
}

/// One message: its lines, as they are printed.
struct Message<'s> {
    kind: &'s str,
    code: &'s str,
    file: &'s str,
    line: usize,
    column: usize,
    lines: Vec<&'s str>,
}

impl Case {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        copy(&broken().join(name), folder.path());
        Self {
            name: name.to_owned(),
            folder,
        }
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join(file)).ok()
    }

    /// Settings in the environment.
    fn environment(&self) -> Vec<(String, String)> {
        let text = self.text("environment").unwrap_or_default();
        let setting = |line: &str| {
            let (name, value) = line.split_once('=').expect("NAME=VALUE on a line");
            (name.to_owned(), value.to_owned())
        };
        text.lines().map(setting).collect()
    }

    /// What stands in a line of a file, of the environment, or of what comes with the program.
    fn line(&self, file: &str, line: usize, shown: &str) -> String {
        if file == "environment" {
            let typed = self.environment().into_iter();
            let mut typed = typed.map(|(name, value)| format!("{name}={value}"));
            let name = shown.split('=').next().unwrap_or_default();
            let of_it = |typed: &String| typed.split('=').next() == Some(name);
            return typed.find(of_it).unwrap_or_default();
        }
        let text = match file.strip_prefix("embedded/") {
            Some(file) => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/definitions");
                fs::read_to_string(folder.join(file)).ok()
            }
            None => self.text(file),
        };
        let text = text.unwrap_or_else(|| panic!("{}: there is no file {file}", self.name));
        text.lines().nth(line - 1).unwrap_or_default().to_owned()
    }

    fn arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["--config", "site.toml", "check"];
        if self.folder.path().join("old.toml").exists() {
            arguments.extend(["--diff", "old.toml"]);
        }
        arguments
    }

    /// Runs the program in the folder, with nothing of ours around it.
    fn run(&self, arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_tier0"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(self.environment())
            .output()
            .expect("tier0 starts");
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("it speaks UTF-8");
            self.without_machine(&text)
        };
        Said {
            out: text(&output.stdout),
            err: text(&output.stderr),
            code: output.status.code().expect("it ends by itself"),
        }
    }

    /// What it says without what only this machine and this version have: the folder's path, and
    /// the hash of a configuration.
    fn without_machine(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let text = text
            .replace(&format!("{folder}/"), "")
            .replace(&folder, ".");
        let hash = |line: &str| match line.rsplit_once(", configuration ") {
            Some((rest, hash)) if hash.len() == 16 => format!("{rest}, configuration HASH\n"),
            _ => format!("{line}\n"),
        };
        text.lines().map(hash).collect()
    }

    /// The whole snapshot.
    fn snapshot(&self, said: &Said) -> String {
        let mut text = "$ ".to_owned();
        for (name, value) in self.environment() {
            write!(text, "{name}={value} ").expect("it grows");
        }
        let arguments = self.arguments().join(" ");
        writeln!(text, "tier0 {arguments}").expect("it grows");
        text += &said.out;
        text += &said.err;
        writeln!(text, "exit code {}", said.code).expect("it grows");
        text
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the case is there") {
        let path = entry.expect("it can be read").path();
        let target = to.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            fs::create_dir(&target).expect("the copy is ours");
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("the copy is ours");
        }
    }
}

/// Everything below a folder.
fn listing(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(listing(&path));
        }
        found.insert(path);
    }
    found
}

/// The messages in what was said.
fn messages(said: &str) -> Vec<Message<'_>> {
    let mut messages: Vec<Message<'_>> = Vec::new();
    for line in said.lines() {
        let head = ["error[", "warning["]
            .iter()
            .find_map(|head| line.strip_prefix(head));
        if let Some((code, _)) = head.and_then(|rest| rest.split_once("]: ")) {
            messages.push(Message {
                kind: line.split('[').next().unwrap_or_default(),
                code,
                file: "",
                line: 0,
                column: 0,
                lines: vec![line],
            });
        } else if let Some(message) = messages.last_mut() {
            message.lines.push(line);
            if let Some(place) = line.trim_start().strip_prefix("--> ") {
                message.at(place);
            }
        }
    }
    messages
}

impl<'s> Message<'s> {
    /// As the table has it.
    fn in_short(&self) -> String {
        let kind = if self.kind == "error" { "" } else { "warning " };
        format!("{kind}{} {}:{}", self.code, self.file, self.line)
    }

    /// `file:line:column`.
    fn at(&mut self, place: &'s str) {
        let mut parts = place.rsplitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        if let (Some(column), Some(line)) = (number(), number()) {
            (self.line, self.column) = (line, column);
            self.file = parts.next().unwrap_or_default();
        }
    }

    /// Whatever a snapshot says: a message has a code, a place where its text really stands, a
    /// caret under it, and something to do.
    fn check(&self, case: &Case) {
        let ensure = |is_so: bool, what: &str| {
            assert!(is_so, "{}: {what}:\n{}", case.name, self.lines.join("\n"));
        };
        ensure(self.lines.len() >= 6, "not a whole message");
        let digits = self.code.chars().filter(char::is_ascii_digit).count();
        ensure((self.code.len(), digits) == (4, 3), "no code");
        ensure(self.line > 0 && self.column > 0, "no file:line:column");
        let margin = " ".repeat(self.line.to_string().len());
        let after = |line: usize, head: String| self.lines[line].strip_prefix(head.as_str());

        let shown = after(3, format!("{} | ", self.line)).unwrap_or_default();
        let typed = case.line(self.file, self.line, shown);
        let hidden = shown
            .strip_suffix("***")
            .is_some_and(|start| typed.contains(start));
        ensure(!shown.is_empty(), "the line is not shown");
        ensure(hidden || typed.contains(shown), "the line is another one");

        let carets = after(4, format!("{margin} | ")).unwrap_or_default();
        let before = carets.chars().take_while(|c| *c == ' ').count();
        let only_carets = carets.chars().skip(before).all(|c| c == '^');
        ensure(only_carets && before < carets.len(), "no caret");
        ensure(
            carets.len() <= shown.chars().count() + 1,
            "a caret beside the line",
        );
        let in_part = shown != typed && !hidden;
        ensure(
            in_part || before + 1 == self.column,
            "a caret in another column",
        );

        let hint = after(5, format!("{margin} = hint: ")).unwrap_or_default();
        ensure(hint.len() > 5, "no hint");
        for foreign in ["Some(", "None", "Err(", "/work/", "/tmp/"] {
            let foreign = self.lines.iter().any(|line| line.contains(foreign));
            ensure(!foreign, "a word that is nothing for people");
        }
    }
}

/// Mistakes end a check with 2; warnings, and what changes, do not.
fn exit_code(expected: &str) -> i32 {
    let fine = expected.is_empty() || expected.starts_with("warning");
    if fine { 0 } else { 2 }
}

/// Lines that are only in one of two texts, in order (longest common subsequence).
fn difference(expected: &str, said: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), said.lines().collect());
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        let (mark, line) = if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
            (' ', a[i - 1])
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', a[i - 1])
        } else {
            j += 1;
            ('+', b[j - 1])
        };
        writeln!(text, "{mark} {line}").expect("it grows");
    }
    text
}

#[test]
fn every_folder_is_a_case_and_every_case_a_folder() {
    let folders = fs::read_dir(broken()).expect("tests/broken is there");
    let folders: BTreeSet<String> = folders
        .map(|entry| {
            entry
                .expect("it can be read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let cases: BTreeSet<String> = CASES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders, cases);
    assert_eq!(cases.len(), CASES.len(), "a case stands twice");
    let broken = CASES
        .iter()
        .filter(|(_, found)| exit_code(found) == 2)
        .count();
    assert!(broken >= CASES_MIN, "only {broken} broken configurations");
    for (name, _) in CASES {
        let text = Case::new(name).text("site.toml").unwrap_or_default();
        assert!(!text.trim().is_empty(), "{name}/site.toml is empty");
    }
}

#[test]
fn messages_are_those_of_the_snapshots() {
    let rewrite = std::env::var("TIER0_REWRITE_EXPECTED").is_ok_and(|value| value == "1");
    let mut differ = String::new();
    for (name, _) in CASES {
        let case = Case::new(name);
        let now = case.snapshot(&case.run(&case.arguments()));
        let file = broken().join(name).join("expected.txt");
        if rewrite {
            fs::write(&file, &now).expect("the snapshots are ours");
            continue;
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if expected != now {
            let difference = difference(&expected, &now);
            write!(differ, "\n=== {name} (- expected, + now)\n{difference}").expect("it grows");
        }
    }
    assert!(
        differ.is_empty(),
        "{differ}\nif that is meant: TIER0_REWRITE_EXPECTED=1 cargo test --release --test messages"
    );
}

#[test]
fn every_mistake_has_a_place_a_caret_a_code_and_a_hint() {
    for (name, expected) in CASES {
        let case = Case::new(name);
        let before = listing(case.folder.path());
        let said = case.run(&case.arguments());
        let after = listing(case.folder.path());
        assert_eq!(before, after, "{name}: something was started");
        let (warnings, errors) = (messages(&said.out), messages(&said.err));
        assert!(
            warnings.iter().all(|m| m.kind == "warning"),
            "{name}: {}",
            said.out
        );
        assert!(
            errors.iter().all(|m| m.kind == "error"),
            "{name}: {}",
            said.err
        );
        let found = warnings.iter().chain(&errors);
        let found = found.inspect(|message| message.check(&case));
        let found: Vec<String> = found.map(Message::in_short).collect();
        assert_eq!(
            found.join(", "),
            *expected,
            "{name}:\n{}{}",
            said.out,
            said.err
        );
        assert_eq!(said.code, exit_code(expected), "{name}");
        assert!(!said.err.contains(SECRET), "{name}: {}", said.err);
    }
}

#[test]
fn scripts_are_told_the_same_mistakes() {
    for (name, expected) in CASES {
        let case = Case::new(name);
        let said = case.run(&[&["--json"], &case.arguments()[..]].concat());
        let document: Value = serde_json::from_str(&said.out).expect(name);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let short = |kind: &str, one: &Value| {
            let told = !text(&one["message"]).is_empty() && !text(&one["hint"]).is_empty();
            assert!(told, "{name}: {one}");
            let place = format!("{}:{}", text(&one["file"]), one["line"]);
            format!("{kind}{} {place}", text(&one["code"]))
        };
        let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let (errors, warnings) = (list("mistakes"), list("warnings"));
        let errors = errors.iter().map(|one| short("", one));
        let found = errors.chain(warnings.iter().map(|one| short("warning ", one)));
        let found: Vec<String> = found.collect();
        assert_eq!(found.join(", "), *expected, "{name}: {}", said.out);
        assert_eq!(document["ok"], exit_code(expected) == 0, "{name}");
        assert_eq!(said.code, exit_code(expected), "{name}");
        assert!(!said.out.contains(SECRET), "{name}: {}", said.out);
    }
}

#[test]
fn every_code_that_is_met_is_explained() {
    let words = CASES
        .iter()
        .flat_map(|(_, expected)| expected.split([' ', ',']));
    let is_code = |word: &&str| word.len() == 4 && word[1..].parse::<u16>().is_ok();
    let codes: BTreeSet<&str> = words.filter(is_code).collect();
    assert!(codes.len() > 25, "{codes:?}");
    let case = Case::new("unknown_key");
    for code in codes {
        let said = case.run(&["explain", code]);
        assert_eq!(said.code, 0, "{code}: {}", said.err);
        assert!(
            said.out.starts_with(&format!("{code}: ")),
            "{code}: {}",
            said.out
        );
        assert!(
            said.out.lines().count() >= 2,
            "{code} has no fix: {}",
            said.out
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let case = Case::new("unknown_key");
    for (arguments, parts) in [
        (
            &["--config", "nowhere.toml", "check"][..],
            ["error[C001]", "nowhere.toml"],
        ),
        (
            &["check", "--diff", "nowhere.toml"],
            ["the older configuration", "nowhere.toml"],
        ),
        (&["explain", "C00I"], ["no mistake has the code", "C001"]),
    ] {
        let said = case.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {}", said.out);
        for part in parts {
            assert!(said.err.contains(part), "{arguments:?}: {}", said.err);
        }
    }
}
