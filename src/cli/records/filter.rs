//! The flags that filter calls.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::zone;
use crate::records::{Filter, FilterArgs, InvalidFilter, NumberPolicy, parse_time};

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

    /// Parses the flags; `since` is the default of `--since`, which counts back from `--until` if that is
    /// given.
    pub(in crate::cli) fn read(
        &self,
        now: Timestamp,
        numbers: &NumberPolicy,
        since: Option<&str>,
    ) -> anyhow::Result<Filter> {
        let zone = self.zone()?;
        let filter = self.args.parse(now, &zone, numbers);
        let mut filter = filter.map_err(|InvalidFilter { name, reason }| {
            anyhow::anyhow!("--{}: {reason}", name.replace('_', "-"))
        })?;
        if let (None, Some(default)) = (filter.since, since) {
            let until = filter.until.map_or(now, |until| until.min(now));
            filter.since = Some(parse_time(default, until, &zone).map_err(anyhow::Error::msg)?);
        }
        Ok(filter)
    }

    /// Returns whether `--since` is given.
    pub(in crate::cli) fn say_since(&self) -> bool {
        self.args.since.is_some()
    }
}
