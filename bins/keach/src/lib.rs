//! `keach`: runs a command over the lines of each epoch.

use std::ffi::OsString;
use std::num::NonZeroI64;
use std::path::Path;

use pipe::exit::{Code, Error, Result};
use pipe::lines::{Fill, Lines};
use pipe::mark::{self, RS, Stream};
use pipe::stdio::{Input, Output};
use pipe::units::{self, Span};

pub mod command;
pub mod session;
pub mod signals;
pub mod spool;
pub mod stage;
pub mod stuffing;
pub mod teller;

use command::{Command, Fate};
use session::{Periods, Runner, Session};
use signals::Signals;
use stage::{Plan, Stage};
use teller::Teller;

/// Bytes of a first line that say whether the stream is marked.
const OPENING_BYTES: usize = 12;

/// Programs that find nothing without failing, and say that by exit code 1.
const SEEKERS: [&str; 3] = ["grep", "egrep", "fgrep"];

/// What is shown below the options.
const MORE: &str = "\
In a plain stream COMMAND runs once and gets all of stdin as it comes, or at each multiple of \
--every D what has come since; both begin with the first line, with --plain at once. \
In a stream with epochs (kcons --epoch) it runs at the \
end of each epoch once for each partition, with the lines that the epoch has from there, also when \
these are none. It gets the lines as a file that is complete. What it writes goes on when all runs \
of the epoch have succeeded, then the epoch's marks, then its barrier. A run that fails is tried \
again --retry times; then keach ends with exit code 75, and nothing of the epoch is committed. A \
marked stream without epochs is one piece, or, with --every, pieces by its ticks.

In the environment of a run are
    KPIPE_EPOCH    the number of the epoch, which starts at 1 with each assignment
    KPIPE_TIME     the time in ms: the last tick, with --every the multiple of D; at the end of a
                   plain stream the time then
    KPIPE_OFFSETS  a file of lines TOPIC PARTITION FROM UNTIL, the offsets of its lines

UNTIL is the offset behind the last one. So a program can keep the \
offsets in the store that it writes to, in one transaction with the \
results, and kcons --from-offsets starts there: then it has to refuse a FROM that is not the UNTIL \
that it has, and a pipe may end in keach. What else COMMAND does to the world is done again when \
the epoch is.

With --together it is one run for all partitions. No stage that keeps state, as swin and topk, may \
follow then, unless one partition is assigned: they refuse the lines.

--stats says on stderr from the first line on, also while COMMAND runs, how many lines it was \
given (in; those of a run that is tried again count once), how many went on of what it wrote \
(out), and the last epoch that went on (epoch). A plain stream without --every goes through \
uncounted.

COMMAND has its own process group, so ^C does not reach it, and ends with its first process; what \
that leaves behind and still holds its stdout is killed after a second. Lines that are held take 1 \
MiB of memory for each partition, the others are in files in TMPDIR. On a terminal no marks are \
written.

EXAMPLES
    Lines of a topic that grep finds, exactly once in another:
        kcons -t log -g g --epoch 1s | keach grep ERROR | ksink -t errors
    A column by jq, in the middle of a pipe:
        kcons -t in -g g --epoch 1s | keach jq -c '{page, heat}' | topk heat --key page --upsert
    Offsets are committed when the work is done:
        kcons -t jobs -g g --epoch 5s | keach --skip-empty ./work.sh | ksink --offsets-only
    How many lines come, every 10 s:
        tail -f app.log | keach --every 10s wc -l

EXIT STATUS
    0  done, or the reader of stdout has gone
    1  the world: a full disk, a program before this one that adds or loses lines
    2  the caller: a wrong option, or no such COMMAND
    75 COMMAND failed, a marked stream was cut short, or its reader left while it had epochs: run \
it again";

/// Runs a command over the lines of each epoch
#[derive(Debug, clap::Parser)]
#[command(name = "keach", version, after_long_help = MORE)]
pub struct Args {
    /// What to run, as it is
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        required_unless_present = "script",
        conflicts_with = "script"
    )]
    command: Vec<OsString>,

    /// Runs STRING by sh instead
    #[arg(short = 'c', value_name = "STRING", allow_hyphen_values = true)]
    script: Option<String>,

    /// In a stream without epochs: one run at each multiple of D, and at the end
    #[arg(long, value_name = "D", value_parser = period)]
    every: Option<NonZeroI64>,

    /// One run for all partitions
    #[arg(long)]
    together: bool,

    /// No run where there are no lines
    #[arg(long)]
    skip_empty: bool,

    /// Tries a run that failed again, so often
    #[arg(long, value_name = "N", default_value_t = 0)]
    retry: u32,

    /// Exit codes of a run that succeeded [default: 0; 0,1 for grep]
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    ok: Vec<u8>,

    /// How long COMMAND may go on after a signal has asked to stop; then it is killed
    #[arg(long, value_name = "D", default_value = "10s")]
    shutdown_timeout: Span,

    #[command(flatten)]
    lines: InputLines,

    /// Says how fast it goes every D and at the end, as a line of JSON
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    stats: Option<Span>,

    /// Says nothing but failures
    #[arg(short, long)]
    quiet: bool,
}

