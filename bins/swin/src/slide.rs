//! Windows of several panes: which keys are in the window, and their aggregates over its panes.
//!
//! Counts and sums of whole numbers are exact, so a key that has nothing else keeps one total: the
//! panes that come are added to it, and those that go are taken off.
//!
//! Of all others nothing can be taken off without a trace, so the panes of a key stand in two
//! stacks: the older ones as suffixes, each pane merged with all after it, the newer ones merged
//! into one group. A step takes one suffix off and merges one pane; when the suffixes are used up,
//! all panes become suffixes anew. So a step costs a constant number of merges on average, however
//! many panes a window has (two stacks, in Tangwongsan, Hirzel, Schneider, "In-order
//! sliding-window aggregation in worst-case constant time", VLDB Journal 2021).

use std::ops::Range;

use row::value::Fault;

use crate::store::{Entry, Group, Groups, Id, Store};
use crate::window::Pane;

/// The keys that have something in the sliding window.
#[derive(Debug)]
pub struct Members {
    /// By the key's number.
    keys: Vec<Member>,
    /// The keys in the window.
    ids: Vec<Id>,
    sorted: bool,
    /// The panes before this one have come in.
    entered: Pane,
    /// The keys in the last window asked for, each with its aggregates, and the groups that were
    /// made for it alone.
    window: Vec<(Id, Group)>,
    made: Vec<Group>,
}

impl Default for Members {
    fn default() -> Members {
        Members {
            keys: Vec::new(),
            ids: Vec::new(),
            sorted: true,
            entered: Pane::MIN,
            window: Vec::new(),
            made: Vec::new(),
        }
    }
}

impl Members {
    /// A row is about to be added to `pane` of the key, which has the aggregates `group`: when the
    /// window has the pane already, the row is late for windows that were written, and what was
    /// merged goes out of date.
    #[inline]
    pub fn changed(
        &mut self,
        (id, group): (Id, Group),
        pane: Pane,
        new_pane: bool,
        groups: &mut Groups,
    ) {
        if pane < self.entered {
            self.change((id, group), pane, new_pane, groups);
        }
    }

    #[cold]
    fn change(
        &mut self,
        (id, group): (Id, Group),
        pane: Pane,
        new_pane: bool,
        groups: &mut Groups,
    ) {
        if new_pane {
            self.enter(id);
        }
        let merged = &mut self.keys[id as usize].merged;
        if !new_pane {
            merged.leave(pane, group, groups);
        }
        match merged {
            Merged::Total(total) => total.set_apart(pane),
            Merged::Stacks(stacks) => stacks.change(pane, groups),
        }
    }

    fn enter(&mut self, id: Id) -> &mut Merged {
        let at = id as usize;
        if self.keys.len() <= at {
            self.keys.resize_with(at + 1, Member::default);
        }
        let member = &mut self.keys[at];
        if member.panes == 0 {
            self.ids.push(id);
            self.sorted = false;
        }
        member.panes += 1;
        &mut member.merged
    }

    /// The keys in the window of `panes`, sorted, each with its aggregates over the window, until
    /// the panes before the next one [`Members::retire`].
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    pub fn window(
        &mut self,
        store: &mut Store,
        panes: &Range<Pane>,
    ) -> Result<&[(Id, Group)], Fault> {
        self.take_in(store, panes.end);
        self.give_back(store.groups_mut());
        // A total is of all panes: where the calendar leaves out a day, two windows end together.
        let is_whole = store.oldest_pane().is_none_or(|oldest| oldest >= panes.start);
        for &id in &self.ids {
            let (entry, groups) = store.entry_and_groups(id);
            let merged = &mut self.keys[id as usize].merged;
            let group = match merged.total(entry, groups) {
                Some(total) if is_whole => total,
                _ if !is_whole && entry.panes(panes.clone()).next().is_none() => continue,
                _ => {
                    let group = merged.merge(entry, groups, panes)?;
                    self.made.push(group);
                    group
                }
            };
            self.window.push((id, group));
        }
        Ok(&self.window)
    }

    /// Takes in what stands before `end`.
    fn take_in(&mut self, store: &mut Store, end: Pane) {
        let entering = self.entered..end;
        store.each_touched(entering, |id, group, groups| self.enter(id).come(group, groups));
        self.entered = end;
        if !self.sorted {
            self.ids.sort_unstable_by(|&one, &other| store.order(one, other));
            self.sorted = true;
        }
    }

    fn give_back(&mut self, groups: &mut Groups) {
        self.window.clear();
        self.made.drain(..).for_each(|group| groups.give(group));
    }

    /// Drops the panes before `to`, and the keys that have nothing left.
    pub fn retire(&mut self, store: &mut Store, to: Pane) {
        self.give_back(store.groups_mut());
        let mut left = false;
        while let Some((pane, taken)) = store.take_pane(to) {
            for (id, group) in taken {
                let member = &mut self.keys[id as usize];
                member.merged.leave(pane, group, store.groups_mut());
                store.let_go(id, pane, group);
                member.panes -= 1;
                if member.panes == 0 {
                    left = true;
                    std::mem::take(&mut member.merged).clear(store.groups_mut());
                    if store.is_bare(id) {
                        store.remove(id);
                    }
                }
            }
        }
        if left {
            self.ids.retain(|&id| self.keys[id as usize].panes > 0);
        }
    }
}

/// A key and the window.
#[derive(Debug, Default)]
struct Member {
    /// In how many panes of the window it has something.
    panes: u32,
    merged: Merged,
}

/// The panes of a key, merged so that the next window has little to do.
#[derive(Debug)]
enum Merged {
    Total(Total),
    Stacks(Stacks),
}

