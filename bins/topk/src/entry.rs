//! The stage's state as entries of JSON, which can be stored and read again.
//!
//! The key of an entry is null for the [`crate::layout`], else an array: what it is, and which
//! one. Bytes are a string where they are UTF-8, else `{"b64":"…"}`; keys are the bytes that
//! [`row::key`] writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use row::value::Number;
use serde_json::{Value, json};

use crate::score::Score;

/// A changed entry of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The input partition that it belongs to, by the output's number.
    pub at: u32,
    /// Which entry it is.
    pub key: Value,
    /// What it holds; null deletes it.
    pub value: Value,
}

impl Entry {
    /// An entry that is no more.
    #[must_use]
    pub fn deleted(at: u32, key: Value) -> Entry {
        Entry { at, key, value: Value::Null }
    }
}

/// Where an entry stands in the stored state, and whether it stands there as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filing {
    at: Option<u32>,
    settled: bool,
}

impl Filing {
    /// An entry that was stored under the partition `at` and has not changed.
    #[must_use]
    pub fn stored(at: u32) -> Filing {
        Filing { at: Some(at), settled: true }
    }

    /// The partition that it is stored under.
    #[must_use]
    pub fn at(self) -> Option<u32> {
        self.at
    }

    /// Whether it has to be stored again.
    #[must_use]
    pub fn is_due(self) -> bool {
        !self.settled
    }

    /// It has changed.
    pub fn change(&mut self) {
        self.settled = false;
    }

    /// It is stored under the partition `at`; returns the one to delete it under, if another.
    pub fn settle(&mut self, at: u32) -> Option<u32> {
        let old = self.at.filter(|&old| old != at);
        *self = Filing::stored(at);
        old
    }
}

/// Bytes as JSON.
#[must_use]
pub fn bytes_to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "b64": BASE64.encode(bytes) }),
    }
}

/// The bytes that [`bytes_to_json`] wrote.
#[must_use]
pub fn bytes_of_json(json: &Value) -> Option<Vec<u8>> {
    match json {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        json => BASE64.decode(json.get("b64")?.as_str()?).ok(),
    }
}

/// A score as JSON: a number as such, anything else named.
#[must_use]
pub fn score_to_json(score: &Score<'_>) -> Value {
    match score {
        Score::Number(Number::Int(int)) => json!(int),
        Score::Number(Number::Float(float)) if float.is_finite() => json!(float),
        Score::Number(Number::Float(float)) => json!({ "infinite": *float > 0.0 }),
        Score::Text(bytes) => json!({ "text": bytes_to_json(bytes) }),
        Score::Nan => json!("NaN"),
        Score::Number(Number::Null) | Score::Null => Value::Null,
    }
}

/// The score that [`score_to_json`] wrote.
#[must_use]
pub fn score_of_json(json: &Value) -> Option<Score<'static>> {
    match json {
        Value::Null => Some(Score::Null),
        Value::String(_) => Some(Score::Nan),
        Value::Number(number) => {
            let int = number.as_i64().map(Number::Int);
            int.or(number.as_f64().map(Number::Float)).map(Score::Number)
        }
        json => match json.get("infinite") {
            Some(positive) => {
                let sign = if positive.as_bool()? { 1.0 } else { -1.0 };
                Some(Score::Number(Number::Float(f64::INFINITY * sign)))
            }
            None => Some(Score::Text(bytes_of_json(json.get("text")?)?.into())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for bytes in [&b""[..], b"\x02page1", b"a\0\0\"\n", b"\xff\xfe", "ä".as_bytes()] {
            assert_eq!(bytes_of_json(&bytes_to_json(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(bytes_of_json(&json!({ "b64": "?" })), None);
        assert_eq!(bytes_of_json(&json!(1)), None);
    }

    #[test]
    fn scores_come_back() {
        let numbers = [Number::Int(i64::MIN), Number::Float(0.1), Number::Float(f64::NEG_INFINITY)];
        let others = [Score::Null, Score::Nan, Score::Text(b"\xff".as_slice().into())];
        for score in numbers.map(Score::Number).into_iter().chain(others) {
            let text = score_to_json(&score).to_string();
            let json = serde_json::from_str(&text).expect("JSON");
            assert_eq!(score_of_json(&json), Some(score));
        }
    }

    #[test]
    fn an_entry_that_moves_is_deleted_where_it_stood() {
        let mut filing = Filing::default();
        assert_eq!((filing.is_due(), filing.settle(3), filing.is_due()), (true, None, false));
        filing.change();
        assert_eq!((filing.is_due(), filing.at(), filing.settle(4)), (true, Some(3), Some(3)));
    }
}
