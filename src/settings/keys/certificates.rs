//! `server.tls`: certificates and private keys, read from their files.

use std::path::Path;
use std::time::Duration;

use config::ValueKind;
use jiff::Timestamp;

use super::CertificateKeys;
use super::reader::Entry;
use crate::regular_file::{self, SizeLimit};
use crate::settings::Purpose;
use crate::tls::{Certificate, CertificateError};

/// Time before the end of its validity at which a certificate is reported. ACME clients renew a month
/// before it.
const RENEWAL_OVERDUE: Duration = Duration::from_hours(14 * 24);

/// Values of certificates.
impl Entry<'_, '_> {
    /// Reads one certificate, or a list of them. Those that cannot be used have been reported.
    pub(crate) fn certificates(&mut self) -> Option<Vec<Certificate>> {
        let ValueKind::Array(list) = &self.value.kind else {
            return Some(self.certificate().into_iter().collect());
        };
        if list.is_empty() {
            let message = format!("`{}` has no certificate", self.name());
            self.error("bad-value", message).help("write { cert = \"FILE\", key = \"FILE\" }");
            return None;
        }
        let read = list.clone().into_iter().enumerate().filter_map(|(index, value)| {
            let path = [&self.path[..], &[index.to_string()]].concat();
            Entry { reader: self.reader, path, value }.certificate()
        });
        Some(read.collect())
    }

    fn certificate(&mut self) -> Option<Certificate> {
        let (keys, section) = self.table_keys::<CertificateKeys>()?;
        for name in ["cert", "key"].into_iter().filter(|name| !section.has(name)) {
            let message = format!("`{}`: `{name}` is missing", self.name());
            self.error("missing-key", message)
                .help("write { cert = \"FILE\", key = \"FILE\" }, both files in PEM");
        }
        let (cert, key) = (keys.cert?, keys.key?);
        let (cert_path, key_path) = (section.path_to("cert"), section.path_to("key"));
        let chain = self.pem_file(&cert, &cert_path);
        let secret = self.pem_file(&key, &key_path);
        let name = cert.display().to_string();
        match Certificate::from_pem(&name, &chain?, &secret?) {
            Ok(certificate) => {
                self.check_validity(&certificate, &cert_path);
                self.reader.warn_if_exposed(&key, &key_path);
                Some(certificate)
            }
            Err(error) => {
                let (file, path) = match error.is_about_key() {
                    true => (&key, &key_path),
                    false => (&cert, &cert_path),
                };
                let message = format!("`{}`: {}: {error}", path.join("."), file.display());
                self.reader.error("bad-certificate", path, message).help(help(&error));
                None
            }
        }
    }

    /// Reads a file. Where nothing is served, its absence is only noted.
    fn pem_file(&mut self, file: &Path, path: &[String]) -> Option<Vec<u8>> {
        self.reader.note_file(file);
        let error = match regular_file::read(file, SizeLimit::CERTIFICATE) {
            Ok(bytes) => return Some(bytes),
            Err(error) => error,
        };
        let message = format!("`{}`: cannot read {}: {error}", path.join("."), file.display());
        if self.reader.inputs.purpose == Purpose::Inspect && !regular_file::is_unusable(&error) {
            let help = "before you run `serve`, store the file there";
            self.reader.note("certificate-missing", path, message).help(help);
        } else {
            let help = "name a file in PEM that the service may read";
            self.reader.error("no-certificate", path, message).help(help);
        }
        None
    }

    /// Warns of a certificate that clients reject, or will soon reject. It is used all the same: an
    /// expired one can be replaced while the service runs.
    fn check_validity(&mut self, certificate: &Certificate, path: &[String]) {
        #[expect(clippy::disallowed_methods, reason = "certificates expire")]
        let now = Timestamp::now();
        let Certificate { valid_from, valid_until, .. } = certificate;
        let problem = if *valid_until <= now {
            format!("expired at {valid_until}")
        } else if *valid_from > now {
            format!("is not valid before {valid_from}")
        } else if *valid_until - RENEWAL_OVERDUE <= now {
            format!("expires at {valid_until}")
        } else {
            return;
        };
        let message = format!("`{}`: the certificate {problem}", path.join("."));
        let help = "renew it; the new files are loaded without a restart";
        self.reader.warning("certificate-validity", path, message).help(help);
    }
}

fn help(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::NoCertificate
        | CertificateError::DamagedCertificate
        | CertificateError::NotX509 => "use the full chain in PEM: fullchain.pem of an ACME client",
        CertificateError::OldVersion(_) => {
            "request a certificate of version 3 with the name of the server in subjectAltName, as ACME clients do"
        }
        CertificateError::NoKey | CertificateError::DamagedKey | CertificateError::UnusableKey => {
            "use an unencrypted key in PEM, RSA from 2048 bits, ECDSA P-256 or P-384, or Ed25519: privkey.pem of an ACME client"
        }
        CertificateError::OtherKey => "use the key with which the certificate was requested",
    }
}
