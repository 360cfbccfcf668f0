//! The model: what a client may expect of the doors, by the contract, and of the probes, by what `testing` says of them.

use super::commands::{Body, Command, FAILS, Given, Scope, Tag};
use crate::manager::StateName;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Whether a feature shall run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Wish {
    #[default]
    Unknown,
    Running,
    Stopped,
}

/// A feature's configuration; numbers that are the default are not told apart from none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Config {
    sub_probes: Vec<&'static str>,
    period: Option<i64>,
    drops: Option<i64>,
    excludes: bool,
    comm: Option<&'static str>,
    pub(super) wish: Wish,
}

impl Config {
    fn active(&self) -> &[&'static str] {
        if self.sub_probes.is_empty() { &["first"] } else { &self.sub_probes }
    }

    fn can_start(&self) -> bool {
        self.drops != Some(FAILS) && self.active() != ["broken"]
    }

    /// The `config` of the native document.
    pub(super) fn document(&self) -> Value {
        let names: Vec<Value> = self.comm.iter().map(|comm| json!({"comm": comm, "cmdline": ""})).collect();
        let selectors = json!({
            "proc_id": [], "proc_name": names, "pod_id": [], "container_id": [], "container_name": [],
        });
        let params = [("report_period", self.period), ("drops_thr", self.drops)];
        let params: Map<String, Value> =
            params.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect();
        let state = if self.wish == Wish::Running { "running" } else { "stopped" };
        let mut document =
            json!({"cmd": {"probe": self.sub_probes}, "params": params, "budget": {}, "state": state});
        document[if self.excludes { "blacklist" } else { "snoopers" }] = selectors;
        document
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Stopped,
    Running,
    Failed,
}

/// A feature.
#[derive(Clone, Debug, Default)]
pub(super) struct Feature {
    built: bool,
    pub(super) config: Option<Config>,
    pub(super) generation: u64,
    phase: Phase,
}

impl Feature {
    /// The state that it comes to.
    pub(super) fn state(&self) -> StateName {
        let broken = self.config.as_ref().is_some_and(|config| config.active().contains(&"broken"));
        match self.phase {
            _ if !self.built => StateName::Unavailable,
            Phase::Stopped => StateName::Stopped,
            Phase::Failed => StateName::Failed,
            Phase::Running if broken => StateName::Degraded,
            Phase::Running => StateName::Running,
        }
    }

