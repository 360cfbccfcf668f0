//! Features that this version knows but has not built yet: their requests are checked and kept, and GET
//! explains them. A feature leaves this list when its folder comes; the `tidy` test sees to that.

use crate::params::params;
use probe_core::{Capability, Descriptor, Need, ParamSpec, ScopeUse, SubProbe};

/// A feature without its probe.
const fn planned(
    name: &'static str,
    summary: &'static str,
    scope: ScopeUse,
    sub_probes: &'static [SubProbe],
    params: &'static [&'static ParamSpec],
) -> Descriptor {
    Descriptor {
        name,
        summary,
        sub_probes,
        scope,
        params,
        tables: &[],
        triggers: &[],
        needs: &[],
        build: None,
    }
}

/// What planned probes will need, so that the service's unit grants it once and not with each of them; a
/// probe's own descriptor has its needs when it is built. The daemon keeps nothing for them.
pub(crate) static NEEDS: &[Need] = &[
    to_come(Capability::Bpf, "load BPF programs and make maps"),
    to_come(Capability::Perfmon, "attach BPF programs to the kernel and let them read its memory"),
    to_come(Capability::SysResource, "make maps on kernels before 5.11, where RLIMIT_MEMLOCK counts them"),
    to_come(Capability::Syslog, "name kernel functions in stacks where kernel.kptr_restrict is 1"),
    to_come(
        Capability::NetAdmin,
        "ask connection tracking for the address behind a translated one (tcp, l7)",
    ),
];

const fn to_come(capability: Capability, purpose: &'static str) -> Need {
    Need { capability, sub_probes: &[], purpose, without: "it is not built yet" }
}

const fn sub(name: &'static str, summary: &'static str) -> SubProbe {
    SubProbe::new(name, summary)
}

use ScopeUse::{Containers, None as Host, Processes, ProcessesAndContainers as Both};

/// In the order of the API's feature table. Those that look at one kind of server (`postgre_sli`,
/// `nginx`, `ksli`, `dnsmasq`, `haproxy`) honour the selectors that their documents show, though
/// gala-gopher's code ignores them: narrowing such a probe harms nobody who never narrowed it.
pub(crate) static PLANNED: &[&Descriptor] = &[
    &planned("virt", "Which QEMU process is which virtual machine.", Host, &[], params![]),
    &planned(
        "flamegraph",
        "Stacks of processes as flame graphs.",
        Processes,
        &[
            sub("oncpu", "Where CPU time is spent."),
            sub("offcpu", "Where threads wait."),
            sub("mem", "Where pages are allocated."),
            sub("mem_glibc", "Where the C library's allocator is called."),
            sub("io", "Where I/O is started."),
        ],
        params![
            PYROSCOPE_SERVER,
            SVG_PERIOD,
            PERF_SAMPLE_PERIOD,
            MULTI_INSTANCE,
            NATIVE_STACK,
            OUTPUT_DIR,
            FLAME_DIR
        ],
    ),
    &planned(
        "l7",
        "Requests, errors and latency of application protocols, without touching the applications.",
        Both,
        &[
            sub("l7_bytes_metrics", "Bytes and segments of each connection group."),
            sub("l7_rpc_metrics", "Request rate, error ratio and latency by protocol and API."),
            sub("l7_rpc_trace", "Single requests."),
        ],
        params![L7_PROTOCOL, SUPPORT_SSL, CLUSTER_IP_BACKEND],
    ),
    &planned(
        "jvm",
        "Memory, threads, classes and garbage collection of Java processes.",
        Processes,
        &[],
        params![],
    ),
    &planned("postgre_sli", "Request latency of PostgreSQL and GaussDB.", Processes, &[], params![DEV_NAME]),
    &planned("opengauss_sli", "Transaction rate of openGauss.", Host, &[], params![]),
    &planned("nginx", "Connections through an nginx proxy.", Processes, &[], params![ELF_PATH]),
    &planned("lvs", "Connections through the kernel's load balancer.", Host, &[], params![]),
    &planned("kafka", "Producers and consumers of a Kafka broker.", Host, &[], params![DEV_NAME, KAFKA_PORT]),
    &planned(
        "tprofiling",
        "What the threads of a process do over time.",
        Processes,
        &[
            sub("oncpu", "When threads run."),
            sub("syscall_file", "File system calls."),
            sub("syscall_net", "Network system calls."),
            sub("syscall_sched", "Scheduling system calls."),
            sub("syscall_lock", "Lock system calls."),
            sub("python_gc", "Python's garbage collection."),
            sub("pthread_sync", "Locks and conditions of threads."),
            sub("oncpu_sample", "Stacks of running threads."),
            sub("mem_usage", "Memory use."),
            sub("mem_glibc", "Calls of the C library's allocator."),
            sub("offcpu", "When and why threads wait."),
        ],
        params![OUTPUT_DIR, MIN_EXEC_DUR, MIN_AGGR_DUR, PROFILING_CHANNEL],
    ),
    &planned(
        "hw",
        "Failures of network devices and memory.",
        Host,
        &[sub("hw_nic", "Carrier losses and device failures."), sub("hw_mem", "Memory errors.")],
        params![],
    ),
    &planned("ksli", "Request latency of Redis.", Processes, &[], params![DEV_NAME, CONTINUOUS_SAMPLING]),
    &planned(
        "sermant",
        "Requests and latency that a Java agent reports.",
        Processes,
        &[
            sub("l7_bytes_metrics", "Bytes of each connection group."),
            sub("l7_rpc_metrics", "Request rate, error ratio and latency."),
            sub("l7_rpc_trace", "Single requests."),
        ],
        params![ELF_PATH],
    ),
    &planned(
        "sli",
        "Waiting times for CPU, memory and I/O of the host and of containers.",
        Containers,
        &[
            sub("cpu", "Waiting for a CPU."),
            sub("mem", "Waiting for memory."),
            sub("io", "Waiting for I/O."),
            sub("node", "The host as a whole."),
            sub("container", "Each container in scope."),
            sub("histogram", "Distributions as well as largest values."),
        ],
        params![],
    ),
    &planned("flowtracer", "Which backend a cluster address leads to.", Host, &[], params![]),
    &planned("dnsmasq", "Name lookups through dnsmasq.", Processes, &[], params![ELF_PATH]),
    &planned("haproxy", "Connections through a HAProxy.", Processes, &[], params![ELF_PATH]),
];
