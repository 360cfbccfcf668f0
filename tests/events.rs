//! Events of a real daemon: a disk that fills, processors that are busy, a process without descriptors, a listening
//! socket that is overrun, a peer that does not read. Each is seen on the live stream, as a page, by `gopher-ctl`, and
//! is over when its cause is.

use gopher_e2e::ctl::{ctl, done};
use gopher_e2e::daemon::free_port;
use gopher_e2e::process::{Background, built, command};
use gopher_e2e::stream::{Following, Sent};
use gopher_e2e::{Daemon, Setup, SmallDisk, eventually};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

/// Events of this metric, and of an entity whose id has `part` in it.
fn of<'a>(metric: &'a str, part: &'a str) -> impl Fn(&Sent) -> bool + 'a {
    move |sent| {
        let document = sent.json();
        document["Resource"]["metric"] == format!("gala_gopher_{metric}").as_str()
            && document["Attributes"]["entity_id"].as_str().is_some_and(|id| id.contains(part))
    }
}

fn began(sent: &Sent) -> bool {
    sent.json()["Attributes"]["event_type"] == "sys"
}

fn ended(sent: &Sent) -> bool {
    sent.json()["Attributes"]["event_type"] == "recovered"
}

fn own(daemon: &Daemon<'_>, name: &str, probe: &str) -> f64 {
    daemon.scrape("/metrics/cumulative").value(name, &[("probe", probe)]).unwrap_or(0.0)
}

fn own_plain(daemon: &Daemon<'_>, name: &str) -> f64 {
    daemon.scrape("/metrics/cumulative").must(name, &[])
}

/// `baseinfo` with a report every five seconds and everything above `threshold` percent an event.
fn baseinfo(daemon: &Daemon<'_>, probes: &[&str], threshold: u32, more: &Value) {
    let mut order = json!({
        "cmd": {"probe": probes}, "state": "running",
        "params": {"report_period": 5, "report_event": 1, "res_upper_thr": threshold},
    });
    for (key, value) in more.as_object().expect("an object") {
        order[key] = value.clone();
    }
    daemon.put("baseinfo", &order.to_string());
}

/// A shell's child that does this; ended with the test.
fn shell(setup: &Setup, script: &str) -> Background {
    let mut program = command("sh");
    program.args(["-c", script]);
    Background::start(program, &setup.path("child.log"))
}

