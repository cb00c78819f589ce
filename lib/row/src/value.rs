//! Values, how text reads as a number, and how values compare.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A value of a field or an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// The result of a comparison.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Bytes that are a number when they read as one, as the fields of text rows.
    Text(Cow<'a, [u8]>),
    /// Bytes that were marked as a string, in JSON or in SQL; they read as a number too, but are
    /// written as a string again.
    Str(Cow<'a, [u8]>),
    /// JSON that is neither string nor number nor null, as it was written.
    Json(Cow<'a, [u8]>),
}

/// A value read as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// No value, or none that is a number.
    Null,
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
}

impl Number {
    /// The number as a float; `None` for NULL.
    #[inline]
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Number::Null => None,
            Number::Int(int) => Some(to_float(int)),
            Number::Float(float) => Some(float),
        }
    }
}

/// A whole number as a float: itself with up to 15 digits, else the nearest.
#[inline]
fn to_float(int: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "mixed arithmetic is in floats")]
    let float = int as f64;
    float
}

/// Why an expression has no value at all: the row is named by whoever evaluates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A whole number left 64 bits.
    Overflow,
    /// A sum of whole numbers left 128 bits.
    Sum,
    /// A field that a number is asked of holds something else.
    NotANumber,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fault::Overflow => "a whole number left 64 bits",
            Fault::Sum => "a sum of whole numbers left 128 bits",
            Fault::NotANumber => "not a number",
        })
    }
}

/// Reads bytes as a number: a whole number when written as one, else a float. Blanks around it
/// do not count. `Ok(None)` when they are no number; names like `inf` and `nan` are none.
///
/// # Errors
/// [`Fault::Overflow`] when a whole number does not fit 64 bits.
#[inline]
pub fn read_number(bytes: &[u8]) -> Result<Option<Number>, Fault> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    // 18 digits always fit, and nearly all numbers have no more.
    if digits.is_empty() || digits.len() > 18 {
        return read_long_number(bytes);
    }
    match read_digits(digits) {
        Some(value) => Ok(Some(Number::Int(if negative { -value } else { value }))),
        None => match read_short_float(bytes) {
            Some(float) => Ok(Some(Number::Float(float))),
            None => read_long_number(bytes),
        },
    }
}

/// Reads bytes that are nothing but 1 to 18 digits, as nearly all whole numbers are.
#[inline]
#[must_use]
pub fn read_plain_digits(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 18 { None } else { read_digits(bytes) }
}

/// [`read_plain_digits`] of the last `length` bytes of a line, which may have others before them:
/// so that numbers of a few digits are read in one way, however few they are.
#[inline]
#[must_use]
pub fn read_last_digits(line: &[u8], length: usize) -> Option<i64> {
    let (start, last) = (line.len().checked_sub(length)?, line.last_chunk());
    match (length, last, line[start..].first_chunk()) {
        (1..=8, Some(last), _) => {
            let word = last_bytes(*last, length);
            are_digits(word).then(|| eight_digits(word))
        }
        (9..=16, Some(last), Some(first)) => {
            let (high, low) = (u64::from_le_bytes(*first), last_bytes(*last, length - 8));
            let are_digits = are_digits(high) & are_digits(low);
            are_digits.then(|| eight_digits(high) * POWERS_OF_TEN[length - 8] + eight_digits(low))
        }
        _ => read_plain_digits(&line[start..]),
    }
}

/// The last `length` of eight bytes, 1 to 8, after zeros.
#[inline]
fn last_bytes(bytes: [u8; 8], length: usize) -> u64 {
    let kept = u64::MAX << (8 * (8 - length));
    u64::from_le_bytes(bytes) & kept | ZEROS & !kept
}

/// The value of 1 to 18 digits; `None` when one is no digit.
#[inline]
fn read_digits(digits: &[u8]) -> Option<i64> {
    match digits {
        [one] => digit(*one),
        [ten, one] => Some(digit(*ten)? * 10 + digit(*one)?),
        [hundred, ten, one] => Some((digit(*hundred)? * 10 + digit(*ten)?) * 10 + digit(*one)?),
        _ => read_long_digits(digits),
    }
}

