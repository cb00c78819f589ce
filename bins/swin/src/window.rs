//! Windows over time as values: which ones a row is in, and where they end.
//!
//! Windows are half-open, `[start, end)`, and their starts are multiples of the step since the
//! epoch, as in Spark, Flink and Kafka Streams. All times are milliseconds since the epoch.
//!
//! Rows are gathered in *panes*, the longest pieces that no window cuts (Li et al., "No pane, no
//! gain", SIGMOD Record 2005): a row is counted once, however many windows it is in.

use std::num::NonZeroI64;
use std::ops::Range;
use std::str::FromStr;

use pipe::units::Span;
use row::time::TIME_MS_MAX;

/// A kind of window with its lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// `[k * step, k * step + size)` for every whole k.
    Aligned(Aligned),
    /// Everything since the beginning, told at each multiple of a period, and at the end.
    Running {
        /// The period; `None` tells only at the end.
        every: Option<NonZeroI64>,
    },
}

impl Window {
    /// The names of the columns that say which window a result is of.
    #[must_use]
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Window::Aligned(_) => &["window_start", "window_end"],
            Window::Running { .. } => &["time"],
        }
    }
}

/// Windows of one size that start at every multiple of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aligned {
    size: NonZeroI64,
    step: NonZeroI64,
    pane: NonZeroI64,
}

/// The number of a pane: its start divided by its width.
pub type Pane = i64;

impl Aligned {
    /// Windows of `size_ms` that follow one another.
    ///
    /// # Errors
    /// When the size is zero.
    pub fn tumbling(size_ms: i64) -> Result<Aligned, String> {
        Aligned::hopping(size_ms, size_ms)
    }

    /// Windows of `size_ms`, one at every multiple of `step_ms`.
    ///
    /// # Errors
    /// When one of them is not more than zero, or beyond all time.
    pub fn hopping(size_ms: i64, step_ms: i64) -> Result<Aligned, String> {
        let positive = |ms: i64, what: &str| {
            if ms > TIME_MS_MAX {
                return Err(format!("too long a {what}"));
            }
            let ms = NonZeroI64::new(ms).filter(|ms| ms.get() > 0);
            ms.ok_or_else(|| format!("a {what} is more than zero"))
        };
        let (size, step) = (positive(size_ms, "size")?, positive(step_ms, "step")?);
        let pane = positive(greatest_common_divisor(size_ms, step_ms), "pane")?;
        Ok(Aligned { size, step, pane })
    }

    /// The size in milliseconds.
    #[must_use]
    pub fn size(self) -> i64 {
        self.size.get()
    }

    /// The step in milliseconds.
    #[must_use]
    pub fn step(self) -> i64 {
        self.step.get()
    }

    /// The width of a pane in milliseconds.
    #[must_use]
    pub fn pane_width(self) -> NonZeroI64 {
        self.pane
    }

    /// How many panes a window has.
    #[must_use]
    pub fn panes(self) -> i64 {
        self.size.get() / self.pane.get()
    }

    /// The pane that `time` is in.
    #[inline]
    #[must_use]
    pub fn pane_of(self, time: i64) -> Pane {
        time.div_euclid(self.pane.get())
    }

    /// The panes of the window that ends at `end`.
    #[must_use]
    pub fn panes_until(self, end: i64) -> Range<Pane> {
        let after = end.div_euclid(self.pane.get());
        after - self.panes()..after
    }

    /// When a pane starts.
    #[must_use]
    pub fn pane_start(self, pane: Pane) -> i64 {
        pane * self.pane.get()
    }

    /// The end of the first window that `time` is in, or would be in if it stood in no gap.
    #[inline]
    #[must_use]
    pub fn first_end(self, time: i64) -> i64 {
        let (size, step) = (self.size.get(), self.step.get());
        (time - size).div_euclid(step) * step + step + size
    }

    /// The end of the last window that `time` is in; `None` in a gap between windows.
    #[inline]
    #[must_use]
    pub fn last_end(self, time: i64) -> Option<i64> {
        let end = time.div_euclid(self.step.get()) * self.step.get() + self.size.get();
        (end > time).then_some(end)
    }

    /// The greatest end of a window that is not after `time`.
    #[must_use]
    pub fn end_by(self, time: i64) -> i64 {
        self.first_end(time) - self.step.get()
    }
}

/// `size/step`, as `30s/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop(pub Aligned);

impl FromStr for Hop {
    type Err = String;

    fn from_str(text: &str) -> Result<Hop, String> {
        let (size, step) = text.split_once('/').ok_or("a hop is SIZE/STEP, as 30s/10s")?;
        let (size, step): (Span, Span) = (size.parse()?, step.parse()?);
        Aligned::hopping(size.ms(), step.ms()).map(Hop)
    }
}

/// A size alone, as `10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tumble(pub Aligned);

impl FromStr for Tumble {
    type Err = String;

    fn from_str(text: &str) -> Result<Tumble, String> {
        Aligned::tumbling(text.parse::<Span>()?.ms()).map(Tumble)
    }
}

fn greatest_common_divisor(one: i64, other: i64) -> i64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(text: &str) -> Aligned {
        text.parse::<Hop>().expect("a hop").0
    }

    /// The windows that `time` is in, from the definition.
    fn ends_of(window: Aligned, time: i64) -> Vec<i64> {
        let near = |start: &i64| *start <= time && time < start + window.size();
        let starts = (-100..100).map(|k| k * window.step());
        starts.filter(near).map(|start| start + window.size()).collect()
    }

    #[test]
    fn ends_are_as_defined_also_before_the_epoch() {
        for text in ["10ms/10ms", "30ms/10ms", "12ms/5ms", "5ms/12ms", "7ms/3ms"] {
            let window = hop(text);
            for time in -100..100 {
                let ends = ends_of(window, time);
                assert_eq!(window.last_end(time), ends.last().copied(), "{text} at {time}");
                if let Some(first) = ends.first() {
                    assert_eq!(window.first_end(time), *first, "{text} at {time}");
                }
                let by = window.end_by(time);
                assert!(by <= time && by + window.step() > time, "{text} at {time}: {by}");
                assert_eq!((by - window.size()).rem_euclid(window.step()), 0);
            }
        }
    }

    #[test]
    fn panes_are_the_longest_pieces_that_no_window_cuts() {
        assert_eq!(hop("60s/1s").panes(), 60);
        assert_eq!(hop("12ms/5ms").panes(), 12);
        assert_eq!(hop("30s/20s").panes(), 3);
        assert_eq!(hop("30s/20s").panes_until(30_000), 0..3);
        assert_eq!(hop("30s/20s").pane_of(-1), -1);
    }

    #[test]
    fn lengths_are_more_than_zero() {
        for bad in ["0s/1s", "1s/0s", "1s", "/", "1x/1s", "104249992d/1s", "1s/104249992d"] {
            assert!(bad.parse::<Hop>().is_err(), "{bad}");
        }
    }
}
