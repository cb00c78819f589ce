//! What rows are ranked by, and which of two comes first.
//!
//! Numbers stand before text, text before NaN, and NULL is last, in either order; numbers compare
//! by value, text by bytes.

use std::borrow::Cow;
use std::cmp::Ordering;

use row::value::{Fault, Number, Value, compare_numbers};

/// Which scores come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The greatest.
    Greatest,
    /// The least.
    Least,
}

/// The score of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Score<'a> {
    /// A number, neither NULL nor NaN.
    Number(Number),
    /// A whole number beyond 64 bits.
    Long(i128),
    /// Anything else that has bytes.
    Text(Cow<'a, [u8]>),
    /// Not a number.
    Nan,
    /// No score.
    Null,
}

impl<'a> Score<'a> {
    /// The score that is a number.
    #[inline]
    #[must_use]
    pub fn of_number(number: Number) -> Score<'static> {
        match number {
            Number::Null => Score::Null,
            Number::Float(float) if float.is_nan() => Score::Nan,
            number => Score::Number(number),
        }
    }

    /// The score that is a value. Whole numbers beyond 128 bits are ranked as floats.
    #[must_use]
    pub fn of(value: Value<'a>) -> Score<'a> {
        match value.number() {
            Ok(number) => Score::of_number(number),
            Err(Fault::Overflow) => match value.long_whole() {
                Some(long) => Score::Long(long),
                None => Score::of_number(long_number(&value)),
            },
            Err(Fault::NotANumber | Fault::Sum) => match value {
                Value::Text(bytes) | Value::Str(bytes) | Value::Json(bytes) => Score::Text(bytes),
                other => other
                    .bytes()
                    .map_or(Score::Null, |bytes| Score::Text(Cow::Owned(bytes.into_owned()))),
            },
        }
    }

    /// The same score with bytes of its own.
    #[must_use]
    pub fn to_owned(&self) -> Score<'static> {
        match self {
            Score::Number(number) => Score::Number(*number),
            Score::Long(long) => Score::Long(*long),
            Score::Text(bytes) => Score::Text(Cow::Owned(bytes.to_vec())),
            Score::Nan => Score::Nan,
            Score::Null => Score::Null,
        }
    }

    /// The same score, borrowed.
    #[must_use]
    pub fn borrow(&self) -> Score<'_> {
        match self {
            Score::Number(number) => Score::Number(*number),
            Score::Long(long) => Score::Long(*long),
            Score::Text(bytes) => Score::Text(Cow::Borrowed(bytes)),
            Score::Nan => Score::Nan,
            Score::Null => Score::Null,
        }
    }

    /// The score as a value.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        match self {
            Score::Number(Number::Int(int)) => Value::Int(*int),
            Score::Number(Number::Float(float)) => Value::Float(*float),
            Score::Long(long) => Value::Text(Cow::Owned(long.to_string().into_bytes())),
            Score::Text(bytes) => Value::Text(Cow::Borrowed(bytes)),
            Score::Nan => Value::Float(f64::NAN),
            Score::Number(Number::Null) | Score::Null => Value::Null,
        }
    }

    /// Bytes that it holds outside of itself.
    #[must_use]
    pub fn size(&self) -> usize {
        if let Score::Text(bytes) = self { bytes.len() } else { 0 }
    }

    /// Which of two scores comes first: `Less` when this one does.
    #[inline]
    #[must_use]
    pub fn compare(&self, other: &Score<'_>, order: Order) -> Ordering {
        let ascending = match (self, other) {
            (Score::Number(mine), Score::Number(theirs)) => {
                // Neither is NULL nor NaN, so they compare.
                compare_numbers(*mine, *theirs).unwrap_or(Ordering::Equal)
            }
            (Score::Long(mine), Score::Long(theirs)) => mine.cmp(theirs),
            (Score::Long(mine), Score::Number(theirs)) => compare_long(*mine, *theirs),
            (Score::Number(mine), Score::Long(theirs)) => compare_long(*theirs, *mine).reverse(),
            (Score::Text(mine), Score::Text(theirs)) => mine.cmp(theirs),
            _ => return self.class().cmp(&other.class()),
        };
        match order {
            Order::Least => ascending,
            Order::Greatest => ascending.reverse(),
        }
    }

    fn class(&self) -> u8 {
        match self {
            Score::Number(_) | Score::Long(_) => 0,
            Score::Text(_) => 1,
            Score::Nan => 2,
            Score::Null => 3,
        }
    }
}

/// How a whole number beyond 64 bits compares with another number.
#[cold]
fn compare_long(long: i128, number: Number) -> Ordering {
    match number {
        Number::Int(int) => long.cmp(&i128::from(int)),
        // A float of this size has no fraction, and one beyond 128 bits stays the greater.
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        Number::Float(float) => long.cmp(&(float as i128)),
        Number::Null => Ordering::Less,
    }
}

/// A whole number beyond 128 bits as the nearest float.
#[cold]
fn long_number(value: &Value<'_>) -> Number {
    let bytes = value.bytes().unwrap_or_default();
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    text.trim().parse().map_or(Number::Null, Number::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Score<'_> {
        Score::of(Value::Text(Cow::Borrowed(text.as_bytes())))
    }

    fn sorted(order: Order) -> Vec<Score<'static>> {
        let mut scores = [
            Score::Null,
            text("b"),
            Score::of_number(Number::Float(f64::NAN)),
            text("9"),
            text("10.5"),
            text("a"),
            text("18446744073709551616"),
        ]
        .map(|score| score.to_owned());
        scores.sort_by(|one, other| one.compare(other, order));
        scores.into()
    }

    #[test]
    fn the_greatest_number_comes_first_and_null_last() {
        let [long, ten, nine, b, a, nan, null] = &sorted(Order::Greatest)[..] else {
            panic!("seven scores")
        };
        assert_eq!(*long, Score::Long(18_446_744_073_709_551_616));
        assert_eq!((ten, nine), (&text("10.5"), &text("9")));
        assert_eq!((b, a), (&text("b"), &text("a")));
        assert_eq!((nan, null), (&Score::Nan, &Score::Null));
    }

    #[test]
    fn long_whole_numbers_compare_by_all_their_digits() {
        for (less, more) in [
            ("9223372036854775809", "9223372036854775816"),
            ("9223372036854775807", "9223372036854775808"),
            ("9e18", "9223372036854775808"),
            ("18446744073709551616", "1e30"),
            ("-9223372036854775810", "-9223372036854775809"),
        ] {
            assert_eq!(text(less).compare(&text(more), Order::Least), Ordering::Less, "{less}");
            assert_eq!(text(more).compare(&text(less), Order::Least), Ordering::Greater);
        }
    }

    #[test]
    fn ascending_turns_scores_and_leaves_null_last() {
        let [nine, .., a, b, nan, null] = &sorted(Order::Least)[..] else { panic!("seven scores") };
        assert_eq!((nine, a, b), (&text("9"), &text("a"), &text("b")));
        assert_eq!((nan, null), (&Score::Nan, &Score::Null));
    }
}
