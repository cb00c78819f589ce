//! However its bytes are cut into reads, a stream says the same.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use pipe::exit::Error;
use pipe::lines::{Fill, Line, Lines};
use pipe::mark::{self, Barrier, DeadLetter, Event, How, Last, Mark, Partition, Position, Stream};
use pipe::stdio::Input;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Bytes that a pipe takes without a reader.
const PIPE_BYTES: usize = 60_000;

/// A line, by its kind.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Whole(Vec<u8>),
    Torn(Vec<u8>),
    Long(Vec<u8>, u64),
}

impl From<Line<'_>> for Told {
    fn from(line: Line<'_>) -> Told {
        match line {
            Line::Whole(bytes) => Told::Whole(bytes.to_vec()),
            Line::Torn(bytes) => Told::Torn(bytes.to_vec()),
            Line::Long(head, bytes) => Told::Long(head.to_vec(), bytes),
        }
    }
}

/// The lines of `data`, by the definition.
fn split(data: &[u8], delimiter: u8, max: usize) -> Vec<Told> {
    let mut lines: Vec<&[u8]> = data.split(|byte| *byte == delimiter).collect();
    let last = lines.pop().filter(|last| !last.is_empty());
    let long = |line: &[u8]| Told::Long(line[..line.len().min(64)].to_vec(), line.len() as u64);
    let fit = |line: &[u8]| line.len() <= max;
    let tell = |line| if fit(line) { Told::Whole(line.to_vec()) } else { long(line) };
    let torn = |line| if fit(line) { Told::Torn(line.to_vec()) } else { long(line) };
    lines.into_iter().map(tell).chain(last.map(torn)).collect()
}

/// Sends `data` through a pipe in pieces of the sizes in `cuts`, over and over, and has `take`
/// see the reader after each piece and at the end.
fn feed<R>(
    data: &[u8],
    cuts: &[usize],
    reader: impl FnOnce(Input) -> R,
    fill: impl Fn(&mut R) -> Fill,
    mut take: impl FnMut(&mut R),
) {
    let (from, mut to) = io::pipe().expect("a pipe");
    let mut reader = reader(Input::over(File::from(OwnedFd::from(from)), "<test>"));
    let mut rest = data;
    for size in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at(rest.len().min(*size));
        to.write_all(piece).expect("the pipe takes it");
        rest = later;
        assert_eq!(fill(&mut reader), Fill::Data);
        take(&mut reader);
    }
    assert_eq!(fill(&mut reader), Fill::Quiet);
    drop(to);
    while fill(&mut reader) != Fill::End {
        take(&mut reader);
    }
    take(&mut reader);
}

/// Data of many short lines, and of a few long ones.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let short = vec(select(vec![b'a', b'\n', 0, 0x1e, 0xff]), 0..200);
    let piece = (select(vec![b'a', b'\n', 0]), 0..90_000_usize);
    let long = vec(piece, 0..6).prop_map(|pieces| {
        pieces
            .into_iter()
            .flat_map(|(byte, count)| {
                let count = if byte == b'a' { count } else { count % 3 };
                std::iter::repeat_n(byte, count)
            })
            .collect()
    });
    prop_oneof![3 => short, 1 => long]
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..20_usize, 1..8), vec(1_000..PIPE_BYTES, 1..4)]
}

fn short_text() -> impl Strategy<Value = String> {
    "[a-zäö\"\\\\\u{1e}\n0-9 -]{0,8}"
}

fn partition() -> impl Strategy<Value = Partition> {
    (short_text(), 0..9).prop_map(|(topic, number)| Partition(topic, number))
}

fn positions() -> impl Strategy<Value = Vec<Position>> {
    let position = (short_text(), 0..9, any::<i64>());
    vec(position.prop_map(|(topic, number, next)| Position(topic, number, next)), 0..3)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let number = any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite());
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(Into::into),
        number.prop_map(Into::into),
        short_text().prop_map(Into::into),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| vec(inner, 0..3).prop_map(Into::into))
}

