//! The marks between the lines: where they come from, what time it is, and how it ends.
//!
//! A pure value: what happens goes in with the time, marks come out as bytes. Times are
//! milliseconds since the epoch.

use pipe::mark::{How, Mark, Partition};
use topic::consumer::Membership;

/// How long a caught-up partition is silent before it is idle.
const SILENCE_MS: i64 = 1_000;

/// The writer of a stream's marks.
#[derive(Debug)]
pub(crate) struct Marks {
    tick_ms: i64,
    /// Whether barriers follow.
    epochs: bool,
    /// The last tick written.
    ticked: i64,
    lanes: Vec<Lane>,
    /// The partition of the last `from`.
    current: Option<usize>,
    /// Whether its next line needs no look at its state.
    flows: bool,
}

#[derive(Debug)]
struct Lane {
    at: Partition,
    /// The offset that may follow without another `from`.
    next: i64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is more to read.
    Behind,
    /// Nothing was behind the position at this time.
    CaughtUp(i64),
    /// Said to be idle.
    Idle,
    /// Not ours.
    Foreign,
}

impl Marks {
    /// Marks with a tick every `tick_ms`, at least 1, and barriers when there are `epochs`.
    #[must_use]
    pub(crate) fn new(tick_ms: i64, epochs: bool) -> Marks {
        Marks { tick_ms, epochs, ticked: i64::MIN, lanes: Vec::new(), current: None, flows: false }
    }

    /// The first line of the stream, and the first tick.
    pub(crate) fn open(&mut self, now: i64, out: &mut Vec<u8>) {
        let tick_ms = self.tick_ms.unsigned_abs();
        Mark::Open { epochs: self.epochs, tick_ms, stages: Vec::new() }.write(out);
        self.tick(now, out);
    }

    /// A new assignment: partitions by the reader's index, and as whom we have them, if that
    /// matters.
    pub(crate) fn begin(
        &mut self,
        group: Option<&str>,
        membership: Option<&Membership>,
        partitions: impl Iterator<Item = (usize, Partition)>,
        out: &mut Vec<u8>,
    ) {
        self.leave();
        let mut ours = Vec::new();
        for (at, partition) in partitions {
            ours.push(partition.clone());
            while self.lanes.len() <= at {
                let at = Partition(String::new(), 0);
                self.lanes.push(Lane { at, next: -1, state: State::Foreign });
            }
            self.lanes[at] = Lane { at: partition, next: -1, state: State::Behind };
        }
        let group = group.map(ToOwned::to_owned);
        Mark::Begin {
            group,
            generation: membership.map(|one| one.generation),
            member: membership.map(|one| one.member.clone()),
            instance: membership.and_then(|one| one.instance.clone()),
            partitions: ours,
        }
        .write(out);
    }

    /// The partitions are not ours any more, and fall silent without a word.
    pub(crate) fn leave(&mut self) {
        self.current = None;
        for lane in &mut self.lanes {
            lane.state = State::Foreign;
        }
    }

    /// Writes the tick that is due, if one is. Whether it did.
    pub(crate) fn tick(&mut self, now: i64, out: &mut Vec<u8>) -> bool {
        let ms = now - now.rem_euclid(self.tick_ms);
        if ms <= self.ticked {
            return false;
        }
        self.ticked = ms;
        Mark::Tick { ms }.write(out);
        true
    }

    /// A record of partition `at` is about to be written.
    #[inline]
    pub(crate) fn record(&mut self, at: usize, offset: i64, out: &mut Vec<u8>) {
        let lane = &mut self.lanes[at];
        if self.flows && self.current == Some(at) && lane.next == offset {
            lane.next += 1;
            return;
        }
        self.turn(at, offset, out);
    }

    fn turn(&mut self, at: usize, offset: i64, out: &mut Vec<u8>) {
        let lane = &mut self.lanes[at];
        let goes_on = self.current == Some(at) && lane.next == offset && lane.state != State::Idle;
        if !goes_on {
            Mark::From { at: lane.at.clone(), offset: Some(offset) }.write(out);
        }
        lane.next = offset + 1;
        lane.state = State::Behind;
        self.current = Some(at);
        self.flows = true;
    }

    /// Nothing was behind the position of partition `at`.
    pub(crate) fn caught_up(&mut self, at: usize, now: i64) {
        if let Some(lane) = self.lanes.get_mut(at)
            && lane.state != State::Foreign
            && lane.state != State::Idle
        {
            lane.state = State::CaughtUp(now);
            self.flows = false;
        }
    }

    /// Partition `at` is at its end for good.
    pub(crate) fn drained(&mut self, at: usize, out: &mut Vec<u8>) {
        if self.lanes.get(at).is_some_and(|lane| lane.state != State::Idle) {
            self.say_idle(at, out);
        }
    }

    /// Writes the partitions that have become idle. Whether there was one.
    pub(crate) fn idle(&mut self, now: i64, out: &mut Vec<u8>) -> bool {
        let mut any = false;
        for at in 0..self.lanes.len() {
            if let State::CaughtUp(since) = self.lanes[at].state
                && now - since >= SILENCE_MS
            {
                self.say_idle(at, out);
                any = true;
            }
        }
        any
    }

    fn say_idle(&mut self, at: usize, out: &mut Vec<u8>) {
        let lane = &mut self.lanes[at];
        Mark::Idle { at: lane.at.clone() }.write(out);
        lane.state = State::Idle;
        self.flows = false;
    }

