//! Accepting messages, and the channels as they are now: opened at the start, changed at a reload, closed at the end.

use super::account::Loss;
use super::board::{Board, Group};
use super::spool::{self, Routes, SinkOptions, Spool};
use super::wanted::{STREAMS, Settings, Wanted};
use super::{Accept, Message, Stop, Stream};
use crate::config::Config;
use crate::sinks::EventLog;
#[cfg(feature = "kafka")]
use crate::sinks::kafka::worker::Worker as KafkaWorker;
use crate::sinks::webhook::Worker as WebhookWorker;
use crate::vital;
use gopher_api::{SpoolDocument, SpoolSink};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Between two attempts to open a spool that could not be opened.
const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// There is no sink of this name that reads the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such sink; GET /api/v1/spool lists them")]
pub struct NoSuchSink;

/// Everything that delivers events and metadata. Copies are one.
#[derive(Clone, Debug)]
pub struct Delivery(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    board: Board,
    host: String,
    options: spool::Options,
    /// Held for as long as messages are accepted, so that they are numbered and appended in one order. Taken before
    /// the others, and never by whoever changes channels: a writer may wait in it for a sink that is being mended.
    next: Mutex<u64>,
    /// No number below it is given out any more: what a spool holds that was opened since.
    floor: AtomicU64,
    /// Taken before `plan`.
    running: Mutex<Running>,
    plan: Mutex<Plan>,
}

/// Where messages go now.
#[derive(Debug, Default)]
struct Plan {
    logs: [Option<EventLog>; STREAMS.len()],
    routes: [Routes; STREAMS.len()],
    spool: Option<Arc<Spool>>,
}

/// The sinks that read the spool.
#[derive(Debug, Default)]
struct Running {
    wanted: Wanted,
    workers: Vec<Worker>,
    open_again: Option<Instant>,
}