/// The value of one digit.
#[inline]
fn digit(byte: u8) -> Option<i64> {
    let digit = byte.wrapping_sub(b'0');
    (digit <= 9).then_some(i64::from(digit))
}

/// The value of 4 to 18 digits, eight at a time: the last eight overlap those before them, and
/// what was read twice becomes leading zeros.
#[inline]
fn read_long_digits(digits: &[u8]) -> Option<i64> {
    let Some((first, mut rest)) = digits.split_first_chunk::<8>() else {
        let first = u32::from_le_bytes(*digits.first_chunk()?);
        let last = u32::from_le_bytes(*digits.last_chunk()?);
        let blank = 8 * (8 - digits.len());
        let word = u64::from(first) << blank | u64::from(last) << 32 | ZEROS & ((1 << blank) - 1);
        return read_eight_digits(word);
    };
    let mut value = read_eight_digits(u64::from_le_bytes(*first))?;
    if let Some((next, left)) = rest.split_first_chunk::<8>() {
        value = value * POWERS_OF_TEN[8] + read_eight_digits(u64::from_le_bytes(*next))?;
        rest = left;
    }
    if rest.is_empty() {
        return Some(value);
    }
    let last = last_bytes(*digits.last_chunk()?, rest.len());
    Some(value * POWERS_OF_TEN[rest.len()] + read_eight_digits(last)?)
}

/// Eight digits that are zero.
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

const POWERS_OF_TEN: [i64; 9] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Whether eight bytes are digits.
#[inline]
fn are_digits(bytes: u64) -> bool {
    let highs = bytes & 0xf0f0_f0f0_f0f0_f0f0;
    let carried = bytes.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    highs | carried >> 4 == 0x3333_3333_3333_3333
}

/// The value of eight digits, the first in the lowest byte, computed on all at once: neighbours
/// are joined to pairs, pairs to fours, fours to eight (as in Lemire, "Quickly parsing eight
/// digits", 2018).
#[inline]
fn eight_digits(bytes: u64) -> i64 {
    let ones = bytes & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(1 + (10_000 << 32)) >> 32).cast_signed()
}

#[inline]
fn read_eight_digits(bytes: u64) -> Option<i64> {
    are_digits(bytes).then(|| eight_digits(bytes))
}

/// Reads bytes that are a short number without blanks or exponent as a float, as nearly all
/// numbers are; `None` leaves the others to [`read_number`].
///
/// At most 15 digits and a power of ten up to 10^22 are exact floats, so that one division gives
/// the nearest float (Clinger, "How to read floating point numbers accurately", 1990).
#[inline]
#[must_use]
pub fn read_short_float(bytes: &[u8]) -> Option<f64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let (mut value, mut whole) = (0_i64, digits.len());
    for (at, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + i64::from(digit);
        } else if byte == b'.' && whole == digits.len() && digits.len() > 1 {
            whole = at;
        } else {
            return None;
        }
    }
    if whole == digits.len() {
        return Some(to_float(if negative { -value } else { value }));
    }
    let float = to_float(value) / FLOAT_POWERS_OF_TEN[digits.len() - whole - 1];
    Some(if negative { -float } else { float })
}

const FLOAT_POWERS_OF_TEN: [f64; 15] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

/// [`read_number`] for what is not a short whole number.
fn read_long_number(bytes: &[u8]) -> Result<Option<Number>, Fault> {
    let bytes = bytes.trim_ascii();
    let unsigned = bytes.strip_prefix(b"-").or(bytes.strip_prefix(b"+")).unwrap_or(bytes);
    match unsigned.first() {
        Some(b'0'..=b'9' | b'.') => {}
        _ => return Ok(None),
    }
    if unsigned.iter().all(u8::is_ascii_digit) {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        return text.parse().map(|int| Some(Number::Int(int))).map_err(|_| Fault::Overflow);
    }
    let float = bytes.strip_prefix(b"+").unwrap_or(bytes);
    Ok(fast_float2::parse::<f64, _>(float).ok().map(Number::Float))
}

