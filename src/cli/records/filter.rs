//! The flags that filter calls.

use clap::Args;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::{OpenStore, load_records_settings, now, zone};
use crate::cli::{ConfigFile, load_rules};
use crate::records::{Filter, FilterArgs, FilterError, InvalidFilter, KnownNames, NumberPolicy};
use crate::rules::RuleSet;
use crate::settings::{LoadedSettings, Purpose};

/// The filter of the command line.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct FilterFlags {
    #[command(flatten)]
    args: FilterArgs,
    /// Time zone of the times that are read and shown [default: UTC; for `stats`, that of the rules]
    #[arg(long)]
    zone: Option<String>,
}

impl FilterFlags {
    /// Returns the zone of `--zone`, or UTC.
    pub(in crate::cli) fn zone(&self) -> anyhow::Result<TimeZone> {
        self.zone_or(TimeZone::UTC)
    }

    /// Returns the zone of `--zone`, or another one without the flag.
    pub(in crate::cli) fn zone_or(&self, default: TimeZone) -> anyhow::Result<TimeZone> {
        self.zone.as_deref().map_or(Ok(default), zone)
    }

    /// Opens the records. A mistake in the flags is reported even if nothing has been recorded.
    pub(in crate::cli) async fn open(&self, config: &ConfigFile) -> anyhow::Result<OpenStore> {
        let settings = load_records_settings(config)?;
        let numbers = NumberPolicy::new(settings.records.numbers.clone());
        let filter = self.args.parse(now(), &self.zone()?, &numbers, None);
        let filter = filter.map_err(flag_error)?;
        let known = KnownNames::new(None, &settings.sources);
        let opened = OpenStore::with_settings(settings).await;
        opened.or_else(|error| {
            known.check_source(&filter).map_err(flag_error)?;
            Err(error)
        })
    }

    /// Parses the flags, and checks that the names exist. Without `--since`, the filter begins
    /// `default_age` before its end.
    pub(in crate::cli) async fn read(
        &self,
        opened: &OpenStore,
        config: &ConfigFile,
        default_age: Option<SignedDuration>,
    ) -> anyhow::Result<Filter> {
        let mut filter = self.parse(opened, &self.zone()?, default_age)?;
        // The table is loaded only if the recorded calls do not answer.
        if !opened.store.has_names(&filter).await? {
            let table = match filter.rule.is_some() || filter.agent.is_some() {
                true => live_table(opened, config),
                false => None,
            };
            check_names(opened, &mut filter, table.as_ref()).await?;
        }
        Ok(filter)
    }

    /// Parses the flags with times in a zone.
    pub(in crate::cli) fn parse(
        &self,
        opened: &OpenStore,
        zone: &TimeZone,
        default_age: Option<SignedDuration>,
    ) -> anyhow::Result<Filter> {
        let filter = self.args.parse(opened.now, zone, &opened.numbers, default_age);
        filter.map_err(flag_error)
    }

    /// Returns whether `--since` is given.
    pub(in crate::cli) fn has_since(&self) -> bool {
        self.args.since.is_some()
    }
}

/// Checks the names of a filter against the settings, a table, and the recorded calls. The id of an agent of the
/// table becomes its name.
pub(in crate::cli) async fn check_names(
    opened: &OpenStore,
    filter: &mut Filter,
    table: Option<&RuleSet>,
) -> anyhow::Result<()> {
    let known = KnownNames::new(table, &opened.settings.sources);
    opened.store.check_names(filter, &known).await.map_err(|error| match error {
        FilterError::Invalid(invalid) => flag_error(invalid),
        FilterError::Store(error) => error.into(),
    })
}

fn flag_error(InvalidFilter { name, reason }: InvalidFilter) -> anyhow::Error {
    anyhow::anyhow!("--{}: {reason}", name.replace('_', "-"))
}

/// Loads the rule table of the settings; none if it has errors.
pub(in crate::cli) fn live_table(opened: &OpenStore, config: &ConfigFile) -> Option<RuleSet> {
    let LoadedSettings { rules, .. } = config.load(Purpose::Inspect).ok()?;
    load_rules(&rules?, opened.settings.check_context(), false).ok()?.table
}
