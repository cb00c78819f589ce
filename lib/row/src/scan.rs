//! The members of a plain JSON object, found in one pass that builds nothing.
//!
//! Plain is what programs write: ASCII without escapes, numbers without exponents, little nesting.
//! Whatever else a line holds, right or wrong, is left to `serde_json`, which is the judge of what
//! JSON is; so every line that is taken here has to be one that it would take as well.

use std::ops::Range;

/// Arrays and objects in each other that are looked into at most.
const DEPTH_MAX: u8 = 8;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `null`
    Null,
    /// A string, in its quotes.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    /// Its name.
    pub(crate) name: &'a [u8],
    /// What its value is.
    pub(crate) kind: Kind,
    /// Where its value stands in the line.
    pub(crate) value: Range<usize>,
}

/// Goes through an object. All its functions give `None` for what is not plain.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner behind the brace that `line` starts with.
    #[inline]
    pub(crate) fn new(line: &'a [u8]) -> Option<Scanner<'a>> {
        (line.first() == Some(&b'{')).then_some(Scanner { line, at: 1 })
    }

    /// Whether there is another member, for [`Scanner::member`] to take; `first` tells whether it
    /// would be the first one. If not, the object and with it the line has ended.
    #[inline]
    pub(crate) fn more(&mut self, first: bool) -> Option<bool> {
        let more = self.goes_on(b'}', first)?;
        if !more {
            self.skip_blanks();
        }
        (more || self.at == self.line.len()).then_some(more)
    }

    /// The member that comes now.
    #[inline]
    pub(crate) fn member(&mut self) -> Option<Member<'a>> {
        let (name, kind, value) = self.pair(1)?;
        Some(Member { name, kind, value })
    }

    /// Whether there is another element before `end`; takes the comma, or the end.
    #[inline]
    fn goes_on(&mut self, end: u8, first: bool) -> Option<bool> {
        let byte = self.peek()?;
        if byte == end {
            self.at += 1;
            return Some(false);
        }
        if !first {
            if byte != b',' {
                return None;
            }
            self.at += 1;
            self.skip_blanks();
        }
        Some(true)
    }

    #[inline]
    fn pair(&mut self, depth: u8) -> Option<(&'a [u8], Kind, Range<usize>)> {
        let start = self.at + 1;
        self.string()?;
        let name = &self.line[start..self.at - 1];
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.skip_blanks();
        let start = self.at;
        let kind = self.value(depth)?;
        Some((name, kind, start..self.at))
    }

    #[inline]
    fn value(&mut self, depth: u8) -> Option<Kind> {
        match self.line.get(self.at)? {
            b'"' => self.string().map(|()| Kind::String),
            b'-' | b'0'..=b'9' => self.number().map(|()| Kind::Number),
            b'n' => self.word(b"null").map(|()| Kind::Null),
            b't' => self.word(b"true").map(|()| Kind::Bool),
            b'f' => self.word(b"false").map(|()| Kind::Bool),
            b'[' if depth < DEPTH_MAX => self.array(depth + 1).map(|()| Kind::Array),
            b'{' if depth < DEPTH_MAX => self.object(depth + 1).map(|()| Kind::Object),
            _ => None,
        }
    }

    fn array(&mut self, depth: u8) -> Option<()> {
        self.at += 1;
        let mut first = true;
        while self.goes_on(b']', first)? {
            self.value(depth)?;
            first = false;
        }
        Some(())
    }

    fn object(&mut self, depth: u8) -> Option<()> {
        self.at += 1;
        let mut first = true;
        while self.goes_on(b'}', first)? {
            self.pair(depth)?;
            first = false;
        }
        Some(())
    }

    /// The byte after blanks.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.line.get(self.at).copied()
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while self.line.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        let found = self.line[self.at..].starts_with(word);
        self.at += word.len();
        found.then_some(())
    }

    /// Takes a string with its quotes.
    #[inline]
    fn string(&mut self) -> Option<()> {
        if self.line.get(self.at) != Some(&b'"') {
            return None;
        }
        self.at += 1;
        while let Some(eight) = self.line[self.at..].first_chunk() {
            let special = special_bytes(u64::from_le_bytes(*eight));
            self.at += special.trailing_zeros() as usize / 8;
            if special != 0 {
                return self.quote();
            }
        }
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20 | 0x80..);
        self.at += self.line[self.at..].iter().position(ends)?;
        self.quote()
    }

    #[inline]
    fn quote(&mut self) -> Option<()> {
        let found = self.line[self.at] == b'"';
        self.at += 1;
        found.then_some(())
    }

    /// Takes a number: a zero leads nothing but itself, and a point stands between digits.
    #[inline]
    fn number(&mut self) -> Option<()> {
        if self.line[self.at] == b'-' {
            self.at += 1;
        }
        let start = self.at;
        self.digits()?;
        if self.line[start] == b'0' && self.at > start + 1 {
            return None;
        }
        if self.line.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        (!matches!(self.line.get(self.at), Some(b'e' | b'E'))).then_some(())
    }

    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.line.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// Has the high bit of the first of eight bytes that ends a plain string or is not plain: a quote,
