//! How programs behave at the ends of a pipe: readers that leave, full disks, torn and strange
//! lines, signals, and output that is not held back.

use std::time::Duration;

use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use rustix::process::Signal;

/// Filters with arguments under which they write rows of text at the end of input.
const FILTERS: [(&str, &[&str]); 3] = [
    ("swin", &["--running", "--by", "$1 as name", "count(*)", "-o", "text"]),
    ("swin", &["--tumble", "1h", "--by", "$1 as name", "count(*)", "-o", "text"]),
    ("topk", &["$2", "-i", "text", "-o", "text"]),
];

/// A source with arguments under which it never ends, and with some under which it does.
const ENDLESS: (&str, &[&str]) = ("kgen", &["pages", "--seed", "1"]);
const SHORT: (&str, &[&str]) = ("kgen", &["pages", "--seed", "1", "-n", "5"]);

/// What a filter gives for `input`.
fn filtered((name, args): (&str, &[&str]), input: impl AsRef<[u8]>) -> Ended {
    Run::of(name).args(args).input(input).end()
}

/// A filter that has read rows and waits for more.
fn waiting((name, args): (&str, &[&str])) -> Live {
    let mut filter = Live::start(name, args);
    filter.send("a,1\nb,2\n");
    filter
}

/// How many rows of `output` speak of `name`.
fn rows_of(output: &[u8], name: &[u8]) -> usize {
    output
        .split(|byte| *byte == b'\n')
        .filter(|row| row.windows(name.len()).any(|x| x == name))
        .count()
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut source = Live::start(ENDLESS.0, ENDLESS.1);
    let _ = source.line();
    source.close_stdout();
    let ended = source.end().done();
    assert_eq!(ended.stderr, "", "a source");
    for filter in FILTERS {
        let mut live = waiting(filter);
        live.close_stdout();
        let ended = live.end().done();
        assert_eq!(ended.stderr, "", "{filter:?}");
    }
}

#[test]
fn a_pipe_that_head_ends_is_no_error() {
    let rows = "kgen pages --seed 1 --with-time";
    let line = format!("{rows} | swin -F'|' --tumble 1s --time '$1' --by '$2' | head -n 1");
    let ended = Run::shell(&line).end().done();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_full_disk_is_an_error() {
    for (name, args) in [SHORT].into_iter().chain(FILTERS) {
        let run = Run::of(name).args(args).input("a,1\n");
        let ended = run.stdout_at("/dev/full").end();
        assert_eq!(ended.code(), Some(1), "{name} {args:?}");
        let message = format!("{name}: <stdout>: No space left on device\n");
        assert_eq!(ended.stderr, message, "{args:?}");
    }
}

#[test]
fn a_last_line_without_newline_counts() {
    for filter in FILTERS {
        let ended = filtered(filter, "a,1\nb,2").done();
        for name in ["a", "b"] {
            assert_eq!(rows_of(&ended.stdout, name.as_bytes()), 1, "{filter:?} {name}");
        }
    }
}

#[test]
fn an_empty_input_is_no_error() {
    for filter in FILTERS {
        let ended = filtered(filter, "").done();
        assert_eq!((ended.text(), ended.stderr.as_str()), ("", ""), "{filter:?}");
    }
}

#[test]
fn lines_are_bytes() {
    let strange: [&[u8]; 4] = [b"a\0b", b"\xff\xfe", "ä€".as_bytes(), b"\x1ex"];
    for filter in FILTERS {
        for name in strange {
            let ended = filtered(filter, [name, b",1\n"].concat()).done();
            assert_eq!(rows_of(&ended.stdout, name), 1, "{filter:?} {name:?}");
        }
    }
}

#[test]
fn lines_may_end_in_nul() {
    for (name, args) in FILTERS {
        let run = Run::of(name).args(args).arg("-0").input("a\nb,1\0c,2");
        let ended = run.end().done();
        assert_eq!(rows_of(&ended.stdout, b"c"), 1, "{name} {args:?}");
    }
}

#[test]
fn a_filter_drains_after_one_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        for filter in FILTERS {
            let mut live = waiting(filter);
            live.signal(signal);
            live.send("c,3\n");
            let ended = live.end().done();
            for name in ["a", "b", "c"] {
                assert_eq!(rows_of(&ended.stdout, name.as_bytes()), 1, "{filter:?} {name}");
            }
        }
    }
}

#[test]
fn a_signal_and_its_echo_are_one_signal() {
    for filter in FILTERS {
        let mut live = waiting(filter);
        live.until_it_waits();
        live.signal_at_once(Signal::INT);
        live.signal_at_once(Signal::INT);
        live.send("c,3\n");
        assert_eq!(rows_of(&live.end().done().stdout, b"c"), 1, "{filter:?}");
    }
}

#[test]
fn a_source_ends_on_a_whole_row_after_one_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut source = Live::start(ENDLESS.0, ENDLESS.1);
        let _ = source.line();
        source.signal_at_once(signal);
        assert_eq!(source.end().done().stdout.last(), Some(&b'\n'));
    }
}

#[test]
fn the_second_signal_kills() {
    for filter in [ENDLESS].into_iter().chain(FILTERS) {
        // A source waits for a reader, a filter for input.
        let mut live = waiting(filter);
        live.until_it_waits();
        live.signal(Signal::INT);
        assert!(!live.ends_within(Duration::from_millis(20)), "{filter:?}");
        live.signal_until_it_ends(Signal::INT);
        assert_eq!(live.end().signal(), Some(Signal::INT.as_raw()), "{filter:?}");
    }
}

#[test]
fn what_is_known_is_shown_before_a_wait() {
    let mut source =
        Live::start("kgen", ["numbers", "--seed", "1", "--burst", "1", "--every", "1h"]);
    let _ = source.line();

    // The row of the second window closes the first, and stdin stays open.
    let args = ["--tumble", "1s", "--time", "$1", "-o", "text"];
    let mut windows = Live::start("swin", args);
    windows.send("0,a\n500,b\n1000,c\n");
    assert_eq!(windows.line(), "0,1000,2");

    let mut ranking =
        Live::start("topk", ["heat", "-k", "1", "-o", "text", "--names", "window_end,heat"]);
    ranking.send("1000,5\n1000,7\n2000,1\n");
    assert!(ranking.line().contains("1000,7"));
}

#[test]
fn a_line_in_pieces_is_one_line() {
    for filter in FILTERS {
        let mut live = Live::start(filter.0, filter.1);
        for piece in ["a", "bc", ",", "1", "\nd,2\n"] {
            live.send(piece);
        }
        assert_eq!(rows_of(&live.end().done().stdout, b"abc"), 1, "{filter:?}");
    }
}
