//! Windows of several panes: which keys are in the window, and their aggregates over its panes.
//!
//! A window that slides must not subtract, so the panes of a key stand in two stacks: the older
//! ones as suffixes, each pane merged with all after it, the newer ones merged into one group. A
//! step takes one suffix off and merges one pane; when the suffixes are used up, all panes become
//! suffixes anew. So a step costs a constant number of merges on average, however many panes a
//! window has (two stacks, in Tangwongsan, Hirzel, Schneider, "In-order sliding-window
//! aggregation in worst-case constant time", VLDB Journal 2021).

use std::ops::Range;

use row::value::Fault;

use crate::store::{Entry, Group, Groups, Id, Store};
use crate::window::Pane;

/// The keys that have something in the sliding window.
#[derive(Debug)]
pub struct Members {
    /// In how many panes of the window each key has something, by the key's number.
    counts: Vec<u32>,
    stacks: Vec<Stacks>,
    /// The keys in the window.
    ids: Vec<Id>,
    sorted: bool,
    /// The panes before this one have come in.
    entered: Pane,
}

impl Default for Members {
    fn default() -> Members {
        let (counts, stacks, ids) = (Vec::new(), Vec::new(), Vec::new());
        Members { counts, stacks, ids, sorted: true, entered: Pane::MIN }
    }
}

impl Members {
    /// A row was added to `pane` of the key: when the window has the pane already, the row is
    /// late for windows that were written, and what was merged is out of date.
    #[inline]
    pub fn changed(&mut self, id: Id, pane: Pane, new_pane: bool, groups: &mut Groups) {
        if pane < self.entered {
            self.change(id, pane, new_pane, groups);
        }
    }

    #[cold]
    fn change(&mut self, id: Id, pane: Pane, new_pane: bool, groups: &mut Groups) {
        if new_pane {
            self.enter(id);
        }
        self.stacks[id as usize].change(pane, groups);
    }

    fn enter(&mut self, id: Id) {
        let at = id as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
            self.stacks.resize_with(at + 1, Stacks::default);
        }
        if self.counts[at] == 0 {
            self.ids.push(id);
            self.sorted = false;
        }
        self.counts[at] += 1;
    }

    /// The keys in the window of `panes`, sorted, each with a new group of its aggregates over
    /// the window.
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    pub fn window(
        &mut self,
        store: &mut Store,
        panes: &Range<Pane>,
    ) -> Result<Vec<(Id, Group)>, Fault> {
        let entering: Vec<Id> = store.touched(self.entered..panes.end).flatten().copied().collect();
        for id in entering {
            self.enter(id);
        }
        self.entered = panes.end;
        if !self.sorted {
            self.ids.sort_unstable_by(|&one, &other| store.order(one, other));
            self.sorted = true;
        }
        let mut window = Vec::with_capacity(self.ids.len());
        for &id in &self.ids {
            let (entry, groups) = store.entry_and_groups(id);
            let group = self.stacks[id as usize].merge(entry, groups, panes)?;
            window.push((id, group));
        }
        Ok(window)
    }

    /// Drops the panes before `to`, and the keys that have nothing left.
    pub fn retire(&mut self, store: &mut Store, to: Pane) {
        let mut left = false;
        while let Some((pane, taken)) = store.take_pane(to) {
            for (id, group) in taken {
                store.let_go(id, pane, group);
                let count = &mut self.counts[id as usize];
                *count -= 1;
                if *count == 0 {
                    left = true;
                    self.stacks[id as usize].clear(store.groups_mut());
                }
                if store.is_bare(id) {
                    store.remove(id);
                }
            }
        }
        if left {
            self.ids.retain(|&id| self.counts[id as usize] > 0);
        }
    }
}

/// The panes of a key in two stacks.
#[derive(Debug, Default)]
pub struct Stacks {
    /// Suffixes, the longest last; each by its first pane.
    front: Vec<(Pane, Group)>,
    /// Whether panes before the longest suffix may be in no suffix.
    is_short: bool,
    /// What came after the panes of the front, which are those before `turned`.
    back: Option<Group>,
    turned: Pane,
    /// The panes before this one are in the front or the back.
    until: Pane,
}

impl Stacks {
    /// Forgets what was merged.
    pub fn clear(&mut self, groups: &mut Groups) {
        for (_, group) in self.front.drain(..) {
            groups.give(group);
        }
        if let Some(group) = self.back.take() {
            groups.give(group);
        }
    }

    /// A pane changes that may have been merged: forgets what it was merged into.
    pub fn change(&mut self, pane: Pane, groups: &mut Groups) {
        if pane >= self.turned {
            self.until = self.until.min(self.turned);
            if let Some(group) = self.back.take() {
                groups.give(group);
            }
            return;
        }
        while let Some(&(first, group)) = self.front.last()
            && first <= pane
        {
            self.front.pop();
            groups.give(group);
        }
        self.is_short = true;
    }

