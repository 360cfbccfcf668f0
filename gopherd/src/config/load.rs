//! Defaults, then the file, then the environment, then the flags: one pure function to one checked result.
//!
//! Owns the order, the walk over a file's tree with its known, historical and unknown names, and the
//! collection of everything that is wrong at once. Leaves single values to `value`, rules between keys to
//! `rules`, and finding and reading files to `find`.

use super::fault::{Fault, Findings, Origin, of_file, utf8};
use super::keys::{GONE, SECTIONS};
use super::spec::{Key, Section};
use super::tree::{Entry, Item, Node, nearest, shown};
use super::value::{self, Complaint, meant, unquoted};
use super::{Config, libconf, rules, toml_tree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path; one that ends in `.conf` is of gala-gopher's syntax.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Everything that a configuration is made of.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<SourceFile>,
    /// Environment variables that start with `GOPHER_`; others do not matter.
    pub env: BTreeMap<String, String>,
    /// Flags by the name in the key table (`--run-dir`) and their values.
    pub flags: Vec<(&'static str, String)>,
    /// What was already found wrong or noteworthy while the sources were gathered.
    pub faults: Vec<Fault>,
    /// Likewise, but no reason not to start.
    pub warnings: Vec<Fault>,
}

/// The syntax of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Ours: strict.
    Toml,
    /// gala-gopher's: what it does not know is a warning, and some defaults are gala-gopher's.
    Conf,
}

impl Format {
    /// By the file's name.
    pub fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|ext| ext == "conf") { Self::Conf } else { Self::Toml }
    }
}

/// Where the probes to start with come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitSource {
    /// A file, which need not exist.
    File(PathBuf),
    /// The content of `GOPHER_PROBES_INIT`, and the file that it stands in for.
    Env(String, PathBuf),
}

/// The environment variable that stands in for probes.init.
pub(super) const PROBES_INIT_ENV: &str = "GOPHER_PROBES_INIT";
/// Where the configuration is when no file was found and probes.init is looked for.
const NO_FILE_DIR: &str = "/etc/gopherd";

/// A configuration that the daemon can start with.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read, and its syntax.
    pub file: Option<(PathBuf, Format)>,
    /// Where the probes to start with come from.
    pub init: InitSource,
    /// To be logged.
    pub warnings: Vec<Fault>,
    /// To be logged as errors and shown by `readyz`.
    pub problems: Vec<Fault>,
}

/// A configuration that the daemon must not start with.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
    /// What else was noticed.
    pub warnings: Vec<Fault>,
    /// Where the probes to start with would come from, so that they can be checked too.
    pub init: InitSource,
}

/// What is being built.
#[derive(Debug)]
pub(super) struct Draft {
    pub config: Config,
    pub format: Format,
    pub found: Findings,
    /// Where each key was set last, by `section.key`.
    pub set_at: BTreeMap<String, Origin>,
    /// Sections that the file has.
    pub sections: Vec<&'static str>,
}

/// Every environment variable that means something.
pub(super) fn variables() -> impl Iterator<Item = &'static str> {
    let keys = SECTIONS.iter().flat_map(|section| section.keys);
    keys.flat_map(|key| key.attrs.env.iter().copied()).chain([PROBES_INIT_ENV])
}

/// Reads everything and checks it.
pub fn load(sources: &Sources) -> Result<Loaded, Rejected> {
    let format = sources.file.as_ref().map_or(Format::Toml, |file| Format::of(&file.path));
    let found = Findings {
        faults: sources.faults.clone(),
        warnings: sources.warnings.clone(),
        ..Findings::default()
    };
    let mut draft =
        Draft { config: Config::default(), format, found, set_at: BTreeMap::new(), sections: Vec::new() };
    if format == Format::Conf {
        rules::conf_defaults(&mut draft.config);
    }
    if let Some(file) = &sources.file {
        draft.file(file);
    }
    draft.environment(&sources.env);
    draft.flags(&sources.flags);
    rules::settle(&mut draft);
    #[cfg(not(feature = "kafka"))]
    super::unbuilt::check(&mut draft);

    let init = init_source(sources, &draft.config);
    let Findings { faults, warnings, problems } = draft.found.bounded();
    if faults.is_empty() {
        let file = sources.file.as_ref().map(|file| (file.path.clone(), format));
        Ok(Loaded { config: draft.config, file, init, warnings, problems })
    } else {
        Err(Rejected { faults, warnings, init })
    }
}

