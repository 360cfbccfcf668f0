//! The composition root: builds every part in order, handing each what it needs, runs them, and takes them down
//! under one deadline. The only place that knows every part.
//!
//! Start: lock → sockets bound → store, scope, pipeline, channels → manager → servers → probes.init → ready.
//! Stop: not ready → servers accept no more and probes are told to end → pipeline drained → channels flushed.

use crate::access::audit::{self, Actor};
use crate::access::{Access, Credentials, Listener};
use crate::cli::Cli;
use crate::config::{Config, InitSource, Loaded, find, load};
use crate::containers::{Registry, Runtimes};
use crate::cost::Costs;
use crate::delivery::Delivery;
use crate::delivery::board::Board;
use crate::http::{Addresses, ENCODERS, Parts, Servers, Sockets, TlsSettings};
use crate::lock::InstanceLock;
use crate::logging::{self, LogControl};
use crate::manager::{self, Handle};
use crate::meta::MetaCache;
use crate::pipeline::{self, Pipeline, PodLabels, SubjectLabels};
use crate::readiness::Readiness;
use crate::scope::{RESCAN_INTERVAL, ScopeEngine};
use crate::selfmetrics::SelfMetrics;
use crate::signals::{Asked, Signals};
use crate::startset::{Applied, StartSet, Target, apply};
use crate::store::{self, Store};
use crate::{
    atomic, bpfcost, budget, channels, check, config, events, feature, machine_id, privilege, scope, serving,
    startset, systemd, world,
};
use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::{Fuse, FusedFuture as _};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::Instant;

/// All of the shutdown happens within this time.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// So much of it is kept for writing what waits in the metric channels.
const FLUSH: Duration = Duration::from_secs(1);

/// Configuration files that are looked for, in order, when none is named.
pub const CONFIG_FILES: [&str; 2] = [find::OUR_FILE, find::GALA_FILE];

/// The text of `--list-probes`.
pub fn list_probes() -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for descriptor in probes::all() {
        let built = if descriptor.build.is_some() { "" } else { " (not built in this version)" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:<14} {}{built}", descriptor.name, descriptor.summary);
    }
    out
}

/// The bytes of the set of probes to start with.
pub fn read_init(source: &InitSource) -> io::Result<Vec<u8>> {
    match source {
        InitSource::Env(text, _) => Ok(text.clone().into_bytes()),
        InitSource::File(path) => startset::read(path),
    }
}

/// The report and the exit code of `--check-config`, for the file `named` or else the usual one, this process'
/// environment, and `flags` as [`Cli::settings`] makes them.
pub fn check_config(named: Option<&Path>, flags: Vec<(&'static str, String)>) -> (String, u8) {
    let sources = find::gather(named, &CONFIG_FILES, std::env::vars_os(), flags);
    let loaded = load(&sources);
    let init = read_init(loaded.as_ref().map_or_else(|rejected| &rejected.init, |loaded| &loaded.init));
    let credentials = loaded.as_ref().ok().and_then(|loaded| crate::access::check(&loaded.config).err());
    let faults = credentials.as_ref().map_or(&[][..], |error| error.faults());
    check::report(loaded.as_ref(), &init, faults, &validate_line)
}

/// Judges a line of probes.init without a daemon, for `--check-config`.
pub fn validate_line(name: &str, json: &str) -> Result<Vec<String>, feature::Problem> {
    struct NoProcesses;
    impl feature::PidLookup for NoProcesses {
        fn process(&self, _: u32) -> Option<probe_core::ProcKey> {
            None
        }
    }
    let unknown = || feature::Problem::invalid(feature::Path::default(), "there is no such feature");
    let descriptor = probes::find(name).ok_or_else(unknown)?;
    let cx = feature::Context {
        descriptor,
        current: None,
        running: false,
        pids: &NoProcesses,
        max_rules: manager::Limits::default().max_scope_rules,
        from_init: true,
    };
    feature::plan(&feature::Edit::compat_text(json.as_bytes())?, &cx).map(|plan| plan.warnings)
}

/// Runs the daemon until it is told to end.
///
/// # Errors
/// It cannot start: another instance runs, a socket cannot be bound, a thread cannot be made.
pub async fn run(cli: &Cli, loaded: Loaded, kept: &privilege::Kept) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("signals cannot be received")?;
    let app = App::start(loaded, kept)?;
    until_stop(&app, cli, &mut signals).await;
    // A second request to stop ends the process from within `next`.
    tokio::select! {
        () = app.stop() => Ok(()),
        _ = signals.next() => Ok(()),
    }
}

