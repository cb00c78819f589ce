//! Dead letters: lines that did not become records, with why.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

/// Lines whose records are on their way, and what is written of those that failed.
#[derive(Debug, Default)]
pub struct Letters {
    /// By the number of the record.
    rows: HashMap<u64, Box<[u8]>>,
    written: u64,
}

/// A dead letter.
#[derive(Debug, Serialize)]
struct Letter<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    line: u64,
    reason: &'a str,
    row_b64: String,
}

impl Letters {
    /// Keeps the row of record `number` until it is known what became of it.
    pub fn keep(&mut self, number: u64, row: &[u8]) {
        self.rows.insert(number, row.into());
    }

    /// The record is acknowledged.
    pub fn forget(&mut self, number: u64) {
        self.rows.remove(&number);
    }

    /// Appends record `number`, which failed because of `reason` and came from `line` of `file`,
    /// as a line of JSON.
    pub fn write(
        &mut self,
        number: u64,
        (file, line): (Option<&str>, u64),
        reason: &str,
        out: &mut Vec<u8>,
    ) {
        let row = self.rows.remove(&number).unwrap_or_default();
        let letter = Letter { file, line, reason, row_b64: BASE64.encode(row) };
        // No map with odd keys and no writer that fails: this cannot.
        out.append(&mut serde_json::to_vec(&letter).unwrap_or_default());
        out.push(b'\n');
        self.written += 1;
    }

    /// How many letters there are.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_line_reason_and_row() {
        let (mut letters, mut out) = (Letters::default(), Vec::new());
        letters.keep(3, b"a\xff");
        letters.keep(4, b"b");
        letters.forget(4);
        letters.write(3, (None, 3), "too \"large\"", &mut out);
        letters.write(4, (Some("f"), 1), "lost", &mut out);
        let lines = "{\"line\":3,\"reason\":\"too \\\"large\\\"\",\"row_b64\":\"Yf8=\"}\n\
                     {\"file\":\"f\",\"line\":1,\"reason\":\"lost\",\"row_b64\":\"\"}\n";
        assert_eq!((String::from_utf8_lossy(&out), letters.written()), (lines.into(), 2));
    }
}
