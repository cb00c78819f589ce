//! `swin`: windowed aggregates over lines.

use std::cell::RefCell;
use std::num::NonZeroI64;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use grid::Length;
use jiff::tz::TimeZone;
use pipe::exit::{Code, Error, Result, say, say_bare};
use pipe::lines::Fill;
use pipe::mark::{self, Event, Mark, Stream};
use pipe::stdio::{self, Input};
use pipe::stop::Stop;
use pipe::units::{self, Span};
use row::field::Bad;
use row::form::{self, Writer};
use row::schema::{self, Separator};
use row::table::Table;
use row::time::Stamp;
use row::value::Number;
use row::{bad, sql, time};

pub mod aggregate;
pub mod batch;
pub mod blocks;
pub mod changes;
pub mod cutter;
pub mod engine;
pub mod grid;
pub mod head;
pub mod intake;
pub mod losses;
pub mod output;
pub mod query;
pub mod range;
pub mod recent;
pub mod report;
pub mod results;
pub mod running;
pub mod session;
pub mod slide;
pub mod sliding;
pub mod spark;
pub mod stage;
pub mod state;
pub mod store;
pub mod timeline;
pub mod watermark;
pub mod window;

use batch::Batch;
use cutter::Cutter;
use engine::{Engine, Settings};
use losses::Keeping;
use output::{Form, Output};
use query::{Query, Texts};
use report::Report;
use sliding::Empty;
use spark::Spark;
use stage::{Reading, Stage, Whole};
use store::Limits;
use timeline::Pace;
use window::{Aligned, Cumulate, Hop, Rows, Window};

/// Rows that Spark's `print()` shows of each time.
const SPARK_ROWS: usize = 10;

/// What is shown below the options.
const MORE: &str = "\
SIZE, STEP, GAP and D are durations with a unit: 250ms, 10s, 15m, 1h, 1d, 1w. Windows are \
half-open, [start, end), and start at multiples of their step since 1970; with --tumble, --hop and \
--cumulate 1d and 1w are days and weeks (from Monday) of the calendar in --tz, elsewhere 24 hours \
and seven times that. A row counts in every window that it is in.

A row's time is that of its arrival: the clock, or the ticks of a marked stream, which also close \
the windows. With --time it is the row's own: a window closes when the watermark reaches its end, \
which is the greatest time seen, less --delay; in a marked stream the least of that over the \
partitions. A row that has no open window any more is late: it is counted, said at exit and kept \
by --late. At the end of the input all windows close, except in a marked stream that was stopped.

Expressions are SQL over the names of the fields, or $1, $2, … and $0 for the whole line: put them \
in single quotes. Aggregates are count(*), count(x), count(distinct x), sum, avg, min, max, first, \
last, stddev_pop, stddev_samp, var_pop, var_samp, approx_percentile(x, 0.95) and array_agg, each \
perhaps with filter (where …), and expressions over them: 'sum(a)/count(*) as mean'. NULL does not \
count, and a sum of whole numbers is exact.

Columns are the bounds of the window (of --range and --running the time), those of --by, and the \
aggregates; rows are sorted by the end and the start of the window and by key.

In a marked stream with epochs, what changed is stored at each barrier, and a restart of the same \
query goes on from there. Memory grows with the keys that have open windows, times the steps in \
these that have rows: about 240 bytes for the first step of a key, 190 for each other. Past \
--max-keys or --max-memory the program ends and says so; nothing is ever dropped in silence.

EXAMPLES
    Requests and bytes of every page, minute by minute, from lines of TIME PAGE BYTES:
        swin -F' ' --tumble 1m --time '$1' --by '$2' 'count(*)' 'sum($3) as bytes' < requests
    Errors of the last 30 s, every 10 s, also when there were none:
        tail -f app.log | swin -F' ' --hop 30s/10s --where \"\\$2 = 'ERROR'\" --zeros
    More than two withdrawals of a card at an ATM within 15 minutes, said once:
        swin --names ms,card,atm,account,amount --time ms --by card,atm --range 15m --once \\
            --having 'count(*) > 2' 'count(*)' 'last(account)' 'last(amount)'
    Visits of users that pause for half an hour, with their lengths:
        swin --names ms,user,page --time ms --by user --session 30m 'count(*)' \\
            '(max(ms) - min(ms)) / 1000 as seconds'
    The heat of every page since the beginning, every 2 s, from a topic:
        kcons -t user-behavior --marks | swin -F'|' --names page,clicks,stay,liked --by page \\
            --running --every 2s 'sum(0.8*clicks + 0.8*stay + liked) as heat'

