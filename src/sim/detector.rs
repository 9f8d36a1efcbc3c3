//! The modelled detector: runs, lumis, streams and files, what it announces of them, and how the
//! news of it is disturbed.
//!
//! In come a seed's data and its faults, out come sightings with their moments. The data depend on
//! the seed only, never on the faults, so a disturbed and an undisturbed pass are about the same
//! truth.

use crate::faults::Faults;
use crate::random::{Random, mix};
use model::arrival::{
    Arrival, Checksum, Counts, LumiEnd, Refusal, RunBegin, RunEnd, Seen, SetAside,
};
use model::ids::{LumiNumber, RunNumber};
use model::lumi::Expected;
use model::names::{DataLabel, FileName, ProfileName, StreamName};
use model::run::RunType;
use model::time::{Moment, Span};
use model::units::Bytes;
use model::witness::{Instance, Source};
use std::collections::BTreeMap;

/// Streams that the simulated detector has; the embedded pipelines read the first.
const STREAMS: [&str; 2] = ["Muons", "Tracks"];

/// One run as it is meant.
#[derive(Clone, Debug)]
pub(crate) struct RunPlan {
    pub(crate) number: RunNumber,
    pub(crate) run_type: RunType,
    pub(crate) label: DataLabel,
    pub(crate) last_lumi: u32,
    pub(crate) begins_at: Moment,
    /// Names of everything that it writes.
    pub(crate) files: Vec<FileName>,
}

/// What a sighting is, as far as anybody must treat it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of the truth: it lies in the spool and is reported again after a restart.
    True,
    /// The same, and the first of its run or stream: it is never disturbed in a gentle seed.
    First,
    /// Reported besides the truth, once the run is known: must change nothing.
    Extra,
    /// The same, which may change what becomes of the run (a file too many).
    Surplus,
}

/// One thing to be seen.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) at: Moment,
    pub(crate) seen: Seen,
    pub(crate) kind: Kind,
}

/// The truth of a seed.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    pub(crate) runs: Vec<RunPlan>,
    pub(crate) sightings: Vec<Sighting>,
}

/// Where a lumi stands while it is made up.
struct Place<'a> {
    run: &'a RunPlan,
    lumi: u32,
    at: Moment,
}

impl Detector {
    /// Makes up the data of a seed.
    pub(crate) fn draw(random: &mut Random, begins_at: Moment) -> Self {
        let first = random.between(1, 400_000) as u32;
        let mut detector = Self {
            runs: Vec::new(),
            sightings: Vec::new(),
        };
        let mut at = begins_at;
        for position in 0..random.between(1, 4) as u32 {
            let run = RunPlan {
                number: RunNumber(first + 2 * position),
                run_type: match random.below(8) {
                    0 => RunType::Test,
                    1 => RunType::Cosmics,
                    _ => RunType::Physics,
                },
                label: if random.per_mille(250) {
                    DataLabel::Simulated
                } else {
                    DataLabel::Real
                },
                last_lumi: match random.below(12) {
                    0 => 0,
                    _ => random.between(1, 5) as u32,
                },
                begins_at: at,
                files: Vec::new(),
            };
            detector.draw_run(random, run);
            // Runs overlap, but begin one after the other.
            at = at + Span::from_millis(random.between(100, 3_000) as i64);
        }
        detector
    }

    fn draw_run(&mut self, random: &mut Random, mut run: RunPlan) {
        let begin = RunBegin {
            run: run.number,
            run_type: Some(run.run_type),
            label: run.label,
        };
        self.push(run.begins_at, Seen::RunBegin(begin), Kind::First);
        let streams = random.between(1, STREAMS.len() as u64) as usize;
        let by_files = random.per_mille(300);
        let mut at = run.begins_at + Span::from_millis(random.between(30, 80) as i64);
        for lumi in 1..=run.last_lumi {
            let place = Place {
                run: &run,
                lumi,
                at,
            };
            let files = random.between(1, 3);
            let shares: Vec<u64> = (0..files).map(|_| random.below(300)).collect();
            let quiet = random.per_mille(120);
            let mut names = Vec::new();
            for stream in &STREAMS[..streams] {
                let made = self.draw_stream(random, &place, stream, &shares, quiet, by_files);
                names.extend(made);
            }
            let ended = Seen::LumiEnd(LumiEnd {
                stream: None,
                source: Source::Record,
                instance: Instance::ONLY,
                run: run.number,
                label: run.label,
                lumi: LumiNumber(lumi),
                expected: if by_files {
                    Expected::Files(if quiet { 1 } else { files })
                } else {
                    Expected::Events(if quiet { 0 } else { shares.iter().sum() })
                },
            });
            at = at + Span::from_millis(random.between(50, 900) as i64);
            self.push(at, ended, Kind::True);
            run.files.extend(names);
        }
        let end = Seen::RunEnd(RunEnd {
            source: Source::Record,
            instance: Instance::ONLY,
            run: run.number,
            last_lumi: run.last_lumi,
            events: None,
            label: run.label,
        });
        at = at + Span::from_millis(random.between(1, 200) as i64);
        self.push(at, end, Kind::True);
        self.runs.push(run);
    }

