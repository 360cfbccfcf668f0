//! Faults on purpose: the places where the kernel, a disk or a thread can fail, made to fail by a test.
//!
//! A place is asked with [`at`] right before the call that it stands for. With the feature `testing` it looks into the
//! file that `TEST_FAULTS` names: each line is a place, or a place and what it is about (`bpf.attach/completed`), and an
//! errno. What is in the file counts the next time. Without the feature, so in every installed program, the answer is a
//! constant: nothing is read, and no environment can ask for anything.
//!
//! | place | stands for | is about |
//! |---|---|---|
//! | `bpf.map` | maps of an object are made | |
//! | `bpf.program` | the verifier takes a program | the program |
//! | `bpf.attach` | a program is attached | the program |
//! | `bpf.ring_made`, `bpf.ring` | a ring is mapped, read | |
//! | `bpf.read`, `bpf.iterator` | entries of a map, an iterator are read | |
//! | `netlink` | an answer over netlink is read | |
//! | `thread` | a probe's thread is started | its name |
//! | `spool.write`, `spool.sync` | the spool is written, forced to the disk | |

use std::io;

/// The error that the call at `place` about `what` shall end with, if a test wants one.
#[cfg(feature = "testing")]
pub fn at(place: &str, what: &str) -> io::Result<()> {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    static FILE: LazyLock<Option<PathBuf>> = LazyLock::new(|| Some(std::env::var_os("TEST_FAULTS")?.into()));
    let Some(file) = &*FILE else { return Ok(()) };
    // A file that is not there has no faults.
    wanted(&std::fs::read_to_string(file).unwrap_or_default(), place, what)
        .map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
}

/// No fault.
#[cfg(not(feature = "testing"))]
#[inline(always)]
pub fn at(_place: &str, _what: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "testing")]
fn wanted(faults: &str, place: &str, what: &str) -> Option<i32> {
    faults.lines().find_map(|line| {
        let (name, errno) = line.split_once(' ')?;
        let (name, about) = name.split_once('/').map_or((name, None), |(name, about)| (name, Some(about)));
        let meant = name == place && about.is_none_or(|about| about == what);
        meant.then(|| errno.trim().parse().ok())?
    })
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_meant_by_its_place_and_by_what_it_is_about_if_it_says_so() {
        let faults = "bpf.map 12\nbpf.attach/completed 1\nnonsense\nnetlink x\n";
        assert_eq!(wanted(faults, "bpf.map", "io"), Some(12));
        assert_eq!(wanted(faults, "bpf.attach", "completed"), Some(1));
        assert_eq!(wanted(faults, "bpf.attach", "issued"), None);
        assert_eq!(wanted(faults, "netlink", ""), None);
        assert_eq!(wanted("", "bpf.map", ""), None);
    }

    #[test]
    fn without_a_file_nothing_fails() {
        assert!(at("bpf.map", "io").is_ok());
    }
}