EXIT STATUS
    0  done, or the reader of stdout has gone
    1  the world: a disk, a limit, an overflow, or a bad row under --strict
    2  the caller: a wrong option or expression, or the stored state of another query
    75 a marked stream was cut short, or its reader left while it had epochs: run it again";

/// Windowed aggregates over lines
#[derive(Debug, clap::Parser)]
#[command(name = "swin", version, after_long_help = MORE)]
#[expect(clippy::struct_excessive_bools, reason = "options of a command line")]
pub struct Args {
    /// Aggregates, as 'sum(amount) as total' [default: count(*)]; with --each expressions
    #[arg(value_name = "AGGREGATE")]
    aggregates: Vec<String>,

    #[command(flatten)]
    kind: Kinds,

    /// Writes results at each multiple of D before the end: with --running the totals, with
    /// --tumble, --hop and --session what open windows hold, with `final` false
    #[arg(long, value_name = "D", value_parser = period)]
    every: Option<NonZeroI64>,

    /// One result for each value of these expressions
    #[arg(long, value_name = "EXPR,…", value_parser = expression, allow_hyphen_values = true)]
    by: Option<String>,

    /// Only rows for which this is true count
    #[arg(
        long = "where",
        value_name = "EXPR",
        value_parser = expression,
        allow_hyphen_values = true
    )]
    filter: Option<String>,

    /// Only results for which this is true are written: over keys, aggregates and their names, and
    /// the columns of the window, whose times are milliseconds
    #[arg(long, value_name = "EXPR", value_parser = expression, allow_hyphen_values = true)]
    having: Option<String>,

    /// Writes rows instead of aggregates, or the expressions given over them: those of a window
    /// when it closes, without a window each as it comes
    #[arg(long)]
    each: bool,

    /// With --range: writes a key that was written again only after --having was false for one of
    /// its rows, or its range empty
    #[arg(long)]
    once: bool,

    /// With --running: which keys are written at each time [default: all]
    #[arg(long, value_name = "KEYS")]
    emit: Option<Emit>,

    /// With --running and --every: forgets a key without a row for D [default: none is forgotten]
    #[arg(long, value_name = "D", value_parser = period)]
    ttl: Option<NonZeroI64>,

    /// With --tumble or --hop: where the steps are counted from [default: epoch]
    #[arg(long, value_name = "WHERE")]
    align: Option<Align>,

    /// With --tumble or --hop, without --by: writes windows without rows too, at most 100000 in
    /// a row
    #[arg(long, conflicts_with_all = ["by", "running", "each"])]
    zeros: bool,

    /// Keys held at a time, those of each partition for themselves
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    max_keys: usize,

    /// Bytes that keys, panes and what aggregates hold may take
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = units::size)]
    max_memory: usize,

    #[command(flatten)]
    times: Times,

    #[command(flatten)]
    rows: schema::Options,

    #[command(flatten)]
    lines: mark::Options,

    #[command(flatten)]
    bad_rows: bad::Options,

    /// Writes late rows to this file, as they came
    #[arg(long, value_name = "FILE", help_heading = "Input rows")]
    late: Option<PathBuf>,

    /// Form of the results [default: table on a terminal, else json]
    #[arg(short, long, value_name = "FORM", help_heading = "Output")]
    output: Option<OutputForm>,

    /// How times in the first columns are written: ms, rfc3339, or a format as %H:%M, in --tz
    /// [default: ms]
    #[arg(long, value_name = "FORM", help_heading = "Output")]
    time_out: Option<time::Shape>,

    /// Rows that -o spark shows of each time [default: 10]
    #[arg(long, value_name = "N", help_heading = "Output")]
    limit: Option<usize>,

    /// Results begin a marked stream, as `kcons --marks` does: the stages that follow know what
    /// time it is, and when a window has closed
    #[arg(long, help_heading = "Output")]
    marks: bool,

    /// Says how it goes every D and at the end, as a line of JSON on stderr
    #[arg(long, value_name = "D", value_parser = units::lasting, help_heading = "Output")]
    stats: Option<Span>,

    /// Says nothing but failures and what did not count
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
}

