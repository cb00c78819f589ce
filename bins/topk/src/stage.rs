//! One stage of a pipeline: lines and marks go in, lines and marks come out.

use pipe::course::Course;
use pipe::exit::{Code, Error, Result};
use pipe::mark::{How, Mark};
use pipe::stats::Gauges;
use row::bad::{self, BadRows};
use row::field::Bad;
use row::key::Key;
use row::schema::{Options, Schema, label};
use row::value::Fault;
use serde_json::Value as Json;

use crate::intake::{Intake, KeyIntake, Query, Taken};
use crate::kept::Offer;
use crate::layout;
use crate::ledger::Full;
use crate::output::Output;
use crate::pace::Pace;
use crate::ranker::{Mode, Ranker, Settings};
use crate::ranking::Ranked;
use crate::score::Score;
use crate::sheet::{COUNT, Form, RANK, Sheet};
use crate::tally::{Scale, Unscored};
use crate::windows::Fate;

mod marks;
mod state;

use state::Stored;

/// What the caller asks for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The form of the input.
    pub rows: Options,
    /// What rows are asked for.
    pub query: Query,
    /// How they are ranked.
    pub settings: Settings,
    /// Which rows count.
    pub counting: Counting,
    /// Milliseconds between rankings.
    pub every_ms: Option<i64>,
    /// The form of the rankings.
    pub form: Form,
    /// What happens to bad rows.
    pub keeping: Keeping,
}

/// Which rows count, unless they belong to windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// All, once at the end.
    All,
    /// The last of each key, again and again.
    Last,
    /// All, which are counted by key; `again` as well as at the end.
    Tally {
        /// Whether rankings are written before the end.
        again: bool,
    },
}

/// Why options that ask for rankings again and again mean nothing to rows of windows.
pub const WINDOWS: &str = "the rows have windows, and are ranked when these close";

/// What the stage does with rows that do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Keep bad rows, as JSON lines.
    pub bad: bool,
    /// Stop at the first bad row.
    pub strict: bool,
}

/// The stage.
#[derive(Debug)]
pub struct Stage {
    plan: Plan,
    /// Not there before the first row.
    job: Option<Job>,
    key: Vec<u8>,
    /// The partition that rows come from, by the output's number.
    partition: Option<u32>,
    /// What the clock or a tick said last.
    now_ms: Option<i64>,
    course: Course,
    /// Whether a stage before this one says when its rows are complete.
    behind_swin: bool,
    stored: Stored,
    rows: u64,
    /// The number of the last row that was offered.
    arrival: u64,
    unscored: u64,
    bad: BadRows,
    bad_lines: Vec<u8>,
    late: Late,
    notes: Vec<String>,
}

/// Rows whose window had been written when they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Late {
    rows: u64,
    /// The most milliseconds from the end of a row's window to the first end that still counted.
    most_ms: i64,
}

/// What works once the schema is known.
#[derive(Debug)]
struct Job {
    feed: Feed,
    ranker: Ranker,
}

/// How lines become rows.
#[derive(Debug)]
enum Feed {
    /// Rows with a score.
    Rows(Box<Intake>),
    /// Rows whose keys are counted.
    Keys(Box<KeyIntake>),
    /// Lines that are counted as they are.
    Lines,
}

impl Stage {
    /// A stage that has seen nothing.
    #[must_use]
    pub fn new(plan: Plan) -> Stage {
        Stage {
            plan,
            job: None,
            key: Vec::new(),
            partition: None,
            now_ms: None,
            course: Course::new("topk"),
            behind_swin: false,
            stored: Stored::default(),
            rows: 0,
            arrival: 0,
            unscored: 0,
            bad: BadRows::default(),
            bad_lines: Vec::new(),
            late: Late::default(),
            notes: Vec::new(),
        }
    }

