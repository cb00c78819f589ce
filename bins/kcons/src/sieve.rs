//! Which records are written, by their keys, values and headers.

use regex::bytes::Regex;

/// Patterns that a record has to match, all of them.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    /// For keys; a null key matches none.
    pub(crate) keys: Vec<Regex>,
    /// For values; a null value matches none.
    pub(crate) values: Vec<Regex>,
    /// For the headers of a name, of which one has to match.
    pub(crate) headers: Vec<(String, Regex)>,
}

impl Sieve {
    /// Whether every record passes.
    pub(crate) fn is_open(&self) -> bool {
        self.keys.is_empty() && self.values.is_empty() && self.headers.is_empty()
    }

    /// Whether a record passes; `headers` are only asked for when patterns look at them.
    pub(crate) fn passes<'a, H: Iterator<Item = (&'a [u8], Option<&'a [u8]>)>>(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Fn() -> H,
    ) -> bool {
        let all = |patterns: &[Regex], bytes: Option<&[u8]>| {
            patterns.iter().all(|pattern| bytes.is_some_and(|bytes| pattern.is_match(bytes)))
        };
        let one = |(name, pattern): &(String, Regex)| {
            headers().any(|(header, value)| {
                header == name.as_bytes() && value.is_some_and(|value| pattern.is_match(value))
            })
        };
        all(&self.keys, key) && all(&self.values, value) && self.headers.iter().all(one)
    }
}

/// A `NAME=RE` of a header.
///
/// # Errors
/// When there is no `=`, no name, or the pattern is none.
pub(crate) fn header(text: &str) -> Result<(String, Regex), String> {
    match text.split_once('=') {
        Some((name, pattern)) if !name.is_empty() => Ok((name.to_owned(), expression(pattern)?)),
        _ => Err("is NAME=RE".to_owned()),
    }
}

/// A regular expression over bytes.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| reason(&error))
}

/// The last line of what the parser says, which is the reason.
pub(crate) fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(sieve: &Sieve, key: Option<&[u8]>, value: Option<&[u8]>) -> bool {
        let headers: [(&[u8], Option<&[u8]>); 3] =
            [(b"a", Some(b"1")), (b"a", Some(b"2")), (b"b", None)];
        sieve.passes(key, value, || headers.into_iter())
    }

    #[test]
    fn all_patterns_have_to_match_and_null_matches_none() {
        let pattern = |text| expression(text).expect("a pattern");
        let keys = vec![pattern("^k"), pattern("y")];
        let sieve = Sieve { keys, values: vec![pattern("")], ..Sieve::default() };
        assert!(passes(&sieve, Some(b"key"), Some(b"")));
        assert!(!passes(&sieve, Some(b"k"), Some(b"")) && !passes(&sieve, Some(b"key"), None));
        assert!(!passes(&sieve, None, Some(b"")));
        let bytes = Sieve { values: vec![pattern("(?-u)\\xff$")], ..Sieve::default() };
        assert!(passes(&bytes, None, Some(b"a\xff")) && !passes(&bytes, None, Some(b"a")));
    }

    #[test]
    fn one_of_several_headers_of_a_name_is_enough() {
        let sieve = |text| Sieve { headers: vec![header(text).expect("x")], ..Sieve::default() };
        assert!(passes(&sieve("a=2"), None, None) && !passes(&sieve("a=3"), None, None));
        assert!(!passes(&sieve("b=.*"), None, None) && !passes(&sieve("c=.*"), None, None));
        assert!(header("a").is_err() && header("=a").is_err());
        assert_eq!(header("a=(").expect_err("open"), "unclosed group");
    }
}
