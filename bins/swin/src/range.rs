//! For every row, the rows of its key in the time before it.
//!
//! Rows are looked at in the order of their times: those that others may still come before wait.
//! The rows of a key that have been looked at are panes, numbered in that order; those that wait
//! stand apart, and their numbers are far above.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use row::key::Key;
use row::value::Value;

use crate::aggregate::{Aggregate, Stamp};
use crate::results::{Halt, Sink, Telling};
use crate::slide::Stacks;
use crate::store::{Full, Group, Id, Rest, Store, merge};
use crate::window::Pane;

/// The first number of panes that wait.
const WAITING: Pane = 1 << 62;

/// Rows that may be in the windows of rows to come.
#[derive(Debug)]
pub struct Ranges {
    width: i64,
    /// Whether a key that was written is so again only when `--having` has been false, or its
    /// window empty.
    once: bool,
    waiting: BTreeMap<Stamp, Id>,
    keys: Vec<Rows>,
    /// When to look whether a key still has rows that may be in a window.
    expiry: BinaryHeap<Reverse<(i64, Id)>>,
    /// The row that was added last, when it does not have to wait.
    added: Option<(Id, i64)>,
}

/// The rows of a key in a partition.
#[derive(Debug, Default)]
struct Rows {
    /// Those that have been looked at, merged.
    stacks: Stacks,
    /// How many wait.
    waiting: usize,
}

impl Ranges {
    /// No rows yet.
    #[must_use]
    pub fn new(width: i64, once: bool) -> Ranges {
        Ranges {
            width,
            once,
            waiting: BTreeMap::new(),
            keys: Vec::new(),
            expiry: BinaryHeap::new(),
            added: None,
        }
    }

    /// The time of the first row that waits; [`i64::MAX`] when none does.
    #[inline]
    #[must_use]
    pub fn due(&self) -> i64 {
        self.waiting.first_key_value().map_or(i64::MAX, |(stamp, _)| stamp.time)
    }

