//! The `cpu` reader against fake trees and against this host.

use super::*;
use probe_kit::testing::{FakeHost, SeenRow, seen};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

fn read(reader: &mut dyn Reader) -> Batch {
    let mut out = Batch::new(SystemTime::now());
    reader.read(Tick { index: 1, elapsed: Some(Duration::from_secs(1)), missed: 0 }, &mut out);
    out
}

fn cpu<'a>(rows: &'a [SeenRow], id: &str) -> &'a SeenRow {
    rows.iter().find(|row| row.label("cpu") == Some(id)).expect("the CPU")
}

fn ids(rows: &[SeenRow]) -> Vec<&str> {
    rows.iter().filter(|row| row.table == "system_cpu").filter_map(|row| row.label("cpu")).collect()
}

/// Milliseconds of so many ticks on this host.
fn ms(ticks: u64) -> f64 {
    (ticks * 1000 / rustix::param::clock_ticks_per_second()) as f64
}

fn host(stat: &str) -> FakeHost {
    let host = FakeHost::new();
    host.write("proc/stat", stat);
    host
}

#[test]
fn times_are_milliseconds_and_guests_are_not_counted_twice() {
    let host = host("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nintr 5\ncpu9 1 1 1 1\n");
    let mut reader = Cpu::boxed(&host.env());
    let first = seen(&read(&mut *reader));
    assert_eq!(cpu(&first, "0").get("util_per"), None);
    assert_eq!(cpu(&first, "cpu").get("total_used_per"), None);
    assert_eq!(ids(&first), ["0"], "cpu lines end at the first other line");
    // 60 user of which 60 guest, 10 nice, 5 system, 15 idle, 5 iowait, 1 irq, 1 softirq, 3 steal.
    host.write("proc/stat", "cpu  60 10 5 15 5 1 1 3 60 10\ncpu0 60 10 5 15 5 1 1 3 60 10\n");
    let second = seen(&read(&mut *reader));
    let zero = cpu(&second, "0");
    assert_eq!(zero.get("util_per"), Some(80.0));
    assert_eq!(cpu(&second, "cpu").get("total_used_per"), Some(80.0));
    let names = [
        "user_msec",
        "nice_msec",
        "system_msec",
        "idle_msec",
        "iowait_msec",
        "irq_msec",
        "softirq_msec",
        "steal_msec",
    ];
    assert_eq!(names.map(|name| zero.get(name)), [60, 10, 5, 15, 5, 1, 1, 3].map(|ticks| Some(ms(ticks))));
}

#[test]
fn idle_time_that_the_kernel_takes_back_neither_falls_nor_spoils_the_share() {
    let host = host("cpu0 100 0 0 1000 500 0 0 0\n");
    let mut reader = Cpu::boxed(&host.env());
    read(&mut *reader);
    host.write("proc/stat", "cpu0 130 0 0 1010 490 0 0 0\n");
    let rows = seen(&read(&mut *reader));
    assert_eq!(cpu(&rows, "0").get("iowait_msec"), Some(ms(500)));
    assert_eq!(cpu(&rows, "0").get("util_per"), Some(75.0));
    host.write("proc/stat", "cpu0 131 0 0 1010 505 0 0 0\n");
    let rows = seen(&read(&mut *reader));
    assert_eq!(cpu(&rows, "0").get("iowait_msec"), Some(ms(505)));
}

#[test]
fn a_reset_shows_the_new_value_and_no_share() {
    let host = host("cpu0 100000 0 0 100000 0 0 0 0\n");
    let mut reader = Cpu::boxed(&host.env());
    read(&mut *reader);
    host.write("proc/stat", "cpu0 10 0 0 10 0 0 0 0\n");
    let rows = seen(&read(&mut *reader));
    assert_eq!(cpu(&rows, "0").get("user_msec"), Some(ms(10)));
    assert_eq!(cpu(&rows, "0").get("util_per"), None);
}

#[test]
fn a_cpu_that_goes_offline_loses_its_row_and_comes_back_without_a_false_share() {
    let host = host("cpu0 1 0 0 9 0 0 0 0\ncpu1 1 0 0 9000 0 0 0 0\n");
    let mut reader = Cpu::boxed(&host.env());
    read(&mut *reader);
    host.write("proc/stat", "cpu0 2 0 0 18 0 0 0 0\n");
    let batch = read(&mut *reader);
    assert_eq!(ids(&seen(&batch)), ["0"]);
    assert!(batch.completed().iter().any(|table| table.name == "system_cpu"), "the row ends at once");
    host.write("proc/stat", "cpu0 3 0 0 27 0 0 0 0\ncpu1 1 0 0 8999 0 0 0 0\n");
    let back = seen(&read(&mut *reader));
    assert_eq!(cpu(&back, "1").get("util_per"), None);
    assert_eq!(cpu(&back, "1").get("idle_msec"), Some(ms(9000)), "held, not fallen");
    host.write("proc/stat", "cpu0 4 0 0 36 0 0 0 0\ncpu1 2 0 0 9003 0 0 0 0\n");
    assert_eq!(cpu(&seen(&read(&mut *reader)), "1").get("util_per"), Some(25.0));
}

