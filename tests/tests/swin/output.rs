//! What swin wrote, read back.

use std::collections::BTreeMap;

use crate::oracle::{Losses, Told};
use crate::result::Cell;

/// A changed entry of a stage's state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The entry that comes first, which says what the state is of.
    is_header: bool,
    partition: String,
    /// Its stage and its key.
    name: (String, String),
    mark: String,
}

/// What stands in an output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// A row, with the mark that says which partition it stands under.
    Row(String, Vec<u8>),
    Closed(i64),
    /// A bad or late row, as a mark.
    Letter(String),
    State(Entry),
    /// How many rows its epoch has.
    Barrier(usize),
    Begin,
}

/// The items of an output.
pub(crate) fn items(output: &[u8]) -> Vec<Item> {
    let mut from = String::new();
    let mut items = Vec::new();
    let lines = output.split_inclusive(|byte| *byte == b'\n');
    for line in lines.map(|line| line.strip_suffix(b"\n").expect("a whole line")) {
        let mark = match line {
            [0x1e, 0x1e, ..] => {
                items.push(Item::Row(from.clone(), line[1..].to_vec()));
                continue;
            }
            [0x1e, mark @ ..] => String::from_utf8(mark.to_vec()).expect("a mark is UTF-8"),
            _ => {
                items.push(Item::Row(from.clone(), line.to_vec()));
                continue;
            }
        };
        let json: serde_json::Value = serde_json::from_str(&mark).expect("a mark is JSON");
        match json["mark"].as_str().expect("a mark has a name") {
            "from" => from = json["at"].to_string(),
            "closed" => items.push(Item::Closed(json["until"].as_i64().expect("a time"))),
            "bad" | "late" => items.push(Item::Letter(mark)),
            "state" => {
                items.push(Item::State(Entry {
                    is_header: json["key"].is_null(),
                    partition: json["at"].to_string(),
                    name: (json["stage"].to_string(), json["key"].to_string()),
                    mark,
                }));
            }
            "barrier" => {
                let lines = json["lines"].as_u64().expect("a count");
                items.push(Item::Barrier(usize::try_from(lines).expect("a small count")));
            }
            "begin" => {
                from = String::new();
                items.push(Item::Begin);
            }
            _ => {}
        }
    }
    items
}

/// The rows of an output, each cut into its columns.
pub(crate) fn rows(output: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let rows = items(output).into_iter().filter_map(|item| match item {
        Item::Row(_, row) => Some(row),
        _ => None,
    });
    let fields = |row: Vec<u8>| row.split(|byte| *byte == 0x1f).map(<[u8]>::to_vec).collect();
    rows.map(fields).collect()
}

/// Whether rows are those that are expected; else the first that is not.
pub(crate) fn compare(found: &[Vec<Vec<u8>>], expected: &[Told]) -> Result<(), String> {
    for at in 0..found.len().max(expected.len()) {
        let (row, cells) = (found.get(at), expected.get(at));
        let fits = match (row, cells) {
            (Some(row), Some(cells)) => {
                let mut pairs = cells.iter().zip(row);
                row.len() == cells.len() && pairs.all(|(cell, field)| cell.is(field))
            }
            _ => false,
        };
        if !fits {
            let row = row.map(|row| shown(row.iter().map(Vec::as_slice)));
            let cells = cells.map(|cells| {
                let fields = cells.iter().map(|cell| match cell {
                    Cell::Bytes(bytes) => bytes.clone(),
                    Cell::Float(float) => float.to_string().into_bytes(),
                });
                shown(fields.collect::<Vec<_>>().iter().map(Vec::as_slice))
            });
            return Err(format!("row {}: expected {cells:?}, found {row:?}", at + 1));
        }
    }
    Ok(())
}

fn shown<'a>(fields: impl Iterator<Item = &'a [u8]>) -> String {
    fields.map(|field| field.escape_ascii().to_string()).collect::<Vec<_>>().join("|")
}

/// What stderr says of rows that did not count.
pub(crate) fn losses(stderr: &str) -> Losses {
    let numbers = |phrase: &str| {
        let line = stderr.lines().find(|line| line.contains(phrase)).unwrap_or_default();
        let words = line.split([' ', ':', ';']);
        words.filter_map(|word| word.parse().ok()).collect::<Vec<i64>>()
    };
    let count = |phrase: &str| numbers(phrase).first().map_or(0, |count| count.unsigned_abs());
    Losses {
        bad: count("left out"),
        late: count("late by up to"),
        late_most_ms: numbers("late by up to").get(1).copied().unwrap_or_default(),
        outside: count("in the gaps"),
    }
}

/// The state that stands before the barrier `epoch`, as marks that give it back: what `keeps` is
/// true for by partition, headers first.
pub(crate) fn restores(items: &[Item], epoch: usize, keeps: impl Fn(&str) -> bool) -> Vec<String> {
    let mut entries = BTreeMap::new();
    let mut barriers = 0;
    for item in items {
        match item {
            Item::Barrier(_) => barriers += 1,
            Item::State(entry) if keeps(&entry.partition) => {
                let place = (!entry.is_header, &entry.partition, &entry.name);
                if entry.mark.ends_with(r#""value":null}"#) {
                    entries.remove(&place);
                } else {
                    entries.insert(place, &entry.mark);
                }
            }
            _ => {}
        }
        if barriers == epoch {
            break;
        }
    }
    let restore = |mark: &&String| mark.replacen(r#""mark":"state""#, r#""mark":"restore""#, 1);
    entries.values().map(restore).collect()
}
