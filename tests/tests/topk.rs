//! topk against an oracle that sorts everything, and how it behaves between other programs.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kpipe_tests::live::Live;
use kpipe_tests::run::Run;
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

#[path = "topk/epochs.rs"]
mod epochs;

/// A row: the end of its window, its key, and its score as it is written.
#[derive(Clone, Debug)]
struct Row {
    window: i64,
    key: String,
    score: String,
}

impl Row {
    fn line(&self) -> String {
        format!("{},{},{}", self.window, self.key, self.score)
    }
}

/// What a score is: a number, other text, or nothing.
#[derive(PartialEq, PartialOrd)]
enum Class {
    Number(f64),
    Text(String),
    Null,
}

fn class(score: &str) -> Class {
    match score.parse() {
        _ if score.is_empty() => Class::Null,
        Ok(number) => Class::Number(number),
        Err(_) => Class::Text(score.to_owned()),
    }
}

/// Which of two rows comes first, where the earlier one is `one` if nothing else tells.
fn compare(one: &Row, other: &Row, ascending: bool, keyed: bool) -> Ordering {
    let (left, right) = (class(&one.score), class(&other.score));
    let mut by_score = left.partial_cmp(&right).expect("no score is NaN");
    let same_class = std::mem::discriminant(&left) == std::mem::discriminant(&right);
    if same_class && !ascending {
        by_score = by_score.reverse();
    }
    let by_key = if keyed { one.key.cmp(&other.key) } else { Ordering::Equal };
    by_score.then(by_key)
}

/// The ranking of `rows` as lines.
fn ranking(rows: &[Row], k: usize, ascending: bool, keyed: bool) -> String {
    let mut rows = rows.to_vec();
    rows.sort_by(|one, other| compare(one, other, ascending, keyed));
    let ranked = (1..).zip(rows.iter().take(k));
    ranked.flat_map(|(rank, row)| [format!("{rank},"), row.line(), "\n".to_owned()]).collect()
}

/// The last row of each key.
fn latest(rows: &[Row]) -> Vec<Row> {
    let last: HashMap<&str, &Row> = rows.iter().map(|row| (row.key.as_str(), row)).collect();
    last.into_values().cloned().collect()
}

fn scores() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (-3_i32..3).prop_map(|score| score.to_string()),
        2 => (-6_i32..6).prop_map(|halves| format!("{:.1}", f64::from(halves) / 2.0)),
        1 => Just(String::new()),
        1 => "[a-c]",
    ]
}

fn rows(windows: i64) -> impl Strategy<Value = Vec<Row>> {
    let row = (0..windows, "[a-e]", scores());
    let row = row.prop_map(|(window, key, score)| Row { window: window * 1000, key, score });
    vec(row, 0..40)
}

/// What topk writes for rows of text; marks are lines as well.
fn topk(args: &[&str], k: usize, ascending: bool, lines: &[String]) -> String {
    let k = k.to_string();
    let mut all = vec!["score", "-k", &k, "-o", "text", "-q"];
    all.extend(args);
    all.extend(ascending.then_some("--asc"));
    let input: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    let ended = Run::of("topk").args(all).input(input).end().done();
    ended.text().to_owned()
}

fn lines(rows: &[Row]) -> Vec<String> {
    rows.iter().map(Row::line).collect()
}

const NAMES: [&str; 2] = ["--names", "window,key,score"];
const WINDOWS: [&str; 2] = ["--window", "window"];
const KEY: [&str; 2] = ["--key", "key"];
const OPEN: &str =
    "\x1e{\"kpipe\":1,\"mark\":\"open\",\"epochs\":false,\"tick_ms\":100,\"stages\":[\"0:swin\"]}";
const DRAINED: &str = "\x1e{\"mark\":\"end\",\"how\":\"drained\"}";

