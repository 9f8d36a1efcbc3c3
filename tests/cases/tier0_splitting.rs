//! The Tier-0's own splitters: repack, its merge, express, its merge. In come cases (files,
//! parameters, steps), out comes an item for each: whether the public function `split` makes the
//! same jobs, sets the same files aside and leaves the same files.
//!
//! Files are offered in the listed order, which is the order of names here: each name gets a
//! numbered prefix. Where upstream does what `docs/pathologies.md` names and this project does not
//! copy, the item says so; only the exact consequence of the named quirk is accepted.

use crate::judging::{Data, Item, Outcome, count, each, id_of, list, members, number, text};
use crate::tier0_quirks::{Expected, Job, Quirks};
use model::frontier::Frontier;
use model::ids::{FileId, LumiNumber, RunNumber};
use model::job::InputId;
use model::names::FileName;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use pipelines::definition::{Release, When};
use pipelines::release::{Released, RunFacts, released};
use pipelines::splitting::{
    self as splitting, Cost, Cut, ExpressMerge, Repack, RepackMerge, Splitter, Tail, Window,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Longer ago than any age in a case.
const START: Moment = Moment(1_000_000_000_000_000_000);

/// Upstream's way with the last lumis, where it is not ours: the words that name the difference.
const TAIL: &str = "a remainder older than its latency does not wait for the end of the run";

pub(crate) fn judge(case: &Value, _: &Data) -> Vec<Item> {
    let algorithm = text(&case["algorithm"]);
    let defaults = &case["default_parameters"];
    each(&case["cases"], "case", |one| {
        let outcome = |tail| Play::new(algorithm, tail, defaults, one).all();
        let told = match outcome(upstreams_tail(algorithm)) {
            Err(message) if algorithm.starts_with("Repack") => {
                // Released by its age as well is our default; a case may expect either.
                match outcome(Tail::Either) {
                    Ok(_) => Ok(BTreeSet::new()),
                    Err(_) => Err(message),
                }
            }
            told => told,
        };
        Item {
            id: id_of(one).to_owned(),
            outcome: match told {
                Ok(quirks) if quirks.is_empty() => Outcome::Ok,
                Ok(quirks) => Outcome::Quirk(quirks.into_iter().collect::<Vec<_>>().join("; ")),
                Err(message) => Outcome::Differs(message),
            },
        }
    })
}

fn upstreams_tail(algorithm: &str) -> Tail {
    if algorithm == "ExpressMerge" {
        Tail::Age
    } else {
        Tail::Closed
    }
}

/// A case being played.
struct Play<'c> {
    algorithm: &'c str,
    tail: Tail,
    case: &'c Value,
    parameters: Map<String, Value>,
    now: Moment,
    items: Vec<splitting::Item>,
    used: BTreeSet<u32>,
    empty: BTreeSet<u32>,
    split_active: BTreeSet<LumiNumber>,
    open: bool,
    released: bool,
    /// Files that we worked on where upstream raised an error.
    ours_only: BTreeSet<String>,
    quirks: BTreeSet<&'static str>,
}

impl<'c> Play<'c> {
    fn new(algorithm: &'c str, tail: Tail, defaults: &Value, case: &'c Value) -> Self {
        let mut parameters = defaults.as_object().cloned().unwrap_or_default();
        if let Some(own) = case["parameters"].as_object() {
            parameters.extend(own.clone());
        }
        let files = list(&case["files"]).iter().enumerate();
        let mut items: Vec<splitting::Item> =
            files.map(|(place, file)| item(place, file)).collect();
        items.sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
        Self {
            algorithm,
            tail,
            case,
            parameters,
            now: START,
            items,
            used: BTreeSet::new(),
            empty: BTreeSet::new(),
            split_active: BTreeSet::new(),
            open: true,
            released: true,
            ours_only: BTreeSet::new(),
            quirks: BTreeSet::new(),
        }
    }

