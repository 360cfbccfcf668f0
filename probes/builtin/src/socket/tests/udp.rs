//! Datagrams: bytes moved, and those that a full socket did not take.

use super::super::UDP;
use super::*;
use std::net::UdpSocket;

/// Whether this kernel gives `field`; if not, that is what the operator is told.
fn gives(outcome: &Outcome, field: &str) -> bool {
    !outcome.missing().iter().any(|sentence| sentence.contains(&format!("{field}: ")))
}

fn row<'r>(rows: &'r [SeenRow], socket: &UdpSocket) -> &'r SeenRow {
    let at = socket.local_addr().expect("an address");
    one(rows, &[("local_ip", &text(at.ip())), ("local_port", &text(at.port()))])
}

#[test]
fn root_bytes_sent_and_received_are_exact_where_the_kernel_tells_them() {
    alone(|| {
        observing(&[UDP], only(&[me()]), |work, outcome| {
            for v6 in [false, true] {
                let bind = || UdpSocket::bind((loopback(v6), 0)).expect("bound");
                let (one, other) = (bind(), bind());
                let to = other.local_addr().expect("an address");
                let mut room = [0; 2000];
                for size in [1, 10, 1400] {
                    one.send_to(&vec![7; size], to).expect("sent");
                    other.peek(&mut room).expect("a look, which takes nothing");
                    other.recv(&mut room).expect("received");
                }
                let rows = report(work);
                if gives(outcome, "bind_sends") {
                    assert_eq!(row(&rows, &one).get("bind_sends"), Some(1411.0));
                    assert_eq!(row(&rows, &one).get("bind_rcvs"), Some(0.0));
                    assert_eq!(row(&rows, &other).get("bind_rcvs"), Some(1411.0));
                    assert_eq!(row(&rows, &one).label("protocol"), Some(if v6 { "10" } else { "2" }));
                    assert_eq!(row(&rows, &one).label("remote_port"), Some("0"), "it is not connected");
                } else {
                    assert!(rows.is_empty(), "nothing is known of them: {rows:?}");
                }
            }
        });
    });
}

#[test]
fn root_what_a_full_socket_drops_is_exact_in_datagrams_and_where_the_kernel_tells_it_in_bytes() {
    alone(|| {
        observing(&[UDP], Scope::All, |work, outcome| {
            let full =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).expect("a socket");
            full.set_recv_buffer_size(2304).expect("small");
            full.bind(&SocketAddr::from((address(), 0)).into()).expect("bound");
            let full = UdpSocket::from(full);
            let to = full.local_addr().expect("an address");
            let sender = UdpSocket::bind((address(), 0)).expect("bound");
            for _ in 0..60 {
                sender.send_to(&[7; 500], to).expect("sent");
            }
            let drops = counters()["UdpRcvbufErrors"];
            let rows = report(work);
            let row = row(&rows, &full);
            assert!(drops > 10.0, "the stage is set: {drops}");
            assert_eq!(row.get("udp_rcv_drop_packets"), Some(drops));
            let bytes = gives(outcome, "udp_rcv_drops").then_some(drops * 500.0);
            assert_eq!(row.get("udp_rcv_drops"), bytes);
            assert_eq!(row.label("tgid"), Some(&*text(me())));
        });
    });
}

#[test]
fn root_a_connected_socket_has_its_peer_and_an_ended_process_is_shown_once_more() {
    alone(|| {
        observing(&[UDP], Scope::All, |work, outcome| {
            let full =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).expect("a socket");
            full.set_recv_buffer_size(2304).expect("small");
            full.bind(&SocketAddr::from((address(), 0)).into()).expect("bound");
            let peer = UdpSocket::bind((address(), 0)).expect("bound");
            let at = full.local_addr().expect("an address").as_socket().expect("of IP");
            let from = peer.local_addr().expect("an address");
            full.connect(&from.into()).expect("connected");
            let holder = Holder::of(full);
            peer.connect(at).expect("connected");
            (0..60).for_each(|_| drop(peer.send(&[7; 500])));
            let labels = (text(at.port()), text(from.port()), text(holder.pid()));
            let labels = [("local_port", &*labels.0), ("remote_port", &labels.1), ("tgid", &labels.2)];
            let rows = report(work);
            assert!(one(&rows, &labels).get("udp_rcv_drop_packets").is_some_and(|drops| drops > 10.0));
            holder.end();
            let rows = report(work);
            assert_eq!(with(&rows, &labels).len(), 1, "once more");
            assert!(with(&report(work), &labels).is_empty());
            assert!(!outcome.none_runs());
        });
    });
}
