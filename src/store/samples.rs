//! Facts for tests: every kind, by small numbers. The key decides which object a fact speaks of,
//! the value everything else, so that equal keys meet and unequal values differ. Nothing here
//! contradicts itself: a file's name follows from its id, an input's job from the input.

use model::account::UnitAccount;
use model::alarm::{Alarm, Severity};
use model::arrival::{Arrival, Checksum, Counts, Refusal, SetAside};
use model::audit::Audit;
use model::conditions::{
    Against, ConditionsPayload, ConditionsTag, GateDecision, GateOutcome, GlobalTag, Hold, Iov,
    RecordTag,
};
use model::conditions::{MeasuredQuantity, Protection, Since, Synchronisation, TimeType};
use model::configuration::ConfigurationText;
use model::dataset::{
    Block, BlockState, Closing, Dataset, LumiContent, Output, Parent, Route, Totals,
};
use model::fact::{Consumed, Fact, OutboxMessage};
use model::failure::Fingerprint;
use model::file::{Content, File};
use model::ids::{
    AgentNumber, AttemptNumber, AuditId, BlockId, Epoch, FileId, JobId, LumiNumber, MessageId,
    OutputId, RunNumber, WitnessId,
};
use model::job::{
    Class, ExitClass, FailedAttempt, InputId, Job, JobState, LastFailure, Lineage, ParkReason,
    Recipe, Stamps, UsedConstant,
};
use model::lumi::Expected;
use model::names::{DataLabel, DatasetName, StreamName, TaskPath};
use model::quality::{RunQuality, RunVerdict, TestAnswer};
use model::resource::Needs;
use model::ruling::{Ruling, RulingKind};
use model::run::{Run, RunState, RunType, StartedBy};
use model::source::{CopyPlace, Evidence, How, SourceState};
use model::time::{Moment, Span};
use model::units::{Bytes, Events};
use model::usage::TaskUsage;
use model::witness::{Instance, Says, Source, Witness};
use std::sync::Arc;

/// How many kinds of facts there are.
pub(crate) const KINDS: u8 = 25;

fn at(value: u16) -> Moment {
    // Not a whole number of microseconds: bodies must keep nanoseconds.
    Moment(1_795_478_399_123_456_789 + i64::from(value) * 1_001)
}

fn run_of(value: u16) -> RunNumber {
    RunNumber(u32::from(value % 3) + 1)
}

fn task(key: u8) -> TaskPath {
    TaskPath::new(
        "express",
        if key.is_multiple_of(2) {
            "reco"
        } else {
            "merge"
        },
    )
}

/// One fact of a kind (0 to 24).
pub(crate) fn fact(kind: u8, key: u8, value: u16) -> Fact {
    match kind {
        0 => Fact::RunIs(run(key, value)),
        1 => Fact::WitnessIs(witness(key, value)),
        2 => Fact::FileIs(file(key, value)),
        3 => Fact::SetAsideIs(set_aside(key, value)),
        4 => Fact::JobIs(Arc::new(job(key, value))),
        5 => Fact::ConsumedIs(consumed(key, value)),
        6 => Fact::AttemptFailedIs(failed_attempt(key, value)),
        7 => Fact::OutputIs(output(key, value)),
        8 => Fact::BlockIs(block(key, value)),
        9 => Fact::DecisionIs(decision(key, value)),
        10 => Fact::IovIs(iov(key, value)),
        11 => Fact::PayloadIs(payload(key)),
        12 => Fact::QualityIs(quality(key, value)),
        13 => Fact::AlarmIs(alarm(key, value)),
        14 => Fact::MessageIs(message(key, value)),
        15 => Fact::AuditIs(audit(key, value)),
        16 => Fact::RulingIs(ruling(key, value)),
        17 => Fact::ConfigurationIs(configuration(key, value)),
        18 => Fact::DatasetIs(dataset(key, value)),
        19 => Fact::ContentIs(content(key, value)),
        20 => Fact::SourceIs(source(key, value)),
        21 => Fact::EvidenceIs(evidence(key, value)),
        22 => Fact::UsageIs(usage(key, value)),
        23 => Fact::TagIs(tag(key, value)),
        24 => Fact::GlobalTagIs(global_tag(key, value)),
        other => panic!("there is no kind {other}"),
    }
}

