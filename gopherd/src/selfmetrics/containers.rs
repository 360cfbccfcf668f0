//! What is known of containers and their runtimes: the `gopherd_container*` families.

use super::{gauge, raise, register};
use crate::containers::{Registry as Known, Runtimes, SocketState, Tally};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, Result};

/// The families.
#[derive(Debug)]
pub(super) struct ContainerMetrics {
    up: IntGaugeVec,
    running: IntGaugeVec,
    started: IntCounterVec,
    events: IntCounterVec,
    lost: IntCounterVec,
}

impl ContainerMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        Ok(Self {
            up: gauges(
                "gopherd_container_runtime_up",
                "1 while the runtime's events are followed on this socket, 0 while it does not answer.",
                &["runtime", "socket"],
            )?,
            running: gauges(
                "gopherd_containers",
                "Containers that run, as the runtimes told.",
                &["runtime"],
            )?,
            started: counters(
                "gopherd_containers_started_total",
                "Containers whose start was told by an event.",
                &["runtime"],
            )?,
            events: counters(
                "gopherd_container_events_total",
                "Events that the runtimes sent.",
                &["runtime"],
            )?,
            lost: counters(
                "gopherd_container_lost_total",
                "What could not be taken in: containers for want of room, ids and events that cannot be read, \
                 the rest of a list that is too long.",
                &["reason"],
            )?,
        })
    }

    /// Brings all up to date. A socket that does not exist and a runtime without containers have no series.
    pub(super) fn read(&self, known: &Known, runtimes: &Runtimes) {
        self.up.reset();
        for socket in runtimes.sockets().iter().filter(|socket| socket.state != SocketState::Absent) {
            let up = i64::from(socket.state == SocketState::Connected);
            self.up.with_label_values(&[socket.runtime.as_str(), &socket.path]).set(up);
        }
        self.running.reset();
        for (runtime, count) in known.running() {
            self.running.with_label_values(&[runtime]).set(gauge(count));
        }
        let show = |family: &IntCounterVec, tally: Tally| {
            tally.into_iter().for_each(|(label, count)| raise(&family.with_label_values(&[label]), count));
        };
        show(&self.started, known.counts().begun());
        show(&self.events, known.counts().events());
        show(&self.lost, known.counts().losses());
    }
}
