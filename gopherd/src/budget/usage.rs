//! How much of its limits something uses. Pure.
//!
//! CPU time is a mean over a report period, because a probe spends most of it when it reports; memory is what is held now.

use crate::feature::Limits;
use std::collections::VecDeque;
use std::time::Duration;

/// Most looks that are remembered: the longest report period, with looks a second apart.
const MOST: usize = 600;

/// The CPU time of the last looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Window(VecDeque<f64>);

impl Window {
    /// One look more: so many cores, if that is known. Their mean over the last `looks`, once there are as many.
    pub(super) fn mean(&mut self, cores: Option<f64>, looks: usize) -> Option<f64> {
        let Some(cores) = cores else {
            self.0.clear();
            return None;
        };
        self.0.push_back(cores);
        let spare = self.0.len().saturating_sub(looks);
        self.0.drain(..spare);
        #[allow(clippy::cast_precision_loss)] // at most 600
        (self.0.len() == looks).then(|| self.0.iter().sum::<f64>() / looks as f64)
    }

    /// Something has changed: what was seen before says nothing about now.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Looks in `span`, when they are `every` apart; at least 1.
pub(super) fn looks(span: Duration, every: Duration) -> usize {
    let looks = span.as_millis().div_ceil(every.as_millis().max(1));
    usize::try_from(looks).unwrap_or(MOST).clamp(1, MOST)
}

/// What is used now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Used {
    /// CPU time in cores; `None` if that is not known yet.
    pub(super) cpu: Option<f64>,
    /// Bytes.
    pub(super) memory: u64,
}

/// What a budget limits by steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Cpu,
    Memory,
}

/// The part of the limits that is used, 1 being all of it, and what is used most; `None` if that is not known yet.
/// Without a limit nothing is used of it.
pub(super) fn part(used: Used, limits: &Limits) -> Option<(f64, Resource)> {
    #[allow(clippy::cast_precision_loss)] // a part
    let memory = limits.memory_bytes.map_or(0.0, |limit| used.memory as f64 / limit.max(1) as f64);
    let cpu = match limits.cpu {
        None => Some(0.0),
        Some(limit) => used.cpu.map(|cpu| cpu / limit),
    };
    match cpu {
        Some(cpu) if cpu > memory => Some((cpu, Resource::Cpu)),
        // Too much of one thing is too much, whatever the other one is.
        None if memory <= 1.0 => None,
        _ => Some((memory, Resource::Memory)),
    }
}

/// `resource` as a sentence's end: how much of which limit.
pub(super) fn text(used: Used, limits: &Limits, resource: Resource) -> String {
    match resource {
        Resource::Cpu => {
            let (cpu, limit) = (used.cpu.unwrap_or(0.0), limits.cpu.unwrap_or(0.0));
            format!("{cpu:.6} of {limit} cores of CPU time")
        }
        Resource::Memory => {
            format!("{} of {} bytes of memory", used.memory, limits.memory_bytes.unwrap_or(0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_of_the_last_looks_and_of_no_fewer() {
        let mut window = Window::default();
        let means: Vec<_> = [1.0, 2.0, 3.0, 7.0].map(|cores| window.mean(Some(cores), 3)).into();
        assert_eq!(means, [None, None, Some(2.0), Some(4.0)]);
        assert_eq!(window.mean(Some(9.0), 1), Some(9.0), "a period that became shorter");
        assert_eq!(window.mean(None, 1), None);
        assert_eq!(window.mean(Some(1.0), 2), None, "unknown in between");
    }

    #[test]
    fn looks_cover_the_span() {
        for (span, every, expected) in [(60, 10, 6), (5, 10, 1), (25, 10, 3), (600, 1, 600), (0, 1, 1)] {
            assert_eq!(looks(Duration::from_secs(span), Duration::from_secs(every)), expected);
        }
    }

    #[test]
    fn the_limit_of_which_most_is_used_counts() {
        let limits = |cpu, memory_bytes| Limits { cpu, memory_bytes, ..Limits::default() };
        let (cpu, memory) = (Resource::Cpu, Resource::Memory);
        for (used, limits, expected) in [
            ((Some(1.0), 50), limits(Some(0.5), Some(100)), Some((2.0, cpu))),
            ((Some(0.1), 200), limits(Some(0.5), Some(100)), Some((2.0, memory))),
            ((None, 50), limits(Some(0.5), Some(100)), None),
            ((None, 101), limits(Some(0.5), Some(100)), Some((1.01, memory))),
            ((None, 50), limits(None, Some(100)), Some((0.5, memory))),
            ((Some(1.0), 50), limits(None, None), Some((0.0, memory))),
        ] {
            assert_eq!(part(Used { cpu: used.0, memory: used.1 }, &limits), expected, "{used:?} {limits:?}");
        }
    }
}
