//! The format strings of kcat.

use std::str::FromStr;

use crate::view::{View, number};

/// A format string, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
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
    Timestamp,
    Headers,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        let mut format = Format { pieces: Vec::new() };
        let mut rest = text.as_bytes();
        while let [byte, after @ ..] = rest {
            rest = match byte {
                b'%' => format.token(after)?,
                b'\\' => format.escape(after)?,
                byte => {
                    format.text(*byte);
                    after
                }
            };
        }
        Ok(format)
    }
}

impl Format {
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
            b'T' => Piece::Timestamp,
            b'h' => Piece::Headers,
            _ => {
                let known = "%s %S %k %K %t %p %o %T %h %%";
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

    /// Appends the record. Null prints nothing, and its length is -1; so does a missing timestamp.
    pub(crate) fn write(&self, view: &View<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Topic => out.extend_from_slice(view.topic.as_bytes()),
                Piece::Partition => number(view.partition, out),
                Piece::Offset => number(view.offset, out),
                Piece::Key => out.extend_from_slice(view.key.unwrap_or_default()),
                Piece::KeyLength => length(view.key, out),
                Piece::Value => out.extend_from_slice(view.value.unwrap_or_default()),
                Piece::ValueLength => length(view.value, out),
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
    fn escapes_are_those_of_kcat() {
        assert_eq!(written("\\t\\x41\\\\\\r\\0", &View::default()), "\tA\\\r\0");
    }

    #[test]
    fn a_wrong_format_is_refused_with_what_is_known() {
        let reason = "%q".parse::<Format>().expect_err("no such token");
        assert_eq!(reason, "no token %q; known are %s %S %k %K %t %p %o %T %h %%");
        for bad in ["%", "a\\", "\\x4", "\\xg0", "%é"] {
            assert!(bad.parse::<Format>().is_err(), "{bad}");
        }
    }
}
