//! The HTTP side: the accept loop, the public listener and the admin listener.

pub mod admin;
pub(crate) mod client_ip;
pub(crate) mod problem;
pub mod public;
pub(crate) mod server;