pub(crate) fn run(key: u8, value: u16) -> Run {
    let state = match value % 4 {
        0 => RunState::Open,
        1 => RunState::Ending,
        2 => RunState::Closed { at: at(value) },
        _ => RunState::Finished {
            closed_at: at(value),
            at: at(value),
        },
    };
    Run {
        number: RunNumber(u32::from(key % 3) + 1),
        run_type: RunType::Physics,
        label: DataLabel::Simulated,
        started_by: StartedBy::FirstFile,
        opened_at: at(value),
        pipelines: vec!["express".into(), "prompt".into()],
        config_hash: format!("{value:016x}"),
        last_lumi: value.is_multiple_of(2).then_some(u32::from(value)),
        announced_events: None,
        ended_at: None,
        announced: false,
        part: 1 + u32::from(key),
        resumed: u32::from(value),
        last_file_seen_at: at(value),
        sliced_from: None,
        quarantined: value.is_multiple_of(5).then(|| "a lumi twice".to_owned()),
        state,
    }
}

pub(crate) fn witness(key: u8, value: u16) -> Witness {
    let (first, stream) = (LumiNumber(u32::from(key) + 1), StreamName::new("Muons"));
    let says = match key % 3 {
        0 => Says::Lumis {
            first,
            last: LumiNumber(first.0 + 4),
            stream: Some(stream),
            expected: Expected::Events(u64::from(value)),
        },
        1 => Says::LostFile {
            lumi: first,
            stream,
            name: "it's lost.dat".into(),
            events: u64::from(value),
        },
        _ => Says::End {
            last_lumi: first.0,
            events: None,
        },
    };
    Witness {
        id: WitnessId(i64::from(key) + 1),
        run: RunNumber(u32::from(key % 3) + 1),
        says,
        source: Source::Operator,
        instance: Instance { number: 1, of: 2 },
        at: at(value),
        by: "a shifter".to_owned(),
        reason: "a disk was lost".to_owned(),
        late: value.is_multiple_of(2),
    }
}

pub(crate) fn file(key: u8, value: u16) -> File {
    File {
        id: FileId(i64::from(key) + 1),
        arrival: Arrival {
            profile: "hlt".into(),
            name: format!("run000001/it's \"{key}\" \u{2203}.dat")
                .as_str()
                .into(),
            run: run_of(value),
            lumi: LumiNumber(u32::from(value)),
            stream: "Muons".into(),
            label: DataLabel::Simulated,
            bytes: Bytes(u64::from(value)),
            inode: u64::MAX,
            mtime: at(value),
            counts: Some(Counts {
                processed: 10,
                accepted: u64::from(value),
                errors: 1,
            }),
            checksum: Some(Checksum::Adler32(u32::from(value))),
            empty: false,
            seen_at: at(value),
        },
        late: false,
        part: 1,
        content: match value % 4 {
            0 => Content::Unclaimed,
            1 => Content::Claimed,
            2 => Content::Verified,
            _ => Content::Differs {
                bytes: Bytes(0),
                adler32: u32::from(value),
            },
        },
    }
}

pub(crate) fn set_aside(key: u8, value: u16) -> SetAside {
    SetAside {
        profile: "hlt".into(),
        name: format!("strange-{key}").as_str().into(),
        refusal: Refusal::SizeDiffers,
        detail: format!("it is {value} bytes long"),
        at: at(value),
    }
}

