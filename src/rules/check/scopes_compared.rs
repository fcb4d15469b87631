//! Scopes compared with the rules of their files, with each other, and with files without a scope.

use std::collections::HashMap;

use super::patterns::{any_numbers, are_disjoint, covers, examples};
use super::reporter::Reporter;
use super::rule::describe_rule;
use super::rules::{CheckedRules, ScopedKeys};
use super::scopes::KEYS;
use super::sources::Origins;
use crate::diagnostics::Location;
use crate::domain::party::Party;
use crate::rules::model::Origin;
use crate::rules::model::lists::{ListId, Lists, Side};
use crate::rules::{Action, Conditions, NumberMatcher, NumberPattern, Rule, Scope, Selector};

/// Maximum number of entries of a list that are compared one by one.
const MAX_COMPARED_ENTRIES: usize = 10_000;

/// Scopes of a table whose lists have their rows.
pub(super) struct ScopeComparison<'c, 'r> {
    rules: &'c CheckedRules,
    origins: Origins<'c>,
    reporter: &'c mut Reporter<'r>,
    parties: ListedParties<'c>,
}

impl<'c, 'r> ScopeComparison<'c, 'r> {
    pub(super) fn new(
        rules: &'c CheckedRules,
        lists: &'c Lists,
        origins: Origins<'c>,
        reporter: &'c mut Reporter<'r>,
    ) -> ScopeComparison<'c, 'r> {
        let parties = ListedParties { lists, known: HashMap::new() };
        ScopeComparison { rules, origins, reporter, parties }
    }

    /// Reports rules outside the scope of their file, scopes that overlap, and rules without a scope that
    /// affect all scopes. Returns the rules outside.
    pub(super) fn check(mut self) -> Vec<usize> {
        let keys = self.rules.scoped_keys.iter();
        let outside = keys.filter(|keys| self.is_rule_outside(keys)).map(|keys| keys.rule);
        let outside = outside.collect();
        let scopes: Vec<_> = self.rules.scopes.iter().filter(|scope| !scope.invalid).collect();
        for (index, scope) in scopes.iter().enumerate() {
            let overlap = scopes[..index].iter().find_map(|earlier| {
                Some((earlier, self.common_call(&earlier.scope, &scope.scope)?))
            });
            if let Some((earlier, call)) = overlap {
                let message =
                    format!("the scope of this file overlaps that of {}", earlier.scope.file);
                self.reporter
                    .report
                    .warning("overlapping-scopes", Some(scope.location()), message)
                    .help(format!("{call} is in both, and the rules of the first file come first"));
            }
        }
        self.warn_unscoped();
        outside
    }

    /// Reports a rule whose own conditions exclude the scope of its file.
    fn is_rule_outside(&mut self, keys: &ScopedKeys) -> bool {
        let rule = &self.rules.rules[keys.rule];
        let Some(scope) = rule.scope.as_deref().filter(|_| !self.rules.invalid[keys.rule]) else {
            return false;
        };
        for (key, span) in &keys.keys {
            let is_outside = match *key {
                "to" => self.is_outside(&rule.to, &scope.to),
                "from" => self.is_outside(&rule.from, &scope.from),
                "number_id" => rule.conditions.as_deref().is_some_and(|own| {
                    common_id(&own.number_id, &scope.conditions.number_id) == CommonId::None
                }),
                key => !self.accepts_some_origin(rule, scope, key),
            };
            if is_outside {
                let name = describe_rule(&rule.name);
                let message = format!("{name}: `{key}` is outside the scope of this file");
                let help = format!("the scope is {}; move the rule, or correct it", shown(scope));
                let location = Location { file: keys.file.clone(), span: span.clone() };
                self.reporter.report.error("outside-scope", Some(location), message).help(help);
                return true;
            }
        }
        false
    }

    /// Returns whether no number matches both conditions; false if that is unknown.
    fn is_outside(&mut self, own: &NumberMatcher, scope: &NumberMatcher) -> bool {
        let (narrow, wide) = if own.any_of().is_empty() { (scope, own) } else { (own, scope) };
        !narrow.any_of().is_empty()
            && narrow.any_of().iter().all(|pattern| self.excludes(wide, pattern))
    }

