//! Numbers in twice the precision of a float: the unevaluated sum of two floats.
//!
//! Algorithms: Knuth's two-sum, Dekker's product (with Veltkamp's splitting), and those for pairs
//! of Joldes, Muller, Popescu, "Tight and rigorous error bounds for basic building blocks of
//! double-word arithmetic", ACM TOMS 44 (2017).

/// `high + low`, where `low` is at most half a unit in the last place of `high`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Twice {
    /// The number, rounded to a float.
    pub(super) high: f64,
    /// What the rounding lost.
    pub(super) low: f64,
}

impl Twice {
    /// A float, exactly.
    #[inline]
    pub(super) fn of_float(high: f64) -> Twice {
        Twice { high, low: 0.0 }
    }

    /// A whole number: exact below 2^106, and always to that many bits.
    #[inline]
    pub(super) fn of_whole(whole: i128) -> Twice {
        #[expect(clippy::cast_precision_loss, reason = "what is lost is kept in the low part")]
        let high = whole as f64;
        #[expect(clippy::cast_possible_truncation, reason = "saturates at worst")]
        let left = whole.saturating_sub(high as i128);
        #[expect(clippy::cast_precision_loss, reason = "below 2^75, the rest of 128 bits")]
        let low = left as f64;
        Twice { high, low }
    }

    /// The sum of both.
    #[inline]
    pub(super) fn plus(self, other: Twice) -> Twice {
        let high = two_sum(self.high, other.high);
        let low = two_sum(self.low, other.low);
        let sum = quick_two_sum(high.high, high.low + low.high);
        quick_two_sum(sum.high, low.low + sum.low)
    }

    /// The same number below zero.
    #[inline]
    pub(super) fn negated(self) -> Twice {
        Twice { high: -self.high, low: -self.low }
    }

    /// The product of both.
    #[inline]
    pub(super) fn times(self, other: Twice) -> Twice {
        let product = two_product(self.high, other.high);
        let crossed = self.high * other.low + self.low * other.high;
        quick_two_sum(product.high, product.low + crossed)
    }

    /// The quotient by a float.
    #[inline]
    pub(super) fn over(self, divisor: f64) -> Twice {
        let high = self.high / divisor;
        let product = two_product(high, divisor);
        let left = (self.high - product.high) - product.low + self.low;
        quick_two_sum(high, left / divisor)
    }
}

/// The sum of two floats and what its rounding lost, exactly, unless it is infinite.
#[inline]
pub(super) fn two_sum(one: f64, other: f64) -> Twice {
    let high = one + other;
    let part = high - one;
    Twice { high, low: (one - (high - part)) + (other - part) }
}

/// [`two_sum`] for a first float that is not the smaller one.
#[inline]
fn quick_two_sum(one: f64, other: f64) -> Twice {
    let high = one + other;
    Twice { high, low: other - (high - one) }
}

/// The product of two floats and what its rounding lost.
#[inline]
fn two_product(one: f64, other: f64) -> Twice {
    let high = one * other;
    let ((one_high, one_low), (other_high, other_low)) = (split(one), split(other));
    let rest = one_high * other_high - high;
    let low = ((rest + one_high * other_low) + one_low * other_high) + one_low * other_low;
    Twice { high, low }
}

/// A float as the sum of two that have half of its bits each.
#[inline]
fn split(float: f64) -> (f64, f64) {
    const SPLITTER: f64 = 134_217_729.0; // 2^27 + 1
    let scaled = SPLITTER * float;
    let high = scaled - (scaled - float);
    (high, float - high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_beyond_floats() {
        let long = Twice::of_whole(i128::from(i64::MAX));
        assert_eq!((long.high, long.low), (9_223_372_036_854_775_808.0, -1.0));
        let next = long.plus(Twice::of_float(1.0));
        assert_eq!((next.high, next.low), (9_223_372_036_854_775_808.0, 0.0));
    }

    #[test]
    fn products_and_quotients_keep_what_floats_lose() {
        let third = Twice::of_float(1.0).over(3.0);
        let one = third.times(Twice::of_float(3.0));
        assert!(one.plus(Twice::of_float(-1.0)).high.abs() < 1e-30, "{one:?}");
        let square = Twice::of_whole(94_906_267).times(Twice::of_whole(94_906_267));
        assert_eq!(square, Twice::of_whole(94_906_267 * 94_906_267));
    }
}
