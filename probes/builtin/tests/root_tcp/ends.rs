//! The ways in which a connection ends, and those in which none comes about.

use crate::harness::{Observer, expect, listener, pair, reset, talk, wait_end};
use rustix::net::{AddressFamily, SocketType};
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn root_a_reset_counts_for_who_sent_it_and_for_who_received_it() {
    let mut observer = Observer::start();
    for by_client in [true, false] {
        let (listener, at) = listener("127.0.0.1");
        for _ in 0..20 {
            let (mut client, mut server) = pair(&listener, at);
            talk(&mut client, &mut server, 30, 40, 1);
            let (first, mut second) = if by_client { (client, server) } else { (server, client) };
            reset(first);
            wait_end(&mut second);
        }
        let rows = observer.read();
        let sent = |by: bool| if by { 20.0 } else { 0.0 };
        for (role, by, bytes) in
            [("client", by_client, (600.0, 800.0)), ("server", !by_client, (800.0, 600.0))]
        {
            expect(
                &rows,
                role,
                at.port(),
                &[
                    ("tx_bytes", bytes.0),
                    ("rx_bytes", bytes.1),
                    ("send_rsts", sent(by)),
                    ("receive_rsts", sent(!by)),
                ],
            );
        }
    }
}

#[test]
fn root_data_that_nobody_read_makes_a_close_a_reset() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    let (mut client, server) = pair(&listener, at);
    client.write_all(&[1; 100]).expect("sent");
    // It is there when the socket can be read.
    server.peek(&mut [0; 100]).expect("arrived");
    drop(server);
    wait_end(&mut client);
    drop(client);
    let rows = observer.read();
    expect(&rows, "server", at.port(), &[("rx_bytes", 100.0), ("send_rsts", 1.0)]);
    expect(&rows, "client", at.port(), &[("tx_bytes", 100.0), ("receive_rsts", 1.0)]);
}

#[test]
fn root_a_connection_that_is_reset_before_it_is_accepted_belongs_to_who_accepts_it() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    for _ in 0..20 {
        let mut client = TcpStream::connect(at).expect("connected");
        client.write_all(b"hello").expect("sent");
        reset(client);
    }
    for _ in 0..20 {
        drop(listener.accept());
    }
    let rows = observer.read();
    expect(&rows, "client", at.port(), &[("tx_bytes", 100.0), ("send_rsts", 20.0)]);
    expect(&rows, "server", at.port(), &[("rx_bytes", 100.0), ("receive_rsts", 20.0)]);
    // The same for connections that nobody ever accepts: they go with the listener.
    for _ in 0..3 {
        let mut client = TcpStream::connect(at).expect("connected");
        client.write_all(b"hello").expect("sent");
        reset(client);
    }
    drop(listener);
    let rows = observer.read();
    expect(&rows, "server", at.port(), &[("rx_bytes", 115.0), ("receive_rsts", 23.0)]);
    assert!(
        observer.skipped.iter().all(|(reason, _)| *reason != "owner_unknown"),
        "each has an owner: {:?}",
        observer.skipped
    );
}

#[test]
fn root_a_refused_connection_is_the_client_s_and_has_its_reset() {
    let mut observer = Observer::start();
    let (bound, at) = listener("127.0.0.1");
    drop(bound);
    for _ in 0..5 {
        TcpStream::connect(at).expect_err("refused");
    }
    let rows = observer.read();
    expect(
        &rows,
        "client",
        at.port(),
        &[
            ("tx_bytes", 0.0),
            ("rx_bytes", 0.0),
            ("segs_out", 5.0),
            ("receive_rsts", 5.0),
            ("tmout_count", 0.0),
        ],
    );
    assert!(rows.of("server", at.port()).is_empty());
}

#[test]
fn root_a_connection_that_is_closed_at_once_counts_at_both_ends() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    for _ in 0..50 {
        drop(TcpStream::connect(at).expect("connected"));
        let (mut server, _) = listener.accept().expect("accepted");
        wait_end(&mut server);
    }
    let rows = observer.read();
    for role in ["client", "server"] {
        expect(&rows, role, at.port(), &[("tx_bytes", 0.0), ("rx_bytes", 0.0)]);
        assert_eq!(rows.samples(role, at.port(), "syn_srtt"), 50, "{role}");
    }
}

#[test]
fn root_a_socket_that_connects_again_is_another_connection() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    for _ in 0..3 {
        rustix::net::connect(&socket, &at).expect("connected");
        let (mut server, _) = listener.accept().expect("accepted");
        rustix::io::write(&socket, b"hello").expect("sent");
        rustix::net::connect_unspec(&socket).expect("disconnected");
        wait_end(&mut server);
    }
    let rows = observer.read();
    expect(&rows, "client", at.port(), &[("tx_bytes", 15.0)]);
    expect(&rows, "server", at.port(), &[("rx_bytes", 15.0)]);
    assert_eq!(rows.samples("client", at.port(), "syn_srtt"), 3);
}

#[test]
fn root_segments_that_a_filter_refuses_are_dropped_sent_again_and_end_in_a_time_out() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    let (mut client, server) = pair(&listener, at);
    // A filter of one instruction: take nothing. The client's data is dropped and sent again until it gives up.
    let refuse = [socket2::SockFilter::new(0x06, 0, 0, 0)];
    socket2::SockRef::from(&server).attach_filter(&refuse).expect("a filter");
    socket2::SockRef::from(&client)
        .set_tcp_user_timeout(Some(Duration::from_millis(700)))
        .expect("a time-out");
    client.write_all(&[1; 100]).expect("queued");
    wait_end(&mut client);
    drop(client);
    let rows = observer.read();
    let row = rows.one("client", at.port());
    let again = row.get("retran_packets").expect("a count");
    assert!(again >= 1.0, "{row:#?}");
    assert_eq!(row.get("tx_bytes"), Some(100.0), "once, however often it was sent");
    assert_eq!(row.get("tmout_count"), Some(1.0));
    let dropped = rows.one("server", at.port());
    assert_eq!(dropped.get("rx_bytes"), Some(0.0));
    // The first and each time again; the reset of the client that gives up is refused as well.
    let drops = dropped.get("sk_drops").expect("a count");
    assert!((again + 1.0..=again + 2.0).contains(&drops), "{drops} of {again} and one");
    if let Some(filtered) = dropped.get("filter_drops") {
        assert_eq!(filtered, drops, "every drop was the filter's");
    }
}
