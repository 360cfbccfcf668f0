//! `socket` in the daemon: real servers and clients, beside what the servers and the kernel count themselves.

use gopher_e2e::bpf::{KINDS, existing, held};
use gopher_e2e::daemon::free_port;
use gopher_e2e::process::{Background, command, run, text_of};
use gopher_e2e::service::{BACKEND, SERVICE, beside_a_service};
use gopher_e2e::{Daemon, Scrape, Setup, eventually};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// Puts `socket` over the processes that `selection` selects, with a report every five seconds.
#[track_caller]
fn observe(daemon: &Daemon<'_>, selection: &Value) {
    let mut order = json!({"state": "running", "params": {"report_period": 5}});
    for (key, value) in selection.as_object().expect("an object") {
        order[key] = value.clone();
    }
    daemon.put("socket", &order.to_string());
    for sub in daemon.probe("socket")["status"]["sub_probes"].as_array().expect("sub-probes") {
        assert_ne!(sub["state"], "unavailable", "{sub:#}");
    }
}

fn redis(setup: &Setup) -> (Background, u16) {
    let port = free_port();
    let mut server = command("redis-server");
    server.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
    let server = Background::start(server, &setup.path("redis.log"));
    eventually("redis to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
    (server, port)
}

/// A field of redis's INFO.
fn info(port: u16, field: &str) -> f64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.write_all(b"INFO stats\r\nQUIT\r\n").expect("asked");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answered");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {field} in {text}"))
}

/// The sum of `gala_gopher_endpoint_tcp_FIELD` over the rows with these labels.
fn sum(scrape: &Scrape, field: &str, labels: &[(&str, &str)]) -> f64 {
    let name = format!("gala_gopher_endpoint_tcp_{field}");
    let rows = scrape
        .all(&name)
        .filter(|sample| labels.iter().all(|(name, value)| sample.label(name) == Some(value)));
    rows.map(|sample| sample.value).sum()
}

/// Waits until the listening socket at `port` is shown.
fn listens(daemon: &Daemon<'_>, port: &str) -> Scrape {
    daemon.scrape_until("the listening socket", |scrape| {
        let mut rows = scrape.all("gala_gopher_endpoint_tcp_listendrop");
        rows.any(|row| row.label("server_port") == Some(port)).then(|| scrape.clone())
    })
}

#[test]
fn connections_to_redis_are_what_redis_counts_and_short_clients_are_not_lost() {
    let setup = Setup::new();
    let daemon = setup.start();
    let (server, port) = redis(&setup);
    observe(&daemon, &json!({"blacklist": {}}));
    let text = port.to_string();
    listens(&daemon, &text);
    let before = info(port, "total_connections_received");
    for _ in 0..20 {
        // Gone as soon as it has its answer.
        assert_eq!(run("redis-cli", &["-p", &text, "PING"], b"").stdout, b"PONG\n");
    }
    (0..30).for_each(|_| drop(TcpStream::connect(("127.0.0.1", port)).expect("connected")));
    // The connection of the second question is in the answer, that of the first was before.
    let made = info(port, "total_connections_received") - before;
    assert_eq!(made, 51.0, "the stage is set");
    let tgid = server.pid().to_string();
    let served = [("role", "server"), ("server_port", &*text), ("tgid", &tgid)];
    daemon.scrape_until("what redis has counted", |scrape| {
        // Of those before the probe began it knows none, so one more than between the questions: the first's.
        let opened = sum(scrape, "passive_open", &served);
        assert!(opened <= made + 1.0, "{opened} of {made}");
        let clients =
            sum(scrape, "active_open", &[("role", "client"), ("server_port", &text), ("comm", "redis-cli")]);
        assert!(clients <= 20.0, "{clients}");
        (opened == made + 1.0 && clients == 20.0).then_some(())
    });
    let own = fs::read_to_string("/proc/self/comm").expect("comm");
    let scrape = daemon.scrape("/metrics");
    let mine = [("role", "client"), ("server_port", &*text), ("comm", own.trim_end())];
    assert_eq!(sum(&scrape, "active_open", &mine), 32.0, "30 and two questions");
    assert_eq!(sum(&scrape, "estab_latency_count", &mine), 32.0);
}

