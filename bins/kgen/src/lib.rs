//! Behaviour generator: reproducible rows by rate or in bursts.

#[cfg(test)]
mod chi_square;
pub mod date;
pub mod draw;
pub mod form;
pub mod host;
pub mod logs;
pub mod marker;
pub mod message;
pub mod meter;
pub mod numbers;
pub mod pages;
pub mod profile;
pub mod schedule;
pub mod stream;
pub mod visits;
pub mod withdrawals;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pipe::exit::{Code, Error, Result, say};
use pipe::mark::{How, Mark};
use pipe::rate::Rate;
use pipe::stdio::Output;
use pipe::stop::Stop;
use pipe::units::{self, Span};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::form::Form;
use crate::logs::{ErrorShare, Layout};
use crate::marker::Marker;
use crate::meter::Machine;
use crate::profile::{Kind, Profile};
use crate::schedule::{Bursts, Law, Schedule};
use crate::stream::{Next, Stream};
use crate::visits::{BLOCK_ROWS, FraudShare};

/// 2025-01-01T00:00:00Z, where the time starts with a seed.
const SEED_START_MS: i64 = 1_735_689_600_000;
/// Between two rows with a seed, when nothing else says how far they are apart.
const SEED_STEP_MS: i64 = 1;
/// Rows a second of host, unless said otherwise.
const HOST_RATE: f64 = 1.0;
/// Why an option of logs is refused.
const LOGS: &str = "is for logs";
/// Why an option of made rows is refused for measured ones.
const MEASURED: &str = "host is measured now, so no second run is the same";
/// Within this a card is used too often at one machine.
const FRAUD_MS: i64 = 15 * 60 * 1_000;
const TICK_MS: i64 = 100;
const BELOW: u64 = 10;
/// A shorter wait costs more than the rows that it keeps apart.
const WAIT_MIN: Duration = Duration::from_millis(1);

const AFTER_HELP: &str = "\
PROFILES
  pages        page27|5|1.5119122|-1
               page1 to page100, clicks 1 to 5, minutes stayed below 5, liked 1, 0 or -1
  numbers      7
               an integer 0 to 9 (--below N)
  logs         2026-11-21T10:00:00.123Z ERROR payment order 5312 timed out
               5 % ERROR (--error-share P), 15 % WARN, the rest INFO; as a web server's with
               --apache: [Sat Nov 21 10:00:00 2026] [ERROR] [client 10.1.2.3] script not found
  withdrawals  1735689600000,card417,atm27,account209,60
               time, card, cash machine, account, and a sum of 10 to 500. Of 1,000 cards 10 are
               thieves' (--fraud-share P). In every 4,000 rows each card makes four withdrawals,
               within 16 rows: a thief's three or four at one machine, the others at most two. None
               comes back to a machine later, so that more than two rows of a card at a machine are
               always fraud
  host         1735689600000,web1,12.50,61.33
               this machine, measured: time, host, and in percent the CPU used since the row before
               and the memory in use; a row a second unless --rate or --burst say otherwise, and a
               new measurement every 200 ms at most

TIME
  A row's time follows --step, --rate or --burst; else it is 1 ms a row with --seed, and the clock
  without. It starts at --start, else at 2025-01-01 with --seed, else now. With --step the time is
  simulated and nothing waits; in bursts it lies between the rows of a burst. logs, withdrawals
  and host show it, --with-time puts it in front of the other rows, and marks follow it.

EXAMPLES
  kgen pages -n 3 --seed 1                      three visits, the same ones every time
  kgen pages --burst 0..50 --every 5s           up to 50 visits every 5 seconds
  kgen numbers --rate 1                         a number a second
  kgen numbers --below 2 -n 1000 | sort | uniq -c
  kgen pages --seed 1 --with-time --step 250ms -n 1000000
                                                three days of visits, in a moment
  kgen logs --error-share 0.5 --rate 10         a bad day
  kgen withdrawals --seed 1 --step 1s -n 86400  a day of withdrawals with 214 cases of fraud
  kgen host --rate 0.2 | tee usage              CPU and memory every 5 seconds
  kgen pages --seed 1 -n 9999 --marks | swin …  with time and positions, without a broker

