//! Whatever a marked stream holds, keach passes it on.

use std::collections::BTreeMap;

use kpipe_tests::run::Run;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const RS: u8 = 0x1e;

/// What happens in a stream.
#[derive(Clone, Debug)]
enum Event {
    Line(u8, Vec<u8>),
    Tick,
    Closed,
    Idle(u8),
    Unknown,
    Barrier,
}

/// What a stream says in one epoch.
#[derive(Debug, Default, PartialEq)]
struct Epoch {
    /// The lines of each partition.
    lines: BTreeMap<u64, Vec<Vec<u8>>>,
    /// The other marks in their order, without those that say where lines come from.
    marks: Vec<Value>,
    /// Partitions that are idle at its end.
    idle: Vec<u64>,
}

fn event() -> impl Strategy<Value = Event> {
    let line = vec(select(b"ab\x1e\xff\0 {".to_vec()), 0..5);
    prop_oneof![
        6 => (0..3_u8, line).prop_map(|(at, line)| Event::Line(at, line)),
        1 => Just(Event::Tick),
        1 => Just(Event::Closed),
        1 => (0..3_u8).prop_map(Event::Idle),
        1 => Just(Event::Unknown),
        1 => Just(Event::Barrier),
    ]
}

/// A stream as it is written.
struct Writer {
    out: Vec<u8>,
    epochs: bool,
    ms: u64,
    epoch: u64,
    lines: u64,
    from: Option<u8>,
    next: [u64; 3],
}

impl Writer {
    fn mark(&mut self, mark: &Value) {
        self.out.push(RS);
        self.out.extend_from_slice(mark.to_string().as_bytes());
        self.out.push(b'\n');
    }

    fn open(&mut self) {
        let epochs = self.epochs;
        let opening = "\x1e{\"kpipe\":1,\"mark\":\"open\",\"tick_ms\":100,\"stages\":[\"0:swin\"],";
        self.out.extend_from_slice(format!("{opening}\"epochs\":{epochs}}}\n").as_bytes());
        let partitions = [0, 1, 2].map(|at| json!(["t", at]));
        self.mark(&json!({ "mark": "begin", "group": null, "partitions": partitions }));
        if self.epochs {
            self.mark(&json!({ "mark": "restored", "count": 0, "offsets": self.offsets() }));
        }
    }

    fn offsets(&self) -> Vec<Value> {
        (0..3).zip(self.next).map(|(at, next)| json!(["t", at, next])).collect()
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Line(at, line) => {
                let offset = self.next[usize::from(*at)];
                if self.from.replace(*at) != Some(*at) {
                    self.mark(&json!({ "mark": "from", "at": ["t", at], "offset": offset }));
                }
                self.next[usize::from(*at)] += 1;
                self.lines += 1;
                self.out.extend(line.first().filter(|first| **first == RS));
                self.out.extend_from_slice(line);
                self.out.push(b'\n');
            }
            Event::Tick => {
                self.ms += 100;
                self.mark(&json!({ "mark": "tick", "ms": self.ms }));
            }
            Event::Closed => self.mark(&json!({ "mark": "closed", "until": self.ms })),
            Event::Idle(at) => {
                self.from = self.from.filter(|from| from != at);
                self.mark(&json!({ "mark": "idle", "at": ["t", at] }));
            }
            Event::Unknown => self.mark(&json!({ "mark": "unknown", "x": [self.ms] })),
            Event::Barrier if self.epochs => {
                self.mark(&json!({
                    "mark": "barrier", "epoch": self.epoch, "lines": self.lines, "group": null,
                    "generation": 1, "member": "m", "instance": null, "offsets": self.offsets(),
                }));
                (self.epoch, self.lines) = (self.epoch + 1, 0);
            }
            Event::Barrier => {}
        }
    }
}

fn stream(events: &[Event], epochs: bool) -> Vec<u8> {
    let (out, ms, epoch, lines, from, next) = (Vec::new(), 0, 1, 0, None, [0; 3]);
    let mut writer = Writer { out, epochs, ms, epoch, lines, from, next };
    writer.open();
    events.iter().chain([&Event::Barrier]).for_each(|event| writer.event(event));
    writer.mark(&json!({ "mark": "end", "how": "drained" }));
    writer.out
}

/// What a stream says, with its counts of lines checked.
fn told(stream: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<Epoch> {
    let mut epochs = vec![Epoch::default()];
    let (mut from, mut lines, mut all) = (None, 0, 0);
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").expect("every line ends");
        let epoch = epochs.last_mut().expect("there is one");
        let line = match line {
            [RS, RS, ..] => &line[1..],
            [RS, json @ ..] => {
                let mut mark: Value = serde_json::from_slice(json).expect("a mark is JSON");
                let at = mark["at"][1].as_u64();
                match mark["mark"].as_str() {
                    Some("from") => {
                        from = at;
                        epoch.idle.retain(|idle| Some(*idle) != at);
                    }
                    Some("idle") if !epoch.idle.contains(&at.expect("a number")) => {
                        epoch.idle.extend(at);
                    }
                    Some("idle") => {}
                    Some("barrier") => {
                        assert_eq!(mark["lines"], lines, "the barrier counts the lines");
                        lines = 0;
                        mark["lines"] = all.into();
                        epoch.marks.push(mark);
                        epoch.idle.sort_unstable();
                        let idle = epoch.idle.clone();
                        epochs.push(Epoch { idle, ..Epoch::default() });
                    }
                    _ => epoch.marks.push(mark),
                }
                continue;
            }
            line => line,
        };
        lines += 1;
        if wanted(line) {
            all += 1;
            let partition = epoch.lines.entry(from.expect("it is said")).or_default();
            partition.push(line.to_vec());
        }
    }
    epochs.last_mut().expect("there is one").idle.sort_unstable();
    epochs
}

fn keach(args: &[&str], input: &[u8]) -> Vec<Epoch> {
    let ended = Run::of("keach").args(args).input(input).end().done();
    told(&ended.stdout, |_| true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cat_is_the_identity(events in vec(event(), 0..60), epochs in any::<bool>()) {
        let input = stream(&events, epochs);
        prop_assert_eq!(keach(&["cat"], &input), told(&input, |_| true));
    }

    #[test]
    fn lines_are_found_as_in_each_partition(
        events in vec(event(), 0..60), epochs in any::<bool>()
    ) {
        let input = stream(&events, epochs);
        let found = keach(&["grep", "-a", "a"], &input);
        prop_assert_eq!(found, told(&input, |line| line.contains(&b'a')));
    }
}
