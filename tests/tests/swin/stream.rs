//! Streams: what happens in them, and how that is written, plain or with marks.

use std::fmt::Write as _;

/// A whole number as a field: none, one, or text that is none.
#[derive(Clone, Debug)]
pub(crate) enum Whole {
    Null,
    Is(i64),
    Scrap,
}

impl Whole {
    /// The field.
    pub(crate) fn text(&self) -> String {
        match self {
            Whole::Null => String::new(),
            Whole::Is(whole) => whole.to_string(),
            Whole::Scrap => "x".to_owned(),
        }
    }
}

/// A row. Its fields are a time, a key that is NULL when empty, a whole number, a number that is
/// NULL when empty, and 1 when it passes the condition.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) partition: usize,
    /// None is a time that cannot be read.
    pub(crate) time: Option<i64>,
    pub(crate) key: Vec<u8>,
    pub(crate) whole: Whole,
    pub(crate) number: String,
    pub(crate) passes: bool,
}

impl Row {
    /// The row as a line.
    pub(crate) fn line(&self) -> Vec<u8> {
        let time = self.time.map_or("soon".to_owned(), |time| time.to_string());
        let (whole, passes) = (self.whole.text(), if self.passes { "1" } else { "0" });
        let fields = [
            time.as_bytes(),
            &self.key,
            whole.as_bytes(),
            self.number.as_bytes(),
            passes.as_bytes(),
        ];
        fields.join(&0x1f)
    }
}

/// What happens in a stream.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Row(Row),
    /// A line with too few fields.
    Scrap(usize, Vec<u8>),
    Idle(usize),
    Tick(i64),
}

impl Event {
    /// Whether a stream of `partition` alone has it.
    pub(crate) fn is_of(&self, partition: usize) -> bool {
        match self {
            Event::Row(row) => row.partition == partition,
            Event::Scrap(at, _) | Event::Idle(at) => *at == partition,
            Event::Tick(_) => true,
        }
    }
}

/// Whether a stream has marks, and which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Plain,
    Marked,
    Epochs,
}

/// Milliseconds between the ticks of a marked stream.
pub(crate) const TICK_MS: i64 = 100;

/// Writes a stream, and knows where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    form: Form,
    bytes: Vec<u8>,
    /// The partitions that are assigned, each with its next offset.
    partitions: Vec<(usize, u64)>,
    /// Those that are idle, in the order in which they fell idle.
    idle: Vec<usize>,
    from: Option<usize>,
    now: i64,
    epoch: u64,
    lines: u64,
    generation: u32,
}

impl Writer {
    /// The head of a stream of `count` partitions that begins at `now`.
    pub(crate) fn new(form: Form, count: usize, now: i64) -> Writer {
        let partitions = (0..count).map(|at| (at, 0)).collect();
        let mut writer = Writer {
            form,
            bytes: Vec::new(),
            partitions,
            idle: Vec::new(),
            from: None,
            now,
            epoch: 0,
            lines: 0,
            generation: 0,
        };
        writer.open();
        writer.begin();
        writer.restored(&[]);
        writer.tick(now);
        writer
    }

    fn mark(&mut self, json: &str) {
        if self.form != Form::Plain {
            self.bytes.push(0x1e);
            self.bytes.extend_from_slice(json.as_bytes());
            self.bytes.push(b'\n');
        }
    }

    fn open(&mut self) {
        let epochs = self.form == Form::Epochs;
        let open = format!(
            r#"{{"kpipe":1,"mark":"open","epochs":{epochs},"tick_ms":{TICK_MS},"stages":[]}}"#
        );
        self.mark(&open);
    }

