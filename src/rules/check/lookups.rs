//! Look-ups of a table, `[lookup.NAME]`.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use url::{Host, Url};

use super::reporter::Reporter;
use super::usage::UsageTracker;
use crate::diagnostics::{Problem, Severity, did_you_mean};
use crate::domain::facts::{FieldPath, LookupId};
use crate::domain::private_address::is_private;
use crate::domain::secret::names_a_secret;
use crate::rules::CheckContext;
use crate::rules::load::raw::{Entries, RawLookup, RawValue, Spanned};
use crate::rules::model::history::{self, HistoryPolicy};
use crate::rules::model::lookup::{
    BodyNode, BreakerPolicy, HttpLookup, HttpMethod, Lookup, LookupBackend, SqlLookup,
};
use crate::rules::model::request_template::{RequestPart, RequestTemplate, RequestValue};
use crate::rules::model::sql_query::NumberedQuery;

const BAD_LOOKUP: &str = "bad-lookup";
const BAD_URL: &str = "bad-url";
const INLINE_SECRET: &str = "inline-secret";
const INSTEAD_OF_SECRET: &str =
    "rule tables are stored with the records: write `${env.NAME}` for the secret";
/// Stands for a placeholder in the text of a URL, which does not contain this character.
const PLACEHOLDER: &str = "\0";
/// Names that have a meaning of their own in front of a dot.
const RESERVED: [&str; 4] = ["sip", "env", "file", "attr"];
/// Names of the values of a call, which a look-up cannot have either.
const CALL_VALUES: [&str; 9] = [
    "from",
    "to",
    "forwarded_from",
    "channel",
    "platform",
    "source",
    "rule",
    "call_id",
    "number_id",
];
/// Characters that mean something else in `${NAME.field}`.
const NOT_IN_NAMES: [char; 6] = ['.', '|', '?', '$', '{', '}'];
/// Headers that the HTTP client sets.
const OWN_HEADERS: [&str; 5] =
    ["host", "content-length", "transfer-encoding", "connection", "expect"];

/// Defaults of the keys of a look-up; the declaration of the keys documents them.
const TIMEOUT_MS: i64 = 1_000;
const TIMEOUTS_MS: RangeInclusive<i64> = 1..=8_000;
const CACHE_S: i64 = 60;
const NEGATIVE_CACHE_S: i64 = 10;
const MAX_CONCURRENT_HTTP: i64 = 64;
const MAX_CONCURRENT_SQL: i64 = 8;
const MAX_BYTES: i64 = 262_144;
const BREAKER_FAILURES: i64 = 5;
const BREAKER_PAUSE_S: i64 = 10;

/// The look-ups of a table, and which of them rules use.
#[derive(Default)]
pub(super) struct LookupDefinitions {
    pub(super) all: Vec<Arc<Lookup>>,
    pub(super) usage: UsageTracker,
    pub(super) uses_history: bool,
    /// How the records are asked for histories.
    pub(super) history: HistoryPolicy,
}

