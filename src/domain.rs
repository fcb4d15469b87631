//! Domain types: calls, events, decisions, phone numbers and secrets.
//!
//! Pure: they use no clock, network, disk, environment or randomness. [`clock`] is the one exception.

pub mod agent_id;
pub mod call;
pub mod capabilities;
pub mod clock;
pub(crate) mod country;
pub mod decision;
pub mod dialling_plan;
pub mod effect;
pub(crate) mod event;
pub mod facts;
pub mod form;
pub mod json;
pub mod party;
pub mod phone_number;
pub mod private_address;
pub mod secret;
pub mod session;
pub mod sip_address;
pub mod transcript;
pub mod transfer;
pub mod user;
