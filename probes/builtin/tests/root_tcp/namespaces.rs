//! Network namespaces with equal addresses.

use crate::harness::{Observer, expect, pair, talk, wait_end};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

const PORT: u16 = 7431;

/// Runs `work` on a thread in a network namespace of its own, whose loopback device is up.
fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    let run = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
        #[allow(clippy::disallowed_methods)] // no crate of ours sets a device up
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip");
        assert!(up.success());
        work()
    };
    thread::Builder::new().spawn(run).expect("a thread")
}

#[test]
fn root_equal_addresses_of_two_namespaces_are_one_series_and_all_of_it_counts() {
    let mut observer = Observer::start();
    let (ready, both) = channel();
    let talkers: Vec<_> = [100, 1000]
        .map(|bytes| {
            let ready = ready.clone();
            apart(move || {
                let listener = TcpListener::bind(("127.0.0.1", PORT)).expect("a port of its own");
                let (mut client, mut server) = pair(&listener, listener.local_addr().expect("bound"));
                talk(&mut client, &mut server, bytes, 1, 3);
                ready.send(()).expect("told");
                (client, server)
            })
        })
        .into();
    for _ in &talkers {
        both.recv().expect("both talked");
    }
    let connections: Vec<_> = talkers.into_iter().map(|talker| talker.join().expect("no panic")).collect();
    expect(&observer.read(), "client", PORT, &[("tx_bytes", 3300.0), ("rx_bytes", 6.0)]);
    for (client, mut server) in connections {
        drop(client);
        wait_end(&mut server);
    }
    let rows = observer.read();
    expect(&rows, "client", PORT, &[("tx_bytes", 3300.0), ("rx_bytes", 6.0)]);
    expect(&rows, "server", PORT, &[("rx_bytes", 3300.0), ("tx_bytes", 6.0)]);
    assert_eq!(rows.samples("server", PORT, "syn_srtt"), 2);
}
