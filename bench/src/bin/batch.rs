//! The edge alone: librdkafka's calls for batches, as kprod and kcons make them, and nothing around
//! it. Lines are produced from memory, records are consumed to nowhere. What kprod and kcons take
//! longer than this is the price of pipes and options; what `bench-rdkafka` takes longer is that of
//! a call a record.
//!
//!     bench-batch produce TOPIC < LINES
//!     bench-batch consume TOPIC
//!
//! The broker is that of `KPIPE_BROKERS`. A topic is consumed up to the end that it has at first.

use std::env;
use std::io::{self, Read as _};

use memchr::memchr_iter;
use pipe::exit::{Error, Result};
use pipe::stop::Stop;
use topic::consumer::{Item, Plan, Reader};
use topic::flags::Broker;
use topic::producer::{BATCH, Options, Producer, Receipt, Record, Reports};

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["produce", topic] => {
            let mut lines = Vec::new();
            io::stdin().read_to_end(&mut lines)?;
            produce(topic, &lines)
        }
        ["consume", topic] => consume(topic),
        _ => Err(Error::caller("usage", "bench-batch produce|consume TOPIC")),
    };
    done.map_err(|error| io::Error::other(format!("{error:?}")))
}

/// Hears how many records failed.
#[derive(Debug, Default)]
struct Failures(u64);

impl Reports for Failures {
    fn acknowledged(&mut self, _: Receipt<'_>) -> Result<()> {
        Ok(())
    }

    fn failed(&mut self, first: u64, last: u64, _: &str) {
        self.0 += last - first + 1;
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn produce(topic: &str, lines: &[u8]) -> Result<()> {
    let options = Options { topic: Some(topic), ..Options::default() };
    let mut producer = Producer::open(&Broker::default(), &options)?;
    let mut failures = Failures::default();
    let mut start = 0;
    let mut records = Vec::with_capacity(BATCH);
    for (number, end) in (1..).zip(memchr_iter(b'\n', lines)) {
        records.push(Record { number, value: Some(&lines[start..end]), ..Record::default() });
        start = end + 1;
        if records.len() == BATCH {
            producer.write(&records, &mut failures)?;
            records.clear();
        }
    }
    producer.write(&records, &mut failures)?;
    producer.finish(&mut failures)?;
    match failures.0 {
        0 => Ok(()),
        failed => Err(Error::world(topic, format!("{failed} records failed"))),
    }
}

fn consume(topic: &str) -> Result<()> {
    let topics = [topic.to_owned()];
    let broker = Broker::default();
    let plan = Plan {
        flags: &broker,
        topics: &topics,
        partitions: Some(&[0]),
        group: None,
        until_end: true,
        apart: false,
        epochs: false,
    };
    let stop = Stop::listen()?;
    let mut reader = Reader::open(&plan)?;
    let bounds = reader.bounds(&[0])?[0];
    reader.start(&[(0, bounds.low)])?;
    let (mut next, mut bytes) = (bounds.low, 0);
    while next < bounds.high && !stop.requested() {
        reader.serve()?;
        let Some(batch) = reader.batch() else {
            reader.wait(&stop, None)?;
            continue;
        };
        for item in batch.items() {
            if let Item::Record(record) = item {
                // Looked at, so that it has been in the cache as it is for who writes it.
                bytes += record.value().map_or(0, <[u8]>::len);
                next = record.offset() + 1;
            }
        }
    }
    assert!(bytes > 0 || bounds.high == bounds.low, "records that have bytes");
    reader.close()
}
