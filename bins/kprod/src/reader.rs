//! Lines as the console producer's reader takes them apart: `h1:v1,h2:v2<TAB>key<TAB>value`.
//!
//! The properties and the refusals are those of Kafka's `LineMessageReader`; what Java does to
//! bytes that are no UTF-8 is not done.

use std::fmt;

use memchr::memmem;
use regex::bytes::Regex;

/// What is said of bytes of a line in a message, at most.
const SHOWN_BYTES: usize = 1000;

/// A reader with its properties.
#[derive(Clone, Debug)]
pub struct Reader {
    topic: Option<String>,
    key: Option<Vec<u8>>,
    headers: Option<Headers>,
    ignore_error: bool,
    null_marker: Option<Vec<u8>>,
}

/// How headers are parted.
#[derive(Clone, Debug)]
struct Headers {
    delimiter: Vec<u8>,
    separator: Regex,
    key_separator: Vec<u8>,
}

/// A header: its name and its value, which may be null.
type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The parts of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The key, `None` for null.
    pub key: Option<&'a [u8]>,
    /// The value, `None` for null.
    pub value: Option<&'a [u8]>,
    /// The headers in order.
    pub headers: Vec<Header<'a>>,
}

/// Why a line has no such parts. The texts are Java's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A delimiter is missing: its name, the line's number and the line.
    Missing(&'static str, u64, String),
    /// A header has no separator.
    Pair(String, u64),
    /// A header is named as null is marked.
    NullName(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Missing(name, number, line) => {
                write!(out, "No {name} found on line number {number}: '{line}'")
            }
            Refusal::Pair(pair, number) => {
                write!(
                    out,
                    "No header key separator found in pair '{pair}' on line number {number}"
                )
            }
            Refusal::NullName(marker) => {
                let reason = "as they can't be null";
                write!(
                    out,
                    "Header keys should not be equal to the null marker '{marker}' {reason}"
                )
            }
        }
    }
}

impl Reader {
    /// The names of the properties.
    pub const PROPERTIES: [&str; 9] = [
        "topic",
        "parse.key",
        "key.separator",
        "parse.headers",
        "headers.delimiter",
        "headers.separator",
        "headers.key.separator",
        "ignore.error",
        "null.marker",
    ];

    /// A reader with `properties`, of which the later ones win.
    ///
    /// # Errors
    /// When two of them are equal that may not be, in Java's words, or the separator of headers
    /// is no regular expression.
    pub fn new(properties: &[(String, String)]) -> Result<Reader, String> {
        let given = |key: &str| {
            let mut found = properties.iter().rev().filter(|(name, _)| name == key);
            found.next().map(|(_, value)| value.as_str())
        };
        let is_set = |key| given(key).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        let text = |key, default| given(key).unwrap_or(default);
        let key_separator = text("key.separator", "\t");
        let delimiter = text("headers.delimiter", "\t");
        let separator = text("headers.separator", ",");
        let name_end = text("headers.key.separator", ":");
        let marker = given("null.marker");
        for (one, a, other, b) in [
            ("headers.delimiter", Some(delimiter), "headers.separator", separator),
            ("headers.delimiter", Some(delimiter), "headers.key.separator", name_end),
            ("headers.separator", Some(separator), "headers.key.separator", name_end),
            ("null.marker", marker, "key.separator", key_separator),
            ("null.marker", marker, "headers.separator", separator),
            ("null.marker", marker, "headers.delimiter", delimiter),
            ("null.marker", marker, "headers.key.separator", name_end),
        ] {
            if a == Some(b) {
                return Err(format!("{one} and {other} may not be equal"));
            }
        }
        let headers = Headers {
            delimiter: delimiter.into(),
            separator: Regex::new(separator).map_err(|error| one_line(&error.to_string()))?,
            key_separator: name_end.into(),
        };
        Ok(Reader {
            topic: given("topic").map(ToOwned::to_owned),
            key: is_set("parse.key").then(|| key_separator.into()),
            headers: is_set("parse.headers").then_some(headers),
            ignore_error: is_set("ignore.error"),
            null_marker: marker.map(Into::into),
        })
    }