EXIT STATUS
  0  all rows are written, a signal came, or the reader of stdout has gone
  1  the world failed: a full disk
  2  the command line is wrong
  75 the reader of stdout left a stream that has epochs: run it again";

/// Behaviour generator: reproducible rows by rate or in bursts.
///
/// Writes the rows of a profile to stdout. The same seed and options give the same bytes on every
/// machine, at any rate; but host measures.
#[derive(Parser, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    /// What the rows are about
    #[arg(
        value_name = "PROFILE",
        value_parser = PossibleValuesParser::new(Kind::NAMES).try_map(|name| name.parse::<Kind>())
    )]
    profile: Kind,
    /// Rows, then end; without it endless
    #[arg(short = 'n', long, value_name = "N", value_parser = whole)]
    count: Option<u64>,
    /// Rows a second; a stalled pipe is caught up
    #[arg(long, value_name = "R")]
    rate: Option<Rate>,
    /// Rows in a burst, both ends in
    #[arg(long, value_name = "A..B")]
    burst: Option<units::Range>,
    /// Time from one burst to the next
    #[arg(long, value_name = "D", value_parser = lasting)]
    every: Option<Span>,
    /// Makes the rows the same every time; without it a seed is drawn and said on stderr
    #[arg(long, value_name = "S", value_parser = whole)]
    seed: Option<u64>,
    /// Puts the event time in front of each row, in milliseconds since 1970, where it is not shown
    #[arg(long)]
    with_time: bool,
    /// First event time: a date, RFC 3339 or milliseconds
    #[arg(long, value_name = "T", value_parser = date::parse, allow_negative_numbers = true)]
    start: Option<i64>,
    /// Event time between rows, without waiting
    #[arg(long, value_name = "D")]
    step: Option<Span>,
    /// Form of the rows; csv has a header line
    #[arg(
        short = 'o',
        long,
        value_name = "FORM",
        default_value = "text",
        value_parser = PossibleValuesParser::new(Form::NAMES).try_map(|name| name.parse::<Form>())
    )]
    output: Form,
    /// Writes marks between the rows: positions and time for swin and topk (not on a terminal)
    #[arg(long)]
    marks: bool,
    /// Time between ticks [default: 100ms, or --epoch if shorter, or --step if longer]
    #[arg(long, value_name = "D", value_parser = lasting)]
    tick: Option<Span>,
    /// Writes a barrier at each multiple of D
    #[arg(long, value_name = "D", value_parser = lasting)]
    epoch: Option<Span>,
    /// numbers: integers below N [default: 10]
    #[arg(long, value_name = "N", value_parser = more_than_zero)]
    below: Option<u64>,
    /// logs: the share of rows that are errors [default: 0.05]
    #[arg(long, value_name = "P")]
    error_share: Option<ErrorShare>,
    /// logs: as a web server writes its error log
    #[arg(long)]
    apache: bool,
    /// withdrawals: the share of cards that are thieves', in thousandths [default: 0.01]
    #[arg(long, value_name = "P")]
    fraud_share: Option<FraudShare>,
    /// Does not say the seed
    #[arg(short, long)]
    quiet: bool,
}

/// Writes rows until there are enough, a signal comes or the reader goes.
///
/// # Errors
/// When the options do not fit together, or stdout fails.
pub fn run(args: &Args) -> Result<Code> {
    args.check()?;
    let seed = args.seed()?;
    let mut out = Output::stdout()?;
    let schedule = Schedule::new(args.law(seed)?, args.count.unwrap_or(u64::MAX));
    if args.seed.is_none() && args.profile != Kind::Host && !args.quiet {
        say(format_args!("seed {seed}"));
    }
    let stop = Stop::listen()?;
    let profile = args.profile(seed, &stop)?;
    let start_ms = args.start_ms();
    // Marks are for programs: a terminal shows the rows alone.
    let marker = args.marker(start_ms).filter(|_| !out.is_terminal());
    let mut stream = Stream::new(profile, schedule, marker, start_ms);
    stream.open(out.buffer());
    let ended = write(&mut stream, &stop, &mut out).and_then(|how| {
        stream.end(how, out.buffer());
        out.flush()
    });
    match ended {
        // What was not read belongs to an epoch that nobody will commit.
        Err(Error::Closed) if args.epoch.is_some() => {
            Err(Error::unfinished("<stdout>", "the reader has gone before the stream ended"))
        }
        ended => ended.map(|()| Code::DONE),
    }
}

