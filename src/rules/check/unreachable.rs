//! Unreachable rules: earlier rules take all calls that they match.
//!
//! There are no false positives: each pair of numbers that a rule matches must be covered by a single
//! earlier rule whose other conditions hold whenever those of the rule hold. Some unreachable rules
//! are not detected, such as a rule for a prefix that three earlier rules cover only together.

use std::sync::Arc;

use super::patterns::{any_numbers, are_disjoint, covers, examples};
use super::rules::{EnabledRules, Indexes};
use super::sources::Origins;
use crate::diagnostics::Report;
use crate::domain::call::Channel;
use crate::domain::party::Party;
use crate::rules::model::Origin;
use crate::rules::model::index::PartyKeys;
use crate::rules::model::lists::{Lists, Side};
use crate::rules::{
    Action, Conditions, NamedRef, NumberMatcher, NumberPattern, RefTarget, Rule, Scope, Selector,
};

/// Rules to compare with each other.
pub(super) struct RuleComparison<'r> {
    pub(super) enabled: &'r EnabledRules,
    pub(super) lists: &'r Lists,
    /// Indexes of the valid rules.
    pub(super) indexes: &'r Indexes,
    pub(super) origins: &'r Origins<'r>,
}

impl RuleComparison<'_> {
    /// Returns whether no call can satisfy the conditions of a rule other than its numbers.
    fn is_contradictory(&self, rule: &Rule) -> bool {
        fn excludes_all<T: PartialEq>(selector: &Selector<T>) -> bool {
            let mut accepted = selector.any_of.iter();
            !selector.any_of.is_empty() && accepted.all(|value| selector.none_of.contains(value))
        }
        let is_contradictory = |conditions: &Conditions| {
            conditions.where_clauses.iter().any(|clause| excludes_all(&clause.expected))
                || excludes_all(&conditions.hours)
                || excludes_all(&conditions.dates)
        };
        if all_conditions(rule).any(|conditions| excludes_all(&conditions.number_id)) {
            return true;
        }
        rule.conditions.as_deref().is_some_and(is_contradictory)
            || !accepts_every_origin(rule) && accepted_origins(rule, rule, self.origins).is_empty()
    }

    /// Returns whether `earlier` accepts each call that `rule` accepts, apart from the numbers.
    fn conditions_cover(&self, earlier: &Rule, rule: &Rule) -> bool {
        if matches!(earlier.action, Action::SplitOfRow(_)) {
            return false; // It does not match rows that name no split.
        }
        let own = rule.conditions.as_deref();
        let covered = earlier.conditions.as_deref().is_none_or(|earlier| {
            let covers_forwarding = earlier.forwarded_from.is_anything()
                || own.is_some_and(|own| own.forwarded_from == earlier.forwarded_from);
            covers_forwarding
                && covers_times(&earlier.hours, own.map(|own| &own.hours))
                && covers_times(&earlier.dates, own.map(|own| &own.dates))
                && earlier
                    .where_clauses
                    .iter()
                    .all(|clause| own.is_some_and(|own| own.where_clauses.contains(clause)))
        });
        covered
            && covers_number_ids(earlier, rule)
            && (accepts_every_origin(earlier)
                || accepted_origins(rule, earlier, self.origins)
                    .iter()
                    .all(|origin| earlier.accepts(origin)))
    }
}

/// Returns the conditions of a rule and of its scope.
fn all_conditions(rule: &Rule) -> impl Iterator<Item = &Conditions> {
    let scope = rule.scope.as_ref().map(|scope| &scope.conditions);
    rule.conditions.as_deref().into_iter().chain(scope)
}

fn accepts_every_origin(rule: &Rule) -> bool {
    all_conditions(rule).all(|conditions| {
        conditions.channel.is_anything()
            && conditions.platform.is_anything()
            && conditions.source.is_anything()
    })
}

/// Returns the origins whose calls `rule` accepts, distinguished as far as the two rules do.
fn accepted_origins<'o>(rule: &'o Rule, other: &'o Rule, origins: &Origins<'o>) -> Vec<Origin<'o>> {
    let mut found = origins.for_conditions(all_conditions(rule).chain(all_conditions(other)));
    found.retain(|origin| rule.accepts(origin));
    found
}

