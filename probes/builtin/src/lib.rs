//! Every probe that ships, one folder each, and the features that this version knows by name only.
//!
//! Adding a probe is adding a folder: `registry` lists the folders and is written by the `tidy` test.
// `bpf_object!` allows it for what libbpf-cargo generates, and nothing else does.
#![deny(unsafe_code)]

#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
mod params;
mod planned;
mod registry;
#[cfg(test)]
mod tidy;

use probe_core::{Descriptor, Need};

/// Every feature that this version knows: those that are built, then those that are not yet.
pub fn all() -> impl Iterator<Item = &'static Descriptor> {
    registry::REGISTRY.iter().chain(planned::PLANNED).copied()
}

/// The feature with this name, case-insensitively.
pub fn find(name: &str) -> Option<&'static Descriptor> {
    all().find(|feature| feature.name.eq_ignore_ascii_case(name))
}

/// What features that are not built yet will need.
pub fn planned_needs() -> &'static [Need] {
    planned::NEEDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_found_whatever_the_case_of_their_name() {
        assert_eq!(find("BaseInfo").map(|feature| feature.name), Some("baseinfo"));
        assert!(find("baseinfo").is_some_and(|feature| feature.build.is_some()));
        assert!(find("Container").is_some());
        assert!(find("no_such_feature").is_none());
    }

    #[test]
    fn each_feature_is_known_once() {
        let names: Vec<_> = all().map(|feature| feature.name).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[i + 1..].contains(name), "{name} twice");
        }
        assert_eq!(names.len(), 23, "21 features of the API's reference, dnsmasq and haproxy");
    }
}
