//! A pipe of swin and topk that is killed again and again, with a model of ksink at its end.

use kpipe_tests::run::Run;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::arbitrary::{Case, by_event_time, config};
use crate::output::{self, Item, items};
use crate::stream::{Form, Writer};

/// What ksink has written: what stood before a barrier, rows and state, and nothing else.
#[derive(Default)]
struct Topics {
    committed: Vec<Item>,
}

impl Topics {
    /// Takes what one attempt put out. How many epochs it committed.
    fn take(&mut self, output: &[u8]) -> usize {
        let is_barrier = |item: &Item| matches!(item, Item::Barrier(_));
        let mut items = items(output);
        let whole = items.iter().rposition(is_barrier).map_or(0, |last| last + 1);
        items.truncate(whole);
        let epochs = items.iter().filter(|item| is_barrier(item)).count();
        self.committed.extend(items);
        epochs
    }

    /// What kcons reads of it for the next attempt.
    fn restores(&self) -> Vec<String> {
        output::restores(&self.committed, usize::MAX, |_| true)
    }

    fn rows(&self) -> Vec<&Item> {
        self.committed.iter().filter(|item| matches!(item, Item::Row(..))).collect()
    }
}

/// How many events are committed, and where the head stood then.
#[derive(Clone)]
struct Place {
    events: usize,
    writer: Writer,
}

/// Where an attempt has its barriers, and where it is killed.
#[derive(Clone, Debug)]
struct Attempt {
    barriers: Vec<Index>,
    cut: Index,
}

impl Attempt {
    /// The stream that begins at `from`, and where its barriers are.
    fn stream(&self, case: &Case, from: Place) -> (Vec<u8>, Vec<Place>) {
        let (start, end) = (from.events, case.events.len());
        let places = self.barriers.iter().map(|index| start + index.index(end - start + 1));
        let places: Vec<usize> = places.collect();
        let (mut writer, mut barriers) = (from.writer, Vec::new());
        for events in start..=end {
            for _ in places.iter().filter(|place| **place == events) {
                writer.barrier(None);
                barriers.push(Place { events, writer: writer.clone() });
            }
            case.events.get(events).into_iter().for_each(|event| writer.event(event));
        }
        // The last barrier, behind which a kill may come as well.
        let mut drained = writer.clone();
        drained.barrier(Some("drained"));
        barriers.push(Place { events: end, writer: drained });
        (writer.finish(), barriers)
    }

    /// Cuts a stream as a kill does. Its first line is written at once.
    fn cut(&self, stream: &mut Vec<u8>) {
        let first = stream.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        stream.truncate(first + self.cut.index(stream.len() - first));
    }
}

/// Runs the pipe; what comes out of it. Both its programs end with `code`.
fn pipe(case: &Case, input: &[u8], code: i32) -> Result<Vec<u8>, TestCaseError> {
    let end = case.job.end_column().expect("rows have an end") + 1;
    let ranking = format!(r"-i text -F \x1f -o text -k 2 length($0) --window ${end}");
    let swin = Run::of("swin").args(case.job.args()).input(input).end();
    prop_assert_eq!(swin.code(), Some(code), "{}", swin.stderr);
    let topk = Run::of("topk").args(ranking.split(' ')).input(&swin.stdout).end();
    prop_assert_eq!(topk.code(), Some(code), "{}", topk.stderr);
    Ok(topk.stdout)
}

fn attempt() -> impl Strategy<Value = Attempt> {
    (vec(any::<Index>(), 1..6), any::<Index>())
        .prop_map(|(barriers, cut)| Attempt { barriers, cut })
}

/// No time goes on in silence, which would follow the ticks of each attempt.
fn case() -> impl Strategy<Value = Case> {
    let has_end = |case: &Case| case.job.end_column().is_some();
    by_event_time(Form::Epochs).prop_filter("rows have an end", has_end).prop_map(|mut case| {
        case.job.idle = None;
        case
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases / 2, ..config() })]

    #[test]
    fn a_pipe_that_is_killed_commits_what_one_does_that_is_not(
        case in case(),
        killed in vec(attempt(), 1..4),
        last in attempt(),
    ) {
        let mut expected = Topics::default();
        expected.take(&pipe(&case, &case.input(), 0)?);

        let mut topics = Topics::default();
        let mut place = Place { events: 0, writer: case.writer() };
        let mut begun = place.writer.clone();
        for attempt in &killed {
            let (mut stream, barriers) =
                attempt.stream(&case, Place { events: place.events, writer: begun });
            attempt.cut(&mut stream);
            if let Some(last) = topics.take(&pipe(&case, &stream, 75)?).checked_sub(1) {
                place = barriers[last].clone();
            }
            begun = place.writer.clone().resume(false, |_| true, &topics.restores());
        }
        let (stream, _) = last.stream(&case, Place { events: place.events, writer: begun });
        topics.take(&pipe(&case, &stream, 0)?);
        let (told, expected) = (topics.rows(), expected.rows());
        let differ = told.iter().zip(&expected).find(|(told, expected)| told != expected);
        prop_assert_eq!(differ, None, "swin {}", case.job.args().join(" "));
        prop_assert_eq!(told.len(), expected.len(), "swin {}", case.job.args().join(" "));
    }
}
