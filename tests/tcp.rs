//! `tcp` in the daemon: real servers and clients, beside what `ss` says and what the servers count themselves.

use gopher_e2e::bpf::{KINDS, existing, held};
use gopher_e2e::daemon::free_port;
use gopher_e2e::process::{Background, command, run, text_of};
use gopher_e2e::service::{BACKEND, SERVICE, beside_a_service};
use gopher_e2e::{Daemon, Setup, eventually, within};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Every daemon here sees the whole host: the connections that one test makes would fill the maps of another's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts `tcp` over all processes, with a report every five seconds.
#[track_caller]
fn observe(daemon: &Daemon<'_>, cport: u8) {
    let order = json!({
        "blacklist": {}, "state": "running",
        "params": {"report_period": 5, "sample_period": 1000, "report_cport": cport},
    });
    daemon.put("tcp", &order.to_string());
    let state = daemon.state("tcp");
    // Degraded is a kernel that keeps one field back; every sub-probe runs all the same.
    assert!(state == "running" || state == "degraded", "{:#}", daemon.probe("tcp"));
    for sub in daemon.probe("tcp")["status"]["sub_probes"].as_array().expect("sub-probes") {
        assert_ne!(sub["state"], "unavailable", "{sub:#}");
    }
}

/// Which rows a sum is over.
#[derive(Clone, Copy, Debug)]
struct Rows<'a> {
    comm: &'a str,
    role: &'a str,
    port: u16,
}

/// The sum of a metric over connections; 0 without any.
fn sum(daemon: &Daemon<'_>, name: &str, rows: Rows<'_>) -> f64 {
    shown(daemon, name, rows).unwrap_or(0.0)
}

/// The same; `None` without any.
fn shown(daemon: &Daemon<'_>, name: &str, rows: Rows<'_>) -> Option<f64> {
    let scrape = daemon.scrape("/metrics");
    let port = rows.port.to_string();
    let samples = scrape.all(name).filter(|sample| {
        sample.label("comm") == Some(rows.comm)
            && sample.label("role") == Some(rows.role)
            && sample.label("server_port") == Some(&port)
    });
    samples.map(|sample| sample.value).reduce(|sum, value| sum + value)
}

/// Waits until the sum of `gala_gopher_tcp_link_FIELD` is `value`.
#[track_caller]
fn becomes(daemon: &Daemon<'_>, field: &str, rows: Rows<'_>, value: f64) {
    let mut last = 0.0;
    let reached = within(Duration::from_secs(40), || {
        last = sum(daemon, &format!("gala_gopher_tcp_link_{field}"), rows);
        (last == value).then_some(())
    });
    assert!(reached.is_some(), "{field} of {rows:?}: {last}, not {value}");
}

/// The name of this process as the kernel has it.
fn own_comm() -> String {
    std::fs::read_to_string("/proc/self/comm").expect("comm").trim_end().to_owned()
}

/// Sends `question` and reads an answer of `length` bytes.
fn ask(stream: &mut TcpStream, question: &[u8], length: usize) -> Vec<u8> {
    stream.write_all(question).expect("asked");
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).expect("answered");
    answer
}

/// A field of redis's INFO.
fn info(text: &str, field: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {field} in {text}"))
}

