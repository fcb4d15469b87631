//! The command line: one file per command.
//!
//! Exit statuses: 0 success; 1 failure, the subject of the command is not in order; 2 error, the command
//! could not run.

mod advice;
mod check;
mod completions;
mod confusion;
mod explain;
mod health;
mod http_client;
mod init;
mod input;
mod live_lists;
mod man;
mod output;
mod passwd;
mod progress;
mod records;
mod replay;
mod rules;
mod schema;
mod send;
mod serve;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::diagnostics::{Report, Severity};
use crate::domain::call::{Channel, Fields};
use crate::explain::select_source;
use crate::regular_file::help_for_missing;
use crate::reload;
use crate::rules::{
    CheckContext, FileStamp, LoadedTable, Progress, Replacements, RuleSet, Snapshot, parse_party,
};
use crate::settings;
use crate::settings::{Inputs, LoadedSettings, Purpose, SettingValues, Settings};
use crate::signed_request::{FROM, TO};
use crate::source::Source;

/// Routes incoming calls and texts of voice platforms to agents, from a table of rules.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = "Start with: switchboard init")]
pub struct Arguments {
    #[command(flatten)]
    output: output::OutputFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a rule table and settings to start from
    Init(init::Init),
    /// Run the service
    Serve(serve::Serve),
    /// Send a signed request as the platform would, and show the reply
    Send(send::Send),
    /// Check the settings and rules, and run the tests of the rule table
    Check(check::Check),
    /// Explain the decision about a call, rule by rule
    Explain(explain::Explain),
    /// List, show, follow, export, import, count and erase recorded calls
    Records(records::RecordsArgs),
    /// Route recorded calls with different rules, and show what would change
    Replay(replay::ReplayArgs),
    /// List, show, compare and restore the rule tables that have answered calls
    Rules(rules::RulesArgs),
    /// Hash the password of a user of the console
    Passwd(passwd::Passwd),
    /// Check that a running service is alive, for the health check of a container
    Health(health::Health),
    /// Print the JSON Schema of the rules or the settings, for editors
    Schema(schema::Schema),
    /// Print the completion script of a shell
    Completions(completions::Completions),
    /// Print a manual page in roff: `switchboard man | man -l -`
    Man(man::Man),
}

/// Parses the arguments of the process. Help and errors have the colours and the width that are asked for.
///
/// # Errors
/// Returns help, the version, or what is wrong with the arguments.
pub fn parse(arguments: &[OsString]) -> Result<Arguments, clap::Error> {
    output::apply_color_of(arguments);
    let mut command = Arguments::command();
    if let Some(width) = output::help_width() {
        command = command.term_width(width.into());
    }
    let matches = command.try_get_matches_from_mut(arguments);
    let matches = matches.map_err(|error| advice::add(error, &command, arguments))?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Exit status of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: success.
    Success,
    /// 1: the subject of the command is not in order.
    Failure,
    /// 2: the command could not run; it has printed the reason.
    Error,
}

/// Runs a command.
///
/// # Errors
/// Fails if the command could not run.
pub fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    arguments.output.apply();
    let result = match arguments.command {
        Command::Init(init) => init.run(),
        Command::Serve(serve) => serve.run(),
        Command::Send(send) => send.run(),
        Command::Check(check) => check.run(),
        Command::Explain(explain) => explain.run(),
        Command::Records(records) => records.run(),
        Command::Replay(replay) => replay.run(),
        Command::Rules(rules) => rules.run(),
        Command::Passwd(passwd) => passwd.run(),
        Command::Health(health) => health.run(),
        Command::Schema(schema) => schema.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    };
    match result {
        // `switchboard explain | head`
        Err(error) if output::is_broken_pipe(&error) => Ok(Exit::Success),
        result => result,
    }
}

/// Prints the reason for which a command could not run to standard error.
pub fn print_error(error: &anyhow::Error) {
    output::print_message(format!("error: {}", describe(error)));
}

/// Returns an error with its causes. A cause that the error before it quotes already is left out.
fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Location of the settings.
#[derive(Debug, Args)]
struct ConfigFile {
    /// Settings file [default: the first of ./switchboard.toml, ./config/switchboard.toml and
    /// /etc/switchboard/switchboard.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn inputs(&self, purpose: Purpose) -> Inputs {
        Inputs::from_process(self.config.as_deref(), purpose)
    }

    fn load(&self, purpose: Purpose) -> anyhow::Result<LoadedSettings> {
        load_inputs(&self.inputs(purpose))
    }
}