pub(crate) fn job(key: u8, value: u16) -> Job {
    let attempt = AttemptNumber(u32::from(value % 3) + 1);
    let state = match value % 9 {
        0 => JobState::Ready {
            attempt,
            not_before: at(value),
        },
        1 => JobState::Sent {
            attempt,
            at: at(value),
        },
        2 => JobState::Running {
            attempt,
            since: at(value),
        },
        3 => JobState::Committing {
            attempt,
            since: at(value),
        },
        4 => JobState::Done { attempt },
        5 => JobState::Failed {
            attempt,
            class: ExitClass::Memory,
        },
        6 => JobState::Parked {
            attempt,
            reason: ParkReason::MemoryLimit,
        },
        7 => JobState::Superseded { attempt },
        _ => JobState::Cancelled { attempt },
    };
    let failure = LastFailure {
        class: ExitClass::Memory,
        code: Some(137),
        fingerprint: Fingerprint::of(ExitClass::Memory, Some(137), "no"),
        same: 2,
    };
    let needs = Needs {
        memory: Bytes(u64::from(value)),
        ..Needs::default()
    };
    Job {
        id: JobId(i64::from(key) + 1),
        run: run_of(value),
        task: task(key),
        class: Class::Live,
        inputs: vec![InputId::File(FileId(1)), InputId::Output(OutputId(2))],
        consumed: 1,
        lumis: vec![(LumiNumber(1), LumiNumber(u32::from(value)))],
        deadline: value.is_multiple_of(2).then(|| at(value)),
        failures: u32::from(value),
        last_error: Some("it said \\ \n no".to_owned()),
        failure: value.is_multiple_of(2).then_some(failure),
        needs: value.is_multiple_of(3).then_some(needs),
        lineage: Lineage {
            split_from: value.is_multiple_of(4).then_some(JobId(3)),
            replaced_by: vec![JobId(4), JobId(5)],
            redoes: value.is_multiple_of(5).then_some(JobId(2)),
        },
        stamps: Stamps {
            seen: at(value),
            made: at(value),
            ..Stamps::default()
        },
        provisional: false,
        slice: None,
        estimate: None,
        to_error_dataset: false,
        latest_start: None,
        used: None,
        units: units(value),
        recipe: value.is_multiple_of(2).then(|| Recipe {
            program: "tier0 program express".to_owned(),
            config_hash: "0".repeat(16),
            global_tag: value.is_multiple_of(4).then(|| "prompt_v1".to_owned()),
            constants: vec![UsedConstant {
                tag: "beamspot".into(),
                time_type: TimeType::ALL[usize::from(value) % 3],
                since: Since(u64::from(value) << 47),
                hash: "1".repeat(64),
            }],
        }),
        state,
    }
}

fn units(value: u16) -> Vec<UnitAccount> {
    let absent = u64::from(value % 3);
    let account = UnitAccount {
        units: "spills".to_owned(),
        expected: 10,
        present: 10 - absent,
        absent,
        partial: 1,
        repeated: 0,
        out_of_order: 2,
        absent_ranges: vec![(3, 3)],
        partial_ranges: Vec::new(),
        note: "a cut".to_owned(),
    };
    vec![account; usize::from(value % 2)]
}

pub(crate) fn consumed(key: u8, value: u16) -> Consumed {
    let number = i64::from(key) + 1;
    Consumed {
        task: task(key),
        input: if key < 3 {
            InputId::File(FileId(number))
        } else {
            InputId::Output(OutputId(number))
        },
        first_event: u64::from(key % 2) * 100,
        run: run_of(value),
        job: JobId(number * 7),
    }
}

pub(crate) fn failed_attempt(key: u8, value: u16) -> FailedAttempt {
    FailedAttempt {
        job: JobId(1),
        attempt: AttemptNumber(u32::from(key) + 1),
        class: ExitClass::Transient,
        code: value.is_multiple_of(2).then_some(1),
        fingerprint: Some(Fingerprint::of(ExitClass::Transient, None, "no")),
        message: format!("no, {value} times"),
        at: at(value),
    }
}

pub(crate) fn output(key: u8, value: u16) -> Output {
    Output {
        id: OutputId(i64::from(key) + 1),
        job: JobId(i64::from(key / 2) + 1),
        attempt: AttemptNumber(1),
        run: run_of(value),
        task: task(key),
        label: if key.is_multiple_of(2) {
            "RECO".into()
        } else {
            "DQM".into()
        },
        dataset: DatasetName::of("Muons", "express", "RECO", DataLabel::Simulated),
        name: format!("store/{key}-{value}.root").as_str().into(),
        bytes: Bytes(u64::from(value)),
        adler32: u32::MAX,
        events: Events(u64::from(value)),
        lumis: vec![(LumiNumber(1), LumiNumber(2))],
        seen_at: at(value),
        committed_at: at(value),
        block: value.is_multiple_of(2).then_some(BlockId(1)),
        route: Route::Onward,
        replaces: value.is_multiple_of(5).then_some(OutputId(70)),
        superseded_by: value.is_multiple_of(7).then_some(OutputId(71)),
    }
}