/// Writes what is due when it is due, and says why it ended.
fn write(stream: &mut Stream, stop: &Stop, out: &mut Output) -> Result<How> {
    let start = Instant::now();
    while !stop.requested() {
        match stream.step(start.elapsed(), out.buffer()) {
            Next::Step => out.spill()?,
            Next::Flush => out.flush()?,
            Next::Wait(until) => {
                out.flush()?;
                stop.wait(until.saturating_sub(start.elapsed()).max(WAIT_MIN));
            }
            Next::End => return Ok(How::Drained),
            Next::TooLate => return Err(too_late(stream, out)),
        }
    }
    Ok(How::Stopped)
}

/// A meter of this machine that has waited for its second sample, or for a signal.
fn settled(stop: &Stop) -> Result<Machine> {
    let machine = Machine::new().map_err(|reason| Error::world("host", reason))?;
    while !stop.requested() && !machine.settles_in().is_zero() {
        stop.wait(machine.settles_in().max(WAIT_MIN));
    }
    Ok(machine)
}

/// Ends a stream whose time has left the calendar.
fn too_late(stream: &Stream, out: &mut Output) -> Error {
    let message = "time: the next row would be later than the year 9999".to_owned();
    if stream.is_marked() {
        let abort =
            Mark::Abort { tool: "kgen".to_owned(), code: Code::WORLD.0, message: message.clone() };
        abort.write(out.buffer());
    }
    match out.flush() {
        Ok(()) => Error::Failed(Code::WORLD, message),
        Err(error) => error,
    }
}

impl Args {
    /// Refuses options that do not fit together, or that would do nothing.
    fn check(&self) -> Result<()> {
        let timed = [Kind::Logs, Kind::Withdrawals, Kind::Host].contains(&self.profile);
        let shows_time = self.with_time || self.marks || timed;
        let measured = self.profile == Kind::Host;
        let by_burst = self.burst.is_some();
        let by_step = self.step.is_some();
        let no_time = "no row shows the time; add --with-time or --marks";
        let no_marks = "stands in a marked stream only; add --marks";
        let refusals = [
            (measured && self.seed.is_some(), "--seed", MEASURED),
            (measured && self.start.is_some(), "--start", MEASURED),
            (measured && by_step, "--step", MEASURED),
            (by_burst && self.every.is_none(), "--burst", "needs --every D"),
            (self.every.is_some() && !by_burst, "--every", "is between bursts; add --burst A..B"),
            (self.rate.is_some() && by_burst, "--rate", "bursts have --every instead"),
            (self.rate.is_some() && by_step, "--rate", "nothing waits with --step"),
            (by_step && !shows_time, "--step", no_time),
            (self.start.is_some() && !shows_time, "--start", no_time),
            (self.tick.is_some() && !self.marks, "--tick", no_marks),
            (self.epoch.is_some() && !self.marks, "--epoch", no_marks),
            (self.marks && self.output == Form::Csv, "--marks", "a CSV header has no position"),
            (self.below.is_some() && self.profile != Kind::Numbers, "--below", "is for numbers"),
            (self.error_share.is_some() && self.profile != Kind::Logs, "--error-share", LOGS),
            (self.apache && self.profile != Kind::Logs, "--apache", LOGS),
            (
                self.fraud_share.is_some() && self.profile != Kind::Withdrawals,
                "--fraud-share",
                "is for withdrawals",
            ),
            (self.apache && self.output != Form::Text, "--apache", "is a form of text, not of -o"),
        ];
        match refusals.into_iter().find(|(refused, ..)| *refused) {
            Some((_, option, reason)) => Err(Error::caller(option, reason)),
            None => Ok(()),
        }
    }

