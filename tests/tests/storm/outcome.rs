//! What came out, against the truth.

use serde_json::Value as Json;

use crate::lines::Rows;
use crate::variant::{Check, Variant};

/// Findings that are shown of a pipe.
const SHOWN: usize = 5;

/// What is wrong with the rows that came out of `variant`; nothing, when they are right.
pub(crate) fn faults(variant: &Variant, rows: &str, truth: &Rows) -> Vec<String> {
    let got = sorted(variant, rows);
    let keys = truth.keys().chain(got.keys().filter(|key| !truth.contains_key(*key)));
    let none = Vec::new();
    let found = keys.filter_map(|key| {
        let (want, got) = (truth.get(key).unwrap_or(&none), got.get(key).unwrap_or(&none));
        fault(variant.check, want, got).map(|what| format!("{}: {key}: {what}", variant.name))
    });
    let mut found: Vec<String> = found.collect();
    let count = found.len();
    found.truncate(SHOWN);
    if count > SHOWN {
        found.push(format!("{}: and {} more keys", variant.name, count - SHOWN));
    }
    found
}

/// The rows by what they are ordered by, each with the columns that count.
fn sorted(variant: &Variant, rows: &str) -> Rows {
    let mut all = Rows::new();
    for row in rows.lines() {
        let (key, row) = if variant.columns.is_empty() {
            (row.split(',').nth(1).unwrap_or_default().to_owned(), row.to_owned())
        } else {
            let row: Json = serde_json::from_str(row).expect("a row is JSON");
            let column = |name: &str| match &row[name] {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let columns: Vec<_> = variant.columns.iter().map(|name| column(name)).collect();
            (column(variant.by), columns.join(","))
        };
        all.entry(key).or_default().push(row);
    }
    all
}

/// What is wrong with the rows of a key.
fn fault(check: Check, want: &[String], got: &[String]) -> Option<String> {
    match check {
        Check::Whole if want == got => return None,
        Check::Last if want.last() == got.last() || want.is_empty() => return None,
        Check::Thinned => {
            let mut rest = want.iter();
            let in_order = got.iter().all(|row| rest.any(|wanted| wanted == row));
            if in_order && want.last() == got.last() {
                return None;
            }
        }
        _ => {}
    }
    let lost = want.iter().filter(|row| !got.contains(row)).count();
    let alien = got.iter().filter(|row| !want.contains(row)).count();
    let twice = (1..got.len()).filter(|at| got[..*at].contains(&got[*at])).count();
    let at = want.iter().zip(got).position(|(want, got)| want != got);
    let at = at.unwrap_or(want.len().min(got.len()));
    Some(format!(
        "{} rows and not {}: {lost} lost, {twice} doubled, {alien} wrong; at {at} {:?} and not {:?}",
        got.len(),
        want.len(),
        got.get(at),
        want.get(at)
    ))
}

#[cfg(test)]
mod tests {
    use super::{Check, fault};

    fn rows(rows: &[&str]) -> Vec<String> {
        rows.iter().map(|row| (*row).to_owned()).collect()
    }

    #[test]
    fn what_is_lost_doubled_or_out_of_order_is_found() {
        let want = rows(&["1", "2", "3"]);
        let holds = |check, got: &[&str]| fault(check, &want, &rows(got)).is_none();
        assert!(holds(Check::Whole, &["1", "2", "3"]));
        for got in [&["1", "3"][..], &["1", "2", "2", "3"], &["2", "1", "3"], &["1", "2", "3", "4"]]
        {
            assert!(!holds(Check::Whole, got), "{got:?}");
        }
        assert!(holds(Check::Thinned, &["2", "3"]));
        for got in [&["1", "2"][..], &["1", "1", "3"], &["2", "1", "3"], &["1", "9", "3"]] {
            assert!(!holds(Check::Thinned, got), "{got:?}");
        }
        assert!(holds(Check::Last, &["9", "3"]));
        assert!(!holds(Check::Last, &["3", "2"]));
    }
}
