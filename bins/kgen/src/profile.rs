//! The profiles: what the rows are about.

use std::str::FromStr;

use crate::form::{Form, Frame};
use crate::host::{Host, Meter};
use crate::logs::{ErrorShare, Layout, Logs};
use crate::numbers::Numbers;
use crate::pages::Pages;
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
}

impl Kind {
    /// What the profiles are called.
    pub const NAMES: [&str; 5] = ["pages", "numbers", "logs", "withdrawals", "host"];
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
            _ => Err("no such profile".to_owned()),
        }
    }
}

/// A source of rows. Row `N` hangs on the seed, `N` and its time only, so that rows can be made
/// in any order; but those of [`Profile::Host`] are measured.
#[derive(Debug)]
pub enum Profile {
    /// Visits to pages.
    Pages(Pages),
    /// Random integers.
    Numbers(Numbers),
    /// Log lines.
    Logs(Logs),
    /// Withdrawals from cash machines.
    Withdrawals(Box<Withdrawals>),
    /// A machine.
    Host(Host),
}

impl Profile {
    /// Visits to pages, each after its time when `timed`.
    #[must_use]
    pub fn pages(seed: u64, form: Form, timed: bool) -> Profile {
        Profile::Pages(Pages::new(seed, form, timed))
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
        }
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
        }
    }
}
