//! From the reading to a client of the live stream: how old an event is when the client has it.

use crate::Length;
use crate::report::Report;
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Setup, eventually};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::time::SystemTime;

/// Processes of which each is an event of each period.
const PROCESSES: usize = 200;

/// Adds the age at the median and at the 99th percentile. It begins with the time at which the reading of all processes
/// began, so the reading itself is in it.
pub(crate) fn measure(length: Length, report: &mut Report) {
    // 0: told in every period.
    let setup = Setup::new().section("event", "timeout = 0");
    let daemon = setup.start();
    let script =
        format!("ulimit -n 20; i=0; while [ $i -lt {PROCESSES} ]; do sleep 600 & i=$((i+1)); done; wait");
    let mut shell = command("sh");
    // A name of its own, so that nobody else's processes are looked at.
    shell.args(["-c", &script]);
    let shell = Background::start(shell, &setup.path("shell.log"));
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", shell.pid());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let pids: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        (pids.len() >= PROCESSES).then_some(pids)
    };
    let pids = eventually("the processes", children);

    let mut connection = daemon.rest().connect();
    connection
        .write_all(b"GET /api/v1/events?follow=true&entity=proc HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .expect("asked");
    let order = json!({
        "cmd": {"probe": ["proc"]}, "snoopers": {"proc_id": pids}, "state": "running",
        "params": {"report_period": 5, "report_event": 1, "res_upper_thr": 5, "smaps": 0},
    });
    daemon.put("baseinfo", &order.to_string());
    let periods = length.pick(10, 3);
    let mut ages = Vec::new();
    let mut lines = BufReader::new(connection).lines();
    while ages.len() < periods * PROCESSES {
        let line = lines.next().expect("the stream goes on").expect("a line");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        if let Some(data) = line.strip_prefix("data: ") {
            let document: Value = serde_json::from_str(data).expect("a document");
            let at = document["Timestamp"].as_f64().expect("a number");
            ages.push(now.as_secs_f64() * 1e3 - at);
        }
    }
    ages.sort_by(f64::total_cmp);
    let at = |part: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let index = (part * (ages.len() - 1) as f64) as usize;
        vec![ages[index]]
    };
    report.limited("event to a client of the live stream, 99th percentile", "ms", 50.0, at(0.99));
    report.shown("event to a client of the live stream, median", "ms", at(0.5));
    for pid in pids {
        if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
}
