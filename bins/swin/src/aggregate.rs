//! Aggregates: what is kept of the values of a key in a pane, and how it is merged.
//!
//! Nothing is ever subtracted. Sums keep whole numbers apart, exact in 128 bits, and add floats
//! in twice the precision (Knuth's two-sum, as in Neumaier's compensated summation), so that the
//! order of rows and the borders of panes do not show in them.

use std::borrow::Cow;
use std::cmp::Ordering;

use row::value::{Fault, Number, Value};

/// A function over the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `count(*)`: rows.
    CountRows,
    /// `count(x)`: values that are not NULL.
    Count,
    /// The sum.
    Sum,
    /// The mean.
    Avg,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
}

impl Function {
    /// The function called `name` over one argument.
    #[must_use]
    pub fn named(name: &str) -> Option<Function> {
        Some(match name {
            "count" => Function::Count,
            "sum" => Function::Sum,
            "avg" | "mean" => Function::Avg,
            "min" => Function::Min,
            "max" => Function::Max,
            _ => return None,
        })
    }

    /// Whether the function takes numbers and nothing else.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        matches!(self, Function::Sum | Function::Avg)
    }

    /// The aggregate of no value at all.
    #[must_use]
    pub fn empty(self) -> Aggregate {
        match self {
            Function::CountRows | Function::Count => Aggregate::Count(0),
            Function::Sum => Aggregate::Sum(Sum::default()),
            Function::Avg => Aggregate::Avg(Sum::default()),
            Function::Min => Aggregate::Min(Value::Null),
            Function::Max => Aggregate::Max(Value::Null),
        }
    }
}

/// What is kept of the values so far.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregate {
    /// How many there were.
    Count(u64),
    /// Their sum.
    Sum(Sum),
    /// Their sum, to be divided by how many there were.
    Avg(Sum),
    /// The least.
    Min(Value<'static>),
    /// The greatest.
    Max(Value<'static>),
}

impl Aggregate {
    /// Counts a row or a value that is not NULL.
    #[inline]
    pub fn count(&mut self) {
        if let Aggregate::Count(count) = self {
            *count += 1;
        }
    }

    /// Adds a number.
    ///
    /// # Errors
    /// When the sum of whole numbers leaves 128 bits.
    #[inline]
    pub fn add_number(&mut self, number: Number) -> Result<(), Fault> {
        match self {
            Aggregate::Sum(sum) | Aggregate::Avg(sum) => sum.add(number),
            _ => Ok(()),
        }
    }

    /// Adds a value of any type.
    #[inline]
    pub fn add_value(&mut self, value: &Value<'_>) {
        match self {
            _ if value.is_null() => {}
            Aggregate::Count(count) => *count += 1,
            Aggregate::Min(least) => keep(least, value, Ordering::Less),
            Aggregate::Max(greatest) => keep(greatest, value, Ordering::Greater),
            Aggregate::Sum(_) | Aggregate::Avg(_) => {}
        }
    }

    /// Adds what another aggregate of the same function keeps.
    ///
    /// # Errors
    /// When the sum of whole numbers leaves 128 bits.
    pub fn merge(&mut self, other: &Aggregate) -> Result<(), Fault> {
        match (self, other) {
            (Aggregate::Count(count), Aggregate::Count(more)) => *count += more,
            (Aggregate::Sum(sum), Aggregate::Sum(more))
            | (Aggregate::Avg(sum), Aggregate::Avg(more)) => sum.merge(more)?,
            (Aggregate::Min(least), Aggregate::Min(value)) if !value.is_null() => {
                keep(least, value, Ordering::Less);
            }
            (Aggregate::Max(greatest), Aggregate::Max(value)) if !value.is_null() => {
                keep(greatest, value, Ordering::Greater);
            }
            _ => {}
        }
        Ok(())
    }

    /// The value of the aggregate: of nothing, a count is 0 and all else is NULL.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        match self {
            Aggregate::Count(count) => whole(i128::from(*count)),
            Aggregate::Sum(sum) => sum.value(),
            Aggregate::Avg(sum) => sum.mean(),
            Aggregate::Min(value) | Aggregate::Max(value) => match value {
                Value::Text(bytes) => Value::Text(Cow::Borrowed(bytes)),
                Value::Str(bytes) => Value::Str(Cow::Borrowed(bytes)),
                Value::Json(bytes) => Value::Json(Cow::Borrowed(bytes)),
                other => other.clone(),
            },
        }
    }
}

/// Keeps the value when it is `side` of the one that was kept; of equal ones the first stays.
fn keep(kept: &mut Value<'static>, value: &Value<'_>, side: Ordering) {
    if kept.is_null() || value.order(kept) == side {
        *kept = value.clone().into_owned();
    }
}

