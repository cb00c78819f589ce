//! Lines on their way into a producer, as records.

use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use pipe::exit::{Code, Error, Result};
use pipe::mark::{DeadLetter, Mark};
use pipe::units::Span;
use topic::producer::transaction::Transactions;
use topic::producer::{BATCH, Options, Producer};
use topic::rows::Refusal;

use crate::Args;
use crate::ledger::{Ledger, Plan, name};
use crate::letters::{Place, first_bytes};
use crate::maker::Halt;
use crate::position::Course;
use crate::spool::Spool;
use crate::work::Work;

/// Bytes of lines that --tee may hold back behind one that is not acknowledged.
const TEE_BYTES: usize = 64 << 20;

/// How long to wait for acknowledgements at a time: those that free the --tee may be the last.
const TEE_WAIT: Duration = Duration::from_millis(50);

/// How many times longer than its record an envelope may be, in which a byte is `\u0000`.
pub const ENVELOPE_GROWTH: usize = 6;

/// Bytes that are shown of a line that is too long for any record.
const HEAD_BYTES: usize = 64;

/// A producer, what it is given, and what becomes of that.
pub struct Sink<'a> {
    /// Where records go.
    pub producer: Producer,
    /// Who is told of them.
    pub ledger: Ledger,
    /// How many topics are open.
    opened: usize,
    /// Bytes of a line that may be a record.
    line_bytes_max: usize,
    work: Work<'a>,
    course: Course,
    spool: Spool,
}

impl<'a> Sink<'a> {
    /// Opens the producer, with or without transactions, and its topics.
    ///
    /// # Errors
    /// When the command line is wrong, or there is no such broker or topic.
    pub fn open(args: &'a Args, transactions: Option<Transactions>) -> Result<Sink<'a>> {
        let work = Work::new(args)?;
        let topic = args.topic.as_deref();
        let mut ledger = Ledger::new(Plan {
            tee: args.tee,
            transactions: transactions.is_some(),
            stats: args.stats.map(Span::duration),
        })?;
        let options = Options { topic, create: args.create, transactions, ..Options::default() };
        let mut producer = Producer::open(&args.broker, &options)?;
        let mut opened = usize::from(topic.is_some());
        if let Some(place) = &args.dead_letter {
            ledger.open(place, (opened, producer.record_bytes_max()))?;
            if let Place::Topic(name) = place {
                producer.open_topic(name)?;
                opened += 1;
            }
        }
        let (course, spool) = (Course::default(), Spool::default());
        let growth = if args.fields.envelope { ENVELOPE_GROWTH } else { 1 };
        let line_bytes_max = producer.record_bytes_max().saturating_mul(growth);
        Ok(Sink { producer, ledger, opened, line_bytes_max, work, course, spool })
    }

    /// Opens a topic by `open`, and returns its number, for records.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn open_with(
        &mut self,
        open: impl FnOnce(&mut Producer) -> Result<i32>,
    ) -> Result<(usize, i32)> {
        let partitions = open(&mut self.producer)?;
        self.opened += 1;
        Ok((self.opened - 1, partitions))
    }

    /// Keeps a line until [`Sink::produce`].
    ///
    /// # Errors
    /// As [`Sink::long`].
    pub fn line(&mut self, number: u64, line: &[u8]) -> Result<()> {
        if line.len() > self.line_bytes_max {
            return self.long(number, &line[..line.len().min(HEAD_BYTES)], line.len() as u64);
        }
        self.ledger.taken();
        if self.work.is_nothing() {
            self.ledger.done();
            return Ok(());
        }
        let position = self.course.line();
        self.ledger.keep(number, line, position);
        self.spool.push(number, line);
        Ok(())
    }

    /// A line of so many bytes, of which only the first are there, is no record.
    ///
    /// # Errors
    /// When the file of dead letters cannot be written.
    pub fn long(&mut self, number: u64, head: &[u8], bytes: u64) -> Result<()> {
        self.ledger.taken();
        if self.work.is_nothing() {
            self.ledger.done();
            return Ok(());
        }
        let position = self.course.line();
        if !self.ledger.keeps_letters() {
            self.producer.refuse(number, bytes);
            return Ok(());
        }
        self.ledger.keep(number, head, position);
        let max = self.producer.record_bytes_max();
        let reason = format!("{bytes} bytes are too many for message.max.bytes={max}");
        self.ledger.bury(number, &(reason + &first_bytes(head.len())))
    }

    /// A mark comes.
    pub fn heed(&mut self, mark: &Mark) {
        self.course.heed(mark);
    }

    /// A stage before could not use a row, as line `number` says.
    ///
    /// # Errors
    /// As [`Ledger::stage`].
    pub fn letter(&mut self, number: u64, is_late: bool, letter: &DeadLetter) -> Result<()> {
        self.ledger.stage(number, is_late, letter)
    }