#[test]
fn a_full_file_system_is_told_once_everywhere_alike_and_its_end_too() {
    let setup = Setup::new();
    let Some(disk) = SmallDisk::mount(&setup.path("small disk"), "1m", 100) else { return };
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![b'x'; 900 << 10]).expect("it fits");
    let daemon = setup.start();
    let stream = Following::start(&daemon.rest(), "&feature=baseinfo&entity=fs", None);
    let mut program = command(built("gopher-ctl"));
    program.arg("--socket").arg(setup.socket_path()).args(["events", "--follow", "--entity", "fs"]);
    let _following = Background::start(program, &setup.path("events.txt"));
    eventually("gopher-ctl to follow", || {
        (own_plain(&daemon, "gopherd_event_followers") == 2.0).then_some(())
    });
    baseinfo(&daemon, &["fs"], 80, &json!({}));
    let full = of("fs_UsePer", ":small:disk");
    let sent = stream.wait("the event", |sent| full(sent) && began(sent));
    let event = sent.json();
    assert_eq!(event["SeverityText"], "WARN");
    let id = event["Attributes"]["entity_id"].as_str().expect("an id");
    let machine = event["Resource"]["labels"]["Host"].as_str().expect("a machine id");
    let path = disk.path().to_str().expect("a path of text").replace(['/', ' '], ":");
    assert_eq!(id, format!("{machine}_fs_{path}"));
    assert_eq!(event["event_id"], format!("{}_{id}", event["Timestamp"]));
    let body = event["Body"].as_str().expect("a text");
    assert!(body.contains(&format!("WARN Entity({}) ", disk.path().display())), "{body}");
    // The metric says the same, and by the same labels.
    let used = daemon
        .scrape("/metrics")
        .must("gala_gopher_fs_UsePer", &[("MountOn", disk.path().to_str().expect("text"))]);
    assert!(body.contains(&format!(" {used}% ")), "{used}: {body}");

    // The page has the same document, byte for byte.
    let page = daemon.rest().get(&format!("/api/v1/events?entity={id}")).expect(200);
    assert!(page.text().contains(&sent.data), "{}", page.text());
    assert_eq!(page.json()["items"][0]["id"], sent.id.as_str());
    let none = daemon.rest().get("/api/v1/events?feature=tcp").expect(200).json();
    assert_eq!(none["items"], json!([]));
    let line = done(ctl(&setup, &["events", "--entity", id], ""));
    assert!(line.contains(body) && line.contains("[gala_gopher_fs_UsePer]"), "{line}");
    eventually("gopher-ctl to show it", || {
        let shown = std::fs::read_to_string(setup.path("events.txt")).unwrap_or_default();
        shown.contains(&line.lines().next().expect("a line").to_owned()).then_some(())
    });
    let asked = done(ctl(&setup, &["--json", "events", "--feature", "BaseInfo", "--severity", "warn"], ""));
    assert!(asked.contains(&sent.data), "{asked}");

    // It goes on, and is not told again.
    eventually("a suppressed event", || {
        (own(&daemon, "gopherd_events_suppressed_total", "baseinfo") > 0.0).then_some(())
    });
    let told = |kind: fn(&Sent) -> bool| {
        stream.messages().into_iter().filter(|sent| full(sent) && kind(sent)).count()
    };
    assert_eq!((told(began), told(ended)), (1, 0));
    assert!(own(&daemon, "gopherd_event_conditions", "baseinfo") >= 1.0);

    std::fs::remove_file(&filler).expect("room again");
    let over = stream.wait("the end", |sent| full(sent) && ended(sent)).json();
    assert_eq!((&over["SeverityText"], &over["Attributes"]["entity_id"]), (&json!("INFO"), &json!(id)));
    assert_eq!((told(began), told(ended)), (1, 1));
    // It is not counted: `event.recovery` is off, so it went to the live stream alone.
    let here: Vec<usize> =
        stream.messages().iter().filter(|sent| began(sent)).map(|sent| sent.data.len()).collect();
    assert_eq!(own(&daemon, "gopherd_events_total", "baseinfo"), here.len() as f64);
    assert_eq!(own(&daemon, "gopherd_event_bytes_total", "baseinfo"), here.iter().sum::<usize>() as f64);

    // Who comes back is sent what it missed.
    let again = Following::start(&daemon.rest(), "&entity=fs", Some(&sent.id));
    let resumed = again.wait("the end once more", |sent| full(sent) && ended(sent));
    assert_eq!(resumed.json(), over);
    assert!(!again.messages().contains(&sent), "only what came after it");
    let foreign = Following::start(&daemon.rest(), "", Some("1-1"));
    foreign.wait("being told of a gap", |sent| sent.kind == "missed");
    assert!(foreign.messages().contains(&sent));
    assert!(daemon.terminate().success(), "followers keep no daemon from ending");
}

#[test]
fn busy_processors_and_a_process_without_descriptors_are_events_that_suppression_counts() {
    let setup =
        Setup::new().section("event", "timeout = 7\ndesc_language = \"zh_CN\"\nlegacy_metrics_key = true");
    let daemon = setup.start();
    let spinning: Vec<_> = (0..std::thread::available_parallelism().map_or(1, usize::from))
        .map(|_| shell(&setup, "while :; do :; done"))
        .collect();
    let opened: String = (3..10).map(|fd| format!("exec {fd}</dev/null; ")).collect();
    let poor = shell(&setup, &format!("ulimit -n 14; {opened} exec sleep 600"));
    let stream = Following::start(&daemon.rest(), "", None);
    let pid = poor.pid().to_string();
    baseinfo(&daemon, &["cpu", "proc"], 50, &json!({"snoopers": {"proc_id": [poor.pid()]}}));
    let busy = stream.wait("busy processors", of("cpu_total_used_per", "_cpu_cpu")).json();
    assert!(busy["Body"].as_str().expect("a text").contains("CPU 使用率为"), "{busy}");
    assert_eq!(busy["Resource"]["metrics"], busy["Resource"]["metric"]);
    let out = stream.wait("a process without descriptors", of("proc_fd_free_per", &pid)).json();
    let labels = &out["Resource"]["labels"];
    assert_eq!((&labels["PID"], &labels["COMM"]), (&json!(pid), &json!("sleep")));
    // It goes on: told again after the timeout, with the number of periods in between.
    let many = stream.wait("the number of those that were not told", |sent| {
        of("proc_fd_free_per", &pid)(sent) && sent.json()["Attributes"]["suppressed"] == 1
    });
    assert!(began(&many));
    // Its subject is gone, and so is what held.
    drop(poor);
    stream.wait("its end", |sent| of("proc_fd_free_per", &pid)(sent) && ended(sent));
    daemon.put("baseinfo", r#"{"state":"stopped"}"#);
    stream.wait("the end of what was watched", |sent| of("cpu_total_used_per", "")(sent) && ended(sent));
    drop(spinning);
}

/// A listening socket whose queue takes two connections.
fn narrow(port: u16) -> OwnedFd {
    let socket =
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("bound");
    listen(&socket, 1).expect("listens");
    socket
}

/// Connects without waiting.
fn knock(port: u16) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).expect("a socket");
    let under_way = connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    assert!(matches!(under_way, Ok(()) | Err(rustix::io::Errno::INPROGRESS)), "{under_way:?}");
    socket
}

