//! The agent's clock: anchored to wall time once, then advanced by the monotonic clock, so it never
//! steps back (D20).

use model::time::{Moment, Span};
use ports::clock::Clock;
use std::time::{Duration, Instant, SystemTime};

/// A clock for one process.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    anchor: Moment,
    started: Instant,
}

impl SystemClock {
    /// Anchors a clock now, but never before `not_before`, the largest moment on record: time goes
    /// on from there until the wall clock has caught up with it.
    pub fn start(not_before: Moment) -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let wall = Moment::default() + Span::from_duration(since_1970);
        Self {
            anchor: wall.max(not_before),
            started: Instant::now(),
        }
    }

    /// The instant of the operating system at which this clock will show `moment`.
    pub fn instant_of(&self, moment: Moment) -> Instant {
        self.started + moment.since(self.anchor).to_duration()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        self.anchor + Span::from_duration(self.started.elapsed())
    }
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
    }
}
