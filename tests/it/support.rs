//! Shared by all tests: the service in memory, the real program, a private PostgreSQL, and waits with a
//! deadline.

pub(crate) mod app;
pub(crate) mod connection;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod replies;
pub(crate) mod required;
pub(crate) mod tls;
pub(crate) mod wait;