impl LookupDefinitions {
    /// Checks a look-up and adds it.
    pub(super) fn add(
        &mut self,
        raw: &RawLookup,
        context: &CheckContext,
        reporter: &mut Reporter<'_>,
    ) {
        let name = &raw.name;
        if name.value == history::NAME {
            return self.set_history(raw, context, reporter);
        }
        if let Some(first) = self.all.iter().position(|lookup| *lookup.name == *name.value) {
            return reporter.duplicate_name("a look-up", name, self.usage.location(first));
        }
        self.check_name(name, reporter);
        if self.all.len() == LookupId::MAX {
            let message = format!("a table can have {} look-ups", LookupId::MAX);
            reporter.error(BAD_LOOKUP, &name.span, message);
            return;
        }
        let mut checker = LookupChecker { raw, context, reporter };
        let backend = checker.backend();
        let is_sql = matches!(backend, Some(LookupBackend::Sql(_)));
        let most = if is_sql { MAX_CONCURRENT_SQL } else { MAX_CONCURRENT_HTTP };
        let timeout = checker.integer("timeout_ms", &raw.timeout_ms, TIMEOUTS_MS, TIMEOUT_MS);
        let cache = checker.integer("cache_s", &raw.cache_s, 0..=86_400, CACHE_S);
        let negative = &raw.negative_cache_s;
        let negative = checker.integer("negative_cache_s", negative, 0..=86_400, NEGATIVE_CACHE_S);
        let max_bytes = checker.integer("max_bytes", &raw.max_bytes, 1..=8_388_608, MAX_BYTES);
        let (max_concurrent, breaker) = checker.limits(most);
        // A look-up with an error keeps its name, so that rules that use it are checked.
        let backend = backend.unwrap_or_else(|| {
            let (database, parameters) = (Box::default(), Vec::new());
            let query = NumberedQuery { text: Box::default(), parameters: Vec::new() };
            LookupBackend::Sql(SqlLookup { database, query, parameters })
        });
        self.all.push(Arc::new(Lookup {
            name: name.value.as_str().into(),
            backend,
            timeout: Duration::from_millis(timeout),
            cache: Duration::from_secs(cache),
            negative_cache: Duration::from_secs(negative),
            max_concurrent,
            max_bytes: max_bytes as usize,
            breaker,
        }));
        self.usage.add(Some(reporter.location(&name.span)));
    }

    /// Reports a name that means something else in `${NAME.field}`.
    fn check_name(&self, name: &Spanned<String>, reporter: &mut Reporter<'_>) {
        let mut reserved = RESERVED.iter().chain(&CALL_VALUES);
        let is_reserved = reserved.any(|reserved| **reserved == *name.value);
        let is_unreadable = name.value.contains(NOT_IN_NAMES) || name.value.trim() != name.value;
        if is_reserved || is_unreadable {
            let help = match is_reserved {
                true => {
                    "the name has a meaning of its own; give the look-up another one".to_owned()
                }
                false => format!(
                    "a name contains no space at its ends and none of {}",
                    NOT_IN_NAMES.map(String::from).join(" ")
                ),
            };
            let message = format!("a look-up cannot be called `{}`", name.value);
            reporter.error(BAD_LOOKUP, &name.span, message).help(help);
        }
    }

    /// Checks `[lookup.history]`, which has limits only.
    fn set_history(
        &mut self,
        raw: &RawLookup,
        context: &CheckContext,
        reporter: &mut Reporter<'_>,
    ) {
        if raw.url.is_some() || raw.database.is_some() {
            let message = "`history` is a look-up of its own, in the records".to_owned();
            reporter
                .error(BAD_LOOKUP, &raw.name.span, message)
                .help("give the look-up another name; [lookup.history] sets only limits");
        }
        let mut checker = LookupChecker { raw, context, reporter };
        let HistoryPolicy { timeout, max_concurrent: most, .. } = HistoryPolicy::default();
        let default = timeout.as_millis() as i64;
        let timeout = checker.integer("timeout_ms", &raw.timeout_ms, TIMEOUTS_MS, default);
        let (max_concurrent, breaker) = checker.limits(most as i64);
        let timeout = Duration::from_millis(timeout);
        self.history = HistoryPolicy { timeout, max_concurrent, breaker };
    }

    /// Resolves `LOOKUP.field` or `history.field`, and notes that it is used. Returns `None` if no
    /// look-up has this name.
    pub(super) fn field(
        &mut self,
        name: &str,
        field: &str,
    ) -> Option<Result<(LookupId, FieldPath), Problem>> {
        let id = if name == history::NAME {
            if let Some(problem) = history::unknown_field(field) {
                return Some(Err(problem));
            }
            self.uses_history = true;
            LookupId::HISTORY
        } else {
            let position = self.all.iter().position(|lookup| *lookup.name == *name)?;
            self.usage.mark_used(position);
            LookupId::of_position(position)?
        };
        let path = FieldPath::parse(field).ok_or_else(|| {
            let message = format!("`{name}.{field}` has an empty part");
            Problem::new("unknown-value", message).help(format!("write `{name}.first_name`"))
        });
        Some(path.map(|path| (id, path)))
    }

    pub(super) fn timeout(&self, id: LookupId) -> Duration {
        id.position().map_or(self.history.timeout, |position| self.all[position].timeout)
    }

