//! A stream profile: which folder to watch and how to read what lies there. Plain values, built by
//! the configuration room; [`Profile::check`] says what does not fit together before anything is
//! watched.

use crate::pattern::NamePattern;
use model::ids::{LumiNumber, RunNumber};
use model::names::{DataLabel, ProfileName, StreamName};
use model::time::Span;
use model::units::Bytes;
use std::path::PathBuf;

/// How a folder is watched; a periodic scan always backs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Kernel events; sees only what this host writes.
    Inotify,
    /// Looking again and again; for network file systems.
    Poll,
    /// Inotify where the folder lies on a local file system, polling elsewhere.
    Auto,
}

/// Whose conventions the folder follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CMS data acquisition: `.jsn` sidecars with counts, size and Adler-32; an empty lumi reports.
    Cms,
    /// No content is read. A sidecar, where there is one, is named as its file with the suffix
    /// behind, and only marks that the file is complete.
    Generic,
}

/// What says that a file is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileCompletion {
    /// A second file beside it is the commit mark.
    Sidecar {
        /// Its extension with the dot: `.jsn`.
        suffix: String,
    },
    /// It is renamed into the folder. A file written in place is taken once nobody has touched it
    /// for two seconds.
    Rename,
    /// Its writer closes it, or it is renamed in. Where that cannot be seen (polling, a scan) it is
    /// taken once nobody has touched it for ten seconds.
    CloseWrite,
    /// Its size and time have not changed for so long.
    SizeStable {
        /// How long.
        quiet: Span,
    },
}

/// What is passed over in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    /// Beginnings of names, of files and folders.
    pub prefixes: Vec<String>,
    /// Ends of file names.
    pub suffixes: Vec<String>,
    /// Whole names of folders.
    pub folders: Vec<String>,
}

/// One watched folder and how to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name; with a file's name it is the file's identity.
    pub name: ProfileName,
    /// The folder.
    pub folder: PathBuf,
    /// Whether folders below it are watched, too.
    pub recursive: bool,
    /// How it is watched.
    pub how: How,
    /// Whose conventions it follows.
    pub kind: Kind,
    /// How data files are named.
    pub pattern: NamePattern,
    /// Real or simulated.
    pub label: DataLabel,
    /// The run of files whose names have none.
    pub run: Option<RunNumber>,
    /// The lumi of files whose names have none.
    pub lumi: LumiNumber,
    /// The stream of files whose names have none.
    pub stream: Option<StreamName>,
    /// What says that a file is complete.
    pub completion: FileCompletion,
    /// The shortest time between two scans; a scan that costs more than a twentieth of it makes it
    /// longer.
    pub scan_interval_min: Span,
    /// The time between two looks where the folder is polled.
    pub poll_interval: Span,
    /// Names in one folder beyond which people are advised to make folders of it.
    pub flat_entries_max: usize,
    /// The largest sidecar or record that is read.
    pub sidecar_bytes_max: Bytes,
    /// What is passed over.
    pub ignore: Ignore,
}

/// The pattern of CMS stream files (EventFilter/Utilities, FFFNamingSchema.h).
const CMS_PATTERN: &str = "run{run:6}_ls{lumi:4}_stream{stream}_{part}.dat";

impl Profile {
    /// A folder that follows the CMS data acquisition, runs in folders of their own or not.
    pub fn cms(name: &str, folder: impl Into<PathBuf>, label: DataLabel) -> Self {
        let pattern = NamePattern::parse(CMS_PATTERN).expect("the pattern above is legal");
        let mut profile = Self::base(name, folder.into(), label, pattern);
        profile.recursive = true;
        profile.kind = Kind::Cms;
        profile.completion = FileCompletion::Sidecar {
            suffix: ".jsn".into(),
        };
        // Headers, legends and checksums of the same data acquisition: not data, not errors.
        let companions = [".ini", ".jsd", ".checksum"];
        profile
            .ignore
            .suffixes
            .extend(companions.map(str::to_owned));
        profile
    }

    /// A folder into which files of any name are renamed; every file is lumi 1 of run 1 of stream
    /// `files` until the caller gives a pattern or other defaults.
    pub fn generic(name: &str, folder: impl Into<PathBuf>, label: DataLabel) -> Self {
        let pattern = NamePattern::parse("{name}").expect("one capture is legal");
        let mut profile = Self::base(name, folder.into(), label, pattern);
        profile.run = Some(RunNumber(1));
        profile.stream = Some(StreamName::new("files"));
        profile
    }

