//! What goes wrong with rows on their way: some are late, sent twice or lost, and all may be
//! shuffled a little.
//!
//! What happens to a row hangs on the seed and its number, so that it is the same in every run.

use std::str::FromStr;

use pipe::units::Span;

use crate::chance::parts;
use crate::draw::{Draws, Fraction};

/// Chances are counted in parts of a billion.
const WHOLE: u32 = 1_000_000_000;

/// The stream of draws for what goes wrong.
const FAULTS_STREAM: u64 = 4;

/// The probability that something happens to a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chance {
    billionths: u64,
}

impl Chance {
    fn happens(self, mut draw: Fraction) -> bool {
        draw.below(WHOLE.into()) < self.billionths
    }
}

impl FromStr for Chance {
    type Err = String;

    fn from_str(text: &str) -> Result<Chance, String> {
        parts(text, WHOLE).map(|billionths| Chance { billionths })
    }
}

/// The probability that a row is late, and how late it is at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    chance: Chance,
    most_ms: u64,
}

impl FromStr for Late {
    type Err = String;

    fn from_str(text: &str) -> Result<Late, String> {
        let (chance, most) = text.split_once(':').ok_or("a probability and a time, as 0.01:5s")?;
        let most_ms = most.parse::<Span>()?.ms().unsigned_abs();
        if most_ms == 0 {
            return Err("a late row is at least 1ms late".to_owned());
        }
        Ok(Late { chance: chance.parse()?, most_ms })
    }
}

/// What may happen to rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Risks {
    /// A row is late.
    pub late: Option<Late>,
    /// A row is sent twice.
    pub dup: Option<Chance>,
    /// A row is lost.
    pub lose: Option<Chance>,
    /// All rows are shuffled within this time.
    pub disorder: Option<Span>,
}

impl Risks {
    /// Whether anything may happen.
    #[must_use]
    pub fn any(&self) -> bool {
        self.dup.is_some() || self.lose.is_some() || self.delay()
    }

    /// Whether rows may be delayed.
    #[must_use]
    pub fn delay(&self) -> bool {
        self.late.is_some() || self.disorder.is_some()
    }
}

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not sent.
    Lost,
    /// It is sent, with delays in milliseconds.
    Sent {
        /// For being late, or 0.
        late_ms: i64,
        /// For the shuffle, or 0.
        moved_ms: i64,
        /// That of a second copy, in all, when there is one.
        copy_ms: Option<i64>,
    },
}

/// The fates of the rows of a seed.
#[derive(Debug)]
pub struct Fates {
    draws: Draws<6>,
    late: Late,
    dup: Chance,
    lose: Chance,
    disorder_ms: u64,
}

impl Fates {
    /// The fates under `risks`.
    #[must_use]
    pub fn new(seed: u64, risks: &Risks) -> Fates {
        Fates {
            draws: Draws::new(seed, FAULTS_STREAM),
            late: risks.late.unwrap_or_default(),
            dup: risks.dup.unwrap_or_default(),
            lose: risks.lose.unwrap_or_default(),
            disorder_ms: risks.disorder.map_or(0, |span| span.ms().unsigned_abs()),
        }
    }

