//! `container` over real containers of a containerd: what it shows is what their cgroups' own files say, until they
//! are gone. Needs root, containerd, runc and busybox-static, which `make test` installs.

use gopher_e2e::runtimes::{Containerd, rootfs};
use gopher_e2e::{Daemon, Scrape, Setup, eventually};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the cgroup of a plain container, in whichever hierarchy has it.
fn file(id: &str, names: &[&str]) -> Option<String> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).expect("cgroups are mounted").flatten().map(|entry| entry.path());
    let dirs: Vec<PathBuf> = std::iter::once(root.to_owned()).chain(hierarchies).collect();
    let paths =
        names.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join("default").join(id).join(name)));
    paths.into_iter().find_map(|path| fs::read_to_string(path).ok())
}

fn number(text: &str) -> f64 {
    text.trim().parse().expect("a number")
}

/// The value of a line `key value`.
fn keyed(text: &str, key: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ').map(number))
}

/// The sum of v1's `8:0 Write 5`, or of v2's `wbytes=5`.
fn written(id: &str) -> Option<f64> {
    let text = file(id, &["blkio.throttle.io_service_bytes_recursive", "io.stat"])?;
    let words = |line: &str| -> Option<f64> {
        let v2 = line.split(' ').find_map(|word| word.strip_prefix("wbytes="));
        let v1 = || line.split_once(" Write ").map(|(_, value)| value);
        v2.or_else(v1).map(number)
    };
    Some(text.lines().filter_map(words).sum())
}

/// CPU seconds.
fn used(id: &str) -> f64 {
    let v1 = file(id, &["cpuacct.usage"]).map(|text| number(&text) / 1e9);
    let v2 = || keyed(&file(id, &["cpu.stat"])?, "usage_usec").map(|us| us / 1e6);
    v1.or_else(v2).expect("CPU time of the container")
}

fn start<'s>(setup: &'s Setup, id: &str) -> Daemon<'s> {
    let daemon = setup.start();
    let order = json!({
        "cmd": {}, "snoopers": {"container_name": [id]}, "params": {"report_period": 5}, "state": "running",
    });
    let answer = daemon.rest().put("/container", &order.to_string()).expect(200).json();
    assert_eq!(answer["result"], "success", "{answer}");
    daemon
}

fn value(scrape: &Scrape, id: &str, field: &str) -> Option<f64> {
    scrape.value(&format!("gala_gopher_container_{field}"), &[("container_id", id)])
}

fn setup(containerd: &Containerd) -> Setup {
    let own = format!("containerd = [\"{}\"]\ncri = []\ndocker = []", containerd.socket().display());
    Setup::new().section("containers", &own)
}

