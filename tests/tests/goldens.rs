//! Runs the console blocks of tests/cmd, of the README and of docs; see [`kpipe_tests::console`].
//!
//! `make golden` writes what the programs give now into the files, for `git diff` to judge.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kpipe_tests::{console, program};
use libtest_mimic::{Arguments, Trial};

/// Set to `overwrite`, blocks that do not fit are written anew.
const OVERWRITE_VARIABLE: &str = "TRYCMD";

fn main() -> ExitCode {
    let mut files = vec![program::root().join("README.md")];
    gather(&program::root().join("docs"), "md", &mut files);
    gather(&program::root().join("tests/cmd"), "trycmd", &mut files);
    let trials = files.into_iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(path: PathBuf) -> Trial {
    let name = path.strip_prefix(program::root()).unwrap_or(&path).display().to_string();
    let overwrite = env::var(OVERWRITE_VARIABLE).is_ok_and(|value| value == "overwrite");
    Trial::test(name, move || console::check(&path, overwrite).map_err(Into::into))
}

/// The files under `folder` that end in `extension`, sorted.
fn gather(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(&path, extension, files);
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
}