fn init_source(sources: &Sources, config: &Config) -> InitSource {
    let beside = sources.file.as_ref().and_then(|file| file.path.parent()).unwrap_or(Path::new(NO_FILE_DIR));
    let path = config.paths.probes_init.clone().unwrap_or_else(|| beside.join("probes.init"));
    match sources.env.get(PROBES_INIT_ENV) {
        Some(text) if !text.is_empty() => InitSource::Env(text.clone(), path),
        _ => InitSource::File(path),
    }
}

impl Draft {
    /// A fault at a key that was set somewhere, found by comparing it with others.
    pub(super) fn fault_at(
        &self,
        key: &str,
        problem: impl Into<String>,
        way_out: impl Into<String>,
    ) -> Fault {
        let origin = self.set_at.get(key).cloned().unwrap_or(Origin::Default);
        Fault { origin, key: key.to_owned(), problem: problem.into(), way_out: way_out.into() }
    }

    fn file(&mut self, file: &SourceFile) {
        let text = match utf8(&file.path, &file.bytes) {
            Ok(text) => text,
            Err(fault) => return self.found.faults.push(fault),
        };
        let tree = match self.format {
            Format::Toml => toml_tree::parse(text),
            Format::Conf => libconf::parse(text).map_err(|error| vec![error]),
        };
        match tree {
            Ok(entries) => self.root(&file.path, &entries),
            Err(errors) => self.found.faults.extend(errors.into_iter().map(|error| {
                of_file(Origin::File(file.path.clone(), Some(error.line)), error.problem, "correct this line")
            })),
        }
    }

    fn root(&mut self, path: &Path, entries: &[Entry]) {
        for entry in entries {
            let root = &SECTIONS[0];
            if let Some(key) = root.keys.iter().find(|key| key.name == entry.key) {
                self.assign(root, key, &entry.item, Origin::File(path.to_owned(), Some(entry.line)));
                continue;
            }
            let named = |s: &&Section| s.name == entry.key || s.old == Some(&entry.key);
            match SECTIONS.iter().skip(1).find(named) {
                Some(section) => self.section(path, section, entry),
                None => self.unknown(path, "", entry, SECTIONS.iter().skip(1).map(|section| section.name)),
            }
        }
    }

    fn section(&mut self, path: &Path, section: &'static Section, entry: &Entry) {
        let origin = Origin::File(path.to_owned(), Some(entry.line));
        if section.old == Some(&entry.key) {
            self.renamed(origin.clone(), entry.key.clone(), &format!("[{}]", section.name));
        }
        let Node::Table(entries) = &entry.item.node else {
            let problem = format!("{} stands here, but it is a section", entry.item.node.what());
            let way_out = format!("write [{}] and its keys below it", section.name);
            return self.found.faults.push(Fault { origin, key: section.name.to_owned(), problem, way_out });
        };
        self.sections.push(section.name);
        for entry in entries {
            let inner = section.path(&entry.key);
            if let Some(inner) = SECTIONS.iter().find(|s| s.name == inner) {
                self.section(path, inner, entry);
                continue;
            }
            let origin = Origin::File(path.to_owned(), Some(entry.line));
            if let Some(key) = section.keys.iter().find(|key| key.name == entry.key) {
                self.assign(section, key, &entry.item, origin);
            } else if let Some(key) =
                section.keys.iter().find(|key| key.attrs.old.contains(&entry.key.as_str()))
            {
                self.renamed(origin.clone(), section.path(&entry.key), &section.path(key.name));
                // The name of today says what is meant if both stand in the file.
                if !entries.iter().any(|other| other.key == key.name) {
                    self.assign(section, key, &entry.item, origin);
                }
            } else {
                self.unknown(path, section.name, entry, section.keys.iter().map(|key| key.name));
            }
        }
    }

    /// A name of older versions: a warning in their files, a fault in ours.
    fn renamed(&mut self, origin: Origin, old: String, new: &str) {
        let way_out = format!("write {new}");
        let fault = Fault { origin, key: old, problem: "this name is historical".into(), way_out };
        self.lenient().push(fault);
    }

