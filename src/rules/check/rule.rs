//! One rule: its name, its conditions, and what it does.

use std::ops::Range;

use super::Checker;
use crate::call::{Channel, Platform};
use crate::dialect;
use crate::report::{Place, did_you_mean};
use crate::rules::condition::{Comparison, Fact, Wanted, Where};
use crate::rules::file::{At, WrittenArm, WrittenOutcome, WrittenRule, WrittenWanted};
use crate::rules::lists::{Cell, ListId, Side};
use crate::rules::template::{Columns, NoCell};
use crate::rules::{
    Also, Arm, Asking, Does, Either, Ids, Named, NumberPattern, Numbers, Rule, Split, Taker,
    Template,
};

/// All of a split, in hundredths of a percent.
const WHOLE: u16 = 10_000;

impl Checker<'_> {
    pub(super) fn rule(&mut self, written: &WrittenRule) {
        let before = self.report.errors();
        let number = self.rules.len();
        let name = self.rule_name(written, number);
        let to = self.numbers(&written.to);
        let from = self.numbers(&written.from);
        let mut also = Also {
            channel: self.either(&written.channel, Self::channel),
            platform: self.either(&written.platform, Self::platform),
            source: self.either(&written.source, Self::source),
            hours: self.either(&written.hours, |checker, name| {
                let at = checker.hours_named(name)?;
                Some(Named { at, name: name.value.as_str().into() })
            }),
            dates: self.either(&written.dates, |checker, name| {
                let at = checker.dates_named(name)?;
                Some(Named { at, name: name.value.as_str().into() })
            }),
            wheres: Vec::new(),
        };
        if let Some(first) = written.dates.first() {
            self.zone_for(&format!("rule `{name}` looks at dates and has"), &first.span);
        }
        let on = On { to: &to, from: &from };
        also.wheres = self.wheres(written, on);
        let adds = self.additions(written, name, on);
        let does = self.does(written, name, number, on);
        let also = Some(also).filter(|also| *also != Also::default()).map(Box::new);
        // What says nothing of what it does has been reported, and is never used.
        let rule_does = does.unwrap_or(Does::Keep);
        let rule = Rule { name: name.into(), to, from, also, does: rule_does, adds };
        let span = written.name.as_ref().map_or(&written.span, |name| &name.span);
        self.places.push(&self.file, span);
        self.rules.push(rule);
        let flawed = written.flawed || self.report.errors() > before;
        self.flawed.push(flawed);
        if written.disabled {
            self.off.push(number);
        } else {
            self.second_thoughts(written, number);
        }
    }

    /// What may be meant, and probably is not.
    fn second_thoughts(&mut self, written: &WrittenRule, number: usize) {
        let name = self.rules[number].name.clone();
        match self.rules[number].does {
            _ if written.outcomes.len() != 1 => {}
            Does::Agent(Taker::Agent(agent)) => {
                if let WrittenOutcome::Agent(at) = &written.outcomes[0].value {
                    let place = self.place(&at.span);
                    self.missing_ids(number, agent as usize, &place);
                }
            }
            Does::Split(_) => self.missing_ids_of_arms(written, number),
            Does::Reject(_) => self.never_sent(written, &name),
            Does::Continue => self.adds_nothing(written, &name),
            Does::Keep | Does::Agent(Taker::Said(_)) => {}
        }
        if let (Some(key), false) = (&written.split_key, self.splits(number)) {
            let message = format!("rule `{name}` has a `split_key` and no `split`");
            self.warning("never-used", &key.span, message);
        }
        self.cut_delay(number, written);
    }

    fn splits(&self, number: usize) -> bool {
        matches!(self.rules[number].does, Does::Split(_))
    }

    fn rule_name<'w>(&mut self, rule: &'w WrittenRule, number: usize) -> &'w str {
        let Some(name) = rule.name.as_ref().filter(|name| !name.value.trim().is_empty()) else {
            if !rule.name_unreadable {
                let span = rule.name.as_ref().map_or(&rule.span, |name| &name.span);
                self.error("no-name", span, "every rule needs a `name`".to_owned())
                    .help("it is what logs and records will say");
            }
            return "";
        };
        let found = self.rules_by_name.find(&name.value, |at| &self.rules[at].name);
        match found {
            Some(first) => {
                let place = self.places.of(first);
                let line = place.line_and_column().0;
                let where_ = match place.file.path == self.file.path {
                    true => format!("on line {line}"),
                    false => format!("on line {line} of {}", place.file.path),
                };
                let message = format!("a rule is called `{}` already, {where_}", name.value);
                self.error("duplicate-name", &name.span, message);
            }
            None => {
                let own = &*name.value;
                self.rules_by_name
                    .add(own, number, |at| self.rules.get(at).map_or(own, |rule| &rule.name));
            }
        }
        &name.value
    }

    fn numbers(&mut self, written: &[At<String>]) -> Numbers {
        let either = self.either(written, |checker, text| {
            if let Some(list) = text.value.strip_prefix('@') {
                let name = At { value: list.to_owned(), span: text.span.clone() };
                return checker.list_named(&name).map(|id| NumberPattern::List(id, list.into()));
            }
            let read = NumberPattern::parse(text.value.trim());
            let read = read.map_err(|bad| {
                checker.error(bad.code, &text.span, bad.message).maybe_help(bad.help);
            });
            read.ok()
        });
        either.into()
    }

    fn list_named(&mut self, name: &At<String>) -> Option<ListId> {
        let found = self.lists.named(&name.value);
        match found {
            Some(id) => self.open_lists[id.at()].used = true,
            None => {
                let known: Vec<_> = self.lists.all().iter().map(|list| list.name.clone()).collect();
                self.unknown("unknown-list", "lists", name, &known);
            }
        }
        found
    }

    /// Takes the `!` off, and reads the rest.
    fn either<T>(
        &mut self,
        written: &[At<String>],
        read: impl Fn(&mut Self, &At<String>) -> Option<T>,
    ) -> Either<T> {
        let mut either = Either::default();
        for text in written {
            let (list, value) = match text.value.trim().strip_prefix('!') {
                Some(rest) => (&mut either.none_of, rest.trim()),
                None => (&mut either.any_of, text.value.trim()),
            };
            list.extend(read(self, &At { value: value.to_owned(), span: text.span.clone() }));
        }
        either
    }

    pub(super) fn channel(&mut self, text: &At<String>) -> Option<Channel> {
        let found = Channel::ALL.into_iter().find(|channel| channel.as_str() == text.value);
        if found.is_none() {
            let message = format!("there is no channel `{}`", text.value);
            self.error("unknown-channel", &text.span, message).help("there are call, sms");
        }
        found
    }

    pub(super) fn platform(&mut self, text: &At<String>) -> Option<Platform> {
        let found = dialect::named(&text.value).map(|dialect| dialect.platform());
        if found.is_none() {
            self.unknown_platform(text, &[]);
        }
        found
    }

    pub(super) fn source(&mut self, text: &At<String>) -> Option<Box<str>> {
        let known = || self.around.sources.iter().map(|asking| asking.source.as_str());
        if !self.around.sources.is_empty() && !known().any(|name| name == text.value) {
            let help = did_you_mean(&text.value, known());
            let all = format!("the settings name {}", known().collect::<Vec<_>>().join(", "));
            let message = format!("there is no source `{}`", text.value);
            self.error("unknown-source", &text.span, message).help(all).maybe_help(help);
        }
        Some(text.value.as_str().into())
    }

    fn wheres(&mut self, written: &WrittenRule, on: On<'_>) -> Vec<Where> {
        let mut wheres = Vec::new();
        for (name, values) in &written.wheres {
            let fact = self.fact(name, on);
            let mut wanted = Either::default();
            for value in values {
                let (negated, read) = self.wanted(value);
                let list = if negated { &mut wanted.none_of } else { &mut wanted.any_of };
                list.extend(read);
            }
            let name = name.value.as_str().into();
            wheres.extend(fact.map(|fact| Where { name, fact, wanted }));
        }
        wheres
    }

    fn fact(&mut self, name: &At<String>, on: On<'_>) -> Option<Fact> {
        let bad = match name.value.split_once('.') {
            Some(("sip", header)) if !header.is_empty() => {
                return Some(Fact::Sip(header.to_ascii_lowercase().into()));
            }
            Some((list, column)) => match self.in_rule(on).cell(list, column) {
                Some(Ok((cell, _))) => return Some(Fact::Cell(cell)),
                Some(Err(bad)) => bad,
                None => self.no_fact(&name.value, on),
            },
            None => self.no_fact(&name.value, on),
        };
        self.error(bad.code, &name.span, bad.message).maybe_help(bad.help);
        None
    }

    fn no_fact(&mut self, name: &str, on: On<'_>) -> NoCell {
        let names = self.in_rule(on).names();
        let near = did_you_mean(name, names.iter().map(String::as_str));
        let known = names.into_iter().chain(["sip.HEADER".to_owned()]).collect::<Vec<_>>();
        NoCell {
            code: "unknown-value",
            message: format!("nothing is called `{name}` here"),
            help: near.or_else(|| Some(format!("there are {}", known.join(", ")))),
        }
    }

    fn wanted(&mut self, written: &At<WrittenWanted>) -> (bool, Option<Wanted>) {
        let text = match &written.value {
            WrittenWanted::Number(number) => {
                return (false, Some(Wanted::Number(Comparison::Equal, *number)));
            }
            WrittenWanted::Text(text) => text,
        };
        let (negated, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, text.as_str()),
        };
        let read = Wanted::parse(text).map_err(|message| {
            self.error("bad-comparison", &written.span, message)
                .help("write a number behind it: \">= 6\"");
        });
        (negated, read.ok())
    }

    /// What `LIST.column` means in a rule with these numbers.
    pub(super) fn in_rule<'c>(&'c mut self, on: On<'_>) -> InRule<'c> {
        let mut matched: Vec<Matched> = Vec::new();
        for (side, numbers) in [(Side::From, on.from), (Side::To, on.to)] {
            for pattern in numbers.any_of() {
                let NumberPattern::List(list, _) = pattern else { continue };
                let always = numbers.any_of().iter().all(|other| other == pattern);
                let known = matched.iter_mut().find(|known| known.list == *list);
                match known {
                    Some(known) if always && !known.always => {
                        *known = Matched { list: *list, side, always }
                    }
                    Some(_) => {}
                    None => matched.push(Matched { list: *list, side, always }),
                }
            }
        }
        let columns = self.open_lists.iter().map(|list| list.columns.as_slice()).collect();
        InRule { lists: &mut self.lists, columns, matched }
    }

    fn does(
        &mut self,
        written: &WrittenRule,
        name: &str,
        number: usize,
        on: On<'_>,
    ) -> Option<Does> {
        let unreadable = |outcome: &At<_>| matches!(outcome.value, WrittenOutcome::Unreadable);
        if written.outcomes.iter().any(unreadable) {
            return None;
        }
        let [outcome] = written.outcomes.as_slice() else {
            let (span, said) = match written.outcomes.as_slice() {
                [.., last] => (&last.span, "more than one"),
                [] => (&written.span, "none"),
            };
            let message = format!(
                "rule `{name}`: say exactly one of `agent`, `split`, `reject`, `keep`, `continue`; there is {said}"
            );
            self.error("one-outcome", span, message);
            return None;
        };
        match &outcome.value {
            WrittenOutcome::Agent(agent) => {
                self.taker(&agent.value, &agent.span, number, on).map(Does::Agent)
            }
            WrittenOutcome::Split(arms) => {
                let key = written.split_key.as_ref().map_or(name, |key| &key.value);
                let arms = self.arms(arms, &outcome.span, number, on)?;
                Some(Does::Split(Box::new(Split { key: key.into(), arms })))
            }
            WrittenOutcome::Reject(reason) => Some(Does::Reject(reason.as_str().into())),
            WrittenOutcome::Keep => Some(Does::Keep),
            WrittenOutcome::Continue => Some(Does::Continue),
            WrittenOutcome::Unreadable => None,
        }
    }

    fn arms(
        &mut self,
        written: &[WrittenArm],
        split: &Range<usize>,
        number: usize,
        on: On<'_>,
    ) -> Option<Vec<Arm>> {
        let mut arms = Vec::new();
        let mut whole = Some(0_u16);
        for arm in written {
            let Some(agent) = &arm.agent else {
                self.error("bad-split", &arm.span, "an arm of a split needs an `agent`".to_owned());
                continue;
            };
            let taker = self.taker(&agent.value, &agent.span, number, on);
            let hundredths = self.percent(arm);
            whole = whole.zip(hundredths).and_then(|(whole, more)| whole.checked_add(more));
            arms.extend(taker.zip(whole).map(|(agent, end)| Arm { agent, end }));
        }
        match whole {
            Some(WHOLE) => Some(arms),
            Some(whole) => {
                let percent = f64::from(whole) / 100.0;
                let message = format!("the percentages add up to {percent}, not to 100");
                self.error("bad-split", split, message);
                None
            }
            None => None,
        }
    }

    /// In hundredths.
    fn percent(&mut self, arm: &WrittenArm) -> Option<u16> {
        let Some(percent) = &arm.percent else {
            self.error("bad-split", &arm.span, "an arm of a split needs a `percent`".to_owned());
            return None;
        };
        let hundredths = percent.value * 100.0;
        let rounded = hundredths.round();
        let exact = (hundredths - rounded).abs() < 1e-6;
        if exact && (0.0..=f64::from(WHOLE)).contains(&rounded) {
            return Some(rounded as u16);
        }
        let message = format!("{} is no percentage from 0 to 100 with two decimals", percent.value);
        self.error("bad-split", &percent.span, message);
        None
    }

    /// Who takes the call: an agent, or the agent that a value names.
    fn taker(
        &mut self,
        text: &str,
        span: &Range<usize>,
        number: usize,
        on: On<'_>,
    ) -> Option<Taker> {
        if text.contains("${") {
            let template = self.template(text, span, on)?;
            return self
                .said(template, span, number)
                .map(|template| Taker::Said(Box::new(template)));
        }
        self.agent(text, span).map(|at| Taker::Agent(at as u32))
    }

    fn agent(&mut self, name: &str, span: &Range<usize>) -> Option<usize> {
        if name.trim().is_empty() {
            self.error("unknown-agent", span, "an agent's name cannot be empty".to_owned());
            return None;
        }
        if self.any_agent {
            return Some(self.raw_agent(name));
        }
        let found = self.agent_named(name);
        match found {
            Some(at) => self.agents_used.mark(at),
            None => {
                let help = did_you_mean(name, self.agents.iter().map(|agent| &*agent.name));
                let all = "it has to be one of the names in [agents]";
                self.error("unknown-agent", span, format!("there is no agent `{name}`"))
                    .help(all)
                    .maybe_help(help);
            }
        }
        found
    }

    /// An agent whose name is said by one value: whatever it says has to be an agent.
    fn said(&mut self, template: Template, span: &Range<usize>, number: usize) -> Option<Template> {
        let Some(value) = template.only_value() else {
            let message = "an agent is one name or one ${…}, with nothing around it".to_owned();
            self.error("bad-agent", span, message);
            return None;
        };
        if value.left_out {
            let message = "an agent cannot be left out".to_owned();
            self.error("bad-agent", span, message).help("write ${…|agent}, for when it is unknown");
            return None;
        }
        let (cell, default) = (value.cell, value.default.map(str::to_owned));
        if let Some(default) = &default {
            self.agent(default, span)?;
        }
        match cell {
            Some(cell) => {
                let place = self.place(span);
                self.agent_column(cell, default.is_some(), number, place);
            }
            None if self.any_agent => {
                let message = "whoever rings could name any agent here".to_owned();
                self.error("bad-agent", span, message)
                    .help("write an [agents] table: then only its agents can be named");
                return None;
            }
            // Every agent can be named.
            None => (0..self.agents.len()).for_each(|at| self.agents_used.mark(at)),
        }
        Some(template)
    }

    /// Warns where calls can come to this rule from a platform at which its agent has no id.
    pub(super) fn missing_ids(&mut self, rule: usize, agent: usize, place: &Place) {
        let agent = &self.agents[agent];
        let unreadable = agent.ids == Ids::ByPlatform(Vec::new());
        let Some(rule) = self.rules.get(rule) else { return };
        let lacking = self.around.sources.iter().find(|asking| {
            may_ask(rule, asking) && !unreadable && agent.id_at(asking.platform).is_none()
        });
        if let Some(Asking { source, platform, .. }) = lacking {
            let message = format!(
                "agent `{}` has no id at {platform}: calls from source `{source}` would be kept by \
                 the platform's own agent",
                agent.name,
            );
            self.report
                .warning("no-id-at-platform", Some(place.clone()), message)
                .help(format!("give it one, or the rule `platform = \"!{platform}\"`"));
        }
    }

    fn missing_ids_of_arms(&mut self, written: &WrittenRule, number: usize) {
        let WrittenOutcome::Split(written) = &written.outcomes[0].value else { return };
        for arm in written.iter().filter_map(|arm| arm.agent.as_ref()) {
            if let Some(agent) = self.agent_named(&arm.value) {
                let place = self.place(&arm.span);
                self.missing_ids(number, agent, &place);
            }
        }
    }

    fn cut_delay(&mut self, number: usize, written: &WrittenRule) {
        let rule = &self.rules[number];
        let delay = rule.adds.as_ref().and_then(|adds| adds.delay);
        let (Some(delay), Some(at)) = (delay, &written.delay_ms) else { return };
        let asking = self.around.sources.iter().filter(|asking| may_ask(rule, asking));
        let Some(least) = asking.min_by_key(|asking| asking.reply_within) else { return };
        if least.reply_within < delay {
            let message = format!(
                "rule `{}`: source `{}` answers within {} ms, so this delay is cut to that",
                rule.name,
                least.source,
                least.reply_within.as_millis(),
            );
            self.warning("delay-over-budget", &at.span, message)
                .help("give the source a longer reply_within_ms");
        }
    }

    fn never_sent(&mut self, written: &WrittenRule, name: &str) {
        if written.metadata.is_some()
            || written.agent_override.is_some()
            || !written.variables.is_empty()
        {
            let message = format!("rule `{name}` rejects: what it adds is never sent");
            self.warning("never-sent", &written.span, message);
        }
    }

    fn adds_nothing(&mut self, written: &WrittenRule, name: &str) {
        let adds = written.metadata.is_some()
            || written.agent_override.is_some()
            || !written.variables.is_empty()
            || written.delay_ms.is_some();
        if !adds {
            let message = format!("rule `{name}` continues and adds nothing");
            self.warning("adds-nothing", &written.span, message)
                .help("give it `variables`, `metadata` or `agent_override`");
        }
    }
}

