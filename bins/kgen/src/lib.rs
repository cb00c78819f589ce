//! Behaviour generator: reproducible rows by rate or in bursts.

pub mod chance;
#[cfg(test)]
mod chi_square;
pub mod column;
pub mod date;
pub mod draw;
pub mod envelope;
pub mod faults;
pub mod fleet;
pub mod form;
pub mod host;
pub mod keys;
pub mod lane;
pub mod logs;
pub mod marker;
pub mod message;
pub mod meter;
pub mod numbers;
pub mod pages;
pub mod part;
pub mod profile;
mod refusals;
pub mod schedule;
pub mod server;
pub mod sink;
pub mod stream;
pub mod table;
pub mod typed;
pub mod visits;
pub mod way;
pub mod withdrawals;
pub mod words;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pipe::bar::{Bar, Unit};
use pipe::exit::{Code, Error, Result, say, say_bare};
use pipe::lines::{Fill, Line, Lines};
use pipe::mark::{How, Mark};
use pipe::rate::Rate;
use pipe::stats::{self, Gauges, Stats};
use pipe::stdio::{Input, Output};
use pipe::stop::Stop;
use pipe::units::{self, Span};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::column::Spec;
use crate::envelope::Envelope;
use crate::faults::{Chance, Fates, Late, Risks};
use crate::fleet::Fleet;
use crate::form::Form;
use crate::keys::{Keys, Spread};
use crate::logs::{ErrorShare, Layout};
use crate::marker::Marker;
use crate::meter::Machine;
use crate::part::{Part, Shard};
use crate::profile::{Kind, Profile};
use crate::schedule::{Bursts, Law, Schedule, millis};
use crate::server::Server;
use crate::sink::Sink;
use crate::stream::{Next, Stream};
use crate::table::Table;
use crate::typed::Typed;
use crate::visits::{BLOCK_ROWS, FraudShare};
use crate::way::{Records, Way};

/// 2025-01-01T00:00:00Z, where the time starts with a seed.
const SEED_START_MS: i64 = 1_735_689_600_000;
/// Between two rows with a seed, when nothing else says how far they are apart.
const SEED_STEP_MS: i64 = 1;
/// Rows a second of host, unless said otherwise.
const HOST_RATE: f64 = 1.0;
/// Within this a card is used too often at one machine.
const FRAUD_MS: i64 = 15 * 60 * 1_000;
const TICK_MS: i64 = 100;
const BELOW: u64 = 10;
const PAGES: u64 = 100;
/// Machines of a fleet, each of which reports once a second.
const HOSTS: u64 = 10;
/// A line of stdin may be as long as memory is.
const LINE_BYTES_MAX: usize = usize::MAX / 4;
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
  fleet        1735689600000,host7,34.18,52.07
               the same of --hosts N machines, simulated: they report in turn, follow the day of
               three regions, and on one day of ten fail: the memory fills up within an hour, then
               the machine is down and reads 0.00 for 10 minutes
  rows         5212,103.27,de
               columns of one's own, each a --column NAME=KIND:
                 zipf(n,s)            1 to n, the k-th of which comes as 1/k^s
                 normal(mean,dev)     with as many decimals as show 4 digits of the deviation
                 uniform(a,b)         whole numbers with both ends in, or decimals below b
                 seq                  the number of the row, from 0
                 choice(a,b,…)        one of them
                 const(x)             always the same
                 words(n)             n English words
                 uuid                 a random UUID
                 time                 the row's time, as 2025-01-01T00:00:00.000Z
                 hex(n)               n hexadecimal digits
               --keys N puts a column `key` in front, 1 to N; NAME@key=KIND is drawn once for each
               key, so that all rows of a key have the same
  stdin        the lines of stdin, paced and served

TIME
  A row's time follows --step, --rate or --burst; else it is 1 ms a row with --seed, and the clock
  without. It starts at --start, else at 2025-01-01 with --seed, else now. With --step the time is
  simulated and nothing waits; in bursts it lies between the rows of a burst. logs, withdrawals
  and host show it, --with-time puts it in front of the other rows, and marks follow it.

