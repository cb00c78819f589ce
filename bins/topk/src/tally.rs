//! How many rows each key has, counted exactly.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use row::expr::Expr;
use row::field::Fields;
use row::key::{self, Key};
use row::stored;
use row::value::{Fault, Number, Value};
use serde_json::json;

use crate::entry::Entry;
use crate::ledger::{Full, Ledger};
use crate::ranking::{Body, Ranked, first_by_group};
use crate::score::{Order, Score};

/// What counts are ranked by.
#[derive(Clone, Debug)]
pub enum Scale {
    /// Themselves.
    Count,
    /// An expression over the columns of the key, of which there are so many, and the count
    /// behind them.
    Expr(Expr, usize),
}

/// A key for which there is no score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unscored {
    key: String,
    fault: Fault,
}

impl fmt::Display for Unscored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, of the key {:?}", self.fault, self.key)
    }
}

/// The counts of the keys of each input partition.
#[derive(Clone, Debug)]
pub struct Tally {
    scale: Scale,
    /// By the number of the partition, after those of rows that come from none.
    parts: Vec<Counts>,
}

/// The counts of one partition. Keys stand one after the other in one piece of memory, so that a
/// new one costs no allocation and a known one no more than a look-up.
#[derive(Clone, Debug, Default)]
struct Counts {
    table: HashTable<Count>,
    keys: Vec<u8>,
    hasher: FixedState,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    rows: u64,
    /// As it is stored; 0 when it is not.
    stored: u64,
    /// Where the key stands.
    start: usize,
    length: u32,
    /// Bytes of the key that are the group.
    group: u32,
}

/// A key with its count, over all partitions, and the lowest of these.
#[derive(Clone, Copy, Debug)]
struct Total<'a> {
    key: &'a [u8],
    count: Count,
    partition: Option<u32>,
}

/// Bytes that a key takes beside its own, while a full table moves to one of twice its size.
const OVERHEAD_BYTES: usize = 3 * size_of::<Count>();

impl Count {
    #[inline]
    fn key(self, keys: &[u8]) -> &[u8] {
        &keys[self.start..self.start + self.length as usize]
    }
}

/// Whether bytes are the same; short ones are compared as two overlapping words, which is done
/// before a call of the library's comparison has begun.
#[inline]
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ends = |bytes: &[u8]| Some((*bytes.first_chunk::<8>()?, *bytes.last_chunk::<8>()?));
    let short_ends = |bytes: &[u8]| Some((*bytes.first_chunk::<4>()?, *bytes.last_chunk::<4>()?));
    match one.len() {
        4..8 => short_ends(one) == short_ends(other),
        8..=16 => ends(one) == ends(other),
        _ => one == other,
    }
}

impl Counts {
    #[inline]
    fn hash(hasher: &FixedState, rest: &[u8]) -> u64 {
        let mut hasher = hasher.build_hasher();
        hasher.write(rest);
        hasher.finish()
    }

    /// Finds the count of a key.
    #[inline]
    fn find(&mut self, hash: u64, key: Key<'_>) -> Option<&mut Count> {
        let keys = &self.keys;
        self.table.find_mut(hash, |count| {
            let known = Key::new(count.key(keys));
            known.tag() == key.tag() && are_equal(known.rest(), key.rest())
        })
    }

    /// The keys with their counts.
    fn totals(&self, partition: Option<u32>) -> impl Iterator<Item = Total<'_>> {
        let total = move |&count: &Count| Total { key: count.key(&self.keys), count, partition };
        self.table.iter().map(total)
    }

    /// Adds to the count of a key.
    #[inline]
    fn add(&mut self, key: Key<'_>, group: usize, ledger: &mut Ledger) -> Result<(), Full> {
        let hash = Counts::hash(&self.hasher, key.rest());
        if let Some(count) = self.find(hash, key) {
            count.rows += 1;
            return Ok(());
        }
        self.insert(hash, key, Count { rows: 1, ..Count::empty(group) }, ledger)
    }

    #[cold]
    fn insert(
        &mut self,
        hash: u64,
        key: Key<'_>,
        count: Count,
        ledger: &mut Ledger,
    ) -> Result<(), Full> {
        let start = self.keys.len();
        self.keys.push(key.tag());
        self.keys.extend_from_slice(key.rest());
        let length = u32::try_from(self.keys.len() - start).unwrap_or(u32::MAX);
        ledger.take(OVERHEAD_BYTES + length as usize)?;
        let Counts { table, keys, hasher } = self;
        let count = Count { start, length, ..count };
        table.insert_unique(hash, count, |count| {
            Counts::hash(hasher, Key::new(count.key(keys)).rest())
        });
        Ok(())
    }
}

