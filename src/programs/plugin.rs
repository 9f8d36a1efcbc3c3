//! A plugin's process: one question line at a time, one bounded answer line, until a deadline.
//!
//! In: a command, the time it has, questions. Out: the answers as they came, or a fault in words;
//! whoever asks judges what an answer says. The protocol is that of warm workers
//! (docs/plugins/README.md): it is started with `--tier0-worker`, says `{"hello":{..}}`, answers
//! each `{"ask":{..}}` with `{"answer":{..}}` of the same `request_id`, and ends at `{"quit":{}}`.
//! Its pipes never block us: one loop waits for all three until the deadline. Whatever it does,
//! nothing of its process group is left when it is dropped.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::worker::{PROTOCOL, WORKER};

/// An answer is a few numbers and a payload: a longer line is none.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What people need of a plugin's talk is at its end.
const TALK_BYTES_MAX: usize = 4_096;
/// Characters of a plugin's own words in a message.
const SHOWN_CHARS_MAX: usize = 120;
/// How long one that was told to quit may take before it is ended.
const QUIT_WAIT: Duration = Duration::from_millis(500);

/// What a plugin did instead of answering; each reads on from its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It could not be started.
    #[error("could not be started ({0})")]
    Start(io::Error),
    /// Its pipes could not be used.
    #[error("could not be spoken to ({0})")]
    Pipe(io::Error),
    /// It did not answer in time.
    #[error("did not answer within {} s and was ended", .0.as_secs_f64())]
    Hung(Duration),
    /// It ended, or closed a pipe.
    #[error("{0}")]
    Ended(String),
    /// Its line has no end.
    #[error("wrote a line longer than {LINE_BYTES_MAX} bytes and was ended")]
    LongLine,
    /// Its line is nothing that may be said here.
    #[error("said {said:?}, {why}")]
    Nonsense {
        /// The beginning of the line.
        said: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A running plugin.
pub(crate) struct Plugin {
    child: Child,
    /// Whether it was waited for: its group's number may be somebody else's then.
    gone: bool,
    questions: ChildStdin,
    answers: ChildStdout,
    /// None once it is closed.
    talk: Option<ChildStderr>,
    /// Written by us, not taken yet.
    unsent: Vec<u8>,
    /// Said by it, no line yet.
    heard: Vec<u8>,
    last_talk: Vec<u8>,
    within: Duration,
    until: Instant,
    asked: u64,
}

impl Plugin {
    /// Starts it and hears its hello; `within` is for everything it is ever asked.
    pub(crate) fn start(mut command: Command, within: Duration) -> Result<Self, Fault> {
        let mut child = command
            .arg(WORKER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(Fault::Start)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(questions), Some(answers), Some(talk)) = pipes else {
            unreachable!("all three were asked for");
        };
        let mut plugin = Self {
            child,
            gone: false,
            questions,
            answers,
            talk: Some(talk),
            unsent: Vec::new(),
            heard: Vec::new(),
            last_talk: Vec::new(),
            within,
            until: Instant::now() + within,
            asked: 0,
        };
        plugin
            .unblock()
            .map_err(|error| Fault::Pipe(error.into()))?;
        plugin.hear_hello()?;
        Ok(plugin)
    }

    fn unblock(&self) -> Result<(), Errno> {
        if let Some(talk) = &self.talk {
            ioctl_fionbio(talk, true)?;
        }
        ioctl_fionbio(&self.questions, true)?;
        ioctl_fionbio(&self.answers, true)
    }

    fn hear_hello(&mut self) -> Result<(), Fault> {
        let (line, said) = self.next_line()?;
        match line.get("hello").and_then(|hello| hello.get("protocol")) {
            Some(version) if *version == json!(PROTOCOL) => Ok(()),
            found => {
                let why = match found {
                    Some(version) => format!("which is protocol {version}, not {PROTOCOL}"),
                    None => "where its hello was awaited".to_owned(),
                };
                Err(Fault::Nonsense { said, why })
            }
        }
    }

    /// Asks one question, an object, and gives what stands in `answer`.
    pub(crate) fn ask(&mut self, mut question: Value) -> Result<Value, Fault> {
        self.asked += 1;
        question["request_id"] = json!(self.asked);
        if let Some((said, why)) = self.unasked() {
            return Err(Fault::Nonsense { said, why });
        }
        self.unsent = format!("{}\n", json!({ "ask": question })).into_bytes();
        let (mut line, said) = self.next_line()?;
        let why = match line.get_mut("answer") {
            Some(answer) if answer.get("request_id") == Some(&json!(self.asked)) => {
                return Ok(answer.take());
            }
            Some(answer) => {
                let found = answer.get("request_id").unwrap_or(&Value::Null);
                let asked = self.asked;
                format!("an answer to request_id {found} where {asked} was asked")
            }
            None => "which holds no answer".to_owned(),
        };
        Err(Fault::Nonsense { said, why })
    }

    /// Whoever talks before it is asked cannot be matched with a question any more.
    fn unasked(&self) -> Option<(String, String)> {
        let said = shown(&self.heard);
        (!self.heard.is_empty()).then(|| (said, "which nobody asked".to_owned()))
    }

    /// Its next line, and how it begins.
    fn next_line(&mut self) -> Result<(Value, String), Fault> {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                let said = shown(&line);
                return match serde_json::from_slice(&line) {
                    Ok(value) => Ok((value, said)),
                    Err(error) => {
                        let why = format!("which is not a line of JSON ({error})");
                        Err(Fault::Nonsense { said, why })
                    }
                };
            }
            if self.heard.len() > LINE_BYTES_MAX {
                return Err(Fault::LongLine);
            }
            if !self.exchange(self.until)? {
                return Err(Fault::Ended(self.how_it_ended()));
            }
        }
    }

    /// Waits until a pipe moves and moves it; false when its output or input is closed.
    fn exchange(&mut self, until: Instant) -> Result<bool, Fault> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::Hung(self.within));
        }
        let wanted = Timespec::try_from(left).expect("a time-out is no longer than a job");
        let mut waited = vec![PollFd::new(&self.answers, PollFlags::IN)];
        if let Some(talk) = &self.talk {
            waited.push(PollFd::new(talk, PollFlags::IN));
        }
        if !self.unsent.is_empty() {
            waited.push(PollFd::new(&self.questions, PollFlags::OUT));
        }
        match poll(&mut waited, Some(&wanted)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Fault::Pipe(error.into())),
        }
        self.listen_to_talk();
        Ok(self.send()? && self.listen()?)
    }

    fn send(&mut self) -> Result<bool, Fault> {
        while !self.unsent.is_empty() {
            match self.questions.write(&self.unsent) {
                Ok(taken) => drop(self.unsent.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                Err(error) => return Err(Fault::Pipe(error)),
            }
        }
        Ok(true)
    }

    /// Takes what it has said, at most one line too much.
    fn listen(&mut self) -> Result<bool, Fault> {
        let mut part = [0; 16_384];
        while self.heard.len() <= LINE_BYTES_MAX {
            match self.answers.read(&mut part) {
                Ok(0) => return Ok(self.heard.contains(&b'\n')),
                Ok(read) => self.heard.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Pipe(error)),
            }
        }
        Ok(true)
    }

    /// Keeps the end of its talk; once around, so that whoever talks without end keeps nobody.
    fn listen_to_talk(&mut self) {
        let mut part = [0; TALK_BYTES_MAX];
        let Some(talk) = &mut self.talk else { return };
        match talk.read(&mut part) {
            Ok(0) => self.talk = None,
            Ok(read) => {
                self.last_talk.extend_from_slice(&part[..read]);
                let over = self.last_talk.len().saturating_sub(TALK_BYTES_MAX);
                self.last_talk.drain(..over);
            }
            Err(_) => {}
        }
    }

    /// Ends what is left of it, and says what it did, with its last words.
    fn how_it_ended(&mut self) -> String {
        self.listen_to_talk();
        let did = match self.end() {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with exit code {code}"),
                // By us, or by somebody else just before.
                (None, Some(9)) => "closed its output or was killed".to_owned(),
                (None, signal) => format!("ended by signal {}", signal.unwrap_or_default()),
            },
            Err(error) => format!("closed its output ({error})"),
        };
        let talk = self.last_talk.trim_ascii_end();
        let last = talk.rsplit(|byte| *byte == b'\n').next().unwrap_or(talk);
        if last.is_empty() {
            return format!("{did} before it answered");
        }
        format!(
            "{did} before it answered, its last words: {:?}",
            shown(last)
        )
    }

    /// Tells it to quit and waits a little for it.
    pub(crate) fn quit(mut self) {
        self.unsent = b"{\"quit\":{}}\n".to_vec();
        let until = Instant::now() + QUIT_WAIT;
        while let Ok(true) = self.exchange(until) {
            self.heard.clear();
        }
    }

    /// Kills its group, then waits for it: until then nobody else can have the group's number.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if !std::mem::replace(&mut self.gone, true)
            && let Some(group) = Pid::from_raw(self.child.id().cast_signed())
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.child.wait()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The beginning of a line, for people.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
