//! The kernel's type information (BTF), read when first asked and dropped with the questions: it is 6 MB.

use super::sys;
use libbpf_rs::btf::types::{Composite, FuncProto};
use libbpf_rs::btf::{Btf, BtfType, TypeId};
use libbpf_rs::libbpf_sys::{
    BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_FUNC, BTF_KIND_STRUCT, BTF_KIND_TYPEDEF, BTF_KIND_UNION,
};
use probe_core::Env;
use std::path::{Path, PathBuf};

/// Where the kernel shows its own, below `/sys`.
pub(super) const OWN: &str = "kernel/btf/vmlinux";

/// How deep anonymous members are followed; the kernel has three levels.
const MAX_DEPTH: usize = 8;

/// Type information that is read at the first question.
#[derive(Debug)]
pub(super) struct TypeInfo<'e> {
    env: &'e Env,
    file: Option<&'e Path>,
    read: Option<Result<Types, String>>,
}

impl<'e> TypeInfo<'e> {
    pub(super) fn new(env: &'e Env, file: Option<&'e Path>) -> Self {
        Self { env, file, read: None }
    }

    /// The types, or why there are none.
    pub(super) fn get(&mut self) -> Result<&Types, String> {
        let (env, file) = (self.env, self.file);
        self.read.get_or_insert_with(|| Types::read(env, file)).as_ref().map_err(Clone::clone)
    }
}

/// The kernel's types.
#[derive(Debug)]
pub(super) struct Types(Btf<'static>);

impl Types {
    fn read(env: &Env, file: Option<&Path>) -> Result<Self, String> {
        let own: PathBuf = env.sys.join(OWN);
        let path = match file {
            Some(file) if !own.exists() => file,
            _ => &own,
        };
        if !path.exists() {
            return Err(format!(
                "{} does not exist; name a file that has it in global.btf_path",
                path.display()
            ));
        }
        Btf::from_path(path).map(Self).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn find(&self, name: &str, kind: u32) -> Option<u32> {
        sys::btf_find(&self.0, name, kind)
    }

    pub(super) fn has_type(&self, name: &str) -> bool {
        [BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_TYPEDEF]
            .into_iter()
            .any(|kind| self.find(name, kind).is_some())
    }

    pub(super) fn has_field(&self, name: &str, member: &str) -> bool {
        let found = [BTF_KIND_STRUCT, BTF_KIND_UNION].into_iter().find_map(|kind| self.find(name, kind));
        found.is_some_and(|id| self.has_member(TypeId::from(id), member, MAX_DEPTH))
    }

    fn has_member(&self, id: TypeId, member: &str, depth: usize) -> bool {
        let Some(ty) = self.0.type_by_id::<Composite<'_>>(id) else { return false };
        ty.iter().any(|found| match found.name {
            Some(name) if !name.is_empty() => name == member,
            _ => depth > 0 && self.has_member(found.ty, member, depth - 1),
        })
    }

    /// The id by which a `tp_btf` program names the tracepoint.
    pub(super) fn tracepoint(&self, name: &str) -> Option<u32> {
        self.find(&format!("btf_trace_{name}"), BTF_KIND_TYPEDEF)
    }

    /// How many arguments a tracepoint hands to its programs.
    pub(super) fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        let id = TypeId::from(self.tracepoint(name)?);
        // typedef void (*btf_trace_x)(void *, …): the first argument is the tracepoint's own.
        let pointer = self.0.type_by_id::<BtfType<'_>>(id)?.next_type()?;
        let function: FuncProto<'_> = pointer.next_type()?.try_into().ok()?;
        function.len().checked_sub(1)
    }

    /// The id by which a program names a function of the kernel.
    pub(super) fn function(&self, name: &str) -> Option<u32> {
        self.find(name, BTF_KIND_FUNC)
    }
}