#[test]
fn softirqs_packets_and_clock_rates_are_matched_by_the_cpus_number() {
    let host = host("cpu0 1 0 0 1\ncpu2 1 0 0 1\n");
    host.write(
        "proc/softirqs",
        "   CPU0  CPU1  CPU2\n RCU: 1 2 3\nTIMER: 4 5 6\nSCHED: 7 8 9\nNET_RX: 10 11 4294967295\nHI: 0 0 0\n",
    );
    host.write(
        "proc/1/net/softnet_stat",
        "00000001 0000000a 0 0 0 0 0 0 0 0000000b 0 0 00000002 0 0\n00000001 0000000c 0 0 0 0 0 0 0 0000000d 0 0 00000000 0 0\n",
    )
    .write("proc/1/net/dev", "");
    host.write(
        "proc/cpuinfo",
        "processor\t: 0\ncpu MHz\t\t: 2000.125\n\nprocessor\t: 2\nflags: cpu MHz\ncpu MHz\t\t: 3000.5\n",
    );
    let rows = seen(&read(&mut *Cpu::boxed(&host.env())));
    let (zero, two) = (cpu(&rows, "0"), cpu(&rows, "2"));
    assert_eq!(
        ["rcu", "timer", "sched", "net_rx"].map(|c| two.get(c)),
        [3.0, 6.0, 9.0, 4_294_967_295.0].map(Some)
    );
    assert_eq!((zero.get("backlog_drops"), zero.get("rps_count")), (Some(12.0), Some(13.0)));
    assert_eq!((two.get("backlog_drops"), two.get("rps_count")), (Some(10.0), Some(11.0)));
    assert_eq!((zero.get("mhz"), two.get("mhz")), (Some(2000.125), Some(3000.5)));
}

#[test]
fn rows_without_a_cpu_column_are_taken_in_order_only_if_there_is_one_for_each_cpu() {
    let old = b"00000001 0000000a 0 0 0 0 0 0 0 0000000b 0\n00000001 0000000c 0 0 0 0 0 0 0 0000000d 0\n";
    let mut cpus = Vec::new();
    parse::stat(b"cpu0 1\ncpu3 1\n", &mut cpus);
    parse::softnet(old, &mut cpus);
    assert_eq!(cpus.iter().map(|cpu| cpu.backlog_drops).collect::<Vec<_>>(), [Some(10), Some(12)]);
    let mut one = Vec::new();
    parse::stat(b"cpu3 1\n", &mut one);
    parse::softnet(old, &mut one);
    assert_eq!(one[0].backlog_drops, None);
}

#[test]
fn what_cannot_be_read_is_absent_and_counted() {
    let host = host("cpu0 1 0 0 1 0 0 0 0\n");
    let batch = read(&mut *Cpu::boxed(&host.env()));
    assert_eq!(batch.skipped(), [("unreadable", 3)]);
    assert_eq!(cpu(&seen(&batch), "0").get("mhz"), None);
    let empty = FakeHost::new();
    let batch = read(&mut *Cpu::boxed(&empty.env()));
    assert_eq!((batch.rows().len(), batch.completed().len()), (0, 0));
}

#[test]
fn this_hosts_counts_lie_between_two_readings_of_the_kernels_files() {
    let kernel = || {
        let mut cpus = Vec::new();
        parse::stat(&std::fs::read("/proc/stat").expect("stat"), &mut cpus);
        parse::softirqs(&std::fs::read("/proc/softirqs").expect("softirqs"), &mut cpus);
        cpus
    };
    let mut reader = Cpu::boxed(&Env::default());
    let before = kernel();
    let rows = seen(&read(&mut *reader));
    let after = kernel();
    for (before, after) in before.iter().zip(&after) {
        let row = cpu(&rows, &before.id.to_string());
        for (column, name) in ["rcu", "timer", "sched", "net_rx"].iter().enumerate() {
            let value = row.get(name).expect("present");
            let range = [before, after].map(|cpu| cpu.softirqs[column].expect("present") as f64);
            assert!(range[0] <= value && value <= range[1], "{name}: {value} in {range:?}");
        }
        let user = row.get("user_msec").expect("present");
        let range = [before, after].map(|cpu| ms(cpu.times.0[times::USER].expect("present")));
        assert!(range[0] <= user && user <= range[1], "{user} in {range:?}");
    }
    assert_eq!(rows.len(), before.len() + 1);
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(bytes: Vec<u8>, text in "(cpu|CPU|RCU:|processor|cpu MHz|:| |[0-9a-f]{1,22}|\n){0,60}") {
        for text in [&bytes[..], text.as_bytes()] {
            let mut cpus = Vec::new();
            let _ = parse::stat(text, &mut cpus);
            parse::stat(b"cpu0 1\ncpu7 1\n", &mut cpus);
            parse::softirqs(text, &mut cpus);
            parse::softnet(text, &mut cpus);
            parse::cpuinfo(text, &mut cpus);
            prop_assert!(cpus.is_sorted_by_key(|cpu| cpu.id));
        }
    }

    #[test]
    fn no_two_readings_make_a_share_outside_0_to_100_or_a_time_that_falls_a_little(
        before: [Option<u64>; 8],
        steps in prop::array::uniform8(-400i64..400),
    ) {
        let before = Times(before);
        let mut now = before;
        for (value, step) in now.0.iter_mut().zip(steps) {
            *value = value.map(|v| v.saturating_add_signed(step));
        }
        let held = now.not_before(&before, 300);
        for ((held, before), now) in held.0.iter().zip(before.0).zip(now.0) {
            if let (Some(held), Some(before), Some(now)) = (held, before, now) {
                prop_assert!(*held >= before || before - now > 300);
            }
        }
        if let Some(share) = held.busy_since(&before) {
            prop_assert!((0.0..=100.0).contains(&share));
        }
        let _ = Times([Some(u64::MAX); 8]).busy_since(&Times([Some(0); 8]));
    }
}