/// The kinds of windows.
#[derive(Debug, clap::Args)]
#[group(id = "window", multiple = false)]
#[command(next_help_heading = "Windows")]
struct Kinds {
    /// Windows of this size, one after the other
    #[arg(long, value_name = "SIZE")]
    tumble: Option<Length>,

    /// Windows of this size, one every step; they overlap, or leave gaps
    #[arg(long, value_name = "SIZE/STEP")]
    hop: Option<Hop>,

    /// Sessions: rows of a key that are at most this far apart
    #[arg(long, value_name = "GAP", value_parser = period)]
    session: Option<NonZeroI64>,

    /// For every row, the rows of its key in the time D before it, both ends in
    #[arg(long, value_name = "D")]
    range: Option<Span>,

    /// Windows that grow from the same start up to this size, one every step
    #[arg(long, value_name = "SIZE/STEP")]
    cumulate: Option<Hop>,

    /// The last N rows of a key, after every M of them [default of M: N]
    #[arg(long = "rows", value_name = "N[/M]")]
    count: Option<Rows>,

    /// Totals of everything since the beginning, written at the end and with --every
    #[arg(long)]
    running: bool,
}

impl Kinds {
    /// The window as it was asked for.
    fn text(&self) -> String {
        let hop = |Hop { size, step }: &Hop| format!("{size}/{step}");
        let ms = |ms: &NonZeroI64| format!("{ms}ms");
        let range = |span: &Span| format!("{}ms", span.ms());
        let rows = |Rows { size, step }: &Rows| format!("{size}/{step}");
        let kinds = [
            ("tumble", self.tumble.as_ref().map(Length::to_string)),
            ("hop", self.hop.as_ref().map(hop)),
            ("session", self.session.as_ref().map(ms)),
            ("range", self.range.as_ref().map(range)),
            ("cumulate", self.cumulate.as_ref().map(hop)),
            ("rows", self.count.as_ref().map(rows)),
        ];
        let asked = kinds.into_iter().find_map(|(name, text)| Some(format!("{name} {}", text?)));
        asked.unwrap_or_else(|| "running".to_owned())
    }
}

/// What time is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Time")]
struct Times {
    /// The time of a row; without it, that of its arrival
    #[arg(long, value_name = "EXPR", value_parser = expression, allow_hyphen_values = true)]
    time: Option<String>,

    /// How times are written: auto (a whole number is ms, a decimal s, text RFC 3339 or
    /// 'YYYY-MM-DD HH:MM:SS'), s, ms, us, ns, rfc3339, or a format as %d/%b/%Y:%H:%M:%S
    /// [default: auto]
    #[arg(long, value_name = "FORM")]
    time_format: Option<time::Format>,

    /// The time zone of days and weeks, of --time-out, and of times that name none [default: UTC]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,

    /// How long a window waits for rows that are out of order [default: 0s]
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    delay: Option<Span>,

    /// After a silence of D, time goes on with the clock, so that the last window closes
    /// [default: 10s in a marked stream, else never]
    #[arg(long, value_name = "D")]
    idle: Option<Span>,

    /// A row that is more than D ahead of the clock counts, but moves no time [default: all do]
    #[arg(long, value_name = "D")]
    future: Option<Span>,
}

/// Which totals are written (`--emit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Emit {
    /// All of them
    All,
    /// Those that had rows since they were written
    Changes,
}

/// Where windows begin (`--align`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Align {
    /// Windows start at multiples of the step since 1970-01-01
    Epoch,
    /// Windows end at multiples of the step since the first row, as in Spark Streaming
    Start,
}

/// An expression may start with `-`, as no option does.
fn expression(text: &str) -> Result<String, String> {
    if text.starts_with("--") {
        return Err("an expression is expected and no option".to_owned());
    }
    Ok(text.to_owned())
}

fn period(text: &str) -> Result<NonZeroI64, String> {
    Ok(text.parse::<Length>()?.ms)
}

