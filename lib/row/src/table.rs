//! Rows as a table for people: aligned columns, numbers to the right, floats rounded.

use std::fmt::Write as _;

use memchr::memchr;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::value::{Number, Value};

/// Decimals of a float in a table.
const DECIMALS: usize = 4;

/// A table that is written row by row, or drawn again and again in place.
#[derive(Clone, Debug)]
pub struct Table {
    names: Vec<String>,
    widths: Vec<usize>,
    /// Columns in which every value so far was a number.
    numeric: Vec<bool>,
    /// Rows to write, as text.
    cells: Vec<Vec<String>>,
    named: bool,
    /// Whether the names are bold.
    bold: bool,
}

impl Table {
    /// A table with columns called `names`.
    #[must_use]
    pub fn new(names: &[impl AsRef<str>]) -> Table {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let widths = names.iter().map(|name| name.width()).collect();
        let numeric = vec![true; names.len()];
        Table { names, widths, numeric, cells: Vec::new(), named: false, bold: false }
    }

    /// The names are written bold, as a terminal understands it.
    pub fn embolden(&mut self) {
        self.bold = true;
    }

    /// The same table with other columns, before its first row.
    pub fn rename(&mut self, names: &[impl AsRef<str>]) {
        *self = Table { bold: self.bold, ..Table::new(names) };
    }

    /// Adds a row.
    pub fn row<'v>(&mut self, values: impl IntoIterator<Item = &'v Value<'v>>) {
        let mut cells = Vec::with_capacity(self.names.len());
        for (at, value) in values.into_iter().enumerate() {
            let cell = cell(value);
            self.widths[at] = self.widths[at].max(cell.width());
            let number = value.is_null() || value.number().is_ok();
            self.numeric[at] = self.numeric[at] && number;
            cells.push(cell);
        }
        self.cells.push(cells);
    }

    /// Appends the rows added since the last time, under the names where these are new.
    pub fn flow(&mut self, out: &mut Vec<u8>) {
        if self.cells.is_empty() {
            return;
        }
        if !self.named {
            self.head(None, out);
            self.named = true;
        }
        for cells in std::mem::take(&mut self.cells) {
            self.line(&cells, None, out);
        }
    }

    /// Appends the names and the rows added since the last time, cut to `columns` cells of the
    /// terminal; returns how many lines they take.
    pub fn draw(&mut self, columns: Option<usize>, out: &mut Vec<u8>) -> usize {
        let rows = std::mem::take(&mut self.cells);
        self.head(columns, out);
        for cells in &rows {
            self.line(cells, columns, out);
        }
        self.widths = self.names.iter().map(|name| name.width()).collect();
        self.numeric.fill(true);
        rows.len() + 1
    }

    fn head(&self, columns: Option<usize>, out: &mut Vec<u8>) {
        if self.bold {
            out.extend_from_slice(b"\x1b[1m");
        }
        self.line(&self.names, columns, out);
        if self.bold {
            // Before the newline, so that the line can be drawn over.
            let end = out.len() - 1;
            out.splice(end..end, *b"\x1b[0m");
        }
    }

    fn line(&self, cells: &[String], columns: Option<usize>, out: &mut Vec<u8>) {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                line.push_str("  ");
            }
            let pad = self.widths[at].saturating_sub(cell.width());
            if self.numeric[at] {
                line.extend(std::iter::repeat_n(' ', pad));
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', pad));
            }
        }
        let line = line.trim_end();
        out.extend_from_slice(cut(line, columns).as_bytes());
        out.push(b'\n');
    }
}

/// The part of a line that fits the terminal.
fn cut(line: &str, columns: Option<usize>) -> &str {
    let Some(columns) = columns else { return line };
    let mut width = 0;
    for (at, letter) in line.char_indices() {
        width += letter.width().unwrap_or(0);
        if width > columns {
            return &line[..at];
        }
    }
    line
}

/// A value as people read it: control characters cannot reach the terminal.
fn cell(value: &Value<'_>) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Float(float) => rounded(*float),
        // The floats of another program come as text.
        Value::Text(bytes) if memchr(b'.', bytes).is_some() => match value.number() {
            Ok(Number::Float(float)) => rounded(float),
            _ => escaped(value),
        },
        value => escaped(value),
    }
}

fn escaped(value: &Value<'_>) -> String {
    let bytes = value.bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut cell = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            let _ = write!(cell, "{}", letter.escape_default());
        } else {
            cell.push(letter);
        }
    }
    cell
}

fn rounded(float: f64) -> String {
    let size = float.abs();
    if size != 0.0 && !(1e-3..1e15).contains(&size) {
        return format!("{float:e}");
    }
    let text = format!("{float:.DECIMALS$}");
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn numbers_stand_right_and_text_left() {
        let mut table = Table::new(&["page", "heat"]);
        table.row(&[Value::Text(Cow::Borrowed(b"p1")), Value::Float(5.600_000_000_000_000_5)]);
        table.row(&[Value::Text(Cow::Borrowed("größer\n".as_bytes())), Value::Int(12)]);
        let mut out = Vec::new();
        assert_eq!(table.draw(None, &mut out), 3);
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "page      heat\np1         5.6\ngrößer\\n    12\n");
    }

    #[test]
    fn names_may_be_bold_and_stay_so_with_other_columns() {
        let mut table = Table::new(&["line"]);
        table.embolden();
        table.rename(&["page", "heat"]);
        table.row(&[Value::Text(Cow::Borrowed(b"p1")), Value::Int(12)]);
        let mut out = Vec::new();
        table.flow(&mut out);
        assert_eq!(out, b"\x1b[1mpage  heat\x1b[0m\np1      12\n");
        out.clear();
        table.draw(Some(6), &mut out);
        assert_eq!(out, b"\x1b[1mpage  \x1b[0m\n", "the letters are cut, and what is between");
    }

    #[test]
    fn a_line_is_cut_to_the_terminal() {
        assert_eq!(cut("größer", Some(3)), "grö");
        assert_eq!(cut("ab", Some(3)), "ab");
    }

    #[test]
    fn floats_are_rounded_for_people() {
        assert_eq!(rounded(2.2), "2.2");
        assert_eq!(rounded(3.0), "3.0");
        assert_eq!(rounded(0.1 + 0.2), "0.3");
        assert_eq!(rounded(1e300), "1e300");
    }
}
