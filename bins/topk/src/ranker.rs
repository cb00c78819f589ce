//! The ways to rank, as one value: rows and times go in, rankings come out.

use row::key::Key;

use crate::best::Bests;
use crate::entry::Entry;
use crate::kept::{Kept, Offer};
use crate::latest::Latest;
use crate::ledger::{Full, Ledger, Limits};
use crate::pace::Pace;
use crate::ranking::{Ranked, Write};
use crate::score::{Order, Score};
use crate::shown::Shown;
use crate::tally::{Scale, Tally, Unscored};
use crate::windows::{Fate, Windows};

/// What is ranked when.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Each window by itself, when it closes: `by_rows` when a later one starts.
    Windows {
        /// Whether rows say that a window has closed, and not marks.
        by_rows: bool,
    },
    /// The last row of each key, at the moments of a [`Pace`] and at the end.
    Upsert(Pace),
    /// How many rows each key has, at the moments of a [`Pace`] and at the end.
    Tally(Scale, Pace),
    /// All rows, at the end.
    End,
}

/// How rows are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Rows of a ranking.
    pub k: usize,
    /// Which scores come first.
    pub order: Order,
    /// Whether rows have keys.
    pub keyed: bool,
    /// Whether rows have groups.
    pub grouped: bool,
    /// Whether a ranking is written as its changes since the last one.
    pub changes: bool,
    /// How many rows and bytes may be kept.
    pub limits: Limits,
}

/// What else later rankings depend on, beside rows: the same for all keys of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The first end of a window that has not closed.
    pub open_from: Option<i64>,
    /// The multiple of the pace that was written last, in milliseconds.
    pub written_ms: Option<i64>,
    /// Whether a row came since the last ranking was written.
    pub news: bool,
}

/// Ranks rows.
#[derive(Clone, Debug)]
pub struct Ranker {
    settings: Settings,
    ledger: Ledger,
    board: Board,
    /// The last ranking, when only changes are written.
    shown: Option<Shown>,
    /// Whether a row came since the last ranking was written.
    news: bool,
}

#[derive(Clone, Debug)]
enum Board {
    Windows(Windows),
    Upsert(Latest, Pace),
    Tally(Tally, Pace),
    End(Bests),
}

impl Ranker {
    /// A ranker without rows.
    #[must_use]
    pub fn new(settings: Settings, mode: Mode) -> Ranker {
        let Settings { k, order, keyed, limits, .. } = settings;
        let by_key = keyed && !matches!(mode, Mode::End);
        let board = match mode {
            Mode::Windows { by_rows } => Board::Windows(Windows::new(k, order, keyed, by_rows)),
            Mode::Upsert(pace) => Board::Upsert(Latest::default(), pace),
            Mode::Tally(scale, pace) => Board::Tally(Tally::new(scale), pace),
            Mode::End => Board::End(Bests::new(k, order)),
        };
        let shown = settings.changes.then(Shown::default);
        Ranker { settings, ledger: Ledger::new(limits, by_key), board, shown, news: false }
    }

    /// Whether a row that comes now may change a ranking. One that may not need not be offered.
    #[inline]
    #[must_use]
    pub fn admits(&self, score: &Score<'_>, window: Option<i64>) -> bool {
        match &self.board {
            _ if self.settings.grouped => true,
            Board::End(bests) => bests.admits(score, self.settings.keyed),
            Board::Windows(windows) => windows.admits(window.unwrap_or(i64::MIN), score),
            Board::Upsert(..) | Board::Tally(..) => true,
        }
    }

