//! The table as it is written: values with their places, before anybody has looked what they mean.

use std::ops::Range;

use serde_json::Value;

/// A value and the bytes of the file that say it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// What rules refer to, as one piece of a file says it.
#[derive(Default)]
pub(crate) struct RawDefinitions {
    pub(crate) zone: Option<Spanned<String>>,
    /// None when there is no `[agents]`.
    pub(crate) agents: Option<Vec<RawAgent>>,
    pub(crate) lists: Vec<RawList>,
    pub(crate) dates: Vec<RawDates>,
    pub(crate) hours: Vec<RawHours>,
    /// `lists.vip`: what stands there cannot be read, which has been reported.
    pub(crate) unreadable: Vec<String>,
    /// Rules in a form that a piece of rules cannot have: `rule = [{ … }]`.
    pub(crate) rules: Vec<RawRule>,
    pub(crate) tests: Vec<RawTest>,
}

pub(crate) struct RawAgent {
    pub(crate) name: Spanned<String>,
    pub(crate) ids: RawIds,
}

pub(crate) enum RawIds {
    Everywhere(Spanned<String>),
    /// `{ retell = "…", version = 3 }`: the keys are not looked at yet.
    Table(Vec<(Spanned<String>, Spanned<RawValue>)>),
    /// It was wrong, and has been reported.
    Invalid,
}

pub(crate) struct RawList {
    pub(crate) name: Spanned<String>,
    pub(crate) numbers: Option<Vec<Spanned<String>>>,
    pub(crate) file: Option<Spanned<String>>,
    pub(crate) column: Option<Spanned<String>>,
    /// Something was wrong in it, and has been reported.
    pub(crate) flawed: bool,
}

pub(crate) struct RawDates {
    pub(crate) name: Spanned<String>,
    pub(crate) days: Vec<Spanned<String>>,
}

pub(crate) struct RawHours {
    pub(crate) name: Spanned<String>,
    pub(crate) zone: Option<Spanned<String>>,
    /// `mon-fri` and its times; the keys are not looked at yet.
    pub(crate) week: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
    pub(crate) closed: Vec<Spanned<String>>,
    pub(crate) open: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
}

#[derive(Default)]
pub(crate) struct RawRule {
    /// The `[[rule]]` itself.
    pub(crate) span: Range<usize>,
    pub(crate) name: Option<Spanned<String>>,
    /// There is a name of the wrong kind, which has been reported.
    pub(crate) name_unreadable: bool,
    /// Something was wrong in it, and has been reported.
    pub(crate) flawed: bool,
    pub(crate) to: Vec<Spanned<String>>,
    pub(crate) from: Vec<Spanned<String>>,
    pub(crate) channel: Vec<Spanned<String>>,
    pub(crate) platform: Vec<Spanned<String>>,
    pub(crate) source: Vec<Spanned<String>>,
    pub(crate) hours: Vec<Spanned<String>>,
    pub(crate) dates: Vec<Spanned<String>>,
    pub(crate) wheres: Vec<RawWhere>,
    pub(crate) disabled: bool,
    pub(crate) outcomes: Vec<Spanned<RawOutcome>>,
    /// A key was perhaps meant as an outcome, which has been reported.
    pub(crate) outcome_misspelt: bool,
    pub(crate) split_key: Option<Spanned<String>>,
    pub(crate) variables: Entries,
    pub(crate) metadata: Option<Entries>,
    pub(crate) agent_override: Option<Entries>,
    /// The first key that adds something.
    pub(crate) adds_at: Option<Range<usize>>,
    pub(crate) delay_ms: Option<Spanned<i64>>,
}

/// What is looked at, and what it may be.
pub(crate) type RawWhere = (Spanned<String>, Vec<Spanned<RawCondition>>);

pub(crate) enum RawCondition {
    Text(String),
    Number(f64),
}

pub(crate) enum RawOutcome {
    Agent(Spanned<String>),
    Split(Vec<RawArm>),
    Reject(String),
    Keep,
    Continue,
    /// It was wrong, and has been reported.
    Invalid,
}

pub(crate) struct RawArm {
    pub(crate) span: Range<usize>,
    pub(crate) agent: Option<Spanned<String>>,
    pub(crate) percent: Option<Spanned<f64>>,
    /// Something was wrong in it, and has been reported.
    pub(crate) flawed: bool,
}

/// A `[[test]]`.
#[derive(Default)]
pub(crate) struct RawTest {
    pub(crate) span: Range<usize>,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) flawed: bool,
    pub(crate) from: Option<Spanned<String>>,
    pub(crate) to: Option<Spanned<String>>,
    pub(crate) channel: Option<Spanned<String>>,
    pub(crate) platform: Option<Spanned<String>>,
    pub(crate) source: Option<Spanned<String>>,
    pub(crate) at: Option<Spanned<String>>,
    pub(crate) sip: Entries,
    pub(crate) expect: Option<RawExpectation>,
}

#[derive(Default)]
pub(crate) struct RawExpectation {
    pub(crate) span: Range<usize>,
    /// Something was wrong in it, and has been reported.
    pub(crate) flawed: bool,
    pub(crate) rule: Option<Spanned<String>>,
    pub(crate) agent: Option<Spanned<String>>,
    pub(crate) outcome: Option<Spanned<String>>,
    /// True, or the reason.
    pub(crate) reject: Option<Spanned<Option<String>>>,
    pub(crate) keep: Option<Spanned<()>>,
    pub(crate) variables: Entries,
    pub(crate) metadata: Option<Entries>,
    pub(crate) agent_override: Option<Entries>,
    pub(crate) delay_ms: Option<Spanned<i64>>,
}

/// What stands in an inline table, in the order in which it stands there.
pub(crate) type Entries = Vec<(Spanned<String>, Spanned<RawValue>)>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawValue {
    Text(String),
    /// A number or a boolean.
    Plain(Value),
    List(Vec<Spanned<RawValue>>),
    Table(Vec<(Spanned<String>, Spanned<RawValue>)>),
}
