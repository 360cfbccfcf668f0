//! The workspace's source files: their heads, their length, and what the probes may not know.

use super::workspace;
use std::path::{Path, PathBuf};

/// Lines above which a file is too long to be read in one go.
const MAX_LINES: usize = 600;

/// What nothing under `probes/` may use: the daemon's runtime, its protocols and its file formats.
const NOT_IN_PROBES: &[&str] = &["tokio", "actix", "rdkafka", "toml", "serde_json", "hyper"];

/// Every file below `dir` with this extension, or with this name.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory of the workspace") {
            let entry = entry.expect("an entry");
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().expect("a type").is_dir() {
                if name != "target" && !name.starts_with('.') {
                    left.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a source file is UTF-8")
}

/// Whether a line of Rust names the crate `name` (or one whose name begins so): `use` or a path.
fn names_crate(line: &str, name: &str) -> bool {
    let code = line.trim_start();
    !code.starts_with("//")
        && code.match_indices(name).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + name.len()..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '"' | '`'))
                && (after.starts_with("::") || (code.starts_with("use ") && after.starts_with([';', ' '])))
        })
}

#[test]
fn every_source_file_says_first_what_it_owns() {
    for path in files(&workspace(), ".rs") {
        let head = read(&path);
        assert!(head.starts_with("//! "), "{} does not begin with a `//!` paragraph", path.display());
    }
}

#[test]
fn no_source_file_is_too_long() {
    for path in files(&workspace(), ".rs") {
        let lines = read(&path).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines, more than {MAX_LINES}: split it", path.display());
    }
}

#[test]
fn nothing_under_probes_knows_the_daemons_runtime_or_formats() {
    let probes = workspace().join("probes");
    for path in files(&probes, "Cargo.toml") {
        for line in read(&path).lines() {
            let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
            let key = key.trim_matches('"').replace('-', "_");
            assert!(!NOT_IN_PROBES.iter().any(|name| key.starts_with(name)), "{}: `{line}`", path.display());
        }
    }
    // This file talks about them in its tests.
    for path in files(&probes, ".rs").iter().filter(|path| !path.ends_with(file!())) {
        for line in read(path).lines() {
            let named = NOT_IN_PROBES.iter().find(|name| names_crate(line, name));
            assert_eq!(named, None, "{}: `{line}`", path.display());
        }
    }
}

#[test]
fn a_crate_is_recognised_where_it_is_used_and_not_where_it_is_talked_about() {
    for used in
        ["use tokio::fs;", "    tokio::spawn(x)", "use actix_web::App;", "use toml;", "let a = (hyper::X)"]
    {
        assert!(NOT_IN_PROBES.iter().any(|name| names_crate(used, name)), "{used}");
    }
    for not in
        ["// tokio::spawn", "let x = \"toml\";", "Cargo.toml", "let hypervisor = 1;", "facts::hypervisor()"]
    {
        assert!(!NOT_IN_PROBES.iter().any(|name| names_crate(not, name)), "{not}");
    }
}
