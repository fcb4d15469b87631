//! Generated rule tables and calls. The rules use few digits, so that their patterns overlap; the calls
//! are generated from the patterns of the rules.

use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::party::Party;
use switchboard::rules;
use switchboard::rules::{CheckContext, LoadedTable, RuleSet, SourceInfo};

/// A rule table, as text.
#[derive(Clone)]
pub(super) struct TableModel {
    /// List `a` is part of the table and has no columns; `b` and `c` are CSV files.
    pub(super) lists: [Vec<Row>; 3],
    pub(super) rules: Vec<RuleModel>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) number: String,
    pub(super) tier: &'static str,
    pub(super) agent: &'static str,
    pub(super) hours: &'static str,
    pub(super) split: &'static str,
}

/// One rule. Its name is `r` and its index.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleModel {
    pub(super) to: Vec<String>,
    pub(super) from: Vec<String>,
    pub(super) channel: Vec<&'static str>,
    pub(super) platform: Vec<&'static str>,
    pub(super) source: Vec<&'static str>,
    pub(super) number_id: Vec<&'static str>,
    /// `ROW` stands for the hours in the matching row.
    pub(super) hours: Vec<&'static str>,
    pub(super) dates: Vec<&'static str>,
    pub(super) tier: Vec<&'static str>,
    pub(super) header: Vec<&'static str>,
    pub(super) plan: Vec<&'static str>,
    pub(super) action: Action,
    pub(super) variables: Vec<&'static str>,
    pub(super) disabled: bool,
    /// Conditions of the file's scope.
    pub(super) scope: Option<Arc<RuleModel>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Action {
    Agent(&'static str),
    /// The agent in the matching row; `desk` if the row has none.
    AgentOfRow,
    /// Hundredths of a percent of the first arm.
    Split(u16),
    /// The split in the matching row; the rule does not match if the row has none.
    SplitOfRow,
    Transfer(&'static str),
    Reject(&'static str),
    #[default]
    Keep,
    Continue,
}

pub(super) const LISTS: [&str; 3] = ["a", "b", "c"];
/// Sources, each with its platform.
pub(super) const SOURCES: [(&str, &str); 4] =
    [("north", "retell"), ("south", "synthflow"), ("west", "retell"), ("zulu", "vapi")];

const DEFINITIONS: &str = r#"zone = "America/New_York"

[agents]
desk = "agent_desk"
night = { retell = "agent_night", synthflow = "17", version = 3 }
texting = { retell = "agent_sms" }

[dates.holidays]
days = ["12-25", "2026-07-03..2026-07-05"]

[hours.office]
mon-fri = "09:30-17:15"
closed = "holidays"

[hours.berlin-night]
zone = "Europe/Berlin"
mon-sun = "22:30-07:00"

[splits.trial]
arms = [{ agent = "desk", percent = 40 }, { agent = "night", percent = 60 }]
"#;

impl TableModel {
    /// Writes the lists into `folder` and loads the table.
    pub(super) fn load(&self, folder: &Path) -> LoadedTable {
        match self.rules.iter().any(|rule| rule.scope.is_some()) {
            true => self.load_files(folder),
            false => self.load_text(self.to_toml(), folder),
        }
    }

    /// Loads the table from one file for each scope.
    fn load_files(&self, folder: &Path) -> LoadedTable {
        let rules = folder.join("rules");
        if rules.exists() {
            std::fs::remove_dir_all(&rules).expect("a folder");
        }
        std::fs::create_dir(&rules).expect("a folder");
        self.write_lists(&rules);
        std::fs::write(rules.join("000.toml"), self.definitions()).expect("a file");
        let numbered: Vec<_> = self.rules.iter().enumerate().collect();
        let same_file = |(_, one): &(usize, &RuleModel), (_, other): &(usize, &RuleModel)| match (
            &one.scope,
            &other.scope,
        ) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        for (at, group) in numbered.chunk_by(same_file).enumerate() {
            let scope = group[0].1.scope.as_ref();
            let scope = scope.map(|scope| format!("[scope]\n{}", scope.conditions_to_toml()));
            let mut text = scope.unwrap_or_default();
            for (at, rule) in group {
                write!(text, "\n[[rule]]\nname = \"r{at}\"\n{}", rule.to_toml()).expect("a text");
            }
            std::fs::write(rules.join(format!("{:03}.toml", at + 1)), text).expect("a file");
        }
        rules::load(&rules, &check_context(), &mut |_| {}).expect("readable files")
    }

    fn write_lists(&self, folder: &Path) {
        for (name, rows) in LISTS.iter().zip(&self.lists).skip(1) {
            std::fs::write(folder.join(format!("{name}.csv")), csv(rows)).expect("a file");
        }
    }

    /// Loads an equivalent text of the table.
    pub(super) fn load_text(&self, text: String, folder: &Path) -> LoadedTable {
        self.write_lists(folder);
        let path = folder.join("rules.toml").display().to_string();
        rules::parse(&path, text, &check_context())
    }

    pub(super) fn table(&self, folder: &Path) -> Result<RuleSet, TestCaseError> {
        let LoadedTable { table, report, .. } = self.load(folder);
        table.ok_or_else(|| TestCaseError::fail(report.to_string()))
    }

    fn definitions(&self) -> String {
        let numbers: Vec<_> = self.lists[0].iter().map(|row| row.number.as_str()).collect();
        let mut text = format!("{DEFINITIONS}\n[lists.a]\nnumbers = {numbers:?}\n");
        text += "[lists.b]\nfile = \"b.csv\"\ncolumn = \"number\"\n[lists.c]\nfile = \"c.csv\"\n";
        text
    }

    pub(super) fn to_toml(&self) -> String {
        let mut text = self.definitions();
        for (at, rule) in self.rules.iter().enumerate() {
            write!(text, "\n[[rule]]\nname = \"r{at}\"\n{}", rule.to_toml()).expect("a text");
        }
        text
    }

    pub(super) fn list(&self, name: &str) -> &[Row] {
        let at = LISTS.iter().position(|list| *list == name).expect("a known list");
        &self.lists[at]
    }

    /// Returns all patterns of the rules and the lists, without `!`.
    pub(super) fn patterns(&self) -> Vec<&str> {
        let in_rules = self.rules.iter().flat_map(|rule| rule.to.iter().chain(&rule.from));
        let in_lists = self.lists.iter().flatten().map(|row| &row.number);
        let mut patterns: Vec<_> =
            in_rules.chain(in_lists).map(|pattern| pattern.trim_start_matches('!')).collect();
        patterns.extend(["withheld", "US"]);
        patterns
    }
}

/// Returns the context that the settings would provide.
pub(super) fn check_context() -> CheckContext {
    let source_info = |(source, platform): (&str, &'static str)| SourceInfo {
        source: source.to_owned(),
        platform: Platform::new(platform),
        reply_within: std::time::Duration::from_secs(8),
        fallback_agent: Some("desk".to_owned()),
    };
    CheckContext { sources: SOURCES.map(source_info).into(), ..CheckContext::default() }
}

/// Writes rows as CSV. The columns are not in the order in which the rules use them.
fn csv(rows: &[Row]) -> String {
    let rows = rows.iter().map(|row| {
        let Row { number, tier, agent, hours, split } = row;
        format!("{number},{tier},{hours},{agent},{split}\n")
    });
    format!("number,tier,hours,agent,split\n{}", rows.collect::<String>())
}

impl RuleModel {
    /// Returns the list in which `where` and `${…}` look up a party: the list with columns that is used on
    /// one side only.
    pub(super) fn lookup_list(&self) -> Option<(&'static str, Side)> {
        ["b", "c"].into_iter().find_map(|list| {
            let on = |numbers: &[String]| numbers.iter().any(|one| *one == format!("@{list}"));
            match (on(&self.to), on(&self.from)) {
                (true, false) => Some((list, Side::To)),
                (false, true) => Some((list, Side::From)),
                _ => None,
            }
        })
    }

    /// Returns the lines of the conditions that a scope may have, too.
    fn conditions_to_toml(&self) -> String {
        let mut text = String::new();
        let mut push_line =
            |key: &str, value: String| writeln!(text, "{key} = {value}").expect("text");
        for (key, words) in [("to", &self.to), ("from", &self.from)] {
            if !words.is_empty() {
                push_line(key, format!("{words:?}"));
            }
        }
        for (key, words) in [
            ("channel", &self.channel),
            ("platform", &self.platform),
            ("source", &self.source),
            ("number_id", &self.number_id),
        ] {
            if !words.is_empty() {
                push_line(key, format!("{words:?}"));
            }
        }
        text
    }

    fn to_toml(&self) -> String {
        let row = self.lookup_list();
        let mut text = self.conditions_to_toml();
        let mut push_line =
            |key: &str, value: String| writeln!(text, "{key} = {value}").expect("text");
        let hours: Vec<_> = self
            .hours
            .iter()
            .filter_map(|word| match (word, row) {
                (word, Some((list, _))) => Some(word.replace("ROW", &format!("${{{list}.hours}}"))),
                (word, None) => (!word.contains("ROW")).then(|| (*word).to_owned()),
            })
            .collect();
        if !hours.is_empty() {
            push_line("hours", format!("{hours:?}"));
        }
        if !self.dates.is_empty() {
            push_line("dates", format!("{:?}", self.dates));
        }
        let mut wheres = Vec::new();
        if let Some((list, _)) = row.filter(|_| !self.tier.is_empty()) {
            wheres.push(format!("\"{list}.tier\" = {:?}", self.tier));
        }
        if !self.header.is_empty() {
            wheres.push(format!("\"sip.X-Tier\" = {:?}", self.header));
        }
        if !self.plan.is_empty() {
            wheres.push(format!("\"attr.plan\" = {:?}", self.plan));
        }
        if !wheres.is_empty() {
            push_line("where", format!("{{ {} }}", wheres.join(", ")));
        }
        match (&self.action, row) {
            (Action::Agent(agent), _) => push_line("agent", format!("{agent:?}")),
            (Action::AgentOfRow, Some((list, _))) => {
                push_line("agent", format!("\"${{{list}.agent|desk}}\""));
            }
            (Action::SplitOfRow, Some((list, _))) => {
                push_line("split", format!("\"${{{list}.split}}\""));
            }
            (Action::AgentOfRow | Action::SplitOfRow, None) | (Action::Keep, _) => {
                push_line("keep", "true".to_owned())
            }
            (Action::Split(first), _) => push_line("split", two_arms(*first)),
            (Action::Transfer(target), _) => push_line("transfer", format!("{target:?}")),
            (Action::Reject(""), _) => push_line("reject", "true".to_owned()),
            (Action::Reject(reason), _) => push_line("reject", format!("{reason:?}")),
            (Action::Continue, _) => push_line("continue", "true".to_owned()),
        }
        let mut variables: Vec<_> =
            self.variables.iter().map(|name| format!("{name} = \"${{rule}}\"")).collect();
        variables.extend(row.map(|(list, _)| format!("tier = \"${{{list}.tier|none}}\"")));
        if !variables.is_empty() {
            push_line("variables", format!("{{ {} }}", variables.join(", ")));
        }
        // Not every platform can do all of it.
        push_line("unsupported", "\"keep\"".to_owned());
        if self.disabled {
            push_line("enabled", "false".to_owned());
        }
        text
    }
}

fn two_arms(first: u16) -> String {
    let percent = |hundredths: u16| f64::from(hundredths) / 100.0;
    let (first, second) = (percent(first), percent(10_000 - first));
    format!(
        "[{{ agent = \"desk\", percent = {first} }}, {{ agent = \"night\", percent = {second} }}]"
    )
}

/// Generates a table of several files, some of which have a scope.
pub(super) fn any_scoped_table() -> BoxedStrategy<TableModel> {
    let numbers = || {
        let pattern = nested_pattern();
        let no_columns = |numbers: &Vec<String>| {
            numbers.iter().all(|one| !one.contains("@b") && !one.contains("@c"))
        };
        any_numbers(&pattern).prop_filter("a scope with columns", no_columns)
    };
    let origin = (
        rarely_some(3, &["call", "sms", "!sms"]),
        rarely_some(3, &["retell", "synthflow", "!retell"]),
        rarely_some(3, &["north", "south", "!west", "!north"]),
        rarely_some(3, &NUMBER_IDS),
    );
    let scope = (numbers(), numbers(), origin).prop_map(|(to, from, origin)| {
        let (channel, platform, source, number_id) = origin;
        let is_empty =
            [&channel, &platform, &source, &number_id].iter().all(|words| words.is_empty());
        let to = if is_empty && to.is_empty() && from.is_empty() { vec!["US".into()] } else { to };
        RuleModel { to, from, channel, platform, source, number_id, ..RuleModel::default() }
    });
    let scopes = prop::collection::vec(prop::option::weighted(0.8, scope), 1..4);
    (any_nested_table(), scopes)
        .prop_map(|(mut model, scopes)| {
            let scopes: Vec<_> = scopes.into_iter().map(|scope| scope.map(Arc::new)).collect();
            let length = model.rules.len().div_ceil(scopes.len()).max(1);
            for (rule, at) in model.rules.iter_mut().zip(0..) {
                rule.scope.clone_from(&scopes[at / length]);
            }
            model
        })
        .boxed()
}

/// Prints the files of the table.
impl fmt::Debug for TableModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (b, c) = (csv(&self.lists[1]), csv(&self.lists[2]));
        let scopes: Vec<_> = self.rules.iter().map(|rule| &rule.scope).collect();
        writeln!(f, "scopes: {scopes:?}")?;
        write!(f, "\n{}\n--- b.csv\n{b}--- c.csv\n{c}---\n", self.to_toml())
    }
}

/// One of the two parties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Side {
    To,
    From,
}

