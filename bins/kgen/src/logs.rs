//! Log lines: `2026-11-21T10:00:00.123Z ERROR payment order 5312 timed out`, or as a web server
//! writes them: `[Fri Nov 20 10:00:00 2026] [ERROR] [client 10.1.2.3] text`.

use crate::chance::parts;
use crate::date::{Dates, Style};
use crate::draw::{Draws, Fraction};
use crate::form::{Column, Form, Frame};
use crate::message::{Level, Template};

/// Shares of levels are counted in millionths.
const MILLION: u32 = 1_000_000;
const WHOLE: u64 = MILLION as u64;
/// The share of warnings, as far as errors leave room.
const WARN_SHARE: u64 = 150_000;

const COLUMNS: [Column; 4] =
    [Column::text("time"), Column::text("level"), Column::text("service"), Column::text("message")];

/// The share of rows that are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorShare {
    millionths: u64,
}

impl ErrorShare {
    /// What it is unless said otherwise: 5 %.
    pub const DEFAULT: ErrorShare = ErrorShare { millionths: 50_000 };
}

impl std::str::FromStr for ErrorShare {
    type Err = String;

    fn from_str(text: &str) -> Result<ErrorShare, String> {
        let millionths = parts(text, MILLION)?;
        Ok(ErrorShare { millionths })
    }
}

/// How the lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Time, level, service and message in a form.
    Application(Form),
    /// The error log of a web server.
    Apache,
}

/// The rows of the profile `logs`.
#[derive(Debug)]
pub struct Logs {
    draws: Draws<2>,
    frame: Frame,
    dates: Dates,
    before_time: String,
    /// Rows below the first bound are errors, below the second warnings.
    bounds: [u64; 2],
    /// What follows the time, by level.
    templates: [Vec<Template>; 3],
}

impl Logs {
    /// The rows of `seed`.
    #[must_use]
    pub fn new(seed: u64, layout: Layout, errors: ErrorShare) -> Logs {
        let form = match layout {
            Layout::Application(form) => form,
            Layout::Apache => Form::Text,
        };
        let frame = Frame::new(form, " ", false, &COLUMNS);
        let errors = errors.millionths;
        let (style, before_time, templates) = match layout {
            Layout::Application(_) => (
                Style::Rfc3339,
                frame.before(0).to_owned(),
                Level::ALL.map(|level| application_templates(level, &frame)),
            ),
            Layout::Apache => (Style::Apache, "[".to_owned(), Level::ALL.map(apache_templates)),
        };
        Logs {
            draws: Draws::new(seed, 0),
            frame,
            dates: Dates::new(style),
            before_time,
            bounds: [errors, WHOLE.min(errors + WARN_SHARE)],
            templates,
        }
    }

    /// What stands around the values.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Whether its lines name a service.
    #[must_use]
    pub fn has_services(&self) -> bool {
        self.before_time != "["
    }

    /// Appends `row`, which has the time `ms`.
    #[inline]
    pub fn write(&mut self, row: u64, ms: i64, out: &mut Vec<u8>) {
        let [kind, numbers] = self.draws.of_row(row);
        out.extend_from_slice(self.before_time.as_bytes());
        self.dates.write(ms, out);
        self.template(kind).write(numbers, out);
    }

    fn template(&self, mut draw: Fraction) -> &Template {
        let place = draw.below(WHOLE);
        let level = self.bounds.iter().filter(|bound| place >= **bound).count();
        let templates = &self.templates[level];
        &templates[draw.index(templates.len())]
    }
}

fn application_templates(level: Level, frame: &Frame) -> Vec<Template> {
    let template = |message: &crate::message::Message| {
        let [between, service, text] = [1, 2, 3].map(|at| frame.before(at));
        let before = format!("{between}{}{service}{}{text}", level.name(), message.service);
        Template::new(&before, message.text, frame.before(4))
    };
    level.messages().iter().map(template).collect()
}

fn apache_templates(level: Level) -> Vec<Template> {
    let template = |text: &&str| {
        let before = format!("] [{}] [client 10.", level.name());
        Template::new(&before, &format!("{{ip}}.{{ip}}.{{ip}}] {text}"), "\n")
    };
    level.apache_texts().iter().map(template).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chi_square::{assert_shares, assert_uniform};
    use std::collections::BTreeMap;

    const ROWS: u64 = 200_000;

    fn text(layout: Layout, errors: &str) -> String {
        let mut logs = Logs::new(4, layout, errors.parse().expect("a share"));
        let mut out = Vec::new();
        (0..ROWS).for_each(|row| logs.write(row, 1_795_255_200_123, &mut out));
        String::from_utf8(out).expect("ASCII")
    }

    fn level_counts(text: &str, name: impl Fn(&str) -> &str) -> [u32; 3] {
        let mut counts = [0; 3];
        for row in text.split_terminator('\n') {
            let level = Level::ALL.iter().position(|level| level.name() == name(row));
            counts[level.expect("a level")] += 1;
        }
        counts
    }

    #[test]
    fn levels_have_their_shares() {
        let count = |errors| {
            let text = text(Layout::Application(Form::Text), errors);
            level_counts(&text, |row| row.split(' ').nth(1).expect("a level"))
        };
        assert_shares("by default", &count("0.05"), &[0.05, 0.15, 0.8]);
        assert_shares("many errors", &count("0.5"), &[0.5, 0.15, 0.35]);
        assert_eq!(count("1"), [200_000, 0, 0]);
        assert_eq!(count("0")[0], 0);
        let crowded = count("0.9");
        assert_eq!(crowded[2], 0);
        assert_shares("no room", &crowded[..2], &[0.9, 0.1]);
    }

    #[test]
    fn messages_of_a_level_are_uniform() {
        let text = text(Layout::Application(Form::Text), "1");
        let mut counts = BTreeMap::new();
        for row in text.split_terminator('\n') {
            let words: String = row[25..].chars().filter(|byte| !byte.is_ascii_digit()).collect();
            *counts.entry(words).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), Level::Error.messages().len());
        assert_uniform("messages", &counts.into_values().collect::<Vec<_>>());
    }

    #[test]
    fn a_web_servers_line_has_time_level_and_client() {
        let text = text(Layout::Apache, "0.05");
        let row = text.split('\n').next().expect("a row");
        assert!(row.starts_with("[Sat Nov 21 10:00:00 2026] [WARN] [client 10."), "{row}");
        let counts =
            level_counts(&text, |row| row.split(['[', ']']).nth(3).expect("a level in brackets"));
        assert_shares("levels", &counts, &[0.05, 0.15, 0.8]);
    }

    #[test]
    fn five_percent_are_errors_by_default() {
        assert_eq!("0.05".parse(), Ok(ErrorShare::DEFAULT));
    }
}
