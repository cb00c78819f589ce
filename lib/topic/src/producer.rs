//! Records to a topic, each acknowledged.
//!
//! Batches of borrowed records go in, and reports of what became of each come out. Records are
//! named by numbers that their maker gives them, so that a failure can say which one it was.

pub mod transaction;

use std::fmt::Display;
use std::mem::ManuallyDrop;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use pipe::exit::{Code, Error, Result, say};
use pipe::stdio;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cluster::PATIENCE;
use crate::cluster::Unlisted;
use crate::config::{self, reason};
use crate::creation;
pub use crate::creation::Shape;
use crate::failure::{Failure, merge};
use crate::flags::Broker;
use crate::haste::Haste;
use crate::native::{self, Message};
use crate::patience::Patience;
use crate::producer::transaction::Transactions;
use crate::trouble::Troubles;

/// Records that are best written in one call.
pub const BATCH: usize = 1_000;

/// Bytes that a record may have unless `message.max.bytes` says otherwise.
const RECORD_BYTES_MAX: usize = 1_000_000;

/// How long a record is tried.
const DELIVERY_TIMEOUT_MS: &str = "120000";

/// Records that may wait for their acknowledgement: a full batch on its way, as an idempotent
/// librdkafka has but one for a partition, and two behind it. With more of them the memory is no
/// longer warm, and the last one waits for longer than `linger.ms`, so that librdkafka spins.
const QUEUE_RECORDS: &str = "30000";

/// Records of a batch (`batch.num.messages`), unless half of the queue is less: a batch that the
/// queue has no room for would wait for `linger.ms`.
const BATCH_RECORDS: usize = 10_000;

/// Bytes of records that may wait for their acknowledgement, unless one record is larger.
const QUEUE_BYTES: usize = 64 << 20;

/// How long to wait for reports before the sending is hurried on again.
const HURRY: Duration = Duration::from_millis(50);

/// Properties that a producer needs as they are, with why.
fn reserved(transactions: bool) -> [(&'static str, &'static str); 2] {
    let named = if transactions {
        "is set by --transactional-id"
    } else {
        "records are written outside transactions"
    };
    [("delivery.report.only.error", "every record needs its report"), ("transactional.id", named)]
}

/// A record on its way to a topic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// Its maker's name for it, which its report carries.
    pub number: u64,
    /// Its topic, by the order in which they were opened: 0 is the producer's own.
    pub topic: usize,
    /// Its partition; `None` leaves the choice to the partitioner.
    pub partition: Option<i32>,
    /// Its time in milliseconds since the epoch; `None` is now.
    pub timestamp: Option<i64>,
    /// Its key, `None` for null.
    pub key: Option<&'a [u8]>,
    /// Its value, `None` for null.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: &'a [Header<'a>],
}

/// A header of a record.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Its name, which other headers may have too.
    pub name: &'a [u8],
    /// Its value, `None` for null.
    pub value: Option<&'a [u8]>,
}

/// The acknowledgement of a record.
#[derive(Clone, Copy, Debug)]
pub struct Receipt<'a>(Message<'a>);

impl Receipt<'_> {
    /// The record's number.
    #[inline]
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.number()
    }

    /// The topic that it is in.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    /// How long it took, in microseconds.
    #[must_use]
    pub fn latency_us(self) -> Option<u64> {
        self.0.latency_us()
    }

    /// The partition that it is in.
    #[must_use]
    pub fn partition(self) -> i32 {
        self.0.partition()
    }

    /// Its offset there.
    #[must_use]
    pub fn offset(self) -> i64 {
        self.0.offset()
    }

    /// Its time in milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(self) -> Option<i64> {
        self.0.timestamp().map(|(ms, _)| ms)
    }

    /// Bytes of its key, `None` for null.
    #[must_use]
    pub fn key_bytes(self) -> Option<usize> {
        self.0.key().map(<[u8]>::len)
    }

    /// Bytes of its value, `None` for null.
    #[must_use]
    pub fn value_bytes(self) -> Option<usize> {
        self.0.value().map(<[u8]>::len)
    }
}

