//! `proc` in the daemon: real programs, beside what `strace`, the kernel's accounts, python and a name server count.

use gopher_e2e::process::{Background, command};
use gopher_e2e::{Daemon, Scrape, Setup, eventually, within};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::UdpSocket;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// Starts `sub_probes` over process `pid`, with a report every five seconds.
#[track_caller]
fn observe(daemon: &Daemon<'_>, sub_probes: &[&str], pid: u32) {
    let order = json!({
        "cmd": {"probe": sub_probes}, "snoopers": {"proc_id": [pid]}, "state": "running",
        "params": {"report_period": 5},
    });
    daemon.put("proc", &order.to_string());
    let state = daemon.state("proc");
    // Degraded is a kernel that keeps one field back; every sub-probe runs all the same.
    assert!(state == "running" || state == "degraded", "{:#}", daemon.probe("proc"));
    for sub in daemon.probe("proc")["status"]["sub_probes"].as_array().expect("sub-probes") {
        assert_ne!(sub["state"], "unavailable", "{sub:#}");
    }
}

/// A program that is spoken to by lines.
struct Talk {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Talk {
    #[track_caller]
    fn start(program: &str, args: &[&str]) -> Self {
        let mut child = command(program);
        child.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            child.spawn().unwrap_or_else(|error| panic!("{program}: {error}; `make test` installs it"));
        let to = child.stdin.take().expect("piped");
        let from = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, to, from }
    }

