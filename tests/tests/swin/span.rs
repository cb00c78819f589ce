//! The windows that a time is in, from their definitions.

use crate::calendar::{day_of, midnight, monday};
use crate::job::Windows;

/// A window, [start, end).
pub(crate) type Span = (i64, i64);

/// All windows that `time` is in, the first to end first; `origin` is what `--align start` begins
/// at. None for windows that are not made of time alone.
pub(crate) fn spans(windows: Windows, origin: i64, time: i64) -> Vec<Span> {
    match windows {
        Windows::Hop { size, step, from_start } => {
            let phase = if from_start { origin - size } else { 0 };
            hops(size, step, time - phase)
                .into_iter()
                .map(|(s, e)| (s + phase, e + phase))
                .collect()
        }
        Windows::Days { size, step } => {
            let days = hops(size, step, day_of(time));
            days.into_iter().map(|(start, end)| (midnight(start), midnight(end))).collect()
        }
        Windows::Week => {
            let start = monday(day_of(time));
            vec![(midnight(start), midnight(start + 7))]
        }
        Windows::Cumulate { size, step } => {
            let start = time.div_euclid(size) * size;
            steps(start, start + size, step, time)
        }
        Windows::CumulateDay { step } => {
            let day = day_of(time);
            steps(midnight(day), midnight(day + 1), step, time)
        }
        _ => Vec::new(),
    }
}

/// The windows `[k * step, k * step + size)` that `time` is in.
pub(crate) fn hops(size: i64, step: i64, time: i64) -> Vec<Span> {
    let near = time.div_euclid(step);
    let starts = (near - size / step - 1..=near + 1).map(|k| k * step);
    let spans = starts.map(|start| (start, start + size));
    spans.filter(|(start, end)| (*start..*end).contains(&time)).collect()
}

/// What a period has grown to by each of its steps, where `time` is in it.
fn steps(start: i64, end: i64, step: i64, time: i64) -> Vec<Span> {
    let mut ends: Vec<i64> = (1..=(end - start) / step).map(|k| start + k * step).collect();
    ends.retain(|at| *at < end);
    ends.push(end);
    ends.into_iter().filter(|at| *at > time).map(|at| (start, at)).collect()
}

#[test]
fn windows_are_those_of_the_definitions() {
    let hop = |size, step| Windows::Hop { size, step, from_start: false };
    assert_eq!(spans(hop(10, 10), 0, -1), [(-10, 0)]);
    assert_eq!(spans(hop(7, 3), 0, 6), [(0, 7), (3, 10), (6, 13)]);
    assert_eq!(spans(hop(5, 12), 0, 5), []);
    let from_start = Windows::Hop { size: 4, step: 2, from_start: true };
    assert_eq!(spans(from_start, 1, 1), [(-1, 3), (1, 5)]);
    let cumulate = Windows::Cumulate { size: 30, step: 10 };
    assert_eq!(spans(cumulate, 0, -1), [(-30, 0)]);
    assert_eq!(spans(cumulate, 0, 10), [(0, 20), (0, 30)]);
    let day = spans(Windows::CumulateDay { step: 6 * 3_600_000 }, 0, 1_774_746_000_000);
    let hours = day.iter().map(|(start, end)| (end - start) / 3_600_000);
    assert_eq!(hours.collect::<Vec<_>>(), [6, 12, 18, 23]);
}
