//! Integration tests through the public interface, in one binary so that they link once.
//!
//! Most tests use the router, without sockets and with a fixed clock. `sockets` uses connections; `cli_*` and
//! `records_faults` run the program.

#![expect(clippy::unwrap_used, reason = "a failed precondition fails the test")]

mod support;

mod authenticate;
mod bad_tables;
mod broken_files;
mod canary;
mod capabilities;
mod cli_check;
mod cli_explain;
mod cli_init;
mod cli_output;
mod cli_passwd;
mod cli_program;
mod cli_records;
mod cli_rules;
mod cli_serve;
mod clock_changes;
mod console;
mod country;
mod credentials;
mod declared_platforms;
mod delivery;
mod dialects;
mod docs;
mod effects;
mod events;
mod explain_recorded;
mod forwarding;
mod full_disk;
mod fuzz_seeds;
mod golden;
mod help_texts;
mod left_out;
mod list_guards;
mod lists;
mod live_lists;
mod lookup_checks;
mod lookups;
mod matching;
mod metrics;
mod mistakes;
mod monitoring;
mod odd_bodies;
mod one_table;
mod open_files;
mod outcomes;
mod overview;
mod pipeline;
mod properties;
mod public_http;
mod raw_requests;
mod recipes;
mod records;
mod records_faults;
mod reload;
mod replay;
mod rule_changes;
mod rules;
mod schema;
mod scopes;
mod service_manager;
mod settings;
mod signatures;
mod sockets;
mod tidy;
mod time;
#[cfg(feature = "otlp")]
mod traces;
mod transport;
mod twiml;
