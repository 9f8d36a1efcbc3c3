//! A storage of outputs on a POSIX file system.
//!
//! In: plans. Out: files under their final names, synced, their folders synced. The order is that
//! of D9: look, sum, sync the file, rename without replacing, sync the folders; a plan that was
//! half done before a crash ends the same way when it is done again. It never replaces a file,
//! never follows a symbolic link out of an attempt's folder, and never deletes anything but what it
//! is told that nobody knows.

use crate::checksum::sum;
use crate::disk::hindrance_of;
use model::ids::Token;
use model::job::ExitClass;
use model::names::FileName;
use model::units::Bytes;
use model::work::{CommitFailure, CommitPlan, PlannedOutput, StoredOutput};
use ports::failpoint::{Point, pass};
use ports::storage::Storage;
use rustix::fs::{Mode, OFlags, RenameFlags, ResolveFlags, open, openat2, renameat_with};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Where the copies of files from another file system grow; same file system as everything else
/// below the root.
pub const HALF: &str = ".half";
/// More do not make a disk faster: each waits for the same journal.
const GROUP_THREADS: usize = 8;

/// Finds the folder of an attempt.
type Resolver = Box<dyn Fn(Token) -> PathBuf + Send + Sync>;

/// Outputs below one folder.
pub struct PosixStorage {
    root: PathBuf,
    work: Resolver,
}

/// Folders whose entries have changed and are not synced yet.
type Unsynced = BTreeSet<PathBuf>;

/// What came of a plan.
struct Placed {
    answer: Result<Vec<StoredOutput>, CommitFailure>,
    /// Names that were given on the way.
    names: Vec<PathBuf>,
}

impl Placed {
    /// The answer; an attempt that fails leaves nothing, because its next one has other names.
    fn settled(self) -> Result<Vec<StoredOutput>, CommitFailure> {
        if self.answer.is_err() {
            for name in &self.names {
                // What cannot be removed now is found at the next start.
                let _ = fs::remove_file(name);
            }
        }
        self.answer
    }
}

impl PosixStorage {
    /// Opens the storage at `root`, made if need be; `work` finds the folder of an attempt.
    pub fn new(root: &Path, work: Resolver) -> Result<Self, CommitFailure> {
        let tried = |error| site("making the storage", root, &error);
        fs::create_dir_all(root.join(HALF)).map_err(tried)?;
        // Copies that a crash cut short are nobody's.
        for entry in fs::read_dir(root.join(HALF)).map_err(tried)?.flatten() {
            pass(Point::HalfRemoved);
            fs::remove_file(entry.path()).map_err(tried)?;
        }
        Ok(Self {
            root: root.to_path_buf(),
            work,
        })
    }

    /// Commits many plans and syncs each folder once for all of them; one answer for each, in
    /// order.
    ///
    /// Plans are put in place by a few threads at once: a file system writes its journal once for
    /// all who wait for it, so a group costs little more than its slowest file.
    pub fn commit_many(
        &self,
        plans: &[CommitPlan],
    ) -> Vec<Result<Vec<StoredOutput>, CommitFailure>> {
        let share = plans.len().div_ceil(GROUP_THREADS).max(1);
        let mut shares: Vec<(Vec<Placed>, Unsynced)> = Vec::new();
        if plans.len() <= 1 {
            shares.push(self.place_share(plans));
        } else {
            std::thread::scope(|scope| {
                let threads: Vec<_> = plans
                    .chunks(share)
                    .map(|share| scope.spawn(move || self.place_share(share)))
                    .collect();
                let joined = threads.into_iter().map(|thread| {
                    thread
                        .join()
                        .expect("putting outputs in place does not panic")
                });
                shares.extend(joined);
            });
        }
        let unsynced: Unsynced = shares
            .iter()
            .flat_map(|(_, folders)| folders.clone())
            .collect();
        let mut placed: Vec<_> = shares.into_iter().flat_map(|(placed, _)| placed).collect();
        let failure = unsynced.iter().find_map(|folder| {
            let error = sync_folder(folder).err()?;
            Some(site("syncing the folder", folder, &error))
        });
        if let Some(failure) = failure {
            // Which names have survived is not known, so none has.
            for placed in placed.iter_mut().filter(|placed| placed.answer.is_ok()) {
                placed.answer = Err(failure.clone());
            }
        }
        placed.into_iter().map(Placed::settled).collect()
    }

