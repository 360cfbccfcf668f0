//! A process with mounts of its own, for tests of what a mount can do to a reader.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A process with a mount namespace of its own; it and its mounts end when its standard input closes.
pub(super) struct Namespace(Child);

impl Namespace {
    /// Runs `script` in it and waits until it has said `ready`. `None` where that cannot be done, which fails in
    /// CI and is said elsewhere.
    pub(super) fn new(script: &str) -> Option<Self> {
        let started = Self::start(script);
        if let Err(why) = &started {
            assert!(std::env::var_os("CI").is_none(), "needs root and /dev/fuse: {why}");
            eprintln!("not run, needs root and /dev/fuse: {why}");
        }
        started.ok()
    }

    fn start(script: &str) -> Result<Self, String> {
        // Only another process can have other mounts.
        #[allow(clippy::disallowed_methods)]
        let mut child = Command::new("unshare")
            .args(["--mount", "sh", "-c", &format!("{script} && echo ready && read line")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut said = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut said).map_err(|e| e.to_string())?;
        let namespace = Self(child);
        if said == "ready\n" { Ok(namespace) } else { Err(format!("no FUSE mount here: {said:?}")) }
    }

    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
