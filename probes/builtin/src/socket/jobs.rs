//! What the programs are for, what each needs of the kernel, and what is absent where the kernel has it not.

use super::{TCP, UDP};
use probe_core::{Capability, Need, Outcome};
use probe_kit::bpf::{Job, Plan, Way};
use probe_kit::kernel::{AttachKind, Kernel, Requirement};

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);

// A job that a sub-probe can do without is named after the field that is absent without it.

/// Sockets by their holders, through the file iterator.
pub(super) const HELD: &str = "sockets by process";
const SYN_DROPS: &str = "syn_drop";
const SENT: &str = "bind_sends";
const RECEIVED: &str = "bind_rcvs";
const DROPS: &str = "UDP drops";
const WITH_BYTES: &str = "udp_full_bytes";
/// Earlier kernels say which socket was full, and not what it did not take: before 6.10.
const DATAGRAM: Requirement = Requirement::TracepointArguments("udp_fail_queue_rcv_skb", 3);

macro_rules! job {
    ($name:expr, $sub_probes:expr, $helps:expr, $program:literal, [$($need:expr),*]) => {
        Job {
            name: $name,
            sub_probes: $sub_probes,
            helps: $helps,
            ways: &[Way { program: $program, needs: &[$($need),*], maps: &[] }],
        }
    };
}

/// Every job of the object.
pub(super) static JOBS: &[Job] = &[
    job!(
        "state by call",
        &[TCP],
        &[],
        "state_by_call",
        [TP_BTF, Requirement::Tracepoint("inet_sock_set_state")]
    ),
    job!(
        "state by segment",
        &[TCP],
        &[],
        "state_by_segment",
        [TP_BTF, Requirement::Tracepoint("inet_sock_set_state")]
    ),
    job!("ends", &[TCP], &[], "destroyed", [TP_BTF, Requirement::Tracepoint("tcp_destroy_sock")]),
    job!("SYNs again", &[TCP], &[], "retransmitted", [TP_BTF, Requirement::Tracepoint("tcp_retransmit_skb")]),
    job!(
        "SYN-ACKs again",
        &[TCP],
        &[],
        "retransmitted_synack",
        [TP_BTF, Requirement::Tracepoint("tcp_retransmit_synack")]
    ),
    job!(
        SYN_DROPS,
        &[],
        &[TCP],
        "freed",
        [TP_BTF, Requirement::TracepointArguments("kfree_skb", 3), Requirement::Type("skb_drop_reason")]
    ),
    job!(HELD, &[TCP, UDP], &[], "held", [Requirement::Attach(AttachKind::IterTaskFile)]),
    job!(SENT, &[], &[UDP], "udp_sent", [TP_BTF, Requirement::Tracepoint("sock_send_length")]),
    job!(RECEIVED, &[], &[UDP], "udp_received", [TP_BTF, Requirement::Tracepoint("sock_recv_length")]),
    Job {
        name: DROPS,
        sub_probes: &[UDP],
        helps: &[],
        ways: &[
            Way { program: WITH_BYTES, needs: &[TP_BTF, DATAGRAM], maps: &[] },
            Way {
                program: "udp_full",
                needs: &[TP_BTF, Requirement::Tracepoint("udp_fail_queue_rcv_skb")],
                maps: &[],
            },
        ],
    },
];

/// Whether this kernel gives each of the fields that not every kernel gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // one for each field
pub(super) struct Gives {
    pub(super) syn_drop: bool,
    pub(super) bind_sends: bool,
    pub(super) bind_rcvs: bool,
    pub(super) udp_rcv_drops: bool,
}

impl Gives {
    /// By what was loaded.
    pub(super) fn of(plan: &Plan) -> Self {
        let loaded = |job| plan.program_of(job).is_some();
        Self {
            syn_drop: loaded(SYN_DROPS),
            bind_sends: loaded(SENT),
            bind_rcvs: loaded(RECEIVED),
            udp_rcv_drops: plan.program_of(DROPS) == Some(WITH_BYTES),
        }
    }
}

/// Notes the field that is absent although its job is done, with what it would need. The others are named by their jobs.
pub(super) fn name_absent(plan: &Plan, kernel: &Kernel, outcome: &mut Outcome) {
    if let (false, Err(missing)) = (Gives::of(plan).udp_rcv_drops, kernel.ask(DATAGRAM)) {
        outcome.lack(UDP, format!("udp_rcv_drops: {missing}"));
    }
}

/// Every need of the feature.
pub(super) const NEEDS: &[Need] = &[
    need(Capability::Bpf, "load its programs and make its maps", "the feature does not run"),
    need(
        Capability::Perfmon,
        "attach its programs to the kernel and let them read its memory",
        "the feature does not run",
    ),
    need(
        Capability::SysResource,
        "make its maps on kernels before 5.11, where RLIMIT_MEMLOCK counts them",
        "on kernels before 5.11 the feature runs only below RLIMIT_MEMLOCK",
    ),
    need(
        Capability::NetAdmin,
        "ask connection tracking for the backend of a service's address, with `cluster_ip_backend`",
        "services are shown under their own address",
    ),
    need(
        Capability::SysPtrace,
        "see which processes have ended, and the counters of their network namespaces, where /proc hides them",
        "where /proc is mounted with hidepid, series of hidden processes end early and overflows are absent",
    ),
];

const fn need(capability: Capability, purpose: &'static str, without: &'static str) -> Need {
    Need { capability, sub_probes: &[], purpose, without }
}
