//! The keys of records, from the fields of their rows.
//!
//! One field is the key as it stands, and NULL is no key. Several make a JSON array, in which a
//! NULL is null.

use std::fmt;

use crate::field::{Bad, Fields as _, Reader, Row};
use crate::form::write_json;
use crate::schema::Options;
use crate::value::Value;

/// Makes keys of lines, and keeps them in one piece of memory until it is cleared.
#[derive(Debug)]
pub struct RecordKeys {
    options: Options,
    fields: Vec<String>,
    /// Known from the first line on.
    reader: Option<(Reader, Vec<u16>)>,
    bytes: Vec<u8>,
    ends: Vec<End>,
}

/// Where a key ends, and whether it is one.
#[derive(Clone, Copy, Debug)]
struct End {
    at: usize,
    null: bool,
}

/// Why a line gives no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The fields do not fit the rows.
    Fields(String),
    /// The line is no row.
    Row(Bad),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Fields(reason) => out.write_str(reason),
            Refusal::Row(bad) => write!(out, "{bad}"),
        }
    }
}

impl RecordKeys {
    /// Keys of `fields` in rows that `options` describe.
    #[must_use]
    pub fn new(options: Options, fields: Vec<String>) -> RecordKeys {
        RecordKeys { options, fields, reader: None, bytes: Vec::new(), ends: Vec::new() }
    }

    /// The next line is the first of another input, which may have a header of its own.
    pub fn restart(&mut self) {
        self.reader = None;
    }

    /// Lets go of the keys that are kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Keeps the key of `line`; false when the line is the header and no row.
    ///
    /// # Errors
    /// When the line gives no key; then nothing is kept of it.
    #[inline]
    pub fn push(&mut self, line: &[u8]) -> Result<bool, Refusal> {
        if self.reader.is_none() && self.begin(line).map_err(Refusal::Fields)? {
            return Ok(false);
        }
        let Some((reader, slots)) = &mut self.reader else { return Ok(false) };
        let row = reader.read(line).map_err(Refusal::Row)?;
        let null = match slots.as_slice() {
            [slot] => push_one(row, *slot, &mut self.bytes),
            slots => {
                push_array(row, slots, &mut self.bytes);
                false
            }
        };
        self.ends.push(End { at: self.bytes.len(), null });
        Ok(true)
    }

    /// Learns from the first line how rows are read; true when it is the header.
    fn begin(&mut self, first: &[u8]) -> Result<bool, String> {
        let (schema, header) = self.options.schema(first)?;
        let mut reader = Reader::new(schema);
        let slots = self.fields.iter().map(|field| reader.slot(field)).collect::<Result<_, _>>()?;
        self.reader = Some((reader, slots));
        Ok(header)
    }

    /// The keys that are kept, in the order of their lines.
    pub fn keys(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let key = &self.bytes[start..end.at];
            start = end.at;
            (!end.null).then_some(key)
        })
    }
}

/// Appends the one field of a key; true when it is NULL.
fn push_one(row: Row<'_>, slot: u16, bytes: &mut Vec<u8>) -> bool {
    let value = row.field(slot);
    value.write(bytes);
    matches!(value, Value::Null)
}

/// Appends fields as an array of JSON.
pub fn push_array(row: Row<'_>, slots: &[u16], bytes: &mut Vec<u8>) {
    let mut before = b'[';
    for &slot in slots {
        bytes.push(before);
        write_json(&row.field(slot), bytes);
        before = b',';
    }
    bytes.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Form;

    /// The keys of the lines, `-` for none.
    fn keys(options: Options, fields: &[&str], lines: &[&str]) -> Vec<String> {
        let fields = fields.iter().map(|&field| field.to_owned()).collect();
        let mut keys = RecordKeys::new(options, fields);
        for line in lines {
            keys.push(line.as_bytes()).expect("a key");
        }
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        keys.keys().map(|key| key.map_or("-".to_owned(), text)).collect()
    }

    #[test]
    fn one_field_is_the_key_as_it_stands() {
        let json = ["{\"k\":\"a\\\"b\"}", "{\"k\":7.50}", "{\"k\":null}", "{}", "{\"k\":\"\"}"];
        let expected = ["a\"b", "7.50", "-", "-", ""];
        assert_eq!(keys(Options::default(), &["k"], &json), expected);
        let names = vec!["x".to_owned(), "k".to_owned()];
        let text = Options { names, ..Options::default() };
        assert_eq!(keys(text, &["k"], &["1,a", "2,"]), ["a", "-"]);
    }

    #[test]
    fn several_fields_are_an_array() {
        let lines = ["{\"a\":\"x\",\"b\":{\"c\":1}}", "{\"b\":{\"c\":\"1\"}}"];
        let expected = ["[\"x\",1]", "[null,\"1\"]"];
        assert_eq!(keys(Options::default(), &["a", "b.c"], &lines), expected);
    }

    #[test]
    fn a_header_is_no_row_and_each_input_has_its_own() {
        let options = Options { form: Form::Csv, ..Options::default() };
        let mut keys = RecordKeys::new(options, vec!["k".to_owned()]);
        assert_eq!(keys.push(b"k,v"), Ok(false));
        assert_eq!(keys.push(b"a,1"), Ok(true));
        keys.restart();
        assert_eq!(keys.push(b"v,k"), Ok(false));
        assert_eq!(keys.push(b"1,b"), Ok(true));
        assert!(keys.keys().eq([Some(&b"a"[..]), Some(b"b")]));
        keys.clear();
        assert_eq!(keys.keys().count(), 0);
    }

    #[test]
    fn what_gives_no_key_is_refused_and_leaves_nothing() {
        let mut keys = RecordKeys::new(Options::default(), vec!["k".to_owned()]);
        assert!(matches!(keys.push(b"a,b"), Err(Refusal::Fields(_))));
        let mut keys = RecordKeys::new(Options::default(), vec!["k".to_owned()]);
        assert_eq!(keys.push(b"{\"k\":1}"), Ok(true));
        assert!(matches!(keys.push(b"{"), Err(Refusal::Row(Bad::Json(_)))));
        assert_eq!(keys.keys().count(), 1);
    }
}
