//! topk against an oracle that sorts everything, and how it behaves between other programs.

use std::collections::BTreeMap;
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
#[path = "topk/oracle.rs"]
mod oracle;

use oracle::{Asked, Ranked, Row, lines};

fn scores() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (-3_i32..3).prop_map(|score| score.to_string()),
        2 => (-6_i32..6).prop_map(|halves| format!("{:.1}", f64::from(halves) / 2.0)),
        1 => Just(String::new()),
        1 => "[a-c]",
    ]
}

fn rows(windows: i64) -> impl Strategy<Value = Vec<Row>> {
    let row = (0..windows, "[g-i]?", "[a-e]", scores());
    let row = row.prop_map(|(window, group, key, score)| {
        let window = window * 1000;
        Row { window, group, key, score }
    });
    vec(row, 0..40)
}

fn asked() -> impl Strategy<Value = Asked> {
    let asked = |(k, ascending, keyed, grouped)| Asked { k, ascending, keyed, grouped };
    (1_usize..6, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(asked)
}

/// What topk writes for rows of text; marks are lines as well.
fn topk(args: &[&str], asked: Asked, input: impl IntoIterator<Item = String>) -> String {
    let k = asked.k.to_string();
    let mut all = vec!["-k", &k, "-o", "text", "-q", "--names", "window,group,key,score"];
    all.extend(args);
    all.extend(asked.ascending.then_some("--asc"));
    all.extend(asked.grouped.then_some(["--per", "group"]).into_iter().flatten());
    all.extend(asked.keyed.then_some(["--key", "key"]).into_iter().flatten());
    let input: String = input.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect();
    let ended = Run::of("topk").args(all).input(input).end().done();
    ended.text().to_owned()
}

fn input(rows: &[Row]) -> Vec<String> {
    rows.iter().map(Row::line).collect()
}

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
    fn at_the_end_all_rows_are_ranked(rows in rows(1), asked in asked()) {
        prop_assert_eq!(topk(&["score"], asked, input(&rows)), lines(&asked.rank(&rows)));
    }

    #[test]
    fn with_upsert_the_last_row_of_each_key_counts(rows in rows(1), asked in asked()) {
        let asked = Asked { keyed: true, ..asked };
        let written = topk(&["score", "--upsert"], asked, input(&rows));
        let mut latest = asked.latest(&rows);
        latest.retain(|row| !row.score.is_empty());
        prop_assert_eq!(written, lines(&asked.rank(&latest)));
    }

    #[test]
    fn a_tally_counts_the_rows_of_each_key(rows in rows(1), asked in asked()) {
        let asked = Asked { keyed: true, ..asked };
        let ranking = asked.rank(&asked.tally(&rows));
        let line = |(rank, row): &Ranked| if asked.grouped {
            format!("{rank},{},{},{}\n", row.group, row.key, row.score)
        } else {
            format!("{rank},{},{}\n", row.key, row.score)
        };
        let expected: String = ranking.iter().map(line).collect();
        prop_assert_eq!(topk(&["--tally"], asked, input(&rows)), expected);
    }

    #[test]
    fn only_what_changed_since_the_last_ranking_is_written(
        rows in rows(1), every in 1_usize..9, asked in asked()
    ) {
        let asked = Asked { keyed: true, ..asked };
        let (mut stream, mut expected) = (vec![OPEN.to_owned()], String::new());
        let mut last = Vec::new();
        for count in (0..rows.len()).step_by(every) {
            let some = &rows[..rows.len().min(count + every)];
            stream.extend(input(&some[count..]));
            stream.push(format!("\x1e{{\"mark\":\"closed\",\"until\":{count}}}"));
            let mut latest = asked.latest(some);
            latest.retain(|row| !row.score.is_empty());
            let ranking = asked.rank(&latest);
            expected += &asked.changes(&last, &ranking);
            last = ranking;
        }
        stream.push(DRAINED.to_owned());
        let written = topk(&["score", "--upsert", "--changes"], asked, stream);
        prop_assert_eq!(data(&written), expected);
    }

    #[test]
    fn a_plain_stream_ranks_each_window_when_a_later_one_starts(
        rows in rows(4), asked in asked()
    ) {
        let written = topk(&["score", "--window", "window"], asked, input(&rows));
        let mut windows: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        let mut newest = i64::MIN;
        for row in &rows {
            newest = newest.max(row.window);
            if row.window == newest {
                windows.entry(row.window).or_default().push(row.clone());
            }
        }
        let counted = |rows: Vec<Row>| if asked.keyed { asked.latest(&rows) } else { rows };
        let ranked = windows.into_values().map(counted);
        let expected: String = ranked.map(|rows| lines(&asked.rank(&rows))).collect();
        prop_assert_eq!(written, expected);
    }

    #[test]
    fn a_marked_stream_ranks_each_window_when_it_is_complete(
        rows in rows(4), closings in vec((0_usize..40, 0_i64..4), 0..4), asked in asked()
    ) {
        let asked = Asked { keyed: false, ..asked };
        let mut stream = vec![OPEN.to_owned()];
        let mut open: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        let (mut closed, mut expected) = (i64::MIN, String::new());
        for (at, row) in rows.iter().enumerate() {
            stream.push(row.line());
            if row.window > closed {
                open.entry(row.window).or_default().push(row.clone());
            }
            for (_, window) in closings.iter().filter(|(place, _)| *place == at) {
                let until = window * 1000;
                stream.push(format!("\x1e{{\"mark\":\"closed\",\"until\":{until}}}"));
                closed = closed.max(until);
                while let Some(window) = open.first_entry().filter(|first| *first.key() <= until) {
                    expected += &lines(&asked.rank(&window.remove()));
                }
            }
        }
        stream.push(DRAINED.to_owned());
        expected.extend(open.into_values().map(|rows| lines(&asked.rank(&rows))));
        let written = topk(&["score", "--window", "window"], asked, stream);
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
    let row = "\r\x1b[1mrank  line\x1b[0m\x1b[K\n   1     7\x1b[K\n\x1b[J";
    let again = row.replace('\r', "\r\x1b[2A");
    assert_eq!(shown(&["$1"], &[("TERM", "xterm")], "7\n"), format!("{row}{again}"));
    let plain = shown(&["$1"], &[("TERM", "xterm"), ("NO_COLOR", "1")], "7\n");
    assert!(!plain.contains("\x1b[1m"), "{plain:?}");
    assert_eq!(shown(&["$1"], &[("TERM", "dumb")], "7\n"), "rank  line\n   1     7\n");
    let tally = "rank  line  count\n   1     7      2\n";
    assert_eq!(shown(&["--tally"], &[("TERM", "dumb")], "7\n7\n"), tally);
    let groups = "rank  line\n   1  a,1\n   1  b,2\n";
    assert_eq!(shown(&["$2", "--per", "$1"], &[("TERM", "dumb")], "b,2\na,1\n"), groups);
    let changes = ["$2", "--key", "$1", "--upsert", "--changes"];
    assert_eq!(shown(&changes, &[], "b,2\n"), "{\"rank\":1,\"line\":\"b,2\"}\n");
    let marked = format!("{OPEN}\n{{\"n\":7}}\n{DRAINED}\n");
    assert_eq!(shown(&["n", "-o", "json"], &[], &marked), "{\"rank\":1,\"n\":7}\n");
}

#[test]
fn many_rows_need_the_memory_of_a_ranking() {
    let line = "ulimit -v 200000; seq 3000000 | topk -k 3 '$1' -o text";
    assert_eq!(Run::shell(line).end().done().text(), "1,3000000\n2,2999999\n3,2999998\n");
}
