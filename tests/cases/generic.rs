//! Splitting into jobs, against WMCore's splitters run on the same files. In comes a case with
//! files and parameters under WMCore's names, out comes its jobs compared with ours: groups by
//! sites, files, lumis, events, and what a job will probably use.
//!
//! A file that no job can take (its only lumi would run too long) is a job "failed on creation"
//! there and a file set aside here; what it would have taken then stands in the reason.

use crate::judging::{
    Comparison, Data, Item, count, each, id_of, list, members, members_asked, text,
};
use model::ids::{FileId, LumiNumber, RunNumber};
use model::job::{InputId, Slice};
use model::names::FileName;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use pipelines::splitting::{
    self, Boundaries, Cost, Cut, CutJob, Event, EventAwareLumi, EventRange, File, Lumi, Lumis,
    Selection, Size, Splitter, Window,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Sizes of files that a case does not give: what the tests that it comes from write.
const DEFAULT_BYTES: u64 = 1_000;

pub(crate) fn judge(case: &Value, _data: &Data) -> Vec<Item> {
    let of_all = &case["performance"];
    each(&case["cases"], "case", |case| {
        let own = &case["performance"];
        judge_case(case, cost(if own.is_null() { of_all } else { own }))
    })
}

fn judge_case(case: &Value, cost: Cost) -> Item {
    let mut comparison = Comparison::default();
    match splitter(case) {
        Ok(splitter) => {
            let items = files(&case["files"]);
            let mut window = Window::new(RunNumber(1), &items, None);
            window.cost = cost;
            let cut = splitting::split(&splitter, &window, true, Moment(0));
            compare(&jobs(&items, &cut), &case["expect"], &mut comparison);
        }
        Err(why) => comparison.equal("the case", why.as_str(), "understood"),
    }
    comparison.item(id_of(case))
}

fn cost(performance: &Value) -> Cost {
    if performance.is_null() {
        return Cost::default();
    }
    let seconds = i64::try_from(count(&performance["timePerEvent"])).expect("a time fits");
    Cost {
        time_per_event: Span::from_secs(seconds),
        bytes_per_event: Bytes(count(&performance["sizePerEvent"]) << 10),
        memory: Bytes(count(&performance["memoryRequirement"]) << 20),
    }
}

fn run(text: &str) -> RunNumber {
    RunNumber(text.parse().expect("a run number"))
}

fn lumi(value: &Value) -> LumiNumber {
    LumiNumber(u32::try_from(count(value)).expect("a lumi number has 32 bits"))
}

/// The case's files as a window holds them: by run, lumi and name.
fn files(files: &Value) -> Vec<splitting::Item> {
    let mut items: Vec<splitting::Item> = list(files).iter().enumerate().map(file).collect();
    items.sort_by(|a, b| {
        let key = |item: &splitting::Item| (item.content.first().map(|range| range.0), item.lumi);
        (key(a), &a.name).cmp(&(key(b), &b.name))
    });
    items
}

fn file((place, file): (usize, &Value)) -> splitting::Item {
    let mut content = Lumis::new();
    if file["runs"].is_object() {
        for (number, lumis) in members(&file["runs"]) {
            let lumis = list(lumis).iter().map(lumi);
            content.extend(lumis.map(|lumi| (run(number), lumi, lumi)));
        }
    }
    content.sort_unstable();
    let first = content.first().map_or(LumiNumber(1), |range| range.1);
    let last = content.last().map_or(first, |range| range.2);
    let sites = file["sites"].as_array().map(|sites| sites.iter().map(text));
    splitting::Item {
        id: InputId::File(FileId(i64::try_from(place).expect("few files"))),
        name: FileName::new(text(&file["name"])),
        lumi: first,
        last_lumi: last.max(first),
        bytes: Bytes(file["size"].as_u64().unwrap_or(DEFAULT_BYTES)),
        events: Events(count(&file["events"])),
        seen_at: Moment(0),
        came_at: Moment(0),
        content,
        first_event: file["first_event"].as_u64().unwrap_or(0),
        sites: sites.map_or_else(Vec::new, |sites| sites.map(str::to_owned).collect()),
    }
}

/// Reads parameters and notes those that nobody asked for.
struct Parameters<'a> {
    given: &'a Value,
    asked: BTreeSet<&'static str>,
}

