//! The forms of a row: text with a profile's own separator, CSV, and JSON.

use std::borrow::Cow;
use std::str::FromStr;

use memchr::memmem;

/// The form of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Values with the profile's separator between them.
    #[default]
    Text,
    /// RFC 4180, with a header line.
    Csv,
    /// One object a line.
    Json,
}

impl Form {
    /// What the forms are called.
    pub const NAMES: [&str; 3] = ["text", "csv", "json"];
}

impl FromStr for Form {
    type Err = String;

    fn from_str(name: &str) -> Result<Form, String> {
        match name {
            "text" => Ok(Form::Text),
            "csv" => Ok(Form::Csv),
            "json" => Ok(Form::Json),
            _ => Err("no such form".to_owned()),
        }
    }
}

/// A column of a profile.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name in a CSV header and in JSON, which needs no escape there.
    pub name: Cow<'static, str>,
    /// Whether JSON writes its values in quotes.
    pub quoted: bool,
}

impl Column {
    /// A column of numbers.
    #[must_use]
    pub const fn number(name: &'static str) -> Column {
        Column { name: Cow::Borrowed(name), quoted: false }
    }

    /// A column of text that needs no escape in any form.
    #[must_use]
    pub const fn text(name: &'static str) -> Column {
        Column { name: Cow::Borrowed(name), quoted: true }
    }
}

/// What stands before, between and after the values of a row.
#[derive(Clone, Debug)]
pub struct Frame {
    header: Option<String>,
    /// What stands before the time, when the row has one in front.
    stamp: Option<String>,
    /// One before each value and one after the last.
    parts: Vec<String>,
}

/// The column that the time in front of a row makes.
const TIME: Column = Column::number("ms");

impl Frame {
    /// The frame of `columns` in a form, after the time when `timed`; `separator` is that of the
    /// text form.
    #[must_use]
    pub fn new(form: Form, separator: &str, timed: bool, columns: &[Column]) -> Frame {
        let columns: Vec<_> = timed.then_some(TIME).iter().chain(columns).cloned().collect();
        let names: Vec<_> = columns.iter().map(|column| &*column.name).collect();
        let mut parts = match form {
            Form::Text => plain_parts(separator, columns.len()),
            Form::Csv => plain_parts(",", columns.len()),
            Form::Json => json_parts(&columns),
        };
        let header = (form == Form::Csv).then(|| names.join(",") + "\n");
        let stamp = timed.then(|| parts.remove(0));
        Frame { header, stamp, parts }
    }

    /// The header line, when the form has one.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// Whether the time stands in front of a row.
    #[must_use]
    pub fn has_time(&self) -> bool {
        self.stamp.is_some()
    }

    /// Appends the time in front of a row, when it has one there.
    #[inline]
    pub fn write_time(&self, ms: i64, out: &mut Vec<u8>) {
        if let Some(stamp) = &self.stamp {
            out.extend_from_slice(stamp.as_bytes());
            out.extend_from_slice(itoa::Buffer::new().format(ms).as_bytes());
        }
    }

    /// The value of the column `at`, from 0 and without the time, which is not the last one, in a
    /// row where neither it nor those before it hold anything that stands between values.
    #[must_use]
    pub fn value<'a>(&self, at: usize, line: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = line.get(self.stamp.as_ref().map_or(0, String::len)..)?;
        for part in &self.parts[..=at] {
            rest = &rest[memmem::find(rest, part.as_bytes())? + part.len()..];
        }
        Some(&rest[..memmem::find(rest, self.parts[at + 1].as_bytes())?])
    }

    /// What stands before value `at`, from 0 and without the time; after the last one, what ends
    /// the row.
    #[must_use]
    pub fn before(&self, at: usize) -> &str {
        &self.parts[at]
    }
}

