//! Values as JSON that is kept between two runs and read back exactly: types, bytes that are not
//! UTF-8, and all floats.
//!
//! Text is a string, a number a number; everything else is an object that says its type.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};

use crate::value::Value;

/// Bytes: a string where they are UTF-8, else `{"b64":"…"}`.
#[must_use]
pub fn bytes(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "b64": BASE64.encode(bytes) }),
    }
}

/// The bytes that [`bytes`] wrote.
#[must_use]
pub fn read_bytes(stored: &Json) -> Option<Vec<u8>> {
    match stored {
        Json::String(text) => Some(text.as_bytes().to_vec()),
        stored => BASE64.decode(stored.get("b64")?.as_str()?).ok(),
    }
}

/// A float: a number; one that JSON does not know as its bits, in hexadecimal.
#[must_use]
pub fn float(float: f64) -> Json {
    if float.is_finite() { json!(float) } else { json!(format!("{:x}", float.to_bits())) }
}

/// The float that [`float`] wrote.
#[must_use]
pub fn read_float(stored: &Json) -> Option<f64> {
    match stored {
        Json::String(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
        number => number.as_f64(),
    }
}

/// A value.
#[must_use]
pub fn value(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Int(int) => json!(int),
        Value::Float(number) if number.is_finite() => json!(number),
        Value::Float(number) => json!({ "float": float(*number) }),
        Value::Text(text) => bytes(text),
        Value::Str(text) => json!({ "str": bytes(text) }),
        Value::Json(text) => json!({ "json": bytes(text) }),
    }
}

/// The value that [`value`] wrote.
#[must_use]
pub fn read_value(stored: &Json) -> Option<Value<'static>> {
    let members = match stored {
        Json::Null => return Some(Value::Null),
        Json::Bool(truth) => return Some(Value::Bool(*truth)),
        Json::Number(number) => {
            let int = number.as_i64().map(Value::Int);
            return int.or(number.as_f64().map(Value::Float));
        }
        Json::String(_) => return read_bytes(stored).map(|text| Value::Text(Cow::Owned(text))),
        Json::Array(_) => return None,
        Json::Object(members) => members,
    };
    let (kind, inner) = members.iter().next()?;
    let text = |stored| read_bytes(stored).map(Cow::Owned);
    match kind.as_str() {
        "float" => read_float(inner).map(Value::Float),
        "str" => text(inner).map(Value::Str),
        "json" => text(inner).map(Value::Json),
        _ => text(stored).map(Value::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read from the text that is stored.
    fn again(stored: &Json) -> Json {
        serde_json::from_str(&stored.to_string()).expect("JSON")
    }

    #[test]
    fn bytes_come_back() {
        for text in [&b""[..], b"\x02page1", b"a\0\0\"\n", b"\xff\xfe", "ä".as_bytes()] {
            assert_eq!(read_bytes(&again(&bytes(text))).as_deref(), Some(text));
        }
        assert_eq!(read_bytes(&json!({ "b64": "?" })), None);
        assert_eq!(read_bytes(&json!(1)), None);
    }

    #[test]
    fn values_come_back_with_their_types() {
        let numbers = [Value::Int(i64::MIN), Value::Int(3), Value::Float(3.0), Value::Float(-0.0)];
        let texts = [&b"3"[..], b"", b"b64", b"\xff"].map(|text| {
            let text = Cow::Borrowed(text);
            [Value::Text(text.clone()), Value::Str(text.clone()), Value::Json(text)]
        });
        let others = [Value::Null, Value::Bool(false), Value::Float(f64::NEG_INFINITY)];
        for known in numbers.into_iter().chain(texts.into_iter().flatten()).chain(others) {
            let back = read_value(&again(&value(&known)));
            assert_eq!(format!("{back:?}"), format!("{:?}", Some(known)));
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for stored in [json!([]), json!({}), json!({ "str": 1 }), json!({ "else": "a" })] {
            assert_eq!(read_value(&stored), None, "{stored}");
        }
    }

    proptest! {
        #[test]
        fn floats_come_back_to_the_bit(bits: u64) {
            let bits_of = |number: Option<f64>| number.map(f64::to_bits);
            let number = f64::from_bits(bits);
            prop_assert_eq!(bits_of(read_float(&again(&float(number)))), Some(bits));
            let Some(Value::Float(back)) = read_value(&again(&value(&Value::Float(number)))) else {
                return Err(TestCaseError::fail("no float"));
            };
            prop_assert_eq!(back.to_bits(), bits);
        }
    }
}
