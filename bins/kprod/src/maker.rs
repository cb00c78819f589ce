//! Lines into records, for all lines that are more than a key and a value.

use std::fmt;

use pipe::exit::Error;
use topic::draft::{Drafts, Pen};
use topic::envelope::Envelope;
use topic::mould;
use topic::rows::{self, Rows};

use crate::header::Header;
use crate::place;
use crate::reader::{self, Reader};

/// Makes records of lines, and keeps them until they are produced.
#[derive(Debug)]
pub struct Maker {
    form: Form,
    same: Same,
    drafts: Drafts,
}

/// What lines are.
#[derive(Debug)]
pub enum Form {
    /// Rows, with fields that become key, headers and time.
    Rows(Box<Rows>),
    /// The console producer's headers, key and value.
    Parts(Box<Reader>),
    /// Envelopes.
    Envelopes(Envelopes),
}

/// What envelopes say besides the record.
#[derive(Clone, Debug, Default)]
pub struct Envelopes {
    /// Whether their topic is the record's.
    pub keep_topic: bool,
    /// Whether their partition is.
    pub keep_partition: bool,
    /// The topics so far, in the order in which they were met.
    pub topics: Vec<String>,
}

/// What all records have.
#[derive(Clone, Debug, Default)]
pub struct Same {
    /// The partition.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// Headers before the record's own.
    pub headers: Vec<Header>,
}

/// A line that is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The record's number.
    pub number: u64,
    /// The line.
    pub line: Vec<u8>,
    /// Why.
    pub refusal: Refusal,
}

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no key.
    Key(mould::Refusal),
    /// The row is not as the options say.
    Row(rows::Refusal),
    /// It has not the parts that the reader's properties ask for.
    Parts(reader::Refusal),
    /// It is no envelope.
    Envelope(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Key(refusal) => refusal.fmt(out),
            Refusal::Row(rows::Refusal::Option(_, reason) | rows::Refusal::Row(reason))
            | Refusal::Envelope(reason) => out.write_str(reason),
            Refusal::Parts(refusal) => refusal.fmt(out),
        }
    }
}

impl Refusal {
    /// Whether no line can be a record, as the options are wrong.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        match self {
            Refusal::Key(refusal) => refusal.is_callers(),
            Refusal::Row(refusal) => matches!(refusal, rows::Refusal::Option(..)),
            Refusal::Parts(_) | Refusal::Envelope(_) => false,
        }
    }

    /// The error that ends the run at the line called `name`.
    #[must_use]
    pub fn at(&self, name: &str) -> Error {
        match self {
            Refusal::Key(refusal) => refusal.at(name),
            Refusal::Row(rows::Refusal::Option(option, reason)) => Error::caller(option, reason),
            // Java's texts have the line in them.
            Refusal::Parts(refusal) => Error::Failed(pipe::exit::Code::WORLD, refusal.to_string()),
            Refusal::Row(_) | Refusal::Envelope(_) => Error::world(name, self),
        }
    }
}

impl Maker {
    /// A maker of records of lines in `form`; all have what is the `same`.
    #[must_use]
    pub fn new(form: Form, same: Same) -> Maker {
        Maker { form, same, drafts: Drafts::default() }
    }

    /// The next line is the first of another input.
    pub fn restart(&mut self) {
        if let Form::Rows(rows) = &mut self.form {
            rows.restart();
        }
    }

    /// Makes records of numbered lines, up to one that is none, in the place of those before.
    ///
    /// # Errors
    /// The line that is none.
    pub fn fill<'l>(
        &mut self,
        lines: impl Iterator<Item = (u64, &'l [u8])>,
    ) -> Result<(), Refused> {
        self.drafts.clear();
        for (number, line) in lines {
            let mut pen = self.drafts.begin(number);
            pen.partition(self.same.partition);
            for header in &self.same.headers {
                pen.header(header.name.as_bytes(), header.value.as_ref().map(String::as_bytes));
            }
            let made = write(&mut self.form, line, number, &mut pen);
            let made = made.map_err(|refusal| Refused { number, line: line.to_vec(), refusal })?;
            if let Some(key) = &self.same.key {
                pen.key(Some(key));
            }
            if made {
                pen.done();
            }
        }
        Ok(())
    }