pub(crate) fn block(key: u8, value: u16) -> Block {
    let closed = BlockState::Closed {
        at: at(value),
        closing: Closing::Full,
    };
    Block {
        id: BlockId(i64::from(key) + 1),
        dataset: DatasetName::of("Muons", "express", "RECO", DataLabel::Real),
        run: run_of(value),
        task: Some(task(key)),
        files: u64::from(value),
        bytes: Bytes(1),
        events: Events(2),
        lumis: vec![(LumiNumber(1), LumiNumber(u32::from(value) + 1))],
        opened_at: at(value),
        closes_at: at(value),
        state: if value.is_multiple_of(2) {
            closed
        } else {
            BlockState::Open
        },
    }
}

pub(crate) fn dataset(key: u8, value: u16) -> Dataset {
    Dataset {
        name: DatasetName::of("Muons", &format!("p{key}"), "RECO", DataLabel::Simulated),
        primary: "Muons".to_owned(),
        processed: format!("p{key}"),
        tier: "RECO".to_owned(),
        label: DataLabel::Simulated,
        stream: "Muons".into(),
        task: task(key),
        parents: vec![Parent::Stream("Muons".into())],
        created_at: at(0),
        closed: Totals {
            runs: 1,
            blocks: 2,
            files: u64::from(value),
            bytes: Bytes(10),
            events: Events(5),
            lumis: 3,
            duplicate_lumis: 0,
        },
    }
}

pub(crate) fn content(key: u8, value: u16) -> LumiContent {
    let name = DatasetName::of("Muons", &format!("p{key}"), "RECO", DataLabel::Simulated);
    LumiContent {
        blocks: 1,
        files: u64::from(value),
        lumis: vec![(LumiNumber(1), LumiNumber(u32::from(value) + 1))],
        ..LumiContent::new(name, RunNumber(u32::from(key % 3) + 1))
    }
}

fn decision(key: u8, value: u16) -> GateDecision {
    let quantity = MeasuredQuantity {
        name: "x0_cm".to_owned(),
        value_nano: -i64::from(value),
        error_nano: i64::MAX,
        moved_nano: value.is_multiple_of(2).then_some(i64::MIN),
    };
    GateDecision {
        tag: "beamspot".into(),
        run: RunNumber(u32::from(key) + 1),
        outcome: GateOutcome::Update,
        reason: "it moved".to_owned(),
        n: u64::from(value),
        quantities: vec![quantity],
        late: value.is_multiple_of(5),
        proposed: value.is_multiple_of(3).then(|| format!("{value:064x}")),
        against: value.is_multiple_of(2).then(|| Against {
            since: RunNumber(u32::MAX),
            hash: format!("{value:064x}"),
        }),
        put: value.is_multiple_of(7).then(|| format!("{value:064x}")),
        at: at(value),
    }
}

fn tag(key: u8, value: u16) -> ConditionsTag {
    ConditionsTag {
        name: format!("tag_{key}").as_str().into(),
        time_type: TimeType::ALL[usize::from(value) % 3],
        object_type: "BeamSpotObjects".to_owned(),
        synchronisation: Synchronisation::ALL[usize::from(value) % Synchronisation::ALL.len()],
        description: format!("description {value}"),
        protection: Protection::Open,
        end_of_validity: value.is_multiple_of(2).then(|| Since(u64::from(value))),
        held: value.is_multiple_of(3).then(|| Hold {
            by: "an expert".to_owned(),
            reason: format!("reason {value}"),
            at: at(value),
        }),
        inserted_at: at(value),
    }
}

fn global_tag(key: u8, value: u16) -> GlobalTag {
    let tags = (0..value % 3).map(|n| RecordTag {
        record: format!("record {n}"),
        label: String::new(),
        tag: format!("tag_{n}").as_str().into(),
    });
    GlobalTag {
        name: format!("global_{key}"),
        description: format!("description {value}"),
        release: String::new(),
        snapshot_at: at(value),
        inserted_at: at(value),
        tags: tags.collect(),
    }
}

/// Sinces of tags that count by run, by lumi and by time, up to the largest that a store takes.
fn iov(key: u8, value: u16) -> Iov {
    let number = u32::from(key / 2);
    let since = match key / 2 % 4 {
        0 => Since::run(RunNumber(number + 1)),
        1 => Since::lumi(RunNumber(i32::MAX as u32), u32::MAX - number),
        2 => Since(i64::MAX as u64 - u64::from(number)),
        _ => Since::time(at(u16::from(key))),
    };
    Iov {
        tag: "beamspot".into(),
        since,
        hash: format!("{value:064x}"),
        sequence: i64::from(key),
        inserted_at: at(value),
    }
}

