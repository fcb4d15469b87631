//! `switchboard schema`: JSON Schemas, with which editors complete and explain keys.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::Exit;
use crate::{rules, settings};

/// Print the schema. In the TOML file, the first line `#:schema ./schema/rules.json` points to it.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which schema to print
    #[arg(value_name = "rules|settings")]
    kind: SchemaKind,
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
        let schema = match self.kind {
            SchemaKind::Rules => rules::json_schema(),
            SchemaKind::Settings => settings::json_schema(),
        };
        writeln!(std::io::stdout(), "{schema:#}")?;
        Ok(Exit::Success)
    }
}
