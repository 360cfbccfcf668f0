//! Finding and reading what a configuration is made of: the file, the environment.
//!
//! Owns the effects, so that `load` is a pure function. A file that was named, or that is there and cannot
//! be read, is a fault: silently starting with defaults would be worse than not starting.

use super::fault::{Fault, Origin, not_text, of_file};
use super::load::{SourceFile, Sources, variables};
use crate::input_file;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Our file.
pub const OUR_FILE: &str = "/etc/gopherd/gopherd.toml";
/// gala-gopher's file, which is read where ours is missing.
pub const GALA_FILE: &str = "/etc/gala-gopher/gala-gopher.conf";
/// More of a file is not read: one byte beyond what the parsers take, so that they say so.
const MAX_READ: u64 = (1 << 20) + 1;
/// Environment variables with this start are ours.
const PREFIX: &str = "GOPHER_";

/// Gathers everything. `named` is the file that the command line names; without it `candidates` are tried in
/// order, of which all but the first are used with a warning.
pub fn gather(
    named: Option<&Path>,
    candidates: &[&str],
    env: impl Iterator<Item = (OsString, OsString)>,
    flags: Vec<(&'static str, String)>,
) -> Sources {
    let mut sources = Sources { flags, ..Sources::default() };
    match named {
        Some(path) => match input_file::read(path, MAX_READ) {
            Ok(bytes) => sources.file = Some(SourceFile { path: path.to_owned(), bytes }),
            Err(error) => sources.faults.push(unreadable(path, &error)),
        },
        None => first_of(candidates, &mut sources),
    }
    for (name, value) in env {
        take_variable(name, value, &mut sources.env, &mut sources.faults);
    }
    sources
}

fn first_of(candidates: &[&str], sources: &mut Sources) {
    for (i, candidate) in candidates.iter().enumerate() {
        let path = PathBuf::from(candidate);
        match input_file::read(&path, MAX_READ) {
            Ok(bytes) => {
                if i > 0 {
                    let problem =
                        format!("is used because {} is not there", candidates.first().unwrap_or(&""));
                    sources.warnings.push(of_file(
                        Origin::File(path.clone(), None),
                        problem,
                        "name it with --config, or move its settings",
                    ));
                }
                sources.file = Some(SourceFile { path, bytes });
                return;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return sources.faults.push(unreadable(&path, &error)),
        }
    }
}

fn take_variable(
    name: OsString,
    value: OsString,
    env: &mut BTreeMap<String, String>,
    faults: &mut Vec<Fault>,
) {
    let Ok(name) = name.into_string() else { return };
    if !name.starts_with(PREFIX) {
        return;
    }
    match value.into_string() {
        Ok(value) => {
            env.insert(name, value);
        }
        Err(value) if variables().any(|known| known == name) => faults.push(not_text(&name, &value)),
        Err(_) => {}
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let problem = format!("cannot be read: {error}");
    of_file(Origin::File(path.to_owned(), None), problem, "check the path and its permissions")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{InitSource, load};
    use std::os::unix::ffi::OsStringExt;

    fn no_env() -> impl Iterator<Item = (OsString, OsString)> {
        std::iter::empty()
    }

    #[test]
    fn our_file_comes_before_gala_gophers_which_is_used_with_a_warning() {
        let dir = tempfile::tempdir().expect("tempdir");
        let ours = dir.path().join("gopherd.toml").display().to_string();
        let gala = dir.path().join("gala-gopher.conf").display().to_string();
        let candidates = [ours.as_str(), gala.as_str()];

        let loaded = load(&gather(None, &candidates, no_env(), vec![])).expect("defaults");
        assert!(loaded.file.is_none() && loaded.warnings.is_empty());
        assert_eq!(loaded.init, InitSource::File("/etc/gopherd/probes.init".into()));

        std::fs::write(&gala, "global = { log_level = \"warn\"; };").expect("write");
        let loaded = load(&gather(None, &candidates, no_env(), vec![])).expect("gala-gopher's");
        assert_eq!(loaded.config.global.log_level.as_str(), "warn");
        assert_eq!(loaded.init, InitSource::File(dir.path().join("probes.init")));
        assert_eq!(
            loaded.warnings[0].to_string(),
            format!(
                "{gala}: is used because {ours} is not there; name it with --config, or move its settings"
            )
        );

        std::fs::write(&ours, "[global]\nlog_level = \"error\"\n").expect("write");
        let loaded = load(&gather(None, &candidates, no_env(), vec![])).expect("ours");
        assert_eq!(loaded.config.global.log_level.as_str(), "error");
        assert!(loaded.warnings.is_empty());
    }

    #[test]
    fn a_named_file_that_is_not_there_and_a_default_one_that_cannot_be_read_are_faults() {
        let dir = tempfile::tempdir().expect("tempdir");
        let named = dir.path().join("x.toml");
        let rejected = load(&gather(Some(&named), &[], no_env(), vec![])).expect_err("not there");
        assert!(rejected.faults[0].to_string().contains("x.toml: cannot be read: No such file"));
        // A directory opens but cannot be read.
        let there = dir.path().display().to_string();
        let rejected = load(&gather(None, &[&there], no_env(), vec![])).expect_err("a directory");
        assert!(rejected.faults[0].problem.starts_with("cannot be read"));
    }

    #[test]
    fn a_variable_of_ours_that_is_no_text_is_a_fault_and_others_do_not_matter() {
        let bad = OsString::from_vec(vec![0xff]);
        let env = [
            ("GOPHER_LOG_LEVEL".into(), bad.clone()),
            ("GOPHER_X".into(), bad.clone()),
            ("PATH".into(), bad),
        ];
        let sources = gather(None, &[], env.into_iter(), vec![]);
        assert_eq!(sources.faults.len(), 1);
        assert_eq!(
            sources.faults[0].to_string(),
            "GOPHER_LOG_LEVEL: `\u{fffd}` is not UTF-8; write it as UTF-8"
        );
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("big.conf");
        std::fs::write(&path, vec![b' '; 3 << 20]).expect("write");
        let rejected = load(&gather(Some(&path), &[], no_env(), vec![])).expect_err("too large");
        assert!(rejected.faults[0].problem.starts_with("larger than"));
    }
}