impl Value<'_> {
    /// The value as a number: NULL for NULL.
    ///
    /// # Errors
    /// [`Fault::NotANumber`] when it is none, [`Fault::Overflow`] when it does not fit.
    #[inline]
    pub fn number(&self) -> Result<Number, Fault> {
        match self {
            Value::Null => Ok(Number::Null),
            Value::Int(int) => Ok(Number::Int(*int)),
            Value::Float(float) => Ok(Number::Float(*float)),
            Value::Text(bytes) | Value::Str(bytes) => read_number(bytes)?.ok_or(Fault::NotANumber),
            Value::Bool(_) | Value::Json(_) => Err(Fault::NotANumber),
        }
    }

    /// Whether the value is true; `None` for NULL. Numbers are true unless zero, text when it is
    /// `true`.
    #[must_use]
    pub fn truth(&self) -> Option<bool> {
        match self {
            Value::Null => None,
            Value::Bool(truth) => Some(*truth),
            Value::Text(bytes) | Value::Str(bytes) | Value::Json(bytes)
                if bytes.as_ref() == b"true" =>
            {
                Some(true)
            }
            value => match value.number() {
                Ok(Number::Int(int)) => Some(int != 0),
                Ok(Number::Float(float)) => Some(float != 0.0),
                Ok(Number::Null) | Err(_) => Some(false),
            },
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The value as bytes, numbers written as [`write_float`] does; `None` for NULL.
    #[must_use]
    pub fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Value::Null => None,
            Value::Text(bytes) | Value::Str(bytes) | Value::Json(bytes) => {
                Some(Cow::Borrowed(bytes.as_ref()))
            }
            other => {
                let mut bytes = Vec::new();
                other.write(&mut bytes);
                Some(Cow::Owned(bytes))
            }
        }
    }

    /// Appends the value as bytes; nothing for NULL.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Int(int) if let Ok(short @ ..SHORT_MAX) = u32::try_from(*int) => {
                write_short(short, out);
            }
            _ => self.write_any(out),
        }
    }

    /// [`Value::write`] of any value.
    fn write_any(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => {}
            Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
            Value::Int(int) => write_int(*int, out),
            Value::Float(float) => write_float(*float, out),
            Value::Text(bytes) | Value::Str(bytes) | Value::Json(bytes) => {
                out.extend_from_slice(bytes);
            }
        }
    }

    /// The same value with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        let owned = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
        match self {
            Value::Null => Value::Null,
            Value::Bool(truth) => Value::Bool(truth),
            Value::Int(int) => Value::Int(int),
            Value::Float(float) => Value::Float(float),
            Value::Text(bytes) => Value::Text(owned(bytes)),
            Value::Str(bytes) => Value::Str(owned(bytes)),
            Value::Json(bytes) => Value::Json(owned(bytes)),
        }
    }

    /// The same value, with bytes that are borrowed from this one.
    #[must_use]
    pub fn as_borrowed(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(truth) => Value::Bool(*truth),
            Value::Int(int) => Value::Int(*int),
            Value::Float(float) => Value::Float(*float),
            Value::Text(bytes) => Value::Text(Cow::Borrowed(bytes)),
            Value::Str(bytes) => Value::Str(Cow::Borrowed(bytes)),
            Value::Json(bytes) => Value::Json(Cow::Borrowed(bytes)),
        }
    }

    /// The value as a number, a whole one too long for 64 bits as a float: NULL for NULL.
    ///
    /// # Errors
    /// [`Fault::NotANumber`] when it is none.
    pub fn wide_number(&self) -> Result<Number, Fault> {
        let number = self.number();
        if number != Err(Fault::Overflow) {
            return number;
        }
        let bytes = self.bytes().unwrap_or_default();
        let float = fast_float2::parse::<f64, _>(bytes.trim_ascii());
        float.map(Number::Float).map_err(|_| Fault::NotANumber)
    }

    /// The number that the value reads as, if any; numbers too long for 64 bits as floats.
    fn loose_number(&self) -> Option<Number> {
        self.wide_number().ok().filter(|number| *number != Number::Null)
    }

    /// The whole number that the bytes are, if it is too long for 64 bits and fits 128.
    #[must_use]
    pub fn long_whole(&self) -> Option<i128> {
        match self {
            Value::Text(bytes) | Value::Str(bytes) if self.number() == Err(Fault::Overflow) => {
                std::str::from_utf8(bytes).ok()?.trim().parse().ok()
            }
            _ => None,
        }
    }

    /// How two values compare that are equal as floats: long whole numbers may differ in their
    /// last digits.
    #[cold]
    fn compare_long(&self, other: &Value<'_>) -> Ordering {
        match (self.long_whole(), other.long_whole()) {
            (Some(mine), Some(theirs)) => mine.cmp(&theirs),
            _ => Ordering::Equal,
        }
    }

    /// How two values compare in an expression: as numbers when both read as numbers, else as
    /// bytes. `None` when one is NULL or not a number (NaN).
    #[must_use]
    pub fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        if let (Some(mine), Some(theirs)) = (self.loose_number(), other.loose_number()) {
            return match compare_numbers(mine, theirs) {
                // Long whole numbers may be equal as floats and differ in their digits.
                Some(Ordering::Equal) => Some(self.compare_long(other)),
                ordering => ordering,
            };
        }
        Some(self.bytes()?.cmp(&other.bytes()?))
    }

    /// A total order for minima, maxima and rankings: numbers by value, NaN after them, then all
    /// else by bytes, NULL last. (The order of [`Value::compare`] is none: `9 < 10`,
    /// `10 < 5x` and `5x < 9`.)
    #[must_use]
    pub fn order(&self, other: &Value<'_>) -> Ordering {
        // Short whole numbers in text are the usual case.
        if let (Value::Text(mine), Value::Text(theirs)) = (self, other)
            && let (Some(mine), Some(theirs)) = (read_plain_digits(mine), read_plain_digits(theirs))
        {
            return mine.cmp(&theirs);
        }
        match (self.loose_number(), other.loose_number()) {
            (Some(mine), Some(theirs)) => match compare_numbers(mine, theirs) {
                Some(Ordering::Equal) => self.compare_long(other),
                Some(ordering) => ordering,
                None => {
                    let nan = |number: Number| number.as_f64().is_some_and(f64::is_nan);
                    nan(mine).cmp(&nan(theirs))
                }
            },
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => match (self.bytes(), other.bytes()) {
                (Some(mine), Some(theirs)) => mine.cmp(&theirs),
                (mine, theirs) => mine.is_none().cmp(&theirs.is_none()),
            },
        }
    }
}

