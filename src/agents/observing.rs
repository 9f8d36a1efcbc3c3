//! What a finished job tells the meters: how long it was in each of its hops, and whether its
//! budget was kept. In comes what the engine observed and when that became durable; nothing here
//! decides anything.

use engine::Observation;
use meter::Meter;
use model::budget::Hop;
use model::time::Moment;

/// Measures a job whose last record is durable `now`, which is when it is published.
pub(crate) fn observe(meter: &Meter, observation: &Observation, now: Moment) {
    let stamps = &observation.stamps;
    let pipeline = &observation.task.pipeline;
    let hop = |hop: Hop, from: Option<Moment>, to: Option<Moment>| {
        if let (Some(from), Some(to)) = (from, to) {
            meter.record(pipeline, hop, to.since(from));
        }
    };
    hop(Hop::SeenToReady, Some(stamps.seen), Some(stamps.made));
    hop(Hop::ReadyToSent, Some(stamps.made), stamps.sent);
    hop(Hop::SentToStarted, stamps.sent, stamps.started);
    hop(Hop::StartedToReported, stamps.started, stamps.reported);
    hop(Hop::ReportedToDone, stamps.reported, stamps.done);
    hop(Hop::SeenToPublished, Some(stamps.seen), Some(now));
    meter.count(meter::Counter::JobsDone, 1);
    let missed = |budget| now.since(stamps.seen) > budget;
    if observation.budget.is_some_and(missed) {
        meter.count(meter::Counter::BudgetsMissed, 1);
    }
}
