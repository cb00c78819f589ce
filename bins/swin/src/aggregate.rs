//! Aggregates: what is kept of the values of a key in a pane, and how it is merged.
//!
//! Nothing but whole numbers is ever subtracted. Sums keep these apart, exact in 128 bits, and add
//! floats in twice the precision (Knuth's two-sum, as in Neumaier's compensated summation), so that
//! the order of rows and the borders of panes do not show in them; nor do they in anything else:
//! what has an order goes by the stamps of rows.
//!
//! NULL is skipped. NaN, which only arithmetic gives, is a number after all others: it is counted,
//! makes sums, means and variances NaN, is the greatest number to `max` and percentiles, and to
//! `min` only when there is no other.

use std::borrow::Cow;
use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use row::value::{Fault, Number, Value};
use row::{form, stored};
use serde_json::{Value as Json, json};

mod distinct;
mod kept;
mod list;
mod moments;
pub mod packed;
mod sketch;
mod state;
mod sum;
mod twice;

pub use distinct::Distinct;
pub use kept::Kept;
pub use list::List;
pub use moments::Moments;
pub use sketch::{Part, Sketch};
pub use sum::Sum;

/// The order of rows: by time, then by arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The row's time in milliseconds since the epoch.
    pub time: i64,
    /// How many rows had arrived before it.
    pub arrival: u64,
}

/// What is kept of the rows or values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// How many rows there are.
    CountRows,
    /// How many values are not NULL.
    Count,
    /// The different values.
    Distinct,
    /// The sum of numbers, and their count.
    Sum,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The value of the first row that has one.
    First,
    /// The value of the last row that has one.
    Last,
    /// The variance of numbers.
    Moments,
    /// The percentiles of numbers.
    Sketch,
    /// All values.
    Array,
    /// The rows, as [`packed`] values.
    Rows,
    /// The times of the first and the last row, and how many rows there are.
    Extent,
}

/// What is read from what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The value itself.
    Itself,
    /// A sum over the count of its numbers.
    Mean,
    /// The variance; of a sample, when 1 is taken from the count.
    Variance(u64),
    /// Its square root.
    Deviation(u64),
    /// The number that this part of the numbers is not above.
    Percentile(Part),
}

impl Function {
    /// What SQL calls all functions that a query may name.
    pub const NAMES: &str = "count, sum, avg, min, max, first, last, stddev_pop, stddev_samp, \
         var_pop, var_samp, approx_percentile, array_agg";

    /// The function that SQL calls `name`, over one argument, and what is read from it. What is
    /// read from a sketch, a second argument says.
    #[must_use]
    pub fn named(name: &str) -> Option<(Function, Measure)> {
        Some(match name {
            "count" => (Function::Count, Measure::Itself),
            "sum" => (Function::Sum, Measure::Itself),
            "avg" | "mean" => (Function::Sum, Measure::Mean),
            "min" => (Function::Min, Measure::Itself),
            "max" => (Function::Max, Measure::Itself),
            "first" => (Function::First, Measure::Itself),
            "last" => (Function::Last, Measure::Itself),
            "var_pop" => (Function::Moments, Measure::Variance(0)),
            "var_samp" | "variance" => (Function::Moments, Measure::Variance(1)),
            "stddev_pop" => (Function::Moments, Measure::Deviation(0)),
            "stddev_samp" | "stddev" => (Function::Moments, Measure::Deviation(1)),
            "approx_percentile" => (Function::Sketch, Measure::Itself),
            "array_agg" => (Function::Array, Measure::Itself),
            _ => return None,
        })
    }

