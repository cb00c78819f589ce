//! swin against an oracle that recomputes every window from all rows, and how it behaves between
//! other programs.

use kpipe_tests::live::Live;
use kpipe_tests::run::{Ended, Run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[path = "swin/oracle.rs"]
mod oracle;

use oracle::{AGGREGATES, Cell, Event, Losses, Oracle, Row, Whole, Windows};

/// A stream and what swin is asked of it.
#[derive(Clone, Debug)]
struct Case {
    windows: Windows,
    delay_ms: i64,
    partitions: usize,
    marked: bool,
    events: Vec<Event>,
}

impl Case {
    fn args(&self) -> Vec<String> {
        let window = match self.windows {
            Windows::Aligned { size, step } if size == step => format!("--tumble {size}ms"),
            Windows::Aligned { size, step } => format!("--hop {size}ms/{step}ms"),
            Windows::Running { every: Some(every) } => format!("--running --every {every}ms"),
            Windows::Running { every: None } => "--running".to_owned(),
        };
        let mut args: Vec<String> = window.split(' ').map(str::to_owned).collect();
        let rest = ["-i", "text", "-F", r"\x1f", "-o", "text", "--by", "$2", "--time", "$1"];
        args.extend(rest.map(str::to_owned));
        args.extend(["--where", "$5 = 1", "--delay"].map(str::to_owned));
        args.push(format!("{}ms", self.delay_ms));
        args.extend(AGGREGATES.map(str::to_owned));
        args
    }

    fn input(&self) -> Vec<u8> {
        let mut input = Vec::new();
        if self.marked {
            let partitions: Vec<_> =
                (0..self.partitions).map(|at| format!(r#"["t",{at}]"#)).collect();
            let partitions = partitions.join(",");
            push_mark(
                &mut input,
                r#"{"kpipe":1,"mark":"open","epochs":false,"tick_ms":100,"stages":[]}"#,
            );
            push_mark(
                &mut input,
                &format!(r#"{{"mark":"begin","group":null,"partitions":[{partitions}]}}"#),
            );
            push_mark(&mut input, r#"{"mark":"tick","ms":0}"#);
        }
        let mut from = None;
        for event in &self.events {
            let (partition, line) = match event {
                Event::Row(row) => (row.partition, line(row)),
                Event::Scrap(partition, line) => (*partition, line.clone()),
                Event::Idle(partition) if self.marked => {
                    from = None;
                    push_mark(&mut input, &format!(r#"{{"mark":"idle","at":["t",{partition}]}}"#));
                    continue;
                }
                Event::Idle(_) => continue,
            };
            if self.marked && from != Some(partition) {
                from = Some(partition);
                push_mark(
                    &mut input,
                    &format!(r#"{{"mark":"from","at":["t",{partition}],"offset":0}}"#),
                );
            }
            if self.marked && line.first() == Some(&0x1e) {
                input.push(0x1e);
            }
            input.extend_from_slice(&line);
            input.push(b'\n');
        }
        if self.marked {
            push_mark(&mut input, r#"{"mark":"tick","ms":100}"#);
            push_mark(&mut input, r#"{"mark":"end","how":"drained"}"#);
        }
        input
    }

    fn expected(&self) -> (Vec<Vec<Cell>>, Losses) {
        let mut oracle = Oracle::new(self.windows, self.delay_ms, self.partitions);
        for event in &self.events {
            if self.marked || !matches!(event, Event::Idle(_)) {
                oracle.take(event);
            }
        }
        oracle.finish()
    }
}

fn push_mark(input: &mut Vec<u8>, json: &str) {
    input.push(0x1e);
    input.extend_from_slice(json.as_bytes());
    input.push(b'\n');
}

fn line(row: &Row) -> Vec<u8> {
    let time = row.time.map_or("soon".to_owned(), |time| time.to_string());
    let whole = match row.whole {
        Whole::Null => String::new(),
        Whole::Is(whole) => whole.to_string(),
        Whole::Scrap => "x".to_owned(),
    };
    let passes = if row.passes { "1" } else { "0" };
    let fields =
        [time.as_bytes(), &row.key, whole.as_bytes(), row.number.as_bytes(), passes.as_bytes()];
    fields.join(&0x1f)
}

fn windows() -> impl Strategy<Value = Windows> {
    let aligned = [(10, 10), (100, 100), (60, 10), (7, 3), (30, 20), (5, 12), (10, 40), (50, 1)];
    let aligned = select(aligned.to_vec()).prop_map(|(size, step)| Windows::Aligned { size, step });
    let every = select(vec![None, Some(1), Some(10), Some(45)]);
    prop_oneof![3 => aligned, 1 => every.prop_map(|every| Windows::Running { every })]
}

fn whole() -> impl Strategy<Value = Whole> {
    prop_oneof![
        1 => Just(Whole::Null),
        1 => Just(Whole::Scrap),
        6 => (-9_i64..100).prop_map(Whole::Is),
        1 => select(vec![i64::MIN, i64::MAX, i64::MAX - 1]).prop_map(Whole::Is),
    ]
}

/// A number whose value tells how it is written.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just(String::new()),
        2 => (-20_i64..20).prop_map(|whole| whole.to_string()),
        4 => (-99_999_i64..99_999, 1..100).prop_map(|(whole, hundredths)| {
            format!("{whole}.{hundredths:02}")
        }),
        1 => (1_i64..1_000_000_000_000, 1..10).prop_map(|(whole, tenths)| {
            format!("-{whole}.{tenths}")
        }),
    ]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let keys: [&[u8]; 9] =
        [b"", b"a", b"b", b"a", b"10", b"9", b"\xff\xfe", b"a\0b\x1e", b" \"q\",|"];
    select(keys.map(<[u8]>::to_vec).to_vec())
}

/// An event, with its time relative to those before and after it.
fn event(partitions: usize) -> impl Strategy<Value = Event> {
    let row = (0..partitions, -40_i64..40, key(), whole(), number(), 0..10, 0..40);
    let row = row.prop_map(|(partition, time, key, whole, number, passes, readable)| {
        let time = (readable > 0).then_some(time);
        Event::Row(Row { partition, time, key, whole, number, passes: passes > 0 })
    });
    let scraps: [&[u8]; 4] = [b"", b"scrap", b"\x1escrap", b"1\x1f2\x1f3\x1f4"];
    let scrap = (0..partitions, select(scraps.map(<[u8]>::to_vec).to_vec()));
    prop_oneof![
        20 => row,
        1 => scrap.prop_map(|(partition, line)| Event::Scrap(partition, line)),
        1 => (0..partitions).prop_map(Event::Idle),
    ]
}

prop_compose! {
    fn case()(partitions in 1_usize..4, marked in any::<bool>())(
        windows in windows(),
        delay_ms in select(vec![0, 0, 3, 20, 100]),
        events in vec(event(if marked { partitions } else { 1 }), 0..120),
        start in select(vec![0, -100, 1_700_000_000_000]),
        pace in select(vec![0, 1, 5, 50]),
        skew in select(vec![0, 30, 500]),
        partitions in Just(if marked { partitions } else { 1 }),
        marked in Just(marked),
    ) -> Case {
        let mut events = events;
        for (event, at) in events.iter_mut().zip(0_i64..) {
            if let Event::Row(Row { partition, time: Some(time), .. }) = event {
                let partition = i64::try_from(*partition).expect("a small number");
                *time += start + at * pace + partition * skew;
            }
        }
        Case { windows, delay_ms, partitions, marked, events }
    }
}

/// The rows of a result in text, without marks.
fn rows(output: &[u8]) -> Vec<Vec<&[u8]>> {
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let rows = lines.filter(|line| line[0] != 0x1e);
    rows.map(|row| row.split(|byte| *byte == 0x1f).collect()).collect()
}

fn is_cell(cell: &Cell, field: &[u8]) -> bool {
    match cell {
        Cell::Bytes(bytes) => bytes == field,
        Cell::Float(float) => {
            let text = std::str::from_utf8(field).expect("a float is ASCII");
            text.contains(['.', 'e']) && text.parse() == Ok(*float)
        }
    }
}

/// What stderr says of rows that did not count.
fn losses(stderr: &str) -> Losses {
    let numbers = |phrase: &str| {
        let line = stderr.lines().find(|line| line.contains(phrase)).unwrap_or_default();
        let words = line.split([' ', ':', ';']);
        words.filter_map(|word| word.parse().ok()).collect::<Vec<i64>>()
    };
    let count = |phrase: &str| numbers(phrase).first().map_or(0, |count| count.unsigned_abs());
    Losses {
        bad: count("left out"),
        late: count("late by up to"),
        late_most_ms: numbers("late by up to").get(1).copied().unwrap_or_default(),
        outside: count("in the gaps"),
    }
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
fn check_closed(output: &[u8], end_column: usize) {
    let mut closed = i64::MIN;
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let text = String::from_utf8_lossy(line);
        if let Some(until) = text.strip_prefix("\x1e{\"mark\":\"closed\",\"until\":") {
            let until = until.trim_end_matches('}').parse().expect("a time");
            assert!(closed < until, "closed marks do not grow: {text:?}");
            closed = until;
        } else if !text.starts_with('\x1e') {
            let end = text.split('\x1f').nth(end_column).expect("the column is there");
            assert!(closed < end.parse().expect("a time"), "behind its closed mark: {text:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
            let is_in = |time: i64| oracle::ends(size, step, time).contains(&end);
            let expected = rows.iter().filter(|(time, passes)| *passes && is_in(*time)).count();
            prop_assert_eq!(usize::try_from(count), Ok(expected), "{}", line);
            left += count.unsigned_abs();
        }
        let counted = rows.iter().filter(|(_, passes)| *passes);
        let expected: usize = counted.map(|(time, _)| oracle::ends(size, step, *time).len()).sum();
        prop_assert_eq!(usize::try_from(left), Ok(expected), "a window with rows is missing");
    }

    #[test]
    fn windows_are_those_of_the_oracle(case in case(), cuts in vec(any::<usize>(), 0..6)) {
        let (args, input) = (case.args(), case.input());
        let ended = Run::of("swin").args(&args).input(&input).end().done();
        let (expected, expected_losses) = case.expected();
        let told = rows(&ended.stdout);
        prop_assert_eq!(told.len(), expected.len(), "rows of {:?}, expected {:?}", told, expected);
        for (row, cells) in told.iter().zip(&expected) {
            let fits = row.len() == cells.len();
            let fits = fits && cells.iter().zip(row).all(|(cell, field)| is_cell(cell, field));
            prop_assert!(fits, "expected {:?}, found {:?}", cells, row);
        }
        prop_assert_eq!(losses(&ended.stderr), expected_losses, "{}", ended.stderr);
        if let (true, Windows::Aligned { .. }) = (case.marked, case.windows) {
            check_closed(&ended.stdout, 1);
        }
        let again = in_pieces(&args, &input, &cuts);
        prop_assert!(again.stdout == ended.stdout, "other reads, other results");
        prop_assert_eq!(again.stderr, ended.stderr);
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
    assert!(rows(&first).len() > 100);
    assert!(Run::shell(line).end().done().stdout == first);
}
