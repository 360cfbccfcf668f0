//! Which program the kernel refused: each is loaded alone, as the object was configured, and dropped.

use super::job::Plan;
use super::load::{LoadError, ObjectSpec, btf_file, prepare};
use super::log;
use super::scope::ScopeMaps;
use crate::fault;
use crate::kernel::Kernel;
use libbpf_rs::{ObjectBuilder, OpenObject};
use std::ffi::OsString;

/// How an opened object was configured, so that it can be opened again without its skeleton.
pub(super) struct Draft<'k> {
    spec: ObjectSpec,
    kernel: &'k Kernel,
    maps: Vec<MapDraft>,
}

struct MapDraft {
    name: OsString,
    max_entries: u32,
    initial: Option<Vec<u8>>,
}

impl<'k> Draft<'k> {
    /// Notes what `open` has.
    pub(super) fn of(spec: &ObjectSpec, kernel: &'k Kernel, open: &OpenObject) -> Self {
        let maps = open.maps().map(|map| MapDraft {
            name: map.name().to_owned(),
            max_entries: map.max_entries(),
            initial: map.initial_value().map(<[u8]>::to_vec),
        });
        Self { spec: *spec, kernel, maps: maps.collect() }
    }

    /// Programs of `plan` that do not load alone, each with what libbpf said. The caller has raised what it takes.
    pub(super) fn guilty(
        &self,
        plan: &Plan,
        scope: Option<&ScopeMaps>,
    ) -> Result<Vec<(String, String)>, LoadError> {
        let mut guilty = Vec::new();
        for program in plan.programs() {
            let object = self.open(&plan.alone(program), scope)?;
            let (loaded, lines) = log::listen(|| {
                fault::at("bpf.map", self.spec.name)?;
                fault::at("bpf.program", program)?;
                object.load()
            });
            if let Err(error) = loaded {
                let reason = log::gist(&lines).unwrap_or_else(|| error.to_string());
                tracing::warn!(object = self.spec.name, program, reason, "the kernel refuses a program");
                guilty.push((program.to_owned(), reason));
            }
        }
        Ok(guilty)
    }

    fn open(&self, plan: &Plan, scope: Option<&ScopeMaps>) -> Result<OpenObject, LoadError> {
        let refused = |cause: libbpf_rs::Error| LoadError::Refused {
            object: self.spec.name,
            doing: "open alone",
            cause: cause.to_string(),
        };
        let mut builder = ObjectBuilder::default();
        // The skeleton's name for it: global data is named after it.
        builder.name(format!("{}_bpf", self.spec.name)).map_err(refused)?;
        if let Some(path) = btf_file(self.kernel) {
            builder.btf_custom_path(path).map_err(refused)?;
        }
        let mut object = builder.open_memory(self.spec.bytes).map_err(refused)?;
        prepare(&self.spec, &mut object, plan, scope)?;
        for mut map in object.maps_mut() {
            let Some(draft) = self.maps.iter().find(|draft| draft.name == map.name()) else { continue };
            if let Some(initial) = &draft.initial {
                map.set_initial_value(initial).map_err(refused)?;
            } else if draft.max_entries != map.max_entries() {
                map.set_max_entries(draft.max_entries).map_err(refused)?;
            }
        }
        Ok(object)
    }
}
