//! Other programs: the daemon under test, and the independent readers its values are compared with.
//!
//! Owns finding, running and ending them. The daemon itself never starts one; a test checks that.

use crate::wait::{DEADLINE, within};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// The folder of the built binaries: where the running test was built, or `GOPHERD_BIN_DIR`, which lets the
/// same tests run against an installed package.
pub fn bin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("GOPHERD_BIN_DIR") {
        return dir.into();
    }
    let test = std::env::current_exe().expect("the path of the running test");
    test.ancestors().nth(2).expect("tests are built in target/PROFILE/deps").to_owned()
}

/// One of the project's binaries.
pub fn built(name: &str) -> PathBuf {
    let path = bin_dir().join(name);
    assert!(path.is_file(), "{} is not there: run `cargo build --workspace --bins` first", path.display());
    path
}

/// A command that finds `program` in the PATH, in the system's folders or where `make test` unpacks tools.
#[allow(clippy::disallowed_methods, reason = "tests compare with other programs; this is the one place")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let name = Path::new(program.as_ref());
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = (name.components().count() == 1)
        .then(|| {
            std::env::split_paths(&path)
                .chain(["/usr/sbin".into(), "/sbin".into(), unpacked])
                .map(|dir| dir.join(name))
                .find(|candidate| candidate.is_file())
        })
        .flatten();
    let mut command = Command::new(found.unwrap_or_else(|| name.to_owned()));
    // Numbers and words as the tests read them.
    command.env("LC_ALL", "C");
    command
}

/// Runs `program` to its end with `input` on its standard input.
#[track_caller]
pub fn run(program: impl AsRef<OsStr>, args: &[&str], input: &[u8]) -> Output {
    let shown = program.as_ref().to_string_lossy().into_owned();
    let mut child = command(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}; `make test` installs what the tests need"));
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    // Written beside reading, or a program that answers before it has read all would block both.
    let writer = std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || stdin.write_all(&input))
        .expect("a thread for standard input");
    let output = child.wait_with_output().expect("the output of a program");
    // A program may end without reading everything; its status says whether that was right.
    drop(writer.join());
    output
}

/// Standard output of `program`, which must succeed.
#[track_caller]
pub fn text_of(program: &str, args: &[&str]) -> String {
    let output = run(program, args, b"");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text from a program")
}

/// A program that runs beside a test and ends with it.
#[derive(Debug)]
pub struct Background {
    child: Child,
    log: PathBuf,
    /// Asked to end, and killed only if it does not.
    asked: bool,
}

impl Background {
    /// Starts `command` with everything it prints appended to the file `log`.
    #[track_caller]
    pub fn start(mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log file");
        let copy = file.try_clone().expect("a second handle of the log file");
        let child =
            command.stdin(Stdio::null()).stdout(copy).stderr(file).spawn().unwrap_or_else(|error| {
                panic!("{command:?}: {error}; `make test` installs what the tests need")
            });
        Self { child, log: log.to_owned(), asked: false }
    }

    /// Ends it with SIGTERM: for a server that has workers, which would outlive its kill.
    #[must_use]
    pub fn asked_to_end(mut self) -> Self {
        self.asked = true;
        self
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far, here and in earlier runs with the same file.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("the child takes signals");
    }

    /// Kills it at once, as `kill -9` does.
    pub fn kill(mut self) {
        self.asked = false;
        self.end();
    }

    fn end(&mut self) {
        if self.asked && matches!(self.child.try_wait(), Ok(None)) {
            self.signal(rustix::process::Signal::TERM);
            let _ = within(DEADLINE, || self.child.try_wait().ok().flatten());
        }
        // It may have ended by itself already; then both have nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("---- {} ----\n{}", self.log.display(), self.log());
        }
    }
}
