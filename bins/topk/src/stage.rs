//! One stage of a pipeline: lines and marks go in, lines and marks come out.

use pipe::exit::{Code, Error, Result};
use pipe::mark::{self, How, Mark};
use row::bad::{self, BadRows};
use row::field::Bad;
use row::schema::{Options, Schema};
use row::value::Fault;

use crate::intake::{Intake, Query, Taken};
use crate::kept::{Full, Offer};
use crate::output::Output;
use crate::pace::Pace;
use crate::ranker::{Mode, Ranker, Settings};
use crate::score::Score;
use crate::sheet::{Form, Sheet};

/// What the caller asks for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The form of the input.
    pub rows: Options,
    /// What rows are asked for.
    pub query: Query,
    /// How they are ranked.
    pub settings: Settings,
    /// Whether the last row of each key counts.
    pub upsert: bool,
    /// Milliseconds between rankings.
    pub every_ms: Option<i64>,
    /// The form of the rankings.
    pub form: Form,
    /// What happens to bad rows.
    pub keeping: Keeping,
}

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
    marked: bool,
    /// Whether a stage before this one says when its rows are complete.
    behind_swin: bool,
    rows: u64,
    unscored: u64,
    bad: BadRows,
    bad_lines: Vec<u8>,
    notes: Vec<String>,
    /// The exit code, when a program before this one failed for good.
    aborted: Option<u8>,
    ended: Option<How>,
}

