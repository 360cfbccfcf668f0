//! The five selector lists. Each entry is checked and brought into the one form that the scope engine
//! compares: expressions compiled, pod uids dashed, container ids cut, pids bound to the process alive now.

use super::labels;
use super::names;
use super::reader::{Reader, as_written, object};
use crate::feature::json::Node;
use crate::feature::text::{is_unsafe, shown};
use crate::feature::{Path, Problem, ProcId, ProcName};
use regex::Regex;

/// Largest pid that Linux hands out (`PID_MAX_LIMIT`).
const MAX_PID: i64 = 4_194_304;

/// Longest container name in bytes; the reference's number.
const MAX_CONTAINER_NAME: usize = 63;

/// The reference's text, and what exactly is wrong.
pub(super) fn wrong(path: Path, section: &str, detail: &str) -> Problem {
    Problem::invalid(path, format!("Error occurs when parsing snooper {section}: {detail}"))
}

fn items<'n>(node: &'n Node, path: &Path, section: &str, of: &str) -> Result<&'n [Node], Problem> {
    match node {
        Node::Array(items) => Ok(items),
        _ => Err(wrong(path.clone(), section, &format!("must be an array of {of}"))),
    }
}

/// `proc_id`.
pub(super) fn proc_id(r: &mut Reader<'_>, node: &Node, path: &Path) -> Result<Vec<ProcId>, Problem> {
    const KEY: &str = "proc_id";
    let mut entries: Vec<ProcId> = Vec::new();
    for (i, item) in items(node, path, KEY, "numbers")?.iter().enumerate() {
        let at = path.index(i);
        let Some(number) = r.whole(item, &at)? else {
            return Err(wrong(at, KEY, "must be a whole number"));
        };
        let valid = if (1..=MAX_PID).contains(&number) { u32::try_from(number).ok() } else { None };
        let Some(pid) = valid else {
            return Err(wrong(at, KEY, &format!("{} is no process id", as_written(item, number))));
        };
        if entries.iter().any(|entry| entry.pid == pid) {
            continue;
        }
        let process = r.cx.pids.process(pid);
        let known = r.cx.current.and_then(|c| c.selection.selectors.proc_id.iter().find(|e| e.pid == pid));
        entries.push(match (process, known) {
            (Some(_), _) => ProcId { pid, process },
            // Given before, and its process is gone: the entry stays what it was.
            (None, Some(known)) => *known,
            (None, None) => {
                r.note(&at, format!("there is no process {pid}; the entry matches nothing"));
                ProcId { pid, process }
            }
        });
    }
    Ok(entries)
}

/// `proc_name`.
pub(super) fn proc_name(r: &mut Reader<'_>, node: &Node, path: &Path) -> Result<Vec<ProcName>, Problem> {
    const KEY: &str = "proc_name";
    let list = items(node, path, KEY, "objects")?;
    let mut entries = Vec::with_capacity(list.len());
    for (i, item) in list.iter().enumerate() {
        let at = path.index(i);
        let (mut comm, mut cmdline, mut label) = (None, None, None);
        for (key, value) in object(item, &at)? {
            let below = at.key(key);
            match key.as_str() {
                "comm" => comm = expression(value, below, list.len())?,
                "cmdline" => cmdline = expression(value, below, list.len())?,
                "label" => match object(value, &below)? {
                    [(name, value)] => label = Some(labels::pair(r.cx.descriptor, KEY, name, value, &below)?),
                    _ => return Err(wrong(below, KEY, "must be exactly one label")),
                },
                _ => r.unknown_key(&at, key)?,
            }
        }
        if comm.is_none() && cmdline.is_none() {
            return Err(wrong(at, KEY, "comm or cmdline must be given"));
        }
        entries.push(ProcName { comm, cmdline, label });
    }
    Ok(entries)
}

/// An expression, one of at most two for each of `entries`; empty means any.
fn expression(node: &Node, path: Path, entries: usize) -> Result<Option<Regex>, Problem> {
    const KEY: &str = "proc_name";
    let Node::Text(pattern) = node else {
        return Err(wrong(path, KEY, "must be a string"));
    };
    if pattern.is_empty() {
        return Ok(None);
    }
    match names::expression(pattern, entries.saturating_mul(2)) {
        Ok(regex) => Ok(Some(regex)),
        Err(fault) => Err(wrong(path, KEY, &fault)),
    }
}

/// `pod_id`.
pub(super) fn pod_id(node: &Node, path: &Path) -> Result<Vec<String>, Problem> {
    texts(node, path, "pod_id", "is no pod uid", names::pod_id)
}

/// `container_id`.
pub(super) fn container_id(node: &Node, path: &Path) -> Result<Vec<String>, Problem> {
    texts(node, path, "container_id", "is no container id", names::container_id)
}

/// `container_name`.
pub(super) fn container_name(node: &Node, path: &Path) -> Result<Vec<String>, Problem> {
    texts(node, path, "container_name", "is no container name", |text| {
        let valid = (1..=MAX_CONTAINER_NAME).contains(&text.len()) && !is_unsafe(text);
        valid.then(|| text.to_owned())
    })
}

fn texts(
    node: &Node,
    path: &Path,
    section: &str,
    fault: &str,
    form: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Problem> {
    let mut entries = Vec::new();
    for (i, item) in items(node, path, section, "strings")?.iter().enumerate() {
        let Node::Text(text) = item else {
            return Err(wrong(path.index(i), section, "must be a string"));
        };
        let Some(entry) = form(text) else {
            return Err(wrong(path.index(i), section, &format!("{} {fault}", shown(text))));
        };
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    Ok(entries)
}