    /// Merges the `panes` of `entry` into a new group. The ends of the panes never fall from call
    /// to call, unless [`Stacks::clear`] was called between; [`Stacks::change`] was called for
    /// those before the last end that changed.
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    pub fn merge(
        &mut self,
        entry: &Entry,
        groups: &mut Groups,
        panes: &Range<Pane>,
    ) -> Result<Group, Fault> {
        if groups.collects() {
            // Each suffix would hold all values after it.
            let merged = groups.make();
            entry.panes(panes.clone()).try_for_each(|(_, group)| groups.merge(merged, group))?;
            return Ok(merged);
        }
        while let Some(&(pane, group)) = self.front.last()
            && pane < panes.start
        {
            self.front.pop();
            groups.give(group);
        }
        let is_short = std::mem::take(&mut self.is_short);
        if let Some(&(longest, _)) = self.front.last() {
            if is_short {
                self.push(entry, groups, &(panes.start..longest))?;
            }
            let back = &mut self.back;
            entry.panes(self.until..panes.end).try_for_each(|(_, group)| {
                if let Some(back) = *back {
                    return groups.merge(back, group);
                }
                *back = Some(groups.copy(group));
                Ok(())
            })?;
        } else {
            self.clear(groups);
            self.push(entry, groups, panes)?;
            self.turned = panes.end;
        }
        self.until = panes.end;
        match (self.front.last(), self.back) {
            (Some(&(_, longest)), Some(back)) => groups.merged(longest, back),
            (Some(&(_, one)), None) | (None, Some(one)) => Ok(groups.copy(one)),
            (None, None) => Ok(groups.make()),
        }
    }

    /// Makes suffixes of panes that are before the longest one.
    fn push(
        &mut self,
        entry: &Entry,
        groups: &mut Groups,
        panes: &Range<Pane>,
    ) -> Result<(), Fault> {
        for (pane, group) in entry.panes(panes.clone()).rev() {
            let suffix = groups.copy(group);
            if let Some(&(_, shorter)) = self.front.last() {
                groups.merge(suffix, shorter)?;
            }
            self.front.push((pane, suffix));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Function;
    use row::key::Key;
    use row::value::{Number, Value};

    /// Slides a window of `size` panes over rows `(pane, number)`, in the order given, and
    /// returns the sums of every window.
    fn sums(rows: &[(Pane, f64)], size: Pane, last: Pane) -> Vec<Value<'static>> {
        let mut store = Store::new(
            vec![Function::Sum.empty()],
            crate::store::Limits { keys: 10, bytes: 1 << 20 },
        );
        let mut members = Members::default();
        let mut told = Vec::new();
        let mut rows = rows.iter().peekable();
        for end in 1..=last {
            while let Some(&(pane, number)) = rows.next_if(|&&(pane, _)| pane < end) {
                let touch = store.touch(0, (Key::new(b"k"), None), pane).expect("room");
                store.groups_mut().get_mut(touch.group)[0]
                    .add_number(Number::Float(number))
                    .expect("it fits");
                members.changed(touch.id, pane, touch.new_pane, store.groups_mut());
            }
            for (_, group) in members.window(&mut store, &(end - size..end)).expect("it fits") {
                told.push(store.groups().get(group)[0].value().into_owned());
                store.groups_mut().give(group);
            }
            members.retire(&mut store, end + 1 - size);
        }
        told
    }

    #[test]
    fn a_late_row_costs_what_it_was_merged_into_and_no_more() {
        let limits = crate::store::Limits { keys: 10, bytes: 1 << 20 };
        let mut store = Store::new(vec![Function::CountRows.empty()], limits);
        let mut stacks = Stacks::default();
        let add = |store: &mut Store, stacks: &mut Stacks, pane: Pane| {
            let touch = store.touch(0, (Key::new(b"k"), None), pane).expect("room");
            stacks.change(pane, store.groups_mut());
            store.groups_mut().get_mut(touch.group)[0].count();
        };
        let count = |store: &mut Store, stacks: &mut Stacks, panes: Range<Pane>| {
            let id = store.find(0, Key::new(b"k")).expect("the key is there");
            let (entry, groups) = store.entry_and_groups(id);
            let group = stacks.merge(entry, groups, &panes).expect("it fits");
            let Value::Int(count) = groups.get(group)[0].value() else { panic!("a count") };
            groups.give(group);
            count
        };
        (0..8).filter(|pane| *pane != 2).for_each(|pane| add(&mut store, &mut stacks, pane));
        assert_eq!(count(&mut store, &mut stacks, 0..8), 7);
        // Of the panes 0 to 7, the suffixes that start behind the new pane stay.
        add(&mut store, &mut stacks, 2);
        assert_eq!(stacks.front.iter().map(|&(pane, _)| pane).collect::<Vec<_>>(), [7, 6, 5, 4, 3]);
        assert_eq!(count(&mut store, &mut stacks, 0..8), 8);
        (8..10).for_each(|pane| add(&mut store, &mut stacks, pane));
        assert_eq!(count(&mut store, &mut stacks, 1..10), 9);
        // What is behind them does not touch them.
        add(&mut store, &mut stacks, 8);
        assert_eq!((stacks.front.len(), stacks.back), (7, None));
        assert_eq!(count(&mut store, &mut stacks, 1..10), 10);
        assert_eq!(count(&mut store, &mut stacks, 8..10), 3);
    }

    #[test]
    fn what_has_left_leaves_no_trace() {
        let told = sums(&[(0, 1e17), (1, 1.0), (2, 2.0)], 2, 4);
        assert_eq!(told, [1e17, 1e17 + 1.0, 3.0, 2.0].map(Value::Float));
    }

    #[test]
    fn a_late_row_counts_in_the_windows_that_are_still_open() {
        let told = sums(&[(0, 1.0), (2, 4.0), (1, 2.0), (3, 8.0), (0, 16.0)], 4, 6);
        assert_eq!(told, [1.0, 1.0, 7.0, 31.0, 14.0, 12.0].map(Value::Float));
    }
}