    /// Makes a pane for a row, while it is `now`.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn touch(
        &mut self,
        partition: usize,
        key: Key<'_>,
        (stamp, now): (Stamp, i64),
        store: &mut Store,
    ) -> Result<Group, Full> {
        self.expire(now, store);
        let (id, new) = store.find_or_make(partition, key)?;
        self.enter(id, new, stamp.time);
        // All that waited for this time has been looked at.
        if stamp.time <= now {
            self.added = Some((id, stamp.time));
            return Ok(store.touch_own(id, next_number(id, store))?.group);
        }
        self.added = None;
        let number = WAITING + i64::try_from(stamp.arrival).unwrap_or_default();
        let group = store.touch_own(id, number)?.group;
        self.wait(id, number, stamp, store);
        Ok(group)
    }

    fn wait(&mut self, id: Id, number: Pane, stamp: Stamp, store: &mut Store) {
        store.set_apart(id, number);
        self.waiting.insert(stamp, id);
        self.keys[id as usize].waiting += 1;
    }

    fn enter(&mut self, id: Id, new: bool, time: i64) {
        if self.keys.len() <= id as usize {
            self.keys.resize_with(id as usize + 1, Rows::default);
        }
        if new {
            self.expiry.push(Reverse((time.saturating_add(self.width), id)));
        }
    }

    /// Looks at the row that was just added.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn added<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        match self.added.take() {
            Some((id, time)) => self.look(id, time, tell),
            None => Ok(()),
        }
    }

    /// Looks at the rows that waited until `time`.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close<S: Sink>(&mut self, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        while let Some(first) = self.waiting.first_entry()
            && first.key().time <= time
        {
            let (stamp, id) = first.remove_entry();
            let waited = WAITING + i64::try_from(stamp.arrival).unwrap_or_default();
            self.keys[id as usize].waiting -= 1;
            if let Some(group) = tell.store.take_apart(id, waited) {
                let touch = tell.store.touch_own(id, next_number(id, tell.store))?;
                tell.store.groups_mut().merge(touch.group, group)?;
                tell.store.let_go(id, waited, group);
            }
            self.look(id, stamp.time, tell)?;
        }
        Ok(())
    }

    /// Writes the result of the newest row of a key, at `time`.
    fn look<S: Sink>(&mut self, id: Id, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let ids = tell.store.siblings(id);
        let mut merged: Option<(Id, Vec<Aggregate>)> = None;
        for &id in &ids {
            self.evict(id, time.saturating_sub(self.width), tell.store);
            let (entry, groups) = tell.store.entry_and_groups(id);
            let (Some((oldest, _)), Some((newest, _))) = (entry.oldest(), entry.newest()) else {
                continue;
            };
            let stacks = &mut self.keys[id as usize].stacks;
            let window = stacks.merge(entry, groups, &(oldest..newest + 1))?;
            match &mut merged {
                None => merged = Some((id, groups.get(window).to_vec())),
                Some((_, merged)) => merge(merged, groups.get(window))?,
            }
            groups.give(window);
        }
        let Some((lowest, merged)) = merged else { return Ok(()) };
        self.tell((lowest, &ids), time, &merged, tell)
    }

    /// Writes the result of a key, whose entries are `ids`, of which `lowest` is the first that has
    /// rows in the window.
    fn tell<S: Sink>(
        &self,
        (lowest, ids): (Id, &[Id]),
        time: i64,
        aggregates: &[Aggregate],
        tell: &mut Telling<'_, S>,
    ) -> Result<(), Halt> {
        let entry = tell.store.entry(lowest);
        let rows = aggregates.last().and_then(Aggregate::extent).map_or(0, |(_, _, rows)| rows);
        let said = self.once && ids.iter().any(|&id| tell.store.entry(id).rest().flag);
        // A window that had no row before this one has been empty.
        let said = said && rows > 1;
        let mut held = Held { sink: &mut *tell.sink, passed: false, silent: said };
        let bounds = [Value::Int(time)];
        tell.results.write_row(entry.partition, &bounds, &entry.key, aggregates, &mut held)?;
        let passed = held.passed;
        if self.once {
            for &id in ids {
                if tell.store.entry(id).rest().flag != passed {
                    tell.store.set_rest(id, Rest { group: None, flag: passed });
                }
            }
        }
        Ok(())
    }

    /// Lets the rows of a key before `from` go that no window to come has.
    fn evict(&mut self, id: Id, from: i64, store: &mut Store) {
        while let Some((pane, group)) = store.entry(id).oldest()
            && time_of(group, store) < from
        {
            store.cut(id, pane);
            store.let_go(id, pane, group);
        }
        // Numbers begin anew then, and what was merged has the old ones.
        if store.entry(id).newest().is_none() {
            self.keys[id as usize].stacks.clear(store.groups_mut());
        }
    }

    /// Forgets keys that have no rows that may be in a window to come, now that it is `now`.
    fn expire(&mut self, now: i64, store: &mut Store) {
        while let Some(&Reverse((end, id))) = self.expiry.peek()
            && end < now
        {
            self.expiry.pop();
            // The key may be gone, when it was noted for each of its rows.
            if !store.has(id) {
                continue;
            }
            self.evict(id, now.saturating_sub(self.width), store);
            let newest = store.entry(id).newest().map(|(_, group)| time_of(group, store));
            // What waits is later than now.
            let waits = (self.keys[id as usize].waiting > 0).then_some(now);
            if let Some(time) = newest.or(waits) {
                let end = time.saturating_add(self.width);
                self.expiry.push(Reverse((end.max(now), id)));
                continue;
            }
            store.set_rest(id, Rest::default());
            store.remove(id);
        }
    }

    /// A snapshot knows whether this key was said.
    pub fn restored_flag(&mut self, id: Id) {
        self.enter(id, true, i64::MIN);
    }

    /// A snapshot has a row of this key: its time, and whether it waits.
    pub fn restored(&mut self, id: Id, pane: Pane, group: Group, store: &mut Store) {
        let time = time_of(group, store);
        self.enter(id, true, time);
        if pane >= WAITING {
            let arrival = (pane - WAITING).unsigned_abs();
            self.wait(id, pane, Stamp { time, arrival }, store);
        }
    }
}

/// The time of a row.
fn time_of(group: Group, store: &Store) -> i64 {
    let extent = store.groups().get(group).last().and_then(Aggregate::extent);
    extent.map_or(i64::MAX, |(first, ..)| first)
}

/// The number of the next row that is looked at.
fn next_number(id: Id, store: &Store) -> Pane {
    store.entry(id).newest().map_or(0, |(newest, _)| newest + 1)
}

/// Notes whether a result passes, and holds it back when it was said already.
#[derive(Debug)]
struct Held<'s, S> {
    sink: &'s mut S,
    passed: bool,
    silent: bool,
}

impl<S: Sink> Sink for Held<'_, S> {
    fn row(&mut self, partition: usize, values: &[Value<'_>]) {
        self.passed = true;
        if !self.silent {
            self.sink.row(partition, values);
        }
    }

    fn told(&mut self, until: i64) {
        self.sink.told(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Function;
    use crate::store::Limits;

    #[test]
    fn rows_that_wait_are_not_among_those_that_were_looked_at() {
        let limits = Limits { keys: 9, bytes: 1 << 20 };
        let mut store = Store::new(vec![Function::Extent.empty()], limits);
        let mut ranges = Ranges::new(10, false);
        let key = Key::of_text(b"k");
        for (arrival, time) in (0..).zip([70, 50, 60, 50]) {
            let stamp = Stamp { time, arrival };
            let group = ranges.touch(0, key, (stamp, 0), &mut store).expect("room");
            store.groups_mut().get_mut(group)[0].extend(time);
        }
        let id = store.find(0, key).expect("the key is there");
        // However many there are, one more is found and taken without a look at the others.
        assert_eq!((store.entry(id).all_panes().count(), ranges.due()), (0, 50));
        ranges.expire(1_000, &mut store);
        assert!(store.has(id), "a key is not forgotten while a row of it waits");
    }
}
