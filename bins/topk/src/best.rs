//! The K first of all rows of each group, in a heap of K.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::entry::{Entry, Filing};
use crate::kept::{Kept, Offer};
use crate::ledger::{Full, Ledger};
use crate::ranking::{Ranked, rank};
use crate::score::{Order, Score};

/// The K first of the rows that were offered, of each group.
#[derive(Clone, Debug)]
pub struct Bests {
    k: usize,
    order: Order,
    /// Those of rows without a group, as nearly all are.
    alone: Best,
    groups: HashMap<Vec<u8>, Best, FixedState>,
}

/// The K first rows of one group.
#[derive(Clone, Debug, Default)]
struct Best {
    /// The last of them on top.
    heap: BinaryHeap<Seat>,
    /// Whether a row has come in since the last time that entries were made.
    changed: bool,
}

/// A row in the heap, greater the later it comes in the ranking.
#[derive(Clone, Debug)]
struct Seat {
    row: Kept,
    order: Order,
}

impl Ord for Seat {
    fn cmp(&self, other: &Seat) -> Ordering {
        self.row.compare(&other.row, self.order)
    }
}

impl PartialOrd for Seat {
    fn partial_cmp(&self, other: &Seat) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Seat {
    fn eq(&self, other: &Seat) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Seat {}

impl Bests {
    /// No rows yet, of which the `k` first of each group will be kept.
    #[must_use]
    pub fn new(k: usize, order: Order) -> Bests {
        Bests { k, order, alone: Best::default(), groups: HashMap::default() }
    }

    /// Whether a row without a group that comes now with this score may be among the K first;
    /// one with an equal score is only when it has a key.
    #[inline]
    #[must_use]
    pub fn admits(&self, score: &Score<'_>, keyed: bool) -> bool {
        if self.alone.heap.len() < self.k {
            return true;
        }
        let Some(last) = self.alone.heap.peek() else { return false };
        match score.compare(&last.row.score, self.order) {
            Ordering::Less => true,
            Ordering::Equal => keyed,
            Ordering::Greater => false,
        }
    }

    /// Offers a row.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn offer(&mut self, offer: &Offer<'_>, ledger: &mut Ledger) -> Result<(), Full> {
        let Bests { k, order, .. } = *self;
        let best = self.best(offer.group());
        if best.heap.len() < k {
            ledger.take(offer.size())?;
            best.heap.push(Seat { row: offer.keep(), order });
            best.changed = true;
            return Ok(());
        }
        let Some(mut last) = best.heap.peek_mut() else { return Ok(()) };
        if offer.compare(&last.row, order).is_lt() {
            ledger.let_go(&last.row);
            ledger.take(offer.size())?;
            last.row.replace(offer);
            last.row.filing = Filing::default();
            drop(last);
            best.changed = true;
        }
        Ok(())
    }

    /// Offers a row that was kept elsewhere.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn restore(&mut self, row: Kept, ledger: &mut Ledger) -> Result<(), Full> {
        let Bests { k, order, .. } = *self;
        let seat = Seat { row, order };
        let best = self.best(seat.row.group());
        if best.heap.len() < k {
            ledger.take(seat.row.size())?;
            best.heap.push(seat);
            return Ok(());
        }
        match best.heap.peek_mut() {
            Some(mut last) if seat < *last => {
                ledger.let_go(&last.row);
                ledger.take(seat.row.size())?;
                *last = seat;
            }
            _ => ledger.delete(&seat.row),
        }
        Ok(())
    }

    fn best(&mut self, group: &[u8]) -> &mut Best {
        if group.is_empty() {
            return &mut self.alone;
        }
        self.groups.entry_ref(group).or_default()
    }

