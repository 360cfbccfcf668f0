//! Watched selections over fake /proc trees, and over real processes.

use super::*;
use crate::feature::{Mode, Selectors};
use crate::scope::fake::{Fake, FakeProc, comms, ids, name};
use crate::scope::table::TURNS;
use probe_core::ProcSet;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::proptest;

fn only(keys: &[ProcKey]) -> Scope {
    Scope::Only(Arc::new(keys.iter().copied().collect()))
}

fn scope_of(watch: &Watch, feature: &str) -> Scope {
    watch.get(feature).expect("watched").scope.clone()
}

#[test]
fn a_selection_is_resolved_at_once_and_follows_what_starts_and_ends() {
    let proc = FakeProc::new();
    let (first, second) = (Fake::new(10, "redis"), Fake::new(11, "redis"));
    proc.put(&first).put(&Fake::new(20, "nginx"));
    let mut watch = Watch::new(&proc.root(), None);
    watch.set("tcp", &comms(Mode::Include, &["^redis"]));
    assert_eq!(scope_of(&watch, "tcp"), only(&[first.key()]));
    assert_eq!(watch.rescan(), []);
    proc.put(&second);
    let touched = Effect { scope: true, hits: true };
    assert_eq!(watch.rescan(), [("tcp", touched)]);
    assert_eq!(scope_of(&watch, "tcp"), only(&[first.key(), second.key()]));
    proc.end(10);
    assert_eq!(watch.rescan(), [("tcp", touched)]);
    assert_eq!(scope_of(&watch, "tcp"), only(&[second.key()]));
}

#[test]
fn an_exec_and_a_new_name_match_again() {
    let proc = FakeProc::new();
    let shell = Fake { cmdline: b"sh\0-c\0x\0", ..Fake::new(10, "sh") };
    proc.put(&shell);
    let mut watch = Watch::new(&proc.root(), None);
    let by_line = Selectors { proc_name: vec![name("", "6379", None)], ..Selectors::default() };
    watch.set("comm", &comms(Mode::Include, &["redis"]));
    watch.set("line", &Selection { mode: Mode::Include, selectors: by_line });
    proc.put(&Fake { comm: "redis", image: 6000, cmdline: b"redis\0:6379\0", ..shell.clone() });
    assert_eq!(watch.rescan().len(), 2);
    assert_eq!(scope_of(&watch, "comm"), only(&[shell.key()]));
    assert_eq!(scope_of(&watch, "line"), only(&[shell.key()]));
    proc.put(&Fake { comm: "other", image: 6000, cmdline: b"redis\0:6379\0", ..shell.clone() });
    watch.rescan();
    assert_eq!(scope_of(&watch, "comm"), only(&[]));
    assert_eq!(scope_of(&watch, "line"), only(&[shell.key()]));
}

#[test]
fn a_new_name_that_matches_no_differently_changes_the_hit_and_not_the_scope() {
    let proc = FakeProc::new();
    let before = Fake::new(10, "redis-a");
    proc.put(&before);
    let mut watch = Watch::new(&proc.root(), None);
    watch.set("tcp", &comms(Mode::Include, &["redis"]));
    proc.put(&Fake { comm: "redis-b", ..before.clone() });
    assert_eq!(watch.rescan(), [("tcp", Effect { scope: false, hits: true })]);
    assert_eq!(watch.get("tcp").expect("watched").hits[&before.key()].comm, "redis-b");
}

#[test]
fn a_pid_that_is_used_again_leaves_every_rule() {
    let proc = FakeProc::new();
    let first = Fake::new(10, "redis");
    let second = Fake { start: 9999, ..first.clone() };
    proc.put(&first);
    let mut watch = Watch::new(&proc.root(), None);
    watch.set("id", &ids(Mode::Include, &[first.key()]));
    watch.set("name", &comms(Mode::Include, &["redis"]));
    proc.end(10).put(&second);
    watch.rescan();
    assert_eq!(scope_of(&watch, "id"), only(&[]));
    assert_eq!(scope_of(&watch, "name"), only(&[second.key()]));
}

#[test]
fn a_bound_process_is_left_when_it_ends_without_listing_the_host() {
    let proc = FakeProc::new();
    let bound = Fake::new(10, "x");
    proc.put(&bound).put(&Fake::new(11, "y"));
    let mut watch = Watch::new(&proc.root(), None);
    watch.set("tcp", &ids(Mode::Exclude, &[bound.key()]));
    assert_eq!(scope_of(&watch, "tcp"), Scope::Except(Arc::new(ProcSet::from([bound.key()]))));
    assert_eq!(watch.table.iter().count(), 1);
    proc.end(10);
    watch.rescan();
    assert_eq!(scope_of(&watch, "tcp"), Scope::Except(Arc::default()));
}

