//! Sockets that several processes hold, and processes that change their name.

use crate::harness::{Observer, expect, listener, pair, talk};
use rustix::io::{FdFlags, fcntl_setfd};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// One at a time, or a test's child would have the other test's socket as well.
static SHARING: Mutex<()> = Mutex::new(());

/// A process that has `stream` too, sleeping under the name `sleep`.
#[allow(clippy::disallowed_methods)] // the process that is observed
fn sleeper_with(stream: &TcpStream) -> Child {
    let _one = SHARING.lock();
    fcntl_setfd(stream, FdFlags::empty()).expect("inherited");
    let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("sleep");
    fcntl_setfd(stream, FdFlags::CLOEXEC).expect("not by others");
    child
}

fn end(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn root_a_socket_of_several_processes_counts_once_and_keeps_its_owner() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    let child = sleeper_with(&server);
    for round in 1..6 {
        talk(&mut client, &mut server, 10, 20, 10);
        let rows = observer.read();
        let bytes = f64::from(round) * 100.0;
        expect(&rows, "server", at.port(), &[("rx_bytes", bytes), ("tx_bytes", 2.0 * bytes)]);
        let tgid = std::process::id().to_string();
        assert_eq!(rows.one("server", at.port()).label("tgid"), Some(&*tgid), "the owner stays");
    }
    // The child alone has it now: after a pass without the old owner it is the new one.
    drop(server);
    observer.until("the child's row", |rows| {
        rows.of("server", at.port()).iter().find(|row| row.label("comm") == Some("sleep")).map(|_| ())
    });
    use std::io::Write as _;
    client.write_all(&[0; 50]).expect("sent");
    let rows = observer.read();
    let of = |name: &str| {
        let rows = rows.of("server", at.port());
        let row = rows.iter().find(|row| (row.label("comm") == Some("sleep")) == (name == "sleep"));
        row.and_then(|row| row.get("rx_bytes"))
    };
    assert_eq!(of("sleep"), Some(50.0), "what came since is the child's");
    assert_eq!(of("other"), Some(500.0), "and what came before is not");
    end(child);
}

#[test]
fn root_a_series_that_has_no_connection_goes_when_its_process_ends() {
    let mut observer = Observer::start();
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    let child = sleeper_with(&server);
    talk(&mut client, &mut server, 1, 1, 1);
    drop(server);
    observer.until("the child's row", |rows| {
        rows.of("server", at.port()).iter().find(|row| row.label("comm") == Some("sleep")).map(|_| ())
    });
    end(child);
    // It is shown once more, and gone within seconds: the kernel still has the socket, for the client's FIN.
    observer.until("the end of the child's row", |rows| {
        let gone = rows.of("server", at.port()).iter().all(|row| row.label("comm") != Some("sleep"));
        gone.then_some(())
    });
    drop(client);
}
