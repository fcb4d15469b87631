//! `/try`: what a call would get, rule by rule, and the reply of each platform.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::access::Reader;
use super::explained::{ExplainedPart, in_words};
use super::name_link::NameLink;
use super::page::{Frame, HtmlPage, PageError, PageSection, Parameters, off_thread, with_problem};
use super::state::Console;
use crate::explain::query::{
    Base, ChannelParam, ExplainError, ExplainQuery, InvalidParameter, explain_query,
};
use crate::explain::view::ExplainedView;
use crate::http::HttpProblem;
use crate::records::{CallRecord, Texts};
use crate::signed_request::{FROM, TO};

/// Rule names that a field proposes.
const MOST_NAMES: usize = 500;
/// Beginning of the names of parameters with the answers of look-ups: `lookup.crm`.
const PREFIX: &str = "lookup.";

/// A field of the form.
struct Field {
    name: String,
    label: &'static str,
    value: String,
    hint: &'static str,
    placeholder: &'static str,
    /// Id of the list of proposed values.
    list: &'static str,
    error: Option<String>,
}

/// A field for what a look-up would answer.
struct LookupField {
    name: String,
    /// The name as the reader may see it.
    label: NameLink,
    value: String,
    /// State of the look-up in the explanation.
    state: String,
    question: Option<String>,
    problem: Option<String>,
    /// Value that it found.
    found: Option<String>,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "try.html")]
struct TryPage {
    frame: Frame,
    reader: Reader,
    /// The recorded call from which the fields are filled in.
    call: Option<Uuid>,
    fields: Vec<Field>,
    channel: &'static str,
    source: String,
    sources: Vec<String>,
    rules: Vec<String>,
    zone: String,
    all: bool,
    live: bool,
    lookups: Vec<LookupField>,
    /// Mistakes in parameters that have no field.
    other_errors: Vec<String>,
    explained: Option<ExplainedPart>,
    /// Whether something was asked.
    is_asked: bool,
}

/// Parameters of the page.
#[derive(Debug, Clone, Default)]
struct TryQuery {
    explain: ExplainQuery,
    call: Option<Uuid>,
    errors: Vec<InvalidParameter>,
}

impl TryQuery {
    /// Reads parameters. What cannot be read is a mistake that the page shows.
    fn new(pairs: Vec<(String, String)>) -> TryQuery {
        let mut query = TryQuery::default();
        for (name, value) in pairs {
            if let Err(reason) = query.set(&name, value) {
                query.errors.push(InvalidParameter { name, reason });
            }
        }
        query.explain = query.explain.without_blanks();
        query
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let explain = &mut self.explain;
        match name {
            "from" => explain.from = Some(value),
            "to" => explain.to = Some(value),
            "number_id" => explain.number_id = Some(value),
            "attr" => explain.attr = Some(value),
            "source" => explain.source = Some(value),
            "at" => explain.at = Some(value.replacen('T', " ", 1)),
            "why_not" => explain.why_not = Some(value),
            "all" => explain.all = flag(&value)?,
            "live" => explain.live = flag(&value)?,
            "channel" => {
                explain.channel = match value.as_str() {
                    "" => None,
                    "call" => Some(ChannelParam::Call),
                    "sms" => Some(ChannelParam::Sms),
                    other => return Err(format!("`{other}` is neither call nor sms")),
                };
            }
            "call" if value.is_empty() => {}
            "call" => {
                let id =
                    value.parse().map_err(|_| format!("`{value}` is not the id of a record"))?;
                self.call = Some(id);
            }
            name => match name.strip_prefix(PREFIX) {
                Some(lookup) => explain.lookups.push((lookup.to_owned(), value)),
                None => return Err("this page does not know the parameter".to_owned()),
            },
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        let ExplainQuery { from, to, number_id, attr, source, at, why_not, lookups, .. } =
            &self.explain;
        let texts = [from, to, number_id, attr, source, at, why_not];
        texts.iter().all(|text| text.is_none())
            && lookups.is_empty()
            && self.call.is_none()
            && self.errors.is_empty()
    }

    /// Fills in what a recorded call has and the parameters do not give.
    fn fill_in(&mut self, call: &CallRecord, reader: &Reader) {
        let explain = &mut self.explain;
        let shown_party = |text: &str| reader.party(text);
        for (given, kept) in [(&mut explain.from, &call.from), (&mut explain.to, &call.to)] {
            // A reader who sees masked numbers sends them back as they are.
            if given.as_ref().is_none_or(|given| *given == shown_party(kept)) {
                *given = Some(kept.clone());
            }
        }
        explain.source.get_or_insert_with(|| call.source.clone());
        let is_sms = call.channel == "sms";
        let channel = if is_sms { ChannelParam::Sms } else { ChannelParam::Call };
        explain.channel.get_or_insert(channel);
        restore(&mut explain.attr, &attributes(call), reader);
        let number_id = call.details.number_id.as_deref().unwrap_or_default();
        restore(&mut explain.number_id, number_id, reader);
        for asked in &call.details.lookups {
            let Some(value) = &asked.value else { continue };
            let value = value.to_string();
            let given = explain.lookups.iter_mut().find(|(name, _)| *name == asked.name);
            if let Some((_, given)) = given
                && *given == reader.text(&value)
            {
                *given = value;
            }
        }
    }
}

/// Returns the attributes of a recorded call as a parameter has them.
fn attributes(call: &CallRecord) -> String {
    let Texts(attributes) = &call.details.attributes;
    let attributes = attributes.iter().map(|(name, value)| format!("{name}={value}"));
    attributes.collect::<Vec<_>>().join(",")
}

/// Replaces a text that is missing, or that is the masked form of the kept one, by the kept one.
fn restore(given: &mut Option<String>, kept: &str, reader: &Reader) {
    let is_unchanged = given.as_ref().is_none_or(|given| *given == reader.text(kept));
    if is_unchanged && !kept.is_empty() {
        *given = Some(kept.to_owned());
    }
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "" | "false" => Ok(false),
        "true" | "on" => Ok(true),
        other => Err(format!("`{other}` is neither true nor false")),
    }
}