    /// Offers a row. Hands to `write` the windows that close because it came.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn offer(&mut self, offer: &Offer<'_>, write: &mut Write<'_>) -> Result<Fate, Full> {
        let Ranker { board, ledger, .. } = self;
        self.news = true;
        match board {
            Board::End(bests) => bests.offer(offer, ledger)?,
            Board::Windows(windows) => {
                return windows.offer(offer.window.unwrap_or(i64::MIN), offer, ledger, write);
            }
            Board::Upsert(latest, _) if offer.score == Score::Null => {
                latest.remove(offer.key, ledger);
            }
            Board::Upsert(latest, _) => latest.set(offer, ledger)?,
            Board::Tally(tally, _) => {
                tally.add(Key::new(offer.key), offer.group, offer.partition, ledger)?;
            }
        }
        Ok(Fate::Counts)
    }

    /// Counts a row of `key`, whose first `group` bytes are its group.
    ///
    /// # Errors
    /// When a limit is reached.
    #[inline]
    pub fn count(
        &mut self,
        key: Key<'_>,
        group: usize,
        partition: Option<u32>,
    ) -> Result<(), Full> {
        self.news = true;
        match &mut self.board {
            Board::Tally(tally, _) => tally.add(key, group, partition, &mut self.ledger),
            Board::Windows(_) | Board::Upsert(..) | Board::End(_) => Ok(()),
        }
    }

    /// Begins at the time `ms`, where nothing else says when.
    pub fn begin(&mut self, ms: i64) {
        if let Some(pace) = self.pace_mut() {
            pace.begin(ms);
        }
    }

    fn pace_mut(&mut self) -> Option<&mut Pace> {
        match &mut self.board {
            Board::Upsert(_, pace) | Board::Tally(_, pace) => Some(pace),
            Board::Windows(_) | Board::End(_) => None,
        }
    }

    fn pace(&self) -> Option<&Pace> {
        match &self.board {
            Board::Upsert(_, pace) | Board::Tally(_, pace) => Some(pace),
            Board::Windows(_) | Board::End(_) => None,
        }
    }

    /// It is `ms`: hands to `write` what is due.
    ///
    /// # Errors
    /// When a score cannot be computed.
    pub fn tick(&mut self, ms: i64, write: &mut Write<'_>) -> Result<(), Unscored> {
        let due = self.pace_mut().is_some_and(|pace| pace.tick(ms));
        if due { self.write(write) } else { Ok(()) }
    }

    /// Every row of windows that end by `until` has come: hands to `write` what is due.
    ///
    /// # Errors
    /// When a score cannot be computed.
    pub fn closed(&mut self, until: i64, write: &mut Write<'_>) -> Result<(), Unscored> {
        if let Board::Windows(windows) = &mut self.board {
            windows.close(until, &mut self.ledger, write);
        }
        let due = self.pace_mut().is_some_and(|pace| pace.closed(until));
        if due { self.write(write) } else { Ok(()) }
    }

    /// The input is complete: hands to `write` what has not been written.
    ///
    /// # Errors
    /// When a score cannot be computed.
    pub fn end(&mut self, write: &mut Write<'_>) -> Result<(), Unscored> {
        match &mut self.board {
            Board::Windows(windows) => windows.end(&mut self.ledger, write),
            Board::Upsert(..) | Board::Tally(..) if !self.news => {}
            Board::Upsert(..) | Board::Tally(..) | Board::End(_) => return self.write(write),
        }
        self.news = false;
        Ok(())
    }

    fn write(&mut self, write: &mut Write<'_>) -> Result<(), Unscored> {
        self.news = false;
        let ranking = ranking(&self.board, self.settings)?;
        match &mut self.shown {
            Some(shown) => shown.exchange(&ranking, write),
            None => write(&ranking),
        }
        Ok(())
    }

    /// The ranking as it would be now; of windows that of the next one to close. Nothing where a
    /// score cannot be computed.
    #[must_use]
    pub fn provisional(&self) -> Vec<Ranked<'_>> {
        ranking(&self.board, self.settings).unwrap_or_default()
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        match &mut self.board {
            Board::Windows(windows) => windows.clear(),
            Board::Upsert(latest, _) => latest.clear(&mut self.ledger),
            Board::Tally(tally, _) => tally.clear(),
            Board::End(bests) => bests.clear(&mut self.ledger),
        }
        self.ledger.clear();
        self.shown = self.settings.changes.then(Shown::default);
        self.news = false;
    }

    /// Milliseconds from `ms` until [`Ranker::tick`] will write, when time alone brings it.
    #[must_use]
    pub fn wait_ms(&self, ms: i64) -> Option<i64> {
        self.pace()?.wait_ms(ms)
    }

    /// Whether rows came that no ranking has shown yet.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// How many rows or keys are kept, as the limits count them.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.ledger.rows()
    }

    /// What of the rows, counts and the last ranking has changed since the last time.
    pub fn entries(&mut self) -> Vec<Entry> {
        let mut entries = self.ledger.gone();
        match &mut self.board {
            Board::Windows(windows) => windows.file(&self.ledger, &mut entries),
            Board::Upsert(latest, _) => latest.file(&self.ledger, &mut entries),
            Board::Tally(tally, _) => tally.file(&mut entries),
            Board::End(bests) => bests.file(&self.ledger, &mut entries),
        }
        if let Some(shown) = &mut self.shown {
            shown.file(&mut entries);
        }
        entries
    }

    /// Takes back a row.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn restore_row(&mut self, row: Kept) -> Result<(), Full> {
        match &mut self.board {
            Board::Windows(windows) => windows.restore(row, &mut self.ledger),
            Board::Upsert(latest, _) => latest.restore(row, &mut self.ledger),
            Board::End(bests) => bests.restore(row, &mut self.ledger),
            Board::Tally(..) => Ok(()),
        }
    }

    /// Takes back the count of `key` under the partition `at`; false when the value is none.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn restore_count(
        &mut self,
        at: u32,
        key: &[u8],
        value: &serde_json::Value,
    ) -> Result<bool, Full> {
        match &mut self.board {
            Board::Tally(tally, _) => tally.restore(at, key, value, &mut self.ledger),
            Board::Windows(_) | Board::Upsert(..) | Board::End(_) => Ok(false),
        }
    }

    /// Takes back a row of the last ranking under the partition `at`; false when it is none.
    #[must_use]
    pub fn restore_shown(&mut self, at: u32, key: &[u8], value: &serde_json::Value) -> bool {
        self.shown.as_mut().is_some_and(|shown| shown.restore(at, key, value))
    }

    /// What else later rankings depend on, for rows of `partition`.
    #[must_use]
    pub fn progress(&self, partition: u32) -> Progress {
        let open_from = match &self.board {
            Board::Windows(windows) => Some(windows.open_from(Some(partition))),
            Board::Upsert(..) | Board::Tally(..) | Board::End(_) => None,
        };
        let open_from = open_from.filter(|&open_from| open_from > i64::MIN);
        let pace = self.pace();
        let written_ms = pace.and_then(Pace::written_ms);
        Progress { open_from, written_ms, news: pace.is_some() && self.news }
    }

    /// Takes back what [`Ranker::progress`] was for rows of `partition`.
    pub fn restore_progress(&mut self, partition: u32, progress: Progress) {
        if let (Board::Windows(windows), Some(end)) = (&mut self.board, progress.open_from) {
            windows.restore_open_from(partition, end);
        }
        if let (Some(pace), Some(ms)) = (self.pace_mut(), progress.written_ms) {
            pace.restore(ms);
        }
        self.news |= progress.news;
    }
}

