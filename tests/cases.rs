//! The cases: real and worked-out problems with answers from outside tools, put to the public
//! functions of this project. In come JSON files, told apart by their `kind`; out comes one line
//! an item and a count, and a failure for any difference that is not listed with its reason. A
//! part that a case does not hold is not asked; a case that cannot be understood differs.
//!
//! `TIER0_CASES` names another folder of cases, `TIER0_CASES_KINDS=a,b` restricts the kinds,
//! `TIER0_DATA` is the folder of the data files that cases name, and `TIER0_REQUIRE_DATA=1` makes
//! an item without its data a failure.

#![expect(
    clippy::print_stdout,
    reason = "the report is what people run this for"
)]

#[path = "cases/adler32.rs"]
mod adler32_sums;
#[path = "cases/beamspot_d0phi.rs"]
mod beamspot_d0phi;
#[path = "cases/beamspot_pv.rs"]
mod beamspot_pv;
#[path = "cases/closeout.rs"]
mod closeout;
#[path = "cases/dqm_qtests.rs"]
mod dqm_qtests;
#[path = "cases/generic.rs"]
mod generic;
#[path = "cases/judging.rs"]
mod judging;
#[path = "cases/lumi_lists.rs"]
mod lumi_lists;
#[path = "cases/mass_profiles.rs"]
mod mass_profiles;
#[path = "cases/millepede.rs"]
mod millepede;
#[path = "cases/pcl.rs"]
mod pcl;
#[path = "cases/prompt_release.rs"]
mod prompt_release;
#[path = "cases/resonance_peaks.rs"]
mod resonance_peaks;
#[path = "cases/retry.rs"]
mod retry;
#[path = "cases/state_machines.rs"]
mod state_machines;
#[path = "cases/tier0_quirks.rs"]
mod tier0_quirks;
#[path = "cases/tier0_splitting.rs"]
mod tier0_splitting;

use judging::{Data, Item, Outcome, caught, raised};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Judges all items of a case file.
type Judge = fn(&Value, &Data) -> Vec<Item>;

/// Kinds with the functions that answer them.
const KINDS: [(&str, Judge); 17] = [
    ("adler32", adler32_sums::judge),
    ("beamspot_d0phi", beamspot_d0phi::judge),
    ("beamspot_pv", beamspot_pv::judge),
    ("closeout", closeout::judge),
    ("dqm_qtests", dqm_qtests::judge),
    ("lumi_lists", lumi_lists::judge),
    ("mass_profiles", mass_profiles::judge),
    ("millepede", millepede::judge),
    ("pcl", pcl::judge),
    ("resonance_peaks", resonance_peaks::judge),
    ("retry", retry::judge),
    ("splitting/express", tier0_splitting::judge),
    ("splitting/express_merge", tier0_splitting::judge),
    ("splitting/generic", generic::judge),
    ("splitting/repack", tier0_splitting::judge),
    ("splitting/repack_merge", tier0_splitting::judge),
    ("state_machines", state_machines::judge),
];

/// Kinds that nothing here answers yet: counted as not run, never as a failure. Whoever builds the
/// answer moves the kind to the table above.
const NOT_BUILT_YET: [&str; 1] = ["work_matching"];

/// Not a test harness of its own lines: what it prints is what people and scripts read, so it is
/// printed whether all is well or not.
fn main() {
    let folder = std::env::var_os("TIER0_CASES").map_or_else(own_folder, PathBuf::from);
    let mut data = Data {
        folder: std::env::var_os("TIER0_DATA").map(PathBuf::from),
        of_case: folder.clone(),
        case_text: String::new(),
    };
    let require_data = std::env::var_os("TIER0_REQUIRE_DATA").is_some_and(|value| value == "1");
    let kinds = std::env::var("TIER0_CASES_KINDS").ok();
    let wanted = |kind: &str| {
        kinds
            .as_ref()
            .is_none_or(|kinds| kinds.split(',').any(|one| one.trim() == kind))
    };
    let intended = intended_differences();
    let files = json_files(&folder);
    assert!(
        !files.is_empty(),
        "no case files in {}: nothing was judged",
        folder.display()
    );
    let mut tally = Tally::default();
    for file in files {
        let name = file.strip_prefix(&folder).unwrap_or(&file).display();
        let name = name.to_string();
        let case = match read(&file, &mut data) {
            Ok(case) => case,
            Err(why) => {
                tally.take("(none)", &raised(name, why), &intended);
                continue;
            }
        };
        let kind = case["kind"].as_str().unwrap_or("(none)");
        if !wanted(kind) {
            continue;
        }
        let mut items = caught(&name, || judge(kind, &case, &data), |item| vec![item]);
        if items.is_empty() {
            items.push(raised(&name, "the case asks nothing that is understood"));
        }
        for item in items {
            tally.take(kind, &item, &intended);
        }
    }
    let absent = tally.print_and_count_absent();
    assert!(tally.differ == 0, "{} items differ", tally.differ);
    let unjudged = require_data && absent > 0;
    assert!(
        !unjudged,
        "{absent} items need data, and TIER0_REQUIRE_DATA=1"
    );
}

