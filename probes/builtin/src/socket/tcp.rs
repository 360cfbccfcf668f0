//! The rows of TCP: what the kernel counts, kept under the names that are shown, until they age out. Pure.

use super::bpf::{closed_value, ended_connect, endpoint_counts, endpoint_key, listen_key, socket_owner};
use super::jobs::Gives;
use super::labels;
use super::listeners::{Listeners, Who, process};
use super::overflow::Overflows;
use super::tables::{EndpointTcp, LATENCY_BOUNDS};
use probe_core::{Baseline, Batch, Histogram, ProcKey, Scope, Subject};
use probe_kit::bpf::abi;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A row that nothing happened to for so long is not shown any more, as in the original.
pub(super) const IDLE: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Client,
    Server,
    Listener,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Id {
    kind: Kind,
    tgid: u32,
    comm: [u8; 16],
    client_ip: [u8; 16],
    server_ip: [u8; 16],
    port: u16,
    family: u16,
}

impl Id {
    fn of(kind: Kind, who: &Who, key: &endpoint_key) -> Self {
        Self {
            kind,
            tgid: who.tgid,
            comm: who.comm,
            client_ip: key.client_ip,
            server_ip: key.server_ip,
            port: key.server_port,
            family: key.family,
        }
    }
}

/// What only listening sockets have.
#[derive(Clone, Copy, Debug, Default)]
struct Listened {
    drops: u64,
    overflows: Overflows,
    requests: u64,
}

#[derive(Debug)]
struct Held {
    who: Who,
    counts: endpoint_counts,
    listened: Listened,
    /// The largest latency of the period that ends now.
    max: Option<u64>,
    /// The counters of the namespace could be read.
    overflows_known: bool,
    touched: Instant,
    /// Something was counted since the last report.
    news: bool,
    /// The last report had it.
    shown: bool,
}

/// What rows are shown by.
pub(super) struct Showing<'a> {
    pub(super) scope: &'a Scope,
    pub(super) gives: Gives,
    pub(super) alive: &'a dyn Fn(ProcKey) -> bool,
}

/// Every row, and what the kernel said last.
#[derive(Debug)]
pub(super) struct Endpoints {
    rows: HashMap<Id, Held>,
    seen: HashMap<endpoint_key, (endpoint_counts, Instant)>,
    limit: usize,
    /// Things that happened and have no row.
    refused: u64,
}

/// What was counted since `before`; a smaller number means that the entry was made anew.
fn since(now: &endpoint_counts, before: Option<&endpoint_counts>) -> endpoint_counts {
    let mut grown = *now;
    let Some(before) = before else { return grown };
    for (grown, before) in counters(&mut grown).zip(counters(&mut { *before })) {
        *grown = grown.checked_sub(*before).unwrap_or(*grown);
    }
    grown
}

/// Every member that only grows; one that is neither here nor named as a level does not compile.
fn counters(counts: &mut endpoint_counts) -> impl Iterator<Item = &mut u64> {
    macro_rules! members {
        ($($counter:ident),+; $($level:ident),+) => {{
            let endpoint_counts { $($counter,)+ latency, $($level: _,)+ } = counts;
            [$($counter),+].into_iter().chain(latency)
        }};
    }
    members!(
        active_open, active_open_failed, syn_sent, retran_syn, syn_drop, passive_open, passive_open_failed,
        retran_synacks, latency_sum; latency_max, latency_period
    )
}

fn add(to: &mut endpoint_counts, grown: &mut endpoint_counts) {
    for (to, grown) in counters(to).zip(counters(grown)) {
        *to += *grown;
    }
}

fn is_server(key: &endpoint_key) -> bool {
    u32::from(key.role) == abi::GOPHER_ROLE_SERVER
}

impl Endpoints {
    /// Room for `limit` rows.
    pub(super) fn new(limit: usize) -> Self {
        Self { rows: HashMap::new(), seen: HashMap::new(), limit, refused: 0 }
    }

    /// The row of `id`, made if there is room; a row of what nothing has happened to counts as no loss.
    fn row(&mut self, id: Id, who: Who, happened: bool, now: Instant) -> Option<&mut Held> {
        if !self.rows.contains_key(&id) && self.rows.len() >= self.limit {
            self.refused += u64::from(happened);
            return None;
        }
        let row = self.rows.entry(id).or_insert_with(|| Held {
            who: who.clone(),
            counts: endpoint_counts::default(),
            listened: Listened::default(),
            max: None,
            overflows_known: false,
            touched: now,
            news: false,
            shown: false,
        });
        row.who = who;
        row.touched = now;
        row.news |= happened;
        Some(row)
    }

