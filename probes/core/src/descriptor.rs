//! What a probe is, as static data: REST, the READMEs and the metric reference are made of it, so a
//! probe that this host cannot run, or that is not built yet, can still be listed and explained.

use crate::{Need, ParamSpec, Params, Probe, Table, Trigger};
use std::path::PathBuf;

/// Which processes or containers a feature can be narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeUse {
    /// Observes the host as a whole; selectors have no effect.
    None,
    /// Honours selectors, resolved to processes.
    Processes,
    /// Honours selectors, resolved to containers.
    Containers,
    /// Honours selectors, resolved to processes for some tables and to containers for others.
    ProcessesAndContainers,
}

/// A part of a feature that can be switched on alone.
#[derive(Clone, Copy, Debug)]
pub struct SubProbe {
    /// Name in `cmd.probe`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Historical names that still select it, with a warning.
    pub aliases: &'static [&'static str],
    /// Runs when `cmd.probe` was never set.
    pub default: bool,
    /// Stays idle until a scope was asked for, because "every process" would be a costly surprise.
    pub needs_scope: bool,
    /// Stays idle until this parameter is set: it says what to look at.
    pub needs_param: Option<&'static ParamSpec>,
    /// Observes containers as such, not only their processes.
    pub containers: bool,
}

impl SubProbe {
    /// A part that runs unless others are named, over processes or the host.
    pub const fn new(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            aliases: &[],
            default: true,
            needs_scope: false,
            needs_param: None,
            containers: false,
        }
    }

    /// Whether the parameter that it needs was never set.
    pub fn lacks(&self, params: &Params) -> bool {
        let is_default = |spec: &ParamSpec| params.get(spec).is_none_or(|v| *v == spec.default_value());
        self.needs_param.is_some_and(is_default)
    }
}

/// The directories through which a probe sees the host.
#[derive(Clone, Debug)]
pub struct Env {
    /// `/proc`, or the host's as mounted into a container, or a test's tree.
    pub proc: PathBuf,
    /// `/sys`, likewise.
    pub sys: PathBuf,
    /// `/`, likewise: for `etc/os-release` and the like.
    pub root: PathBuf,
}

impl Default for Env {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), root: "/".into() }
    }
}

impl Env {
    /// The host as seen under `prefix` (`GOPHER_HOST_PATH`).
    pub fn under(prefix: &std::path::Path) -> Self {
        Self { proc: prefix.join("proc"), sys: prefix.join("sys"), root: prefix.to_path_buf() }
    }
}

/// Makes a probe that sees the host through `Env`.
pub type Build = fn(&Env) -> Box<dyn Probe>;

/// A feature: one URL, one folder, one thread when it runs.
#[derive(Debug)]
pub struct Descriptor {
    /// Name in URLs and in probes.init, lower case.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its parts; empty for a feature that is one piece.
    pub sub_probes: &'static [SubProbe],
    /// What it can be narrowed to.
    pub scope: ScopeUse,
    /// The parameters that it uses, those that every feature has included.
    pub params: &'static [&'static ParamSpec],
    /// The tables that it emits.
    pub tables: &'static [&'static Table],
    /// What in them is an event.
    pub triggers: &'static [Trigger],
    /// The capabilities that it needs to show everything; it runs with fewer as well as it can.
    pub needs: &'static [Need],
    /// Makes the probe; `None` for a feature that this version knows but has not built yet.
    pub build: Option<Build>,
}

impl Descriptor {
    /// The sub-probe that `name` or one of its historical names selects, case-insensitively.
    pub fn sub_probe(&self, name: &str) -> Option<&'static SubProbe> {
        self.sub_probes.iter().find(|sub| {
            sub.name.eq_ignore_ascii_case(name)
                || sub.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
        })
    }

    /// The parameter with this key, if the feature uses it.
    pub fn param(&self, key: &str) -> Option<&'static ParamSpec> {
        self.params.iter().copied().find(|spec| spec.key == key)
    }

    /// Whether one of the active `sub_probes` is to be told the containers in scope, which costs a look at
    /// every process. `unset` says that no selector was ever given.
    pub fn wants_containers(&self, sub_probes: &SubProbes, params: &Params, unset: bool) -> bool {
        if self.sub_probes.is_empty() {
            return matches!(self.scope, ScopeUse::Containers | ScopeUse::ProcessesAndContainers);
        }
        self.sub_probes.iter().any(|sub| {
            sub.containers && sub_probes.has(sub.name) && !(sub.needs_scope && unset) && !sub.lacks(params)
        })
    }

    /// The sub-probes that run when none were named.
    pub fn default_sub_probes(&self) -> SubProbes {
        self.sub_probes.iter().filter(|sub| sub.default).map(|sub| sub.name).collect()
    }
}

/// A set of sub-probes in the descriptor's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubProbes(Vec<&'static str>);

impl SubProbes {
    /// Whether `name` is in the set.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<&'static str> for SubProbes {
    fn from_iter<I: IntoIterator<Item = &'static str>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}
