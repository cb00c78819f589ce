//! From lines to scores: the expression and the columns, found once the schema is known.

use row::expr::{Expr, compile};
use row::field::{Bad, Fields as _, Reader, Row};
use row::key::{self, Key};
use row::member::members;
use row::schema::Schema;
use row::sql::Item;
use row::time::{Clock, Format, zone};

use crate::score::Score;

/// The column of a window's end, as `swin` writes it.
pub const WINDOW_END: &str = "window_end";

/// What is asked of every row.
#[derive(Clone, Debug)]
pub struct Query {
    /// What rows are ranked by.
    pub score: Item,
    /// The columns of the group, then those of the key.
    pub keys: Vec<String>,
    /// How many of these are the group's.
    pub grouped: usize,
    /// The column of the window's end, when the caller names it.
    pub window: Option<String>,
}

/// Reads rows of one schema for one query.
#[derive(Debug)]
pub struct Intake {
    reader: Reader,
    score: Expr,
    keys: Keys,
    window: Option<Window>,
}

/// Where the columns of the group and the key stand.
#[derive(Clone, Debug)]
struct Keys {
    slots: Vec<u16>,
    grouped: usize,
}

/// Reads nothing but the keys of rows.
#[derive(Debug)]
pub struct KeyIntake {
    reader: Reader,
    keys: Keys,
    key: Vec<u8>,
}

#[derive(Debug)]
struct Window {
    name: String,
    slot: u16,
    clock: Clock,
}

/// A row that was read.
#[derive(Debug)]
pub struct Taken<'r> {
    /// What it is ranked by.
    pub score: Score<'r>,
    /// The end of its window, when it has one.
    pub window: Option<i64>,
    /// The line that was read.
    pub line: &'r [u8],
    row: Row<'r>,
    keys: &'r Keys,
}

impl Intake {
    /// Compiles `query` for rows of `schema`. The column `window_end` says the windows unless the
    /// query names another; whether JSON rows have it shows in the `first` row.
    ///
    /// # Errors
    /// When a column or a function is not known: the option and the reason.
    pub fn new(query: &Query, schema: Schema, first: &[u8]) -> Result<Intake, (String, String)> {
        let mut reader = Reader::new(schema);
        let item = &query.score;
        let score = compile(&item.ast, &item.text, &mut |name: &str| reader.slot(name));
        let score = score.map_err(|refused| ("EXPR".to_owned(), refused.to_string()))?;
        let windows = tells_windows(reader.schema(), first);
        let keys = Keys::new(query, &mut reader)?;
        let mut slot = |name: &str, option: &str| {
            reader.slot(name).map_err(|reason| (option.to_owned(), reason))
        };
        let window = match &query.window {
            Some(name) => Some(Window::new(name, slot(name, "--window")?)?),
            None if windows => Some(Window::new(WINDOW_END, slot(WINDOW_END, "--window")?)?),
            None => None,
        };
        Ok(Intake { reader, score, keys, window })
    }

    /// Whether rows belong to windows.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        self.window.is_some()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no row, or has no score or time to read.
    #[inline]
    pub fn read<'r>(&'r mut self, line: &'r [u8]) -> Result<Taken<'r>, Bad> {
        let row = self.reader.read(line)?;
        let score = match self.score.number(row) {
            Ok(number) => Score::of_number(number),
            // It may be text, which has a rank as well.
            Err(_) => Score::of(self.score.value(row).map_err(Bad::Value)?),
        };
        let window = self.window.as_ref().map(|window| window.end(row)).transpose()?;
        Ok(Taken { score, window, line, row, keys: &self.keys })
    }
}

/// Whether rows have a column that says the end of their window.
fn tells_windows(schema: &Schema, first: &[u8]) -> bool {
    if schema.is_json() {
        let members = members(first).unwrap_or_default();
        return members.iter().any(|(name, value)| name == WINDOW_END && *value != "null");
    }
    schema.columns(first).iter().any(|(name, _)| name == WINDOW_END)
}

impl Window {
    fn new(name: &str, slot: u16) -> Result<Window, (String, String)> {
        let zone = zone("UTC").map_err(|reason| ("UTC".to_owned(), reason))?;
        Ok(Window { name: name.to_owned(), slot, clock: Clock::new(Format::Auto, zone) })
    }

    fn end(&self, row: Row<'_>) -> Result<i64, Bad> {
        let end = self.clock.read(&row.field(self.slot));
        end.map_err(|shown| Bad::Time(format!("{}: {shown}", self.name)))
    }
}

impl Taken<'_> {
    /// Puts the row's group and key into `key`; returns how many bytes are the group.
    #[inline]
    pub fn key(&self, key: &mut Vec<u8>) -> usize {
        self.keys.put(self.row, key)
    }
}

impl Keys {
    fn new(query: &Query, reader: &mut Reader) -> Result<Keys, (String, String)> {
        let slot = |(at, name): (usize, &String)| {
            let option = if at < query.grouped { "--per" } else { "--key" };
            reader.slot(name).map_err(|reason| (option.to_owned(), reason))
        };
        let slots = query.keys.iter().enumerate().map(slot).collect::<Result<_, _>>()?;
        Ok(Keys { slots, grouped: query.grouped })
    }

