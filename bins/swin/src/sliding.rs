//! Windows of one size, one at every step: tumbling and hopping.

use std::ops::Range;

use row::value::Value;
use smallvec::SmallVec;

use crate::results::{Halt, Sink, Telling};
use crate::slide::{Members, Stacks};
use crate::store::{Group, Groups, Id, Touch};
use crate::window::{Aligned, Pane, Place};

/// Empty windows that are written in a row before something must be wrong.
const EMPTY_MAX: u32 = 100_000;

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

/// The windows that are open, and when they are written.
#[derive(Debug)]
pub struct Sliding {
    window: Aligned,
    /// Whether windows are aligned to the first time seen, which is not known yet.
    floats: bool,
    /// Whether every window is one pane.
    single: bool,
    /// Whether results say if they are final.
    early: bool,
    empty: Empty,
    members: Members,
    /// The end of the next window; [`i64::MAX`] when there is none to be written.
    due: i64,
    /// The least time seen, which what is told without rows begins at; [`i64::MIN`] when that
    /// has begun, or nothing is told without rows.
    begins: i64,
    empty_in_a_row: u32,
}

impl Sliding {
    /// No rows yet. Windows that are not `early` are one pane when they tumble; when they
    /// `float`, they are aligned to the first time seen.
    #[must_use]
    pub fn new(window: Aligned, early: bool, floats: bool, empty: Empty) -> Sliding {
        Sliding {
            single: window.is_tumbling() && !early,
            window,
            floats,
            early,
            empty,
            members: Members::default(),
            due: i64::MAX,
            begins: if empty == Empty::Silent { i64::MIN } else { i64::MAX },
            empty_in_a_row: 0,
        }
    }

    /// The end of the next window; [`i64::MAX`] when there is none.
    #[inline]
    #[must_use]
    pub fn due(&self) -> i64 {
        self.due
    }

    /// The windows as they are aligned; none when that is not known yet.
    #[must_use]
    pub fn window(&self) -> Option<&Aligned> {
        (!self.floats).then_some(&self.window)
    }

    /// The windows of a snapshot.
    pub fn align(&mut self, origin: i64) {
        self.window = self.window.with_origin(origin);
        self.floats = false;
    }

    /// Sees a time while it is `now`: windows may be aligned to it, and those without rows are
    /// told from the least time on that was seen before anything was told, as rows come out of
    /// order, and those of one partition after those of another. Returns whether the windows
    /// were aligned.
    #[inline]
    pub fn see(&mut self, time: i64, now: i64) -> bool {
        let aligned = self.floats;
        if aligned {
            self.window = self.window.starting_at(time);
            self.floats = false;
        }
        if time < self.begins {
            self.begins = time;
            self.due = self.due.min(self.first_due(time, now));
        }
        aligned
    }

    /// When a row at `time` is due first, if it is open.
    fn first_due(&self, time: i64, now: i64) -> i64 {
        self.window.first_end(time).max(self.window.first_end(now))
    }

    /// A row will change a pane that its key had already.
    #[inline]
    pub fn changed(&mut self, key: (Id, Group), place: Place, of: &mut Groups) {
        if !self.single {
            self.members.changed(key, place.from, false, of);
        }
    }

    /// A row at `time` in `place` has touched a pane, which it will change. Whether a window may
    /// be due earlier now.
    pub fn touched(
        &mut self,
        touch: Touch,
        place: Place,
        (time, now): (i64, i64),
        of: &mut Groups,
    ) -> bool {
        if !self.single {
            self.members.changed((touch.id, touch.group), place.from, touch.new_pane, of);
        }
        // No window with the pane ends before it does.
        let earlier = touch.new_pane && self.due > place.to.saturating_add(1);
        if earlier {
            self.due = self.due.min(self.first_due(time, now));
        }
        earlier
    }

    /// Writes the windows that end by `time`.
    ///
    /// # Errors
    /// When a result has no value, or windows stay empty for too long.
    pub fn close<S: Sink>(&mut self, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        while self.due <= time {
            self.begins = i64::MIN;
            self.tell_window(tell)?;
        }
        Ok(())
    }

