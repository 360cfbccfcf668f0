//! `tcp` under load: connections at full speed, of which every one counts; what a socket's end costs in the kernel, in
//! scope and out of it; and what a process that is not observed notices.

use crate::Length;
use crate::measure::{Measured, Spread, run_times};
use crate::report::Report;
use gopher_e2e::daemon::free_port;
use gopher_e2e::{Daemon, Setup, within};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Set for a process that connects: the address at which it does, a second of it on standard output for each line
/// on standard input.
const CONNECT: &str = "GOPHER_BENCH_CONNECT";
/// Processes that connect, each to an address and port of its own.
const CLIENTS: u8 = 4;
/// A process that is not ours, to be observed in place of ours.
const INIT: u32 = 1;
/// Connections whose ends are measured.
const ENDS: u32 = 20_000;

/// Adds everything about `tcp` under load.
pub(crate) fn measure(length: Length, report: &mut Report) {
    connections(length, report);
    ends(length, report);
    unobserved(length, report);
}

fn order(daemon: &Daemon<'_>, selection: (&str, Value)) {
    let mut order = json!({
        "cmd": {"probe": ["tcp_stats", "tcp_srtt", "tcp_abnormal"]}, "params": {"report_period": 5},
        "state": "running",
    });
    order[selection.0] = selection.1;
    daemon.put("tcp", &order.to_string());
}

/// What a client does instead of measuring.
#[allow(clippy::print_stdout)] // how it says how many it made
pub(crate) fn connect_if_asked() -> bool {
    let Ok(at) = std::env::var(CONNECT) else { return false };
    let at: SocketAddr = at.parse().expect("an address");
    let listener = TcpListener::bind(at).expect("a port");
    for line in std::io::stdin().lines() {
        let time = Duration::from_millis(line.expect("a line").parse().expect("milliseconds"));
        let begun = Instant::now();
        let mut made = 0_u64;
        while begun.elapsed() < time {
            made += u64::from(reset_later(at, &listener));
        }
        println!("{made}");
    }
    true
}

/// Makes a connection that ends by a reset, so that it leaves no port behind.
fn reset_later(to: SocketAddr, listener: &TcpListener) -> u8 {
    let client = TcpStream::connect(to).expect("connected");
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("lingering set");
    drop((client, listener.accept().expect("accepted")));
    1
}

struct Client(Child, BufReader<std::process::ChildStdout>);

