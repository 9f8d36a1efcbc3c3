//! Commands: what people and programs may ask. Asking twice does no more than asking once, and
//! every refusal says why and what to do instead.

use crate::{Effect, Engine};
use model::arrival::RunEnd;
use model::audit::Audit;
use model::command::{Command, Intent, Order, Preview, Reply};
use model::fact::Fact;
use model::ids::{AuditId, LumiNumber, RunNumber};
use model::lumi::{Expected, LumiRecord};
use model::names::StreamName;
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
        let reply = match (&order.command, order.intent) {
            // Previewed, counted and written down where jobs are changed.
            (Command::Jobs(asked), _) => self.jobs_asked(now, order, asked, effects),
            (_, Intent::Do) => self.obey(now, order, effects),
            (_, Intent::Preview) => preview(order),
        };
        let after = object.as_ref().map(|object| self.standing_of(object));
        if let (Reply::Done(done), Intent::Do) = (&reply, order.intent)
            && before != after
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
            Command::RunStart {
                run,
                run_type,
                label,
            } => {
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
            Command::RunStop { run, last_lumi } => self.stop_run(now, run, last_lumi, effects),
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
            Command::Jobs(ref asked) => self.jobs_asked(now, order, asked, effects),
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

    /// Ends a run. Lumis that nobody announced are declared to hold what is here.
    fn stop_run(
        &mut self,
        now: Moment,
        number: RunNumber,
        last_lumi: u32,
        effects: &mut Vec<Effect>,
    ) -> Reply {
        if last_lumi > LUMIS_MAX {
            return Reply::Refused(format!(
                "a run has at most {LUMIS_MAX} lumis, not {last_lumi}; stop it with its last one"
            ));
        }
        let Some(work) = self.runs.get_mut(&number) else {
            return Reply::Refused(format!(
                "run {number} is not known; `tier0 run ls` lists those that are"
            ));
        };
        if let Some(known) = work.run.last_lumi {
            return if known == last_lumi {
                Reply::Done(format!(
                    "run {number} was already {}",
                    work.run.state.word()
                ))
            } else {
                Reply::Refused(format!(
                    "run {number} was announced to end with lumi {known}"
                ))
            };
        }
        let beyond = work
            .streams
            .values()
            .filter_map(|stream| stream.lumis.keys().last())
            .max();
        if let Some(beyond) = beyond.filter(|lumi| lumi.0 > last_lumi) {
            return Reply::Refused(format!(
                "run {number} has files of lumi {beyond}; stop it with --last-lumi {beyond} or more"
            ));
        }
        let streams: Vec<StreamName> = work.streams.keys().cloned().collect();
        for lumi in (1..=last_lumi).map(LumiNumber) {
            if work.lumis.contains_key(&lumi) {
                continue;
            }
            let expected = Expected::Declared;
            let record = LumiRecord {
                run: number,
                lumi,
                expected,
                ended_at: now,
            };
            effects.push(Effect::Record(Fact::LumiIs(record.clone())));
            work.lumis.insert(lumi, record);
        }
        for stream in &streams {
            for lumi in (1..=last_lumi).map(LumiNumber) {
                self.lumi_changed(now, number, stream, lumi, effects);
            }
        }
        let label = self.runs[&number].run.label;
        let end = RunEnd {
            run: number,
            last_lumi,
            events: None,
            label,
        };
        self.run_ends(now, &end, effects);
        Reply::Done(format!("run {number} ends with lumi {last_lumi}"))
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
