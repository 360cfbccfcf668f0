//! The `nic` reader against fake trees and against this host.

use super::*;
use probe_core::{ParamValue, Params, Value};
use probe_kit::testing::{FakeHost, SeenRow, order, poll, seen};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const HEAD: &str = "Inter-|   Receive        |  Transmit\n face |bytes packets errs drop|bytes\n";

fn dev(host: &FakeHost, devices: &[(&str, u64, u64)]) {
    let lines: Vec<_> = devices
        .iter()
        .map(|(name, rx, tx)| format!("{name:>6}: {rx} 2 3 4 0 0 0 0 {tx} 6 7 8 0 0 0 0\n"))
        .collect();
    host.write("proc/net/dev", format!("{HEAD}{}", lines.concat()));
}

fn host() -> FakeHost {
    let host = FakeHost::new();
    dev(&host, &[("lo", 1, 1), ("eth0", 1024, 2048), ("veth1", 5, 5)]);
    host.write("sys/devices/virtual/net/lo/x", "").write("sys/devices/virtual/net/veth1/x", "");
    host.write("sys/class/net/eth0/operstate", "up\n").write("sys/class/net/eth0/ifindex", "2\n");
    host
}

fn read(reader: &mut dyn Reader, elapsed: Option<Duration>) -> Batch {
    let mut out = Batch::new(SystemTime::now());
    reader.read(Tick { index: u64::from(elapsed.is_some()), elapsed, missed: 0 }, &mut out);
    out
}

fn named(rows: &[SeenRow]) -> Vec<&str> {
    rows.iter().filter_map(|row| row.label("dev_name")).collect()
}

fn choose(reader: &mut dyn Reader, names: &[&str]) {
    let mut params = Params::default();
    params.set(&params::DEV_NAME, ParamValue::Words(names.iter().map(ToString::to_string).collect()));
    reader.apply(&Order { params: Arc::new(params), ..order(&["nic"]) });
}

#[test]
fn physical_devices_alone_are_reported_unless_some_are_named() {
    let host = host();
    let mut nic = Nic::boxed(&host.env());
    assert_eq!(named(&seen(&read(&mut *nic, None))), ["eth0"]);
    choose(&mut *nic, &["veth1", "gone"]);
    let rows = seen(&read(&mut *nic, None));
    assert_eq!(named(&rows), ["veth1"]);
    assert_eq!(rows[0].label("status"), Some("unknown"), "no operstate to read");
    choose(&mut *nic, &[]);
    assert_eq!(named(&seen(&read(&mut *nic, None))), ["eth0"]);
}

#[test]
fn without_a_list_of_virtual_devices_only_named_ones_are_reported() {
    let host = FakeHost::new();
    dev(&host, &[("lo", 1, 1), ("eth0", 1, 1)]);
    let mut nic = Nic::boxed(&host.env());
    assert_eq!(read(&mut *nic, None).rows().len(), 0);
    choose(&mut *nic, &["eth0"]);
    assert_eq!(named(&seen(&read(&mut *nic, None))), ["eth0"]);
}

#[test]
fn counters_are_the_kernels_and_speeds_need_a_reading_before() {
    let host = host();
    let mut nic = Nic::boxed(&host.env());
    let first = seen(&read(&mut *nic, None));
    assert_eq!(first[0].label("status"), Some("up"));
    assert_eq!(
        [
            "rx_bytes",
            "rx_packets",
            "rx_errs",
            "rx_dropped",
            "tx_bytes",
            "tx_packets",
            "tx_errs",
            "tx_dropped"
        ]
        .map(|c| first[0].get(c)),
        [1024.0, 2.0, 3.0, 4.0, 2048.0, 6.0, 7.0, 8.0].map(Some)
    );
    assert_eq!((first[0].get("rxspeed_KB"), first[0].get("tc_backlog")), (None, None));
    dev(&host, &[("eth0", 1024 + 10 * 1024, 2048 + 5 * 1024)]);
    let second = seen(&read(&mut *nic, Some(Duration::from_millis(2500))));
    assert_eq!((second[0].get("rxspeed_KB"), second[0].get("txspeed_KB")), (Some(4.0), Some(2.0)));
}