/// Shows the form, and the explanation of what it describes.
pub(super) async fn show(
    State(console): State<Console>,
    reader: Reader,
    Parameters(pairs): Parameters<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let mut query = TryQuery::new(pairs);
    let is_asked = !query.is_empty();
    if query.explain.live && !reader.is_editor() {
        let reason = "asking look-ups needs the role `editor`".to_owned();
        query.errors.push(InvalidParameter { name: "live".to_owned(), reason });
    }
    let record = match query.call {
        Some(id) => console.app.recorder().store()?.call(id).await?,
        None => None,
    };
    let mut base = Base::Unknown;
    if query.call.is_some() {
        let fields = record.as_ref().map(CallRecord::fields);
        match fields {
            Some(Ok(fields)) => base = Base::Call(Box::new(fields)),
            Some(Err(error)) => query.mistake("call", error.to_string()),
            None => query.mistake("call", "no such call is recorded".to_owned()),
        }
    }
    if let Some(record) = &record {
        query.fill_in(record, &reader);
    }
    let mut explained = None;
    if is_asked && query.errors.is_empty() {
        let asked = query.without_kept(record.as_ref());
        match explain(&console, asked, base).await? {
            Ok(view) => explained = Some(ExplainedPart::new(view, &reader)),
            Err(invalid) => query.errors = invalid,
        }
    }
    let errors = query.errors.len();
    let page = TryPage::new(&console, reader, query, explained, is_asked);
    if errors > 0 {
        let problem = HttpProblem::Invalid("the parameters have mistakes".to_owned());
        return Ok(with_problem(problem, page));
    }
    Ok(HtmlPage(page).into_response())
}

impl TryQuery {
    /// Returns the parameters without those that a recorded call has as they are: texts of calls need not be what a
    /// person may write.
    fn without_kept(&self, record: Option<&CallRecord>) -> ExplainQuery {
        let mut explain = self.explain.clone();
        let Some(record) = record else { return explain };
        let attributes = attributes(record);
        explain.from = explain.from.filter(|from| *from != record.from);
        explain.to = explain.to.filter(|to| *to != record.to);
        explain.attr = explain.attr.filter(|attr| *attr != attributes);
        explain
    }

    fn mistake(&mut self, name: &str, reason: String) {
        self.errors.push(InvalidParameter { name: name.to_owned(), reason });
    }
}

/// Explains a call, or returns the mistakes in its parameters.
async fn explain(
    console: &Console,
    query: ExplainQuery,
    base: Base<'static>,
) -> Result<Result<ExplainedView, Vec<InvalidParameter>>, PageError> {
    let (app, runtime) = (console.app.clone(), Handle::current());
    // The scan of a million rules takes a while; calls must not wait for it.
    let explaining = off_thread(move || {
        explain_query(&app, &query, base, &runtime, |explained| explained.view())
    });
    match explaining.await? {
        Ok(view) => Ok(Ok(view)),
        Err(ExplainError::Invalid(invalid)) => Ok(Err(invalid)),
        Err(error @ (ExplainError::Body(_) | ExplainError::Mismatch(_))) => {
            Err(HttpProblem::from(error).into())
        }
    }
}

