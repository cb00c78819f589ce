//! One stage of a pipeline: lines and marks go in, lines and marks come out.

use pipe::course::Course;
use pipe::exit::{Code, Error, Result};
use pipe::mark::{Barrier, Last, Mark, Partition};
use pipe::stats::Gauges;
use row::bad;
use row::field::Bad;
use row::schema::{Options, Schema};
use row::sql::Item;
use row::time::Clock;
use row::value::{Fault, Number};
use serde_json::Value as Json;
use smallvec::SmallVec;

use crate::batch::{self, Batch};
use crate::engine::{Engine, Refusal};
use crate::head::Head;
use crate::intake::{Intake, Scratch, Taken};
use crate::losses::{Keeping, Losses};
use crate::output::Output;
use crate::query::Query;
use crate::results::{Halt, Sink as _};
use crate::state::{HEADLESS, State, Unfit};

/// A silence after which the watermark of a marked stream goes on with the ticks, unless the
/// caller says another.
const IDLE_MS: i64 = 10_000;

/// What helps when an entry of the state is too long.
const REMEDY: &str = "shorter windows or fewer values a key are needed";

/// Lines that are looked at ahead: enough to wait for memory side by side.
const AHEAD: usize = 32;

/// Lines after which it is asked again whether to look ahead.
const FAR: usize = 1_000;

/// How rows are read, before the first one has come.
#[derive(Debug)]
pub struct Reading {
    /// The form of rows.
    pub rows: Options,
    /// The expression of event time and how its values are read.
    pub time: Option<(Item, Clock)>,
}

/// What becomes of rows that count.
#[derive(Debug)]
enum Job {
    /// They are counted in windows.
    Windows(Box<Engine>),
    /// They come out, each by itself: as they came, or what is asked of them.
    Each(Box<Query>, Whole),
}

/// Whether a row comes out as it came, or only what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// As it came.
    Line,
    /// What is asked.
    Parts,
}

/// The stage.
#[derive(Debug)]
pub struct Stage {
    job: Job,
    state: State,
    reading: Reading,
    intake: Option<Intake>,
    scratch: Scratch,
    course: Course,
    /// Writes the marks of a stream that had none.
    head: Option<Head>,
    /// The partition that rows come from, by the output's number.
    partition: usize,
    /// How many rows came.
    rows: u64,
    keeping: Keeping,
    losses: Losses,
    notes: Vec<String>,
}

impl Stage {
    /// A stage around `engine`, whose state `layout` describes.
    #[must_use]
    pub fn windows(engine: Engine, layout: Json, reading: Reading, keeping: Keeping) -> Stage {
        let losses = Losses::new(engine.timeline().pace().delay_ms.unwrap_or_default());
        Stage::new(Job::Windows(Box::new(engine)), State::new(layout), reading, keeping, losses)
    }

    /// A stage that writes every row by itself.
    #[must_use]
    pub fn each(query: Query, whole: Whole, reading: Reading, keeping: Keeping) -> Stage {
        let state = State::new(Json::Null);
        Stage::new(Job::Each(Box::new(query), whole), state, reading, keeping, Losses::new(0))
    }

    fn new(job: Job, state: State, reading: Reading, keeping: Keeping, losses: Losses) -> Stage {
        Stage {
            job,
            state,
            reading,
            intake: None,
            scratch: Scratch::default(),
            course: Course::new("swin"),
            head: None,
            partition: 0,
            rows: 0,
            keeping,
            losses,
            notes: Vec::new(),
        }
    }

    /// Begins a marked stream, for the stages that follow, when it is `now_ms`.
    pub fn lead(&mut self, now_ms: i64, out: &mut Output) {
        self.head = Some(Head::begin(now_ms, out));
    }

    /// When something is due by the clock, unless rows come; milliseconds since the epoch.
    #[must_use]
    pub fn due(&self) -> Option<i64> {
        let windows = match &self.job {
            Job::Windows(engine) if self.windows_go_by_clock() => engine.due(),
            _ => None,
        };
        windows.into_iter().chain(self.head.map(Head::due)).min()
    }

