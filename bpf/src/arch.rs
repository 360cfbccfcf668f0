//! The architectures that objects are compiled for, and the kernel types of each.

use crate::home;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// A machine that gopherd runs on. BPF bytecode is the same everywhere; the kernel's types and registers are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// Every architecture that an object must compile for.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The one that cargo builds for, of a build script's environment.
    pub(crate) fn target() -> Result<Self> {
        let name = env::var("CARGO_CFG_TARGET_ARCH").context("CARGO_CFG_TARGET_ARCH")?;
        match Self::ALL.into_iter().find(|arch| arch.name() == name) {
            Some(arch) => Ok(arch),
            None => bail!("no vmlinux.h for {name}; bpf/vmlinux/refresh.sh makes one"),
        }
    }

    /// As Rust and `uname -m` call it; also its folder in `vmlinux/`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The macro by which libbpf's headers choose the registers.
    pub(crate) fn define(self) -> &'static str {
        match self {
            Self::X86_64 => "-D__TARGET_ARCH_x86",
            Self::Aarch64 => "-D__TARGET_ARCH_arm64",
        }
    }

    /// The packed kernel types.
    pub(crate) fn packed(self) -> PathBuf {
        home().join("vmlinux").join(self.name()).join("vmlinux.h.zst")
    }

    /// Unpacks the kernel types below `out` and returns the folder to include.
    pub(crate) fn vmlinux(self, out: &Path) -> Result<PathBuf> {
        let folder = out.join("vmlinux").join(self.name());
        let header = folder.join("vmlinux.h");
        let packed = self.packed();
        let bytes = fs::read(&packed).with_context(|| packed.display().to_string())?;
        let unpacked = zstd::decode_all(&*bytes).with_context(|| packed.display().to_string())?;
        fs::create_dir_all(&folder)?;
        fs::write(header, unpacked)?;
        Ok(folder)
    }
}
