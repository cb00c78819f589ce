//! Where a byte stands in a short line, found without a search for each time it does: rows are
//! short, and so are the ways between their separators.

use wide::u8x16;

/// The longest line whose [`Cuts`] are found at once.
pub(crate) const BYTES_MAX: usize = 64;

/// Bytes of [`Cuts::in_head`].
pub(crate) const HEAD_BYTES: usize = 32;

/// The places of a byte in a line, the first one first.
#[derive(Clone, Debug)]
pub(crate) struct Cuts(u64);

impl Cuts {
    /// The places of `byte` in `line`, which has at most [`BYTES_MAX`] bytes.
    #[inline]
    pub(crate) fn new(line: &[u8], byte: u8) -> Cuts {
        let Some(last) = line.last_chunk() else {
            let mut bytes = [!byte; 16];
            bytes[..line.len()].copy_from_slice(line);
            return Cuts(places(&bytes, byte));
        };
        // The last bytes may have been looked at before, which does not change them.
        let mut all = places(last, byte) << (line.len() - 16);
        for (at, bytes) in line.as_chunks().0.iter().enumerate() {
            all |= places(bytes, byte) << (16 * at);
        }
        Cuts(all)
    }

    /// The places of `byte` among the first bytes of lines.
    #[inline]
    pub(crate) fn in_head(bytes: &[u8; HEAD_BYTES], byte: u8) -> Cuts {
        let [low, high] = bytes.as_chunks().0 else { return Cuts(0) };
        Cuts(places(low, byte) | places(high, byte) << 16)
    }

    /// The places before `end`.
    #[inline]
    pub(crate) fn before(self, end: usize) -> Cuts {
        Cuts(self.0 & !(u64::MAX << end))
    }
}

/// A bit for each of sixteen bytes that is `byte`, the first byte's lowest.
#[inline]
fn places(bytes: &[u8; 16], byte: u8) -> u64 {
    u64::from(u8x16::from(*bytes).simd_eq(u8x16::splat(byte)).to_bitmask())
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
