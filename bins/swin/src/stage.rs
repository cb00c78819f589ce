//! One stage of a pipeline: lines and marks go in, lines and marks come out.

use pipe::exit::{Code, Error, Result};
use pipe::mark::{self, How, Mark, Partition};
use row::bad::{self, BadRows};
use row::field::Bad;
use row::schema::{Options, Schema};
use row::sql::Item;
use row::time::Clock;
use row::value::Fault;

use crate::aggregate::Stamp;
use crate::engine::{Engine, Verdict};
use crate::intake::{Intake, Scratch};
use crate::output::Output;

/// What the stage does with rows that do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Keep bad rows, as JSON lines.
    pub bad: bool,
    /// Keep late rows, as they came.
    pub late: bool,
    /// Stop at the first bad row.
    pub strict: bool,
}

/// Rows that did not count.
#[derive(Debug, Default)]
pub struct Losses {
    bad: BadRows,
    late: u64,
    late_most_ms: i64,
    delay_ms: i64,
    outside: u64,
    /// Bad rows to be written, as JSON lines.
    pub bad_lines: Vec<u8>,
    /// Late rows to be written, as they came.
    pub late_lines: Vec<u8>,
}

impl Losses {
    /// What is said of them at exit.
    #[must_use]
    pub fn summaries(&self, keeping: Keeping) -> Vec<String> {
        let mut said: Vec<String> = self.bad.summary(keeping.bad).into_iter().collect();
        if self.late > 0 {
            let rows = if self.late == 1 { "row was" } else { "rows were" };
            let most = self.late_most_ms;
            // The window of a row ends after it, and closes when the watermark is there.
            let enough = self.delay_ms.saturating_add(most + 1);
            said.push(format!(
                "{} {rows} late by up to {most} ms and did not count; --delay {enough}ms would \
                 have waited",
                self.late,
            ));
        }
        if self.outside > 0 {
            let rows = if self.outside == 1 { "row" } else { "rows" };
            said.push(format!("{} {rows} stood in the gaps between windows", self.outside));
        }
        said
    }
}

/// How rows are read, before the first one has come.
#[derive(Debug)]
pub struct Reading {
    /// The form of rows.
    pub rows: Options,
    /// The expression of event time and how its values are read.
    pub time: Option<(Item, Clock)>,
}

/// The stage.
#[derive(Debug)]
pub struct Stage {
    engine: Engine,
    reading: Reading,
    intake: Option<Intake>,
    scratch: Scratch,
    /// The partitions of a marked stream; a plain one has the partition 0.
    partitions: Vec<Partition>,
    partition: usize,
    keeping: Keeping,
    losses: Losses,
    assigned: bool,
    notes: Vec<String>,
    /// The exit code, when a program before this one failed for good.
    aborted: Option<u8>,
    ended: Option<How>,
}

impl Stage {
    /// A stage around `engine`.
    #[must_use]
    pub fn new(engine: Engine, reading: Reading, keeping: Keeping) -> Stage {
        let losses = Losses { delay_ms: engine.delay_ms(), ..Losses::default() };
        Stage {
            engine,
            reading,
            intake: None,
            scratch: Scratch::default(),
            partitions: Vec::new(),
            partition: 0,
            keeping,
            losses,
            assigned: false,
            notes: Vec::new(),
            aborted: None,
            ended: None,
        }
    }

    /// When something is due, unless rows come; milliseconds since the epoch.
    #[must_use]
    pub fn due(&self) -> Option<i64> {
        self.engine.due()
    }

    /// Whether windows close by the clock in a plain stream.
    #[must_use]
    pub fn goes_by_clock(&self) -> bool {
        !self.engine.has_event_time()
    }

    /// The rows that did not count.
    pub fn losses(&mut self) -> &mut Losses {
        &mut self.losses
    }

    /// What the caller might want to know, and was not told yet.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Compiles the query when the schema needs no first row.
    ///
    /// # Errors
    /// When an expression is refused.
    pub fn compile_early(&mut self) -> Result<()> {
        let schema = self.reading.rows.early();
        match schema.map_err(|(option, reason)| Error::caller(option, reason))? {
            Some(schema) => self.compile(schema),
            None => Ok(()),
        }
    }

