//! A real Kafka broker (KRaft, one node) and kcat, a consumer that is not ours.
//!
//! Owns starting, stopping and asking it. `packaging/bootstrap.sh test` fetches the jars; starting takes some seconds, so
//! the tests of one binary share one broker ([`shared`]).

use crate::daemon::free_port;
use crate::pki::{Authority, Pair};
use crate::process::{command, run};
use crate::within;
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How long a broker may take for anything: a Java program on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A user that the broker knows, by SASL PLAIN and SCRAM.
pub const USER: (&str, &str) = ("alice", "secret");

/// The broker's folders and ports; it may run or not.
#[derive(Debug)]
pub struct Broker {
    home: tempfile::TempDir,
    authority: Authority,
    plain: u16,
    sasl: u16,
    tls: u16,
    process: Option<Child>,
}

/// A message as kcat read it.
#[derive(Clone, Debug)]
pub struct Read {
    /// Key, headers and place in the log.
    pub envelope: Value,
    /// The document.
    pub document: Value,
}

impl Read {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.envelope["headers"].as_array()?;
        let at = headers.iter().step_by(2).position(|known| known == name)?;
        headers.get(2 * at + 1)?.as_str()
    }

    /// Our sequence number.
    #[track_caller]
    pub fn seq(&self) -> u64 {
        self.header("gopherd-seq").and_then(|seq| seq.parse().ok()).expect("the header gopherd-seq")
    }

    /// The key.
    #[track_caller]
    pub fn key(&self) -> &str {
        self.envelope["key"].as_str().expect("a key")
    }
}

/// Bytes of a batch that [`shared`] takes, a fifth of what librdkafka makes of many messages.
pub const TAKES: usize = 200_000;

/// The broker of this test binary, running, for one test at a time: some of them stop it. It takes [`TAKES`] bytes.
pub fn shared() -> MutexGuard<'static, Broker> {
    static SHARED: OnceLock<Mutex<Broker>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Mutex::new(Broker::that_takes(TAKES)));
    // A test that failed left it as it may be; it is started again.
    let mut broker = shared.lock().unwrap_or_else(PoisonError::into_inner);
    broker.start();
    broker
}

fn jars() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/kafka")
}

fn java(args: &[&str]) -> std::process::Command {
    let mut java = command("java");
    java.arg("-cp").arg(format!("{}/*", jars().display())).args(args);
    java
}

impl Broker {
    /// One that takes as much at a time as brokers do unless they are told otherwise. It does not run yet.
    pub fn new() -> Self {
        Self::with("")
    }

    /// One that refuses batches of more than so many bytes.
    pub fn that_takes(bytes: usize) -> Self {
        Self::with(&format!("message.max.bytes={bytes}\n"))
    }

    /// Formats the folders of one with more lines of configuration.
    fn with(more: &str) -> Self {
        assert!(jars().is_dir(), "{} is not there: run packaging/bootstrap.sh test", jars().display());
        let home = tempfile::Builder::new().prefix("gopherd-kafka-").tempdir().expect("a folder");
        let (plain, sasl, tls) = (free_port(), free_port(), free_port());
        let authority = Authority::new("kafka authority");
        let broker = Self { home, authority, plain, sasl, tls, process: None };
        broker.certify(&broker.authority.server("broker"));
        fs::write(broker.ca(), broker.authority.pem()).expect("written");
        let properties = broker.properties(free_port()) + more;
        fs::write(broker.path("server.properties"), properties).expect("written");
        let scram = format!("SCRAM-SHA-256=[name={},password={}]", USER.0, USER.1);
        let file = broker.path("server.properties");
        let mut format =
            java(&["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-S", &scram]);
        let output = format.arg("-c").arg(file).output().expect("java");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        broker
    }

    /// From its next start on it shows this certificate.
    pub fn certify(&self, server: &Pair) {
        let whole = format!("{}{}{}", server.key, server.cert, self.authority.pem());
        fs::write(self.path("broker.pem"), whole).expect("written");
    }