/// How two numbers compare, exactly; `None` when one is NULL or NaN.
#[must_use]
pub fn compare_numbers(one: Number, other: Number) -> Option<Ordering> {
    match (one, other) {
        (Number::Int(one), Number::Int(other)) => Some(one.cmp(&other)),
        (Number::Float(one), Number::Float(other)) => one.partial_cmp(&other),
        (Number::Int(one), Number::Float(other)) => compare_mixed(one, other),
        (Number::Float(one), Number::Int(other)) => {
            compare_mixed(other, one).map(Ordering::reverse)
        }
        (Number::Null, _) | (_, Number::Null) => None,
    }
}

/// Compares without rounding the whole number to a float.
fn compare_mixed(int: i64, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    // Nearly all whole numbers are floats as they are.
    if int.unsigned_abs() < 1_000_000_000_000_000 {
        return to_float(int).partial_cmp(&float);
    }
    if float.is_nan() {
        None
    } else if float >= LIMIT {
        Some(Ordering::Less)
    } else if float < -LIMIT {
        Some(Ordering::Greater)
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "between -2^63 and 2^63")]
        let whole = float.trunc() as i64;
        let fraction = float - float.trunc();
        Some(int.cmp(&whole).then(0.0_f64.partial_cmp(&fraction)?))
    }
}

