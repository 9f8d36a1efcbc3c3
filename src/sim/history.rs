//! Runs that become history: slices of their rows are moved by a store that may die between any two
//! of them, and files that come for such runs are looked up in it.
//!
//! In come what the engine asks for, out come its answers, as late as a store may give them. Every
//! answer of the model is compared with that of the real store, where there is one.

use crate::detector::Kind;
use crate::random::Random;
use crate::tables::Tables;
use crate::world::{Event, World};
use engine::Input;
use model::arrival::{Arrival, Seen};
use model::ids::{Epoch, RunNumber};
use model::recall::Recalled;
use model::run::RunState;
use model::time::Span;

/// Rows of a slice, at most: few, so that a run takes several.
const SLICE_ROWS_MAX: u64 = 40;
/// The detector comes back to a run that is history, so often.
const LATE_PER_MILLE: u64 = 350;

/// How long a run soaks in a world: shorter than its faults last, longer, or for ever.
pub(crate) fn archive_after(random: &mut Random) -> Option<Span> {
    match random.below(6) {
        0 => None,
        1 => Some(Span::from_secs(600)),
        2 => Some(Span::from_millis(random.below(50) as i64)),
        3 => Some(Span::from_millis(random.between(5_000, 20_000) as i64)),
        _ => Some(Span::from_millis(random.between(100, 4_000) as i64)),
    }
}

impl World {
    /// The writer has a slice to move, and other batches before it.
    pub(crate) fn ask_for_slice(&mut self, run: RunNumber) {
        let at = self.now + Span(self.random.between(100_000, 30_000_000) as i64);
        self.at(at, Event::Slice(self.setup.epoch, run));
    }

    /// Moves a slice; the answer comes later, if nobody dies before.
    pub(crate) fn move_slice(&mut self, epoch: Epoch, run: RunNumber) -> Result<(), String> {
        if epoch != self.setup.epoch {
            return Ok(());
        }
        self.story.count("slice moved");
        let rows_max = self.random.between(1, SLICE_ROWS_MAX) as usize;
        let mut is_all = self.store.tables.move_rows(run, rows_max)?;
        if let Some(backing) = &mut self.backing {
            // It has more kinds of rows, and may need a slice more.
            is_all &= backing.archive(run, rows_max)?;
        }
        let after = Span(self.random.between(1_000, 20_000_000) as i64);
        self.at(self.now + after, Event::Sliced(run, is_all));
        Ok(())
    }

    /// The writer says what came of a slice.
    pub(crate) fn slice_told(&mut self, run: RunNumber, is_all: bool) -> Result<(), String> {
        if is_all && !self.quiet && self.random.per_mille(LATE_PER_MILLE) {
            self.send_late(run);
        }
        self.step(Input::Archived { run, is_all })
    }

    /// The detector comes back to a run that is history: with a file that is known, with another
    /// under its name, or with a new one.
    fn send_late(&mut self, run: RunNumber) {
        let files = self.store.tables.files.values();
        let own: Vec<Arrival> = files
            .filter(|file| file.arrival.run == run)
            .map(|file| file.arrival.clone())
            .collect();
        let Some(mut arrival) = self.random.pick(&own).cloned() else {
            return;
        };
        match self.random.below(3) {
            0 => {}
            1 => arrival.bytes.0 += 1,
            _ => {
                let name = format!("{}.{}", arrival.name, self.random.below(1_000));
                arrival.name = name.as_str().into();
            }
        }
        let at = self.now + Span::from_millis(self.random.below(2_000) as i64);
        self.at(at, Event::Seen(Seen::File(arrival), Kind::Extra));
    }

    /// The store is asked for a file of a run that is history.
    pub(crate) fn ask_for_file(&mut self, arrival: Arrival) {
        self.story.count("file looked up in the history");
        let at = self.now + Span(self.random.between(50_000, 40_000_000) as i64);
        self.at(at, Event::Recall(Box::new(arrival)));
    }

