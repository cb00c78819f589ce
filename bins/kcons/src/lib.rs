//! A Kafka topic to stdout, offsets committed only for what stdout accepted.

mod bell;
mod console;
mod deserializer;
mod envelope;
mod epochs;
mod event;
mod format;
mod listing;
mod marks;
mod merge;
mod offsets;
mod options;
mod pass;
mod perf;
mod progress;
mod query;
mod ranges;
mod screen;
mod session;
mod sieve;
mod sink;
mod start;
mod verifiable;
mod view;
mod writer;

use std::env;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use jiff::tz::TimeZone;
use pipe::exit::{Code, Error, Result, say, say_bare};
use pipe::stdio::Output;
use pipe::stop::Stop;
use pipe::units::Span;
use regex::Regex;
use topic::archive::Archive;
use topic::config::{self, file_properties};
use topic::consumer::{self, Plan, Reader};
use topic::flags::{Broker, Older, both_spellings, topic_name};
use topic::listing::Listing;
use topic::mock;
use topic::properties;

use crate::bell::Bell;
use crate::console::{Class, Formatter};
use crate::epochs::{Commits, Epochs, Rhythm};
use crate::format::Format;
use crate::marks::Marks;
use crate::merge::Merge;
use crate::offsets::{Source, Target};
use crate::perf::{Perf, Times};
use crate::session::{Account, Lens, Orders, Session, Ways};
use crate::sieve::Sieve;
use crate::sink::{Form, Manner, Sink, Way};
use crate::start::{Place, Start};
use crate::verifiable::{Member, Task};
use crate::writer::Writer;

const AFTER_HELP: &str = r#"START
  A group begins at its stored offsets. Where there are none, and without a group, reading begins
  at -o, else at the end, with -e at the beginning; --seek makes -o win over stored offsets. Where
  it begins is said on stderr. An offset that retention has removed is an error, never a silent
  jump.

COMMITTED OFFSETS
  With -g, what stdout has accepted is committed every --commit-interval and at the end. In a
  pipe, that may be ahead of what the next program has finished. When the reader of stdout has
  gone, the last commit is left out.

EXACTLY ONCE
  With --epoch, nothing is committed here: the stream carries marks, and ksink at its end commits
  the offsets of each epoch together with results and with the state of swin and topk, or nothing.
  Whoever is killed, the pipe is started again and goes on from there. It begins at the stored
  offsets; a group that has none must be told -o. --instance, one name for each copy, brings a
  killed one back in a second. The end waits up to 30 s for the last commit. Where something else
  keeps the offsets, --from-offsets or --commit-interval 0 says so.

OUTPUT
  A record's value and a newline; null prints as an empty line. -f prints by a format:
    %s value    %S its length, -1 for null    %t topic        %T timestamp in ms, -1 for none
    %k key      %K its length, -1 for null    %p partition    %h headers, name=value,...
    %% a %      \n \t \r \0 \xNN bytes        %o offset       %R %S as four bytes, big endian
  -J prints a JSON object per line with topic, partition, offset, tstype (create, logappend or
  unknown), ts (ms), headers, key and payload. Null is null. What is not UTF-8 stands in key_b64
  and payload_b64. headers lists name and value by turns, as ["name","value","name",null]; one
  that is not UTF-8 is {"b64":"..."}.
  On a terminal, control bytes are spelt \xNN, unless --raw.

FORMATTER
  --formatter-property and --formatter-config print as the console consumer does, null as null:
    print.timestamp print.partition print.offset print.delivery print.epoch print.headers
    print.key print.value               whether each stands there, in this order
    key.separator line.separator headers.separator null.literal
    key.deserializer value.deserializer headers.deserializer
  Deserializers are String, ByteArray, Short, Integer, Long, Float, Double, UUID and Boolean of
  org.apache.kafka.common.serialization.

NAMES
  Called kafka-console-consumer it has that tool's defaults: records of all transactions, null as
  null, and Java's refusals. Called kafka-verifiable-consumer it is --verifiable.

