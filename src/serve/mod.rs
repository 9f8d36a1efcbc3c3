//! The only place where adapters meet ports: a checked configuration becomes a running instance.
//! Nothing binds, opens or starts before all of it is valid.
//!
//! The order of a start: lock and raise the epoch (from here on no older instance can write), end
//! what an older epoch left, read the rows, go to work, open the windows, and only then look at the
//! spool folders.

mod inventory;
mod journal;
mod profiles;
mod reading;
mod reload;
mod sources;
mod splitters;
mod settings;
mod windows;

use crate::check::Checked;
use crate::config::StreamConfig;
use agents::clock::SystemClock;
use agents::commands::Commands;
use agents::message::Message;
use agents::runtime::{AgentHandle, Parts};
use engine::{Input, Setup};
use executors::{LocalExecutor, LocalLimits, LocalOptions};
use lanes::{Sender, Wait};
use meter::Meter;
use model::arrival::Seen;
use model::command::{Command, Order, Reply};
use model::ids::{JobId, RunNumber, Token};
use model::names::FileName;
use ports::disk::Disk;
use ports::executor::{Executor, NewsSink};
use ports::failpoint::{Point, pass};
use ports::storage::Storage;
use ports::store::Ledger;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::{PosixDisk, PosixStorage};
use store::{Database, SqlCatalogue, SqlLedger};
use watch::WatchHandle;

pub use journal::replay;
use reload::Reloader;
pub use reload::Reread;
pub(crate) use settings::configuration;

/// Why an instance did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder could not be made.
    #[error("making the folder {path}: {source}; name another one or mend its permissions")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The program cannot find itself.
    #[error("finding the path of this program: {0}; start it by its full path")]
    Myself(std::io::Error),
    /// A password.
    #[error("reading the password of the store: {detail}; name where it is in [store]")]
    Secret {
        /// Where, and what the operating system said.
        detail: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] ports::store::StoreError),
    /// The storage of outputs.
    #[error("clearing the storage of outputs: {0}")]
    Storage(String),
    /// The agent.
    #[error(transparent)]
    Agent(#[from] agents::runtime::AgentError),
    /// What a run at work was opened with cannot be read any more.
    #[error(
        "run {run} is at work with configuration {hash}, which this program cannot read: {why}\n\
         let the version of the program that took it finish its runs first"
    )]
    Configuration {
        /// Which.
        hash: String,
        /// Whose.
        run: RunNumber,
        /// What is wrong with it.
        why: String,
    },
    /// The thread that looks after the storage.
    #[error("starting the thread that takes stock of the storage: {0}; raise the limit of threads")]
    Inventory(std::io::Error),
    /// A window.
    #[error(transparent)]
    Window(#[from] api::ServeError),
    /// A stream profile.
    #[error("stream {name}: {detail}")]
    Stream {
        /// Which.
        name: String,
        /// What is wrong, and what to do.
        detail: String,
    },
}

/// A running instance. Dropping it without [`Instance::stop`] ends it as a crash would.
pub struct Instance {
    agent: AgentHandle,
    watchers: Vec<WatchHandle>,
    server: api::ServerHandle,
    state: PathBuf,
    reloader: Arc<Reloader>,
    ended: Arc<tokio::sync::Notify>,
    inventory: inventory::InventoryHandle,
}

/// Files and records go to the engine's lane; it waits when the engine has enough, and the folder
/// is the buffer.
struct SpoolToEngine(Sender<Message, Wait>);

impl watch::SeenSink for SpoolToEngine {
    fn seen(&self, seen: Seen) {
        // A closed lane means that the instance stops; the next start scans the folder.
        pass(Point::Seen);
        let _ = self.0.send(Message::Input(Input::Seen(seen)));
        pass(Point::SeenTold);
    }
}

