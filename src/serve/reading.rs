//! Files read back for whoever asks whether they still are what was recorded.
//!
//! In: where a file lies. Out: its size and checksum as they are now. Must never follow a link, and
//! never read more than one file at a time: whoever asks can wait, detectors cannot.

use api::DocumentSource;
use model::names::{FileName, ProfileName};
use model::work::Location;
use ports::storage::ReadBack;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The folders of an instance.
pub(super) struct Folders {
    /// Spool folders, by profile.
    pub(super) spools: BTreeMap<ProfileName, PathBuf>,
    /// The storage of outputs.
    pub(super) storage: PathBuf,
    /// Folders of copies of sources, in order.
    pub(super) copies: Vec<PathBuf>,
    /// Whose turn it is to read.
    pub(super) turn: Mutex<()>,
}

impl ReadBack for Folders {
    fn read_back(&self, location: &Location) -> Result<(u64, u32), String> {
        let (path, name) = match location {
            Location::Storage { name } => (self.storage.join(name.as_str()), name),
            Location::Copy {
                place,
                profile,
                name,
            } => match self.copies.get(place.number() as usize - 1) {
                Some(folder) => (folder.join(profile.as_str()).join(name.as_str()), name),
                None => {
                    return Err(format!(
                        "the source of {name} was released, and copy folder {place} is no longer \
                         configured; name it again in [release] to read it"
                    ));
                }
            },
            Location::Spool { profile, name } => match self.spools.get(profile) {
                Some(folder) => (folder.join(name.as_str()), name),
                None => {
                    return Err(format!(
                        "{name} came by the stream profile {profile}, which the configuration no \
                         longer has; add it again to read its files"
                    ));
                }
            },
        };
        let failed = |error: std::io::Error| {
            format!("reading {name} back: {error}; look for who removed or replaced it")
        };
        // A turn whose holder failed is free all the same.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = std::fs::symlink_metadata(&path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(format!(
                "{name} is no plain file any more; look for who replaced it"
            ));
        }
        storage::read_back(&path).map_err(failed)
    }
}

impl DocumentSource for Folders {
    fn document(&self, name: &FileName, bytes_max: u64) -> Result<String, String> {
        let path = self.storage.join(name.as_str());
        let failed = |error: std::io::Error| {
            format!("reading {name}: {error}; look for who removed or replaced it")
        };
        // A turn whose holder failed is free all the same.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = std::fs::symlink_metadata(&path).map_err(failed)?;
        if !metadata.is_file() || metadata.len() > bytes_max {
            return Err(format!(
                "{name} is no plain file of at most {bytes_max} bytes any more; look for who \
                 replaced it"
            ));
        }
        let mut text = String::new();
        let file = std::fs::File::open(&path).map_err(failed)?;
        file.take(bytes_max)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_there_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders {
            spools: BTreeMap::from([("hlt".into(), folder.path().to_owned())]),
            storage: folder.path().join("storage"),
            copies: Vec::new(),
            turn: Mutex::new(()),
        };
        std::fs::write(folder.path().join("a.dat"), b"Wikipedia").unwrap();
        std::os::unix::fs::symlink("a.dat", folder.path().join("link.dat")).unwrap();
        let read = |profile: &str, name: &str| {
            folders.read_back(&Location::Spool {
                profile: profile.into(),
                name: name.into(),
            })
        };
        assert_eq!(read("hlt", "a.dat"), Ok((9, 0x11e6_0398)));
        assert!(
            read("hlt", "link.dat")
                .unwrap_err()
                .contains("no plain file")
        );
        assert!(read("hlt", "b.dat").unwrap_err().contains("b.dat"));
        assert!(read("old", "a.dat").unwrap_err().contains("old"));
        std::fs::create_dir(&folders.storage).unwrap();
        std::fs::write(folders.storage.join("a.json"), b"{}").unwrap();
        std::os::unix::fs::symlink("a.json", folders.storage.join("link.json")).unwrap();
        let document = |name: &str, max: u64| folders.document(&name.into(), max);
        assert_eq!(document("a.json", 2), Ok("{}".to_owned()));
        assert!(
            document("a.json", 1)
                .unwrap_err()
                .contains("at most 1 bytes")
        );
        assert!(
            document("link.json", 9)
                .unwrap_err()
                .contains("no plain file")
        );
    }
}
