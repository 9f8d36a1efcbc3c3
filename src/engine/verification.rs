//! Verification: a file whose sender claims a checksum is read back once, while its first job runs,
//! and nothing that was made of it is published before it was found to be what was claimed (D10).
//!
//! In come what was read and what was stored meanwhile, out go the winners that waited for it. A
//! file that is something else fails the jobs that read it, and only them.

use crate::timers::Timer;
use crate::{Effect, Engine};
use model::alarm::Severity;
use model::arrival::Arrival;
use model::fact::Fact;
use model::file::{Content, File};
use model::ids::{FileId, JobId, Token};
use model::job::{ExitClass, InputId};
use model::time::{Moment, Span};
use model::units::Bytes;
use model::work::{AttemptReport, Location, StoredOutput};

/// A file that could not be read is tried again after this time: long enough for a mount to come
/// back, short beside any wait of people.
const READ_AGAIN_AFTER: Span = Span::from_secs(10);

/// An attempt that has won but for the verification of what it read. Not a row: after a restart it
/// is made again.
pub(crate) struct Winner {
    token: Token,
    report: Box<AttemptReport>,
    stored: Vec<StoredOutput>,
}

impl Engine {
    /// Asks for the files of a job that starts to be read back, each once.
    pub(crate) fn verify_inputs(&mut self, id: JobId, effects: &mut Vec<Effect>) {
        for file in self.unverified(id) {
            if self.reading.insert(file) {
                effects.push(self.read_back(file));
            }
        }
    }

    fn read_back(&self, id: FileId) -> Effect {
        // No copy is good, and no source released, before somebody has looked.
        let arrival = &self.files[&id].arrival;
        let location = Location::Spool {
            profile: arrival.profile.clone(),
            name: arrival.name.clone(),
        };
        Effect::ReadBack(id, location)
    }

    /// Time has come to try a file again that could not be read.
    pub(crate) fn read_again(&mut self, id: FileId, effects: &mut Vec<Effect>) {
        if self.files.contains_key(&id) && self.reading.contains(&id) {
            effects.push(self.read_back(id));
        }
    }

    /// Files of a job that claim something nobody has looked at.
    pub(crate) fn unverified(&self, id: JobId) -> Vec<FileId> {
        let files = self.inputs_on_file(id);
        let files = files.filter(|file| file.content == Content::Claimed);
        files.map(|file| file.id).collect()
    }

    fn inputs_on_file(&self, id: JobId) -> impl Iterator<Item = &File> {
        let inputs = self.jobs.get(&id).into_iter().flat_map(|job| &job.inputs);
        inputs.filter_map(|input| match input {
            InputId::File(file) => self.files.get(file),
            InputId::Output(_) => None,
        })
    }

    /// What the inputs of a job are found to be, if that is not what was claimed.
    fn corrupt_input(&self, id: JobId) -> Option<String> {
        let mut files = self.inputs_on_file(id);
        files.find_map(|file| match file.content {
            Content::Differs { bytes, adler32 } => Some(corrupt(file, bytes, adler32)),
            Content::Claimed | Content::Verified | Content::Unclaimed => None,
        })
    }

    /// An attempt has won, if what it read was what was claimed; where that is not known yet, it
    /// waits.
    pub(crate) fn win_verified(
        &mut self,
        now: Moment,
        token: Token,
        report: Box<AttemptReport>,
        stored: Vec<StoredOutput>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(message) = self.corrupt_input(token.job) {
            self.attempt_failed(now, token.job, ExitClass::Input, &message, effects);
        } else if self.unverified(token.job).is_empty() {
            self.win(now, token.job, &report, &stored, effects);
        } else {
            self.verify_inputs(token.job, effects);
            let winner = Winner {
                token,
                report,
                stored,
            };
            self.unproven.insert(token.job, winner);
        }
    }

