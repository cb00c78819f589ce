//! What stands beside an offset that was committed together with results: who has committed it,
//! and which epoch of which assignment it ends.
//!
//! The text is `kpipe MEMBER EPOCH GENERATION`. A member may have any name, so that the text is
//! read from the right. Without the generation, an epoch of an earlier assignment of the same
//! member, which counts anew in each, would pass for the one of the same number in this one.

use std::fmt;

/// What stands before the rest.
const SIGNATURE: &str = "kpipe";

/// The end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// The member's id.
    pub member: &'a str,
    /// The number of the epoch in its assignment.
    pub epoch: u64,
    /// The group's generation that the assignment is of.
    pub generation: i32,
}

impl<'a> Note<'a> {
    /// The note in the text beside an offset, if it is one.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Note<'a>> {
        let rest = text.strip_prefix(SIGNATURE)?.strip_prefix(' ')?;
        let (rest, generation) = rest.rsplit_once(' ')?;
        let (member, epoch) = rest.rsplit_once(' ')?;
        Some(Note { member, epoch: epoch.parse().ok()?, generation: generation.parse().ok()? })
    }
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SIGNATURE} {} {} {}", self.member, self.epoch, self.generation)
    }
}

/// Whether an offset was committed together with results, by the text beside it.
#[must_use]
pub fn is_signed(text: &str) -> bool {
    text.strip_prefix(SIGNATURE).is_some_and(|rest| rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_whatever_the_member_is_called() {
        for member in ["m", "host 1-rdkafka-5f", "m 3 4", ""] {
            let note = Note { member, epoch: 12, generation: 7 };
            let text = note.to_string();
            assert_eq!(text, format!("kpipe {member} 12 7"));
            assert_eq!(Note::parse(&text), Some(note));
            assert!(is_signed(&text));
        }
    }

    #[test]
    fn another_text_is_no_note() {
        for text in ["", "kpipe", "kpipe m 1", "kpipe m x 1", "kpipe m 1 x", "kpiper m 1 1"] {
            assert_eq!(Note::parse(text), None, "{text}");
        }
        assert!(is_signed("kpipe m 1") && !is_signed("kpiper m 1 1") && !is_signed(""));
    }
}
