//! What `socket` costs: the whole daemon for a report with many sockets, and its memory; set-up of a connection with
//! and without the probe, in turn, since only the difference means something on a shared machine.

use crate::Length;
use crate::measure::{cpu, memory};
use crate::report::Report;
use gopher_e2e::{Setup, eventually};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Of each kind, held by this process.
const SOCKETS: usize = 2000;
const PERIOD: Duration = Duration::from_secs(5);
/// Connections of one measurement; they end at once and leave ports in TIME_WAIT.
const CONNECTIONS: u32 = 2000;

/// Adds a report's cost and a connection's.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let bind = || TcpListener::bind(("127.0.0.1", 0)).expect("a listening socket");
    let listeners: Vec<_> = (0..SOCKETS).map(|_| bind()).collect();
    let datagrams: Vec<_> =
        (0..SOCKETS).map(|_| UdpSocket::bind(("127.0.0.1", 0)).expect("a socket")).collect();
    let before = memory(daemon.pid()).rss;
    let order = |state: &str| {
        let own = std::process::id();
        format!(r#"{{"state":"{state}","snoopers":{{"proc_id":[{own}]}},"params":{{"report_period":5}}}}"#)
    };
    daemon.put("socket", &order("running"));
    eventually("all listening sockets in the store", || {
        let scrape = daemon.scrape("/metrics");
        (scrape.all("gala_gopher_endpoint_tcp_listendrop").count() >= SOCKETS).then_some(())
    });
    let periods = length.pick(6, 2);
    let mut each = Vec::new();
    for _ in 0..length.pick(3, 1) {
        let start = cpu(daemon.pid());
        sleep(PERIOD * periods);
        each.push((cpu(daemon.pid()) - start).as_secs_f64() * 1e3 / f64::from(periods));
    }
    report.shown("socket, 2,000 listening and 2,000 UDP sockets: CPU a report", "ms", each);
    report.shown("socket: growth of RSS with them", "MB", vec![memory(daemon.pid()).rss - before]);
    drop(datagrams);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..length.pick(5, 2) {
        with.push(connect(&listeners[0]));
        daemon.put("socket", &order("stopped"));
        without.push(connect(&listeners[0]));
        daemon.put("socket", &order("running"));
    }
    report.shown("socket: a connection set up and ended, in scope at both ends", "µs", with);
    report.shown("socket: the same, without the probe", "µs", without);
}

/// Microseconds that one connection takes.
fn connect(listener: &TcpListener) -> f64 {
    let to = listener.local_addr().expect("an address");
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        let client = TcpStream::connect(to).expect("connected");
        drop(listener.accept().expect("accepted"));
        drop(client);
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(CONNECTIONS)
}
