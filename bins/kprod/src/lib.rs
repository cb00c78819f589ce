//! Lines to a Kafka topic, each acknowledged.

pub mod console;
pub mod feed;
pub mod header;
pub mod ledger;
pub mod letters;
pub mod maker;
pub mod pace;
pub mod perf;
pub mod place;
pub mod reader;
pub mod receipt;
pub mod source;
pub mod splitter;
pub mod verifiable;
pub mod verifier;

use std::env;
use std::fs::Metadata;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use pipe::exit::{Code, Error, Result, say_bare};
use pipe::rate::Rate;
use pipe::stdio::Output;
use pipe::stop::Stop;
use pipe::units::{self, Span};
use topic::flags::{Broker, topic_name};
use topic::mould::{KeyOptions, Mould};
use topic::producer::{self, Options, Producer, Shape};
use topic::rows::{Columns, Rows};

use crate::console::Console;
use crate::feed::{Feed, Manner, Work};
use crate::header::Header;
use crate::ledger::{Form, Ledger, Plan};
use crate::maker::{Envelopes, Maker, Same};
use crate::pace::Pace;
use crate::reader::Reader;
use crate::source::Source;
use crate::verifier::Verifiable;

const AFTER_HELP: &str = "\
Every line is a record, empty ones too. Records are acknowledged by all replicas and written once,
in order per partition; a failed one is tried again until --delivery-timeout and then named. The
partition hangs on the key as in Java's producer (murmur2), or is a random one without key.

A signal does not cut a pipe short: kprod reads on to the end of its input. A second one ends it.
Servers (tcp://) and --verifiable have no end, and end at the first.

EXAMPLES
  kgen pages -n 1000 | kprod -t visits          a thousand records
  kprod -t visits -K '\\t' keyed.tsv             the key stands before the first tab
  kprod -t visits -F '|' --key-field '$1' visits.txt
                                                the key is the first field of each line
  kprod -t visits -p 0 --receipts < visits.txt  says where each record lies
  kprod -t visits --create 3:1 < visits.txt     makes the topic: 3 partitions, 1 replica each
  kprod -t visits -X acks=1 -X linger.ms=50     any property of librdkafka
  kcons -t visits -e -J | kprod -J -t copy      copies a topic, with headers and times
  kprod -t visits tcp://127.0.0.1:9999          what a server says, for as long as it says it
  kprod --topic visits --reader-property parse.key=true --command-config client.properties
                                                as kafka-console-producer
  kprod --verifiable -t visits --max-messages 9
                                                as kafka-verifiable-producer

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
    #[arg(short = 't', long, value_name = "TOPIC", value_parser = topic_name,
        required_unless_present_any = ["envelope", "reader_property", "property", "reader_config"])]
    topic: Option<String>,
    #[command(flatten)]
    broker: Broker,
    /// Partition of all records; without it, or with -1, the key decides
    #[arg(short = 'p', long, value_name = "N", allow_negative_numbers = true)]
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
    /// Creates a topic with P partitions of R replicas each when it is missing
    #[arg(long, value_name = "P:R")]
    create: Option<Shape>,
    /// How long a record is tried [default: 120s]
    #[arg(long, value_name = "D")]
    delivery_timeout: Option<Span>,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    lines: LineOptions,
    #[command(flatten)]
    told: Told,
    /// Files to read one after the other instead of stdin; - is stdin, tcp://HOST:PORT a server
    /// that is connected to again whenever it ends
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    fields: FieldOptions,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    console: Console,
    #[command(flatten)]
    verifiable: Verifiable,
}

/// How much and how fast.
#[derive(clap::Args, Clone, Debug)]
struct Limits {
    /// Records, then end; without it all lines
    #[arg(short = 'n', short_alias = 'c', long, value_name = "N")]
    count: Option<u64>,
    /// Records a second; a stalled pipe is caught up
    #[arg(long, value_name = "R")]
    rate: Option<Rate>,
    /// Bytes of lines a second, as 64K, 10M, 1G; a stalled pipe is caught up
    #[arg(long, value_name = "B", value_parser = bytes_rate)]
    rate_bytes: Option<Rate>,
}