/// Who is told what became of the records.
pub trait Reports {
    /// A record was acknowledged.
    ///
    /// # Errors
    /// When passing it on fails; the producer then takes no more records.
    fn acknowledged(&mut self, receipt: Receipt<'_>) -> Result<()>;

    /// The records from `first` to `last` failed, because of `reason`.
    fn failed(&mut self, first: u64, last: u64, reason: &str);

    /// The same of records that were on their way, which dooms a transaction.
    fn lost(&mut self, first: u64, last: u64, reason: &str) {
        self.failed(first, last, reason);
    }

    /// Whether to hear of every record, and to go on with the rest, when a topic takes none of
    /// them: without it, that ends the work with one error.
    fn goes_on(&self) -> bool {
        false
    }

    /// A wait comes: what was held back should go now.
    ///
    /// # Errors
    /// When passing it on fails; the producer then takes no more records.
    fn flush(&mut self) -> Result<()>;
}

/// How records are to be produced.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// The topic, when records do not name theirs.
    pub topic: Option<&'a str>,
    /// The partition that all records will have, when there is one.
    pub partition: Option<i32>,
    /// Creates a topic in this shape when it is missing.
    pub create: Option<Shape>,
    /// How long to wait for the broker to tell of a topic.
    pub patience: Duration,
    /// Sends what there is when the input pauses, in [`Producer::wait`], and lets batches fill
    /// while it does not, unless the user or the defaults say `linger.ms`.
    pub prompt: bool,
    /// Properties of librdkafka that are as the program says, unless the user says otherwise.
    pub defaults: Vec<(&'static str, String)>,
    /// Records are written in transactions. What may pass is [`Code::UNFINISHED`] then.
    pub transactions: Option<Transactions>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            topic: None,
            partition: None,
            create: None,
            patience: PATIENCE,
            prompt: false,
            defaults: Vec::new(),
            transactions: None,
        }
    }
}

/// A producer: acknowledged by all replicas, idempotent, partitioned as Java does,
/// unless the flags say otherwise.
#[derive(Debug)]
pub struct Producer {
    /// What librdkafka would tidy up goes with the process, and needs no waiting for.
    client: ManuallyDrop<native::producer::Producer<Context>>,
    config: ClientConfig,
    brokers: String,
    create: Option<Shape>,
    start_patience: Duration,
    /// What ends waits besides records and input.
    alarm: Option<OwnedFd>,
    start: Instant,
    patience: Patience,
    /// How long a transaction may be open; zero without transactions.
    transaction_timeout: Duration,
    /// When the last one began.
    transaction_start: Instant,
    haste: Option<Haste>,
    record_bytes_max: usize,
    failures: Vec<Failure>,
    /// Records that are, or will be, acknowledged or failed.
    offered: u64,
    acknowledged: u64,
    failed: u64,
    /// Records of the transaction that were on their way and failed.
    lost: u64,
    /// The first error of a [`Reports`], which ends the work.
    trouble: Option<Error>,
}

/// What librdkafka's callbacks leave.
#[derive(Debug)]
pub(crate) struct Context(pub(crate) Troubles);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // Whoever commits a transaction that has failed hears why.
        if !matches!(facility, "TXNERR" | "ADDPARTS") {
            self.0.log(level, facility, text);
        }
    }

    fn error(&self, error: KafkaError, text: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::Fenced) {
            self.0.error(&error, text);
        }
    }
}

impl Producer {
    /// Opens a producer, and the topic in its cluster.
    ///
    /// # Errors
    /// When no broker answers within seconds, there is no such topic or partition, or a property
    /// is wrong.
    pub fn open(flags: &Broker, options: &Options<'_>) -> Result<Producer> {
        let said = options.defaults.iter().any(|(key, _)| *key == "linger.ms")
            || config::asked(flags, "linger.ms")?.is_some();
        let haste = (options.prompt && !said).then(Haste::new);
        let config = config(flags, options, haste.is_some())?;
        let context = Context(Troubles::held());
        let client = native::producer::Producer::new(&config, context);
        let client = client.map_err(|error| config::refusal(&error))?;
        let time = |key| config.get(key).and_then(|ms| ms.parse().ok()).unwrap_or_default();
        let [delivery, transaction] = ["delivery.timeout.ms", "transaction.timeout.ms"].map(time);
        let mut producer = Producer {
            client: ManuallyDrop::new(client),
            brokers: config.get("bootstrap.servers").unwrap_or_default().to_owned(),
            create: options.create,
            start_patience: options.patience,
            alarm: None,
            start: Instant::now(),
            patience: Patience::new(Duration::from_millis(delivery)),
            transaction_timeout: Duration::from_millis(
                options.transactions.as_ref().map_or(0, |_| transaction),
            ),
            transaction_start: Instant::now(),
            record_bytes_max: record_bytes_max(&config),
            haste,
            config,
            failures: Vec::new(),
            offered: 0,
            acknowledged: 0,
            failed: 0,
            lost: 0,
            trouble: None,
        };
        if options.transactions.is_some() {
            producer.init_transactions()?;
        }
        if let Some(topic) = options.topic {
            let count = producer.open_topic(topic)?;
            if let Some(partition) = options.partition.filter(|&one| one >= count || one < 0) {
                let reason = format!("no such partition: it has {count}");
                return Err(Error::world(format!("{topic} [{partition}]"), reason));
            }
        }
        Ok(producer)
    }

