//! A process that delivers, and the test's hold on it. It is this test binary itself, told to run one function.

use gopher_e2e::kafka::PATIENCE;
use gopher_e2e::within;
use gopherd::config::{find, load};
use gopherd::delivery::board::Board;
use gopherd::delivery::{Accept as _, Delivery, Message, Stream};
use gopherd::readiness::Readiness;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

const FILE: &str = "GOPHERD_TEST_DELIVERS";
/// So far ahead is what is sent as `ahead`: brokers take an hour unless they are told otherwise.
const DAYS: Duration = Duration::from_secs(2 * 86_400);

/// The folders and the configuration of a process that delivers; they outlive it.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) home: tempfile::TempDir,
}

impl Setup {
    pub(crate) fn new(config: &str) -> Self {
        let setup = Self { home: tempfile::tempdir().expect("a folder") };
        setup.configure(config);
        setup
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes the configuration; a process that runs is told by `reload`.
    pub(crate) fn configure(&self, config: &str) {
        let home = self.home.path().display();
        let mut text =
            format!("[paths]\nrun = \"{home}/run\"\nstate = \"{home}/state\"\nlog = \"{home}/log\"\n");
        let _ = writeln!(text, "{config}");
        fs::write(self.path("gopherd.toml"), text).expect("written");
    }

    pub(crate) fn start(&self) -> Driver {
        self.start_with(&[])
    }

    /// The same with these environment variables.
    pub(crate) fn start_with(&self, env: &[(&str, String)]) -> Driver {
        Driver::start(&self.path("gopherd.toml"), env)
    }
}

/// A process that delivers.
#[derive(Debug)]
pub(crate) struct Driver {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<Value>,
    /// The sequence numbers that `accept` has returned for, in order: first and count.
    accepted: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Driver {
    fn start(config: &Path, env: &[(&str, String)]) -> Self {
        let mut command = gopher_e2e::process::command(std::env::current_exe().expect("this binary"));
        command.args(["--ignored", "--exact", "driver::the_process_that_delivers", "--nocapture"]);
        let log = fs::File::options().create(true).append(true).open(config.with_extension("log"));
        let mut child = command
            .env(FILE, config)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("a child");
        let orders = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (send, answers) = channel();
        let accepted = Arc::<Mutex<Vec<(u64, u64)>>>::default();
        let into = Arc::clone(&accepted);
        let read = move || {
            for line in lines.map_while(Result::ok) {
                // The last line of a process that was killed may be cut.
                let Some(value) = line.strip_prefix('@').and_then(|json| serde_json::from_str(json).ok())
                else {
                    continue;
                };
                let value: Value = value;
                match value["accepted"].as_array().map(Vec::as_slice) {
                    Some([first, count]) => {
                        let pair = (first.as_u64().expect("a number"), count.as_u64().expect("a number"));
                        into.lock().expect("lines").push(pair);
                    }
                    _ => drop(send.send(value)),
                }
            }
        };
        std::thread::Builder::new().name("lines".into()).spawn(read).expect("a thread");
        let driver = Self { child, orders, answers, accepted };
        driver.answer("ready");
        driver
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the process takes orders");
    }

    #[track_caller]
    fn answer(&self, name: &str) -> Value {
        let answer = self.answers.recv_timeout(Duration::from_secs(120));
        let mut answer = answer.unwrap_or_else(|_| panic!("no answer {name}"));
        answer[name].take()
    }

    /// Has `count` messages of `size` bytes accepted, fifty at a time; returns when all are. The stream is `event`, `meta`,
    /// or `ahead`: events of a time that has not come, which a broker refuses.
    #[track_caller]
    pub(crate) fn send(&mut self, stream: &str, count: u64, size: usize) {
        self.order(&format!("send {stream} {count} {size}"));
        self.answer("sent");
    }

    /// From now on has events accepted without a pause until `halt` or its end.
    pub(crate) fn flow(&mut self) {
        self.order("flow");
    }

    /// Ends the flow.
    pub(crate) fn halt(&mut self) {
        self.order("halt");
        self.answer("halted");
    }

    /// Reads the configuration again.
    #[track_caller]
    pub(crate) fn reload(&mut self) {
        self.order("reload");
        self.answer("reloaded");
    }

    /// The document of `GET /api/v1/spool`.
    #[track_caller]
    pub(crate) fn spool(&mut self) -> Value {
        self.order("spool");
        self.answer("spool")
    }

    /// What `readyz` would show.
    #[track_caller]
    pub(crate) fn problems(&mut self) -> String {
        self.order("problems");
        self.answer("problems").to_string()
    }

    /// Gives up what waits for a sink.
    #[track_caller]
    pub(crate) fn purge(&mut self, sink: &str) -> u64 {
        self.order(&format!("purge {sink}"));
        self.answer("purged").as_u64().expect("a number")
    }

    /// The only sink, or the one whose name begins so.
    #[track_caller]
    pub(crate) fn sink(&mut self, name: &str) -> Value {
        let spool = self.spool();
        let sinks = spool["sinks"].as_array().expect("sinks");
        let found =
            sinks.iter().find(|sink| sink["sink"].as_str().is_some_and(|sink| sink.starts_with(name)));
        found.unwrap_or_else(|| panic!("no sink {name} in {spool}")).clone()
    }

    /// Messages that `sink` has lost, by the process's own account.
    #[track_caller]
    pub(crate) fn lost(&mut self, sink: &str) -> u64 {
        let sink = self.sink(sink);
        sink["lost"].as_object().expect("losses").values().filter_map(Value::as_u64).sum()
    }

    /// Waits until nothing waits for `sink`.
    #[track_caller]
    pub(crate) fn drained(&mut self, sink: &str) {
        let done = |driver: &mut Self| (driver.sink(sink)["pending_records"] == 0).then_some(());
        within(PATIENCE, || done(self)).expect("the spool is drained");
    }

    /// What `accept` has returned for so far.
    pub(crate) fn accepted(&self) -> Vec<u64> {
        let ranges = self.accepted.lock().expect("lines");
        ranges.iter().flat_map(|(first, count)| *first..first + count).collect()
    }

    /// Ends it in order.
    pub(crate) fn close(mut self) {
        self.order("close");
        assert!(self.child.wait().expect("its end").success());
    }

    /// Ends it as `kill -9` does; what it had accepted.
    pub(crate) fn kill(mut self) -> Vec<u64> {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
        // The pipe still holds what it had said.
        while self.answers.recv_timeout(Duration::from_secs(60)).is_ok() {}
        self.accepted()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn message(stream: Stream, ahead: Duration, number: u64, size: usize) -> Message {
    let now = SystemTime::now() + ahead;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let document = format!("{{\"number\":{number},\"fill\":\"{}\"}}", "x".repeat(size));
    Message {
        stream,
        key: format!("entity_{}", number % 5).into(),
        document: document.into_bytes().into(),
        at_ms: u64::try_from(now.as_millis()).expect("milliseconds"),
        live_only: false,
    }
}

fn say(value: &Value) {
    let mut out = std::io::stdout().lock();
    // Whoever listened may be gone.
    let _ = writeln!(out, "@{value}");
    let _ = out.flush();
}

fn accept(delivery: &Delivery, kind: (Stream, Duration), from: u64, count: u64, size: usize) {
    let (stream, ahead) = kind;
    let messages: Vec<Message> =
        (from..from + count).map(|number| message(stream, ahead, number, size)).collect();
    let first = delivery.acceptor().accept(&messages);
    say(&serde_json::json!({ "accepted": [first, count] }));
}

#[test]
#[ignore = "run as a child by the tests beside it"]
fn the_process_that_delivers() {
    let Some(file) = std::env::var_os(FILE) else { return };
    tracing_to_stderr(Path::new(&file));
    let read = || {
        let sources = find::gather(Some(Path::new(&file)), &[], std::iter::empty(), Vec::new());
        load(&sources).expect("a configuration").config
    };
    let readiness = Readiness::default();
    let delivery = Delivery::open(&read(), Board::new(readiness.clone()), "test-host".into());
    let flowing = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut flow = None;
    say(&serde_json::json!({ "ready": true }));
    let mut next = 0;
    for line in std::io::stdin().lines() {
        let line = line.expect("an order");
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["send", stream, count, size] => {
                let kind = match stream {
                    "event" => (Stream::Event, Duration::ZERO),
                    "ahead" => (Stream::Event, DAYS),
                    _ => (Stream::Metadata, Duration::ZERO),
                };
                let (mut count, size): (u64, usize) =
                    (count.parse().expect("a number"), size.parse().expect("a number"));
                while count > 0 {
                    let batch = count.min(50);
                    accept(&delivery, kind, next, batch, size);
                    (next, count) = (next + batch, count - batch);
                }
                say(&serde_json::json!({ "sent": next }));
            }
            ["flow"] => {
                flowing.store(true, std::sync::atomic::Ordering::SeqCst);
                let (flowing, delivery) = (Arc::clone(&flowing), delivery.clone());
                let work = move || {
                    let mut number = 1_000_000;
                    while flowing.load(std::sync::atomic::Ordering::SeqCst) {
                        accept(&delivery, (Stream::Event, Duration::ZERO), number, 10, 200);
                        number += 10;
                        std::thread::sleep(Duration::from_millis(2));
                    }
                };
                flow = Some(std::thread::Builder::new().spawn(work).expect("a thread"));
            }
            ["halt"] => {
                flowing.store(false, std::sync::atomic::Ordering::SeqCst);
                if let Some(flow) = flow.take() {
                    flow.join().expect("no panic");
                }
                say(&serde_json::json!({ "halted": true }));
            }
            ["reload"] => {
                delivery.apply(&read());
                say(&serde_json::json!({ "reloaded": true }));
            }
            ["spool"] => say(&serde_json::json!({ "spool": delivery.spool() })),
            ["problems"] => say(&serde_json::json!({ "problems": readiness.problems() })),
            ["purge", sink] => say(&serde_json::json!({ "purged": delivery.purge(sink).expect("a sink") })),
            ["close"] => return delivery.close(),
            _ => panic!("what is {line:?}?"),
        }
    }
}

/// What the daemon would log.
fn tracing_to_stderr(file: &Path) {
    drop(gopherd::logging::start(gopherd::config::LogLevel::Debug, &file.with_file_name("driver.log")));
}
