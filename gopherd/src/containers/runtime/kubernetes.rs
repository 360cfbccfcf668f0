//! What the labels of a container say about its pod: kubelet writes the same names under every runtime. Pure.

use super::super::clean;
use super::super::container::Pod;
use smol_str::SmolStr;
use std::sync::Arc;

/// A label as a runtime gives it.
pub(super) type Label<'a> = (&'a [u8], &'a [u8]);

/// Beginnings of the labels that the runtime or kubelet added; the others are the pod's own.
const NOT_THE_PODS: [&[u8]; 4] =
    [b"io.kubernetes.", b"io.cri-containerd.", b"io.containerd.", b"annotation."];

/// What is known of a pod before it is put together. Each may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) container: Option<SmolStr>,
    pub(super) uid: Option<SmolStr>,
    pub(super) name: Option<SmolStr>,
    pub(super) namespace: Option<SmolStr>,
}

/// The value of a label.
pub(super) fn find<'a>(labels: impl IntoIterator<Item = Label<'a>>, key: &str) -> Option<SmolStr> {
    labels.into_iter().find(|(name, _)| *name == key.as_bytes()).and_then(|(_, value)| clean::text(value))
}

/// What kubelet wrote.
pub(super) fn facts<'a>(labels: impl Iterator<Item = Label<'a>> + Clone) -> Facts {
    Facts {
        container: find(labels.clone(), "io.kubernetes.container.name"),
        uid: find(labels.clone(), "io.kubernetes.pod.uid"),
        name: find(labels.clone(), "io.kubernetes.pod.name"),
        namespace: find(labels, "io.kubernetes.pod.namespace"),
    }
}

impl Facts {
    /// The pod, if its uid is known. `sandbox` are the labels of the pod's own sandbox, which has the pod's labels.
    pub(super) fn pod<'a>(self, sandbox: Option<impl Iterator<Item = Label<'a>>>) -> Option<Arc<Pod>> {
        let own = |(key, _): &Label<'a>| !NOT_THE_PODS.iter().any(|start| key.starts_with(start));
        let labels = sandbox.map(|labels| clean::labels(labels.filter(own)));
        Some(Arc::new(Pod { uid: self.uid?, name: self.name, namespace: self.namespace, labels }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [Label<'static>; 5] = [
        (b"app", b"web"),
        (b"io.kubernetes.container.name", b"nginx"),
        (b"io.kubernetes.pod.name", b"web-1"),
        (b"io.kubernetes.pod.namespace", b"shop"),
        (b"io.kubernetes.pod.uid", b"u-1"),
    ];

    #[test]
    fn kubelets_labels_make_the_pod_and_the_sandboxs_other_labels_are_its_own() {
        let facts = facts(LABELS.into_iter());
        assert_eq!(facts.container.as_deref(), Some("nginx"));
        let pod = facts.clone().pod(Some(LABELS.into_iter())).expect("a pod");
        assert_eq!((pod.name.as_deref(), pod.namespace.as_deref()), (Some("web-1"), Some("shop")));
        let labels: Vec<_> = pod.labels.iter().flatten().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(labels, [("app", "web")]);
        assert_eq!(facts.pod(None::<std::iter::Empty<Label<'_>>>).expect("a pod").labels, None);
    }

    #[test]
    fn without_a_uid_there_is_no_pod() {
        let facts = facts(LABELS.into_iter().take(4));
        assert_eq!(facts.pod(None::<std::iter::Empty<Label<'_>>>), None);
    }
}