fn plain_parts(separator: &str, columns: usize) -> Vec<String> {
    let mut parts = vec![separator.to_owned(); columns + 1];
    parts[0].clear();
    "\n".clone_into(&mut parts[columns]);
    parts
}

fn json_parts(columns: &[Column]) -> Vec<String> {
    let mut parts = Vec::with_capacity(columns.len() + 1);
    let mut end = "{";
    for column in columns {
        let quote = if column.quoted { "\"" } else { "" };
        parts.push(format!("{end}\"{}\":{quote}", column.name));
        end = if column.quoted { "\"," } else { "," };
    }
    parts.push(end.replace(',', "}\n"));
    parts
}

/// A short piece of a row, of at most `N` bytes, that is copied with one move of fixed size:
/// a call to copy some few bytes costs more than they do.
#[derive(Clone, Copy, Debug)]
pub struct Cell<const N: usize> {
    bytes: [u8; N],
    surplus: usize,
}

impl<const N: usize> Cell<N> {
    /// The cell that holds `text`, when it is short enough.
    #[must_use]
    pub fn new(text: &str) -> Option<Cell<N>> {
        let surplus = N.checked_sub(text.len())?;
        let mut bytes = [0; N];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Cell { bytes, surplus })
    }

    /// The cells of so many texts.
    ///
    /// # Panics
    /// When one is too long, which a test of the caller shows in every form.
    #[must_use]
    pub fn table(count: usize, text: impl Fn(usize) -> String) -> Vec<Cell<N>> {
        (0..count).map(|at| Cell::new(&text(at)).expect("every form's texts are short")).collect()
    }

    /// Puts the text at the start of `place`, which has room for `N` bytes; how many it has.
    ///
    /// # Panics
    /// When there is no room.
    #[inline]
    #[must_use]
    pub fn put(&self, place: &mut [u8]) -> usize {
        place[..N].copy_from_slice(&self.bytes);
        N - self.surplus
    }

    /// Appends the text.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        out.truncate(out.len() - self.surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [Column::text("page"), Column::number("liked")];

    fn row(form: Form, timed: bool) -> String {
        let frame = Frame::new(form, "|", timed, &COLUMNS);
        let mut row = frame.header().unwrap_or_default().as_bytes().to_vec();
        frame.write_time(5, &mut row);
        let row = String::from_utf8(row).expect("ASCII");
        row + frame.before(0) + "page1" + frame.before(1) + "-1" + frame.before(2)
    }

    #[test]
    fn each_form_frames_the_values() {
        assert_eq!(row(Form::Text, false), "page1|-1\n");
        assert_eq!(row(Form::Csv, false), "page,liked\npage1,-1\n");
        assert_eq!(row(Form::Json, false), "{\"page\":\"page1\",\"liked\":-1}\n");
    }

    #[test]
    fn the_time_stands_in_front() {
        assert_eq!(row(Form::Text, true), "5|page1|-1\n");
        assert_eq!(row(Form::Csv, true), "ms,page,liked\n5,page1,-1\n");
        assert_eq!(row(Form::Json, true), "{\"ms\":5,\"page\":\"page1\",\"liked\":-1}\n");
    }

    #[test]
    fn a_quoted_last_value_is_closed() {
        let frame = Frame::new(Form::Json, " ", false, &[Column::text("message")]);
        assert_eq!((frame.before(0), frame.before(1)), ("{\"message\":\"", "\"}\n"));
    }

    #[test]
    fn a_cell_writes_just_its_text() {
        let mut out = b"a".to_vec();
        Cell::<8>::new("bc").expect("short").write(&mut out);
        Cell::<8>::new("").expect("short").write(&mut out);
        assert_eq!(out, b"abc");
        assert!(Cell::<1>::new("bc").is_none());
    }

    #[test]
    fn every_form_has_its_name() {
        for name in Form::NAMES {
            assert!(name.parse::<Form>().is_ok(), "{name}");
        }
        assert!("xml".parse::<Form>().is_err());
    }
}
