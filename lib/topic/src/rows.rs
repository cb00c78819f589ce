//! Records from rows: key, headers and time are fields, the value is the whole line.

use row::field::{Fields as _, Reader};
use row::record_key::push_array;
use row::schema::Options;
use row::time::{Clock, Format};
use row::value::Value;

use crate::draft::Pen;

/// Which fields of a row become what.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// The key; several make a JSON array.
    pub key: Vec<String>,
    /// The headers, which have the names of their fields.
    pub headers: Vec<String>,
    /// The time.
    pub timestamp: Option<String>,
    /// The name of the topic, which [`Rows::topic`] tells.
    pub topic: Option<String>,
}

/// Makes records of rows.
#[derive(Debug)]
pub struct Rows {
    options: Options,
    columns: Columns,
    clock: Clock,
    /// Known from the first line on.
    reader: Option<(Reader, Slots)>,
    scratch: Vec<u8>,
    /// What the last row says of its topic.
    topic: Option<String>,
}

/// The places of the columns.
#[derive(Debug)]
struct Slots {
    key: Vec<u16>,
    headers: Vec<u16>,
    timestamp: Option<u16>,
    topic: Option<u16>,
}

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The named option does not fit the rows.
    Option(&'static str, String),
    /// The line is no row, or a field of it is not what it should be.
    Row(String),
}

impl Rows {
    /// Records of rows that `options` describe.
    #[must_use]
    pub fn new(options: Options, columns: Columns) -> Rows {
        let clock = Clock::new(Format::Auto, jiff::tz::TimeZone::UTC);
        Rows { options, columns, clock, reader: None, scratch: Vec::new(), topic: None }
    }

    /// The next line is the first of another input, which may have a header of its own.
    pub fn restart(&mut self) {
        self.reader = None;
    }

    /// The topic that the last row names, if it does.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_deref()
    }

    /// Writes what the fields of `line` say; false when it is the header and no row.
    ///
    /// # Errors
    /// When it cannot be a record.
    pub fn write(&mut self, line: &[u8], pen: &mut Pen<'_>) -> Result<bool, Refusal> {
        if self.reader.is_none() && self.begin(line)? {
            return Ok(false);
        }
        let Some((reader, slots)) = &mut self.reader else { return Ok(false) };
        let row = reader.read(line).map_err(|bad| Refusal::Row(bad.to_string()))?;
        if let Some(slot) = slots.timestamp {
            let ms = self.clock.read(&row.field(slot));
            let ms = ms.map_err(|shown| Refusal::Row(format!("not a time: {shown}")))?;
            // librdkafka takes 0 for now, and Kafka knows nothing before.
            if ms <= 0 {
                let reason = format!("not a time of a record: {ms} ms since 1970");
                return Err(Refusal::Row(reason));
            }
            pen.timestamp(Some(ms));
        }
        if let Some(slot) = slots.topic {
            let name = text(&row.field(slot), &mut self.scratch);
            self.topic = name.map(|name| String::from_utf8_lossy(name).into_owned());
        }
        for (name, &slot) in self.columns.headers.iter().zip(&slots.headers) {
            let value = row.field(slot);
            pen.header(name.as_bytes(), text(&value, &mut self.scratch));
        }
        match slots.key.as_slice() {
            [] => {}
            [slot] => pen.key(text(&row.field(*slot), &mut self.scratch)),
            slots => {
                self.scratch.clear();
                push_array(row, slots, &mut self.scratch);
                pen.key(Some(&self.scratch));
            }
        }
        pen.value(Some(line));
        Ok(true)
    }

    /// Learns from the first line how rows are read; true when it is the header.
    fn begin(&mut self, first: &[u8]) -> Result<bool, Refusal> {
        let schema = self.options.schema(first);
        let (schema, header) = schema.map_err(|reason| Refusal::Option("--input", reason))?;
        let mut reader = Reader::new(schema);
        let mut slot = |option: &'static str, name: &String| {
            reader.slot(name).map_err(|reason| Refusal::Option(option, reason))
        };
        let mut slots = |option, names: &[String]| {
            names.iter().map(|name| slot(option, name)).collect::<Result<Vec<_>, _>>()
        };
        let slots = Slots {
            key: slots("--key-field", &self.columns.key)?,
            headers: slots("--header-field", &self.columns.headers)?,
            timestamp: slots("--timestamp-field", self.columns.timestamp.as_slice())?.pop(),
            topic: slots("--topic-field", self.columns.topic.as_slice())?.pop(),
        };
        self.reader = Some((reader, slots));
        Ok(header)
    }
}

/// The bytes of a field, `None` for NULL.
fn text<'a>(value: &Value<'_>, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    scratch.clear();
    value.write(scratch);
    (!value.is_null()).then_some(scratch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::Drafts;

    #[test]
    fn fields_become_key_headers_and_time() {
        let names = ["at", "user", "page"].map(ToOwned::to_owned).into();
        let columns = Columns {
            key: vec!["user".to_owned(), "page".to_owned()],
            headers: vec!["user".to_owned(), "page".to_owned()],
            timestamp: Some("at".to_owned()),
            topic: None,
        };
        let mut rows = Rows::new(Options { names, ..Options::default() }, columns);
        let mut drafts = Drafts::default();
        let mut pen = drafts.begin(1);
        assert_eq!(rows.write(b"1700000000000,ann,", &mut pen), Ok(true));
        pen.done();
        for bad in [&b"soon,bob,p1"[..], b",bob,p1", b"0,bob,p1", b"-5,bob,p1"] {
            assert!(matches!(rows.write(bad, &mut drafts.begin(2)), Err(Refusal::Row(_))));
        }
        let headers = drafts.headers();
        let records = drafts.records(&headers[..2]);
        let [record] = records[..] else { panic!("one record") };
        assert_eq!(record.key, Some(&b"[\"ann\",null]"[..]));
        assert_eq!(record.timestamp, Some(1_700_000_000_000));
        let pairs: Vec<_> = record.headers.iter().map(|one| (one.name, one.value)).collect();
        assert_eq!(pairs, [(&b"user"[..], Some(&b"ann"[..])), (b"page", None)]);
    }

    #[test]
    fn a_row_names_its_topic() {
        let columns = Columns { topic: Some("$2".to_owned()), ..Columns::default() };
        let mut rows = Rows::new(Options::default(), columns);
        let mut drafts = Drafts::default();
        let topics = [(&b"a,t"[..], Some("t")), (b"b,", None), (b"c,u", Some("u"))];
        for (line, topic) in topics {
            assert_eq!(rows.write(line, &mut drafts.begin(1)), Ok(true));
            assert_eq!(rows.topic(), topic);
        }
    }

    #[test]
    fn an_unknown_field_names_its_option() {
        let columns = Columns { headers: vec!["x".to_owned()], ..Columns::default() };
        let mut rows = Rows::new(Options::default(), columns);
        let refused = rows.write(b"a,b", &mut Drafts::default().begin(1));
        assert!(matches!(refused, Err(Refusal::Option("--header-field", _))), "{refused:?}");
    }
}
