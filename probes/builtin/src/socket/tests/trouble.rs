//! Connections that fail: refused, dropped by a full queue, answered too late, never accepted.

use super::super::TCP;
use super::*;

/// The row of a listening socket.
fn listens(rows: &[SeenRow], at: SocketAddr) -> &SeenRow {
    one(rows, &[("role", "server"), ("server_port", &text(at.port())), ("client_ip", "0.0.0.0")])
}

fn peer<'r>(rows: &'r [SeenRow], role: &str, at: SocketAddr) -> &'r SeenRow {
    one(rows, &[("role", role), ("server_port", &text(at.port())), ("client_ip", "127.0.0.1")])
}

#[test]
fn root_a_refused_connect_is_a_failed_one() {
    alone(|| {
        observing(&[TCP], Scope::All, |work, _| {
            // Bound by nobody once this is dropped.
            let (closed, at) = listener(1);
            drop(closed);
            for _ in 0..6 {
                std::net::TcpStream::connect(at).expect_err("nobody listens");
            }
            let rows = report(work);
            let row = one(
                &rows,
                &[("role", "client"), ("server_ip", &text(at.ip())), ("server_port", &text(at.port()))],
            );
            assert_eq!(row.get("active_open_failed"), Some(counters()["AttemptFails"]));
            assert_eq!(row.get("active_open_failed"), Some(6.0));
            assert_eq!((row.get("active_open"), row.get("syn_sent")), (Some(0.0), Some(6.0)));
        });
    });
}

#[test]
fn root_a_full_accept_queue_drops_what_the_kernel_counts() {
    alone(|| {
        let (server, at) = listener(1);
        // A holder that lives in the namespace, as a server does: through it the counters are read.
        let _holder = Holder::of(server);
        observing(&[TCP], Scope::All, |work, _| {
            let before = report(work);
            assert_eq!(listens(&before, at).get("accept_overflow"), Some(0.0));
            let clients: Vec<_> = (0..12).map(|_| begin_connect(at, false)).collect();
            let counters = counters();
            assert!(counters["ListenOverflows"] >= 10.0, "the stage is set: {}", counters["ListenOverflows"]);
            let rows = report(work);
            let row = listens(&rows, at);
            // Those that were dropped try again, so there may be more by now.
            let [drops, overflows] = ["listendrop", "accept_overflow"].map(|name| row.get(name).expect(name));
            let after = self::counters();
            assert!((counters["ListenDrops"]..=after["ListenDrops"]).contains(&drops), "{drops} {after:?}");
            assert!(
                (counters["ListenOverflows"]..=after["ListenOverflows"]).contains(&overflows),
                "{overflows}"
            );
            assert_eq!(row.get("syn_overflow"), Some(0.0));
            assert_eq!(peer(&rows, "server", at).get("passive_open"), Some(2.0), "the backlog and one more");
            drop(clients);
        });
    });
}

#[test]
fn root_lost_answers_are_sent_again_and_counted_at_both_ends() {
    alone(|| {
        observing(&[TCP], Scope::All, |work, _| {
            let (server, at) = listener(8);
            let client = begin_connect(at, true);
            eventually("a SYN and a SYN-ACK sent again", || {
                let rows = report(work);
                let again = |role, column| {
                    let rows = with(&rows, &[("role", role), ("server_port", &text(at.port()))]);
                    rows.iter().filter_map(|row| row.get(column)).sum::<f64>()
                };
                again("client", "retran_syn") >= 1.0 && again("server", "retran_synacks") >= 1.0
            });
            drop(client);
            // The server's timer goes on: what is reported lies between two readings of the kernel's counter.
            let before = counters()["TCPSynRetrans"];
            let rows = report(work);
            let after = counters()["TCPSynRetrans"];
            let (client, served) = (peer(&rows, "client", at), peer(&rows, "server", at));
            let [syn, synack] =
                [client.get("retran_syn"), served.get("retran_synacks")].map(|n| n.expect("counted"));
            let told = syn + synack;
            assert!((before..=after).contains(&told), "{syn} + {synack}, not {before} to {after}");
            assert_eq!(served.get("passive_open"), Some(0.0));
            assert_eq!(served.get("synack_sent"), Some(synack));
            assert_eq!(client.get("active_open_failed"), Some(1.0), "given up by its process");
            drop(server);
        });
    });
}

#[test]
fn root_what_waits_at_a_socket_that_stops_to_listen_has_failed() {
    alone(|| {
        observing(&[TCP], Scope::All, |work, _| {
            let (server, at) = listener(8);
            let waiting: Vec<_> =
                (0..3).map(|_| std::net::TcpStream::connect(at).expect("connected")).collect();
            let half: Vec<_> = (0..2).map(|_| begin_connect(at, true)).collect();
            drop(server);
            let rows = report(work);
            let row = listens(&rows, at);
            assert_eq!(row.get("passive_open_failed"), Some(3.0), "connected and never accepted");
            assert_eq!(row.get("req_drops"), Some(2.0), "handshakes under way");
            drop((waiting, half));
        });
    });
}

#[test]
fn root_what_the_full_maps_have_no_room_for_is_counted_and_the_rest_goes_on() {
    alone(|| {
        observing_with(4, &[TCP], Scope::All, |work, _| {
            // Each to an address of its own, so each is an endpoint of its own, at both ends.
            let (server, at) = listener_at("0.0.0.0:0".parse().expect("an address"), 16);
            let to = |last| SocketAddr::from((Ipv4Addr::new(127, 9, 0, last), at.port()));
            let connect = |last| std::net::TcpStream::connect(to(last)).expect("connected as ever");
            let clients: Vec<_> = (1..=10).map(connect).collect();
            let mut batch = Batch::new(SystemTime::now());
            work.read(&mut batch).expect("a reading");
            let rows = seen(&batch);
            let shown = ["client", "server"].map(|role| {
                let opened = with(&rows, &[("role", role)]);
                let column = if role == "client" { "active_open" } else { "passive_open" };
                opened.iter().filter(|row| row.get(column) == Some(1.0)).count()
            });
            assert_eq!(shown.iter().sum::<usize>(), 4, "{rows:#?}");
            // Sixteen ends found no room: a client's at its SYN and when it was established, a server's once.
            assert!(lost_for(&batch, "map_full") >= 16, "{:?}", lost(&batch));
            drop((clients, server));
        });
    });
}

/// What was lost for a reason.
fn lost_for(batch: &Batch, reason: &str) -> u64 {
    lost(batch).iter().filter(|(name, _)| *name == reason).map(|(_, count)| count).sum()
}

#[test]
fn root_drops_of_a_socket_that_closes_between_two_reports_are_not_lost() {
    alone(|| {
        observing(&[TCP], Scope::All, |work, _| {
            report(work);
            let (server, at) = listener(1);
            let clients: Vec<_> = (0..5).map(|_| begin_connect(at, false)).collect();
            let drops = counters()["ListenDrops"];
            drop(server);
            let rows = report(work);
            assert!(drops >= 3.0);
            assert_eq!(listens(&rows, at).get("listendrop"), Some(drops));
            drop(clients);
        });
    });
}
