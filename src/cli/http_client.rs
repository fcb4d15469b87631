//! The HTTP client of `send` and `health`, and the address at which they reach a local listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Creates a client that follows no redirects and uses no proxy.
pub(super) fn http_client() -> anyhow::Result<reqwest::Client> {
    // Fails if a provider is installed already, which is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    Ok(client.build()?)
}

/// Returns the value of `--url`.
///
/// # Errors
/// Fails unless it begins with `http://` or `https://`.
pub(super) fn http_url(text: &str) -> anyhow::Result<String> {
    let is_http = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    anyhow::ensure!(
        is_http,
        "--url: `{text}` begins with neither http:// nor https://: write http://{host}"
    );
    Ok(text.to_owned())
}

/// Returns the address at which a local client reaches a listener: loopback for `0.0.0.0`.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match listen.ip() {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let ip = if listen.ip().is_unspecified() { loopback } else { listen.ip() };
    SocketAddr::new(ip, listen.port())
}
