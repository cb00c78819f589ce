//! Random jobs, and streams for them.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::job::{Having, Job, What, Windows};
use crate::stream::{Event, Form, Row, TICK_MS, Whole};

/// A stream and what swin is asked of it.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) job: Job,
    pub(crate) form: Form,
    pub(crate) partitions: usize,
    /// The first tick.
    pub(crate) start: i64,
    pub(crate) events: Vec<Event>,
}

/// Shown as what to type to see it again.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.job.args().into_iter().map(|arg| format!("'{arg}'"));
        let args = quoted.collect::<Vec<_>>().join(" ");
        write!(f, "printf '{}' | swin {args}", octal(&self.input()))
    }
}

/// Bytes as the format of `printf`.
fn octal(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b'\n' => "\\n".to_owned(),
        b' '..=b'~' if !b"'\\%".contains(byte) => char::from(*byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    bytes.iter().map(shown).collect()
}

/// How cases are tried. Each runs a program, so that a failing one is made small for a while only.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_shrink_time: 15_000,
        ..ProptestConfig::default()
    }
}

const HOUR_MS: i64 = 3_600_000;

/// Saturday before summer time begins in Berlin, and before it ends.
const SATURDAYS: [i64; 2] = [1_774_681_200_000, 1_792_821_600_000];

/// Windows whose lengths are a few `unit`s.
fn windows(unit: i64) -> impl Strategy<Value = Windows> {
    let lengths = [(10, 10), (100, 100), (60, 10), (7, 3), (30, 20), (5, 12), (10, 40), (50, 1)];
    let hop = (select(lengths.to_vec()), any::<bool>());
    let hop = hop.prop_map(move |((size, step), from_start)| Windows::Hop {
        size: size * unit,
        step: step * unit,
        from_start,
    });
    let cumulate = select(vec![(30, 10), (100, 5), (10, 10)]);
    let cumulate = cumulate
        .prop_map(move |(size, step)| Windows::Cumulate { size: size * unit, step: step * unit });
    let gap = select(vec![1, 5, 20]).prop_map(move |gap| Windows::Session { gap: gap * unit });
    let range = (select(vec![0, 1, 10, 60]), any::<bool>());
    let range =
        range.prop_map(move |(length, once)| Windows::Range { length: length * unit, once });
    let rows = select(vec![(1, 1), (5, 5), (4, 2), (10, 3), (2, 5)]);
    let rows = rows.prop_map(|(size, step)| Windows::Rows { size, step });
    let running = (select(vec![None, Some(20), Some(70)]), any::<bool>());
    let running = running.prop_map(move |(ttl, changes)| Windows::Running {
        ttl: ttl.map(|ttl| ttl * unit),
        changes,
    });
    prop_oneof![
        4 => hop,
        2 => cumulate,
        3 => gap,
        3 => range,
        2 => rows,
        3 => running,
        1 => Just(Windows::None),
    ]
}

/// Windows of local days and weeks.
fn calendar() -> impl Strategy<Value = Windows> {
    let days = select(vec![(1, 1), (2, 2), (3, 1), (1, 2)]);
    prop_oneof![
        3 => days.prop_map(|(size, step)| Windows::Days { size, step }),
        1 => Just(Windows::Week),
        2 => select(vec![1, 6, 8]).prop_map(|hours| Windows::CumulateDay { step: hours * HOUR_MS }),
    ]
}

prop_compose! {
    /// A job whose lengths are a few `unit`s, where times are those of rows or of arrival.
    fn job(windows: BoxedStrategy<Windows>, unit: i64, event_time: bool, marked: bool)(
        windows in windows,
        what in select(vec![What::Aggregates, What::Aggregates, What::Lines, What::Fields]),
        delay in select(vec![0, 0, 3, 20, 100]),
        every in select(vec![None, None, Some(1), Some(10), Some(45)]),
        having in prop_oneof![
            2 => Just(None),
            1 => (0_usize..3).prop_map(|rows| Some(Having::Rows(rows))),
            1 => (0_i64..90).prop_map(|whole| Some(Having::Greatest(whole))),
        ],
        idle in select(vec![None, None, Some(0), Some(200)]),
        future in select(vec![None, None, None, Some(0), Some(40), Some(500)]),
    ) -> Job {
        let (is_running, may_each, has_early) = match windows {
            Windows::Running { .. } => (true, false, true),
            Windows::Range { .. } => (false, false, false),
            Windows::Cumulate { .. }
            | Windows::CumulateDay { .. }
            | Windows::Rows { .. }
            | Windows::None => (false, true, false),
            _ => (false, true, true),
        };
        let is_none = matches!(windows, Windows::None);
        let moves = event_time && marked && !is_none && !matches!(windows, Windows::Rows { .. });
        let what = if is_none && what == What::Aggregates { What::Lines } else { what };
        let what = if may_each { what } else { What::Aggregates };
        let is_aggregate = what == What::Aggregates;
        let has_ttl = matches!(windows, Windows::Running { ttl: Some(_), .. });
        let every = if has_ttl { every.or(Some(10)) } else { every };
        Job {
            windows,
            what,
            delay: (event_time && !is_none).then_some(delay * unit),
            every: every.filter(|_| has_early && is_aggregate).map(|every| every * unit),
            having: having.filter(|_| is_aggregate),
            idle: idle.filter(|_| moves && !is_running),
            future: future.filter(|_| moves && !is_running),
        }
    }
}