/// The aggregates of all panes that have come in.
#[derive(Debug, Default)]
struct Total {
    group: Option<Group>,
    /// Those that change, and are not in it now; sorted.
    apart: Vec<Pane>,
}

impl Total {
    fn set_apart(&mut self, pane: Pane) {
        if let Err(at) = self.apart.binary_search(&pane) {
            self.apart.insert(at, pane);
        }
    }
}

impl Default for Merged {
    fn default() -> Merged {
        Merged::Total(Total::default())
    }
}

impl Merged {
    /// A pane comes in that has the aggregates `pane`.
    fn come(&mut self, pane: Group, groups: &mut Groups) {
        let Merged::Total(total) = self else { return };
        let is_whole = if let Some(group) = total.group {
            groups.put_on(group, pane)
        } else {
            total.group = groups.is_whole(pane).then(|| groups.copy(pane));
            total.group.is_some()
        };
        if !is_whole {
            self.stack(groups);
        }
    }

    /// The pane that has these aggregates goes, or changes.
    fn leave(&mut self, pane: Pane, aggregates: Group, groups: &mut Groups) {
        let Merged::Total(total) = self else { return };
        if let Ok(at) = total.apart.binary_search(&pane) {
            total.apart.remove(at);
        } else if !total.group.is_some_and(|group| groups.take_off(group, aggregates)) {
            self.stack(groups);
        }
    }

    /// From now on the panes stand in stacks.
    fn stack(&mut self, groups: &mut Groups) {
        std::mem::replace(self, Merged::Stacks(Stacks::default())).clear(groups);
    }

    /// The total of all panes, unless they stand in stacks.
    fn total(&mut self, entry: &Entry, groups: &mut Groups) -> Option<Group> {
        if let Merged::Total(Total { group, apart }) = self {
            if apart.is_empty() {
                return *group;
            }
            for pane in std::mem::take(apart) {
                if let Some(group) = entry.group(pane) {
                    self.come(group, groups);
                }
            }
        }
        if let Merged::Total(total) = self { total.group } else { None }
    }

    /// A new group of what stands in `panes`.
    fn merge(
        &mut self,
        entry: &Entry,
        groups: &mut Groups,
        panes: &Range<Pane>,
    ) -> Result<Group, Fault> {
        match self {
            Merged::Stacks(stacks) => stacks.merge(entry, groups, panes),
            Merged::Total(_) => merge(entry, groups, panes),
        }
    }

    /// Forgets what was merged.
    fn clear(self, groups: &mut Groups) {
        match self {
            Merged::Total(total) => total.group.into_iter().for_each(|group| groups.give(group)),
            Merged::Stacks(mut stacks) => stacks.clear(groups),
        }
    }
}

/// Merges the `panes` of `entry` into a new group.
fn merge(entry: &Entry, groups: &mut Groups, panes: &Range<Pane>) -> Result<Group, Fault> {
    let merged = groups.make();
    entry.panes(panes.clone()).try_for_each(|(_, group)| groups.merge(merged, group))?;
    Ok(merged)
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
            return merge(entry, groups, panes);
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
    fn sums(rows: &[(Pane, Number)], size: Pane, last: Pane) -> Vec<Value<'static>> {
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
                let groups = store.groups_mut();
                members.changed((touch.id, touch.group), pane, touch.new_pane, groups);
                groups.get_mut(touch.group)[0].add_number(number).expect("it fits");
            }
            let window = members.window(&mut store, &(end - size..end)).expect("it fits").to_vec();
            for (_, group) in window {
                told.push(store.groups().get(group)[0].value().into_owned());
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
        let rows = [(0, 1e17), (1, 1.0), (2, 2.0)].map(|(pane, sum)| (pane, Number::Float(sum)));
        let told = sums(&rows, 2, 4);
        assert_eq!(told, [1e17, 1e17 + 1.0, 3.0, 2.0].map(Value::Float));
    }

    #[test]
    fn a_late_row_counts_in_the_windows_that_are_still_open() {
        let rows = [(0, 1), (2, 4), (1, 2), (3, 8), (0, 16), (0, 32), (2, 64)];
        let told = [1, 1, 7, 127, 78, 76];
        let whole = rows.map(|(pane, sum)| (pane, Number::Int(sum.into())));
        assert_eq!(sums(&whole, 4, 6), told.map(|sum| Value::Int(sum.into())));
        let floats = rows.map(|(pane, sum)| (pane, Number::Float(sum.into())));
        assert_eq!(sums(&floats, 4, 6), told.map(|sum: i32| Value::Float(sum.into())));
        // From the first float on, the panes of a key stand in stacks.
        let mut mixed = whole;
        mixed[2].1 = Number::Float(2.0);
        let told = [Value::Int(1), Value::Int(1)].into_iter();
        let told = told.chain([7.0, 127.0, 78.0].map(Value::Float)).chain([Value::Int(76)]);
        assert_eq!(sums(&mixed, 4, 6), told.collect::<Vec<_>>());
    }

    #[test]
    fn a_total_beyond_64_bits_comes_back_when_it_has_left() {
        let max = i64::MAX;
        let rows = [(0, max), (1, max), (2, -max), (3, 5)];
        let rows = rows.map(|(pane, sum)| (pane, Number::Int(sum)));
        let beyond = Value::Text((i128::from(max) * 2).to_string().into_bytes().into());
        let told = [Value::Int(max), beyond, Value::Int(max), Value::Int(5), Value::Int(5 - max)];
        assert_eq!(sums(&rows, 3, 5), told);
    }
}
