//! A pipeline's results to a Kafka topic.

pub mod changelog;
pub mod epoch;
pub mod ledger;
pub mod letters;
pub mod maker;
pub mod position;
pub mod sink;
pub mod spool;
pub mod tee;
pub mod transaction;
pub mod work;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Parser;
use pipe::exit::{Code, Error, Result, say};
use pipe::lines::{Fill, Lines};
use pipe::mark::{Event, Mark, Stream};
use pipe::stdio::Input;
use pipe::stop::Stop;
use pipe::units::{self, Span};
use topic::flags::{Broker, topic_name};
use topic::mould::KeyOptions;
use topic::producer::{self, BATCH, Shape};

use crate::epoch::Epochs;
use crate::letters::Place;
use crate::sink::Sink;
use crate::transaction::Pipeline;

/// Bytes of lines that are produced together at most, outside transactions.
const SPOOL_BYTES: usize = 256 << 10;

/// Bytes that may wait in the pipe while a transaction is committed: the most that Linux allows
/// everybody.
const PIPE_BYTES: usize = 1 << 20;

/// How long the letter of a record may be held back that fails while nothing else comes.
const LETTER_WAIT: Duration = Duration::from_secs(1);

/// Bytes that a mark may have: that of a row which a stage could not use holds it in base64.
const MARK_BYTES: usize = 2 << 20;

const AFTER_HELP: &str = "\
Reads lines, or a marked stream as `kcons --marks` begins one: marks are taken out. Records are
acknowledged by all replicas and written once, in order per partition. When the pipe is cut short
and started again, lines may come twice: at least once is what is promised.

A stream with epochs, as `kcons --epoch` begins one, is written exactly once: the lines of each
epoch, the state of the stages before and the offsets that were read are committed in one
transaction at its barrier, or not at all. Who reads with read_committed, as kcons and Java's
console consumer when it is asked to, sees what is committed. State and offsets are in the topic
GROUP-kpipe-state, which is made when it is missing, with as many partitions as the largest topic
that the group reads. Whatever is in doubt is exit code 75: run the whole pipe again.

Fields that become key, headers, time or topic stay in the row: the value is the whole line. A NULL
is no key, a header without a value, and no topic, which is that of -t then.

A dead letter in FILE is a line of JSON: line, reason, row_b64, and, where the marks say it, the
topic, partition and offset that the row came from. FILE is added to. In a topic the row is the
value, and the rest are headers; under epochs they are in the transaction, while in FILE a letter
may stand twice when the pipe is run again. Rows that a stage before found bad or late, and put
into the marks of epochs, go there too, with kind and stage; they are no failure. A topic that
could not be opened is not asked for again: its rows are dead letters as long as the program runs.

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
  kcons -t visits -g g --instance i --epoch 500ms --from-beginning | swin --by page --tumble 1m |
    ksink -t per-minute                         exactly once, whatever dies
  kcons -t in -g g --epoch 5s | keach ./work | ksink --offsets-only
                                                what was read is committed when it is done

EXIT STATUS
   0  every line is acknowledged
   1  a record failed (it is named, or a dead letter), or the world did: no broker, no topic; a
      program between has dropped or added lines or marks; another copy has the same --instance
   2  the command line is wrong, the broker is a mock and the stream has epochs, or the group has
      state of stages that are not in the pipe
  75  the stream was cut short: run the pipe again. Under epochs nothing is there of what was not
      committed, and a broker that is away is 75 too; without, all that came is in the topic
   n  a program before this one has failed with n, and said so in the stream";

