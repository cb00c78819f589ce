//! What is kept for every key of every input partition: aggregates by pane.
//!
//! Keys are numbered, and a key holds the numbers of its aggregates, which stand one group after
//! the other in one vector: a row costs one look-up and one group, however many keys and panes
//! there are. Beside its panes a key may have a *rest*: what was folded together of panes that are
//! no longer kept apart, and one flag, whose meaning is the window's.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::hint::black_box;
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use row::key::Key;
use row::value::Fault;
use smallvec::SmallVec;

use crate::aggregate::Aggregate;
use crate::batch::{self, Row};
use crate::changes::{Changes, Slot};
use crate::recent::Recent;
use crate::window::Pane;

/// The number of a key of a partition.
pub type Id = u32;

/// The number of a group of aggregates.
pub type Group = u32;

/// Keys, with their aggregates by pane.
#[derive(Debug)]
pub struct Store {
    table: HashTable<Place>,
    /// Where nearly all rows find their key without the table.
    recent: Recent,
    hasher: FixedState,
    entries: Vec<Entry>,
    free: Vec<Id>,
    /// The keys that had nothing left when a window ended, and how many of them still have nothing.
    spare: Vec<Id>,
    spare_count: usize,
    /// Bytes of the keys themselves.
    key_bytes: usize,
    groups: Groups,
    /// The keys that have something in a pane.
    touched: BTreeMap<Pane, Vec<Id>>,
    /// The panes that stand apart from the others of their keys, and in no order.
    apart: HashMap<(Id, Pane), Group>,
    limits: Limits,
    /// How many input partitions have had keys, at least.
    partitions: usize,
    /// What changed since the last snapshot, when snapshots are taken.
    changes: Option<Changes>,
}

/// What may be held at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Keys, of all input partitions together.
    pub keys: usize,
    /// Bytes, as far as they are known: of keys, panes, and what aggregates hold.
    pub bytes: usize,
}

/// The limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Of keys.
    Keys(usize),
    /// Of bytes.
    Bytes(usize),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Full::Keys(max) => {
                write!(f, "more than {max} keys at a time; --max-keys allows more")
            }
            Full::Bytes(max) => {
                write!(f, "the rows kept take more than {max} bytes; --max-memory allows more")
            }
        }
    }
}

/// A key in the table: its hash, so that other keys are not looked at, and its number.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    id: Id,
}

/// A key of a partition, in the 64 bytes that memory is read by: a row of a key that is not in
/// the cache waits for one read of it.
#[derive(Debug)]
#[repr(align(64))]
pub struct Entry {
    /// The number of the input partition.
    pub partition: usize,
    /// The key as `row::key` writes it.
    pub key: SmallVec<[u8; 24]>,
    /// The newest pane stands apart: nearly all rows go there. There is none when its group is
    /// [`NONE`].
    newest_pane: Pane,
    newest_group: Group,
    /// Whether the key has nothing, and is only kept because it may come again.
    spare: bool,
    /// What few rows ask for.
    side: Option<Box<Side>>,
}

/// What a cache holds that is near to the processor.
const CACHE_BYTES: usize = 1 << 20;

/// The number of no group.
const NONE: Group = Group::MAX;

/// Panes of a key, oldest first.
type Panes<'e> = &'e [(Pane, Group)];

/// What a key has beside its newest pane.
#[derive(Debug, Default)]
struct Side {
    older: VecDeque<(Pane, Group)>,
    /// What is kept beside the panes.
    rest: Rest,
}

/// What a key has beside its panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Aggregates of what is no longer kept apart.
    pub group: Option<Group>,
    /// Whether there is something to remember of the key; what, is the window's.
    pub flag: bool,
}

impl Entry {
    fn new(partition: usize, key: SmallVec<[u8; 24]>) -> Entry {
        Entry { partition, key, newest_pane: 0, newest_group: NONE, spare: false, side: None }
    }

    /// The key's aggregates in `panes`, oldest first.
    #[must_use]
    pub fn panes(&self, panes: Range<Pane>) -> impl DoubleEndedIterator<Item = (Pane, Group)> {
        let (front, back) = self.older();
        let older = within(front, &panes).iter().chain(within(back, &panes));
        older.copied().chain(self.newest()).filter(move |(pane, _)| panes.contains(pane))
    }

    /// All panes of the key, oldest first.
    #[must_use]
    pub fn all_panes(&self) -> impl DoubleEndedIterator<Item = (Pane, Group)> {
        let (front, back) = self.older();
        front.iter().chain(back).copied().chain(self.newest())
    }

    /// All panes but the newest, oldest first, in two pieces.
    fn older(&self) -> (Panes<'_>, Panes<'_>) {
        self.side.as_ref().map_or((&[], &[]), |side| side.older.as_slices())
    }

    /// The newest pane.
    #[inline]
    #[must_use]
    pub fn newest(&self) -> Option<(Pane, Group)> {
        (self.newest_group != NONE).then_some((self.newest_pane, self.newest_group))
    }

