//! What a client certificate allows, by `rest_api_server.client_roles`.

use super::certificate::{AlternativeName, Holder};
use crate::config::{ClientRole, Role};

/// The role of the first entry that fits the holder, in the file's order. A `subject` with a `=` is the whole subject
/// as RFC 4514 writes it, one without is a common name; a `san` is one of the alternative names, of the kind that
/// its form says.
pub fn role(roles: &[ClientRole], holder: &Holder) -> Option<Role> {
    roles.iter().find(|entry| fits(entry, holder)).map(|entry| entry.role)
}

fn fits(entry: &ClientRole, holder: &Holder) -> bool {
    if entry.subject.is_empty() {
        return !entry.san.is_empty() && holder.alternative_names.contains(&AlternativeName::of(&entry.san));
    }
    // Never both: a common name is free text, and may read like the whole subject of somebody else.
    if entry.subject.contains('=') {
        *entry.subject == *holder.subject
    } else {
        holder.common_names.contains(&entry.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(subject: &str, san: &str, role: Role) -> ClientRole {
        ClientRole { subject: subject.into(), san: san.into(), role }
    }

    #[test]
    fn the_first_entry_that_fits_decides() {
        let holder = Holder {
            subject: "CN=ops,O=Example".into(),
            common_names: vec!["ops".into()],
            alternative_names: ["ops.example", "spiffe://example/ops", "192.0.2.7"]
                .map(AlternativeName::of)
                .into(),
        };
        let (read, write) = (Role::Read, Role::Write);
        for (roles, wanted) in [
            (vec![], None),
            (vec![entry("CN=ops,O=Example", "", write)], Some(write)),
            (vec![entry("ops", "", read)], Some(read)),
            (vec![entry("CN=ops", "", write)], None),
            (vec![entry("OPS", "", write)], None),
            (vec![entry("", "OPS.example", write)], Some(write)),
            (vec![entry("", "spiffe://example/ops", read)], Some(read)),
            (vec![entry("", "spiffe://example/OPS", write)], None),
            (vec![entry("", "192.0.2.7", write)], Some(write)),
            (vec![entry("", "ops", write)], None),
            (vec![entry("", "", write)], None),
            (
                vec![entry("x", "", write), entry("ops", "", read), entry("", "ops.example", write)],
                Some(read),
            ),
        ] {
            assert_eq!(role(&roles, &holder), wanted, "{roles:?}");
        }
    }

    #[test]
    fn free_text_in_a_certificate_does_not_pass_for_a_name_of_another_kind() {
        let holder = Holder {
            subject: r"CN=CN\=ops\,O=Example".into(),
            common_names: vec!["CN=ops,O=Example".into()],
            alternative_names: vec![
                AlternativeName::Email("spiffe://example/ops".into()),
                AlternativeName::Dns("192.0.2.7".into()),
                AlternativeName::Uri("ops.example".into()),
            ],
        };
        for roles in [
            entry("CN=ops,O=Example", "", Role::Write),
            entry("", "spiffe://example/ops", Role::Write),
            entry("", "192.0.2.7", Role::Write),
            entry("", "ops.example", Role::Write),
        ] {
            assert_eq!(role(std::slice::from_ref(&roles), &holder), None, "{roles:?}");
        }
    }

    #[test]
    fn a_holder_without_names_fits_nothing() {
        let roles = [entry("x", "", Role::Write), entry("", "y", Role::Write)];
        assert_eq!(role(&roles, &Holder::default()), None);
    }
}
