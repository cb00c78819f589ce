//! `topk`: the K first rows.

use std::time::{Duration, Instant, SystemTime};

use pipe::exit::{Code, Error, Result, say, say_bare};
use pipe::lines::Fill;
use pipe::mark::{self, Event, Mark, Stream};
use pipe::stats::Stats;
use pipe::stdio::{self, Input};
use pipe::stop::Stop;
use pipe::units::{self, Span};
use row::expr::compile;
use row::{bad, form, schema, sql};

pub mod best;
pub mod entry;
pub mod intake;
pub mod kept;
pub mod latest;
pub mod layout;
pub mod ledger;
pub mod output;
pub mod pace;
pub mod ranker;
pub mod ranking;
pub mod score;
pub mod screen;
pub mod sheet;
pub mod shown;
pub mod stage;
pub mod tally;
pub mod windows;

use intake::Query;
use ledger::Limits;
use output::Output;
use ranker::Settings;
use score::Order;
use screen::Screen;
use sheet::Form;
use stage::{Counting, Keeping, Plan, Stage};

/// Between two drawings of the same table on a terminal, unless a ranking is due.
const REDRAW: Duration = Duration::from_millis(100);

/// Why a list of columns is refused that has an empty name.
const NAMELESS: &str = "the name of a column is empty; did the shell eat a $1? use single quotes";

/// What is shown below the options.
const MORE: &str = "\
Rows come out as they came in, with their rank in front, and the score behind when EXPR is more \
than a column. EXPR is SQL over the names of the fields, or $1, $2, …: put it in single quotes. \
Rows with equal scores are ordered by the bytes of --key, then as they came. Numbers stand before \
text, NaN and NULL are last. When JSON rows are written as table, text or CSV, the columns are \
those of the first row.

What is ranked, and when:
  1. Rows with a column window_end (or --window F) are ranked window by window, with --key by the \
last row of each key: in a marked stream when the window is complete, else when a later one \
starts, and at the end. Rows that come after that are late and counted.
  2. With --upsert or --every D the last row of each key counts, so scores may fall; a NULL score \
removes the key. The ranking is written at each multiple of D and at the end; in a marked stream \
behind swin each time swin has written its rows.
  3. With --tally the rows of each key are counted, of whatever window, and the keys ranked by \
that: at the end, and with --upsert or --every also before, as in 2. Columns are the rank, the key \
(line, without --key) and count; EXPR may use them.
  4. Else all rows are ranked once, at the end.
With --per each value of F has a ranking of its own, and keys of its own; the rankings are \
written one after the other, by the bytes of F, NULL first. --changes leaves out what is as in \
the ranking before; of a key that left it writes the rank null and the columns of --per and --key.

A marked stream that was stopped has no end to rank at. In one with epochs, what changed is \
stored at each barrier, and a restart with the same options goes on from there.

Memory is bounded: without keys, K rows of each ranking are held, with keys the last row of each, \
with --tally each key and its count. Past --max-keys or --max-memory the program ends and says \
so; nothing is ever dropped in silence.

EXAMPLES
    The three largest files and folders:
        du -a | topk -k 3 -F'\\t' '$1'
    The most frequent lines, as sort | uniq -c | sort -rn | head:
        topk --tally < words
    The three pages that each host asked for most, from a log of Apache:
        topk -k 3 --tally --per '$1' --key '$7' -F' ' < access.log
    The ten hottest pages, live from a topic:
        kcons -t user-behavior --marks | swin -F'|' --names page,clicks,stay,liked --by page \\
            --running --every 2s 'sum(0.8*clicks + 0.8*stay + liked) as heat' |
            topk -k 10 heat --key page --upsert
    The same, and only what changes:
        … | topk -k 10 heat --key page --upsert --changes
    The busiest page of every minute, from lines of TIME PAGE:
        swin -F' ' --tumble 1m --time '$1' --by '$2' < requests | topk -k 1 count

