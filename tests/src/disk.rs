//! Small file systems and disks of a test's own: they can be filled, and nobody else moves their numbers.

use crate::process::{run, text_of};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

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

/// A loop device over a file in memory; detached when dropped.
#[derive(Debug)]
pub struct LoopDisk {
    path: String,
    attached: AtomicBool,
    _memory: SmallDisk,
}

impl LoopDisk {
    /// One of `size` bytes with `memory` bytes to write to (and a little), over a file in the folder `at`, which is made.
    #[track_caller]
    pub fn new(at: &Path, size: u64, memory: u64) -> Self {
        let memory = SmallDisk::mount(at, &memory.to_string(), 10).expect("as root");
        let file = at.join("image");
        File::create(&file).and_then(|file| file.set_len(size)).expect("a file");
        let path = text_of("losetup", &["--find", "--show", file.to_str().expect("a path of text")]);
        Self { path: path.trim().to_owned(), attached: AtomicBool::new(true), _memory: memory }
    }

    /// `/dev/loop3`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `loop3`.
    pub fn name(&self) -> &str {
        self.path.trim_start_matches("/dev/")
    }

    /// Mounts the file system on it at the folder `at`, which is made, with these options.
    #[track_caller]
    pub fn mount(&self, at: &Path, options: &str) -> Mounted {
        std::fs::create_dir_all(at).expect("the folder to mount at");
        text_of("mount", &["-o", options, &self.path, at.to_str().expect("a path of text")]);
        Mounted(at.to_owned())
    }

    /// Pulls it; who has it open keeps it until then. Afterwards it may be another test's.
    pub fn detach(&self) {
        if self.attached.swap(false, Ordering::Relaxed) {
            text_of("losetup", &["--detach", &self.path]);
        }
    }

    /// What the kernel has counted of it.
    #[track_caller]
    pub fn stat(&self) -> DiskStat {
        let text = std::fs::read_to_string(format!("/sys/block/{}/stat", self.name())).expect("a disk");
        // The fields of Documentation/block/stat.rst.
        let field: Vec<u64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        DiskStat {
            requests: field[0] + field[4] + field[11],
            read_bytes: field[2] * 512,
            write_bytes: field[6] * 512,
            flushes: field[15],
        }
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        self.detach();
    }
}

/// A mounted disk; unmounted, and with that written back, when dropped.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        text_of("umount", &[self.0.to_str().expect("a path of text")]);
    }
}

/// What the kernel has counted of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskStat {
    /// Reads, writes and discards; among the writes are those of no bytes that ask for a flush.
    pub requests: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Flushes that the driver got.
    pub flushes: u64,
}

impl DiskStat {
    /// What came since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            read_bytes: self.read_bytes - before.read_bytes,
            write_bytes: self.write_bytes - before.write_bytes,
            flushes: self.flushes - before.flushes,
        }
    }
}