impl Instance {
    /// Starts an instance. `program` is the path of this binary: it becomes the spawner and
    /// `{tier0}`; `reread` reads and checks its configuration again when somebody asks for that.
    pub fn start(
        mut checked: Checked,
        program: &Path,
        reread: Option<Reread>,
    ) -> Result<Self, StartError> {
        make_absolute(&mut checked.config)?;
        let config = &checked.config;
        let places = &config.instance;
        let conditions = places.state.join("conditions");
        for path in [&places.state, &places.work, &places.storage, &conditions] {
            std::fs::create_dir_all(path).map_err(|source| StartError::Folder {
                path: path.clone(),
                source,
            })?;
        }
        let database = database_of(config)?;
        let state_disk = PosixDisk::with_reserve(&places.state);
        if state_disk.is_low() {
            // What was kept back is for this: to start, and to say so.
            state_disk.release_reserve();
        }
        let mut ledger = SqlLedger::open(&database, &places.state, places.agent)?;
        let standing = ledger.raise_epoch()?;
        let rows = ledger.restore()?;
        let clock = SystemClock::start(standing.moment);
        let configuration = settings::configuration(&checked, program);
        let streams = config.streams.iter();
        let complete = |of: &StreamConfig| (of.name.clone(), profiles::completion_of(of));
        let setup = Setup {
            completions: streams.clone().map(complete).collect(),
            agent: places.agent,
            epoch: standing.epoch,
            earlier: settings::earlier(&rows, &configuration.hash, program)?,
            configuration,
            cores: config.local.cores.unwrap_or_else(all_cores),
            archive_after: Some(config.store.archive_after),
            default_run_type: config
                .streams
                .first()
                .map_or(model::run::RunType::Physics, |stream| stream.run_type),
            release: sources::policy(config),
        };
        let storage = open_storage(places, &rows)?;
        let meter = Arc::new(Meter::new());
        let local = local_options(&checked, &setup, program, clock);
        let identity = windows::Identity::of(&setup, clock);
        let ended = Arc::new(tokio::sync::Notify::new());
        let end = ended.clone();
        let spools = streams.map(|stream| (stream.name.clone(), stream.folder.clone()));
        let folders = Arc::new(reading::Folders {
            spools: spools.collect(),
            storage: places.storage.clone(),
            copies: sources::folders(config),
            turn: std::sync::Mutex::new(()),
        });
        let catalogue = Arc::new(SqlCatalogue::open(&database)?);
        let agent = agents::runtime::start(Parts {
            splitters: splitters::of(&places.work, setup.epoch),
            setup,
            standing,
            rows,
            ledger: Box::new(ledger),
            executor: Box::new(move |sink| start_local(local, sink)),
            storage,
            history: catalogue.clone(),
            files: folders.clone(),
            sources: sources::keeper(config)?,
            output_disk: Arc::new(PosixDisk::below(&places.storage)),
            state_disk: Arc::new(state_disk),
            clock,
            meter: meter.clone(),
            good_runs: places.state.join("good-runs.json"),
            journal: journal::place(places, program),
            on_end: Box::new(move || end.notify_one()),
        })?;
        let commands = agent.commands.clone();
        let reloader = Arc::new(Reloader::new(checked.clone(), program, reread, commands));
        let parts = windows::parts(
            catalogue.clone(),
            &agent,
            meter,
            identity,
            folders,
            reloader.clone(),
        );
        let server = api::serve(&windows::listen(config), parts)?;
        pass(Point::WindowsOpen);
        let watchers = start_watchers(&checked, &agent, clock)?;
        pass(Point::WatchersStarted);
        let inventory = start_inventory(catalogue, places, &agent)?;
        Ok(Self {
            inventory,
            agent,
            watchers,
            server,
            state: places.state.clone(),
            reloader,
            ended,
        })
    }

    /// The address that the API answers on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.address
    }

    /// The folder of the instance's state.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The door for commands.
    pub fn commands(&self) -> Commands {
        self.agent.commands.clone()
    }

    /// Reads the configuration again: what came of it, in words. Blocks: not for async code.
    pub fn reload(&self, by: &str) -> String {
        match self.reloader.reload(Order::new(Command::ConfigReload, by)) {
            Ok(Reply::Done(done)) => done,
            Ok(Reply::Jobs(reply)) => reply.done,
            Ok(Reply::Put(reply)) => reply.done,
            Ok(Reply::Would(preview)) => preview.would,
            Ok(Reply::Refused(why)) => {
                format!("the configuration was not taken, the one before stays in force\n{why}")
            }
            Err(error) => error.to_string(),
        }
    }

    /// Notified when the engine has ended by itself: [`Instance::stop`] says why.
    pub fn ended(&self) -> Arc<tokio::sync::Notify> {
        self.ended.clone()
    }

    /// Waits until every watcher has looked through its folder once.
    pub fn wait_until_scanned(&self) {
        for watcher in &self.watchers {
            watcher.wait_ready(None);
        }
    }

    /// Stops: watchers first, then the engine (what it decided is recorded), then the windows.
    pub fn stop(self) -> Result<(), agents::runtime::AgentError> {
        // It asks the store, and tells the engine.
        drop(self.inventory);
        // An engine that has ended already cannot be asked; `join` says why it did.
        let _ = self.agent.commands.stop();
        for watcher in self.watchers {
            // A watcher that failed said so when it did; stopping goes on.
            let _ = watcher.stop_and_join();
        }
        pass(Point::WatchersEnded);
        let result = self.agent.join();
        self.server.stop();
        pass(Point::Stopped);
        result
    }
}