    /// The fate of `row`.
    pub fn of_row(&mut self, row: u64) -> Fate {
        let [lost, late, mut late_by, dup, mut moved_by, mut copy_by] = self.draws.of_row(row);
        if self.lose.happens(lost) {
            return Fate::Lost;
        }
        let moved = |draw: &mut Fraction| signed(draw.below(self.disorder_ms + 1));
        let moved_ms = moved(&mut moved_by);
        let by_ms = 1 + signed(late_by.below(self.late.most_ms));
        let late_ms = if self.late.chance.happens(late) { by_ms } else { 0 };
        // A copy is sent when its row is, but is shuffled on its own.
        let copy_ms = self.dup.happens(dup).then(|| late_ms + moved(&mut copy_by));
        Fate::Sent { late_ms, moved_ms, copy_ms }
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Appends the account of what happens to the row `place` of the truth: a JSON line for each fault.
pub fn write(place: u64, fate: Fate, out: &mut Vec<u8>) {
    let mut line = |kind: &str, by_ms: Option<i64>| {
        let by_ms = by_ms.map_or_else(|| "null".to_owned(), |ms| ms.to_string());
        let line = format!("{{\"row\":{place},\"kind\":\"{kind}\",\"by_ms\":{by_ms}}}\n");
        out.extend_from_slice(line.as_bytes());
    };
    match fate {
        Fate::Lost => line("lost", None),
        Fate::Sent { late_ms, moved_ms, copy_ms } => {
            for (kind, by_ms) in [("late", late_ms), ("moved", moved_ms)] {
                if by_ms > 0 {
                    line(kind, Some(by_ms));
                }
            }
            if copy_ms.is_some() {
                line("dup", copy_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chi_square::{assert_shares, assert_uniform};

    const ROWS: u64 = 200_000;

    fn risks() -> Risks {
        Risks {
            late: Some("0.1:50ms".parse().expect("a risk")),
            dup: Some("0.05".parse().expect("a chance")),
            lose: Some("0.2".parse().expect("a chance")),
            disorder: Some("9ms".parse().expect("a span")),
        }
    }

    #[test]
    fn chances_are_kept_and_delays_are_uniform() {
        let mut fates = Fates::new(5, &risks());
        let (mut lost, mut late, mut dup) = ([0; 2], [0; 2], [0; 2]);
        let (mut late_by, mut moved_by, mut copy_by) = (vec![0; 50], vec![0; 10], vec![0; 10]);
        let at = |ms: i64| usize::try_from(ms).expect("not negative");
        for row in 0..ROWS {
            let fate = fates.of_row(row);
            lost[usize::from(fate == Fate::Lost)] += 1;
            let Fate::Sent { late_ms, moved_ms, copy_ms } = fate else { continue };
            late[usize::from(late_ms > 0)] += 1;
            dup[usize::from(copy_ms.is_some())] += 1;
            moved_by[at(moved_ms)] += 1;
            if late_ms > 0 {
                late_by[at(late_ms - 1)] += 1;
            }
            if let Some(copy_ms) = copy_ms {
                copy_by[at(copy_ms - late_ms)] += 1;
            }
        }
        assert_shares("lost", &lost, &[0.8, 0.2]);
        assert_shares("late", &late, &[0.9, 0.1]);
        assert_shares("dup", &dup, &[0.95, 0.05]);
        assert_uniform("late by", &late_by);
        assert_uniform("moved by", &moved_by);
        assert_uniform("copies moved by", &copy_by);
    }

    #[test]
    fn nothing_happens_without_a_risk() {
        let mut fates = Fates::new(5, &Risks::default());
        let sound = Fate::Sent { late_ms: 0, moved_ms: 0, copy_ms: None };
        assert!((0..1_000).all(|row| fates.of_row(row) == sound));
        assert!(!Risks::default().any() && risks().any() && risks().delay());
    }

    #[test]
    fn every_fault_is_a_line() {
        let mut out = Vec::new();
        write(3, Fate::Lost, &mut out);
        write(4, Fate::Sent { late_ms: 7, moved_ms: 2, copy_ms: Some(0) }, &mut out);
        write(5, Fate::Sent { late_ms: 0, moved_ms: 0, copy_ms: None }, &mut out);
        let want = "{\"row\":3,\"kind\":\"lost\",\"by_ms\":null}\n\
                    {\"row\":4,\"kind\":\"late\",\"by_ms\":7}\n\
                    {\"row\":4,\"kind\":\"moved\",\"by_ms\":2}\n\
                    {\"row\":4,\"kind\":\"dup\",\"by_ms\":0}\n";
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn what_is_no_risk_is_refused() {
        for bad in ["0.1", "0.1:0s", "0.1:5", "2:5s", ":5s", ""] {
            assert!(bad.parse::<Late>().is_err(), "{bad}");
        }
        assert!("1.5".parse::<Chance>().is_err());
    }
}