    fn compile(&mut self, schema: Schema) -> Result<()> {
        let time = self.reading.time.as_ref().map(|(item, clock)| (item, clock.clone()));
        let intake = Intake::new(self.engine.query(), time, schema);
        self.intake = Some(intake.map_err(|(option, reason)| Error::caller(option, reason))?);
        Ok(())
    }

    /// Takes the line `number`.
    ///
    /// # Errors
    /// When an expression is refused, a number overflows, or a limit is reached.
    #[inline]
    pub fn data(&mut self, number: u64, line: &[u8], out: &mut Output) -> Result<()> {
        if self.intake.is_none() && self.begin(line)? {
            return Ok(());
        }
        match self.count(number, line, out) {
            Ok(()) => Ok(()),
            Err(Refusal::Bad(reason)) => self.bad(number, &reason, line),
            Err(Refusal::Late(by_ms)) => {
                self.late(by_ms, line);
                Ok(())
            }
            Err(Refusal::Outside) => {
                self.losses.outside += 1;
                Ok(())
            }
            Err(Refusal::Halt(reason)) => Err(Error::world(format!("line {number}"), reason)),
        }
    }

    /// Learns the schema from the first line; returns whether it was a header and no row.
    #[cold]
    fn begin(&mut self, line: &[u8]) -> Result<bool> {
        let schema = self.reading.rows.schema(line);
        let (schema, header) = schema.map_err(|reason| Error::caller("the first row", reason))?;
        self.compile(schema)?;
        Ok(header)
    }

    /// Reads a row and counts it. The order is: read, time, watermark, then the condition.
    #[inline]
    fn count(&mut self, number: u64, line: &[u8], out: &mut Output) -> Result<(), Refusal> {
        let Some(intake) = &mut self.intake else { return Ok(()) };
        let taken = intake.read(line)?;
        let time = match taken.time()? {
            Some(time) => time,
            None => self.engine.arrival().ok_or_else(|| {
                Refusal::Halt("a row before the first tick has no time of arrival".to_owned())
            })?,
        };
        if self.engine.see(self.partition, time) {
            self.engine.tell_due(out).map_err(|halt| Refusal::Halt(halt.to_string()))?;
        }
        if !taken.passes()? {
            return Ok(());
        }
        match self.engine.judge(time) {
            Verdict::Open => {}
            Verdict::Late(by_ms) => return Err(Refusal::Late(by_ms)),
            Verdict::Outside => return Err(Refusal::Outside),
        }
        taken.prepare(&mut self.scratch)?;
        let aggregates = self.engine.aggregates(self.partition, taken.key(&self.scratch), time);
        let aggregates = aggregates.map_err(|halt| Refusal::Halt(halt.to_string()))?;
        let stamp = Stamp { time, arrival: number };
        let added = taken.add_to(&self.scratch, aggregates, stamp);
        added.map(|_| ()).map_err(|fault| Refusal::Halt(fault.to_string()))
    }

    /// Takes a row that cannot be read.
    ///
    /// # Errors
    /// With `--strict`, and when a whole number leaves 64 bits.
    #[cold]
    pub fn bad(&mut self, number: u64, reason: &Bad, row: &[u8]) -> Result<()> {
        if self.keeping.strict || *reason == Bad::Value(Fault::Overflow) {
            let row = String::from_utf8_lossy(&row[..row.len().min(200)]).into_owned();
            return Err(Error::world(format!("line {number}"), format!("{reason}: {row:?}")));
        }
        if self.keeping.bad {
            bad::json_line(number, reason, row, &mut self.losses.bad_lines);
        }
        self.losses.bad.add(number, reason.clone());
        Ok(())
    }

    #[cold]
    fn late(&mut self, by_ms: i64, line: &[u8]) {
        self.losses.late += 1;
        self.losses.late_most_ms = self.losses.late_most_ms.max(by_ms);
        if self.keeping.late {
            self.losses.late_lines.extend_from_slice(line);
            self.losses.late_lines.push(b'\n');
        }
    }

