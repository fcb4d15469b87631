//! Rules that can never be reached, because rules above them take all their calls.
//!
//! Sound: what is reported here is so. Every pair of numbers that a rule is for has to be held by
//! one rule above it that asks for nothing else than this one does. Not complete: three rules that
//! only together hold a prefix hide what is below them unseen.

use crate::diagnostics::Report;
use crate::dialect;
use crate::domain::call::Channel;
use crate::domain::phone_number::{Party, PhoneNumber};
use crate::rules::model::index::PartyKeys;
use crate::rules::model::lists::{Item, Lists};
use crate::rules::{
    Action, Conditions, Index, NumberMatcher, NumberPattern, Rule, RuleLocations, Selector,
};

/// The rules of a table, as far as they could be read.
pub(crate) struct RuleIndex<'r> {
    pub(crate) rules: &'r [Rule],
    /// Of each rule, whether something is wrong in it: then nothing is said of it.
    pub(crate) invalid: &'r [bool],
    pub(crate) lists: &'r Lists,
    pub(crate) places: &'r RuleLocations,
    /// Over the rules without flaws that decide.
    pub(crate) deciding: &'r Index,
    /// Over the rules without flaws that add and continue.
    pub(crate) adding: &'r Index,
}

/// More rules on the same numbers than this are looked at one by one for each call.
const CROWD: usize = 1_000;
/// Of the rules on the same numbers, so many are held against a rule.
const MOST_HELD_AGAINST: usize = 64;
/// Of the pairs of numbers that a rule is for, so many are tried for an example.
const MOST_TRIED_FOR_EXAMPLES: usize = 8;

/// Reports the rules that no call can reach, and those that crowd on the same numbers.
pub(crate) fn look_for(rules: &RuleIndex<'_>, report: &mut Report) {
    for number in (0..rules.rules.len()).filter(|number| !rules.invalid[*number]) {
        match hidden(rules, number) {
            Hidden::No => {}
            Hidden::ByItself => by_itself(rules, number, report),
            Hidden::By { above, example } => by_others(rules, number, &above, example, report),
        }
    }
    for index in [rules.deciding, rules.adding] {
        if let Some(crowd) = index.largest_slot().filter(|crowd| crowd.len() > CROWD) {
            let last = crowd[crowd.len() - 1] as usize;
            let message = format!("{} rules are for the same numbers, up to this one", crowd.len());
            report
                .warning("crowded", Some(rules.places.of(last)), message)
                .help("they are tried one after the other; a list with columns is one rule");
        }
    }
}

/// Who keeps calls from a rule.
enum Hidden {
    No,
    /// What it asks for, it also takes away.
    ByItself,
    By {
        above: Vec<usize>,
        example: Option<ExampleCall>,
    },
}

/// A call that a rule is for, and the rule above that takes it.
struct ExampleCall {
    to: Party,
    from: Party,
    taker: usize,
    /// No rule above the taker can take it.
    for_sure: bool,
}

/// What a rule is for on one side, as far as one pattern goes.
#[derive(Clone, Copy)]
enum NumberPart<'r> {
    /// Every number, and who shows none.
    Anyone,
    /// Every number that is not taken away.
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

fn hidden(rules: &RuleIndex<'_>, number: usize) -> Hidden {
    let rule = &rules.rules[number];
    if rule.conditions.as_deref().is_some_and(asks_in_vain) {
        return Hidden::ByItself;
    }
    let (mut above, mut example) = (Vec::new(), None);
    for to in parts(&rule.to) {
        if taken_away(to, &rule.to, rules.lists) {
            continue;
        }
        for from in parts(&rule.from) {
            if taken_away(from, &rule.from, rules.lists) {
                continue;
            }
            let Some(holder) = holder(rules, number, to, from) else { return Hidden::No };
            above.push(holder);
            let found = example.as_ref().is_some_and(|example: &ExampleCall| example.for_sure);
            if !found && above.len() <= MOST_TRIED_FOR_EXAMPLES {
                example = some_call(rules, number, holder, [to, from]).or(example);
            }
        }
    }
    above.sort_unstable();
    above.dedup();
    if above.is_empty() { Hidden::ByItself } else { Hidden::By { above, example } }
}

/// Whether no call can be all that a rule asks for besides numbers.
fn asks_in_vain(also: &Conditions) -> bool {
    fn nothing_left<T: PartialEq>(either: &Selector<T>) -> bool {
        let mut asked = either.any_of.iter();
        !either.any_of.is_empty() && asked.all(|one| either.none_of.contains(one))
    }
    !dialect::ALL.iter().any(|dialect| also.may_come_from(*dialect))
        || also.where_clauses.iter().any(|condition| nothing_left(&condition.expected))
        || nothing_left(&also.source)
        || nothing_left(&also.hours)
        || nothing_left(&also.dates)
}

