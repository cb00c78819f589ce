//! A Kafka topic to stdout, offsets committed only for what stdout accepted.

mod envelope;
mod format;
mod marks;
mod progress;
mod screen;
mod session;
mod sink;
mod start;
mod view;

use std::time::Duration;

use clap::Parser;
use pipe::exit::{Code, Error, Result, say_bare};
use pipe::stdio::Output;
use pipe::stop::Stop;
use pipe::units::Span;
use topic::consumer::{Plan, Reader};
use topic::flags::{Broker, topic_name};

use crate::format::Format;
use crate::marks::Marks;
use crate::session::{Orders, Session};
use crate::sink::{Form, Sink};
use crate::start::Start;

const AFTER_HELP: &str = r#"START
  A group begins at its stored offsets. Where there are none, and without a group, reading begins
  at -o, else at the end, with -e at the beginning; --seek makes -o win over stored offsets. Where
  it begins is said on stderr. An offset that retention has removed is an error, never a silent
  jump.

COMMITTED OFFSETS
  With -g, what stdout has accepted is committed every --commit-interval and at the end. In a
  pipe, that may be ahead of what the next program has finished. When the reader of stdout has
  gone, the last commit is left out.

OUTPUT
  A record's value and a newline; null prints as an empty line. -f prints by a format:
    %s value    %S its length, -1 for null    %t topic        %T timestamp in ms, -1 for none
    %k key      %K its length, -1 for null    %p partition    %h headers, name=value,...
    %% a %      \n \t \r \0 \xNN bytes        %o offset
  -J prints a JSON object per line with topic, partition, offset, tstype (create, logappend or
  unknown), ts (ms), headers, key and payload. Null is null. What is not UTF-8 stands in key_b64
  and payload_b64. headers lists name and value by turns, as ["name","value","name",null]; one
  that is not UTF-8 is {"b64":"..."}.
  On a terminal, control bytes are spelt \xNN, unless --raw.

EXAMPLES
  All that is there:
    kcons -t pages -e

  The last 10 records of each partition with their places:
    kcons -t pages -o -10 -e -f '%t [%p] at %o: %s\n'

  As one of several in a group, into a pipeline that keeps event time per partition:
    kcons -t pages -g ranking --marks | swin ...

EXIT STATUS
  0 done, stopped by a signal, or the reader of stdout has gone
  1 the broker, a topic, a commit, or stdout failed
  2 wrong options"#;

/// Copies a Kafka topic to stdout, a record a line
///
/// Records are read committed. Output is flushed whenever there is nothing more to read.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    /// Topics, joined by commas
    #[arg(short, long = "topic", value_name = "TOPIC", value_delimiter = ',', required = true)]
    #[arg(value_parser = topic_name)]
    topics: Vec<String>,

    #[command(flatten)]
    broker: Broker,

    /// Reads as a member of this group, which shares the partitions and keeps offsets
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,

    /// Only these partitions, joined by commas
    #[arg(short, long = "partition", value_name = "N", value_delimiter = ',')]
    #[arg(conflicts_with = "group", value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Option<Vec<i32>>,

    /// Where to begin: beginning, end, stored, N, or -N for the last N of each partition
    #[arg(short, long, value_name = "OFFSET", allow_hyphen_values = true)]
    offset: Option<Start>,

    /// As -o beginning
    #[arg(long, conflicts_with = "offset")]
    from_beginning: bool,

    /// -o wins over the offsets that the group has stored
    #[arg(long, requires = "group")]
    seek: bool,

    /// Ends where the partitions ended when it started
    #[arg(short = 'e', long)]
    exit_at_end: bool,

    /// Ends after N records
    #[arg(short, long, value_name = "N", short_alias = 'n', alias = "max-messages")]
    count: Option<u64>,

    /// Ends when no record came for so many milliseconds
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,

    /// Prints by a format, as kcat's
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Format>,

    /// Prints JSON envelopes
    #[arg(short = 'J', long, conflicts_with = "format")]
    json: bool,

    /// Writes marks between the lines: where they come from, what time it is, how it ends
    #[arg(long)]
    marks: bool,

    /// Time between the ticks of --marks [default: 100ms]
    #[arg(long, value_name = "D", value_parser = tick, requires = "marks")]
    tick: Option<Span>,

    /// Time between commits; 0 never commits
    #[arg(long, value_name = "D", value_parser = interval, requires = "group")]
    #[arg(default_value = "5s")]
    commit_interval: Span,

    /// Writes control bytes to a terminal as they are
    #[arg(long)]
    raw: bool,

    /// Says nothing of start and end
    #[arg(short, long)]
    quiet: bool,
}