/// A pipeline's results to a Kafka topic.
///
/// Reads lines from stdin, a line a record, and ends when every record is acknowledged.
#[derive(Parser, Debug)]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    /// Topic to write to
    #[arg(short = 't', long, value_name = "TOPIC", value_parser = topic_name,
        required_unless_present_any = ["envelope", "topic_field", "offsets_only", "state_only"])]
    topic: Option<String>,
    #[command(flatten)]
    broker: Broker,
    /// Creates a topic with P partitions of R replicas each when it is missing
    #[arg(long, value_name = "P:R")]
    create: Option<Shape>,
    /// Writes the lines to stdout too, in their order, once they are acknowledged, under epochs
    /// once they are committed
    #[arg(long)]
    tee: bool,
    /// Puts aside what cannot be a record or be produced, as lines of JSON or as records of a
    /// topic; the rest goes on
    #[arg(long, value_name = "FILE|topic:NAME")]
    dead_letter: Option<Place>,
    /// Does not say at the start that it is at least once
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Says how fast it goes every D and at the end, as a line of JSON
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    stats: Option<Span>,
    #[command(flatten)]
    fields: FieldOptions,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    epochs: EpochOptions,
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

/// What is done with a stream that has epochs.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Epochs")]
struct EpochOptions {
    /// Takes a stream with epochs without transactions: at least once
    #[arg(long, conflicts_with_all = ["offsets_only", "state_only", "transactional_id"])]
    no_transaction: bool,
    /// Commits the offsets of the lines that came, and writes no line anywhere
    #[arg(long, conflicts_with_all = ["topic", "state_only", "tee"])]
    offsets_only: bool,
    /// Commits offsets and the state of the stages, and writes no line anywhere
    #[arg(long, conflicts_with_all = ["topic", "tee"])]
    state_only: bool,
    /// The name under which transactions are written; of two programs with one name the first is
    /// cut off [default: GROUP-INSTANCE, without --instance GROUP-MEMBER]
    #[arg(long, value_name = "ID")]
    transactional_id: Option<String>,
    /// How long a transaction may be open, of a program that has died as well: as long, readers
    /// see nothing of what comes behind it
    #[arg(long, value_name = "D", default_value = "10s")]
    transaction_timeout: Span,
    /// Bytes of an epoch that are kept before its transaction begins
    #[arg(long, value_name = "SIZE", default_value = "8M", value_parser = units::size)]
    spool: usize,
    /// How long no barrier may come behind a line
    #[arg(long, value_name = "D", default_value = "60s")]
    stall_timeout: Span,
}

impl EpochOptions {
    /// Whether lines go to no topic.
    fn without_topic(&self) -> bool {
        self.offsets_only || self.state_only
    }
}

/// Produces what comes until the end of the input.
///
/// # Errors
/// When the command line, the stream or the world is wrong, or a record failed.
pub fn run(args: &Args) -> Result<Code> {
    if let Some(Place::Topic(letters)) = &args.dead_letter
        && args.topic.as_ref() == Some(letters)
    {
        return Err(Error::caller("--dead-letter", "is the topic of the rows: name another one"));
    }
    work::Work::new(args)?;
    // Heard and left alone: what is on its way through the pipe is still to come.
    let _first_signal = Stop::listen()?;
    let growth = if args.fields.envelope { sink::ENVELOPE_GROWTH } else { 1 };
    let record_bytes_max = producer::record_bytes_max_of(&args.broker)?;
    let line_bytes_max = record_bytes_max.saturating_mul(growth).max(MARK_BYTES);
    let input = Input::stdin()?.roomy(PIPE_BYTES);
    let mut stream = Stream::new(Lines::new(input, b'\n', line_bytes_max), args.fields.plain);
    match stream.opening()? {
        Some(Mark::Open { epochs: true, tick_ms, stages }) if !args.epochs.no_transaction => {
            // Entries of state that are not stored would be missing in the next run.
            if let (true, Some(stage)) = (args.epochs.offsets_only, stages.first()) {
                let reason = format!("{stage} has state, which --state-only commits as well");
                return Err(Error::caller("--offsets-only", reason));
            }
            let stall = args.epochs.stall_timeout.duration();
            commit(args, &mut stream, Epochs::new(tick_ms, &stages, stall))
        }
        _ => produce(args, &mut stream),
    }
}