FAULTS
  Rows happen in the order of their times, and arrive as --late, --dup, --lose and --disorder let
  them. --truth FILE has the rows as they happened, --faults FILE a line of JSON for each fault:
  the row (its place in the truth, from 0), its kind (late, moved, dup or lost), and by_ms, how
  much later that made it arrive. kgen-check compares a pipeline's results with the truth.

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
  kgen pages --seed 1 --skip 1000000 -n 10      ten rows out of the middle, at once
  kgen pages --seed 1 -n 9999 --shard 2/3       every third row; three shards are the whole
  kgen fleet --hosts 50 --seed 1 --step 100ms   machines for a monitor, ten rows a second
  kgen rows --column id=uuid --column 'user=zipf(1000000,1.1)' --column 'amount=normal(100,15)'
  kgen pages --rate 1000 --late 0.01:5s --dup 0.001 --truth truth --faults faults
  kgen stdin --listen 9999                      type lines to every client that connects

EXIT STATUS
  0  all rows are written, a signal came, or the reader of stdout has gone
  1  the world failed: a full disk, a port in use
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
    #[arg(short = 'n', short_alias = 'c', long, value_name = "N", value_parser = whole)]
    count: Option<u64>,
    /// Rows a second; a stalled pipe is caught up
    #[arg(long, value_name = "R")]
    rate: Option<Rate>,
    /// Rows in a burst, both ends in
    #[arg(long, value_name = "A..B")]
    burst: Option<units::Range>,
    /// Time from one burst to the next
    #[arg(long, value_name = "D", value_parser = units::lasting)]
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
    /// Writes each row in an envelope of JSON with its key and its time, as kcons -J
    #[arg(short = 'J', long)]
    envelope: bool,
    /// Writes marks between the rows: positions and time for swin and topk (not on a terminal)
    #[arg(long)]
    marks: bool,
    /// Time between ticks [default: 100ms, or --epoch if shorter, or --step if longer]
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    tick: Option<Span>,
    /// Writes a barrier at each multiple of D
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    epoch: Option<Span>,
    /// numbers: integers below N [default: 10]
    #[arg(long, value_name = "N", value_parser = more_than_zero, help_heading = "Profiles")]
    below: Option<u64>,
    /// Starts at the row N, which is made without those before it
    #[arg(long, value_name = "N", value_parser = whole)]
    skip: Option<u64>,
    /// Every M-th row, from the I-th; -n counts the rows of all shards
    #[arg(long, value_name = "I/M")]
    shard: Option<Shard>,
    /// Each row is late with the probability P, by up to D of its time
    #[arg(long, value_name = "P:D", help_heading = "Faults")]
    late: Option<Late>,
    /// Each row is sent twice with the probability P
    #[arg(long, value_name = "P", help_heading = "Faults")]
    dup: Option<Chance>,
    /// Each row is lost with the probability P
    #[arg(long, value_name = "P", help_heading = "Faults")]
    lose: Option<Chance>,
    /// All rows are shuffled within D of their time
    #[arg(long, value_name = "D", value_parser = units::lasting, help_heading = "Faults")]
    disorder: Option<Span>,
    /// Writes the rows as they happened: in the order of time, each once, none lost
    #[arg(long, value_name = "FILE", help_heading = "Faults")]
    truth: Option<PathBuf>,
    /// Writes a line of JSON for each fault
    #[arg(long, value_name = "FILE", help_heading = "Faults")]
    faults: Option<PathBuf>,
    /// rows: a column NAME=KIND, again for each
    #[arg(long, value_name = "SPEC", help_heading = "Profiles")]
    column: Vec<Spec>,
    /// pages, rows: the number of keys [default of pages: 100]
    #[arg(long, value_name = "N", value_parser = more_than_zero, help_heading = "Profiles")]
    keys: Option<u64>,
    /// pages, rows: keys come by Zipf's law with the exponent S
    #[arg(long, value_name = "S", value_parser = decimal, help_heading = "Profiles")]
    zipf: Option<f64>,
    /// fleet: the number of machines [default: 10]
    #[arg(long, value_name = "N", value_parser = more_than_zero, help_heading = "Profiles")]
    hosts: Option<u64>,
    /// logs: the share of rows that are errors [default: 0.05]
    #[arg(long, value_name = "P", help_heading = "Profiles")]
    error_share: Option<ErrorShare>,
    /// logs: as a web server writes its error log
    #[arg(long, help_heading = "Profiles")]
    apache: bool,
    /// withdrawals: the share of cards that are thieves', in thousandths [default: 0.01]
    #[arg(long, value_name = "P", help_heading = "Profiles")]
    fraud_share: Option<FraudShare>,
    /// Serves every TCP client at HOST:PORT, or at a port of this machine, instead of stdout
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Says how fast it goes every D and at the end, as a line of JSON on stderr
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    stats: Option<Span>,
    /// Does not say the seed, nor where it listens, and shows no bar
    #[arg(short, long)]
    quiet: bool,
}

