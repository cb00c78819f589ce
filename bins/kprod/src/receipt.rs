//! The lines that acknowledge records.

use serde::Serialize;

/// What a receipt says. Sizes are in bytes, the timestamp is in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Receipt<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The record's partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its time.
    pub timestamp: Option<i64>,
    /// The size of its key, null for null.
    pub key_bytes: Option<usize>,
    /// The size of its value.
    pub value_bytes: Option<usize>,
    /// The file that it came from, unless it came from stdin alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    /// Its line there, from 1.
    pub line: u64,
}

impl Receipt<'_> {
    /// Appends `topic-partition:offset` as a line.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(self.topic.as_bytes());
        out.push(b'-');
        out.extend_from_slice(digits.format(self.partition).as_bytes());
        out.push(b':');
        out.extend_from_slice(digits.format(self.offset).as_bytes());
        out.push(b'\n');
    }

    /// Appends all fields as a JSON object in a line.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        // No map with odd keys and no writer that fails: this cannot.
        out.append(&mut serde_json::to_vec(self).unwrap_or_default());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_have_two_forms() {
        let receipt = Receipt {
            topic: "t",
            partition: 2,
            offset: 17,
            timestamp: Some(1_700_000_000_000),
            key_bytes: None,
            value_bytes: Some(5),
            file: None,
            line: 9,
        };
        let mut out = Vec::new();
        receipt.write_text(&mut out);
        receipt.write_json(&mut out);
        let lines = "t-2:17\n{\"topic\":\"t\",\"partition\":2,\"offset\":17,\
                     \"timestamp\":1700000000000,\"key_bytes\":null,\"value_bytes\":5,\
                     \"line\":9}\n";
        assert_eq!(String::from_utf8_lossy(&out), lines);
    }
}