    /// The files of one stream in one lumi, or the report that it is empty.
    fn draw_stream(
        &mut self,
        random: &mut Random,
        place: &Place<'_>,
        stream: &str,
        shares: &[u64],
        quiet: bool,
        by_files: bool,
    ) -> Vec<FileName> {
        let (number, lumi) = (place.run.number, place.lumi);
        let shares = if quiet { &[0][..] } else { shares };
        let mut names = Vec::new();
        for (part, processed) in shares.iter().enumerate() {
            let name = FileName::new(&format!("run{number}_ls{lumi:04}_{stream}_{part}.raw"));
            let hash = mix(u64::from(number.0) << 32 | u64::from(lumi) << 8 | part as u64);
            // A part of the events may be lost on the way, and counts as accounted for.
            let errors = u64::from(*processed > 0 && random.per_mille(100));
            let empty = quiet || (*processed == 0 && by_files);
            let arrival = Arrival {
                profile: ProfileName::new("spool"),
                name: name.clone(),
                run: number,
                lumi: LumiNumber(lumi),
                stream: StreamName::new(stream),
                label: place.run.label,
                bytes: Bytes(if empty { 0 } else { 100 + processed * 50 }),
                inode: hash,
                mtime: place.at,
                counts: Some(Counts {
                    processed: processed - errors,
                    accepted: if empty { 0 } else { processed - errors },
                    errors,
                }),
                checksum: Some(Checksum::Adler32(hash as u32)),
                empty,
                seen_at: place.at,
            };
            let kind = if lumi == 1 && part == 0 {
                Kind::First
            } else {
                Kind::True
            };
            let at = match kind {
                Kind::First => place.at,
                _ => place.at + Span::from_millis(random.below(400) as i64),
            };
            let seen = Seen::File(Arrival {
                seen_at: at,
                ..arrival
            });
            self.push(at, seen, kind);
            names.push(name);
        }
        names
    }

    /// Events accounted for by a file: a file without any may come after its run was closed.
    pub(crate) fn events_of(&self, name: &FileName) -> u64 {
        let events = self
            .sightings
            .iter()
            .find_map(|sighting| match &sighting.seen {
                Seen::File(arrival) if arrival.name == *name => arrival.counts,
                _ => None,
            });
        events.map_or(0, |counts| counts.processed + counts.errors)
    }

    fn push(&mut self, at: Moment, seen: Seen, kind: Kind) {
        self.sightings.push(Sighting { at, seen, kind });
    }

    /// How the news of the data comes, with these faults: what to see when, and what to see only
    /// once they end.
    pub(crate) fn disturbed(
        &self,
        faults: &Faults,
        random: &mut Random,
    ) -> (Vec<Sighting>, Vec<Seen>) {
        let (mut coming, mut held) = (Vec::new(), Vec::new());
        let mut later: BTreeMap<RunNumber, Span> = BTreeMap::new();
        for run in &self.runs {
            if random.per_mille(faults.postponed) {
                let by = Span::from_millis(random.below(9_000) as i64);
                later.insert(run.number, by);
            }
        }
        for sighting in &self.sightings {
            let mut sighting = sighting.clone();
            if let Some(by) = run_of(&sighting.seen).and_then(|run| later.get(&run)) {
                sighting.at = sighting.at + *by;
            }
            let may_change = faults.harsh || sighting.kind != Kind::First;
            if may_change && is_type_record(&sighting.seen) && random.per_mille(faults.disorder) {
                sighting.at = sighting.at + Span::from_millis(random.below(2_000) as i64);
            } else if may_change && random.per_mille(faults.held) {
                held.push(sighting.seen);
                continue;
            } else if may_change && random.per_mille(faults.disorder) {
                sighting.at = sighting.at + Span::from_millis(random.below(4_000) as i64);
            }
            if let Seen::File(arrival) = &sighting.seen {
                coming.extend(extras(sighting.at, arrival, faults, random));
            }
            coming.push(sighting);
        }
        for run in &self.runs {
            coming.extend(run_extras(run, faults, random));
        }
        (coming, held)
    }
}

