//! What a client certificate allows, by `rest_api_server.client_roles`.

use super::certificate::Holder;
use crate::config::{ClientRole, Role};

/// The role of the first entry that fits the holder, in the file's order. A `subject` is the whole subject as
/// RFC 4514 writes it, or a common name; a `san` is one of the alternative names, DNS names without case.
pub fn role(roles: &[ClientRole], holder: &Holder) -> Option<Role> {
    roles.iter().find(|entry| fits(entry, holder)).map(|entry| entry.role)
}

fn fits(entry: &ClientRole, holder: &Holder) -> bool {
    if entry.subject.is_empty() {
        return !entry.san.is_empty()
            && holder.alternative_names.iter().any(|name| name.eq_ignore_ascii_case(&entry.san));
    }
    *entry.subject == *holder.subject || holder.common_names.contains(&entry.subject)
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
            alternative_names: vec!["ops.example".into(), "spiffe://example/ops".into(), "192.0.2.7".into()],
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
    fn a_holder_without_names_fits_nothing() {
        let roles = [entry("x", "", Role::Write), entry("", "y", Role::Write)];
        assert_eq!(role(&roles, &Holder::default()), None);
    }
}