fn whole(may_be_scrap: bool) -> impl Strategy<Value = Whole> {
    let scrap = if may_be_scrap { Whole::Scrap } else { Whole::Null };
    prop_oneof![
        1 => Just(Whole::Null),
        1 => Just(scrap),
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
fn event(partitions: usize, may_be_scrap: bool) -> impl Strategy<Value = Event> {
    let row = (0..partitions, -40_i64..40, key(), whole(may_be_scrap), number(), 0..10, 0..40);
    let row = row.prop_map(|(partition, time, key, whole, number, passes, readable)| {
        let time = (readable > 0).then_some(time);
        Event::Row(Row { partition, time, key, whole, number, passes: passes > 0 })
    });
    let scraps: [&[u8]; 4] = [b"", b"scrap", b"\x1escrap", b"1\x1f2\x1f3\x1f4"];
    let scrap = (0..partitions, select(scraps.map(<[u8]>::to_vec).to_vec()));
    prop_oneof![
        20 => row,
        1 => scrap.prop_map(|(partition, line)| Event::Scrap(partition, line)),
        2 => (0..partitions).prop_map(Event::Idle),
        2 => select(vec![1, 1, 2, 5]).prop_map(|ticks| Event::Tick(ticks * TICK_MS)),
    ]
}

/// Where and how fast a stream goes, in units of time.
#[derive(Clone, Copy, Debug)]
struct Course {
    start: i64,
    unit: i64,
    pace: i64,
    skew: i64,
}

/// Gives events their times: in a course, one after the other.
fn settle(events: &mut [Event], course: Course) {
    let mut now = course.start.div_euclid(TICK_MS) * TICK_MS;
    for (event, at) in events.iter_mut().zip(0_i64..) {
        match event {
            Event::Row(Row { partition, time: Some(time), .. }) => {
                let partition = i64::try_from(*partition).expect("a small number");
                let steps = *time + at * course.pace + partition * course.skew;
                *time = course.start + steps * course.unit;
            }
            Event::Tick(ms) => {
                now += *ms;
                *ms = now;
            }
            _ => {}
        }
    }
}

fn case_of(
    windows: BoxedStrategy<Windows>,
    unit: i64,
    event_time: bool,
    form: Form,
    starts: Vec<i64>,
) -> BoxedStrategy<Case> {
    let partitions = if form == Form::Plain { 1..2_usize } else { 1..4 };
    let job = job(windows, unit, event_time, form != Form::Plain);
    let head = (job, partitions, select(starts));
    let cases = head.prop_flat_map(move |(job, partitions, start)| {
        let is_of_rows = matches!(job.windows, Windows::Rows { .. });
        let events = vec(event(partitions, !is_of_rows), 0..120);
        let pace = select(vec![0, 1, 5, 50]);
        let skew = select(vec![0, 30, 500]);
        (events, pace, skew).prop_map(move |(mut events, pace, skew)| {
            settle(&mut events, Course { start, unit, pace, skew });
            let start = start.div_euclid(TICK_MS) * TICK_MS;
            Case { job: job.clone(), form, partitions, start, events }
        })
    });
    cases.boxed()
}

/// Windows of every kind over rows that have times.
pub(crate) fn by_event_time(form: Form) -> BoxedStrategy<Case> {
    case_of(windows(1).boxed(), 1, true, form, vec![0, -100, 1_700_000_000_000])
}

/// Windows of every kind over rows whose time is that of their arrival.
pub(crate) fn by_arrival(form: Form) -> BoxedStrategy<Case> {
    let starts = vec![0, -1_000, 1_700_000_000_000];
    case_of(windows(TICK_MS).boxed(), TICK_MS, false, form, starts)
}

/// Windows of days and weeks over rows around a change of summer time.
pub(crate) fn by_calendar(form: Form) -> BoxedStrategy<Case> {
    case_of(calendar().boxed(), HOUR_MS / 4, true, form, SATURDAYS.to_vec())
}