    /// Takes note of what the kernel has counted, in the report period number `period`.
    pub(super) fn count(
        &mut self,
        entries: &[(endpoint_key, endpoint_counts)],
        listeners: &Listeners,
        period: u64,
        now: Instant,
    ) {
        let mut before = std::mem::take(&mut self.seen);
        for (key, counts) in entries {
            let old = before.remove(key);
            let mut grown = since(counts, old.as_ref().map(|(counts, _)| counts));
            let quiet = counters(&mut grown).all(|count| *count == 0);
            let touched = old.map_or(now, |(_, touched)| if quiet { touched } else { now });
            self.seen.insert(*key, (*counts, touched));
            if quiet {
                continue;
            }
            let server = is_server(key);
            let who =
                if server { listeners.whose(&key.owner, key.server_port) } else { Who::one(&key.owner) };
            let id = Id::of(if server { Kind::Server } else { Kind::Client }, &who, key);
            let Some(row) = self.row(id, who, true, now) else { continue };
            add(&mut row.counts, &mut grown);
            if counts.latency_period == period {
                row.max = row.max.max(Some(counts.latency_max));
            }
        }
    }

    /// Takes note of a connect that has ended, with `server` in place of the address that it was made to.
    pub(super) fn connected(&mut self, connect: &ended_connect, server: Option<SocketAddr>, now: Instant) {
        let mut key = connect.key;
        if let Some(server) = server {
            key.server_ip = [0; 16];
            match server.ip() {
                IpAddr::V4(ip) => key.server_ip[..4].copy_from_slice(&ip.octets()),
                IpAddr::V6(ip) => key.server_ip = ip.octets(),
            }
            key.server_port = server.port();
        }
        let who = Who::one(&key.owner);
        let established = connect.established != 0;
        let Some(row) = self.row(Id::of(Kind::Client, &who, &key), who, true, now) else { return };
        let mut counts = endpoint_counts {
            active_open: established.into(),
            active_open_failed: (!established).into(),
            syn_sent: 1,
            retran_syn: connect.retran_syn.into(),
            syn_drop: connect.syn_drop.into(),
            ..endpoint_counts::default()
        };
        if established {
            counts.latency_sum = connect.latency;
            counts.latency[LATENCY_BOUNDS.partition_point(|bound| *bound < connect.latency)] = 1;
            row.max = row.max.max(Some(connect.latency));
        }
        add(&mut row.counts, &mut counts);
    }

    fn listener(&mut self, key: &listen_key, who: Who, happened: bool, now: Instant) -> Option<&mut Held> {
        let id = Id {
            kind: Kind::Listener,
            tgid: who.tgid,
            comm: who.comm,
            client_ip: [0; 16],
            server_ip: key.ip,
            port: key.port,
            family: key.family,
        };
        self.row(id, who, happened, now)
    }

    /// Keeps the row of a listening socket, whose drops grew by `drops`; `overflows` is `None` where the counters
    /// of its namespace cannot be read.
    pub(super) fn listens(
        &mut self,
        key: &listen_key,
        who: &Who,
        drops: u64,
        overflows: Option<Overflows>,
        now: Instant,
    ) {
        let Some(row) = self.listener(key, who.clone(), drops > 0, now) else { return };
        row.listened.drops += drops;
        if let Some(overflows) = overflows {
            row.overflows_known = true;
            row.listened.overflows.accept += overflows.accept;
            row.listened.overflows.requests += overflows.requests;
        }
    }

    /// Takes note of a socket that stopped to listen.
    pub(super) fn closed(&mut self, who: &Who, value: &closed_value, drops: u64, now: Instant) {
        let (queued, requests) = (u64::from(value.accept_queue), u64::from(value.requests));
        let happened = queued + requests + drops > 0;
        let Some(row) = self.listener(&value.key, who.clone(), happened, now) else { return };
        row.listened.drops += drops;
        row.listened.requests += requests;
        row.counts.passive_open_failed += queued;
    }

    /// Entries of the kernel that nothing will be added to, or was for long.
    pub(super) fn stale(&self, alive: &dyn Fn(ProcKey) -> bool, now: Instant) -> Vec<endpoint_key> {
        let idle = |touched: &Instant| now.saturating_duration_since(*touched) >= IDLE;
        let stale =
            self.seen.iter().filter(|(key, (_, touched))| idle(touched) || !alive(process(&key.owner)));
        stale.map(|(key, _)| *key).collect()
    }

    /// The kernel has no entry `key` any more.
    pub(super) fn removed(&mut self, key: &endpoint_key) {
        self.seen.remove(key);
    }

