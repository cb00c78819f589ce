//! The last row of each key.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher as _;

use crate::kept::{Budget, Full, Kept, Offer};
use crate::score::Order;

/// The last row of each key. The order in which keys are found never shows: rows are ranked.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// For each key the place of its row.
    places: HashTable<usize>,
    rows: Vec<Kept>,
    hasher: RandomState,
}

impl Latest {
    /// Sets the row of its key.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn set(&mut self, offer: &Offer<'_>, budget: &mut Budget) -> Result<(), Full> {
        let Latest { places, rows, hasher } = self;
        let same = |place: &usize| rows[*place].key == offer.key;
        let hash_of = |place: &usize| hasher.hash_one(rows[*place].key.as_slice());
        match places.entry(hasher.hash_one(offer.key), same, hash_of) {
            Entry::Occupied(entry) => {
                let row = &mut rows[*entry.get()];
                budget.exchange(row.size(), offer.size())?;
                row.replace(offer);
            }
            Entry::Vacant(entry) => {
                budget.take(offer.size())?;
                entry.insert(rows.len());
                rows.push(offer.keep());
            }
        }
        Ok(())
    }

    /// Lets the row of `key` go.
    pub fn remove(&mut self, key: &[u8], budget: &mut Budget) {
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
        budget.give_back(rows.swap_remove(place).size());
    }

    /// The `k` first rows, first to last.
    #[must_use]
    pub fn first(&self, k: usize, order: Order) -> Vec<&Kept> {
        let by_rank = |one: &&Kept, other: &&Kept| one.compare(other, order);
        let most = k.saturating_mul(2);
        let mut best: Vec<&Kept> = Vec::new();
        let mut last: Option<&Kept> = None;
        for row in &self.rows {
            if last.is_some_and(|last| row.compare(last, order).is_gt()) {
                continue;
            }
            best.push(row);
            // Sorting out half of 2 K rows at a time costs a few steps a row, whatever K is.
            if best.len() == most {
                let (_, kth, _) = best.select_nth_unstable_by(k - 1, by_rank);
                last = Some(kth);
                best.truncate(k);
            }
        }
        best.sort_unstable_by(by_rank);
        best.truncate(k);
        best
    }

    /// Lets all rows go.
    pub fn clear(&mut self, budget: &mut Budget) {
        self.places.clear();
        for row in self.rows.drain(..) {
            budget.give_back(row.size());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Limits;
    use crate::score::Score;
    use row::value::Number;

    fn set(latest: &mut Latest, key: &str, score: i64, arrival: u64, budget: &mut Budget) {
        let score = Score::of_number(Number::Int(score));
        let key = key.as_bytes();
        let offer = Offer { score, key, line: key, partition: None, arrival };
        latest.set(&offer, budget).expect("within the limits");
    }

    fn keys(latest: &Latest, k: usize) -> Vec<String> {
        let first = latest.first(k, Order::Greatest);
        first.iter().map(|row| String::from_utf8_lossy(&row.key).into_owned()).collect()
    }

    #[test]
    fn a_score_may_fall() {
        let mut budget = Budget::new(Limits { rows: 2, bytes: 1 << 20 });
        let mut latest = Latest::default();
        set(&mut latest, "a", 5, 0, &mut budget);
        set(&mut latest, "b", 3, 1, &mut budget);
        assert_eq!(keys(&latest, 2), ["a", "b"]);
        set(&mut latest, "a", 1, 2, &mut budget);
        assert_eq!(keys(&latest, 2), ["b", "a"]);
    }

    #[test]
    fn a_removed_key_leaves_the_others_where_they_are_found() {
        let mut budget = Budget::new(Limits { rows: 100, bytes: 1 << 20 });
        let mut latest = Latest::default();
        for score in 0..100 {
            set(&mut latest, &format!("k{score}"), score, 0, &mut budget);
        }
        for gone in (0..100).filter(|score| score % 3 != 0) {
            latest.remove(format!("k{gone}").as_bytes(), &mut budget);
        }
        latest.remove(b"unknown", &mut budget);
        set(&mut latest, "k99", -1, 0, &mut budget);
        assert_eq!(keys(&latest, 4), ["k96", "k93", "k90", "k87"]);
        assert_eq!(keys(&latest, 1000).len(), 34);
        latest.clear(&mut budget);
        assert_eq!(budget.take(1 << 20), Ok(()));
    }
}