EXIT STATUS
    0  done, or the reader of stdout has gone
    1  the world: a disk, a limit, an overflow, or a bad row under --strict
    2  the caller: a wrong option or expression, or a stored state of other options
    75 a marked stream was cut short, or its reader left while it had epochs: run it again";

/// The K first rows, per window, per tick or at the end
#[derive(Debug, clap::Parser)]
#[command(name = "topk", version, after_long_help = MORE)]
pub struct Args {
    /// What rows are ranked by, the greatest first, as heat or '0.8*clicks + stay as heat'; with
    /// --tally the count, unless given
    #[arg(value_name = "EXPR", required_unless_present = "tally")]
    expr: Option<String>,

    /// Rows of a ranking
    #[arg(short = 'k', value_name = "K", default_value = "10", value_parser = more_than_zero)]
    k: usize,

    /// Columns of the key
    #[arg(long, value_name = "F,…", value_delimiter = ',')]
    key: Vec<String>,

    /// A ranking for each value of these columns
    #[arg(long, value_name = "F,…", value_delimiter = ',')]
    per: Vec<String>,

    /// The least first
    #[arg(long)]
    asc: bool,

    /// The last row of each key counts, and not all
    #[arg(long)]
    upsert: bool,

    /// Writes a ranking at each multiple of D, as 10s, of the last row of each key
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    every: Option<Span>,

    /// Counts the rows of each key, or of each line, and ranks by that
    #[arg(long, conflicts_with = "window")]
    tally: bool,

    /// Column of the end of a window, in ms or RFC 3339, where it has a name of its own
    #[arg(long, value_name = "F")]
    window: Option<String>,

    /// Keys, or rows without keys, held at a time
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = more_than_zero)]
    max_keys: usize,

    /// Bytes that these may take
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = units::size)]
    max_memory: usize,

    #[command(flatten)]
    rows: schema::Options,

    #[command(flatten)]
    lines: mark::Options,

    #[command(flatten)]
    bad_rows: bad::Options,

    #[command(flatten)]
    written: Written,
}

/// How rankings are written.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
struct Written {
    /// Form of the rankings [default: table on a terminal, else json]
    #[arg(short, long, value_name = "FORM")]
    output: Option<OutputForm>,

    /// Writes only what has another rank or score than in the ranking before
    #[arg(long)]
    changes: bool,

    /// Says how it goes every D and at the end, as a line of JSON on stderr
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    stats: Option<Span>,

    /// Says nothing but failures and what did not count
    #[arg(short, long)]
    quiet: bool,
}

/// The form of rankings (`-o`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OutputForm {
    /// One object a line
    Json,
    /// Aligned columns, redrawn in place on a terminal
    Table,
    /// Fields between the separator of -F
    Text,
    /// RFC 4180, with a header line
    Csv,
}

fn more_than_zero(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number of 1 or more is expected".to_owned()),
        Ok(number) => Ok(number),
    }
}

impl Args {
    fn plan(&self, form: Form) -> Result<Plan> {
        self.check(&form)?;
        let expr = self.expr.as_deref().unwrap_or(sheet::COUNT);
        let score = sql::item(expr).map_err(|refused| Error::caller("EXPR", refused))?;
        // What no row can have is refused before there is one: all columns may exist.
        let checked = compile(&score.ast, &score.text, &mut |_: &str| Ok(0));
        checked.map_err(|refused| Error::caller("EXPR", refused))?;
        let again = self.upsert || self.every.is_some();
        let counting = match (self.tally, again) {
            (true, again) => Counting::Tally { again },
            (false, true) => Counting::Last,
            (false, false) => Counting::All,
        };
        let keys = self.keys();
        let settings = Settings {
            k: self.k,
            order: if self.asc { Order::Least } else { Order::Greatest },
            keyed: !self.key.is_empty(),
            grouped: !self.per.is_empty(),
            changes: self.written.changes,
            limits: Limits { rows: self.max_keys, bytes: self.max_memory },
        };
        let window = self.window.clone();
        Ok(Plan {
            rows: self.rows.clone(),
            query: Query { score, keys, grouped: self.per.len(), window },
            settings,
            counting,
            every_ms: self.every.map(Span::ms),
            form,
            keeping: Keeping { bad: self.bad_rows.bad.is_some(), strict: self.bad_rows.strict },
        })
    }

