//! When a step is taken, and when one is taken back. Pure: it is told at each look how much of the budget is used.
//!
//! Three looks in a row above the limit are a step; six below 70 % of it are one back. A step back that has to be taken
//! again was too early, so the next one waits twice as long, at most [`LONGEST`] looks; one that lasted until the next
//! one back makes the wait what it was at first.

/// So many looks in a row above the limit are a step.
const OVER: u32 = 3;

/// So many looks in a row below [`CALM`] are a step back, at first.
const SHORTEST: u32 = 6;

/// The longest wait for a step back, in looks.
const LONGEST: u32 = SHORTEST * 64;

/// The part of a limit below which there is room for a step back.
const CALM: f64 = 0.7;

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Stay,
    /// One step more.
    Tighten,
    /// One step back.
    Relax,
}

/// The looks at one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judge {
    over: u32,
    calm: u32,
    wait: u32,
    /// The last step was one back.
    relaxed: bool,
}

impl Default for Judge {
    fn default() -> Self {
        Self { over: 0, calm: 0, wait: SHORTEST, relaxed: false }
    }
}

impl Judge {
    /// A look: `used` of the budget is used, 1 being all of it; `None` when that is not known yet.
    pub(super) fn look(&mut self, used: Option<f64>) -> Verdict {
        let Some(used) = used else { return Verdict::Stay };
        self.over = if used > 1.0 { self.over + 1 } else { 0 };
        self.calm = if used < CALM { self.calm.saturating_add(1) } else { 0 };
        if self.over >= OVER {
            Verdict::Tighten
        } else if self.calm >= self.wait {
            Verdict::Relax
        } else {
            Verdict::Stay
        }
    }

    /// A step more was taken.
    pub(super) fn tightened(&mut self) {
        if self.relaxed {
            self.wait = (self.wait * 2).min(LONGEST);
        }
        (self.over, self.calm, self.relaxed) = (0, 0, false);
    }

    /// A step was taken back.
    pub(super) fn relaxed(&mut self) {
        if self.relaxed {
            self.wait = SHORTEST;
        }
        (self.over, self.calm, self.relaxed) = (0, 0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The looks up to and with the first verdict that is not to stay, and that verdict.
    fn looks(judge: &mut Judge, used: f64) -> (u32, Verdict) {
        (1..=10_000)
            .map(|count| (count, judge.look(Some(used))))
            .find(|(_, verdict)| *verdict != Verdict::Stay)
            .unwrap_or((10_000, Verdict::Stay))
    }

    #[test]
    fn three_looks_over_are_a_step_and_six_calm_ones_a_step_back() {
        for (used, expected) in [
            (1.01, (3, Verdict::Tighten)),
            (100.0, (3, Verdict::Tighten)),
            (1.0, (10_000, Verdict::Stay)),
            (0.7, (10_000, Verdict::Stay)),
            (0.69, (6, Verdict::Relax)),
            (0.0, (6, Verdict::Relax)),
        ] {
            assert_eq!(looks(&mut Judge::default(), used), expected, "{used}");
        }
    }

    #[test]
    fn a_look_on_the_other_side_begins_the_count_anew_and_an_unknown_one_does_not() {
        let mut judge = Judge::default();
        for used in [Some(2.0), Some(2.0), Some(0.9), Some(2.0), Some(2.0), None] {
            assert_eq!(judge.look(used), Verdict::Stay);
        }
        assert_eq!(judge.look(Some(2.0)), Verdict::Tighten);
    }

    #[test]
    fn a_step_back_that_is_taken_again_doubles_the_wait_up_to_a_bound() {
        let mut judge = Judge::default();
        judge.tightened();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let (wait, verdict) = looks(&mut judge, 0.1);
            assert_eq!(verdict, Verdict::Relax);
            judge.relaxed();
            waits.push(wait);
            judge.tightened();
        }
        assert_eq!(waits, [6, 12, 24, 48, 96, 192, 384, 384, 384]);
        // Two steps back in a row: the first one has lasted.
        judge.relaxed();
        judge.relaxed();
        assert_eq!(looks(&mut judge, 0.1), (6, Verdict::Relax));
    }

    proptest! {
        #[test]
        fn a_load_that_swings_is_restrained_for_ever_longer(calm in 0.0f64..0.69, hot in 1.01f64..9.0) {
            // Over without the step, calm with it: the worst that can happen to a hysteresis.
            let (mut judge, mut restrained) = (Judge::default(), false);
            let mut steps = Vec::new();
            for look in 0u32..20_000 {
                match judge.look(Some(if restrained { calm } else { hot })) {
                    Verdict::Stay => {}
                    Verdict::Tighten => {
                        prop_assert!(!restrained);
                        judge.tightened();
                        restrained = true;
                        steps.push(look);
                    }
                    Verdict::Relax => {
                        prop_assert!(restrained);
                        judge.relaxed();
                        restrained = false;
                    }
                }
            }
            // 387 looks a round once the wait is at its longest.
            prop_assert!(steps.len() < 7 + 20_000 / 387 + 1, "{}", steps.len());
        }
    }
}
