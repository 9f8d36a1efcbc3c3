//! The watcher's thread: wait, look, tell. Events come before listings, so a large scan does not
//! delay a new file by more than one folder. Between events it sleeps until the next scan or the
//! next look that is due.

use crate::crashes::Crashes;
use crate::disk;
use crate::inotify::InotifySource;
use crate::known::{FolderId, ROOT};
use crate::poll::PollSource;
use crate::profile::{How, Profile};
use crate::sight::{Counters, SeenSink, Spool, Witness};
use crate::source::{Happening, Source, Stop, Woken};
use crate::trouble::WatchError;
use model::alarm::Severity;
use model::arrival::Seen;
use model::names::ProfileName;
use model::time::{Moment, Span};
use model::trouble::Trouble;
use ports::clock::Clock;
use std::collections::{BTreeMap, VecDeque};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

/// A scan may take a twentieth of the time.
const SCAN_COST_FACTOR: i64 = 20;
/// However much the last one cost (a full sink counts, too), a scan comes at least so often.
const SCAN_INTERVAL_MAX: Span = Span::from_secs(600);
/// Folders are visited for so long before events are asked for again.
const SLICE: Span = Span::from_millis(2);

/// A running watcher. Its owner joins it; dropping it stops and joins, too.
#[derive(Debug)]
pub struct WatchHandle {
    profile: ProfileName,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    counters: lanes::LatestReader<Counters>,
}

/// Starts to watch: a thread of its own, named after the profile, tells `sink` what it sees.
pub fn start(
    profile: Profile,
    clock: Arc<dyn Clock>,
    sink: Box<dyn SeenSink>,
) -> Result<WatchHandle, WatchError> {
    start_with(profile, clock, sink, Crashes::default())
}

/// As `start`; in a folder it is remembered which name was being read, so that one at which the
/// process ends again and again is passed over. Without that folder nothing is remembered.
pub fn start_remembering(
    profile: Profile,
    clock: Arc<dyn Clock>,
    sink: Box<dyn SeenSink>,
    memory: &Path,
) -> Result<WatchHandle, WatchError> {
    let crashes = Crashes::open(memory, &profile.name).unwrap_or_default();
    start_with(profile, clock, sink, crashes)
}

fn start_with(
    profile: Profile,
    clock: Arc<dyn Clock>,
    sink: Box<dyn SeenSink>,
    crashes: Crashes,
) -> Result<WatchHandle, WatchError> {
    let name = profile.name.clone();
    let wrong = |why: String| WatchError::Profile {
        profile: name.clone(),
        why,
    };
    profile.check().map_err(wrong)?;
    let missing = |source| WatchError::Folder {
        profile: name.clone(),
        folder: profile.folder.clone(),
        source,
    };
    // Listed once for the error's sake: a folder that cannot be read is better said now than in an
    // alarm.
    std::fs::read_dir(&profile.folder).map_err(missing)?;
    let (source, stop) = choose_source(&profile)?;
    let by_events = matches!(stop, Stop::Counter(_));
    let spool = Spool::new(profile, clock, sink, crashes);
    let spool = spool.map_err(|error| wrong(error.to_string()))?;
    let (publish, counters) = lanes::latest(Counters::default());
    let line = Line::new(spool, source, by_events, publish);
    let thread = std::thread::Builder::new()
        .name(format!("watch {name}"))
        .spawn(move || line.run())
        .map_err(|source| WatchError::NoThread {
            profile: name.clone(),
            source,
        })?;
    Ok(WatchHandle {
        profile: name,
        stop,
        thread: Some(thread),
        counters,
    })
}

