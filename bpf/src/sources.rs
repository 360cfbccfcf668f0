//! Which files make up the objects of a crate.

use crate::{Arch, home};
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// Every `*.bpf.c` below `folder`, sorted; none if there is no such folder.
pub fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    let all = below(folder)?.into_iter();
    Ok(all.filter(|path| path.to_string_lossy().ends_with(".bpf.c")).collect())
}

/// Every file below `folder`, sorted.
fn below(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(folder) = left.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            } else {
                found.insert(entry.path());
            }
        }
    }
    Ok(found)
}

/// A text that is another one whenever an object could be: of every C file and header, and of this crate's code.
pub(crate) fn fingerprint(folders: &[&str], arch: Arch) -> Result<String> {
    let mut hash = DefaultHasher::new();
    arch.name().hash(&mut hash);
    std::env::var_os("BPF_CLANG").hash(&mut hash);
    let ours = [home().join("include"), home().join("src")];
    let folders = folders.iter().map(PathBuf::from).chain(ours);
    let mut inputs = BTreeSet::from([arch.packed()]);
    for folder in folders {
        let rust = folder.starts_with(home());
        let wanted = |path: &PathBuf| {
            let extension = path.extension().unwrap_or_default();
            extension == "c" || extension == "h" || (rust && extension == "rs")
        };
        inputs.extend(below(&folder)?.into_iter().filter(wanted));
    }
    for path in inputs {
        path.hash(&mut hash);
        fs::read(&path).with_context(|| path.display().to_string())?.hash(&mut hash);
    }
    Ok(format!("{:016x}", hash.finish()))
}
