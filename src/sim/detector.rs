//! The modelled detector: runs, lumis, streams and files, what it announces of them, and how the
//! news of it is disturbed.
//!
//! In come a seed's data and its faults, out come sightings with their moments. The data depend on
//! the seed only, never on the faults, so a disturbed and an undisturbed pass are about the same
//! truth.

use crate::chance::Chance;
use crate::faults::Faults;
use crate::random::{Random, mix, mix_text};
use model::arrival::{
    AbsentLumi, Arrival, Checksum, Completion, Counts, LumiEnd, Refusal, RunBegin, RunEnd, Seen,
    SetAside,
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
const STREAMS: [&str; 3] = ["Muons", "Tracks", "Laser"];
/// Of the streams the first so many are read by some task: runs wait for the last all the same.
const READ_STREAMS: u64 = 2;
/// So many runs in a hundred have every stream.
const ALL_STREAMS_PERCENT: u64 = 15;

/// Runs of a seed, lumis of a run, files of a stream in a lumi, at most.
pub(crate) const RUNS_MAX: u32 = 4;
pub(crate) const RUN_LUMIS_MAX: u32 = 5;
pub(crate) const LUMI_FILES_MAX: u32 = 3;

/// The profile whose records say what is complete.
const SPOOL: &str = "spool";
/// The profile whose time-outs do.
const DROP: &str = "drop";

/// Which profiles let a time-out complete lumis and runs.
pub(crate) fn completions() -> BTreeMap<ProfileName, Completion> {
    let drop = Completion {
        lumi_timeout: Some(Span::from_millis(2_500)),
        run_timeout: Some(Span::from_secs(5)),
        absent_lumi: AbsentLumi::Empty,
        ..Completion::default()
    };
    BTreeMap::from([(ProfileName::new(DROP), drop)])
}

impl RunPlan {
    fn instance(&self, number: usize) -> Instance {
        Instance {
            number: number as u32,
            of: self.instances.len() as u32,
        }
    }
}

/// One run as it is meant.
#[derive(Clone, Debug)]
pub(crate) struct RunPlan {
    pub(crate) number: RunNumber,
    pub(crate) run_type: RunType,
    pub(crate) label: DataLabel,
    pub(crate) last_lumi: u32,
    pub(crate) begins_at: Moment,
    /// Whose folder its files lie in.
    pub(crate) profile: ProfileName,
    /// Nobody says what is complete: a time-out does.
    pub(crate) by_time_out: bool,
    /// Data acquisition instances, each with the last lumi of which it says anything.
    pub(crate) instances: Vec<u32>,
    /// Names of everything that it writes, with the events each accounts for: a file without any
    /// may come after its run was closed.
    pub(crate) files: Vec<(FileName, u64)>,
}

/// What a sighting is, as far as anybody must treat it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of the truth: it lies in the spool and is reported again after a restart.
    True,
    /// The same, and the first of its run or stream: it is never disturbed in a gentle seed.
    First,
    /// Part of the truth that lies in the spool, as a scan after a restart reports it.
    Again,
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

/// How much of a seed's data there is: what is left of it is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Runs that there are not, by their position.
    pub without_runs: Vec<u32>,
    /// Lumis of a run, at most.
    pub lumis_max: u32,
    /// Streams of a run, at most.
    pub streams_max: u32,
    /// Files of a stream in a lumi, at most.
    pub files_max: u32,
}

impl Default for Cut {
    /// All of it.
    fn default() -> Self {
        Self {
            without_runs: Vec::new(),
            lumis_max: RUN_LUMIS_MAX,
            streams_max: STREAMS.len() as u32,
            files_max: LUMI_FILES_MAX,
        }
    }
}