    /// What SQL calls it; those that no query names have names of their own.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Function::CountRows | Function::Count => "count",
            Function::Distinct => "distinct",
            Function::Sum => "sum",
            Function::Min => "min",
            Function::Max => "max",
            Function::First => "first",
            Function::Last => "last",
            Function::Moments => "moments",
            Function::Sketch => "sketch",
            Function::Array => "array_agg",
            Function::Rows => "rows",
            Function::Extent => "extent",
        }
    }

    /// Whether the function takes numbers and nothing else.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        matches!(self, Function::Sum | Function::Moments | Function::Sketch)
    }

    /// The aggregate of no value at all.
    #[must_use]
    pub fn empty(self) -> Aggregate {
        match self {
            Function::CountRows | Function::Count => Aggregate::Count(0),
            Function::Distinct => Aggregate::Distinct(Box::default()),
            Function::Sum => Aggregate::Sum(Sum::default()),
            Function::Min => Aggregate::Min(Kept::Null),
            Function::Max => Aggregate::Max(Kept::Null),
            Function::First => Aggregate::First(Box::default()),
            Function::Last => Aggregate::Last(Box::default()),
            Function::Moments => Aggregate::Moments(Box::default()),
            Function::Sketch => Aggregate::Sketch(Box::default()),
            Function::Array => Aggregate::Array(Box::default()),
            Function::Rows => Aggregate::Rows(Box::default()),
            Function::Extent => {
                Aggregate::Extent { first_ms: i64::MAX, last_ms: i64::MIN, rows: 0 }
            }
        }
    }

    /// The aggregate that [`Aggregate::store`] gave `stored` of; `None` when that is none of this
    /// function.
    #[must_use]
    pub fn restore(self, stored: &Json) -> Option<Aggregate> {
        Some(match self {
            Function::CountRows | Function::Count => Aggregate::Count(stored.as_u64()?),
            Function::Distinct => Aggregate::Distinct(Box::new(Distinct::restore(stored)?)),
            Function::Sum => Aggregate::Sum(Sum::restore(stored)?),
            Function::Min => Aggregate::Min(Kept::from(&stored::read_value(stored)?)),
            Function::Max => Aggregate::Max(Kept::from(&stored::read_value(stored)?)),
            Function::First | Function::Last => {
                let mut parts = state::Parts::of(stored)?;
                let stamp = parts.next_stamp()?;
                let value = Kept::from(&stored::read_value(parts.next()?)?);
                match self {
                    Function::First => Aggregate::First(Box::new((stamp, value))),
                    _ => Aggregate::Last(Box::new((stamp, value))),
                }
            }
            Function::Moments => Aggregate::Moments(Box::new(Moments::restore(stored)?)),
            Function::Sketch => Aggregate::Sketch(Box::new(Sketch::restore(stored)?)),
            Function::Array => Aggregate::Array(Box::new(List::restore(stored, |item, bytes| {
                bytes.extend_from_slice(item.as_str()?.as_bytes());
                Some(())
            })?)),
            Function::Rows => Aggregate::Rows(Box::new(List::restore(stored, |row, bytes| {
                for value in row.as_array()? {
                    packed::push(&stored::read_value(value)?, bytes);
                }
                Some(())
            })?)),
            Function::Extent => {
                let mut parts = state::Parts::of(stored)?;
                let (first_ms, last_ms) = (parts.next()?.as_i64()?, parts.next()?.as_i64()?);
                Aggregate::Extent { first_ms, last_ms, rows: parts.next()?.as_u64()? }
            }
        })
    }
}

/// What is kept of the values so far: 32 bytes in place, because there are aggregates for every key
/// and pane, and counts and sums, which are nearly all, need no more.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregate {
    /// How many there were.
    Count(u64),
    /// The different ones.
    Distinct(Box<Distinct>),
    /// Their sum.
    Sum(Sum),
    /// The least.
    Min(Kept),
    /// The greatest.
    Max(Kept),
    /// The one of the first row.
    First(Box<(Stamp, Kept)>),
    /// The one of the last row.
    Last(Box<(Stamp, Kept)>),
    /// Their variance.
    Moments(Box<Moments>),
    /// Their percentiles.
    Sketch(Box<Sketch>),
    /// All of them, as JSON.
    Array(Box<List>),
    /// The rows, as [`packed`] values.
    Rows(Box<List>),
    /// The times of the rows.
    Extent {
        /// The least time, in milliseconds since the epoch.
        first_ms: i64,
        /// The greatest.
        last_ms: i64,
        /// How many rows there were; if none, the times mean nothing.
        rows: u64,
    },
}

