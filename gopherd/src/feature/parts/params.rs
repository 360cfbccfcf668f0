//! `params`: each key checked against the catalogue. A value that is the default is not kept, so that one
//! configuration has one form.

use super::Reader;
use super::reader::{as_written, object};
use crate::feature::json::Node;
use crate::feature::text::{is_unsafe, shown};
use crate::feature::{FeatureConfig, Path, Problem};
use probe_core::params::{self, RENAMED, TextRule};
use probe_core::{ParamKind, ParamSpec, ParamValue, Params};
use std::net::Ipv6Addr;

/// Longest device name in bytes; the reference's number.
const MAX_DEVICE: usize = 31;

/// Most device names.
const MAX_DEVICES: usize = 64;

pub(super) fn read(
    r: &mut Reader<'_>,
    node: &Node,
    path: &Path,
    config: &mut FeatureConfig,
) -> Result<(), Problem> {
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in object(node, path)? {
        let renamed = RENAMED.iter().find(|(old, _)| old == key).map(|(_, new)| *new);
        let Some(spec) = params::find(renamed.unwrap_or(key)) else {
            r.unknown_key(path, key)?;
            continue;
        };
        let at = path.key(key);
        if renamed.is_some() {
            r.tolerate(&at, format!("the old name of {}", path.key(spec.key)))?;
        }
        if seen.contains(&spec.key) {
            return Err(Problem::invalid(at, format!("given twice, as {key} and under its other name")));
        }
        seen.push(spec.key);
        let value = checked(r, spec, value, &at)?;
        note_use(r, spec, &value, &at)?;
        if value == spec.default_value() { config.params.unset(spec) } else { config.params.set(spec, value) }
    }
    Ok(())
}

/// Refuses to change what only a stopped probe can change.
pub(in crate::feature) fn check_live(before: &Params, after: &Params) -> Result<(), Problem> {
    match params::ALL.iter().find(|spec| !spec.live && before.get(spec) != after.get(spec)) {
        Some(spec) => {
            let message = format!("params.{} invalid can only be changed when probe is stopped", spec.key);
            Err(Problem::invalid(Path::default().key("params").key(spec.key), message))
        }
        None => Ok(()),
    }
}

/// A value that changes something nothing reads is worth a word; one that is stored already is not, so that
/// what GET prints can be PUT back in silence.
fn note_use(r: &mut Reader<'_>, spec: &ParamSpec, value: &ParamValue, path: &Path) -> Result<(), Problem> {
    let stored = r.cx.current.and_then(|current| current.params.get(spec)).cloned();
    if *value == stored.unwrap_or_else(|| spec.default_value()) {
        return Ok(());
    }
    let feature = r.cx.descriptor.name;
    if r.cx.descriptor.param(spec.key).is_none() {
        r.tolerate(path, format!("has no effect on {feature}"))
    } else if spec.effect {
        Ok(())
    } else {
        r.note(path, "has no effect");
        Ok(())
    }
}

fn checked(r: &mut Reader<'_>, spec: &ParamSpec, node: &Node, path: &Path) -> Result<ParamValue, Problem> {
    match spec.kind {
        ParamKind::Int { min, max, zero_is_off, power_of_two, .. } => {
            let Some(value) = r.whole(node, path)? else { return Err(wrong_type(path)) };
            let fault = |what: String| {
                let text = as_written(node, value);
                Err(Problem::invalid(path.clone(), format!("{path} invalid value {text}, must be {what}")))
            };
            let off = zero_is_off && value == 0;
            if !off && !(min..=max).contains(&value) {
                fault(format!("in [{min}, {max}]"))
            } else if power_of_two && value.count_ones() != 1 {
                fault("power of 2".to_owned())
            } else {
                Ok(ParamValue::Int(value))
            }
        }
        ParamKind::Text { default, max_len, rule } => {
            let Node::Text(text) = node else { return Err(wrong_type(path)) };
            check_text(text, default, max_len, rule, path)?;
            Ok(ParamValue::Text(text.clone()))
        }
        ParamKind::Devices => devices(node, path).map(ParamValue::Words),
        ParamKind::Words { allowed } => words(node, allowed, path).map(ParamValue::Words),
        ParamKind::Pairs { max, max_len } => pairs(node, max, max_len, path).map(ParamValue::Pairs),
    }
}

fn wrong_type(path: &Path) -> Problem {
    Problem::invalid(path.clone(), format!("{path} invalid data type"))
}

