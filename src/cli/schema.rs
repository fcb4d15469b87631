//! `switchboard schema`: a JSON Schema, so that an editor completes keys and explains them.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::Exit;
use crate::{rules, settings};

/// Prints it. In the TOML file, `#:schema ./schema/rules.json` as the first line points to it.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Of what
    #[arg(value_name = "rules|settings")]
    of: SchemaKind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaKind {
    /// The rule table
    Rules,
    /// The settings file
    Settings,
}

impl Schema {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let schema = match self.of {
            SchemaKind::Rules => rules::json_schema(),
            SchemaKind::Settings => settings::json_schema(),
        };
        writeln!(std::io::stdout(), "{schema:#}")?;
        Ok(Exit::Success)
    }
}
