//! How soon things happen: start to ready, PUT to the first value, SIGTERM to the end.
//!
//! Wall clock, so other load on the machine shows; the medians of many starts are what counts. The service
//! manager's socket tells the moment of ready, because polling would cost what it measures.

use crate::Length;
use crate::keepalive::KeepAlive;
use crate::report::Report;
use gopher_e2e::{Daemon, Setup};
use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// Beyond this the daemon is not slow but broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `make run` and the README switch on: all of `baseinfo` that needs no scope.
pub(crate) const BASEINFO: &str = r#"{"params":{"report_period":5},"state":"running"}"#;

#[derive(Default)]
struct Times {
    ready: Vec<f64>,
    value: Vec<f64>,
    end_idle: Vec<f64>,
    end_running: Vec<f64>,
}

/// Adds the three rows.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let mut times = Times::default();
    for turn in 0..length.pick(20, 4) {
        let setup = Setup::new();
        let notices = UnixDatagram::bind(setup.path("notify.sock")).expect("a socket");
        notices.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let setup = setup.env("NOTIFY_SOCKET", notices_path(&notices));
        // Before the start, so that no file is written within the time.
        setup.write();
        let start = Instant::now();
        let daemon = setup.spawn();
        await_ready(&notices);
        times.ready.push(ms(start));
        if turn % 2 == 0 {
            times.end_idle.push(end(daemon));
            continue;
        }
        let mut scraper = KeepAlive::open(setup.metrics_port);
        let put = Instant::now();
        daemon.put("baseinfo", BASEINFO);
        while !shows_a_value(&scraper.get("/metrics")) {
            assert!(put.elapsed() < PATIENCE, "no value of baseinfo");
        }
        times.value.push(ms(put));
        // A scraper that stays connected must not hold the end up.
        times.end_running.push(end(daemon));
    }
    report.limited("start to ready", "ms", 100.0, times.ready);
    report.limited("PUT to first value in /metrics", "ms", 100.0, times.value);
    report.limited("SIGTERM to end, idle", "ms", 300.0, times.end_idle);
    report.limited("SIGTERM to end, baseinfo and a connected scraper", "ms", 300.0, times.end_running);
}

fn notices_path(socket: &UnixDatagram) -> String {
    let address = socket.local_addr().expect("an address");
    address.as_pathname().and_then(|path| path.to_str()).expect("a path").to_owned()
}

fn await_ready(notices: &UnixDatagram) {
    let mut buffer = [0; 4096];
    loop {
        let size = notices.recv(&mut buffer).expect("a notice of the daemon");
        if buffer.get(..size).is_some_and(|text| text.starts_with(b"READY=1")) {
            return;
        }
    }
}

fn shows_a_value(body: &[u8]) -> bool {
    body.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"gala_gopher_"))
}

fn end(mut daemon: Daemon<'_>) -> f64 {
    let start = Instant::now();
    daemon.signal(Signal::TERM);
    loop {
        if let Some(status) = daemon.ended() {
            assert!(status.success(), "the end: {status}");
            return ms(start);
        }
        assert!(start.elapsed() < PATIENCE, "the daemon does not end");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
