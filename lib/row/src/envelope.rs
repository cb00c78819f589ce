//! Records as `kcons -J` writes them: the payload is the row, and what else is known of the record
//! are columns of their own.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::value::write_int;

/// What is known of a record besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// `_key`, a string; NULL when the record has none.
    Key,
    /// `_ts`, milliseconds since the epoch; NULL when the record has none.
    Time,
    /// `_topic`, a string.
    Topic,
    /// `_partition`, a number.
    Partition,
    /// `_offset`, a number.
    Offset,
}

impl About {
    /// The columns in their order, with their names.
    pub const COLUMNS: [(About, &str); 5] = [
        (About::Key, "_key"),
        (About::Time, "_ts"),
        (About::Topic, "_topic"),
        (About::Partition, "_partition"),
        (About::Offset, "_offset"),
    ];

    /// The column called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<About> {
        About::COLUMNS.iter().find(|(_, known)| *known == name).map(|(about, _)| *about)
    }
}

/// A record. Members that are not asked for here are passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    partition: i64,
    offset: i64,
    ts: Option<i64>,
    #[serde(borrow)]
    key: Option<Text<'a>>,
    #[serde(borrow)]
    key_b64: Option<Text<'a>>,
    #[serde(borrow)]
    payload: Option<Text<'a>>,
    #[serde(borrow)]
    payload_b64: Option<Text<'a>>,
}

/// A string that is borrowed where it has no escapes, also inside an option.
#[derive(Debug, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'a> Envelope<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is no envelope.
    pub(crate) fn read(line: &'a [u8]) -> Result<Envelope<'a>, String> {
        serde_json::from_slice(line).map_err(|error| error.to_string())
    }

    /// Appends the payload; false when it is null.
    ///
    /// # Errors
    /// When it is no base64 where it should be.
    pub(crate) fn payload(&self, out: &mut Vec<u8>) -> Result<bool, String> {
        append(self.payload.as_ref(), self.payload_b64.as_ref(), out)
    }

    /// Appends a column; `Ok(None)` when it is NULL, else whether it is a string.
    ///
    /// # Errors
    /// When a key is no base64 where it should be.
    pub(crate) fn append(&self, about: About, out: &mut Vec<u8>) -> Result<Option<bool>, String> {
        let number = match about {
            About::Key => {
                let some = append(self.key.as_ref(), self.key_b64.as_ref(), out)?;
                return Ok(some.then_some(true));
            }
            About::Topic => {
                out.extend_from_slice(self.topic.as_bytes());
                return Ok(Some(true));
            }
            About::Time => self.ts,
            About::Partition => Some(self.partition),
            About::Offset => Some(self.offset),
        };
        let Some(number) = number else { return Ok(None) };
        write_int(number, out);
        Ok(Some(false))
    }
}

fn append(
    text: Option<&Text<'_>>,
    base64: Option<&Text<'_>>,
    out: &mut Vec<u8>,
) -> Result<bool, String> {
    match (text, base64) {
        (Some(Text(text)), _) => out.extend_from_slice(text.as_bytes()),
        (None, Some(Text(text))) => {
            BASE64.decode_vec(text.as_bytes(), out).map_err(|error| error.to_string())?;
        }
        (None, None) => return Ok(false),
    }
    Ok(true)
}
