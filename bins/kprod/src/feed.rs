//! The loop: lines on their way into the producer.

use std::iter;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use pipe::exit::{Error, Result, say};
use pipe::lines::{Fill, Line, Lines};
use pipe::mark::is_opening;
use pipe::stdio::{Input, Output};
use pipe::stop::Stop;
use topic::mould::Mould;
use topic::producer::{BATCH, Producer};

use crate::ledger::Ledger;
use crate::maker::{Maker, Refusal, Refused};
use crate::pace::{Pace, Room};
use crate::place;
use crate::source::Source;
use crate::splitter::Splitter;

/// How long to wait before a server is tried again, at first and at most.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// How lines become records.
#[derive(Debug)]
pub enum Work<'a> {
    /// The fast way: each is a value, perhaps with a key.
    Lines(Mould<'a>),
    /// The way of all others.
    Records(Box<Maker>),
}

/// How lines are read.
#[derive(Debug)]
pub struct Manner {
    /// What ends a line.
    pub delimiter: Vec<u8>,
    /// Whether empty keys and values are null.
    pub nulls: bool,
    /// Whether each record is waited for.
    pub sync: bool,
    /// Where a person is asked for the next line.
    pub prompt: Option<Output>,
}

/// Lines on their way.
#[derive(Debug)]
pub struct Feed<'a> {
    manner: Manner,
    work: Work<'a>,
    pace: Pace,
    producer: Producer,
    ledger: Ledger,
    stop: Stop,
    start: Instant,
    /// Whether lines have to be looked at before they are taken.
    looks: bool,
    /// The number of the last line that was looked at.
    looked: u64,
    /// Lines of this input before a server was connected to again.
    base: u64,
    /// Bytes of the inputs before this one.
    passed: u64,
    /// Topics of envelopes that are open.
    topics: usize,
    /// Lines that are no records, among the dead letters.
    refused: u64,
    /// Whether a failure has ended the run.
    ended: bool,
}

