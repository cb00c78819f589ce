//! Bad rows: counted, and written as JSON lines for whoever wants to see them.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::field::Bad;
use crate::value::write_int;

/// The options that say what becomes of bad rows.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Input rows")]
#[group(skip)]
pub struct Options {
    /// Writes bad rows to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub bad: Option<PathBuf>,

    /// Stops at the first bad row
    #[arg(long)]
    pub strict: bool,
}

/// How many rows could not be used, and why the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadRows {
    count: u64,
    /// The first one's line number and reason.
    first: Option<(u64, Bad)>,
}

impl BadRows {
    /// Counts the row in line `number`.
    pub fn add(&mut self, number: u64, reason: Bad) {
        self.count += 1;
        self.first.get_or_insert((number, reason));
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What is said of them at exit; `kept` tells whether they were written to a file.
    #[must_use]
    pub fn summary(&self, kept: bool) -> Option<String> {
        let (number, reason) = self.first.as_ref()?;
        let rows = match self.count {
            1 => format!("1 bad row was left out, line {number}: {reason}"),
            count => {
                format!("{count} bad rows were left out, the first was line {number}: {reason}")
            }
        };
        Some(if kept { rows } else { format!("{rows}; --bad FILE keeps them") })
    }
}

/// Appends a bad row as a JSON line: `{"line":7,"reason":"…","row_b64":"…"}`.
pub fn json_line(number: u64, reason: &Bad, row: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"line\":");
    write_int(number, out);
    out.extend_from_slice(b",\"reason\":");
    out.extend_from_slice(&serde_json::to_vec(&reason.to_string()).unwrap_or_default());
    out.extend_from_slice(b",\"row_b64\":\"");
    out.extend_from_slice(BASE64.encode(row).as_bytes());
    out.extend_from_slice(b"\"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Fault;

    #[test]
    fn the_summary_names_the_first_row() {
        let mut bad = BadRows::default();
        assert_eq!(bad.summary(false), None);
        bad.add(7, Bad::Value(Fault::NotANumber));
        let one = "1 bad row was left out, line 7: not a number";
        assert_eq!(bad.summary(true).as_deref(), Some(one));
        bad.add(9, Bad::Quote);
        let two = "2 bad rows were left out, the first was line 7: not a number; \
                   --bad FILE keeps them";
        assert_eq!(bad.summary(false).as_deref(), Some(two));
    }

    #[test]
    fn a_bad_row_is_a_json_line() {
        let mut out = Vec::new();
        json_line(3, &Bad::Json("a \"quote\"".to_owned()), b"\xff{", &mut out);
        let line = "{\"line\":3,\"reason\":\"no JSON object (a \\\"quote\\\")\",\
                    \"row_b64\":\"/3s=\"}\n";
        assert_eq!(String::from_utf8(out).expect("text"), line);
    }
}
