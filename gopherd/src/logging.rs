//! The daemon's own log: always on stderr, where the journal takes it, and in a file if that can be written.
//!
//! Owns the line's shape, the level that can be changed while running, and the file. Leaves messages to whoever
//! has something to say: constant sentences, values in fields.

use crate::config::LogLevel;
use crate::sinks::rotate::Rotating;
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Size of the debug log with all its backups, as in gala-gopher.
const MAX_TOTAL: u64 = 200_000_000;
/// Libraries whose messages below a warning are about their own insides.
const LIBRARIES: &[&str] = &["actix_server", "actix_web", "h2", "hyper", "hyper_util", "mio", "rustls"];

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Info => Self::INFO,
            LogLevel::Warn => Self::WARN,
            LogLevel::Error => Self::ERROR,
        }
    }
}

/// Changes the log while the daemon runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<Targets, Registry>,
    level: Arc<AtomicU8>,
    file: Option<Arc<DebugFile>>,
}

const LEVELS: [LogLevel; 4] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];

impl LogControl {
    /// The level now.
    pub fn level(&self) -> LogLevel {
        let index = self.level.load(Ordering::Relaxed);
        LEVELS.get(usize::from(index)).copied().unwrap_or(LogLevel::Info)
    }

    /// Changes the level at once.
    pub fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Ordering::Relaxed);
        // Fails only when the log itself is gone, and then there is nobody to tell.
        let _reloaded = self.filter.reload(filter(level));
    }

    /// Lets the debug log be opened afresh, after it was moved away.
    pub fn reopen(&self) {
        if let Some(file) = &self.file {
            file.file().reopen();
        }
    }

    /// Messages that the debug log did not take.
    pub fn lost(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.lost.load(Ordering::Relaxed))
    }
}

fn filter(level: LogLevel) -> Targets {
    let quiet = LevelFilter::from(level).min(LevelFilter::WARN);
    Targets::new()
        .with_default(LevelFilter::from(level))
        .with_targets(LIBRARIES.iter().map(|name| (*name, quiet)))
        // Who changed what is kept, however little else is.
        .with_target("audit", LevelFilter::INFO)
        // An error line for each malformed request would let anybody fill the log; the client is told.
        .with_target("actix_http", LevelFilter::OFF)
}

/// Starts logging for the whole process. The second value says why there is no file, if there is none: stderr
/// has everything in any case.
pub fn start(level: LogLevel, file: &Path) -> (LogControl, Option<String>) {
    let (subscriber, control, problem) = build(level, file, io::stderr);
    // Fails only for a second start in one process, and then the first one goes on.
    let _started = subscriber.try_init();
    (control, problem)
}

fn build<E, W>(
    level: LogLevel,
    path: &Path,
    stderr: E,
) -> (impl Subscriber + Send + Sync, LogControl, Option<String>)
where
    E: Fn() -> W + Send + Sync + 'static,
    W: Write + 'static,
{
    let (file, problem) = match DebugFile::open(path) {
        Ok(file) => (Some(Arc::new(file)), None),
        Err(error) => {
            let path = path.display();
            (
                None,
                Some(format!(
                    "the debug log {path} cannot be written ({error}); messages go to stderr alone"
                )),
            )
        }
    };
    let (filter, handle) = reload::Layer::new(filter(level));
    let writer = Tee { stderr, file: file.clone() };
    let layer = fmt::layer().compact().with_ansi(false).with_writer(writer).with_filter(filter);
    let control = LogControl { filter: handle, level: Arc::new(AtomicU8::new(level as u8)), file };
    (Registry::default().with(layer), control, problem)
}

/// The debug log. A message that it does not take is counted; the next one is tried again.
#[derive(Debug)]
struct DebugFile {
    file: Mutex<Rotating>,
    lost: AtomicU64,
}