/// A sum of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    /// The whole numbers, exactly.
    whole: i128,
    /// The floats, rounded, and what the rounding lost.
    high: f64,
    low: f64,
    /// How many there were, and how many of them were floats.
    count: u64,
    floats: u64,
}

impl Sum {
    #[inline]
    fn add(&mut self, number: Number) -> Result<(), Fault> {
        match number {
            Number::Null => return Ok(()),
            Number::Int(int) => {
                let whole = self.whole.checked_add(i128::from(int));
                self.whole = whole.ok_or(Fault::Overflow)?;
            }
            Number::Float(float) => {
                self.add_float(float);
                self.floats += 1;
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Adds a float and keeps what is lost (two-sum: exact for all finite floats).
    #[inline]
    fn add_float(&mut self, float: f64) {
        let sum = self.high + float;
        let part = sum - self.high;
        let lost = (self.high - (sum - part)) + (float - part);
        self.high = sum;
        // An infinite sum has lost nothing that could be told.
        if sum.is_finite() {
            self.low += lost;
        }
    }

    fn merge(&mut self, other: &Sum) -> Result<(), Fault> {
        self.whole = self.whole.checked_add(other.whole).ok_or(Fault::Overflow)?;
        if other.floats > 0 {
            self.add_float(other.high);
            self.add_float(other.low);
        }
        self.count += other.count;
        self.floats += other.floats;
        Ok(())
    }

    fn value(&self) -> Value<'static> {
        match (self.count, self.floats) {
            (0, _) => Value::Null,
            (_, 0) => whole(self.whole),
            _ => Value::Float(self.float()),
        }
    }

    fn mean(&self) -> Value<'static> {
        if self.count == 0 {
            return Value::Null;
        }
        #[expect(clippy::cast_precision_loss, reason = "exact for 2^53 rows")]
        let count = self.count as f64;
        Value::Float(self.float() / count)
    }

    fn float(&self) -> f64 {
        if self.whole == 0 {
            return self.high + self.low;
        }
        let mut all = self.clone();
        #[expect(clippy::cast_precision_loss, reason = "what is lost is added too")]
        let high = self.whole as f64;
        #[expect(clippy::cast_possible_truncation, reason = "saturates at worst")]
        let left = self.whole.saturating_sub(high as i128);
        all.add_float(high);
        #[expect(clippy::cast_precision_loss, reason = "below 2^75, the rest of 128 bits")]
        all.add_float(left as f64);
        all.high + all.low
    }
}

/// A whole number as a value; one beyond 64 bits keeps its digits.
fn whole(int: i128) -> Value<'static> {
    i64::try_from(int)
        .map_or_else(|_| Value::Text(Cow::Owned(int.to_string().into_bytes())), Value::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(numbers: &[Number]) -> Sum {
        let mut sum = Sum::default();
        for &number in numbers {
            sum.add(number).expect("it fits");
        }
        sum
    }

    #[test]
    fn sums_lose_nothing_on_the_way() {
        let sum = sum_of(&[Number::Float(1e17), Number::Float(1.0), Number::Float(-1e17)]);
        assert_eq!(sum.value(), Value::Float(1.0));
        let tenths = vec![Number::Float(0.1); 10];
        assert_eq!(sum_of(&tenths).value(), Value::Float(1.0));
    }

    #[test]
    fn whole_sums_are_exact_beyond_64_bits() {
        let sum = sum_of(&[Number::Int(i64::MAX), Number::Int(i64::MAX)]);
        assert_eq!(sum.value(), Value::Text(Cow::Borrowed(b"18446744073709551614")));
        assert_eq!(sum_of(&[Number::Int(2), Number::Int(3)]).value(), Value::Int(5));
    }

    #[test]
    fn merging_is_adding() {
        let floats: Vec<Number> = (0..99).map(|i| Number::Float(f64::from(i) * 0.7)).collect();
        let mut merged = Sum::default();
        for part in floats.chunks(7) {
            merged.merge(&sum_of(part)).expect("it fits");
        }
        assert_eq!(merged.value(), sum_of(&floats).value());
    }

    #[test]
    fn of_nothing_a_count_is_0_and_all_else_null() {
        assert_eq!(Function::Count.empty().value(), Value::Int(0));
        for function in [Function::Sum, Function::Avg, Function::Min, Function::Max] {
            assert_eq!(function.empty().value(), Value::Null);
        }
    }

    #[test]
    fn null_is_skipped_and_extremes_compare_as_numbers() {
        let mut least = Function::Min.empty();
        for text in ["10", "9", "x"] {
            least.add_value(&Value::Text(Cow::Borrowed(text.as_bytes())));
        }
        least.add_value(&Value::Null);
        assert_eq!(least.value(), Value::Text(Cow::Borrowed(b"9")));
    }
}