// ---- patterns

/// First digits of numbers: shared calling codes, territories within them, and codes of no country.
const ROOTS: [&str; 14] = [
    "1213", "1213", "1604", "1684", "4930", "44", "447781", "7", "76", "590", "59059027", "39",
    "3906698", "800",
];
const COUNTRIES: [(&str, &str); 12] = [
    ("US", "1213"),
    ("CA", "1604"),
    ("AS", "1684"),
    ("DE", "49"),
    ("GB", "44"),
    ("GG", "447781"),
    ("RU", "7"),
    ("KZ", "76"),
    ("GP", "590"),
    ("BL", "59059027"),
    ("IT", "39"),
    ("VA", "3906698"),
];
const TAILS: [&str; 4] =
    ["111111111111111", "121212121212121", "777123412341234", "000000000000000"];
const TEXTS: [&str; 4] = ["=1001", "=1002", "=client:jane", "=sip:Bob@example.com"];

/// Generates the first digits of a number.
fn any_digits(lengths: impl Strategy<Value = usize>) -> impl Strategy<Value = String> {
    (select(&ROOTS[..]), select(&TAILS[..]), lengths)
        .prop_map(|(root, tail, length)| format!("{root}{tail}")[..length].to_owned())
}

/// Generates the digits of a complete number.
fn whole_digits() -> impl Strategy<Value = String> {
    any_digits(prop_oneof![3 => Just(11_usize), 1 => 7..=15_usize]).prop_map(with_valid_length)
}