/// Serves signals until one asks for the end. A reload waits for files and probes, so it goes on beside the
/// signals: neither the end nor the service manager's watchdog waits for it.
async fn until_stop(app: &App, cli: &Cli, signals: &mut Signals) {
    let mut watchdog = systemd::watchdog_interval().map(tokio::time::interval);
    let mut reload = std::pin::pin!(Fuse::terminated());
    let mut reload_again = false;
    loop {
        let alive = async {
            match &mut watchdog {
                Some(interval) => interval.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return,
                Asked::Reload if reload.is_terminated() => reload.set(app.reload(cli).fuse()),
                Asked::Reload => reload_again = true,
                Asked::Reopen => app.reopen(),
            },
            () = &mut reload, if !reload.is_terminated() => {
                if std::mem::take(&mut reload_again) {
                    reload.set(app.reload(cli).fuse());
                }
            }
            _ = alive => systemd::alive(),
        }
    }
}

struct App {
    config: std::sync::Mutex<Config>,
    init: InitSource,
    applied: Applied,
    manager: Handle,
    scope: ScopeEngine,
    store: Arc<Store>,
    channels: Arc<channels::Channels>,
    delivery: Delivery,
    readiness: Readiness,
    log: LogControl,
    credentials: Credentials,
    servers: Servers,
    live: Arc<events::Live>,
    budgets: budget::Settings,
    pipeline: JoinHandle<()>,
    events: JoinHandle<()>,
    /// Held as long as the process runs.
    _lock: InstanceLock,
}

impl App {
    fn start(loaded: Loaded, kept: &privilege::Kept) -> anyhow::Result<Self> {
        let Loaded { config, file, init, warnings, problems } = loaded;
        let readiness = Readiness::default();
        let (log, log_problem) = logging::start(config.global.log_level, &config.debug_log());
        let lock = InstanceLock::acquire(&config.paths.run)?;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            config = file.as_ref().map(|(path, _)| path.display().to_string()),
            "gopherd starts"
        );
        warnings.iter().for_each(|warning| tracing::warn!("configuration: {warning}"));
        problems.iter().for_each(|problem| tracing::error!("configuration: {problem}"));
        readiness.set("capabilities", kept.tell());
        let host = config.host();
        // Before any probe can ask.
        probe_kit::kernel::configure(&host, config.global.btf_path.as_deref());
        let (machine, machine_problem) =
            machine_id::obtain(&config.global.machine_id, &config.paths.state, &host);
        tracing::info!(machine_id = machine.label, source = ?machine.source, "this host");
        readiness.set("configuration", problems.iter().map(ToString::to_string).collect());
        readiness.set("log", log_problem.into_iter().collect());
        readiness.set("machine id", machine_problem.into_iter().collect());

        let access = Arc::new(Access::new(&config));
        let credentials = Credentials::start(&config, &access, &readiness)
            .context("the daemon does not start without the protection that was asked for")?;
        let tls = tls_settings(&config, &credentials)?;
        let sockets = Sockets::bind(&Addresses {
            rest: config.rest_listen(),
            unix: Some(config.paths.run.join("gopherd.sock")),
            metrics: config.metrics_listen(),
        })?;
        for (what, address) in [("control", sockets.rest_address()), ("metrics", sockets.metrics_address())] {
            if let Some(address) = address {
                tracing::info!(%address, "{what} listens");
            }
        }

