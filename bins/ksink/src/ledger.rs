//! What is told of the records: failures on stderr or as dead letters, with --tee the lines of
//! the others on stdout.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::mem;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pipe::exit::{Code, Error, Result, say, say_bare};
use pipe::mark::DeadLetter;
use pipe::stats::{Gauges, Stats};
use pipe::stdio::{Output, reason};
use topic::draft::Drafts;
use topic::producer::{Receipt, Record, Reports};

use crate::letters::{Kept, Letter, Place};
use crate::position::Position;
use crate::tee::Tee;

/// Added to the number of a line, it is that of the line's dead letter.
const LETTER: u64 = 1 << 63;

/// Added to the number of a line, it is that of a record of state that the line stands for.
pub const STATE: u64 = 1 << 62;

/// Bytes of lines that --tee keeps until their transaction is committed.
const HELD_BYTES: usize = 64 << 20;

/// What is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// The lines on stdout.
    pub tee: bool,
    /// Of transactions, what counts is what was committed.
    pub transactions: bool,
    /// How often the line of --stats is said.
    pub stats: Option<Duration>,
}

/// Who tells.
#[derive(Debug)]
pub struct Ledger {
    begun: Instant,
    stats: Option<Stats>,
    /// Lines that came.
    taken: u64,
    /// `None` without --tee, and when nobody reads it any more: producing goes on.
    tee: Option<(Tee, Output)>,
    letters: Option<Letters>,
    counts: Counts,
    /// Of the transactions that are committed, when records are in transactions.
    committed: Option<Counts>,
    /// What keeps the transaction from being committed: of records that were on their way, and
    /// of such that could not be.
    doom: Option<String>,
    refusal: Option<String>,
}

/// What is told at the end.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Lines that are in a topic, or of which nothing more has to be done.
    done: u64,
    /// Lines that are in no topic.
    dead: u64,
    /// Letters that are nowhere.
    lost: u64,
    /// Rows that stages before found bad, and late.
    stages: [u64; 2],
    /// The epoch that was committed last.
    epoch: Option<u64>,
}

/// Dead letters and where they go.
#[derive(Debug)]
struct Letters {
    kept: Kept,
    place: Place,
    mailbox: Mailbox,
}

/// What takes dead letters.
#[derive(Debug)]
enum Mailbox {
    File(Output),
    Topic {
        /// The topic's number.
        topic: usize,
        record_bytes_max: usize,
        /// Letters that are not yet given to the producer.
        drafts: Drafts,
        /// Why each was written that is not in its topic yet.
        reasons: HashMap<u64, String>,
    },
}

impl Ledger {
    /// A ledger that tells what `plan` says.
    ///
    /// # Errors
    /// When stdout is not there.
    pub fn new(plan: Plan) -> Result<Ledger> {
        let output = plan.tee.then(Output::stdout).transpose()?;
        Ok(Ledger {
            begun: Instant::now(),
            stats: plan.stats.map(|every| Stats::new("ksink", every)),
            taken: 0,
            tee: output.map(|output| (Tee::default(), output)),
            letters: None,
            counts: Counts::default(),
            committed: plan.transactions.then(Counts::default),
            doom: None,
            refusal: None,
        })
    }

    /// Counts a line that came.
    #[inline]
    pub fn taken(&mut self) {
        self.taken += 1;
    }

    /// Counts a line that goes nowhere, with which all is done that there was to do.
    #[inline]
    pub fn done(&mut self) {
        self.counts.done += 1;
    }

    /// How long until something is to be said, though nothing happens; `None` when nothing is.
    #[must_use]
    pub fn leisure(&self) -> Option<Duration> {
        self.stats.as_ref().map(|stats| stats.wait(self.begun.elapsed()))
    }

