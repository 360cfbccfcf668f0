//! The daemon as a process with folders and ports of its own.
//!
//! Owns its configuration, start, readiness, log and end. [`Setup`] outlives the process, so a test can kill
//! the daemon and start the next one on the same folders.

use crate::process::{Background, built, command};
use crate::wait::{DEADLINE, within};
use crate::{Client, Response, Scrape, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// What a daemon is started with.
#[derive(Debug)]
pub struct Setup {
    home: TempDir,
    sections: BTreeMap<String, String>,
    file_name: &'static str,
    whole_file: Option<String>,
    env: Vec<(String, String)>,
    user: Option<u32>,
    /// Port of the control listener.
    pub rest_port: u16,
    /// Port of the metrics listener.
    pub metrics_port: u16,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// Fresh folders, free ports, an empty probes.init, everything else at its default.
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("gopherd-e2e-").tempdir().expect("a temporary folder");
        let setup = Self {
            home,
            sections: BTreeMap::new(),
            file_name: "gopherd.toml",
            whole_file: None,
            env: Vec::new(),
            user: None,
            rest_port: free_port(),
            metrics_port: free_port(),
        };
        fs::write(setup.probes_init_path(), "").expect("probes.init");
        let (rest, metrics) = (setup.rest_port, setup.metrics_port);
        setup
            .section("rest_api_server", &format!("port = {rest}"))
            .section("web_server", &format!("port = {metrics}"))
            // The flood guard would only slow the tests down.
            .section("rest_api_server", "requests_per_second = 100000")
    }

    /// Adds lines to a section of the TOML file.
    #[must_use]
    pub fn section(mut self, name: &str, lines: &str) -> Self {
        let text = self.sections.entry(name.to_owned()).or_default();
        let _ = writeln!(text, "{lines}");
        self
    }

    /// Uses this text as the whole configuration file, under this name; its ending decides how it is read.
    #[must_use]
    pub fn file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.file_name = name;
        self.whole_file = Some(text.into());
        self
    }

    /// The lines of probes.init.
    #[must_use]
    pub fn probes_init(self, lines: &str) -> Self {
        fs::write(self.probes_init_path(), lines).expect("probes.init");
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Runs as this user, without capabilities.
    #[must_use]
    pub fn user(mut self, uid: u32) -> Self {
        self.user = Some(uid);
        self
    }

    /// A path below the folder of this setup.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where probes.init is.
    pub fn probes_init_path(&self) -> PathBuf {
        self.path("probes.init")
    }

    /// Where the configuration file is.
    pub fn config_path(&self) -> PathBuf {
        self.path(self.file_name)
    }

    /// The unix socket of the daemon.
    pub fn socket_path(&self) -> PathBuf {
        self.path("run/gopherd.sock")
    }

    /// Writes the files. [`Setup::spawn`] does it too; a test that changes the file under a running daemon
    /// calls it by itself.
    pub fn write(&self) {
        for dir in ["run", "state", "log"] {
            fs::create_dir_all(self.path(dir)).expect("a folder of the daemon");
        }
        let generated = || {
            self.sections.iter().fold(String::new(), |mut text, (name, lines)| {
                let _ = writeln!(text, "[{name}]\n{lines}");
                text
            })
        };
        let text = self.whole_file.clone().unwrap_or_else(generated);
        fs::write(self.config_path(), text).expect("the configuration file");
        if let Some(uid) = self.user {
            for name in [".", "run", "state", "log", "probes.init", self.file_name] {
                chown(self.path(name), Some(uid), None).expect("a folder can be given away (run as root)");
            }
        }
    }

    /// The command line of the daemon on these folders, followed by `extra` flags.
    pub fn command(&self, extra: &[&str]) -> Command {
        let mut binary = built("gopherd");
        if self.user.is_some() {
            // The build folder may be closed to other users.
            let copy = self.path("gopherd");
            fs::copy(&binary, &copy).expect("a copy of the binary");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("an executable copy");
            binary = copy;
        }
        let mut command = command(binary);
        command.arg("--config").arg(self.config_path());
        command.arg("--probes-init").arg(self.probes_init_path());
        for (flag, dir) in [("--run-dir", "run"), ("--state-dir", "state"), ("--log-dir", "log")] {
            command.arg(flag).arg(self.path(dir));
        }
        command.args(extra);
        // Nothing of the developer's own settings may reach the daemon under test.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GOPHER_"))
        {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(uid) = self.user {
            command.uid(uid).gid(uid);
        }
        command
    }

    /// Runs the daemon with `extra` flags, which must make it end by itself.
    pub fn run(&self, extra: &[&str]) -> Output {
        self.write();
        self.command(extra).output().expect("gopherd can be executed")
    }

    /// Starts the daemon without waiting for anything.
    #[track_caller]
    pub fn spawn(&self) -> Daemon<'_> {
        self.write();
        let process = Background::start(self.command(&[]), &self.path("stderr.log"));
        Daemon { process, setup: self }
    }

    /// Starts the daemon and waits until it is ready.
    #[track_caller]
    pub fn start(&self) -> Daemon<'_> {
        let mut daemon = self.spawn();
        let socket = daemon.socket();
        eventually("readyz to answer 200", || {
            if let Some(status) = daemon.process.ended() {
                panic!("the daemon ended while starting: {status}");
            }
            let answer = socket.try_send("GET", "/readyz", &[], Vec::new()).ok()?;
            (answer.status == 200).then_some(())
        });
        daemon
    }
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon<'a> {
    process: Background,
    setup: &'a Setup,
}

