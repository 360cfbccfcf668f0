//! With children of the test, on this machine's /proc. The daemon's pid is another one here, else its
//! children would be left out.

use super::*;
use std::process::{Child, Stdio};

struct Sleep(Child);

/// A name that no process of another test run on this machine has.
fn unique(letter: char) -> String {
    format!("gd-{}-{letter}", std::process::id())
}

impl Sleep {
    /// A process named `name`, by a link to `sleep`.
    fn start(dir: &Path, name: &str, seconds: &str) -> Self {
        let program = dir.join(name);
        if !program.exists() {
            std::os::unix::fs::symlink("/bin/sleep", &program).expect("link");
        }
        // A real process is what this is about.
        #[allow(clippy::disallowed_methods)]
        let child = std::process::Command::new(program)
            .arg(seconds)
            .stdin(Stdio::null())
            .spawn()
            .expect("sleep starts");
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn matched(watch: &Watch) -> Vec<u32> {
    watch.get("tcp").expect("watched").hits.keys().map(|key| key.tgid).collect()
}

#[test]
fn a_child_is_matched_within_one_scan_and_left_within_one_when_it_ends() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut watch = Watch::new(Path::new("/proc"), Registry::default(), None);
    let name = unique('a');
    watch.set("tcp", &comms(Mode::Include, &[&name]), false);
    assert!(matched(&watch).is_empty());
    let child = Sleep::start(dir.path(), &name, "600");
    let pid = child.pid();
    watch.rescan();
    assert_eq!(matched(&watch), [pid]);
    drop(child);
    watch.rescan();
    assert!(matched(&watch).is_empty());
}

#[test]
fn a_command_line_tells_children_of_one_name_apart() {
    let dir = tempfile::tempdir().expect("tempdir");
    let one = Sleep::start(dir.path(), &unique('b'), "601");
    let _two = Sleep::start(dir.path(), &unique('b'), "602");
    let proc_name = vec![name(&unique('b'), " 601$", None)];
    let selectors = Selectors { proc_name, ..Selectors::default() };
    let mut watch = Watch::new(Path::new("/proc"), Registry::default(), None);
    watch.set("tcp", &Selection { mode: Mode::Include, selectors }, false);
    assert_eq!(matched(&watch), [one.pid()]);
}

#[test]
fn a_child_that_renames_itself_is_matched_under_the_new_name() {
    let mut watch = Watch::new(Path::new("/proc"), Registry::default(), None);
    watch.set("tcp", &comms(Mode::Include, &[&format!("^{}$", unique('d'))]), false);
    // Only a process itself can write its name, so the child is a shell that does and then waits.
    let script = format!("echo {} > /proc/$$/comm; echo; read wait", unique('d'));
    #[allow(clippy::disallowed_methods)] // A real process is what this is about.
    let mut shell = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell starts");
    let mut line = [0];
    std::io::Read::read_exact(shell.stdout.as_mut().expect("piped"), &mut line).expect("it tells");
    watch.rescan();
    let found = matched(&watch);
    drop(shell.stdin.take());
    shell.wait().expect("ends");
    assert_eq!(found, [shell.id()]);
}

#[test]
fn children_of_the_daemon_are_left_out() {
    let dir = tempfile::tempdir().expect("tempdir");
    let _child = Sleep::start(dir.path(), &unique('c'), "600");
    let mut watch = Watch::new(Path::new("/proc"), Registry::default(), Some(std::process::id()));
    watch.set("tcp", &comms(Mode::Include, &[&unique('c')]), false);
    assert!(matched(&watch).is_empty());
}