impl DebugFile {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = Rotating::new(path.to_owned(), MAX_TOTAL);
        file.open(SystemTime::now())?;
        Ok(Self { file: Mutex::new(file), lost: AtomicU64::new(0) })
    }

    fn append(&self, line: &[u8]) {
        if self.file().append(line, SystemTime::now()).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn file(&self) -> MutexGuard<'_, Rotating> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes each message to stderr and to the file.
#[derive(Clone, Debug)]
struct Tee<E> {
    stderr: E,
    file: Option<Arc<DebugFile>>,
}

impl<'a, E, W> MakeWriter<'a> for Tee<E>
where
    E: Fn() -> W + 'a,
    W: Write,
{
    type Writer = TeeWriter<W>;

    fn make_writer(&'a self) -> Self::Writer {
        TeeWriter { stderr: (self.stderr)(), file: self.file.clone() }
    }
}

#[derive(Debug)]
struct TeeWriter<W> {
    stderr: W,
    file: Option<Arc<DebugFile>>,
}

/// The formatter hands over one whole message a call, so that a call is a line.
impl<W: Write> Write for TeeWriter<W> {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        let line = one_line(message);
        // Where stderr leads nowhere there is nobody to tell; the file may still take it.
        let _written = self.stderr.write_all(&line);
        if let Some(file) = &self.file {
            file.append(&line);
        }
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stderr.flush()
    }
}

/// Line ends inside a message, which outside text may bring, must not look like another message.
fn one_line(message: &[u8]) -> Cow<'_, [u8]> {
    let text = message.strip_suffix(b"\n").unwrap_or(message);
    if !text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Cow::Borrowed(message);
    }
    let mut line = Vec::with_capacity(message.len() + 8);
    for byte in text {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            other => line.push(*other),
        }
    }
    line.push(b'\n');
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// What would have gone to stderr.
    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("captured").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn captured(path: &Path, level: LogLevel, run: impl FnOnce(&LogControl)) -> (String, Option<String>) {
        let out = Captured::default();
        let stderr = out.clone();
        let (subscriber, control, problem) = build(level, path, move || stderr.clone());
        tracing::subscriber::with_default(subscriber, || run(&control));
        let bytes = out.0.lock().expect("captured").clone();
        (String::from_utf8(bytes).expect("text"), problem)
    }

    #[test]
    fn messages_go_to_stderr_and_to_the_file_with_their_time_in_utc() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("debug/gopher.log");
        let (out, problem) = captured(&path, LogLevel::Info, |_| {
            tracing::info!(probe = "tcp", "probe started");
            tracing::debug!("not this");
        });
        assert_eq!(problem, None);
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), out);
        let (time, rest) = out.split_once(' ').expect("a time");
        assert!(time.ends_with('Z') && time.len() >= 20, "{time}");
        assert_eq!(rest.trim(), "INFO gopherd::logging::tests: probe started probe=\"tcp\"");
    }

    #[test]
    fn the_level_can_be_changed_while_running_and_libraries_stay_quiet() {
        let (out, _) = captured(Path::new("/dev/null"), LogLevel::Warn, |control| {
            tracing::info!("one");
            control.set_level(LogLevel::Debug);
            assert_eq!(control.level(), LogLevel::Debug);
            tracing::debug!("two");
            tracing::debug!(target: "hyper::proto", "three");
            control.set_level(LogLevel::Error);
            tracing::warn!("four");
            tracing::error!("five");
        });
        let words: Vec<&str> = out.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(words, ["two", "five"]);
    }

    #[test]
    fn outside_text_cannot_forge_a_line() {
        let (out, _) = captured(Path::new("/dev/null"), LogLevel::Info, |_| {
            tracing::info!(name = %"x\n2026-01-01T00:00:00Z ERROR forged", "odd name");
        });
        assert_eq!(out.lines().count(), 1, "{out}");
        assert!(out.contains("x\\n2026"), "{out}");
    }

    #[test]
    fn without_a_file_stderr_has_everything() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (out, problem) = captured(&dir.path().join(""), LogLevel::Info, |_| tracing::info!("here"));
        assert!(out.contains("here"));
        assert!(problem.expect("a directory is no file").contains("messages go to stderr alone"));
    }
}
