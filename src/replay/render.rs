//! Output of a replay as text and JSON. Phone numbers are masked, except for targets of transfers.

use std::fmt::{self, Display};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::compare::{Change, Destination, Routing};
use super::{ExampleCall, Group, Groups, Replay, ReplayObstacle, ValueChange, ValueChanges};

/// Maximum number of groups in the text; JSON contains all.
const MAX_GROUPS: usize = 20;

/// Maximum number of changed values per field and group in the text.
const MAX_VALUES: usize = 3;

/// A replay as text, with times in a zone.
struct ReplayText<'r>(&'r Replay<'r>, &'r TimeZone);

impl Replay<'_> {
    /// Formats the changes for people, largest groups first, with times in `zone`.
    pub fn to_text<'r>(&'r self, zone: &'r TimeZone) -> impl Display + 'r {
        ReplayText(self, zone)
    }
}

impl Display for ReplayText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReplayText(replay, zone) = self;
        if let Some((first, last)) = replay.span {
            let calls = plural(replay.replayed(), "call");
            let (first, last) = (local(first, zone), local(last, zone));
            let zone = zone.iana_name().unwrap_or("local time");
            writeln!(f, "{calls} replayed, from {first} to {last} ({zone}):\n")?;
            for (count, label) in [
                (replay.unchanged, "unchanged"),
                (replay.rerouted.calls(), "rerouted"),
                (replay.payload_changed.calls(), "same destination, different payload"),
                (replay.rule_changed.calls(), "same reply, by different rules"),
            ] {
                writeln!(f, "{count:>7}  {label}")?;
            }
        }
        if !replay.without_lookup.is_empty() {
            writeln!(
                f,
                "\nDecided as if a look-up had no answer, since it was not asked at the time\n"
            )?;
        }
        for (name, calls) in &replay.without_lookup {
            writeln!(f, "{calls:>7}  look-up `{name}`")?;
        }
        if replay.replayed() == 0 {
            writeln!(f, "no call could be replayed")?;
        }
        section(f, "Rerouted", &replay.rerouted, |f, change, group| {
            writeln!(f, "{:>7}  {}", group.calls, rules(change))?;
            writeln!(f, "         {} → {}", change.old.destination, change.new.destination)?;
            examples(f, group, zone)
        })?;
        section(f, "Payload changed", &replay.payload_changed, |f, change, group| {
            writeln!(f, "{:>7}  {}, {}", group.calls, rules(change), change.old.destination)?;
            values(f, group)?;
            examples(f, group, zone)
        })?;
        section(f, "Rule changed", &replay.rule_changed, |f, change, group| {
            writeln!(f, "{:>7}  {}, {}", group.calls, rules(change), change.old.destination)
        })?;
        if !replay.left_out.is_empty() {
            writeln!(f, "\nNot replayed\n")?;
        }
        for (reason, calls) in &replay.left_out {
            writeln!(f, "{calls:>7}  {reason}")?;
        }
        Ok(())
    }
}

/// Writes the groups of a section, each with `write`.
fn section(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    groups: &Groups,
    write: impl Fn(&mut fmt::Formatter<'_>, &Change, &Group) -> fmt::Result,
) -> fmt::Result {
    let sorted = groups.sorted();
    if sorted.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}\n")?;
    for (change, group) in sorted.iter().take(MAX_GROUPS) {
        write(f, change, group)?;
    }
    let more = sorted.iter().skip(MAX_GROUPS).map(|(_, group)| group.calls);
    match more.len() {
        0 => Ok(()),
        others => {
            let calls: u64 = more.sum();
            let others = plural(others as u64, "more group");
            writeln!(f, "{calls:>7}  in {others}; --json shows all")
        }
    }
}

/// Writes the old and the new value of each changed field, the most frequent ones first.
fn values(f: &mut fmt::Formatter<'_>, group: &Group) -> fmt::Result {
    let sorted = group.values.sorted();
    for field in sorted.chunk_by(|(one, _), (other, _)| one.field == other.field) {
        for (ValueChange { field, old, new }, calls) in field.iter().take(MAX_VALUES) {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
            let calls = if *calls == group.calls { String::new() } else { format!("  ({calls})") };
            writeln!(f, "           {field}: {} → {}{calls}", shown(old), shown(new))?;
        }
        if let (Some((first, _)), more @ 1..) =
            (field.first(), field.len().saturating_sub(MAX_VALUES))
        {
            writeln!(
                f,
                "           {}: {}; --json shows all",
                first.field,
                plural(more as u64, "more change")
            )?;
        }
    }
    Ok(())
}

fn examples(f: &mut fmt::Formatter<'_>, group: &Group, zone: &TimeZone) -> fmt::Result {
    for ExampleCall { id, at, from, to } in &group.examples {
        writeln!(f, "           {}  {from} -> {to}  {id}", local(*at, zone))?;
    }
    Ok(())
}

