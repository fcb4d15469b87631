//! Domain types: calls, events, decisions, phone numbers and secrets. Pure: no clock, network, disk or environment.

pub mod call;
pub mod clock;
pub(crate) mod country;
pub mod decision;
pub(crate) mod event;
pub mod facts;
pub mod phone_number;
pub mod secret;
