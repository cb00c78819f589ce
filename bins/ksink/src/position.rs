//! Where lines come from, as far as the marks of their stream say it.

use std::rc::Rc;

use pipe::mark::{Mark, Partition};

/// The place of a line in the topic that the pipeline began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its partition.
    pub at: Rc<Partition>,
    /// Its offset; stages that make new rows know none.
    pub offset: Option<i64>,
}

/// The position of the line that comes next.
#[derive(Debug, Default)]
pub struct Course {
    next: Option<Position>,
}

impl Course {
    /// Learns from a mark what it says of the lines behind it.
    pub fn heed(&mut self, mark: &Mark) {
        match mark {
            Mark::Begin { .. } => self.next = None,
            Mark::From { at, offset } => {
                self.next = Some(Position { at: Rc::new(at.clone()), offset: *offset });
            }
            _ => {}
        }
    }

    /// A line comes: where from.
    pub fn line(&mut self) -> Option<Position> {
        let next = self.next.as_mut()?;
        let position = next.clone();
        next.offset = next.offset.map(|offset| offset + 1);
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_behind_a_mark_have_consecutive_offsets_until_the_next() {
        let mut course = Course::default();
        assert_eq!(course.line(), None);
        let at = Partition("t".to_owned(), 3);
        let position = |offset| Some(Position { at: Rc::new(at.clone()), offset });
        course.heed(&Mark::From { at: at.clone(), offset: Some(7) });
        course.heed(&Mark::Tick { ms: 100 });
        assert_eq!([course.line(), course.line()], [position(Some(7)), position(Some(8))]);
        course.heed(&Mark::From { at: at.clone(), offset: None });
        assert_eq!([course.line(), course.line()], [position(None), position(None)]);
        let (group, generation, member, instance) = (None, None, None, None);
        let partitions = Vec::new();
        course.heed(&Mark::Begin { group, generation, member, instance, partitions });
        assert_eq!(course.line(), None);
    }
}
