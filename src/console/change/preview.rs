//! Preview of a plan: mistakes, differences of the files, and recorded calls decided again.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;

use super::workbench::{CheckedChange, Workbench, differences, hash};
use crate::console::access::Reader;
use crate::console::page::counted;
use crate::console::state::Console;
use crate::domain::call::Platform;
use crate::http::HttpProblem;
use crate::records::{Filter, Order};
use crate::replay::{ChangedCalls, Replay, Route, Summary};
use crate::rule_changes::{
    ChangePlan, FileDiff, Mistake, ReplayLimits, ReplayedCalls, Stopped, replay_calls,
};
use crate::rules::RuleSet;

/// Maximum number of calls of a replay.
const MAX_CALLS: usize = 200_000;
/// Maximum time of a replay.
const MAX_TIME: Duration = Duration::from_secs(6);
/// Example calls of a change.
const EXAMPLES: usize = 3;
/// Maximum number of different changes on a page.
const MAX_GROUPS: usize = 50;
/// Maximum number of changed values of a group on a page.
const MAX_VALUES: usize = 6;

/// The result of a check, as a page shows it.
pub(super) struct Preview {
    pub(super) mistakes: Vec<MistakeView>,
    pub(super) errors: usize,
    pub(super) warnings: usize,
    pub(super) tests: usize,
    pub(super) diffs: Vec<DiffView>,
    /// Hash by which the form that applies the plan proves that it was checked.
    pub(super) checked: String,
    pub(super) days: u32,
    /// `None` if the rules have errors, or nothing has changed.
    pub(super) replay: Option<ReplayView>,
}

/// A mistake with a link to its line.
pub(super) struct MistakeView {
    pub(super) mistake: Mistake,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Id of the file in the page; empty if it is not there.
    pub(super) anchor: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A file that differs.
pub(super) struct DiffView {
    pub(super) diff: FileDiff,
}

/// Recorded calls, decided with the edited rules.
pub(super) struct ReplayView {
    /// Reason for which there was no replay.
    pub(super) problem: Option<String>,
    pub(super) replayed: u64,
    pub(super) span: String,
    pub(super) unchanged: u64,
    pub(super) changed: u64,
    pub(super) groups: Vec<GroupView>,
    /// Calls of changes that are not shown.
    pub(super) more: u64,
    /// Remarks on what the result does not cover.
    pub(super) remarks: Vec<String>,
}

/// Calls with the same change.
pub(super) struct GroupView {
    pub(super) kind: &'static str,
    pub(super) calls: u64,
    pub(super) old: RouteView,
    pub(super) new: RouteView,
    /// Field, old and new value, and the number of calls.
    pub(super) values: Vec<(String, String, String, u64)>,
    pub(super) more_values: usize,
    /// Id and description.
    pub(super) examples: Vec<(String, String)>,
}

/// A destination, and the rule that leads to it.
pub(super) struct RouteView {
    pub(super) outcome: &'static str,
    pub(super) destination: String,
    pub(super) rule: String,
}

impl Preview {
    pub(super) async fn of(
        console: &Console,
        bench: Workbench,
        plan: ChangePlan,
        days: u32,
        reader: &Reader,
    ) -> Result<Preview, HttpProblem> {
        let is_empty = plan.is_empty();
        let CheckedChange { files, plan, checked } = bench.check(console, plan).await?;
        let changed = differences(files.texts(), plan.texts_after(&files)).await?;
        let mistakes = checked.mistakes.into_iter().map(|mistake| MistakeView {
            line: mistake.place.map(|place| place.line).unwrap_or_default(),
            column: mistake.place.map(|place| place.column).unwrap_or_default(),
            message: reader.text(&mistake.message).into_owned(),
            help: mistake.help.as_deref().map(|help| reader.text(help).into_owned()),
            anchor: String::new(),
            mistake,
        });
        let replay = match checked.table.filter(|_| !is_empty) {
            Some(table) => Some(ReplayView::of(console, table, days).await?),
            None => None,
        };
        Ok(Preview {
            mistakes: mistakes.collect(),
            errors: checked.errors,
            warnings: checked.warnings,
            tests: checked.tests,
            diffs: changed.into_iter().map(|file| DiffView::new(file, reader)).collect(),
            checked: hash(&files, &plan),
            days,
            replay,
        })
    }

    /// Returns why the plan cannot be applied.
    pub(super) fn problem(&self) -> Option<String> {
        let errors = counted(self.errors, "error");
        (self.errors > 0).then(|| format!("The rules have {errors}; see below."))
    }

    /// Returns the number of mistakes in words.
    pub(super) fn verdict(&self) -> String {
        let warnings = counted(self.warnings, "warning");
        match (self.errors, self.tests) {
            (0, 0) => format!("No errors, {warnings}. The rules have no tests."),
            (0, tests) => format!("No errors, {warnings}. {} passed.", counted(tests, "test")),
            (errors, _) => format!("{}, {warnings}.", counted(errors, "error")),
        }
    }