fn dead_letter() -> impl Strategy<Value = DeadLetter> {
    let offset = proptest::option::of(0..9_i64);
    (short_text(), partition(), offset, short_text(), short_text()).prop_map(
        |(stage, at, offset, reason, line_b64)| DeadLetter { stage, at, offset, reason, line_b64 },
    )
}

fn barrier() -> impl Strategy<Value = Barrier> {
    let last = proptest::option::of(select(vec![Last::Drained, Last::Stopped, Last::Moved]));
    let group = proptest::option::of(short_text());
    let member = (any::<i32>(), short_text(), proptest::option::of(short_text()));
    (any::<u64>(), any::<u64>(), group, member, positions(), last).prop_map(
        |(epoch, lines, group, (generation, member, instance), offsets, last)| Barrier {
            epoch,
            lines,
            group,
            generation,
            member,
            instance,
            offsets,
            last,
        },
    )
}

fn begin() -> impl Strategy<Value = Mark> {
    let text = || proptest::option::of(short_text());
    let generation = proptest::option::of(any::<i32>());
    (text(), generation, text(), text(), vec(partition(), 0..3)).prop_map(
        |(group, generation, member, instance, partitions)| Mark::Begin {
            group,
            generation,
            member,
            instance,
            partitions,
        },
    )
}

/// Every mark but `open`, which comes first.
fn mark() -> impl Strategy<Value = Mark> {
    let entry = || (short_text(), partition(), json(), json());
    prop_oneof![
        begin(),
        entry().prop_map(|(stage, at, key, value)| Mark::Restore { stage, at, key, value }),
        (any::<u64>(), positions()).prop_map(|(count, offsets)| Mark::Restored { count, offsets }),
        (partition(), proptest::option::of(0..9_i64))
            .prop_map(|(at, offset)| Mark::From { at, offset }),
        any::<i64>().prop_map(|ms| Mark::Tick { ms }),
        partition().prop_map(|at| Mark::Idle { at }),
        any::<i64>().prop_map(|until| Mark::Closed { until }),
        dead_letter().prop_map(Mark::Bad),
        dead_letter().prop_map(Mark::Late),
        entry().prop_map(|(stage, at, key, value)| Mark::State { stage, at, key, value }),
        barrier().prop_map(Mark::Barrier),
        (short_text(), 1..75_u8, short_text()).prop_map(|(tool, code, message)| Mark::Abort {
            tool,
            code,
            message
        }),
        select(vec![How::Drained, How::Stopped]).prop_map(|how| Mark::End { how }),
    ]
}

/// A thing in a marked stream.
#[derive(Clone, Debug, PartialEq)]
enum Thing {
    Data(Vec<u8>),
    Mark(Mark),
}

fn thing() -> impl Strategy<Value = Thing> {
    let line = vec(any::<u8>().prop_filter("ends the line", |byte| *byte != b'\n'), 0..9);
    let stuffed = (0..4_usize, line)
        .prop_map(|(count, line)| [std::iter::repeat_n(mark::RS, count).collect(), line].concat());
    prop_oneof![stuffed.prop_map(Thing::Data), mark().prop_map(Thing::Mark)]
}

/// All events of a stream.
fn events(data: &[u8], cuts: &[usize], max: usize) -> Vec<Thing> {
    let mut things = Vec::new();
    feed(
        data,
        cuts,
        |input| Stream::new(Lines::new(input, b'\n', max), false),
        |stream| stream.fill(Some(Duration::ZERO)).expect("a pipe can be read"),
        |stream| {
            while let Some(event) = stream.next_event().expect("the stream is sound") {
                things.push(match event {
                    Event::Data(bytes) => Thing::Data(bytes.to_vec()),
                    Event::Long(head, bytes) => Thing::Data(format!("{head:?} {bytes}").into()),
                    Event::Mark(mark, line) => {
                        let mut again = Vec::new();
                        mark.write(&mut again);
                        assert_eq!(again, [line, b"\n"].concat());
                        Thing::Mark(mark)
                    }
                });
            }
        },
    );
    things
}

