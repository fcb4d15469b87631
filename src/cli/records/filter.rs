//! The flags that filter calls.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::zone;
use crate::records::{Filter, FilterArgs, InvalidFilter, NumberPolicy};

/// The filter of the command line.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct FilterFlags {
    #[command(flatten)]
    args: FilterArgs,
    /// Time zone of the times that are read and shown
    #[arg(long, default_value = "UTC")]
    zone: String,
}

impl FilterFlags {
    pub(in crate::cli) fn zone(&self) -> anyhow::Result<TimeZone> {
        zone(&self.zone)
    }

    /// Parses the flags; `since` is the default of `--since`.
    pub(in crate::cli) fn read(
        &self,
        now: Timestamp,
        numbers: &NumberPolicy,
        since: Option<&str>,
    ) -> anyhow::Result<Filter> {
        let mut args = self.args.clone();
        args.since = args.since.or_else(|| since.map(str::to_owned));
        args.parse(now, &self.zone()?, numbers).map_err(|InvalidFilter { name, reason }| {
            anyhow::anyhow!("--{}: {reason}", name.replace('_', "-"))
        })
    }

    /// Returns whether `--since` is given.
    pub(in crate::cli) fn say_since(&self) -> bool {
        self.args.since.is_some()
    }
}
