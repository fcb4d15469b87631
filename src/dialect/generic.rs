//! Platforms that settings declare: any webhook that asks in JSON, a form or a query, and reads JSON.
//!
//! The declaration names the fields of the request by pointers and has one reply template for each
//! outcome. An outcome without a template is one that the platform cannot express.

mod pointer;
mod template;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    Dialect, Event, Incoming, ParseError, RenderContext, Reply, accepted_variables, not_accepted,
};
use crate::authenticate::{Scheme, Verified};
use crate::domain::call::{Call, Channel, Fields, Platform, Version};
use crate::domain::capabilities::{
    Capabilities, Profile, Reject, Timing, Transfer, VariableLimits,
};
use crate::domain::decision::{Decision, LeftOut, Outcome, SelectedAgent, Variable, is_busy};
use crate::domain::form;
use crate::domain::form::Form;
use crate::domain::json;
use crate::domain::party::{NumberFormat, Party};

pub use pointer::Pointer;
use pointer::RequestFields;
pub use template::{
    InvalidReplyTemplate, Placeholder, ReplyTemplate, TemplateOutcome, UnfitTemplate,
};

/// Declaration of a platform, without mistakes.
pub struct GenericDialect {
    scheme: Arc<dyn Scheme>,
    request: RequestShape,
    reply: ReplyTemplates,
    variables: VariableShape,
    profile: Profile,
    default_reply: Box<str>,
}

/// Encoding of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFormat {
    /// POST with a JSON object.
    Json,
    /// POST with a form.
    Form,
    /// GET with a query.
    Query,
}

/// Fields of a request. Of several pointers, the first one to a value that is not empty counts.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestShape {
    /// Encoding.
    pub format: RequestFormat,
    /// Requests that ask for a decision; `None` for all but those on the path of events. The others are events.
    pub when: Option<FieldMatch>,
    /// Requests with which the platform checks the URL.
    pub probe: Option<FieldMatch>,
    /// Caller's number.
    pub from: Vec<Pointer>,
    /// Called number.
    pub to: Vec<Pointer>,
    /// Id of the call, identical on every retry.
    pub call_id: Vec<Pointer>,
    /// Agent that the platform has assigned to the number.
    pub agent: Vec<Pointer>,
    /// The platform's id of the called number.
    pub number_id: Vec<Pointer>,
    /// Object with SIP headers.
    pub sip: Option<Pointer>,
    /// Attributes by name.
    pub attributes: Vec<(Box<str>, Pointer)>,
    /// Kind of an event.
    pub event: Vec<Pointer>,
}

/// Values by which a kind of request is recognized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMatch {
    /// Pointer to the value.
    pub pointer: Pointer,
    /// Texts that match.
    pub equals: Vec<Box<str>>,
}

impl FieldMatch {
    fn matches(&self, fields: &RequestFields<'_>) -> bool {
        let text = fields.text(&self.pointer);
        text.is_some_and(|text| self.equals.iter().any(|expected| **expected == *text))
    }
}

/// Reply template of each outcome. `None` for an outcome that the platform cannot express.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplyTemplates {
    /// An agent is selected.
    pub agent: Option<ReplyTemplate>,
    /// The platform's own agent answers.
    pub keep: Option<ReplyTemplate>,
    /// The call is rejected.
    pub reject: Option<ReplyTemplate>,
    /// The call is transferred.
    pub transfer: Option<ReplyTemplate>,
    /// Leaves out members whose value is an empty object or list.
    pub drops_empty: bool,
}

/// Form and limits of the variables of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VariableShape {
    /// An array of `{"name": …, "value": …}` in place of an object.
    pub is_list: bool,
    /// Maximum number of variables.
    pub max_count: Option<usize>,
    /// Maximum length of a value, in characters.
    pub max_chars: Option<usize>,
    /// Beginnings of names that the platform reserves.
    pub reserved: Vec<Box<str>>,
    /// Form of names.
    pub names: VariableNames,
}

