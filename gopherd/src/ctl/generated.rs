//! Completions and manual pages in `etc/`, made of the two command lines. Each is rewritten here, and compared
//! with CI set, as every generated file of the tree.

use super::args::{Args, EXIT_CODES, JSON_NOTE};
use super::generate::{NAME, completions};
use crate::cli::Cli;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// By their paths below `etc/`.
fn files() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (shell, name) in
        [(Shell::Bash, "gopher-ctl.bash"), (Shell::Zsh, "_gopher-ctl"), (Shell::Fish, "gopher-ctl.fish")]
    {
        files.insert(Path::new("completions").join(name), completions(shell));
    }
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &mut files);
    files.insert("man/gopherd.8".into(), gopherd());
    files
}

/// A page for the command and one for each of its sub-commands.
fn pages(command: &Command, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let man = Man::new(command.clone());
    let page = if command.get_name() == NAME { main_page(&man) } else { rendered(&man) };
    files.insert(Path::new("man").join(man.get_filename()), page);
    command.get_subcommands().for_each(|sub| pages(sub, files));
}

fn rendered(man: &Man) -> Vec<u8> {
    let mut page = Vec::new();
    man.render(&mut page).unwrap();
    page
}

/// The sections before those that are written here.
fn head(man: &Man) -> Vec<u8> {
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    page
}

/// The sections that the command line knows, and what an administrator looks for beyond them.
fn main_page(man: &Man) -> Vec<u8> {
    let mut page = head(man);
    man.render_subcommands_section(&mut page).unwrap();
    let mut more = Roff::new();
    more.control("SH", ["OUTPUT"]).text([roman(JSON_NOTE)]);
    exit_status(&mut more, EXIT_CODES);
    entries(
        &mut more,
        "ENVIRONMENT",
        &[
            ("GOPHER_SOCKET", "The daemon's socket, where --socket does not name it."),
            ("NO_COLOR", "Not empty: no colour, unless --color always asks for it."),
            ("TERM", "dumb: no colour, and top prints tables instead of a screen."),
            (
                "COLUMNS",
                "Where output is no terminal: the width that tables are cut to. Without it nothing is cut.",
            ),
        ],
    );
    entries(
        &mut more,
        "FILES",
        &[("/run/gopherd/gopherd.sock", "The daemon's socket; its owner and group may use it.")],
    );
    entries(
        &mut more,
        "EXAMPLES",
        &[
            ("gopher-ctl probe explain tcp", "What tcp can do on this host, and what it lacks."),
            (
                r#"gopher-ctl probe set tcp '{"snoopers":{"proc_name":[{"comm":"^nginx$"}]},"state":"running"}'"#,
                "Start it for one program.",
            ),
            ("gopher-ctl apply set.json --dry-run", "What a file would change."),
            ("gopher-ctl top -n 1 --json | jq .daemon", "What the daemon costs, for a script."),
        ],
    );
    more.control("SH", ["SEE ALSO"]).text([bold("gopherd"), roman("(8)")]);
    more.to_writer(&mut page).unwrap();
    man.render_version_section(&mut page).unwrap();
    page
}

fn gopherd() -> Vec<u8> {
    let man = Man::new(Cli::command()).section("8");
    let mut page = head(&man);
    let mut more = Roff::new();
    entries(
        &mut more,
        "EXIT STATUS",
        &[
            ("0", "An orderly end."),
            ("1", "It could not start, or not go on."),
            ("2", "Wrong flags. With --check-config: only lines of probes.init are bad."),
        ],
    );
    entries(
        &mut more,
        "SIGNALS",
        &[
            ("SIGHUP", "Read the configuration and probes.init again."),
            ("SIGUSR1", "Open the log and metric files anew."),
            ("SIGTERM, SIGINT", "End in order; a second one ends at once."),
        ],
    );
    entries(
        &mut more,
        "FILES",
        &[
            ("/etc/gopherd/gopherd.toml", "The configuration; the file that is shipped explains every key."),
            ("/etc/gala-gopher/gala-gopher.conf", "Is read where the former is missing."),
            ("/etc/gopherd/probes.init", "The probes to start with, a feature and its JSON a line."),
            ("/run/gopherd/gopherd.sock", "The control socket."),
            ("/var/lib/gopherd/machine_id", "The host's identity in labels."),
            ("/var/log/gopherd/", "The log and the metric files."),
        ],
    );
    more.control("SH", ["SEE ALSO"]).text([bold("gopher-ctl"), roman("(1)")]);
    more.to_writer(&mut page).unwrap();
    man.render_version_section(&mut page).unwrap();
    page
}

fn entries(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (name, meaning) in entries {
        roff.control("TP", []).text([bold(*name)]).text([roman(*meaning)]);
    }
}

/// The lines of the help that begin with a code, and what is said below them.
fn exit_status(roff: &mut Roff, text: &str) {
    let (codes, rest) = text.split_once("\n\n").unwrap();
    let codes: Vec<(&str, &str)> =
        codes.lines().skip(1).map(|line| line.trim().split_once("  ").unwrap()).collect();
    entries(roff, "EXIT STATUS", &codes);
    roff.control("PP", []).text([roman(rest)]);
}

#[test]
fn the_files_in_etc_are_these() {
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc");
    let files = files();
    for folder in ["completions", "man"] {
        let there = std::fs::read_dir(etc.join(folder)).into_iter().flatten();
        for entry in there.map(Result::unwrap) {
            let name = Path::new(folder).join(entry.file_name());
            let stale = !files.contains_key(&name);
            if stale && std::env::var_os("CI").is_none() {
                std::fs::remove_file(entry.path()).unwrap();
                continue;
            }
            assert!(!stale, "etc/{} is not made any more; remove it", name.display());
        }
    }
    for (name, text) in files {
        let path = etc.join(&name);
        let same = std::fs::read(&path).is_ok_and(|there| there == text);
        if !same && std::env::var_os("CI").is_none() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let same = std::fs::read(&path).is_ok_and(|there| there == text);
        let command = "cargo test -p gopherd the_files_in_etc";
        assert!(same, "etc/{} is out of date; run `{command}` and commit it", name.display());
    }
}

#[test]
fn completions_know_the_features_and_the_commands() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let text = String::from_utf8(completions(shell)).unwrap();
        for word in ["baseinfo", "flowtracer", "explain", "check-config", "dry-run", "samples"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let files = files();
    for name in ["gopher-ctl.1", "gopher-ctl-top.1", "gopher-ctl-probe-set.1", "gopherd.8"] {
        assert!(files.contains_key(&Path::new("man").join(name)), "{name} in {:?}", files.keys());
    }
}