    /// Whether the clock of a plain stream has to be read: windows close by it, it says what is
    /// idle or ahead, or it is handed on.
    #[must_use]
    pub fn goes_by_clock(&self) -> bool {
        self.head.is_some() || self.windows_go_by_clock()
    }

    fn windows_go_by_clock(&self) -> bool {
        let Job::Windows(engine) = &self.job else { return false };
        let pace = engine.timeline().pace();
        let by_clock =
            pace.delay_ms.is_none() || pace.idle_ms.is_some() || pace.future_ms.is_some();
        by_clock && !self.course.is_marked()
    }

    /// Whether barriers cut the stream into epochs.
    #[must_use]
    pub fn has_epochs(&self) -> bool {
        self.course.has_epochs()
    }

    /// The rows that did not count.
    pub fn losses(&mut self) -> &mut Losses {
        if let Job::Windows(engine) = &self.job {
            self.losses.see(engine.timeline());
        }
        &mut self.losses
    }

    /// How many rows came, also those that did not count.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What there is to tell of it while it runs.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let bad = Some(self.losses.bad());
        let gauges = Gauges { bad, epoch: self.course.epoch(), ..Gauges::default() };
        let Job::Windows(engine) = &self.job else { return gauges };
        Gauges {
            watermark: engine.watermark(),
            late: Some(self.losses.late()),
            keys: Some(engine.keys() as u64),
            ..gauges
        }
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

    fn query(&self) -> &Query {
        match &self.job {
            Job::Windows(engine) => engine.query(),
            Job::Each(query, _) => query,
        }
    }

    fn compile(&mut self, schema: Schema) -> Result<()> {
        let time = self.reading.time.as_ref().map(|(item, clock)| (item, clock.clone()));
        let intake = Intake::new(self.query(), time, schema);
        self.intake = Some(intake.map_err(|(option, reason)| Error::caller(option, reason))?);
        Ok(())
    }

