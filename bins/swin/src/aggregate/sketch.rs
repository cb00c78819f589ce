//! Percentiles to 1 %, in memory that grows with the spread of the numbers and not their count.
//!
//! A `DDSketch` (Masson, Rim, Lee, VLDB 2019): numbers are counted in bins whose width grows with
//! the number, so that whatever stands in a bin is within 1 % of the bin's value. The bins are
//! those of `sketches-ddsketch`; they are counted sparsely here and never collapse, because a pane
//! of few rows must be small, a merge exact, and the promise hold for all floats.
//!
//! NaN has a bin above all numbers, as everywhere else; the infinities have theirs too.

use std::sync::LazyLock;

use row::stored;
use row::value::{Number, Value};
use serde_json::Value as Json;
use sketches_ddsketch::Config;

use super::state::Parts;

/// The mapping from numbers to bins: a little finer than 1 %, so that rounding does not break the
/// promise. Only that of the crate is used, not its limit of bins.
static BINS: LazyLock<Config> = LazyLock::new(|| Config::new(0.0099, u32::MAX, f64::MIN_POSITIVE));

/// A part of numbers, from 0 to 1, exact to twelve decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(u64);

impl Part {
    /// All of the numbers.
    const WHOLE: u64 = 1_000_000_000_000;

    /// The part that is written in SQL as `digits`; `None` when it is not from 0 to 1.
    #[must_use]
    pub fn of(digits: &str) -> Option<Part> {
        let part = digits.parse::<f64>().ok().filter(|part| (0.0..=1.0).contains(part))?;
        // Through digits, which rounds to the nearest part.
        format!("{:.0}", part * 1e12).parse().ok().map(Part)
    }

    /// The rank from 1 of the number that this part of `count` numbers are not above.
    fn rank(self, count: u64) -> u128 {
        (u128::from(self.0) * u128::from(count)).div_ceil(Part::WHOLE.into()).max(1)
    }
}

/// How far the numbers of bins are moved away from 0, which is the bin of 0: more than there are
/// bins below 1.
const OFFSET: i32 = 1 << 16;
/// The bin of infinity.
const INFINITY: i32 = i32::MAX - 1;
/// The bin of NaN.
const NAN: i32 = i32::MAX;

/// How many numbers there are in every bin.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    /// The bins that have something and their counts, in the order of the numbers in them.
    bins: Vec<(i32, u64)>,
    /// The least and the greatest number, which all answers are between.
    least: f64,
    greatest: f64,
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch { bins: Vec::new(), least: f64::INFINITY, greatest: f64::NEG_INFINITY }
    }
}

/// The bin of a number: in the order of numbers.
fn bin_of(number: f64) -> i32 {
    if number.is_nan() {
        return NAN;
    }
    let size = number.abs();
    let bin = match size {
        0.0 => return 0,
        f64::INFINITY => INFINITY,
        _ => OFFSET + BINS.key(size),
    };
    if number < 0.0 { -bin } else { bin }
}

/// The value of a bin, within 1 % of all numbers in it.
fn value_of(bin: i32) -> f64 {
    match bin.abs() {
        0 => 0.0,
        NAN => f64::NAN,
        INFINITY => f64::INFINITY.copysign(bin.into()),
        // The middle of the last bin is beyond all floats.
        size => BINS.value(size - OFFSET).min(f64::MAX).copysign(bin.into()),
    }
}

impl Sketch {
    pub(super) fn add(&mut self, number: Number) {
        let Some(number) = number.as_f64() else { return };
        // NaN is neither.
        self.least = self.least.min(number);
        self.greatest = self.greatest.max(number);
        self.count(bin_of(number), 1);
    }

    fn count(&mut self, bin: i32, count: u64) {
        match self.bins.binary_search_by_key(&bin, |&(bin, _)| bin) {
            Ok(at) => self.bins[at].1 += count,
            Err(at) => self.bins.insert(at, (bin, count)),
        }
    }

    pub(super) fn merge(&mut self, other: &Sketch) {
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        for &(bin, count) in &other.bins {
            self.count(bin, count);
        }
    }