const _: () = assert!(size_of::<Aggregate>() == 32, "as its description says");

impl Aggregate {
    /// Counts a row or a value that is not NULL.
    #[inline]
    pub fn count(&mut self) {
        if let Aggregate::Count(count) = self {
            *count += 1;
        }
    }

    /// Adds a number. Returns by how many bytes of heap the aggregate grew.
    ///
    /// # Errors
    /// When the sum of whole numbers leaves 128 bits.
    #[inline]
    pub fn add_number(&mut self, number: Number) -> Result<isize, Fault> {
        match self {
            Aggregate::Sum(sum) => sum.add(number)?,
            Aggregate::Moments(moments) => moments.add(number),
            Aggregate::Sketch(sketch) => {
                let before = sketch.heap_bytes();
                sketch.add(number);
                return Ok(grown(before, sketch.heap_bytes()));
            }
            _ => {}
        }
        Ok(0)
    }

    /// Adds a value of any type. Returns by how many bytes of heap the aggregate grew; less than
    /// none, when the value that was kept had more.
    #[inline]
    pub fn add_value(&mut self, value: &Value<'_>, stamp: Stamp) -> isize {
        match self {
            _ if value.is_null() => 0,
            Aggregate::Count(count) => {
                *count += 1;
                0
            }
            _ => self.keep_value(value, stamp),
        }
    }

    fn keep_value(&mut self, value: &Value<'_>, stamp: Stamp) -> isize {
        if !self.keeps(value, stamp) {
            return 0;
        }
        let before = self.heap_bytes();
        match self {
            Aggregate::Min(kept) | Aggregate::Max(kept) => *kept = value.into(),
            Aggregate::First(kept) | Aggregate::Last(kept) => **kept = (stamp, value.into()),
            Aggregate::Array(list) => list.add(stamp, |bytes| write_item(value, bytes)),
            _ => {}
        }
        grown(before, self.heap_bytes())
    }

    /// Whether a value takes the place of the one that is kept.
    fn keeps(&self, value: &Value<'_>, stamp: Stamp) -> bool {
        match self {
            Aggregate::Min(kept) | Aggregate::Max(kept) if kept.is_null() => true,
            Aggregate::Min(kept) => {
                let kept = kept.value();
                value.order(&kept).then_with(|| tie(value, &kept)).is_lt()
            }
            Aggregate::Max(kept) => {
                let kept = kept.value();
                value.order(&kept).then_with(|| tie(&kept, value)).is_gt()
            }
            Aggregate::First(kept) => kept.1.is_null() || stamp < kept.0,
            Aggregate::Last(kept) => kept.1.is_null() || stamp > kept.0,
            _ => true,
        }
    }

    /// Adds a value to the different ones, as `row::key` writes a key of one column; empty for
    /// NULL. Returns by how many bytes of heap the aggregate grew.
    pub fn add_key(&mut self, value: &[u8]) -> isize {
        match self {
            Aggregate::Distinct(distinct) if !value.is_empty() => {
                let before = distinct.heap_bytes();
                distinct.add(value);
                grown(before, distinct.heap_bytes())
            }
            _ => 0,
        }
    }

    /// Adds a row of [`packed`] values. Returns by how many bytes of heap the aggregate grew.
    pub fn add_row(&mut self, row: &[u8], stamp: Stamp) -> isize {
        let Aggregate::Rows(list) = self else { return 0 };
        let before = list.heap_bytes();
        list.add(stamp, |bytes| bytes.extend_from_slice(row));
        grown(before, list.heap_bytes())
    }

    /// Adds the time of a row.
    #[inline]
    pub fn extend(&mut self, time: i64) {
        if let Aggregate::Extent { first_ms, last_ms, rows } = self {
            *first_ms = time.min(*first_ms);
            *last_ms = time.max(*last_ms);
            *rows += 1;
        }
    }

