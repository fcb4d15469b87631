//! Tables to hold matching against: rules of every kind over few digits, so that they collide, the
//! files of their lists, and calls that are made of their own patterns.

use std::fmt::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::phone_number::Party;
use switchboard::rules;
use switchboard::rules::{CheckContext, LoadedTable, RuleSet, SourceInfo};

/// A table, as texts.
#[derive(Clone)]
pub(super) struct Sheet {
    /// `a` stands in the table and has no columns; `b` and `c` are CSV files.
    pub(super) lists: [Vec<Row>; 3],
    pub(super) rules: Vec<Line>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) number: String,
    pub(super) tier: &'static str,
    pub(super) agent: &'static str,
}

/// One rule. Its name is `r` and its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) to: Vec<String>,
    pub(super) from: Vec<String>,
    pub(super) channel: Vec<&'static str>,
    pub(super) platform: Vec<&'static str>,
    pub(super) source: Vec<&'static str>,
    pub(super) hours: Vec<&'static str>,
    pub(super) dates: Vec<&'static str>,
    pub(super) tier: Vec<&'static str>,
    pub(super) header: Vec<&'static str>,
    pub(super) does: Action,
    pub(super) variables: Vec<&'static str>,
    pub(super) off: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Action {
    Agent(&'static str),
    /// The agent in the row that matched; where there is none, the desk.
    AgentOfRow,
    /// Hundredths of a percent of the first arm.
    Split(u16),
    Reject(&'static str),
    #[default]
    Keep,
    Continue,
}

pub(super) const LISTS: [&str; 3] = ["a", "b", "c"];
/// With the platform of each.
pub(super) const SOURCES: [(&str, &str); 3] =
    [("north", "retell"), ("south", "synthflow"), ("west", "retell")];

const HOUSE: &str = r#"zone = "America/New_York"

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
"#;

impl Sheet {
    /// Reads the table; the lists are written into `folder`.
    pub(super) fn load(&self, folder: &Path) -> LoadedTable {
        self.load_as(self.to_toml(), folder)
    }

    /// Reads the table out of another text that says the same.
    pub(super) fn load_as(&self, text: String, folder: &Path) -> LoadedTable {
        for (name, rows) in LISTS.iter().zip(&self.lists).skip(1) {
            std::fs::write(folder.join(format!("{name}.csv")), csv(rows)).expect("a file");
        }
        let path = folder.join("rules.toml").display().to_string();
        rules::parse(&path, text, &around())
    }

    pub(super) fn table(&self, folder: &Path) -> Result<RuleSet, TestCaseError> {
        let LoadedTable { table, report, .. } = self.load(folder);
        table.ok_or_else(|| TestCaseError::fail(report.to_string()))
    }

    pub(super) fn to_toml(&self) -> String {
        let numbers: Vec<_> = self.lists[0].iter().map(|row| row.number.as_str()).collect();
        let mut text = format!("{HOUSE}\n[lists.a]\nnumbers = {numbers:?}\n");
        text += "[lists.b]\nfile = \"b.csv\"\ncolumn = \"number\"\n[lists.c]\nfile = \"c.csv\"\n";
        for (at, line) in self.rules.iter().enumerate() {
            write!(text, "\n[[rule]]\nname = \"r{at}\"\n{}", line.to_toml()).expect("a text");
        }
        text
    }

    pub(super) fn list(&self, name: &str) -> &[Row] {
        let at = LISTS.iter().position(|list| *list == name).expect("one of the lists");
        &self.lists[at]
    }

    /// All patterns of the rules and the lists, without their `!`.
    pub(super) fn patterns(&self) -> Vec<&str> {
        let of_rules = self.rules.iter().flat_map(|line| line.to.iter().chain(&line.from));
        let of_lists = self.lists.iter().flatten().map(|row| &row.number);
        let mut patterns: Vec<_> =
            of_rules.chain(of_lists).map(|pattern| pattern.trim_start_matches('!')).collect();
        patterns.extend(["withheld", "US"]);
        patterns
    }
}

/// What the settings would say.
pub(super) fn around() -> CheckContext {
    let asking = |(source, platform): (&str, &'static str)| SourceInfo {
        source: source.to_owned(),
        platform: Platform::new(platform),
        reply_within: std::time::Duration::from_secs(8),
    };
    CheckContext { sources: SOURCES.map(asking).into(), ..CheckContext::default() }
}

/// The columns in another order than they are asked for.
fn csv(rows: &[Row]) -> String {
    let rows = rows.iter().map(|row| format!("{},{},{}\n", row.number, row.tier, row.agent));
    format!("number,tier,agent\n{}", rows.collect::<String>())
}

impl Line {
    /// The list that `where` and `${…}` look into: one with columns, on one side only.
    pub(super) fn row_of(&self) -> Option<(&'static str, Side)> {
        ["b", "c"].into_iter().find_map(|list| {
            let on = |numbers: &[String]| numbers.iter().any(|one| *one == format!("@{list}"));
            match (on(&self.to), on(&self.from)) {
                (true, false) => Some((list, Side::To)),
                (false, true) => Some((list, Side::From)),
                _ => None,
            }
        })
    }

    fn to_toml(&self) -> String {
        let row = self.row_of();
        let mut text = String::new();
        let mut line = |key: &str, value: String| writeln!(text, "{key} = {value}").expect("text");
        for (key, words) in [("to", &self.to), ("from", &self.from)] {
            if !words.is_empty() {
                line(key, format!("{words:?}"));
            }
        }
        for (key, words) in [
            ("channel", &self.channel),
            ("platform", &self.platform),
            ("source", &self.source),
            ("hours", &self.hours),
            ("dates", &self.dates),
        ] {
            if !words.is_empty() {
                line(key, format!("{words:?}"));
            }
        }
        let mut wheres = Vec::new();
        if let Some((list, _)) = row.filter(|_| !self.tier.is_empty()) {
            wheres.push(format!("\"{list}.tier\" = {:?}", self.tier));
        }
        if !self.header.is_empty() {
            wheres.push(format!("\"sip.X-Tier\" = {:?}", self.header));
        }
        if !wheres.is_empty() {
            line("where", format!("{{ {} }}", wheres.join(", ")));
        }
        match (&self.does, row) {
            (Action::Agent(agent), _) => line("agent", format!("{agent:?}")),
            (Action::AgentOfRow, Some((list, _))) => {
                line("agent", format!("\"${{{list}.agent|desk}}\""));
            }
            (Action::AgentOfRow, None) | (Action::Keep, _) => line("keep", "true".to_owned()),
            (Action::Split(first), _) => line("split", two_arms(*first)),
            (Action::Reject(""), _) => line("reject", "true".to_owned()),
            (Action::Reject(reason), _) => line("reject", format!("{reason:?}")),
            (Action::Continue, _) => line("continue", "true".to_owned()),
        }
        let mut variables: Vec<_> =
            self.variables.iter().map(|name| format!("{name} = \"${{rule}}\"")).collect();
        variables.extend(row.map(|(list, _)| format!("tier = \"${{{list}.tier|none}}\"")));
        if !variables.is_empty() {
            line("variables", format!("{{ {} }}", variables.join(", ")));
        }
        if self.off {
            line("enabled", "false".to_owned());
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

/// As the operator would have written it.
impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (b, c) = (csv(&self.lists[1]), csv(&self.lists[2]));
        write!(f, "\n{}\n--- b.csv\n{b}--- c.csv\n{c}---\n", self.to_toml())
    }
}

/// One of the two parties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Side {
    To,
    From,
}

// Patterns.

/// How numbers begin: shared codes, islands inside them, and codes of no country.
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

/// So many digits of a number.
fn any_digits(lengths: impl Strategy<Value = usize>) -> impl Strategy<Value = String> {
    (select(&ROOTS[..]), select(&TAILS[..]), lengths)
        .prop_map(|(root, tail, length)| format!("{root}{tail}")[..length].to_owned())
}

/// The digits of a whole number.
fn whole_digits() -> impl Strategy<Value = String> {
    any_digits(prop_oneof![3 => Just(11_usize), 1 => 7..=15_usize]).prop_map(as_long_as_it_has_to)
}

/// Numbers of +1 have 11 digits.
fn as_long_as_it_has_to(mut digits: String) -> String {
    if digits.starts_with('1') {
        digits.truncate(11);
        digits.extend(std::iter::repeat_n('1', 11 - digits.len()));
    }
    digits
}

fn exact() -> impl Strategy<Value = String> {
    (whole_digits(), prop::bool::weighted(0.2)).prop_map(|(digits, spaced)| match spaced {
        true => format!("+{} ({}) {}-{}", &digits[..1], &digits[1..4], &digits[4..6], &digits[6..]),
        false => format!("+{digits}"),
    })
}

fn prefix() -> impl Strategy<Value = String> {
    let lengths = prop_oneof![4 => 1..=6_usize, 2 => 7..=12_usize, 1 => 13..=15_usize];
    any_digits(lengths).prop_map(|digits| format!("+{digits}*"))
}

/// With an X, or several.
fn some_digits() -> impl Strategy<Value = String> {
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

fn text() -> impl Strategy<Value = String> {
    select(&TEXTS[..]).prop_map_into()
}

/// What a rule can be for, and a list cannot.
fn wide() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(&COUNTRIES[..]).prop_map(|(code, _)| code.to_owned()),
        3 => select(&LISTS[..]).prop_map(|list| format!("@{list}")),
        1 => Just("withheld".to_owned()),
    ]
}

fn any_pattern() -> BoxedStrategy<String> {
    prop_oneof![4 => exact(), 4 => prefix(), 3 => some_digits(), 5 => wide(), 1 => text()].boxed()
}

/// Few that hold each other.
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

fn maybe_not(pattern: BoxedStrategy<String>) -> BoxedStrategy<String> {
    (pattern, prop::bool::weighted(0.3))
        .prop_map(|(pattern, not)| if not { format!("!{pattern}") } else { pattern })
        .boxed()
}

fn any_numbers(pattern: &BoxedStrategy<String>) -> BoxedStrategy<Vec<String>> {
    prop_oneof![
        4 => Just(Vec::new()),
        5 => pattern.clone().prop_map(|pattern| vec![pattern]),
        3 => prop::collection::vec(maybe_not(pattern.clone()), 1..6),
        1 => prop::collection::vec(pattern.clone().prop_map(|one| format!("!{one}")), 1..3),
    ]
    .boxed()
}

// Rules.

/// Mostly nothing.
fn some_of(weight: u32, words: &'static [&'static str]) -> BoxedStrategy<Vec<&'static str>> {
    let some = prop::collection::vec(select(words), 1..3);
    prop_oneof![weight => Just(Vec::new()), 1 => some].boxed()
}

