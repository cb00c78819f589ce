//! The window engine, from lines and marks to lines and marks: the first two bytes choose the
//! options, the rest are rows, ticks, partitions and marks in any order. Nothing makes a stage
//! panic; the same stream gives the same bytes; a tumbling window counts every row once, unless
//! that is late or bad; windows end in order, and what was closed once is not closed to less.

#![no_main]

use std::sync::LazyLock;

use clap::Parser as _;
use libfuzzer_sys::fuzz_target;
use pipe::exit::Result;
use pipe::mark::{How, Mark, Partition, RS};
use swin::Args;
use swin::batch::Batch;
use swin::output::Output;
use swin::stage::Stage;

/// What swin is called with, beside what is common to all.
struct Case {
    options: &'static str,
    /// Whether every row is counted in one result, unless it is late or bad.
    once: bool,
    /// Whether the second column is the window's end, and results come in its order.
    ordered: bool,
}

const fn case(options: &'static str, once: bool, ordered: bool) -> Case {
    Case { options, once, ordered }
}

const CASES: [Case; 28] = [
    case("--tumble 10s --time $1 --by $2 --late kept", true, true),
    case("--tumble 1s --time $1 --by $2 --delay 3s --late kept", true, true),
    case("--tumble 7ms --time $1 --late kept", true, true),
    case("--tumble 1s --by $2", true, true),
    case("--tumble 1d --time $1 --by $2 --tz Europe/Berlin --late kept", true, true),
    case("--tumble 1s --time $1 --by $2 --idle 2s --late kept", true, true),
    case("--tumble 1s --time $1 --by $2 --future 5s --late kept", true, true),
    case("--tumble 10s --time $1 --align start --late kept", true, true),
    case("--session 2s --time $1 --by $2 --late kept", true, true),
    case("--session 500ms --time $1 --delay 4s --late kept", true, true),
    case("--rows 3 --by $2", true, false),
    case("--running --time $1 --by $2", true, false),
    case("--hop 10s/3s --time $1 --by $2", false, true),
    case("--hop 3s/10s --time $1 --by $2 --delay 1s", false, true),
    case("--hop 60s/1s --time $1 --by $2,$3", false, true),
    case("--hop 10s/5s --by $2", false, true),
    case("--tumble 1s --time $1 --zeros", false, true),
    case("--tumble 1s --time $1 --by $2 --max-keys 3", false, true),
    case("--tumble 1s --time $1 --by $2 --max-memory 4K sum($3) array_agg($3)", false, false),
    case("--hop 10s/3s --time $1 --by $2 --where $3>4 --having count(*)>1", false, true),
    case("--cumulate 9s/3s --time $1 --by $2 --delay 1s", false, true),
    case("--session 3s --time $1 --by $2 --every 1s", false, false),
    case("--range 5s --time $1 --by $2 --delay 2s sum($3)", false, false),
    case("--range 5s --time $1 --by $2 --once --having count(*)>2", false, false),
    case("--rows 5/2 --time $1 --by $2 first($3) last($3)", false, false),
    case("--running --every 5s --time $1 --by $2 --ttl 7s --delay 2s", false, false),
    case("--running --every 5s --by $2 --emit changes count(distinct($3))", false, false),
    case("--tumble 2s --time $1 --each", false, false),
];

/// Times that are far from all others.
const FAR: [i64; 8] = [
    i64::MIN,
    i64::MAX,
    -9_000_000_000_000_000,
    9_000_000_000_000_000,
    -1,
    0,
    253_402_300_799_999,
    -62_135_596_800_000,
];

/// What happens to a stage.
enum Step {
    Row(Vec<u8>),
    Mark(Box<Mark>),
    Clock(i64),
}

fuzz_target!(|data: &[u8]| {
    let [choice, form, rest @ ..] = data else { return };
    let choice = usize::from(*choice) % CASES.len();
    let marked = form & 1 == 1;
    let steps = steps(rest, *form);
    let once = play(choice, &steps, marked, false);
    let again = play(choice, &steps, marked, true);
    assert_eq!(once.out, again.out, "the same stream, another result");
    assert_eq!(once.lost, again.lost);
    assert_eq!(once.complete, again.complete);
    check_order(choice, &steps, &once);
    if CASES[choice].once && once.complete && begins(&steps) == 0 {
        let rows = steps.iter().filter(|step| matches!(step, Step::Row(_))).count();
        let counted: usize = results(&once.out).map(|row| number(row.last()).unwrap_or(0)).sum();
        assert_eq!(counted + once.lost, rows, "every row is counted once, or lost");
    }
});

