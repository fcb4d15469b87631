//! Client address of a request, behind reverse proxies.
//!
//! `X-Forwarded-For` counts only as far as trusted proxies wrote it: from the right, the first address
//! that is not a trusted proxy is the client's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Returns the client's address. `peer` is the address of the socket; `None` in tests without sockets.
pub fn client_address(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip().to_canonical());
    if trusted.is_empty() {
        return client;
    }
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let hops: Vec<_> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Some(address) = parse_address(hop) else { break };
        client = address.to_canonical();
    }
    client
}

/// Parses `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn parse_address(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().map(|address| address.ip());
    let bracketed = || hop.trim_matches(['[', ']']).parse();
    hop.parse().or_else(|_| with_port()).or_else(|_| bracketed()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], trusted: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let found =
            client_address(Some(SocketAddr::new(peer.parse().unwrap(), 1)), &headers, &trusted);
        assert_eq!(found.to_string(), expected);
    }

    #[test]
    fn ignores_the_header_without_trusted_proxies() {
        check("203.0.113.9", &["100.20.5.228"], &[], "203.0.113.9");
    }

    #[test]
    fn ignores_the_header_of_an_untrusted_peer() {
        check("203.0.113.9", &["100.20.5.228"], &["10.0.0.0/8"], "203.0.113.9");
    }

    #[test]
    fn takes_the_right_most_address_that_is_not_a_proxy() {
        check("10.0.0.1", &["6.6.6.6, 100.20.5.228, 10.0.0.2"], &["10.0.0.0/8"], "100.20.5.228");
        check("10.0.0.1", &["6.6.6.6", "100.20.5.228"], &["10.0.0.0/8"], "100.20.5.228");
        check("10.0.0.1", &["100.20.5.228:4711"], &["10.0.0.0/8"], "100.20.5.228");
        check("::1", &["[2001:db8::1]:4711"], &["::1/128"], "2001:db8::1");
        check("::ffff:10.0.0.1", &["100.20.5.228"], &["10.0.0.0/8"], "100.20.5.228");
    }

    #[test]
    fn falls_back_to_the_proxy_if_the_header_is_invalid() {
        check("10.0.0.1", &["100.20.5.228, unknown"], &["10.0.0.0/8"], "10.0.0.1");
        check("10.0.0.1", &[], &["10.0.0.0/8"], "10.0.0.1");
    }
}
