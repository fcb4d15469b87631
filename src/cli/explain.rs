//! `switchboard explain`: why a call is answered as it is.

use std::io::Write;

use clap::Args;
use jiff::Timestamp;

use super::{CallFlags, ConfigFile, Exit, LoadedOk, load_good};
use crate::domain::facts::Facts;
use crate::explain::{Question, inquire, moment_of, party_of, saved_call};
use crate::settings::Purpose;

/// Shows every rule until the deciding one, and the reply as each platform would get it.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    call: CallFlags,
    /// When the call comes in, on the wall clock of the table's zone: "2026-12-25 00:10" [default:
    /// now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Every rule that is tried; without it, of a long table only those whose numbers fit
    #[arg(long)]
    all: bool,
    /// Print a [[test]] to paste into the table
    #[arg(long, conflicts_with = "json")]
    as_test: bool,
    /// For programs
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let Some(LoadedOk { settings, table, .. }) = load_good(&self.config, Purpose::Inspect)?
        else {
            return Ok(Exit::Error);
        };
        let source = self.call.choose(&settings.sources)?;
        for party in [&self.call.from, &self.call.to] {
            party_of(party).map_err(anyhow::Error::msg)?;
        }
        let mut fields = self.call.fields();
        if self.call.body.is_some() {
            let body = self.call.body(source, &fields)?;
            fields = saved_call(source, body).map_err(anyhow::Error::msg)?;
        }
        let at = match &self.at {
            #[expect(clippy::disallowed_methods, reason = "nobody said another time")]
            None => Timestamp::now(),
            Some(text) => moment_of(text, &table).map_err(|bad| anyhow::anyhow!("--at: {bad}"))?,
        };
        let question = Question { source, fields: &fields, facts: Facts { at }, all: self.all };
        let inquiry = inquire(&table, settings.sources.iter(), question)?;
        let mut stdout = std::io::stdout().lock();
        if self.as_test {
            write!(stdout, "{}", inquiry.as_test())?;
        } else if self.json {
            writeln!(stdout, "{:#}", inquiry.to_json())?;
        } else {
            write!(stdout, "{inquiry}")?;
        }
        Ok(Exit::Success)
    }
}
