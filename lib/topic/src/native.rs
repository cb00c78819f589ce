//! All unsafe code: the calls of librdkafka that rdkafka does not wrap.
//!
//! librdkafka is thread safe. What has to be shown at each call is that pointers are live (the
//! client outlives what was made from it, so these types hold an `Arc` of the consumer) and that
//! what is borrowed from a message is gone before the message.
#![expect(unsafe_code, reason = "the one place for it")]

pub(crate) mod producer;
pub(crate) mod transaction;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::topic_partition_list::TopicPartitionList;

/// Lets groups of a mock cluster form at once instead of 3 s after the first member came.
///
/// Returns false when `client` was made without `test.mock.num.brokers`.
#[must_use]
pub fn no_rebalance_delay(client: &BaseProducer) -> bool {
    // SAFETY: the client is live, and the cluster, which belongs to it, is used only here.
    unsafe {
        let cluster = sys::rd_kafka_handle_mock_cluster(client.client().native_ptr());
        if cluster.is_null() {
            return false;
        }
        sys::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
    }
    true
}

/// Fills in the positions of the partitions in `list`: behind everything handed out, transaction
/// markers included.
pub(crate) fn positions<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    list: &TopicPartitionList,
) -> Result<(), RDKafkaErrorCode> {
    // SAFETY: client and list are live; the call writes only into the list's elements.
    let code = unsafe { sys::rd_kafka_position(client.client().native_ptr(), list.ptr()) };
    match code {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(code.into()),
    }
}

/// The offset behind the last record of a partition, committed or not, as the last fetch has said
/// it; `None` before one has.
pub(crate) fn high_watermark<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    let client = client.client().native_ptr();
    // SAFETY: the client is live, the topic is a C string, and the numbers are ours; all three are
    // used only within the call.
    let code = unsafe {
        let (low, high) = (&raw mut low, &raw mut high);
        sys::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, low, high)
    };
    let known = code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0;
    known.then_some(high)
}

/// The id of the cluster's controller, when it is known within `time`.
pub(crate) fn controller<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    time: Duration,
) -> Option<i32> {
    let ms = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client is live.
    let id = unsafe { sys::rd_kafka_controllerid(client.client().native_ptr(), ms) };
    (id >= 0).then_some(id)
}

/// The group's generation, and our id and static name in it, as they are now; `None` before the
/// client has a group.
pub(crate) fn membership<C: ConsumerContext>(
    client: &BaseConsumer<C>,
) -> Option<(i32, String, Option<String>)> {
    // SAFETY: the client is live; the metadata is ours, is given back once, and its texts are
    // C strings that live as long as it does and are copied before.
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(client.client().native_ptr());
        if metadata.is_null() {
            return None;
        }
        let text = |text: *const c_char| {
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        };
        let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
        let member = text(sys::rd_kafka_consumer_group_metadata_member_id(metadata));
        let instance = text(sys::rd_kafka_consumer_group_metadata_group_instance_id(metadata));
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        Some((generation, member.unwrap_or_default(), instance))
    }
}

