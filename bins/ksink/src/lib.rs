//! A pipeline's results to a Kafka topic.

pub mod ledger;
pub mod letters;
pub mod maker;
pub mod position;
pub mod spool;
pub mod tee;

use std::os::fd::AsFd;
use std::time::Duration;

use clap::Parser;
use pipe::exit::{Code, Error, Result, say};
use pipe::lines::{Fill, Lines};
use pipe::mark::{Event, Mark, Stream};
use pipe::stdio::Input;
use pipe::stop::Stop;
use topic::flags::{Broker, topic_name};
use topic::mould::{KeyOptions, Mould};
use topic::producer::{BATCH, Options, Producer, Shape};
use topic::rows::{Columns, Refusal, Rows};

use crate::ledger::{Ledger, name};
use crate::letters::{Place, first_bytes};
use crate::maker::{Form, Halt, Maker};
use crate::position::Course;
use crate::spool::Spool;

/// Bytes of lines that are produced together at most.
const SPOOL_BYTES: usize = 256 << 10;

/// Bytes of lines that --tee may hold back behind one that is not acknowledged.
const TEE_BYTES: usize = 64 << 20;

/// How long to wait for acknowledgements at a time: those that free the --tee may be the last.
const TEE_WAIT: Duration = Duration::from_millis(50);

/// How long the letter of a record may be held back that fails while nothing else comes.
const LETTER_WAIT: Duration = Duration::from_secs(1);

/// How many times longer than its record an envelope may be, in which a byte is `\u0000`.
const ENVELOPE_GROWTH: usize = 6;

const AFTER_HELP: &str = "\
Reads lines, or a marked stream as `kcons --marks` begins one: marks are taken out. Records are
acknowledged by all replicas and written once, in order per partition. When the pipe is cut short
and started again, lines may come twice: at least once is what is promised.

Fields that become key, headers, time or topic stay in the row: the value is the whole line. A NULL
is no key, a header without a value, and no topic, which is that of -t then.

A dead letter in FILE is a line of JSON: line, reason, row_b64, and, where the marks say it, the
topic, partition and offset that the row came from. FILE is added to. In a topic the row is the
value, and the rest are headers. Rows that a stage before found bad or late, and put into the marks
of epochs, go there too, with kind and stage; they are no failure. A topic that could not be opened
is not asked for again: its rows are dead letters as long as the program runs.

A signal does not cut a pipe short: ksink reads on to the end of its input. A second one ends it.

EXAMPLES
  kcons -t visits --marks | swin --by page --tumble 1m | ksink -t per-minute
  swin … | ksink -t totals --tee | head         shows what is in the topic
  swin --by page … | ksink -t per-page --key-field page
                                                the key is the field page of each row
  ksink --topic-field level --create 3:1 < rows a topic for each level, made when it is missing
  kcons -t in --marks | ksink -t out --timestamp-field at --dead-letter topic:out-dead
                                                rows without a time go to another topic
  kcons -t in -e -J | ksink -J -t copy          copies a topic, with headers and times

EXIT STATUS
   0  every line is acknowledged
   1  a record failed (it is named, or a dead letter), or the world did: no broker, no topic
   2  the command line is wrong, or the stream has epochs
  75  the stream was cut short: what came is in the topic; run the pipe again";

/// A pipeline's results to a Kafka topic.
///
/// Reads lines from stdin, a line a record, and ends when every record is acknowledged.
#[derive(Parser, Debug)]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    /// Topic to write to
    #[arg(short = 't', long, value_name = "TOPIC", value_parser = topic_name,
        required_unless_present_any = ["envelope", "topic_field"])]
    topic: Option<String>,
    #[command(flatten)]
    broker: Broker,
    /// Creates a topic with P partitions of R replicas each when it is missing
    #[arg(long, value_name = "P:R")]
    create: Option<Shape>,
    /// Writes the lines to stdout too, in their order, once they are acknowledged
    #[arg(long)]
    tee: bool,
    /// Puts aside what cannot be a record or be produced, as lines of JSON or as records of a
    /// topic; the rest goes on
    #[arg(long, value_name = "FILE|topic:NAME")]
    dead_letter: Option<Place>,
    /// Takes a stream with epochs without transactions: at least once
    #[arg(long)]
    no_transaction: bool,
    /// Does not say at the start that it is at least once
    #[arg(short = 'q', long)]
    quiet: bool,
    #[command(flatten)]
    fields: FieldOptions,
    #[command(flatten)]
    keys: KeyOptions,
}