/// Gives numbers of +1 their 11 digits.
fn with_valid_length(mut digits: String) -> String {
    if digits.starts_with('1') {
        digits.truncate(11);
        digits.extend(std::iter::repeat_n('1', 11 - digits.len()));
    }
    digits
}

fn exact_number() -> impl Strategy<Value = String> {
    (whole_digits(), prop::bool::weighted(0.2)).prop_map(|(digits, spaced)| match spaced {
        true => format!("+{} ({}) {}-{}", &digits[..1], &digits[1..4], &digits[4..6], &digits[6..]),
        false => format!("+{digits}"),
    })
}

fn prefix() -> impl Strategy<Value = String> {
    let lengths = prop_oneof![4 => 1..=6_usize, 2 => 7..=12_usize, 1 => 13..=15_usize];
    any_digits(lengths).prop_map(|digits| format!("+{digits}*"))
}

/// Generates a pattern with at least one `X`.
fn masked_number() -> impl Strategy<Value = String> {
    let masks = prop_oneof![
        3 => (1..=15_u32).prop_map(|open| u16::MAX << (15 - open)),
        1 => any::<u16>(),
    ];
    (whole_digits(), masks, any::<Index>(), prop::bool::weighted(0.1)).prop_map(
        |(digits, mask, one, leading)| {
            let one = one.index(digits.len());
            let masked = digits.chars().enumerate().map(|(at, digit)| {
                let open = at == one || (at > 0 || leading) && mask >> at & 1 == 1;
                if open { 'X' } else { digit }
            });
            format!("+{}", masked.collect::<String>())
        },
    )
}

