//! The members of a JSON object as they were written, for rows that go on as they came.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::field::Bad;

/// The members of the JSON object in `line`, in their order: their names, and their values as
/// they were written.
///
/// # Errors
/// When the line is no JSON object.
pub fn members(line: &[u8]) -> Result<Vec<(String, &str)>, Bad> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let members = deserializer.deserialize_map(Members).map_err(|error| Bad::json(&error))?;
    deserializer.end().map_err(|error| Bad::json(&error))?;
    Ok(members)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            members.push((name, value.get()));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_writing() {
        let line = br#" {"b":1.50,"a\n":{"x":[1, 2]},"b":null} "#;
        let expected = [("b", "1.50"), ("a\n", "{\"x\":[1, 2]}"), ("b", "null")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(members(line), Ok(expected.to_vec()));
        assert!(members(b"[1]").is_err() && members(b"{} x").is_err());
    }
}
