//! Look-ups in generated tables: index and scan need the same ones in each state, only rules that are
//! reached need any, and the answers that were not asked for do not change a decision.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::decision::Outcome;
use switchboard::domain::facts::{Facts, LookupAnswer, LookupAnswers, LookupSet, LookupState};
use switchboard::domain::party::Party;
use switchboard::rules;
use switchboard::rules::RuleSet;
use switchboard::rules::engine::{decide, scan};

use super::model::check_context;
use crate::properties::cases;

const LOOKUPS: [&str; 4] = ["crm", "shop", "desk", "history"];
const CALLERS: [&str; 4] = ["+12137771234", "+12137775678", "+4930901820", "withheld"];

/// One rule. Its name is `r` and its index.
#[derive(Debug, Clone)]
struct RuleModel {
    from: Option<&'static str>,
    /// Look-ups that `where` compares.
    compared: Vec<&'static str>,
    action: ActionModel,
    /// Variables, each with its text.
    variables: BTreeMap<&'static str, TextModel>,
    metadata: Option<TextModel>,
    say: Option<TextModel>,
}

#[derive(Debug, Clone, PartialEq)]
enum ActionModel {
    Agent(AgentModel),
    /// Two arms of half of the callers each.
    Split(AgentModel, AgentModel),
    /// To the number in a look-up's answer, or another one by default.
    Transfer(Option<&'static str>),
    Reject,
    Keep,
    Continue,
}

#[derive(Debug, Clone, PartialEq)]
enum AgentModel {
    Named,
    /// From a look-up, or `front` by default.
    Of(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
enum TextModel {
    Plain,
    Of(&'static str),
    /// Omitted if the look-up knows nothing, or if there is no such SIP header, which is always so.
    OmittedWithoutHeader(&'static str),
    Omitted(&'static str),
}

/// Answer of a look-up.
#[derive(Debug, Clone, Copy, PartialEq)]
enum AnswerModel {
    Gold,
    Silver,
    Empty,
    Late,
}

impl AnswerModel {
    fn answer(self) -> LookupAnswer {
        let found = |tier: &str, agent: &str| {
            LookupAnswer::found(
                json!({ "tier": tier, "agent": agent, "last_agent": agent, "last_rule": tier }),
            )
        };
        match self {
            AnswerModel::Gold => found("gold", "night"),
            AnswerModel::Silver => found("silver", "nobody"),
            AnswerModel::Empty => LookupAnswer::unknown(LookupState::Empty),
            AnswerModel::Late => LookupAnswer::unknown(LookupState::Late),
        }
    }
}

impl TextModel {
    fn to_template(&self) -> String {
        match self {
            TextModel::Plain => "plain".to_owned(),
            TextModel::Of(lookup) => format!("${{{}|none}}", tier(lookup)),
            TextModel::OmittedWithoutHeader(lookup) => {
                format!("${{{}|none}} ${{sip.x-missing?}}", tier(lookup))
            }
            TextModel::Omitted(lookup) => format!("${{{}?}}", tier(lookup)),
        }
    }

    fn lookup(&self) -> Option<&'static str> {
        match self {
            TextModel::Of(lookup) | TextModel::Omitted(lookup) => Some(lookup),
            TextModel::Plain | TextModel::OmittedWithoutHeader(_) => None,
        }
    }
}

impl AgentModel {
    fn to_toml(&self) -> String {
        match self {
            AgentModel::Named => "\"night\"".to_owned(),
            AgentModel::Of("history") => "\"${history.last_agent|front}\"".to_owned(),
            AgentModel::Of(lookup) => format!("\"${{{lookup}.agent|front}}\""),
        }
    }

    fn lookup(&self) -> Option<&'static str> {
        match self {
            AgentModel::Named => None,
            AgentModel::Of(lookup) => Some(lookup),
        }
    }
}

/// Returns the field of a look-up that texts and conditions use.
fn tier(lookup: &str) -> String {
    let field = if lookup == "history" { "last_rule" } else { "tier" };
    format!("{lookup}.{field}")
}

impl RuleModel {
    fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("a text");
        if let Some(from) = self.from {
            line(format!("from = \"{from}\""));
        }
        if !self.compared.is_empty() {
            let entries =
                self.compared.iter().map(|lookup| format!("\"{}\" = \"gold\"", tier(lookup)));
            line(format!("where = {{ {} }}", entries.collect::<Vec<_>>().join(", ")));
        }
        match &self.action {
            ActionModel::Agent(agent) => line(format!("agent = {}", agent.to_toml())),
            ActionModel::Split(first, second) => line(format!(
                "split = [{{ agent = {}, percent = 50 }}, {{ agent = {}, percent = 50 }}]",
                first.to_toml(),
                second.to_toml()
            )),
            ActionModel::Transfer(None) => line("transfer = \"+12135550199\"".to_owned()),
            ActionModel::Transfer(Some(lookup)) => {
                line(format!("transfer = \"${{{}|+12135550199}}\"", tier(lookup)));
            }
            ActionModel::Reject => line("reject = true".to_owned()),
            ActionModel::Keep => line("keep = true".to_owned()),
            ActionModel::Continue => line("continue = true".to_owned()),
        }
        if !self.variables.is_empty() {
            let entries = self
                .variables
                .iter()
                .map(|(name, text)| format!("{name} = \"{}\"", text.to_template()));
            line(format!("variables = {{ {} }}", entries.collect::<Vec<_>>().join(", ")));
        }
        if let Some(metadata) = &self.metadata {
            line(format!("metadata = {{ desk = {{ tier = [\"{}\"] }} }}", metadata.to_template()));
        }
        if let Some(say) = &self.say {
            line(format!("say = \"{}\"", say.to_template()));
        }
        text
    }

    fn matches_numbers(&self, caller: &str) -> bool {
        match self.from {
            None => true,
            Some("DE") => caller.starts_with("+49"),
            Some(pattern) if pattern.ends_with('*') => {
                caller.starts_with(pattern.trim_end_matches('*'))
            }
            Some(pattern) => caller == pattern,
        }
    }

    /// Returns whether nothing but a text to speak is sent beside the outcome. The rules have no SIP headers.
    fn only_speaks(&self) -> bool {
        matches!(self.action, ActionModel::Transfer(_) | ActionModel::Reject)
    }

    /// Returns the look-ups of the values that are sent, if the rule decides by this arm or continues.
    /// Values in `replaced` are not sent.
    fn sent(
        &self,
        arm: Option<usize>,
        replaced: &Replaced,
        only_speech: bool,
    ) -> Vec<&'static str> {
        let of_outcome = match (&self.action, arm) {
            (ActionModel::Agent(agent), _) | (ActionModel::Split(agent, _), Some(0)) => {
                agent.lookup()
            }
            (ActionModel::Split(_, agent), Some(_)) => agent.lookup(),
            (ActionModel::Transfer(lookup), _) => *lookup,
            (
                ActionModel::Split(..)
                | ActionModel::Reject
                | ActionModel::Keep
                | ActionModel::Continue,
                _,
            ) => None,
        };
        let say = self.say.iter().filter(|_| !replaced.speech);
        let variables =
            self.variables.iter().filter(|(name, _)| !replaced.variables.contains(name));
        let texts = variables.map(|(_, text)| text).chain(&self.metadata);
        let texts = texts.filter(|_| !only_speech && !self.only_speaks()).chain(say);
        of_outcome.into_iter().chain(texts.filter_map(TextModel::lookup)).collect()
    }
}

/// Values of `continue` rules that the deciding rule replaces for certain.
#[derive(Default)]
struct Replaced {
    variables: Vec<&'static str>,
    speech: bool,
}

fn any_rule() -> BoxedStrategy<RuleModel> {
    let agent =
        || prop_oneof![Just(AgentModel::Named), select(&LOOKUPS[..]).prop_map(AgentModel::Of)];
    let text = || {
        prop_oneof![
            Just(TextModel::Plain),
            select(&LOOKUPS[..]).prop_map(TextModel::Of),
            select(&LOOKUPS[..]).prop_map(TextModel::Omitted),
            select(&LOOKUPS[..]).prop_map(TextModel::OmittedWithoutHeader),
        ]
    };
    let action = prop_oneof![
        3 => agent().prop_map(ActionModel::Agent),
        2 => (agent(), agent()).prop_map(|(first, second)| ActionModel::Split(first, second)),
        1 => prop::option::of(select(&LOOKUPS[..])).prop_map(ActionModel::Transfer),
        1 => Just(ActionModel::Reject),
        1 => Just(ActionModel::Keep),
        3 => Just(ActionModel::Continue),
    ];
    let from = select(
        &[None, None, Some("+1213*"), Some("+12137775678"), Some("DE"), Some("withheld")][..],
    );
    let compared = prop::sample::subsequence(&LOOKUPS[..], 0..3);
    let variables = prop::collection::btree_map(select(&["x", "y"][..]), text(), 0..3);
    let texts = (prop::option::weighted(0.2, text()), prop::option::weighted(0.3, text()));
    (from, compared, action, variables, texts)
        .prop_map(|(from, compared, action, variables, (metadata, say))| {
            // Vapi rejects no call without a text.
            let say = say.or((action == ActionModel::Reject).then_some(TextModel::Plain));
            let rule = RuleModel { from, compared, action, variables, metadata, say };
            match rule.only_speaks() {
                // `check` says that nothing else is sent.
                true => RuleModel { variables: BTreeMap::new(), metadata: None, ..rule },
                false => rule,
            }
        })
        .boxed()
}

fn table(models: &[RuleModel]) -> RuleSet {
    let mut text = "[agents]\nfront = \"agent_front\"\nnight = \"agent_night\"\n".to_owned();
    for lookup in &LOOKUPS[..3] {
        write!(text, "\n[lookup.{lookup}]\nurl = \"https://{lookup}.example.com/${{from}}\"\n")
            .expect("a text");
    }
    for (at, rule) in models.iter().enumerate() {
        let rule = rule.to_toml() + "unsupported = \"keep\"\n";
        write!(text, "\n[[rule]]\nname = \"r{at}\"\n{rule}").expect("a text");
    }
    let loaded = rules::parse("rules.toml", text.clone(), &check_context());
    loaded.table.unwrap_or_else(|| panic!("{}\n{text}", loaded.report))
}

fn call(caller: &str) -> Call<'static> {
    let fields =
        Fields { from: Party::parse(Some(caller)).party, ..Fields::unknown(Channel::Call) };
    Call::synthetic("zulu", Platform::new("vapi"), fields)
}

fn names(table: &RuleSet, lookups: LookupSet) -> Vec<&'static str> {
    let is_in = |name: &&str| table.lookup_id(name).is_some_and(|id| lookups.contains(id));
    LOOKUPS.into_iter().filter(is_in).collect()
}

