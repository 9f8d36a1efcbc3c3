//! What the windows look at in tests: a catalogue in memory, a door that remembers, a status that
//! is told.
//!
//! In: questions. Out: always the same three runs, five jobs of the first, four intervals. Must
//! never be more clever than a table.

mod holdings;
mod sources;

use model::alarm::Alarm;
use model::arrival::SetAside;
use model::audit::Audit;
use model::command::{Command, Intent, Order, Preview, Reply};
use model::conditions::{
    ConditionsPayload, ConditionsTag, GateDecision, GlobalTag, Iov, RecordTag,
};
use model::conditions::{Protection, Since, Synchronisation, TimeType};
use model::dataset::{Block, Output};
use model::failure::Fingerprint;
use model::file::File;
use model::ids::{AttemptNumber, AuditId, FileId, JobId, LumiNumber, RunNumber, WitnessId};
use model::job::{
    Class, ExitClass, FailedAttempt, InputId, Job, JobState, Lineage, Recipe, Stamps,
};
use model::lumi::Expected;
use model::names::{DataLabel, FileName, TaskPath};
use model::quality::{RunQuality, RunVerdict};
use model::run::{Run, RunState, RunType, StartedBy};
use model::time::{Moment, Span};
use model::wait::{Object, Wait, WaitKind, Why};
use model::witness::{Instance, Says, Source, Witness};
use model::work::Location;
use ports::catalogue::{Catalogue, Page, RunCounts};
use ports::storage::ReadBack;
use ports::store::StoreError;
use std::sync::Mutex;
use tier0_api::{CommandDoor, DocumentSource, DoorError, StatusSource};
use view::health::SystemView;
use view::latency::LatencyView;

/// A store in memory: three runs, five jobs of the first.
#[derive(Default)]
pub(crate) struct Memory {
    /// Whether the list of runs cannot be read.
    pub(crate) broken: bool,
}

fn at(seconds: i64) -> Moment {
    Moment(seconds * 1_000_000_000)
}

fn run(number: u32, label: DataLabel) -> Run {
    Run {
        number: RunNumber(number),
        run_type: RunType::Physics,
        label,
        started_by: StartedBy::FirstFile,
        opened_at: at(0),
        pipelines: vec!["express".into()],
        config_hash: "0123456789abcdef".into(),
        last_lumi: Some(4),
        announced_events: None,
        ended_at: None,
        announced: false,
        part: 1,
        resumed: 0,
        last_file_seen_at: at(90),
        sliced_from: None,
        quarantined: None,
        state: RunState::Closed { at: at(100) },
    }
}

fn job(id: i64) -> Job {
    let failed = id == 5;
    Job {
        id: JobId(id),
        run: RunNumber(1),
        task: TaskPath::new("express", "reco"),
        class: Class::Live,
        inputs: vec![InputId::File(FileId(100))],
        consumed: 1,
        lumis: vec![],
        deadline: Some(at(60)),
        failures: u32::from(failed),
        last_error: failed.then(|| "no such program".into()),
        failure: None,
        needs: None,
        lineage: Lineage::default(),
        stamps: Stamps {
            seen: at(0),
            done: (!failed).then(|| at(20 * id)),
            ..Stamps::default()
        },
        provisional: false,
        slice: None,
        estimate: None,
        to_error_dataset: false,
        latest_start: None,
        used: None,
        units: Vec::new(),
        recipe: Some(Recipe {
            program: "tier0 program express".into(),
            config_hash: "0123456789abcdef".into(),
            global_tag: None,
            constants: vec![],
        }),
        state: if failed {
            JobState::Failed {
                attempt: AttemptNumber::FIRST,
                class: ExitClass::Program,
            }
        } else {
            JobState::Done {
                attempt: AttemptNumber::FIRST,
            }
        },
    }
}

pub(super) fn cut<T>(rows: Vec<T>, page: Page, key: impl Fn(&T) -> i64) -> Vec<T> {
    let after = page.after.unwrap_or(i64::MIN);
    rows.into_iter()
        .filter(|row| key(row) > after)
        .take(page.limit as usize)
        .collect()
}

