//! The certificate that a listener shows and those that it accepts, replaced while connections go on.
//!
//! Owns reading the files into something that the handshake can use, and the TLS settings. Leaves to
//! `credentials` when they are read again, and to `http` the connections.

use super::certificate::{Validity, validity};
use super::{CredentialsError, Files};
use crate::config::TlsVersion;
use crate::input_file;
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Largest file of certificates or keys, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Largest chain that a listener shows, in bytes of certificates. Clients refuse more, OpenSSL beyond 100 KiB.
const MAX_CHAIN: usize = 64 << 10;

/// What a listener shows and accepts at one time.
#[derive(Debug)]
pub(super) struct Identity {
    certified: Arc<CertifiedKey>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) validity: Validity,
}

/// A listener's identity; the present one is asked at each handshake.
#[derive(Debug)]
pub struct Tls {
    live: ArcSwap<Identity>,
    provider: Arc<CryptoProvider>,
}

impl Tls {
    pub(super) fn new(identity: Identity) -> Self {
        Self { live: ArcSwap::from_pointee(identity), provider: Arc::new(ring::default_provider()) }
    }

    pub(super) fn replace(&self, identity: Identity) {
        self.live.store(Arc::new(identity));
    }

    pub(super) fn validity(&self) -> Validity {
        self.live.load().validity
    }

    /// The settings of the handshake. Sessions are not resumed: a resumed one would not look at the certificates
    /// again, neither at a new one of ours nor at whether the client's is still good.
    ///
    /// # Errors
    /// The library has no cipher suite for the versions, which it always has.
    pub fn server(self: &Arc<Self>, oldest: TlsVersion) -> Result<ServerConfig, Error> {
        let versions = match oldest {
            TlsVersion::V1_3 => &[&TLS13][..],
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(Arc::<Self>::clone(self))
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.live.load().certified))
    }
}

impl ClientCertVerifier for Tls {
    fn offer_client_auth(&self) -> bool {
        self.live.load().clients.is_some()
    }

    /// Clients are not told which authorities are accepted, because the list may change.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.live.load().clients {
            Some(clients) => clients.verify_client_cert(end_entity, intermediates, now),
            // The authority went away since the certificate was asked for.
            None => Err(Error::General("no client certificates are accepted".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Reads the files of a listener; every fault is named with its key, path, problem and way out.
pub(super) fn load(files: &Files) -> Result<Identity, CredentialsError> {
    let chain = chain(&files.cert_file).and_then(showable).map_err(|problem| {
        files.fault(
            "cert_file",
            &files.cert_file,
            &problem,
            "name a file of certificates in PEM, the listener's first",
        )
    });
    let key = private_key(&files.private_key).map_err(|problem| {
        files.fault(
            "private_key",
            &files.private_key,
            &problem,
            "name a file with the certificate's private key in PEM, not encrypted",
        )
    });
    let clients = files.ca_file.as_deref().map(clients).transpose().map_err(|problem| {
        let path = files.ca_file.as_deref().unwrap_or(Path::new(""));
        files.fault("ca_file", path, &problem, "name a file of authorities' certificates in PEM")
    });
    let (chain, key, clients) = match (chain, key, clients) {
        (Ok(chain), Ok(key), Ok(clients)) => (chain, key, clients),
        (chain, key, clients) => {
            let faults = [chain.err(), key.err(), clients.err()];
            return Err(CredentialsError::from_iter(faults.into_iter().flatten()));
        }
    };
    let mismatch = |problem: &str| {
        let way_out = "name the key that the certificate was made for";
        CredentialsError::from_iter([files.fault("private_key", &files.private_key, problem, way_out)])
    };
    let validity = chain.first().and_then(|first| validity(first)).ok_or_else(|| {
        let way_out = "have it made again";
        CredentialsError::from_iter([files.fault(
            "cert_file",
            &files.cert_file,
            "begins with a certificate that cannot be read",
            way_out,
        )])
    })?;
    let key = ring::sign::any_supported_type(&key).map_err(|_| {
        mismatch("is of a kind that is not supported (RSA, ECDSA P-256 and P-384, Ed25519 are)")
    })?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| {
        mismatch(&format!("is not the key of the certificate in {}", files.cert_file.display()))
    })?;
    Ok(Identity { certified: Arc::new(certified), clients, validity })
}

/// The file's bytes, or what is wrong with it.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = input_file::read(path, MAX_FILE + 1).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE { Err(format!("is larger than {MAX_FILE} bytes")) } else { Ok(bytes) }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if all.is_empty() => Err("has no certificate".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("is damaged: {error}")),
    }
}

/// A chain that clients take. A file of all authorities, named by mistake, is none.
fn showable(chain: Vec<CertificateDer<'static>>) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
    let number = chain.len();
    if bytes <= MAX_CHAIN {
        Ok(chain)
    } else {
        Err(format!("has {number} certificates, more than clients take"))
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| "has no private key that can be used".to_owned())
}

fn clients(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots.add(certificate).map_err(|error| format!("has a certificate that cannot be used: {error}"))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
        .build()
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(|error| format!("cannot be used: {error}"))
}
