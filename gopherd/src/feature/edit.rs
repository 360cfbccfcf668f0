//! One change to one feature, from either door, turned into the configuration after it: pure, all or nothing.
//! Owns what follows from the result as a whole (what a running probe cannot change, a feature that is not
//! built, a scope that became the whole host). The manager owns when it takes effect.

use super::body::json_text;
use super::document::document;
use super::json::{self, Dialect, Node, Parsed};
use super::parts::{Reader, Strictness, check_live};
use super::text::shown;
use super::{FeatureConfig, Mode, Path, Problem, ProblemKind, Wanted};
use super::{compat, native};
use probe_core::{Descriptor, ProcKey, ScopeUse};
use std::fmt;

/// The process table's answer to who has a pid now.
pub trait PidLookup {
    /// The process with this pid in the host's namespace, if there is one.
    fn process(&self, pid: u32) -> Option<ProcKey>;
}

/// A change that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// PUT of the compatible door, a line of probes.init, `gopher-ctl probe set`: merged over the current one.
    Compat(Parsed),
    /// PUT of the native door: the whole configuration.
    Replace(Node),
    /// PATCH of the native door.
    Patch(Node),
    /// DELETE of the native door.
    Forget,
}

impl Edit {
    /// A PUT of the compatible door: a whole body and its content type.
    pub fn compat(body: &[u8], content_type: Option<&str>) -> Result<Self, Problem> {
        Self::compat_text(&json_text(body, content_type)?)
    }

    /// The JSON text of the compatible door without anything around it, as in probes.init.
    pub fn compat_text(text: &[u8]) -> Result<Self, Problem> {
        json::parse(text, Dialect::Lenient).map(Self::Compat)
    }

    /// A PUT of the native door.
    pub fn replace(text: &[u8]) -> Result<Self, Problem> {
        json::parse(text, Dialect::Strict).map(|parsed| Self::Replace(parsed.root))
    }

    /// A PATCH of the native door.
    pub fn patch(text: &[u8]) -> Result<Self, Problem> {
        json::parse(text, Dialect::Strict).map(|parsed| Self::Patch(parsed.root))
    }

    /// A POST to `probes:apply`: each feature that it names, as written, with its whole configuration.
    pub fn apply(text: &[u8]) -> Result<Vec<(String, Self)>, Problem> {
        let top = Path::default();
        let Node::Object(members) = json::parse(text, Dialect::Strict)?.root else {
            return Err(Problem::invalid(top, "must be an object with the member probes"));
        };
        let mut probes = None;
        for (key, value) in members {
            match (key.as_str(), value) {
                ("probes", Node::Object(features)) => probes = Some(features),
                ("probes", _) => return Err(Problem::invalid(top.key("probes"), "must be an object")),
                _ => return Err(Problem::invalid(top.key(&shown(&key)), "unknown key")),
            }
        }
        let probes = probes.ok_or_else(|| Problem::invalid(top.key("probes"), "must be given"))?;
        Ok(probes.into_iter().map(|(feature, node)| (feature, Self::Replace(node))).collect())
    }
}

/// What is known about the feature and the host when the change is planned.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The feature.
    pub descriptor: &'static Descriptor,
    /// Its configuration now, if it was ever configured.
    pub current: Option<&'a FeatureConfig>,
    /// Whether its probe runs now.
    pub running: bool,
    /// Who has which pid.
    pub pids: &'a dyn PidLookup,
    /// Most selector entries (`limits.max_scope_rules`).
    pub max_rules: usize,
    /// The change comes from probes.init, where the wish to run what is not built yet is kept.
    pub from_init: bool,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("feature", &self.descriptor.name).finish_non_exhaustive()
    }
}

/// The outcome of a change that is accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The configuration afterwards; `None` for a feature that is forgotten or still was never configured.
    pub config: Option<FeatureConfig>,
    /// What was not done as written, one sentence each; at most 33.
    pub warnings: Vec<String>,
}

