//! Programs on functions of user space: attached to a file, wherever a process has it mapped.

use super::log;
use super::privilege::raised_for_functions;
use libbpf_rs::{Link, ProgramMut, UprobeOpts};
use std::path::Path;

/// Every process.
const EVERY: i32 = -1;

fn told<T>(attach: impl FnOnce() -> Result<T, libbpf_rs::Error>) -> Result<T, String> {
    let _raised = raised_for_functions();
    let (link, lines) = log::listen(attach);
    link.map_err(|error| log::gist(&lines).unwrap_or_else(|| error.to_string()))
}

/// Attaches a `uprobe` program to the entry of `function` in the file `path`, or a `uretprobe` program to its return.
/// An `Err` says in libbpf's words why not; that the file has no such function is one.
pub fn attach_to_function(
    program: &ProgramMut<'_>,
    path: &Path,
    function: &str,
    at_return: bool,
) -> Result<Link, String> {
    let options =
        UprobeOpts { retprobe: at_return, func_name: Some(function.to_owned()), ..Default::default() };
    told(|| program.attach_uprobe_with_opts(EVERY, path, 0, options))
}

/// Attaches a `usdt` program to the probe `provider:name` that the makers of the file `path` put into it.
pub fn attach_to_probe(
    program: &ProgramMut<'_>,
    path: &Path,
    provider: &str,
    name: &str,
) -> Result<Link, String> {
    told(|| program.attach_usdt(EVERY, path, provider, name))
}
