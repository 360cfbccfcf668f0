//! The compatible door: a document is merged over what is configured, and what is not understood is named in
//! the warnings. Its rules are section 2 of the control contract; the parts implement them.

use super::json::Node;
use super::parts::{self, Reader};
use super::{FeatureConfig, Problem, Wanted};

const PARTS: &[&str] = &["cmd", "snoopers", "blacklist", "params", "state"];

/// The configuration after `body`, and the state that it asks for. `None` while nothing was ever configured
/// and the body has nothing to configure.
pub(super) fn merge(
    r: &mut Reader<'_>,
    body: &Node,
) -> Result<(Option<FeatureConfig>, Option<Wanted>), Problem> {
    let mut config = r.cx.current.cloned().unwrap_or_default();
    let asked = parts::read(r, body, &mut config)?;
    let touched = r.cx.current.is_some() || PARTS.iter().any(|part| body.get(part).is_some());
    Ok((touched.then_some(config), asked))
}
