//! The oracle itself against results that were computed by hand.

use crate::job::{Having, Job, What, Windows};
use crate::oracle::Oracle;
use crate::result::Cell;
use crate::stream::{Event, Form, Row, Whole};

/// A job over `windows` with event time.
fn job(windows: Windows) -> Job {
    Job {
        windows,
        what: What::Aggregates,
        delay: Some(0),
        every: None,
        having: None,
        idle: None,
        future: None,
    }
}

/// What happens: `key time value` is a row, with `@1` behind it one of the partition 1;
/// `tick ms`, `idle partition`.
fn events(text: &str) -> Vec<Event> {
    let event = |text: &str| {
        let (text, partition) = text.split_once('@').unwrap_or((text, "0"));
        let partition = partition.parse().expect("a partition");
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| words[at].parse::<i64>().expect("a number");
        match words[0] {
            "tick" => Event::Tick(number(1)),
            "idle" => Event::Idle(partition),
            key => Event::Row(Row {
                partition,
                time: Some(number(1)),
                key: key.as_bytes().to_vec(),
                whole: words.get(2).map_or(Whole::Null, |_| Whole::Is(number(2))),
                number: String::new(),
                passes: true,
            }),
        }
    };
    text.split(", ").map(event).collect()
}

fn shown(cells: &[Cell], count: usize) -> String {
    let cells = cells.iter().take(count).map(|cell| match cell {
        Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Cell::Float(float) => float.to_string(),
    });
    cells.collect::<Vec<_>>().join(" ")
}

/// The bounds, the key and how many rows it had, of each row of the result; then how many were
/// late.
fn told(job: &Job, text: &str) -> String {
    let events = events(text);
    let is_marked = text.contains('@') || text.contains("tick");
    let form = if is_marked { Form::Marked } else { Form::Plain };
    let partitions = if text.contains('@') { 2 } else { 1 };
    let mut oracle = Oracle::new(job, form, partitions, 0);
    for event in &events {
        oracle.take(event);
    }
    let (told, losses) = oracle.finish();
    let is_each = job.what != What::Aggregates;
    let width = match job.windows {
        Windows::Range { .. } | Windows::Running { .. } => 3,
        _ => 4 + usize::from(job.every.is_some()) + usize::from(is_each),
    };
    let rows: Vec<String> = told.iter().map(|cells| shown(cells, width)).collect();
    format!("{}; late {}, outside {}", rows.join(", "), losses.late, losses.outside)
}

#[test]
fn windows_close_when_the_watermark_is_at_their_end() {
    let hop = job(Windows::Hop { size: 20, step: 10, from_start: false });
    let expected = "-10 10 k 1, 0 20 k 3, 10 30 k 1; late 0, outside 0";
    assert_eq!(told(&hop, "k 0, k 10, k 9"), expected);
    let tumble = job(Windows::Hop { size: 10, step: 10, from_start: false });
    assert_eq!(told(&tumble, "k 0, k 10, k 9"), "0 10 k 1, 10 20 k 1; late 1, outside 0");
    let gaps = job(Windows::Hop { size: 2, step: 3, from_start: true });
    let expected = "1 3 k 2, 4 6 k 2; late 0, outside 2";
    assert_eq!(told(&gaps, "k 0, k 1, k 2, k 3, k 4, k 5"), expected);
}

#[test]
fn watermarks_are_the_least_over_partitions() {
    let tumble = job(Windows::Hop { size: 100, step: 100, from_start: false });
    let expected = "0 100 A 3, 100 200 A 1, 1000 1100 B 1, 1100 1200 B 1; late 0, outside 0";
    assert_eq!(told(&tumble, "A 0, B 1000@1, A 10, B 1100@1, A 20, A 100"), expected);
    let expected = "0 100 A 1, 1000 1100 B 1; late 1, outside 0";
    assert_eq!(told(&tumble, "A 0, B 1000, A 10"), expected);
    let expected = "0 100 A 1, 200 300 A 1; late 1, outside 0";
    assert_eq!(told(&tumble, "A 0, A 250, idle 0@1, A 99@1"), expected);
}

