//! Switchboard routes incoming calls and texts of voice platforms to agents, from a table of rules.
//!
//! The modules, in the order in which they handle a request:
//!
//! 1. [`http`] receives the request; it is the only module with status codes.
//! 2. [`authenticate`] verifies the sender: `Unverified` → `Verified`.
//! 3. [`dialect`] parses the platform's body: `Verified` → `Call`.
//! 4. [`rules`] decides, with [`rules::engine`]: `Call` → `Decision`.
//! 5. [`dialect`] renders the platform's reply: `Decision` → `Reply`.
//! 6. [`records`] stores the call and the decision.
//!
//! [`pipeline`] connects these steps. [`rules`] and [`settings`] are loaded and checked before the first
//! request; [`reload`] replaces the rules later. `ARCHITECTURE.md` describes the whole.
//!
//! # Example
//!
//! A rule table decides a call, and Retell's dialect renders the reply:
//!
//! ```
//! use switchboard::dialect::{self, RenderContext};
//! use switchboard::domain::call::{Call, Channel, Fields};
//! use switchboard::domain::facts::Facts;
//! use switchboard::domain::party::Party;
//! use switchboard::rules::{self, CheckContext, engine};
//!
//! let text = r#"
//! [[rule]]
//! name = "everyone"
//! agent = "agent_1"
//! variables = { caller = "${from}" }
//! "#;
//! let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
//! let table = loaded.table.expect("a table without errors");
//!
//! let retell = dialect::by_name("retell").unwrap();
//! let from = Party::parse(Some("+12137771234")).party;
//! let fields = Fields { from, ..Fields::unknown(Channel::Call) };
//! let call = Call::synthetic("my-workspace", retell.platform(), fields);
//!
//! let decision = engine::decide_offline(&table, &call, &Facts::at("2026-11-26T12:00:00Z".parse()?));
//! assert_eq!(decision.rule(), Some("everyone"));
//! let reply = retell.render(&RenderContext::of_channel(call.channel()), &decision);
//! let expected = r#"{"call_inbound":{"override_agent_id":"agent_1","dynamic_variables":{"caller":"+12137771234"}}}"#;
//! assert_eq!(reply.body(), expected.as_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod domain;
pub mod effects;
pub mod source;

pub mod http;
pub mod pipeline;

pub mod authenticate;
pub mod dialect;
pub mod live_lists;
pub mod lookup;
pub mod records;
pub mod reload;
pub mod rules;

pub mod explain;
pub mod replay;
pub mod rule_changes;

pub mod cli;
pub mod console;
pub mod diagnostics;
mod file_kind;
mod priority;
mod regular_file;
pub mod schema;
pub mod settings;
pub mod signed_request;
pub mod status;
pub mod telemetry;
pub mod tls;
mod toml_advice;