fn run_of(seen: &Seen) -> Option<RunNumber> {
    match seen {
        Seen::File(arrival) => Some(arrival.run),
        Seen::RunBegin(begin) => Some(begin.run),
        Seen::LumiEnd(end) => Some(end.run),
        Seen::RunEnd(end) => Some(end.run),
        Seen::SetAside(_) | Seen::Trouble(_) | Seen::TroubleOver(_) => None,
    }
}

fn is_type_record(seen: &Seen) -> bool {
    matches!(seen, Seen::RunBegin(_))
}

/// Reports of a file that must change nothing.
fn extras(at: Moment, arrival: &Arrival, faults: &Faults, random: &mut Random) -> Vec<Sighting> {
    let mut extras = Vec::new();
    let mut say = |seen: Seen, random: &mut Random| {
        extras.push(Sighting {
            at: at + Span::from_millis(random.below(5_000) as i64),
            seen,
            kind: Kind::Extra,
        });
    };
    if random.per_mille(faults.resent) {
        let (inode, mtime) = (random.next(), at);
        let again = Arrival {
            inode,
            mtime,
            ..arrival.clone()
        };
        say(Seen::File(again), random);
    }
    if random.per_mille(faults.conflict) {
        let bytes = Bytes(arrival.bytes.0 + 1);
        let other = Arrival {
            bytes,
            ..arrival.clone()
        };
        say(Seen::File(other), random);
    }
    if random.per_mille(faults.unreadable) {
        let name = FileName::new(&format!("{}.part", arrival.name));
        let item = SetAside {
            profile: arrival.profile.clone(),
            name,
            refusal: Refusal::NameUnreadable,
            detail: "the name does not fit the pattern".to_owned(),
            at,
        };
        say(Seen::SetAside(item), random);
    }
    extras
}

/// Files that should not be there.
fn run_extras(run: &RunPlan, faults: &Faults, random: &mut Random) -> Vec<Sighting> {
    let mut extras = Vec::new();
    let file = |label: DataLabel, name: String, at: Moment| {
        Seen::File(Arrival {
            profile: ProfileName::new("spool"),
            name: FileName::new(&name),
            run: run.number,
            lumi: LumiNumber(1),
            stream: StreamName::new(STREAMS[0]),
            label,
            bytes: Bytes(77),
            inode: 1,
            mtime: at,
            counts: Some(Counts {
                processed: 5,
                accepted: 5,
                errors: 0,
            }),
            checksum: Some(Checksum::Adler32(1)),
            empty: false,
            seen_at: at,
        })
    };
    let moment =
        |random: &mut Random| run.begins_at + Span::from_millis(random.below(6_000) as i64);
    if random.per_mille(faults.wrong_label) {
        let other = match run.label {
            DataLabel::Real => DataLabel::Simulated,
            DataLabel::Simulated => DataLabel::Real,
        };
        let at = moment(random);
        let name = format!("run{}_ls0001_{}_other.raw", run.number, STREAMS[0]);
        extras.push(Sighting {
            at,
            seen: file(other, name, at),
            kind: Kind::Extra,
        });
    }
    if run.last_lumi > 0 && random.per_mille(faults.surplus) {
        let at = moment(random);
        let name = format!("run{}_ls0001_{}_surplus.raw", run.number, STREAMS[0]);
        extras.push(Sighting {
            at,
            seen: file(run.label, name, at),
            kind: Kind::Surplus,
        });
    }
    extras
}

/// The order of a scan of the spool after a restart: what says what a run is, then data, then what
/// says that it is over.
pub(crate) fn scan_order(seen: &Seen) -> u8 {
    match seen {
        Seen::RunBegin(_) => 0,
        Seen::File(_) | Seen::SetAside(_) | Seen::Trouble(_) | Seen::TroubleOver(_) => 1,
        Seen::LumiEnd(_) => 2,
        Seen::RunEnd(_) => 3,
    }
}
