//! The columns of a result, from its rows.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::stream::{Row, Whole};

/// A column of a result: bytes as they are, or a float in whatever digits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Bytes(Vec<u8>),
    Float(f64),
}

impl Cell {
    /// Whether `field` is this column.
    pub(crate) fn is(&self, field: &[u8]) -> bool {
        match self {
            Cell::Bytes(bytes) => bytes == field,
            Cell::Float(float) => {
                let text = std::str::from_utf8(field).expect("a float is ASCII");
                text.contains(['.', 'e']) && text.parse() == Ok(*float)
            }
        }
    }
}

/// The aggregates of [`AGGREGATES`](crate::job::AGGREGATES) over `rows`, which stand by time, then
/// arrival.
pub(crate) fn aggregates(rows: &[&Row]) -> Vec<Cell> {
    let mut cells = vec![text(rows.len())];
    let wholes: Vec<i64> = rows.iter().filter_map(|row| whole(row)).collect();
    cells.push(text(wholes.len()));
    let sum: i128 = wholes.iter().map(|whole| i128::from(*whole)).sum();
    if wholes.is_empty() {
        cells.extend([null(), null(), null(), null()]);
    } else {
        cells.extend([text(sum), Cell::Float(nearest(sum) / length(&wholes))]);
        cells.push(wholes.iter().min().map_or(null(), text));
        cells.push(wholes.iter().max().map_or(null(), text));
    }
    let mut numbers: Vec<&str> = rows.iter().map(|row| row.number.as_str()).collect();
    numbers.retain(|number| !number.is_empty());
    let last = numbers.last().map_or(null(), text);
    cells.extend(numeric(&mut numbers));
    cells.push(wholes.first().map_or(null(), text));
    cells.push(last);
    cells.push(text(wholes.iter().collect::<BTreeSet<_>>().len()));
    cells
}

/// Sum, mean, least and greatest of numbers that may have decimals.
fn numeric(numbers: &mut [&str]) -> [Cell; 4] {
    if numbers.is_empty() {
        return [null(), null(), null(), null()];
    }
    let value = |number: &&str| number.parse::<f64>().expect("a number");
    numbers.sort_by(|one, other| value(one).total_cmp(&value(other)));
    let sum = exact_sum(numbers.iter().map(value));
    let mean = Cell::Float(sum / length(numbers));
    let is_whole = numbers.iter().all(|number| !number.contains('.'));
    let sum = if is_whole { text(format!("{sum:.0}")) } else { Cell::Float(sum) };
    [sum, mean, text(numbers[0]), text(numbers[numbers.len() - 1])]
}

/// The float nearest to the sum of floats that are below 2^40 and not below 2^-20 unless zero:
/// whole multiples of 2^-73, so that 128 bits hold thousands of them.
fn exact_sum(floats: impl Iterator<Item = f64>) -> f64 {
    let scale = 2.0_f64.powi(73);
    let whole = |float: f64| format!("{:.0}", float * scale).parse::<i128>().expect("128 bits");
    nearest(floats.map(whole).sum()) / scale
}

/// The float nearest to a whole number.
fn nearest(whole: i128) -> f64 {
    whole.to_string().parse().expect("a number")
}

fn length<T>(list: &[T]) -> f64 {
    u32::try_from(list.len()).expect("a short list").into()
}

/// The whole number of a row, when it has one.
pub(crate) fn whole(row: &Row) -> Option<i64> {
    match row.whole {
        Whole::Is(whole) => Some(whole),
        Whole::Null | Whole::Scrap => None,
    }
}

/// A column of text.
pub(crate) fn text(value: impl Display) -> Cell {
    Cell::Bytes(value.to_string().into_bytes())
}

fn null() -> Cell {
    Cell::Bytes(Vec::new())
}
