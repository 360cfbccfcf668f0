//! All tables that were ever seen, with the names that they show under. The place where the writers of both
//! views find the rows.

use super::{Group, PeriodNames, Shared, plan};
use probe_core::Table;

/// A table of a feature.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) feature: &'static str,
    pub(crate) names: Box<[PeriodNames]>,
    pub(crate) store: Shared,
}

/// The tables, and the families they make up.
#[derive(Debug)]
pub(crate) struct Catalogue {
    prefix: String,
    statics: Vec<&'static Table>,
    pub(crate) tables: Vec<Listed>,
    pub(crate) groups: Vec<Group>,
}

impl Catalogue {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix, statics: Vec::new(), tables: Vec::new(), groups: Vec::new() }
    }

    pub(crate) fn list(&mut self, feature: &'static str, table: &'static Table, store: Shared) {
        self.statics.push(table);
        self.tables.push(Listed { feature, names: plan::period_names(&self.prefix, table), store });
        let (groups, clashes) = plan::groups(&self.prefix, &self.statics);
        self.groups = groups;
        if !clashes.is_empty() {
            tracing::error!(table = table.name, ?clashes, "metric names that are taken are not shown");
        }
    }
}

/// Whether both are the same table. A constant may have more than one address, so it is not enough to
/// compare those.
pub(crate) fn same_table(a: &'static Table, b: &'static Table) -> bool {
    std::ptr::eq(a, b) || (a.name == b.name && a.entity == b.entity)
}
