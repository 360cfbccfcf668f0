//! The heap of the libraries in C: libbpf's objects, OpenSSL, librdkafka.
//!
//! glibc gives each thread an arena of its own, up to eight for each CPU, and an arena keeps what its largest moment needed: a
//! megabyte and a half once a probe's thread has read BTF. Threads of probes come and go, so a daemon would grow by that for
//! hours.

#![allow(unsafe_code)] // a call of the C library

/// Two: one thread that loads a probe does not hold a sender up.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Has all threads share two arenas. To be called before there is a second thread; other C libraries have no arenas.
pub fn share() {
    // SAFETY: the call takes two numbers, and no other thread allocates yet.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}
