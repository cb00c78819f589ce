//! Group keys as bytes: equal keys have equal bytes, and the bytes sort as the keys do, column by
//! column, NULL first.
//!
//! A column is a tag and, unless it is NULL, its bytes. A key of several columns ends each in two
//! zero bytes, and writes a zero byte inside one as `00 01`.

use std::borrow::Cow;

use memchr::memchr;

use crate::value::Value;

const NULL: u8 = 0;
const TEXT: u8 = 1;
const STR: u8 = 2;
const JSON: u8 = 3;

/// A key to be looked up: its first tag, and the bytes behind that. So the usual key, one column
/// of text, is looked up where it stands in the line.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Key<'k> {
    tag: u8,
    rest: &'k [u8],
}

impl PartialEq for Key<'_> {
    #[inline]
    fn eq(&self, other: &Key<'_>) -> bool {
        self.tag == other.tag && are_equal(self.rest, other.rest)
    }
}

/// Whether bytes are equal: short ones are compared here, by a first and a last piece that may
/// overlap, as keys are short and a call takes longer.
#[inline]
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        length if length != other.len() => false,
        8..=16 => {
            one.first_chunk::<8>() == other.first_chunk()
                && one.last_chunk::<8>() == other.last_chunk()
        }
        4..=7 => {
            one.first_chunk::<4>() == other.first_chunk()
                && one.last_chunk::<4>() == other.last_chunk()
        }
        2..=3 => {
            one.first_chunk::<2>() == other.first_chunk()
                && one.last_chunk::<2>() == other.last_chunk()
        }
        _ => one == other,
    }
}

impl<'k> Key<'k> {
    /// A key of one column of bytes that are typed by what they read as.
    #[inline]
    #[must_use]
    pub fn of_text(bytes: &'k [u8]) -> Key<'k> {
        Key { tag: TEXT, rest: bytes }
    }

    /// A key that was put together with [`push`]; one without columns is as one of NULL.
    #[must_use]
    pub fn new(key: &'k [u8]) -> Key<'k> {
        match key.split_first() {
            Some((&tag, rest)) => Key { tag, rest },
            None => Key { tag: NULL, rest: key },
        }
    }

    /// The first tag.
    #[inline]
    #[must_use]
    pub fn tag(self) -> u8 {
        self.tag
    }

    /// The bytes behind the first tag.
    #[inline]
    #[must_use]
    pub fn rest(self) -> &'k [u8] {
        self.rest
    }
}

/// Appends a column to a key of `columns` columns.
#[inline]
pub fn push(value: &Value<'_>, columns: usize, key: &mut Vec<u8>) {
    match value {
        Value::Null => key.push(NULL),
        Value::Text(bytes) => push_text(bytes, columns, key),
        Value::Str(bytes) => push_bytes(STR, bytes, columns, key),
        Value::Json(bytes) => push_bytes(JSON, bytes, columns, key),
        Value::Bool(truth) => {
            push_bytes(JSON, if *truth { b"true" } else { b"false" }, columns, key);
        }
        Value::Int(_) | Value::Float(_) => {
            let bytes = value.bytes().unwrap_or_default();
            push_bytes(TEXT, &bytes, columns, key);
        }
    }
}

/// Appends a column of bytes that are typed by what they read as.
#[inline]
pub fn push_text(bytes: &[u8], columns: usize, key: &mut Vec<u8>) {
    push_bytes(TEXT, bytes, columns, key);
}

#[inline]
fn push_bytes(tag: u8, bytes: &[u8], columns: usize, key: &mut Vec<u8>) {
    key.push(tag);
    if columns == 1 {
        key.extend_from_slice(bytes);
        return;
    }
    let mut rest = bytes;
    while let Some(zero) = memchr(0, rest) {
        key.extend_from_slice(&rest[..zero]);
        key.extend_from_slice(&[0, 1]);
        rest = &rest[zero + 1..];
    }
    key.extend_from_slice(rest);
    key.extend_from_slice(&[0, 0]);
}

/// Appends the columns of a key of `columns` columns to `values`.
pub fn read<'k>(key: &'k [u8], columns: usize, values: &mut Vec<Value<'k>>) {
    let mut rest = key;
    for _ in 0..columns {
        let Some((&tag, after)) = rest.split_first() else { return };
        if tag == NULL {
            values.push(Value::Null);
            rest = after;
            continue;
        }
        let (bytes, after) =
            if columns == 1 { (Cow::Borrowed(after), &b""[..]) } else { part(after) };
        values.push(match tag {
            STR => Value::Str(bytes),
            JSON => Value::Json(bytes),
            _ => Value::Text(bytes),
        });
        rest = after;
    }
}

/// The bytes up to two zero bytes, and what comes after these.
fn part(bytes: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let mut whole: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut from = 0;
    while let Some(zero) = memchr(0, &bytes[from..]) {
        let end = from + zero;
        if whole.is_empty() && bytes.get(end + 1) != Some(&1) {
            return (Cow::Borrowed(&bytes[..end]), &bytes[(end + 2).min(bytes.len())..]);
        }
        whole.to_mut().extend_from_slice(&bytes[from..end]);
        if bytes.get(end + 1) != Some(&1) {
            return (whole, &bytes[(end + 2).min(bytes.len())..]);
        }
        whole.to_mut().push(0);
        from = end + 2;
    }
    (Cow::Borrowed(bytes), b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_equal_as_their_bytes_are() {
        let bytes: Vec<u8> = (1..=20).collect();
        for length in 0..=bytes.len() {
            let one = Key::new(&bytes[..length]);
            assert_eq!(one, Key::new(&bytes.clone()[..length]));
            for at in 0..length {
                let mut other = bytes[..length].to_vec();
                other[at] = 0;
                assert_ne!(one, Key::new(&other), "byte {at} of {length}");
            }
            assert!(length == 0 || one != Key::new(&bytes[..length - 1]));
        }
    }

    fn key(values: &[Value<'_>]) -> Vec<u8> {
        let mut key = Vec::new();
        for value in values {
            push(value, values.len(), &mut key);
        }
        key
    }

    fn text(bytes: &[u8]) -> Value<'_> {
        Value::Text(Cow::Borrowed(bytes))
    }

    #[test]
    fn keys_come_back() {
        let keys: [&[Value<'_>]; 6] = [
            &[text(b"page1")],
            &[Value::Null],
            &[text(b"")],
            &[text(b"a\0b"), Value::Null, Value::Str(Cow::Borrowed(b""))],
            &[text(b"\0"), text(b"\x01\0\0")],
            &[Value::Json(Cow::Borrowed(b"true")), text(b"b")],
        ];
        for values in keys {
            let bytes = key(values);
            let mut back = Vec::new();
            read(&bytes, values.len(), &mut back);
            assert_eq!(back, values);
        }
    }

    #[test]
    fn bytes_sort_as_keys_do() {
        let sorted = [
            key(&[Value::Null, text(b"z")]),
            key(&[text(b""), text(b"z")]),
            key(&[text(b"a"), text(b"")]),
            key(&[text(b"a"), text(b"b")]),
            key(&[text(b"a\0"), text(b"a")]),
            key(&[text(b"ab"), Value::Null]),
        ];
        assert!(sorted.is_sorted(), "{sorted:?}");
    }
}
