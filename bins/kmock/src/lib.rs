//! Runs a command with a throw-away Kafka broker.

mod command;
mod mock;
mod topic;

use std::ffi::OsString;

use clap::Parser;
use pipe::exit::{Code, Error, Result, say};
use pipe::stdio::{Input, Output};

use crate::mock::Mock;
use crate::topic::Topic;

const AFTER_HELP: &str = "\
EXAMPLES
  A pipeline with its own broker and a topic of 3 partitions:
    kmock pages:3 -- sh -c 'seq 9 | kprod -t pages; kcons -t pages -e'

  A broker for another terminal, until ^D:
    kmock pages:3

A signal goes to COMMAND: SIGTERM and SIGHUP are passed on, ^C reaches it from the terminal by \
itself, and kmock ends when COMMAND has ended. Topics that are made by use have 4 partitions. \
Groups form at once; KPIPE_MOCK=1 in COMMAND's environment tells kcons so.

EXIT STATUS
  that of COMMAND; 128 + N when signal N killed it; 126 when it cannot be run, 127 when it is \
not found; 1 when there is no broker; 2 for wrong options";

/// Runs COMMAND with a throw-away Kafka broker on 127.0.0.1, its address in `KPIPE_BROKERS`
///
/// The broker is librdkafka's mock, inside this process, and goes with it. Without COMMAND, its
/// address is printed, and it ends with stdin.
#[derive(Debug, Parser)]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    /// Topics to create, with 1 partition unless told
    #[arg(value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<Topic>,

    /// Number of brokers
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=99))]
    brokers: u16,

    /// Does not say what the mock broker cannot do
    #[arg(short, long)]
    quiet: bool,

    /// What to run
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Starts the broker, runs the command and ends with its code.
///
/// # Errors
/// When there is no broker, a topic is given twice, or the command cannot be run.
pub fn run(args: &Args) -> Result<Code> {
    let mock = Mock::start(args.brokers)?;
    for (index, topic) in args.topics.iter().enumerate() {
        if args.topics[..index].iter().any(|earlier| earlier.name == topic.name) {
            return Err(Error::caller(&topic.name, "is given twice"));
        }
        mock.create(&topic.name, topic.partitions, args.brokers)?;
    }
    let addresses = mock.addresses();
    if !args.quiet {
        say(format!(
            "{addresses}: a mock broker: in memory only, 5 MiB and 100,000 batches kept of a \
             partition, no transactions, no TLS"
        ));
    }
    if args.command.is_empty() {
        return serve(&addresses);
    }
    command::run(&args.command, &addresses)
}

/// Prints the address and waits for the end of stdin. A signal just kills: nothing is kept.
fn serve(addresses: &str) -> Result<Code> {
    let mut stdout = Output::stdout()?;
    stdout.buffer().extend_from_slice(addresses.as_bytes());
    stdout.buffer().push(b'\n');
    stdout.flush()?;
    let mut stdin = Input::stdin()?;
    while stdin.read(&mut [0; 4096], None)? != Some(0) {}
    Ok(Code::DONE)
}