    /// The oldest pane.
    #[must_use]
    pub fn oldest(&self) -> Option<(Pane, Group)> {
        let oldest = self.side.as_ref().and_then(|side| side.older.front().copied());
        oldest.or(self.newest())
    }

    /// What the key has beside its panes.
    #[must_use]
    pub fn rest(&self) -> Rest {
        self.side.as_ref().map(|side| side.rest).unwrap_or_default()
    }

    fn set_newest(&mut self, newest: Option<(Pane, Group)>) {
        (self.newest_pane, self.newest_group) = newest.unwrap_or((0, NONE));
    }

    /// The aggregates of a pane.
    #[must_use]
    pub fn group(&self, pane: Pane) -> Option<Group> {
        match self.newest() {
            Some((newest, group)) if newest == pane => Some(group),
            _ => self.find_older(pane).ok(),
        }
    }

    /// The aggregates of a pane that is not the newest, or where they would have to stand.
    fn find_older(&self, pane: Pane) -> Result<Group, usize> {
        let Some(side) = &self.side else { return Err(0) };
        let found = side.older.binary_search_by_key(&pane, |&(pane, _)| pane);
        found.map(|at| side.older[at].1)
    }

    /// Gives the key a pane that it does not have yet.
    fn add_pane(&mut self, pane: Pane, group: Group) {
        match self.newest() {
            Some((newest, _)) if newest > pane => {
                let at = self.find_older(pane).err().unwrap_or_default();
                self.side.get_or_insert_default().older.insert(at, (pane, group));
            }
            newest => {
                if let Some(newest) = newest {
                    self.side.get_or_insert_default().older.push_back(newest);
                }
                self.set_newest(Some((pane, group)));
            }
        }
    }

    /// Takes a pane off.
    fn cut(&mut self, pane: Pane) -> Option<Group> {
        if let Some((newest, group)) = self.newest()
            && newest == pane
        {
            let next = self.side.as_mut().and_then(|side| side.older.pop_back());
            self.set_newest(next);
            return Some(group);
        }
        let older = &mut self.side.as_mut()?.older;
        let taken = if older.front().is_some_and(|&(oldest, _)| oldest == pane) {
            older.pop_front()
        } else {
            older.remove(older.binary_search_by_key(&pane, |&(pane, _)| pane).ok()?)
        };
        taken.map(|(_, group)| group)
    }
}

