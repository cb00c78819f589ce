//! What goes into a storm, and what has to come out.

use std::collections::BTreeMap;

use crate::weather::Dice;

/// Columns of a line.
pub(crate) const NAMES: &str = "number,key,value,ms";

/// Milliseconds of event time from one line to the next.
const STEP_MS: u64 = 2;

/// What a window waits for lines that are out of order. It is the time of 30,000 lines, as a
/// partition that is silent while a broker is away holds nobody up, and then goes on.
pub(crate) const DELAY_MS: u64 = 30_000 * STEP_MS;

/// Rows by what they are ordered by, each in its order.
pub(crate) type Rows = BTreeMap<String, Vec<String>>;

/// A line: number, key, value, ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    number: u64,
    key: u64,
    value: u64,
    ms: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Good,
    /// Its value is no number.
    Bad,
    /// Its time is long past, and all lines before it are read.
    Late,
}

impl Line {
    /// As it is in the topic.
    pub(crate) fn text(self) -> String {
        let x = if self.kind == Kind::Bad { "x" } else { "" };
        format!("{},{},{x}{},{}", self.number, self.name(), self.value, self.ms)
    }

    fn name(self) -> String {
        format!("k{}", self.key)
    }

    /// The start of the window of `size_ms`.
    fn window(self, size_ms: u64) -> u64 {
        self.ms - self.ms % size_ms
    }
}

/// `count` lines of `keys` keys, and as many late ones behind them as one in 200.
pub(crate) fn lines(count: u64, keys: u64, dice: &mut Dice) -> Vec<Line> {
    let line = |number| {
        let (ms, kind) = match dice.below(200) {
            _ if number >= count => (number % 7, Kind::Late),
            0 => (number * STEP_MS, Kind::Bad),
            _ => (number * STEP_MS, Kind::Good),
        };
        Line { number, key: dice.below(keys), value: dice.below(100), ms, kind }
    };
    (0..count + count / 200).map(line).collect()
}

/// All lines, by key.
pub(crate) fn whole(lines: &[Line]) -> Rows {
    by(lines.iter().map(|line| (line.name(), line.text())))
}

/// The lines whose keys do not end in 7, as number, key and value.
pub(crate) fn without_sevens(lines: &[Line]) -> Rows {
    let kept = lines.iter().filter(|line| line.key % 10 != 7);
    by(kept.map(|line| {
        let x = if line.kind == Kind::Bad { "x" } else { "" };
        (line.name(), format!("{},{},{x}{}", line.number, line.name(), line.value))
    }))
}

/// The count and sum of each key after each of its lines.
pub(crate) fn totals(lines: &[Line]) -> Rows {
    let mut totals = BTreeMap::<u64, (u64, u64)>::new();
    let good = lines.iter().filter(|line| line.kind != Kind::Bad);
    by(good.map(|line| {
        let (count, sum) = totals.entry(line.key).or_default();
        (*count, *sum) = (*count + 1, *sum + line.value);
        (line.name(), format!("{},{count},{sum}", line.name()))
    }))
}

/// The count and sum of each key and window of `size_ms`, by key.
pub(crate) fn windows(lines: &[Line], size_ms: u64) -> Rows {
    by(sums(lines, size_ms).into_iter().map(|((window, key), (count, sum))| {
        (key.clone(), format!("{window},{key},{count},{sum}"))
    }))
}

/// The `places` keys with the greatest sums of each window of `size_ms`, by window.
pub(crate) fn best(lines: &[Line], size_ms: u64, places: usize) -> Rows {
    let mut all = BTreeMap::<u64, Vec<_>>::new();
    for ((window, key), (count, sum)) in sums(lines, size_ms) {
        all.entry(window).or_default().push((sum, key, count));
    }
    by(all.into_iter().flat_map(|(window, mut rows)| {
        rows.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let ranked = rows.into_iter().take(places).zip(1..);
        ranked.map(move |((sum, key, count), rank)| {
            (window.to_string(), format!("{window},{rank},{key},{count},{sum}"))
        })
    }))
}

/// The `places` keys with the greatest sums of all, by rank.
pub(crate) fn leaders(lines: &[Line], places: usize) -> Rows {
    let mut keys: Vec<(u64, String, u64)> = sums(&timeless(lines), u64::MAX)
        .into_iter()
        .map(|((_, key), (count, sum))| (sum, key, count))
        .collect();
    keys.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    let ranked = keys.into_iter().take(places).zip(1..);
    by(ranked.map(|((sum, key, count), rank): (_, u64)| {
        (rank.to_string(), format!("{rank},{key},{count},{sum}"))
    }))
}

/// The lines that count for no window, in any order.
pub(crate) fn letters(lines: &[Line]) -> Vec<String> {
    let mut letters: Vec<_> =
        lines.iter().filter(|line| line.kind != Kind::Good).map(|line| line.text()).collect();
    letters.sort();
    letters
}

/// The lines, none of which is late.
fn timeless(lines: &[Line]) -> Vec<Line> {
    let timed = |line: &Line| Line {
        kind: if line.kind == Kind::Late { Kind::Good } else { line.kind },
        ..*line
    };
    lines.iter().map(timed).collect()
}

/// Count and sum by window and key.
fn sums(lines: &[Line], size_ms: u64) -> BTreeMap<(u64, String), (u64, u64)> {
    let mut sums = BTreeMap::<_, (u64, u64)>::new();
    for line in lines.iter().filter(|line| line.kind == Kind::Good) {
        let (count, sum) = sums.entry((line.window(size_ms), line.name())).or_default();
        (*count, *sum) = (*count + 1, *sum + line.value);
    }
    sums
}

fn by(rows: impl Iterator<Item = (String, String)>) -> Rows {
    let mut all = Rows::new();
    for (key, row) in rows {
        all.entry(key).or_default().push(row);
    }
    all
}
