//! What a certificate says about its holder and its time, as far as it is decided on.
//!
//! Owns reading the few fields; whether the certificate is genuine was decided by the TLS handshake.

use super::audit::boundary;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate, X509Name};

/// Names that are kept of one certificate; a certificate with more is matched by the first ones.
const MAX_NAMES: usize = 64;
/// Bytes of a subject that are kept.
const MAX_SUBJECT: usize = 1024;

/// A certificate's holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The subject as RFC 4514 writes it: last part first, `CN=x,O=y`.
    pub subject: Arc<str>,
    /// The common names of the subject.
    pub common_names: Vec<String>,
    /// The subject alternative names.
    pub alternative_names: Vec<AlternativeName>,
}

/// A subject alternative name. The kinds are kept apart: an authority that lets its users choose their e-mail
/// address does not let them choose a URI with the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// A DNS name, in lower case, as it has none.
    Dns(String),
    /// A URI as it stands.
    Uri(String),
    /// An e-mail address as it stands.
    Email(String),
    /// An address.
    Ip(IpAddr),
}

impl AlternativeName {
    /// The name that an operator means by `text`; its form says of which kind it is.
    pub fn of(text: &str) -> Self {
        if let Ok(address) = text.parse() {
            Self::Ip(address)
        } else if text.contains(':') {
            Self::Uri(text.to_owned())
        } else if text.contains('@') {
            Self::Email(text.to_owned())
        } else {
            Self::dns(text)
        }
    }

    fn dns(text: &str) -> Self {
        Self::Dns(text.to_ascii_lowercase())
    }
}

/// When a certificate holds, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: i64,
    /// Not after.
    pub until: i64,
}

/// The holder of a certificate in DER; `None` if it cannot be read.
pub fn holder(der: &[u8]) -> Option<Holder> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let common_names = subject.iter_common_name().filter_map(|name| name.as_str().ok());
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
    Some(Holder {
        subject: rfc4514(subject).into(),
        common_names: common_names.map(str::to_owned).take(MAX_NAMES).collect(),
        alternative_names: names.filter_map(alternative_name).take(MAX_NAMES).collect(),
    })
}

/// When a certificate in DER holds; `None` if it cannot be read.
pub fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(Validity { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() })
}

fn alternative_name(name: &GeneralName<'_>) -> Option<AlternativeName> {
    let address = match name {
        GeneralName::DNSName(text) => return Some(AlternativeName::dns(text)),
        GeneralName::URI(text) => return Some(AlternativeName::Uri((*text).to_owned())),
        GeneralName::RFC822Name(text) => return Some(AlternativeName::Email((*text).to_owned())),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|octets| Ipv4Addr::from(octets).into()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        },
        _ => None,
    };
    address.map(AlternativeName::Ip)
}

/// RFC 4514: relative names from the last to the first, `+` inside one, `,` between them.
fn rfc4514(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    let relative: Vec<_> = name.iter_rdn().collect();
    for (number, relative) in relative.into_iter().rev().enumerate() {
        if number > 0 {
            out.push(',');
        }
        for (number, attribute) in relative.iter().enumerate() {
            if number > 0 {
                out.push('+');
            }
            write_attribute(attribute, &mut out);
        }
    }
    if out.len() > MAX_SUBJECT {
        out.truncate(boundary(&out, MAX_SUBJECT));
    }
    out
}

fn write_attribute(attribute: &AttributeTypeAndValue<'_>, out: &mut String) {
    let kind = attribute.attr_type();
    match (oid2abbrev(kind, oid_registry()), attribute.as_str()) {
        (Ok(name), Ok(text)) => {
            out.push_str(name);
            out.push('=');
            escape(text, out);
        }
        // What has no name or is no text is written as its bytes (RFC 4514, 2.4).
        (name, _) => {
            match name {
                Ok(name) => out.push_str(name),
                Err(_) => out.push_str(&kind.to_id_string()),
            }
            out.push_str("=#");
            for byte in attribute.attr_value().data {
                // Writing to a String cannot fail.
                let _ = write!(out, "{byte:02x}");
            }
        }
    }
}

