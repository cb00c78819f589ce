//! The run of a `VerifiableProducer`: counts into a topic, and says in JSON what became of it.

use std::os::fd::AsFd;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pipe::exit::{Code, Error, Result};
use pipe::rate::Rate;
use pipe::stdio::{Output, reason};
use pipe::stop::Stop;
use topic::draft::Drafts;
use topic::flags::Broker;
use topic::producer::{BATCH, Options, Producer, Receipt, Reports};

use crate::pace::{Pace, Room};
use crate::perf::float;
use crate::verifiable::{Event, Numbers, exception};

/// The options of `VerifiableProducer`.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "As kafka-verifiable-producer")]
pub struct Verifiable {
    /// Produces 0, 1, 2… and writes an event in JSON for each to stdout; reads no input
    #[arg(long, conflicts_with_all = ["files", "receipts"])]
    pub verifiable: bool,
    /// Records, then end; -1 for no end
    #[arg(long, value_name = "N", default_value = "-1", allow_negative_numbers = true)]
    max_messages: i64,
    /// Records a second; -1 for as fast as it goes
    #[arg(long, value_name = "N", default_value = "-1", allow_negative_numbers = true)]
    throughput: i64,
    /// How many replicas acknowledge: 0, 1 or -1 for all
    #[arg(long, value_name = "N", default_value = "-1", allow_negative_numbers = true,
        value_parser = clap::value_parser!(i8).range(-1..=1))]
    acks: i8,
    /// Time of the first record in milliseconds since the epoch, from which it goes on
    #[arg(long, value_name = "MS", default_value = "-1", allow_negative_numbers = true)]
    message_create_time: i64,
    /// What stands before each value, with a dot
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    value_prefix: Option<i32>,
    /// Keys from 0 to N-1, round and round
    #[arg(long, value_name = "N")]
    repeating_keys: Option<u64>,
}

impl Verifiable {
    /// The first of these options that was given, for a run that is none.
    #[must_use]
    pub fn given(&self) -> Option<&'static str> {
        [
            ("--max-messages", self.max_messages != -1),
            ("--throughput", self.throughput != -1),
            ("--acks", self.acks != -1),
            ("--message-create-time", self.message_create_time != -1),
            ("--value-prefix", self.value_prefix.is_some()),
            ("--repeating-keys", self.repeating_keys.is_some()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }

    /// Produces until the last record or a signal. What failed is told by its event, and not by
    /// the exit code, as Kafka's own harness expects it.
    ///
    /// # Errors
    /// When there is no broker or no such topic, or stdout cannot be written.
    pub fn run(&self, broker: &Broker, topic: &str, mut options: Options<'_>) -> Result<Code> {
        // The file of properties wins over the option, and there is no second try, as in Java.
        options.defaults.push(("acks", self.acks.to_string()));
        options.defaults.push(("retries", "0".to_owned()));
        options.defaults.push(("enable.idempotence", "false".to_owned()));
        let mut producer = Producer::open(broker, &options)?;
        let stop = Stop::listen()?;
        let alarm = stop.as_fd().try_clone_to_owned();
        producer.wake_for(alarm.map_err(|error| Error::world("signals", reason(&error)))?);
        let numbers = Numbers { prefix: self.value_prefix, keys: self.repeating_keys };
        let mut events = Events { output: Output::stdout()?, topic, numbers };
        let start = Instant::now();
        events.write(Event::StartupComplete)?;
        events.flush()?;
        let sent = self.produce(&mut producer, &mut events, &stop, start);
        let finished = producer.finish(&mut events);
        events.write(Event::ShutdownComplete)?;
        let acked = producer.acknowledged();
        let seconds = start.elapsed().as_secs_f64().max(1e-3);
        let sent = sent?;
        let target_throughput = self.throughput;
        let avg_throughput = float(acked) / seconds;
        events.write(Event::ToolData { sent, acked, target_throughput, avg_throughput })?;
        events.flush()?;
        finished.map(|()| Code::DONE)
    }

    /// Says how many records were sent.
    fn produce(
        &self,
        producer: &mut Producer,
        events: &mut Events<'_>,
        stop: &Stop,
        start: Instant,
    ) -> Result<u64> {
        let count = u64::try_from(self.max_messages).ok();
        let rate = match self.throughput {
            ..0 => None,
            // The least rate there is: after the first record, it is waited for a signal.
            0 => Rate::new(f64::MIN_POSITIVE).ok(),
            rate => Rate::new(float(rate.unsigned_abs())).ok(),
        };
        let mut pace = Pace::new(count, rate, None);
        let (mut sent, mut drafts) = (0, Drafts::default());
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while !stop.requested() {
            let room = match pace.room(start.elapsed()) {
                Room::Never => break,
                Room::After(time) => {
                    producer.wait(None, Some(time), events)?;
                    continue;
                }
                Room::For(room) => room.min(BATCH as u64),
            };
            drafts.clear();
            for number in sent..sent + room {
                let mut pen = drafts.begin(number);
                key.clear();
                value.clear();
                events.numbers.value(number, &mut value);
                pen.value(Some(&value));
                let keyed = events.numbers.key(number, &mut key);
                pen.key(keyed.then_some(&key));
                pen.timestamp(self.timestamp(start));
                pen.done();
            }
            producer.write(&drafts.records(&[]), events)?;
            pace.sent(room);
            sent += room;
        }
        Ok(sent)
    }

    fn timestamp(&self, start: Instant) -> Option<i64> {
        let passed = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
        (self.message_create_time != -1).then(|| self.message_create_time.saturating_add(passed))
    }
}

/// Writes events for what becomes of records.
struct Events<'a> {
    output: Output,
    topic: &'a str,
    numbers: Numbers,
}

impl Events<'_> {
    fn write(&mut self, event: Event<'_>) -> Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        event.write(ms, self.output.buffer());
        self.output.spill()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl Reports for Events<'_> {
    fn acknowledged(&mut self, receipt: Receipt<'_>) -> Result<()> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let keyed = self.numbers.key(receipt.number(), &mut key);
        self.numbers.value(receipt.number(), &mut value);
        self.write(Event::ProducerSendSuccess {
            key: keyed.then_some(text(&key)),
            value: text(&value),
            topic: receipt.topic(),
            partition: receipt.partition(),
            offset: receipt.offset(),
        })
    }

    fn failed(&mut self, first: u64, last: u64, reason: &str) {
        for number in first..=last {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            let keyed = self.numbers.key(number, &mut key);
            self.numbers.value(number, &mut value);
            let event = Event::ProducerSendError {
                key: keyed.then_some(text(&key)),
                value: text(&value),
                topic: self.topic,
                exception: exception(reason),
                message: reason,
            };
            // What cannot be written is told by the next flush: the bytes stay where they are.
            let _ = self.write(event);
        }
    }

    fn goes_on(&self) -> bool {
        true
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }
}