#[test]
fn sessions_merge_at_the_gap_and_close_past_their_end() {
    let session = job(Windows::Session { gap: 30 });
    assert_eq!(told(&session, "a 0, a 30, a 61"), "0 60 a 2, 61 91 a 1; late 0, outside 0");
    assert_eq!(told(&session, "a 0, b 30, a 30"), "0 60 a 2, 30 60 b 1; late 0, outside 0");
    let expected = "0 30 a 1, 30 60 a 1, 31 61 b 1; late 0, outside 0";
    assert_eq!(told(&session, "a 0, b 31, a 30"), expected);
    let expected = "0 30 a 1, 100 130 b 1; late 1, outside 0";
    assert_eq!(told(&session, "a 0, b 100, a 50"), expected);
    let expected = "0 30 a 1, 50 110 a 2, 100 130 b 1; late 0, outside 0";
    assert_eq!(told(&session, "a 0, b 100, a 80, a 50"), expected);
    let patient = Job { delay: Some(100), ..job(Windows::Session { gap: 25 }) };
    let expected = "0 125 k 5; late 0, outside 0";
    assert_eq!(told(&patient, "k 0, k 50, k 100, k 25, k 75"), expected);
}

#[test]
fn ranges_have_both_ends_in() {
    let range = job(Windows::Range { length: 5_000, once: false });
    let expected = "8000 A 1, 9200 A 2, 12400 A 3; late 0, outside 0";
    assert_eq!(told(&range, "A 8000, A 9200, A 12400"), expected);
    assert_eq!(
        told(&range, "A 0, A 5000, A 10001"),
        "0 A 1, 5000 A 2, 10001 A 1; late 0, outside 0"
    );
    let range = Job { delay: Some(5), ..job(Windows::Range { length: 10, once: false }) };
    assert_eq!(told(&range, "k 10, k 6, k 12"), "6 k 1, 10 k 2, 12 k 3; late 0, outside 0");
}

#[test]
fn a_burst_is_said_once() {
    let windows = Windows::Range { length: 10, once: true };
    let once = Job { having: Some(Having::Rows(2)), ..job(windows) };
    let expected = "2 a 3, 22 a 3; late 0, outside 0";
    assert_eq!(told(&once, "a 0, a 1, a 2, a 3, a 20, a 21, a 22, a 23"), expected);
    let once = Job { having: Some(Having::Greatest(5)), ..job(windows) };
    let expected = "0 a 1, 26 a 1; late 0, outside 0";
    assert_eq!(told(&once, "a 0 9, a 5 9, a 15 9, a 26 9, a 26 9"), expected);
    let once =
        Job { having: Some(Having::Greatest(5)), ..job(Windows::Range { length: 2, once: true }) };
    assert_eq!(told(&once, "a 0 9, a 2, a 4, a 6 9"), "0 a 1, 6 a 2; late 0, outside 0");
}

#[test]
fn cumulated_windows_take_in_what_earlier_steps_missed() {
    let cumulate = job(Windows::Cumulate { size: 10, step: 5 });
    let expected = "0 5 k 1, 0 10 k 3, 10 15 k 1, 10 20 k 1; late 0, outside 0";
    assert_eq!(told(&cumulate, "k 1, k 7, k 3, k 12"), expected);
}

#[test]
fn blocks_are_counted_by_key_and_partition() {
    let rows = |size, step| job(Windows::Rows { size, step });
    let seven = "k 1, k 2, k 3, k 4, k 5, k 6, k 7";
    assert_eq!(told(&rows(3, 3), seven), "1 3 k 3, 4 6 k 3, 7 7 k 1; late 0, outside 0");
    let expected = "1 2 k 2, 1 4 k 4, 3 6 k 4, 5 7 k 3; late 0, outside 0";
    assert_eq!(told(&rows(4, 2), seven), expected);
    assert_eq!(told(&rows(2, 5), seven), "4 5 k 2; late 0, outside 5");
    assert_eq!(told(&rows(2, 3), "k 5, k 3, k 9, k 1, k 2"), "3 9 k 2, 2 2 k 1; late 0, outside 2");
    assert_eq!(told(&rows(2, 2), "k 1, k 2@1, k 3"), "1 3 k 2, 2 2 k 1; late 0, outside 0");
}

