//! Devices and protocols are what `ip` and `nstat` say, with traffic that the test itself makes.

use gopher_e2e::bracket::{Seen, between, each_between};
use gopher_e2e::process::text_of;
use gopher_e2e::{Scrape, Setup, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Instant;

/// Sends `count` datagrams of a kilobyte to itself over the loopback device, each received before the next.
fn datagrams(count: usize) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let to = socket.local_addr().expect("its address");
    let mut buffer = [7; 1000];
    for _ in 0..count {
        socket.send_to(&buffer.clone(), to).expect("sent");
        socket.recv(&mut buffer).expect("received");
    }
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
    let counters = |devices: Value| {
        let start = links();
        datagrams(100);
        let before = links();
        let config = json!({"cmd": {"probe": ["nic"]}, "params": {"dev_name": devices}});
        let scrape = daemon.reading(config, "gala_gopher_nic_rx_bytes");
        let after = links();
        let mut names = Vec::new();
        for sample in scrape.all("gala_gopher_nic_rx_bytes") {
            let device = sample.label("dev_name").expect("a device");
            names.push(device.to_owned());
            for direction in ["rx", "tx"] {
                for (field, key) in
                    [("bytes", "bytes"), ("packets", "packets"), ("errs", "errors"), ("dropped", "dropped")]
                {
                    let value =
                        scrape.must(&format!("gala_gopher_nic_{direction}_{field}"), &[("dev_name", device)]);
                    let other = |links: &BTreeMap<String, Value>| {
                        links[device][direction][key].as_f64().expect("a number")
                    };
                    between(&format!("{device} {direction} {field}"), other(&before), value, other(&after));
                    if device == "lo" && field == "bytes" {
                        assert!(value >= other(&start) + 100_000.0, "the datagrams are not in {value}");
                    }
                }
            }
        }
        names
    };
    assert_eq!(counters(json!(["lo"])), ["lo"], "a virtual device is there when it is asked for");
    let is_virtual = |name: &String| std::path::Path::new("/sys/devices/virtual/net").join(name).exists();
    let physical: Vec<String> = links().into_keys().filter(|name| !is_virtual(name)).collect();
    if physical.is_empty() {
        eprintln!("this host has no physical network device; only lo was compared");
        return;
    }
    let mut all = counters(json!(""));
    all.sort();
    assert_eq!(all, physical, "all physical devices and no other");
}

#[test]
fn a_rate_is_what_the_counter_grew_by_in_the_time_between_the_readings() {
    let setup = Setup::new();
    let daemon = setup.start();
    let [bytes, speed] = ["gala_gopher_nic_rx_bytes", "gala_gopher_nic_rxspeed_KB"];
    let value = |scrape: &Scrape, name: &str| scrape.value(name, &[("dev_name", "lo")]);
    eventually("a first reading that is seen before the second", || {
        let start = Instant::now();
        let first = daemon.reading(json!({"cmd": {"probe": ["nic"]}, "params": {"dev_name": "lo"}}), bytes);
        if value(&first, speed).is_some() {
            return None;
        }
        let (second, seen) = daemon.scrape_until("the rate", |scrape| {
            if value(scrape, speed).is_none() {
                datagrams(200);
                return None;
            }
            Some((scrape.clone(), Instant::now()))
        });
        let grown = value(&second, bytes)? - value(&first, bytes)?;
        let rate = value(&second, speed)?;
        let most = seen.duration_since(start).as_secs_f64();
        let seconds = grown / 1024.0 / rate;
        assert!(grown > 200_000.0, "the datagrams are not in {grown}");
        // The second reading is due a second after the start; on a busy machine the first comes late.
        between("seconds between the readings", 0.5, seconds, most);
        Some(())
    });
}

/// Counters of the protocols, from nstat.
fn protocols() -> Value {
    let text = text_of("nstat", &["-a", "-z", "-s", "-j"]);
    serde_json::from_str::<Value>(&text).expect("JSON from nstat")["kernel"].clone()
}

/// Connections that are established now: the one number of the table that is a level.
fn established() -> f64 {
    let text = std::fs::read_to_string("/proc/net/snmp").expect("/proc/net/snmp");
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:")).map(str::split_whitespace);
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let found = names.zip(values).find(|(name, _)| *name == "CurrEstab");
    found.and_then(|(_, value)| value.parse().ok()).expect("CurrEstab")
}

#[test]
fn protocols_are_between_two_readings_of_nstat() {
    let setup = Setup::new();
    let daemon = setup.start();
    let start = protocols();
    datagrams(100);
    let held: Vec<_> = (0..20).map(|_| daemon.rest().connect()).collect();
    each_between(|| {
        let level = established();
        let before = protocols();
        let scrape = daemon.reading(json!({"cmd": {"probe": ["net"]}}), "gala_gopher_net_udp_indata_grams");
        let after = protocols();
        let value = |name: &str| scrape.must(&format!("gala_gopher_net_{name}"), &[]);
        for (name, key, moved) in [
            ("tcp_in_segs", "TcpInSegs", 20.0),
            ("tcp_out_segs", "TcpOutSegs", 20.0),
            ("tcp_retrans_segs", "TcpRetransSegs", 0.0),
            ("tcp_in_errs", "TcpInErrs", 0.0),
            ("udp_indata_grams", "UdpInDatagrams", 100.0),
            ("udp_outdata_grams", "UdpOutDatagrams", 100.0),
        ] {
            let other = |reading: &Value| reading[key].as_f64().expect("a number");
            between(key, other(&before), value(name), other(&after));
            assert!(value(name) >= other(&start) + moved, "{key}: what this test sent is not in it");
        }
        let name = "tcp_curr_estab".to_owned();
        vec![Seen { value: value(&name), name, other: [level, established()] }]
    });
    drop(held);
}