    /// Returns the names of values, written as in a template.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let lookups = self.all.iter().map(|lookup| &*lookup.name);
        lookups.chain([history::NAME]).map(|name| format!("{name}.FIELD"))
    }
}

/// Checks one look-up.
pub(super) struct LookupChecker<'c, 'r> {
    pub(super) raw: &'c RawLookup,
    pub(super) context: &'c CheckContext,
    pub(super) reporter: &'c mut Reporter<'r>,
}

impl LookupChecker<'_, '_> {
    /// Returns how many questions are asked at the same time, and when the system is left alone.
    fn limits(&mut self, most: i64) -> (usize, BreakerPolicy) {
        let raw = self.raw;
        let max_concurrent = &raw.max_concurrent;
        let max_concurrent = self.integer("max_concurrent", max_concurrent, 1..=1_024, most);
        let failures = &raw.breaker_failures;
        let failures = self.integer("breaker_failures", failures, 1..=1_000, BREAKER_FAILURES);
        let pause = &raw.breaker_pause_s;
        let pause =
            Duration::from_secs(self.integer("breaker_pause_s", pause, 1..=3_600, BREAKER_PAUSE_S));
        (max_concurrent as usize, BreakerPolicy { failures: failures as u32, pause })
    }

    fn integer(
        &mut self,
        key: &str,
        value: &Option<Spanned<i64>>,
        range: RangeInclusive<i64>,
        default: i64,
    ) -> u64 {
        let Some(raw) = value else { return default.unsigned_abs() };
        if !range.contains(&raw.value) {
            let message = format!(
                "{key} is {}; it must be from {} to {}",
                raw.value,
                range.start(),
                range.end()
            );
            self.reporter.error(BAD_LOOKUP, &raw.span, message);
            return default.unsigned_abs();
        }
        raw.value.unsigned_abs()
    }

    /// Returns what is asked, or `None` if it has errors, which are reported.
    pub(super) fn backend(&mut self) -> Option<LookupBackend> {
        let raw = self.raw;
        match (&raw.url, &raw.database) {
            (Some(url), None) => {
                self.refuse_keys("url", &[("query", raw.query.as_ref().map(|key| &key.span))]);
                self.http(url).map(LookupBackend::Http)
            }
            (None, Some(database)) => {
                let header = raw.headers.first().map(|(name, _)| &name.span);
                let body = raw.body.as_ref().and_then(|body| body.first());
                self.refuse_keys(
                    "database",
                    &[
                        ("method", raw.method.as_ref().map(|key| &key.span)),
                        ("headers", header),
                        ("body", body.map(|(name, _)| &name.span)),
                        ("result", raw.result.as_ref().map(|key| &key.span)),
                    ],
                );
                self.sql(database).map(LookupBackend::Sql)
            }
            (Some(_), Some(database)) => {
                let message = "a look-up has either a `url` or a `database`".to_owned();
                self.reporter.error(BAD_LOOKUP, &database.span, message);
                None
            }
            (None, None) if raw.invalid => None,
            (None, None) => {
                let message = format!("look-up `{}` asks nothing", raw.name.value);
                self.reporter.error(BAD_LOOKUP, &raw.name.span, message).help(
                    "set url = \"https://…\", or database = \"env:NAME\" and query = \"SELECT …\"",
                );
                None
            }
        }
    }

    fn refuse_keys(&mut self, with: &str, keys: &[(&str, Option<&Range<usize>>)]) {
        for (key, span) in keys {
            if let Some(span) = span {
                let message = format!("a look-up with a `{with}` has no `{key}`");
                self.reporter.error(BAD_LOOKUP, span, message).help(format!("remove `{key}`"));
            }
        }
    }

    fn http(&mut self, url: &Spanned<String>) -> Option<HttpLookup> {
        let raw = self.raw;
        let allow_private = raw.allow_private.as_ref().is_some_and(|allowed| allowed.value);
        let template = self.template(url);
        let url = template.filter(|template| self.check_url(template, url, allow_private));
        let headers = raw.headers.iter().filter_map(|(name, value)| self.header(name, value));
        let headers = headers.collect::<Vec<_>>();
        let body = raw.body.as_ref().map(|entries| BodyNode::Table(self.nodes(entries)));
        let method = self.method(body.is_some());
        let result = self.pointer();
        Some(HttpLookup { method, url: url?, headers, body, result, allow_private })
    }

