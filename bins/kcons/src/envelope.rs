//! A record as one JSON object, with kcat's names, that says everything about it.
//!
//! ```json
//! {"topic":"t","partition":0,"offset":7,"tstype":"create","ts":1700000000000,
//!  "headers":["name","value","name",null],"key":"k","payload":"v"}
//! ```
//!
//! `key` and `payload` are null for null; when they are no UTF-8, `key_b64` and `payload_b64`
//! stand in their place. `headers` lists name and value by turns, so that names may come twice; a
//! value (or name) that is no UTF-8 is `{"b64":"…"}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::view::{View, number};

/// Appends the record's envelope, without a newline: there is none in it.
pub(crate) fn write(view: &View<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"topic\":");
    text(view.topic, out);
    out.extend_from_slice(b",\"partition\":");
    number(view.partition, out);
    out.extend_from_slice(b",\"offset\":");
    number(view.offset, out);
    timestamp(view.timestamp, out);
    out.extend_from_slice(b",\"headers\":[");
    for (index, (name, value)) in view.headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        element(Some(name), out);
        out.push(b',');
        element(*value, out);
    }
    out.push(b']');
    field("key", view.key, out);
    field("payload", view.value, out);
    out.push(b'}');
}

fn timestamp(timestamp: Option<(i64, bool)>, out: &mut Vec<u8>) {
    let (kind, ms) = match timestamp {
        Some((ms, false)) => ("create", ms),
        Some((ms, true)) => ("logappend", ms),
        None => {
            out.extend_from_slice(b",\"tstype\":\"unknown\",\"ts\":null");
            return;
        }
    };
    out.extend_from_slice(b",\"tstype\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"ts\":");
    number(ms, out);
}

/// A field `name` of text or null, or `name_b64`.
fn field(name: &str, bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => out.extend_from_slice(b"\":null"),
        Some((_, Ok(utf8))) => {
            out.extend_from_slice(b"\":");
            text(utf8, out);
        }
        Some((bytes, Err(_))) => {
            out.extend_from_slice(b"_b64\":");
            base64(bytes, out);
        }
    }
}

/// An element of text, null, or `{"b64":"…"}`.
fn element(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => out.extend_from_slice(b"null"),
        Some((_, Ok(utf8))) => text(utf8, out),
        Some((bytes, Err(_))) => {
            out.extend_from_slice(b"{\"b64\":");
            base64(bytes, out);
            out.push(b'}');
        }
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("memory takes every byte");
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).expect("four thirds fit");
    out.truncate(start + written);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(view: &View<'_>) -> String {
        let mut out = Vec::new();
        write(view, &mut out);
        let text = String::from_utf8(out).expect("text");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        text
    }

    #[test]
    fn an_envelope_has_kcats_names() {
        let view = View {
            topic: "t",
            partition: 0,
            offset: 7,
            timestamp: Some((1_700_000_000_000, true)),
            key: Some(b"k"),
            value: Some(b"line\nnext \"quoted\""),
            headers: vec![(b"h", Some(b"1")), (b"h", None)],
            leader_epoch: None,
        };
        assert_eq!(
            written(&view),
            "{\"topic\":\"t\",\"partition\":0,\"offset\":7,\"tstype\":\"logappend\",\
             \"ts\":1700000000000,\"headers\":[\"h\",\"1\",\"h\",null],\"key\":\"k\",\
             \"payload\":\"line\\nnext \\\"quoted\\\"\"}"
        );
    }

    #[test]
    fn null_empty_and_binary_stay_apart() {
        let view = View { key: Some(b""), headers: vec![(b"x", Some(b"\xff"))], ..View::default() };
        let text = written(&view);
        assert!(text.ends_with("[\"x\",{\"b64\":\"/w==\"}],\"key\":\"\",\"payload\":null}"));
        assert!(text.contains("\"tstype\":\"unknown\",\"ts\":null"));
        let view = View { key: Some(b"\xff\x00\xfe"), value: Some(b"\xc3"), ..View::default() };
        assert!(written(&view).ends_with(",\"key_b64\":\"/wD+\",\"payload_b64\":\"ww==\"}"));
    }
}
