//! The options of the command line.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pipe::exit::Result;
use pipe::units::{self, Span};
use regex::bytes::Regex;

use crate::console::Class;
use crate::deserializer::Deserializer;
use crate::format::{Delimiter, Format};
use crate::sieve;

#[derive(Args, Debug)]
#[command(next_help_heading = "What to read")]
pub(crate) struct Choice {
    /// Topics, joined by commas; with -Q each is TOPIC:PARTITION:TIME
    #[arg(short, long = "topic", value_name = "TOPIC", value_delimiter = ',')]
    pub(crate) topics: Vec<String>,

    /// More topics; one that begins with ^ is a pattern as that of --include
    #[arg(value_name = "TOPIC")]
    pub(crate) more: Vec<String>,

    /// The topics whose whole name matches, as they are when it starts
    #[arg(long, value_name = "RE")]
    pub(crate) include: Option<String>,

    /// Only these partitions, joined by commas
    #[arg(short, long = "partition", value_name = "N", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partitions: Option<Vec<i32>>,

    /// Reads as a member of this group, which shares the partitions and keeps offsets
    #[arg(short, long, value_name = "GROUP", visible_short_alias = 'G', alias = "group-id")]
    pub(crate) group: Option<String>,

    /// Static membership: the member's name in the group, which a restart keeps
    #[arg(long, value_name = "ID", alias = "group-instance-id")]
    pub(crate) instance: Option<String>,

    /// The protocol of the group [default: classic]
    #[arg(long, value_name = "NAME", ignore_case = true)]
    pub(crate) group_protocol: Option<Protocol>,

    #[arg(long, value_name = "LEVEL")]
    #[arg(help = "Whether records of open and aborted transactions are read [default: \
                  read_committed, as kafka-console-consumer read_uncommitted]")]
    pub(crate) isolation_level: Option<Isolation>,
}

/// How a group comes to its assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// By one of its members.
    Classic,
    /// By the broker.
    Consumer,
}

impl Protocol {
    /// Its name in librdkafka's properties.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Classic => "classic",
            Protocol::Consumer => "consumer",
        }
    }
}

/// Which records are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Isolation {
    /// Those of committed transactions and of none.
    ReadCommitted,
    /// All.
    ReadUncommitted,
}

impl Isolation {
    /// Its name in librdkafka's properties.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        }
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Where to begin")]
pub(crate) struct Begin {
    /// beginning, end, stored, N, -N for the last N of each partition, s@T for the first record of
    /// time T or later; e@T ends before the first record of T or later; A..B is a range, both
    /// ends in. Times are milliseconds since 1970, dates, RFC 3339, or -2h
    #[arg(short, long = "offset", value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) offset: Vec<String>,

    /// As -o beginning
    #[arg(long)]
    pub(crate) from_beginning: bool,

    /// -o wins over the offsets that the group has stored
    #[arg(long)]
    pub(crate) seek: bool,

    /// Begins at the last column of the lines `topic partition from until` in FILE, which wins
    /// over the group's offsets and is read again at each assignment
    #[arg(long, value_name = "FILE", conflicts_with = "seek")]
    pub(crate) from_offsets: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Where to end")]
pub(crate) struct Finish {
    /// Ends where the partitions ended when it started
    #[arg(short = 'e', long)]
    pub(crate) exit_at_end: bool,

    /// Ends after N records; -1 never
    #[arg(short, long, value_name = "N", short_alias = 'n', visible_alias = "max-messages")]
    #[arg(allow_negative_numbers = true)]
    pub(crate) count: Option<i64>,

    /// Ends when no record came for so many milliseconds; negative never
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    pub(crate) timeout_ms: Option<i64>,

    /// The end by --timeout-ms is a failure, exit 1
    #[arg(long, requires = "timeout_ms")]
    pub(crate) strict: bool,

