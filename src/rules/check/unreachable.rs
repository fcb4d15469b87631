//! Unreachable rules: earlier rules take all calls that they match.
//!
//! There are no false positives: each pair of numbers that a rule matches must be covered by a single
//! earlier rule whose other conditions hold whenever those of the rule hold. Some unreachable rules
//! are not detected, such as a rule for a prefix that three earlier rules cover only together.

use super::rules::{EnabledRules, Indexes};
use crate::diagnostics::Report;
use crate::dialect;
use crate::domain::call::Channel;
use crate::domain::party::Party;
use crate::domain::phone_number::PhoneNumber;
use crate::rules::model::index::PartyKeys;
use crate::rules::model::lists::{Item, Lists};
use crate::rules::{Action, Conditions, NumberMatcher, NumberPattern, Rule, Selector};

/// Rules to compare with each other.
pub(super) struct RuleComparison<'r> {
    pub(super) enabled: &'r EnabledRules,
    pub(super) lists: &'r Lists,
    /// Indexes of the valid rules.
    pub(super) indexes: &'r Indexes,
}

/// Number of rules with the same numbers above which a warning is due: a call tries them one by one.
const CROWDED_RULES: usize = 1_000;
/// Maximum number of rules with the same numbers that are compared with one rule.
const MAX_COMPARED_RULES: usize = 64;
/// Maximum number of number pairs of a rule for which an example call is tried.
const MAX_EXAMPLE_PAIRS: usize = 8;