    fn template(&mut self, text: &Spanned<String>) -> Option<RequestTemplate> {
        match RequestTemplate::parse(&text.value) {
            Ok(template) => {
                for variable in template.environment() {
                    self.check_variable(variable, &text.span);
                }
                for value in template.values() {
                    if let RequestValue::Attribute(name) = value {
                        self.reporter.check_attribute(name, &text.span);
                    }
                }
                Some(template)
            }
            Err(errors) => {
                self.reporter.template_problems(&text.value, &text.span, errors);
                None
            }
        }
    }

    fn check_variable(&mut self, variable: &str, span: &Range<usize>) {
        let Some(known) = &self.context.environment else { return };
        if known.contains(variable) {
            return;
        }
        let message = format!("the environment variable {variable} is not set");
        let help = format!("set {variable} for the service");
        match self.context.requires_secrets {
            true => self.reporter.error("no-secret", span, message).help(help),
            false => self.reporter.note("secret-missing", span, message).help(help),
        };
    }

    /// Checks what can be known of a URL before the call. Returns whether it can be used.
    fn check_url(
        &mut self,
        template: &RequestTemplate,
        url: &Spanned<String>,
        allow_private: bool,
    ) -> bool {
        let text = with_placeholders(template);
        let parameters = check_parameters(&text);
        let has_secret = parameters.is_err();
        let checked = url_start(template.literal_start(), template.parts().len() == 1)
            .and_then(|start| check_host(&start, allow_private))
            .and_then(|()| check_path(&text))
            .and(parameters);
        let Err(problem) = checked else { return true };
        let hides_line = has_secret || problem.code == INLINE_SECRET;
        let diagnostic = self.reporter.push(Severity::Error, &url.span, problem);
        if hides_line {
            diagnostic.hide_line();
        }
        false
    }

    /// Reports a secret that stands in the table itself: in a header or a field.
    fn check_secret(&mut self, name: &Spanned<String>, template: &RequestTemplate, kind: &str) {
        if names_a_secret(&name.value) && is_literal(template) {
            let message = format!("the {kind} `{}` contains a secret", name.value);
            let diagnostic = self.reporter.error(INLINE_SECRET, &name.span, message);
            diagnostic.help(INSTEAD_OF_SECRET).hide_line();
        }
    }

    fn header(
        &mut self,
        name: &Spanned<String>,
        value: &Spanned<RawValue>,
    ) -> Option<(Box<str>, RequestTemplate)> {
        let RawValue::Text(text) = &value.value else {
            let message = format!("header `{}` must be a string", name.value);
            self.reporter.error("wrong-kind", &value.span, message);
            return None;
        };
        let Ok(parsed) = HeaderName::try_from(name.value.as_str()) else {
            let message = format!("`{}` is not the name of a header", name.value);
            self.reporter.error(BAD_LOOKUP, &name.span, message);
            return None;
        };
        if OWN_HEADERS.contains(&parsed.as_str()) {
            let message = format!("the header `{parsed}` cannot be set");
            self.reporter.error(BAD_LOOKUP, &name.span, message).help("remove it");
            return None;
        }
        let text = Spanned { value: text.clone(), span: value.span.clone() };
        let template = self.template(&text)?;
        self.check_secret(name, &template, "header");
        Some((parsed.as_str().into(), template))
    }

