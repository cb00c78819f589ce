//! Java's `.properties` files and `KEY=VALUE` arguments, read as Java reads them.
//!
//! The grammar is that of `java.util.Properties.load(InputStream)`: the bytes are Latin-1, a line
//! whose first letter is `#` or `!` is a comment, a backslash at the end of a line joins the next
//! one to it, the name ends at the first `=`, `:` or blank, and `\t`, `\n`, `\r`, `\f` and `\uXXXX`
//! are letters.

/// A file that Java refuses to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Malformed \\uxxxx encoding.")
    }
}

/// The names and values in the bytes of a file, in its order; of a name that stands twice, Java
/// keeps the last.
///
/// # Errors
/// When `\u` is not followed by four hexadecimal digits.
pub fn read(text: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    logical_lines(text).iter().map(|line| pair(line)).collect()
}

/// The name and the value of an argument, which are split at its first `=`; without one the value
/// is empty. Nothing is an escape here.
#[must_use]
pub fn argument(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

fn trim_start(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|byte| is_blank(**byte)).count();
    &line[blanks..]
}

/// The lines of a text, ended by `\n`, `\r` or `\r\n`.
fn natural_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        let both = after.starts_with(b"\r\n");
        rest = after.get(1 + usize::from(both)..).unwrap_or_default();
        Some(line)
    })
}

/// The lines that hold a property each, joined where a backslash says so.
fn logical_lines(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut lines, mut line, mut goes_on) = (Vec::new(), Vec::new(), false);
    for natural in natural_lines(text) {
        let natural = trim_start(natural);
        if !goes_on && matches!(natural.first(), None | Some(b'#' | b'!')) {
            continue;
        }
        // An even number of backslashes is half as many letters.
        goes_on = natural.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
        line.extend_from_slice(&natural[..natural.len() - usize::from(goes_on)]);
        if !goes_on && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn pair(line: &[u8]) -> Result<(String, String), Malformed> {
    let mut escaped = false;
    let ends = |byte: &u8| {
        let ends = !escaped && (matches!(byte, b'=' | b':') || is_blank(*byte));
        escaped = !escaped && *byte == b'\\';
        ends
    };
    let (key, rest) = line.split_at(line.iter().position(ends).unwrap_or(line.len()));
    let rest = trim_start(rest);
    let value = rest.strip_prefix(b"=").or_else(|| rest.strip_prefix(b":")).unwrap_or(rest);
    Ok((unescape(key)?, unescape(trim_start(value))?))
}

/// Text without its escapes. Its letters are UTF-16 units, of which two `\uXXXX` may make one.
fn unescape(text: &[u8]) -> Result<String, Malformed> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let unit = match byte {
            b'\\' => match bytes.next() {
                None => break,
                Some(b't') => u16::from(b'\t'),
                Some(b'n') => u16::from(b'\n'),
                Some(b'r') => u16::from(b'\r'),
                Some(b'f') => 0x0c,
                Some(b'u') => unicode(&mut bytes)?,
                Some(other) => other.into(),
            },
            byte => byte.into(),
        };
        units.push(unit);
    }
    Ok(String::from_utf16_lossy(&units))
}

fn unicode(bytes: &mut impl Iterator<Item = u8>) -> Result<u16, Malformed> {
    let digit = |unit: u32, byte: u8| char::from(byte).to_digit(16).map(|digit| unit * 16 + digit);
    let digits: Vec<u8> = bytes.take(4).collect();
    if digits.len() < 4 {
        return Err(Malformed);
    }
    let unit = digits.into_iter().try_fold(0, digit);
    unit.and_then(|unit| u16::try_from(unit).ok()).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &[u8]) -> Vec<(String, String)> {
        read(text).expect("properties")
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_name_ends_at_a_sign_or_a_blank() {
        let text = b"a=1\nb:2\nc 3\nd = : 4 \n  e\nf==\ng\\ h\\=i = j\n";
        let expected = [
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("d", ": 4 "),
            ("e", ""),
            ("f", "="),
            ("g h=i", "j"),
        ];
        assert_eq!(pairs(text), expected.map(|(key, value)| pair(key, value)));
    }

    #[test]
    fn comments_and_empty_lines_are_none() {
        assert_eq!(pairs(b"# a=1\n  ! b=2\\\nc=3#4\r\n\r\n \t\n"), [pair("c", "3#4")]);
    }

    #[test]
    fn a_backslash_at_the_end_joins_the_next_line() {
        assert_eq!(
            pairs(b"a=1,\\\r\n   2,\\\n\t3\nb=4\\\\\nc=5\\"),
            [pair("a", "1,2,3"), pair("b", "4\\"), pair("c", "5"),]
        );
        assert_eq!(
            pairs(b"a=1\\\n\nb=2\n\\\n#c=3"),
            [pair("a", "1"), pair("b", "2"), pair("#c", "3")]
        );
    }

    #[test]
    fn escapes_are_letters() {
        let text = b"a=\\t\\n\\r\\f\\\\\\q\\u00e9\\uD83D\\uDE00\xe9";
        assert_eq!(pairs(text), [pair("a", "\t\n\r\x0c\\q\u{e9}\u{1f600}\u{e9}")]);
        assert_eq!(read(b"a=\\u00g0"), Err(Malformed));
        assert_eq!(read(b"a=\\u00"), Err(Malformed));
    }

    #[test]
    fn an_argument_is_split_at_its_first_sign_and_has_no_escapes() {
        assert_eq!(argument("key.separator=\\t=="), pair("key.separator", "\\t=="));
        assert_eq!(argument("a="), pair("a", ""));
        assert_eq!(argument("a"), pair("a", ""));
    }
}
