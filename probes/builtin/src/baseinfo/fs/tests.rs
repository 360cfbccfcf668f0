//! The reader over made-up mount tables with servers that hang, over this host's mounts beside `df`, and over
//! a real FUSE mount whose server never answers.

use super::super::namespace::Namespace;
use super::super::stuck::Stuck;
use super::df::Usage;
use super::mountinfo::Device;
use super::statvfs_worker::{Look, MAX_STUCK};
use super::*;
use probe_kit::testing::{FakeHost, SeenRow, as_in_the_daemon, seen, tick};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, SystemTime};

/// Long enough for a thread of a busy machine to answer.
const PATIENT: Duration = Duration::from_secs(5);

/// A gate that calls to dead servers wait at.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn pass(&self) {
        let open = self.0.lock().expect("gate");
        drop(self.1.wait_while(open, |open| !*open).expect("gate"));
    }

    fn open(&self) {
        *self.0.lock().expect("gate") = true;
        self.1.notify_all();
    }
}

/// Mounts of type `nfs` and `dead` answer once the gate is open, all others at once.
fn guarded(gate: &Arc<Gate>) -> Look {
    let gate = Arc::clone(gate);
    Arc::new(move |_, mount| {
        if mount.kind == b"nfs" || mount.kind == b"dead" {
            gate.pass();
        }
        let usage =
            Usage { block_bytes: 1024, blocks: 100, free: 50, available: 40, inodes: 10, inodes_free: 9 };
        Ok(Facts { mount_id: Some(mount.id), device: mount.device, usage })
    })
}

fn host(table: &str) -> FakeHost {
    let host = FakeHost::new();
    host.write("proc/1/root/etc/hostname", "x").write("proc/1/mountinfo", table);
    host
}

