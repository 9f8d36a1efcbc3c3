//! The modelled storage of outputs: write, sync, rename, sync the folder, each step on a disk that
//! may lose what was not synced.
//!
//! In come commit plans, out come answers. A crash may come between any two steps of any plan under
//! way. What a row speaks of must be there, whole, after each of them (D9); a final name is given
//! once.

use crate::chance::Chance;
use crate::disk::{Disk, checksum, folder_of};
use crate::executor::{Executor, attempt_key};
use crate::faults::Faults;
use crate::programs;
use crate::random::{Random, mix};
use crate::tables::Tables;
use model::ids::Token;
use model::job::ExitClass;
use model::names::FileName;
use model::time::Span;
use model::work::{AttemptSpec, CommitFailure, CommitPlan, StoredOutput};
use std::collections::{BTreeMap, BTreeSet};

/// What the storage answers, and when.
pub(crate) struct Answer {
    pub(crate) after: Span,
    pub(crate) result: Result<Vec<StoredOutput>, CommitFailure>,
    pub(crate) what: &'static str,
}

/// How the disk fails a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Full,
    Lost,
}

/// One step of a plan.
#[derive(Clone, Debug)]
enum Step {
    Write(String, Vec<u8>),
    Sync(String),
    Rename(String, String),
    SyncFolder(String),
}

/// Files under final names, and plans under way.
#[derive(Debug)]
pub(crate) struct Storage {
    disk: Disk,
    under_way: BTreeMap<Token, (Vec<Step>, Trouble)>,
    /// Final names that somebody was given, ever.
    given: BTreeSet<FileName>,
}

