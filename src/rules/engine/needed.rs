//! Look-ups that a decision needs next. A look-up is asked only when a rule that needs it is reached, and
//! only for what will be sent.

use super::chosen_arm;
use super::evaluate::{MatchContext, Mismatch, evaluate};
use crate::domain::facts::LookupSet;
use crate::rules::{Action, Rule, RuleAdditions, SentAdditions, Template, TemplateContext};

/// Returns the look-ups that must be asked before the deciding rule, and the `continue` rules before it,
/// can be applied.
pub(super) fn needed_lookups(
    deciding: Option<&Rule>,
    continuing: &[&Rule],
    context: &MatchContext<'_>,
) -> LookupSet {
    let carried = |rule: &&Rule| !rule.is_unsupported_at(context.call.call.platform());
    let sent = deciding.filter(carried).map(|rule| rule.action.sent_additions());
    let sent = sent.unwrap_or(SentAdditions::All);
    // Rules of which nothing is sent are not asked about either.
    let continuing = continuing.iter().copied().filter(|rule| adds_to(rule, sent));
    let rules: Vec<&Rule> = continuing.chain(deciding).collect();
    let mut needed = LookupSet::default();
    let mut replaced = Replaced::default();
    // The last rule first, since its values replace those of the others.
    for rule in rules.into_iter().rev() {
        needed = needed.union(match evaluate(rule, context) {
            Ok(()) => of_values(rule, sent, &mut replaced, context),
            Err(Mismatch::Pending(lookups)) => lookups,
            Err(_) => LookupSet::default(),
        });
    }
    needed
}

/// Returns whether a rule adds something that is sent.
fn adds_to(rule: &Rule, sent: SentAdditions) -> bool {
    let Some(added) = rule.additions.as_deref() else { return sent == SentAdditions::All };
    match sent {
        SentAdditions::All => true,
        SentAdditions::SpeechAndHeaders => {
            added.say.is_some() || !added.sip_headers.is_empty() || added.delay.is_some()
        }
        SentAdditions::Speech => added.say.is_some(),
    }
}

/// Values that later rules replace.
#[derive(Default)]
struct Replaced<'r> {
    variables: Vec<&'r str>,
    headers: Vec<&'r str>,
    speech: bool,
}

impl<'r> Replaced<'r> {
    /// Adds the values that a rule replaces. A text with placeholders may be left out, and then the earlier
    /// value stays. `speaks` is false if the rule's text and headers are not sent.
    fn add(&mut self, added: &'r RuleAdditions, speaks: bool) {
        fn certain(texts: &[(Box<str>, Template)]) -> impl Iterator<Item = &str> {
            let certain = texts.iter().filter(|(_, template)| template.literal().is_some());
            certain.map(|(name, _)| &**name)
        }
        self.variables.extend(certain(&added.variables));
        if !speaks {
            return;
        }
        self.headers.extend(certain(&added.sip_headers));
        self.speech |= added.say.as_ref().is_some_and(|say| say.literal().is_some());
    }
}

/// Returns the look-ups that the values of a matching rule need: its agent or target, and its additions apart
/// from those that later rules replace. Adds the values that this rule replaces.
fn of_values<'r>(
    rule: &'r Rule,
    sent: SentAdditions,
    replaced: &mut Replaced<'r>,
    context: &MatchContext<'_>,
) -> LookupSet {
    let mut needed = of_outcome(rule, context);
    let Some(added) = rule.additions.as_deref() else { return needed };
    if !context.lookups.pending(added.lookups_of(sent)).is_empty() {
        needed = needed.union(of_additions(rule, sent, replaced, context));
    }
    replaced.add(added, speaks(rule, context));
    needed
}

/// Returns whether the text and the SIP headers of a matching rule are sent, if there are any: not those of a
/// rejection or a transfer that the platform cannot carry out.
fn speaks(rule: &Rule, context: &MatchContext<'_>) -> bool {
    rule.action.sent_additions() == SentAdditions::All
        || !rule.is_unsupported_at(context.call.call.platform())
}

/// Returns the look-ups that name the agent, of the one arm that takes the call, or the target of a transfer.
fn of_outcome(rule: &Rule, context: &MatchContext<'_>) -> LookupSet {
    if rule.is_unsupported_at(context.call.call.platform()) {
        return LookupSet::default();
    }
    let lookups = match &rule.action {
        Action::Agent(agent) => agent.lookups(),
        Action::Transfer(target) => target.lookups(),
        Action::Split(_) | Action::SplitOfRow(_) => {
            match chosen_arm(context.table, rule, context) {
                Some((split, arm)) => split.arms[arm].agent.lookups(),
                None => LookupSet::default(),
            }
        }
        Action::Reject(_) | Action::Keep | Action::Continue => LookupSet::default(),
    };
    context.lookups.pending(lookups)
}

fn of_additions(
    rule: &Rule,
    sent: SentAdditions,
    replaced: &Replaced<'_>,
    context: &MatchContext<'_>,
) -> LookupSet {
    let Some(added) = rule.additions.as_deref() else { return LookupSet::default() };
    let values =
        TemplateContext { call: &context.call, lookups: context.lookups, rule: &rule.name };
    let pending_of = |texts: &[(Box<str>, Template)], replaced: &[&str]| {
        let others = texts.iter().filter(|(name, _)| !replaced.contains(&&**name));
        let pending = others.map(|(_, template)| template.pending(values));
        pending.fold(LookupSet::default(), LookupSet::union)
    };
    let speaks = speaks(rule, context);
    let speech = added.say.as_ref().filter(|_| speaks && !replaced.speech);
    let mut needed = speech.map(|say| say.pending(values)).unwrap_or_default();
    if speaks && sent != SentAdditions::Speech {
        needed = needed.union(pending_of(&added.sip_headers, &replaced.headers));
    }
    if sent == SentAdditions::All {
        needed = needed.union(pending_of(&added.variables, &replaced.variables));
        let objects = [&added.metadata, &added.agent_override].into_iter().flatten();
        let of_objects = objects.map(|object| object.pending(values));
        needed = of_objects.fold(needed, LookupSet::union);
    }
    needed
}