#[test]
fn totals_forget_and_tell_changes() {
    let running =
        |ttl, changes| Job { every: Some(1_000), ..job(Windows::Running { ttl, changes }) };
    let expected = "1000 a 1, 1000 b 1, 2000 a 2, 3000 c 1, 3000 c 2; late 0, outside 0";
    assert_eq!(told(&running(None, true), "a 0, b 500, a 1200, c 2100, c 3000"), expected);
    let expected = "2000 a 1, 2000 b 1, 3000 b 2, 4000 b 2, 4000 c 1, 4100 a 1, 4100 b 2, \
                    4100 c 2; late 0, outside 0";
    let text = "a 0, b 500, b 2400, c 3100, a 4000, c 4100";
    assert_eq!(told(&running(Some(3_000), false), text), expected);
    let text = "a 0, b 500, a 9000, a 9001";
    assert_eq!(told(&running(Some(3_000), false), text), "9001 a 2; late 0, outside 0");
}

#[test]
fn early_results_stand_between_those_that_end_before_and_after_them() {
    let early =
        |size, step| Job { every: Some(10), ..job(Windows::Hop { size, step, from_start: false }) };
    let expected = "0 30 false a 2, 0 30 false a 3, 0 30 true a 3, 0 30 true b 1, 30 60 true a 1; \
                    late 0, outside 0";
    assert_eq!(told(&early(30, 30), "a 0, a 4, a 12, b 26, a 39"), expected);
    let expected = "-20 20 false a 1, 0 40 false a 1, -20 20 true a 2, 0 40 false a 2, \
                    0 40 true a 3, 20 60 true a 1, 40 80 true b 1, 60 100 true b 1; \
                    late 0, outside 0";
    assert_eq!(told(&early(40, 20), "a 0, a 15, a 35, b 76"), expected);
    let expected = "0 15 false a 1, 0 15 true a 1, 15 30 true b 1; late 0, outside 0";
    assert_eq!(told(&early(15, 15), "a 0, b 16"), expected);
    let session = Job { every: Some(10), ..job(Windows::Session { gap: 30 }) };
    let expected = "0 30 false a 1, 0 40 false a 2, 0 55 true a 3, 70 100 true b 1; \
                    late 0, outside 0";
    assert_eq!(told(&session, "a 0, a 10, a 25, b 70"), expected);
}

#[test]
fn silence_moves_time_and_rows_ahead_do_not() {
    let tumble = job(Windows::Hop { size: 100, step: 100, from_start: false });
    let idle = Job { idle: Some(200), ..tumble.clone() };
    // The silence began at tick 100: at tick 400 the watermark is 1050 + 100.
    let text = "k 1000, k 1050, tick 100, idle, tick 200, tick 300, tick 400, k 1060";
    let expected = "1000 1100 k 2; late 1, outside 0";
    assert_eq!(told(&idle, text), expected);
    assert_eq!(told(&tumble, text), "1000 1100 k 3; late 0, outside 0");
    let future = Job { future: Some(1_000), ..tumble };
    let expected = "0 100 k 2, 1000 1100 k 1, 5000 5100 k 1; late 0, outside 0";
    assert_eq!(told(&future, "tick 0, k 0, k 5000, k 50, k 1000"), expected);
}

#[test]
fn each_row_of_a_window_is_told_by_time() {
    let each =
        Job { what: What::Fields, ..job(Windows::Hop { size: 10, step: 10, from_start: false }) };
    let expected = "0 10 a  3, 0 10 a  4, 0 10 a  2, 0 10 b  1, 10 20 a  5; late 0, outside 0";
    assert_eq!(told(&each, "b 0 1, a 5 2, a 2 3, a 2 4, a 15 5"), expected);
}
