//! The channel `logs` of events and metadata: one JSON document a line in a bounded file.
//!
//! Written before [`EventLog::write`] returns, not by a thread of its own: what is accepted is in the file even if the
//! process is killed in the next moment, and a queue that could lose it does not exist.

use super::rotate::Rotating;
use crate::delivery::account::{Account, Loss};
use crate::delivery::{Message, Stream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Largest size of one stream's files together: the file that is written and its backups.
const MAX_BYTES: u64 = 100_000_000;

/// The files of one stream.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: Rotating,
    account: Arc<Account>,
    lines: Vec<u8>,
}

impl EventLog {
    /// The log of `stream` in `folder` (`<log>/event`, `<log>/meta`), opened now to see whether that works; what does
    /// not is tried again with the next message.
    pub fn open(stream: Stream, folder: &Path, account: Arc<Account>) -> Self {
        let path = folder.join(match stream {
            Stream::Event => "gopher_event.log",
            Stream::Metadata => "gopher_meta.log",
        });
        let file = Rotating::new(path.clone(), MAX_BYTES);
        let mut log = Self { path, file, account, lines: Vec::new() };
        let opened = log.file.open(SystemTime::now());
        log.told(opened);
        log
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends `messages`, a line each. What cannot be written is counted as lost.
    pub fn write<'a>(&mut self, messages: impl Iterator<Item = &'a Message>) {
        self.lines.clear();
        let mut count = 0;
        for message in messages {
            self.lines.extend_from_slice(&message.document);
            self.lines.push(b'\n');
            count += 1;
        }
        if count == 0 {
            return;
        }
        let written = self.file.append(&self.lines, SystemTime::now());
        self.lines.shrink_to(1 << 20);
        match &written {
            Ok(()) => self.account.deliver(count),
            // Of a batch that did not fit some lines may be there: better counted as lost than not at all.
            Err(_) => self.account.lose(Loss::WriteFailed, count),
        }
        self.told(written);
    }

    /// Opens the file by its name before the next line (SIGUSR1).
    pub fn reopen(&mut self) {
        self.file.reopen();
    }

    fn told(&self, result: std::io::Result<()>) {
        match result {
            Ok(()) => {
                self.account.recover();
            }
            Err(error) => {
                let why = format!("{}: {error}", self.path.display());
                if self.account.fail(why.clone()) {
                    tracing::error!("what is logged is lost and counted: {why}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn message(text: &str) -> Message {
        Message {
            stream: Stream::Event,
            key: "k".into(),
            document: text.as_bytes().into(),
            at_ms: 1,
            live_only: false,
        }
    }

    #[test]
    fn a_document_is_a_line_that_is_there_when_write_returns() {
        let folder = tempfile::tempdir().expect("folder");
        let account = Arc::<Account>::default();
        let folder = folder.path().join("event");
        let mut log = EventLog::open(Stream::Event, &folder, Arc::clone(&account));
        log.write([message("{\"a\":1}"), message("{\"a\":2}")].iter());
        let text = fs::read_to_string(folder.join("gopher_event.log")).expect("read");
        assert_eq!(text, "{\"a\":1}\n{\"a\":2}\n");
        assert_eq!((account.delivered(), account.trouble()), (2, None));
    }

    #[test]
    fn a_full_disk_is_counted_and_over_when_there_is_space() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("gopher_meta.log");
        symlink("/dev/full", &path).expect("linked");
        let account = Arc::<Account>::default();
        let mut log = EventLog::open(Stream::Metadata, folder.path(), Arc::clone(&account));
        log.write([message("{}"), message("{}")].iter());
        assert!(account.trouble().is_some_and(|trouble| trouble.contains("No space left")));
        log.write([message("{}")].iter());
        assert_eq!((account.lost(Loss::WriteFailed), account.errors()), (3, 2));
        fs::remove_file(&path).expect("removed");
        log.write([message("{}")].iter());
        assert_eq!((account.delivered(), account.trouble()), (1, None));
    }
}