/// Whether a negation of the same side takes all of it away.
fn taken_away(part: NumberPart<'_>, of: &NumberMatcher, lists: &Lists) -> bool {
    let NumberPart::Pattern(pattern) = part else { return false };
    of.none_of().iter().any(|negative| holds(negative, pattern, lists))
}

/// The first rule above that takes every call of this pair.
fn holder(
    rules: &RuleIndex<'_>,
    number: usize,
    to: NumberPart<'_>,
    from: NumberPart<'_>,
) -> Option<usize> {
    let keys = |part| match part {
        NumberPart::Anyone | NumberPart::Shown => PartyKeys::wildcard(),
        NumberPart::Pattern(pattern) => PartyKeys::for_pattern(pattern, rules.lists),
    };
    let keys = [keys(to), keys(from)];
    let rule = &rules.rules[number];
    let found = rules.deciding.first_below(number as u32, MOST_HELD_AGAINST, &keys, |above| {
        takes(rules, above as usize, rule, to, from)
    });
    found.map(|above| above as usize)
}

fn takes(
    rules: &RuleIndex<'_>,
    above: usize,
    rule: &Rule,
    to: NumberPart<'_>,
    from: NumberPart<'_>,
) -> bool {
    let above = &rules.rules[above];
    also_holds(above.conditions.as_deref(), rule.conditions.as_deref())
        && side_holds(&above.to, to, &rule.to, rules.lists)
        && side_holds(&above.from, from, &rule.from, rules.lists)
}

/// Whether one side of a rule above holds all that a part of this rule's side stands for.
fn side_holds(
    above: &NumberMatcher,
    part: NumberPart<'_>,
    of: &NumberMatcher,
    lists: &Lists,
) -> bool {
    if above.is_anything() {
        return true;
    }
    let positive = above.any_of();
    let wanted = match part {
        NumberPart::Anyone => false,
        NumberPart::Shown => positive.is_empty(),
        // Who withholds the number fits only what says so.
        NumberPart::Pattern(NumberPattern::Withheld) => positive.contains(&NumberPattern::Withheld),
        NumberPart::Pattern(pattern) => {
            positive.is_empty() || positive.iter().any(|wide| holds(wide, pattern, lists))
        }
    };
    let kept = |negative: &NumberPattern| {
        let apart = match part {
            NumberPart::Anyone | NumberPart::Shown => false,
            NumberPart::Pattern(pattern) => are_apart(negative, pattern, lists),
        };
        apart || of.none_of().iter().any(|own| holds(own, negative, lists))
    };
    wanted && above.none_of().iter().all(kept)
}

/// Whether `wide` fits everything that `narrow` fits; false when that cannot be told.
fn holds(wide: &NumberPattern, narrow: &NumberPattern, lists: &Lists) -> bool {
    use NumberPattern::{Country, Digits, Exact, List, Literal, Prefix, Withheld};
    match (wide, narrow) {
        (wide, narrow) if wide == narrow => true,
        (wide, Exact(number)) => fits(wide, &Party::Number(*number), lists),
        (wide, Literal(text)) => fits(wide, &Party::Literal(text.clone()), lists),
        (Prefix(wide), Prefix(narrow)) => narrow.starts_with(*wide),
        (Country(wide), Prefix(narrow)) => narrow.country_as_prefix() == Some(*wide),
        (List(list, _), Prefix(narrow)) => lists.lists_with_prefix(*narrow).contains(list),
        (Prefix(_) | Country(_) | List(..), Digits(_)) => {
            narrow.leading_digits().is_some_and(|prefix| holds(wide, &Prefix(prefix), lists))
        }
        (Digits(wide), Digits(narrow)) => {
            let inside =
                |(wide, narrow): (&Option<u8>, &Option<u8>)| wide.is_none() || wide == narrow;
            wide.len() == narrow.len() && wide.iter().zip(narrow).all(inside)
        }
        (Exact(_) | Digits(_), Prefix(_))
        | (Exact(_) | Literal(_), Digits(_))
        | (Literal(_), Prefix(_))
        | (Withheld, _)
        | (_, Country(_) | List(..) | Withheld) => false,
    }
}

