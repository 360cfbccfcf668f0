//! gala-gopher's JSON metric document (reference 1.6), with counters included: one object a row.

use crate::expose::{PeriodRow, number};
use crate::store::{Reading, period_field};
use probe_core::{Column, Kind};

/// Appends the document of `row` and a line feed.
pub fn write_document(row: &PeriodRow<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"timestamp\":");
    number::integer(row.read_ms, out);
    out.extend_from_slice(b",\"entity_name\":");
    string(row.table().entity, out);
    out.extend_from_slice(b",\"table_name\":");
    string(row.table().name, out);
    out.extend_from_slice(b",\"labels\":{");
    list(row.labels(), out, |(name, value), out| {
        key(name, out);
        // The original writes this one as a number.
        match value.parse::<u64>() {
            Ok(ticks) if name == "start_time" => number::integer(ticks, out),
            _ => string(value, out),
        }
    });
    out.extend_from_slice(b"},\"metrics\":{");
    let plain = row.values().filter(|(_, reading)| !matches!(reading, Reading::Histogram { .. }));
    list(plain, out, |(column, reading), out| {
        key(period_field(column.name), out);
        out.push(b'"');
        match reading {
            Reading::Counter(value) => number::counter(value, column.unit, out),
            Reading::Gauge(value) => number::float(value, out),
            Reading::Histogram { .. } => {}
        }
        out.push(b'"');
    });
    out.extend_from_slice(b"},\"histos\":{");
    let histograms = row.values().filter(|(_, reading)| matches!(reading, Reading::Histogram { .. }));
    list(histograms, out, |(column, reading), out| histogram(column, reading, out));
    out.extend_from_slice(b"}}\n");
}

fn histogram(column: &Column, reading: Reading<'_>, out: &mut Vec<u8>) {
    let (Reading::Histogram { buckets, sum, max }, Kind::Histogram(bounds)) = (reading, column.kind) else {
        return;
    };
    key(period_field(column.name), out);
    out.push(b'{');
    let mut below = 0u64;
    for (bound, bucket) in bounds.iter().zip(buckets) {
        below = below.wrapping_add(*bucket);
        out.push(b'"');
        number::integer(*bound, out);
        out.extend_from_slice(b"\":");
        number::integer(below, out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"count\":");
    number::integer(buckets.iter().fold(0, |count: u64, bucket| count.wrapping_add(*bucket)), out);
    out.extend_from_slice(b",\"sum\":");
    number::float(sum, out);
    if let Some(max) = max {
        out.extend_from_slice(b",\"max\":");
        number::float(max, out);
    }
    out.push(b'}');
}

/// Appends `items` with commas between them.
fn list<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
}

fn key(name: &str, out: &mut Vec<u8>) {
    string(name, out);
    out.push(b':');
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}
