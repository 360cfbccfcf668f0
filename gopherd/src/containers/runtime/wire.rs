//! The messages of containerd's API and of the Kubernetes runtime interface, as far as they are read.
//!
//! Field numbers are those of containerd's `api/` folder and of `k8s.io/cri-api` v1; fields that are not declared
//! are skipped. Texts are `bytes`, which are the same on the wire: one container with a name that is no UTF-8 must
//! not spoil the whole message. Written by hand because they are few, and a generator would need `protoc` to build.

/// Nothing to say.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Empty {}

/// An entry of a `map<string, string>`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pair {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// The entries of a map as they are looked at.
pub(super) fn labels(pairs: &[Pair]) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    pairs.iter().map(|pair| (pair.key.as_slice(), pair.value.as_slice()))
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Any {
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `containerd.services.*`.
pub(super) mod containerd {
    use super::{Any, Pair};

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Version {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) version: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Namespaces {
        #[prost(message, repeated, tag = "1")]
        pub(in super::super) namespaces: Vec<Namespace>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Namespace {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) name: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Tasks {
        #[prost(message, repeated, tag = "1")]
        pub(in super::super) tasks: Vec<Process>,
    }

    /// A task's first process; its id is the container's.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Process {
        #[prost(bytes = "vec", tag = "2")]
        pub(in super::super) id: Vec<u8>,
        #[prost(uint32, tag = "3")]
        pub(in super::super) pid: u32,
        /// 1 created, 2 running, 3 stopped, 4 paused, 5 pausing.
        #[prost(int32, tag = "4")]
        pub(in super::super) status: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct GetContainer {
        #[prost(string, tag = "1")]
        pub(in super::super) id: String,
    }

    /// The answer to [`GetContainer`].
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct GotContainer {
        #[prost(message, optional, tag = "1")]
        pub(in super::super) container: Option<Container>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Container {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) id: Vec<u8>,
        #[prost(message, repeated, tag = "2")]
        pub(in super::super) labels: Vec<Pair>,
        #[prost(bytes = "vec", tag = "3")]
        pub(in super::super) image: Vec<u8>,
        /// The OCI specification as JSON.
        #[prost(message, optional, tag = "5")]
        pub(in super::super) spec: Option<Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Subscribe {
        #[prost(string, repeated, tag = "1")]
        pub(in super::super) filters: Vec<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Envelope {
        #[prost(bytes = "vec", tag = "2")]
        pub(in super::super) namespace: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub(in super::super) topic: Vec<u8>,
        #[prost(message, optional, tag = "4")]
        pub(in super::super) event: Option<Any>,
    }

    /// `ContainerCreate`, `ContainerUpdate`, `ContainerDelete`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct ContainerEvent {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) id: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct TaskStart {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) container: Vec<u8>,
        #[prost(uint32, tag = "2")]
        pub(in super::super) pid: u32,
    }

    /// Of the first process if both ids are the same, else of one that was started in the container later.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct TaskExit {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) container: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(in super::super) process: Vec<u8>,
    }
}

/// `runtime.v1`.
pub(super) mod cri {
    use super::Pair;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Version {
        #[prost(bytes = "vec", tag = "2")]
        pub(in super::super) runtime: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub(in super::super) version: Vec<u8>,
    }

    /// The answer to `ListContainers`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Containers {
        #[prost(message, repeated, tag = "1")]
        pub(in super::super) containers: Vec<Container>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Container {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) id: Vec<u8>,
        #[prost(message, optional, tag = "3")]
        pub(in super::super) metadata: Option<Metadata>,
        #[prost(message, optional, tag = "4")]
        pub(in super::super) image: Option<Image>,
        /// 0 created, 1 running, 2 exited, 3 unknown.
        #[prost(int32, tag = "6")]
        pub(in super::super) state: i32,
        #[prost(message, repeated, tag = "8")]
        pub(in super::super) labels: Vec<Pair>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Image {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) image: Vec<u8>,
        /// What the pod's author wrote; newer runtimes have it.
        #[prost(bytes = "vec", tag = "18")]
        pub(in super::super) wanted: Vec<u8>,
    }

    /// A container's name.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Metadata {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) name: Vec<u8>,
    }

    /// The answer to `ListPodSandbox`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Sandboxes {
        #[prost(message, repeated, tag = "1")]
        pub(in super::super) items: Vec<Sandbox>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Sandbox {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) id: Vec<u8>,
        #[prost(message, optional, tag = "2")]
        pub(in super::super) metadata: Option<PodMetadata>,
        /// 0 ready, 1 not.
        #[prost(int32, tag = "3")]
        pub(in super::super) state: i32,
        #[prost(message, repeated, tag = "5")]
        pub(in super::super) labels: Vec<Pair>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct PodMetadata {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) name: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(in super::super) uid: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub(in super::super) namespace: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct GetStatus {
        #[prost(string, tag = "1")]
        pub(in super::super) id: String,
        #[prost(bool, tag = "2")]
        pub(in super::super) verbose: bool,
    }

    /// The answer to [`GetStatus`], of a container and of a sandbox alike.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct GotStatus {
        /// `info` holds JSON with `pid`.
        #[prost(message, repeated, tag = "2")]
        pub(in super::super) info: Vec<Pair>,
    }

    /// What happened.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Event {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) id: Vec<u8>,
        /// 0 created, 1 started, 2 stopped, 3 deleted.
        #[prost(int32, tag = "2")]
        pub(in super::super) kind: i32,
        #[prost(message, optional, tag = "4")]
        pub(in super::super) sandbox: Option<SandboxStatus>,
        #[prost(message, repeated, tag = "5")]
        pub(in super::super) containers: Vec<ContainerStatus>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct SandboxStatus {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) id: Vec<u8>,
        #[prost(message, optional, tag = "2")]
        pub(in super::super) metadata: Option<PodMetadata>,
        #[prost(message, repeated, tag = "7")]
        pub(in super::super) labels: Vec<Pair>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct ContainerStatus {
        #[prost(bytes = "vec", tag = "1")]
        pub(in super::super) id: Vec<u8>,
        #[prost(message, optional, tag = "2")]
        pub(in super::super) metadata: Option<Metadata>,
        #[prost(message, optional, tag = "8")]
        pub(in super::super) image: Option<Image>,
        #[prost(message, repeated, tag = "12")]
        pub(in super::super) labels: Vec<Pair>,
    }
}