/// The configuration after `edit`.
///
/// # Errors
/// Why it is refused, with the place in the document; the configuration is what it was.
pub fn plan(edit: &Edit, cx: &Context<'_>) -> Result<Plan, Problem> {
    let strictness = if matches!(edit, Edit::Compat(_)) { Strictness::Lenient } else { Strictness::Strict };
    let mut r = Reader::new(strictness, cx);
    let (config, asked) = match edit {
        Edit::Compat(parsed) => {
            parsed.warnings.iter().for_each(|text| r.warnings.push(text.clone()));
            compat::merge(&mut r, &parsed.root)?
        }
        Edit::Replace(body) => native::replace(&mut r, body).map(|(config, asked)| (Some(config), asked))?,
        Edit::Patch(body) => native::patch(&mut r, body).map(|(config, asked)| (Some(config), asked))?,
        Edit::Forget => (None, None),
    };
    if let Some(config) = &config {
        check_result(&mut r, config, asked)?;
    }
    Ok(Plan { config, warnings: r.warnings.into_vec() })
}

fn check_result(r: &mut Reader<'_>, after: &FeatureConfig, asked: Option<Wanted>) -> Result<(), Problem> {
    let cx = r.cx;
    let fresh = FeatureConfig::default();
    let before = cx.current.unwrap_or(&fresh);
    if cx.running {
        check_live(&before.params, &after.params)?;
    }
    note_scope(r, before, after);
    // What GET prints can be PUT back in silence, so a standing condition is told with a visible change only.
    let same = document(cx.descriptor, cx.current) == document(cx.descriptor, Some(after));
    if cx.descriptor.build.is_none() {
        return check_unbuilt(r, asked, same);
    }
    let idle: Vec<&str> = idle_sub_probes(cx.descriptor, after);
    if !same && !idle.is_empty() {
        let names = idle.join(" and ");
        let what = format!("idle under an empty scope: {names}; \"blacklist\":{{}} asks for the whole host");
        r.note(&Path::default().key("snoopers"), what);
    }
    // Whoever named none did not ask for these.
    let named = cx.descriptor.sub_probes.iter().filter(|sub| after.sub_probes.has(sub.name));
    for sub in named.filter(|sub| !same && after.state == Wanted::Running && sub.lacks(&after.params)) {
        if let Some(spec) = sub.needs_param {
            r.note(
                &Path::default().key("params").key(spec.key),
                format!("{} is idle until it is set", sub.name),
            );
        }
    }
    Ok(())
}

fn check_unbuilt(r: &mut Reader<'_>, asked: Option<Wanted>, same: bool) -> Result<(), Problem> {
    const NOT_BUILT: &str = "not supported in the current version";
    if asked == Some(Wanted::Running) && !r.cx.from_init {
        let path = Path::default().key("state");
        return Err(Problem { kind: ProblemKind::NotBuilt, path, message: NOT_BUILT.to_owned() });
    }
    if !same || asked == Some(Wanted::Running) {
        let name = r.cx.descriptor.name;
        r.note(&Path::default(), format!("{name} is {NOT_BUILT}; its configuration is kept"));
    }
    Ok(())
}

fn note_scope(r: &mut Reader<'_>, before: &FeatureConfig, after: &FeatureConfig) {
    let descriptor = r.cx.descriptor;
    let path = Path::default().key(match after.selection.mode {
        Mode::Include => "snoopers",
        Mode::Exclude => "blacklist",
    });
    let (old, new) = (&before.selection.selectors, &after.selection.selectors);
    let changed = before.selection != after.selection;
    if descriptor.scope == ScopeUse::None {
        if changed && (!new.is_empty() || after.selection.mode == Mode::Exclude) {
            r.note(&path, format!("selectors have no effect on {}", descriptor.name));
        }
    } else if !old.is_empty() && new.is_empty() {
        r.note(&path, "the scope was narrowed before and is the whole host now");
    }
}

/// The sub-probes that were asked to run and wait for a scope.
fn idle_sub_probes(descriptor: &'static Descriptor, config: &FeatureConfig) -> Vec<&'static str> {
    if config.state != Wanted::Running || !config.selection.is_unset() {
        return Vec::new();
    }
    let active = config.active_sub_probes(descriptor);
    descriptor.sub_probes.iter().filter(|s| s.needs_scope && active.has(s.name)).map(|s| s.name).collect()
}
