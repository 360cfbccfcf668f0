//! What the configuration says about budgets: the daemon's own, and what holds for a feature that does not say so
//! itself. Everybody may hold one; a reload changes it for all.

use crate::config::Config;
use crate::feature::{Budget, Limits};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

/// The values of a configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values {
    /// Time between two looks.
    pub period: Duration,
    /// Of the whole daemon; only `cpu` and `memory_bytes`.
    pub daemon: Limits,
    /// Of each feature; `series` is the store's business.
    pub feature: Limits,
}

impl Values {
    fn of(config: &Config) -> Self {
        #[allow(clippy::cast_precision_loss)] // at most 100,000
        let cores = |percent: Option<u64>| percent.map(|percent| percent as f64 / 100.0);
        let (daemon, feature) = (&config.limits, &config.budget);
        Self {
            period: daemon.budget_period,
            daemon: Limits {
                cpu: cores(daemon.cpu_percent),
                memory_bytes: daemon.memory_bytes,
                ..Limits::default()
            },
            feature: Limits {
                cpu: cores(feature.cpu_percent),
                memory_bytes: feature.memory_bytes,
                events_per_s: feature.events_per_s,
                series: None,
            },
        }
    }

    /// The limits of a feature with this budget; `None` if it has none of any kind.
    pub fn limits(&self, budget: Budget) -> Option<Limits> {
        let Budget::Limits(own) = budget else { return None };
        Some(Limits {
            cpu: own.cpu.or(self.feature.cpu),
            memory_bytes: own.memory_bytes.or(self.feature.memory_bytes),
            series: own.series,
            events_per_s: own.events_per_s.or(self.feature.events_per_s),
        })
    }
}

/// The values of the present configuration.
#[derive(Clone, Debug)]
pub struct Settings(Arc<ArcSwap<Values>>);

impl Settings {
    /// As `config` says.
    pub fn of(config: &Config) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Values::of(config))))
    }

    /// From now on as `config` says.
    pub fn set(&self, config: &Config) {
        self.0.store(Arc::new(Values::of(config)));
    }

    /// The values now.
    pub fn get(&self) -> Values {
        **self.0.load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_the_feature_comes_before_the_daemons_and_off_is_none_at_all() {
        let mut config = Config::default();
        config.budget.cpu_percent = Some(5);
        config.budget.events_per_s = Some(9);
        let settings = Settings::of(&config);
        let own = Limits { cpu: Some(0.5), series: Some(7), ..Limits::default() };
        let expected = Limits { events_per_s: Some(9), ..own };
        assert_eq!(settings.get().limits(Budget::Limits(own)), Some(expected));
        let inherited = settings.get().limits(Budget::default()).and_then(|limits| limits.cpu);
        assert_eq!(inherited, Some(0.05));
        assert_eq!(settings.get().limits(Budget::Off), None);
        settings.clone().set(&Config::default());
        assert_eq!(settings.get().limits(Budget::default()), Some(Limits::default()), "for all who hold it");
    }
}