        let budgets = budget::Settings::of(&config);
        let event_settings = events::Settings::of(&config, &machine.label, budgets.clone());
        let store = Arc::new(Store::new(store::Options {
            prefix: config.metric.prefix.clone(),
            machine_id: machine.label.clone(),
            max_series: usize::try_from(config.limits.max_series).unwrap_or(usize::MAX),
            max_series_per_probe: usize::try_from(config.limits.max_series_per_probe).unwrap_or(usize::MAX),
            ..store::Options::default()
        }));
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        let own = Arc::new(SelfMetrics::new(&build).context("the daemon's own metrics cannot be made")?);
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let board = Board::new(readiness.clone());
        let delivery = Delivery::open(&config, board.clone(), name.clone());
        own.watch_delivery(delivery.clone());
        let channels = Arc::new(channels::Channels::open(
            &config,
            Arc::clone(&store),
            Arc::clone(&own),
            &readiness,
            board,
            channels::Host { machine: machine.id, name },
        ));
        let (outlet, deliveries) = pipeline::queue();

        let containers = Registry::default();
        let runtimes = Runtimes::start(&config.containers, &host, &containers, &readiness);
        own.watch_containers(containers.clone(), runtimes.clone());

        // The engine reports to the manager, which asks the engine: the way back is set once both are there.
        let back: Arc<std::sync::OnceLock<Handle>> = Arc::default();
        let on_change = {
            let back = Arc::clone(&back);
            move |feature, resolved| {
                if let Some(manager) = back.get() {
                    manager.rescope(feature, resolved);
                }
            }
        };
        let scope = ScopeEngine::start(
            &host.proc,
            containers.clone(),
            RESCAN_INTERVAL,
            scope::telling(scope::kernel_tracker(&host), &readiness),
            Box::new(on_change),
        )
        .context("the scope engine's thread cannot be made")?;
        let pod_labels = PodLabels::default();
        let world =
            world::Daemon { scope: scope.clone(), store: Arc::clone(&store), pod_labels: pod_labels.clone() };
        let limits = manager::Limits {
            max_scope_rules: usize::try_from(config.limits.max_scope_rules).unwrap_or(usize::MAX),
            ..manager::Limits::default()
        };
        let features: Vec<_> = probes::all().collect();
        let (manager, task) = manager::manager(&features, host.clone(), outlet, Box::new(world), limits);
        let _ = back.set(manager.clone());
        tokio::spawn(bpfcost::measure());

        let shown_events = events::Shown::default();
        own.watch_events(shown_events.clone());
        let accept = Box::new(delivery.clone());
        let (watch, event_thread) =
            events::start(event_settings, manager.views().clone(), accept, &shown_events)
                .context("the thread of events cannot be made")?;
        let live = Arc::clone(&shown_events.live);
        let pipeline = Pipeline {
            deliveries,
            store: Arc::clone(&store),
            labels: Box::new(SubjectLabels::new(
                MetaCache::new(&host.proc, containers.clone()),
                scope.clone(),
                containers,
                pod_labels,
            )),
            own: Arc::clone(&own),
            views: manager.views().clone(),
            events: watch,
            on_period: {
                let channels = Arc::clone(&channels);
                Box::new(move |feature| channels.period(feature))
            },
        };
        let pipeline = pipeline.start().context("the pipeline's thread cannot be made")?;
        // From here on nothing fails but the servers, whose sockets are bound.
        tokio::spawn(task);

