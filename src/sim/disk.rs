//! A disk that keeps no more than it must: after a power cut every state is possible that a real
//! file system may leave.
//!
//! In come writes, syncs, renames; out comes what a process sees, and after a power cut a legal
//! rest of it. What was written to a file is certain only once the file was synced; until then any
//! of its new blocks may be missing, the last one may be torn, and the length may be any. A name is
//! certain only once its folder was synced; until then it may be missing, or point to a file
//! without data. A sync that fails has lost what it should have kept, and the next one will not say
//! so ("fsyncgate"; T. S. Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014).

use crate::random::Random;
use std::collections::BTreeMap;

/// A block of a disk: what is written as a whole, or not. Some write 512 bytes, some 4 KiB.
const BLOCKS: [usize; 2] = [512, 4_096];

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskError {
    /// No space is left: what fitted was written.
    Full,
    /// What should have been synced is lost.
    Lost,
    /// The name is taken.
    Exists,
    /// There is no such file.
    Absent,
}

/// One file, whatever its names.
#[derive(Clone, Debug, Default)]
struct Inode {
    /// What a process reads.
    data: Vec<u8>,
    /// What is certain.
    synced: Vec<u8>,
    /// So many first bytes are the same in both: what a sync need not look at again.
    same: usize,
    /// Where a sync has failed: the process reads it, the disk will never have it.
    lost: Option<(usize, usize)>,
}

/// What happened to a folder since it was synced.
#[derive(Clone, Debug)]
enum Change {
    Linked(String, usize),
    Renamed(String, String, usize),
    Removed(String),
}

/// Files and folders.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    block: usize,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
}

impl Disk {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            block: BLOCKS[random.below(2) as usize],
            inodes: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    /// Makes an empty file; what had the name is gone.
    pub(crate) fn create(&mut self, name: &str) {
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(name.to_owned(), inode);
        self.changes.push(Change::Linked(name.to_owned(), inode));
    }

    fn inode(&mut self, name: &str) -> Result<&mut Inode, DiskError> {
        let inode = self.names.get(name).ok_or(DiskError::Absent)?;
        Ok(&mut self.inodes[*inode])
    }

    /// Adds bytes at the end; of a full disk it gets only so many.
    pub(crate) fn append(
        &mut self,
        name: &str,
        bytes: &[u8],
        space: usize,
    ) -> Result<(), DiskError> {
        let fits = bytes.len().min(space);
        self.inode(name)?.data.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() {
            Err(DiskError::Full)
        } else {
            Ok(())
        }
    }

    /// Cuts a file off.
    pub(crate) fn truncate(&mut self, name: &str, length: usize) -> Result<(), DiskError> {
        let inode = self.inode(name)?;
        inode.data.truncate(length);
        inode.same = inode.same.min(length);
        Ok(())
    }

    /// Makes the content of a file certain, or loses what was not.
    pub(crate) fn sync(&mut self, name: &str, fails: bool) -> Result<(), DiskError> {
        let inode = self.inode(name)?;
        if fails {
            let common = inode.data.iter().zip(&inode.synced).skip(inode.same);
            let same = inode.same + common.take_while(|(a, b)| a == b).count();
            let from = inode.lost.map_or(same, |(from, _)| from.min(same));
            inode.lost = Some((from, inode.data.len()));
            return Err(DiskError::Lost);
        }
        if let Some((from, to)) = inode.lost.take() {
            let to = to.min(inode.data.len());
            inode.data[from.min(to)..to].fill(0);
            inode.same = inode.same.min(from);
        }
        inode.synced.truncate(inode.same);
        inode.synced.extend_from_slice(&inode.data[inode.same..]);
        inode.same = inode.data.len();
        Ok(())
    }

