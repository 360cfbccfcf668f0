//! Whether a reader leaves out everything that it meets.
//!
//! Owns the decision alone: one that was refused everywhere (by a namespace, a security module, a mount option)
//! emits no row and fails nowhere, and without this would pass for one that has nothing to report.

/// Readings in a row that must give nothing: one may be bad luck.
const READINGS: u8 = 2;

/// What has ended or began anew while it was read was not refused.
const PASSING: &[&str] = &["process_gone", "disk_reset"];

/// What the last readings of one reader gave.
#[derive(Debug, Default)]
pub(super) struct Blind {
    in_a_row: u8,
    reasons: Vec<&'static str>,
}

impl Blind {
    /// Notes a reading that gave so many rows and left something out for these reasons; whether what is to be said
    /// about it has changed.
    pub(super) fn note(&mut self, rows: usize, left_out: impl Iterator<Item = &'static str>) -> bool {
        let before = self.sentence();
        self.reasons.clear();
        self.reasons.extend(left_out.filter(|reason| !PASSING.contains(reason)));
        let nothing = rows == 0 && !self.reasons.is_empty();
        self.in_a_row = if nothing { self.in_a_row.saturating_add(1) } else { 0 };
        self.sentence() != before
    }

    /// What is to be said of it; `None` while it reads something, or meets nothing that it could read.
    pub(super) fn sentence(&self) -> Option<String> {
        (self.in_a_row >= READINGS).then(|| {
            let reasons = self.reasons.join(", ");
            format!(
                "nothing of what it reads could be read ({reasons}); look at what this program may reach: its mounts, \
                 its namespaces, the host's security modules"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readings_in_a_row_that_leave_out_everything_are_said_and_each_change_once() {
        let mut blind = Blind::default();
        let readings: &[(usize, &[&'static str], bool, bool)] = &[
            // rows, left out, has it changed, is it said
            (0, &["mount_unreadable"], false, false),
            (3, &["mount_unreadable"], false, false),
            (0, &["mount_unreadable"], false, false),
            (0, &["mount_unreadable"], true, true),
            (0, &["mount_unreadable"], false, true),
            (0, &["mount_stuck"], true, true),
            (0, &[], true, false),
            (0, &["process_gone"], false, false),
            (0, &["process_gone"], false, false),
        ];
        for (number, (rows, left_out, changed, said)) in readings.iter().enumerate() {
            assert_eq!(blind.note(*rows, left_out.iter().copied()), *changed, "{number}");
            assert_eq!(blind.sentence().is_some(), *said, "{number}");
        }
    }
}
