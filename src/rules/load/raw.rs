//! The language of rule tables: one declaration of each key, and the values as the file has them,
//! with their locations, before any name is resolved.
//!
//! `docs/rules.md` and `config/schema/rules.json` are generated from these declarations.

pub(crate) mod parse;
mod recover;
pub(crate) mod suggest;
pub(crate) mod to_json;
mod value_types;

use std::ops::Range;

use serde_json::{Value, json};

use crate::rules::model::condition::Number;
use crate::rules::model::history;
use crate::schema::toml_table;
use parse::{Entry, Header, TableKeys, TomlReader, TomlTable};
use suggest::TopKey;
use value_types::{
    Agents, Arms, BadRows, Boolean, Channel, Channels, DateRanges, Flag, Integer, LiteralTrue,
    Metadata, NamedTables, NonEmpty, NumberList, OpeningTimes, OptionalStrings, OutcomeName,
    Percent, Platform, Platforms, RejectReason, Share, StringTable, Strings, SubTable, Tables,
    Text, Timestamp, Unsupported, ValueType, Variables, WhereTable,
};

/// Largest `min_rows` of a list.
pub(crate) const MAX_LIST_ROWS: i64 = 100_000_000;

/// A value and the bytes of the file that hold it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

toml_table! {
    /// Rules that decide which agent answers a call. Rules are tried in order; the first one that
    /// matches decides. `docs/rules.md` explains every key; `switchboard check` finds more mistakes
    /// than an editor can.
    pub(crate) struct RawDefinitions: "a table" {
        /// Time zone of hours, dates and tests: `"America/New_York"`.
        zone: NonEmpty,
        /// Country in whose form numbers without `+` are written: with `"US"`, `(213) 777-1234` is
        /// `+12137771234`; with `"DE"`, `030 901820` is `+4930901820`. Without it, they are errors.
        country: NonEmpty,
        /// Conditions that every rule and every test of this file has, beside its own. With a `[scope]`,
        /// the rules of one client's file cannot take the calls of another client.
        ///
        /// `[scope]`
        scope: SubTable<RawScope>,
        /// Agents by the name that rules use. Without this table, rules contain the platform's own
        /// agent ids.
        ///
        /// `front-desk = { retell = "agent_fr0nt", synthflow = "1716a" }`
        agents: Agents,
        /// Named lists of phone numbers, for `from = "@vip"`.
        ///
        /// `[lists.vip]`
        lists: NamedTables<RawList>,
        /// Named sets of days, for `dates = "us-holidays"` and for `closed` in hours.
        ///
        /// `[dates.us-holidays]`
        dates: NamedTables<RawDates>,
        /// Named weekly opening hours, for `hours = "office"`.
        ///
        /// `[hours.office]`
        hours: NamedTables<RawHours>,
        /// Questions to other systems about a call, for `${crm.name}` and `where`.
        ///
        /// `[lookup.crm]`
        lookups as "lookup": NamedTables<RawLookup>,
        /// Named splits, for `split = "new-greeting"` and for columns of lists.
        ///
        /// `[splits.new-greeting]`
        splits: NamedTables<RawSplit>,
        /// Rules, each in a `[[rule]]` of its own. Their order matters.
        rules as "rule": Tables<RawRule>,
        /// Tests, each in a `[[test]]` of its own: a call, and the decision that it must lead to. A
        /// rule table whose tests fail is rejected.
        tests as "test": Tables<RawTest>,
    }
    extra {
        /// Paths such as `lists.vip` whose value is unreadable, which has been reported.
        unreadable: Vec<String>,
    }
}

toml_table! {
    /// Conditions that every rule and every test of this file has. At least one key is required.
    pub(crate) struct RawScope: "a scope" {
        /// Called number: patterns as in a rule. `to = "+16175550104"`, or a list.
        to: Strings,
        /// Caller's number: patterns as in a rule.
        from: Strings,
        /// Source that the request came from: the NAME of a `[sources.NAME]` in the settings, or a list.
        source: Strings,
        /// Platform that sent the request.
        platform: Platforms,
        /// Voice call or text message.
        channel: Channels,
        /// The platform's id of the called number, or a list of them, as in a rule.
        number_id: Strings,
    }
    header {
        span: Range<usize>,
        invalid: bool,
    }
}

