//! From start to end: nothing runs before it is asked for, what was asked for shows, what was stopped is gone,
//! and the process ends and starts again whatever happened to it.

use gopher_e2e::{Setup, eventually, process};
use rustix::process::Signal;

const MEMORY: &str = r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#;

#[test]
fn nothing_runs_until_it_is_asked_for() {
    let setup = Setup::new();
    let daemon = setup.start();
    let probes = daemon.rest().get("/api/v1/probes").expect(200).json();
    let items = probes["items"].as_array().expect("a list of features");
    assert!(items.len() >= 21, "every feature of gala-gopher is listed: {}", items.len());
    for item in items {
        let state = item["status"]["state"].as_str().or(item["state"].as_str());
        assert!(matches!(state, Some("stopped" | "unavailable")), "{item}");
    }
    assert_eq!(daemon.rest().get("/baseinfo").expect(200).json(), serde_json::json!({}));
    let scrape = daemon.scrape("/metrics");
    assert!(scrape.names("gala_gopher_").is_empty(), "{:?}", scrape.names("gala_gopher_"));
    assert_eq!(scrape.names("gopherd_build_info").len(), 1);
}

#[test]
fn a_started_probe_shows_its_metrics_and_a_stopped_one_none() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", MEMORY);
    assert_eq!(daemon.state("baseinfo"), "running");
    daemon.scrape_until("the memory of the host", |scrape| scrape.value("gala_gopher_mem_total_kB", &[]));

    daemon.put("baseinfo", r#"{"state":"stopped"}"#);
    let scrape = daemon.scrape("/metrics");
    assert!(scrape.names("gala_gopher_").is_empty(), "series go at once: {:?}", scrape.names("gala_gopher_"));
    assert_eq!(daemon.state("baseinfo"), "stopped");

    daemon.put("baseinfo", r#"{"state":"running"}"#);
    daemon.scrape_until("the memory again", |scrape| scrape.value("gala_gopher_mem_total_kB", &[]));
}

#[test]
fn sub_probes_come_and_go_while_the_probe_runs() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"params":{"report_period":600},"state":"running"}"#);
    daemon.scrape_until("memory", |scrape| scrape.value("gala_gopher_mem_total_kB", &[]));
    daemon.put("baseinfo", r#"{"cmd":{"probe":["net"]}}"#);
    let scrape = daemon.scrape("/metrics");
    assert_eq!(scrape.names("gala_gopher_mem_").len(), 0, "series of what is switched off go at once");
    daemon.scrape_until("the network, long before a period is over", |scrape| {
        assert!(scrape.names("gala_gopher_mem_").is_empty());
        scrape.all("gala_gopher_net_tcp_in_segs").next().map(|_| ())
    });
    daemon.put("baseinfo", r#"{"cmd":{"probe":["net","mem"]}}"#);
    daemon.scrape_until("memory again beside the network", |scrape| {
        assert!(scrape.all("gala_gopher_net_tcp_in_segs").next().is_some());
        scrape.value("gala_gopher_mem_total_kB", &[])
    });
}

#[test]
fn both_listeners_and_the_socket_say_that_it_is_ready() {
    let setup = Setup::new();
    let daemon = setup.start();
    for listener in [daemon.rest(), daemon.metrics(), daemon.socket()] {
        listener.get("/healthz").expect(200);
        let ready = listener.get("/readyz").expect(200).json();
        assert_eq!(ready["ready"], true);
        assert_eq!(ready["problems"], serde_json::json!([]));
        listener.get("/readyz?strict=1").expect(200);
    }
}

#[test]
fn sigterm_and_sigint_end_it_with_success_and_leave_no_socket() {
    for signal in [Signal::TERM, Signal::INT] {
        let setup = Setup::new();
        let mut daemon = setup.start();
        daemon.put("baseinfo", MEMORY);
        daemon.signal(signal);
        let status = daemon.wait();
        assert!(status.success(), "{signal:?}: {status}");
        assert!(!setup.socket_path().exists());
    }
}

#[test]
fn an_end_under_load_is_orderly_and_leaves_nothing_behind() {
    let setup = Setup::new();
    let mut daemon = setup.start();
    daemon.put("baseinfo", r#"{"params":{"report_period":5},"state":"running"}"#);
    let (rest, metrics) = (daemon.rest(), daemon.metrics());
    let stopped = std::sync::atomic::AtomicBool::new(false);
    let answered = std::sync::atomic::AtomicUsize::new(0);
    let status = std::thread::scope(|scope| {
        for number in 0..6_usize {
            let (client, stopped, answered) =
                (if number % 2 == 0 { &rest } else { &metrics }, &stopped, &answered);
            scope.spawn(move || {
                while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    let (method, path, body): (_, _, &[u8]) = match number {
                        0 => ("PUT", "/baseinfo", br#"json={"params":{"res_upper_thr":7}}"#),
                        2 => ("GET", "/baseinfo", b""),
                        4 => ("PUT", "/baseinfo", br#"json={"cmd":{"probe":["mem"]}}"#),
                        _ => ("GET", "/metrics", b""),
                    };
                    match client.try_send(method, path, &[], body.to_vec()) {
                        // While it stops a change is refused with 503; nothing is answered with nonsense.
                        Ok(answer) => {
                            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
                            answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                        Err(_) => std::thread::yield_now(),
                    }
                }
            });
        }
        eventually("load", || (answered.load(std::sync::atomic::Ordering::Relaxed) > 200).then_some(()));
        daemon.signal(Signal::TERM);
        let status = daemon.wait();
        stopped.store(true, std::sync::atomic::Ordering::Relaxed);
        status
    });
    assert!(status.success(), "{status}: {}", daemon.log());
    let left: Vec<_> = std::fs::read_dir(setup.path("run")).expect("the run folder").flatten().collect();
    // The lock file stays, since removing it would let two daemons lock two files of one name; nobody is named
    // in it and nobody holds it.
    assert_eq!(left.iter().map(std::fs::DirEntry::file_name).collect::<Vec<_>>(), ["gopherd.pid"]);
    assert_eq!(std::fs::read_to_string(setup.path("run/gopherd.pid")).expect("the lock file"), "");
    drop(daemon);
    assert!(setup.start().terminate().success());
}

#[test]
fn a_second_one_on_the_same_folder_names_the_pid_of_the_first() {
    let setup = Setup::new();
    let daemon = setup.start();
    let second = setup.run(&[]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&daemon.pid().to_string()), "{said}");
    daemon.rest().get("/healthz").expect(200);
}

#[test]
fn a_killed_one_leaves_nothing_in_the_way_of_the_next() {
    let setup = Setup::new();
    for _ in 0..3 {
        let daemon = setup.start();
        daemon.put("baseinfo", MEMORY);
        daemon.kill();
    }
    assert!(setup.start().terminate().success());
}

#[test]
fn a_taken_port_is_named_and_ends_the_start() {
    let setup = Setup::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", setup.rest_port)).expect("the port");
    let output = setup.run(&[]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&setup.rest_port.to_string()), "{said}");
    drop(taken);
}

#[test]
fn it_runs_without_root_and_without_any_capability() {
    let setup = Setup::new().user(65_534);
    let daemon = setup.start();
    let status = gopher_e2e::daemon::proc_file(daemon.pid(), "status").expect("the daemon's status");
    assert!(status.lines().any(|line| line.starts_with("CapEff:") && line.ends_with("0000000000000000")));
    // All that is run by default, on its own process, which it may read, and on one of root, which it may not.
    let own = daemon.pid();
    let body = format!(r#"{{"snoopers":{{"proc_id":[{own},1]}},"state":"running"}}"#);
    daemon.put("baseinfo", &body);
    let own = own.to_string();
    let scrape = daemon.scrape_until("each part that needs no right", |scrape| {
        let names = ["mem_total_kB", "cpu_total_used_per", "net_tcp_in_segs", "fs_Used", "host_value"];
        let there = names.iter().all(|name| scrape.all(&format!("gala_gopher_{name}")).next().is_some());
        let process = scrape.value("gala_gopher_proc_rchar_bytes", &[("tgid", &own)]);
        (there && process.is_some()).then(|| scrape.clone())
    });
    assert!(
        scrape.value("gala_gopher_proc_num_threads", &[("tgid", "1")]).is_some(),
        "everybody may read this"
    );
    assert_eq!(scrape.value("gala_gopher_proc_rchar_bytes", &[("tgid", "1")]), None, "absent, not 0");
    let held = &daemon.rest().get("/api/v1/capabilities").expect(200).json();
    assert!(held.to_string().contains("capabilities"), "{held}");
}

#[test]
fn the_probes_of_probes_init_run_after_the_start() {
    let setup = Setup::new()
        .probes_init("# a comment\n\nbaseinfo {\"cmd\":{\"probe\":[\"mem\"]},\"state\":\"running\"}\n");
    let daemon = setup.start();
    daemon.scrape_until("memory", |scrape| scrape.value("gala_gopher_mem_total_kB", &[]));
    assert_eq!(daemon.rest().get("/baseinfo").expect(200).json()["state"], "running");
}

#[test]
fn the_command_line_names_its_version_and_its_probes() {
    let setup = Setup::new();
    let version = setup.run(&["--version"]);
    assert!(version.status.success());
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let list = process::run(process::built("gopherd"), &["--list-probes"], b"");
    assert!(list.status.success());
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    for feature in ["baseinfo", "virt", "tcp", "dnsmasq", "haproxy"] {
        assert!(list.contains(feature), "{list}");
    }
}

#[test]
fn the_socket_is_for_its_owner_and_group_only() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    let daemon = setup.start();
    let mode = std::fs::metadata(setup.socket_path()).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    drop(daemon);
}

#[test]
fn gopher_ctl_reads_and_changes_a_probe_over_the_socket() {
    let setup = Setup::new();
    let daemon = setup.start();
    let socket = setup.socket_path();
    let socket = socket.to_str().expect("a path of text");
    let ctl = |args: &[&str]| {
        let output = process::run(process::built("gopher-ctl"), &[&["--socket", socket], args].concat(), b"");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(ctl(&["probe", "set", "baseinfo", MEMORY]).0);
    let (success, document) = ctl(&["probe", "get", "baseinfo"]);
    assert!(success);
    let document: serde_json::Value = serde_json::from_str(&document).expect("the compatible document");
    assert_eq!(document["state"], "running");
    eventually("gopher-ctl metric to print the memory", || {
        ctl(&["metric"]).1.contains("gala_gopher_mem_total_kB").then_some(())
    });
    assert!(!ctl(&["probe", "set", "baseinfo", r#"{"params":{"report_period":1}}"#]).0);
    assert!(!ctl(&["probe", "get", "nosuch"]).0);
    assert!(ctl(&["probe", "set", "baseinfo", r#"{"state":"stopped"}"#]).0);
    drop(daemon);
}
