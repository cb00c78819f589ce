//! Totals that grow: since the beginning, or since the start of a period.

use std::num::NonZeroI64;

use row::value::Value;

use crate::results::{Halt, Sink, Telling};
use crate::sliding::bounds;
use crate::store::{Group, Id, Rest, Store};
use crate::window::{Cumulate, Pane, multiple_after};

/// The totals of keys over the panes that were folded into them.
#[derive(Debug, Default)]
pub struct Totals {
    /// The keys that have a total.
    ids: Vec<Id>,
    sorted: bool,
}

/// When a key is forgotten that has no rows any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// So long after its last row, in milliseconds,
    pub ttl_ms: i64,
    /// at the next multiple of this.
    pub every: NonZeroI64,
}

impl Expiry {
    /// When a key whose last row was at `last` is forgotten.
    fn of(self, last: i64) -> i64 {
        multiple_after(last.saturating_add(self.ttl_ms) - 1, self.every)
    }
}

impl Totals {
    /// Folds the panes before `to` into the totals of their keys, whose flags say then that they
    /// changed.
    fn fold(&mut self, to: Pane, expiry: Option<Expiry>, store: &mut Store) -> Result<(), Halt> {
        while let Some((pane, taken)) = store.take_pane(to) {
            for (id, group) in taken {
                if expiry.is_some_and(|expiry| expiry.of(last_seen(id, store)) <= pane) {
                    start_anew(id, store);
                }
                let total = store.entry(id).rest().group.unwrap_or_else(|| {
                    self.ids.push(id);
                    self.sorted = false;
                    store.groups_mut().make()
                });
                store.groups_mut().merge(total, group)?;
                store.set_rest(id, Rest { group: Some(total), flag: true });
                store.let_go(id, pane, group);
            }
        }
        if !self.sorted {
            self.ids.sort_unstable_by(|&one, &other| store.order(one, other));
            self.sorted = true;
        }
        Ok(())
    }

    /// Forgets the keys for which this says so.
    fn forget(&mut self, store: &mut Store, gone: impl Fn(Id, &Store) -> bool) {
        let (gone, kept): (Vec<Id>, Vec<Id>) = self.ids.iter().partition(|&&id| gone(id, store));
        self.ids = kept;
        for id in gone {
            if let Some(total) = store.entry(id).rest().group {
                store.set_rest(id, Rest::default());
                store.groups_mut().give(total);
            }
            if store.is_bare(id) {
                store.remove(id);
            }
        }
    }

    /// The keys with their totals, sorted; when `changed` is asked, only those of which some
    /// partition's part changed since they were written.
    fn results(&self, changed: bool, store: &Store) -> Vec<(Id, Group)> {
        let same_key = |&one: &Id, &other: &Id| store.entry(one).key == store.entry(other).key;
        let keys = self.ids.chunk_by(same_key);
        let asked = |parts: &&[Id]| !changed || parts.iter().any(|&id| store.entry(id).rest().flag);
        let total = |&id: &Id| store.entry(id).rest().group.map(|group| (id, group));
        keys.filter(asked).flatten().filter_map(total).collect()
    }

    /// A snapshot has a total of this key.
    fn restored(&mut self, id: Id) {
        self.ids.push(id);
        self.sorted = false;
    }
}

/// The time of the last row of a key that was folded, in whichever partition.
fn last_seen(id: Id, store: &Store) -> i64 {
    let totals = store.siblings(id).into_iter().filter_map(|id| store.entry(id).rest().group);
    let extents = totals.filter_map(|total| store.groups().get(total).last()?.extent());
    extents.map(|(_, last, _)| last).max().unwrap_or(NEVER)
}

/// Later than all times.
const NEVER: i64 = i64::MAX / 2;

/// Begins a key's totals anew in all partitions.
fn start_anew(id: Id, store: &mut Store) {
    for id in store.siblings(id) {
        let rest = store.entry(id).rest();
        if let Some(total) = rest.group {
            store.groups_mut().give(total);
            let group = Some(store.groups_mut().make());
            store.set_rest(id, Rest { group, ..rest });
        }
    }
}

/// Everything since the beginning.
#[derive(Debug)]
pub struct Running {
    every: Option<NonZeroI64>,
    expiry: Option<Expiry>,
    /// Whether only keys that changed are written.
    changes: bool,
    totals: Totals,
    /// The next time of `--every`; [`i64::MAX`] when it has not begun.
    due: i64,
    begins: i64,
}

impl Running {
    /// No rows yet. Totals are written at each multiple of `every`, and at the end.
    #[must_use]
    pub fn new(every: Option<NonZeroI64>, ttl_ms: Option<i64>, changes: bool) -> Running {
        let expiry = every.zip(ttl_ms).map(|(every, ttl_ms)| Expiry { ttl_ms, every });
        let begins = if every.is_some() { i64::MAX } else { i64::MIN };
        let totals = Totals::default();
        Running { every, expiry, changes, totals, due: i64::MAX, begins }
    }

