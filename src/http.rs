//! HTTP: the public listener, the admin listener, and the accept loop that serves both.
//!
//! Both listeners are axum routers. No other module names a status code.

pub mod admin;
mod body;
mod client_ip;
mod connections;
mod host;
mod listener;
mod paths;
mod problem;
mod proxy_protocol;
pub mod public;
mod request_counters;
mod server;

pub use client_ip::client_address;
pub(crate) use connections::Connection;
pub(crate) use host::is_for_loopback;
pub use listener::{PassedSockets, adopt, bind};
pub use paths::OriginalTarget;
pub use problem::HttpProblem;
pub use server::{ConnectionLimits, Transport, serve};
