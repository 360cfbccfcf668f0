//! A kubelet's side of the container runtime interface, as far as tests need it: one pod, its containers.

use crate::runtimes::IMAGE;
use hyper::http::uri::PathAndQuery;
use prost::Message;
use std::collections::HashMap;
use std::path::Path;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, Message)]
struct PodMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct NamespaceOption {
    /// 2 is the host's.
    #[prost(int32, tag = "1")]
    network: i32,
}

#[derive(Clone, PartialEq, Message)]
struct SandboxSecurity {
    #[prost(message, optional, tag = "1")]
    namespaces: Option<NamespaceOption>,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxSandbox {
    #[prost(string, tag = "1")]
    cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    security: Option<SandboxSecurity>,
}

#[derive(Clone, PartialEq, Message)]
struct SandboxConfig {
    #[prost(message, optional, tag = "1")]
    metadata: Option<PodMetadata>,
    #[prost(string, tag = "3")]
    log_directory: String,
    #[prost(map = "string, string", tag = "6")]
    labels: HashMap<String, String>,
    #[prost(message, optional, tag = "8")]
    linux: Option<LinuxSandbox>,
}

#[derive(Clone, PartialEq, Message)]
struct RunSandbox {
    #[prost(message, optional, tag = "1")]
    config: Option<SandboxConfig>,
}

/// The one field of many messages: an id.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    name: Option<Text>,
    #[prost(message, optional, tag = "2")]
    image: Option<Text>,
    #[prost(string, repeated, tag = "3")]
    command: Vec<String>,
    #[prost(map = "string, string", tag = "9")]
    labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainer {
    #[prost(string, tag = "1")]
    sandbox: String,
    #[prost(message, optional, tag = "2")]
    config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    sandbox_config: Option<SandboxConfig>,
}

/// A client.
#[derive(Debug)]
pub struct Kubelet {
    runtime: Runtime,
    channel: Channel,
}

/// A pod that runs.
#[derive(Debug)]
pub struct RunningPod {
    /// The sandbox's id.
    pub sandbox: String,
    config: SandboxConfig,
}

/// What a pod is called.
#[derive(Clone, Copy, Debug)]
pub struct PodName<'a> {
    /// Its uid.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
}

impl PodName<'_> {
    /// The labels that a kubelet gives to everything of the pod.
    fn labels(self) -> HashMap<String, String> {
        [("name", self.name), ("namespace", self.namespace), ("uid", self.uid)]
            .map(|(key, value)| (format!("io.kubernetes.pod.{key}"), value.to_owned()))
            .into()
    }
}

impl Kubelet {
    /// Connects to a runtime.
    pub fn new(socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the client");
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display())).expect("an endpoint");
        let channel = runtime.block_on(endpoint.connect()).expect("the runtime's socket");
        Self { runtime, channel }
    }

    #[track_caller]
    fn ask<Q: Message + 'static, A: Message + Default + 'static>(
        &self,
        method: &'static str,
        question: Q,
    ) -> A {
        let mut grpc = Grpc::new(self.channel.clone());
        let answer = self.runtime.block_on(async {
            grpc.ready().await.expect("a connection");
            grpc.unary(Request::new(question), PathAndQuery::from_static(method), ProstCodec::default()).await
        });
        answer.unwrap_or_else(|status| panic!("{method}: {status}")).into_inner()
    }

    /// Starts a pod on the host's network, with these labels of its own.
    #[track_caller]
    pub fn run_pod(&self, pod: PodName<'_>, labels: &[(&str, &str)], logs: &Path) -> RunningPod {
        let own = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let metadata =
            PodMetadata { name: pod.name.into(), uid: pod.uid.into(), namespace: pod.namespace.into() };
        let security = SandboxSecurity { namespaces: Some(NamespaceOption { network: 2 }) };
        let config = SandboxConfig {
            metadata: Some(metadata),
            log_directory: logs.display().to_string(),
            labels: pod.labels().into_iter().chain(own).collect(),
            linux: Some(LinuxSandbox {
                cgroup_parent: format!("/kubepods/besteffort/pod{}", pod.uid),
                security: Some(security),
            }),
        };
        let question = RunSandbox { config: Some(config.clone()) };
        let Id { id } = self.ask("/runtime.v1.RuntimeService/RunPodSandbox", question);
        RunningPod { sandbox: id, config }
    }

    /// Starts a container in a pod and returns its id.
    #[track_caller]
    pub fn run_container(&self, pod: &RunningPod, name: &str, command: &[&str]) -> String {
        let text = |text: &str| Some(Text { text: text.to_owned() });
        let kubelets = pod.config.labels.iter().filter(|(key, _)| key.starts_with("io.kubernetes."));
        let mut labels: HashMap<String, String> = kubelets.map(|(k, v)| (k.clone(), v.clone())).collect();
        labels.insert("io.kubernetes.container.name".into(), name.to_owned());
        let question = CreateContainer {
            sandbox: pod.sandbox.clone(),
            config: Some(ContainerConfig {
                name: text(name),
                image: text(IMAGE),
                command: command.iter().map(|word| (*word).to_owned()).collect(),
                labels,
            }),
            sandbox_config: Some(pod.config.clone()),
        };
        let Id { id } = self.ask("/runtime.v1.RuntimeService/CreateContainer", question);
        let _: Id = self.ask("/runtime.v1.RuntimeService/StartContainer", Id { id: id.clone() });
        id
    }

    /// Ends a pod with all its containers and removes it.
    #[track_caller]
    pub fn remove_pod(&self, pod: &RunningPod) {
        for method in
            ["/runtime.v1.RuntimeService/StopPodSandbox", "/runtime.v1.RuntimeService/RemovePodSandbox"]
        {
            let _: Id = self.ask(method, Id { id: pod.sandbox.clone() });
        }
    }
}