/// Warns of rules that no call can reach, and of many rules with the same numbers.
pub(super) fn warn_unreachable(comparison: &RuleComparison<'_>, report: &mut Report) {
    let enabled = comparison.enabled;
    for number in (0..enabled.rules.len()).filter(|number| !enabled.invalid[*number]) {
        match reachability(comparison, number) {
            Reachability::Possible => {}
            Reachability::Contradictory => warn_contradictory(comparison, number, report),
            Reachability::Covered { earlier, example } => {
                warn_covered(comparison, number, &earlier, example, report);
            }
        }
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
}

/// Result of comparing a rule with earlier rules.
enum Reachability {
    /// A call may reach the rule.
    Possible,
    /// The conditions of the rule exclude each other.
    Contradictory,
    /// Earlier rules take all calls.
    Covered { earlier: Vec<usize>, example: Option<ExampleCall> },
}

/// A call that matches a rule, and the earlier rule that takes it.
struct ExampleCall {
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

fn parts(numbers: &NumberMatcher) -> Vec<NumberPart<'_>> {
    match numbers.any_of() {
        [] if numbers.is_anything() => vec![NumberPart::Anyone],
        [] => vec![NumberPart::Shown],
        patterns => patterns.iter().map(NumberPart::Pattern).collect(),
    }
}

fn reachability(comparison: &RuleComparison<'_>, number: usize) -> Reachability {
    let rule = &comparison.enabled.rules[number];
    if rule.conditions.as_deref().is_some_and(is_contradictory) {
        return Reachability::Contradictory;
    }
    let (mut earlier, mut example) = (Vec::new(), None);
    for to in parts(&rule.to) {
        if is_excluded(to, &rule.to, comparison.lists) {
            continue;
        }
        for from in parts(&rule.from) {
            if is_excluded(from, &rule.from, comparison.lists) {
                continue;
            }
            let Some(covering) = covering_rule(comparison, number, to, from) else {
                return Reachability::Possible;
            };
            earlier.push(covering);
            let is_certain = example.as_ref().is_some_and(|call: &ExampleCall| call.is_certain);
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

/// Returns whether no call can satisfy these conditions.
fn is_contradictory(conditions: &Conditions) -> bool {
    fn excludes_all<T: PartialEq>(selector: &Selector<T>) -> bool {
        let mut accepted = selector.any_of.iter();
        !selector.any_of.is_empty() && accepted.all(|value| selector.none_of.contains(value))
    }
    !dialect::ALL.iter().any(|dialect| conditions.can_match_dialect(*dialect))
        || conditions.where_clauses.iter().any(|clause| excludes_all(&clause.expected))
        || excludes_all(&conditions.source)
        || excludes_all(&conditions.hours)
        || excludes_all(&conditions.dates)
}

/// Returns whether a `!` pattern of the same condition excludes all of a part.
fn is_excluded(part: NumberPart<'_>, numbers: &NumberMatcher, lists: &Lists) -> bool {
    let NumberPart::Pattern(pattern) = part else { return false };
    numbers.none_of().iter().any(|excluded| covers(excluded, pattern, lists))
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
        conditions_cover(earlier.conditions.as_deref(), rule.conditions.as_deref())
            && numbers_cover(&earlier.to, to, &rule.to, lists)
            && numbers_cover(&earlier.from, from, &rule.from, lists)
    };
    let deciding = &comparison.indexes.deciding;
    let found = deciding.first_below(number as u32, MAX_COMPARED_RULES, &keys, takes_all);
    found.map(|earlier| earlier as usize)
}

/// Returns whether the number condition `earlier` matches everything that this part of `numbers`
/// matches.
fn numbers_cover(
    earlier: &NumberMatcher,
    part: NumberPart<'_>,
    numbers: &NumberMatcher,
    lists: &Lists,
) -> bool {
    if earlier.is_anything() {
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
        disjoint || numbers.none_of().iter().any(|own| covers(own, excluded, lists))
    };
    accepts_part && earlier.none_of().iter().all(spares_part)
}

/// Returns whether `wide` matches everything that `narrow` matches; false if that is unknown.
fn covers(wide: &NumberPattern, narrow: &NumberPattern, lists: &Lists) -> bool {
    use NumberPattern::{Country, Digits, Exact, List, Literal, Prefix, Withheld};
    match (wide, narrow) {
        (wide, narrow) if wide == narrow => true,
        (wide, Exact(number)) => matches(wide, &Party::Number(*number), lists),
        (wide, Literal(text)) => matches(wide, &Party::Literal(text.clone()), lists),
        (Prefix(wide), Prefix(narrow)) => narrow.starts_with(*wide),
        (Country(wide), Prefix(narrow)) => narrow.country_as_prefix() == Some(*wide),
        (List(list, _), Prefix(narrow)) => lists.lists_with_prefix(*narrow).contains(list),
        (Prefix(_) | Country(_) | List(..), Digits(_)) => {
            narrow.leading_digits().is_some_and(|prefix| covers(wide, &Prefix(prefix), lists))
        }
        (Digits(wide), Digits(narrow)) => {
            let covers_digit =
                |(wide, narrow): (&Option<u8>, &Option<u8>)| wide.is_none() || wide == narrow;
            wide.len() == narrow.len() && wide.iter().zip(narrow).all(covers_digit)
        }
        (Exact(_) | Digits(_), Prefix(_))
        | (Exact(_) | Literal(_), Digits(_))
        | (Literal(_), Prefix(_))
        | (Withheld, _)
        | (_, Country(_) | List(..) | Withheld) => false,
    }
}

/// Returns whether no number matches both patterns; false if that is unknown.
fn are_disjoint(first: &NumberPattern, second: &NumberPattern, lists: &Lists) -> bool {
    use NumberPattern::{Country, Exact, Literal, Prefix, Withheld};
    match (first, second) {
        (Exact(number), pattern) | (pattern, Exact(number)) => {
            !matches(pattern, &Party::Number(*number), lists)
        }
        (Literal(text), pattern) | (pattern, Literal(text)) => {
            !matches(pattern, &Party::Literal(text.clone()), lists)
        }
        (Withheld, Withheld) => false,
        (Withheld, _) | (_, Withheld) => true,
        (Prefix(first), Prefix(second)) => {
            !first.starts_with(*second) && !second.starts_with(*first)
        }
        (Country(first), Country(second)) => first != second,
        (Prefix(prefix), Country(country)) | (Country(country), Prefix(prefix)) => {
            prefix.country_as_prefix().is_some_and(|of_prefix| of_prefix != *country)
        }
        _ => false,
    }
}

fn matches(pattern: &NumberPattern, party: &Party, lists: &Lists) -> bool {
    pattern.matches(&lists.lookup(party))
}

/// Returns whether the conditions `earlier` hold whenever those of the rule hold.
fn conditions_cover(earlier: Option<&Conditions>, rule: Option<&Conditions>) -> bool {
    let Some(earlier) = earlier else { return true };
    let unconditional = Conditions::default();
    let rule = rule.unwrap_or(&unconditional);
    let platforms = dialect::ALL.map(|dialect| dialect.platform());
    let selectors = [&earlier.source, &rule.source];
    let named = selectors.iter().flat_map(|source| source.any_of.iter().chain(&source.none_of));
    // The empty name represents all sources that neither rule names.
    let sources: Vec<Box<str>> = named.cloned().chain(["".into()]).collect();
    selector_covers(&Channel::ALL, &earlier.channel, &rule.channel)
        && selector_covers(&platforms, &earlier.platform, &rule.platform)
        && selector_covers(&sources, &earlier.source, &rule.source)
        && (earlier.forwarded_from.is_anything() || earlier.forwarded_from == rule.forwarded_from)
        && is_anything_or_equal(&earlier.hours, &rule.hours)
        && is_anything_or_equal(&earlier.dates, &rule.dates)
        && earlier.where_clauses.iter().all(|clause| rule.where_clauses.contains(clause))
}

/// Returns whether `earlier` matches each of the values that `rule` matches.
fn selector_covers<T: PartialEq>(values: &[T], earlier: &Selector<T>, rule: &Selector<T>) -> bool {
    let matches = |selector: &Selector<T>, value: &T| selector.matches(|other| other == value);
    values.iter().all(|value| !matches(rule, value) || matches(earlier, value))
}

fn is_anything_or_equal<T: PartialEq>(earlier: &Selector<T>, rule: &Selector<T>) -> bool {
    earlier.is_anything() || earlier == rule
}

/// Returns a call with numbers of this pair that matches the rule and is taken by the rule `taken_by`;
/// if possible, one that no rule before `taken_by` can take.
fn example_call(
    comparison: &RuleComparison<'_>,
    rule: &Rule,
    taken_by: usize,
    [to, from]: [NumberPart<'_>; 2],
) -> Option<ExampleCall> {
    let needs_more = |conditions: &Conditions| {
        !conditions.where_clauses.is_empty() || !conditions.forwarded_from.is_anything()
    };
    if rule.conditions.as_deref().is_some_and(needs_more) {
        return None; // The example would need a list row or a SIP header.
    }
    let matching_examples = |numbers: &NumberMatcher, part| {
        let mut examples = examples(part, comparison.lists);
        // Nobody calls from a number that stands for a withheld one.
        let can_call =
            |party: &Party| party.number().is_none_or(|number| !number.spells_withheld());
        examples
            .retain(|party| can_call(party) && numbers.matches(&comparison.lists.lookup(party)));
        examples
    };
    let (to, from) = (matching_examples(&rule.to, to), matching_examples(&rule.from, from));
    let count = if to.is_empty() || from.is_empty() { 0 } else { to.len().max(from.len()) };
    // The offset avoids calls from a number to itself.
    let pair = |index: usize| (&to[index % to.len()], &from[(index + 1) % from.len()]);
    let certain = (0..count).find(|index| is_first(comparison, taken_by, rule, pair(*index)));
    let index = certain.or((count > 0).then_some(0))?;
    let (to, from) = pair(index);
    let is_certain = certain.is_some();
    Some(ExampleCall { to: to.clone(), from: from.clone(), taken_by, is_certain })
}

/// Returns whether no rule before `taken_by` matches the numbers of this call; false if there are too
/// many to try. The call is on the first channel that `rule` accepts.
fn is_first(
    comparison: &RuleComparison<'_>,
    taken_by: usize,
    rule: &Rule,
    (to, from): (&Party, &Party),
) -> bool {
    let (to, from) = (comparison.lists.lookup(to), comparison.lists.lookup(from));
    let accepts = |rule: &Rule, channel: &Channel| {
        rule.conditions
            .as_ref()
            .is_none_or(|conditions| conditions.channel.matches(|accepted| accepted == channel))
    };
    let channel = Channel::ALL.into_iter().find(|channel| accepts(rule, channel));
    let mut tried = 0;
    let may_take = |earlier: u32| {
        let earlier = &comparison.enabled.rules[earlier as usize];
        tried += 1;
        let accepted = channel.is_none_or(|channel| accepts(earlier, &channel));
        tried > MAX_COMPARED_RULES
            || accepted && earlier.to.matches(&to) && earlier.from.matches(&from)
    };
    let deciding = &comparison.indexes.deciding;
    let keys = deciding.keys(&to, &from);
    deciding.first_below(taken_by as u32, usize::MAX, &keys, may_take).is_none()
}

/// Returns some numbers of a part, without regard to exclusions.
fn examples(part: NumberPart<'_>, lists: &Lists) -> Vec<Party> {
    let with_prefix = |prefix: PhoneNumber| completed(prefix).map(Party::Number).collect();
    let number = |text: &str| PhoneNumber::parse(text).ok();
    match part {
        NumberPart::Anyone | NumberPart::Shown => {
            let numbers = ["+12135550100", "+442079460123", "+4930901820", "+61291234567"];
            numbers.into_iter().filter_map(number).map(Party::Number).collect()
        }
        NumberPart::Pattern(pattern) => match pattern {
            NumberPattern::Exact(number) => vec![Party::Number(*number)],
            NumberPattern::Prefix(prefix) => with_prefix(*prefix),
            NumberPattern::Digits(_) => {
                let text = pattern.to_string();
                let filled = ('0'..='9')
                    .filter_map(|digit| number(&text.replace('X', digit.encode_utf8(&mut [0; 4]))));
                filled.map(Party::Number).collect()
            }
            NumberPattern::Country(country) => {
                let prefix = number(&format!("+{}", country.example_prefix()));
                prefix.map(with_prefix).unwrap_or_default()
            }
            NumberPattern::List(list, _) => match lists.any_item(*list) {
                Some(Item::Number(number)) => vec![Party::Number(number)],
                Some(Item::Prefix(prefix)) => with_prefix(prefix),
                Some(Item::Text(text)) => vec![Party::Literal(text)],
                None => Vec::new(),
            },
            NumberPattern::Withheld => vec![Party::Withheld],
            NumberPattern::Literal(text) => vec![Party::Literal(text.clone())],
        },
    }
}

/// Returns numbers of a common length with this prefix.
fn completed(prefix: PhoneNumber) -> impl Iterator<Item = PhoneNumber> {
    const DIGITS: usize = 11;
    const ENDING: [u8; 10] = [2, 1, 3, 5, 5, 5, 0, 1, 0, 0];
    (0..10_u8).map(move |variant| {
        let mut number = prefix;
        for position in 0..DIGITS.saturating_sub(prefix.digits()) {
            let digit = (ENDING[position % ENDING.len()] + variant) % 10;
            number = number.with_digit(digit).unwrap_or(number);
        }
        number
    })
}

fn warn_contradictory(comparison: &RuleComparison<'_>, number: usize, report: &mut Report) {
    let name = &comparison.enabled.rules[number].name;
    let message = format!("rule `{name}` is never reached: no call can be all that it asks for");
    let location = comparison.enabled.locations.get(number);
    report.warning("never-reached", Some(location), message);
}

fn warn_covered(
    comparison: &RuleComparison<'_>,
    number: usize,
    earlier: &[usize],
    example: Option<ExampleCall>,
    report: &mut Report,
) {
    let rules = &comparison.enabled.rules;
    let rule = &rules[number];
    let shown: Vec<_> =
        earlier.iter().take(3).map(|earlier| format!("`{}`", rules[*earlier].name)).collect();
    let (noun, more) = match earlier.len() {
        1 => ("rule", String::new()),
        count if count > shown.len() => ("rules", format!(" and {} more", count - shown.len())),
        _ => ("rules", String::new()),
    };
    let verb = if earlier.len() == 1 { "takes" } else { "take" };
    let message = format!(
        "rule `{}` is never reached: {noun} {}{more} above it {verb} its calls",
        rule.name,
        shown.join(", "),
    );
    let advice = match &rule.action {
        Action::Continue => "what it adds is never added",
        Action::Agent(_) | Action::Split(_) | Action::Reject(_) | Action::Keep => {
            "move it up, or take it out"
        }
    };
    let help = match example {
        Some(example) => format!("{}; {advice}", describe_example(&example, rules, rule)),
        None => advice.to_owned(),
    };
    let location = comparison.enabled.locations.get(number);
    report.warning("never-reached", Some(location), message).help(help);
}

fn describe_example(example: &ExampleCall, rules: &[Rule], rule: &Rule) -> String {
    let (to, from) = (example.to.unmasked(), example.from.unmasked());
    let taken_by = &rules[example.taken_by].name;
    let at_the_latest = if example.is_certain { "" } else { " at the latest" };
    let accepts_calls =
        |conditions: &Conditions| conditions.channel.matches(|channel| *channel == Channel::Call);
    let is_call = rule.conditions.as_deref().is_none_or(accepts_calls);
    let noun = if is_call { "call" } else { "text message" };
    format!("a {noun} from {from} to {to} goes to `{taken_by}`{at_the_latest}")
}
