//! A process is what `ps` and its own files in /proc say.

use gopher_e2e::bracket::{Moment, Seen, between, each_between};
use gopher_e2e::daemon::proc_file;
use gopher_e2e::process::{Background, command, text_of};
use gopher_e2e::{Daemon, Scrape, Setup, eventually};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;

fn reading(daemon: &Daemon<'_>, pid: u32) -> Scrape {
    let config = json!({"cmd": {"probe": ["proc"]}, "snoopers": {"proc_id": [pid]}});
    daemon.reading(config, "gala_gopher_proc_vm_size")
}

fn of(scrape: &Scrape, pid: u32, name: &str) -> f64 {
    scrape.must(&format!("gala_gopher_proc_{name}"), &[("tgid", &pid.to_string())])
}

/// `key: value` lines of a file of a process.
fn lines_of(pid: u32, name: &str) -> BTreeMap<String, f64> {
    let text = proc_file(pid, name).expect("a file of a process");
    let line = |line: &str| {
        let (key, rest) = line.split_once(':')?;
        Some((key.to_owned(), rest.split_whitespace().next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Fields of /proc/PID/stat, by their number in proc(5).
fn stat(pid: u32) -> impl Fn(usize) -> f64 {
    let text = proc_file(pid, "stat").expect("stat");
    let after_name = text.rsplit_once(')').expect("a name in brackets").1.to_owned();
    move |field| {
        let word = after_name.split_whitespace().nth(field - 3).expect("a field");
        word.parse().expect("a number")
    }
}

#[test]
fn a_sleeping_process_is_exactly_what_ps_and_the_kernel_say() {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut program = command("nice");
    program.args(["-n", "7", "sleep", "600"]);
    let process = Background::start(program, &setup.path("sleep.log"));
    let pid = process.pid();
    eventually("the process to sleep", || {
        proc_file(pid, "wchan")
            .filter(|_| proc_file(pid, "stat").is_some_and(|stat| stat.contains("(sleep) S")))
    });
    let scrape = reading(&daemon, pid);
    let columns = text_of(
        "ps",
        &["-o", "vsz=,nlwp=,ni=,min_flt=,maj_flt=,psr=,pgid=,ppid=,comm=", "-p", &pid.to_string()],
    );
    let columns: Vec<&str> = columns.split_whitespace().collect();
    let ps = |index: usize| columns[index].parse::<f64>().expect("a number");
    let fields = stat(pid);
    let limits = proc_file(pid, "limits").expect("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit of files");
    let limit: f64 = files.split_whitespace().nth(3).and_then(|word| word.parse().ok()).expect("a number");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").count() as f64;
    let memory: f64 =
        text_of("free", &["-b"]).split_whitespace().nth(7).and_then(|n| n.parse().ok()).expect("total");
    let io = lines_of(pid, "io");
    let page = rustix::param::page_size() as f64;
    for (name, expected) in [
        ("vm_size", ps(0) * 1024.0),
        // The kernel sums this field up roughly, ps asks elsewhere; the catalogue names this one.
        ("pm_size", fields(24) * page),
        ("num_threads", ps(1)),
        ("nice", ps(2)),
        ("minor_pagefault_count", ps(3)),
        ("major_pagefault_count", ps(4)),
        ("cpu", ps(5)),
        ("utime_jiffies", fields(14)),
        ("stime_jiffies", fields(15)),
        ("cutime_jiffies", fields(16)),
        ("cstime_jiffies", fields(17)),
        ("priority", fields(18)),
        ("fd_count", open),
        ("rchar_bytes", io["rchar"]),
        ("wchar_bytes", io["wchar"]),
        ("syscr_count", io["syscr"]),
        ("syscw_count", io["syscw"]),
        ("read_bytes", io["read_bytes"]),
        ("write_bytes", io["write_bytes"]),
        ("cancelled_write_bytes", io["cancelled_write_bytes"]),
    ] {
        assert_eq!(of(&scrape, pid, name), expected, "{name}");
    }
    assert!((of(&scrape, pid, "fd_free_per") - 100.0 * (limit - open) / limit).abs() < 1e-6);
    assert!((of(&scrape, pid, "pm_util") - 100.0 * fields(24) * page / memory).abs() < 1e-6);
    let sample = scrape.all("gala_gopher_proc_vm_size").next().expect("the process");
    assert_eq!((sample.label("pgid"), sample.label("ppid")), (Some(columns[6]), Some(columns[7])));
    assert_eq!(sample.label("comm"), Some(columns[8]));
    let words = proc_file(pid, "cmdline").expect("its command line").replace('\0', " ");
    assert_eq!(sample.label("cmdline"), Some(words.trim()));
    for outside in ["container_id", "container_name", "pod_id", "pod"] {
        assert_eq!(sample.label(outside), None, "absent outside a container");
    }
    // Pages are shared with whoever runs the same program, which other tests begin to do and end.
    each_between(|| {
        let before = lines_of(pid, "smaps_rollup");
        let scrape = reading(&daemon, pid);
        let after = lines_of(pid, "smaps_rollup");
        let names = [
            ("shared_clean_size", "Shared_Clean"),
            ("shared_dirty_size", "Shared_Dirty"),
            ("private_clean_size", "Private_Clean"),
            ("private_dirty_size", "Private_Dirty"),
            ("referenced_size", "Referenced"),
            ("lazyfree_size", "LazyFree"),
            ("swap_data_size", "Swap"),
            ("swap_data_pss_size", "SwapPss"),
        ];
        let seen = |(name, key): (&str, &str)| Seen {
            name: name.to_owned(),
            value: of(&scrape, pid, name),
            other: [before[key], after[key]],
        };
        names.map(seen).to_vec()
    });
}

#[test]
fn a_busy_process_is_between_two_readings_and_its_share_is_its_time() {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut program = command("dd");
    program.args(["if=/dev/zero", "of=/dev/null", "bs=4k"]);
    let process = Background::start(program, &setup.path("dd.log"));
    let pid = process.pid();
    eventually("it to have read", || {
        (lines_of(pid, "io")["rchar"] > 1e8 && stat(pid)(14) + stat(pid)(15) > 0.0).then_some(())
    });
    let look = || {
        let (io, fields) = (lines_of(pid, "io"), stat(pid));
        [
            ("rchar_bytes", io["rchar"]),
            ("wchar_bytes", io["wchar"]),
            ("syscr_count", io["syscr"]),
            ("syscw_count", io["syscw"]),
            ("utime_jiffies", fields(14)),
            ("stime_jiffies", fields(15)),
            ("minor_pagefault_count", fields(10)),
        ]
    };
    let share = "gala_gopher_proc_cpu_util";
    eventually("a first reading that is seen before the second", || {
        let (before, start) = (look(), Instant::now());
        let first = reading(&daemon, pid);
        let (after, begin) = (look(), Moment { from: start, to: Instant::now() });
        for ((name, one), (_, two)) in before.into_iter().zip(after) {
            between(name, one, of(&first, pid, name), two);
        }
        if first.all(share).next().is_some() {
            return None;
        }
        let second =
            daemon.scrape_until("the share", |scrape| scrape.all(share).next().map(|_| scrape.clone()));
        let end = Moment { from: begin.to, to: Instant::now() };
        let [least, most] = begin.until(end);
        let grown = |name: &str| of(&second, pid, name) - of(&first, pid, name);
        for (name, ticks) in [
            ("cpu_util", grown("utime_jiffies") + grown("stime_jiffies")),
            ("cpu_user_util", grown("utime_jiffies")),
            ("cpu_system_util", grown("stime_jiffies")),
        ] {
            let share = of(&second, pid, name);
            if ticks == 0.0 {
                assert_eq!(share, 0.0, "{name}");
                continue;
            }
            // A tick is 10 ms: so many seconds would make this share of so much CPU time.
            between(name, least.max(0.9), ticks / share, most);
        }
        assert!(grown("utime_jiffies") + grown("stime_jiffies") > 0.0);
        Some(())
    });
}

#[test]
fn an_ended_process_leaves_no_series() {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut program = command("sleep");
    program.arg("600");
    let process = Background::start(program, &setup.path("sleep.log"));
    let pid = process.pid().to_string();
    daemon.put(
        "baseinfo",
        &json!({"cmd": {"probe": ["proc"]}, "snoopers": {"proc_name": [{"cmdline": "sleep 600$"}]},
            "params": {"report_period": 5}, "state": "running"})
        .to_string(),
    );
    let at = [("tgid", pid.as_str())];
    daemon.scrape_until("the process", |scrape| scrape.value("gala_gopher_proc_vm_size", &at));
    process.kill();
    daemon.scrape_until("the series of the ended process to go", |scrape| {
        scrape.value("gala_gopher_proc_vm_size", &at).is_none().then_some(())
    });
}