/// The read end of a socket that librdkafka writes to when one of its queues is no longer empty.
#[derive(Debug)]
pub(crate) struct Bell {
    hear: UnixStream,
    ring: UnixStream,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        let (hear, ring) = UnixStream::pair()?;
        hear.set_nonblocking(true)?;
        // A full socket has been heard of anyway: librdkafka must not wait for us.
        ring.set_nonblocking(true)?;
        Ok(Bell { hear, ring })
    }

    /// Makes the bell silent, before the queues are looked at.
    pub(crate) fn silence(&mut self) -> io::Result<()> {
        let mut sink = [0; 64];
        loop {
            match self.hear.read(&mut sink) {
                Ok(read) if read == sink.len() => {}
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.hear.as_fd()
    }
}

/// A handle of one of librdkafka's queues.
struct Handle(NonNull<sys::rd_kafka_queue_t>);

impl Handle {
    fn as_ptr(&self) -> *mut sys::rd_kafka_queue_t {
        self.0.as_ptr()
    }

    fn ring(&self, bell: &Bell) {
        let payload = [1_u8];
        // SAFETY: the queue is live, the payload is copied. The descriptor outlives the queue's
        // last event: `Queue` holds the bell, and switches the events off before it drops it.
        unsafe {
            let fd = bell.ring.as_raw_fd();
            sys::rd_kafka_queue_io_event_enable(self.as_ptr(), fd, payload.as_ptr().cast(), 1);
        }
    }

    fn hush(&self) {
        // SAFETY: the queue is live; no descriptor and no payload switch events off.
        unsafe { sys::rd_kafka_queue_io_event_enable(self.as_ptr(), -1, ptr::null(), 0) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: a handle is given back once, and its client is live.
        unsafe { sys::rd_kafka_queue_destroy(self.as_ptr()) }
    }
}

/// A queue of our own to which the messages of partitions are directed, so that they can be taken
/// in batches while the consumer's own queue brings everything else.
pub(crate) struct Queue<C: ConsumerContext + 'static> {
    // Fields are dropped in this order: handles before the client that they belong to.
    topics: Vec<(CString, NonNull<sys::rd_kafka_topic_t>)>,
    /// One for all partitions, or one for each.
    messages: Vec<Handle>,
    events: Handle,
    bell: Bell,
    client: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues and topics may be used from any thread, and every method that
// changes the queue takes it by unique reference.
unsafe impl<C: ConsumerContext> Send for Queue<C> {}

impl<C: ConsumerContext> fmt::Debug for Queue<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Queue").field("topics", &self.topics.len()).finish_non_exhaustive()
    }
}

impl<C: ConsumerContext> Queue<C> {
    /// A queue of `client`, which is a member of a group (`grouped`) or not, with `lanes` for
    /// messages, at least one.
    pub(crate) fn new(
        client: Arc<BaseConsumer<C>>,
        grouped: bool,
        lanes: usize,
    ) -> io::Result<Queue<C>> {
        let bell = Bell::new()?;
        let native = client.client().native_ptr();
        let missing = || io::Error::other("librdkafka has no queue for us");
        // SAFETY: the client is live, and each handle is given back once. The queue that rdkafka
        // polls is the group's or the main one.
        let handle = |queue| NonNull::new(queue).map(Handle).ok_or_else(missing);
        let messages =
            (0..lanes.max(1)).map(|_| handle(unsafe { sys::rd_kafka_queue_new(native) }));
        let messages: Vec<Handle> = messages.collect::<io::Result<_>>()?;
        // SAFETY: as above.
        let events = handle(unsafe {
            if grouped {
                sys::rd_kafka_queue_get_consumer(native)
            } else {
                sys::rd_kafka_queue_get_main(native)
            }
        })?;
        let queue = Queue { topics: Vec::new(), messages, events, bell, client };
        queue.messages.iter().for_each(|messages| messages.ring(&queue.bell));
        queue.events.ring(&queue.bell);
        Ok(queue)
    }

    pub(crate) fn bell(&mut self) -> &mut Bell {
        &mut self.bell
    }

    /// Whether the consumer's own queue holds something.
    pub(crate) fn has_events(&self) -> bool {
        // SAFETY: the queue is live.
        unsafe { sys::rd_kafka_queue_length(self.events.as_ptr()) > 0 }
    }