/// What lines are, and what their fields say of a record.
#[derive(clap::Args, Clone, Debug)]
struct FieldOptions {
    /// Lines that start with RS are data, not marks
    #[arg(long)]
    plain: bool,
    /// Lines are envelopes as kcons -J writes them: topic (unless -t names one), timestamp, key,
    /// value and headers are theirs
    #[arg(short = 'J', long = "envelope", conflicts_with_all = ["key_separator", "key_field",
        "header_field", "timestamp_field", "topic_field"])]
    envelope: bool,
    /// The field of the row that names the record's topic; where it is NULL or empty, the topic is
    /// that of -t
    #[arg(long, value_name = "F", conflicts_with = "key_separator")]
    topic_field: Option<String>,
    /// Fields of the row that become headers of their names
    #[arg(long, value_name = "F,…", value_delimiter = ',', conflicts_with = "key_separator")]
    header_field: Vec<String>,
    /// The field of the row that is the record's time: milliseconds since the epoch, or as RFC 3339
    #[arg(long, value_name = "F", conflicts_with = "key_separator")]
    timestamp_field: Option<String>,
}

impl FieldOptions {
    /// Whether rows are read for more than a key.
    fn any(&self) -> bool {
        !self.header_field.is_empty()
            || self.timestamp_field.is_some()
            || self.topic_field.is_some()
    }
}

/// Produces what comes until the end of the input.
///
/// # Errors
/// When the command line, the stream or the world is wrong, or a record failed.
pub fn run(args: &Args) -> Result<Code> {
    let work = work(args)?;
    let topic = args.topic.as_deref();
    let thing = topic.unwrap_or("<stdin>");
    if let Some(Place::Topic(letters)) = &args.dead_letter
        && topic == Some(letters)
    {
        return Err(Error::caller("--dead-letter", "is the topic of the rows: name another one"));
    }
    let options = Options { topic, create: args.create, ..Options::default() };
    let mut ledger = Ledger::new(args.tee)?;
    let mut producer = Producer::open(&args.broker, &options)?;
    let mut opened = usize::from(topic.is_some());
    if let Some(place) = &args.dead_letter {
        ledger.open(place, (opened, producer.record_bytes_max()))?;
        if let Place::Topic(name) = place {
            producer.open_topic(name)?;
            opened += 1;
        }
    }
    if !args.quiet && !args.no_transaction {
        let promise = "at least once: lines may come twice when the pipe is run again";
        say(format!("{thing}: {promise}"));
    }
    // Heard and left alone: what is on its way through the pipe is still to come.
    let _first_signal = Stop::listen()?;
    let (course, spool) = (Course::default(), Spool::default());
    let mut sink = Sink { args, producer, opened, ledger, work, course, spool };
    let drained = sink.drain();
    let finished = sink.finish();
    let told = sink.ledger.close(thing);
    drained.and(finished).and(told).map(|()| Code::DONE)
}

/// How lines become records.
enum Work<'a> {
    /// The fast way: each is a value, perhaps with a key.
    Lines(Mould<'a>),
    /// The way of all others.
    Records(Box<Maker>),
}

fn work(args: &Args) -> Result<Work<'_>> {
    let (fields, topic) = (&args.fields, args.topic.as_ref().map(|_| 0));
    let reads_rows = fields.any() || !args.keys.fields().is_empty();
    if let Some(option) = args.keys.rows().given().filter(|_| !reads_rows) {
        return Err(Error::caller(option, "is for fields of rows"));
    }
    let form = if fields.envelope {
        Form::Envelopes { keep_topic: topic.is_none() }
    } else if fields.any() {
        let columns = Columns {
            key: args.keys.fields().to_vec(),
            headers: fields.header_field.clone(),
            timestamp: fields.timestamp_field.clone(),
            topic: fields.topic_field.clone(),
        };
        Form::Rows(Box::new(Rows::new(args.keys.rows().clone(), columns)))
    } else {
        let keys = args.keys.keys(None)?;
        return Ok(Work::Lines(Mould { keys, partition: None, headers: Vec::new() }));
    };
    Ok(Work::Records(Box::new(Maker::new(form, topic))))
}

/// A stream on its way into the producer.
struct Sink<'a> {
    args: &'a Args,
    producer: Producer,
    /// How many topics are open.
    opened: usize,
    ledger: Ledger,
    work: Work<'a>,
    course: Course,
    spool: Spool,
}