/// What works once the schema is known.
#[derive(Debug)]
struct Job {
    intake: Intake,
    ranker: Ranker,
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
            marked: false,
            behind_swin: false,
            rows: 0,
            unscored: 0,
            bad: BadRows::default(),
            bad_lines: Vec::new(),
            notes: Vec::new(),
            aborted: None,
            ended: None,
        }
    }

    /// Compiles the query when the schema needs no first row, so that a wrong one is refused
    /// before any input.
    ///
    /// # Errors
    /// When an expression is refused.
    pub fn check_early(&self) -> Result<()> {
        let schema = self.plan.rows.early();
        match schema.map_err(|(option, reason)| Error::caller(option, reason))? {
            Some(schema) => self.intake(schema, b"").map(|_| ()),
            None => Ok(()),
        }
    }

    fn intake(&self, schema: Schema, first: &[u8]) -> Result<Intake> {
        let intake = Intake::new(&self.plan.query, schema, first);
        intake.map_err(|(option, reason)| Error::caller(option, reason))
    }

    /// Takes the line `number`.
    ///
    /// # Errors
    /// When an expression is refused, a number overflows, or a limit is reached.
    #[inline]
    pub fn data(&mut self, number: u64, line: &[u8], out: &mut Output) -> Result<()> {
        if self.job.is_none() && self.begin(line, out)? {
            return Ok(());
        }
        let Some(Job { intake, ranker }) = &mut self.job else { return Ok(()) };
        let taken = match intake.read(line) {
            Ok(taken) => taken,
            Err(reason) => return self.bad(number, &reason, line),
        };
        self.rows += 1;
        self.unscored += u64::from(taken.score == Score::Null);
        if !ranker.admits(&taken.score, taken.window) {
            return Ok(());
        }
        taken.key(&mut self.key);
        let (key, partition, arrival) = (&self.key, self.partition, self.rows);
        let Taken { score, window, line, .. } = taken;
        let offer = Offer { score, key, line, partition, arrival };
        ranker.offer(&offer, window, &mut |ranking| out.ranking(ranking, true)).map_err(full)
    }

    /// Learns the schema from the first line; returns whether it was a header and no row.
    #[cold]
    fn begin(&mut self, line: &[u8], out: &mut Output) -> Result<bool> {
        let schema = self.plan.rows.schema(line);
        let (schema, header) = schema.map_err(|reason| Error::caller("the first row", reason))?;
        let intake = self.intake(schema.clone(), line)?;
        let sheet = Sheet::new(self.plan.form.clone(), &self.plan.query.score, schema, line);
        out.begin(sheet.map_err(|refused| Error::caller("EXPR", refused))?);
        let mode = self.mode(intake.has_windows());
        let mut ranker = Ranker::new(self.plan.settings, mode);
        if let Some(now_ms) = self.now_ms {
            ranker.begin(now_ms);
        }
        self.job = Some(Job { intake, ranker });
        Ok(header)
    }

    fn mode(&mut self, has_windows: bool) -> Mode {
        let Plan { upsert, every_ms, .. } = self.plan;
        if has_windows {
            if every_ms.is_some() {
                let note = "--every: the rows have windows, and are ranked when these close";
                self.notes.push(note.to_owned());
            }
            Mode::Windows { by_rows: !self.marked }
        } else if upsert || every_ms.is_some() {
            Mode::Upsert(Pace::new(every_ms, self.behind_swin))
        } else {
            Mode::End
        }
    }

    /// Takes a row that cannot be read.
    ///
    /// # Errors
    /// With `--strict`, and when a whole number leaves 64 bits.
    #[cold]
    pub fn bad(&mut self, number: u64, reason: &Bad, row: &[u8]) -> Result<()> {
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
        if self.plan.keeping.bad {
            bad::json_line(number, reason, row, &mut self.bad_lines);
        }
        self.bad.add(number, reason.clone());
        Ok(())
    }

    /// The clock of a plain stream, or a tick, says that it is `ms`.
    pub fn tick(&mut self, ms: i64, out: &mut Output) {
        self.now_ms = Some(ms);
        if let Some(job) = &mut self.job {
            job.ranker.tick(ms, &mut |ranking| out.ranking(ranking, false));
        }
    }

    /// Milliseconds from `ms` until the clock of a plain stream brings a ranking.
    #[must_use]
    pub fn wait_ms(&self, ms: i64) -> Option<i64> {
        self.job.as_ref().filter(|_| !self.marked)?.ranker.wait_ms(ms)
    }

    /// Whether the clock may bring a ranking.
    #[must_use]
    pub fn goes_by_clock(&self) -> bool {
        self.plan.every_ms.is_some() && !self.marked
    }

    /// How many rows came.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Draws the ranking as it would be now, where it is drawn in place and not final.
    pub fn draw(&self, out: &mut Output) {
        let Some(job) = self.job.as_ref().filter(|_| out.is_live()) else { return };
        let ranking = job.ranker.provisional();
        let no_window = ranking.is_empty() && job.intake.has_windows();
        if self.ended != Some(How::Drained) && !no_window {
            out.ranking(&ranking, false);
        }
    }

    /// Takes a mark, with its line; returns whether the output has to be flushed.
    ///
    /// # Errors
    /// When the mark asks for what this stage cannot do.
    pub fn mark(&mut self, mark: &Mark, line: &[u8], out: &mut Output) -> Result<bool> {
        match mark {
            Mark::Open { epochs, tick_ms, stages } => {
                self.open(*epochs, *tick_ms, stages, out)?;
            }
            Mark::Begin { .. } => {
                self.assign(out);
                out.mark(line);
            }
            Mark::From { at, .. } => {
                self.partition = out.number_of(at);
                return Ok(false);
            }
            Mark::Idle { .. } => return Ok(false),
            Mark::Tick { ms } => {
                self.tick(*ms, out);
                out.mark(line);
            }
            Mark::Closed { until } => {
                if let Some(job) = &mut self.job {
                    // A window that closed stays on a terminal, a ranking that goes on does not.
                    let stays = job.intake.has_windows();
                    job.ranker.closed(*until, &mut |ranking| out.ranking(ranking, stays));
                }
                out.mark(line);
            }
            Mark::Barrier(_) => {
                let reason = "a barrier in a stream that was opened without epochs";
                return Err(Error::world("<stdin>", reason));
            }
            Mark::End { how } => {
                self.end(*how, out);
                out.mark(line);
            }
            Mark::Abort { code, .. } => {
                self.aborted = Some(*code);
                out.mark(line);
            }
            _ => out.mark(line),
        }
        Ok(true)
    }

    fn open(
        &mut self,
        epochs: bool,
        tick_ms: u64,
        stages: &[String],
        out: &mut Output,
    ) -> Result<()> {
        self.marked = true;
        self.behind_swin = stages.iter().any(|stage| stage.ends_with(":swin"));
        out.write_marks();
        let stages = mark::stages_behind(stages, "topk");
        out.own_mark(&Mark::Open { epochs, tick_ms, stages });
        if epochs {
            let reason = "the stream has epochs, and topk cannot store its state yet";
            return Err(Error::caller("<stdin>", reason));
        }
        Ok(())
    }

    /// A new assignment: forgets all rows.
    fn assign(&mut self, out: &mut Output) {
        out.forget_from();
        self.partition = None;
        if let Some(job) = &mut self.job {
            job.ranker.clear();
            let note = "the partitions were assigned anew: the ranking begins again";
            self.notes.push(note.to_owned());
        }
    }

    /// The input has ended. Returns the exit code.
    ///
    /// # Errors
    /// When a marked stream was cut short.
    pub fn finish(&mut self, out: &mut Output) -> Result<Code> {
        if let Some(code) = self.aborted {
            return Ok(Code(code));
        }
        if self.marked && self.ended.is_none() {
            let reason = "the stream has no end, so the last ranking is not written; run it again";
            return Err(Error::unfinished("<stdin>", reason));
        }
        if !self.marked {
            self.end(How::Drained, out);
        }
        if self.rows > 0 && self.rows == self.unscored {
            let score = &self.plan.query.score.text;
            self.notes.push(format!("{score}: it is NULL in every row"));
        }
        Ok(Code::DONE)
    }

    /// A complete input is ranked; one that was stopped is not, because more was to come.
    fn end(&mut self, how: How, out: &mut Output) {
        self.ended = Some(how);
        let Some(job) = &mut self.job else { return };
        if how == How::Drained {
            job.ranker.end(&mut |ranking| out.ranking(ranking, true));
        } else if job.ranker.has_news() && !out.is_live() {
            let note = "the input was stopped: the rows since the last ranking are not ranked";
            self.notes.push(note.to_owned());
        }
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
        let late = self.job.as_ref().map(|job| job.ranker.late()).unwrap_or_default();
        if late.rows > 0 {
            let rows = if late.rows == 1 { "row was" } else { "rows were" };
            said.push(format!(
                "{} {rows} late by up to {} ms and did not count, because the window had been \
                 ranked; sort them by window",
                late.rows, late.most_ms,
            ));
        }
        said
    }
}

/// A limit was reached: which one, and what to do.
fn full(full: Full) -> Error {
    let limit = match full {
        Full::Rows(rows) => format!("--max-keys {rows}"),
        Full::Bytes(bytes) => format!("--max-memory {bytes}"),
    };
    Error::world(limit, full)
}
