//! BPF objects as the kernel has them: those that a process holds, and whether they are still there.

use crate::process::text_of;
use serde_json::Value;
use std::fs;

/// Kinds of objects, by the names that the kernel and bpftool give them.
pub const KINDS: [&str; 3] = ["prog", "map", "link"];

/// Ids of the objects of `kind` that process `pid` has open, sorted, each once.
pub fn held(kind: &str, pid: u32) -> Vec<u64> {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the descriptors of a running process");
    let id = |file: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(file.ok()?.path()).ok()?;
        // A link's file names its program too.
        let name = if text.contains("link_id:") && kind != "link" { return None } else { kind };
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}_id:")))?;
        line.trim().parse().ok()
    };
    let mut ids: Vec<u64> = files.filter_map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The objects of `kind` that the kernel has, of all processes, as bpftool tells.
pub fn all(kind: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(&text_of("bpftool", &["-j", kind, "show"])).expect("JSON");
    list.as_array().cloned().unwrap_or_default()
}

/// Those of `ids` that the kernel still has.
pub fn existing(kind: &str, ids: &[u64]) -> Vec<u64> {
    all(kind).iter().filter_map(|object| object["id"].as_u64()).filter(|id| ids.contains(id)).collect()
}
