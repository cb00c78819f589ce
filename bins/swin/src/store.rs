//! What is kept for every key of every input partition: aggregates by pane.
//!
//! Keys are numbered, and a key holds the numbers of its aggregates, which stand one group after
//! the other in one vector: a row costs one look-up and one group, however many keys and panes
//! there are.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher as _;
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use row::key::Key;
use row::value::Fault;
use smallvec::SmallVec;

use crate::aggregate::Aggregate;
use crate::window::Pane;

/// The number of a key of a partition.
pub type Id = u32;

/// The number of a group of aggregates.
pub type Group = u32;

/// Keys, with their aggregates by pane.
#[derive(Debug)]
pub struct Store {
    table: HashTable<Id>,
    hasher: FixedState,
    entries: Vec<Entry>,
    free: Vec<Id>,
    groups: Groups,
    /// The keys that have something in a pane.
    touched: BTreeMap<Pane, Vec<Id>>,
    keys_max: usize,
}

/// A key of a partition.
#[derive(Debug)]
pub struct Entry {
    /// The number of the input partition.
    pub partition: usize,
    /// The key as `row::key` writes it.
    pub key: SmallVec<[u8; 24]>,
    /// The newest pane stands apart: nearly all rows go there.
    newest: Option<(Pane, Group)>,
    older: VecDeque<(Pane, Group)>,
}

impl Entry {
    /// The key's aggregates in `panes`, oldest first.
    #[must_use]
    pub fn panes(&self, panes: Range<Pane>) -> impl DoubleEndedIterator<Item = (Pane, Group)> {
        let first = self.older.partition_point(|&(pane, _)| pane < panes.start);
        let from_first = self.older.range(first..).copied().chain(self.newest);
        from_first.filter(move |(pane, _)| panes.contains(pane))
    }
}

/// What a row changed.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// The key.
    pub id: Id,
    /// The aggregates of the key in the row's pane.
    pub group: Group,
    /// Whether the key is new.
    pub new_key: bool,
    /// Whether the key had nothing in this pane before.
    pub new_pane: bool,
}

