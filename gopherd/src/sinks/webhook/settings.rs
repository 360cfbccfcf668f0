//! One webhook, as configured: its address taken apart, its secret read.

use crate::config::Webhook;
use crate::input_file;
use hyper::Uri;
use ring::digest;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest secret.
const MAX_SECRET: u64 = 64 << 10;

/// What one webhook is made of. Two that are equal behave the same.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Its name in files, metrics and for `gopher-ctl`: the host, and a piece of the address's hash, because the path
    /// may be what gives access.
    pub name: String,
    /// Where it is.
    pub(super) address: Address,
    /// The authority of its certificate; `None` trusts the system's.
    pub(super) ca_file: Option<PathBuf>,
    /// What requests are signed with.
    pub(super) secret: Option<Vec<u8>>,
    /// How long the server has for an answer.
    pub(super) timeout: Duration,
    /// What is wrong, if anything.
    pub(super) fault: Option<String>,
}

/// An address, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// The header `Host`.
    pub authority: String,
    /// Path and query.
    pub target: String,
}

/// The secret and the path are not shown.
impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings").field("name", &self.name).finish_non_exhaustive()
    }
}

impl WebhookSettings {
    /// Takes the address apart and reads the secret.
    pub fn of(webhook: &Webhook) -> Self {
        let address = address(&webhook.url);
        let secret = webhook.secret_file.as_deref().map(secret).transpose();
        let fault = address.as_ref().err().or(secret.as_ref().err()).cloned();
        let address = address.unwrap_or_default();
        let hash = digest::digest(&digest::SHA256, webhook.url.as_bytes());
        let hash: String = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let safe = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
        let host: String = address.host.chars().take(100).map(safe).collect();
        Self {
            name: format!("webhook-{host}-{hash}"),
            address,
            ca_file: webhook.ca_file.clone(),
            secret: secret.ok().flatten(),
            timeout: webhook.timeout,
            fault,
        }
    }
}

fn address(url: &str) -> Result<Address, String> {
    let uri: Uri = url.parse().map_err(|error| format!("its url is none: {error}"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("its url has no host".into());
    };
    if authority.as_str().contains('@') {
        return Err("its url holds a user; use secret_file, or a token in the path".into());
    }
    let tls = scheme == "https";
    Ok(Address {
        tls,
        // An IPv6 address stands in brackets there, and nowhere else.
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        authority: authority.as_str().to_owned(),
        target: uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
    })
}

fn secret(path: &Path) -> Result<Vec<u8>, String> {
    let told = |error: &dyn fmt::Display| format!("secret_file {}: {error}", path.display());
    let bytes = input_file::read(path, MAX_SECRET).map_err(|error| told(&error))?;
    let secret = bytes.trim_ascii_end();
    if secret.is_empty() { Err(told(&"it is empty")) } else { Ok(secret.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> WebhookSettings {
        WebhookSettings::of(&Webhook { url: url.into(), ..Webhook::default() })
    }

    #[test]
    fn an_address_is_taken_apart() {
        let cases = [
            ("https://example.org/a?b=c", true, "example.org", 443, "/a?b=c"),
            ("http://example.org:81", false, "example.org", 81, "/"),
            ("https://[::1]:8443/x", true, "::1", 8443, "/x"),
        ];
        for (url, tls, host, port, target) in cases {
            let address = of(url).address;
            assert_eq!(
                (address.tls, &*address.host, address.port, &*address.target),
                (tls, host, port, target)
            );
        }
        assert!(of("https://user:pass@example.org/").fault.is_some());
    }

    #[test]
    fn the_name_tells_addresses_apart_without_telling_them() {
        let (one, two) = (of("https://example.org/secret-1"), of("https://example.org/secret-2"));
        assert!(one.name.starts_with("webhook-example.org-") && one.name != two.name);
        assert!(!one.name.contains("secret") && !format!("{one:?}").contains("secret-1"));
        assert!(of("https://[::1]/").name.starts_with("webhook-__1-"));
    }

    #[test]
    fn a_secret_without_its_line_end_and_an_empty_one_is_a_fault() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("secret");
        let webhook =
            Webhook { url: "https://h/".into(), secret_file: Some(path.clone()), ..Webhook::default() };
        assert!(WebhookSettings::of(&webhook).fault.is_some_and(|fault| fault.contains("secret_file")));
        std::fs::write(&path, "hunter2\n").expect("written");
        assert_eq!(WebhookSettings::of(&webhook).secret.as_deref(), Some(&b"hunter2"[..]));
        std::fs::write(&path, "\n").expect("written");
        assert!(WebhookSettings::of(&webhook).fault.is_some_and(|fault| fault.contains("empty")));
    }
}