/// Returns facts with the answers of some look-ups, to which others may come.
fn facts_of(table: &RuleSet, answers: &[(&'static str, AnswerModel)]) -> Facts {
    let mut facts = Facts::before_lookups(Timestamp::UNIX_EPOCH);
    for (name, answer) in answers {
        facts.lookups.insert(table.lookup_id(name).expect("a look-up"), answer.answer());
    }
    facts
}

/// Returns the look-ups that rules on the way to a decision mention, with these answers. `arm` is that of
/// the deciding rule.
fn reached(
    models: &[RuleModel],
    caller: &str,
    answers: &[AnswerModel; 4],
    arm: Option<usize>,
) -> Vec<&'static str> {
    let answer =
        |lookup: &str| answers[LOOKUPS.iter().position(|name| *name == lookup).expect("a name")];
    let (mut found, mut continuing) = (Vec::new(), Vec::new());
    let mut replaced = Replaced::default();
    // Whether look-ups of `continue` rules may have been asked together with those of a condition: those of texts
    // to speak, and all of them.
    let (mut early_speech, mut early) = (false, false);
    let mut only_speech = false;
    for rule in models.iter().filter(|rule| rule.matches_numbers(caller)) {
        let matches = rule.compared.iter().all(|lookup| answer(lookup) == AnswerModel::Gold);
        if rule.action == ActionModel::Continue {
            continuing.push((rule, matches));
            continue;
        }
        found.extend(&rule.compared);
        early_speech |= !rule.compared.is_empty();
        early |= !rule.compared.is_empty() && !rule.only_speaks();
        if matches {
            found.extend(rule.sent(arm, &Replaced::default(), false));
            let plain = rule.variables.iter().filter(|(_, text)| **text == TextModel::Plain);
            replaced.variables.extend(plain.map(|(name, _)| *name).filter(|_| !early));
            replaced.speech = rule.say == Some(TextModel::Plain) && !early_speech;
            only_speech = rule.only_speaks();
            break;
        }
    }
    only_speech &= !early;
    for (rule, matches) in continuing {
        if only_speech && rule.say.is_none() {
            continue;
        }
        found.extend(&rule.compared);
        if matches {
            found.extend(rule.sent(None, &replaced, only_speech));
        }
    }
    found
}

fn any_answers() -> impl Strategy<Value = [AnswerModel; 4]> {
    let answer = || {
        select(
            &[
                AnswerModel::Gold,
                AnswerModel::Gold,
                AnswerModel::Silver,
                AnswerModel::Empty,
                AnswerModel::Late,
            ][..],
        )
    };
    [answer(), answer(), answer(), answer()]
}

#[test]
fn the_index_and_the_scan_need_the_same_look_ups_in_every_state() {
    let models = prop::collection::vec(any_rule(), 1..8);
    proptest!(cases(), |(models in models, answers in any_answers(), caller in select(&CALLERS[..]))| {
        let (table, call) = (table(&models), call(caller));
        for subset in 0..16_u8 {
            let known = LOOKUPS.into_iter().zip(answers).enumerate();
            let known: Vec<_> =
                known.filter(|(at, _)| subset >> at & 1 == 1).map(|(_, known)| known).collect();
            let facts = facts_of(&table, &known);
            prop_assert_eq!(decide(&table, &call, &facts), scan(&table, &call, &facts), "{:?}", known);
        }
    });
}

#[test]
fn look_ups_are_asked_once_and_only_for_rules_that_are_reached() {
    let models = prop::collection::vec(any_rule(), 1..8);
    proptest!(cases(), |(models in models, answers in any_answers(), caller in select(&CALLERS[..]))| {
        let (table, call) = (table(&models), call(caller));
        let all: Vec<_> = LOOKUPS.into_iter().zip(answers).collect();
        let mut asked: Vec<&str> = Vec::new();
        let decision = loop {
            let known: Vec<_> =
                all.iter().copied().filter(|(name, _)| asked.contains(name)).collect();
            match decide(&table, &call, &facts_of(&table, &known)) {
                Ok(decision) => break decision,
                Err(needed) => {
                    let needed = names(&table, needed);
                    prop_assert!(!needed.is_empty());
                    prop_assert!(needed.iter().all(|name| !asked.contains(name)), "{:?} again", needed);
                    asked.extend(needed);
                }
            }
        };
        let mut complete = facts_of(&table, &all);
        complete.lookups.complete();
        let with_all = decide(&table, &call, &complete).expect("complete facts need no look-up");
        prop_assert_eq!(decision.outcome(), with_all.outcome(), "asked {:?}", &asked);
        prop_assert_eq!(decision.rule(), with_all.rule());
        prop_assert_eq!(&decision.additions().say, &with_all.additions().say, "asked {:?}", &asked);
        // Nothing else goes with a rejection or a transfer.
        if !matches!(decision.outcome(), Outcome::Reject(_) | Outcome::Transfer(_)) {
            prop_assert_eq!(&decision, &with_all, "asked {:?}", &asked);
        }
        let needed = reached(&models, caller, &answers, decision.arm());
        let unneeded: Vec<_> = asked.iter().filter(|name| !needed.contains(name)).collect();
        prop_assert!(unneeded.is_empty(), "{:?} asked without need", unneeded);
    });
}

/// Decides a call whose look-ups all answer `Gold`, and returns those that are asked.
fn asked_for(rules: &str, caller: &str) -> Vec<&'static str> {
    let text = format!(
        "[agents]\nfront = \"agent_front\"\nnight = \"agent_night\"\n\
         [lookup.crm]\nurl = \"https://crm.example.com/${{from}}\"\n\
         [lookup.shop]\nurl = \"https://shop.example.com/${{from}}\"\n{rules}"
    );
    let loaded = rules::parse("rules.toml", text, &check_context());
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    let call = call(caller);
    let mut answers = LookupAnswers::default().resumed();
    loop {
        let facts = Facts { at: Timestamp::UNIX_EPOCH, lookups: answers.clone() };
        let Err(needed) = decide(&table, &call, &facts) else { break };
        assert_eq!(Err(needed), scan(&table, &call, &facts).map(|_| ()));
        needed.iter().for_each(|id| answers.insert(id, AnswerModel::Gold.answer()));
    }
    names(&table, answers.iter().map(|(id, _)| id).collect())
}

