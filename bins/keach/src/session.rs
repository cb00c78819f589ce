//! Runs of the command over a stream: lines are held until a run gets them, and what it writes
//! until it has succeeded.

use std::fs::File;
use std::io::{Seek, Write};
use std::time::{Duration, SystemTime};

use pipe::exit::{Code, Error, Result, say};
use pipe::lines::{Fill, Lines};
use pipe::mark::{Event, Mark, Stream};
use pipe::outlet::Outlet;
use pipe::stdio::{OUTPUT_BYTES, Output};
use tempfile::NamedTempFile;

use crate::command::{Command, Fate, Setting};
use crate::signals::Signals;
use crate::spool::{Spool, failure};
use crate::stage::{Piece, Stage, Step};
use crate::stuffing::Stuffing;
use crate::teller::Teller;

/// The wait before the first of several tries; each other is twice as long, up to
/// [`PAUSES_MAX`] times.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the wait between tries is doubled.
const PAUSES_MAX: u32 = 7;

/// What runs the command, and takes what it writes.
#[derive(Debug)]
pub struct Runner {
    /// The command.
    pub command: Command,
    /// How often a run that failed is tried again.
    pub retries: u32,
    /// Whether that is not worth a word.
    pub quiet: bool,
    /// The signals that this program has got.
    pub signals: Signals,
    /// This program's stdout.
    pub stdout: Output,
    /// Who tells of the runs.
    pub teller: Teller,
}

impl Runner {
    /// Runs the command over `input`, so many `lines`, again when it fails; returns what it wrote.
    fn run(&mut self, input: Spool, lines: u64, setting: &Setting) -> Result<Spool> {
        self.teller.given(lines);
        let input = input.into_file()?;
        let mut tries = 0;
        loop {
            let Runner { command, signals, stdout, teller, .. } = self;
            let run = command.run(&input, setting, stdout, (signals, teller))?;
            let why = match run {
                (Fate::Good, output) => return Ok(output),
                (Fate::Closed, _) => "its reader had gone".to_owned(),
                (Fate::Failed(why), _) => why,
            };
            let name = &self.command.name;
            if tries == self.retries {
                let epoch = setting.epoch.map(|epoch| format!(" in epoch {epoch}"));
                let times =
                    if tries > 0 { format!(", {} times", tries + 1) } else { String::new() };
                let reason = format!("{why}{}{times}; run it again", epoch.unwrap_or_default());
                return Err(Error::unfinished(name, reason));
            }
            tries += 1;
            if !self.quiet {
                say(format!("{name}: {why}; again, {tries} of {}", self.retries));
            }
            self.signals.pause(PAUSE * 2_u32.pow((tries - 1).min(PAUSES_MAX)));
        }
    }
}

/// Runs over a plain stream, at each multiple of a time.
#[derive(Debug)]
pub struct Periods {
    runner: Runner,
    lines: Lines,
    every_ms: i64,
    skip_empty: bool,
    held: Spool,
    /// How many lines are held.
    count: u64,
    /// The beginning of a line whose end has not come.
    torn: Vec<u8>,
}

impl Periods {
    /// Runs over `lines`, one at each multiple of `every_ms`, more than 0, since 1970.
    #[must_use]
    pub fn new(runner: Runner, lines: Lines, every_ms: i64, skip_empty: bool) -> Periods {
        let (held, torn) = (Spool::default(), Vec::new());
        Periods { runner, lines, every_ms, skip_empty, held, count: 0, torn }
    }

    /// Runs the command until the input ends.
    ///
    /// # Errors
    /// When a run or a stream fails.
    pub fn run(mut self) -> Result<Code> {
        let ended = self.copy();
        self.runner.teller.tell_last();
        ended.map(|()| Code::DONE)
    }

    fn copy(&mut self) -> Result<()> {
        let mut due_ms = self.next_ms(now_ms());
        loop {
            self.take_lines()?;
            self.runner.teller.tell();
            let current_ms = now_ms();
            if current_ms >= due_ms {
                due_ms = self.next_ms(current_ms);
                self.one(current_ms - current_ms.rem_euclid(self.every_ms))?;
                continue;
            }
            let wait = Duration::from_millis((due_ms - current_ms).unsigned_abs());
            let wait = self.runner.teller.leisure().map_or(wait, |leisure| wait.min(leisure));
            if self.lines.fill(Some(wait))? == Fill::End {
                self.held.extend(&self.torn)?;
                self.count += u64::from(!self.torn.is_empty());
                return self.one(now_ms());
            }
        }
    }

