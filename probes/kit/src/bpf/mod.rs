//! What each BPF probe shares at run time: its object opened, configured and loaded with what this kernel can do
//! of it, links made and dropped with its sub-probes, rings and maps read, costs and losses told.
//!
//! ```text
//! build.rs   gopher_bpf::build(&["src"])                the object, compiled
//! probe      probe_kit::bpf_object!("tcp");             its skeleton and its header's types, as `mod bpf`
//!            JOBS: &[Job]                               what is to be done, by which program, needing what
//!            Bpf::load(&OBJECT, storage, configure)     what this kernel can do of it
//!            bpf.apply(&order.sub_probes) -> Outcome    links
//!            Ring, drain, per_cpu                       data
//! ```
//!
//! `bpf/README.md` shows a probe from end to end.

pub mod cost;
mod drain;
mod foresight;
mod guilty;
mod job;
mod links;
mod load;
mod log;
pub mod meter;
mod privilege;
mod ring;
mod scope;
mod sys;
mod user;

pub use cost::RunTime;
pub use drain::{Drained, drain, lookup, per_cpu, snapshot};
pub use foresight::{Foresight, Looks, Name, name};
pub use job::{Job, Plan, Way};
pub(crate) use links::without_links;
pub use links::{iterate, iterate_process};
pub use load::{Bpf, LoadError, ObjectSpec, Storage};
pub use privilege::raised;
pub use ring::Ring;
pub use scope::{Applied, Early, ScopeMaps, ScopeSlot};
pub use user::{attach_to_function, attach_to_probe};

/// The types of `gopher/abi.h`, which C and Rust share.
#[allow(missing_docs, non_camel_case_types, unreachable_pub)] // as the C header has them
#[allow(clippy::all)] // generated
pub mod abi {
    include!(concat!(env!("OUT_DIR"), "/bpf/abi.rs"));
}

/// Takes in the object `$name.bpf.c` that the crate's build script compiled, as `mod bpf`: its skeleton
/// (`TcpSkelBuilder`, `OpenTcpSkel`, `TcpSkel`), its bytes (`OBJECT`) and the types of `$name.h`.
#[macro_export]
macro_rules! bpf_object {
    ($name:literal) => {
        #[allow(warnings, clippy::all, clippy::undocumented_unsafe_blocks, unsafe_code)] // generated
        mod bpf {
            include!(concat!(env!("OUT_DIR"), "/bpf/", $name, ".rs"));
        }
    };
}
