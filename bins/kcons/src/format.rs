//! The format strings of kcat.

use std::str::FromStr;

use crate::view::{View, number};

/// A format string, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
    /// What null keys and values print as.
    null: &'static [u8],
}

/// What stands between keys and values, or ends records: bytes, of which some are spelt `\t`,
/// `\n`, `\r`, `\0` or `\xNN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delimiter(pub(crate) Vec<u8>);

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Delimiter, String> {
        let format = Format::read(text, false)?;
        match format.pieces.into_iter().next() {
            Some(Piece::Text(text)) => Ok(Delimiter(text)),
            _ => Ok(Delimiter(Vec::new())),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Key,
    KeyLength,
    Value,
    ValueLength,
    /// The value's length as four bytes, big endian.
    Frame,
    Timestamp,
    Headers,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        Format::read(text, true)
    }
}

impl Format {
    /// Key and value, or the value alone, and a delimiter.
    pub(crate) fn of_parts(key: Option<&Delimiter>, delimiter: Option<&Delimiter>) -> Format {
        let mut pieces = Vec::new();
        if let Some(Delimiter(separator)) = key {
            pieces.extend([Piece::Key, Piece::Text(separator.clone())]);
        }
        let end = delimiter.map_or_else(|| b"\n".to_vec(), |delimiter| delimiter.0.clone());
        pieces.extend([Piece::Value, Piece::Text(end)]);
        Format { pieces, null: b"" }
    }

    /// The same format that prints null keys and values as `NULL`.
    pub(crate) fn with_null(self) -> Format {
        Format { null: b"NULL", ..self }
    }

    /// Reads a text with tokens or, without, one in which a `%` is a `%`.
    fn read(text: &str, tokens: bool) -> Result<Format, String> {
        let mut format = Format::default();
        let mut rest = text.as_bytes();
        while let [byte, after @ ..] = rest {
            rest = match byte {
                b'%' if tokens => format.token(after)?,
                b'\\' => format.escape(after)?,
                byte => {
                    format.text(*byte);
                    after
                }
            };
        }
        Ok(format)
    }

    /// Takes what follows a `%` and returns the rest.
    fn token<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], String> {
        let [token, rest @ ..] = text else {
            return Err("a % at the end; %% prints one".to_owned());
        };
        let piece = match token {
            b'%' => {
                self.text(b'%');
                return Ok(rest);
            }
            b't' => Piece::Topic,
            b'p' => Piece::Partition,
            b'o' => Piece::Offset,
            b'k' => Piece::Key,
            b'K' => Piece::KeyLength,
            b's' => Piece::Value,
            b'S' => Piece::ValueLength,
            b'R' => Piece::Frame,
            b'T' => Piece::Timestamp,
            b'h' => Piece::Headers,
            _ => {
                let known = "%s %S %R %k %K %t %p %o %T %h %%";
                let token = String::from_utf8_lossy(text);
                let token = token.chars().next().unwrap_or_default();
                return Err(format!("no token %{token}; known are {known}"));
            }
        };
        self.pieces.push(piece);
        Ok(rest)
    }

    /// Takes what follows a backslash and returns the rest.
    fn escape<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], String> {
        match text {
            [b'x', high, low, rest @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let byte = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low);
                let byte = byte.and_then(|byte| u8::try_from(byte).ok());
                self.text(byte.ok_or("two hexadecimal digits follow \\x")?);
                Ok(rest)
            }
            [b'x', ..] => Err("two hexadecimal digits follow \\x".to_owned()),
            [byte, rest @ ..] => {
                self.text(match byte {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'0' => 0,
                    byte => *byte,
                });
                Ok(rest)
            }
            [] => Err("a \\ at the end; \\\\ prints one".to_owned()),
        }
    }

    fn text(&mut self, byte: u8) {
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            text.push(byte);
        } else {
            self.pieces.push(Piece::Text(vec![byte]));
        }
    }

    /// Appends the record. Null's length is -1, and so is a missing timestamp.
    pub(crate) fn write(&self, view: &View<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Topic => out.extend_from_slice(view.topic.as_bytes()),
                Piece::Partition => number(view.partition, out),
                Piece::Offset => number(view.offset, out),
                Piece::Key => out.extend_from_slice(view.key.unwrap_or(self.null)),
                Piece::KeyLength => length(view.key, out),
                Piece::Value => out.extend_from_slice(view.value.unwrap_or(self.null)),
                Piece::ValueLength => length(view.value, out),
                Piece::Frame => frame(view.value, out),
                Piece::Timestamp => number(view.timestamp.map_or(-1, |(ms, _)| ms), out),
                Piece::Headers => headers(view, out),
            }
        }
    }
}

