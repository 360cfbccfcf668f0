//! Values against readers that are not ours: /proc as text, df, ip, nstat, ps, node_exporter.
//!
//! A rising counter is right when it lies between two readings of the other one, taken before and after; a
//! level that moves is compared with room for what other processes do meanwhile.

use gopher_e2e::daemon::free_port;
use gopher_e2e::process::{Background, command, text_of};
use gopher_e2e::{Client, Daemon, Scrape, Setup, eventually};
use serde_json::Value;
use std::collections::BTreeMap;

/// Starts these sub-probes of `baseinfo` with a long period and returns the exposition once `name` is in it.
/// The values are then those of a moment between the call and the return.
#[track_caller]
fn read(daemon: &Daemon<'_>, sub_probes: &str, name: &str) -> Scrape {
    daemon.put(
        "baseinfo",
        &format!(
            r#"{{"cmd":{{"probe":[{sub_probes}]}},"params":{{"report_period":600}},"state":"running"}}"#
        ),
    );
    daemon.scrape_until(name, |scrape| scrape.all(name).next().map(|_| scrape.clone()))
}

#[track_caller]
fn between(what: &str, before: f64, value: f64, after: f64) {
    assert!(before <= value && value <= after, "{what}: {value} is not between {before} and {after}");
}

/// Fails unless the values differ by less than a fifth or by less than `room`.
#[track_caller]
fn near(what: &str, value: f64, other: f64, room: f64) {
    let difference = (value - other).abs();
    assert!(difference <= room || difference <= other.abs() / 5.0, "{what}: {value} and {other}");
}

fn meminfo() -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
    text.lines()
        .filter_map(|line| {
            let (key, rest) = line.split_once(':')?;
            Some((key.to_owned(), rest.split_whitespace().next()?.parse().ok()?))
        })
        .collect()
}

#[test]
fn memory_is_what_proc_meminfo_says() {
    let setup = Setup::new();
    let daemon = setup.start();
    let scrape = read(&daemon, r#""mem""#, "gala_gopher_mem_total_kB");
    let other = meminfo();
    for (name, key) in [("total_kB", "MemTotal"), ("swap_total_kB", "SwapTotal")] {
        assert_eq!(scrape.must(&format!("gala_gopher_mem_{name}"), &[]), other[key], "{key}");
    }
    for (name, key) in [
        ("free_kB", "MemFree"),
        ("available_kB", "MemAvailable"),
        ("buffers_kB", "Buffers"),
        ("cache_kB", "Cached"),
        ("active_kB", "Active"),
        ("inactive_kB", "Inactive"),
        ("slab_kB", "Slab"),
        ("SReclaimable_kB", "SReclaimable"),
        ("Unreclaim_kB", "SUnreclaim"),
        ("page_kB", "PageTables"),
        ("stack_kB", "KernelStack"),
        ("active_anon_kB", "Active(anon)"),
        ("inactive_file_kB", "Inactive(file)"),
        ("mlocked", "Mlocked"),
        ("shmem_kB", "Shmem"),
    ] {
        near(key, scrape.must(&format!("gala_gopher_mem_{name}"), &[]), other[key], 262_144.0);
    }
    let used = scrape.must("gala_gopher_mem_util", &[]);
    let expected =
        100.0 * (1.0 - (other["MemFree"] + other["Buffers"] + other["Cached"]) / other["MemTotal"]);
    assert!((used - expected).abs() < 10.0, "{used} % and {expected} %");
}

/// Time in each state per CPU in ms, from /proc/stat.
fn cpu_times() -> BTreeMap<String, Vec<f64>> {
    let text = std::fs::read_to_string("/proc/stat").expect("/proc/stat");
    text.lines()
        .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "))
        .map(|line| {
            let mut words = line.split_whitespace();
            let cpu = words.next().expect("a name").to_owned();
            // USER_HZ is 100 on every architecture we support.
            (cpu, words.filter_map(|word| word.parse::<f64>().ok()).map(|ticks| ticks * 10.0).collect())
        })
        .collect()
}

#[test]
fn cpu_time_is_between_two_readings_of_proc_stat() {
    let setup = Setup::new();
    let daemon = setup.start();
    let before = cpu_times();
    let scrape = read(&daemon, r#""cpu""#, "gala_gopher_cpu_user_msec");
    let after = cpu_times();
    let per_cpu = scrape.all("gala_gopher_cpu_user_msec").count();
    assert_eq!(per_cpu, before.len(), "one series a CPU");
    for sample in scrape.all("gala_gopher_cpu_user_msec") {
        let cpu = sample.label("cpu").expect("a cpu label");
        let key = if cpu.starts_with("cpu") { cpu.to_owned() } else { format!("cpu{cpu}") };
        for (column, field) in ["user", "nice", "system"].into_iter().enumerate() {
            let value = scrape.must(&format!("gala_gopher_cpu_{field}_msec"), &[("cpu", cpu)]);
            between(field, before[&key][column], value, after[&key][column]);
        }
    }
    let used = scrape.all("gala_gopher_cpu_total_used_per").map(|sample| sample.value);
    used.for_each(|value| assert!((0.0..=100.0).contains(&value), "{value} %"));
}

/// Columns of `df`, by mount point.
fn df(args: &[&str]) -> BTreeMap<String, Vec<f64>> {
    text_of("df", args)
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (mount, numbers) = words.split_last().expect("columns");
            let numbers = numbers.iter().map(|word| word.trim_end_matches('%').parse().unwrap_or(f64::NAN));
            ((*mount).to_owned(), numbers.collect())
        })
        .collect()
}

