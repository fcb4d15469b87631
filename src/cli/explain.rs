//! `switchboard explain`: why a call is answered as it is.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::Context;
use axum::http::HeaderMap;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{CallFlags, ConfigFile, Exit, load_good, readable};
use crate::authenticate::{Mode, Policy, Unverified, Verified, authenticate};
use crate::call::{Call, Fields};
use crate::decide::decide;
use crate::decide::explain::explain;
use crate::dialect::Asked;
use crate::rules::Table;
use crate::settings::{Purpose, Settings};
use crate::source::Source;

/// Shows every rule until the deciding one, and the reply as each platform would get it.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    call: CallFlags,
    /// For programs
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let Some((settings, table)) = load_good(&self.config, Purpose::Look)? else {
            return Ok(Exit::CouldNot);
        };
        let source = self.call.choose(&settings.sources)?;
        match &self.call.body {
            None => self.show(&settings, &table, source, &self.call.fields()),
            Some(_) => {
                let fields = self.call.fields();
                let body = self.call.body(source, &fields)?;
                let opened = opened(source, body);
                match source.dialect.parse(&opened)? {
                    Asked::Inbound(call) => {
                        self.show(&settings, &table, source, &call.into_fields())
                    }
                    Asked::Event(_) | Asked::Probe => anyhow::bail!("this body asks for no agent"),
                }
            }
        }
    }

    fn show(
        &self,
        settings: &Settings,
        table: &Table,
        source: &Source,
        fields: &Fields<'_>,
    ) -> anyhow::Result<Exit> {
        let call = Call::imagined(&source.name, source.dialect.platform(), fields.clone());
        let explanation = explain(table, &call);
        let others = settings.sources.iter().filter(|other| {
            other.dialect.platform() != source.dialect.platform()
                && other.dialect.channels().contains(&fields.channel)
        });
        let mut replies = serde_json::Map::new();
        let mut text = String::new();
        for asking in std::iter::once(source).chain(others) {
            let platform = asking.dialect.platform();
            let call = Call::imagined(&asking.name, platform, fields.clone());
            let decision = decide(table, &call);
            let rule =
                decision.rule().map_or("no rule".to_owned(), |rule| format!("rule `{rule}`"));
            let reply = asking.dialect.render(call.channel(), &decision);
            let body = reply.body();
            text += &format!(
                "\nreply to source {} ({platform}), by {rule}:\n{}\n",
                asking.name,
                readable(&body)
            );
            let value = serde_json::from_slice(&body).context("a reply is JSON")?;
            replies.insert(asking.name.to_string(), value);
        }
        let mut stdout = std::io::stdout().lock();
        if self.json {
            let mut whole = explanation.to_json();
            whole["replies"] = json!(replies);
            writeln!(stdout, "{whole:#}")?;
        } else {
            write!(stdout, "{explanation}{text}")?;
        }
        Ok(Exit::Good)
    }
}

/// A body that a person saved, and stands for: nobody else has to prove it.
fn opened(source: &Source, body: Vec<u8>) -> Verified {
    let policy = Policy {
        source: source.name.clone(),
        mode: Mode::Off,
        scheme: source.dialect.scheme(),
        keys: Vec::new(),
        url_token: None,
        allow_from: Vec::new(),
    };
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request = Unverified::new(HeaderMap::new(), body.into(), client, None);
    authenticate(request, &policy, Timestamp::UNIX_EPOCH).unwrap_or_else(|reason| {
        unreachable!("a policy that asks for nothing refuses nothing: {reason}")
    })
}
