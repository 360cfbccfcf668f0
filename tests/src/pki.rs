//! An authority and certificates of its own for a test, and the programs that use them: curl and openssl.
//!
//! Owns making them (rcgen) and running the clients. What a client must be answered is said by the tests.

use crate::process;
use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

/// An authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// The private key.
    pub key: String,
}

/// A certificate and its key as files.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The certificate.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

fn params(name: &str, days_from: i32, days_until: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let at = |days: i32| {
        let distance = DAY * days.unsigned_abs();
        if days < 0 { SystemTime::now() - distance } else { SystemTime::now() + distance }
    };
    params.not_before = at(days_from).into();
    params.not_after = at(days_until).into();
    params
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let mut params = params(name, -1, 365);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name`, valid from and until so many days from now, with more as `change` says.
    pub fn issue(&self, name: &str, days: (i32, i32), change: impl FnOnce(&mut CertificateParams)) -> Pair {
        self.sign(&KeyPair::generate().expect("a key"), name, days, change)
    }

    /// The same for a private key in PEM.
    pub fn issue_for(
        &self,
        key: &str,
        name: &str,
        days: (i32, i32),
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        self.sign(&KeyPair::from_pem(key).expect("a key"), name, days, change)
    }

    fn sign(
        &self,
        key: &KeyPair,
        name: &str,
        days: (i32, i32),
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut params = params(name, days.0, days.1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let cert = params.signed_by(key, &self.0).expect("a certificate");
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A certificate for a server on this host.
    pub fn server(&self, name: &str) -> Pair {
        self.issue(name, (-1, 90), local)
    }

    /// The same that is valid until then and no longer.
    pub fn server_until(&self, name: &str, until: SystemTime) -> Pair {
        self.issue(name, (-1, 90), |params| {
            local(params);
            params.not_after = until.into();
        })
    }

    /// A certificate for a client.
    pub fn client(&self, name: &str) -> Pair {
        self.issue(name, (-1, 90), |_| {})
    }
}

/// The names under which tests reach a server.
pub fn local(params: &mut CertificateParams) {
    let names = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]);
    params.subject_alt_names = names.expect("names").subject_alt_names;
}

impl Pair {
    /// Writes both into a folder, replacing what is there in place.
    pub fn write(&self, dir: &Path, name: &str) -> Paths {
        let paths = Paths { cert: dir.join(format!("{name}.crt")), key: dir.join(format!("{name}.key")) };
        fs::write(&paths.cert, &self.cert).expect("a certificate's file");
        private(&paths.key, &self.key);
        paths
    }
}

/// Writes a file that only its owner may read.
pub fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("a private file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// What curl got.
#[derive(Debug)]
pub struct Got {
    /// The status; 0 if there was no answer.
    pub status: u16,
    /// Head and body.
    pub text: String,
    /// What curl said about a failure.
    pub error: String,
}

/// curl with these arguments. Only the files that a test names are trusted.
#[track_caller]
pub fn curl(args: &[&str]) -> Got {
    let mut all = vec!["-sS", "-i", "--max-time", "30", "-w", "\n%{http_code}"];
    all.extend(args);
    let output = process::run("curl", &all, b"");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (text, status) = text.rsplit_once('\n').unwrap_or_default();
    Got {
        status: status.parse().unwrap_or(0),
        text: text.to_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `openssl s_client` to a port of this host, with nothing to say after the handshake; and all it printed.
#[track_caller]
pub fn handshake(port: u16, args: &[&str]) -> (Output, String) {
    let address = format!("127.0.0.1:{port}");
    let mut all = vec!["s_client", "-connect", &address];
    all.extend(args);
    let output = process::run("openssl", &all, b"");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}

/// The name in the certificate that a port shows.
#[track_caller]
pub fn served(port: u16) -> String {
    let (_, text) = handshake(port, &[]);
    let line = text.lines().find_map(|line| line.strip_prefix("subject=")).unwrap_or_default();
    line.rsplit_once("CN = ").map_or(String::new(), |(_, name)| name.trim().to_owned())
}
