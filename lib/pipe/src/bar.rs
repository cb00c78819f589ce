//! A bar on a terminal that shows how far long work of known length has come.

use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};

use crate::exit;

/// The bar that is shown, for messages to be written aside from.
static SHOWN: OnceLock<ProgressBar> = OnceLock::new();

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of input.
    Bytes,
    /// Records.
    Records,
}

impl Unit {
    fn template(self) -> &'static str {
        match self {
            Unit::Bytes => {
                "{wide_bar} {percent:>3} %  {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
            }
            Unit::Records => "{wide_bar} {percent:>3} %  {human_pos} of {human_len}, {eta} left",
        }
    }
}

/// A bar on stderr, which goes when the value does. A program shows one at most.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar of `unit`, when stderr is a terminal.
    #[must_use]
    pub fn open(unit: Unit) -> Option<Bar> {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template(unit.template()).ok()?;
        if bar.is_hidden() || SHOWN.set(bar.clone()).is_err() {
            return None;
        }
        bar.set_style(style);
        exit::write_aside(aside);
        Some(Bar(bar))
    }

    /// Shows that `done` of `total` are done.
    pub fn show(&self, done: u64, total: u64) {
        if self.0.length() != Some(total) {
            self.0.set_length(total);
        }
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Writes with the bar out of the way.
fn aside(write: &mut dyn FnMut()) {
    match SHOWN.get() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_right() {
        for unit in [Unit::Bytes, Unit::Records] {
            assert!(ProgressStyle::with_template(unit.template()).is_ok(), "{unit:?}");
        }
    }
}