/// Those of sorted panes that are in a range.
fn within<'e>(all: Panes<'e>, panes: &Range<Pane>) -> Panes<'e> {
    // Who asks for new panes is not kept with a search in those before.
    let from = match all.last() {
        Some(&(last, _)) if last >= panes.start => {
            all.partition_point(|&(pane, _)| pane < panes.start)
        }
        _ => all.len(),
    };
    let rest = &all[from..];
    match rest.last() {
        Some(&(last, _)) if last >= panes.end => {
            &rest[..rest.partition_point(|&(pane, _)| pane < panes.end)]
        }
        _ => rest,
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
    /// An empty store of aggregates as in `empty`, within `limits`.
    #[must_use]
    pub fn new(empty: Vec<Aggregate>, limits: Limits) -> Store {
        Store {
            table: HashTable::new(),
            recent: Recent::default(),
            hasher: FixedState::with_seed(0),
            entries: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            spare_count: 0,
            key_bytes: 0,
            groups: Groups::new(empty),
            touched: BTreeMap::new(),
            apart: HashMap::new(),
            limits,
            partitions: 1,
            changes: None,
        }
    }

    /// Forgets all keys, also for snapshots.
    pub fn clear(&mut self) {
        let empty = std::mem::take(&mut self.groups.empty);
        let changes = self.changes.as_ref().map(|_| Changes::default());
        *self = Store::new(empty, self.limits);
        self.changes = changes;
    }

    /// Remembers from now on what changes, for [`Store::take_changes`].
    pub fn track_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.entries.len() - self.free.len() - self.spare_count
    }

    /// The entry of a key.
    #[inline]
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

    /// Hands over all aggregates in `panes`, pane by pane, each with its key.
    pub fn each_touched(
        &mut self,
        panes: Range<Pane>,
        mut take: impl FnMut(Id, Group, &mut Groups),
    ) {
        for (&pane, ids) in self.touched.range(panes.start..panes.end.max(panes.start)) {
            for &id in ids {
                if let Some(group) = self.entries[id as usize].group(pane) {
                    take(id, group, &mut self.groups);
                }
            }
        }
    }

    /// All keys.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.table.iter().map(|place| place.id)
    }

    /// Finds a key of a partition.
    #[inline]
    #[must_use]
    pub fn find(&self, partition: usize, key: Key<'_>) -> Option<Id> {
        self.find_hashed(hash_key(&self.hasher, partition, key), partition, key)
    }

    #[inline]
    fn find_hashed(&self, hash: u32, partition: usize, key: Key<'_>) -> Option<Id> {
        let entries = &self.entries;
        let found = self.table.find(spread(hash), |place| {
            place.hash == hash && {
                let entry = &entries[place.id as usize];
                entry.partition == partition && Key::new(&entry.key) == key
            }
        });
        found.map(|place| place.id)
    }

    /// Whether there is so much that a row has to wait for memory.
    #[must_use]
    pub fn is_large(&self) -> bool {
        // A row changes the newest pane of its key; those before it are seldom looked at.
        self.keys() * (ENTRY_BYTES + self.groups.group_bytes) > CACHE_BYTES
    }

    /// The hash of a key, for [`Store::bring_near`].
    #[inline]
    #[must_use]
    pub fn hash(&self, partition: usize, key: Key<'_>) -> u32 {
        hash_key(&self.hasher, partition, key)
    }

    /// Reads what rows to come will change, by the hashes of their keys: side by side, so that
    /// memory is waited for once and not once a row.
    pub fn bring_near(&self, hashes: &[u32]) {
        let newest = |&hash: &u32| {
            let place = self.table.find(spread(hash), |place| place.hash == hash)?;
            self.entries[place.id as usize].newest()
        };
        let groups: SmallVec<[Group; 32]> =
            hashes.iter().filter_map(newest).map(|(_, group)| group).collect();
        self.groups.read(&groups);
    }

    /// Finds the keys of rows to come, side by side, and reads what they will change.
    pub fn find_near(&self, partition: usize, rows: &mut [Row<'_>]) {
        let mut hashes = [0; batch::LINES];
        for (row, hash) in rows.iter().zip(&mut hashes) {
            *hash = hash_key(&self.hasher, partition, row.line.key);
        }
        for (row, &hash) in rows.iter_mut().zip(&hashes) {
            let place = self.table.find(spread(hash), |place| place.hash == hash);
            row.id = place.map(|place| place.id);
        }
        let mut groups = [NONE; batch::LINES];
        for (row, group) in rows.iter().zip(&mut groups) {
            *group = row.id.map_or(NONE, |id| self.entries[id as usize].newest_group);
        }
        self.groups.read(&groups);
    }

    /// How many input partitions have had keys, at least.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// Sorts keys by their bytes, equal ones by partition.
    pub fn sort(&self, keys: &mut [(Id, Group)]) {
        // Nearly all keys differ in their first bytes, and these are compared side by side.
        let head = |id: Id| {
            let key = &self.entry(id).key;
            let mut head = [0; 8];
            let length = key.len().min(8);
            head[..length].copy_from_slice(&key[..length]);
            u64::from_be_bytes(head)
        };
        let mut sorted: Vec<_> = keys.iter().map(|&(id, group)| (head(id), id, group)).collect();
        sorted.sort_unstable_by(|&(head, one, _), &(other_head, other, _)| {
            head.cmp(&other_head).then_with(|| self.order(one, other))
        });
        for (key, (_, id, group)) in keys.iter_mut().zip(sorted) {
            *key = (id, group);
        }
    }

    /// The entries of `key` in all partitions, the lowest first.
    #[must_use]
    pub fn find_all(&self, key: Key<'_>) -> SmallVec<[Id; 4]> {
        (0..self.partitions).filter_map(|partition| self.find(partition, key)).collect()
    }

    /// The entries of a key in all partitions, the lowest first.
    #[must_use]
    pub fn siblings(&self, id: Id) -> SmallVec<[Id; 4]> {
        if self.partitions == 1 {
            return SmallVec::from_slice(&[id]);
        }
        self.find_all(Key::new(&self.entry(id).key))
    }

    /// Finds or makes a key of a partition.
    ///
    /// # Errors
    /// When it would be a key too many.
    #[inline]
    pub fn find_or_make(&mut self, partition: usize, key: Key<'_>) -> Result<(Id, bool), Full> {
        let hash = hash_key(&self.hasher, partition, key);
        match self.find_hashed(hash, partition, key) {
            Some(id) => Ok((id, false)),
            None => self.insert(hash, partition, key).map(|id| (id, true)),
        }
    }

    /// Finds the aggregates of `key` in `pane`, which will change now, if that is its newest pane
    /// or had a row lately. `id` is the number that the key had a while ago, if that is known.
    ///
    /// # Errors
    /// When it is neither; holds the number of the key, when it has one.
    #[inline]
    pub fn touch_newest(
        &mut self,
        partition: usize,
        (key, id): (Key<'_>, Option<Id>),
        pane: Pane,
    ) -> Result<(Id, Group), Option<Id>> {
        let (id, group) = match id.filter(|&id| self.has_name(id, partition, key)) {
            Some(id) => self.newest(id, pane)?,
            None => match self.recent.find(partition, key, pane) {
                Some(found) => found,
                None => self.find_newest(partition, key, pane)?,
            },
        };
        self.change(id, Slot::Pane(pane), group);
        Ok((id, group))
    }

    /// Whether a number is that of this key of a partition. The entry of a key that is gone has
    /// its bytes still, but no pane.
    #[inline]
    fn has_name(&self, id: Id, partition: usize, key: Key<'_>) -> bool {
        let entry = &self.entries[id as usize];
        entry.partition == partition && Key::new(&entry.key) == key && entry.newest_group != NONE
    }

    /// The newest pane of a key, if that is `pane`.
    #[inline]
    fn newest(&self, id: Id, pane: Pane) -> Result<(Id, Group), Option<Id>> {
        match self.entries[id as usize].newest() {
            Some((newest, group)) if newest == pane => Ok((id, group)),
            _ => Err(Some(id)),
        }
    }

    /// The newest pane of a key that is not remembered, if that is `pane`.
    #[inline(never)]
    fn find_newest(
        &mut self,
        partition: usize,
        key: Key<'_>,
        pane: Pane,
    ) -> Result<(Id, Group), Option<Id>> {
        let known = self.recent.number(partition, key);
        let id = match known.filter(|&id| self.has_name(id, partition, key)) {
            Some(id) => id,
            None => self.find(partition, key).ok_or(None)?,
        };
        let found = self.newest(id, pane)?;
        self.recent.remember(partition, key, pane, found);
        Ok(found)
    }

    /// Finds or makes the aggregates of `key` in `pane`, which will change now. `id` is the number
    /// of the key, if that is known.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn touch(
        &mut self,
        partition: usize,
        (key, id): (Key<'_>, Option<Id>),
        pane: Pane,
    ) -> Result<Touch, Full> {
        let (id, new_key) = match id {
            Some(id) => (id, false),
            None => self.find_or_make(partition, key)?,
        };
        let touch = self.touch_pane(id, pane, new_key);
        if touch.new_pane {
            // Nearly all rows are in the newest pane.
            match self.touched.last_entry() {
                Some(mut last) if *last.key() == pane => last.get_mut().push(id),
                _ => self.touched.entry(pane).or_default().push(id),
            }
            self.check_bytes()?;
        }
        self.recent.remember(partition, key, pane, (id, touch.group));
        self.change(id, Slot::Pane(pane), touch.group);
        Ok(touch)
    }

    /// Gives a key a pane that it may have already, outside of [`Store::touched`]: for windows
    /// that find their panes by their keys.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn touch_own(&mut self, id: Id, pane: Pane) -> Result<Touch, Full> {
        let touch = self.touch_pane(id, pane, false);
        self.change(id, Slot::Pane(pane), touch.group);
        self.check_bytes()?;
        Ok(touch)
    }

    #[cold]
    fn insert(&mut self, hash: u32, partition: usize, key: Key<'_>) -> Result<Id, Full> {
        // Where one key more is too much, those go first that have nothing.
        let more = self.bytes() + ENTRY_BYTES + key.rest().len() + self.groups.group_bytes;
        if more > self.limits.bytes || self.keys() + self.spare_count >= self.limits.keys {
            self.forget_spare();
        }
        if self.keys() >= self.limits.keys {
            return Err(Full::Keys(self.limits.keys));
        }
        let mut bytes = SmallVec::with_capacity(key.rest().len() + 1);
        bytes.push(key.tag());
        bytes.extend_from_slice(key.rest());
        self.partitions = self.partitions.max(partition + 1);
        self.key_bytes += key.rest().len();
        let entry = Entry::new(partition, bytes);
        let id = if let Some(id) = self.free.pop() {
            // A key that is gone holds its bytes until its number is another's.
            self.key_bytes -= self.entries[id as usize].key.len() - 1;
            self.entries[id as usize] = entry;
            id
        } else {
            self.entries.push(entry);
            let id = Id::try_from(self.entries.len() - 1);
            id.map_err(|_| Full::Keys(Id::MAX as usize))?
        };
        self.table.insert_unique(spread(hash), Place { hash, id }, |place| spread(place.hash));
        self.check_bytes()?;
        Ok(id)
    }

    fn touch_pane(&mut self, id: Id, pane: Pane, new_key: bool) -> Touch {
        let entry = &mut self.entries[id as usize];
        self.spare_count -= usize::from(std::mem::take(&mut entry.spare));
        let known = match entry.newest() {
            Some((newest, group)) if newest == pane => Some(group),
            Some((newest, _)) if newest > pane => entry.find_older(pane).ok(),
            _ => None,
        };
        let group = known.unwrap_or_else(|| self.groups.make());
        if known.is_none() {
            entry.add_pane(pane, group);
        }
        Touch { id, group, new_key, new_pane: known.is_none() }
    }

    /// Takes the oldest pane off, if it is before `to`: its keys, each with its aggregates. The
    /// caller lets the groups go, and the keys that are [`Store::is_bare`] then.
    pub fn take_pane(&mut self, to: Pane) -> Option<(Pane, Vec<(Id, Group)>)> {
        let oldest = self.touched.first_entry().filter(|oldest| *oldest.key() < to)?;
        let (pane, ids) = oldest.remove_entry();
        let taken = ids.into_iter().filter_map(|id| Some((id, self.cut(id, pane)?)));
        Some((pane, taken.collect()))
    }

    /// Takes a pane off a key. The caller lets its group go.
    pub fn cut(&mut self, id: Id, pane: Pane) -> Option<Group> {
        self.recent.forget();
        self.entries[id as usize].cut(pane)
    }

    /// Sets a pane of a key apart: there may be many, and they leave in any order.
    pub fn set_apart(&mut self, id: Id, pane: Pane) {
        if let Some(group) = self.cut(id, pane) {
            self.apart.insert((id, pane), group);
        }
    }

    /// Takes a pane that was set apart. The caller lets its group go.
    pub fn take_apart(&mut self, id: Id, pane: Pane) -> Option<Group> {
        self.apart.remove(&(id, pane))
    }

    /// Lets the group of a pane that was taken off go.
    pub fn let_go(&mut self, id: Id, pane: Pane, group: Group) {
        self.forget(id, Slot::Pane(pane), group);
        self.groups.give(group);
    }

    /// Lets the groups of a pane that was taken go. Keys that have nothing left are kept until
    /// this is called again, as most come again, and nothing is gained by making them anew.
    pub fn let_all_go(&mut self, pane: Pane, taken: &[(Id, Group)]) {
        self.forget_spare();
        for &(id, group) in taken {
            self.let_go(id, pane, group);
            if self.is_bare(id) {
                self.entries[id as usize].spare = true;
                self.spare.push(id);
            }
        }
        self.spare_count = self.spare.len();
    }

    /// Forgets the keys that had nothing left and did not come again.
    fn forget_spare(&mut self) {
        for id in std::mem::take(&mut self.spare) {
            if std::mem::take(&mut self.entries[id as usize].spare) {
                self.remove(id);
            }
        }
        self.spare_count = 0;
    }

    /// Notes that what a snapshot may have of a slot is gone.
    pub fn forget(&mut self, id: Id, slot: Slot, group: Group) {
        if let Some(changes) = &mut self.changes {
            let entry = &self.entries[id as usize];
            changes.forget(entry.partition, &entry.key, slot, self.groups.mark(group));
        }
    }

    /// Notes that the aggregates of a slot change.
    #[inline]
    pub fn change(&mut self, id: Id, slot: Slot, group: Group) {
        if let Some(changes) = &mut self.changes {
            changes.change(id, slot, self.groups.mark_mut(group));
        }
    }

    /// Sets what a key has beside its panes; the group is changed too, if it stays the same.
    pub fn set_rest(&mut self, id: Id, rest: Rest) {
        self.entries[id as usize].side.get_or_insert_default().rest = rest;
        if let Some(changes) = &mut self.changes {
            changes.change_rest(id);
        }
    }

    /// Whether a key has nothing in any pane, and nothing beside these.
    #[must_use]
    pub fn is_bare(&self, id: Id) -> bool {
        let entry = &self.entries[id as usize];
        entry.newest_group == NONE && entry.rest() == Rest::default()
    }

    /// Whether the number is that of a key, and not of one that is gone.
    #[must_use]
    pub fn has(&self, id: Id) -> bool {
        let entry = self.entry(id);
        self.find(entry.partition, Key::new(&entry.key)) == Some(id)
    }

    /// Forgets a key that is bare.
    pub fn remove(&mut self, id: Id) {
        let hash = hash_of(&self.hasher, &self.entries[id as usize]);
        if let Ok(occupied) = self.table.find_entry(spread(hash), |place| place.id == id) {
            occupied.remove();
            self.free.push(id);
            if let Some(changes) = &mut self.changes {
                let entry = &self.entries[id as usize];
                changes.forget_rest(id, entry.partition, &entry.key);
            }
        }
    }

    /// How two keys are sorted: by their bytes, equal ones by partition.
    #[must_use]
    pub fn order(&self, one: Id, other: Id) -> Ordering {
        let (one, other) = (self.entry(one), self.entry(other));
        one.key.cmp(&other.key).then(one.partition.cmp(&other.partition))
    }

    /// Aggregates hold so many bytes more, or fewer.
    ///
    /// # Errors
    /// When that is more than the limit allows.
    #[inline]
    pub fn grow(&mut self, bytes: isize) -> Result<(), Full> {
        if bytes == 0 {
            return Ok(());
        }
        self.groups.heap_bytes = self.groups.heap_bytes.saturating_add_signed(bytes);
        self.check_bytes()
    }

    /// Bytes that all takes.
    fn bytes(&self) -> usize {
        let panes = self.touched.len() * TOUCHED_BYTES + self.apart.len() * APART_BYTES;
        self.entries.len() * ENTRY_BYTES + self.key_bytes + self.groups.bytes() + panes
    }

    fn check_bytes(&self) -> Result<(), Full> {
        if self.bytes() > self.limits.bytes { Err(Full::Bytes(self.limits.bytes)) } else { Ok(()) }
    }

    /// What changed since the last call, in the order of the changes, what was deleted first:
    /// nothing stands for that.
    pub fn take_changes(&mut self, mut take: impl FnMut(Changed<'_>)) {
        let Some(changes) = &mut self.changes else { return };
        for gone in changes.take_gone() {
            take(Changed {
                partition: gone.partition,
                key: &gone.key,
                slot: gone.slot,
                kept: None,
            });
        }
        for (id, slot) in changes.take_changed() {
            let Some(entry) = self.entries.get(id as usize) else { continue };
            let (group, flag) = match slot {
                Slot::Rest if changes.take_rest(id) => (entry.rest().group, entry.rest().flag),
                Slot::Rest => continue,
                Slot::Pane(pane) => {
                    match entry.group(pane).or_else(|| self.apart.get(&(id, pane)).copied()) {
                        Some(group) => (Some(group), false),
                        None => continue,
                    }
                }
            };
            // A group that was written under another slot, or again, is no longer marked.
            if slot != Slot::Rest
                && !group.is_some_and(|group| Changes::store(self.groups.mark_mut(group)))
            {
                continue;
            }
            let aggregates = group.map(|group| self.groups.get(group));
            let kept = Some(Kept { aggregates, flag });
            take(Changed { partition: entry.partition, key: &entry.key, slot, kept });
        }
    }

    /// Puts aggregates where a snapshot had them, with the flag of the key and whether the pane
    /// is found by its time.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn restore(
        &mut self,
        (partition, key): (usize, Key<'_>),
        slot: Slot,
        (flag, timed): (bool, bool),
        aggregates: Option<Vec<Aggregate>>,
    ) -> Result<(Id, Option<Group>), Full> {
        let (id, _) = self.find_or_make(partition, key)?;
        let group = match slot {
            Slot::Pane(pane) => {
                if timed {
                    self.touched.entry(pane).or_default().push(id);
                }
                Some(self.touch_pane(id, pane, false).group)
            }
            Slot::Rest => {
                let group = aggregates.as_ref().map(|_| self.groups.make());
                let side = self.entries[id as usize].side.get_or_insert_default();
                side.rest = Rest { group, flag };
                group
            }
        };
        if let (Some(group), Some(aggregates)) = (group, aggregates) {
            self.groups.heap_bytes += heap_bytes(&aggregates);
            self.groups.get_mut(group).clone_from_slice(&aggregates);
        }
        if let Some(changes) = &mut self.changes {
            match (slot, group) {
                (Slot::Pane(_), Some(group)) => Changes::stored(self.groups.mark_mut(group)),
                _ => changes.rest_stored(id),
            }
        }
        self.check_bytes()?;
        Ok((id, group))
    }
}

/// A slot that changed.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'s> {
    /// The input partition.
    pub partition: usize,
    /// The key, as `row::key` writes it.
    pub key: &'s [u8],
    /// Which of the key's aggregates.
    pub slot: Slot,
    /// What is there; nothing when it is gone.
    pub kept: Option<Kept<'s>>,
}