    /// The next time of `--every`; [`i64::MAX`] when it has not begun.
    #[inline]
    #[must_use]
    pub fn due(&self) -> i64 {
        self.due
    }

    /// Sees a time while it is `now`: totals are written from the least one on that was seen
    /// before anything was written.
    #[inline]
    pub fn see(&mut self, time: i64, now: i64) {
        if time < self.begins
            && let Some(every) = self.every
        {
            self.begins = time;
            self.due = self.due.min(multiple_after(time.max(now), every));
        }
    }

    /// Writes what is due by `time`: a jump over several periods once, at the last.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close<S: Sink>(&mut self, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let Some(every) = self.every.filter(|_| self.due <= time) else { return Ok(()) };
        let until = multiple_after(time, every) - every.get();
        self.begins = i64::MIN;
        self.due = until + every.get();
        self.tell(until, (until, until), tell)
    }

    /// Writes the totals of all rows at `until`, the end.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close_all<S: Sink>(
        &mut self,
        until: i64,
        tell: &mut Telling<'_, S>,
    ) -> Result<(), Halt> {
        // The end is written whatever was written before.
        self.tell(until, (i64::MAX, i64::MAX), tell)
    }

    fn tell<S: Sink>(
        &mut self,
        until: i64,
        (to, end): (Pane, i64),
        tell: &mut Telling<'_, S>,
    ) -> Result<(), Halt> {
        self.totals.fold(to, self.expiry, tell.store)?;
        // The last change of a key is written also when time has jumped over its end.
        if self.changes {
            self.write(until, end, tell)?;
        }
        if let Some(expiry) = self.expiry {
            self.totals.forget(tell.store, |id, store| expiry.of(last_seen(id, store)) <= until);
        }
        if !self.changes {
            self.write(until, end, tell)?;
        }
        tell.sink.told(until);
        Ok(())
    }

    fn write<S: Sink>(&self, until: i64, end: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let results = self.totals.results(self.changes, tell.store);
        tell.write(&results, end, &[Value::Int(until)])?;
        if self.changes {
            for (id, group) in results {
                tell.store.set_rest(id, Rest { group: Some(group), flag: false });
            }
        }
        Ok(())
    }

    /// A snapshot has a total of this key.
    pub fn restored(&mut self, id: Id) {
        self.totals.restored(id);
    }

    /// The next time of `--every`, and the least time seen unless one was written already, for a
    /// snapshot.
    #[must_use]
    pub fn next_period(&self) -> Option<(i64, i64)> {
        (self.due != i64::MAX).then_some((self.due, self.begins))
    }

    /// A snapshot was loaded in which this was [`Running::next_period`].
    pub fn restored_due(&mut self, next: (i64, i64)) {
        (self.due, self.begins) = next;
    }
}

/// Windows that grow from the start of a period.
#[derive(Debug)]
pub struct Cumulating {
    window: Cumulate,
    totals: Totals,
    due: i64,
}

impl Cumulating {
    /// No rows yet.
    #[must_use]
    pub fn new(window: Cumulate) -> Cumulating {
        Cumulating { window, totals: Totals::default(), due: i64::MAX }
    }

    /// The end of the next window; [`i64::MAX`] when there is none.
    #[inline]
    #[must_use]
    pub fn due(&self) -> i64 {
        self.due
    }

    /// The windows.
    #[must_use]
    pub fn window(&self) -> &Cumulate {
        &self.window
    }

    /// A row at `time` has touched a new pane while it is `now`.
    pub fn touched(&mut self, time: i64, now: i64) {
        let first = self.window.first_end(time);
        // A row behind steps that were written counts in the next one of its period.
        self.due = self.due.min(if first > now { first } else { self.window.first_end(now) });
    }

    /// Writes the windows that end by `time`.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close<S: Sink>(&mut self, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        while self.due <= time {
            self.tell_window(tell)?;
        }
        Ok(())
    }

    /// Writes all windows that have rows.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close_all<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        self.close(i64::MAX - 1, tell)
    }

    fn tell_window<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let end = self.due;
        let period = self.window.period_of(end - 1);
        self.totals.fold(end, None, tell.store)?;
        let results = self.totals.results(false, tell.store);
        tell.write(&results, end, &bounds(&(period.start..end), None))?;
        tell.sink.told(end);
        if end == period.end {
            self.totals.forget(tell.store, |_, _| true);
            let oldest = tell.store.oldest_pane();
            self.due = oldest.map_or(i64::MAX, |pane| self.window.first_end(pane));
        } else {
            self.due = self.window.first_end(end);
        }
        Ok(())
    }

    /// A snapshot has a total of this key.
    pub fn restored(&mut self, id: Id) {
        self.totals.restored(id);
    }

    /// A snapshot was loaded: rows since `oldest` are there, windows that end by `told` were
    /// written, and the totals are due again at `due`.
    pub fn restored_due(&mut self, oldest: Option<Pane>, told: i64, due: Option<i64>) {
        let pane = oldest.map(|pane| self.window.first_end(pane.max(told)));
        self.due = [pane, due].into_iter().flatten().fold(self.due, i64::min);
    }
}