toml_table! {
    /// Phone numbers, in the rule table itself or in a file.
    pub(crate) struct RawList: "a list" {
        /// Exact numbers, formatted or not, and prefixes:
        /// `["+12137771234", "+1 (415) 555-0100", "+4930901820*"]`.
        numbers: NumberList,
        /// File with the numbers, relative to the TOML file: `"stores.csv"`, with the column names in
        /// its first line, or plain text with one number per line. A rule that matches on `@LIST` can
        /// use the other columns as `${LIST.column}`.
        file: NonEmpty,
        /// Column that holds the numbers: `"phone"`, or a list of such columns:
        /// `["Phone 1 - Value", "Phone 2 - Value"]`. Default: the first column.
        columns as "column": Strings,
        /// Country in whose form the numbers without `+` are written: `"US"`. Default: the `country` of
        /// the rule table.
        country: NonEmpty,
        /// Largest part of its rows that a `file` may lose in a reload: `"50%"`. If it loses more, its
        /// last good rows stay, and the rest of the table goes live.
        max_shrink: Share,
        /// Smallest number of rows of a `file`. With fewer rows in a reload, its last good rows stay, and
        /// the rest of the table goes live; at start, fewer rows are an error.
        min_rows: Integer<1, MAX_LIST_ROWS>,
        /// What a row with an error means: `"strict"` refuses the whole table, `"skip"` leaves the row out
        /// with a warning. Default: `"strict"`.
        bad_rows: BadRows,
        /// Where the list lives, if it is published as CSV: `"https://…/export?format=csv"`. The service
        /// fetches it again and again, and keeps the last good answer on disk.
        url: NonEmpty,
        /// Headers of the request: `{ authorization = "Bearer ${env.SHEETS_TOKEN}" }`.
        headers: StringTable,
        /// Set to `true` if the host may have an address that is not on the internet.
        allow_private: Flag = "false",
        /// Where the URL of a SQLite or PostgreSQL database is, if the list lives in one: `"env:NAME"` or
        /// `"file:/PATH"`.
        database: NonEmpty,
        /// Query whose rows are the list: `"SELECT phone, name FROM customers"`.
        query: NonEmpty,
        /// Seconds between two fetches.
        refresh_s: Integer<10, 86_400> = "300",
        /// Refuses an answer in which a row has an error. By default, such rows are left out with a
        /// warning.
        strict: Flag = "false",
    }
    header {
        name: Spanned<String>,
        invalid: bool,
    }
    constrain one_place;
}

toml_table! {
    /// A set of days, in the rule table itself, in a file, or both.
    pub(crate) struct RawDates: "a table of dates" {
        /// Days of every year (`"12-25"`, `"07-04 observed"`, `"4th thu of nov"`, `"easter-2"`), days of
        /// one year (`"2026-12-24"`), ranges (`"2026-12-28..2026-12-30"`), and weeks (`"even weeks"`).
        days: DateRanges,
        /// File with further days, relative to the TOML file: `"closed.csv"` with a day or a range per
        /// line, or `"closed.ics"` with events that last whole days.
        file: NonEmpty,
        /// Time zone of these days: `"America/Los_Angeles"`. Default: the zone of the hours whose
        /// `closed` names them, or the `zone` of the rule table in a rule.
        zone: NonEmpty,
    }
    header {
        name: Spanned<String>,
        invalid: bool,
    }
    constrain days_or_file;
}

toml_table! {
    /// Weekly opening hours in local time. The other keys are days (`mon`, `monday`) and ranges of
    /// days (`mon-fri`); a day without a key is closed.
    pub(crate) struct RawHours: "a table of hours" {
        /// Time zone of these hours: `"Europe/Berlin"`. Default: the `zone` of the rule table.
        zone: NonEmpty,
        /// Days that are closed whatever the weekday: the name of a `[dates]` table, or a list.
        ///
        /// `closed = "us-holidays"`
        closed: OptionalStrings,
        /// Single days with hours of their own, which override the weekday and `closed`.
        ///
        /// `open = { "2026-12-24" = "09:00-12:00" }`
        open: OpeningTimes,
    }
    header {
        name: Spanned<String>,
    }
    extra {
        /// Keys such as `mon-fri` with their times, not parsed yet.
        week: RawTimes,
    }
    constrain value_types::weekday_keys;
}