#[test]
fn a_counter_that_was_reset_has_no_speed_and_a_device_that_went_has_no_row() {
    let host = host();
    let mut nic = Nic::boxed(&host.env());
    read(&mut *nic, None);
    dev(&host, &[("eth0", 3, 4096)]);
    let rows = seen(&read(&mut *nic, Some(Duration::from_secs(1))));
    assert_eq!((rows[0].get("rxspeed_KB"), rows[0].get("txspeed_KB")), (None, Some(2.0)));
    dev(&host, &[]);
    let gone = read(&mut *nic, Some(Duration::from_secs(1)));
    assert_eq!(gone.rows().len(), 0);
    assert_eq!(gone.completed().iter().map(|t| t.name).collect::<Vec<_>>(), ["nic"]);
    dev(&host, &[("eth0", 999_999, 999_999)]);
    let back = seen(&read(&mut *nic, Some(Duration::from_secs(1))));
    assert_eq!(back[0].get("rxspeed_KB"), None, "a device that came back starts anew");
}

#[test]
fn a_listing_that_cannot_be_read_ends_no_row_and_is_counted() {
    let host = host();
    let mut nic = Nic::boxed(&host.env());
    read(&mut *nic, None);
    let empty = FakeHost::new();
    let mut nic = Nic::boxed(&empty.env());
    let batch = read(&mut *nic, None);
    assert_eq!((batch.completed().len(), batch.skipped()), (0, &[("unreadable", 1)][..]));
    let missing = nic.missing();
    assert!(missing[0].contains("proc/net/dev") && missing[1].contains("dev_name"), "{missing:?}");
}

#[test]
fn this_hosts_loopback_bytes_lie_between_two_readings_of_the_kernels_file() {
    let kernel = || {
        let text = std::fs::read("/proc/net/dev").expect("dev");
        let (_, counts) = devices(&text).find(|(name, _)| *name == b"lo").expect("lo");
        counts.rx_bytes.expect("a count")
    };
    let mut nic = Nic::boxed(&Env::default());
    choose(&mut *nic, &["lo"]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let before = kernel();
    socket.send_to(&[0; 1000], socket.local_addr().expect("address")).expect("sent");
    let batch = read(&mut *nic, None);
    let after = kernel();
    let rows = seen(&batch);
    let (_, Value::Counter(bytes)) = &rows[0].values[0] else { panic!("a counter: {rows:?}") };
    assert!(before + 1000 <= *bytes && *bytes <= after, "{before} {bytes} {after}");
}

#[test]
fn each_device_with_a_root_queue_here_has_its_counts() {
    let mut socket = Rtnl::open().expect("a socket");
    let queues = qdisc::read(&mut socket).expect("read");
    let mut nic = Nic::boxed(&Env::default());
    let names: Vec<_> = std::fs::read_dir("/sys/class/net")
        .expect("devices")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    choose(&mut *nic, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for row in seen(&read(&mut *nic, None)) {
        let name = row.label("dev_name").expect("a name");
        let index = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).expect("an index");
        let has_queue = queues.contains_key(&index.trim().parse().expect("a number"));
        assert_eq!(row.get("tc_backlog").is_some(), has_queue, "{name}");
    }
}

#[test]
fn the_feature_reports_devices_tick_by_tick() {
    let host = host();
    let mut probe = super::super::Baseinfo::new(&host.env());
    probe_core::Poll::apply(&mut probe, &order(&["nic"])).expect("applies");
    let batch = poll(&mut probe, probe_kit::testing::tick(0, Duration::from_secs(1)));
    assert_eq!(named(&seen(&batch)), ["eth0"]);
}
