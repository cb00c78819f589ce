//! Who withdraws what, where: visits of cards to cash machines, of which some are thefts.
//!
//! The truth is known by construction, whatever the times of the rows are:
//!
//! - There are [`HOLDERS`] holders with a card each, of whom an exact share are thieves. In a round
//!   of 4,000 rows each makes one visit of four withdrawals, in an order drawn for the round.
//! - Four visits share a block of [`BLOCK_ROWS`] rows, in which they are mixed.
//! - On a visit an honest card withdraws at most twice at one machine; a thief's does so three or
//!   four times.
//! - No card comes back to a machine: each visit has four of the [`ATMS`] to itself, and when all
//!   of a card are used up, after 25 rounds, its holder has a new one.
//!
//! So a card has more than two rows at a machine exactly when it is a thief's, and these lie
//! within one block.

use crate::draw::{Draws, Fraction};

/// Holders of cards, two to an account. A share is given in thousandths, so that it is exact.
pub const HOLDERS: usize = 1_000;
/// Cash machines.
pub const ATMS: usize = 100;
/// The rows among which those of a visit lie.
pub const BLOCK_ROWS: usize = BLOCK_VISITS * VISIT_ROWS;
/// Sums are 10, 20, and so on up to ten times this.
pub const SUMS: usize = 50;

const BLOCK_VISITS: usize = 4;
const VISIT_ROWS: usize = 4;
const ROUND_BLOCKS: u64 = (HOLDERS / BLOCK_VISITS) as u64;
/// After so many visits no machine is left for a card.
const CARD_ROUNDS: u64 = (ATMS / VISIT_ROWS) as u64;
/// From a machine to the next one of a card; it has no divisor in common with [`ATMS`].
const STRIDE: usize = 37;

/// At which of the four machines of a visit each withdrawal is made: by honest cards, and by
/// those of thieves.
const HONEST: [[usize; VISIT_ROWS]; 3] = [[0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 2, 3]];
const THEFTS: [[usize; VISIT_ROWS]; 2] = [[0, 0, 0, 0], [0, 0, 0, 1]];

/// Blocks have stream 0, the sizes of bursts stream 1.
const ORDER_STREAM: u64 = 2;
const HOLDERS_STREAM: u64 = 3;

/// The share of cards that are thieves': so many of [`HOLDERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FraudShare {
    thieves: usize,
}

impl FraudShare {
    /// What it is unless said otherwise: 1 %.
    pub const DEFAULT: FraudShare = FraudShare { thieves: HOLDERS / 100 };
}

impl std::str::FromStr for FraudShare {
    type Err = String;

    fn from_str(text: &str) -> Result<FraudShare, String> {
        let share = text.parse::<f64>().ok();
        let thousandths = (0..=1_000_u16).map(|thousandth| Some(f64::from(thousandth) / 1e3));
        let thieves = thousandths.zip(0..).find(|(known, _)| *known == share);
        let reason = "a share is a number from 0 to 1 in thousandths, as 0.01";
        thieves.map(|(_, thieves)| FraudShare { thieves }).ok_or_else(|| reason.to_owned())
    }
}

/// A withdrawal, each thing by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withdrawal {
    /// The card, from 0; a holder's next card has a number [`HOLDERS`] higher.
    pub card: u64,
    /// The cash machine, less than [`ATMS`].
    pub atm: usize,
    /// Whose card it is, less than [`HOLDERS`].
    pub holder: usize,
    /// The sum, less than [`SUMS`].
    pub sum: usize,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    is_thief: bool,
    first_atm: usize,
}

/// The withdrawals of a seed by their rows; fastest when these come one after the other.
#[derive(Debug)]
pub struct Visits {
    holders: Vec<Holder>,
    order: Order,
    draws: Draws<4>,
    /// The block that is laid out.
    block: u64,
    rows: [Withdrawal; BLOCK_ROWS],
}

