//! The stream: rows, and the marks between them, in the order of time.

use std::time::Duration;

use pipe::mark::How;

use crate::date;
use crate::envelope::Envelope;
use crate::marker::Marker;
use crate::part::Rows;
use crate::profile::Profile;
use crate::schedule::{Due, Schedule, millis};
use crate::way::{Records, Way};

/// The byte that marks start with, doubled in front of a row that starts with it.
const RS: u8 = 0x1e;

/// What the caller does after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next step.
    Step,
    /// It passes on what is written, which is news of the time, and takes the next step.
    Flush,
    /// It passes on what is written, and waits until so much has passed since the start.
    Wait(Duration),
    /// The same, or until a row comes in.
    Input(Duration),
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
    envelope: Option<Envelope>,
    way: Option<Way>,
    start_ms: i64,
    /// How many rows were written.
    written: u64,
    /// A row before it is sent on its way.
    line: Vec<u8>,
}

impl Stream {
    /// The rows of `profile` by a schedule whose first row of all has the time `start_ms`, marked
    /// when there is a marker.
    #[must_use]
    pub fn new(
        profile: Profile,
        mut schedule: Schedule,
        marker: Option<Marker>,
        start_ms: i64,
    ) -> Stream {
        if matches!(profile, Profile::Typed(_)) {
            schedule.ready(0);
        }
        Stream {
            profile,
            schedule,
            marker,
            envelope: None,
            way: None,
            start_ms,
            written: 0,
            line: Vec::new(),
        }
    }

    /// The same, each row in an envelope.
    #[must_use]
    pub fn in_envelopes(mut self, envelope: Option<Envelope>) -> Stream {
        self.envelope = envelope;
        self
    }

    /// The same, its rows sent on a way.
    #[must_use]
    pub fn on_the_way(mut self, way: Option<Way>) -> Stream {
        self.way = way;
        self
    }

    /// Whether it is marked.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.marker.is_some()
    }

    /// The line that stands before all rows, when there is one.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        self.profile.header()
    }

    /// How many rows were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How many rows have happened, of which some may be lost or still on their way.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.way.as_ref().map_or(self.written, Way::happened)
    }

    /// How far behind its time a row was written, at most, since this was asked last.
    pub fn slip(&mut self) -> Duration {
        self.schedule.slip()
    }

    /// What was written down of the rows' way.
    pub fn records(&mut self) -> Option<&mut Records> {
        self.way.as_mut().map(Way::records)
    }

    /// Takes in a row from outside, without its newline.
    pub fn take_in(&mut self, line: &[u8]) {
        if let Profile::Typed(typed) = &mut self.profile {
            self.schedule.ready(typed.take_in(line));
        }
    }

    /// No row comes in any more.
    pub fn close(&mut self) {
        self.schedule.close();
    }

    /// Appends what stands before the first row.
    pub fn open(&mut self, out: &mut Vec<u8>) {
        if let Some(marker) = &mut self.marker {
            marker.open(out);
        }
        let header = self.profile.header().unwrap_or_default();
        out.extend_from_slice(header.as_bytes());
        if let Some(way) = &mut self.way {
            way.head(header);
        }
    }

    /// Appends some of what is due when `now` has passed since the start.
    pub fn step(&mut self, now: Duration, out: &mut Vec<u8>) -> Next {
        match self.schedule.due(now) {
            Due::Rows(rows) if self.way.is_some() => self.send_rows(rows, now, out),
            Due::Rows(rows) if self.is_bare(&rows) => self.write_bare_rows(rows, out),
            Due::Rows(rows) => self.write_rows(rows, out),
            Due::Wait(until) => {
                let next_ms = self.row_ms(self.schedule.next());
                Next::Wait(until.min(self.pass_time(now, next_ms, out)))
            }
            Due::Input => Next::Input(self.pass_time(now, i64::MAX, out)),
            Due::End => self.wait_for_the_last(now, out),
        }
    }

    /// Appends what stands after the last row. Rows that are still on their way arrive at once.
    pub fn end(&mut self, how: How, out: &mut Vec<u8>) {
        let (way, written) = (&mut self.way, &mut self.written);
        let marked = self.marker.is_some();
        let mut take = |_, line: &[u8]| {
            write_line(line, marked, out);
            *written += 1;
        };
        while way.as_mut().is_some_and(|way| way.arrive(i64::MAX, &mut take)) {}
        if let Some(marker) = &mut self.marker {
            marker.end(how, self.written, out);
        }
    }

    /// Whether nothing stands between `rows` or around them, and all can be written.
    fn is_bare(&self, rows: &Rows) -> bool {
        let bare = self.marker.is_none() && self.envelope.is_none();
        let fits = |row| self.row_ms(row) <= date::MS_MAX;
        bare && (self.profile.is_timeless() || rows.last_row().is_none_or(fits))
    }

    fn write_bare_rows(&mut self, rows: Rows, out: &mut Vec<u8>) -> Next {
        self.written += rows.count_rows();
        if self.profile.is_timeless() {
            self.profile.write_all(rows, |_| 0, out);
        } else {
            let (start_ms, schedule) = (self.start_ms, &self.schedule);
            let row_ms = |row| start_ms.saturating_add(schedule.ms(row));
            self.profile.write_all(rows, row_ms, out);
        }
        Next::Step
    }

    fn write_rows(&mut self, rows: Rows, out: &mut Vec<u8>) -> Next {
        let mut marked = false;
        for row in rows {
            let ms = self.row_ms(row);
            if ms > date::MS_MAX {
                return Next::TooLate;
            }
            if let Some(marker) = &mut self.marker {
                marked |= marker.advance(ms, self.written, out);
            }
            let start = out.len();
            self.write_row(row, ms, out);
            if self.marker.is_some() && out.get(start) == Some(&RS) {
                out.insert(start, RS);
            }
            self.written += 1;
        }
        if marked && self.schedule.is_by_clock() { Next::Flush } else { Next::Step }
    }

    /// Sends rows on their way, and appends those that arrive meanwhile.
    fn send_rows(&mut self, rows: Rows, now: Duration, out: &mut Vec<u8>) -> Next {
        let mut marked = false;
        for row in rows {
            let ms = self.row_ms(row);
            if ms > date::MS_MAX {
                return Next::TooLate;
            }
            marked |= self.let_arrive(ms, out);
            let mut line = std::mem::take(&mut self.line);
            line.clear();
            self.write_row(row, ms, &mut line);
            if let Some(way) = &mut self.way {
                way.send(row, ms, &line);
            }
            self.line = line;
        }
        // What arrives before the next row happens hangs on no later row.
        let next_ms = self.row_ms(self.schedule.next());
        let now_ms = if self.schedule.is_paced() { self.now_ms(now) } else { i64::MAX };
        marked |= self.let_arrive(next_ms.min(now_ms), out);
        if marked && self.schedule.is_by_clock() { Next::Flush } else { Next::Step }
    }

    /// Appends the rows that arrive by `ms`, with the marks before them; whether there were marks.
    fn let_arrive(&mut self, ms: i64, out: &mut Vec<u8>) -> bool {
        let Some(way) = &mut self.way else { return false };
        let (marker, written) = (&mut self.marker, &mut self.written);
        let mut news = false;
        while way.arrive(ms, |arrival_ms, line| {
            if let Some(marker) = marker {
                news |= marker.advance(arrival_ms, *written, out);
            }
            write_line(line, marker.is_some(), out);
            *written += 1;
        }) {}
        news
    }

    #[inline]
    fn write_row(&mut self, row: u64, ms: i64, out: &mut Vec<u8>) {
        match &mut self.envelope {
            None => self.profile.write(row, ms, out),
            Some(envelope) => envelope.write(&mut self.profile, row, ms, out),
        }
    }

    /// All rows are there: ends when those that are on their way have arrived.
    fn wait_for_the_last(&mut self, now: Duration, out: &mut Vec<u8>) -> Next {
        let now_ms = if self.schedule.is_paced() { self.now_ms(now) } else { i64::MAX };
        self.let_arrive(now_ms, out);
        if self.way.as_ref().and_then(Way::next_ms).is_none() {
            return Next::End;
        }
        Next::Wait(self.pass_time(now, i64::MAX, out))
    }

    /// Appends what comes before a row of the time `next_ms`, and says when to look again.
    fn pass_time(&mut self, now: Duration, next_ms: i64, out: &mut Vec<u8>) -> Duration {
        // A row that is due by a hair's breadth is still to come before later marks.
        let now_ms = self.now_ms(now).min(next_ms);
        self.let_arrive(now_ms, out);
        let arrival_ms = self.way.as_ref().and_then(Way::next_ms);
        let mark_ms = self.marker.as_mut().map(|marker| {
            marker.advance(now_ms, self.written, out);
            marker.next_ms()
        });
        let ms = [arrival_ms, mark_ms].into_iter().flatten().min();
        ms.map_or(Duration::MAX, |ms| {
            let since = Duration::from_millis(ms.saturating_sub(self.start_ms).unsigned_abs());
            since.saturating_sub(self.schedule.base())
        })
    }

    /// The time when `now` has passed since the start of this part.
    fn now_ms(&self, now: Duration) -> i64 {
        self.start_ms.saturating_add(millis(self.schedule.base().saturating_add(now)))
    }

    #[inline]
    fn row_ms(&self, row: u64) -> i64 {
        self.start_ms.saturating_add(self.schedule.ms(row))
    }
}