    /// Adds what another aggregate of the same function keeps.
    ///
    /// # Errors
    /// When the sum of whole numbers leaves 128 bits.
    #[inline]
    pub fn merge(&mut self, other: &Aggregate) -> Result<(), Fault> {
        match (self, other) {
            (Aggregate::Count(count), Aggregate::Count(more)) => *count += more,
            (Aggregate::Sum(sum), Aggregate::Sum(more)) => sum.merge(more)?,
            (mine, other) => mine.merge_other(other),
        }
        Ok(())
    }

    /// [`Aggregate::merge`] of what is neither counts nor sums.
    fn merge_other(&mut self, other: &Aggregate) {
        match (self, other) {
            (Aggregate::Distinct(mine), Aggregate::Distinct(more)) => mine.merge(more),
            (Aggregate::Moments(moments), Aggregate::Moments(more)) => moments.merge(more),
            (Aggregate::Sketch(sketch), Aggregate::Sketch(more)) => sketch.merge(more),
            (Aggregate::Array(list), Aggregate::Array(more))
            | (Aggregate::Rows(list), Aggregate::Rows(more)) => list.merge(more),
            (
                Aggregate::Extent { first_ms, last_ms, rows },
                Aggregate::Extent { first_ms: first, last_ms: last, rows: more },
            ) => {
                *first_ms = *first.min(first_ms);
                *last_ms = *last.max(last_ms);
                *rows += more;
            }
            (mine, Aggregate::Min(kept) | Aggregate::Max(kept)) => {
                mine.add_value(&kept.value(), Stamp::default());
            }
            (mine, Aggregate::First(kept) | Aggregate::Last(kept)) => {
                mine.add_value(&kept.1.value(), kept.0);
            }
            _ => {}
        }
    }

