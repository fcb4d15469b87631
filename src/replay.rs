//! What another table would have done with calls that were recorded: each is decided anew, at its
//! own time, held against what was answered then, and counted with its like.
//!
//! Pure. The calls are synthetic once more, and nobody is answered.

mod compare;
mod render;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::dialect;
use crate::domain::call::{Call, Platform};
use crate::domain::facts::Facts;
use crate::records::{CallRecord, NotReplayable};
use crate::rules::RuleSet;
use crate::rules::engine::decide;
use crate::source::Source;

use compare::{Change, Difference, compare};

/// Calls through another table, one after the other.
pub struct Replay<'t> {
    table: &'t RuleSet,
    sources: Vec<(&'t str, Platform)>,
    /// So many calls are remembered of each group.
    examples: usize,
    /// When the first and the last of the replayed calls came in.
    span: Option<(Timestamp, Timestamp)>,
    same: u64,
    elsewhere: Groups,
    otherwise: Groups,
    by_other_rules: Groups,
    left_out: BTreeMap<LeftOut, u64>,
}

/// Calls that changed in the same way.
#[derive(Debug, Default)]
struct Group {
    calls: u64,
    examples: Vec<Example>,
}

/// One call of a group. Its numbers are masked: its record has them.
#[derive(Debug)]
struct Example {
    id: String,
    at: Timestamp,
    from: String,
    to: String,
}

/// Everything that changed in one respect.
#[derive(Debug, Default)]
struct Groups(HashMap<Change, Group>);

/// Why a call is not replayed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum LeftOut {
    /// The settings have no such source any more.
    NoSource { source: String, platform: String },
    /// Something had broken, and no table decided.
    Fallback,
    /// Who rang whom is not kept as it was.
    Numbers,
    /// Another version of this program wrote it.
    Unknown,
}

impl<'t> Replay<'t> {
    /// Through `table`, for calls of `sources`; of each group so many examples are kept.
    pub fn new(table: &'t RuleSet, sources: &'t [Source], examples: usize) -> Replay<'t> {
        let sources = sources.iter().map(|source| (&*source.name, source.dialect.platform()));
        Replay {
            table,
            sources: sources.collect(),
            examples,
            span: None,
            same: 0,
            elsewhere: Groups::default(),
            otherwise: Groups::default(),
            by_other_rules: Groups::default(),
            left_out: BTreeMap::new(),
        }
    }

    /// Decides a call anew, or counts why that cannot be.
    pub fn call(&mut self, record: &CallRecord) {
        let call = match self.made_again(record) {
            Ok(call) => call,
            Err(why) => {
                *self.left_out.entry(why).or_default() += 1;
                return;
            }
        };
        let decision = decide(self.table, &call, &Facts { at: record.at });
        let (first, last) = self.span.unwrap_or((record.at, record.at));
        self.span = Some((first.min(record.at), last.max(record.at)));
        let (groups, change) = match compare(record, &decision) {
            Difference::None => {
                self.same += 1;
                return;
            }
            Difference::Elsewhere(change) => (&mut self.elsewhere, change),
            Difference::Otherwise(change) => (&mut self.otherwise, change),
            Difference::ByOtherRules(change) => (&mut self.by_other_rules, change),
        };
        let group = groups.0.entry(change).or_default();
        group.calls += 1;
        if group.examples.len() < self.examples {
            group.examples.push(Example {
                id: record.id.to_string(),
                at: record.at,
                from: call.from().masked().into_owned(),
                to: call.to().masked().into_owned(),
            });
        }
    }

    fn made_again<'r>(&self, record: &'r CallRecord) -> Result<Call<'r>, LeftOut> {
        let dialect = dialect::by_name(&record.platform).ok_or(LeftOut::Unknown)?;
        let platform = dialect.platform();
        if !self.sources.contains(&(record.source.as_str(), platform)) {
            let (source, platform) = (record.source.clone(), record.platform.clone());
            return Err(LeftOut::NoSource { source, platform });
        }
        if is_fallback(record) {
            return Err(LeftOut::Fallback);
        }
        let fields = record.fields().map_err(|why| match why {
            NotReplayable::Numbers(_) => LeftOut::Numbers,
            NotReplayable::Channel(_) => LeftOut::Unknown,
        })?;
        // What stands in the place of a character that no store keeps.
        if [&record.from, &record.to].iter().any(|party| party.contains('\u{fffd}')) {
            return Err(LeftOut::Numbers);
        }
        Ok(Call::synthetic(&record.source, platform, fields))
    }

    /// How many calls were decided anew.
    pub fn replayed(&self) -> u64 {
        self.same + self.elsewhere.calls() + self.otherwise.calls() + self.by_other_rules.calls()
    }

    /// How many were not, for they cannot be.
    pub fn left_out(&self) -> u64 {
        self.left_out.values().sum()
    }

    /// How many would be answered in another way. By which rules does not matter.
    pub fn changed(&self) -> u64 {
        self.elsewhere.calls() + self.otherwise.calls()
    }
}

impl Groups {
    fn calls(&self) -> u64 {
        self.0.values().map(|group| group.calls).sum()
    }

    /// Most calls first.
    fn sorted(&self) -> Vec<(&Change, &Group)> {
        let mut groups: Vec<_> = self.0.iter().collect();
        groups.sort_by(|(one, ones), (other, others)| {
            others.calls.cmp(&ones.calls).then_with(|| one.cmp(other))
        });
        groups
    }
}

/// A table that decides names a rule, or says that there is none.
fn is_fallback(record: &CallRecord) -> bool {
    let no_rule = record.outcome == "keep" && record.details.why.as_deref() == Some("no_rule");
    record.rule.is_none() && !no_rule
}