fn literal() -> impl Strategy<Value = String> {
    select(&TEXTS[..]).prop_map_into()
}

/// Generates a pattern that is valid in a rule but not in a list.
fn any_country_or_list() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(&COUNTRIES[..]).prop_map(|(code, _)| code.to_owned()),
        3 => select(&LISTS[..]).prop_map(|list| format!("@{list}")),
        1 => Just("withheld".to_owned()),
    ]
}

fn any_pattern() -> BoxedStrategy<String> {
    prop_oneof![4 => exact_number(), 4 => prefix(), 3 => masked_number(), 5 => any_country_or_list(), 1 => literal()].boxed()
}

/// Generates one of a few patterns that contain one another.
fn nested_pattern() -> BoxedStrategy<String> {
    const SOME: [&str; 22] = [
        "+1*",
        "+12*",
        "+1213*",
        "+12135*",
        "+1213555*",
        "+12135550100",
        "+12135550111",
        "+1213555XXXX",
        "+1213555010X",
        "+1213XXXXXXX",
        "+1XXXXXXXXXX",
        "US",
        "CA",
        "+1604*",
        "+16045550100",
        "+44*",
        "+4477*",
        "GB",
        "GG",
        "+447781*",
        "=1001",
        "withheld",
    ];
    prop_oneof![
        6 => select(&SOME[..]).prop_map_into(),
        2 => select(&LISTS[..]).prop_map(|list| format!("@{list}")),
    ]
    .boxed()
}