/// How lines are read.
#[derive(clap::Args, Clone, Debug)]
struct LineOptions {
    /// What ends a line: bytes as they are, or one of \n, \t, \0, \x1f
    #[arg(short = 'D', long, value_name = "BYTES", default_value = "\\n", value_parser = delimiter)]
    delimiter: Delimiter,
    /// Lines end in NUL
    #[arg(short = '0', conflicts_with = "delimiter")]
    zero: bool,
    /// An empty key or value is null
    #[arg(short = 'Z', conflicts_with_all = ["envelope", "reader_property", "property",
        "reader_config", "header_field", "timestamp_field"])]
    nulls: bool,
    /// FILE is read line by line, as it is without this option of kcat's
    #[arg(short = 'l', requires = "files")]
    by_line: bool,
}

/// What ends a line.
#[derive(Clone, Debug)]
struct Delimiter(Vec<u8>);

/// What fields and envelopes say of a record.
#[derive(clap::Args, Clone, Debug)]
struct FieldOptions {
    /// Lines are envelopes as kcons -J writes them: topic (unless -t names one), timestamp, key,
    /// value and headers are theirs
    #[arg(short = 'J', long = "envelope", conflicts_with_all = ["key_separator", "key_field",
        "header_field", "timestamp_field", "reader_property", "property", "reader_config"])]
    envelope: bool,
    /// The partition is the envelope's too
    #[arg(long, requires = "envelope", conflicts_with = "partition")]
    keep_partition: bool,
    /// Fields of the row that become headers of their names
    #[arg(long, value_name = "F,…", value_delimiter = ',', conflicts_with = "key_separator")]
    header_field: Vec<String>,
    /// The field of the row that is the record's time: milliseconds since the epoch, or as RFC 3339
    #[arg(long, value_name = "F", conflicts_with = "key_separator")]
    timestamp_field: Option<String>,
}

/// What is told of the records.
#[derive(clap::Args, Clone, Debug)]
struct Told {
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
    /// Writes the lines to stdout too, as they are sent
    #[arg(short = 'T', conflicts_with = "receipts")]
    tee: bool,
    /// Writes what could not be a record or be produced to FILE, as lines of JSON; the rest goes on
    #[arg(long, value_name = "FILE")]
    dead_letter: Option<PathBuf>,
    /// Does not say at the end how many records were produced
    #[arg(short = 'q', long)]
    quiet: bool,
    #[command(flatten)]
    speed: Speed,
}

/// What is told of the speed.
#[derive(clap::Args, Clone, Debug)]
struct Speed {
    /// Says how fast it goes every 5 s and at the end, as kafka-producer-perf-test
    #[arg(long)]
    perf: bool,
    /// Says how fast it goes every D and at the end, as a line of JSON
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    stats: Option<Span>,
}

fn delimiter(text: &str) -> std::result::Result<Delimiter, &'static str> {
    match units::byte(text) {
        Ok(byte) => Ok(Delimiter(vec![byte])),
        Err(_) if text.is_empty() => Err("a delimiter has at least one byte"),
        Err(_) => Ok(Delimiter(unescaped(text))),
    }
}

/// The bytes of a text in which \n, \r, \t, \0 and \xNN stand for one.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let escapes = [2, 4].into_iter().filter_map(|length| rest.get(..length));
        let escape = escapes
            .filter(|_| first == '\\')
            .find_map(|part| units::byte(part).ok().map(|byte| (byte, part.len())));
        if let Some((byte, length)) = escape {
            bytes.push(byte);
            rest = &rest[length..];
        } else {
            bytes.extend_from_slice(&rest.as_bytes()[..first.len_utf8()]);
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}

fn bytes_rate(text: &str) -> std::result::Result<Rate, String> {
    let bytes = u64::try_from(units::size(text)?).unwrap_or(u64::MAX);
    Rate::new(perf::float(bytes))
}