#[test]
fn short_clients_of_redis_are_not_lost_and_both_ends_and_redis_count_the_same_bytes() {
    let _alone = alone();
    let setup = Setup::new();
    let daemon = setup.start();
    observe(&daemon, 0);
    let port = free_port();
    let mut server = command("redis-server");
    server.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
    let _server = Background::start(server, &setup.path("redis.log"));
    let mut first = eventually("redis to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
    // What gala-gopher told wrong: bytes of a client's first request, and clients that end within a period.
    let question = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
    let (clients, times) = (6_u32, 20_u32);
    for _ in 0..clients {
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        for _ in 0..times {
            assert_eq!(ask(&mut client, question, 5), b"+OK\r\n");
        }
    }
    // Processes that end as soon as they have their answer: redis counts their bytes with the others'.
    for _ in 0..20 {
        let answer = run("redis-cli", &["-p", &port.to_string(), "PING"], b"");
        assert_eq!(answer.stdout, b"PONG\n");
    }
    // redis counts this question and not yet its answer.
    first.write_all(b"INFO stats\r\n").expect("asked");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n") {
        head.extend_from_slice(&ask(&mut first, b"", 1));
    }
    let length: usize = String::from_utf8_lossy(&head)
        .trim_start_matches('$')
        .trim()
        .parse()
        .expect("the length of a bulk string");
    let text = ask(&mut first, b"", length + 2);
    let text = String::from_utf8(text).expect("text");
    let answer = f64::from(u32::try_from(head.len() + length + 2).expect("a length"));
    let received = info(&text, "total_net_input_bytes");
    let sent = info(&text, "total_net_output_bytes") + answer;
    let connections = info(&text, "total_connections_received");
    drop(first);

    let own = own_comm();
    let client = Rows { comm: &own, role: "client", port };
    let server = Rows { comm: "redis-server", role: "server", port };
    let bytes = f64::from(clients * times) * 33.0;
    assert_eq!(question.len(), 33);
    becomes(&daemon, "tx_bytes", client, bytes + 12.0);
    becomes(&daemon, "rx_bytes", client, f64::from(clients * times) * 5.0 + answer);
    becomes(&daemon, "rx_bytes", server, received);
    becomes(&daemon, "tx_bytes", server, sent);
    becomes(&daemon, "syn_srtt_count", server, connections);
    becomes(&daemon, "retran_packets", server, 0.0);
}

#[test]
fn a_living_connection_is_what_ss_says_of_it() {
    let _alone = alone();
    let setup = Setup::new();
    let daemon = setup.start();
    observe(&daemon, 1);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    let mut client = TcpStream::connect(at).expect("connected");
    let (mut server, _) = listener.accept().expect("accepted");
    for _ in 0..50 {
        client.write_all(&[1; 700]).expect("asked");
        ask(&mut server, &[2; 3000], 700);
        ask(&mut client, b"", 3000);
    }
    let port = client.local_addr().expect("an address").port().to_string();
    let labels = |role| [("role", role), ("client_port", &*port)];
    // The last acknowledgement may be sent after a reading: then the next one has it, and nothing moves any more.
    let mut last = String::new();
    let same = within(Duration::from_secs(40), || {
        let scrape = daemon.scrape("/metrics");
        for (role, filter) in [("client", format!("sport = :{port}")), ("server", format!("dport = :{port}"))]
        {
            let text = text_of("ss", &["-tinH", "state", "established", &filter]);
            let of = |field: &str| -> f64 {
                let word =
                    text.split_whitespace().find_map(|word| word.strip_prefix(field)?.strip_prefix(':'));
                word.map_or(0.0, |word| word.parse().expect("a number"))
            };
            for (field, expected) in [
                ("tx_bytes", of("bytes_sent") - of("bytes_retrans")),
                ("rx_bytes", of("bytes_received")),
                ("segs_in", of("segs_in")),
                ("segs_out", of("segs_out")),
            ] {
                let value = scrape.value(&format!("gala_gopher_tcp_link_{field}"), &labels(role));
                if value != Some(expected) {
                    last = format!("{role} {field} {value:?}: {text}");
                    return None;
                }
            }
        }
        Some(())
    });
    assert!(same.is_some(), "{last}");
    let scrape = daemon.scrape("/metrics");
    let sent = |role| scrape.value("gala_gopher_tcp_link_tx_bytes", &labels(role));
    assert_eq!((sent("client"), sent("server")), (Some(35_000.0), Some(150_000.0)));
}