    fn method(&mut self, has_body: bool) -> HttpMethod {
        let default = if has_body { HttpMethod::Post } else { HttpMethod::Get };
        let Some(raw) = &self.raw.method else { return default };
        let found = HttpMethod::ALL
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(raw.value.trim()));
        match found {
            Some(HttpMethod::Get) if has_body => {
                let message = "a GET request has no `body`".to_owned();
                self.reporter.error(BAD_LOOKUP, &raw.span, message).help("write method = \"POST\"");
            }
            Some(_) => {}
            None => {
                let message = format!("`{}` is not a method of look-ups", raw.value);
                let names = HttpMethod::ALL.map(HttpMethod::as_str);
                let help = did_you_mean(&raw.value.to_uppercase(), names);
                self.reporter
                    .error(BAD_LOOKUP, &raw.span, message)
                    .help("use GET, POST or PUT")
                    .maybe_help(help);
            }
        }
        found.unwrap_or(default)
    }

    fn pointer(&mut self) -> Box<str> {
        let Some(raw) = &self.raw.result else { return Box::default() };
        if raw.value.is_empty() || raw.value.starts_with('/') {
            return raw.value.as_str().into();
        }
        let message = format!("`{}` is not a JSON Pointer", raw.value);
        let help = format!("write result = \"/{}\"", raw.value.replace('.', "/"));
        self.reporter.error(BAD_LOOKUP, &raw.span, message).help(help);
        Box::default()
    }

    fn nodes(&mut self, entries: &Entries) -> Vec<(Box<str>, BodyNode)> {
        let nodes = entries.iter().filter_map(|(name, value)| {
            let node = self.node(value)?;
            if let BodyNode::Text(template) = &node {
                self.check_secret(name, template, "field");
            }
            Some((name.value.as_str().into(), node))
        });
        nodes.collect()
    }

    fn node(&mut self, value: &Spanned<RawValue>) -> Option<BodyNode> {
        Some(match &value.value {
            RawValue::Text(text) => {
                let text = Spanned { value: text.clone(), span: value.span.clone() };
                BodyNode::Text(self.template(&text)?)
            }
            RawValue::Plain(plain) => BodyNode::Plain(plain.clone()),
            RawValue::List(items) => {
                BodyNode::List(items.iter().filter_map(|item| self.node(item)).collect())
            }
            RawValue::Table(entries) => BodyNode::Table(self.nodes(entries)),
        })
    }

    fn sql(&mut self, database: &Spanned<String>) -> Option<SqlLookup> {
        let reference = database.value.trim();
        match reference.split_once(':') {
            Some(("env", variable)) if !variable.is_empty() => {
                self.check_variable(variable, &database.span);
            }
            Some(("file", path)) if path.starts_with('/') => {}
            Some(("file", _)) => {
                let message = "the path of a secret must be absolute".to_owned();
                self.reporter
                    .error(BAD_LOOKUP, &database.span, message)
                    .help("write file:/run/secrets/NAME");
            }
            Some(_) | None => {
                let message = "`database` must refer to the URL, not contain it".to_owned();
                self.reporter
                    .error(INLINE_SECRET, &database.span, message)
                    .help("write \"env:NAME\" or \"file:/PATH\"; the URL can contain a password")
                    .hide_line();
            }
        }
        let Some(query) = &self.raw.query else {
            if !self.raw.invalid {
                let message = "a look-up with a `database` needs a `query`".to_owned();
                self.reporter
                    .error(BAD_LOOKUP, &database.span, message)
                    .help("write query = \"SELECT name FROM customers WHERE phone = :from\"");
            }
            return None;
        };
        let parsed = match NumberedQuery::parse(&query.value) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.reporter
                    .error(BAD_LOOKUP, &query.span, error.to_string())
                    .help("write one SELECT, with values of the call as :from, :to or :call_id");
                return None;
            }
        };
        let parameters = parsed.parameters.iter().map(|name| self.parameter(name, &query.span));
        let parameters = parameters.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()?;
        Some(SqlLookup { database: reference.into(), query: parsed, parameters })
    }

    fn parameter(&mut self, name: &str, span: &Range<usize>) -> Option<RequestValue> {
        const NAMES: [&str; 5] = ["from", "to", "call_id", "channel", "source"];
        let value = RequestValue::parse(name);
        if value.is_none() {
            let message = format!("a query has no value `:{name}`");
            let help = did_you_mean(name, NAMES);
            let all = format!("use one of {}", NAMES.map(|name| format!(":{name}")).join(", "));
            self.reporter.error("unknown-value", span, message).help(all).maybe_help(help);
        }
        value
    }
}