/// Whose defaults the program has, by the name that it is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Kprod,
    ConsoleProducer,
    VerifiableProducer,
}

impl Role {
    fn called() -> Role {
        let called = env::args_os().next().unwrap_or_default();
        let name = Path::new(&called).file_name().unwrap_or_default();
        match name.to_str().map(|name| name.trim_end_matches(".sh")) {
            Some("kafka-console-producer") => Role::ConsoleProducer,
            Some("kafka-verifiable-producer") => Role::VerifiableProducer,
            _ => Role::Kprod,
        }
    }
}

/// Produces what comes until the end of the input.
///
/// # Errors
/// When the command line or the world is wrong, or a record failed.
pub fn run(args: &Args) -> Result<Code> {
    let role = Role::called();
    let broker = broker(args)?;
    let reader = args.console.reader()?;
    let topic = reader.as_ref().and_then(Reader::topic).map(ToOwned::to_owned);
    let topic = topic.as_deref().or(args.topic.as_deref());
    let mut options = Options {
        topic,
        partition: partition(args),
        create: args.create,
        patience: args.console.patience().unwrap_or(topic::cluster::PATIENCE),
        prompt: true,
        defaults: Vec::new(),
        transactions: None,
    };
    if role == Role::VerifiableProducer || args.verifiable.verifiable {
        let topic = topic.ok_or_else(no_topic)?;
        return args.verifiable.run(&broker, topic, options);
    }
    if let Some(option) = args.verifiable.given() {
        return Err(Error::caller(option, "is for --verifiable"));
    }
    if topic.is_none() && !args.fields.envelope {
        return Err(no_topic());
    }
    if role == Role::ConsoleProducer {
        let defaults = Console::DEFAULTS.map(|(key, value)| (key, value.to_owned()));
        options.defaults.extend(defaults);
        options.patience = args.console.patience().unwrap_or(Duration::from_mins(1));
    }
    if args.console.sync {
        // A record that is waited for has no company to wait for.
        options.defaults.push(("linger.ms", "0".to_owned()));
    }
    let work = work(args, reader)?;
    let ledger = Ledger::open(plan(args))?;
    let producer = Producer::open(&broker, &options)?;
    // Heard and left alone, except by servers: what is on its way through a pipe is still to come.
    let stop = Stop::listen()?;
    let pace = Pace::new(args.limits.count, args.limits.rate, args.limits.rate_bytes);
    let mut feed = Feed::new(manner(args)?, work, pace, (producer, ledger, stop));
    let stdin = [Source::File(Path::new("-"))];
    let files: Vec<_> = args.files.iter().map(|file| Source::new(file)).collect();
    let read = feed.run(if files.is_empty() { &stdin } else { &files });
    let finished = feed.finish();
    let kept = feed.ledger().close();
    let (acknowledged, failed) = feed.counts();
    if !args.told.quiet && role == Role::Kprod {
        say_bare(format!("Produced {acknowledged} records"));
    }
    read.and(finished)?;
    let kept = kept?.1.map(|file| format!(": they are in {file}")).unwrap_or_default();
    match failed {
        0 => Ok(Code::DONE),
        failed => {
            let thing = topic.unwrap_or("envelopes");
            Err(Error::world(thing, format!("{failed} records were not produced{kept}")))
        }
    }
}

fn no_topic() -> Error {
    Error::caller("--topic <TOPIC>", "is required; see kprod --help")
}

/// The broker with the properties that options stand for.
fn broker(args: &Args) -> Result<Broker> {
    let mut broker = args.console.broker(&args.broker)?;
    if let Some(codec) = &args.compression {
        broker.give("--compression", "compression.codec", codec);
    }
    if let Some(time) = args.delivery_timeout {
        let ms = time.ms().min(i32::MAX.into());
        broker.give("--delivery-timeout", "delivery.timeout.ms", ms);
    }
    Ok(broker)
}

/// The partition of all records.
fn partition(args: &Args) -> Option<i32> {
    args.partition.filter(|&partition| partition != -1)
}

