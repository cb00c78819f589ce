//! Sums and means of numbers.

use std::borrow::Cow;

use row::stored;
use row::value::{Fault, Number, Value};
use serde_json::{Value as Json, json};

use super::state::Parts;
use super::twice::{Twice, two_sum};

/// A sum of numbers.
#[derive(Clone, Debug)]
pub struct Sum(Form);

/// What is kept of the numbers: as little as they need, because there is a sum for every key and
/// pane, and nearly all are of whole numbers or of floats alone.
#[derive(Clone, Debug)]
enum Form {
    /// Whole numbers, whose sum has 64 bits, and how many there were.
    Whole(i64, u64),
    /// Floats, and how many there were.
    Floats(Floats, u64),
    /// Both, or a sum beyond 64 bits.
    Mixed(Box<Mixed>),
}

/// A sum of floats: rounded, and what the rounding lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Floats {
    high: f64,
    low: f64,
}

/// A sum of any numbers.
#[derive(Clone, Debug, Default, PartialEq)]
struct Mixed {
    /// The whole numbers, exactly.
    whole: i128,
    /// The floats.
    floats: Floats,
    /// How many there were, and how many of them were floats.
    count: u64,
    float_count: u64,
}

impl Floats {
    /// Adds a float and keeps what is lost (two-sum: exact for all finite floats).
    #[inline]
    fn add(&mut self, float: f64) {
        let sum = two_sum(self.high, float);
        self.high = sum.high;
        // An infinite sum has lost nothing that could be told.
        if sum.high.is_finite() {
            self.low += sum.low;
        }
    }

    fn merge(&mut self, other: Floats) {
        self.add(other.high);
        self.add(other.low);
    }

    fn float(self) -> f64 {
        self.high + self.low
    }
}

impl Mixed {
    fn add(&mut self, number: Number) -> Result<(), Fault> {
        match number {
            Number::Null => return Ok(()),
            Number::Int(int) => {
                self.whole = self.whole.checked_add(int.into()).ok_or(Fault::Sum)?;
            }
            Number::Float(float) => {
                self.floats.add(float);
                self.float_count += 1;
            }
        }
        self.count += 1;
        Ok(())
    }

    fn merge(&mut self, other: &Mixed) -> Result<(), Fault> {
        self.whole = self.whole.checked_add(other.whole).ok_or(Fault::Sum)?;
        if other.float_count > 0 {
            self.floats.merge(other.floats);
        }
        self.count += other.count;
        self.float_count += other.float_count;
        Ok(())
    }

    /// The sum as a value.
    #[cold]
    fn value(&self) -> Value<'static> {
        if self.float_count == 0 { whole(self.whole) } else { Value::Float(self.float()) }
    }

    fn float(&self) -> f64 {
        let mut all = self.floats;
        if self.whole != 0 {
            let whole = Twice::of_whole(self.whole);
            all.add(whole.high);
            all.add(whole.low);
        }
        all.float()
    }
}

impl Default for Sum {
    fn default() -> Sum {
        Sum(Form::Whole(0, 0))
    }
}

impl PartialEq for Sum {
    fn eq(&self, other: &Sum) -> bool {
        self.mixed() == other.mixed()
    }
}

impl Sum {
    #[inline]
    pub(super) fn add(&mut self, number: Number) -> Result<(), Fault> {
        match (&mut self.0, number) {
            (_, Number::Null) => return Ok(()),
            (Form::Whole(sum, count), Number::Int(int)) => {
                if let Some(more) = sum.checked_add(int) {
                    *sum = more;
                    *count += 1;
                    return Ok(());
                }
            }
            (Form::Floats(sum, count), Number::Float(float)) => {
                sum.add(float);
                *count += 1;
                return Ok(());
            }
            _ => {}
        }
        self.add_other(number)
    }

    /// Adds a number that is not of the kind of those before, or too great.
    #[cold]
    fn add_other(&mut self, number: Number) -> Result<(), Fault> {
        match (&mut self.0, number) {
            (Form::Whole(_, 0), Number::Float(float)) => {
                let mut sum = Floats::default();
                sum.add(float);
                self.0 = Form::Floats(sum, 1);
                Ok(())
            }
            _ => self.mix(|mixed| mixed.add(number)),
        }
    }