/// The form of results (`-o`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OutputForm {
    /// One object a line
    Json,
    /// Aligned columns, for people
    Table,
    /// Fields between -F
    Text,
    /// RFC 4180 with a header line
    Csv,
    /// As Spark Streaming prints it
    Spark,
}

impl Args {
    fn zone(&self) -> Result<TimeZone> {
        let Some(name) = &self.times.tz else { return Ok(TimeZone::UTC) };
        time::zone(name).map_err(|reason| Error::caller(format!("--tz {name}"), reason))
    }

    /// The window; `None` when every row comes out by itself.
    fn window(&self) -> Result<Option<Window>> {
        let zone = self.zone()?;
        let kind = &self.kind;
        let of = |option: &'static str| move |reason: String| Error::caller(option, reason);
        Ok(Some(if let Some(size) = kind.tumble {
            Window::Aligned(Aligned::new(size, size, &zone).map_err(of("--tumble"))?)
        } else if let Some(Hop { size, step }) = kind.hop {
            Window::Aligned(Aligned::new(size, step, &zone).map_err(of("--hop"))?)
        } else if let Some(Hop { size, step }) = kind.cumulate {
            Window::Cumulate(Cumulate::new(size, step, &zone).map_err(of("--cumulate"))?)
        } else if let Some(gap) = kind.session {
            Window::Session(gap.get())
        } else if let Some(width) = kind.range {
            Window::Range(width.ms())
        } else if let Some(rows) = kind.count {
            Window::Rows(rows)
        } else if kind.running {
            Window::Running
        } else if self.each {
            return Ok(None);
        } else {
            let reason = "one of --tumble, --hop, --session, --range, --cumulate, --rows and \
                          --running is needed";
            return Err(Error::caller("window", reason));
        }))
    }

    /// Refuses options that would do nothing.
    fn check(&self, window: Option<&Window>) -> Result<()> {
        let kind = window.map_or(Kind::None, Kind::of);
        let rules = self.window_rules(kind).into_iter().chain(self.time_rules(kind));
        for (given, option, makes_sense, reason) in rules.chain(self.form_rules(kind)) {
            if given && !makes_sense {
                return Err(Error::caller(option, reason));
            }
        }
        Ok(())
    }

    fn window_rules(&self, kind: Kind) -> [Rule; 8] {
        let every = self.every.is_some();
        let (aligned, running) = (kind == Kind::Aligned, kind == Kind::Running);
        let early = aligned || kind == Kind::Session;
        let explodes = running || kind == Kind::Range;
        [
            (every, "--every", running || early, EVERY),
            (every && self.each, "--every", false, "has no results of --each to write early"),
            (self.ttl.is_some(), "--ttl", running && every, TTL),
            (self.emit.is_some(), "--emit", running, "is for --running"),
            (self.once, "--once", kind == Kind::Range, "is for --range"),
            (self.align.is_some(), "--align", aligned, "is for --tumble and --hop"),
            (self.zeros, "--zeros", aligned, "is for --tumble and --hop"),
            (self.each, "--each", !explodes, "would write a row again with every later one"),
        ]
    }

    fn time_rules(&self, kind: Kind) -> [Rule; 12] {
        let times = &self.times;
        let windows = kind != Kind::None;
        let waits = self.waits(kind);
        let has_time = times.time.is_some();
        let is_zoned = times.time.is_some() || self.has_days() || self.time_out.is_some();
        [
            (times.time.is_some(), "--time", windows, "is for windows"),
            (times.time_format.is_some(), "--time-format", has_time, TIMED),
            (times.delay.is_some(), "--delay", has_time, TIMED),
            (times.idle.is_some(), "--idle", has_time, TIMED),
            (times.future.is_some(), "--future", has_time, TIMED),
            (self.late.is_some(), "--late", has_time, TIMED),
            (times.delay.is_some(), "--delay", waits, WAITS),
            (times.idle.is_some(), "--idle", waits, WAITS),
            (times.future.is_some(), "--future", waits, WAITS),
            (self.late.is_some(), "--late", waits, WAITS),
            (self.each && self.by.is_some(), "--by", windows, "is for windows"),
            (times.tz.is_some(), "--tz", is_zoned, "is for --time, --time-out, days and weeks"),
        ]
    }

