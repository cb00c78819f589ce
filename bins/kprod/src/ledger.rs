//! What is told of the records: failures on stderr or in a file of dead letters, receipts or the
//! lines themselves on stdout, and how fast it goes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pipe::bar::{Bar, Unit};
use pipe::exit::{Error, Result, say, say_bare};
use pipe::stats::{Gauges, Stats};
use pipe::stdio::Output;
use topic::producer::{Receipt as Acknowledged, Reports};

use crate::letters::Letters;
use crate::perf::Perf;
use crate::place;
use crate::receipt::Receipt;

/// How often --perf says a line, as the perf test does.
const PERF_EVERY: Duration = Duration::from_secs(5);

/// The form of receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// topic-partition:offset
    Text,
    /// An object with all that is known of the record
    Json,
}

/// What is told.
#[derive(Clone, Debug, Default)]
pub struct Plan<'a> {
    /// The names of the inputs, unless stdin is the only one.
    pub files: Vec<String>,
    /// Receipts on stdout.
    pub receipts: Option<Form>,
    /// Where dead letters go.
    pub letters: Option<&'a Path>,
    /// The lines on stdout.
    pub tee: bool,
    /// The lines of --perf.
    pub perf: bool,
    /// How often the line of --stats is said.
    pub stats: Option<Duration>,
    /// The bytes of the input, when a bar may show how far it is.
    pub bytes: Option<u64>,
}

/// Who tells.
#[derive(Debug)]
pub struct Ledger {
    files: Vec<String>,
    receipts: Option<Form>,
    /// `None` when nothing goes there, and when nobody reads it any more: producing goes on.
    stdout: Option<Output>,
    tee: bool,
    letters: Option<(Letters, Output, PathBuf)>,
    perf: Option<Perf>,
    stats: Option<Stats>,
    /// A bar with the bytes that there are.
    bar: Option<(Bar, u64)>,
    /// Whether acknowledgements are no news to anybody.
    deaf: bool,
    clocks: Clocks,
}

/// When something is to be said next.
#[derive(Debug)]
struct Clocks {
    start: Instant,
    perf: Option<Duration>,
}

impl Ledger {
    /// Begins to tell what `plan` says.
    ///
    /// # Errors
    /// When the file of dead letters cannot be made.
    pub fn open(plan: Plan<'_>) -> Result<Ledger> {
        let stdout = (plan.receipts.is_some() || plan.tee).then(Output::stdout).transpose()?;
        let letters = plan.letters.map(|path| {
            Output::create(path).map(|output| (Letters::default(), output, path.to_owned()))
        });
        let letters = letters.transpose()?;
        let quiet = plan.receipts.is_none() && letters.is_none();
        Ok(Ledger {
            files: plan.files,
            receipts: plan.receipts,
            stdout,
            tee: plan.tee,
            letters,
            deaf: quiet && !plan.perf && plan.stats.is_none(),
            perf: plan.perf.then(Perf::default),
            bar: plan.bytes.and_then(|bytes| Some((Bar::open(Unit::Bytes)?, bytes))),
            stats: plan.stats.map(|every| Stats::new("kprod", every)),
            clocks: Clocks { start: Instant::now(), perf: plan.perf.then_some(PERF_EVERY) },
        })
    }

    /// The name of lines in messages.
    #[must_use]
    pub fn name(&self, first: u64, last: u64) -> String {
        place::name(first, last, &self.files)
    }

    /// The name of input `index`.
    #[must_use]
    pub fn input_name(&self, index: usize) -> &str {
        self.files.get(index).map_or("<stdin>", String::as_str)
    }

    /// Whether lines have to be shown before they are produced.
    #[must_use]
    pub fn wants_lines(&self) -> bool {
        self.tee || self.letters.is_some()
    }

    /// Whether what fails is kept in a file, so that the rest may go on.
    #[must_use]
    pub fn keeps_letters(&self) -> bool {
        self.letters.is_some()
    }