fn any_line(numbers: &BoxedStrategy<Vec<String>>, plain: u32) -> BoxedStrategy<Line> {
    const TIERS: [&str; 7] = ["gold", "!gold", "silver", ">= 6", "< 6", "!> 1", "6"];
    let asking = (
        some_of(plain, &["call", "sms", "!sms"]),
        some_of(plain, &["retell", "synthflow", "!retell"]),
        some_of(plain, &["north", "south", "!west", "!north"]),
    );
    let time = (
        some_of(plain, &["office", "!office", "berlin-night", "!berlin-night"]),
        some_of(plain, &["holidays", "!holidays"]),
    );
    let wheres = (some_of(2, &TIERS), some_of(2 * plain, &TIERS));
    let does = prop_oneof![
        4 => select(vec!["desk", "night", "texting"]).prop_map(Action::Agent),
        2 => Just(Action::AgentOfRow),
        1 => (0..=10_000_u16).prop_map(Action::Split),
        1 => select(vec!["", "blocklist"]).prop_map(Action::Reject),
        1 => Just(Action::Keep),
        3 => Just(Action::Continue),
    ];
    let variables = prop::sample::subsequence(vec!["u", "v", "w"], 0..=2);
    let off = prop::bool::weighted(0.05);
    (numbers.clone(), numbers.clone(), asking, time, wheres, does, variables, off)
        .prop_map(|(to, from, asking, time, wheres, does, variables, off)| Line {
            to,
            from,
            channel: asking.0,
            platform: asking.1,
            source: asking.2,
            hours: time.0,
            dates: time.1,
            tier: wheres.0,
            header: wheres.1,
            does,
            variables,
            off,
        })
        .boxed()
}