    /// Looks at the keys of the lines to come, when there are so many that rows wait for memory.
    /// Returns after how many lines it wants to be called again.
    pub fn look_ahead<'l>(&mut self, lines: impl Iterator<Item = &'l [u8]>) -> usize {
        let (Job::Windows(engine), Some(intake)) = (&self.job, &mut self.intake) else {
            return FAR;
        };
        let store = engine.store();
        if !store.is_large() || !intake.finds_keys_quickly() {
            return FAR;
        }
        let partition = self.partition;
        let mut hashes = SmallVec::<[u32; AHEAD]>::new();
        let mut count = 0;
        for line in lines.take(AHEAD) {
            count += 1;
            let taken = intake.read(line);
            let key = taken.as_ref().ok().and_then(Taken::text_key);
            hashes.extend(key.map(|key| store.hash(partition, key)));
        }
        store.bring_near(&hashes);
        count.max(1)
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
        if self.intake.is_none() && self.begin(line, out)? {
            return Ok(());
        }
        self.rows += 1;
        match self.take(number, line, out) {
            Ok(()) => Ok(()),
            Err(lost) => self.lost(number, lost, line, out),
        }
    }

    /// How many numbers a plain line has; `None` when none is plain to what is asked.
    #[must_use]
    pub fn plain_numbers(&self) -> Option<usize> {
        match (&self.job, &self.intake) {
            (Job::Windows(_), Some(intake)) => intake.plain_numbers(),
            _ => None,
        }
    }

    /// Reads the line that `rest` begins with and `delimiter` ends, if it is as nearly all are and
    /// there is room in `batch`, to be taken with [`Stage::take_plain`]. Returns how many bytes it
    /// has.
    #[inline]
    pub fn read_plain<'l>(
        &self,
        rest: &'l [u8],
        delimiter: u8,
        batch: &mut Batch<'l>,
    ) -> Option<usize> {
        let intake = self.intake.as_ref()?;
        batch.push(|numbers| intake.read_plain(rest, delimiter, numbers))
    }

    /// Takes the lines of `batch`, the first of which has this number.
    ///
    /// # Errors
    /// As [`Stage::data`].
    pub fn take_plain(
        &mut self,
        number: u64,
        batch: &mut Batch<'_>,
        out: &mut Output,
    ) -> Result<()> {
        self.rows += batch.len() as u64;
        let Job::Windows(engine) = &mut self.job else { return Ok(()) };
        engine.find_near(self.partition, batch.rows_mut());
        if engine.see_calmly(self.partition, batch.times()) {
            return self.count_calmly(number, batch);
        }
        for (number, (row, numbers)) in (number..).zip(batch.rows()) {
            if self.course.has_epochs() {
                self.course.line()?;
            }
            if let Err(lost) = self.take_row(number, row, numbers, out) {
                self.lost(number, lost, row.line.bytes, out)?;
            }
        }
        Ok(())
    }

    /// Counts rows that all count and leave nothing due.
    fn count_calmly(&mut self, number: u64, batch: &Batch<'_>) -> Result<()> {
        let (Job::Windows(engine), Some(intake)) = (&mut self.job, &self.intake) else {
            return Ok(());
        };
        for (number, (row, numbers)) in (number..).zip(batch.rows()) {
            if self.course.has_epochs() {
                self.course.line()?;
            }
            let opened = engine.open_here(self.partition, (row.line.key, row.id), row.line.time);
            let counted = opened.and_then(|(group, stamp)| {
                let grown = intake.add_plain(numbers, engine.aggregates(group), stamp)?;
                engine.grow(grown)
            });
            counted.map_err(|halt| Error::world(format!("line {number}"), halt))?;
        }
        Ok(())
    }

    /// Takes a plain row by itself.
    fn take_row(
        &mut self,
        number: u64,
        row: &batch::Row<'_>,
        numbers: &[Number],
        out: &mut Output,
    ) -> Result<(), Lost> {
        let (Job::Windows(engine), Some(intake)) = (&mut self.job, &self.intake) else {
            return Ok(());
        };
        let (partition, time) = (self.partition, row.line.time);
        if engine.see(partition, time, number) {
            engine.tell_due(out)?;
        }
        engine.judge(partition, row.line.key, time)?;
        let (group, stamp) = engine.open(partition, (row.line.key, row.id), time)?;
        let grown = intake.add_plain(numbers, engine.aggregates(group), stamp);
        engine.added(grown.map_err(Halt::Result)?, out)?;
        Ok(())
    }

    /// Says why a row does not count.
    #[cold]
    fn lost(&mut self, number: u64, lost: Lost, line: &[u8], out: &mut Output) -> Result<()> {
        match lost {
            Lost::Bad(reason) => self.lose(number, &reason, line, out),
            Lost::Row(Refusal::Late(by_ms)) => {
                self.late(by_ms, line, out);
                Ok(())
            }
            Lost::Row(Refusal::Outside) => {
                self.losses.add_outside();
                Ok(())
            }
            Lost::Row(Refusal::Halt(halt)) => Err(Error::world(format!("line {number}"), halt)),
            Lost::Failed(reason) => Err(Error::world(format!("line {number}"), reason)),
        }
    }

    /// Learns the schema from the first line; returns whether it was a header and no row.
    #[cold]
    fn begin(&mut self, line: &[u8], out: &mut Output) -> Result<bool> {
        if self.course.has_epochs() && self.reading.rows.expects_header() {
            let reason = "a stream that goes on after a restart has no first line; --names gives \
                          the names";
            return Err(Error::caller("the header line", reason));
        }
        let schema = self.reading.rows.schema(line);
        let (schema, header) = schema.map_err(|reason| Error::caller("the first row", reason))?;
        if header {
            out.learn(&schema);
        }
        self.compile(schema)?;
        // Rows that come out as they came need the names that they had.
        if let Job::Each(_, Whole::Line) = self.job
            && header
        {
            out.header_line(self.partition, line);
        }
        Ok(header)
    }

    /// Reads a row and counts it. The order is: read, time, watermark, then the condition.
    #[inline]
    fn take(&mut self, number: u64, line: &[u8], out: &mut Output) -> Result<(), Lost> {
        let Some(intake) = &mut self.intake else { return Ok(()) };
        let taken = intake.read(line)?;
        let engine = match &mut self.job {
            Job::Windows(engine) => engine,
            Job::Each(_, whole) => return each(*whole, taken, self.partition, out),
        };
        let time = match taken.time()? {
            Some(time) => time,
            None => engine.timeline().arrival().ok_or(Lost::Failed(NO_TICK))?,
        };
        let partition = self.partition;
        if engine.see(partition, time, number) {
            engine.tell_due(out)?;
        }
        if !taken.passes()? {
            return Ok(());
        }
        taken.prepare_key(&mut self.scratch)?;
        engine.judge(partition, taken.key(&self.scratch), time)?;
        taken.prepare(&mut self.scratch)?;
        let key = taken.key(&self.scratch);
        let (group, stamp) = engine.open(partition, (key, None), time)?;
        let grown = taken.add_to(&self.scratch, engine.aggregates(group), stamp);
        let grown = grown.map_err(Halt::Result)?;
        engine.added(grown, out)?;
        Ok(())
    }

    /// Takes a line that is no row.
    ///
    /// # Errors
    /// With `--strict`, and when a whole number leaves 64 bits.
    pub fn bad(&mut self, number: u64, reason: &Bad, row: &[u8], out: &mut Output) -> Result<()> {
        if self.course.has_epochs() {
            self.course.line()?;
        }
        self.rows += 1;
        self.lose(number, reason, row, out)
    }

    #[cold]
    fn lose(&mut self, number: u64, reason: &Bad, row: &[u8], out: &mut Output) -> Result<()> {
        if self.keeping.strict || *reason == Bad::Value(Fault::Overflow) {
            let row = String::from_utf8_lossy(&row[..row.len().min(200)]).into_owned();
            return Err(Error::world(format!("line {number}"), format!("{reason}: {row:?}")));
        }
        if self.keeping.bad {
            bad::json_line(number, reason, row, &mut self.losses.bad_lines);
        }
        if let Some(letter) = self.course.dead_letter(reason, row) {
            out.stream.mark(&Mark::Bad(letter));
        }
        self.losses.add_bad(number, reason.clone());
        if let Job::Windows(engine) = &mut self.job {
            engine.hear();
        }
        Ok(())
    }

    #[cold]
    fn late(&mut self, by_ms: i64, line: &[u8], out: &mut Output) {
        self.losses.add_late(by_ms, line, self.keeping.late);
        if let Some(letter) = self.course.dead_letter(format_args!("{by_ms} ms late"), line) {
            out.stream.mark(&Mark::Late(letter));
        }
    }

    /// The clock, or a tick, says that it is `ms`.
    ///
    /// # Errors
    /// When a result has no value.
    pub fn tick(&mut self, ms: i64, out: &mut Output) -> Result<()> {
        match self.head {
            None => self.tick_windows(ms, out)?,
            Some(_) if self.windows_go_by_clock() => self.act(ms, out)?,
            Some(_) => {}
        }
        if let Some(head) = &mut self.head {
            head.tick(ms, out);
        }
        Ok(())
    }

    fn tick_windows(&mut self, ms: i64, out: &mut Output) -> Result<()> {
        let Job::Windows(engine) = &mut self.job else { return Ok(()) };
        engine.tick(ms);
        tell_due(engine, out)
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
                out.stream.pass(line);
            }
            Mark::Restore { stage, at, key, value } if stage == self.course.name() => {
                self.restore(at, key, value, out)?;
                return Ok(false);
            }
            Mark::Restored { .. } => {
                out.stream.pass(line);
                self.restored(out)?;
            }
            Mark::From { at, offset } => return self.from(at, *offset, out).map(|()| false),
            Mark::Idle { at } => {
                let partition = self.number_of(at, out);
                self.set_idle(partition, true, out)?;
            }
            Mark::Tick { ms } => {
                if self.course.tick(*ms) {
                    self.act(*ms, out)?;
                }
                out.stream.pass(line);
            }
            Mark::Closed { until } => self.closed(*until, line, out)?,
            Mark::Barrier(barrier) => self.barrier(barrier, out)?,
            Mark::End { how } => {
                if self.course.end(*how) {
                    self.tell_all(0, out)?;
                }
                out.stream.pass(line);
            }
            Mark::Abort { code, .. } => {
                self.course.abort(*code);
                out.stream.pass(line);
            }
            _ => out.stream.pass(line),
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
        if self.head.is_some() {
            let reason = "are in the stream already, and go on by themselves";
            return Err(Error::caller("--marks", reason));
        }
        out.write_marks();
        out.stream.mark(&self.course.open(epochs, tick_ms, stages));
        let Job::Windows(engine) = &mut self.job else { return Ok(()) };
        engine.listen_to_marks(IDLE_MS);
        if epochs {
            if !out.stream.is_marked() || out.has_header() {
                let reason =
                    "the stream has epochs, which only json and text carry on after a restart";
                return Err(Error::caller("-o", reason));
            }
            engine.track_changes();
        }
        if let Some(every) = engine.every()
            && !engine.has_event_time()
            && every.unsigned_abs() < tick_ms
        {
            let reason = format!("the stream has a tick every {tick_ms} ms, and no time between");
            return Err(Error::caller(format!("--every {every}ms"), reason));
        }
        Ok(())
    }

    /// A new assignment: forgets all rows.
    fn assign(&mut self, partitions: &[Partition], out: &mut Output) {
        let again = self.course.begin();
        self.state.clear();
        self.partition = 0;
        out.assign(partitions);
        let Job::Windows(engine) = &mut self.job else { return };
        engine.assign(out.stream.partitions().len());
        if again && !self.course.has_epochs() {
            let note = "the partitions were assigned anew: what was not written begins again";
            self.notes.push(note.to_owned());
        }
    }

    fn restore(&mut self, at: &Partition, key: &Json, value: &Json, out: &Output) -> Result<()> {
        let partition = out.stream.partitions().iter().position(|known| known == at);
        let partition = partition.ok_or_else(|| self.course.bad_entry(key, value))?;
        if self.state.hold(partition, key, value) {
            return Ok(());
        }
        self.load(partition, key, value)?;
        if key.is_null() {
            for (key, value) in self.state.release(partition) {
                self.load(partition, &key, &value)?;
            }
        }
        Ok(())
    }

    fn load(&mut self, partition: usize, key: &Json, value: &Json) -> Result<()> {
        let loaded = match &mut self.job {
            Job::Windows(engine) => self.state.load(engine, partition, key, value),
            Job::Each(..) => Err(Unfit::Entry),
        };
        loaded.map_err(|unfit| match unfit {
            Unfit::Layout(difference) => self.course.misfit(&difference),
            Unfit::Entry => self.course.bad_entry(key, value),
            Unfit::Full(reason) => Error::world(self.course.state_name(), reason),
        })
    }

    fn restored(&mut self, out: &mut Output) -> Result<()> {
        if self.state.holds() {
            return Err(self.course.misfit(HEADLESS));
        }
        let tick = self.course.restored();
        if let Job::Windows(engine) = &mut self.job {
            self.state.loaded(engine);
        }
        tick.map_or(Ok(()), |ms| self.act(ms, out))
    }

    /// It is `ms`, and the state is there.
    fn act(&mut self, ms: i64, out: &mut Output) -> Result<()> {
        self.tick_windows(ms, out)?;
        if let Job::Windows(engine) = &self.job
            && let Some(until) = engine.closed_until()
        {
            out.close(until);
        }
        Ok(())
    }

    fn from(&mut self, at: &Partition, offset: Option<i64>, out: &mut Output) -> Result<()> {
        self.course.from(at, offset);
        self.partition = self.number_of(at, out);
        self.set_idle(self.partition, false, out)
    }

    fn set_idle(&mut self, partition: usize, idle: bool, out: &mut Output) -> Result<()> {
        let Job::Windows(engine) = &mut self.job else { return Ok(()) };
        engine.set_idle(partition, idle);
        tell_due(engine, out)
    }

    /// The number of a partition; one that no assignment named gets the next.
    fn number_of(&mut self, at: &Partition, out: &mut Output) -> usize {
        let known = out.stream.partitions().len();
        let number = out.stream.number_of(at);
        // The engine begins with one.
        if let Job::Windows(engine) = &mut self.job
            && number == known
            && known > 0
        {
            engine.add_partition();
        }
        number
    }

    /// Windows of the stage before this one have closed: that is a row of that time in every
    /// partition.
    fn closed(&mut self, until: i64, line: &[u8], out: &mut Output) -> Result<()> {
        match &mut self.job {
            Job::Windows(engine) => {
                engine.see_everywhere(until);
                tell_due(engine, out)
            }
            Job::Each(..) => {
                out.stream.pass(line);
                Ok(())
            }
        }
    }

    /// An epoch ends: hands on what changed in it, before the barrier.
    fn barrier(&mut self, barrier: &Barrier, out: &mut Output) -> Result<()> {
        self.course.barrier(barrier)?;
        if barrier.last == Some(Last::Drained) && self.course.drain() {
            self.tell_all(0, out)?;
        }
        let mut stored = Ok(());
        if let Job::Windows(engine) = &mut self.job {
            self.state.store(engine, &mut |partition, key, value| {
                if stored.is_ok() {
                    let value = value.unwrap_or(Json::Null);
                    stored = out.stream.entry(self.course.name(), partition, key, value, REMEDY);
                }
            });
        }
        stored?;
        out.stream.barrier(barrier);
        Ok(())
    }

    /// The input has ended; `now` is the clock. Returns the exit code.
    ///
    /// # Errors
    /// When a marked stream was cut short, or a result has no value.
    pub fn finish(&mut self, now: i64, out: &mut Output) -> Result<Code> {
        let code = self.course.finish("open windows are")?;
        if !self.course.is_marked() {
            self.tell_all(now, out)?;
        }
        let absent = self.intake.iter().flat_map(Intake::absent);
        self.notes.extend(absent.map(|name| format!("{name}: it is NULL in every row")));
        if let Some(head) = self.head {
            head.end(out);
        }
        Ok(code)
    }

    /// The input is complete: closes all windows.
    fn tell_all(&mut self, now: i64, out: &mut Output) -> Result<()> {
        if let Job::Windows(engine) = &mut self.job {
            engine.tell_all(now, out).map_err(|halt| Error::world("results", halt))?;
        }
        out.complete();
        Ok(())
    }
}