    /// Writes all windows that have rows.
    ///
    /// # Errors
    /// As [`Sliding::close`].
    pub fn close_all<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        while tell.store.oldest_pane().is_some() {
            self.tell_window(tell)?;
        }
        Ok(())
    }

    /// Writes the window that is due, and finds the next one.
    fn tell_window<S: Sink>(&mut self, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let end = self.due;
        let windows: SmallVec<[Range<i64>; 1]> = self.window.ending_at(end).collect();
        for panes in windows {
            let bounds = bounds(&panes, self.early.then_some(true));
            let empty = if self.single {
                Sliding::tell_pane(&panes, &bounds, tell)?
            } else {
                self.tell_panes(&panes, &bounds, tell)?
            };
            self.count_empty(empty)?;
            if empty && self.empty == Empty::Zeros {
                let nothing = tell.results.query().empty();
                tell.results.write_row(0, &bounds, &[], &nothing, tell.sink)?;
            }
        }
        tell.sink.told(end);
        let next = self.window.next_end(end);
        if !self.single {
            self.members.retire(tell.store, self.window.start_of(next));
        }
        self.due = match tell.store.oldest_pane() {
            _ if self.empty != Empty::Silent => next,
            Some(pane) => self.window.first_end(pane).max(next),
            None => i64::MAX,
        };
        Ok(())
    }

    /// Writes a window that is one pane; returns whether it was empty.
    fn tell_pane<S: Sink>(
        panes: &Range<Pane>,
        bounds: &[Value<'_>],
        tell: &mut Telling<'_, S>,
    ) -> Result<bool, Halt> {
        let Some((pane, mut results)) = tell.store.take_pane(panes.end) else { return Ok(true) };
        tell.store.sort(&mut results);
        tell.write(&results, panes.end, bounds)?;
        tell.store.let_all_go(pane, &results);
        Ok(false)
    }

    /// Writes a window of several panes; returns whether it was empty.
    fn tell_panes<S: Sink>(
        &mut self,
        panes: &Range<Pane>,
        bounds: &[Value<'_>],
        tell: &mut Telling<'_, S>,
    ) -> Result<bool, Halt> {
        let results = self.members.window(tell.store, panes)?;
        tell.write(results, panes.end, bounds)?;
        Ok(results.is_empty())
    }

    fn count_empty(&mut self, empty: bool) -> Result<(), Halt> {
        self.empty_in_a_row = if empty { self.empty_in_a_row + 1 } else { 0 };
        if self.empty_in_a_row > EMPTY_MAX { Err(Halt::Empty(EMPTY_MAX)) } else { Ok(()) }
    }

    /// Writes, before their ends, the windows that are open at `time`, of the rows before it.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn early<S: Sink>(&mut self, time: i64, tell: &mut Telling<'_, S>) -> Result<(), Halt> {
        let mut windows = self.window.open_at(time).peekable();
        let Some(longest) = windows.peek() else { return Ok(()) };
        let mut ids: Vec<Id> = tell.store.touched(longest.start..time).flatten().copied().collect();
        ids.sort_unstable_by(|&one, &other| tell.store.order(one, other));
        ids.dedup();
        let mut keys: Vec<(Id, Stacks)> = Vec::with_capacity(ids.len());
        keys.extend(ids.into_iter().map(|id| (id, Stacks::default())));
        // All windows reach to this time, and each starts after the one before: what was merged
        // for the longest one is used in all, and where no key is left, none comes again.
        for window in windows {
            let panes = window.start..time;
            let store = &mut *tell.store;
            keys.retain_mut(|(id, stacks)| {
                let stays = store.entry(*id).panes(panes.clone()).next().is_some();
                if !stays {
                    stacks.clear(store.groups_mut());
                }
                stays
            });
            if keys.is_empty() {
                break;
            }
            let mut results: Vec<(Id, Group)> = Vec::with_capacity(keys.len());
            for (id, stacks) in &mut keys {
                let (entry, groups) = store.entry_and_groups(*id);
                results.push((*id, stacks.merge(entry, groups, &panes)?));
            }
            tell.write(&results, time, &bounds(&window, Some(false)))?;
            for (_, group) in results {
                tell.store.groups_mut().give(group);
            }
        }
        for (_, stacks) in &mut keys {
            stacks.clear(tell.store.groups_mut());
        }
        Ok(())
    }

    /// When the next window without rows is due, and the least time seen unless such a one was
    /// written already, for a snapshot.
    #[must_use]
    pub fn next_empty(&self) -> Option<(i64, i64)> {
        (self.empty != Empty::Silent && self.due != i64::MAX).then_some((self.due, self.begins))
    }

    /// A snapshot was loaded: rows since `oldest` are there, windows that end by `told` were
    /// written, and windows without rows are due from `empty` on.
    pub fn restored(&mut self, oldest: Option<Pane>, told: i64, empty: Option<(i64, i64)>) {
        if let Some(pane) = oldest {
            self.due = self.due.min(self.first_due(pane, told));
        }
        if let Some(empty) = empty
            && self.empty != Empty::Silent
        {
            (self.due, self.begins) = empty;
        }
    }
}

/// The columns of a window, with whether a result is final when results say that.
pub fn bounds(window: &Range<i64>, is_final: Option<bool>) -> Vec<Value<'static>> {
    let mut bounds = vec![Value::Int(window.start), Value::Int(window.end)];
    bounds.extend(is_final.map(Value::Bool));
    bounds
}
