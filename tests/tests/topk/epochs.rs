//! Streams with epochs that are cut at a barrier and gone on with in a new process.

use std::collections::BTreeMap;

use kpipe_tests::run::Run;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What happens in a stream.
#[derive(Clone, Debug)]
enum Event {
    Row { partition: usize, window: i64, group: &'static str, key: &'static str, score: String },
    Tick,
    Closed,
    Barrier,
}

/// A stream, and what topk is asked of it.
#[derive(Clone, Debug)]
struct Case {
    args: Vec<&'static str>,
    /// Whether a swin stands before topk, which says when its rows are complete.
    behind_swin: bool,
    json: bool,
    events: Vec<Event>,
}

/// A stream as lines, with what is true behind each.
#[derive(Clone, Debug, Default)]
struct Stream {
    lines: Vec<String>,
    /// After each barrier: how many lines there are, and where the next row comes from.
    barriers: Vec<(usize, Option<(usize, u64)>)>,
}

/// What was stored and not deleted: the text of a value by the text before it.
type State = BTreeMap<String, String>;

impl Case {
    fn open(&self) -> String {
        let stages = if self.behind_swin { "[\"0:swin\"]" } else { "[]" };
        format!(
            "\x1e{{\"kpipe\":1,\"mark\":\"open\",\"epochs\":true,\"tick_ms\":500,\
             \"stages\":{stages}}}\n\
             \x1e{{\"mark\":\"begin\",\"group\":\"g\",\"generation\":1,\"member\":\"m\",\
             \"partitions\":[[\"t\",0],[\"t\",1]]}}\n"
        )
    }

    /// The stream, with barriers where `is_barrier` wants them and one at its end.
    fn stream(&self, is_barrier: impl Fn(usize) -> bool, last: &str) -> Stream {
        let (mut stream, mut ms, mut rows, mut epoch) = (Stream::default(), 1000, 0, 0);
        let mut offsets = [0_u64; 2];
        let mut from = None;
        stream.lines.push(tick(ms));
        for (at, event) in self.events.iter().enumerate() {
            if is_barrier(at) {
                epoch += 1;
                stream.lines.push(barrier(epoch, rows, offsets, None));
                let next = from.map(|from: usize| (from, offsets[from]));
                stream.barriers.push((stream.lines.len(), next));
                rows = 0;
            }
            match event {
                Event::Row { partition, .. } => {
                    if from != Some(*partition) {
                        stream.lines.push(from_mark(*partition, offsets[*partition]));
                        from = Some(*partition);
                    }
                    stream.lines.push(self.row(event));
                    offsets[*partition] += 1;
                    rows += 1;
                }
                Event::Tick => {
                    ms += 500;
                    stream.lines.push(tick(ms));
                }
                Event::Closed if self.behind_swin => {
                    ms += 700;
                    stream.lines.push(format!("\x1e{{\"mark\":\"closed\",\"until\":{ms}}}\n"));
                }
                Event::Closed | Event::Barrier => {}
            }
        }
        stream.lines.push(barrier(epoch + 1, rows, offsets, Some(last)));
        stream.lines.push(format!("\x1e{{\"mark\":\"end\",\"how\":\"{last}\"}}\n"));
        stream
    }

    fn row(&self, event: &Event) -> String {
        let Event::Row { window, group, key, score, .. } = event else { return String::new() };
        if !self.json {
            return format!("{window},{group},{key},{score}\n");
        }
        let quoted = |text: &str| match text {
            "" => "null".to_owned(),
            text if text.parse::<f64>().is_ok() => text.to_owned(),
            text => format!("\"{text}\""),
        };
        let (group, key, score) = (quoted(group), quoted(key), quoted(score));
        format!("{{\"w\":{window},\"group\":{group},\"key\":{key},\"score\":{score}}}\n")
    }

    /// Runs topk over the lines after the opening.
    fn run(&self, before: &str, lines: &[String]) -> String {
        let mut args = self.args.clone();
        args.extend(["-o", "text", "-q"]);
        if !self.json {
            args.extend(["--names", "w,group,key,score"]);
        }
        let input = self.open() + before + &lines.concat();
        Run::of("topk").args(args).input(input).end().done().text().to_owned()
    }

