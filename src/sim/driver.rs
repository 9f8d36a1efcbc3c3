//! The driver around the engine, in the order of the real one (D1, D3): inputs are stepped while
//! the last batch is committed, a batch is durable as a whole, and everything but early starts and
//! the storage waits for it.
//!
//! In come inputs, out come effects performed on models. Whatever the engine says is applied to a
//! shadow of the store at once, so that the law of D4 can be asked at every turn.

use crate::executor::Silence;
use crate::random::{mix, mix_text};
use crate::store::{Batch, Committed, Trouble};
use crate::world::{Event, World};
use engine::{Effect, Engine, Input};
use model::arrival::{Arrival, Checksum};
use model::command::Reply;
use model::fact::Fact;
use model::ids::{Epoch, FileId, Token};
use model::job::ExitClass;
use model::time::Span;
use model::units::Bytes;
use model::work::{AttemptNews, AttemptSpec, Location};
use std::sync::Arc;

/// Reports of success that are none.
const SPOILT: [&str; 3] = ["output missing", "output twice", "output mismatch"];

impl World {
    /// Steps one input and takes apart what follows.
    pub(crate) fn step(&mut self, input: Input) -> Result<(), String> {
        self.steps += 1;
        let mut effects = std::mem::take(&mut self.effects);
        let kept = self.told.is_some().then(|| input.clone());
        self.engine.step(self.now, input, &mut effects);
        self.keep(kept, &effects);
        self.story.mix(self.now.0 as u64 ^ effects.len() as u64);
        self.story.mix(self.engine.next_id() as u64);
        for effect in effects.drain(..) {
            self.perform(effect)?;
        }
        self.effects = effects;
        Ok(())
    }