/// Returns ``rule `a` → rule `b` ``, and the `continue` rules if they differ.
fn rules(change: &Change) -> String {
    let rule = |routing: &Routing| match &routing.rule {
        Some(rule) => format!("rule `{rule}`"),
        None => "no rule".to_owned(),
    };
    let (old, new) = (rule(&change.old), rule(&change.new));
    let mut text = if old == new { old } else { format!("{old} → {new}") };
    if let (Some(old), Some(new)) = (&change.old.added_by, &change.new.added_by) {
        let list = |rules: &[String]| match rules {
            [] => "none".to_owned(),
            rules => rules.iter().map(|rule| format!("`{rule}`")).collect::<Vec<_>>().join(", "),
        };
        text += &format!(" (continue rules: {} → {})", list(old), list(new));
    }
    text
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
            Destination::Transfer(target) => write!(f, "transfer to {target}"),
            Destination::Keep(reason) if reason == "rule" || reason == "no_rule" => {
                f.write_str("keep")
            }
            Destination::Keep(reason) => write!(f, "keep ({reason})"),
        }
    }
}

impl Display for ReplayObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayObstacle::NoSource { source, platform } => {
                write!(f, "source `{source}` ({platform}) is not in the settings")
            }
            ReplayObstacle::Fallback => {
                f.write_str("received the fallback reply; no rule decided them")
            }
            ReplayObstacle::Numbers => {
                f.write_str("stored with masked or hashed numbers, which rules cannot match")
            }
            ReplayObstacle::Lookups => {
                f.write_str("a look-up answered, and `[records] lookups` did not keep its answer")
            }
            ReplayObstacle::Unknown => {
                f.write_str("platform or channel is unknown to this version")
            }
        }
    }
}

/// Formats a time in a zone.
fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn plural(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

impl Replay<'_> {
    /// Returns the replay as JSON.
    pub fn to_json(&self) -> Value {
        let left_out = self.left_out.iter().map(|(reason, calls)| {
            let mut entry = json!({ "calls": calls, "reason": reason.as_str() });
            if let ReplayObstacle::NoSource { source, platform } = reason {
                entry["source"] = json!(source);
                entry["platform"] = json!(platform);
            }
            entry
        });
        json!({
            "fingerprint": self.table.fingerprint,
            "replayed": self.replayed(),
            "first": self.span.map(|(first, _)| first),
            "last": self.span.map(|(_, last)| last),
            "unchanged": self.unchanged,
            "rerouted": self.rerouted.to_json(),
            "payload_changed": self.payload_changed.to_json(),
            "rule_changed": self.rule_changed.to_json(),
            "left_out": left_out.collect::<Vec<_>>(),
            "without_lookup": self.without_lookup,
        })
    }
}

impl Groups {
    fn to_json(&self) -> Value {
        let groups = self.sorted().into_iter().map(|(change, group)| {
            let examples = group.examples.iter().map(|ExampleCall { id, at, from, to }| {
                json!({ "id": id, "at": at, "from": from, "to": to })
            });
            json!({
                "calls": group.calls,
                "old": change.old.to_json(),
                "new": change.new.to_json(),
                "fields": change.fields,
                "values": group.values.to_json(),
                "more_values": group.values.others,
                "examples": examples.collect::<Vec<_>>(),
            })
        });
        json!({ "calls": self.calls(), "groups": groups.collect::<Vec<_>>() })
    }
}

impl ValueChanges {
    fn to_json(&self) -> Value {
        let value = |text: &Option<String>| {
            text.as_deref().map(|text| serde_json::from_str::<Value>(text).unwrap_or_default())
        };
        let values = self.sorted().into_iter().map(|(ValueChange { field, old, new }, calls)| {
            json!({ "field": field, "old": value(old), "new": value(new), "calls": calls })
        });
        values.collect()
    }
}

impl Routing {
    fn to_json(&self) -> Value {
        let mut json = json!({
            "rule": self.rule,
            "outcome": self.destination.outcome(),
            "agent": null,
            "agent_id": null,
            "agent_version": null,
            "reason": null,
        });
        match &self.destination {
            Destination::Agent { name, id, version } => {
                json["agent"] = json!(name);
                json["agent_id"] = json!(id);
                json["agent_version"] = json!(version);
            }
            Destination::Reject(reason) if reason.is_empty() => {}
            Destination::Reject(reason) | Destination::Keep(reason) => {
                json["reason"] = json!(reason);
            }
            Destination::Transfer(target) => json["transfer"] = json!(target),
        }
        if let Some(added_by) = &self.added_by {
            json["added_by"] = json!(added_by);
        }
        json
    }
}

impl ReplayObstacle {
    fn as_str(&self) -> &'static str {
        match self {
            ReplayObstacle::NoSource { .. } => "no_source",
            ReplayObstacle::Fallback => "fallback",
            ReplayObstacle::Numbers => "numbers",
            ReplayObstacle::Lookups => "lookups",
            ReplayObstacle::Unknown => "unknown",
        }
    }
}
