//! Explanations on pages, as their reader may see them.

use super::access::Reader;
use super::name_link::NameLink;
use crate::explain::view::{AdditionView, ExplainedView, LookupView, ReplyView, StepView};

/// Characters of a look-up's value that a page shows.
const MOST_CHARS: usize = 2_000;

/// An explanation as a part of a page, for the template `explained.html`.
pub(super) struct ExplainedPart {
    /// The explanation, in which numbers are masked unless the reader may see them.
    pub(super) view: ExplainedView,
    /// Names of the rules of its steps.
    pub(super) rules: Vec<NameLink>,
    /// Whether nothing of the `[[test]]` is masked, so that it can be used.
    pub(super) has_whole_test: bool,
}

impl ExplainedPart {
    pub(super) fn new(view: ExplainedView, reader: &Reader) -> ExplainedPart {
        let text = |text: String| reader.text(&text).into_owned();
        let texts = |texts: Vec<String>| texts.into_iter().map(text).collect();
        let rule = |step: &StepView| NameLink::new(&step.rule, reader.number_view());
        let rules = view.steps.iter().map(rule).collect();
        let step =
            |step: StepView| StepView { rule: text(step.rule), reason: text(step.reason), ..step };
        let addition = |addition: AdditionView| AdditionView {
            value: text(addition.value),
            rule: addition.rule.map(text),
            ..addition
        };
        let lookup = |lookup: LookupView| LookupView {
            question: lookup.question.map(text),
            problem: lookup.problem.map(text),
            value: lookup.value.map(|value| shortened(text(value))),
            ..lookup
        };
        let reply = |reply: ReplyView| {
            let effect = |(path, body)| (text(path), text(body));
            ReplyView {
                rule: reply.rule.map(text),
                body: text(reply.body),
                left_out: texts(reply.left_out),
                effects: reply.effects.into_iter().map(effect).collect(),
                ..reply
            }
        };
        let has_whole_test = reader.text(&view.test) == view.test;
        let view = ExplainedView {
            steps: view.steps.into_iter().map(step).collect(),
            outcome_text: text(view.outcome_text),
            rule: view.rule.map(text),
            additions: view.additions.into_iter().map(addition).collect(),
            left_out: texts(view.left_out),
            lookups: view.lookups.into_iter().map(lookup).collect(),
            replies: view.replies.into_iter().map(reply).collect(),
            test: text(view.test),
            ..view
        };
        ExplainedPart { view, rules, has_whole_test }
    }
}

/// Returns the beginning of a text.
pub(super) fn shortened(text: String) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns the word of a verdict or a state for people.
pub(super) fn in_words(word: &str) -> String {
    word.replace('_', " ")
}
