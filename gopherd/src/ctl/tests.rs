//! `gopher-ctl` against a daemon that is served on a unix socket: what it prints where, and its exit code.

use super::{Args, Exit, Look, run};
use crate::http::testing::{parts, parts_with};
use crate::http::{Addresses, Limits, Parts, SaveError, Servers, Sockets, serve};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

struct Daemon {
    dir: TempDir,
    servers: Servers,
}

impl Daemon {
    fn start(parts: &Parts) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let addresses = Addresses { unix: Some(socket(dir.path())), ..Addresses::default() };
        let servers = serve(Sockets::bind(&addresses).unwrap(), parts, &Limits::default()).unwrap();
        Self { dir, servers }
    }

    /// Exit code, stdout, stderr.
    async fn ctl(&self, words: &[&str]) -> (Exit, String, String) {
        ctl(&socket(self.dir.path()), words).await
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("gopherd.sock")
}

async fn ctl(socket: &Path, words: &[&str]) -> (Exit, String, String) {
    looked_at(socket, words, Look::default()).await
}

async fn looked_at(socket: &Path, words: &[&str], look: Look) -> (Exit, String, String) {
    let socket = socket.to_str().unwrap();
    let args = Args::try_parse_from(["gopher-ctl", "--socket", socket].iter().chain(words)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(args, look, &mut out, &mut err).await;
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn done(out: &str) -> (Exit, String, String) {
    (Exit::Done, out.to_owned(), String::new())
}

const TAKES_EFFECT: &str = "New config takes effect\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_is_set_shown_started_stopped_and_listed() {
    let daemon = Daemon::start(&parts());
    assert_eq!(daemon.ctl(&["probe", "get", "tcp"]).await, done("{}\n"));
    let set = daemon.ctl(&["probe", "set", "TCP", r#"{"params":{"report_period":30}}"#]).await;
    assert_eq!(set, done(TAKES_EFFECT));
    assert_eq!(daemon.ctl(&["probe", "start", "tcp"]).await, done(TAKES_EFFECT));
    let (_, text, _) = daemon.ctl(&["probe", "get", "tcp"]).await;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["state"], &document["params"]["report_period"]), (&"running".into(), &30.into()));

    let (exit, list, err) = daemon.ctl(&["probe", "list"]).await;
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    let expected = "\
FEATURE  STATE        SUMMARY
tcp      running      A feature of the tests.
io       stopped      A feature of the tests.
slow     stopped      A feature of the tests.
planned  unavailable  A feature of the tests.
";
    assert_eq!(list, expected);
    let (_, list, _) = daemon.ctl(&["probe", "list", "--json"]).await;
    assert!(serde_json::from_str::<gopher_api::ProbeList>(&list).is_ok(), "{list}");

    assert_eq!(daemon.ctl(&["probe", "stop", "tcp"]).await, done(TAKES_EFFECT));
    let json = daemon.ctl(&["--json", "probe", "stop", "tcp"]).await;
    assert_eq!(json, done("{\"result\":\"success\",\"message\":\"New config takes effect\"}\n"));
    daemon.servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_go_to_the_other_stream() {
    let daemon = Daemon::start(&parts());
    let config = r#"{"cmd":{"probe":["first","broken"]},"state":"running"}"#;
    let (exit, out, err) = daemon.ctl(&["probe", "set", "tcp", config]).await;
    assert_eq!(
        (exit, out.as_str(), err.as_str()),
        (Exit::Done, TAKES_EFFECT, "warning: broken: kernel BTF\n")
    );
    daemon.servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_exit_1_with_the_reason_and_its_place() {
    let daemon = Daemon::start(&parts());
    for (words, expected) in [
        (
            &["probe", "get", "nope"][..],
            "gopher-ctl: there is no feature `nope`; gopher-ctl probe list shows all of them\n",
        ),
        (
            &["probe", "get", "../healthz"],
            "gopher-ctl: there is no feature `../healthz`; gopher-ctl probe list shows all of them\n",
        ),
        (
            &["probe", "set", "api/v1/probes\x1b[2J", "{}"],
            "gopher-ctl: there is no feature `api/v1/probes\\u001b[2J`; gopher-ctl probe list shows all of them\n",
        ),
        (&["probe", "start", "tpc"], "gopher-ctl: there is no feature `tpc`; did you mean `tcp`?\n"),
        (&["targets", "plan"], "gopher-ctl: there is no feature `plan`; did you mean `planned`?\n"),
        (&["probe", "explain", "sloww"], "gopher-ctl: there is no feature `sloww`; did you mean `slow`?\n"),
        (
            &["probe", "set", "tcp", r#"{"params":{"report_period":1}}"#],
            "gopher-ctl: params.report_period invalid value 1, must be in [5, 600]\n",
        ),
        (&["probe", "start", "planned"], "gopher-ctl: state: not supported in the current version\n"),
    ] {
        assert_eq!(daemon.ctl(words).await, (Exit::Refused, String::new(), expected.into()), "{words:?}");
    }
    let (exit, out, err) = daemon.ctl(&["--json", "probe", "get", "nope"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Refused, ""));
    assert_eq!(err, "{\"result\":\"failed\",\"message\":\"url not found\"}\n");
    daemon.servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_printed_as_they_are_and_nothing_is_drained() {
    let daemon = Daemon::start(&parts());
    for _ in 0..2 {
        assert_eq!(daemon.ctl(&["metric"]).await, done("# Configured -\n"));
    }
    daemon.servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_set_is_saved_or_the_reason_told() {
    let daemon = Daemon::start(&parts());
    assert_eq!(daemon.ctl(&["save"]).await, done("saved 2 features to /etc/gopherd/probes.init\n"));
    daemon.servers.stop().await;
    let error = SaveError::FromEnvironment("GOPHER_PROBES_INIT");
    let daemon = Daemon::start(&parts_with(Duration::from_secs(30), Err(error)));
    let (exit, _, err) = daemon.ctl(&["save"]).await;
    assert_eq!(exit, Exit::Refused);
    assert!(err.contains("GOPHER_PROBES_INIT"), "{err}");
    daemon.servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_read_from_a_file_and_each_fault_is_named() {
    let daemon = Daemon::start(&parts());
    let file = daemon.dir.path().join("probes.json");
    let name = file.to_str().unwrap();
    std::fs::write(&file, r#"{"probes":{"tcp":{"state":"running"},"io":{}}}"#).unwrap();
    let dry = daemon.ctl(&["apply", name, "--dry-run"]).await;
    let expected = "\
io: nothing would change; stopped (generation 0)
tcp: would be accepted; stopped (generation 0)
  ~ /state: \"stopped\" -> \"running\"
";
    assert_eq!(dry, done(expected));
    let wet = daemon.ctl(&["apply", name]).await;
    assert_eq!(wet, done("io: accepted; stopped (generation 1)\ntcp: accepted; running (generation 1)\n"));
    std::fs::write(&file, r#"{"probes":{"tcp":{"x":1},"io":{"state":"paused"}}}"#).unwrap();
    let (exit, out, err) = daemon.ctl(&["apply", name]).await;
    assert_eq!((exit, out.as_str()), (Exit::Refused, ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines[0], "gopher-ctl: nothing was changed: 2 features were refused");
    assert!(lines[1].starts_with("  tcp: /x: ") && lines[2].starts_with("  io: /state: "), "{err}");
    let (exit, _, err) = daemon.ctl(&["apply", "/nonexistent"]).await;
    assert_eq!((exit, err.starts_with("gopher-ctl: /nonexistent: ")), (Exit::Usage, true), "{err}");
    daemon.servers.stop().await;
}

#[tokio::test]
async fn nobody_on_the_socket_is_exit_3_and_names_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = socket(dir.path());
    let (exit, out, err) = ctl(&path, &["probe", "list"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Unreachable, ""));
    assert!(err.contains("is gopherd running?") && err.contains("--socket"), "{err}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let (exit, _, err) = ctl(&path, &["metric"]).await;
    assert_eq!((exit, err.contains("start it again")), (Exit::Unreachable, true), "{err}");
}

#[test]
fn wrong_usage_is_exit_2_before_anything_is_sent() {
    for words in [
        &["gopher-ctl"][..],
        &["gopher-ctl", "probe"],
        &["gopher-ctl", "probe", "set", "tcp"],
        &["gopher-ctl", "x"],
    ] {
        assert_eq!(Args::try_parse_from(words).unwrap_err().exit_code(), 2, "{words:?}");
    }
}

/// What the daemon of the tests shows on 80 columns; its features and numbers are always the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_fits_into_80_columns() {
    let daemon = Daemon::start(&parts());
    let look = Look { width: Some(80), ..Look::default() };
    let mut all = String::new();
    for words in [
        &["probe", "list"][..],
        &["targets", "tcp"],
        &["targets", "tcp", "--pid", "5"],
        &["probe", "set", "tcp", "--dry-run", r#"{"params":{"report_period":30},"state":"running"}"#],
        &["ready"],
        &["log-level"],
        &["save"],
    ] {
        let (exit, out, err) = looked_at(&socket(daemon.dir.path()), words, look).await;
        assert_eq!((exit, err.as_str()), (Exit::Done, ""), "{words:?}");
        assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
        all += &format!("$ gopher-ctl {}\n{out}\n", words.join(" "));
    }
    insta::assert_snapshot!(all);
    daemon.servers.stop().await;
}