    /// When the period ends that `ms` is in.
    fn next_ms(&self, ms: i64) -> i64 {
        (ms.div_euclid(self.every_ms) + 1).saturating_mul(self.every_ms)
    }

    /// Holds what was read, up to the end of its last line.
    fn take_lines(&mut self) -> Result<()> {
        let unread = self.lines.unread();
        let (whole, rest) = unread.split_at(memchr::memrchr(b'\n', unread).map_or(0, |at| at + 1));
        if !whole.is_empty() {
            self.held.extend(&self.torn)?;
            self.held.extend(whole)?;
            self.count += memchr::memchr_iter(b'\n', whole).count() as u64;
            self.torn.clear();
        }
        self.torn.extend_from_slice(rest);
        let bytes = unread.len();
        self.lines.skip(bytes);
        Ok(())
    }

    /// One run over what is held.
    fn one(&mut self, time_ms: i64) -> Result<()> {
        if self.held.is_empty() && self.skip_empty {
            return Ok(());
        }
        let setting = Setting { time_ms: Some(time_ms), ..Setting::default() };
        let (held, count) = (std::mem::take(&mut self.held), std::mem::take(&mut self.count));
        let runner = &mut self.runner;
        let output = runner.run(held, count, &setting)?;
        let mut stuffing = Stuffing::new(false);
        output.blocks(|block| {
            stuffing.push(block, runner.stdout.buffer());
            runner.stdout.spill()
        })?;
        runner.teller.written(stuffing.finish(runner.stdout.buffer()));
        runner.stdout.flush()
    }
}

/// Runs over a marked stream.
#[derive(Debug)]
pub struct Session {
    stream: Stream,
    held: Held,
}

/// What is held of a marked stream, and where it goes on.
#[derive(Debug)]
struct Held {
    runner: Runner,
    stage: Stage,
    outlet: Outlet,
    /// The lines for the next runs, by the stage's slots.
    lines: Vec<Spool>,
    /// The marks that go on behind these runs.
    marks: Spool,
    /// Where runs read which offsets they cover; its name stays the same.
    offsets: Option<NamedTempFile>,
}

impl Session {
    /// Runs over the marked `stream`.
    #[must_use]
    pub fn new(runner: Runner, stream: Stream, stage: Stage) -> Session {
        let (outlet, lines, marks) = (Outlet::default(), Vec::new(), Spool::default());
        Session { stream, held: Held { runner, stage, outlet, lines, marks, offsets: None } }
    }

    /// Runs the command until the input ends, and says so in the stream when it fails for good.
    ///
    /// # Errors
    /// When a run or the stream fails.
    pub fn run(mut self) -> Result<Code> {
        let mut result = self.copy().and_then(|()| self.held.stage.finish());
        if let Some(abort) = result.as_ref().err().and_then(|error| Mark::abort("keach", error)) {
            self.held.outlet.mark(&abort);
        }
        let drained = self.held.drain();
        self.held.runner.teller.tell_last();
        if result.is_ok() {
            result = drained.and(result);
        }
        match result {
            // What was not read belongs to an epoch that nobody will commit.
            Err(Error::Closed) if self.held.stage.has_epochs() => {
                Err(Error::unfinished("<stdout>", "the reader has gone before the stream ended"))
            }
            result => result,
        }
    }

    fn copy(&mut self) -> Result<()> {
        loop {
            while self.next()? {}
            let teller = &mut self.held.runner.teller;
            teller.tell();
            if self.stream.fill(teller.leisure())? == Fill::End {
                return Ok(());
            }
        }
    }

    /// Takes what is next in the buffer; returns whether there was something.
    fn next(&mut self) -> Result<bool> {
        let number = self.stream.number() + 1;
        match self.stream.next_event()? {
            None => return Ok(false),
            Some(Event::Data(line)) => self.held.line(line)?,
            Some(Event::Long(_, bytes)) => {
                let reason = format!("{bytes} bytes are more than --max-line");
                return Err(Error::world(format_args!("line {number}"), reason));
            }
            Some(Event::Mark(mark, line)) => self.held.mark(&mark, line)?,
        }
        Ok(true)
    }
}

