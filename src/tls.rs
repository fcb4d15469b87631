//! TLS on the public listener: certificates, which one a client receives, and their replacement while
//! connections are open.
//!
//! The certificates arrive as PEM; `settings` reads the files.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use x509_cert::certificate::Version;
use x509_cert::der::Decode;

/// Identifiers of the application protocols that a TLS client may choose (RFC 7301).
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
/// HTTP/2.
pub(crate) const HTTP_2: &[u8] = b"h2";

/// A certificate chain with its private key.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// Name for logs and metrics: the path of the certificate's file.
    pub name: Arc<str>,
    /// Time from which clients accept the certificate.
    pub valid_from: Timestamp,
    /// Time after which clients reject the certificate.
    pub valid_until: Timestamp,
}

/// Reason for which files are not a certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The file of the certificate contains none.
    #[error("the file contains no certificate in PEM (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// The text of the certificate is cut off, or is not Base64.
    #[error("the certificate is cut off or damaged: its PEM text cannot be decoded")]
    DamagedCertificate,
    /// The certificate is not X.509.
    #[error("the first certificate is not an X.509 certificate")]
    NotX509,
    /// The certificate has a version that no TLS client accepts.
    #[error("the first certificate has X.509 version {0}, and TLS clients accept version 3 alone")]
    OldVersion(u8),
    /// The file of the key contains none.
    #[error("the file contains no private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    /// The text of the key is cut off, or is not Base64.
    #[error("the private key is cut off or damaged: its PEM text cannot be decoded")]
    DamagedKey,
    /// The key has an unsupported type or size.
    #[error("the private key has an unsupported type or size")]
    UnusableKey,
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the first certificate of the chain")]
    OtherKey,
}

impl CertificateError {
    /// Returns whether the cause is in the file of the key.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::DamagedKey | Self::UnusableKey | Self::OtherKey)
    }
}

impl Certificate {
    /// Parses a chain, which begins with the certificate of the server, and its private key.
    ///
    /// # Errors
    /// Fails if either cannot be read, or if they do not belong together.
    pub fn from_pem(name: &str, chain: &[u8], key: &[u8]) -> Result<Certificate, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_undecodable| CertificateError::DamagedCertificate)?;
        let first = chain.first().ok_or(CertificateError::NoCertificate)?;
        let not_x509 = |_| CertificateError::NotX509;
        let parsed = x509_cert::Certificate::from_der(first).map_err(not_x509)?;
        let parsed = parsed.tbs_certificate();
        match parsed.version() {
            Version::V1 => return Err(CertificateError::OldVersion(1)),
            Version::V2 => return Err(CertificateError::OldVersion(2)),
            Version::V3 => {}
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            let is_absent = matches!(error, pem::Error::NoItemsFound);
            if is_absent { CertificateError::NoKey } else { CertificateError::DamagedKey }
        })?;
        let validity = *parsed.validity();
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let key = key.map_err(|error| {
            if error == InconsistentKeys::KeyMismatch.into() {
                CertificateError::OtherKey
            } else if let rustls::Error::InvalidCertificate(_) = error {
                CertificateError::NotX509
            } else {
                CertificateError::UnusableKey
            }
        })?;
        let time = |time: x509_cert::time::Time| {
            Timestamp::try_from(time.to_system_time())
                .map_err(|_out_of_range| CertificateError::NotX509)
        };
        Ok(Certificate {
            key: Arc::new(key),
            name: name.into(),
            valid_from: time(validity.not_before)?,
            valid_until: time(validity.not_after)?,
        })
    }

    fn is_for(&self, server: &ServerName<'_>) -> bool {
        let first = self.key.end_entity_cert().and_then(ParsedCertificate::try_from);
        first.is_ok_and(|first| verify_server_name(&first, server).is_ok())
    }
}

/// The certificates in use. Clones share them, so that a reload reaches the listener.
#[derive(Clone)]
pub struct LiveCertificates(Arc<ArcSwap<Vec<Certificate>>>);

impl LiveCertificates {
    /// Starts with these certificates.
    pub fn new(certificates: Vec<Certificate>) -> LiveCertificates {
        LiveCertificates(Arc::new(ArcSwap::from_pointee(certificates)))
    }

    /// Replaces the certificates, for handshakes from now on.
    pub fn replace(&self, certificates: Arc<Vec<Certificate>>) {
        self.0.store(certificates);
    }

