//! How fast something grows: the Theil–Sen slope of samples over time, with its confidence interval. Pure.
//!
//! The slope is the median of the slopes between all pairs of samples, so that a few that are far off do not move it; its
//! interval is Sen's, of the variance of Kendall's score (P. K. Sen, "Estimates of the regression coefficient based on
//! Kendall's tau", 1968).

/// Of a normal distribution: 95 of 100 lie within so many standard deviations.
const Z95: f64 = 1.959_964;

/// Samples beyond this are thinned out: pairs grow with the square.
const MAX_SAMPLES: usize = 2000;

/// Growth a unit of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// Most likely.
    pub median: f64,
    /// The lower end of what 95 of 100 such intervals hold.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The slope of `samples`, pairs of time and value; `None` for fewer than three moments.
pub fn slope(samples: &[(f64, f64)]) -> Option<Slope> {
    let every = samples.len().div_ceil(MAX_SAMPLES).max(1);
    let samples: Vec<_> = samples.iter().step_by(every).collect();
    let pairs =
        samples.iter().enumerate().flat_map(|(at, a)| samples.iter().skip(at + 1).map(move |b| (a, b)));
    let mut slopes: Vec<f64> =
        pairs.filter(|(a, b)| b.0 > a.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect();
    if samples.len() < 3 || slopes.len() < 3 {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    #[allow(clippy::cast_precision_loss)] // a few million
    let (n, count) = (samples.len() as f64, slopes.len() as f64);
    let spread = Z95 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let at = |rank: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to an index
        let index = rank.round().clamp(0.0, count - 1.0) as usize;
        slopes.get(index).copied().unwrap_or(f64::NAN)
    };
    let middle = (count - 1.0) / 2.0;
    let median = f64::midpoint(at(middle.floor()), at(middle.ceil()));
    Some(Slope { median, low: at((count - spread) / 2.0 - 1.0), high: at(f64::midpoint(count, spread)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A saw of small noise, the same in each run.
    fn noise(at: usize) -> f64 {
        [0.0, 0.4, -0.3, 0.1, -0.4, 0.2, 0.3][at % 7]
    }

    fn samples(count: usize, value: impl Fn(usize, f64) -> f64) -> Vec<(f64, f64)> {
        #[allow(clippy::cast_precision_loss)] // small
        (0..count).map(|at| (at as f64, value(at, at as f64))).collect()
    }

    #[test]
    fn growth_is_found_in_noise_and_in_spite_of_outliers() {
        let grows = samples(60, |at, t| 3.0 + 0.5 * t + noise(at) + if at % 10 == 9 { 40.0 } else { 0.0 });
        let found = slope(&grows).expect("enough samples");
        assert!((found.median - 0.5).abs() < 0.02, "{found:?}");
        assert!(found.low > 0.4 && found.low <= found.median && found.median <= found.high, "{found:?}");
    }

    #[test]
    fn what_does_not_grow_has_an_interval_with_zero_in_it() {
        let flat = slope(&samples(60, |at, _| 3.0 + noise(at))).expect("enough samples");
        assert!(flat.low <= 0.0 && flat.high >= 0.0, "{flat:?}");
        assert!(flat.median.abs() < 0.01, "{flat:?}");
    }

    #[test]
    fn a_line_has_its_slope_and_too_few_samples_have_none() {
        assert_eq!(slope(&samples(5, |_, t| -2.0 * t)), Some(Slope { median: -2.0, low: -2.0, high: -2.0 }));
        assert_eq!(slope(&samples(2, |_, t| t)), None);
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None, "one moment");
    }

    #[test]
    fn very_many_samples_are_thinned_out() {
        let found = slope(&samples(20_000, |at, t| 0.25 * t + noise(at))).expect("enough samples");
        assert!((found.median - 0.25).abs() < 0.001, "{found:?}");
    }
}