EXAMPLES
  All that is there:
    kcons -t pages -e

  The last 10 records of each partition with their places:
    kcons -t pages -o -10 -e -f '%t [%p] at %o: %s\n'

  The day's records of one customer in the order of their times:
    kcons -t orders -e -o s@2026-03-01..e@2026-03-02 --merge --where-key '^c-17$'

  As one of several in a group, into a pipeline that keeps event time per partition:
    kcons -t pages -g ranking --marks | swin ...

  Sums per page that no crash doubles or loses:
    kcons -t pages -g heat --instance 1 --epoch 500ms -o beginning |
      swin --names page,heat --by page --running 'sum(heat)' | ksink -t heat

EXIT STATUS
  0 done, stopped by a signal, or the reader of stdout has gone
  1 the broker, a topic, a commit, or stdout failed; another copy has the same --instance
  2 wrong options; under --epoch, a group without offsets that is not told where to begin
  75 run it again: --from-offsets could not be read again, or under --epoch a broker was away, the
    reader of stdout has gone, or the last epoch was not committed"#;

/// Copies a Kafka topic to stdout, a record a line
///
/// Records are read committed. Output is flushed whenever there is nothing more to read.
#[derive(Debug, Parser)]
#[command(version, after_long_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    choice: options::Choice,
    #[command(flatten)]
    begin: options::Begin,
    #[command(flatten)]
    finish: options::Finish,
    #[command(flatten)]
    print: options::Print,
    #[command(flatten)]
    selection: options::Selection,
    #[command(flatten)]
    keep: options::Keep,
    #[command(flatten)]
    work: options::Work,
    #[command(flatten)]
    console: options::Console,
    #[command(flatten)]
    verifiable: options::Verifiable,
    #[command(flatten)]
    say: options::Say,
}

/// Time between commits, unless it is said.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);

/// Time between ticks, unless it is said.
const TICK: Duration = Duration::from_millis(100);

/// Why there are no epochs without a group.
const NEEDS_GROUP: &str = "needs -g GROUP: offsets are committed to it, with the results";

/// The name that the program was called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Kcons,
    ConsoleConsumer,
    VerifiableConsumer,
}

impl Name {
    fn of_call() -> Name {
        let path = env::args_os().next().unwrap_or_default();
        match Path::new(&path).file_stem().and_then(|name| name.to_str()) {
            Some("kafka-console-consumer") => Name::ConsoleConsumer,
            Some("kafka-verifiable-consumer") => Name::VerifiableConsumer,
            _ => Name::Kcons,
        }
    }
}

/// Reads the topics and writes their records.
///
/// # Errors
/// When the broker, a topic, the group or stdout fails, or options do not fit together.
pub fn run(args: &Args) -> Result<Code> {
    let name = Name::of_call();
    if args.console.zookeeper.is_some() {
        return Err(Error::caller("--zookeeper", "use -b HOST:PORT, the address of a broker"));
    }
    let name = if args.work.verifiable { Name::VerifiableConsumer } else { name };
    let broker = broker(args, name)?;
    let (mode, known): (_, &[&str]) = match name {
        Name::VerifiableConsumer => ("--verifiable", &["--count"]),
        _ if args.work.list => ("-L", &["--json"]),
        _ if args.work.query => ("-Q", &[]),
        _ if args.keep.reset_state => ("--reset-state", &[]),
        _ => ("", &[]),
    };
    if !mode.is_empty()
        && let Some(option) = of_reading(args).find(|option| !known.contains(option))
    {
        return Err(Error::caller(option, format!("cannot be used with {mode}")));
    }
    if name == Name::VerifiableConsumer {
        return verify(args, broker);
    }
    if let Some(option) = args.verifiable.given() {
        return Err(Error::caller(option, "is for --verifiable"));
    }
    if args.work.list {
        return list(args, &broker);
    }
    if args.work.query {
        return query(args, &broker);
    }
    if args.keep.reset_state {
        return reset_state(args, &broker);
    }
    read(args, &broker, name)
}

/// Deletes what the stages of a group have stored.
fn reset_state(args: &Args, broker: &Broker) -> Result<Code> {
    let Some(group) = group(args, broker)? else {
        return Err(Error::caller("--reset-state", "needs -g GROUP"));
    };
    let topics = topics(args, None)?;
    let archive = Archive::open(broker, &group)?;
    let found = epochs::reset(&archive, &group, &topics)?;
    if !args.say.quiet {
        let text = if found { "its state is deleted" } else { "no state was stored" };
        say(format!("group {group}: {text}; its offsets stay"));
    }
    Ok(Code::DONE)
}