    /// Things that happened and found no room, since the last call.
    pub(super) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Adds the rows in scope to `out`, and forgets those that have ended or aged.
    ///
    /// A process that has ended is in no scope any more, but what was counted of it was counted in scope.
    pub(super) fn show(&mut self, showing: &Showing<'_>, now: Instant, out: &mut Batch) {
        self.rows.retain(|id, row| {
            let members = &row.who.members;
            let alive = members.iter().any(|member| (showing.alive)(*member));
            let in_scope = members.iter().any(|member| showing.scope.contains(member));
            let idle = now.saturating_duration_since(row.touched) >= IDLE;
            let show = if alive { in_scope && !idle } else { row.news || row.shown };
            if show {
                let subject = members.first().map_or(Subject::Host, |member| Subject::Process(*member));
                let text = text(id, row, showing.gives);
                if alive {
                    out.push(subject, Baseline::Zero, text);
                } else {
                    out.push_last(subject, Baseline::Zero, text);
                }
            }
            (row.shown, row.news, row.max) = (show, false, None);
            alive && !idle
        });
        out.complete::<EndpointTcp>();
    }

    /// Bytes that are held.
    pub(super) fn memory(&self) -> u64 {
        let row = size_of::<(Id, Held)>() + size_of::<ProcKey>();
        let seen = size_of::<(endpoint_key, (endpoint_counts, Instant))>();
        (self.rows.capacity() * row + self.seen.capacity() * seen) as u64
    }
}

fn text(id: &Id, row: &Held, gives: Gives) -> EndpointTcp {
    let (client, server, listener) =
        (id.kind == Kind::Client, id.kind == Kind::Server, id.kind == Kind::Listener);
    let counts = &row.counts;
    EndpointTcp {
        tgid: labels::number(id.tgid),
        comm: labels::comm(id.comm),
        role: labels::role(!client),
        client_ip: labels::address(id.client_ip, id.family),
        // The option that would carry it needs a program on the data path.
        toa_client_ip: probe_core::SmolStr::default(),
        server_ip: labels::address(id.server_ip, id.family),
        server_port: labels::number(id.port),
        protocol: labels::number(id.family),
        multi: labels::number(u8::from(row.who.multi)),
        listendrop: listener.then_some(row.listened.drops),
        accept_overflow: (listener && row.overflows_known).then_some(row.listened.overflows.accept),
        syn_overflow: (listener && row.overflows_known).then_some(row.listened.overflows.requests),
        passive_open: server.then_some(counts.passive_open),
        passive_open_failed: (!client).then_some(counts.passive_open_failed),
        retran_synacks: server.then_some(counts.retran_synacks),
        retran_syn: client.then_some(counts.retran_syn),
        req_drops: listener.then_some(row.listened.requests),
        active_open: client.then_some(counts.active_open),
        active_open_failed: client.then_some(counts.active_open_failed),
        syn_sent: client.then_some(counts.syn_sent),
        syn_drop: (client && gives.syn_drop).then_some(counts.syn_drop),
        synack_sent: server.then_some(counts.passive_open + counts.retran_synacks),
        estab_latency: (!listener).then(|| histogram(counts, row.max)),
    }
}

#[allow(clippy::cast_precision_loss)] // sums and maxima of nanoseconds far below 2^53
fn histogram(counts: &endpoint_counts, max: Option<u64>) -> Histogram {
    Histogram::from_buckets(counts.latency.into(), counts.latency_sum as f64, max.map(|max| max as f64))
}