fn length(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        Some(bytes) => number(bytes.len(), out),
        None => number(-1, out),
    }
}

/// A value of 2 GiB, which no broker takes, has the length of null.
fn frame(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    let length = bytes.and_then(|bytes| i32::try_from(bytes.len()).ok()).unwrap_or(-1);
    out.extend_from_slice(&length.to_be_bytes());
}

/// `name=value,name=value`, with `NULL` for null.
fn headers(view: &View<'_>, out: &mut Vec<u8>) {
    for (index, (name, value)) in view.headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value.unwrap_or(b"NULL"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: &str, view: &View<'_>) -> String {
        let format: Format = format.parse().expect("a format");
        let mut out = Vec::new();
        format.write(view, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn every_token_prints_its_part() {
        let view = View {
            topic: "t",
            partition: 2,
            offset: 17,
            timestamp: Some((1_700_000_000_000, false)),
            key: Some(b"k"),
            value: Some(b"val"),
            headers: vec![(b"a", Some(b"1")), (b"b", None)],
            leader_epoch: None,
        };
        assert_eq!(
            written("%t|%p|%o|%k|%K|%s|%S|%T|%h|%%\\n", &view),
            "t|2|17|k|1|val|3|1700000000000|a=1,b=NULL|%\n"
        );
    }

    #[test]
    fn null_is_told_from_empty_by_its_length() {
        let view = View { value: Some(b""), ..View::default() };
        assert_eq!(written("%k,%K,%s,%S,%T,%h", &view), ",-1,,0,-1,");
    }

    #[test]
    fn a_frame_is_the_length_in_four_bytes() {
        let format: Format = "%R%s".parse().expect("a format");
        let mut out = Vec::new();
        format.write(&View { value: Some(b"abc"), ..View::default() }, &mut out);
        format.write(&View::default(), &mut out);
        assert_eq!(out, b"\0\0\0\x03abc\xff\xff\xff\xff");
    }

    #[test]
    fn delimiters_have_any_bytes() {
        let bytes = |text: &str| text.parse().map(|Delimiter(bytes)| bytes);
        assert_eq!(bytes("\\0\\x00;%s"), Ok(b"\0\0;%s".to_vec()));
        assert_eq!((bytes(""), bytes("\u{e9}")), (Ok(Vec::new()), Ok(b"\xc3\xa9".to_vec())));
        assert!(bytes("\\x1").is_err());
        let format = Format::of_parts(Some(&Delimiter(b"::".to_vec())), None);
        let mut out = Vec::new();
        format.write(&View { key: Some(b"k"), ..View::default() }, &mut out);
        format.with_null().write(&View::default(), &mut out);
        assert_eq!(out, b"k::\nNULL::NULL\n");
    }

    #[test]
    fn escapes_are_those_of_kcat() {
        assert_eq!(written("\\t\\x41\\\\\\r\\0", &View::default()), "\tA\\\r\0");
    }

    #[test]
    fn a_wrong_format_is_refused_with_what_is_known() {
        let reason = "%q".parse::<Format>().expect_err("no such token");
        assert_eq!(reason, "no token %q; known are %s %S %R %k %K %t %p %o %T %h %%");
        for bad in ["%", "a\\", "\\x4", "\\xg0", "%é"] {
            assert!(bad.parse::<Format>().is_err(), "{bad}");
        }
    }
}