/// Is a member that tells everything it does.
fn verify(args: &Args, mut broker: Broker) -> Result<Code> {
    let topics = topics(args, None)?;
    if topics.len() != 1 || has_patterns(args) {
        return Err(Error::caller("--verifiable", "needs one topic, --topic TOPIC"));
    }
    let Some(group) = group(args, &broker)? else {
        return Err(Error::caller("--verifiable", "needs --group-id GROUP"));
    };
    let options = &args.verifiable;
    if args.choice.group_protocol == Some(options::Protocol::Consumer) {
        for (option, given) in [
            ("--session-timeout", options.session_timeout.is_some()),
            ("--assignment-strategy", options.assignment_strategy.is_some()),
        ] {
            if given {
                say(format!(
                    "{option}: is not used: --group-protocol consumer leaves it to the broker"
                ));
            }
        }
        if let Some(assignor) = &options.group_remote_assignor {
            broker.give("--group-remote-assignor", "group.remote.assignor", assignor);
        }
    } else {
        if options.group_remote_assignor.is_some() {
            say("--group-remote-assignor: is not used: it needs --group-protocol consumer");
        }
        let strategy = options.assignment_strategy.unwrap_or("range");
        broker.give("--assignment-strategy", "partition.assignment.strategy", strategy);
        let mock = env::var_os(mock::VARIABLE).is_some();
        if let Some(ms) = options.session_timeout.or((!mock).then_some(30_000)) {
            broker.give("--session-timeout", "session.timeout.ms", ms);
        }
    }
    let task = Task {
        limit: args.finish.count.and_then(|count| u64::try_from(count).ok()),
        verbose: options.verbose,
        auto_commit: options.enable_autocommit,
        reset: match options.reset_policy {
            None | Some(options::Reset::Earliest) => Some(Start::Beginning),
            Some(options::Reset::Latest) => Some(Start::End),
            Some(options::Reset::None) => None,
        },
    };
    let plan = Plan {
        flags: &broker,
        topics: &topics,
        partitions: None,
        group: Some(&group),
        until_end: false,
        apart: false,
        epochs: false,
    };
    let stop = Stop::listen()?;
    let reader = Reader::open(&plan)?;
    Member::new(task, reader, Output::stdout()?, &stop).run().map(|()| Code::DONE)
}

/// The options given that say how records are read and written.
fn of_reading(args: &Args) -> impl Iterator<Item = &'static str> {
    let (begin, finish, print) = (&args.begin, &args.finish, &args.print);
    let (selection, keep, console) = (&args.selection, &args.keep, &args.console);
    let all = [
        ("--partition", args.choice.partitions.is_some()),
        ("--offset", !begin.offset.is_empty()),
        ("--from-beginning", begin.from_beginning),
        ("--seek", begin.seek),
        ("--from-offsets", begin.from_offsets.is_some()),
        ("--exit-at-end", finish.exit_at_end),
        ("--count", finish.count.is_some()),
        ("--timeout-ms", finish.timeout_ms.is_some()),
        ("--keep-going", finish.keep_going),
        ("--format", print.format.is_some()),
        ("--json", print.json),
        ("--key-delimiter", print.key_delimiter.is_some()),
        ("--delimiter", print.delimiter.is_some()),
        ("--null", print.null),
        ("--unbuffered", print.unbuffered),
        ("--where-key", !selection.where_key.is_empty()),
        ("--where-value", !selection.where_value.is_empty()),
        ("--where-header", !selection.where_header.is_empty()),
        ("--marks", keep.marks),
        ("--epoch", keep.epoch.is_some()),
        ("--commit-interval", keep.commit_interval.is_some()),
        ("--write-offsets", keep.write_offsets.is_some()),
        ("--formatter", console.formatter.is_some()),
        ("--formatter-property", !console.formatter_property.is_empty()),
        ("--property", !console.property.is_empty()),
        ("--formatter-config", console.formatter_config.is_some()),
        ("--key-deserializer", console.key_deserializer.is_some()),
        ("--value-deserializer", console.value_deserializer.is_some()),
        ("--skip-message-on-error", console.skip_message_on_error),
        ("--enable-systest-events", console.enable_systest_events),
        ("--perf", args.say.perf),
        ("--stats", args.say.stats.is_some()),
    ];
    all.into_iter().filter_map(|(option, given)| given.then_some(option))
}

