//! The window engine: rows and time go in, results come out.
//!
//! A value without clock, input or output. Rows are counted per key *and* input partition, and
//! merged over the partitions when a result is written, so that what a partition holds can move
//! to another copy of the pipeline.

use std::fmt;
use std::num::NonZeroI64;

use row::key::{self, Key};
use row::time::TIME_MS_MAX;
use row::value::{Fault, Value};

use crate::aggregate::Aggregate;
use crate::query::Query;
use crate::running::Totals;
use crate::slide::Members;
use crate::store::{Group, Id, Store, merge};
use crate::watermark::{NOT_YET, Watermark};
use crate::window::{Aligned, Pane, Window};

/// Empty windows that are written in a row before something must be wrong.
const EMPTY_MAX: u32 = 100_000;

/// Where results go.
pub trait Sink {
    /// Takes a row of the result: the window's columns, the keys, the aggregates. `partition` is
    /// the lowest one that has a part in it.
    fn row(&mut self, partition: usize, values: &[Value<'_>]);

    /// All rows until this time (a window's end, or a time of `--every`) have been written.
    fn told(&mut self, until: i64);
}

/// Why the engine cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// More keys than this.
    Keys(usize),
    /// More empty windows in a row than this.
    Empty(u32),
    /// A result has no value.
    Result(Fault),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Halt::Keys(max) => {
                write!(f, "more than {max} keys at a time; --max-keys allows more")
            }
            Halt::Empty(max) => {
                write!(f, "more than {max} empty windows in a row; is a time far ahead?")
            }
            Halt::Result(fault) => write!(f, "a result has no value: {fault}"),
        }
    }
}

/// Whether a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Open,
    /// Its windows are closed; it is so many milliseconds behind the watermark.
    Late(i64),
    /// It stands in a gap between windows.
    Outside,
}

/// Which results are told beside those that have rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Empty {
    /// None.
    #[default]
    Silent,
    /// That a window without rows has ended.
    Told,
    /// A row of its own for a window without rows.
    Zeros,
}

/// Aggregates of keyed rows over windows.
#[derive(Debug)]
pub struct Engine {
    window: Window,
    query: Query,
    empty: Empty,
    store: Store,
    /// The watermark of event time; without it, time is what [`Engine::tick`] says.
    event_time: Option<Watermark>,
    now: i64,
    /// The next window's end or time of `--every`; [`i64::MAX`] when nothing is due.
    due: i64,
    /// The least time seen, which what is told without rows begins at; [`i64::MIN`] when that has
    /// begun, or nothing is told without rows.
    begins: i64,
    empty_in_a_row: u32,
    place: Place,
    members: Members,
    totals: Totals,
}

/// A pane, and what all times in it have in common.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The first time in the pane, and the last.
    from: i64,
    to: i64,
    pane: Pane,
    /// The end of the last window that the pane is in; none in a gap between windows.
    last_end: Option<i64>,
}

impl Place {
    fn of(window: Window, time: i64) -> Place {
        let (width, last_end) = match window {
            Window::Aligned(aligned) => (aligned.pane_width(), aligned.last_end(time)),
            Window::Running { every: Some(every) } => (every, None),
            Window::Running { every: None } => {
                return Place { from: i64::MIN, to: i64::MAX, pane: 0, last_end: None };
            }
        };
        let pane = time.div_euclid(width.get());
        let from = pane.saturating_mul(width.get());
        let to = from.saturating_add(width.get() - 1);
        Place { from, to, pane, last_end }
    }
}