    /// The topic, when a property names it.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_deref()
    }

    /// The parts of `line`, which has that `number`.
    ///
    /// # Errors
    /// When a part is missing, and errors are not to be ignored.
    pub fn parts<'a>(&self, line: &'a [u8], number: u64) -> Result<Parts<'a>, Refusal> {
        let (mut rest, mut headers, mut key) = (line, None, None);
        if let Some(parting) = &self.headers {
            let delimiter = parting.delimiter.as_slice();
            headers = self.before(&mut rest, delimiter, "headers delimiter", line, number)?;
        }
        if let Some(separator) = &self.key {
            key = self.before(&mut rest, separator, "key separator", line, number)?;
        }
        let headers = match (&self.headers, headers.and_then(|block| self.unless_null(block))) {
            (Some(parting), Some(block)) => self.headers(parting, block, number)?,
            _ => Vec::new(),
        };
        let key = key.and_then(|key| self.unless_null(key));
        Ok(Parts { key, value: self.unless_null(rest), headers })
    }

    /// What stands before `separator`, behind which `rest` goes on.
    fn before<'a>(
        &self,
        rest: &mut &'a [u8],
        separator: &[u8],
        name: &'static str,
        line: &[u8],
        number: u64,
    ) -> Result<Option<&'a [u8]>, Refusal> {
        match memmem::find(rest, separator) {
            Some(at) => {
                let before = &rest[..at];
                *rest = &rest[at + separator.len()..];
                Ok(Some(before))
            }
            None if self.ignore_error => Ok(None),
            None => Err(Refusal::Missing(name, number, shown(line))),
        }
    }

    fn unless_null<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        Some(bytes).filter(|bytes| self.null_marker.as_deref() != Some(*bytes))
    }

    fn headers<'a>(
        &self,
        parting: &Headers,
        block: &'a [u8],
        number: u64,
    ) -> Result<Vec<Header<'a>>, Refusal> {
        let header = |pair: &'a [u8]| {
            let separator = parting.key_separator.as_slice();
            let Some(at) = memmem::find(pair, separator) else {
                if self.ignore_error {
                    return Ok((pair, None));
                }
                return Err(Refusal::Pair(shown(pair), number));
            };
            let name = &pair[..at];
            if self.unless_null(name).is_none() {
                return Err(Refusal::NullName(shown(name)));
            }
            Ok((name, self.unless_null(&pair[at + separator.len()..])))
        };
        split(&parting.separator, block).into_iter().map(header).collect()
    }
}

/// The pieces of a text as Java's `Pattern.split` has them: without empty ones at the end, and
/// without the one before an empty match at the start.
fn split<'a>(pattern: &Regex, text: &'a [u8]) -> Vec<&'a [u8]> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    for found in pattern.find_iter(text) {
        if found.end() > 0 {
            pieces.push(&text[from..found.start()]);
            from = found.end();
        }
    }
    if from == 0 {
        return vec![text];
    }
    pieces.push(&text[from..]);
    while pieces.last().is_some_and(|piece| piece.is_empty()) {
        pieces.pop();
    }
    pieces
}

/// Bytes as a message shows them: in one line, without what would steer a terminal.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]);
    let escaped = text.chars().map(|letter| match letter {
        letter if letter.is_control() => letter.escape_default().to_string(),
        letter => letter.to_string(),
    });
    escaped.collect::<String>() + if bytes.len() > SHOWN_BYTES { "…" } else { "" }
}

