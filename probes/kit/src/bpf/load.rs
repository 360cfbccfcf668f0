//! An object from its bytes to the kernel: opened, configured, loaded with the programs that the kernel takes.
//!
//! The kernel is asked first, because a load is all or nothing and does not say which program it refused. If it
//! refuses all the same, each program is loaded alone to find out, the guilty ones are left out and named, and
//! the rest is loaded.

use super::guilty::Draft;
use super::job::{Job, Plan};
use super::links::Links;
use super::privilege::raised;
use super::scope::{self, ScopeMaps};
use super::{log, meter};
use crate::fault;
use crate::kernel::Kernel;
use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{Link, MapCore as _, MapHandle, OpenObject};
use probe_core::{Outcome, ProbeError, SubProbes};
use std::fmt;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use thiserror::Error;

/// An object, as static data of its probe.
#[derive(Clone, Copy, Debug)]
pub struct ObjectSpec {
    /// Its own name, in errors.
    pub name: &'static str,
    /// Whose it is, the probe's name: the label of what it costs. Several objects may have one owner.
    pub owner: &'static str,
    /// `bpf::OBJECT`.
    pub bytes: &'static [u8],
    /// What its programs are for.
    pub jobs: &'static [Job],
}

/// Where a loaded object lies; make one on the probe's stack and keep it as long as the object. It has two
/// places because the object is opened again after a load that failed.
#[derive(Debug)]
pub struct Storage([MaybeUninit<OpenObject>; 2]);

impl Storage {
    /// Room for one object.
    pub fn new() -> Self {
        Self([MaybeUninit::uninit(), MaybeUninit::uninit()])
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self::new()
    }
}

/// Why an object is not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// libbpf or the kernel refused the object as a whole.
    #[error("{object}: {doing}: {cause}")]
    Refused {
        /// The object.
        object: &'static str,
        /// What was being done.
        doing: &'static str,
        /// What libbpf said.
        cause: String,
    },
    /// A shared map is not what the daemon made.
    #[error("{object}: map {map}: {difference}")]
    SharedMap {
        /// The object.
        object: &'static str,
        /// The map.
        map: String,
        /// How it differs.
        difference: String,
    },
    /// The kernel can do none of the object's jobs.
    #[error("{object}: {}", missing.join("; "))]
    Nothing {
        /// The object.
        object: &'static str,
        /// What is missing, one sentence each.
        missing: Vec<String>,
    },
}

impl From<LoadError> for ProbeError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Nothing { missing, .. } => Self::Unsupported { missing },
            other => Self::failed("loading BPF programs", other),
        }
    }
}

/// A loaded object with its links.
pub struct Bpf<S> {
    // Before the skeleton: links go first, then what the meter holds.
    links: Links,
    _metered: meter::Place,
    plan: Plan,
    skel: S,
}

