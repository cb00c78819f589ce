//! Where a byte stands in a short line, found without a search for each time it does: rows are
//! short, and so are the ways between their separators.

/// The longest line whose [`Cuts`] are found at once.
pub(crate) const BYTES_MAX: usize = 64;

/// The places of a byte in a line, the first one first.
#[derive(Clone, Debug)]
pub(crate) struct Cuts(u64);

impl Cuts {
    /// The places of `byte` in `line`, which has at most [`BYTES_MAX`] bytes.
    #[inline]
    pub(crate) fn new(line: &[u8], byte: u8) -> Cuts {
        let pattern = u64::from_le_bytes([byte; 8]);
        let Some(last) = line.last_chunk() else {
            let bit = |(at, other): (usize, &u8)| u64::from(*other == byte) << at;
            return Cuts(line.iter().enumerate().map(bit).sum());
        };
        // The last eight bytes may have been looked at before, which does not change them.
        let mut places = equal_bytes(u64::from_le_bytes(*last), pattern) << (line.len() - 8);
        for (at, word) in line.as_chunks().0.iter().enumerate() {
            places |= equal_bytes(u64::from_le_bytes(*word), pattern) << (8 * at);
        }
        Cuts(places)
    }
}

impl Iterator for Cuts {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let at = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(at as usize)
    }

    #[inline]
    fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// A bit for each of eight bytes that is as in `pattern`, the first byte's lowest.
#[inline]
fn equal_bytes(word: u64, pattern: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differing = word ^ pattern;
    // The high bit of each byte without difference; no byte carries into the next.
    let equal = !(((differing & LOW) + LOW) | differing | LOW);
    // Moves bit 8 i to bit 56 + i.
    (equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cuts_are_where_a_search_finds_them(
            line in vec(prop::sample::select(b"a,\0\x80\xac,-+".to_vec()), 0..=BYTES_MAX),
            byte in prop::sample::select(b",\0\x80".to_vec())
        ) {
            let found: Vec<usize> = memchr::memchr_iter(byte, &line).collect();
            prop_assert_eq!(Cuts::new(&line, byte).count(), found.len());
            prop_assert_eq!(Cuts::new(&line, byte).collect::<Vec<_>>(), found);
        }
    }
}
