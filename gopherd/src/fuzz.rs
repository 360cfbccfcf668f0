//! The fuzz targets: for every parser of bytes from outside, what holds whatever the bytes are. `fuzz/README.md` has the
//! table. A check panics when something does not hold.
//!
//! `fuzz/fuzz_targets` gives them to libFuzzer, `tests/fuzz.rs` runs them for a while with every test.

use crate::access::{certificate, tokens};
use crate::config::{SourceFile, Sources, load};
use crate::initfile::{InitLine, parse, render};
use crate::meta::any_arguments;
use crate::{containers, ctl, delivery, expose, feature, http, scope};
use probe_kit::fuzz::choose;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of the folder of its corpus.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub check: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "compat_body", check: compat_body },
    Target { name: "apply_body", check: feature::fuzz_apply },
    Target { name: "request_head", check: http::fuzz::head },
    Target { name: "configuration", check: configuration },
    Target { name: "probes_init", check: probes_init },
    Target { name: "credentials", check: credentials },
    Target { name: "metric_text", check: expose::fuzz_text },
    Target { name: "client", check: ctl::fuzz::answer },
    Target { name: "cgroup_paths", check: containers::fuzz::cgroup_paths },
    Target { name: "runtimes", check: containers::fuzz::runtimes },
    Target { name: "spool", check: delivery::spool::fuzz::files },
    Target { name: "process_text", check: process_text },
    Target { name: "kernel_text", check: probes::fuzz::kernel_text },
    Target { name: "kernel_log", check: probes::fuzz::kernel_log },
    Target { name: "netlink", check: probes::fuzz::netlink },
    Target { name: "bpf_records", check: probes::fuzz::bpf_records },
];

/// Does the check of the target with this name.
///
/// # Panics
/// When something does not hold, and if there is no such target.
pub fn check(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    (target.check)(bytes);
}

/// Bodies at either door: any bytes get an answer, and what was accepted survives its own document.
fn compat_body(bytes: &[u8]) {
    feature::fuzz_compat(bytes);
}

/// Configuration files in both syntaxes: any bytes are a configuration or a list of faults.
fn configuration(bytes: &[u8]) {
    for name in ["/etc/gala-gopher/gala-gopher.conf", "/etc/gopherd/gopherd.toml"] {
        let file = SourceFile { path: name.into(), bytes: bytes.to_vec() };
        if let Err(rejected) = load(&Sources { file: Some(file), ..Sources::default() }) {
            assert!(!rejected.faults.is_empty(), "refused without a reason");
        }
    }
}

/// probes.init: any bytes are lines and faults; saving keeps what it does not replace, and is read back.
fn probes_init(bytes: &[u8]) {
    let lines = parse(bytes).lines;
    assert_eq!(render(bytes, &[]), bytes, "saving nothing changes nothing");

    let saved = [("tcp".to_owned(), Some(r#"{"state":"running"}"#.to_owned()))];
    let once = render(bytes, &saved);
    let is_saved = |line: &InitLine| line.feature.eq_ignore_ascii_case("tcp");
    let read: Vec<_> = parse(&once).lines.into_iter().filter(is_saved).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].json, r#"{"state":"running"}"#);
    assert_eq!(render(&once, &saved), once, "saving twice changes nothing");

    let others = |lines: Vec<InitLine>| -> Vec<(String, String)> {
        lines.into_iter().filter(|line| !is_saved(line)).map(|line| (line.feature, line.json)).collect()
    };
    assert_eq!(others(parse(&once).lines), others(lines), "other features stay");
}

/// Files of tokens, and certificates.
fn credentials(bytes: &[u8]) {
    choose(bytes, &[&[tokens::any_bytes, certificate::any_bytes]]);
}

/// What a process chooses of its own texts.
fn process_text(bytes: &[u8]) {
    choose(bytes, &[&[scope::any_stat, any_arguments]]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            TARGETS.iter().for_each(|target| (target.check)(&bytes));
        }
    }

    #[test]
    fn a_target_has_a_file_for_libfuzzer_a_corpus_and_a_line_in_the_table() {
        let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let table = std::fs::read_to_string(fuzz.join("README.md")).expect("the table");
        let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("the manifest");
        for Target { name, .. } in TARGETS {
            let file = std::fs::read_to_string(fuzz.join("fuzz_targets").join(format!("{name}.rs")));
            assert!(file.is_ok_and(|file| file.contains(&format!("check(\"{name}\""))), "{name}");
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            assert!(table.contains(&format!("`{name}`")), "{name}");
            let corpus = std::fs::read_dir(fuzz.join("corpus").join(name)).expect("a corpus");
            assert!(corpus.count() > 0, "{name}");
        }
    }
}
