//! The window engine: rows and time go in, results come out.
//!
//! A value without clock, input or output. Rows are counted per key *and* input partition, and
//! merged over the partitions when a result is written, so that what a partition holds can move
//! to another copy of the pipeline.

use std::num::NonZeroI64;

use row::key::Key;

use crate::aggregate::{Aggregate, Stamp};
use crate::batch::{Row, Times};
use crate::blocks::Blocks;
use crate::changes::Slot;
use crate::query::Query;
use crate::range::Ranges;
use crate::results::{Halt, Results, Sink, Telling};
use crate::running::{Cumulating, Running};
use crate::session::Sessions;
use crate::sliding::{Empty, Sliding};
use crate::state::Unfit;
use crate::store::{Group, Id, Limits, Store};
use crate::timeline::{Pace, Timeline};
use crate::watermark::{NOT_YET, Watermark};
use crate::window::{Place, Window, multiple_after, multiple_by};

/// What the engine does.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kind of window.
    pub window: Window,
    /// Results are written at each multiple of this many milliseconds: of windows early ones.
    pub every: Option<NonZeroI64>,
    /// Totals since the beginning forget a key so many milliseconds after its last row.
    pub ttl_ms: Option<i64>,
    /// Only totals that changed are written.
    pub changes: bool,
    /// A key that passed is written again only after it did not.
    pub once: bool,
    /// Windows are aligned to the first time seen.
    pub align_start: bool,
    /// What is told of windows without rows.
    pub empty: Empty,
    /// How time goes on.
    pub pace: Pace,
    /// What may be held.
    pub limits: Limits,
}

/// Why a row does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its windows are closed; it is so many milliseconds behind the watermark.
    Late(i64),
    /// It stands in a gap between windows.
    Outside,
    /// The engine cannot go on.
    Halt(Halt),
}

impl From<Halt> for Refusal {
    fn from(halt: Halt) -> Refusal {
        Refusal::Halt(halt)
    }
}

/// What is open for each kind of window.
#[derive(Debug)]
pub(crate) enum Kind {
    Sliding(Sliding),
    Cumulating(Cumulating),
    Running(Running),
    Sessions(Sessions),
    Ranges(Ranges),
    Blocks(Blocks),
}

impl Kind {
    fn new(settings: &Settings) -> Kind {
        let early = settings.every.is_some();
        match &settings.window {
            Window::Aligned(aligned) => Kind::Sliding(Sliding::new(
                aligned.clone(),
                early,
                settings.align_start,
                settings.empty,
            )),
            Window::Cumulate(cumulate) => Kind::Cumulating(Cumulating::new(cumulate.clone())),
            Window::Session(gap) => Kind::Sessions(Sessions::new(*gap, early)),
            Window::Range(width) => Kind::Ranges(Ranges::new(*width, settings.once)),
            Window::Rows(rows) => Kind::Blocks(Blocks::new(*rows)),
            Window::Running => {
                Kind::Running(Running::new(settings.every, settings.ttl_ms, settings.changes))
            }
        }
    }

    fn due(&self) -> i64 {
        match self {
            Kind::Sliding(sliding) => sliding.due(),
            Kind::Cumulating(cumulating) => cumulating.due(),
            Kind::Running(running) => running.due(),
            Kind::Sessions(sessions) => sessions.due(),
            Kind::Ranges(ranges) => ranges.due(),
            Kind::Blocks(_) => i64::MAX,
        }
    }
}

/// A place that no time is in.
const NOWHERE: Place = Place { from: 1, to: 0, open_until: None };

/// Aggregates of keyed rows over windows.
#[derive(Debug)]
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) results: Results,
    pub(crate) store: Store,
    pub(crate) timeline: Timeline,
    pub(crate) kind: Kind,
    pub(crate) partitions: usize,
    /// The next time that something is written; [`i64::MAX`] when nothing is due.
    due: i64,
    /// The next time of early results.
    pub(crate) next_early: i64,
    place: Place,
    /// Whether the windows look at the time of every row, also of one that does not count.
    watches: bool,
    /// Whether a pane is found by the time of a row alone.
    finds_by_time: bool,
}