    /// The records that were made last.
    #[must_use]
    pub fn drafts(&self) -> &Drafts {
        &self.drafts
    }

    /// The topics that the records are in so far, in the order of their numbers; none when all are
    /// in the one that is known.
    #[must_use]
    pub fn topics(&self) -> &[String] {
        if let Form::Envelopes(envelopes) = &self.form { &envelopes.topics } else { &[] }
    }
}

/// Writes the record of a line; false when it is a header line and no record.
fn write(form: &mut Form, line: &[u8], number: u64, pen: &mut Pen<'_>) -> Result<bool, Refusal> {
    match form {
        Form::Rows(rows) => rows.write(line, pen).map_err(Refusal::Row),
        Form::Parts(reader) => {
            let (_, line_number) = place::parts(number);
            let parts = reader.parts(line, line_number).map_err(Refusal::Parts)?;
            for (name, value) in parts.headers {
                pen.header(name, value);
            }
            pen.key(parts.key);
            pen.value(parts.value);
            Ok(true)
        }
        Form::Envelopes(envelopes) => {
            let envelope = Envelope::read(line).map_err(Refusal::Envelope)?;
            if envelopes.keep_topic {
                let topic = envelope.topic.as_deref();
                let topic = topic.ok_or_else(|| Refusal::Envelope("it has no topic".to_owned()))?;
                pen.topic(envelopes.index(topic));
            }
            if envelopes.keep_partition {
                pen.partition(envelope.partition);
            }
            envelope.write(pen).map_err(Refusal::Envelope)?;
            Ok(true)
        }
    }
}

impl Envelopes {
    /// The number of a topic.
    fn index(&mut self, topic: &str) -> usize {
        let known = self.topics.iter().position(|known| known == topic);
        known.unwrap_or_else(|| {
            self.topics.push(topic.to_owned());
            self.topics.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_name_their_topics() {
        let envelopes =
            Envelopes { keep_topic: true, keep_partition: true, ..Envelopes::default() };
        let mut maker = Maker::new(Form::Envelopes(envelopes), Same::default());
        let lines: [&[u8]; 4] = [
            br#"{"topic":"a","partition":3,"payload":"1"}"#,
            br#"{"topic":"b","partition":0,"payload":"2"}"#,
            br#"{"topic":"a","partition":1,"payload":"3"}"#,
            br#"{"payload":"4"}"#,
        ];
        let refused = maker.fill((1..).zip(lines)).expect_err("no topic");
        assert_eq!((refused.number, refused.line.as_slice()), (4, lines[3]));
        assert_eq!(maker.topics(), ["a", "b"]);
        let records = maker.drafts().records(&[]);
        let places: Vec<_> = records.iter().map(|one| (one.topic, one.partition)).collect();
        assert_eq!(places, [(0, Some(3)), (1, Some(0)), (0, Some(1))]);
    }

    #[test]
    fn what_is_the_same_stands_before_the_records_own() {
        let properties = [("parse.headers".to_owned(), "true".to_owned())];
        let reader = Reader::new(&properties).expect("a reader");
        let header = Header { name: "all".to_owned(), value: None };
        let same = Same { partition: Some(2), key: Some(b"k".to_vec()), headers: vec![header] };
        let mut maker = Maker::new(Form::Parts(Box::new(reader)), same);
        maker.fill([(1, &b"a:1\tv"[..])].into_iter()).expect("a record");
        let headers = maker.drafts().headers();
        let record = maker.drafts().records(&headers)[0];
        let names: Vec<_> = record.headers.iter().map(|one| one.name).collect();
        assert_eq!(names, [b"all", &b"a"[..]]);
        assert_eq!((record.key, record.partition), (Some(&b"k"[..]), Some(2)));
    }
}
