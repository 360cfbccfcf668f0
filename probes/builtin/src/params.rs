//! The parameters of a descriptor: those that every feature has, and its own.

/// `params![DEV_NAME]` is a static list of the common keys and `probe_core::params::DEV_NAME`.
macro_rules! params {
    ($($own:ident),* $(,)?) => {
        &[
            &probe_core::params::REPORT_PERIOD,
            &probe_core::params::LATENCY_THR,
            &probe_core::params::OFFLINE_THR,
            &probe_core::params::DROPS_THR,
            &probe_core::params::RES_LOWER_THR,
            &probe_core::params::RES_UPPER_THR,
            &probe_core::params::REPORT_EVENT,
            $(&probe_core::params::$own),*
        ]
    };
}
pub(crate) use params;
