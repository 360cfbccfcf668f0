//! Why a process is matched or not, in a sentence for the operator. Pure; `rules` decides, this only tells.

use super::facts::ProcFacts;
use super::rules::{Rule, finds, has_container_rules, has_uid, is_called, is_ours, matches};
use crate::containers::{Container, Registry};
use crate::feature::{Mode, ProcName, Selection, Selectors};
use regex::Regex;
use std::fmt::Write;
use std::sync::Arc;

/// So many `proc_name` entries are told one by one, the others are counted.
const MAX_TOLD: usize = 8;

/// So many characters of a command line or an expression are shown.
const MAX_SHOWN: usize = 200;

/// The answer to "is this pid observed, and why".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether a process has the pid.
    pub exists: bool,
    /// Whether a selector matches it.
    pub matched: bool,
    /// Whether the feature observes it: with a blacklist the contrary of matched.
    pub observed: bool,
    /// Sentences that name the rules.
    pub reason: String,
}

impl Explanation {
    pub(super) fn absent(reason: String) -> Self {
        Self { exists: false, matched: false, observed: false, reason }
    }
}

/// Explains what `selection` makes of a process. `own` is the daemon's pid.
pub(super) fn explain(
    selection: &Selection,
    facts: &ProcFacts,
    own: Option<u32>,
    registry: &Registry,
) -> Explanation {
    let selectors = &selection.selectors;
    if selectors.is_empty() {
        let reason = match selection.mode {
            Mode::Include => "no selector is given: the whole host is observed",
            Mode::Exclude => "the blacklist is empty: the whole host is observed",
        };
        return Explanation { exists: true, matched: false, observed: true, reason: reason.into() };
    }
    let found = matches(selectors, facts, own, registry);
    let observed = found.is_some() == (selection.mode == Mode::Include);
    let mut reason = String::from(if observed { "observed" } else { "not observed" });
    if selection.mode == Mode::Exclude {
        reason.push_str(if observed { ", nothing of the blacklist matches" } else { ", by the blacklist" });
    }
    reason.push_str(": ");
    match found {
        Some(found) => reason.push_str(&hit(selectors, found.rule, facts, registry)),
        None => reason.push_str(&misses(selectors, facts, own, registry).join("; ")),
    }
    Explanation { exists: true, matched: found.is_some(), observed, reason }
}

/// The rule that matched `facts`, and with what.
fn hit(selectors: &Selectors, rule: Rule, facts: &ProcFacts, registry: &Registry) -> String {
    let place = facts.place.as_deref().unwrap_or_default();
    let found = |fits: &dyn Fn(&Container) -> bool| {
        let container = place.iter().filter_map(|id| registry.get(id)).find(|container| fits(container));
        container.map(|container| called(&container)).unwrap_or_default()
    };
    match rule {
        Rule::PodId(index) => {
            let uid = selectors.pod_id.get(index).map_or("", String::as_str);
            format!("pod_id[{index}] is the pod of {}", found(&|container| has_uid(container, uid)))
        }
        Rule::ContainerId(index) => {
            let short = selectors.container_id.get(index).map_or("", String::as_str);
            format!("container_id[{index}] is {}", found(&|container| container.id.short() == short))
        }
        Rule::ContainerName(index) => {
            let text = selectors.container_name.get(index).map_or("", String::as_str);
            let container = found(&|container| is_called(container, text));
            format!("container_name[{index}]: {container} has {text:?} in its name")
        }
        Rule::ProcId(index) => format!("proc_id[{index}] is pid {}", facts.key.tgid),
        Rule::ProcName(index) => {
            let told = selectors.proc_name.get(index).map(|entry| told(entry, facts, true));
            format!("proc_name[{index}]: {}", told.unwrap_or_default())
        }
    }
}

/// A short name of a rule, as in `proc_name[0] (comm /^redis/)`.
pub(super) fn name(selectors: &Selectors, rule: Rule) -> String {
    match rule {
        Rule::ProcId(index) => format!("proc_id[{index}]"),
        Rule::PodId(index) => listed("pod_id", index, &selectors.pod_id),
        Rule::ContainerId(index) => listed("container_id", index, &selectors.container_id),
        Rule::ContainerName(index) => listed("container_name", index, &selectors.container_name),
        Rule::ProcName(index) => {
            let mut parts = Vec::new();
            if let Some(entry) = selectors.proc_name.get(index) {
                parts.extend(entry.comm.as_ref().map(|regex| format!("comm {}", shown(regex))));
                parts.extend(entry.cmdline.as_ref().map(|regex| format!("cmdline {}", shown(regex))));
            }
            format!("proc_name[{index}] ({})", parts.join(", "))
        }
    }
}

/// `container_name[0] (web)`.
fn listed(section: &str, index: usize, entries: &[String]) -> String {
    format!("{section}[{index}] ({})", entries.get(index).map_or("", String::as_str))
}

/// `container 0123456789ab "web-1"`.
fn called(container: &Container) -> String {
    let name = container.name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
    format!("container {}{name}", container.id.short())
}

