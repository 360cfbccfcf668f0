//! The task that looks: every `limits.budget_period` it asks what features and the daemon use, and tells the manager
//! which steps follow.

use super::board::{Board, Figures};
use super::overseer::{Decision, Overseer, Seen};
use super::settings::{Settings, Values};
use super::usage::Used;
use crate::cost::FeatureCost;
use crate::feature::Budget;
use crate::manager::{FeatureView, Handle, Restrain, StateName};
use probe_core::{ParamKind, params};
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// What a feature costs now; `None` if it never ran.
pub type Cost = Box<dyn Fn(&'static str) -> Option<FeatureCost> + Send>;

/// CPU time in cores, and memory with that of BPF maps.
pub type DaemonCost = Box<dyn Fn() -> (Option<f64>, u64) + Send>;

/// Looks as long as the manager lives.
pub async fn watch(manager: Handle, settings: Settings, board: Board, cost: Cost, daemon: DaemonCost) {
    let mut looking = (Overseer::default(), cost, daemon);
    loop {
        let values = settings.get();
        sleep(values.period).await;
        let (views, board) = (manager.views().clone(), board.clone());
        // Asking the store waits for batches that are being taken in.
        let look = tokio::task::spawn_blocking(move || {
            let (overseer, cost, daemon) = &mut looking;
            let seen: Vec<Seen> = views.all().filter_map(|view| seen(&view, &values, cost)).collect();
            board.set(seen.iter().filter_map(figures).collect());
            let (cpu, memory) = daemon();
            let used = Used { cpu, memory };
            let decisions = overseer.look(&seen, used, &values, longest(), SystemTime::now());
            (looking, decisions)
        });
        let Ok((kept, decisions)) = look.await else { return };
        looking = kept;
        for Decision { feature, generation, from, to } in decisions {
            manager.restrain(Restrain { feature, generation, from, to }).await;
        }
    }
}

/// A feature that runs; one that starts or ends is none of a budget's business.
fn seen(view: &FeatureView, values: &Values, cost: &Cost) -> Option<Seen> {
    let name = view.descriptor.name;
    // It is asked whatever the state is: a rate is of the time since the last look.
    let cost = cost(name)?;
    if !matches!(view.state, StateName::Running | StateName::Degraded) {
        return None;
    }
    let reports = view.descriptor.param(params::REPORT_PERIOD.key).is_some();
    let config = view.config.as_ref();
    Some(Seen {
        name,
        generation: view.generation,
        restraint: view.restraint.clone(),
        limits: values.limits(config.map_or(Budget::default(), |config| config.budget)),
        period: config.filter(|_| reports).map(|config| config.params.report_period()),
        running: view.sub_probes.iter().filter(|sub| sub.running).map(|sub| sub.name).collect(),
        cost,
    })
}

fn figures(seen: &Seen) -> Option<(&'static str, Figures)> {
    let used = seen.used();
    let figures = Figures {
        limits: seen.limits?,
        cpu: used.cpu,
        memory_bytes: used.memory,
        series: seen.cost.series,
        events_per_s: seen.cost.events_per_s,
    };
    Some((seen.name, figures))
}

/// The longest report period that there is.
fn longest() -> Duration {
    match params::REPORT_PERIOD.kind {
        ParamKind::Int { max, .. } => Duration::from_secs(u64::try_from(max).unwrap_or(0)),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_period_is_that_of_the_parameter() {
        assert_eq!(longest(), Duration::from_secs(600));
    }
}
