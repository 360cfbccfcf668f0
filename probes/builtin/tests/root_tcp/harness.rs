//! The probe on a thread of its own, told what to do and read as the daemon does it; and a server to talk to.

use probe_core::{Env, Order, ParamValue, Params, Scope, SubProbes, params};
pub(crate) use probe_kit::testing::Alone;
use probe_kit::testing::{Observed, PATIENCE, SeenRow, seen};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every sub-probe but the one that costs with each segment.
pub(crate) const USUAL: [&str; 7] =
    ["tcp_abnormal", "tcp_windows", "tcp_rtt", "tcp_stats", "tcp_sockbuf", "tcp_rate", "tcp_srtt"];

/// A running probe.
pub(crate) struct Observer {
    probe: Observed,
    order: Order,
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
        Self::run(None, sub_probes, scope, set)
    }

    /// The same as [`Observer::start`] for who is alone.
    pub(crate) fn beside(alone: &Alone) -> Self {
        Self::run(Some(alone), &USUAL, Scope::All, &[])
    }

    fn run(
        alone: Option<&Alone>,
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
        let build = probes::find("tcp").and_then(|feature| feature.build).expect("tcp is built");
        let probe = Observed::start("tcp", build(&Env::default()), order.clone(), alone);
        let mut observer = Self { probe, order, skipped: Vec::new() };
        observer.delivered();
        observer
    }

    fn delivered(&mut self) -> Vec<SeenRow> {
        let delivery = self.probe.delivery();
        self.skipped.extend_from_slice(delivery.batch.skipped());
        seen(&delivery.batch)
    }

    /// Has it read now, and returns the rows: a sub-probe that is switched on is read at once.
    pub(crate) fn read(&mut self) -> Rows {
        self.probe.waiting().for_each(drop);
        let whole = self.order.clone();
        // One that has no link of its own: a link that is dropped is gone only when no child between its fork and its
        // exec has the descriptor any more, and is in the way of the next one until then.
        let others = whole.sub_probes.iter().filter(|name| *name != "tcp_stats").collect();
        let without = Order { sub_probes: others, ..whole.clone() };
        self.probe.command(without);
        self.probe.command(whole);
        Rows(self.delivered())
    }

    /// Changes the scope, as the scope engine does.
    pub(crate) fn rescope(&mut self, scope: Scope) {
        self.order.scope = scope;
        let order = self.order.clone();
        self.probe.command(order);
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
    pub(crate) fn stop(self) {
        drop(self.probe);
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
