//! `kgen`, a behaviour generator.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::exit::main("kgen", |args: &kgen::Args| kgen::run(args))
}
