//! What changed since the last snapshot.
//!
//! A snapshot is taken of a *slot*: a pane of a key, or what the key has beside its panes. A mark
//! on each group of aggregates says whether it changed since, and whether an earlier snapshot has
//! it; so a slot is noted once, however many rows change it.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::store::Id;
use crate::window::Pane;

/// The group was changed and is noted.
const CHANGED: u8 = 1;
/// The group is in a snapshot.
const STORED: u8 = 2;

/// A part of what is kept of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// What it has beside its panes.
    Rest,
    /// A pane.
    Pane(Pane),
}

/// A slot that a snapshot has and that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The input partition.
    pub partition: usize,
    /// The key, as `row::key` writes it.
    pub key: SmallVec<[u8; 24]>,
    /// The slot.
    pub slot: Slot,
}

/// Notes of changes.
#[derive(Debug, Default)]
pub struct Changes {
    changed: Vec<(Id, Slot)>,
    gone: Vec<Gone>,
    /// The marks of what keys have beside their panes; these have no group of their own to mark.
    rests: HashMap<Id, u8>,
}

impl Changes {
    /// A group in a slot changes.
    #[inline]
    pub fn change(&mut self, id: Id, slot: Slot, mark: &mut u8) {
        if *mark & CHANGED == 0 {
            *mark |= CHANGED;
            self.changed.push((id, slot));
        }
    }

    /// What a key has beside its panes changes.
    pub fn change_rest(&mut self, id: Id) {
        let mark = self.rests.entry(id).or_default();
        if *mark & CHANGED == 0 {
            *mark |= CHANGED;
            self.changed.push((id, Slot::Rest));
        }
    }

    /// A group with this mark has left its slot.
    pub fn forget(&mut self, partition: usize, key: &[u8], slot: Slot, mark: u8) {
        if mark & STORED != 0 {
            self.gone.push(Gone { partition, key: SmallVec::from_slice(key), slot });
        }
    }

    /// A key is gone with what it had beside its panes.
    pub fn forget_rest(&mut self, id: Id, partition: usize, key: &[u8]) {
        if let Some(mark) = self.rests.remove(&id) {
            self.forget(partition, key, Slot::Rest, mark);
        }
    }

    /// What is gone since the last snapshot.
    pub fn take_gone(&mut self) -> Vec<Gone> {
        std::mem::take(&mut self.gone)
    }

    /// The slots that were changed since the last snapshot, some perhaps more than once.
    pub fn take_changed(&mut self) -> Vec<(Id, Slot)> {
        std::mem::take(&mut self.changed)
    }

    /// Whether a group has to be stored; it is, from now on.
    pub fn store(mark: &mut u8) -> bool {
        let changed = *mark & CHANGED != 0;
        if changed {
            *mark = STORED;
        }
        changed
    }

    /// [`Changes::store`] for what a key has beside its panes.
    pub fn take_rest(&mut self, id: Id) -> bool {
        self.rests.get_mut(&id).is_some_and(Changes::store)
    }

    /// A snapshot has this group.
    pub fn stored(mark: &mut u8) {
        *mark = STORED;
    }

    /// A snapshot has what the key has beside its panes.
    pub fn rest_stored(&mut self, id: Id) {
        self.rests.insert(id, STORED);
    }
}