#[test]
fn file_systems_are_what_df_says() {
    let setup = Setup::new();
    let daemon = setup.start();
    let scrape = read(&daemon, r#""fs""#, "gala_gopher_fs_Used");
    let (blocks, inodes) =
        (df(&["-k", "--output=size,used,avail,pcent,target"]), df(&["--output=itotal,iused,iavail,target"]));
    let root = scrape.all("gala_gopher_fs_Used").find(|sample| sample.label("MountOn") == Some("/"));
    let root = root.expect("the root file system");
    let at = [("MountOn", "/")];
    let (block, inode) = (&blocks["/"], &inodes["/"]);
    assert_eq!(root.label("Blocks"), Some(block[0].to_string().as_str()));
    assert_eq!(root.label("Inodes"), Some(inode[0].to_string().as_str()));
    near("used", root.value, block[1], 262_144.0);
    near("free", scrape.must("gala_gopher_fs_Free", &at), block[2], 262_144.0);
    assert!((scrape.must("gala_gopher_fs_UsePer", &at) - block[3]).abs() <= 1.0);
    near("used inodes", scrape.must("gala_gopher_fs_IUsed", &at), inode[1], 10_000.0);
    near("free inodes", scrape.must("gala_gopher_fs_IFree", &at), inode[2], 10_000.0);
}

/// Counters of each device, from ip.
fn links() -> BTreeMap<String, Value> {
    let list: Value = serde_json::from_str(&text_of("ip", &["-s", "-j", "link"])).expect("JSON from ip");
    let devices = list.as_array().expect("a list").iter();
    devices
        .map(|device| (device["ifname"].as_str().expect("a name").to_owned(), device["stats64"].clone()))
        .collect()
}

#[test]
fn devices_are_between_two_readings_of_ip() {
    let setup = Setup::new();
    let daemon = setup.start();
    let physical = |name: &str| !std::path::Path::new("/sys/devices/virtual/net").join(name).exists();
    let before = links();
    if !before.keys().any(|name| physical(name)) {
        eprintln!("this host has no physical network device; nothing to compare");
        return;
    }
    let scrape = read(&daemon, r#""nic""#, "gala_gopher_nic_rx_bytes");
    let after = links();
    for sample in scrape.all("gala_gopher_nic_rx_bytes") {
        let device = sample.label("dev_name").expect("a device");
        assert!(physical(device), "{device} is virtual");
        for (field, direction, key) in [
            ("rx_bytes", "rx", "bytes"),
            ("rx_packets", "rx", "packets"),
            ("rx_errs", "rx", "errors"),
            ("tx_bytes", "tx", "bytes"),
            ("tx_packets", "tx", "packets"),
            ("tx_dropped", "tx", "dropped"),
        ] {
            let value = scrape.must(&format!("gala_gopher_nic_{field}"), &[("dev_name", device)]);
            let other =
                |links: &BTreeMap<String, Value>| links[device][direction][key].as_f64().expect("a number");
            between(field, other(&before), value, other(&after));
        }
    }
}

/// Counters of the protocols, from nstat.
fn protocols() -> Value {
    let text = text_of("nstat", &["-a", "-z", "-s", "-j"]);
    serde_json::from_str::<Value>(&text).expect("JSON from nstat")["kernel"].clone()
}

#[test]
fn protocols_are_between_two_readings_of_nstat() {
    let setup = Setup::new();
    let daemon = setup.start();
    let before = protocols();
    let scrape = read(&daemon, r#""net""#, "gala_gopher_net_tcp_in_segs");
    let after = protocols();
    for (name, key) in [
        ("tcp_in_segs", "TcpInSegs"),
        ("tcp_out_segs", "TcpOutSegs"),
        ("tcp_retrans_segs", "TcpRetransSegs"),
        ("tcp_in_errs", "TcpInErrs"),
        ("udp_indata_grams", "UdpInDatagrams"),
        ("udp_outdata_grams", "UdpOutDatagrams"),
    ] {
        let value = scrape.must(&format!("gala_gopher_net_{name}"), &[]);
        between(key, before[key].as_f64().expect("before"), value, after[key].as_f64().expect("after"));
    }
}

#[test]
fn a_process_is_what_ps_says() {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut program = command("sleep");
    program.arg("600");
    let process = Background::start(program, &setup.path("sleep.log"));
    let pid = process.pid().to_string();
    daemon.put(
        "baseinfo",
        &format!(r#"{{"cmd":{{"probe":["proc"]}},"snoopers":{{"proc_id":[{pid}]}},"params":{{"report_period":5}},"state":"running"}}"#),
    );
    let at = [("tgid", pid.as_str())];
    let scrape = daemon.scrape_until("the process", |scrape| {
        scrape.value("gala_gopher_proc_vm_size", &at).map(|_| scrape.clone())
    });
    let columns = text_of("ps", &["-o", "vsz=,rss=,nlwp=,ni=,pgid=,ppid=,comm=", "-p", &pid]);
    let columns: Vec<&str> = columns.split_whitespace().collect();
    let number = |index: usize| columns[index].parse::<f64>().expect("a number");
    assert_eq!(scrape.must("gala_gopher_proc_vm_size", &at), number(0) * 1024.0);
    near("rss", scrape.must("gala_gopher_proc_pm_size", &at), number(1) * 1024.0, 262_144.0);
    assert_eq!(scrape.must("gala_gopher_proc_num_threads", &at), number(2));
    assert_eq!(scrape.must("gala_gopher_proc_nice", &at), number(3));
    let sample =
        scrape.all("gala_gopher_proc_vm_size").find(|sample| sample.label("tgid") == Some(&pid)).expect("it");
    assert_eq!((sample.label("pgid"), sample.label("ppid")), (Some(columns[4]), Some(columns[5])));
    assert_eq!(sample.label("comm"), Some("sleep"));
    assert_eq!(sample.label("cmdline"), Some("sleep 600"));
    for outside in ["container_id", "pod_id", "pod"] {
        assert_eq!(sample.label(outside), None, "absent outside a container");
    }

    process.kill();
    daemon.scrape_until("the series of the ended process to go", |scrape| {
        scrape.value("gala_gopher_proc_vm_size", &at).is_none().then_some(())
    });
}

#[test]
fn node_exporter_sees_the_same_host() {
    let setup = Setup::new();
    let daemon = setup.start();
    let port = free_port();
    let mut program = command("prometheus-node-exporter");
    program.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let process = Background::start(program, &setup.path("node_exporter.log"));
    let node = || {
        eventually("node_exporter to answer", || {
            let answer = Client::port(port).try_send("GET", "/metrics", &[], Vec::new()).ok()?;
            (answer.status == 200).then(|| Scrape::parse(&answer.text()))
        })
    };
    let before = node();
    let scrape = read(&daemon, r#""cpu","mem","net""#, "gala_gopher_cpu_user_msec");
    let after = node();
    assert_eq!(
        scrape.must("gala_gopher_mem_total_kB", &[]) * 1024.0,
        after.must("node_memory_MemTotal_bytes", &[])
    );
    between(
        "TCP segments",
        before.must("node_netstat_Tcp_InSegs", &[]),
        scrape.must("gala_gopher_net_tcp_in_segs", &[]),
        after.must("node_netstat_Tcp_InSegs", &[]),
    );
    for sample in scrape.all("gala_gopher_cpu_user_msec") {
        let cpu = sample.label("cpu").expect("a cpu label").trim_start_matches("cpu");
        let at = [("cpu", cpu), ("mode", "user")];
        // It prints seconds as a float; a tick is 10 ms.
        let milliseconds = |scrape: &Scrape| scrape.must("node_cpu_seconds_total", &at) * 1000.0;
        between("user time", milliseconds(&before) - 0.5, sample.value, milliseconds(&after) + 0.5);
    }
    drop(process);
}