/// What is kept in a slot.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'s> {
    /// The aggregates.
    pub aggregates: Option<&'s [Aggregate]>,
    /// The flag of [`Rest`].
    pub flag: bool,
}

/// Bytes that a key takes beside its panes: the entry, its place in the table and a long key.
const ENTRY_BYTES: usize = size_of::<Entry>() + 2 * size_of::<Place>() + 16;

/// Bytes of a group's place in a pane of its key, and of the key's among those in the pane.
const PANE_BYTES: usize = size_of::<(Pane, Group)>() + size_of::<Id>();

/// Bytes that a pane takes beside the keys in it: half of a tree's node is empty, and the first
/// keys take 32.
const TOUCHED_BYTES: usize = 2 * size_of::<(Pane, Vec<Id>)>() + 32;

/// Bytes of a pane that stands apart, here and where it waits, as half of a table may be empty.
const APART_BYTES: usize = 3 * size_of::<((Id, Pane), Group)>();

const _: () = assert!(size_of::<Entry>() == 64, "as its description says");

#[inline]
fn hash_key(hasher: &FixedState, partition: usize, key: Key<'_>) -> u32 {
    let mut hash = hasher.build_hasher();
    hash.write(key.rest());
    let hash = hash.finish() ^ partition as u64 ^ u64::from(key.tag()) << 8;
    let [half @ .., _, _, _, _] = (hash ^ hash >> 32).to_le_bytes();
    u32::from_le_bytes(half)
}

