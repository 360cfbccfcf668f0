//! Escaping of label values and help texts, and the names that a label may have. Leaves to the caller
//! which labels there are.

use crate::expose::Format;
use smol_str::SmolStr;

/// Appends `value` as it stands between the quotes of a label. Backslash, quote and line feed are escaped;
/// every other character, control characters too, is valid in both formats as it is.
pub(crate) fn label_value(value: &str, out: &mut String) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (clean, from) = rest.split_at(at);
        out.push_str(clean);
        out.push_str(match from.as_bytes().first() {
            Some(b'\\') => "\\\\",
            Some(b'"') => "\\\"",
            _ => "\\n",
        });
        rest = from.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// Appends a help text. The quote is escaped in OpenMetrics only.
pub(crate) fn help(text: &str, format: Format, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if format == Format::OpenMetrics => out.extend_from_slice(b"\\\""),
            byte => out.push(byte),
        }
    }
}

/// `name` as a label name: what may not stand in one (Kubernetes label keys have dots and slashes) becomes
/// `_`. `None` if nothing usable is left. `le` belongs to histograms and becomes `le_`.
pub(crate) fn label_name(name: &str) -> Option<SmolStr> {
    let starts_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
    let clean: String = starts_with_digit
        .then_some('_')
        .into_iter()
        .chain(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }))
        .collect();
    // Names that begin with two underscores are Prometheus' own.
    let clean = if clean.starts_with("__") { clean.trim_start_matches('_') } else { &clean };
    match clean {
        "le" => Some("le_".into()),
        clean if clean.starts_with(|c: char| c.is_ascii_digit()) => label_name(&format!("_{clean}")),
        clean => clean.contains(|c| c != '_').then(|| clean.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_label_keys_become_valid_names() {
        for (key, name) in [
            ("app", Some("app")),
            ("app.kubernetes.io/name", Some("app_kubernetes_io_name")),
            ("1st", Some("_1st")),
            ("__name__", Some("name__")),
            ("__1", Some("_1")),
            ("le", Some("le_")),
            ("工作", None),
            ("", None),
        ] {
            assert_eq!(label_name(key).as_deref(), name, "{key}");
        }
    }

    #[test]
    fn three_characters_of_a_value_are_escaped_and_no_other() {
        let mut out = String::new();
        label_value("a\\b\"c\nd\te\r\u{1}é", &mut out);
        assert_eq!(out, "a\\\\b\\\"c\\nd\te\r\u{1}é");
    }

    #[test]
    fn a_quote_in_a_help_text_is_escaped_in_openmetrics_alone() {
        for (format, text) in
            [(Format::Text, "a \"b\" \\\\ \\n"), (Format::OpenMetrics, "a \\\"b\\\" \\\\ \\n")]
        {
            let mut out = Vec::new();
            help("a \"b\" \\ \n", format, &mut out);
            assert_eq!(String::from_utf8(out).expect("UTF-8"), text);
        }
    }
}
