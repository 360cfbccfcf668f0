//! Scope by the process tracker: processes that live 50 ms and connect are counted by `tcp`, whichever selector
//! chooses them, and nothing of it is in the kernel while no scope needs it.

use gopher_e2e::bpf::held;
use gopher_e2e::cgroup::{Cgroups, container_id};
use gopher_e2e::process::{command, text_of};
use gopher_e2e::{Daemon, Setup, eventually};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;

/// Short processes of each kind that are counted at least, and that are begun: the daemon may be kept waiting longer than
/// they live while other tests have the processors. A look at /proc every 2 seconds would see one of these forty.
const SHORT: usize = 10;
const BEGUN: usize = 4 * SHORT;

/// What each connection is given by the server.
const GREETING: &[u8] = b"hello\n";

/// A server that greets whoever connects and then holds the connection.
struct Server {
    port: u16,
}

impl Server {
    fn start() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, gopher_e2e::daemon::free_port())).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let serve = move || {
            let mut held: Vec<TcpStream> = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("accepted");
                // It may have gone already.
                let _ = stream.write_all(GREETING);
                held.push(stream);
            }
        };
        // Ends with this test program.
        thread::Builder::new().name("server".into()).spawn(serve).expect("a thread");
        Self { port }
    }

    /// What a shell does to connect, read the greeting, and end 50 ms later.
    fn client(&self) -> String {
        format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}; read -u 3 greeting; read -t 0.05 -u 3 more; exit 0",
            self.port
        )
    }
}

/// bash under another name, so that its processes are told from all others.
fn shell_named(setup: &Setup, name: &str) -> PathBuf {
    let link = setup.path(name);
    std::os::unix::fs::symlink("/bin/bash", &link).expect("a link");
    link
}

/// A shell that waits for a line before it does `script`.
fn waiting(shell: &Path, script: &str) -> Child {
    let mut program = command(shell);
    program.args(["-c", &format!("read go; {script}")]).stdin(Stdio::piped());
    program.spawn().expect("a shell")
}

fn go(child: &mut Child) {
    child.stdin.as_mut().expect("piped").write_all(b"\n").expect("told");
}

fn observe(daemon: &Daemon<'_>, selection: &Value) {
    let mut order = json!({
        "cmd": {"probe": ["tcp_stats"]}, "state": "running", "params": {"report_period": 5},
    });
    for (key, value) in selection.as_object().expect("an object") {
        order[key] = value.clone();
    }
    daemon.put("tcp", &order.to_string());
}

fn tracker(daemon: &Daemon<'_>) -> Value {
    daemon.rest().get("/api/v1/capabilities").expect(200).json()["process_tracker"].clone()
}

/// Observes and waits until the tracker follows.
fn follow(daemon: &Daemon<'_>, selection: &Value) {
    observe(daemon, selection);
    eventually("the tracker", || (tracker(daemon)["state"] == "running").then_some(()));
}

/// Waits until each of `pids` has been shown as a client that received the greeting, and asserts that no other
/// process was.
#[track_caller]
fn counted(daemon: &Daemon<'_>, server: &Server, pids: &BTreeSet<u32>) {
    at_least(pids.len(), daemon, server, pids);
}

