//! Lines into records.

use pipe::exit::Error;
use row::record_key::{self, RecordKeys};
use row::schema;

use crate::key::{Rule, Separator};
use crate::producer::{Header, Record};

/// What the records of a run have in common.
#[derive(Debug)]
pub struct Mould<'a> {
    /// Where the keys come from.
    pub keys: Keys,
    /// The partition, when it is not left to the key.
    pub partition: Option<i32>,
    /// The headers.
    pub headers: Vec<Header<'a>>,
}

/// Where keys come from.
#[derive(Debug)]
pub enum Keys {
    /// From the line, or from nowhere.
    Line(Rule),
    /// From fields of the row that the line is.
    Row(Box<RecordKeys>),
}

/// The options that say where keys come from.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyOptions {
    /// The key stands before the first SEP of a line, the value behind it
    #[arg(short = 'K', long, value_name = "SEP")]
    key_separator: Option<Separator>,
    /// The key is this field of the row; several make a JSON array
    #[arg(long, value_name = "F,…", value_delimiter = ',', conflicts_with = "key_separator")]
    key_field: Vec<String>,
    #[command(flatten)]
    rows: schema::Options,
}

/// Records of lines, up to a line that is none.
#[derive(Debug)]
pub struct Moulded<'a> {
    /// The records.
    pub records: Vec<Record<'a>>,
    /// The first line that cannot be a record, its number, and why.
    pub refused: Option<(u64, &'a [u8], Refusal)>,
}

/// Why a line does not become a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no key separator.
    NoSeparator,
    /// It gives no key.
    NoKey(record_key::Refusal),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NoSeparator => out.write_str("there is no key separator"),
            Refusal::NoKey(refusal) => refusal.fmt(out),
        }
    }
}

impl Refusal {
    /// Whether no line can be a record, as the options are wrong.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        matches!(self, Refusal::NoKey(record_key::Refusal::Fields(_)))
    }

    /// The error that ends the run at the line called `name`.
    #[must_use]
    pub fn at(&self, name: &str) -> Error {
        match self {
            Refusal::NoKey(record_key::Refusal::Fields(reason)) => {
                Error::caller("--key-field", reason)
            }
            refusal => Error::world(name, refusal),
        }
    }
}

impl KeyOptions {
    /// The fields of the key.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.key_field
    }

    /// How rows are read.
    #[must_use]
    pub fn rows(&self) -> &schema::Options {
        &self.rows
    }

    /// Where keys come from, by these options or by one that gives all records the same `key`.
    ///
    /// # Errors
    /// When an option says how rows are read, and no key is read from them.
    pub fn keys(&self, key: Option<&[u8]>) -> Result<Keys, Error> {
        if !self.key_field.is_empty() {
            let keys = RecordKeys::new(self.rows.clone(), self.key_field.clone());
            return Ok(Keys::Row(Box::new(keys)));
        }
        match self.rows.given() {
            Some(option) => Err(Error::caller(option, "is for --key-field")),
            None => Ok(Keys::Line(Rule::new(self.key_separator.as_ref(), key))),
        }
    }
}

impl Mould<'_> {
    /// The next line is the first of another input.
    pub fn restart(&mut self) {
        if let Keys::Row(keys) = &mut self.keys {
            keys.restart();
        }
    }

    /// The records of numbered lines, about `count`. A header line is no record.
    pub fn records<'a, 'l: 'a>(
        &'a mut self,
        lines: impl Iterator<Item = (u64, &'l [u8])>,
        count: usize,
    ) -> Moulded<'a> {
        let mut moulded = Moulded { records: Vec::with_capacity(count), refused: None };
        let (partition, headers) = (self.partition, self.headers.as_slice());
        let record = |number, key, value| Record {
            number,
            topic: 0,
            partition,
            timestamp: None,
            key,
            value: Some(value),
            headers,
        };
        match &mut self.keys {
            Keys::Line(rule) => {
                for (number, line) in lines {
                    let Ok((key, value)) = rule.split(line) else {
                        moulded.refused = Some((number, line, Refusal::NoSeparator));
                        break;
                    };
                    moulded.records.push(record(number, key, value));
                }
            }
            Keys::Row(keys) => {
                let mut rows = Vec::with_capacity(count);
                keys.clear();
                for (number, line) in lines {
                    match keys.push(line) {
                        Ok(true) => rows.push((number, line)),
                        Ok(false) => {}
                        Err(refusal) => {
                            moulded.refused = Some((number, line, Refusal::NoKey(refusal)));
                            break;
                        }
                    }
                }
                let rows = rows.into_iter().zip(keys.keys());
                moulded.records.extend(rows.map(|((number, row), key)| record(number, key, row)));
            }
        }
        moulded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mould(keys: Keys) -> Mould<'static> {
        Mould { keys, partition: Some(2), headers: vec![Header { name: b"h", value: None }] }
    }

    fn numbered<'a>(lines: &[&'a [u8]]) -> impl Iterator<Item = (u64, &'a [u8])> {
        (1..).zip(lines.to_vec())
    }

    #[test]
    fn an_empty_line_is_a_record_with_an_empty_value() {
        let mut mould = mould(Keys::Line(Rule::None));
        let moulded = mould.records(numbered(&[b"", b"\xff"]), 2);
        let [first, second] = moulded.records[..] else { panic!("two records") };
        assert_eq!((first.number, first.partition, first.headers.len()), (1, Some(2), 1));
        assert_eq!((first.key, first.value), (None, Some(&b""[..])));
        assert_eq!((second.number, second.value), (2, Some(&b"\xff"[..])));
    }

    #[test]
    fn a_line_without_separator_is_refused_and_those_before_it_are_not() {
        let tab = "\\t".parse().expect("a separator");
        let mut mould = mould(Keys::Line(Rule::new(Some(&tab), None)));
        let moulded = mould.records(numbered(&[b"k\tv", b"kv", b"k\tw"]), 3);
        assert_eq!(moulded.refused, Some((2, &b"kv"[..], Refusal::NoSeparator)));
        let [one] = moulded.records[..] else { panic!("one record") };
        assert_eq!((one.key, one.value), (Some(&b"k"[..]), Some(&b"v"[..])));
    }

    #[test]
    fn a_key_from_the_row_leaves_the_line_whole() {
        let keys = RecordKeys::new(schema::Options::default(), vec!["k".to_owned()]);
        let mut mould = mould(Keys::Row(Box::new(keys)));
        let lines: [&[u8]; 3] = [b"{\"k\":\"a\"}", b"{\"k\":null}", b"{"];
        let moulded = mould.records(numbered(&lines), 3);
        assert!(matches!(moulded.refused, Some((3, _, Refusal::NoKey(_)))));
        let [first, second] = moulded.records[..] else { panic!("two records") };
        assert_eq!((first.key, first.value), (Some(&b"a"[..]), Some(lines[0])));
        assert_eq!((second.key, second.value), (None, Some(lines[1])));
    }
}
