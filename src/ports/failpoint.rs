//! Failpoints: places where a process can be made to end as if somebody had pulled its plug, to
//! show that whatever it was about is neither lost nor done twice.
//!
//! In: `TIER0_FAILPOINT=NAME[:HIT[:lost]]` in the environment of `tier0 serve`. Out: at the HITth
//! passing of that point the process kills itself; no destructor runs, nothing is flushed. With
//! `lost` it goes on, and what is said at that point is lost, where [`is_lost`] asks. With `none`
//! as the name the points are only counted, and told at the end. Without the variable a point costs
//! one relaxed load and a branch that is never taken (`cargo bench --bench failpoint`). This list
//! is the whole list: the test over all points goes through it and fails for one that nobody
//! passes. Must never decide anything else.

use rustix::process::{Signal, getpid, kill_process};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The variable that names a point.
pub const VARIABLE: &str = "TIER0_FAILPOINT";
/// The name that only counts.
pub const NONE: &str = "none";
/// The word behind a point at which something is lost instead of everything.
const LOST: &str = "lost";
/// Points of the spawner's process begin with this.
const SPAWNER: &str = "spawner.";

/// Nothing is armed.
const OFF: u32 = 0;
/// Points are counted and none ends the process.
const COUNTING: u32 = u32::MAX;

/// A point's number and one, `OFF` or `COUNTING`. Written once before any other thread starts, read
/// by all.
static ARMED: AtomicU32 = AtomicU32::new(OFF);
/// At which passing of the point the process ends. Written before `ARMED`.
static HIT: AtomicU32 = AtomicU32::new(1);
/// Whether only what is said at the point is lost. Written before `ARMED`.
static LOSES: AtomicBool = AtomicBool::new(false);
/// How often each point was passed; written by whoever passes it.
static PASSED: [AtomicU32; Point::ALL.len()] = [const { AtomicU32::new(0) }; Point::ALL.len()];