/// Days with their opening times.
pub(crate) type RawTimes = Vec<(Spanned<String>, Vec<Spanned<String>>)>;

toml_table! {
    /// A question to another system about a call: over HTTP (`url`) or in a database (`database` and
    /// `query`). It is asked when a rule needs its answer.
    pub(crate) struct RawLookup: "a look-up" {
        /// URL with values of the call: `"https://crm.example.com/by-phone?phone=${from}"`. The host
        /// contains no placeholder.
        url: NonEmpty,
        /// `"GET"`, `"POST"` or `"PUT"`. Default: `"POST"` with a `body`, else `"GET"`.
        method: Text,
        /// Headers of the request: `{ authorization = "Bearer ${env.CRM_TOKEN}" }`.
        headers: StringTable,
        /// JSON body of the request: a table whose strings may contain values of the call.
        body: Metadata,
        /// JSON Pointer to the part of the answer that holds the fields: `"/contacts/0"`. Default: all of
        /// the answer.
        result: Text,
        /// Set to `true` if the host may have an address that is not on the internet.
        allow_private: Flag = "false",
        /// Where the URL of a SQLite or PostgreSQL database is: `"env:NAME"` or `"file:/PATH"`.
        database: NonEmpty,
        /// Query whose first row is the answer, with `:from`, `:to` and `:call_id`:
        /// `"SELECT name FROM customers WHERE phone = :from"`.
        query: NonEmpty,
        /// Longest time for which a call waits, in milliseconds.
        timeout_ms: Integer<1, 8000> = "1000",
        /// Seconds for which an answer is kept.
        cache_s: Integer<0, 86_400> = "60",
        /// Seconds for which an answer that the system does not know the caller is cached.
        negative_cache_s: Integer<0, 86_400> = "10",
        /// Maximum number of questions at the same time. Default: 64 over HTTP, 8 in a database.
        max_concurrent: Integer<1, 1024>,
        /// Maximum size of an answer, in bytes; in a database, of the first row.
        max_bytes: Integer<1, 8_388_608> = "262144",
        /// Consecutive failures after which the system is not asked for a while.
        breaker_failures: Integer<1, 1000> = "5",
        /// Seconds for which it is not asked.
        breaker_pause_s: Integer<1, 3600> = "10",
    }
    header {
        name: Spanned<String>,
        invalid: bool,
    }
}

