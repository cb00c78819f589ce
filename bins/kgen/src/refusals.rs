//! Which options do not fit together, or would do nothing, and why.

use pipe::exit::{Error, Result};

use crate::Args;
use crate::form::Form;
use crate::profile::Kind;

/// Why an option of made rows is refused for measured ones.
const MEASURED: &str = "host is measured now, so no second run is the same";
/// Why an option of logs is refused.
const LOGS: &str = "is for logs";
const NO_TIME: &str = "no row shows the time; add --with-time or --marks";
const NO_MARKS: &str = "stands in a marked stream only; add --marks";
const NO_SEED: &str = "needs --seed S, as else every run has rows of its own";
const NO_SCHEDULE: &str =
    "says when rows arrive, so it must be known when they happen: add --rate, --burst or --seed";

/// Whether it is refused, the option, and why.
type Refusal = (bool, &'static str, &'static str);

/// Refuses options that do not fit together, or that would do nothing.
///
/// # Errors
/// With the first one that is refused, and why.
pub(crate) fn check(args: &Args) -> Result<()> {
    let refusals = [of_profiles(args), of_columns(args), of_time(args), of_streams(args)];
    match refusals.iter().flatten().find(|(refused, ..)| *refused) {
        Some((_, option, reason)) => Err(Error::caller(option, reason)),
        None => Ok(()),
    }
}

/// Options of one profile that are given to another.
fn of_profiles(args: &Args) -> Vec<Refusal> {
    let is = |kind| args.profile == kind;
    let for_other = |given: bool, kind, option, reason| (given && !is(kind), option, reason);
    let host = is(Kind::Host);
    let typed = is(Kind::Stdin);
    vec![
        (host && args.seed.is_some(), "--seed", MEASURED),
        (host && args.start.is_some(), "--start", MEASURED),
        (host && args.step.is_some(), "--step", MEASURED),
        (host && args.skip.is_some(), "--skip", MEASURED),
        (host && args.shard.is_some(), "--shard", MEASURED),
        for_other(args.below.is_some(), Kind::Numbers, "--below", "is for numbers"),
        for_other(args.error_share.is_some(), Kind::Logs, "--error-share", LOGS),
        for_other(args.apache, Kind::Logs, "--apache", LOGS),
        for_other(
            args.fraud_share.is_some(),
            Kind::Withdrawals,
            "--fraud-share",
            "is for withdrawals",
        ),
        for_other(args.hosts.is_some(), Kind::Fleet, "--hosts", "is for fleet"),
        (args.apache && args.output != Form::Text, "--apache", "is a form of text, not of -o"),
        (typed && args.output != Form::Text, "--output", "lines of stdin have a form already"),
    ]
}

/// Options of keys and columns.
fn of_columns(args: &Args) -> Vec<Refusal> {
    let rows = args.profile == Kind::Rows;
    let keyed = rows || args.profile == Kind::Pages;
    let none = args.column.is_empty() && args.keys.is_none();
    vec![
        (!args.column.is_empty() && !rows, "--column", "is for rows"),
        (args.keys.is_some() && !keyed, "--keys", "is for pages and rows"),
        (args.zipf.is_some() && !keyed, "--zipf", "is for pages and rows"),
        (rows && none, "rows", "has no columns; add --column 'user=zipf(1000000,1.1)'"),
        (rows && args.zipf.is_some() && args.keys.is_none(), "--zipf", "needs --keys N"),
    ]
}

/// Options of time.
fn of_time(args: &Args) -> Vec<Refusal> {
    let by_burst = args.burst.is_some();
    let by_step = args.step.is_some();
    let shows_time = args.shows_time();
    let scheduled = by_burst || by_step || args.rate.is_some() || args.seed.is_some();
    let unknown = !scheduled && ![Kind::Host, Kind::Fleet].contains(&args.profile);
    vec![
        (by_burst && args.every.is_none(), "--burst", "needs --every D"),
        (args.every.is_some() && !by_burst, "--every", "is between bursts; add --burst A..B"),
        (args.rate.is_some() && by_burst, "--rate", "bursts have --every instead"),
        (args.rate.is_some() && by_step, "--rate", "nothing waits with --step"),
        (by_step && !shows_time, "--step", NO_TIME),
        (args.start.is_some() && !shows_time, "--start", NO_TIME),
        (args.late.is_some() && unknown, "--late", NO_SCHEDULE),
        (args.disorder.is_some() && unknown, "--disorder", NO_SCHEDULE),
    ]
}

/// Options of what the stream carries, and where it goes.
fn of_streams(args: &Args) -> Vec<Refusal> {
    let csv = args.output == Form::Csv;
    let unseeded = args.seed.is_none() && args.profile != Kind::Stdin;
    let no_fault = "nothing goes wrong; add --late, --dup, --lose or --disorder";
    vec![
        (args.tick.is_some() && !args.marks, "--tick", NO_MARKS),
        (args.epoch.is_some() && !args.marks, "--epoch", NO_MARKS),
        (args.marks && csv, "--marks", "a CSV header has no position"),
        (args.envelope && csv, "--envelope", "a CSV header is no record"),
        (args.skip.is_some() && unseeded, "--skip", NO_SEED),
        (args.shard.is_some() && unseeded, "--shard", NO_SEED),
        (args.faults.is_some() && !args.risks().any(), "--faults", no_fault),
        (
            args.listen.is_some() && args.marks,
            "--marks",
            "who connects later would miss how the stream begins, so not with --listen",
        ),
    ]
}
