//! How far time has come: by the rows, or by the clock.

use row::time::TIME_MS_MAX;
use serde::{Deserialize, Serialize};

use crate::batch::Times;
use crate::watermark::{Leap, NOT_YET, Watermark};

/// How time goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Rows have event times, and the watermark is so far behind the greatest one; without it,
    /// rows have the time of their arrival.
    pub delay_ms: Option<i64>,
    /// When the input has been silent for so long, the watermark goes on with the clock.
    pub idle_ms: Option<i64>,
    /// A row that is further ahead of the clock moves no time.
    pub future_ms: Option<i64>,
}

/// The watermark or the clock. The clock is that of the ticks in a marked stream.
#[derive(Debug)]
pub struct Timeline {
    pace: Pace,
    /// The watermark of event time.
    event: Option<Watermark>,
    /// What the clock said last.
    now: i64,
    /// What it said when the last row came, or when the last partition became idle.
    last_row: i64,
    /// The watermark when the silence began.
    silent_from: i64,
    /// Whether the stream says itself which partitions are idle.
    told_idle: bool,
    /// How many rows came before the next, for their order at the same time.
    arrival: u64,
    /// Rows that moved no time because they were ahead of the clock.
    ahead: Ahead,
}

/// Rows that moved no time because they were ahead of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// How many there were.
    pub rows: u64,
    /// The line of the first.
    pub line: u64,
}

impl Timeline {
    /// Nothing has come yet, in one partition.
    #[must_use]
    pub fn new(pace: Pace) -> Timeline {
        Timeline {
            event: pace.delay_ms.map(Watermark::new),
            pace,
            now: NOT_YET,
            last_row: NOT_YET,
            silent_from: NOT_YET,
            told_idle: false,
            arrival: 0,
            ahead: Ahead::default(),
        }
    }

    /// How time goes on.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The stream is marked: it says which partitions are idle, and its ticks are the clock. A
    /// silence of `idle_ms` counts unless the caller said another.
    pub fn listen_to_marks(&mut self, idle_ms: i64) {
        self.told_idle = true;
        self.now = NOT_YET;
        self.pace.idle_ms.get_or_insert(idle_ms);
    }

    /// Begins anew with so many partitions. The clock goes on.
    pub fn assign(&mut self, partitions: usize) {
        if let Some(watermark) = &mut self.event {
            watermark.assign(partitions);
        }
        self.last_row = self.now;
        self.silent_from = NOT_YET;
        self.arrival = 0;
    }

    /// Makes room for a partition that no assignment named.
    pub fn add_partition(&mut self) {
        if let Some(watermark) = &mut self.event {
            watermark.add_partition();
        }
    }

    /// The time until which all rows are there: the watermark, or the last tick.
    #[inline]
    #[must_use]
    pub fn now(&self) -> i64 {
        self.event.as_ref().map_or(self.now, Watermark::get)
    }

    /// The watermark of event time.
    #[must_use]
    pub fn watermark(&self) -> Option<&Watermark> {
        self.event.as_ref()
    }

    /// The time of a row that arrives now; `None` before the first tick.
    #[must_use]
    pub fn arrival(&self) -> Option<i64> {
        (self.now != NOT_YET).then_some(self.now)
    }

    /// The greatest time seen.
    #[must_use]
    pub fn greatest(&self) -> i64 {
        self.event.as_ref().map_or(self.now, Watermark::greatest)
    }

    /// What the clock said last.
    #[must_use]
    pub fn clock(&self) -> i64 {
        self.now
    }

    /// Rows that moved no time because they were ahead of the clock.
    #[must_use]
    pub fn ahead(&self) -> Ahead {
        self.ahead
    }

    /// The number of the next row, which orders rows of the same time.
    #[inline]
    pub fn next_arrival(&mut self) -> u64 {
        self.arrival += 1;
        self.arrival
    }

    /// Leaves a partition out of the watermark, or takes it in again.
    pub fn set_idle(&mut self, partition: usize, idle: bool) {
        if let Some(watermark) = &mut self.event {
            let was_idle = watermark.is_idle();
            watermark.set_idle(partition, idle);
            if watermark.is_idle() && !was_idle {
                // What was not idle until now was no silence.
                self.last_row = self.last_row.max(self.now);
            }
        }
        self.go_on();
    }

    /// The clock says that it is `ms`; it never goes back.
    pub fn tick(&mut self, ms: i64) {
        self.now = self.now.max(ms.min(TIME_MS_MAX));
        if self.last_row == NOT_YET {
            self.last_row = self.now;
        }
        self.go_on();
    }

    /// The watermark goes on with the clock when the silence is long enough.
    fn go_on(&mut self) {
        if let Some(idle_ms) = self.pace.idle_ms
            && let Some(watermark) = &mut self.event
            && (!self.told_idle || watermark.is_idle())
        {
            let silent_ms = self.now - self.last_row.saturating_add(idle_ms);
            if silent_ms > 0 && watermark.get() != NOT_YET {
                if self.silent_from == NOT_YET {
                    self.silent_from = watermark.get();
                }
                watermark.go_on_to(self.silent_from.saturating_add(silent_ms).min(TIME_MS_MAX));
            }
        }
    }

    /// When the watermark will be at `time` by itself, in milliseconds of the clock; `None` when
    /// only rows bring it there.
    #[must_use]
    pub fn when(&self, time: i64) -> Option<i64> {
        let Some(watermark) = &self.event else { return Some(time) };
        let idle_ms = self.pace.idle_ms?;
        if watermark.get() == NOT_YET {
            return None;
        }
        let from = if self.silent_from == NOT_YET { watermark.get() } else { self.silent_from };
        Some(self.last_row.saturating_add(idle_ms).saturating_add(time.saturating_sub(from)))
    }

