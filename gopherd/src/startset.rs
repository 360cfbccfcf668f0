//! The set of probes to start with: probes.init applied at start and reload, and saved back.
//!
//! Owns which lines are applied when, and what is written. Leaves the file's format to `initfile` and the
//! meaning of a line to `feature`; a line is a change like any other.

use crate::access::audit::Actor;
use crate::feature::{Edit, saved_document};
use crate::http::{SaveError, Saver};
use crate::manager::{Change, Handle, Item, Origin};
use crate::{atomic, initfile, input_file};
use futures_util::future::join_all;
use gopher_api::Saved;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Changes that follow each other within this time are saved once.
const DEBOUNCE: Duration = Duration::from_secs(1);

/// The generation of each feature that lines were applied to, right after that: one that has another generation
/// now was configured by somebody since, and stays theirs at every further reload.
#[derive(Clone, Debug, Default)]
pub struct Applied(Arc<Mutex<HashMap<&'static str, u64>>>);

impl Applied {
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies the lines of `text`, which came from `source`, in their order, and returns what is wrong with it, one
/// sentence a line. Lines of features that somebody has configured since the last time are skipped and logged.
pub async fn apply(
    manager: &Handle,
    source: &str,
    text: &[u8],
    applied: &Applied,
    actor: &Actor,
) -> Vec<String> {
    let parsed = initfile::parse(text);
    let mut problems: Vec<(u32, String)> =
        parsed.faults.into_iter().map(|fault| (fault.line_no, fault.message)).collect();
    let mut changes = Vec::new();
    for line in parsed.lines {
        let Some(descriptor) = probes::find(&line.feature) else {
            problems.push((line.line_no, format!("there is no feature {:?}", line.feature)));
            continue;
        };
        let feature = descriptor.name;
        let before = applied.lock().get(feature).copied();
        let now = manager.views().get(feature).map_or(0, |view| view.generation);
        if now != before.unwrap_or(0) {
            tracing::info!(feature, line = line.line_no, "line skipped: the feature was configured since");
            continue;
        }
        match Edit::compat_text(line.json.as_bytes()) {
            Ok(edit) => {
                let item = Item { feature, edit, if_match: None };
                let actor = actor.clone();
                let change = Change { items: vec![item], dry_run: false, origin: Origin::Init, actor };
                changes.push((line.line_no, feature, manager.change(change)));
            }
            Err(problem) => problems.push((line.line_no, format!("{feature}: {problem}"))),
        }
    }
    // Sent in order and answered together: a slow start does not hold back the lines after it, and the
    // manager keeps the order of lines about one feature.
    let answers =
        changes.into_iter().map(|(line, feature, change)| async move { (line, feature, change.await) });
    for (line, feature, answer) in join_all(answers).await {
        match answer {
            Ok(changed) => {
                for part in changed {
                    part.warnings.iter().for_each(|warning| {
                        tracing::warn!(feature, line, warning, "line of the start set");
                    });
                    applied.lock().insert(part.feature, part.generation);
                }
            }
            Err(faults) => {
                problems.extend(faults.iter().map(|fault| (line, format!("{feature}: {}", fault.problem))));
            }
        }
    }
    problems.sort();
    problems.into_iter().map(|(line, message)| format!("{source}:{line}: {message}")).collect()
}

/// Where the set is saved to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A file.
    File(PathBuf),
    /// Nowhere: the set came from this environment variable.
    Environment(&'static str),
}

/// Saves the present set.
#[derive(Clone, Debug)]
pub struct StartSet {
    manager: Handle,
    target: Target,
    /// Two saves at once would each render over the same old file.
    writing: Arc<Mutex<()>>,
}

impl StartSet {
    /// Saves what `manager` has to `target`.
    pub fn new(manager: Handle, target: Target) -> Self {
        Self { manager, target, writing: Arc::default() }
    }

    /// Saves a second after each accepted change. Ends with the manager. `report` is told what is wrong with
    /// saving now, if anything.
    pub async fn save_on_change(self, report: impl Fn(Vec<String>)) {
        let mut changes = self.manager.changes();
        while changes.changed().await.is_ok() {
            tokio::time::sleep(DEBOUNCE).await;
            changes.mark_unchanged();
            let this = self.clone();
            let saved = tokio::task::spawn_blocking(move || this.save()).await;
            match saved {
                Ok(Ok(_)) => report(Vec::new()),
                Ok(Err(error)) => report(vec![format!("the set of probes was not saved: {error}")]),
                Err(error) => report(vec![format!("saving the set of probes panicked: {error}")]),
            }
        }
    }
}

impl Saver for StartSet {
    fn save(&self) -> Result<Saved, SaveError> {
        let path = match &self.target {
            Target::File(path) => path,
            Target::Environment(variable) => return Err(SaveError::FromEnvironment(variable)),
        };
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |what: &str, error: std::io::Error| {
            SaveError::Failed(format!("{} cannot be {what}: {error}", path.display()))
        };
        let old = read(path).map_err(|error| failed("read", error))?;
        if old.len() > initfile::MAX_SIZE {
            // It was not read whole, and writing back what was read would cut it off.
            let error = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
            return Err(failed("used", error));
        }
        let mut features = 0;
        let set: Vec<(String, Option<String>)> = self
            .manager
            .views()
            .all()
            .filter(|view| view.generation > 0 || view.config.is_some())
            .map(|view| {
                let json = view.config.as_ref().map(|config| saved_document(config).to_string());
                features += u64::from(json.is_some());
                (view.descriptor.name.to_owned(), json)
            })
            .collect();
        atomic::replace(path, &initfile::render(&old, &set)).map_err(|error| failed("written", error))?;
        Ok(Saved { file: path.display().to_string(), features })
    }
}

/// The text of probes.init, of one that is too large a byte more than may be used. A file that is not there is
/// an empty set.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    match input_file::read(path, initfile::MAX_SIZE as u64 + 1) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}
