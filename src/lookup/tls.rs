//! TLS of all clients for other systems: they trust the certificate authorities of the machine.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::Verifier;

/// Returns the settings of TLS. The certificate authorities are read and parsed once, which takes some 40 ms:
/// no call waits for it, because look-ups are prepared before their table is live.
///
/// # Errors
/// Fails if the machine has no certificate authorities. The next attempt looks again.
pub(crate) fn client_config() -> Result<Arc<ClientConfig>, &'static str> {
    static CONFIG: Mutex<Option<Arc<ClientConfig>>> = Mutex::new(None);
    let mut config = CONFIG.lock().unwrap_or_else(PoisonError::into_inner);
    match &*config {
        Some(config) => Ok(config.clone()),
        None => {
            let new = load().map_err(|_| "this machine has no certificate authorities")?;
            Ok(config.insert(Arc::new(new)).clone())
        }
    }
}

fn load() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(provider.clone())?;
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // Not a weaker verifier: the one that reqwest would create for each client.
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clients_share_what_was_parsed_once() {
        let (one, other) = (client_config(), client_config());
        if let (Ok(one), Ok(other)) = (one, other) {
            assert!(Arc::ptr_eq(&one, &other));
        }
    }
}