    /// Opens another topic, and says how many partitions it has. [`Record::topic`] is the number
    /// of topics that were opened before it; one that cannot be opened is none. What becomes of
    /// records meanwhile is not told: [`Producer::settle`] comes first.
    ///
    /// # Errors
    /// When no broker answers in time, or there is no such topic.
    pub fn open_topic(&mut self, topic: &str) -> Result<i32> {
        if let Some(shape) = self.create {
            let created = creation::create(&self.config, topic, shape, &[]);
            created.map_err(|missing| self.missing(missing))?;
        }
        self.open_topic_there(topic, self.create.is_some())
    }

    /// Opens a topic as [`Producer::open_topic`] does; one that is missing is made with so many
    /// `partitions`, as many replicas as the broker sees fit, and these settings.
    ///
    /// # Errors
    /// As [`Producer::open_topic`], and when it cannot be made.
    pub fn open_own_topic(
        &mut self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<i32> {
        let shape = Shape { partitions, replicas: creation::ANY };
        let created = creation::create(&self.config, topic, shape, settings);
        created.map_err(|missing| self.missing(missing))?;
        self.open_topic_there(topic, true)
    }

    /// How many partitions a topic has that need not be opened.
    ///
    /// # Errors
    /// As [`Producer::open_topic`].
    pub fn partitions(&self, topic: &str) -> Result<i32> {
        self.partitions_of((topic, false))
    }

    /// [`Producer::partitions`] of a topic that may have been created just now.
    fn partitions_of(&self, topic: (&str, bool)) -> Result<i32> {
        let patience = self.start_patience;
        let count = creation::partitions(&self.client, &self.brokers, topic, patience);
        count.map_err(|missing| self.missing(missing))
    }

    fn open_topic_there(&mut self, topic: &str, created: bool) -> Result<i32> {
        let count = self.partitions_of((topic, created))?;
        self.client.open_topic(topic, count).map_err(|error| Error::world(topic, error))?;
        self.client.client().context().0.release();
        Ok(count)
    }

    /// The error for a topic that is not there.
    fn missing(&self, missing: Unlisted) -> Error {
        match missing {
            Unlisted::Passes(Error::Failed(_, text)) if self.is_transactional() => {
                Error::Failed(Code::UNFINISHED, text)
            }
            Unlisted::Passes(error) | Unlisted::Unknown(error) | Unlisted::Lasts(error) => error,
        }
    }

    /// The error for what may pass: in transactions nothing is lost by another run.
    fn passing(&self, thing: impl Display, reason: impl Display) -> Error {
        if self.is_transactional() {
            Error::unfinished(thing, reason)
        } else {
            Error::world(thing, reason)
        }
    }

    fn is_transactional(&self) -> bool {
        !self.transaction_timeout.is_zero()
    }

    /// Bytes that a record may have (`message.max.bytes`).
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    /// Has [`Producer::wait`] end as soon as `alarm` can be read.
    pub fn wake_for(&mut self, alarm: OwnedFd) {
        self.alarm = Some(alarm);
    }

    /// How many records were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many records failed so far.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Writes records, waiting while the queue is full; `reports` hears of these and of earlier
    /// ones.
    ///
    /// # Errors
    /// When `reports` has one, or the producer can no longer produce.
    pub fn write(&mut self, records: &[Record<'_>], reports: &mut impl Reports) -> Result<()> {
        let mut rest = records;
        loop {
            let idle = self.client.in_flight() == 0;
            if idle {
                self.patience.renew(self.start.elapsed());
            }
            let offered = self.client.offer(rest);
            if let Some(haste) = &mut self.haste
                && offered.done > 0
            {
                haste.queued(self.start.elapsed(), idle);
            }
            for &(at, code) in &offered.refused {
                if is_denial(code) && !reports.goes_on() {
                    self.failed += 1;
                } else {
                    self.failures.push(refused(&rest[at], code, self.record_bytes_max));
                }
            }
            self.offered += offered.done as u64;
            rest = &rest[offered.done..];
            self.serve(Duration::ZERO, reports)?;
            match rest {
                [] => return self.usable(),
                // The empty queue had no room for it, so it never will.
                [first, ..] if idle && offered.done == 0 => {
                    let reason = "larger than queue.buffering.max.kbytes".to_owned();
                    self.fail(first.number, reason);
                    rest = &rest[1..];
                }
                _ => {
                    self.patience_left()?;
                    reports.flush()?;
                    self.serve(HURRY, reports)?;
                }
            }
        }
    }

    /// Fails a record whose `bytes` are more than a record may have, before it was made.
    pub fn refuse(&mut self, number: u64, bytes: u64) {
        self.fail(number, too_long(bytes, self.record_bytes_max));
    }

    /// Fails a record that the queue never took.
    fn fail(&mut self, number: u64, reason: String) {
        self.offered += 1;
        self.failures.push(Failure { number, reason, sent: false });
    }

    /// Waits until `input` can be read, or `time` is over, or a signal came, and serves reports
    /// meanwhile. Says whether `input` can be read.
    ///
    /// # Errors
    /// As [`Producer::write`].
    pub fn wait(
        &mut self,
        input: Option<BorrowedFd<'_>>,
        time: Option<Duration>,
        reports: &mut impl Reports,
    ) -> Result<bool> {
        let failed = |error: &std::io::Error| Error::world("librdkafka", stdio::reason(error));
        self.client.bell().silence().map_err(|error| failed(&error))?;
        self.serve(Duration::ZERO, reports)?;
        self.usable()?;
        let left = Some(self.patience_left()?).filter(|left| *left < Duration::MAX);
        reports.flush()?;
        let company = self.haste.and_then(|haste| haste.left(self.start.elapsed()));
        let time = time.into_iter().chain(left).chain(company).min().map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let bell = PollFd::new(self.client.bell(), PollFlags::IN);
        let mut all = [bell.clone(), bell.clone(), bell];
        if let Some(input) = &input {
            all[1] = PollFd::new(input, PollFlags::IN);
        }
        if let Some(alarm) = &self.alarm {
            all[2] = PollFd::new(alarm, PollFlags::IN);
        }
        match poll(&mut all, time.as_ref()) {
            Ok(_) if input.is_some() && !all[1].revents().is_empty() => return Ok(true),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(&error.into())),
        }
        self.hurry_when_due();
        Ok(false)
    }

    /// Sends what waits for company, as the input pauses.
    fn hurry_when_due(&mut self) {
        let Some(haste) = &mut self.haste else { return };
        if haste.left(self.start.elapsed()) == Some(Duration::ZERO) {
            self.client.hurry();
            haste.hurried(self.start.elapsed(), self.client.in_flight() > 0);
        }
    }

    /// Waits until every record is acknowledged or has failed, and checks that none is missing.
    ///
    /// # Errors
    /// As [`Producer::settle`].
    pub fn finish(&mut self, reports: &mut impl Reports) -> Result<()> {
        self.client.hurry();
        let result = self.settle(reports).and(self.usable());
        result.and(reckon(self.offered, self.acknowledged + self.failed))
    }

    /// Waits until every record is acknowledged or has failed.
    ///
    /// # Errors
    /// When `reports` has one, after the waiting, or it is not known what became of a record.
    pub fn settle(&mut self, reports: &mut impl Reports) -> Result<()> {
        let mut result = self.trouble.take().map_or(Ok(()), Err);
        while self.client.in_flight() > 0 {
            result = result.and_then(|()| reports.flush());
            self.serve_all(HURRY, reports);
            // What waited behind what was served would wait for company now.
            if self.client.in_flight() > 0 {
                self.client.hurry();
            }
            // What came into the queue after a fatal error would stay there until its time is over.
            if self.usable().is_err() {
                self.client.purge();
            }
            if let Err(error) = self.patience_left() {
                result = result.and(Err(error));
                break;
            }
        }
        self.tell(reports);
        result = result.and(self.trouble.take().map_or(Ok(()), Err));
        result.and_then(|()| reports.flush())
    }

    /// How long something may still take to become of the records on their way. It is asked right
    /// after serving: while `reports` is flushed, reports of ours may queue up unheard.
    fn patience_left(&mut self) -> Result<Duration> {
        let (now, in_flight) = (self.start.elapsed(), self.client.in_flight());
        if in_flight == 0 {
            self.patience.renew(now);
            return Ok(Duration::MAX);
        }
        match self.patience.left(now) {
            Duration::ZERO => {
                let reason = format!("nothing is heard of the last {in_flight} records");
                Err(self.passing("producer", reason))
            }
            left => Ok(left),
        }
    }

    /// Serves events, waiting at most for `wait` for the first.
    fn serve(&mut self, wait: Duration, reports: &mut impl Reports) -> Result<()> {
        self.serve_all(wait, reports);
        self.tell(reports);
        self.trouble.take().map_or(Ok(()), Err)
    }

    /// Serves events as [`Producer::serve`], and keeps what comes of them; false when there was
    /// none.
    fn serve_all(&mut self, wait: Duration, reports: &mut impl Reports) -> bool {
        let any = self.serve_one(wait, reports);
        while any && self.serve_one(Duration::ZERO, reports) {}
        any
    }

    fn serve_one(&mut self, wait: Duration, reports: &mut impl Reports) -> bool {
        let (acknowledged, failed) = (&mut self.acknowledged, &mut self.failed);
        let (failures, trouble) = (&mut self.failures, &mut self.trouble);
        let before = (*acknowledged, *failed, failures.len());
        let served = self.client.serve(wait, |message| match message.error() {
            None => {
                *acknowledged += 1;
                if trouble.is_none() {
                    *trouble = reports.acknowledged(Receipt(message)).err();
                }
            }
            Some(code) if is_denial(code) && !reports.goes_on() => {
                *failed += 1;
                // The others only follow from a fatal error, which is told by itself.
                if code == RDKafkaErrorCode::TopicAuthorizationFailed {
                    trouble.get_or_insert_with(|| Error::world(message.topic(), reason(code)));
                }
            }
            Some(code) => failures.push(undelivered(message, code)),
        });
        if *acknowledged > before.0 {
            // Things work: the next failure is news.
            self.client.client().context().0.forget();
        }
        if (*acknowledged, *failed, failures.len()) != before {
            let now = self.start.elapsed();
            self.patience.renew(now);
            if let Some(haste) = &mut self.haste {
                haste.heard(now, self.client.in_flight() > 0);
            }
        }
        served
    }

    /// Tells of the failures that came together.
    fn tell(&mut self, reports: &mut impl Reports) {
        if self.failures.is_empty() {
            return;
        }
        self.failed += self.failures.len() as u64;
        for run in merge(&mut self.failures) {
            if run.sent {
                self.lost += run.last - run.first + 1;
                reports.lost(run.first, run.last, &run.reason);
            } else {
                reports.failed(run.first, run.last, &run.reason);
            }
        }
    }

    /// An error when the client has met one after which it produces nothing more.
    fn usable(&self) -> Result<()> {
        match self.client.client().fatal_error() {
            None => Ok(()),
            Some((code @ RDKafkaErrorCode::ClusterAuthorizationFailed, _)) => {
                Err(Error::world(&self.brokers, reason(code)))
            }
            Some((code, _)) if transaction::ends_writing(code) => {
                Err(Error::world("producer", reason(code)))
            }
            Some((code, text)) if text.is_empty() => Err(self.passing("producer", reason(code))),
            Some((_, text)) => Err(self.passing("producer", text)),
        }
    }
}

/// The configuration of a producer.
fn config(flags: &Broker, options: &Options<'_>, prompt: bool) -> Result<ClientConfig> {
    for (key, reason) in reserved(options.transactions.is_some()) {
        if let Some(place) = config::place(flags, key)? {
            return Err(Error::caller(place, reason));
        }
    }
    let mut defaults = vec![
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("partitioner", "murmur2_random"),
        ("linger.ms", if prompt { Haste::LINGER_MS } else { "5" }),
        ("queue.buffering.max.messages", QUEUE_RECORDS),
        ("delivery.timeout.ms", DELIVERY_TIMEOUT_MS),
    ];
    let transactions = options.transactions.as_ref();
    let timeout = transactions.map(|one| one.timeout.as_millis().to_string());
    if let (Some(Transactions { id, .. }), Some(timeout)) = (transactions, &timeout) {
        // A record that is tried longer than its transaction is open cannot help it.
        let keys = ["transaction.timeout.ms", "delivery.timeout.ms"];
        defaults.extend(keys.map(|key| (key, timeout.as_str())));
        defaults.push(("transactional.id", id));
    }
    // A later one wins.
    defaults.extend(options.defaults.iter().map(|(key, value)| (*key, value.as_str())));
    let mut config = config::client(flags, &defaults)?;
    let own = |key| config::asked(flags, key).map(|value| value.is_some());
    if let Some(reason) = weakened(&config)
        && transactions.is_none()
        && config.get("enable.idempotence") == Some("true")
        && !own("enable.idempotence")?
    {
        let promise = "not idempotent: a record may be lost, there twice or out of order";
        say(format!("{reason}: {promise}"));
        config.set("enable.idempotence", "false");
    }
    let queue = config.get("queue.buffering.max.messages").and_then(|count| count.parse().ok());
    if let Some(half @ 1..BATCH_RECORDS) = queue.map(|count: usize| count.div_ceil(2))
        && !own("batch.num.messages")?
    {
        config.set("batch.num.messages", half.to_string());
    }
    if config.get("queue.buffering.max.kbytes").is_none() {
        let bytes = QUEUE_BYTES.max(2 * record_bytes_max(&config));
        config.set("queue.buffering.max.kbytes", (bytes >> 10).to_string());
    }
    Ok(config)
}

/// The property that does not go with idempotence, as Java judges it.
fn weakened(config: &ClientConfig) -> Option<String> {
    let is = |key: &str, bad: fn(&str) -> bool| {
        let value = config.get(key).filter(|value| bad(value))?;
        Some(format!("{key}={value}"))
    };
    let in_flight = "max.in.flight.requests.per.connection";
    is("acks", |acks| matches!(acks, "0" | "1"))
        .or_else(|| is("retries", |retries| retries == "0"))
        .or_else(|| is(in_flight, |count| count.parse().is_ok_and(|count: u32| count > 5)))
}

/// Bytes that a record may have by these flags (`message.max.bytes`).
///
/// # Errors
/// Of the caller, when a property is wrong.
pub fn record_bytes_max_of(flags: &Broker) -> Result<usize> {
    let value = config::asked(flags, "message.max.bytes")?.and_then(|value| value.parse().ok());
    Ok(value.unwrap_or(RECORD_BYTES_MAX))
}

fn record_bytes_max(config: &ClientConfig) -> usize {
    let value = config.get("message.max.bytes").and_then(|value| value.parse().ok());
    value.unwrap_or(RECORD_BYTES_MAX)
}

/// A record that the queue did not take.
fn refused(record: &Record<'_>, code: RDKafkaErrorCode, record_bytes_max: usize) -> Failure {
    let reason = match code {
        RDKafkaErrorCode::MessageSizeTooLarge => {
            let bytes = [record.key, record.value].map(|part| part.map_or(0, <[u8]>::len));
            too_long(bytes.iter().sum::<usize>() as u64, record_bytes_max)
        }
        code => reason(code),
    };
    Failure { number: record.number, reason, sent: false }
}

fn too_long(bytes: u64, limit: usize) -> String {
    // The limit is for the record as it is sent.
    let framing = if bytes > limit as u64 { "" } else { " and their framing" };
    format!("{bytes} bytes{framing} are too many for message.max.bytes={limit}")
}

/// An error unless as many records are `heard` of as were `offered`.
fn reckon(offered: u64, heard: u64) -> Result<()> {
    match offered.abs_diff(heard) {
        0 => Ok(()),
        lost => Err(Error::world("producer", format!("{lost} records are unaccounted for"))),
    }
}

/// Whether no record of the topic fares better.
fn is_denial(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed | Code::Fatal | Code::PurgeQueue | Code::PurgeInflight
    )
}

/// A record that came back.
fn undelivered(message: Message<'_>, code: RDKafkaErrorCode) -> Failure {
    let mut reason = reason(code);
    if message.may_be_written() {
        reason.push_str(" (it may be in the topic nevertheless)");
    }
    Failure { number: message.number(), reason, sent: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_nothing_is_heard_of_is_an_error() {
        assert_eq!(reckon(7, 7), Ok(()));
        let error = |lost| Error::world("producer", format!("{lost} records are unaccounted for"));
        assert_eq!(reckon(7, 4), Err(error(3)));
        assert_eq!(reckon(7, 8), Err(error(1)));
    }

    #[test]
    fn a_record_that_is_too_long_only_as_it_is_sent_is_called_so() {
        assert_eq!(too_long(11, 10), "11 bytes are too many for message.max.bytes=10");
        assert_eq!(
            too_long(10, 10),
            "10 bytes and their framing are too many for message.max.bytes=10"
        );
    }
}
