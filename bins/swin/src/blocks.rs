//! Windows over a number of rows of a key.
//!
//! The rows of a key in a partition are counted as they come, and gathered in panes of as many as
//! divide size and step; a pane is called by its number.

use std::ops::Range;

use row::key::Key;

use crate::aggregate::Aggregate;
use crate::grid::divisor;
use crate::results::{Halt, Sink, Telling};
use crate::slide::Stacks;
use crate::sliding::bounds;
use crate::store::{Full, Group, Id, Store};
use crate::window::{Pane, Rows};

/// The rows that may be in windows to come.
#[derive(Debug)]
pub struct Blocks {
    /// Rows in a pane.
    pane_rows: u64,
    /// The size and the step in panes.
    size: Pane,
    step: Pane,
    stacks: Vec<Stacks>,
    /// The key that the last row was added to.
    added: Option<Id>,
}

impl Blocks {
    /// No rows yet.
    #[must_use]
    pub fn new(rows: Rows) -> Blocks {
        let pane_rows = divisor(rows.size, rows.step).get();
        let (size, step) = (rows.size.get() / pane_rows, rows.step.get() / pane_rows);
        let pane_rows = pane_rows.unsigned_abs();
        Blocks { pane_rows, size, step, stacks: Vec::new(), added: None }
    }

    /// Finds or makes the pane of a key's next row.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn touch(
        &mut self,
        partition: usize,
        key: Key<'_>,
        store: &mut Store,
    ) -> Result<Group, Full> {
        let (id, _) = store.find_or_make(partition, key)?;
        if self.stacks.len() <= id as usize {
            self.stacks.resize_with(id as usize + 1, Stacks::default);
        }
        let pane = match store.entry(id).newest() {
            Some((pane, group)) if rows_of(group, store) < self.pane_rows => pane,
            Some((pane, _)) => pane + 1,
            None => 0,
        };
        self.added = Some(id);
        Ok(store.touch_own(id, pane)?.group)
    }

    /// Writes the window that the row that was just added completes; returns whether the row is
    /// in a window at all, and not in a gap between two.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn added<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<bool, Halt> {
        let Some(id) = self.added.take() else { return Ok(true) };
        let Some((pane, group)) = tell.store.entry(id).newest() else { return Ok(true) };
        let in_window = pane % self.step >= self.step - self.size;
        if rows_of(group, tell.store) == self.pane_rows && (pane + 1) % self.step == 0 {
            let merged = self.window(id, &(pane + 1 - self.size..pane + 1), tell.store)?;
            Blocks::write(id, merged, tell)?;
            self.retire(id, pane + 1 + self.step - self.size, tell);
        }
        if !in_window {
            // Of a gap the newest pane is enough to count on from.
            self.retire(id, pane, tell);
        }
        Ok(in_window)
    }

    fn window(&mut self, id: Id, panes: &Range<Pane>, store: &mut Store) -> Result<Group, Halt> {
        let (entry, groups) = store.entry_and_groups(id);
        Ok(self.stacks[id as usize].merge(entry, groups, panes)?)
    }

    /// Writes a window and gives its group back.
    fn write<S: Sink>(id: Id, merged: Group, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let window = extent(merged, tell.store);
        let bounds = bounds(&window, None);
        tell.results.write_parts(tell.store, &[(id, merged)], &bounds, tell.sink)?;
        tell.store.groups_mut().give(merged);
        Ok(())
    }

    /// Lets the panes of a key before `to` go.
    fn retire<S: Sink>(&mut self, id: Id, to: Pane, tell: &mut Telling<'_, S>) {
        while let Some((pane, group)) = tell.store.entry(id).oldest().filter(|&(pane, _)| pane < to)
        {
            tell.store.cut(id, pane);
            if tell.store.is_bare(id) {
                self.stacks[id as usize].clear(tell.store.groups_mut());
                tell.let_go(id, pane, group);
                return;
            }
            tell.store.let_go(id, pane, group);
        }
    }

    /// Writes what the next window of each key has so far, if it has rows that no window had.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close_all<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let mut windows = Vec::new();
        let ids: Vec<Id> = tell.store.ids().collect();
        for id in ids {
            let Some((newest, _)) = tell.store.entry(id).newest() else { continue };
            let end = (newest / self.step + 1) * self.step;
            let from = end - self.size;
            if newest < from || (newest + 1) % self.step == 0 && self.is_full(id, tell.store) {
                continue;
            }
            let merged = self.window(id, &(from..end), tell.store)?;
            windows.push((extent(merged, tell.store), id, merged));
        }
        windows.sort_by(|(one, id, _), (other, other_id, _)| {
            let by_key = || tell.store.order(*id, *other_id);
            (one.end, one.start).cmp(&(other.end, other.start)).then_with(by_key)
        });
        for (_, id, merged) in windows {
            Blocks::write(id, merged, tell)?;
        }
        Ok(())
    }

    /// Whether the newest pane of a key has all its rows, so that the next row starts another.
    fn is_full(&self, id: Id, store: &Store) -> bool {
        store.entry(id).newest().is_some_and(|(_, group)| rows_of(group, store) == self.pane_rows)
    }

    /// A snapshot has panes of this key.
    pub fn restored(&mut self, id: Id) {
        if self.stacks.len() <= id as usize {
            self.stacks.resize_with(id as usize + 1, Stacks::default);
        }
    }
}

/// The times of the first and the last row of a group.
fn extent(group: Group, store: &Store) -> Range<i64> {
    let extent = store.groups().get(group).last().and_then(Aggregate::extent);
    extent.map_or(0..0, |(first, last, _)| first..last)
}

/// How many rows a pane has.
fn rows_of(group: Group, store: &Store) -> u64 {
    let extent = store.groups().get(group).last().and_then(Aggregate::extent);
    extent.map_or(0, |(_, _, rows)| rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Query, Texts};
    use crate::results::Results;
    use crate::store::Limits;
    use row::key;
    use row::value::Value;

    /// Takes nothing.
    struct Nowhere;

    impl Sink for Nowhere {
        fn row(&mut self, _: usize, _: &[Value<'_>]) {}

        fn told(&mut self, _: i64) {}
    }

    #[test]
    fn rows_between_windows_take_no_memory() {
        let query = Query::parse(&Texts { by: Some("k"), ..Texts::default() }).expect("a query");
        let results = Results::new(query.with_extent());
        let limits = Limits { keys: 9, bytes: 1 << 20 };
        let mut store = Store::new(results.query().empty(), limits);
        let mut blocks = Blocks::new("2/100".parse().expect("rows"));
        let mut bytes = Vec::new();
        key::push_text(b"k", 1, &mut bytes);
        for at in 0..250 {
            let group = blocks.touch(0, Key::new(&bytes), &mut store).expect("room");
            store.groups_mut().get_mut(group)[1].extend(at);
            let tell = &mut Telling { store: &mut store, results: &results, sink: &mut Nowhere };
            let in_window = blocks.added(tell).expect("a result");
            assert_eq!(in_window, at % 100 >= 98, "{at}");
            let panes = store.ids().map(|id| store.entry(id).all_panes().count());
            assert!(panes.sum::<usize>() <= 2, "{at}");
        }
    }
}