    fn place_share(&self, plans: &[CommitPlan]) -> (Vec<Placed>, Unsynced) {
        let mut unsynced = Unsynced::new();
        let placed = plans
            .iter()
            .map(|plan| self.place_all(plan, &mut unsynced))
            .collect();
        (placed, unsynced)
    }

    fn place_all(&self, plan: &CommitPlan, unsynced: &mut Unsynced) -> Placed {
        let folder = (self.work)(plan.token);
        let mut names = Vec::new();
        let answer = plan
            .outputs
            .iter()
            .map(|output| self.place(output, &folder, unsynced, &mut names))
            .collect();
        pass(Point::OutputsPlaced);
        Placed { answer, names }
    }

    /// Puts one output in place.
    fn place(
        &self,
        output: &PlannedOutput,
        folder: &Path,
        unsynced: &mut Unsynced,
        names: &mut Vec<PathBuf>,
    ) -> Result<StoredOutput, CommitFailure> {
        let (name, path) = (output.name.as_str(), output.reported.path.as_str());
        if !is_inside(name) || name.starts_with(HALF) {
            return Err(program(
                output,
                format!("is to be stored as {name:?}, outside the storage"),
            ));
        }
        if !is_inside(path) {
            return Err(program(
                output,
                format!("lies at {path:?}, outside its attempt's folder"),
            ));
        }
        let target = self.root.join(name);
        let mut file = match open_inside(folder, path) {
            Ok(file) => file,
            // Renamed before a crash, perhaps: then the target tells.
            Err(Errno::NOENT) => return already(output, &target, unsynced),
            Err(Errno::LOOP | Errno::XDEV) => {
                return Err(program(
                    output,
                    format!("is reached by a symbolic link at {path:?}"),
                ));
            }
            Err(error) => return Err(site("opening", &folder.join(path), &error.into())),
        };
        pass(Point::OutputOpened);
        let tried = |what| {
            let path = folder.join(path);
            move |error: io::Error| site(what, &path, &error)
        };
        if !file.metadata().map_err(tried("looking at"))?.is_file() {
            return Err(program(output, format!("is no regular file at {path:?}")));
        }
        let (bytes, adler32) = sum(&mut file, None).map_err(tried("reading"))?;
        let stored = StoredOutput {
            name: output.name.clone(),
            bytes: Bytes(bytes),
            adler32,
        };
        compare(output, &stored)?;
        pass(Point::OutputSummed);
        file.sync_data().map_err(tried("syncing"))?;
        pass(Point::OutputSynced);
        self.make_parents(&target, unsynced)?;
        let from = open(folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| site("opening", folder, &error.into()))?;
        match renameat_with(
            &from,
            path,
            rustix::fs::CWD,
            &target,
            RenameFlags::NOREPLACE,
        ) {
            Ok(()) => {}
            Err(Errno::EXIST) => return already(output, &target, unsynced),
            Err(Errno::XDEV) => self.copy(&mut file, output, &stored, &target)?,
            Err(error) => return Err(site("renaming to", &target, &error.into())),
        }
        pass(Point::OutputRenamed);
        note_parent(&target, unsynced);
        names.push(target);
        Ok(stored)
    }

    /// From another file system (a work folder in memory): copied beside, synced, then renamed.
    fn copy(
        &self,
        file: &mut File,
        output: &PlannedOutput,
        stored: &StoredOutput,
        target: &Path,
    ) -> Result<(), CommitFailure> {
        let half = self
            .root
            .join(HALF)
            .join(output.name.as_str().replace('/', "%"));
        let copied = io::Seek::rewind(file)
            .and_then(|()| File::create(&half))
            .and_then(|mut copy| {
                pass(Point::CopyBegun);
                let sums = sum(file, Some(&mut copy))?;
                pass(Point::CopyWhole);
                copy.sync_data()?;
                pass(Point::CopySynced);
                Ok(sums)
            })
            .map_err(|error| site("copying to", &half, &error));
        let done = copied.and_then(|sums| {
            if sums != (stored.bytes.0, stored.adler32) {
                return Err(program(output, "changed while it was copied".to_owned()));
            }
            let cwd = rustix::fs::CWD;
            match renameat_with(cwd, &half, cwd, target, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(()),
                Err(error) => Err(site("renaming to", target, &error.into())),
            }
        });
        if done.is_err() {
            // A half copy holds room that may be just what is lacking.
            let _ = fs::remove_file(&half);
        }
        done
    }