    /// Begins to commit the offsets in `list`; the context's `commit_callback` gets the result,
    /// which it does not after `rd_kafka_commit`.
    pub(crate) fn commit(&self, list: &TopicPartitionList) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: client, list and queue are live; the list is copied.
        let code = unsafe {
            let (native, queue) = (self.client.client().native_ptr(), self.events.as_ptr());
            sys::rd_kafka_commit_queue(native, list.ptr(), queue, None, ptr::null_mut())
        };
        match code {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(code.into()),
        }
    }

    /// Directs the messages of a partition here; said anew before each assignment, because
    /// librdkafka forgets it when fetching stops.
    pub(crate) fn forward(&self, topic: &str, partition: i32) -> Result<(), RDKafkaErrorCode> {
        let topic = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: client, name and target are live; the partition's handle is given back.
        unsafe {
            let native = self.client.client().native_ptr();
            let queue = sys::rd_kafka_queue_get_partition(native, topic.as_ptr(), partition);
            let queue = NonNull::new(queue).ok_or(RDKafkaErrorCode::UnknownPartition)?;
            let queue = Handle(queue);
            sys::rd_kafka_queue_forward(queue.as_ptr(), self.messages[0].as_ptr());
        }
        Ok(())
    }

    /// Begins to fetch a partition from `offset` into `lane` without any group.
    pub(crate) fn start(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        lane: usize,
    ) -> Result<(), RDKafkaErrorCode> {
        let topic = self.topic(topic)?;
        // SAFETY: topic and queue are live.
        let code = unsafe {
            let queue = self.messages[lane].as_ptr();
            match sys::rd_kafka_consume_start_queue(topic.as_ptr(), partition, offset, queue) {
                0 => return Ok(()),
                _ => sys::rd_kafka_last_error(),
            }
        };
        Err(code.into())
    }

    fn topic(&mut self, name: &str) -> Result<NonNull<sys::rd_kafka_topic_t>, RDKafkaErrorCode> {
        let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        if let Some((_, topic)) = self.topics.iter().find(|(known, _)| *known == name) {
            return Ok(*topic);
        }
        // SAFETY: client and name are live; no configuration means the client's.
        let topic = unsafe {
            let native = self.client.client().native_ptr();
            sys::rd_kafka_topic_new(native, name.as_ptr(), ptr::null_mut())
        };
        let topic = NonNull::new(topic).ok_or(RDKafkaErrorCode::InvalidTopic)?;
        self.topics.push((name, topic));
        Ok(topic)
    }

    /// Takes what is in `lane`, at most `limit` messages, without waiting. The batch holds the
    /// queue, because its messages belong to the client.
    pub(crate) fn take<'a>(
        &'a mut self,
        limit: usize,
        lane: usize,
        space: &'a mut Space,
    ) -> Messages<'a> {
        space.0.clear();
        space.0.reserve(limit);
        // SAFETY: the queue is live and the space has room for `limit` pointers, of which the
        // call fills as many as it says; a negative number is an error and fills none.
        unsafe {
            let pointers = space.0.as_mut_ptr();
            let queue = self.messages[lane].as_ptr();
            let taken = sys::rd_kafka_consume_batch_queue(queue, 0, pointers, limit);
            space.0.set_len(usize::try_from(taken).unwrap_or(0));
        }
        Messages { space }
    }
}

impl<C: ConsumerContext> Drop for Queue<C> {
    fn drop(&mut self) {
        self.messages.iter().for_each(Handle::hush);
        self.events.hush();
        for (_, topic) in &self.topics {
            // SAFETY: each topic was made once by `topic` and is given back once.
            unsafe { sys::rd_kafka_topic_destroy(topic.as_ptr()) }
        }
    }
}

/// Room for the pointers of a batch, used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Space(Vec<*mut sys::rd_kafka_message_t>);

// SAFETY: between batches the space is empty.
unsafe impl Send for Space {}

/// A batch of messages, given back to librdkafka when dropped.
#[derive(Debug)]
pub(crate) struct Messages<'a> {
    space: &'a mut Space,
}

impl Messages<'_> {
    pub(crate) fn len(&self) -> usize {
        self.space.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: the pointers are live messages until the batch is dropped, and the messages
        // handed out borrow the batch.
        self.space.0.iter().map(|&message| Message { raw: unsafe { &*message } })
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        for message in self.space.0.drain(..) {
            // SAFETY: a message of the batch is given back once.
            unsafe { sys::rd_kafka_message_destroy(message) }
        }
    }
}