/// Produces a stream without epochs.
fn produce(args: &Args, stream: &mut Stream) -> Result<Code> {
    let thing = args.topic.as_deref().unwrap_or("<stdin>");
    if args.epochs.without_topic() {
        let reason = "has no epochs, of which there is something to commit (kcons --epoch)";
        return Err(Error::caller("<stdin>", reason));
    }
    let mut sink = Sink::open(args, None)?;
    if !args.quiet && !args.epochs.no_transaction {
        let promise = "at least once: lines may come twice when the pipe is run again";
        say(format!("{thing}: {promise}"));
    }
    let drained = drain(&mut sink, stream);
    let finished = sink.finish();
    let told = sink.ledger.close(thing);
    drained.and(finished).and(told).map(|()| Code::DONE)
}

fn drain(sink: &mut Sink<'_>, stream: &mut Stream) -> Result<()> {
    let time = sink.ledger.has_mail().then_some(LETTER_WAIT);
    loop {
        let taken = take(sink, stream);
        sink.produce()?;
        taken?;
        if sink.wait(stream.as_fd(), time)? && stream.fill(None)? == Fill::End {
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
fn take(sink: &mut Sink<'_>, stream: &mut Stream) -> Result<()> {
    loop {
        let number = stream.number() + 1;
        match stream.next_event()? {
            None => return Ok(()),
            Some(Event::Data(line)) => sink.line(number, line)?,
            Some(Event::Long(head, bytes)) => sink.long(number, head, bytes)?,
            Some(Event::Mark(mark, _)) => {
                sink.heed(&mark);
                match mark {
                    Mark::Bad(letter) => sink.letter(number, false, &letter)?,
                    Mark::Late(letter) => sink.letter(number, true, &letter)?,
                    Mark::Abort { tool, code, message } => {
                        return Err(Mark::aborted(&tool, code, &message));
                    }
                    _ => {}
                }
            }
        }
        if sink.lines() == BATCH || sink.bytes() >= SPOOL_BYTES {
            sink.produce()?;
        }
    }
}

/// Commits a stream with epochs, each in a transaction.
fn commit(args: &Args, stream: &mut Stream, epochs: Epochs) -> Result<Code> {
    let mut pipeline = Pipeline::new(args, epochs);
    let drained = drain_epochs(&mut pipeline, stream);
    if drained.is_err() {
        // The broker aborts what this cannot.
        let _ = pipeline.abort();
    }
    let told = pipeline.close(args.topic.as_deref().unwrap_or("<stdin>"));
    drained.and(told).and_then(|()| pipeline.finish())
}

fn drain_epochs(pipeline: &mut Pipeline<'_>, stream: &mut Stream) -> Result<()> {
    let start = Instant::now();
    // The first line is the mark that opened the stream.
    stream.next_event()?;
    loop {
        take_epochs(pipeline, stream, start)?;
        let patience = pipeline.epochs.patience(start.elapsed());
        if patience == Some(Duration::ZERO) {
            return Err(pipeline.epochs.stalled());
        }
        let ready = match pipeline.sink() {
            Some(sink) => sink.wait(stream.as_fd(), patience)?,
            None => true,
        };
        if ready && stream.fill(None)? == Fill::End {
            return pipeline.finish().map(drop);
        }
    }
}

/// Takes what is in the buffer.
fn take_epochs(pipeline: &mut Pipeline<'_>, stream: &mut Stream, start: Instant) -> Result<()> {
    let mut now = start.elapsed();
    loop {
        let number = stream.number() + 1;
        match stream.next_event()? {
            None => return Ok(()),
            Some(Event::Data(line)) => pipeline.line(number, line, now)?,
            Some(Event::Long(head, bytes)) => pipeline.long(number, head, bytes, now)?,
            Some(Event::Mark(mark, line)) => {
                now = start.elapsed();
                pipeline.mark(number, &mark, line.len(), now)?;
                // A commit may have taken long, which is not the time of the lines behind it.
                now = start.elapsed();
            }
        }
    }
}
