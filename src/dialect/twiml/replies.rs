//! Replies in TwiML and TeXML.
//!
//! Sources: Twilio's "TwiML" pages and the output of its official builder; Telnyx's "TeXML" pages for `<AIAssistant>`
//! and `<ConversationRelay>`. `<Reject>` must be the first element, and is the only one that leaves the call
//! unanswered and unbilled.

use percent_encoding::utf8_percent_encode;

use super::endpoint::Endpoint;
use super::sip_headers::{ESCAPED, SipAddress};
use super::xml::{Attribute, Document};
use crate::dialect::{RenderContext, Reply, none_accepted, not_accepted};
use crate::domain::call::{Call, Channel};
use crate::domain::decision::{
    Additions, Decision, LeftOut, Outcome, SelectedAgent, Variable, is_busy,
};
use crate::domain::party::Party;
use crate::domain::transfer::TransferTarget;

/// Reply that does nothing: the answer to a text message and to an event.
pub(super) const NOTHING: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

/// Reply to a call that nobody can take: the call is not billed, and the caller hears that the line is busy.
pub(super) const BUSY: &str =
    r#"<?xml version="1.0" encoding="UTF-8"?><Response><Reject reason="busy"/></Response>"#;

/// The caller hears the ringing until the SIP address answers, for at most 20 seconds.
const DIAL: [Attribute<'_>; 2] = [("answerOnBridge", "true"), ("timeout", "20")];

/// Renders the reply to a request. `has_assistants` says whether the platform has assistants of its own.
pub(super) fn render(
    has_assistants: bool,
    context: &RenderContext<'_>,
    decision: &Decision<'_>,
) -> Reply {
    let additions = decision.additions();
    if context.channel == Channel::Sms {
        let say = additions.say.as_ref().map(|_| not_accepted("say".to_owned()));
        return Reply { left_out: say.into_iter().collect(), ..Reply::new(NOTHING.into()) };
    }
    let stand_in = || endpoint(context.stand_in?, has_assistants);
    let mut writer = ReplyWriter { document: Document::new(), left_out: Vec::new(), additions };
    match decision.outcome() {
        Outcome::Reject(reason) => writer.reject(reason),
        Outcome::Transfer(target) => writer.transfer(target, context.call),
        // An id that is no endpoint leaves the call to the agent that stands in.
        Outcome::Agent(agent) => {
            writer.hand_over(endpoint(agent, has_assistants).or_else(stand_in), context);
        }
        Outcome::Keep(_) => writer.hand_over(stand_in(), context),
    }
    let ReplyWriter { document, left_out, .. } = writer;
    Reply { left_out, ..Reply::new(document.finish()) }
}

fn endpoint<'t>(agent: &SelectedAgent<'t>, has_assistants: bool) -> Option<Endpoint<'t>> {
    Endpoint::parse(agent.id, has_assistants).ok()
}

/// A reply to a call that is being written.
struct ReplyWriter<'d> {
    document: Document,
    left_out: Vec<LeftOut>,
    additions: &'d Additions<'d>,
}

impl<'d> ReplyWriter<'d> {
    /// Rejects the call. A text can be heard only on a call that is answered.
    fn reject(&mut self, reason: &str) {
        if self.say() {
            return self.document.empty("Hangup", &[]);
        }
        let reason = if is_busy(reason) { "busy" } else { "rejected" };
        self.document.empty("Reject", &[("reason", reason)]);
    }

    /// Transfers the call. The called number is shown to the person at a phone: it belongs to the account, as
    /// Twilio demands.
    fn transfer(&mut self, target: &TransferTarget, call: Option<&Call<'_>>) {
        self.say();
        match target {
            TransferTarget::Number(number) => {
                let called = call.map(Call::to).and_then(Party::number);
                let called = called.map(|called| called.unmasked());
                let caller_id = called.as_deref().map(|called| ("callerId", called));
                let attributes = caller_id.as_slice();
                self.document.text("Dial", attributes, &number.unmasked());
                self.leave_out_headers();
            }
            TransferTarget::Sip(uri) => {
                let mut address = SipAddress::new(uri.as_str());
                address.add_headers(self.additions);
                self.dial(address);
            }
        }
    }

