//! Certificates and a TLS client.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use switchboard::tls::Certificate;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A self-signed certificate with its key.
pub(crate) struct SelfSigned {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl SelfSigned {
    pub(crate) fn new(names: &[&str]) -> SelfSigned {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let params = rcgen::CertificateParams::new(names).expect("valid names");
        SelfSigned::with(&params)
    }

    pub(crate) fn expired(name: &str) -> SelfSigned {
        let mut params =
            rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a valid name");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 4, 1);
        SelfSigned::with(&params)
    }

    fn with(params: &rcgen::CertificateParams) -> SelfSigned {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        SelfSigned {
            der: certificate.der().clone(),
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_pem("test", self.chain.as_bytes(), self.key.as_bytes())
            .expect("the certificate and the key belong together")
    }
}

/// Performs a handshake as a client that trusts `trusted` and offers these protocols.
pub(crate) async fn connect(
    address: SocketAddr,
    name: &str,
    trusted: &SelfSigned,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    handshake(stream, name, trusted, protocols).await
}

pub(crate) async fn handshake(
    stream: TcpStream,
    name: &str,
    trusted: &SelfSigned,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