fn tick(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.ms() > 0 { Ok(span) } else { Err("a tick is at least 1ms".to_owned()) }
}

fn interval(text: &str) -> Result<Span, String> {
    if text == "0" { Ok(Span::from_ms(0)) } else { text.parse() }
}

/// Reads the topics and writes their records.
///
/// # Errors
/// When the broker, a topic, the group or stdout fails, or options do not fit together.
pub fn run(args: &Args) -> Result<Code> {
    let group = group(args)?;
    let stop = Stop::listen()?;
    let stdout = Output::stdout()?;
    if args.marks && stdout.is_terminal() {
        return Err(Error::caller("--marks", "stdout is a terminal; marks are for programs"));
    }
    let escapes = stdout.is_terminal() && !args.raw;
    let marks = args.marks.then(|| Marks::new(args.tick.map_or(100, Span::ms)));
    let mut sink = Sink::new(stdout, form(args), marks, escapes);
    sink.open()?;
    let mut topics = args.topics.clone();
    topics.sort_unstable();
    topics.dedup();
    let mut partitions = args.partitions.clone();
    if let Some(partitions) = &mut partitions {
        partitions.sort_unstable();
        partitions.dedup();
    }
    let plan = Plan {
        flags: &args.broker,
        topics: &topics,
        partitions: partitions.as_deref(),
        group: group.as_deref(),
        until_end: args.exit_at_end,
    };
    let reader = Reader::open(&plan).inspect_err(|error| sink.abort(error))?;
    let (ended, count) = Session::new(orders(args, group), reader, sink).run(&stop);
    if !args.quiet {
        say_bare(format!("Processed a total of {count} messages"));
    }
    ended.map(|()| Code::DONE)
}

/// The group of `-g` or of `-X group.id`.
fn group(args: &Args) -> Result<Option<String>> {
    let property = args.broker.property("group.id");
    let group = match (args.group.as_deref(), property) {
        (Some(group), Some(other)) if group != other => {
            return Err(Error::caller("-X group.id", format!("is {other}, but -g is {group}")));
        }
        (group, property) => group.or(property),
    };
    if group == Some("") {
        return Err(Error::caller("-g", "a group has a name"));
    }
    let place = args.offset.is_some_and(|start| start != Start::Stored) || args.from_beginning;
    if args.seek && !place {
        return Err(Error::caller("--seek", "needs -o or --from-beginning, to know where"));
    }
    if group.is_none() && args.offset == Some(Start::Stored) {
        return Err(Error::caller("-o stored", "needs -g"));
    }
    Ok(group.map(ToOwned::to_owned))
}

fn form(args: &Args) -> Form {
    match &args.format {
        Some(format) => Form::Format(format.clone()),
        None if args.json => Form::Envelope,
        None => Form::Value,
    }
}

fn orders(args: &Args, group: Option<String>) -> Orders {
    let beginning = args.from_beginning.then_some(Start::Beginning);
    let commits = group.is_some()
        && args.commit_interval.ms() > 0
        && args.broker.property("enable.auto.commit") != Some("false");
    Orders {
        group,
        start: args.offset.or(beginning),
        seek: args.seek,
        until_end: args.exit_at_end,
        count: args.count,
        timeout: args.timeout_ms.map(Duration::from_millis),
        commit: commits.then(|| args.commit_interval.duration()),
        quiet: args.quiet,
    }
}