/// The lines of `output` that are no marks.
fn data(output: &str) -> String {
    output.lines().filter(|line| !line.starts_with('\x1e')).flat_map(|line| [line, "\n"]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn at_the_end_all_rows_are_ranked(
        rows in rows(1), k in 1_usize..6, ascending: bool, keyed: bool
    ) {
        let key = if keyed { &KEY[..] } else { &[] };
        let written = topk(&[&NAMES, key].concat(), k, ascending, &lines(&rows));
        prop_assert_eq!(written, ranking(&rows, k, ascending, keyed));
    }

    #[test]
    fn with_upsert_the_last_row_of_each_key_counts(
        rows in rows(1), k in 1_usize..6, ascending: bool
    ) {
        let args = [&NAMES[..], &KEY, &["--upsert"]].concat();
        let written = topk(&args, k, ascending, &lines(&rows));
        let mut latest = latest(&rows);
        latest.retain(|row| !row.score.is_empty());
        prop_assert_eq!(written, ranking(&latest, k, ascending, true));
    }

    #[test]
    fn a_plain_stream_ranks_each_window_when_a_later_one_starts(
        rows in rows(4), k in 1_usize..6, ascending: bool, keyed: bool
    ) {
        let key = if keyed { &KEY[..] } else { &[] };
        let written = topk(&[&NAMES, &WINDOWS, key].concat(), k, ascending, &lines(&rows));
        let mut windows: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        let mut newest = i64::MIN;
        for row in &rows {
            newest = newest.max(row.window);
            if row.window == newest {
                windows.entry(row.window).or_default().push(row.clone());
            }
        }
        let counted = |rows: Vec<Row>| if keyed { latest(&rows) } else { rows };
        let ranked = windows.into_values().map(counted);
        let expected: String = ranked.map(|rows| ranking(&rows, k, ascending, keyed)).collect();
        prop_assert_eq!(written, expected);
    }

    #[test]
    fn a_marked_stream_ranks_each_window_when_it_is_complete(
        rows in rows(4), closings in vec((0_usize..40, 0_i64..4), 0..4), k in 1_usize..6
    ) {
        let mut input = vec![OPEN.to_owned()];
        let mut open: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        let (mut closed, mut expected) = (i64::MIN, String::new());
        for (at, row) in rows.iter().enumerate() {
            input.push(row.line());
            if row.window > closed {
                open.entry(row.window).or_default().push(row.clone());
            }
            for (_, window) in closings.iter().filter(|(place, _)| *place == at) {
                let until = window * 1000;
                input.push(format!("\x1e{{\"mark\":\"closed\",\"until\":{until}}}"));
                closed = closed.max(until);
                while let Some(window) = open.first_entry().filter(|first| *first.key() <= until) {
                    expected += &ranking(&window.remove(), k, false, false);
                }
            }
        }
        input.push(DRAINED.to_owned());
        expected.extend(open.into_values().map(|rows| ranking(&rows, k, false, false)));
        let written = topk(&[NAMES, WINDOWS].concat(), k, false, &input);
        prop_assert_eq!(data(&written), expected);
    }
}

#[test]
fn a_ranking_is_written_at_each_multiple_of_the_clock_also_without_rows() {
    let mut topk = Live::start("topk", ["$2", "--key", "$1", "--every", "200ms", "-o", "text"]);
    topk.send("a,1\n");
    assert_eq!((topk.line(), topk.line()), ("1,a,1".to_owned(), "1,a,1".to_owned()));
    topk.send("b,2\n");
    while topk.line() != "1,b,2" {}
    assert_eq!(topk.line(), "2,a,1");
}

#[test]
fn a_marked_ranking_is_written_before_the_next_row_comes() {
    let mut topk = Live::start("topk", ["n", "--key", "k", "--upsert"]);
    topk.send(format!("{OPEN}\n"));
    assert!(topk.line().ends_with("\"stages\":[\"0:swin\",\"1:topk\"]}"));
    topk.send("{\"k\":\"a\",\"n\":1}\n\x1e{\"mark\":\"closed\",\"until\":1000}\n");
    assert_eq!(topk.line(), "{\"rank\":1,\"k\":\"a\",\"n\":1}");
    assert_eq!(topk.line(), "\x1e{\"mark\":\"closed\",\"until\":1000}");
}

/// What topk shows on a terminal.
fn shown(args: &[&str], variables: &[(&str, &str)], input: &str) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    unlockpt(&terminal).expect("it can be unlocked");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name");
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let stdout = File::options().write(true).open(path).expect("it can be opened");
    let mut run = Run::of("topk").args(args).stdout(stdout).input(input);
    for (variable, value) in variables {
        run = run.env(variable, value);
    }
    let _ = run.end().done();
    // A terminal that nobody writes to any more ends in an error.
    let (mut terminal, mut bytes) = (File::from(terminal), Vec::new());
    let _ = terminal.read_to_end(&mut bytes);
    String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n")
}

#[test]
fn a_terminal_shows_a_table_that_is_drawn_in_place() {
    let row = "\r\x1b[1mrank  $0\x1b[0m\x1b[K\n   1   7\x1b[K\n\x1b[J";
    let again = row.replace('\r', "\r\x1b[2A");
    assert_eq!(shown(&["$1"], &[("TERM", "xterm")], "7\n"), format!("{row}{again}"));
    let plain = shown(&["$1"], &[("TERM", "xterm"), ("NO_COLOR", "1")], "7\n");
    assert!(!plain.contains("\x1b[1m"), "{plain:?}");
    assert_eq!(shown(&["$1"], &[("TERM", "dumb")], "7\n"), "rank  $0\n   1   7\n");
    let marked = format!("{OPEN}\n{{\"n\":7}}\n{DRAINED}\n");
    assert_eq!(shown(&["n", "-o", "json"], &[], &marked), "{\"rank\":1,\"n\":7}\n");
}

#[test]
fn many_rows_need_the_memory_of_a_ranking() {
    let line = "ulimit -v 200000; seq 3000000 | topk -k 3 '$1' -o text";
    assert_eq!(Run::shell(line).end().done().text(), "1,3000000\n2,2999999\n3,2999998\n");
}