impl Engine {
    /// An engine for `query` over `window`, for at most `keys_max` keys. With `delay_ms`, rows
    /// have event times and the watermark is so far behind the greatest one.
    #[must_use]
    pub fn new(
        window: Window,
        query: Query,
        empty: Empty,
        delay_ms: Option<i64>,
        keys_max: usize,
    ) -> Engine {
        let store = Store::new(query.empty(), keys_max);
        let mut engine = Engine {
            window,
            query,
            empty,
            store,
            event_time: delay_ms.map(Watermark::new),
            now: NOT_YET,
            due: i64::MAX,
            begins: i64::MIN,
            empty_in_a_row: 0,
            place: Place::of(window, 0),
            members: Members::default(),
            totals: Totals::default(),
        };
        engine.clear();
        engine
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Whether rows have event times.
    #[must_use]
    pub fn has_event_time(&self) -> bool {
        self.event_time.is_some()
    }

    /// The period of `--every`, when there is one.
    #[must_use]
    pub fn every(&self) -> Option<i64> {
        match self.window {
            Window::Running { every } => every.map(NonZeroI64::get),
            Window::Aligned(_) => None,
        }
    }

    /// How far the watermark is behind the greatest time, in milliseconds.
    #[must_use]
    pub fn delay_ms(&self) -> i64 {
        self.event_time.as_ref().map_or(0, Watermark::delay_ms)
    }

    /// The time until which all rows are there: the watermark, or the last tick.
    #[inline]
    #[must_use]
    pub fn time(&self) -> i64 {
        self.event_time.as_ref().map_or(self.now, Watermark::get)
    }

    /// The time of a row that arrives now; `None` before the first tick.
    #[must_use]
    pub fn arrival(&self) -> Option<i64> {
        (self.now != NOT_YET).then_some(self.now)
    }

    /// The greatest window end, or time of `--every`, that has come; `None` before the first.
    #[must_use]
    pub fn closed_until(&self) -> Option<i64> {
        let time = self.time();
        match self.window {
            _ if time == NOT_YET => None,
            Window::Aligned(aligned) => Some(aligned.end_by(time)),
            Window::Running { every: Some(every) } => Some(after(time, every) - every.get()),
            Window::Running { every: None } => None,
        }
    }

    /// When something is due, unless rows change it; `None` when nothing is.
    #[must_use]
    pub fn due(&self) -> Option<i64> {
        (self.due != i64::MAX).then_some(self.due)
    }

    /// Whether something is due now.
    #[inline]
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.time() >= self.due
    }

    /// Forgets all rows and begins with `partitions` partitions.
    pub fn assign(&mut self, partitions: usize) {
        self.clear();
        match &mut self.event_time {
            Some(watermark) => watermark.assign(partitions),
            None => self.begin_telling(self.now),
        }
    }

    /// Forgets all rows, and the time that the clock said: ticks are what counts from now on.
    pub fn restart(&mut self) {
        self.clear();
        self.now = NOT_YET;
    }

    fn clear(&mut self) {
        self.store.clear();
        self.members = Members::default();
        self.totals = Totals::default();
        self.due = i64::MAX;
        self.empty_in_a_row = 0;
        self.begins = match self.window {
            Window::Aligned(_) if self.empty == Empty::Silent => i64::MIN,
            Window::Running { every: None } => i64::MIN,
            _ => i64::MAX,
        };
    }

    /// Makes room for a partition that no assignment named.
    pub fn add_partition(&mut self) {
        if let Some(watermark) = &mut self.event_time {
            watermark.add_partition();
        }
    }

    /// Leaves a partition out of the watermark, or takes it in again.
    pub fn set_idle(&mut self, partition: usize, idle: bool) {
        if let Some(watermark) = &mut self.event_time {
            watermark.set_idle(partition, idle);
        }
    }

    /// The clock or a tick says that it is `ms`; it never goes back.
    pub fn tick(&mut self, ms: i64) {
        self.now = self.now.max(ms.min(TIME_MS_MAX));
        if self.event_time.is_none() {
            self.begin_telling(self.now);
        }
    }

    /// Sees a row of `partition` at `time`; returns whether something is due.
    #[inline]
    pub fn see(&mut self, partition: usize, time: i64) -> bool {
        if let Some(watermark) = &mut self.event_time {
            watermark.see(partition, time);
            // A row that does not count moves time too, and what is told without rows.
            self.begin_telling(time);
        }
        self.is_due()
    }

    /// Sees a row at `time` in every partition.
    pub fn see_everywhere(&mut self, time: i64) {
        let partitions = self.event_time.as_ref().map_or(0, Watermark::partitions);
        for partition in 0..partitions {
            self.see(partition, time.min(TIME_MS_MAX));
        }
    }

    /// What is told without rows is due from the least time on that was seen before anything was
    /// told: rows come out of order, and those of one partition after those of another.
    #[inline]
    fn begin_telling(&mut self, time: i64) {
        if time < self.begins && time != NOT_YET {
            self.begins = time;
            self.due = self.due.min(self.first_due(time));
        }
    }

