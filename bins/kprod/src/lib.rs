//! Lines to a Kafka topic, each acknowledged.

pub mod header;
pub mod pace;
pub mod place;
pub mod receipt;

use std::iter;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use pipe::exit::{Code, Error, Result, say, say_bare};
use pipe::lines::{Fill, Line, Lines};
use pipe::mark::is_opening;
use pipe::rate::Rate;
use pipe::stdio::{Input, Output};
use pipe::stop::Stop;
use pipe::units::{self, Span};
use topic::flags::{Broker, topic_name};
use topic::mould::{KeyOptions, Mould};
use topic::producer::{self, BATCH, Options, Producer, Reports, Shape};

use crate::header::Header;
use crate::pace::{Pace, Room};
use crate::receipt::Receipt;

const AFTER_HELP: &str = "\
Every line is a record, empty ones too. Records are acknowledged by all replicas and written once,
in order per partition; a failed one is tried again until --delivery-timeout and then named. The
partition hangs on the key as in Java's producer (murmur2), or is a random one without key.

A signal does not cut a pipe short: kprod reads on to the end of its input. A second one ends it.

EXAMPLES
  kgen pages -n 1000 | kprod -t visits          a thousand records
  kprod -t visits -K '\\t' keyed.tsv             the key stands before the first tab
  kprod -t visits -F '|' --key-field '$1' visits.txt
                                                the key is the first field of each line
  kprod -t visits -p 0 --receipts < visits.txt  says where each record lies
  kprod -t visits --create 3:1 < visits.txt     makes the topic: 3 partitions, 1 replica each
  kprod -t visits -X acks=1 -X linger.ms=50     any property of librdkafka

EXIT STATUS
  0  every line is acknowledged
  1  a record failed (it is named), or the world did: no broker, no topic, an unreadable file
  2  the command line is wrong, or the input is a marked stream";

/// Lines to a Kafka topic, each acknowledged.
///
/// Reads stdin or FILEs, a line a record, and ends when every record is acknowledged.
#[derive(Parser, Debug)]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    /// Topic to write to
    #[arg(short = 't', long, value_name = "TOPIC", value_parser = topic_name)]
    topic: String,
    #[command(flatten)]
    broker: Broker,
    /// Partition of all records; without it the key decides
    #[arg(short = 'p', long, value_name = "N")]
    partition: Option<i32>,
    /// Key of all records
    #[arg(short = 'k', long, value_name = "KEY",
        conflicts_with_all = ["key_separator", "key_field"])]
    key: Option<String>,
    /// Header of all records, NAME alone with a null value; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    headers: Vec<Header>,
    /// Compression of batches
    #[arg(short = 'z', long, value_name = "CODEC",
        value_parser = PossibleValuesParser::new(["none", "gzip", "snappy", "lz4", "zstd"]))]
    compression: Option<String>,
    /// Creates the topic with P partitions of R replicas each when it is missing
    #[arg(long, value_name = "P:R")]
    create: Option<Shape>,
    /// Records, then end; without it all lines
    #[arg(short = 'n', short_alias = 'c', long, value_name = "N")]
    count: Option<u64>,
    /// Records a second; a stalled pipe is caught up
    #[arg(long, value_name = "R")]
    rate: Option<Rate>,
    /// What ends a line: one byte, or \n, \t, \0, \x1f
    #[arg(short = 'D', long, value_name = "BYTE", default_value = "\\n",
        value_parser = units::byte)]
    delimiter: u8,
    /// Lines end in NUL
    #[arg(short = '0', conflicts_with = "delimiter")]
    zero: bool,
    /// How long a record is tried
    #[arg(long, value_name = "D", default_value = "120s")]
    delivery_timeout: Span,
    /// Writes a line to stdout for each acknowledged record, in the order of acknowledgement
    #[arg(long)]
    receipts: bool,
    /// Form of the receipts
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORM",
        default_value = "text",
        requires = "receipts"
    )]
    receipt_form: Form,
    /// Does not say at the end how many records were produced
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Files to read one after the other instead of stdin; - is stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeyOptions,
}

/// The form of receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// topic-partition:offset
    Text,
    /// An object with all that is known of the record
    Json,
}

/// Produces what comes until the end of the input.
///
/// # Errors
/// When the command line or the world is wrong, or a record failed.
pub fn run(args: &Args) -> Result<Code> {
    let options = Options {
        topic: &args.topic,
        partition: args.partition,
        delivery_timeout: args.delivery_timeout,
        compression: args.compression.as_deref(),
        create: args.create,
    };
    let pace = Pace::new(args.count, args.rate);
    let mould = mould(args)?;
    let ledger = Ledger::new(args)?;
    let producer = Producer::open(&args.broker, &options)?;
    // Heard and left alone: what is on its way through the pipe is still to come.
    let _first_signal = Stop::listen()?;
    let mut feed = Feed { args, producer, ledger, mould, pace, start: Instant::now() };
    let read = feed.inputs();
    let finished = feed.producer.finish(&mut feed.ledger);
    if !args.quiet {
        say_bare(format!("Produced {} records", feed.producer.acknowledged()));
    }
    read.and(finished)?;
    match feed.producer.failed() {
        0 => Ok(Code::DONE),
        failed => Err(Error::world(&args.topic, format!("{failed} records were not produced"))),
    }
}

fn mould(args: &Args) -> Result<Mould<'_>> {
    let headers = args.headers.iter();
    let headers =
        headers.map(|one| producer::Header { name: &one.name, value: bytes(one.value.as_ref()) });
    Ok(Mould {
        keys: args.keys.keys(bytes(args.key.as_ref()))?,
        partition: args.partition,
        headers: headers.collect(),
    })
}

