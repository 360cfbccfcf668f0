//! What a feature's scope matches, as the native API shows it.

use crate::http::Targets;
use crate::scope::ScopeEngine;
use gopher_api::{Target, TargetPage, Verdict};

/// The scope engine behind `GET /api/v1/targets`.
#[derive(Debug)]
pub struct ScopeTargets(pub ScopeEngine);

impl Targets for ScopeTargets {
    fn counts(&self, feature: &str) -> gopher_api::Targets {
        // Containers are not resolved in this version, so their number is not known; neither is that of the
        // processes of a whole host.
        let processes = (!self.0.whole_host(feature)).then(|| self.0.counts(feature) as u64);
        gopher_api::Targets { processes, containers: None }
    }

    fn list(&self, feature: &'static str, pid: Option<u32>) -> TargetPage {
        let found = self.0.targets(feature);
        let more = (found.total - found.items.len()) as u64;
        let items = found.items.into_iter().map(|target| Target {
            pid: target.key.tgid,
            start_ticks: target.key.start_ticks,
            comm: target.comm.to_string(),
            selector: target.why,
        });
        let verdict = pid.map(|pid| {
            let explained = self.0.explain(feature, pid);
            Verdict { pid, observed: explained.observed, reason: explained.reason }
        });
        TargetPage {
            feature: feature.to_owned(),
            whole_host: self.0.whole_host(feature),
            items: items.collect(),
            more,
            verdict,
        }
    }
}