fn wrong_value(path: &Path, value: &str, rule: &str) -> Problem {
    Problem::invalid(path.clone(), format!("{path} invalid value: {}, must be {rule}", shown(value)))
}

fn check_len(text: &str, max_len: usize, path: &Path) -> Result<(), Problem> {
    if text.len() <= max_len {
        return Ok(());
    }
    let message = format!("{path} value is too long, len must be less than {}", max_len + 1);
    Err(Problem::invalid(path.clone(), message))
}

fn check_safe(text: &str, path: &Path) -> Result<(), Problem> {
    if is_unsafe(text) {
        return Err(Problem::invalid(path.clone(), format!("{path} contains unsafe characters")));
    }
    Ok(())
}

fn check_text(text: &str, default: &str, max_len: usize, rule: TextRule, path: &Path) -> Result<(), Problem> {
    check_len(text, max_len, path)?;
    match rule {
        TextRule::Path => {
            check_safe(text, path)?;
            // Empty is "none" where that is the default.
            let valid = text.starts_with('/') || (text.is_empty() && default.is_empty());
            if valid { Ok(()) } else { Err(wrong_value(path, text, "an absolute path")) }
        }
        TextRule::HostPort if text.is_empty() || is_host_port(text) => Ok(()),
        TextRule::HostPort => Err(wrong_value(path, text, "host:port")),
        TextRule::OneOf(words) if words.contains(&text) => Ok(()),
        TextRule::OneOf(words) => Err(wrong_value(path, text, &format!("one of {}", words.join(", ")))),
    }
}

fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let v6 = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .is_some_and(|h| h.parse::<Ipv6Addr>().is_ok());
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    (name || v6) && digits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// One name, or an array of them; an empty text is none.
fn devices(node: &Node, path: &Path) -> Result<Vec<String>, Problem> {
    let device = |node: &Node, at: &Path| {
        let Node::Text(name) = node else { return Err(wrong_type(at)) };
        check_len(name, MAX_DEVICE, at)?;
        check_safe(name, at)?;
        if name.is_empty() || name.contains(|c: char| c == '/' || c.is_whitespace()) {
            return Err(wrong_value(at, name, "the name of a device"));
        }
        Ok(name.clone())
    };
    match node {
        Node::Text(name) if name.is_empty() => Ok(Vec::new()),
        Node::Text(_) => Ok(vec![device(node, path)?]),
        Node::Array(items) if items.len() <= MAX_DEVICES => {
            let mut names = Vec::new();
            for (i, item) in items.iter().enumerate() {
                let name = device(item, &path.index(i))?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            Ok(names)
        }
        Node::Array(_) => {
            Err(Problem::invalid(path.clone(), format!("{path} has more than {MAX_DEVICES} names")))
        }
        _ => Err(wrong_type(path)),
    }
}

/// A set, in the catalogue's order.
fn words(node: &Node, allowed: &[&str], path: &Path) -> Result<Vec<String>, Problem> {
    let Node::Array(items) = node else { return Err(wrong_type(path)) };
    let mut given = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let at = path.index(i);
        let Node::Text(word) = item else { return Err(wrong_type(&at)) };
        let Some(known) = allowed.iter().find(|known| known.eq_ignore_ascii_case(word)) else {
            return Err(wrong_value(&at, word, &format!("one of {}", allowed.join(", "))));
        };
        given.push(*known);
    }
    Ok(allowed.iter().filter(|word| given.contains(word)).map(|word| (*word).to_owned()).collect())
}

/// An array of objects with one string member each.
fn pairs(node: &Node, max: usize, max_len: usize, path: &Path) -> Result<Vec<(String, String)>, Problem> {
    let Node::Array(items) = node else { return Err(wrong_type(path)) };
    if items.len() > max {
        return Err(Problem::invalid(path.clone(), format!("{path} has more than {max} entries")));
    }
    let mut given: Vec<(String, String)> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let at = path.index(i);
        let Node::Object(members) = item else { return Err(wrong_type(&at)) };
        let [(key, Node::Text(value))] = members.as_slice() else { return Err(wrong_type(&at)) };
        check_len(key, max_len, &at)?;
        check_len(value, max_len, &at)?;
        if key.is_empty() || given.iter().any(|(other, _)| other == key) {
            return Err(wrong_value(&at, key, "a name that is given once"));
        }
        given.push((key.clone(), value.clone()));
    }
    Ok(given)
}