#[test]
fn an_overrun_listening_socket_is_an_event_with_both_ends_until_nobody_knocks_any_more() {
    let setup = Setup::new();
    let daemon = setup.start();
    let stream = Following::start(&daemon.rest(), "", None);
    let port = free_port();
    let listening = narrow(port);
    let order = |more: Value| json!({"blacklist": {}, "state": "running", "params": more}).to_string();
    daemon.put("socket", &order(json!({"report_period": 5, "report_event": 1})));
    let server = port.to_string();
    // Its first report, so that what comes now is growth.
    daemon.scrape_until("the listening socket", |scrape| {
        let mut rows = scrape.all("gala_gopher_endpoint_tcp_listendrop");
        rows.any(|row| row.label("server_port") == Some(&server)).then_some(())
    });
    let clients: Vec<_> = (0..40).map(|_| knock(port)).collect();
    let at = format!("_{server}_");
    for metric in ["endpoint_tcp_listendrop", "endpoint_tcp_accept_overflow"] {
        let event = stream.wait(metric, of(metric, &at)).json();
        let labels = &event["Resource"]["labels"];
        let ends = labels["IP"].as_str().expect("a text");
        assert!(ends.ends_with(&format!(":{server}")), "{event}");
        assert_eq!(labels["PID"], std::process::id().to_string(), "{event}");
    }
    // Nobody knocks any more.
    drop(clients);
    stream.wait("the end", |sent| of("endpoint_tcp_listendrop", &at)(sent) && ended(sent));
    drop(listening);
}

#[test]
fn a_peer_that_does_not_read_is_an_event_of_a_closed_window() {
    let setup = Setup::new();
    let daemon = setup.start();
    let stream = Following::start(&daemon.rest(), "&feature=tcp", None);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let params = json!({"report_period": 5, "sample_period": 100, "report_event": 1, "res_upper_thr": 20});
    let scope = json!({"proc_id": [std::process::id()]});
    daemon.put("tcp", &json!({"snoopers": scope, "state": "running", "params": params}).to_string());
    let mut sender = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
    let (silent, _) = listener.accept().expect("accepted");
    sender.set_nonblocking(true).expect("set");
    // Until nothing fits any more; then the window is closed, and stays so.
    let block = [0; 65_536];
    while sender.write(&block).is_ok() {}
    let event = stream.wait("a closed window", of("tcp_link_zero_win_tx_ratio", &format!("_{port}_"))).json();
    let body = event["Body"].as_str().expect("a text");
    assert!(body.contains("window was closed"), "{body}");
    drop(silent);
}

#[test]
fn what_makes_no_sense_is_refused_and_only_so_many_may_follow() {
    let setup = Setup::new();
    let daemon = setup.start();
    let rest = daemon.rest();
    for (query, status, word) in [
        ("severity=LOUD", 400, "severity"),
        ("since=yesterday", 400, "since"),
        ("after=12", 400, "after"),
        ("limit=0", 400, "limit"),
        ("limit=1001", 400, "limit"),
        ("until=2026-01-01T00:00:00Z&follow=true", 400, "until"),
        ("unknown=1", 400, "unknown"),
        ("feature=nosuch", 404, "feature"),
    ] {
        let answer = rest.get(&format!("/api/v1/events?{query}")).expect(status).json();
        assert!(answer["detail"].as_str().expect("a detail").contains(word), "{query}: {answer}");
    }
    let bad = rest.send("GET", "/api/v1/events?follow=true", &[("last-event-id", "x")], "").expect(400);
    assert!(bad.text().contains("Last-Event-ID"), "{}", bad.text());
    let following: Vec<_> = (0..32).map(|_| Following::start(&rest, "", None)).collect();
    let refused = rest.get("/api/v1/events?follow=true").expect(503);
    assert!(refused.header("retry-after").is_some());
    let value = |name: &str| daemon.scrape("/metrics/cumulative").must(name, &[]);
    assert_eq!(
        (value("gopherd_event_followers"), value("gopherd_event_followers_refused_total")),
        (32.0, 1.0)
    );
    drop(following);
    eventually("the places to be free again", || (value("gopherd_event_followers") == 0.0).then_some(()));
}