pub(crate) fn payload(key: u8) -> ConditionsPayload {
    ConditionsPayload {
        hash: format!("{key:064x}"),
        text: format!("{{\"x0\": {key}}}\n"),
    }
}

fn quality(key: u8, value: u16) -> RunQuality {
    let test = TestAnswer {
        name: "contents_x_range".to_owned(),
        histogram: "mass".to_owned(),
        status: 100,
        value_ppm: u32::from(value),
        message: String::new(),
    };
    RunQuality {
        run: RunNumber(u32::from(key) + 1),
        verdict: RunVerdict::Good,
        tests: vec![test],
        tested_by: vec![(JobId(9), 1)],
        certified: vec![(1, u32::from(value) + 1)],
        refused: None,
        last_file_seen_at: at(value),
        at: at(value),
        chain: Span(1),
    }
}

fn alarm(key: u8, value: u16) -> Alarm {
    Alarm {
        key: format!("lumi-disputed/{key}"),
        severity: Severity::Medium,
        text: format!("{value} too many"),
        raised_at: at(0),
        cleared_at: (!value.is_multiple_of(2)).then(|| at(value)),
    }
}

fn ruling(key: u8, value: u16) -> Ruling {
    Ruling {
        task: task(key),
        run: (!key.is_multiple_of(2)).then(|| run_of(value)),
        kind: RulingKind::Held,
        by: "a test".to_owned(),
        reason: format!("reason {value}"),
        at: at(value),
    }
}

pub(crate) fn source(key: u8, value: u16) -> model::source::Source {
    let (at, since) = (at(value), at(value));
    let again = Some(CopyPlace::Second);
    let states = [
        SourceState::Verified {
            copy: CopyPlace::First,
        },
        SourceState::VerifiedTwice { since, again },
        SourceState::Released { at },
    ];
    model::source::Source {
        file: FileId(i64::from(key) + 1),
        run: run_of(value),
        state: states[usize::from(value % 3)],
        bytes: Bytes(u64::from(value)),
        adler32: u32::from(value) << 16,
        steps: u32::from(key),
    }
}

pub(crate) fn evidence(key: u8, value: u16) -> Evidence {
    Evidence {
        file: FileId(i64::from(key) + 1),
        run: run_of(value),
        step: u32::from(key % 2) + 1,
        from: "copied".to_owned(),
        to: "verified".to_owned(),
        at: at(value),
        agent: AgentNumber(3),
        epoch: Epoch(i64::from(value)),
        by: None,
        copy: (!value.is_multiple_of(2)).then_some(CopyPlace::First),
        bytes: Some(Bytes(u64::from(value))),
        adler32: Some(u32::from(value)),
        how: How::ReadFromStorage,
        detail: String::new(),
    }
}

fn usage(key: u8, value: u16) -> TaskUsage {
    TaskUsage {
        task: task(key),
        jobs: u64::from(value),
        events: u64::from(value) * 7,
        wall_ns: i64::from(value) * 1_000,
        output_bytes: u64::from(value) * 11,
    }
}

fn message(key: u8, value: u16) -> OutboxMessage {
    OutboxMessage {
        id: MessageId(i64::from(key) + 1),
        kind: "block.closed".to_owned(),
        run: run_of(value),
        subject: format!("block {key}"),
        at: at(value),
    }
}

fn audit(key: u8, value: u16) -> Audit {
    Audit {
        id: AuditId(i64::from(key) + 1),
        at: at(value),
        by: "a shifter".to_owned(),
        verb: "run close".to_owned(),
        object: format!("run/{}", run_of(value)),
        before: "ending".to_owned(),
        after: format!("closed {value}"),
        reason: "a disk was lost: \"it's gone\"".to_owned(),
    }
}

fn configuration(key: u8, value: u16) -> ConfigurationText {
    ConfigurationText {
        hash: format!("{key:016x}"),
        text: format!("[[stream]]\nname = \"a{value}\"\n"),
        taken_at: at(value),
    }
}
