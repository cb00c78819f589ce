//! The values of a row as bytes, with their types.

use std::borrow::Cow;

use row::value::Value;

const NULL: u8 = b'n';
const FALSE: u8 = b'0';
const TRUE: u8 = b'1';
const INT: u8 = b'i';
const FLOAT: u8 = b'f';
const TEXT: u8 = b't';
const STR: u8 = b's';
const JSON: u8 = b'j';

/// Appends a value: its type, and of bytes their length.
pub fn push(value: &Value<'_>, packed: &mut Vec<u8>) {
    match value {
        Value::Null => packed.push(NULL),
        Value::Bool(truth) => packed.push(if *truth { TRUE } else { FALSE }),
        Value::Int(int) => {
            packed.push(INT);
            packed.extend_from_slice(&int.to_le_bytes());
        }
        Value::Float(float) => {
            packed.push(FLOAT);
            packed.extend_from_slice(&float.to_le_bytes());
        }
        Value::Text(bytes) => push_bytes(TEXT, bytes, packed),
        Value::Str(bytes) => push_bytes(STR, bytes, packed),
        Value::Json(bytes) => push_bytes(JSON, bytes, packed),
    }
}

fn push_bytes(tag: u8, bytes: &[u8], packed: &mut Vec<u8>) {
    packed.push(tag);
    packed.extend_from_slice(&bytes.len().to_le_bytes());
    packed.extend_from_slice(bytes);
}

/// Appends all values of `packed`, which [`push`] wrote, to `values`.
pub fn read<'p>(mut packed: &'p [u8], values: &mut Vec<Value<'p>>) {
    while let Some((value, rest)) = read_one(packed) {
        values.push(value);
        packed = rest;
    }
}

fn read_one(packed: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&tag, rest) = packed.split_first()?;
    let value = match tag {
        NULL => Value::Null,
        FALSE | TRUE => Value::Bool(tag == TRUE),
        INT | FLOAT => {
            let (bytes, rest) = rest.split_first_chunk()?;
            let value = match tag {
                INT => Value::Int(i64::from_le_bytes(*bytes)),
                _ => Value::Float(f64::from_le_bytes(*bytes)),
            };
            return Some((value, rest));
        }
        _ => {
            let (length, rest) = rest.split_first_chunk()?;
            let (bytes, rest) = rest.split_at_checked(usize::from_le_bytes(*length))?;
            let bytes = Cow::Borrowed(bytes);
            let value = match tag {
                TEXT => Value::Text(bytes),
                STR => Value::Str(bytes),
                _ => Value::Json(bytes),
            };
            return Some((value, rest));
        }
    };
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_with_their_types() {
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Int(i64::MIN),
            Value::Float(-0.5),
            Value::Text(b"\xff\0"[..].into()),
            Value::Str(b""[..].into()),
            Value::Json(b"[1]"[..].into()),
        ];
        let mut packed = Vec::new();
        for value in &values {
            push(value, &mut packed);
        }
        let mut back = Vec::new();
        read(&packed, &mut back);
        assert_eq!(back, values);
    }
}
