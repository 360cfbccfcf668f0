//! CPU of a scrape: the `baseinfo` families of the daemon against node_exporter's defaults, in turn.

use crate::Length;
use crate::keepalive::KeepAlive;
use crate::latency::BASEINFO;
use crate::measure::{cpu, memory};
use crate::report::Report;
use gopher_e2e::daemon::free_port;
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Client, Setup, eventually};
use std::time::Instant;
use tempfile::TempDir;

/// A running node_exporter with the collectors it has by default.
pub(crate) struct NodeExporter {
    process: Background,
    port: u16,
    _home: TempDir,
}

impl NodeExporter {
    /// Starts it and waits until it answers.
    pub(crate) fn start() -> Self {
        let (home, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
        let mut program = command("prometheus-node-exporter");
        program.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Background::start(program, &home.path().join("log"));
        let client = Client::port(port);
        eventually("node_exporter to answer", || client.try_send("GET", "/", &[], Vec::new()).ok());
        Self { process, port, _home: home }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// One of the two that are compared.
struct Side {
    pid: u32,
    connection: KeepAlive,
    milliseconds: Vec<f64>,
    wall: Vec<f64>,
    samples: usize,
}

impl Side {
    fn new(pid: u32, port: u16) -> Self {
        let connection = KeepAlive::open(port);
        Self { pid, connection, milliseconds: Vec::new(), wall: Vec::new(), samples: 0 }
    }

    /// Scrapes so often and notes the CPU time of one, and how long it took.
    fn block(&mut self, scrapes: u32) -> f64 {
        let (start, before) = (Instant::now(), cpu(self.pid));
        for _ in 0..scrapes {
            let body = self.connection.get("/metrics");
            let lines = body.split(|byte| *byte == b'\n');
            self.samples = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).count();
        }
        let each = (cpu(self.pid) - before).as_secs_f64() * 1e3 / f64::from(scrapes);
        self.milliseconds.push(each);
        self.wall.push(start.elapsed().as_secs_f64() * 1e3 / f64::from(scrapes));
        each
    }
}

/// Adds both sides, their ratio, and memory after all these scrapes.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let (daemon, node) = (setup.start(), NodeExporter::start());
    daemon.put("baseinfo", BASEINFO);
    // Rates are there from the second reading on.
    daemon.scrape_until("all of baseinfo", |scrape| scrape.value("gala_gopher_cpu_total_used_per", &[]));
    let mut ours = Side::new(daemon.pid(), setup.metrics_port);
    let mut theirs = Side::new(node.pid(), node.port);
    for side in [&mut ours, &mut theirs] {
        side.block(10);
        side.milliseconds.clear();
        side.wall.clear();
    }
    let scrapes = length.pick(100, 30);
    // The daemon's reading of the kernel falls into some blocks and is part of its cost there.
    let ratios = (0..length.pick(7, 3)).map(|_| ours.block(scrapes) / theirs.block(scrapes)).collect();
    report.limited("scrape of baseinfo: CPU over node_exporter's", "×", 1.0 / 20.0, ratios);
    report.shown("scrape of baseinfo: CPU", "ms", ours.milliseconds);
    report.shown("node_exporter: CPU of a scrape", "ms", theirs.milliseconds);
    report.shown("scrape of baseinfo: duration", "ms", ours.wall);
    report.shown("node_exporter: duration of a scrape", "ms", theirs.wall);
    report.shown("baseinfo, scraped: RSS", "MB", vec![memory(daemon.pid()).rss]);
    report.shown("node_exporter, scraped: RSS", "MB", vec![memory(node.pid()).rss]);
    report.note(format!("Samples of a scrape: {} here, {} of node_exporter.", ours.samples, theirs.samples));
}
