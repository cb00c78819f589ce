//! Records that failed, told in as few lines as say all of them.

/// A record that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) number: u64,
    pub(crate) reason: String,
    /// Whether it was on its way.
    pub(crate) sent: bool,
}

/// Records with consecutive numbers that failed for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) reason: String,
    pub(crate) sent: bool,
}

/// Takes the failures, in order of their numbers, as runs.
pub(crate) fn merge(failures: &mut Vec<Failure>) -> Vec<Run> {
    failures.sort_by_key(|failure| failure.number);
    let mut runs: Vec<Run> = Vec::new();
    for Failure { number, reason, sent } in failures.drain(..) {
        match runs.last_mut() {
            Some(run) if run.last + 1 == number && (&run.reason, run.sent) == (&reason, sent) => {
                run.last = number;
            }
            _ => runs.push(Run { first: number, last: number, reason, sent }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_one_reason_are_one_run() {
        let failure =
            |number, reason: &str| Failure { number, reason: reason.to_owned(), sent: true };
        let mut failures =
            vec![failure(4, "late"), failure(2, "late"), failure(3, "late"), failure(5, "big")];
        failures.push(failure(7, "big"));
        let run =
            |first, last, reason: &str| Run { first, last, reason: reason.to_owned(), sent: true };
        let runs = merge(&mut failures);
        assert_eq!(runs, [run(2, 4, "late"), run(5, 5, "big"), run(7, 7, "big")]);
        assert!(failures.is_empty());
    }
}