fn read(fs: &mut Fs) -> (Vec<SeenRow>, Vec<(&'static str, u64)>) {
    let mut batch = Batch::new(SystemTime::now());
    fs.read(tick(1, Duration::from_secs(60)), &mut batch);
    (seen(&batch), batch.skipped().to_vec())
}

fn points(rows: &[SeenRow]) -> Vec<&str> {
    rows.iter().filter_map(|row| row.label("MountOn")).collect()
}

const DISK: &str = "27 1 8:1 / / rw - ext4 /dev/sda1 rw\n";

#[test]
fn a_server_that_does_not_answer_takes_no_row_but_its_own_and_comes_back() {
    let gate = Arc::<Gate>::default();
    let stuck = Arc::<Stuck<Device>>::default();
    let table = "30 27 0:50 / /nfs rw - nfs h:/x rw\n31 27 0:50 /sub /bind rw - nfs h:/x rw\n";
    let host = host(&format!("{table}{DISK}"));
    let asker = Asker::new(guarded(&gate), Duration::from_millis(300), Arc::clone(&stuck));
    let mut fs = Fs::with(&host.env(), asker);
    for round in 0..3 {
        let (rows, skipped) = read(&mut fs);
        assert_eq!(points(&rows), ["/"], "round {round}");
        assert_eq!(skipped, [("mount_stuck", 2)], "both mounts of the device, round {round}");
        assert_eq!(stuck.len(), 1, "the device is asked once, round {round}");
    }
    gate.open();
    while stuck.len() > 0 {
        std::thread::yield_now();
    }
    let mut fs = Fs::with(&host.env(), Asker::new(guarded(&gate), PATIENT, stuck));
    let (rows, skipped) = read(&mut fs);
    assert_eq!((points(&rows), skipped.len()), (vec!["/nfs", "/"], 0));
}

#[test]
fn threads_that_hang_are_bounded_over_restarts_and_local_mounts_are_still_read() {
    let gate = Arc::<Gate>::default();
    let stuck = Arc::<Stuck<Device>>::default();
    let dead: String = (50..70).map(|d| format!("{d} 27 0:{d} / /n{d} rw - nfs h:/{d} rw\n")).collect();
    let host = host(&format!("{dead}{DISK}"));
    let mut known = 0;
    for _ in 0..12 {
        let asker = Asker::new(guarded(&gate), Duration::from_millis(400), Arc::clone(&stuck));
        let (rows, skipped) = read(&mut Fs::with(&host.env(), asker));
        assert_eq!(points(&rows), ["/"]);
        assert_eq!(skipped.iter().map(|(_, n)| n).sum::<u64>(), 20, "each mount left out is counted");
        assert!(stuck.len() - known <= MAX_NEW_HANGS, "a tick waits for few");
        known = stuck.len();
    }
    assert_eq!(known, MAX_STUCK - 1, "the last place is for mounts of this machine");
    host.write("proc/1/mountinfo", format!("28 1 8:2 / /a rw - dead /dev/sdb1 rw\n{DISK}"));
    let asker = Asker::new(guarded(&gate), Duration::from_millis(400), Arc::clone(&stuck));
    let (rows, skipped) = read(&mut Fs::with(&host.env(), asker));
    assert_eq!((rows.len(), stuck.len()), (0, MAX_STUCK));
    assert_eq!(skipped, [("mount_stuck", 1), ("mount_not_asked", 1)]);
    gate.open();
}

#[test]
fn hidden_and_pseudo_mounts_have_no_row_and_damaged_lines_are_counted() {
    let table = "27 1 8:1 / / rw - ext4 /dev/sda1 rw\n22 27 0:21 / /proc rw - proc proc rw\nrubbish\n\
                 25 27 0:23 / /dev/shm rw - tmpfs tmpfs rw\n30 25 0:27 / /dev/shm ro - tmpfs tmpfs rw\n";
    let host = host(table);
    let look: Look = Arc::new(|_, mount| {
        let id = if mount.point == b"/dev/shm" { 30 } else { mount.id };
        let usage = Usage { block_bytes: 4096, blocks: 1, ..Usage::default() };
        Ok(Facts { mount_id: Some(id), device: mount.device, usage })
    });
    let (rows, skipped) = read(&mut Fs::with(&host.env(), Asker::new(look, PATIENT, Arc::default())));
    assert_eq!(points(&rows), ["/", "/dev/shm"]);
    assert_eq!(rows[1].label("MountStatus"), Some("ro"));
    assert_eq!(skipped, [("mount_line", 1)]);
}

#[test]
fn a_mount_that_refuses_is_counted_and_one_behind_another_is_not() {
    let host =
        host(&format!("{DISK}30 27 0:50 / /gone rw - xfs /dev/b rw\n31 27 0:51 / /bad rw - xfs /dev/c rw\n"));
    let look: Look = Arc::new(|_, mount| match mount.point.as_slice() {
        b"/gone" => Err(Errno::NOENT),
        b"/bad" => Err(Errno::IO),
        _ => Ok(Facts {
            mount_id: Some(mount.id),
            device: mount.device,
            usage: Usage { block_bytes: 1, blocks: 1, ..Usage::default() },
        }),
    });
    let (rows, skipped) = read(&mut Fs::with(&host.env(), Asker::new(look, PATIENT, Arc::default())));
    assert_eq!(points(&rows), ["/"]);
    assert_eq!(skipped, [("mount_unreadable", 1)]);
}

#[test]
fn without_a_mount_table_nothing_runs_and_a_lost_one_is_counted() {
    let host = FakeHost::new();
    let mut fs = Fs::with(&host.env(), Asker::new(Arc::new(look), PATIENT, Arc::default()));
    assert_eq!(fs.missing().len(), 1);
    assert_eq!(read(&mut fs).1, [("mounts_unreadable", 1)]);
}

/// A host whose process 1 is `pid`.
fn host_of(pid: &str) -> FakeHost {
    let host = FakeHost::new();
    host.write("proc/marker", "");
    std::os::unix::fs::symlink(format!("/proc/{pid}"), host.path("proc/1")).expect("a link");
    host
}

#[allow(clippy::disallowed_methods)] // the tests' oracle and their mount namespace, no measurement
fn command(program: &str) -> Command {
    Command::new(program)
}

/// Mount point to the words of its line in the output of `df` with `args`, totals only.
fn df(args: &[&str]) -> BTreeMap<String, Vec<String>> {
    let output = command("df").args(args).env("LC_ALL", "C").output().expect("df runs");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            Some((words.get(6)?.clone(), words))
        })
        .collect()
}