fn any_row(number: BoxedStrategy<String>) -> impl Strategy<Value = Row> {
    let tier = select(vec!["", "gold", "silver", "6", "7.5", "1"]);
    let agent = select(vec!["", "desk", "night", "texting"]);
    (number, tier, agent).prop_map(|(number, tier, agent)| Row { number, tier, agent })
}

/// Some of it are one number and what it begins with, so that a party stands there more than once.
fn any_list() -> impl Strategy<Value = Vec<Row>> {
    let number = prop_oneof![3 => exact(), 3 => prefix(), 1 => text()].boxed();
    let others = prop::collection::vec(any_row(number), 0..4);
    let beginnings =
        prop::collection::vec((any::<Index>(), any_row(Just(String::new()).boxed())), 0..4);
    (whole_digits(), beginnings, others).prop_map(|(digits, beginnings, mut rows)| {
        rows.extend(beginnings.into_iter().map(|(length, row)| {
            let number = match length.index(digits.len()) {
                0 => format!("+{digits}"),
                length => format!("+{}*", &digits[..length]),
            };
            Row { number, ..row }
        }));
        rows
    })
}

/// Anything.
pub(super) fn any_sheet() -> BoxedStrategy<Sheet> {
    let line = any_line(&any_numbers(&any_pattern()), 6);
    let rules = prop_oneof![
        3 => prop::collection::vec(line.clone(), 1..=12),
        1 => prop::collection::vec(line.clone(), 21..=60),
    ];
    // One with more pairs of patterns than are worth a place in an index each.
    let many = || prop::collection::vec(any_pattern(), 58..75);
    let crowded = (line, many(), many()).prop_map(|(line, to, from)| Line { to, from, ..line });
    let crowded = prop::option::weighted(0.04, (any::<Index>(), crowded));
    ([any_list(), any_list(), any_list()], rules, crowded)
        .prop_map(|(lists, mut rules, crowded)| {
            if let Some((at, line)) = crowded {
                let at = at.index(rules.len());
                rules[at] = line;
            }
            Sheet { lists, rules }
        })
        .boxed()
}

