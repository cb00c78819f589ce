//! Sessions: rows of a key that are at most a gap apart.
//!
//! A session of a partition is a pane that is called by its first time. When it closes, sessions
//! of the same key in other partitions that are no more than the gap away belong to it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;

use row::key::Key;
use smallvec::SmallVec;

use crate::aggregate::Aggregate;
use crate::changes::Slot;
use crate::results::{Halt, Sink, Telling};
use crate::sliding::bounds;
use crate::store::{Group, Id, Store};
use crate::window::Pane;

/// The sessions that are open.
#[derive(Debug)]
pub struct Sessions {
    gap: i64,
    /// Whether results say if they are final.
    early: bool,
    /// When to look at a session again: its end as it was then, its key, its first time.
    ends: BinaryHeap<Reverse<(i64, Id, Pane)>>,
}

/// A session over all partitions.
#[derive(Debug)]
struct Whole {
    /// From the first row to the gap after the last.
    span: Range<i64>,
    parts: Vec<(Id, Pane, Group)>,
}

impl Whole {
    /// Takes in what a partition has that is near, before and after the sessions that are `known`
    /// of it: sessions of one partition are apart, so these stand side by side.
    fn grow(&mut self, id: Id, known: &mut Range<Pane>, gap: i64, store: &Store) {
        let end = |group| last_of(group, store).saturating_add(gap);
        for (pane, group) in store.entry(id).panes(Pane::MIN..known.start).rev() {
            if end(group) < self.span.start {
                break;
            }
            known.start = pane;
            self.add(id, pane, group, end(group));
        }
        for (pane, group) in store.entry(id).panes(known.end..self.span.end.saturating_add(1)) {
            known.end = pane + 1;
            self.add(id, pane, group, end(group));
        }
    }

    fn add(&mut self, id: Id, first: Pane, group: Group, end: i64) {
        self.span = self.span.start.min(first)..self.span.end.max(end);
        self.parts.push((id, first, group));
    }

    /// The parts by their names, to be known again.
    fn names(&self) -> impl Iterator<Item = (Id, Pane)> {
        self.parts.iter().map(|&(id, first, _)| (id, first))
    }
}

impl Sessions {
    /// No rows yet.
    #[must_use]
    pub fn new(gap: i64, early: bool) -> Sessions {
        Sessions { gap, early, ends: BinaryHeap::new() }
    }

    /// When a session may close next; [`i64::MAX`] when there is none.
    #[inline]
    #[must_use]
    pub fn due(&self) -> i64 {
        self.ends.peek().map_or(i64::MAX, |&Reverse((end, ..))| end.saturating_add(1))
    }

    /// Whether a row of `key` at `time` is late when the time is `now`: it counts in a session
    /// that is still open, in whichever partition.
    #[inline]
    #[must_use]
    pub fn is_late(&self, key: Key<'_>, (time, now): (i64, i64), store: &Store) -> bool {
        time.saturating_add(self.gap) < now && !self.is_near(key, time, store)
    }

    #[cold]
    fn is_near(&self, key: Key<'_>, time: i64, store: &Store) -> bool {
        store.find_all(key).into_iter().any(|id| !self.near(id, time, store).is_empty())
    }

    /// The session that a row of `key` at `time` is added to.
    ///
    /// # Errors
    /// When a limit is reached, or a sum leaves 128 bits.
    #[inline]
    pub fn touch(
        &mut self,
        partition: usize,
        key: Key<'_>,
        time: i64,
        store: &mut Store,
    ) -> Result<Group, Halt> {
        if let Some(id) = store.find(partition, key)
            && let Some((first, group)) = store.entry(id).newest()
            && first <= time
            && time <= last_of(group, store).saturating_add(self.gap)
        {
            store.change(id, Slot::Pane(first), group);
            return Ok(group);
        }
        self.touch_other(partition, key, time, store)
    }

    /// [`Sessions::touch`] of a row that does not just prolong the newest session of its key.
    #[cold]
    fn touch_other(
        &mut self,
        partition: usize,
        key: Key<'_>,
        time: i64,
        store: &mut Store,
    ) -> Result<Group, Halt> {
        let (id, _) = store.find_or_make(partition, key)?;
        let near = self.near(id, time, store);
        let first = near.first().map_or(time, |&(first, _)| first.min(time));
        let touch = store.touch_own(id, first)?;
        // What is made of several may be one that `close` looks at by another of them alone.
        if touch.new_pane || near.len() > 1 {
            self.ends.push(Reverse((time.saturating_add(self.gap), id, first)));
        }
        for (pane, group) in near {
            if pane != first {
                store.groups_mut().merge(touch.group, group)?;
                store.cut(id, pane);
                store.let_go(id, pane, group);
            }
        }
        Ok(touch.group)
    }

    /// The sessions of a key that a row at `time` would belong to, oldest first.
    fn near(&self, id: Id, time: i64, store: &Store) -> SmallVec<[(Pane, Group); 4]> {
        let from = store.entry(id).panes(Pane::MIN..time.saturating_add(self.gap + 1));
        let near = from
            .rev()
            .take_while(|&(_, group)| last_of(group, store).saturating_add(self.gap) >= time);
        let mut near: SmallVec<_> = near.collect();
        near.reverse();
        near
    }

