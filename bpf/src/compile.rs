//! clang and libbpf-cargo: one source to one object, one object to one skeleton.

use crate::{Arch, home};
use anyhow::{Context as _, Result};
use libbpf_cargo::SkeletonBuilder;
use libbpf_rs::libbpf_sys::API_HEADERS;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Compiles `source` for `arch` into `object`; kernel types and libbpf's headers are unpacked below `scratch`.
///
/// `-O2 -g -target bpf` are libbpf-cargo's. `BPF_CLANG` names another clang.
pub fn compile(source: &Path, arch: Arch, scratch: &Path, object: &Path) -> Result<()> {
    let clang = std::env::var_os("BPF_CLANG").unwrap_or_else(|| "clang".into());
    SkeletonBuilder::new()
        .source(source)
        .obj(object)
        .clang(&clang)
        .clang_args(flags(source, arch, scratch)?)
        .build()
        .with_context(|| {
            format!(
                "compiling for {} with {} (packaging/bootstrap.sh installs it)",
                arch.name(),
                clang.display()
            )
        })
}

fn flags(source: &Path, arch: Arch, scratch: &Path) -> Result<Vec<OsString>> {
    let folder = source.parent().context("a source lies in a folder")?;
    let mut flags: Vec<OsString> = Vec::new();
    // v3 is what 5.10's verifier knows: 32-bit jumps, and atomic adds whose result is not used.
    flags.extend(["-mcpu=v3", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"].map(Into::into));
    flags.push(arch.define().into());
    for (option, folder) in [
        ("-I", folder),
        ("-I", &home().join("include")),
        ("-I", &libbpf(scratch)?),
        // The kernel's types are not ours to warn about.
        ("-isystem", &arch.vmlinux(scratch)?),
    ] {
        flags.push(option.into());
        flags.push(folder.into());
    }
    Ok(flags)
}

/// Writes libbpf's headers below `out` and returns the folder to include. libbpf-cargo does the same, in a folder whose
/// name is another each time and gets into the object with the places of the code: no build would be like another.
fn libbpf(out: &Path) -> Result<PathBuf> {
    let folder = out.join("libbpf");
    fs::create_dir_all(folder.join("bpf"))?;
    for (name, text) in API_HEADERS {
        fs::write(folder.join("bpf").join(name), text)?;
    }
    Ok(folder)
}

/// Makes the skeleton of `object`, which it names by path.
pub(crate) fn skeleton(object: &Path, out: &Path) -> Result<()> {
    // Left as it comes: nobody reads it, and a machine that only builds has no rustfmt.
    SkeletonBuilder::new().obj(object).rustfmt("/nonexistent/rustfmt").reference_obj(true).generate(out)
}