    /// Returns whether a condition excludes every number of a pattern; false if that is unknown.
    fn excludes(&mut self, numbers: &NumberMatcher, pattern: &NumberPattern) -> bool {
        let lists = self.parties.lists;
        let accepted = numbers.any_of();
        let is_disjoint = !accepted.is_empty()
            && accepted.iter().all(|accepted| are_disjoint(accepted, pattern, lists));
        is_disjoint
            || numbers.none_of().iter().any(|excluded| covers(excluded, pattern, lists))
            || self.parties.of_list(pattern).is_some_and(|parties| {
                parties.iter().all(|party| !numbers.matches(&lists.lookup(party)))
            })
    }

    /// Returns whether a call can satisfy the scope and this key of the rule.
    fn accepts_some_origin(&self, rule: &Rule, scope: &Scope, key: &str) -> bool {
        let Some(own) = rule.conditions.as_deref() else { return true };
        let accepts = |origin: &Origin<'_>| {
            scope.conditions.accept(origin)
                && match key {
                    "channel" => own.channel.matches(|channel| *channel == origin.channel),
                    "platform" => own.platform.matches(|platform| *platform == origin.platform),
                    _ => own.source.matches(|source| **source == *origin.source),
                }
        };
        self.origins.for_conditions([own, &scope.conditions].into_iter()).iter().any(accepts)
    }

    /// Returns a phrase for a call that is in both scopes.
    fn common_call(&mut self, first: &Scope, second: &Scope) -> Option<String> {
        let to = self.common_party(&first.to, &second.to)?;
        let from = self.common_party(&first.from, &second.from)?;
        let conditions = [&first.conditions, &second.conditions];
        let mut origins = self.origins.for_conditions(conditions.into_iter());
        origins.retain(|origin| conditions.iter().all(|conditions| conditions.accept(origin)));
        let origin = origins.first()?;
        let id = common_id(&first.conditions.number_id, &second.conditions.number_id);
        if id == CommonId::None {
            return None;
        }
        let limits = |limits: fn(&Scope) -> bool| limits(first) || limits(second);
        let mut phrase = "a call".to_owned();
        if limits(|scope| !scope.from.is_anything()) {
            phrase += &format!(" from {}", from.unmasked());
        }
        if limits(|scope| !scope.to.is_anything()) {
            phrase += &format!(" to {}", to.unmasked());
        }
        if limits(|scope| !scope.conditions.source.is_anything()) && !origin.source.is_empty() {
            phrase += &format!(" at source {}", origin.source);
        }
        if let CommonId::This(id) = id {
            phrase += &format!(" with number_id {id}");
        }
        Some(phrase)
    }

    /// Returns a party that matches both conditions, if an example shows one.
    fn common_party(&mut self, first: &NumberMatcher, second: &NumberMatcher) -> Option<Party> {
        let lists = self.parties.lists;
        let is_common = |party: &Party| {
            let party = lists.lookup(party);
            first.matches(&party) && second.matches(&party)
        };
        if first.any_of().is_empty() && second.any_of().is_empty() {
            return any_numbers().into_iter().find(is_common);
        }
        let mut patterns = first.any_of().iter().chain(second.any_of());
        patterns.find_map(|pattern| match self.parties.of_list(pattern) {
            Some(parties) => parties.iter().find(|party| is_common(party)).cloned(),
            None => examples(pattern, lists).into_iter().find(is_common),
        })
    }

    /// Warns of rules in files without a scope that come before rules of files with one and take calls
    /// from all of them. One warning for each file.
    fn warn_unscoped(&mut self) {
        let CheckedRules { rules, locations, invalid, .. } = self.rules;
        let Some(last_scoped) = rules.iter().rposition(|rule| rule.scope.is_some()) else { return };
        let mut used = [false; KEYS.len()];
        for scope in &self.rules.scopes {
            let own = limited_keys(&scope.scope.to, &scope.scope.from, &scope.scope.conditions);
            used.iter_mut().zip(own).for_each(|(used, own)| *used |= own);
        }
        let key = KEYS.into_iter().zip(used).find_map(|(key, used)| used.then_some(key));
        let key = key.unwrap_or("to");
        let found = (0..last_scoped).filter(|rule| {
            rules[*rule].scope.is_none()
                && !invalid[*rule]
                && !self.rules.is_disabled(*rule)
                && !is_limited(&rules[*rule], used)
        });
        let found: Vec<_> = found.map(|rule| (rule, locations.get(rule))).collect();
        for in_file in found.chunk_by(|(_, one), (_, other)| one.file.path == other.file.path) {
            let (rule, location) = &in_file[0];
            let more = match in_file.len() - 1 {
                0 => String::new(),
                more => format!(" ({more} more in this file, too)"),
            };
            let continues = rules[*rule].action == Action::Continue;
            let verb = if continues { "adds to" } else { "takes" };
            let message = format!(
                "{} {verb} calls of every scope that comes after this file{more}",
                describe_rule(&rules[*rule].name)
            );
            self.reporter.report.warning("unscoped-rule", Some(location.clone()), message).help(
                format!(
                    "if that is intended, say for whom with `{key}`, or give this file a [scope]"
                ),
            );
        }
    }
}

