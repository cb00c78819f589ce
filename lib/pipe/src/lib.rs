//! The pipe edge that kpipe's programs share: how they end, how they read and write lines,
//! how they stop, and the marks that travel between the lines.
//!
//! Nothing here knows Kafka or looks inside a row.

pub mod bar;
pub mod course;
pub mod exit;
pub mod lines;
pub mod mark;
pub mod outlet;
pub mod rate;
pub mod stats;
pub mod stdio;
pub mod stop;
pub mod units;
