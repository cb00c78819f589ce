//! Sessions: rows of a key that are at most a gap apart.
//!
//! A session of a partition is a pane that is called by its first time. When it closes, sessions
//! of the same key in other partitions that are no more than the gap away belong to it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
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
        if touch.new_pane {
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
        let until = time.saturating_add(self.gap);
        let newest_first = store.entry(id).all_panes().rev();
        let near = newest_first
            .skip_while(|&(first, _)| first > until)
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
        let mut closed = Vec::new();
        while let Some(&Reverse((end, id, first))) = self.ends.peek()
            && end < time
        {
            self.ends.pop();
            let store = &mut *tell.store;
            let Some((_, group)) = store.entry(id).panes(first..first + 1).next() else { continue };
            let whole = self.whole((id, first, group), store);
            if whole.span.end >= time {
                self.ends.push(Reverse((whole.span.end, id, first)));
                continue;
            }
            for &(id, pane, _) in &whole.parts {
                store.cut(id, pane);
            }
            closed.push(whole);
        }
        self.write(&mut closed, Some(true), time, tell)?;
        for whole in closed {
            for (id, pane, group) in whole.parts {
                tell.let_go(id, pane, group);
            }
        }
        Ok(())
    }

    /// Writes, before they end, the sessions that began before `time`.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn early<S: Sink>(&mut self, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let mut open = Vec::new();
        for id in tell.store.ids() {
            for (first, group) in tell.store.entry(id).all_panes() {
                let whole = self.whole((id, first, group), tell.store);
                // Each of its parts leads to the whole; the lowest one writes it.
                if whole
                    .parts
                    .first()
                    .is_some_and(|&(lowest, pane, _)| (lowest, pane) == (id, first))
                    && whole.span.start < time
                {
                    open.push(whole);
                }
            }
        }
        self.write(&mut open, Some(false), time, tell)
    }

    fn write<S: Sink>(
        &self,
        sessions: &mut [Whole],
        is_final: Option<bool>,
        time: i64,
        tell: &mut Telling<'_, S>,
    ) -> Result<(), Halt> {
        sessions.sort_by(|one, other| {
            let by_key = || tell.store.order(one.parts[0].0, other.parts[0].0);
            let span = |whole: &Whole| (whole.span.end, whole.span.start);
            span(one).cmp(&span(other)).then_with(by_key)
        });
        for whole in &*sessions {
            let parts: Vec<(Id, Group)> =
                whole.parts.iter().map(|&(id, _, group)| (id, group)).collect();
            let bounds = bounds(&whole.span, is_final.filter(|_| self.early));
            tell.results.write_parts(tell.store, &parts, &bounds, tell.sink)?;
        }
        if !sessions.is_empty() && is_final == Some(true) {
            tell.sink.told(time - 1);
        }
        Ok(())
    }

    /// Writes all sessions.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn close_all<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        while let Some(&Reverse((end, ..))) = self.ends.peek() {
            self.close(end.saturating_add(1), tell)?;
        }
        Ok(())
    }

    /// The session that a part of it in one partition belongs to: parts grow together with those
    /// of other partitions that are near, until none is.
    fn whole(&self, part: (Id, Pane, Group), store: &Store) -> Whole {
        let (id, first, group) = part;
        let end = |group| last_of(group, store).saturating_add(self.gap);
        let mut whole = Whole { span: first..end(group), parts: vec![part] };
        let siblings = store.siblings(id);
        if siblings.len() == 1 {
            return whole;
        }
        let mut grown = true;
        while std::mem::take(&mut grown) {
            for &sibling in &siblings {
                for (pane, group) in store.entry(sibling).all_panes() {
                    let near = pane <= whole.span.end && end(group) >= whole.span.start;
                    let known =
                        whole.parts.iter().any(|&(id, first, _)| (id, first) == (sibling, pane));
                    if near && !known {
                        whole.span.start = whole.span.start.min(pane);
                        whole.span.end = whole.span.end.max(end(group));
                        whole.parts.push((sibling, pane, group));
                        grown = true;
                    }
                }
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

/// The last time of a session.
#[inline]
fn last_of(group: Group, store: &Store) -> i64 {
    let extent = store.groups().get(group).last().and_then(Aggregate::extent);
    // A session without rows is one that the first is about to be added to.
    extent.map_or(i64::MIN, |(_, last, _)| last)
}
