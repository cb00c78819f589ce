//! What programs agree on about mock brokers.

pub use crate::native::no_rebalance_delay;

/// Set in the environment of a command that runs beside a mock broker whose groups form at once.
pub const VARIABLE: &str = "KPIPE_MOCK";