#[test]
fn nginx_logs_the_bytes_that_are_counted_for_it() {
    let _alone = alone();
    let setup = Setup::new();
    let daemon = setup.start();
    observe(&daemon, 0);
    let port = free_port();
    let (log, root) = (setup.path("access.log"), setup.path("www"));
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::write(root.join("page"), vec![b'x'; 10_000]).expect("a page");
    let text = format!(
        "daemon off; worker_processes 2; pid {home}/nginx.pid; error_log {home}/error.log; events {{}}
         http {{ log_format bytes '$request_length $bytes_sent'; access_log {log} bytes; client_body_temp_path {home}/t1;
         proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3; uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
         server {{ listen 127.0.0.1:{port}; root {root}; }} }}",
        home = setup.path("").display(),
        log = log.display(),
        root = root.display(),
    );
    std::fs::set_permissions(setup.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("open");
    std::fs::write(setup.path("nginx.conf"), text).expect("a configuration");
    let mut nginx = command("nginx");
    nginx.arg("-c").arg(setup.path("nginx.conf")).arg("-p").arg(setup.path(""));
    let _nginx = Background::start(nginx, &setup.path("nginx.log")).asked_to_end();
    let request = b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let (mut sent, mut received) = (0.0, 0.0);
    let connect = || TcpStream::connect(("127.0.0.1", port)).ok();
    let mut streams = vec![eventually("nginx to listen", connect)];
    streams.extend((0..99).filter_map(|_| connect()));
    assert_eq!(streams.len(), 100);
    for mut stream in streams {
        stream.write_all(request).expect("asked");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        sent += f64::from(u32::try_from(request.len()).expect("a length"));
        received += f64::from(u32::try_from(answer.len()).expect("a length"));
    }
    let own = own_comm();
    let client = Rows { comm: &own, role: "client", port };
    let server = Rows { comm: "nginx", role: "server", port };
    becomes(&daemon, "tx_bytes", client, sent);
    becomes(&daemon, "rx_bytes", client, received);
    becomes(&daemon, "rx_bytes", server, sent);
    becomes(&daemon, "tx_bytes", server, received);
    becomes(&daemon, "syn_srtt_count", server, 100.0);
    let logged = std::fs::read_to_string(log).expect("the log");
    let column = |index: usize| -> f64 {
        let number = |line: &str| line.split(' ').nth(index).and_then(|word| word.parse::<f64>().ok());
        logged.lines().filter_map(number).sum()
    };
    assert_eq!((column(0), column(1)), (sent, received), "nginx's own count");
}

#[test]
fn a_service_s_address_is_shown_as_that_of_the_backend_that_answers() {
    let _alone = alone();
    beside_a_service(|| {
        let setup = Setup::new();
        let daemon = setup.start();
        let order = json!({
            "blacklist": {}, "state": "running",
            "params": {"report_period": 5, "sample_period": 1000, "cluster_ip_backend": 1},
        });
        daemon.put("tcp", &order.to_string());
        let listener = TcpListener::bind(BACKEND).expect("a port");
        for _ in 0..5 {
            let mut client = TcpStream::connect(SERVICE).expect("connected");
            let (mut server, _) = listener.accept().expect("accepted");
            client.write_all(&[1; 100]).expect("sent");
            ask(&mut server, b"", 100);
        }
        let own = own_comm();
        becomes(&daemon, "tx_bytes", Rows { comm: &own, role: "client", port: 8080 }, 500.0);
        let scrape = daemon.scrape("/metrics");
        let labels = [("comm", &*own), ("role", "client"), ("server_port", "8080"), ("client_port", "0")];
        assert_eq!(scrape.value("gala_gopher_tcp_link_tx_bytes", &labels), Some(500.0));
        assert!(
            scrape
                .value("gala_gopher_tcp_link_tx_bytes", &[("server_ip", "10.96.0.1"), ("role", "client")])
                .is_none()
        );
    });
}

/// Everything of the kernel's that the daemon holds: ids of BPF objects by kind, and how many descriptors.
fn holds(daemon: &Daemon<'_>) -> ([Vec<u64>; 3], usize) {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("descriptors").count();
    (KINDS.map(|kind| held(kind, daemon.pid())), descriptors)
}

/// Ends the traffic when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_thousand_changes_of_the_scope_under_traffic_take_no_counter_back_and_leave_nothing_behind() {
    let _alone = alone();
    let setup = Setup::new();
    let daemon = setup.start();
    observe(&daemon, 0);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    let end = AtomicBool::new(false);
    let (changed, sent) = std::thread::scope(|threads| {
        // Also when something here does not hold: the scope waits for its threads.
        let ends = Ends(&end);
        let traffic = threads.spawn(|| {
            let mut client = TcpStream::connect(at).expect("connected");
            let (mut server, _) = listener.accept().expect("accepted");
            let mut sent = 0_u32;
            while !end.load(Ordering::Relaxed) {
                client.write_all(&[1; 100]).expect("sent");
                ask(&mut server, &[2; 50], 100);
                ask(&mut client, b"", 50);
                // And connections that come and go.
                drop((TcpStream::connect(at).expect("connected"), listener.accept().expect("accepted")));
                sent += 1;
            }
            sent
        });
        let before = holds(&daemon);
        let own = std::process::id();
        let scopes = [
            json!({"snoopers": {"proc_id": [own]}}),
            json!({"blacklist": {}}),
            json!({"snoopers": {"proc_name": [{"comm": "^no such process$"}]}}),
            json!({"snoopers": {"proc_id": [own, 1]}}),
        ];
        let rows = Rows { comm: &own_comm(), role: "client", port: at.port() };
        let mut last = 0.0;
        for round in 0..1000 {
            daemon.put("tcp", &scopes[round % scopes.len()].to_string());
            // What was out of scope a moment ago may not be shown again yet.
            if round % 100 == 1
                && let Some(now) = shown(&daemon, "gala_gopher_tcp_link_tx_bytes", rows)
            {
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        }
        daemon.put("tcp", &scopes[1].to_string());
        drop(ends);
        // The process tracker, which one of the scopes needed, goes a moment later.
        let changed = eventually("the BPF objects and descriptors of before", || {
            let now = holds(&daemon);
            (now.0 == before.0 && now.1 <= before.1 + 8).then_some(now)
        });
        (changed, traffic.join().expect("traffic"))
    });
    for (kind, ids) in KINDS.iter().zip(&changed.0) {
        assert_eq!(existing(kind, ids).len(), ids.len(), "bpftool has each {kind}");
    }
    let own = own_comm();
    let client = Rows { comm: &own, role: "client", port: at.port() };
    becomes(&daemon, "tx_bytes", client, f64::from(sent) * 100.0);
    becomes(&daemon, "rx_bytes", client, f64::from(sent) * 50.0);
}

#[test]
fn no_bpf_object_is_left_by_a_stop_of_the_probe_or_by_the_kill_of_the_daemon() {
    let _alone = alone();
    let setup = Setup::new();
    let daemon = setup.start();
    observe(&daemon, 0);
    let stopped = held("prog", daemon.pid());
    assert!(stopped.len() >= 4, "{stopped:?}");
    daemon.put("tcp", r#"{"state":"stopped"}"#);
    eventually("the programs to be gone after a stop", || {
        existing("prog", &stopped).is_empty().then_some(())
    });
    assert!(daemon.scrape("/metrics").all("gala_gopher_tcp_link_tx_bytes").next().is_none());
    observe(&daemon, 0);
    let killed = held("prog", daemon.pid());
    assert!(existing("prog", &killed).len() >= 4, "{killed:?}");
    daemon.kill();
    eventually("the programs to be gone after a kill", || existing("prog", &killed).is_empty().then_some(()));
}

#[test]
fn what_its_programs_and_maps_cost_is_told() {
    let _alone = alone();
    let setup = Setup::new();
    let daemon = setup.start();
    observe(&daemon, 0);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    let program = [("probe", "tcp"), ("program", "state_call")];
    daemon.scrape_until("a measurement that met a connection", |scrape| {
        for _ in 0..20 {
            drop((TcpStream::connect(at).expect("connected"), listener.accept().expect("accepted")));
        }
        let value = |name| scrape.value(name, &program).filter(|value| *value > 0.0);
        let (runs, seconds) = (value("gopherd_bpf_runs_total")?, value("gopherd_bpf_run_seconds_total")?);
        let each = seconds / runs;
        assert!((10e-9..1e-3).contains(&each), "{each} s a run");
        Some(())
    });
    let scrape = daemon.scrape("/metrics");
    let maps = scrape.value("gopherd_bpf_map_bytes", &[("probe", "tcp")]).expect("maps");
    assert!((50_000.0..64e6).contains(&maps), "{maps}");
    let measured = scrape.value("gopherd_bpf_measured_seconds_total", &[]).expect("a time");
    assert!(measured > 0.0);
    let cost = &daemon.probe("tcp")["status"]["cost"];
    assert!(cost["map_bytes"].as_u64().is_some_and(|bytes| bytes > 50_000), "{cost}");
    assert!(cost["bpf_ns_per_s"].is_u64(), "{cost}");
    daemon.put("tcp", r#"{"state":"stopped"}"#);
    let maps = || daemon.scrape("/metrics").value("gopherd_bpf_map_bytes", &[("probe", "tcp")]);
    eventually("the maps to be gone", || (maps() == Some(0.0)).then_some(()));
}
