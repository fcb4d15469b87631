//! Look-ups, `[lookup.NAME]`: questions to other systems about a call, as the rule table defines them.
//! `crate::lookup` asks them.

use std::time::Duration;

use serde_json::Value;

use super::request_template::{RequestTemplate, RequestValue};
use super::sql_query::NumberedQuery;

/// A look-up.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// Name by which rules refer to its values.
    pub name: Box<str>,
    /// The system that is asked, and the question.
    pub backend: LookupBackend,
    /// Longest time for which a call waits.
    pub timeout: Duration,
    /// Time for which an answer is kept.
    pub cache: Duration,
    /// Time for which it is remembered that the system does not know a caller.
    pub negative_cache: Duration,
    /// Maximum number of questions at the same time.
    pub max_concurrent: usize,
    /// Maximum size of an answer.
    pub max_bytes: usize,
    /// When the system is left alone.
    pub breaker: BreakerPolicy,
}

impl Lookup {
    /// Returns the values of a call without which the look-up is not asked.
    pub(crate) fn required_values(&self) -> Vec<&RequestValue> {
        match &self.backend {
            LookupBackend::Sql(sql) => sql.parameters.iter().collect(),
            LookupBackend::Http(http) => {
                http.templates().into_iter().flat_map(RequestTemplate::required_values).collect()
            }
        }
    }
}

/// When a look-up is suspended, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BreakerPolicy {
    /// Failures in a row after which the look-up is suspended.
    pub failures: u32,
    /// Time until a single request tries the system again.
    pub pause: Duration,
}

/// The system that a look-up asks.
#[derive(Debug, Clone, PartialEq)]
pub enum LookupBackend {
    /// A service that answers JSON over HTTP.
    Http(HttpLookup),
    /// A database.
    Sql(SqlLookup),
}

impl LookupBackend {
    /// Returns the references to the secrets of the request: `env:NAME` and `file:/PATH`.
    pub fn secret_references(&self) -> Vec<String> {
        match self {
            LookupBackend::Sql(sql) => vec![sql.database.to_string()],
            LookupBackend::Http(http) => {
                let references = http.templates().into_iter().flat_map(RequestTemplate::secrets);
                references.map(str::to_owned).collect()
            }
        }
    }
}

/// A request whose answer is JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpLookup {
    /// Method.
    pub method: HttpMethod,
    /// Absolute URL; its scheme, host and port contain no placeholders.
    pub url: RequestTemplate,
    /// Headers.
    pub headers: Vec<(Box<str>, RequestTemplate)>,
    /// JSON body.
    pub body: Option<BodyNode>,
    /// JSON Pointer (RFC 6901) to the part of the answer that holds the fields; empty for all of it.
    pub result: Box<str>,
    /// Whether the host may have an address that is not on the internet.
    pub allow_private: bool,
}

impl HttpLookup {
    /// Returns the texts of the URL, the headers and the body.
    fn templates(&self) -> Vec<&RequestTemplate> {
        let headers = self.headers.iter().map(|(_, value)| value);
        let mut templates: Vec<&RequestTemplate> = [&self.url].into_iter().chain(headers).collect();
        self.body.iter().for_each(|body| body.add_templates(&mut templates));
        templates
    }
}

/// Method of a look-up's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

impl HttpMethod {
    /// All methods.
    pub const ALL: [HttpMethod; 3] = [HttpMethod::Get, HttpMethod::Post, HttpMethod::Put];

    /// Returns the name of the method.
    pub fn as_str(self) -> &'static str {
        match self {
            HttpMethod::Get => "GET",
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
        }
    }
}

/// A value inside the body of a look-up's request.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyNode {
    /// Number or boolean.
    Plain(Value),
    /// Text.
    Text(RequestTemplate),
    /// Array.
    List(Vec<BodyNode>),
    /// Object.
    Table(Vec<(Box<str>, BodyNode)>),
}

impl BodyNode {
    fn add_templates<'b>(&'b self, templates: &mut Vec<&'b RequestTemplate>) {
        match self {
            BodyNode::Plain(_) => {}
            BodyNode::Text(template) => templates.push(template),
            BodyNode::List(nodes) => nodes.iter().for_each(|node| node.add_templates(templates)),
            BodyNode::Table(entries) => {
                entries.iter().for_each(|(_, node)| node.add_templates(templates));
            }
        }
    }
}

/// A query whose first row is the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlLookup {
    /// Where the URL of the database is: `env:NAME` or `file:PATH`.
    pub database: Box<str>,
    /// The query.
    pub query: NumberedQuery,
    /// Values of its parameters.
    pub parameters: Vec<RequestValue>,
}