    /// Gives a file another name that nothing has.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        if self.names.contains_key(to) {
            return Err(DiskError::Exists);
        }
        self.replace(from, to)
    }

    /// Gives a file another name; what had it is gone in the same moment.
    pub(crate) fn replace(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let inode = self.names.remove(from).ok_or(DiskError::Absent)?;
        self.names.insert(to.to_owned(), inode);
        let change = Change::Renamed(from.to_owned(), to.to_owned(), inode);
        self.changes.push(change);
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.names.remove(name).is_some() {
            self.changes.push(Change::Removed(name.to_owned()));
        }
    }

    /// Makes the names in a folder certain.
    pub(crate) fn sync_folder(&mut self, folder: &str) {
        let of_folder = |change: &mut Change| is_in(change.name(), folder);
        for change in self.changes.extract_if(.., of_folder) {
            change.apply(&mut self.synced_names);
        }
    }

    /// What a process reads.
    pub(crate) fn read(&self, name: &str) -> Option<&[u8]> {
        let inode = self.names.get(name)?;
        Some(&self.inodes[*inode].data)
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    /// One bit turns over, where it was certain.
    pub(crate) fn flip(&mut self, name: &str, bit: usize) {
        if let Ok(inode) = self.inode(name) {
            for bytes in [&mut inode.data, &mut inode.synced] {
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
        }
    }

    /// The power is gone: what was not certain is there in part, in any part.
    pub(crate) fn power_cut(&mut self, random: &mut Random) {
        self.cut_names(random);
        let mut used = vec![false; self.inodes.len()];
        for inode in self.names.values() {
            used[*inode] = true;
        }
        let block = self.block;
        for (inode, used) in self.inodes.iter_mut().zip(used) {
            if !used {
                *inode = Inode::default();
            } else if inode.data != inode.synced {
                inode.synced = torn(inode, block, random);
                inode.data.clone_from(&inode.synced);
                inode.same = inode.data.len();
            }
            inode.lost = None;
        }
    }

    /// Journalled file systems keep the changes of names in order, others any of them.
    fn cut_names(&mut self, random: &mut Random) {
        let changes = std::mem::take(&mut self.changes);
        let in_order = random.per_mille(500);
        let kept = random.below(changes.len() as u64 + 1) as usize;
        for (at, change) in changes.into_iter().enumerate() {
            if (in_order && at < kept) || (!in_order && random.per_mille(500)) {
                change.apply(&mut self.synced_names);
            }
        }
        self.names.clone_from(&self.synced_names);
    }
}

/// What is left of a file that was not synced.
fn torn(inode: &Inode, block: usize, random: &mut Random) -> Vec<u8> {
    let (new, old) = (&inode.data, &inode.synced);
    let (short, long) = (new.len().min(old.len()), new.len().max(old.len()));
    let length = match random.below(4) {
        0 => old.len(),
        1 => new.len(),
        _ => random.between(short as u64, long as u64) as usize,
    };
    let mut left = vec![0; length];
    for first in (0..length).step_by(block) {
        let end = (first + block).min(length);
        let is_new = random.per_mille(500);
        for (at, byte) in left[first..end].iter_mut().enumerate() {
            let at = first + at;
            let (own, before) = (new.get(at), old.get(at));
            // Where both agree nothing was written; a block that was never written holds zeros.
            let left = if is_new { own.or(before) } else { before };
            *byte = left.copied().unwrap_or(0);
            if inode.lost.is_some_and(|(from, to)| from <= at && at < to) {
                *byte = before.copied().unwrap_or(0);
            }
        }
    }
    if random.per_mille(300) && length > old.len() {
        // The last block is torn at any byte.
        let from = old.len().max(length.saturating_sub(block));
        let at = random.between(from as u64, length as u64) as usize;
        left[at..].fill(0);
    }
    left
}

impl Change {
    /// Where it happened: of a rename, where the name is now.
    fn name(&self) -> &str {
        match self {
            Self::Linked(name, _) | Self::Renamed(_, name, _) | Self::Removed(name) => name,
        }
    }

    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Linked(name, inode) => {
                names.insert(name, inode);
            }
            Self::Renamed(from, to, inode) => {
                if names.get(&from) == Some(&inode) {
                    names.remove(&from);
                }
                names.insert(to, inode);
            }
            Self::Removed(name) => {
                names.remove(&name);
            }
        }
    }
}

/// The folder of a name; of one without, the root.
pub(crate) fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether a name is in a folder and in none below: as [`folder_of`], and sooner done with most.
fn is_in(name: &str, folder: &str) -> bool {
    match name.strip_prefix(folder) {
        Some(rest) if !folder.is_empty() => {
            let file = rest.strip_prefix('/');
            file.is_some_and(|file| !file.contains('/'))
        }
        Some(_) => !name.contains('/'),
        None => false,
    }
}

/// FNV-1a over words: finds torn and turned bits; no secret.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        crate::random::mix(sum ^ u64::from_le_bytes(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What a file may be after a power cut, over many cuts.
    fn rests(prepare: impl Fn(&mut Disk)) -> BTreeSet<Option<Vec<u8>>> {
        let mut random = Random::new(3);
        let mut rests = BTreeSet::new();
        for _ in 0..400 {
            let mut disk = Disk::new(&mut random);
            prepare(&mut disk);
            disk.power_cut(&mut random);
            rests.insert(disk.read("a/final").map(<[u8]>::to_vec));
        }
        rests
    }

    fn write(disk: &mut Disk, sync: bool) {
        disk.create("w/partial");
        disk.append("w/partial", b"whole", 9)
            .expect("there is space");
        if sync {
            disk.sync("w/partial", false).expect("it can be synced");
        }
        disk.rename("w/partial", "a/final")
            .expect("the name is free");
    }

    #[test]
    fn a_name_without_its_folder_is_not_certain_and_points_to_whole_data() {
        let rests = rests(|disk| write(disk, true));
        assert_eq!(rests, BTreeSet::from([None, Some(b"whole".to_vec())]));
    }

    #[test]
    fn a_name_with_its_folder_is_certain() {
        let rests = rests(|disk| {
            write(disk, true);
            disk.sync_folder("a");
        });
        assert_eq!(rests, BTreeSet::from([Some(b"whole".to_vec())]));
    }

    #[test]
    fn a_renamed_file_that_was_not_synced_may_be_empty_or_torn() {
        let rests = rests(|disk| {
            write(disk, false);
            disk.sync_folder("a");
        });
        assert!(rests.contains(&Some(Vec::new())), "{rests:?}");
        assert!(rests.contains(&Some(b"whole".to_vec())), "{rests:?}");
        assert!(rests.contains(&Some(b"wh\0\0\0".to_vec())), "{rests:?}");
        assert!(!rests.contains(&None), "{rests:?}");
    }

    #[test]
    fn what_a_failed_sync_lost_the_next_one_does_not_bring_back() {
        let rests = rests(|disk| {
            write(disk, true);
            disk.sync_folder("a");
            disk.append("a/final", b", and more", 99)
                .expect("there is space");
            assert_eq!(disk.sync("a/final", true), Err(DiskError::Lost));
            assert_eq!(disk.read("a/final"), Some(&b"whole, and more"[..]));
            assert_eq!(disk.sync("a/final", false), Ok(()));
        });
        let lost = b"whole\0\0\0\0\0\0\0\0\0\0".to_vec();
        assert_eq!(rests, BTreeSet::from([Some(lost)]));
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let mut disk = Disk::new(&mut Random::new(1));
        disk.create("a/final");
        assert_eq!(disk.append("a/final", b"whole", 3), Err(DiskError::Full));
        assert_eq!(disk.read("a/final"), Some(&b"who"[..]));
    }
}
