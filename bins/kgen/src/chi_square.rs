//! Pearson's test of a distribution, for the tests of the profiles.

/// Checks that `counts` may well come from draws with these `shares`, which sum to 1.
///
/// The statistic must lie within 4.75 standard deviations, after Wilson and Hilferty (1931): by
/// chance a sample does not in two of a million cases. Counts that are too even fail as well.
pub(crate) fn assert_shares(what: &str, counts: &[u32], shares: &[f64]) {
    assert_eq!(counts.len(), shares.len(), "{what}");
    let total: f64 = counts.iter().copied().map(f64::from).sum();
    let statistic: f64 = counts
        .iter()
        .zip(shares)
        .map(|(count, share)| (f64::from(*count) - total * share).powi(2) / (total * share))
        .sum();
    let freedom = f64::from(u32::try_from(counts.len()).expect("few classes") - 1);
    let spread = 2.0 / (9.0 * freedom);
    let deviations = ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt();
    assert!(deviations.abs() < 4.75, "{what}: off by {deviations} deviations: {counts:?}");
}

/// Checks that `counts` may well come from draws of equal chance.
pub(crate) fn assert_uniform(what: &str, counts: &[u32]) {
    let share = 1.0 / f64::from(u32::try_from(counts.len()).expect("few classes"));
    assert_shares(what, counts, &vec![share; counts.len()]);
}

#[test]
fn a_fair_sample_passes() {
    assert_uniform("dice", &[98, 105, 91, 110, 97, 99]);
    assert_shares("coin and edge", &[5_020, 4_880, 100], &[0.495, 0.495, 0.01]);
}

#[test]
#[should_panic(expected = "off by")]
fn a_loaded_die_fails() {
    assert_uniform("dice", &[98, 105, 91, 110, 97, 180]);
}

#[test]
#[should_panic(expected = "off by")]
fn counts_that_are_too_even_fail() {
    assert_uniform("dice", &[100_000; 100]);
}
