//! The last row of each key.

use std::convert::Infallible;
use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

use crate::entry::Entry;
use crate::kept::{Kept, Offer};
use crate::ledger::{Full, Ledger};
use crate::ranking::{Ranked, first_by_group, rank};
use crate::score::Order;

/// The last row of each key. The order in which keys are found never shows: rows are ranked.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// For each key the place of its row.
    places: HashTable<usize>,
    rows: Vec<Kept>,
    hasher: FixedState,
}

impl Latest {
    /// Sets the row of its key.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn set(&mut self, offer: &Offer<'_>, ledger: &mut Ledger) -> Result<(), Full> {
        let Latest { places, rows, hasher } = self;
        let same = |place: &usize| rows[*place].key == offer.key;
        let hash_of = |place: &usize| hasher.hash_one(rows[*place].key.as_slice());
        match places.entry(hasher.hash_one(offer.key), same, hash_of) {
            Place::Occupied(place) => {
                let row = &mut rows[*place.get()];
                ledger.exchange(row, offer)?;
                row.replace(offer);
            }
            Place::Vacant(place) => {
                ledger.take(offer.size())?;
                place.insert(rows.len());
                rows.push(offer.keep());
            }
        }
        Ok(())
    }

    /// Takes a row that was kept elsewhere, unless there is a later one of its key.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn restore(&mut self, row: Kept, ledger: &mut Ledger) -> Result<(), Full> {
        let Latest { places, rows, hasher } = self;
        let same = |place: &usize| rows[*place].key == row.key;
        let hash_of = |place: &usize| hasher.hash_one(rows[*place].key.as_slice());
        match places.entry(hasher.hash_one(row.key.as_slice()), same, hash_of) {
            Place::Occupied(place) => {
                let known = &mut rows[*place.get()];
                if (row.arrival, row.filing.at()) <= (known.arrival, known.filing.at()) {
                    ledger.delete(&row);
                    return Ok(());
                }
                ledger.let_go(known);
                ledger.take(row.size())?;
                *known = row;
            }
            Place::Vacant(place) => {
                ledger.take(row.size())?;
                place.insert(rows.len());
                rows.push(row);
            }
        }
        Ok(())
    }

    /// Lets the row of `key` go.
    pub fn remove(&mut self, key: &[u8], ledger: &mut Ledger) {
        let Latest { places, rows, hasher } = self;
        let same = |place: &usize| rows[*place].key == key;
        let Ok(entry) = places.find_entry(hasher.hash_one(key), same) else { return };
        let (place, _) = entry.remove();
        let last = rows.len() - 1;
        let hash = hasher.hash_one(rows[last].key.as_slice());
        // The last row moves to the place that has become free.
        if let Some(moved) = places.find_mut(hash, |place| *place == last) {
            *moved = place;
        }
        ledger.let_go(&rows.swap_remove(place));
    }

    /// The `k` first rows of each group, group by group, first to last.
    #[must_use]
    pub fn first(&self, k: usize, order: Order) -> Vec<Ranked<'_>> {
        let items = self.rows.iter().map(|row| Ok::<_, Infallible>((row.group(), row)));
        let compare = |one: &&Kept, other: &&Kept| one.compare(other, order);
        match first_by_group(items, k, compare) {
            Ok(groups) => groups.iter().flat_map(|group| rank(group)).collect(),
            Err(never) => match never {},
        }
    }

    /// Adds the rows that changed since the last time.
    pub fn file(&mut self, ledger: &Ledger, entries: &mut Vec<Entry>) {
        self.rows.iter_mut().for_each(|row| ledger.file(row, entries));
    }

    /// Lets all rows go.
    pub fn clear(&mut self, ledger: &mut Ledger) {
        self.places.clear();
        self.rows.drain(..).for_each(|row| ledger.let_go(&row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Limits;
    use crate::score::Score;
    use row::value::Number;

    fn set(latest: &mut Latest, key: &str, score: i64, arrival: u64, ledger: &mut Ledger) {
        let score = Score::of_number(Number::Int(score));
        let key = key.as_bytes();
        let offer =
            Offer { score, key, group: 0, line: key, window: None, partition: None, arrival };
        latest.set(&offer, ledger).expect("within the limits");
    }

    fn keys(latest: &Latest, k: usize) -> Vec<String> {
        let first = latest.first(k, Order::Greatest);
        first.iter().map(|row| String::from_utf8_lossy(row.key).into_owned()).collect()
    }

    #[test]
    fn a_score_may_fall() {
        let mut ledger = Ledger::new(Limits { rows: 2, bytes: 1 << 20 }, true);
        let mut latest = Latest::default();
        set(&mut latest, "a", 5, 0, &mut ledger);
        set(&mut latest, "b", 3, 1, &mut ledger);
        assert_eq!(keys(&latest, 2), ["a", "b"]);
        set(&mut latest, "a", 1, 2, &mut ledger);
        assert_eq!(keys(&latest, 2), ["b", "a"]);
    }

    #[test]
    fn a_removed_key_leaves_the_others_where_they_are_found() {
        let mut ledger = Ledger::new(Limits { rows: 100, bytes: 1 << 20 }, true);
        let mut latest = Latest::default();
        for score in 0..100 {
            set(&mut latest, &format!("k{score}"), score, 0, &mut ledger);
        }
        for gone in (0..100).filter(|score| score % 3 != 0) {
            latest.remove(format!("k{gone}").as_bytes(), &mut ledger);
        }
        latest.remove(b"unknown", &mut ledger);
        set(&mut latest, "k99", -1, 0, &mut ledger);
        assert_eq!(keys(&latest, 4), ["k96", "k93", "k90", "k87"]);
        assert_eq!(keys(&latest, 1000).len(), 34);
        latest.clear(&mut ledger);
        assert_eq!(ledger.take(1 << 20), Ok(()));
    }
}