    fn begin(&mut self) {
        self.generation += 1;
        (self.epoch, self.lines, self.from) = (0, 0, None);
        let partitions = self.partitions.iter().map(|(at, ..)| format!(r#"["t",{at}]"#));
        let partitions = partitions.collect::<Vec<_>>().join(",");
        let member = match self.form {
            Form::Epochs => self.member(),
            _ => r#""group":null"#.to_owned(),
        };
        self.mark(&format!(r#"{{"mark":"begin",{member},"partitions":[{partitions}]}}"#));
    }

    fn member(&self) -> String {
        let generation = self.generation;
        format!(r#""group":"g","generation":{generation},"member":"m","instance":null"#)
    }

    fn offsets(&self) -> String {
        let offsets = self.partitions.iter();
        let offsets = offsets.map(|(at, offset)| format!(r#"["t",{at},{offset}]"#));
        format!(r#""offsets":[{}]"#, offsets.collect::<Vec<_>>().join(","))
    }

    /// Gives back the state that `restores` hold.
    fn restored(&mut self, restores: &[String]) {
        if self.form == Form::Epochs {
            for restore in restores {
                self.mark(restore);
            }
            let offsets = self.offsets();
            let count = restores.len();
            self.mark(&format!(r#"{{"mark":"restored","count":{count},{offsets}}}"#));
        }
    }

    fn tick(&mut self, ms: i64) {
        self.now = ms;
        self.mark(&format!(r#"{{"mark":"tick","ms":{ms}}}"#));
    }

    /// Begins anew, in the same stream or in another one, with the partitions that `keeps`, and
    /// with the state that `restores` hold.
    pub(crate) fn resume(
        mut self,
        same_stream: bool,
        keeps: impl Fn(usize) -> bool,
        restores: &[String],
    ) -> Writer {
        if !same_stream {
            self.bytes.clear();
            self.open();
        }
        self.partitions.retain(|(at, ..)| keeps(*at));
        self.begin();
        self.tick(self.now);
        self.restored(restores);
        for at in std::mem::take(&mut self.idle) {
            self.event(&Event::Idle(at));
        }
        self
    }

    /// Writes what happens; what happens in a partition that is not assigned is left out.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Row(row) => self.data(row.partition, &row.line()),
            Event::Scrap(partition, line) => self.data(*partition, line),
            Event::Tick(ms) => self.tick(*ms),
            Event::Idle(at) => {
                if self.partitions.iter().any(|found| found.0 == *at) {
                    // What is said again is not new: the order in which they fell silent counts.
                    if !self.idle.contains(at) {
                        self.idle.push(*at);
                    }
                    self.from = None;
                    self.mark(&format!(r#"{{"mark":"idle","at":["t",{at}]}}"#));
                }
            }
        }
    }

    fn data(&mut self, at: usize, line: &[u8]) {
        let Some(partition) = self.partitions.iter_mut().find(|found| found.0 == at) else {
            return;
        };
        let offset = partition.1;
        *partition = (at, offset + 1);
        self.idle.retain(|idle| *idle != at);
        if self.from != Some(at) {
            self.from = Some(at);
            self.mark(&format!(r#"{{"mark":"from","at":["t",{at}],"offset":{offset}}}"#));
        }
        if self.form != Form::Plain && line.first() == Some(&0x1e) {
            self.bytes.push(0x1e);
        }
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.lines += 1;
    }

    /// Ends an epoch, the last one for the reason `last`.
    pub(crate) fn barrier(&mut self, last: Option<&str>) {
        self.epoch += 1;
        let mut barrier = String::from(r#"{"mark":"barrier""#);
        let _ = write!(barrier, r#","epoch":{},"lines":{}"#, self.epoch, self.lines);
        let _ = write!(barrier, ",{},{}", self.member(), self.offsets());
        if let Some(last) = last {
            let _ = write!(barrier, r#","last":"{last}""#);
        }
        barrier.push('}');
        if self.form == Form::Epochs {
            self.mark(&barrier);
            self.lines = 0;
        }
    }

    /// The whole stream, with its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.barrier(Some("drained"));
        self.mark(r#"{"mark":"end","how":"drained"}"#);
        self.bytes
    }
}
