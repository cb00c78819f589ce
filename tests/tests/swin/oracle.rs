//! What swin should write and say, recomputed from all rows for every window.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Kinds of windows, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Windows {
    Aligned { size: i64, step: i64 },
    Running { every: Option<i64> },
}

/// A whole number as a field: none, one, or text that is none.
#[derive(Clone, Debug)]
pub(crate) enum Whole {
    Null,
    Is(i64),
    Scrap,
}

/// A row. Its fields are a time, a key that is NULL when empty, a whole number, a number that is
/// NULL when empty, and 1 when it passes the condition.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) partition: usize,
    /// None is a time that cannot be read.
    pub(crate) time: Option<i64>,
    pub(crate) key: Vec<u8>,
    pub(crate) whole: Whole,
    pub(crate) number: String,
    pub(crate) passes: bool,
}

/// What happens in a stream.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Row(Row),
    /// A line with too few fields.
    Scrap(usize, Vec<u8>),
    Idle(usize),
}

/// A column of a result: bytes as they are, or a float in whatever digits.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Bytes(Vec<u8>),
    Float(f64),
}

/// Rows that do not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Losses {
    pub(crate) bad: u64,
    pub(crate) late: u64,
    pub(crate) late_most_ms: i64,
    pub(crate) outside: u64,
}

/// A row that counts, in the windows that were not closed when it came.
struct Counted {
    row: Row,
    time: i64,
    watermark: Option<i64>,
}

pub(crate) struct Oracle {
    windows: Windows,
    delay_ms: i64,
    greatest: Vec<Option<i64>>,
    idle: Vec<bool>,
    watermark: Option<i64>,
    counted: Vec<Counted>,
    told: Vec<Vec<Cell>>,
    told_until: Option<i64>,
    pub(crate) losses: Losses,
}

impl Oracle {
    pub(crate) fn new(windows: Windows, delay_ms: i64, partitions: usize) -> Oracle {
        Oracle {
            windows,
            delay_ms,
            greatest: vec![None; partitions],
            idle: vec![false; partitions],
            watermark: None,
            counted: Vec::new(),
            told: Vec::new(),
            told_until: None,
            losses: Losses::default(),
        }
    }

    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Scrap(partition, _) => {
                self.wake(*partition);
                self.losses.bad += 1;
            }
            Event::Idle(partition) => {
                self.idle[*partition] = true;
                self.move_time();
            }
            Event::Row(row) => {
                self.wake(row.partition);
                self.take_row(row);
            }
        }
    }

    fn wake(&mut self, partition: usize) {
        self.idle[partition] = false;
        self.move_time();
    }

    fn take_row(&mut self, row: &Row) {
        let Some(time) = row.time else {
            self.losses.bad += 1;
            return;
        };
        let greatest = &mut self.greatest[row.partition];
        *greatest = (*greatest).max(Some(time));
        self.move_time();
        if !row.passes {
            return;
        }
        let watermark = self.watermark;
        let (any, open) = match self.windows {
            Windows::Aligned { size, step } => {
                let ends = ends(size, step, time);
                (!ends.is_empty(), ends.iter().any(|end| Some(*end) > watermark))
            }
            Windows::Running { every } => (true, every.is_none() || Some(time) >= watermark),
        };
        if !any {
            self.losses.outside += 1;
        } else if !open {
            let by_ms = watermark.expect("a row is late behind something") - time;
            self.losses.late += 1;
            self.losses.late_most_ms = self.losses.late_most_ms.max(by_ms);
        } else if matches!(row.whole, Whole::Scrap) {
            self.losses.bad += 1;
        } else {
            self.counted.push(Counted { row: row.clone(), time, watermark });
        }
    }

    /// The watermark is the least time over the partitions that are not idle, less the delay; it
    /// never falls, and stands when all are idle or one has none.
    fn move_time(&mut self) {
        let awake = self.greatest.iter().zip(&self.idle).filter(|(_, idle)| !**idle);
        let least = awake.map(|(greatest, _)| *greatest).min().flatten();
        self.watermark = self.watermark.max(least.map(|least| least - self.delay_ms));
        if let (Windows::Running { every: Some(every) }, Some(watermark)) =
            (self.windows, self.watermark)
        {
            let until = watermark.div_euclid(every) * every;
            if self.told_until < Some(until) {
                self.told_until = Some(until);
                self.tell_running(until, |time| time < until);
            }
        }
    }

    fn tell_running(&mut self, until: i64, is_in: impl Fn(i64) -> bool) {
        let mut keys: BTreeMap<&[u8], Vec<&Row>> = BTreeMap::new();
        for counted in self.counted.iter().filter(|counted| is_in(counted.time)) {
            keys.entry(&counted.row.key).or_default().push(&counted.row);
        }
        self.told.extend(keys.into_iter().map(|(key, rows)| result(&[until], key, &rows)));
    }

    /// Every result, in its order, once the input is complete.
    pub(crate) fn finish(mut self) -> (Vec<Vec<Cell>>, Losses) {
        match self.windows {
            Windows::Running { .. } => {
                if let Some(until) = self.greatest.iter().copied().max().flatten() {
                    self.tell_running(until, |_| true);
                }
            }
            Windows::Aligned { size, step } => {
                let mut windows: BTreeMap<(i64, &[u8]), Vec<&Row>> = BTreeMap::new();
                for Counted { row, time, watermark } in &self.counted {
                    for end in ends(size, step, *time) {
                        if Some(end) > *watermark {
                            windows.entry((end, &row.key)).or_default().push(row);
                        }
                    }
                }
                for ((end, key), rows) in windows {
                    self.told.push(result(&[end - size, end], key, &rows));
                }
            }
        }
        (self.told, self.losses)
    }
}

