//! Where the key of a record comes from when it is made from a line.

use std::str::FromStr;

use memchr::memmem::Finder;

/// The rule by which lines become keys and values.
#[derive(Clone, Debug)]
pub enum Rule {
    /// No key; the whole line is the value.
    None,
    /// The same key for every line, which is the value.
    Same(Vec<u8>),
    /// The key stands before the first separator, the value behind it.
    Before(Box<Finder<'static>>),
}

/// A line without the separator that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSeparator;

impl Rule {
    /// The rule of the options `-K separator` and `-k key`, of which one at most is given.
    #[must_use]
    pub fn new(separator: Option<&Separator>, key: Option<&[u8]>) -> Rule {
        match (separator, key) {
            (Some(separator), _) => Rule::Before(Box::new(Finder::new(&separator.0).into_owned())),
            (None, Some(key)) => Rule::Same(key.to_owned()),
            (None, None) => Rule::None,
        }
    }

    /// The key and the value in `line`. Nothing before the separator is an empty key, which is
    /// not the same as none.
    ///
    /// # Errors
    /// When the line needs a separator and has none.
    #[inline]
    pub fn split<'a>(
        &'a self,
        line: &'a [u8],
    ) -> Result<(Option<&'a [u8]>, &'a [u8]), NoSeparator> {
        match self {
            Rule::None => Ok((None, line)),
            Rule::Same(key) => Ok((Some(key), line)),
            Rule::Before(finder) => {
                let at = finder.find(line).ok_or(NoSeparator)?;
                Ok((Some(&line[..at]), &line[at + finder.needle().len()..]))
            }
        }
    }
}

/// What stands between key and value: bytes as they are, or `\t`, `\0`, `\x1f`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separator(Vec<u8>);

impl FromStr for Separator {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Separator, Self::Err> {
        match pipe::units::byte(text) {
            Ok(byte) => Ok(Separator(vec![byte])),
            Err(_) if text.is_empty() => Err("a separator has at least one byte"),
            Err(_) => Ok(Separator(text.as_bytes().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_counts() {
        let rule = Rule::new(Some(&Separator(b"::".to_vec())), None);
        assert_eq!(rule.split(b"k::v::w"), Ok((Some(&b"k"[..]), &b"v::w"[..])));
        assert_eq!(rule.split(b"::"), Ok((Some(&b""[..]), &b""[..])));
        assert_eq!(rule.split(b"k:v"), Err(NoSeparator));
        assert_eq!(rule.split(b""), Err(NoSeparator));
    }

    #[test]
    fn a_key_of_its_own_leaves_the_line_whole() {
        assert_eq!(Rule::new(None, None).split(b"a:b"), Ok((None, &b"a:b"[..])));
        let same = Rule::new(None, Some(b"k"));
        assert_eq!(same.split(b""), Ok((Some(&b"k"[..]), &b""[..])));
    }

    #[test]
    fn separators_are_written_as_delimiters_are() {
        let bytes = |text: &str| text.parse().map(|Separator(bytes)| bytes);
        assert_eq!(bytes("\\t"), Ok(b"\t".to_vec()));
        assert_eq!(bytes("::"), Ok(b"::".to_vec()));
        assert_eq!(bytes("\u{e9}"), Ok("\u{e9}".as_bytes().to_vec()));
        assert!(bytes("").is_err());
    }
}