/// Why no container selector matches.
fn container_misses(
    selectors: &Selectors,
    facts: &ProcFacts,
    own: Option<u32>,
    registry: &Registry,
) -> String {
    let lists = [
        ("pod_id", selectors.pod_id.len()),
        ("container_id", selectors.container_id.len()),
        ("container_name", selectors.container_name.len()),
    ];
    let given = lists.iter().filter(|(_, entries)| *entries > 0);
    let given = given.map(|(name, entries)| format!("{entries} {name}")).collect::<Vec<_>>().join(", ");
    if is_ours(facts, own) {
        return format!("{given}: container selectors never match gopherd and its children");
    }
    let place = facts.place.as_deref().unwrap_or_default();
    if place.is_empty() {
        return format!("{given}: the process is in no container");
    }
    let told = place.iter().take(MAX_TOLD).map(|id| {
        let known: Option<Arc<Container>> = registry.get(id);
        let pod = known.as_ref().and_then(|known| known.pod.as_ref());
        let pod = pod.map(|pod| format!(" of pod {}", pod.uid)).unwrap_or_default();
        known.as_ref().map_or_else(|| format!("container {}", id.short()), |known| called(known)) + &pod
    });
    format!("{given}: none names {}", told.collect::<Vec<_>>().join(" in "))
}

fn misses(selectors: &Selectors, facts: &ProcFacts, own: Option<u32>, registry: &Registry) -> Vec<String> {
    let mut out = Vec::new();
    let pid = facts.key.tgid;
    let same_pid = selectors.proc_id.iter().enumerate().filter(|(_, id)| id.pid == pid);
    out.extend(same_pid.take(1).map(|(index, id)| match id.process {
        Some(_) => format!("proc_id[{index}] is bound to an earlier process with pid {pid}"),
        None => format!("proc_id[{index}]: pid {pid} had no process when it was given"),
    }));
    if out.is_empty() && !selectors.proc_id.is_empty() {
        out.push(format!("none of {} proc_id entries is pid {pid}", selectors.proc_id.len()));
    }
    if is_ours(facts, own) && !selectors.proc_name.is_empty() {
        out.push("proc_name never matches gopherd and its children".into());
    } else {
        for (index, entry) in selectors.proc_name.iter().enumerate().take(MAX_TOLD) {
            out.push(format!("proc_name[{index}]: {}", told(entry, facts, false)));
        }
        if let Some(more) = selectors.proc_name.len().checked_sub(MAX_TOLD).filter(|more| *more > 0) {
            out.push(format!("{more} more proc_name entries do not match"));
        }
    }
    if has_container_rules(selectors) {
        out.push(container_misses(selectors, facts, own, registry));
    }
    out
}

/// Whether each given expression of an entry is found in the process, and the words for it.
fn parts(entry: &ProcName, facts: &ProcFacts) -> Vec<(bool, String)> {
    let comm = entry.comm.as_ref().map(|regex| part("comm", regex, Some(&facts.comm)));
    let cmdline = entry.cmdline.as_ref().map(|regex| part("cmdline", regex, facts.cmdline.as_deref()));
    comm.into_iter().chain(cmdline).collect()
}

fn part(what: &str, regex: &Regex, text: Option<&str>) -> (bool, String) {
    let found = finds(Some(regex), text);
    let verb = if found { "matches" } else { "does not match" };
    let text: String = text.unwrap_or_default().chars().take(MAX_SHOWN).collect();
    (found, format!("{what} {text:?} {verb} {}", shown(regex)))
}

/// Those parts of an entry that were found, or that were not.
fn told(entry: &ProcName, facts: &ProcFacts, found: bool) -> String {
    let parts = parts(entry, facts).into_iter().filter(|part| part.0 == found).map(|part| part.1);
    parts.collect::<Vec<_>>().join(" and ")
}

