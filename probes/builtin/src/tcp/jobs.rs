//! What the programs are for and what each needs of the kernel.

use probe_kit::bpf::{Job, Way};
use probe_kit::kernel::{AttachKind, Helper, MapKind, Requirement};

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);
const FILES: Requirement = Requirement::Attach(AttachKind::IterTaskFile);
const TCP_SOCK: Requirement = Requirement::Helper(Helper::SkcToTcpSock);
const STORAGE: Requirement = Requirement::Helper(Helper::SkStorageGet);
const STORAGE_MAP: Requirement = Requirement::Map(MapKind::SkStorage);
const SOCK_FILE: Requirement = Requirement::Helper(Helper::SockFromFile);

const SET_STATE: Requirement = Requirement::Tracepoint("inet_sock_set_state");
const DESTROY: Requirement = Requirement::Tracepoint("tcp_destroy_sock");
const SEND_RESET: Requirement = Requirement::Tracepoint("tcp_send_reset");
const RECEIVE_RESET: Requirement = Requirement::Tracepoint("tcp_receive_reset");
const BUFFER_LIMIT: Requirement = Requirement::Tracepoint("sock_exceed_buf_limit");

const KFREE_SKB: Requirement = Requirement::Tracepoint("kfree_skb");
/// Came with the socket among the arguments of kfree_skb.
const DROP_FOR: Requirement = Requirement::Function("sk_skb_reason_drop");
const FEXIT: Requirement = Requirement::Attach(AttachKind::Fexit);
const CHECK_OOM: Requirement = Requirement::Function("tcp_check_oom");
const SEGMENT: Requirement = Requirement::Tracepoint("tcp_probe");
const READ: Requirement = Requirement::Tracepoint("tcp_rcv_space_adjust");
const SENT: Requirement = Requirement::Tracepoint("sock_send_length");

/// Every sub-probe: none knows a connection's process without these.
const ALL: &[&str] = &[
    "tcp_abnormal",
    "tcp_windows",
    "tcp_rtt",
    "tcp_stats",
    "tcp_sockbuf",
    "tcp_rate",
    "tcp_srtt",
    "tcp_delay",
];
const ABNORMAL: &[&str] = &["tcp_abnormal"];
const DELAY: &[&str] = &["tcp_delay"];
const NONE: &[&str] = &[];
const HASH_MAPS: &[&str] = &["sockets_hash", "settling_hash"];

/// A job on a tracepoint, with socket storage or, where tracing programs cannot have it, with a hash.
macro_rules! tracing {
    ($name:expr, $subs:expr, $tracepoint:expr, $program:literal, $hash:literal) => {
        tracing!($name, $subs, helps NONE, $tracepoint, $program, $hash)
    };
    ($name:expr, $subs:expr, helps $helps:expr, $tracepoint:expr, $program:literal, $hash:literal) => {
        Job {
            name: $name,
            sub_probes: $subs,
            helps: $helps,
            ways: &[
                Way {
                    program: $program,
                    needs: &[TP_BTF, $tracepoint, STORAGE_MAP, STORAGE, SOCK_FILE, TCP_SOCK],
                    maps: &["sockets"],
                },
                Way { program: $hash, needs: &[TP_BTF, $tracepoint], maps: HASH_MAPS },
            ],
        }
    };
}

/// The pass over open files, by the name of its job.
pub(super) const PASS: &str = "pass";
/// Dropped segments by socket and reason.
pub(super) const DROPS: &str = "backlog_drops, filter_drops and rmem_scheduls";
/// Verdicts that there is no memory.
pub(super) const OUT_OF_MEMORY: &str = "tcp_oom";

/// In the order of attaching.
pub(super) static JOBS: &[Job] = &[
    tracing!("destroyed", ALL, DESTROY, "destroyed", "destroyed_hash"),
    tracing!("state in softirq", ALL, SET_STATE, "state_softirq", "state_softirq_hash"),
    tracing!("state in calls", ALL, SET_STATE, "state_call", "state_call_hash"),
    tracing!("resets sent", ABNORMAL, SEND_RESET, "reset_sent", "reset_sent_hash"),
    tracing!("resets received", ABNORMAL, RECEIVE_RESET, "reset_received", "reset_received_hash"),
    tracing!("buffer limits", ABNORMAL, BUFFER_LIMIT, "buffer_limit", "buffer_limit_hash"),
    Job {
        name: DROPS,
        sub_probes: NONE,
        helps: ABNORMAL,
        ways: &[Way {
            program: "dropped",
            needs: &[TP_BTF, KFREE_SKB, DROP_FOR, STORAGE_MAP, STORAGE, SOCK_FILE, TCP_SOCK],
            maps: &["sockets"],
        }],
    },
    Job {
        name: OUT_OF_MEMORY,
        sub_probes: NONE,
        helps: ABNORMAL,
        ways: &[
            Way {
                program: "out_of_memory",
                needs: &[FEXIT, CHECK_OOM, STORAGE_MAP, STORAGE, SOCK_FILE, TCP_SOCK],
                maps: &["sockets"],
            },
            Way { program: "out_of_memory_hash", needs: &[FEXIT, CHECK_OOM], maps: HASH_MAPS },
        ],
    },
    tracing!("segments", DELAY, SEGMENT, "segment", "segment_hash"),
    tracing!("reads", DELAY, READ, "was_read", "was_read_hash"),
    tracing!("net_delay", NONE, helps DELAY, SENT, "was_sent", "was_sent_hash"),
    Job {
        name: PASS,
        sub_probes: ALL,
        helps: &[],
        ways: &[
            Way {
                program: "each_file",
                needs: &[FILES, STORAGE_MAP, STORAGE, SOCK_FILE, TCP_SOCK],
                maps: &["sockets"],
            },
            Way { program: "each_file_hash", needs: &[FILES], maps: HASH_MAPS },
        ],
    },
];
