//! swin against an oracle that recomputes every window from all rows, and how it behaves between
//! other programs.

use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[path = "swin/arbitrary.rs"]
mod arbitrary;
#[path = "swin/calendar.rs"]
mod calendar;
#[path = "swin/epochs.rs"]
mod epochs;
#[path = "swin/job.rs"]
mod job;
#[path = "swin/oracle.rs"]
mod oracle;
#[path = "swin/output.rs"]
mod output;
#[path = "swin/pipe.rs"]
mod pipe;
#[path = "swin/result.rs"]
mod result;
#[path = "swin/span.rs"]
mod span;
#[path = "swin/stream.rs"]
mod stream;
#[path = "swin/vectors.rs"]
mod vectors;

use arbitrary::{Case, by_arrival, by_calendar, by_event_time, config};
use oracle::Oracle;
use output::Item;
use stream::{Form, Writer};

impl Case {
    /// The head of its stream.
    fn writer(&self) -> Writer {
        Writer::new(self.form, self.partitions, self.start)
    }

    fn input(&self) -> Vec<u8> {
        let mut writer = self.writer();
        self.events.iter().for_each(|event| writer.event(event));
        writer.finish()
    }

    /// What knows its stream's result.
    fn oracle(&self) -> Oracle {
        Oracle::new(&self.job, self.form, self.partitions, self.start)
    }

    /// Checks a run of swin against the oracle.
    fn check(&self, ended: &Ended) -> Result<(), TestCaseError> {
        let mut oracle = self.oracle();
        self.events.iter().for_each(|event| oracle.take(event));
        let (expected, losses) = oracle.finish();
        let fits = output::compare(&output::rows(&ended.stdout), &expected);
        prop_assert_eq!(fits, Ok(()), "swin {}", self.job.args().join(" "));
        prop_assert_eq!(output::losses(&ended.stderr), losses, "{}", ended.stderr);
        if self.form != Form::Plain
            && let Some(column) = self.job.end_column()
        {
            check_closed(&ended.stdout, column)?;
        }
        Ok(())
    }

    /// Checks swin against the oracle, and that other reads of the same bytes give the same.
    fn check_twice(&self, cuts: &[usize]) -> Result<(), TestCaseError> {
        let (args, input) = (self.job.args(), self.input());
        let ended = Run::of("swin").args(&args).input(&input).end();
        prop_assert_eq!(ended.code(), Some(0), "swin {}: {}", args.join(" "), ended.stderr);
        self.check(&ended)?;
        if !cuts.is_empty() {
            let again = in_pieces(&args, &input, cuts);
            prop_assert!(again.stdout == ended.stdout, "other reads, other results");
            prop_assert_eq!(again.stderr, ended.stderr);
        }
        Ok(())
    }
}

/// Places to cut an input at; mostly none, because a second run costs as much as the first.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![2 => Just(Vec::new()), 1 => vec(any::<usize>(), 1..6)]
}

/// Runs `swin` on `input`, written in pieces that end at `cuts`.
fn in_pieces(args: &[String], input: &[u8], cuts: &[usize]) -> Ended {
    let mut swin = Live::start("swin", args);
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    cuts.sort_unstable();
    let mut start = 0;
    for cut in cuts.into_iter().chain([input.len()]) {
        swin.send(&input[start..cut]);
        start = cut;
    }
    swin.end()
}