fn hash_of(hasher: &FixedState, entry: &Entry) -> u32 {
    hash_key(hasher, entry.partition, Key::new(&entry.key))
}

/// A hash as the table takes it, which looks at the highest and the lowest bits.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// Groups of aggregates, one for each key and pane, and as many more as a window needs.
#[derive(Debug)]
pub struct Groups {
    /// A group of nothing.
    empty: Vec<Aggregate>,
    cells: Vec<Aggregate>,
    free: Vec<Group>,
    /// What snapshots know of each group.
    marks: Vec<u8>,
    /// Bytes that aggregates hold beside their cells, and whether any can.
    heap_bytes: usize,
    grows: bool,
    /// Whether aggregates hold the values themselves.
    collects: bool,
    /// Bytes that a group takes, without those.
    group_bytes: usize,
}

impl Groups {
    fn new(empty: Vec<Aggregate>) -> Groups {
        let grows = empty.iter().any(Aggregate::grows);
        let collects = empty.iter().any(Aggregate::collects);
        let cells: usize = empty.iter().map(|cell| cell.fixed_bytes() + 8).sum();
        let group_bytes = cells + PANE_BYTES;
        let (cells, free, marks) = (Vec::new(), Vec::new(), Vec::new());
        Groups { empty, cells, free, marks, heap_bytes: 0, grows, collects, group_bytes }
    }