toml_table! {
    /// A rule: conditions on the call, and its outcome. All conditions must hold; an absent condition
    /// always holds. Set exactly one of `agent`, `split`, `transfer`, `reject`, `keep` and `continue`.
    pub(crate) struct RawRule: "a rule" {
        /// Unique name, shown in logs and by `explain`.
        name: NonEmpty = required,
        /// Called number: patterns as in `from`.
        to: Strings,
        /// Caller's number: a pattern, or a list of patterns of which any may match.
        ///
        /// `"+12137771234"` exact number, `"+1213*"` prefix, `"+1213555XXXX"` any digit for each X,
        /// `"DE"` country, `"@vip"` list, `"withheld"` no number, `"=sip:bob@example.com"` exact text.
        /// A leading `!` excludes: `["US", "CA", "!+1907*"]`.
        from: Strings,
        /// Number from which the call was forwarded, as the platform or the SIP headers `Diversion` and
        /// `History-Info` tell it: patterns as in `from`. A call that was not forwarded does not match.
        forwarded_from: Strings,
        /// Voice call or text message. A leading `!` excludes.
        channel: Channels,
        /// Platform that sent the request: `"retell"`, or `"!retell"` for any other.
        platform: Platforms,
        /// Source that the request came from: the NAME of a `[sources.NAME]` in the settings, or a list.
        /// A leading `!` excludes.
        source: Strings,
        /// The platform's id of the called number, for platforms that send one: an id, or a list of ids.
        /// A leading `!` excludes. A call without such an id does not match.
        ///
        /// `number_id = "b4c1f7d2-5c1e-4a53-9a35-6d3f9f7b2a10"`
        number_id: Strings,
        /// Opening hours that must include the time of the call: the name of an `[hours]` table,
        /// `"${LIST.column}"` with such names, or a list. A leading `!` excludes.
        ///
        /// `hours = "!office"`: outside office hours
        hours: Strings,
        /// Days that must include the day of the call: the name of a `[dates]` table,
        /// `"${LIST.column}"` with such names, or a list. A leading `!` excludes.
        dates: Strings,
        /// Conditions on list columns, SIP headers, further facts that a platform sends (`attr.NAME`),
        /// look-ups and the caller's history: a value, a list of values of which any may match, or a
        /// comparison. An unknown value never matches.
        ///
        /// `where = { "stores.city" = ["Berlin", "Bonn"], "customers.visits" = ">= 6" }`
        where_clauses as "where": WhereTable,
        /// Set to `false` to check the rule but never apply it.
        enabled: Boolean = "true",
        /// Name that the split hashes in place of the rule's name. Set it to the old name when you
        /// rename a rule, so that each caller keeps the same agent.
        split_key: NonEmpty,
        /// Dynamic variables for the agent's prompt: strings, with templates.
        ///
        /// `variables = { callback = "${from}", tier = "${sip.x-tier|standard}" }`
        variables: Variables,
        /// Metadata that the platform returns with the call's later events: any JSON values, at most
        /// 50,000 bytes.
        ///
        /// `metadata = { desk = 1, account = "${sip.x-account?}" }`
        metadata: Metadata,
        /// Settings of the agent for this call, in the platform's form. Platforms without such settings do not
        /// receive them.
        ///
        /// `agent_override = { agent = { voice_speed = 1.2 } }`
        agent_override: Metadata,
        /// Milliseconds for which the phone rings before the reply is sent.
        delay_ms: Integer<0, 8000>,
        /// Text that the caller hears, with templates: with `reject` before the call ends, with `transfer`
        /// before the transfer, and otherwise as the agent's first sentence. Not every platform can speak.
        ///
        /// `say = "All lines are busy. Please call again."`
        say: NonEmpty,
        /// SIP headers for an agent or a transfer target with a SIP address: strings, with templates. Names
        /// begin with `X-`, or are `User-to-User`, `Remote-Party-ID`, `P-Preferred-Identity` or
        /// `P-Called-Party-ID`.
        ///
        /// `sip_headers = { X-Tier = "gold" }`
        sip_headers: StringTable,
        /// Set to `"keep"` if the platform's own agent may take the calls of platforms that cannot do what
        /// this rule says. By default, such a rule is an error.
        unsupported: Unsupported,
    }
    collect outcome into OUTCOMES {
        /// Outcome: this agent answers. A name from `[agents]`.
        "agent": NonEmpty::schema,
        /// Outcome: one of several agents answers, in proportions that add up to 100. A caller always
        /// gets the same agent. Arms, the name of a `[splits]` table, or `"${LIST.column}"` with such
        /// names.
        ///
        /// `split = [{ agent = "front-desk", percent = 90 }, { agent = "new-desk", percent = 10 }]`
        "split": arms_or_name,
        /// Outcome: the call is transferred to a phone number or a SIP address. Templates may name it.
        ///
        /// `transfer = "+12135550100"`, `transfer = "sip:desk@pbx.example.com"`,
        /// `transfer = "${stores.phone}"`
        "transfer": NonEmpty::schema,
        /// Outcome: the call is rejected. `true`, or the reason for the log, which the caller does not
        /// hear. The caller hears `say` where the platform can speak.
        ///
        /// `reject = "blocklist"`
        "reject": RejectReason::schema,
        /// Outcome: the platform's default agent answers.
        "keep": LiteralTrue::schema,
        /// No outcome: the rule adds its variables and metadata, and the next rules are tried.
        "continue": LiteralTrue::schema,
    }
    header {
        span: Range<usize>,
        invalid: bool,
    }
    extra {
        /// The name has the wrong type, which has been reported.
        invalid_name: bool,
        /// Outcomes in the order of the file; a valid rule has one.
        outcomes: Vec<Spanned<RawOutcome>>,
        /// An unknown key resembles an outcome, which has been reported.
        misspelled_outcome: bool,
        /// First key that adds something to the reply.
        first_addition: Option<Range<usize>>,
    }
    constrain one_outcome;
}

