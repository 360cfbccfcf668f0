//! Which families there are and which columns make them up: several tables may share an entity, and a
//! family stands in one place of the text. Worked out when a table is first seen, never during a scrape.

use probe_core::{Kind, Table};
use std::collections::HashSet;

/// Field names in the per-period view are cut at this length, as the original cuts them.
const PERIOD_NAME: usize = 31;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FamilyKind {
    Counter,
    Gauge,
    Histogram,
}

/// Where a family's samples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Which of the group's tables.
    pub(crate) table: usize,
    pub(crate) column: usize,
    /// The largest value of a histogram column instead of its value.
    pub(crate) max: bool,
}

/// Samples under one HELP and TYPE.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: String,
    /// Of a histogram's samples.
    pub(crate) bucket: String,
    pub(crate) sum: String,
    pub(crate) count: String,
    pub(crate) help: String,
    pub(crate) kind: FamilyKind,
    /// OpenMetrics takes it for a counter: its name ends in `_total`, and without that it is no other
    /// family's name.
    pub(crate) open_counter: bool,
    pub(crate) members: Vec<Member>,
}

/// The tables of one entity, with the families that they make up.
#[derive(Debug, Default)]
pub(crate) struct Group {
    entity: &'static str,
    /// Numbers of the tables, ascending.
    pub(crate) tables: Vec<usize>,
    pub(crate) families: Vec<Family>,
}

/// Sample names of a column in the per-period view; the maximum's only where it is shown.
#[derive(Debug)]
pub(crate) struct PeriodNames {
    pub(crate) value: String,
    pub(crate) sum: String,
    pub(crate) max: Option<String>,
}

