//! `swin`: windowed aggregates over lines.

use std::num::NonZeroI64;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pipe::exit::{Code, Error, Result, say};
use pipe::lines::Fill;
use pipe::mark::{self, Event, Mark, Stream};
use pipe::stdio::{self, Input};
use pipe::stop::Stop;
use pipe::units::Span;
use row::field::Bad;
use row::form::{self, Writer};
use row::schema::{self, Separator};
use row::table::Table;
use row::{bad, sql, time};

pub mod aggregate;
pub mod engine;
pub mod intake;
pub mod output;
pub mod query;
pub mod running;
pub mod slide;
pub mod spark;
pub mod stage;
pub mod store;
pub mod watermark;
pub mod window;

use engine::{Empty, Engine};
use output::{Form, Output};
use query::{Query, Texts};
use spark::Spark;
use stage::{Keeping, Reading, Stage};
use window::{Hop, Tumble, Window};

/// Rows that Spark's `print()` shows of each time.
const SPARK_ROWS: usize = 10;

/// What is shown below the options.
const MORE: &str = "\
Windows are half-open, [start, end), and start at multiples of their step since the epoch. A row's \
time is that of its arrival: the clock, or the ticks of a marked stream, which also close the \
windows. With --time it is the row's own: a window closes when the greatest time seen, less \
--delay, has reached its end; in a marked stream that is the least over the partitions.

Expressions are SQL over the names of the fields, or $1, $2, … and $0 for the whole line: put them \
in single quotes. Aggregates are count(*), count(x), sum, avg, min and max, and expressions over \
them: 'sum(a)/count(*) as mean'. NULL does not count, and a sum of whole numbers is exact.

EXAMPLES
    Requests and bytes of every page, minute by minute:
        swin -F' ' --tumble 1m --time '$1' --by '$2' 'count(*)' 'sum($3) as bytes' < access.log
    Errors of the last 30 s, every 10 s, also when there were none:
        tail -f app.log | swin -F' ' --hop 30s/10s --where \"\\$2 = 'ERROR'\" --zeros
    The heat of every page since the beginning, every 2 s, from a topic:
        kcons -t user-behavior --marks | swin -F'|' --names page,clicks,stay,liked --by page \\
            --running --every 2s 'sum(0.8*clicks + 0.8*stay + liked) as heat'

EXIT STATUS
    0  done, or the reader of stdout has gone
    1  the world: a disk, a limit, an overflow, or a bad row under --strict
    2  the caller: a wrong option or expression
    75 a marked stream was cut short: run it again";

/// Windowed aggregates over lines
#[derive(Debug, clap::Parser)]
#[command(name = "swin", version, after_long_help = MORE)]
pub struct Args {
    /// Aggregates, as 'sum(amount) as total'
    #[arg(value_name = "AGGREGATE", default_value = "count(*)")]
    aggregates: Vec<String>,

    /// Windows of this size, one after the other
    #[arg(long, value_name = "SIZE", group = "window")]
    tumble: Option<Tumble>,

    /// Windows of this size, one every step
    #[arg(long, value_name = "SIZE/STEP", group = "window")]
    hop: Option<Hop>,

    /// Everything since the beginning, written at the end and with --every
    #[arg(long, group = "window")]
    running: bool,

    /// With --running: write all keys at each multiple of this
    #[arg(long, value_name = "D")]
    every: Option<Span>,

    /// One result for each value of these expressions
    #[arg(long, value_name = "EXPR,…")]
    by: Option<String>,

    /// Only rows for which this is true count
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,

    /// Only results for which this is true are written
    #[arg(long, value_name = "EXPR")]
    having: Option<String>,

    /// A row also for windows without rows (no --by)
    #[arg(long, conflicts_with_all = ["by", "running"])]
    zeros: bool,

    /// Keys held at a time
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    max_keys: usize,

    /// The time of a row; without it, that of its arrival
    #[arg(long, value_name = "EXPR", help_heading = "Time")]
    time: Option<String>,