toml_table! {
    /// A split that rules and the rows of lists name.
    pub(crate) struct RawSplit: "a table of a split" {
        /// Agents in proportions that add up to 100.
        ///
        /// `arms = [{ agent = "front-desk", percent = 90 }, { agent = "new-desk", percent = 10 }]`
        arms: Arms = required,
    }
    header {
        name: Spanned<String>,
        span: Range<usize>,
        invalid: bool,
    }
}

toml_table! {
    /// An arm of a split.
    pub(crate) struct RawArm: "an arm of a split" {
        /// Agent that answers this share of the calls. A name from `[agents]`.
        agent: NonEmpty = required,
        /// Share in percent, with at most two decimals. All arms add up to 100.
        percent: Percent = required,
    }
    header {
        span: Range<usize>,
        invalid: bool,
    }
}

toml_table! {
    /// A test: a call, and the decision that it must lead to. Tests run whenever the rule table is
    /// loaded.
    pub(crate) struct RawTest: "a test" {
        /// Description of the test: `"VIP at midnight on Christmas"`.
        name: NonEmpty = required,
        /// Caller's number, `"withheld"`, or a text that is no number; `"=030901820"` is a text in any
        /// case. Default: the only number of the file's `[scope]`, or withheld.
        from: Text,
        /// Called number, as in `from`. Default: the only number of the scope, or withheld.
        to: Text,
        /// Number from which the call was forwarded: `"+12137771234"`. Default: the call is not forwarded,
        /// unless `sip` says so.
        forwarded_from: Text,
        /// Voice call or text message. Default: the only channel of the scope, or `"call"`.
        channel: Channel,
        /// Platform that sends the request. Default: the platform of the source.
        platform: Platform,
        /// Source that the request comes from. Default: the first source by name that supports
        /// the channel and is in the scope.
        source: Text,
        /// Time of the call in the `zone` of the test: `"2026-12-25 00:10"`, or with an offset:
        /// `"2026-12-25T00:10:00-05:00"`.
        at: Timestamp,
        /// Time zone of `at`: `"America/Los_Angeles"`. Default: the `zone` of the rule table, or UTC
        /// without one.
        zone: NonEmpty,
        /// SIP headers of the call: `{ x-tier = "gold" }`.
        sip: StringTable,
        /// The platform's id of the called number. Default: the only one of the file's `[scope]`, or none.
        number_id: Text,
        /// Further facts that the platform sends, which rules name `attr.NAME`: `{ account = "acme" }`.
        attributes as "attr": StringTable,
        /// Answers of look-ups: `{ crm = { tier = "gold" } }`. The others do not answer. A look-up that is
        /// not asked about this call cannot have one.
        lookup: Metadata,
        /// The caller's history: `{ calls_1h = 5, last_agent = "front-desk" }`. Default: no calls. A withheld
        /// caller has none.
        history: Metadata,
        /// Expected decision. Keys that are absent are not compared.
        ///
        /// `expect = { rule = "vip", agent = "concierge" }`
        expect: SubTable<RawExpectation> = required,
    }
    header {
        span: Range<usize>,
        invalid: bool,
    }
}

toml_table! {
    /// The decision that a test expects.
    pub(crate) struct RawExpectation: "an expectation" {
        /// Name of the rule that decides.
        rule: Text,
        /// Name of the agent that answers, from `[agents]`.
        agent: Text,
        /// Kind of outcome.
        outcome: OutcomeName,
        /// The call is rejected: `true`, or the reason.
        reject: RejectReason,
        /// The call is transferred to this number or SIP address.
        transfer: Text,
        /// The platform's default agent answers.
        keep: LiteralTrue,
        /// Variables that the reply must have, with their final values. It may have others.
        variables: StringTable,
        /// Metadata that the reply must have. It may have more.
        metadata: Metadata,
        /// Agent settings that the reply must have. It may have more.
        agent_override: Metadata,
        /// Milliseconds for which the phone rings.
        delay_ms: Integer<{ i64::MIN }, { i64::MAX }>,
        /// Text that the caller hears.
        say: Text,
        /// SIP headers that the reply must have, with their final values. It may have others.
        sip_headers: StringTable,
    }
    header {
        span: Range<usize>,
        invalid: bool,
    }
}

/// An agent with its ids. Their keys are the names of platforms, so `check` reads them.
pub(crate) struct RawAgent {
    pub(crate) name: Spanned<String>,
    pub(crate) ids: RawIds,
}

