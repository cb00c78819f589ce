//! `topk`, the K first rows.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::exit::main("topk", |args: &topk::Args| topk::run(args))
}
