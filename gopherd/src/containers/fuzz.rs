//! What holds of cgroup paths and of what runtimes tell, for any bytes.

use super::container::Container;
use super::{Registry, identity, runtime};
use smol_str::SmolStr;

/// The text of `/proc/<pid>/cgroup`: a process is where it is, also when it is looked at again.
pub(crate) fn cgroup_paths(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let registry = Registry::default();
    let place = registry.place(&text);
    assert_eq!(registry.place(&text), place);
    for path in text.lines() {
        let rest = identity::from_the_root(path);
        assert!(path.ends_with(rest) && identity::from_the_root(rest) == rest && !rest.starts_with("/../"));
        for named in identity::named(path) {
            let (until, after) = (path.get(..named.end), path.get(named.end..));
            assert!(until.is_some_and(|until| until.contains(named.id.as_str())), "{named:?} in {path:?}");
            assert!(after.is_some_and(|after| after.is_empty() || after.starts_with('/')));
        }
        runtime::any_cgroup(path);
    }
}

/// Messages of the runtimes. The first byte says which one.
pub(crate) fn runtimes(bytes: &[u8]) {
    runtime::any_message(bytes);
}

/// What a runtime told is short and can be shown.
pub(super) fn check(container: &Container) {
    let pod = container.pod.as_deref();
    let of_pod = pod.into_iter().flat_map(|pod| [Some(&pod.uid), pod.name.as_ref(), pod.namespace.as_ref()]);
    let labels = pod.and_then(|pod| pod.labels.as_ref());
    let texts = [container.name.as_ref(), container.image.as_ref()].into_iter().chain(of_pod).flatten();
    let fits = |text: &SmolStr| text.len() <= 1024 && !text.contains(char::is_control);
    assert!(
        texts.chain(labels.into_iter().flatten().flat_map(|(key, value)| [key, value])).all(fits),
        "{container:?}"
    );
    assert!(labels.is_none_or(|labels| labels.len() <= 64));
}
