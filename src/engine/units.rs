//! What programs found of the units inside their input (time slices, frames, spills).
//!
//! A run with holes ends all the same: nobody can wait for what the detector has not written. But
//! it never ends silently: the account stays with the job, an alarm stands and a message goes out.

use crate::{Effect, Engine};
use model::account::UnitAccount;
use model::alarm::Severity;
use model::ids::JobId;
use model::time::Moment;

impl Engine {
    /// A job is done: says so if its program found something missing. Once a run, whatever the
    /// number of its jobs.
    pub(crate) fn tell_missing_units(&mut self, now: Moment, id: JobId, effects: &mut Vec<Effect>) {
        let job = &self.jobs[&id];
        let lacking = job.units.iter().filter(|account| !account.is_complete());
        let lacking: Vec<String> = lacking.map(UnitAccount::sentence).collect();
        let number = job.run;
        let key = format!("run-incomplete/{number}");
        if lacking.is_empty() || self.alarms.contains_key(&key) {
            return;
        }
        let found = lacking.join("; ");
        let text = format!(
            "{} found run {number} incomplete: {found}. The run goes on with what is here and \
             keeps the account: `tier0 run show {number}`. Ask the detector's experts whether the \
             rest exists.",
            job.task
        );
        self.alarm(now, key, Severity::Medium, text, effects);
        let subject = format!("run {number}: {found}");
        self.announce(now, "run.incomplete", number, subject, effects);
    }
}