/// Writes rows until there are enough, a signal comes or the reader goes.
///
/// # Errors
/// When the options do not fit together, or an output fails.
pub fn run(args: &Args) -> Result<Code> {
    refusals::check(args)?;
    let seed = args.seed()?;
    let part = args.part();
    let schedule = Schedule::new(args.law(seed)?, part);
    let output = Output::stdout()?;
    let stop = Stop::listen()?;
    let profile = args.profile(seed, &stop)?;
    let mut sink = match &args.listen {
        None => Sink::Stdout(output),
        Some(address) => {
            let server = Server::listen(address, profile.header().unwrap_or_default())?;
            Sink::Clients(Box::new(server))
        }
    };
    args.introduce(seed, &sink);
    let start_ms = args.start_ms();
    let first_ms = start_ms.saturating_add(millis(schedule.base()));
    // Marks are for programs: a terminal shows the rows alone.
    let marker = args.marker(first_ms, schedule.next()).filter(|_| !sink.is_terminal());
    let stream = Stream::new(profile, schedule, marker, start_ms)
        .in_envelopes(args.envelope.then(|| Envelope::new(part.shard)))
        .on_the_way(args.way(seed));
    let input = match args.profile {
        Kind::Stdin => Some(Lines::new(Input::stdin()?, b'\n', LINE_BYTES_MAX)),
        _ => None,
    };
    let files = Files::create(args)?;
    if let Sink::Clients(server) = &mut sink {
        server.wait_for_a_client(&stop)?;
    }
    let stats = args.stats.map(|every| Stats::new("kgen", every.duration()));
    let bar = args.bar(&sink);
    let mut run = Run { stream, stop, sink, input, files, stats, bar, start: Instant::now() };
    match run.whole() {
        // What was not read belongs to an epoch that nobody will commit.
        Err(Error::Closed) if args.epoch.is_some() => {
            Err(Error::unfinished("<stdout>", "the reader has gone before the stream ended"))
        }
        ended => ended.map(|()| Code::DONE),
    }
}

/// A stream that runs, and everything that it runs to.
struct Run {
    stream: Stream,
    stop: Stop,
    sink: Sink,
    /// Where rows come in from, when they do.
    input: Option<Lines>,
    files: Files,
    stats: Option<Stats>,
    /// A bar with the rows that there will be.
    bar: Option<(Bar, u64)>,
    start: Instant,
}

impl Run {
    /// Writes all of the stream.
    fn whole(&mut self) -> Result<()> {
        // Clients get the header when they come.
        let mut unsent = Vec::new();
        let opening = match &mut self.sink {
            Sink::Stdout(output) => output.buffer(),
            Sink::Clients(_) => &mut unsent,
        };
        self.stream.open(opening);
        let how = self.write().inspect_err(|_| drop(self.files.flush()))?;
        self.stream.end(how, self.sink.buffer());
        self.files.keep(&mut self.stream)?;
        self.files.flush()?;
        self.sink.end(&self.stop)?;
        self.bar = None;
        self.say_stats(true);
        Ok(())
    }

    /// Writes what is due when it is due, and says why it ended.
    fn write(&mut self) -> Result<How> {
        while !self.stop.requested() {
            let next = self.stream.step(self.start.elapsed(), self.sink.buffer());
            self.files.keep(&mut self.stream)?;
            if let Some((bar, rows)) = &self.bar {
                bar.show(self.stream.happened(), *rows);
            }
            self.say_stats(false);
            match next {
                Next::Step => self.sink.spill(&self.stop)?,
                Next::Flush => self.sink.flush(&self.stop)?,
                Next::Wait(until) => self.wait(until, false)?,
                Next::Input(until) => {
                    if !self.take_in()? {
                        self.wait(until, true)?;
                    }
                }
                Next::End => return Ok(How::Drained),
                Next::TooLate => return Err(self.too_late()),
            }
        }
        Ok(How::Stopped)
    }