    fn seed(&self) -> Result<u64> {
        let drawn = || SysRng.try_next_u32().map(u64::from);
        let seed = self.seed.map_or_else(drawn, Ok);
        seed.map_err(|error| Error::world("seed", format!("the system gives none: {error}")))
    }

    /// The time of the first row, in milliseconds since 1970.
    fn start_ms(&self) -> i64 {
        let seeded = self.seed.map(|_| SEED_START_MS);
        self.start.or(seeded).unwrap_or_else(|| {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since_1970.as_millis()).unwrap_or(date::MS_MAX)
        })
    }

    fn law(&self, seed: u64) -> Result<Law> {
        let law = self.pace(seed)?;
        let block_ms = law.span_ms(BLOCK_ROWS as u64 - 1);
        if self.profile == Kind::Withdrawals && block_ms > FRAUD_MS {
            let every = self.every.map(|_| "--every");
            let option = every.or(self.rate.map(|_| "--rate")).unwrap_or("--step");
            let reason = "a theft is told by 15 minutes, so 16 rows have to lie within them";
            return Err(Error::caller(option, reason));
        }
        Ok(law)
    }

    /// When rows are due.
    fn pace(&self, seed: u64) -> Result<Law> {
        if let Some((sizes, every)) = self.burst.zip(self.every) {
            let bursts = Bursts::new(seed, sizes, every, self.step);
            let bursts = bursts.map_err(|reason| Error::caller("--burst", reason))?;
            return Ok(Law::Bursts(Box::new(bursts)));
        }
        let measured = self.profile == Kind::Host;
        let by_default = || measured.then(|| Rate::new(HOST_RATE).expect("more than zero"));
        let by_rate = self.rate.or_else(by_default).map(Law::Rate);
        let by_step = self.step.map(|step| Law::Steps(step.ms()));
        let by_seed = self.seed.map(|_| Law::Steps(SEED_STEP_MS));
        Ok(by_rate.or(by_step).or(by_seed).unwrap_or(Law::Clock))
    }

    fn profile(&self, seed: u64, stop: &Stop) -> Result<Profile> {
        Ok(match self.profile {
            Kind::Pages => Profile::pages(seed, self.output, self.with_time),
            Kind::Numbers => {
                let below = self.below.unwrap_or(BELOW);
                Profile::numbers(seed, self.output, self.with_time, below)
            }
            Kind::Logs => {
                let application = Layout::Application(self.output);
                let layout = if self.apache { Layout::Apache } else { application };
                Profile::logs(seed, layout, self.error_share.unwrap_or(ErrorShare::DEFAULT))
            }
            Kind::Withdrawals => {
                let share = self.fraud_share.unwrap_or(FraudShare::DEFAULT);
                Profile::withdrawals(seed, self.output, share)
            }
            Kind::Host => {
                let machine = settled(stop)?;
                Profile::host(self.output, &machine.name(), Box::new(machine))
            }
        })
    }

    fn marker(&self, start_ms: i64) -> Option<Marker> {
        let epoch_ms = self.epoch.map(Span::ms);
        let longest_ms = TICK_MS.max(self.step.map_or(0, Span::ms));
        let default_ms = longest_ms.min(epoch_ms.unwrap_or(i64::MAX));
        let tick_ms = self.tick.map_or(default_ms, Span::ms);
        self.marks.then(|| Marker::new(start_ms, tick_ms, epoch_ms))
    }
}

/// Reads a whole number that is not negative.
fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "not a whole number below 2^64".to_owned())
}

fn more_than_zero(text: &str) -> Result<u64, String> {
    match whole(text)? {
        0 => Err("must be more than zero".to_owned()),
        number => Ok(number),
    }
}

fn lasting(text: &str) -> Result<Span, String> {
    match text.parse::<Span>()? {
        span if span.ms() == 0 => Err("must be more than zero".to_owned()),
        span => Ok(span),
    }
}
