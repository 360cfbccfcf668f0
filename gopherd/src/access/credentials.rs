//! Keys, certificates, authorities and tokens: the files, read at the start and again when they change.
//!
//! Owns when they are read, and what is said about those that cannot be used. The files are looked at a few times
//! a second (stat, which follows links), because that sees every way in which they are replaced alike: written in
//! place, renamed over, or by a link of a link as Kubernetes does. What cannot be used changes nothing.

use super::{Access, Listener, tls, tokens};
use crate::config::{Config, SslAuth};
use crate::input_file;
use crate::readiness::Readiness;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tls::Tls;
use tokens::Tokens;

/// Between two looks. A change is taken over when two looks agree, so that key and certificate, which are written
/// one after the other, are read together; both looks are within a second.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// So long before its end a certificate is spoken of.
const WARN_BEFORE: i64 = 14 * 86_400;

/// The source of problems with them in `readyz`.
const SOURCE: &str = "credentials";

/// The files of one listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The listener.
    pub listener: Listener,
    /// `private_key`.
    pub private_key: PathBuf,
    /// `cert_file`.
    pub cert_file: PathBuf,
    /// `ca_file`.
    pub ca_file: Option<PathBuf>,
}

impl Files {
    /// What `config` names for a listener; `None` when its TLS is off or it is not there.
    fn of(config: &Config, listener: Listener) -> Option<Self> {
        let (web, rest) = (&config.web_server, &config.rest_api_server);
        let (on, key, cert, ca) = match listener {
            Listener::Rest => {
                let on = config.global.rest_api_on && rest.ssl_auth == SslAuth::On;
                (on, &rest.private_key, &rest.cert_file, &rest.ca_file)
            }
            Listener::Metrics => {
                let on = web.enabled && web.ssl_auth == SslAuth::On;
                (on, &web.private_key, &web.cert_file, &web.ca_file)
            }
            Listener::Unix => return None,
        };
        let (Some(private_key), Some(cert_file), true) = (key.clone(), cert.clone(), on) else { return None };
        Some(Self { listener, private_key, cert_file, ca_file: ca.clone() })
    }

    /// What is wrong with one of the files, for whoever must put it right.
    pub(super) fn fault(&self, key: &str, path: &Path, problem: &str, way_out: &str) -> String {
        let section = match self.listener {
            Listener::Metrics => "web_server",
            Listener::Rest | Listener::Unix => "rest_api_server",
        };
        format!("{section}.{key}: {} {problem}; {way_out}", path.display())
    }
}

/// What is wrong with the files, one sentence each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsError(Vec<String>);

impl FromIterator<String> for CredentialsError {
    fn from_iter<T: IntoIterator<Item = String>>(faults: T) -> Self {
        Self(faults.into_iter().collect())
    }
}