    /// Whether something is written when time has come there.
    fn waits(&self, kind: Kind) -> bool {
        match kind {
            Kind::None | Kind::Rows => false,
            Kind::Running => self.every.is_some(),
            Kind::Aligned | Kind::Cumulate | Kind::Session | Kind::Range => true,
        }
    }

    fn form_rules(&self, kind: Kind) -> [Rule; 4] {
        let windows = kind != Kind::None;
        let spark = self.output == Some(OutputForm::Spark);
        let whole = self.each && !windows && self.aggregates.is_empty();
        let early = self.every.is_some() && kind != Kind::Running;
        let blocks = matches!(kind, Kind::Aligned | Kind::Cumulate | Kind::Running) && !early;
        [
            (self.output.is_some(), "-o", !whole, "is for expressions: rows come out as they came"),
            (spark, "-o spark", blocks, "is for results that are due at one time"),
            (self.time_out.is_some(), "--time-out", windows && !spark, "finds no times to write"),
            (self.limit.is_some(), "--limit", spark, "is for -o spark"),
        ]
    }

    fn has_days(&self) -> bool {
        let hops = [self.kind.hop, self.kind.cumulate].into_iter().flatten();
        let mut lengths = hops.flat_map(|hop| [hop.size, hop.step]).chain(self.kind.tumble);
        lengths.any(|length| length.unit.is_calendar())
    }

    fn query(&self, window: Option<&Window>) -> Result<Query> {
        let texts = Texts {
            by: self.by.as_deref(),
            filter: self.filter.as_deref(),
            having: self.having.as_deref(),
            aggregates: self.aggregates.iter().map(String::as_str).collect(),
            each: self.each,
            bounds: self.bounds(window),
        };
        Query::parse(&texts).map_err(|(thing, reason)| {
            let refused = Error::caller(thing, reason);
            let or_file = |refused: Error, text: &String| refused.or_file(&sql::brief(text), text);
            self.aggregates.iter().fold(refused, or_file)
        })
    }

