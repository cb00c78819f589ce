//! The stream: rows, and the marks between them, in the order of time.

use std::ops::Range;
use std::time::Duration;

use pipe::mark::How;

use crate::date;
use crate::marker::Marker;
use crate::profile::Profile;
use crate::schedule::{Due, Schedule, millis};

/// What the caller does after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next step.
    Step,
    /// It passes on what is written, which is news of the time, and takes the next step.
    Flush,
    /// It passes on what is written, and waits until so much has passed since the start.
    Wait(Duration),
    /// It ends: all rows are written.
    End,
    /// It fails: the next row would be later than the last year that can be written.
    TooLate,
}

/// A stream of rows. Its bytes hang on its parts only, not on when and how often steps are taken,
/// unless the schedule follows the clock.
#[derive(Debug)]
pub struct Stream {
    profile: Profile,
    schedule: Schedule,
    marker: Option<Marker>,
    start_ms: i64,
    /// The row that comes next.
    next: u64,
}

impl Stream {
    /// The rows of `profile` by a schedule that starts at `start_ms`, marked when there is a
    /// marker.
    #[must_use]
    pub fn new(
        profile: Profile,
        schedule: Schedule,
        marker: Option<Marker>,
        start_ms: i64,
    ) -> Stream {
        Stream { profile, schedule, marker, start_ms, next: 0 }
    }

    /// Whether it is marked.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.marker.is_some()
    }

    /// Appends what stands before the first row.
    pub fn open(&mut self, out: &mut Vec<u8>) {
        if let Some(marker) = &mut self.marker {
            marker.open(out);
        }
        out.extend_from_slice(self.profile.header().unwrap_or_default().as_bytes());
    }

    /// Appends some of what is due when `now` has passed since the start.
    pub fn step(&mut self, now: Duration, out: &mut Vec<u8>) -> Next {
        match self.schedule.due(now) {
            Due::Rows(rows) => self.write_rows(rows, out),
            Due::Wait(until) => Next::Wait(until.min(self.write_marks(now, out))),
            Due::End => Next::End,
        }
    }

    /// Appends what stands after the last row.
    pub fn end(&mut self, how: How, out: &mut Vec<u8>) {
        if let Some(marker) = &mut self.marker {
            marker.end(how, self.next, out);
        }
    }

    fn write_rows(&mut self, rows: Range<u64>, out: &mut Vec<u8>) -> Next {
        let mut marked = false;
        for row in rows {
            let ms = self.row_ms(row);
            if ms > date::MS_MAX {
                return Next::TooLate;
            }
            if let Some(marker) = self.marker.as_mut().filter(|marker| marker.next_ms() <= ms) {
                marker.advance(ms, row, out);
                marked = true;
            }
            self.profile.write(row, ms, out);
            self.next = row + 1;
        }
        if marked && self.schedule.is_by_clock() { Next::Flush } else { Next::Step }
    }

    /// Appends the marks that come before the next row, and says when the one after them is due.
    fn write_marks(&mut self, now: Duration, out: &mut Vec<u8>) -> Duration {
        let row_ms = self.row_ms(self.next);
        let Some(marker) = &mut self.marker else { return Duration::MAX };
        // A row that is due by a hair's breadth is still to come before later marks.
        let now_ms = self.start_ms.saturating_add(millis(now));
        marker.advance(now_ms.min(row_ms), self.next, out);
        let mark_ms = marker.next_ms().saturating_sub(self.start_ms);
        Duration::from_millis(mark_ms.unsigned_abs())
    }

    #[inline]
    fn row_ms(&self, row: u64) -> i64 {
        self.start_ms.saturating_add(self.schedule.ms(row))
    }
}

#[cfg(test)]
mod tests {
    use pipe::rate::Rate;
    use pipe::units;

    use super::*;
    use crate::form::Form;
    use crate::schedule::{Bursts, Law};

    fn by_rate(count: u64) -> Schedule {
        Schedule::new(Law::Rate(Rate::new(30.0).expect("a rate")), count)
    }

    fn by_burst(count: u64) -> Schedule {
        let every = units::Span::from_ms(70);
        let bursts = Bursts::new(1, units::Range { from: 0, to: 3 }, every, None);
        Schedule::new(Law::Bursts(Box::new(bursts.expect("bursts"))), count)
    }

    fn stream(schedule: Schedule) -> Stream {
        let profile = Profile::numbers(1, Form::Text, true, 10);
        Stream::new(profile, schedule, Some(Marker::new(40, 100, Some(250))), 40)
    }

    /// All that is written when steps are taken at times that `pace_ms` apart.
    fn run(mut stream: Stream, pace_ms: impl Fn(u64) -> u64) -> String {
        let mut out = Vec::new();
        stream.open(&mut out);
        let mut now = Duration::ZERO;
        for step in 0.. {
            match stream.step(now, &mut out) {
                Next::End => break,
                Next::Wait(_) => now += Duration::from_millis(pace_ms(step)),
                _ => {}
            }
        }
        stream.end(How::Drained, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_bytes_do_not_hang_on_the_times_of_the_steps() {
        for schedule in [by_rate, by_burst] {
            let steady = run(stream(schedule(40)), |_| 1);
            assert_eq!(run(stream(schedule(40)), |_| 10_000), steady);
            assert_eq!(run(stream(schedule(40)), |step| step * step % 997), steady);
        }
    }

    #[test]
    fn times_grow_and_no_row_stands_before_its_tick() {
        let text = run(stream(by_burst(200)), |_| 13);
        let (mut tick_ms, mut rows) = (i64::MIN, 0);
        for line in text.split_terminator('\n') {
            let number = |text: &str| text.parse::<i64>().expect("a time");
            if let Some(ms) = line.strip_prefix("\x1e{\"mark\":\"tick\",\"ms\":") {
                let ms = number(ms.trim_end_matches('}'));
                assert!(ms > tick_ms && ms % 100 == 0, "{line}");
                tick_ms = ms;
            } else if !line.starts_with('\x1e') {
                let (ms, _) = line.split_once(',').expect("a time in front");
                assert!((tick_ms..tick_ms + 100).contains(&number(ms)), "{line}");
                rows += 1;
            }
        }
        assert_eq!(rows, 200);
    }

    #[test]
    fn a_wait_ends_at_the_next_mark_or_row() {
        let mut stream = stream(by_rate(10));
        let mut out = Vec::new();
        stream.open(&mut out);
        assert_eq!(stream.step(Duration::ZERO, &mut out), Next::Step);
        let row = Duration::from_secs_f64(1.0 / 30.0);
        assert_eq!(stream.step(Duration::ZERO, &mut out), Next::Wait(row));
        assert_eq!(stream.step(row, &mut out), Next::Step);
        assert_eq!(stream.step(row, &mut out), Next::Wait(Duration::from_millis(60)));
    }

    #[test]
    fn rows_are_the_same_with_bursts_and_without() {
        let bare = |schedule| {
            let profile = Profile::pages(1, Form::Text, false);
            run(Stream::new(profile, schedule, None, 0), |_| 50)
        };
        assert_eq!(bare(by_burst(100)), bare(by_rate(100)));
    }

    #[test]
    fn the_calendar_ends() {
        let profile = Profile::numbers(1, Form::Text, true, 10);
        let schedule = Schedule::new(Law::Steps(1), 2);
        let mut stream = Stream::new(profile, schedule, None, date::MS_MAX);
        let mut out = Vec::new();
        assert_eq!(stream.step(Duration::ZERO, &mut out), Next::TooLate);
        assert_eq!(String::from_utf8_lossy(&out), "253402300799999,3\n");
    }
}