fn maybe_negated(pattern: BoxedStrategy<String>) -> BoxedStrategy<String> {
    (pattern, prop::bool::weighted(0.3))
        .prop_map(|(pattern, not)| if not { format!("!{pattern}") } else { pattern })
        .boxed()
}

fn any_numbers(pattern: &BoxedStrategy<String>) -> BoxedStrategy<Vec<String>> {
    prop_oneof![
        4 => Just(Vec::new()),
        5 => pattern.clone().prop_map(|pattern| vec![pattern]),
        3 => prop::collection::vec(maybe_negated(pattern.clone()), 1..6),
        1 => prop::collection::vec(pattern.clone().prop_map(|one| format!("!{one}")), 1..3),
    ]
    .boxed()
}

// ---- rules

/// Ids of called numbers in conditions.
const NUMBER_IDS: [&str; 5] = ["pn_1", "pn_2", "pn_3", "!pn_1", "!pn_2"];

/// Generates an empty list, or rarely some of `words`.
fn rarely_some(weight: u32, words: &'static [&'static str]) -> BoxedStrategy<Vec<&'static str>> {
    let some = prop::collection::vec(select(words), 1..3);
    prop_oneof![weight => Just(Vec::new()), 1 => some].boxed()
}

fn any_rule(numbers: &BoxedStrategy<Vec<String>>, plain: u32) -> BoxedStrategy<RuleModel> {
    const TIERS: [&str; 7] = ["gold", "!gold", "silver", ">= 6", "< 6", "!> 1", "6"];
    let origin = (
        rarely_some(plain, &["call", "sms", "!sms"]),
        rarely_some(plain, &["retell", "synthflow", "vapi", "!retell"]),
        rarely_some(plain, &["north", "south", "zulu", "!west", "!north"]),
        rarely_some(plain, &NUMBER_IDS),
    );
    let time = (
        rarely_some(plain, &["office", "!office", "berlin-night", "!berlin-night", "ROW", "!ROW"]),
        rarely_some(plain, &["holidays", "!holidays"]),
    );
    let wheres =
        (rarely_some(2, &TIERS), rarely_some(2 * plain, &TIERS), rarely_some(2 * plain, &TIERS));
    let action = prop_oneof![
        4 => select(vec!["desk", "night", "texting"]).prop_map(Action::Agent),
        2 => Just(Action::AgentOfRow),
        1 => (0..=10_000_u16).prop_map(Action::Split),
        1 => Just(Action::SplitOfRow),
        1 => select(vec!["+12135550199", "sip:desk@pbx.example.com"]).prop_map(Action::Transfer),
        1 => select(vec!["", "blocklist"]).prop_map(Action::Reject),
        1 => Just(Action::Keep),
        3 => Just(Action::Continue),
    ];
    let variables = prop::sample::subsequence(vec!["u", "v", "w"], 0..=2);
    let disabled = prop::bool::weighted(0.05);
    (numbers.clone(), numbers.clone(), origin, time, wheres, action, variables, disabled)
        .prop_map(|(to, from, origin, time, wheres, action, variables, disabled)| RuleModel {
            to,
            from,
            channel: origin.0,
            platform: origin.1,
            source: origin.2,
            number_id: origin.3,
            hours: time.0,
            dates: time.1,
            tier: wheres.0,
            header: wheres.1,
            plan: wheres.2,
            action,
            variables,
            disabled,
            scope: None,
        })
        .boxed()
}

