//! The end of a program: exit codes, messages, and the only place that writes to stderr.
//!
//! | code | whose fault | example |
//! |---|---|---|
//! | 0 | nobody's | done, or the reader of stdout has gone |
//! | 1 | the world's | broker, disk, a limit, bad data under `--strict` |
//! | 2 | the caller's | a wrong flag or expression |
//! | 75 | a stream was cut short | run it again |
//!
//! Every message is `tool: thing: reason`.

use std::error::Error as _;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::error::{ContextKind, ErrorKind};

use crate::stdio::reason;

/// The name that stands in front of every message.
static TOOL: OnceLock<&'static str> = OnceLock::new();

/// Takes out of the way what is shown on stderr while a message is written.
static ASIDE: OnceLock<fn(&mut dyn FnMut())> = OnceLock::new();

/// An exit code of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    /// All was done.
    pub const DONE: Code = Code(0);
    /// The world failed: broker, disk, a limit, bad data under `--strict`.
    pub const WORLD: Code = Code(1);
    /// The caller failed: a wrong flag, expression or combination.
    pub const CALLER: Code = Code(2);
    /// A stream was cut short: run it again.
    pub const UNFINISHED: Code = Code(75);
}

/// Why a program ends before its work is done.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// The reader of stdout has gone, which is its right: exit 0 without a word.
    Closed,
    /// A failure with its exit code and its message, `thing: reason`.
    Failed(Code, String),
}

/// The result of a program and of everything at its edge.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of the world (exit 1) with `thing`, because of `reason`.
    pub fn world(thing: impl Display, reason: impl Display) -> Error {
        Error::Failed(Code::WORLD, format!("{thing}: {reason}"))
    }

    /// A failure of the caller (exit 2) with `thing`, because of `reason`.
    pub fn caller(thing: impl Display, reason: impl Display) -> Error {
        Error::Failed(Code::CALLER, format!("{thing}: {reason}"))
    }

    /// A stream that was cut short (exit 75) at `thing`, because of `reason`.
    pub fn unfinished(thing: impl Display, reason: impl Display) -> Error {
        Error::Failed(Code::UNFINISHED, format!("{thing}: {reason}"))
    }

    /// The refusal of `argument` as the `thing` of the message, which a file of that name explains
    /// better: filters read stdin. Where it may be the name of a column, both are said.
    #[must_use]
    pub fn or_file(self, thing: &str, argument: &str) -> Error {
        let Error::Failed(code, message) = &self else { return self };
        let reason = message.strip_prefix(thing).and_then(|rest| rest.strip_prefix(": "));
        let Some(reason) = reason.filter(|_| Path::new(argument).is_file()) else { return self };
        if !argument.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
            return Error::caller(argument, FILE);
        }
        let (reason, caret) = reason.split_at(reason.find('\n').unwrap_or(reason.len()));
        Error::Failed(*code, format!("{thing}: {reason}; {argument} {FILE}{caret}"))
    }
}

/// Runs a program: parses its arguments as `A`, calls `run`, and turns what came into an exit
/// code and, on stderr, a line `tool: thing: reason`.
pub fn main<A: clap::Parser>(tool: &'static str, run: impl FnOnce(&A) -> Result<Code>) -> ExitCode {
    TOOL.get_or_init(|| tool);
    let result = A::try_parse().map_err(|error| refusal(&error)).and_then(|args| run(&args));
    let code = match result {
        Ok(code) => code,
        Err(Error::Closed) => Code::DONE,
        Err(Error::Failed(code, message)) => {
            if !message.is_empty() {
                say(message);
            }
            code
        }
    };
    ExitCode::from(code.0)
}

/// Writes `tool: message` to stderr, in one write. A stderr that is gone is no reason to stop.
pub fn say(message: impl Display) {
    let tool = TOOL.get().copied().unwrap_or("kpipe");
    write(&format!("{tool}: {message}\n"));
}

/// Writes `line` to stderr as it is, for the lines whose form another tool has set.
pub fn say_bare(line: impl Display) {
    write(&format!("{line}\n"));
}