impl Count {
    fn empty(group: usize) -> Count {
        // A key is a part of a line, which is far below 4 GiB: --max-line sees to that.
        let group = u32::try_from(group).unwrap_or(u32::MAX);
        Count { rows: 0, stored: 0, start: 0, length: 0, group }
    }
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(scale: Scale) -> Tally {
        Tally { scale, parts: vec![Counts::default()] }
    }

    /// Counts a row of `key`, whose first `group` bytes are its group.
    ///
    /// # Errors
    /// When a limit is reached.
    #[inline]
    pub fn add(
        &mut self,
        key: Key<'_>,
        group: usize,
        partition: Option<u32>,
        ledger: &mut Ledger,
    ) -> Result<(), Full> {
        self.part(partition).add(key, group, ledger)
    }

    #[inline]
    fn part(&mut self, partition: Option<u32>) -> &mut Counts {
        let at = partition.map_or(0, |partition| partition as usize + 1);
        if at >= self.parts.len() {
            self.parts.resize_with(at + 1, Counts::default);
        }
        &mut self.parts[at]
    }

    /// The `k` first keys of each group, group by group, first to last.
    ///
    /// # Errors
    /// When an expression has no value for a key.
    pub fn first(&self, k: usize, order: Order) -> Result<Vec<Ranked<'_>>, Unscored> {
        let mut values = Vec::new();
        let items = self.totals().map(|total| {
            let row = Ranked {
                rank: None,
                key: total.key,
                group: total.count.group as usize,
                score: self.scale.score(&total, &mut values)?,
                partition: total.partition,
                body: Body::Count(total.count.rows),
            };
            Ok((&total.key[..row.group], row))
        });
        let compare = |one: &Ranked<'_>, other: &Ranked<'_>| {
            one.score.compare(&other.score, order).then_with(|| one.key.cmp(other.key))
        };
        let mut groups = first_by_group(items, k, compare)?;
        for group in &mut groups {
            (1..).zip(group).for_each(|(rank, row)| row.rank = Some(rank));
        }
        Ok(groups.into_iter().flatten().collect())
    }

    /// All keys, each once.
    fn totals(&self) -> Box<dyn Iterator<Item = Total<'_>> + '_> {
        let partitions = std::iter::once(None).chain((0..).map(Some));
        let parts = self.parts.iter().zip(partitions);
        let parts: Vec<_> = parts.filter(|(part, _)| !part.table.is_empty()).collect();
        if let [(part, partition)] = parts[..] {
            return Box::new(part.totals(partition));
        }
        let mut merged: HashMap<&[u8], Total<'_>, FixedState> = HashMap::default();
        for total in parts.into_iter().flat_map(|(part, partition)| part.totals(partition)) {
            let known = merged.entry(total.key);
            known.and_modify(|known| known.count.rows += total.count.rows).or_insert(total);
        }
        Box::new(merged.into_values())
    }

    /// Adds the counts that changed since the last time.
    pub fn file(&mut self, entries: &mut Vec<Entry>) {
        for (at, part) in (0..).zip(&mut self.parts[1..]) {
            for count in part.table.iter_mut().filter(|count| count.rows != count.stored) {
                count.stored = count.rows;
                let value = json!({ "count": count.rows, "group": count.group });
                let key = json!(["count", stored::bytes(count.key(&part.keys))]);
                entries.push(Entry { at, key, value });
            }
        }
    }

    /// Takes back what [`Tally::file`] stored under the partition `at` for `key`; false when it
    /// is not that.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn restore(
        &mut self,
        at: u32,
        key: &[u8],
        value: &serde_json::Value,
        ledger: &mut Ledger,
    ) -> Result<bool, Full> {
        let member = |name: &str| value.get(name).and_then(serde_json::Value::as_u64);
        let (Some(rows), Some(group)) = (member("count"), member("group")) else {
            return Ok(false);
        };
        let Ok(group) = usize::try_from(group) else { return Ok(false) };
        if group > key.len() || key.is_empty() {
            return Ok(false);
        }
        let count = Count { rows, stored: rows, ..Count::empty(group) };
        let part = self.part(Some(at));
        let key = Key::new(key);
        let hash = Counts::hash(&part.hasher, key.rest());
        part.insert(hash, key, count, ledger)?;
        Ok(true)
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.parts = vec![Counts::default()];
    }
}

