//! The cumulative view as Prometheus text or OpenMetrics. A sample is its name, its row's text and a number:
//! two copies and no allocation.

use crate::expose::{Format, escape, number};
use crate::store::{Family, FamilyKind, Group, Member, Reading, Store, TableStore, read};
use probe_core::Kind;

impl Store {
    /// Appends the cumulative view. Changes nothing: whoever asks sees the same. OpenMetrics still needs
    /// its end, see [`crate::expose::finish`].
    pub fn write_cumulative(&self, format: Format, out: &mut Vec<u8>) {
        let catalogue = self.catalogue();
        for Group { tables, families, .. } in &catalogue.groups {
            // All tables of an entity at once, so that a row shows one state in all families. Always in the
            // same order, so that two scrapes and a waiting writer cannot block each other.
            let tables: Vec<_> =
                tables.iter().filter_map(|at| catalogue.tables.get(*at)).map(|t| read(&t.store)).collect();
            if tables.iter().any(|table| table.rows().len() > 0) {
                families.iter().for_each(|family| write_family(family, &tables, format, out));
            }
        }
    }
}

fn write_family<T: std::ops::Deref<Target = TableStore>>(
    family: &Family,
    tables: &[T],
    format: Format,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    write_head(family, format, out);
    let body = out.len();
    for member in &family.members {
        if let Some(table) = tables.get(member.table) {
            write_member(family, *member, table, out);
        }
    }
    // A family without samples is not announced.
    if out.len() == body {
        out.truncate(start);
    }
}

fn write_head(family: &Family, format: Format, out: &mut Vec<u8>) {
    let (name, kind) = match (family.kind, format) {
        (FamilyKind::Gauge, _) => (family.name.as_str(), "gauge"),
        (FamilyKind::Histogram, _) => (family.name.as_str(), "histogram"),
        (FamilyKind::Counter, Format::Text) => (family.name.as_str(), "counter"),
        (FamilyKind::Counter, Format::OpenMetrics) if family.open_counter => {
            (family.name.strip_suffix("_total").unwrap_or(&family.name), "counter")
        }
        (FamilyKind::Counter, Format::OpenMetrics) => (family.name.as_str(), "unknown"),
    };
    push(out, &["# HELP ", name, " "]);
    escape::help(&family.help, format, out);
    push(out, &["\n# TYPE ", name, " ", kind, "\n"]);
}

fn write_member(family: &Family, member: Member, table: &TableStore, out: &mut Vec<u8>) {
    let rows = table.rows();
    let Some(column) = table.table.columns.get(member.column) else { return };
    let bounds = if let Kind::Histogram(bounds) = column.kind { bounds } else { &[] };
    for (at, slot) in rows.slots().iter().enumerate() {
        match table.layout.read(rows.cells.row(at), member.column) {
            Some(Reading::Counter(value)) => {
                push(out, &[&family.name, slot.text(), "} "]);
                number::counter(value, column.unit, out);
                out.push(b'\n');
            }
            Some(Reading::Gauge(value)) => write_gauge(&family.name, slot.text(), value, out),
            Some(Reading::Histogram { max: Some(max), .. }) if member.max => {
                write_gauge(&family.name, slot.text(), max, out);
            }
            None => {}
            Some(Reading::Histogram { .. }) if member.max => {}
            Some(Reading::Histogram { buckets, sum, .. }) => {
                let count = write_buckets(&family.bucket, slot.text(), bounds, buckets, out, &mut |out| {
                    out.push(b'\n');
                });
                write_gauge(&family.sum, slot.text(), sum, out);
                push(out, &[&family.count, slot.text(), "} "]);
                number::integer(count, out);
                out.push(b'\n');
            }
        }
    }
}

fn write_gauge(name: &str, text: &str, value: f64, out: &mut Vec<u8>) {
    push(out, &[name, text, "} "]);
    number::float(value, out);
    out.push(b'\n');
}

/// Appends the cumulative buckets of a histogram, `+Inf` last, each line ended by `end`. Returns the count.
pub(crate) fn write_buckets(
    name: &str,
    text: &str,
    bounds: &[u64],
    buckets: &[u64],
    out: &mut Vec<u8>,
    end: &mut dyn FnMut(&mut Vec<u8>),
) -> u64 {
    let mut count = 0u64;
    for (index, bucket) in buckets.iter().enumerate() {
        count = count.wrapping_add(*bucket);
        push(out, &[name, text, ",le=\""]);
        match bounds.get(index) {
            Some(bound) => number::integer(*bound, out),
            None => out.extend_from_slice(b"+Inf"),
        }
        out.extend_from_slice(b"\"} ");
        number::integer(count, out);
        end(out);
    }
    count
}

/// Appends texts, with one look at the capacity.
pub(crate) fn push(out: &mut Vec<u8>, parts: &[&str]) {
    out.reserve(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}