        let target = match &init {
            InitSource::File(path) => {
                atomic::remove_leftovers(path)
                    .map_err(|error| tracing::warn!(%error, "left-over files of an earlier save stay"))
                    .ok();
                Target::File(path.clone())
            }
            InitSource::Env(..) => Target::Environment("GOPHER_PROBES_INIT"),
        };
        let start_set = StartSet::new(manager.clone(), target);
        if config.probes_init.save == config::SaveMode::OnChange {
            let readiness = readiness.clone();
            let report = move |problems| readiness.set("saving probes", problems);
            tokio::spawn(start_set.clone().save_on_change(report));
        }
        let views = manager.views().clone();
        let costs = Costs::default();
        tokio::spawn(costs.clone().sample(views.clone(), Arc::clone(&store), shown_events.counts.clone()));
        let board = budget::Board::default();
        let of_features = budget::costs::of_features(
            views.clone(),
            Arc::clone(&store),
            shown_events.counts.clone(),
            costs.clone(),
        );
        let of_daemon = budget::costs::of_daemon();
        tokio::spawn(budget::watch(manager.clone(), budgets.clone(), board.clone(), of_features, of_daemon));
        let shown = serving::Shown::new(
            &config,
            serving::Sources {
                store: Arc::clone(&store),
                own,
                views,
                scope: scope.clone(),
                log: log.clone(),
                refused: Arc::clone(&access.counts),
                budgets: board,
                costs,
            },
        );
        let parts = Parts {
            manager: manager.clone(),
            metrics: Arc::new(shown),
            targets: Arc::new(serving::ScopeTargets(scope.clone(), host.clone())),
            runtimes: Arc::new(serving::FoundRuntimes(runtimes)),
            live: Arc::clone(&live),
            spool: Arc::new(delivery.clone()),
            readiness: readiness.clone(),
            saver: Arc::new(start_set),
            log_level: Arc::new(log.clone()),
            env: host,
            body_timeout: config.rest_api_server.body_timeout,
            encoders: Arc::new(tokio::sync::Semaphore::new(ENCODERS)),
            access,
            sending: crate::http::Sending::default(),
        };
        let limits = crate::http::Limits {
            max_connections: usize::try_from(config.rest_api_server.max_connections).unwrap_or(usize::MAX),
            head_timeout: config.rest_api_server.body_timeout,
            ..crate::http::Limits::default()
        };
        let servers = crate::http::serve(sockets.with_tls(tls), &parts, &limits)
            .context("the HTTP servers cannot be started")?;

        let applied = Applied::default();
        tokio::spawn(first_set(manager.clone(), init.clone(), applied.clone(), readiness.clone()));
        Ok(Self {
            config: std::sync::Mutex::new(config),
            init,
            applied,
            manager,
            scope,
            store,
            channels,
            delivery,
            readiness,
            log,
            credentials,
            servers,
            live,
            budgets,
            pipeline,
            events: event_thread,
            _lock: lock,
        })
    }

    /// Reads the configuration again and takes over what can change while the daemon runs.
    async fn reload(&self, cli: &Cli) {
        tracing::info!("reading the configuration again");
        let (file, flags) = (cli.config.clone(), cli.settings());
        let gather = move || find::gather(file.as_deref(), &CONFIG_FILES, std::env::vars_os(), flags);
        let Ok(sources) = tokio::task::spawn_blocking(gather).await else { return };
        match load(&sources) {
            Ok(loaded) => {
                let problems = self.take_over(loaded);
                self.readiness.set("configuration", problems);
                self.readiness.set("reload", Vec::new());
            }
            Err(rejected) => {
                let faults: Vec<String> = rejected.faults.iter().map(ToString::to_string).collect();
                faults.iter().for_each(|fault| tracing::error!("the configuration stays as it was: {fault}"));
                self.readiness.set("reload", faults);
            }
        }
        apply_set(&self.manager, &self.init, &self.applied, &self.readiness, &Actor::Reload).await;
    }

    fn take_over(&self, loaded: Loaded) -> Vec<String> {
        let mut config = self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (live, restart) = config.changes(&loaded.config);
        let new = loaded.config;
        self.log.set_level(new.global.log_level);
        self.store.set_limits(
            usize::try_from(new.limits.max_series).unwrap_or(usize::MAX),
            usize::try_from(new.limits.max_series_per_probe).unwrap_or(usize::MAX),
        );
        self.budgets.set(&new);
        self.channels.open_as(&new, &self.readiness);
        self.delivery.apply(&new);
        self.credentials.reload(&new);
        live.iter().for_each(|key| tracing::info!(key, "taken over"));
        if !live.is_empty() {
            audit::record(&Actor::Reload, "configuration", &config.shown(&live), &new.shown(&live), None);
        }
        let mut problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        for key in restart {
            tracing::warn!(key, "changed in the file; it takes effect at the next start");
            problems.push(format!("{key} was changed and takes effect at the next start"));
        }
        *config = new;
        problems
    }

    fn reopen(&self) {
        self.log.reopen();
        self.channels.reopen();
        self.delivery.reopen();
        tracing::info!("files reopened");
    }

    async fn stop(self) {
        tracing::info!("gopherd stops");
        systemd::stopping();
        self.readiness.stopping();
        let deadline = Instant::now() + SHUTDOWN;
        // No new connections while the probes end; what is being answered is answered.
        // Nor do the servers wait for clients that follow the events.
        self.live.close();
        let probes = self.manager.shutdown(SHUTDOWN - Duration::from_secs(2));
        let (late, ()) = tokio::join!(probes, self.servers.stop());
        for probe in &late {
            tracing::error!(probe, "did not end in time");
        }
        // Both may be reading a process whose memory map the kernel holds locked.
        let scope = self.scope;
        by(deadline - FLUSH, "scope", move || scope.shutdown()).await;
        if late.is_empty() {
            // Every sender of its queue is gone, so it ends as soon as the queue is empty.
            by(deadline - FLUSH, "pipeline", move || drop(self.pipeline.join())).await;
            // The pipeline held the other end of its queue.
            by(deadline, "events", move || drop(self.events.join())).await;
        }
        let (channels, delivery) = (self.channels, self.delivery);
        let channels = by(deadline, "channels", move || channels.close());
        tokio::join!(channels, by(deadline, "delivery", move || delivery.close()));
        tracing::info!("gopherd has stopped");
    }
}