    /// The store answers, from what is durable.
    pub(crate) fn look_up(&mut self, arrival: Arrival) -> Result<(), String> {
        let tables = &self.store.tables;
        let Some(run) = tables.runs.get(&arrival.run).cloned() else {
            let number = arrival.run;
            return Err(format!("run {number} is history and has no row"));
        };
        if !run.state.is_history() {
            let number = arrival.run;
            return Err(format!(
                "a file of run {number} was looked up, and it is at work"
            ));
        }
        let key = (arrival.profile.clone(), arrival.name.clone());
        let file = tables
            .file_names
            .get(&key)
            .map(|id| tables.files[id].clone());
        let file = file.filter(|file| file.arrival.run == arrival.run);
        self.story.count(match &file {
            Some(file) if file.same_content(&arrival) => "known file of an archived run",
            Some(_) => "another file of an archived run",
            None => "unknown file of an archived run",
        });
        let answer = Recalled { arrival, run, file };
        if let Some(backing) = &mut self.backing {
            let real = backing.recall(answer.arrival.clone())?;
            if real.as_ref() != Some(&answer) {
                return Err(format!(
                    "I13: the real store knows {real:?}, not {answer:?}"
                ));
            }
        }
        let after = Span(self.random.between(1_000, 20_000_000) as i64);
        self.at(self.now + after, Event::Recalled(Box::new(answer)));
        Ok(())
    }

    /// Everything that had to leave has left, to the last row.
    pub(crate) fn check_history(&self) -> Result<(), String> {
        let tables = &self.store.tables;
        for run in tables.runs.values() {
            match run.state {
                RunState::Archiving { .. } => {
                    return Err(format!(
                        "liveness: run {} is on its way for ever",
                        run.number
                    ));
                }
                RunState::Archived { .. } => {
                    let left = tables.rows_at_work(run.number);
                    if left > 0 {
                        let number = run.number;
                        return Err(format!(
                            "D12: run {number} is archived, and {left} of its rows are not"
                        ));
                    }
                }
                _ => {
                    if tables.rows_moved(run.number) > 0 {
                        let number = run.number;
                        return Err(format!("D12: rows of run {number} are history, it is not"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A row that is history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moved {
    Job(i64),
    Output(i64),
    Witness(i64),
    File(i64),
}

impl Tables {
    /// Rows of a run, in the order in which they leave. What a job consumed goes with it.
    fn rows_of(&self, run: RunNumber) -> Vec<Moved> {
        let jobs = self.jobs.values().filter(|job| job.run == run);
        let outputs = self.outputs.values().filter(|output| output.run == run);
        let witnesses = self.witnesses.values().filter(|witness| witness.run == run);
        let files = self.files.values().filter(|file| file.arrival.run == run);
        let jobs = jobs.map(|job| Moved::Job(job.id.0));
        let outputs = outputs.map(|output| Moved::Output(output.id.0));
        let witnesses = witnesses.map(|witness| Moved::Witness(witness.id.0));
        let files = files.map(|file| Moved::File(file.id.0));
        jobs.chain(outputs).chain(witnesses).chain(files).collect()
    }

    fn rows_at_work(&self, run: RunNumber) -> usize {
        let rows = self.rows_of(run).into_iter();
        rows.filter(|row| !self.history.contains(row)).count()
    }

    fn rows_moved(&self, run: RunNumber) -> usize {
        let rows = self.rows_of(run).into_iter();
        rows.filter(|row| self.history.contains(row)).count()
    }

    /// Moves rows of a run, at most so many; says whether none was left. Only a run on its way may
    /// be asked for.
    pub(crate) fn move_rows(&mut self, run: RunNumber, rows_max: usize) -> Result<bool, String> {
        if !self
            .runs
            .get(&run)
            .is_some_and(|run| run.state.is_history())
        {
            return Err(format!(
                "D12: rows of run {run} shall leave, and it is at work"
            ));
        }
        let mut rows = self.rows_of(run);
        rows.retain(|row| !self.history.contains(row));
        let is_all = rows.len() < rows_max;
        self.history.extend(rows.into_iter().take(rows_max));
        Ok(is_all)
    }

    /// Whether a restart works with the rows of a run.
    pub(crate) fn is_at_work(&self, run: RunNumber) -> bool {
        let run = self.runs.get(&run);
        run.is_some_and(|run| !run.state.is_history())
    }
}