    /// Returns the certificates in use.
    pub fn current(&self) -> Arc<Vec<Certificate>> {
        self.0.load_full()
    }

    /// Returns the certificate for a server name: the first one with that name, or else the first one,
    /// which serves clients without SNI too.
    fn select(&self, server: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.0.load();
        let server = server.and_then(|name| ServerName::try_from(name).ok());
        let named = server
            .and_then(|name| certificates.iter().find(|certificate| certificate.is_for(&name)));
        named.or(certificates.first()).map(|certificate| certificate.key.clone())
    }

    /// Returns the TLS configuration of a listener. With `http2`, clients may choose HTTP/2.
    pub(crate) fn server_config(&self, http2: bool) -> Arc<ServerConfig> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        // Resumption without state: a platform connects to any of several replicas.
        if let Ok(ticketer) = ring::Ticketer::new() {
            config.ticketer = ticketer;
        }
        let protocols = [http2.then_some(HTTP_2), Some(HTTP_1)];
        config.alpn_protocols = protocols.into_iter().flatten().map(<[u8]>::to_vec).collect();
        Arc::new(config)
    }
}

impl ResolvesServerCert for LiveCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.select(hello.server_name())
    }
}

/// Shows the names of the certificates, and nothing of their keys.
impl fmt::Debug for LiveCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = self.0.load();
        f.debug_list().entries(certificates.iter().map(|certificate| &certificate.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};

    use super::*;

    fn pem(names: &[&str]) -> (String, String) {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let issued = rcgen::generate_simple_self_signed(names).unwrap();
        (issued.cert.pem(), issued.signing_key.serialize_pem())
    }

    fn certificate(names: &[&str]) -> Certificate {
        let (chain, key) = pem(names);
        Certificate::from_pem(names[0], chain.as_bytes(), key.as_bytes()).unwrap()
    }

    #[test]
    fn a_client_receives_the_certificate_for_the_name_that_it_asks_for() {
        let [a, b] = [&["a.example"][..], &["b.example", "*.b.example"]].map(certificate);
        let live = LiveCertificates::new(vec![a.clone(), b.clone()]);
        let selects = |server, expected: &Certificate| {
            let selected = live.select(server).unwrap();
            assert!(Arc::ptr_eq(&selected, &expected.key), "{server:?}");
        };
        selects(Some("a.example"), &a);
        selects(Some("b.example"), &b);
        selects(Some("www.b.example"), &b);
        selects(Some("other.example"), &a);
        selects(None, &a);
        live.replace(Arc::new(vec![b.clone()]));
        let selected = live.select(Some("a.example")).unwrap();
        assert!(Arc::ptr_eq(&selected, &b.key));
    }

    #[test]
    fn files_that_are_no_pair_are_rejected() {
        let (chain, key) = pem(&["a.example"]);
        let (_, other) = pem(&["a.example"]);
        let parse = |chain: &str, key: &str| {
            Certificate::from_pem("a", chain.as_bytes(), key.as_bytes()).err()
        };
        assert_eq!(parse(&chain, &key), None);
        assert_eq!(parse(&key, &key), Some(CertificateError::NoCertificate));
        assert_eq!(parse("", &key), Some(CertificateError::NoCertificate));
        assert_eq!(parse(&chain, &chain), Some(CertificateError::NoKey));
        assert_eq!(parse(&chain, &other), Some(CertificateError::OtherKey));
        let der = |bytes: &[u8]| {
            let base64 = BASE64_STANDARD.encode(bytes);
            format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
        };
        assert_eq!(parse(&der(b"hello"), &key), Some(CertificateError::NotX509));
        let not_base64 = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert_eq!(parse(not_base64, &key), Some(CertificateError::DamagedCertificate));
        let cut_off = |pem: &str| pem[..pem.len() / 2].to_owned();
        assert_eq!(parse(&cut_off(&chain), &key), Some(CertificateError::DamagedCertificate));
        assert_eq!(parse(&chain, &cut_off(&key)), Some(CertificateError::DamagedKey));
        let mut bytes = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap().to_vec();
        // `[0] INTEGER 2` is version 3.
        let version = bytes.windows(5).position(|five| five == [0xa0, 3, 2, 1, 2]).unwrap();
        bytes[version + 4] = 1;
        assert_eq!(parse(&der(&bytes), &key), Some(CertificateError::OldVersion(2)));
    }
}