    /// Plays all steps; the quirks that were met.
    fn all(mut self) -> Result<BTreeSet<&'static str>, String> {
        let of_case = self.case["upstream_error"].as_str();
        for (place, step) in list(&self.case["steps"]).iter().enumerate() {
            let told = self.change(&step["do"]).and_then(|()| {
                let cut = self.ask()?;
                let error = step["expect"]["upstream_error"].as_str();
                let error = error.or(step["upstream_error"].as_str()).or(of_case);
                self.compare(&cut, &step["expect"], error.is_some())?;
                self.take(&cut, error.is_some());
                Ok(())
            });
            told.map_err(|message| format!("step {}: {message}", place + 1))?;
        }
        if let Some(left) = self.case["left_available"].as_array() {
            let expect: BTreeSet<&str> = left.iter().map(text).collect();
            let expect: BTreeSet<&str> = expect
                .into_iter()
                .filter(|name| !self.ours_only.contains(*name))
                .collect();
            let got: BTreeSet<&str> = self.items.iter().map(case_name).collect();
            if got != expect {
                return Err(format!("left: expected {expect:?}, got {got:?}"));
            }
        }
        Ok(self.quirks)
    }

    fn change(&mut self, step: &Value) -> Result<(), String> {
        let lumis = |value: &Value| -> BTreeSet<u32> {
            list(value).iter().map(|lumi| count(lumi) as u32).collect()
        };
        for (word, value) in members(step) {
            match word {
                "set" => self
                    .parameters
                    .extend(value.as_object().cloned().unwrap_or_default()),
                "fileset_open" => self.open = value.as_bool().unwrap_or(true),
                "express_released" => self.released = value.as_bool().unwrap_or(true),
                "advance_seconds" => {
                    self.now = self.now + seconds(value);
                }
                "used_lumis" => self.used.extend(lumis(value)),
                "empty_lumis" => self.empty = lumis(value),
                "active_split_lumis" => {
                    self.split_active = lumis(value).into_iter().map(LumiNumber).collect();
                }
                _ => {
                    return Err(format!(
                        "the case does what this runner does not know: {word}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Puts the question to the splitter, if the run is released.
    fn ask(&self) -> Result<Cut, String> {
        // What holds a run back from express is a release rule, which the engine asks first.
        let rule = Release {
            when: When::RunKnown,
            ..Release::ALWAYS
        };
        let run = RunFacts {
            opened_at: START,
            announced: self.released,
            ended_at: None,
            closed_at: None,
            verdict_good: None,
            is_undecided: &|_| false,
        };
        if let Released::Waits { .. } = released(&rule, &run, self.now) {
            return Ok(Cut::default());
        }
        let last = self.items.iter().map(|item| item.last_lumi.0).max();
        let mut frontier = Frontier::default();
        (1..=last.unwrap_or(0)).for_each(|lumi| frontier.close(LumiNumber(lumi)));
        let mut passed = Frontier::default();
        let lumis = self.used.iter().chain(&self.empty);
        lumis.for_each(|lumi| passed.close(LumiNumber(*lumi)));
        let window = Window {
            passed: &passed,
            split_active: &self.split_active,
            cost: self.cost(),
            oldest: self.items.iter().map(|item| item.came_at).min(),
            ..Window::new(RunNumber(1), &self.items, Some(&frontier))
        };
        let splitter = self.splitter()?;
        Ok(splitting::split(&splitter, &window, !self.open, self.now))
    }

    fn cost(&self) -> Cost {
        let defaults = Cost::default();
        let performance = self.parameters.get("performance");
        let of = |name: &str| performance.and_then(|values| values.get(name)?.as_f64());
        let memory = |mb: f64| Bytes((mb * 1_048_576.0) as u64);
        Cost {
            time_per_event: of("timePerEvent")
                .map_or(defaults.time_per_event, |s| Span((s * 1e9) as i64)),
            bytes_per_event: of("sizePerEvent")
                .map_or(defaults.bytes_per_event, |kb| Bytes((kb * 1_024.0) as u64)),
            memory: of("memoryRequirement").map_or(defaults.memory, memory),
        }
    }

    fn whole(&self, name: &str) -> Result<u64, String> {
        let value = self.parameters.get(name);
        let value = value.ok_or_else(|| format!("the case lacks the parameter {name}"))?;
        // Sizes may be given as fractions of a byte; all limits compare whole numbers.
        Ok(number(value) as u64)
    }

    fn splitter(&self) -> Result<Splitter, String> {
        let bytes = |name: &str| self.whole(name).map(Bytes);
        let files = || Ok::<u32, String>(self.whole("maxInputFiles")? as u32);
        let latency = || {
            let value = self.parameters.get("maxLatency");
            value.map(seconds).ok_or("the case lacks maxLatency")
        };
        Ok(match self.algorithm {
            "Repack" => Splitter::Repack(Repack {
                max_size_single_lumi: bytes("maxSizeSingleLumi")?,
                max_size_multi_lumi: bytes("maxSizeMultiLumi")?,
                max_events: self.whole("maxInputEvents")?,
                max_files: files()?,
                max_latency: latency()?,
                tail: self.tail,
            }),
            "RepackMerge" => Splitter::RepackMerge(RepackMerge {
                min_size: bytes("minInputSize")?,
                max_size: bytes("maxInputSize")?,
                max_events: self.whole("maxInputEvents")?,
                max_files: files()?,
                max_edm_size: bytes("maxEdmSize")?,
                max_over_size: bytes("maxOverSize")?,
                max_latency: latency()?,
                tail: self.tail,
                direct_over: None,
            }),
            "Express" => Splitter::Express {
                max_events: self.whole("maxInputEvents")?,
                max_input_rate: self.whole("maxInputRate")?,
            },
            "ExpressMerge" => Splitter::ExpressMerge(ExpressMerge {
                max_size: bytes("maxInputSize")?,
                max_files: files()?,
                max_latency: latency()?,
                tail: self.tail,
            }),
            other => return Err(format!("no splitter is called {other}")),
        })
    }

    fn compare(&mut self, cut: &Cut, expect: &Value, raised: bool) -> Result<(), String> {
        let jobs: Vec<Job> = cut
            .jobs
            .iter()
            .map(|job| Job::of(job, &self.items))
            .collect();
        let aside: BTreeSet<&str> = cut
            .quarantined
            .iter()
            .map(|(at, _)| case_name(&self.items[*at]))
            .collect();
        let quirks = Quirks {
            items: &self.items,
            merges: self.algorithm == "RepackMerge",
            met: &mut self.quirks,
        };
        if raised {
            return quirks.instead_of_an_error(&jobs, &aside, !self.ours_only.is_empty());
        }
        let failed = expect["failed_files"].as_array();
        let failed: BTreeSet<&str> = failed.into_iter().flatten().map(text).collect();
        let expected: Vec<Expected> = list(&expect["jobs"]).iter().map(Expected::of).collect();
        quirks.same_jobs(&jobs, &expected, &aside, &failed)?;
        let got: BTreeSet<(u32, u64)> = cut
            .split_lumis
            .iter()
            .map(|split| (split.lumi.0, u64::from(split.files)))
            .collect();
        let wanted: BTreeSet<(u32, u64)> = expect["split_lumis"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|split| (count(&split["lumi"]) as u32, count(&split["nfiles"])))
            .collect();
        // Merges record none: their lumis go to the error dataset.
        if got != wanted {
            return Err(format!("split lumis: expected {wanted:?}, got {got:?}"));
        }
        Ok(())
    }

    /// What was cut leaves the window, and its lumis are used.
    fn take(&mut self, cut: &Cut, raised: bool) {
        let taken = cut.jobs.iter().flat_map(|job| job.items.iter().copied());
        let aside = cut.quarantined.iter().map(|(at, _)| *at);
        let taken: BTreeSet<usize> = taken.chain(aside).collect();
        for at in &taken {
            let item = &self.items[*at];
            self.used.extend(item.lumi.0..=item.last_lumi.0);
            if raised {
                self.ours_only.insert(case_name(item).to_owned());
            }
        }
        let mut place = 0..;
        self.items
            .retain(|_| place.next().is_some_and(|at| !taken.contains(&at)));
        if self.tail == Tail::Either && self.algorithm.starts_with("Repack") {
            self.quirks.insert(TAIL);
        }
    }
}

fn seconds(value: &Value) -> Span {
    Span((number(value) * 1e9) as i64)
}

fn item(place: usize, file: &Value) -> splitting::Item {
    let lumi = |name: &str| file[name].as_u64().map(|lumi| LumiNumber(lumi as u32));
    let first = lumi("lumi").or_else(|| lumi("first_lumi"));
    let first = first.expect("a file of a case has a lumi");
    let age = file["age"].as_f64().unwrap_or(0.0);
    let came_at = START - Span((age * 1e9) as i64);
    splitting::Item {
        id: InputId::File(FileId(place as i64 + 1)),
        name: FileName::new(&format!("{place:06} {}", text(&file["name"]))),
        lumi: first,
        last_lumi: lumi("last_lumi").unwrap_or(first),
        bytes: Bytes(number(&file["size"]) as u64),
        events: Events(file["events"].as_u64().unwrap_or(0)),
        seen_at: came_at,
        came_at,
        content: Vec::new(),
        first_event: 0,
        sites: Vec::new(),
    }
}

/// The name that the case uses.
pub(crate) fn case_name(item: &splitting::Item) -> &str {
    let (_, name) = item.name.as_str().split_once(' ').unwrap_or_default();
    name
}
