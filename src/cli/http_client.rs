//! The HTTP client of `send` and `health`, and the address at which they reach a local listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Creates a client that follows no redirects and uses no proxy.
pub(super) fn http_client() -> anyhow::Result<reqwest::Client> {
    // Fails if a provider is installed already, which is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    Ok(client.build()?)
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