    /// The names of the columns of the window.
    fn bounds(&self, window: Option<&Window>) -> &'static [&'static str] {
        window.map_or(&[], |window| window.columns(self.every.is_some()))
    }

    /// The columns that come out: those of the window, then those of the query.
    fn columns<'q>(&self, window: Option<&Window>, query: &'q Query) -> Result<Vec<&'q str>> {
        let mut columns: Vec<&str> = self.bounds(window).to_vec();
        for name in &query.names {
            if columns.contains(&name.as_str()) {
                let reason = "the window has a column of this name; give another with AS";
                return Err(Error::caller(name, reason));
            }
            columns.push(name);
        }
        Ok(columns)
    }

    fn reading(&self) -> Result<Reading> {
        let time = match &self.times.time {
            None => None,
            Some(text) => {
                let item = sql::item(text).map_err(|refused| Error::caller("--time", refused))?;
                let format = self.times.time_format.clone().unwrap_or(time::Format::Auto);
                let clock = time::Clock::new(format, self.zone()?);
                Some((item, clock))
            }
        };
        Ok(Reading { rows: self.rows.clone(), time })
    }

    fn keeping(&self) -> Keeping {
        Keeping {
            bad: self.bad_rows.bad.is_some(),
            late: self.late.as_ref().map(|_| self.lines.delimiter()),
            strict: self.bad_rows.strict,
        }
    }

    /// Whether a leap of time may have closed windows, and nobody has thought of that.
    fn minds_leaps(&self) -> bool {
        let waits =
            self.window().ok().flatten().is_some_and(|window| self.waits(Kind::of(&window)));
        waits && self.times.future.is_none() && !self.quiet
    }

    fn output(&self, window: Option<&Window>, query: &Query, terminal: bool) -> Result<Output> {
        let names = self.columns(window, query)?;
        let default = if terminal { OutputForm::Table } else { OutputForm::Json };
        let asked = self.output.unwrap_or(default);
        if self.marks && (terminal || matches!(asked, OutputForm::Table | OutputForm::Spark)) {
            let reason = "are for programs: not on a terminal, and not with -o table or spark";
            return Err(Error::caller("--marks", reason));
        }
        let form = match asked {
            OutputForm::Json => Form::Rows(Writer::new(form::Form::Json, &names)),
            OutputForm::Csv => Form::Rows(Writer::new(form::Form::Csv, &names)),
            OutputForm::Text => {
                let separator: Separator = self.rows.field_separator.clone();
                let text = form::Form::Text(separator, self.lines.delimiter());
                Form::Rows(Writer::new(text, &names))
            }
            OutputForm::Table => Form::Table(Table::new(&names)),
            OutputForm::Spark => {
                let bounds = self.bounds(window).len();
                let limit = self.limit.unwrap_or(SPARK_ROWS);
                Form::Spark(Spark::new(bounds, query.keys.len(), limit))
            }
        };
        let times = self.bounds(window).iter().filter(|name| **name != "final").count();
        let stamp =
            self.time_out.clone().map(|shape| self.zone().map(|zone| Stamp::new(shape, zone)));
        let singly = matches!(window, None | Some(Window::Range(_) | Window::Rows(_)));
        let mut out = Output::new(form, stamp.transpose()?.map(|stamp| (times, stamp)), singly);
        out.end_lines_in(self.lines.delimiter());
        let whole = self.each && self.aggregates.is_empty() && window.is_some();
        if whole && asked != OutputForm::Spark {
            let json = asked == OutputForm::Json;
            out.cut_rows(Cutter::new(&self.rows, &names[..names.len() - 1], json));
        }
        Ok(out)
    }

    fn settings(&self, window: Window) -> Settings {
        let event = self.times.time.is_some();
        Settings {
            window,
            every: self.every,
            ttl_ms: self.ttl.map(NonZeroI64::get),
            changes: self.emit == Some(Emit::Changes),
            once: self.once,
            align_start: self.align == Some(Align::Start),
            empty: match self.output {
                _ if self.zeros => Empty::Zeros,
                Some(OutputForm::Spark) => Empty::Told,
                _ => Empty::Silent,
            },
            pace: Pace {
                delay_ms: event.then(|| self.times.delay.map_or(0, Span::ms)),
                idle_ms: self.times.idle.map(Span::ms),
                future_ms: self.times.future.map(Span::ms),
            },
            limits: Limits { keys: self.max_keys, bytes: self.max_memory },
        }
    }

    /// What two runs have in common when the one can go on with the state of the other.
    fn layout(&self, query: &Query) -> serde_json::Value {
        let mut layout = query.layout();
        layout["version"] = state::VERSION.into();
        layout["window"] = self.kind.text().into();
        // Days are those of a zone.
        layout["zone"] = self.times.tz.clone().filter(|_| self.has_days()).into();
        layout["every"] = self.every.map(NonZeroI64::get).into();
        layout["ttl"] = self.ttl.map(NonZeroI64::get).into();
        layout["time"] = self.times.time.clone().into();
        layout["align"] = (self.align == Some(Align::Start)).into();
        layout["where"] = self.filter.clone().into();
        layout["once"] = self.once.into();
        layout["names"] = self.rows.names.clone().into();
        layout
    }

    fn stage(&self, window: Option<Window>, query: Query) -> Result<Stage> {
        let reading = self.reading()?;
        let Some(window) = window else {
            let whole = if self.aggregates.is_empty() { Whole::Line } else { Whole::Parts };
            return Ok(Stage::each(query, whole, reading, self.keeping()));
        };
        let layout = self.layout(&query);
        let engine = Engine::new(self.settings(window), query);
        Ok(Stage::windows(engine, layout, reading, self.keeping()))
    }

    /// What the options ask for, without its edges: lines and marks go into the stage, and what
    /// comes out goes into the output. `terminal` says whether that is read by people.
    ///
    /// # Errors
    /// When an option or expression is refused, or would do nothing.
    pub fn assemble(&self, terminal: bool) -> Result<(Stage, Output)> {
        let window = self.window()?;
        self.check(window.as_ref())?;
        let query = self.query(window.as_ref())?;
        let out = self.output(window.as_ref(), &query, terminal)?;
        let mut stage = self.stage(window, query)?;
        stage.compile_early()?;
        Ok((stage, out))
    }
}

