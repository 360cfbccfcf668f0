//! gala-gopher's metric message for Kafka (reference 1.7): one flat JSON object a row, every field of the table as a
//! string, without the labels that the daemon adds.

use crate::expose::{PeriodRow, number};
use crate::store::{Reading, period_field};
use probe_core::Kind;

/// Appends the message of `row`, without a line feed. `machine` is the identity without an address.
pub fn write_flat(row: &PeriodRow<'_>, machine: &str, out: &mut Vec<u8>) {
    let table = row.table();
    out.extend_from_slice(b"{\"timestamp\": ");
    number::integer(row.read_ms, out);
    text_member("machine_id", Some(machine), out);
    text_member("entity_name", Some(table.entity), out);
    for name in table.keys.iter().chain(table.labels) {
        let value = row.labels().find(|(known, _)| known == name).map(|(_, value)| value);
        text_member(name, value, out);
    }
    let mut values = row.values().peekable();
    let mut text = Vec::new();
    for column in table.columns {
        text.clear();
        if let Some((_, reading)) = values.next_if(|(of, _)| std::ptr::eq(*of, column)) {
            write_reading(reading, column.kind, &mut text);
        }
        let value = std::str::from_utf8(&text).ok().filter(|text| !text.is_empty());
        text_member(period_field(column.name), value, out);
    }
    out.push(b'}');
}

fn write_reading(reading: Reading<'_>, kind: Kind, out: &mut Vec<u8>) {
    match (reading, kind) {
        (Reading::Counter(value), _) => number::integer(value, out),
        (Reading::Gauge(value), _) => number::float(value, out),
        (Reading::Histogram { buckets, sum, max }, Kind::Histogram(bounds)) => {
            // "N le1 c1 … leN cN sum max", counts cumulative (reference 1.4).
            number::integer(bounds.len() as u64, out);
            let mut below = 0u64;
            for (bound, bucket) in bounds.iter().zip(buckets) {
                below = below.wrapping_add(*bucket);
                for part in [*bound, below] {
                    out.push(b' ');
                    number::integer(part, out);
                }
            }
            for part in [sum, max.unwrap_or_default()] {
                out.push(b' ');
                number::float(part, out);
            }
        }
        (Reading::Histogram { .. }, _) => {}
    }
}

/// What is absent or empty is the original's `(null)`.
fn text_member(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b", ");
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, name);
    out.extend_from_slice(b": ");
    let _ = serde_json::to_writer(&mut *out, value.filter(|value| !value.is_empty()).unwrap_or("(null)"));
}