impl Sink<'_> {
    fn drain(&mut self) -> Result<()> {
        let growth = if self.args.fields.envelope { ENVELOPE_GROWTH } else { 1 };
        let line_bytes_max = self.producer.record_bytes_max().saturating_mul(growth);
        let lines = Lines::new(Input::stdin()?, b'\n', line_bytes_max);
        let mut stream = Stream::new(lines, self.args.fields.plain);
        let time = self.ledger.has_mail().then_some(LETTER_WAIT);
        loop {
            let taken = self.take(&mut stream);
            self.produce()?;
            taken?;
            let ready = self.producer.wait(Some(stream.as_fd()), time, &mut self.ledger)?;
            if ready && stream.fill(None)? == Fill::End {
                break;
            }
        }
        if stream.is_cut_short() {
            let reason = "cut short: its end mark is missing; all that came is in the topic";
            return Err(Error::unfinished("<stdin>", reason));
        }
        Ok(())
    }

    /// Takes what is in the buffer.
    fn take(&mut self, stream: &mut Stream) -> Result<()> {
        loop {
            let number = stream.number() + 1;
            match stream.next_event()? {
                None => return Ok(()),
                Some(Event::Data(line)) => {
                    let position = self.course.line();
                    self.ledger.keep(number, line, position);
                    self.spool.push(number, line);
                }
                Some(Event::Long(head, bytes)) => self.long(number, head, bytes)?,
                Some(Event::Mark(mark, _)) => self.mark(number, mark)?,
            }
            if self.spool.len() == BATCH || self.spool.bytes() >= SPOOL_BYTES {
                self.produce()?;
            }
        }
    }

    /// A line of so many bytes, of which only the first are there, is no record.
    fn long(&mut self, number: u64, head: &[u8], bytes: u64) -> Result<()> {
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

    fn mark(&mut self, number: u64, mark: Mark) -> Result<()> {
        self.course.heed(&mark);
        match mark {
            Mark::Open { epochs: true, .. } if !self.args.no_transaction => {
                let reason = "has epochs, which need transactions; --no-transaction takes it \
                              without, at least once";
                Err(Error::caller("<stdin>", reason))
            }
            Mark::Bad(letter) => self.ledger.stage(number, false, &letter),
            Mark::Late(letter) => self.ledger.stage(number, true, &letter),
            Mark::Abort { tool, code, message } => {
                Err(Error::Failed(Code(code), format!("{tool} failed: {message}")))
            }
            _ => Ok(()),
        }
    }

    /// Produces the spooled lines, once --tee has room for them, and the letters of those that
    /// failed.
    fn produce(&mut self) -> Result<()> {
        while self.ledger.held() > TEE_BYTES {
            self.producer.wait(None, Some(TEE_WAIT), &mut self.ledger)?;
        }
        let produced = self.produce_spool();
        // Whatever became of them, they are not produced again.
        self.spool.clear();
        produced?;
        self.post()
    }

    fn produce_spool(&mut self) -> Result<()> {
        let mut first = 0;
        while let Some((number, halt)) = self.write(first)? {
            first = match halt {
                Halt::Topic(topic) => {
                    self.open(topic)?;
                    number
                }
                Halt::Refused(refusal) => {
                    self.refuse(number, refusal)?;
                    number + 1
                }
            };
        }
        Ok(())
    }

    /// Produces the spooled lines from number `first` on, up to one that is no record.
    fn write(&mut self, first: u64) -> Result<Option<(u64, Halt)>> {
        match &mut self.work {
            Work::Lines(mould) => {
                let moulded = mould.records(self.spool.lines_from(first), self.spool.len());
                self.ledger.expect(&moulded.records, self.spool.lines_from(first));
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
                let halt = maker.fill(self.spool.lines_from(first)).err();
                let headers = maker.drafts().headers();
                let records = maker.drafts().records(&headers);
                self.ledger.expect(&records, self.spool.lines_from(first));
                self.producer.write(&records, &mut self.ledger)?;
                Ok(halt)
            }
        }
    }

    /// Opens a topic that a line names.
    fn open(&mut self, topic: String) -> Result<()> {
        let Work::Records(maker) = &mut self.work else { return Ok(()) };
        // What is heard of records while a topic is opened is told to nobody.
        self.producer.settle(&mut self.ledger)?;
        let found = match self.producer.open_topic(&topic) {
            Ok(_) => Ok(self.opened),
            // The message is about the topic: another one may do.
            Err(Error::Failed(_, reason)) if reason.starts_with(&format!("{topic}: ")) => {
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
    fn finish(&mut self) -> Result<()> {
        if !self.ledger.has_mail() {
            return self.producer.finish(&mut self.ledger);
        }
        let settled = self.producer.settle(&mut self.ledger);
        let posted = self.post();
        settled.and(posted).and(self.producer.finish(&mut self.ledger))
    }
}
