//! kpipe's programs from outside: where they are, how to run them, and what they said.
//!
//! Every wait here has a deadline, so that a program that hangs fails its test and not the run.

pub mod broker;
pub mod console;
pub mod kafka;
pub mod live;
pub mod member;
pub mod program;
pub mod run;
pub mod wait;

pub use program::bin;
