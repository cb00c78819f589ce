//! What swin is asked to do.

/// Kinds of windows. Lengths are milliseconds, those of days and weeks are counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Windows {
    /// Tumbling when size and step are equal; aligned to the first time seen with `from_start`.
    Hop {
        size: i64,
        step: i64,
        from_start: bool,
    },
    /// Local days in Berlin.
    Days {
        size: i64,
        step: i64,
    },
    /// A local week in Berlin.
    Week,
    Cumulate {
        size: i64,
        step: i64,
    },
    /// A local day in Berlin.
    CumulateDay {
        step: i64,
    },
    Session {
        gap: i64,
    },
    Range {
        length: i64,
        once: bool,
    },
    Rows {
        size: usize,
        step: usize,
    },
    Running {
        ttl: Option<i64>,
        changes: bool,
    },
    /// Each row alone.
    None,
}

/// What is written of the rows of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    Aggregates,
    /// Each row as it came.
    Lines,
    /// Fields of each row.
    Fields,
}

/// A condition on results.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Having {
    /// There are more rows than this.
    Rows(usize),
    /// The greatest whole number is more than this; there may be none.
    Greatest(i64),
}

/// What swin is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) windows: Windows,
    pub(crate) what: What,
    /// With event time, how far the watermark is behind.
    pub(crate) delay: Option<i64>,
    pub(crate) every: Option<i64>,
    pub(crate) having: Option<Having>,
    pub(crate) idle: Option<i64>,
    pub(crate) future: Option<i64>,
}

/// What is computed of the rows of a window.
pub(crate) const AGGREGATES: [&str; 13] = [
    "count(*)",
    "count($3)",
    "sum($3)",
    "avg($3)",
    "min($3)",
    "max($3)",
    "sum($4)",
    "avg($4)",
    "min($4)",
    "max($4)",
    "first($3)",
    "last($4)",
    "count(distinct $3)",
];

impl Job {
    /// The job as options.
    pub(crate) fn args(&self) -> Vec<String> {
        let mut args: Vec<String> = words("-i text -F \\x1f");
        if !(matches!(self.windows, Windows::None) && self.what == What::Lines) {
            args.extend(words("-o text"));
        }
        args.extend(self.window());
        args.extend(["--where", "$5 = 1"].map(str::to_owned));
        if !matches!(self.windows, Windows::None) {
            args.extend(words("--by $2"));
        }
        if self.delay.is_some() {
            args.extend(words("--time $1"));
        }
        // Where no window waits for time, these are refused.
        let waits = match self.windows {
            Windows::Rows { .. } => false,
            Windows::Running { .. } => self.every.is_some(),
            _ => true,
        };
        let times = [("delay", self.delay), ("idle", self.idle), ("future", self.future)];
        let times = times.into_iter().filter(|_| waits);
        for (option, value) in times.chain([("every", self.every)]) {
            args.extend(value.into_iter().flat_map(|ms| words(&format!("--{option} {ms}ms"))));
        }
        if let Some(having) = self.having {
            let having = match having {
                Having::Rows(rows) => format!("count(*) > {rows}"),
                Having::Greatest(whole) => format!("max($3) > {whole}"),
            };
            args.extend(["--having".to_owned(), having]);
        }
        match self.what {
            What::Aggregates => args.extend(AGGREGATES.map(str::to_owned)),
            What::Lines => args.push("--each".to_owned()),
            What::Fields => args.extend(words("--each $4 $3")),
        }
        args
    }

    fn window(&self) -> Vec<String> {
        words(&match self.windows {
            Windows::Hop { size, step, from_start } => {
                let align = if from_start { " --align start" } else { "" };
                if size == step {
                    format!("--tumble {size}ms{align}")
                } else {
                    format!("--hop {size}ms/{step}ms{align}")
                }
            }
            Windows::Days { size, step } if size == step => {
                format!("--tumble {size}d --tz Europe/Berlin")
            }
            Windows::Days { size, step } => format!("--hop {size}d/{step}d --tz Europe/Berlin"),
            Windows::Week => "--tumble 1w --tz Europe/Berlin".to_owned(),
            Windows::Cumulate { size, step } => format!("--cumulate {size}ms/{step}ms"),
            Windows::CumulateDay { step } => {
                format!("--cumulate 1d/{step}ms --tz Europe/Berlin")
            }
            Windows::Session { gap } => format!("--session {gap}ms"),
            Windows::Range { length, once } => {
                format!("--range {length}ms{}", if once { " --once" } else { "" })
            }
            Windows::Rows { size, step } if size == step => format!("--rows {size}"),
            Windows::Rows { size, step } => format!("--rows {size}/{step}"),
            Windows::Running { ttl, changes } => {
                let ttl = ttl.map_or(String::new(), |ttl| format!(" --ttl {ttl}ms"));
                format!("--running{ttl}{}", if changes { " --emit changes" } else { "" })
            }
            Windows::None => return Vec::new(),
        })
    }

    /// The column of the time that a `closed` mark speaks of: a window's end. None when rows are
    /// written at once, or all keys at the end of the input whenever that is.
    pub(crate) fn end_column(&self) -> Option<usize> {
        match self.windows {
            Windows::None | Windows::Rows { .. } | Windows::Running { .. } => None,
            Windows::Range { .. } => Some(0),
            _ => Some(1),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