fn load_inputs(inputs: &Inputs) -> anyhow::Result<LoadedSettings> {
    let Some(path) = &inputs.file else {
        return settings::load(inputs).context("cannot read the settings");
    };
    if input::is_stdin(path) {
        anyhow::bail!(
            "--config takes a file, not standard input: a reload reads the settings again"
        );
    }
    settings::load(inputs).map_err(|error| {
        let similar = || help_for_missing(path).filter(|_| error.kind() == ErrorKind::NotFound);
        let similar = || similar().map(|help| format!("; {help}"));
        let advice = confusion::settings_in(path).or_else(similar).unwrap_or_default();
        anyhow::anyhow!("cannot read {}: {error}{advice}", path.display())
    })
}

/// Loads a rule table and runs its tests. Shows progress on a terminal.
fn load_rules(path: &Path, context: CheckContext, coverage: bool) -> anyhow::Result<LoadedTable> {
    load_rules_with(path, context, coverage, &Replacements::default())
}

/// Loads a rule table that stands in for the one of the settings.
///
/// # Errors
/// Fails with all diagnostics if the table has errors.
fn load_table(path: &Path, settings: &Settings) -> anyhow::Result<RuleSet> {
    let loaded = load_rules(path, settings.check_context(), false)?;
    loaded.table.ok_or_else(|| {
        anyhow::anyhow!("{} has errors\n\n{}", path.display(), loaded.report.without_notes())
    })
}

/// Loads a rule table like [`load_rules`], with some files in another version than the one on disk.
fn load_rules_with(
    path: &Path,
    mut context: CheckContext,
    coverage: bool,
    replaced: &Replacements,
) -> anyhow::Result<LoadedTable> {
    #[expect(clippy::disallowed_methods, reason = "`check` warns of dates in the past")]
    let now = Timestamp::now();
    context.now = now;
    if input::is_stdin(path) {
        return Ok(reload::load_text(input::STDIN, input::stdin_text()?, &context, coverage));
    }
    let mut progress = progress::ProgressLine::default();
    let mut show = |step: Progress<'_>| progress.show_load(step);
    let loaded = reload::load_with(path, &context, coverage, replaced, &mut show);
    progress.clear();
    let mut loaded = loaded?;
    if loaded.table.is_none()
        && let Some(problem) = confusion::instead_of_rules(path)
    {
        loaded.report = Report::default();
        loaded.report.push(Severity::Error, None, problem);
    }
    Ok(loaded)
}

/// Settings and rules, with the diagnostics of both.
struct SettingsAndRules {
    settings: Option<Settings>,
    /// `None` if the file cannot be read.
    rules: Option<LoadedTable>,
    report: Report,
    /// Files and values of the settings.
    origin: (Vec<FileStamp>, SettingValues),
}

fn load_settings_and_rules(
    inputs: &Inputs,
    coverage: bool,
    replaced: &Replacements,
) -> anyhow::Result<SettingsAndRules> {
    let loaded = load_inputs(inputs)?;
    let context = loaded.check_context();
    let LoadedSettings { settings, rules, mut report, files, values, .. } = loaded;
    let mut loaded_rules = None;
    let result = rules.as_ref().map(|path| load_rules_with(path, context, coverage, replaced));
    match result {
        Some(Ok(mut loaded)) => {
            report.append(std::mem::take(&mut loaded.report));
            loaded_rules = Some(loaded);
        }
        Some(Err(error)) => {
            report
                .error("no-table", None, describe(&error))
                .help(confusion::where_rules_are(inputs))
                .maybe_help(
                    rules.filter(|path| !path.exists()).and_then(|path| help_for_missing(&path)),
                );
        }
        None => {}
    }
    Ok(SettingsAndRules { settings, rules: loaded_rules, report, origin: (files, values) })
}

/// Settings and rules without errors.
struct LoadedOk {
    settings: Settings,
    table: RuleSet,
    files: Vec<FileStamp>,
    snapshot: Option<Snapshot>,
    /// Files and values of the settings.
    origin: (Vec<FileStamp>, SettingValues),
}

/// Loads settings and rules. Prints errors to standard error and returns `None`.
fn load_without_errors(inputs: &Inputs) -> anyhow::Result<Option<LoadedOk>> {
    let SettingsAndRules { settings, rules, report, origin } =
        load_settings_and_rules(inputs, false, &Replacements::default())?;
    let (errors, warnings) = (report.error_count(), report.warning_count());
    if inputs.purpose == Purpose::Inspect && errors == 0 && warnings > 0 {
        let warnings = output::counted(warnings, "warning");
        output::print_note(format!("{warnings}; run `switchboard check` to see them\n"));
    } else {
        output::print_report(report.without_notes());
    }
    let (Some(settings), Some(LoadedTable { table: Some(table), files, snapshot, .. })) =
        (settings, rules)
    else {
        return Ok(None);
    };
    Ok(Some(LoadedOk { settings, table, files, snapshot, origin }))
}

