//! Least privilege of the daemon as a process: nothing in effect while it does nothing, nothing held that no
//! probe needs, what is needed raised only for a reading, and what is missing named.

use gopher_e2e::process::{Background, command, text_of};
use gopher_e2e::{Client, Daemon, Scrape, Setup, eventually};
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, capabilities};
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

/// A line of /proc/<pid>/task/<tid>/status.
fn line(status: &str, name: &str) -> String {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

fn set(status: &str, name: &str) -> CapabilitySet {
    CapabilitySet::from_bits_retain(u64::from_str_radix(&line(status, name), 16).expect("a set in hex"))
}

/// The status of each thread that is there now.
fn threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the daemon's threads");
    let status = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("status")).ok()
    };
    tasks.filter_map(status).collect()
}

/// What the built probes need, as the daemon lists it.
fn listed() -> CapabilitySet {
    let list =
        text_of(&gopher_e2e::process::built("gopherd").display().to_string(), &["--list-capabilities"]);
    let mut listed = CapabilitySet::empty();
    let mut current = CapabilitySet::empty();
    for line in list.lines() {
        match line.strip_prefix("CAP_") {
            Some(name) => current = CapabilitySet::from_name(name).expect("a name that the kernel knows"),
            None if line.ends_with("(not built in this version)") => {}
            None => listed |= current,
        }
    }
    assert!(listed.contains(CapabilitySet::SYS_PTRACE), "{list}");
    listed
}

/// What this test, and so the daemon at its start, has.
fn given() -> CapabilitySet {
    capabilities(None).expect("asked").permitted
}

/// Runs baseinfo over `pids` with one reading in ten minutes, and waits until `pids` show.
fn observe(daemon: &Daemon<'_>, pids: &[u32]) -> gopher_e2e::Response {
    let body = json!({"snoopers": {"proc_id": pids}, "params": {"report_period": 600}, "state": "running"});
    let answer = daemon.put("baseinfo", &body.to_string());
    daemon.scrape_until("the processes", |scrape| {
        let shown = |pid: &u32| scrape.value(THREADS, &[("tgid", &pid.to_string())]);
        pids.iter().all(|pid| shown(pid).is_some()).then_some(())
    });
    answer
}

/// A process of a user who is neither root nor the daemon's.
fn stranger(setup: &Setup) -> Background {
    let mut program = command("sleep");
    program.arg0("e2e-stranger").arg("600").uid(65_533).gid(65_533);
    Background::start(program, &setup.path("stranger.log"))
}

/// What the status of baseinfo says about one of its sub-probes.
fn missing(daemon: &Daemon<'_>, sub_probe: &str) -> String {
    let status = &daemon.probe("baseinfo")["status"];
    let subs = status["sub_probes"].as_array().expect("sub-probes");
    let sub = subs.iter().find(|sub| sub["name"] == sub_probe).expect("it was asked for");
    assert_eq!(sub["state"], "running", "{status}");
    sub["missing"].to_string()
}

const THREADS: &str = "gala_gopher_proc_num_threads";
const READ: &str = "gala_gopher_proc_rchar_bytes";
const SHARED: &str = "gala_gopher_proc_shared_clean_size";

#[test]
fn every_thread_holds_what_is_needed_and_has_nothing_of_it_in_effect_while_idle() {
    let setup = Setup::new();
    let daemon = setup.start();
    let kept = given() & listed();
    let check = || {
        for status in threads(daemon.pid()) {
            assert_eq!(set(&status, "CapPrm"), kept, "{status}");
            assert_eq!(set(&status, "CapInh") | set(&status, "CapAmb"), CapabilitySet::empty(), "{status}");
            assert_eq!(line(&status, "NoNewPrivs"), "1", "{status}");
            if given().contains(CapabilitySet::SETPCAP) {
                assert_eq!(set(&status, "CapBnd"), kept, "{status}");
            }
        }
    };
    check();
    observe(&daemon, &[daemon.pid(), 1]);
    let names: BTreeSet<String> = threads(daemon.pid()).iter().map(|status| line(status, "Name")).collect();
    assert!(names.contains("scope") && names.contains("probe-baseinfo"), "{names:?}");
    check();
    eventually("a moment in which nothing is read", || {
        let all = threads(daemon.pid());
        all.iter().all(|status| set(status, "CapEff").is_empty()).then_some(())
    });
}