pub(crate) enum RawIds {
    /// One id for all platforms.
    Everywhere(Spanned<String>),
    /// `{ retell = "…", version = 3 }`, with keys that have not been checked yet.
    Table(Entries),
    /// Unreadable, which has been reported.
    Invalid,
}

/// A fact about the call, and the values that match.
pub(crate) type RawWhere = (Spanned<String>, Vec<Spanned<RawCondition>>);

pub(crate) enum RawCondition {
    Text(String),
    Number(Number),
}

pub(crate) enum RawOutcome {
    Agent(Spanned<String>),
    Split(Vec<RawArm>),
    /// The name of a split, or the column with the names.
    NamedSplit(Spanned<String>),
    /// The number or SIP address, or a template.
    Transfer(Spanned<String>),
    /// Rejected, with the reason or an empty string.
    Reject(String),
    Keep,
    Continue,
    /// Unreadable, which has been reported.
    Invalid,
}

/// Entries of a table, in the order of the file.
pub(crate) type Entries = Vec<(Spanned<String>, Spanned<RawValue>)>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawValue {
    Text(String),
    /// A number or a boolean.
    Plain(Value),
    List(Vec<Spanned<RawValue>>),
    Table(Entries),
}

impl TomlTable for RawScope {}

impl RawList {
    /// Returns whether a row with an error refuses the whole answer.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict.as_ref().is_some_and(|strict| strict.value)
    }
}

impl TomlTable for RawList {
    fn finish(&mut self, toml: &mut TomlReader<'_>) {
        if let (Some(key), Some(_)) = (&self.allow_private, &self.database) {
            let message = "a list with a `database` has no `allow_private`".to_owned();
            toml.error_in_file("list-form", &key.span, message).help(ANY_ADDRESS);
        }
        let is_live = self.url.is_some() || self.database.is_some();
        let of_live = [("allow_private", &self.allow_private), ("strict", &self.strict)];
        for (key, flag) in of_live.into_iter().filter(|_| !is_live) {
            if let Some(flag) = flag {
                let message = format!("a list with `numbers` or a `file` has no `{key}`");
                toml.error_in_file("list-form", &flag.span, message)
                    .help(format!("remove `{key}`; bad_rows = \"skip\" is for files"));
            }
        }
    }
}

impl TomlTable for RawLookup {
    fn finish(&mut self, toml: &mut TomlReader<'_>) {
        if let (Some(key), Some(_)) = (&self.allow_private, &self.database) {
            let message = "a look-up with a `database` has no `allow_private`".to_owned();
            toml.error_in_file("bad-lookup", &key.span, message).help(ANY_ADDRESS);
        }
        if self.name.value == history::NAME {
            for (key, span) in self.keys_without_meaning_for_history() {
                let message = format!("`history` has no `{key}`");
                toml.error_in_file("bad-lookup", &span, message).help(
                    "[lookup.history] has timeout_ms, max_concurrent, breaker_failures and \
                     breaker_pause_s",
                );
            }
        }
    }
}

/// Why the address of a database is not checked.
const ANY_ADDRESS: &str =
    "remove `allow_private`: a database may have any address, since its URL is not in the rules";

impl RawLookup {
    /// Returns the keys that are set and say nothing about records, with their places. `check` reports `url`
    /// and `database`.
    fn keys_without_meaning_for_history(&self) -> Vec<(&'static str, Range<usize>)> {
        fn span<T>(key: &Option<Spanned<T>>) -> Option<Range<usize>> {
            key.as_ref().map(|key| key.span.clone())
        }
        let entry = |entries: &Entries| entries.first().map(|(name, _)| name.span.clone());
        let keys = [
            ("method", span(&self.method)),
            ("headers", entry(&self.headers)),
            ("body", self.body.as_ref().and_then(entry)),
            ("result", span(&self.result)),
            ("allow_private", span(&self.allow_private)),
            ("query", span(&self.query)),
            ("cache_s", span(&self.cache_s)),
            ("negative_cache_s", span(&self.negative_cache_s)),
            ("max_bytes", span(&self.max_bytes)),
        ];
        keys.into_iter().filter_map(|(key, span)| Some((key, span?))).collect()
    }
}

impl TomlTable for RawArm {}

