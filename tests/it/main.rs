//! The service as its users meet it: data in, data out. One binary, so that it links once.
//!
//! Most of it goes through the router, without sockets and with a fixed clock; `sockets` and
//! `program` use the real thing.

mod app;

mod authenticate;
mod country;
mod dialects;
mod front_door;
mod never_lost;
mod program;
mod properties;
mod rules;
mod settings;
mod sockets;
mod tidy;
