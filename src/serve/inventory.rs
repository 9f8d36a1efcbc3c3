//! Takes stock of the storage of outputs: whether every output that a row knows is there with its
//! size, and whether anything lies there that nobody knows.
//!
//! In: the catalogue, page by page, and the folders of the storage. Out: two troubles with names
//! and remedies, over once things are as they should be. Only looks: what a losing attempt has left
//! is removed at the next start, what was never ours is told and left alone. Checksums are compared
//! on demand only (`tier0 file verify`). It goes over everything at the start and, when something
//! was recorded since, once an hour; it waits while jobs wait for a core, and sleeps otherwise.

use agents::runtime::Status;
use agents::surroundings::Surroundings;
use model::alarm::Severity;
use model::dataset::Output;
use model::ids::{JobId, RunNumber};
use model::names::FileName;
use model::trouble::Trouble;
use ports::catalogue::{Catalogue, Page, WhichOutputs};
use ports::store::StoreError;
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Everything is looked at so often, if anything was recorded since.
const EVERY: Duration = Duration::from_hours(1);
/// What is not as it should be is looked at again so often: a few files, not everything.
const AGAIN: Duration = Duration::from_secs(5);
/// Rows asked for at once; after as many it rests.
const PAGE: u32 = 500;
/// The rest, so that a large storage is gone through at a bounded share of a disk's time.
const REST: Duration = Duration::from_millis(20);
/// While jobs wait for a core it waits with them, but not for ever.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
const BUSY_PAUSES_MAX: u32 = 60;
/// Files that an alarm names, and that are looked at again while it stands; of more it gives the
/// number.
const NAMED_MAX: usize = 10;
/// Its name among those who have troubles.
const WHO: &str = "inventory";
/// The alarm about outputs that are not there as they were recorded.
const FILES: &str = "storage/files";
/// The alarm about what lies in the storage and was never ours.
const STRANGERS: &str = "storage/strangers";

/// What it works with.
pub(super) struct Inventory {
    pub(super) catalogue: Arc<dyn Catalogue>,
    pub(super) storage: PathBuf,
    pub(super) surroundings: Surroundings,
    pub(super) status: Arc<Status>,
    /// What makes a name one of an output: its run and job.
    pub(super) maker: fn(&FileName) -> Option<(RunNumber, JobId)>,
}

