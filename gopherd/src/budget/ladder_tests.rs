//! The order of the steps; that each restrains more, and that the way back undoes exactly the last one.

use super::*;
use proptest::prelude::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LONGEST: Duration = Duration::from_secs(600);

fn taken(step: Step) -> Taken {
    Taken { step, whose: Whose::Feature, reason: "cpu 2 of 1".into(), since: SystemTime::UNIX_EPOCH }
}

fn cost(name: &'static str, cpu: Option<f64>, bpf: Option<f64>, series: u64) -> SubProbeCost {
    SubProbeCost { name, cpu, bpf, series }
}

/// Every step of a feature, to the last.
fn descent(period: Option<u64>, sub_probes: &[&'static str], costs: &[SubProbeCost]) -> Vec<Step> {
    let mut restraint = Restraint::default();
    let mut steps = Vec::new();
    loop {
        let running: Vec<&'static str> =
            sub_probes.iter().copied().filter(|name| restraint.without(name).is_none()).collect();
        let rungs =
            Rungs { period: period.map(Duration::from_secs), longest: LONGEST, running: &running, costs };
        let Some(step) = next(&restraint, &rungs) else { return steps };
        restraint = restraint.tightened(taken(step));
        steps.push(step);
    }
}

fn every(seconds: u64) -> Step {
    Step::Period(Duration::from_secs(seconds))
}

#[test]
fn the_period_first_then_the_most_expensive_sub_probes_then_the_end() {
    let costs = [
        cost("a", Some(0.1), Some(0.2), 5),
        cost("b", Some(0.2), None, 9),
        cost("c", None, None, 7),
        cost("d", None, None, 8),
    ];
    for (period, sub_probes, expected) in [
        (Some(60), &[][..], vec![every(120), every(240), Step::Stop]),
        (Some(60), &["a"][..], vec![every(120), every(240), Step::Stop]),
        (
            Some(5),
            &NAMES[..],
            vec![
                every(10),
                every(20),
                Step::Without("a"),
                Step::Without("b"),
                Step::Without("d"),
                Step::Stop,
            ],
        ),
        (Some(200), &[][..], vec![every(400), every(600), Step::Stop]),
        (Some(300), &["b", "c"][..], vec![every(600), Step::Without("b"), Step::Stop]),
        (Some(600), &[][..], vec![Step::Stop]),
        (None, &["c", "d"][..], vec![Step::Without("d"), Step::Stop]),
    ] {
        assert_eq!(descent(period, sub_probes, &costs), expected, "{period:?} {sub_probes:?}");
    }
}

#[test]
fn of_sub_probes_whose_cost_is_unknown_the_last_one_goes_first() {
    let steps = descent(None, &["a", "b", "c"], &[]);
    assert_eq!(steps, [Step::Without("c"), Step::Without("b"), Step::Stop]);
}

#[test]
fn what_was_stopped_does_not_come_back_by_itself() {
    let stopped = Restraint::default().tightened(taken(every(120))).tightened(taken(Step::Stop));
    assert!(stopped.stopped().is_some());
    assert_eq!(stopped.relaxed(), None);
    assert_eq!(Restraint::default().relaxed(), None);
}

proptest! {
    #[test]
    fn every_step_restrains_more_and_the_last_sub_probe_is_never_taken(
        period in prop::option::of(5u64..=600),
        count in 0usize..=4,
        figures in prop::collection::vec((prop::option::of(0.0f64..2.0), prop::option::of(0.0f64..2.0), 0u64..9), 4),
    ) {
        let costs: Vec<SubProbeCost> =
            NAMES.iter().zip(figures).map(|(name, (cpu, bpf, series))| cost(name, cpu, bpf, series)).collect();
        let steps = descent(period, &NAMES[..count], &costs);
        prop_assert_eq!(steps.last(), Some(&Step::Stop));
        let off = steps.iter().filter(|step| matches!(step, Step::Without(_))).count();
        prop_assert_eq!(off, count.saturating_sub(1));
        let mut before = period.map(Duration::from_secs);
        let mut periods = true;
        for step in &steps {
            match step {
                Step::Period(longer) => {
                    prop_assert!(periods && Some(*longer) > before && *longer <= LONGEST);
                    before = Some(*longer);
                }
                Step::Without(_) | Step::Stop => periods = false,
            }
        }
    }

    #[test]
    fn a_step_back_undoes_exactly_the_last_one(count in 1usize..6) {
        let all = [every(120), every(240), Step::Without("a"), Step::Without("b"), Step::Without("c")];
        let mut restraint = Restraint::default();
        for step in all.iter().take(count) {
            let more = restraint.tightened(taken(*step));
            prop_assert_eq!(more.relaxed(), Some(restraint));
            restraint = more;
        }
    }
}