    /// Where it comes to with its configuration, which was `before`; `None` if somebody waits for a start that fails.
    fn moves(&self, before: Option<&Config>) -> Option<Phase> {
        let Some(config) = self.config.as_ref().filter(|config| self.built && config.wish == Wish::Running)
        else {
            return Some(Phase::Stopped);
        };
        match self.phase {
            Phase::Running if before == Some(config) => Some(Phase::Running),
            // Nobody waits for a probe that is told other parameters.
            Phase::Running if before.is_some_and(|before| before.active() == config.active()) => {
                Some(if config.can_start() { Phase::Running } else { Phase::Failed })
            }
            _ => config.can_start().then_some(Phase::Running),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Refused {
    Invalid,
    NotBuilt,
    Start,
}

impl Refused {
    fn natively(self) -> u16 {
        if self == Self::Invalid { 400 } else { 422 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Compatible,
    Replace,
    Patch,
}

/// The configuration after `body`.
fn planned(feature: &Feature, body: &Body, how: How) -> Result<Option<Config>, Refused> {
    let current = feature.config.as_ref();
    let mut config = match how {
        How::Replace => Config::default(),
        How::Compatible | How::Patch => current.cloned().unwrap_or_default(),
    };
    if how != How::Compatible && config.wish == Wish::Unknown {
        config.wish = Wish::Stopped;
    }
    let null = body.sub_probes == Given::Null
        || body.state == Given::Null
        || [body.period, body.drops].contains(&Given::Null);
    let wrong = body.sub_probes.value().is_some_and(|names| names.contains(&"nope"))
        || body.period == Given::Is(1)
        || body.drops == Given::Is(-1)
        || matches!(body.scope, Scope::BadExpression | Scope::Both);
    if wrong || (null && how != How::Patch) || (body.unknown_key && how != How::Compatible) {
        return Err(Refused::Invalid);
    }
    match body.sub_probes {
        Given::Absent => {}
        Given::Null => config.sub_probes.clear(),
        // In the descriptor's order.
        Given::Is(names) => {
            config.sub_probes = ["first", "broken"].into_iter().filter(|name| names.contains(name)).collect();
        }
    }
    let number = |slot: &mut Option<i64>, given: Given<i64>, default: i64| match given {
        Given::Absent => {}
        Given::Null => *slot = None,
        Given::Is(value) => *slot = Some(value).filter(|value| *value != default),
    };
    number(&mut config.period, body.period, 60);
    number(&mut config.drops, body.drops, 0);
    match body.scope {
        Scope::Snoopers(None) if how == How::Patch && !config.excludes => {}
        Scope::Blacklist(None) if how == How::Patch && config.excludes => {}
        Scope::Snoopers(comm) => (config.excludes, config.comm) = (false, comm),
        Scope::Blacklist(comm) => (config.excludes, config.comm) = (true, comm),
        Scope::Absent | Scope::BadExpression | Scope::Both => {}
    }
    config.wish = match (body.state, how) {
        (Given::Absent, _) => config.wish,
        (Given::Null, _) => Wish::Stopped,
        (Given::Is("running"), _) | (Given::Is("RUNNING"), How::Compatible) => Wish::Running,
        (Given::Is("stopped"), _) => Wish::Stopped,
        (Given::Is("unknown"), How::Compatible) if current.is_some() && config.wish == Wish::Unknown => {
            Wish::Unknown
        }
        (Given::Is("unknown"), How::Compatible) => Wish::Stopped,
        (Given::Is(_), _) => return Err(Refused::Invalid),
    };
    if !feature.built && body.state != Given::Absent && config.wish == Wish::Running {
        return Err(Refused::NotBuilt);
    }
    let says = body.sub_probes != Given::Absent
        || body.period != Given::Absent
        || body.drops != Given::Absent
        || body.scope != Scope::Absent
        || body.state != Given::Absent;
    Ok((how != How::Compatible || says || current.is_some()).then_some(config))
}

/// The daemon.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) features: BTreeMap<&'static str, Feature>,
    /// Accepted requests that changed something.
    pub(super) changes: u64,
}

impl Model {
    pub(super) fn new() -> Self {
        let feature = |name, built| (name, Feature { built, ..Feature::default() });
        let features = [feature("tcp", true), feature("io", true), feature("planned", false)];
        Self { features: features.into(), changes: 0 }
    }

    /// Takes `command` and says with which status.
    pub(super) fn take(&mut self, command: &Command) -> u16 {
        match command {
            Command::Compatible { feature, body, dry_run } => match self.features.get(feature) {
                None => 404,
                Some(now) => match planned(now, body, How::Compatible) {
                    Ok(config) if *dry_run => {
                        if self.rehearses([(*feature, config)]) {
                            200
                        } else {
                            400
                        }
                    }
                    planned => {
                        planned.and_then(|config| self.change([(*feature, config)])).map_or(400, |()| 200)
                    }
                },
            },
            Command::Put { feature, body, tag } => self.one(feature, Some((body, How::Replace)), *tag),
            Command::Patch { feature, body, tag } => self.one(feature, Some((body, How::Patch)), *tag),
            Command::Delete { feature, tag } => self.one(feature, None, *tag),
            Command::Apply { bodies, dry_run } => self.apply(bodies, *dry_run),
            Command::Cut { feature } => {
                if self.features.contains_key(feature) {
                    400
                } else {
                    404
                }
            }
            Command::Save => 200,
        }
    }

    /// A change of one feature at the native door; without a body it is forgotten.
    fn one(&mut self, feature: &'static str, body: Option<(&Body, How)>, tag: Tag) -> u16 {
        let Some(now) = self.features.get(feature) else { return 404 };
        match tag {
            Tag::Malformed => return 400,
            Tag::Later | Tag::Weak => return 412,
            Tag::None | Tag::Now | Tag::Any => {}
        }
        let config = body.map_or(Ok(None), |(body, how)| planned(now, body, how));
        config.and_then(|config| self.change([(feature, config)])).map_or_else(Refused::natively, |()| 200)
    }

    fn apply(&mut self, bodies: &[(&'static str, Body)], dry_run: bool) -> u16 {
        if bodies.iter().any(|(name, _)| !self.features.contains_key(name)) {
            return 400;
        }
        let configs: Result<Vec<_>, Refused> = bodies
            .iter()
            .map(|(name, body)| Ok((*name, planned(&self.features[name], body, How::Replace)?)))
            .collect();
        match configs {
            Ok(configs) if dry_run => {
                if self.rehearses(configs) {
                    200
                } else {
                    Refused::Start.natively()
                }
            }
            configs => {
                configs.and_then(|configs| self.change(configs)).map_or_else(Refused::natively, |()| 200)
            }
        }
    }

    /// Whether everything that does not run and would be started can start.
    fn rehearses(&self, configs: impl IntoIterator<Item = (&'static str, Option<Config>)>) -> bool {
        configs.into_iter().all(|(name, config)| {
            let now = &self.features[name];
            let starts =
                config.filter(|c| now.built && now.phase != Phase::Running && c.wish == Wish::Running);
            starts.is_none_or(|config| config.can_start())
        })
    }

    /// All of it, or nothing.
    fn change(
        &mut self,
        configs: impl IntoIterator<Item = (&'static str, Option<Config>)>,
    ) -> Result<(), Refused> {
        let (before, mut any) = (self.features.clone(), false);
        for (name, config) in configs {
            let feature = self.features.entry(name).or_default();
            let old = std::mem::replace(&mut feature.config, config);
            let differs = old != feature.config;
            feature.generation += u64::from(differs);
            any |= differs;
            match feature.moves(old.as_ref()) {
                Some(phase) => feature.phase = phase,
                None => {
                    self.features = before;
                    return Err(Refused::Start);
                }
            }
        }
        self.changes += u64::from(any);
        Ok(())
    }
}
