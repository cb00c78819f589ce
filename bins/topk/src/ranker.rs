//! The three ways to rank, as one value: rows and times go in, rankings come out.

use crate::best::Best;
use crate::kept::{Budget, Full, Kept, Limits, Offer};
use crate::latest::Latest;
use crate::pace::Pace;
use crate::score::{Order, Score};
use crate::windows::{Late, Windows};

/// What is ranked when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each window by itself, when it closes: `by_rows` when a later one starts.
    Windows {
        /// Whether rows say that a window has closed, and not marks.
        by_rows: bool,
    },
    /// The last row of each key, at the moments of a [`Pace`] and at the end.
    Upsert(Pace),
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
    /// How many rows and bytes may be kept.
    pub limits: Limits,
}

/// Ranks rows.
#[derive(Clone, Debug)]
pub struct Ranker {
    settings: Settings,
    budget: Budget,
    state: State,
    /// Whether a row came since the last ranking was written.
    news: bool,
}

#[derive(Clone, Debug)]
enum State {
    Windows(Windows),
    Upsert(Latest, Pace),
    End(Best),
}

impl Ranker {
    /// A ranker without rows.
    #[must_use]
    pub fn new(settings: Settings, mode: Mode) -> Ranker {
        let Settings { k, order, keyed, limits } = settings;
        let state = match mode {
            Mode::Windows { by_rows } => State::Windows(Windows::new(k, order, keyed, by_rows)),
            Mode::Upsert(pace) => State::Upsert(Latest::default(), pace),
            Mode::End => State::End(Best::new(k, order)),
        };
        Ranker { settings, budget: Budget::new(limits), state, news: false }
    }

    /// Whether a row that comes now may change a ranking. One that may not need not be offered.
    #[inline]
    #[must_use]
    pub fn admits(&self, score: &Score<'_>, window: Option<i64>) -> bool {
        match &self.state {
            State::End(best) => best.admits(score, self.settings.keyed),
            State::Windows(windows) => windows.admits(window.unwrap_or(i64::MIN), score),
            State::Upsert(..) => true,
        }
    }

    /// Offers a row, of the window that ends at `window` when windows are ranked. Hands to
    /// `write` the windows that close because it came.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn offer(
        &mut self,
        offer: &Offer<'_>,
        window: Option<i64>,
        write: &mut dyn FnMut(&[&Kept]),
    ) -> Result<(), Full> {
        self.news = true;
        match &mut self.state {
            State::End(best) => best.offer(offer, &mut self.budget),
            State::Windows(windows) => {
                windows.offer(window.unwrap_or(i64::MIN), offer, &mut self.budget, write)
            }
            State::Upsert(latest, _) if offer.score == Score::Null => {
                latest.remove(offer.key, &mut self.budget);
                Ok(())
            }
            State::Upsert(latest, _) => latest.set(offer, &mut self.budget),
        }
    }

    /// Begins at the time `ms`, where nothing else says when.
    pub fn begin(&mut self, ms: i64) {
        if let State::Upsert(_, pace) = &mut self.state {
            pace.begin(ms);
        }
    }

    /// It is `ms`: hands to `write` what is due.
    pub fn tick(&mut self, ms: i64, write: &mut dyn FnMut(&[&Kept])) {
        if let State::Upsert(_, pace) = &mut self.state
            && pace.tick(ms)
        {
            self.write_latest(write);
        }
    }

    /// Every row of windows that end by `until` has come: hands to `write` what is due.
    pub fn closed(&mut self, until: i64, write: &mut dyn FnMut(&[&Kept])) {
        match &mut self.state {
            State::Windows(windows) => windows.close(until, &mut self.budget, write),
            State::Upsert(_, pace) => {
                if pace.closed(until) {
                    self.write_latest(write);
                }
            }
            State::End(_) => {}
        }
    }

    /// The input is complete: hands to `write` what has not been written.
    pub fn end(&mut self, write: &mut dyn FnMut(&[&Kept])) {
        match &mut self.state {
            State::Windows(windows) => windows.end(&mut self.budget, write),
            State::Upsert(..) if self.news => self.write_latest(write),
            State::Upsert(..) => {}
            State::End(best) => write(&best.first()),
        }
        self.news = false;
    }

    fn write_latest(&mut self, write: &mut dyn FnMut(&[&Kept])) {
        if let State::Upsert(latest, _) = &self.state {
            write(&latest.first(self.settings.k, self.settings.order));
        }
        self.news = false;
    }

    /// The ranking as it would be now; of windows that of the next one to close.
    #[must_use]
    pub fn provisional(&self) -> Vec<&Kept> {
        match &self.state {
            State::Windows(windows) => windows.provisional(),
            State::Upsert(latest, _) => latest.first(self.settings.k, self.settings.order),
            State::End(best) => best.first(),
        }
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        match &mut self.state {
            State::Windows(windows) => windows.clear(&mut self.budget),
            State::Upsert(latest, _) => latest.clear(&mut self.budget),
            State::End(best) => best.clear(&mut self.budget),
        }
        self.news = false;
    }

    /// Milliseconds from `ms` until [`Ranker::tick`] will write, when time alone brings it.
    #[must_use]
    pub fn wait_ms(&self, ms: i64) -> Option<i64> {
        match &self.state {
            State::Upsert(_, pace) => pace.wait_ms(ms),
            State::Windows(_) | State::End(_) => None,
        }
    }

    /// Whether rows came that no ranking has shown yet.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// The rows that came too late for their windows.
    #[must_use]
    pub fn late(&self) -> Late {
        match &self.state {
            State::Windows(windows) => windows.late(),
            State::Upsert(..) | State::End(_) => Late::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let settings = Settings { k: 2, order: Order::Greatest, keyed: true, limits };
            Bench { ranker: Ranker::new(settings, mode), arrival: 0, written: Vec::new() }
        }

        fn row(&mut self, key: &str, score: Option<i64>) -> Result<(), Full> {
            let line = format!("{key}:{}", score.unwrap_or(-1));
            let score = score.map_or(Score::Null, |score| Score::of_number(Number::Int(score)));
            let (key, line) = (key.as_bytes(), line.as_bytes());
            let offer = Offer { score, key, line, partition: None, arrival: self.arrival };
            self.arrival += 1;
            self.ranker.offer(&offer, None, &mut |rows| self.written.push(shown(rows)))
        }

        fn rows(&mut self, rows: &[(&str, i64)]) {
            for &(key, score) in rows {
                self.row(key, Some(score)).expect("within the limits");
            }
        }

        fn tick(&mut self, ms: i64) {
            self.ranker.tick(ms, &mut |rows| self.written.push(shown(rows)));
        }

        fn closed(&mut self, until: i64) {
            self.ranker.closed(until, &mut |rows| self.written.push(shown(rows)));
        }

        fn end(&mut self) {
            self.ranker.end(&mut |rows| self.written.push(shown(rows)));
        }
    }

    fn shown(rows: &[&Kept]) -> String {
        let lines = rows.iter().map(|row| String::from_utf8_lossy(&row.line));
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
