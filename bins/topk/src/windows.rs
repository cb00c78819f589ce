//! The rows of windows that are open, and when these close.

use std::collections::BTreeMap;

use crate::best::Bests;
use crate::entry::Entry;
use crate::kept::{Kept, Offer};
use crate::latest::Latest;
use crate::ledger::{Full, Ledger};
use crate::ranking::{Ranked, Write};
use crate::score::{Order, Score};

/// Which rows of a window are ranked.
#[derive(Clone, Debug)]
enum Board {
    /// All.
    All(Bests),
    /// The last one of each key.
    Keyed(Latest),
}

/// What became of a row that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It counts.
    Counts,
    /// Its window had been written so many milliseconds ago: from its end to the first end that
    /// would still have counted.
    Late(i64),
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
    /// The same for single partitions, as they were when their state was stored.
    stored_from: BTreeMap<u32, i64>,
}

impl Windows {
    /// No windows yet.
    #[must_use]
    pub fn new(k: usize, order: Order, keyed: bool, by_rows: bool) -> Windows {
        let (open, stored_from) = (BTreeMap::new(), BTreeMap::new());
        Windows { k, order, keyed, by_rows, open, open_from: i64::MIN, stored_from }
    }

    /// Offers a row of the window that ends at `end`, after what closes because it came.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn offer(
        &mut self,
        end: i64,
        offer: &Offer<'_>,
        ledger: &mut Ledger,
        write: &mut Write<'_>,
    ) -> Result<Fate, Full> {
        let open_from = self.open_from(offer.partition);
        if end < open_from {
            return Ok(Fate::Late(open_from.saturating_sub(end)));
        }
        if self.by_rows {
            self.close_before(end, ledger, write);
        }
        match self.board(end) {
            Board::All(bests) => bests.offer(offer, ledger)?,
            Board::Keyed(latest) => latest.set(offer, ledger)?,
        }
        Ok(Fate::Counts)
    }

    /// Takes a row that was kept elsewhere.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn restore(&mut self, row: Kept, ledger: &mut Ledger) -> Result<(), Full> {
        match self.board(row.window.unwrap_or(i64::MIN)) {
            Board::All(bests) => bests.restore(row, ledger),
            Board::Keyed(latest) => latest.restore(row, ledger),
        }
    }

    fn board(&mut self, end: i64) -> &mut Board {
        self.open.entry(end).or_insert_with(|| {
            if self.keyed {
                Board::Keyed(Latest::default())
            } else {
                Board::All(Bests::new(self.k, self.order))
            }
        })
    }

    /// The first end of a window that has not closed for rows of `partition`.
    #[must_use]
    pub fn open_from(&self, partition: Option<u32>) -> i64 {
        let stored_from = partition.and_then(|partition| self.stored_from.get(&partition));
        stored_from.map_or(self.open_from, |&stored_from| stored_from.max(self.open_from))
    }

    /// Windows that end before `end` had closed for rows of `partition`.
    pub fn restore_open_from(&mut self, partition: u32, end: i64) {
        self.stored_from.insert(partition, end);
    }

    /// Closes all windows that end at `until` or before.
    pub fn close(&mut self, until: i64, ledger: &mut Ledger, write: &mut Write<'_>) {
        self.close_before(until.saturating_add(1), ledger, write);
    }

    fn close_before(&mut self, end: i64, ledger: &mut Ledger, write: &mut Write<'_>) {
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.key() < end) {
            let mut board = entry.remove();
            write(&board.first(self.k, self.order));
            board.clear(ledger);
        }
        self.open_from = self.open_from.max(end);
    }

    /// Closes all windows, because the input is complete.
    pub fn end(&mut self, ledger: &mut Ledger, write: &mut Write<'_>) {
        if let Some((&last, _)) = self.open.last_key_value() {
            self.close(last, ledger, write);
        }
    }

    /// Adds the rows that changed since the last time.
    pub fn file(&mut self, ledger: &Ledger, entries: &mut Vec<Entry>) {
        for board in self.open.values_mut() {
            match board {
                Board::All(bests) => bests.file(ledger, entries),
                Board::Keyed(latest) => latest.file(ledger, entries),
            }
        }
    }

    /// Forgets all windows.
    pub fn clear(&mut self) {
        *self = Windows::new(self.k, self.order, self.keyed, self.by_rows);
    }

    /// What the window that closes next would give now.
    #[must_use]
    pub fn provisional(&self) -> Vec<Ranked<'_>> {
        let next = self.open.values().next();
        next.map_or_else(Vec::new, |board| board.first(self.k, self.order))
    }

    /// Whether a row without a group may be among the first of the window that ends at `end`, or
    /// is late.
    #[must_use]
    pub fn admits(&self, end: i64, score: &Score<'_>) -> bool {
        match self.open.get(&end) {
            Some(Board::All(bests)) => bests.admits(score, false),
            _ => true,
        }
    }
}