/// What the lines of stdin are.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
struct InputLines {
    /// Lines that start with RS are data, not marks
    #[arg(long)]
    plain: bool,

    /// The longest line of a marked stream
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = units::size)]
    max_line: usize,
}

fn period(text: &str) -> Result<NonZeroI64, String> {
    let span: Span = text.parse()?;
    NonZeroI64::new(span.ms()).ok_or_else(|| "must be more than zero".to_owned())
}

impl Args {
    fn command(&self) -> Command {
        let words = match &self.script {
            Some(script) => vec!["sh".into(), "-c".into(), script.into()],
            None => self.command.clone(),
        };
        let (program, arguments) = words.split_first().expect("a command is required");
        let base = Path::new(program).file_name().unwrap_or_default();
        let good = match self.ok.as_slice() {
            [] if SEEKERS.iter().any(|seeker| base == *seeker) => vec![0, 1],
            [] => vec![0],
            codes => codes.to_vec(),
        };
        Command {
            name: self.script.clone().unwrap_or_else(|| program.display().to_string()),
            program: program.clone(),
            arguments: arguments.to_vec(),
            good,
            patience: self.shutdown_timeout.duration(),
        }
    }

    fn plan(&self) -> Plan {
        Plan {
            together: self.together,
            skip_empty: self.skip_empty,
            every_ms: self.every.map(NonZeroI64::get),
        }
    }
}

/// Reads stdin to its end and has the command make of it what goes to stdout.
///
/// # Errors
/// When there is no such command, it fails, or a stream does.
pub fn run(args: &Args) -> Result<Code> {
    let command = args.command();
    command.check()?;
    let mut signals = Signals::listen()?;
    let stdout = Output::stdout()?;
    let mut lines = Lines::new(Input::stdin()?, b'\n', args.lines.max_line);
    let runner = |signals| Runner {
        command: command.clone(),
        retries: args.retry,
        quiet: args.quiet,
        signals,
        stdout,
        teller: Teller::new(args.stats.map(Span::duration)),
    };
    if !args.lines.plain && is_marked(&mut lines)? {
        let stage = Stage::new(args.plan());
        return Session::new(runner(signals), Stream::new(lines, false), stage).run();
    }
    if let Some(every_ms) = args.every {
        let periods = Periods::new(runner(signals), lines, every_ms.get(), args.skip_empty);
        return periods.run();
    }
    if args.retry > 0 {
        let reason = "a plain stream is not held, so that nothing is left to try again with";
        return Err(Error::caller("--retry", reason));
    }
    if args.stats.is_some() {
        let reason = "a plain stream goes through without being counted, unless there is --every";
        return Err(Error::caller("--stats", reason));
    }
    if args.skip_empty && is_empty(&mut lines)? {
        return Ok(Code::DONE);
    }
    match command.run_through(&mut lines, &mut signals)? {
        Fate::Good | Fate::Closed => Ok(Code::DONE),
        Fate::Failed(why) => Err(Error::unfinished(&command.name, why)),
    }
}

/// Whether the first line says that the stream is marked; waits until that is known.
fn is_marked(lines: &mut Lines) -> Result<bool> {
    loop {
        let unread = lines.unread();
        let unknown = unread.first().is_none_or(|first| *first == RS);
        if !unknown || unread.len() >= OPENING_BYTES || unread.contains(&b'\n') {
            return Ok(mark::is_opening(unread));
        }
        let bytes = unread.len();
        let fill = lines.fill(None)?;
        // At the end, what is left is said to be there.
        if fill == Fill::End || (fill == Fill::Data && lines.unread().len() == bytes) {
            return Ok(false);
        }
    }
}

fn is_empty(lines: &mut Lines) -> Result<bool> {
    while lines.unread().is_empty() {
        if lines.fill(None)? == Fill::End {
            return Ok(true);
        }
    }
    Ok(false)
}
