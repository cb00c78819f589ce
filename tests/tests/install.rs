//! What `make install` puts where, and what the links to Kafka's names do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use kpipe_tests::program;
use kpipe_tests::run::{Ended, Run};
use tempfile::TempDir;

/// Runs a target of the Makefile, which succeeds.
fn make(target: &str, folder: &Path, more: &[&str]) {
    assert_eq!(try_make(target, folder, more).done().text(), "");
}

/// Runs a target of the Makefile with the programs that are there, below `folder`.
fn try_make(target: &str, folder: &Path, more: &[&str]) -> Ended {
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "--silent", "--old-file=build", target, "PREFIX=/usr"]);
    make.arg(format!("DESTDIR={}", folder.display()));
    make.arg(format!("BUILT={}", program::folder().display()));
    Run::command(make).args(more).folder(program::root()).end()
}

/// The files below a folder, by their paths from there, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().expect("a folder that was installed") {
            let path = entry.expect("an entry of it").path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                let path = path.strip_prefix(folder).expect("it lies below");
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// A folder into which all was installed, with the links, and its `usr/bin`.
fn installed() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder for the test");
    make("install", folder.path(), &["LINKS=1"]);
    let bin = folder.path().join("usr/bin");
    (folder, bin)
}

fn run(bin: &Path, name: &str, args: &[&str]) -> Ended {
    Run::command(Command::new(bin.join(name))).args(args).end()
}

#[test]
fn everything_comes_and_goes() {
    let folder = TempDir::new().expect("a folder for the test");
    make("install", folder.path(), &[]);
    let there = files(folder.path());
    for name in program::names() {
        for place in [
            format!("usr/bin/{name}"),
            format!("usr/share/man/man1/{name}.1"),
            format!("usr/share/bash-completion/completions/{name}"),
            format!("usr/share/zsh/site-functions/_{name}"),
            format!("usr/share/fish/vendor_completions.d/{name}.fish"),
        ] {
            assert!(there.contains(&place), "{place} is installed");
        }
    }
    for script in ["kafka-run", "kloop", "kgen-check"] {
        assert!(there.contains(&format!("usr/bin/{script}")), "{script} is installed");
    }
    assert!(!there.iter().any(|path| path.contains("console")), "links only when asked for");
    make("install-links", folder.path(), &[]);
    assert_eq!(files(folder.path()).len(), there.len() + 4);
    make("install", folder.path(), &["LINKS=1"]);
    make("uninstall", folder.path(), &[]);
    assert_eq!(files(folder.path()), [""; 0]);
}

#[test]
fn the_debian_package_holds_what_is_installed() {
    if !Run::shell("cargo deb --version").end().status.success() {
        println!("**** No cargo-deb: the test of the Debian package is SKIPPED.");
        return;
    }
    let folder = TempDir::new().expect("a folder for the test");
    make("install", &folder.path().join("installed"), &[]);
    let deb = format!("DEB={}/", folder.path().display());
    let more = ["--old-file=docs", "DEB_FLAGS=--fast", &deb];
    let said = try_make("deb", folder.path(), &more).done();
    assert!(said.text().ends_with(".deb\n"), "the path of the package: {}", said.text());
    let unpack = "mkdir packed; dpkg-deb -x kpipe_*.deb packed; packed/usr/bin/topk --version";
    let said = Run::shell(unpack).folder(folder.path()).end().done();
    assert!(said.text().starts_with("topk "), "{}", said.text());

    let packed = files(&folder.path().join("packed"));
    for path in files(&folder.path().join("installed")) {
        let path = path.replace("zsh/site-functions", "zsh/vendor-completions");
        let path = if path.contains("/man/") { path + ".gz" } else { path };
        assert!(packed.contains(&path), "{path} is in the package");
    }
}

#[test]
fn the_tools_of_others_stay() {
    let folder = TempDir::new().expect("a folder for the test");
    let bin = folder.path().join("usr/bin");
    fs::create_dir_all(&bin).expect("a folder");
    symlink("/opt/kafka/kafka-console-producer.sh", bin.join("kafka-console-producer"))
        .expect("a link");
    let refused = try_make("install-links", folder.path(), &[]);
    assert_ne!(refused.code(), Some(0));
    assert!(refused.stderr.contains("is there already, and is not ours"), "{}", refused.stderr);
    make("uninstall", folder.path(), &[]);
    assert_eq!(files(folder.path()), ["usr/bin/kafka-console-producer"]);
}

#[test]
fn links_are_the_tools_that_they_are_called_by() {
    let (_folder, bin) = installed();
    let at = ["--topic", "t", "--offset", "5"];
    let said = run(&bin, "kafka-console-consumer", &at);
    assert_eq!(said.code(), Some(2));
    let javas = "The partition is required when offset is specified.";
    assert!(said.stderr.contains(javas), "{}", said.stderr);

    let said = run(&bin, "kafka-verifiable-consumer", &["--topic", "t"]);
    assert_eq!(said.code(), Some(2));
    assert!(said.stderr.contains("--verifiable: needs --group-id"), "{}", said.stderr);

    let shell = |line: &str| {
        let path = format!("PATH={}:$PATH", bin.display());
        Run::shell(&format!("{path}; kmock -q t -- bash -c {line:?}")).end().done()
    };
    let said = shell("echo a | kprod -t t; echo b | kafka-console-producer --topic t");
    assert_eq!(said.stderr, "Produced 1 records\n", "the console producer says nothing");
    let said = shell("kafka-verifiable-producer --topic t --max-messages 1");
    assert!(said.text().contains("\"name\":\"startup_complete\""), "{}", said.text());
}

#[test]
fn man_pages_name_every_option() {
    let (folder, bin) = installed();
    for name in program::names() {
        let page = folder.path().join(format!("usr/share/man/man1/{name}.1"));
        let page = fs::read_to_string(page).expect("a page").replace("\\-", "-");
        let help = run(&bin, &name, &["--help"]).done();
        let options = help.text().split("\nEXAMPLES").next().expect("there is a first part");
        let is_name = |letter: char| letter.is_alphanumeric() || "-.".contains(letter);
        let options = options
            .split(|letter| !is_name(letter))
            .filter(|word| word.starts_with("--") && word.len() > 2 && !word.ends_with(['.', '-']));
        let mut count = 0;
        for option in options {
            assert!(page.contains(option), "the page of {name} names {option}");
            count += 1;
        }
        assert!(count > 2 && page.contains("\n.SH \"EXIT STATUS\"\n"), "{name}: {page}");
    }
}
