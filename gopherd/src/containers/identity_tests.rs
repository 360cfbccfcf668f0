//! Cgroup paths of real hosts, and what they name.

use super::*;
use Runtime::{Containerd, CriO, Docker, Isulad, Podman, Unknown};
use proptest::prelude::*;

/// Ids, told apart by their first digit.
fn full(digit: char) -> String {
    format!("{digit}{}", "0123456789abcdef".repeat(4).get(1..).expect("63 digits"))
}

const UID: &str = "6f9f7c1e-0b1c-4f6e-9a52-7d3b8d1f2a90";
const STATIC: &str = "0123456789abcdef0123456789abcdef";

/// What a path names: id, runtime, pod.
type Expected<'a> = Vec<(&'a str, Runtime, Option<&'a str>)>;

#[test]
fn real_paths_name_their_containers_innermost_first() {
    let (a, b) = (&full('a'), &full('b'));
    let under = UID.replace('-', "_");
    let table: Vec<(String, Expected<'_>)> = vec![
        // Docker: the cgroupfs driver, the systemd driver on v1 and v2, a container's own sub-group.
        (format!("/docker/{a}"), vec![(a, Docker, None)]),
        (format!("/docker/{a}/init.scope"), vec![(a, Docker, None)]),
        (format!("/system.slice/docker-{a}.scope"), vec![(a, Docker, None)]),
        (format!("/system.slice/docker-{a}.scope/system.slice/nginx.service"), vec![(a, Docker, None)]),
        (format!("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{a}.scope"), vec![(a, Docker, None)]),
        (format!("/actions_job/{a}"), vec![(a, Unknown, None)]),
        // Docker in Docker, and Kubernetes in Docker (kind).
        (format!("/docker/{a}/docker/{b}"), vec![(b, Docker, None), (a, Docker, None)]),
        (
            format!("/docker/{a}/kubelet/kubepods/besteffort/pod{UID}/{b}"),
            vec![(b, Unknown, Some(UID)), (a, Docker, None)],
        ),
        (
            format!("/system.slice/docker-{a}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{under}.slice/cri-containerd-{b}.scope"),
            vec![(b, Containerd, Some(UID)), (a, Docker, None)],
        ),
        // Kubernetes with containerd: both drivers, each class, a static pod.
        (format!("/kubepods/pod{UID}/{a}"), vec![(a, Unknown, Some(UID))]),
        (format!("/kubepods/burstable/pod{UID}/{a}"), vec![(a, Unknown, Some(UID))]),
        (format!("/kubepods/besteffort/pod{UID}/{a}"), vec![(a, Unknown, Some(UID))]),
        (format!("/kubepods/burstable/pod{STATIC}/{a}"), vec![(a, Unknown, Some(STATIC))]),
        (
            format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{under}.slice/cri-containerd-{a}.scope"),
            vec![(a, Containerd, Some(UID))],
        ),
        (format!("/kubepods.slice/kubepods-pod{under}.slice/cri-containerd-{a}.scope"), vec![(a, Containerd, Some(UID))]),
        (
            format!("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{STATIC}.slice/cri-containerd-{a}.scope/x.slice"),
            vec![(a, Containerd, Some(STATIC))],
        ),
        (
            format!("/system.slice/containerd.service/kubepods-burstable-pod{under}.slice:cri-containerd:{a}"),
            vec![(a, Containerd, Some(UID))],
        ),
        // Kubernetes with CRI-O: the monitor is not the container.
        (
            format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{under}.slice/crio-{a}.scope"),
            vec![(a, CriO, Some(UID))],
        ),
        (format!("/kubepods.slice/kubepods-pod{under}.slice/crio-{a}.scope/container"), vec![(a, CriO, Some(UID))]),
        (format!("/kubepods.slice/kubepods-pod{under}.slice/crio-conmon-{a}.scope"), vec![]),
        (format!("/kubepods/besteffort/pod{UID}/crio-{a}"), vec![(a, CriO, Some(UID))]),
        (format!("/kubepods/besteffort/pod{UID}/crio-conmon-{a}"), vec![]),
        // Kubernetes with Docker.
        (
            format!("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{under}.slice/docker-{a}.scope"),
            vec![(a, Docker, Some(UID))],
        ),
        // Podman: root with both drivers, rootless, the monitor.
        (format!("/machine.slice/libpod-{a}.scope"), vec![(a, Podman, None)]),
        (format!("/machine.slice/libpod-{a}.scope/container"), vec![(a, Podman, None)]),
        (format!("/machine.slice/libpod-conmon-{a}.scope"), vec![]),
        (format!("/libpod_parent/libpod-{a}"), vec![(a, Podman, None)]),
        (format!("/libpod_parent/{a}"), vec![]),
        (format!("/libpod_parent/{a}/libpod-{b}"), vec![(b, Podman, None)]),
        (format!("/machine.slice/machine-libpod_pod_{a}.slice/libpod-{b}.scope"), vec![(b, Podman, None)]),
        (
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{a}.scope/container"),
            vec![(a, Podman, None)],
        ),
        // iSulad, nerdctl, buildkit.
        (format!("/isulad/{a}"), vec![(a, Isulad, None)]),
        (format!("/system.slice/isulad-{a}.scope"), vec![(a, Isulad, None)]),
        (format!("/default/{a}"), vec![(a, Unknown, None)]),
        (format!("/system.slice/nerdctl-{a}.scope"), vec![(a, Unknown, None)]),
        // Seen from within a cgroup namespace.
        (format!("/../{a}"), vec![(a, Unknown, None)]),
        (format!("/../../kubepods/burstable/pod{UID}/{a}"), vec![(a, Unknown, Some(UID))]),
        // No containers: units, sessions, user slices, plain containerd, what only looks alike.
        ("/".into(), vec![]),
        (String::new(), vec![]),
        ("/init.scope".into(), vec![]),
        ("/system.slice/sshd.service".into(), vec![]),
        ("/system.slice/docker.service".into(), vec![]),
        ("/system.slice/system-getty.slice/getty@tty1.service".into(), vec![]),
        ("/user.slice/user-0.slice/session-4.scope".into(), vec![]),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-6f9f7c1e-0b1c-4f6e-9a52-7d3b8d1f2a90.scope".into(), vec![]),
        ("/machine.slice/machine-qemu\\x2d1\\x2dweb.scope".into(), vec![]),
        ("/machine.slice/systemd-nspawn@web.service/payload".into(), vec![]),
        ("/default/demo".into(), vec![]),
        ("/lxc.payload.web".into(), vec![]),
        (format!("/kubepods/burstable/pod{UID}"), vec![]),
        (format!("/process_api/{STATIC}"), vec![]),
        (format!("/docker/{}", a.to_uppercase()), vec![]),
        (format!("/docker/{a}0"), vec![]),
        (format!("/docker/{}", a.get(1..).expect("63 digits")), vec![]),
        (format!("/podinfo/{a}"), vec![(a, Unknown, None)]),
        (format!("/system.slice/web-pod{under}.slice/docker-{a}.scope"), vec![(a, Docker, None)]),
    ];
    for (path, expected) in &table {
        let found = named(path);
        let found: Vec<_> = found.iter().map(|n| (n.id.as_str(), n.runtime, n.pod.as_deref())).collect();
        assert_eq!(&found, expected, "{path}");
    }
}

#[test]
fn the_end_of_a_name_is_its_place_in_the_path() {
    let a = full('a');
    let path = format!("/docker/{a}/x");
    let found = named(&path);
    assert_eq!(path.get(..found[0].end), Some(format!("/docker/{a}").as_str()));
}

#[test]
fn the_way_out_of_a_namespace_is_no_part_of_a_path() {
    for (path, seen) in
        [("/../../a", "/a"), ("/..", ""), ("/..a", "/..a"), ("/a/../b", "/a/../b"), ("", ""), ("x", "x")]
    {
        assert_eq!(from_the_root(path), seen, "{path}");
    }
}

proptest! {
    #[test]
    fn no_path_makes_it_panic_and_each_name_stands_in_its_path(path in "(/|\\.\\.|pod|docker|-|_|\\.scope|\\.slice|kubepods|[0-9a-f]{64}|[0-9a-f]{32}|\\PC){0,24}") {
        for found in named(&path) {
            prop_assert!(path.get(..found.end).is_some_and(|up_to| up_to.contains(found.id.as_str())));
        }
        prop_assert!(path.ends_with(from_the_root(&path)));
    }
}
