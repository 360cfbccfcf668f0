//! How long data waits for its reader and for its acknowledgement.

use crate::harness::{Observer, Rows, listener, pair, talk};
use probe_core::Scope;
use probe_kit::testing::SeenRow;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// The row of the table of delays.
fn flow<'r>(rows: &'r Rows, role: &str, port: u16) -> Option<&'r SeenRow> {
    let port = port.to_string();
    let wanted = |row: &&SeenRow| {
        row.table == "proc_flow_perf"
            && row.label("role") == Some(role)
            && row.label("server_port") == Some(&port)
    };
    rows.0.iter().find(wanted)
}

#[test]
fn root_data_waits_for_its_reader_as_long_as_the_reader_is_away() {
    let mut observer = Observer::with(&["tcp_stats", "tcp_delay"], Scope::All, &[]);
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    let before = Instant::now();
    client.write_all(b"question").expect("sent");
    server.peek(&mut [0; 8]).expect("arrived");
    let arrived = Instant::now();
    // The reader is away.
    while arrived.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
    let least = arrived.elapsed();
    server.read_exact(&mut [0; 8]).expect("read");
    let most = before.elapsed();
    let rows = observer.read();
    let row = flow(&rows, "server", at.port()).expect("a row");
    assert_eq!(row.label("remote_ip"), Some("127.0.0.1"));
    let delay = row.get("sys_delay").expect("a delay");
    assert!(
        (least.as_nanos() as f64..=most.as_nanos() as f64).contains(&delay),
        "{delay} ns, not within {least:?} to {most:?}"
    );
}

#[test]
fn root_sent_data_waits_for_its_acknowledgement() {
    let mut observer = Observer::with(&["tcp_stats", "tcp_delay"], Scope::All, &[]);
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    let begun = Instant::now();
    talk(&mut client, &mut server, 10, 10, 20);
    let most = begun.elapsed().as_nanos() as f64;
    let rows = observer.read();
    let row = flow(&rows, "client", at.port()).expect("a row");
    match row.values.iter().find(|(name, _)| *name == "net_delay") {
        Some((_, probe_core::Value::Histogram(delay))) => {
            // Not timed are those that were acknowledged before the call that sent them returned.
            assert!((1..=20).contains(&delay.count()), "{delay:?}");
            assert!(delay.sum() <= most, "{delay:?} within {most} ns");
        }
        // Kernels before 6.3 do not tell when a process sends.
        other => assert_eq!(other, None),
    }
}
