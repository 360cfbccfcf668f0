//! What one look after the other comes to: steps, audit and the way back.

use super::*;
use crate::cost::SubProbeCost;

const LONGEST: Duration = Duration::from_secs(600);

fn values(daemon: Limits) -> Values {
    Values { period: Duration::from_secs(10), daemon, feature: Limits::default() }
}

fn cpu(cores: f64) -> Limits {
    Limits { cpu: Some(cores), ..Limits::default() }
}

fn seen(name: &'static str, cores: f64, limits: Option<Limits>) -> Seen {
    let sub_probe = |name, cpu| SubProbeCost { name, cpu: Some(cpu), ..SubProbeCost::default() };
    Seen {
        name,
        generation: 1,
        restraint: Restraint::default(),
        limits,
        period: Some(Duration::from_secs(10)),
        running: vec!["cheap", "dear"],
        cost: FeatureCost {
            cpu: Some(cores),
            sub_probes: vec![sub_probe("cheap", 0.1), sub_probe("dear", 0.2)],
            ..FeatureCost::default()
        },
    }
}

/// Takes a decision as the manager does.
fn take(seen: &mut Seen, decision: &Decision) {
    assert_eq!(decision.from, seen.restraint);
    seen.restraint.clone_from(&decision.to);
    let restraint = &decision.to;
    seen.running = ["cheap", "dear"].into_iter().filter(|name| restraint.without(name).is_none()).collect();
}

/// Looks so often, and takes what is decided; the steps in order, each with its feature's name.
fn run(
    overseer: &mut Overseer,
    features: &mut [Seen],
    daemon: Used,
    values: &Values,
    times: usize,
) -> Vec<(&'static str, Option<Step>)> {
    let mut steps = Vec::new();
    for number in 0..times {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64);
        let running: Vec<Seen> =
            features.iter().filter(|seen| seen.restraint.stopped().is_none()).cloned().collect();
        for decision in overseer.look(&running, daemon, values, LONGEST, now) {
            let more = decision.to.steps().len() > decision.from.steps().len();
            steps.push((decision.feature, decision.to.last().filter(|_| more).map(|taken| taken.step)));
            let seen = features.iter_mut().find(|seen| seen.name == decision.feature).expect("a feature");
            take(seen, &decision);
        }
    }
    steps
}

fn every(seconds: u64) -> Option<Step> {
    Some(Step::Period(Duration::from_secs(seconds)))
}

#[test]
fn the_one_over_its_budget_goes_down_the_ladder_and_no_other() {
    let mut features = [seen("a", 0.5, Some(cpu(0.1))), seen("b", 0.5, Some(cpu(0.6))), seen("c", 9.0, None)];
    let steps =
        run(&mut Overseer::default(), &mut features, Used::default(), &values(Limits::default()), 100);
    let of_a = [every(20), every(40), Some(Step::Without("dear")), Some(Step::Stop)];
    assert_eq!(steps, of_a.map(|step| ("a", step)));
    let taken = features[0].restraint.stopped().expect("stopped");
    assert_eq!(taken.reason, "it used 0.500000 of 0.1 cores of CPU time");
}

#[test]
fn one_that_has_room_again_comes_back_step_by_step() {
    let mut overseer = Overseer::default();
    let mut features = [seen("a", 0.5, Some(cpu(0.1)))];
    let values = values(Limits::default());
    let steps = run(&mut overseer, &mut features, Used::default(), &values, 8);
    assert_eq!(steps, [("a", every(20)), ("a", every(40))]);
    features[0].cost.cpu = Some(0.01);
    let steps = run(&mut overseer, &mut features, Used::default(), &values, 100);
    assert_eq!(steps, [("a", None), ("a", None)]);
    assert_eq!(features[0].restraint, Restraint::default());
}

#[test]
fn a_changed_feature_is_judged_anew() {
    let mut overseer = Overseer::default();
    let mut features = [seen("a", 0.5, Some(cpu(0.1)))];
    let values = values(Limits::default());
    assert_eq!(run(&mut overseer, &mut features, Used::default(), &values, 5), [("a", every(20))]);
    (features[0].restraint, features[0].generation) = (Restraint::default(), 2);
    assert_eq!(run(&mut overseer, &mut features, Used::default(), &values, 2), []);
    assert_eq!(run(&mut overseer, &mut features, Used::default(), &values, 1), [("a", every(20))]);
}

#[test]
fn a_step_that_was_not_taken_is_decided_again() {
    let mut overseer = Overseer::default();
    let features = [seen("a", 0.5, Some(cpu(0.1)))];
    let values = values(Limits::default());
    let decisions: usize = (0..6)
        .map(|_| overseer.look(&features, Used::default(), &values, LONGEST, SystemTime::UNIX_EPOCH).len())
        .sum();
    assert_eq!(decisions, 2, "one in three looks");
}

#[test]
fn memory_of_data_and_maps_counts_together() {
    let limits = Limits { memory_bytes: Some(100), ..Limits::default() };
    let mut features = [seen("a", 0.0, Some(limits))];
    (features[0].cost.memory_bytes, features[0].cost.map_bytes) = (60, 60);
    let values = values(Limits::default());
    assert_eq!(run(&mut Overseer::default(), &mut features, Used::default(), &values, 3), [("a", every(20))]);
    let reason = &features[0].restraint.last().expect("a step").reason;
    assert_eq!(reason, "it used 120 of 100 bytes of memory");
}

#[test]
fn when_the_daemon_is_over_the_most_expensive_one_is_restrained_unless_its_budget_is_off() {
    let any = Some(Limits::default());
    let mut features = [seen("small", 0.1, any), seen("large", 0.4, any), seen("off", 9.0, None)];
    let mut overseer = Overseer::default();
    let limited = values(cpu(1.0));
    let over = Used { cpu: Some(2.0), memory: 0 };
    let steps = run(&mut overseer, &mut features, over, &limited, 3);
    assert_eq!(steps, [("large", every(20))]);
    let taken = features[1].restraint.last().expect("a step");
    assert_eq!(taken.reason, "the daemon used 2.000000 of 1 cores of CPU time, most of it here");
    // The feature itself has no limit, and does not take back what is not its own.
    let inside = Used { cpu: Some(0.9), memory: 0 };
    assert_eq!(run(&mut overseer, &mut features, inside, &limited, 50), []);
    let calm = Used { cpu: Some(0.1), memory: 0 };
    assert_eq!(run(&mut overseer, &mut features, calm, &limited, 50), [("large", None)]);
}

#[test]
fn a_limit_that_is_gone_restrains_nobody_any_more() {
    let mut overseer = Overseer::default();
    let mut features = [seen("a", 0.5, Some(cpu(0.1)))];
    let values = values(Limits::default());
    run(&mut overseer, &mut features, Used::default(), &values, 3);
    features[0].limits = Some(Limits::default());
    assert_eq!(run(&mut overseer, &mut features, Used::default(), &values, 20), [("a", None)]);
}