    /// Whether aggregates hold the values themselves.
    #[must_use]
    pub fn collects(&self) -> bool {
        self.collects
    }

    /// A new group of nothing.
    pub fn make(&mut self) -> Group {
        let width = self.empty.len();
        if let Some(group) = self.free.pop() {
            let cells = &mut self.cells[group as usize * width..][..width];
            set(cells, &self.empty);
            self.marks[group as usize] = 0;
            return group;
        }
        // A query has at least one aggregate.
        let group = self.cells.len() / width;
        self.cells.extend_from_slice(&self.empty);
        self.marks.push(0);
        Group::try_from(group).unwrap_or(Group::MAX)
    }

    /// A group of anything, to be set.
    fn take(&mut self) -> Group {
        if let Some(group) = self.free.pop() {
            self.marks[group as usize] = 0;
            return group;
        }
        self.make()
    }

    /// The cells of a group, to be changed, and those of another.
    #[inline]
    fn both(&mut self, into: Group, from: Group) -> (&mut [Aggregate], &[Aggregate]) {
        let width = self.empty.len();
        let range = |group: Group| group as usize * width..(group as usize + 1) * width;
        let both = self.cells.get_disjoint_mut([range(into), range(from)]);
        let [into, from] = both.expect("two groups that there are");
        (into, from)
    }