/// Loads the settings and their notes.
///
/// # Errors
/// Fails with all diagnostics if the settings have errors.
fn load_settings(config: &ConfigFile) -> anyhow::Result<(Settings, Report)> {
    let LoadedSettings { settings, report, .. } = config.load(Purpose::Inspect)?;
    match settings {
        Some(settings) => Ok((settings, report)),
        None => anyhow::bail!("the settings have errors\n\n{}", report.without_notes()),
    }
}

/// Flags that describe a call.
#[derive(Debug, Args)]
struct CallFlags {
    /// Source of the call, by its name in the settings [default: the first one]
    #[arg(long)]
    source: Option<String>,
    /// Caller: a phone number, `withheld`, or any text; `=` begins a text that looks like a number
    #[arg(long, default_value = FROM, allow_hyphen_values = true)]
    from: String,
    /// Called number
    #[arg(long, default_value = TO, allow_hyphen_values = true)]
    to: String,
    /// Voice call or text message
    #[arg(long, default_value = "call")]
    channel: ChannelFlag,
    /// The platform's id of the called number
    #[arg(long, value_name = "ID", conflicts_with = "body")]
    number_id: Option<String>,
    /// A further fact that the platform sends, which rules name attr.NAME; repeat the flag for several
    #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = parse_attribute, conflicts_with = "body")]
    attributes: Vec<Attribute>,
    /// Saved request body to use instead of --from, --to and --channel; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "channel"])]
    body: Option<PathBuf>,
}

/// A fact on the command line.
#[derive(Debug, Clone)]
struct Attribute {
    name: String,
    value: String,
}

impl Attribute {
    fn into_field(self) -> (Cow<'static, str>, Cow<'static, str>) {
        (Cow::Owned(self.name), Cow::Owned(self.value))
    }
}

fn parse_attribute(text: &str) -> Result<Attribute, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(Attribute { name: name.to_owned(), value: value.to_owned() })
        }
        Some(_) | None => Err("write NAME=VALUE, as in account=acme".to_owned()),
    }
}

/// Parses a maximum number.
fn parse_count(text: &str) -> Result<NonZeroUsize, String> {
    let help = "write a whole number from 1 on, such as 1000000 for all calls";
    text.parse().map_err(|_| help.to_owned())
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChannelFlag {
    Call,
    Sms,
}

impl CallFlags {
    /// Returns the call that the flags describe, with numbers as a source writes them.
    ///
    /// # Errors
    /// Fails for a list, a pattern, or a number without a country code: a call has one caller, and `=` begins the text
    /// that a platform sends in place of a number.
    fn fields(&self, source: &Source) -> anyhow::Result<Fields<'static>> {
        let party = |flag: &str, text: &str| {
            let list = text.strip_prefix('@').filter(|name| !name.contains('@'));
            if let Some(list) = list {
                anyhow::bail!("{flag}: `@{list}` is a list; write one of its numbers");
            }
            if text.starts_with('+') && text.ends_with('*') {
                anyhow::bail!("{flag}: `{text}` is a pattern; write one number that it matches");
            }
            parse_party(text, &source.numbers).map_err(|reason| anyhow::anyhow!("{flag}: {reason}"))
        };
        let channel = match self.channel {
            ChannelFlag::Call => Channel::Call,
            ChannelFlag::Sms => Channel::Sms,
        };
        Ok(Fields {
            from: party("--from", &self.from)?,
            to: party("--to", &self.to)?,
            number_id: self.number_id.clone().map(Into::into),
            attributes: self.attributes.iter().cloned().map(Attribute::into_field).collect(),
            ..Fields::unknown(channel)
        })
    }

    /// Returns the body of `--body`, or the one that the source's platform would send.
    fn body(&self, source: &Source, fields: &Fields<'_>) -> anyhow::Result<Vec<u8>> {
        match &self.body {
            Some(path) => input::read(path),
            None => Ok(source.dialect.encode_request(fields)),
        }
    }

    fn select_source<'s>(&self, sources: &'s [Source]) -> anyhow::Result<&'s Source> {
        let all: Vec<&Source> = sources.iter().collect();
        select_source(&all, self.source.as_deref()).map_err(anyhow::Error::msg)
    }
}

/// Formats a body for people: JSON with indentation, anything else unchanged.
fn format_body(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
    pretty.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}