/// RFC 4514, 2.4: a backslash before what has a meaning, hexadecimal for what cannot be seen.
fn escape(text: &str, out: &mut String) {
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', c]),
            '#' if at == 0 => out.extend(['\\', c]),
            ' ' if at == 0 || at == last => out.extend(['\\', c]),
            c if c.is_control() => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(out, "\\{byte:02x}");
                }
            }
            c => out.push(c),
        }
    }
}

/// What holds of any bytes as a certificate: few and short names, and a subject that nothing in it forges.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    let holder = holder(bytes);
    assert_eq!(holder.is_some(), validity(bytes).is_some());
    let Some(holder) = holder else { return };
    assert!(holder.subject.len() <= MAX_SUBJECT && !holder.subject.contains(char::is_control));
    assert!(holder.common_names.len() <= MAX_NAMES && holder.alternative_names.len() <= MAX_NAMES);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    fn der(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_subject_is_written_as_rfc_4514_says_and_all_kinds_of_names_are_read() {
        let der = der(|params| {
            params.distinguished_name.push(DnType::CountryName, "CN");
            params.distinguished_name.push(DnType::OrganizationName, "A, B+C");
            params.distinguished_name.push(DnType::CommonName, "#prometheus ");
            let text = |text: &str| Ia5String::try_from(text).expect("ASCII");
            params.subject_alt_names = vec![
                SanType::DnsName(text("Scraper.example")),
                SanType::URI(text("spiffe://example/scraper")),
                SanType::Rfc822Name(text("ops@example.org")),
                SanType::IpAddress("192.0.2.7".parse().expect("an address")),
                SanType::IpAddress("2001:db8::7".parse().expect("an address")),
            ];
        });
        let holder = holder(&der).expect("a certificate");
        assert_eq!(&*holder.subject, r"CN=\#prometheus\ ,O=A\, B\+C,C=CN");
        assert_eq!(holder.common_names, ["#prometheus "]);
        let names =
            ["scraper.example", "spiffe://example/scraper", "ops@example.org", "192.0.2.7", "2001:db8::7"];
        assert_eq!(holder.alternative_names, names.map(AlternativeName::of));
    }

    #[test]
    fn a_name_is_of_the_kind_that_its_form_says() {
        use AlternativeName::{Dns, Email, Ip, Uri};
        let ip = |text: &str| Ip(text.parse().expect("an address"));
        for (text, name) in [
            ("OPS.example", Dns("ops.example".into())),
            ("spiffe://example/OPS", Uri("spiffe://example/OPS".into())),
            ("urn:x:ops@example", Uri("urn:x:ops@example".into())),
            ("Ops@example.org", Email("Ops@example.org".into())),
            ("192.0.2.7", ip("192.0.2.7")),
            ("2001:DB8::7", ip("2001:db8::7")),
        ] {
            assert_eq!(AlternativeName::of(text), name, "{text}");
        }
    }

    #[test]
    fn the_time_of_a_certificate_is_read() {
        let der = der(|params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        });
        assert_eq!(validity(&der), Some(Validity { from: 1_577_836_800, until: 1_609_459_200 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = (holder(&bytes), validity(&bytes));
        }

        #[test]
        fn any_damage_to_a_certificate_is_survived(at in any::<proptest::sample::Index>(), with in any::<u8>()) {
            let mut der = der(|params| params.distinguished_name.push(DnType::CommonName, "x"));
            let at = at.index(der.len());
            der[at] = with;
            let _ = (holder(&der), validity(&der));
        }

        #[test]
        fn no_text_in_a_subject_forges_another_part(text in "[ -~é\u{1}\n]{0,40}") {
            let mut out = String::new();
            escape(&text, &mut out);
            let bare = out.replace("\\\\", "").replace("\\,", "").replace("\\+", "");
            prop_assert!(!bare.contains([',', '+', '\n', '\u{1}']), "{out}");
        }
    }
}
