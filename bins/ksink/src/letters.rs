//! Dead letters: rows that are in no topic of results, with why and where they came from.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pipe::mark::DeadLetter;
use serde::Serialize;
use topic::draft::Pen;
use topic::flags::topic_name;

use crate::position::Position;

/// Bytes of a row that is too long to be a record as it is.
const HEAD_BYTES: usize = 1 << 10;

/// Bytes that a record of a letter has besides its row and its reason, and more.
const FRAME_BYTES: usize = 1 << 10;

/// Where dead letters go, written `FILE` or `topic:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Lines of JSON at the end of a file.
    File(PathBuf),
    /// Records of a topic.
    Topic(String),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Place, Self::Err> {
        match text.strip_prefix("topic:") {
            Some(name) => topic_name(name).map(Place::Topic),
            None => Ok(Place::File(text.into())),
        }
    }
}

/// As messages say that letters are there.
impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(out),
            Place::Topic(name) => write!(out, "topic {name}"),
        }
    }
}

/// Rows whose records are on their way, by the numbers of their lines.
#[derive(Debug, Default)]
pub struct Kept {
    rows: HashMap<u64, Row>,
}

/// A row, and where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its bytes.
    pub bytes: Box<[u8]>,
    /// Its place in the topic that the pipeline began with.
    pub position: Option<Position>,
}

impl Kept {
    /// Keeps a row until it is known what became of it.
    pub fn keep(&mut self, number: u64, line: &[u8], position: Option<Position>) {
        self.rows.insert(number, Row { bytes: line.into(), position });
    }

    /// Gives the row back, which nobody else asks for.
    pub fn take(&mut self, number: u64) -> Row {
        self.rows.remove(&number).unwrap_or_default()
    }
}

/// A dead letter.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Letter<'a> {
    /// The line of the input, of a row that came as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// `bad` or `late`, of a row that a stage before could not use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'a str>,
    /// That stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'a str>,
    /// Why.
    pub reason: &'a str,
    /// The topic that the row came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<&'a str>,
    /// Its partition there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Its offset there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The row.
    #[serde(rename = "row_b64", serialize_with = "base64")]
    pub row: &'a [u8],
}

fn base64<S: serde::Serializer>(row: &&[u8], out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&BASE64.encode(row))
}

impl<'a> Letter<'a> {
    /// The letter of a row that came as line `number`.
    #[must_use]
    pub fn of_line(number: u64, reason: &'a str, row: &'a Row) -> Letter<'a> {
        let at = row.position.as_ref().map(|position| &*position.at);
        Letter {
            line: Some(number),
            reason,
            topic: at.map(|at| at.0.as_str()),
            partition: at.map(|at| at.1),
            offset: row.position.as_ref().and_then(|position| position.offset),
            row: &row.bytes,
            ..Letter::default()
        }
    }

    /// The letter of a `row` that a stage found to be of this `kind`.
    #[must_use]
    pub fn of_stage(kind: &'a str, letter: &'a DeadLetter, row: &'a [u8]) -> Letter<'a> {
        Letter {
            line: None,
            kind: Some(kind),
            stage: Some(&letter.stage),
            reason: &letter.reason,
            topic: Some(&letter.at.0),
            partition: Some(letter.at.1),
            offset: letter.offset,
            row,
        }
    }

    /// Appends the letter as a line of JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        // No map with odd keys and no writer that fails: this cannot.
        out.append(&mut serde_json::to_vec(self).unwrap_or_default());
        out.push(b'\n');
    }

    /// Makes the letter a record: the row is its value, the rest its headers. Of a row that would
    /// make it larger than `bytes_max`, the first bytes are there.
    pub fn record(&self, bytes_max: usize, pen: &mut Pen<'_>) {
        let room = bytes_max.saturating_sub(self.reason.len() + FRAME_BYTES);
        let row = if self.row.len() > room { head(self.row) } else { self.row };
        let mut reason = self.reason.to_owned();
        if row.len() < self.row.len() {
            reason.push_str(&first_bytes(row.len()));
        }
        let number = |number: i64| number.to_string();
        let headers = [
            ("reason", Some(reason)),
            ("line", self.line.map(|line| line.to_string())),
            ("kind", self.kind.map(str::to_owned)),
            ("stage", self.stage.map(str::to_owned)),
            ("topic", self.topic.map(str::to_owned)),
            ("partition", self.partition.map(i64::from).map(number)),
            ("offset", self.offset.map(number)),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                pen.header(name.as_bytes(), Some(value.as_bytes()));
            }
        }
        pen.value(Some(row));
    }
}

