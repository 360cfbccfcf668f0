//! What the programs are for, what each needs of the kernel, and the capabilities of the feature.

use super::{CACHE, COUNT, ERR, TRACE};
use probe_core::{Capability, Need};
use probe_kit::bpf::{Job, Plan, Way};
use probe_kit::kernel::{AttachKind, Requirement};

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);
const FENTRY: Requirement = Requirement::Attach(AttachKind::Fentry);

// A job that a sub-probe can do without is named after what is absent without it.
const BUFFERS: &str = "mark_buffer_dirty";
const ACCESSES: &str = "access_pagecache";

macro_rules! way {
    ($program:literal, $($need:expr),*) => {
        Way { program: $program, needs: &[$($need),*], maps: &[] }
    };
}

/// Both ways to a tracepoint that had the queue as its first argument once.
macro_rules! with_or_without_queue {
    ($tracepoint:literal, $with:literal, $without:literal) => {
        &[
            way!($with, TP_BTF, Requirement::TracepointArguments($tracepoint, 2)),
            way!($without, TP_BTF, Requirement::Tracepoint($tracepoint)),
        ]
    };
}

/// In the order of attaching: an end before a begin, so that little is entered that nobody takes out.
pub(super) static JOBS: &[Job] = &[
    Job {
        name: "ends of requests",
        sub_probes: &[TRACE, ERR, COUNT],
        helps: &[],
        ways: &[way!("completed", TP_BTF, Requirement::Tracepoint("block_rq_complete"))],
    },
    Job {
        name: "the process of a failed request",
        sub_probes: &[TRACE],
        helps: &[ERR],
        ways: with_or_without_queue!("block_rq_issue", "issued_queue", "issued"),
    },
    Job {
        name: "devices without requests (device mapper, md, zram)",
        sub_probes: &[],
        helps: &[TRACE, ERR, COUNT],
        ways: &[way!("bio_ended", TP_BTF, Requirement::TracepointArguments("block_bio_complete", 2))],
    },
    Job {
        name: "begin of I/O on devices without requests (device mapper, md, zram)",
        sub_probes: &[],
        helps: &[TRACE, ERR, COUNT],
        ways: with_or_without_queue!("block_bio_queue", "bio_begun_queue", "bio_begun"),
    },
    Job {
        name: "pages that come in",
        sub_probes: &[CACHE],
        helps: &[],
        ways: &[way!("page_loaded", TP_BTF, Requirement::Tracepoint("mm_filemap_add_to_page_cache"))],
    },
    Job {
        name: "pages that become dirty",
        sub_probes: &[CACHE],
        helps: &[],
        ways: &[
            way!("folio_dirtied", TP_BTF, Requirement::Tracepoint("writeback_dirty_folio")),
            way!("page_dirtied", TP_BTF, Requirement::Tracepoint("writeback_dirty_page")),
        ],
    },
    Job {
        name: BUFFERS,
        sub_probes: &[],
        helps: &[CACHE],
        ways: &[way!("buffer_dirtied", TP_BTF, Requirement::Tracepoint("block_dirty_buffer"))],
    },
    Job {
        name: ACCESSES,
        sub_probes: &[],
        helps: &[CACHE],
        ways: &[
            way!("pages_read", TP_BTF, Requirement::Tracepoint("mm_filemap_get_pages")),
            way!("folio_accessed", FENTRY, Requirement::Function("folio_mark_accessed")),
            way!("page_accessed", FENTRY, Requirement::Function("mark_page_accessed")),
        ],
    },
];

/// Whether this kernel gives each of the fields that not every kernel gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gives {
    pub(super) buffers: bool,
    pub(super) accesses: bool,
}

impl Gives {
    /// By what was loaded.
    pub(super) fn of(plan: &Plan) -> Self {
        let loaded = |job| plan.program_of(job).is_some();
        Self { buffers: loaded(BUFFERS), accesses: loaded(ACCESSES) }
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
];

const fn need(capability: Capability, purpose: &'static str, without: &'static str) -> Need {
    Need { capability, sub_probes: &[], purpose, without }
}
