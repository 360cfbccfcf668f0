//! A network namespace with the address translation that a cluster's services have.

use crate::process::text_of;

/// The service's address, as clients connect to it.
pub const SERVICE: &str = "10.96.0.1:80";
/// Where its connections go.
pub const BACKEND: &str = "127.0.0.1:8080";

/// Runs `body` in a thread of its own, in a network namespace of its own where [`SERVICE`] leads to [`BACKEND`].
pub fn beside_a_service(body: impl FnOnce() + Send + 'static) {
    let apart = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace, as root");
        text_of("ip", &["link", "set", "lo", "up"]);
        text_of("ip", &["address", "add", "10.96.0.200/24", "dev", "lo"]);
        let (service, port) = SERVICE.split_once(':').expect("a port");
        let to = ["-d", service, "-p", "tcp", "--dport", port, "-j", "DNAT", "--to-destination", BACKEND];
        text_of("iptables", &[&["-t", "nat", "-A", "OUTPUT"][..], &to[..]].concat());
        body();
    };
    std::thread::Builder::new().spawn(apart).expect("a thread").join().expect("it holds");
}