/// An id that two conditions on the id of the called number both accept.
#[derive(PartialEq, Eq)]
enum CommonId<'s> {
    /// They exclude each other.
    None,
    /// This one, among others.
    This(&'s str),
    /// Any id that neither of them names, or none.
    Any,
}

fn common_id<'s>(first: &'s Selector<Box<str>>, second: &'s Selector<Box<str>>) -> CommonId<'s> {
    let accepts =
        |selector: &Selector<Box<str>>, id: &str| selector.matches(|accepted| **accepted == *id);
    if first.any_of.is_empty() && second.any_of.is_empty() {
        return CommonId::Any;
    }
    let mut named = first.any_of.iter().chain(&second.any_of);
    match named.find(|id| accepts(first, id) && accepts(second, id)) {
        Some(id) => CommonId::This(id),
        None => CommonId::None,
    }
}

/// Returns whether a rule has a condition on one of the keys by which scopes separate calls.
fn is_limited(rule: &Rule, used: [bool; KEYS.len()]) -> bool {
    let none = Conditions::default();
    let own = rule.conditions.as_deref().unwrap_or(&none);
    let limited = limited_keys(&rule.to, &rule.from, own);
    limited.into_iter().zip(used).any(|(is_limited, is_used)| is_limited && is_used)
}

/// Returns which of the [`KEYS`] have a condition.
fn limited_keys(
    to: &NumberMatcher,
    from: &NumberMatcher,
    conditions: &Conditions,
) -> [bool; KEYS.len()] {
    let Conditions { channel, platform, source, number_id, .. } = conditions;
    [
        !to.is_anything(),
        !from.is_anything(),
        !channel.is_anything(),
        !platform.is_anything(),
        !source.is_anything(),
        !number_id.is_anything(),
    ]
}

/// Prints a scope as written: `to = +16175550104, source = agency`.
pub(super) fn shown(scope: &Scope) -> String {
    let numbers = |key, numbers: &NumberMatcher| {
        (!numbers.is_anything()).then(|| format!("{key} = {numbers}"))
    };
    let Conditions { channel, platform, source, number_id, .. } = &scope.conditions;
    let parts = [
        numbers("to", scope.numbers(Side::To)),
        numbers("from", scope.numbers(Side::From)),
        (!channel.is_anything()).then(|| format!("channel = {channel}")),
        (!platform.is_anything()).then(|| format!("platform = {platform}")),
        (!source.is_anything()).then(|| format!("source = {source}")),
        (!number_id.is_anything()).then(|| format!("number_id = {number_id}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Entries of lists as parties, each list read once.
struct ListedParties<'c> {
    lists: &'c Lists,
    known: HashMap<ListId, Option<Vec<Party>>>,
}

impl ListedParties<'_> {
    /// Returns the parties of a list; `None` if the pattern is no list, or a list that is too long or has
    /// prefixes.
    fn of_list(&mut self, pattern: &NumberPattern) -> Option<&[Party]> {
        let NumberPattern::List(list, _) = pattern else { return None };
        let lists = self.lists;
        let read = || lists.parties(*list, MAX_COMPARED_ENTRIES);
        self.known.entry(*list).or_insert_with(read).as_deref()
    }
}