    /// A file was read back, or could not be.
    pub(crate) fn was_read(
        &mut self,
        now: Moment,
        id: FileId,
        result: Result<(Bytes, u32), String>,
        effects: &mut Vec<Effect>,
    ) {
        let claimed = |file: &&File| file.content == Content::Claimed;
        let Some(file) = self.files.get(&id).filter(claimed) else {
            return;
        };
        match result {
            Ok((bytes, adler32)) => self.content_found(now, id, bytes, adler32, effects),
            Err(why) => {
                let key = unreadable_key(file);
                let text = format!(
                    "{why}. What was made of it is published once it was read; it is tried again \
                     every {READ_AGAIN_AFTER}."
                );
                self.alarm(now, key, Severity::High, text, effects);
                self.timers.set(now + READ_AGAIN_AFTER, Timer::ReadBack(id));
            }
        }
    }

    /// What a file holds was read, by whomever; says nothing new of one that was looked at before.
    pub(crate) fn content_found(
        &mut self,
        now: Moment,
        id: FileId,
        bytes: Bytes,
        adler32: u32,
        effects: &mut Vec<Effect>,
    ) {
        let claimed = |file: &&mut File| file.content == Content::Claimed;
        let Some(file) = self.files.get_mut(&id).filter(claimed) else {
            return;
        };
        self.reading.remove(&id);
        file.content = if file.is_as_claimed(bytes, adler32) {
            Content::Verified
        } else {
            Content::Differs { bytes, adler32 }
        };
        let file = file.clone();
        effects.push(Effect::Record(Fact::FileIs(file.clone())));
        self.clear_alarm(now, &unreadable_key(&file), effects);
        if let Content::Differs { bytes, adler32 } = file.content {
            let key = corrupt_key(&file);
            let text = corrupt(&file, bytes, adler32);
            self.alarm(now, key, Severity::High, text, effects);
        }
        self.prove(now, effects);
    }

    /// A file that was not what its sender claims was sent again: jobs that are retried read it
    /// back anew.
    pub(crate) fn sent_again(
        &mut self,
        now: Moment,
        id: FileId,
        arrival: &Arrival,
        effects: &mut Vec<Effect>,
    ) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        file.content = Content::Claimed;
        (file.arrival.mtime, file.arrival.inode) = (arrival.mtime, arrival.inode);
        let key = corrupt_key(file);
        effects.push(Effect::Record(Fact::FileIs(file.clone())));
        self.clear_alarm(now, &key, effects);
        self.look_at_source(id);
    }

    /// Winners whose inputs are known now.
    fn prove(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let waiting = self.unproven.keys().copied();
        let known: Vec<JobId> = waiting
            .filter(|id| self.unverified(*id).is_empty())
            .collect();
        for id in known {
            let Some(winner) = self.unproven.remove(&id) else {
                continue;
            };
            // Whoever was cancelled meanwhile has nothing to win.
            if self.is_out(winner.token) {
                self.win_verified(now, winner.token, winner.report, winner.stored, effects);
            }
        }
    }
}

fn unreadable_key(file: &File) -> String {
    let arrival = &file.arrival;
    format!("file-unreadable/{}/{}", arrival.profile, arrival.name)
}

fn corrupt_key(file: &File) -> String {
    let arrival = &file.arrival;
    format!("file-corrupt/{}/{}", arrival.profile, arrival.name)
}

/// What a file is that is not what its sender claimed, and what to do.
fn corrupt(file: &File, bytes: Bytes, adler32: u32) -> String {
    let arrival = &file.arrival;
    let claimed = arrival.checksum;
    let claimed = claimed.map_or_else(String::new, |claimed| format!(", {claimed}"));
    format!(
        "{} of run {}, lumi {} is not what its sidecar claims: {} bytes{claimed} were claimed, {} \
         bytes, adler32:{adler32:08x} are there. Nothing made of it is published. Have it sent \
         again under its name, then `tier0 job retry` the jobs that read it (`tier0 job ls --run \
         {} --state failed`).",
        arrival.name, arrival.run, arrival.lumi, arrival.bytes.0, bytes.0, arrival.run,
    )
}