    /// How many lines are kept.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.spool.len()
    }

    /// How many bytes the lines that are kept have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.spool.bytes()
    }

    /// How much memory they take.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.spool.memory()
    }

    /// Lets go of the lines that are kept.
    pub fn forget(&mut self) {
        self.spool.clear();
    }

    /// Waits until `input` can be read, which it returns, or `time` is over, or there is something
    /// to say.
    ///
    /// # Errors
    /// As [`Producer::wait`].
    pub fn wait(&mut self, input: BorrowedFd<'_>, time: Option<Duration>) -> Result<bool> {
        let time = time.into_iter().chain(self.ledger.leisure()).min();
        self.producer.wait(Some(input), time, &mut self.ledger)
    }

    /// Produces the lines that are kept, once --tee has room for them, and the letters of those
    /// that failed.
    ///
    /// # Errors
    /// When a line is no record and may not be put aside, or the producer fails.
    pub fn produce(&mut self) -> Result<()> {
        let produced = self.produce_spool();
        // Whatever became of them, they are not produced again.
        self.spool.clear();
        produced?;
        self.post()
    }

    fn produce_spool(&mut self) -> Result<()> {
        let mut place = 0;
        while place < self.spool.len() {
            while self.ledger.held() > TEE_BYTES {
                self.producer.wait(None, Some(TEE_WAIT), &mut self.ledger)?;
            }
            let end = self.spool.len().min(place + BATCH);
            place = match self.write(place..end)? {
                None => end,
                Some((number, Halt::Topic(topic))) => {
                    self.open_named(topic)?;
                    self.spool.place(number)
                }
                Some((number, Halt::Refused(refusal))) => {
                    self.refuse(number, refusal)?;
                    self.spool.place(number) + 1
                }
            };
        }
        Ok(())
    }

    /// Produces the lines in `places`, up to one that is no record.
    fn write(&mut self, places: Range<usize>) -> Result<Option<(u64, Halt)>> {
        match &mut self.work {
            Work::Nothing => Ok(None),
            Work::Lines(mould) => {
                let moulded = mould.records(self.spool.lines(places.clone()), places.len());
                self.ledger.expect(&moulded.records, self.spool.lines(places));
                self.producer.write(&moulded.records, &mut self.ledger)?;
                Ok(moulded.refused.map(|(number, _, refusal)| {
                    let reason = refusal.to_string();
                    let refusal = if refusal.is_callers() {
                        Refusal::Option("--key-field", reason)
                    } else {
                        Refusal::Row(reason)
                    };
                    (number, Halt::Refused(refusal))
                }))
            }
            Work::Records(maker) => {
                let halt = maker.fill(self.spool.lines(places.clone())).err();
                let headers = maker.drafts().headers();
                let records = maker.drafts().records(&headers);
                self.ledger.expect(&records, self.spool.lines(places));
                self.producer.write(&records, &mut self.ledger)?;
                Ok(halt)
            }
        }
    }

    /// Opens a topic that a line names.
    fn open_named(&mut self, topic: String) -> Result<()> {
        let Work::Records(maker) = &mut self.work else { return Ok(()) };
        // What is heard of records while a topic is opened is told to nobody.
        self.producer.settle(&mut self.ledger)?;
        let found = match self.producer.open_topic(&topic) {
            Ok(_) => Ok(self.opened),
            // The message is about the topic: another one may do.
            Err(Error::Failed(code, reason))
                if code != Code::UNFINISHED && reason.starts_with(&format!("{topic}: ")) =>
            {
                Err(reason)
            }
            Err(error) => return Err(error),
        };
        self.opened += usize::from(found.is_ok());
        maker.learn(topic, found);
        Ok(())
    }

    /// A line that is no record ends the run, unless it can be put aside.
    fn refuse(&mut self, number: u64, refusal: Refusal) -> Result<()> {
        match refusal {
            Refusal::Option(option, reason) => Err(Error::caller(option, reason)),
            Refusal::Row(reason) if self.ledger.keeps_letters() => {
                self.ledger.bury(number, &reason)
            }
            Refusal::Row(reason) => Err(Error::world(name(number, number), reason)),
        }
    }

    /// Produces the letters that are to be records.
    fn post(&mut self) -> Result<()> {
        while let Some(letters) = self.ledger.mail() {
            let headers = letters.headers();
            self.producer.write(&letters.records(&headers), &mut self.ledger)?;
        }
        Ok(())
    }

    /// Waits until every record is acknowledged or has failed, and its letter is there.
    ///
    /// # Errors
    /// As [`Producer::finish`].
    pub fn finish(&mut self) -> Result<()> {
        if !self.ledger.has_mail() {
            return self.producer.finish(&mut self.ledger);
        }
        let settled = self.producer.settle(&mut self.ledger);
        let posted = self.post();
        settled.and(posted).and(self.producer.finish(&mut self.ledger))
    }
}
