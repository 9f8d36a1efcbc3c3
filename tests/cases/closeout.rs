//! When a lumi, a stream and a run are complete, against what the queries of the CMS Tier-0 decide.
//!
//! Items are put to the model's own functions: statements of data acquisition instances are merged,
//! counts compared, frontiers walked. Where those queries wait for ever (a surplus file, a failed
//! file in a split lumi) the items ask only what they decide on one input, and there we agree: the
//! lumi is not complete. What becomes of it next is ours alone.

use crate::judging::{Comparison, Data, Item, count, each, id_of, list};
use crate::prompt_release;
use model::frontier::{Frontier, StreamStanding};
use model::ids::{LumiNumber, RunNumber, WitnessId};
use model::lumi::{Expected, LumiState, Received, SplitLumi};
use model::time::Moment;
use model::witness::{
    Counted, End, Instance, Merged, Says, Source, Witness, ended, merge, merge_end,
};
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn judge(case: &Value, _: &Data) -> Vec<Item> {
    let group = |name: &str, judge: fn(&Value) -> Item| each(&case[name], name, judge);
    [
        group("lumi_close", lumi_close),
        group("highest_contiguous_lumi", highest_contiguous_lumi),
        group("lumi_final_close", lumi_final_close),
        group("run_stream_fileset_close", run_stream_fileset_close),
        group("split_lumi_release", split_lumi_release),
        group("prompt_reco_release", prompt_release::item),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn flag(value: &Value) -> bool {
    value
        .as_bool()
        .unwrap_or_else(|| panic!("the case should hold true or false, not {value}"))
}

fn small(value: &Value) -> u32 {
    u32::try_from(count(value)).expect("lumis and instances are small numbers")
}

fn witness(place: usize, says: Says, instance: Instance) -> Witness {
    Witness {
        id: WitnessId(place as i64 + 1),
        run: RunNumber(1),
        says,
        source: Source::Record,
        instance,
        at: Moment(0),
        by: String::new(),
        reason: String::new(),
        late: false,
    }
}

/// Which lumis are newly closed, and whether the run has ended.
fn lumi_close(item: &Value) -> Item {
    let instances = list(&item["daq_instances"]);
    // How many there are is what any of those that announced the run says.
    let of = instances.iter().map(|one| small(&one["n_instances"])).max();
    let of = of.unwrap_or(1);
    let ends = instances.iter().filter(|one| !flag(&one["running"]));
    let ends = ends.map(|one| {
        let number = small(&one["instance"]);
        let last_lumi = small(&one["n_lumis"]);
        let events = None;
        (number, Says::End { last_lumi, events })
    });
    let records = list(&item["end_of_lumi_records"]).iter().map(|record| {
        let lumi = LumiNumber(small(&record["lumi"]));
        let says = Says::Lumis {
            first: lumi,
            last: lumi,
            stream: None,
            expected: Expected::Files(count(&record["filecount"])),
        };
        (small(&record["instance"]), says)
    });
    let said: Vec<Witness> = ends
        .chain(records)
        .enumerate()
        .map(|(place, (number, says))| witness(place, says, Instance { number, of }))
        .collect();
    let all: Vec<&Witness> = said.iter().collect();
    let above = small(&item["above_lumi"]);
    let spoken_of: BTreeSet<LumiNumber> = said.iter().filter_map(lumi_of).collect();
    let closed: Vec<(u32, u64)> = spoken_of
        .into_iter()
        .filter(|lumi| lumi.0 > above)
        .filter_map(|lumi| {
            let own: Vec<&Witness> = said.iter().filter(|w| lumi_of(w) == Some(lumi)).collect();
            match merge(&own, lumi, &ended(&all)) {
                Merged::Counted(Counted { files, .. }) => files.map(|files| (lumi.0, files)),
                _ => None,
            }
        })
        .collect();
    let expect: Vec<(u32, u64)> = list(&item["expect_newly_closed"])
        .iter()
        .map(|one| (small(&one["lumi"]), count(&one["filecount"])))
        .collect();
    let last = match merge_end(&all) {
        End::Known { last_lumi, .. } => Some(u64::from(last_lumi)),
        End::Unknown | End::Partly(_) | End::Contradiction(_) => None,
    };
    let mut comparison = Comparison::default();
    comparison.equal("newly closed", closed, expect);
    comparison.equal("run ended", last.is_some(), flag(&item["expect_run_ended"]));
    comparison.equal("lumicount", last, item["expect_lumicount"].as_u64());
    comparison.item(id_of(item))
}

fn lumi_of(witness: &Witness) -> Option<LumiNumber> {
    match &witness.says {
        Says::Lumis { first, .. } => Some(*first),
        Says::LostFile { .. } | Says::End { .. } => None,
    }
}

fn highest_contiguous_lumi(item: &Value) -> Item {
    let mut frontier = Frontier::default();
    for lumi in list(&item["closed_lumis"]) {
        frontier.close(LumiNumber(small(lumi)));
    }
    let mut comparison = Comparison::default();
    let expect = small(&item["expect_highest_contiguous"]);
    comparison.equal("highest contiguous lumi", frontier.reached(), expect);
    comparison.item(id_of(item))
}

fn lumi_final_close(item: &Value) -> Item {
    let expected = Merged::Counted(Counted {
        files: Some(count(&item["expected_files"])),
        events: None,
    });
    let received = Received {
        files: count(&item["files_seen"]),
        ..Received::default()
    };
    let closed = LumiState::of(&expected, received) == LumiState::Closed;
    let mut comparison = Comparison::default();
    comparison.equal("final close", closed, flag(&item["expect_final_close"]));
    comparison.item(id_of(item))
}

fn run_stream_fileset_close(item: &Value) -> Item {
    let lumis = list(&item["lumis"]);
    let mut frontier = Frontier::default();
    for lumi in lumis.iter().filter(|lumi| flag(&lumi["final_closed"])) {
        frontier.close(LumiNumber(small(&lumi["lumi"])));
    }
    // There the end of a run has two witnesses, its stop time and its end record; both must speak.
    let ends = flag(&item["run_stop_known"]) && flag(&item["run_end_known"]);
    let standing = StreamStanding {
        frontier: &frontier,
        heard: lumis
            .iter()
            .map(|lumi| LumiNumber(small(&lumi["lumi"])))
            .max(),
        last_lumi: ends.then(|| small(&item["run_lumicount"])),
        unfed: count(&item["streamers_not_yet_fed"]),
    };
    let mut comparison = Comparison::default();
    let expect = flag(&item["expect_fileset_closed"]);
    comparison.equal("fileset closed", standing.gap().is_none(), expect);
    comparison.item(id_of(item))
}

fn split_lumi_release(item: &Value) -> Item {
    let lumi = SplitLumi {
        files: count(&item["files_in_lumi"]),
        complete: count(&item["files_complete"]),
        given_up: 0,
    };
    let mut comparison = Comparison::default();
    let expect = flag(&item["expect_released_to_merge"]);
    comparison.equal("released to merge", lumi.may_merge(), expect);
    comparison.item(id_of(item))
}
