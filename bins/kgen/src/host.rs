//! What a machine does: `1735689600000,web1,12.50,61.33` is time, host, and in percent the CPU
//! that was used since the row before and the memory that is.

use std::fmt::Debug;

use crate::form::{Column, Form, Frame};

const COLUMNS: [Column; 3] = [Column::text("host"), Column::number("cpu"), Column::number("mem")];

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// CPU used since the reading before, in percent of all of it.
    pub cpu_percent: f32,
    /// Memory in use, in percent.
    pub mem_percent: f32,
}

/// Measures a machine.
pub trait Meter: Debug {
    /// What it does now.
    fn read(&mut self) -> Reading;
}

/// The rows of the profile `host`.
#[derive(Debug)]
pub struct Host {
    frame: Frame,
    /// The host, and what stands around it.
    name: String,
    meter: Box<dyn Meter>,
}

impl Host {
    /// The rows of the machine that is called `name` and measured by `meter`. What is not a
    /// letter, a digit, `-`, `_` or `.` in the name becomes a `-`, so that no form has to escape
    /// anything.
    #[must_use]
    pub fn new(form: Form, name: &str, meter: Box<dyn Meter>) -> Host {
        let frame = Frame::new(form, ",", true, &COLUMNS);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let plain = |c| if is_plain(c) { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        Host { name: format!("{}{name}{}", frame.before(0), frame.before(1)), frame, meter }
    }

    /// What stands around the values.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Measures, and appends a row that has the time `ms`.
    pub fn write(&mut self, ms: i64, out: &mut Vec<u8>) {
        let Reading { cpu_percent, mem_percent } = self.meter.read();
        let [between, end] = [2, 3].map(|at| self.frame.before(at));
        self.frame.write_time(ms, out);
        let row = format!("{}{cpu_percent:.2}{between}{mem_percent:.2}{end}", self.name);
        out.extend_from_slice(row.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each reading is higher than the one before.
    #[derive(Debug, Default)]
    struct Rising(f32);

    impl Meter for Rising {
        fn read(&mut self) -> Reading {
            self.0 += 1.0 / 3.0;
            Reading { cpu_percent: self.0, mem_percent: 100.0 - self.0 }
        }
    }

    fn rows(form: Form, name: &str) -> String {
        let mut host = Host::new(form, name, Box::new(Rising::default()));
        let mut out = host.frame().header().unwrap_or_default().as_bytes().to_vec();
        host.write(5, &mut out);
        host.write(1_005, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn every_row_is_a_reading_of_its_own_in_every_form() {
        assert_eq!(rows(Form::Text, "web1"), "5,web1,0.33,99.67\n1005,web1,0.67,99.33\n");
        let csv = "ms,host,cpu,mem\n5,web1,0.33,99.67\n1005,web1,0.67,99.33\n";
        assert_eq!(rows(Form::Csv, "web1"), csv);
        let first = "{\"ms\":5,\"host\":\"web1\",\"cpu\":0.33,\"mem\":99.67}\n";
        assert!(rows(Form::Json, "web1").starts_with(first));
    }

    #[test]
    fn a_name_needs_no_escape() {
        assert!(
            rows(Form::Text, "my \"old, box\"\n\u{e9}.example-1_a")
                .starts_with("5,my--old--box---.example-1_a,")
        );
    }
}