impl CredentialsError {
    /// Each fault.
    pub fn faults(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for CredentialsError {}

/// Checks what `config` names without keeping anything of it, for `--check-config`.
pub fn check(config: &Config) -> Result<(), CredentialsError> {
    let listeners = [Listener::Rest, Listener::Metrics].into_iter();
    let identities = listeners.filter_map(|listener| tls::load(&Files::of(config, listener)?).err());
    let tokens = config.rest_api_server.tokens_file.as_deref().and_then(|path| read_tokens(path).err());
    let faults: Vec<String> = identities.chain(tokens).flat_map(|error| error.0).collect();
    if faults.is_empty() { Ok(()) } else { Err(CredentialsError(faults)) }
}

/// The credentials in force, and the thread that follows their files.
#[derive(Debug)]
pub struct Credentials {
    rest: Option<Arc<Tls>>,
    metrics: Option<Arc<Tls>>,
    files: Option<Sender<Vec<Files>>>,
}

impl Credentials {
    /// Reads everything that `config` names, and follows it from then on.
    ///
    /// # Errors
    /// A file cannot be used; the daemon must not start without the protection that was asked for.
    pub fn start(
        config: &Config,
        access: &Arc<Access>,
        readiness: &Readiness,
    ) -> Result<Self, CredentialsError> {
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        let mut open = |listener| {
            let files = Files::of(config, listener)?;
            let stamps = stamps(files.paths());
            match tls::load(&files) {
                Ok(identity) => {
                    let tls = Arc::new(Tls::new(identity));
                    access.counts.set_expiry(listener, tls.validity().until);
                    all.push(Followed::new(What::Identity(Arc::clone(&tls), files), stamps));
                    Some(tls)
                }
                Err(error) => {
                    faults.extend(error.0);
                    None
                }
            }
        };
        let (rest, metrics) = (open(Listener::Rest), open(Listener::Metrics));
        if let Some(path) = &config.rest_api_server.tokens_file {
            let stamps = stamps([path.as_path()].into_iter());
            match read_tokens(path) {
                Ok(tokens) => {
                    tracing::info!(tokens = tokens.len(), "bearer tokens are asked for");
                    access.set_tokens(tokens);
                    all.push(Followed::new(What::Tokens(path.clone()), stamps));
                }
                Err(error) => faults.extend(error.0),
            }
        }
        if !faults.is_empty() {
            return Err(CredentialsError(faults));
        }
        all.iter().for_each(Followed::warn_of_open_keys);
        let files = if all.is_empty() {
            None
        } else {
            let (files, news) = channel();
            let follower =
                Follower { all, access: Arc::clone(access), readiness: readiness.clone(), said: Vec::new() };
            let thread = std::thread::Builder::new().name("credentials".into());
            thread.spawn(move || follower.run(&news)).map_err(|error| {
                CredentialsError(vec![format!(
                    "the thread that follows certificates cannot be made: {error}"
                )])
            })?;
            Some(files)
        };
        Ok(Self { rest, metrics, files })
    }

    /// The identity of a listener; `None` when it speaks plain HTTP.
    pub fn of(&self, listener: Listener) -> Option<&Arc<Tls>> {
        match listener {
            Listener::Rest => self.rest.as_ref(),
            Listener::Metrics => self.metrics.as_ref(),
            Listener::Unix => None,
        }
    }

    /// Reads everything again now, under the names that `config` has.
    pub fn reload(&self, config: &Config) {
        let listeners = [Listener::Rest, Listener::Metrics];
        let files = listeners.into_iter().filter_map(|listener| Files::of(config, listener)).collect();
        if let Some(follower) = &self.files {
            // It ends only with this handle.
            let _ = follower.send(files);
        }
    }
}

/// Enough of a file's metadata to see that it is another one or has been written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The stamp of each file; `None` for one that is not there.
fn stamps<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<Option<Stamp>> {
    let stamp = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some(Stamp {
            place: (data.dev(), data.ino()),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    };
    paths.map(stamp).collect()
}

impl Files {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.private_key), Some(&self.cert_file), self.ca_file.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}

#[derive(Debug)]
enum What {
    Identity(Arc<Tls>, Files),
    Tokens(PathBuf),
}

/// Files that belong together.
#[derive(Debug)]
struct Followed {
    what: What,
    /// At the last look.
    seen: Vec<Option<Stamp>>,
    /// When they were read.
    read: Vec<Option<Stamp>>,
    faults: Vec<String>,
}

impl Followed {
    fn new(what: What, read: Vec<Option<Stamp>>) -> Self {
        Self { what, seen: read.clone(), read, faults: Vec::new() }
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        match &self.what {
            What::Identity(_, files) => stamps(files.paths()),
            What::Tokens(path) => stamps([path.as_path()].into_iter()),
        }
    }

    /// Reads the files again if they have changed and are at rest.
    fn look(&mut self, access: &Access) {
        let now = self.stamps();
        let at_rest = now == self.seen;
        self.seen.clone_from(&now);
        if at_rest && now != self.read {
            self.read = now;
            self.load(access);
        }
    }

    fn load(&mut self, access: &Access) {
        let loaded = match &self.what {
            What::Identity(tls, files) => tls::load(files).map(|identity| {
                tls.replace(identity);
                access.counts.set_expiry(files.listener, tls.validity().until);
                tracing::info!(listener = files.listener.text(), "the certificate was read again");
            }),
            What::Tokens(path) => read_tokens(path).map(|tokens| {
                tracing::info!(tokens = tokens.len(), "the tokens were read again");
                access.set_tokens(tokens);
            }),
        };
        self.faults = loaded.err().map(|error| error.0).unwrap_or_default();
        for fault in &self.faults {
            tracing::error!("{fault}; what was read before stays in force");
        }
        self.warn_of_open_keys();
    }

    fn warn_of_open_keys(&self) {
        let What::Identity(_, files) = &self.what else { return };
        let mode = std::fs::metadata(&files.private_key).map_or(0, |data| data.mode());
        if mode & 0o004 != 0 {
            let way_out = "chmod o= it";
            tracing::warn!(
                "{}",
                files.fault("private_key", &files.private_key, "can be read by every user", way_out)
            );
        }
    }

    /// What there is to say about it at this time.
    fn problems(&self, now: i64) -> Vec<String> {
        let mut problems = self.faults.clone();
        if let What::Identity(tls, files) = &self.what {
            let time = tls.validity();
            let fault = |problem: &str| {
                files.fault(
                    "cert_file",
                    &files.cert_file,
                    problem,
                    "put a new one there; it is taken over at once",
                )
            };
            if now > time.until {
                problems.push(fault(&format!("has ended at {}", date(time.until))));
            } else if now > time.until - WARN_BEFORE {
                problems.push(fault(&format!("ends at {}", date(time.until))));
            } else if now < time.from {
                problems.push(fault(&format!("begins only at {}", date(time.from))));
            }
        }
        problems
    }
}

fn date(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// The thread that looks.
struct Follower {
    all: Vec<Followed>,
    access: Arc<Access>,
    readiness: Readiness,
    said: Vec<String>,
}

impl Follower {
    fn run(mut self, news: &Receiver<Vec<Files>>) {
        loop {
            self.say();
            match news.recv_timeout(LOOK_EVERY) {
                Ok(files) => self.read_again(&files),
                Err(RecvTimeoutError::Timeout) => {
                    let Self { all, access, .. } = &mut self;
                    all.iter_mut().for_each(|followed| followed.look(access));
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Under the names of a configuration that was read again.
    fn read_again(&mut self, files: &[Files]) {
        for followed in &mut self.all {
            if let What::Identity(_, mine) = &mut followed.what
                && let Some(new) = files.iter().find(|new| new.listener == mine.listener)
            {
                mine.clone_from(new);
            }
            followed.read = followed.stamps();
            followed.seen.clone_from(&followed.read);
            followed.load(&self.access);
        }
    }

    fn say(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let problems: Vec<String> = self.all.iter().flat_map(|followed| followed.problems(now)).collect();
        if problems != self.said {
            let new = problems.iter().filter(|problem| !self.said.contains(problem));
            new.for_each(|problem| tracing::warn!("{problem}"));
            self.readiness.set(SOURCE, problems.clone());
            self.said = problems;
        }
    }
}

fn read_tokens(path: &Path) -> Result<Tokens, CredentialsError> {
    let fault = |problem: String, way_out: &str| {
        format!("rest_api_server.tokens_file: {} {problem}; {way_out}", path.display())
    };
    let one = |problem: String, way_out: &str| CredentialsError(vec![fault(problem, way_out)]);
    let unread = |error: std::io::Error| {
        one(
            format!("cannot be read: {error}"),
            "name a file of lines `name role sha256hex`, or remove the key",
        )
    };
    let mode = std::fs::metadata(path).map_err(unread)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(one(format!("has mode {mode:04o}, so that others can reach it"), "chmod 600 it"));
    }
    let text = input_file::read(path, tokens::MAX_FILE as u64 + 1).map_err(unread)?;
    if text.len() > tokens::MAX_FILE {
        return Err(one(format!("is larger than {} bytes", tokens::MAX_FILE), "keep fewer tokens"));
    }
    Tokens::parse(&text).map_err(|faults| {
        let all =
            faults.into_iter().map(|problem| fault(format!("cannot be used: {problem}"), "put it right"));
        all.collect()
    })
}