impl TomlTable for RawSplit {
    fn finish(&mut self, toml: &mut TomlReader<'_>) {
        if self.arms.is_empty() && !self.invalid {
            self.invalid = true;
            let message = format!("split `{}` has no `arms`", self.name.value);
            toml.error_in_file("bad-split", &self.name.span, message)
                .help("write arms = [{ agent = \"front-desk\", percent = 90 }, …]");
        }
    }
}

impl TomlTable for RawTest {}
impl TomlTable for RawExpectation {}

impl TomlTable for RawDefinitions {
    fn other_key(&mut self, entry: &mut Entry<'_, '_>) {
        let intended = entry.unknown_key(Self::spec()).unwrap_or(entry.name);
        let inside = entry.value.get_ref().as_table().into_iter().flatten();
        self.unreadable.extend(inside.map(|(name, _)| format!("{intended}.{}", name.get_ref())));
    }

    fn finish(&mut self, toml: &mut TomlReader<'_>) {
        self.unreadable.append(&mut toml.unreadable);
        for (key, value) in std::mem::take(&mut toml.misplaced) {
            let own = match key {
                TopKey::Zone => &mut self.zone,
                TopKey::Country => &mut self.country,
            };
            own.get_or_insert(value);
        }
    }
}

impl TomlTable for RawDates {
    fn finish(&mut self, toml: &mut TomlReader<'_>) {
        if self.days.is_empty() && self.file.is_none() && !self.invalid {
            let message = format!("dates `{}` have no `days`", self.name.value);
            toml.error_in_file("no-days", &self.name.span, message).help(
                "write days = [\"01-01\", \"last mon of may\", \"2026-12-24\"], or set `file`",
            );
        }
    }
}

impl TomlTable for RawHours {
    fn other_key(&mut self, entry: &mut Entry<'_, '_>) {
        if entry.is_no_weekday(Self::spec()) {
            if let Some(intended) = entry.unknown_key(Self::spec()) {
                self.read_key(intended, entry);
            }
            return;
        }
        let times = entry.times();
        self.week.push((entry.key(), times));
    }
}

impl RawRule {
    fn outcome(&mut self, entry: &mut Entry<'_, '_>) {
        let outcome = entry.outcome();
        self.outcomes.push(Spanned { value: outcome, span: entry.key_span() });
    }
}

impl TomlTable for RawRule {
    fn after_key(&mut self, entry: &Entry<'_, '_>) {
        if entry.name == "name" {
            self.invalid_name = self.name.is_none();
        } else if let "variables" | "metadata" | "agent_override" = entry.name {
            let span = entry.key_span();
            let first = self.first_addition.take().filter(|first| first.start < span.start);
            self.first_addition = first.or(Some(span));
        }
    }

    fn other_key(&mut self, entry: &mut Entry<'_, '_>) {
        let intended = entry.unknown_key(Self::spec());
        self.misspelled_outcome |= intended.is_some_and(|intended| OUTCOMES.contains(&intended));
    }
}

/// Dates have `days`, a `file`, or both.
fn days_or_file(schema: &mut Value) {
    schema["anyOf"] = json!([{ "required": ["days"] }, { "required": ["file"] }]);
}

/// A list is in one place: `numbers`, a `file`, a `url` or a `database`. Some keys belong to some places.
fn one_place(schema: &mut Value) {
    let place = |key: &str, others: &[&str]| {
        let others: Vec<_> = others.iter().map(|other| json!({ "required": [other] })).collect();
        json!({ "required": [key], "not": { "anyOf": others } })
    };
    let live = ["url", "headers", "allow_private", "database", "query", "refresh_s", "strict"];
    let of_files = ["file", "column", "max_shrink", "min_rows", "bad_rows"];
    schema["anyOf"] = json!([
        place("numbers", &[&of_files[..], &live[..]].concat()),
        place("file", &[&["numbers"], &live[..]].concat()),
        place("url", &["numbers", "file", "bad_rows", "database", "query"]),
        place("database", &["numbers", "file", "bad_rows", "url", "headers", "allow_private"]),
    ]);
}

fn arms_or_name() -> Value {
    let mut schema = Arms::schema();
    schema["type"] = json!(["string", "array"]);
    schema
}

fn one_outcome(schema: &mut Value) {
    schema["oneOf"] = OUTCOMES.iter().map(|outcome| json!({ "required": [outcome] })).collect();
}