/// Bytes as steps: rows at times that mostly grow, and whatever else a stream can hold.
fn steps(mut bytes: &[u8], form: u8) -> Vec<Step> {
    let scale = [1, 100, 1_000, 60_000][usize::from(form >> 1 & 3)];
    let mut clock = [0, -100_000, 1_735_689_600_000, 1_000][usize::from(form >> 3 & 3)];
    let partition = |byte: u8| Partition("t".to_owned(), i32::from(byte & 3));
    let mut steps = vec![Step::Clock(clock)];
    while let [op, byte, rest @ ..] = bytes {
        bytes = rest;
        let by = i64::from(byte.cast_signed()) * scale;
        steps.push(match op {
            0..=0x9f => {
                clock += i64::from(op & 7) * scale;
                row(clock + by, op >> 3, *byte)
            }
            0xa0..=0xa7 => row(FAR[usize::from(op & 7)], *byte, *op),
            0xa8..=0xb7 => Step::Row(raw(&mut bytes, *byte)),
            0xb8..=0xcf => {
                mark(Mark::From { at: partition(*byte), offset: Some(i64::from(*byte)) })
            }
            0xd0..=0xd7 => mark(Mark::Idle { at: partition(*byte) }),
            0xd8..=0xe7 => {
                clock += by.abs();
                Step::Clock(clock)
            }
            0xe8..=0xef => mark(Mark::Closed { until: clock + by }),
            0xf0..=0xf3 => {
                let partitions = (0..byte & 3).map(partition).collect();
                mark(begin(partitions))
            }
            0xf4 => mark(Mark::End { how: How::Stopped }),
            _ => match serde_json::from_slice(&raw(&mut bytes, *byte)) {
                Ok(any) => mark(any),
                Err(_) => continue,
            },
        });
    }
    steps
}

fn row(ms: i64, key: u8, value: u8) -> Step {
    Step::Row(format!("{ms},k{},{}", key & 15, value % 10).into_bytes())
}

/// So many bytes, as a line.
fn raw(bytes: &mut &[u8], length: u8) -> Vec<u8> {
    let (line, rest) = bytes.split_at(bytes.len().min(usize::from(length)));
    *bytes = rest;
    line.iter().copied().filter(|&byte| byte != b'\n').collect()
}

fn mark(mark: Mark) -> Step {
    Step::Mark(Box::new(mark))
}

fn begin(partitions: Vec<Partition>) -> Mark {
    Mark::Begin { group: None, generation: None, member: None, instance: None, partitions }
}

/// What came out of a stage.
struct Played {
    out: Vec<u8>,
    /// Rows that did not count.
    lost: usize,
    /// Whether all went well until the end of a complete stream.
    complete: bool,
}

/// Plays the steps, rows one by one or, as far as they are plain, side by side.
fn play(choice: usize, steps: &[Step], marked: bool, batches: bool) -> Played {
    static ARGS: LazyLock<Vec<Args>> = LazyLock::new(|| CASES.iter().map(args).collect());
    let (mut stage, mut out) = ARGS[choice].assemble(false).expect("options of swin");
    let complete = feed(&mut stage, &mut out, steps, marked, batches).is_ok();
    let losses = stage.losses();
    let lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
    let lost = lines(&losses.bad_lines) + lines(&losses.late_lines);
    for said in losses.summaries(swin::losses::Keeping::default()) {
        assert!(!said.is_empty());
    }
    Played { out: std::mem::take(&mut out.stream.bytes), lost, complete }
}

fn args(case: &Case) -> Args {
    let fixed = ["swin", "-o", "text", "--bad", "kept"];
    let count = (!case.options.contains("--each")).then_some("count(*)");
    let args = fixed.into_iter().chain(case.options.split(' ')).chain(count);
    Args::try_parse_from(args).expect("options of swin")
}