impl Scale {
    fn score<'a>(
        &self,
        total: &Total<'a>,
        values: &mut Vec<Value<'a>>,
    ) -> Result<Score<'static>, Unscored> {
        let count = i64::try_from(total.count.rows).unwrap_or(i64::MAX);
        match self {
            Scale::Count => Ok(Score::of_number(Number::Int(count))),
            Scale::Expr(expr, columns) => {
                values.clear();
                key::read(total.key, *columns, values);
                values.push(Value::Int(count));
                let value = expr.value(Columns(values)).map_err(|fault| {
                    let key = values[..*columns].iter().map(shown).collect::<Vec<_>>().join(",");
                    Unscored { key, fault }
                })?;
                Ok(Score::of(value).to_owned())
            }
        }
    }
}

fn shown(value: &Value<'_>) -> String {
    let bytes = value.bytes();
    bytes.map_or_else(|| "NULL".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The columns of a key, and its count.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'r>(pub &'r [Value<'r>]);

impl<'r> Fields<'r> for Columns<'r> {
    fn field(self, slot: u16) -> Value<'r> {
        self.0.get(usize::from(slot)).cloned().unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Limits;

    fn ledger() -> Ledger {
        Ledger::new(Limits { rows: 1000, bytes: 1 << 20 }, true)
    }

    fn shown(tally: &Tally, k: usize) -> Vec<String> {
        let show = |row: &Ranked<'_>| {
            let Body::Count(count) = row.body else { return String::new() };
            let key = String::from_utf8_lossy(&row.key[1..]);
            format!("{} {key} {count} {:?}", row.rank.unwrap_or_default(), row.partition)
        };
        tally.first(k, Order::Greatest).expect("counts").iter().map(show).collect()
    }

    #[test]
    fn each_key_has_the_number_of_its_rows() {
        let (mut tally, mut ledger) = (Tally::new(Scale::Count), ledger());
        for i in 0..1000_u32 {
            let key = format!("key{}", i % 300);
            tally.add(Key::of_text(key.as_bytes()), 0, None, &mut ledger).expect("in the limits");
        }
        tally.add(Key::of_text(b""), 0, None, &mut ledger).expect("in the limits");
        let expected = ["1 key0 4 None", "2 key1 4 None", "3 key10 4 None"];
        assert_eq!(shown(&tally, 3), expected);
        assert_eq!(tally.totals().count(), 301);
    }

    #[test]
    fn bytes_are_compared_to_the_last_one() {
        let bytes: Vec<u8> = (0..40).collect();
        for length in 0..40 {
            assert!(are_equal(&bytes[..length], &bytes[..length]));
            assert!(!are_equal(&bytes[..length], &bytes[..=length]));
            for place in 0..length {
                let mut other = bytes[..length].to_vec();
                other[place] ^= 1;
                assert!(!are_equal(&bytes[..length], &other), "{length} {place}");
            }
        }
    }

    #[test]
    fn keys_of_another_type_are_other_keys() {
        let (mut tally, mut ledger) = (Tally::new(Scale::Count), ledger());
        let keys = [Value::Str(b"1".as_slice().into()), Value::Text(b"1".as_slice().into())];
        for value in keys {
            let mut bytes = Vec::new();
            key::push(&value, 1, &mut bytes);
            tally.add(Key::new(&bytes), 0, None, &mut ledger).expect("in the limits");
        }
        assert_eq!(tally.totals().count(), 2);
    }

    #[test]
    fn counts_of_partitions_are_added_and_come_back() {
        let (mut tally, mut ledger) = (Tally::new(Scale::Count), ledger());
        let rows = [(b"a", 1), (b"b", 0), (b"b", 1), (b"a", 1), (b"b", 0)];
        for (key, partition) in rows {
            tally.add(Key::of_text(key), 0, Some(partition), &mut ledger).expect("in the limits");
        }
        let expected = ["1 b 3 Some(0)", "2 a 2 Some(1)"];
        assert_eq!(shown(&tally, 9), expected);
        let mut entries = Vec::new();
        tally.file(&mut entries);
        tally.file(&mut entries);
        assert_eq!(entries.len(), 3, "what has not changed is not stored again");
        let (mut again, mut ledger) = (Tally::new(Scale::Count), self::ledger());
        for entry in &entries {
            let key = row::stored::read_bytes(&entry.key[1]).expect("bytes");
            assert_eq!(again.restore(entry.at, &key, &entry.value, &mut ledger), Ok(true));
        }
        assert_eq!(shown(&again, 9), expected);
        entries.clear();
        again.file(&mut entries);
        assert_eq!(entries, []);
        assert_eq!(again.restore(0, b"", &json!({}), &mut ledger), Ok(false));
    }
}