    fn base(name: &str, folder: PathBuf, label: DataLabel, pattern: NamePattern) -> Self {
        Self {
            name: ProfileName::new(name),
            folder,
            recursive: false,
            how: How::Auto,
            kind: Kind::Generic,
            pattern,
            label,
            run: None,
            lumi: LumiNumber(1),
            stream: None,
            completion: FileCompletion::Rename,
            scan_interval_min: Span::from_secs(30),
            poll_interval: Span::from_secs(1),
            flat_entries_max: 100_000,
            sidecar_bytes_max: Bytes(1 << 20),
            ignore: Ignore {
                prefixes: vec![".".into()],
                suffixes: vec![".tmp".into()],
                folders: vec!["open".into()],
            },
        }
    }

    /// What does not fit together, as a sentence to put behind "profile x: ".
    pub fn check(&self) -> Result<(), String> {
        if !self.pattern.has("run") && self.run.is_none() {
            return Err(format!(
                "nothing says which run a file belongs to; put {{run}} into the pattern \"{}\" or \
                set a run",
                self.pattern
            ));
        }
        if !self.pattern.has("stream") && self.stream.is_none() {
            return Err(format!(
                "nothing says which stream a file belongs to; put {{stream}} into the pattern \
                \"{}\" or set a stream",
                self.pattern
            ));
        }
        if self.lumi == LumiNumber(0) {
            return Err("lumi 0 belongs to the run as a whole; set the lumi to 1 or more".into());
        }
        match &self.completion {
            FileCompletion::Sidecar { suffix } if !suffix.starts_with('.') || suffix.len() < 2 => {
                return Err(format!(
                    "\"{suffix}\" is no suffix of sidecars; write it as \".jsn\""
                ));
            }
            FileCompletion::Sidecar { suffix } if self.pattern.extension() == suffix => {
                return Err(format!(
                    "data files and sidecars both end in \"{suffix}\"; give the pattern the data \
                    files' own extension"
                ));
            }
            FileCompletion::Sidecar { .. } => {}
            _ if self.kind == Kind::Cms => {
                return Err(
                    "the CMS conventions need sidecars; set the completion to sidecar".into(),
                );
            }
            _ => {}
        }
        if self.scan_interval_min <= Span::ZERO || self.poll_interval <= Span::ZERO {
            return Err("scan and poll intervals are longer than nothing; write \"30s\"".into());
        }
        Ok(())
    }
}

impl Ignore {
    /// Whether a file is passed over.
    pub(crate) fn file(&self, name: &[u8]) -> bool {
        self.prefixes
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()))
            || self
                .suffixes
                .iter()
                .any(|suffix| name.ends_with(suffix.as_bytes()))
    }

    /// Whether a folder is passed over.
    pub(crate) fn folder(&self, name: &[u8]) -> bool {
        self.prefixes
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()))
            || self.folders.iter().any(|folder| name == folder.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_that_do_not_fit_together_are_refused() {
        let check = |change: fn(&mut Profile), expect: &str| {
            let mut profile = Profile::cms("p", "/spool", DataLabel::Real);
            assert_eq!(profile.check(), Ok(()));
            change(&mut profile);
            let message = profile.check().expect_err(expect);
            assert!(message.contains(expect), "{message}");
        };
        assert_eq!(
            Profile::generic("p", "/spool", DataLabel::Real).check(),
            Ok(())
        );
        check(
            |p| p.pattern = NamePattern::parse("{stream}.dat").unwrap(),
            "which run",
        );
        check(
            |p| p.pattern = NamePattern::parse("{run}.dat").unwrap(),
            "which stream",
        );
        check(|p| p.completion = FileCompletion::Rename, "need sidecars");
        check(
            |p| {
                p.completion = FileCompletion::Sidecar {
                    suffix: "jsn".into(),
                }
            },
            "no suffix",
        );
        check(
            |p| {
                p.completion = FileCompletion::Sidecar {
                    suffix: ".dat".into(),
                }
            },
            "both end in \".dat\"",
        );
        check(|p| p.poll_interval = Span::ZERO, "longer than nothing");
    }
}