    /// A partition that cannot be read is said, and the others are read on
    #[arg(short = 'E', long)]
    pub(crate) keep_going: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Print {
    /// Prints by a format, as kcat's
    #[arg(short, long, value_name = "FORMAT", conflicts_with_all = ["key_delimiter", "delimiter"])]
    pub(crate) format: Option<Format>,

    /// Prints JSON envelopes
    #[arg(short = 'J', long, conflicts_with_all = ["format", "key_delimiter", "delimiter", "null"])]
    pub(crate) json: bool,

    /// Prints the key and SEP before the value
    #[arg(short = 'K', long, value_name = "SEP")]
    pub(crate) key_delimiter: Option<Delimiter>,

    /// Prints DELIM, of any bytes as \0 or \r\n, behind each record and not a newline
    #[arg(short = 'D', long, value_name = "DELIM")]
    pub(crate) delimiter: Option<Delimiter>,

    /// Prints null keys and values as NULL
    #[arg(short = 'Z', long)]
    pub(crate) null: bool,

    /// Writes each record by itself
    #[arg(short, long)]
    pub(crate) unbuffered: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Selection {
    /// Only records whose key matches; null matches nothing
    #[arg(long, value_name = "RE", value_parser = sieve::expression)]
    pub(crate) where_key: Vec<Regex>,

    /// Only records whose value matches
    #[arg(long, value_name = "RE", value_parser = sieve::expression)]
    pub(crate) where_value: Vec<Regex>,

    /// Only records with a header of this name whose value matches
    #[arg(long, value_name = "NAME=RE", value_parser = sieve::header)]
    pub(crate) where_header: Vec<(String, Regex)>,

    /// With -e: merges the partitions by the times of the records
    #[arg(long, requires = "exit_at_end", conflicts_with_all = ["group", "write_offsets"])]
    pub(crate) merge: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Marks and offsets")]
pub(crate) struct Keep {
    /// Writes marks between the lines: where they come from, what time it is, how it ends
    #[arg(long, conflicts_with = "delimiter")]
    pub(crate) marks: bool,

    /// Writes marks, and one that ends an epoch this often: what ksink commits whole or not at
    /// all, see EXACTLY ONCE. 500ms is good, 100ms is fine. Needs -g
    #[arg(long, value_name = "D", value_parser = tick)]
    pub(crate) epoch: Option<Span>,

    /// Time between the ticks of --marks or --epoch [default: 100ms, or the epoch if that is
    /// shorter]
    #[arg(long, value_name = "D", value_parser = tick)]
    pub(crate) tick: Option<Span>,

    /// Time between commits, or between replacements of FILE; 0 never commits, with --epoch it
    /// says that the offsets are kept elsewhere [default: 5s]
    #[arg(long, value_name = "D", value_parser = interval)]
    pub(crate) commit_interval: Option<Span>,

    /// Deletes what the stages of -g GROUP have stored under --epoch, keeps its offsets, and ends
    #[arg(long, conflicts_with_all = ["list", "query", "verifiable"])]
    pub(crate) reset_state: bool,

    /// Replaces FILE by lines `topic partition from until` of what was read since the last time,
    /// at each commit interval or epoch and at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) write_offsets: Option<PathBuf>,
}

fn tick(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.ms() > 0 { Ok(span) } else { Err("it is at least 1ms".to_owned()) }
}

fn interval(text: &str) -> Result<Span, String> {
    if text == "0" { Ok(Span::from_ms(0)) } else { text.parse() }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "As kafka-console-consumer")]
pub(crate) struct Console {
    #[arg(long, value_name = "CLASS")]
    #[arg(help = "DefaultMessageFormatter, LoggingMessageFormatter or NoOpMessageFormatter")]
    pub(crate) formatter: Option<Class>,

    /// Sets a property of the formatter, see FORMATTER
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) formatter_property: Vec<String>,

    /// The older name of --formatter-property
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) property: Vec<String>,

    /// Sets the properties of the formatter in FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) formatter_config: Option<PathBuf>,

    /// The Java class of which keys are
    #[arg(long, value_name = "CLASS")]
    pub(crate) key_deserializer: Option<Deserializer>,

    /// The Java class of which values are
    #[arg(long, value_name = "CLASS")]
    pub(crate) value_deserializer: Option<Deserializer>,

