//! The prompt calibration loop, against the Tier-0's own rules run with a stubbed clock: when a
//! run's constants are harvested, and in which order they are uploaded. In comes a case file with a
//! group for each; out come its items.

use crate::judging::{Comparison, Data, Item, caught, count, each, id_of, list, list_asked, text};
use model::ids::{FileId, LumiNumber, RunNumber};
use model::job::InputId;
use model::names::FileName;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use pipelines::release::{Undecided, held_back};
use pipelines::splitting::{
    AlcaHarvest, HarvestState, Harvested, Item as Input, Splitter, Window, split,
};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let mut items = each(&case["alca_harvest"], "harvest", harvest);
    let orders: Orders = serde_json::from_str(&data.case_text).unwrap_or_default();
    let uploads = list_asked(&case["condition_upload"]).iter().enumerate();
    items.extend(uploads.map(|(place, case)| {
        let id = case["id"].as_str().map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("upload {}", place + 1));
        let order = orders.condition_upload.get(place);
        caught(&id, || upload(&id, case, order), |item| item)
    }));
    items
}

/// The names of streams in the order of the document, which is that of the uploads of a run.
#[derive(Default, Deserialize)]
struct Orders {
    #[serde(default)]
    condition_upload: Vec<OrderOfRuns>,
}

#[derive(Default, Deserialize)]
struct OrderOfRuns {
    #[serde(default)]
    runs: Vec<OrderOfStreams>,
}

#[derive(Default, Deserialize)]
struct OrderOfStreams {
    #[serde(default)]
    streams: Names,
}

/// The names of an object's members, as they come.
#[derive(Default)]
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keep;
        impl<'de> Visitor<'de> for Keep {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("streams by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Keep)
    }
}

fn seconds(value: &Value) -> i64 {
    i64::try_from(count(value)).expect("seconds fit")
}

/// Files of a run; what they are makes no difference to a harvest.
fn files(number: u64) -> Vec<Input> {
    let file = |n: u64| Input {
        id: InputId::File(FileId(i64::try_from(n).expect("few files"))),
        name: FileName::new(&format!("f{n:04}")),
        lumi: LumiNumber(1),
        last_lumi: LumiNumber(1),
        bytes: Bytes(1),
        events: Events(1),
        seen_at: Moment(0),
        came_at: Moment(0),
        content: Vec::new(),
        first_event: 0,
        sites: Vec::new(),
    };
    (0..number).map(file).collect()
}

/// One question to the harvest's splitter.
fn harvest(case: &Value) -> Item {
    let items = files(count(&case["files_in_fileset"]));
    let mut window = Window::new(RunNumber(1), &items, None);
    let at = |s: i64| Moment(0) + Span::from_secs(s);
    window.run_ended_at = case["run_stop"]
        .as_u64()
        .map(|_| at(seconds(&case["run_stop"])));
    let flag = |name: &str| case[name].as_bool() == Some(true);
    if flag("earlier_harvest_exists") {
        // What was read before is everything but one file, or everything.
        let new = usize::from(flag("unprocessed_file_available"));
        window.harvested = Some(Harvested {
            inputs: items.len() - new,
            state: HarvestState::Done(Moment(0)),
        });
    }
    let timeout = &case["timeout_s"];
    let by = AlcaHarvest {
        timeout: (!timeout.is_null()).then(|| Span::from_secs(seconds(timeout))),
    };
    let (splitter, now) = (Splitter::AlcaHarvest(by), at(seconds(&case["now"])));
    let cut = split(&splitter, &window, !flag("fileset_open"), now);
    let jobs: Vec<u64> = cut.jobs.iter().map(|job| job.items.len() as u64).collect();
    let expect: Vec<u64> = list(&case["expect_jobs"]).iter().map(count).collect();
    let mut comparison = Comparison::default();
    comparison.equal("files of the jobs", jobs, expect);
    comparison.item(id_of(case))
}

/// A run with constants of one stream, as the case tells it and as it stands after the pass.
struct Upload {
    run: RunNumber,
    ended_at: Moment,
    stream: String,
    ready: u64,
    outstanding: u64,
    finished: bool,
}

/// One pass over the runs: late constants of finished runs first, then run by run, each held back
/// by earlier ones as the engine's rule says.
fn upload(id: &str, case: &Value, order: Option<&OrderOfRuns>) -> Item {
    let at = |s: i64| Moment(0) + Span::from_secs(s);
    let runs = list(&case["runs"]).iter().enumerate();
    let mut uploads: Vec<Upload> = runs
        .flat_map(|(place, run)| uploads_of(run, order.and_then(|order| order.runs.get(place))))
        .collect();
    uploads.sort_by_key(|upload| upload.run);
    let fails = list_asked(&case["upload_fails_for_runs"]).iter();
    let fails: Vec<u64> = fails.map(count).collect();
    let does_fail = |run: RunNumber| fails.contains(&u64::from(run.0));
    let mut done: Vec<(u32, String, u64)> = Vec::new();
    let late = uploads
        .iter()
        .filter(|upload| upload.finished && upload.ready > 0);
    for upload in late.filter(|upload| !does_fail(upload.run)) {
        done.push((upload.run.0, upload.stream.clone(), upload.ready));
    }
    let wait = Span::from_secs(seconds(&case["timeout_s"]));
    for index in 0..uploads.len() {
        let upload = &uploads[index];
        let earlier = uploads
            .iter()
            .filter(|other| other.run < upload.run && !other.finished);
        let earlier = earlier.map(|other| Undecided {
            run: other.run,
            ended_at: other.ended_at,
        });
        let held = held_back(earlier, wait, at(seconds(&case["now"]))).is_some();
        if upload.finished || upload.ready == 0 || held || does_fail(upload.run) {
            continue;
        }
        done.push((upload.run.0, upload.stream.clone(), upload.ready));
        uploads[index].finished = upload.outstanding == 0;
    }
    let mut comparison = Comparison::default();
    let expect = list(&case["expect_uploads_in_order"]).iter().map(|one| {
        let run = u32::try_from(count(&one[0])).expect("a run's number");
        (run, text(&one[1]).to_owned(), count(&one[2]))
    });
    comparison.equal("uploads", done, expect.collect());
    for upload in &uploads {
        let expect = &case["expect_finished"][upload.run.to_string()][&upload.stream];
        let what = format!("finished, run {} {}", upload.run, upload.stream);
        if !expect.is_null() {
            comparison.equal(&what, Some(upload.finished), expect.as_bool());
        }
    }
    comparison.item(id)
}

/// The streams of a run, in the order of the document.
fn uploads_of(run: &Value, order: Option<&OrderOfStreams>) -> Vec<Upload> {
    let streams = run["streams"].as_object().expect("streams by name");
    let place = |name: &str| order.and_then(|of| of.streams.0.iter().position(|own| own == name));
    let of_stream = |(stream, state): (&String, &Value)| Upload {
        run: RunNumber(u32::try_from(count(&run["run"])).expect("a run's number")),
        ended_at: Moment(0) + Span::from_secs(seconds(&run["stop"])),
        stream: stream.clone(),
        ready: count(&state["ready"]),
        outstanding: state["outstanding_after"].as_u64().unwrap_or(0),
        finished: state["finished"].as_bool() == Some(true),
    };
    let mut uploads: Vec<Upload> = streams.iter().map(of_stream).collect();
    uploads.sort_by_key(|upload| place(&upload.stream));
    uploads
}