/// A message of a batch: a record, or an event of its partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    raw: &'a sys::rd_kafka_message_t,
}

impl<'a> Message<'a> {
    /// The event when it is no record: `PartitionEOF` or what went wrong.
    #[inline]
    pub(crate) fn error(self) -> Option<RDKafkaErrorCode> {
        use sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        (self.raw.err != RD_KAFKA_RESP_ERR_NO_ERROR).then(|| self.raw.err.into())
    }

    /// Tells topics apart without looking at their names.
    #[inline]
    pub(crate) fn topic_id(self) -> usize {
        self.raw.rkt.addr()
    }

    pub(crate) fn topic(self) -> &'a str {
        if self.raw.rkt.is_null() {
            return "";
        }
        // SAFETY: the message holds its topic, whose name is a C string of its own.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.raw.rkt)) };
        name.to_str().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn partition(self) -> i32 {
        self.raw.partition
    }

    #[inline]
    pub(crate) fn offset(self) -> i64 {
        self.raw.offset
    }

    #[inline]
    pub(crate) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: key and length belong together and live as long as the message.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    /// The value; of an event, its text.
    #[inline]
    pub(crate) fn value(self) -> Option<&'a [u8]> {
        // SAFETY: payload and length belong together and live as long as the message.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    /// The leader's epoch when the record was appended, where the broker said it.
    pub(crate) fn leader_epoch(self) -> Option<i32> {
        // SAFETY: the message is live.
        let epoch = unsafe { sys::rd_kafka_message_leader_epoch(self.raw) };
        (epoch >= 0).then_some(epoch)
    }

    /// Milliseconds since the epoch, and whether the broker set it when it appended the record.
    pub(crate) fn timestamp(self) -> Option<(i64, bool)> {
        use sys::rd_kafka_timestamp_type_t as Kind;
        let mut kind = Kind::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is live and `kind` is writable.
        let ms = unsafe { sys::rd_kafka_message_timestamp(self.raw, &raw mut kind) };
        match kind {
            Kind::RD_KAFKA_TIMESTAMP_CREATE_TIME => Some((ms, false)),
            Kind::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => Some((ms, true)),
            Kind::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => None,
        }
    }

    /// The headers in order.
    pub(crate) fn headers(self) -> Headers<'a> {
        let mut list = ptr::null_mut();
        // SAFETY: the message is live and `list` is writable; it belongs to the message. On an
        // error it stays null.
        unsafe { sys::rd_kafka_message_headers(self.raw, &raw mut list) };
        Headers { list, next: 0, message: PhantomData }
    }
}

/// The headers of a message: names and values.
pub(crate) struct Headers<'a> {
    list: *const sys::rd_kafka_headers_t,
    next: usize,
    message: PhantomData<Message<'a>>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.list.is_null() {
            return None;
        }
        let (mut name, mut value, mut size) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0);
        // SAFETY: the list lives as long as the message; names are C strings; a value that is
        // not null has `size` bytes. Past the last header the call answers an error.
        unsafe {
            let (name_out, value_out, size_out) = (&raw mut name, &raw mut value, &raw mut size);
            let code =
                sys::rd_kafka_header_get_all(self.list, self.next, name_out, value_out, size_out);
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            self.next += 1;
            Some((CStr::from_ptr(name).to_bytes(), bytes(value, size)))
        }
    }
}

/// The bytes at `start`, or `None` where it is null.
///
/// # Safety
/// `start` is null, or `size` bytes there live and stay as they are during `'a`.
#[inline]
unsafe fn bytes<'a>(start: *const c_void, size: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), size) })
}

const _: () = assert!(size_of::<c_int>() == size_of::<i32>());