/// Form of the names of variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VariableNames {
    /// Any text.
    #[default]
    Any,
    /// A letter, then letters, digits and `_`; all of ASCII.
    Identifiers,
}

impl VariableNames {
    fn accept(self, name: &str) -> bool {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match self {
            VariableNames::Any => true,
            VariableNames::Identifiers => {
                name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_part)
            }
        }
    }
}

impl GenericDialect {
    /// Creates the dialect of a declared platform.
    pub fn new(
        platform: Platform,
        timing: Timing,
        scheme: Arc<dyn Scheme>,
        request: RequestShape,
        reply: ReplyTemplates,
        variables: VariableShape,
    ) -> GenericDialect {
        let capabilities = capabilities(&reply, &variables);
        let default_reply = reply.keep.as_ref().map_or(Value::Object(Map::new()), |keep| {
            keep.render(&|placeholder| empty_value(placeholder, &variables), reply.drops_empty)
        });
        let default_reply = default_reply.to_string().into();
        let profile = Profile { platform, capabilities, timing };
        GenericDialect { scheme, request, reply, variables, profile, default_reply }
    }

    /// Reads the fields of a request.
    fn fields<'a>(&self, request: &'a Verified) -> Result<RequestFields<'a>, ParseError> {
        Ok(match self.request.format {
            RequestFormat::Json => RequestFields::Json(json::object(request.body())?),
            RequestFormat::Form | RequestFormat::Query => {
                RequestFields::Form(Form::parse(self.content(request)))
            }
        })
    }

    fn call_fields<'a>(&self, fields: &RequestFields<'a>, numbers: &NumberFormat) -> Fields<'a> {
        let shape = &self.request;
        let from = numbers.parse(fields.number(&shape.from).as_deref());
        let to = numbers.parse(fields.number(&shape.to).as_deref());
        let sip = shape.sip.as_ref().and_then(|pointer| fields.object(pointer));
        let sip = sip.into_iter().flat_map(json::JsonObject::into_texts);
        let attributes = shape
            .attributes
            .iter()
            .filter_map(|(name, pointer)| Some((name.to_string().into(), fields.text(pointer)?)));
        Fields {
            call_id: fields.first(&shape.call_id),
            agent: fields.first(&shape.agent),
            number_id: fields.first(&shape.number_id),
            attributes: attributes.collect(),
            sip: sip.map(|(name, value)| (name.to_ascii_lowercase().into(), value)).collect(),
            from: from.party,
            to: to.party,
            readings: [from.reading, to.reading].into_iter().collect(),
            ..Fields::unknown(Channel::Call)
        }
    }

    /// Returns the template of a decision, and the agent that it selects. What the platform cannot express
    /// becomes *keep*; without that, the fallback agent stands in.
    fn template<'d>(
        &self,
        context: &RenderContext<'d>,
        decision: &'d Decision<'_>,
    ) -> (Option<&ReplyTemplate>, Option<&'d SelectedAgent<'d>>) {
        let reply = &self.reply;
        let own = match decision.outcome() {
            Outcome::Agent(agent) => (reply.agent.as_ref(), Some(agent)),
            Outcome::Reject(_) => (reply.reject.as_ref(), None),
            Outcome::Transfer(_) => (reply.transfer.as_ref(), None),
            Outcome::Keep(_) => (None, None),
        };
        if own.0.is_some() {
            return own;
        }
        match (&reply.keep, context.stand_in) {
            (Some(keep), _) => (Some(keep), None),
            (None, stand_in @ Some(_)) => (reply.agent.as_ref(), stand_in),
            (None, None) => (None, None),
        }
    }
}

impl Dialect for GenericDialect {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn scheme(&self) -> Arc<dyn Scheme> {
        self.scheme.clone()
    }

