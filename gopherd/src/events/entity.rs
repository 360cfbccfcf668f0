//! The entity id: what consumers of events and metadata compute from a metric's labels, made in this one place for
//! events and for the keys under which they are delivered.

use probe_core::{Label, Table};

/// Longest entity id, in bytes.
pub const MAX_LEN: usize = 254;

/// Keys that are no part of an id: the host's stands at its beginning, and the address behind a proxy is not always
/// known.
const LEFT_OUT: [&str; 2] = ["machine_id", "toa_client_ip"];

/// `<machine>_<entity>_<key values>`, joined by `_`. `labels` are a row's: the keys come first, in the order of the
/// metadata. Every character outside `A-Z a-z 0-9 _ - : . @ ( ) + , = ; $ ! * ' %` is a `:`, and the text is cut at
/// [`MAX_LEN`]. An empty value is an absent label, so it is left out here as it is there.
pub fn entity_id(machine: &str, table: &Table, labels: &[Label]) -> String {
    let mut id = String::with_capacity(MAX_LEN);
    push(machine, &mut id);
    id.push('_');
    push(table.entity, &mut id);
    for value in key_values(table, labels) {
        id.push('_');
        push(value, &mut id);
    }
    id.truncate(MAX_LEN);
    id
}

/// The part of an id that tells entities of one kind apart, as it is written in an event's text: as it was measured.
pub(super) fn shown_id(table: &Table, labels: &[Label], out: &mut String) {
    for (at, value) in key_values(table, labels).enumerate() {
        if at > 0 {
            out.push('_');
        }
        out.push_str(value);
    }
}

fn key_values<'a>(table: &'a Table, labels: &'a [Label]) -> impl Iterator<Item = &'a str> {
    let keys = table.keys.iter().zip(labels).filter(|(name, _)| !LEFT_OUT.contains(name));
    keys.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn push(text: &str, out: &mut String) {
    if text.bytes().all(is_plain) {
        return out.push_str(text);
    }
    let plain = |c: char| u8::try_from(c).is_ok_and(is_plain);
    out.extend(text.chars().map(|c| if plain(c) { c } else { ':' }));
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-:.@()+,=;$!*'%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    static LINK: Table = Table {
        name: "link",
        entity: "tcp_link",
        sub_probe: "",
        keys: &["tgid", "toa_client_ip", "server_ip", "machine_id"],
        labels: &["multi"],
        columns: &[],
    };
    static FS: Table =
        Table { name: "df", entity: "fs", sub_probe: "", keys: &["MountOn"], labels: &[], columns: &[] };

    fn of(table: &Table, labels: &[&str]) -> String {
        let labels: Vec<Label> = labels.iter().copied().map(Label::from).collect();
        entity_id("m-1", table, &labels)
    }

    #[test]
    fn it_is_made_of_machine_entity_and_the_key_values_in_order() {
        assert_eq!(of(&LINK, &["7", "9.9.9.9", "10.0.0.1", "m", "2"]), "m-1_tcp_link_7_10.0.0.1");
        assert_eq!(of(&FS, &["/mnt/a b"]), "m-1_fs_:mnt:a:b");
        assert_eq!(of(&FS, &["/"]), "m-1_fs_:");
        assert_eq!(of(&FS, &["été"]), "m-1_fs_:t:");
        assert_eq!(of(&LINK, &["7", "", "::1", "", ""]), "m-1_tcp_link_7_::1");
        assert_eq!(of(&FS, &[]), "m-1_fs");
    }

    #[test]
    fn the_text_of_an_event_has_the_id_as_it_was_measured() {
        let mut shown = String::new();
        shown_id(&LINK, &["7", "9.9.9.9", "/x", "m"].map(Label::from), &mut shown);
        assert_eq!(shown, "7_/x");
    }

    proptest! {
        #[test]
        fn it_has_only_the_characters_that_are_allowed_and_a_bounded_length(
            values in prop::collection::vec(".{0,300}", 4)
        ) {
            let id = of(&LINK, &values.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert!(id.len() <= MAX_LEN && id.bytes().all(is_plain), "{}", id);
            prop_assert!(id.starts_with("m-1_tcp_link"));
        }
    }
}