#[test]
fn the_whole_host_and_container_selectors_need_no_scans() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "x"));
    let mut watch = Watch::new(&proc.root(), None);
    let container = Selectors { container_name: vec!["web".into()], ..Selectors::default() };
    watch.set("all", &comms(Mode::Exclude, &[]));
    watch.set("unset", &comms(Mode::Include, &[]));
    watch.set("con", &Selection { mode: Mode::Include, selectors: container });
    assert!(!watch.needs_scans());
    assert_eq!(scope_of(&watch, "all"), Scope::All);
    assert_eq!(scope_of(&watch, "unset"), Scope::Unset);
    assert_eq!(scope_of(&watch, "con"), only(&[]));
}

#[test]
fn a_replaced_selection_leaves_nothing_behind_and_the_last_one_frees_the_table() {
    let proc = FakeProc::new();
    let (a, b) = (Fake::new(10, "a"), Fake::new(11, "b"));
    proc.put(&a).put(&b);
    let mut watch = Watch::new(&proc.root(), None);
    watch.set("tcp", &comms(Mode::Include, &["a"]));
    watch.set("tcp", &comms(Mode::Include, &["b"]));
    assert_eq!(scope_of(&watch, "tcp"), only(&[b.key()]));
    watch.set("io", &comms(Mode::Include, &["a"]));
    watch.remove("io");
    assert_eq!(watch.table.iter().count(), 2);
    watch.set("tcp", &comms(Mode::Exclude, &[]));
    assert_eq!(watch.table.iter().count(), 0);
}

#[test]
fn setting_one_feature_tells_what_it_found_out_for_another() {
    let proc = FakeProc::new();
    let mut watch = Watch::new(&proc.root(), None);
    watch.set("tcp", &comms(Mode::Include, &["redis"]));
    proc.put(&Fake::new(10, "redis"));
    let effects = watch.set("io", &comms(Mode::Include, &["redis"]));
    assert_eq!(effects, [("tcp", Effect { scope: true, hits: true })]);
}

#[test]
fn a_proc_that_cannot_be_read_leaves_scopes_as_they_are() {
    let proc = FakeProc::new();
    let process = Fake::new(10, "redis");
    proc.put(&process);
    let mut watch = Watch::new(&proc.root(), None);
    watch.set("tcp", &comms(Mode::Include, &["redis"]));
    std::fs::rename(proc.root(), proc.0.path("elsewhere")).expect("moved");
    assert_eq!(watch.rescan(), []);
    assert_eq!(scope_of(&watch, "tcp"), only(&[process.key()]));
}

/// What happens to a fake host.
#[derive(Clone, Debug)]
enum Step {
    Put(u32, &'static str, u64),
    End(u32),
    Rescan,
}

fn a_step() -> impl Strategy<Value = Step> {
    let comm = prop_oneof![Just("redis"), Just("nginx"), Just("sh")];
    prop_oneof![
        (1u32..8, comm, 1u64..4).prop_map(|(pid, comm, start)| Step::Put(pid, comm, start)),
        (1u32..8).prop_map(Step::End),
        Just(Step::Rescan),
    ]
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, ..Default::default() })]
    #[test]
    fn following_changes_ends_where_a_fresh_look_does(steps in vec(a_step(), 0..24)) {
        let proc = FakeProc::new();
        let bound = ProcKey { tgid: 3, start_ticks: 2 };
        let mut selection = comms(Mode::Exclude, &["^redis", "sh"]);
        selection.selectors.proc_id = ids(Mode::Include, &[bound]).selectors.proc_id;
        let mut watch = Watch::new(&proc.root(), None);
        watch.set("tcp", &selection);
        for step in steps {
            match step {
                Step::Put(pid, comm, start) => {
                    proc.put(&Fake { start, ..Fake::new(pid, comm) });
                }
                Step::End(pid) => {
                    let _ = std::fs::remove_dir_all(proc.root().join(pid.to_string()));
                }
                Step::Rescan => drop(watch.rescan()),
            }
        }
        // Nothing is read more rarely than once in this many scans.
        for _ in 0..TURNS {
            watch.rescan();
        }
        let mut fresh = Watch::new(&proc.root(), None);
        fresh.set("tcp", &selection);
        let (followed, fresh) = (watch.get("tcp").expect("watched"), fresh.get("tcp").expect("watched"));
        assert_eq!(followed.scope, fresh.scope);
        assert_eq!(followed.hits, fresh.hits);
    }
}

mod real {
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
        let mut watch = Watch::new(Path::new("/proc"), None);
        let name = unique('a');
        watch.set("tcp", &comms(Mode::Include, &[&name]));
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
        let mut watch = Watch::new(Path::new("/proc"), None);
        watch.set("tcp", &Selection { mode: Mode::Include, selectors });
        assert_eq!(matched(&watch), [one.pid()]);
    }

    #[test]
    fn a_child_that_renames_itself_is_matched_under_the_new_name() {
        let mut watch = Watch::new(Path::new("/proc"), None);
        watch.set("tcp", &comms(Mode::Include, &[&format!("^{}$", unique('d'))]));
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
        let mut watch = Watch::new(Path::new("/proc"), Some(std::process::id()));
        watch.set("tcp", &comms(Mode::Include, &[&unique('c')]));
        assert!(matched(&watch).is_empty());
    }
}
