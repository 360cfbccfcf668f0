//! Connections that are opened, by whom, from where.

use super::super::TCP;
use super::*;
use std::net::TcpStream;

/// Both rows of connections to `server`.
fn ends<'r>(rows: &'r [SeenRow], ip: &str, port: u16) -> [&'r SeenRow; 2] {
    let port = text(port);
    // The address that the kernel connects from, over loopback.
    let from = if ip.contains(':') { "::1" } else { "127.0.0.1" };
    let labels = |role| [("role", role), ("server_ip", ip), ("server_port", &*port), ("client_ip", from)];
    [one(rows, &labels("client")), one(rows, &labels("server"))]
}

fn counted(v6: bool, mapped: bool) {
    alone(|| {
        observing(&[TCP], only(&[me()]), |work, _| {
            let ip = loopback(v6);
            // Dual stack: an IPv4 client of a socket that listens at ::.
            let at = if mapped { "[::]:0".parse().expect("an address") } else { (ip, 0).into() };
            let (server, at) = listener_at(at, 64);
            let to = SocketAddr::from((ip, at.port()));
            connections(&server.into(), to, 25);
            let rows = report(work);
            let [client, server] = ends(&rows, &ip.to_string(), at.port());
            let counters = counters();
            assert_eq!(client.get("active_open"), Some(25.0));
            assert_eq!(client.get("syn_sent"), Some(counters["ActiveOpens"]));
            assert_eq!(client.get("active_open_failed"), Some(0.0));
            assert_eq!(server.get("passive_open"), Some(counters["PassiveOpens"]));
            assert_eq!(server.get("passive_open"), Some(25.0));
            assert_eq!(server.get("synack_sent"), Some(25.0));
            for row in [client, server] {
                assert_eq!(row.label("tgid"), Some(&*text(me())));
                assert_eq!(row.label("protocol"), Some(if v6 { "10" } else { "2" }));
                assert_eq!(row.label("multi"), Some("0"));
                let probe_core::Value::Histogram(latency) = &value(row, "estab_latency") else { panic!() };
                assert_eq!(latency.count(), 25, "each has a latency");
                assert!(latency.sum() > 0.0 && latency.max().is_some_and(|max| max <= latency.sum()));
            }
            assert_eq!(client.get("passive_open"), None, "a client accepts nothing");
            assert_eq!(server.get("active_open"), None, "a server connects to nothing");
        });
    });
}

fn value(row: &SeenRow, column: &str) -> probe_core::Value {
    row.values.iter().find(|(name, _)| *name == column).map(|(_, value)| value.clone()).expect(column)
}

#[test]
fn root_connections_of_ipv4_are_counted_at_both_ends_as_the_kernel_counts_them() {
    counted(false, false);
}

#[test]
fn root_connections_of_ipv6_are_counted_at_both_ends_as_the_kernel_counts_them() {
    counted(true, false);
}

#[test]
fn root_ipv4_through_a_socket_of_ipv6_is_ipv4() {
    counted(false, true);
}

#[test]
fn root_a_socket_that_listened_before_the_probe_is_known() {
    alone(|| {
        let (server, at) = listener(64);
        let server = TcpListener::from(server);
        connections(&server, at, 3);
        observing(&[TCP], Scope::All, |work, _| {
            connections(&server, at, 4);
            let rows = report(work);
            let [client, served] = ends(&rows, &at.ip().to_string(), at.port());
            assert_eq!(client.get("active_open"), Some(4.0));
            assert_eq!(served.get("passive_open"), Some(4.0));
            connections(&server, at, 2);
            let rows = report(work);
            let [client, served] = ends(&rows, &at.ip().to_string(), at.port());
            assert_eq!((client.get("active_open"), served.get("passive_open")), (Some(6.0), Some(6.0)));
        });
    });
}

#[test]
fn root_a_connection_that_lived_for_nothing_is_counted_and_its_process_shown_once_more() {
    alone(|| {
        observing(&[TCP], Scope::All, |work, _| {
            let (server, at) = listener(8);
            let server = TcpListener::from(server);
            let served = std::thread::Builder::new().spawn(move || drop(server.accept())).expect("a thread");
            // Another process connects, from the same namespace, and is gone before anybody looks.
            run("busybox", &["nc", &text(at.ip()), &text(at.port())]);
            served.join().expect("served");
            let port = text(at.port());
            let labels = [("role", "client"), ("server_port", &*port)];
            let rows = report(work);
            let row = one(&rows, &labels);
            assert_eq!(row.get("active_open"), Some(1.0));
            assert_ne!(row.label("tgid"), Some(&*text(me())));
            assert!(with(&report(work), &labels).is_empty(), "it has ended");
        });
    });
}

#[test]
fn root_a_socket_that_several_processes_share_is_their_groups() {
    alone(|| {
        observing(&[TCP], Scope::All, |work, _| {
            let (server, at) = listener(64);
            let other = Holder::of(server.try_clone().expect("a second descriptor"));
            let server = TcpListener::from(server);
            let port = text(at.port());
            // Once it cannot be a child any more that is about to execute something.
            eventually("both as one", || {
                let rows = report(work);
                !with(&rows, &[("server_port", &*port), ("multi", "1")]).is_empty()
            });
            connections(&server, at, 5);
            // In a guest whose first process made no group, it is the oldest process that gives the name.
            let stat = std::fs::read("/proc/self/stat").expect("stat");
            let group = Stat::parse(&stat).expect("stat").words().nth(2).expect("field 5").to_vec();
            let group = probe_kit::scan::number(&group).filter(|group| *group > 0).unwrap_or(me().into());
            let rows = report(work);
            let served =
                one(&rows, &[("role", "server"), ("server_port", &port), ("client_ip", "127.0.0.1")]);
            assert_eq!(served.label("multi"), Some("1"));
            assert_eq!(served.label("tgid"), Some(&*text(group)));
            assert_eq!(served.get("passive_open"), Some(5.0));
            let multi =
                [("role", "server"), ("server_port", &*port), ("client_ip", "0.0.0.0"), ("multi", "1")];
            let listens = one(&rows, &multi);
            assert_eq!((listens.label("multi"), listens.get("listendrop")), (Some("1"), Some(0.0)));
            other.end();
        });
    });
}

#[test]
fn root_equal_addresses_in_two_namespaces_are_two_servers() {
    let at = SocketAddr::from((address(), 7777));
    observing(&[TCP], Scope::All, |work, _| {
        let stage = |count: usize| {
            alone(|| {
                let (server, at) = listener_at(at, 64);
                let holder = Holder::of(server);
                (0..count).for_each(|_| drop(TcpStream::connect(at).expect("connected")));
                (holder, counters()["PassiveOpens"])
            })
        };
        // Each is a process of its own that holds the socket, in a namespace of its own.
        let (first, first_opens) = stage(3);
        let (second, second_opens) = stage(5);
        let rows = report(work);
        let port = text(at.port());
        let labels = [("role", "server"), ("server_port", &*port), ("client_ip", "0.0.0.0")];
        for holder in [&first, &second] {
            let tgid = text(holder.pid());
            one(&rows, &[labels[0], labels[1], labels[2], ("tgid", &tgid)]);
        }
        // Accepted while this process held them both; so they are its, together.
        let both = one(&rows, &[labels[0], labels[1], ("client_ip", "127.0.0.1")]);
        assert_eq!(both.get("passive_open"), Some(first_opens + second_opens));
        assert_eq!(first_opens + second_opens, 8.0);
    });
}