    /// Shows a line, without what `ends` it, that becomes record `number` next.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn line(&mut self, number: u64, line: &[u8], end: &[u8]) -> Result<()> {
        if let Some((letters, ..)) = &mut self.letters {
            letters.keep(number, line);
        }
        let Some(output) = self.stdout.as_mut().filter(|_| self.tee) else { return Ok(()) };
        output.buffer().extend_from_slice(line);
        output.buffer().extend_from_slice(end);
        let spilled = output.spill();
        self.passed(spilled)
    }

    /// Counts records that were offered.
    pub fn taken(&mut self, records: u64) {
        if let Some(stats) = &mut self.stats {
            stats.taken(records);
        }
    }

    /// Shows that so many bytes of the input were read.
    pub fn reached(&self, bytes: u64) {
        if let Some((bar, all)) = &self.bar {
            bar.show(bytes, *all);
        }
    }

    /// Keeps a record that was refused before it was one, as a dead letter.
    ///
    /// # Errors
    /// When the file of dead letters cannot be written.
    pub fn dead(&mut self, number: u64, reason: &str) -> Result<()> {
        let Some((letters, output, _)) = &mut self.letters else { return Ok(()) };
        let (input, line) = place::parts(number);
        let file = self.files.get(input).map(String::as_str);
        letters.write(number, (file, line), reason, output.buffer());
        output.spill()
    }

    /// How long until something is to be said; `None` when nothing is. What is due is said.
    pub fn tick(&mut self) -> Option<Duration> {
        let elapsed = self.clocks.start.elapsed();
        if let (Some(perf), Some(due)) = (&mut self.perf, &mut self.clocks.perf)
            && elapsed >= *due
        {
            say_bare(perf.line(elapsed));
            *due = elapsed + PERF_EVERY;
        }
        if let Some(stats) = &mut self.stats
            && stats.wait(elapsed).is_zero()
        {
            say_bare(stats.line(elapsed, Gauges::default()));
        }
        let perf = self.clocks.perf.map(|due| due.saturating_sub(elapsed));
        let stats = self.stats.as_ref().map(|stats| stats.wait(elapsed));
        perf.into_iter().chain(stats).min()
    }

    /// Says what is said at the end. Gives the number of dead letters and where they are.
    ///
    /// # Errors
    /// When the file of dead letters cannot be written.
    pub fn close(&mut self) -> Result<(u64, Option<String>)> {
        self.bar = None;
        if let Some(perf) = &self.perf {
            say_bare(perf.total(self.clocks.start.elapsed()));
        }
        if let Some(stats) = &mut self.stats {
            say_bare(stats.line(self.clocks.start.elapsed(), Gauges::default()));
        }
        let Some((letters, output, path)) = &mut self.letters else { return Ok((0, None)) };
        output.flush()?;
        Ok((letters.written(), Some(path.display().to_string())))
    }

    fn passed(&mut self, result: Result<()>) -> Result<()> {
        if result == Err(Error::Closed) {
            self.stdout = None;
            return Ok(());
        }
        result
    }
}

impl Reports for Ledger {
    #[inline]
    fn acknowledged(&mut self, receipt: Acknowledged<'_>) -> Result<()> {
        if self.deaf {
            return Ok(());
        }
        if let Some((letters, ..)) = &mut self.letters {
            letters.forget(receipt.number());
        }
        if let Some(stats) = &mut self.stats {
            stats.given(1);
        }
        if let Some(perf) = &mut self.perf {
            let bytes = receipt.key_bytes().unwrap_or(0) + receipt.value_bytes().unwrap_or(0);
            perf.add(bytes as u64, receipt.latency_us().unwrap_or(0));
        }
        let (Some(output), Some(form)) = (&mut self.stdout, self.receipts) else { return Ok(()) };
        let (input, line) = place::parts(receipt.number());
        let written = Receipt {
            topic: receipt.topic(),
            partition: receipt.partition(),
            offset: receipt.offset(),
            timestamp: receipt.timestamp(),
            key_bytes: receipt.key_bytes(),
            value_bytes: receipt.value_bytes(),
            file: self.files.get(input).map(String::as_str),
            line,
        };
        match form {
            Form::Text => written.write_text(output.buffer()),
            Form::Json => written.write_json(output.buffer()),
        }
        let spilled = output.spill();
        self.passed(spilled)
    }

    fn failed(&mut self, first: u64, last: u64, reason: &str) {
        if self.letters.is_none() {
            say(format!("{}: {reason}", self.name(first, last)));
            return;
        }
        for number in first..=last {
            // A file that cannot be written is told at the next flush: what it lacks stays there.
            if self.dead(number, reason).is_err() {
                say(format!("{}: {reason}", self.name(number, number)));
            }
        }
    }

    fn goes_on(&self) -> bool {
        self.keeps_letters()
    }

    fn flush(&mut self) -> Result<()> {
        self.tick();
        if let Some((_, output, _)) = &mut self.letters {
            output.flush()?;
        }
        let Some(output) = &mut self.stdout else { return Ok(()) };
        let flushed = output.flush();
        self.passed(flushed)
    }
}