    /// The greatest leap of event time.
    #[must_use]
    pub fn leap(&self) -> Leap {
        self.event.as_ref().map(Watermark::leap).unwrap_or_default()
    }

    /// Sees the row of `partition` in `line` at `time`.
    #[inline]
    pub fn see(&mut self, partition: usize, time: i64, line: u64) {
        self.hear();
        let Some(watermark) = &mut self.event else { return };
        if let Some(future_ms) = self.pace.future_ms
            && self.now != NOT_YET
            && time > self.now.saturating_add(future_ms)
        {
            if self.ahead.rows == 0 {
                self.ahead.line = line;
            }
            self.ahead.rows += 1;
            return;
        }
        watermark.see(partition, time, line);
    }

    /// What time it is at most when rows of `partition` were seen that have these times; `None`
    /// when they do more than let time go on.
    #[must_use]
    pub fn foresee(&self, partition: usize, times: Times) -> Option<i64> {
        let future_ms = self.pace.future_ms.filter(|_| self.now != NOT_YET);
        if future_ms.is_some_and(|ms| times.greatest > self.now.saturating_add(ms)) {
            return None;
        }
        self.event.as_ref()?.foresee(partition, times)
    }

    /// A row came: the input is not silent.
    #[inline]
    pub fn hear(&mut self) {
        self.last_row = self.now;
        self.silent_from = NOT_YET;
    }

    /// Sees a row at `time` in every partition.
    pub fn see_everywhere(&mut self, time: i64) {
        let partitions = self.event.as_ref().map_or(0, Watermark::partitions);
        for partition in 0..partitions {
            self.see(partition, time.min(TIME_MS_MAX), 0);
        }
    }

    /// What a snapshot has of a partition.
    #[must_use]
    pub fn past(&self, partition: usize) -> Past {
        let greatest = self.event.as_ref().map(|event| event.greatest_of(partition));
        Past {
            greatest: known(greatest.unwrap_or(self.last_row)),
            watermark: known(self.now()),
            last_row: known(self.last_row),
            silent_from: known(self.silent_from),
            arrivals: self.arrival,
        }
    }

    /// A snapshot of a partition was loaded.
    pub fn restore(&mut self, partition: usize, past: &Past) {
        let or_not_yet = |time: Option<i64>| time.unwrap_or(NOT_YET);
        match &mut self.event {
            Some(event) => event.restore(partition, or_not_yet(past.greatest)),
            // No row arrives before one that has arrived.
            None => self.now = self.now.max(or_not_yet(past.greatest)),
        }
        self.last_row = self.last_row.max(or_not_yet(past.last_row));
        self.silent_from = self.silent_from.max(or_not_yet(past.silent_from));
        self.arrival = self.arrival.max(past.arrivals);
    }

    /// All snapshots were loaded: the watermark stood at `watermark` for all of them.
    pub fn restored(&mut self, watermark: i64) {
        if let Some(event) = &mut self.event {
            event.go_on_to(watermark);
        }
    }
}

fn known(time: i64) -> Option<i64> {
    (time != NOT_YET).then_some(time)
}

/// What a snapshot has of the time of a partition, in milliseconds; none where there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The greatest time seen in it.
    pub greatest: Option<i64>,
    /// The watermark over all partitions.
    pub watermark: Option<i64>,
    /// What the clock said when the last row came.
    pub last_row: Option<i64>,
    /// The watermark when a silence began.
    pub silent_from: Option<i64>,
    /// How many rows were numbered.
    pub arrivals: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(idle_ms: Option<i64>, future_ms: Option<i64>) -> Timeline {
        Timeline::new(Pace { delay_ms: Some(0), idle_ms, future_ms })
    }

    #[test]
    fn a_silent_input_lets_the_clock_move_the_watermark() {
        let mut timeline = timeline(Some(10_000), None);
        timeline.tick(50_000);
        timeline.see(0, 1_000, 1);
        for (clock, watermark) in [(60_000, 1_000), (60_001, 1_001), (62_500, 3_500)] {
            timeline.tick(clock);
            assert_eq!(timeline.now(), watermark);
        }
        assert_eq!(timeline.when(5_000), Some(64_000));
        timeline.see(0, 3_000, 1);
        timeline.tick(72_500);
        assert_eq!(timeline.now(), 3_500, "a row ends the silence, and time does not fall");
        timeline.tick(73_000);
        assert_eq!(timeline.now(), 4_000);
    }

    #[test]
    fn in_a_marked_stream_all_partitions_have_to_be_idle() {
        let mut timeline = timeline(None, None);
        timeline.listen_to_marks(10);
        timeline.assign(2);
        timeline.tick(100);
        timeline.see(0, 7, 1);
        timeline.see(1, 7, 1);
        timeline.set_idle(0, true);
        timeline.tick(200);
        assert_eq!(timeline.now(), 7);
        timeline.set_idle(1, true);
        timeline.tick(205);
        assert_eq!(timeline.now(), 7, "only now the silence begins");
        timeline.tick(300);
        assert_eq!(timeline.now(), 97);
    }

    #[test]
    fn a_row_far_ahead_of_the_clock_moves_no_time() {
        let mut timeline = timeline(None, Some(5));
        timeline.tick(100);
        timeline.see(0, 105, 1);
        timeline.see(0, 106, 2);
        assert_eq!((timeline.now(), timeline.ahead()), (105, Ahead { rows: 1, line: 2 }));
    }
}
