//! The profiles: what the rows are about.

use std::str::FromStr;

use crate::fleet::Fleet;
use crate::form::{Form, Frame};
use crate::host::{Host, Meter};
use crate::keys::Keys;
use crate::logs::{ErrorShare, Layout, Logs};
use crate::numbers::Numbers;
use crate::pages::Pages;
use crate::part::Rows;
use crate::table::Table;
use crate::typed::Typed;
use crate::visits::FraudShare;
use crate::withdrawals::Withdrawals;

/// Which profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Visits to pages.
    Pages,
    /// Random integers.
    Numbers,
    /// Log lines.
    Logs,
    /// Withdrawals from cash machines.
    Withdrawals,
    /// This machine, measured.
    Host,
    /// Many machines, simulated.
    Fleet,
    /// Columns of one's own.
    Rows,
    /// Lines from stdin.
    Stdin,
}

impl Kind {
    /// What the profiles are called.
    pub const NAMES: [&str; 8] =
        ["pages", "numbers", "logs", "withdrawals", "host", "fleet", "rows", "stdin"];
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Kind, String> {
        match name {
            "pages" => Ok(Kind::Pages),
            "numbers" => Ok(Kind::Numbers),
            "logs" => Ok(Kind::Logs),
            "withdrawals" => Ok(Kind::Withdrawals),
            "host" => Ok(Kind::Host),
            "fleet" => Ok(Kind::Fleet),
            "rows" => Ok(Kind::Rows),
            "stdin" => Ok(Kind::Stdin),
            _ => Err("no such profile".to_owned()),
        }
    }
}

/// A source of rows. Row `N` hangs on the seed, `N` and its time only, so that rows can be made
/// in any order; but those of [`Profile::Host`] are measured, and those of
/// [`Profile::Typed`] come in.
#[derive(Debug)]
pub enum Profile {
    /// Visits to pages.
    Pages(Box<Pages>),
    /// Random integers.
    Numbers(Numbers),
    /// Log lines.
    Logs(Logs),
    /// Withdrawals from cash machines.
    Withdrawals(Box<Withdrawals>),
    /// A machine.
    Host(Host),
    /// Many machines, simulated.
    Fleet(Box<Fleet>),
    /// Columns of one's own.
    Table(Box<Table>),
    /// Lines that come in.
    Typed(Typed),
}

impl Profile {
    /// Visits to pages, each after its time when `timed`; by `keys`, or else to 100 alike.
    #[must_use]
    pub fn pages(seed: u64, form: Form, timed: bool, keys: Option<Keys>) -> Profile {
        Profile::Pages(Box::new(Pages::new(seed, form, timed, keys)))
    }

    /// Integers from 0 to `below` − 1, each after its time when `timed`.
    #[must_use]
    pub fn numbers(seed: u64, form: Form, timed: bool, below: u64) -> Profile {
        Profile::Numbers(Numbers::new(seed, form, timed, below))
    }

    /// Log lines.
    #[must_use]
    pub fn logs(seed: u64, layout: Layout, errors: ErrorShare) -> Profile {
        Profile::Logs(Logs::new(seed, layout, errors))
    }

    /// Withdrawals from cash machines, a share of them by thieves.
    #[must_use]
    pub fn withdrawals(seed: u64, form: Form, share: FraudShare) -> Profile {
        Profile::Withdrawals(Box::new(Withdrawals::new(seed, form, share)))
    }

    /// What the machine that is called `name` does, by a meter.
    #[must_use]
    pub fn host(form: Form, name: &str, meter: Box<dyn Meter>) -> Profile {
        Profile::Host(Host::new(form, name, meter))
    }

    /// The header line, when the form has one.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        self.frame().header()
    }

    fn frame(&self) -> &Frame {
        match self {
            Profile::Pages(pages) => pages.frame(),
            Profile::Numbers(numbers) => numbers.frame(),
            Profile::Logs(logs) => logs.frame(),
            Profile::Withdrawals(withdrawals) => withdrawals.frame(),
            Profile::Host(host) => host.frame(),
            Profile::Fleet(fleet) => fleet.frame(),
            Profile::Table(table) => table.frame(),
            Profile::Typed(typed) => typed.frame(),
        }
    }

    /// The key of `line`, the row that was written last, without its newline: the page, the
    /// service, the card, the host, or the first column of one's own.
    #[must_use]
    pub fn key<'a>(&'a self, line: &'a [u8]) -> Option<&'a [u8]> {
        let at = match self {
            Profile::Table(table) => return Some(table.key(line)),
            Profile::Numbers(_) | Profile::Typed(_) => return None,
            Profile::Logs(logs) if !logs.has_services() => return None,
            Profile::Logs(_) => 2,
            _ => 0,
        };
        self.frame().value(at, line)
    }

    /// Appends `row`, a line, which has the time `ms`.
    #[inline]
    pub fn write(&mut self, row: u64, ms: i64, out: &mut Vec<u8>) {
        match self {
            Profile::Pages(pages) => pages.write(row, ms, out),
            Profile::Numbers(numbers) => numbers.write(row, ms, out),
            Profile::Logs(logs) => logs.write(row, ms, out),
            Profile::Withdrawals(withdrawals) => withdrawals.write(row, ms, out),
            Profile::Host(host) => host.write(ms, out),
            Profile::Fleet(fleet) => fleet.write(row, ms, out),
            Profile::Table(table) => table.write(row, ms, out),
            Profile::Typed(typed) => typed.write(ms, out),
        }
    }
    /// Whether no row shows a time.
    #[must_use]
    pub fn is_timeless(&self) -> bool {
        matches!(self, Profile::Pages(_) | Profile::Numbers(_)) && !self.frame().has_time()
    }

    /// Appends `rows`, as [`Profile::write`] does each, with times by `ms`: faster, as it looks
    /// once what to do for many.
    pub fn write_all(&mut self, rows: Rows, ms: impl Fn(u64) -> i64, out: &mut Vec<u8>) {
        let timeless = self.is_timeless();
        match self {
            Profile::Pages(pages) => rows.for_each(|row| pages.write(row, ms(row), out)),
            Profile::Numbers(numbers) if timeless => numbers.write_all(rows, out),
            Profile::Numbers(numbers) => rows.for_each(|row| numbers.write(row, ms(row), out)),
            Profile::Logs(logs) => rows.for_each(|row| logs.write(row, ms(row), out)),
            Profile::Withdrawals(withdrawals) => {
                rows.for_each(|row| withdrawals.write(row, ms(row), out));
            }
            _ => rows.for_each(|row| self.write(row, ms(row), out)),
        }
    }
}