    /// The authority of its certificates.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn properties(&self, controller: u16) -> String {
        let Self { plain, sasl, tls, .. } = self;
        let mut text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},\
             SSL://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,\
             CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=PLAINTEXT\nsasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256\n\
             ssl.keystore.type=PEM\nssl.keystore.location={home}/broker.pem\n\
             ssl.truststore.type=PEM\nssl.truststore.location={home}/ca.pem\n\
             log.dirs={home}/data\nnum.partitions=3\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n",
            home = self.home.path().display(),
        );
        let login = "org.apache.kafka.common.security";
        let (user, password) = USER;
        let _ = writeln!(
            text,
            "listener.name.sasl_plaintext.plain.sasl.jaas.config={login}.plain.PlainLoginModule required \
             user_{user}=\"{password}\";\n\
             listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;"
        );
        text
    }

    /// Starts it if it does not run, and waits until it answers. It ends with the test binary at the latest.
    #[track_caller]
    pub fn start(&mut self) {
        if self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None))) {
            return;
        }
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        // The broker of a binary is never dropped, and a killed one takes nothing along: so a shell stands between, which
        // ends it at a line, and takes the folder along once this process no longer holds the other end.
        let script = "\"$@\" & read -r _ || gone=1; kill \"$!\"; wait; [ -z \"$gone\" ] || rm -rf \"$0\"";
        let mut shell = command("sh");
        shell.args(["-c", script]).arg(self.home.path());
        shell.args(["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp"]);
        shell.arg(format!("{}/*", jars().display())).arg("kafka.Kafka").arg(self.path("server.properties"));
        shell.stdin(Stdio::piped()).stdout(log.try_clone().expect("a handle")).stderr(log);
        self.process = Some(shell.spawn().expect("a shell"));
        let address = self.address();
        let up = || run("kcat", &["-b", &address, "-L", "-m", "2"], b"").status.success().then_some(());
        within(PATIENCE, up).expect("the broker answers");
    }

    /// Ends it as an operator does, and waits for that.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        writeln!(process.stdin.as_mut().expect("piped"), "stop").expect("the shell listens");
        process.wait().expect("the broker's end");
    }

    /// Stops it from answering, as a host that hangs does, while `f` runs.
    pub fn hangs<T>(&self, f: impl FnOnce() -> T) -> T {
        let pids = self.java();
        assert!(!pids.is_empty(), "the broker runs");
        let signal = |signal| {
            for pid in &pids {
                rustix::process::kill_process(*pid, signal).expect("the broker takes signals");
            }
        };
        signal(Signal::STOP);
        let result = f();
        signal(Signal::CONT);
        result
    }

    /// The broker itself: the child of the shell between.
    fn java(&self) -> Vec<rustix::process::Pid> {
        let Some(shell) = &self.process else { return Vec::new() };
        let children = format!("/proc/{0}/task/{0}/children", shell.id());
        let text = fs::read_to_string(children).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)).collect()
    }

    /// Plain text.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.plain)
    }

    /// With user and password.
    pub fn sasl_address(&self) -> String {
        format!("127.0.0.1:{}", self.sasl)
    }

    /// With TLS.
    pub fn tls_address(&self) -> String {
        format!("localhost:{}", self.tls)
    }

    /// The authority of its certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Everything that is in `topic` now, in the order of each partition. Empty while there is no such topic.
    #[track_caller]
    pub fn read(&self, topic: &str) -> Vec<Read> {
        let address = self.address();
        let args = [
            "-C",
            "-q",
            "-b",
            &address,
            "-t",
            topic,
            "-e",
            "-J",
            "-o",
            "beginning",
            "-X",
            "topic.metadata.refresh.interval.ms=500",
        ];
        let output = run("kcat", &args, b"");
        let text = String::from_utf8(output.stdout).expect("text from kcat");
        text.lines()
            .map(|line| {
                let envelope: Value = serde_json::from_str(line).expect("an envelope of kcat");
                let payload = envelope["payload"].as_str().expect("a payload");
                let document = serde_json::from_str(payload).expect("a document");
                Read { envelope, document }
            })
            .collect()
    }

    /// Reads `topic` until `look` finds what it looks for.
    #[track_caller]
    pub fn read_until<T>(&self, what: &str, topic: &str, mut look: impl FnMut(&[Read]) -> Option<T>) -> T {
        within(PATIENCE, || look(&self.read(topic))).unwrap_or_else(|| panic!("waited in vain for: {what}"))
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self::new()
    }
}