/// Returns whether `earlier` holds whenever the condition `rule` on hours or dates holds.
fn covers_times(earlier: &Selector<NamedRef>, rule: Option<&Selector<NamedRef>>) -> bool {
    earlier.is_anything() || rule == Some(earlier)
}

/// Returns whether `earlier` accepts the id of the called number, or its absence, whenever `rule` does.
fn covers_number_ids(earlier: &Rule, rule: &Rule) -> bool {
    let accepts = |selector: &Selector<Box<str>>, id: &str| selector.matches(|one| **one == *id);
    let own = || all_conditions(rule).map(|conditions| &conditions.number_id);
    all_conditions(earlier).map(|conditions| &conditions.number_id).all(|earlier| {
        earlier.is_anything()
            || own().any(|own| {
                let mut accepted = own.any_of.iter();
                own == earlier || !own.any_of.is_empty() && accepted.all(|id| accepts(earlier, id))
            })
    })
}

/// Number of rules with the same numbers above which a warning is due: a call tries them one by one.
const CROWDED_RULES: usize = 1_000;
/// Maximum number of rules with the same numbers that are compared with one rule.
const MAX_COMPARED_RULES: usize = 64;
/// Maximum number of number pairs of a rule for which an example call is tried.
const MAX_EXAMPLE_PAIRS: usize = 8;

/// A rule that no call can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreachableRule {
    /// Index of the rule.
    pub rule: usize,
    cause: UnreachableCause,
}

/// Why no call can reach a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum UnreachableCause {
    /// Its conditions exclude each other.
    Contradictory,
    /// No source of the settings sends a call that its conditions accept.
    NoSource,
    /// Earlier rules take its calls: the indexes of the first ones, and the number of further ones.
    Covered { first: Box<[usize]>, more: usize },
}

/// Maximum number of rules that are named as the ones that take the calls of another rule.
const MAX_NAMED_RULES: usize = 3;

impl UnreachableCause {
    fn covered_by(earlier: &[usize]) -> UnreachableCause {
        let first = &earlier[..earlier.len().min(MAX_NAMED_RULES)];
        UnreachableCause::Covered { first: first.into(), more: earlier.len() - first.len() }
    }
}

impl UnreachableRule {
    /// Returns the reason in words: ``rule `vip` above it takes its calls``.
    pub fn reason(&self, rules: &[Rule]) -> String {
        let (first, more) = match &self.cause {
            UnreachableCause::Contradictory => {
                return "no call can be all that it asks for".to_owned();
            }
            UnreachableCause::NoSource => {
                return "no source of the settings sends such calls".to_owned();
            }
            UnreachableCause::Covered { first, more } => (first, more),
        };
        let names = first.iter().filter_map(|earlier| rules.get(*earlier));
        let names: Vec<_> = names.map(|rule| format!("`{}`", rule.name)).collect();
        let names = names.join(", ");
        match (first.len(), more) {
            (1, 0) => format!("rule {names} above it takes its calls"),
            (_, 0) => format!("rules {names} above it take its calls"),
            (_, more) => format!("rules {names} and {more} more above it take its calls"),
        }
    }
}

/// Warns of rules that no call can reach, and of many rules with the same numbers. Returns the former.
pub(super) fn warn_unreachable(
    comparison: &RuleComparison<'_>,
    report: &mut Report,
) -> Vec<UnreachableRule> {
    let enabled = comparison.enabled;
    let mut unreachable = Vec::new();
    for number in (0..enabled.rules.len()).filter(|number| !enabled.invalid[*number]) {
        let (cause, help) = match reachability(comparison, number) {
            Reachability::Possible => continue,
            Reachability::Contradictory => (UnreachableCause::Contradictory, None),
            Reachability::NoSource => {
                (UnreachableCause::NoSource, Some(comparison.origins.describe_sources()))
            }
            Reachability::Covered { earlier, example } => {
                let help = help_for_covered(comparison, number, example);
                (UnreachableCause::covered_by(&earlier), Some(help))
            }
        };
        let found = UnreachableRule { rule: number, cause };
        warn_of(comparison, &found, help, report);
        unreachable.push(found);
    }
    for index in [&comparison.indexes.deciding, &comparison.indexes.continuing] {
        let Some(rules) = index.largest_slot().filter(|rules| rules.len() > CROWDED_RULES) else {
            continue;
        };
        let last = rules[rules.len() - 1] as usize;
        let message = format!("{} rules are for the same numbers, up to this one", rules.len());
        report
            .warning("crowded", Some(enabled.locations.get(last)), message)
            .help("they are tried one after the other; a list with columns is one rule");
    }
    unreachable
}