/// Appends a row, which in a `marked` stream must not look like a mark.
fn write_line(line: &[u8], marked: bool, out: &mut Vec<u8>) {
    if marked && line.first() == Some(&RS) {
        out.push(RS);
    }
    out.extend_from_slice(line);
}

#[cfg(test)]
mod tests {
    use pipe::rate::Rate;
    use pipe::units;

    use super::*;
    use crate::form::Form;
    use crate::part::{Part, Shard};
    use crate::schedule::{Bursts, Law};

    fn by_rate(count: u64) -> Schedule {
        Schedule::new(Law::Rate(Rate::new(30.0).expect("a rate")), Part::head(count))
    }

    fn by_burst(count: u64) -> Schedule {
        let every = units::Span::from_ms(70);
        let bursts = Bursts::new(1, units::Range { from: 0, to: 3 }, every, None);
        Schedule::new(Law::Bursts(Box::new(bursts.expect("bursts"))), Part::head(count))
    }

    fn stream(schedule: Schedule) -> Stream {
        let profile = Profile::numbers(1, Form::Text, true, 10);
        Stream::new(profile, schedule, Some(Marker::new(40, 100, Some(250), Shard::WHOLE, 0)), 40)
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
            let profile = Profile::pages(1, Form::Text, false, None);
            run(Stream::new(profile, schedule, None, 0), |_| 50)
        };
        assert_eq!(bare(by_burst(100)), bare(by_rate(100)));
    }

    #[test]
    fn the_calendar_ends() {
        let profile = Profile::numbers(1, Form::Text, true, 10);
        let schedule = Schedule::new(Law::Steps(1), Part::head(2));
        let mut stream = Stream::new(profile, schedule, None, date::MS_MAX);
        let mut out = Vec::new();
        assert_eq!(stream.step(Duration::ZERO, &mut out), Next::TooLate);
        assert_eq!(String::from_utf8_lossy(&out), "253402300799999,3\n");
    }
}