/// Writes all of `text` to stdout.
fn print(text: &str) -> Result<Code> {
    let mut stdout = Output::stdout()?;
    stdout.buffer().extend_from_slice(text.as_bytes());
    stdout.flush()?;
    Ok(Code::DONE)
}

/// Lists the cluster.
fn list(args: &Args, broker: &Broker) -> Result<Code> {
    let listing = Listing::open(broker)?;
    let names = topics(args, Some(&listing))?;
    let whole = names.is_empty() && args.choice.include.is_none();
    let topics = if names.is_empty() && !whole { Vec::new() } else { listing.topics(&names)? };
    let groups = listing.groups(broker, args.choice.group.as_deref(), &topics);
    if let Err(Error::Failed(_, message)) = &groups {
        say(message);
    }
    let (cluster, failed) = (
        listing::Cluster {
            origin: listing.origin(),
            controller: listing.controller(),
            brokers: listing.brokers(),
            topics,
            whole,
            groups: groups.as_ref().ok().cloned(),
        },
        groups.is_err(),
    );
    let json = args.print.json;
    print(&if json { format!("{}\n", cluster.json()) } else { cluster.text() })?;
    Ok(if failed { Code::WORLD } else { Code::DONE })
}

/// Answers which offsets have which times.
fn query(args: &Args, broker: &Broker) -> Result<Code> {
    let now = sink::now();
    let question = |text: &String| {
        let thing = format!("-Q --topic {text}");
        query::read(text, now).map_err(|reason| Error::caller(thing, reason))
    };
    let questions: Vec<_> =
        args.choice.topics.iter().chain(&args.choice.more).map(question).collect::<Result<_>>()?;
    if questions.is_empty() {
        return Err(Error::caller("-Q", "needs -t TOPIC:PARTITION:TIME"));
    }
    let offsets = Listing::open(broker)?.offsets(&questions)?;
    let answers = questions.iter().zip(offsets);
    print(&answers.map(|((one, _), offset)| query::answer(one, offset)).collect::<String>())
}

/// Reads records.
fn read(args: &Args, broker: &Broker, name: Name) -> Result<Code> {
    check_together(args)?;
    if args.keep.epoch.is_some() {
        check_epochs(args)?;
        consumer::check_epochs(broker)?;
    }
    let group = group(args, broker)?;
    let orders = orders(args, broker, group.clone(), name)?;
    let form = form(args, name)?;
    // What is wrong with names is the caller's fault before it is the world's.
    topics(args, None)?;
    let listing = if has_patterns(args) { Some(Listing::open(broker)?) } else { None };
    let topics = topics(args, listing.as_ref())?;
    drop(listing);
    if args.keep.epoch.is_some() {
        return read_epochs(args, broker, &topics, orders, form);
    }
    let stop = Stop::listen()?;
    let mut sink = sink(args, form, group.is_some())?;
    let partitions = args.choice.partitions.as_deref().map(sorted);
    let plan = Plan {
        flags: broker,
        topics: &topics,
        partitions: partitions.as_deref(),
        group: group.as_deref(),
        until_end: orders.ends_as_it_is(),
        apart: args.selection.merge,
        epochs: false,
    };
    let begun = sink::now();
    let reader = Reader::open(&plan).inspect_err(|error| sink.abort(error))?;
    let account = Session::new(orders, ways(args), reader, sink, &stop).run();
    report(args, &account, begun);
    account.ended.map(|()| Code::DONE)
}