    /// How times are written: auto (a whole number is ms, a decimal s, text RFC 3339 or
    /// 'YYYY-MM-DD HH:MM:SS'), s, ms, us, ns, rfc3339, or a format as %d/%b/%Y:%H:%M:%S
    #[arg(
        long,
        value_name = "FORM",
        default_value = "auto",
        requires = "time",
        help_heading = "Time"
    )]
    time_format: time::Format,

    /// The time zone of times that name none
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "UTC",
        requires = "time",
        help_heading = "Time"
    )]
    tz: String,

    /// How long a window waits for rows that are out of order
    #[arg(long, value_name = "D", requires = "time", help_heading = "Time")]
    delay: Option<Span>,

    #[command(flatten)]
    rows: schema::Options,

    #[command(flatten)]
    lines: mark::Options,

    #[command(flatten)]
    bad_rows: bad::Options,

    /// Writes late rows to this file, as they came
    #[arg(long, value_name = "FILE", requires = "time", help_heading = "Input rows")]
    late: Option<PathBuf>,

    /// Form of the results [default: table on a terminal, else json]
    #[arg(short, long, value_name = "FORM", help_heading = "Output")]
    output: Option<OutputForm>,

    /// Rows that -o spark shows of each time [default: 10]
    #[arg(long, value_name = "N", help_heading = "Output")]
    limit: Option<usize>,
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
    fn window(&self) -> Result<Window> {
        // clap does not ask for --running where another window stands in its way.
        if self.every.is_some() && !self.running {
            return Err(Error::caller("--every", "is for --running"));
        }
        if self.limit.is_some() && self.output != Some(OutputForm::Spark) {
            return Err(Error::caller("--limit", "is for -o spark"));
        }
        if let Some(Tumble(aligned)) = self.tumble {
            return Ok(Window::Aligned(aligned));
        }
        if let Some(Hop(aligned)) = self.hop {
            return Ok(Window::Aligned(aligned));
        }
        if !self.running {
            return Err(Error::caller("window", "one of --tumble, --hop and --running is needed"));
        }
        let every = self.every.map(|every| {
            let every = NonZeroI64::new(every.ms());
            every.ok_or_else(|| Error::caller("--every", "a period is more than zero"))
        });
        Ok(Window::Running { every: every.transpose()? })
    }

    fn query(&self) -> Result<Query> {
        let texts = Texts {
            by: self.by.as_deref(),
            filter: self.filter.as_deref(),
            having: self.having.as_deref(),
            aggregates: self.aggregates.iter().map(String::as_str).collect(),
            each: false,
        };
        Query::parse(&texts).map_err(|(option, reason)| Error::caller(option, reason))
    }

    /// The columns that come out: those of the window, then those of the query.
    fn columns(window: Window, query: &Query) -> Result<Vec<&str>> {
        let mut columns = window.columns().to_vec();
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
        let time = match &self.time {
            None => None,
            Some(text) => {
                let item = sql::item(text).map_err(|refused| Error::caller("--time", refused))?;
                let zone = time::zone(&self.tz);
                let zone =
                    zone.map_err(|reason| Error::caller(format!("--tz {}", self.tz), reason))?;
                Some((item, time::Clock::new(self.time_format.clone(), zone)))
            }
        };
        Ok(Reading { rows: self.rows.clone(), time })
    }

    fn keeping(&self) -> Keeping {
        Keeping {
            bad: self.bad_rows.bad.is_some(),
            late: self.late.is_some(),
            strict: self.bad_rows.strict,
        }
    }

    fn form(&self, window: Window, query: &Query, terminal: bool) -> Result<Form> {
        let names = Args::columns(window, query)?;
        let default = if terminal { OutputForm::Table } else { OutputForm::Json };
        Ok(match self.output.unwrap_or(default) {
            OutputForm::Json => Form::Rows(Writer::new(form::Form::Json, &names)),
            OutputForm::Csv => Form::Rows(Writer::new(form::Form::Csv, &names)),
            OutputForm::Text => {
                let separator: Separator = self.rows.field_separator.clone();
                Form::Rows(Writer::new(form::Form::Text(separator), &names))
            }
            OutputForm::Table => Form::Table(Table::new(&names)),
            OutputForm::Spark => {
                let bounds = window.columns().len();
                let limit = self.limit.unwrap_or(SPARK_ROWS);
                Form::Spark(Spark::new(bounds, query.keys.len(), limit))
            }
        })
    }

    fn empty(&self) -> Empty {
        match self.output {
            _ if self.zeros => Empty::Zeros,
            Some(OutputForm::Spark) => Empty::Told,
            _ => Empty::Silent,
        }
    }
}

