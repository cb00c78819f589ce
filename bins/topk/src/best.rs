//! The K first of all rows, in a heap of K.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::kept::{Budget, Full, Kept, Offer};
use crate::score::{Order, Score};

/// The K first of the rows that were offered.
#[derive(Clone, Debug)]
pub struct Best {
    k: usize,
    order: Order,
    /// The last of them on top.
    heap: BinaryHeap<Seat>,
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

impl Best {
    /// No rows yet, of which the `k` first will be kept.
    #[must_use]
    pub fn new(k: usize, order: Order) -> Best {
        Best { k, order, heap: BinaryHeap::new() }
    }

    /// Whether a row that comes now with this score may be among the K first; one with an equal
    /// score is only when it has a key.
    #[inline]
    #[must_use]
    pub fn admits(&self, score: &Score<'_>, keyed: bool) -> bool {
        if self.heap.len() < self.k {
            return true;
        }
        let Some(last) = self.heap.peek() else { return false };
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
    pub fn offer(&mut self, offer: &Offer<'_>, budget: &mut Budget) -> Result<(), Full> {
        if self.heap.len() < self.k {
            budget.take(offer.size())?;
            self.heap.push(Seat { row: offer.keep(), order: self.order });
            return Ok(());
        }
        let Some(mut last) = self.heap.peek_mut() else { return Ok(()) };
        if offer.compare(&last.row, self.order).is_lt() {
            budget.exchange(last.row.size(), offer.size())?;
            last.row.replace(offer);
            return Ok(());
        }
        Ok(())
    }

    /// The rows, first to last.
    #[must_use]
    pub fn first(&self) -> Vec<&Kept> {
        let mut rows: Vec<&Kept> = self.heap.iter().map(|seat| &seat.row).collect();
        rows.sort_unstable_by(|one, other| one.compare(other, self.order));
        rows
    }

    /// Lets all rows go.
    pub fn clear(&mut self, budget: &mut Budget) {
        for seat in self.heap.drain() {
            budget.give_back(seat.row.size());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Limits;
    use row::value::Number;

    /// The lines that are left of `rows`, keys and scores, where 2 are kept.
    fn first(order: Order, rows: &[(&str, i64)]) -> Vec<String> {
        let mut budget = Budget::new(Limits { rows: 2, bytes: 1 << 20 });
        let mut best = Best::new(2, order);
        for (arrival, &(key, score)) in (0..).zip(rows) {
            let score = Score::of_number(Number::Int(score));
            let line = format!("{key}{arrival}");
            let (key, line) = (key.as_bytes(), line.as_bytes());
            let offer = Offer { score, key, line, partition: None, arrival };
            let admitted = best.admits(&offer.score, !key.is_empty());
            let before = best.first().into_iter().cloned().collect::<Vec<_>>();
            best.offer(&offer, &mut budget).expect("within the limits");
            let after = best.first().into_iter().cloned().collect::<Vec<_>>();
            assert!(admitted || before == after, "what was not admitted changes nothing");
        }
        let lines = best.first().into_iter().map(|row| String::from_utf8_lossy(&row.line));
        let lines = lines.map(std::borrow::Cow::into_owned).collect();
        best.clear(&mut budget);
        assert_eq!(budget.take(1 << 20), Ok(()), "all was given back");
        lines
    }

    #[test]
    fn the_first_rows_are_left_in_their_order() {
        let rows = [("", 1), ("", 3), ("", 2), ("", 3), ("", 0)];
        assert_eq!(first(Order::Greatest, &rows), ["1", "3"]);
        assert_eq!(first(Order::Least, &rows), ["4", "0"]);
    }

    #[test]
    fn of_equal_scores_the_lower_key_and_then_the_earlier_row_comes_first() {
        let rows = [("b", 1), ("b", 1), ("c", 1), ("a", 1)];
        assert_eq!(first(Order::Greatest, &rows), ["a3", "b0"]);
        assert_eq!(first(Order::Greatest, &[("", 1), ("", 1), ("", 1)]), ["0", "1"]);
    }
}