    fn say(&mut self, line: &str) -> String {
        self.to.write_all(format!("{line}\n").as_bytes()).expect("said");
        let mut answer = String::new();
        self.from.read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The value of `gala_gopher_FIELD` of process `pid`.
fn value(daemon: &Daemon<'_>, field: &str, pid: u32) -> Option<f64> {
    let pid = pid.to_string();
    daemon.scrape("/metrics").value(&format!("gala_gopher_{field}"), &[("tgid", &pid)])
}

/// Waits until it is `expected`.
#[track_caller]
fn becomes(daemon: &Daemon<'_>, field: &str, pid: u32, expected: f64) {
    let mut last = None;
    let reached = within(Duration::from_secs(40), || {
        last = value(daemon, field, pid);
        (last == Some(expected)).then_some(())
    });
    assert!(reached.is_some(), "{field} of {pid}: {last:?}, not {expected}");
}

/// Waits until there is one.
#[track_caller]
fn there(daemon: &Daemon<'_>, field: &str, pid: u32) -> f64 {
    eventually(field, || value(daemon, field, pid))
}

/// The process that `parent` has started.
fn child_of(parent: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[test]
fn strace_counts_the_same_calls_and_no_fewer_errors() {
    const LINES: u32 = 200;
    let setup = Setup::new();
    let daemon = setup.start();
    let summary = setup.path("summary");
    let mut strace = Talk::start("strace", &["-c", "-o", &summary.display().to_string(), "cat", "-u", "-"]);
    // Before anybody but strace counts.
    assert_eq!(strace.say("one"), "one");
    let pid = eventually("cat to run", || child_of(strace.child.id()));
    observe(&daemon, &["proc_syscall", "proc_io"], pid);
    // The read that takes this began before it was looked at: it has no time. Its write has.
    assert_eq!(strace.say("two"), "two");
    for line in 0..LINES {
        assert_eq!(strace.say(&line.to_string()), line.to_string());
    }
    let (reads, writes) = (f64::from(LINES), f64::from(LINES + 1));
    becomes(&daemon, "proc_read_calls", pid, reads);
    becomes(&daemon, "proc_write_calls", pid, writes);
    becomes(&daemon, "proc_syscall_count", pid, reads + 1.0 + writes);
    let failed = there(&daemon, "proc_syscall_failed", pid);
    drop(std::mem::replace(&mut strace.to, dead_end()));
    strace.child.wait().expect("ended");
    let text = std::fs::read_to_string(summary).expect("strace's summary");
    let total = |name: &str| -> Option<(f64, f64)> {
        let line = text.lines().find(|line| line.split_whitespace().last() == Some(name))?;
        let words: Vec<_> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
        // % time, seconds, usecs/call, calls, errors (or none), name
        Some((number(3)?, if words.len() > 5 { number(4)? } else { 0.0 }))
    };
    assert_eq!(total("write").map(|(calls, _)| calls), Some(writes + 1.0), "the first line more\n{text}");
    let (_, errors) = total("total").unwrap_or_else(|| panic!("{text}"));
    assert!(failed <= errors, "{failed} failed, strace says {errors}\n{text}");
}

/// A pipe that nobody reads, to put in the place of one that is to be closed.
fn dead_end() -> ChildStdin {
    let mut child = command("true").stdin(Stdio::piped()).spawn().expect("true runs");
    let stdin = child.stdin.take().expect("piped");
    drop(child.wait());
    stdin
}

#[test]
fn what_a_process_reads_and_writes_past_the_cache_is_what_the_kernel_accounts_to_it() {
    let setup = Setup::new();
    let daemon = setup.start();
    let me = std::process::id();
    // Not below /tmp, which may be in memory.
    let place = tempfile::Builder::new().prefix("gopher-proc").tempdir_in("/var/tmp").expect("a folder");
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).expect("a flag");
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(direct)
        .open(place.path().join("file"))
        .expect("a file that is written past the cache");
    let mut buffer = vec![0_u8; (64 << 10) + 4096];
    let start = buffer.as_ptr().align_offset(4096);
    let block = &mut buffer[start..];
    // So that nothing is left to be allocated.
    file.write_all_at(&block[..64 << 10], 0).expect("written");
    file.sync_all().expect("synced");
    observe(&daemon, &["proc_io", "proc_pagecache", "proc_offcpu"], me);
    let accounts = account("read_bytes");
    for at in 0..10 {
        file.write_all_at(&block[..4096], at * 4096).expect("written");
        file.read_exact_at(&mut block[..4096], at * 4096).expect("read");
    }
    for _ in 0..5 {
        file.read_exact_at(&mut block[..64 << 10], 0).expect("read");
    }
    let read = account("read_bytes") - accounts;
    assert!(read >= 10.0 * 4096.0 + 5.0 * 65536.0, "{read} bytes read from the device");
    becomes(&daemon, "proc_less_4k_io_read", me, 10.0);
    becomes(&daemon, "proc_less_4k_io_write", me, 10.0);
    becomes(&daemon, "proc_greater_4k_io_read", me, 5.0);
    becomes(&daemon, "proc_bio_count", me, 25.0);
    becomes(&daemon, "proc_bio_err_count", me, 0.0);
    // On a busy host a device can be done before the process is off its CPU: then it did not wait.
    eventually("a wait for the device", || {
        file.read_exact_at(&mut block[..4096], 0).expect("read");
        value(&daemon, "proc_iowait_ns_total", me).filter(|ns| *ns > 0.0)
    });
    // Pages that are new in the cache, and dirty.
    let pages = || {
        ["load_page_cache", "mark_page_dirty"]
            .map(|field| value(&daemon, &format!("proc_{field}"), me).unwrap_or(0.0))
    };
    let before = pages();
    std::fs::write(place.path().join("pages"), vec![1; 256 * 4096]).expect("written");
    let grown = eventually("256 pages", || {
        let now = pages();
        let grown = [0, 1].map(|at| now[at] - before[at]);
        (grown[0] >= 256.0 && grown[1] >= 256.0).then_some(grown)
    });
    // The folder's own blocks come on top.
    assert!(grown[0] < 512.0 && grown[1] < 512.0, "{grown:?}");
}

/// A number of this process's /proc/<pid>/io.
fn account(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/io").expect("accounts");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn python_says_itself_how_often_it_collected() {
    let setup = Setup::new();
    let daemon = setup.start();
    let script = "import gc, sys\n\
        def collections(): return sum(one['collections'] for one in gc.get_stats())\n\
        for line in sys.stdin:\n    \
            before = collections()\n    \
            [gc.collect() for _ in range(int(line))]\n    \
            print(collections() - before, flush=True)";
    let mut python = Talk::start("/usr/bin/python3", &["-c", script]);
    let pid = python.child.id();
    assert_eq!(python.say("1"), "1");
    observe(&daemon, &["proc_pygc"], pid);
    let said: f64 = python.say("7").parse().expect("a number");
    assert!(said >= 7.0);
    becomes(&daemon, "proc_python_gc", pid, said);
    let more: f64 = python.say("100").parse().expect("a number");
    becomes(&daemon, "proc_python_gc", pid, said + more);
    assert!(there(&daemon, "proc_latency_sum", pid) > 0.0);
}

#[test]
fn names_that_a_name_server_knows_and_does_not_know_are_counted_as_it_answered() {
    // In namespaces of its own, with a name server that this test is.
    let apart = || {
        let own = nix::sched::CloneFlags::CLONE_NEWNET | nix::sched::CloneFlags::CLONE_NEWNS;
        nix::sched::unshare(own).expect("namespaces");
        let run = |program: &str, args: &[&str]| drop(gopher_e2e::process::text_of(program, args));
        run("ip", &["link", "set", "lo", "up"]);
        run("mount", &["--make-rprivate", "/"]);
        let setup = Setup::new();
        let place = setup.path("resolv.conf");
        std::fs::write(&place, "nameserver 127.0.0.1\noptions attempts:1\n").expect("written");
        run("mount", &["--bind", &place.display().to_string(), "/etc/resolv.conf"]);
        let server = UdpSocket::bind("127.0.0.1:53").expect("a port");
        std::thread::Builder::new().name("names".into()).spawn(move || serve(&server)).expect("a thread");
        let daemon = setup.start();
        let script = "import socket, sys\n\
            for line in sys.stdin:\n    \
                try: print(socket.gethostbyname(line.strip()), flush=True)\n    \
                except OSError as error: print('none', flush=True)";
        let mut python = Talk::start("/usr/bin/python3", &["-c", script]);
        let pid = python.child.id();
        observe(&daemon, &["proc_dns"], pid);
        let pid = pid.to_string();
        for _ in 0..4 {
            assert_eq!(python.say("known.gopher.test"), "10.1.2.3");
        }
        for _ in 0..3 {
            assert_eq!(python.say("unknown.gopher.test"), "none");
        }
        let of = |field: &str, domain: &str| {
            daemon.scrape("/metrics").value(
                &format!("gala_gopher_dns_{field}"),
                &[("tgid", &pid), ("domain", domain), ("comm", "python3")],
            )
        };
        eventually("four lookups", || (of("count", "known.gopher.test")? == 4.0).then_some(()));
        eventually("three lookups", || (of("count", "unknown.gopher.test")? == 3.0).then_some(()));
        assert_eq!(of("error_count", "known.gopher.test"), Some(0.0));
        assert_eq!(of("error_count", "unknown.gopher.test"), Some(3.0));
        let answered = python.say("known.gopher.test");
        assert_eq!(answered, "10.1.2.3");
        let delay = eventually("a delay", || of("delay_avg", "known.gopher.test"));
        assert!(delay > 0.0 && delay < 5000.0, "{delay} ms");
    };
    std::thread::Builder::new().spawn(apart).expect("a thread").join().expect("it holds");
}

/// Answers questions for an address: 10.1.2.3 for names that begin with `known`, none for others.
fn serve(socket: &UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        let question = &packet[..length];
        let knows = question.get(13..18) == Some(b"known");
        // An answer to the question, with recursion; NXDOMAIN (3) or one record.
        let mut answer = question.to_vec();
        answer[2..4].copy_from_slice(if knows { &[0x81, 0x80] } else { &[0x81, 0x83] });
        answer[6..12].copy_from_slice(if knows { &[0, 1, 0, 0, 0, 0] } else { &[0; 6] });
        if knows {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3]);
        }
        drop(socket.send_to(&answer, from));
    }
}