    fn parse<'a>(
        &self,
        request: &'a Verified,
        numbers: &NumberFormat,
    ) -> Result<Incoming<'a>, ParseError> {
        let fields = self.fields(request)?;
        let shape = &self.request;
        if shape.probe.as_ref().is_some_and(|probe| probe.matches(&fields)) {
            return Ok(Incoming::Probe);
        }
        let is_call = match &shape.when {
            Some(when) => when.matches(&fields),
            None => !request.is_on_events_path(),
        };
        if is_call {
            let call = self.call_fields(&fields, numbers);
            return Ok(Incoming::Inbound(Call::from_verified(
                request,
                self.profile.platform,
                call,
            )));
        }
        let kind = fields.first(&shape.event).unwrap_or(Cow::Borrowed("event"));
        let party = |pointers: &[Pointer]| {
            fields.number(pointers).map(|text| numbers.parse(Some(&text)).party)
        };
        Ok(Incoming::Event(Box::new(Event {
            channel: Some(Channel::Call),
            call_id: fields.first(&shape.call_id),
            agent: fields.first(&shape.agent),
            from: party(&shape.from),
            to: party(&shape.to),
            ..Event::new(kind, !shape.event.is_empty())
        })))
    }

    fn render(&self, context: &RenderContext<'_>, decision: &Decision<'_>) -> Reply {
        let (template, agent) = self.template(context, decision);
        let Some(template) = template else {
            return Reply::new(self.default_reply.as_bytes().to_vec());
        };
        let values = DecisionValues::new(self, agent, decision);
        let body = template.render(&|name| values.get(name), self.reply.drops_empty);
        Reply { left_out: values.left_out, ..Reply::new(json::to_vec(&body)) }
    }

    fn default_reply(&self, _: Channel) -> &str {
        &self.default_reply
    }

    fn content<'r>(&self, request: &'r Verified) -> &'r [u8] {
        match (self.request.format, request.query()) {
            // Whatever the method: the settings demand a signature that covers the query.
            (RequestFormat::Query, Some(query)) => query.as_bytes(),
            _ => request.content(),
        }
    }

    fn redact_body<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        match self.request.format {
            RequestFormat::Json => Cow::Borrowed(body),
            // As JSON, records find the numbers in it.
            RequestFormat::Form | RequestFormat::Query => {
                Cow::Owned(json::to_vec(&Form::parse(body).to_object(&[])))
            }
        }
    }

    fn request_content_type(&self) -> &'static str {
        match self.request.format {
            RequestFormat::Json | RequestFormat::Query => "application/json",
            RequestFormat::Form => form::MEDIA_TYPE,
        }
    }

    fn accepts_get(&self) -> bool {
        self.sends_query()
    }

    fn sends_query(&self) -> bool {
        self.request.format == RequestFormat::Query
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Call]
    }

    fn accepts_variable_name(&self, name: &str) -> bool {
        self.variables.accepts_name(name)
    }

    fn sends_caller(&self) -> bool {
        !self.request.from.is_empty()
    }

    fn sends_called_number(&self) -> bool {
        !self.request.to.is_empty()
    }

    fn sends_sip_headers(&self) -> bool {
        self.request.sip.is_some()
    }

    fn sends_number_id(&self) -> bool {
        !self.request.number_id.is_empty()
    }

    fn attributes(&self) -> Vec<&str> {
        self.request.attributes.iter().map(|(name, _)| &**name).collect()
    }

    fn encode_request(&self, call: &Fields<'_>) -> Vec<u8> {
        encode(&self.request, call)
    }
}

