//! The flags that say which calls are wanted.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::zone;
use crate::records::{Filter, FilterArgs, InvalidFilter, NumberPolicy};

/// Which calls are wanted.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct FilterFlags {
    /// Calls since then: 7d, 24h or 90m ago, 2026-11-01, 2026-11-01T09:30, 2026-11-01T09:30:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Calls before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Calls from or to this number, in any spelling; `withheld`; or a text
    #[arg(long, allow_hyphen_values = true)]
    number: Option<String>,
    /// Calls that this rule decided
    #[arg(long)]
    rule: Option<String>,
    /// Calls that this source asked about
    #[arg(long)]
    source: Option<String>,
    /// Calls that came to this: agent, reject or keep
    #[arg(long)]
    outcome: Option<String>,
    /// The call with this id at its platform
    #[arg(long, value_name = "ID")]
    call_id: Option<String>,
    /// The zone of the times that are read and shown
    #[arg(long, default_value = "UTC")]
    zone: String,
}

impl FilterFlags {
    pub(in crate::cli) fn zone(&self) -> anyhow::Result<TimeZone> {
        zone(&self.zone)
    }

    /// What the flags mean; `since` where they say nothing of it.
    pub(in crate::cli) fn read(
        &self,
        now: Timestamp,
        numbers: &NumberPolicy,
        since: Option<&str>,
    ) -> anyhow::Result<Filter> {
        let words = FilterArgs {
            since: self.since.clone().or_else(|| since.map(str::to_owned)),
            until: self.until.clone(),
            number: self.number.clone(),
            rule: self.rule.clone(),
            source: self.source.clone(),
            outcome: self.outcome.clone(),
            call_id: self.call_id.clone(),
        };
        words.filter(now, &self.zone()?, numbers).map_err(|InvalidFilter { name, why }| {
            anyhow::anyhow!("--{}: {why}", name.replace('_', "-"))
        })
    }

    /// Whether they say since when.
    pub(in crate::cli) fn say_since(&self) -> bool {
        self.since.is_some()
    }
}