/// The handshake of each listener that has TLS.
fn tls_settings(config: &Config, credentials: &Credentials) -> anyhow::Result<TlsSettings> {
    let oldest = config.rest_api_server.tls_min;
    let of = |listener| credentials.of(listener).map(|tls| tls.server(oldest).map(Arc::new)).transpose();
    let settings =
        of(Listener::Rest).and_then(|rest| Ok(TlsSettings { rest, metrics: of(Listener::Metrics)? }));
    settings.context("TLS cannot be set up")
}

/// Ends a part that may block, and goes on without it at `deadline`.
async fn by(deadline: Instant, part: &'static str, end: impl FnOnce() + Send + 'static) {
    if tokio::time::timeout_at(deadline, tokio::task::spawn_blocking(end)).await.is_err() {
        tracing::error!(part, "did not end in time");
    }
}

/// Applies the set to start with, then tells everybody that the daemon is ready.
async fn first_set(manager: Handle, init: InitSource, applied: Applied, readiness: Readiness) {
    apply_set(&manager, &init, &applied, &readiness, &Actor::StartSet).await;
    readiness.serving();
    systemd::ready();
    tracing::info!("gopherd is ready");
    // Once: what an idle daemon goes on to use is a small part of what its start has touched.
    probe_kit::own_pages::release();
}

async fn apply_set(
    manager: &Handle,
    init: &InitSource,
    applied: &Applied,
    readiness: &Readiness,
    actor: &Actor,
) {
    let name = match init {
        InitSource::File(path) => path.display().to_string(),
        InitSource::Env(..) => "GOPHER_PROBES_INIT".to_owned(),
    };
    let source = init.clone();
    // A file system that does not answer holds up this thread and nothing else.
    let read = tokio::task::spawn_blocking(move || read_init(&source)).await;
    let problems = match read.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(text) => apply(manager, &name, &text, applied, actor).await,
        Err(error) => vec![format!("{name}: cannot be read: {error}")],
    };
    problems.iter().for_each(|problem| tracing::error!("{problem}"));
    readiness.set("probes.init", problems);
}
