//! `switchboard init`: writes a rule table with tests and settings, from which an operator starts.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::Exit;
use super::output::{print_message, print_note};
use crate::authenticate::Content;
use crate::dialect;
use crate::dialect::Dialect;
use crate::settings::{known_dialects, preset_names};

/// Write a rule table with tests, settings, and an example of the file with the secrets, to start from.
/// No file is overwritten.
///
/// Exit status: 0 written; 1 one of the files exists, and nothing is written; 2 the files cannot be
/// written.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Folder to write to, which is created if there is none
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Platform whose calls are answered
    #[arg(long, default_value = "retell", value_parser = PossibleValuesParser::new(platforms()))]
    platform: String,
}

const GITIGNORE: &str = include_str!("../../config/init/gitignore");

/// Rules that choose an agent.
const AGENT_RULES: &str = include_str!("../../config/init/rules.toml");

/// Rules that add variables, for platforms that have chosen the agent before they ask.
const VARIABLE_RULES: &str = include_str!("../../config/init/variables.toml");

/// Rules that choose an address, for platforms without agents of their own.
const ADDRESS_RULES: &str = include_str!("../../config/init/addresses.toml");

/// Beginning of the settings for a platform of `config/platforms/`.
const SETTINGS: &str = include_str!("../../config/init/settings");

/// Beginning of the example of the secrets for such a platform.
const SECRETS: &str = include_str!("../../config/init/secrets");

/// The files for one platform.
struct InitTemplate {
    platform: &'static str,
    rules: &'static str,
    settings: &'static str,
    secrets: &'static str,
}

/// The files for a platform: its settings and its secrets are in `config/init`, by its name unless it shares the
/// secrets of another one.
macro_rules! init_template {
    ($platform:literal, $rules:expr) => {
        init_template!($platform, $rules, $platform)
    };
    ($platform:literal, $rules:expr, $secrets:literal) => {
        InitTemplate {
            platform: $platform,
            rules: $rules,
            settings: include_str!(concat!("../../config/init/", $platform, ".toml")),
            secrets: include_str!(concat!("../../config/init/", $secrets, ".env")),
        }
    };
}

/// The files for each built-in platform.
const TEMPLATES: [InitTemplate; dialect::ALL.len()] = [
    init_template!("retell", AGENT_RULES),
    init_template!("synthflow", AGENT_RULES),
    init_template!("vapi", AGENT_RULES),
    init_template!("elevenlabs", VARIABLE_RULES),
    init_template!("telnyx", VARIABLE_RULES),
    init_template!("telnyx-call-control", include_str!("../../config/init/assistants.toml")),
    init_template!("openai", include_str!("../../config/init/openai-rules.toml")),
    init_template!(
        "openai-live",
        include_str!("../../config/init/openai-live-rules.toml"),
        "openai"
    ),
    init_template!("pipecat", include_str!("../../config/init/pipecat-rules.toml")),
    init_template!("texml", ADDRESS_RULES),
    init_template!("twilio", ADDRESS_RULES),
];

impl Init {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let template = TEMPLATES.iter().find(|template| template.platform == self.platform);
        let [rules, settings, secrets] = match template {
            Some(template) => template.files(),
            None => {
                let dialects = known_dialects();
                preset_files(&**dialects.by_name(&self.platform).context("unknown platform")?)
            }
        };
        let files = [
            ("rules.toml", &*rules),
            ("switchboard.toml", &*settings),
            (".env.example", &*secrets),
            (".gitignore", GITIGNORE),
        ];
        let is_taken = |name: &&str| self.folder.join(name).symlink_metadata().is_ok();
        let taken: Vec<_> = files.iter().map(|(name, _)| *name).filter(is_taken).collect();
        if !taken.is_empty() {
            print_message(format!(
                "nothing was written: {} already has {}; name another folder, such as `switchboard \
                 init my-calls`",
                shown(&self.folder),
                taken.join(", ")
            ));
            return Ok(Exit::Failure);
        }
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        for (name, text) in files {
            write_new(&self.folder.join(name), text)?;
        }
        print_note(self.next_steps(&files.map(|(name, _)| name).join(", ")));
        Ok(Exit::Success)
    }

    /// Returns the commands to run next.
    fn next_steps(&self, written: &str) -> String {
        let mut text = format!("wrote {written} to {}. Next:\n", shown(&self.folder));
        if self.folder != Path::new(".") {
            text += &format!("\n  cd {}", quote(&self.folder));
        }
        let commands = [
            ("switchboard check --strict", "check the rules and run their tests"),
            ("switchboard serve --dev", "serve, without keys; saved rules are loaded at once"),
            ("switchboard send", "in another terminal: a call, as the platform would send it"),
        ];
        for (command, purpose) in commands {
            text += &format!("\n  {command:<28}# {purpose}");
        }
        text + "\n\nThen put the ids of your agents into rules.toml, and your key where .env.example says."
    }
}

/// Returns the names of all platforms for which there are files.
fn platforms() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|template| template.platform).chain(preset_names())
}

impl InitTemplate {
    /// Returns the rules, the settings and the example of the secrets.
    fn files(&self) -> [Cow<'static, str>; 3] {
        let rules = with_spoken_rejection(self.rules, self.platform);
        [rules, Cow::Borrowed(self.settings), Cow::Borrowed(self.secrets)]
    }
}