    /// Says the line of --stats, if it is wanted.
    fn say_stats(&mut self) {
        let Some(stats) = &mut self.stats else { return };
        let Counts { done, dead, stages: [bad, late], epoch, .. } =
            self.committed.unwrap_or(self.counts);
        stats.set(self.taken, done);
        let (bad, late) = (Some(bad + dead), Some(late));
        let gauges = Gauges { bad, late, epoch, ..Gauges::default() };
        say_bare(stats.line(self.begun.elapsed(), gauges));
    }

    /// Dead letters go to `place`; to a topic as records of at most so many bytes.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&mut self, place: &Place, (topic, record_bytes_max): (usize, usize)) -> Result<()> {
        let mailbox = match place {
            Place::File(path) => {
                // What an earlier run has put aside stays.
                let file = OpenOptions::new().create(true).append(true).open(path);
                let file = file.map_err(|error| Error::world(path.display(), reason(&error)))?;
                Mailbox::File(Output::over(file, &path.display().to_string()))
            }
            Place::Topic(_) => {
                let (drafts, reasons) = (Drafts::default(), HashMap::new());
                Mailbox::Topic { topic, record_bytes_max, drafts, reasons }
            }
        };
        self.letters = Some(Letters { kept: Kept::default(), place: place.clone(), mailbox });
        Ok(())
    }

    /// Whether what fails is put aside, so that the rest may go on.
    #[must_use]
    pub fn keeps_letters(&self) -> bool {
        self.letters.is_some()
    }

    /// Whether letters are given to the producer, by [`Ledger::mail`].
    #[must_use]
    pub fn has_mail(&self) -> bool {
        matches!(self.letters, Some(Letters { mailbox: Mailbox::Topic { .. }, .. }))
    }

    /// Keeps a line that may have to be put aside. One that never is a record, as the header is,
    /// stays to the end.
    pub fn keep(&mut self, number: u64, line: &[u8], position: Option<Position>) {
        if let Some(letters) = &mut self.letters {
            letters.kept.keep(number, line, position);
        }
    }

    /// Hears which of `lines` became records and are about to be produced.
    pub fn expect<'l>(
        &mut self,
        records: &[Record<'_>],
        mut lines: impl Iterator<Item = (u64, &'l [u8])>,
    ) {
        let Some((tee, _)) = &mut self.tee else { return };
        for record in records {
            // Between the records there may be a header line.
            if let Some((number, line)) = lines.find(|(number, _)| *number == record.number) {
                tee.push(number, line);
            }
        }
    }

    /// Bytes that wait for an acknowledgement before they go to stdout.
    #[must_use]
    pub fn held(&self) -> usize {
        self.tee.as_ref().map_or(0, |(tee, _)| tee.bytes())
    }

    /// A line is no record: it is put aside, when lines are.
    ///
    /// # Errors
    /// When the file of dead letters cannot be written.
    pub fn bury(&mut self, number: u64, reason: &str) -> Result<()> {
        self.counts.dead += 1;
        let Some(letters) = &mut self.letters else { return Ok(()) };
        let row = letters.kept.take(number);
        letters.mailbox.put(number, &Letter::of_line(number, reason, &row))
    }

    /// A stage before could not use a row, which is said in line `number`.
    ///
    /// # Errors
    /// When the row is no base64, or the file of dead letters cannot be written.
    pub fn stage(&mut self, number: u64, is_late: bool, letter: &DeadLetter) -> Result<()> {
        self.counts.stages[usize::from(is_late)] += 1;
        let Some(letters) = &mut self.letters else { return Ok(()) };
        let row = BASE64.decode(&letter.line_b64);
        let row = row.map_err(|error| Error::world(name(number, number), error))?;
        let kind = if is_late { "late" } else { "bad" };
        letters.mailbox.put(number, &Letter::of_stage(kind, letter, &row))
    }

    /// The letters that the producer is to have now.
    pub fn mail(&mut self) -> Option<Drafts> {
        match &mut self.letters.as_mut()?.mailbox {
            Mailbox::Topic { drafts, .. } if !drafts.is_empty() => Some(mem::take(drafts)),
            _ => None,
        }
    }

    /// Says what is said at the end, of a run of which the lines are called `thing`.
    ///
    /// # Errors
    /// When lines or letters failed, or the file of dead letters cannot be written.
    pub fn close(&mut self, thing: &str) -> Result<()> {
        self.say_stats();
        let flushed = self.flush();
        let place = self.letters.as_ref().map(|letters| format!("they are in {}", letters.place));
        let Counts { dead, lost, stages: [bad, late], .. } = self.counts;
        if bad + late > 0 {
            let fate = place.clone().filter(|_| flushed.is_ok() && lost == 0);
            let fate = fate.unwrap_or_else(|| "they are not kept (--dead-letter)".to_owned());
            say(format!("<stdin>: {bad} bad and {late} late rows of stages before: {fate}"));
        }
        flushed?;
        match (dead, lost, place) {
            (0, 0, _) => Ok(()),
            (dead, 0, None) => {
                Err(Error::world(thing, format!("{dead} records were not produced")))
            }
            (dead, 0, Some(place)) => {
                Err(Error::world(thing, format!("{dead} records were not produced: {place}")))
            }
            (dead, lost, _) => {
                let reason = format!("{dead} records and {lost} dead letters were not produced");
                Err(Error::world(thing, reason))
            }
        }
    }

    /// The transaction of `epoch` is committed: its lines may be passed on.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn commit(&mut self, epoch: u64) -> Result<()> {
        self.counts.epoch = Some(epoch);
        self.committed = Some(self.counts);
        let Some((_, output)) = &mut self.tee else { return Ok(()) };
        let flushed = output.flush();
        self.passed(flushed)
    }

    /// The transaction is aborted: nothing of it has happened, but that letters may be in their
    /// file.
    pub fn abort(&mut self) {
        self.counts = self.committed.unwrap_or_default();
        (self.doom, self.refusal) = (None, None);
        if let Some((tee, output)) = &mut self.tee {
            *tee = Tee::default();
            output.buffer().clear();
        }
        if let Some(Letters { kept, mailbox, .. }) = &mut self.letters {
            *kept = Kept::default();
            if let Mailbox::Topic { drafts, reasons, .. } = mailbox {
                drafts.clear();
                reasons.clear();
            }
        }
    }

    /// An error when a record of the transaction could not be produced that must be.
    ///
    /// # Errors
    /// That error.
    pub fn check(&mut self) -> Result<()> {
        self.refusal.take().map_or(Ok(()), |message| Err(Error::Failed(Code::WORLD, message)))
    }

    /// The error of a transaction, with the record that it is about as far as one is known.
    #[must_use]
    pub fn doomed(&mut self, error: Error) -> Error {
        match (self.doom.take(), error) {
            (Some(message), Error::Failed(code, _)) => Error::Failed(code, message),
            (_, error) => error,
        }
    }

    fn passed(&mut self, result: Result<()>) -> Result<()> {
        if result == Err(Error::Closed) {
            self.tee = None;
            return Ok(());
        }
        result
    }

    /// Records from `first` to `last` failed.
    fn fail(&mut self, first: u64, last: u64, reason: &str) {
        if self.letters.is_none() {
            self.counts.dead += last - first + 1;
            say(format!("{}: {reason}", name(first, last)));
            return;
        }
        for number in first..=last {
            // A file that cannot be written is told at the next flush: what it lacks stays there.
            if self.bury(number, reason).is_err() {
                say(format!("{}: {reason}", name(number, number)));
            }
        }
    }

    /// Dead letters from `first` to `last` failed.
    fn lose_letters(&mut self, first: u64, last: u64, reason: &str) {
        for number in first..=last {
            self.counts.lost += 1;
            let why = self.letters.as_mut().and_then(|letters| letters.mailbox.forget(number));
            let why = why.unwrap_or_default();
            let name = name(number - LETTER, number - LETTER);
            let message = format!("{name}: {why}; its dead letter: {reason}");
            if self.committed.is_some() {
                self.refusal.get_or_insert(message);
            } else {
                say(message);
            }
        }
    }
}

