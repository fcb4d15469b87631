//! The service as its users meet it: data in, data out. One binary, so that it links once.
//!
//! Most of it goes through the router, without sockets and with a fixed clock; `sockets` and
//! `program` use the real thing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod app;

mod authenticate;
mod bad_tables;
mod checking;
mod country;
mod dialects;
mod events;
mod explaining;
mod front_door;
mod matching;
mod never_lost;
mod postgres;
mod program;
mod properties;
mod records;
mod records_cli;
mod records_faults;
mod reload;
mod replay;
mod rules;
mod schema;
mod serving;
mod settings;
mod sockets;
mod then;
mod tidy;
