//! Memory and CPU time are what the kernel and node_exporter say.

use gopher_e2e::bracket::{Seen, between, each_between};
use gopher_e2e::daemon::free_port;
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Client, Sample, Scrape, Setup, eventually};
use serde_json::json;
use std::collections::BTreeMap;

fn meminfo() -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
    text.lines()
        .filter_map(|line| {
            let (key, rest) = line.split_once(':')?;
            Some((key.to_owned(), rest.split_whitespace().next()?.parse().ok()?))
        })
        .collect()
}

/// Ours, by the line of /proc/meminfo.
const MEMORY: &[(&str, &str)] = &[
    ("total_kB", "MemTotal"),
    ("free_kB", "MemFree"),
    ("available_kB", "MemAvailable"),
    ("buffers_kB", "Buffers"),
    ("cache_kB", "Cached"),
    ("active_kB", "Active"),
    ("inactive_kB", "Inactive"),
    ("swap_total_kB", "SwapTotal"),
    ("swap_free_kB", "SwapFree"),
    ("slab_kB", "Slab"),
    ("SReclaimable_kB", "SReclaimable"),
    ("Unreclaim_kB", "SUnreclaim"),
    ("page_kB", "PageTables"),
    ("vmalloc_kB", "VmallocUsed"),
    ("stack_kB", "KernelStack"),
    ("active_anon_kB", "Active(anon)"),
    ("inactive_anon_kB", "Inactive(anon)"),
    ("active_file_kB", "Active(file)"),
    ("inactive_file_kB", "Inactive(file)"),
    ("mlocked", "Mlocked"),
    ("shmem_kB", "Shmem"),
];

#[test]
fn memory_is_what_proc_meminfo_says() {
    let setup = Setup::new();
    let daemon = setup.start();
    let config = json!({"cmd": {"probe": ["mem"]}});
    let mut scrape = Scrape::default();
    each_between(|| {
        let before = meminfo();
        scrape = daemon.reading(config.clone(), "gala_gopher_mem_total_kB");
        let after = meminfo();
        let seen = |(name, key): &(&str, &str)| Seen {
            name: (*name).to_owned(),
            value: scrape.must(&format!("gala_gopher_mem_{name}"), &[]),
            other: [before[*key], after[*key]],
        };
        MEMORY.iter().map(seen).collect()
    });
    // The shares are those of the same reading.
    let value = |name: &str| scrape.must(&format!("gala_gopher_mem_{name}"), &[]);
    let used = 1.0 - (value("free_kB") + value("buffers_kB") + value("cache_kB")) / value("total_kB");
    assert!((value("util") - 100.0 * used).abs() < 1e-6, "{} % and {}", value("util"), 100.0 * used);
    let pages = meminfo();
    let pool = pages.get("HugePages_Total").zip(pages.get("Hugepagesize")).map(|(count, size)| count * size);
    assert_eq!(scrape.value("gala_gopher_mem_big_page_kB", &[]), pool);
    match value("swap_total_kB") {
        0.0 => assert_eq!(value("swap_util"), 0.0),
        total => {
            let used = 100.0 * (1.0 - value("swap_free_kB") / total);
            assert!((value("swap_util") - used).abs() < 1e-6, "{} % and {used}", value("swap_util"));
        }
    }
}

/// Rows of a table of the kernel with one column a CPU, by row name.
fn per_cpu(file: &str) -> BTreeMap<String, Vec<f64>> {
    let text = std::fs::read_to_string(file).expect("a file of the kernel");
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?.trim_end_matches(':').to_owned();
            Some((name, words.map_while(|word| word.parse().ok()).collect()))
        })
        .collect()
}

/// A tick in ms: USER_HZ is 100 on every architecture we support.
const TICK: f64 = 10.0;

/// Ours, in the order of the columns of /proc/stat.
const TIMES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

fn number_of(cpu: &str) -> usize {
    cpu.trim_start_matches("cpu").parse().expect("the number of a CPU")
}

#[test]
fn cpu_time_and_softirqs_are_between_two_readings_of_the_kernel() {
    let setup = Setup::new();
    let daemon = setup.start();
    let look = || (per_cpu("/proc/stat"), per_cpu("/proc/softirqs"));
    let before = look();
    let scrape = daemon.reading(json!({"cmd": {"probe": ["cpu"]}}), "gala_gopher_cpu_user_msec");
    let after = look();
    let cpus: Vec<&str> =
        scrape.all("gala_gopher_cpu_user_msec").filter_map(|sample| sample.label("cpu")).collect();
    assert_eq!(cpus.len(), before.0.keys().filter(|key| key.len() > 3 && key.starts_with("cpu")).count());
    for cpu in cpus {
        let value = |name: &str| scrape.must(&format!("gala_gopher_cpu_{name}"), &[("cpu", cpu)]);
        let row = format!("cpu{}", number_of(cpu));
        for (column, name) in TIMES.iter().enumerate() {
            let [one, two] = [&before, &after].map(|(stat, _)| stat[&row][column] * TICK);
            let value = value(&format!("{name}_msec"));
            if two >= one {
                between(name, one, value, two);
            } else {
                // These are the only two that the kernel itself takes back (proc(5)); ours never go back.
                assert!(["idle", "iowait"].contains(name) && value >= two, "{name}: {one}, {value}, {two}");
            }
        }
        for (name, row) in [("rcu", "RCU"), ("timer", "TIMER"), ("sched", "SCHED"), ("net_rx", "NET_RX")] {
            let column = number_of(cpu);
            between(row, before.1[row][column], value(name), after.1[row][column]);
        }
    }
}