    /// Compiles the query when the schema needs no first row, so that a wrong one is refused
    /// before any input.
    ///
    /// # Errors
    /// When an expression is refused.
    pub fn check_early(&self) -> Result<()> {
        self.mode(false)?;
        let schema = self.plan.rows.early();
        match schema.map_err(|(option, reason)| Error::caller(option, reason))? {
            Some(schema) => {
                let feed = self.feed(schema, b"")?;
                if feed.has_windows() && self.plan.counting == Counting::Last {
                    return Err(Error::caller(self.plan.idle_options(), WINDOWS));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn feed(&self, schema: Schema, first: &[u8]) -> Result<Feed> {
        let Plan { query, counting, .. } = &self.plan;
        let feed = match counting {
            Counting::Tally { .. } if self.counts_lines() => Ok(Feed::Lines),
            Counting::Tally { .. } => {
                KeyIntake::new(query, schema).map(|keys| Feed::Keys(Box::new(keys)))
            }
            Counting::All | Counting::Last => {
                Intake::new(query, schema, first).map(|intake| Feed::Rows(Box::new(intake)))
            }
        };
        feed.map_err(|(option, reason)| Error::caller(option, reason))
    }

    /// Whether lines are counted as they are, whatever they hold.
    fn counts_lines(&self) -> bool {
        let Plan { query, rows, .. } = &self.plan;
        query.keys == ["$0"] && query.grouped == 0 && rows.given().is_none()
    }

    /// Whether barriers cut the stream into epochs.
    #[must_use]
    pub fn has_epochs(&self) -> bool {
        self.course.has_epochs()
    }

    /// Takes the line `number`.
    ///
    /// # Errors
    /// When an expression is refused, a number overflows, or a limit is reached.
    #[inline]
    pub fn data(&mut self, number: u64, line: &[u8], out: &mut Output) -> Result<()> {
        if self.course.has_epochs() {
            self.course.line()?;
        }
        if self.job.is_none() && self.begin(line, out)? {
            return Ok(());
        }
        let Some(Job { feed, ranker }) = &mut self.job else { return Ok(()) };
        let at = |full: Full| Error::world(format_args!("line {number}"), full);
        let bad = match feed {
            Feed::Rows(intake) => match intake.read(line) {
                Ok(taken) => {
                    self.rows += 1;
                    self.unscored += u64::from(taken.score == Score::Null);
                    if !ranker.admits(&taken.score, taken.window) {
                        return Ok(());
                    }
                    self.arrival += 1;
                    let (partition, arrival) = (self.partition, self.arrival);
                    let offer = offer(taken, &mut self.key, partition, arrival);
                    let write = &mut |ranking: &[Ranked<'_>]| out.ranking(ranking, true);
                    return match ranker.offer(&offer, write).map_err(at)? {
                        Fate::Counts => Ok(()),
                        Fate::Late(by_ms) => {
                            self.late(by_ms, line, out);
                            Ok(())
                        }
                    };
                }
                Err(bad) => bad,
            },
            Feed::Keys(keys) => match keys.read(line) {
                Ok((key, group)) => {
                    self.rows += 1;
                    return ranker.count(key, group, self.partition).map_err(at);
                }
                Err(bad) => bad,
            },
            Feed::Lines => {
                self.rows += 1;
                return ranker.count(Key::of_text(line), 0, self.partition).map_err(at);
            }
        };
        self.bad(number, &bad, line, out)
    }

    /// Learns the schema from the first line; returns whether it was a header and no row.
    #[cold]
    fn begin(&mut self, line: &[u8], out: &mut Output) -> Result<bool> {
        let schema = self.plan.rows.schema(line);
        let (schema, header) = schema.map_err(|reason| Error::caller("the first row", reason))?;
        let feed = self.feed(schema.clone(), line)?;
        let Plan { query, form, settings, .. } = &self.plan;
        let sheet = if let Feed::Rows(_) = feed {
            let leaving = if settings.changes { query.keys.as_slice() } else { &[] };
            let sheet = Sheet::new(form.clone(), &query.score, leaving, schema, line);
            sheet.map_err(|refused| Error::caller("EXPR", refused))?
        } else {
            Sheet::of_counts(form.clone(), &query.score, &query.keys)
        };
        out.begin(sheet);
        if feed.has_windows() && self.plan.counting == Counting::Last {
            self.notes.push(format!("{}: {WINDOWS}", self.plan.idle_options()));
        }
        let mut ranker = Ranker::new(self.plan.settings, self.mode(feed.has_windows())?);
        if let Some(now_ms) = self.now_ms {
            ranker.begin(now_ms);
        }
        self.stored.begin(line);
        self.job = Some(Job { feed, ranker });
        Ok(header)
    }

    fn mode(&self, has_windows: bool) -> Result<Mode> {
        let Plan { counting, every_ms, query, .. } = &self.plan;
        let pace = Pace::new(*every_ms, self.behind_swin);
        match counting {
            Counting::Tally { again } => {
                let pace = if *again { pace } else { Pace::new(None, false) };
                Ok(Mode::Tally(scale(query)?, pace))
            }
            _ if has_windows => Ok(Mode::Windows { by_rows: !self.course.is_marked() }),
            Counting::Last => Ok(Mode::Upsert(pace)),
            Counting::All => Ok(Mode::End),
        }
    }

    /// Takes a line over the limit, of which only the `head` was kept.
    ///
    /// # Errors
    /// As [`Stage::data`].
    #[cold]
    pub fn long(&mut self, number: u64, head: &[u8], bytes: u64, out: &mut Output) -> Result<()> {
        if self.course.has_epochs() {
            self.course.line()?;
        }
        self.bad(number, &Bad::Long(bytes), head, out)
    }

    /// Takes a row that cannot be read.
    #[cold]
    fn bad(&mut self, number: u64, reason: &Bad, row: &[u8], out: &mut Output) -> Result<()> {
        let place = format!("line {number}");
        if let Bad::Long(_) = reason
            && self.job.is_none()
            && self.plan.rows.expects_header()
        {
            return Err(Error::world(place, format!("{reason}, where the names are expected")));
        }
        if self.plan.keeping.strict || *reason == Bad::Value(Fault::Overflow) {
            let row = String::from_utf8_lossy(&row[..row.len().min(200)]).into_owned();
            return Err(Error::world(place, format!("{reason}: {row:?}")));
        }
        if let Some(letter) = self.course.dead_letter(reason, row) {
            out.stream.mark(&Mark::Bad(letter));
        }
        if self.plan.keeping.bad {
            bad::json_line(number, reason, row, &mut self.bad_lines);
        }
        self.bad.add(number, reason.clone());
        Ok(())
    }

    /// Takes a row whose window has been written.
    #[cold]
    fn late(&mut self, by_ms: i64, row: &[u8], out: &mut Output) {
        self.late.rows += 1;
        self.late.most_ms = self.late.most_ms.max(by_ms);
        let reason = format_args!("its window had been ranked, late by {by_ms} ms");
        if let Some(letter) = self.course.dead_letter(reason, row) {
            out.stream.mark(&Mark::Late(letter));
        }
    }

    /// The clock of a plain stream, or a tick, says that it is `ms`.
    ///
    /// # Errors
    /// When a score cannot be computed.
    pub fn tick(&mut self, ms: i64, out: &mut Output) -> Result<()> {
        self.now_ms = Some(ms);
        let Some(job) = &mut self.job else { return Ok(()) };
        let ticked = job.ranker.tick(ms, &mut |ranking| out.ranking(ranking, false));
        ticked.map_err(|fault| self.unranked(fault))
    }

    fn unranked(&self, unscored: Unscored) -> Error {
        Error::world(&self.plan.query.score.text, unscored)
    }

    /// Milliseconds from `ms` until the clock of a plain stream brings a ranking.
    #[must_use]
    pub fn wait_ms(&self, ms: i64) -> Option<i64> {
        self.job.as_ref().filter(|_| !self.course.is_marked())?.ranker.wait_ms(ms)
    }

    /// Whether the clock may bring a ranking.
    #[must_use]
    pub fn goes_by_clock(&self) -> bool {
        self.plan.every_ms.is_some() && !self.course.is_marked()
    }

    /// How many rows came that could be read.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many rows came, also those that could not be read.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.rows + self.bad.count()
    }

    /// What there is to tell of it while it runs.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let job = self.job.as_ref();
        let has_windows = job.is_some_and(|job| job.feed.has_windows());
        Gauges {
            late: has_windows.then_some(self.late.rows),
            bad: Some(self.bad.count()),
            keys: Some(job.map_or(0, |job| job.ranker.keys() as u64)),
            epoch: self.course.epoch(),
            ..Gauges::default()
        }
    }

    /// Draws the ranking as it would be now, where it is drawn in place and not final.
    pub fn draw(&self, out: &mut Output) {
        let Some(job) = self.job.as_ref().filter(|_| out.is_live()) else { return };
        let ranking = job.ranker.provisional();
        let no_window = ranking.is_empty() && job.feed.has_windows();
        if !self.course.is_drained() && !no_window {
            out.ranking(&ranking, false);
        }
    }

    /// The input has ended. Returns the exit code.
    ///
    /// # Errors
    /// When a marked stream was cut short.
    pub fn finish(&mut self, out: &mut Output) -> Result<Code> {
        let code = self.course.finish("the last ranking is")?;
        if !self.course.is_marked() {
            self.drain(out)?;
        }
        if self.rows > 0 && self.rows == self.unscored {
            let score = &self.plan.query.score.text;
            self.notes.push(format!("{score}: it is NULL in every row"));
        }
        Ok(code)
    }

    /// Nothing follows. A complete input is ranked; one that was stopped is not, because more was
    /// to come.
    fn end(&mut self, how: How, out: &mut Output) -> Result<()> {
        if self.course.end(how) {
            self.drain(out)?;
        }
        let has_news = self.job.as_ref().is_some_and(|job| job.ranker.has_news());
        if how == How::Stopped && has_news && !out.is_live() && !self.course.has_epochs() {
            let note = "the input was stopped: the rows since the last ranking are not ranked";
            self.notes.push(note.to_owned());
        }
        Ok(())
    }

    /// Ranks what a complete input leaves.
    fn drain(&mut self, out: &mut Output) -> Result<()> {
        let Some(job) = &mut self.job else { return Ok(()) };
        let ended = job.ranker.end(&mut |ranking| out.ranking(ranking, true));
        ended.map_err(|fault| self.unranked(fault))
    }

    /// Bad rows to be written, as JSON lines.
    pub fn bad_lines(&mut self) -> &mut Vec<u8> {
        &mut self.bad_lines
    }

    /// What the caller might want to know, and was not told yet.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// What is said at exit of rows that did not count.
    #[must_use]
    pub fn losses(&self) -> Vec<String> {
        let mut said: Vec<String> = self.bad.summary(self.plan.keeping.bad).into_iter().collect();
        let Late { rows, most_ms } = self.late;
        if rows > 0 {
            let were = if rows == 1 { "row was" } else { "rows were" };
            said.push(format!(
                "{rows} {were} late by up to {most_ms} ms and did not count, because the window \
                 had been ranked; sort them by window",
            ));
        }
        said
    }
}

impl Plan {
    /// The options that say when the last rows of keys are ranked, and mean nothing to windows.
    fn idle_options(&self) -> String {
        let last = if self.every_ms.is_some() { "--every" } else { "--upsert" };
        let changes = if self.settings.changes { ", --changes" } else { "" };
        format!("{last}{changes}")
    }

    /// What a stored state has to have in common with this plan.
    fn layout(&self) -> Json {
        let mode = match self.counting {
            Counting::All => "end",
            Counting::Last => "upsert",
            Counting::Tally { again: false } => "tally",
            Counting::Tally { again: true } => "tally upsert",
        };
        layout::of(mode, &self.query, self.settings, self.every_ms, &self.rows)
    }
}

impl Feed {
    fn has_windows(&self) -> bool {
        matches!(self, Feed::Rows(intake) if intake.has_windows())
    }
}

/// A row as it is offered; its key is put into `key`.
#[inline]
fn offer<'a>(
    taken: Taken<'a>,
    key: &'a mut Vec<u8>,
    partition: Option<u32>,
    arrival: u64,
) -> Offer<'a> {
    let group = taken.key(key);
    let Taken { score, window, line, .. } = taken;
    Offer { score, key, group, line, window, partition, arrival }
}

/// What counts are ranked by, over the columns of a tally.
fn scale(query: &Query) -> Result<Scale> {
    let names: Vec<String> = query.keys.iter().map(|name| label(name)).collect();
    for name in &names {
        if [RANK, COUNT].contains(&name.as_str()) {
            let reason = "is the name of another column of a tally; rename it before";
            return Err(Error::caller(format!("--key {name}"), reason));
        }
    }
    let columns: Vec<&str> = names.iter().map(String::as_str).chain([COUNT]).collect();
    let mut resolve = |name: &str| {
        let label = label(name);
        let slot = columns.iter().position(|&column| column == label);
        let slot = slot.and_then(|slot| u16::try_from(slot).ok());
        slot.ok_or_else(|| format!("no column {name}; a tally has {}", columns.join(", ")))
    };
    let score = &query.score;
    let expr = row::expr::compile(&score.ast, &score.text, &mut resolve);
    let expr = expr.map_err(|refused| Error::caller("EXPR", refused))?;
    let is_count = expr.as_slot().is_some_and(|slot| usize::from(slot) == names.len());
    Ok(if is_count { Scale::Count } else { Scale::Expr(expr, names.len()) })
}
