//! Version 2 of HAProxy's PROXY protocol: a header, before anything that the client sends, in which a load
//! balancer that forwards bytes names the client's address.
//!
//! Source: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, section 2.2.

use std::io;
use std::net::SocketAddr;

use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Signature, version, family and length of the rest.
const FIXED_BYTES: usize = 16;
/// Position of the length, two bytes in network order.
const LENGTH_AT: usize = 14;
/// Maximum length of the rest, in bytes: addresses and extensions. Those of the large cloud providers need
/// less than 300.
const MAX_REST_BYTES: usize = 2048;

/// Reads the header from the beginning of a connection, and nothing after it. Returns the client's
/// address, or `None` if the proxy itself is the client, as in a health check.
///
/// # Errors
/// Fails if the connection does not begin with a header of version 2.
pub(super) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message);
    let mut header = vec![0; FIXED_BYTES];
    stream.read_exact(&mut header).await?;
    if !header.starts_with(PROTOCOL_PREFIX) {
        return Err(invalid("the connection does not begin with a PROXY header of version 2"));
    }
    let length = usize::from(u16::from_be_bytes([header[LENGTH_AT], header[LENGTH_AT + 1]]));
    if length > MAX_REST_BYTES {
        return Err(invalid("the PROXY header is too long"));
    }
    header.resize(FIXED_BYTES + length, 0);
    stream.read_exact(&mut header[FIXED_BYTES..]).await?;
    let header = Header::try_from(&header[..]).map_err(|error| invalid(&error.to_string()))?;
    Ok(match (header.command, header.addresses) {
        (Command::Proxy, Addresses::IPv4(ip)) => {
            Some(SocketAddr::from((ip.source_address, ip.source_port)))
        }
        (Command::Proxy, Addresses::IPv6(ip)) => {
            Some(SocketAddr::from((ip.source_address, ip.source_port)))
        }
        (Command::Local, _) | (Command::Proxy, Addresses::Unix(_) | Addresses::Unspecified) => None,
    })
}

#[cfg(test)]
mod tests {
    use ppp::v2::{Builder, Protocol, Version};

    use super::*;

    async fn read(mut bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, &[u8]) {
        let client = read_header(&mut bytes).await;
        (client, bytes)
    }

    fn header(command: Command, from: &str, to: &str) -> Vec<u8> {
        let addresses: (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let builder = Builder::with_addresses(Version::Two | command, Protocol::Stream, addresses);
        builder.write_tlv(ppp::v2::Type::Authority, b"a.example").unwrap().build().unwrap()
    }

    #[tokio::test]
    async fn the_client_address_is_read_and_nothing_after_it() {
        for from in ["203.0.113.9:4711", "[2001:db8::9]:4711"] {
            let to = if from.starts_with('[') { "[::1]:443" } else { "10.0.0.1:443" };
            let bytes = [&header(Command::Proxy, from, to)[..], b"GET / HTTP/1.1\r\n"].concat();
            let (client, rest) = read(&bytes).await;
            assert_eq!(client.unwrap(), Some(from.parse().unwrap()));
            assert_eq!(rest, b"GET / HTTP/1.1\r\n");
        }
    }

    #[tokio::test]
    async fn a_health_check_of_the_proxy_has_no_client() {
        let bytes = header(Command::Local, "10.0.0.2:1", "10.0.0.1:443");
        assert_eq!(read(&bytes).await.0.unwrap(), None);
    }

    #[tokio::test]
    async fn anything_else_is_an_error() {
        let valid = header(Command::Proxy, "203.0.113.9:4711", "10.0.0.1:443");
        let mut long = valid.clone();
        long[LENGTH_AT..FIXED_BYTES].copy_from_slice(&u16::MAX.to_be_bytes());
        let mut version = valid.clone();
        version[12] = 0x11;
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..],
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n",
            &valid[..valid.len() - 1],
            &long,
            &version,
            b"",
        ] {
            assert!(read(bytes).await.0.is_err(), "{bytes:?}");
        }
    }
}