impl Engine {
    /// An engine for `query`, with one partition.
    #[must_use]
    pub fn new(settings: Settings, query: Query) -> Engine {
        let query = match settings.window {
            Window::Session(_) | Window::Range(_) | Window::Rows(_) => query.with_extent(),
            Window::Running if settings.ttl_ms.is_some() => query.with_extent(),
            _ => query,
        };
        Engine {
            store: Store::new(query.empty(), settings.limits),
            results: Results::new(query),
            timeline: Timeline::new(settings.pace),
            finds_by_time: matches!(
                settings.window,
                Window::Aligned(_) | Window::Cumulate(_) | Window::Running
            ),
            kind: Kind::new(&settings),
            partitions: 1,
            due: i64::MAX,
            next_early: i64::MAX,
            place: NOWHERE,
            watches: settings.align_start
                || settings.empty != Empty::Silent
                || matches!(settings.window, Window::Running),
            settings,
        }
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Query {
        self.results.query()
    }

    /// The time that rows and results go by.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Whether rows have event times.
    #[must_use]
    pub fn has_event_time(&self) -> bool {
        self.settings.pace.delay_ms.is_some()
    }

    /// The period of results that are written at each multiple of it.
    #[must_use]
    pub fn every(&self) -> Option<i64> {
        self.settings.every.map(NonZeroI64::get)
    }

    /// How many keys are kept, each counted in every input partition that has it.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.store.keys()
    }

    /// The watermark of event time; `None` before the first row.
    #[must_use]
    pub fn watermark(&self) -> Option<i64> {
        let watermark = self.timeline.watermark().map(Watermark::get);
        watermark.filter(|&watermark| watermark != NOT_YET)
    }

    /// The greatest time for which all rows of windows that end by it have been written; `None`
    /// before the first.
    #[must_use]
    pub fn closed_until(&self) -> Option<i64> {
        self.closed_by(self.timeline.now())
    }

    /// The same for another time than now.
    fn closed_by(&self, now: i64) -> Option<i64> {
        if now == NOT_YET {
            return None;
        }
        match &self.kind {
            Kind::Sliding(sliding) => sliding.window().map(|window| window.end_by(now)),
            Kind::Cumulating(cumulating) => Some(cumulating.window().end_by(now)),
            Kind::Running(_) => self.settings.every.map(|every| multiple_by(now, every)),
            // What comes at this very time may be part of a result of this time.
            Kind::Sessions(_) | Kind::Ranges(_) | Kind::Blocks(_) => Some(now - 1),
        }
    }

    /// When something is due by the clock alone, in milliseconds; `None` when nothing is.
    #[must_use]
    pub fn due(&self) -> Option<i64> {
        if self.due == i64::MAX { None } else { self.timeline.when(self.due) }
    }

