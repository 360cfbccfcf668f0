//! `gopher-ctl` on a terminal: colour, width, the live table, and that nothing of another's text acts on it.

use gopher_e2e::process::{Background, built, command};
use gopher_e2e::{Setup, Terminal, eventually};
use rustix::process::Signal;
use std::os::unix::fs::symlink;
use std::process::Command;

const RUNNING: &str = r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#;

fn ctl(setup: &Setup, args: &[&str]) -> Command {
    let mut command = command(built("gopher-ctl"));
    command.arg("--socket").arg(setup.socket_path()).args(args);
    command
}

/// What a call with this environment prints on a terminal of 80 columns.
#[track_caller]
fn printed(setup: &Setup, args: &[&str], env: &[(&str, &str)]) -> String {
    let mut command = ctl(setup, args);
    command.envs(env.iter().copied());
    let mut terminal = Terminal::start(command, 80, 50);
    assert!(terminal.end().success(), "{}", terminal.screen());
    String::from_utf8(terminal.bytes()).expect("text")
}

#[test]
fn colour_is_for_terminals_unless_somebody_does_not_want_it() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", RUNNING);
    let list = ["probe", "list"];
    assert!(printed(&setup, &list, &[]).contains("\x1b["), "colour on a terminal");
    for env in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        assert!(!printed(&setup, &list, &env).contains('\x1b'), "{env:?}");
    }
    assert!(printed(&setup, &["probe", "list", "--color", "always"], &[("NO_COLOR", "1")]).contains("\x1b["));
    assert!(!printed(&setup, &["probe", "list", "--color", "never"], &[]).contains('\x1b'));
    // The same lines, but for the colour.
    let mut plain = Terminal::start(ctl(&setup, &["--color", "never", "probe", "list"]), 80, 50);
    let mut coloured = Terminal::start(ctl(&setup, &list), 80, 50);
    assert!(plain.end().success() && coloured.end().success());
    assert_eq!(plain.screen(), coloured.screen());
}

#[test]
fn tables_fit_into_the_terminal() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", RUNNING);
    for args in [
        &["probe", "list"][..],
        &["probe", "explain", "baseinfo"],
        &["capabilities"],
        &["top", "-n1", "-i0.1"],
    ] {
        let text = printed(&setup, args, &[("NO_COLOR", "1")]);
        let long: Vec<&str> = text
            .lines()
            // Commands to be copied are not cut.
            .filter(|line| line.chars().count() > 80 && !line.contains("gopher-ctl probe set"))
            .collect();
        assert!(long.is_empty(), "{args:?}: {long:#?}");
    }
}

#[test]
fn top_shows_what_runs_follows_keys_and_gives_the_terminal_back() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", RUNNING);
    let mut terminal = Terminal::start(ctl(&setup, &["top", "--interval", "0.2"]), 80, 24);
    let rated = |screen: &str| {
        let line = screen.lines().find(|line| line.starts_with("baseinfo"));
        line.is_some_and(|line| line.contains("running") && line.contains('%'))
    };
    let screen = terminal.until("a row with its rate", rated);
    assert!(screen.starts_with("gopherd ") && screen.contains("1 running"), "{screen}");
    assert!(!screen.lines().any(|line| line.starts_with("tcp")), "{screen}");
    assert!(terminal.on_second_screen() && terminal.hides_cursor() && !terminal.is_cooked());

    terminal.press(">");
    terminal.until("another order", |screen| screen.contains("sorted by state"));
    terminal.press("\x1b[D\x1b[D");
    terminal.until("the column before the first", |screen| screen.contains("sorted by lost"));
    terminal.press("r");
    terminal.until("the order turned round", |screen| screen.contains("reversed"));
    terminal.press("a");
    terminal.until("all features", |screen| screen.lines().any(|line| line.starts_with("container")));
    terminal.resize(50, 10);
    terminal.until("a small screen", |screen| screen.contains("FEA…"));

    terminal.press("q");
    assert!(terminal.end().success());
    assert!(!terminal.on_second_screen() && !terminal.hides_cursor() && terminal.is_cooked());
}

#[test]
fn top_gives_the_terminal_back_however_it_is_ended() {
    let setup = Setup::new();
    let _daemon = setup.start();
    let started = || {
        let terminal = Terminal::start(ctl(&setup, &["top"]), 80, 24);
        terminal.until("the head", |screen| screen.contains("No feature runs"));
        assert!(terminal.on_second_screen() && !terminal.is_cooked());
        terminal
    };
    let ended = |mut terminal: Terminal| {
        assert!(terminal.end().success());
        assert!(!terminal.on_second_screen() && !terminal.hides_cursor() && terminal.is_cooked());
    };
    let mut terminal = started();
    terminal.press("\x03");
    ended(terminal);
    for signal in [Signal::TERM, Signal::HUP] {
        let terminal = started();
        terminal.signal(signal);
        ended(terminal);
    }
}

#[test]
fn top_says_that_the_daemon_is_gone_and_goes_on_when_it_is_back() {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut terminal = Terminal::start(ctl(&setup, &["top", "-i0.2"]), 80, 24);
    terminal.until("the head", |screen| screen.contains("No feature runs"));
    assert!(daemon.terminate().success());
    terminal.until("the trouble", |screen| screen.contains("cannot reach the daemon"));
    let _daemon = setup.start();
    terminal.until("the daemon", |screen| screen.starts_with("gopherd ") && !screen.contains("cannot reach"));
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn on_a_dumb_terminal_top_prints_tables() {
    let setup = Setup::new();
    let _daemon = setup.start();
    let text = printed(&setup, &["top", "-n1", "-i0.1"], &[("TERM", "dumb")]);
    assert!(text.starts_with("gopherd ") && !text.contains('\x1b'), "{text}");
}

#[test]
fn a_process_name_does_not_act_on_the_terminal() {
    let setup = Setup::new();
    let daemon = setup.start();
    // Clears the screen where it is printed as it is.
    let name = setup.path("\x1b[2J\x1b]0;evil");
    symlink("/bin/sleep", &name).expect("another name of sleep");
    let mut evil = command(&name);
    evil.arg("600");
    let evil = Background::start(evil, &setup.path("evil.log"));
    let scope = r#"{"cmd":{"probe":["proc"]},"snoopers":{"proc_name":[{"comm":"evil"}]},"params":{"report_period":5},"state":"running"}"#;
    daemon.put("baseinfo", scope);
    let pid = evil.pid().to_string();
    eventually("the process to be observed", || {
        let text = printed(&setup, &["targets", "baseinfo"], &[("NO_COLOR", "1")]);
        text.contains(&pid).then(|| {
            assert!(text.contains("\\u001b[2J") && !text.contains('\x1b'), "{text:?}");
        })
    });
    // Where nobody looks the metrics are what the daemon sends.
    let raw = eventually("the process to have metrics", || {
        let output = ctl(&setup, &["metric"]).output().expect("gopher-ctl runs");
        let text = String::from_utf8(output.stdout).expect("text");
        text.contains("evil").then_some(text)
    });
    let shown = printed(&setup, &["metric"], &[]);
    assert!(shown.contains("evil") && !shown.contains('\x1b'), "{shown:?}");
    assert_eq!(raw.contains('\x1b'), shown.contains("\\u001b"));
    for args in [&["--json", "targets", "baseinfo"][..], &["probe", "get", "baseinfo"]] {
        assert!(!printed(&setup, args, &[]).contains('\x1b'), "{args:?}");
    }
}