/// Reads a case file; what is beside it and its text come with it.
fn read(file: &Path, data: &mut Data) -> Result<Value, String> {
    data.case_text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let folder = file.parent().unwrap_or(file);
    folder.clone_into(&mut data.of_case);
    serde_json::from_str(&data.case_text).map_err(|error| error.to_string())
}

fn judge(kind: &str, case: &Value, data: &Data) -> Vec<Item> {
    if let Some((_, judge)) = KINDS.iter().find(|(known, _)| *known == kind) {
        return judge(case, data);
    }
    if !NOT_BUILT_YET.contains(&kind) {
        let message = format!("a kind that this runner does not know: {kind}");
        return vec![Item {
            id: "kind".to_owned(),
            outcome: Outcome::Differs(message),
        }];
    }
    let items = case["cases"].as_array().map_or(1, Vec::len);
    let item = |place: usize| Item {
        id: format!("item {place}"),
        outcome: Outcome::NotBuilt,
    };
    (1..=items).map(item).collect()
}

/// What has been counted so far.
#[derive(Default)]
struct Tally {
    ok: usize,
    differ: usize,
    not_built: BTreeMap<String, usize>,
    /// Items by the data file they need.
    absent: BTreeMap<String, usize>,
}

impl Tally {
    fn take(&mut self, kind: &str, item: &Item, intended: &BTreeMap<String, String>) {
        let id = format!("{kind}: {}", item.id);
        match (&item.outcome, intended.get(&id)) {
            (Outcome::Ok, _) => {
                self.ok += 1;
                println!("{id}: ok");
            }
            (Outcome::Quirk(name), _) => {
                self.ok += 1;
                println!("{id}: ok (differs on purpose: {name})");
            }
            (Outcome::Differs(_), Some(reason)) => {
                self.ok += 1;
                println!("{id}: ok (differs on purpose: {reason})");
            }
            (Outcome::Differs(message), None) => {
                self.differ += 1;
                println!("{id}: DIFFERS, {message}");
            }
            (Outcome::NeedsData(file), _) => {
                *self.absent.entry(file.clone()).or_default() += 1;
                println!("{id}: not run, needs {file}");
            }
            (Outcome::NotBuilt, _) => {
                *self.not_built.entry(kind.to_owned()).or_default() += 1;
                println!("{id}: not run, not built yet");
            }
        }
    }

    /// Prints why items were not run, and the count as the last line; returns how many lack data.
    fn print_and_count_absent(&self) -> usize {
        for (kind, items) in &self.not_built {
            println!("not run: {items} cases of kind {kind} are not built yet");
        }
        for (file, items) in &self.absent {
            let set = file.split('/').next().unwrap_or(file);
            println!("not run: {items} cases need {file} (tier0 data fetch {set})");
        }
        let absent: usize = self.absent.values().sum();
        let not_run = absent + self.not_built.values().sum::<usize>();
        println!(
            "cases: {} ok, {} differ, {not_run} not run",
            self.ok, self.differ
        );
        absent
    }
}

/// The project's own copy of the cases.
fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// All `*.json` under a folder, in the order of their names.
fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("the folder of cases {}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("a listed entry can be read").path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Ids and reasons of `differences.toml`: lines of `"id" = "reason"`, comments and blank lines.
fn intended_differences() -> BTreeMap<String, String> {
    let file = own_folder().join("differences.toml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let pair = line.split_once("\" = \"").and_then(|(id, reason)| {
                Some((
                    id.strip_prefix('"')?.to_owned(),
                    reason.strip_suffix('"')?.to_owned(),
                ))
            });
            pair.unwrap_or_else(|| panic!("differences.toml: {line} is not \"id\" = \"reason\""))
        })
        .collect()
}