    #[inline]
    fn put(&self, row: Row<'_>, key: &mut Vec<u8>) -> usize {
        key.clear();
        let mut group = 0;
        for (at, &slot) in self.slots.iter().enumerate() {
            if at == self.grouped {
                group = key.len();
            }
            key::push(&row.field(slot), self.slots.len(), key);
        }
        if self.grouped == self.slots.len() { key.len() } else { group }
    }
}

impl KeyIntake {
    /// Reads the keys of `query` in rows of `schema`.
    ///
    /// # Errors
    /// When a column is not known: the option and the reason.
    pub fn new(query: &Query, schema: Schema) -> Result<KeyIntake, (String, String)> {
        let mut reader = Reader::new(schema);
        let keys = Keys::new(query, &mut reader)?;
        Ok(KeyIntake { reader, keys, key: Vec::new() })
    }

    /// The key of a line, and how many of its bytes are the group.
    ///
    /// # Errors
    /// When the line is no row.
    #[inline]
    pub fn read<'r>(&'r mut self, line: &'r [u8]) -> Result<(Key<'r>, usize), Bad> {
        let row = self.reader.read(line)?;
        if let [slot] = self.keys.slots[..]
            && let Some(text) = row.text(slot)
        {
            return Ok((Key::of_text(text), self.keys.grouped * (text.len() + 1)));
        }
        let group = self.keys.put(row, &mut self.key);
        Ok((Key::new(&self.key), group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use row::schema::Options;
    use row::value::Number;

    fn intake(expr: &str, keys: &[&str], first: &str) -> Result<Intake, (String, String)> {
        let score = row::sql::item(expr).expect("it parses");
        let keys = keys.iter().map(|&name| name.to_owned()).collect();
        let query = Query { score, keys, grouped: 0, window: None };
        let (schema, _) = Options::default().schema(first.as_bytes()).expect("a schema");
        Intake::new(&query, schema, first.as_bytes())
    }

    #[test]
    fn a_score_is_a_number_or_text() {
        let first = r#"{"a":2,"t":"x","n":null,"long":18446744073709551616}"#;
        let score = |expr| {
            intake(expr, &[], first)?
                .read(first.as_bytes())
                .map(|taken| taken.score.to_owned())
                .map_err(|bad| (String::new(), bad.to_string()))
        };
        assert_eq!(score("a * 2"), Ok(Score::Number(Number::Int(4))));
        assert_eq!(score("upper(t)"), Ok(Score::Text(b"X".as_slice().into())));
        assert_eq!(score("n + 1"), Ok(Score::Null));
        assert_eq!(score("long"), Ok(Score::Long(18_446_744_073_709_551_616)));
        assert_eq!(score("t + 1"), Err((String::new(), "not a number".to_owned())));
    }

    #[test]
    fn windows_are_seen_in_the_first_row() {
        assert!(!intake("a", &[], r#"{"window_end":null}"#).expect("compiled").has_windows());
        let mut windows = intake("a", &["k"], r#"{"window_end":10,"a":1}"#).expect("compiled");
        assert!(windows.has_windows());
        let taken = windows.read(br#"{"window_end":20,"k":"x"}"#).expect("a row");
        let mut key = Vec::new();
        assert_eq!(taken.key(&mut key), 0);
        assert_eq!((taken.window, key.as_slice()), (Some(20), &b"\x02x"[..]));
        let bad = windows.read(b"{}").expect_err("no window");
        assert_eq!(bad.to_string(), "no time (window_end: NULL)");
    }

    #[test]
    fn unknown_columns_are_refused_with_their_option() {
        let (option, reason) = intake("$1", &["page"], "a,1").expect_err("no names");
        assert_eq!(option, "--key");
        assert!(reason.contains("--names"), "{reason}");
    }

    #[test]
    fn the_group_is_the_front_of_the_key() {
        let mut query = Query {
            score: row::sql::item("count").expect("it parses"),
            keys: vec!["g".to_owned(), "k".to_owned()],
            grouped: 1,
            window: None,
        };
        let line = br#"{"g":"x","k":"y"}"#;
        let mut keys = KeyIntake::new(&query, Schema::json()).expect("columns");
        let (key, group) = keys.read(line).expect("a row");
        assert_eq!((key.rest(), group), (&b"x\0\0\x02y\0\0"[..], 4));
        query.keys.pop();
        let mut keys = KeyIntake::new(&query, Schema::json()).expect("columns");
        assert_eq!(keys.read(line).map(|(_, group)| group), Ok(2));
        let mut keys = KeyIntake::new(&query, Schema::json()).expect("columns");
        assert_eq!(keys.read(br#"{"g":12}"#).map(|(_, group)| group), Ok(3));
        query.grouped = 0;
        let mut keys = KeyIntake::new(&query, Schema::json()).expect("columns");
        assert_eq!(keys.read(br#"{"g":12}"#).map(|(_, group)| group), Ok(0));
    }
}