/// Reads records in epochs, whose offsets others commit with the results.
fn read_epochs(
    args: &Args,
    broker: &Broker,
    topics: &[String],
    orders: Orders,
    form: Form,
) -> Result<Code> {
    let group = orders.group.clone().unwrap_or_default();
    let (stop, bell) = (Stop::listen()?, Bell::new()?);
    let stdout = Output::stdout()?;
    if stdout.is_terminal() {
        return Err(Error::caller("--epoch", "stdout is a terminal; marks are for programs"));
    }
    let epoch = args.keep.epoch.map_or(Duration::ZERO, Span::duration);
    let kept = args.keep.commit_interval.is_some() || args.begin.from_offsets.is_some();
    let commits = match stdout.is_pipe() {
        _ if kept => Commits::Elsewhere,
        true => Commits::Group,
        false => Commits::Nobody,
    };
    let ways = ways(args);
    let rhythm = Rhythm {
        group: group.clone(),
        epoch,
        commits,
        lens: ways.lens,
        source: ways.source,
        target: ways.target,
    };
    let tick = args.keep.tick.map_or(TICK, Span::duration).min(epoch);
    let marks = Marks::new(i64::try_from(tick.as_millis()).unwrap_or(i64::MAX), true);
    let manner =
        Manner { escapes: false, unbuffered: false, skips: args.console.skip_message_on_error };
    let writer = Writer::over(stdout, bell.rope())?;
    let mut sink = Sink::new(Way::Queued(writer), form, Some(marks), manner);
    sink.open()?;
    let plan = Plan {
        flags: broker,
        topics,
        partitions: None,
        group: Some(&group),
        until_end: orders.ends_as_it_is(),
        apart: false,
        epochs: true,
    };
    let begun = sink::now();
    let opened = Reader::open(&plan).and_then(|reader| {
        let archive = Archive::open(broker, &group)?;
        let ends = epochs::ends(&orders, &archive, reader.partitions(), &stop)?;
        Ok((reader, archive, ends))
    });
    let (reader, archive, ends) = opened.inspect_err(|error| sink.give_up(error))?;
    let account = Epochs::new(orders, rhythm, (reader, archive, ends), sink, (&stop, bell))?.run();
    report(args, &account, begun);
    account.ended.map(|()| Code::DONE)
}

/// Refuses what does not go with epochs.
fn check_epochs(args: &Args) -> Result<()> {
    let place = &args.begin;
    for (option, given, reason) in [
        ("--partition", args.choice.partitions.is_some(), "its group assigns partitions"),
        ("--seek", place.seek, "state is of the stored offsets; give another group"),
        ("--merge", args.selection.merge, "epochs need -g"),
        ("--unbuffered", args.print.unbuffered, "lines are committed by the epoch"),
        ("--delimiter", args.print.delimiter.is_some(), "marks stand in lines of their own"),
        ("--keep-going", args.finish.keep_going, "what is left out would be committed as read"),
        ("--timeout-ms", args.finish.timeout_ms.is_some(), "use -e, or end it by a signal"),
        (
            "--group-protocol",
            args.choice.group_protocol == Some(options::Protocol::Consumer),
            "a static member that comes back would wait for 45 s",
        ),
        (
            "--isolation-level",
            args.choice.isolation_level == Some(options::Isolation::ReadUncommitted),
            "what is not committed may be taken back",
        ),
        (
            "--commit-interval",
            args.keep.commit_interval.is_some_and(|span| span.ms() > 0),
            "results are committed by the epoch; only 0 goes with it",
        ),
    ] {
        if given {
            return Err(Error::caller(option, format!("cannot be used with --epoch: {reason}")));
        }
    }
    Ok(())
}

/// Says how it went.
fn report(args: &Args, account: &Account, begun: i64) {
    if account.skipped > 0 {
        say(format!("{} messages skipped, which a deserializer refused", account.skipped));
    }
    if let Some(perf) = account.perf {
        let end = sink::now();
        let times = Times { start: begun, assigned: account.assigned.unwrap_or(end), end };
        say_bare(perf::HEADER);
        say_bare(perf.line(times, &TimeZone::system()));
    }
    let refused = matches!(account.ended, Err(Error::Failed(Code::CALLER, _)));
    if !args.say.quiet && !refused {
        say_bare(format!("Processed a total of {} messages", account.count));
    }
    if args.console.enable_systest_events
        && let Ok(mut stdout) = Output::stdout()
    {
        stdout.buffer().extend_from_slice(b"shutdown_complete\n");
        // Who does not listen any more need not know.
        let _ = stdout.flush();
    }
}

fn sink(args: &Args, form: Form, grouped: bool) -> Result<Sink> {
    let stdout = Output::stdout()?;
    if args.keep.marks && stdout.is_terminal() {
        return Err(Error::caller("--marks", "stdout is a terminal; marks are for programs"));
    }
    let manner = Manner {
        escapes: stdout.is_terminal() && !args.say.raw,
        unbuffered: args.print.unbuffered,
        skips: args.console.skip_message_on_error,
    };
    // Only a member of a group has something to do while the reader of stdout takes nothing.
    let stdout = if grouped { stdout.unblocked() } else { stdout };
    let marks = args.keep.marks.then(|| Marks::new(args.keep.tick.map_or(100, Span::ms), false));
    let mut sink = Sink::new(Way::Straight(stdout), form, marks, manner);
    sink.open()?;
    Ok(sink)
}