    /// A new group of what another has.
    pub fn copy(&mut self, from: Group) -> Group {
        let group = self.take();
        let (into, from) = self.both(group, from);
        set(into, from);
        self.count_new(group);
        group
    }

    /// A new group of what two others have.
    ///
    /// # Errors
    /// When a sum leaves 128 bits.
    pub fn merged(&mut self, one: Group, other: Group) -> Result<Group, Fault> {
        let group = self.copy(one);
        self.merge(group, other)?;
        Ok(group)
    }

    fn count_new(&mut self, group: Group) {
        if self.grows {
            self.heap_bytes += heap_bytes(self.get(group));
        }
    }

    /// Gives a group back.
    pub fn give(&mut self, group: Group) {
        if self.grows {
            self.heap_bytes = self.heap_bytes.saturating_sub(heap_bytes(self.get(group)));
            let width = self.empty.len();
            let cells = &mut self.cells[group as usize * width..][..width];
            cells.clone_from_slice(&self.empty);
        }
        self.free.push(group);
    }

    /// Whether the aggregates are counts and sums of whole numbers, of which parts can be taken off
    /// without a trace.
    #[must_use]
    pub fn is_whole(&self, group: Group) -> bool {
        self.get(group).iter().all(Aggregate::is_whole)
    }

    /// Merges a part into a group. Whether that could be done; if not, the group is of no use any
    /// more.
    pub fn put_on(&mut self, to: Group, part: Group) -> bool {
        let (to, part) = self.both(to, part);
        to.iter_mut().zip(part).all(|(to, part)| to.put_on(part))
    }

    /// Takes off a group what was merged into it. Whether that could be done; if not, the group is
    /// of no use any more.
    pub fn take_off(&mut self, from: Group, part: Group) -> bool {
        let (from, part) = self.both(from, part);
        from.iter_mut().zip(part).all(|(from, part)| from.take_off(part))
    }

    /// Bytes that all groups take.
    fn bytes(&self) -> usize {
        self.marks.len() * self.group_bytes + self.heap_bytes
    }

    fn mark(&self, group: Group) -> u8 {
        self.marks[group as usize]
    }

    fn mark_mut(&mut self, group: Group) -> &mut u8 {
        &mut self.marks[group as usize]
    }

    /// The aggregates of a group.
    #[inline]
    #[must_use]
    pub fn get(&self, group: Group) -> &[Aggregate] {
        let width = self.empty.len();
        &self.cells[group as usize * width..][..width]
    }