macro_rules! points {
    ($(#[doc = $doc:literal] $point:ident = $name:literal,)+) => {
        /// A place where the process can be made to end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point {
            $(#[doc = $doc] $point,)+
        }

        impl Point {
            /// All of them, in the order in which a file meets them.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// Its name in `TIER0_FAILPOINT`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    // The state folder and the store.
    /// The folders of the instance are made, its lock is not taken.
    LockWanted = "lock.wanted",
    /// The lock is taken and does not name its holder yet.
    LockTaken = "lock.taken",
    /// The lock names its holder.
    LockNamed = "lock.named",
    /// The store is connected, its tables are not looked at.
    StoreConnected = "store.connected",
    /// A migration is about to be run.
    MigrationWanted = "migration.wanted",
    /// A migration was run.
    MigrationDone = "migration.done",
    /// The tables are up to date.
    StoreOpened = "store.opened",
    /// The transaction that raises the epoch has begun.
    EpochBegun = "epoch.begun",
    /// The epoch is raised in a transaction that is not committed.
    EpochRaised = "epoch.raised",
    /// The epoch is raised durably.
    EpochDurable = "epoch.durable",
    /// The rows of the agent are read.
    RowsRead = "rows.read",

    // What an older epoch left.
    /// A copy that was cut short is about to be removed from the storage.
    HalfRemoved = "storage.half.remove",
    /// A file that no row knows is about to be removed from the storage.
    GarbageFound = "garbage.found",
    /// A file that no row knows was removed from the storage.
    GarbageRemoved = "garbage.removed",
    /// The storage holds nothing but what rows know.
    StorageOpened = "storage.opened",
    /// A process of an older epoch is about to be ended.
    ProcessFound = "process.found",
    /// A process of an older epoch was sent its end.
    ProcessKilled = "process.killed",
    /// No process of an older epoch is left; its folders are.
    ProcessesEnded = "processes.ended",
    /// The folder of an older epoch is about to be removed.
    EpochFolderFound = "epoch.folder.found",
    /// The folder of an older epoch was removed.
    EpochFolderRemoved = "epoch.folder.removed",

    // The rest of a start.
    /// The folder of this epoch's attempts is made, and nothing in it.
    EpochFolderMade = "epoch.folder.made",
    /// An attempt's folder is made ahead, without its files.
    FolderMade = "folder.made",
    /// An attempt's folder was made ahead.
    FolderFurnished = "folder.furnished",
    /// The spawner is about to be started.
    SpawnerWanted = "launcher.wanted",
    /// The spawner was started.
    SpawnerLaunched = "launcher.launched",
    /// The engine is made from the rows.
    EngineRestored = "engine.restored",
    /// Attempts of the older epoch are told as lost, nothing of that is recorded.
    EngineBegun = "engine.begun",
    /// The TCP socket listens, the unix socket does not.
    TcpBound = "api.tcp.bound",
    /// A unix socket that nobody answers on was removed.
    SocketRemoved = "api.socket.removed",
    /// The unix socket listens.
    SocketBound = "api.socket.bound",
    /// The address is written beside its place.
    AddressWritten = "api.address.written",
    /// The address is in its place.
    AddressRenamed = "api.address.renamed",
    /// The windows are open, no spool folder is looked at.
    WindowsOpen = "windows.open",
    /// The watchers have started.
    WatchersStarted = "watchers.started",
    /// Every spool folder was looked through; READY is not said.
    Scanned = "scanned",

    // Arrival, deciding, recording.
    /// A watcher has seen something and the engine is not told.
    Seen = "seen",
    /// The engine's lane holds what a watcher has seen.
    SeenTold = "seen.told",
    /// A command is about to be given to the engine.
    CommandAsked = "command.asked",
    /// The engine has stepped an input; nothing of it is handed over.
    Stepped = "stepped",
    /// The engine has ended a batch of inputs; nothing of it is handed over.
    Ticked = "ticked",
    /// A batch is with the writer.
    BatchGiven = "batch.given",
    /// The writer has a batch and has begun nothing.
    BatchTaken = "batch.taken",
    /// A transaction has begun.
    CommitBegun = "commit.begun",
    /// The fence has moved, in a transaction that is not committed.
    CommitFenced = "commit.fenced",
    /// A statement's rows are written, in a transaction that is not committed.
    CommitRows = "commit.rows",
    /// All rows are written, in a transaction that is not committed.
    CommitWritten = "commit.written",
    /// The transaction is committed and nobody knows.
    Committed = "committed",
    /// The engine's lane holds that a batch is durable.
    DurableTold = "durable.told",
    /// The engine knows that a batch is durable and has released nothing of it.
    DurableHeard = "durable.heard",

    // What waited for a commit.
    /// A start is about to be released.
    ReleaseStart = "release.start",
    /// The end of an attempt is about to be asked for.
    ReleaseCancel = "release.cancel",
    /// Workers are about to be let go.
    ReleaseWorkers = "release.workers",
    /// An answer to a command is about to be given.
    ReleaseReply = "release.reply",
    /// A new good-run list is about to be given to the storage's thread.
    ReleaseGoodRuns = "release.good_runs",
    /// Everything that waited for a batch is released.
    Released = "released",
    /// News of an attempt that waited for its record are about to be heard.
    NewsHeard = "news.heard",
    /// Nothing under way mentions an attempt any more; its folder is about to be given up.
    AttemptForgotten = "attempt.forgotten",

    // Starting an attempt.
    /// An attempt is started before its record is durable.
    StartedEarly = "start.early",
    /// The executor's thread has attempts to submit.
    SubmitTaken = "submit.taken",
    /// The executor has accepted or refused attempts.
    Submitted = "submitted",
    /// A payload of constants is written beside its place.
    PayloadWritten = "payload.written",
    /// A payload of constants is in its place.
    PayloadRenamed = "payload.renamed",
    /// An attempt has a folder, and `job.json` is empty or another's.
    JobFileWanted = "job_file.wanted",
    /// `job.json` is written.
    JobFileWritten = "job_file.written",
    /// The spawner is asked to start an attempt's program.
    StartRequested = "start.requested",
    /// A worker is about to be started.
    WorkerWanted = "worker.wanted",
    /// The spawner is asked to start a worker.
    WorkerRequested = "worker.requested",
    /// A job's line is about to be written to a worker.
    LineWanted = "line.wanted",
    /// A job's line is written to a worker.
    LineWritten = "line.written",

    // The spawner: its own process, started anew by the executor.
    /// The spawner has read a request to start a program.
    SpawnerAsked = "spawner.asked",
    /// The program runs and nobody is told.
    SpawnerSpawned = "spawner.spawned",
    /// The start is told and the spawner has not noted the program.
    SpawnerTold = "spawner.told",
    /// The spawner has noted the program.
    SpawnerNoted = "spawner.noted",
    /// A program has ended and is not reaped.
    SpawnerSawEnd = "spawner.saw_end",
    /// A program was reaped and nobody is told.
    SpawnerReaped = "spawner.reaped",
    /// The end of a program is told.
    SpawnerToldEnd = "spawner.told_end",
    /// The agent is gone and the spawner has ended nothing.
    SpawnerAlone = "spawner.alone",

    // The end of an attempt.
    /// The end of an attempt's program is heard, its report is not read.
    EndHeard = "end.heard",
    /// The report of an attempt is judged.
    ReportJudged = "report.judged",
    /// The folder of an attempt with outputs has its name.
    FolderNamed = "folder.named",
    /// A worker has said something and it is not read.
    LineHeard = "line.heard",
    /// News of an attempt are about to be told to the engine.
    NewsTelling = "news.telling",
    /// News of an attempt are told to the engine.
    NewsTold = "news.told",
    /// A worker is told to leave.
    WorkerRetired = "worker.retired",
    /// A worker's process is gone.
    WorkerGone = "worker.gone",
    /// What a failed attempt said is about to be kept.
    KeepWanted = "keep.wanted",
    /// What a failed attempt said is kept; its folder is there still.
    Kept = "kept",
    /// A used folder is about to be removed.
    FolderRemoving = "folder.removing",
    /// A used folder is ready for another attempt.
    FolderReused = "folder.reused",

    // Outputs.
    /// A plan of outputs is with the storage's thread.
    StoreTaken = "store.taken",
    /// An output is open and not read.
    OutputOpened = "output.opened",
    /// An output is read and as it should be, and not synced.
    OutputSummed = "output.summed",
    /// An output is synced under its attempt's name.
    OutputSynced = "output.synced",
    /// A folder of the storage was made.
    OutputFolderMade = "output.folder.made",
    /// A copy of an output is begun.
    CopyBegun = "copy.begun",
    /// A copy of an output is whole and not synced.
    CopyWhole = "copy.whole",
    /// A copy of an output is synced.
    CopySynced = "copy.synced",
    /// An output has its final name, its folder is not synced.
    OutputRenamed = "output.renamed",
    /// All outputs of an attempt have their names.
    OutputsPlaced = "outputs.placed",
    /// A folder of the storage is synced.
    OutputFolderSynced = "output.folder.synced",
    /// The outputs are in place and the engine is not told.
    StoredTelling = "stored.telling",
    /// The engine's lane holds that outputs are in place.
    StoredTold = "stored.told",
    /// A file of a spool is about to be read back.
    ReadBackTaken = "read_back.taken",
    /// A file of a spool is read back and the engine is not told.
    ReadBackTelling = "read_back.telling",
    /// The engine's lane holds what a file of a spool holds.
    ReadBackTold = "read_back.told",
    /// A splitter is about to be asked.
    SplitTaken = "split.taken",
    /// A splitter has answered and the engine is not told.
    SplitTelling = "split.telling",
    /// The engine's lane holds what a splitter answered.
    SplitTold = "split.told",
    // Sources.
    /// Copies of sources are about to be asked for.
    ReleaseCopy = "release.copy",
    /// The removal of a source is about to be asked for.
    ReleaseUnlink = "release.unlink",
    /// A source is about to be copied.
    SourceCopyTaken = "source.copy.taken",
    /// A folder of copies was made, and is not certain.
    SourceCopyFolderMade = "source.copy.folder.made",
    /// A copy of a source is begun.
    SourceCopyBegun = "source.copy.begun",
    /// A copy of a source is whole and not synced.
    SourceCopyWhole = "source.copy.whole",
    /// A copy of a source is synced beside its place.
    SourceCopySynced = "source.copy.synced",
    /// What an older try had left in the place of a copy is removed.
    SourceCopyOldRemoved = "source.copy.old.removed",
    /// A copy of a source has its name, its folder is not synced.
    SourceCopyRenamed = "source.copy.renamed",
    /// A copy of a source is in its place for good.
    SourceCopyDurable = "source.copy.durable",
    /// A source is copied and the engine is not told.
    SourceCopyTelling = "source.copy.telling",
    /// The engine's lane holds that a source is copied.
    SourceCopyTold = "source.copy.told",
    /// A copy is about to be read back.
    CopyReadTaken = "copy.read.taken",
    /// A copy is read back and the engine is not told.
    CopyReadTelling = "copy.read.telling",
    /// The engine's lane holds what a copy holds.
    CopyReadTold = "copy.read.told",
    /// A source is about to be removed.
    UnlinkTaken = "unlink.taken",
    /// A source is the one that was copied, and is there.
    UnlinkSure = "unlink.sure",
    /// A source's sidecar is removed, the source is there.
    UnlinkSidecar = "unlink.sidecar",
    /// A source is removed, its folder is not synced.
    UnlinkSource = "unlink.source",
    /// A source is removed for good.
    UnlinkDurable = "unlink.durable",
    /// A source is removed and the engine is not told.
    UnlinkTelling = "unlink.telling",
    /// The engine's lane holds that a source is removed.
    UnlinkTold = "unlink.told",

    /// A new good-run list is written beside its place.
    GoodRunsWritten = "good_runs.written",
    /// A new good-run list is synced beside its place.
    GoodRunsSynced = "good_runs.synced",
    /// A new good-run list is in its place, its folder is not synced.
    GoodRunsRenamed = "good_runs.renamed",
    /// A new good-run list is in its place for good.
    GoodRunsDurable = "good_runs.durable",

    // History.
    /// A slice of a run's rows is about to be asked for.
    ReleaseArchive = "release.archive",
    /// The writer has a slice to move and has begun nothing.
    SliceTaken = "slice.taken",
    /// The transaction of a slice has begun, its fence has passed.
    SliceBegun = "slice.begun",
    /// A slice is moved in a transaction that is not committed.
    SliceMoved = "slice.moved",
    /// A slice is history and nobody knows.
    SliceDurable = "slice.durable",
    /// The engine's lane holds that a slice is history.
    SliceTold = "slice.told",
    /// The store is about to be asked for files of runs that are history.
    RecallTaken = "recall.taken",
    /// The store has answered, and the engine is not told.
    RecallTelling = "recall.telling",
    /// The engine's lane holds what the store knows of a file.
    RecallTold = "recall.told",

    // An orderly end.
    /// Somebody asked for an orderly end.
    StopAsked = "stop.asked",
    /// The watchers have ended.
    WatchersEnded = "watchers.ended",
    /// Nothing waits to become durable; programs run still.
    StopSettled = "stop.settled",
    /// Everything but the windows has ended.
    AgentEnded = "agent.ended",
    /// A file that only a running instance has was removed.
    LeftoverRemoved = "api.leftover.removed",
    /// Everything has ended.
    Stopped = "stopped",
}

impl Point {
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }
}

/// Passes a point: the process may end here if somebody asked for that.
#[inline]
pub fn pass(point: Point) {
    if ARMED.load(Ordering::Relaxed) != OFF {
        pass_armed(point);
    }
}

/// Passes a point at which something is said: whether that is lost because somebody asked for it.
#[inline]
pub fn is_lost(point: Point) -> bool {
    ARMED.load(Ordering::Relaxed) != OFF && pass_armed(point)
}

#[cold]
#[inline(never)]
fn pass_armed(point: Point) -> bool {
    let passed = PASSED[point as usize].fetch_add(1, Ordering::Relaxed) + 1;
    let met =
        ARMED.load(Ordering::Relaxed) == point as u32 + 1 && passed == HIT.load(Ordering::Relaxed);
    if met && !LOSES.load(Ordering::Relaxed) {
        end(point);
    }
    met
}

/// Ends this process as SIGKILL does.
fn end(point: Point) -> ! {
    // Unbuffered; nobody reading it is no reason to go on.
    let _ = writeln!(std::io::stderr(), "failpoint: ended at {}", point.name());
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

/// Arms what the environment asks for, before any other thread is started; says in words what was
/// armed, or what is wrong with it.
pub fn arm_from_environment() -> Result<Option<String>, String> {
    match std::env::var(VARIABLE) {
        Ok(text) => arm(&text).map(Some),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(refused("it is not UTF-8")),
    }
}

/// Arms a point: `NAME`, `NAME:HIT` or `NAME:HIT:lost`.
pub fn arm(text: &str) -> Result<String, String> {
    let (name, hit) = text.split_once(':').unwrap_or((text, "1"));
    let (hit, loses) = match hit.split_once(':') {
        Some((hit, LOST)) => (hit, true),
        _ => (hit, false),
    };
    let hit: u32 = hit
        .parse()
        .ok()
        .filter(|hit| *hit > 0)
        .ok_or_else(|| refused(&format!("{hit:?} is no number from 1 on")))?;
    let number = if name == NONE {
        COUNTING
    } else {
        let point = Point::named(name).ok_or_else(|| refused(&format!("no point is {name:?}")))?;
        point as u32 + 1
    };
    HIT.store(hit, Ordering::Relaxed);
    LOSES.store(loses, Ordering::Relaxed);
    ARMED.store(number, Ordering::Release);
    Ok(format!(
        "{VARIABLE}={text}: this process is a test and may end at any moment"
    ))
}

fn refused(why: &str) -> String {
    format!(
        "{VARIABLE} cannot be used: {why}; write the name of a point of src/ports/failpoint.rs, \
         or unset the variable"
    )
}

/// What the first spawner of this process is to arm: points of its own, or counting.
pub fn for_spawner() -> Option<String> {
    let armed = ARMED.load(Ordering::Relaxed);
    if armed == COUNTING {
        return Some(NONE.to_owned());
    }
    let point = Point::ALL.get((armed as usize).checked_sub(1)?)?;
    // A spawner started after that one must not end as well.
    let hit = point
        .name()
        .starts_with(SPAWNER)
        .then(|| HIT.swap(0, Ordering::Relaxed));
    let hit = hit.filter(|hit| *hit > 0)?;
    let lost = LOSES.load(Ordering::Relaxed);
    let lost = if lost { ":lost" } else { "" };
    Some(format!("{}:{hit}{lost}", point.name()))
}

/// Says how often each point was passed, if points are counted: `failpoint: NAME HITS` a line.
pub fn tell() {
    if ARMED.load(Ordering::Relaxed) != COUNTING {
        return;
    }
    for point in Point::ALL {
        let passed = PASSED[*point as usize].load(Ordering::Relaxed);
        if passed > 0 {
            // As with the end: whoever wants to know reads it.
            let _ = writeln!(std::io::stderr(), "failpoint: {} {passed}", point.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        assert!(!names.contains(NONE));
        for (number, point) in Point::ALL.iter().enumerate() {
            assert_eq!(*point as usize, number);
            assert_eq!(Point::named(point.name()), Some(*point));
            assert!(!point.name().contains([':', ' ']), "{}", point.name());
        }
    }

    #[test]
    fn what_cannot_be_armed_is_refused_with_a_reason() {
        for (text, part) in [
            ("nowhere", "no point is \"nowhere\""),
            ("seen:0", "no number from 1 on"),
            ("seen:often", "no number from 1 on"),
            ("", "no point is \"\""),
        ] {
            let refusal = arm(text).expect_err(text);
            assert!(refusal.contains(part), "{refusal}");
            assert!(refusal.contains("unset the variable"), "{refusal}");
        }
        pass(Point::Seen);
    }
}
