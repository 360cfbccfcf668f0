//! What can be asked for and is not built yet.
//!
//! Owns the list, so that an ability that arrives is one entry less here. What is asked for and missing is a
//! startup problem, shown by `readyz`, and the rest works. All of it delivers something; what protects is built, and
//! a setting that protects must never stand here, because running without the protection would be a silent hole.

use super::Config;
use super::load::Draft;

/// An ability that is missing.
struct Unbuilt {
    /// What it is.
    what: &'static str,
    /// The keys, or the section, that ask for it in this configuration.
    asked: fn(&Config) -> Vec<&'static str>,
    /// What to do until it is there.
    way_out: &'static str,
}

/// The key, if it asks.
fn key_if(asks: bool, key: &'static str) -> Vec<&'static str> {
    if asks { vec![key] } else { Vec::new() }
}

static UNBUILT: &[Unbuilt] = &[
    #[cfg(not(feature = "kafka"))]
    Unbuilt {
        what: "Kafka",
        asked: super::rules::kafka_channels,
        way_out: "use another channel; this build leaves the feature `kafka` out, and nothing is sent to Kafka",
    },
    Unbuilt {
        what: "a budget",
        asked: |config| key_if(config.budget != Config::default().budget, "limits.budget"),
        way_out: "remove the section until it is; nothing is limited",
    },
];

/// `key`, or the key that was really set if `key` is a section.
fn set_key(draft: &Draft, key: &str) -> String {
    let section = format!("{key}.");
    let first = draft.set_at.keys().find(|set| set.starts_with(&section));
    first.cloned().unwrap_or_else(|| key.to_owned())
}

/// Finds what is asked for and missing.
pub(super) fn check(draft: &mut Draft) {
    for unbuilt in UNBUILT {
        for key in (unbuilt.asked)(&draft.config) {
            let problem = format!("asks for {}, which this version has not built yet", unbuilt.what);
            let fault = draft.fault_at(&set_key(draft, key), problem, unbuilt.way_out);
            draft.found.problems.push(fault);
        }
    }
}
