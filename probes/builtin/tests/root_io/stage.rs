//! Block devices of the tests' own, direct I/O to them, and the kernel's account of each.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs a program that sets the stage; its output.
#[track_caller]
#[allow(clippy::disallowed_methods)] // to set the stage
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// A small tmpfs; unmounted when dropped.
pub(crate) struct Memory(tempfile::TempDir);

impl Memory {
    pub(crate) fn of(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().to_str().expect("text");
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "io-tests", at])
            .expect("mounted (as root)");
        Self(folder)
    }

    /// A file with a hole of `size` bytes.
    pub(crate) fn hole(&self, size: u64) -> PathBuf {
        let path = self.0.path().join("disk");
        File::create(&path).and_then(|file| file.set_len(size)).expect("a file");
        path
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        drop(run("umount", &["-l", self.0.path().to_str().unwrap_or_default()]));
    }
}

/// A loop device over a file in memory; detached when dropped.
pub(crate) struct Loop {
    name: String,
    attached: AtomicBool,
    // Its file goes after it.
    _memory: Memory,
}

/// One looks for a free device at a time.
static ATTACHING: Mutex<()> = Mutex::new(());

impl Loop {
    /// Of `size` bytes, all of which there is memory for.
    pub(crate) fn new(size: u64) -> Self {
        let memory = Memory::of(&(2 * size).to_string());
        let file = memory.hole(size);
        Self::over(memory, &file, &[])
    }

    /// Over `file`, with more options of losetup.
    pub(crate) fn over(memory: Memory, file: &Path, options: &[&str]) -> Self {
        let _one = ATTACHING.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        loop {
            let free = run("losetup", &["-f"]).expect("a free loop device");
            let args = [options, &[&*free, file.to_str().expect("text")]].concat();
            match run("losetup", &args) {
                Ok(_) => {
                    let name = free.trim_start_matches("/dev/").into();
                    return Self { name, attached: AtomicBool::new(true), _memory: memory };
                }
                // Another process was faster.
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error}"),
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sets `queue/KEY`, until what this returns is dropped.
    pub(crate) fn set(&self, key: &str, value: &str) -> Setting {
        let path = format!("/sys/block/{}/queue/{key}", self.name);
        let before = std::fs::read_to_string(&path).expect("a setting");
        std::fs::write(&path, value).expect("set");
        Setting { path, before }
    }

    /// Pulls it; who has it open keeps it until then. Afterwards it is the next one's.
    pub(crate) fn detach(&self) {
        if self.attached.swap(false, Ordering::Relaxed) {
            run("losetup", &["-d", &format!("/dev/{}", self.name)]).expect("detached");
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.detach();
    }
}

/// A setting of a device's queue, which outlives what is attached; as it was when dropped.
pub(crate) struct Setting {
    path: String,
    before: String,
}

impl Drop for Setting {
    fn drop(&mut self) {
        drop(std::fs::write(&self.path, self.before.trim()));
    }
}

/// The blocks that are read and written at a time.
pub(crate) const BLOCK: usize = 4096;

/// More than the kernel puts into one bio (256 pages).
const AT_ONCE: usize = 300;

/// Direct I/O: each call is one request.
pub(crate) struct Direct {
    file: File,
    room: Vec<u8>,
}

impl Direct {
    pub(crate) fn open(device: &str) -> Self {
        let flags = OFlags::DIRECT.bits().try_into().expect("a flag");
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(format!("/dev/{device}"));
        Self { file: file.expect(device), room: vec![0x5a; (AT_ONCE + 1) * BLOCK] }
    }

    /// An aligned part of `room`.
    fn buffer(&mut self, size: usize) -> (&File, &mut [u8]) {
        let from = self.room.as_ptr().align_offset(BLOCK);
        (&self.file, &mut self.room[from..from + size])
    }

    pub(crate) fn write(&mut self, size: usize, at: u64) -> std::io::Result<()> {
        let (file, buffer) = self.buffer(size);
        file.write_all_at(buffer, at)
    }

    pub(crate) fn read(&mut self, size: usize, at: u64) -> std::io::Result<()> {
        let (file, buffer) = self.buffer(size);
        file.read_exact_at(buffer, at)
    }

    /// Reads so much that the kernel makes all its requests before it hands the first to the driver, as many as there are
    /// places for.
    pub(crate) fn read_at_once(&mut self, at: u64) {
        self.read(AT_ONCE * BLOCK, at).expect("read");
    }

    /// What is written from now on cannot be compressed.
    pub(crate) fn scramble(&mut self) {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for byte in &mut self.room {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[3];
        }
    }

    pub(crate) fn flush(&self) {
        self.file.sync_data().expect("flushed");
    }
}

/// What the kernel itself has counted of a device: the fields of Documentation/block/stat.rst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) reads: u64,
    pub(crate) read_bytes: u64,
    /// Writes of no bytes, which ask for a flush, included.
    pub(crate) writes: u64,
    pub(crate) write_bytes: u64,
    pub(crate) discards: u64,
    /// What the driver got of those; of a disk, never of a partition.
    pub(crate) flushes: u64,
}

impl Stat {
    /// Of `device`, a partition of a disk as `disk/partition`.
    pub(crate) fn of(device: &str) -> Self {
        let text = std::fs::read_to_string(format!("/sys/block/{device}/stat")).expect(device);
        let fields: Vec<u64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        Self {
            reads: fields[0],
            read_bytes: fields[2] * 512,
            writes: fields[4],
            write_bytes: fields[6] * 512,
            discards: fields[11],
            flushes: fields[15],
        }
    }

    /// What came since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            read_bytes: self.read_bytes - before.read_bytes,
            writes: self.writes - before.writes,
            write_bytes: self.write_bytes - before.write_bytes,
            discards: self.discards - before.discards,
            flushes: self.flushes - before.flushes,
        }
    }
}
