//! Probabilities as options give them.

/// The probability that `text` names, from 0 to 1, in parts of which `whole` make a 1.
///
/// # Errors
/// When it names none.
pub fn parts(text: &str, whole: u32) -> Result<u64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    let share = share.ok_or("a share is a number from 0 to 1, as 0.05")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to whole")]
    let parts = (share * f64::from(whole)).round() as u64;
    Ok(parts)
}

#[test]
fn a_share_is_a_probability() {
    assert_eq!(parts("0.05", 1_000_000), Ok(50_000));
    assert_eq!(parts("1", 7), Ok(7));
    for bad in ["-0.1", "1.1", "nan", "", "5%"] {
        assert!(parts(bad, 10).is_err(), "{bad}");
    }
}
