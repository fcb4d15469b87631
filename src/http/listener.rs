//! Listening sockets: bound here, or passed by a service manager.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted; the kernel's own limit may be lower.
const BACKLOG: u32 = 4096;

/// Binds a listening socket to `address`. With `reuse_port`, several processes can listen there, and the
/// kernel distributes connections among them (`SO_REUSEPORT`).
///
/// # Errors
/// Fails if the address is in use or does not belong to this machine.
pub fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Allows an immediate restart on the same port.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Listening sockets that systemd opened for the service (`sd_listen_fds(3)`). They survive a restart, so
/// that clients wait in the kernel's queue in place of being refused.
#[derive(Debug, Default)]
pub struct PassedSockets {
    /// Socket named `public`, or with any name other than `admin`.
    pub public: Option<StdListener>,
    /// Socket named `admin`.
    pub admin: Option<StdListener>,
}

impl PassedSockets {
    /// Takes the sockets that the environment announces. `names` is the value of `LISTEN_FDNAMES`. To be
    /// called before any other thread runs, because it removes variables from the environment.
    ///
    /// # Errors
    /// Fails if a file descriptor is no listening TCP socket, or if two have the same purpose.
    pub fn take(names: Option<&str>) -> io::Result<PassedSockets> {
        let mut passed = ListenFd::from_env();
        let mut names = names.unwrap_or_default().split(':');
        let mut sockets = PassedSockets::default();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let place = if name == "admin" { &mut sockets.admin } else { &mut sockets.public };
            if place.is_some() {
                let message = "systemd passed two sockets for one listener; \
                               name them with FileDescriptorName=public and FileDescriptorName=admin";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            *place = passed.take_tcp_listener(index)?;
        }
        Ok(sockets)
    }
}

/// Registers a passed socket with the runtime.
///
/// # Errors
/// Fails if the socket cannot be made non-blocking.
pub fn adopt(socket: StdListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}
