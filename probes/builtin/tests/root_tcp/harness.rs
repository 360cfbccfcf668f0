//! The probe on a thread of its own, told what to do and read as the daemon does it; and a server to talk to.

use probe_core::{Env, Order, ParamValue, Params, ProbeError, Scope, Starting, SubProbes, params};
use probe_kit::link::{Control, Delivery, Gauges, KitLink};
use probe_kit::testing::{SeenRow, seen};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Every sub-probe but the one that costs with each segment.
pub(crate) const USUAL: [&str; 7] =
    ["tcp_abnormal", "tcp_windows", "tcp_rtt", "tcp_stats", "tcp_sockbuf", "tcp_rate", "tcp_srtt"];

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Held by every observer, and by the test that counts what is left when there is none.
static OBSERVERS: RwLock<()> = RwLock::new(());

/// That no other test observes.
pub(crate) struct Alone(#[allow(dead_code)] RwLockWriteGuard<'static, ()>); // held, not read

impl Alone {
    /// Waits for the others to end.
    pub(crate) fn claim() -> Self {
        Self(OBSERVERS.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A running probe.
pub(crate) struct Observer {
    _among_others: Option<RwLockReadGuard<'static, ()>>,
    control: Control,
    reports: Receiver<u64>,
    deliveries: Receiver<Delivery>,
    order: Order,
    thread: Option<JoinHandle<Result<(), ProbeError>>>,
    /// What was left out, of all readings.
    pub(crate) skipped: Vec<(&'static str, u64)>,
}

impl Observer {
    /// Starts it over all processes and waits until it is attached and has read once.
    pub(crate) fn start() -> Self {
        Self::with(&USUAL, Scope::All, &[])
    }

    /// The same with these sub-probes, this scope and these parameters.
    pub(crate) fn with(
        sub_probes: &[&'static str],
        scope: Scope,
        set: &[(&'static probe_core::ParamSpec, i64)],
    ) -> Self {
        let among_others = OBSERVERS.read().unwrap_or_else(PoisonError::into_inner);
        Self::run(Some(among_others), sub_probes, scope, set)
    }

    /// The same as [`Observer::start`] for who is alone.
    pub(crate) fn beside(_: &Alone) -> Self {
        Self::run(None, &USUAL, Scope::All, &[])
    }

    fn run(
        among_others: Option<RwLockReadGuard<'static, ()>>,
        sub_probes: &[&'static str],
        scope: Scope,
        set: &[(&'static probe_core::ParamSpec, i64)],
    ) -> Self {
        let mut values = Params::default();
        // No reading but those that are asked for.
        values.set(&params::REPORT_PERIOD, ParamValue::Int(600));
        values.set(&params::SAMPLE_PERIOD, ParamValue::Int(10_000));
        for (spec, value) in set {
            values.set(spec, ParamValue::Int(*value));
        }
        let order =
            Order { sub_probes: names(sub_probes), scope, params: Arc::new(values), ..Order::default() };
        let (outlet, deliveries) = sync_channel(64);
        let (told, reports) = channel();
        let on_report = Box::new(move |outcome: probe_core::Outcome, number| {
            let missing: Vec<_> = outcome.sub_probes.iter().filter(|sub| !sub.missing.is_empty()).collect();
            assert!(missing.is_empty(), "{missing:?}");
            for sub in &outcome.sub_probes {
                let verdict = if sub.lacks.is_empty() { "attached".into() } else { sub.lacks.join("; ") };
                eprintln!("VERDICT {}: {verdict}", sub.name);
            }
            let _ = told.send(number);
        });
        let (link, control) =
            KitLink::new("tcp", 1, outlet, Arc::<Gauges>::default(), on_report).expect("a link");
        let build = probes::find("tcp").and_then(|feature| feature.build).expect("tcp is built");
        let probe = build(&Env::default());
        let start = Starting::new(Box::new(link), order.clone());
        let thread = thread::Builder::new().spawn(move || probe.run(start)).expect("a thread");
        let mut observer = Self {
            _among_others: among_others,
            control,
            reports,
            deliveries,
            order,
            thread: Some(thread),
            skipped: Vec::new(),
        };
        observer.reported(0);
        observer.delivered();
        observer
    }

    fn reported(&mut self, number: u64) {
        loop {
            match self.reports.recv_timeout(PATIENCE) {
                Ok(answered) if answered >= number => return,
                Ok(_) => {}
                Err(_) => panic!("no report: {:?}", self.thread.take().map(JoinHandle::join)),
            }
        }
    }

    fn delivered(&mut self) -> Vec<SeenRow> {
        let Ok(delivery) = self.deliveries.recv_timeout(PATIENCE) else {
            panic!("no rows: {:?}", self.thread.take().map(JoinHandle::join));
        };
        self.skipped.extend_from_slice(delivery.batch.skipped());
        seen(&delivery.batch)
    }

    fn command(&mut self, order: Order) {
        let number = self.control.order(order);
        self.reported(number);
    }

    /// Has it read now, and returns the rows: a sub-probe that is switched on is read at once.
    pub(crate) fn read(&mut self) -> Rows {
        while self.deliveries.try_recv().is_ok() {}
        let whole = self.order.clone();
        // One that has no link of its own: a link that is dropped is gone only when no child between its fork and its
        // exec has the descriptor any more, and is in the way of the next one until then.
        let others = whole.sub_probes.iter().filter(|name| *name != "tcp_stats").collect();
        let without = Order { sub_probes: others, ..whole.clone() };
        self.command(without);
        self.command(whole);
        Rows(self.delivered())
    }

    /// Changes the scope, as the scope engine does.
    pub(crate) fn rescope(&mut self, scope: Scope) {
        self.order.scope = scope;
        let order = self.order.clone();
        self.command(order);
    }

    /// Reads until `look` finds what it looks for.
    pub(crate) fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Rows) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let rows = self.read();
            if let Some(found) = look(&rows) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} does not come: {rows:#?}");
        }
    }

    /// Stops it and waits for its end.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.control.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("no panic").expect("a regular end");
            }
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.end();
    }
}

pub(crate) fn names(names: &[&'static str]) -> SubProbes {
    names.iter().copied().collect()
}

/// One reading.
#[derive(Debug)]
pub(crate) struct Rows(pub(crate) Vec<SeenRow>);

impl Rows {
    /// Rows of connections to `port` in `role`.
    pub(crate) fn of(&self, role: &str, port: u16) -> Vec<&SeenRow> {
        let port = port.to_string();
        let wanted = |row: &&SeenRow| {
            row.table == "tcp_metric"
                && row.label("role") == Some(role)
                && row.label("server_port") == Some(&port)
        };
        self.0.iter().filter(wanted).collect()
    }

    /// The sum of a column over them; `None` if no row has it.
    pub(crate) fn sum(&self, role: &str, port: u16, column: &str) -> Option<f64> {
        let values: Vec<_> = self.of(role, port).iter().filter_map(|row| row.get(column)).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Number of samples of a distribution over them.
    pub(crate) fn samples(&self, role: &str, port: u16, column: &str) -> u64 {
        let rows = self.of(role, port);
        let values = rows.iter().flat_map(|row| &row.values).filter(|(name, _)| *name == column);
        values
            .map(|(_, value)| match value {
                probe_core::Value::Histogram(histogram) => histogram.count(),
                _ => 0,
            })
            .sum()
    }

    /// The only row of connections to `port` in `role`.
    #[track_caller]
    pub(crate) fn one(&self, role: &str, port: u16) -> &SeenRow {
        match self.of(role, port).as_slice() {
            [row] => row,
            rows => panic!("{} rows of {role} and {port}: {rows:#?}", rows.len()),
        }
    }
}

/// Asserts values of the only row of connections to `port` in `role`.
#[track_caller]
pub(crate) fn expect(rows: &Rows, role: &str, port: u16, expected: &[(&str, f64)]) {
    let row = rows.one(role, port);
    for (column, value) in expected {
        assert_eq!(row.get(column), Some(*value), "{role} {column}: {row:#?}");
    }
}

/// A listening socket.
pub(crate) fn listener(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((address, 0)).expect("an address");
    let at = listener.local_addr().expect("bound");
    (listener, at)
}

/// A connection, both ends.
pub(crate) fn pair(listener: &TcpListener, to: SocketAddr) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(to).expect("connected");
    let (server, _) = listener.accept().expect("accepted");
    (client, server)
}

/// Sends `ask` bytes and gets `answer` back, `times` times.
pub(crate) fn talk(client: &mut TcpStream, server: &mut TcpStream, ask: usize, answer: usize, times: usize) {
    let mut buffer = vec![0; ask.max(answer)];
    for _ in 0..times {
        client.write_all(&buffer[..ask]).expect("asked");
        server.read_exact(&mut buffer[..ask]).expect("heard");
        server.write_all(&buffer[..answer]).expect("answered");
        client.read_exact(&mut buffer[..answer]).expect("heard");
    }
}

/// Ends a connection by a reset: what SO_LINGER with no time does.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("lingering set");
    drop(stream);
}

/// Waits until the peer has closed or reset `stream`.
pub(crate) fn wait_end(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
}
