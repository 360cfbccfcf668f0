//! `spool`: what waits to be delivered.

use crate::ctl::clean::inline;
use crate::ctl::look::{Look, Tone};
use crate::ctl::table::{Cell, Column, table};
use crate::ctl::units;
use gopher_api::{Purged, SpoolDocument};

pub(in crate::ctl) fn spool(look: &Look, spool: &SpoolDocument) -> String {
    let (bytes, most) = (units::bytes(spool.bytes), units::bytes(spool.max_bytes));
    let mut out = format!("{bytes} of {most} on disk\n");
    if spool.sinks.is_empty() {
        return out + "nothing reads it: neither Kafka nor a webhook is configured\n";
    }
    let rows = spool.sinks.iter().map(|sink| {
        let lost: u64 = sink.lost.values().sum();
        let age = sink.oldest_age_s.map_or_else(|| "-".to_owned(), |age| format!("{age} s"));
        let state = match &sink.error {
            None => Cell::toned(Tone::Good, "works"),
            Some(error) => Cell::toned(Tone::Bad, error),
        };
        vec![
            Cell::new(&sink.sink),
            Cell::new(sink.pending_records.to_string()),
            Cell::new(units::bytes(sink.pending_bytes)),
            Cell::new(age),
            Cell::new(sink.delivered.to_string()),
            Cell::toned(if lost == 0 { Tone::Plain } else { Tone::Bad }, lost.to_string()),
            state,
        ]
    });
    let columns = [
        Column::Text("SINK"),
        Column::Number("WAIT"),
        Column::Number("BYTES"),
        Column::Number("OLDEST"),
        Column::Number("DELIVERED"),
        Column::Number("LOST"),
        Column::Text("STATE"),
    ];
    out += &table(look, &columns, rows.collect());
    for sink in &spool.sinks {
        for (reason, count) in &sink.lost {
            out += &format!("  {} lost {count}: {}\n", inline(&sink.sink), inline(reason));
        }
    }
    out
}

pub(in crate::ctl) fn purged(purged: &Purged) -> String {
    format!("{} messages given up that waited for {}\n", purged.discarded, inline(&purged.sink))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gopher_api::SpoolSink;

    #[test]
    fn each_sink_is_a_line_and_each_loss_is_named() {
        let sink = SpoolSink {
            sink: "kafka".into(),
            pending_records: 3,
            pending_bytes: 2048,
            oldest_age_s: Some(7),
            delivered: 9,
            lost: [("rejected".to_owned(), 1)].into(),
            error: Some("no broker".into()),
            done_seq: 9,
        };
        let document = SpoolDocument { bytes: 4096, max_bytes: 1 << 20, last_seq: 12, sinks: vec![sink] };
        let text = spool(&Look::default(), &document);
        for part in ["kafka", "7 s", "no broker", "kafka lost 1: rejected"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = spool(&Look::default(), &SpoolDocument::default());
        assert!(text.contains("nothing reads it"), "{text}");
    }
}
