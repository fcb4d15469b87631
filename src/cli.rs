//! The command line: one file a command, each with its help.
//!
//! Exit codes: 0 good, 1 the thing asked about is not, 2 it could not be found out.

mod check;
mod explain;
mod health;
mod http_client;
mod progress;
mod records;
mod replay;
mod schema;
mod send;
mod serve;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::diagnostics::Report;
use crate::domain::call::{Channel, Fields};
use crate::domain::phone_number::Party;
use crate::explain::asking;
use crate::reload;
use crate::rules::{CheckContext, FileStamp, LoadedTable, RuleSet, Snapshot};
use crate::settings;
use crate::settings::{Inputs, LoadedSettings, Purpose, Settings};
use crate::source::Source;

/// Answers a voice-AI platform's "a call is coming in: who takes it?" from a table of rules.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = "Start with: switchboard serve --dev")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Serve),
    /// Play the platform: sign and send a request, show the answer and its time
    Send(send::Send),
    /// Find every mistake in settings and rules, all at once
    Check(check::Check),
    /// Tell why a call is answered as it is
    Explain(explain::Explain),
    /// List, show, follow, export, count and forget what was answered and what became of it
    Records(records::RecordsArgs),
    /// Run recorded calls through another table, and tell what would change
    Replay(replay::ReplayArgs),
    /// Ask a running service whether it is alive (for a container's health check)
    Health(health::Health),
    /// Print the JSON Schema of the rules or the settings, for an editor
    Schema(schema::Schema),
}

/// How a command ended, when it could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Success,
    /// 1: what was asked about is not good.
    Failure,
    /// 2: it could not be carried out, and why has been said.
    Error,
}

/// Runs a command.
///
/// # Errors
/// When it could not be carried out.
pub fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let done = match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Send(send) => send.run(),
        Command::Check(check) => check.run(),
        Command::Explain(explain) => explain.run(),
        Command::Records(records) => records.run(),
        Command::Replay(replay) => replay.run(),
        Command::Health(health) => health.run(),
        Command::Schema(schema) => schema.run(),
    };
    match done {
        Err(error) if is_enough(&error) => Ok(Exit::Success),
        done => done,
    }
}

/// Whoever reads has read enough: `switchboard explain | head`.
fn is_enough(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Says on standard error why a command could not be carried out.
pub fn print_error(error: &anyhow::Error) {
    // Where standard error is closed there is nobody to tell.
    drop(writeln!(std::io::stderr(), "error: {error:#}"));
}

/// Where the settings are.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The settings file [default: ./config/switchboard.toml, else
    /// /etc/switchboard/switchboard.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self, purpose: Purpose) -> anyhow::Result<LoadedSettings> {
        let ingredients = Inputs::from_process(self.config.as_deref(), purpose);
        settings::load(&ingredients).with_context(|| match &ingredients.file {
            Some(path) => format!("cannot read {}", path.display()),
            None => "cannot read the settings".to_owned(),
        })
    }
}

/// Reads a table and runs its tests; progress is told on a terminal.
fn load_rules(
    path: &Path,
    mut around: CheckContext,
    coverage: bool,
) -> anyhow::Result<LoadedTable> {
    #[expect(clippy::disallowed_methods, reason = "some dates of a table may be over")]
    let now = Timestamp::now();
    around.now = now;
    let mut progress = progress::ProgressLine::default();
    let loaded = reload::load(path, &around, coverage, &mut |step| progress.show(step));
    progress.clear();
    Ok(loaded?)
}

/// Settings and table, and everything that is wrong with either.
struct SettingsAndRules {
    settings: Option<Settings>,
    /// None when there is no such file.
    rules: Option<LoadedTable>,
    report: Report,
}

