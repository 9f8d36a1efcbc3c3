//! Copies and removals on a real file system: what is read, what is left by a crash half-way, what
//! is never removed.

use super::*;
use std::os::unix::fs::symlink;

struct Rig {
    folder: tempfile::TempDir,
    sources: PosixSources,
}

const NAME: &str = "run1/a.dat";

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["spool/run1", "one", "two"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        let spool = Spool {
            folder: path("spool"),
            sidecar_of: Box::new(|file| Some(file.replace(".dat", ".jsn"))),
        };
        let spools = BTreeMap::from([(ProfileName::new("daq"), spool)]);
        let sources = PosixSources::new(spools, [path("one"), path("two")]);
        let rig = Self { folder, sources };
        fs::write(rig.source(), b"Wikipedia").unwrap();
        fs::write(rig.path("spool/run1/a.jsn"), b"{}").unwrap();
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self) -> PathBuf {
        self.path("spool").join(NAME)
    }

    fn copy_from(&self, from: Location, to: CopyPlace) -> Found {
        let order = CopyOrder {
            file: FileId(7),
            profile: "daq".into(),
            name: NAME.into(),
            from,
            to,
        };
        self.sources
            .copy(&order, &|| false)
            .expect("nobody stops it")
    }

    fn copy(&self, to: CopyPlace) -> Found {
        let (profile, name) = ("daq".into(), NAME.into());
        self.copy_from(Location::Spool { profile, name }, to)
    }

    fn read(&self, place: CopyPlace) -> Found {
        let read = self
            .sources
            .read_copy(place, &"daq".into(), &NAME.into(), &|| false);
        read.expect("nobody stops it")
    }

    fn order(&self) -> UnlinkOrder {
        let found = fs::metadata(self.source()).unwrap();
        UnlinkOrder {
            file: FileId(7),
            profile: "daq".into(),
            name: NAME.into(),
            bytes: Bytes(9),
            mtime: Moment(found.mtime() * 1_000_000_000 + found.mtime_nsec()),
            adler32: 0x11e6_0398,
        }
    }

    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("spool/run1")).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const WHOLE: (Bytes, u32) = (Bytes(9), 0x11e6_0398);

fn trouble<T>(result: Result<T, SourceFailure>) -> SourceTrouble {
    result.err().expect("it fails").trouble
}

#[test]
fn a_copy_is_what_its_source_is_and_leaves_nothing_beside_it() {
    let rig = Rig::new();
    for place in CopyPlace::ALL {
        assert_eq!(rig.copy(place), Ok(WHOLE));
        assert_eq!(rig.read(place), Ok(WHOLE));
    }
    let names: Vec<_> = fs::read_dir(rig.path("one/daq/run1")).unwrap().collect();
    assert_eq!(names.len(), 1);
    // Done again it ends the same way, whatever lies there.
    fs::write(rig.path("one/daq/run1/a.dat"), b"an older try").unwrap();
    fs::write(rig.path("one/daq/run1/.half-7"), b"cut short").unwrap();
    assert_eq!(rig.copy(CopyPlace::First), Ok(WHOLE));
    assert_eq!(rig.read(CopyPlace::First), Ok(WHOLE));
    assert!(!rig.path("one/daq/run1/.half-7").exists());
}

#[test]
fn what_is_read_back_is_what_is_there() {
    let rig = Rig::new();
    rig.copy(CopyPlace::First).unwrap();
    fs::write(rig.path("one/daq/run1/a.dat"), b"Wikipedie").unwrap();
    assert_ne!(rig.read(CopyPlace::First), Ok(WHOLE));
    fs::remove_file(rig.path("one/daq/run1/a.dat")).unwrap();
    assert_eq!(trouble(rig.read(CopyPlace::First)), SourceTrouble::Missing);
    fs::remove_dir_all(rig.path("one")).unwrap();
    assert_eq!(trouble(rig.read(CopyPlace::First)), SourceTrouble::Place);
    assert_eq!(trouble(rig.copy(CopyPlace::First)), SourceTrouble::Place);
}

#[test]
fn a_copy_is_made_of_the_other_where_the_source_is_gone() {
    let rig = Rig::new();
    rig.copy(CopyPlace::First).unwrap();
    fs::remove_file(rig.source()).unwrap();
    assert_eq!(trouble(rig.copy(CopyPlace::Second)), SourceTrouble::Missing);
    let from = Location::Copy {
        place: CopyPlace::First,
        profile: "daq".into(),
        name: NAME.into(),
    };
    assert_eq!(rig.copy_from(from, CopyPlace::Second), Ok(WHOLE));
    // A spool that is not there is no source that is gone.
    fs::remove_dir_all(rig.path("spool")).unwrap();
    assert_eq!(
        trouble(rig.copy(CopyPlace::Second)),
        SourceTrouble::Unreachable
    );
}

#[test]
fn whoever_stops_leaves_nothing_half_done() {
    let rig = Rig::new();
    let order = CopyOrder {
        file: FileId(7),
        profile: "daq".into(),
        name: NAME.into(),
        from: Location::Spool {
            profile: "daq".into(),
            name: NAME.into(),
        },
        to: CopyPlace::First,
    };
    assert_eq!(rig.sources.copy(&order, &|| true), None);
    let left = fs::read_dir(rig.path("one/daq/run1")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn a_source_goes_with_its_sidecar_and_again_does_no_harm() {
    let rig = Rig::new();
    let order = rig.order();
    assert_eq!(rig.sources.unlink(&order), Ok(()));
    assert_eq!(rig.left(), Vec::<String>::new());
    assert_eq!(rig.sources.unlink(&order), Ok(()));
    // A crash between the two.
    fs::write(rig.path("spool/run1/a.jsn"), b"{}").unwrap();
    assert_eq!(rig.sources.unlink(&order), Ok(()));
    assert_eq!(rig.left(), Vec::<String>::new());
}

#[test]
fn only_the_file_that_was_copied_is_removed() {
    let check = |content: &[u8], expect: Result<(), SourceTrouble>| {
        let rig = Rig::new();
        let order = rig.order();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
        fs::write(rig.source(), content).unwrap();
        let file = File::options().write(true).open(rig.source()).unwrap();
        file.set_modified(later).unwrap();
        let got = rig
            .sources
            .unlink(&order)
            .map_err(|failure| failure.trouble);
        assert_eq!(got, expect, "{content:?}");
        assert_eq!(rig.source().exists(), expect.is_err());
        assert_eq!(rig.left().is_empty(), expect.is_ok());
    };
    // The same file sent again, another one, and a longer one.
    check(b"Wikipedia", Ok(()));
    check(b"Wikipedie", Err(SourceTrouble::Differs));
    check(b"Wikipedia and more", Err(SourceTrouble::Differs));
}

#[test]
fn links_are_not_followed() {
    let rig = Rig::new();
    let order = rig.order();
    fs::rename(rig.source(), rig.path("elsewhere")).unwrap();
    symlink(rig.path("elsewhere"), rig.source()).unwrap();
    assert!(rig.sources.unlink(&order).is_err());
    assert!(rig.copy(CopyPlace::First).is_err());
    assert_eq!(fs::read(rig.path("elsewhere")).unwrap(), b"Wikipedia");
}