    /// Writes the sessions that end before `time`.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close<S: Sink>(&mut self, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let closed = self.take(time, tell.store);
        if closed.is_empty() {
            return Ok(());
        }
        self.write_final(closed, time - 1, tell)
    }

    /// Takes the sessions that end before `time` off their keys, in the order of results.
    fn take(&mut self, time: i64, store: &mut Store) -> Vec<Whole> {
        let mut closed = Vec::new();
        let mut open = HashSet::new();
        while let Some(&Reverse((end, id, first))) = self.ends.peek()
            && end < time
        {
            self.ends.pop();
            // One part is enough to look at the whole again.
            if open.contains(&(id, first)) {
                continue;
            }
            let Some((_, group)) = store.entry(id).panes(first..first + 1).next() else { continue };
            let whole = self.whole((id, first, group), store);
            if whole.span.end >= time {
                self.ends.push(Reverse((whole.span.end, id, first)));
                open.extend(whole.names());
                continue;
            }
            for (id, pane) in whole.names() {
                store.cut(id, pane);
            }
            closed.push(whole);
        }
        sort(&mut closed, store);
        closed
    }

    /// Writes, before they end, the sessions that began before `time`.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn early<S: Sink>(&mut self, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let mut open = Vec::new();
        let mut seen = HashSet::new();
        for id in tell.store.ids() {
            for (first, group) in tell.store.entry(id).all_panes() {
                // Each of its parts leads to the whole.
                if seen.contains(&(id, first)) {
                    continue;
                }
                let whole = self.whole((id, first, group), tell.store);
                if whole.parts.len() > 1 {
                    seen.extend(whole.names());
                }
                if whole.span.start < time {
                    open.push(whole);
                }
            }
        }
        sort(&mut open, tell.store);
        self.write(&open, false, tell)
    }

    fn write<S: Sink>(
        &self,
        sessions: &[Whole],
        is_final: bool,
        tell: &mut Telling<'_, S>,
    ) -> Result<(), Halt> {
        for whole in sessions {
            let parts: Vec<(Id, Group)> =
                whole.parts.iter().map(|&(id, _, group)| (id, group)).collect();
            let bounds = bounds(&whole.span, self.early.then_some(is_final));
            tell.results.write_parts(tell.store, &parts, &bounds, tell.sink)?;
        }
        Ok(())
    }

    /// Writes sessions that were taken off their keys, the last ones until `told`.
    fn write_final<S: Sink>(
        &self,
        closed: Vec<Whole>,
        told: i64,
        tell: &mut Telling<'_, S>,
    ) -> Result<(), Halt> {
        self.write(&closed, true, tell)?;
        tell.sink.told(told);
        for (id, pane, group) in closed.into_iter().flat_map(|whole| whole.parts) {
            tell.let_go(id, pane, group);
        }
        Ok(())
    }

    /// Writes all sessions.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close_all<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let mut closed = self.take(i64::MAX, tell.store).into_iter().peekable();
        while let Some(first) = closed.next() {
            let end = first.span.end;
            let mut same = vec![first];
            same.extend(std::iter::from_fn(|| closed.next_if(|next| next.span.end == end)));
            self.write_final(same, end, tell)?;
        }
        Ok(())
    }

    /// The session that a part of it in one partition belongs to: parts grow together with those
    /// of other partitions that are near, until none is.
    fn whole(&self, part: (Id, Pane, Group), store: &Store) -> Whole {
        let (id, first, group) = part;
        let end = last_of(group, store).saturating_add(self.gap);
        let mut whole = Whole { span: first..end, parts: vec![part] };
        let siblings = store.siblings(id);
        if siblings.len() == 1 {
            return whole;
        }
        let beyond = end.saturating_add(1);
        let known = |&sibling: &Id| if sibling == id { first..first + 1 } else { beyond..beyond };
        let mut known: SmallVec<[Range<Pane>; 4]> = siblings.iter().map(known).collect();
        let mut before = 0;
        while std::mem::replace(&mut before, whole.parts.len()) < whole.parts.len() {
            for (&sibling, known) in siblings.iter().zip(&mut known) {
                whole.grow(sibling, known, self.gap, store);
            }
        }
        let place = |&(id, pane, _): &(Id, Pane, Group)| (store.entry(id).partition, pane);
        whole.parts.sort_by_key(place);
        whole
    }

    /// A snapshot has a session of this key.
    pub fn restored(&mut self, id: Id, first: Pane, group: Group, store: &Store) {
        let end = last_of(group, store).saturating_add(self.gap);
        self.ends.push(Reverse((end, id, first)));
    }
}

/// Sorts sessions by their end, their start and their key.
fn sort(sessions: &mut [Whole], store: &Store) {
    sessions.sort_by(|one, other| {
        let by_key = || store.order(one.parts[0].0, other.parts[0].0);
        let span = |whole: &Whole| (whole.span.end, whole.span.start);
        span(one).cmp(&span(other)).then_with(by_key)
    });
}

/// The last time of a session.
#[inline]
fn last_of(group: Group, store: &Store) -> i64 {
    let extent = store.groups().get(group).last().and_then(Aggregate::extent);
    // A session without rows is one that the first is about to be added to.
    extent.map_or(i64::MIN, |(_, last, _)| last)
}
