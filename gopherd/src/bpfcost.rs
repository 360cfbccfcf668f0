//! When the kernel measures the run time of BPF programs: for a small, sampled share of the time. What was measured
//! is kept, and scaled up, by `probe_kit::bpf::meter`; `selfmetrics` shows it.

use probe_kit::bpf::meter::{self, Measurement};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// One measurement in each.
const PERIOD: Duration = Duration::from_secs(10);
/// How long it takes: 3 % of the time. A run that is measured costs 50 to 110 ns more.
const LENGTH: Duration = Duration::from_millis(300);
/// The fraction of the golden ratio: its multiples, less their whole parts, are spread evenly over 0 to 1 and come in
/// no rhythm, so that nothing that happens once a second or a minute is always met or always missed.
const SPREAD: f64 = 0.618_033_988_749_895;

/// Measures as long as the daemon runs.
pub(crate) async fn measure() {
    let mut refused = false;
    let mut begin = Instant::now();
    for number in 0_u32.. {
        sleep_until(begin + offset(number)).await;
        if meter::any() {
            match Measurement::begin() {
                Ok(measurement) => {
                    sleep(LENGTH).await;
                    measurement.end();
                }
                Err(error) if !refused => {
                    refused = true;
                    tracing::info!(
                        %error,
                        "the run time of BPF programs is not known: measuring it takes CAP_SYS_ADMIN, or kernel.bpf_stats_enabled = 1"
                    );
                }
                Err(_) => {}
            }
            meter::read_maps();
        }
        // A host that slept has missed some; they are not made up for.
        begin = (begin + PERIOD).max(Instant::now());
    }
}

/// Where in its period measurement `number` begins.
fn offset(number: u32) -> Duration {
    (PERIOD - LENGTH).mul_f64((f64::from(number) * SPREAD).fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_lie_in_their_period_and_meet_every_tenth_of_it_equally_often() {
        let mut met = [0; 10];
        for number in 0..1000 {
            let offset = offset(number);
            assert!(offset + LENGTH <= PERIOD);
            let tenth = offset.as_nanos() * 10 / (PERIOD - LENGTH).as_nanos();
            met[usize::try_from(tenth).expect("below 10")] += 1;
        }
        assert!(met.iter().all(|met| (98..=102).contains(met)), "{met:?}");
    }
}