#[derive(Debug)]
struct Worker {
    settings: Settings,
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Delivery {
    /// Opens the channels that `config` asks for. What does not open is shown by `board` and tried again.
    pub fn open(config: &Config, board: Board, host: String) -> Self {
        let options = spool::Options {
            folder: config.paths.state.join("spool"),
            max_bytes: config.spool.max_bytes,
            fsync: config.spool.fsync,
            fsync_interval: config.spool.fsync_interval,
        };
        let delivery = Self(Arc::new(Inner {
            board,
            host,
            options,
            next: Mutex::new(1),
            floor: AtomicU64::new(1),
            running: Mutex::default(),
            plan: Mutex::default(),
        }));
        delivery.apply(config);
        delivery
    }

    /// Changes to the channels that `config` asks for: only what differs, or does not work, is made anew. Nothing that
    /// is accepted meanwhile is lost.
    pub fn apply(&self, config: &Config) {
        let wanted = Wanted::of(config);
        let mut running = self.running();
        self.change_logs(&wanted);
        let gone = |worker: &mut Worker| {
            wanted.sinks.iter().all(|settings| settings.name() != worker.settings.name())
        };
        let gone: Vec<Worker> = running.workers.extract_if(.., gone).collect();
        let spool = self.plan().spool.clone();
        for settings in stop_all(gone, spool.as_deref()) {
            // No more of it is accepted once the routes have changed, below; what still comes has no sink.
            if let Some(spool) = &spool {
                spool.remove(settings.name());
            }
            self.account(&settings).recover();
            tracing::info!(sink = settings.name(), "removed; what waited for it is counted as lost");
        }
        let differs = |worker: &mut Worker| {
            let same = wanted.sinks.contains(&worker.settings);
            let account = self.account(&worker.settings);
            !same || account.trouble().is_some()
        };
        let differs: Vec<Worker> = running.workers.extract_if(.., differs).collect();
        stop_all(differs, spool.as_deref());
        running.wanted = wanted;
        running.open_again = None;
        self.start_missing(&mut running);
        self.plan().routes = running.wanted.routes;
    }

    fn change_logs(&self, wanted: &Wanted) {
        let mut plan = self.plan();
        for (at, stream) in STREAMS.into_iter().enumerate() {
            let folder = wanted.logs[at].as_deref();
            let known = plan.logs[at].as_ref().and_then(|log| log.path().parent());
            if known != folder {
                plan.logs[at] = folder.map(|folder| EventLog::open(stream, folder, self.log_account(stream)));
            }
        }
    }

    fn log_account(&self, stream: Stream) -> Arc<super::account::Account> {
        let name = match stream {
            Stream::Event => "event_logs",
            Stream::Metadata => "meta_logs",
        };
        self.0.board.account(name, Group::Logs)
    }

    fn account(&self, settings: &Settings) -> Arc<super::account::Account> {
        let group = match settings.route() {
            spool::Route::Kafka => Group::Kafka,
            spool::Route::Webhook => Group::Webhook,
        };
        self.0.board.account(settings.name(), group)
    }

    /// Opens the spool if it is needed, and starts the sinks that do not run.
    fn start_missing(&self, running: &mut Running) {
        if running.wanted.sinks.is_empty() {
            self.plan().spool = None;
            return;
        }
        let own = self.0.board.account("spool", Group::Spool);
        let policy = running.wanted.when_full;
        let options: Vec<SinkOptions> =
            running.wanted.sinks.iter().map(|settings| self.sink_options(settings, policy)).collect();
        let spool = self.plan().spool.clone();
        let spool = match spool
            .map_or_else(|| Spool::open(self.0.options.clone(), Arc::clone(&own), &options).map(Arc::new), Ok)
        {
            Ok(spool) => spool,
            Err(error) => {
                running.open_again = Some(Instant::now() + OPEN_AGAIN);
                if own.fail(format!("{}: {error}", self.0.options.folder.display())) {
                    tracing::error!(%error, "the spool cannot be opened; what is for Kafka and webhooks is lost and counted");
                }
                return;
            }
        };
        if running.open_again.take().is_some() && own.recover() {
            tracing::info!("the spool is open");
        }
        self.0.floor.fetch_max(spool.last_seq() + 1, Relaxed);
        for (settings, options) in running.wanted.sinks.iter().zip(&options) {
            if running.workers.iter().any(|worker| worker.settings.name() == settings.name()) {
                continue;
            }
            let started = spool.add(options).and_then(|()| self.start(settings, &spool));
            match started {
                Ok(worker) => running.workers.push(worker),
                Err(error) => {
                    tracing::error!(sink = settings.name(), %error, "cannot be started");
                    options.account.fail(error.to_string());
                }
            }
        }
        self.plan().spool = Some(spool);
    }

    fn sink_options(&self, settings: &Settings, when_full: crate::config::WhenFull) -> SinkOptions {
        SinkOptions {
            name: settings.name().to_owned(),
            route: settings.route(),
            policy: settings.policy(when_full),
            account: self.account(settings),
        }
    }

    fn start(&self, settings: &Settings, spool: &Spool) -> io::Result<Worker> {
        let reader = spool.reader(settings.name()).ok_or_else(|| io::Error::other("it has no cursor"))?;
        let stop = Stop::default();
        let ending = stop.clone();
        let thread = match settings.clone() {
            #[cfg(feature = "kafka")]
            Settings::Kafka(settings) => {
                let host = self.0.host.clone();
                let worker = KafkaWorker { reader, settings: *settings, host, stop: ending };
                vital::spawn("sink-kafka", move || worker.run())?
            }
            Settings::Webhook(settings) => {
                let worker = WebhookWorker { reader, settings: *settings, stop: ending };
                vital::spawn("sink-webhook", move || worker.run())?
            }
        };
        Ok(Worker { settings: settings.clone(), stop, thread })
    }

    /// A way in. However many there are, messages are numbered in one order.
    pub fn acceptor(&self) -> impl Accept + use<> {
        self.clone()
    }

    /// What waits for each sink.
    pub fn spool(&self) -> SpoolDocument {
        let spool = self.plan().spool.clone();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let running = self.running();
        let sinks = running.wanted.sinks.iter().map(|settings| {
            let account = self.account(settings);
            let status = spool.as_ref().and_then(|spool| spool.status(settings.name())).unwrap_or_default();
            let oldest = status.oldest_ms.map(Duration::from_millis);
            SpoolSink {
                sink: settings.name().to_owned(),
                pending_records: status.records,
                pending_bytes: status.bytes,
                oldest_age_s: oldest.map(|at| now.saturating_sub(at).as_secs()),
                delivered: account.delivered(),
                lost: Loss::ALL
                    .into_iter()
                    .map(|loss| (loss.reason().to_owned(), account.lost(loss)))
                    .filter(|(_, count)| *count > 0)
                    .collect(),
                error: account.trouble(),
                done_seq: status.seq,
            }
        });
        SpoolDocument {
            bytes: spool.as_ref().map_or(0, |spool| spool.bytes()),
            max_bytes: self.0.options.max_bytes,
            last_seq: spool.as_ref().map_or(0, |spool| spool.last_seq()),
            sinks: sinks.collect(),
        }
    }

    /// Gives up what waits for `sink`; how many messages.
    pub fn purge(&self, sink: &str) -> Result<u64, NoSuchSink> {
        let spool = self.plan().spool.clone();
        spool.and_then(|spool| spool.purge(sink)).ok_or(NoSuchSink)
    }

    /// The accounts of all channels, by their names.
    pub fn board(&self) -> &Board {
        &self.0.board
    }

    /// Opens each log by its name before its next line.
    pub fn reopen(&self) {
        self.plan().logs.iter_mut().flatten().for_each(EventLog::reopen);
    }

    /// Ends every sink; what they have not delivered stays on the disk. Whoever waits in `accept` goes on.
    pub fn close(&self) {
        let mut running = self.running();
        let spool = self.plan().spool.clone();
        stop_all(std::mem::take(&mut running.workers), spool.as_deref());
        if let Some(spool) = spool {
            spool.close();
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spool to write to. One that could not be opened is tried again now and then.
    fn spool_to_write(&self) -> Option<Arc<Spool>> {
        let spool = self.plan().spool.clone();
        if spool.is_some() {
            return spool;
        }
        let mut running = self.running();
        if running.open_again.is_some_and(|at| at <= Instant::now()) {
            self.start_missing(&mut running);
        }
        self.plan().spool.clone()
    }
}

/// Stops them all at once, then waits for each; what they were made of.
fn stop_all(workers: Vec<Worker>, spool: Option<&Spool>) -> Vec<Settings> {
    for worker in &workers {
        worker.stop.set();
        if let Some(spool) = spool {
            spool.wake(worker.settings.name());
        }
    }
    let ended = workers.into_iter().map(|worker| {
        if worker.thread.join().is_err() {
            tracing::error!(sink = worker.settings.name(), "its thread has panicked");
        }
        worker.settings
    });
    ended.collect()
}

impl Accept for Delivery {
    fn accept(&mut self, messages: &[Message]) -> u64 {
        let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        let first = (*next).max(self.0.floor.load(Relaxed));
        *next = first + messages.len() as u64;
        let sent = || messages.iter().filter(|message| !message.live_only);
        let routes = {
            let mut plan = self.plan();
            for (at, log) in plan.logs.iter_mut().enumerate() {
                if let Some(log) = log {
                    log.write(sent().filter(|message| message.stream as usize == at));
                }
            }
            plan.routes
        };
        let numbered = (first..).zip(messages).filter(|(_, message)| !message.live_only);
        let routed = numbered.filter_map(|(seq, message)| {
            let routes = routes[message.stream as usize];
            (!routes.is_empty()).then_some((seq, routes, message))
        });
        if routes.iter().any(|routes| !routes.is_empty()) {
            match self.spool_to_write() {
                Some(spool) => spool.append(routed),
                None => self.lose(routed),
            }
        }
        drop(next);
        first
    }
}

impl Delivery {
    /// Without a spool what is for its sinks is lost.
    fn lose<'a>(&self, messages: impl Iterator<Item = (u64, Routes, &'a Message)>) {
        let running = self.running();
        let sinks: Vec<_> =
            running.wanted.sinks.iter().map(|settings| (settings.route(), self.account(settings))).collect();
        for (_, routes, _) in messages {
            for (_, account) in sinks.iter().filter(|(route, _)| routes.has(*route)) {
                account.lose(Loss::WriteFailed, 1);
            }
        }
    }
}
