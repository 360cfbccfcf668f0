//! Which network namespace `net`, `nic`, `host` and `cpu` look at: the host's, also when this program has
//! one of its own.
//!
//! `/proc/net` is a link to the reader's own namespace, even in a /proc that was mounted from the host. So
//! the files are read below the host's first process, and the netlink socket is opened in that process's
//! namespace. Where its directory cannot be read, the own namespace is the best there is.

use super::rtnl::Rtnl;
use probe_core::{Capability, Env};
use probe_kit::privilege::{lacking, raise};
use rustix::fs::{CWD, Mode, OFlags, StatxFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The directory that has the host's `dev`, `snmp` and `softnet_stat`.
pub(super) fn proc_net(env: &Env) -> PathBuf {
    let first = env.proc.join("1/net");
    if std::fs::File::open(first.join("dev")).is_ok() { first } else { env.proc.join("net") }
}

/// A routing socket that sees the host's devices. `None` if there is no telling whose it would see: then
/// what it would have said is absent.
pub(super) fn rtnl(env: &Env) -> Option<Rtnl> {
    let of_host = env.proc.join("1/ns/net");
    let host = {
        let _raised = raise(&[Capability::SysPtrace]);
        identity(&of_host)
    };
    match (host, identity(Path::new("/proc/thread-self/ns/net"))) {
        (Some(host), Some(own)) if host == own => Rtnl::open().ok(),
        (Some(_), _) => open_inside(of_host),
        // Without the privilege to look at process 1 a /proc of our own is the host's, as far as we can see;
        // one that was mounted elsewhere, or a test's tree, is not.
        (None, _) if env.proc == Path::new("/proc") => Rtnl::open().ok(),
        (None, _) => None,
    }
}

/// The capabilities for want of which there is no socket.
pub(super) fn lacks(socket: Option<&Rtnl>) -> Vec<Capability> {
    if socket.is_some() { Vec::new() } else { lacking(&[Capability::SysPtrace, Capability::SysAdmin]) }
}

fn identity(link: &Path) -> Option<(u32, u32, u64)> {
    let stat = rustix::fs::statx(CWD, link, rustix::fs::AtFlags::empty(), StatxFlags::INO).ok()?;
    Some((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
}

/// Opens the socket on a thread that enters the namespace and then ends: a socket stays in the namespace
/// that it was made in, and no thread of the daemon has to find its way back.
fn open_inside(namespace: PathBuf) -> Option<Rtnl> {
    let inside = move || {
        let _raised = raise(&[Capability::SysPtrace, Capability::SysAdmin]);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let fd: OwnedFd = rustix::fs::open(namespace, flags, Mode::empty()).ok()?;
        move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
        Rtnl::open().ok()
    };
    std::thread::Builder::new().name("netns".into()).spawn(inside).ok()?.join().ok()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::{FakeHost, as_in_the_daemon};

    #[test]
    fn the_first_process_says_where_the_hosts_network_files_are() {
        let host = FakeHost::new();
        host.write("proc/net/dev", "");
        assert_eq!(proc_net(&host.env()), host.path("proc/net"));
        host.write("proc/1/net/dev", "");
        assert_eq!(proc_net(&host.env()), host.path("proc/1/net"));
    }

    #[test]
    fn a_tree_that_is_not_this_hosts_gets_no_socket_to_this_host() {
        let host = FakeHost::new();
        assert!(rtnl(&host.env()).is_none());
        host.write("proc/1/ns/net", "not a namespace");
        assert!(rtnl(&host.env()).is_none());
    }

    #[test]
    fn this_host_gets_one() {
        assert!(rtnl(&Env::default()).is_some());
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // another namespace needs a process in it
    fn root_a_socket_opened_in_another_namespace_sees_its_devices_and_no_others() {
        use super::super::rtnl::{RTM_GETLINK, attributes};
        use rustix::thread::{CapabilitySet, capabilities};
        use std::io::BufRead as _;
        use std::process::{Command, Stdio};
        if !capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN)) {
            assert!(open_inside("/proc/self/ns/net".into()).is_none());
            return;
        }
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, of util-linux, runs");
        let mut ready = String::new();
        let output = child.stdout.take().expect("a pipe");
        std::io::BufReader::new(output).read_line(&mut ready).expect("a line");
        let namespace = format!("/proc/{}/ns/net", child.id());
        let inside = as_in_the_daemon(|| open_inside(namespace.into()));
        let mut socket = inside.expect("a socket");
        let names = socket.list(RTM_GETLINK, &[0; 16], |body| {
            attributes(body.get(16..)?).find(|(kind, _)| *kind == 3).map(|(_, name)| name.to_vec())
        });
        drop(child.stdin.take());
        child.wait().expect("it ends");
        let names = names.expect("listed");
        assert!(names.contains(&b"lo\0".to_vec()) && !names.contains(&b"eth0\0".to_vec()), "{names:?}");
        let own = identity(Path::new("/proc/thread-self/ns/net"));
        assert_eq!(own, identity(Path::new("/proc/self/ns/net")), "this thread went nowhere");
    }
}