impl Storage {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            disk: Disk::new(random),
            under_way: BTreeMap::new(),
            given: BTreeSet::new(),
        }
    }

    /// Begins to put outputs in place; the answer takes its time.
    pub(crate) fn commit(
        &mut self,
        plan: &CommitPlan,
        spec: &AttemptSpec,
        executor: &mut Executor,
        faults: &Faults,
        chance: &mut Chance,
    ) -> Result<Answer, String> {
        let key = attempt_key(spec);
        let mut random = chance.random("storage", key);
        let after = Span::from_millis(random.between(1, 150) as i64);
        let trouble = if chance.of("storage", key, faults.storage) {
            Trouble::Full
        } else if chance.of("storage_lost", key, faults.storage_lost) {
            Trouble::Lost
        } else {
            Trouble::None
        };
        let fails = trouble != Trouble::None && executor.may_fail(plan.token.job, faults);
        let (mut steps, mut stored) = (Vec::new(), Vec::new());
        for (position, output) in plan.outputs.iter().enumerate() {
            let label = output.reported.label.as_str();
            let bytes = programs::size_of(spec, label);
            let adler32 = programs::adler_of(spec, label);
            let name = output.name.clone();
            if !self.given.insert(name.clone()) {
                return Err(format!("D9: the final name {name} was given twice"));
            }
            let partial = format!("work/{}/{position}", plan.token);
            steps.extend([
                Step::Write(partial.clone(), content(bytes.0, adler32)),
                Step::Sync(partial.clone()),
                Step::Rename(partial, name.to_string()),
                Step::SyncFolder(folder_of(name.as_str()).to_owned()),
            ]);
            stored.push(StoredOutput {
                name,
                bytes,
                adler32,
            });
        }
        let trouble = if fails { trouble } else { Trouble::None };
        self.under_way.insert(plan.token, (steps, trouble));
        let failure = |message: &str| {
            let class = ExitClass::Transient;
            let message = message.to_owned();
            Err(CommitFailure {
                class,
                message,
                hindrance: None,
            })
        };
        let (result, what) = match trouble {
            Trouble::None => (Ok(stored), "stored"),
            Trouble::Full => (failure("no space left for a moment"), "storage full"),
            Trouble::Lost => (failure("the disk failed to sync"), "storage lost a sync"),
        };
        Ok(Answer {
            after,
            result,
            what,
        })
    }

    /// The answer is there: the plan has gone through its steps, or as far as the disk let it.
    pub(crate) fn finish(&mut self, token: Token) -> Result<(), String> {
        let Some((steps, trouble)) = self.under_way.remove(&token) else {
            return Ok(());
        };
        self.go(steps, trouble)
    }

    fn go(&mut self, steps: Vec<Step>, trouble: Trouble) -> Result<(), String> {
        let disk = &mut self.disk;
        for step in steps {
            let done = match &step {
                Step::Write(name, bytes) => {
                    disk.create(name);
                    let space = match trouble {
                        Trouble::Full => bytes.len() / 2,
                        Trouble::None | Trouble::Lost => usize::MAX,
                    };
                    disk.append(name, bytes, space)
                }
                Step::Sync(name) => disk.sync(name, trouble == Trouble::Lost),
                Step::Rename(from, to) => disk.rename(from, to),
                Step::SyncFolder(folder) => {
                    disk.sync_folder(folder);
                    Ok(())
                }
            };
            match (done, trouble) {
                (Ok(()), _) => {}
                (Err(_), Trouble::Full | Trouble::Lost) => return Ok(()),
                (Err(error), Trouble::None) => {
                    return Err(format!("D9: {step:?} failed: {error:?}"));
                }
            }
        }
        Ok(())
    }

    /// The process is gone in the middle of whatever it did, and perhaps the power.
    pub(crate) fn crash(&mut self, power_cut: bool, random: &mut Random) -> Result<(), String> {
        for (mut steps, trouble) in std::mem::take(&mut self.under_way).into_values() {
            steps.truncate(random.below(steps.len() as u64 + 1) as usize);
            self.go(steps, trouble)?;
        }
        if power_cut {
            self.disk.power_cut(random);
        }
        Ok(())
    }

    /// Removes what no row speaks of, as after a restart.
    pub(crate) fn collect_garbage(&mut self, rows: &Tables) -> usize {
        let outputs = rows.outputs.values();
        let known: BTreeSet<&str> = outputs.map(|output| output.name.as_str()).collect();
        let names = self.disk.names();
        let garbage = names.filter(|name| !known.contains(name.as_str()));
        let garbage: Vec<String> = garbage.cloned().collect();
        for name in &garbage {
            self.disk.remove(name);
        }
        garbage.len()
    }

    /// Whether everything that the rows promise is there, whole.
    pub(crate) fn check(&self, rows: &Tables) -> Result<(), String> {
        for output in rows.outputs.values() {
            let there = self.disk.read(output.name.as_str()).and_then(read);
            if there != Some((output.bytes.0, output.adler32)) {
                let name = &output.name;
                return Err(format!(
                    "D9: {name} is promised, in the storage is {there:?}"
                ));
            }
        }
        Ok(())
    }

    /// Whether an output is there, and whole.
    pub(crate) fn has(&self, name: &FileName) -> bool {
        self.disk.read(name.as_str()).and_then(read).is_some()
    }

    /// A bit of an output turns over: whoever reads it must see that. It is then as its second copy
    /// is. Says whether there was one to turn.
    pub(crate) fn flip(&mut self, rows: &Tables, random: &mut Random) -> Result<bool, String> {
        let names: Vec<&FileName> = rows.outputs.values().map(|output| &output.name).collect();
        let Some(name) = random.pick(&names) else {
            return Ok(false);
        };
        let bits = self.disk.read(name.as_str()).map_or(0, <[u8]>::len) * 8;
        let bit = random.below(bits as u64) as usize;
        self.disk.flip(name.as_str(), bit);
        if self.has(name) {
            return Err(format!("F22: a turned bit of {name} was not seen"));
        }
        self.disk.flip(name.as_str(), bit);
        Ok(true)
    }
}

/// What stands for an output: its size and checksum, some blocks, and their own checksum.
fn content(size: u64, adler32: u32) -> Vec<u8> {
    let words = 8 + mix(size) % 80;
    let mut bytes = Vec::with_capacity(words as usize * 8 + 24);
    for word in [size, u64::from(adler32)]
        .into_iter()
        .chain((0..words).map(mix))
    {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Size and checksum of an output that is whole.
fn read(bytes: &[u8]) -> Option<(u64, u32)> {
    let (body, sum) = bytes.split_last_chunk::<8>()?;
    let word = |at: usize| {
        let bytes = body.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let whole = checksum(body) == u64::from_le_bytes(*sum);
    whole.then(|| Some((word(0)?, word(8)? as u32))).flatten()
}
