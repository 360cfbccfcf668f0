//! Whether a value is abnormal: pure, from a trigger, the feature's parameters and what was read.

use probe_core::{ParamSpec, Params, When};

/// A condition ends at or below this part of its threshold, so that a value at the edge does not flap.
const CALM: f64 = 0.95;

/// What one reading says about a condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The trigger is switched off.
    Off,
    /// Beyond the threshold.
    Beyond {
        /// What was read, in the threshold's unit.
        value: f64,
        /// What it was compared with.
        threshold: f64,
    },
    /// Not beyond the threshold, and not far enough from it for a condition to end.
    Near,
    /// Far enough, or nothing was read that could be judged.
    Calm,
}

/// Whether `when` watches a counter's growth.
pub(super) fn is_growth(when: &When) -> bool {
    matches!(when, When::GrewBy { .. } | When::Grew)
}

/// Whether the parameters switch it on.
pub(super) fn is_armed(when: &When, params: &Params) -> bool {
    match when {
        When::Above { threshold, .. } | When::GrewBy { threshold, .. } | When::FreeBelow { threshold } => {
            params.int(threshold) > 0
        }
        When::Grew => true,
        When::Told => false,
    }
}

/// Judges `reading`: a level, or the growth of a counter in the period. `None` is a value that is not there.
pub(super) fn judge(when: &When, params: &Params, reading: Option<f64>) -> Verdict {
    if !is_armed(when, params) {
        return Verdict::Off;
    }
    let Some(reading) = reading.filter(|reading| reading.is_finite()) else { return Verdict::Calm };
    match when {
        When::Above { threshold, scale } => {
            let threshold = limit(threshold, params);
            compare(reading * scale, threshold, CALM * threshold)
        }
        When::GrewBy { threshold, scale } => {
            let threshold = limit(threshold, params);
            compare(reading * scale, threshold, threshold)
        }
        When::Grew => compare(reading, 0.0, 0.0),
        When::FreeBelow { threshold } => {
            let used = limit(threshold, params);
            match compare(100.0 - reading, used, CALM * used) {
                Verdict::Beyond { .. } => Verdict::Beyond { value: reading, threshold: 100.0 - used },
                other => other,
            }
        }
        When::Told => Verdict::Off,
    }
}

fn compare(value: f64, threshold: f64, calm: f64) -> Verdict {
    if value > threshold {
        Verdict::Beyond { value, threshold }
    } else if value <= calm {
        Verdict::Calm
    } else {
        Verdict::Near
    }
}

#[allow(clippy::cast_precision_loss)] // parameters end far below 2^53
fn limit(spec: &ParamSpec, params: &Params) -> f64 {
    params.int(spec) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Beyond, Calm, Near, Off};
    use probe_core::{ParamValue, params};
    use proptest::prelude::*;

    fn with(spec: &'static ParamSpec, value: i64) -> Params {
        let mut params = Params::default();
        params.set(spec, ParamValue::Int(value));
        params
    }

    #[test]
    fn each_kind_of_condition_has_its_edge_and_its_end() {
        let percent = When::Above { threshold: &params::RES_UPPER_THR, scale: 1.0 };
        let ratio = When::Above { threshold: &params::RES_UPPER_THR, scale: 100.0 };
        let delay = When::Above { threshold: &params::LATENCY_THR, scale: 0.001 };
        let drops = When::GrewBy { threshold: &params::DROPS_THR, scale: 1.0 };
        let free = When::FreeBelow { threshold: &params::RES_UPPER_THR };
        let beyond = |value, threshold| Beyond { value, threshold };
        for (when, spec, threshold, reading, verdict) in [
            (percent, &params::RES_UPPER_THR, 80, Some(80.1), beyond(80.1, 80.0)),
            (percent, &params::RES_UPPER_THR, 80, Some(80.0), Near),
            (percent, &params::RES_UPPER_THR, 80, Some(76.1), Near),
            (percent, &params::RES_UPPER_THR, 80, Some(76.0), Calm),
            (percent, &params::RES_UPPER_THR, 0, Some(100.0), Off),
            (percent, &params::RES_UPPER_THR, 80, None, Calm),
            (percent, &params::RES_UPPER_THR, 80, Some(f64::NAN), Calm),
            (ratio, &params::RES_UPPER_THR, 20, Some(0.25), beyond(25.0, 20.0)),
            (ratio, &params::RES_UPPER_THR, 20, Some(0.2), Near),
            // Microseconds against milliseconds.
            (delay, &params::LATENCY_THR, 10, Some(9_999.0), Near),
            (delay, &params::LATENCY_THR, 10, Some(10_001.0), beyond(10.001, 10.0)),
            (delay, &params::LATENCY_THR, 0, Some(1e9), Off),
            (drops, &params::DROPS_THR, 10, Some(11.0), beyond(11.0, 10.0)),
            (drops, &params::DROPS_THR, 10, Some(10.0), Calm),
            (drops, &params::DROPS_THR, 0, Some(1e6), Off),
            (free, &params::RES_UPPER_THR, 90, Some(9.0), beyond(9.0, 10.0)),
            (free, &params::RES_UPPER_THR, 90, Some(10.0), Near),
            (free, &params::RES_UPPER_THR, 90, Some(14.5), Calm),
            (free, &params::RES_UPPER_THR, 0, Some(0.0), Off),
            (When::Grew, &params::DROPS_THR, 0, Some(1.0), beyond(1.0, 0.0)),
            (When::Grew, &params::DROPS_THR, 0, Some(0.0), Calm),
            (When::Told, &params::DROPS_THR, 10, Some(99.0), Off),
        ] {
            assert_eq!(
                judge(&when, &with(spec, threshold), reading),
                verdict,
                "{when:?} {threshold} {reading:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_larger_value_is_never_judged_calmer(
            threshold in 10i64..100, a in 0f64..200.0, b in 0f64..200.0, growth: bool
        ) {
            let when = match growth {
                true => When::GrewBy { threshold: &params::DROPS_THR, scale: 1.0 },
                false => When::Above { threshold: &params::RES_UPPER_THR, scale: 1.0 },
            };
            let spec = if growth { &params::DROPS_THR } else { &params::RES_UPPER_THR };
            let rank = |value| match judge(&when, &with(spec, threshold), Some(value)) {
                Beyond { .. } => 2,
                Near => 1,
                Calm | Off => 0,
            };
            prop_assert!(rank(a.max(b)) >= rank(a.min(b)));
        }
    }
}