/// Whether no number fits both; false when that cannot be told.
fn are_apart(one: &NumberPattern, other: &NumberPattern, lists: &Lists) -> bool {
    use NumberPattern::{Country, Exact, Literal, Prefix, Withheld};
    match (one, other) {
        (Exact(number), pattern) | (pattern, Exact(number)) => {
            !fits(pattern, &Party::Number(*number), lists)
        }
        (Literal(text), pattern) | (pattern, Literal(text)) => {
            !fits(pattern, &Party::Literal(text.clone()), lists)
        }
        (Withheld, Withheld) => false,
        (Withheld, _) | (_, Withheld) => true,
        (Prefix(one), Prefix(other)) => !one.starts_with(*other) && !other.starts_with(*one),
        (Country(one), Country(other)) => one != other,
        (Prefix(prefix), Country(country)) | (Country(country), Prefix(prefix)) => {
            prefix.country_as_prefix().is_some_and(|of_prefix| of_prefix != *country)
        }
        _ => false,
    }
}

fn fits(pattern: &NumberPattern, party: &Party, lists: &Lists) -> bool {
    pattern.matches(&lists.lookup(party))
}

/// Whether what a rule above asks for besides numbers holds whenever this one's does.
fn also_holds(above: Option<&Conditions>, rule: Option<&Conditions>) -> bool {
    let Some(above) = above else { return true };
    let nothing = Conditions::default();
    let rule = rule.unwrap_or(&nothing);
    let platforms = dialect::ALL.map(|dialect| dialect.platform());
    let sources = [&above.source, &rule.source];
    let named = sources.iter().flat_map(|either| either.any_of.iter().chain(&either.none_of));
    let names: Vec<Box<str>> = named.cloned().chain(["".into()]).collect();
    every(&Channel::ALL, &above.channel, &rule.channel)
        && every(&platforms, &above.platform, &rule.platform)
        && every(&names, &above.source, &rule.source)
        && same_or_none(&above.hours, &rule.hours)
        && same_or_none(&above.dates, &rule.dates)
        && above.where_clauses.iter().all(|condition| rule.where_clauses.contains(condition))
}

/// Whether each of all the values there are fits `above` if it fits `rule`. A name that nobody says
/// stands for all others.
fn every<T: PartialEq>(values: &[T], above: &Selector<T>, rule: &Selector<T>) -> bool {
    let fits = |either: &Selector<T>, value: &T| either.matches(|one| one == value);
    values.iter().all(|value| !fits(rule, value) || fits(above, value))
}

fn same_or_none<T: PartialEq>(above: &Selector<T>, rule: &Selector<T>) -> bool {
    above.is_anything() || above == rule
}