impl Mailbox {
    /// Takes the letter of line `number`.
    fn put(&mut self, number: u64, letter: &Letter<'_>) -> Result<()> {
        match self {
            Mailbox::File(output) => {
                letter.write(output.buffer());
                output.spill().map_err(left)
            }
            Mailbox::Topic { topic, record_bytes_max, drafts, reasons } => {
                let mut pen = drafts.begin(LETTER + number);
                pen.topic(*topic);
                letter.record(*record_bytes_max, &mut pen);
                pen.done();
                reasons.insert(LETTER + number, letter.reason.to_owned());
                Ok(())
            }
        }
    }

    /// Writes what has not reached the file.
    fn flush(&mut self) -> Result<()> {
        match self {
            Mailbox::File(output) => output.flush().map_err(left),
            Mailbox::Topic { .. } => Ok(()),
        }
    }

    /// Gives back why a letter was written.
    fn forget(&mut self, number: u64) -> Option<String> {
        match self {
            Mailbox::File(_) => None,
            Mailbox::Topic { reasons, .. } => reasons.remove(&number),
        }
    }
}

impl Reports for Ledger {
    fn acknowledged(&mut self, receipt: Receipt<'_>) -> Result<()> {
        let number = receipt.number();
        if (STATE..LETTER).contains(&number) {
            return Ok(());
        }
        if let Some(letters) = &mut self.letters {
            if number >= LETTER {
                letters.mailbox.forget(number);
                return Ok(());
            }
            letters.kept.take(number);
        }
        self.counts.done += 1;
        let Some((tee, output)) = &mut self.tee else { return Ok(()) };
        tee.settle(number, true, output.buffer());
        if self.committed.is_some() {
            return if output.buffer().len() <= HELD_BYTES { Ok(()) } else { Err(overfull()) };
        }
        let spilled = output.spill();
        self.passed(spilled)
    }