    fn stage(&self) -> &'static str {
        if self.behind_swin { "1:topk" } else { "0:topk" }
    }

    /// Takes the stored entries out of an output.
    fn fold(&self, output: &str, state: &mut State) {
        let start = format!("\x1e{{\"mark\":\"state\",\"stage\":\"{}\",", self.stage());
        for entry in output.lines().filter_map(|line| line.strip_prefix(start.as_str())) {
            let (key, value) = entry.split_once(",\"value\":").expect("a value");
            match value {
                "null}" => state.remove(key),
                value => state.insert(key.to_owned(), value.to_owned()),
            };
        }
    }

    /// The marks that bring a state back, headers first.
    fn restore(&self, state: &State, ms: i64) -> String {
        let (headers, others): (Vec<_>, Vec<_>) =
            state.iter().partition(|(key, _)| key.ends_with("\"key\":null"));
        let mark = |(key, value): (&String, &String)| {
            format!(
                "\x1e{{\"mark\":\"restore\",\"stage\":\"{}\",{key},\"value\":{value}\n",
                self.stage()
            )
        };
        // The rows come backwards: their order must not matter.
        let others = others.into_iter().rev();
        let mut marks: String = headers.into_iter().chain(others).map(mark).collect();
        marks += &tick(ms);
        marks + "\x1e{\"mark\":\"restored\",\"count\":0,\"offsets\":[]}\n"
    }
}

fn tick(ms: i64) -> String {
    format!("\x1e{{\"mark\":\"tick\",\"ms\":{ms}}}\n")
}

fn from_mark(partition: usize, offset: u64) -> String {
    format!("\x1e{{\"mark\":\"from\",\"at\":[\"t\",{partition}],\"offset\":{offset}}}\n")
}

fn barrier(epoch: u64, lines: u64, [zero, one]: [u64; 2], last: Option<&str>) -> String {
    let last = last.map(|last| format!(",\"last\":\"{last}\"")).unwrap_or_default();
    format!(
        "\x1e{{\"mark\":\"barrier\",\"epoch\":{epoch},\"lines\":{lines},\"group\":\"g\",\
         \"generation\":1,\"member\":\"m\",\"instance\":null,\
         \"offsets\":[[\"t\",0,{zero}],[\"t\",1,{one}]]{last}}}\n"
    )
}

/// The lines that have to be the same whether a process went on or another one did: all but
/// where rows come from, which is said anew, and what is stored, which may count from elsewhere.
fn comparable(output: &str) -> Vec<&str> {
    let own = |line: &&str| {
        !line.starts_with("\x1e{\"mark\":\"state\"") && !line.starts_with("\x1e{\"mark\":\"from\"")
    };
    output.lines().filter(own).collect()
}

fn data(output: &str) -> Vec<&str> {
    output.lines().filter(|line| !line.starts_with('\x1e')).collect()
}

/// What stands behind barrier `count` of an output.
fn behind(output: &str, count: usize) -> (&str, &str) {
    let mut at = 0;
    for _ in 0..count {
        at += output[at..].find("\x1e{\"mark\":\"barrier\"").expect("a barrier");
        at += output[at..].find('\n').expect("its end") + 1;
    }
    output.split_at(at)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let score = prop_oneof![
        6 => (-3_i32..4).prop_map(|score| score.to_string()),
        1 => Just("1.5".to_owned()),
        1 => Just(String::new()),
        1 => select(vec!["x", "y"]).prop_map(str::to_owned),
    ];
    let keys = select(vec!["a", "b", "c", "d", ""]);
    let row = (0..2_usize, 0..8_i64, select(vec!["g", "h", ""]), keys, score);
    let row = row.prop_map(|(partition, window, group, key, score)| {
        let window = window * 1000;
        Event::Row { partition, window, group, key, score }
    });
    let event = prop_oneof![
        10 => row,
        2 => Just(Event::Tick),
        2 => Just(Event::Closed),
        2 => Just(Event::Barrier),
    ];
    vec(event, 0..50)
}

