//! `gopherd --check-config`: the configuration and probes.init together, every fault at once.
//!
//! Owns the report and its exit code, as pure functions. Leaves reading the files to the caller and the
//! meaning of a line's JSON to the door that it is given.

use crate::config::{InitSource, Loaded, Rejected};
use crate::feature::Problem;
use crate::initfile::{InitFault, parse};
use std::fmt::Write;
use std::io;

/// Nothing is wrong.
pub const CLEAN: u8 = 0;
/// The configuration is unusable; the daemon would not start.
pub const UNUSABLE: u8 = 1;
/// Lines of probes.init are bad; the daemon would start without them.
pub const BAD_LINES: u8 = 2;

/// What a feature and its JSON from probes.init are: warnings if they can be used, else why not.
pub type Validate<'v> = &'v dyn Fn(&str, &str) -> Result<Vec<String>, Problem>;

/// The bad lines and the warnings of a text of probes.init, in the order of their lines. A line that merges
/// over an earlier one is judged alone.
pub fn init_lines(text: &[u8], validate: Validate<'_>) -> (Vec<InitFault>, Vec<InitFault>) {
    let parsed = parse(text);
    let (mut faults, mut warnings) = (parsed.faults, Vec::new());
    for line in parsed.lines {
        let fault = |message: String| InitFault { line_no: line.line_no, message };
        match validate(&line.feature, &line.json) {
            Ok(texts) => warnings.extend(texts.into_iter().map(|w| fault(format!("{}: {w}", line.feature)))),
            Err(problem) => faults.push(fault(format!("{}: {problem}", line.feature))),
        }
    }
    faults.sort_by_key(|fault| fault.line_no);
    (faults, warnings)
}

/// The report and the exit code. `init` is what reading the file of [`InitSource::File`] gave; a file that is
/// not there has no bad lines. `credentials` is what is wrong with keys, certificates and tokens.
pub fn report(
    loaded: Result<&Loaded, &Rejected>,
    init: &io::Result<Vec<u8>>,
    credentials: &[String],
    validate: Validate<'_>,
) -> (String, u8) {
    let mut out = String::new();
    let mut say = |kind: &str, what: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{kind}: {what}");
    };
    let source = match loaded {
        Ok(loaded) => {
            loaded.problems.iter().for_each(|problem| say("problem", problem));
            credentials.iter().for_each(|fault| say("error", fault));
            loaded.warnings.iter().for_each(|warning| say("warning", warning));
            &loaded.init
        }
        Err(rejected) => {
            rejected.faults.iter().for_each(|fault| say("error", fault));
            rejected.warnings.iter().for_each(|warning| say("warning", warning));
            &rejected.init
        }
    };
    let (name, text) = match (source, init) {
        (InitSource::Env(text, _), _) => ("GOPHER_PROBES_INIT".to_owned(), text.as_bytes()),
        (InitSource::File(path), Ok(text)) => (path.display().to_string(), text.as_slice()),
        (InitSource::File(path), Err(_)) => (path.display().to_string(), &b""[..]),
    };
    let (bad, warnings) = init_lines(text, validate);
    bad.iter().for_each(|fault| say("error", &format!("{name}:{}: {}", fault.line_no, fault.message)));
    warnings.iter().for_each(|fault| say("warning", &format!("{name}:{}: {}", fault.line_no, fault.message)));
    let unread = match (source, init) {
        (InitSource::File(_), Err(error)) if error.kind() != io::ErrorKind::NotFound => Some(error),
        _ => None,
    };
    if let Some(error) = unread {
        say("error", &format!("{name}: cannot be read: {error}"));
    }
    match (loaded.is_err() || !credentials.is_empty(), bad.is_empty() && unread.is_none()) {
        (true, _) => (out, UNUSABLE),
        (false, false) => (out, BAD_LINES),
        (false, true) => (out, CLEAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SourceFile, Sources, load};
    use crate::feature::Path;

    fn validate(feature: &str, json: &str) -> Result<Vec<String>, Problem> {
        match (feature, json) {
            ("tcp", "{}") => Ok(vec![]),
            ("io", _) => Ok(vec!["`snooper` is ignored".into()]),
            _ => Err(Problem::invalid(Path::default().key("params"), "no such thing")),
        }
    }

    fn checked(config: &str, init: io::Result<Vec<u8>>) -> (String, u8) {
        checked_as("/e/g.toml", config, init)
    }

    fn checked_as(path: &str, config: &str, init: io::Result<Vec<u8>>) -> (String, u8) {
        let file = SourceFile { path: path.into(), bytes: config.as_bytes().to_vec() };
        let loaded = load(&Sources { file: Some(file), ..Sources::default() });
        report(loaded.as_ref(), &init, &[], &validate)
    }

    #[test]
    fn a_clean_configuration_says_nothing() {
        assert_eq!(checked("", Ok(b"tcp {}\n".to_vec())), (String::new(), CLEAN));
        assert_eq!(checked("", Err(io::ErrorKind::NotFound.into())), (String::new(), CLEAN));
    }

    #[test]
    fn warnings_and_problems_are_shown_and_change_no_exit_code() {
        let open = "rest_api_server = { bind_addr = \"0.0.0.0\"; };\n";
        let (text, code) = checked_as("/e/g.conf", open, Ok(b"io {}".to_vec()));
        assert_eq!(code, CLEAN);
        let place = "problem: /e/g.conf:1: rest_api_server.bind_addr: 0.0.0.0 without TLS ";
        assert!(text.starts_with(place), "{text}");
        assert!(text.ends_with("warning: /e/probes.init:1: io: `snooper` is ignored\n"), "{text}");
    }

    #[test]
    fn bad_lines_are_listed_in_order_with_their_place() {
        let (text, code) = checked("", Ok(b"tcp {}\nx {}\nbad\n".to_vec()));
        assert_eq!(code, BAD_LINES);
        assert_eq!(
            text,
            "error: /e/probes.init:2: x: params: no such thing\n\
             error: /e/probes.init:3: bad has nothing after it; write `bad <json>`\n"
        );
        let (text, code) = checked("", Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(
            (text.as_str(), code),
            ("error: /e/probes.init: cannot be read: permission denied\n", BAD_LINES)
        );
    }

    #[test]
    fn an_unusable_configuration_does_not_hide_the_bad_lines() {
        let (text, code) = checked("nope = 1\n", Ok(b"x {}".to_vec()));
        assert_eq!(code, UNUSABLE);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("/e/g.toml:1: nope: ") && text.contains("/e/probes.init:1: x: "));
    }

    #[test]
    fn credentials_that_cannot_be_used_make_the_configuration_unusable() {
        let loaded = load(&Sources::default());
        let init = Err(io::ErrorKind::NotFound.into());
        let faults = ["rest_api_server.cert_file: /c has no certificate; make one".to_owned()];
        let (text, code) = report(loaded.as_ref(), &init, &faults, &validate);
        assert_eq!((text, code), (format!("error: {}\n", faults[0]), UNUSABLE));
    }

    #[test]
    fn the_shipped_probes_init_starts_nothing() {
        let text =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/probes.init")).expect("it is there");
        assert_eq!(parse(&text), crate::initfile::Parsed::default());
    }
}