    fn failed(&mut self, first: u64, last: u64, reason: &str) {
        if first >= LETTER {
            self.lose_letters(first, last, reason);
            return;
        }
        // What nobody puts aside is never committed past.
        if first >= STATE || self.committed.is_some() && self.letters.is_none() {
            self.refusal.get_or_insert_with(|| format!("{}: {reason}", name(first, last)));
            return;
        }
        self.fail(first, last, reason);
        if let Some((tee, output)) = &mut self.tee {
            for number in first..=last {
                tee.settle(number, false, output.buffer());
            }
        }
    }

    fn lost(&mut self, first: u64, last: u64, reason: &str) {
        if self.committed.is_none() {
            self.failed(first, last, reason);
        } else {
            self.doom.get_or_insert_with(|| format!("{}: {reason}", name(first, last)));
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.leisure() == Some(Duration::ZERO) {
            self.say_stats();
        }
        if let Some(letters) = &mut self.letters {
            letters.mailbox.flush()?;
        }
        match &mut self.tee {
            Some((_, output)) if self.committed.is_none() => {
                let flushed = output.flush();
                self.passed(flushed)
            }
            _ => Ok(()),
        }
    }
}

/// Who reads the dead letters may not leave while there are some, as a reader of stdout may.
fn left(error: Error) -> Error {
    if error == Error::Closed {
        return Error::world("--dead-letter", "its reader has left");
    }
    error
}

fn overfull() -> Error {
    let mib = HELD_BYTES >> 20;
    let reason = format!("an epoch has more than {mib} MiB of lines: shorter epochs have fewer");
    Error::world("--tee", reason)
}

/// The name of lines in messages, of their letters, or of what they say of state.
#[must_use]
pub fn name(first: u64, last: u64) -> String {
    if first >= LETTER {
        return format!("the dead letter of {}", name(first - LETTER, last - LETTER));
    }
    if first >= STATE {
        return format!("state in {}", name(first - STATE, last - STATE));
    }
    if first == last { format!("line {first}") } else { format!("lines {first} to {last}") }
}