impl Held {
    #[inline]
    fn line(&mut self, line: &[u8]) -> Result<()> {
        let slot = self.stage.line()?;
        if self.lines.len() <= slot {
            self.lines.resize_with(slot + 1, Spool::default);
        }
        self.lines[slot].line(line)
    }

    fn mark(&mut self, mark: &Mark, line: &[u8]) -> Result<()> {
        if let Mark::Open { .. } = mark
            && !self.runner.stdout.is_terminal()
        {
            self.outlet.open();
        }
        match self.stage.mark(mark)? {
            Step::Pass => self.outlet.pass(line),
            Step::Instead(mark) => self.outlet.mark(&mark),
            Step::Hold => return self.marks.line(line),
            Step::Keep => return Ok(()),
            Step::Forget => {
                self.marks.clear();
                self.settle(mark, line);
            }
            Step::Run => {
                self.run(mark)?;
                self.settle(mark, line);
            }
        }
        self.drain()
    }

    /// Runs the command over all lines that are held; when every run has succeeded, what they
    /// wrote goes on, and the marks that are held.
    fn run(&mut self, mark: &Mark) -> Result<()> {
        let mut written = Vec::new();
        for piece in self.stage.pieces(mark)? {
            let lines = self.lines.get_mut(piece.slot).map(std::mem::take).unwrap_or_default();
            let setting = Setting {
                epoch: piece.epoch,
                time_ms: piece.time_ms,
                offsets: piece.offsets.as_deref().map(|text| self.tell(text)).transpose()?,
            };
            let output = self.runner.run(lines, piece.lines, &setting)?;
            written.push((piece, output));
        }
        for (piece, output) in written {
            self.write(piece, output)?;
        }
        let Held { runner, outlet, marks, .. } = self;
        std::mem::take(marks).blocks(|block| {
            if outlet.is_marked() {
                outlet.bytes.extend_from_slice(block);
            }
            spill(outlet, &mut runner.stdout)
        })
    }

    /// Writes what a run wrote, and where it came from: also of lines that led to none, as with
    /// them their partition is not silent.
    fn write(&mut self, piece: Piece, output: Spool) -> Result<()> {
        let silent = piece.lines == 0 && output.is_empty();
        if let Some(at) = piece.at.filter(|_| !silent) {
            self.outlet.mark(&Mark::From { at, offset: None });
        }
        let Held { runner, outlet, .. } = self;
        let mut stuffing = Stuffing::new(outlet.is_marked());
        output.blocks(|block| {
            stuffing.push(block, &mut outlet.bytes);
            spill(outlet, &mut runner.stdout)
        })?;
        let lines = stuffing.finish(&mut outlet.bytes);
        outlet.count(lines);
        runner.teller.written(lines);
        Ok(())
    }

    /// Goes on behind what was held.
    fn settle(&mut self, mark: &Mark, line: &[u8]) {
        self.lines.clear();
        for at in self.stage.settle(mark) {
            self.outlet.mark(&Mark::Idle { at });
        }
        match mark {
            Mark::Barrier(barrier) => {
                self.outlet.barrier(barrier);
                self.runner.teller.ended(barrier.epoch);
            }
            Mark::Begin { partitions, .. } => {
                self.outlet.assign(partitions);
                self.outlet.pass(line);
            }
            _ => self.outlet.pass(line),
        }
    }

    /// Puts `text` where a run looks for its offsets; returns where.
    fn tell(&mut self, text: &str) -> Result<std::path::PathBuf> {
        let file = match self.offsets.take() {
            Some(file) => file,
            None => NamedTempFile::with_prefix("keach.").map_err(|error| failure(&error))?,
        };
        let put = |mut to: &File| {
            to.set_len(0)?;
            to.rewind()?;
            to.write_all(text.as_bytes())
        };
        put(file.as_file()).map_err(|error| failure(&error))?;
        Ok(self.offsets.insert(file).path().to_owned())
    }

    fn drain(&mut self) -> Result<()> {
        self.runner.stdout.buffer().append(&mut self.outlet.bytes);
        self.runner.stdout.flush()
    }
}

/// Writes when a block has come together.
fn spill(outlet: &mut Outlet, stdout: &mut Output) -> Result<()> {
    if outlet.bytes.len() < OUTPUT_BYTES {
        return Ok(());
    }
    stdout.buffer().append(&mut outlet.bytes);
    stdout.flush()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
