//! The probe over trees of files that stand for hosts with cgroup v1, v2 and both, and for containers that go away in
//! mid-read; and over this host's own cgroups.

use super::probe::Container;
use probe_core::{ContainerKey, ContainerTarget, Order, Poll, ProcKey, Subject};
use probe_kit::process::Budget;
use probe_kit::testing::{FakeHost, SeenRow, as_in_the_daemon, order, poll, seen, tick};
use std::time::Duration;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ALL: [&str; 6] = ["cpu", "memory", "fs", "network", "process", "psi"];

fn target(id: &str, tgid: u32) -> ContainerTarget {
    let id = ContainerKey::new(id).expect("an id");
    ContainerTarget { id, process: ProcKey { tgid, start_ticks: 4200 } }
}

fn wish(sub_probes: &[&'static str], targets: &[ContainerTarget]) -> Order {
    Order { containers: targets.into(), ..order(sub_probes) }
}

/// A process with this text as its `cgroup`.
fn process(host: &FakeHost, pid: u32, cgroup: &str) {
    let words = (4..22).map(|field| format!("{field} ")).collect::<String>();
    host.write(&format!("proc/{pid}/stat"), format!("{pid} (a) b\n) S {words}4200 0 0\n"))
        .write(&format!("proc/{pid}/cgroup"), cgroup)
        .write(&format!("proc/{pid}/ns/net"), "")
        .write(
            &format!("proc/{pid}/net/dev"),
            "  lo: 9 9 9 9 0 0 0 0 9 9 9 9\neth0: 100 1 2 3 0 0 0 0 200 4 5 6\n",
        )
        .write(&format!("proc/{pid}/root/etc/x"), "")
        .write(&format!("proc/{pid}/fd/0"), "")
        .write(&format!("proc/{pid}/fd/1"), "");
}

fn any_host() -> FakeHost {
    let host = FakeHost::new();
    host.write("proc/stat", "cpu 1\nbtime 1000\n").write("proc/1/ns/net", "").write("proc/pressure/cpu", "");
    host
}

/// A v2 host with one container.
fn v2() -> FakeHost {
    let host = any_host();
    host.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    process(&host, 77, &format!("0::/system.slice/docker-{ID}.scope/init.scope\n"));
    let dir = format!("sys/fs/cgroup/system.slice/docker-{ID}.scope");
    for (name, text) in [
        (
            "cpu.stat",
            "usage_usec 3\nuser_usec 2\nsystem_usec 1\nnr_periods 5\nnr_throttled 4\nthrottled_usec 6\n",
        ),
        ("memory.current", "1000\n"),
        ("memory.max", "max\n"),
        ("memory.stat", "anon 400\nfile 300\nfile_mapped 50\ninactive_file 100\n"),
        ("memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n"),
        ("io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"),
        ("cpu.pressure", "some avg10=1.5 avg60=0 avg300=0 total=7\nfull avg10=0 avg60=0 avg300=0 total=1\n"),
        ("memory.pressure", "some avg10=0 avg60=0 avg300=0 total=8\n"),
        ("cgroup.procs", ""),
        ("init.scope/cgroup.procs", "77\n"),
    ] {
        host.write(&format!("{dir}/{name}"), text);
    }
    host
}

fn read(probe: &mut Container, index: u64) -> Vec<SeenRow> {
    seen(&poll(probe, tick(index, Duration::from_secs(1))))
}

#[track_caller]
fn value(rows: &[SeenRow], table: &str, column: &str) -> Option<f64> {
    let mut found = rows.iter().filter(|row| row.table == table);
    let row = found.next().unwrap_or_else(|| panic!("no row of {table}: {rows:#?}"));
    assert!(found.next().is_none(), "one row of {table} for each container");
    row.get(column)
}

#[track_caller]
fn expect(rows: &[SeenRow], expected: &[(&str, &str, Option<f64>)]) {
    for (table, column, expected) in expected {
        assert_eq!(value(rows, table, column), *expected, "{table} {column}");
    }
}

#[test]
fn every_value_of_a_v2_container_is_that_of_its_file() {
    let host = v2();
    let mut probe = Container::with(&host.env(), Budget::new(100, 1));
    let outcome = probe.apply(&wish(&ALL, &[target(ID, 77)])).expect("applies");
    assert!(outcome.sub_probes.iter().all(|sub| sub.missing.is_empty()), "{:?}", outcome.missing());
    let rows = read(&mut probe, 0);
    for row in &rows {
        assert_eq!(row.label("container_id"), Some("0123456789ab"));
        assert_eq!(row.subject, Subject::Container(target(ID, 77).id));
    }
    expect(
        &rows,
        &[
            ("container_cpu", "cpu_usage_seconds_total", Some(3000.0)),
            ("container_cpu", "cpu_user_seconds_total", Some(2000.0)),
            ("container_cpu", "cpu_system_seconds_total", Some(1000.0)),
            ("container_cpu", "cpu_cfs_throttled_seconds_total", Some(6000.0)),
            ("container_cpu", "cpu_cfs_throttled_periods_total", Some(4.0)),
            ("container_memory", "memory_usage_bytes", Some(1000.0)),
            ("container_memory", "memory_working_set_bytes", Some(900.0)),
            ("container_memory", "memory_rss", Some(400.0)),
            ("container_memory", "memory_cache", Some(300.0)),
            ("container_memory", "memory_mapped_file", Some(50.0)),
            ("container_memory", "memory_limit_bytes", None),
            ("container_oom", "oom_events_total", Some(4.0)),
            ("container_memory_events", "memory_events_high_total", Some(1.0)),
            ("container_memory_events", "memory_events_max_total", Some(2.0)),
            ("container_memory_events", "memory_events_oom_group_kill_total", Some(5.0)),
            ("container_fs", "fs_reads_bytes_total", Some(10.0)),
            ("container_fs", "fs_writes_total", Some(2.0)),
            ("container_network", "network_receive_bytes_total", Some(100.0)),
            ("container_network", "network_transmit_packets_dropped_total", Some(6.0)),
            ("container_start", "start_time_seconds", Some(1042.0)),
            ("container_file", "file_descriptors", Some(2.0)),
            ("container_file", "processes", Some(1.0)),
            ("container_psi", "pressure_cpu_waiting_seconds_total", Some(7000.0)),
            ("container_psi", "pressure_cpu_waiting_avg10", Some(1.5)),
            ("container_psi", "pressure_memory_waiting_seconds_total", Some(8000.0)),
            ("container_psi", "pressure_io_waiting_seconds_total", None),
        ],
    );
    // The inodes come from a thread.
    let inodes = (1..).map(|index| value(&read(&mut probe, index), "container_fs", "fs_inodes_total"));
    let inodes = inodes.inspect(|_| std::thread::yield_now()).find_map(|inodes| inodes);
    assert!(inodes.is_some_and(|inodes| inodes > 0.0));
}

/// A host whose controllers are v1 and that has a v2 tree for pressure.
fn hybrid() -> FakeHost {
    let host = any_host();
    host.write("sys/fs/cgroup/unified/cgroup.controllers", "\n");
    process(
        &host,
        78,
        "4:memory:/default/demo\n3:blkio:/default/demo\n2:cpu,cpuacct:/default/demo\n0::/default/demo\n",
    );
    for (name, text) in [
        ("cpu,cpuacct/default/demo/cpuacct.usage", "5000\n"),
        ("cpu,cpuacct/default/demo/cpuacct.usage_user", "3000\n"),
        ("cpu,cpuacct/default/demo/cpuacct.usage_sys", "2000\n"),
        ("cpu,cpuacct/default/demo/cpu.stat", "nr_periods 2\nnr_throttled 1\nthrottled_time 77\n"),
        ("memory/default/demo/memory.usage_in_bytes", "1000\n"),
        ("memory/default/demo/memory.limit_in_bytes", "4096\n"),
        (
            "memory/default/demo/memory.stat",
            "inactive_file 1\ntotal_cache 300\ntotal_rss 400\ntotal_mapped_file 50\ntotal_inactive_file 2000\n",
        ),
        ("memory/default/demo/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
        ("memory/default/demo/memory.failcnt", "9\n"),
        ("memory/default/demo/cgroup.procs", "78\n"),
        (
            "blkio/default/demo/blkio.throttle.io_service_bytes",
            "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n",
        ),
        ("blkio/default/demo/blkio.throttle.io_serviced_recursive", "Total 0\n"),
        ("unified/default/demo/cpu.stat", "usage_usec 999\n"),
        ("unified/default/demo/io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=3\n"),
    ] {
        host.write(&format!("sys/fs/cgroup/{name}"), text);
    }
    host
}

#[test]
fn a_hybrid_host_has_v1_counts_and_v2_pressure() {
    let host = hybrid();
    let mut probe = Container::with(&host.env(), Budget::new(0, 1));
    let outcome = probe.apply(&wish(&ALL, &[target("demo", 78)])).expect("applies");
    assert!(outcome.sub_probes.iter().all(|sub| sub.missing.is_empty()), "{:?}", outcome.missing());
    for index in 0..2 {
        // The second time without descriptors that were kept.
        expect(
            &read(&mut probe, index),
            &[
                ("container_cpu", "cpu_usage_seconds_total", Some(5000.0)),
                ("container_cpu", "cpu_system_seconds_total", Some(2000.0)),
                ("container_cpu", "cpu_cfs_throttled_seconds_total", Some(77.0)),
                ("container_memory", "memory_working_set_bytes", Some(0.0)),
                ("container_memory", "memory_limit_bytes", Some(4096.0)),
                ("container_memory", "memory_cache", Some(300.0)),
                ("container_oom", "oom_events_total", Some(4.0)),
                ("container_memory_events", "memory_events_max_total", Some(9.0)),
                ("container_memory_events", "memory_events_low_total", None),
                ("container_fs", "fs_reads_bytes_total", Some(10.0)),
                ("container_fs", "fs_writes_bytes_total", Some(20.0)),
                ("container_fs", "fs_reads_total", Some(0.0)),
                ("container_psi", "pressure_io_waiting_seconds_total", Some(3000.0)),
                ("container_psi", "pressure_cpu_waiting_seconds_total", None),
                ("container_file", "processes", Some(1.0)),
            ],
        );
    }
}

#[test]
fn a_v1_host_without_v2_says_that_it_has_no_pressure() {
    let host = any_host();
    host.write("sys/fs/cgroup/memory/tasks", "").write("sys/fs/cgroup/cpuacct/tasks", "");
    let mut probe = Container::with(&host.env(), Budget::new(0, 1));
    let outcome = probe.apply(&wish(&ALL, &[])).expect("applies");
    let missing = outcome.missing().join("\n");
    assert!(missing.contains("psi: only cgroup v2 has pressure files"), "{missing}");
    assert!(missing.contains("fs: no cgroup hierarchy has the controller io or blkio"), "{missing}");
    assert!(!outcome.none_runs());
}

#[test]
fn a_host_without_cgroups_runs_nothing_and_says_why() {
    let mut probe = Container::with(&FakeHost::new().env(), Budget::new(0, 1));
    let outcome = probe.apply(&wish(&ALL, &[])).expect("applies");
    assert!(outcome.none_runs());
    assert!(outcome.missing()[0].contains("no cgroups are mounted"), "{:?}", outcome.missing());
}

#[test]
fn a_container_in_the_hosts_network_has_no_network_of_its_own() {
    let host = v2();
    for name in ["proc/77/ns/net", "proc/1/ns/net"] {
        let _ = std::fs::remove_file(host.path(name));
    }
    host.write("net", "");
    for name in ["proc/77/ns/net", "proc/1/ns/net"] {
        std::fs::hard_link(host.path("net"), host.path(name)).expect("one namespace");
    }
    let mut probe = Container::with(&host.env(), Budget::new(100, 1));
    probe.apply(&wish(&["network"], &[target(ID, 77)])).expect("applies");
    assert_eq!(read(&mut probe, 0), []);
}

#[test]
fn containers_of_one_pod_show_the_network_that_they_share() {
    let host = v2();
    let other = "fedcba9876543210".repeat(4);
    process(&host, 79, &format!("0::/system.slice/docker-{other}.scope\n"));
    std::fs::remove_file(host.path("proc/79/ns/net")).expect("removed");
    std::fs::hard_link(host.path("proc/77/ns/net"), host.path("proc/79/ns/net")).expect("one namespace");
    let mut probe = Container::with(&host.env(), Budget::new(0, 1));
    probe.apply(&wish(&["network"], &[target(ID, 77), target(&other, 79)])).expect("applies");
    let rows = read(&mut probe, 0);
    let received: Vec<_> = rows.iter().map(|row| row.get("network_receive_bytes_total")).collect();
    assert_eq!(received, [Some(100.0), Some(100.0)]);
}

#[test]
fn a_cgroup_that_goes_in_mid_read_is_counted_and_the_others_are_read() {
    let host = v2();
    let other = "fedcba9876543210".repeat(4);
    process(&host, 79, &format!("0::/system.slice/docker-{other}.scope\n"));
    host.write(&format!("sys/fs/cgroup/system.slice/docker-{other}.scope/cpu.stat"), "usage_usec 1\n");
    // Files on disk stay readable through a kept descriptor; without one it is as with a cgroup.
    let mut probe = Container::with(&host.env(), Budget::new(0, 1));
    let both = [target(ID, 77), target(&other, 79)];
    probe.apply(&wish(&["cpu"], &both)).expect("applies");
    let usage =
        |rows: &[SeenRow]| rows.iter().map(|row| row.get("cpu_usage_seconds_total")).collect::<Vec<_>>();
    assert_eq!(usage(&read(&mut probe, 0)), [Some(3000.0), Some(1000.0)]);
    std::fs::remove_dir_all(host.path(&format!("sys/fs/cgroup/system.slice/docker-{ID}.scope")))
        .expect("removed");
    std::fs::remove_dir_all(host.path("proc/77")).expect("removed");
    let batch = poll(&mut probe, tick(1, Duration::from_secs(1)));
    assert_eq!(usage(&seen(&batch)), [None, Some(1000.0)]);
    assert_eq!(batch.skipped(), [("container_gone", 1)]);
    // It leaves the scope, and another one comes that nobody can find any more.
    let gone = target("0000", 80);
    probe.apply(&wish(&ALL, &[both[1], gone])).expect("applies");
    let rows = read(&mut probe, 2);
    assert!(rows.iter().any(|row| row.label("container_id") == Some("fedcba987654")));
}

#[test]
fn a_process_that_has_another_ones_pid_is_not_asked() {
    let host = v2();
    let mut probe = Container::with(&host.env(), Budget::new(0, 1));
    let mut stale = target(ID, 77);
    stale.process.start_ticks = 4199;
    probe.apply(&wish(&["cpu", "network"], &[stale])).expect("applies");
    let rows = read(&mut probe, 0);
    assert!(rows.iter().all(|row| row.values.is_empty()), "{rows:#?}");
}

#[test]
fn hostile_texts_make_nothing_up() {
    let host = v2();
    let dir = format!("sys/fs/cgroup/system.slice/docker-{ID}.scope");
    for name in [
        "cpu.stat",
        "memory.current",
        "memory.stat",
        "memory.events",
        "io.stat",
        "cpu.pressure",
        "memory.pressure",
        "cgroup.procs",
    ] {
        host.write(
            &format!("{dir}/{name}"),
            [b"usage_usec \xff\xfe 1\n8:0 rbytes\nsome avg10=NaN total=-1\n", &[b'9'; 4000][..]].concat(),
        );
    }
    host.write("proc/77/net/dev", [&b"eth0:"[..], &[b'9'; 4000]].concat());
    let mut probe = Container::with(&host.env(), Budget::new(100, 1));
    probe.apply(&wish(&ALL, &[target(ID, 77)])).expect("applies");
    let rows = read(&mut probe, 0);
    for row in
        rows.iter().filter(|row| !["container_start", "container_file", "container_fs"].contains(&row.table))
    {
        assert!(row.values.iter().all(|(name, _)| *name == "memory_limit_bytes"), "{row:#?}");
    }
}

#[test]
fn descriptors_are_kept_while_there_are_any_and_go_to_others_when_containers_leave() {
    let host = v2();
    let other = "fedcba9876543210".repeat(4);
    process(&host, 79, &format!("0::/system.slice/docker-{other}.scope\n"));
    host.write(&format!("sys/fs/cgroup/system.slice/docker-{other}.scope/cpu.stat"), "usage_usec 1\n");
    let mut probe = Container::with(&host.env(), Budget::new(3, 1));
    let usage = |probe: &mut Container, n| {
        read(probe, n).iter().map(|row| row.get("cpu_usage_seconds_total")).collect::<Vec<_>>()
    };
    probe.apply(&wish(&["cpu", "memory"], &[target(ID, 77)])).expect("applies");
    read(&mut probe, 0);
    assert_eq!(probe.kept(), 3, "there is more to keep");
    probe.apply(&wish(&["cpu"], &[target(ID, 77), target(&other, 79)])).expect("applies");
    assert_eq!(usage(&mut probe, 1), [Some(3000.0), Some(1000.0)], "one is kept, the other opened");
    assert_eq!(probe.kept(), 3);
    probe.apply(&wish(&["cpu"], &[target(&other, 79)])).expect("applies");
    assert_eq!(probe.kept(), 0, "all is given back");
    assert_eq!(usage(&mut probe, 2), [Some(1000.0)]);
    assert_eq!(probe.kept(), 1, "which was opened each time before");
}

/// A cgroup of this host with a process in it, in whatever hierarchies there are.
mod real {
    use super::*;
    use probe_core::Env;
    use probe_kit::cgroup::Hierarchies;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    struct Made {
        dirs: Vec<PathBuf>,
        child: Child,
    }

    impl Made {
        /// A child in a new cgroup of each hierarchy, which runs `script`.
        #[allow(clippy::disallowed_methods)] // a load needs a process
        fn new(id: &str, script: &str) -> Self {
            let hierarchies = Hierarchies::find(Path::new("/sys"));
            if let Some(root) = hierarchies.unified() {
                for controller in ["cpu", "memory", "io", "pids"] {
                    // What this kernel has not in v2 is refused.
                    let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
                }
            }
            let v1 = hierarchies.controllers().filter(|name| *name != "cpuset");
            let roots: Vec<_> =
                v1.filter_map(|name| hierarchies.of(name)).chain(hierarchies.unified()).collect();
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &format!("read go; {script}; read end")]);
            let child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
            let mut dirs: Vec<PathBuf> = roots.iter().map(|root| root.join(id)).collect();
            dirs.sort();
            dirs.dedup();
            for dir in &dirs {
                fs::create_dir_all(dir).expect("a cgroup");
                fs::write(dir.join("cgroup.procs"), child.id().to_string()).expect("moved");
            }
            Self { dirs, child }
        }

        fn target(&self, id: &str) -> ContainerTarget {
            let stat = fs::read(format!("/proc/{}/stat", self.child.id())).expect("alive");
            let stat = probe_kit::stat::Stat::parse(&stat).expect("a line");
            let start = stat.words().nth(19).and_then(probe_kit::scan::number).expect("a start");
            let process = ProcKey { tgid: self.child.id(), start_ticks: start };
            ContainerTarget { id: ContainerKey::new(id).expect("an id"), process }
        }

        /// Lets the script run and waits until it says that it is done.
        fn go(&mut self) {
            use std::io::{BufRead as _, BufReader, Write as _};
            self.child.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("told");
            let mut line = String::new();
            BufReader::new(self.child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
            assert_eq!(line.trim(), "done");
        }

        fn file(&self, names: &[&str]) -> Option<String> {
            let paths = self.dirs.iter().flat_map(|dir| names.iter().map(move |name| dir.join(name)));
            paths.into_iter().find_map(|path| fs::read_to_string(path).ok())
        }
    }

    impl Drop for Made {
        fn drop(&mut self) {
            drop(self.child.stdin.take());
            let _ = self.child.kill();
            let _ = self.child.wait();
            for dir in &self.dirs {
                let gone = (0..1000).any(|_| {
                    std::thread::yield_now();
                    fs::remove_dir(dir).is_ok()
                });
                if !gone {
                    eprintln!("{} stays", dir.display());
                }
            }
        }
    }

    fn line(text: &str, key: &str) -> Option<f64> {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        found?.trim().parse().ok()
    }

    #[test]
    fn root_a_known_load_in_a_real_cgroup_is_what_its_files_say() {
        let id = format!("{:08x}{:056x}", std::process::id(), 0xabc_u32);
        // Some CPU time, and four files of a megabyte in the page cache of a memory file system.
        let script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; \
                      head -c 8000000 /dev/zero >/tmp/gopherd-$$; echo done";
        let mut made = Made::new(&id, script);
        let target = made.target(&id);
        let (rows, before, after, ended) = as_in_the_daemon(|| {
            let mut probe = Container::new(&Env::default());
            let outcome = probe.apply(&wish(&ALL, &[target])).expect("applies");
            for sub in &outcome.sub_probes {
                let what: Vec<_> = sub.shortcomings().cloned().collect();
                eprintln!(
                    "VERDICT container/{}: {}",
                    sub.name,
                    if what.is_empty() { "attached".into() } else { what.join("; ") }
                );
            }
            made.go();
            let usage = |made: &Made| {
                let v1 = made.file(&["cpuacct.usage"]).and_then(|text| text.trim().parse::<f64>().ok());
                v1.or_else(|| Some(line(&made.file(&["cpu.stat"])?, "usage_usec")? * 1000.0))
                    .expect("CPU time")
            };
            let before = usage(&made);
            let rows = read(&mut probe, 0);
            let after = usage(&made);
            (rows, before, after, probe)
        });
        let cpu = value(&rows, "container_cpu", "cpu_usage_seconds_total").expect("CPU time");
        assert!(before <= cpu && cpu <= after && cpu > 0.0, "{before} {cpu} {after}");
        assert_eq!(value(&rows, "container_file", "processes"), Some(1.0));
        let open = fs::read_dir(format!("/proc/{}/fd", made.child.id())).expect("alive").count();
        #[allow(clippy::cast_precision_loss)]
        let open = open as f64;
        assert_eq!(value(&rows, "container_file", "file_descriptors"), Some(open));
        if let Some(text) = made.file(&["memory.stat"]) {
            // The shell waits, so nothing changes.
            let cache = line(&text, "total_cache").or_else(|| line(&text, "file"));
            let shown = value(&rows, "container_memory", "memory_cache").expect("cache");
            assert!(
                cache.is_some_and(|cache| (shown - cache).abs() <= 1e6),
                "{shown} {cache:?}: added up in batches"
            );
            assert!(cache.is_some_and(|cache| cache >= 7e6), "the file is in the page cache: {cache:?}");
            let usage = made.file(&["memory.current", "memory.usage_in_bytes"]).expect("usage");
            let usage: f64 = usage.trim().parse().expect("a number");
            let shown = value(&rows, "container_memory", "memory_usage_bytes").expect("usage");
            assert!((shown - usage).abs() <= 1e6, "{shown} {usage}: charged in batches");
            let kills = made.file(&["memory.oom_control", "memory.events"]).expect("events");
            assert_eq!(value(&rows, "container_oom", "oom_events_total"), line(&kills, "oom_kill"));
        }
        if let Some(pressure) = made.file(&["cpu.pressure"]) {
            let total = pressure.lines().next().and_then(|line| line.rsplit_once('=')?.1.parse::<f64>().ok());
            let shown = value(&rows, "container_psi", "pressure_cpu_waiting_seconds_total");
            assert!(
                shown.zip(total).is_some_and(|(shown, total)| shown <= total * 1000.0),
                "{shown:?} {total:?}"
            );
        }
        let _ = fs::remove_file(format!("/tmp/gopherd-{}", made.child.id()));
        // Kept descriptors of a cgroup that is removed tell so.
        let mut probe = ended;
        drop(made);
        let batch = poll(&mut probe, tick(1, Duration::from_secs(1)));
        let reasons: Vec<_> = batch.skipped().iter().map(|(reason, _)| *reason).collect();
        assert!(reasons.contains(&"container_gone"), "{reasons:?}");
        let cpu = seen(&batch).into_iter().find(|row| row.table == "container_cpu").expect("a row");
        assert_eq!(cpu.values, [], "nothing is shown of it");
    }
}
