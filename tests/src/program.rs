//! The programs under test, built from the source beside them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Set to a folder, its programs are tested instead of those of this source tree.
pub const FOLDER_VARIABLE: &str = "KPIPE_BIN";

/// Where the programs are; cargo makes them new when they are older than the source.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| match env::var_os(FOLDER_VARIABLE) {
    Some(folder) => folder.into(),
    None => build(),
});

/// The path of the program `name`.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn bin(name: &str) -> PathBuf {
    folder().join(name)
}

/// The folder of all programs.
///
/// # Panics
/// When they cannot be built.
#[must_use]
pub fn folder() -> &'static Path {
    &FOLDER
}

/// The root of the source tree.
///
/// # Panics
/// When the tests crate lies elsewhere.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the tree")
}

/// The names of all programs, as they lie in `bins/`, sorted.
///
/// # Panics
/// When the source tree is not there.
#[must_use]
pub fn names() -> Vec<String> {
    let folder = root().join("bins");
    let entries = folder.read_dir().expect("bins/ is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.expect("an entry of bins/").file_name();
        name.into_string().expect("a program's name is text")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// Has cargo look whether the programs are fresh, in the profile of this test.
fn build() -> PathBuf {
    let test = env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("a test is target/PROFILE/deps/NAME").to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--quiet", "--workspace", "--bins"]);
    cargo.arg("--target-dir").arg(profile.parent().expect("a profile lies in a target folder"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "the programs cannot be built");
    profile
}
