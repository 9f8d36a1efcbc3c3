//! People who put constants by hand, hold to what is asked and accept better ones; and what may
//! come of a constant, whoever it is from.
//!
//! In comes a world, out come orders, and for each interval that is recorded the sentence that says
//! which promise it breaks. Nothing here asks the engine.

use crate::definitions::{BY_HAND, BY_LUMI};
use crate::random::{Random, mix_text};
use crate::redone::given_at;
use crate::settled::stored;
use crate::world::World;
use model::command::{Command, ConstantPut, NewTag, Order};
use model::conditions::{ConditionsPayload, Iov, Since, Synchronisation, TimeType};
use model::ids::RunNumber;
use model::job::Job;
use model::names::{DataLabel, TagName};
use model::run::Run;

/// How the keys of alarms begin that ask whether better constants are accepted.
pub(crate) const ASKED: &str = "redo-asked/";
/// How the keys of alarms begin that say that a proposal is held.
const HELD: &str = "constant-held/";
/// A tag whose intervals never begin with a run that has started.
const MOVED: &str = "trigger";
/// The tag of the calibration loop that people put into as well.
const OF_THE_LOOP: &str = "beamspot";
/// Constants by lumi begin with one of the first lumis of a run.
const LUMIS_MAX: u64 = 4;
/// How likely it is, in thousandths, that somebody accepts what is asked once the faults are over.
const ACCEPTS: u64 = 600;
/// How often they do, at most: what a person holds stays asked.
const ACCEPTED_MAX: u32 = 4;

impl World {
    /// Somebody puts a constant, or accepts what was put.
    pub(crate) fn about_constants(&mut self, random: &mut Random) -> Option<Command> {
        let runs: Vec<Run> = self.store.tables.runs.values().cloned().collect();
        let run = random.pick(&runs)?.clone();
        let tag = stored(BY_HAND, run.label);
        if random.below(3) == 0 {
            self.story.count("asked to accept better constants");
            let run = (random.below(2) == 0).then_some(run.number);
            return Some(Command::Accept { tag, run });
        }
        if self.faults.harsh && random.below(3) == 0 {
            return Some(self.about_a_hold(&run, random));
        }
        self.story.count("asked to put a constant");
        let make = |synchronisation| NewTag {
            synchronisation,
            object_type: String::new(),
            description: String::new(),
        };
        match random.below(7) {
            0 => return Some(put_into_the_loop(&run, random)),
            2 => return Some(self.put_by_lumi(&run, make(Synchronisation::Any), random)),
            // Moved to where it may begin, and perhaps put again before that is another run.
            1 => {
                let tag = stored(MOVED, run.label);
                let text = format!("{{\"level\": {}}}", random.below(2));
                let make = make(Synchronisation::Express);
                return Some(put(tag, by_run(run.number), text, Some(make)));
            }
            _ => {}
        }
        // Few values, so that the same one comes again.
        let text = format!("{{\"level\": {}}}", random.below(3));
        let since = by_run(run.number);
        Some(put(tag, since, text, Some(make(Synchronisation::Any))))
    }

    /// From some lumi of the run on; few values here, too.
    fn put_by_lumi(&mut self, run: &Run, make: NewTag, random: &mut Random) -> Command {
        self.story.count("asked to put a constant by lumi");
        let lumi = random.between(1, LUMIS_MAX) as u32;
        let text = format!("{{\"level\": {}}}", random.below(3));
        let tag = stored(BY_LUMI, run.label);
        let since = (Since::lumi(run.number, lumi), Some(TimeType::Lumi));
        put(tag, since, text, Some(make))
    }

    /// A tag of the loop is held, a proposal refused, or all of that ended.
    fn about_a_hold(&mut self, run: &Run, random: &mut Random) -> Command {
        let tag = stored(["beamspot", "scale"][random.below(2) as usize], run.label);
        let run = (random.below(2) == 0).then_some(run.number);
        if random.below(4) == 0 {
            self.story.count("asked to accept what is held");
            return Command::Accept { tag, run };
        }
        self.story.count("asked to hold a tag");
        Command::Hold { tag, run }
    }

    /// Once the faults are over somebody looks at every proposal that is held.
    pub(crate) fn settle_what_is_held(&mut self) -> Result<bool, String> {
        let alarms = self.kept().alarms.values();
        let standing = alarms.filter(|alarm| alarm.cleared_at.is_none());
        let held = standing.filter_map(|alarm| {
            let (run, tag) = alarm.key.strip_prefix(HELD)?.split_once('/')?;
            Some((TagName::new(tag), RunNumber(run.parse().ok()?)))
        });
        let held: Vec<(TagName, RunNumber)> = held.collect();
        for (tag, run) in &held {
            let (tag, run) = (tag.clone(), Some(*run));
            let key = mix_text(tag.as_str()) ^ self.data_seed ^ u64::from(run.map_or(0, |r| r.0));
            let accepts = self.chance.random("held", key).per_mille(500);
            let (what, command) = if accepts {
                ("accepted a proposal", Command::Accept { tag, run })
            } else {
                ("refused a proposal", Command::Hold { tag, run })
            };
            self.story.count(what);
            let mut order = Order::new(command, "an operator");
            "it was looked at".clone_into(&mut order.reason);
            self.ask(order)?;
        }
        Ok(!held.is_empty())
    }

