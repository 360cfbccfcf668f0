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
    /// The path names a container and not whose it is.
    Unknown,
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
