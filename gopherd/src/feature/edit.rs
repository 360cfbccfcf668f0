//! stub until the real one lands
use super::{FeatureConfig, Problem};
use probe_core::{Descriptor, ProcKey};
#[derive(Clone, Debug)]
pub enum Edit {
    Forget,
    Set(Box<FeatureConfig>),
}
pub trait PidLookup {
    fn process(&self, pid: u32) -> Option<ProcKey>;
}
pub struct Context<'a> {
    pub descriptor: &'static Descriptor,
    pub current: Option<&'a FeatureConfig>,
    pub running: bool,
    pub pids: &'a dyn PidLookup,
    pub max_rules: usize,
    pub from_init: bool,
}
pub struct Plan {
    pub config: Option<FeatureConfig>,
    pub warnings: Vec<String>,
}
pub fn plan(edit: &Edit, cx: &Context<'_>) -> Result<Plan, Problem> {
    let _ = cx;
    Ok(match edit {
        Edit::Forget => Plan { config: None, warnings: vec![] },
        Edit::Set(c) => Plan { config: Some((**c).clone()), warnings: vec![] },
    })
}
