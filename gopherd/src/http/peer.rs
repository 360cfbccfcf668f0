//! Who is at the other end of the unix socket. The socket's mode keeps others out at connect; this is the second
//! look, at the credentials that the kernel noted, for a socket whose mode was loosened by hand.

use tokio::net::UnixStream;

/// The user at the other end, and whether the socket is for that user.
pub(super) fn uid(stream: &UnixStream, group: Option<u32>) -> (u32, bool) {
    match stream.peer_cred() {
        Ok(credentials) => {
            let own = rustix::process::geteuid().as_raw();
            let further = || credentials.pid().map(groups).unwrap_or_default();
            let uid = credentials.uid();
            (uid, may_write(uid, credentials.gid(), own, group, further))
        }
        Err(error) => {
            tracing::warn!(%error, "a peer on the unix socket has no credentials");
            (u32::MAX, false)
        }
    }
}

/// Root, the daemon's own user, and the socket's group.
fn may_write(uid: u32, gid: u32, own: u32, group: Option<u32>, further: impl FnOnce() -> Vec<u32>) -> bool {
    uid == 0 || uid == own || group.is_some_and(|group| gid == group || further().contains(&group))
}

/// The supplementary groups of a process; none when it has gone.
fn groups(pid: i32) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    line.split_ascii_whitespace().filter_map(|gid| gid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_daemon_itself_and_the_group_may_write() {
        let group = Some(50);
        assert!(may_write(0, 9, 7, group, Vec::new));
        assert!(may_write(7, 9, 7, group, Vec::new));
        assert!(may_write(8, 50, 7, group, Vec::new));
        assert!(may_write(8, 9, 7, group, || vec![4, 50]));
        assert!(!may_write(8, 9, 7, group, || vec![4, 51]));
        assert!(!may_write(8, 9, 7, None, || vec![4, 50]));
    }

    #[test]
    fn supplementary_groups_are_those_that_the_kernel_says() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let mut ours: Vec<u32> =
            rustix::process::getgroups().unwrap().into_iter().map(|gid| gid.as_raw()).collect();
        let mut read = groups(pid);
        ours.sort_unstable();
        read.sort_unstable();
        assert_eq!(read, ours);
    }
}
