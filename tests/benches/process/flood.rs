//! What a flood does to the daemon: slow clients, refused requests and handshakes that are never finished, all at
//! once, while it is scraped and its probe runs. And what a handshake costs.

use crate::Length;
use crate::keepalive::KeepAlive;
use crate::latency::BASEINFO;
use crate::measure::{cpu, memory};
use crate::report::Report;
use gopher_e2e::pki::{Authority, Pair, private};
use gopher_e2e::{Daemon, Setup, process};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;

/// Clients that send a byte of a head now and then.
const SLOW: usize = 500;
/// Refused requests a second.
const REFUSED: usize = 10_000;
/// Handshakes that are open at a time and never finished.
const HALF_OPEN: usize = 300;
/// Between two scrapes.
const PAUSE: Duration = Duration::from_millis(40);
/// Period of the probe in [`BASEINFO`].
const PERIOD_MS: f64 = 5000.0;

/// Adds the flood's rows and the handshake's.
pub(crate) fn measure(length: Length, report: &mut Report) {
    flood(length, report);
    for (name, kind) in [("ECDSA P-256", "EC"), ("RSA 2048", "RSA")] {
        handshakes(length, report, name, kind);
    }
}

/// A daemon's folder with an authority, a certificate of this kind of key, and tokens; the control listener is
/// plain or TLS as `rest` says, the metrics listener TLS.
fn setup(authority: &Authority, kind: &str, rest: &str) -> Setup {
    let setup = Setup::new();
    let dir = setup.path("");
    server(authority, kind, &dir);
    std::fs::write(dir.join("ca.crt"), authority.pem()).expect("written");
    private(&dir.join("tokens"), "# nobody\n");
    let (control, metrics, dir) = (setup.rest_port, setup.metrics_port, dir.display());
    let keys =
        format!("ssl_auth = \"on\"\nprivate_key = \"{dir}/server.key\"\ncert_file = \"{dir}/server.crt\"\n");
    let rest = rest.replace("KEYS", &keys).replace("DIR", &dir.to_string());
    // Every other setting as it is by default.
    let text = format!("[rest_api_server]\nport = {control}\n{rest}\n[web_server]\nport = {metrics}\n{keys}");
    setup.file("gopherd.toml", text)
}

fn server(authority: &Authority, kind: &str, dir: &Path) {
    let options = match kind {
        "RSA" => ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        _ => ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    };
    let key = process::text_of("openssl", &[&["genpkey"], &options[..]].concat());
    authority.issue_for(&key, "server", (-1, 90), gopher_e2e::pki::local).write(dir, "server");
}

fn connector(authority: &Authority, client: Option<&Pair>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let pem = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).expect("a certificate");
    roots.add(pem(&authority.pem())).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
            config.with_client_auth_cert(vec![pem(&pair.cert)], key).expect("a client's certificate")
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// What scrapes, memory and the probe's period were over some time.
#[derive(Default)]
struct Seen {
    latency: Vec<f64>,
    rss: f64,
    cpu: f64,
    /// When the measurements were made, in milliseconds, each once.
    measured_at: Vec<f64>,
}

impl Seen {
    fn over(time: Duration, daemon: &Daemon<'_>, scraper: &mut KeepAlive) -> Self {
        let (mut seen, began, before) = (Self::default(), Instant::now(), cpu(daemon.pid()));
        while began.elapsed() < time {
            let asked = Instant::now();
            scraper.get("/metrics");
            seen.latency.push(asked.elapsed().as_secs_f64() * 1e3);
            if seen.latency.len() % 10 == 0 {
                seen.rss = seen.rss.max(memory(daemon.pid()).rss);
                let text = String::from_utf8_lossy(&scraper.get("/metrics/per_period")).into_owned();
                let newest = text
                    .lines()
                    .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                    .fold(0.0, f64::max);
                if newest > 0.0 && seen.measured_at.last() != Some(&newest) {
                    seen.measured_at.push(newest);
                }
            }
            sleep(PAUSE);
        }
        seen.cpu = 100.0 * (cpu(daemon.pid()) - before).as_secs_f64() / began.elapsed().as_secs_f64();
        seen.latency.sort_by(f64::total_cmp);
        seen
    }

    fn quantile(&self, of: f64) -> f64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        // a place in a short list
        let at = (of * (self.latency.len() - 1) as f64) as usize;
        self.latency[at]
    }

    /// By how much the worst period was too long or too short, in milliseconds.
    fn slip(&self) -> f64 {
        let pairs = self.measured_at.windows(2);
        pairs.map(|pair| (pair[1] - pair[0] - PERIOD_MS).abs()).fold(0.0, f64::max)
    }
}

