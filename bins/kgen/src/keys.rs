//! Which key a row has, of many: all alike, or some more often than others.

use rand_distr::{Distribution, Zipf};

use crate::draw::{Draws, Fraction, whole};

/// The stream of draws for keys.
const KEYS_STREAM: u64 = 5;

/// How numbers from 1 on are spread.
#[derive(Clone, Copy, Debug)]
pub enum Spread {
    /// Each has the same chance.
    Even(u64),
    /// The one of rank `k` comes in proportion to 1 / k^s (Zipf's law).
    Zipf(Zipf<f64>),
}

impl Spread {
    /// The numbers from 1 to `count`, by Zipf's law with this exponent, or evenly without one.
    ///
    /// # Errors
    /// When there is none, or the exponent is negative or not a number.
    pub fn new(count: u64, exponent: Option<f64>) -> Result<Spread, String> {
        if count == 0 {
            return Err("of no things none can be drawn".to_owned());
        }
        let Some(exponent) = exponent else { return Ok(Spread::Even(count)) };
        let few = u32::try_from(count).map_err(|_| "Zipf's law is for less than 2^32 things")?;
        let zipf = Zipf::new(f64::from(few), exponent);
        let reason = "the exponent of Zipf's law is a number from 0 on, as 1.1";
        zipf.ok().filter(|_| exponent.is_finite()).map(Spread::Zipf).ok_or(reason.to_owned())
    }

    /// A number.
    #[must_use]
    pub fn draw(&self, mut fraction: Fraction) -> u64 {
        match self {
            Spread::Even(count) => 1 + fraction.below(*count),
            Spread::Zipf(zipf) => whole(zipf.sample(&mut fraction.rng())).unsigned_abs(),
        }
    }
}

/// The keys of the rows of a seed.
#[derive(Debug)]
pub struct Keys {
    draws: Draws<1>,
    spread: Spread,
}

impl Keys {
    /// Keys that are spread in this way.
    #[must_use]
    pub fn new(seed: u64, spread: Spread) -> Keys {
        Keys { draws: Draws::new(seed, KEYS_STREAM), spread }
    }

    /// The key of `row`, from 1.
    pub fn of_row(&mut self, row: u64) -> u64 {
        let [draw] = self.draws.of_row(row);
        self.spread.draw(draw)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chi_square::{assert_shares, assert_uniform};

    /// The shares of the ranks up to `count` by Zipf's law.
    pub(crate) fn zipf_shares(count: u32, exponent: f64) -> Vec<f64> {
        let weights: Vec<f64> = (1..=count).map(|k| f64::from(k).powf(-exponent)).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }

    fn counts(count: u64, exponent: Option<f64>) -> Vec<u32> {
        let mut keys = Keys::new(3, Spread::new(count, exponent).expect("a spread"));
        let mut counts = vec![0; usize::try_from(count).expect("few")];
        for row in 0..200_000 {
            counts[usize::try_from(keys.of_row(row) - 1).expect("few")] += 1;
        }
        counts
    }

    #[test]
    fn ranks_come_as_often_as_zipfs_law_says() {
        for exponent in [0.5, 1.0, 1.1, 2.0] {
            assert_shares("ranks", &counts(30, Some(exponent)), &zipf_shares(30, exponent));
        }
        assert_uniform("exponent 0", &counts(30, Some(0.0)));
        assert_uniform("even", &counts(30, None));
    }

    #[test]
    fn what_is_no_spread_is_refused() {
        for exponent in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(Spread::new(5, Some(exponent)).is_err(), "{exponent}");
        }
        assert!(Spread::new(0, None).is_err());
    }

    #[test]
    fn keys_can_be_drawn_in_any_order() {
        let spread = Spread::new(1_000_000, Some(1.2)).expect("a spread");
        let (mut there, mut back) = (Keys::new(1, spread), Keys::new(1, spread));
        let keys: Vec<_> = (0..100).map(|row| there.of_row(row)).collect();
        for row in (0..100_u64).rev() {
            assert_eq!(back.of_row(row), keys[usize::try_from(row).expect("few")]);
        }
    }
}