/// The database that the configuration names, with its password from where that is kept.
pub(crate) fn database_of(config: &crate::config::Config) -> Result<Database, StartError> {
    let store = &config.store;
    let Some(url) = &store.url else {
        return Ok(Database::in_folder(&config.instance.state));
    };
    let secret = |detail: String| StartError::Secret { detail };
    let password = match (&store.password_file, &store.password_env) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| secret(format!("{}: {error}", path.display())))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        (None, Some(name)) => {
            let text = std::env::var(name);
            Some(text.map_err(|error| secret(format!("${name}: {error}")))?)
        }
        (None, None) => None,
    };
    Ok(Database::at(url, password.as_deref())?)
}

/// Attempts run in folders of their own: whatever they are told must not depend on where we are.
fn make_absolute(config: &mut crate::config::Config) -> Result<(), StartError> {
    let instance = &mut config.instance;
    let paths = [
        &mut instance.state,
        &mut instance.work,
        &mut instance.storage,
    ];
    let secrets = config.store.password_file.iter_mut();
    let folders = config.streams.iter_mut().map(|stream| &mut stream.folder);
    let copies = config.release.copies.iter_mut().flatten();
    // A program without a folder is looked for in PATH.
    let programs = config
        .programs
        .values_mut()
        .filter(|path| path.components().count() > 1);
    let named = folders.chain(copies).chain(programs).chain(secrets);
    for path in paths.into_iter().chain(named) {
        *path = std::path::absolute(&*path).map_err(|source| StartError::Folder {
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

fn all_cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// Starts whoever compares the storage of outputs with what is on record.
fn start_inventory(
    catalogue: Arc<SqlCatalogue>,
    places: &crate::config::InstanceConfig,
    agent: &AgentHandle,
) -> Result<inventory::InventoryHandle, StartError> {
    let inventory = inventory::Inventory {
        catalogue,
        storage: places.storage.clone(),
        surroundings: agent.surroundings.clone(),
        status: agent.status.clone(),
        maker,
    };
    inventory.start().map_err(StartError::Inventory)
}

/// The run and job in an output's final name: `dataset/run/label-job-attempt.extension`.
fn maker(name: &FileName) -> Option<(RunNumber, JobId)> {
    let mut parts = name.as_str().rsplit('/');
    let (file, run) = (parts.next()?, parts.next()?);
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    let mut numbers = stem.rsplit('-');
    let _attempt: u32 = numbers.next()?.parse().ok()?;
    let job = numbers.next()?.parse().ok()?;
    Some((RunNumber(run.parse().ok()?), JobId(job)))
}

/// The run whose outputs are in a folder of the storage: the last part behind the three or four of
/// a dataset's name.
fn run_of(folder: &str) -> Option<RunNumber> {
    let (dataset, run) = folder.rsplit_once('/')?;
    let is_dataset = dataset.split('/').count() >= 3;
    run.parse().ok().filter(|_| is_dataset).map(RunNumber)
}

/// Opens the storage and removes what losing attempts left.
fn open_storage(
    places: &crate::config::InstanceConfig,
    rows: &ports::store::Rows,
) -> Result<Arc<dyn Storage>, StartError> {
    let work = places.work.clone();
    let folder = move |token: Token| executors::attempt_folder(&work, token);
    let failed = |failure: model::work::CommitFailure| StartError::Storage(failure.message);
    let storage = PosixStorage::new(&places.storage, Box::new(folder)).map_err(failed)?;
    let known: BTreeSet<&FileName> = rows.outputs.iter().map(|output| &output.name).collect();
    let runs: BTreeMap<JobId, RunNumber> = rows.jobs.iter().map(|job| (job.id, job.run)).collect();
    // Only what a job of ours left may go: a storage that knows more than our rows (an older
    // backup, another instance, a wrong folder) is nobody's garbage.
    let is_ours =
        |name: &FileName| maker(name).is_some_and(|(run, job)| runs.get(&job) == Some(&run));
    // What jobs of archived runs left was collected while they were at work.
    let at_work: BTreeSet<RunNumber> = runs.values().copied().collect();
    let looks_into = |folder: &str| run_of(folder).is_none_or(|run| at_work.contains(&run));
    storage
        .collect_garbage(&looks_into, &|name| known.contains(name) || !is_ours(name))
        .map_err(failed)?;
    pass(Point::StorageOpened);
    Ok(Arc::new(storage))
}

fn local_options(
    checked: &Checked,
    setup: &Setup,
    program: &Path,
    clock: SystemClock,
) -> impl FnOnce(Arc<dyn NewsSink>) -> LocalOptions + use<> {
    let config = checked.config.clone();
    let (epoch, cores, spawner) = (setup.epoch, setup.cores, program.to_owned());
    move |sink| LocalOptions {
        work_dir: config.instance.work.clone(),
        epoch,
        cores,
        spawner,
        spool: config
            .streams
            .iter()
            .map(|s| (s.name.clone(), s.folder.clone()))
            .collect(),
        copies: sources::folders(&config),
        storage: config.instance.storage.clone(),
        conditions: config.instance.state.join("conditions"),
        environment: BTreeMap::new(),
        disk: Arc::new(PosixDisk::below(&config.instance.work)),
        limits: LocalLimits {
            folders_ahead: config.local.pool as usize,
            ..Default::default()
        },
        clock: Arc::new(clock),
        sink,
    }
}

fn start_local(
    options: impl FnOnce(Arc<dyn NewsSink>) -> LocalOptions,
    sink: Arc<dyn NewsSink>,
) -> Result<Box<dyn Executor>, String> {
    match LocalExecutor::new(options(sink)) {
        Ok(executor) => Ok(Box::new(executor)),
        Err(error) => Err(error.to_string()),
    }
}

fn start_watchers(
    checked: &Checked,
    agent: &AgentHandle,
    clock: SystemClock,
) -> Result<Vec<WatchHandle>, StartError> {
    let mut watchers = Vec::new();
    for stream in &checked.config.streams {
        let failed = |detail: String| StartError::Stream {
            name: stream.name.to_string(),
            detail,
        };
        let profile = profiles::profile_of(stream).map_err(failed)?;
        let sink = Box::new(SpoolToEngine(agent.seen.clone()));
        let memory = checked.config.instance.state.join("spools");
        let watcher = watch::start_remembering(profile, Arc::new(clock), sink, &memory)
            .map_err(|error| failed(error.to_string()))?;
        watchers.push(watcher);
    }
    Ok(watchers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_outputs_say_who_made_them() {
        let check = |name: &str, expect: Option<(u32, i64)>| {
            let expect = expect.map(|(run, job)| (RunNumber(run), JobId(job)));
            assert_eq!(maker(&FileName::new(name)), expect, "{name}");
        };
        check(
            "Muons/Express-v1/RECO/160957/RECO-41-2.parquet",
            Some((160_957, 41)),
        );
        check("Muons/Express-v1/DQM/7/A-B-41-12.json", Some((7, 41)));
        check("photos/2019/holiday-7.jpg", None);
        check("RECO-41-2.parquet", None);
        check("7/thesis.tex", None);
    }

    #[test]
    fn folders_of_runs_are_told_from_those_above_them() {
        let check = |folder: &str, expect: Option<u32>| {
            assert_eq!(run_of(folder), expect.map(RunNumber), "{folder}");
        };
        check("Muons/Express-v1/RECO/160957", Some(160_957));
        check("Muons/Express-v1/RECO/SIM/7", Some(7));
        check("Muons/Express-v1/RECO", None);
        check("Muons/Express-v1/2026", None);
        check("2026", None);
    }
}