/// Whether an option is given, its name, whether it makes sense, and why not.
type Rule = (bool, &'static str, bool, &'static str);

const EVERY: &str = "is for --running, and for early results of --tumble, --hop and --session";
const TTL: &str = "is for --running with --every, at whose multiples keys are forgotten";
const TIMED: &str = "needs --time EXPR, which says the time of a row";
const WAITS: &str = "is for windows that close as time goes on";

/// A kind of window, as options ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    Aligned,
    Cumulate,
    Session,
    Range,
    Rows,
    Running,
}

impl Kind {
    fn of(window: &Window) -> Kind {
        match window {
            Window::Aligned(_) => Kind::Aligned,
            Window::Cumulate(_) => Kind::Cumulate,
            Window::Session(_) => Kind::Session,
            Window::Range(_) => Kind::Range,
            Window::Rows(_) => Kind::Rows,
            Window::Running => Kind::Running,
        }
    }
}

/// Reads stdin to its end and writes the windows to stdout.
///
/// # Errors
/// When an option or expression is refused, a stream fails, or a limit is reached.
pub fn run(args: &Args) -> Result<Code> {
    let stdout = stdio::Output::stdout()?;
    let (mut stage, mut out) = args.assemble(stdout.is_terminal())?;
    if stdout.shows_bold() {
        out.embolden();
    }
    let files = Files::create(args)?;
    // A filter drains its input: a signal only makes the next one kill.
    let _stop = Stop::listen()?;
    let mut stream = args.lines.stream(Input::stdin()?);
    let stdout = Rc::new(RefCell::new(stdout));
    let relief = Rc::clone(&stdout);
    out.relieve_by(move |bytes| write(&relief, bytes));
    let report = args.stats.map(|every| Report::new(every.duration()));
    let mut edge = Edge { stdout, files, quiet: args.quiet, begun: Instant::now(), report };
    if args.marks {
        stage.lead(now_ms(), &mut out);
    }
    let result = edge.drain(&mut out, &mut stage);
    let result = result.and_then(|()| copy(&mut stream, &mut stage, &mut out, &mut edge));
    // What came before a failure is written all the same.
    let result = result.and_then(|()| stage.finish(now_ms(), &mut out));
    if let Some(abort) = result.as_ref().err().and_then(|error| Mark::abort("swin", error)) {
        out.stream.mark(&abort);
    }
    let drained = edge.drain(&mut out, &mut stage);
    edge.say_stats(&stage, &out);
    for said in stage.losses().summaries(args.keeping()) {
        say(said);
    }
    if let Some(leap) = stage.losses().leap().filter(|_| args.minds_leaps()) {
        say(leap);
    }
    // A failure is not hidden by a reader that has gone.
    match result.and_then(|code| drained.map(|()| code)) {
        // What was not read belongs to an epoch that nobody will commit.
        Err(Error::Closed) if stage.has_epochs() => {
            Err(Error::unfinished("<stdout>", "the reader has gone before the stream ended"))
        }
        result => result,
    }
}

fn write(stdout: &RefCell<stdio::Output>, bytes: &mut Vec<u8>) -> Result<()> {
    let mut stdout = stdout.borrow_mut();
    stdout.buffer().append(bytes);
    stdout.flush()
}

/// Feeds the stage until the input ends.
fn copy(stream: &mut Stream, stage: &mut Stage, out: &mut Output, edge: &mut Edge) -> Result<()> {
    let mut numbers = Vec::new();
    loop {
        if stage.goes_by_clock() {
            let now = now_ms();
            let late = stage.due().map(|due| now - due).filter(|&late| late >= 0);
            edge.watch(late, || stage.tick(now, out))?;
        }
        let mut ahead = 0;
        loop {
            if take_plain(stream, stage, &mut numbers, out)? {
                if out.stream.bytes.len() >= stdio::OUTPUT_BYTES {
                    edge.drain(out, stage)?;
                }
                continue;
            }
            if ahead == 0 {
                ahead = stage.look_ahead(stream.ahead());
            }
            ahead -= 1;
            let number = stream.number() + 1;
            match stream.next_event()? {
                None => break,
                Some(Event::Data(line)) => stage.data(number, line, out)?,
                Some(Event::Long(head, bytes)) => {
                    stage.bad(number, &Bad::Long(bytes), head, out)?;
                }
                Some(Event::Mark(mark, line)) => {
                    let late = edge.lateness(&mark);
                    if edge.watch(late, || stage.mark(&mark, line, out))? {
                        edge.drain(out, stage)?;
                    }
                }
            }
            if out.stream.bytes.len() >= stdio::OUTPUT_BYTES {
                edge.drain(out, stage)?;
            }
        }
        edge.drain(out, stage)?;
        let by_clock = stage.goes_by_clock();
        let due = stage.due().filter(|_| by_clock).map(|due| until(due, now_ms()));
        let stats = edge.tell(stage, out);
        let wait = [due, stats].into_iter().flatten().min();
        if stream.fill(wait)? == Fill::End {
            return Ok(());
        }
    }
}

