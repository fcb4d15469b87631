//! How calls find their rule: the index against the plain scan, both against the rule language told
//! a second time, and what is said of rules that no call finds.
//!
//! 256 cases a property, or as many as the environment variable `PROPTEST_CASES` says.

mod oracle;
mod sheet;

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use switchboard::call::{Call, Channel};
use switchboard::decide::explain::{Verdict, explain};
use switchboard::decide::{decide, scan};
use switchboard::decision::{Decision, Outcome};
use switchboard::facts::Facts;
use switchboard::report::Report;
use switchboard::rules::Table;

use crate::properties::cases;
use oracle::Told;
use sheet::{Setting, Sheet, any_nested_sheet, any_recipe, any_ring, any_setting, any_sheet};

/// Holds something for calls of all kinds at tables of all kinds.
#[track_caller]
fn for_calls(check: impl Fn(&Sheet, &Table, &Call<'_>, &Setting) -> Result<(), TestCaseError>) {
    let folder = tempfile::tempdir().unwrap();
    let rings = prop::collection::vec(any_ring(), 16);
    proptest!(cases(), |(sheet in any_sheet(), rings in rings)| {
        let table = sheet.table(folder.path())?;
        for ring in rings {
            let (from, to) = ring.parties(&sheet);
            let call = sheet::call(&from, &to, &ring.setting);
            check(&sheet, &table, &call, &ring.setting)
                .map_err(|error| TestCaseError::fail(format!("{from:?} rings {to:?}: {error}")))?;
        }
    });
}

#[test]
fn the_index_finds_what_the_scan_finds() {
    for_calls(|_, table, call, setting| {
        let facts = Facts { at: setting.at };
        prop_assert_eq!(decide(table, call, &facts), scan(table, call, &facts));
        Ok(())
    });
}

#[test]
fn what_is_decided_is_what_the_language_says() {
    for_calls(|sheet, table, call, setting| {
        let decision = decide(table, call, &Facts { at: setting.at });
        let text = |party: &switchboard::number::Party| party.in_full().into_owned();
        let expected = oracle::tell(sheet, &text(call.from()), &text(call.to()), setting);
        prop_assert_eq!(told(&decision), expected);
        Ok(())
    });
}

fn told(decision: &Decision<'_>) -> Told {
    let outcome = match decision.outcome() {
        _ if decision.arm().is_some() => "split".to_owned(),
        Outcome::Agent(chosen) => format!("agent {}", chosen.name),
        Outcome::Reject(reason) => format!("reject {reason}"),
        Outcome::Keep(_) => "keep".to_owned(),
    };
    let added = decision.added();
    let variables = added.variables.iter();
    let variables: BTreeMap<_, _> =
        variables.map(|one| (one.name.to_owned(), one.value.to_string())).collect();
    assert_eq!(variables.len(), added.variables.len(), "each name once");
    let by = added.by.iter().map(|rule| (*rule).to_owned()).collect();
    Told { rule: decision.rule().map(str::to_owned), by, outcome, variables }
}

#[test]
fn an_explanation_tells_every_rule_until_the_deciding_one() {
    for_calls(|_, table, call, setting| {
        let facts = Facts { at: setting.at };
        let decision = decide(table, call, &facts);
        let whole = explain(table, call, &facts, true).expect("index and scan agree");
        prop_assert_eq!(&whole.decision, &decision);
        prop_assert_eq!(whole.left_out, 0);
        for (at, step) in whole.steps.iter().enumerate() {
            prop_assert_eq!((step.number, step.rule), (at + 1, &*table.rules[at].name));
            let expected = match &step.verdict {
                Verdict::No(why) => {
                    prop_assert!(!why.is_empty(), "{} does not say why", step.rule);
                    continue;
                }
                Verdict::Adds => decision.added().by.contains(&step.rule),
                Verdict::Decides => at + 1 == whole.steps.len(),
            };
            prop_assert!(expected, "{:?}", step);
        }
        let deciding = whole.steps.last().filter(|step| step.verdict == Verdict::Decides);
        prop_assert_eq!(deciding.map(|step| step.rule), decision.rule());
        prop_assert!(deciding.is_some() || whole.steps.len() == table.rules.len());
        let adding = whole.steps.iter().filter(|step| step.verdict == Verdict::Adds);
        prop_assert_eq!(adding.count(), decision.added().by.len());

        let short = explain(table, call, &facts, false).expect("index and scan agree");
        prop_assert_eq!(&short.decision, &decision);
        prop_assert_eq!(short.steps.len() + short.left_out, whole.steps.len());
        prop_assert!(short.left_out == 0 || table.rules.len() > 20);
        let mut rest = whole.steps.iter();
        for step in &short.steps {
            let skipped = rest.by_ref().take_while(|other| *other != step);
            let all_no =
                skipped.fold(true, |all, other| all && matches!(other.verdict, Verdict::No(_)));
            prop_assert!(all_no, "a rule that fits is not listed");
        }
        prop_assert!(rest.all(|other| matches!(other.verdict, Verdict::No(_))));
        Ok(())
    });
}

// ---- rules that are never reached

/// The rules that are said never to be reached, and what is said of them.
fn never_reached(report: &Report) -> Vec<(String, String)> {
    let those = report.mistakes().iter().filter(|mistake| mistake.code == "never-reached");
    those
        .map(|mistake| {
            let name = mistake.message.split('`').nth(1).expect("the rule's name");
            (name.to_owned(), mistake.help.clone().unwrap_or_default())
        })
        .collect()
}

/// ``a call from X to Y goes to `R`; move it up, or take it out``: X, Y and R, and whether a rule
/// above R may take it.
fn example(help: &str) -> Option<(&str, &str, &str, bool)> {
    let (from, rest) = help.strip_prefix("a call from ")?.split_once(" to ")?;
    let (to, rest) = rest.split_once(" goes to `")?;
    let (taker, rest) = rest.split_once('`')?;
    Some((from, to, taker, rest.starts_with(" at the latest")))
}

#[test]
fn what_is_said_to_be_never_reached_is_never_reached() {
    let folder = tempfile::tempdir().unwrap();
    let (said, examples) = (Cell::new(0), Cell::new(0));
    let recipes = || prop::collection::vec(any_recipe(), 8);
    let settings = prop::collection::vec(any_setting(), 8);
    proptest!(cases(), |(sheet in any_nested_sheet(), from in recipes(), to in recipes(), settings in settings)| {
        let table = sheet.table(folder.path())?;
        for (name, help) in never_reached(&sheet.load(folder.path()).report) {
            said.set(said.get() + 1);
            let line = &sheet.rules[name[1..].parse::<usize>().expect("r and its place")];
            let froms = from.iter().map(|one| one.party(&line.from, &sheet));
            let froms: Vec<_> = froms.chain(from.iter().map(|one| one.party(&[], &sheet))).collect();
            let tos = to.iter().map(|one| one.party(&line.to, &sheet));
            let tos: Vec<_> = tos.chain(to.iter().map(|one| one.party(&[], &sheet))).collect();
            for (at, from) in froms.iter().enumerate() {
                for to in &tos {
                    let setting = &settings[at % settings.len()];
                    let call = sheet::call(from, to, setting);
                    let decision = decide(&table, &call, &Facts { at: setting.at });
                    let reached = decision.rule() == Some(&name) || decision.added().by.contains(&&*name);
                    prop_assert!(!reached, "{from:?} rings {to:?}, {setting:?}, and {name} is reached");
                }
            }
            let Some((from, to, taker, at_the_latest)) = example(&help) else { continue };
            examples.set(examples.get() + 1);
            prop_assert!(oracle::numbers(&sheet, &line.from, from), "{from} does not ring {name}");
            prop_assert!(oracle::numbers(&sheet, &line.to, to), "{name} is not for {to}");
            let place = |rule: &str| rule[1..].parse::<usize>().expect("r and its place");
            for setting in settings.iter().filter(|setting| oracle::fits(&sheet, line, from, to, setting)) {
                let call = sheet::call(from, to, setting);
                let decision = decide(&table, &call, &Facts { at: setting.at });
                let decided = decision.rule().map(place);
                if at_the_latest {
                    prop_assert!(decided.is_some_and(|rule| rule <= place(taker)), "{}, {:?}", help, setting);
                } else if setting.channel == Channel::Call || !oracle::is_for_calls(line) {
                    prop_assert_eq!(decided, Some(place(taker)), "{}, {:?}", help, setting);
                }
            }
        }
    });
    assert!(
        said.get() > 20 && examples.get() > 20,
        "{} rules, {} examples",
        said.get(),
        examples.get()
    );
}