impl Visits {
    /// The withdrawals of `seed`.
    #[must_use]
    pub fn new(seed: u64, share: FraudShare) -> Visits {
        let mut draws = Draws::<2>::new(seed, HOLDERS_STREAM);
        let mut thieves: Vec<bool> = (0..HOLDERS).map(|holder| holder < share.thieves).collect();
        shuffle(&mut thieves, |at, count| draws.of_row(at)[0].index(count));
        let holder = |(number, is_thief): (u64, bool)| {
            let [_, mut draw] = draws.of_row(number);
            Holder { is_thief, first_atm: draw.index(ATMS) }
        };
        let mut visits = Visits {
            holders: (0..).zip(thieves).map(holder).collect(),
            order: Order::new(seed),
            draws: Draws::new(seed, 0),
            block: 0,
            rows: [Withdrawal::default(); BLOCK_ROWS],
        };
        visits.lay_out();
        visits
    }

    /// The withdrawal of `row`.
    #[inline]
    pub fn of_row(&mut self, row: u64) -> Withdrawal {
        let block = row / BLOCK_ROWS as u64;
        if block != self.block {
            self.block = block;
            self.lay_out();
        }
        let [at, ..] = (row % BLOCK_ROWS as u64).to_le_bytes();
        self.rows[usize::from(at)]
    }

    /// Draws the rows of the block.
    fn lay_out(&mut self) {
        let [mut ways, mut places, first_sums, last_sums] = self.draws.of_row(self.block);
        let round = self.block / ROUND_BLOCKS;
        let visitors = self.order.visitors(self.block);
        for (rows, holder) in self.rows.chunks_exact_mut(VISIT_ROWS).zip(visitors) {
            visit(rows, *holder, self.holders[*holder], round, &mut ways);
        }
        let (first, last) = self.rows.split_at_mut(BLOCK_ROWS / 2);
        for (rows, mut sums) in [(first, first_sums), (last, last_sums)] {
            for row in rows {
                row.sum = sums.index(SUMS);
            }
        }
        shuffle(&mut self.rows, |_, count| places.index(count));
    }
}

/// Fills in who withdraws where on a visit.
fn visit(rows: &mut [Withdrawal], number: usize, holder: Holder, round: u64, ways: &mut Fraction) {
    let ways_known = if holder.is_thief { &THEFTS[..] } else { &HONEST[..] };
    let way = ways_known[ways.index(ways_known.len())];
    let visit = usize::try_from(round % CARD_ROUNDS).expect("less than a card's rounds");
    for (row, stop) in rows.iter_mut().zip(way) {
        row.card = (round / CARD_ROUNDS) * HOLDERS as u64 + number as u64;
        row.atm = (holder.first_atm + (visit * VISIT_ROWS + stop) * STRIDE) % ATMS;
        row.holder = number;
    }
}

/// In which order the holders make their visits in a round.
#[derive(Debug)]
struct Order {
    draws: Draws<1>,
    round: u64,
    holders: Vec<usize>,
}

impl Order {
    fn new(seed: u64) -> Order {
        let mut order =
            Order { draws: Draws::new(seed, ORDER_STREAM), round: 0, holders: Vec::new() };
        order.draw();
        order
    }

    /// Those whose visits lie in `block`.
    fn visitors(&mut self, block: u64) -> &[usize] {
        if block / ROUND_BLOCKS != self.round {
            self.round = block / ROUND_BLOCKS;
            self.draw();
        }
        let start = usize::try_from(block % ROUND_BLOCKS).expect("less than a round");
        &self.holders[start * BLOCK_VISITS..][..BLOCK_VISITS]
    }

    fn draw(&mut self) {
        self.holders.clear();
        self.holders.extend(0..HOLDERS);
        let first = self.round * HOLDERS as u64;
        let draws = &mut self.draws;
        shuffle(&mut self.holders, |at, count| draws.of_row(first + at)[0].index(count));
    }
}