fn sorted<T: Ord + Clone>(all: &[T]) -> Vec<T> {
    let mut all = all.to_vec();
    all.sort_unstable();
    all.dedup();
    all
}

/// A refusal in the words of Java's tool.
fn refusal(message: impl Into<String>) -> Error {
    Error::Failed(Code::CALLER, message.into())
}

/// The broker, with everything that options say in librdkafka's properties.
fn broker(args: &Args, name: Name) -> Result<Broker> {
    let older = Older {
        config_option: "consumer.config",
        config: args.console.consumer_config.as_deref(),
        property_option: "consumer-property",
        properties: &args.console.consumer_property,
    };
    let broker = args.broker.clone().with_older(older);
    let mut broker = broker.map_err(|error| {
        // The console consumer names the older spelling first, the console producer the newer.
        let name = |older: &str| matches!(&error, Error::Failed(_, text) if text.contains(older));
        let spellings =
            [("consumer.config", "command-config"), ("consumer-property", "command-property")];
        match spellings.into_iter().find(|(older, _)| name(older)) {
            Some((older, newer)) => both_spellings(newer, older),
            None => error,
        }
    })?;
    let isolation = args.choice.isolation_level.map(options::Isolation::name);
    let isolation = match (isolation, name) {
        (None, Name::ConsoleConsumer | Name::VerifiableConsumer)
            if config::asked(&broker, "isolation.level")?.is_none() =>
        {
            Some("read_uncommitted")
        }
        (isolation, _) => isolation,
    };
    if let Some(isolation) = isolation {
        broker.give("--isolation-level", "isolation.level", isolation);
    }
    if let Some(protocol) = args.choice.group_protocol {
        broker.give("--group-protocol", "group.protocol", protocol.name());
    }
    if let Some(instance) = &args.choice.instance {
        broker.give("--instance", "group.instance.id", instance);
    }
    Ok(broker)
}

/// What Java's tool refuses, in its order.
fn check_together(args: &Args) -> Result<()> {
    let (choice, begin) = (&args.choice, &args.begin);
    let topics = !choice.topics.is_empty() || !choice.more.is_empty();
    if topics == choice.include.is_some() {
        let message = "Exactly one of the following arguments is required: [topic], [include]";
        return Err(refusal(message));
    }
    if choice.partitions.is_some() && !topics {
        return Err(refusal("The topic is required when partition is specified."));
    }
    if choice.partitions.is_some() && choice.group.is_some() {
        return Err(refusal("Options group and partition cannot be specified together."));
    }
    if begin.from_beginning && !begin.offset.is_empty() {
        return Err(refusal("Options from-beginning and offset cannot be specified together."));
    }
    Ok(())
}

/// The topics to read, those of patterns as `listing` has them.
fn topics(args: &Args, listing: Option<&Listing>) -> Result<Vec<String>> {
    let (mut patterns, mut topics) = (Vec::new(), Vec::new());
    let include = args.choice.include.iter().map(|text| ("--include", text));
    for (option, text) in include.chain(args.choice.more.iter().map(|text| ("--topic", text))) {
        let thing = || format!("{option} {text}");
        match text.strip_prefix('^') {
            None if option == "--topic" => topics.push(text.clone()),
            pattern => {
                let pattern = format!("^(?:{})$", pattern.unwrap_or(text));
                let pattern = Regex::new(&pattern);
                let refused = |error: &_| Error::caller(thing(), sieve::reason(error));
                patterns.push(pattern.map_err(|error| refused(&error))?);
            }
        }
    }
    topics.extend(args.choice.topics.iter().cloned());
    for topic in &topics {
        topic_name(topic).map_err(|reason| Error::caller(format!("--topic {topic}"), reason))?;
    }
    if let (Some(listing), false) = (listing, patterns.is_empty()) {
        let known = listing.topics(&[])?.into_iter().map(|topic| topic.name);
        // Those of Kafka itself, which Java leaves out too.
        let known = known.filter(|name| !name.starts_with("__"));
        topics.extend(known.filter(|name| patterns.iter().any(|one| one.is_match(name))));
        if topics.is_empty() {
            return Err(Error::world("--include", "no topic matches"));
        }
    }
    Ok(sorted(&topics))
}

