//! Random numbers that belong to a row: the same for a seed and a row number, whatever was drawn
//! before, on every machine.
//!
//! They come from `ChaCha` with 8 rounds (D. J. Bernstein, 2008), a cipher in counter mode, so
//! that any place of its stream is as near as any other. A row owns a fixed number of words of
//! that stream.

use rand::rngs::{ChaCha8Rng, Xoshiro256PlusPlus};
use rand::{Rng, SeedableRng};

/// A word of 32 bits is what the cipher counts in; a [`Fraction`] takes two.
const WORDS_PER_FRACTION: u128 = 2;

/// The draws of all rows of a seed, `N` fractions for each.
#[derive(Debug)]
pub struct Draws<const N: usize> {
    rng: ChaCha8Rng,
    /// The row whose words come next.
    next: u64,
}

impl<const N: usize> Draws<N> {
    /// The draws of `seed`. Streams of different numbers have nothing in common.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Draws<N> {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        Draws { rng, next: 0 }
    }

    /// The fractions of `row`; fastest when the rows come one after the other.
    #[inline]
    pub fn of_row(&mut self, row: u64) -> [Fraction; N] {
        if row != self.next {
            self.jump(row);
        }
        self.next = row.wrapping_add(1);
        std::array::from_fn(|_| Fraction(self.rng.next_u64()))
    }

    #[cold]
    fn jump(&mut self, row: u64) {
        self.rng.set_word_pos(u128::from(row) * N as u128 * WORDS_PER_FRACTION);
    }
}

/// A random fraction in [0, 1) of 64 bits, from which several integers can be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fraction(u64);

impl Fraction {
    /// An integer from 0 to `count` − 1, by multiply and shift, leaving the rest of the fraction
    /// for the next one (Brackett-Rozinsky and Lemire, "Batched Ranged Random Integer
    /// Generation", 2024).
    ///
    /// All integers taken from one fraction are together one integer below the product of their
    /// counts, each of whose values has its exact probability but for less than 2^-64.
    #[inline]
    pub fn below(&mut self, count: u64) -> u64 {
        let (rest, drawn) = self.0.carrying_mul(count, 0);
        self.0 = rest;
        drawn
    }

    /// Its 64 bits.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// As many random numbers as one may want, that hang on this fraction alone (xoshiro256++, D.
    /// Blackman and S. Vigna, 2018); for distributions that need now one and now many.
    #[inline]
    #[must_use]
    pub fn rng(self) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.0)
    }

    /// An integer from 0 to `count` − 1 that is an index.
    #[inline]
    pub fn index(&mut self, count: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "less than count")]
        let index = self.below(count as u64) as usize;
        index
    }
}

/// The whole number that is nearest; the greatest or least one when it lies beyond.
#[inline]
#[must_use]
pub fn whole(number: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "rounded, and saturated beyond 2^63")]
    let whole = number.round() as i64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_same_by_walk_and_by_jump() {
        let mut walk = Draws::<3>::new(7, 0);
        for row in 0..1_000 {
            assert_eq!(Draws::<3>::new(7, 0).of_row(row), walk.of_row(row), "row {row}");
        }
    }

    #[test]
    fn seeds_and_streams_differ() {
        let first = Draws::<2>::new(7, 0).of_row(0);
        assert_ne!(first, Draws::<2>::new(8, 0).of_row(0));
        assert_ne!(first, Draws::<2>::new(7, 1).of_row(0));
    }

    #[test]
    fn far_rows_are_there() {
        let mut draws = Draws::<2>::new(7, 0);
        assert_ne!(draws.of_row(u64::MAX), draws.of_row(u64::MAX - 1));
    }

    #[test]
    fn a_fraction_is_cut_into_equal_parts() {
        assert_eq!(Fraction(0).below(10), 0);
        assert_eq!(Fraction(u64::MAX).below(10), 9);
        assert_eq!(Fraction(1 << 63).below(10), 5);
        let mut quarter = Fraction(1 << 62);
        assert_eq!((quarter.below(2), quarter.below(2), quarter.below(2)), (0, 1, 0));
    }
}