/// Reads stdin to its end and writes the windows to stdout.
///
/// # Errors
/// When an option or expression is refused, a stream fails, or a limit is reached.
pub fn run(args: &Args) -> Result<Code> {
    let (window, query) = (args.window()?, args.query()?);
    let mut stdout = stdio::Output::stdout()?;
    let mut files = Files::create(args)?;
    let mut out = Output::new(args.form(window, &query, stdout.is_terminal())?);
    let delay_ms = args.time.as_ref().map(|_| args.delay.map_or(0, Span::ms));
    let engine = Engine::new(window, query, args.empty(), delay_ms, args.max_keys);
    let mut stage = Stage::new(engine, args.reading()?, args.keeping());
    stage.compile_early()?;
    // A filter drains its input: a signal only makes the next one kill.
    let _stop = Stop::listen()?;
    let mut stream = args.lines.stream(Input::stdin()?);
    let result = copy(&mut stream, &mut stage, &mut out, &mut stdout, &mut files);
    // What came before a failure is written all the same.
    let result = result.and_then(|()| stage.finish(stream.is_marked(), now_ms(), &mut out));
    if let Err(Error::Failed(code, message)) = &result
        && *code != Code::UNFINISHED
    {
        let (tool, message) = ("swin".to_owned(), message.clone());
        out.own_mark(&Mark::Abort { tool, code: code.0, message });
    }
    drain(&mut out, &mut stage, &mut stdout, &mut files)?;
    for said in stage.losses().summaries(args.keeping()) {
        say(said);
    }
    result
}

/// Feeds the stage until the input ends.
fn copy(
    stream: &mut Stream,
    stage: &mut Stage,
    out: &mut Output,
    stdout: &mut stdio::Output,
    files: &mut Files,
) -> Result<()> {
    loop {
        if !stream.is_marked() && stage.goes_by_clock() {
            stage.tick(now_ms(), out)?;
        }
        loop {
            let number = stream.number() + 1;
            match stream.next_event()? {
                None => break,
                Some(Event::Data(line)) => stage.data(number, line, out)?,
                Some(Event::Long(head, bytes)) => stage.bad(number, &Bad::Long(bytes), head)?,
                Some(Event::Mark(mark, line)) => {
                    if stage.mark(&mark, line, out)? {
                        drain(out, stage, stdout, files)?;
                    }
                }
            }
            if out.bytes().len() >= stdio::OUTPUT_BYTES {
                drain(out, stage, stdout, files)?;
            }
        }
        drain(out, stage, stdout, files)?;
        let by_clock = !stream.is_marked() && stage.goes_by_clock();
        let wait = stage.due().filter(|_| by_clock).map(|due| until(due, now_ms()));
        if stream.fill(wait)? == Fill::End {
            return Ok(());
        }
    }
}

/// Writes all that waits.
fn drain(
    out: &mut Output,
    stage: &mut Stage,
    stdout: &mut stdio::Output,
    files: &mut Files,
) -> Result<()> {
    stdout.buffer().append(out.bytes());
    stdout.flush()?;
    for note in stage.notes() {
        say(note);
    }
    let losses = stage.losses();
    for (file, lines) in
        [(&mut files.bad, &mut losses.bad_lines), (&mut files.late, &mut losses.late_lines)]
    {
        if let Some(file) = file {
            file.buffer().append(lines);
            file.flush()?;
        }
    }
    Ok(())
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
