//! The prompt calibration loop, against the Tier-0's own rules run with a stubbed clock: when a
//! run's constants are harvested, and in which order they are uploaded. In comes a case file with a
//! group for each; out come its items.

use crate::judging::{Comparison, Data, Item, Outcome, count, list, text};
use model::ids::{FileId, LumiNumber, RunNumber};
use model::job::InputId;
use model::names::FileName;
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use pipelines::splitting::{
    AlcaHarvest, HarvestState, Harvested, Item as Input, Splitter, Window, split,
};
use serde_json::Value;

pub(crate) fn judge(case: &Value, _data: &Data) -> Vec<Item> {
    let harvests = list(&case["alca_harvest"]).iter().map(harvest);
    let uploads = list(&case["condition_upload"]).iter().map(upload);
    harvests.chain(uploads).collect()
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
    comparison.item(text(&case["id"]))
}

/// The order of uploads: nothing here answers it yet.
fn upload(case: &Value) -> Item {
    Item {
        id: text(&case["id"]).to_owned(),
        outcome: Outcome::NotBuilt,
    }
}