fn any_row(number: BoxedStrategy<String>) -> impl Strategy<Value = Row> {
    let tier = select(vec!["", "gold", "silver", "6", "7.5", "1"]);
    let agent = select(vec!["", "desk", "night", "texting"]);
    let hours = select(vec!["", "office", "berlin-night"]);
    let split = select(vec!["", "trial"]);
    (number, tier, agent, hours, split).prop_map(|(number, tier, agent, hours, split)| Row {
        number,
        tier,
        agent,
        hours,
        split,
    })
}

/// Generates a list. Some rows are prefixes of one number, so that several rows match a party.
fn any_list() -> impl Strategy<Value = Vec<Row>> {
    let number = prop_oneof![3 => exact_number(), 3 => prefix(), 1 => literal()].boxed();
    let other_rows = prop::collection::vec(any_row(number), 0..4);
    let prefixes =
        prop::collection::vec((any::<Index>(), any_row(Just(String::new()).boxed())), 0..4);
    (whole_digits(), prefixes, other_rows).prop_map(|(digits, prefixes, mut rows)| {
        rows.extend(prefixes.into_iter().map(|(length, row)| {
            let number = match length.index(digits.len()) {
                0 => format!("+{digits}"),
                length => format!("+{}*", &digits[..length]),
            };
            Row { number, ..row }
        }));
        rows
    })
}

/// Generates a table with rules of all kinds.
pub(super) fn any_table() -> BoxedStrategy<TableModel> {
    let rule = any_rule(&any_numbers(&any_pattern()), 6);
    let rules = prop_oneof![
        3 => prop::collection::vec(rule.clone(), 1..=12),
        1 => prop::collection::vec(rule.clone(), 21..=60),
    ];
    // A rule with more pairs of patterns than the index stores.
    let many = || prop::collection::vec(any_pattern(), 58..75);
    let rule_with_many_patterns =
        (rule, many(), many()).prop_map(|(rule, to, from)| RuleModel { to, from, ..rule });
    let rule_with_many_patterns =
        prop::option::weighted(0.04, (any::<Index>(), rule_with_many_patterns));
    ([any_list(), any_list(), any_list()], rules, rule_with_many_patterns)
        .prop_map(|(lists, mut rules, rule_with_many_patterns)| {
            if let Some((at, rule)) = rule_with_many_patterns {
                let at = at.index(rules.len());
                rules[at] = rule;
            }
            TableModel { lists, rules }
        })
        .boxed()
}