#[test]
fn the_busy_share_of_a_cpu_is_that_of_its_two_readings() {
    let setup = Setup::new();
    let daemon = setup.start();
    // That of all CPUs is the last of a reading.
    let [share, all] = ["gala_gopher_cpu_util_per", "gala_gopher_cpu_total_used_per"];
    let (first, second) = eventually("a first reading without a share and then one with", || {
        let first = daemon.reading(json!({"cmd": {"probe": ["cpu"]}}), "gala_gopher_cpu_user_msec");
        if first.all(share).next().is_some() {
            return None; // the second reading came before the first was seen
        }
        let second =
            daemon.scrape_until("the share", |scrape| scrape.all(all).next().map(|_| scrape.clone()));
        Some((first, second))
    });
    let spent = |cpu: &str| {
        TIMES.map(|name| {
            let value =
                |scrape: &Scrape| scrape.must(&format!("gala_gopher_cpu_{name}_msec"), &[("cpu", cpu)]);
            value(&second) - value(&first)
        })
    };
    for sample in second.all(share) {
        let spent = spent(sample.label("cpu").expect("a cpu"));
        let total: f64 = spent.iter().sum();
        let expected = 100.0 * (total - spent[3] - spent[4]) / total;
        assert!((sample.value - expected).abs() < 1e-6, "{sample:?} and {expected} of {spent:?}");
    }
    let all = second.must(all, &[]);
    let shares: Vec<f64> = second.all(share).map(|sample: &Sample| sample.value).collect();
    let (least, most) =
        shares.iter().fold((100.0_f64, 0.0_f64), |(a, b), share| (a.min(*share), b.max(*share)));
    // Of the kernel's own sum, whose ticks are rounded once instead of once a CPU and state.
    let rounding = 100.0 * TIMES.len() as f64 * TICK / 1000.0;
    between("the share of all", least - rounding, all, most + rounding);
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
    let names = [
        ("total_kB", "MemTotal"),
        ("free_kB", "MemFree"),
        ("available_kB", "MemAvailable"),
        ("buffers_kB", "Buffers"),
        ("cache_kB", "Cached"),
        ("slab_kB", "Slab"),
        ("active_anon_kB", "Active_anon"),
        ("inactive_file_kB", "Inactive_file"),
        ("shmem_kB", "Shmem"),
    ];
    each_between(|| {
        let before = node();
        let scrape = daemon
            .reading(json!({"cmd": {"probe": ["cpu", "mem", "net"]}}), "gala_gopher_net_udp_indata_grams");
        let after = node();
        for (ours, theirs) in [
            ("tcp_in_segs", "Tcp_InSegs"),
            ("tcp_out_segs", "Tcp_OutSegs"),
            ("tcp_retrans_segs", "Tcp_RetransSegs"),
            ("udp_indata_grams", "Udp_InDatagrams"),
            ("udp_outdata_grams", "Udp_OutDatagrams"),
        ] {
            let value = scrape.must(&format!("gala_gopher_net_{ours}"), &[]);
            let [one, two] = [&before, &after].map(|node| node.must(&format!("node_netstat_{theirs}"), &[]));
            between(theirs, one, value, two);
        }
        for sample in scrape.all("gala_gopher_cpu_user_msec") {
            let cpu = sample.label("cpu").expect("a cpu label");
            for mode in ["user", "nice", "system", "irq", "softirq", "steal"] {
                let value = scrape.must(&format!("gala_gopher_cpu_{mode}_msec"), &[("cpu", cpu)]);
                let at = [("cpu", cpu.trim_start_matches("cpu")), ("mode", mode)];
                // It prints the ticks of 10 ms as seconds in floating point.
                let [one, two] =
                    [&before, &after].map(|node| (node.must("node_cpu_seconds_total", &at) * 1000.0).round());
                between(mode, one, value, two);
            }
        }
        let memory = names.map(|(ours, theirs)| Seen {
            name: ours.to_owned(),
            value: scrape.must(&format!("gala_gopher_mem_{ours}"), &[]) * 1024.0,
            other: [&before, &after].map(|node| node.must(&format!("node_memory_{theirs}_bytes"), &[])),
        });
        memory.to_vec()
    });
    drop(process);
}