#[test]
fn a_process_with_a_name_that_is_no_text_is_shown_and_breaks_nothing() {
    let setup = Setup::new();
    let daemon = setup.start();
    // A quote, a line end, a backslash, and half of a letter.
    let script = "import ctypes, sys\nctypes.CDLL(None).prctl(15, b'a\"b\\nc\\\\\\xc3')\n\
        for line in sys.stdin: print(line.strip(), flush=True)";
    let mut python = Talk::start("/usr/bin/python3", &["-c", script]);
    let pid = python.child.id();
    assert_eq!(python.say("named"), "named");
    observe(&daemon, &["proc_syscall", "proc_io", "proc_offcpu"], pid);
    for line in 0..50 {
        python.say(&line.to_string());
    }
    there(&daemon, "proc_syscall_count", pid);
    let scrape = daemon.scrape("/metrics");
    let labels = [("tgid", &*pid.to_string()), ("comm", "a\"b\nc\\\u{fffd}")];
    assert!(scrape.value("gala_gopher_proc_syscall_count", &labels).is_some());
}

#[test]
fn short_processes_are_counted_by_name_though_no_report_saw_them() {
    let setup = Setup::new();
    let daemon = setup.start();
    let order = json!({
        "cmd": {"probe": ["proc_syscall"]}, "blacklist": {}, "state": "running",
        "params": {"report_period": 5},
    });
    daemon.put("proc", &order.to_string());
    let own = setup.path("gopher-short");
    std::fs::copy("/bin/true", &own).expect("copied");
    let script = format!("i=0; while [ $i -lt 500 ]; do {}; i=$((i+1)); done", own.display());
    let shell = Background::start(
        {
            let mut shell = command("sh");
            shell.args(["-c", &script]);
            shell
        },
        &setup.path("sh.log"),
    );
    let counted = |column: &str| {
        let name = format!("gala_gopher_proc_ended_{column}");
        daemon.scrape("/metrics").value(&name, &[("comm", "gopher-short")])
    };
    // One that is running at a reading is a row of its own.
    let mut last = None;
    let reached = within(Duration::from_secs(60), || {
        last = counted("processes");
        last.filter(|count| *count >= 490.0)
    });
    assert!(reached.is_some_and(|count| count <= 500.0), "{last:?} of 500");
    assert!(counted("syscall_count").is_some_and(|count| count > 5000.0));
    drop(shell);
}

