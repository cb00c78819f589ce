//! What topk should write, by sorting everything.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// A row: the end of its window, its group, its key, and its score as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) window: i64,
    pub(crate) group: String,
    pub(crate) key: String,
    pub(crate) score: String,
}

impl Row {
    pub(crate) fn line(&self) -> String {
        format!("{},{},{},{}", self.window, self.group, self.key, self.score)
    }
}

/// What is asked of topk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) k: usize,
    pub(crate) ascending: bool,
    pub(crate) keyed: bool,
    pub(crate) grouped: bool,
}

/// A row with its rank.
pub(crate) type Ranked = (usize, Row);

/// What a score is: a number, other text, or nothing.
#[derive(PartialEq, PartialOrd)]
enum Class {
    Number(f64),
    Text(String),
    Null,
}

fn class(score: &str) -> Class {
    match score.parse() {
        _ if score.is_empty() => Class::Null,
        Ok(number) => Class::Number(number),
        Err(_) => Class::Text(score.to_owned()),
    }
}

impl Asked {
    /// The group of a row; all are in one when there are none.
    fn group<'r>(&self, row: &'r Row) -> &'r str {
        if self.grouped { &row.group } else { "" }
    }

    /// Which of two rows comes first, where the earlier one is `one` if nothing else tells.
    fn compare(&self, one: &Row, other: &Row) -> Ordering {
        let (left, right) = (class(&one.score), class(&other.score));
        let mut by_score = left.partial_cmp(&right).expect("no score is NaN");
        let same_class = std::mem::discriminant(&left) == std::mem::discriminant(&right);
        if same_class && !self.ascending {
            by_score = by_score.reverse();
        }
        let by_key = if self.keyed { one.key.cmp(&other.key) } else { Ordering::Equal };
        by_score.then(by_key)
    }

    /// The first rows of each group.
    pub(crate) fn rank(&self, rows: &[Row]) -> Vec<Ranked> {
        let mut groups: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for row in rows {
            groups.entry(self.group(row)).or_default().push(row.clone());
        }
        let mut ranking = Vec::new();
        for mut rows in groups.into_values() {
            rows.sort_by(|one, other| self.compare(one, other));
            ranking.extend((1..).zip(rows).take(self.k));
        }
        ranking
    }

    /// The last row of each key.
    pub(crate) fn latest(&self, rows: &[Row]) -> Vec<Row> {
        let key = |row| (self.group(row), row.key.as_str());
        let last: HashMap<_, &Row> = rows.iter().map(|row| (key(row), row)).collect();
        last.into_values().cloned().collect()
    }

    /// A row of each key with the number of its rows as its score.
    pub(crate) fn tally(&self, rows: &[Row]) -> Vec<Row> {
        let latest = self.latest(rows).into_iter();
        let counted = |row: Row| {
            let same = |other: &&Row| self.group(other) == self.group(&row) && other.key == row.key;
            let score = rows.iter().filter(same).count().to_string();
            Row { score, ..row }
        };
        latest.map(counted).collect()
    }

    /// What `now` has that is not as it was `before`, as lines.
    pub(crate) fn changes(&self, before: &[Ranked], now: &[Ranked]) -> String {
        let place = |ranking: &[Ranked], row: &Row| {
            let same =
                |(_, other): &&Ranked| self.group(other) == self.group(row) && other.key == row.key;
            ranking.iter().find(same).map(|(rank, row)| (*rank, class(&row.score)))
        };
        // The group, whether it left, and the line; the order within these is that of the ranking.
        let mut changes: Vec<(&str, bool, String)> = Vec::new();
        for (rank, row) in now.iter().filter(|(_, row)| place(before, row) != place(now, row)) {
            changes.push((self.group(row), false, format!("{rank},{}\n", row.line())));
        }
        for (_, row) in before.iter().filter(|(_, row)| place(now, row).is_none()) {
            let group = if self.grouped { &row.group } else { "" };
            changes.push((self.group(row), true, format!(",,{group},{},\n", row.key)));
        }
        changes.sort_by_key(|&(group, left, _)| (group, left));
        changes.into_iter().map(|(_, _, line)| line).collect()
    }
}

/// Ranked rows as lines.
pub(crate) fn lines(ranking: &[Ranked]) -> String {
    ranking
        .iter()
        .flat_map(|(rank, row)| [format!("{rank},"), row.line(), "\n".to_owned()])
        .collect()
}