#[test]
#[allow(clippy::cast_precision_loss)] // small numbers
fn what_is_shown_of_a_container_is_what_its_cgroups_say() {
    let home = tempfile::Builder::new().prefix("gopherd-ct-").tempdir().expect("a temporary folder");
    let containerd = Containerd::start(&home.path().join("c"));
    let root = rootfs(home.path());
    let id = format!("w{}", std::process::id());
    // Some CPU time, some file in the page cache and on the disk, and then nothing more.
    let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; \
                  /bin/busybox dd if=/dev/zero of=/tmp/file bs=1000000 count=8 conv=fsync; \
                  echo done >/tmp/done; exec /bin/busybox sleep 600 </dev/null 3</dev/null";
    let root_text = root.to_str().expect("ASCII");
    let run = [
        "run",
        "-d",
        "--memory-limit",
        "67108864",
        "--rootfs",
        root_text,
        &id,
        "/bin/busybox",
        "sh",
        "-c",
        script,
    ];
    containerd.must("default", &run);
    eventually("the load to end", || fs::read(root.join("tmp/done")).ok());

    let setup = setup(&containerd);
    let daemon = start(&setup, &id);
    // It sleeps: nothing moves any more, so what is shown must become what the files say.
    let same = |field: &str, wanted: &dyn Fn() -> f64, off: f64| {
        daemon.scrape_until(field, |scrape| {
            let (shown, wanted) = (value(scrape, &id, field)?, wanted());
            ((shown - wanted).abs() <= off).then_some(shown)
        })
    };
    assert!(same("cpu_usage_seconds_total", &|| used(&id), 1e-6) > 0.0);
    same("processes", &|| file(&id, &["cgroup.procs"]).expect("processes").lines().count() as f64, 0.0);
    let pid = file(&id, &["cgroup.procs"]).expect("a process").lines().next().expect("one").to_owned();
    let open = same(
        "file_descriptors",
        &|| fs::read_dir(format!("/proc/{pid}/fd")).expect("open").count() as f64,
        0.0,
    );
    assert!(open >= 1.0);
    let started = value(&daemon.scrape("/metrics"), &id, "start_time_seconds").expect("a start");
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    assert!(started <= now && now - started < 3600.0, "{started} {now}");
    if file(&id, &["memory.stat"]).is_some() {
        let stat = |keys: [&str; 2]| {
            let text = file(&id, &["memory.stat"]).expect("memory");
            keyed(&text, keys[0]).or_else(|| keyed(&text, keys[1])).expect("a key")
        };
        let cache = same("memory_cache", &|| stat(["total_cache", "file"]), 0.0);
        assert!(cache >= 8e6, "the file is in the page cache: {cache}");
        same("memory_rss", &|| stat(["total_rss", "anon"]), 0.0);
        same("memory_limit_bytes", &|| 67_108_864.0, 0.0);
        let usage = || number(&file(&id, &["memory.usage_in_bytes", "memory.current"]).expect("usage"));
        same("memory_usage_bytes", &usage, 0.0);
        same("oom_events_total", &|| 0.0, 0.0);
    }
    if let Some(bytes) = written(&id) {
        let shown = same("fs_writes_bytes_total", &|| written(&id).expect("still there"), 0.0);
        assert!(shown >= 8e6 || bytes == 0.0, "what was written with fsync is counted: {shown}");
    }
    if file(&id, &["cpu.pressure"]).is_some() {
        let total = || {
            let text = file(&id, &["cpu.pressure"]).expect("pressure");
            let some = text.lines().next().and_then(|line| line.rsplit_once('=')).expect("a total");
            number(some.1) / 1e6
        };
        same("pressure_cpu_waiting_seconds_total", &total, 1e-6);
    }
    // A network namespace of its own without a device, and the file system that its root is on.
    same("network_receive_bytes_total", &|| 0.0, 0.0);
    let inodes = daemon.scrape_until("inodes", |scrape| value(scrape, &id, "fs_inodes_total"));
    let free = value(&daemon.scrape("/metrics"), &id, "fs_inodes_free").expect("both");
    assert!(inodes > 0.0 && free <= inodes);
    assert!(
        daemon.scrape("/metrics").all("gala_gopher_container_processes").count() == 1,
        "nothing else is in scope"
    );

    // It ends, and its series with it.
    containerd.remove("default", &id);
    daemon.scrape_until("its end", |scrape| scrape.under("gala_gopher_container_").is_empty().then_some(()));
    assert_eq!(daemon.state("container"), "running");
}

#[test]
fn a_container_with_the_hosts_network_shows_none_as_its_own() {
    let home = tempfile::Builder::new().prefix("gopherd-ct-").tempdir().expect("a temporary folder");
    let containerd = Containerd::start(&home.path().join("c"));
    let root = rootfs(home.path());
    let id = format!("h{}", std::process::id());
    let root = root.to_str().expect("ASCII");
    containerd
        .must("default", &["run", "-d", "--net-host", "--rootfs", root, &id, "/bin/busybox", "sleep", "600"]);
    let setup = setup(&containerd);
    let daemon = start(&setup, &id);
    let scrape = daemon.scrape_until("the last table", |scrape| {
        value(scrape, &id, "processes").is_some().then(|| scrape.clone())
    });
    assert_eq!(value(&scrape, &id, "network_receive_bytes_total"), None);
    containerd.remove("default", &id);
}

#[test]
fn processes_that_are_killed_at_the_limit_are_counted_for_the_container_and_told_with_its_cgroup() {
    let home = tempfile::Builder::new().prefix("gopherd-ct-").tempdir().expect("a temporary folder");
    let containerd = Containerd::start(&home.path().join("c"));
    let root = rootfs(home.path());
    let id = format!("o{}", std::process::id());
    let setup = setup(&containerd);
    let daemon = start(&setup, &id);
    let order = r#"{"cmd":{"probe":["oom"]},"params":{"report_period":5},"state":"running"}"#;
    daemon.put("baseinfo", order);
    // The child is killed twice, its parent goes on: the file says when the next one may try.
    let grow = "/bin/busybox sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'";
    let script = format!("{grow}; {grow}; exec /bin/busybox sleep 600");
    let root = root.to_str().expect("ASCII");
    let run = [
        "run",
        "-d",
        "--memory-limit",
        "33554432",
        "--rootfs",
        root,
        &id,
        "/bin/busybox",
        "sh",
        "-c",
        &script,
    ];
    containerd.must("default", &run);
    let killed = || keyed(&file(&id, &["memory.oom_control", "memory.events"])?, "oom_kill");
    eventually("two kills by the kernel's own count", || (killed()? == 2.0).then_some(()));
    daemon.scrape_until("both in the container's count", |scrape| {
        (value(scrape, &id, "oom_events_total")? == 2.0).then_some(())
    });
    let cgroup = format!("/default/{id}");
    daemon.scrape_until("both in the count of the cgroup", |scrape| {
        (scrape.value("gala_gopher_oom_kill_count", &[("cgroup", &cgroup)])? == 2.0).then_some(())
    });
    containerd.remove("default", &id);
}