    /// Makes the folders above a name; each new entry is noted in its parent.
    fn make_parents(&self, target: &Path, unsynced: &mut Unsynced) -> Result<(), CommitFailure> {
        let parent = target.parent().unwrap_or(&self.root);
        if parent.is_dir() {
            return Ok(());
        }
        self.make_parents(parent, unsynced)?;
        match fs::create_dir(parent) {
            Ok(()) => pass(Point::OutputFolderMade),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(site("making the folder", parent, &error)),
        }
        note_parent(parent, unsynced);
        Ok(())
    }

    fn sweep(
        &self,
        folder: &Path,
        looks_into: &dyn Fn(&str) -> bool,
        is_known: &dyn Fn(&FileName) -> bool,
        removed: &mut Vec<FileName>,
    ) -> Result<(), CommitFailure> {
        let tried = |error: io::Error| site("listing", folder, &error);
        let mut entries: Vec<_> = fs::read_dir(folder)
            .and_then(Iterator::collect::<io::Result<_>>)
            .map_err(tried)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let relative = path
                .strip_prefix(&self.root)
                .expect("what is swept is below the root");
            if relative == Path::new(HALF) {
                continue;
            }
            if entry.file_type().map_err(tried)?.is_dir() {
                if relative.to_str().is_none_or(looks_into) {
                    self.sweep(&path, looks_into, is_known, removed)?;
                }
                continue;
            }
            // A name that is no text was never ours.
            let Some(name) = relative.to_str().map(FileName::new) else {
                continue;
            };
            if !is_known(&name) {
                pass(Point::GarbageFound);
                fs::remove_file(&path).map_err(|error| site("removing", &path, &error))?;
                pass(Point::GarbageRemoved);
                removed.push(name);
            }
        }
        Ok(())
    }
}

impl Storage for PosixStorage {
    fn commit(&self, plan: &CommitPlan) -> Result<Vec<StoredOutput>, CommitFailure> {
        self.commit_many(std::slice::from_ref(plan))
            .pop()
            .expect("one plan has one answer")
    }

    fn path(&self, name: &FileName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn collect_garbage(
        &self,
        looks_into: &dyn Fn(&str) -> bool,
        is_known: &dyn Fn(&FileName) -> bool,
    ) -> Result<Vec<FileName>, CommitFailure> {
        let mut removed = Vec::new();
        self.sweep(&self.root, looks_into, is_known, &mut removed)?;
        Ok(removed)
    }
}

/// The output was put in place before: it must be the same.
fn already(
    output: &PlannedOutput,
    target: &Path,
    unsynced: &mut Unsynced,
) -> Result<StoredOutput, CommitFailure> {
    let mut file = match File::open(target) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let path = &output.reported.path;
            return Err(program(output, format!("does not exist at {path:?}")));
        }
        Err(error) => return Err(site("opening", target, &error)),
    };
    let tried = |error: io::Error| site("reading", target, &error);
    let (bytes, adler32) = sum(&mut file, None).map_err(tried)?;
    let stored = StoredOutput {
        name: output.name.clone(),
        bytes: Bytes(bytes),
        adler32,
    };
    compare(output, &stored)?;
    file.sync_data().map_err(tried)?;
    note_parent(target, unsynced);
    Ok(stored)
}

/// Whether a path only goes down.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

