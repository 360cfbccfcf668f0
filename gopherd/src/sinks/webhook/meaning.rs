//! What a server's answer means for the event, and when to try again. Pure.

use hyper::StatusCode;
use std::time::Duration;

/// What to do about an event after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has it.
    Delivered,
    /// The server will never take this one: it is given up and counted.
    Rejected,
    /// Later.
    Again,
}

/// What `status` means. A redirect is not followed: the events, and the secret's signature, are for the address that was
/// configured; following it is for the operator, so the event waits.
pub(super) fn of(status: StatusCode) -> Verdict {
    match status {
        _ if status.is_success() => Verdict::Delivered,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Verdict::Again,
        _ if status.is_client_error() => Verdict::Rejected,
        _ => Verdict::Again,
    }
}

/// The pause after the `failures`th failure in a row: 1 s, doubled up to a minute, and never less than the server's own
/// `Retry-After`, of which at most an hour is believed.
pub(super) fn pause(failures: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(Duration::from_secs(60));
    doubled.max(retry_after.unwrap_or_default().min(Duration::from_secs(3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_final_but_for_those_that_ask_for_patience() {
        for (status, verdict) in [
            (200, Verdict::Delivered),
            (204, Verdict::Delivered),
            (301, Verdict::Again),
            (307, Verdict::Again),
            (400, Verdict::Rejected),
            (401, Verdict::Rejected),
            (404, Verdict::Rejected),
            (408, Verdict::Again),
            (413, Verdict::Rejected),
            (429, Verdict::Again),
            (500, Verdict::Again),
            (503, Verdict::Again),
        ] {
            assert_eq!(of(StatusCode::from_u16(status).expect("a status")), verdict, "{status}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_heed_the_server() {
        let seconds: Vec<_> = (1..=9).map(|failures| pause(failures, None).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(1, Some(Duration::from_secs(90))).as_secs(), 90);
        assert_eq!(pause(1, Some(Duration::from_secs(90_000))).as_secs(), 3600);
    }
}
