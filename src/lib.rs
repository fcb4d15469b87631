//! Switchboard answers a voice-AI platform's question "a call is coming in: who takes it?".
//!
//! The rooms, in the order in which a request walks through them:
//!
//! 1. [`listen`] takes the request in and hands the answer out; all status codes are there.
//! 2. [`authenticate`] proves who sent it: `Unverified` → `Verified`.
//! 3. [`dialect`] reads what the platform says: `Verified` → `Call`.
//! 4. [`decide`] finds the rule that fits: `Call` → `Decision`.
//! 5. [`dialect`] writes what the platform wants to hear: `Decision` → `Reply`.
//!
//! [`pipeline`] is the spine that leads through them, one line a room. [`rules`] and [`settings`]
//! are read and checked before the first request comes.

pub mod pipeline;

pub mod domain;
pub mod http;
pub mod source;

pub mod authenticate;
pub mod dialect;
pub mod records;
pub mod reload;
pub mod rules;

pub mod explain;
pub mod replay;

pub mod cli;
pub mod diagnostics;
pub mod schema;
pub mod settings;
pub mod telemetry;
