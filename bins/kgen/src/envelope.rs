//! Rows in envelopes, JSON objects as `kcons -J` writes them for the records of a topic:
//!
//! `{"topic":"kgen","partition":0,"offset":7,"tstype":"create","ts":1735689600007,"headers":[],`
//! `"key":"page27","payload":"page27|5|1.5119122|-1"}`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::part::Shard;
use crate::profile::Profile;

/// Puts rows into envelopes. Each shard is a partition of its own, and a row's offset is its
/// place there.
#[derive(Debug)]
pub struct Envelope {
    shard: Shard,
    head: String,
    /// The row.
    line: Vec<u8>,
}

impl Envelope {
    /// Envelopes for the rows of a shard.
    #[must_use]
    pub fn new(shard: Shard) -> Envelope {
        let partition = shard.index;
        let head = format!("{{\"topic\":\"kgen\",\"partition\":{partition},\"offset\":");
        Envelope { shard, head, line: Vec::new() }
    }

    /// Appends `row` of a profile, which has the time `ms`.
    pub fn write(&mut self, profile: &mut Profile, row: u64, ms: i64, out: &mut Vec<u8>) {
        self.line.clear();
        profile.write(row, ms, &mut self.line);
        let payload = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let number = |number, out: &mut Vec<u8>| {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        };
        out.extend_from_slice(self.head.as_bytes());
        number(i128::from(self.shard.place(row)), out);
        out.extend_from_slice(b",\"tstype\":\"create\",\"ts\":");
        number(ms.into(), out);
        out.extend_from_slice(b",\"headers\":[]");
        match profile.key(payload) {
            Some(key) => field("key", key, out),
            None => out.extend_from_slice(b",\"key\":null"),
        }
        field("payload", payload, out);
        out.extend_from_slice(b"}\n");
    }
}

/// Appends a field of text, or of what is not UTF-8 in base 64.
fn field(name: &str, bytes: &[u8], out: &mut Vec<u8>) {
    let (mark, text) = match std::str::from_utf8(bytes) {
        Ok(text) => ("", serde_json::to_string(text)),
        Err(_) => ("_b64", serde_json::to_string(&BASE64.encode(bytes))),
    };
    out.extend_from_slice(format!(",\"{name}{mark}\":").as_bytes());
    out.extend_from_slice(text.expect("a text is JSON").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    fn written(mut profile: Profile, row: u64) -> String {
        let mut out = Vec::new();
        let shard = Shard { index: 1, count: 3 };
        Envelope::new(shard).write(&mut profile, row, 5, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_row_has_its_key_and_its_place_in_the_shard() {
        let head = "{\"topic\":\"kgen\",\"partition\":1,\"offset\":2,\"tstype\":\"create\",\
                    \"ts\":5,\"headers\":[],";
        let pages = written(Profile::pages(1, Form::Text, true, None), 7);
        let tail = pages.strip_prefix(head).expect("the head");
        let (key, payload) = tail.split_once(",\"payload\":\"5|").expect("a time in front");
        let page = key.strip_prefix("\"key\":\"").and_then(|key| key.strip_suffix('"'));
        assert!(payload.starts_with(page.expect("a key")), "{pages}");
        let json = written(Profile::pages(1, Form::Json, false, None), 7);
        assert!(json.contains(key) && json.contains("\"payload\":\"{\\\"page\\\":"), "{json}");
        let number = written(Profile::numbers(1, Form::Text, false, 10), 7);
        assert!(number.contains("\"key\":null,\"payload\":\""), "{number}");
    }

    #[test]
    fn what_is_not_utf8_is_in_base_64() {
        let mut out = Vec::new();
        field("payload", b"\xff", &mut out);
        assert_eq!(String::from_utf8_lossy(&out), ",\"payload_b64\":\"/w==\"");
    }
}
