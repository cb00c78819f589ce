//! The functions that expressions may call.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::value::{Fault, Number, Value};

use super::{from_number, whole};

/// A function of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The size of a number without its sign.
    Abs,
    /// Rounds half away from zero, to a number of decimals.
    Round,
    /// The greatest whole number that is not greater.
    Floor,
    /// The least whole number that is not less.
    Ceil,
    /// Letters made small.
    Lower,
    /// Letters made large.
    Upper,
    /// How many characters (bytes, of what is not UTF-8).
    Length,
    /// The characters from a position, counted from 1, and at most so many.
    Substr,
    /// The first value that is not NULL.
    Coalesce,
    /// NULL when both are equal, else the first.
    NullIf,
}

impl Function {
    /// The names of all functions.
    pub(super) const NAMES: &str =
        "abs, round, floor, ceil, lower, upper, length, substr, coalesce, nullif";

    /// The function called `name`, and how many arguments it takes, at least and at most.
    pub(super) fn named(name: &str) -> Option<(Function, usize, usize)> {
        Some(match name {
            "abs" => (Function::Abs, 1, 1),
            "round" => (Function::Round, 1, 2),
            "floor" => (Function::Floor, 1, 1),
            "ceil" | "ceiling" => (Function::Ceil, 1, 1),
            "lower" => (Function::Lower, 1, 1),
            "upper" => (Function::Upper, 1, 1),
            "length" | "char_length" => (Function::Length, 1, 1),
            "substr" | "substring" => (Function::Substr, 2, 3),
            "coalesce" => (Function::Coalesce, 1, usize::MAX),
            "nullif" => (Function::NullIf, 2, 2),
            _ => return None,
        })
    }

    /// The function's value over arguments that are computed, as values or as numbers, when they
    /// are needed.
    pub(super) fn call<'r>(
        self,
        count: usize,
        argument: impl Fn(usize) -> Result<Value<'r>, Fault>,
        number: impl Fn(usize) -> Result<Number, Fault>,
    ) -> Result<Value<'r>, Fault> {
        match self {
            Function::Coalesce => {
                for at in 0..count {
                    let value = argument(at)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Value::Null)
            }
            Function::NullIf => {
                let (value, other) = (argument(0)?, argument(1)?);
                let equal = value.compare(&other) == Some(Ordering::Equal);
                Ok(if equal { Value::Null } else { value })
            }
            Function::Abs | Function::Round | Function::Floor | Function::Ceil => {
                let decimals = if count > 1 { number(1)? } else { Number::Int(0) };
                Ok(from_number(self.of_number(number(0)?, decimals)?))
            }
            Function::Lower | Function::Upper | Function::Length => Ok(self.of_text(&argument(0)?)),
            Function::Substr => {
                let from = number(1)?;
                let most = if count > 2 { number(2)? } else { Number::Int(i64::MAX) };
                Ok(substr(&argument(0)?, from, most))
            }
        }
    }

    fn of_number(self, number: Number, decimals: Number) -> Result<Number, Fault> {
        match (self, number) {
            (_, Number::Null) => Ok(Number::Null),
            (Function::Abs, Number::Int(int)) => {
                int.checked_abs().map(Number::Int).ok_or(Fault::Overflow)
            }
            (_, Number::Int(_)) => Ok(number),
            (Function::Abs, Number::Float(float)) => Ok(Number::Float(float.abs())),
            (Function::Floor, Number::Float(float)) => whole(float.floor()),
            (Function::Ceil, Number::Float(float)) => whole(float.ceil()),
            (_, Number::Float(float)) => Ok(match decimals.as_f64() {
                Some(decimals) => {
                    let scale = 10_f64.powf(decimals);
                    Number::Float((float * scale).round() / scale)
                }
                None => Number::Null,
            }),
        }
    }

    fn of_text(self, value: &Value<'_>) -> Value<'static> {
        let Some(bytes) = value.bytes() else { return Value::Null };
        let text = std::str::from_utf8(&bytes);
        let made = match (self, text) {
            (Function::Length, text) => {
                let length = text.map_or(bytes.len(), |text| text.chars().count());
                return Value::Int(i64::try_from(length).unwrap_or(i64::MAX));
            }
            (Function::Lower, Ok(text)) => text.to_lowercase().into_bytes(),
            (Function::Lower, Err(_)) => bytes.to_ascii_lowercase(),
            (_, Ok(text)) => text.to_uppercase().into_bytes(),
            (_, Err(_)) => bytes.to_ascii_uppercase(),
        };
        Value::Str(Cow::Owned(made))
    }
}

fn substr(value: &Value<'_>, from: Number, most: Number) -> Value<'static> {
    let (Some(bytes), Number::Int(from), Number::Int(most)) = (value.bytes(), from, most) else {
        return Value::Null;
    };
    // SQL counts from 1, and a start before that takes from the length.
    let until = from.saturating_add(most).max(1);
    let skip = usize::try_from(from.max(1) - 1).unwrap_or(usize::MAX);
    let take = usize::try_from(until - 1).unwrap_or(usize::MAX).saturating_sub(skip);
    let part = match std::str::from_utf8(&bytes) {
        Ok(text) => text.chars().skip(skip).take(take).collect::<String>().into_bytes(),
        Err(_) => bytes.iter().copied().skip(skip).take(take).collect(),
    };
    Value::Str(Cow::Owned(part))
}
