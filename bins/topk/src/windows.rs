//! The rows of windows that are open, and when these close.

use std::collections::BTreeMap;

use crate::best::Best;
use crate::kept::{Budget, Full, Kept, Offer};
use crate::latest::Latest;
use crate::score::{Order, Score};

/// Which rows of a window are ranked.
#[derive(Clone, Debug)]
enum Board {
    /// All.
    All(Best),
    /// The last one of each key.
    Keyed(Latest),
}

/// Rows whose window had been written when they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// How many there were.
    pub rows: u64,
    /// The most milliseconds from the end of a row's window to the first end that still counted.
    pub most_ms: i64,
}

/// Windows by their ends, in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub struct Windows {
    k: usize,
    order: Order,
    keyed: bool,
    /// Whether a window closes when a later one starts, as nothing else says so.
    by_rows: bool,
    open: BTreeMap<i64, Board>,
    /// The first end of a window that has not closed.
    open_from: i64,
    late: Late,
}

impl Windows {
    /// No windows yet.
    #[must_use]
    pub fn new(k: usize, order: Order, keyed: bool, by_rows: bool) -> Windows {
        let (open, late) = (BTreeMap::new(), Late::default());
        Windows { k, order, keyed, by_rows, open, open_from: i64::MIN, late }
    }

    /// Offers a row of the window that ends at `end`, after what closes because it came.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn offer(
        &mut self,
        end: i64,
        offer: &Offer<'_>,
        budget: &mut Budget,
        write: &mut dyn FnMut(&[&Kept]),
    ) -> Result<(), Full> {
        if end < self.open_from {
            self.late.rows += 1;
            self.late.most_ms = self.late.most_ms.max(self.open_from.saturating_sub(end));
            return Ok(());
        }
        if self.by_rows {
            self.close_before(end, budget, write);
        }
        let board = self.open.entry(end).or_insert_with(|| {
            if self.keyed {
                Board::Keyed(Latest::default())
            } else {
                Board::All(Best::new(self.k, self.order))
            }
        });
        match board {
            Board::All(best) => best.offer(offer, budget),
            Board::Keyed(latest) => latest.set(offer, budget),
        }
    }

    /// Closes all windows that end at `until` or before.
    pub fn close(&mut self, until: i64, budget: &mut Budget, write: &mut dyn FnMut(&[&Kept])) {
        self.close_before(until.saturating_add(1), budget, write);
    }

    fn close_before(&mut self, end: i64, budget: &mut Budget, write: &mut dyn FnMut(&[&Kept])) {
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.key() < end) {
            let board = entry.remove();
            write(&first(&board, self.k, self.order));
            let_go(board, budget);
        }
        self.open_from = self.open_from.max(end);
    }

    /// Closes all windows, because the input is complete.
    pub fn end(&mut self, budget: &mut Budget, write: &mut dyn FnMut(&[&Kept])) {
        for board in std::mem::take(&mut self.open).into_values() {
            write(&first(&board, self.k, self.order));
            let_go(board, budget);
        }
    }

    /// Forgets all windows, but not what came too late for them.
    pub fn clear(&mut self, budget: &mut Budget) {
        for board in std::mem::take(&mut self.open).into_values() {
            let_go(board, budget);
        }
        self.open_from = i64::MIN;
    }

    /// What the window that closes next would give now.
    #[must_use]
    pub fn provisional(&self) -> Vec<&Kept> {
        let next = self.open.values().next();
        next.map_or_else(Vec::new, |board| first(board, self.k, self.order))
    }

    /// Whether a row may be among the first of the window that ends at `end`.
    #[must_use]
    pub fn admits(&self, end: i64, score: &Score<'_>) -> bool {
        match self.open.get(&end) {
            Some(Board::All(best)) => best.admits(score, false),
            _ => true,
        }
    }

    /// The rows that came too late.
    #[must_use]
    pub fn late(&self) -> Late {
        self.late
    }
}

fn first(board: &Board, k: usize, order: Order) -> Vec<&Kept> {
    match board {
        Board::All(best) => best.first(),
        Board::Keyed(latest) => latest.first(k, order),
    }
}

fn let_go(board: Board, budget: &mut Budget) {
    match board {
        Board::All(mut best) => best.clear(budget),
        Board::Keyed(mut latest) => latest.clear(budget),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Limits;
    use row::value::Number;

    /// Windows fed by hand, and what they wrote: `key:score` of each row, a line a window.
    struct Bench {
        windows: Windows,
        budget: Budget,
        arrival: u64,
        written: Vec<String>,
    }

    impl Bench {
        fn new(keyed: bool, by_rows: bool) -> Bench {
            let windows = Windows::new(2, Order::Greatest, keyed, by_rows);
            let budget = Budget::new(Limits { rows: 8, bytes: 1 << 20 });
            Bench { windows, budget, arrival: 0, written: Vec::new() }
        }

        fn row(&mut self, end: i64, key: &str, score: i64) {
            let line = format!("{key}:{score}");
            let score = Score::of_number(Number::Int(score));
            let (key, line) = (key.as_bytes(), line.as_bytes());
            let offer = Offer { score, key, line, partition: None, arrival: self.arrival };
            self.arrival += 1;
            let write = &mut |rows: &[&Kept]| self.written.push(shown(rows));
            self.windows.offer(end, &offer, &mut self.budget, write).expect("within the limits");
        }

        fn close(&mut self, until: i64) {
            let write = &mut |rows: &[&Kept]| self.written.push(shown(rows));
            self.windows.close(until, &mut self.budget, write);
        }

        fn end(&mut self) {
            let write = &mut |rows: &[&Kept]| self.written.push(shown(rows));
            self.windows.end(&mut self.budget, write);
        }
    }

    fn shown(rows: &[&Kept]) -> String {
        let lines = rows.iter().map(|row| String::from_utf8_lossy(&row.line));
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_later_window_closes_the_one_before_it() {
        let mut bench = Bench::new(false, true);
        for (end, key, score) in [(10, "a", 1), (10, "b", 3), (10, "c", 2), (20, "a", 1)] {
            bench.row(end, key, score);
        }
        assert_eq!(bench.written, ["b:3 c:2"]);
        bench.row(10, "d", 9);
        assert_eq!(bench.windows.late(), Late { rows: 1, most_ms: 10 });
        bench.end();
        assert_eq!(bench.written, ["b:3 c:2", "a:1"]);
    }

    #[test]
    fn with_marks_windows_stay_open_until_they_are_said_to_be_complete() {
        let mut bench = Bench::new(true, false);
        for (end, key, score) in [(20, "a", 5), (10, "a", 1), (10, "a", 0), (10, "b", 2)] {
            bench.row(end, key, score);
        }
        assert_eq!(shown(&bench.windows.provisional()), "b:2 a:0");
        bench.close(9);
        assert!(bench.written.is_empty());
        bench.close(10);
        assert_eq!(bench.written, ["b:2 a:0"]);
        bench.row(10, "c", 1);
        assert_eq!(bench.windows.late(), Late { rows: 1, most_ms: 1 });
        bench.windows.clear(&mut bench.budget);
        bench.row(10, "c", 1);
        bench.end();
        assert_eq!(bench.written, ["b:2 a:0", "c:1"]);
    }

    #[test]
    fn closed_windows_take_no_memory() {
        let mut bench = Bench::new(true, true);
        for end in 0..100 {
            bench.row(end, "a", 1);
            bench.row(end, "b", 1);
        }
        assert_eq!(bench.written.len(), 99);
    }
}