#[test]
fn a_server_with_workers_is_one_endpoint_under_its_process_group() {
    let setup = Setup::new();
    let daemon = setup.start();
    let port = free_port();
    let path = |name| setup.path(name).display().to_string();
    let config = format!(
        "daemon off; worker_processes 3; pid {}; error_log {};\nevents {{}}\nhttp {{ access_log off; \
         client_body_temp_path {}; proxy_temp_path {}; fastcgi_temp_path {}; uwsgi_temp_path {}; scgi_temp_path {};\n\
         server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }} }}\n",
        path("nginx.pid"),
        path("nginx.err"),
        path("b"),
        path("p"),
        path("f"),
        path("u"),
        path("s"),
    );
    fs::write(setup.path("nginx.conf"), config).expect("written");
    let mut server = command("nginx");
    server.args(["-c", &path("nginx.conf"), "-p", &path("."), "-e", &path("nginx.err")]);
    let _server = Background::start(server, &setup.path("nginx.log")).asked_to_end();
    eventually("nginx to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
    observe(
        &daemon,
        &json!({"snoopers": {"proc_name": [{"comm": "^nginx$"}]}, "cmd": {"probe": ["tcp_socket"]}}),
    );
    let text = port.to_string();
    daemon.scrape_until("the workers as one", |scrape| {
        let mut rows = scrape.all("gala_gopher_endpoint_tcp_listendrop");
        rows.any(|row| row.label("server_port") == Some(&text) && row.label("multi") == Some("1"))
            .then_some(())
    });
    for _ in 0..40 {
        let answer = text_of("curl", &["-s", &format!("http://127.0.0.1:{port}/")]);
        assert_eq!(answer, "ok");
    }
    let stat = fs::read_to_string(format!(
        "/proc/{}/stat",
        fs::read_to_string(setup.path("nginx.pid")).expect("a pid").trim()
    ));
    let group = stat
        .expect("nginx runs")
        .rsplit_once(") ")
        .expect("a name")
        .1
        .split(' ')
        .nth(2)
        .expect("field 5")
        .to_owned();
    let labels = [
        ("server_port", &*text),
        ("multi", "1"),
        ("tgid", &group),
        ("comm", "nginx"),
        ("client_ip", "127.0.0.1"),
    ];
    let scrape = daemon.scrape_until("the requests' connections", |scrape| {
        let opened = sum(scrape, "passive_open", &labels);
        assert!(opened <= 40.0, "{opened}");
        (opened == 40.0).then(|| scrape.clone())
    });
    assert_eq!(sum(&scrape, "active_open", &[("comm", "curl")]), 0.0, "clients are out of scope");
}

#[test]
fn a_service_s_connects_count_for_the_backend_that_answers() {
    beside_a_service(|| {
        let setup = Setup::new();
        let daemon = setup.start();
        let order = json!({
            "blacklist": {}, "state": "running", "cmd": {"probe": ["tcp_socket"]},
            "params": {"report_period": 5, "cluster_ip_backend": 1},
        });
        daemon.put("socket", &order.to_string());
        let listener = TcpListener::bind(BACKEND).expect("a port");
        for _ in 0..5 {
            drop((TcpStream::connect(SERVICE).expect("connected"), listener.accept().expect("accepted")));
        }
        drop(listener);
        for _ in 0..3 {
            drop(TcpStream::connect(SERVICE).expect_err("its backend does not listen any more"));
        }
        let own = fs::read_to_string("/proc/self/comm").expect("comm");
        let client = |ip| [("comm", own.trim_end()), ("role", "client"), ("server_ip", ip)];
        let backend = [&client("127.0.0.1")[..], &[("server_port", "8080")]].concat();
        let scrape = daemon.scrape_until("the connects under the backend", |scrape| {
            let opened = sum(scrape, "active_open", &backend);
            assert!(opened <= 5.0, "{opened}");
            let refused = sum(scrape, "active_open_failed", &client("10.96.0.1"));
            (opened == 5.0 && refused == 3.0).then(|| scrape.clone())
        });
        assert_eq!(sum(&scrape, "syn_sent", &backend), 5.0);
        assert_eq!(sum(&scrape, "estab_latency_count", &backend), 5.0);
        // Connection tracking forgets a refused connection at once, so nobody can tell whose it was.
        assert_eq!(sum(&scrape, "syn_sent", &client("10.96.0.1")), 3.0);
        assert_eq!(sum(&scrape, "active_open", &client("10.96.0.1")), 0.0);
        // And without it from now on, without a restart.
        daemon.put("socket", r#"{"params":{"cluster_ip_backend":0}}"#);
        drop(TcpStream::connect(SERVICE).expect_err("nobody listens"));
        let listener = TcpListener::bind(BACKEND).expect("a port");
        drop((TcpStream::connect(SERVICE).expect("connected"), listener.accept().expect("accepted")));
        daemon.scrape_until("a connect under the service's address", |scrape| {
            (sum(scrape, "active_open", &client("10.96.0.1")) == 1.0).then_some(())
        });
    });
}

#[test]
fn a_syn_that_finds_no_neighbour_is_dropped_here_and_counted() {
    let setup = Setup::new();
    let daemon = setup.start();
    observe(&daemon, &json!({"blacklist": {}, "cmd": {"probe": ["tcp_socket"]}}));
    let missing = daemon.probe("socket")["status"]["sub_probes"][0].to_string();
    // A network of two that are both here, where nobody has the other address.
    let stage = "ip link add name va type veth peer name vb && ip addr add 198.51.100.1/24 dev va && ip link set va up && \
                 ip link set vb up && exec curl -s --connect-timeout 10 http://198.51.100.2:8099/";
    run("unshare", &["--net", "sh", "-c", stage], b"");
    let labels = [("comm", "curl"), ("server_ip", "198.51.100.2"), ("server_port", "8099")];
    let scrape = daemon.scrape_until("the connect that failed", |scrape| {
        (sum(scrape, "active_open_failed", &labels) == 1.0).then(|| scrape.clone())
    });
    let dropped = scrape.value("gala_gopher_endpoint_tcp_syn_drop", &labels);
    if missing.contains("syn_drop: ") {
        assert_eq!(dropped, None);
    } else {
        assert!(dropped.is_some_and(|dropped| dropped >= 1.0), "{dropped:?}");
    }
}

#[test]
fn nothing_is_left_in_the_kernel_after_a_stop_after_changes_and_after_a_kill() {
    let setup = Setup::new();
    let daemon = setup.start();
    let ids = || KINDS.map(|kind| held(kind, daemon.pid()).len());
    assert_eq!(ids()[0], 0, "nothing runs");
    observe(&daemon, &json!({"blacklist": {}}));
    let running = ids();
    assert!(running[0] >= 8 && running[2] >= 8, "{running:?}");
    let port = free_port();
    for round in 0..20 {
        let selection = if round % 2 == 0 {
            json!({"blacklist": {}})
        } else {
            json!({"snoopers": {"proc_id": [std::process::id()]}})
        };
        observe(&daemon, &selection);
        drop(TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens"));
    }
    eventually("the same objects as before the changes", || (ids() == running).then_some(()));
    daemon.put("socket", r#"{"state": "stopped"}"#);
    eventually("no program and no link", || {
        let left = ids();
        // The maps of scopes are the daemon's own and stay.
        (left[0] == 0 && left[2] == 0 && left[1] <= 5).then_some(())
    });
    observe(&daemon, &json!({"blacklist": {}}));
    let objects = KINDS.map(|kind| held(kind, daemon.pid()));
    daemon.kill();
    for (kind, ids) in KINDS.iter().zip(&objects) {
        eventually("everything gone", || existing(kind, ids).is_empty().then_some(()));
    }
}
