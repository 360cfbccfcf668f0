//! `tcp`: a pass over 20,000 sockets against a bare loop of sock_diag in the same run, and how long its changes take.

use crate::Length;
use crate::measure::{Spread, memory, threads};
use crate::process_table::sleepers;
use crate::report::Report;
use gopher_e2e::process::text_of;
use gopher_e2e::{Daemon, Setup, eventually};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, netlink, recv, send, socket};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Processes that hold connections, both ends of each; one of them is a tenth.
const HOLDERS: usize = 10;
const CONNECTIONS: usize = 1000;
/// Set for a process that is a holder: how many connections it holds.
const HOLD: &str = "GOPHER_BENCH_HOLD";
pub(crate) const SAMPLE: Duration = Duration::from_secs(1);

/// What a holder does instead of measuring: holds its connections until its standard input ends.
#[allow(clippy::print_stdout)] // how it says that it is ready
pub(crate) fn hold_if_asked() -> bool {
    let Some(count) = std::env::var(HOLD).ok().and_then(|text| text.parse::<usize>().ok()) else {
        return false;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let at = listener.local_addr().expect("bound");
    let pair = |_| (TcpStream::connect(at).expect("connected"), listener.accept().expect("accepted"));
    let held: Vec<_> = (0..count).map(pair).collect();
    println!("ready");
    let _ = std::io::stdin().read_line(&mut String::new());
    drop(held);
    true
}

/// A process that holds connections to itself.
pub(crate) struct Holder(Child);

impl Holder {
    /// Starts one; `count` connections are twice as many sockets.
    #[allow(clippy::disallowed_methods)] // the processes that are observed
    pub(crate) fn start(count: usize) -> Self {
        let own = std::env::current_exe().expect("this program");
        let child = Command::new(own)
            .env(HOLD, count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("a holder");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("standard output is piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// Adds everything about `tcp`.
pub(crate) fn measure(length: Length, report: &mut Report) {
    changes(length, report);
    passes(length, report);
    scopes(length, report);
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Has `tcp` run over a selection, with a pass every [`SAMPLE`].
pub(crate) fn put(daemon: &Daemon<'_>, selection: (&str, serde_json::Value)) {
    let mut order = json!({
        "params": {"report_period": 600, "sample_period": SAMPLE.as_millis()}, "state": "running",
    });
    order[selection.0] = selection.1;
    daemon.put("tcp", &order.to_string());
}

/// How long a start takes until it is answered, and the memory of the maps.
fn changes(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut starts = Vec::new();
    for _ in 0..length.pick(10, 3) {
        let begun = Instant::now();
        put(&daemon, ("blacklist", json!({})));
        starts.push(ms(begun.elapsed()));
        daemon.put("tcp", r#"{"state":"stopped"}"#);
    }
    report.limited("tcp: PUT running, until it is attached", "ms", 150.0, starts);
    put(&daemon, ("blacklist", json!({})));
    report.limited("tcp: memory of its maps", "MB", 8.0, vec![map_memory(daemon.pid())]);
}

/// Memory of the maps that a process has, each once, in MB; without the large ones that all probes share.
fn map_memory(pid: u32) -> f64 {
    let mut maps = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("descriptors") {
        let Ok(text) = std::fs::read_to_string(entry.expect("an entry").path()) else { continue };
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) else { continue };
        // The scope's processes by number, 32,768 of them: those that are listed, and what the tracker concluded.
        let shared = field("max_entries:") == Some(32_768) && field("key_size:") == Some(4);
        if !shared {
            maps.insert(id, bytes);
        }
    }
    let bytes: u64 = maps.values().sum();
    #[allow(clippy::cast_precision_loss)] // a few megabytes
    let bytes = bytes as f64;
    bytes / 1e6
}

/// What a pass costs with all sockets in scope and with a tenth of them.
fn passes(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let holders: Vec<_> = (0..HOLDERS).map(|_| Holder::start(CONNECTIONS)).collect();
    let before = memory(daemon.pid()).rss;
    put(&daemon, ("blacklist", json!({})));
    sleep(SAMPLE * 3);
    let rounds = length.pick(5, 2);
    let (mut bare, mut all, mut tenth) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ss, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(ms(sock_diag()));
        let (ours, peers) = (pass(&daemon, length), ms(ss_tin()));
        all.push(ours);
        ss.push(peers);
        beside.push(ours / peers);
    }
    let grown = memory(daemon.pid()).rss - before;
    put(&daemon, ("snoopers", json!({"proc_id": [holders[0].0.id()]})));
    sleep(SAMPLE * 3);
    for _ in 0..rounds {
        bare.push(ms(sock_diag()));
        tenth.push(pass(&daemon, length));
    }
    let floor = Spread::from(bare.clone()).median;
    let sockets = HOLDERS * CONNECTIONS * 2;
    report.shown(&format!("tcp, {sockets} sockets: a bare loop of sock_diag"), "ms", bare);
    report.limited(&format!("tcp, {sockets} sockets: CPU a pass"), "ms", floor, all);
    report.shown(&format!("tcp, {sockets} sockets: CPU of `ss -tin`"), "ms", ss);
    report.limited(&format!("tcp, {sockets} sockets: CPU a pass over that of `ss -tin`"), "×", 1.0, beside);
    report.limited("tcp, a tenth of them in scope: CPU a pass", "ms", floor / 3.0, tenth);
    report.limited(&format!("tcp, {sockets} sockets: growth of RSS"), "MB", 20.0, vec![grown]);
}

/// CPU time of the probe's thread for one of several passes, in milliseconds.
pub(crate) fn pass(daemon: &Daemon<'_>, length: Length) -> f64 {
    let passes = length.pick(10, 4);
    let used = || threads(daemon.pid()).get("probe-tcp").copied().expect("the probe's thread");
    let before = used();
    sleep(SAMPLE * passes);
    ms(used() - before) / f64::from(passes)
}

/// CPU time of one run of `ss` that lists the same with the same facts; its text is read and thrown away.
fn ss_tin() -> Duration {
    let children = || {
        let used = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel knows");
        [used.user_time(), used.system_time()]
            .map(|time| time.num_microseconds().cast_unsigned())
            .iter()
            .sum::<u64>()
    };
    let before = children();
    let lines = text_of("ss", &["-tinH"]).lines().count();
    assert!(lines >= HOLDERS * CONNECTIONS * 2, "{lines} lines of ss");
    Duration::from_micros(children() - before)
}

/// CPU time of this thread for a dump of all IPv4 TCP sockets with tcp_info, of which nothing is kept.
fn sock_diag() -> Duration {
    let clock = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
    };
    let begun = clock();
    let diag = socket(AddressFamily::NETLINK, SocketType::RAW, Some(netlink::SOCK_DIAG)).expect("sock_diag");
    // struct nlmsghdr: 72 bytes, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP; then struct inet_diag_req_v2 with
    // tcp_info (extension 2) of established sockets (state 1).
    let mut request = [0_u8; 72];
    request[..4].copy_from_slice(&72_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&20_u16.to_ne_bytes());
    request[6..8].copy_from_slice(&0x301_u16.to_ne_bytes());
    request[16..19].copy_from_slice(&[2, 6, 1 << 1]);
    request[20..24].copy_from_slice(&(1_u32 << 1).to_ne_bytes());
    send(&diag, &request, SendFlags::empty()).expect("asked");
    let mut buffer = vec![0_u8; 64 << 10];
    loop {
        let (length, _) = recv(&diag, &mut buffer[..], RecvFlags::empty()).expect("an answer");
        // The type of the first message: NLMSG_DONE comes by itself at the end.
        if length < 16 || buffer[4..6] == 3_u16.to_ne_bytes() {
            return clock() - begun;
        }
    }
}

/// A scope of a thousand processes that is taken back and given again.
fn scopes(length: Length, report: &mut Report) {
    const PROCESSES: usize = 1000;
    const NAME: &str = "bench-scoped";
    let setup = Setup::new();
    let sleepers = sleepers(&setup, NAME, PROCESSES);
    let daemon = setup.start();
    let named = |name: &str| json!({"proc_name": [{"comm": name}]});
    put(&daemon, ("snoopers", named("^bench-scoped$")));
    eventually("the processes to be known", || {
        let targets = daemon.probe("tcp")["status"]["targets"].clone();
        let count = targets.as_object().map_or(0, |all| all.values().filter_map(|n| n.as_u64()).sum());
        (count >= sleepers.len() as u64).then_some(())
    });
    let mut changes = Vec::new();
    for round in 0..length.pick(20, 6) {
        let scope = named(if round % 2 == 0 { "^nothing$" } else { "^bench-scoped$" });
        let order = json!({"snoopers": scope}).to_string();
        let begun = Instant::now();
        daemon.put("tcp", &order);
        changes.push(ms(begun.elapsed()));
    }
    report.limited("tcp: PUT of a scope, 1,000 processes come or go", "ms", 5.0, changes);
}