impl Store {
    /// An empty store for at most `keys_max` keys with aggregates as in `empty`.
    #[must_use]
    pub fn new(empty: Vec<Aggregate>, keys_max: usize) -> Store {
        Store {
            table: HashTable::new(),
            hasher: FixedState::with_seed(0),
            entries: Vec::new(),
            free: Vec::new(),
            groups: Groups { empty, cells: Vec::new(), free: Vec::new() },
            touched: BTreeMap::new(),
            keys_max,
        }
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        let empty = std::mem::take(&mut self.groups.empty);
        *self = Store::new(empty, self.keys_max);
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The entry of a key.
    #[must_use]
    pub fn entry(&self, id: Id) -> &Entry {
        &self.entries[id as usize]
    }

    /// The groups of aggregates.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The groups of aggregates, to be changed.
    #[inline]
    pub fn groups_mut(&mut self) -> &mut Groups {
        &mut self.groups
    }

    /// An entry and the groups, to look at the one while changing the other.
    pub fn entry_and_groups(&mut self, id: Id) -> (&Entry, &mut Groups) {
        (&self.entries[id as usize], &mut self.groups)
    }

    /// The oldest pane that has something.
    #[must_use]
    pub fn oldest_pane(&self) -> Option<Pane> {
        self.touched.first_key_value().map(|(&pane, _)| pane)
    }

    /// The keys that have something in `panes`, pane by pane.
    pub fn touched(&self, panes: Range<Pane>) -> impl Iterator<Item = &[Id]> {
        // An empty range would be a mistake to the tree, and is none here.
        let panes = panes.start..panes.end.max(panes.start);
        self.touched.range(panes).map(|(_, ids)| ids.as_slice())
    }

    /// Finds or makes the aggregates of `key` in `pane`; `None` when it would be a key too many.
    #[inline]
    pub fn touch(&mut self, partition: usize, key: Key<'_>, pane: Pane) -> Option<Touch> {
        let hash = hash_key(&self.hasher, partition, key);
        let entries = &self.entries;
        let found = self.table.find(hash, |&id| {
            let entry = &entries[id as usize];
            entry.partition == partition && Key::new(&entry.key) == key
        });
        if let Some(&id) = found {
            if let Some((newest, group)) = self.entries[id as usize].newest
                && newest == pane
            {
                return Some(Touch { id, group, new_key: false, new_pane: false });
            }
            return Some(self.touch_pane(id, pane, false));
        }
        let id = self.insert(partition, key, hash)?;
        Some(self.touch_pane(id, pane, true))
    }

    #[cold]
    fn insert(&mut self, partition: usize, key: Key<'_>, hash: u64) -> Option<Id> {
        if self.keys() >= self.keys_max {
            return None;
        }
        let mut bytes = SmallVec::with_capacity(key.rest().len() + 1);
        bytes.push(key.tag());
        bytes.extend_from_slice(key.rest());
        let entry = Entry { partition, key: bytes, newest: None, older: VecDeque::new() };
        let id = if let Some(id) = self.free.pop() {
            self.entries[id as usize] = entry;
            id
        } else {
            self.entries.push(entry);
            Id::try_from(self.entries.len() - 1).ok()?
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.table.insert_unique(hash, id, |&id| hash_of(hasher, &entries[id as usize]));
        Some(id)
    }

    fn touch_pane(&mut self, id: Id, pane: Pane, new_key: bool) -> Touch {
        let entry = &mut self.entries[id as usize];
        let place = match entry.newest {
            Some((newest, _)) if newest < pane => Err(entry.older.len()),
            None => Err(0),
            Some(_) => entry.older.binary_search_by_key(&pane, |&(pane, _)| pane),
        };
        let at = match place {
            Ok(at) => {
                let group = entry.older[at].1;
                return Touch { id, group, new_key, new_pane: false };
            }
            Err(at) => at,
        };
        let group = self.groups.make();
        match entry.newest {
            Some((newest, _)) if newest > pane => entry.older.insert(at, (pane, group)),
            newest => {
                entry.older.extend(newest);
                entry.newest = Some((pane, group));
            }
        }
        self.touched.entry(pane).or_default().push(id);
        Touch { id, group, new_key, new_pane: true }
    }

    /// Takes the oldest pane off, if it is before `to`: its keys, each with its aggregates. The
    /// caller gives the groups back, and the keys that are [`Store::is_bare`] then.
    pub fn take_pane(&mut self, to: Pane) -> Option<Vec<(Id, Group)>> {
        let oldest = self.touched.first_entry().filter(|oldest| *oldest.key() < to)?;
        let (pane, ids) = oldest.remove_entry();
        let mut taken = Vec::with_capacity(ids.len());
        for id in ids {
            let entry = &mut self.entries[id as usize];
            let group = match entry.older.front() {
                Some(&(older, group)) if older == pane => {
                    entry.older.pop_front();
                    Some(group)
                }
                _ => entry.newest.take().map(|(_, group)| group),
            };
            taken.extend(group.map(|group| (id, group)));
        }
        Some(taken)
    }

    /// Whether a key has nothing in any pane.
    #[must_use]
    pub fn is_bare(&self, id: Id) -> bool {
        self.entries[id as usize].newest.is_none()
    }

    /// Forgets a key.
    pub fn remove(&mut self, id: Id) {
        let hash = hash_of(&self.hasher, &self.entries[id as usize]);
        if let Ok(occupied) = self.table.find_entry(hash, |&other| other == id) {
            occupied.remove();
            self.free.push(id);
        }
    }

    /// How two keys are sorted: by their bytes, equal ones by partition.
    #[must_use]
    pub fn order(&self, one: Id, other: Id) -> std::cmp::Ordering {
        let (one, other) = (self.entry(one), self.entry(other));
        one.key.cmp(&other.key).then(one.partition.cmp(&other.partition))
    }
}

#[inline]
fn hash_key(hasher: &FixedState, partition: usize, key: Key<'_>) -> u64 {
    hasher.hash_one(key.rest()) ^ partition as u64 ^ u64::from(key.tag()) << 8
}

fn hash_of(hasher: &FixedState, entry: &Entry) -> u64 {
    hash_key(hasher, entry.partition, Key::new(&entry.key))
}

/// Groups of aggregates, one for each key and pane, and as many more as a window needs.
#[derive(Debug)]
pub struct Groups {
    /// A group of nothing.
    empty: Vec<Aggregate>,
    cells: Vec<Aggregate>,
    free: Vec<Group>,
}

impl Groups {
    /// A new group of nothing.
    pub fn make(&mut self) -> Group {
        let width = self.empty.len();
        if let Some(group) = self.free.pop() {
            let cells = &mut self.cells[group as usize * width..][..width];
            cells.clone_from_slice(&self.empty);
            return group;
        }
        // A query has at least one aggregate.
        let group = self.cells.len() / width;
        self.cells.extend_from_slice(&self.empty);
        Group::try_from(group).unwrap_or(Group::MAX)
    }

    /// Gives a group back.
    pub fn give(&mut self, group: Group) {
        self.free.push(group);
    }

    /// The aggregates of a group.
    #[inline]
    #[must_use]
    pub fn get(&self, group: Group) -> &[Aggregate] {
        let width = self.empty.len();
        &self.cells[group as usize * width..][..width]
    }

    /// The aggregates of a group, to be changed.
    #[inline]
    pub fn get_mut(&mut self, group: Group) -> &mut [Aggregate] {
        let width = self.empty.len();
        &mut self.cells[group as usize * width..][..width]
    }

    /// Merges a group into another.
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    pub fn merge(&mut self, into: Group, from: Group) -> Result<(), Fault> {
        let width = self.empty.len();
        let (into, from) = (into as usize * width, from as usize * width);
        // The two groups never overlap, so one of them ends before the other starts.
        let (low, high) = self.cells.split_at_mut(into.max(from));
        let (into, from) =
            if into < from { (&mut low[into..], &high[..]) } else { (high, &low[from..]) };
        merge(&mut into[..width], &from[..width])
    }
}

/// Merges aggregates into others, one by one.
///
/// # Errors
/// When a sum leaves 128 bits.
pub fn merge(into: &mut [Aggregate], from: &[Aggregate]) -> Result<(), Fault> {
    into.iter_mut().zip(from).try_for_each(|(into, from)| into.merge(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Function;

    fn store() -> Store {
        Store::new(vec![Function::CountRows.empty()], 3)
    }

    #[test]
    fn panes_of_a_key_stay_sorted_whatever_the_order_of_rows() {
        let mut store = store();
        let id = store.touch(0, Key::new(b"k"), 5).expect("room").id;
        for pane in [7, 3, 6, 3, 7] {
            store.touch(0, Key::new(b"k"), pane).expect("room");
        }
        let panes: Vec<Pane> = store.entry(id).panes(3..7).map(|(pane, _)| pane).collect();
        assert_eq!(panes, [3, 5, 6]);
        assert_eq!(store.oldest_pane(), Some(3));
    }

    #[test]
    fn a_key_is_its_own_in_every_partition() {
        let mut store = store();
        let one = store.touch(0, Key::new(b"k"), 0).expect("room");
        let other = store.touch(1, Key::new(b"k"), 0).expect("room");
        assert!(one.id != other.id && other.new_key);
        assert!(!store.touch(0, Key::new(b"k"), 1).expect("room").new_key);
    }

    #[test]
    fn taken_panes_leave_bare_keys_that_can_go() {
        let mut store = store();
        let id = store.touch(0, Key::new(b"k"), 0).expect("room").id;
        store.touch(0, Key::new(b"k"), 2).expect("room");
        assert_eq!(store.take_pane(2).expect("pane 0").len(), 1);
        assert!(store.take_pane(2).is_none() && !store.is_bare(id));
        let taken = store.take_pane(3).expect("pane 2");
        assert!(store.is_bare(id));
        store.groups_mut().give(taken[0].1);
        store.remove(id);
        assert_eq!(store.keys(), 0);
        assert!(store.touch(0, Key::new(b"k"), 9).expect("room").new_key);
    }

    #[test]
    fn a_key_too_many_is_refused() {
        let mut store = store();
        for key in [b"a", b"b", b"c"] {
            assert!(store.touch(0, Key::new(key), 0).is_some());
        }
        assert!(store.touch(0, Key::new(b"d"), 0).is_none());
        assert!(store.touch(0, Key::new(b"a"), 1).is_some());
    }
}