    /// The value of the aggregate: of nothing, a count is 0 and all else is NULL.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        self.measure(Measure::Itself)
    }

    /// What `measure` reads from the aggregate: of nothing, a count is 0 and all else is NULL.
    #[inline]
    #[must_use]
    pub fn measure(&self, measure: Measure) -> Value<'_> {
        match (self, measure) {
            (Aggregate::Count(count), _) => match i64::try_from(*count) {
                Ok(count) => Value::Int(count),
                Err(_) => sum::whole(i128::from(*count)),
            },
            (Aggregate::Sum(sum), Measure::Itself) => sum.value(),
            _ => self.measure_other(measure),
        }
    }

    /// [`Aggregate::measure`] of what is neither a count nor a sum itself.
    fn measure_other(&self, measure: Measure) -> Value<'_> {
        match (self, measure) {
            (Aggregate::Distinct(distinct), _) => {
                Value::Int(i64::try_from(distinct.count()).unwrap_or(i64::MAX))
            }
            (Aggregate::Sum(sum), _) => sum.mean(),
            (Aggregate::Min(kept) | Aggregate::Max(kept), _) => kept.value(),
            (Aggregate::First(kept) | Aggregate::Last(kept), _) => kept.1.value(),
            (Aggregate::Moments(moments), Measure::Variance(freedom)) => {
                moments::value(moments.variance(freedom))
            }
            (Aggregate::Moments(moments), Measure::Deviation(freedom)) => {
                moments::value(moments.variance(freedom).map(f64::sqrt))
            }
            (Aggregate::Sketch(sketch), Measure::Percentile(part)) => sketch.percentile(part),
            (Aggregate::Array(list), _) if !list.is_empty() => {
                let mut array = Vec::new();
                list.for_each(|_, item| {
                    array.push(if array.is_empty() { b'[' } else { b',' });
                    array.extend_from_slice(item);
                });
                array.push(b']');
                Value::Json(Cow::Owned(array))
            }
            _ => Value::Null,
        }
    }

    /// The times of the first and the last row, and how many rows there are; `None` of none, and
    /// of other functions.
    #[must_use]
    pub fn extent(&self) -> Option<(i64, i64, u64)> {
        match self {
            Aggregate::Extent { first_ms, last_ms, rows: rows @ 1.. } => {
                Some((*first_ms, *last_ms, *rows))
            }
            _ => None,
        }
    }

    /// Whether the aggregate holds the values themselves, so that merging copies them all.
    #[must_use]
    pub fn collects(&self) -> bool {
        matches!(self, Aggregate::Distinct(_) | Aggregate::Array(_) | Aggregate::Rows(_))
    }

    /// Whether the aggregate can hold bytes beside its cell.
    #[must_use]
    pub fn grows(&self) -> bool {
        !matches!(
            self,
            Aggregate::Count(_)
                | Aggregate::Sum(_)
                | Aggregate::Moments(_)
                | Aggregate::Extent { .. }
        )
    }

    /// Whether this is a whole number, from which a part is taken off without a trace.
    #[inline]
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match self {
            Aggregate::Count(_) => true,
            Aggregate::Sum(sum) => sum.is_whole(),
            _ => false,
        }
    }

    /// Merges a part. Whether that could be done: both have to be [`Aggregate::is_whole`], and all
    /// together has 64 bits.
    #[inline]
    pub fn put_on(&mut self, part: &Aggregate) -> bool {
        match (self, part) {
            (Aggregate::Count(count), Aggregate::Count(part)) => {
                *count += part;
                true
            }
            (Aggregate::Sum(sum), Aggregate::Sum(part)) => sum.put_on(part),
            _ => false,
        }
    }

    /// Takes off what was merged into it. Whether that could be done: both have to be
    /// [`Aggregate::is_whole`], and the rest has 64 bits.
    #[inline]
    pub fn take_off(&mut self, part: &Aggregate) -> bool {
        match (self, part) {
            (Aggregate::Count(count), Aggregate::Count(part)) => {
                *count -= part;
                true
            }
            (Aggregate::Sum(sum), Aggregate::Sum(part)) => sum.take_off(part),
            _ => false,
        }
    }

    /// Becomes what another aggregate of the same function is.
    #[inline]
    pub fn set(&mut self, other: &Aggregate) {
        match (self, other) {
            (Aggregate::Count(count), Aggregate::Count(other)) => *count = *other,
            (Aggregate::Sum(sum), Aggregate::Sum(other)) => sum.set(other),
            (mine, other) => mine.clone_from(other),
        }
    }

    /// Whether a count or sum is of nothing; what is asked of others costs more than to know it.
    #[inline]
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Aggregate::Count(count) => *count == 0,
            Aggregate::Sum(sum) => sum.is_empty(),
            _ => false,
        }
    }

    /// The bytes that every aggregate of this function takes.
    #[must_use]
    pub fn fixed_bytes(&self) -> usize {
        size_of::<Aggregate>()
            + match self {
                Aggregate::Distinct(_) => size_of::<Distinct>(),
                Aggregate::First(_) | Aggregate::Last(_) => size_of::<(Stamp, Kept)>(),
                Aggregate::Moments(_) => size_of::<Moments>(),
                Aggregate::Sketch(_) => size_of::<Sketch>(),
                Aggregate::Array(_) | Aggregate::Rows(_) => size_of::<List>(),
                _ => 0,
            }
    }

    /// The bytes that the aggregate holds beside those.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Aggregate::Min(kept) | Aggregate::Max(kept) => kept.heap_bytes(),
            Aggregate::First(kept) | Aggregate::Last(kept) => kept.1.heap_bytes(),
            Aggregate::Distinct(distinct) => distinct.heap_bytes(),
            Aggregate::Sketch(sketch) => sketch.heap_bytes(),
            Aggregate::Array(list) | Aggregate::Rows(list) => list.heap_bytes(),
            Aggregate::Count(_)
            | Aggregate::Sum(_)
            | Aggregate::Moments(_)
            | Aggregate::Extent { .. } => 0,
        }
    }

    /// The aggregate as JSON, which [`Function::restore`] makes an equal one of.
    #[must_use]
    pub fn store(&self) -> Json {
        match self {
            Aggregate::Count(count) => json!(count),
            Aggregate::Distinct(distinct) => distinct.store(),
            Aggregate::Sum(sum) => sum.store(),
            Aggregate::Min(kept) | Aggregate::Max(kept) => stored::value(&kept.value()),
            Aggregate::First(kept) | Aggregate::Last(kept) => {
                let (stamp, kept) = &**kept;
                json!([stamp.time, stamp.arrival, stored::value(&kept.value())])
            }
            Aggregate::Moments(moments) => moments.store(),
            Aggregate::Sketch(sketch) => sketch.store(),
            Aggregate::Array(list) => list.store(|item| json!(String::from_utf8_lossy(item))),
            Aggregate::Rows(list) => list.store(|row| {
                let mut values = Vec::new();
                packed::read(row, &mut values);
                values.iter().map(stored::value).collect()
            }),
            Aggregate::Extent { first_ms, last_ms, rows } => json!([first_ms, last_ms, rows]),
        }
    }
}