impl Board {
    fn first(&self, k: usize, order: Order) -> Vec<Ranked<'_>> {
        match self {
            Board::All(bests) => bests.first(),
            Board::Keyed(latest) => latest.first(k, order),
        }
    }

    fn clear(&mut self, ledger: &mut Ledger) {
        match self {
            Board::All(bests) => bests.clear(ledger),
            Board::Keyed(latest) => latest.clear(ledger),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Limits;
    use crate::ranking::Body;
    use row::value::Number;

    /// Windows fed by hand, and what they wrote: `key:score` of each row, a line a window.
    struct Bench {
        windows: Windows,
        ledger: Ledger,
        late: Vec<i64>,
        arrival: u64,
        written: Vec<String>,
    }

    impl Bench {
        fn new(keyed: bool, by_rows: bool) -> Bench {
            let windows = Windows::new(2, Order::Greatest, keyed, by_rows);
            let ledger = Ledger::new(Limits { rows: 8, bytes: 1 << 20 }, keyed);
            Bench { windows, ledger, late: Vec::new(), arrival: 0, written: Vec::new() }
        }

        fn row(&mut self, end: i64, key: &str, score: i64) {
            let line = format!("{key}:{score}");
            let score = Score::of_number(Number::Int(score));
            let (key, line) = (key.as_bytes(), line.as_bytes());
            let (group, window, partition) = (0, Some(end), Some(0));
            let arrival = self.arrival;
            let offer = Offer { score, key, group, line, window, partition, arrival };
            self.arrival += 1;
            let write = &mut |rows: &[Ranked<'_>]| self.written.push(shown(rows));
            let fate = self.windows.offer(end, &offer, &mut self.ledger, write);
            if let Fate::Late(by_ms) = fate.expect("within the limits") {
                self.late.push(by_ms);
            }
        }

        fn close(&mut self, until: i64) {
            let write = &mut |rows: &[Ranked<'_>]| self.written.push(shown(rows));
            self.windows.close(until, &mut self.ledger, write);
        }

        fn end(&mut self) {
            let write = &mut |rows: &[Ranked<'_>]| self.written.push(shown(rows));
            self.windows.end(&mut self.ledger, write);
        }
    }

    fn shown(rows: &[Ranked<'_>]) -> String {
        let lines = rows.iter().map(|row| match row.body {
            Body::Line(line) => String::from_utf8_lossy(line),
            Body::Count(_) | Body::Key => "".into(),
        });
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
        assert_eq!(bench.late, [10]);
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
        assert_eq!(bench.late, [1]);
        bench.windows.clear();
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

    #[test]
    fn a_window_closes_once_for_each_partition() {
        let mut bench = Bench::new(true, false);
        bench.windows.restore_open_from(0, 21);
        bench.windows.restore_open_from(1, 11);
        bench.row(20, "a", 1);
        assert_eq!(bench.late, [1]);
        assert_eq!(bench.windows.open_from(Some(1)), 11);
        bench.close(30);
        assert_eq!(bench.windows.open_from(Some(1)), 31);
    }
}
