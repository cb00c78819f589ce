//! Visits to pages: `page27|5|1.5119122|-1` is page, clicks, minutes stayed, and whether it was
//! liked (1), disliked (-1) or neither (0). All are uniform.

use crate::draw::Draws;
use crate::form::{Cell, Column, Form, Frame};
use crate::keys::Keys;

const PAGES: usize = 100;
const CLICKS: usize = 5;
/// Whole minutes: 0 to 4.
const MINUTES: usize = 5;
/// The fraction of a minute has so many decimals.
const DECIMALS: usize = 7;
const FRACTIONS: u64 = 10_000_000;
const LIKED: [&str; 3] = ["-1", "0", "1"];

const COLUMNS: [Column; 4] = [
    Column::text("page"),
    Column::number("clicks"),
    Column::number("stay"),
    Column::number("liked"),
];

/// The rows of the profile `pages`.
#[derive(Debug)]
pub struct Pages {
    draws: Draws<1>,
    frame: Frame,
    /// Which page, when not all of 100 are alike.
    keys: Option<Keys>,
    /// A page and what stands around it.
    names: Vec<Cell<32>>,
    /// Clicks, then the minutes up to the decimal point.
    visits: Vec<Cell<16>>,
    /// The liking and the end of the row.
    likings: Vec<Cell<16>>,
}

impl Pages {
    /// The rows of `seed`, whose pages are `keys` where there are any.
    #[must_use]
    pub fn new(seed: u64, form: Form, timed: bool, keys: Option<Keys>) -> Pages {
        let frame = Frame::new(form, "|", timed, &COLUMNS);
        let before = |at| frame.before(at);
        let page = |page| format!("{}page{}{}", before(0), page + 1, before(1));
        let visit = |visit| format!("{}{}{}.", visit / MINUTES + 1, before(2), visit % MINUTES);
        let liking = |liked: usize| format!("{}{}{}", before(3), LIKED[liked], before(4));
        Pages {
            draws: Draws::new(seed, 0),
            keys,
            names: Cell::table(PAGES, page),
            visits: Cell::table(CLICKS * MINUTES, visit),
            likings: Cell::table(LIKED.len(), liking),
            frame,
        }
    }

    /// What stands around the values.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Appends `row`, which has the time `ms`.
    #[inline]
    pub fn write(&mut self, row: u64, ms: i64, out: &mut Vec<u8>) {
        let [mut draw] = self.draws.of_row(row);
        self.frame.write_time(ms, out);
        // Drawn even when a key is, so that the rest of the row is the same.
        let page = draw.index(PAGES);
        match &mut self.keys {
            None => self.names[page].write(out),
            Some(keys) => write_page(keys.of_row(row), &self.frame, out),
        }
        self.visits[draw.index(CLICKS * MINUTES)].write(out);
        write_decimals(draw.below(FRACTIONS), out);
        self.likings[draw.index(LIKED.len())].write(out);
    }
}

fn write_page(page: u64, frame: &Frame, out: &mut Vec<u8>) {
    out.extend_from_slice(frame.before(0).as_bytes());
    out.extend_from_slice(b"page");
    out.extend_from_slice(itoa::Buffer::new().format(page).as_bytes());
    out.extend_from_slice(frame.before(1).as_bytes());
}

fn write_decimals(fraction: u64, out: &mut Vec<u8>) {
    // A one in front keeps the zeros behind it.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(FRACTIONS + fraction).as_bytes();
    out.extend_from_slice(digits.last_chunk::<DECIMALS>().expect("a one and the decimals"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chi_square::assert_uniform;

    const ROWS: u64 = 300_000;

    fn text(seed: u64, rows: impl Iterator<Item = u64>) -> String {
        let mut pages = Pages::new(seed, Form::Text, false, None);
        let mut out = Vec::new();
        rows.for_each(|row| pages.write(row, 0, &mut out));
        String::from_utf8(out).expect("ASCII")
    }

    /// A visit as classes from 0: page, clicks, ten-thousandths of the stay, liking.
    fn classes(row: &str) -> [usize; 4] {
        let fields: Vec<_> = row.split('|').collect();
        let [page, clicks, stay, liked] = fields[..] else { panic!("{row}") };
        let (minutes, fraction) = stay.split_once('.').expect("a decimal point");
        assert_eq!((minutes.len(), fraction.len()), (1, 7), "{row}");
        let number = |text: &str| text.parse::<usize>().expect("a number");
        let page = number(page.strip_prefix("page").expect("a page"));
        let stay = number(minutes) * 10_000 + number(fraction) / 1_000;
        let liked = LIKED.iter().position(|known| *known == liked).expect("a liking");
        [page - 1, number(clicks) - 1, stay, liked]
    }

    #[test]
    fn every_column_and_every_pair_of_neighbours_is_uniform() {
        let text = text(1, 0..ROWS);
        let rows: Vec<_> = text.split_terminator('\n').map(classes).collect();
        let check = |what: &str, count: usize, class: &dyn Fn(&[usize; 4]) -> usize| {
            let mut counts = vec![0; count];
            for row in &rows {
                counts[class(row)] += 1;
            }
            assert_uniform(what, &counts);
        };
        check("page", PAGES, &|row| row[0]);
        check("clicks", CLICKS, &|row| row[1]);
        check("stay", 50_000, &|row| row[2]);
        check("liked", LIKED.len(), &|row| row[3]);
        check("page and clicks", PAGES * CLICKS, &|row| row[0] * CLICKS + row[1]);
        check("minutes and liked", MINUTES * 3, &|row| row[2] / 10_000 * 3 + row[3]);
        check("page and liked", PAGES * 3, &|row| row[0] * 3 + row[3]);
    }

    #[test]
    fn one_row_does_not_tell_the_next() {
        let text = text(2, 0..ROWS);
        let pages: Vec<_> = text.split_terminator('\n').map(|row| classes(row)[0] / 10).collect();
        let mut counts = vec![0; 100];
        pages.windows(2).for_each(|pair| counts[pair[0] * 10 + pair[1]] += 1);
        assert_uniform("pairs of rows", &counts);
    }

    #[test]
    fn every_form_has_room_in_the_cells() {
        for (form, timed) in [(Form::Text, true), (Form::Csv, true), (Form::Json, false)] {
            let _ = Pages::new(1, form, timed, None);
        }
        let mut out = Vec::new();
        Pages::new(1, Form::Json, true, None).write(0, 5, &mut out);
        let row = String::from_utf8(out).expect("ASCII");
        let start = "{\"ms\":5,\"page\":\"page39\",\"clicks\":1,\"stay\":3.7235330,\"liked\":1}\n";
        assert_eq!(row, start);
    }

    #[test]
    fn rows_can_be_made_in_any_order() {
        let there = text(1, 0..100);
        let back = text(1, (0..100).rev());
        let mut lines: Vec<_> = back.split_inclusive('\n').collect();
        lines.reverse();
        assert_eq!(lines.concat(), there);
    }
}
