//! What this kernel can do for BPF programs, each thing asked of the kernel itself and never told by its
//! version: distributions carry features back, hardened kernels refuse what their version has.
//!
//! [`Kernel::ask`] answers a [`Requirement`] with yes or with a [`Missing`], which is a sentence for the
//! operator. An answer holds until the process ends; the first costs a reading of the kernel's type information
//! (about 10 ms) or a program of two instructions that is loaded, attached and dropped.

mod attach;
mod btf;
pub mod host;
mod requirement;
mod sys;
#[cfg(test)]
mod tests;

pub use attach::AttachKind;
pub use requirement::{Helper, MapKind, Missing, Requirement};

use btf::TypeInfo;
use probe_core::Env;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The kernel that this process runs on, with what it answered so far.
#[derive(Debug)]
pub struct Kernel {
    env: Env,
    btf: Option<PathBuf>,
    answers: Mutex<HashMap<Requirement, Result<(), Missing>>>,
}

static KERNEL: OnceLock<Kernel> = OnceLock::new();

/// Says once, before anything is asked, how the process sees the host and which file has the kernel's type
/// information if the kernel itself does not (`global.btf_path`). Returns whether it was in time.
pub fn configure(env: &Env, btf: Option<&Path>) -> bool {
    KERNEL.set(Kernel::new(env.clone(), btf.map(Path::to_path_buf))).is_ok()
}

/// The kernel of this process; with the usual places if nobody called [`configure`].
pub fn kernel() -> &'static Kernel {
    KERNEL.get_or_init(|| Kernel::new(Env::default(), None))
}

impl Kernel {
    /// A kernel of which nothing was asked yet; for tests, others use [`kernel`].
    pub fn new(env: Env, btf: Option<PathBuf>) -> Self {
        Self { env, btf, answers: Mutex::default() }
    }

    /// The file that libbpf shall take the kernel's types from; `None` when the kernel shows them itself.
    pub fn btf_file(&self) -> Option<&Path> {
        let own = self.env.sys.join(btf::OWN);
        self.btf.as_deref().filter(|_| !own.exists())
    }

    /// Whether the kernel has this.
    pub fn ask(&self, requirement: Requirement) -> Result<(), Missing> {
        self.ask_all(&[requirement]).pop().unwrap_or(Ok(()))
    }

    /// The same for several, in their order; type information is read at most once for all of them.
    pub fn ask_all(&self, requirements: &[Requirement]) -> Vec<Result<(), Missing>> {
        let _raised = crate::bpf::raised();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut types = TypeInfo::new(&self.env, self.btf.as_deref());
        let mut answer = |requirement: &Requirement| {
            answers
                .entry(*requirement)
                .or_insert_with(|| {
                    let reason = requirement::answer(*requirement, &self.env, &mut types);
                    reason.map_err(|reason| Missing { requirement: *requirement, reason })
                })
                .clone()
        };
        requirements.iter().map(&mut answer).collect()
    }

    /// Everything that was asked so far, sorted by name.
    pub fn answers(&self) -> Vec<(Requirement, Result<(), Missing>)> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = answers.iter().map(|(asked, answer)| (*asked, answer.clone())).collect();
        all.sort_by_key(|(asked, _)| asked.to_string());
        all
    }

    /// How the process sees the host.
    pub fn env(&self) -> &Env {
        &self.env
    }
}