/// The truth of a seed.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    /// The run in the middle, whether it is there or not.
    pub(crate) later_run: RunNumber,
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
    pub(crate) fn draw(data_seed: u64, begins_at: Moment, harsh: bool, cut: &Cut) -> Self {
        let mut random = Random::new(data_seed);
        let first = random.between(1, 400_000) as u32;
        let runs = random.between(1, u64::from(RUNS_MAX)) as u32;
        let mut detector = Self {
            later_run: RunNumber(first + 2 * (runs / 2)),
            runs: Vec::new(),
            sightings: Vec::new(),
        };
        let mut at = begins_at;
        for position in 0..runs {
            let mut random = random.fork();
            let by_time_out = harsh && random.per_mille(250);
            let mut run = RunPlan {
                profile: ProfileName::new(if by_time_out { DROP } else { SPOOL }),
                by_time_out,
                instances: Vec::new(),
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
                    _ => random.between(1, u64::from(RUN_LUMIS_MAX)) as u32,
                },
                begins_at: at,
                files: Vec::new(),
            };
            // Those beside the first may end before it, and say no more.
            let others = [0, 0, 1, 2][random.below(4) as usize];
            run.instances = (0..others)
                .map(|_| random.between(0, u64::from(run.last_lumi)) as u32)
                .collect();
            run.instances.push(run.last_lumi);
            run.last_lumi = run.last_lumi.min(cut.lumis_max);
            for last in &mut run.instances {
                *last = (*last).min(cut.lumis_max);
            }
            if !cut.without_runs.contains(&position) {
                detector.draw_run(&mut random, run, cut);
            }
            // Runs overlap, but begin one after the other.
            at = at + Span::from_millis(random.between(100, 3_000) as i64);
        }
        detector
    }

    fn draw_run(&mut self, random: &mut Random, mut run: RunPlan, cut: &Cut) {
        let begin = RunBegin {
            run: run.number,
            run_type: Some(run.run_type),
            label: run.label,
        };
        self.push(run.begins_at, Seen::RunBegin(begin), Kind::First);
        let read = random.between(1, READ_STREAMS) as u32;
        let is_all = mix(u64::from(run.number.0)) % 100 < ALL_STREAMS_PERCENT;
        let streams = if is_all { STREAMS.len() as u32 } else { read };
        let streams = streams.min(cut.streams_max) as usize;
        let mut ends = random.fork();
        let by_files = random.per_mille(300);
        let mut at = run.begins_at + Span::from_millis(random.between(30, 80) as i64);
        let mut lumis_end_at = Vec::new();
        for lumi in 1..=run.last_lumi {
            let place = Place {
                run: &run,
                lumi,
                at,
            };
            // What a lumi or a stream is does not depend on how many others there are.
            let mut random = random.fork();
            let files = random.between(1, u64::from(LUMI_FILES_MAX));
            let mut shares: Vec<u64> = (0..files).map(|_| random.below(300)).collect();
            shares.truncate(cut.files_max as usize);
            let files = shares.len() as u64;
            let quiet = random.per_mille(120);
            let lasts = random.between(50, 900);
            let mut said = random.fork();
            let mut names = Vec::new();
            for stream in &STREAMS[..streams] {
                let random = &mut random.fork();
                let made = self.draw_stream(random, &place, stream, &shares, quiet, by_files);
                names.extend(made);
            }
            let expected = if by_files {
                Expected::Files(if quiet { 1 } else { files })
            } else {
                Expected::Events(if quiet { 0 } else { shares.iter().sum() })
            };
            at = at + Span::from_millis(lasts as i64);
            self.push_lumi_ends(&mut said, &Place { at, ..place }, expected);
            lumis_end_at.push(at);
            run.files.extend(names);
        }
        if let Some(last) = lumis_end_at.last_mut() {
            *last = at + Span::from_millis(ends.between(1, 200) as i64);
        }
        self.push_run_ends(&mut ends, &run, &lumis_end_at);
        self.runs.push(run);
    }

    /// What each data acquisition instance says of a lumi; together it is what it holds. Sometimes
    /// another channel says the same.
    fn push_lumi_ends(&mut self, random: &mut Random, place: &Place<'_>, expected: Expected) {
        if place.run.by_time_out {
            return;
        }
        let (run, lumi) = (place.run, LumiNumber(place.lumi));
        let speaks = |number: &usize| run.instances[*number] >= place.lumi;
        let speakers: Vec<usize> = (0..run.instances.len()).filter(speaks).collect();
        let mut parts = vec![expected];
        while parts.len() < speakers.len() {
            let at = random.below(parts.len() as u64) as usize;
            let mut halve = |n: u64| random.between(0, n);
            let (one, other) = match parts[at] {
                Expected::Events(n) => {
                    let one = halve(n);
                    (Expected::Events(one), Expected::Events(n - one))
                }
                Expected::Files(n) => {
                    let one = halve(n);
                    (Expected::Files(one), Expected::Files(n - one))
                }
                other => (other, other),
            };
            parts[at] = one;
            parts.push(other);
        }
        let by_message = random.per_mille(80);
        for (number, expected) in speakers.into_iter().zip(parts) {
            let said = |source: Source| {
                Seen::LumiEnd(LumiEnd {
                    stream: None,
                    source,
                    instance: run.instance(number),
                    run: run.number,
                    label: run.label,
                    lumi,
                    expected,
                })
            };
            let at = place.at + Span::from_millis(random.below(100) as i64);
            self.push(at, said(Source::Record), Kind::True);
            if by_message {
                self.push(at, said(Source::Message), Kind::True);
            }
        }
    }

    /// Each instance says that it has ended: one that stops before the others says so at once.
    fn push_run_ends(&mut self, random: &mut Random, run: &RunPlan, lumis_end_at: &[Moment]) {
        if run.by_time_out {
            return;
        }
        for (number, last_lumi) in run.instances.iter().enumerate() {
            let end = Seen::RunEnd(RunEnd {
                source: Source::Record,
                instance: run.instance(number),
                run: run.number,
                last_lumi: *last_lumi,
                events: None,
                label: run.label,
            });
            let stops_at = lumis_end_at.get((*last_lumi as usize).saturating_sub(1));
            let at = *stops_at.unwrap_or(&run.begins_at);
            let at = at + Span::from_millis(random.below(300) as i64);
            self.push(at, end, Kind::True);
        }
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
    ) -> Vec<(FileName, u64)> {
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
                profile: place.run.profile.clone(),
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
            names.push((name, *processed));
        }
        names
    }

    fn push(&mut self, at: Moment, seen: Seen, kind: Kind) {
        self.sightings.push(Sighting { at, seen, kind });
    }

    /// How the news of the data comes, with these faults: what to see when, and what to see only
    /// once they end.
    pub(crate) fn disturbed(
        &self,
        faults: &Faults,
        chance: &mut Chance,
    ) -> (Vec<Sighting>, Vec<Seen>) {
        let (mut coming, mut held) = (Vec::new(), Vec::new());
        let mut later: BTreeMap<RunNumber, Span> = BTreeMap::new();
        for run in &self.runs {
            let key = u64::from(run.number.0);
            chance.name(key, || format!("run {}", run.number));
            if chance.of("postponed", key, faults.postponed) {
                let by = chance.random("postponed by", key).below(9_000);
                let by = Span::from_millis(by as i64);
                later.insert(run.number, by);
            }
        }
        let mut burst = |run: &&RunPlan| {
            let key = u64::from(run.number.0);
            chance.of("burst", key, faults.burst)
        };
        let bursts = self.runs.iter().filter(|run| burst(run));
        let bursts: BTreeMap<RunNumber, Moment> =
            bursts.map(|run| (run.number, run.begins_at)).collect();
        for (position, sighting) in self.sightings.iter().enumerate() {
            let mut sighting = sighting.clone();
            if let Some(at) = run_of(&sighting.seen).and_then(|run| bursts.get(&run)) {
                sighting.at = *at + Span(100_000 * position as i64);
            }
            if let Some(by) = run_of(&sighting.seen).and_then(|run| later.get(&run)) {
                sighting.at = sighting.at + *by;
            }
            let may_change = faults.harsh || sighting.kind != Kind::First;
            let key = sighting_key(&sighting.seen);
            chance.name(key, || in_words(&sighting.seen));
            let random = &mut chance.random("sighting", key);
            let first = is_type_record(&sighting.seen);
            if may_change && first && chance.of("begin_late", key, faults.disorder) {
                sighting.at = sighting.at + Span::from_millis(random.below(2_000) as i64);
            } else if may_change && chance.of("held", key, faults.held) {
                held.push(sighting.seen);
                continue;
            } else if may_change && chance.of("disorder", key, faults.disorder) {
                sighting.at = sighting.at + Span::from_millis(random.below(4_000) as i64);
            }
            if let Seen::File(arrival) = &sighting.seen {
                coming.extend(extras(sighting.at, arrival, faults, key, chance));
            }
            coming.push(sighting);
        }
        for run in &self.runs {
            coming.extend(run_extras(run, faults, chance));
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

/// A number for a sighting that does not depend on what else there is to see.
fn sighting_key(seen: &Seen) -> u64 {
    let of = |kind: u64, run: RunNumber, rest: u64| mix(kind ^ mix(u64::from(run.0)) ^ mix(rest));
    match seen {
        Seen::File(arrival) => mix_text(arrival.name.as_str()),
        Seen::SetAside(item) => mix_text(item.name.as_str()),
        Seen::RunBegin(begin) => of(1, begin.run, 0),
        Seen::LumiEnd(end) => {
            let by = u64::from(end.instance.number) << 8 | u64::from(end.source == Source::Message);
            of(2, end.run, u64::from(end.lumi.0) << 32 | by)
        }
        Seen::RunEnd(end) => of(3, end.run, u64::from(end.instance.number)),
        Seen::Trouble(_) | Seen::TroubleOver(_) => 4,
    }
}

/// What is seen, in a few words.
pub(crate) fn in_words(seen: &Seen) -> String {
    match seen {
        Seen::File(arrival) if arrival.empty => format!("{}, an empty lumi", arrival.name),
        Seen::File(arrival) => format!("file {}", arrival.name),
        Seen::SetAside(item) => format!("{}, which cannot be taken", item.name),
        Seen::RunBegin(begin) => format!("run {} begins", begin.run),
        Seen::LumiEnd(end) => {
            let (run, lumi, expected) = (end.run, end.lumi, &end.expected);
            let instance = end.instance.number;
            format!("instance {instance} ends lumi {lumi} of run {run}: {expected:?}")
        }
        Seen::RunEnd(end) => {
            let (run, instance, last) = (end.run, end.instance.number, end.last_lumi);
            format!("instance {instance} ends run {run} after lumi {last}")
        }
        Seen::Trouble(trouble) => format!("{trouble:?}"),
        Seen::TroubleOver(key) => format!("{key} is over"),
    }
}

fn is_type_record(seen: &Seen) -> bool {
    matches!(seen, Seen::RunBegin(_))
}

/// Reports of a file that must change nothing.
fn extras(
    at: Moment,
    arrival: &Arrival,
    faults: &Faults,
    key: u64,
    chance: &mut Chance,
) -> Vec<Sighting> {
    let random = &mut chance.random("extras", key);
    let mut extras = Vec::new();
    let mut say = |seen: Seen, random: &mut Random| {
        extras.push(Sighting {
            at: at + Span::from_millis(random.below(5_000) as i64),
            seen,
            kind: Kind::Extra,
        });
    };
    if chance.of("resent", key, faults.resent) {
        let (inode, mtime) = (random.next(), at);
        let again = Arrival {
            inode,
            mtime,
            ..arrival.clone()
        };
        say(Seen::File(again), random);
    }
    if chance.of("conflict", key, faults.conflict) {
        let bytes = Bytes(arrival.bytes.0 + 1);
        let other = Arrival {
            bytes,
            ..arrival.clone()
        };
        say(Seen::File(other), random);
    }
    if chance.of("name_unreadable", key, faults.unreadable) {
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
fn run_extras(run: &RunPlan, faults: &Faults, chance: &mut Chance) -> Vec<Sighting> {
    let key = u64::from(run.number.0);
    let random = &mut chance.random("run extras", key);
    let mut extras = Vec::new();
    let file = |label: DataLabel, name: String, at: Moment| {
        Seen::File(Arrival {
            profile: run.profile.clone(),
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
    if chance.of("wrong_label", key, faults.wrong_label) {
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
    if run.last_lumi > 0 && chance.of("surplus", key, faults.surplus) {
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