impl Catalogue for Memory {
    fn runs(&self, page: Page) -> Result<Vec<Run>, StoreError> {
        if self.broken {
            return Err(StoreError::Busy {
                tried: "reading runs".into(),
                detail: "locked".into(),
            });
        }
        let real = DataLabel::Real;
        let all = vec![run(1, real), run(2, real), run(3, DataLabel::Simulated)];
        Ok(cut(all, page, |run| i64::from(run.number.0)))
    }
    fn run(&self, number: RunNumber) -> Result<Option<Run>, StoreError> {
        Ok((number.0 == 1).then(|| run(1, DataLabel::Real)))
    }
    fn run_counts(&self, _: RunNumber) -> Result<RunCounts, StoreError> {
        Ok(RunCounts {
            files: 4,
            events_in: 400,
            jobs: 5,
            jobs_done: 4,
            jobs_failed: 1,
            jobs_cancelled: 0,
        })
    }
    fn witnesses(&self, run: RunNumber) -> Result<Vec<Witness>, StoreError> {
        let says = Says::Lumis {
            first: LumiNumber(2),
            last: LumiNumber(4),
            stream: Some("Muons".into()),
            expected: Expected::Lost,
        };
        Ok(vec![Witness {
            id: WitnessId(1),
            run,
            says,
            source: Source::Operator,
            instance: Instance::ONLY,
            at: at(3),
            by: "a shifter".into(),
            reason: "a disk was lost".into(),
            late: false,
        }])
    }
    fn files(&self, _: Option<RunNumber>, _: Page) -> Result<Vec<File>, StoreError> {
        Ok(vec![])
    }
    fn file(&self, id: FileId) -> Result<Option<File>, StoreError> {
        Ok(Some(holdings::file()).filter(|file| file.id == id))
    }
    fn jobs(
        &self,
        _: Option<RunNumber>,
        state: Option<&str>,
        page: Page,
    ) -> Result<Vec<Job>, StoreError> {
        let all = (1..=5)
            .map(job)
            .filter(|job| state.is_none_or(|s| job.state.word() == s));
        Ok(cut(all.collect(), page, |job| job.id.0))
    }
    fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        Ok((1..=5).contains(&id.0).then(|| job(id.0)))
    }
    fn failed_attempts(&self, id: JobId) -> Result<Vec<FailedAttempt>, StoreError> {
        let failed = FailedAttempt {
            job: id,
            attempt: AttemptNumber::FIRST,
            class: ExitClass::Program,
            code: Some(127),
            fingerprint: Some(Fingerprint::of(
                ExitClass::Program,
                Some(127),
                "no such program",
            )),
            message: "no such program".into(),
            at: at(1),
        };
        Ok(if id.0 == 5 { vec![failed] } else { vec![] })
    }
    fn outputs(&self, _: Option<RunNumber>, _: Page) -> Result<Vec<Output>, StoreError> {
        Ok(vec![])
    }
    fn blocks(&self, _: Option<RunNumber>, page: Page) -> Result<Vec<Block>, StoreError> {
        Ok(cut(holdings::blocks(), page, |block| block.id.0))
    }
    fn decisions(&self) -> Result<Vec<GateDecision>, StoreError> {
        Ok(vec![])
    }
    fn tags(&self) -> Result<Vec<ConditionsTag>, StoreError> {
        let tag = |name: &str, time_type, synchronisation| ConditionsTag {
            name: name.into(),
            time_type,
            object_type: "Alignments".into(),
            synchronisation,
            description: "by hand".into(),
            protection: Protection::Open,
            end_of_validity: None,
            held: None,
            inserted_at: at(0),
        };
        Ok(vec![
            tag("alignment", TimeType::Run, Synchronisation::Offline),
            tag("spot", TimeType::Lumi, Synchronisation::Any),
            tag("wires", TimeType::Time, Synchronisation::Any),
        ])
    }
    fn global_tags(&self) -> Result<Vec<GlobalTag>, StoreError> {
        Ok(vec![GlobalTag {
            name: "2026_prompt_v1".to_owned(),
            description: "for prompt".to_owned(),
            release: String::new(),
            snapshot_at: at(5),
            inserted_at: at(6),
            tags: vec![RecordTag {
                record: "Alignments".to_owned(),
                label: String::new(),
                tag: "alignment".into(),
            }],
        }])
    }
    fn iovs(&self) -> Result<Vec<Iov>, StoreError> {
        let iov = |tag: &str, since: u64, sequence: i64| Iov {
            tag: tag.into(),
            since: Since(since),
            hash: format!("{sequence:064}"),
            sequence,
            inserted_at: at(sequence),
        };
        Ok(vec![
            iov("beamspot", 1, 1),
            iov("beamspot", 5, 2),
            iov("beamspot", 5, 3),
            iov("scale", 1, 4),
            iov("spot", (6 << 32) | 3, 7),
            iov("spot", (7 << 32) | 2, 8),
            iov("spot", (7 << 32) | 2, 9),
            iov("spot", (7 << 32) | 5, 10),
            iov("spot", (8 << 32) | 1, 11),
            iov("wires", 0, 5),
            iov("wires", 1, 6),
        ])
    }
    fn payload(&self, hash: &str) -> Result<Option<ConditionsPayload>, StoreError> {
        let text = "x0_cm = 0.07".to_owned();
        Ok(hash.ends_with('1').then(|| ConditionsPayload {
            hash: hash.to_owned(),
            text,
        }))
    }
    fn quality(&self) -> Result<Vec<RunQuality>, StoreError> {
        let quality = |run: u32| RunQuality {
            run: RunNumber(run),
            verdict: RunVerdict::Good,
            tests: vec![],
            tested_by: vec![],
            certified: vec![(1, 4)],
            refused: None,
            last_file_seen_at: at(90),
            at: at(110),
            chain: Span::from_secs(5),
        };
        Ok(vec![quality(1), quality(2), quality(3)])
    }
    fn set_aside(&self) -> Result<Vec<SetAside>, StoreError> {
        Ok(vec![])
    }
    fn alarms(&self, _: bool) -> Result<Vec<Alarm>, StoreError> {
        Ok(vec![])
    }
    fn audits(&self, page: Page) -> Result<Vec<Audit>, StoreError> {
        let act = |id: i64| Audit {
            id: AuditId(id),
            at: at(id),
            by: "a shifter".into(),
            verb: "run stop".into(),
            object: "run/1".into(),
            before: "open".into(),
            after: "ending".into(),
            reason: "beam dump".into(),
        };
        Ok(cut(vec![act(1), act(2)], page, |audit| audit.id.0))
    }
}