fn feed(
    stage: &mut Stage,
    out: &mut Output,
    steps: &[Step],
    marked: bool,
    batches: bool,
) -> Result<()> {
    if marked {
        put(stage, out, &Mark::Open { epochs: false, tick_ms: 100, stages: Vec::new() })?;
        put(stage, out, &begin(vec![Partition("t".to_owned(), 0), Partition("t".to_owned(), 1)]))?;
    }
    let mut rows = Rows::default();
    for (step, number) in steps.iter().zip(1..) {
        match step {
            Step::Row(line) if batches => rows.push(number, line),
            Step::Row(line) => stage.data(number, line, out)?,
            // Whatever else happens stands between the rows.
            _ => rows.feed(stage, out)?,
        }
        match step {
            Step::Row(_) => {}
            Step::Mark(mark) if marked => put(stage, out, mark)?,
            Step::Clock(ms) if marked => put(stage, out, &Mark::Tick { ms: *ms })?,
            Step::Clock(ms) if stage.goes_by_clock() => stage.tick(*ms, out)?,
            Step::Mark(_) | Step::Clock(_) => {}
        }
    }
    rows.feed(stage, out)?;
    if marked {
        put(stage, out, &Mark::End { how: How::Drained })?;
    }
    stage.finish(0, out).map(drop)
}

/// Rows that come one after the other, as they stand in the input.
#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
    first: Option<u64>,
}

impl Rows {
    fn push(&mut self, number: u64, line: &[u8]) {
        self.first.get_or_insert(number);
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
    }

    fn feed(&mut self, stage: &mut Stage, out: &mut Output) -> Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        let (mut rest, mut number) = (bytes.as_slice(), self.first.take().unwrap_or_default());
        let mut numbers = Vec::new();
        while let Some(length) = rest.iter().position(|&byte| byte == b'\n') {
            let mut batch = Batch::new(&mut numbers, stage.plain_numbers().unwrap_or_default());
            while stage.plain_numbers().is_some()
                && let Some(length) = stage.read_plain(rest, b'\n', &mut batch)
            {
                rest = &rest[length + 1..];
            }
            if batch.is_empty() {
                stage.data(number, &rest[..length], out)?;
                rest = &rest[length + 1..];
                number += 1;
            } else {
                stage.take_plain(number, &mut batch, out)?;
                number += batch.rows().count() as u64;
            }
        }
        Ok(())
    }
}

fn put(stage: &mut Stage, out: &mut Output, mark: &Mark) -> Result<()> {
    let mut line = Vec::new();
    mark.write(&mut line);
    line.pop();
    stage.mark(mark, &line, out).map(drop)
}

/// The fields of every line of results.
fn results(out: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = out.split(|&byte| byte == b'\n');
    let rows = lines.filter(|line| !line.is_empty() && line[0] != RS);
    rows.map(|line| line.split(|&byte| byte == b',').collect())
}

fn number<T: std::str::FromStr>(field: Option<&&[u8]>) -> Option<T> {
    std::str::from_utf8(field?).ok()?.parse().ok()
}

/// Assignments after the first, and marks that end a stream before its end.
fn begins(steps: &[Step]) -> usize {
    let forgets = |step: &&Step| {
        matches!(step, Step::Mark(mark) if !matches!(**mark, Mark::From { .. } | Mark::Idle { .. }
            | Mark::Tick { .. } | Mark::Closed { .. }))
    };
    steps.iter().filter(forgets).count()
}

fn check_order(choice: usize, steps: &[Step], played: &Played) {
    if begins(steps) > 0 {
        return;
    }
    if CASES[choice].ordered {
        let ends: Vec<i64> = results(&played.out).filter_map(|row| number(row.get(1))).collect();
        assert!(ends.is_sorted(), "windows end in order: {ends:?}");
    }
    let mut last = i64::MIN;
    for line in played.out.split(|&byte| byte == b'\n').filter(|line| line.first() == Some(&RS)) {
        if let Ok(Mark::Closed { until }) = serde_json::from_slice(&line[1..]) {
            assert!(until >= last, "closed until {last}, and then until {until}");
            last = until;
        }
    }
}
