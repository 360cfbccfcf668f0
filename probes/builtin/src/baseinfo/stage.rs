//! Setting the stage for tests of programs: cgroups of one controller, of whichever version, and loads in them.

use probe_kit::cgroup::Hierarchies;
use rustix::thread::{CapabilitySets, capabilities, set_capabilities};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `set` with every right that this process has: the stage is set by the test, not by the daemon.
pub(super) fn staging<T>(set: impl FnOnce() -> T) -> T {
    let sets = capabilities(None).expect("asked");
    let all = CapabilitySets { effective: sets.permitted, ..sets };
    set_capabilities(None, all).expect("they are permitted");
    let done = set();
    set_capabilities(None, sets).expect("less is always allowed");
    done
}

/// A cgroup of one controller; it goes when it is dropped and empty.
pub(super) struct Group {
    pub(super) dir: PathBuf,
    /// As the sub-probes name it.
    pub(super) path: String,
    /// Whether it is of v2.
    pub(super) unified: bool,
}

impl Group {
    /// Makes one.
    pub(super) fn new(controller: &str, name: &str) -> Self {
        staging(|| {
            let hierarchies = Hierarchies::find(Path::new("/sys"));
            let name = format!("gopherd-{name}-{}", std::process::id());
            let (root, unified) = match (hierarchies.of(controller), hierarchies.unified()) {
                (Some(root), _) => (root, false),
                (None, Some(root)) => {
                    fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"))
                        .expect("the controller");
                    (root, true)
                }
                _ => panic!("no cgroups"),
            };
            let dir = root.join(&name);
            fs::create_dir(&dir).expect("a cgroup (as root)");
            Self { path: format!("/{name}"), dir, unified }
        })
    }

    /// Sets `file` of it; whether it is there.
    pub(super) fn set(&self, file: &str, value: &str) -> bool {
        staging(|| fs::write(self.dir.join(file), value)).is_ok()
    }

    /// The processes in it.
    pub(super) fn processes(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.dir.join("cgroup.procs")).expect("its processes");
        text.lines().map(|line| line.parse().expect("a pid")).collect()
    }

    /// Starts a shell in it that waits for [`Waiting::go`] before it runs `script`.
    #[allow(clippy::disallowed_methods)] // a load needs a process
    pub(super) fn wait_with(&self, script: &str) -> Waiting {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("read go; {script}")]).stdin(Stdio::piped());
        let child = shell.spawn().expect("a shell");
        assert!(self.set("cgroup.procs", &child.id().to_string()), "moved");
        Waiting(child)
    }

    /// Runs `script` in it; it begins once it is in.
    pub(super) fn run(&self, script: &str) -> Child {
        self.wait_with(script).go()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let begun = Instant::now();
        while staging(|| fs::remove_dir(&self.dir)).is_err() && begun.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
    }
}

/// A shell that has not begun.
pub(super) struct Waiting(Child);

impl Waiting {
    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lets it begin.
    pub(super) fn go(mut self) -> Child {
        self.0.stdin.take().expect("a pipe").write_all(b"go\n").expect("told");
        self.0
    }
}