fn flood(length: Length, report: &mut Report) {
    let authority = Authority::new("authority");
    let setup = setup(&authority, "EC", "tokens_file = \"DIR/tokens\"");
    let daemon = setup.start();
    daemon.socket().put("/baseinfo", BASEINFO).expect(200);
    let mut scraper = KeepAlive::open_tls(setup.metrics_port, &connector(&authority, None));
    let time = Duration::from_secs(length.pick(40, 15));
    // The first periods, the per-period view and the allocator's first growth are not of the flood.
    Seen::over(Duration::from_secs(11), &daemon, &mut scraper);
    let calm = Seen::over(time, &daemon, &mut scraper);

    let attack = Attack::start(&setup);
    let under = Seen::over(time, &daemon, &mut scraper);
    let (sent, refused) = attack.end();
    let after = Seen::over(Duration::from_secs(15), &daemon, &mut scraper);

    let ratio = |of| vec![under.quantile(of) / calm.quantile(of)];
    report.limited("flood: scrape latency over that before (median)", "×", 2.0, ratio(0.5));
    report.shown("flood: the same, 95 of 100", "×", ratio(0.95));
    report.shown("flood: scrape latency before", "ms", vec![calm.quantile(0.5)]);
    report.shown("flood: scrape latency during", "ms", vec![under.quantile(0.5)]);
    report.limited("flood: RSS above that before", "MB", 32.0, vec![under.rss - calm.rss]);
    let left = memory(daemon.pid()).rss - calm.rss;
    report.limited("flood: RSS above that before, 15 s after it", "MB", 4.0, vec![left]);
    report.limited("flood: period of baseinfo off by", "ms", 100.0, vec![under.slip()]);
    report.shown("before the flood: period of baseinfo off by", "ms", vec![calm.slip().max(after.slip())]);
    report.shown("flood: CPU", "% of a core", vec![under.cpu]);
    #[allow(clippy::cast_precision_loss)] // some hundred thousands
    let rate = |count: u64| count as f64 / time.as_secs_f64();
    report.shown("flood: refused requests", "/s", vec![rate(refused)]);
    report.note(format!(
        "Flood: {SLOW} slow clients and {:.0} PUT/s at the control listener, {HALF_OPEN} unfinished handshakes at the metrics \
         listener, which is scraped in TLS.",
        rate(sent)
    ));
}

/// Everything at once, on threads of its own.
struct Attack {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Attack {
    fn start(setup: &Setup) -> Self {
        let (over, sent, refused) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (control, metrics) = (setup.rest_port, setup.metrics_port);
        let mut attack = Self { over, sent, refused, threads: Vec::new() };
        attack.spawn(move |attack| slow_clients(control, attack));
        attack.spawn(move |attack| refused_requests(control, attack));
        attack.spawn(move |attack| half_open(metrics, attack));
        attack
    }

    fn spawn(&mut self, work: impl FnOnce(&Self) + Send + 'static) {
        let (over, sent, refused) =
            (Arc::clone(&self.over), Arc::clone(&self.sent), Arc::clone(&self.refused));
        let run = move || work(&Self { over, sent, refused, threads: Vec::new() });
        self.threads.push(std::thread::Builder::new().spawn(run).expect("a thread"));
    }

    /// Requests that were sent and that were refused.
    fn end(self) -> (u64, u64) {
        self.over.store(true, Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("an attacker"));
        (self.sent.load(Relaxed), self.refused.load(Relaxed))
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Relaxed)
    }
}

fn connect(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    Some(stream)
}

/// Heads that come byte by byte; whoever is cut off comes again.
fn slow_clients(port: u16, attack: &Attack) {
    let begin = || {
        let mut stream = connect(port)?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").ok()?;
        Some(stream)
    };
    let mut clients: Vec<Option<TcpStream>> = (0..SLOW).map(|_| begin()).collect();
    while attack.goes_on() {
        sleep(Duration::from_secs(1));
        for client in &mut clients {
            if client.as_mut().is_none_or(|stream| stream.write_all(b"x").is_err()) {
                *client = begin();
            }
        }
    }
}

/// PUTs without a token, pipelined so that sending them costs little beside refusing them.
fn refused_requests(port: u16, attack: &Attack) {
    const BATCH: usize = 10;
    let one = "PUT /baseinfo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\njson={}";
    let batch = one.repeat(BATCH);
    let (began, mut done) = (Instant::now(), 0_u64);
    let mut stream = connect(port);
    let mut buffer = vec![0; 64 << 10];
    while attack.goes_on() {
        let Some(open) = stream.as_mut().filter(|open| (&**open).write_all(batch.as_bytes()).is_ok()) else {
            stream = connect(port);
            continue;
        };
        let mut answers = 0;
        while answers < BATCH {
            let Ok(size @ 1..) = open.read(&mut buffer) else { break };
            answers += buffer[..size].windows(10).filter(|piece| *piece == b"HTTP/1.1 4").count();
        }
        if answers < BATCH {
            stream = None;
        }
        done += BATCH as u64;
        attack.sent.fetch_add(BATCH as u64, Relaxed);
        attack.refused.fetch_add(answers as u64, Relaxed);
        let due = Duration::from_secs(done) / u32::try_from(REFUSED).expect("small");
        sleep(due.saturating_sub(began.elapsed()));
    }
}

/// Connections on which no handshake ever comes.
fn half_open(port: u16, attack: &Attack) {
    let mut open = std::collections::VecDeque::new();
    while attack.goes_on() {
        // The daemon gives each up after five seconds.
        for _ in 0..HALF_OPEN / 50 {
            if open.len() >= HALF_OPEN {
                open.pop_front();
            }
            open.extend(connect(port));
        }
        sleep(Duration::from_millis(100));
    }
}

/// CPU of the daemon for a connection with a client certificate and one request on it.
fn handshakes(length: Length, report: &mut Report, name: &str, kind: &str) {
    let authority = Authority::new("authority");
    let setup = setup(&authority, kind, "KEYSca_file = \"DIR/ca.crt\"\nrequests_per_second = 100000");
    let daemon = setup.start();
    let tls = connector(&authority, Some(&authority.client("client")));
    let connect = |count: u32| {
        let before = cpu(daemon.pid());
        for _ in 0..count {
            KeepAlive::open_tls(setup.rest_port, &tls).get("/healthz");
        }
        (cpu(daemon.pid()) - before).as_secs_f64() * 1e3 / f64::from(count)
    };
    connect(20);
    let each = (0..length.pick(7, 3)).map(|_| connect(length.pick(100, 30))).collect();
    report.limited(&format!("handshake with client certificate, server key {name}: CPU"), "ms", 3.0, each);
}