impl<'a> Feed<'a> {
    /// A feed of nothing so far.
    #[must_use]
    pub fn new(
        manner: Manner,
        work: Work<'a>,
        pace: Pace,
        (producer, ledger, stop): (Producer, Ledger, Stop),
    ) -> Feed<'a> {
        let looks = ledger.wants_lines() || pace.bytes_room(Duration::ZERO).is_some();
        Feed {
            manner,
            work,
            pace,
            producer,
            ledger,
            stop,
            start: Instant::now(),
            looks,
            looked: 0,
            base: 0,
            passed: 0,
            topics: 0,
            refused: 0,
            ended: false,
        }
    }

    /// Waits until every record is acknowledged or has failed.
    ///
    /// # Errors
    /// When it is not known what became of a record, or it cannot be told.
    pub fn finish(&mut self) -> Result<()> {
        self.producer.finish(&mut self.ledger)
    }

    /// Records that were acknowledged, and those that failed or never were any.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.producer.acknowledged(), self.producer.failed() + self.refused)
    }

    /// What is told.
    pub fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Produces what is in `sources`, one after the other.
    ///
    /// # Errors
    /// When one cannot be read, a line is no record, or the producer can no longer produce.
    pub fn run(&mut self, sources: &[Source<'_>]) -> Result<()> {
        for (index, source) in sources.iter().enumerate() {
            match &mut self.work {
                Work::Lines(mould) => mould.restart(),
                Work::Records(maker) => maker.restart(),
            }
            self.base = 0;
            match source {
                Source::File(_) => {
                    self.input(index, source.open()?)?;
                }
                Source::Server(_) => self.server(index, source)?,
            }
        }
        Ok(())
    }

    /// Reads a server until a signal or a limit ends the run.
    fn server(&mut self, index: usize, source: &Source<'_>) -> Result<()> {
        let alarm = self.stop.as_fd().try_clone_to_owned();
        let failed = |error| Error::world("signals", pipe::stdio::reason(&error));
        self.producer.wake_for(alarm.map_err(failed)?);
        let (mut backoff, mut said) = (BACKOFF[0], None);
        while !self.is_over() && !self.stop.requested() {
            let ended = match source.open() {
                Err(Error::Failed(_, message)) => message,
                Err(Error::Closed) => return Err(Error::Closed),
                Ok(input) => {
                    (backoff, said) = (BACKOFF[0], None);
                    let name = input.name().to_owned();
                    self.input(index, input)?;
                    format!("{name}: the connection has ended")
                }
            };
            if self.is_over() || self.stop.requested() {
                break;
            }
            if said.as_ref() != Some(&ended) {
                say(format!("{ended}; it is tried again"));
                said = Some(ended);
            }
            self.pause(backoff)?;
            backoff = (backoff * 2).min(BACKOFF[1]);
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.ended || self.pace.room(self.start.elapsed()) == Room::Never
    }

    /// Lets time pass, in which records are acknowledged.
    fn pause(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.stop.requested() {
            let left = end.saturating_duration_since(Instant::now());
            self.producer.wait(None, Some(left), &mut self.ledger)?;
        }
        Ok(())
    }

    /// Produces an input to its end.
    fn input(&mut self, index: usize, input: Input) -> Result<()> {
        let endless = input.name().starts_with("tcp://");
        let bytes_max = self.producer.record_bytes_max();
        let mut splitter = match self.manner.delimiter.as_slice() {
            [_] => None,
            several => Some(Splitter::new(several, bytes_max)),
        };
        let last_byte = self.manner.delimiter.last().copied().unwrap_or(b'\n');
        let mut lines = Lines::new(input, last_byte, bytes_max);
        while !(endless && self.stop.requested() || self.ended) {
            match self.pace.room(self.start.elapsed()) {
                Room::Never => break,
                Room::After(time) => {
                    let time = self.ledger.tick().map_or(time, |tick| tick.min(time));
                    self.producer.wait(None, Some(time), &mut self.ledger)?;
                }
                Room::For(room) if self.batch(index, &mut lines, splitter.as_mut(), room)? => {
                    self.ledger.reached(self.passed + lines.bytes_read());
                    self.ledger.tick();
                }
                Room::For(_) => {
                    self.ask()?;
                    let tick = self.ledger.tick();
                    let ready = self.producer.wait(Some(lines.as_fd()), tick, &mut self.ledger)?;
                    if !ready {
                        continue;
                    }
                    match lines.fill(None) {
                        Ok(Fill::End) => break,
                        Ok(_) => {}
                        // A server that breaks off is one that has ended.
                        Err(_) if endless => break,
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        self.base += lines.number();
        self.passed += lines.bytes_read();
        match splitter.and_then(|mut splitter| splitter.rest(b"")) {
            Some(rest) => self.one(place::number(index, self.base + 1), &rest, b""),
            None => Ok(()),
        }
    }

    /// Asks a person for the next line.
    fn ask(&mut self) -> Result<()> {
        let Some(prompt) = &mut self.manner.prompt else { return Ok(()) };
        prompt.buffer().push(b'>');
        prompt.flush()
    }

    /// Produces lines that are there, `room` at most; false when there is none.
    fn batch(
        &mut self,
        index: usize,
        lines: &mut Lines,
        splitter: Option<&mut Splitter>,
        room: u64,
    ) -> Result<bool> {
        let (before, first) = (lines.number(), self.base + lines.number() + 1);
        if first == 1 && lines.ahead().next().is_some_and(is_opening) {
            return Err(self.marked(index));
        }
        if let Some(splitter) = splitter {
            return self.pieces(index, lines, splitter);
        }
        let most = if self.manner.sync { 1 } else { BATCH };
        let mut room = usize::try_from(room).unwrap_or(most).min(most);
        let number = place::number(index, first);
        if self.looks {
            room = self.look(lines, number, room)?;
        }
        let whole = lines.whole_lines().take(room).zip(number..).map(|(line, at)| (at, line));
        self.produce(whole, room)?;
        if lines.number() > before { Ok(true) } else { self.odd_line(index, lines) }
    }

    /// Looks at lines that are to be taken; says how many there are for.
    fn look(&mut self, lines: &Lines, first: u64, room: usize) -> Result<usize> {
        let budget = self.pace.bytes_room(self.start.elapsed()).unwrap_or(u64::MAX);
        let (mut seen, mut bytes) = (0, 0);
        for (line, number) in lines.ahead().take(room).zip(first..) {
            if bytes >= budget || line.len() > self.producer.record_bytes_max() {
                break;
            }
            if number > self.looked {
                self.ledger.line(number, line, &self.manner.delimiter)?;
                self.looked = number;
                bytes += line.len() as u64;
            }
            seen += 1;
        }
        self.pace.bytes_sent(bytes);
        Ok(seen)
    }

    /// Makes and writes records of lines, up to one that is none, `count` at most.
    fn produce<'l>(
        &mut self,
        lines: impl Iterator<Item = (u64, &'l [u8])>,
        count: usize,
    ) -> Result<()> {
        let failed = self.producer.failed();
        let (written, refused) = match &mut self.work {
            Work::Lines(mould) => {
                let mut moulded = mould.records(lines, count);
                if self.manner.nulls {
                    for record in &mut moulded.records {
                        record.key = record.key.filter(|key| !key.is_empty());
                        record.value = record.value.filter(|value| !value.is_empty());
                    }
                }
                self.producer.write(&moulded.records, &mut self.ledger)?;
                let refused = moulded.refused.map(|(number, line, refusal)| Refused {
                    number,
                    line: line.to_vec(),
                    refusal: Refusal::Key(refusal),
                });
                (moulded.records.len() as u64, refused)
            }
            Work::Records(maker) => {
                let refused = maker.fill(lines).err();
                for topic in &maker.topics()[self.topics..] {
                    // Opening a topic hears of no record that is on its way.
                    self.producer.settle(&mut self.ledger)?;
                    self.producer.open_topic(topic)?;
                    self.topics += 1;
                }
                let headers = maker.drafts().headers();
                let records = maker.drafts().records(&headers);
                self.producer.write(&records, &mut self.ledger)?;
                (records.len() as u64, refused)
            }
        };
        self.pace.sent(written);
        self.ledger.taken(written);
        if self.manner.sync {
            self.producer.settle(&mut self.ledger)?;
            self.ended |= self.producer.failed() > failed && !self.ledger.keeps_letters();
        }
        match refused {
            Some(refused) => self.refuse(&refused),
            None => Ok(()),
        }
    }

    /// A line that is no record ends the run, unless it can be put aside.
    fn refuse(&mut self, refused: &Refused) -> Result<()> {
        let Refused { number, refusal, .. } = refused;
        if self.ledger.keeps_letters() && !refusal.is_callers() {
            self.refused += 1;
            return self.ledger.dead(*number, &refusal.to_string());
        }
        Err(refusal.at(&self.ledger.name(*number, *number)))
    }

    /// Produces what is next and is not a whole line; false when there is nothing.
    fn odd_line(&mut self, index: usize, lines: &mut Lines) -> Result<bool> {
        let line_number = self.base + lines.number() + 1;
        let number = place::number(index, line_number);
        match lines.next_line() {
            None => Ok(false),
            Some(Line::Whole(line) | Line::Torn(line)) => {
                if line_number == 1 && is_opening(line) {
                    return Err(self.marked(index));
                }
                self.one(number, line, b"")?;
                Ok(true)
            }
            Some(Line::Long(head, bytes)) => {
                if self.ledger.keeps_letters() {
                    self.ledger.line(number, head, b"")?;
                    let max = self.producer.record_bytes_max();
                    let reason = format!("{bytes} bytes are too many for message.max.bytes={max}");
                    let kept = head.len();
                    self.refused += 1;
                    self.ledger.dead(number, &format!("{reason}; here are the first {kept}"))?;
                } else {
                    self.producer.refuse(number, bytes);
                }
                self.pace.sent(1);
                Ok(true)
            }
        }
    }

    /// Produces one line by itself.
    fn one(&mut self, number: u64, line: &[u8], end: &[u8]) -> Result<()> {
        if self.looks && number > self.looked {
            self.ledger.line(number, line, end)?;
            self.looked = number;
            self.pace.bytes_sent(line.len() as u64);
        }
        self.produce(iter::once((number, line)), 1)
    }

    /// Produces the records that end in what is there, when they end in several bytes; false when
    /// there is nothing.
    fn pieces(&mut self, index: usize, lines: &mut Lines, splitter: &mut Splitter) -> Result<bool> {
        let number = place::number(index, self.base + lines.number() + 1);
        let (piece, end) = match lines.next_line() {
            None => return Ok(false),
            Some(Line::Whole(line) | Line::Long(line, _)) => {
                (splitter.push(line), self.manner.delimiter.clone())
            }
            Some(Line::Torn(line)) => (splitter.rest(line), Vec::new()),
        };
        if let Some(piece) = piece {
            self.one(number, &piece, &end)?;
        }
        Ok(true)
    }

    fn marked(&self, index: usize) -> Error {
        Error::caller(self.ledger.input_name(index), "is a marked stream: use ksink")
    }
}
