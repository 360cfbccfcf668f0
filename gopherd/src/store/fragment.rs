//! Labels that a row gets beyond its own: who answers for a subject, and how a set of such labels is kept
//! rendered. Leaves to the scope engine what a process or container is called.

use crate::expose::escape;
use probe_core::{Label, Subject, Table};
use std::sync::Arc;

/// Answers which labels a subject has. Called once for each row of each batch, so it must be quick: the
/// same `Arc` for a subject whose labels did not change keeps the row's text as it is.
pub trait Labels {
    /// Process and container labels, in the order of the reference (1.2). `None` if the subject is not
    /// known (any more): a new row about it is dropped and counted. A subject that is known and has no
    /// labels, the host for one, is an empty fragment.
    fn fragment(
        &self,
        feature: &'static str,
        table: &'static Table,
        subject: Subject,
    ) -> Option<Arc<Fragment>>;
}

/// A few labels in order, with their text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    text: String,
    pairs: Vec<(Label, Label)>,
}

impl Fragment {
    /// Labels in this order. Names are made valid (Kubernetes keys have dots and slashes); a name that is
    /// there already, an empty name and an empty value are left out, since Prometheus takes an empty value
    /// for an absent label.
    pub fn new<N: AsRef<str>, V: Into<Label>>(labels: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut fragment = Self::default();
        for (name, value) in labels {
            let (Some(name), value) = (escape::label_name(name.as_ref()), value.into()) else { continue };
            if !value.is_empty() && !fragment.has(&name) {
                append(&name, &value, &mut fragment.text);
                fragment.pairs.push((name, value));
            }
        }
        fragment
    }

    /// Names and values, in order.
    pub fn pairs(&self) -> &[(Label, Label)] {
        &self.pairs
    }

    fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }
}

/// Appends `,name="value"`.
fn append(name: &str, value: &str, out: &mut String) {
    out.push(',');
    out.push_str(name);
    out.push_str("=\"");
    escape::label_value(value, out);
    out.push('"');
}

/// The labels of one row, from all four places. An earlier place wins over a later one with the same name:
/// a table that has `container_id` keeps its own.
#[derive(Clone, Copy)]
pub(crate) struct RowLabels<'a> {
    pub(crate) table: &'static Table,
    pub(crate) own: &'a [Label],
    pub(crate) subject: &'a Fragment,
    pub(crate) custom: &'a Fragment,
    pub(crate) machine_id: &'a str,
}

/// Name of the label that ends every list.
const MACHINE_ID: &str = "machine_id";

impl<'a> RowLabels<'a> {
    fn own(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let names = self.table.keys.iter().chain(self.table.labels).copied();
        names.zip(self.own.iter().map(Label::as_str)).filter(|(_, value)| !value.is_empty())
    }

    /// Whether `name` is not one of the row's own labels.
    fn is_free(self, name: &str) -> bool {
        name != MACHINE_ID && !self.table.keys.contains(&name) && !self.table.labels.contains(&name)
    }

    /// Names and values, in the order in which they are written.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let custom = self.custom.pairs.iter().filter(move |(name, _)| !self.subject.has(name));
        let others = self.subject.pairs.iter().chain(custom);
        let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
        self.own()
            .chain(others.filter(move |(name, _)| self.is_free(name)))
            .chain(std::iter::once((MACHINE_ID, self.machine_id)))
    }

    /// `{name="value",…,machine_id="…"`: the closing brace is left to the writer, which may add `le`.
    pub(crate) fn render(self, text: &mut String) {
        text.clear();
        let custom_clashes = self.custom.pairs.iter().any(|(n, _)| self.subject.has(n) || !self.is_free(n));
        if custom_clashes || self.subject.pairs.iter().any(|(n, _)| !self.is_free(n)) {
            self.pairs().for_each(|(name, value)| append(name, value, text));
        } else {
            self.own().for_each(|(name, value)| append(name, value, text));
            text.push_str(&self.subject.text);
            text.push_str(&self.custom.text);
            append(MACHINE_ID, self.machine_id, text);
        }
        text.replace_range(..1, "{");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: Table = Table {
        name: "t",
        entity: "t",
        sub_probe: "",
        keys: &["tgid", "container_id"],
        labels: &["role"],
        columns: &[],
    };

    fn render(own: [&str; 3], subject: &[(&str, &str)], custom: &[(&str, &str)]) -> String {
        let own = own.map(Label::from);
        let labels = RowLabels {
            table: &TABLE,
            own: &own,
            subject: &Fragment::new(subject.iter().copied()),
            custom: &Fragment::new(custom.iter().copied()),
            machine_id: "m-1",
        };
        let mut text = String::new();
        labels.render(&mut text);
        let mut pairs = String::new();
        labels.pairs().for_each(|(n, v)| append(n, v, &mut pairs));
        assert_eq!(text.get(1..), pairs.get(1..), "pairs and text say the same");
        text
    }

    #[test]
    fn labels_stand_in_the_order_of_the_reference_with_machine_id_last() {
        assert_eq!(
            render(["1", "c", "r"], &[("comm", "x"), ("pod", "p")], &[("zone", "z")]),
            r#"{tgid="1",container_id="c",role="r",comm="x",pod="p",zone="z",machine_id="m-1""#
        );
    }

    #[test]
    fn no_name_stands_twice_and_the_earlier_place_wins() {
        assert_eq!(
            render(
                ["1", "c", "r"],
                &[("container_id", "other"), ("comm", "x")],
                &[("comm", "y"), ("machine_id", "z"), ("role", "s"), ("a.b", "1"), ("a/b", "2")]
            ),
            r#"{tgid="1",container_id="c",role="r",comm="x",a_b="1",machine_id="m-1""#
        );
    }

    #[test]
    fn an_empty_value_is_an_absent_label() {
        assert_eq!(render(["1", "", ""], &[("comm", "")], &[]), r#"{tgid="1",machine_id="m-1""#);
    }
}