    /// Once the faults are over somebody accepts what is asked, or leaves it.
    pub(crate) fn accept_what_is_asked(&mut self) -> Result<bool, String> {
        let alarms = self.kept().alarms.values();
        let standing = alarms.filter(|alarm| alarm.cleared_at.is_none());
        let asked = standing.filter_map(|alarm| alarm.key.strip_prefix(ASKED));
        let asked: Vec<TagName> = asked.map(TagName::new).collect();
        let mut accepts = false;
        for tag in asked {
            if self.accepted == ACCEPTED_MAX {
                break;
            }
            let key = mix_text(tag.as_str()) ^ self.data_seed;
            if !self.chance.random("accepts", key).per_mille(ACCEPTS) {
                continue;
            }
            self.story.count("accepted better constants");
            let mut order = Order::new(Command::Accept { tag, run: None }, "an operator");
            "they are better".clone_into(&mut order.reason);
            self.ask(order)?;
            self.accepted += 1;
            accepts = true;
        }
        if accepts {
            // What follows has as much time as what came before.
            self.healed_at = self.now;
        }
        Ok(accepts)
    }

    /// A constant of the calibration loop that somebody puts reaches no run that prompt has taken
    /// its conditions for; a decision is for its own run.
    pub(crate) fn check_put(&self, iov: &Iov) -> Result<(), String> {
        if self.truth.asked_at != Some(self.turns) {
            let row = self.shadow.tags.get(&iov.tag);
            return match row.and_then(|row| row.held.as_ref()) {
                // What comes late ends where what was in force before goes on.
                Some(hold) if !self.is_in_force_before(iov) => Err(format!(
                    "D17: {} is held by {}, and a gate has put into it since run {}",
                    iov.tag, hold.by, iov.since.0
                )),
                _ => Ok(()),
            };
        }
        let is_loop = |label| iov.tag == stored(OF_THE_LOOP, label);
        let of_detector = self
            .detector
            .runs
            .iter()
            .any(|run| Since::run(run.number) == iov.since);
        let labels = [DataLabel::Real, DataLabel::Simulated];
        let Some(label) = labels.into_iter().find(|label| is_loop(*label)) else {
            return Ok(());
        };
        if of_detector {
            return Ok(());
        }
        let tables = &self.shadow;
        let taken = tables.jobs.values().find(|job| {
            let run = tables.runs.get(&job.run);
            Since::run(job.run) >= iov.since
                && job.task.pipeline.as_str() == "prompt"
                && run.is_some_and(|run| run.label == label)
        });
        match taken {
            Some(job) => Err(format!(
                "D17: {} was put since run {}, and job {} of run {} has taken its conditions",
                iov.tag, iov.since.0, job.id, job.run
            )),
            None => Ok(()),
        }
    }

    fn is_in_force_before(&self, iov: &Iov) -> bool {
        let mut rows = self.shadow.iovs.values();
        rows.any(|row| row.tag == iov.tag && row.hash == iov.hash && row.since < iov.since)
    }

    /// D17: an attempt is given the constants that are in force when it is sent, for its run or for
    /// each of its lumis, and no others.
    pub(crate) fn check_given(&self, job: &Job) -> Result<(), String> {
        let (Some(recipe), Some(run)) = (&job.recipe, self.shadow.runs.get(&job.run)) else {
            return Ok(());
        };
        for used in &recipe.constants {
            let (id, hash) = (job.id, &used.hash);
            let tag = stored(used.tag.as_str(), run.label);
            let mut is_read = false;
            for point in self.shadow.points(&tag, job) {
                let now = self.shadow.in_force_at(&tag, point).map(|iov| &iov.hash);
                let given = given_at(recipe, &used.tag, point);
                if given.map(|given| &given.hash) != now {
                    return Err(format!(
                        "D17: job {id} was given {tag} {hash}, in force at {} is {now:?}",
                        point.0
                    ));
                }
                is_read |= given == Some(used);
            }
            if !is_read {
                let since = used.since.0;
                return Err(format!(
                    "D17: job {id} was given {tag} since {since}, which it has nothing to do with"
                ));
            }
        }
        Ok(())
    }
}

/// Between two runs of the detector, so that it takes no decision's place.
fn put_into_the_loop(run: &Run, random: &mut Random) -> Command {
    let since = RunNumber(run.number.0 + 1 + 2 * random.below(3) as u32);
    // Most can be compared with what harvests measure, in and out of its levels.
    let text = match random.below(4) {
        0 => "{\"by_hand\": true}".to_owned(),
        level => format!("{{\"beamspot_cm\": 0.00{}}}", 3 * level),
    };
    put(stored(OF_THE_LOOP, run.label), by_run(since), text, None)
}

fn by_run(run: RunNumber) -> (Since, Option<TimeType>) {
    (Since::run(run), None)
}

fn put(
    tag: TagName,
    (since, time_type): (Since, Option<TimeType>),
    text: String,
    make: Option<NewTag>,
) -> Command {
    let hash = format!("{:016x}", mix_text(&text) ^ mix_text(tag.as_str()));
    Command::Put(Box::new(ConstantPut {
        tag,
        since,
        time_type,
        payload: ConditionsPayload { hash, text },
        make,
    }))
}
