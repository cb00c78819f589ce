//! Parts of aggregates as JSON, read back exactly: types, bytes that are not UTF-8, and all floats.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use row::value::Value;
use serde_json::{Value as Json, json};

use super::Stamp;

/// The elements of an array, one after the other.
pub(super) struct Parts<'s>(std::slice::Iter<'s, Json>);

impl<'s> Parts<'s> {
    /// `None` when it is no array.
    pub(super) fn of(stored: &'s Json) -> Option<Parts<'s>> {
        stored.as_array().map(|parts| Parts(parts.iter()))
    }

    pub(super) fn next(&mut self) -> Option<&'s Json> {
        self.0.next()
    }

    pub(super) fn next_stamp(&mut self) -> Option<Stamp> {
        let (time, arrival) = (self.next()?.as_i64()?, self.next()?.as_u64()?);
        Some(Stamp { time, arrival })
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }
}

/// A float; those that JSON does not know as their bits.
pub(super) fn store_float(float: f64) -> Json {
    if float.is_finite() { json!(float) } else { json!(format!("{:x}", float.to_bits())) }
}

pub(super) fn restore_float(stored: &Json) -> Option<f64> {
    match stored {
        Json::String(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
        number => number.as_f64(),
    }
}

/// A value. Text that is UTF-8 is a string, numbers are numbers, all else says its type: `float`,
/// `str`, `json`, and with `_b64` what is not UTF-8.
pub(super) fn store_value(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Int(int) => json!(int),
        Value::Float(float) if float.is_finite() => json!(float),
        Value::Float(float) => json!({ "float": store_float(*float) }),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => json!({ "text_b64": BASE64.encode(bytes) }),
        },
        Value::Str(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!({ "str": text }),
            Err(_) => json!({ "str_b64": BASE64.encode(bytes) }),
        },
        Value::Json(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!({ "json": text }),
            Err(_) => json!({ "json_b64": BASE64.encode(bytes) }),
        },
    }
}

pub(super) fn restore_value(stored: &Json) -> Option<Value<'static>> {
    Some(match stored {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64()?),
        },
        Json::String(text) => Value::Text(Cow::Owned(text.clone().into_bytes())),
        Json::Object(members) => {
            let (kind, stored) = members.iter().next()?;
            if kind == "float" {
                return restore_float(stored).map(Value::Float);
            }
            let text = stored.as_str()?;
            let bytes = match kind.strip_suffix("_b64") {
                Some(_) => BASE64.decode(text).ok()?,
                None => text.as_bytes().to_vec(),
            };
            match kind.strip_suffix("_b64").unwrap_or(kind) {
                "text" => Value::Text(Cow::Owned(bytes)),
                "str" => Value::Str(Cow::Owned(bytes)),
                "json" => Value::Json(Cow::Owned(bytes)),
                _ => return None,
            }
        }
        Json::Array(_) => return None,
    })
}
