//! What came of a replay, for people and for programs. All numbers are masked.

use std::fmt::{self, Display};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::compare::{Answer, Change, Destination};
use super::{Example, Group, Groups, LeftOut, Replay};

/// More groups than these are counted, not told: programs get all.
const MOST_GROUPS: usize = 20;

/// A replay for people, with times on the wall clock of a zone.
struct Tally<'r>(&'r Replay<'r>, &'r TimeZone);

impl Replay<'_> {
    /// For people: what changes, most first; times are those of `zone`.
    pub fn told<'r>(&'r self, zone: &'r TimeZone) -> impl Display + 'r {
        Tally(self, zone)
    }
}

impl Display for Tally<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally(replay, zone) = self;
        if let Some((first, last)) = replay.span {
            let calls = many(replay.replayed(), "call");
            let (first, last) = (local(first, zone), local(last, zone));
            let zone = zone.iana_name().unwrap_or("local time");
            writeln!(f, "{calls} replayed, from {first} to {last} ({zone}):\n")?;
            for (count, what) in [
                (replay.same, "the same"),
                (replay.elsewhere.calls(), "go elsewhere"),
                (replay.otherwise.calls(), "go to the same place and are told something else"),
                (replay.by_other_rules.calls(), "the same, by other rules"),
            ] {
                writeln!(f, "{count:>7}  {what}")?;
            }
        }
        if replay.replayed() == 0 {
            writeln!(f, "no call could be replayed")?;
        }
        section(f, "Go elsewhere", &replay.elsewhere, |f, change, group| {
            writeln!(f, "{:>7}  {}", group.calls, rules(change))?;
            writeln!(f, "         {} → {}", change.old.destination, change.new.destination)?;
            examples(f, group, zone)
        })?;
        section(f, "Told something else", &replay.otherwise, |f, change, group| {
            let (old, said) = (&change.old.destination, change.said.join(", "));
            writeln!(f, "{:>7}  {}, {old}: {said}", group.calls, rules(change))?;
            examples(f, group, zone)
        })?;
        section(f, "By other rules", &replay.by_other_rules, |f, change, group| {
            writeln!(f, "{:>7}  {}, {}", group.calls, rules(change), change.old.destination)
        })?;
        if !replay.left_out.is_empty() {
            writeln!(f, "\nNot replayed\n")?;
        }
        for (why, calls) in &replay.left_out {
            writeln!(f, "{calls:>7}  {why}")?;
        }
        Ok(())
    }
}

/// Tells groups, each in the way of `tell`.
fn section(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    groups: &Groups,
    tell: impl Fn(&mut fmt::Formatter<'_>, &Change, &Group) -> fmt::Result,
) -> fmt::Result {
    let sorted = groups.sorted();
    if sorted.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}\n")?;
    for (change, group) in sorted.iter().take(MOST_GROUPS) {
        tell(f, change, group)?;
    }
    let more = sorted.iter().skip(MOST_GROUPS).map(|(_, group)| group.calls);
    match more.len() {
        0 => Ok(()),
        others => {
            let calls: u64 = more.sum();
            writeln!(f, "{calls:>7}  in {others} more groups: --json tells them all")
        }
    }
}

fn examples(f: &mut fmt::Formatter<'_>, group: &Group, zone: &TimeZone) -> fmt::Result {
    for Example { id, at, from, to } in &group.examples {
        writeln!(f, "           {}  {from} rings {to}  {id}", local(*at, zone))?;
    }
    Ok(())
}

/// ``rule `a` → rule `b` ``, and what adds, where that matters.
fn rules(change: &Change) -> String {
    let rule = |answer: &Answer| match &answer.rule {
        Some(rule) => format!("rule `{rule}`"),
        None => "no rule".to_owned(),
    };
    let (old, new) = (rule(&change.old), rule(&change.new));
    let mut told = if old == new { old } else { format!("{old} → {new}") };
    if let (Some(old), Some(new)) = (&change.old.added_by, &change.new.added_by) {
        let list = |rules: &[String]| match rules {
            [] => "nobody".to_owned(),
            rules => rules.iter().map(|rule| format!("`{rule}`")).collect::<Vec<_>>().join(", "),
        };
        told += &format!(" (added by {} → {})", list(old), list(new));
    }
    told
}