fn load_both(
    config: &ConfigFile,
    purpose: Purpose,
    coverage: bool,
) -> anyhow::Result<SettingsAndRules> {
    let LoadedSettings { settings, rules, mut report } = config.load(purpose)?;
    let around = settings.as_ref().map(Settings::surroundings).unwrap_or_default();
    let mut read = None;
    match rules.map(|path| load_rules(&path, around, coverage)) {
        Some(Ok(mut loaded)) => {
            report.append(std::mem::take(&mut loaded.report));
            read = Some(loaded);
        }
        Some(Err(error)) => {
            report
                .error("no-table", None, format!("{error:#}"))
                .help("[rules] path names the table; relative to the settings file");
        }
        None => {}
    }
    Ok(SettingsAndRules { settings, rules: read, report })
}

/// Settings and table, when nothing is wrong with them.
struct LoadedOk {
    settings: Settings,
    table: RuleSet,
    files: Vec<FileStamp>,
    copies: Option<Snapshot>,
}

/// What is wrong is said on standard error; then there is none.
fn load_good(config: &ConfigFile, purpose: Purpose) -> anyhow::Result<Option<LoadedOk>> {
    let SettingsAndRules { settings, rules, report } = load_both(config, purpose, false)?;
    let report = report.without_notes();
    let mut stderr = std::io::stderr();
    if purpose == Purpose::Inspect && report.error_count() == 0 && report.warning_count() > 0 {
        writeln!(stderr, "{} warnings: see `switchboard check`\n", report.warning_count())?;
    } else if !report.diagnostics().is_empty() {
        writeln!(stderr, "{}\n", report.to_text(stderr.is_terminal()))?;
    }
    let (Some(settings), Some(LoadedTable { table: Some(table), files, snapshot: copies, .. })) =
        (settings, rules)
    else {
        return Ok(None);
    };
    Ok(Some(LoadedOk { settings, table, files, copies }))
}

/// The settings and what is to be noted of them, or an error that says all that is wrong.
fn load_settings(config: &ConfigFile) -> anyhow::Result<(Settings, Report)> {
    let LoadedSettings { settings, report, .. } = config.load(Purpose::Inspect)?;
    match settings {
        Some(settings) => Ok((settings, report)),
        None => anyhow::bail!("the settings are wrong\n\n{}", report.without_notes()),
    }
}

/// A caller and a dialled number for those who name none.
const FROM: &str = "+12137771234";
const TO: &str = "+12137771235";

/// The call to ask about, as flags.
#[derive(Debug, Args)]
struct CallFlags {
    /// The source that asks, as the settings name it [default: the first one]
    #[arg(long)]
    source: Option<String>,
    /// Who rings: a number, `withheld`, or any text
    #[arg(long, default_value = FROM, allow_hyphen_values = true)]
    from: String,
    /// What was dialled
    #[arg(long, default_value = TO, allow_hyphen_values = true)]
    to: String,
    /// Voice or text
    #[arg(long, default_value = "call")]
    channel: ChannelFlag,
    /// A saved request body, sent or read as it is, instead of --from, --to and --channel
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "channel"])]
    body: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChannelFlag {
    Call,
    Sms,
}

impl CallFlags {
    /// The call that the defaults of the flags describe.
    fn example() -> Fields<'static> {
        let number = |text| Party::parse(Some(text)).party;
        Fields { from: number(FROM), to: number(TO), ..Fields::unknown(Channel::Call) }
    }

    fn fields(&self) -> Fields<'static> {
        let channel = match self.channel {
            ChannelFlag::Call => Channel::Call,
            ChannelFlag::Sms => Channel::Sms,
        };
        Fields {
            from: Party::parse(Some(&self.from)).party,
            to: Party::parse(Some(&self.to)).party,
            ..Fields::unknown(channel)
        }
    }

    /// The body of `--body`, or the one that the source's platform would send.
    fn body(&self, source: &Source, fields: &Fields<'_>) -> anyhow::Result<Vec<u8>> {
        match &self.body {
            Some(path) => {
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
            }
            None => Ok(source.dialect.encode_request(fields)),
        }
    }

    fn choose<'s>(&self, sources: &'s [Source]) -> anyhow::Result<&'s Source> {
        let all: Vec<&Source> = sources.iter().collect();
        asking(&all, self.source.as_deref()).map_err(anyhow::Error::msg)
    }
}

/// Shows a JSON body so that a person can read it; what is no JSON as it is.
fn readable(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
    pretty.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}