/// Few rules, of which many hold others.
pub(super) fn any_nested_sheet() -> BoxedStrategy<Sheet> {
    let number = nested_pattern().prop_filter_map("not on a list", |pattern| {
        let listed = pattern.starts_with('=') || pattern.starts_with('+') && !pattern.contains('X');
        listed.then_some(pattern)
    });
    let list = || prop::collection::vec(any_row(number.clone().boxed()), 0..3);
    let rules = prop::collection::vec(any_line(&any_numbers(&nested_pattern()), 25), 2..9);
    ([list(), list(), list()], rules).prop_map(|(lists, rules)| Sheet { lists, rules }).boxed()
}

// Calls.

/// A party as a platform would write it, made of one of a table's patterns.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pattern: Index,
    choice: Index,
    tail: &'static str,
    twist: Option<(u8, Index, u8)>,
}

pub(super) fn any_recipe() -> BoxedStrategy<Recipe> {
    let twist = prop::option::weighted(0.3, (0..3_u8, any::<Index>(), 0..10_u8));
    (any::<Index>(), any::<Index>(), select(&TAILS[..]), twist)
        .prop_map(|(pattern, choice, tail, twist)| Recipe { pattern, choice, tail, twist })
        .boxed()
}

impl Recipe {
    /// Made of one of these patterns; of any in the table, when there are none.
    pub(super) fn party(&self, patterns: &[String], sheet: &Sheet) -> String {
        let of_these: Vec<_> =
            patterns.iter().map(|pattern| pattern.trim_start_matches('!')).collect();
        let patterns = if of_these.is_empty() { sheet.patterns() } else { of_these };
        let made = self.made(patterns[self.pattern.index(patterns.len())], sheet);
        match &self.twist {
            Some(twist) if made.starts_with('+') => twisted(&made, twist),
            _ => made,
        }
    }

