//! The calls of a producer.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaType;

use super::{Bell, Handle, Message};
use crate::producer::{Header, Record};

const NO_ERROR: sys::rd_kafka_resp_err_t = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// Says that librdkafka's partitioner chooses.
const ANY_PARTITION: i32 = -1;

/// A producer whose delivery reports come as events in batches.
pub(crate) struct Producer<C: ClientContext> {
    // Fields are dropped in this order: handles before the client that they belong to.
    topics: Vec<Topic>,
    events: Handle,
    bell: Bell,
    /// Room for the messages of a batch, used again for the next.
    messages: Vec<sys::rd_kafka_message_t>,
    /// Whether the one topic that is open has a single partition, as far as is known.
    single: Cell<bool>,
    client: Client<C>,
}

/// A handle of a topic.
struct Topic(NonNull<sys::rd_kafka_topic_t>);

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: a handle is given back once, and its client is live.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}

/// What became of records that were offered.
#[derive(Debug)]
pub(crate) struct Offered {
    /// How many of the first ones were taken or refused; the others found the queue full.
    pub(crate) done: usize,
    /// The refused ones: their index and why.
    pub(crate) refused: Vec<(usize, RDKafkaErrorCode)>,
}

impl<C: ClientContext> Producer<C> {
    pub(crate) fn new(config: &ClientConfig, context: C) -> KafkaResult<Producer<C>> {
        let native = config.create_native_config()?;
        // SAFETY: the configuration is live until `Client::new` takes it.
        unsafe {
            let events = sys::RD_KAFKA_EVENT_DR | sys::RD_KAFKA_EVENT_ERROR;
            sys::rd_kafka_conf_set_events(native.ptr(), events);
        }
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_PRODUCER, context)?;
        // SAFETY: the client is live.
        let events = NonNull::new(unsafe { sys::rd_kafka_queue_get_main(client.native_ptr()) });
        let failed = |reason: &str| KafkaError::ClientCreation(reason.to_owned());
        let events = Handle(events.ok_or_else(|| failed("no main queue"))?);
        let bell = Bell::new().map_err(|error| failed(&error.to_string()))?;
        events.ring(&bell);
        Ok(Producer {
            topics: Vec::new(),
            events,
            bell,
            messages: Vec::new(),
            single: Cell::new(false),
            client,
        })
    }

    /// Opens a topic of so many `partitions`, for [`Record::topic`]: the first one is 0, and so on.
    pub(crate) fn open_topic(&mut self, name: &str, partitions: i32) -> KafkaResult<()> {
        let name = CString::new(name)?;
        // SAFETY: client and name are live; no configuration means the client's.
        let topic = unsafe {
            sys::rd_kafka_topic_new(self.client.native_ptr(), name.as_ptr(), ptr::null_mut())
        };
        let failed = || KafkaError::ClientCreation("not a topic's name".to_owned());
        self.topics.push(Topic(NonNull::new(topic).ok_or_else(failed)?));
        self.single.set(self.topics.len() == 1 && partitions == 1);
        Ok(())
    }

    pub(crate) fn client(&self) -> &Client<C> {
        &self.client
    }

    /// The client, for the calls of other modules here.
    pub(super) fn raw(&self) -> *mut sys::rd_kafka_t {
        self.client.native_ptr()
    }

    /// Rings when [`Producer::serve`] has something to do.
    pub(crate) fn bell(&mut self) -> &mut Bell {
        &mut self.bell
    }

    /// Records and events that are not done with.
    pub(crate) fn in_flight(&self) -> usize {
        // SAFETY: the client is live.
        let count = unsafe { sys::rd_kafka_outq_len(self.client.native_ptr()) };
        usize::try_from(count).unwrap_or(0)
    }

    /// Sends what waits for company, for `linger.ms` does not matter at the end.
    pub(crate) fn hurry(&self) {
        // SAFETY: the client is live. The call wakes its brokers' threads and, as delivery
        // reports are events, waits only for its millisecond.
        unsafe {
            sys::rd_kafka_flush(self.client.native_ptr(), 1);
        }
    }

    /// Fails everything that is on its way.
    pub(crate) fn purge(&self) {
        let all = sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT;
        // SAFETY: the client is live.
        unsafe {
            sys::rd_kafka_purge(self.client.native_ptr(), all);
        }
    }

    /// Puts records into the queue. librdkafka copies them.
    pub(crate) fn offer(&mut self, records: &[Record<'_>]) -> Offered {
        let Some(first) = records.first() else { return Offered { done: 0, refused: Vec::new() } };
        let alike = |one: &Record<'_>| {
            (one.topic, one.partition) == (first.topic, first.partition)
                && one.timestamp.is_none()
                && one.headers.is_empty()
        };
        match first.partition {
            _ if !records.iter().all(alike) => self.offer_each(records),
            None if self.single.get() => self.offer_to_single(records),
            partition => self.offer_batch(first.topic, partition.unwrap_or(ANY_PARTITION), records),
        }
    }

    /// The partitioner, which looks whether the partition has a leader, makes up a third of the
    /// work for a record. Where there is nothing to choose, only the first record is put before
    /// it: its report tells when the topic has got more partitions.
    fn offer_to_single(&mut self, records: &[Record<'_>]) -> Offered {
        let (first, rest) = records.split_at(1);
        let mut offered = self.offer_batch(0, ANY_PARTITION, first);
        if offered.done == 1 && !rest.is_empty() {
            let others = self.offer_batch(0, 0, rest);
            offered.done += others.done;
            offered.refused.extend(others.refused.into_iter().map(|(at, code)| (at + 1, code)));
        }
        offered
    }

    /// The fast call, which knows neither headers nor timestamps.
    fn offer_batch(&mut self, topic: usize, partition: i32, records: &[Record<'_>]) -> Offered {
        self.messages.clear();
        self.messages.extend(records.iter().map(message));
        let count = c_int::try_from(records.len()).unwrap_or(c_int::MAX);
        // SAFETY: the topic is live, the messages point into `records`, and COPY says that
        // nothing is kept of them after the call.
        let taken = unsafe {
            let messages = self.messages.as_mut_ptr();
            let topic = self.topics[topic].0.as_ptr();
            sys::rd_kafka_produce_batch(topic, partition, sys::RD_KAFKA_MSG_F_COPY, messages, count)
        };
        if usize::try_from(taken) == Ok(records.len()) {
            return Offered { done: records.len(), refused: Vec::new() };
        }
        let mut refused = Vec::new();
        for (at, message) in self.messages.iter().enumerate() {
            match message.err {
                NO_ERROR => {}
                sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL => {
                    return Offered { done: at, refused };
                }
                code => refused.push((at, code.into())),
            }
        }
        Offered { done: records.len(), refused }
    }

    fn offer_each(&mut self, records: &[Record<'_>]) -> Offered {
        let mut refused = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match self.offer_one(record) {
                Ok(()) => {}
                Err(RDKafkaErrorCode::QueueFull) => return Offered { done: at, refused },
                Err(code) => refused.push((at, code)),
            }
        }
        Offered { done: records.len(), refused }
    }

    fn offer_one(&mut self, record: &Record<'_>) -> Result<(), RDKafkaErrorCode> {
        use sys::rd_kafka_vtype_t as Kind;
        let headers = Headers::new(record.headers)?;
        let (value, value_bytes) = parts(record.value);
        let (key, key_bytes) = parts(record.key);
        // SAFETY: each kind is followed by the arguments that it takes, all live; what they
        // point to is copied, except the headers, which librdkafka owns when it answers well.
        let code = unsafe {
            sys::rd_kafka_producev(
                self.client.native_ptr(),
                Kind::RD_KAFKA_VTYPE_RKT,
                self.topics[record.topic].0.as_ptr(),
                Kind::RD_KAFKA_VTYPE_PARTITION,
                record.partition.unwrap_or(ANY_PARTITION),
                Kind::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                Kind::RD_KAFKA_VTYPE_VALUE,
                value,
                value_bytes,
                Kind::RD_KAFKA_VTYPE_KEY,
                key,
                key_bytes,
                Kind::RD_KAFKA_VTYPE_TIMESTAMP,
                record.timestamp.unwrap_or(0),
                Kind::RD_KAFKA_VTYPE_HEADERS,
                headers.0,
                Kind::RD_KAFKA_VTYPE_OPAQUE,
                opaque(record.number),
                Kind::RD_KAFKA_VTYPE_END,
            )
        };
        if code != NO_ERROR {
            return Err(code.into());
        }
        std::mem::forget(headers);
        Ok(())
    }

    /// Waits for an event, at most for `wait`, and serves it; false when there was none.
    /// `report` gets each delivery report as its message.
    pub(crate) fn serve(&self, wait: Duration, mut report: impl FnMut(Message<'_>)) -> bool {
        // SAFETY: the queue is live.
        let event = unsafe { sys::rd_kafka_queue_poll(self.events.as_ptr(), millis(wait)) };
        let Some(event) = NonNull::new(event).map(Event) else { return false };
        let raw = event.0.as_ptr();
        // SAFETY: the event is live; its messages and texts are gone before it.
        unsafe {
            match sys::rd_kafka_event_type(raw) {
                sys::RD_KAFKA_EVENT_DR => {
                    let mut single = self.single.get();
                    while let Some(raw) = sys::rd_kafka_event_message_next(raw).as_ref() {
                        single &= raw.partition == 0;
                        report(Message { raw });
                    }
                    self.single.set(single);
                }
                sys::RD_KAFKA_EVENT_ERROR => {
                    let code = sys::rd_kafka_event_error(raw).into();
                    let text = text(sys::rd_kafka_event_error_string(raw));
                    self.client.context().error(KafkaError::Global(code), &text);
                }
                sys::RD_KAFKA_EVENT_LOG => self.log(raw),
                _ => {}
            }
        }
        true
    }

    /// # Safety
    /// The event is live and a log line.
    unsafe fn log(&self, event: *mut sys::rd_kafka_event_t) {
        let (mut facility, mut line) = (ptr::null::<c_char>(), ptr::null::<c_char>());
        let mut level = 0;
        // SAFETY: the caller's; the places are writable.
        unsafe {
            let places = (&raw mut facility, &raw mut line, &raw mut level);
            if sys::rd_kafka_event_log(event, places.0, places.1, places.2) == 0 {
                self.client.context().log(severity(level), &text(facility), &text(line));
            }
        }
    }
}

impl<C: ClientContext> fmt::Debug for Producer<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Producer").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

impl<C: ClientContext> Drop for Producer<C> {
    fn drop(&mut self) {
        self.events.hush();
    }
}

impl Message<'_> {
    /// The number that the record was offered with.
    #[inline]
    pub(crate) fn number(self) -> u64 {
        self.raw._private.addr() as u64
    }

    /// How long the record took from its offering to this report, in microseconds.
    pub(crate) fn latency_us(self) -> Option<u64> {
        // SAFETY: the message is live.
        u64::try_from(unsafe { sys::rd_kafka_message_latency(self.raw) }).ok()
    }

    /// Whether a record that failed may have been written nevertheless.
    pub(crate) fn may_be_written(self) -> bool {
        // SAFETY: the message is live.
        let status = unsafe { sys::rd_kafka_message_status(self.raw) };
        status == sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED
    }
}

/// An event, given back when dropped.
struct Event(NonNull<sys::rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: an event is given back once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// A list of headers, ours until a record took it.
struct Headers(*mut sys::rd_kafka_headers_t);

impl Headers {
    fn new(headers: &[Header<'_>]) -> Result<Headers, RDKafkaErrorCode> {
        // SAFETY: the list is live until dropped; names and values are copied into it.
        unsafe {
            let list = Headers(sys::rd_kafka_headers_new(headers.len()));
            for header in headers {
                let name = header.name;
                let (value, value_bytes) = parts(header.value);
                let code = sys::rd_kafka_header_add(
                    list.0,
                    name.as_ptr().cast(),
                    name.len().cast_signed(),
                    value,
                    value_bytes.cast_signed(),
                );
                if code != NO_ERROR {
                    return Err(code.into());
                }
            }
            Ok(list)
        }
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: no record took the list: then it would have been forgotten.
        unsafe { sys::rd_kafka_headers_destroy(self.0) }
    }
}

#[inline]
fn message(record: &Record<'_>) -> sys::rd_kafka_message_t {
    let (payload, len) = parts(record.value);
    let (key, key_len) = parts(record.key);
    sys::rd_kafka_message_t {
        err: NO_ERROR,
        rkt: ptr::null_mut(),
        partition: ANY_PARTITION,
        payload,
        len,
        key,
        key_len,
        offset: 0,
        _private: opaque(record.number),
    }
}

/// Address and length as librdkafka takes them: null is null, and an empty slice is not.
#[inline]
fn parts(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    match bytes {
        None => (ptr::null_mut(), 0),
        Some(bytes) => (bytes.as_ptr().cast_mut().cast(), bytes.len()),
    }
}

/// A record's number as the pointer that comes back with its report.
#[inline]
fn opaque(number: u64) -> *mut c_void {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or(usize::MAX))
}

/// A level of syslog, as librdkafka gives it.
fn severity(level: c_int) -> RDKafkaLogLevel {
    match level {
        ..=0 => RDKafkaLogLevel::Emerg,
        1 => RDKafkaLogLevel::Alert,
        2 => RDKafkaLogLevel::Critical,
        3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 => RDKafkaLogLevel::Notice,
        6 => RDKafkaLogLevel::Info,
        7.. => RDKafkaLogLevel::Debug,
    }
}

pub(super) fn millis(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}

/// # Safety
/// The pointer is null or a C string that lives as long as the text is used.
pub(super) unsafe fn text<'a>(pointer: *const c_char) -> std::borrow::Cow<'a, str> {
    if pointer.is_null() {
        return "".into();
    }
    // SAFETY: the caller's.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy()
}
