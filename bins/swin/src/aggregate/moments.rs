//! Variances and standard deviations.
//!
//! Squares of the numbers themselves are never added, which would cancel: what is kept is their
//! sum and the sum of the squared distances from their mean, updated row by row (Youngs, Cramer,
//! 1971) and merged pairwise (Chan, Golub, `LeVeque`, "Algorithms for computing the sample
//! variance: analysis and recommendations", The American Statistician 37, 1983). Both have twice
//! the precision of a float, so that neither the order of rows nor the borders of panes show in
//! the result.
//!
//! Of infinite numbers and NaN, and where squares leave the floats (beyond 1e154), the result is
//! NaN.

use row::stored;
use row::value::{Number, Value};
use serde_json::{Value as Json, json};

use super::state::Parts;
use super::twice::Twice;

/// The first two moments of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    count: u64,
    sum: Twice,
    /// The sum of the squared distances from the mean.
    squares: Twice,
}

/// A number of rows as a float: exact for 2^53 of them.
fn float(count: u64) -> f64 {
    Twice::of_whole(count.into()).high
}

impl Moments {
    #[inline]
    pub(super) fn add(&mut self, number: Number) {
        let number = match number {
            Number::Null => return,
            Number::Int(int) => Twice::of_whole(int.into()),
            Number::Float(float) => Twice::of_float(float),
        };
        let before = self.count;
        self.count += 1;
        self.sum = self.sum.plus(number);
        if before == 0 {
            // Zero times the number: NaN of NaN and infinity, as every row after it would give.
            self.squares = Twice::of_float(number.high * 0.0);
            return;
        }
        let count = float(self.count);
        let distance = Twice::of_float(count).times(number).plus(self.sum.negated());
        let square = distance.times(distance).over(count).over(float(before));
        self.squares = self.squares.plus(square);
    }

    pub(super) fn merge(&mut self, other: &Moments) {
        if self.count == 0 {
            *self = other.clone();
        } else if other.count > 0 {
            let (count, more) = (float(self.count), float(other.count));
            let mine = Twice::of_float(more).times(self.sum);
            let theirs = Twice::of_float(count).times(other.sum);
            let distance = mine.plus(theirs.negated());
            let square = distance.times(distance).over(count).over(more).over(count + more);
            self.squares = self.squares.plus(other.squares).plus(square);
            self.sum = self.sum.plus(other.sum);
            self.count += other.count;
        }
    }

    /// The squared distances over the count less `freedom`: 0 for the variance of these numbers,
    /// 1 for that of what they are a sample of. NULL when nothing is left to divide by.
    pub(super) fn variance(&self, freedom: u64) -> Option<f64> {
        if self.count <= freedom {
            return None;
        }
        Some(self.squares.over(float(self.count - freedom)).high)
    }

    /// `[count, sum, squares]`, each of the latter as high and low part.
    pub(super) fn store(&self) -> Json {
        let [high, low] = [self.sum.high, self.sum.low].map(stored::float);
        let [squares, lost] = [self.squares.high, self.squares.low].map(stored::float);
        json!([self.count, high, low, squares, lost])
    }

    pub(super) fn restore(stored: &Json) -> Option<Moments> {
        let mut parts = Parts::of(stored)?;
        let count = parts.next()?.as_u64()?;
        let mut twice = || {
            let high = stored::read_float(parts.next()?)?;
            Some(Twice { high, low: stored::read_float(parts.next()?)? })
        };
        let moments = Moments { count, sum: twice()?, squares: twice()? };
        (parts.left() == 0).then_some(moments)
    }
}

/// A float that may be missing, as a value.
pub(super) fn value(float: Option<f64>) -> Value<'static> {
    float.map_or(Value::Null, Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[f64]) -> Moments {
        let mut moments = Moments::default();
        for &number in numbers {
            moments.add(Number::Float(number));
        }
        moments
    }

    #[test]
    fn variances_of_a_sample_and_of_all() {
        // The example of the Wikipedia article on the standard deviation.
        let moments = of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(moments.variance(0), Some(4.0));
        assert_eq!(moments.variance(1), Some(32.0 / 7.0));
    }

    #[test]
    fn nothing_has_none_and_one_number_none_as_a_sample() {
        assert_eq!((of(&[]).variance(0), of(&[]).variance(1)), (None, None));
        assert_eq!((of(&[3.0]).variance(0), of(&[3.0]).variance(1)), (Some(0.0), None));
    }

    #[test]
    fn a_large_mean_costs_nothing() {
        let near = |base: f64| [4.0, 7.0, 13.0, 16.0].map(|number| base + number);
        for base in [0.0, 1e9, 1e15] {
            assert_eq!(of(&near(base)).variance(1), Some(30.0), "{base}");
        }
        let mut long = Moments::default();
        for int in [i64::MAX, i64::MAX - 3, i64::MAX - 9, i64::MAX - 12] {
            long.add(Number::Int(int));
        }
        assert_eq!(long.variance(1), Some(30.0));
    }

    #[test]
    fn panes_do_not_show() {
        let numbers: Vec<f64> = (0..999).map(|i| f64::from(i * i % 331) * 0.7 - 1e6).collect();
        let whole = of(&numbers);
        for size in [1, 2, 7, 500] {
            let mut merged = Moments::default();
            for part in numbers.chunks(size).rev() {
                merged.merge(&of(part));
            }
            assert_eq!(merged.variance(1), whole.variance(1), "{size}");
            assert_eq!(merged.variance(0), whole.variance(0), "{size}");
        }
    }

    #[test]
    fn nan_and_infinity_give_nan() {
        for odd in [f64::NAN, f64::INFINITY] {
            for numbers in [&[odd][..], &[odd, 1.0], &[1.0, odd]] {
                assert!(of(numbers).variance(0).is_some_and(f64::is_nan), "{numbers:?}");
            }
        }
    }
}