/// The same of `least` of them.
#[track_caller]
fn at_least(least: usize, daemon: &Daemon<'_>, server: &Server, pids: &BTreeSet<u32>) {
    let port = server.port.to_string();
    let mut seen = BTreeSet::new();
    eventually("each of the processes", || {
        let scrape = daemon.scrape("/metrics");
        for sample in scrape.all("gala_gopher_tcp_link_rx_bytes") {
            if sample.label("server_port") == Some(&port) && sample.label("role") == Some("client") {
                assert_eq!(sample.value, f64::from(u8::try_from(GREETING.len()).expect("short")));
                seen.insert(sample.label("tgid").expect("a process").parse().expect("a number"));
            }
        }
        (seen.len() >= least).then_some(())
    });
    assert!(seen.is_subset(pids), "{seen:?} of {pids:?}");
    let lost = daemon.scrape("/metrics");
    let lost: Vec<_> =
        lost.all("gopherd_lost_total").filter(|sample| sample.label("stage") == Some("tracker")).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// Runs short clients one after the other and says who they were.
fn short_clients(shell: &Path, arg0: Option<&str>, script: &str) -> BTreeSet<u32> {
    let client = |_| {
        let mut program = command(shell);
        program.args(["-c", script]);
        if let Some(arg0) = arg0 {
            program.arg0(arg0);
        }
        let mut child = program.spawn().expect("a shell");
        child.wait().expect("ended");
        child.id()
    };
    (0..BEGUN).map(client).collect()
}

#[test]
fn processes_that_live_50_ms_are_counted_when_a_rule_names_them() {
    let setup = Setup::new();
    let daemon = setup.start();
    let server = Server::start();
    let [chosen, beside] = ["e2e-short", "e2e-other"].map(|name| shell_named(&setup, name));
    follow(&daemon, &json!({"snoopers": {"proc_name": [{"comm": "^e2e-short$"}]}}));
    let pids = short_clients(&chosen, None, &server.client());
    short_clients(&beside, None, &server.client());
    at_least(SHORT, &daemon, &server, &pids);

    // The same by command line, for which the name says nothing.
    let server = Server::start();
    observe(&daemon, &json!({"snoopers": {"proc_name": [{"cmdline": "^e2e \"line\" .*dev/tcp"}]}}));
    let pids = short_clients(&beside, Some("e2e \"line\""), &server.client());
    at_least(SHORT, &daemon, &server, &pids);
}

/// Clients that connect with the first thing that they do and end at once: 1.4 ms, less than the daemon takes to hear of
/// them. What the kernel does not know by itself is missed.
const AT_ONCE: usize = 50;

/// Runs `script` in a shell, which prints the pid of each client.
fn clients(shell: &Path, script: &str) -> BTreeSet<u32> {
    let mut program = command(shell);
    let output = program.args(["-c", script]).output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("text");
    let pids: BTreeSet<u32> = text.lines().map(|line| line.parse().expect("a pid")).collect();
    assert!(output.status.success() && !pids.is_empty(), "{:?}", output.stderr);
    pids
}

/// Waits until `tcp` has shown so many clients of the server, and says who they were and what they were called.
#[track_caller]
fn shown_clients(daemon: &Daemon<'_>, server: &Server, count: usize) -> BTreeMap<u32, String> {
    let port = server.port.to_string();
    let mut seen = BTreeMap::new();
    eventually(&format!("{count} clients"), || {
        for sample in daemon.scrape("/metrics").all("gala_gopher_tcp_link_segs_out") {
            if sample.label("server_port") == Some(&port) && sample.label("role") == Some("client") {
                let tgid = sample.label("tgid").expect("a process").parse().expect("a number");
                seen.insert(tgid, sample.label("comm").expect("a name").to_owned());
            }
        }
        (seen.len() >= count).then_some(())
    });
    seen
}

/// Waits until each of `pids` has been shown, and asserts that no other is.
#[track_caller]
fn shown_as_clients(daemon: &Daemon<'_>, server: &Server, pids: &BTreeSet<u32>) {
    let shown: BTreeSet<_> = shown_clients(daemon, server, pids.len()).into_keys().collect();
    assert_eq!(shown, *pids);
}

#[test]
fn of_clients_that_end_at_once_each_is_counted_whose_name_stands_in_a_rule_or_was_seen_before() {
    let setup = Setup::new();
    let daemon = setup.start();
    let server = Server::start();
    let [chosen, beside] = ["e2e-once", "e2e-beside"].map(|name| shell_named(&setup, name));
    let client = |shell: &Path, server: &Server| {
        format!("{} -c 'echo $$; : 3<>/dev/tcp/127.0.0.1/{}'", shell.display(), server.port)
    };
    let both = |server: &Server| {
        let (chosen, beside) = (client(&chosen, server), client(&beside, server));
        let pids = clients(Path::new("/bin/bash"), &format!("for i in {{1..{AT_ONCE}}}; do {chosen}; done"));
        clients(Path::new("/bin/bash"), &format!("for i in {{1..{AT_ONCE}}}; do {beside}; done"));
        assert_eq!(pids.len(), AT_ONCE);
        pids
    };
    follow(&daemon, &json!({"snoopers": {"proc_name": [{"comm": "^e2e-once$"}]}}));
    shown_as_clients(&daemon, &server, &both(&server));

    // Not as it stands in the rule: the kernel knows the name once a process has had it.
    let server = Server::start();
    observe(&daemon, &json!({"snoopers": {"proc_name": [{"comm": "^e2e-[o]nce$"}]}}));
    let mut first = waiting(&chosen, ":");
    let targets = || daemon.rest().get("/api/v1/targets?feature=tcp").expect(200).json();
    eventually("the first of that name", || (targets()["items"][0]["pid"] == first.id()).then_some(()));
    let pids = both(&server);
    go(&mut first);
    first.wait().expect("ended");
    shown_as_clients(&daemon, &server, &pids);

    // Another selection: the name that was known is not meant any more, the other one is.
    let server = Server::start();
    observe(&daemon, &json!({"snoopers": {"proc_name": [{"comm": "^e2e-beside$"}]}}));
    let mut first = waiting(&beside, ":");
    eventually("the first of the other", || (targets()["items"][0]["pid"] == first.id()).then_some(()));
    both(&server);
    go(&mut first);
    first.wait().expect("ended");
    let pids = clients(Path::new("/bin/bash"), &format!("{}; :", client(&beside, &server)));
    let shown = shown_clients(&daemon, &server, AT_ONCE + pids.len());
    assert!(pids.iter().all(|pid| shown.contains_key(pid)));
    assert_eq!(shown.into_values().collect::<BTreeSet<_>>(), BTreeSet::from(["e2e-beside".to_owned()]));
}

#[test]
fn children_by_fork_that_end_at_once_are_counted_with_their_parent() {
    let setup = Setup::new();
    let cgroups = Cgroups::new();
    let daemon = setup.start();
    let shell = shell_named(&setup, "e2e-forks");
    let other = shell_named(&setup, "e2e-executed");
    // By a command line, of which a name says nothing.
    let server = Server::start();
    follow(&daemon, &json!({"snoopers": {"proc_name": [{"cmdline": "e2e-line"}]}}));
    let observed = |pid: u32| {
        let path = format!("/api/v1/targets?feature=tcp&pid={pid}");
        eventually("the parent to be in scope", || {
            let here = daemon.rest().get(&path).expect(200).json()["verdict"]["observed"] == true;
            here.then_some(())
        });
        // Answered by the probe, which has followed by then.
        daemon.put("tcp", r#"{"state":"running"}"#);
    };
    let parent = |client: &str| {
        let mut program = command(&shell);
        let script = format!(": e2e-line; read go; for i in {{1..{AT_ONCE}}}; do ( {client} ); done");
        program.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell")
    };
    let children = |mut parent: Child| -> BTreeSet<u32> {
        go(&mut parent);
        let output = parent.wait_with_output().expect("ended");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| line.parse().expect("a pid")).collect()
    };
    let connects = |server: &Server| format!(": 3<>/dev/tcp/127.0.0.1/{}", server.port);
    let started = parent(&format!("echo $BASHPID; {}", connects(&server)));
    observed(started.id());
    shown_as_clients(&daemon, &server, &children(started));

    // In a container, by whatever program.
    let server = Server::start();
    let container = container_id();
    observe(&daemon, &json!({"snoopers": {"container_id": [container]}}));
    let started = parent(&format!("exec {} -c \"echo \\$\\$; {}\"", other.display(), connects(&server)));
    cgroups.put(started.id(), &format!("docker/{container}"));
    observed(started.id());
    shown_as_clients(&daemon, &server, &children(started));
}

#[test]
fn a_pid_is_counted_and_its_child_is_not() {
    let setup = Setup::new();
    let daemon = setup.start();
    let server = Server::start();
    let shell = shell_named(&setup, "e2e-parent");
    // The child connects as well, and first.
    let mut parent = waiting(&shell, &format!("( {} ); {}", server.client(), server.client()));
    observe(&daemon, &json!({"snoopers": {"proc_id": [parent.id()]}}));
    // Of bound processes only the end matters.
    assert_eq!(tracker(&daemon), json!({"state": "idle"}));
    go(&mut parent);
    parent.wait().expect("ended");
    counted(&daemon, &server, &BTreeSet::from([parent.id()]));
}

#[test]
fn a_process_that_takes_a_name_or_executes_a_program_that_is_named_is_counted_from_then_on() {
    let setup = Setup::new();
    let daemon = setup.start();
    let server = Server::start();
    let [plain, named] = ["e2e-plain", "e2e-named"].map(|name| shell_named(&setup, name));
    // One takes the name itself; one executes a program that has it; the third leaves the scope by an exec.
    let renames = format!("printf e2e-named > /proc/$$/comm; read go; {}", server.client());
    let executes = format!("exec {} -c 'read go; {}'", named.display(), server.client());
    let leaves = format!("exec {} -c 'read go; {}'", plain.display(), server.client());
    let mut renaming = waiting(&plain, &renames);
    let mut executing = waiting(&plain, &executes);
    let mut leaving = waiting(&named, &leaves);
    follow(&daemon, &json!({"snoopers": {"proc_name": [{"comm": "^e2e-named$"}]}}));
    let targets = || daemon.rest().get("/api/v1/targets?feature=tcp").expect(200).json();
    let has = |page: &Value, pid: u32| {
        page["items"].as_array().is_some_and(|items| items.iter().any(|item| item["pid"] == pid))
    };
    assert!(has(&targets(), leaving.id()) && !has(&targets(), renaming.id()));
    [&mut renaming, &mut executing, &mut leaving].into_iter().for_each(go);
    eventually("the new names and programs", || {
        let page = targets();
        let all = has(&page, renaming.id()) && has(&page, executing.id()) && !has(&page, leaving.id());
        all.then_some(())
    });
    // Answered by the probe, which has followed by then.
    daemon.put("tcp", r#"{"state":"running"}"#);
    for child in [&mut renaming, &mut executing, &mut leaving] {
        go(child);
        child.wait().expect("ended");
    }
    counted(&daemon, &server, &BTreeSet::from([renaming.id(), executing.id()]));
}

#[test]
fn processes_that_are_moved_into_a_container_are_counted_with_those_in_containers_inside_it() {
    let setup = Setup::new();
    let cgroups = Cgroups::new();
    let daemon = setup.start();
    let server = Server::start();
    let [outer, inner] = [container_id(), container_id()];
    follow(&daemon, &json!({"snoopers": {"container_id": [outer]}}));
    let shell = shell_named(&setup, "e2e-inside");
    let mut pids = BTreeSet::new();
    for at in [format!("docker/{outer}"), format!("docker/{outer}/docker/{inner}"), "elsewhere".to_owned()] {
        let mut child = waiting(&shell, &server.client());
        cgroups.put(child.id(), &at);
        if at != "elsewhere" {
            pids.insert(child.id());
            let path = format!("/api/v1/targets?feature=tcp&pid={}", child.id());
            let observed = || daemon.rest().get(&path).expect(200).json()["verdict"]["observed"] == true;
            eventually("the move to be seen", || observed().then_some(()));
        }
        go(&mut child);
        child.wait().expect("ended");
    }
    counted(&daemon, &server, &pids);
}

#[test]
fn the_tracker_is_in_the_kernel_only_while_a_scope_needs_it() {
    let setup = Setup::new();
    let daemon = setup.start();
    let programs = || held("prog", daemon.pid()).len();
    assert_eq!((tracker(&daemon), programs()), (json!({"state": "idle"}), 0));
    let order = json!({
        "cmd": {"probe": ["proc"]}, "snoopers": {"proc_name": [{"comm": "^nosuch$"}]}, "state": "running",
    });
    daemon.put("baseinfo", &order.to_string());
    eventually("the tracker", || (tracker(&daemon)["state"] == "running").then_some(()));
    assert_eq!(programs(), 5);
    daemon.put("baseinfo", r#"{"state":"stopped"}"#);
    eventually("its end", || (tracker(&daemon)["state"] == "idle" && programs() == 0).then_some(()));
}

#[test]
fn without_the_right_to_it_processes_are_looked_for_and_the_capabilities_say_why() {
    let setup = Setup::new().section("limits", "capabilities = [\"CAP_SYS_PTRACE\"]");
    let daemon = setup.start();
    let missing = json!(["CAP_BPF is not held", "CAP_PERFMON is not held"]);
    assert_eq!(tracker(&daemon), json!({"state": "idle", "missing": missing}));
    let order = json!({
        "cmd": {"probe": ["proc"]}, "snoopers": {"proc_name": [{"comm": "^e2e-scanned$"}]}, "state": "running",
        "params": {"report_period": 5},
    });
    daemon.put("baseinfo", &order.to_string());
    eventually("the refusal", || (tracker(&daemon)["state"] == "unavailable").then_some(()));
    let shell = shell_named(&setup, "e2e-scanned");
    let mut program = command(&shell);
    program.args(["-c", "read never"]).stdin(Stdio::piped());
    let mut later = program.spawn().expect("a shell");
    eventually("it to be found", || {
        let page = daemon.rest().get("/api/v1/targets?feature=baseinfo").expect(200).json();
        (page["items"][0]["pid"] == later.id()).then_some(())
    });
    drop(later.stdin.take());
    later.wait().expect("ended");
    assert_eq!(tracker(&daemon)["missing"], missing);
    let ready = daemon.socket().get("/readyz?strict=1").expect(200).json();
    assert_eq!(ready["problems"], json!([]), "fewer rights are a choice, no fault");
}

#[test]
fn of_a_storm_nothing_is_lost_and_nobody_has_to_look_again() {
    let setup = Setup::new();
    let daemon = setup.start();
    observe(&daemon, &json!({"snoopers": {"proc_name": [{"comm": "^nosuch$", "cmdline": "^nosuch"}]}}));
    eventually("the tracker", || (tracker(&daemon)["state"] == "running").then_some(()));
    let told = |daemon: &Daemon<'_>| {
        daemon.scrape("/metrics").value("gopherd_tracker_events_total", &[]).expect("a count")
    };
    let before = told(&daemon);
    // As fast as a shell can: each is a fork, an exec and an end.
    text_of("bash", &["-c", "for i in {1..2000}; do /bin/true; done"]);
    eventually("all events", || (told(&daemon) >= before + 6000.0).then_some(()));
    let scrape = daemon.scrape("/metrics");
    assert_eq!(scrape.value("gopherd_scope_reconciles_total", &[]), Some(0.0));
    let lost = scrape.all("gopherd_lost_total").filter(|sample| sample.label("stage") == Some("tracker"));
    assert_eq!(lost.count(), 0);
}