/// Whether a topic is named by a pattern.
fn has_patterns(args: &Args) -> bool {
    args.choice.include.is_some() || args.choice.more.iter().any(|text| text.starts_with('^'))
}

/// The group of `-g` or of a property.
fn group(args: &Args, broker: &Broker) -> Result<Option<String>> {
    let group = match (args.choice.group.clone(), config::asked(broker, "group.id")?) {
        (Some(group), Some(other)) if group != other => {
            return Err(refusal(format!(
                "The group ids provided in different places (directly using '--group', via \
                 '--consumer-property', or via '--consumer.config') do not match. Detected group \
                 ids: '{group}', '{other}'"
            )));
        }
        (group, property) => group.or(property),
    };
    if group.as_deref() == Some("") {
        return Err(Error::caller("-g", "a group has a name"));
    }
    for (option, given) in [
        ("--instance", args.choice.instance.is_some()),
        ("--group-protocol", args.choice.group_protocol.is_some()),
        ("--seek", args.begin.seek),
    ] {
        if given && group.is_none() {
            return Err(Error::caller(option, "needs -g"));
        }
    }
    if args.keep.epoch.is_some() && group.is_none() {
        return Err(Error::caller("--epoch", NEEDS_GROUP));
    }
    if args.keep.tick.is_some() && !args.keep.marks && args.keep.epoch.is_none() {
        return Err(Error::caller("--tick", "needs --marks or --epoch"));
    }
    let keeps = group.is_some() || args.keep.write_offsets.is_some();
    if args.keep.commit_interval.is_some() && !keeps {
        return Err(Error::caller("--commit-interval", "needs -g or --write-offsets"));
    }
    Ok(group)
}

/// Where to begin and to end.
fn place(args: &Args, broker: &Broker, group: Option<&str>, name: Name) -> Result<Place> {
    let java = name == Name::ConsoleConsumer;
    if java && !args.begin.offset.is_empty() && args.choice.partitions.is_none() {
        return Err(refusal("The partition is required when offset is specified."));
    }
    let mut places = Vec::new();
    for text in &args.begin.offset {
        let place = text.parse::<Place>();
        let known = |place: &Place| {
            let start = matches!(place.start, Some(Start::Beginning | Start::End | Start::At(_)));
            start && place.finish.is_none()
        };
        if java && !place.as_ref().is_ok_and(known) {
            return Err(refusal(format!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', \
                 'latest', or a non-negative long."
            )));
        }
        let thing = format!("--offset {text}");
        places.push(place.map_err(|reason| Error::caller(thing, reason))?);
    }
    let mut place = start::join(&places).map_err(|reason| Error::caller("--offset", reason))?;
    if args.begin.from_beginning {
        place.start = Some(Start::Beginning);
    }
    if args.begin.seek && place.start.is_none_or(|start| start == Start::Stored) {
        return Err(Error::caller("--seek", "needs -o or --from-beginning, to know where"));
    }
    if group.is_none() && place.start == Some(Start::Stored) {
        return Err(Error::caller("-o stored", "needs -g"));
    }
    if let Some(start::Finish::Until(moment)) = place.finish
        && moment.ms(i64::MAX) > sink::now()
        && matches!(moment, start::Moment::At(_))
    {
        return Err(Error::caller("--offset e@", "that time is not over yet"));
    }
    match (config::asked(broker, "auto.offset.reset")?.as_deref(), place.start) {
        (Some(reset @ ("latest" | "end" | "largest")), Some(Start::Beginning))
            if args.begin.from_beginning =>
        {
            return Err(refusal(format!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', \
                 please remove one option"
            )));
        }
        (Some("earliest" | "beginning" | "smallest"), None) => place.start = Some(Start::Beginning),
        (Some("latest" | "end" | "largest"), None) => place.start = Some(Start::End),
        _ => {}
    }
    Ok(place)
}

