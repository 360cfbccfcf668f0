//! A small file system of its own: one that can be filled, and whose numbers nobody else moves.

use crate::process::{run, text_of};
use std::path::{Path, PathBuf};

/// A mounted tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts `size` (`4m`) with at most `inodes` files at the folder `at`, which is made. `None`, said on
    /// stderr, where this user may not mount.
    #[track_caller]
    pub fn mount(at: &Path, size: &str, inodes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).expect("the folder to mount at");
        let options = format!("size={size},nr_inodes={inodes},mode=755");
        let path = at.to_str().expect("a path of text");
        let output = run("mount", &["-t", "tmpfs", "-o", &options, "gopherd-e2e", path], b"");
        if !output.status.success() {
            eprintln!(
                "not compared, this user may not mount: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
            return None;
        }
        Some(Self { at: at.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open in it keeps only that.
        text_of("umount", &["--lazy", self.at.to_str().expect("a path of text")]);
    }
}