    /// Passes on what is written and waits until so much has passed since the start, or with
    /// `input` until a row comes in.
    fn wait(&mut self, until: Duration, input: bool) -> Result<()> {
        self.files.flush()?;
        self.sink.flush(&self.stop)?;
        let now = self.start.elapsed();
        let stats = self.stats.as_ref().map_or(Duration::MAX, |stats| stats.wait(now));
        let time = until.saturating_sub(now).min(stats).max(WAIT_MIN);
        let input = self.input.as_ref().filter(|_| input);
        self.sink.wait(&self.stop, input.map(|lines| lines as &dyn std::os::fd::AsFd), time)
    }

    /// Takes in the rows that have come; whether there is news.
    fn take_in(&mut self) -> Result<bool> {
        let Some(lines) = &mut self.input else { return Ok(false) };
        let fill = lines.fill(Some(Duration::ZERO))?;
        while let Some(line) = lines.next_line() {
            match line {
                Line::Whole(line) | Line::Torn(line) | Line::Long(line, _) => {
                    self.stream.take_in(line);
                }
            }
        }
        if fill == Fill::End {
            self.stream.close();
        }
        Ok(fill != Fill::Quiet)
    }

    /// Says how fast it goes, when that is due, or it is the last time.
    fn say_stats(&mut self, last: bool) {
        let Some(stats) = &mut self.stats else { return };
        let now = self.start.elapsed();
        if last || stats.wait(now).is_zero() {
            stats.set(self.stream.happened(), self.stream.written());
            let slip_ms = Some(stats::ms(self.stream.slip()));
            say_bare(stats.line(now, Gauges { slip_ms, ..Gauges::default() }));
        }
    }

    /// Ends a stream whose time has left the calendar.
    fn too_late(&mut self) -> Error {
        let message = "time: the next row would be later than the year 9999".to_owned();
        let out = self.sink.buffer();
        if self.stream.is_marked() {
            let (tool, code) = ("kgen".to_owned(), Code::WORLD.0);
            Mark::Abort { tool, code, message: message.clone() }.write(out);
        }
        match self.files.flush().and_then(|()| self.sink.end(&self.stop)) {
            Ok(()) => Error::Failed(Code::WORLD, message),
            Err(error) => error,
        }
    }
}

/// The files beside the stream.
struct Files {
    truth: Option<Output>,
    faults: Option<Output>,
}

impl Files {
    fn create(args: &Args) -> Result<Files> {
        let create = |path: &Option<PathBuf>| path.as_deref().map(Output::create).transpose();
        Ok(Files { truth: create(&args.truth)?, faults: create(&args.faults)? })
    }

