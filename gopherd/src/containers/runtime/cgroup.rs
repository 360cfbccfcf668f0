//! The cgroup that a container's specification asks for, as a path. Pure.

use smol_str::SmolStr;

/// The path of `linux.cgroupsPath` of an OCI specification: a path, or `slice:prefix:name` for systemd, which
/// becomes a scope in that slice. `None` for what names no place of its own.
pub(super) fn path(wanted: &str) -> Option<SmolStr> {
    if let [slice, prefix, name] = *wanted.split(':').collect::<Vec<_>>() {
        let unit = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}-{name}") };
        let unit = if unit.ends_with(".slice") { unit } else { format!("{unit}.scope") };
        let slice = slice_path(if slice.is_empty() { "system.slice" } else { slice })?;
        return Some(format!("{slice}/{unit}").into());
    }
    let path = wanted.trim_matches('/');
    let plain = !path.is_empty() && !path.split('/').any(|part| matches!(part, "" | "." | ".."));
    plain.then(|| format!("/{path}").into())
}

/// The directory of a slice: `a-b.slice` lies in `a.slice`.
fn slice_path(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice")?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    // systemd's own root slice.
    if name == "-" {
        return Some(String::new());
    }
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    Some(
        ends.filter_map(|end| name.get(..end)).fold(String::new(), |path, part| path + "/" + part + ".slice"),
    )
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn both_spellings_become_the_path_that_a_process_has() {
        for (wanted, expected) in [
            ("/default/demo", Some("/default/demo")),
            ("default/demo", Some("/default/demo")),
            ("/k8s.io/abc/", Some("/k8s.io/abc")),
            ("system.slice:nerdctl:abc", Some("/system.slice/nerdctl-abc.scope")),
            (":ctr:demo", Some("/system.slice/ctr-demo.scope")),
            (
                "kubepods-burstable-pod1_2.slice:cri-containerd:abc",
                Some(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-abc.scope",
                ),
            ),
            ("-.slice::demo", Some("/demo.scope")),
            ("machine.slice::x.slice", Some("/machine.slice/x.slice")),
            ("nosuffix:a:b", None),
            ("", None),
            ("/", None),
            ("/a/../b", None),
            ("//a//b", None),
        ] {
            assert_eq!(path(wanted).as_deref(), expected, "{wanted}");
        }
    }
}