#[test]
fn what_is_held_is_raised_to_read_the_processes_of_others() {
    let needed = CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
    assert!(given().contains(needed), "run as root: the daemon is given what it needs by this test");
    let setup = Setup::new();
    let daemon = setup.start();
    let other = stranger(&setup);
    // Of the same user, with every right that this test has: more than the daemon has in effect.
    let mut stronger = command("sleep");
    stronger.arg("600");
    let stronger = Background::start(stronger, &setup.path("stronger.log"));
    observe(&daemon, &[other.pid(), stronger.pid()]);
    for pid in [other.pid(), stronger.pid()] {
        for name in [READ, SHARED] {
            let scrape = daemon.scrape("/metrics");
            assert!(scrape.value(name, &[("tgid", &pid.to_string())]).is_some(), "{name} of {pid}");
        }
    }
    assert_eq!(missing(&daemon, "proc"), "[]");
    assert_eq!(missing(&daemon, "fs"), "[]");
    assert_eq!(daemon.state("baseinfo"), "running");
}

#[test]
fn limits_capabilities_narrows_for_good_and_what_is_missing_is_named() {
    let setup = Setup::new().section("limits", "capabilities = [\"CAP_DAC_READ_SEARCH\"]");
    let daemon = setup.start();
    let other = stranger(&setup);
    let narrowed = given() & CapabilitySet::DAC_READ_SEARCH;
    let check = || {
        for status in threads(daemon.pid()) {
            assert_eq!(set(&status, "CapPrm"), narrowed, "{status}");
        }
        let held = daemon.rest().get("/api/v1/capabilities").expect(200).json()["capabilities"].clone();
        assert_eq!(held.as_array().map(Vec::len), Some(usize::from(!narrowed.is_empty())), "{held}");
    };
    check();
    let answer = observe(&daemon, &[other.pid(), daemon.pid()]).json();
    assert!(answer["warnings"].to_string().contains("proc: without CAP_SYS_PTRACE: I/O counts"), "{answer}");
    assert!(missing(&daemon, "proc").contains("without CAP_SYS_PTRACE"));
    assert_eq!(missing(&daemon, "mem"), "[]");
    assert_eq!(daemon.state("baseinfo"), "degraded");
    let scrape = daemon.scrape("/metrics");
    let value = |name, pid: u32| scrape.value(name, &[("tgid", &pid.to_string())]);
    for name in [READ, SHARED] {
        assert_eq!(value(name, other.pid()), None, "{name} of another user: absent, not 0");
        assert!(value(name, daemon.pid()).is_some(), "{name} of its own");
    }
    let log = daemon.log();
    let named = "CAP_SYS_PTRACE is left out of limits.capabilities; baseinfo (proc) needs it to read";
    assert!(log.contains(named), "{log}");

    // A wider setting takes effect at the next start, not in this process.
    std::fs::write(
        setup.config_path(),
        std::fs::read_to_string(setup.config_path())
            .expect("the file")
            .replace("[\"CAP_DAC_READ_SEARCH\"]", "[]"),
    )
    .expect("the file is changed");
    daemon.signal(Signal::HUP);
    eventually("the reload", || daemon.log().contains("limits.capabilities").then_some(()));
    daemon.socket().get("/readyz").expect(200);
    check();
}

