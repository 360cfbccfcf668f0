//! One table as its document. Pure: a table's document does not depend on what runs.

use gopher_api::MetadataDocument;
use probe_core::Table;
use serde::Serialize as _;
use serde_json::ser::{Formatter, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// Compared as text by consumers, so it never goes back. It is above gala-gopher's `1.0.0`, so that who knew its tables
/// takes ours over; whoever renames or removes a key, label or metric, raises it.
pub const VERSION: &str = "1.1.0";

const PROCESS: [&str; 7] =
    ["comm", "container_id", "container_name", "container_image", "pod_id", "pod", "pod_namespace"];
const STARTED: [&str; 2] = ["cmdline", "start_time"];
const CONTAINER: [&str; 5] = ["container_name", "container_image", "pod_id", "pod", "pod_namespace"];

/// The document of `table`, made at `at_ms`, without a line feed. Separators have a blank behind them, as gala-gopher
/// writes them.
pub fn write(table: &'static Table, at_ms: u64) -> Vec<u8> {
    let keys = keys(table.entity);
    let mut labels = vec!["hostname"];
    let mut add = |name: &'static str| {
        if !keys.contains(&name) && !labels.contains(&name) {
            labels.push(name);
        }
    };
    table.keys.iter().chain(table.labels).for_each(|name| add(name));
    if keys.contains(&"tgid") {
        PROCESS.into_iter().for_each(&mut add);
    }
    match table.entity {
        "proc" => STARTED.into_iter().for_each(&mut add),
        "container" => CONTAINER.into_iter().for_each(&mut add),
        _ => {}
    }
    let texts = |names: Vec<&'static str>| names.into_iter().map(Cow::Borrowed).collect();
    let document = MetadataDocument {
        timestamp: at_ms,
        meta_name: table.name.into(),
        entity_name: table.entity.into(),
        version: VERSION.into(),
        metrics: table.columns.iter().map(|column| column.name.into()).collect(),
        labels: texts(labels),
        keys: texts(keys),
    };
    let mut out = Vec::with_capacity(1024);
    // Into memory, with texts for keys: it cannot fail.
    if let Err(error) = document.serialize(&mut Serializer::with_formatter(&mut out, Spaced)) {
        tracing::error!(%error, table = table.name, "a table has no metadata document");
    }
    out
}

/// `machine_id`, then the keys of all tables of `entity` in the order in which they are first named: consumers expect
/// the same of each of them.
fn keys(entity: &str) -> Vec<&'static str> {
    let mut keys = vec!["machine_id"];
    let tables = probes::all().flat_map(|feature| feature.tables).filter(|table| table.entity == entity);
    for key in tables.flat_map(|table| table.keys) {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    keys
}

/// A blank after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
