//! The service as its users meet it: data in, data out. One binary, so that it links once.
//!
//! Most of it goes through the router, without sockets and with a fixed clock; `sockets` and
//! `program` use the real thing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod support;

mod authenticate;
mod bad_tables;
mod cli_check;
mod cli_explain;
mod cli_program;
mod cli_records;
mod cli_serve;
mod country;
mod dialects;
mod docs;
mod events;
mod explain_recorded;
mod matching;
mod pipeline;
mod properties;
mod public_http;
mod records;
mod records_faults;
mod reload;
mod replay;
mod rules;
mod schema;
mod settings;
mod sockets;
mod tidy;