    /// A name that means nothing: a warning in gala-gopher's files, a fault in ours.
    fn unknown<'k>(
        &mut self,
        path: &Path,
        section: &str,
        entry: &Entry,
        known: impl Iterator<Item = &'k str> + Clone,
    ) {
        let name = unquoted(&entry.key);
        let key = if section.is_empty() { name } else { format!("{section}.{name}") };
        let is_gone = |(s, k, _): &&(&str, &str, &str)| {
            if section.is_empty() {
                *s == entry.key && k.is_empty()
            } else {
                *s == section && *k == entry.key
            }
        };
        let (problem, way_out) = match GONE.iter().find(is_gone) {
            Some((.., why)) => (format!("has no meaning any more: {why}"), "remove it".to_owned()),
            None if section.is_empty() => ("unknown section".to_owned(), meant(&entry.key, known)),
            None => ("unknown key".to_owned(), meant(&entry.key, known)),
        };
        let origin = Origin::File(path.to_owned(), Some(entry.line));
        self.lenient().push(Fault { origin, key, problem, way_out });
    }

    /// Where findings go that gala-gopher's files may have and ours may not.
    pub(super) fn lenient(&mut self) -> &mut Vec<Fault> {
        match self.format {
            Format::Toml => &mut self.found.faults,
            Format::Conf => &mut self.found.warnings,
        }
    }

    fn assign(&mut self, section: &Section, key: &Key<Config>, item: &Item, origin: Origin) {
        let path = section.path(key.name);
        let mut complaints = Vec::new();
        value::set(key, &mut self.config, item, &path, &mut complaints);
        let at_line = |line: u32| match &origin {
            Origin::File(path, _) if line > 0 => Origin::File(path.clone(), Some(line)),
            other => other.clone(),
        };
        self.found.faults.extend(complaints.into_iter().map(|Complaint { line, key, problem, way_out }| {
            Fault { origin: at_line(line), key, problem, way_out }
        }));
        self.set_at.insert(path, origin);
    }

    fn environment(&mut self, env: &BTreeMap<String, String>) {
        for section in SECTIONS {
            for key in section.keys {
                let set = |name: &'static str| env.get(name).filter(|v| !v.is_empty()).map(|v| (name, v));
                let mut given = key.attrs.env.iter().copied().filter_map(set);
                let Some((name, text)) = given.next() else { continue };
                if let Some((other, _)) = given.find(|(_, value)| *value != text) {
                    let problem = format!("is set too, to something else; {name} is taken");
                    let origin = Origin::Env(other.to_owned());
                    let way_out = format!("unset {other}");
                    self.found.warnings.push(Fault { origin, key: section.path(key.name), problem, way_out });
                }
                self.variable(section, key, name, text);
            }
        }
        self.misspelt(env);
    }

    fn variable(&mut self, section: &Section, key: &Key<Config>, name: &str, text: &str) {
        let origin = Origin::Env(name.to_owned());
        let node = match (key.attrs.env_yes_only, text.to_ascii_lowercase().as_str()) {
            (false, _) => value::from_text(&key.kind, text),
            (true, "no") => return,
            (true, "yes") => Node::Text("on".into()),
            (true, _) => {
                let problem = format!("{} is unknown", shown(text));
                let way_out = "write yes or no, where no leaves it to the file".to_owned();
                return self.found.faults.push(Fault {
                    origin,
                    key: section.path(key.name),
                    problem,
                    way_out,
                });
            }
        };
        self.assign(section, key, &Item { line: 0, node }, origin);
    }

    /// Variables that are nearly one of ours do nothing, which nobody would notice.
    fn misspelt(&mut self, env: &BTreeMap<String, String>) {
        for name in env.keys().filter(|name| !variables().any(|known| known == *name)) {
            if let Some(near) = nearest(name, variables()) {
                let (problem, way_out) =
                    ("unknown variable, ignored".into(), format!("did you mean `{near}`?"));
                let origin = Origin::Env(unquoted(name));
                self.found.warnings.push(Fault { origin, key: String::new(), problem, way_out });
            }
        }
    }

    fn flags(&mut self, flags: &[(&'static str, String)]) {
        for (flag, text) in flags {
            for section in SECTIONS {
                if let Some(key) = section.keys.iter().find(|key| key.attrs.flag == Some(*flag)) {
                    let item = Item { line: 0, node: value::from_text(&key.kind, text) };
                    self.assign(section, key, &item, Origin::Flag(flag));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "bad_settings_tests.rs"]
mod bad_settings;