impl Client {
    #[allow(clippy::disallowed_methods)] // the processes that are observed
    fn start(at: SocketAddr) -> Self {
        let own = std::env::current_exe().expect("this program");
        let mut command = Command::new(own);
        command.env(CONNECT, at.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a client");
        let output = child.stdout.take().expect("standard output is piped");
        Self(child, BufReader::new(output))
    }

    fn begin(&mut self, time: Duration) {
        let input = self.0.stdin.as_mut().expect("standard input is piped");
        writeln!(input, "{}", time.as_millis()).expect("told");
    }

    fn made(&mut self) -> u64 {
        let mut line = String::new();
        self.1.read_line(&mut line).expect("a line");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

#[allow(clippy::cast_precision_loss)] // some hundred thousand
fn count(number: u64) -> f64 {
    number as f64
}

/// Connections as fast as this machine makes them: how many there would be without the probe, and whether each counts.
fn connections(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let port = free_port();
    let at = |client: u8| SocketAddr::from((Ipv4Addr::new(127, 0, 1, 1 + client), port));
    let mut clients: Vec<_> = (0..CLIENTS).map(|client| Client::start(at(client))).collect();
    let mut run = |time: Duration| -> u64 {
        clients.iter_mut().for_each(|client| client.begin(time));
        clients.iter_mut().map(Client::made).sum()
    };
    let short = Duration::from_secs(length.pick(5, 1));
    let time = Duration::from_secs(length.pick(30, 3));
    run(Duration::from_millis(500));
    let kernel = || ["ActiveOpens", "PassiveOpens", "TCPSynRetrans", "ListenDrops"].map(counter);
    let mut without = vec![count(run(short)) / short.as_secs_f64()];
    order(&daemon, ("blacklist", json!({})));
    let before = kernel();
    let made = count(run(time));
    let after = kernel();
    let lost = |daemon: &Daemon<'_>| -> f64 {
        let scrape = daemon.scrape("/metrics");
        let ours = scrape.all("gopherd_lost_total").filter(|sample| sample.label("owner") == Some("tcp"));
        ours.map(|sample| sample.value).sum()
    };
    let counted = |role: &str| -> f64 {
        let scrape = daemon.scrape("/metrics");
        let name = "gala_gopher_tcp_link_syn_srtt_count";
        let ours = scrape.all(name).filter(|sample| {
            sample.label("server_port") == Some(&port.to_string()) && sample.label("role") == Some(role)
        });
        ours.map(|sample| sample.value).sum()
    };
    within(Duration::from_secs(15), || {
        (counted("client") >= made && counted("server") >= made).then_some(())
    });
    let missing = vec![made - counted("client"), made - counted("server")];
    let losses = lost(&daemon);
    daemon.put("tcp", r#"{"state":"stopped"}"#);
    without.push(count(run(short)) / short.as_secs_f64());
    report.shown("tcp: connections made and reset a second", "1/s", vec![made / time.as_secs_f64()]);
    report.shown("tcp: the same, without the probe", "1/s", without);
    report.limited("tcp: connections that were not counted", "", 0.0, missing);
    report.shown("tcp: losses that were counted", "", vec![losses]);
    let [active, passive, again, dropped] = std::array::from_fn(|at| after[at] - before[at]);
    report.note(format!(
        "Of {made} connections the kernel counted {active} active and {passive} passive opens, {again} SYNs sent again, {dropped} dropped."
    ));
}

/// A counter of this network namespace, by its name in snmp or netstat.
fn counter(name: &str) -> u64 {
    for file in ["snmp", "netstat"] {
        let text = std::fs::read_to_string(format!("/proc/net/{file}")).expect("counters");
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let at = pair[0].split(' ').position(|word| word == name);
            if let Some(value) = at.and_then(|at| pair[1].split(' ').nth(at)) {
                return value.parse().expect("a number");
            }
        }
    }
    panic!("no {name}");
}

/// What the programs ran between two readings.
struct Ran {
    ns: f64,
    runs: f64,
    /// Nanoseconds of a run of the program whose runs are shortest.
    shortest: f64,
}

fn ran(before: &BTreeMap<u64, (f64, f64)>, after: &BTreeMap<u64, (f64, f64)>) -> Ran {
    let grown = after.iter().map(|(id, after)| {
        let before = before.get(id).copied().unwrap_or_default();
        (after.0 - before.0, after.1 - before.1)
    });
    grown.filter(|(_, runs)| *runs > 0.0).fold(
        Ran { ns: 0.0, runs: 0.0, shortest: f64::INFINITY },
        |sum, (ns, runs)| Ran {
            ns: sum.ns + ns,
            runs: sum.runs + runs,
            shortest: sum.shortest.min(ns / runs),
        },
    )
}

/// What the end of a socket costs in the kernel: all that the programs do from its birth on, divided by the ends.
///
/// The kernel reads its clock twice for each run that it measures, and does so only while it measures: some 55 ns a
/// run, seven times for an end, which is more than the programs take out of scope. So there it is taken off, as what a
/// run of the cheapest program takes, which then does no more than look at one field of the socket (5 ns).
fn ends(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    let _measured = Measured::begin();
    let mut measure = |selected: u32| -> Vec<Ran> {
        // A pass between two readings would be counted: there is none within ten minutes.
        let mut order = json!({
            "snoopers": {"proc_id": [selected]}, "state": "running",
            "params": {"report_period": 600, "sample_period": 10_000},
        });
        order["cmd"] = json!({"probe": ["tcp_stats", "tcp_srtt"]});
        daemon.put("tcp", &order.to_string());
        // The pass that follows a change of the scope, after which no listener is taken for one in scope that was.
        sleep(Duration::from_secs(1));
        let round = |_| {
            let before = run_times(&daemon);
            for _ in 0..ENDS / 2 {
                reset_later(at, &listener);
            }
            ran(&before, &run_times(&daemon))
        };
        (0..length.pick(5, 2)).map(round).collect()
    };
    let [inside, outside] = [std::process::id(), INIT].map(&mut measure);
    let each = |all: &[Ran], of: fn(&Ran) -> f64| -> Vec<f64> {
        all.iter().map(|ran| of(ran) / f64::from(ENDS) / 1e3).collect()
    };
    let what = "tcp: a socket's life and end in the kernel";
    report.limited(&format!("{what}, in scope"), "µs", 2.0, each(&inside, |ran| ran.ns));
    report.shown(
        &format!("{what}, out of scope, with the kernel's clock"),
        "µs",
        each(&outside, |ran| ran.ns),
    );
    let net = each(&outside, |ran| ran.ns - ran.runs * ran.shortest);
    report.limited(&format!("{what}, out of scope"), "µs", 0.2, net);
    let last = outside.last().expect("a round");
    report.note(format!(
        "A socket's life and end run {:.1} programs. In scope the kernel's reading of the clock is in each run time; out of \
         scope {:.0} ns a run are taken off for it, a run of the cheapest program.",
        last.runs / f64::from(ENDS),
        last.shortest
    ));
}

/// What requests and answers of a process that is not observed take, with the probe and without, in turn.
fn unobserved(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    let time = Duration::from_millis(length.pick(1000, 300));
    let (mut slower, mut noise) = (Vec::new(), Vec::new());
    for _ in 0..length.pick(10, 3) {
        let without = exchanges(at, &listener, time);
        let again = exchanges(at, &listener, time);
        order(&daemon, ("snoopers", json!({"proc_id": [INIT]})));
        let with = exchanges(at, &listener, time);
        daemon.put("tcp", r#"{"state":"stopped"}"#);
        noise.push(100.0 * (1.0 - again / without).abs());
        slower.push(100.0 * (1.0 - with / f64::midpoint(without, again)));
    }
    let between_equals = Spread::from(noise).median;
    report.limited("tcp: an unobserved process is slower by", "%", between_equals, slower);
    report.note(format!(
        "Two runs of the unobserved process without the probe differ by {between_equals:.1} % (median): that is the limit."
    ));
}

/// Connections of ten requests and answers each that are done in a second.
fn exchanges(at: SocketAddr, listener: &TcpListener, time: Duration) -> f64 {
    let begun = Instant::now();
    let mut done = 0_u32;
    let mut buffer = [0; 200];
    while begun.elapsed() < time {
        let mut client = TcpStream::connect(at).expect("connected");
        let (mut server, _) = listener.accept().expect("accepted");
        for _ in 0..10 {
            client.write_all(&[1; 100]).expect("asked");
            server.read_exact(&mut buffer[..100]).expect("read");
            server.write_all(&[2; 200]).expect("answered");
            client.read_exact(&mut buffer).expect("read");
        }
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("lingering set");
        done += 1;
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}