/// Lets messages be written by means of `aside`, which takes out of the way what is shown on
/// stderr. Handed in by who shows something, so that no other program carries what that needs.
pub(crate) fn write_aside(aside: fn(&mut dyn FnMut())) {
    ASIDE.get_or_init(|| aside);
}

fn write(line: &str) {
    let mut write = || drop(std::io::stderr().write_all(line.as_bytes()));
    match ASIDE.get() {
        Some(aside) => aside(&mut write),
        None => write(),
    }
}

/// What is said of an argument that is none, and is the name of a file.
const FILE: &str = "is a file; rows are read from stdin, with < FILE";

/// What the standard library says of a text that is no whole number.
const NO_DIGIT: &str = "invalid digit found in string";

/// Turns what clap refused into this suite's form of a message.
fn refusal(error: &clap::Error) -> Error {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match error.print() {
            Ok(()) => Error::Failed(Code::DONE, String::new()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Error::Closed,
            Err(error) => Error::world("<stdout>", reason(&error)),
        };
    }
    let context = |kind| error.get(kind).map(ToString::to_string);
    let help = TOOL.get().map(|tool| format!("; see {tool} --help")).unwrap_or_default();
    let arg = context(ContextKind::InvalidArg);
    match (error.kind(), arg) {
        (ErrorKind::UnknownArgument, Some(arg)) if !arg.starts_with('-') => {
            let reason = format!("one argument too many{help}");
            Error::caller(&arg, if Path::new(&arg).is_file() { FILE } else { &reason })
        }
        (ErrorKind::UnknownArgument, Some(arg)) if !arg.starts_with("--") => {
            let reason = "no such option; a value that starts with - stands behind =, an argument \
                          behind --";
            Error::caller(arg, format!("{reason}{help}"))
        }
        (ErrorKind::UnknownArgument, Some(arg)) => {
            let near = context(ContextKind::SuggestedArg);
            let near = near.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            Error::caller(arg, format!("no such option{near}{help}"))
        }
        (ErrorKind::ValueValidation, Some(arg)) => {
            let value = context(ContextKind::InvalidValue).unwrap_or_default();
            let reason = error.source().map_or_else(String::new, ToString::to_string);
            Error::caller(flag_and_value(&arg, &value), in_words(&reason))
        }
        (ErrorKind::InvalidValue, Some(arg)) => {
            let value = context(ContextKind::InvalidValue).unwrap_or_default();
            let valid = context(ContextKind::ValidValue).unwrap_or_default();
            let reason = if value.is_empty() { "a value is missing" } else { "no such value" };
            let valid = if valid.is_empty() { valid } else { format!("; known are {valid}") };
            let near = context(ContextKind::SuggestedValue);
            let near = near.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            Error::caller(flag_and_value(&arg, &value), format!("{reason}{near}{valid}"))
        }
        (ErrorKind::MissingRequiredArgument, Some(arg)) => {
            Error::caller(arg.replace('\n', " "), format!("is required{help}"))
        }
        (ErrorKind::ArgumentConflict, Some(arg)) => {
            let other = context(ContextKind::PriorArg).unwrap_or_else(|| "another".to_owned());
            Error::caller(arg, format!("cannot be used with {other}"))
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            Error::Failed(Code::CALLER, format!("{first}{help}"))
        }
    }
}

/// Why a number is refused, without a range as Rust writes it.
fn in_words(reason: &str) -> String {
    let range = reason.rsplit_once(" is not in ").and_then(|(_, range)| range.split_once("..="));
    match range {
        Some((from, to)) => format!("a number from {from} to {to} is expected"),
        None => reason.replace(NO_DIGIT, "a whole number is expected, as 1000000"),
    }
}

/// `--tumble <SIZE>` and `10x` make `--tumble 10x`.
fn flag_and_value(arg: &str, value: &str) -> String {
    let flag = arg.split(' ').next().unwrap_or(arg);
    if flag.starts_with('-') && !value.is_empty() {
        format!("{flag} {value}")
    } else if value.is_empty() {
        flag.to_owned()
    } else {
        value.to_owned()
    }
}
