//! Bytes, segments and samples of connections that live and of those that have ended.

use crate::harness::{Observer, expect, listener, pair, talk, wait_end};
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};

#[test]
fn root_bytes_of_both_ends_are_exact_while_a_connection_lives_and_after() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    talk(&mut client, &mut server, 38, 10, 20);
    let rows = observer.read();
    expect(&rows, "client", at.port(), &[("tx_bytes", 760.0), ("rx_bytes", 200.0), ("retran_packets", 0.0)]);
    expect(&rows, "server", at.port(), &[("rx_bytes", 760.0), ("tx_bytes", 200.0)]);
    talk(&mut client, &mut server, 1, 100_000, 3);
    drop(client);
    wait_end(&mut server);
    drop(server);
    let rows = observer.read();
    expect(&rows, "client", at.port(), &[("tx_bytes", 763.0), ("rx_bytes", 300_200.0)]);
    expect(&rows, "server", at.port(), &[("rx_bytes", 763.0), ("tx_bytes", 300_200.0)]);
    let client = rows.one("client", at.port());
    let label = |name| client.label(name).expect("a label");
    assert_eq!((label("client_ip"), label("server_ip")), ("127.0.0.1", "127.0.0.1"));
    assert_eq!((label("client_port"), label("protocol"), label("toa_client_ip")), ("0", "2", ""));
    assert_eq!(label("tgid"), std::process::id().to_string());
    // Segments that one end sent and the other received: all but the handshake's, which a server's socket is not
    // there for.
    let sum = |role, column| rows.sum(role, at.port(), column).expect("segments");
    assert_eq!(sum("client", "segs_in"), sum("server", "segs_out") + 1.0, "the SYN-ACK is the listener's");
    observer.stop();
}

#[test]
fn root_connections_of_a_few_milliseconds_all_count() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    for _ in 0..500 {
        let (mut client, mut server) = pair(&listener, at);
        talk(&mut client, &mut server, 5, 7, 1);
        drop(client);
        wait_end(&mut server);
    }
    let rows = observer.read();
    expect(&rows, "client", at.port(), &[("tx_bytes", 2500.0), ("rx_bytes", 3500.0)]);
    expect(&rows, "server", at.port(), &[("rx_bytes", 2500.0), ("tx_bytes", 3500.0)]);
    for role in ["client", "server"] {
        assert_eq!(rows.samples(role, at.port(), "syn_srtt"), 500, "one handshake each");
        for column in ["srtt", "sk_rcvbuf"] {
            let samples = rows.samples(role, at.port(), column);
            assert!((500..=550).contains(&samples), "one at each end, and of few that a pass met: {samples}");
        }
    }
}

#[test]
fn root_a_half_closed_connection_counts_on_and_a_fin_is_no_byte() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    client.write_all(b"question").expect("sent");
    client.shutdown(Shutdown::Write).expect("half closed");
    wait_end(&mut server);
    expect(&observer.read(), "server", at.port(), &[("rx_bytes", 8.0), ("tx_bytes", 0.0)]);
    server.write_all(b"the answer").expect("sent");
    drop(server);
    wait_end(&mut client);
    drop(client);
    let rows = observer.read();
    expect(&rows, "server", at.port(), &[("rx_bytes", 8.0), ("tx_bytes", 10.0)]);
    expect(&rows, "client", at.port(), &[("tx_bytes", 8.0), ("rx_bytes", 10.0)]);
}

#[test]
fn root_ipv6_is_shown_as_ipv6_and_mapped_ipv4_as_ipv4() {
    let mut observer = Observer::start();
    let (six, at) = listener("::1");
    let (mut client, mut server) = pair(&six, at);
    talk(&mut client, &mut server, 3, 4, 1);
    let (both, mapped) = listener("::");
    let (mut other_client, mut other_server) =
        pair(&both, SocketAddr::new("::ffff:127.0.0.2".parse().expect("an address"), mapped.port()));
    talk(&mut other_client, &mut other_server, 5, 6, 1);
    let rows = observer.read();
    for (role, sent) in [("client", 3.0), ("server", 4.0)] {
        expect(&rows, role, at.port(), &[("tx_bytes", sent)]);
        let row = rows.one(role, at.port());
        assert_eq!((row.label("server_ip"), row.label("protocol")), (Some("::1"), Some("10")));
    }
    for (role, sent) in [("client", 5.0), ("server", 6.0)] {
        expect(&rows, role, mapped.port(), &[("tx_bytes", sent)]);
        let row = rows.one(role, mapped.port());
        assert_eq!((row.label("server_ip"), row.label("protocol")), (Some("127.0.0.2"), Some("2")));
    }
}

#[test]
fn root_what_a_connection_counted_before_the_probe_is_not_counted() {
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    talk(&mut client, &mut server, 1000, 1000, 50);
    let mut observer = Observer::start();
    for role in ["client", "server"] {
        expect(&observer.read(), role, at.port(), &[("tx_bytes", 0.0), ("rx_bytes", 0.0), ("segs_in", 0.0)]);
    }
    talk(&mut client, &mut server, 11, 12, 2);
    drop(client);
    wait_end(&mut server);
    drop(server);
    let rows = observer.read();
    expect(&rows, "client", at.port(), &[("tx_bytes", 22.0), ("rx_bytes", 24.0)]);
    expect(&rows, "server", at.port(), &[("rx_bytes", 22.0), ("tx_bytes", 24.0)]);
    assert_eq!(rows.samples("client", at.port(), "syn_srtt"), 0, "its handshake was not seen");
}

#[test]
fn root_a_client_s_port_is_in_the_key_when_it_is_asked_for() {
    let mut observer = Observer::with(
        &crate::harness::USUAL,
        probe_core::Scope::All,
        &[(&probe_core::params::REPORT_CPORT, 1)],
    );
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    talk(&mut client, &mut server, 2, 2, 1);
    let port = client.local_addr().expect("an address").port().to_string();
    let rows = observer.read();
    assert_eq!(rows.one("client", at.port()).label("client_port"), Some(&*port));
    assert_eq!(rows.one("server", at.port()).label("client_port"), Some(&*port));
    drop(client);
    wait_end(&mut server);
    drop(server);
    expect(&observer.read(), "client", at.port(), &[("tx_bytes", 2.0)]);
    let later = observer.read();
    assert!(later.of("client", at.port()).is_empty(), "its one connection has given its last report");
    let other = TcpStream::connect(at).expect("connected");
    let other_port = other.local_addr().expect("an address").port().to_string();
    assert_eq!(observer.read().one("client", at.port()).label("client_port"), Some(&*other_port));
}
