//! Commands: what people and programs may ask. Asking twice does no more than asking once, and
//! every refusal says why and what to do instead.

use crate::{Effect, Engine};
use model::audit::Audit;
use model::command::{Command, Intent, Order, Preview, Reply};
use model::fact::Fact;
use model::ids::{AuditId, RunNumber};
use model::ruling::Ruling;
use model::run::StartedBy;
use model::time::Moment;

/// Lumis of a run at most: at 23 s each more than three weeks. A larger number is a mistake.
pub(crate) const LUMIS_MAX: u32 = 100_000;

impl Engine {
    pub(crate) fn asked(
        &mut self,
        now: Moment,
        ticket: u64,
        order: &Order,
        effects: &mut Vec<Effect>,
    ) {
        let object = order.command.object();
        let before = object.as_ref().map(|object| self.standing_of(object));
        let said = effects.len();
        let declares = matches!(
            order.command,
            Command::RunStop { .. }
                | Command::RunClose { .. }
                | Command::RunReopen { .. }
                | Command::FileDeclareLost { .. }
                | Command::Rule { .. }
        );
        let reply = match &order.command {
            // Previewed, counted and written down where jobs are changed.
            Command::Jobs(asked) => self.jobs_asked(now, order, asked, effects),
            // And so are constants.
            Command::Put(asked) => self.put_constant(now, order, asked, effects),
            Command::Protect { tag, protection } => {
                self.protect_tag(now, order, (tag, *protection), effects)
            }
            Command::Import(document) => self.import_conditions(now, order, document, effects),
            Command::Hold { tag, run } => self.hold_constants(now, order, tag, *run, effects),
            Command::Accept { tag, run } => self.accept_constants(now, order, tag, *run, effects),
            _ => self.obey(now, order, effects),
        };
        let after = object.as_ref().map(|object| self.standing_of(object));
        if let Reply::Done(done) = &reply
            && (before != after || (declares && effects.len() > said))
        {
            let object = object.map_or_else(String::new, |object| object.to_string());
            let after = format!("{}: {done}", after.unwrap_or_default());
            self.audit(
                now,
                order,
                object,
                before.unwrap_or_default(),
                after,
                effects,
            );
        }
        effects.push(Effect::Reply { ticket, reply });
    }

    fn obey(&mut self, now: Moment, order: &Order, effects: &mut Vec<Effect>) -> Reply {
        match order.command {
            // These work out by themselves what they would do, before they do it.
            Command::RunStop { .. }
            | Command::RunClose { .. }
            | Command::RunReopen { .. }
            | Command::FileDeclareLost { .. } => self.declare(now, order, effects),
            _ if order.intent == Intent::Preview => preview(order),
            Command::RunStart {
                run,
                run_type,
                label,
            } => {
                if self.archive.knows(run) {
                    return Reply::Refused(crate::archive::refusal(run));
                }
                let by = StartedBy::Command;
                if self.open_run(now, run, Some(run_type), label, by, effects) {
                    Reply::Done(format!("run {run} ({run_type}, {label}) is open"))
                } else {
                    let reply = self.already_open(run, run_type, label);
                    if matches!(reply, Reply::Done(_)) {
                        self.run_is_announced(run);
                    }
                    reply
                }
            }
            Command::Rule {
                ref task,
                run,
                kind,
            } => {
                let ruling = Ruling {
                    task: task.clone(),
                    run,
                    kind,
                    by: order.by.clone(),
                    reason: order.reason.clone(),
                    at: now,
                };
                self.rule(ruling, effects)
            }
            // Answered before this is asked.
            Command::Jobs(_)
            | Command::Put(_)
            | Command::Protect { .. }
            | Command::Import(_)
            | Command::Hold { .. }
            | Command::Accept { .. }
            | Command::ConfigReload => {
                Reply::Refused("a configuration is read by the instance, not by its engine".into())
            }
        }
    }

    /// Writes an act down.
    pub(crate) fn audit(
        &mut self,
        now: Moment,
        order: &Order,
        object: String,
        before: String,
        after: String,
        effects: &mut Vec<Effect>,
    ) {
        let audit = Audit {
            id: AuditId(self.ids.take()),
            at: now,
            by: order.by.clone(),
            verb: order.command.verb().to_owned(),
            object,
            before,
            after,
            reason: order.reason.clone(),
        };
        effects.push(Effect::Record(Fact::AuditIs(audit)));
    }

    fn already_open(
        &self,
        run: RunNumber,
        run_type: model::run::RunType,
        label: model::names::DataLabel,
    ) -> Reply {
        let known = &self.runs[&run].run;
        if known.run_type == run_type && known.label == label {
            Reply::Done(format!("run {run} was already {}", known.state.word()))
        } else {
            Reply::Refused(format!(
                "run {run} is known as {} and {}; what a run is cannot be changed by starting it again",
                known.run_type, known.label
            ))
        }
    }
}

/// What an order about one object would do.
fn preview(order: &Order) -> Reply {
    let object = order.command.object().map(|object| object.to_string());
    let verb = order.command.verb();
    Reply::Would(Preview {
        would: format!("{verb} {}", object.as_deref().unwrap_or_default()),
        count: 1,
        objects: object.into_iter().collect(),
    })
}
