//! Records that are put together piece by piece, in memory of their own, before they are borrowed
//! as such.

use std::ops::Range;

use crate::producer::{Header, Record};

/// A piece of the memory.
type Piece = Range<usize>;

/// A batch of records under way. What they have in common stands in every one of them.
#[derive(Debug, Default)]
pub struct Drafts {
    bytes: Vec<u8>,
    headers: Vec<(Piece, Option<Piece>)>,
    done: Vec<Draft>,
}

/// A record under way.
#[derive(Clone, Debug, Default)]
struct Draft {
    number: u64,
    topic: usize,
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<Piece>,
    value: Option<Piece>,
    headers: Piece,
}

/// A record that is being written. Dropped before [`Pen::done`], nothing is kept of it.
#[derive(Debug)]
pub struct Pen<'a> {
    drafts: &'a mut Drafts,
    draft: Draft,
}

impl Drafts {
    /// Lets go of all records.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.headers.clear();
        self.done.clear();
    }

    /// Whether no record is done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Begins the record called `number`.
    pub fn begin(&mut self, number: u64) -> Pen<'_> {
        // What a record that was given up has left.
        self.headers.truncate(self.done.last().map_or(0, |draft| draft.headers.end));
        let start = self.headers.len();
        let draft = Draft { number, headers: start..start, ..Draft::default() };
        Pen { drafts: self, draft }
    }

    /// The headers of all records, for [`Drafts::records`].
    #[must_use]
    pub fn headers(&self) -> Vec<Header<'_>> {
        let header = |(name, value): &(Piece, Option<Piece>)| Header {
            name: &self.bytes[name.clone()],
            value: value.clone().map(|value| &self.bytes[value]),
        };
        self.headers.iter().map(header).collect()
    }

    /// The records that are done, in their order.
    #[must_use]
    pub fn records<'a>(&'a self, headers: &'a [Header<'a>]) -> Vec<Record<'a>> {
        let record = |draft: &Draft| Record {
            number: draft.number,
            topic: draft.topic,
            partition: draft.partition,
            timestamp: draft.timestamp,
            key: draft.key.clone().map(|key| &self.bytes[key]),
            value: draft.value.clone().map(|value| &self.bytes[value]),
            headers: &headers[draft.headers.clone()],
        };
        self.done.iter().map(record).collect()
    }

    fn put(&mut self, bytes: &[u8]) -> Piece {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

impl Pen<'_> {
    /// Sets the key, `None` for null.
    pub fn key(&mut self, key: Option<&[u8]>) {
        self.draft.key = key.map(|key| self.drafts.put(key));
    }

    /// Sets the value, `None` for null.
    pub fn value(&mut self, value: Option<&[u8]>) {
        self.draft.value = value.map(|value| self.drafts.put(value));
    }

    /// Adds a header, `None` for a null value.
    pub fn header(&mut self, name: &[u8], value: Option<&[u8]>) {
        let name = self.drafts.put(name);
        let value = value.map(|value| self.drafts.put(value));
        self.drafts.headers.push((name, value));
    }

    /// Sets the topic, by the order in which topics were opened.
    pub fn topic(&mut self, topic: usize) {
        self.draft.topic = topic;
    }

    /// Sets the partition; `None` leaves it to the key.
    pub fn partition(&mut self, partition: Option<i32>) {
        self.draft.partition = partition;
    }

    /// Sets the time, in milliseconds since the epoch; `None` is now.
    pub fn timestamp(&mut self, timestamp: Option<i64>) {
        self.draft.timestamp = timestamp;
    }

    /// Keeps the record.
    pub fn done(mut self) {
        self.draft.headers.end = self.drafts.headers.len();
        self.drafts.done.push(self.draft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_was_written_and_one_given_up_leaves_nothing() {
        let mut drafts = Drafts::default();
        let mut pen = drafts.begin(1);
        pen.header(b"a", Some(b"1"));
        pen.key(Some(b""));
        pen.done();
        drafts.begin(2).header(b"lost", None);
        let mut pen = drafts.begin(3);
        pen.value(Some(b"v"));
        pen.header(b"a", None);
        pen.header(b"a", Some(b""));
        pen.timestamp(Some(7));
        pen.done();
        let headers = drafts.headers();
        let records = drafts.records(&headers);
        let [first, second] = records[..] else { panic!("two records") };
        assert_eq!((first.number, first.key, first.value), (1, Some(&b""[..]), None));
        assert_eq!(first.headers.len(), 1);
        assert_eq!((second.number, second.key, second.value), (3, None, Some(&b"v"[..])));
        assert_eq!(second.timestamp, Some(7));
        let values: Vec<_> = second.headers.iter().map(|one| one.value).collect();
        assert_eq!(values, [None, Some(&b""[..])]);
    }
}
