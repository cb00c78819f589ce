//! The changelog of a group: the compacted topic that holds the state of its stages. What its
//! records are called is said here alone, for those who write and those who read it.
//!
//! A record's key is `[STAGE,TOPIC,KEY]`, its value the stage's own. With the empty stage, the
//! value is the offset that the state of that topic's partition is of.

use serde_json::Value as Json;
use serde_json::value::RawValue;

/// The name of the changelog of `group`.
#[must_use]
pub fn name(group: &str) -> String {
    format!("{group}-kpipe-state")
}

/// What a record's key says.
#[derive(Debug)]
pub struct Key<'a> {
    /// The stage, as it is named in the mark that opens its stream.
    pub stage: String,
    /// The input topic whose partition the entry belongs to.
    pub topic: String,
    /// The stage's own key, in JSON.
    pub own: &'a RawValue,
}

impl<'a> Key<'a> {
    /// What the key of a record says, if it is one of kpipe's.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Key<'a>> {
        let (stage, topic, own) = serde_json::from_slice(bytes).ok()?;
        Some(Key { stage, topic, own })
    }
}

/// Appends the key of an entry of `stage` for the partitions of `topic`; `own` is its own key.
pub fn write_key(stage: &str, topic: &str, own: &Json, out: &mut Vec<u8>) {
    // What was JSON can be written as such, and memory takes it.
    let _ = serde_json::to_writer(out, &(stage, topic, own));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_was_written_is_read() {
        for own in [json!(null), json!([["a", 1.5], 0]), json!("\u{1e}\n")] {
            let mut bytes = Vec::new();
            write_key("0:swin", "in \"it\"", &own, &mut bytes);
            let key = Key::parse(&bytes).expect("a key");
            assert_eq!((key.stage.as_str(), key.topic.as_str()), ("0:swin", "in \"it\""));
            assert_eq!(key.own.get(), own.to_string());
        }
    }

    #[test]
    fn what_is_not_of_kpipe_is_no_key() {
        for bytes in ["", "x", "[]", r#"["0:swin","t"]"#, r#"["0:swin",1,1]"#, r#"["a","t",1]x"#] {
            assert!(Key::parse(bytes.as_bytes()).is_none(), "{bytes}");
        }
    }
}
