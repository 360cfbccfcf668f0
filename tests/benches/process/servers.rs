//! What servers at full load lose to `proc`: redis and nginx with and without it, in turn and each first as often as the
//! other, since only the difference means something on a shared machine, whose speed drifts. The client shares the machine
//! too. What the programs take meanwhile the kernel measures, and that does not drift.

use crate::Length;
use crate::each_probe::spent;
use crate::proc::{STOP, everything, start};
use crate::report::Report;
use gopher_e2e::daemon::free_port;
use gopher_e2e::process::{Background, command, text_of};
use gopher_e2e::{Daemon, Setup, eventually};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

/// What follows system calls, which is off by default.
const ASKED: &[&str] = &["proc_syscall", "proc_io", "proc_net"];
/// Connections to nginx, each with one request on its way at a time.
const CONNECTIONS: usize = 32;
const REQUEST: &[u8] = b"GET /page HTTP/1.1\r\nHost: bench\r\n\r\n";

/// Adds a row for each server and set of sub-probes.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    {
        let (_server, port) = redis(&setup);
        let requests = length.pick("150000", "50000");
        losses(&daemon, length, report, "redis", &mut || redis_rate(&port, requests));
    }
    let (_server, port) = nginx(&setup);
    let mut clients = connect(port);
    let rounds = length.pick(1500, 500);
    losses(&daemon, length, report, "nginx", &mut || nginx_rate(&mut clients, rounds));
}

fn losses(
    daemon: &Daemon<'_>,
    length: Length,
    report: &mut Report,
    server: &str,
    rate: &mut dyn FnMut() -> f64,
) {
    for (which, limit, names) in [
        ("its default sub-probes", Some(3.0), None),
        ("proc_syscall + proc_io + proc_net", None, Some(ASKED)),
    ] {
        let with = |rate: &mut dyn FnMut() -> f64| {
            start(daemon, names, everything());
            let rate = rate();
            daemon.put("proc", STOP);
            rate
        };
        let mut lost = Vec::new();
        for turn in 0..length.pick(20, 4) {
            let rates = if turn % 2 == 0 {
                let first = rate();
                (first, with(rate))
            } else {
                let first = with(rate);
                (rate(), first)
            };
            lost.push((1.0 - rates.1 / rates.0) * 100.0);
        }
        start(daemon, names, everything());
        let programs = (0..length.pick(3, 1)).map(|_| spent(daemon, || _ = rate()).1);
        let row = format!("proc, {which}: BPF programs while {server} is loaded");
        report.shown(&row, "% of a core", programs.collect());
        daemon.put("proc", STOP);
        let what = format!("proc, {which}: {server} answers fewer requests a second");
        match limit {
            Some(limit) => report.limited(&what, "%", limit, lost),
            None => report.shown(&what, "%", lost),
        }
    }
}

/// A redis that keeps nothing, and its port.
pub(crate) fn redis(setup: &Setup) -> (Background, String) {
    let port = free_port().to_string();
    let mut server = command("redis-server");
    server.args(["--port", &port, "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
    let server = Background::start(server, &setup.path("redis.log"));
    eventually("redis to listen", || TcpStream::connect(format!("127.0.0.1:{port}")).ok());
    (server, port)
}

/// GET requests a second of 50 clients.
pub(crate) fn redis_rate(port: &str, requests: &str) -> f64 {
    let text = text_of("redis-benchmark", &["-p", port, "-t", "get", "-n", requests, "-c", "50", "--csv"]);
    let line = text.lines().find(|line| line.starts_with("\"GET\"")).expect("a result");
    let number = line.split(',').nth(1).expect("a rate").trim_matches('"');
    number.parse().expect("a number")
}

/// An nginx of one worker with a page of 1 KiB, and its port.
fn nginx(setup: &Setup) -> (Background, u16) {
    let (port, home) = (free_port(), setup.path(""));
    std::fs::write(setup.path("page"), vec![b'x'; 1024]).expect("a page");
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {}/{name};", home.display())).concat();
    let text = format!(
        "daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log; events {{}}
         http {{ access_log off; sendfile on; keepalive_requests 1000000000; {temporary}
         server {{ listen 127.0.0.1:{port}; root {home}; }} }}",
        home = home.display(),
    );
    // The worker is an ordinary user.
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o755)).expect("open");
    std::fs::write(setup.path("nginx.conf"), text).expect("a configuration");
    let mut server = command("nginx");
    server.arg("-c").arg(setup.path("nginx.conf")).arg("-p").arg(&home);
    let server = Background::start(server, &setup.path("nginx.log")).asked_to_end();
    eventually("nginx to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
    (server, port)
}

/// Connections, and how long an answer is: all are alike.
struct Clients {
    streams: Vec<TcpStream>,
    answer: Vec<u8>,
}

fn connect(port: u16) -> Clients {
    let open = || TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| open()).collect();
    let mut answer = Vec::new();
    let first = streams.first_mut().expect("a connection");
    first.write_all(REQUEST).expect("asked");
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        first.read_exact(&mut byte).expect("a head");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let head = answer.len();
    answer.resize(head + 1024, 0);
    first.read_exact(&mut answer[head..]).expect("a body");
    Clients { streams, answer }
}

fn nginx_rate(clients: &mut Clients, rounds: u32) -> f64 {
    let begun = Instant::now();
    for _ in 0..rounds {
        for stream in &mut clients.streams {
            stream.write_all(REQUEST).expect("asked");
        }
        for stream in &mut clients.streams {
            stream.read_exact(&mut clients.answer).expect("an answer");
            assert!(clients.answer.starts_with(b"HTTP/1.1 200"));
        }
    }
    #[allow(clippy::cast_precision_loss)] // a few hundred thousand
    let requests = (rounds as usize * CONNECTIONS) as f64;
    requests / begun.elapsed().as_secs_f64()
}