impl<'a> Parameters<'a> {
    fn get(&mut self, names: &[&'static str]) -> Option<&'a Value> {
        self.asked.extend(names);
        let mut found = names.iter().filter_map(|name| self.given.get(*name));
        found.next().filter(|value| !value.is_null())
    }

    fn number(&mut self, name: &'static str, default: u64) -> u64 {
        self.get(&[name]).map_or(default, count)
    }

    fn flag(&mut self, names: &[&'static str], default: bool) -> bool {
        let value = self.get(names);
        value.map_or(default, |value| value.as_bool() == Some(true))
    }

    fn selection(&mut self) -> Selection {
        let number = |value: &Value| match value.as_str() {
            Some(text) => run(text),
            None => RunNumber(u32::try_from(count(value)).expect("a run number")),
        };
        let runs = self.get(&["runWhitelist", "run_whitelist"]);
        let mut selection = Selection {
            runs: runs.map_or_else(BTreeSet::new, |runs| {
                list(runs).iter().map(number).collect()
            }),
            ..Selection::default()
        };
        if let Some(mask) = self.get(&["lumi_mask", "lumiMask"]) {
            for (number, ranges) in members(mask) {
                let ranges = list(ranges).iter().map(|r| (lumi(&r[0]), lumi(&r[1])));
                selection.lumis.insert(run(number), ranges.collect());
            }
        }
        // The same in WMCore's own form: runs, and for each its ranges as "1,2,5,9".
        if let (Some(runs), Some(lumis)) = (self.get(&["runs"]), self.get(&["lumis"])) {
            for (number_of, ranges) in list(runs).iter().zip(list(lumis)) {
                let bounds: Vec<u32> = text(ranges)
                    .split(',')
                    .map(|bound| bound.trim().parse().expect("a lumi number"))
                    .collect();
                let ranges = bounds
                    .chunks(2)
                    .map(|b| (LumiNumber(b[0]), LumiNumber(b[1])));
                selection.lumis.insert(number(number_of), ranges.collect());
            }
        }
        selection
    }

    fn boundaries(&mut self) -> Boundaries {
        Boundaries {
            halt_job_on_file_boundaries: self.flag(&["halt_job_on_file_boundaries"], false),
            split_on_run: self.flag(&["splitOnRun", "split_on_run"], true),
            apply_lumi_correction: self
                .flag(&["applyLumiCorrection", "apply_lumi_correction"], false),
            selection: self.selection(),
        }
    }
}

fn splitter(case: &Value) -> Result<Splitter, String> {
    let mut p = Parameters {
        given: &case["params"],
        asked: BTreeSet::new(),
    };
    let algorithm = text(&case["algorithm"]);
    let is_made = |file: &Value| text(&file["name"]).starts_with("MCFakeFile");
    let splitter = match algorithm {
        "EventBased" if list(&case["files"]).iter().any(is_made) => {
            let events_per_job = p.number("events_per_job", 100);
            Splitter::EventRange(EventRange {
                events_per_job,
                events_per_lumi: p.number("events_per_lumi", events_per_job),
            })
        }
        "EventBased" => {
            p.number("events_per_lumi", 0);
            Splitter::Event(Event {
                events_per_job: p.number("events_per_job", 100),
            })
        }
        "EventAwareLumiBased" => Splitter::EventAwareLumi(EventAwareLumi {
            events_per_job: p.number("events_per_job", 5_000),
            job_time_limit: Span::from_secs(
                i64::try_from(p.number("job_time_limit", 48 * 3_600)).expect("a time fits"),
            ),
            allow_creation_failure: p
                .flag(&["allowCreationFailure", "allow_creation_failure"], true),
            total_events: p.number("total_events", 0),
            boundaries: p.boundaries(),
        }),
        "LumiBased" => Splitter::Lumi(Lumi {
            lumis_per_job: p.number("lumis_per_job", 1),
            total_lumis: p.number("total_lumis", 0),
            boundaries: p.boundaries(),
        }),
        "FileBased" => Splitter::File(File {
            files_per_job: u32::try_from(p.number("files_per_job", 10)).expect("few files"),
            wait: true,
            respect_run_boundaries: p.flag(&["respect_run_boundaries"], false),
            total_files: p.number("total_files", 0),
            selection: p.selection(),
        }),
        "SizeBased" => Splitter::Size(Size {
            size_per_job: Bytes(p.number("size_per_job", 1_000)),
        }),
        other => {
            return Err(format!(
                "of an algorithm that this runner does not know: {other}"
            ));
        }
    };
    let unknown = members_asked(&case["params"]).map(|(name, _)| name);
    let unknown: Vec<&str> = unknown.filter(|name| !p.asked.contains(name)).collect();
    match unknown[..] {
        [] => Ok(splitter),
        _ => Err(format!("with parameters nobody reads: {unknown:?}")),
    }
}

/// A job as cases write it.
struct Job<'a> {
    items: Vec<&'a splitting::Item>,
    cut: CutJob,
    /// Why it was never to be tried.
    failed: Option<String>,
}

/// All jobs and files set aside, in the order of their first file.
fn jobs<'a>(items: &'a [splitting::Item], cut: &Cut) -> Vec<Job<'a>> {
    let mut jobs: Vec<Job<'a>> = Vec::new();
    for job in &cut.jobs {
        jobs.push(Job {
            items: job.items.iter().map(|at| &items[*at]).collect(),
            cut: job.clone(),
            failed: None,
        });
    }
    for (at, reason) in &cut.quarantined {
        let alone = CutJob {
            items: vec![*at],
            ..CutJob::default()
        };
        jobs.push(Job {
            items: vec![&items[*at]],
            cut: alone,
            failed: Some(reason.clone()),
        });
    }
    jobs.sort_by_key(|job| job.cut.items[0]);
    jobs
}

