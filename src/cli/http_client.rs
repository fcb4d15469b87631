//! The HTTP client of `send` and `health`, and the address at which they reach a local listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A client that follows nobody and keeps nothing.
pub(super) fn http_client() -> anyhow::Result<reqwest::Client> {
    // The second one to install a provider is told so; either way there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    Ok(client.build()?)
}

/// Where to reach what listens at `listen`: `0.0.0.0` is everywhere, so loopback will do.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match listen.ip() {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let ip = if listen.ip().is_unspecified() { loopback } else { listen.ip() };
    SocketAddr::new(ip, listen.port())
}