/// Returns what the templates can express.
fn capabilities(reply: &ReplyTemplates, variables: &VariableShape) -> Capabilities {
    let has = |template: &Option<ReplyTemplate>, placeholder| {
        template.as_ref().is_some_and(|template| template.has(placeholder))
    };
    let says = |template| has(template, Placeholder::Say);
    // Without an agent to select, the additions are those of the platform's own agent.
    let of_agent = if reply.agent.is_some() { &reply.agent } else { &reply.keep };
    let variable_limits = VariableLimits {
        count: variables.max_count,
        value_chars: variables.max_chars,
        ..VariableLimits::NONE
    };
    Capabilities {
        agent: reply.agent.is_some(),
        agent_version: has(&reply.agent, Placeholder::AgentVersion),
        keep: reply.keep.is_some(),
        reject: match &reply.reject {
            None => Reject::Impossible,
            Some(_) if says(&reply.reject) => Reject::SilentOrSpoken,
            Some(_) => Reject::Silent,
        },
        transfer: match &reply.transfer {
            None => Transfer::Impossible,
            Some(_) => Transfer::Possible {
                spoken: says(&reply.transfer),
                sip_headers: has(&reply.transfer, Placeholder::SipHeaders),
            },
        },
        greeting: says(&reply.agent),
        keep_additions: reply.keep.as_ref().map(ReplyTemplate::carried_additions),
        variables: has(of_agent, Placeholder::Variables),
        variable_limits,
        metadata: has(of_agent, Placeholder::Metadata),
        agent_override: has(of_agent, Placeholder::AgentOverride),
        sip_headers: has(of_agent, Placeholder::SipHeaders),
    }
}

/// Returns the value of a placeholder for a call about which nothing is known.
fn empty_value(placeholder: Placeholder, variables: &VariableShape) -> Option<Value> {
    match placeholder {
        Placeholder::Variables | Placeholder::SipHeaders => Some(variables.value(&[])),
        Placeholder::Metadata | Placeholder::AgentOverride => Some(Value::Object(Map::new())),
        Placeholder::Agent
        | Placeholder::AgentVersion
        | Placeholder::Reason
        | Placeholder::SipStatus
        | Placeholder::Say
        | Placeholder::Target => None,
    }
}

/// Values of one decision.
struct DecisionValues<'d> {
    decision: &'d Decision<'d>,
    agent: Option<&'d SelectedAgent<'d>>,
    shape: &'d VariableShape,
    /// Variables that the platform accepts.
    variables: Cow<'d, [Variable<'d>]>,
    left_out: Vec<LeftOut>,
}

impl<'d> DecisionValues<'d> {
    fn new(
        dialect: &'d GenericDialect,
        agent: Option<&'d SelectedAgent<'d>>,
        decision: &'d Decision<'d>,
    ) -> DecisionValues<'d> {
        let shape = &dialect.variables;
        let limits = &dialect.profile.capabilities.variable_limits;
        let (mut variables, mut left_out) =
            accepted_variables(&decision.additions().variables, limits);
        let is_accepted = |variable: &Variable<'_>| shape.accepts_name(variable.name);
        if !variables.iter().all(is_accepted) {
            let (accepted, refused): (Vec<_>, Vec<Variable<'_>>) =
                variables.into_owned().into_iter().partition(is_accepted);
            variables = Cow::Owned(accepted);
            let names = refused.iter().map(|variable| format!("variables.{}", variable.name));
            left_out.extend(names.map(not_accepted));
        }
        DecisionValues { decision, agent, shape, variables, left_out }
    }

