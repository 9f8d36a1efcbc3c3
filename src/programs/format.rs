//! The event container `.dat` of the replayed data acquisition: framed records that keep the source
//! rows.
//!
//! In: events of one run, lumi and stream with the text rows they had in the data set. Out: the
//! bytes of one file, and back again with every frame checked. A file is a fixed prelude, a header
//! line in JSON, and one frame an event: `u32` length, `u32` adler32 of the payload, payload (`u64`
//! event number and the rows, joined by line feeds); all integers are little endian. The rows are
//! kept as they were, so that what is published can be compared with the source to the last
//! character. It never repairs: a short file, a wrong checksum or an absurd length is an error with
//! its offset.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// First bytes of every container.
pub const MAGIC: [u8; 4] = *b"T0EV";
/// Version of the layout described at the head of this file.
pub const VERSION: u32 = 1;
/// Longest header in bytes. Forty column names take about 400; more than this is no header.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Longest frame payload in bytes. An event of 26 rows, the most seen, takes about 8 KiB.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Magic, version, header length, adler32 of the header.
const PRELUDE_BYTES: usize = 16;
/// Length and adler32 in front of each payload.
const FRAME_HEAD_BYTES: usize = 8;

/// Whether data came from a detector or from a simulation. The two never meet in one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Recorded by a detector.
    Real,
    /// Made by a program; the truth is known.
    Simulated,
}

impl Label {
    /// The word used in records, file metadata and job parameters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Simulated => "simulated",
        }
    }

    /// Reads the word back; `None` for any other word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "real" => Some(Self::Real),
            "simulated" => Some(Self::Simulated),
            _ => None,
        }
    }
}

/// The header line of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the header's fields, now 1.
    pub schema: u32,
    /// Name of the data set that was replayed, e.g. `Zmumu_Run2011A`.
    pub source: String,
    /// Real or simulated.
    pub label: Label,
    /// Run number.
    pub run: u32,
    /// Slice of the replay, standing in for a lumi.
    pub lumi: u32,
    /// Stream name.
    pub stream: String,
    /// Column names of the rows, in order.
    pub columns: Vec<String>,
    /// Number of frames that follow, so that a cut between two frames is seen.
    pub events: u64,
}

/// One event: its number and its rows as they stood in the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// Event number, unique in its run.
    pub event: u64,
    /// Comma separated rows, at least one.
    pub rows: Vec<String>,
}

/// A container in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The header line.
    pub header: Header,
    /// The events, strictly rising by number.
    pub events: Vec<RawEvent>,
}

/// Why bytes are not a container. Offsets are in bytes from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The first bytes are something else.
    #[error(
        "not an event container: the file starts with {found:02x?} at offset 0, expected the magic \
         {MAGIC:02x?}; give a .dat file written by `tier0 inject`"
    )]
    NotAContainer {
        /// The bytes found, up to four.
        found: Vec<u8>,
    },
    /// A container of another version.
    #[error(
        "event container of version {found} at offset 4, this program reads version {VERSION}; \
             replay the data set again with this version"
    )]
    Version {
        /// The version in the file.
        found: u32,
    },
    /// The file ends inside the named part.
    #[error(
        "event container is cut short: {part} at offset {offset} needs {need_bytes} bytes, \
             {have_bytes} are left; fetch the file again"
    )]
    Truncated {
        /// Which part is incomplete.
        part: &'static str,
        /// Where the part begins.
        offset: usize,
        /// Bytes needed from there.
        need_bytes: usize,
        /// Bytes present from there.
        have_bytes: usize,
    },
    /// A length field no writer would write.
    #[error(
        "event container is damaged: length {found_bytes} of {part} at offset {offset} is \
             outside {low_bytes}..={high_bytes}; fetch the file again"
    )]
    Length {
        /// Whose length it is.
        part: &'static str,
        /// Where the length stands.
        offset: usize,
        /// The length read.
        found_bytes: usize,
        /// Smallest length allowed.
        low_bytes: usize,
        /// Largest length allowed.
        high_bytes: usize,
    },
    /// Bytes changed after they were written.
    #[error(
        "event container is damaged: adler32 of {part} at offset {offset} is {computed:08x}, \
             the file says {stored:08x}; fetch the file again"
    )]
    Checksum {
        /// Which part.
        part: &'static str,
        /// Where its bytes begin.
        offset: usize,
        /// Checksum stored in the file.
        stored: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// The header is no header.
    #[error(
        "event container header at offset {PRELUDE_BYTES} cannot be read: {reason}; \
             replay the data set again"
    )]
    Header {
        /// What the JSON reader said.
        reason: String,
    },
    /// A frame with a good checksum whose content breaks the layout.
    #[error(
        "event container frame at offset {offset} breaks the layout: {reason}; \
             the writer of this file is at fault"
    )]
    Frame {
        /// Where the payload begins.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
}

