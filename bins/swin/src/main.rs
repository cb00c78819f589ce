//! `swin`: windowed aggregates over lines.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::exit::main("swin", |args: &swin::Args| swin::run(args))
}