/// How lines become records: the fast way, unless there is more to say of them.
fn work(args: &Args, reader: Option<Reader>) -> Result<Work<'_>> {
    let fields = &args.fields;
    let form = if let Some(reader) = reader {
        maker::Form::Parts(Box::new(reader))
    } else if fields.envelope {
        maker::Form::Envelopes(Envelopes {
            keep_topic: args.topic.is_none(),
            keep_partition: fields.keep_partition,
            topics: Vec::new(),
        })
    } else if !fields.header_field.is_empty() || fields.timestamp_field.is_some() {
        let columns = Columns {
            key: args.keys.fields().to_vec(),
            headers: fields.header_field.clone(),
            timestamp: fields.timestamp_field.clone(),
            topic: None,
        };
        maker::Form::Rows(Box::new(Rows::new(args.keys.rows().clone(), columns)))
    } else {
        return mould(args).map(Work::Lines);
    };
    let rows = matches!(form, maker::Form::Rows(_));
    if let Some(option) = args.keys.rows().given().filter(|_| !rows) {
        return Err(Error::caller(option, "is for fields of rows"));
    }
    let same = Same {
        partition: partition(args),
        key: args.key.as_ref().map(|key| key.as_bytes().to_vec()),
        headers: args.headers.clone(),
    };
    Ok(Work::Records(Box::new(Maker::new(form, same))))
}

fn mould(args: &Args) -> Result<Mould<'_>> {
    Ok(Mould {
        keys: args.keys.keys(bytes(args.key.as_ref()))?,
        partition: partition(args),
        headers: args.headers.iter().map(header).collect(),
    })
}

fn header(header: &Header) -> producer::Header<'_> {
    producer::Header { name: header.name.as_bytes(), value: bytes(header.value.as_ref()) }
}

fn bytes(text: Option<&String>) -> Option<&[u8]> {
    text.map(String::as_bytes)
}

fn manner(args: &Args) -> Result<Manner> {
    let lines = &args.lines;
    // Only who sits at a terminal, and sees one, is asked.
    let asked = args.files.is_empty() && io::stdin().is_terminal() && io::stdout().is_terminal();
    Ok(Manner {
        delimiter: if lines.zero { vec![0] } else { lines.delimiter.0.clone() },
        nulls: lines.nulls,
        sync: args.console.sync,
        prompt: asked.then(Output::stdout).transpose()?,
    })
}

fn plan(args: &Args) -> Plan<'_> {
    let name = |file: &PathBuf| match file.as_path() {
        file if file == Path::new("-") => "<stdin>".to_owned(),
        file => file.display().to_string(),
    };
    let told = &args.told;
    Plan {
        files: args.files.iter().map(name).collect(),
        receipts: told.receipts.then_some(told.receipt_form),
        letters: told.dead_letter.as_deref(),
        tee: told.tee,
        perf: told.speed.perf,
        stats: told.speed.stats.map(Span::duration),
        bytes: bytes_to_read(args),
    }
}

/// The bytes of all files, when a bar may show how far they are read: not on a terminal on which
/// lines or receipts are written.
fn bytes_to_read(args: &Args) -> Option<u64> {
    let told = &args.told;
    let writes = told.receipts || told.tee;
    if told.quiet || args.files.is_empty() || writes && io::stdout().is_terminal() {
        return None;
    }
    let bytes = |file: &PathBuf| file.metadata().ok().filter(Metadata::is_file).map(|it| it.len());
    args.files.iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_bytes_and_escapes() {
        let bytes = |text| delimiter(text).map(|Delimiter(bytes)| bytes);
        assert_eq!(bytes("\\n"), Ok(b"\n".to_vec()));
        assert_eq!(bytes("\\r\\n"), Ok(b"\r\n".to_vec()));
        assert_eq!(bytes("||\\x1f\\0é"), Ok("||\x1f\0é".as_bytes().to_vec()));
        assert!(bytes("").is_err());
    }
}
