//! A spool in a temporary folder with a real watcher on it, for the tests of this room.

use crate::{Counters, How, Profile, SeenSink, WatchHandle, start};
use model::arrival::Seen;
use model::names::DataLabel;
use model::time::{Moment, Span};
use ports::clock::Clock;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Moment(Span::from_duration(since.expect("after 1970")).0)
    }
}

struct LaneSink(lanes::Sender<Seen, lanes::Wait>);

impl SeenSink for LaneSink {
    fn seen(&self, seen: Seen) {
        drop(self.0.send(seen));
    }
}

/// Far beyond what any wait needs: a test that comes here has failed.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Bed {
    folder: TempDir,
    handle: Option<WatchHandle>,
    receiver: lanes::Receiver<Seen>,
    pub(crate) got: Vec<Seen>,
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// The profile of most tests: CMS, with scans as often as they may be.
pub(crate) fn cms(folder: &Path, how: How) -> Profile {
    let mut profile = Profile::cms("spool", folder, DataLabel::Real);
    profile.how = how;
    profile.scan_interval_min = Span::from_millis(100);
    profile.poll_interval = Span::from_millis(50);
    profile
}

impl Bed {
    /// Watches `folder`; the sink holds `room` sightings, so a test that does not take them stops
    /// the watcher.
    pub(crate) fn on(folder: TempDir, profile: Profile, room: usize) -> Self {
        let (sender, receiver) = lanes::wait(room);
        let handle = start(profile, Arc::new(SystemClock), Box::new(LaneSink(sender)));
        let handle = Some(handle.expect("the folder can be watched"));
        Self {
            folder,
            handle,
            receiver,
            got: Vec::new(),
        }
    }

    /// A CMS spool that is watched and empty.
    pub(crate) fn cms(how: How) -> Self {
        let folder = folder();
        let profile = cms(folder.path(), how);
        let bed = Self::on(folder, profile, 100_000);
        assert!(bed.handle().wait_ready(Some(Instant::now() + PATIENCE)));
        bed
    }

    pub(crate) fn handle(&self) -> &WatchHandle {
        self.handle
            .as_ref()
            .expect("it runs until the test ends it")
    }

    pub(crate) fn counters(&self) -> Counters {
        self.handle().counters()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes beside the spool's names and renames into place, as a data acquisition does.
    pub(crate) fn put(&self, name: &str, content: &str) {
        let path = self.path(name);
        let hidden = path.with_file_name(".being-written");
        fs::write(&hidden, content).expect("the spool can be written");
        fs::rename(hidden, path).expect("the spool can be written");
    }

    /// Takes sightings until `enough` says so.
    pub(crate) fn until(&mut self, what: &str, enough: impl Fn(&[Seen]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !enough(&self.got) {
            let taken = self
                .receiver
                .recv_batch(&mut self.got, 1024, Some(deadline));
            assert!(
                taken.is_ok_and(|n| n > 0),
                "waiting for {what}, got {:#?}",
                self.got
            );
        }
    }

    pub(crate) fn until_count(&mut self, count: usize) {
        self.until(&format!("{count} sightings"), |got| got.len() >= count);
    }

    /// Waits for that many scans that began after this call.
    pub(crate) fn scans(&mut self, count: u64) {
        // The scan under way now may have begun before.
        let wanted = self.counters().scans_total + 1 + count;
        let deadline = Instant::now() + PATIENCE;
        while self.counters().scans_total < wanted {
            assert!(
                Instant::now() < deadline,
                "scans do not come: {:?}",
                self.counters()
            );
            let soon = Some(Instant::now() + Duration::from_millis(20));
            let taken = self.receiver.recv_batch(&mut self.got, 1024, soon);
            assert!(taken.is_ok(), "the watcher has ended");
        }
    }

    /// Ends the watcher and gives back everything it told.
    pub(crate) fn end(mut self) -> Vec<Seen> {
        let handle = self.handle.take().expect("it runs until the test ends it");
        handle.stop_and_join().expect("it ends without a bug");
        while self.receiver.recv_batch(&mut self.got, 1024, None).is_ok() {}
        self.got
    }
}

/// A sighting in one line, without what depends on the machine.
pub(crate) fn line(seen: &Seen) -> String {
    match seen {
        Seen::File(a) => {
            let counts = a.counts.map_or("-".into(), |c| {
                format!("{}/{}/{}", c.processed, c.accepted, c.errors)
            });
            let sum = a.checksum.map_or("-".into(), |c| c.to_string());
            let (run, lumi, stream, bytes) = (a.run, a.lumi, &a.stream, a.bytes.0);
            let empty = if a.empty { " empty" } else { "" };
            format!(
                "file {} {run}:{lumi} {stream} {bytes} {counts} {sum}{empty}",
                a.name
            )
        }
        Seen::RunBegin(b) => format!("begin {} {:?} {}", b.run, b.run_type, b.label),
        Seen::LumiEnd(e) => format!("lumi {}:{} {:?}", e.run, e.lumi, e.expected),
        Seen::RunEnd(e) => format!("end {} last {} {:?}", e.run, e.last_lumi, e.events),
        Seen::Trouble(trouble) => format!("trouble {}", trouble.key),
        Seen::TroubleOver(key) => format!("over {key}"),
        Seen::SetAside(s) => format!("aside {} {}", s.name, s.refusal.code()),
    }
}

pub(crate) fn lines(got: &[Seen]) -> Vec<String> {
    got.iter().map(line).collect()
}

pub(crate) fn sorted(got: &[Seen]) -> Vec<String> {
    let mut lines = lines(got);
    lines.sort_unstable();
    lines
}

/// A record as the data acquisition writes it.
pub(crate) fn record(values: &[&str]) -> String {
    format!("{{\"data\": {values:?}, \"definition\": \"./output.jsd\", \"source\": \"node_1\"}}\n")
}

/// A sidecar of a file with that content: five events, one of them lost.
pub(crate) fn sidecar(file: &str, bytes: usize) -> String {
    let bytes = bytes.to_string();
    record(&["5", "4", "1", "0", file, &bytes, "", "77", "", "DAT", "0"])
}