    fn get(&self, placeholder: Placeholder) -> Option<Value> {
        let additions = self.decision.additions();
        let object = |object: &Option<Cow<'_, Map<String, Value>>>| {
            Value::Object(object.as_deref().cloned().unwrap_or_default())
        };
        let reason = match self.decision.outcome() {
            Outcome::Reject(reason) => Some(*reason),
            Outcome::Agent(_) | Outcome::Transfer(_) | Outcome::Keep(_) => None,
        };
        Some(match placeholder {
            Placeholder::Agent => self.agent?.id.into(),
            Placeholder::AgentVersion => match self.agent?.version? {
                Version::Number(number) => (*number).into(),
                Version::Tag(tag) => (**tag).into(),
            },
            Placeholder::Variables => self.shape.value(&self.variables),
            Placeholder::Metadata => object(&additions.metadata),
            Placeholder::AgentOverride => object(&additions.agent_override),
            Placeholder::Reason => reason.filter(|reason| !reason.is_empty())?.into(),
            Placeholder::SipStatus => sip_status(reason?).into(),
            Placeholder::Say => additions.say.as_deref()?.into(),
            Placeholder::Target => match self.decision.outcome() {
                Outcome::Transfer(target) => target.unmasked().into(),
                Outcome::Agent(_) | Outcome::Reject(_) | Outcome::Keep(_) => return None,
            },
            Placeholder::SipHeaders => self.shape.value(&additions.sip_headers),
        })
    }
}

/// Returns the SIP status of a rejection: 486 Busy Here, or 603 Decline (RFC 3261, section 21).
fn sip_status(reason: &str) -> u16 {
    if is_busy(reason) { 486 } else { 603 }
}

impl VariableShape {
    /// Returns whether a variable can have this name.
    fn accepts_name(&self, name: &str) -> bool {
        let is_reserved = self.reserved.iter().any(|start| name.starts_with(&**start));
        !is_reserved && self.names.accept(name)
    }

    fn value(&self, variables: &[Variable<'_>]) -> Value {
        if self.is_list {
            let item =
                |variable: &Variable<'_>| json!({ "name": variable.name, "value": variable.value });
            return variables.iter().map(item).collect();
        }
        json::Variables(variables).to_object().into()
    }
}

/// Encodes a request: the first pointer of each field has its value.
fn encode(shape: &RequestShape, call: &Fields<'_>) -> Vec<u8> {
    let text = |pointers: &[Pointer], value: Option<Cow<'_, str>>| {
        Some((pointers.first()?.clone(), Value::from(value?)))
    };
    let party = |party: &Party| match party {
        Party::Withheld => None,
        Party::Number(_) | Party::Literal(_) => Some(party.unmasked().into_owned().into()),
    };
    let own = |text: &Option<Cow<'_, str>>| text.as_deref().map(|text| text.to_owned().into());
    let when = shape
        .when
        .as_ref()
        .and_then(|when| Some((when.pointer.clone(), Value::from(&**when.equals.first()?))));
    let sip = call.sip.iter().map(|(name, value)| (name.to_string(), json!(value)));
    let sip = Value::Object(sip.collect());
    let sip = shape.sip.clone().filter(|_| !call.sip.is_empty()).map(|pointer| (pointer, sip));
    let attributes = call.attributes.iter().filter_map(|(name, value)| {
        let declared = shape.attributes.iter().find(|(declared, _)| **declared == **name);
        Some((declared?.1.clone(), json!(value)))
    });
    let fields = [
        when,
        text(&shape.from, party(&call.from)),
        text(&shape.to, party(&call.to)),
        text(&shape.call_id, own(&call.call_id)),
        text(&shape.agent, own(&call.agent)),
        text(&shape.number_id, own(&call.number_id)),
        sip,
    ];
    let fields = fields.into_iter().flatten().chain(attributes);
    match shape.format {
        RequestFormat::Json => {
            let mut body = Value::Object(Map::new());
            fields.for_each(|(pointer, value)| insert(&mut body, pointer.parts(), value));
            json::to_vec(&body)
        }
        RequestFormat::Form | RequestFormat::Query => {
            let fields: Vec<_> = fields.collect();
            let pairs = fields.iter();
            form::to_vec(
                pairs.map(|(pointer, value)| {
                    (&*pointer.parts()[0], value.as_str().unwrap_or_default())
                }),
            )
        }
    }
}

/// Inserts a value, and the objects on the way to it.
fn insert(target: &mut Value, path: &[Box<str>], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *target = value;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    insert(&mut target[&**first], rest, value);
}