fn bytes(text: Option<&String>) -> Option<&[u8]> {
    text.map(String::as_bytes)
}

/// Lines on their way into the producer.
struct Feed<'a> {
    args: &'a Args,
    producer: Producer,
    ledger: Ledger<'a>,
    mould: Mould<'a>,
    pace: Pace,
    start: Instant,
}

impl Feed<'_> {
    fn inputs(&mut self) -> Result<()> {
        if self.args.files.is_empty() {
            return self.input(0, Input::stdin()?);
        }
        for (index, file) in self.args.files.iter().enumerate() {
            self.mould.restart();
            self.input(index, Input::open(file)?)?;
        }
        Ok(())
    }

    fn input(&mut self, index: usize, input: Input) -> Result<()> {
        let delimiter = if self.args.zero { 0 } else { self.args.delimiter };
        let mut lines = Lines::new(input, delimiter, self.producer.record_bytes_max());
        loop {
            match self.pace.room(self.start.elapsed()) {
                Room::Never => return Ok(()),
                Room::After(time) => {
                    self.producer.wait(None, Some(time), &mut self.ledger)?;
                }
                Room::For(room) if self.batch(index, &mut lines, room)? => {}
                Room::For(_) => {
                    let ready = self.producer.wait(Some(lines.as_fd()), None, &mut self.ledger)?;
                    if ready && lines.fill(None)? == Fill::End {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Produces lines that are there, `room` at most; false when there is none.
    fn batch(&mut self, index: usize, lines: &mut Lines, room: u64) -> Result<bool> {
        let room = usize::try_from(room).unwrap_or(BATCH).min(BATCH);
        let (before, number) = (lines.number(), place::number(index, lines.number() + 1));
        let mut marked = false;
        let whole = lines.whole_lines().take(room).zip(0..).map(|(line, at)| {
            marked |= before + at == 0 && is_opening(line);
            (number + at, line)
        });
        let moulded = self.mould.records(whole, room);
        if marked {
            return Err(self.ledger.marked(index));
        }
        self.producer.write(&moulded.records, &mut self.ledger)?;
        self.pace.sent(moulded.records.len() as u64);
        if let Some((number, refusal)) = moulded.refused {
            return Err(refusal.at(&self.ledger.name(number, number)));
        }
        if lines.number() > before { Ok(true) } else { self.odd_line(index, lines) }
    }

    /// Produces what is next and is not a whole line; false when there is nothing.
    fn odd_line(&mut self, index: usize, lines: &mut Lines) -> Result<bool> {
        let (first, number) = (lines.number() == 0, place::number(index, lines.number() + 1));
        let line = match lines.next_line() {
            None => return Ok(false),
            Some(Line::Whole(line) | Line::Torn(line)) => line,
            Some(Line::Long(_, bytes)) => {
                self.producer.refuse(number, bytes);
                self.pace.sent(1);
                return Ok(true);
            }
        };
        if first && is_opening(line) {
            return Err(self.ledger.marked(index));
        }
        let moulded = self.mould.records(iter::once((number, line)), 1);
        self.producer.write(&moulded.records, &mut self.ledger)?;
        self.pace.sent(moulded.records.len() as u64);
        match moulded.refused {
            Some((_, refusal)) => Err(refusal.at(&self.ledger.name(number, number))),
            None => Ok(true),
        }
    }
}

/// What is told of the records: failures on stderr, receipts on stdout.
struct Ledger<'a> {
    topic: &'a str,
    /// The names of the inputs, unless stdin is the only one.
    files: Vec<String>,
    form: Form,
    /// `None` without receipts, and when nobody reads them any more: producing goes on.
    receipts: Option<Output>,
}

impl<'a> Ledger<'a> {
    fn new(args: &'a Args) -> Result<Ledger<'a>> {
        let name = |file: &PathBuf| match file.as_path() {
            file if file == Path::new("-") => "<stdin>".to_owned(),
            file => file.display().to_string(),
        };
        let receipts = args.receipts.then(Output::stdout).transpose()?;
        let files = args.files.iter().map(name).collect();
        Ok(Ledger { topic: &args.topic, files, form: args.receipt_form, receipts })
    }

    fn name(&self, first: u64, last: u64) -> String {
        place::name(first, last, &self.files)
    }

    fn marked(&self, index: usize) -> Error {
        let file = self.files.get(index).map_or("<stdin>", String::as_str);
        Error::caller(file, "is a marked stream: use ksink")
    }

    fn passed(&mut self, result: Result<()>) -> Result<()> {
        if result == Err(Error::Closed) {
            self.receipts = None;
            return Ok(());
        }
        result
    }
}

impl Reports for Ledger<'_> {
    #[inline]
    fn acknowledged(&mut self, receipt: producer::Receipt<'_>) -> Result<()> {
        let Some(output) = &mut self.receipts else { return Ok(()) };
        let (input, line) = place::parts(receipt.number());
        let receipt = Receipt {
            topic: self.topic,
            partition: receipt.partition(),
            offset: receipt.offset(),
            timestamp: receipt.timestamp(),
            key_bytes: receipt.key_bytes(),
            value_bytes: receipt.value_bytes(),
            file: self.files.get(input).map(String::as_str),
            line,
        };
        match self.form {
            Form::Text => receipt.write_text(output.buffer()),
            Form::Json => receipt.write_json(output.buffer()),
        }
        let spilled = output.spill();
        self.passed(spilled)
    }

    fn failed(&mut self, first: u64, last: u64, reason: &str) {
        say(format!("{}: {reason}", self.name(first, last)));
    }

    fn flush(&mut self) -> Result<()> {
        let Some(output) = &mut self.receipts else { return Ok(()) };
        let flushed = output.flush();
        self.passed(flushed)
    }
}
