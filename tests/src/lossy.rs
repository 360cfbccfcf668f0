//! A connection over a network that loses segments: a network namespace whose loopback drops some, so that nobody else's do.
//!
//! Owns the namespace, both ends of the connection and keeping them busy. Needs root.

use crate::process::text_of;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

/// One of so many segments to the server is dropped.
const EVERY: &str = "4";

/// The connection; over when dropped.
#[derive(Debug)]
pub struct Lossy {
    /// The server's port.
    pub port: u16,
    healed: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lossy {
    /// Connects, and talks without a pause from now on.
    #[track_caller]
    pub fn start() -> Self {
        let (healed, over) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (send, port) = std::sync::mpsc::channel();
        let (heal, end) = (Arc::clone(&healed), Arc::clone(&over));
        let apart = move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace, as root");
            text_of("ip", &["link", "set", "lo", "up"]);
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let at = listener.local_addr().expect("bound");
            let mut client = TcpStream::connect(at).expect("connected");
            let (mut server, _) = listener.accept().expect("accepted");
            let port = at.port().to_string();
            // On the way in: what is dropped on the way out is an error of the sender, not a loss.
            let to = ["-A", "INPUT", "-p", "tcp", "--dport", &port, "-j", "DROP"];
            let some = ["-m", "statistic", "--mode", "nth", "--every", EVERY, "--packet", "0"];
            text_of("iptables", &[&to[..], &some[..]].concat());
            send.send(at.port()).expect("somebody waits");
            client.set_nodelay(true).expect("set");
            let mut lossy = true;
            let mut piece = [0; 8 * 500];
            while !end.load(SeqCst) {
                if lossy && heal.load(SeqCst) {
                    text_of("iptables", &["-F", "INPUT"]);
                    lossy = false;
                }
                // Several segments, so that what is lost is seen by those behind it.
                for part in piece.chunks(500) {
                    client.write_all(part).expect("sent");
                }
                server.read_exact(&mut piece).expect("arrives in the end");
                // A network that is whole would only be flooded.
                std::thread::park_timeout(Duration::from_millis(if lossy { 0 } else { 100 }));
            }
        };
        let thread = std::thread::Builder::new().name("lossy".into()).spawn(apart).expect("a thread");
        let port = port.recv_timeout(Duration::from_secs(60)).expect("a connection in a namespace");
        Self { port, healed, over, thread: Some(thread) }
    }

    /// From now on nothing is dropped.
    pub fn heal(&self) {
        self.healed.store(true, SeqCst);
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