    /// The least number, to 1 %, that `part` of all are not above: what
    /// `percentile_disc` of SQL gives exactly. NULL of nothing.
    pub(super) fn percentile(&self, part: Part) -> Value<'static> {
        let count: u64 = self.bins.iter().map(|&(_, count)| count).sum();
        let rank = part.rank(count);
        let mut until = 0;
        for &(bin, here) in &self.bins {
            until += u128::from(here);
            if until >= rank {
                return Value::Float(match value_of(bin) {
                    nan if nan.is_nan() => nan,
                    _ if rank == 1 => self.least,
                    _ if rank == u128::from(count) => self.greatest,
                    value => value.max(self.least).min(self.greatest),
                });
            }
        }
        Value::Null
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bins.capacity() * size_of::<(i32, u64)>()
    }

    /// `[least, greatest, bin, count, bin, count, …]`.
    pub(super) fn store(&self) -> Json {
        let mut parts = vec![stored::float(self.least), stored::float(self.greatest)];
        for &(bin, count) in &self.bins {
            parts.push(bin.into());
            parts.push(count.into());
        }
        Json::Array(parts)
    }

    pub(super) fn restore(stored: &Json) -> Option<Sketch> {
        let mut parts = Parts::of(stored)?;
        let least = stored::read_float(parts.next()?)?;
        let greatest = stored::read_float(parts.next()?)?;
        let mut bins = Vec::with_capacity(parts.left() / 2);
        while parts.left() > 0 {
            let bin = i32::try_from(parts.next()?.as_i64()?).ok()?;
            bins.push((bin, parts.next()?.as_u64()?));
        }
        let sketch = Sketch { bins, least, greatest };
        sketch.bins.is_sorted_by(|(one, _), (next, _)| one < next).then_some(sketch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        for &number in numbers {
            sketch.add(Number::Float(number));
        }
        sketch
    }

    fn percentile(sketch: &Sketch, percent: u64) -> f64 {
        match sketch.percentile(Part(percent * (Part::WHOLE / 100))) {
            Value::Float(float) => float,
            other => panic!("no float: {other:?}"),
        }
    }

    fn is_near(one: f64, other: f64) -> bool {
        (one - other).abs() <= other.abs() * 0.01 + f64::from_bits(1)
    }

    #[test]
    fn percentiles_are_those_of_sql_to_one_percent() {
        let mut numbers: Vec<f64> =
            (1..=1000).map(|i| f64::from(i * 7919 % 1000) - 300.0).collect();
        let sketch = of(&numbers);
        numbers.sort_by(f64::total_cmp);
        for percent in 0..=100_u64 {
            let rank = usize::try_from(percent * 10).expect("small").max(1);
            let (told, exact) = (percentile(&sketch, percent), numbers[rank - 1]);
            assert!(is_near(told, exact), "{percent}: {told} for {exact}");
        }
    }

    #[test]
    fn ranks_are_exact() {
        // 0.07 of 100 numbers is the 7th, though it is 7.000000000000001 in floats.
        let sketch = of(&(1..=100).map(f64::from).collect::<Vec<_>>());
        assert!(is_near(percentile(&sketch, 7), 7.0));
        assert_eq!(Part::of("0.07"), Some(Part(7 * (Part::WHOLE / 100))));
        assert_eq!([Part::of("1.1"), Part::of("x"), Part::of("-0.1")], [None; 3]);
        assert!(is_near(percentile(&of(&[1.0, 2.0, 3.0, 4.0]), 50), 2.0));
        assert!(is_near(percentile(&of(&[1.0, 2.0, 3.0, 4.0]), 51), 3.0));
    }

    #[test]
    fn all_floats_keep_the_promise() {
        let odd = [f64::MIN, -1e-300, -5e-324, 0.0, 5e-324, f64::MIN_POSITIVE, 1e-9, f64::MAX];
        for number in odd {
            assert!(is_near(percentile(&of(&[number]), 50), number), "{number}");
            let both = of(&[number, f64::INFINITY, f64::NEG_INFINITY]);
            assert!(is_near(percentile(&both, 50), number), "{number}");
        }
        let ends = of(&[f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
        let told = [0, 50].map(|percent| percentile(&ends, percent).to_string());
        assert_eq!(told, ["-inf", "inf"]);
        assert!(percentile(&ends, 100).is_nan());
    }

    #[test]
    fn the_ends_are_exact() {
        let sketch = of(&[3.3, 17.7, 4.1]);
        assert_eq!((percentile(&sketch, 0), percentile(&sketch, 100)), (3.3, 17.7));
    }

    #[test]
    fn merging_is_adding_in_any_order() {
        let numbers: Vec<f64> = (0..500).map(|i| f64::from(i).powi(3) - 1e5).collect();
        let mut merged = Sketch::default();
        for part in numbers.chunks(13).rev() {
            merged.merge(&of(part));
        }
        assert_eq!(merged, of(&numbers));
        assert_eq!(Sketch::default().percentile(Part(1)), Value::Null);
    }
}