    /// Somebody whom this pattern fits.
    fn made(&self, pattern: &str, sheet: &Sheet) -> String {
        let longer = |prefix: &str| {
            let length = prefix.len() + self.choice.index(16 - prefix.len().min(15));
            format!("+{prefix}{}", self.tail)[..=length.max(prefix.len())].to_owned()
        };
        if let Some(list) = pattern.strip_prefix('@') {
            return match sheet.list(list) {
                [] => "anonymous".to_owned(),
                rows => self.made(&rows[self.choice.index(rows.len())].number, sheet),
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

/// A near miss: another digit, one less, or one more.
fn twisted(number: &str, (how, at, digit): &(u8, Index, u8)) -> String {
    let mut digits: Vec<char> = number.chars().skip(1).collect();
    let at = at.index(digits.len());
    let digit = char::from(b'0' + digit);
    match how {
        0 if at > 0 || digit != '0' => digits[at] = digit,
        1 if digits.len() > 1 => drop(digits.pop()),
        2 if digits.len() < 15 => digits.push(digit),
        _ => {}
    }
    format!("+{}", digits.into_iter().collect::<String>())
}

/// A call, mostly one that the numbers of some rule are for.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    rule: Option<Index>,
    from: Recipe,
    to: Recipe,
    pub(super) setting: Setting,
}

pub(super) fn any_ring() -> BoxedStrategy<Ring> {
    let rule = prop::option::weighted(0.7, any::<Index>());
    (rule, any_recipe(), any_recipe(), any_setting())
        .prop_map(|(rule, from, to, setting)| Ring { rule, from, to, setting })
        .boxed()
}

impl Ring {
    /// Who rings, and what was dialled.
    pub(super) fn parties(&self, sheet: &Sheet) -> (String, String) {
        let rule = self.rule.map(|rule| &sheet.rules[rule.index(sheet.rules.len())]);
        let (from, to) = rule.map_or((&[][..], &[][..]), |line| (&line.from, &line.to));
        (self.from.party(from, sheet), self.to.party(to, sheet))
    }
}

/// A call without its two parties.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) channel: Channel,
    /// One of [`SOURCES`].
    pub(super) source: usize,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) at: Timestamp,
}

/// Synthflow asks about no text messages, so there are none from it.
pub(super) fn any_setting() -> BoxedStrategy<Setting> {
    let header = (
        select(vec!["x-tier", "x-tier", "diversion"]),
        select(vec!["gold", "silver", "6", "5.9", " 7 ", "", "nan"]),
    );
    let channel = prop_oneof![3 => Just(Channel::Call), 1 => Just(Channel::Sms)];
    (channel, 0..SOURCES.len(), prop::collection::vec(header, 0..3), any_moment())
        .prop_map(|(channel, source, headers, at)| {
            let channel = if SOURCES[source].1 == "synthflow" { Channel::Call } else { channel };
            Setting { channel, source, headers, at }
        })
        .boxed()
}

/// In 2026 or 2027, and often where something begins or ends, or is shown twice by a clock.
fn any_moment() -> impl Strategy<Value = Timestamp> {
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

/// A call as the service would have read it.
pub(super) fn call(from: &str, to: &str, setting: &Setting) -> Call<'static> {
    let party = |text| Party::parse(Some(text)).party;
    let headers = setting.headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let fields = Fields {
        from: party(from),
        to: party(to),
        sip: headers.collect(),
        ..Fields::unknown(setting.channel)
    };
    let (source, platform) = SOURCES[setting.source];
    Call::synthetic(source, Platform::new(platform), fields)
}
