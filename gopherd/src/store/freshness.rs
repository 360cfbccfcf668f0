//! How long a row is shown: a pure decision about one row at one moment.

/// A row's place in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its subject lives; `missed` periods in a row ended without it.
    Live {
        /// Periods without a report.
        missed: u8,
    },
    /// Its subject has ended; `shown` once a period ended with it.
    Ending {
        /// A period has ended since.
        shown: bool,
    },
    /// Stays until its probe stops: the overflow row, whose counters must not go back.
    Pinned,
}

impl Life {
    /// The life of a row that was just reported.
    pub(crate) fn reported(last: bool) -> Self {
        if last { Self::Ending { shown: false } } else { Self::Live { missed: 0 } }
    }

    /// A period ended, with (`seen`) or without a report of the row. `None`: it disappears.
    pub(crate) fn after_close(self, seen: bool, missed_periods: u8) -> Option<Self> {
        match self {
            Self::Pinned => Some(self),
            Self::Live { .. } if seen => Some(Self::Live { missed: 0 }),
            Self::Live { missed } if missed + 1 < missed_periods => Some(Self::Live { missed: missed + 1 }),
            Self::Ending { shown: false } => Some(Self::Ending { shown: true }),
            Self::Live { .. } | Self::Ending { shown: true } => None,
        }
    }

    /// Whether the row stays when a batch that has every row of the table lacks it.
    pub(crate) fn survives_absence(self) -> bool {
        !matches!(self, Self::Live { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_shown_until_it_missed_three_periods_in_a_row() {
        let mut life = Life::reported(false);
        for seen in [true, false, false, true, false, false] {
            life = life.after_close(seen, 3).expect("still shown");
        }
        assert_eq!(life.after_close(false, 3), None);
    }

    #[test]
    fn a_last_row_is_shown_by_one_close_and_gone_at_the_next() {
        let shown = Life::reported(true).after_close(true, 3).expect("shown");
        assert_eq!(shown.after_close(false, 3), None);
    }

    #[test]
    fn only_living_rows_are_missed_by_a_complete_batch() {
        assert!(!Life::reported(false).survives_absence());
        assert!(Life::reported(true).survives_absence());
        assert!(Life::Pinned.survives_absence());
    }
}
