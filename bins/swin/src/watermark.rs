//! Event time: how far the input has come.
//!
//! A partition has come as far as the greatest time seen in it; the watermark is the least of
//! that over the partitions, less the delay. It leaves out partitions that are idle, and it never
//! falls.

use crate::batch::Times;

/// The watermark over partitions that are numbered from 0.
#[derive(Clone, Debug)]
pub struct Watermark {
    partitions: Vec<Partition>,
    delay_ms: i64,
    /// The least time over the partitions, before the delay.
    least: i64,
    current: i64,
    leap: Leap,
}

/// The greatest leap of time within a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leap {
    /// The line of the row that made it.
    pub line: u64,
    /// How far it was ahead of the greatest time before, in milliseconds.
    pub ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Partition {
    /// The greatest time seen; [`NOT_YET`] before the first row.
    greatest: i64,
    idle: bool,
}

/// The watermark before any time was seen: before all times, and far enough from the least number
/// that windows can be computed around it.
pub const NOT_YET: i64 = i64::MIN / 2;

impl Watermark {
    /// A watermark over one partition, `delay_ms` behind the greatest time.
    #[must_use]
    pub fn new(delay_ms: i64) -> Watermark {
        let partition = Partition { greatest: NOT_YET, idle: false };
        let partitions = vec![partition];
        let leap = Leap::default();
        Watermark { partitions, delay_ms, least: NOT_YET, current: NOT_YET, leap }
    }

    /// Forgets everything and begins with `count` partitions, or one when there are none yet.
    pub fn assign(&mut self, count: usize) {
        *self = Watermark::new(self.delay_ms);
        self.partitions = vec![Partition { greatest: NOT_YET, idle: false }; count.max(1)];
    }

    /// Makes room for a partition that no assignment named.
    pub fn add_partition(&mut self) {
        self.partitions.push(Partition { greatest: NOT_YET, idle: false });
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// How far it is behind the greatest time, in milliseconds.
    #[must_use]
    pub fn delay_ms(&self) -> i64 {
        self.delay_ms
    }

    /// The watermark: no window that ends by it can get a row any more.
    #[inline]
    #[must_use]
    pub fn get(&self) -> i64 {
        self.current
    }

    /// The greatest time seen in any partition.
    #[must_use]
    pub fn greatest(&self) -> i64 {
        self.partitions.iter().map(|partition| partition.greatest).max().unwrap_or(NOT_YET)
    }

    /// The greatest time seen in a partition.
    #[must_use]
    pub fn greatest_of(&self, partition: usize) -> i64 {
        self.partitions.get(partition).map_or(NOT_YET, |partition| partition.greatest)
    }

    /// Whether all partitions are idle.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.partitions.iter().all(|partition| partition.idle)
    }

    /// The watermark goes on without rows; it never falls.
    pub fn go_on_to(&mut self, time: i64) {
        self.current = self.current.max(time);
    }

    /// A partition comes with the greatest time seen in it.
    pub fn restore(&mut self, partition: usize, greatest: i64) {
        if let Some(partition) = self.partitions.get_mut(partition) {
            partition.greatest = greatest;
        }
        self.recompute();
    }

    /// The greatest leap of time.
    #[must_use]
    pub fn leap(&self) -> Leap {
        self.leap
    }

    /// Sees the row of `partition` in `line` at `time`.
    #[inline]
    pub fn see(&mut self, partition: usize, time: i64, line: u64) {
        let seen = &mut self.partitions[partition];
        if time > seen.greatest {
            let was = seen.greatest;
            seen.greatest = time;
            if time - was > self.leap.ms && was != NOT_YET {
                self.leap = Leap { line, ms: time - was };
            }
            if let [one] = self.partitions.as_slice() {
                // What most streams have is worth no look at all partitions.
                if !one.idle {
                    self.least = time;
                    self.current = self.current.max(time.saturating_sub(self.delay_ms));
                }
            } else if was <= self.least {
                // Only a partition that held the others back can let them go.
                self.recompute();
            }
        }
    }

    /// Where the watermark is at most when rows of `partition` were seen that have these times;
    /// `None` when one of them is the first or leaps further than any before.
    #[must_use]
    pub fn foresee(&self, partition: usize, times: Times) -> Option<i64> {
        let greatest = self.greatest_of(partition);
        let leap = times.leap.max(times.first - greatest);
        let is_usual = greatest != NOT_YET && leap <= self.leap.ms;
        is_usual.then(|| self.current.max(times.greatest.saturating_sub(self.delay_ms)))
    }

    /// Leaves a partition out, or takes it in again.
    pub fn set_idle(&mut self, partition: usize, idle: bool) {
        self.partitions[partition].idle = idle;
        self.recompute();
    }

    fn recompute(&mut self) {
        let awake = self.partitions.iter().filter(|partition| !partition.idle);
        // When all are idle, it stands.
        let Some(least) = awake.map(|partition| partition.greatest).min() else { return };
        self.least = least;
        if least > NOT_YET {
            self.current = self.current.max(least.saturating_sub(self.delay_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_least_over_partitions() {
        // The case of FLINK-3375: one partition far ahead must not make the other late.
        let mut watermark = Watermark::new(0);
        watermark.assign(2);
        watermark.see(1, 1_000, 1);
        assert_eq!(watermark.get(), NOT_YET);
        watermark.see(0, 10, 1);
        assert_eq!(watermark.get(), 10);
        watermark.see(0, 5, 1);
        assert_eq!(watermark.get(), 10);
        watermark.see(0, 2_000, 1);
        assert_eq!(watermark.get(), 1_000);
    }

    #[test]
    fn idle_partitions_are_left_out_and_it_never_falls() {
        let mut watermark = Watermark::new(5);
        watermark.assign(2);
        watermark.see(0, 100, 1);
        watermark.set_idle(1, true);
        assert_eq!(watermark.get(), 95);
        watermark.set_idle(1, false);
        watermark.see(1, 20, 1);
        assert_eq!(watermark.get(), 95);
        watermark.set_idle(0, true);
        watermark.set_idle(1, true);
        assert_eq!(watermark.get(), 95);
    }
}