impl Daemon<'_> {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The control listener.
    pub fn rest(&self) -> Client {
        Client::port(self.setup.rest_port)
    }

    /// The metrics listener.
    pub fn metrics(&self) -> Client {
        Client::port(self.setup.metrics_port)
    }

    /// The unix socket.
    pub fn socket(&self) -> Client {
        Client::socket(&self.setup.socket_path())
    }

    /// PUT of `text` at the compatible door, which must be accepted.
    #[track_caller]
    pub fn put(&self, feature: &str, text: &str) -> Response {
        self.rest().put(&format!("/{feature}"), text).expect(200)
    }

    /// Reads an exposition of the metrics listener.
    #[track_caller]
    pub fn scrape(&self, path: &str) -> Scrape {
        Scrape::parse(&self.metrics().get(path).expect(200).text())
    }

    /// Scrapes /metrics until `look` finds what it looks for; says what there was instead when it does not come.
    #[track_caller]
    pub fn scrape_until<T>(&self, what: &str, look: impl FnMut(&Scrape) -> Option<T>) -> T {
        self.scrape_within(DEADLINE, look).unwrap_or_else(|last| {
            panic!("waited {} s in vain for: {what}; {}", DEADLINE.as_secs(), last.brief())
        })
    }

    /// The same within `limit`; the last scrape when it does not come.
    #[track_caller]
    pub fn scrape_within<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&Scrape) -> Option<T>,
    ) -> Result<T, Scrape> {
        let mut last = Scrape::default();
        let found = within(limit, || {
            last = self.scrape("/metrics");
            look(&last)
        });
        found.ok_or(last)
    }

    /// Starts `baseinfo` anew with this configuration, every ten minutes one report, and returns the
    /// exposition once `name` is in it. What it shows was read between the call and the return. A scrape may
    /// come while a reading is taken into the store table by table, so name one of the last table.
    #[track_caller]
    pub fn reading(&self, mut config: Value, name: &str) -> Scrape {
        config["params"]["report_period"] = 600.into();
        config["state"] = "running".into();
        self.put("baseinfo", r#"{"state":"stopped"}"#);
        self.put("baseinfo", &config.to_string());
        self.scrape_until(name, |scrape| scrape.all(name).next().map(|_| scrape.clone()))
    }

    /// The native document of a feature.
    #[track_caller]
    pub fn probe(&self, feature: &str) -> Value {
        self.rest().get(&format!("/api/v1/probes/{feature}")).expect(200).json()
    }

    /// State of a feature as the native door names it.
    #[track_caller]
    pub fn state(&self, feature: &str) -> String {
        self.probe(feature)["status"]["state"].as_str().expect("a state").to_owned()
    }

    /// Whether this version has built the feature.
    #[track_caller]
    pub fn has_built(&self, feature: &str) -> bool {
        self.state(feature) != "unavailable"
    }

    /// What it has logged so far, in this run and in earlier ones on the same folders.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the daemon to end", || self.process.ended())
    }

    /// Asks it to end as systemd does and waits for that.
    #[track_caller]
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(self) {
        self.process.kill();
    }
}

/// A port of 127.0.0.1 that nobody listens on, below the range that the kernel gives to clients, so that it is
/// still free when the daemon binds it. Different in each call of this process.
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at the same time begin at different places.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0).wrapping_mul(37);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}

/// Reads `/proc/PID/NAME`, or `None` when the process is gone.
pub fn proc_file(pid: u32, name: &str) -> Option<String> {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name)).ok()
}