#[test]
fn a_split_asks_only_for_the_arm_that_takes_the_call() {
    let split = "[[rule]]\nname = \"split\"\nsplit = [{ agent = \"${crm.agent|front}\", percent = 50 }, \
                 { agent = \"${shop.agent|front}\", percent = 50 }]\n";
    let arms: Vec<_> = (0..20).map(|n| asked_for(split, &format!("+121377712{n:02}"))).collect();
    assert!(arms.iter().all(|asked| asked.len() == 1), "{arms:?}");
    assert!(arms.contains(&vec!["crm"]) && arms.contains(&vec!["shop"]), "{arms:?}");
    assert_eq!(asked_for(split, "withheld"), ["crm"], "the first arm");
}

#[test]
fn a_row_without_a_split_asks_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("c.csv"),
        "number,split\n+12137771234,\n+12137775678,trial\n",
    )
    .expect("a file");
    let text = "[agents]\nfront = \"agent_front\"\n\
        [lists.c]\nfile = \"c.csv\"\n[lookup.crm]\nurl = \"https://crm.example.com/${from}\"\n\
        [splits.trial]\narms = [{ agent = \"front\", percent = 100 }]\n\
        [[rule]]\nname = \"row\"\nfrom = \"@c\"\nwhere = { \"crm.tier\" = \"gold\" }\nsplit = \"${c.split}\"\n\
        [[rule]]\nname = \"everyone\"\nagent = \"front\"\n";
    let path = folder.path().join("rules.toml").display().to_string();
    let loaded = rules::parse(&path, text.to_owned(), &check_context());
    let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
    let facts = Facts::before_lookups(Timestamp::UNIX_EPOCH);
    let without = call("+12137771234");
    let decision = decide(&table, &without, &facts).expect("no look-up");
    assert_eq!(decision.rule(), Some("everyone"));
    let with = call("+12137775678");
    assert_eq!(names(&table, decide(&table, &with, &facts).unwrap_err()), ["crm"]);
}

