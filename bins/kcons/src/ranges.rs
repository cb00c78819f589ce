//! The lines `topic partition from until` of a file of offsets.

use std::fmt::Write as _;

/// The offset behind what was read of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// The topic.
    pub(crate) topic: String,
    /// The partition.
    pub(crate) partition: i32,
    /// The offset to be read next.
    pub(crate) until: i64,
}

/// What the lines of a file say; of a partition that stands twice, the last line counts.
///
/// # Errors
/// The number of the line that is none, and why.
pub(crate) fn parse(text: &str) -> Result<Vec<Read>, (usize, &'static str)> {
    let line = |(at, line): (usize, &str)| read(line).map_err(|reason| (at + 1, reason));
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

fn read(line: &str) -> Result<Read, &'static str> {
    const FORM: &str = "a line is: topic partition from until";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let &[topic, partition, from, until] = fields.as_slice() else { return Err(FORM) };
    let offset = |text: &str| text.parse::<i64>().ok().filter(|&offset| offset >= 0);
    let partition = partition.parse::<i32>().ok().filter(|&number| number >= 0);
    match (partition, offset(from), offset(until)) {
        (Some(partition), Some(from), Some(until)) if from <= until => {
            Ok(Read { topic: topic.to_owned(), partition, until })
        }
        _ => Err(FORM),
    }
}

/// Appends a line.
pub(crate) fn write(topic: &str, partition: i32, from: i64, until: i64, out: &mut String) {
    writeln!(out, "{topic} {partition} {from} {until}").expect("memory takes every line");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut text = String::new();
        write("t", 0, 3, 7, &mut text);
        write("u", 12, 0, 0, &mut text);
        assert_eq!(text, "t 0 3 7\nu 12 0 0\n");
        let reads = parse(&text).expect("lines");
        assert_eq!(reads[0], Read { topic: "t".to_owned(), partition: 0, until: 7 });
        assert_eq!((reads.len(), reads[1].until), (2, 0));
        assert_eq!(parse("\n"), Ok(Vec::new()));
    }

    #[test]
    fn a_line_that_is_cut_off_is_named() {
        for bad in ["t 0 3", "t 0 7 3", "t -1 0 0", "t 0 x 3", "t 0 0 1 2", "t 0 -1 2"] {
            let text = format!("t 0 0 1\n{bad}\n");
            assert_eq!(parse(&text).expect_err("no line").0, 2, "{bad}");
        }
    }
}
