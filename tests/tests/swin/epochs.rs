//! Streams with epochs: what is restored goes on as if nothing had happened.

use std::ffi::OsStr;

use kpipe_tests::run::{Ended, Run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::arbitrary::{Case, by_arrival, by_calendar, by_event_time, config};
use crate::job::Windows;
use crate::output::{self, Item, items};
use crate::stream::{Form, Writer};

/// A stream with epochs that was read to its end.
struct Whole {
    /// How many events are before each barrier, but for the last one.
    barriers: Vec<usize>,
    /// Where its head stood at each of these.
    writers: Vec<Writer>,
    items: Vec<Item>,
    ended: Ended,
}

/// What a second swin counts of the rows of the first, by the time that `closed` marks speak of.
fn second(end_column: usize) -> Vec<String> {
    let args = format!(r"-i text -F \x1f -o text --tumble 70ms --time ${}", end_column + 1);
    args.split(' ').map(str::to_owned).collect()
}

fn run<T: AsRef<OsStr>>(args: &[T], input: &[u8]) -> Result<Ended, TestCaseError> {
    let ended = Run::of("swin").args(args).input(input).end();
    prop_assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    Ok(ended)
}

impl Whole {
    fn run(case: &Case, barriers: &[Index]) -> Result<Whole, TestCaseError> {
        let places = barriers.iter().map(|index| index.index(case.events.len() + 1));
        let mut barriers: Vec<usize> = places.collect();
        barriers.sort_unstable();
        let mut writer = case.writer();
        let mut writers = Vec::new();
        for at in 0..=case.events.len() {
            for _ in barriers.iter().filter(|place| **place == at) {
                writer.barrier(None);
                writers.push(writer.clone());
            }
            case.events.get(at).into_iter().for_each(|event| writer.event(event));
        }
        let ended = run(&case.job.args(), &writer.finish())?;
        let items = items(&ended.stdout);
        check_lines(&items)?;
        Ok(Whole { barriers, writers, items, ended })
    }

    /// The rest of the stream behind the barrier `epoch`, counted from 1, after `resumed`.
    fn rest(&self, case: &Case, epoch: usize, mut resumed: Writer) -> Vec<u8> {
        let start = self.barriers[epoch - 1];
        for at in start..=case.events.len() {
            let later = self.barriers.iter().skip(epoch);
            later.filter(|place| **place == at).for_each(|_| resumed.barrier(None));
            case.events.get(at).into_iter().for_each(|event| resumed.event(event));
        }
        resumed.finish()
    }

    /// The items behind the barrier `epoch`.
    fn behind(&self, epoch: usize) -> &[Item] {
        let is_barrier = |(_, item): &(usize, &Item)| matches!(item, Item::Barrier(_));
        let barrier = self.items.iter().enumerate().filter(is_barrier).nth(epoch - 1);
        &self.items[barrier.expect("the barrier came").0 + 1..]
    }

    /// Until when windows were said to be closed before the barrier `epoch`.
    fn closed(&self, epoch: usize) -> i64 {
        let before = &self.items[..self.items.len() - self.behind(epoch).len()];
        before.iter().filter_map(closed).max().unwrap_or(i64::MIN)
    }
}

fn closed(item: &Item) -> Option<i64> {
    match item {
        Item::Closed(until) => Some(*until),
        _ => None,
    }
}

/// Checks that every barrier has the number of the rows before it.
fn check_lines(items: &[Item]) -> Result<(), TestCaseError> {
    let mut rows = 0;
    for item in items {
        match item {
            Item::Row(..) => rows += 1,
            Item::Barrier(lines) => prop_assert_eq!(std::mem::take(&mut rows), *lines),
            Item::Begin => rows = 0,
            _ => {}
        }
    }
    prop_assert_eq!(rows, 0, "rows behind the last barrier");
    Ok(())
}

/// What has to be the same wherever barriers fall: rows with their partitions, closed windows,
/// and bad and late rows.
fn essence(items: &[Item]) -> Vec<&Item> {
    let is_essential =
        |item: &&Item| matches!(item, Item::Row(..) | Item::Letter(_) | Item::Closed(_));
    items.iter().filter(is_essential).collect()
}

/// What has to be the same after a restart. When times are said to be closed is not: the head
/// repeats its last tick then.
fn rest(items: &[Item]) -> Vec<&Item> {
    let is_rest = |item: &&Item| matches!(item, Item::Row(..) | Item::Letter(_));
    items.iter().filter(is_rest).collect()
}

/// Barriers are lines too, and are counted with those of bad rows.
fn without_numbers(said: &str) -> String {
    let words = said.split(' ').scan("", |before, word| {
        let is_number = std::mem::replace(before, word) == "line";
        Some(if is_number { "N" } else { word })
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A bad or late row without how late it was.
fn without_reason(item: Item) -> Item {
    match item {
        Item::Letter(mark) => {
            let (before, after) = mark.split_once(r#","reason":"#).expect("a reason");
            let (_, row) = after.split_once(r#","line_b64":"#).expect("a row");
            Item::Letter(format!("{before} {row}"))
        }
        other => other,
    }
}

fn case() -> BoxedStrategy<Case> {
    prop_oneof![
        3 => by_event_time(Form::Epochs),
        1 => by_arrival(Form::Epochs),
        1 => by_calendar(Form::Epochs),
    ]
    .boxed()
}

/// A case in which no time goes on in silence: that follows the ticks of the attempt, and a restart
/// has others.
fn without_idle() -> impl Strategy<Value = Case> {
    case().prop_map(|mut case| {
        case.job.idle = None;
        case
    })
}

fn barriers() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 1..6)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_restored_goes_on_as_if_nothing_had_happened(
        case in without_idle(),
        barriers in barriers(),
        epoch in any::<Index>(),
        same_stream in any::<bool>(),
    ) {
        let whole = Whole::run(&case, &barriers)?;
        case.check(&whole.ended)?;
        let epoch = epoch.index(barriers.len()) + 1;
        let restores = output::restores(&whole.items, epoch, |_| true);
        let writer = whole.writers[epoch - 1].clone();
        let args = case.job.args();
        let input = whole.rest(&case, epoch, writer.resume(same_stream, |_| true, &restores));
        let items = items(&run(&args, &input)?.stdout);
        check_lines(&items)?;
        let begin = items.iter().rposition(|item| *item == Item::Begin).expect("it begins");
        let (told, expected) = (rest(&items[begin..]), rest(whole.behind(epoch)));
        let differ = told.iter().zip(&expected).find(|(told, expected)| told != expected);
        prop_assert_eq!(differ, None, "swin {}", args.join(" "));
        prop_assert_eq!(told.len(), expected.len(), "swin {}", args.join(" "));
    }

    #[test]
    fn results_do_not_hang_on_where_barriers_fall(
        case in case(),
        barriers in barriers(),
        others in barriers(),
    ) {
        let (one, other) = (Whole::run(&case, &barriers)?, Whole::run(&case, &others)?);
        let essences = [&one, &other].map(|whole| essence(&whole.items));
        prop_assert_eq!(&essences[0], &essences[1], "swin {}", case.job.args().join(" "));
        let said = [&one, &other].map(|whole| without_numbers(&whole.ended.stderr));
        prop_assert_eq!(&said[0], &said[1]);
    }

    #[test]
    fn two_stages_are_restored_from_one_stream(
        case in by_event_time(Form::Epochs).prop_filter("rows have an end", |case| {
            case.job.end_column().is_some()
        }),
        barriers in barriers(),
        epoch in any::<Index>(),
    ) {
        let args = second(case.job.end_column().expect("rows have an end"));
        let mut case = case;
        case.job.idle = None;
        let whole = Whole::run(&case, &barriers)?;
        let epoch = epoch.index(barriers.len()) + 1;
        let items = items(&run(&args, &whole.ended.stdout)?.stdout);
        check_lines(&items)?;
        let whole = Whole { items, ..whole };
        let restores = output::restores(&whole.items, epoch, |_| true);
        let writer = whole.writers[epoch - 1].clone();
        let input = whole.rest(&case, epoch, writer.resume(false, |_| true, &restores));
        let again = run(&args, &run(&case.job.args(), &input)?.stdout)?;
        let told = output::items(&again.stdout);
        // What the first says to be closed sooner, the second closes sooner, and takes for later.
        let apart = |items: &[Item]| -> (Vec<Item>, Vec<Item>) {
            let is_row = |item: &Item| matches!(item, Item::Row(..));
            let all = rest(items).into_iter().cloned().map(without_reason);
            all.partition(is_row)
        };
        prop_assert_eq!(apart(&told), apart(whole.behind(epoch)));
    }

    #[test]
    fn a_partition_that_moves_takes_its_rows_and_closed_windows_along(
        case in by_event_time(Form::Epochs).prop_filter("state of a partition alone", |case| {
            // Whether a burst was said, and the time of the last total, are of all partitions.
            !matches!(case.job.windows, Windows::Range { once: true, .. } | Windows::Running { .. })
        }),
        barriers in barriers(),
    ) {
        let mut case = case;
        case.job.idle = None;
        let whole = Whole::run(&case, &barriers)?;
        let (keep, epoch) = (case.partitions - 1, 1);
        let name = format!(r#"["t",{keep}]"#);
        let restores = output::restores(&whole.items, epoch, |at| at == name);
        let writer = whole.writers[epoch - 1].clone();
        let args = case.job.args();
        let resumed = writer.resume(false, |at| at == keep, &restores);
        let ended = run(&args, &whole.rest(&case, epoch, resumed))?;

        let mut oracle = case.oracle();
        let split = whole.barriers[epoch - 1];
        case.events[..split].iter().for_each(|event| oracle.take(event));
        let before = oracle.len();
        oracle.keep(keep);
        case.events[split..].iter().filter(|event| event.is_of(keep)).for_each(|event| {
            oracle.take(event);
        });
        let (expected, _) = oracle.finish();
        let fits = output::compare(&output::rows(&ended.stdout), &expected[before..]);
        prop_assert_eq!(fits, Ok(()), "swin {}", args.join(" "));
        let closed = whole.closed(epoch);
        // A part of a session that went on elsewhere ends where it ends without the rest.
        let is_session = matches!(case.job.windows, Windows::Session { .. });
        if let Some(column) = case.job.end_column().filter(|_| !is_session) {
            for row in output::rows(&ended.stdout) {
                let end = String::from_utf8_lossy(&row[column]).parse::<i64>().expect("a time");
                prop_assert!(end > closed, "written twice: {}, closed until {}", end, closed);
            }
        }
    }
}