#[test]
fn this_hosts_file_systems_are_those_of_df_with_its_totals() {
    let host = host_of("self");
    let (blocks, inodes) = (df(&["-T", "-k"]), df(&["-T", "-i"]));
    let mut fs = Fs::with(&host.env(), Asker::new(Arc::new(look), PATIENT, Arc::default()));
    let (rows, skipped) = read(&mut fs);
    assert_eq!(skipped, []);
    assert_eq!(points(&rows).len(), blocks.len(), "{rows:#?}");
    for row in &rows {
        let point = row.label("MountOn").expect("a key");
        let (line, inode_line) = (&blocks[point], &inodes[point]);
        assert_eq!(
            [row.label("Fsname"), row.label("Fstype"), row.label("Blocks")],
            [Some(line[0].as_str()), Some(line[1].as_str()), Some(line[2].as_str())]
        );
        assert_eq!(row.label("Inodes"), Some(inode_line[2].as_str()));
        // What is in use moves between df and us; a whole percent of it does not move by more than one.
        let per: f64 = line[5].trim_end_matches('%').parse().expect("a percentage");
        assert!((row.get("UsePer").expect("a share") - per).abs() <= 1.0, "{row:?} beside {line:?}");
    }
}

#[test]
fn root_a_real_fuse_mount_without_a_server_hangs_no_one() {
    let tree = host("");
    let (dead, fine) = (tree.path("dead"), tree.path("fi ne"));
    std::fs::create_dir(&dead).expect("a directory");
    std::fs::create_dir(&fine).expect("a directory");
    let script = format!(
        "exec 9<>/dev/fuse && mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 dead '{}' \
         && mount -t tmpfs -o ro,size=40k fine '{}'",
        dead.display(),
        fine.display()
    );
    let Some(namespace) = Namespace::new(&script) else { return };
    let stuck = Arc::<Stuck<Device>>::default();
    let host = host_of(&namespace.pid().to_string());
    let mut fs = Fs::with(&host.env(), Asker::new(Arc::new(look), PATIENCE, Arc::clone(&stuck)));
    for _ in 0..2 {
        let (rows, skipped) = read(&mut fs);
        assert_eq!(skipped, [("mount_stuck", 1)]);
        assert_eq!(stuck.len(), 1);
        let fine = rows.iter().find(|row| row.label("Fsname") == Some("fine")).expect("the mount beside it");
        assert_eq!(fine.label("MountOn").map(std::path::Path::new), Some(tree.path("fi ne").as_path()));
        assert_eq!((fine.label("MountStatus"), fine.label("Blocks")), (Some("ro"), Some("40")));
        assert!(!points(&rows).iter().any(|point| point.ends_with("/dead")));
    }
    drop(fs);
    drop(namespace); // the last descriptor of the connection closes, and the kernel answers in its place
    while stuck.len() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_mount_below_a_directory_that_is_closed_to_this_user_is_asked_with_a_raised_capability() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let tree = FakeHost::new();
    tree.write("closed/mount/x", "");
    let closed = tree.path("closed");
    let other = chown(&closed, Some(65_533), Some(65_533));
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    let root = rustix::fs::open(tree.path(""), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("open");
    let line = b"5 1 0:5 / /closed/mount rw - tmpfs none rw";
    let mount = mountinfo::parse(line).expect("a mount");
    let answer = as_in_the_daemon(|| look(&root, &mount).map(|facts| facts.usage.block_bytes > 0));
    // Without the right to give the directory away it is our own, and open to us.
    let held = lacking(&[Capability::DacReadSearch]).is_empty();
    assert_eq!(answer, if other.is_err() || held { Ok(true) } else { Err(Errno::ACCESS) });
}
