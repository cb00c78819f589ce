//! Man pages and completions, from the options as the programs declare them.
//!
//! A program of its own, so that no other one carries what writes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, Command, CommandFactory, Parser};
use clap_complete::{Generator, Shell, generate};
use clap_mangen::Man;
use pipe::exit::{Code, Error, Result};
use pipe::stdio::reason;
use roff::{Roff, roman};

/// Man pages and completions of kpipe's programs
///
/// Writes them into DIR as they lie in /usr/share, where man, bash, zsh and fish look for them.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Folder to write to; it is made when it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    pipe::exit::main("gendocs", run)
}

fn run(args: &Args) -> Result<Code> {
    for mut command in programs() {
        let name = command.get_name().to_owned();
        let write =
            |folder: &str, file: &str, bytes: &[u8]| write(&args.folder.join(folder), file, bytes);
        write("man/man1", &format!("{name}.1"), &page(&command)?)?;
        for (shell, folder, file) in [
            (Shell::Bash, "bash-completion/completions", name.clone()),
            (Shell::Zsh, "zsh/site-functions", Shell::Zsh.file_name(&name)),
            (Shell::Fish, "fish/vendor_completions.d", Shell::Fish.file_name(&name)),
        ] {
            let mut completion = Vec::new();
            generate(shell, &mut command, &name, &mut completion);
            write(folder, &file, &completion)?;
        }
    }
    Ok(Code::DONE)
}

/// The command lines of all programs.
fn programs() -> [Command; 8] {
    [
        kcons::Args::command(),
        keach::Args::command(),
        kgen::Args::command(),
        kmock::Args::command(),
        kprod::Args::command(),
        ksink::Args::command(),
        swin::Args::command(),
        topk::Args::command(),
    ]
}

fn write(folder: &Path, file: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(file);
    let failed = |error: &_| Error::world(path.display(), reason(error));
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    fs::write(&path, bytes).map_err(|error| failed(&error))
}

/// The man page of a program. What stands behind the options in `--help` becomes sections.
fn page(command: &Command) -> Result<Vec<u8>> {
    let version = command.get_version().unwrap_or_default();
    let man = Man::new(command.clone().mut_args(named))
        .manual("kpipe")
        .source(format!("kpipe {version}"));
    let mut page = Vec::new();
    let rendered = (|| {
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        synopsis(command).to_writer(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        let more = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        sections(&more).to_writer(&mut page)
    })();
    rendered.map_err(|error| Error::world(command.get_name(), reason(&error)))?;
    Ok(page)
}

/// An option whose description names its other spellings, as in `--help`.
fn named(option: Arg) -> Arg {
    let Some(aliases) = option.get_visible_aliases().filter(|all| !all.is_empty()) else {
        return option;
    };
    let aliases: Vec<String> = aliases.iter().map(|alias| format!("--{alias}")).collect();
    // A long description takes the place of the short one in a page.
    let help = option.get_long_help().or(option.get_help()).map(ToString::to_string);
    let help = format!("{} [also {}]", help.unwrap_or_default(), aliases.join(", "));
    option.long_help(help)
}

/// How it is called, as `--help` says it: the list of all options says no more.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]).text([roman(usage)]);
    roff
}

/// Text as it stands in `--help`: a line of capitals is a heading, everything else keeps its form.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut open = false;
    for line in text.lines() {
        let is_heading = line.starts_with(|first: char| first.is_ascii_uppercase())
            && line.chars().all(|letter| letter.is_ascii_uppercase() || letter == ' ');
        if is_heading || !open {
            if open {
                roff.control("fi", []);
            }
            roff.control("SH", [if is_heading { line } else { "NOTES" }]);
            roff.control("nf", []);
            open = true;
        }
        if !is_heading {
            roff.text([roman(line)]);
        }
    }
    if open {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_capitals_are_headings() {
        let page = sections("Read on.\n\nEXIT STATUS\n  0  done\n.1 not").to_roff();
        for part in [".SH NOTES\n.nf\nRead on.", ".SH \"EXIT STATUS\"\n.nf\n  0  done\n\\&.1 not"] {
            assert!(page.contains(part), "{part} is in {page}");
        }
    }

    #[test]
    fn every_page_has_a_name_and_options() {
        for command in programs() {
            let page = page(&command).expect("memory takes it");
            let page = String::from_utf8(page).expect("a page is text");
            assert!(page.contains(&format!("{} \\- ", command.get_name())), "{page}");
            assert!(page.contains(".SH OPTIONS") && page.contains("EXIT STATUS"), "{page}");
        }
    }
}