/// The numbers that a rule is for.
#[derive(Clone, Copy)]
pub(super) struct On<'n> {
    to: &'n Numbers,
    from: &'n Numbers,
}

/// What `LIST.column` means in one rule: a cell of the row that matched.
pub(super) struct InRule<'c> {
    lists: &'c mut crate::rules::Lists,
    /// The columns of all lists.
    columns: Vec<&'c [String]>,
    /// The lists that the rule matches on.
    matched: Vec<Matched>,
}

struct Matched {
    list: ListId,
    side: Side,
    /// Every call that comes to the rule has a row there.
    always: bool,
}

impl Columns for InRule<'_> {
    fn cell(&mut self, list: &str, column: &str) -> Option<Result<(Cell, bool), NoCell>> {
        let id = self.lists.named(list)?;
        let columns = self.columns[id.at()];
        if !columns.iter().any(|known| known == column) {
            let near = did_you_mean(column, columns.iter().map(String::as_str));
            let all = match columns {
                [] => format!("`{list}` has no columns: they come from a .csv file"),
                columns => format!("it has {}", columns.join(", ")),
            };
            return Some(Err(NoCell {
                code: "unknown-column",
                message: format!("list `{list}` has no column `{column}`"),
                help: near.or(Some(all)),
            }));
        }
        let Some(matched) = self.matched.iter().find(|matched| matched.list == id) else {
            return Some(Err(NoCell {
                code: "list-not-matched",
                message: format!("`{list}.{column}`: this rule does not match on @{list}"),
                help: Some(format!("the row is the one that matched: write from = \"@{list}\"")),
            }));
        };
        let cell = Cell { side: matched.side, list: id, column: self.lists.keep(id, column) };
        Some(Ok((cell, matched.always)))
    }

    fn names(&self) -> Vec<String> {
        let of = |matched: &Matched| {
            let name = self.lists.list(matched.list).name.clone();
            self.columns[matched.list.at()].iter().map(move |column| format!("{name}.{column}"))
        };
        self.matched.iter().flat_map(of).collect()
    }
}

/// Whether calls of this source can come to the rule.
fn may_ask(rule: &Rule, asking: &Asking) -> bool {
    let Some(also) = &rule.also else { return true };
    let channels = dialect::named(asking.platform.as_str()).map(|dialect| dialect.channels());
    let asks_on = |channel: &Channel| also.channel.holds(|one| one == channel);
    channels.unwrap_or_default().iter().any(asks_on)
        && also.platform.holds(|platform| *platform == asking.platform)
        && also.source.holds(|source| **source == *asking.source)
}