/// Result of comparing a rule with earlier rules.
enum Reachability {
    /// A call may reach the rule.
    Possible,
    /// The conditions of the rule exclude each other.
    Contradictory,
    /// No source of the settings sends a call that the conditions accept.
    NoSource,
    /// Earlier rules take all calls.
    Covered { earlier: Vec<usize>, example: Option<ShadowedCall> },
}

/// A call that matches a rule, and the earlier rule that takes it.
struct ShadowedCall {
    channel: Channel,
    to: Party,
    from: Party,
    taken_by: usize,
    /// No rule before `taken_by` can take the call.
    is_certain: bool,
}

/// One alternative of a condition on the caller's or the called number.
#[derive(Clone, Copy)]
enum NumberPart<'r> {
    /// Every number, and callers that withhold it.
    Anyone,
    /// Every number that the condition does not exclude.
    Shown,
    Pattern(&'r NumberPattern),
}

/// Conditions of a rule on one of the numbers: its own, and that of its scope.
#[derive(Clone, Copy)]
struct RuleSide<'r> {
    rule: &'r Rule,
    side: Side,
}

impl<'r> RuleSide<'r> {
    fn conditions(self) -> impl Iterator<Item = &'r NumberMatcher> {
        let scope = self.rule.scope.as_ref().map(|scope| scope.numbers(self.side));
        std::iter::once(self.rule.numbers(self.side)).chain(scope)
    }

    /// Returns the alternatives of the narrower condition that the other one does not exclude.
    fn parts(self, lists: &Lists) -> Vec<NumberPart<'r>> {
        let narrowest = self.rule.narrowest(self.side);
        match narrowest.any_of() {
            [] if self.conditions().all(NumberMatcher::is_anything) => vec![NumberPart::Anyone],
            [] => vec![NumberPart::Shown],
            patterns => {
                let possible = patterns.iter().filter(|pattern| !self.excludes(pattern, lists));
                possible.map(NumberPart::Pattern).collect()
            }
        }
    }

    /// Returns whether one of the conditions excludes all of a pattern.
    fn excludes(self, pattern: &NumberPattern, lists: &Lists) -> bool {
        self.conditions().any(|numbers| {
            let mut accepted = numbers.any_of().iter();
            let is_outside = !numbers.any_of().is_empty()
                && accepted.all(|accepted| are_disjoint(accepted, pattern, lists));
            is_outside || numbers.none_of().iter().any(|excluded| covers(excluded, pattern, lists))
        })
    }

    /// Returns whether all conditions accept a number.
    fn matches(self, party: &Party, lists: &Lists) -> bool {
        let party = lists.lookup(party);
        self.conditions().all(|numbers| numbers.matches(&party))
    }
}

fn reachability(comparison: &RuleComparison<'_>, number: usize) -> Reachability {
    let rule = &comparison.enabled.rules[number];
    if comparison.is_contradictory(rule) {
        return Reachability::Contradictory;
    }
    if !accepts_every_origin(rule) && !comparison.origins.can_send(rule) {
        return Reachability::NoSource;
    }
    let (mut earlier, mut example) = (Vec::new(), None);
    let [to, from] = [Side::To, Side::From].map(|side| RuleSide { rule, side });
    let from_parts = from.parts(comparison.lists);
    for to in to.parts(comparison.lists) {
        for &from in &from_parts {
            let Some(covering) = covering_rule(comparison, number, to, from) else {
                return Reachability::Possible;
            };
            earlier.push(covering);
            let is_certain = example.as_ref().is_some_and(|call: &ShadowedCall| call.is_certain);
            if !is_certain && earlier.len() <= MAX_EXAMPLE_PAIRS {
                example = example_call(comparison, rule, covering, [to, from]).or(example);
            }
        }
    }
    earlier.sort_unstable();
    earlier.dedup();
    match earlier.as_slice() {
        [] => Reachability::Contradictory,
        _ => Reachability::Covered { earlier, example },
    }
}