    fn perform(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Record(fact) => {
                if let Fact::AlarmIs(alarm) = &fact
                    && alarm.key.starts_with("stuck/")
                {
                    return Err(format!("I8: {}", alarm.text));
                }
                if !self.quiet {
                    self.story.fact(&fact);
                    self.story.tell_fact(self.now, &self.shadow, &fact);
                    self.coverage.fact(&self.shadow, &fact);
                    self.check_fact(&fact)?;
                }
                self.shadow.apply(&fact)?;
                self.forming.facts.push(fact);
            }
            Effect::Start(spec) if spec.plan.early => {
                self.truth.last_sent = Some(spec.needs.cores);
                self.start(spec)?;
            }
            Effect::Store(plan) => {
                self.check_store(plan.token)?;
                let Some((spec, _)) = self.attempts.get(&plan.token) else {
                    return Err(format!(
                        "I5: outputs of {}, which this epoch never started",
                        plan.token
                    ));
                };
                let answer = self.storage.commit(
                    &plan,
                    spec,
                    &mut self.executor,
                    &self.faults,
                    &mut self.chance,
                )?;
                let event = Event::Stored(plan.token, answer.result, answer.what);
                self.at(self.now + answer.after, event);
            }
            Effect::ReadBack(file, Location::Copy { place, .. }) => self.read_copy(file, place),
            Effect::ReadBack(file, location) => {
                self.check_source(&location)?;
                let (key, result) = self.read_back(file);
                let mut random = self.chance.random("read back", key);
                let after = Span::from_millis(random.between(1, 400) as i64);
                self.at(self.now + after, Event::Read(file, result));
            }
            Effect::AskSplitter(question) => self.ask_splitter(&question),
            Effect::Reply { reply, .. } => {
                self.story.count(match reply {
                    Reply::Done(_) => "answered: done",
                    Reply::Would(_) => "answered: would",
                    Reply::Jobs(_) => "answered: jobs",
                    Reply::Put(_) => "answered: put",
                    Reply::Refused(_) => "answered: refused",
                });
                self.reply = Some(reply);
            }
            other => {
                if let Effect::Start(spec) = &other {
                    self.truth.last_sent = Some(spec.needs.cores);
                }
                self.forming.held.push(other);
            }
        }
        Ok(())
    }

    /// What a reader finds in a file of the spool: what its sender claims, or an error that passes.
    /// Also a number for this look at this file.
    fn read_back(&mut self, file: FileId) -> (u64, Result<(Bytes, u32), String>) {
        let arrival = &self.shadow.files[&file].arrival;
        let name = mix_text(arrival.name.as_str());
        let times = self.reads.entry(file).or_default();
        *times += 1;
        let key = mix(name ^ *times);
        self.chance.name(key, || arrival.name.to_string());
        if self.chance.of("unreadable", key, self.faults.unreadable) {
            self.story.count("file unreadable for a while");
            let error = "reading it back: input/output error; look at the disk".to_owned();
            return (key, Err(error));
        }
        let Some(Checksum::Adler32(claimed)) = arrival.checksum else {
            return (key, Err("nothing is claimed of it".to_owned()));
        };
        let corrupt = self.chance.of("corrupt", name, self.faults.corrupt);
        if corrupt {
            self.story.count("file is not what was claimed");
        }
        (key, Ok((arrival.bytes, claimed ^ u32::from(corrupt))))
    }

    /// Whether a file is not what its sender claims.
    pub(crate) fn is_corrupt(&mut self, arrival: &Arrival) -> bool {
        let key = mix_text(arrival.name.as_str());
        self.chance.of("corrupt", key, self.faults.corrupt)
    }

    /// The number that the forming batch will have.
    fn forming_number(&self) -> i64 {
        self.durable + 1 + i64::from(self.committing.is_some())
    }

    fn start(&mut self, spec: AttemptSpec) -> Result<(), String> {
        let number = if spec.plan.early {
            self.forming_number()
        } else {
            self.durable
        };
        let token = spec.token;
        if token.epoch != self.setup.epoch {
            return Err(format!("I5: attempt {token} is of an old epoch"));
        }
        if self.check_inputs(&spec)? {
            self.story.count("attempt reads a copy");
        }
        let (faults, data_seed) = (self.faults, self.data_seed);
        let chance = &mut self.chance;
        let coming = self
            .executor
            .begin(self.now, &spec, data_seed, &faults, chance)?;
        self.attempts.insert(token, (spec, number));
        match self.executor.silent.get(&token) {
            Some(Silence::Vanished) => self.story.count("an attempt vanished"),
            Some(Silence::Unheard) => self.story.count("a completion was not heard"),
            None => {}
        }
        for news in coming {
            if let AttemptNews::Ended(report) = &news.news
                && (report.class != ExitClass::Ok || SPOILT.contains(&news.what))
            {
                self.truth.spoilt.insert(token);
            }
            self.at(
                self.now + news.after,
                Event::News(token, news.news, news.what),
            );
        }
        Ok(())
    }

    /// An attempt reads only what is there; says whether that is a copy of a source.
    fn check_inputs(&self, spec: &AttemptSpec) -> Result<bool, String> {
        let mut reads_copy = false;
        for input in &spec.inputs {
            self.check_source(&input.location)?;
            if matches!(input.location, Location::Copy { .. }) {
                reads_copy = true;
            }
            if let Location::Storage { name } = &input.location
                && !self.storage.has(name)
            {
                return Err(format!(
                    "D9: attempt {} reads {name}, which is not there",
                    spec.token
                ));
            }
        }
        Ok(reads_copy)
    }

    /// Outputs get final names only when what they rest on is durable (D3).
    fn check_store(&self, token: Token) -> Result<(), String> {
        if self.quiet {
            return Ok(());
        }
        let job = self.store.tables.jobs.get(&token.job);
        let job = job.filter(|job| job.state.attempt() == token.attempt && job.state.is_out());
        let Some(job) = job else {
            return Err(format!(
                "D3: outputs of {token} are stored before its record is durable"
            ));
        };
        let known = |input: &model::job::InputId| match input {
            model::job::InputId::File(id) => self.store.tables.files.contains_key(id),
            model::job::InputId::Output(id) => self.store.tables.outputs.contains_key(id),
        };
        if job.inputs.iter().all(known) {
            Ok(())
        } else {
            Err(format!(
                "D3: outputs of {token} rest on something that is not durable"
            ))
        }
    }

    /// The end of a batch of inputs: cut, place, conclude; then check, and commit if nothing is
    /// being committed.
    pub(crate) fn tick(&mut self) -> Result<(), String> {
        self.step(Input::Tick)?;
        if !self.quiet {
            self.check_turn()?;
            self.coverage.turn(&self.engine);
        }
        self.forming.looked_at = self.forming.facts.len();
        self.begin_commit();
        if let Some(at) = self.engine.next_wakeup()
            && self.wakes_at.is_none_or(|known| at < known)
        {
            self.wakes_at = Some(at);
            self.at(at, Event::Wake);
        }
        Ok(())
    }

    fn begin_commit(&mut self) {
        let idle = self.forming.facts.is_empty() && self.forming.held.is_empty();
        if self.committing.is_some() || idle {
            return;
        }
        // What forms keeps its room, and a batch has no more than it needs: it stays for long.
        let facts: Vec<Fact> = self.forming.facts.drain(..).collect();
        let held = std::mem::take(&mut self.forming.held);
        self.forming.looked_at = 0;
        let batch = Arc::new(Batch {
            epoch: self.setup.epoch,
            number: self.durable + 1,
            next_id: self.engine.next_id(),
            facts,
        });
        // The writer may be so far when the process dies.
        let key = commit_key(batch.epoch, batch.number);
        let mut random = self.chance.random("commit", key);
        if !self.quiet && random.per_mille(700) {
            let space = self.space(key);
            let written = self.store.write(&batch, space);
            self.count_full(written.is_err());
        }
        let (epoch, number) = (batch.epoch, batch.number);
        self.committing = Some((batch, held));
        let mut takes = Span(random.between(200_000, 12_000_000) as i64);
        let rate = self.faults.slow_commit;
        if let Some(key) = self.chance.at("slow_commit", self.now, key, rate) {
            self.story.count("slow commit");
            let slower = self.chance.random("slow commit", key).below(2_000);
            takes += Span::from_millis(slower as i64);
        }
        self.at(self.now + takes, Event::Committed(epoch, number));
    }

    /// What is left on the store's disk, if it is nearly full.
    fn space(&mut self, key: u64) -> Option<usize> {
        let key = self.chance.at("full", self.now, key, self.faults.full)?;
        Some(self.chance.random("space", key).below(400) as usize)
    }

    fn count_full(&mut self, full: bool) {
        if full {
            self.story.count("store full");
        }
    }

    pub(crate) fn committed(&mut self, epoch: Epoch, number: i64) -> Result<(), String> {
        let current = |batch: &Batch| batch.epoch == epoch && batch.number == number;
        let Some((batch, held)) = self.committing.take_if(|(batch, _)| current(batch)) else {
            return Ok(());
        };
        let now = self.now;
        let key = mix(commit_key(epoch, number) ^ now.0 as u64);
        let wait = self.chance.random("commit again", key).between(1, 80);
        let again = now + Span::from_millis(wait as i64);
        if self.chance.at("busy", now, key, self.faults.busy).is_some() {
            self.story.count("store busy");
            self.committing = Some((batch, held));
            self.at(again, Event::Committed(epoch, number));
            return Ok(());
        }
        if let Some(key) = self.chance.at("unknown", now, key, self.faults.unknown) {
            self.story.count("result unknown");
            if self.chance.random("unknown", key).per_mille(500) {
                self.commit(&batch, Trouble::default())?;
            }
            self.committing = Some((batch, held));
            self.at(again, Event::Committed(epoch, number));
            return Ok(());
        }
        let trouble = Trouble {
            space: self.space(key),
            lost: false,
        };
        let suspect = self.chance.at("suspect", now, key, self.faults.suspect);
        let trouble = Trouble {
            lost: suspect.is_some(),
            ..trouble
        };
        match self.commit(&batch, trouble)? {
            Committed::Written | Committed::Known => {
                self.durable = number;
                self.release(held)
            }
            Committed::Full => {
                self.count_full(true);
                self.committing = Some((batch, held));
                self.at(again, Event::Committed(epoch, number));
                Ok(())
            }
            Committed::Suspect => {
                // Exit 74: whoever starts again has looked at the disk, and no cache is left (P10).
                self.story.count("store suspect");
                self.crash(true, suspect.unwrap_or(key))
            }
            Committed::Fenced => Err(format!("I5: batch {number} of the living epoch was fenced")),
        }
    }

    /// Commits a batch to the model store, and to the real one behind it if there is one.
    pub(crate) fn commit(
        &mut self,
        batch: &Arc<Batch>,
        trouble: Trouble,
    ) -> Result<Committed, String> {
        if self.quiet {
            return Ok(Committed::Written);
        }
        let broken = self.without_a_row(batch);
        let committed = self
            .store
            .commit(broken.as_ref().unwrap_or(batch), trouble)?;
        if matches!(committed, Committed::Written | Committed::Known)
            && let Some(backing) = &mut self.backing
        {
            backing.commit(batch.number, batch.next_id, self.now, &batch.facts)?;
        }
        Ok(committed)
    }

    /// What a broken store makes of a batch: it loses the first file in it.
    fn without_a_row(&mut self, batch: &Arc<Batch>) -> Option<Arc<Batch>> {
        let key = commit_key(batch.epoch, batch.number);
        let rate = self.faults.row_lost;
        let is_file = |fact: &Fact| matches!(fact, Fact::FileIs(_));
        let lost = batch.facts.iter().position(is_file)?;
        self.chance.at("row_lost", self.now, key, rate)?;
        let mut left = Batch::clone(batch);
        left.facts.remove(lost);
        Some(Arc::new(left))
    }

    /// What waited for a batch that is durable now.
    fn release(&mut self, held: Vec<Effect>) -> Result<(), String> {
        for effect in held {
            match effect {
                Effect::Start(spec) => {
                    self.story.count("start after the record");
                    self.start(spec)?;
                }
                Effect::Cancel(token) => self.cancel(token),
                Effect::CopySource(order) => self.copy_source(order)?,
                Effect::Unlink(order) => self.unlink(&order)?,
                Effect::List(asked_at) => self.list(asked_at),
                Effect::Archive(run) => self.ask_for_slice(run),
                Effect::Recall(arrival) => self.ask_for_file(arrival),
                _ => {}
            }
        }
        let durable = self.durable;
        let (now_known, still): (Vec<_>, Vec<_>) = std::mem::take(&mut self.early_news)
            .into_iter()
            .partition(|(batch, _)| *batch <= durable);
        self.early_news = still;
        for (_, event) in now_known {
            self.at(self.now, event);
        }
        Ok(())
    }

    /// An attempt is ended with everything it started; its last words may be under way.
    fn cancel(&mut self, token: Token) {
        if let Some(news) = self.executor.cancel(self.now, token) {
            self.story.count("attempt cancelled");
            let at = self.now + news.after;
            self.at(at, Event::News(token, news.news, news.what));
        }
    }

    /// Whether an attempt will be ended once the batch that says so is durable.
    pub(crate) fn is_being_cancelled(&self, token: Token) -> bool {
        let committing = self.committing.iter().flat_map(|(_, held)| held);
        let mut held = committing.chain(&self.forming.held);
        held.any(|effect| *effect == Effect::Cancel(token))
    }

    /// What a restart would make of everything said so far.
    pub(crate) fn restored(&self) -> Engine {
        let rows = self.shadow.rows();
        let next_id = Some(self.engine.next_id());
        Engine::restore(self.setup.clone(), next_id, rows, self.now)
    }
}

/// A number for a batch.
fn commit_key(epoch: Epoch, number: i64) -> u64 {
    mix(epoch.0 as u64) ^ number as u64
}
