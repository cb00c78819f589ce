//! Records from the envelopes that `kcons -J` writes, exactly as they were.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use row::envelope::Text;
use serde::Deserialize;

use crate::draft::Pen;

/// An envelope. `key` and `payload` that are not there are null; members not named here, as the
/// offset, belong to the place where the record was.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// Its topic.
    #[serde(borrow)]
    pub topic: Option<Cow<'a, str>>,
    /// Its partition.
    pub partition: Option<i32>,
    ts: Option<i64>,
    #[serde(borrow, default)]
    headers: Vec<Option<Element<'a>>>,
    #[serde(borrow)]
    key: Option<Text<'a>>,
    #[serde(borrow)]
    key_b64: Option<Text<'a>>,
    #[serde(borrow)]
    payload: Option<Text<'a>>,
    #[serde(borrow)]
    payload_b64: Option<Text<'a>>,
}

/// A name or a value of a header.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Element<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Base64 { b64: String },
}

impl<'a> Envelope<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(line: &'a [u8]) -> Result<Envelope<'a>, String> {
        let envelope: Envelope<'a> = serde_json::from_slice(line)
            .map_err(|error| format!("no envelope as kcons -J writes it ({error})"))?;
        if !envelope.headers.len().is_multiple_of(2) {
            return Err("the headers are not pairs of name and value".to_owned());
        }
        Ok(envelope)
    }

    /// Writes time, headers, key and value.
    ///
    /// # Errors
    /// When something is no base64 where it should be, or a header has no name.
    pub fn write(&self, pen: &mut Pen<'_>) -> Result<(), String> {
        pen.timestamp(self.ts);
        for pair in self.headers.chunks_exact(2) {
            let name = pair[0].as_ref().map(Element::bytes).transpose()?;
            let name = name.ok_or("the name of a header is null")?;
            let value = pair[1].as_ref().map(Element::bytes).transpose()?;
            pen.header(&name, value.as_deref());
        }
        pen.key(bytes(self.key.as_ref(), self.key_b64.as_ref())?.as_deref());
        pen.value(bytes(self.payload.as_ref(), self.payload_b64.as_ref())?.as_deref());
        Ok(())
    }
}

impl Element<'_> {
    fn bytes(&self) -> Result<Cow<'_, [u8]>, String> {
        match self {
            Element::Text(text) => Ok(Cow::Borrowed(text.as_bytes())),
            Element::Base64 { b64 } => decoded(b64).map(Cow::Owned),
        }
    }
}

/// What is there of the two forms; of null neither is.
fn bytes<'a>(
    text: Option<&'a Text<'a>>,
    base64: Option<&Text<'a>>,
) -> Result<Option<Cow<'a, [u8]>>, String> {
    match (text, base64) {
        (Some(text), _) => Ok(Some(Cow::Borrowed(text.0.as_bytes()))),
        (None, Some(base64)) => decoded(&base64.0).map(|bytes| Some(Cow::Owned(bytes))),
        (None, None) => Ok(None),
    }
}

fn decoded(base64: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(base64).map_err(|error| format!("no base64 ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::Drafts;

    #[test]
    fn an_envelope_is_its_record() {
        let line = br#"{"topic":"t","partition":2,"offset":7,"tstype":"create","ts":17,
            "headers":["a","1","a",null,{"b64":"/w=="},{"b64":""}],"key":"","payload_b64":"/wA="}"#;
        let envelope = Envelope::read(line).expect("an envelope");
        assert_eq!((envelope.topic.as_deref(), envelope.partition), (Some("t"), Some(2)));
        let mut drafts = Drafts::default();
        let mut pen = drafts.begin(1);
        envelope.write(&mut pen).expect("a record");
        pen.done();
        let headers = drafts.headers();
        let record = drafts.records(&headers)[0];
        assert_eq!((record.key, record.value), (Some(&b""[..]), Some(&b"\xff\0"[..])));
        assert_eq!(record.timestamp, Some(17));
        let pairs: Vec<_> = record.headers.iter().map(|one| (one.name, one.value)).collect();
        assert_eq!(pairs, [(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"\xff", Some(b"")),]);
    }

    #[test]
    fn null_is_not_empty_and_what_is_torn_is_refused() {
        let envelope = Envelope::read(br#"{"key":null,"payload":"x\n"}"#).expect("an envelope");
        let mut drafts = Drafts::default();
        let mut pen = drafts.begin(1);
        envelope.write(&mut pen).expect("a record");
        pen.done();
        let record = drafts.records(&[])[0];
        assert_eq!((record.key, record.value), (None, Some(&b"x\n"[..])));
        for bad in [&br#"{"payload":"x"#[..], b"x", b"{\"headers\":[\"a\"]}", b"[]", b""] {
            assert!(Envelope::read(bad).is_err());
        }
        let bad = Envelope::read(br#"{"payload_b64":"?"}"#).expect("an envelope");
        assert!(bad.write(&mut Drafts::default().begin(1)).is_err());
    }
}