/// The families of `tables`, by entity. The second list tells what cannot be shown because its name is
/// taken: the first table wins. A test over all tables refuses any.
pub(crate) fn groups(prefix: &str, tables: &[&'static Table]) -> (Vec<Group>, Vec<String>) {
    let mut groups: Vec<Group> = Vec::new();
    let (mut taken, mut clashes) = (HashSet::new(), Vec::new());
    for (number, table) in tables.iter().enumerate() {
        let group = match groups.iter().position(|group| group.entity == table.entity) {
            Some(at) => &mut groups[at],
            None => {
                groups.push(Group { entity: table.entity, ..Group::default() });
                let last = groups.len() - 1;
                &mut groups[last]
            }
        };
        let place = group.tables.len();
        group.tables.push(number);
        for (column, field) in table.columns.iter().enumerate() {
            let kind = match field.kind {
                Kind::Counter => FamilyKind::Counter,
                Kind::Gauge => FamilyKind::Gauge,
                Kind::Histogram(_) => FamilyKind::Histogram,
            };
            let name = format!("{prefix}_{}_{}", table.entity, field.name);
            let member = Member { table: place, column, max: false };
            add(group, &mut taken, &mut clashes, family(name, field.help.to_owned(), kind), member);
        }
    }
    add_maxima(&mut groups, tables, &mut taken, &mut clashes);
    let names: HashSet<_> = groups.iter().flat_map(|g| &g.families).map(|f| f.name.clone()).collect();
    for family in groups.iter_mut().flat_map(|group| &mut group.families) {
        let stem = family.name.strip_suffix("_total").filter(|stem| !names.contains(*stem));
        family.open_counter = family.kind == FamilyKind::Counter && stem.is_some();
    }
    (groups, clashes)
}

fn family(name: String, help: String, kind: FamilyKind) -> Family {
    let derived = |suffix: &str| format!("{name}{suffix}");
    let (bucket, sum, count) = (derived("_bucket"), derived("_sum"), derived("_count"));
    Family { name, bucket, sum, count, help, kind, open_counter: false, members: Vec::new() }
}

/// Adds a member to the family of its name, or the family if there is none.
fn add(
    group: &mut Group,
    taken: &mut HashSet<String>,
    clashes: &mut Vec<String>,
    mut family: Family,
    member: Member,
) {
    if let Some(known) = group.families.iter_mut().find(|known| known.name == family.name) {
        let twice = known.members.iter().any(|other| other.table == member.table);
        match known.kind == family.kind && !twice {
            true => known.members.push(member),
            false => clashes.push(family.name),
        }
        return;
    }
    let mut names = vec![family.name.clone()];
    if family.kind == FamilyKind::Histogram {
        names.extend([family.bucket.clone(), family.sum.clone(), family.count.clone()]);
    }
    if names.iter().any(|name| taken.contains(name)) {
        return clashes.push(family.name);
    }
    taken.extend(names);
    family.members.push(member);
    group.families.push(family);
}

/// The maxima of histograms, as gauges of their own. A column of that name shows it already.
fn add_maxima(
    groups: &mut [Group],
    tables: &[&'static Table],
    taken: &mut HashSet<String>,
    clashes: &mut Vec<String>,
) {
    for group in groups {
        let found: Vec<_> = group
            .families
            .iter()
            .filter(|family| family.kind == FamilyKind::Histogram)
            .flat_map(|family| family.members.iter().map(|member| (family.name.clone(), *member)))
            .collect();
        for (name, member) in found {
            let Some(table) = group.tables.get(member.table).and_then(|at| tables.get(*at)) else { continue };
            let Some(column) = table.columns.get(member.column) else { continue };
            if shows_max(table, column.name) {
                let help = format!("Largest value of the last completed period. {}", column.help);
                let max = family(format!("{name}_max"), help, FamilyKind::Gauge);
                add(group, taken, clashes, max, Member { max: true, ..member });
            }
        }
    }
}

/// Whether the maximum of histogram `field` is a name of its own in `table`.
fn shows_max(table: &Table, field: &str) -> bool {
    !table.columns.iter().any(|column| column.name.strip_suffix("_max") == Some(field))
}

/// The names of `table` in the per-period view, one a column.
pub(crate) fn period_names(prefix: &str, table: &'static Table) -> Box<[PeriodNames]> {
    let names = table.columns.iter().map(|column| {
        let value = format!("{prefix}_{}_{}", table.entity, period_field(column.name));
        let max = shows_max(table, column.name).then(|| format!("{value}_max"));
        PeriodNames { sum: format!("{value}_sum"), max, value }
    });
    names.collect()
}

/// A field name as the per-period outputs write it.
pub(crate) fn period_field(name: &str) -> &str {
    // Field names are ASCII; one that is not is left whole.
    name.get(..PERIOD_NAME.min(name.len())).unwrap_or(name)
}

/// The metric names of `tables` that more than one thing would show under, in either view. For the test over
/// all tables: a name in this list would be missing from the text.
pub fn collisions(prefix: &str, tables: &[&'static Table]) -> Vec<String> {
    let (_, mut clashes) = groups(prefix, tables);
    for table in tables {
        let mut seen = HashSet::new();
        for (names, column) in period_names(prefix, table).into_iter().zip(table.columns) {
            let derived = matches!(column.kind, Kind::Histogram(_)).then(|| [Some(names.sum), names.max]);
            let all = derived.into_iter().flatten().flatten().chain([names.value]);
            clashes.extend(all.filter(|name| !seen.insert(name.clone())));
        }
    }
    clashes
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::{Column, Unit};

    const fn column(name: &'static str, kind: Kind) -> Column {
        Column { name, kind, unit: Unit::Count, help: "Help." }
    }

    const fn table(name: &'static str, entity: &'static str, columns: &'static [Column]) -> Table {
        Table { name, entity, sub_probe: "", keys: &[], labels: &[], columns }
    }

    const H: Kind = Kind::Histogram(&[1]);
    static A: Table = table(
        "a",
        "e",
        &[column("x_total", Kind::Counter), column("rtt", H), column("rtt_max", Kind::Gauge)],
    );
    static B: Table = table("b", "e", &[column("rtt", H), column("y", Kind::Gauge)]);

    fn names(groups: &[Group]) -> Vec<(&str, usize, bool)> {
        let families = groups.iter().flat_map(|g| &g.families);
        families.map(|f| (f.name.as_str(), f.members.len(), f.open_counter)).collect()
    }

    #[test]
    fn tables_of_an_entity_share_families_and_a_maximum_is_shown_once() {
        let (groups, clashes) = groups("p", &[&A, &B]);
        assert_eq!(clashes, [""; 0]);
        // `rtt_max` is A's own column, and B's derived one.
        let expected =
            [("p_e_x_total", 1, true), ("p_e_rtt", 2, false), ("p_e_rtt_max", 2, false), ("p_e_y", 1, false)];
        assert_eq!(names(&groups), expected);
        assert!(period_names("p", &A)[1].max.is_none());
    }

    #[test]
    fn a_name_that_means_two_things_is_refused() {
        static KIND: Table = table("k", "e", &[column("rtt", Kind::Gauge)]);
        static DERIVED: Table = table("d", "e", &[column("rtt_sum", Kind::Gauge)]);
        static ENTITY: Table = table("n", "e_x", &[column("total", Kind::Counter)]);
        static CUT: Table = table(
            "c",
            "c",
            &[
                column("network_receive_packets_dropped_total", Kind::Counter),
                column("network_receive_packets_dropped_again", Kind::Counter),
            ],
        );
        for (other, name) in [
            (&KIND, "p_e_rtt"),
            (&DERIVED, "p_e_rtt_sum"),
            (&ENTITY, "p_e_x_total"),
            (&CUT, "p_c_network_receive_packets_dropped"),
        ] {
            assert_eq!(collisions("p", &[&A, other]), [name]);
        }
    }

    #[test]
    fn a_counter_whose_stem_is_a_family_is_no_openmetrics_counter() {
        static STEM: Table = table("s", "e", &[column("x", Kind::Gauge)]);
        let (groups, clashes) = groups("p", &[&A, &STEM]);
        assert!(clashes.is_empty());
        assert!(groups.iter().flat_map(|g| &g.families).all(|family| !family.open_counter));
    }

    #[test]
    fn the_two_long_names_of_the_catalogue_are_cut_in_the_per_period_view_alone() {
        assert_eq!(period_field("network_receive_packets_dropped_total"), "network_receive_packets_dropped");
        assert_eq!(period_field("rx_bytes"), "rx_bytes");
    }
}