fn cases() -> impl Strategy<Value = Case> {
    let modes: Vec<(bool, &[&str])> = vec![
        (false, &["score"]),
        (false, &["score * 2 as twice", "--key", "key"]),
        (true, &["score", "--window", "w"]),
        (true, &["score", "--window", "w", "--key", "key"]),
        (false, &["score", "--window", "w", "--key", "key"]),
        (true, &["score", "--key", "key", "--upsert"]),
        (true, &["score", "--key", "key", "--upsert", "--changes"]),
        (true, &["score", "--key", "key", "--every", "2s"]),
        (false, &["score", "--key", "key", "--every", "2s"]),
        (false, &["score", "--key", "key", "--every", "1s", "--changes"]),
        (false, &["--tally", "--key", "key"]),
        (false, &["--tally", "--key", "key,score", "--every", "2s"]),
        (true, &["--tally", "--key", "key", "--upsert", "--changes"]),
        (false, &["count % 3", "--tally", "--every", "1s", "--changes"]),
    ];
    let options: Vec<&[&str]> =
        vec![&[], &["--asc"], &["--per", "group"], &["--per", "group", "--asc"]];
    (select(modes), select(options), select(vec!["1", "2", "4"]), any::<bool>(), events()).prop_map(
        |((behind_swin, mode), options, k, json, events)| {
            let args = [mode, options, &["-k", k]].concat();
            Case { args, behind_swin, json, events }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_restart_at_a_barrier_goes_on_as_if_nothing_had_been(case in cases(), cut: usize) {
        let is_barrier = |at: usize| matches!(case.events[at], Event::Barrier);
        let stream = case.stream(is_barrier, "drained");
        let restored = case.restore(&State::new(), 1000);
        let whole = case.run(&restored, &stream.lines);
        prop_assert_eq!(&case.run(&restored, &stream.lines), &whole, "again the same bytes");

        // Cut at one barrier, and what came of that at the next.
        let (mut state, mut output, mut done) = (State::new(), whole.clone(), 0);
        let count = stream.barriers.len();
        let mut cuts: Vec<usize> = (1..=count).filter(|cut_at| (cut_at ^ cut) % 3 != 0).collect();
        cuts.truncate(3);
        for cut in cuts {
            let (before, _) = behind(&output, cut - done);
            case.fold(before, &mut state);
            let (lines, next) = stream.barriers[cut - 1];
            let ticks = stream.lines[..lines].iter().rev();
            let ms = ticks.filter_map(|line| line.strip_prefix("\x1e{\"mark\":\"tick\",\"ms\":"));
            let ms = ms.map(|ms| ms.trim_end_matches("}\n").parse().expect("a time")).next();
            let mut before = case.restore(&state, ms.unwrap_or(1000));
            before.extend(next.map(|(partition, offset)| from_mark(partition, offset)));
            output = case.run(&before, &stream.lines[lines..]);
            let start = output.find("\x1e{\"mark\":\"restored\"").expect("it is passed on");
            let start = start + output[start..].find('\n').expect("its end") + 1;
            let (_, rest) = behind(&whole, cut);
            prop_assert_eq!(comparable(&output[start..]), comparable(rest), "{:?}", state);
            done = cut;
        }
    }

    #[test]
    fn barriers_may_stand_anywhere(case in cases(), every in 1_usize..7) {
        let restored = case.restore(&State::new(), 1000);
        let none = case.run(&restored, &case.stream(|_| false, "drained").lines);
        let some = case.run(&restored, &case.stream(|at| at % every == 0, "drained").lines);
        prop_assert_eq!(data(&some), data(&none));

        // What was stored bit by bit is what would have been stored at once.
        let (mut once, mut often) = (State::new(), State::new());
        case.fold(&case.run(&restored, &case.stream(|_| false, "stopped").lines), &mut once);
        let stopped = case.stream(|at| at % every == 0, "stopped");
        case.fold(&case.run(&restored, &stopped.lines), &mut often);
        prop_assert_eq!(often, once);
    }
}
