//! Lines as nearly all are: of at most 31 bytes, with numbers of a few digits. They are read in one
//! pass that keeps nothing of a field but its value; whatever looks unusual is left to
//! [`crate::field`].

use crate::cuts::Cuts;
use crate::key::Key;
use crate::value::{Number, read_last_digits, read_number};

/// Reads plain lines.
#[derive(Clone, Debug)]
pub struct Plain {
    separator: u8,
    /// Whether quotes mean something.
    csv: bool,
    /// Whether a line has as many fields as there are here, and not more.
    exact: bool,
    /// What each field is, up to the last one that is asked for.
    fields: Vec<Field>,
}

/// What a field is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Nobody asks.
    Unasked,
    /// The time, in milliseconds.
    Time,
    /// The key.
    Key,
    /// The number that goes to this place.
    Number(usize),
}

impl Plain {
    /// A reader of lines of `fields`, cut at `separator`; of no others, if that is `exact`.
    #[must_use]
    pub fn new(separator: u8, csv: bool, exact: bool, fields: Vec<Field>) -> Plain {
        Plain { separator, csv, exact, fields }
    }

    /// Reads the line that `rest` begins with and `delimiter` ends, and puts its numbers into
    /// `numbers`. `None` says nothing about the line, and leaves scraps in `numbers`.
    #[inline]
    pub fn read<'l>(
        &self,
        rest: &'l [u8],
        delimiter: u8,
        numbers: &mut [Number],
    ) -> Option<Line<'l>> {
        // All that is looked for stands in these bytes, also what ends the line.
        let head = rest.first_chunk()?;
        let bytes = &rest[..Cuts::in_head(head, delimiter).next()?];
        let mut cuts = Cuts::in_head(head, self.separator).before(bytes.len());
        if self.csv && is_csv(bytes) {
            return None;
        }
        let mut line = Line { bytes, time: 0, key: Key::new(b"") };
        let mut start = 0;
        for field in &self.fields {
            let end = cuts.next().unwrap_or(bytes.len());
            // A line with fewer fields has none to begin here.
            let (until, length) = (&bytes[..end], end.checked_sub(start)?);
            match *field {
                Field::Unasked => {}
                Field::Time => line.time = read_last_digits(until, length)?,
                Field::Key if length == 0 => return None,
                Field::Key => line.key = Key::of_text(&until[start..]),
                Field::Number(at) => {
                    *numbers.get_mut(at)? = match read_last_digits(until, length) {
                        Some(int) => Number::Int(int),
                        None => read_number(&until[start..]).ok()??,
                    };
                }
            }
            start = end + 1;
        }
        (!self.exact || start > bytes.len()).then_some(line)
    }
}

/// A plain line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'l> {
    /// The line.
    pub bytes: &'l [u8],
    /// Its time, in milliseconds since the epoch.
    pub time: i64,
    /// Its key; without columns when none is asked for.
    pub key: Key<'l>,
}

/// Whether a line may be anything else than fields between separators.
fn is_csv(line: &[u8]) -> bool {
    line.last() == Some(&b'\r') || memchr::memchr(b'"', line).is_some()
}
