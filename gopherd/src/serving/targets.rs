//! What a feature's scope matches, as the native API shows it.

use crate::http::Targets;
use crate::scope::{self, ContainerTargets, ScopeEngine};
use gopher_api::{ContainerTarget, ProcessTracker, Target, TargetPage, TrackerState, Verdict};
use probe_core::Env;

/// The scope engine behind `GET /api/v1/targets`, and how it sees the host.
#[derive(Debug)]
pub struct ScopeTargets(pub ScopeEngine, pub Env);

impl Targets for ScopeTargets {
    fn counts(&self, feature: &str) -> gopher_api::Targets {
        // How many processes and containers a whole host has is nobody's choice.
        let (processes, containers) = self.0.counts(feature);
        let chosen = |count: usize| (!self.0.whole_host(feature)).then_some(count as u64);
        gopher_api::Targets { processes: chosen(processes), containers: chosen(containers) }
    }

    fn tracker(&self) -> ProcessTracker {
        let (state, missing) = match self.0.tracker() {
            // What it would lack if it were needed now.
            scope::TrackerState::Idle => (TrackerState::Idle, scope::foreseen(&self.1)),
            scope::TrackerState::Attached(lacks) => (TrackerState::Running, lacks),
            scope::TrackerState::Absent(missing) => (TrackerState::Unavailable, missing),
        };
        ProcessTracker { state, missing }
    }

    fn list(&self, feature: &'static str, pid: Option<u32>) -> TargetPage {
        let found = self.0.targets(feature);
        let more = (found.total - found.items.len()) as u64;
        let items = found.items.into_iter().map(|target| Target {
            pid: target.key.tgid,
            start_ticks: target.key.start_ticks,
            comm: target.comm.to_string(),
            selector: target.why,
            container_id: target.container.map(|id| id.short().to_owned()),
        });
        let more_containers = (found.total_containers - found.containers.len()) as u64;
        let containers = found.containers.into_iter().map(container);
        let verdict = pid.map(|pid| {
            let explained = self.0.explain(feature, pid);
            Verdict { pid, observed: explained.observed, reason: explained.reason }
        });
        TargetPage {
            feature: feature.to_owned(),
            whole_host: self.0.whole_host(feature),
            items: items.collect(),
            more,
            containers: containers.collect(),
            more_containers,
            verdict,
        }
    }
}

/// What is known about a container; a value that no runtime told is absent.
fn container(target: ContainerTargets) -> ContainerTarget {
    let known = target.known.as_deref();
    let pod = known.and_then(|known| known.pod.as_deref());
    ContainerTarget {
        container_id: target.id.short().to_owned(),
        name: known.and_then(|known| known.name.as_ref()).map(ToString::to_string),
        image: known.and_then(|known| known.image.as_ref()).map(ToString::to_string),
        pod_id: pod.map(|pod| pod.uid.to_string()),
        pod: pod.and_then(crate::meta::pod_path).map(|path| path.to_string()),
        processes: target.processes as u64,
    }
}