fn head(row: &[u8]) -> &[u8] {
    &row[..row.len().min(HEAD_BYTES)]
}

/// What a reason says of a row of which only the first bytes are there.
#[must_use]
pub fn first_bytes(count: usize) -> String {
    format!("; here are the first {count}")
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use pipe::mark::Partition;
    use topic::draft::Drafts;

    use super::*;

    fn position(offset: i64) -> Position {
        Position { at: Rc::new(Partition("in".to_owned(), 2)), offset: Some(offset) }
    }

    #[test]
    fn a_place_is_a_file_or_a_topic() {
        assert_eq!("dead".parse(), Ok(Place::File("dead".into())));
        assert_eq!("topic:dead".parse(), Ok(Place::Topic("dead".to_owned())));
        assert_eq!("./topic:dead".parse(), Ok(Place::File("./topic:dead".into())));
        assert!("topic:".parse::<Place>().is_err() && "topic:a b".parse::<Place>().is_err());
    }

    #[test]
    fn a_letter_says_all_that_is_known() {
        let mut kept = Kept::default();
        kept.keep(3, b"a\xff", Some(position(7)));
        kept.keep(4, b"b", None);
        let mut out = Vec::new();
        Letter::of_line(3, "too \"large\"", &kept.take(3)).write(&mut out);
        Letter::of_line(4, "lost", &kept.take(4)).write(&mut out);
        let at = Partition("in".to_owned(), 2);
        let (stage, reason) = ("0:swin".to_owned(), "9 ms late".to_owned());
        let mark = DeadLetter { stage, at, offset: None, reason, line_b64: "Yg==".to_owned() };
        Letter::of_stage("late", &mark, b"b").write(&mut out);
        let lines = concat!(
            r#"{"line":3,"reason":"too \"large\"","topic":"in","partition":2,"offset":7,"#,
            "\"row_b64\":\"Yf8=\"}\n",
            r#"{"line":4,"reason":"lost","row_b64":"Yg=="}"#,
            "\n",
            r#"{"kind":"late","stage":"0:swin","reason":"9 ms late","topic":"in","partition":2,"#,
            "\"row_b64\":\"Yg==\"}\n",
        );
        assert_eq!(String::from_utf8_lossy(&out), lines);
    }

    #[test]
    fn a_letter_is_a_record_that_fits() {
        let mut drafts = Drafts::default();
        for (number, bytes) in [(1, 100), (2, 5_000)] {
            let row = Row { bytes: vec![b'x'; bytes].into(), position: Some(position(0)) };
            let mut pen = drafts.begin(number);
            Letter::of_line(number, "why", &row).record(4_000, &mut pen);
            pen.done();
        }
        let headers = drafts.headers();
        let records = drafts.records(&headers);
        let header = |record: usize, name: &str| {
            let found = records[record].headers.iter().find(|one| one.name == name.as_bytes());
            found.and_then(|one| one.value).map(String::from_utf8_lossy).unwrap_or_default()
        };
        let bytes: Vec<_> = records.iter().map(|one| one.value.map(<[u8]>::len)).collect();
        assert_eq!(bytes, [Some(100), Some(1_024)]);
        assert_eq!(
            ["reason", "topic", "partition", "offset"].map(|name| header(0, name)),
            ["why", "in", "2", "0"]
        );
        assert_eq!(header(1, "reason"), "why; here are the first 1024");
    }
}
