//! The few questions this room asks a file system. Links are never followed, nothing but plain
//! files is ever opened, and nothing is read beyond the bound given.

use model::time::Moment;
use model::units::Bytes;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

/// What tells a rewritten file from the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) inode: u64,
    pub(crate) bytes: u64,
    pub(crate) mtime: Moment,
}

/// What lies under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Plain(Stamp),
    /// With the number of its links, which counts the folders in it.
    Folder(Stamp, u64),
    /// Neither, and what people call it.
    Odd(Stamp, &'static str),
}

impl Entry {
    pub(crate) fn stamp(self) -> Stamp {
        match self {
            Self::Plain(stamp) | Self::Folder(stamp, _) | Self::Odd(stamp, _) => stamp,
        }
    }
}

/// What people call a thing that is neither file nor folder; none for those and for what is not
/// known.
pub(crate) fn odd_word(kind: FileType) -> Option<&'static str> {
    match kind {
        FileType::Symlink => Some("symbolic link"),
        FileType::Fifo => Some("fifo"),
        FileType::Socket => Some("socket"),
        FileType::CharacterDevice => Some("character device"),
        FileType::BlockDevice => Some("block device"),
        FileType::RegularFile | FileType::Directory | FileType::Unknown => None,
    }
}

/// Asks what lies at `path`, without following a link there; none when there is nothing.
pub(crate) fn look(path: &[u8]) -> Result<Option<Entry>, Errno> {
    let stat = match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let stamp = stamp_of(&stat);
    Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Entry::Plain(stamp),
        FileType::Directory => Entry::Folder(stamp, links_of(&stat)),
        other => Entry::Odd(stamp, odd_word(other).unwrap_or("thing of unknown kind")),
    }))
}

// Types of these fields differ from one machine architecture to the next.
#[expect(
    clippy::unnecessary_cast,
    reason = "the fields' widths depend on the architecture"
)]
fn stamp_of(stat: &Stat) -> Stamp {
    let nanoseconds = (stat.st_mtime as i64)
        .saturating_mul(1_000_000_000)
        .saturating_add(stat.st_mtime_nsec as i64);
    Stamp {
        inode: stat.st_ino as u64,
        bytes: (stat.st_size as i64).unsigned_abs(),
        mtime: Moment(nanoseconds),
    }
}

#[expect(
    clippy::unnecessary_cast,
    reason = "the field's width depends on the architecture"
)]
fn links_of(stat: &Stat) -> u64 {
    stat.st_nlink as u64
}

/// Reads a small plain file of about `expected` bytes, never more than `most` and one: more means
/// that it has grown.
pub(crate) fn read_small(path: &[u8], expected: u64, most: Bytes) -> Result<Vec<u8>, Errno> {
    // NONBLOCK: should a fifo have taken the file's place since it was looked at, opening it must
    // not hang.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags | OFlags::NOCTTY, Mode::empty())?;
    let mut content = vec![0; expected.min(most.0) as usize + 1];
    let mut filled = 0;
    while filled < content.len() {
        match rustix::io::read(&file, &mut content[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        if filled + 1 == content.len() {
            // All that was expected: asking for the end of the file would be one more call on the
            // hot path.
            break;
        }
    }
    content.truncate(filled);
    Ok(content)
}

/// A name in a folder, and what the listing says it is.
pub(crate) type Listed = (Box<[u8]>, FileType);

/// Lists a folder in order of names.
pub(crate) fn list(path: &[u8]) -> Result<Vec<Listed>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut entries: Vec<Listed> = Vec::new();
    for entry in Dir::new(openat(CWD, path, flags, Mode::empty())?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            entries.push((Box::from(name), entry.file_type()));
        }
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

/// Whether other hosts may write below `path` unseen by this kernel. Numbers from linux/magic.h and
/// the file systems' own sources (Lustre, GPFS, BeeGFS, CernVM-FS and EOS come as FUSE).
pub(crate) fn is_remote(path: &[u8]) -> Result<bool, Errno> {
    const REMOTE: [u32; 13] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x5346_414f, // AFS
        0x6b41_4653, // kAFS
        0x7375_7245, // Coda
        0x00c3_6400, // Ceph
        0x0bd0_0bd0, // Lustre
        0x4750_4653, // GPFS
        0x1983_0326, // BeeGFS
        0x6573_5546, // FUSE
        0x0102_1997, // 9P
    ];
    let kind = rustix::fs::statfs(path)?.f_type as u32;
    Ok(REMOTE.contains(&kind))
}