/// The thread; ends when it is dropped.
pub(super) struct InventoryHandle {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for InventoryHandle {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only looks: a panic of it was told where it happened, and costs nobody anything.
            let _ = thread.join();
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    outputs: u64,
    /// Outputs that are not there as recorded: the first few, and how many.
    wrong: Vec<Output>,
    wrong_count: u64,
    /// What nobody knows: the first few, and how many.
    strange: Vec<FileName>,
    strange_count: u64,
}

/// Why it stopped in the middle.
enum Cut {
    Stopped,
    /// The store does not answer. Whoever writes has the same trouble, and tells it.
    Store,
}

impl From<StoreError> for Cut {
    fn from(_: StoreError) -> Self {
        Self::Store
    }
}

impl Inventory {
    /// Begins to take stock, in a thread of its own.
    pub(super) fn start(self) -> std::io::Result<InventoryHandle> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("inventory".to_owned())
            .spawn(move || self.run(&stopped))?;
        Ok(InventoryHandle {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    fn run(&self, stopped: &Receiver<()>) {
        let mut found = Found::default();
        let (mut next, mut seen) = (Instant::now(), None);
        loop {
            if Instant::now() >= next {
                let batches = self.status.batches.load(Ordering::Relaxed);
                if seen != Some(batches) {
                    match self.look(stopped) {
                        Ok(looked) => {
                            found = looked;
                            seen = Some(batches);
                        }
                        Err(Cut::Stopped) => return,
                        Err(Cut::Store) => {}
                    }
                }
                next = Instant::now() + EVERY;
            } else if !found.is_fine() {
                self.look_again(&mut found);
                if found.has_unnamed_only() {
                    (next, seen) = (Instant::now(), None);
                    continue;
                }
            }
            self.tell(&found);
            let until = next.saturating_duration_since(Instant::now());
            let until = if found.is_fine() {
                until
            } else {
                until.min(AGAIN)
            };
            if stopped.recv_timeout(until) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Goes over everything.
    fn look(&self, stopped: &Receiver<()>) -> Result<Found, Cut> {
        let mut found = Found::default();
        let mut after = None;
        loop {
            let which = WhichOutputs::default();
            let page = Page { after, limit: PAGE };
            let outputs = self.catalogue.which_outputs(&which, page)?;
            let Some(last) = outputs.last() else {
                break;
            };
            after = Some(last.id.0);
            for output in outputs {
                found.outputs += 1;
                if self.what_is_wrong(&output).is_some() {
                    found.wrong_count += 1;
                    if found.wrong.len() < NAMED_MAX {
                        found.wrong.push(output);
                    }
                }
            }
            self.rest(stopped)?;
        }
        self.look_for_strangers(&mut found, stopped)?;
        Ok(found)
    }

    /// Looks through the folders, one after the other.
    fn look_for_strangers(&self, found: &mut Found, stopped: &Receiver<()>) -> Result<(), Cut> {
        let mut folders = VecDeque::from([PathBuf::new()]);
        while let Some(folder) = folders.pop_front() {
            let mut names = Vec::new();
            // One that cannot be read holds nothing that can be told; its outputs are missed above.
            let entries = fs::read_dir(self.storage.join(&folder))
                .into_iter()
                .flatten();
            for entry in entries.flatten() {
                let path = folder.join(entry.file_name());
                if path == Path::new(storage::HALF) {
                    continue;
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push_back(path);
                } else {
                    names.push(FileName::new(&path.to_string_lossy()));
                }
            }
            names.sort();
            let known = self.known_in(&names)?;
            for name in names {
                if known.contains(&name) || self.is_of_ours(&name)? {
                    continue;
                }
                found.strange_count += 1;
                if found.strange.len() < NAMED_MAX {
                    found.strange.push(name);
                }
            }
            self.rest(stopped)?;
        }
        Ok(())
    }

    /// Outputs of the run and dataset that a folder is for.
    fn known_in(&self, names: &[FileName]) -> Result<BTreeSet<FileName>, Cut> {
        let mut known = BTreeSet::new();
        let mut ours = names.iter();
        let ours = ours.find_map(|name| Some(((self.maker)(name)?.0, name.as_str())));
        let Some((run, name)) = ours else {
            return Ok(known);
        };
        // `dataset/run/label-job-attempt.extension`, the dataset without its first slash.
        let dataset = name.rsplitn(3, '/').nth(2);
        let which = WhichOutputs {
            run: Some(run),
            dataset: dataset.map(|dataset| format!("/{dataset}")),
            ..WhichOutputs::default()
        };
        let mut after = None;
        loop {
            let page = Page { after, limit: PAGE };
            let outputs = self.catalogue.which_outputs(&which, page)?;
            let Some(last) = outputs.last() else {
                return Ok(known);
            };
            after = Some(last.id.0);
            known.extend(outputs.into_iter().map(|output| output.name));
        }
    }

    /// Whether a job of ours makes, or has made, a file of this name: then it is on its way, or is
    /// removed at the next start.
    fn is_of_ours(&self, name: &FileName) -> Result<bool, Cut> {
        let Some((run, job)) = (self.maker)(name) else {
            return Ok(false);
        };
        let job = self.catalogue.job(job)?;
        Ok(job.is_some_and(|job| job.run == run))
    }

    /// Looks again at what was not as it should be.
    fn look_again(&self, found: &mut Found) {
        let before = (found.wrong.len(), found.strange.len());
        found
            .wrong
            .retain(|output| self.what_is_wrong(output).is_some());
        let there =
            |name: &FileName| fs::symlink_metadata(self.storage.join(name.as_str())).is_ok();
        found.strange.retain(there);
        found.wrong_count -= (before.0 - found.wrong.len()) as u64;
        found.strange_count -= (before.1 - found.strange.len()) as u64;
    }

    /// What an output lacks, as the end of a sentence.
    fn what_is_wrong(&self, output: &Output) -> Option<String> {
        let recorded = output.bytes.0;
        match fs::symlink_metadata(self.storage.join(output.name.as_str())) {
            Ok(there) if !there.is_file() => Some("is no plain file any more".to_owned()),
            Ok(there) if there.len() != recorded => {
                let bytes = there.len();
                Some(format!("has {bytes} bytes, {recorded} were recorded"))
            }
            Ok(_) => None,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Some("is missing".to_owned())
            }
            Err(error) => Some(format!("cannot be looked at: {error}")),
        }
    }

    fn tell(&self, found: &Found) {
        let place = self.storage.display();
        let mut files = found.wrong.iter().filter_map(|output| {
            let what = self.what_is_wrong(output)?;
            let (run, dataset, name, id) = (output.run, &output.dataset, &output.name, output.id);
            Some(format!(
                "{name} of run {run} in {dataset} (output {id}) {what}"
            ))
        });
        let first = files.next();
        let named: Vec<String> = first.iter().cloned().chain(files).collect();
        let text = format!(
            "{} of {} outputs in {place} are not as they were recorded: {}{}. Datasets name what \
             is not there, and jobs that read it will fail. Look for who removed or changed it, \
             and put it back (`tier0 file verify ID` compares it to the last bit); what is lost is \
             made again by processing its run under a new processing.",
            found.wrong_count,
            found.outputs,
            named.join("; "),
            more(found.wrong_count, named.len())
        );
        self.say(FILES, Severity::High, first.map(|_| text));
        let named: Vec<&str> = found.strange.iter().map(FileName::as_str).collect();
        let text = format!(
            "{} files in {place} were not made by any job that this instance knows: {}{}. They are \
             left alone and in no dataset. Find out who wrote there; move them away.",
            found.strange_count,
            named.join("; "),
            more(found.strange_count, named.len())
        );
        self.say(
            STRANGERS,
            Severity::Low,
            (!named.is_empty()).then_some(text),
        );
    }

    /// Raises, replaces or ends a trouble.
    fn say(&self, key: &str, severity: Severity, text: Option<String>) {
        let stands = self.surroundings.alarms();
        let stands = stands.into_iter().find(|alarm| alarm.key == key);
        let stands = stands.map(|alarm| alarm.text);
        if stands == text {
            return;
        }
        self.surroundings.over(WHO, key);
        if let Some(text) = text {
            let key = key.to_owned();
            self.surroundings.raise(
                WHO,
                Trouble {
                    key,
                    severity,
                    text,
                },
            );
        }
    }

    /// Rests between pages, longer while jobs wait for a core.
    fn rest(&self, stopped: &Receiver<()>) -> Result<(), Cut> {
        let mut pause = REST;
        for _ in 0..BUSY_PAUSES_MAX {
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return Err(Cut::Stopped);
            }
            if self.status.queue_length.load(Ordering::Relaxed) == 0 {
                break;
            }
            pause = BUSY_PAUSE;
        }
        Ok(())
    }
}

impl Found {
    fn is_fine(&self) -> bool {
        self.wrong_count == 0 && self.strange_count == 0
    }

    /// All that was named is as it should be, and more is not.
    fn has_unnamed_only(&self) -> bool {
        (self.wrong.is_empty() && self.wrong_count > 0)
            || (self.strange.is_empty() && self.strange_count > 0)
    }
}

/// How many are not named.
fn more(count: u64, named: usize) -> String {
    let rest = count.saturating_sub(named as u64);
    if rest == 0 {
        String::new()
    } else {
        format!("; and {rest} more")
    }
}
