//! When records that wait for company are to be sent without it.
//!
//! A fast input fills batches by itself. Where it pauses, a record should not wait: so what was
//! read goes at once when nothing is on its way, and otherwise as soon as something came back, as
//! in Nagle's algorithm (RFC 896), or after a moment. librdkafka knows no pauses of the input, and
//! waits for `linger.ms`; a short one makes its thread spin while a broker works on a batch.

use std::time::Duration;

/// How long a record waits for company while others are on their way.
const MOMENT: Duration = Duration::from_millis(1);

/// Longer than this nobody is hurried: librdkafka's own time is over by then.
const LONGEST: Duration = Duration::from_millis(20);

/// The haste of one producer. Times are since any one start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Haste {
    /// When to hurry what waits; `None` when nothing does.
    due: Option<Duration>,
    /// How long to wait after the next time.
    pause: Duration,
}

impl Haste {
    /// What `linger.ms` should be: a batch that is not full waits so long while input goes on.
    pub(crate) const LINGER_MS: &'static str = "20";

    /// The haste of a producer that has no records.
    pub(crate) fn new() -> Haste {
        Haste { due: None, pause: MOMENT }
    }

    /// Records were queued at `now`, when the producer was `idle` or had others on their way.
    pub(crate) fn queued(&mut self, now: Duration, idle: bool) {
        let due = if idle { now } else { now + MOMENT };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        self.pause = MOMENT;
    }

    /// Something came back at `now`, so that what waited behind it can go, if there is (`waiting`).
    pub(crate) fn heard(&mut self, now: Duration, waiting: bool) {
        self.due = waiting.then_some(now);
        self.pause = MOMENT;
    }

    /// How long it may still be waited at `now`; `None` when nothing is to be hurried.
    pub(crate) fn left(self, now: Duration) -> Option<Duration> {
        self.due.map(|due| due.saturating_sub(now))
    }

    /// What waited was hurried at `now`. Of what is still on its way (`waiting`) it is not known
    /// whether it was too early for some of it, so it is hurried again, at longer and longer
    /// intervals.
    pub(crate) fn hurried(&mut self, now: Duration, waiting: bool) {
        self.due = (waiting && self.pause <= LONGEST).then(|| now + self.pause);
        self.pause *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_first_record_goes_at_once_and_others_with_what_came_back() {
        let mut haste = Haste::new();
        assert_eq!(haste.left(MS(0)), None);
        haste.queued(MS(5), true);
        assert_eq!(haste.left(MS(5)), Some(MS(0)));
        haste.hurried(MS(5), true);
        haste.queued(MS(6), false);
        assert_eq!(haste.left(MS(6)), Some(MS(0)), "the first one's next time is earlier");
        haste.hurried(MS(6), true);
        haste.heard(MS(7), true);
        assert_eq!(haste.left(MS(7)), Some(MS(0)));
        haste.hurried(MS(8), true);
        haste.heard(MS(9), false);
        assert_eq!(haste.left(MS(9)), None);
    }

    #[test]
    fn a_slow_broker_is_hurried_less_and_less() {
        let mut haste = Haste::new();
        haste.queued(MS(0), true);
        let mut times = Vec::new();
        while let Some(time) = haste.left(MS(0)) {
            times.push(time);
            haste.hurried(time, true);
        }
        assert_eq!(times, [0, 1, 3, 7, 15, 31].map(MS));
    }
}