    /// Whether there were no numbers.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.0, Form::Whole(_, 0))
    }

    /// Becomes another sum.
    #[inline]
    pub(super) fn set(&mut self, other: &Sum) {
        match (&mut self.0, &other.0) {
            (Form::Whole(sum, count), Form::Whole(int, more)) => (*sum, *count) = (*int, *more),
            (mine, other) => mine.clone_from(other),
        }
    }

    #[inline]
    pub(super) fn merge(&mut self, other: &Sum) -> Result<(), Fault> {
        if self.put_on(other) { Ok(()) } else { self.merge_other(other) }
    }

    /// Adds a sum, one of the two being not of whole numbers, or too great.
    fn merge_other(&mut self, other: &Sum) -> Result<(), Fault> {
        match (&mut self.0, &other.0) {
            (_, Form::Whole(_, 0)) => return Ok(()),
            (Form::Floats(sum, count), Form::Floats(floats, more)) => {
                sum.merge(*floats);
                *count += more;
                return Ok(());
            }
            (mine @ Form::Whole(_, 0), Form::Floats(floats, more)) => {
                let mut sum = Floats::default();
                sum.merge(*floats);
                *mine = Form::Floats(sum, *more);
                return Ok(());
            }
            _ => {}
        }
        self.mix(|mixed| mixed.merge(&other.mixed()))
    }

    /// Whether it is a whole number of 64 bits.
    #[inline]
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.0, Form::Whole(..))
    }

    /// Adds a sum. Whether both are whole, and the sum has 64 bits; otherwise nothing is added.
    #[inline]
    pub(super) fn put_on(&mut self, part: &Sum) -> bool {
        let (Form::Whole(sum, count), Form::Whole(int, more)) = (&mut self.0, &part.0) else {
            return false;
        };
        let Some(all) = sum.checked_add(*int) else { return false };
        (*sum, *count) = (all, *count + more);
        true
    }

    /// Takes off a sum that was merged into this one. Whether both are whole, and the rest too.
    #[inline]
    pub(super) fn take_off(&mut self, part: &Sum) -> bool {
        let (Form::Whole(sum, count), Form::Whole(int, less)) = (&mut self.0, &part.0) else {
            return false;
        };
        let Some(rest) = sum.checked_sub(*int) else { return false };
        (*sum, *count) = (rest, *count - less);
        true
    }

    /// The same sum with room for all numbers.
    fn mixed(&self) -> Mixed {
        match &self.0 {
            Form::Whole(sum, count) => {
                Mixed { whole: (*sum).into(), count: *count, ..Mixed::default() }
            }
            Form::Floats(floats, count) => {
                Mixed { floats: *floats, count: *count, float_count: *count, whole: 0 }
            }
            Form::Mixed(mixed) => (**mixed).clone(),
        }
    }

    /// Changes the sum after making room for all numbers.
    fn mix(&mut self, change: impl FnOnce(&mut Mixed) -> Result<(), Fault>) -> Result<(), Fault> {
        if let Form::Mixed(mixed) = &mut self.0 {
            return change(mixed);
        }
        let mut mixed = self.mixed();
        change(&mut mixed)?;
        self.0 = Form::Mixed(Box::new(mixed));
        Ok(())
    }

    #[inline]
    pub(super) fn value(&self) -> Value<'static> {
        match &self.0 {
            Form::Whole(_, 0) => Value::Null,
            Form::Whole(sum, _) => Value::Int(*sum),
            Form::Floats(floats, _) => Value::Float(floats.float()),
            Form::Mixed(mixed) => mixed.value(),
        }
    }

    pub(super) fn mean(&self) -> Value<'static> {
        let mixed = self.mixed();
        if mixed.count == 0 {
            return Value::Null;
        }
        Value::Float(mixed.float() / Twice::of_whole(mixed.count.into()).high)
    }

    /// `[count, whole]`, and behind them the floats when there are any.
    pub(super) fn store(&self) -> Json {
        let Mixed { whole, floats, count, float_count } = self.mixed();
        let whole = match i64::try_from(whole) {
            Ok(whole) => json!(whole),
            Err(_) => json!(whole.to_string()),
        };
        if float_count == 0 {
            return json!([count, whole]);
        }
        let (high, low) = (stored::float(floats.high), stored::float(floats.low));
        json!([count, whole, float_count, high, low])
    }

    pub(super) fn restore(stored: &Json) -> Option<Sum> {
        let mut parts = Parts::of(stored)?;
        let count = parts.next()?.as_u64()?;
        let whole = match parts.next()? {
            Json::String(digits) => digits.parse().ok()?,
            small => i128::from(small.as_i64()?),
        };
        let mut sum = Mixed { whole, count, ..Mixed::default() };
        if parts.left() > 0 {
            sum.float_count = parts.next()?.as_u64()?;
            sum.floats.high = stored::read_float(parts.next()?)?;
            sum.floats.low = stored::read_float(parts.next()?)?;
        }
        (parts.left() == 0).then(|| Sum::of(sum))
    }

    /// A sum in as little as it needs.
    fn of(mixed: Mixed) -> Sum {
        Sum(match (i64::try_from(mixed.whole), mixed.float_count) {
            (Ok(sum), 0) => Form::Whole(sum, mixed.count),
            (Ok(0), floats) if floats == mixed.count => Form::Floats(mixed.floats, floats),
            _ => Form::Mixed(Box::new(mixed)),
        })
    }
}

/// A whole number as a value; one beyond 64 bits keeps its digits.
#[cold]
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
        let mut sum = Sum::of(Mixed { whole: i128::MAX, count: 1, ..Mixed::default() });
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
