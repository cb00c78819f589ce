//! Records that end in more than one byte.

/// Puts together what lines that end in the delimiter's last byte have parted.
#[derive(Debug)]
pub struct Splitter {
    delimiter: Vec<u8>,
    bytes_max: usize,
    piece: Vec<u8>,
}

impl Splitter {
    /// Of records that end in `delimiter`, which is not empty. Of one longer than `bytes_max`, so
    /// many bytes and one more are kept.
    #[must_use]
    pub fn new(delimiter: &[u8], bytes_max: usize) -> Splitter {
        Splitter { delimiter: delimiter.to_vec(), bytes_max, piece: Vec::new() }
    }

    /// The byte that ends the lines which are pushed.
    #[must_use]
    pub fn last_byte(&self) -> u8 {
        self.delimiter.last().copied().unwrap_or(b'\n')
    }

    /// Takes a line, without its last byte; gives the record that it ends.
    pub fn push(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let (last, first) = self.delimiter.split_last()?;
        self.piece.extend_from_slice(line);
        if self.piece.ends_with(first) {
            self.piece.truncate(self.piece.len() - first.len());
            return Some(std::mem::take(&mut self.piece));
        }
        self.piece.push(*last);
        if self.piece.len() > self.bytes_max + self.delimiter.len() {
            // What is too long already needs its end alone.
            let end = self.piece.split_off(self.piece.len() - self.delimiter.len());
            self.piece.truncate(self.bytes_max + 1);
            self.piece.extend_from_slice(&end);
        }
        None
    }

    /// What came behind the last delimiter, when anything did.
    pub fn rest(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        self.piece.extend_from_slice(line);
        Some(std::mem::take(&mut self.piece)).filter(|piece| !piece.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of `text`, cut at the last byte of `delimiter` as lines are.
    fn records(delimiter: &str, text: &str) -> Vec<String> {
        let mut splitter = Splitter::new(delimiter.as_bytes(), 9);
        let last = char::from(splitter.last_byte());
        let mut records = Vec::new();
        let (whole, torn) = text.rsplit_once(last).map_or((None, text), |(a, b)| (Some(a), b));
        for line in whole.into_iter().flat_map(|whole| whole.split(last)) {
            records.extend(splitter.push(line.as_bytes()));
        }
        records.extend(splitter.rest(torn.as_bytes()));
        records.into_iter().map(|record| String::from_utf8_lossy(&record).into_owned()).collect()
    }

    #[test]
    fn the_whole_delimiter_ends_a_record() {
        assert_eq!(records("||", "a||b|c||||d|"), ["a", "b|c", "", "d|"]);
        assert_eq!(records("aab", "xaaabyb"), ["xa", "yb"]);
        assert_eq!(records("\r\n", "a\r\nb\n\r\n"), ["a", "b\n"]);
        assert_eq!(records("||", ""), [""; 0]);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        assert_eq!(records("||", &format!("{}||b", "a|".repeat(99))).len(), 2);
        assert!(records("||", &"a|".repeat(99))[0].len() < 14);
    }
}
