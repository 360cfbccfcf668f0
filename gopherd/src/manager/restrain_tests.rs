//! Restraints: what a feature is left with, what a change makes of it, and steps that come too late.

use super::*;
use crate::budget::{Restraint, Step, Taken, Whose};
use crate::manager::Restrain;
use std::time::SystemTime;

fn restraint(steps: &[Step]) -> Restraint {
    steps.iter().fold(Restraint::default(), |restraint, step| {
        let reason = "it used 2 of 1 cores".to_owned();
        restraint.tightened(Taken {
            step: *step,
            whose: Whose::Feature,
            reason,
            since: SystemTime::UNIX_EPOCH,
        })
    })
}

/// Asks for a step from what the view shows to `to`.
async fn restrain(handle: &Handle, to: Restraint) {
    let view = handle.views().get("a").expect("a feature");
    let (generation, from) = (view.generation, view.restraint.clone());
    handle.restrain(Restrain { feature: "a", generation, from, to }).await;
}

fn running(handle: &Handle) -> Vec<&'static str> {
    let view = handle.views().get("a").expect("a feature");
    view.sub_probes.iter().map(|sub| sub.name).collect()
}

/// Waits until exactly these sub-probes run.
async fn until_running(handle: &Handle, names: &[&str]) {
    while running(handle) != names {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_restrained_feature_is_degraded_and_whole_again_after_a_step_back() {
    let (handle, _) = start_manager();
    put(&handle, "a", r#"{"state":"running"}"#).await.expect("it runs");
    restrain(&handle, restraint(&[Step::Period(Duration::from_secs(120))])).await;
    until(&handle, "a", StateName::Degraded).await;
    assert_eq!(running(&handle), ["first", "second"]);
    let steps = [Step::Period(Duration::from_secs(120)), Step::Without("second")];
    restrain(&handle, restraint(&steps)).await;
    until_running(&handle, &["first"]).await;
    restrain(&handle, restraint(&steps[..1])).await;
    until_running(&handle, &["first", "second"]).await;
    restrain(&handle, Restraint::default()).await;
    until(&handle, "a", StateName::Running).await;
    let view = handle.views().get("a").expect("a feature");
    assert_eq!((view.generation, view.error.clone()), (1, None), "the configuration stays the operator's");
    assert_eq!(view.budget_steps, BTreeMap::from([("back", 2), ("period", 1), ("sub_probe", 1)]));
}

#[tokio::test]
async fn what_its_budget_stopped_has_failed_is_not_tried_again_and_any_change_starts_it() {
    for body in [r#"{"state":"running"}"#, r#"{"params":{"report_period":7}}"#] {
        let (handle, notes) = start_manager();
        put(&handle, "a", r#"{"state":"running"}"#).await.expect("it runs");
        restrain(&handle, restraint(&[Step::Stop])).await;
        until(&handle, "a", StateName::Failed).await;
        let view = handle.views().get("a").expect("a feature");
        let error = view.error.clone().unwrap_or_default();
        assert!(error.starts_with("stopped by its budget: it used 2 of 1 cores; narrow"), "{error}");
        assert_eq!((view.retry_at, view.config.as_ref().map(|c| c.state)), (None, Some(Wanted::Running)));
        assert_eq!(handle.views().problems().collect::<Vec<_>>(), [("a", error)]);
        assert_eq!(notes.of("a"), ["open", "close", "unwatch"]);
        put(&handle, "a", body).await.expect("it runs");
        assert_eq!(state(&handle, "a"), StateName::Running);
        assert_eq!(handle.views().problems().next(), None);
    }
}

#[tokio::test]
async fn a_change_that_stops_it_leaves_no_failure() {
    let (handle, _) = start_manager();
    put(&handle, "a", r#"{"state":"running"}"#).await.expect("it runs");
    restrain(&handle, restraint(&[Step::Stop])).await;
    until(&handle, "a", StateName::Failed).await;
    put(&handle, "a", r#"{"state":"stopped"}"#).await.expect("it is stopped");
    assert_eq!(state(&handle, "a"), StateName::Stopped);
}

#[tokio::test]
async fn a_refused_change_leaves_it_restrained() {
    let (handle, _) = start_manager();
    put(&handle, "a", r#"{"state":"running"}"#).await.expect("it runs");
    restrain(&handle, restraint(&[Step::Without("second")])).await;
    until_running(&handle, &["first"]).await;
    put(&handle, "a", r#"{"cmd":{"probe":["broken"]}}"#).await.expect_err("nothing would run");
    until_running(&handle, &["first"]).await;
    assert_eq!(state(&handle, "a"), StateName::Degraded);
}

#[tokio::test]
async fn a_step_that_comes_too_late_is_not_taken() {
    let (handle, _) = start_manager();
    put(&handle, "a", r#"{"state":"running"}"#).await.expect("it runs");
    let late = |generation, from: &[Step]| Restrain {
        feature: "a",
        generation,
        from: restraint(from),
        to: restraint(&[Step::Stop]),
    };
    handle.restrain(late(0, &[])).await;
    handle.restrain(late(1, &[Step::Without("second")])).await;
    // The queue keeps its order: when this is answered, those were looked at.
    put(&handle, "b", r#"{"state":"running"}"#).await.expect("it runs");
    assert_eq!(state(&handle, "a"), StateName::Running);
    put(&handle, "a", r#"{"state":"stopped"}"#).await.expect("it stops");
    handle.restrain(late(2, &[])).await;
    put(&handle, "b", r#"{"state":"stopped"}"#).await.expect("it stops");
    assert_eq!(state(&handle, "a"), StateName::Stopped);
}