    /// Hands the call to an agent. Without one, the line is busy, which is not billed.
    fn hand_over(&mut self, endpoint: Option<Endpoint<'_>>, context: &RenderContext<'_>) {
        let Some(endpoint) = endpoint else {
            return self.document.empty("Reject", &[("reason", "busy")]);
        };
        if !endpoint.has_sip_headers() {
            self.leave_out_headers();
        }
        if !endpoint.has_variables() {
            self.leave_out_variables();
        }
        // Only this kind speaks the greeting itself.
        if !matches!(endpoint, Endpoint::Relay(_)) {
            self.say();
        }
        match endpoint {
            Endpoint::Redirect(url) => {
                let url = with_query(url, &self.additions.variables);
                self.document.text("Redirect", &[("method", "POST")], &url);
            }
            Endpoint::Sip(uri) => {
                let mut address = SipAddress::new(uri);
                address.add_headers(self.additions);
                address.add_variables(self.additions);
                self.dial(address);
            }
            Endpoint::Relay(url) => self.relay(url, context.events_url),
            Endpoint::Stream(url) => {
                self.document.start("Connect", &[]);
                self.with_parameters("Stream", &[("url", url)]);
                self.document.end("Connect");
            }
            Endpoint::Assistant(id) => {
                self.document.start("Connect", &[]);
                self.document.empty("AIAssistant", &[("id", id)]);
                self.document.end("Connect");
            }
        }
    }

    /// Connects the call to a server of the ConversationRelay protocol. The platform reports the end of the
    /// connection to `action`.
    fn relay(&mut self, url: &str, action: Option<&str>) {
        let action = action.map(|action| ("action", action));
        self.document.start("Connect", action.as_slice());
        let mut attributes = vec![("url", url)];
        attributes.extend(self.spoken_text().map(|text| ("welcomeGreeting", text)));
        self.with_parameters("ConversationRelay", &attributes);
        self.document.end("Connect");
    }

    /// Writes an element with the variables as its parameters.
    fn with_parameters(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        let variables = &self.additions.variables;
        if variables.is_empty() {
            return self.document.empty(name, attributes);
        }
        self.document.start(name, attributes);
        for variable in variables {
            let attributes = [("name", variable.name), ("value", &*variable.value)];
            self.document.empty("Parameter", &attributes);
        }
        self.document.end(name);
    }

    fn dial(&mut self, address: SipAddress) {
        self.document.start("Dial", &DIAL);
        self.document.text("Sip", &[], &address.text);
        self.document.end("Dial");
        self.left_out.extend(address.left_out);
    }

    /// Writes the text that the caller hears. Returns whether there is one.
    fn say(&mut self) -> bool {
        let text = self.spoken_text();
        if let Some(text) = text {
            self.document.text("Say", &[], text);
        }
        text.is_some()
    }

    /// Returns the text that the caller hears, if there is anything to hear.
    fn spoken_text(&self) -> Option<&'d str> {
        self.additions.say.as_deref().filter(|text| !text.trim().is_empty())
    }

    fn leave_out_variables(&mut self) {
        self.left_out.extend(none_accepted("variables", &self.additions.variables));
    }

    fn leave_out_headers(&mut self) {
        self.left_out.extend(none_accepted("sip_headers", &self.additions.sip_headers));
    }
}

/// Adds variables to the query of a URL, before its fragment, which holds settings of Twilio's request.
fn with_query(url: &str, variables: &[Variable<'_>]) -> String {
    let (base, fragment) = url.find('#').map_or((url, ""), |at| url.split_at(at));
    let mut text = base.to_owned();
    for variable in variables {
        if !text.contains('?') {
            text.push('?');
        } else if !text.ends_with(['?', '&']) {
            text.push('&');
        }
        text.extend(utf8_percent_encode(variable.name, ESCAPED));
        text.push('=');
        text.extend(utf8_percent_encode(&variable.value, ESCAPED));
    }
    text + fragment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_follow_the_query_of_a_url() {
        let variable =
            |name, value: &'static str| Variable { name, value: value.into(), rule: None };
        let variables = [variable("tier", "gold"), variable("a b", "x&y=z #ü")];
        for (url, expected) in [
            ("https://a.example/x", "https://a.example/x?tier=gold&a%20b=x%26y%3Dz%20%23%C3%BC"),
            ("https://a.example/?", "https://a.example/?tier=gold&a%20b=x%26y%3Dz%20%23%C3%BC"),
            (
                "https://a.example/?b=1#rc=2",
                "https://a.example/?b=1&tier=gold&a%20b=x%26y%3Dz%20%23%C3%BC#rc=2",
            ),
        ] {
            assert_eq!(with_query(url, &variables), expected);
        }
        assert_eq!(with_query("https://a.example/#rc=2", &[]), "https://a.example/#rc=2");
    }
}
