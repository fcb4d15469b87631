//! Connections to the real program that stay open, and signed calls on them.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::app::{RETELL_KEY, retell_call, sign};
use super::wait::DEADLINE;

/// A connection for several requests.
pub(crate) struct KeptConnection(TcpStream);

impl KeptConnection {
    pub(crate) fn open(address: &str) -> KeptConnection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        KeptConnection(stream)
    }

    /// Sends a request and returns the response with its header.
    pub(crate) fn request(&mut self, request: &str) -> String {
        self.send(request);
        self.response()
    }

    pub(crate) fn send(&mut self, request: &str) {
        self.0.write_all(request.as_bytes()).unwrap();
    }

    /// Reads a response with a `Content-Length`.
    pub(crate) fn response(&mut self) -> String {
        let (mut response, mut part) = (String::new(), [0; 4096]);
        loop {
            let length = self.0.read(&mut part).expect("a response");
            assert!(length > 0, "closed after {response:?}");
            response.push_str(std::str::from_utf8(&part[..length]).expect("text"));
            if let Some((head, body)) = response.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let (_, length) = head.split_once("content-length: ").expect("a length");
                let length = length.lines().next().unwrap_or_default().parse::<usize>();
                if body.len() >= length.expect("a number") {
                    return response;
                }
            }
        }
    }

    /// Returns whether the server closes the connection without a response.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0))
    }
}

/// Returns the time of this machine in milliseconds.
pub(crate) fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the real program uses the clock of the machine")]
    jiff::Timestamp::now().as_millisecond()
}

/// Returns a request with a call, signed at a time.
pub(crate) fn call_at(at_ms: i64) -> String {
    let call = retell_call("+12137771234", "+12137771235");
    let (name, value) = sign("retell", call.as_bytes(), at_ms, RETELL_KEY);
    format!(
        "POST /inbound/retell HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\nContent-Length: {}\r\n\r\n{call}",
        call.len()
    )
}
