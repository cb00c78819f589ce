//! CSV records with quotes, cut into fields by `csv_core`, whose tables take longer to make than
//! many records to cut.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use crate::field::Bad;

/// Cuts records.
#[derive(Debug)]
pub(crate) struct Csv {
    reader: Reader,
    ends: Vec<usize>,
}

impl Csv {
    /// Cuts records whose fields are separated by `separator`.
    pub(crate) fn new(separator: u8) -> Csv {
        // A record is a line, and nothing else in it ends one.
        let terminator = Terminator::Any(b'\n');
        let reader = ReaderBuilder::new().delimiter(separator).terminator(terminator).build();
        Csv { reader, ends: Vec::new() }
    }

    /// Cuts a line into its fields, which stand unquoted in `bytes`, one behind the other: gives
    /// the places where they end. What `bytes` holds behind the last one means nothing.
    ///
    /// # Errors
    /// When a quoted field does not end.
    pub(crate) fn cut(&mut self, line: &[u8], bytes: &mut Vec<u8>) -> Result<&[usize], Bad> {
        // RFC 4180 ends records in CR LF.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Csv { reader, ends } = self;
        reader.reset();
        grow(bytes, line.len() + 1);
        grow(ends, line.len() + 2);
        let (mut wrote, mut ended) = (0, 0);
        for input in [line, b"\n", b""] {
            let (result, read, out, fields) =
                reader.read_record(input, &mut bytes[wrote..], &mut ends[ended..]);
            // The newline ends the record, unless it stands inside quotes; one within a line, whose
            // end is another byte then, may stand nowhere else.
            if input == b"\n" && out > 0 || read < input.len() {
                return Err(Bad::Quote);
            }
            wrote += out;
            ended += fields;
            if matches!(result, ReadRecordResult::Record) {
                break;
            }
        }
        // An empty line has one field, which is empty.
        if ended == 0 {
            (ends[0], ended) = (0, 1);
        }
        Ok(&ends[..ended])
    }

    /// The fields of a line.
    ///
    /// # Errors
    /// As [`Csv::cut`].
    pub(crate) fn fields(&mut self, line: &[u8]) -> Result<Vec<Vec<u8>>, Bad> {
        let mut bytes = Vec::new();
        let ends = self.cut(line, &mut bytes)?;
        let mut start = 0;
        let field = |&end: &usize| bytes[std::mem::replace(&mut start, end)..end].to_vec();
        Ok(ends.iter().map(field).collect())
    }
}

/// Makes room, and keeps what there is.
fn grow<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_any_length_follow_each_other() {
        let mut csv = Csv::new(b';');
        for (line, expected) in [
            ("a;\"b;\"\"c\"\"\";", Some(vec!["a", "b;\"c\"", ""])),
            ("\"x\"", Some(vec!["x"])),
            ("\"x\";\"open", None),
            ("\"open\"\"", None),
            ("", Some(vec![""])),
            ("\"a\rb\";c\rd\r", Some(vec!["a\rb", "c\rd"])),
            ("\"\"", Some(vec![""])),
            ("\"a\n\";b", Some(vec!["a\n", "b"])),
            ("\"a\";b\nc", None),
            ("x\"y\";\u{feff}\"z", Some(vec!["x\"y\"", "\u{feff}\"z"])),
        ] {
            let fields = csv.fields(line.as_bytes());
            let expected =
                expected.map(|fields| fields.iter().map(|f| f.as_bytes().to_vec()).collect());
            assert_eq!(fields, expected.ok_or(Bad::Quote), "{line}");
        }
    }
}
