//! What the documents of the real tables say, and when which is due.

use super::*;
use gopher_api::MetadataDocument;

fn table(name: &str) -> &'static Table {
    probes::all().flat_map(|feature| feature.tables).find(|table| table.name == name).expect("a table")
}

fn read(table: &'static Table) -> MetadataDocument<'static> {
    serde_json::from_slice(&write(table, 1_655_888_408_000)).expect("a document")
}

#[test]
fn a_document_is_as_consumers_of_gala_gopher_know_it() {
    let text = String::from_utf8(write(table("system_df"), 1_655_888_408_000)).expect("UTF-8");
    let expected = concat!(
        r#"{"timestamp": 1655888408000, "meta_name": "system_df", "entity_name": "fs", "version": "1.1.0", "#,
        r#""keys": ["machine_id", "MountOn"], "labels": ["hostname", "MountStatus", "Fsname", "Fstype", "#,
        r#""Inodes", "Blocks"], "metrics": ["#
    );
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("\"]}"), "{text}");
}

#[test]
fn tables_of_processes_have_the_labels_of_processes_and_proc_those_of_its_start() {
    let link = read(table("tcp_metric"));
    assert_eq!(link.keys[..3], ["machine_id", "tgid", "comm"]);
    assert_eq!(link.labels[..2], ["hostname", "container_id"]);
    assert!(link.metrics.iter().any(|metric| metric == "srtt"), "histograms are listed");
    let proc = read(table("system_proc"));
    assert_eq!(proc.labels[..4], ["hostname", "pgid", "ppid", "comm"]);
    assert_eq!(proc.labels[proc.labels.len() - 2..], ["cmdline", "start_time"]);
    assert_eq!(read(table("nic")).labels, ["hostname", "status"]);
}

#[test]
fn all_tables_of_an_entity_have_the_same_keys_and_no_name_stands_twice() {
    let mut by_entity = BTreeMap::new();
    for table in probes::all().flat_map(|feature| feature.tables) {
        let document = read(table);
        let keys = by_entity.entry(table.entity).or_insert_with(|| document.keys.clone());
        assert_eq!(*keys, document.keys, "{}", table.name);
        let mut names: Vec<_> = document.keys.iter().chain(&document.labels).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "{}: {document:?}", table.name);
        // The order of an entity id is that of the keys.
        let own: Vec<_> = document.keys.iter().filter(|key| table.keys.contains(&key.as_ref())).collect();
        assert_eq!(own, table.keys.iter().collect::<Vec<_>>(), "{}", table.name);
    }
}