    /// When a row at `time` is due first, if it is open.
    fn first_due(&self, time: i64) -> i64 {
        let now = self.time();
        match self.window {
            Window::Aligned(aligned) => aligned.first_end(time).max(aligned.first_end(now)),
            Window::Running { every: Some(every) } => after(time.max(now), every),
            Window::Running { every: None } => i64::MAX,
        }
    }

    /// Where `time` is. Nearly all rows are where the one before was.
    #[inline]
    fn place(&mut self, time: i64) -> Place {
        if time < self.place.from || time > self.place.to {
            self.place = Place::of(self.window, time);
        }
        self.place
    }

    /// Whether a row at `time` counts.
    #[inline]
    #[must_use]
    pub fn judge(&mut self, time: i64) -> Verdict {
        let open_until = match self.window {
            Window::Aligned(_) => match self.place(time).last_end {
                Some(end) => end,
                None => return Verdict::Outside,
            },
            Window::Running { every: Some(_) } if self.has_event_time() => time.saturating_add(1),
            Window::Running { .. } => return Verdict::Open,
        };
        let time_now = self.time();
        if open_until > time_now { Verdict::Open } else { Verdict::Late(time_now - time) }
    }

    /// The aggregates to which a row of `partition` with `key` at `time` is added. The row has to
    /// be [`Verdict::Open`], and nothing may be due.
    ///
    /// # Errors
    /// When it is a key too many.
    #[inline]
    pub fn aggregates(
        &mut self,
        partition: usize,
        key: Key<'_>,
        time: i64,
    ) -> Result<&mut [Aggregate], Halt> {
        let pane = self.place(time).pane;
        let touch = self.store.touch(partition, key, pane);
        let touch = touch.ok_or_else(|| Halt::Keys(self.store.keys()))?;
        match self.window {
            Window::Aligned(aligned) => {
                if aligned.panes() > 1 {
                    let groups = self.store.groups_mut();
                    self.members.changed(touch.id, pane, touch.new_pane, groups);
                }
                if touch.new_pane {
                    self.due = self.due.min(self.first_due(time));
                }
            }
            Window::Running { .. } if touch.new_key => self.totals.enter(touch.id),
            Window::Running { .. } => {}
        }
        Ok(self.store.groups_mut().get_mut(touch.group))
    }

    /// Writes all that is due.
    ///
    /// # Errors
    /// When a result has no value, or windows stay empty for too long.
    pub fn tell_due(&mut self, sink: &mut impl Sink) -> Result<(), Halt> {
        while self.is_due() {
            self.begins = i64::MIN;
            match self.window {
                Window::Aligned(aligned) => self.tell_window(aligned, sink)?,
                Window::Running { every: Some(every) } => {
                    // A jump over several periods is told once, at the last.
                    let until = after(self.time(), every) - every.get();
                    self.tell_totals(until, until.div_euclid(every.get()), sink)?;
                    self.due = until + every.get();
                }
                Window::Running { every: None } => return Ok(()),
            }
        }
        Ok(())
    }

    /// Writes all that there is, because the input is complete. `now` is the clock, for results
    /// that neither row nor tick gives a time.
    ///
    /// # Errors
    /// As [`Engine::tell_due`].
    pub fn tell_all(&mut self, now: i64, sink: &mut impl Sink) -> Result<(), Halt> {
        match self.window {
            Window::Aligned(aligned) => {
                while self.store.oldest_pane().is_some() {
                    self.tell_window(aligned, sink)?;
                }
                Ok(())
            }
            Window::Running { .. } => {
                let seen = self.event_time.as_ref().map_or(self.now, Watermark::greatest);
                let until = if seen == NOT_YET { now } else { seen };
                self.tell_totals(until, i64::MAX, sink)
            }
        }
    }

    /// Writes the window that is due, and finds the next one.
    fn tell_window(&mut self, aligned: Aligned, sink: &mut impl Sink) -> Result<(), Halt> {
        let end = self.due;
        let panes = aligned.panes_until(end);
        let bounds = [end - aligned.size(), end];
        let results = if aligned.panes() == 1 {
            self.store.take_pane(panes.end).map(|mut taken| {
                taken.sort_unstable_by(|&(one, _), &(other, _)| self.store.order(one, other));
                taken
            })
        } else {
            Some(self.members.window(&mut self.store, &panes).map_err(Halt::Result)?)
        };
        let results = results.unwrap_or_default();
        self.write(&results, &bounds, sink)?;
        for (id, group) in &results {
            self.store.groups_mut().give(*group);
            if self.store.is_bare(*id) {
                self.store.remove(*id);
            }
        }
        self.count_empty(results.is_empty())?;
        if results.is_empty() && self.empty == Empty::Zeros {
            self.write_row(0, &bounds, &[], &self.query.empty(), sink)?;
        }
        sink.told(end);
        let next = end + aligned.step();
        if aligned.panes() > 1 {
            self.members.retire(&mut self.store, aligned.panes_until(next).start);
        }
        self.due = match self.store.oldest_pane() {
            _ if self.empty != Empty::Silent => next,
            Some(pane) => aligned.first_end(aligned.pane_start(pane)).max(next),
            None => i64::MAX,
        };
        Ok(())
    }