/// Remembers what was asked; refuses to stop run 9, has closed run 3, answers nothing about job 9.
#[derive(Default)]
pub(crate) struct Door(pub(crate) Mutex<Vec<Order>>);

impl CommandDoor for Door {
    fn gates(&self) -> Result<Vec<model::ruling::GateState>, DoorError> {
        Ok(Vec::new())
    }

    fn why(&self, object: Object) -> Result<Option<Why>, DoorError> {
        let run = RunNumber(1);
        let wait = Wait {
            object: object.clone(),
            run,
            kind: WaitKind::EndOfRun,
            reason: "its end was not announced yet".into(),
            since: Some(at(1)),
            until: None,
            remedy: "tier0 run stop 1 --last-lumi N".into(),
        };
        Ok((object == Object::Run(run)).then(|| Why {
            object,
            state: "physics, open".into(),
            waits: vec![wait],
        }))
    }
    fn ask(&self, order: Order) -> Result<Reply, DoorError> {
        self.0.lock().unwrap().push(order.clone());
        if matches!(order.command, Command::RunClose { run, .. } if run.0 == 3) {
            return Ok(Reply::Done("run 3 was already closed".into()));
        }
        if order.intent == Intent::Preview {
            return Ok(Reply::Would(Preview {
                would: order.command.verb().into(),
                count: 2,
                objects: vec!["lumi/7/Muons/1-2".into()],
            }));
        }
        match order.command {
            Command::RunStop {
                run: RunNumber(9), ..
            } => Ok(Reply::Refused("run 9 is not open; start it first".into())),
            Command::Jobs(asked) if asked.which.job == Some(JobId(9)) => Err(DoorError::Unknown {
                tried: "retrying job 9".into(),
                detail: "30 s passed".into(),
            }),
            _ => Ok(Reply::Done("noted".into())),
        }
    }
}

/// Has one file of nine bytes in the spool and nothing else.
pub(crate) struct Folder;

impl DocumentSource for Folder {
    fn document(&self, name: &FileName, _: u64) -> Result<String, String> {
        Err(format!("reading {name}: it is gone"))
    }
}

impl ReadBack for Folder {
    fn read_back(&self, location: &Location) -> Result<(u64, u32), String> {
        match location {
            Location::Spool { .. } => Ok((9, 0x11e6_0398)),
            Location::Storage { name } | Location::Copy { name, .. } => {
                Err(format!("reading {name} back: it is gone"))
            }
        }
    }
}

/// Says what it was told.
pub(crate) struct Status {
    /// Whether it says so.
    pub(crate) ready: bool,
}

impl StatusSource for Status {
    fn now(&self) -> Moment {
        at(120)
    }
    fn ready(&self) -> bool {
        self.ready
    }
    fn troubles(&self) -> Vec<Alarm> {
        vec![]
    }
    fn metrics(&self) -> String {
        "# TYPE tier0_files counter\ntier0_files_total 4\n# EOF\n".into()
    }
    fn latency(&self) -> Vec<LatencyView> {
        vec![]
    }
    fn system(&self) -> SystemView {
        SystemView {
            version: "0.1.0".into(),
            epoch: 3,
            ..SystemView::default()
        }
    }
}
