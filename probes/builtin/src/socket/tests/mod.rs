//! The probe against this kernel, as root: real sockets over loopback, in a network namespace of each test's own, so
//! that the kernel's counters are of nothing else and can be asked for the exact number.
//!
//! Where the kernel does not give a field, the tests ask that it is absent and named.

mod scope;
mod tcp;
mod trouble;
mod udp;

use super::kernel::ENDPOINTS;
use super::probe::Work;
use probe_core::{Batch, Close, Order, Outcome, ProcKey, Scope};
use probe_kit::bpf::{ScopeMaps, Storage};
use probe_kit::kernel::kernel;
use probe_kit::stat::Stat;
use probe_kit::testing::{SeenRow, order, seen};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Runs `body` in a thread with a network namespace of its own, loopback up.
fn alone<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace (as root)");
        run("ip", &["link", "set", "lo", "up"]);
        body()
    };
    std::thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

#[allow(clippy::disallowed_methods)] // to set the stage
fn run(program: &str, args: &[&str]) {
    assert!(
        Command::new(program).args(args).stdin(Stdio::null()).status().expect(program).success(),
        "{program} {args:?}"
    );
}

/// Processes of the same test share a pid with all other tests; what they listen on they share with none.
fn address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Ipv4Addr::new(127, 7, 0, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A process that holds `socket` as its standard input and does nothing; ended when dropped.
struct Holder(Child);

impl Holder {
    #[allow(clippy::disallowed_methods)] // a socket of another process needs one
    fn of(socket: impl Into<OwnedFd>) -> Self {
        let held = Stdio::from(socket.into());
        Self(Command::new("sleep").arg("1000").stdin(held).spawn().expect("sleep runs"))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn end(mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process as scopes name it.
fn key(pid: u32) -> ProcKey {
    let text = std::fs::read(format!("/proc/{pid}/stat")).expect("a process");
    let word = Stat::parse(&text).expect("stat").words().nth(19).expect("field 22").to_vec();
    ProcKey { tgid: pid, start_ticks: probe_kit::scan::number(&word).expect("a number") }
}

fn only(pids: &[u32]) -> Scope {
    Scope::Only(Arc::new(pids.iter().map(|pid| key(*pid)).collect()))
}

fn me() -> u32 {
    std::process::id()
}

/// Runs `body` with the probe at work.
fn observing<T>(
    sub_probes: &[&'static str],
    scope: Scope,
    body: impl FnOnce(&mut Work<'_>, &Outcome) -> T,
) -> T {
    observing_with(ENDPOINTS, sub_probes, scope, body)
}

/// The same with room for so many series of each kind.
fn observing_with<T>(
    room: u32,
    sub_probes: &[&'static str],
    scope: Scope,
    body: impl FnOnce(&mut Work<'_>, &Outcome) -> T,
) -> T {
    let slot = ScopeMaps::new().expect("maps").slot("test").expect("a slot");
    let order = Order { scope, ..order(sub_probes) };
    let mut storage = Storage::new();
    let (mut work, outcome) =
        Work::begin("/proc".into(), slot, kernel(), &mut storage, &order, room).expect("the probe begins");
    body(&mut work, &outcome)
}

/// What the probe reports now.
fn report(work: &mut Work<'_>) -> Vec<SeenRow> {
    let mut batch = Batch::new(SystemTime::now());
    batch.close = Some(Close { length: Duration::from_secs(1) });
    work.read(&mut batch).expect("a reading");
    assert_eq!(lost(&batch), [], "nothing is lost");
    seen(&batch)
}

/// What was lost; overflows of tests beside this one are theirs.
fn lost(batch: &Batch) -> Vec<(&'static str, u64)> {
    let others = |reason: &&(&'static str, u64)| !reason.0.ends_with("_of_unknown_socket");
    batch.skipped().iter().filter(others).copied().collect()
}

/// The rows that have these labels.
fn with<'r>(rows: &'r [SeenRow], labels: &[(&str, &str)]) -> Vec<&'r SeenRow> {
    let fits = |row: &&SeenRow| labels.iter().all(|(name, value)| row.label(name) == Some(value));
    rows.iter().filter(fits).collect()
}

/// The one row that has these labels.
#[track_caller]
fn one<'r>(rows: &'r [SeenRow], labels: &[(&str, &str)]) -> &'r SeenRow {
    match &*with(rows, labels) {
        [row] => row,
        other => panic!("{labels:?}: {other:#?}\nof {rows:#?}"),
    }
}

/// Counters of this thread's network namespace, by name; of TCP, UDP and their extensions.
fn counters() -> HashMap<String, f64> {
    let mut all = HashMap::new();
    for file in ["snmp", "netstat", "snmp6"] {
        let text = std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).expect("counters");
        if file == "snmp6" {
            let pairs = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
            all.extend(pairs.map(|(name, value)| (name.to_owned(), value.trim().parse().expect("a number"))));
            continue;
        }
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let (kind, names) = pair[0].split_once(": ").expect("names");
            let values = pair[1].split_once(": ").expect("numbers").1;
            let kind = if matches!(kind, "TcpExt" | "Tcp") { String::new() } else { kind.to_owned() };
            for (name, value) in names.split(' ').zip(values.split(' ')) {
                all.insert(format!("{kind}{name}"), value.parse().expect("a number"));
            }
        }
    }
    all
}

/// Waits until `done`; what is waited for is the kernel's timers, a second or two.
#[track_caller]
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A listening socket on an address of its own, and that address.
fn listener(backlog: i32) -> (socket2::Socket, SocketAddr) {
    listener_at((address(), 0).into(), backlog)
}

fn listener_at(at: SocketAddr, backlog: i32) -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::for_address(at), socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.bind(&at.into()).expect("bound");
    socket.listen(backlog).expect("listens");
    let at = socket.local_addr().expect("an address").as_socket().expect("of IP");
    (socket, at)
}

/// A connection that is begun and not waited for.
fn begin_connect(to: SocketAddr, deaf: bool) -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    if deaf {
        // Takes no segment: a filter that passes nothing. The SYN-ACK is lost, and the next one.
        socket.attach_filter(&[socket2::SockFilter::new(6, 0, 0, 0)]).expect("a filter");
    }
    socket.set_nonblocking(true).expect("set");
    let begun = socket.connect(&to.into());
    assert!(begun.is_ok() || begun.as_ref().is_err_and(|e| e.raw_os_error() == Some(115)), "{begun:?}");
    socket
}

/// Connects `count` times, accepts and closes.
fn connections(listener: &TcpListener, to: SocketAddr, count: usize) {
    for _ in 0..count {
        let client = std::net::TcpStream::connect(to).expect("connected");
        drop(listener.accept().expect("accepted"));
        drop(client);
    }
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

fn loopback(v6: bool) -> IpAddr {
    if v6 { std::net::Ipv6Addr::LOCALHOST.into() } else { address().into() }
}

#[test]
fn root_every_job_is_done_or_what_it_needs_is_named() {
    observing(&[super::TCP, super::UDP], Scope::All, |work, outcome| {
        for verdict in work.verdicts() {
            eprintln!("VERDICT socket/{verdict}");
            assert!(!verdict.ends_with("loaded"), "attached, or missing: {verdict}");
        }
        assert!(!outcome.none_runs(), "{outcome:?}");
        // What is absent is named with the field.
        for sentence in outcome.missing() {
            eprintln!("VERDICT socket/without: {sentence}");
            let fields = ["syn_drop: ", "bind_sends: ", "bind_rcvs: ", "udp_rcv_drops: "];
            assert!(fields.iter().any(|field| sentence.contains(field)), "{sentence}");
        }
    });
}