/// Generates a table of few rules, many of which match all calls of others.
pub(super) fn any_nested_table() -> BoxedStrategy<TableModel> {
    let number =
        nested_pattern().prop_filter_map("the pattern is not valid in a list", |pattern| {
            let is_valid_in_list =
                pattern.starts_with('=') || pattern.starts_with('+') && !pattern.contains('X');
            is_valid_in_list.then_some(pattern)
        });
    let list = || prop::collection::vec(any_row(number.clone().boxed()), 0..3);
    let rules = prop::collection::vec(any_rule(&any_numbers(&nested_pattern()), 25), 2..9);
    ([list(), list(), list()], rules).prop_map(|(lists, rules)| TableModel { lists, rules }).boxed()
}

// ---- calls

/// Generates a party, as a platform would write it, from one of a table's patterns.
#[derive(Debug, Clone)]
pub(super) struct PartyGenerator {
    pattern: Index,
    choice: Index,
    tail: &'static str,
    mutation: Option<(u8, Index, u8)>,
}

pub(super) fn any_party_generator() -> BoxedStrategy<PartyGenerator> {
    let mutation = prop::option::weighted(0.3, (0..3_u8, any::<Index>(), 0..10_u8));
    (any::<Index>(), any::<Index>(), select(&TAILS[..]), mutation)
        .prop_map(|(pattern, choice, tail, mutation)| PartyGenerator {
            pattern,
            choice,
            tail,
            mutation,
        })
        .boxed()
}

impl PartyGenerator {
    /// Returns a party for one of these patterns, or for any pattern of the table if there are none.
    pub(super) fn party(&self, patterns: &[String], model: &TableModel) -> String {
        let given: Vec<_> =
            patterns.iter().map(|pattern| pattern.trim_start_matches('!')).collect();
        let patterns = if given.is_empty() { model.patterns() } else { given };
        let party = self.matching_party(patterns[self.pattern.index(patterns.len())], model);
        match &self.mutation {
            Some(mutation) if party.starts_with('+') => mutated(&party, mutation),
            _ => party,
        }
    }

    /// Returns a party that matches a pattern.
    fn matching_party(&self, pattern: &str, model: &TableModel) -> String {
        let longer = |prefix: &str| {
            let length = prefix.len() + self.choice.index(16 - prefix.len().min(15));
            format!("+{prefix}{}", self.tail)[..=length.max(prefix.len())].to_owned()
        };
        if let Some(list) = pattern.strip_prefix('@') {
            return match model.list(list) {
                [] => "anonymous".to_owned(),
                rows => self.matching_party(&rows[self.choice.index(rows.len())].number, model),
            };
        }
        if let Some(text) = pattern.strip_prefix('=') {
            return if self.choice.index(2) == 0 { text.to_owned() } else { text.to_uppercase() };
        }
        if let Some(digits) = pattern.strip_prefix('+') {
            if let Some(prefix) = digits.strip_suffix('*') {
                return longer(prefix);
            }
            let mut tail = self.tail.chars();
            let digits = digits.chars().filter(char::is_ascii_alphanumeric);
            let filled = digits.map(|c| if c == 'X' { tail.next().unwrap_or('1') } else { c });
            return format!("+{}", filled.collect::<String>());
        }
        match COUNTRIES.iter().find(|(code, _)| *code == pattern) {
            Some((_, root)) => longer(root),
            None => ["anonymous", "withheld", ""][self.choice.index(3)].to_owned(),
        }
    }
}

/// Changes, removes or appends one digit.
fn mutated(number: &str, (kind, at, digit): &(u8, Index, u8)) -> String {
    let mut digits: Vec<char> = number.chars().skip(1).collect();
    let at = at.index(digits.len());
    let digit = char::from(b'0' + digit);
    match kind {
        0 if at > 0 || digit != '0' => digits[at] = digit,
        1 if digits.len() > 1 => drop(digits.pop()),
        2 if digits.len() < 15 => digits.push(digit),
        _ => {}
    }
    format!("+{}", digits.into_iter().collect::<String>())
}

