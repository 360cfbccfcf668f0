//! `gopher-ctl` when something is wrong: its exit codes, the way out that it names, readers that go away, and
//! a daemon that is not what it should be.

use gopher_e2e::ctl::{ctl, done, fails};
use gopher_e2e::process::{built, command};
use gopher_e2e::{Setup, eventually};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;

const MEMORY: &str = r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#;

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", MEMORY);
    for args in
        [&["metric"][..], &["probe", "list"], &["top", "-i0.1"], &["completions", "bash"], &["--help"]]
    {
        let mut child = command(built("gopher-ctl"))
            .arg("--socket")
            .arg(setup.socket_path())
            .args(args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("gopher-ctl runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("its end");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{args:?}");
    }
}

#[test]
fn the_socket_is_named_by_flag_or_environment() {
    let setup = Setup::new();
    let _daemon = setup.start();
    let ask = |args: &[&str], socket: &Path| {
        let output =
            command(built("gopher-ctl")).args(args).env("GOPHER_SOCKET", socket).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    assert_eq!(ask(&["ready"], &setup.socket_path()), (Some(0), String::new()));
    let flag = setup.socket_path();
    let nowhere = setup.path("nowhere.sock");
    assert_eq!(ask(&["ready", "--socket", flag.to_str().expect("text")], &nowhere).0, Some(0));
    let (code, text) = ask(&["ready"], &nowhere);
    assert_eq!(code, Some(3));
    assert!(text.contains("nowhere.sock") && text.contains("is gopherd running?"), "{text}");
}

#[test]
fn a_socket_that_may_not_be_used_names_the_way_out() {
    let setup = Setup::new();
    let _daemon = setup.start();
    let binary = setup.path("gopher-ctl");
    std::fs::copy(built("gopher-ctl"), &binary).expect("a copy that every user may run");
    for (path, mode) in [(setup.path("."), 0o755), (setup.path("run"), 0o755), (binary.clone(), 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    }
    let mut command = command(binary);
    command.arg("--socket").arg(setup.socket_path()).arg("ready");
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    } else {
        let closed = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(setup.socket_path(), closed).expect("a closed socket");
    }
    // Another test's child may still hold the copy open for writing, between its fork and its exec.
    let output = eventually("the copy to be executable", || match command.output() {
        Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
        ended => Some(ended.expect("gopher-ctl runs")),
    });
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("denied") && text.contains("run as root or as a member of the socket's group"),
        "{text}"
    );
}

/// Answers one request with this status and body, whatever is asked.
fn impostor(setup: &Setup, status: &str, body: &str) -> std::thread::JoinHandle<()> {
    std::fs::create_dir_all(setup.path("run")).expect("a folder");
    let path = setup.socket_path();
    drop(std::fs::remove_file(&path));
    let listener = UnixListener::bind(path).expect("a socket");
    let answer =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answering = std::thread::Builder::new().name("impostor".into()).spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).expect("a request");
        stream.write_all(answer.as_bytes()).expect("an answer is taken");
    });
    answering.expect("a thread")
}

#[test]
fn a_hostile_daemon_is_told_and_cannot_act_on_the_terminal() {
    let setup = Setup::new();
    for (status, body, code) in [
        ("200 OK", "{\"items\": [1]", 3),
        ("200 OK", "", 3),
        ("400 Bad Request", "\x1b[2J", 1),
        ("400 Bad Request", r#"{"detail":"\u001b[2J\u009b"}"#, 1),
        ("429 Too Many Requests", r#"{"detail":"slowly"}"#, 1),
        ("504 Gateway Timeout", r#"{"detail":"it goes on"}"#, 5),
    ] {
        let thread = impostor(&setup, status, body);
        let gave = ctl(&setup, &["capabilities"], "");
        thread.join().expect("the impostor answers");
        fails(&gave, code, &["gopher-ctl: "]);
        assert!(!gave.err.contains(['\x1b', '\u{9b}']), "{gave:?}");
    }
    let thread = impostor(&setup, "200 OK", r#"{"level":"info"}"#);
    assert_eq!(done(ctl(&setup, &["log-level"], "")), "info\n");
    thread.join().expect("the impostor answers");
}

#[test]
fn the_exit_code_tells_refused_misused_and_unreachable_apart() {
    let setup = Setup::new().env("GOPHER_PROBES_INIT", "baseinfo {\"state\":\"stopped\"}\n");
    let nobody = Setup::new();
    fails(&ctl(&nobody, &["probe", "list"], ""), 3, &["gopherd.sock"]);
    let daemon = setup.start();
    let bad = r#"{"params":{"report_period":1}}"#;
    fails(&ctl(&setup, &["probe", "set", "baseinfo", bad], ""), 1, &["report_period", "[5, 600]"]);
    fails(&ctl(&setup, &["probe", "set", "baseinfo", "{\"params\":}"], ""), 1, &["line 1"]);
    fails(&ctl(&setup, &["probe", "get", "nosuch"], ""), 1, &["no feature `nosuch`", "probe list"]);
    fails(&ctl(&setup, &["probe", "start", "basinfo"], ""), 1, &["did you mean `baseinfo`?"]);
    fails(&ctl(&setup, &["--json", "probe", "get", "nosuch"], ""), 1, &["{\"result\":\"failed\""]);
    fails(&ctl(&setup, &["probe", "set", "../healthz", "{}"], ""), 1, &["no feature"]);
    fails(
        &ctl(&setup, &["probe", "set", "baseinfo", "@/nonexistent"], ""),
        2,
        &["/nonexistent: No such file"],
    );
    fails(&ctl(&setup, &["save"], ""), 1, &["GOPHER_PROBES_INIT"]);
    let set = json!({"probes": {"nosuch": {}, "tcp": {"params": {"report_period": 1}}}}).to_string();
    fails(&ctl(&setup, &["apply", "-"], &set), 1, &["nosuch", "report_period"]);
    fails(&ctl(&setup, &["apply", "/nonexistent/set.json"], ""), 2, &["/nonexistent/set.json"]);
    fails(&ctl(&setup, &["probe", "set", "baseinfo"], ""), 2, &["JSON"]);
    fails(&ctl(&setup, &["nonsense"], ""), 2, &["nonsense"]);
    assert!(done(ctl(&setup, &["--version"], "")).contains(env!("CARGO_PKG_VERSION")));
    assert!(daemon.terminate().success());
    fails(&ctl(&setup, &["metric"], ""), 3, &["gopherd.sock"]);
}