/// Opens a file below a folder without following any symbolic link (openat2(2)).
fn open_inside(folder: &Path, path: &str) -> Result<File, Errno> {
    let directory = open(folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(directory, path, flags, Mode::empty(), resolve).map(File::from)
}

/// What is there against what the program says of it.
fn compare(output: &PlannedOutput, stored: &StoredOutput) -> Result<(), CommitFailure> {
    let (bytes, adler32) = (stored.bytes.0, stored.adler32);
    if let Some(Bytes(said)) = output.reported.bytes.filter(|said| said.0 != bytes) {
        return Err(program(
            output,
            format!("has {bytes} bytes, its report says {said}"),
        ));
    }
    if let Some(said) = output.reported.adler32.filter(|said| *said != adler32) {
        return Err(program(
            output,
            format!("has the adler32 {adler32:08x}, its report says {said:08x}"),
        ));
    }
    Ok(())
}

fn note_parent(path: &Path, unsynced: &mut Unsynced) {
    if let Some(parent) = path.parent() {
        unsynced.insert(parent.to_path_buf());
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    pass(Point::OutputFolderSynced);
    Ok(())
}

fn program(output: &PlannedOutput, what: String) -> CommitFailure {
    let message = format!("output {} {what}", output.reported.label);
    CommitFailure {
        class: ExitClass::Program,
        message,
        hindrance: None,
    }
}

fn site(what: &str, path: &Path, error: &io::Error) -> CommitFailure {
    let next = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some room",
        io::ErrorKind::PermissionDenied => "; check whose folder it is",
        _ => "; check the disk",
    };
    let message = format!("{what} {} failed: {error}{next}", path.display());
    CommitFailure {
        class: ExitClass::Site,
        message,
        hindrance: hindrance_of(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{AttemptNumber, Epoch, JobId};
    use model::units::Events;
    use model::work::ReportedOutput;

    struct Rig {
        folder: tempfile::TempDir,
        storage: PosixStorage,
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let work = folder.path().join("work");
            fs::create_dir_all(work.join("7")).unwrap();
            let find = move |token: Token| work.join(token.job.to_string());
            let storage = PosixStorage::new(&folder.path().join("store"), Box::new(find)).unwrap();
            Self { folder, storage }
        }

        fn work(&self) -> PathBuf {
            self.folder.path().join("work/7")
        }

        fn store(&self, name: &str) -> PathBuf {
            self.folder.path().join("store").join(name)
        }
    }

    fn plan(path: &str, name: &str, bytes: Option<u64>, adler32: Option<u32>) -> CommitPlan {
        let reported = ReportedOutput {
            label: "RECO".into(),
            path: path.to_owned(),
            bytes: bytes.map(Bytes),
            adler32,
            events: Events(1),
            lumis: Vec::new(),
        };
        CommitPlan {
            token: Token {
                epoch: Epoch(1),
                job: JobId(7),
                attempt: AttemptNumber(1),
            },
            outputs: vec![PlannedOutput {
                reported,
                name: name.into(),
            }],
        }
    }

    /// adler32 of "Wikipedia".
    const SUM: u32 = 0x11e6_0398;

    #[test]
    fn an_output_moves_once_and_a_second_time_says_the_same() {
        let rig = Rig::new();
        fs::create_dir(rig.work().join("sub")).unwrap();
        fs::write(rig.work().join("sub/a"), "Wikipedia").unwrap();
        let plan = plan("sub/a", "Muons/RECO/7-1.dat", Some(9), Some(SUM));
        let expect = vec![StoredOutput {
            name: "Muons/RECO/7-1.dat".into(),
            bytes: Bytes(9),
            adler32: SUM,
        }];
        assert_eq!(rig.storage.commit(&plan).as_ref(), Ok(&expect));
        assert!(!rig.work().join("sub/a").exists());
        assert_eq!(
            fs::read(rig.store("Muons/RECO/7-1.dat")).unwrap(),
            b"Wikipedia"
        );
        assert_eq!(rig.storage.commit(&plan), Ok(expect));
    }

    #[test]
    fn what_is_not_as_reported_is_refused() {
        let rig = Rig::new();
        let outside = rig.folder.path().join("outside");
        fs::write(&outside, "Wikipedia").unwrap();
        let check = |path: &str, bytes, sum, name: &str, part: &str| {
            fs::write(rig.work().join("a"), "Wikipedia").unwrap();
            let failure = rig
                .storage
                .commit(&plan(path, name, bytes, sum))
                .unwrap_err();
            assert_eq!(failure.class, ExitClass::Program, "{}", failure.message);
            assert!(failure.message.contains(part), "{}", failure.message);
            assert!(outside.exists());
        };
        check("a", Some(8), None, "n", "has 9 bytes, its report says 8");
        check(
            "a",
            None,
            Some(1),
            "n",
            "adler32 11e60398, its report says 00000001",
        );
        check("b", None, None, "n", "does not exist at \"b\"");
        check(
            "../../outside",
            None,
            None,
            "n",
            "outside its attempt's folder",
        );
        check(
            outside.to_str().unwrap(),
            None,
            None,
            "n",
            "outside its attempt's folder",
        );
        check("a", None, None, "../n", "outside the storage");
        check("a", None, None, ".half/n", "outside the storage");
        std::os::unix::fs::symlink(&outside, rig.work().join("link")).unwrap();
        check("link", None, None, "n", "symbolic link");
        std::os::unix::fs::symlink(rig.folder.path(), rig.work().join("up")).unwrap();
        check("up/outside", None, None, "n", "symbolic link");
        fs::create_dir(rig.work().join("dir")).unwrap();
        check("dir", None, None, "n", "no regular file");
        assert!(!rig.store("n").exists());
    }

    #[test]
    fn a_name_that_is_taken_is_never_replaced() {
        let rig = Rig::new();
        fs::write(rig.store("n"), "another").unwrap();
        fs::write(rig.work().join("a"), "Wikipedia").unwrap();
        let failure = rig
            .storage
            .commit(&plan("a", "n", Some(9), None))
            .unwrap_err();
        assert_eq!(failure.class, ExitClass::Program, "{}", failure.message);
        assert_eq!(fs::read(rig.store("n")).unwrap(), b"another");
    }

    #[test]
    fn an_attempt_that_fails_leaves_nothing_of_what_went_well() {
        let rig = Rig::new();
        fs::write(rig.work().join("a"), b"Wikipedia").unwrap();
        let mut half = plan("a", "ds/1/RECO-7-1.dat", Some(9), Some(SUM));
        half.outputs
            .extend(plan("b", "ds/1/DQM-7-1.dat", None, None).outputs);
        let failure = rig.storage.commit(&half).unwrap_err();
        assert!(failure.message.contains("does not exist"), "{failure:?}");
        assert!(!rig.storage.path(&"ds/1/RECO-7-1.dat".into()).exists());
    }

    #[test]
    fn a_storage_that_cannot_be_written_is_the_places_fault() {
        let rig = Rig::new();
        fs::write(rig.work().join("a"), "Wikipedia").unwrap();
        // A file where a folder has to be.
        fs::write(rig.store("Muons"), "").unwrap();
        let failure = rig
            .storage
            .commit(&plan("a", "Muons/n", None, None))
            .unwrap_err();
        assert_eq!(failure.class, ExitClass::Site, "{}", failure.message);
        assert!(rig.work().join("a").exists());
    }

    #[test]
    fn a_group_answers_each_plan_in_order() {
        let rig = Rig::new();
        let plans: Vec<_> = (0..40)
            .map(|i| {
                let path = format!("f{i}");
                if i % 7 != 3 {
                    fs::write(rig.work().join(&path), path.as_bytes()).unwrap();
                }
                plan(&path, &format!("{}/{i}", i % 5), None, None)
            })
            .collect();
        let answers = rig.storage.commit_many(&plans);
        assert_eq!(answers.len(), 40);
        for (i, answer) in answers.iter().enumerate() {
            match answer {
                Ok(stored) => {
                    assert_eq!(stored[0].name.as_str(), format!("{}/{i}", i % 5));
                    assert!(rig.storage.path(&stored[0].name).exists());
                }
                Err(failure) => assert!(i % 7 == 3, "{}", failure.message),
            }
        }
    }

    #[test]
    fn from_another_file_system_it_is_copied() {
        // A folder in memory is another file system wherever there is one.
        let memory = Path::new("/dev/shm");
        let Ok(work) = tempfile::tempdir_in(memory) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        fs::write(work.path().join("a"), "Wikipedia").unwrap();
        let place = work.path().to_path_buf();
        let storage = PosixStorage::new(folder.path(), Box::new(move |_| place.clone())).unwrap();
        let plan = plan("a", "x/n", Some(9), None);
        let first = storage.commit(&plan).unwrap();
        assert_eq!(first[0].adler32, SUM);
        assert_eq!(fs::read(folder.path().join("x/n")).unwrap(), b"Wikipedia");
        assert_eq!(fs::read_dir(folder.path().join(HALF)).unwrap().count(), 0);
        fs::remove_dir_all(work.path()).unwrap();
        fs::create_dir(work.path()).unwrap();
        assert_eq!(storage.commit(&plan), Ok(first));
    }

    #[test]
    fn only_what_nobody_knows_is_garbage() {
        let rig = Rig::new();
        for name in ["a", "x/b", "x/y/c", "x/z/d"] {
            let path = rig.store(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let known = |name: &FileName| name.as_str() == "x/b";
        let looks_into = |folder: &str| folder != "x/z";
        let removed = rig.storage.collect_garbage(&looks_into, &known).unwrap();
        assert_eq!(removed, ["a".into(), "x/y/c".into()]);
        assert!(rig.store("x/b").exists() && !rig.store("a").exists());
        assert!(rig.store("x/z/d").exists(), "nobody looks there");
    }
}