/// The ends of the windows `[k * step, k * step + size)` that `time` is in.
pub(crate) fn ends(size: i64, step: i64, time: i64) -> Vec<i64> {
    let near = time.div_euclid(step);
    let starts = (near - size / step - 1..=near + 1).map(|k| k * step);
    starts
        .filter(|start| (*start..start + size).contains(&time))
        .map(|start| start + size)
        .collect()
}

/// A row of the result: the window, the key, and the aggregates of [`AGGREGATES`].
fn result(bounds: &[i64], key: &[u8], rows: &[&Row]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = bounds.iter().map(text).collect();
    cells.push(Cell::Bytes(key.to_vec()));
    cells.push(text(rows.len()));
    let wholes: Vec<i64> = rows.iter().filter_map(|row| whole(row)).collect();
    cells.push(text(wholes.len()));
    let sum: i128 = wholes.iter().map(|whole| i128::from(*whole)).sum();
    if wholes.is_empty() {
        cells.extend([null(), null(), null(), null()]);
    } else {
        cells.extend([text(sum), Cell::Float(nearest(sum) / length(&wholes))]);
        cells.extend([
            wholes.iter().min().map_or(null(), text),
            wholes.iter().max().map_or(null(), text),
        ]);
    }
    let mut numbers: Vec<&str> = rows.iter().map(|row| row.number.as_str()).collect();
    numbers.retain(|number| !number.is_empty());
    cells.extend(numeric(&mut numbers));
    cells
}

/// What [`result`] computes.
pub(crate) const AGGREGATES: [&str; 10] = [
    "count(*)",
    "count($3)",
    "sum($3)",
    "avg($3)",
    "min($3)",
    "max($3)",
    "sum($4)",
    "avg($4)",
    "min($4)",
    "max($4)",
];

/// Sum, mean, least and greatest of numbers that may have decimals.
fn numeric(numbers: &mut [&str]) -> [Cell; 4] {
    if numbers.is_empty() {
        return [null(), null(), null(), null()];
    }
    let value = |number: &&str| number.parse::<f64>().expect("a number");
    numbers.sort_by(|one, other| value(one).total_cmp(&value(other)));
    let sum = exact_sum(numbers.iter().map(value));
    let mean = Cell::Float(sum / length(numbers));
    let is_whole = numbers.iter().all(|number| !number.contains('.'));
    let sum = if is_whole { text(format!("{sum:.0}")) } else { Cell::Float(sum) };
    [sum, mean, text(numbers[0]), text(numbers[numbers.len() - 1])]
}

/// The float nearest to the sum of floats that are below 2^40 and not below 2^-20 unless zero:
/// whole multiples of 2^-73, so that 128 bits hold thousands of them.
fn exact_sum(floats: impl Iterator<Item = f64>) -> f64 {
    let scale = 2.0_f64.powi(73);
    let whole = |float: f64| format!("{:.0}", float * scale).parse::<i128>().expect("128 bits");
    nearest(floats.map(whole).sum()) / scale
}

/// The float nearest to a whole number.
fn nearest(whole: i128) -> f64 {
    whole.to_string().parse().expect("a number")
}

fn length<T>(list: &[T]) -> f64 {
    u32::try_from(list.len()).expect("a short list").into()
}

fn whole(row: &Row) -> Option<i64> {
    match row.whole {
        Whole::Is(whole) => Some(whole),
        Whole::Null | Whole::Scrap => None,
    }
}

fn text(value: impl Display) -> Cell {
    Cell::Bytes(value.to_string().into_bytes())
}

fn null() -> Cell {
    Cell::Bytes(Vec::new())
}
