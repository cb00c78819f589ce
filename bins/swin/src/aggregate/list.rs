//! Items in the order of their rows: the values of `array_agg`, and the rows of `--each`.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::Stamp;
use super::state::Parts;

/// Items as bytes, one after the other.
#[derive(Clone, Debug, Default)]
pub struct List {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// Whether an item came after one of a later row.
    mixed: bool,
}

/// An item, and where its bytes are.
#[derive(Clone, Copy, Debug)]
struct Item {
    stamp: Stamp,
    start: usize,
    length: usize,
}

impl List {
    /// Adds an item, whose bytes `write` appends.
    pub(super) fn add(&mut self, stamp: Stamp, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        self.mixed |= self.items.last().is_some_and(|last| stamp < last.stamp);
        self.items.push(Item { stamp, start, length });
    }

    pub(super) fn merge(&mut self, other: &List) {
        self.items.reserve(other.items.len());
        self.bytes.reserve(other.bytes.len());
        for item in &other.items {
            self.add(item.stamp, |bytes| bytes.extend_from_slice(other.bytes_of(item)));
        }
    }

    fn bytes_of(&self, item: &Item) -> &[u8] {
        &self.bytes[item.start..item.start + item.length]
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Gives every item to `take`, by time and then by arrival.
    pub fn for_each(&self, mut take: impl FnMut(Stamp, &[u8])) {
        let mut items = Cow::Borrowed(&self.items);
        if self.mixed {
            // Of one stamp the order stays.
            items.to_mut().sort_by_key(|item| item.stamp);
        }
        for item in items.iter() {
            take(item.stamp, self.bytes_of(item));
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.items.capacity() * size_of::<Item>()
    }

    /// `[time, arrival, item, time, arrival, item, …]`, each item as `store` gives it.
    pub(super) fn store(&self, store: impl Fn(&[u8]) -> Json) -> Json {
        let mut parts = Vec::with_capacity(3 * self.items.len());
        self.for_each(|stamp, item| {
            parts.extend([stamp.time.into(), stamp.arrival.into(), store(item)]);
        });
        Json::Array(parts)
    }

    /// What [`List::store`] gave, each item appended as bytes by `restore`.
    pub(super) fn restore(
        stored: &Json,
        restore: impl Fn(&Json, &mut Vec<u8>) -> Option<()>,
    ) -> Option<List> {
        let mut parts = Parts::of(stored)?;
        let (mut list, mut item) = (List::default(), Vec::new());
        while parts.left() > 0 {
            let stamp = parts.next_stamp()?;
            item.clear();
            restore(parts.next()?, &mut item)?;
            list.add(stamp, |bytes| bytes.extend_from_slice(&item));
        }
        Some(list)
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        let items = |list: &List| {
            let mut items = Vec::with_capacity(list.items.len());
            list.for_each(|stamp, item| items.push((stamp, item.to_vec())));
            items
        };
        items(self) == items(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: &[(i64, u64, &str)]) -> List {
        let mut list = List::default();
        for &(time, arrival, item) in items {
            list.add(Stamp { time, arrival }, |bytes| bytes.extend_from_slice(item.as_bytes()));
        }
        list
    }

    fn joined(list: &List) -> String {
        let mut joined = String::new();
        list.for_each(|_, item| joined.push_str(&String::from_utf8_lossy(item)));
        joined
    }

    #[test]
    fn items_stand_by_time_then_arrival() {
        let list = of(&[(5, 0, "c"), (3, 1, "a"), (5, 2, "d"), (3, 3, "b"), (-1, 4, "")]);
        assert_eq!(joined(&list), "abcd");
        let mut merged = of(&[(2, 9, "z"), (4, 8, "y")]);
        merged.merge(&list);
        assert_eq!(joined(&merged), "zabycd");
    }
}