fn choose_source(profile: &Profile) -> Result<(Box<dyn Source>, Stop), WatchError> {
    let path = profile.folder.as_os_str().as_bytes();
    let remote = || disk::is_remote(path).unwrap_or(false);
    let kernel = match profile.how {
        How::Inotify => true,
        How::Poll => false,
        How::Auto => !remote(),
    };
    if kernel {
        let watched = InotifySource::new().and_then(|mut source| {
            source.watch(ROOT, path)?;
            Ok(source)
        });
        match watched {
            Ok(source) => {
                let stop = source.stop();
                return Ok((Box::new(source), stop));
            }
            // Out of watches, say: polling is slower, but it works.
            Err(_) if profile.how == How::Auto => {}
            Err(errno) => {
                return Err(WatchError::NoEvents {
                    profile: profile.name.clone(),
                    folder: profile.folder.clone(),
                    source: errno.into(),
                });
            }
        }
    }
    let polling = PollSource::new(&profile.folder, profile.recursive, profile.poll_interval);
    let source = polling.map_err(|error| WatchError::NoPolling {
        profile: profile.name.clone(),
        why: error.to_string(),
    })?;
    let stop = source.stop();
    Ok((Box::new(source), stop))
}

impl WatchHandle {
    /// How things stand.
    pub fn counters(&self) -> Counters {
        (*self.counters.get()).clone()
    }

    /// Waits until everything that lay there at the start has been told; `false` if the deadline
    /// passes or the watcher ends before.
    pub fn wait_ready(&self, deadline: Option<Instant>) -> bool {
        let mut reader = self.counters.clone();
        let mut newest = reader.get();
        while !newest.ready && !newest.ended {
            match reader.changed(deadline) {
                Some(counters) => newest = counters,
                None => return false,
            }
        }
        newest.ready
    }

    /// Ends the watcher and waits for its thread. The sink's other end must still take (or be
    /// closed) meanwhile.
    pub fn stop_and_join(mut self) -> Result<(), WatchError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), WatchError> {
        self.stop.ask();
        match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(WatchError::Died {
                profile: self.profile.clone(),
            }),
        }
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        // Nobody is left to be told that it died; the panic's message is in the log.
        drop(self.end());
    }
}

/// Shows the counters to other threads; says goodbye however the thread ends.
struct Publisher {
    last: Counters,
    publish: lanes::LatestSender<Counters>,
}

impl Publisher {
    fn show(&mut self, counters: &Counters) {
        if *counters != self.last {
            self.last.clone_from(counters);
            self.publish.set(counters.clone());
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.publish.set(Counters {
            ended: true,
            ..self.last.clone()
        });
    }
}

/// A scan under way: every folder is among the pending ones until it has been visited.
struct Scan {
    cost: Span,
    force: bool,
}

struct Line {
    spool: Spool,
    source: Box<dyn Source>,
    /// Folders to visit, and whether they must be listed.
    pending: VecDeque<(FolderId, bool)>,
    scan: Option<Scan>,
    next_scan: Moment,
    publisher: Publisher,
    /// The kernel tells of changes; otherwise everything is found by looking.
    by_events: bool,
    /// It was said that the kernel tells nothing of some folders.
    unwatched_told: bool,
}

impl Line {
    fn new(
        spool: Spool,
        source: Box<dyn Source>,
        by_events: bool,
        publish: lanes::LatestSender<Counters>,
    ) -> Self {
        Self {
            next_scan: spool.clock.now(),
            spool,
            source,
            pending: VecDeque::new(),
            scan: None,
            publisher: Publisher {
                last: Counters::default(),
                publish,
            },
            by_events,
            unwatched_told: false,
        }
    }

    fn run(mut self) {
        self.begin_scan(true);
        let mut happenings = Vec::new();
        loop {
            let woken = self.source.wait(self.rest(), &mut happenings);
            let now = self.spool.clock.now();
            if woken == Woken::Stop {
                return;
            }
            for happening in happenings.drain(..) {
                self.handle(happening, now);
            }
            self.look_at_due(now);
            self.visit_pending();
            if self.pending.is_empty()
                && self.scan.is_none()
                && self.spool.clock.now() >= self.next_scan
            {
                self.begin_scan(false);
            }
            self.show();
        }
    }

