//! What is known about one container. Each fact that only a runtime can tell is optional: labels say what is known.

use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many characters of an id are shown, compared with selectors and used as a label, as in gala-gopher.
const SHORT: usize = 12;

/// A container's id as its runtime writes it: 64 hexadecimal digits, or a name under plain containerd. Never empty,
/// printable ASCII without quotes, at most 128 bytes; whoever makes one from outside input has checked that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(SmolStr);

impl ContainerId {
    /// Most bytes of an id.
    pub const MAX: usize = 128;

    /// `None` for text that no runtime uses as an id.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX).contains(&text.len());
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (fits && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first 12 characters, all of a shorter one.
    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }
}

/// Who runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    /// containerd, with or without Kubernetes above it.
    Containerd,
    /// CRI-O.
    CriO,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// iSulad, openEuler's engine.
    Isulad,
    /// The path names a container and not whose it is.
    Unknown,
}

impl Runtime {
    /// Its name in metrics and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Isulad => "isulad",
            Self::Unknown => "unknown",
        }
    }
}

/// A Kubernetes pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its uid in the dashed form.
    pub uid: SmolStr,
    /// Its name without the namespace; `None` until a runtime told it.
    pub name: Option<SmolStr>,
    /// Its namespace; `None` until a runtime told it.
    pub namespace: Option<SmolStr>,
    /// Its Kubernetes labels; `None` until a runtime told them.
    pub labels: Option<BTreeMap<SmolStr, SmolStr>>,
}

impl Pod {
    /// A pod of which the uid is all that is known.
    pub(super) fn nameless(uid: SmolStr) -> Self {
        Self { uid, name: None, namespace: None, labels: None }
    }

    /// What `self` says, and where it is silent what `known` said: a source that knows less takes nothing away.
    pub(super) fn over(self, known: &Self) -> Self {
        Self {
            uid: self.uid,
            name: self.name.or_else(|| known.name.clone()),
            namespace: self.namespace.or_else(|| known.namespace.clone()),
            labels: self.labels.or_else(|| known.labels.clone()),
        }
    }
}

/// A container. Values from runtimes are valid UTF-8 without control characters, at most 1,024 bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Who runs it.
    pub runtime: Runtime,
    /// Its name: of Docker without the slash before it, of Kubernetes the container's name in its pod.
    pub name: Option<SmolStr>,
    /// The image it was made from, as the runtime names it.
    pub image: Option<SmolStr>,
    /// The pod it belongs to.
    pub pod: Option<Arc<Pod>>,
}

impl Container {
    /// A container of which the id is all that is known.
    pub(super) fn nameless(id: ContainerId, runtime: Runtime) -> Self {
        Self { id, runtime, name: None, image: None, pod: None }
    }

    /// What `self` says, and where it is silent what `known` said.
    pub(super) fn over(self, known: &Self) -> Self {
        Self {
            id: self.id,
            runtime: if self.runtime == Runtime::Unknown { known.runtime } else { self.runtime },
            name: self.name.or_else(|| known.name.clone()),
            image: self.image.or_else(|| known.image.clone()),
            pod: self.pod.or_else(|| known.pod.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_text_that_some_runtime_uses_and_its_short_form_has_twelve_characters() {
        let id = ContainerId::new(&"ab".repeat(32)).expect("an id");
        assert_eq!((id.as_str().len(), id.short()), (64, "abababababab"));
        assert_eq!(ContainerId::new("demo").expect("a name").short(), "demo");
        for bad in ["", "a b", "a\"b", "a/b", "ü", "a\n", &"x".repeat(129)] {
            assert_eq!(ContainerId::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_source_that_knows_less_takes_nothing_away() {
        let id = ContainerId::new("demo").expect("a name");
        let known =
            Container { name: Some("web".into()), ..Container::nameless(id.clone(), Runtime::Docker) };
        let told = Container { image: Some("i".into()), ..Container::nameless(id, Runtime::Unknown) };
        let both = told.over(&known);
        assert_eq!((both.name.as_deref(), both.image.as_deref()), (Some("web"), Some("i")));
        assert_eq!(both.runtime, Runtime::Docker);
    }
}
