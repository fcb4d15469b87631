//! The table as it is written: values with their places, before anybody has looked what they mean.

use std::ops::Range;

use serde_json::Value;

/// A value and the bytes of the file that say it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// What rules refer to, as one piece of a file says it.
#[derive(Default)]
pub(super) struct House {
    pub(super) zone: Option<At<String>>,
    /// None when there is no `[agents]`.
    pub(super) agents: Option<Vec<WrittenAgent>>,
    pub(super) lists: Vec<WrittenList>,
    pub(super) dates: Vec<WrittenDates>,
    pub(super) hours: Vec<WrittenHours>,
    /// `lists.vip`: what stands there cannot be read, which has been reported.
    pub(super) unreadable: Vec<String>,
    /// Rules in a form that a piece of rules cannot have: `rule = [{ … }]`.
    pub(super) rules: Vec<WrittenRule>,
    pub(super) tests: Vec<WrittenTest>,
}

pub(super) struct WrittenAgent {
    pub(super) name: At<String>,
    pub(super) ids: WrittenIds,
}

pub(super) enum WrittenIds {
    Everywhere(At<String>),
    /// `{ retell = "…", version = 3 }`: the keys are not looked at yet.
    Table(Vec<(At<String>, At<WrittenValue>)>),
    /// It was wrong, and has been reported.
    Unreadable,
}

pub(super) struct WrittenList {
    pub(super) name: At<String>,
    pub(super) numbers: Option<Vec<At<String>>>,
    pub(super) file: Option<At<String>>,
    pub(super) column: Option<At<String>>,
    /// Something was wrong in it, and has been reported.
    pub(super) flawed: bool,
}

pub(super) struct WrittenDates {
    pub(super) name: At<String>,
    pub(super) days: Vec<At<String>>,
}

pub(super) struct WrittenHours {
    pub(super) name: At<String>,
    pub(super) zone: Option<At<String>>,
    /// `mon-fri` and its times; the keys are not looked at yet.
    pub(super) week: Vec<(At<String>, Vec<At<String>>)>,
    pub(super) closed: Vec<At<String>>,
    pub(super) open: Vec<(At<String>, Vec<At<String>>)>,
}

#[derive(Default)]
pub(super) struct WrittenRule {
    /// The `[[rule]]` itself.
    pub(super) span: Range<usize>,
    pub(super) name: Option<At<String>>,
    /// There is a name of the wrong kind, which has been reported.
    pub(super) name_unreadable: bool,
    /// Something was wrong in it, and has been reported.
    pub(super) flawed: bool,
    pub(super) to: Vec<At<String>>,
    pub(super) from: Vec<At<String>>,
    pub(super) channel: Vec<At<String>>,
    pub(super) platform: Vec<At<String>>,
    pub(super) source: Vec<At<String>>,
    pub(super) hours: Vec<At<String>>,
    pub(super) dates: Vec<At<String>>,
    pub(super) wheres: Vec<WrittenWhere>,
    pub(super) disabled: bool,
    pub(super) outcomes: Vec<At<WrittenOutcome>>,
    /// A key was perhaps meant as an outcome, which has been reported.
    pub(super) outcome_misspelt: bool,
    pub(super) split_key: Option<At<String>>,
    pub(super) variables: Entries,
    pub(super) metadata: Option<Entries>,
    pub(super) agent_override: Option<Entries>,
    /// The first key that adds something.
    pub(super) adds_at: Option<Range<usize>>,
    pub(super) delay_ms: Option<At<i64>>,
}

/// What is looked at, and what it may be.
pub(super) type WrittenWhere = (At<String>, Vec<At<WrittenWanted>>);

pub(super) enum WrittenWanted {
    Text(String),
    Number(f64),
}

pub(super) enum WrittenOutcome {
    Agent(At<String>),
    Split(Vec<WrittenArm>),
    Reject(String),
    Keep,
    Continue,
    /// It was wrong, and has been reported.
    Unreadable,
}

pub(super) struct WrittenArm {
    pub(super) span: Range<usize>,
    pub(super) agent: Option<At<String>>,
    pub(super) percent: Option<At<f64>>,
    /// Something was wrong in it, and has been reported.
    pub(super) flawed: bool,
}

/// A `[[test]]`.
#[derive(Default)]
pub(super) struct WrittenTest {
    pub(super) span: Range<usize>,
    pub(super) name: Option<At<String>>,
    pub(super) flawed: bool,
    pub(super) from: Option<At<String>>,
    pub(super) to: Option<At<String>>,
    pub(super) channel: Option<At<String>>,
    pub(super) platform: Option<At<String>>,
    pub(super) source: Option<At<String>>,
    pub(super) at: Option<At<String>>,
    pub(super) sip: Entries,
    pub(super) expect: Option<WrittenExpectation>,
}

#[derive(Default)]
pub(super) struct WrittenExpectation {
    pub(super) span: Range<usize>,
    /// Something was wrong in it, and has been reported.
    pub(super) flawed: bool,
    pub(super) rule: Option<At<String>>,
    pub(super) agent: Option<At<String>>,
    pub(super) outcome: Option<At<String>>,
    /// True, or the reason.
    pub(super) reject: Option<At<Option<String>>>,
    pub(super) keep: Option<At<()>>,
    pub(super) variables: Entries,
    pub(super) metadata: Option<Entries>,
    pub(super) agent_override: Option<Entries>,
    pub(super) delay_ms: Option<At<i64>>,
}

/// What stands in an inline table, in the order in which it stands there.
pub(super) type Entries = Vec<(At<String>, At<WrittenValue>)>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum WrittenValue {
    Text(String),
    /// A number or a boolean.
    Plain(Value),
    List(Vec<At<WrittenValue>>),
    Table(Vec<(At<String>, At<WrittenValue>)>),
}