/// a backslash, a control byte, or none of ASCII. Bits above that one mean nothing.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let quote = word ^ u64::from_le_bytes([b'"'; 8]);
    let backslash = word ^ u64::from_le_bytes([b'\\'; 8]);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    (below(quote, 1) | below(backslash, 1) | below(word, 0x20) | word) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_special_byte_is_found_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut bytes = *b"a~[!#]}z";
                bytes[at] = byte;
                let is_special = matches!(byte, b'"' | b'\\' | ..0x20 | 0x80..);
                let first = special_bytes(u64::from_le_bytes(bytes)).trailing_zeros() / 8;
                assert_eq!(first as usize, if is_special { at } else { 8 }, "{byte} at {at}");
            }
        }
    }

    /// The members as `serde_json` sees them: their names, and their values as they stand.
    fn judged(line: &[u8]) -> Option<Vec<(String, String)>> {
        let members = crate::member::members(line).ok()?;
        Some(members.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }

    fn scanned(line: &[u8]) -> Option<Vec<(String, String)>> {
        let mut scanner = Scanner::new(line)?;
        let mut members = Vec::new();
        while scanner.more(members.is_empty())? {
            let member = scanner.member()?;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII");
            members.push((text(member.name), text(&line[member.value])));
        }
        Some(members)
    }

    /// Texts that look like JSON: objects of values, with a piece put in, or cut off.
    fn lines() -> impl Strategy<Value = String> {
        let scalar = prop::sample::select(vec![
            "0",
            "-0",
            "01",
            "12.50",
            "1.",
            ".5",
            "-",
            "1e5",
            "1E-2",
            "null",
            "nul",
            "true",
            "false",
            "\"\"",
            "\"abcdefgh\"",
            "\"a long string of letters\"",
            "\"\\n\"",
            "\"\u{e9}\"",
            "\"\t\"",
        ]);
        let value = scalar.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
            let list = prop::collection::vec(inner, 0..3);
            (list, any::<bool>()).prop_map(|(values, array)| {
                if array {
                    format!("[{}]", values.join(", "))
                } else {
                    let members: Vec<_> = values.iter().map(|v| format!("\"k\" :{v}")).collect();
                    format!("{{{} }}", members.join(" ,"))
                }
            })
        });
        let name = prop::sample::select(vec!["a", "b", "long_name_of_it", "", "a"]);
        let object = prop::collection::vec((name, value), 0..4).prop_map(|members| {
            let members: Vec<_> = members.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
            format!("{{{}}}", members.join(","))
        });
        let piece = prop::sample::select(vec!["", "", "", ",", "}", "]", " ", "\"", ":", "0", "{"]);
        (object, any::<prop::sample::Index>(), piece, 0..3_usize).prop_map(
            |(mut line, place, piece, cut)| {
                let mut at = place.index(line.len() + 1);
                while !line.is_char_boundary(at) {
                    at -= 1;
                }
                line.insert_str(at, piece);
                let length = line.len() - cut.saturating_sub(1);
                if line.is_char_boundary(length) {
                    line.truncate(length);
                }
                line
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_is_taken_is_what_serde_takes(line in lines()) {
            if let Some(members) = scanned(line.as_bytes()) {
                prop_assert_eq!(Some(members), judged(line.as_bytes()), "{}", line);
            }
        }

        #[test]
        fn no_bytes_are_taken_that_serde_refuses(
            bytes in prop::collection::vec(
                prop::sample::select(b"{}[]\",:\\ -.0123e\tntrue\xc3\xa9".to_vec()), 0..24
            )
        ) {
            let line = [b"{\"a\":", bytes.as_slice()].concat();
            for line in [bytes, line] {
                if let Some(members) = scanned(&line) {
                    prop_assert_eq!(Some(members), judged(&line), "{:?}", line);
                }
            }
        }
    }

    #[test]
    fn plain_lines_are_taken() {
        for line in [
            "{}",
            "{\"ms\":1700000000000,\"key\":\"k17\",\"value\":12.5}",
            "{ \"a\" : [1, {\"b\": null}, []] , \"c\":-0.5 } ",
        ] {
            assert!(scanned(line.as_bytes()).is_some(), "{line}");
        }
    }
}