/// By how much a number of bytes grew.
fn grown(before: usize, after: usize) -> isize {
    after.wrapping_sub(before).cast_signed()
}

/// The order of equal numbers that are written differently, as 1 and 1.0: by their bytes, so that
/// which one is kept does not depend on the order of rows or panes.
fn tie(one: &Value<'_>, other: &Value<'_>) -> Ordering {
    match (one, other) {
        (Value::Int(_), Value::Int(_)) => Ordering::Equal,
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        _ => {
            let is_string = |value: &Value<'_>| matches!(value, Value::Str(_));
            one.bytes().cmp(&other.bytes()).then(is_string(one).cmp(&is_string(other)))
        }
    }
}

/// Appends a value as an element of a JSON array; what is not UTF-8 as `{"b64":"…"}`, because an
/// element has no name that could say so.
fn write_item(value: &Value<'_>, array: &mut Vec<u8>) {
    match value {
        Value::Text(bytes) | Value::Str(bytes) | Value::Json(bytes)
            if std::str::from_utf8(bytes).is_err() =>
        {
            array.extend_from_slice(b"{\"b64\":\"");
            array.extend_from_slice(BASE64.encode(bytes).as_bytes());
            array.extend_from_slice(b"\"}");
        }
        value => form::write_json(value, array),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The functions over one argument, and that over none.
    const ALL: [Function; 13] = [
        Function::CountRows,
        Function::Count,
        Function::Distinct,
        Function::Sum,
        Function::Min,
        Function::Max,
        Function::First,
        Function::Last,
        Function::Moments,
        Function::Sketch,
        Function::Array,
        Function::Rows,
        Function::Extent,
    ];

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text.as_bytes()))
    }

    fn at(time: i64, arrival: u64) -> Stamp {
        Stamp { time, arrival }
    }

    /// Adds a value as a row does; returns by how much the aggregate says it grew.
    fn add(aggregate: &mut Aggregate, value: &Value<'_>, stamp: Stamp) -> isize {
        let mut bytes = Vec::new();
        match aggregate {
            Aggregate::Sum(_) | Aggregate::Moments(_) | Aggregate::Sketch(_) => {
                let number = value.number().unwrap_or(Number::Null);
                aggregate.add_number(number).expect("it fits")
            }
            Aggregate::Distinct(_) if value.is_null() => 0,
            Aggregate::Distinct(_) => {
                row::key::push(value, 1, &mut bytes);
                aggregate.add_key(&bytes)
            }
            Aggregate::Rows(_) => {
                packed::push(value, &mut bytes);
                packed::push(&Value::Int(stamp.time), &mut bytes);
                aggregate.add_row(&bytes, stamp)
            }
            Aggregate::Extent { .. } => {
                aggregate.extend(stamp.time);
                0
            }
            _ => aggregate.add_value(value, stamp),
        }
    }

    fn of(function: Function, values: &[(Value<'_>, Stamp)]) -> Aggregate {
        let mut aggregate = function.empty();
        for (value, stamp) in values {
            add(&mut aggregate, value, *stamp);
        }
        aggregate
    }

    #[test]
    fn a_cell_is_as_small_as_a_sum() {
        assert!(size_of::<Aggregate>() <= 64);
    }

    #[test]
    fn of_nothing_a_count_is_0_and_all_else_null() {
        for function in ALL {
            let counts = [Function::CountRows, Function::Count, Function::Distinct];
            let none = if counts.contains(&function) { Value::Int(0) } else { Value::Null };
            assert_eq!(function.empty().value(), none, "{function:?}");
        }
        let measures = [Measure::Mean, Measure::Variance(0), Measure::Deviation(1)];
        for (function, measure) in
            [Function::Sum, Function::Moments, Function::Moments].into_iter().zip(measures)
        {
            assert_eq!(function.empty().measure(measure), Value::Null, "{measure:?}");
        }
        assert_eq!(Function::Extent.empty().extent(), None);
    }

    #[test]
    fn null_is_skipped_and_extremes_compare_as_numbers() {
        let values = [text("10"), text("9"), text("x"), Value::Null].map(|value| (value, at(0, 0)));
        assert_eq!(of(Function::Min, &values).value(), text("9"));
        assert_eq!(of(Function::Max, &values).value(), text("x"));
        assert_eq!(of(Function::Max, &values[..2]).value(), text("10"));
        assert_eq!(of(Function::Count, &values).value(), Value::Int(3));
        assert_eq!(of(Function::Distinct, &values).value(), Value::Int(3));
    }

    #[test]
    fn of_equal_numbers_the_same_one_is_kept_in_any_order() {
        let one_string = Value::Str(Cow::Borrowed(b"1"));
        let mut ones =
            [text("1.0"), one_string, text("1"), text("01")].map(|value| (value, at(0, 0)));
        for _ in 0..2 {
            assert_eq!(of(Function::Min, &ones).value(), text("01"));
            assert_eq!(of(Function::Max, &ones).value(), text("01"));
            assert_eq!(of(Function::Max, &ones[1..3]).value(), text("1"));
            ones.reverse();
        }
    }

    #[test]
    fn nan_is_the_greatest_number() {
        let values = [Value::Float(f64::NAN), Value::Float(1.0)].map(|value| (value, at(0, 0)));
        assert_eq!(of(Function::Min, &values).value(), Value::Float(1.0));
        let Value::Float(greatest) = of(Function::Max, &values).value() else { panic!("no float") };
        assert!(greatest.is_nan());
    }

    #[test]
    fn first_and_last_go_by_time_then_by_arrival_whatever_the_order_of_panes() {
        let rows = [
            (text("late"), at(3, 0)),
            (text("one"), at(1, 5)),
            (Value::Null, at(0, 1)),
            (text("another"), at(1, 4)),
            (text("last"), at(3, 2)),
        ];
        for (function, told) in [(Function::First, "another"), (Function::Last, "last")] {
            assert_eq!(of(function, &rows).value(), text(told), "{function:?}");
            let mut merged = function.empty();
            for row in rows.iter().rev() {
                merged.merge(&of(function, std::slice::from_ref(row))).expect("it fits");
            }
            assert_eq!(merged.value(), text(told), "{function:?}");
        }
    }

    #[test]
    fn arrays_are_json_in_the_order_of_rows() {
        let odd = Value::Text(Cow::Borrowed(b"\xff"));
        let rows = [
            (text("007"), at(2, 1)),
            (text("1.50"), at(1, 2)),
            (Value::Null, at(1, 3)),
            (odd, at(1, 4)),
            (Value::Str(Cow::Borrowed(b"7\"")), at(1, 5)),
            (Value::Json(Cow::Borrowed(b"[1]")), at(3, 6)),
            (Value::Float(f64::NAN), at(3, 7)),
        ];
        let told = br#"[1.50,{"b64":"/w=="},"7\"","007",[1],null]"#;
        assert_eq!(of(Function::Array, &rows).value(), Value::Json(Cow::Borrowed(&told[..])));
    }

    #[test]
    fn the_extent_is_that_of_all_panes() {
        let rows = [5, -3, 8].map(|time| (Value::Null, at(time, 0)));
        let mut extent = of(Function::Extent, &rows[..2]);
        assert_eq!(extent.extent(), Some((-3, 5, 2)));
        extent.merge(&Function::Extent.empty()).expect("it fits");
        extent.merge(&of(Function::Extent, &rows[2..])).expect("it fits");
        assert_eq!(extent.extent(), Some((-3, 8, 3)));
    }

    fn values() -> impl Strategy<Value = Value<'static>> {
        let bytes = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..6),
            "[a-c]{0,2}".prop_map(String::into_bytes),
            "-?[0-9]{1,3}(\\.[0-9])?".prop_map(String::into_bytes),
        ];
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-5..5_i64).prop_map(Value::Int),
            (-1e6..1e6_f64).prop_map(Value::Float),
            any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
            bytes.clone().prop_map(|bytes| Value::Text(Cow::Owned(bytes))),
            bytes.clone().prop_map(|bytes| Value::Str(Cow::Owned(bytes))),
            bytes.prop_map(|bytes| Value::Json(Cow::Owned(bytes))),
        ]
    }

    fn rows() -> impl Strategy<Value = Vec<(Value<'static>, Stamp)>> {
        let stamps = (-9..9_i64, any::<u64>()).prop_map(|(time, arrival)| at(time, arrival));
        proptest::collection::vec((values(), stamps), 0..30)
    }

    /// All that can be read from an aggregate, to the last bit.
    fn told(aggregate: &Aggregate) -> String {
        let half = Part::of("0.5").expect("a part");
        let measures = [
            Measure::Itself,
            Measure::Mean,
            Measure::Variance(0),
            Measure::Deviation(1),
            Measure::Percentile(half),
        ];
        let values = measures.map(|measure| aggregate.measure(measure));
        format!("{values:?} {:?} {}", aggregate.extent(), aggregate.store())
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_is_restored_tells_and_goes_on_the_same(before in rows(), after in rows()) {
            for function in ALL {
                let mut aggregate = of(function, &before);
                let stored = aggregate.store().to_string();
                let parsed = serde_json::from_str(&stored).expect("JSON");
                let mut restored = function.restore(&parsed).expect("what was stored");
                prop_assert_eq!(told(&restored), told(&aggregate));
                let (mut merged, more) = (restored.clone(), of(function, &after));
                merged.merge(&more).expect("it fits");
                for (value, stamp) in &after {
                    add(&mut aggregate, value, *stamp);
                    add(&mut restored, value, *stamp);
                }
                prop_assert_eq!(told(&restored), told(&aggregate));
                let mut whole = of(function, &before);
                whole.merge(&more).expect("it fits");
                prop_assert_eq!(told(&merged), told(&whole));
            }
        }

        #[test]
        fn heap_bytes_are_what_was_said_on_the_way(rows in rows()) {
            for function in ALL {
                let mut aggregate = function.empty();
                let mut bytes = 0_usize;
                for (value, stamp) in &rows {
                    bytes = bytes.wrapping_add_signed(add(&mut aggregate, value, *stamp));
                }
                prop_assert_eq!(bytes, aggregate.heap_bytes());
            }
        }

        #[test]
        fn no_text_makes_a_restored_aggregate_fail(stored in "[\\[\\]{}\",0-9a-f:-]{0,12}") {
            if let Ok(parsed) = serde_json::from_str(&stored) {
                for function in ALL {
                    if let Some(restored) = function.restore(&parsed) {
                        told(&restored);
                    }
                }
            }
        }
    }
}
