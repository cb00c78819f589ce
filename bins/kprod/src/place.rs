//! Where a record came from: its input and its line.

/// Bits of a number that are the line's.
const LINE_BITS: u32 = 40;

/// The number of the record from line `line` (from 1) of input `input` (from 0).
#[must_use]
pub fn number(input: usize, line: u64) -> u64 {
    (input as u64) << LINE_BITS | line
}

/// The input and the line of a record's number.
#[must_use]
pub fn parts(number: u64) -> (usize, u64) {
    let input = usize::try_from(number >> LINE_BITS).unwrap_or(usize::MAX);
    (input, number & ((1 << LINE_BITS) - 1))
}

/// The lines from record `first` to `last` of one input, as messages name them: with `files`, by
/// the name of the file.
#[must_use]
pub fn name(first: u64, last: u64, files: &[String]) -> String {
    let ((input, first), (_, last)) = (parts(first), parts(last));
    let file = files.get(input).map(|file| format!("{file}: ")).unwrap_or_default();
    if first == last {
        format!("{file}line {first}")
    } else {
        format!("{file}lines {first} to {last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_input_and_line() {
        assert_eq!(parts(number(3, 1_000_000_000_000)), (3, 1_000_000_000_000));
        assert_eq!(number(0, 7) + 1, number(0, 8));
    }

    #[test]
    fn lines_are_named_with_their_file_when_there_are_files() {
        assert_eq!(name(number(0, 7), number(0, 7), &[]), "line 7");
        let files = ["a.txt", "b.txt"].map(ToOwned::to_owned);
        assert_eq!(name(number(1, 7), number(1, 9), &files), "b.txt: lines 7 to 9");
    }
}