    /// Leaves a record out that a deserializer refuses
    #[arg(long)]
    pub(crate) skip_message_on_error: bool,

    #[arg(long, help = "Prints shutdown_complete at the end")]
    pub(crate) enable_systest_events: bool,

    /// The older name of --command-property
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) consumer_property: Vec<String>,

    /// The older name of --command-config
    #[arg(long = "consumer.config", value_name = "FILE")]
    pub(crate) consumer_config: Option<PathBuf>,

    #[arg(long, value_name = "HOSTS")]
    #[arg(help = "Is refused: Kafka's tools have no ZooKeeper any more; use -b")]
    pub(crate) zookeeper: Option<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Other work")]
pub(crate) struct Work {
    /// Lists brokers, topics and partitions, and the groups with their lag
    #[arg(short = 'L', long, conflicts_with = "query")]
    pub(crate) list: bool,

    /// Prints the offsets of the times in -t TOPIC:PARTITION:TIME
    #[arg(short = 'Q', long)]
    pub(crate) query: bool,

    #[arg(long, conflicts_with_all = ["list", "query"])]
    #[arg(help = "Is Kafka's VerifiableConsumer: consumes as a member and prints events as JSON")]
    pub(crate) verifiable: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "As kafka-verifiable-consumer (--verifiable)")]
pub(crate) struct Verifiable {
    /// Prints an event for each record
    #[arg(long)]
    pub(crate) verbose: bool,

    /// Commits from time to time, without events, and not behind each batch
    #[arg(long)]
    pub(crate) enable_autocommit: bool,

    /// How long the group waits for a member that is silent, in milliseconds [default: 30000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) session_timeout: Option<u32>,

    /// Where a partition begins without a stored offset [default: earliest]
    #[arg(long, value_name = "POLICY")]
    pub(crate) reset_policy: Option<Reset>,

    #[arg(long, value_name = "CLASS", value_parser = assignor)]
    #[arg(help = "How a member assigns partitions: RangeAssignor, RoundRobinAssignor or \
                  CooperativeStickyAssignor of org.apache.kafka.clients.consumer [default: \
                  RangeAssignor]")]
    pub(crate) assignment_strategy: Option<&'static str>,

    /// How the broker assigns partitions, with --group-protocol consumer
    #[arg(long, value_name = "NAME")]
    pub(crate) group_remote_assignor: Option<String>,
}

impl Verifiable {
    /// The first option of these that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [
            ("--verbose", self.verbose),
            ("--enable-autocommit", self.enable_autocommit),
            ("--session-timeout", self.session_timeout.is_some()),
            ("--reset-policy", self.reset_policy.is_some()),
            ("--assignment-strategy", self.assignment_strategy.is_some()),
            ("--group-remote-assignor", self.group_remote_assignor.is_some()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }
}

/// librdkafka's name of an assignor of Java's.
fn assignor(class: &str) -> Result<&'static str, String> {
    let name = class.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(class);
    match name {
        "RangeAssignor" | "range" => Ok("range"),
        "RoundRobinAssignor" | "roundrobin" => Ok("roundrobin"),
        "CooperativeStickyAssignor" | "cooperative-sticky" => Ok("cooperative-sticky"),
        _ => Err("no such assignor; known are RangeAssignor, RoundRobinAssignor and \
                  CooperativeStickyAssignor"
            .to_owned()),
    }
}

/// Where a partition begins of which no offset is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reset {
    /// At its beginning.
    Earliest,
    /// At its end.
    Latest,
    /// Nowhere: that is a failure.
    None,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Messages")]
pub(crate) struct Say {
    /// Prints the measures of kafka-consumer-perf-test on stderr
    #[arg(long)]
    pub(crate) perf: bool,

    /// Says how fast it goes every D and at the end, as a line of JSON
    #[arg(long, value_name = "D", value_parser = units::lasting)]
    pub(crate) stats: Option<Span>,

    /// Writes control bytes to a terminal as they are
    #[arg(long)]
    pub(crate) raw: bool,

    /// Says nothing of start and end
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