    /// Returns whether the plan changes something, without errors.
    pub(super) fn can_apply(&self) -> bool {
        self.errors == 0 && !self.diffs.is_empty()
    }
}

impl DiffView {
    pub(super) fn new(mut diff: FileDiff, reader: &Reader) -> DiffView {
        for line in diff.hunks.iter_mut().flat_map(|hunk| &mut hunk.lines) {
            line.text = reader.text(&line.text).into_owned();
        }
        DiffView { diff }
    }
}

impl ReplayView {
    async fn of(console: &Console, table: RuleSet, days: u32) -> Result<ReplayView, HttpProblem> {
        let store = match console.app.recorder().store() {
            Ok(store) => store,
            Err(reason) => return Ok(ReplayView::without(reason.to_string())),
        };
        let age = SignedDuration::from_hours(24 * i64::from(days));
        let since = console.app.now().checked_sub(age).ok();
        let filter = Filter { since, ..Filter::default() };
        let sources = console.app.sources();
        let sources: Vec<(String, Platform)> = sources
            .iter()
            .map(|source| (source.name.to_string(), source.dialect.platform()))
            .collect();
        let limits = ReplayLimits { calls: Some(MAX_CALLS), time: Some(MAX_TIME) };
        let runtime = Handle::current();
        let done = console.replaying.off_thread(move || {
            let sources = sources.iter().map(|(name, platform)| (name.as_str(), *platform));
            let mut replay = Replay::of_sources(&table, sources.collect(), EXAMPLES);
            let newest = Order::NewestFirst;
            let mut silent = |_, _| {};
            let calls = replay_calls(&store, &filter, newest, limits, &mut replay, &mut silent);
            let calls = runtime.block_on(calls);
            calls.map(|calls| (calls, replay.summary()))
        });
        Ok(match done.await? {
            Ok((calls, summary)) => {
                ReplayView::new(calls, summary, &console.app.table().zone, days)
            }
            Err(error) => ReplayView::without(error.to_string()),
        })
    }

    fn without(problem: String) -> ReplayView {
        ReplayView {
            problem: Some(problem),
            replayed: 0,
            span: String::new(),
            unchanged: 0,
            changed: 0,
            groups: Vec::new(),
            more: 0,
            remarks: Vec::new(),
        }
    }

    fn new(calls: ReplayedCalls, summary: Summary, zone: &TimeZone, days: u32) -> ReplayView {
        let changed = summary.changed();
        let span = summary
            .span
            .map(|(first, last)| format!("from {} to {}", local(first, zone), local(last, zone)));
        let mut remarks = Vec::new();
        if let Some(stopped) = calls.stopped {
            let reason = match stopped {
                Stopped::Calls => "more are not replayed here".to_owned(),
                Stopped::Time => format!("it stopped after {} seconds", MAX_TIME.as_secs()),
            };
            remarks.push(format!(
                "Only the newest {} of the {} calls of these {days} days were replayed: {reason}. \
                 `switchboard replay` replays all.",
                calls.read, calls.recorded
            ));
        }
        for (reason, calls) in &summary.left_out {
            remarks.push(format!("Not replayed: {calls} calls; {reason}."));
        }
        for (name, calls) in &summary.without_lookup {
            remarks.push(format!(
                "{calls} calls were decided as if the look-up `{name}` had no answer, since it was not \
                 asked at the time."
            ));
        }
        let kinds = [
            ("goes elsewhere", summary.rerouted),
            ("other payload", summary.payload_changed),
            ("same reply, other rule", summary.rule_changed),
        ];
        let groups = kinds.into_iter().flat_map(|(kind, groups)| {
            groups.into_iter().map(move |group| GroupView::new(kind, group, zone))
        });
        let mut groups: Vec<_> = groups.collect();
        let others = groups.split_off(groups.len().min(MAX_GROUPS));
        ReplayView {
            problem: None,
            replayed: summary.replayed,
            span: span.unwrap_or_default(),
            unchanged: summary.unchanged,
            changed,
            groups,
            more: others.iter().map(|group| group.calls).sum(),
            remarks,
        }
    }
}

impl GroupView {
    fn new(kind: &'static str, group: ChangedCalls, zone: &TimeZone) -> GroupView {
        let none = || "none".to_owned();
        let more_values = group.values.len().saturating_sub(MAX_VALUES)
            + usize::try_from(group.more_values).unwrap_or_default();
        let values = group.values.into_iter().take(MAX_VALUES).map(|value| {
            let (old, new) = (value.old.unwrap_or_else(none), value.new.unwrap_or_else(none));
            (value.field, old, new, value.calls)
        });
        let examples = group.examples.into_iter().map(|call| {
            let text = format!("{}, {} → {}", local(call.at, zone), call.from, call.to);
            (call.id, text)
        });
        GroupView {
            kind,
            calls: group.calls,
            old: RouteView::new(group.old),
            new: RouteView::new(group.new),
            values: values.collect(),
            more_values,
            examples: examples.collect(),
        }
    }
}

impl RouteView {
    fn new(route: Route) -> RouteView {
        let mut rule = route.rule.unwrap_or_else(|| "no rule".to_owned());
        if let Some(added_by) = route.added_by {
            let list = if added_by.is_empty() { "none".to_owned() } else { added_by.join(", ") };
            rule = format!("{rule} (continue rules: {list})");
        }
        RouteView { outcome: route.outcome, destination: route.destination, rule }
    }
}

pub(super) fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %d %b %Y %H:%M").to_string()
}
