//! `switchboard explain`: explains the decision about a call.

use std::io::Write;

use clap::Args;
use jiff::Timestamp;

use super::{CallFlags, ConfigFile, Exit, LoadedOk, load_without_errors};
use crate::domain::facts::Facts;
use crate::explain::{Question, explain_call, listed_rules, parse_saved_call, parse_time};
use crate::rules::parse_party;
use crate::settings::Purpose;

/// Show the rules up to the deciding one, and the reply that each platform would receive.
///
/// Exit status: 0 explained; 2 the settings, the rules or the call are invalid.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    call: CallFlags,
    /// Time of the call, in the zone of the rule table: "2026-12-25 00:10" [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// List every rule of the table; by default, those that are tried, and of a long table only those
    /// whose numbers match
    #[arg(long)]
    all: bool,
    /// Also say why this rule does not decide, even if it is not tried
    #[arg(long, value_name = "RULE")]
    why_not: Option<String>,
    /// Print a [[test]] for the rule table
    #[arg(long, conflicts_with = "json")]
    as_test: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let Some(LoadedOk { settings, table, .. }) =
            load_without_errors(&self.config.inputs(Purpose::Inspect))?
        else {
            return Ok(Exit::Error);
        };
        let source = self.call.select_source(&settings.sources)?;
        let mut fields = self.call.fields();
        let party = |name, text| {
            parse_party(text, &source.numbers).map_err(|reason| anyhow::anyhow!("{name}: {reason}"))
        };
        fields.from = party("--from", &self.call.from)?;
        fields.to = party("--to", &self.call.to)?;
        if self.call.body.is_some() {
            let body = self.call.body(source, &fields)?;
            fields = parse_saved_call(source, body).map_err(anyhow::Error::msg)?;
        }
        let at = match &self.at {
            #[expect(clippy::disallowed_methods, reason = "default of --at")]
            None => Timestamp::now(),
            Some(text) => {
                parse_time(text, &table).map_err(|invalid| anyhow::anyhow!("--at: {invalid}"))?
            }
        };
        let listed = listed_rules(&table, self.all, self.why_not.as_deref());
        let listed = listed.map_err(|unknown| anyhow::anyhow!("--why-not: {unknown}"))?;
        let question = Question { source, fields: &fields, facts: Facts { at }, listed };
        let explained = explain_call(&table, settings.sources.iter(), question)?;
        let mut stdout = std::io::stdout().lock();
        if self.as_test {
            write!(stdout, "{}", explained.as_test())?;
        } else if self.json {
            writeln!(stdout, "{:#}", explained.to_json())?;
        } else {
            write!(stdout, "{explained}")?;
        }
        Ok(Exit::Success)
    }
}