/// Parses the part of a URL before its first placeholder, which must contain the whole host.
fn url_start(start: &str, is_whole: bool) -> Result<Url, Problem> {
    let example = "write the address in full: https://crm.example.com/by-phone?phone=${from}";
    let Some((scheme, rest)) = start.split_once("://") else {
        return Err(
            Problem::new(BAD_URL, "the URL does not begin with https:// and a host").help(example)
        );
    };
    if !matches!(scheme, "http" | "https") {
        let message = format!("a look-up cannot ask over `{scheme}`");
        return Err(Problem::new(BAD_URL, message).help("use https or http"));
    }
    if !is_whole && !rest.contains(['/', '?']) {
        return Err(Problem::new(BAD_URL, "the host of the URL contains a placeholder").help(
            "a value of the call cannot select the host; write the host, then `/` and the value",
        ));
    }
    Url::parse(start).map_err(|error| {
        Problem::new(BAD_URL, format!("the URL is invalid: {error}")).help(example)
    })
}

fn is_literal(template: &RequestTemplate) -> bool {
    template.parts().iter().all(|part| matches!(part, RequestPart::Text(text) if !text.is_empty()))
}

/// Checks the user and the host of a URL.
fn check_host(url: &Url, allow_private: bool) -> Result<(), Problem> {
    if !url.username().is_empty() || url.password().is_some() {
        let message = "the URL contains a user name or a password";
        return Err(Problem::new(INLINE_SECRET, message)
            .help("write headers = { authorization = \"Basic ${env.NAME}\" }"));
    }
    let is_inside = match url.host() {
        Some(Host::Ipv4(address)) => is_private(address.into()),
        Some(Host::Ipv6(address)) => is_private(address.into()),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    if is_inside && !allow_private {
        let host = url.host_str().unwrap_or_default();
        let message = format!("`{host}` is not on the internet");
        let help = "set allow_private = true if the look-up may reach your own network";
        return Err(Problem::new("private-address", message).help(help));
    }
    Ok(())
}

/// Returns the text of a URL. Values of the call and secrets of the service, which may be anything, are left open.
fn with_placeholders(template: &RequestTemplate) -> String {
    let parts = template.parts().iter().map(|part| match part {
        RequestPart::Text(text) => &**text,
        RequestPart::Value(..) | RequestPart::Secret(_) => PLACEHOLDER,
    });
    parts.collect()
}

/// Returns the help for the address of a spreadsheet's page for people, whose sheet is in the fragment.
fn export_of_sheet(url: &str) -> Option<String> {
    let (page, fragment) = url.split_once('#')?;
    let (sheet, _) = page.split_once("/edit")?;
    let is_sheet = sheet.starts_with("https://docs.google.com/spreadsheets/d/");
    let gid = fragment.split('&').find_map(|part| part.strip_prefix("gid=")).unwrap_or("0");
    is_sheet
        .then(|| format!("this is the page for people: write {sheet}/export?format=csv&gid={gid}"))
}

/// Checks that a URL has no fragment, and that its path does not lead upwards.
fn check_path(url: &str) -> Result<(), Problem> {
    let path = url.split('?').next().unwrap_or_default();
    if url.contains('#') {
        return Err(Problem::new(BAD_URL, "a fragment, `#…`, is never sent")
            .help("write %23 for a `#` in a value")
            .maybe_help(export_of_sheet(url)));
    }
    if path.split('/').any(|part| part.replace(PLACEHOLDER, "") == "..") {
        return Err(Problem::new(BAD_URL, "the path of the URL contains `..`")
            .help("write the path to which it leads"));
    }
    Ok(())
}

/// Checks that the query of a URL contains no secret: `?api_key=abc`.
fn check_parameters(url: &str) -> Result<(), Problem> {
    let (_, query) = url.split_once('?').unwrap_or_default();
    let parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
    let mut secrets = parameters.filter(|(name, value)| {
        names_a_secret(name) && !value.is_empty() && !value.contains(PLACEHOLDER)
    });
    match secrets.next() {
        Some((name, _)) => {
            let message = format!("the parameter `{name}` of the URL contains a secret");
            Err(Problem::new(INLINE_SECRET, message).help(INSTEAD_OF_SECRET))
        }
        None => Ok(()),
    }
}
