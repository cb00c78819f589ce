//! When a ranking that goes on is written.

/// The moments at which a ranking of the last rows is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    every_ms: Option<i64>,
    /// Whether an earlier stage says when its rows are complete.
    by_closed: bool,
    /// The multiple of `every_ms` that was written last, or begun with.
    period: Option<i64>,
}

impl Pace {
    /// Writes at each multiple of `every_ms`, more than 0. With `by_closed` each time an earlier
    /// stage has closed what it had, or the first such time at or after a multiple.
    #[must_use]
    pub fn new(every_ms: Option<i64>, by_closed: bool) -> Pace {
        Pace { every_ms, by_closed, period: None }
    }

    /// Begins when ticks or the clock say `ms`: the multiple before it is past.
    pub fn begin(&mut self, ms: i64) {
        if !self.by_closed {
            self.period = self.every_ms.map(|every_ms| ms.div_euclid(every_ms));
        }
    }

    /// The multiple that was written last, or begun with, in milliseconds.
    #[must_use]
    pub fn written_ms(&self) -> Option<i64> {
        Some(self.period? * self.every_ms?)
    }

    /// The multiple `ms` was written, or begun with, unless a later one was.
    pub fn restore(&mut self, ms: i64) {
        self.period = self.period.max(self.every_ms.map(|every_ms| ms.div_euclid(every_ms)));
    }

    /// Whether the time `ms` is one to write at.
    #[must_use]
    pub fn tick(&mut self, ms: i64) -> bool {
        !self.by_closed && self.every_ms.is_some_and(|every_ms| self.passes(ms, every_ms))
    }

    /// Whether an earlier stage having closed everything until `until` is a time to write at.
    #[must_use]
    pub fn closed(&mut self, until: i64) -> bool {
        self.by_closed && self.every_ms.is_none_or(|every_ms| self.passes(until, every_ms))
    }

    /// Milliseconds from `ms` to the next time to write at, when that comes by itself.
    #[must_use]
    pub fn wait_ms(&self, ms: i64) -> Option<i64> {
        let every_ms = self.every_ms.filter(|_| !self.by_closed)?;
        Some(every_ms - ms.rem_euclid(every_ms))
    }

    fn passes(&mut self, ms: i64, every_ms: i64) -> bool {
        let period = ms.div_euclid(every_ms);
        let passes = self.period.is_none_or(|last| last < period);
        if passes {
            self.period = Some(period);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_over_several_multiples_is_one_time() {
        let mut pace = Pace::new(Some(1000), false);
        pace.begin(1500);
        let due: Vec<_> = [1900, 2000, 2100, 5700, 6000].map(|ms| pace.tick(ms)).into();
        assert_eq!(due, [false, true, false, true, true]);
        assert_eq!(pace.wait_ms(6400), Some(600));
        assert!(!pace.closed(9000));
    }

    #[test]
    fn behind_a_stage_that_closes_its_word_counts_and_not_the_time() {
        let mut pace = Pace::new(None, true);
        assert!(pace.closed(10) && pace.closed(10) && !pace.tick(1000));
        let mut pace = Pace::new(Some(5000), true);
        let due: Vec<_> = [2000, 4000, 6000, 8000, 10_000].map(|ms| pace.closed(ms)).into();
        assert_eq!(due, [true, false, true, false, true]);
        assert_eq!(pace.wait_ms(0), None);
    }
}