    /// How long nothing needs to be done.
    fn rest(&self) -> Span {
        if !self.pending.is_empty() {
            return Span::ZERO;
        }
        let due = self
            .spool
            .due
            .first()
            .map_or(Moment::END_OF_TIME, |(at, ..)| *at);
        due.min(self.next_scan).since(self.spool.clock.now())
    }

    fn handle(&mut self, happening: Happening, now: Moment) {
        match happening {
            Happening::Entry {
                folder,
                name,
                witness,
            } => {
                if self.is_still_to_be_listed(folder) {
                    // News of it must not overtake what lies in it: the end of a run would close it
                    // without its last stream.
                    self.pending.retain(|(pending, _)| *pending != folder);
                    self.visit(folder, true);
                }
                self.spool.look(folder, &name, witness, now);
            }
            Happening::FolderMade { parent, name } => {
                if let Some((folder, _)) = self.spool.enter(parent, &name, now) {
                    // At once: what was written before the watch stood is waiting in it.
                    // It may be another folder of the same name, so it is watched anew.
                    self.spool
                        .tree
                        .change(folder, |known| known.watched = false);
                    self.visit(folder, true);
                }
            }
            Happening::FolderGone(folder) => {
                self.spool
                    .tree
                    .change(folder, |known| known.watched = false);
                // It says itself whether it is gone or has been made again.
                self.visit(folder, true);
            }
            Happening::FolderChanged(folder) => self.pending.push_back((folder, true)),
            Happening::Overflow => {
                self.spool.counters.overflow_total += 1;
                self.begin_scan(true);
            }
        }
    }

    /// Whether a scan that lists every folder has not come to this one.
    fn is_still_to_be_listed(&self, folder: FolderId) -> bool {
        let lists_all = self.scan.as_ref().is_some_and(|scan| scan.force);
        lists_all && self.pending.iter().any(|(pending, _)| *pending == folder)
    }

    fn look_at_due(&mut self, now: Moment) {
        while self.spool.due.first().is_some_and(|(at, ..)| *at <= now) {
            let (_, folder, name) = self.spool.due.pop_first().expect("there is a first");
            self.spool.look(folder, &name, Witness::Looked, now);
        }
    }

    /// Visits a folder; those found in it are next.
    fn visit(&mut self, folder: FolderId, force: bool) {
        for below in self
            .spool
            .visit(&mut *self.source, folder, force)
            .into_iter()
            .rev()
        {
            self.pending.push_front((below, true));
        }
    }

    fn visit_pending(&mut self) {
        let began = self.spool.clock.now();
        let mut spent = Span::ZERO;
        while spent < SLICE
            && let Some((folder, force)) = self.pending.pop_front()
        {
            self.visit(folder, force);
            spent = self.spool.clock.now().since(began);
        }
        let Some(scan) = &mut self.scan else { return };
        scan.cost += spent;
        if !self.pending.is_empty() {
            return;
        }
        let times_cost = Span(scan.cost.0.saturating_mul(SCAN_COST_FACTOR));
        let rest = self
            .spool
            .profile
            .scan_interval_min
            .max(times_cost.min(SCAN_INTERVAL_MAX));
        self.next_scan = self.spool.clock.now() + rest;
        self.spool.counters.scans_total += 1;
        // Only a scan that listed everything says that everything was seen.
        self.spool.counters.ready |= scan.force;
        self.scan = None;
    }

    /// Puts every folder among the pending ones.
    fn begin_scan(&mut self, force: bool) {
        let forced = force || self.scan.as_ref().is_some_and(|scan| scan.force);
        let mut wanted: BTreeMap<FolderId, bool> =
            self.pending
                .drain(..)
                .fold(BTreeMap::new(), |mut wanted, (folder, force)| {
                    *wanted.entry(folder).or_insert(force) |= force;
                    wanted
                });
        for folder in self.spool.tree.in_order() {
            *wanted.entry(folder).or_insert(force) |= force;
        }
        self.pending.extend(wanted);
        let cost = self.scan.take().map_or(Span::ZERO, |scan| scan.cost);
        self.scan = Some(Scan {
            cost,
            force: forced,
        });
    }