/// How records are printed.
fn form(args: &Args, name: Name) -> Result<Form> {
    let console = &args.console;
    if !console.property.is_empty() && !console.formatter_property.is_empty() {
        return Err(both_spellings("formatter-property", "property"));
    }
    let asked = console.formatter.is_some()
        || !console.property.is_empty()
        || !console.formatter_property.is_empty()
        || console.formatter_config.is_some()
        || console.key_deserializer.is_some()
        || console.value_deserializer.is_some();
    let print = &args.print;
    let parts = print.key_delimiter.is_some() || print.delimiter.is_some() || print.null;
    let other = print.format.is_some() || print.json || parts;
    if asked && other {
        return Err(Error::caller("--formatter", "cannot be used with -f, -J, -K, -D or -Z"));
    }
    if asked || name == Name::ConsoleConsumer && !other {
        return Ok(match console.formatter.unwrap_or(Class::Default) {
            Class::NoOp => Form::Nothing,
            class => Form::Console { formatter: formatter(args)?, logs: class == Class::Logging },
        });
    }
    let with_null = |format: Format| if print.null { format.with_null() } else { format };
    Ok(match &print.format {
        Some(format) => Form::Format(with_null(format.clone())),
        None if print.json => Form::Envelope,
        None if parts => {
            let format = Format::of_parts(print.key_delimiter.as_ref(), print.delimiter.as_ref());
            Form::Format(with_null(format))
        }
        None => Form::Value,
    })
}

/// The console consumer's formatter with its properties: those of the file, of arguments, and
/// the deserializers of their own options, each over those before it.
fn formatter(args: &Args) -> Result<Formatter> {
    let console = &args.console;
    let mut all = Vec::new();
    if let Some(file) = &console.formatter_config {
        let thing = file.display().to_string();
        all.extend(file_properties(file)?.into_iter().map(|property| (thing.clone(), property)));
    }
    for (option, texts) in
        [("--property", &console.property), ("--formatter-property", &console.formatter_property)]
    {
        let argument = |text: &String| (option.to_owned(), properties::argument(text));
        all.extend(texts.iter().map(argument));
    }
    let mut formatter = Formatter::default();
    for (thing, (key, value)) in all {
        let thing = format!("{thing} {key}");
        let known = formatter.set(&key, &value);
        if !known.map_err(|reason| Error::caller(&thing, reason))? {
            say(format!("{thing}: is not used: the formatter has no such property"));
        }
    }
    formatter.deserialize(console.key_deserializer, console.value_deserializer);
    Ok(formatter)
}

fn ways(args: &Args) -> Ways {
    let selection = &args.selection;
    let sieve = Sieve {
        keys: selection.where_key.clone(),
        values: selection.where_value.clone(),
        headers: selection.where_header.clone(),
    };
    let perf = args.say.perf.then(Perf::default);
    let looks = perf.is_some() || !sieve.is_open();
    Ways {
        lens: looks.then_some(Lens { sieve, perf }),
        merge: selection.merge.then(Merge::default),
        source: args.begin.from_offsets.as_deref().map(Source::new),
        target: args.keep.write_offsets.clone().map(Target),
    }
}

/// Whether a bar may be shown: not to who reads the records at the same terminal.
fn bar(args: &Args, name: Name) -> bool {
    let asked = !args.say.quiet && name == Name::Kcons;
    asked && !io::stdout().is_terminal()
}

fn orders(args: &Args, broker: &Broker, group: Option<String>, name: Name) -> Result<Orders> {
    let place = place(args, broker, group.as_deref(), name)?;
    let auto = config::asked(broker, "enable.auto.commit")?;
    let interval = args.keep.commit_interval.map_or(COMMIT_INTERVAL, Span::duration);
    let interval = (!interval.is_zero()).then_some(interval);
    let commits = group.is_some() && interval.is_some() && auto.as_deref() != Some("false");
    let reset = config::asked(broker, "auto.offset.reset")?;
    Ok(Orders {
        needs_stored: reset.as_deref() == Some("error") && place.start.is_none(),
        commits,
        group,
        place,
        seek: args.begin.seek,
        until_end: args.finish.exit_at_end,
        count: args.finish.count.and_then(|count| u64::try_from(count).ok()),
        timeout: args
            .finish
            .timeout_ms
            .and_then(|ms| u64::try_from(ms).ok())
            .map(Duration::from_millis),
        strict: args.finish.strict,
        goes_on: args.finish.keep_going,
        interval: interval.filter(|_| commits || args.keep.write_offsets.is_some()),
        quiet: args.say.quiet || name == Name::ConsoleConsumer,
        stats: args.say.stats.map(Span::duration),
        bar: bar(args, name),
    })
}