/// Whole numbers below this have at most eight digits.
const SHORT_MAX: u32 = 100_000_000;

/// [`write_int`] of a number below [`SHORT_MAX`], as nearly all are that come out: its eight digits
/// are made side by side, each in a byte of a word, the first in the lowest.
#[inline]
fn write_short(number: u32, out: &mut Vec<u8>) {
    let halves = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    // 10486 / 2^20 is a hundredth, 103 / 2^10 a tenth, as far as there are numbers here.
    let hundreds = (halves * 10_486) >> 20 & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves - 100 * hundreds) << 16;
    let tens = (pairs * 103) >> 10 & 0x000f_000f_000f_000f;
    let digits = tens | (pairs - 10 * tens) << 8;
    // A lone zero stays.
    let zeros = (digits.trailing_zeros() / 8).min(7);
    let text = (digits | 0x3030_3030_3030_3030) >> (8 * zeros);
    let end = out.len() + 8 - zeros as usize;
    // Eight bytes are written faster than as many as there are digits.
    out.extend_from_slice(&text.to_le_bytes());
    out.truncate(end);
}

/// Appends a whole number in decimal.
pub fn write_int(int: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
}

/// Appends the shortest decimal that reads back as the same float (`2.2`, `3.0`, `1e300`), or
/// `NaN`, `inf`, `-inf`.
pub fn write_float(float: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(zmij::Buffer::new().format(float).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn whole_numbers_stay_whole() {
        assert_eq!(read_number(b"-17"), Ok(Some(Number::Int(-17))));
        assert_eq!(read_number(b" 8 "), Ok(Some(Number::Int(8))));
        assert_eq!(read_number(b"9223372036854775807"), Ok(Some(Number::Int(i64::MAX))));
        assert_eq!(read_number(b"-9223372036854775808"), Ok(Some(Number::Int(i64::MIN))));
        assert_eq!(read_number(b"9223372036854775808"), Err(Fault::Overflow));
    }

    #[test]
    fn short_numbers_are_written_as_the_standard_library_writes_them() {
        let powers = (0..9).map(|exponent| 10_u32.pow(exponent));
        let near = powers.flat_map(|power| [power - 1, power, power + 1, power / 7 * 5]);
        for number in near.chain(0..12_000).chain((0..SHORT_MAX).step_by(9_973)) {
            let mut out = b"x".to_vec();
            Value::Int(number.into()).write(&mut out);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }

    #[test]
    fn digits_are_read_as_the_standard_library_reads_them() {
        for length in 1..=18 {
            for shift in 0..10_u8 {
                let digits: Vec<u8> = (0..length).map(|i| b'0' + (i * 7 + shift) % 10).collect();
                let text = std::str::from_utf8(&digits).expect("digits");
                assert_eq!(read_digits(&digits), text.parse().ok(), "{text}");
                let line = [b"1,a,", &digits[..]].concat();
                assert_eq!(read_last_digits(&line, digits.len()), text.parse().ok(), "{text}");
                for byte in [b'/', b':', b' ', 0xb0, b'e'] {
                    for at in 0..digits.len() {
                        let mut digits = digits.clone();
                        digits[at] = byte;
                        assert_eq!(read_digits(&digits), None, "{digits:?}");
                        assert_eq!(read_last_digits(&digits, digits.len()), None, "{digits:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_numbers_are_floats() {
        assert_eq!(read_number(b"1.50"), Ok(Some(Number::Float(1.5))));
        assert_eq!(read_number(b"+.5e1"), Ok(Some(Number::Float(5.0))));
        assert_eq!(read_number(b"3."), Ok(Some(Number::Float(3.0))));
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_way_reads(
            text in "[-+ ]?[0-9]{0,19}[.]?[0-9]{0,17}|[-+.0-9e ]{0,9}"
        ) {
            let long = read_long_number(text.as_bytes());
            prop_assert_eq!(format!("{:?}", read_number(text.as_bytes())), format!("{long:?}"));
            if let Some(short) = read_short_float(text.as_bytes()) {
                let long = long.ok().flatten().and_then(Number::as_f64);
                prop_assert_eq!(Some(short.to_bits()), long.map(f64::to_bits));
            }
        }

        #[test]
        fn short_whole_numbers_compare_with_floats_as_long_ones_do(int: i32, float in -4e9..4e9) {
            for float in [float, f64::from(int), f64::from(int) + 0.5, f64::NAN, f64::INFINITY] {
                let int = i64::from(int);
                let exactly = compare_digits(i128::from(int), float);
                prop_assert_eq!(compare_mixed(int, float), exactly);
            }
        }
    }

    /// How a whole number and a float compare, by the whole part and the fraction.
    fn compare_digits(int: i128, float: f64) -> Option<Ordering> {
        let fraction = 0.0_f64.partial_cmp(&(float - float.trunc()));
        let whole = format!("{:.0}", float.trunc()).parse::<i128>();
        match whole {
            Ok(whole) => Some(int.cmp(&whole).then(fraction?)),
            Err(_) => 0.0_f64.partial_cmp(&float),
        }
    }

    #[test]
    fn names_and_scraps_are_no_numbers() {
        for bytes in ["", "-", "+", ".", "inf", "nan", "1x", "0x10", "1,5", "--1", "1 2"] {
            assert_eq!(read_number(bytes.as_bytes()), Ok(None), "{bytes}");
        }
    }

    #[test]
    fn numbers_compare_as_numbers_and_all_else_as_bytes() {
        assert_eq!(text("9").compare(&text("10")), Some(Ordering::Less));
        assert_eq!(text("9x").compare(&text("10")), Some(Ordering::Greater));
        assert_eq!(text("1.0").compare(&Value::Int(1)), Some(Ordering::Equal));
        assert_eq!(Value::Null.compare(&text("1")), None);
    }

    #[test]
    fn long_numbers_compare_by_their_digits() {
        let (one, other) = (text("18446744073709551614"), text("18446744073709551615"));
        assert_eq!(one.compare(&other), Some(Ordering::Less));
        assert_eq!(one.compare(&one), Some(Ordering::Equal));
        let exact = Value::Int(9_007_199_254_740_993);
        assert_eq!(exact.compare(&Value::Float(9_007_199_254_740_992.0)), Some(Ordering::Greater));
    }

    #[test]
    fn long_numbers_go_on_as_floats_where_that_is_asked_for() {
        let long = text("18446744073709551616");
        assert_eq!(long.number(), Err(Fault::Overflow));
        assert_eq!(long.wide_number(), Ok(Number::Float(2_f64.powi(64))));
        assert_eq!(text("17").wide_number(), Ok(Number::Int(17)));
        assert_eq!(text("x").wide_number(), Err(Fault::NotANumber));
        assert_eq!(Value::Null.wide_number(), Ok(Number::Null));
    }

    #[test]
    fn the_total_order_ends_in_nan_text_and_null() {
        let mut values = [text("b"), Value::Null, Value::Float(f64::NAN), text("10"), text("9")];
        values.sort_by(Value::order);
        let shown: Vec<_> = values.iter().map(|value| value.bytes().unwrap_or_default()).collect();
        assert_eq!(shown, [&b"9"[..], b"10", b"NaN", b"b", b""]);
    }

    #[test]
    fn floats_are_written_shortest() {
        let written = |float| {
            let mut out = Vec::new();
            write_float(float, &mut out);
            String::from_utf8(out).expect("digits")
        };
        assert_eq!(written(2.2), "2.2");
        assert_eq!(written(3.0), "3.0");
    }
}