/// A call. Most calls match the numbers of a rule.
#[derive(Debug, Clone)]
pub(super) struct CallModel {
    rule: Option<Index>,
    from: PartyGenerator,
    to: PartyGenerator,
    pub(super) context: CallContext,
}

pub(super) fn any_call() -> BoxedStrategy<CallModel> {
    let rule = prop::option::weighted(0.7, any::<Index>());
    (rule, any_party_generator(), any_party_generator(), any_context())
        .prop_map(|(rule, from, to, context)| CallModel { rule, from, to, context })
        .boxed()
}

impl CallModel {
    /// Returns the caller and the dialled number.
    pub(super) fn parties(&self, model: &TableModel) -> (String, String) {
        let rule = self.rule.map(|rule| &model.rules[rule.index(model.rules.len())]);
        let (from, to) = rule.map_or((&[][..], &[][..]), |rule| (&rule.from, &rule.to));
        (self.from.party(from, model), self.to.party(to, model))
    }
}

/// All of a call except its two parties.
#[derive(Debug, Clone)]
pub(super) struct CallContext {
    pub(super) channel: Channel,
    /// One of [`SOURCES`].
    pub(super) source: usize,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) number_id: Option<&'static str>,
    /// The attribute `plan`.
    pub(super) plan: Option<&'static str>,
    pub(super) at: Timestamp,
}

/// Generates text messages from Retell only; the other platforms have none.
pub(super) fn any_context() -> BoxedStrategy<CallContext> {
    let header = (
        select(vec!["x-tier", "x-tier", "diversion"]),
        select(vec!["gold", "silver", "6", "5.9", " 7 ", "", "nan"]),
    );
    let channel = prop_oneof![3 => Just(Channel::Call), 1 => Just(Channel::Sms)];
    let number_id = prop::option::weighted(0.7, select(vec!["pn_1", "pn_2", "pn_3", "pn_4"]));
    let plan = prop::option::of(select(vec!["gold", "silver", "6", "5.9", ""]));
    let facts = (number_id, plan);
    (channel, 0..SOURCES.len(), prop::collection::vec(header, 0..3), facts, any_time())
        .prop_map(|(channel, source, headers, (number_id, plan), at)| {
            let channel = if SOURCES[source].1 == "retell" { channel } else { Channel::Call };
            CallContext { channel, source, headers, number_id, plan, at }
        })
        .boxed()
}

/// Generates a time in 2026 or 2027, often one at which hours begin or end, or an ambiguous local time.
fn any_time() -> impl Strategy<Value = Timestamp> {
    let edges = vec![
        "2026-11-01T05:30:00Z",
        "2026-11-01T06:30:00Z",
        "2026-07-06T03:59:00Z",
        "2026-12-25T05:00:00Z",
        "2026-03-02T14:30:00Z",
        "2026-10-25T00:30:00Z",
    ];
    let edges = select(edges).prop_map(|at| at.parse::<Timestamp>().expect("a time").as_second());
    let start = 1_767_225_600_i64; // 2026-01-01
    let at = prop_oneof![2 => start..start + 63_000_000, 1 => edges];
    (at, -1..=1_i64).prop_map(|(at, minute)| {
        Timestamp::from_second(at + minute * 60).expect("a time in 2026 or 2027")
    })
}

/// Builds the call that the service would parse.
pub(super) fn call(from: &str, to: &str, context: &CallContext) -> Call<'static> {
    let party = |text| Party::parse(Some(text)).party;
    let headers = context.headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let fields = Fields {
        from: party(from),
        to: party(to),
        sip: headers.collect(),
        number_id: context.number_id.map(Into::into),
        attributes: context.plan.map(|plan| ("plan".into(), plan.into())).into_iter().collect(),
        ..Fields::unknown(context.channel)
    };
    let (source, platform) = SOURCES[context.source];
    Call::synthetic(source, Platform::new(platform), fields)
}