    /// The rows, group by group, first to last.
    #[must_use]
    pub fn first(&self) -> Vec<Ranked<'_>> {
        let mut groups: Vec<(&[u8], &Best)> = Vec::new();
        groups.extend((!self.alone.heap.is_empty()).then_some((&[][..], &self.alone)));
        groups.extend(self.groups.iter().map(|(group, best)| (group.as_slice(), best)));
        groups.sort_unstable_by_key(|&(group, _)| group);
        let mut ranking = Vec::new();
        for (_, best) in groups {
            let mut rows: Vec<&Kept> = best.heap.iter().map(|seat| &seat.row).collect();
            rows.sort_unstable_by(|one, other| one.compare(other, self.order));
            ranking.extend(rank(&rows));
        }
        ranking
    }

    /// Adds the rows that changed since the last time.
    pub fn file(&mut self, ledger: &Ledger, entries: &mut Vec<Entry>) {
        for best in std::iter::once(&mut self.alone).chain(self.groups.values_mut()) {
            if std::mem::take(&mut best.changed) {
                let mut seats = std::mem::take(&mut best.heap).into_vec();
                for seat in &mut seats {
                    ledger.file(&mut seat.row, entries);
                }
                best.heap = seats.into();
            }
        }
    }

    /// Lets all rows go.
    pub fn clear(&mut self, ledger: &mut Ledger) {
        let groups = self.groups.drain().map(|(_, best)| best);
        for best in std::iter::once(std::mem::take(&mut self.alone)).chain(groups) {
            best.heap.iter().for_each(|seat| ledger.let_go(&seat.row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Limits;
    use crate::ranking::Body;
    use row::value::Number;

    fn lines(best: &Bests) -> Vec<String> {
        let line = |row: &Ranked<'_>| match row.body {
            Body::Line(line) => String::from_utf8_lossy(line).into_owned(),
            Body::Count(_) | Body::Key => String::new(),
        };
        best.first().iter().map(line).collect()
    }

    /// The lines that are left of `rows`, keys and scores, where 2 of a group are kept; the group
    /// is the first letter of the key when `grouped`.
    fn first(order: Order, grouped: bool, rows: &[(&str, i64)]) -> Vec<String> {
        let limits = Limits { rows: 6, bytes: 1 << 20 };
        let mut ledger = Ledger::new(limits, false);
        let mut best = Bests::new(2, order);
        for (arrival, &(key, score)) in (0..).zip(rows) {
            let score = Score::of_number(Number::Int(score));
            let line = format!("{key}{arrival}");
            let (key, line) = (key.as_bytes(), line.as_bytes());
            let (group, window, partition) = (usize::from(grouped), None, None);
            let offer = Offer { score, key, group, line, window, partition, arrival };
            let admitted = grouped || best.admits(&offer.score, !key.is_empty());
            let before = lines(&best);
            best.offer(&offer, &mut ledger).expect("within the limits");
            assert!(admitted || before == lines(&best), "what was not admitted changes nothing");
        }
        let left = lines(&best);
        best.clear(&mut ledger);
        assert_eq!(ledger.take(1 << 20), Ok(()), "all was given back");
        left
    }

    #[test]
    fn the_first_rows_are_left_in_their_order() {
        let rows = [("", 1), ("", 3), ("", 2), ("", 3), ("", 0)];
        assert_eq!(first(Order::Greatest, false, &rows), ["1", "3"]);
        assert_eq!(first(Order::Least, false, &rows), ["4", "0"]);
    }

    #[test]
    fn of_equal_scores_the_lower_key_and_then_the_earlier_row_comes_first() {
        let rows = [("b", 1), ("b", 1), ("c", 1), ("a", 1)];
        assert_eq!(first(Order::Greatest, false, &rows), ["a3", "b0"]);
        assert_eq!(first(Order::Greatest, false, &[("", 1), ("", 1), ("", 1)]), ["0", "1"]);
    }

    #[test]
    fn each_group_has_its_own_first_rows() {
        let rows = [("b", 1), ("a", 1), ("b", 3), ("c", 0), ("b", 2), ("a", 2)];
        assert_eq!(first(Order::Greatest, true, &rows), ["a5", "a1", "b2", "b4", "c3"]);
    }
}
