//! What can be asked for and is not in this build: Kafka, where the feature `kafka` was left out.
//!
//! What is asked for and missing is a startup problem, shown by `readyz`, and the rest works. Only what delivers
//! something may be missing: without a setting that protects, running would be a silent hole.

use super::load::Draft;

/// Finds what is asked for and missing.
pub(super) fn check(draft: &mut Draft) {
    let way_out =
        "use another channel; this build leaves the feature `kafka` out, and nothing is sent to Kafka";
    for key in super::rules::kafka_channels(&draft.config) {
        let problem = "asks for Kafka, which this version has not built yet";
        let fault = draft.fault_at(key, problem, way_out);
        draft.found.problems.push(fault);
    }
}