    fn count_empty(&mut self, empty: bool) -> Result<(), Halt> {
        self.empty_in_a_row = if empty { self.empty_in_a_row + 1 } else { 0 };
        if self.empty_in_a_row > EMPTY_MAX { Err(Halt::Empty(EMPTY_MAX)) } else { Ok(()) }
    }

    /// Writes the totals of all keys over the panes before `to`.
    fn tell_totals(&mut self, until: i64, to: i64, sink: &mut impl Sink) -> Result<(), Halt> {
        let results = self.totals.until(&mut self.store, to).map_err(Halt::Result)?;
        self.write(&results, &[until], sink)?;
        sink.told(until);
        Ok(())
    }

    /// Writes sorted results, each key once, merged over the partitions.
    fn write(
        &self,
        results: &[(Id, Group)],
        bounds: &[i64],
        sink: &mut impl Sink,
    ) -> Result<(), Halt> {
        let same_key = |&(one, _): &(Id, Group), &(other, _): &(Id, Group)| {
            self.store.entry(one).key == self.store.entry(other).key
        };
        for parts in results.chunk_by(same_key) {
            let (id, group) = parts[0];
            let entry = self.store.entry(id);
            let groups = self.store.groups();
            if parts.len() == 1 {
                self.write_row(entry.partition, bounds, &entry.key, groups.get(group), sink)?;
                continue;
            }
            let mut merged = groups.get(group).to_vec();
            for &(_, group) in &parts[1..] {
                merge(&mut merged, groups.get(group)).map_err(Halt::Result)?;
            }
            self.write_row(entry.partition, bounds, &entry.key, &merged, sink)?;
        }
        Ok(())
    }

    fn write_row(
        &self,
        partition: usize,
        bounds: &[i64],
        key: &[u8],
        aggregates: &[Aggregate],
        sink: &mut impl Sink,
    ) -> Result<(), Halt> {
        let mut row = Vec::with_capacity(bounds.len() + self.query.names.len());
        row.extend(bounds.iter().map(|&bound| Value::Int(bound)));
        key::read(key, self.query.keys.len(), &mut row);
        if self.query.finish(aggregates, &mut row).map_err(Halt::Result)? {
            sink.row(partition, &row);
        }
        Ok(())
    }
}