/// Returns the first earlier rule that takes every call of this pair.
fn covering_rule(
    comparison: &RuleComparison<'_>,
    number: usize,
    to: NumberPart<'_>,
    from: NumberPart<'_>,
) -> Option<usize> {
    let keys = |part| match part {
        NumberPart::Anyone | NumberPart::Shown => PartyKeys::wildcard(),
        NumberPart::Pattern(pattern) => PartyKeys::for_pattern(pattern, comparison.lists),
    };
    let keys = [keys(to), keys(from)];
    let (rules, lists) = (&comparison.enabled.rules, comparison.lists);
    let rule = &rules[number];
    let takes_all = |earlier: u32| {
        let earlier = &rules[earlier as usize];
        comparison.conditions_cover(earlier, rule)
            && numbers_cover(earlier, to, RuleSide { rule, side: Side::To }, lists)
            && numbers_cover(earlier, from, RuleSide { rule, side: Side::From }, lists)
    };
    let deciding = &comparison.indexes.deciding;
    let found = deciding.first_below(number as u32, MAX_COMPARED_RULES, &keys, takes_all);
    found.map(|earlier| earlier as usize)
}

/// Returns whether the conditions of `earlier` on a number match everything that this part of the
/// numbers of another rule matches.
fn numbers_cover(
    earlier: &Rule,
    part: NumberPart<'_>,
    numbers: RuleSide<'_>,
    lists: &Lists,
) -> bool {
    let is_same = |scope: &Arc<Scope>| {
        numbers.rule.scope.as_ref().is_some_and(|other| Arc::ptr_eq(scope, other))
    };
    let scope = earlier.scope.as_ref().filter(|scope| !is_same(scope));
    condition_covers(earlier.numbers(numbers.side), part, numbers, lists)
        && scope
            .is_none_or(|scope| condition_covers(scope.numbers(numbers.side), part, numbers, lists))
}

/// Returns whether `earlier` matches everything that this part of `numbers` matches.
fn condition_covers(
    earlier: &NumberMatcher,
    part: NumberPart<'_>,
    numbers: RuleSide<'_>,
    lists: &Lists,
) -> bool {
    if earlier.is_anything() || numbers.conditions().any(|own| own == earlier) {
        return true;
    }
    let accepted = earlier.any_of();
    let accepts_part = match part {
        NumberPart::Anyone => false,
        NumberPart::Shown => accepted.is_empty(),
        // Only `withheld` itself matches a withheld number.
        NumberPart::Pattern(NumberPattern::Withheld) => accepted.contains(&NumberPattern::Withheld),
        NumberPart::Pattern(pattern) => {
            accepted.is_empty() || accepted.iter().any(|wide| covers(wide, pattern, lists))
        }
    };
    let spares_part = |excluded: &NumberPattern| {
        let disjoint = match part {
            NumberPart::Anyone | NumberPart::Shown => false,
            NumberPart::Pattern(pattern) => are_disjoint(excluded, pattern, lists),
        };
        let mut own = numbers.conditions().flat_map(NumberMatcher::none_of);
        disjoint || own.any(|own| covers(own, excluded, lists))
    };
    accepts_part && earlier.none_of().iter().all(spares_part)
}

