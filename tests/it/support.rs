//! What the tests share: the service in memory, the real program, and a private PostgreSQL.

pub(crate) mod app;
pub(crate) mod postgres;
pub(crate) mod program;