#[test]
fn what_is_never_sent_is_not_asked_for() {
    let continuing = "[[rule]]\nname = \"greet\"\ncontinue = true\nvariables = { name = \"${crm.tier|there}\" }\n";
    let decided_by = |rule: &str| {
        asked_for(&format!("{continuing}[[rule]]\nname = \"last\"\n{rule}\n"), CALLERS[0])
    };
    assert_eq!(decided_by("agent = \"night\""), ["crm"]);
    assert_eq!(
        decided_by("reject = true\nsay = \"Sorry.\""),
        [""; 0],
        "a rejection has no variables"
    );
    let replaced = "agent = \"night\"\nvariables = { name = \"Ann\" }";
    assert_eq!(decided_by(replaced), [""; 0], "the variable is replaced");
    let maybe_replaced = "agent = \"night\"\nvariables = { name = \"${sip.x-name?}\" }";
    assert_eq!(
        decided_by(maybe_replaced),
        ["crm"],
        "the text is omitted, and the earlier one stays"
    );
    let omitted = "agent = \"night\"\nmetadata = { a = [\"${shop.tier|none} ${sip.x-name?}\"] }";
    assert_eq!(decided_by(omitted), ["crm"], "the other text is omitted");
    let values_of_another = "[[rule]]\nname = \"silver\"\nwhere = { \"crm.tier\" = \"silver\" }\n\
        agent = \"${shop.agent|front}\"\nvariables = { name = \"${shop.tier|there}\" }\n\
        [[rule]]\nname = \"last\"\nagent = \"night\"\n";
    assert_eq!(asked_for(values_of_another, CALLERS[0]), ["crm"], "the rule does not match");
}