    /// Reads groups side by side, but [`NONE`], so that they are near when they are changed.
    fn read(&self, groups: &[Group]) {
        let known = groups.iter().filter(|&&group| group != NONE);
        let cells = known.flat_map(|&group| self.get(group));
        black_box(cells.filter(|cell| cell.is_zero()).count());
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
        let before = if self.grows { heap_bytes(self.get(into)) } else { 0 };
        let group = into;
        let (into, from) = self.both(into, from);
        merge(into, from)?;
        if self.grows {
            self.heap_bytes = self.heap_bytes - before + heap_bytes(self.get(group));
        }
        Ok(())
    }
}

fn heap_bytes(aggregates: &[Aggregate]) -> usize {
    aggregates.iter().map(Aggregate::heap_bytes).sum()
}

/// Makes aggregates what others are, one by one.
#[inline]
fn set(into: &mut [Aggregate], from: &[Aggregate]) {
    into.iter_mut().zip(from).for_each(|(into, from)| into.set(from));
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
        let limits = Limits { keys: 3, bytes: 1 << 20 };
        Store::new(vec![Function::CountRows.empty()], limits)
    }

    #[test]
    fn panes_of_a_key_stay_sorted_whatever_the_order_of_rows() {
        let mut store = store();
        let id = store.touch(0, (Key::new(b"k"), None), 5).expect("room").id;
        for pane in [7, 3, 6, 3, 7] {
            store.touch(0, (Key::new(b"k"), None), pane).expect("room");
        }
        let panes: Vec<Pane> = store.entry(id).panes(3..7).map(|(pane, _)| pane).collect();
        assert_eq!(panes, [3, 5, 6]);
        assert_eq!(store.oldest_pane(), Some(3));
    }

    #[test]
    fn a_key_is_its_own_in_every_partition() {
        let mut store = store();
        let one = store.touch(0, (Key::new(b"k"), None), 0).expect("room");
        let other = store.touch(1, (Key::new(b"k"), None), 0).expect("room");
        assert!(one.id != other.id && other.new_key);
        assert!(!store.touch(0, (Key::new(b"k"), None), 1).expect("room").new_key);
    }

    #[test]
    fn taken_panes_leave_bare_keys_that_can_go() {
        let mut store = store();
        let id = store.touch(0, (Key::new(b"k"), None), 0).expect("room").id;
        store.touch(0, (Key::new(b"k"), None), 2).expect("room");
        assert_eq!(store.take_pane(2).expect("pane 0").1.len(), 1);
        assert!(store.take_pane(2).is_none() && !store.is_bare(id));
        let (pane, taken) = store.take_pane(3).expect("pane 2");
        assert!(store.is_bare(id));
        store.let_go(id, pane, taken[0].1);
        store.remove(id);
        assert_eq!(store.keys(), 0);
        assert!(store.touch(0, (Key::new(b"k"), None), 9).expect("room").new_key);
    }

    #[test]
    fn a_key_too_many_is_refused() {
        let mut store = store();
        for key in [b"a", b"b", b"c"] {
            assert!(store.touch(0, (Key::new(key), None), 0).is_ok());
        }
        assert_eq!(store.touch(0, (Key::new(b"d"), None), 0).err(), Some(Full::Keys(3)));
        assert!(store.touch(0, (Key::new(b"a"), None), 1).is_ok());
    }

    #[test]
    fn a_key_without_rows_is_kept_for_one_window_and_is_none_to_the_limit() {
        let limits = Limits { keys: 1, bytes: usize::MAX };
        let mut store = Store::new(vec![Aggregate::Count(0)], limits);
        let window = |store: &mut Store, key: &[u8], pane: Pane| {
            let touch = store.touch(0, (Key::new(key), None), pane).expect("room");
            let (_, taken) = store.take_pane(pane + 1).expect("a pane");
            store.let_all_go(pane, &taken);
            (touch.id, touch.new_key)
        };
        assert_eq!(window(&mut store, b"k", 0), (0, true));
        assert_eq!((store.keys(), store.ids().count()), (0, 1));
        assert_eq!(window(&mut store, b"k", 1), (0, false));
        assert_eq!(window(&mut store, b"l", 2), (0, true), "in the place of the other");
        assert_eq!((store.keys(), store.ids().count()), (0, 1));
        assert!(store.find(0, Key::new(b"k")).is_none());
    }

    #[test]
    fn keys_without_rows_make_room_for_others() {
        let keys = |pane: Pane| (0..100).map(move |key| format!("{pane} {key}").into_bytes());
        let fill = |store: &mut Store, pane: Pane| {
            for key in keys(pane) {
                store.touch(0, (Key::new(&key), None), pane)?;
            }
            Ok::<usize, Full>(store.bytes())
        };
        let count = || vec![Aggregate::Count(0)];
        let mut store = Store::new(count(), Limits { keys: 100, bytes: usize::MAX });
        let bytes = fill(&mut store, 0).expect("no limit");
        let mut store = Store::new(count(), Limits { keys: 1000, bytes });
        for pane in 0..3 {
            assert!(fill(&mut store, pane).is_ok(), "what one window takes");
            let (_, taken) = store.take_pane(pane + 1).expect("a pane");
            store.let_all_go(pane, &taken);
        }
    }
}