    fn show(&mut self) {
        let counters = &mut self.spool.counters;
        let sums = self.spool.tree.sums();
        counters.folders = sums.folders;
        counters.folders_unwatched = sums.folders - sums.watched;
        counters.waiting = sums.open;
        let unwatched = counters.folders_unwatched;
        self.publisher.show(counters);
        // A spool that is not there has a trouble of its own.
        let root = self.spool.tree.get(ROOT);
        let is_away = root.is_some_and(|root| root.outage_told);
        if self.by_events && !is_away && self.unwatched_told != (unwatched > 0) {
            self.unwatched_told = unwatched > 0;
            self.tell_unwatched(unwatched);
        }
    }

    /// The kernel tells nothing of some folders: scans find what comes there, later.
    fn tell_unwatched(&mut self, folders: u64) {
        let name = &self.spool.profile.name;
        let key = format!("spool/{name}/unwatched");
        if folders == 0 {
            return self.spool.tell(Seen::TroubleOver(key));
        }
        let every = self.spool.profile.scan_interval_min;
        let text = format!(
            "The kernel tells nothing of {folders} folders of stream profile {name}: files in \
             them are found by the scan every {every} and not at once. Raise \
             fs.inotify.max_user_watches (sysctl), or end other programs that watch many folders; \
             the watches are asked for again at each scan."
        );
        let severity = Severity::Medium;
        self.spool.tell(Seen::Trouble(Trouble {
            key,
            severity,
            text,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{SystemClock, cms, folder, lines, record, sidecar};
    use std::path::PathBuf;
    use std::sync::Mutex;

    const STEM: &str = "run000007_ls0001_streamA_p1";

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<Seen>>>);

    impl SeenSink for Heard {
        fn seen(&self, seen: Seen) {
            self.0.lock().unwrap().push(seen);
        }
    }

    /// A kernel that loses the news of a file, says so, and tells the end of the run right after.
    struct Forgetful {
        run_folder: PathBuf,
        /// Known once the folder was visited.
        id: Option<FolderId>,
        told: bool,
    }

    impl Source for Forgetful {
        fn add_folder(&mut self, folder: FolderId, path: &[u8]) -> bool {
            if path.ends_with(b"run000007") {
                self.id = Some(folder);
            }
            true
        }

        fn remove_folder(&mut self, _: FolderId) {}

        fn wait(&mut self, _: Span, out: &mut Vec<Happening>) -> Woken {
            let Some(folder) = self.id else {
                return Woken::Look;
            };
            if self.told {
                return Woken::Stop;
            }
            self.told = true;
            let end = "run000007_ls0000_EoR.jsn";
            let put = |name: &str, text: &str| {
                std::fs::write(self.run_folder.join(name), text).unwrap();
            };
            put(&format!("{STEM}.dat"), "content");
            put(&format!("{STEM}.jsn"), &sidecar(&format!("{STEM}.dat"), 7));
            put(end, &record(&["5", "1", "1", "1"]));
            out.push(Happening::Overflow);
            out.push(Happening::Entry {
                folder,
                name: end.as_bytes().into(),
                witness: Witness::Moved,
            });
            Woken::Look
        }
    }

    #[test]
    fn the_end_of_a_run_does_not_overtake_files_whose_news_was_lost() {
        let spool = folder();
        let run_folder = spool.path().join("run000007");
        std::fs::create_dir(&run_folder).unwrap();
        let (heard, clock) = (Heard::default(), Arc::new(SystemClock));
        let profile = cms(spool.path(), How::Inotify);
        let sink = Box::new(heard.clone());
        let spool = Spool::new(profile, clock, sink, Crashes::default()).unwrap();
        let source = Forgetful {
            run_folder,
            id: None,
            told: false,
        };
        let (publish, _counters) = lanes::latest(Counters::default());
        Line::new(spool, Box::new(source), true, publish).run();
        let told = lines(&heard.0.lock().unwrap());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("file "), "{told:?}");
        assert!(told[1].starts_with("end 7"), "{told:?}");
    }
}
