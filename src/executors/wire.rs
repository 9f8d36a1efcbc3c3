//! What the agent and its spawner say to each other: frames of a four-byte length (little endian)
//! and JSON.
//!
//! In: requests and replies. Out: bytes, and back. A socket travels beside the request that needs
//! it, as `SCM_RIGHTS`. A frame is never longer than [`FRAME_BYTES_MAX`]; a longer one means that
//! the peer is not ours, and ends the talk.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Arguments of a program are far below this; the kernel takes 2 MiB at most.
const FRAME_BYTES_MAX: usize = 8 << 20;
const CHUNK_BYTES: usize = 64 << 10;
/// One socket comes with one request; more may be waiting unread.
const SOCKETS_AT_ONCE: usize = 16;

/// What the agent asks of its spawner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start a program.
    Start(Start),
    /// Send a signal to a program's whole group.
    Signal {
        /// Whose.
        key: u64,
        /// Which.
        force: Force,
    },
    /// Say what there is.
    List {
        /// The number of the question.
        number: u64,
    },
}

/// A program to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// What the agent calls it; never used twice.
    pub(crate) key: u64,
    /// `TIER0_TOKEN` of its environment.
    pub(crate) name: String,
    /// The file to execute; a path with a slash, so that no search is needed.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its working folder; the capture files lie in it.
    pub(crate) folder: PathBuf,
    /// Private writable memory it may map.
    pub(crate) data_bytes_max: Option<u64>,
    /// Whether a socket comes beside this request, to be its standard input and output.
    pub(crate) channel: bool,
}

/// How hard to end something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Force {
    /// SIGTERM.
    Ask,
    /// SIGKILL.
    Kill,
}

/// What the spawner answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The program runs: it has been executed.
    Started {
        /// Which.
        key: u64,
    },
    /// The program could not be started.
    Failed {
        /// Which.
        key: u64,
        /// What the system said, as a number.
        errno: Option<i32>,
        /// What the system said.
        reason: String,
    },
    /// What there is, now that everything before the question was done.
    Listed {
        /// The number of the question.
        number: u64,
        /// Programs of which something is left.
        keys: Vec<u64>,
    },
    /// The program and everything it started are gone.
    Ended {
        /// Which.
        key: u64,
        /// How.
        end: End,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// One message as bytes on the wire.
pub(crate) fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)
        .expect("a frame holds texts, numbers and paths that were checked to be UTF-8");
    let length = u32::try_from(bytes.len() - 4).expect("a frame is far below 4 GiB");
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// Sends a frame, with a socket beside it where one is given.
pub(crate) fn send(
    socket: &UnixStream,
    bytes: &[u8],
    beside: Option<BorrowedFd>,
) -> io::Result<()> {
    let mut rest = bytes;
    let mut beside = beside;
    while !rest.is_empty() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<BorrowedFd> = beside.into_iter().collect();
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        match sendmsg(
            socket.as_fd(),
            &[IoSlice::new(rest)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(sent) => {
                rest = &rest[sent..];
                beside = None;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads frames, and the sockets that come beside them.
pub(crate) struct Frames {
    socket: UnixStream,
    buffer: Vec<u8>,
    from: usize,
    sockets: VecDeque<OwnedFd>,
}

impl Frames {
    /// Reads from this socket.
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            buffer: Vec::new(),
            from: 0,
            sockets: VecDeque::new(),
        }
    }

    /// The next message; none when the other side is gone.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            let have = &self.buffer[self.from..];
            if let Some((head, rest)) = have.split_first_chunk::<4>() {
                let length = u32::from_le_bytes(*head) as usize;
                if length > FRAME_BYTES_MAX {
                    return Err(io::Error::other(format!("a frame of {length} bytes")));
                }
                if rest.len() >= length {
                    let message = serde_json::from_slice(&rest[..length])?;
                    self.from += 4 + length;
                    return Ok(Some(message));
                }
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The socket that came beside the message just read.
    pub(crate) fn take_socket(&mut self) -> Option<OwnedFd> {
        self.sockets.pop_front()
    }

    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.from);
        self.from = 0;
        let end = self.buffer.len();
        self.buffer.resize(end + CHUNK_BYTES, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            let mut parts = [IoSliceMut::new(&mut self.buffer[end..])];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match recvmsg(self.socket.as_fd(), &mut parts, &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
                // The peer died with something of ours unread: gone is gone.
                Err(rustix::io::Errno::CONNRESET) => break 0,
                Err(error) => return Err(error.into()),
                Ok(got) => break got.bytes,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                self.sockets.extend(sockets);
            }
        }
        self.buffer.truncate(end + got);
        Ok(got > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn frames_arrive_whole_with_their_sockets() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut mine, theirs) = UnixStream::pair().unwrap();
        let long = "x".repeat(3 * CHUNK_BYTES);
        let sender = std::thread::spawn(move || {
            send(&here, &frame(&"first"), None).unwrap();
            send(&here, &frame(&long), Some(theirs.as_fd())).unwrap();
            // A frame in two pieces.
            let bytes = frame(&"last");
            (&here).write_all(&bytes[..5]).unwrap();
            (&here).write_all(&bytes[5..]).unwrap();
        });
        let mut frames = Frames::new(there);
        assert_eq!(frames.next::<String>().unwrap().as_deref(), Some("first"));
        assert_eq!(
            frames.next::<String>().unwrap().unwrap().len(),
            3 * CHUNK_BYTES
        );
        let mut socket = UnixStream::from(frames.take_socket().unwrap());
        assert_eq!(frames.next::<String>().unwrap().as_deref(), Some("last"));
        assert!(frames.next::<String>().unwrap().is_none());
        socket.write_all(b"hello").unwrap();
        drop(socket);
        sender.join().unwrap();
        let mut text = String::new();
        mine.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn a_frame_without_end_is_refused() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(Frames::new(there).next::<String>().is_err());
    }
}