impl Container {
    /// The bytes of the file. Events must be strictly rising by number (checked in debug builds
    /// here and by every reader).
    pub fn to_bytes(&self) -> Vec<u8> {
        debug_assert!(
            self.events
                .windows(2)
                .all(|pair| pair[0].event < pair[1].event)
        );
        let mut header = String::new();
        let json = serde_json::to_string(&self.header)
            .expect("a header holds only strings and numbers, which JSON can always say");
        writeln!(header, "{json}").expect("writing to a String cannot fail");
        let mut bytes = Vec::with_capacity(PRELUDE_BYTES + header.len() + self.events.len() * 256);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&checksum(header.as_bytes()).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        for event in &self.events {
            let mut payload = event.event.to_le_bytes().to_vec();
            payload.extend_from_slice(event.rows.join("\n").as_bytes());
            bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&checksum(&payload).to_le_bytes());
            bytes.extend_from_slice(&payload);
        }
        bytes
    }

    /// Reads and checks a whole file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let found = &bytes[..bytes.len().min(MAGIC.len())];
        if found != MAGIC {
            return Err(FormatError::NotAContainer {
                found: found.to_vec(),
            });
        }
        let prelude = take(bytes, 0, PRELUDE_BYTES, "the prelude")?;
        let version = word(prelude, 4);
        if version != VERSION {
            return Err(FormatError::Version { found: version });
        }
        let header_bytes = word(prelude, 8) as usize;
        check_length("the header", 8, header_bytes, 2, HEADER_BYTES_MAX)?;
        let line = take(bytes, PRELUDE_BYTES, header_bytes, "the header")?;
        check_sum("the header", PRELUDE_BYTES, line, word(prelude, 12))?;
        let header: Header = serde_json::from_slice(line).map_err(|error| FormatError::Header {
            reason: error.to_string(),
        })?;
        let events = frames(bytes, PRELUDE_BYTES + header_bytes, &header)?;
        Ok(Self { header, events })
    }
}

/// Reads the frames from `offset` on and checks their number against the header.
fn frames(bytes: &[u8], start: usize, header: &Header) -> Result<Vec<RawEvent>, FormatError> {
    let mut events: Vec<RawEvent> = Vec::new();
    let mut offset = start;
    while offset < bytes.len() {
        let head = take(bytes, offset, FRAME_HEAD_BYTES, "a frame head")?;
        let payload_bytes = word(head, 0) as usize;
        check_length("a frame", offset, payload_bytes, 9, FRAME_BYTES_MAX)?;
        let at = offset + FRAME_HEAD_BYTES;
        let payload = take(bytes, at, payload_bytes, "a frame payload")?;
        check_sum("a frame payload", at, payload, word(head, 4))?;
        let event = decode(payload, at)?;
        if let Some(last) = events.last()
            && last.event >= event.event
        {
            let reason = format!("event {} follows event {}", event.event, last.event);
            return Err(FormatError::Frame { offset: at, reason });
        }
        events.push(event);
        offset = at + payload_bytes;
    }
    if events.len() as u64 == header.events {
        return Ok(events);
    }
    if (events.len() as u64) < header.events {
        // Cut exactly between two frames: only the header's count tells.
        let (need_bytes, have_bytes) = (FRAME_HEAD_BYTES, 0);
        return Err(FormatError::Truncated {
            part: "a further frame",
            offset,
            need_bytes,
            have_bytes,
        });
    }
    let reason = format!("{} frames, the header says {}", events.len(), header.events);
    Err(FormatError::Frame { offset, reason })
}

