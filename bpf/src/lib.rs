//! Build-time only: turns each `*.bpf.c` of a folder into a skeleton and its shared header into Rust types, so
//! that adding a BPF probe is adding a folder. Owns the compiler flags, the shared C headers (`include/`) and
//! the kernel types of each architecture (`vmlinux/`); loading belongs to `probe_kit::bpf`.
//!
//! A crate that has BPF programs calls [`build`] in its `build.rs` and takes the result in with
//! `probe_kit::bpf_object!`. `README.md` beside this file shows a probe from end to end.
#![forbid(unsafe_code)]

mod arch;
mod compile;
mod sources;
mod types;

pub use arch::Arch;
pub use compile::compile;
pub use sources::find;

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// This crate's folder: the C headers and the kernel types lie in it.
fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles every `*.bpf.c` below `folders` (relative to the crate being built) into `$OUT_DIR/bpf/<stem>.rs`:
/// the skeleton, the bytes of the object and the types of `<stem>.h` if there is one beside it.
///
/// Does nothing when no input has changed, because cargo runs a build script after a change of any file below
/// its folders and most of those are Rust.
pub fn build(folders: &[&str]) -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR: this runs in a build script")?);
    let out = out.join("bpf");
    let arch = Arch::target()?;
    // Whole folders: a list of the files that were found would miss the next one.
    #[allow(clippy::print_stdout)] // how a build script talks to cargo
    for folder in folders.iter().map(Path::new).chain([&*home().join("include"), &*home().join("vmlinux")]) {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    let mut found = BTreeMap::new();
    for source in folders.iter().map(|folder| find(Path::new(folder))).collect::<Result<Vec<_>>>()?.concat() {
        let stem = stem(&source)?;
        if let Some(other) = found.insert(stem.clone(), source.clone()) {
            anyhow::bail!("two objects are named {stem}: {} and {}", other.display(), source.display());
        }
    }
    let stamp = sources::fingerprint(folders, arch)?;
    let stamped = out.join("stamp");
    if fs::read_to_string(&stamped).is_ok_and(|old| old == stamp) {
        return Ok(());
    }
    fs::create_dir_all(&out)?;
    for (stem, source) in found {
        generate(&stem, &source, arch, &out).with_context(|| source.display().to_string())?;
    }
    fs::write(stamped, stamp)?;
    Ok(())
}

/// Writes the types of `gopher/abi.h` to `$OUT_DIR/bpf/abi.rs`, for the one crate that everybody has them from.
pub fn build_abi() -> Result<()> {
    let out =
        PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR: this runs in a build script")?).join("bpf");
    fs::create_dir_all(&out)?;
    fs::write(out.join("abi.rs"), types::of_header(&home().join("include/gopher/abi.h"))?)?;
    Ok(())
}

/// The name that a source gives its object: `tcp` of `tcp.bpf.c`.
fn stem(source: &Path) -> Result<String> {
    let name = source.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".bpf.c").unwrap_or_default();
    let plain = stem.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    ensure!(
        plain && stem.starts_with(|c: char| c.is_ascii_lowercase()),
        "{}: the name becomes a Rust module, so use a-z, 0-9 and _ before .bpf.c",
        source.display()
    );
    Ok(stem.to_owned())
}

fn generate(stem: &str, source: &Path, arch: Arch, out: &Path) -> Result<()> {
    let object = out.join(format!("{stem}.bpf.o"));
    let skeleton = out.join(format!("{stem}.skel.rs"));
    compile::compile(source, arch, out, &object)?;
    compile::skeleton(&object, &skeleton)?;
    let header = source.with_file_name(format!("{stem}.h"));
    let types = if header.exists() { types::of_header(&header)? } else { String::new() };
    let shown = |path: &Path| format!("{:?}", path.display().to_string());
    let module = format!(
        "mod skel {{ include!({skeleton}); }}\n\
         pub use skel::*;\n\
         /// The object as it was compiled, to open it again without the skeleton.\n\
         pub static OBJECT: &[u8] = include_bytes!({object});\n\
         {types}",
        skeleton = shown(&skeleton),
        object = shown(&object),
    );
    fs::write(out.join(format!("{stem}.rs")), module)?;
    Ok(())
}

#[cfg(test)]
mod tests;