/// Puts `things` into an order of which each has the same chance (Durstenfeld, "Algorithm 235:
/// Random permutation", 1964), with an index below a count drawn for each place.
fn shuffle<T>(things: &mut [T], mut draw: impl FnMut(u64, usize) -> usize) {
    for (place, at) in (0..).zip(0..things.len()) {
        things.swap(at, draw(place, at + 1));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::chi_square::{assert_shares, assert_uniform};

    /// More than a card lasts.
    const ROWS: u64 = 120_000;
    const ROUND_ROWS: u64 = ROUND_BLOCKS * BLOCK_ROWS as u64;

    fn withdrawals(seed: u64, share: &str, rows: u64) -> Vec<Withdrawal> {
        let mut visits = Visits::new(seed, share.parse().expect("a share"));
        (0..rows).map(|row| visits.of_row(row)).collect()
    }

    /// The cards that have more than two rows within any 16 at one machine, each with the machine.
    fn found_by_a_scan(rows: &[Withdrawal]) -> BTreeSet<(u64, usize)> {
        let mut found = BTreeSet::new();
        for (at, row) in rows.iter().enumerate() {
            let near = &rows[at.saturating_sub(BLOCK_ROWS - 1)..=at];
            let same = near.iter().filter(|other| (other.card, other.atm) == (row.card, row.atm));
            if same.count() > 2 {
                found.insert((row.card, row.atm));
            }
        }
        found
    }

    #[test]
    fn a_naive_scan_finds_every_visit_of_a_thief_and_nothing_else() {
        for (share, thieves) in [("0.01", 10), ("0.3", 300), ("0", 0), ("1", 1_000)] {
            let rows = withdrawals(5, share, ROWS);
            let found = found_by_a_scan(&rows);
            assert_eq!(found.len() as u64, thieves * ROWS / ROUND_ROWS, "{share}");
            let holder = |(card, _): &(u64, usize)| card % HOLDERS as u64;
            let holders: BTreeSet<u64> = found.iter().map(holder).collect();
            assert_eq!(holders.len() as u64, thieves, "{share}");
            let mut counts = BTreeMap::new();
            for row in &rows {
                *counts.entry((row.card, row.atm)).or_insert(0) += 1;
            }
            // At no other time either: who is not found has two rows at a machine at most, ever.
            let often = counts.iter().filter(|(_, count)| **count > 2).map(|(pair, _)| *pair);
            assert!(often.eq(found), "{share}");
            assert!(counts.values().all(|count| *count <= VISIT_ROWS), "{share}");
        }
    }

    #[test]
    fn a_card_makes_one_visit_in_a_round_within_one_block() {
        let rows = withdrawals(6, "0.01", 3 * ROUND_ROWS);
        let mut before = BTreeMap::new();
        for round in rows.chunks(usize::try_from(ROUND_ROWS).expect("few")) {
            let mut visitors = BTreeMap::new();
            for (block, rows) in round.chunks(BLOCK_ROWS).enumerate() {
                for row in rows {
                    visitors.entry(row.card).or_insert_with(Vec::new).push(block);
                }
            }
            assert_eq!(visitors.len(), HOLDERS);
            assert!(visitors.values().all(|blocks| *blocks == [blocks[0]; VISIT_ROWS]));
            // By chance a card comes in the same block again once in 250 times.
            let same = visitors.iter().filter(|(card, blocks)| before.get(*card) == Some(*blocks));
            assert!(same.count() < 20);
            before = visitors;
        }
    }

    #[test]
    fn everything_that_is_drawn_is_uniform() {
        let rows = withdrawals(7, "0.5", 400_000);
        let check = |what: &str, step: usize, count: usize, class: &dyn Fn(usize) -> usize| {
            let mut counts = vec![0; count];
            (0..rows.len()).step_by(step).for_each(|at| counts[class(at)] += 1);
            assert_uniform(what, &counts);
        };
        check("sums", 1, SUMS, &|at| rows[at].sum);
        check("sums by place", 1, SUMS * BLOCK_ROWS, &|at| rows[at].sum * 16 + at % 16);
        let pair = |at: usize| rows[at].sum / 5 * 10 + rows[(at + 1) % rows.len()].sum / 5;
        check("sums of a pair", BLOCK_ROWS, 100, &pair);
        check("sums across blocks", BLOCK_ROWS, 100, &|at| pair(at + BLOCK_ROWS - 1));
        // The rows of a visit tell of each other, so one is taken of each block.
        check("machines", BLOCK_ROWS, ATMS, &|at| rows[at].atm);
        check("holders", BLOCK_ROWS, 100, &|at| rows[at].holder % 100);
        check("holders by tens", BLOCK_ROWS, 100, &|at| rows[at].holder / 10);
        // In which order the visits are mixed: the place of the second row of the first visit.
        let first_two = |at: usize| {
            let block = &rows[at..at + BLOCK_ROWS];
            (1..BLOCK_ROWS).find(|other| block[*other].card == block[0].card).expect("one of 3")
        };
        let mut counts = [0; BLOCK_ROWS];
        (0..rows.len()).step_by(BLOCK_ROWS).for_each(|at| counts[first_two(at)] += 1);
        // Of the 455 ways to place three rows on the 15 places, those with the first at `place`.
        let share = |place: u32| f64::from((15 - place) * (14 - place) / 2) / 455.0;
        let shares: Vec<f64> = (1..=13).map(share).collect();
        assert_shares("places", &counts[1..=13], &shares);
    }

    #[test]
    fn every_way_of_a_visit_is_as_likely_as_the_others() {
        // At how many machines a card was on a visit.
        let machines = |share: &str| {
            let mut counts = [0; VISIT_ROWS + 1];
            for block in withdrawals(9, share, 200_000).chunks(BLOCK_ROWS) {
                let cards: BTreeSet<u64> = block.iter().map(|row| row.card).collect();
                for card in cards {
                    let rows = block.iter().filter(|row| row.card == card);
                    counts[rows.map(|row| row.atm).collect::<BTreeSet<_>>().len()] += 1;
                }
            }
            counts
        };
        assert_uniform("honest", &machines("0")[2..=4]);
        assert_uniform("thefts", &machines("1")[1..=2]);
    }

    #[test]
    fn every_order_has_the_same_chance() {
        let mut draws = Draws::<1>::new(10, 0);
        let mut counts = BTreeMap::new();
        for row in 0..24_000 {
            let [mut draw] = draws.of_row(row);
            let mut order = [0, 1, 2, 3];
            shuffle(&mut order, |_, count| draw.index(count));
            *counts.entry(order).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 24);
        assert_uniform("orders", &counts.into_values().collect::<Vec<_>>());
    }

    #[test]
    fn rows_can_be_made_in_any_order() {
        let there = withdrawals(8, "0.01", 9_000);
        let mut visits = Visits::new(8, FraudShare::DEFAULT);
        for row in (0..9_000_u64).rev() {
            assert_eq!(visits.of_row(row), there[usize::try_from(row).expect("few")], "row {row}");
        }
        assert_ne!(visits.of_row(u64::MAX), visits.of_row(u64::MAX - 1));
    }

    #[test]
    fn seeds_differ_in_who_is_a_thief_and_who_comes_when() {
        let thieves = |seed| {
            let visits = Visits::new(seed, FraudShare::DEFAULT);
            let holders = visits.holders.iter().enumerate();
            holders.filter(|(_, holder)| holder.is_thief).map(|(at, _)| at).collect::<Vec<_>>()
        };
        assert_eq!(thieves(1).len(), 10);
        assert_ne!(thieves(1), thieves(2));
        assert_ne!(withdrawals(1, "0.01", 16), withdrawals(2, "0.01", 16));
    }

    #[test]
    fn a_share_is_in_thousandths() {
        assert_eq!("0.01".parse(), Ok(FraudShare::DEFAULT));
        assert_eq!("1".parse(), Ok(FraudShare { thieves: 1_000 }));
        assert_eq!("0.289".parse(), Ok(FraudShare { thieves: 289 }));
        for bad in ["-0.001", "1.001", "0.0005", "nan", "", "1%"] {
            assert!(bad.parse::<FraudShare>().is_err(), "{bad}");
        }
    }
}
