//! A value that is kept: in as few bytes as may be, because there is one for every key and pane.

use row::value::Value;
use std::borrow::Cow;

/// Bytes that are kept in place: more than nearly all numbers have.
const SHORT_BYTES: usize = 20;

/// A value of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Kept {
    /// No value.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A few bytes: their type, how many they are, and they themselves with zeros behind.
    Short(Type, u8, [u8; SHORT_BYTES]),
    /// Many bytes.
    Long(Type, Box<[u8]>),
}

/// What bytes are, as in [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Typed by what they read as.
    Text,
    /// A string.
    Str,
    /// JSON.
    Json,
}

impl Kept {
    /// The value.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        let (of, bytes) = match self {
            Kept::Null => return Value::Null,
            Kept::Bool(truth) => return Value::Bool(*truth),
            Kept::Int(int) => return Value::Int(*int),
            Kept::Float(float) => return Value::Float(*float),
            Kept::Short(of, length, bytes) => (of, &bytes[..usize::from(*length)]),
            Kept::Long(of, bytes) => (of, &bytes[..]),
        };
        match of {
            Type::Text => Value::Text(Cow::Borrowed(bytes)),
            Type::Str => Value::Str(Cow::Borrowed(bytes)),
            Type::Json => Value::Json(Cow::Borrowed(bytes)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Kept::Null)
    }

    /// The bytes that it holds beside its own size.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Kept::Long(_, bytes) => bytes.len(),
            _ => 0,
        }
    }
}

impl From<&Value<'_>> for Kept {
    fn from(value: &Value<'_>) -> Kept {
        let (of, bytes) = match value {
            Value::Null => return Kept::Null,
            Value::Bool(truth) => return Kept::Bool(*truth),
            Value::Int(int) => return Kept::Int(*int),
            Value::Float(float) => return Kept::Float(*float),
            Value::Text(bytes) => (Type::Text, bytes),
            Value::Str(bytes) => (Type::Str, bytes),
            Value::Json(bytes) => (Type::Json, bytes),
        };
        match u8::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= SHORT_BYTES => {
                let mut short = [0; SHORT_BYTES];
                short[..bytes.len()].copy_from_slice(bytes);
                Kept::Short(of, length, short)
            }
            _ => Kept::Long(of, bytes.as_ref().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_value_that_came() {
        let (short, long) = ([b'7'; SHORT_BYTES], [b'7'; SHORT_BYTES + 1]);
        for bytes in [&b""[..], b"1.50", &short, &long] {
            for value in [Value::Text, Value::Str, Value::Json] {
                let value = value(Cow::Borrowed(bytes));
                let kept = Kept::from(&value);
                assert_eq!(kept.value(), value);
                assert_eq!(kept.heap_bytes(), if bytes.len() > SHORT_BYTES { 21 } else { 0 });
            }
        }
        for value in [Value::Null, Value::Bool(true), Value::Int(-7), Value::Float(0.5)] {
            assert_eq!(Kept::from(&value).value(), value);
        }
    }
}
