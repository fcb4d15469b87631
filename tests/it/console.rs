//! The console: who is let in, and what each page shows to whom.

mod access;
mod browser;
mod calls;
mod change;
mod client;
mod rules;
