//! What happens in a storm, and when.

use std::time::Duration;

/// Chance from a seed: `SplitMix64` of Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            let other = self.below(end as u64 + 1);
            all.swap(end, usize::try_from(other).expect("it is below the length"));
        }
    }
}

/// Something that happens to a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Its program of this place is killed with -9, counted round.
    Kill(usize),
    /// All of its programs are.
    KillAll,
    /// Its program of this place stops for a time, and then goes on.
    Stop(usize, Duration),
    /// A second copy comes.
    Come,
    /// It is asked to end.
    Go,
    /// It is killed, with its loop.
    Perish,
}

/// What passes between two events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) time: Duration,
    /// Whether an epoch has to be committed as well, so that a slow machine is not hit only while
    /// it starts.
    pub(crate) commit: bool,
}

/// The events of `rounds` rounds, each behind what passes before it.
pub(crate) fn forecast(rounds: usize, guests: bool, dice: &mut Dice) -> Vec<(Gap, Event)> {
    let mut events = Vec::new();
    for _ in 0..rounds {
        // kcons is the first one, and ksink the last one of a pipe, whatever is between.
        let mut round =
            [0, 0, 0, 1, 1, 2, 2, usize::MAX, usize::MAX, usize::MAX].map(Event::Kill).to_vec();
        round.extend([Event::KillAll; 2]);
        let place = [0, 1, usize::MAX][usize::try_from(dice.below(3)).expect("it is small")];
        // Longer than a session, and not always longer than a transaction.
        round.push(Event::Stop(place, dice.millis(7_000, 11_000)));
        dice.shuffle(&mut round);
        if guests {
            let last = [Event::Go, Event::Perish][usize::from(dice.below(2) == 0)];
            round.insert(9, last);
            round.insert(5, Event::Come);
        }
        events.extend(round);
    }
    let gap = |at: usize, dice: &mut Dice| match at % 4 {
        // A run of 5 s is a good one, before which kloop waits longer each time.
        3 => Gap { time: dice.millis(5_200, 6_500), commit: true },
        _ => Gap { time: dice.millis(100, 3_500), commit: false },
    };
    events.into_iter().enumerate().map(|(at, event)| (gap(at, dice), event)).collect()
}
