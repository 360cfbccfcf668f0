//! The one place through which programs are loaded and attached, for whatever right that needs.

/// Does `work`, which loads or attaches a program.
pub(super) fn privileged<T>(work: impl FnOnce() -> T) -> T {
    work()
}
