//! Sums and means of numbers.

use std::borrow::Cow;

use row::stored;
use row::value::{Fault, Number, Value};
use serde_json::{Value as Json, json};

use super::state::Parts;
use super::twice::{Twice, two_sum};

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
    pub(super) fn add(&mut self, number: Number) -> Result<(), Fault> {
        match number {
            Number::Null => return Ok(()),
            Number::Int(int) => {
                let whole = self.whole.checked_add(i128::from(int));
                self.whole = whole.ok_or(Fault::Sum)?;
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
        let sum = two_sum(self.high, float);
        self.high = sum.high;
        // An infinite sum has lost nothing that could be told.
        if sum.high.is_finite() {
            self.low += sum.low;
        }
    }

    pub(super) fn merge(&mut self, other: &Sum) -> Result<(), Fault> {
        self.whole = self.whole.checked_add(other.whole).ok_or(Fault::Sum)?;
        if other.floats > 0 {
            self.add_float(other.high);
            self.add_float(other.low);
        }
        self.count += other.count;
        self.floats += other.floats;
        Ok(())
    }

    pub(super) fn value(&self) -> Value<'static> {
        match (self.count, self.floats) {
            (0, _) => Value::Null,
            (_, 0) => whole(self.whole),
            _ => Value::Float(self.float()),
        }
    }

    pub(super) fn mean(&self) -> Value<'static> {
        if self.count == 0 {
            return Value::Null;
        }
        Value::Float(self.float() / Twice::of_whole(self.count.into()).high)
    }

    fn float(&self) -> f64 {
        if self.whole == 0 {
            return self.high + self.low;
        }
        let mut all = self.clone();
        let whole = Twice::of_whole(self.whole);
        all.add_float(whole.high);
        all.add_float(whole.low);
        all.high + all.low
    }

    /// `[count, whole]`, and behind them the floats when there are any.
    pub(super) fn store(&self) -> Json {
        let whole = match i64::try_from(self.whole) {
            Ok(whole) => json!(whole),
            Err(_) => json!(self.whole.to_string()),
        };
        if self.floats == 0 {
            return json!([self.count, whole]);
        }
        let (high, low) = (stored::float(self.high), stored::float(self.low));
        json!([self.count, whole, self.floats, high, low])
    }

    pub(super) fn restore(stored: &Json) -> Option<Sum> {
        let mut parts = Parts::of(stored)?;
        let count = parts.next()?.as_u64()?;
        let whole = match parts.next()? {
            Json::String(digits) => digits.parse().ok()?,
            small => i128::from(small.as_i64()?),
        };
        let mut sum = Sum { whole, count, ..Sum::default() };
        if parts.left() > 0 {
            sum.floats = parts.next()?.as_u64()?;
            sum.high = stored::read_float(parts.next()?)?;
            sum.low = stored::read_float(parts.next()?)?;
        }
        (parts.left() == 0).then_some(sum)
    }
}

/// A whole number as a value; one beyond 64 bits keeps its digits.
pub(super) fn whole(int: i128) -> Value<'static> {
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
    fn a_sum_beyond_128_bits_is_said() {
        let mut sum = Sum { whole: i128::MAX, count: 1, ..Sum::default() };
        assert_eq!(sum.add(Number::Int(0)), Ok(()));
        assert_eq!(sum.add(Number::Int(1)), Err(Fault::Sum));
        let other = sum.clone();
        assert_eq!(sum.merge(&other), Err(Fault::Sum));
    }

    #[test]
    fn means_add_whole_numbers_and_floats() {
        let sum = sum_of(&[Number::Int(1), Number::Float(0.5), Number::Null]);
        assert_eq!((sum.value(), sum.mean()), (Value::Float(1.5), Value::Float(0.75)));
    }

    #[test]
    fn nan_and_infinity_stay() {
        let sum = sum_of(&[Number::Float(f64::INFINITY), Number::Float(1.0)]);
        assert_eq!(sum.value(), Value::Float(f64::INFINITY));
        let Value::Float(sum) = sum_of(&[Number::Float(f64::NAN), Number::Int(1)]).value() else {
            panic!("no float")
        };
        assert!(sum.is_nan());
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
}