/// Feeds the stage the lines that come next and are plain; returns whether there were any.
fn take_plain(
    stream: &mut Stream,
    stage: &mut Stage,
    numbers: &mut Vec<Number>,
    out: &mut Output,
) -> Result<bool> {
    let Some(width) = stage.plain_numbers() else { return Ok(false) };
    let mut batch = Batch::new(numbers, width);
    let number = stream.number() + 1;
    stream.offer(|rest, delimiter| stage.read_plain(rest, delimiter, &mut batch));
    if batch.is_empty() {
        return Ok(false);
    }
    stage.take_plain(number, &mut batch, out)?;
    Ok(true)
}

/// Where all goes that comes out.
struct Edge {
    stdout: Rc<RefCell<stdio::Output>>,
    files: Files,
    quiet: bool,
    begun: Instant,
    report: Option<Report>,
}

impl Edge {
    /// How late a mark is, in milliseconds, if it is a tick and somebody wants to know.
    fn lateness(&self, mark: &Mark) -> Option<i64> {
        match mark {
            Mark::Tick { ms } if self.report.is_some() => Some(now_ms().saturating_sub(*ms)),
            _ => None,
        }
    }

    /// Does the work of a tick that is `late_ms` late, if it is one, and sees how long that takes.
    fn watch<T>(&mut self, late_ms: Option<i64>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (Some(report), Some(late_ms)) = (&mut self.report, late_ms) else { return work() };
        let begun = Instant::now();
        let done = work();
        report.tick(late_ms, begun.elapsed());
        done
    }

    /// Says how it goes when that is due; returns when it will be.
    fn tell(&mut self, stage: &Stage, out: &Output) -> Option<Duration> {
        let left = self.report.as_ref()?.wait(self.begun.elapsed());
        if !left.is_zero() {
            return Some(left);
        }
        self.say_stats(stage, out);
        self.report.as_ref().map(|report| report.wait(self.begun.elapsed()))
    }

    fn say_stats(&mut self, stage: &Stage, out: &Output) {
        let Some(report) = &mut self.report else { return };
        let rows = (stage.rows(), out.rows());
        say_bare(report.line(self.begun.elapsed(), rows, stage.gauges()));
    }

    /// Writes all that waits.
    fn drain(&mut self, out: &mut Output, stage: &mut Stage) -> Result<()> {
        out.flow();
        write(&self.stdout, &mut out.stream.bytes)?;
        out.check()?;
        for note in stage.notes() {
            if !self.quiet {
                say(note);
            }
        }
        let losses = stage.losses();
        for (file, lines) in [
            (&mut self.files.bad, &mut losses.bad_lines),
            (&mut self.files.late, &mut losses.late_lines),
        ] {
            if let Some(file) = file {
                file.buffer().append(lines);
                file.flush()?;
            }
        }
        Ok(())
    }
}

/// The files for rows that do not count.
struct Files {
    bad: Option<stdio::Output>,
    late: Option<stdio::Output>,
}

impl Files {
    fn create(args: &Args) -> Result<Files> {
        let create =
            |path: &Option<PathBuf>| path.as_deref().map(stdio::Output::create).transpose();
        Ok(Files { bad: create(&args.bad_rows.bad)?, late: create(&args.late)? })
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time from now until `due`; a millisecond more than none, so that it has come then.
fn until(due_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(due_ms.saturating_sub(now_ms).max(1).unsigned_abs())
}
