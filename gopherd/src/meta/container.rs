//! The labels of a container and its pod, in the order of the reference. What is not known is no label.

use crate::containers::{Container, ContainerId, Pod};
use probe_core::Label;
use smol_str::{SmolStr, format_smolstr};

/// A label of pods that the operator wants: its key, and the name that it has on series.
pub(crate) type PodLabel = (SmolStr, SmolStr);

/// Appends the labels of the container `id`; `known` is what is known about it beside its id.
pub(crate) fn container_labels<'a>(
    id: &ContainerId,
    known: Option<&Container>,
    wanted: &'a [PodLabel],
    labels: &mut Vec<(&'a str, Label)>,
) {
    labels.push(("container_id", id.short().into()));
    let Some(container) = known else { return };
    let pod = container.pod.as_deref();
    let facts = [
        ("container_name", container.name.clone()),
        ("container_image", container.image.clone()),
        ("pod_id", pod.map(|pod| pod.uid.clone())),
        ("pod", pod.and_then(pod_path)),
        ("pod_namespace", pod.and_then(|pod| pod.namespace.clone())),
    ];
    labels.extend(facts.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let Some(of_pod) = pod.and_then(|pod| pod.labels.as_ref()) else { return };
    labels.extend(wanted.iter().filter_map(|(key, name)| Some((name.as_str(), of_pod.get(key)?.clone()))));
}

/// `<namespace>/<name>` of a pod, once both are known.
pub(crate) fn pod_path(pod: &Pod) -> Option<SmolStr> {
    Some(format_smolstr!("{}/{}", pod.namespace.as_ref()?, pod.name.as_ref()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::Runtime;
    use std::sync::Arc;

    fn names_and_values(known: Option<&Container>, wanted: &[PodLabel]) -> String {
        let id = ContainerId::new(&"0123456789abcdef".repeat(4)).expect("an id");
        let mut labels = Vec::new();
        container_labels(&id, known, wanted, &mut labels);
        labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_label_is_there_once_it_is_known_in_the_order_of_the_reference() {
        let wanted: Vec<PodLabel> = vec![
            ("app.kubernetes.io/name".into(), "app_kubernetes_io_name".into()),
            ("tier".into(), "tier".into()),
        ];
        let mut pod = Pod { uid: "u-1".into(), name: None, namespace: None, labels: None };
        let mut container = Container {
            id: ContainerId::new("x").expect("an id"),
            runtime: Runtime::Unknown,
            name: None,
            image: None,
            pod: None,
        };
        assert_eq!(names_and_values(None, &wanted), "container_id=0123456789ab");
        assert_eq!(names_and_values(Some(&container), &wanted), "container_id=0123456789ab");
        container.pod = Some(Arc::new(pod.clone()));
        assert_eq!(names_and_values(Some(&container), &wanted), "container_id=0123456789ab pod_id=u-1");
        pod.namespace = Some("shop".into());
        pod.name = Some("web-0".into());
        let of_pod = [("app.kubernetes.io/name", "web"), ("other", "x")];
        pod.labels = Some(of_pod.into_iter().map(|(key, value)| (key.into(), value.into())).collect());
        container.pod = Some(Arc::new(pod));
        container.name = Some("web".into());
        container.image = Some("nginx:1".into());
        assert_eq!(
            names_and_values(Some(&container), &wanted),
            "container_id=0123456789ab container_name=web container_image=nginx:1 pod_id=u-1 pod=shop/web-0 \
             pod_namespace=shop app_kubernetes_io_name=web"
        );
    }
}