    /// The clock, or a tick, says that it is `ms`.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn tick(&mut self, ms: i64, out: &mut Output) -> Result<()> {
        self.engine.tick(ms);
        self.tell_due(out)
    }

    fn tell_due(&mut self, out: &mut Output) -> Result<()> {
        self.engine.tell_due(out).map_err(|halt| Error::world("results", halt))
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
            Mark::Begin { partitions, .. } => {
                self.assign(partitions, out);
                out.mark(line);
            }
            Mark::From { at, .. } => {
                self.partition = self.number_of(at, out);
                self.engine.set_idle(self.partition, false);
                self.tell_due(out)?;
                return Ok(false);
            }
            Mark::Idle { at } => {
                let partition = self.number_of(at, out);
                self.engine.set_idle(partition, true);
                self.tell_due(out)?;
            }
            Mark::Tick { ms } => {
                self.tick(*ms, out)?;
                if let Some(until) = self.engine.closed_until() {
                    out.close(until);
                }
                out.mark(line);
            }
            Mark::Closed { until } => {
                self.engine.see_everywhere(*until);
                self.tell_due(out)?;
            }
            Mark::Barrier(_) => {
                let reason = "a barrier in a stream that was opened without epochs";
                return Err(Error::world("<stdin>", reason));
            }
            Mark::End { how } => {
                self.end(*how, 0, out)?;
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
        self.engine.restart();
        out.write_marks();
        let stages = mark::stages_behind(stages, "swin");
        out.own_mark(&Mark::Open { epochs, tick_ms, stages });
        if epochs {
            let reason = "the stream has epochs, and swin cannot store its state yet";
            return Err(Error::caller("<stdin>", reason));
        }
        if let Some(every) = self.engine.every()
            && self.goes_by_clock()
            && every.unsigned_abs() < tick_ms
        {
            let reason = format!("the stream has a tick every {tick_ms} ms, and no time between");
            return Err(Error::caller(format!("--every {every}ms"), reason));
        }
        Ok(())
    }

    /// A new assignment: forgets all rows.
    fn assign(&mut self, partitions: &[Partition], out: &mut Output) {
        self.partitions = partitions.to_vec();
        self.partition = 0;
        self.engine.assign(partitions.len());
        out.assign(partitions);
        if self.assigned {
            let note = "the partitions were assigned anew: what was not written begins again";
            self.notes.push(note.to_owned());
        }
        self.assigned = true;
    }

    /// The number of a partition; one that no assignment named gets the next.
    fn number_of(&mut self, at: &Partition, out: &mut Output) -> usize {
        if let Some(number) = self.partitions.iter().position(|known| known == at) {
            return number;
        }
        self.partitions.push(at.clone());
        if self.partitions.len() > 1 {
            self.engine.add_partition();
        }
        out.assign(&self.partitions);
        self.partitions.len() - 1
    }

    /// The input has ended; `now` is the clock. Returns the exit code.
    ///
    /// # Errors
    /// When a marked stream was cut short, or a result has no value.
    pub fn finish(&mut self, marked: bool, now: i64, out: &mut Output) -> Result<Code> {
        if let Some(code) = self.aborted {
            return Ok(Code(code));
        }
        if marked && self.ended.is_none() {
            let reason = "the stream has no end, so open windows are not written; run it again";
            return Err(Error::unfinished("<stdin>", reason));
        }
        if !marked {
            self.end(How::Drained, now, out)?;
        }
        Ok(Code::DONE)
    }

    /// A complete input closes all windows, one that was stopped closes none.
    fn end(&mut self, how: How, now: i64, out: &mut Output) -> Result<()> {
        self.ended = Some(how);
        if how == How::Drained {
            self.engine.tell_all(now, out).map_err(|halt| Error::world("results", halt))?;
            out.complete();
        }
        Ok(())
    }
}

/// Why a row does not count.
enum Refusal {
    Bad(Bad),
    Late(i64),
    Outside,
    Halt(String),
}

impl From<Bad> for Refusal {
    fn from(bad: Bad) -> Refusal {
        Refusal::Bad(bad)
    }
}