/// Checks that every row stands before the mark that says its window is closed, and after that
/// of the window before.
fn check_closed(output: &[u8], end_column: usize) -> Result<(), TestCaseError> {
    let mut closed = i64::MIN;
    for item in output::items(output) {
        match item {
            Item::Closed(until) => {
                prop_assert!(closed < until, "closed marks do not grow: {} {}", closed, until);
                closed = until;
            }
            Item::Row(_, row) => {
                let end = row.split(|byte| *byte == 0x1f).nth(end_column).unwrap_or_default();
                let end: i64 = String::from_utf8_lossy(end).parse().expect("a time");
                prop_assert!(closed < end, "{} behind the mark closed until {}", end, closed);
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn zeros_fill_the_windows_between(
        (size, step) in select(vec![(10_i64, 10_i64), (30, 10), (7, 3), (5, 12)]),
        rows in vec((0_i64..400, any::<bool>()), 1..30),
    ) {
        let lines = rows.iter().map(|(time, passes)| format!("{time},{passes}\n"));
        let lines: String = lines.collect();
        let hop = format!("{size}ms/{step}ms");
        let args = ["--hop", &hop, "--time", "$1", "--delay", "400ms", "--where", "$2", "--zeros"];
        let args = args.iter().chain(&["-F,", "-o", "text"]);
        let told = Run::of("swin").args(args).input(&lines).end().done();
        let mut next = None;
        let mut left: u64 = 0;
        for line in told.text().lines() {
            let cells = line.split(',').map(|cell| cell.parse().expect("a number"));
            let cells: Vec<i64> = cells.collect();
            let (end, count) = (cells[1], cells[2]);
            prop_assert!(next.is_none_or(|next| next == end), "a window is missing before {end}");
            next = Some(end + step);
            let is_in = |time: i64| span::hops(size, step, time).contains(&(end - size, end));
            let expected = rows.iter().filter(|(time, passes)| *passes && is_in(*time)).count();
            prop_assert_eq!(usize::try_from(count), Ok(expected), "{}", line);
            left += count.unsigned_abs();
        }
        let counted = rows.iter().filter(|(_, passes)| *passes);
        let expected: usize = counted.map(|(time, _)| span::hops(size, step, *time).len()).sum();
        prop_assert_eq!(usize::try_from(left), Ok(expected), "a window with rows is missing");
    }

    #[test]
    fn plain_streams_are_as_the_oracle_says(case in by_event_time(Form::Plain), cuts in cuts()) {
        case.check_twice(&cuts)?;
    }

    #[test]
    fn marked_streams_are_as_the_oracle_says(case in by_event_time(Form::Marked), cuts in cuts()) {
        case.check_twice(&cuts)?;
    }

    #[test]
    fn arrivals_are_as_the_oracle_says(case in by_arrival(Form::Marked), cuts in cuts()) {
        case.check_twice(&cuts)?;
    }

    #[test]
    fn days_are_as_the_oracle_says(
        plain in by_calendar(Form::Plain),
        marked in by_calendar(Form::Marked),
    ) {
        plain.check_twice(&[])?;
        marked.check_twice(&[])?;
    }
}

#[test]
fn windows_close_by_the_clock_while_the_input_is_silent() {
    let mut swin = Live::start("swin", ["--tumble", "50ms", "--by", "$1", "-o", "text"]);
    swin.send("a\na\nb\n");
    // Stdin stays open: nothing but the clock can close the window.
    let (mut rows, mut counted) = (Vec::new(), 0);
    while counted < 3 {
        let row = swin.line();
        counted += row.rsplit(',').next().and_then(|n| n.parse::<u64>().ok()).expect("a count");
        rows.push(row);
    }
    assert!(rows.len() <= 3, "{rows:?}");
    assert_eq!(swin.end().done().stdout, b"");
}

#[test]
fn silence_closes_the_last_window_of_a_plain_stream() {
    let args = ["--tumble", "50ms", "--time", "$1", "--idle", "50ms", "-o", "text"];
    let mut swin = Live::start("swin", args);
    swin.send("0\n10\n");
    // Stdin stays open, and no row comes that would move time.
    assert_eq!(swin.line(), "0,50,2");
    swin.send("20\n10000\n");
    assert_eq!(swin.line(), "10000,10050,1");
    let ended = swin.end().done();
    assert!(ended.stderr.contains("1 row was late"), "{}", ended.stderr);
}

#[test]
fn spark_and_zeros_go_on_by_the_clock_without_any_input() {
    let mut zeros = Live::start("swin", ["--hop", "40ms/20ms", "--zeros", "-o", "text"]);
    let ends: Vec<i64> = (0..3)
        .map(|_| {
            let row = zeros.line();
            let (window, count) = row.rsplit_once(',').expect("a count");
            assert_eq!(count, "0");
            window.rsplit(',').next().and_then(|end| end.parse().ok()).expect("an end")
        })
        .collect();
    assert_eq!([ends[1] - ends[0], ends[2] - ends[1]], [20, 20]);

    let mut totals = Live::start("swin", ["--running", "--every", "20ms", "-o", "spark"]);
    assert_eq!(totals.line(), "-".repeat(43));
    assert!(totals.line().starts_with("Time: "));
}

#[test]
fn a_marked_stream_gives_the_same_bytes_whenever_it_is_read() {
    let line = "kgen numbers --seed 7 -n 3000 --step 7ms --marks |
        swin --hop 1s/300ms --by '$1 % 3 as k' 'sum($1)' 'avg($1)' 'count(*)'";
    let first = Run::shell(line).end().done().stdout;
    assert!(output::rows(&first).len() > 100);
    assert!(Run::shell(line).end().done().stdout == first);
}