/// Returns a call with numbers of this pair that matches the rule and is taken by the rule `taken_by`;
/// if possible, one that no rule before `taken_by` can take.
fn example_call(
    comparison: &RuleComparison<'_>,
    rule: &Rule,
    taken_by: usize,
    [to, from]: [NumberPart<'_>; 2],
) -> Option<ShadowedCall> {
    let needs_more = |conditions: &Conditions| {
        let needs_row = |item: &NamedRef| matches!(item.target, RefTarget::Cell(_));
        !conditions.where_clauses.is_empty()
            || !conditions.forwarded_from.is_anything()
            || conditions.hours.entries().chain(conditions.dates.entries()).any(needs_row)
    };
    let needs_id = |conditions: &Conditions| !conditions.number_id.is_anything();
    if rule.conditions.as_deref().is_some_and(needs_more)
        || all_conditions(rule).any(needs_id)
        || matches!(rule.action, Action::SplitOfRow(_))
    {
        return None; // The example would need a list row, a SIP header or the id of a number.
    }
    let matching_examples = |side, part| {
        let numbers = RuleSide { rule, side };
        let mut examples = match part {
            NumberPart::Anyone | NumberPart::Shown => any_numbers(),
            NumberPart::Pattern(pattern) => examples(pattern, comparison.lists),
        };
        // Nobody calls from a number that stands for a withheld one.
        let can_call =
            |party: &Party| party.number().is_none_or(|number| !number.spells_withheld());
        examples.retain(|party| can_call(party) && numbers.matches(party, comparison.lists));
        examples
    };
    let (to, from) = (matching_examples(Side::To, to), matching_examples(Side::From, from));
    let origins = accepted_origins(rule, rule, comparison.origins);
    let channel = origins.first()?.channel;
    let count = if to.is_empty() || from.is_empty() { 0 } else { to.len().max(from.len()) };
    // The offset avoids calls from a number to itself.
    let pair = |index: usize| (&to[index % to.len()], &from[(index + 1) % from.len()]);
    let certain =
        (0..count).find(|index| is_first(comparison, taken_by, rule, (channel, pair(*index))));
    let index = certain.or((count > 0).then_some(0))?;
    let (to, from) = pair(index);
    let is_certain = certain.is_some();
    Some(ShadowedCall { channel, to: to.clone(), from: from.clone(), taken_by, is_certain })
}

/// Returns whether no rule before `taken_by` can take this call, which `rule` accepts; false if there
/// are too many to try.
fn is_first(
    comparison: &RuleComparison<'_>,
    taken_by: usize,
    rule: &Rule,
    (channel, (to, from)): (Channel, (&Party, &Party)),
) -> bool {
    let (lists, origins) = (comparison.lists, comparison.origins);
    let mut tried = 0;
    let may_take = |earlier: u32| {
        let earlier = &comparison.enabled.rules[earlier as usize];
        let numbers = |side, party| RuleSide { rule: earlier, side }.matches(party, lists);
        let accepts = |origin: &Origin<'_>| origin.channel == channel && earlier.accepts(origin);
        tried += 1;
        tried > MAX_COMPARED_RULES
            || numbers(Side::To, to)
                && numbers(Side::From, from)
                && accepted_origins(rule, earlier, origins).iter().any(accepts)
    };
    let (to, from) = (lists.lookup(to), lists.lookup(from));
    let deciding = &comparison.indexes.deciding;
    let keys = deciding.keys(&to, &from);
    deciding.first_below(taken_by as u32, usize::MAX, &keys, may_take).is_none()
}

fn warn_of(
    comparison: &RuleComparison<'_>,
    found: &UnreachableRule,
    help: Option<String>,
    report: &mut Report,
) {
    let EnabledRules { rules, locations, .. } = comparison.enabled;
    let name = &rules[found.rule].name;
    let message = format!("rule `{name}` is never reached: {}", found.reason(rules));
    let location = locations.get(found.rule);
    report.warning("never-reached", Some(location), message).maybe_help(help);
}

fn help_for_covered(
    comparison: &RuleComparison<'_>,
    number: usize,
    example: Option<ShadowedCall>,
) -> String {
    let rules = &comparison.enabled.rules;
    let rule = &rules[number];
    let advice = match &rule.action {
        Action::Continue => "what it adds is never added".to_owned(),
        Action::Agent(_)
        | Action::Split(_)
        | Action::SplitOfRow(_)
        | Action::Transfer(_)
        | Action::Reject(_)
        | Action::Keep => format!("move `{}` up, or delete it", rule.name),
    };
    match example {
        Some(example) => format!("{}; {advice}", describe_example(&example, rules)),
        None => advice,
    }
}

fn describe_example(example: &ShadowedCall, rules: &[Rule]) -> String {
    let (to, from) = (example.to.unmasked(), example.from.unmasked());
    let taken_by = &rules[example.taken_by].name;
    let at_the_latest = if example.is_certain { "" } else { " at the latest" };
    let noun = match example.channel {
        Channel::Call => "call",
        Channel::Sms => "text message",
    };
    format!("a {noun} from {from} to {to} goes to `{taken_by}`{at_the_latest}")
}