fn compare(jobs: &[Job<'_>], expect: &Value, comparison: &mut Comparison) {
    let mut groups: BTreeMap<&[String], Vec<&Job<'_>>> = BTreeMap::new();
    for job in jobs {
        groups.entry(&job.items[0].sites).or_default().push(job);
    }
    let legal = |value: &Value| match value.as_array() {
        Some(any) => any.iter().map(count).collect::<Vec<u64>>(),
        None => vec![count(value)],
    };
    for (what, got) in [("n_groups", groups.len()), ("n_jobs", jobs.len())] {
        if !expect[what].is_null() {
            comparison.one_of(what, got as u64, &legal(&expect[what]));
        }
    }
    if let Some(expected) = expect["groups"].as_array() {
        for (group, expected) in groups.values().zip(expected) {
            let expected = list(&expected["jobs"]);
            comparison.equal("jobs of a group", group.len(), expected.len());
            for (job, expected) in group.iter().zip(expected) {
                compare_job(job, expected, comparison);
            }
        }
    }
    if let Some(expected) = expect["jobs_as_multiset_per_group"].as_array() {
        // Only what the case tells is compared.
        let told = expected.iter().flat_map(list).flat_map(members);
        let told: BTreeSet<&str> = told.map(|(field, _)| field).collect();
        let ours = groups
            .values()
            .map(|group| sorted(group.iter().map(|job| shape(job, &told)).collect()));
        let shapes = |group: &Value| {
            let jobs = list(group).iter();
            sorted(jobs.map(|job| shape_as_written(job, &told)).collect())
        };
        let expected = sorted(expected.iter().map(shapes).collect());
        comparison.equal("groups", sorted(ours.collect()), expected);
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// What a case can tell about a job, by the names it uses.
fn told(job: &Job<'_>, field: &str) -> String {
    let estimate = job.cut.estimate;
    let generated = match &job.cut.slice {
        Some(Slice::Generated {
            first_lumi,
            last_lumi,
            ..
        }) => Some((first_lumi.0, last_lumi.0)),
        _ => None,
    };
    let show = |value: Option<u64>| value.map_or("none".to_owned(), |value| value.to_string());
    match field {
        "files" => format!("{:?}", names(job)),
        "n_files" => job.items.len().to_string(),
        "mask" => show_lumis(&lumis(job)),
        "failed_on_creation" => job.failed.is_some().to_string(),
        "FirstEvent" => show(events(job).map(|(first, _)| first)),
        "LastEvent" => show(events(job).and_then(|(_, last)| last)),
        "FirstLumi" => show(generated.map(|(first, _)| u64::from(first))),
        "LastLumi" => show(generated.map(|(_, last)| u64::from(last))),
        "FirstRun" | "LastRun" => show(generated.map(|_| u64::from(lumis(job)[0].0.0))),
        "est_time_s" => show(estimate.map(|e| (e.wall.0 / 1_000_000_000) as u64)),
        "est_disk" => show(estimate.map(|e| e.disk.0 >> 10)),
        "est_memory" => show(estimate.map(|e| e.memory.0 >> 20)),
        other => format!("({other} is not understood)"),
    }
}

/// The same as a case writes it.
fn as_written(field: &str, value: &Value) -> String {
    match (field, value) {
        ("files", files) => format!("{:?}", list(files).iter().map(text).collect::<Vec<_>>()),
        ("mask", mask) => {
            let mut lumis = Lumis::new();
            for (number, ranges) in members(mask) {
                let ranges = list(ranges).iter();
                lumis.extend(ranges.map(|r| (run(number), lumi(&r[0]), lumi(&r[1]))));
            }
            show_lumis(&lumis)
        }
        (_, Value::Null) => "none".to_owned(),
        (_, value) => value.to_string(),
    }
}

fn names<'a>(job: &Job<'a>) -> Vec<&'a str> {
    job.items.iter().map(|item| item.name.as_str()).collect()
}

/// The first and the last event, of a job of one file; a file without events has no last one.
fn events(job: &Job<'_>) -> Option<(u64, Option<u64>)> {
    match (&job.cut.slice, &job.items[..]) {
        (Some(Slice::Events { first, last } | Slice::Generated { first, last, .. }), _) => {
            Some((*first, Some(*last)))
        }
        (None, [item]) => Some((0, item.events.0.checked_sub(1))),
        _ => None,
    }
}

/// The lumis of a job: its slice, or all of its files.
fn lumis(job: &Job<'_>) -> Lumis {
    match &job.cut.slice {
        Some(Slice::Lumis(lumis)) => lumis.clone(),
        _ => job
            .items
            .iter()
            .flat_map(|item| item.content.clone())
            .collect(),
    }
}

/// Each lumi by itself, so that it does not matter how ranges were joined.
fn show_lumis(lumis: &Lumis) -> String {
    let single: BTreeSet<(u32, u32)> = lumis
        .iter()
        .flat_map(|(run, first, last)| (first.0..=last.0).map(|lumi| (run.0, lumi)))
        .collect();
    format!("{single:?}")
}

fn compare_job(job: &Job<'_>, expected: &Value, comparison: &mut Comparison) {
    let of = names(job).join("+");
    if expected["failed_on_creation"] != Value::Bool(true) && job.failed.is_some() {
        comparison.equal(&format!("{of} failed_on_creation"), true, false);
    }
    for (field, value) in members(expected) {
        let what = format!("{of} {field}");
        match (&job.failed, field) {
            // What a job would have taken that was never to be tried stands in the reason.
            (Some(reason), "est_time_s") => {
                let takes = format!("would take {} s", count(value));
                comparison.equal(&what, reason.contains(&takes), true);
            }
            (Some(_), "est_disk" | "est_memory") => {}
            _ => comparison.equal(&what, told(job, field), as_written(field, value)),
        }
    }
}

/// A job by the fields that the case tells.
fn shape(job: &Job<'_>, fields: &BTreeSet<&str>) -> Vec<String> {
    let fields = fields.iter();
    fields.map(|f| format!("{f}={}", told(job, f))).collect()
}

fn shape_as_written(job: &Value, fields: &BTreeSet<&str>) -> Vec<String> {
    let fields = fields.iter();
    fields
        .map(|f| format!("{f}={}", as_written(f, &job[*f])))
        .collect()
}