    /// Takes what was written down.
    fn keep(&mut self, stream: &mut Stream) -> Result<()> {
        let Some(records) = stream.records() else { return Ok(()) };
        let files =
            [(&mut self.truth, &mut records.truth), (&mut self.faults, &mut records.faults)];
        for (file, record) in files {
            if let (Some(file), Some(record)) = (file, record) {
                file.buffer().append(record);
                file.spill()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        for file in [&mut self.truth, &mut self.faults].into_iter().flatten() {
            file.flush()?;
        }
        Ok(())
    }
}

/// A meter of this machine that has waited for its second sample, or for a signal.
fn settled(stop: &Stop) -> Result<Machine> {
    let machine = Machine::new().map_err(|reason| Error::world("host", reason))?;
    while !stop.requested() && !machine.settles_in().is_zero() {
        stop.wait(machine.settles_in().max(WAIT_MIN));
    }
    Ok(machine)
}

impl Args {
    /// Whether the stream shows the times of rows.
    fn shows_time(&self) -> bool {
        let timed = [Kind::Logs, Kind::Withdrawals, Kind::Host, Kind::Fleet];
        self.with_time
            || self.marks
            || self.envelope
            || timed.contains(&self.profile)
            || self.column.iter().any(Spec::is_time)
    }

    /// What may happen to rows on their way.
    fn risks(&self) -> Risks {
        Risks { late: self.late, dup: self.dup, lose: self.lose, disorder: self.disorder }
    }

    /// Says what nobody could know: a seed that was drawn, and where a server listens.
    fn introduce(&self, seed: u64, sink: &Sink) {
        if self.quiet {
            return;
        }
        if self.is_drawn() {
            say(format_args!("seed {seed}"));
        }
        if let Sink::Clients(server) = sink {
            say(format_args!("listening on {}", server.address()));
        }
    }

    /// A bar for the rows of a stream that ends, unless these are to be seen themselves.
    fn bar(&self, sink: &Sink) -> Option<(Bar, u64)> {
        let rows = self.count?.div_ceil(self.shard.map_or(1, |shard| shard.count));
        let wanted = !self.quiet && !sink.is_terminal();
        wanted.then(|| Some((Bar::open(Unit::Records)?, rows))).flatten()
    }

    /// Whether rows hang on a seed that was drawn.
    fn is_drawn(&self) -> bool {
        let drawn = match self.profile {
            Kind::Host => false,
            Kind::Stdin => self.burst.is_some(),
            _ => true,
        };
        self.seed.is_none() && (drawn || self.risks().any())
    }

    fn part(&self) -> Part {
        Part {
            first: self.skip.unwrap_or(0),
            count: self.count.unwrap_or(u64::MAX),
            shard: self.shard.unwrap_or(Shard::WHOLE),
        }
    }

    fn way(&self, seed: u64) -> Option<Way> {
        let risks = self.risks();
        let records = Records {
            truth: self.truth.as_ref().map(|_| Vec::new()),
            faults: self.faults.as_ref().map(|_| Vec::new()),
        };
        let wanted = risks.any() || self.truth.is_some();
        wanted.then(|| Way::new(Fates::new(seed, &risks), records))
    }

    fn keys(&self, seed: u64) -> Result<Option<Keys>> {
        if self.keys.is_none() && self.zipf.is_none() {
            return Ok(None);
        }
        let spread = Spread::new(self.keys.unwrap_or(PAGES), self.zipf);
        let option = if self.zipf.is_some() { "--zipf" } else { "--keys" };
        let spread = spread.map_err(|reason| Error::caller(option, reason))?;
        Ok(Some(Keys::new(seed, spread)))
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
        let hosts = || f64::from(u32::try_from(self.hosts.unwrap_or(HOSTS)).unwrap_or(u32::MAX));
        let by_default = || match self.profile {
            Kind::Host => Some(HOST_RATE),
            Kind::Fleet if self.seed.is_none() && self.step.is_none() => Some(hosts()),
            _ => None,
        };
        let by_default = || by_default().map(|rate| Rate::new(rate).expect("more than zero"));
        let by_rate = self.rate.or_else(by_default).map(Law::Rate);
        let by_step = self.step.map(|step| Law::Steps(step.ms()));
        let by_seed = self.seed.map(|_| Law::Steps(SEED_STEP_MS));
        Ok(by_rate.or(by_step).or(by_seed).unwrap_or(Law::Clock))
    }

    fn profile(&self, seed: u64, stop: &Stop) -> Result<Profile> {
        Ok(match self.profile {
            Kind::Pages => Profile::pages(seed, self.output, self.with_time, self.keys(seed)?),
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
            Kind::Fleet => {
                let hosts = self.hosts.unwrap_or(HOSTS);
                Profile::Fleet(Box::new(Fleet::new(seed, self.output, hosts)))
            }
            Kind::Rows => {
                let keys = self.keys(seed)?;
                let table = Table::new(seed, self.output, self.with_time, keys, &self.column);
                let table = table.map_err(|reason| Error::caller("--column", reason))?;
                Profile::Table(Box::new(table))
            }
            Kind::Stdin => Profile::Typed(Typed::new(self.part(), self.with_time)),
        })
    }

    /// Marks of a stream whose part starts at `first_ms` with the row `first`.
    fn marker(&self, first_ms: i64, first: u64) -> Option<Marker> {
        let epoch_ms = self.epoch.map(Span::ms);
        let longest_ms = TICK_MS.max(self.step.map_or(0, Span::ms));
        let default_ms = longest_ms.min(epoch_ms.unwrap_or(i64::MAX));
        let tick_ms = self.tick.map_or(default_ms, Span::ms);
        let shard = self.shard.unwrap_or(Shard::WHOLE);
        let first = shard.place(first);
        self.marks.then(|| Marker::new(first_ms, tick_ms, epoch_ms, shard, first))
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

fn decimal(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "not a number, as 1.1".to_owned())
}
