//! What is stored of a pipeline's state: records of a compacted topic, of which the last one of a
//! key counts.
//!
//! A record is in the partition of the same number as the input's; null deletes its key. The stage
//! "" stands for the pipeline itself, which stores the offset that the state is of: a reader that
//! finds another offset committed knows that they do not belong together.

use pipe::exit::{Error, Result};
use pipe::mark::{Partition, Position};
use pipe::outlet::ENTRY_BYTES_MAX;
use serde_json::Value as Json;
use topic::changelog::write_key;
use topic::draft::Drafts;

/// The settings of a changelog. Compaction leaves the newest segment alone, so that it must be
/// small for a reader to have little to read.
pub const SETTINGS: [(&str, &str); 3] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "16777216"),
    ("min.cleanable.dirty.ratio", "0.1"),
];

/// Bytes of memory that a record takes besides its own.
const FRAME_BYTES: usize = 128;

/// Records for the changelog that are not yet produced.
#[derive(Debug)]
pub struct Changelog {
    /// The topic's number.
    topic: usize,
    drafts: Drafts,
    scratch: Vec<u8>,
    bytes: usize,
    /// How many of the records are offsets, which are the last ones.
    offsets: usize,
}

impl Changelog {
    /// The changelog in the topic of this number.
    #[must_use]
    pub fn new(topic: usize) -> Changelog {
        Changelog { topic, drafts: Drafts::default(), scratch: Vec::new(), bytes: 0, offsets: 0 }
    }

    /// Keeps an entry of a stage's state in record `number`; a value of null deletes it.
    ///
    /// # Errors
    /// When it is too large for a record.
    pub fn entry(
        &mut self,
        number: u64,
        stage: &str,
        at: &Partition,
        key: &Json,
        value: &Json,
    ) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        write_key(stage, &at.0, key, &mut scratch);
        let key_bytes = scratch.len();
        if !value.is_null() {
            // What was JSON can be written as such.
            let _ = serde_json::to_writer(&mut scratch, value);
        }
        if scratch.len() > ENTRY_BYTES_MAX {
            let bytes = scratch.len();
            let reason = format!("{bytes} bytes, and an entry has at most {ENTRY_BYTES_MAX}");
            return Err(Error::world(format!("the state of {stage}"), reason));
        }
        let (key, rest) = scratch.split_at(key_bytes);
        let mut pen = self.drafts.begin(number);
        pen.topic(self.topic);
        pen.partition(Some(at.1));
        pen.key(Some(key));
        pen.value(Some(rest).filter(|_| !value.is_null()));
        pen.done();
        self.bytes += scratch.len() + FRAME_BYTES;
        self.scratch = scratch;
        Ok(())
    }

    /// Keeps the offset that the state of a partition is of, in record `number`; no entry of a
    /// stage comes behind it.
    ///
    /// # Errors
    /// As [`Changelog::entry`].
    pub fn offset(&mut self, number: u64, position: &Position) -> Result<()> {
        let at = Partition(position.0.clone(), position.1);
        self.entry(number, "", &at, &Json::Null, &position.2.into())?;
        self.offsets += 1;
        Ok(())
    }

    /// How many of the records are offsets, which are the last ones.
    #[must_use]
    pub fn offsets(&self) -> usize {
        self.offsets
    }

    /// How much memory the records take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The records.
    #[must_use]
    pub fn drafts(&self) -> &Drafts {
        &self.drafts
    }

    /// Lets go of the records, and keeps their memory.
    pub fn clear(&mut self) {
        self.drafts.clear();
        (self.bytes, self.offsets) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn partition(number: i32) -> Partition {
        Partition("in".to_owned(), number)
    }

    #[test]
    fn entries_are_records_of_their_partition_and_null_deletes() {
        let mut changelog = Changelog::new(3);
        let entry = |changelog: &mut Changelog, number, value| {
            changelog.entry(number, "0:swin", &partition(2), &json!([["a"], 0]), &value)
        };
        assert_eq!(entry(&mut changelog, 1, json!({"n": 1.5})), Ok(()));
        assert_eq!(entry(&mut changelog, 2, Json::Null), Ok(()));
        assert_eq!(changelog.offset(3, &Position("in".to_owned(), 1, 42)), Ok(()));
        let headers = changelog.drafts().headers();
        let records = changelog.drafts().records(&headers);
        let text = |bytes: Option<&[u8]>| {
            bytes.map_or("null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        let place = |one: &topic::producer::Record<'_>| (one.number, one.topic, one.partition);
        let places: Vec<_> = records.iter().map(place).collect();
        assert_eq!(places, [(1, 3, Some(2)), (2, 3, Some(2)), (3, 3, Some(1))]);
        let entries: Vec<_> = records.iter().map(|one| text(one.key) + &text(one.value)).collect();
        let key = "[\"0:swin\",\"in\",[[\"a\"],0]]";
        let [set, deleted] = ["{\"n\":1.5}", "null"].map(|value| format!("{key}{value}"));
        assert_eq!(entries, [set, deleted, "[\"\",\"in\",null]42".to_owned()]);
        let before = changelog.bytes();
        changelog.clear();
        assert!(before > 0 && changelog.bytes() == 0 && changelog.drafts().is_empty());
    }

    #[test]
    fn an_entry_that_is_no_record_is_refused() {
        let mut changelog = Changelog::new(0);
        let mut entry = |bytes: usize| {
            let value = json!("x".repeat(bytes));
            changelog.entry(1, "0:swin", &partition(0), &json!(1), &value).is_ok()
        };
        assert!(entry(ENTRY_BYTES_MAX - 100) && !entry(ENTRY_BYTES_MAX));
    }
}