    /// When the next tick or idle mark is due.
    #[must_use]
    pub(crate) fn due(&self) -> i64 {
        let idle = |lane: &Lane| match lane.state {
            State::CaughtUp(since) => Some(since + SILENCE_MS),
            _ => None,
        };
        let tick = self.ticked.saturating_add(self.tick_ms);
        self.lanes.iter().filter_map(idle).fold(tick, i64::min)
    }

    /// The last line of the stream.
    pub(crate) fn end(how: How, out: &mut Vec<u8>) {
        Mark::End { how }.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks with two assigned partitions, and what was written so far.
    fn begun() -> (Marks, Vec<u8>) {
        let mut marks = Marks::new(100, false);
        let mut out = Vec::new();
        marks.open(1_234, &mut out);
        let partitions = [(0, Partition("t".into(), 0)), (1, Partition("t".into(), 5))];
        marks.begin(Some("g"), None, partitions.into_iter(), &mut out);
        (marks, out)
    }

    /// The lines of `out`, RS taken off, which is then empty.
    fn lines(out: &mut Vec<u8>) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(out)).expect("text");
        text.lines().map(|line| line.trim_start_matches('\x1e').to_owned()).collect()
    }

    #[test]
    fn a_stream_opens_with_its_kind_its_time_and_its_partitions() {
        let (_, mut out) = begun();
        assert_eq!(
            lines(&mut out),
            [
                r#"{"kpipe":1,"mark":"open","epochs":false,"tick_ms":100,"stages":[]}"#,
                r#"{"mark":"tick","ms":1200}"#,
                r#"{"mark":"begin","group":"g","partitions":[["t",0],["t",5]]}"#,
            ]
        );
    }

    #[test]
    fn from_stands_before_each_change_and_gap_and_nowhere_else() {
        let (mut marks, mut out) = begun();
        out.clear();
        for (at, offset) in [(0, 7), (0, 8), (1, 3), (0, 9), (0, 10), (0, 12), (0, 13)] {
            marks.record(at, offset, &mut out);
            out.extend_from_slice(format!("{at}:{offset}\n").as_bytes());
        }
        assert_eq!(
            lines(&mut out),
            [
                r#"{"mark":"from","at":["t",0],"offset":7}"#,
                "0:7",
                "0:8",
                r#"{"mark":"from","at":["t",5],"offset":3}"#,
                "1:3",
                r#"{"mark":"from","at":["t",0],"offset":9}"#,
                "0:9",
                "0:10",
                r#"{"mark":"from","at":["t",0],"offset":12}"#,
                "0:12",
                "0:13",
            ]
        );
    }

    #[test]
    fn a_partition_is_idle_a_second_after_it_caught_up_and_until_its_next_line() {
        let (mut marks, mut out) = begun();
        marks.record(0, 7, &mut out);
        out.clear();
        marks.caught_up(0, 2_000);
        assert!(!marks.idle(2_999, &mut out) && marks.idle(3_000, &mut out));
        assert!(!marks.idle(9_000, &mut out), "it is said once");
        marks.caught_up(0, 9_000);
        assert!(!marks.idle(99_000, &mut out), "it is idle already");
        marks.record(0, 8, &mut out);
        assert_eq!(
            lines(&mut out),
            [r#"{"mark":"idle","at":["t",0]}"#, r#"{"mark":"from","at":["t",0],"offset":8}"#]
        );
        assert!(!marks.idle(99_000, &mut out), "it is behind again");
    }

    #[test]
    fn a_line_after_catching_up_needs_no_from_but_is_no_silence() {
        let (mut marks, mut out) = begun();
        marks.record(0, 7, &mut out);
        marks.caught_up(0, 2_000);
        out.clear();
        marks.record(0, 8, &mut out);
        assert!(out.is_empty());
        assert!(!marks.idle(3_500, &mut out));
    }

    #[test]
    fn ticks_are_multiples_that_grow() {
        let (mut marks, mut out) = begun();
        out.clear();
        assert!(!marks.tick(1_299, &mut out) && marks.tick(1_300, &mut out));
        assert!(!marks.tick(1_250, &mut out), "the clock was set back");
        assert!(marks.tick(1_999, &mut out));
        assert_eq!(
            lines(&mut out),
            [r#"{"mark":"tick","ms":1300}"#, r#"{"mark":"tick","ms":1900}"#]
        );
        assert_eq!(marks.due(), 2_000);
    }

    #[test]
    fn the_next_mark_may_be_an_idle_one() {
        let mut marks = Marks::new(60_000, false);
        let mut out = Vec::new();
        marks.open(120_000, &mut out);
        marks.begin(None, None, std::iter::once((0, Partition("t".into(), 0))), &mut out);
        assert_eq!(marks.due(), 180_000);
        marks.caught_up(0, 121_000);
        assert_eq!(marks.due(), 122_000);
    }

    #[test]
    fn a_drained_partition_is_idle_at_once() {
        let (mut marks, mut out) = begun();
        out.clear();
        marks.drained(0, &mut out);
        marks.drained(0, &mut out);
        Marks::end(How::Drained, &mut out);
        assert_eq!(
            lines(&mut out),
            [r#"{"mark":"idle","at":["t",0]}"#, r#"{"mark":"end","how":"drained"}"#]
        );
    }

    #[test]
    fn a_partition_that_went_away_is_never_idle() {
        let (mut marks, mut out) = begun();
        marks.caught_up(1, 2_000);
        marks.begin(Some("g"), None, std::iter::once((0, Partition("t".into(), 0))), &mut out);
        marks.caught_up(1, 2_000);
        assert!(!marks.idle(9_000, &mut out));
    }
}