const NO_TICK: &str = "a row before the first tick has no time of arrival";

fn tell_due(engine: &mut Engine, out: &mut Output) -> Result<()> {
    engine.tell_due(out).map_err(|halt| Error::world("results", halt))
}

/// Writes a row by itself, when it passes.
fn each(whole: Whole, taken: Taken<'_>, partition: usize, out: &mut Output) -> Result<(), Lost> {
    if !taken.passes()? {
        return Ok(());
    }
    if whole == Whole::Line {
        out.line(partition, taken.line());
        return Ok(());
    }
    let mut values = Vec::new();
    taken.each(&mut values)?;
    out.row(partition, &values);
    Ok(())
}

/// Why a row does not count.
enum Lost {
    Bad(Bad),
    Row(Refusal),
    Failed(&'static str),
}

impl From<Bad> for Lost {
    fn from(bad: Bad) -> Lost {
        Lost::Bad(bad)
    }
}

impl From<Halt> for Lost {
    fn from(halt: Halt) -> Lost {
        Lost::Row(Refusal::Halt(halt))
    }
}

impl From<Refusal> for Lost {
    fn from(refusal: Refusal) -> Lost {
        Lost::Row(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What a stage makes of lines, and of what it says it lost.
    fn told(args: &[&str], lines: &[Vec<u8>], plainly: bool) -> (String, Vec<String>) {
        let args = crate::Args::parse_from([&["swin"], args].concat());
        let (mut stage, mut out) = args.assemble(false).expect("options");
        let bytes: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
        let (mut rest, mut number, mut numbers) = (&bytes[..], 0, Vec::new());
        while !rest.is_empty() {
            let width = stage.plain_numbers();
            let mut batch = Batch::new(&mut numbers, width.unwrap_or_default());
            while plainly && let Some(length) = stage.read_plain(rest, b'\n', &mut batch) {
                rest = &rest[length + 1..];
            }
            number += 1;
            if batch.is_empty() {
                let length = rest.iter().position(|&byte| byte == b'\n').expect("a line");
                stage.data(number, &rest[..length], &mut out).expect("no limit");
                rest = &rest[length + 1..];
            } else {
                stage.take_plain(number, &mut batch, &mut out).expect("no limit");
                number += batch.rows().skip(1).count() as u64;
            }
        }
        stage.finish(0, &mut out).expect("no limit");
        let keeping = Keeping { strict: false, bad: true, late: Some(b'\n') };
        let mut said = stage.losses().summaries(keeping);
        said.push(format!("{} {} {:?}", stage.rows(), out.rows(), stage.gauges()));
        assert_eq!(stage.rows(), lines.len() as u64);
        let losses = stage.losses();
        let told = [&out.stream.bytes, &losses.bad_lines, &losses.late_lines].map(Vec::as_slice);
        let told = told.concat();
        (String::from_utf8_lossy(&told).into_owned(), said)
    }

    /// Times that go on by steps, some of them back; among them lines that are not plain.
    fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let steps = prop_oneof![8 => 0..40_i64, 1 => -300..300_i64, 1 => 0..20_000_i64];
        let keys = prop::sample::select(vec!["a", "b", "a long key", "", "\"q\"", "b\r"]);
        let values = prop::sample::select(vec!["1", "22", "-7", "1.5", "", "x", "123456789012"]);
        let row = (steps, keys, values, 0..30);
        vec(row, 1..150).prop_map(|rows| {
            let mut time = 1_700_000_000_000;
            let line = |(step, key, value, odd): (i64, &str, &str, i32)| {
                time += step;
                match odd {
                    0 => format!("{time},{key}"),
                    1 => format!(" {time} ,{key},{value}"),
                    2 => format!("{time},{key},{value},more than a batch has a look at"),
                    _ => format!("{time},{key},{value}"),
                }
                .into_bytes()
            };
            rows.into_iter().map(line).collect()
        })
    }

    proptest! {
        #[test]
        fn plain_lines_count_as_all_others_do(
            lines in lines(),
            window in prop::sample::select(vec![
                "--tumble=1s --delay=100ms", "--tumble=1s --every=300ms", "--tumble=1s --zeros",
                "--hop=1s/200ms --delay=50ms", "--hop=200ms/1s", "--cumulate=2s/500ms",
                "--session=50ms --delay=100ms", "--running --every=1s", "--running", "--rows=3",
                "--tumble=1s --align=start", "--tumble=1s", "--hop=1s/200ms",
            ]),
            rows in prop::sample::select(vec!["-F,", "-icsv --names=t,k,v", "-F, --names=t,k,v"]),
            by in prop::sample::select(vec!["--by=$2", ""]),
        ) {
            let mut args: Vec<&str> = window.split(' ').chain(rows.split(' ')).collect();
            args.extend(["--time=$1", "-ojson", "count(*)", "sum($3)"]);
            if !by.is_empty() && !window.contains("--zeros") {
                args.push(by);
            }
            let (plain, said) = told(&args, &lines, true);
            let (other, also_said) = told(&args, &lines, false);
            prop_assert_eq!(plain, other);
            prop_assert_eq!(said, also_said);
        }
    }
}