    /// The columns of the group, and those of the key that are not among them.
    fn keys(&self) -> Vec<String> {
        let mut keys = self.per.clone();
        keys.extend(self.key.iter().filter(|name| !self.per.contains(name)).cloned());
        if self.tally && self.key.is_empty() {
            keys.push("$0".to_owned());
        }
        keys
    }

    /// Refuses options that make no sense together.
    fn check(&self, form: &Form) -> Result<()> {
        if self.k > self.max_keys {
            return Err(Error::caller("-k", format!("is more than --max-keys {}", self.max_keys)));
        }
        let keyless = self.key.is_empty() && !self.tally;
        let again = self.upsert || self.every.is_some();
        let no_key = "the last row of each key counts; --key says which columns the key is";
        let once = "a ranking at the end has none before it to compare with; add --upsert or \
                    --every";
        let window = self.window.is_some();
        let table = "a table shows the whole ranking; give -o json, text or csv";
        let empty = |names: &[String]| names.iter().any(String::is_empty);
        let refused = [
            (empty(&self.key), "--key", NAMELESS),
            (empty(&self.per), "--per", NAMELESS),
            (self.upsert && keyless, "--upsert", no_key),
            (self.every.is_some() && keyless, "--every", no_key),
            (self.every.is_some() && window, "--every", stage::WINDOWS),
            (self.upsert && window, "--upsert", stage::WINDOWS),
            (self.written.changes && !again, "--changes", once),
            (self.written.changes && *form == Form::Table, "--changes", table),
        ];
        match refused.into_iter().find(|&(refused, ..)| refused) {
            Some((_, option, reason)) => Err(Error::caller(option, reason)),
            None => Ok(()),
        }
    }

    fn form(&self, terminal: bool) -> Form {
        let default =
            if terminal && !self.written.changes { OutputForm::Table } else { OutputForm::Json };
        match self.written.output.unwrap_or(default) {
            OutputForm::Table => Form::Table,
            OutputForm::Json => Form::Rows(form::Form::Json),
            OutputForm::Csv => Form::Rows(form::Form::Csv),
            OutputForm::Text => {
                let separator = self.rows.field_separator.clone();
                Form::Rows(form::Form::Text(separator, self.lines.delimiter()))
            }
        }
    }
}

/// Reads stdin to its end and writes rankings to stdout.
///
/// # Errors
/// When an option or expression is refused, a stream fails, or a limit is reached.
pub fn run(args: &Args) -> Result<Code> {
    let stdout = stdio::Output::stdout()?;
    let terminal = stdout.is_terminal();
    let form = args.form(terminal);
    let table = form == Form::Table;
    let screen = (table && stdout.is_screen()).then(Screen::default);
    let stage = args.plan(form).map(Stage::new);
    let stage = stage.and_then(|stage| stage.check_early().map(|()| stage));
    let expr = args.expr.as_deref().unwrap_or_default();
    let stage = stage.map_err(|refused| refused.or_file("EXPR", expr))?;
    let bad = args.bad_rows.bad.as_deref().map(stdio::Output::create).transpose()?;
    // A filter drains its input: a signal only makes the next one kill.
    let _stop = Stop::listen()?;
    let output = Output::new(screen, stdout.shows_bold(), !terminal && !table);
    let mut session = Session {
        stream: args.lines.stream(Input::stdin()?),
        stage,
        output,
        stdout,
        bad,
        quiet: args.written.quiet,
        begun: Instant::now(),
        stats: args.written.stats.map(|every| Stats::new("topk", every.duration())),
        drawn: None,
        drawn_rows: 0,
    };
    session.run()
}

/// A run, with its edges.
struct Session {
    stream: Stream,
    stage: Stage,
    output: Output,
    stdout: stdio::Output,
    bad: Option<stdio::Output>,
    quiet: bool,
    begun: Instant,
    stats: Option<Stats>,
    /// When the table was drawn last, and how many rows had come.
    drawn: Option<Instant>,
    drawn_rows: u64,
}

