//! Rows that a regular expression reads: its groups are the fields.

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

/// The regular expression of `-i re:PATTERN`.
///
/// It is looked for anywhere in the line, as grep does. It sees bytes, so that no line is refused
/// for not being UTF-8: `.` is any byte, and `(?u)` turns letters on.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// The names of the groups from `$1` on; `None` where a group has none.
    names: Vec<Option<String>>,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// When it is no regular expression, with the place, or has no group.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let regex = RegexBuilder::new(text).unicode(false).build();
        let regex = regex.map_err(|error| refusal(&error))?;
        let names = regex.capture_names().skip(1).map(|name| name.map(str::to_owned));
        let names: Vec<Option<String>> = names.collect();
        if names.is_empty() {
            return Err("the fields are the groups of a pattern, and it has none; \
                        (?<name>\\S+) is one"
                .to_owned());
        }
        Ok(Pattern { regex, names })
    }

    /// The names of the groups from `$1` on; `None` where a group has none.
    #[must_use]
    pub fn names(&self) -> &[Option<String>] {
        &self.names
    }

    /// The names that groups have.
    pub(crate) fn known(&self) -> impl Iterator<Item = &str> {
        self.names.iter().flatten().map(String::as_str)
    }

    /// The position of the group called `name`, from 0.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.as_deref() == Some(name))
    }

    /// A place for what [`Pattern::find`] finds.
    pub(crate) fn locations(&self) -> CaptureLocations {
        self.regex.capture_locations()
    }

    /// Finds the groups in a line; false when it does not match.
    pub(crate) fn find(&self, line: &[u8], found: &mut CaptureLocations) -> bool {
        self.regex.captures_read(found, line).is_some()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for Pattern {}

/// Why a pattern is none, the reason before the place and not behind it.
fn refusal(error: &regex::Error) -> String {
    let text = error.to_string();
    let mut lines: Vec<&str> = text.lines().collect();
    match (lines.first(), lines.last().and_then(|last| last.strip_prefix("error: "))) {
        (Some(&"regex parse error:"), Some(reason)) => {
            lines[0] = reason;
            lines.pop();
            lines.join("\n")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_pattern_shows_the_place() {
        let refused = |text: &str| Pattern::new(text).expect_err(text);
        assert_eq!(refused("(a"), "unclosed group\n    (a\n    ^");
        assert!(refused("a").contains("it has none"));
        assert!(refused("(a{9999}{9999})").contains("size limit"));
    }
}