impl Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Agent { name, id, version } => {
                write!(f, "agent {name}")?;
                let id = Some(id).filter(|id| *id != name);
                match (id, version) {
                    (None, None) => Ok(()),
                    (Some(id), None) => write!(f, " ({id})"),
                    (None, Some(version)) => write!(f, " (version {version})"),
                    (Some(id), Some(version)) => write!(f, " ({id}, version {version})"),
                }
            }
            Destination::Reject(reason) if reason.is_empty() => f.write_str("reject"),
            Destination::Reject(reason) => write!(f, "reject ({reason})"),
            Destination::Keep(why) if why == "rule" || why == "no_rule" => f.write_str("keep"),
            Destination::Keep(why) => write!(f, "keep ({why})"),
        }
    }
}

impl Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeftOut::NoSource { source, platform } => {
                write!(f, "of source `{source}` ({platform}), which the settings do not have")
            }
            LeftOut::Fallback => {
                f.write_str("answered by the fallback: something had broken, and no rule decided")
            }
            LeftOut::Numbers => {
                f.write_str("kept without whole numbers (masked, hashed), which rules look at")
            }
            LeftOut::Unknown => f.write_str("of a platform or channel that is not known here"),
        }
    }
}

/// On the wall clock of a zone.
fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn many(count: u64, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

impl Replay<'_> {
    /// For programs.
    pub fn to_json(&self) -> Value {
        let left_out = self.left_out.iter().map(|(why, calls)| {
            let mut told = json!({ "calls": calls, "why": why.as_str() });
            if let LeftOut::NoSource { source, platform } = why {
                told["source"] = json!(source);
                told["platform"] = json!(platform);
            }
            told
        });
        json!({
            "fingerprint": self.table.fingerprint,
            "replayed": self.replayed(),
            "first": self.span.map(|(first, _)| first),
            "last": self.span.map(|(_, last)| last),
            "same": self.same,
            "elsewhere": self.elsewhere.to_json(),
            "otherwise": self.otherwise.to_json(),
            "by_other_rules": self.by_other_rules.to_json(),
            "left_out": left_out.collect::<Vec<_>>(),
        })
    }
}

impl Groups {
    fn to_json(&self) -> Value {
        let groups = self.sorted().into_iter().map(|(change, group)| {
            let examples = group.examples.iter().map(|Example { id, at, from, to }| {
                json!({ "id": id, "at": at, "from": from, "to": to })
            });
            json!({
                "calls": group.calls,
                "old": change.old.to_json(),
                "new": change.new.to_json(),
                "said": change.said,
                "examples": examples.collect::<Vec<_>>(),
            })
        });
        json!({ "calls": self.calls(), "groups": groups.collect::<Vec<_>>() })
    }
}

impl Answer {
    fn to_json(&self) -> Value {
        let (outcome, agent, agent_id, agent_version, why) = match &self.destination {
            Destination::Agent { name, id, version } => {
                ("agent", Some(name), Some(id), version.as_ref(), None)
            }
            Destination::Reject(reason) => {
                ("reject", None, None, None, Some(reason).filter(|reason| !reason.is_empty()))
            }
            Destination::Keep(why) => ("keep", None, None, None, Some(why)),
        };
        let mut told = json!({
            "rule": self.rule,
            "outcome": outcome,
            "agent": agent,
            "agent_id": agent_id,
            "agent_version": agent_version,
            "why": why,
        });
        if let Some(added_by) = &self.added_by {
            told["added_by"] = json!(added_by);
        }
        told
    }
}

impl LeftOut {
    fn as_str(&self) -> &'static str {
        match self {
            LeftOut::NoSource { .. } => "no_source",
            LeftOut::Fallback => "fallback",
            LeftOut::Numbers => "numbers",
            LeftOut::Unknown => "unknown",
        }
    }
}