    /// Whether something is due now.
    #[inline]
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.timeline.now() >= self.due
    }

    fn find_due(&mut self) {
        self.due = self.kind.due().min(self.next_early);
    }

    /// Forgets all rows and begins with `partitions` partitions.
    pub fn assign(&mut self, partitions: usize) {
        self.clear();
        self.partitions = partitions.max(1);
        self.timeline.assign(partitions);
        if !self.has_event_time() {
            self.begin_telling(self.timeline.clock());
        }
    }

    /// A marked stream begins: forgets all rows, and the time that the clock said. A silence of
    /// `idle_ms` moves time unless the caller said another.
    pub fn listen_to_marks(&mut self, idle_ms: i64) {
        self.clear();
        self.timeline.listen_to_marks(idle_ms);
    }

    fn clear(&mut self) {
        self.store.clear();
        self.results.clear();
        self.kind = Kind::new(&self.settings);
        self.due = i64::MAX;
        self.next_early = i64::MAX;
        self.place = NOWHERE;
    }

    /// Makes room for a partition that no assignment named.
    pub fn add_partition(&mut self) {
        self.partitions += 1;
        self.timeline.add_partition();
    }

    /// Leaves a partition out of the watermark, or takes it in again.
    pub fn set_idle(&mut self, partition: usize, idle: bool) {
        self.timeline.set_idle(partition, idle);
    }

    /// The clock or a tick says that it is `ms`; it never goes back.
    pub fn tick(&mut self, ms: i64) {
        self.timeline.tick(ms);
        if !self.has_event_time() {
            self.begin_telling(self.timeline.clock());
        }
    }

    /// The store, to look at keys of rows to come.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Remembers from now on what changes, for its state.
    pub fn track_changes(&mut self) {
        self.store.track_changes();
    }

    /// Sees the row of `partition` in `line` at `time`; returns whether something is due.
    #[inline]
    pub fn see(&mut self, partition: usize, time: i64, line: u64) -> bool {
        self.timeline.see(partition, time, line);
        // A row that does not count moves time too, and what is told without rows.
        if self.watches && self.has_event_time() {
            self.begin_telling(time);
        }
        self.is_due()
    }

    /// A row came that has no time: the input is not silent.
    pub fn hear(&mut self) {
        self.timeline.hear();
    }

    /// Sees a row at `time` in every partition.
    pub fn see_everywhere(&mut self, time: i64) {
        if self.has_event_time() {
            self.timeline.see_everywhere(time);
            self.begin_telling(time);
        }
    }

    #[inline]
    fn begin_telling(&mut self, time: i64) {
        if time == NOT_YET {
            return;
        }
        let now = self.timeline.now();
        match &mut self.kind {
            Kind::Sliding(sliding) => {
                if sliding.see(time, now) {
                    self.place = NOWHERE;
                }
                self.due = self.due.min(sliding.due());
            }
            Kind::Running(running) => {
                running.see(time, now);
                self.due = self.due.min(running.due());
            }
            _ => {}
        }
    }

    /// Where `time` is. Nearly all rows are where the one before was.
    #[inline]
    fn place(&mut self, time: i64) -> Place {
        if time < self.place.from || time > self.place.to {
            self.find_place(time);
        }
        self.place
    }

    #[cold]
    fn find_place(&mut self, time: i64) {
        self.place = match &self.kind {
            Kind::Sliding(sliding) => {
                let window = sliding.window().cloned().map(Window::Aligned);
                window.map_or(self.place, |window| window.place(time, self.settings.every))
            }
            _ => self.settings.window.place(time, self.settings.every),
        };
    }

    /// Whether a row of `partition` with `key` at `time` counts. Nothing may be due.
    ///
    /// # Errors
    /// When it does not.
    #[inline]
    pub fn judge(&mut self, partition: usize, key: Key<'_>, time: i64) -> Result<(), Refusal> {
        let now = self.now_in(partition);
        let is_late = match &self.kind {
            Kind::Sliding(_) | Kind::Cumulating(_) => match self.place(time).open_until {
                Some(open_until) => open_until <= now,
                None => return Err(Refusal::Outside),
            },
            Kind::Running(_) => {
                time < now && self.settings.every.is_some() && self.has_event_time()
            }
            Kind::Sessions(sessions) => sessions.is_late(key, (time, now), &self.store),
            Kind::Ranges(_) => time < now,
            Kind::Blocks(_) => false,
        };
        if is_late { Err(Refusal::Late(now.saturating_sub(time))) } else { Ok(()) }
    }

    /// The time until which all rows of a partition are there: what was written before it came
    /// here is closed for it.
    #[inline]
    fn now_in(&self, partition: usize) -> i64 {
        self.timeline.now().max(self.results.told(partition))
    }

    /// Finds the keys of rows to come, if there are so many that a row waits for memory.
    pub fn find_near(&self, partition: usize, rows: &mut [Row<'_>]) {
        if self.finds_by_time && self.store.is_large() {
            self.store.find_near(partition, rows);
        }
    }

    /// Sees several rows of `partition` at once, if they are all in the pane of the row before,
    /// all count, and nothing is due or begins to be meanwhile; else it sees none. Returns
    /// whether it has seen them.
    pub fn see_calmly(&mut self, partition: usize, times: Times) -> bool {
        if !self.finds_by_time
            || self.watches
            || times.least < self.place.from
            || times.greatest > self.place.to
        {
            return false;
        }
        let Some(now) = self.timeline.foresee(partition, times) else { return false };
        let told = self.results.told(partition);
        let count = self.place.open_until.is_some_and(|until| until > now.max(told));
        if !count || now >= self.due || !self.is_between_borders(now) {
            return false;
        }
        self.timeline.see(partition, times.greatest, 0);
        true
    }

    /// Whether nothing that could be told ends from now until the time `then`.
    fn is_between_borders(&self, then: i64) -> bool {
        let now = self.timeline.now();
        let early = |time: i64| self.settings.every.map(|every| multiple_by(time, every));
        self.closed_by(now) == self.closed_by(then) && early(now) == early(then)
    }

    /// Opens the aggregates that a row of `partition` with `key` at `time` is added to, and says
    /// where the row stands among those of the same time. The row has passed [`Engine::judge`];
    /// the number that its key had a while ago helps to find it.
    ///
    /// # Errors
    /// When a limit is reached.
    #[inline]
    pub fn open(
        &mut self,
        partition: usize,
        key: (Key<'_>, Option<Id>),
        time: i64,
    ) -> Result<(Group, Stamp), Halt> {
        self.place(time);
        self.open_here(partition, key, time)
    }

    /// [`Engine::open`] of a row that is in the pane of the row before, as those are that
    /// [`Engine::see_calmly`] saw.
    ///
    /// # Errors
    /// When a limit is reached.
    #[inline]
    pub fn open_here(
        &mut self,
        partition: usize,
        key: (Key<'_>, Option<Id>),
        time: i64,
    ) -> Result<(Group, Stamp), Halt> {
        let stamp = Stamp { time, arrival: self.timeline.next_arrival() };
        let group = match self.find_open(partition, key) {
            Ok(group) => group,
            Err(id) => self.open_new(partition, (key.0, id), stamp)?,
        };
        Ok((group, stamp))
    }

    /// The aggregates of a key in the pane of the row, when it had rows there lately, as nearly
    /// all have.
    ///
    /// # Errors
    /// When it had none; holds the number of the key, if that was found.
    #[inline]
    fn find_open(
        &mut self,
        partition: usize,
        key: (Key<'_>, Option<Id>),
    ) -> Result<Group, Option<Id>> {
        if !self.finds_by_time {
            return Err(None);
        }
        let (id, group) = self.store.touch_newest(partition, key, self.place.from)?;
        if let Kind::Sliding(sliding) = &mut self.kind {
            sliding.changed((id, group), self.place, self.store.groups_mut());
        }
        Ok(group)
    }

    /// [`Engine::open`] of what may be new.
    #[inline(never)]
    fn open_new(
        &mut self,
        partition: usize,
        (key, id): (Key<'_>, Option<Id>),
        stamp: Stamp,
    ) -> Result<Group, Halt> {
        let (time, now, place) = (stamp.time, self.now_in(partition), self.place);
        let store = &mut self.store;
        Ok(match &mut self.kind {
            Kind::Sliding(sliding) => {
                let touch = store.touch(partition, (key, id), place.from)?;
                if sliding.touched(touch, place, (time, now), store.groups_mut()) {
                    self.find_due();
                }
                if touch.new_pane {
                    self.next_early(time, now);
                }
                touch.group
            }
            Kind::Cumulating(cumulating) => {
                let touch = store.touch(partition, (key, id), place.from)?;
                if touch.new_pane {
                    cumulating.touched(time, now);
                    self.find_due();
                }
                touch.group
            }
            Kind::Running(_) => store.touch(partition, (key, id), place.from)?.group,
            Kind::Sessions(sessions) => {
                let group = sessions.touch(partition, key, time, store)?;
                self.due = self.due.min(sessions.due());
                self.next_early(time, now);
                group
            }
            Kind::Ranges(ranges) => {
                // What one partition has told is nothing to the rows of the others.
                let now = self.timeline.now();
                let group = ranges.touch(partition, key, (stamp, now), store)?;
                self.due = self.due.min(ranges.due());
                group
            }
            Kind::Blocks(blocks) => blocks.touch(partition, key, store)?,
        })
    }

    /// A row at `time` is in the next early results.
    #[inline]
    fn next_early(&mut self, time: i64, now: i64) {
        if let (Some(every), Kind::Sliding(_) | Kind::Sessions(_)) =
            (self.settings.every, &self.kind)
        {
            let next = multiple_after(time.max(now), every);
            if next < self.next_early {
                self.next_early = next;
                self.due = self.due.min(next);
            }
        }
    }

    /// The aggregates of a group.
    #[inline]
    pub fn aggregates(&mut self, group: Group) -> &mut [Aggregate] {
        self.store.groups_mut().get_mut(group)
    }

    /// The row for which a group was opened was added, and the group grew by so many bytes.
    ///
    /// # Errors
    /// When the row is in no window, a result has no value or a limit is reached.
    #[inline]
    pub fn added(&mut self, grown: isize, sink: &mut impl Sink) -> Result<(), Refusal> {
        self.grow(grown)?;
        match &self.kind {
            Kind::Ranges(_) | Kind::Blocks(_) => self.look(sink),
            _ => Ok(()),
        }
    }

    /// Aggregates of windows that are told by time grew by so many bytes.
    ///
    /// # Errors
    /// When a limit is reached.
    #[inline]
    pub fn grow(&mut self, bytes: isize) -> Result<(), Halt> {
        Ok(self.store.grow(bytes)?)
    }

    fn look(&mut self, sink: &mut impl Sink) -> Result<(), Refusal> {
        let tell = &mut Telling { store: &mut self.store, results: &self.results, sink };
        match &mut self.kind {
            Kind::Ranges(ranges) => Ok(ranges.added(tell)?),
            Kind::Blocks(blocks) => {
                if blocks.added(tell)? {
                    Ok(())
                } else {
                    Err(Refusal::Outside)
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether time alone brings results that leave no other trace.
    pub(crate) fn tells_by_time(&self) -> bool {
        self.finds_by_time
    }

    /// Writes all that is due.
    ///
    /// # Errors
    /// When a result has no value, or windows stay empty for too long.
    pub fn tell_due(&mut self, sink: &mut impl Sink) -> Result<(), Halt> {
        while self.is_due() {
            let now = self.timeline.now();
            if let Some(every) = self.settings.every
                && self.next_early <= now
            {
                // A jump over several periods is told once, at the last.
                let at = multiple_by(now, every);
                self.close(at, sink)?;
                self.tell_early(at, sink)?;
                let more = self.store.keys() > 0;
                self.next_early = if more { at + every.get() } else { i64::MAX };
            }
            self.close(now, sink)?;
            self.find_due();
        }
        Ok(())
    }

    /// Writes what is due by `time`.
    fn close(&mut self, time: i64, sink: &mut impl Sink) -> Result<(), Halt> {
        let tell = &mut Telling { store: &mut self.store, results: &self.results, sink };
        match &mut self.kind {
            Kind::Sliding(sliding) => sliding.close(time, tell),
            Kind::Cumulating(cumulating) => cumulating.close(time, tell),
            Kind::Running(running) => running.close(time, tell),
            Kind::Sessions(sessions) => sessions.close(time, tell),
            Kind::Ranges(ranges) => ranges.close(time, tell),
            Kind::Blocks(_) => Ok(()),
        }
    }

    fn tell_early(&mut self, time: i64, sink: &mut impl Sink) -> Result<(), Halt> {
        let tell = &mut Telling { store: &mut self.store, results: &self.results, sink };
        match &mut self.kind {
            Kind::Sliding(sliding) => sliding.early(time, tell),
            Kind::Sessions(sessions) => sessions.early(time, tell),
            _ => Ok(()),
        }
    }

    /// Writes all that there is, because the input is complete. `now` is the clock, for results
    /// that neither row nor tick gives a time.
    ///
    /// # Errors
    /// As [`Engine::tell_due`].
    pub fn tell_all(&mut self, now: i64, sink: &mut impl Sink) -> Result<(), Halt> {
        let greatest = self.timeline.greatest();
        let until = if greatest == NOT_YET { now } else { greatest.max(self.timeline.now()) };
        let tell = &mut Telling { store: &mut self.store, results: &self.results, sink };
        match &mut self.kind {
            Kind::Sliding(sliding) => sliding.close_all(tell)?,
            Kind::Cumulating(cumulating) => cumulating.close_all(tell)?,
            Kind::Running(running) => running.close_all(until, tell)?,
            Kind::Sessions(sessions) => sessions.close_all(tell)?,
            Kind::Ranges(ranges) => ranges.close(i64::MAX, tell)?,
            Kind::Blocks(blocks) => blocks.close_all(tell)?,
        }
        self.find_due();
        Ok(())
    }

    /// Puts aggregates where a snapshot had them.
    pub(crate) fn load(
        &mut self,
        (partition, key): (usize, Key<'_>),
        slot: Slot,
        flag: bool,
        aggregates: Option<Vec<Aggregate>>,
    ) -> Result<(), Unfit> {
        // Windows over time find their panes by time, the others by key.
        let timed = self.finds_by_time;
        let restored = self.store.restore((partition, key), slot, (flag, timed), aggregates);
        let (id, group) = restored.map_err(|full| Unfit::Full(full.to_string()))?;
        match (&mut self.kind, slot, group) {
            (Kind::Running(running), Slot::Rest, Some(_)) => running.restored(id),
            (Kind::Cumulating(cumulating), Slot::Rest, Some(_)) => cumulating.restored(id),
            (Kind::Sessions(sessions), Slot::Pane(first), Some(group)) => {
                sessions.restored(id, first, group, &self.store);
            }
            (Kind::Ranges(ranges), Slot::Pane(pane), Some(group)) => {
                ranges.restored(id, pane, group, &mut self.store);
            }
            (Kind::Ranges(ranges), Slot::Rest, _) => ranges.restored_flag(id),
            (Kind::Blocks(blocks), ..) => blocks.restored(id),
            _ => {}
        }
        Ok(())
    }

    /// A snapshot was loaded, with what was due that no row brings, and the least time seen
    /// unless that was written already: finds what is due.
    pub(crate) fn restored(&mut self, due: Option<(i64, i64)>) {
        let oldest = self.store.oldest_pane();
        // Windows that were written for all partitions are over, whatever the time is now.
        let told = (0..self.partitions).map(|partition| self.results.told(partition)).min();
        let told = told.unwrap_or(NOT_YET);
        match &mut self.kind {
            Kind::Sliding(sliding) if sliding.window().is_some() => {
                sliding.restored(oldest, told, due);
            }
            Kind::Cumulating(cumulating) => {
                cumulating.restored_due(oldest, told, due.map(|(due, _)| due));
            }
            Kind::Running(running) => {
                if let Some(due) = due {
                    running.restored_due(due);
                }
            }
            _ => {}
        }
        // Windows may have been aligned anew.
        self.place = NOWHERE;
        self.find_due();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Texts;
    use crate::state::State;
    use crate::window::Aligned;
    use row::key;
    use row::time::TIME_MS_MAX;
    use row::value::Value;
    use serde_json::{Value as Json, json};

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
        let length = |ms: i64| format!("{ms}ms").parse().expect("a length");
        let utc = jiff::tz::TimeZone::UTC;
        Window::Aligned(Aligned::new(length(size), length(step), &utc).expect("windows"))
    }

    /// An engine that counts rows of each key, or of all when results without rows are told.
    fn engine(window: Window, empty: Empty, delay_ms: Option<i64>) -> Engine {
        let by = (empty == Empty::Silent).then_some("k");
        let query = Query::parse(&Texts { by, ..Texts::default() }).expect("a query");
        let settings = Settings {
            every: (window == Window::Running).then(|| NonZeroI64::new(10).expect("not zero")),
            window,
            ttl_ms: None,
            changes: false,
            once: false,
            align_start: false,
            empty,
            pace: Pace { delay_ms, ..Pace::default() },
            limits: Limits { keys: 100, bytes: 1 << 20 },
        };
        Engine::new(settings, query)
    }

    /// Feeds a row as the stage does; returns whether it counts.
    fn feed(
        engine: &mut Engine,
        partition: usize,
        key: &str,
        time: i64,
        told: &mut Told,
    ) -> Result<(), Refusal> {
        if engine.see(partition, time, 1) {
            engine.tell_due(told).expect("results");
        }
        let columns = engine.query().keys.len();
        let mut bytes = Vec::new();
        if columns > 0 {
            key::push_text(key.as_bytes(), columns, &mut bytes);
        }
        engine.judge(partition, Key::new(&bytes), time)?;
        let (group, stamp) = engine.open(partition, (Key::new(&bytes), None), time).expect("room");
        for aggregate in engine.aggregates(group) {
            aggregate.count();
            aggregate.extend(stamp.time);
        }
        engine.added(0, told)
    }

    /// Feeds rows `key` at `time` of partition 0 and ends the input.
    fn all(mut engine: Engine, rows: &[(&str, i64)]) -> Vec<String> {
        let mut told = Told::default();
        for &(key, time) in rows {
            feed(&mut engine, 0, key, time, &mut told).expect("it counts");
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
            (5, Ok(())),
            (12, Ok(())),
            (8, Ok(())),
            (21, Ok(())),
            (9, Err(Refusal::Late(12))),
            (10, Ok(())),
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
        assert_eq!(feed(&mut engine, 0, "a", 4, &mut told), Ok(()));
        assert_eq!(feed(&mut engine, 0, "x", 5, &mut told), Err(Refusal::Outside));
        assert_eq!(feed(&mut engine, 0, "b", 12, &mut told), Ok(()));
        engine.tell_all(0, &mut told).expect("results");
        assert_eq!(told.0, ["0 5 a 1", "| 5", "12 17 b 1", "| 17"]);
    }

    #[test]
    fn a_key_is_told_once_for_all_its_partitions_under_the_lowest() {
        let mut engine = engine(aligned(10, 10), Empty::Silent, Some(0));
        engine.assign(3);
        let mut told = Told::default();
        for (partition, key, time) in [(2, "a", 100), (2, "b", 3), (1, "b", 4), (1, "a", 5)] {
            assert_eq!(feed(&mut engine, partition, key, time, &mut told), Ok(()));
        }
        // Partition 0 has said nothing yet, so nothing is known to be complete.
        assert_eq!((told.0.len(), engine.closed_until()), (0, None));
        assert_eq!(feed(&mut engine, 0, "a", 15, &mut told), Ok(()));
        engine.set_idle(1, true);
        engine.tell_due(&mut told).expect("results");
        assert_eq!(told.0, ["0 10 a 1 at 1", "0 10 b 2 at 1", "| 10"]);
        assert_eq!(engine.closed_until(), Some(10));
    }

    #[test]
    fn a_session_over_partitions_has_as_many_parts_as_there_are() {
        // 1:  0     20     40     ...
        // 0:     10     30     50 ...      each joins two of the other partition
        let count = 2_000;
        let mut engine = engine(Window::Session(10), Empty::Silent, Some(i64::MAX));
        engine.assign(2);
        let mut told = Told::default();
        for at in (0..count).chain((0..count).map(|at| at + 2 * count)) {
            for partition in [1, 0] {
                let time = at * 20 + if partition == 0 { 10 } else { 0 };
                feed(&mut engine, partition, "k", time, &mut told).expect("it counts");
            }
        }
        engine.tell_all(0, &mut told).expect("results");
        let from = 2 * count * 20;
        let rows = [(0, count * 20), (from, from + count * 20)];
        let rows =
            rows.map(|(start, end)| [format!("{start} {end} k {}", 2 * count), format!("| {end}")]);
        assert_eq!(told.0, rows.as_flattened());
    }

    #[test]
    fn a_session_that_is_known_by_a_part_of_it_may_lose_this_part() {
        // 0:  0          16 20
        // 1:     8                24       together one, until the row at 12 makes one part of 0
        let mut engine = engine(Window::Session(10), Empty::Silent, Some(11));
        engine.assign(2);
        let mut told = Told::default();
        for (partition, time) in [(0, 0), (0, 16), (1, 8), (0, 20), (1, 24), (0, 31), (0, 12)] {
            let fed = feed(&mut engine, partition, "k", time, &mut told);
            assert_eq!((fed, told.0.len()), (Ok(()), 0), "{time}");
            engine.tell_due(&mut told).expect("results");
        }
        engine.see_everywhere(1_000);
        engine.tell_due(&mut told).expect("results");
        assert_eq!(told.0, ["0 41 k 7", "| 988"]);
    }

    /// An entry of the state: its partition, key and value; none when it is gone.
    type Entry = (usize, Json, Option<Json>);

    /// What changed, the headers first as a head restores them.
    fn stored(engine: &mut Engine) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut take = |partition, key, value| entries.push((partition, key, value));
        State::new(Json::Null).store(engine, &mut take);
        entries.sort_by_key(|(_, key, _)| !key.is_null());
        entries
    }

    fn restore(engine: &mut Engine, partitions: usize, entries: &[Entry]) {
        engine.track_changes();
        engine.assign(partitions);
        let mut state = State::new(Json::Null);
        for (partition, key, value) in entries {
            let value = value.as_ref().expect("nothing is gone");
            state.load(engine, *partition, key, value).expect("it fits");
        }
        state.loaded(engine);
    }

    #[test]
    fn a_restored_key_of_a_range_that_is_forgotten_leaves_no_entry() {
        let mut first = engine(Window::Range(10), Empty::Silent, Some(0));
        first.track_changes();
        let mut told = Told::default();
        for time in [0, 3, 5] {
            feed(&mut first, 0, "k", time, &mut told).expect("it counts");
        }
        let mut entries = stored(&mut first);
        // One of which nothing is left but that it was said.
        entries.push((0, json!([["said"], null]), Some(json!({ "flag": true }))));
        let mut second = engine(Window::Range(10), Empty::Silent, Some(0));
        restore(&mut second, 1, &entries);
        assert_eq!(second.keys(), 2);
        for time in [100, 101] {
            feed(&mut second, 0, "new", time, &mut told).expect("it counts");
        }
        assert_eq!(second.keys(), 1);
        let kept: Vec<String> = stored(&mut second)
            .iter()
            .filter(|(_, key, value)| !key.is_null() && value.is_some())
            .map(|(_, key, _)| key.to_string())
            .collect();
        assert_eq!(kept, [r#"[["new"],0]"#, r#"[["new"],1]"#]);
    }

    #[test]
    fn what_one_partition_told_elsewhere_evicts_no_rows_of_another() {
        let mut engine = engine(Window::Range(10), Empty::Silent, Some(0));
        engine.assign(2);
        engine.results.set_told(1, 1_000);
        let mut told = Told::default();
        for (partition, time) in [(0, 5), (1, 1_001), (0, 6)] {
            feed(&mut engine, partition, "k", time, &mut told).expect("it counts");
        }
        engine.tell_all(0, &mut told).expect("results");
        assert_eq!(told.0, ["5 k 1", "6 k 2", "1001 k 1 at 1"]);
    }

    #[test]
    fn empty_windows_are_told_from_the_least_time_on_that_was_seen() {
        let mut engine = engine(aligned(10, 10), Empty::Zeros, Some(0));
        engine.assign(2);
        let mut told = Told::default();
        // The row at 25 does not pass a condition: it is seen and not counted.
        assert!(!engine.see(0, 42, 1));
        assert!(!engine.see(1, 25, 2));
        feed(&mut engine, 1, "", 38, &mut told).expect("it counts");
        assert_eq!(told.0, ["20 30 0", "| 30"]);
        feed(&mut engine, 1, "", 61, &mut told).expect("it counts");
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
            feed(&mut engine, 0, "", 0, &mut told).expect("it counts");
            engine.see(0, windows + 1, 1);
            assert_eq!(engine.tell_due(&mut told).is_ok(), fits, "{windows}");
        }
    }

    #[test]
    fn without_event_time_windows_close_by_ticks_with_rows_or_without() {
        let mut engine = engine(aligned(30, 10), Empty::Told, None);
        let mut told = Told::default();
        engine.tick(1_000);
        feed(&mut engine, 0, "", 1_000, &mut told).expect("it counts");
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
        let told = all(engine(Window::Running, Empty::Silent, Some(5)), &rows);
        let first = ["10 b 1", "| 10"];
        // A jump over two multiples is told at the last.
        let jump = ["30 a 2", "30 b 1", "| 30"];
        let end = ["41 a 3", "41 b 1", "| 41"];
        assert_eq!(told, [&first[..], &jump, &end].concat());
    }

    #[test]
    fn a_new_assignment_forgets_all_rows() {
        for window in [aligned(20, 10), aligned(10, 10), Window::Running] {
            let mut engine = engine(window.clone(), Empty::Silent, Some(0));
            let mut told = Told::default();
            feed(&mut engine, 0, "old", 25, &mut told).expect("it counts");
            engine.tick(1_000_000);
            engine.assign(0);
            assert_eq!(feed(&mut engine, 0, "new", 15, &mut told), Ok(()));
            feed(&mut engine, 0, "new", 30, &mut told).expect("it counts");
            assert!(told.0.iter().any(|row| row.contains("new")), "{window:?}: {:?}", told.0);
            engine.tell_all(0, &mut told).expect("results");
            assert!(told.0.iter().all(|row| !row.contains("old")), "{window:?}: {:?}", told.0);
        }
    }

    #[test]
    fn times_at_the_ends_of_the_range_are_times_like_any_other() {
        for window in [
            aligned(TIME_MS_MAX, TIME_MS_MAX),
            aligned(7, TIME_MS_MAX),
            aligned(3, 3),
            Window::Running,
        ] {
            for delay_ms in [0, i64::MAX] {
                let mut engine = engine(window.clone(), Empty::Silent, Some(delay_ms));
                let mut told = Told::default();
                for time in [0, -TIME_MS_MAX, TIME_MS_MAX] {
                    let fed = feed(&mut engine, 0, "k", time, &mut told);
                    assert!(!matches!(fed, Err(Refusal::Halt(_))), "{fed:?}");
                }
                engine.see_everywhere(i64::MAX);
                engine.tell_due(&mut told).expect("results");
            }
        }
        let mut engine = engine(aligned(10, 10), Empty::Zeros, None);
        engine.tick(i64::MAX);
        assert_eq!(engine.timeline().arrival(), Some(TIME_MS_MAX));
    }
}