/// Adds the text that a rejected caller hears, if the platform rejects no call without one.
fn with_spoken_rejection(rules: &'static str, platform: &str) -> Cow<'static, str> {
    let is_silent = |dialect: &dyn Dialect| dialect.capabilities().reject.can_be_silent();
    match dialect::by_name(platform).is_none_or(is_silent) {
        true => Cow::Borrowed(rules),
        false => {
            let say = "reject = true\nsay    = \"This number is not in service.\"\n";
            Cow::Owned(rules.replacen("reject = true\n", say, 1))
        }
    }
}

/// Platforms of `config/platforms/` whose agents are SIP addresses.
const SIP_ADDRESSES: [&str; 2] = ["jambonz", "signalwire"];

/// Returns the rules, the settings and the example of the secrets for a platform of `config/platforms/`.
fn preset_files(dialect: &dyn Dialect) -> [Cow<'static, str>; 3] {
    let platform = dialect.platform().as_str();
    let mut variables = Vec::new();
    let settings = preset_settings(dialect, &mut variables);
    let names: String = variables.iter().map(|name| format!("{name}=\n")).collect();
    let secrets = format!("{SECRETS}# Create a token with: openssl rand -hex 24\n{names}");
    let mut rules = match dialect.capabilities().agent {
        true => AGENT_RULES.to_owned(),
        false => VARIABLE_RULES.to_owned(),
    };
    if SIP_ADDRESSES.contains(&platform) {
        rules = rules
            .replace("the id of the agent on the platform", "the address that takes its calls");
        for id in ["agent_fr0nt", "agent_n1ght"] {
            rules = rules.replace(&format!("\"{id}\""), &format!("\"sip:{id}@pbx.example.com\""));
        }
    }
    if dialect.capabilities().agent && !dialect.capabilities().variables {
        rules = rules
            .replace("name      = \"everyone else\"", "name  = \"everyone else\"")
            .replace("agent     =", "agent =")
            .replace(
                "variables = { callback = \"${from}\" } # what the agent's prompt may use\n",
                "",
            )
            .replace(", variables = { callback = \"+13125550177\" }", "");
    }
    [without_rejection(rules, dialect).into(), settings.into(), secrets.into()]
}

/// Replaces the rejection of blocked callers, if the platform cannot reject calls: its own agent takes them, or the
/// one of the night.
fn without_rejection(rules: String, dialect: &dyn Dialect) -> String {
    let capabilities = dialect.capabilities();
    if capabilities.reject.can_be_silent() {
        return rules;
    }
    let (action, expected) = match capabilities.keep {
        true => ("keep = true", "keep = true"),
        false => ("agent = \"night\"", "agent = \"night\""),
    };
    let aligned = action.replacen(" =", if capabilities.keep { "   =" } else { "  =" }, 1);
    rules
        .replacen("reject = true\n", &format!("{aligned} # calls cannot be rejected here\n"), 1)
        .replacen("reject = true }", &format!("{expected} }}"), 1)
}

/// Returns the settings of a source of a declared platform, and adds the variables with its secrets.
fn preset_settings(dialect: &dyn Dialect, variables: &mut Vec<String>) -> String {
    let platform = dialect.platform().as_str();
    let scheme = dialect.scheme();
    let content = if dialect.sends_query() { Content::Query } else { Content::Body };
    let has_token = !scheme.has_keys() || scheme.weakness(content).is_some();
    let mut variable = |suffix: &str| {
        let name = format!("{}_{suffix}", platform.to_uppercase().replace('-', "_"));
        variables.push(name.clone());
        format!("env:{name}")
    };
    let mut lines = vec![("platform", format!("\"{platform}\""), "")];
    if scheme.has_keys() {
        let reference = format!("[\"{}\"]", variable("SECRET"));
        lines.push((
            "secrets",
            reference,
            "what the platform signs with, or sends; see .env.example",
        ));
    }
    if has_token {
        let reference = format!("\"{}\"", variable("URL_TOKEN"));
        lines.push((
            "url_token",
            reference,
            "TOKEN: requests are not signed as a whole, with a time",
        ));
    }
    if scheme.covers_url() {
        let url = "\"https://YOUR.HOST\"".to_owned();
        lines.push(("public_base_url", url, "the signature covers the URL"));
    }
    if !dialect.capabilities().keep {
        let agent = "\"front-desk\"".to_owned();
        lines.push((
            "fallback",
            agent,
            "answers where no rule decides: a number has no agent of its own",
        ));
    }
    let token = if has_token { "/TOKEN" } else { "" };
    let widest =
        |width: fn(&(&str, String, &str)) -> usize| lines.iter().map(width).max().unwrap_or(0);
    let (names, values) = (widest(|line| line.0.len()), widest(|line| line.1.len()));
    let mut text = format!(
        "{SETTINGS}\n[sources.{platform}] # URL to enter at the platform: https://YOUR.HOST/inbound/{platform}{token}\n"
    );
    for (name, value, comment) in &lines {
        let line = match *comment {
            "" => format!("{name:<names$} = {value}"),
            comment => format!("{name:<names$} = {value:<values$} # {comment}"),
        };
        text += &line;
        text.push('\n');
    }
    text
}

fn shown(folder: &Path) -> String {
    match folder == Path::new(".") {
        true => "this folder".to_owned(),
        false => folder.display().to_string(),
    }
}

/// Quotes a path for a shell if it needs to be.
fn quote(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match text.chars().all(is_plain) && !text.starts_with('-') {
        true => text,
        false => format!("-- '{}'", text.replace('\'', r"'\''")),
    }
}

/// Writes a file that does not exist yet.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}
