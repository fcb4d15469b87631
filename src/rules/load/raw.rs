//! The table as it is written: values with their places, before anybody has looked what they mean.

use std::ops::Range;

use serde_json::Value;

/// A value and the bytes of the file that say it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// What rules refer to, as one piece of a file says it.
#[derive(Default)]
pub(crate) struct House {
    pub(crate) zone: Option<At<String>>,
    /// None when there is no `[agents]`.
    pub(crate) agents: Option<Vec<WrittenAgent>>,
    pub(crate) lists: Vec<WrittenList>,
    pub(crate) dates: Vec<WrittenDates>,
    pub(crate) hours: Vec<WrittenHours>,
    /// `lists.vip`: what stands there cannot be read, which has been reported.
    pub(crate) unreadable: Vec<String>,
    /// Rules in a form that a piece of rules cannot have: `rule = [{ … }]`.
    pub(crate) rules: Vec<WrittenRule>,
    pub(crate) tests: Vec<WrittenTest>,
}

pub(crate) struct WrittenAgent {
    pub(crate) name: At<String>,
    pub(crate) ids: WrittenIds,
}

pub(crate) enum WrittenIds {
    Everywhere(At<String>),
    /// `{ retell = "…", version = 3 }`: the keys are not looked at yet.
    Table(Vec<(At<String>, At<WrittenValue>)>),
    /// It was wrong, and has been reported.
    Unreadable,
}

pub(crate) struct WrittenList {
    pub(crate) name: At<String>,
    pub(crate) numbers: Option<Vec<At<String>>>,
    pub(crate) file: Option<At<String>>,
    pub(crate) column: Option<At<String>>,
    /// Something was wrong in it, and has been reported.
    pub(crate) flawed: bool,
}

pub(crate) struct WrittenDates {
    pub(crate) name: At<String>,
    pub(crate) days: Vec<At<String>>,
}

pub(crate) struct WrittenHours {
    pub(crate) name: At<String>,
    pub(crate) zone: Option<At<String>>,
    /// `mon-fri` and its times; the keys are not looked at yet.
    pub(crate) week: Vec<(At<String>, Vec<At<String>>)>,
    pub(crate) closed: Vec<At<String>>,
    pub(crate) open: Vec<(At<String>, Vec<At<String>>)>,
}

#[derive(Default)]
pub(crate) struct WrittenRule {
    /// The `[[rule]]` itself.
    pub(crate) span: Range<usize>,
    pub(crate) name: Option<At<String>>,
    /// There is a name of the wrong kind, which has been reported.
    pub(crate) name_unreadable: bool,
    /// Something was wrong in it, and has been reported.
    pub(crate) flawed: bool,
    pub(crate) to: Vec<At<String>>,
    pub(crate) from: Vec<At<String>>,
    pub(crate) channel: Vec<At<String>>,
    pub(crate) platform: Vec<At<String>>,
    pub(crate) source: Vec<At<String>>,
    pub(crate) hours: Vec<At<String>>,
    pub(crate) dates: Vec<At<String>>,
    pub(crate) wheres: Vec<WrittenWhere>,
    pub(crate) disabled: bool,
    pub(crate) outcomes: Vec<At<WrittenOutcome>>,
    /// A key was perhaps meant as an outcome, which has been reported.
    pub(crate) outcome_misspelt: bool,
    pub(crate) split_key: Option<At<String>>,
    pub(crate) variables: Entries,
    pub(crate) metadata: Option<Entries>,
    pub(crate) agent_override: Option<Entries>,
    /// The first key that adds something.
    pub(crate) adds_at: Option<Range<usize>>,
    pub(crate) delay_ms: Option<At<i64>>,
}

/// What is looked at, and what it may be.
pub(crate) type WrittenWhere = (At<String>, Vec<At<WrittenWanted>>);

pub(crate) enum WrittenWanted {
    Text(String),
    Number(f64),
}

pub(crate) enum WrittenOutcome {
    Agent(At<String>),
    Split(Vec<WrittenArm>),
    Reject(String),
    Keep,
    Continue,
    /// It was wrong, and has been reported.
    Unreadable,
}

pub(crate) struct WrittenArm {
    pub(crate) span: Range<usize>,
    pub(crate) agent: Option<At<String>>,
    pub(crate) percent: Option<At<f64>>,
    /// Something was wrong in it, and has been reported.
    pub(crate) flawed: bool,
}

/// A `[[test]]`.
#[derive(Default)]
pub(crate) struct WrittenTest {
    pub(crate) span: Range<usize>,
    pub(crate) name: Option<At<String>>,
    pub(crate) flawed: bool,
    pub(crate) from: Option<At<String>>,
    pub(crate) to: Option<At<String>>,
    pub(crate) channel: Option<At<String>>,
    pub(crate) platform: Option<At<String>>,
    pub(crate) source: Option<At<String>>,
    pub(crate) at: Option<At<String>>,
    pub(crate) sip: Entries,
    pub(crate) expect: Option<WrittenExpectation>,
}

#[derive(Default)]
pub(crate) struct WrittenExpectation {
    pub(crate) span: Range<usize>,
    /// Something was wrong in it, and has been reported.
    pub(crate) flawed: bool,
    pub(crate) rule: Option<At<String>>,
    pub(crate) agent: Option<At<String>>,
    pub(crate) outcome: Option<At<String>>,
    /// True, or the reason.
    pub(crate) reject: Option<At<Option<String>>>,
    pub(crate) keep: Option<At<()>>,
    pub(crate) variables: Entries,
    pub(crate) metadata: Option<Entries>,
    pub(crate) agent_override: Option<Entries>,
    pub(crate) delay_ms: Option<At<i64>>,
}

/// What stands in an inline table, in the order in which it stands there.
pub(crate) type Entries = Vec<(At<String>, At<WrittenValue>)>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum WrittenValue {
    Text(String),
    /// A number or a boolean.
    Plain(Value),
    List(Vec<At<WrittenValue>>),
    Table(Vec<(At<String>, At<WrittenValue>)>),
}