/// The first multiple of `every` after `time`.
fn after(time: i64, every: NonZeroI64) -> i64 {
    (time.div_euclid(every.get()) + 1) * every.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Texts;

    /// What was told: rows as `start..end key count`, with their partition unless it is 0, and
    /// times until which all was told as `| until`.
    #[derive(Default)]
    struct Told(Vec<String>);

    impl Sink for Told {
        fn row(&mut self, partition: usize, values: &[Value<'_>]) {
            let shown = |value: &Value<'_>| {
                String::from_utf8_lossy(&value.bytes().unwrap_or_default()).into_owned()
            };
            let values: Vec<String> = values.iter().map(shown).collect();
            let at = if partition == 0 { String::new() } else { format!(" at {partition}") };
            self.0.push(values.join(" ") + &at);
        }

        fn told(&mut self, until: i64) {
            self.0.push(format!("| {until}"));
        }
    }

    fn aligned(size: i64, step: i64) -> Window {
        Window::Aligned(Aligned::hopping(size, step).expect("lengths"))
    }

    fn running(every: i64) -> Window {
        Window::Running { every: NonZeroI64::new(every) }
    }

    /// An engine that counts rows of each key, or of all when results without rows are told.
    fn engine(window: Window, empty: Empty, delay_ms: Option<i64>) -> Engine {
        let by = (empty == Empty::Silent).then_some("k");
        let query = Query::parse(&Texts { by, ..Texts::default() }).expect("a query");
        Engine::new(window, query, empty, delay_ms, 100)
    }

    /// Feeds a row as the stage does; returns whether it counts.
    fn feed(
        engine: &mut Engine,
        partition: usize,
        key: &str,
        time: i64,
        told: &mut Told,
    ) -> Verdict {
        if engine.see(partition, time) {
            engine.tell_due(told).expect("results");
        }
        let verdict = engine.judge(time);
        if verdict == Verdict::Open {
            let columns = engine.query().keys.len();
            let mut bytes = Vec::new();
            if columns > 0 {
                key::push_text(key.as_bytes(), columns, &mut bytes);
            }
            engine.aggregates(partition, Key::new(&bytes), time).expect("room")[0].count();
        }
        verdict
    }

    /// Feeds rows `key` at `time` of partition 0 and ends the input.
    fn all(mut engine: Engine, rows: &[(&str, i64)]) -> Vec<String> {
        let mut told = Told::default();
        for &(key, time) in rows {
            feed(&mut engine, 0, key, time, &mut told);
        }
        engine.tell_all(0, &mut told).expect("results");
        told.0
    }

    #[test]
    fn a_window_is_told_when_time_reaches_its_end() {
        //   0    a b    10   a   20
        //   |--- a b ---|--- a ---|
        let rows = [("b", 3), ("a", 9), ("a", 10), ("b", 25)];
        let told = all(engine(aligned(10, 10), Empty::Silent, Some(0)), &rows);
        assert_eq!(
            told,
            ["0 10 a 1", "0 10 b 1", "| 10", "10 20 a 1", "| 20", "20 30 b 1", "| 30"]
        );
    }

    #[test]
    fn a_row_counts_in_its_windows_that_are_open_and_is_late_when_none_is() {
        //  -10   0    10    20    30
        //   |-----a----|              told at 10, by the row at 12
        //         |---a--b--c|        b counts here, told at 21
        //              |----c---d|
        let mut engine = engine(aligned(20, 10), Empty::Silent, Some(0));
        let mut told = Told::default();
        for (time, verdict) in [
            (5, Verdict::Open),
            (12, Verdict::Open),
            (8, Verdict::Open),
            (21, Verdict::Open),
            (9, Verdict::Late(12)),
            (10, Verdict::Open),
        ] {
            assert_eq!(feed(&mut engine, 0, "k", time, &mut told), verdict, "{time}");
        }
        engine.tell_all(0, &mut told).expect("results");
        let rows =
            ["-10 10 k 1", "| 10", "0 20 k 3", "| 20", "10 30 k 3", "| 30", "20 40 k 1", "| 40"];
        assert_eq!(told.0, rows);
    }

    #[test]
    fn rows_between_windows_are_outside() {
        //   0   5    12  17
        //   |-a-|  x  |-b-|
        let mut engine = engine(aligned(5, 12), Empty::Silent, Some(0));
        let mut told = Told::default();
        assert_eq!(feed(&mut engine, 0, "a", 4, &mut told), Verdict::Open);
        assert_eq!(feed(&mut engine, 0, "x", 5, &mut told), Verdict::Outside);
        assert_eq!(feed(&mut engine, 0, "b", 12, &mut told), Verdict::Open);
        engine.tell_all(0, &mut told).expect("results");
        assert_eq!(told.0, ["0 5 a 1", "| 5", "12 17 b 1", "| 17"]);
    }

    #[test]
    fn a_key_is_told_once_for_all_its_partitions_under_the_lowest() {
        let mut engine = engine(aligned(10, 10), Empty::Silent, Some(0));
        engine.assign(3);
        let mut told = Told::default();
        for (partition, key, time) in [(2, "a", 100), (2, "b", 3), (1, "b", 4), (1, "a", 5)] {
            assert_eq!(feed(&mut engine, partition, key, time, &mut told), Verdict::Open);
        }
        // Partition 0 has said nothing yet, so nothing is known to be complete.
        assert_eq!((told.0.len(), engine.closed_until()), (0, None));
        assert_eq!(feed(&mut engine, 0, "a", 15, &mut told), Verdict::Open);
        engine.set_idle(1, true);
        engine.tell_due(&mut told).expect("results");
        assert_eq!(told.0, ["0 10 a 1 at 1", "0 10 b 2 at 1", "| 10"]);
        assert_eq!(engine.closed_until(), Some(10));
    }

    #[test]
    fn empty_windows_are_told_from_the_least_time_on_that_was_seen() {
        let mut engine = engine(aligned(10, 10), Empty::Zeros, Some(0));
        engine.assign(2);
        let mut told = Told::default();
        // The row at 25 does not pass a condition: it is seen and not counted.
        assert!(!engine.see(0, 42));
        assert!(!engine.see(1, 25));
        feed(&mut engine, 1, "", 38, &mut told);
        assert_eq!(told.0, ["20 30 0", "| 30"]);
        feed(&mut engine, 1, "", 61, &mut told);
        engine.tell_all(0, &mut told).expect("results");
        let rest =
            ["30 40 1 at 1", "| 40", "40 50 0", "| 50", "50 60 0", "| 60", "60 70 1 at 1", "| 70"];
        assert_eq!(told.0[2..], rest);
    }

    #[test]
    fn too_many_empty_windows_are_the_end() {
        for (windows, fits) in [(100_000, true), (100_001, false)] {
            let mut engine = engine(aligned(1, 1), Empty::Zeros, Some(0));
            let mut told = Told::default();
            feed(&mut engine, 0, "", 0, &mut told);
            engine.see(0, windows + 1);
            assert_eq!(engine.tell_due(&mut told).is_ok(), fits, "{windows}");
        }
    }

    #[test]
    fn without_event_time_windows_close_by_ticks_with_rows_or_without() {
        let mut engine = engine(aligned(30, 10), Empty::Told, None);
        let mut told = Told::default();
        engine.tick(1_000);
        engine.aggregates(0, Key::new(b""), 1_000).expect("room")[0].count();
        engine.tick(1_009);
        engine.tell_due(&mut told).expect("results");
        assert_eq!((told.0.len(), engine.due()), (0, Some(1_010)));
        engine.tick(1_045);
        engine.tell_due(&mut told).expect("results");
        let rows =
            ["980 1010 1", "| 1010", "990 1020 1", "| 1020", "1000 1030 1", "| 1030", "| 1040"];
        assert_eq!(told.0, rows);
    }

    #[test]
    fn totals_are_told_at_multiples_over_the_rows_before() {
        // The watermark is 5 behind: 7, 7, 12, 36.
        let rows = [("a", 12), ("b", 8), ("a", 17), ("a", 41)];
        let told = all(engine(running(10), Empty::Silent, Some(5)), &rows);
        let first = ["10 b 1", "| 10"];
        // A jump over two multiples is told at the last.
        let jump = ["30 a 2", "30 b 1", "| 30"];
        let end = ["41 a 3", "41 b 1", "| 41"];
        assert_eq!(told, [&first[..], &jump, &end].concat());
    }

    #[test]
    fn a_new_assignment_forgets_all_rows() {
        for window in [aligned(20, 10), aligned(10, 10), running(10)] {
            let mut engine = engine(window, Empty::Silent, Some(0));
            let mut told = Told::default();
            feed(&mut engine, 0, "old", 25, &mut told);
            engine.tick(1_000_000);
            engine.assign(0);
            assert_eq!(feed(&mut engine, 0, "new", 15, &mut told), Verdict::Open);
            feed(&mut engine, 0, "new", 30, &mut told);
            assert!(told.0.iter().any(|row| row.contains("new")), "{window:?}: {:?}", told.0);
            engine.tell_all(0, &mut told).expect("results");
            assert!(told.0.iter().all(|row| !row.contains("old")), "{window:?}: {:?}", told.0);
        }
    }

    #[test]
    fn times_at_the_ends_of_the_range_are_times_like_any_other() {
        for window in
            [aligned(TIME_MS_MAX, TIME_MS_MAX), aligned(7, TIME_MS_MAX), aligned(3, 3), running(9)]
        {
            for delay_ms in [0, i64::MAX] {
                let mut engine = engine(window, Empty::Silent, Some(delay_ms));
                let mut told = Told::default();
                for time in [0, -TIME_MS_MAX, TIME_MS_MAX] {
                    feed(&mut engine, 0, "k", time, &mut told);
                }
                engine.see_everywhere(i64::MAX);
                engine.tell_due(&mut told).expect("results");
            }
        }
        let mut engine = engine(aligned(10, 10), Empty::Zeros, None);
        engine.tick(i64::MAX);
        assert_eq!(engine.arrival(), Some(TIME_MS_MAX));
    }
}