fn decode(payload: &[u8], offset: usize) -> Result<RawEvent, FormatError> {
    let (number, rows) = payload.split_at(8);
    let event = u64::from_le_bytes(number.try_into().expect("split_at(8) gives eight bytes"));
    let rows = std::str::from_utf8(rows).map_err(|error| FormatError::Frame {
        offset,
        reason: format!("the rows of event {event} are not UTF-8: {error}"),
    })?;
    Ok(RawEvent {
        event,
        rows: rows.split('\n').map(str::to_owned).collect(),
    })
}

/// Adler-32 of RFC 1950, start value 1, as in the sidecars of the data acquisition.
pub fn checksum(bytes: &[u8]) -> u32 {
    adler32::adler32(&bytes)
}

fn take<'a>(
    bytes: &'a [u8],
    offset: usize,
    need_bytes: usize,
    part: &'static str,
) -> Result<&'a [u8], FormatError> {
    let have_bytes = bytes.len().saturating_sub(offset);
    let cut = FormatError::Truncated {
        part,
        offset,
        need_bytes,
        have_bytes,
    };
    bytes.get(offset..offset + need_bytes).ok_or(cut)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

fn check_length(
    part: &'static str,
    offset: usize,
    found_bytes: usize,
    low_bytes: usize,
    high_bytes: usize,
) -> Result<(), FormatError> {
    if (low_bytes..=high_bytes).contains(&found_bytes) {
        return Ok(());
    }
    Err(FormatError::Length {
        part,
        offset,
        found_bytes,
        low_bytes,
        high_bytes,
    })
}

fn check_sum(
    part: &'static str,
    offset: usize,
    bytes: &[u8],
    stored: u32,
) -> Result<(), FormatError> {
    let computed = checksum(bytes);
    if computed == stored {
        return Ok(());
    }
    Err(FormatError::Checksum {
        part,
        offset,
        stored,
        computed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Container {
        let rows = |n: u64| (0..n).map(|i| format!("{i},2.5,-1")).collect();
        let events: Vec<_> = (1..=5)
            .map(|n| RawEvent {
                event: n * 1_000_000_007,
                rows: rows(n),
            })
            .collect();
        Container {
            header: Header {
                schema: 1,
                source: "sample".into(),
                label: Label::Simulated,
                run: 900_001,
                lumi: 3,
                stream: "Muons".into(),
                columns: vec!["a".into(), "b".into(), "c".into()],
                events: 5,
            },
            events,
        }
    }

    #[test]
    fn a_container_reads_back_as_it_was_written() {
        assert_eq!(Container::from_bytes(&sample().to_bytes()), Ok(sample()));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_an_error() {
        let good = sample().to_bytes();
        for length in 0..good.len() {
            assert!(
                Container::from_bytes(&good[..length]).is_err(),
                "cut at {length} was read"
            );
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            assert!(
                Container::from_bytes(&bad).is_err(),
                "byte {at} flipped was read"
            );
        }
    }

    #[test]
    fn messages_name_the_place_and_the_next_step() {
        let good = sample().to_bytes();
        let check = |bytes: &[u8], expect: &str| {
            let message = Container::from_bytes(bytes).unwrap_err().to_string();
            assert!(message.contains(expect), "{message:?} lacks {expect:?}");
        };
        check(b"", "starts with []");
        check(b"PAR1....", "not an event container");
        check(
            &good[..10],
            "the prelude at offset 0 needs 16 bytes, 10 are left",
        );
        check(&good[..good.len() - 1], "a frame payload at offset");
        let first_frame = 16 + word(&good, 8) as usize;
        let mut absurd = good.clone();
        absurd[first_frame..first_frame + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        check(&absurd, "length 4294967295 of a frame");
        let mut version = good.clone();
        version[4] = 9;
        check(&version, "version 9");
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        check(&flipped, "adler32 of a frame payload at offset");
        let one_less = good.len() - (8 + 8 + sample().events[4].rows.join("\n").len());
        check(&good[..one_less], "cut short: a further frame");
        let mut doubled = sample();
        doubled.header.events = 6;
        let mut bytes = doubled.to_bytes();
        let tail = good[one_less..].to_vec();
        bytes.extend_from_slice(&tail);
        check(&bytes, "follows event");
    }
}
