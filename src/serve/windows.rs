//! The instance's windows: what the API is given to look at, and where it listens.

use super::reading::Folders;
use super::reload::Reloader;
use crate::config::Config;
use agents::clock::SystemClock;
use agents::runtime::{AgentHandle, Status};
use agents::surroundings::Surroundings;
use api::{ApiParts, CommandDoor, DoorError, Listen, Reach, StatusSource};
use engine::Setup;
use meter::Meter;
use model::alarm::Alarm;
use model::command::{Command, Order, Reply};
use model::time::Moment;
use model::wait::{Object, Why};
use ports::catalogue::Catalogue;
use ports::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use view::health::{ExecutorView, SystemView};
use view::latency::LatencyView;

/// Who the instance is, for whoever asks.
pub(super) struct Identity {
    agent: u16,
    epoch: i64,
    cores: u32,
    started_at: Moment,
    clock: SystemClock,
}

impl Identity {
    pub(super) fn of(setup: &Setup, clock: SystemClock) -> Self {
        Self {
            agent: setup.agent.0,
            epoch: setup.epoch.0,
            cores: setup.cores,
            started_at: clock.now(),
            clock,
        }
    }
}

struct EngineDoor(Arc<Reloader>);

impl CommandDoor for EngineDoor {
    fn ask(&self, order: Order) -> Result<Reply, DoorError> {
        let tried = format!("{:?}", order.command);
        let answer = match order.command {
            Command::ConfigReload => self.0.reload(order),
            _ => self.0.commands.ask(order),
        };
        answer.map_err(|error| no_answer(tried, &error))
    }

    fn gates(&self) -> Result<Vec<model::ruling::GateState>, DoorError> {
        let answer = self.0.commands.gates();
        answer.map_err(|error| no_answer("gates".to_owned(), &error))
    }

    fn why(&self, object: Object) -> Result<Option<Why>, DoorError> {
        let tried = format!("why {object}");
        let answer = self.0.commands.why(object);
        answer.map_err(|error| no_answer(tried, &error))
    }
}

fn no_answer(tried: String, error: &agents::commands::DoorError) -> DoorError {
    use agents::commands::DoorError as Agents;
    let detail = error.to_string();
    match error {
        Agents::NoAnswer { .. } => DoorError::Unknown { tried, detail },
        Agents::Crowded | Agents::Stopping => DoorError::Closed { tried, detail },
    }
}

struct Window {
    identity: Identity,
    reloader: Arc<Reloader>,
    status: Arc<Status>,
    surroundings: Surroundings,
    meter: Arc<Meter>,
}

impl StatusSource for Window {
    fn now(&self) -> Moment {
        self.identity.clock.now()
    }

    fn ready(&self) -> bool {
        !self.status.store_stalled.load(Ordering::Relaxed)
    }

    fn troubles(&self) -> Vec<Alarm> {
        self.surroundings.alarms()
    }

    fn metrics(&self) -> String {
        use meter::{Counter, Gauge};
        let (status, meter) = (&self.status, &self.meter);
        let read = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed);
        meter.set(Gauge::RunsOpen, read(&status.runs_live) as i64);
        meter.set(Gauge::JobsWaiting, read(&status.queue_length) as i64);
        meter.set(Gauge::JobsLive, read(&status.jobs_live) as i64);
        meter.set(Gauge::CoresUsed, read(&status.cores_used) as i64);
        meter.set(Gauge::Cores, i64::from(self.identity.cores));
        meter.count_to(Counter::Inputs, read(&status.inputs));
        meter.count_to(Counter::Batches, read(&status.batches));
        meter.exposition()
    }

    fn latency(&self) -> Vec<LatencyView> {
        let view = |hop: meter::HopQuantiles| LatencyView {
            run: None,
            pipeline: Some(hop.pipeline.to_string()),
            task: None,
            hop: hop.hop.as_str().to_owned(),
            n: hop.count,
            p50_s: hop.p50.as_secs_f64(),
            p90_s: hop.p90.as_secs_f64(),
            p99_s: hop.p99.as_secs_f64(),
            max_s: hop.max.as_secs_f64(),
            budget_s: None,
            missed: None,
        };
        self.meter.quantiles().into_iter().map(view).collect()
    }

    fn system(&self) -> SystemView {
        let (identity, status) = (&self.identity, &self.status);
        let now = self.now();
        SystemView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            agent: identity.agent,
            epoch: identity.epoch,
            pid: std::process::id(),
            started_at: identity.started_at.to_string(),
            uptime_s: now.since(identity.started_at).as_secs_f64(),
            config_hash: self.reloader.hash(),
            rss_bytes: resident_bytes(),
            runs_live: status.runs_live.load(Ordering::Relaxed),
            jobs_live: status.jobs_live.load(Ordering::Relaxed),
            executors: vec![ExecutorView {
                name: "local".to_owned(),
                cores: identity.cores,
                attempts: status.cores_used.load(Ordering::Relaxed),
            }],
            lanes: Vec::new(),
        }
    }
}

/// Memory that this process holds, from the kernel's own count (proc(5), `VmRSS`); zero where there
/// is none.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| {
        rest.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or(0) * 1_024
}

pub(super) fn parts(
    catalogue: Arc<dyn Catalogue>,
    agent: &AgentHandle,
    meter: Arc<Meter>,
    identity: Identity,
    folders: Arc<Folders>,
    reloader: Arc<Reloader>,
) -> ApiParts {
    ApiParts {
        catalogue,
        files: folders.clone(),
        documents: folders,
        commands: Arc::new(EngineDoor(reloader.clone())),
        status: Arc::new(Window {
            identity,
            reloader,
            status: agent.status.clone(),
            surroundings: agent.surroundings.clone(),
            meter,
        }),
    }
}

pub(super) fn listen(config: &Config) -> Listen {
    Listen {
        tcp: Some(config.api.listen),
        reach: if config.api.allow_remote {
            Reach::Beyond
        } else {
            Reach::ThisHost
        },
        unix: config.api.socket.clone(),
        address_file: Some(config.instance.state.join("api.addr")),
    }
}
