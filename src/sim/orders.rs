//! Giving orders: what is asked is handed to the engine, and what it does with it is compared with
//! what it may do (P19). A look changes nothing; an order is carried out only with the count and
//! the reason that it needs, and leaves an audit row.
//!
//! In comes an order, out comes the sentence that says which promise is broken, if one is.

use crate::world::World;
use engine::Input;
use model::command::{Command, Intent, JobVerb, JobsAsked, Order, Reply};
use model::fact::Fact;
use model::wait::Object;

impl World {
    /// Hands an order over.
    pub(crate) fn ask(&mut self, order: Order) -> Result<(), String> {
        self.story.tell(self.now, || {
            format!("asked {:?} {:?}", order.intent, order.command)
        });
        let declares = declares(&order.command);
        if let Some(Object::Run(run)) = order.command.object().filter(|_| declares) {
            self.declared.insert(run);
        }
        self.truth.asked_at = Some(self.turns);
        let counted = match order.expect_count {
            Some(_) if declares || is_counted(&order.command) => self.count_meant(&order)?,
            _ => None,
        };
        let before = self.forming.facts.len();
        self.hand_in(order.clone())?;
        let said = &self.forming.facts[before..];
        if said.is_empty() {
            return Ok(());
        }
        let what = &order.command;
        if order.intent == Intent::Preview {
            return Err(format!("P19: only a look was asked for: {what:?}"));
        }
        if !said.iter().any(|fact| matches!(fact, Fact::AuditIs(_))) {
            return Err(format!(
                "P19: no audit row says that somebody asked {what:?}"
            ));
        }
        if order.reason.is_empty() && needs_a_reason(what) {
            return Err(format!("P19: nobody has said why: {what:?}"));
        }
        if let Some(count) = counted.filter(|count| order.expect_count != Some(*count)) {
            let expected = order.expect_count.unwrap_or_default();
            return Err(format!(
                "P19: it was to concern {expected} and concerned {count}: {what:?}"
            ));
        }
        Ok(())
    }

    /// How many things an order concerns now, if it can be carried out.
    fn count_meant(&mut self, order: &Order) -> Result<Option<u64>, String> {
        let look = Order {
            intent: Intent::Preview,
            expect_count: None,
            ..order.clone()
        };
        self.reply = None;
        self.hand_in(look)?;
        Ok(match self.reply.take() {
            Some(Reply::Would(preview)) => Some(preview.count),
            _ => None,
        })
    }

    fn hand_in(&mut self, order: Order) -> Result<(), String> {
        let ticket = self.turns;
        self.step(Input::Asked { ticket, order })
    }
}

/// Whether an order says how many things it concerns.
fn is_counted(command: &Command) -> bool {
    matches!(command, Command::Jobs(_) | Command::Accept { .. })
}

/// Whether an order says something of a run's data.
fn declares(command: &Command) -> bool {
    matches!(
        command,
        Command::RunStop { .. }
            | Command::RunClose { .. }
            | Command::FileDeclareLost { .. }
            | Command::RunReopen { .. }
    )
}

/// Whether an order gives something up.
fn needs_a_reason(command: &Command) -> bool {
    let cancels = JobVerb::Cancel;
    match command {
        Command::RunStop { .. } => false,
        Command::Jobs(JobsAsked { verb, .. }) => *verb == cancels,
        Command::Hold { .. } => true,
        _ => declares(command),
    }
}