#[test]
fn a_capability_that_does_not_exist_is_a_fault_of_the_configuration() {
    let setup = Setup::new().section("limits", "capabilities = [\"CAP_SYS_TRACE\"]");
    let output = setup.run(&["--check-config"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("limits.capabilities: `CAP_SYS_TRACE` is not allowed"), "{said}");
}

#[test]
fn without_root_it_says_for_whom_what_is_missing_and_runs_the_rest() {
    let setup = Setup::new().user(65_534);
    let daemon = setup.start();
    let ready = daemon.socket().get("/readyz?strict=1").expect(200).json();
    assert_eq!(ready["problems"], json!([]), "fewer rights are a choice, no fault");
    let log = daemon.log();
    for named in [
        "CAP_SYS_PTRACE was not given to this process; baseinfo (proc) needs it",
        "CAP_DAC_READ_SEARCH was not given to this process; baseinfo (proc) needs it",
        "CAP_SYS_PTRACE was not given to this process; gopherd (scopes, labels) needs it",
    ] {
        assert!(log.contains(named), "{named}: {log}");
    }
    observe(&daemon, &[daemon.pid(), 1]);
    let of_proc = missing(&daemon, "proc");
    assert!(of_proc.contains("CAP_SYS_PTRACE") && of_proc.contains("CAP_DAC_READ_SEARCH"), "{of_proc}");
    for rest in ["cpu", "mem", "net", "disk"] {
        assert_eq!(missing(&daemon, rest), "[]", "{rest}");
    }
    for status in threads(daemon.pid()) {
        assert_eq!(line(&status, "NoNewPrivs"), "1");
    }
}

/// A daemon that sees a /proc that hides processes of other users from everybody without CAP_SYS_PTRACE.
fn behind_hidepid(setup: &Setup) -> Background {
    setup.write();
    let gopherd = setup.command(&[]);
    let mut hiding = command("unshare");
    let script = "mount -t proc -o hidepid=2,gid=65532 proc /proc && exec \"$@\"";
    hiding.args(["--mount", "sh", "-c", script, "sh"]).arg(gopherd.get_program()).args(gopherd.get_args());
    Background::start(hiding, &setup.path("stderr.log"))
}

#[test]
fn processes_that_proc_hides_are_found_and_labelled_with_the_right_and_not_without_it() {
    for (limit, found) in [("[]", true), ("[\"CAP_DAC_READ_SEARCH\"]", false)] {
        let setup = Setup::new().section("limits", &format!("capabilities = {limit}"));
        let _daemon = behind_hidepid(&setup);
        let other = stranger(&setup);
        let socket = Client::socket(&setup.socket_path());
        eventually("readiness", || {
            let answer = socket.try_send("GET", "/readyz", &[], Vec::new()).ok()?;
            (answer.status == 200).then_some(())
        });
        let body = json!({"cmd": {"probe": ["proc"]}, "params": {"report_period": 5},
            "snoopers": {"proc_name": [{"comm": "^sleep$", "cmdline": "^e2e-stranger "}]},
            "state": "running"});
        socket.put("/baseinfo", &body.to_string()).expect(200);
        let of = |pid: u32| {
            let scrape = Scrape::parse(&Client::port(setup.metrics_port).get("/metrics").expect(200).text());
            let sample = scrape.all(THREADS).find(|sample| sample.label("tgid") == Some(&pid.to_string()));
            sample.map(|sample| sample.label("comm").map(str::to_owned))
        };
        if found {
            let comm = eventually("the hidden process", || of(other.pid()));
            assert_eq!(comm.as_deref(), Some("sleep"));
        } else {
            let page =
                socket.get(&format!("/api/v1/targets?feature=baseinfo&pid={}", other.pid())).expect(200);
            assert_eq!(page.json()["verdict"]["observed"], false, "{}", page.text());
            assert_eq!(of(other.pid()), None);
        }
    }
}

#[test]
fn root_is_not_exempt_from_the_permissions_of_files_and_is_told_which() {
    let setup = Setup::new().probes_init("baseinfo {\"state\":\"running\"}\n");
    setup.write();
    let close = |path: &std::path::Path, mode| {
        std::os::unix::fs::chown(path, Some(65_533), Some(65_533)).expect("run as root");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    close(&setup.probes_init_path(), 0o600);
    close(&setup.path("log"), 0o700);
    let daemon = setup.start();
    let problems = daemon.socket().get("/readyz").expect(200).json()["problems"].to_string();
    assert!(problems.contains("probes.init: cannot be read: Permission denied"), "{problems}");
    assert!(problems.contains("the debug log") && problems.contains("cannot be written"), "{problems}");
    assert_eq!(daemon.state("baseinfo"), "stopped");
    daemon.terminate();

    close(&setup.config_path(), 0o600);
    let output = setup.command(&["--check-config"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !output.status.success() && said.contains("gopherd.toml: cannot be read: Permission denied"),
        "{said}"
    );
}