impl TryPage {
    fn new(
        console: &Console,
        reader: Reader,
        query: TryQuery,
        explained: Option<ExplainedPart>,
        is_asked: bool,
    ) -> TryPage {
        let table = console.app.table();
        let TryQuery { explain, call, mut errors } = query;
        let lookups = lookup_fields(&explain, explained.as_ref(), &mut errors, &reader);
        let channel = match explain.channel {
            Some(ChannelParam::Sms) => "sms",
            Some(ChannelParam::Call) | None => "call",
        };
        let fields = fields(&explain, &mut errors, &reader, is_asked);
        let other_errors = errors.iter().map(ToString::to_string).collect();
        let sources = console.app.sources();
        TryPage {
            frame: Frame::new("Try a call", PageSection::Try, &reader),
            call,
            fields,
            channel,
            source: explain.source.unwrap_or_default(),
            sources: sources.iter().map(|source| source.name.to_string()).collect(),
            rules: reader.whole_names(table.rule_names(), MOST_NAMES),
            zone: super::calls::zone_name(&table.zone),
            all: explain.all,
            live: explain.live,
            lookups,
            other_errors,
            explained,
            is_asked,
            reader,
        }
    }
}

/// Returns the fields with a text, and takes their mistakes.
fn fields(
    explain: &ExplainQuery,
    errors: &mut Vec<InvalidParameter>,
    reader: &Reader,
    is_asked: bool,
) -> Vec<Field> {
    let party = |text: &Option<String>, example: &str| match text {
        Some(text) => reader.party(text),
        None if is_asked => String::new(),
        None => example.to_owned(),
    };
    let text = |text: &Option<String>| match text {
        Some(text) => reader.text(text).into_owned(),
        None => String::new(),
    };
    let fields = [
        ("from", "From", party(&explain.from, FROM), "a number, withheld, or a text", FROM, ""),
        ("to", "To", party(&explain.to, TO), "the called number", TO, ""),
        ("at", "At", text(&explain.at), "in the zone of the rules", "now", ""),
        ("number_id", "Number id", text(&explain.number_id), "the platform's id of “to”", "", ""),
        (
            "attr",
            "Attributes",
            text(&explain.attr),
            "further facts that the platform sends",
            "account=acme,tier=gold",
            "",
        ),
        ("why_not", "Why not rule", text(&explain.why_not), "listed in any case", "", "rule-names"),
    ];
    let field = |(name, label, value, hint, placeholder, list)| Field {
        error: take_error(errors, name),
        name: String::from(name),
        label,
        value,
        hint,
        placeholder,
        list,
    };
    fields.map(field).into()
}

/// Returns fields for the look-ups that the decision needs or that have a value, and takes their mistakes.
fn lookup_fields(
    explain: &ExplainQuery,
    explained: Option<&ExplainedPart>,
    errors: &mut Vec<InvalidParameter>,
    reader: &Reader,
) -> Vec<LookupField> {
    let needed = explained.map(|part| part.view.lookups.as_slice()).unwrap_or_default();
    let given = |name: &str| explain.lookups.iter().find(|(given, _)| given == name);
    let mut fields: Vec<LookupField> = Vec::new();
    for lookup in needed {
        let value = given(&lookup.name).map(|(_, value)| reader.text(value).into_owned());
        fields.push(LookupField {
            state: in_words(lookup.state),
            question: lookup.question.clone(),
            problem: lookup.problem.clone(),
            found: lookup.value.clone().filter(|_| value.is_none()),
            value: value.unwrap_or_default(),
            error: take_error(errors, &format!("{PREFIX}{}", lookup.name)),
            label: NameLink::new(&lookup.name, reader.number_view()),
            name: lookup.name.clone(),
        });
    }
    for (name, value) in &explain.lookups {
        if fields.iter().any(|field| field.name == *name) {
            continue;
        }
        fields.push(LookupField {
            label: NameLink::new(name, reader.number_view()),
            name: name.clone(),
            value: reader.text(value).into_owned(),
            state: "not needed".to_owned(),
            question: None,
            problem: None,
            found: None,
            error: take_error(errors, &format!("{PREFIX}{name}")),
        });
    }
    fields
}

/// Removes the mistake of a field, and returns it.
fn take_error(errors: &mut Vec<InvalidParameter>, name: &str) -> Option<String> {
    let at = errors.iter().position(|error| error.name == name)?;
    Some(errors.remove(at).reason)
}
