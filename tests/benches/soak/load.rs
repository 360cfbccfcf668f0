//! What happens while the daemon is watched: processes, connections, files and containers come and go, features are
//! switched off and on, scopes and parameters change, good and bad requests arrive, both views are scraped.
//!
//! All of it is bounded and slow on purpose: growth is looked for, not speed, and a day has to fit beside other work.

use gopher_e2e::cgroup::{Cgroups, container_id};
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Daemon, Setup};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// One step of the work.
const STEP: Duration = Duration::from_millis(500);

/// Every feature that this version has, and how it is configured when all are on.
pub(crate) const FEATURES: [(&str, &str); 6] = [
    (
        "baseinfo",
        r#"{"cmd":{"probe":["cpu","mem","nic","disk","net","fs","proc","host"]},"snoopers":{"proc_name":[{"comm":"^soak-"}]},"params":{"report_period":5,"report_event":1,"res_upper_thr":0},"state":"running"}"#,
    ),
    (
        "tcp",
        r#"{"snoopers":{"proc_name":[{"comm":"^soak"}]},"params":{"report_period":5,"report_event":1},"state":"running"}"#,
    ),
    (
        "socket",
        r#"{"snoopers":{"proc_name":[{"comm":"^soak"}]},"params":{"report_period":5},"state":"running"}"#,
    ),
    ("io", r#"{"params":{"report_period":5},"state":"running"}"#),
    (
        "proc",
        r#"{"snoopers":{"proc_name":[{"comm":"^soak"}]},"params":{"report_period":5},"state":"running"}"#,
    ),
    ("container", r#"{"params":{"report_period":5},"state":"running"}"#),
];

/// Changes that take effect while the probe runs, and are taken back by [`Load::all_on`].
const CHANGES: [(&str, &str); 6] = [
    ("baseinfo", r#"{"cmd":{"probe":["cpu","proc"]},"params":{"res_upper_thr":1}}"#),
    ("tcp", r#"{"cmd":{"probe":["tcp_stats","tcp_rtt"]},"snoopers":{"proc_id":[1]}}"#),
    ("socket", r#"{"cmd":{"probe":["udp_socket"]}}"#),
    ("io", r#"{"cmd":{"probe":["io_err","io_count"]}}"#),
    ("proc", r#"{"cmd":{"probe":["proc_syscall","proc_io","proc_offcpu"]}}"#),
    ("container", r#"{"params":{"report_period":6}}"#),
];

/// Requests that are refused.
const WRONG: [(&str, &str); 4] = [
    ("/tcp", r#"{"cmd":{"probe":["nothing"]}}"#),
    ("/baseinfo", r#"{"params":{"report_period":-1}}"#),
    ("/unknown", "{}"),
    ("/io", r#"{"snoopers":"#),
];

/// What was done, for the report.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    processes: u64,
    connections: u64,
    containers: u64,
    changes: u64,
    refused: u64,
    scrapes: u64,
}

/// The load.
pub(crate) struct Load {
    home: PathBuf,
    program: PathBuf,
    log: PathBuf,
    server: SocketAddr,
    done: Done,
}

impl Load {
    /// With a server of its own for connections.
    pub(crate) fn new(setup: &Setup) -> Self {
        let program = setup.path("soak-child");
        std::fs::copy(command("sleep").get_program(), &program).expect("a copy of sleep");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = listener.local_addr().expect("bound");
        let serve = move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else { continue };
                let mut request = [0; 64];
                // A client that is gone already is no matter.
                let _ = connection.read(&mut request).and_then(|read| connection.write_all(&request[..read]));
            }
        };
        thread::Builder::new().name("soak-server".into()).spawn(serve).expect("a thread");
        let log = setup.path("soak-child.log");
        Self { home: setup.path("soak-files"), program, log, server, done: Done::default() }
    }

    /// All features on, as at the end of every round.
    pub(crate) fn all_on(&mut self, daemon: &Daemon<'_>) {
        for (feature, config) in FEATURES {
            // At the native door a configuration is whole, so that nothing of a change stays.
            let config: Value = serde_json::from_str(config).expect("JSON");
            daemon.rest().send_json("PUT", &format!("/api/v1/probes/{feature}"), &config).expect(200);
            self.done.changes += 1;
        }
    }

    /// A round's work, until `end`.
    pub(crate) fn work(&mut self, daemon: &Daemon<'_>, round: usize, end: Instant) {
        if round == 0 {
            self.all_on(daemon);
        }
        let cgroups = Cgroups::everywhere();
        let mut inside: Vec<Background> = Vec::new();
        let mut step = 0;
        while Instant::now() < end {
            match step % 10 {
                // One feature is off for a part of each round, the next one in the next.
                1 => self.put(daemon, FEATURES[round % FEATURES.len()].0, r#"{"state":"stopped"}"#),
                3 => self.put(
                    daemon,
                    CHANGES[(round + step) % CHANGES.len()].0,
                    CHANGES[(round + step) % CHANGES.len()].1,
                ),
                5 => self.wrong(daemon),
                7 => self.scrape(daemon),
                9 => self.put(daemon, FEATURES[round % FEATURES.len()].0, FEATURES[round % FEATURES.len()].1),
                _ => {}
            }
            if step % 20 == 0 {
                let process = self.child("60");
                cgroups.put(process.pid(), &format!("docker/{}", container_id()));
                inside.push(process);
                self.done.containers += 1;
            }
            drop((self.child("0.2"), self.child("0")));
            self.talk();
            self.write(step);
            sleep(STEP);
            step += 1;
        }
        inside.into_iter().for_each(Background::kill);
    }

    /// What was done, a line.
    pub(crate) fn done(&self) -> String {
        let Done { processes, connections, containers, changes, refused, scrapes } = self.done;
        let mut text = format!("{processes} processes, {connections} connections, {containers} containers, ");
        let _ = write!(text, "{changes} changes, {refused} refused requests, {scrapes} scrapes of each view");
        text
    }

    fn put(&mut self, daemon: &Daemon<'_>, feature: &str, body: &str) {
        daemon.put(feature, body);
        self.done.changes += 1;
    }

    fn wrong(&mut self, daemon: &Daemon<'_>) {
        for (path, body) in WRONG {
            let answer = daemon.rest().put(path, body);
            assert!((400..500).contains(&answer.status), "{path} {body}: {answer:?}");
            self.done.refused += 1;
        }
    }

    fn scrape(&mut self, daemon: &Daemon<'_>) {
        for view in ["/metrics", "/metrics/per_period"] {
            daemon.metrics().get(view).expect(200);
        }
        daemon.rest().get("/api/v1/probes").expect(200);
        daemon.rest().get("/api/v1/events").expect(200);
        self.done.scrapes += 1;
    }

    fn child(&mut self, seconds: &str) -> Background {
        let mut child = command(&self.program);
        child.arg(seconds);
        self.done.processes += 1;
        Background::start(child, &self.log)
    }

    /// Connections that are answered, one that is refused, datagrams.
    fn talk(&mut self) {
        for _ in 0..10 {
            let mut connection = TcpStream::connect(self.server).expect("the server listens");
            let mut answer = [0; 4];
            let _ = connection.write_all(b"soak").and_then(|()| connection.read_exact(&mut answer));
            self.done.connections += 1;
        }
        let _ = TcpStream::connect("127.0.0.1:1");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let _ = socket.send_to(b"soak", self.server);
    }

    fn write(&self, step: usize) {
        std::fs::create_dir_all(&self.home).expect("a folder");
        let path = self.home.join(format!("{}", step % 8));
        let file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
        let mut file = file.expect("a file");
        file.write_all(&[7; 64 << 10]).and_then(|()| file.sync_all()).expect("written");
    }
}
