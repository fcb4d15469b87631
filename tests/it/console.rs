//! The console: who is let in, and what each page shows to whom.

mod access;
mod browser;
mod call;
mod calls;
mod change;
mod client;
mod health;
mod live;
mod masking;
mod rules;
mod setup;
mod try_call;
