//! Scopes that change while the probe runs, and sub-probes that come and go.

use super::super::{TCP, UDP};
use super::*;

fn served(rows: &[SeenRow], at: SocketAddr, role: &str, column: &str) -> Option<f64> {
    let (ip, port) = (text(at.ip()), text(at.port()));
    let rows =
        with(rows, &[("role", role), ("server_ip", &ip), ("server_port", &port), ("client_ip", "127.0.0.1")]);
    rows.first().and_then(|row| row.get(column))
}

#[test]
fn root_what_happens_out_of_scope_is_not_counted_at_either_end() {
    alone(|| {
        let (server, at) = listener(64);
        let server = TcpListener::from(server);
        let other = Holder::of(std::fs::File::open("/dev/null").expect("a file"));
        observing(&[TCP], only(&[me()]), |work, _| {
            connections(&server, at, 3);
            work.observe(only(&[other.pid()])).expect("observed");
            connections(&server, at, 4);
            assert!(with(&report(work), &[("tgid", &text(me()))]).is_empty(), "out of scope, not shown");
            work.observe(Scope::Except(Arc::new([key(other.pid())].into()))).expect("observed");
            connections(&server, at, 5);
            let rows = report(work);
            assert_eq!(served(&rows, at, "client", "active_open"), Some(8.0), "3 before and 5 after");
            assert_eq!(served(&rows, at, "server", "passive_open"), Some(8.0));
        });
    });
}

#[test]
fn root_a_thousand_changes_under_traffic_take_nothing_back_and_leave_nothing() {
    alone(|| {
        let (server, at) = listener(64);
        let server = TcpListener::from(server);
        let (narrow, wide) = (only(&[me()]), Scope::All);
        observing(&[TCP], wide.clone(), |work, _| {
            let (mut last, mut made) = (0.0, 0);
            let memory = {
                report(work);
                work.memory()
            };
            for change in 0..1000 {
                work.observe(if change % 2 == 0 { narrow.clone() } else { wide.clone() }).expect("observed");
                connections(&server, at, 1);
                made += 1;
                if change % 50 == 0 {
                    let now =
                        served(&report(work), at, "client", "active_open").expect("in scope either way");
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                }
            }
            let rows = report(work);
            assert_eq!(served(&rows, at, "client", "active_open"), Some(f64::from(made)));
            assert_eq!(served(&rows, at, "server", "passive_open"), Some(f64::from(made)));
            assert!(work.memory() <= memory + 64 * 1024, "{} after {memory}", work.memory());
        });
    });
}

#[test]
fn root_a_sub_probe_that_is_off_counts_nothing_and_goes_on_from_where_it_was() {
    alone(|| {
        let (server, at) = listener(64);
        let server = TcpListener::from(server);
        observing(&[TCP, UDP], Scope::All, |work, _| {
            connections(&server, at, 2);
            report(work);
            let udp = [UDP].into_iter().collect();
            work.switch(&udp).expect("switched");
            connections(&server, at, 3);
            assert!(with(&report(work), &[("role", "client")]).is_empty(), "its table is not there");
            work.switch(&[TCP, UDP].into_iter().collect()).expect("switched");
            connections(&server, at, 4);
            assert_eq!(served(&report(work), at, "server", "passive_open"), Some(6.0), "2 and 4");
        });
    });
}
