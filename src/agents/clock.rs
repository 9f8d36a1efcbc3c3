//! The agent's clock: anchored to wall time once, then advanced by the monotonic clock, so it never
//! steps back (D20).

use model::alarm::Severity;
use model::time::{Moment, Span};
use model::trouble::Trouble;
use ports::clock::Clock;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime};

/// A wall clock that is further away than this was set by somebody (D20).
const JUMP: Span = Span::from_secs(1);
/// The key of the alarm about that.
pub(crate) const JUMPED: &str = "clock/jumped";

/// A clock for one process.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    anchor: Moment,
    started: Span,
}

/// Since the machine was started, the time that it slept included.
fn since_boot() -> Span {
    let now = clock_gettime(ClockId::Boottime);
    Span(
        now.tv_sec
            .saturating_mul(1_000_000_000)
            .saturating_add(now.tv_nsec),
    )
}

fn wall() -> Moment {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Moment::default() + Span::from_duration(since_1970.unwrap_or(Duration::ZERO))
}

impl SystemClock {
    /// Anchors a clock now, but never before `not_before`, the largest moment on record: time goes
    /// on from there until the wall clock has caught up with it.
    pub fn start(not_before: Moment) -> Self {
        Self {
            anchor: wall().max(not_before),
            started: since_boot(),
        }
    }

    /// How far the wall clock is ahead of this one: not at all, unless somebody set it, or it was
    /// behind what is on record at the start.
    pub fn wall_ahead(&self) -> Span {
        wall().since(self.now())
    }

    /// The instant of the operating system at which this clock will show `moment`.
    pub fn instant_of(&self, moment: Moment) -> Instant {
        Instant::now() + moment.since(self.now()).to_duration()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        self.anchor + Span(since_boot().0.saturating_sub(self.started.0))
    }
}

/// The trouble that it is, if the wall clock is so far away that somebody set it.
pub(crate) fn jumped(ahead: Span) -> Option<Trouble> {
    if Span(ahead.0.saturating_abs()) <= JUMP {
        return None;
    }
    let (way, by) = if ahead.0 > 0 {
        ("ahead of", ahead)
    } else {
        ("behind", Span(-ahead.0))
    };
    Some(Trouble {
        key: JUMPED.to_owned(),
        severity: Severity::Medium,
        text: format!(
            "The machine's clock is {by} {way} the time of this instance: somebody set it. This \
             instance's time goes on evenly, so nothing that waits comes sooner or later, and \
             what it records is dated by its own time. Correct the machine's clock; if it is right \
             now, restart the instance, which takes it up and never goes back behind what is on \
             record."
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_begins_before_what_is_on_record() {
        let future = Moment(4_000_000_000_000_000_000);
        let clock = SystemClock::start(future);
        let first = clock.now();
        assert!(first >= future);
        assert!(clock.now() >= first);
        assert!(SystemClock::start(Moment(0)).now() > Moment(1_600_000_000_000_000_000));
        assert!(clock.wall_ahead() < Span::from_secs(-1_000_000));
        assert!(SystemClock::start(Moment(0)).wall_ahead() < Span::from_secs(1));
    }
}