/// A stream over `data`, of which all is in the buffer.
fn stream(data: &[u8], max: usize) -> Stream {
    let (from, mut to) = io::pipe().expect("a pipe");
    to.write_all(data).expect("the pipe takes it");
    drop(to);
    let input = Input::over(File::from(OwnedFd::from(from)), "<test>");
    let mut stream = Stream::new(Lines::new(input, b'\n', max), false);
    assert_eq!(stream.fill(None), Ok(Fill::Data));
    stream
}

#[test]
fn a_torn_last_line_of_a_marked_stream_is_dropped() {
    let mut opening = Vec::new();
    Mark::Open { epochs: false, tick_ms: 100, stages: Vec::new() }.write(&mut opening);
    let mut torn = stream(&opening[..opening.len() - 1], 1 << 20);
    assert_eq!(torn.next_event(), Ok(None));
    assert_eq!(torn.fill(None), Ok(Fill::Data));
    assert_eq!(torn.next_event(), Ok(None));
    assert!(torn.is_cut_short());
    let mut torn = stream(&[&opening, &b"row"[..]].concat(), 1 << 20);
    assert!(matches!(torn.next_event(), Ok(Some(Event::Mark(..)))));
    assert_eq!(torn.next_event(), Ok(None));
    assert_eq!(torn.fill(None), Ok(Fill::Data));
    assert_eq!(torn.next_event(), Ok(None));
    assert!(torn.is_cut_short());
}

#[test]
fn a_row_may_be_over_the_limit_and_a_mark_may_not() {
    let mut data = Vec::new();
    Mark::Open { epochs: false, tick_ms: 100, stages: Vec::new() }.write(&mut data);
    mark::write_data(&[mark::RS; 100], &mut data);
    Mark::Abort { tool: "swin".into(), code: 1, message: "x".repeat(100) }.write(&mut data);
    let mut long = stream(&data, 80);
    assert!(matches!(long.next_event(), Ok(Some(Event::Mark(..)))));
    assert_eq!(long.next_event(), Ok(Some(Event::Long(&[mark::RS; 63], 100))));
    let refused = Error::world("line 3", "a mark longer than --max-line");
    assert_eq!(long.next_event(), Err(refused));
}

proptest! {
    #[test]
    fn lines_do_not_depend_on_the_reads(
        data in data(),
        cuts in cuts(),
        delimiter in select(vec![b'\n', 0]),
        max in select(vec![0, 1, 10, 100, 70_000, 1 << 20]),
    ) {
        let mut told: Vec<Told> = Vec::new();
        feed(
            &data,
            &cuts,
            |input| Lines::new(input, delimiter, max),
            |lines| lines.fill(Some(Duration::ZERO)).expect("a pipe can be read"),
            |lines| {
                while let Some(line) = lines.next_line() {
                    told.push(line.into());
                    assert_eq!(lines.number(), told.len() as u64, "numbers start at 1");
                }
            },
        );
        prop_assert_eq!(told, split(&data, delimiter, max));
    }

    #[test]
    fn marks_and_stuffed_lines_come_back(things in vec(thing(), 0..12), cuts in cuts()) {
        let open = Mark::Open { epochs: true, tick_ms: 100, stages: vec!["0:swin".into()] };
        let things = [vec![Thing::Mark(open)], things].concat();
        let mut data = Vec::new();
        for thing in &things {
            match thing {
                Thing::Data(line) => mark::write_data(line, &mut data),
                Thing::Mark(mark) => mark.write(&mut data),
            }
        }
        prop_assert_eq!(events(&data, &cuts, 1 << 20), things);
    }

    #[test]
    fn a_stream_without_an_opening_is_all_data(data in data(), cuts in cuts()) {
        let lines = split(&data, b'\n', 1 << 20);
        let bytes = |line: Told| match line {
            Told::Whole(bytes) | Told::Torn(bytes) => Thing::Data(bytes),
            Told::Long(..) => unreachable!("no line is so long"),
        };
        let expected: Vec<Thing> = lines.into_iter().map(bytes).collect();
        prop_assert_eq!(events(&data, &cuts, 1 << 20), expected);
    }
}