/// The owner that the programs shall write down at a place: the one that they have, as long as it holds the socket.
pub(super) fn owner_there(owners: &[socket_owner], now: Option<&socket_owner>) -> Option<socket_owner> {
    let held = now.and_then(|now| owners.iter().find(|owner| process(owner) == process(now)));
    held.or_else(|| owners.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::seen;
    use std::time::SystemTime;

    fn key(tgid: u32) -> endpoint_key {
        let owner = socket_owner { tgid, start_ticks: 1, ..socket_owner::default() };
        endpoint_key { owner, server_port: 80, family: 2, role: 1, ..endpoint_key::default() }
    }

    fn opened(active_open: u64) -> endpoint_counts {
        endpoint_counts { active_open, ..endpoint_counts::default() }
    }

    /// The opened connections of each process that is shown.
    fn shown(endpoints: &mut Endpoints, scope: &Scope, alive: bool, now: Instant) -> Vec<(String, f64)> {
        let gives = Gives { syn_drop: true, bind_sends: true, bind_rcvs: true, udp_rcv_drops: true };
        let showing = Showing { scope, gives, alive: &|_| alive };
        let mut batch = Batch::new(SystemTime::now());
        endpoints.show(&showing, now, &mut batch);
        let row = |row: &probe_kit::testing::SeenRow| {
            (row.label("tgid").expect("a label").to_owned(), row.get("active_open").expect("a client's"))
        };
        seen(&batch).iter().map(row).collect()
    }

    fn count(endpoints: &mut Endpoints, entries: &[(endpoint_key, endpoint_counts)], now: Instant) {
        endpoints.count(entries, &Listeners::default(), 0, now);
    }

    #[test]
    fn an_entry_that_the_kernel_made_anew_goes_on_from_what_was_shown() {
        let (mut endpoints, now) = (Endpoints::new(8), Instant::now());
        count(&mut endpoints, &[(key(7), opened(5))], now);
        count(&mut endpoints, &[(key(7), opened(2))], now);
        assert_eq!(shown(&mut endpoints, &Scope::All, true, now), [("7".to_owned(), 7.0)]);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_what_is_there_goes_on() {
        let (mut endpoints, now) = (Endpoints::new(1), Instant::now());
        count(&mut endpoints, &[(key(7), opened(1)), (key(8), opened(1))], now);
        assert_eq!((endpoints.take_refused(), endpoints.take_refused()), (1, 0));
        assert_eq!(shown(&mut endpoints, &Scope::All, true, now).len(), 1);
    }

    #[test]
    fn a_connect_to_a_service_counts_for_the_backend_with_all_that_it_took() {
        let (mut endpoints, now) = (Endpoints::new(8), Instant::now());
        let connect = |established, latency| ended_connect {
            key: key(7),
            latency,
            retran_syn: 2,
            established,
            ..ended_connect::default()
        };
        let backend = Some("10.1.2.3:8080".parse().expect("an address"));
        endpoints.connected(&connect(1, 10_000_000), backend, now);
        endpoints.connected(&connect(1, 10_000_001), backend, now);
        endpoints.connected(&connect(0, 0), backend, now);
        endpoints.connected(&connect(0, 0), None, now);
        let gives = Gives { syn_drop: true, bind_sends: true, bind_rcvs: true, udp_rcv_drops: true };
        let showing = Showing { scope: &Scope::All, gives, alive: &|_| true };
        let mut batch = Batch::new(SystemTime::now());
        endpoints.show(&showing, now, &mut batch);
        let rows = seen(&batch);
        let of = |ip| rows.iter().find(|row| row.label("server_ip") == Some(ip)).expect("a row");
        let (service, row) = (of("0.0.0.0"), of("10.1.2.3"));
        assert_eq!((service.get("syn_sent"), service.label("server_port")), (Some(1.0), Some("80")));
        assert_eq!(row.label("server_port"), Some("8080"));
        let values =
            ["syn_sent", "retran_syn", "active_open", "active_open_failed"].map(|name| row.get(name));
        assert_eq!(values, [3.0, 6.0, 2.0, 1.0].map(Some));
        let latency = row.values.iter().find(|(name, _)| *name == "estab_latency").map(|(_, value)| value);
        let Some(probe_core::Value::Histogram(latency)) = latency else { panic!("{row:?}") };
        assert_eq!((&latency.buckets()[..3], latency.max()), (&[0, 1, 1][..], Some(10_000_001.0)));
    }

    #[test]
    fn an_idle_row_goes_and_its_entry_may_be_removed() {
        let (mut endpoints, now) = (Endpoints::new(8), Instant::now());
        count(&mut endpoints, &[(key(7), opened(1))], now);
        assert!(endpoints.stale(&|_| true, now).is_empty());
        assert_eq!(endpoints.stale(&|_| true, now + IDLE), [key(7)]);
        assert_eq!(endpoints.stale(&|_| false, now), [key(7)], "its process has ended");
        assert!(shown(&mut endpoints, &Scope::All, true, now + IDLE).is_empty());
    }

    #[test]
    fn a_process_that_has_ended_is_shown_once_more_whatever_the_scope_is_now() {
        let (mut endpoints, now) = (Endpoints::new(8), Instant::now());
        let nobody = Scope::Only(std::sync::Arc::default());
        count(&mut endpoints, &[(key(7), opened(1))], now);
        assert_eq!(shown(&mut endpoints, &nobody, false, now).len(), 1);
        assert!(shown(&mut endpoints, &nobody, false, now).is_empty());
    }

    #[test]
    fn a_row_out_of_scope_is_kept_and_comes_back_with_what_it_had() {
        let (mut endpoints, now) = (Endpoints::new(8), Instant::now());
        count(&mut endpoints, &[(key(7), opened(3))], now);
        let nobody = Scope::Only(std::sync::Arc::default());
        assert!(shown(&mut endpoints, &nobody, true, now).is_empty());
        assert_eq!(shown(&mut endpoints, &Scope::All, true, now), [("7".to_owned(), 3.0)]);
    }
}
