//! Explanations as plain data, for pages.

use serde_json::Value;

use super::{Explained, ExplainedLookup, ReplyPreview, shown_body};
use crate::domain::decision::Decision;
use crate::domain::effect::Effect;
use crate::domain::facts::LookupState;
use crate::rules::engine::explain::{Step, left_out_text};

/// An explained call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedView {
    /// Time of the call in the zone of the table, with the UTC offset.
    pub at: String,
    /// Rules that were evaluated, in order.
    pub steps: Vec<StepView>,
    /// Number of evaluated rules that are not listed because their numbers do not match.
    pub omitted: usize,
    /// Whether an evaluated rule depends on the time.
    pub depends_on_time: bool,
    /// Which facts of the question the source never sends, in words.
    pub unsent: Option<String>,
    /// Outcome as a word: `agent`, `reject`, `transfer` or `keep`.
    pub outcome: &'static str,
    /// Outcome in full: `agent front-desk (agent_1)`.
    pub outcome_text: String,
    /// The rule that decides.
    pub rule: Option<String>,
    /// What the reply has besides the outcome.
    pub additions: Vec<AdditionView>,
    /// What the reply leaves out, with the reason of each.
    pub left_out: Vec<String>,
    /// Look-ups that the decision needs.
    pub lookups: Vec<LookupView>,
    /// Replies: first that of the call's own source.
    pub replies: Vec<ReplyView>,
    /// A `[[test]]` for the rule table.
    pub test: String,
}

/// An evaluated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    /// Rule number, counted from 1.
    pub number: usize,
    /// Rule name.
    pub rule: String,
    /// Result: `no`, `adds`, `decides` or `not_tried`.
    pub verdict: &'static str,
    /// Reason in words.
    pub reason: String,
}

/// A value that a rule adds to the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdditionView {
    /// Name: `variables.language`.
    pub name: String,
    /// Value.
    pub value: String,
    /// The rule that adds it, if it is known.
    pub rule: Option<String>,
}

/// A look-up that the decision needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupView {
    /// Name in the rule table.
    pub name: String,
    /// What was or would be asked, without secrets.
    pub question: Option<String>,
    /// How it ended, as a word: `found`, `not_asked`.
    pub state: &'static str,
    /// What went wrong.
    pub problem: Option<String>,
    /// Time for which the call waited; `None` if it was not asked.
    pub took_ms: Option<u128>,
    /// Whether the answer came from the cache.
    pub cached: bool,
    /// What it found, as JSON.
    pub value: Option<String>,
}

/// The reply that a platform receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyView {
    /// Name of the source.
    pub source: String,
    /// Platform of the source.
    pub platform: &'static str,
    /// The rule that decides for this source.
    pub rule: Option<String>,
    /// The body: JSON with indentation, or text.
    pub body: String,
    /// What the platform does not accept, and requests to its API that cannot be sent.
    pub left_out: Vec<String>,
    /// Requests to the platform's API that follow: path and body.
    pub effects: Vec<(String, String)>,
}

impl Explained<'_> {
    /// Returns the explanation as plain data.
    pub fn view(&self) -> ExplainedView {
        let explanation = &self.explanation;
        let decision = &explanation.decision;
        let deciding = explanation.deciding();
        let step = |step: &Step<'_>| StepView {
            number: step.number,
            rule: step.rule.to_owned(),
            verdict: step.verdict.as_str(),
            reason: step.reason(deciding),
        };
        ExplainedView {
            at: self.local_time_with_offset(),
            steps: explanation.steps.iter().map(step).collect(),
            omitted: explanation.omitted,
            depends_on_time: explanation.depends_on_time,
            outcome: decision.outcome().as_str(),
            outcome_text: explanation.outcome_text(),
            rule: decision.rule().map(str::to_owned),
            unsent: self.unsent_note(),
            additions: additions(decision),
            left_out: decision.additions().left_out.iter().map(left_out_text).collect(),
            lookups: self.lookups.iter().map(ExplainedLookup::view).collect(),
            replies: self.replies.iter().map(ReplyPreview::view).collect(),
            test: self.as_test(),
        }
    }
}

/// Returns what a decision adds to the reply.
fn additions(decision: &Decision<'_>) -> Vec<AdditionView> {
    let added = decision.additions();
    let row = |name: String, value: String, rule: Option<&str>| AdditionView {
        name,
        value,
        rule: rule.map(str::to_owned),
    };
    let mut rows = Vec::new();
    rows.extend(added.say.as_deref().map(|text| row("say".to_owned(), text.to_owned(), None)));
    for (kind, texts) in [("variables", &added.variables), ("sip_headers", &added.sip_headers)] {
        rows.extend(
            texts.iter().map(|text| {
                row(format!("{kind}.{}", text.name), text.value.to_string(), text.rule)
            }),
        );
    }
    for (kind, object) in [("metadata", &added.metadata), ("agent_override", &added.agent_override)]
    {
        let object = object.as_deref().map(|object| Value::Object(object.clone()).to_string());
        rows.extend(object.map(|object| row(kind.to_owned(), object, None)));
    }
    if !added.delay.is_zero() {
        rows.push(row("delay_ms".to_owned(), added.delay.as_millis().to_string(), None));
    }
    rows
}

impl ExplainedLookup {
    fn view(&self) -> LookupView {
        let ExplainedLookup { name, question, answer } = self;
        LookupView {
            name: name.clone(),
            question: question.clone(),
            state: answer.state.as_str(),
            problem: answer.problem.as_deref().map(str::to_owned),
            took_ms: (answer.state != LookupState::NotAsked).then_some(answer.took.as_millis()),
            cached: answer.cached,
            value: answer.has_value().then(|| answer.value.to_string()),
        }
    }
}

impl ReplyPreview<'_> {
    fn view(&self) -> ReplyView {
        let ReplyPreview { source, platform, rule, reply, effects } = self;
        let effect = |effect: &Effect| (effect.path.clone(), format!("{:#}", effect.body));
        let sent = effects.iter().filter(|effect| effect.missing.is_none());
        let not_sent = effects.iter().filter_map(|effect| {
            effect.problem().map(|problem| format!("{}: {problem}", effect.action))
        });
        let shown = shown_body(reply);
        let body = shown.as_str().map_or_else(|| format!("{shown:#}"), str::to_owned);
        ReplyView {
            source: (*source).to_owned(),
            platform: platform.as_str(),
            rule: rule.map(str::to_owned),
            body,
            left_out: reply.left_out().iter().map(left_out_text).chain(not_sent).collect(),
            effects: sent.map(effect).collect(),
        }
    }
}
