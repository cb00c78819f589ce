//! A pipeline's results to a Kafka topic.

pub mod spool;
pub mod tee;

use std::os::fd::AsFd;
use std::time::Duration;

use clap::Parser;
use pipe::exit::{Code, Error, Result, say};
use pipe::lines::{Fill, Lines};
use pipe::mark::{Event, Mark, Stream};
use pipe::stdio::{Input, Output};
use pipe::stop::Stop;
use topic::flags::{Broker, topic_name};
use topic::mould::{KeyOptions, Mould};
use topic::producer::{BATCH, Options, Producer, Receipt, Record, Reports};

use crate::spool::Spool;
use crate::tee::Tee;

/// Bytes of lines that are produced together at most.
const SPOOL_BYTES: usize = 256 << 10;

/// Bytes of lines that --tee may hold back behind one that is not acknowledged.
const TEE_BYTES: usize = 64 << 20;

/// How long to wait for acknowledgements at a time: those that free the --tee may be the last.
const TEE_WAIT: Duration = Duration::from_millis(50);

const AFTER_HELP: &str = "\
Reads lines, or a marked stream as `kcons --marks` begins one: marks are taken out. Records are
acknowledged by all replicas and written once, in order per partition. When the pipe is cut short
and started again, lines may come twice: at least once is what is promised.

A signal does not cut a pipe short: ksink reads on to the end of its input. A second one ends it.

EXAMPLES
  kcons -t visits --marks | swin --by page --tumble 1m | ksink -t per-minute
  swin … | ksink -t totals --tee | head         shows what is in the topic
  swin --by page … | ksink -t per-page --key-field page
                                                the key is the field page of each row

EXIT STATUS
   0  every line is acknowledged
   1  a record failed (it is named), or the world did: no broker, no topic
   2  the command line is wrong, or the stream has epochs
  75  the stream was cut short: what came is in the topic; run the pipe again";

/// A pipeline's results to a Kafka topic.
///
/// Reads lines from stdin, a line a record, and ends when every record is acknowledged.
#[derive(Parser, Debug)]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    /// Topic to write to
    #[arg(short = 't', long, value_name = "TOPIC", value_parser = topic_name)]
    topic: String,
    #[command(flatten)]
    broker: Broker,
    /// Writes the lines to stdout too, in their order, once they are acknowledged
    #[arg(long)]
    tee: bool,
    /// Takes a stream with epochs without transactions: at least once
    #[arg(long)]
    no_transaction: bool,
    /// Does not say at the start that it is at least once
    #[arg(short = 'q', long)]
    quiet: bool,
    #[command(flatten)]
    keys: KeyOptions,
}

/// Produces what comes until the end of the input.
///
/// # Errors
/// When the command line, the stream or the world is wrong, or a record failed.
pub fn run(args: &Args) -> Result<Code> {
    let options = Options { topic: Some(&args.topic), ..Options::default() };
    let keys = args.keys.keys(None)?;
    let mould = Mould { keys, partition: None, headers: Vec::new() };
    let ledger = Ledger::new(args)?;
    let producer = Producer::open(&args.broker, &options)?;
    if !args.quiet && !args.no_transaction {
        let promise = "at least once: lines may come twice when the pipe is run again";
        say(format!("{}: {promise}", args.topic));
    }
    // Heard and left alone: what is on its way through the pipe is still to come.
    let _first_signal = Stop::listen()?;
    let mut sink = Sink { args, producer, ledger, mould, spool: Spool::default() };
    let drained = sink.drain();
    let finished = sink.producer.finish(&mut sink.ledger);
    drained.and(finished)?;
    match sink.producer.failed() {
        0 => Ok(Code::DONE),
        failed => Err(Error::world(&args.topic, format!("{failed} records were not produced"))),
    }
}

/// A stream on its way into the producer.
struct Sink<'a> {
    args: &'a Args,
    producer: Producer,
    ledger: Ledger,
    mould: Mould<'a>,
    spool: Spool,
}

impl Sink<'_> {
    fn drain(&mut self) -> Result<()> {
        let lines = Lines::new(Input::stdin()?, b'\n', self.producer.record_bytes_max());
        let mut stream = Stream::new(lines, false);
        loop {
            let taken = self.take(&mut stream);
            self.produce()?;
            taken?;
            let ready = self.producer.wait(Some(stream.as_fd()), None, &mut self.ledger)?;
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
                Some(Event::Data(line)) => self.spool.push(number, line),
                Some(Event::Long(_, bytes)) => self.producer.refuse(number, bytes),
                Some(Event::Mark(mark, _)) => self.mark(mark)?,
            }
            if self.spool.len() == BATCH || self.spool.bytes() >= SPOOL_BYTES {
                self.produce()?;
            }
        }
    }

    fn mark(&self, mark: Mark) -> Result<()> {
        match mark {
            Mark::Open { epochs: true, .. } if !self.args.no_transaction => {
                let reason = "has epochs, which need transactions; --no-transaction takes it \
                              without, at least once";
                Err(Error::caller("<stdin>", reason))
            }
            Mark::Abort { tool, code, message } => {
                Err(Error::Failed(Code(code), format!("{tool} failed: {message}")))
            }
            _ => Ok(()),
        }
    }

    /// Produces the spooled lines, once --tee has room for them.
    fn produce(&mut self) -> Result<()> {
        while self.ledger.held() > TEE_BYTES {
            self.producer.wait(None, Some(TEE_WAIT), &mut self.ledger)?;
        }
        let moulded = self.mould.records(self.spool.lines(), self.spool.len());
        self.ledger.expect(&moulded.records, self.spool.lines());
        self.producer.write(&moulded.records, &mut self.ledger)?;
        let refused = moulded.refused.map(|(number, _, refusal)| (number, refusal));
        self.spool.clear();
        match refused {
            Some((number, refusal)) => Err(refusal.at(&name(number, number))),
            None => Ok(()),
        }
    }
}

/// What is told of the records: failures on stderr, with --tee their lines on stdout.
struct Ledger {
    /// `None` without --tee, and when nobody reads it any more: producing goes on.
    tee: Option<(Tee, Output)>,
}

impl Ledger {
    fn new(args: &Args) -> Result<Ledger> {
        let output = args.tee.then(Output::stdout).transpose()?;
        Ok(Ledger { tee: output.map(|output| (Tee::default(), output)) })
    }

    /// Hears which of `lines` became records and are about to be produced.
    fn expect<'l>(
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
    fn held(&self) -> usize {
        self.tee.as_ref().map_or(0, |(tee, _)| tee.bytes())
    }

    fn passed(&mut self, result: Result<()>) -> Result<()> {
        if result == Err(Error::Closed) {
            self.tee = None;
            return Ok(());
        }
        result
    }
}

impl Reports for Ledger {
    fn acknowledged(&mut self, receipt: Receipt<'_>) -> Result<()> {
        let Some((tee, output)) = &mut self.tee else { return Ok(()) };
        tee.settle(receipt.number(), true, output.buffer());
        let spilled = output.spill();
        self.passed(spilled)
    }

    fn failed(&mut self, first: u64, last: u64, reason: &str) {
        say(format!("{}: {reason}", name(first, last)));
        if let Some((tee, output)) = &mut self.tee {
            for number in first..=last {
                tee.settle(number, false, output.buffer());
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        let Some((_, output)) = &mut self.tee else { return Ok(()) };
        let flushed = output.flush();
        self.passed(flushed)
    }
}

fn name(first: u64, last: u64) -> String {
    if first == last { format!("line {first}") } else { format!("lines {first} to {last}") }
}
