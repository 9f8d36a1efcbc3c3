//! What has come of each lumi must be what its files say: counted anew from the catalogue and from
//! what was declared lost, without what bookkeeping adds up on its way.

use super::Broken;
use crate::Engine;
use model::ids::{LumiNumber, RunNumber};
use model::lumi::Received;
use model::names::StreamName;
use std::collections::BTreeMap;

/// One lumi of one stream of a run.
type Place<'e> = (RunNumber, &'e StreamName, LumiNumber);

impl Engine {
    /// I14: a lumi counts each of its files once, and each file that was declared lost until it
    /// comes after all.
    pub(super) fn check_received(&self, broken: &mut Vec<Broken>) {
        let mut counted = self.counted();
        for (number, work) in &self.runs {
            for (stream, of_stream) in &work.streams {
                for (lumi, entry) in &of_stream.lumis {
                    let place = (*number, stream, *lumi);
                    let here = counted.remove(&place).unwrap_or_default();
                    if entry.received != here {
                        broken.push(differs(place, &here, &entry.received));
                    }
                }
            }
        }
        for (place, here) in counted {
            broken.push(differs(place, &here, &Received::default()));
        }
    }

    fn counted(&self) -> BTreeMap<Place<'_>, Received> {
        let mut counted = BTreeMap::new();
        for file in self.files.values() {
            let arrival = &file.arrival;
            let Some(work) = self.runs.get(&arrival.run) else {
                continue;
            };
            if file.part > work.run.part {
                continue;
            }
            let place = (arrival.run, &arrival.stream, arrival.lumi);
            let here: &mut Received = counted.entry(place).or_default();
            here.files += 1;
            here.reports += u64::from(arrival.empty);
            let counts = arrival.counts.map(|it| it.processed + it.errors);
            here.events_accounted += counts.unwrap_or(0);
        }
        for (number, work) in &self.runs {
            for ((stream, _), (lumi, events)) in work.heard.lost_files() {
                let place = (*number, stream, *lumi);
                let here = counted.entry(place).or_default();
                here.files += 1;
                here.events_accounted += events;
            }
        }
        counted
    }
}

fn differs((run, stream, lumi): Place<'_>, here: &Received, kept: &Received) -> Broken {
    Broken {
        invariant: "I14",
        what: format!("of lumi {lumi} of {stream}, run {run}, {here:?} is here and {kept:?} kept"),
    }
}