/// An expression between slashes.
fn shown(regex: &Regex) -> String {
    let mut out = String::from("/");
    out.extend(regex.as_str().chars().take(MAX_SHOWN));
    let _ = write!(out, "{}/", if regex.as_str().chars().nth(MAX_SHOWN).is_some() { "…" } else { "" });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{ProcId, Selectors};
    use crate::scope::fake::{comms, facts, ids, in_container, known, name};
    use probe_core::ProcKey;

    fn names(mode: Mode, proc_name: Vec<ProcName>) -> Selection {
        Selection { mode, selectors: Selectors { proc_name, ..Selectors::default() } }
    }

    #[test]
    fn the_reason_names_the_rule_and_what_it_saw() {
        let nginx = facts(7, 1, "nginx", "nginx: worker");
        let include = |proc_name| names(Mode::Include, proc_name);
        let later = ProcKey { tgid: 7, start_ticks: 99 };
        let mut unbound = ids(Mode::Include, &[later]);
        unbound.selectors.proc_id = vec![ProcId { pid: 7, process: None }];
        let mut containers = comms(Mode::Include, &["^redis"]);
        containers.selectors.container_id = vec!["0123456789ab".into()];
        for (selection, expected) in [
            (comms(Mode::Include, &[]), "no selector is given: the whole host is observed"),
            (comms(Mode::Exclude, &[]), "the blacklist is empty: the whole host is observed"),
            (
                comms(Mode::Include, &["^redis"]),
                "not observed: proc_name[0]: comm \"nginx\" does not match /^redis/",
            ),
            (
                comms(Mode::Include, &["^redis", "gin"]),
                "observed: proc_name[1]: comm \"nginx\" matches /gin/",
            ),
            (
                include(vec![name("nginx", "worker", None)]),
                "observed: proc_name[0]: comm \"nginx\" matches /nginx/ and \
                 cmdline \"nginx: worker\" matches /worker/",
            ),
            (
                include(vec![name("nginx", "master", None)]),
                "not observed: proc_name[0]: cmdline \"nginx: worker\" does not match /master/",
            ),
            (ids(Mode::Include, &[nginx.key]), "observed: proc_id[0] is pid 7"),
            (
                ids(Mode::Include, &[later]),
                "not observed: proc_id[0] is bound to an earlier process with pid 7",
            ),
            (unbound, "not observed: proc_id[0]: pid 7 had no process when it was given"),
            (
                ids(Mode::Include, &[ProcKey { tgid: 8, start_ticks: 1 }]),
                "not observed: none of 1 proc_id entries is pid 7",
            ),
            (
                containers,
                "not observed: proc_name[0]: comm \"nginx\" does not match /^redis/; \
                 1 container_id: the process is in no container",
            ),
            (
                comms(Mode::Exclude, &["nginx"]),
                "not observed, by the blacklist: proc_name[0]: comm \"nginx\" matches /nginx/",
            ),
            (
                comms(Mode::Exclude, &["redis"]),
                "observed, nothing of the blacklist matches: \
                 proc_name[0]: comm \"nginx\" does not match /redis/",
            ),
        ] {
            let explanation = explain(&selection, &nginx, None, &Registry::default());
            assert_eq!(explanation.reason, expected);
            assert_eq!(explanation.observed, !expected.starts_with("not"), "{expected}");
        }
    }

    #[test]
    fn container_rules_are_told_by_what_they_name() {
        let registry = Registry::default();
        let (inner, outer) = (known(1, Some("web-1"), Some("uid-1")), known(2, None, None));
        registry.tell(inner.clone());
        registry.tell(outer.clone());
        let process = in_container(facts(7, 1, "nginx", ""), &[&inner.id, &outer.id]);
        let alone = facts(8, 1, "nginx", "");
        let text = |short: &str| vec![short.to_owned()];
        let none = Selectors::default;
        for (selectors, rule, expected) in [
            (
                Selectors { container_name: text("web"), ..none() },
                "container_name[0] (web)",
                "observed: container_name[0]: container 000000000001 \"web-1\" has \"web\" in its name",
            ),
            (
                Selectors { container_id: text(outer.id.short()), ..none() },
                "container_id[0] (000000000002)",
                "observed: container_id[0] is container 000000000002",
            ),
            (
                Selectors { pod_id: text("uid-1"), ..none() },
                "pod_id[0] (uid-1)",
                "observed: pod_id[0] is the pod of container 000000000001 \"web-1\"",
            ),
            (
                Selectors { pod_id: text("uid-2"), container_name: text("db"), ..none() },
                "",
                "not observed: 1 pod_id, 1 container_name: none names container 000000000001 \"web-1\" \
                 of pod uid-1 in container 000000000002",
            ),
        ] {
            let selection = Selection { mode: Mode::Include, selectors };
            assert_eq!(explain(&selection, &process, None, &registry).reason, expected);
            if let Some(found) = matches(&selection.selectors, &process, None, &registry) {
                assert_eq!(super::name(&selection.selectors, found.rule), rule);
            }
            assert!(!explain(&selection, &alone, None, &registry).matched);
            let ours = explain(&selection, &process, Some(7), &registry).reason;
            assert!(ours.ends_with("container selectors never match gopherd and its children"), "{ours}");
        }
    }

    #[test]
    fn the_daemon_is_told_why_it_is_never_matched_by_name() {
        let explanation = explain(
            &comms(Mode::Include, &["."]),
            &facts(7, 1, "gopherd", ""),
            Some(7),
            &Registry::default(),
        );
        assert_eq!(explanation.reason, "not observed: proc_name never matches gopherd and its children");
    }

    #[test]
    fn a_reason_stays_short_whatever_the_rules_and_the_process_are() {
        let long = "x".repeat(1000);
        let selection = names(Mode::Include, vec![name(&long, &long, None); 1000]);
        let explanation =
            explain(&selection, &facts(7, 1, "a", &"\u{1}".repeat(4096)), None, &Registry::default());
        assert!(explanation.reason.ends_with("992 more proc_name entries do not match"));
        assert!(explanation.reason.len() < 20_000, "{}", explanation.reason.len());
    }

    #[test]
    fn a_hostile_name_cannot_pass_for_a_reason() {
        let hostile = facts(7, 1, "x\" does not match /y/\n", "");
        let selection = comms(Mode::Include, &["x"]);
        assert_eq!(
            explain(&selection, &hostile, None, &Registry::default()).reason,
            r#"observed: proc_name[0]: comm "x\" does not match /y/\n" matches /x/"#
        );
    }
}