/// A call that this rule is for, as far as a pair goes that `taker` takes; where there is one, a call
/// that no rule above the taker can take.
fn some_call(
    rules: &RuleIndex<'_>,
    number: usize,
    taker: usize,
    [to, from]: [NumberPart<'_>; 2],
) -> Option<ExampleCall> {
    let rule = &rules.rules[number];
    if rule.conditions.as_ref().is_some_and(|also| !also.where_clauses.is_empty()) {
        return None; // what rows and headers would have to say is not looked for
    }
    let fitting = |numbers: &NumberMatcher, part| {
        let mut examples = examples(part, rules.lists);
        examples.retain(|party| numbers.matches(&rules.lists.lookup(party)));
        examples
    };
    let (to, from) = (fitting(&rule.to, to), fitting(&rule.from, from));
    let turns = if to.is_empty() || from.is_empty() { 0 } else { to.len().max(from.len()) };
    // One ahead, so that nobody rings himself where anybody may ring anybody.
    let pair = |turn: usize| (&to[turn % to.len()], &from[(turn + 1) % from.len()]);
    let is_first = |turn: &usize| is_first(rules, taker, rule, pair(*turn));
    let sure = (0..turns).find(is_first);
    let turn = sure.or((turns > 0).then_some(0))?;
    let (to, from) = pair(turn);
    Some(ExampleCall { to: to.clone(), from: from.clone(), taker, for_sure: sure.is_some() })
}

/// Whether no rule above the taker is for the numbers of this call; false when that takes long to
/// tell. Of all channels that `rule` is for it is a call on the first.
fn is_first(
    rules: &RuleIndex<'_>,
    taker: usize,
    rule: &Rule,
    (to, from): (&Party, &Party),
) -> bool {
    let (to, from) = (rules.lists.lookup(to), rules.lists.lookup(from));
    let asks_on = |rule: &Rule, channel: &Channel| {
        rule.conditions.as_ref().is_none_or(|also| also.channel.matches(|one| one == channel))
    };
    let channel = Channel::ALL.into_iter().find(|channel| asks_on(rule, channel));
    let mut looked_at = 0;
    let may_take = |above: u32| {
        let above = &rules.rules[above as usize];
        looked_at += 1;
        let asked = channel.is_none_or(|channel| asks_on(above, &channel));
        looked_at > MOST_HELD_AGAINST || asked && above.to.matches(&to) && above.from.matches(&from)
    };
    let keys = rules.deciding.keys(&to, &from);
    rules.deciding.first_below(taker as u32, usize::MAX, &keys, may_take).is_none()
}

/// Some that a part stands for, negations left aside.
fn examples(part: NumberPart<'_>, lists: &Lists) -> Vec<Party> {
    let begin = |prefix: PhoneNumber| endings(prefix).map(Party::Number).collect();
    let number = |text: &str| PhoneNumber::parse(text).ok();
    match part {
        NumberPart::Anyone | NumberPart::Shown => {
            let numbers = ["+12135550100", "+442079460123", "+4930901820", "+61291234567"];
            numbers.into_iter().filter_map(number).map(Party::Number).collect()
        }
        NumberPart::Pattern(pattern) => match pattern {
            NumberPattern::Exact(number) => vec![Party::Number(*number)],
            NumberPattern::Prefix(prefix) => begin(*prefix),
            NumberPattern::Digits(_) => {
                let text = pattern.to_string();
                let filled = ('0'..='9')
                    .filter_map(|digit| number(&text.replace('X', digit.encode_utf8(&mut [0; 4]))));
                filled.map(Party::Number).collect()
            }
            NumberPattern::Country(country) => {
                number(&format!("+{}", country.example_prefix())).map(begin).unwrap_or_default()
            }
            NumberPattern::List(list, _) => match lists.any_item(*list) {
                Some(Item::Number(number)) => vec![Party::Number(number)],
                Some(Item::Prefix(prefix)) => begin(prefix),
                Some(Item::Text(text)) => vec![Party::Literal(text)],
                None => Vec::new(),
            },
            NumberPattern::Withheld => vec![Party::Withheld],
            NumberPattern::Literal(text) => vec![Party::Literal(text.clone())],
        },
    }
}

/// Numbers of a usual length that begin so.
fn endings(prefix: PhoneNumber) -> impl Iterator<Item = PhoneNumber> {
    const DIGITS: usize = 11;
    const ENDING: [u8; 10] = [2, 1, 3, 5, 5, 5, 0, 1, 0, 0];
    (0..10_u8).map(move |turn| {
        let mut number = prefix;
        for at in 0..DIGITS.saturating_sub(prefix.digits()) {
            let digit = (ENDING[at % ENDING.len()] + turn) % 10;
            number = number.with_digit(digit).unwrap_or(number);
        }
        number
    })
}

fn by_itself(rules: &RuleIndex<'_>, number: usize, report: &mut Report) {
    let name = &rules.rules[number].name;
    let message = format!("rule `{name}` is never reached: no call can be all that it asks for");
    report.warning("never-reached", Some(rules.places.of(number)), message);
}

fn by_others(
    rules: &RuleIndex<'_>,
    number: usize,
    above: &[usize],
    example: Option<ExampleCall>,
    report: &mut Report,
) {
    let name = &rules.rules[number].name;
    let shown: Vec<_> =
        above.iter().take(3).map(|above| format!("`{}`", rules.rules[*above].name)).collect();
    let (word, more) = match above.len() {
        1 => ("rule", String::new()),
        count if count > shown.len() => ("rules", format!(" and {} more", count - shown.len())),
        _ => ("rules", String::new()),
    };
    let takes = if above.len() == 1 { "takes" } else { "take" };
    let message = format!(
        "rule `{name}` is never reached: {word} {}{more} above it {takes} its calls",
        shown.join(", "),
    );
    let does = &rules.rules[number].action;
    let help = example.map(|ExampleCall { to, from, taker, for_sure }| {
        let (to, from, taker) = (to.unmasked(), from.unmasked(), &rules.rules[taker].name);
        let at_the_latest = if for_sure { "" } else { " at the latest" };
        let also = rules.rules[number].conditions.as_deref();
        let on_calls =
            |also: &Conditions| also.channel.matches(|channel| *channel == Channel::Call);
        let what = if also.is_none_or(on_calls) { "call" } else { "text message" };
        format!("a {what} from {from} to {to} goes to `{taker}`{at_the_latest}")
    });
    let moved = match does {
        Action::Continue => "what it adds is never added",
        Action::Agent(_) | Action::Split(_) | Action::Reject(_) | Action::Keep => {
            "move it up, or take it out"
        }
    };
    let help = help.map_or(moved.to_owned(), |help| format!("{help}; {moved}"));
    report.warning("never-reached", Some(rules.places.of(number)), message).help(help);
}