fn ranking(board: &Board, settings: Settings) -> Result<Vec<Ranked<'_>>, Unscored> {
    let Settings { k, order, .. } = settings;
    match board {
        Board::Windows(windows) => Ok(windows.provisional()),
        Board::Upsert(latest, _) => Ok(latest.first(k, order)),
        Board::Tally(tally, _) => tally.first(k, order),
        Board::End(bests) => Ok(bests.first()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::Body;
    use row::value::Number;

    /// A ranker fed by hand, and what it wrote: `key:score` of each row, a line a ranking.
    struct Bench {
        ranker: Ranker,
        arrival: u64,
        written: Vec<String>,
    }

    impl Bench {
        fn new(mode: Mode) -> Bench {
            let limits = Limits { rows: 3, bytes: 1 << 20 };
            let settings = Settings {
                k: 2,
                order: Order::Greatest,
                keyed: true,
                grouped: false,
                changes: false,
                limits,
            };
            Bench { ranker: Ranker::new(settings, mode), arrival: 0, written: Vec::new() }
        }

        fn row(&mut self, key: &str, score: Option<i64>) -> Result<Fate, Full> {
            let line = format!("{key}:{}", score.unwrap_or(-1));
            let score = score.map_or(Score::Null, |score| Score::of_number(Number::Int(score)));
            let (key, line) = (key.as_bytes(), line.as_bytes());
            let (group, window, partition) = (0, None, Some(0));
            let arrival = self.arrival;
            let offer = Offer { score, key, group, line, window, partition, arrival };
            self.arrival += 1;
            self.ranker.offer(&offer, &mut |rows| self.written.push(shown(rows)))
        }

        fn rows(&mut self, rows: &[(&str, i64)]) {
            for &(key, score) in rows {
                self.row(key, Some(score)).expect("within the limits");
            }
        }

        fn tick(&mut self, ms: i64) {
            let ticked = self.ranker.tick(ms, &mut |rows| self.written.push(shown(rows)));
            ticked.expect("scores");
        }

        fn closed(&mut self, until: i64) {
            let closed = self.ranker.closed(until, &mut |rows| self.written.push(shown(rows)));
            closed.expect("scores");
        }

        fn end(&mut self) {
            let ended = self.ranker.end(&mut |rows| self.written.push(shown(rows)));
            ended.expect("scores");
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
    fn a_null_score_removes_its_key() {
        let mut bench = Bench::new(Mode::Upsert(Pace::new(None, true)));
        bench.rows(&[("a", 3), ("b", 2), ("c", 1)]);
        bench.closed(10);
        bench.row("a", None).expect("within the limits");
        bench.rows(&[("d", 0)]);
        bench.closed(20);
        assert_eq!(bench.written, ["a:3 b:2", "b:2 c:1"]);
        assert_eq!(bench.row("e", Some(0)), Err(Full::Rows(3)));
    }

    #[test]
    fn a_ranking_is_written_again_at_each_multiple_but_not_twice_at_the_end() {
        let mut bench = Bench::new(Mode::Upsert(Pace::new(Some(1000), false)));
        bench.ranker.begin(0);
        bench.rows(&[("a", 3)]);
        for ms in [500, 1000, 1500, 2000] {
            bench.tick(ms);
        }
        bench.end();
        assert_eq!(bench.written, ["a:3", "a:3"]);
        bench.rows(&[("a", 4)]);
        bench.end();
        assert_eq!(bench.written, ["a:3", "a:3", "a:4"]);
    }

    #[test]
    fn all_rows_are_ranked_at_the_end() {
        let mut bench = Bench::new(Mode::End);
        bench.rows(&[("a", 3), ("b", 1), ("a", 2), ("a", 0)]);
        bench.tick(1000);
        bench.closed(1000);
        assert_eq!(shown(&bench.ranker.provisional()), "a:3 a:2");
        bench.end();
        assert_eq!(bench.written, ["a:3 a:2"]);
    }

    #[test]
    fn a_new_assignment_forgets_everything() {
        for mode in [Mode::End, Mode::Upsert(Pace::new(None, false))] {
            let mut bench = Bench::new(mode);
            bench.rows(&[("a", 3)]);
            bench.ranker.clear();
            bench.rows(&[("b", 1), ("c", 0)]);
            bench.end();
            assert_eq!(bench.written, ["b:1 c:0"]);
        }
    }
}
