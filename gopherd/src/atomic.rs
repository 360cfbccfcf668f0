//! Replacing a small file so that a crash at any moment leaves the old or the new content.
//!
//! Owns the sequence temporary file, fsync, rename, fsync of the directory, and the removal of what a killed
//! writer left behind. Leaves the content to the caller.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of a file that was not there before: the owner writes, the group reads.
const NEW_MODE: u32 = 0o640;
/// End of the temporary file's name; a leftover is known by it.
const SUFFIX: &str = ".gopherd-new";

/// Writes `content` to `path`. A symbolic link stays one: the file that it names is replaced. Mode and owner
/// of an existing file are kept. What is no regular file is never replaced. On an error the old file is untouched;
/// the error names the step.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let target = target_of(path)?;
    let dir = dir_of(&target);
    let old = match fs::metadata(&target) {
        Ok(meta) if meta.is_file() => Some(meta),
        // A device or a pipe would be gone, for everybody on this host.
        Ok(_) => {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file and stays");
            return Err(told(&target, "replacing", error));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(told(&target, "looking at", error)),
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(&prefix_of(&target))
        .suffix(SUFFIX)
        .tempfile_in(dir)
        .map_err(|error| told(dir, "making a temporary file in", error))?;
    let file = temporary.as_file_mut();
    file.write_all(content).map_err(|error| told(&target, "writing the new content of", error))?;
    if let Some(old) = &old {
        // Giving a file away takes a right that the daemon does not keep: then the new file is its writer's.
        let (user, group) = (rustix::fs::Uid::from_raw(old.uid()), rustix::fs::Gid::from_raw(old.gid()));
        if let Err(error) = rustix::fs::fchown(&*file, Some(user), Some(group)) {
            let file = target.display();
            tracing::warn!(%file, %error, owner = old.uid(), group = old.gid(), "cannot stay with its owner");
        }
    }
    let mode = old.map_or(NEW_MODE, |old| old.mode() & 0o7777);
    file.set_permissions(Permissions::from_mode(mode))
        .map_err(|error| told(&target, "setting the mode of", error))?;
    file.sync_all().map_err(|error| told(&target, "writing the new content of", error))?;
    temporary.persist(&target).map_err(|error| told(&target, "replacing", error.error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| told(dir, "writing the directory", error))
}

/// Removes temporary files that a killed writer of `path` left in its directory; the number of them. Only for
/// a time when nobody writes the file, as at start under the instance lock.
pub fn remove_leftovers(path: &Path) -> io::Result<usize> {
    let target = target_of(path)?;
    let prefix = prefix_of(&target);
    let mut removed = 0;
    for entry in fs::read_dir(dir_of(&target))? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(SUFFIX));
        if ours && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The file that is really replaced.
fn target_of(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => Ok(path.to_owned()),
        Err(error) => Err(told(path, "following", error)),
    }
}

fn dir_of(target: &Path) -> &Path {
    target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn prefix_of(target: &Path) -> String {
    format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy())
}

fn told(path: &Path, step: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{step} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;
    use std::time::Duration;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_is_readable_by_the_group_and_an_old_one_keeps_its_mode() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("f");
        replace(&path, b"one").expect("written");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o7777, 0o640);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
        replace(&path, b"two").expect("written");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o7777, 0o600);
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn a_link_stays_a_link_and_one_to_nowhere_is_an_error() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "old").expect("write");
        std::os::unix::fs::symlink(&real, &link).expect("symlink");
        replace(&link, b"new").expect("written");
        assert!(link.is_symlink());
        assert_eq!(fs::read(&real).expect("read"), b"new");
        fs::remove_file(&real).expect("remove");
        assert!(replace(&link, b"x").expect_err("dangling").to_string().starts_with("following"));
    }

    #[test]
    fn what_is_no_file_stays_even_behind_a_link() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let dir = tempfile::tempdir().expect("tempdir");
        let (pipe, link) = (dir.path().join("pipe"), dir.path().join("probes.init"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        std::os::unix::fs::symlink(&pipe, &link).expect("symlink");
        for path in [&pipe, &link] {
            let error = replace(path, b"x").expect_err("a pipe").to_string();
            assert!(error.contains("no regular file"), "{error}");
        }
        assert!(!fs::metadata(&pipe).expect("there").is_file());
        assert_eq!(names(dir.path()), ["pipe", "probes.init"]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = replace(Path::new("/nonexistent/f"), b"x").expect_err("no directory");
        assert!(error.to_string().starts_with("making a temporary file in /nonexistent: "), "{error}");
    }

    #[test]
    fn leftovers_of_this_file_go_and_everything_else_stays() {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in ["f", ".f.abc.gopherd-new", ".g.abc.gopherd-new", ".f.swp"] {
            fs::write(dir.path().join(name), "x").expect("write");
        }
        assert_eq!(remove_leftovers(&dir.path().join("f")).expect("removed"), 1);
        assert_eq!(names(dir.path()), [".f.swp", ".g.abc.gopherd-new", "f"]);
    }

    /// Set in the child of the next test: the file that it replaces until it is killed.
    const CHILD: &str = "GOPHERD_TEST_ATOMIC_CHILD";
    const KILLS: usize = 100;

    /// Content that cannot be mistaken: a number on each of many lines, and how many there are.
    fn content(round: u64) -> Vec<u8> {
        let lines = 2000 + usize::try_from(round % 7).expect("small") * 500;
        format!("{lines}\n{}", format!("{round}\n").repeat(lines)).into_bytes()
    }

    fn is_whole(content: &[u8]) -> bool {
        let text = String::from_utf8_lossy(content);
        let mut lines = text.lines();
        let count = lines.next().and_then(|count| count.parse::<usize>().ok());
        let rest: Vec<&str> = lines.collect();
        count == Some(rest.len()) && rest.windows(2).all(|pair| pair[0] == pair[1]) && text.ends_with('\n')
    }

    #[test]
    fn a_kill_at_any_moment_leaves_the_old_or_the_new_file() {
        if let Some(path) = std::env::var_os(CHILD) {
            for round in 0.. {
                replace(Path::new(&path), &content(round)).expect("written");
                if round == 0 {
                    eprintln!("saving");
                }
            }
        }
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("probes.init");
        let mut left_behind = 0;
        for kill in 0..KILLS {
            // The test binary itself is the victim: only a real process can really be killed.
            #[allow(clippy::disallowed_methods)]
            let mut child = std::process::Command::new(std::env::current_exe().expect("this binary"))
                .args(["--exact", "atomic::tests::a_kill_at_any_moment_leaves_the_old_or_the_new_file"])
                .arg("--nocapture")
                .env(CHILD, &path)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("a child");
            let mut lines = std::io::BufReader::new(child.stderr.take().expect("piped")).lines();
            assert!(
                lines.any(|line| line.is_ok_and(|line| line.contains("saving"))),
                "the child did not save"
            );
            // Not a wait for something: it picks the moment of the kill, spread over some rounds of the child.
            let spread = (kill as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            std::thread::sleep(Duration::from_micros(spread % 5000));
            child.kill().expect("killed");
            child.wait().expect("gone");
            assert!(is_whole(&fs::read(&path).expect("read")), "kill {kill} left half a file");
            left_behind += remove_leftovers(&path).expect("removed");
            assert_eq!(names(dir.path()), ["probes.init"]);
        }
        assert!(left_behind > 0, "no kill fell into a save, so the test has shown nothing");
    }
}
