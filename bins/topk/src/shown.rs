//! The last ranking, and what changed since.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use row::stored;
use serde_json::{Value, json};

use crate::entry::{Entry, Filing};
use crate::ranking::{Body, Ranked};
use crate::score::{Order, Score};

/// The rows of the last ranking, by their groups and keys.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    seats: HashMap<Vec<u8>, Seat, FixedState>,
    /// How many rankings there were.
    round: u64,
    gone: Vec<Entry>,
}

/// A row of the last ranking.
#[derive(Clone, Debug)]
struct Seat {
    rank: u64,
    score: Score<'static>,
    group: usize,
    partition: Option<u32>,
    /// The ranking that it was in last.
    round: u64,
    filing: Filing,
}

/// A row that left the ranking.
#[derive(Clone, Debug)]
struct Leaver {
    key: Vec<u8>,
    seat: Seat,
}

impl Shown {
    /// Hands to `write` what of `ranking` is not as in the one before: rows with another rank or
    /// score, and in each group behind them, with no rank, the keys that left.
    pub fn exchange(&mut self, ranking: &[Ranked<'_>], write: &mut dyn FnMut(&[Ranked<'_>])) {
        self.round += 1;
        let changed = ranking.iter().filter(|row| self.seat(row));
        let mut rows: Vec<Ranked<'_>> = changed.cloned().collect();
        let round = self.round;
        let left = self.seats.extract_if(|_, seat| seat.round != round);
        let mut left: Vec<Leaver> = left.map(|(key, seat)| Leaver { key, seat }).collect();
        left.sort_unstable_by(|one, other| one.place().cmp(&other.place()));
        for Leaver { key, seat } in &left {
            if let Some(at) = seat.filing.at() {
                self.gone.push(Entry::deleted(at, entry_key(key)));
            }
            let (group, score, partition) = (seat.group, seat.score.borrow(), seat.partition);
            let body = Body::Key;
            rows.push(Ranked { rank: None, key, group, score, partition, body });
        }
        // Stable: in a group the rows that stayed are first, in their order.
        rows.sort_by(|one, other| one.group().cmp(other.group()));
        write(&rows);
    }

    /// Takes a row's new place; returns whether it is another one, or its score is.
    fn seat(&mut self, row: &Ranked<'_>) -> bool {
        let rank = row.rank.unwrap_or_default();
        let round = self.round;
        let Some(seat) = self.seats.get_mut(row.key) else {
            let Ranked { group, partition, .. } = *row;
            let (score, filing) = (row.score.to_owned(), Filing::default());
            let seat = Seat { rank, score, group, partition, round, filing };
            self.seats.insert(row.key.to_vec(), seat);
            return true;
        };
        seat.round = round;
        let same_score = seat.score.compare(&row.score, Order::Least).is_eq();
        let changed = seat.rank != rank || !same_score;
        if changed || seat.partition != row.partition {
            seat.rank = rank;
            seat.score = row.score.to_owned();
            seat.partition = row.partition;
            seat.filing.change();
        }
        changed
    }

    /// Adds what changed since the last time.
    pub fn file(&mut self, entries: &mut Vec<Entry>) {
        entries.append(&mut self.gone);
        for (key, seat) in &mut self.seats {
            let Some(at) = seat.partition.filter(|_| seat.filing.is_due()) else { continue };
            let entry_key = entry_key(key);
            if let Some(old) = seat.filing.settle(at) {
                entries.push(Entry::deleted(old, entry_key.clone()));
            }
            let score = stored::value(&seat.score.value());
            let value = json!({ "rank": seat.rank, "group": seat.group, "score": score });
            entries.push(Entry { at, key: entry_key, value });
        }
    }

    /// Takes back what [`Shown::file`] stored under the partition `at` for `key`; false when it
    /// is not that.
    #[must_use]
    pub fn restore(&mut self, at: u32, key: &[u8], value: &Value) -> bool {
        let seat = || {
            let rank = value.get("rank")?.as_u64()?;
            let group = usize::try_from(value.get("group")?.as_u64()?).ok()?;
            let score = Score::of(stored::read_value(value.get("score")?)?);
            let (partition, filing) = (Some(at), Filing::stored(at));
            (group <= key.len()).then_some(Seat { rank, score, group, partition, round: 0, filing })
        };
        let Some(seat) = seat() else { return false };
        // Another copy may have shown the same key, before this one had both partitions.
        let other = self.seats.insert(key.to_vec(), seat);
        if let Some(other) = other.and_then(|other| other.filing.at()).filter(|&other| other != at)
        {
            self.gone.push(Entry::deleted(other, entry_key(key)));
        }
        true
    }
}

impl Leaver {
    /// What decides where it stands among those that left.
    fn place(&self) -> (&[u8], u64, &[u8]) {
        (&self.key[..self.seat.group], self.seat.rank, &self.key)
    }
}

fn entry_key(key: &[u8]) -> Value {
    json!(["last", stored::bytes(key)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use row::value::Number;

    /// The changes that a ranking brings, `rank:key`; the group is the first letter of the key.
    fn changes(shown: &mut Shown, ranking: &[(u64, &str, i64)]) -> String {
        let ranked = ranking.iter().map(|&(rank, key, score)| Ranked {
            rank: Some(rank),
            key: key.as_bytes(),
            group: 1,
            score: Score::of_number(Number::Int(score)),
            partition: Some(0),
            body: Body::Count(0),
        });
        let ranking: Vec<Ranked<'_>> = ranked.collect();
        let mut said = Vec::new();
        shown.exchange(&ranking, &mut |rows| {
            for row in rows {
                let rank = row.rank.map_or("-".to_owned(), |rank| rank.to_string());
                said.push(format!("{rank}:{}", String::from_utf8_lossy(row.key)));
            }
        });
        said.join(" ")
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut shown = Shown::default();
        let first = [(1, "a1", 9), (2, "a2", 8), (1, "b1", 5)];
        assert_eq!(changes(&mut shown, &first), "1:a1 2:a2 1:b1");
        assert_eq!(changes(&mut shown, &first), "");
        assert_eq!(changes(&mut shown, &[(1, "a1", 9), (2, "a2", 7), (1, "b1", 5)]), "2:a2");
        assert_eq!(changes(&mut shown, &[(1, "a3", 9), (1, "b1", 5)]), "1:a3 -:a1 -:a2");
        assert_eq!(changes(&mut shown, &[(1, "a3", 9)]), "-:b1");
    }

    #[test]
    fn a_ranking_comes_back_from_its_entries() {
        let mut shown = Shown::default();
        let _ = changes(&mut shown, &[(1, "a1", 9), (2, "a2", 8)]);
        let _ = changes(&mut shown, &[(1, "a2", 8)]);
        let mut entries = Vec::new();
        shown.file(&mut entries);
        assert_eq!(entries.len(), 1, "what was never stored is not deleted");
        let mut again = Shown::default();
        assert!(again.restore(0, b"a2", &entries[0].value));
        assert!(!again.restore(0, b"a2", &Value::Null));
        let mut both = again.clone();
        assert!(both.restore(1, b"a2", &entries[0].value));
        assert_eq!(both.gone, [Entry::deleted(0, json!(["last", "a2"]))]);
        assert_eq!(changes(&mut again, &[(1, "a2", 8)]), "");
        entries.clear();
        let _ = changes(&mut again, &[]);
        again.file(&mut entries);
        assert_eq!(entries, [Entry::deleted(0, json!(["last", "a2"]))]);
    }
}