/// Processes and threads that the kernel has made since it started.
fn made() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").expect("the kernel's counters");
    let line = text.lines().find_map(|line| line.strip_prefix("processes "));
    line.and_then(|number| number.trim().parse().ok()).expect("a number")
}

/// The most that was seen of everything that is told to be forked, by process or, of short ones, by name: the row of a
/// process goes after its end.
#[derive(Default)]
struct Forks(BTreeMap<String, f64>);

impl Forks {
    fn look(&mut self, scrape: &Scrape) -> f64 {
        for entity in ["proc", "proc_ended"] {
            for column in ["forks", "thread_starts"] {
                let name = format!("gala_gopher_{entity}_{column}");
                for sample in scrape.all(&name) {
                    let of = if entity == "proc" {
                        // By start too: numbers come again.
                        [sample.label("tgid"), sample.label("start_time")]
                    } else {
                        [sample.label("comm"), None]
                    };
                    let most = self.0.entry(format!("{name} {of:?}")).or_default();
                    *most = most.max(sample.value);
                }
            }
        }
        self.0.values().sum()
    }
}

#[test]
fn a_hundred_thousand_short_processes_are_as_many_as_the_kernel_made_and_none_is_lost_unseen() {
    // Of two shells at once.
    const EACH: u32 = 50_000;
    let wanted = f64::from(EACH);
    let setup = Setup::new();
    let daemon = setup.start();
    // A scope by name beside it, so that the tracker is told of each of them as well.
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["proc"]},"snoopers":{"proc_name":[{"comm":"^gopher-brief$"}]},
            "params":{"report_period":5},"state":"running"}"#,
    );
    eventually("the tracker", || {
        let capabilities = daemon.rest().get("/api/v1/capabilities").expect(200).json();
        (capabilities["process_tracker"]["state"] == "running").then_some(())
    });
    let of_tracker = |scrape: &Scrape| {
        let lost = scrape.all("gopherd_lost_total").filter(|one| one.label("stage") == Some("tracker"));
        let looks = scrape.all("gopherd_scope_reconciles_total");
        [lost.map(|one| one.value).sum::<f64>(), looks.map(|one| one.value).sum::<f64>()]
    };
    let order = json!({
        "cmd": {"probe": ["proc_syscall"]}, "blacklist": {}, "state": "running",
        "params": {"report_period": 5},
    });
    let before = made();
    daemon.put("proc", &order.to_string());
    let attached = made();
    let map_bytes = |scrape: &Scrape| scrape.value("gopherd_bpf_map_bytes", &[("probe", "proc")]);
    let first = eventually("what the maps take", || map_bytes(&daemon.scrape("/metrics")));
    let [lost_before, looks_before] = of_tracker(&daemon.scrape("/metrics"));
    let own = setup.path("gopher-brief");
    std::fs::copy("/bin/true", &own).expect("copied");
    let script = format!("i=0; while [ $i -lt {EACH} ]; do {}; i=$((i+1)); done; read end", own.display());
    let begun = Instant::now();
    let shells = [(); 2].map(|()| {
        let mut shell = command("sh");
        shell.args(["-c", &script]).stdin(Stdio::piped());
        Shell(shell.spawn().expect("a shell"))
    });
    let mut forks = Forks::default();
    let by_shell = |scrape: &Scrape| {
        let of = |shell: &Shell| {
            let pid = shell.0.id().to_string();
            scrape.value("gala_gopher_proc_forks", &[("tgid", &pid)]).unwrap_or(0.0)
        };
        [of(&shells[0]), of(&shells[1])]
    };
    let mut last = [0.0; 2];
    let mut looked = Instant::now();
    within(Duration::from_secs(900), || {
        // The shells are to have the processors: once in a while is enough, a row stays for a period.
        if looked.elapsed() < Duration::from_secs(1) {
            return None;
        }
        looked = Instant::now();
        let scrape = daemon.scrape("/metrics");
        forks.look(&scrape);
        last = by_shell(&scrape);
        (last == [wanted; 2]).then_some(())
    });
    assert_eq!(last, [wanted; 2], "each shell's forks, exactly");
    // Everything that the kernel made since all was attached is in a later report, and no more than it made since before.
    let least = made() - attached;
    let mut told = 0.0;
    within(Duration::from_secs(60), || {
        told = forks.look(&daemon.scrape("/metrics"));
        (told >= least).then_some(())
    });
    let most = made() - before;
    // On a host that compiles beside it, up to 16 of 102,000 were told twice, and nobody knows yet of which processes: two of
    // ten thousand are allowed.
    assert!(told >= least && told <= most * 1.0002, "{told} told, the kernel made {least} to {most}");
    let scrape = daemon.scrape("/metrics");
    let ended = scrape.must("gala_gopher_proc_ended_processes", &[("comm", "gopher-brief")]);
    // One of each shell that runs at a reading is a row of its own.
    let readings = begun.elapsed().as_secs_f64() / 5.0 + 2.0;
    assert!(ended <= 2.0 * wanted && ended >= 2.0 * (wanted - readings), "{ended} ended");
    // The row of one that runs at a reading and is gone before its name is read is left out in the store, and counted there.
    let lost: Vec<_> = scrape
        .all("gopherd_lost_total")
        .filter(|one| one.label("owner") == Some("proc") && one.label("stage") != Some("store"))
        .filter(|one| one.value > 0.0)
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    let [lost, looks] = of_tracker(&scrape);
    assert!(lost == lost_before || looks > looks_before, "{lost} events lost, {looks} looks at everything");
    let bytes = map_bytes(&scrape).expect("it was there");
    assert!(bytes <= first + f64::from(1 << 20), "maps took {first} bytes and now {bytes}");
    assert_eq!(scrape.value("gopherd_series_limited_total", &[("probe", "proc")]).unwrap_or(0.0), 0.0);
}

/// A shell that waits to be told to end.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