impl Session {
    fn run(&mut self) -> Result<Code> {
        let mut result = self.copy().and_then(|()| self.stage.finish(&mut self.output));
        if self.stage.rows() > self.drawn_rows {
            self.stage.draw(&mut self.output);
        }
        if let Some(abort) = result.as_ref().err().and_then(|error| Mark::abort("topk", error)) {
            self.output.stream.mark(&abort);
        }
        let drained = self.drain();
        self.say_stats();
        for loss in self.stage.losses() {
            say(loss);
        }
        if result.is_ok() {
            result = drained.and(result);
        }
        match result {
            // What was not read belongs to an epoch that nobody will commit.
            Err(Error::Closed) if self.stage.has_epochs() => {
                Err(Error::unfinished("<stdout>", "the reader has gone before the stream ended"))
            }
            result => result,
        }
    }

    /// Feeds the stage until the input ends.
    fn copy(&mut self) -> Result<()> {
        loop {
            if self.stage.goes_by_clock() {
                self.stage.tick(now_ms(), &mut self.output)?;
            }
            while self.next()? {
                if self.output.stream.bytes.len() >= stdio::OUTPUT_BYTES {
                    self.drain()?;
                }
            }
            let redraw = self.redraw();
            self.drain()?;
            let due =
                self.stage.wait_ms(now_ms()).map(|ms| Duration::from_millis(ms.unsigned_abs()));
            let stats = self.tell();
            let wait = [due, redraw, stats].into_iter().flatten().min();
            if self.stream.fill(wait)? == Fill::End {
                return Ok(());
            }
        }
    }

    /// Takes what is next in the buffer; returns whether there was something.
    #[inline]
    fn next(&mut self) -> Result<bool> {
        let number = self.stream.number() + 1;
        match self.stream.next_event()? {
            None => return Ok(false),
            Some(Event::Data(line)) => self.stage.data(number, line, &mut self.output)?,
            Some(Event::Long(head, bytes)) => {
                self.stage.long(number, head, bytes, &mut self.output)?;
            }
            Some(Event::Mark(mark, line)) => {
                if self.stage.mark(&mark, line, &mut self.output)? {
                    self.drain()?;
                }
            }
        }
        Ok(true)
    }

    /// Draws the table when rows came since the last time; returns when to look again.
    fn redraw(&mut self) -> Option<Duration> {
        if !self.output.is_live() || self.stage.rows() == self.drawn_rows {
            return None;
        }
        let left = self.drawn.map(|drawn| REDRAW.saturating_sub(drawn.elapsed()));
        if left.is_some_and(|left| !left.is_zero()) {
            return left;
        }
        self.output.resize(self.stdout.terminal_size());
        self.stage.draw(&mut self.output);
        self.drawn = Some(Instant::now());
        self.drawn_rows = self.stage.rows();
        None
    }

    /// Says how it goes when that is due; returns when it will be.
    fn tell(&mut self) -> Option<Duration> {
        let wait = |stats: &Stats| stats.wait(self.begun.elapsed());
        let left = self.stats.as_ref().map(wait)?;
        if !left.is_zero() {
            return Some(left);
        }
        self.say_stats();
        self.stats.as_ref().map(|stats| stats.wait(self.begun.elapsed()))
    }

    fn say_stats(&mut self) {
        let Some(stats) = &mut self.stats else { return };
        stats.set(self.stage.taken(), self.output.rows());
        say_bare(stats.line(self.begun.elapsed(), self.stage.gauges()));
    }

    /// Writes all that waits.
    fn drain(&mut self) -> Result<()> {
        self.stdout.buffer().append(&mut self.output.stream.bytes);
        self.stdout.flush()?;
        if let Some(bad) = &mut self.bad {
            bad.buffer().append(self.stage.bad_lines());
            bad.flush()?;
        }
        for note in self.stage.notes() {
            if !self.quiet {
                say(note);
            }
        }
        Ok(())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
