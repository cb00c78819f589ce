//! From lines to scores: the expression and the columns, found once the schema is known.

use row::expr::{Expr, compile};
use row::field::{Bad, Fields as _, Reader, Row};
use row::key;
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
    /// The columns of the key.
    pub keys: Vec<String>,
    /// The column of the window's end, when the caller names it.
    pub window: Option<String>,
}

/// Reads rows of one schema for one query.
#[derive(Debug)]
pub struct Intake {
    reader: Reader,
    score: Expr,
    keys: Vec<u16>,
    window: Option<Window>,
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
    keys: &'r [u16],
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
        let mut slot = |name: &str, option: &str| {
            reader.slot(name).map_err(|reason| (option.to_owned(), reason))
        };
        let keys = query.keys.iter().map(|name| slot(name, "--key")).collect::<Result<_, _>>()?;
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
    /// Puts the row's key into `key`.
    #[inline]
    pub fn key(&self, key: &mut Vec<u8>) {
        key.clear();
        for &slot in self.keys {
            key::push(&self.row.field(slot), self.keys.len(), key);
        }
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
        let query = Query { score, keys, window: None };
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
        assert_eq!(score("long"), Ok(Score::Number(Number::Float(18_446_744_073_709_551_616.0))));
        assert_eq!(score("t + 1"), Err((String::new(), "not a number".to_owned())));
    }

    #[test]
    fn windows_are_seen_in_the_first_row() {
        assert!(!intake("a", &[], r#"{"window_end":null}"#).expect("compiled").has_windows());
        let mut windows = intake("a", &["k"], r#"{"window_end":10,"a":1}"#).expect("compiled");
        assert!(windows.has_windows());
        let taken = windows.read(br#"{"window_end":20,"k":"x"}"#).expect("a row");
        let mut key = Vec::new();
        taken.key(&mut key);
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
}