/// The last line of an error's text, which says what is wrong; those before it show where.
fn one_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> Result<Reader, String> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Reader::new(&properties.iter().map(pair).collect::<Vec<_>>())
    }

    fn parts<'a>(properties: &[(&str, &str)], line: &'a str) -> Result<Parts<'a>, String> {
        let reader = reader(properties).expect("a reader");
        reader.parts(line.as_bytes(), 7).map_err(|refusal| refusal.to_string())
    }

    const BOTH: [(&str, &str); 2] = [("parse.headers", " TRUE"), ("parse.key", "true")];

    #[test]
    fn a_line_is_headers_key_and_value() {
        let all = parts(&BOTH, "a:1,b:2:3\tk\tv\tw").expect("parts");
        assert_eq!((all.key, all.value), (Some(&b"k"[..]), Some(&b"v\tw"[..])));
        assert_eq!(all.headers, [(&b"a"[..], Some(&b"1"[..])), (b"b", Some(&b"2:3"[..]))]);
        let plain = parts(&[], "a\tb").expect("parts");
        assert_eq!((plain.key, plain.value), (None, Some(&b"a\tb"[..])));
        assert!(plain.headers.is_empty());
    }

    #[test]
    fn what_is_missing_is_said_in_javas_words() {
        assert_eq!(
            parts(&BOTH[1..], "x"),
            Err("No key separator found on line number 7: 'x'".into())
        );
        assert_eq!(parts(&BOTH, "x\x1b"), {
            Err("No headers delimiter found on line number 7: 'x\\u{1b}'".into())
        });
        let pair = "No header key separator found in pair '' on line number 7";
        assert_eq!(parts(&BOTH, "\tk\tv"), Err(pair.into()));
    }

    #[test]
    fn ignored_errors_leave_parts_out() {
        let ignoring = [BOTH[0], BOTH[1], ("ignore.error", "true")];
        let bare = parts(&ignoring, "x").expect("parts");
        assert_eq!((bare.key, bare.value, bare.headers.len()), (None, Some(&b"x"[..]), 0));
        let half = parts(&ignoring, "a,b:1\tv").expect("parts");
        assert_eq!(half.headers, [(&b"a"[..], None), (b"b", Some(&b"1"[..]))]);
        assert_eq!((half.key, half.value), (None, Some(&b"v"[..])));
    }

    #[test]
    fn the_marker_is_null() {
        let marked = [BOTH[0], BOTH[1], ("null.marker", "N")];
        let null = parts(&marked, "a:N,b:NN\tN\tN").expect("parts");
        assert_eq!(null.headers, [(&b"a"[..], None), (b"b", Some(&b"NN"[..]))]);
        assert_eq!((null.key, null.value), (None, None));
        assert_eq!(parts(&marked, "N\tk\t").expect("parts").headers, []);
        let name = "Header keys should not be equal to the null marker 'N' as they can't be null";
        assert_eq!(parts(&marked, "N:1\tk\tv"), Err(name.into()));
    }

    #[test]
    fn equal_separators_are_refused() {
        for (properties, message) in [
            (&[("headers.delimiter", ",")][..], "headers.delimiter and headers.separator"),
            (&[("headers.key.separator", "\t")], "headers.delimiter and headers.key.separator"),
            (&[("headers.separator", ":")], "headers.separator and headers.key.separator"),
            (&[("null.marker", "\t")], "null.marker and key.separator"),
            (&[("null.marker", ":")], "null.marker and headers.key.separator"),
            (&[("null.marker", "")], ""),
        ] {
            let refused = reader(properties).err();
            let message = (!message.is_empty()).then(|| format!("{message} may not be equal"));
            assert_eq!(refused, message);
        }
        assert!(reader(&[("headers.separator", "(")]).is_err_and(|reason| !reason.contains('\n')));
    }

    #[test]
    fn headers_are_split_as_java_does() {
        let of = |pattern: &str, text: &'static str| {
            let pieces = split(&Regex::new(pattern).expect("a pattern"), text.as_bytes());
            pieces.into_iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
        };
        let same = |pattern, text, pieces: &[&str]| {
            let found: Vec<String> = of(pattern, text);
            assert_eq!(found, pieces, "{pattern} {text}");
        };
        same(",", "", &[""]);
        same(",", "a:1,,b:2,,", &["a:1", "", "b:2"]);
        same(",", ",", &[]);
        same(",", ",a", &["", "a"]);
        same("|", "ab", &["a", "b"]);
        same(" *; *", "a ; b;c", &["a", "b", "c"]);
    }
}