impl<S> fmt::Debug for Bpf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bpf").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<'o, S: Skel<'o>> Bpf<S> {
    /// Loads what this kernel can do of `spec`.
    ///
    /// `configure` is called with the opened skeleton before the load, and again if it has to be opened again:
    /// it sets read-only data and map sizes. Programs and maps are switched on and off by the plan, and the
    /// scope maps are the process's own.
    pub fn load<B>(
        spec: &ObjectSpec,
        kernel: &Kernel,
        scope: Option<&ScopeMaps>,
        storage: &'o mut Storage,
        mut configure: impl FnMut(&mut B::Output),
    ) -> Result<Self, LoadError>
    where
        B: SkelBuilder<'o> + Default,
        B::Output: OpenSkel<'o, Output = S>,
    {
        let needs: Vec<_> =
            spec.jobs.iter().flat_map(|job| job.ways).flat_map(|way| way.needs).copied().collect();
        let _raised = raised();
        // All at once: type information is read once.
        kernel.ask_all(&needs);
        let mut plan = Plan::new(spec.jobs, |need| kernel.ask(need), &[]);
        let mut refused = None;
        for place in &mut storage.0 {
            if plan.programs().next().is_none() {
                let missing = plan.undone().flat_map(|(_, reasons)| reasons).cloned().collect();
                return Err(LoadError::Nothing { object: spec.name, missing });
            }
            let mut open = open::<B>(spec, kernel, place)?;
            configure(&mut open);
            prepare(spec, open.open_object_mut(), &plan, scope)?;
            let draft = Draft::of(spec, kernel, open.open_object());
            let (loaded, lines) = log::listen(|| {
                fault::at("bpf.map", spec.name)?;
                plan.programs().try_for_each(|program| fault::at("bpf.program", program))?;
                open.load()
            });
            match loaded {
                Ok(skel) => {
                    let metered = meter::enter(spec.owner, skel.object(), &plan).map_err(|error| {
                        LoadError::Refused { object: spec.name, doing: "meter", cause: error.to_string() }
                    })?;
                    return Ok(Self { links: Links::default(), _metered: metered, plan, skel });
                }
                Err(error) => {
                    let cause = log::gist(&lines).unwrap_or_else(|| error.to_string());
                    tracing::debug!(object = spec.name, %error, lines = lines.join("\n"), "load refused");
                    refused = Some(LoadError::Refused { object: spec.name, doing: "load", cause });
                    let guilty = draft.guilty(&plan, scope)?;
                    if guilty.is_empty() {
                        break;
                    }
                    plan = Plan::new(spec.jobs, |need| kernel.ask(need), &guilty);
                }
            }
        }
        Err(refused.unwrap_or(LoadError::Nothing { object: spec.name, missing: Vec::new() }))
    }

    /// The skeleton: maps and programs by name.
    pub fn skel(&self) -> &S {
        &self.skel
    }

    /// The skeleton, to write its global data.
    pub fn skel_mut(&mut self) -> &mut S {
        &mut self.skel
    }

    /// Which way each job takes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Attaches what `wanted` needs and is not attached, detaches what it does not need, and says what of it
    /// runs. Programs and maps stay loaded, so nothing that was counted is lost.
    pub fn apply(&mut self, wanted: &SubProbes) -> Outcome {
        self.links.apply(&self.plan, self.skel.object(), wanted)
    }

    /// What became of each job, as `execs: exec_typed attached`, `… loaded`, or what is missing: for logs, and for
    /// tests, whose lines `VERDICT <object>/<this>` the kernel matrix shows.
    pub fn verdicts(&self) -> impl Iterator<Item = String> + '_ {
        self.plan.choices.iter().map(|choice| {
            let job = choice.job.name;
            match &choice.way {
                Ok(way) if self.links.get(job).is_some() => format!("{job}: {} attached", way.program),
                Ok(way) => format!("{job}: {} loaded", way.program),
                Err(reasons) => format!("{job}: {}", reasons.join("; ")),
            }
        })
    }

    /// A handle of the map `name`, which lives as long as it is kept: for a [`super::Ring`], which would else borrow
    /// the object that links are made and dropped on.
    pub fn map(&self, name: &str) -> Result<MapHandle, LoadError> {
        let refused = |cause: String| LoadError::Refused { object: "map", doing: "handle", cause };
        let map = self.skel.object().maps().find(|map| map.name() == name);
        let map = map.ok_or_else(|| refused(format!("{name} is not in the object")))?;
        MapHandle::try_from(&map).map_err(|error| refused(error.to_string()))
    }

    /// The link of a job, if it is attached: for iterators, which are read through it.
    pub fn link(&self, job: &str) -> Option<&Link> {
        self.links.get(job)
    }
}

fn open<'o, B>(
    spec: &ObjectSpec,
    kernel: &Kernel,
    place: &'o mut MaybeUninit<OpenObject>,
) -> Result<B::Output, LoadError>
where
    B: SkelBuilder<'o> + Default,
{
    let refused = |cause: libbpf_rs::Error| LoadError::Refused {
        object: spec.name,
        doing: "open",
        cause: cause.to_string(),
    };
    let mut builder = B::default();
    if let Some(path) = btf_file(kernel) {
        builder.object_builder_mut().btf_custom_path(path).map_err(refused)?;
    }
    let (opened, _) = log::listen(|| builder.open(place));
    opened.map_err(refused)
}

/// The file of kernel types that libbpf must be told of.
pub(super) fn btf_file(kernel: &Kernel) -> Option<PathBuf> {
    kernel.btf_file().map(std::path::Path::to_path_buf)
}

/// Switches programs and maps on and off as planned, and puts the shared maps in.
pub(super) fn prepare(
    spec: &ObjectSpec,
    object: &mut OpenObject,
    plan: &Plan,
    scope: Option<&ScopeMaps>,
) -> Result<(), LoadError> {
    let wanted: Vec<_> = plan.programs().collect();
    for mut program in object.progs_mut() {
        let load = wanted.iter().any(|name| program.name() == *name);
        program.set_autoload(load);
    }
    let unused = plan.unused_maps();
    for mut map in object.maps_mut() {
        let refused = |cause: libbpf_rs::Error| LoadError::Refused {
            object: spec.name,
            doing: "configure",
            cause: cause.to_string(),
        };
        if unused.iter().any(|name| map.name() == *name) {
            map.set_autocreate(false).map_err(refused)?;
        } else if let Some(scope) = scope {
            scope::put_in(scope, spec.name, &mut map)?;
        }
    }
    Ok(())
}
