//! Matching of calls to rules: the index agrees with the scan, both agree with an oracle, and rules
//! reported as never reached are not reached.
//!
//! Each property has 256 cases, or the number in the environment variable `PROPTEST_CASES`.

mod lookups;
mod model;
mod oracle;
mod replay;
mod scopes;
mod unreachable;

use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use sha2::{Digest, Sha256};
use switchboard::diagnostics::Report;
use switchboard::domain::call::{Call, Channel, Fields, Platform};
use switchboard::domain::decision::{Decision, Outcome};
use switchboard::domain::facts::Facts;
use switchboard::domain::party::Party;
use switchboard::domain::phone_number::{Country, PhoneNumber};
use switchboard::explain::{Question, explain_call};
use switchboard::rules;
use switchboard::rules::engine::explain::{Listed, Verdict, explain};
use switchboard::rules::engine::{decide, decide_offline, scan};
use switchboard::rules::{CheckContext, RuleSet, matches_many};
use switchboard::settings::Purpose;

use crate::properties::{any_party, any_text, cases, quoted};
use crate::support::app;
use model::{
    CallContext, TableModel, any_call, any_context, any_nested_table, any_party_generator,
    any_scoped_table, any_table,
};
use oracle::Summary;

/// Checks a property for generated calls and tables.
#[track_caller]
fn check_calls(
    check: impl Fn(&TableModel, &RuleSet, &Call<'_>, &CallContext) -> Result<(), TestCaseError>,
) {
    check_calls_of(any_table(), check);
}

/// Checks a property for generated calls, and tables of a generator.
#[track_caller]
fn check_calls_of(
    tables: BoxedStrategy<TableModel>,
    check: impl Fn(&TableModel, &RuleSet, &Call<'_>, &CallContext) -> Result<(), TestCaseError>,
) {
    let folder = tempfile::tempdir().unwrap();
    let generated_calls = prop::collection::vec(any_call(), 16);
    proptest!(cases(), |(model in tables, generated_calls in generated_calls)| {
        let (model, outside) = scopes::without_rules_outside(model, folder.path());
        let table = model.table(folder.path())?;
        for generated in generated_calls {
            let (from, to) = generated.parties(&model);
            let call = model::call(&from, &to, &generated.context);
            for rule in &outside {
                let is_match = oracle::matches(&model, rule, &from, &to, &generated.context);
                prop_assert!(!is_match, "{rule:?} is reported as outside its scope");
            }
            check(&model, &table, &call, &generated.context)
                .map_err(|error| TestCaseError::fail(format!("call from {from:?} to {to:?}: {error}")))?;
        }
    });
}

#[test]
fn the_index_and_the_scan_decide_alike() {
    check_calls(|_, table, call, context| {
        let facts = Facts::at(context.at);
        prop_assert_eq!(decide(table, call, &facts), scan(table, call, &facts));
        Ok(())
    });
}

#[test]
fn decisions_agree_with_the_oracle() {
    check_calls(|model, table, call, context| {
        let decision = decide_offline(table, call, &Facts::at(context.at));
        let text = |party: &Party| party.unmasked().into_owned();
        let expected = oracle::decide(model, &text(call.from()), &text(call.to()), context);
        prop_assert_eq!(summarize(&decision), expected);
        Ok(())
    });
}

fn summarize(decision: &Decision<'_>) -> Summary {
    let outcome = match decision.outcome() {
        _ if decision.arm().is_some() => "split".to_owned(),
        Outcome::Agent(chosen) => format!("agent {}", chosen.name),
        Outcome::Reject(reason) => format!("reject {reason}"),
        Outcome::Transfer(target) => format!("transfer {}", target.unmasked()),
        Outcome::Keep(_) => "keep".to_owned(),
    };
    let added = decision.additions();
    let variables = added.variables.iter();
    let variables: BTreeMap<_, _> =
        variables.map(|one| (one.name.to_owned(), one.value.to_string())).collect();
    assert_eq!(variables.len(), added.variables.len(), "duplicate variables");
    let added_by = added.rules.iter().map(|rule| (*rule).to_owned()).collect();
    Summary { rule: decision.rule().map(str::to_owned), added_by, outcome, variables }
}

#[test]
fn an_explanation_lists_every_rule_up_to_the_deciding_one() {
    check_calls(|_, table, call, context| {
        let facts = Facts::at(context.at);
        let decision = decide_offline(table, call, &facts);
        let mut whole = explain(table, call, &facts, Listed::All).expect("index and scan agree");
        prop_assert_eq!(&whole.decision, &decision);
        prop_assert_eq!(whole.omitted, 0);
        prop_assert_eq!(whole.steps.len(), table.rules.len(), "every rule is listed");
        let tried =
            whole.steps.iter().take_while(|step| !matches!(step.verdict, Verdict::NotTried(_)));
        let tried = tried.count();
        for step in whole.steps.drain(tried..) {
            prop_assert!(matches!(step.verdict, Verdict::NotTried(_)), "{:?}", step);
        }
        for (at, step) in whole.steps.iter().enumerate() {
            prop_assert_eq!((step.number, step.rule), (at + 1, &*table.rules[at].name));
            let expected = match &step.verdict {
                Verdict::NoMatch(why) => {
                    prop_assert!(!why.is_empty(), "{} has no reason", step.rule);
                    continue;
                }
                Verdict::Adds => decision.additions().rules.contains(&step.rule),
                Verdict::Decides => at + 1 == whole.steps.len(),
                Verdict::NotTried(_) => false,
            };
            prop_assert!(!step.because.is_empty(), "{} has no reason", step.rule);
            prop_assert!(expected, "{:?}", step);
        }
        let deciding = whole.steps.last().filter(|step| step.verdict == Verdict::Decides);
        prop_assert_eq!(deciding.map(|step| step.rule), decision.rule());
        prop_assert!(deciding.is_some() || whole.steps.len() == table.rules.len());
        let adding = whole.steps.iter().filter(|step| step.verdict == Verdict::Adds);
        prop_assert_eq!(adding.count(), decision.additions().rules.len());

        let short = explain(table, call, &facts, Listed::Relevant).expect("index and scan agree");
        prop_assert_eq!(&short.decision, &decision);
        prop_assert_eq!(short.steps.len() + short.omitted, whole.steps.len());
        prop_assert!(short.omitted == 0 || table.rules.len() > 20);
        let (listed, others): (Vec<_>, Vec<_>) =
            whole.steps.into_iter().partition(|step| short.steps.contains(step));
        prop_assert_eq!(listed, short.steps, "in the same order");
        for step in others {
            let Verdict::NoMatch(why) = &step.verdict else {
                return Err(TestCaseError::fail(format!(
                    "{} matches and is not listed",
                    step.rule
                )));
            };
            // Only rules whose channel or numbers do not match are left out.
            let is_by_numbers =
                ["to ", "from ", "channel "].iter().any(|word| why.starts_with(word));
            prop_assert!(is_by_numbers, "{:?}", step);
        }
        Ok(())
    });
}

// ---- rules that are never reached

/// Returns the names of the rules reported as never reached, with the help text of each.
fn never_reached(report: &Report) -> Vec<(String, String)> {
    let diagnostics =
        report.diagnostics().iter().filter(|diagnostic| diagnostic.code == "never-reached");
    diagnostics
        .map(|diagnostic| {
            let name = diagnostic.message.split('`').nth(1).expect("the rule's name");
            (name.to_owned(), diagnostic.help.clone().unwrap_or_default())
        })
        .collect()
}

/// Parses ``a call from X to Y goes to `R`; move it up, or take it out``. Returns X, Y and R, and whether a
/// rule above R may match.
fn example(help: &str) -> Option<(&str, &str, &str, bool)> {
    let (from, rest) = help.strip_prefix("a call from ")?.split_once(" to ")?;
    let (to, rest) = rest.split_once(" goes to `")?;
    let (taker, rest) = rest.split_once('`')?;
    Some((from, to, taker, rest.starts_with(" at the latest")))
}

#[test]
fn no_call_reaches_a_rule_reported_as_never_reached() {
    let folder = tempfile::tempdir().unwrap();
    let (reported, examples) = (Cell::new(0), Cell::new(0));
    let generators = || prop::collection::vec(any_party_generator(), 8);
    let contexts = prop::collection::vec(any_context(), 8);
    let tables = prop_oneof![any_nested_table(), any_scoped_table()];
    proptest!(cases(), |(model in tables, from in generators(), to in generators(), contexts in contexts)| {
        let (model, _) = scopes::without_rules_outside(model, folder.path());
        let table = model.table(folder.path())?;
        for (name, help) in never_reached(&model.load(folder.path()).report) {
            reported.set(reported.get() + 1);
            let rule = &model.rules[name[1..].parse::<usize>().expect("a name of the model")];
            let froms = from.iter().map(|one| one.party(&rule.from, &model));
            let froms: Vec<_> = froms.chain(from.iter().map(|one| one.party(&[], &model))).collect();
            let tos = to.iter().map(|one| one.party(&rule.to, &model));
            let tos: Vec<_> = tos.chain(to.iter().map(|one| one.party(&[], &model))).collect();
            for (at, from) in froms.iter().enumerate() {
                for to in &tos {
                    let context = &contexts[at % contexts.len()];
                    let call = model::call(from, to, context);
                    let decision = decide_offline(&table, &call, &Facts::at(context.at));
                    let reached = decision.rule() == Some(&name) || decision.additions().rules.contains(&&*name);
                    prop_assert!(!reached, "a call from {from:?} to {to:?} in {context:?} reaches {name}");
                }
            }
            let Some((from, to, taker, at_the_latest)) = example(&help) else { continue };
            examples.set(examples.get() + 1);
            prop_assert!(oracle::matches_party(&model, &rule.from, from), "{name} does not match calls from {from}");
            prop_assert!(oracle::matches_party(&model, &rule.to, to), "{name} does not match calls to {to}");
            let index = |name: &str| name[1..].parse::<usize>().expect("a name of the model");
            for context in contexts.iter().filter(|context| oracle::matches(&model, rule, from, to, context)) {
                let call = model::call(from, to, context);
                let decision = decide_offline(&table, &call, &Facts::at(context.at));
                let decided = decision.rule().map(index);
                if at_the_latest {
                    prop_assert!(decided.is_some_and(|decided| decided <= index(taker)), "{}, {:?}", help, context);
                } else if context.channel == Channel::Call || !oracle::can_match_calls(rule) {
                    prop_assert_eq!(decided, Some(index(taker)), "{}, {:?}", help, context);
                }
            }
        }
    });
    assert!(
        reported.get() > 20 && examples.get() > 20,
        "only {} rules, {} examples",
        reported.get(),
        examples.get()
    );
}

// ---- parsing in chunks

/// Generates lines that change the text of a rule but not its meaning.
fn any_padding() -> BoxedStrategy<String> {
    let line = select(vec![
        "[[rule]]",
        "[agents]",
        "name = \"x\"",
        "it's [\"one\", {of them",
        "]]]} # no",
        "\u{e9}",
        "",
    ]);
    let lines =
        (prop::collection::vec(line, 1..6), prop_oneof![4 => Just(1_usize), 1 => 100..300_usize])
            .prop_map(|(lines, times)| (lines.join("\n") + "\n").repeat(times));
    let comment = |lines: String| {
        let lines: String = lines.lines().map(|line| format!("# {line}\n")).collect();
        lines
    };
    prop_oneof![
        2 => lines.clone().prop_map(comment),
        2 => lines.clone().prop_map(|lines| format!("metadata = {{ note = \'\'\'\n{}\'\'\' }}\n", lines.replace('\'', ""))),
        2 => lines.prop_map(|lines| format!("metadata.note = \"\"\"\n{}\"\"\"\"\n", lines.replace('"', "\\\""))),
        1 => (1..300_usize).prop_map(|times| format!("metadata.note = [ # [\n{}]\n", "  [\"]\", \']\'], # [\n".repeat(times))),
        1 => Just("[rule.metadata]\nnote = [\n  [1],\n  [\n2]\n]\n".to_owned()),
        1 => Just("[dates.dNUMBER]\ndays = [\n  \"01-01\"\n]\n".to_owned()),
        1 => Just("[[test]]\nname = \"tNUMBER\"\n[test.expect]\nkeep = true\n".to_owned()),
    ]
    .boxed()
}

#[test]
fn a_table_parsed_in_chunks_decides_like_one_parsed_whole() {
    let folder = tempfile::tempdir().unwrap();
    let header = select(vec![
        "[[rule]]",
        "[[ rule ]] # [[test]]",
        "  [[rule]]",
        "[[\"rule\"]]",
        "[[ 'rule']]",
    ]);
    let paddings = prop::collection::vec((header, any_padding()), 8);
    let generated_calls = prop::collection::vec(any_call(), 8);
    let chunked = Cell::new(0);
    proptest!(cases(), |(model in any_table(), paddings in paddings, generated_calls in generated_calls, is_long in any::<bool>())| {
        let short = model.to_toml();
        let mut parts = short.split("[[rule]]\n");
        let mut long = parts.next().expect("the definitions").to_owned();
        if is_long {
            long += &"# [[rule]]\n".repeat(6_000);
        }
        for (at, (part, (header, padding))) in parts.zip(paddings.iter().cycle()).enumerate() {
            long += &format!("{header}\n{part}{}", padding.replace("NUMBER", &at.to_string()));
        }
        chunked.set(chunked.get() + usize::from(long.len() > 64 << 10));
        let one = model.table(folder.path())?;
        let loaded = model.load_text(long.clone(), folder.path());
        let other = loaded.table.ok_or_else(|| TestCaseError::fail(format!("{}\n{long}", loaded.report)))?;
        prop_assert_eq!(one.rules.len(), other.rules.len());
        for generated in generated_calls {
            let (from, to) = generated.parties(&model);
            let call = model::call(&from, &to, &generated.context);
            let facts = Facts::at(generated.context.at);
            prop_assert_eq!(summarize(&decide_offline(&one, &call, &facts)), summarize(&decide_offline(&other, &call, &facts)));
        }
    });
    assert!(chunked.get() > 3, "only {} texts were parsed in chunks", chunked.get());
}

#[test]
fn rules_are_tried_in_file_order_in_every_toml_form() {
    let order = |text: &str| {
        let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
        let table = loaded.table.unwrap_or_else(|| panic!("{}", loaded.report));
        table.rules.iter().map(|rule| rule.name.to_string()).collect::<String>()
    };
    let rule = |header: &str, name: &str| format!("{header}\nname = {name:?}\nkeep = true\n");
    for quoted in ["[[\"rule\"]]", "[['rule']]", "[[\"\\u0072ule\"]]"] {
        let text = rule("[[rule]]", "a") + &rule(quoted, "b") + &rule("[[rule]]", "c");
        assert_eq!(order(&text), "abc", "{quoted}");
    }
    let inline = "rule = [{ name = \"a\", keep = true }, { name = \"b\", keep = true }]\n";
    assert_eq!(order(inline), "ab");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("1.toml"), rule("[[rule]]", "c")).unwrap();
    std::fs::write(folder.path().join("2.toml"), inline).unwrap();
    let loaded = rules::load(folder.path(), &CheckContext::default(), &mut |_| {}).unwrap();
    let names =
        loaded.table.unwrap().rules.iter().map(|rule| rule.name.to_string()).collect::<String>();
    assert_eq!(names, "cab", "files are in the order of their names");
}

// ---- splits

/// Returns the arm of the split in `text` that a caller is assigned to.
fn arm_of(text: &str, caller: &str) -> Result<Option<usize>, TestCaseError> {
    let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
    let table = loaded.table.ok_or_else(|| TestCaseError::fail(loaded.report.to_string()))?;
    let fields =
        Fields { from: Party::parse(Some(caller)).party, ..Fields::unknown(Channel::Call) };
    let call = Call::synthetic("north", Platform::new("retell"), fields);
    let decision = decide_offline(&table, &call, &Facts::at(Timestamp::UNIX_EPOCH));
    let agent = decision.arm().map(|arm| format!("agent_{arm}"));
    let Outcome::Agent(chosen) = decision.outcome() else { return Ok(None) };
    prop_assert_eq!(agent.as_deref(), Some(chosen.name));
    Ok(decision.arm())
}

#[test]
fn the_hash_of_key_and_caller_selects_the_split_arm() {
    let cuts = prop::collection::vec(0..=10_000_u16, 0..5);
    let name = any_text().prop_map(|text| format!("x{text}"));
    let key = prop::option::of(any_text());
    let caller = prop_oneof![
        4 => "[+][1-9][0-9]{6,14}",
        1 => "client:[a-z]{1,8}",
        1 => Just("anonymous".to_owned()),
    ];
    // An arm often ends at the caller's hash or just after it.
    let edge = prop::option::of(0..2_u16);
    proptest!(cases(), |(mut cuts in cuts, edge in edge, name in name, key in key, caller in caller)| {
        // Mexican numbers lose the old mobile digit.
        let party = Party::parse(Some(&caller)).party;
        let hashed = Sha256::digest(format!("{}\n{}", key.as_deref().unwrap_or(&name), party.unmasked()));
        let place = u64::from_be_bytes(hashed[..8].try_into().expect("eight bytes")) % 10_000;
        cuts.extend(edge.map(|edge| place as u16 + edge));
        cuts.extend([0, 10_000]);
        cuts.sort_unstable();
        let arms = cuts.windows(2).enumerate().map(|(at, ends)| {
            let hundredths = ends[1] - ends[0];
            let percent = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            format!("{{ agent = \"agent_{at}\", percent = {percent} }}")
        });
        let arms = arms.collect::<Vec<_>>().join(", ");
        let split_key = key.iter().map(|key| format!("split_key = {}\n", quoted(key)));
        let split_key = split_key.collect::<String>();
        let text = format!("[[rule]]\nname = {}\nsplit = [{arms}]\n{split_key}", quoted(&name));
        let arm = match party {
            Party::Withheld => 0,
            Party::Number(_) | Party::Literal(_) => cuts[1..].iter().position(|end| place < u64::from(*end)).expect("the last arm ends at 10,000"),
        };
        prop_assert_eq!(arm_of(&text, &caller)?, Some(arm));
    });
}

// ---- tests made from explanations

const SETTINGS: &str = r#"
[sources.north]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
[sources.south]
platform = "synthflow"
secrets = ["env:SYNTHFLOW_SECRET"]
url_token = "env:URL_TOKEN"
[sources.west]
platform = "retell"
secrets = ["env:RETELL_API_KEY"]
[sources.zulu]
platform = "vapi"
secrets = ["env:RETELL_API_KEY"]
fallback = "desk"
"#;

#[test]
fn a_test_made_from_an_explanation_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, report) = app::load_settings(SETTINGS, Purpose::Inspect);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let header =
        (prop_oneof![select(vec!["x-tier", "x-a", "x b"]).prop_map_into(), any_text()], any_text());
    let headers = prop::collection::vec(header, 0..3);
    let generated_calls = prop::collection::vec((any_call(), any_party(), headers), 2);
    proptest!(cases(), |(model in any_table(), generated_calls in generated_calls)| {
        let table = model.table(folder.path())?;
        for (at, (generated, stranger, headers)) in generated_calls.into_iter().enumerate() {
            let (from, to) = generated.parties(&model);
            // A test rejects patterns (`+12*`, `GA`) and mistyped numbers.
            let is_rejected = |text: &str| matches_many(&Party::parse(Some(text)).party.unmasked());
            let from = if at == 0 { stranger } else { from };
            if is_rejected(&from) || is_rejected(&to) {
                continue;
            }
            let mut fields = model::call(&from, &to, &generated.context).into_fields();
            let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
            fields.sip.extend(headers.map(|(name, value)| (name.into(), value.into())));
            let question = Question {
                source: &settings.sources[generated.context.source],
                fields: &fields,
                facts: &Facts::at(generated.context.at),
                listed: Listed::Relevant,
            };
            let explained = explain_call(&table, settings.sources.iter(), question).expect("index and scan agree");
            let text = format!("{}\n{}", model.to_toml(), explained.as_test());
            let path = folder.path().join("rules.toml").display().to_string();
            let (table, report) = app::parse_rules(&path, text, &settings.check_context());
            prop_assert!(table.is_some(), "{report}\n{}", explained.as_test());
        }
    });
}

#[test]
fn a_generated_test_writes_the_offset_of_an_ambiguous_time() {
    let (settings, report) = app::load_settings(SETTINGS, Purpose::Inspect);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    // The second 01:30 in New York is 07:30 in Berlin.
    let text = r#"
zone = "America/New_York"
[hours.early]
zone = "Europe/Berlin"
mon-sun = "06:00-07:00"
[[rule]]
name = "early"
hours = "early"
unsupported = "keep"
reject = true
[[rule]]
name = "late"
keep = true
"#;
    let (table, report) =
        app::parse_rules("rules.toml", text.to_owned(), &settings.check_context());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let sip = [("x-a", "first"), ("x-b", "b"), ("x-a", "last")];
    let fields = Fields {
        sip: sip.map(|(name, value)| (name.into(), value.into())).into(),
        ..Fields::unknown(Channel::Call)
    };
    for (at, written) in [
        (
            "2026-11-01T05:30:00Z",
            "at = \"2026-11-01 01:30\"\nsip = { x-b = \"b\", x-a = \"last\" }\nexpect = { rule = \"early\"",
        ),
        (
            "2026-11-01T06:30:59Z",
            "at = \"2026-11-01T01:30:59-05:00\"\nsip = { x-b = \"b\", x-a = \"last\" }\nexpect = { rule = \"late\"",
        ),
    ] {
        let facts = Facts::at(at.parse().unwrap());
        let source = &settings.sources[0];
        let question =
            Question { source, fields: &fields, facts: &facts, listed: Listed::Relevant };
        let test = explain_call(&table, settings.sources.iter(), question).unwrap().as_test();
        assert!(test.contains(written), "{test}");
        let text = format!("{text}{test}");
        let (table, report) = app::parse_rules("rules.toml", text, &settings.check_context());
        assert!(table.is_some(), "{report}");
    }
}

// ---- numbers and countries

fn number(digits: &str) -> PhoneNumber {
    PhoneNumber::parse(&format!("+{digits}")).expect("a number")
}

#[test]
fn the_key_of_a_number_is_unique_and_reversible() {
    proptest!(cases(), |(one in "[1-9][0-9]{0,14}", other in "[1-9]0{0,14}", key in any::<u64>())| {
        let whole = number(&one);
        prop_assert_eq!(whole.key() >> 62, 0);
        prop_assert_eq!(PhoneNumber::from_key(whole.key()), Some(whole));
        let mut grown = number(&one[..1]);
        for digits in 1..=one.len() {
            let prefix = whole.prefix(digits).expect("the number has as many digits");
            prop_assert_eq!(prefix.unmasked(), format!("+{}", &one[..digits]));
            prop_assert!(whole.starts_with(prefix) && prefix == grown);
            for (text, number) in [(&one[..], whole), (&other, number(&other))] {
                prop_assert_eq!(prefix.key() == number.key(), one[..digits] == *text);
            }
            let next = one.as_bytes().get(digits).map(|digit| digit - b'0');
            grown = next.and_then(|digit| grown.with_digit(digit)).unwrap_or(grown);
        }
        prop_assert_eq!((whole.prefix(0), whole.prefix(one.len() + 1)), (None, None));
        prop_assert_eq!(whole.with_digit(0).is_some(), one.len() < 15);
        prop_assert_eq!(whole.with_digit(10), None);
        for key in [key, key & 0xffff, whole.key() ^ key & 0xff] {
            let Some(found) = PhoneNumber::from_key(key) else { continue };
            prop_assert_eq!(found.key(), key);
            prop_assert_eq!(PhoneNumber::parse(&found.unmasked()), Ok(found));
        }
    });
}

fn country(digits: &str) -> Option<Country> {
    Country::from_digits(digits.parse().expect("digits"), digits.len() as u8)
}

/// Returns `digits` with each suffix of one to three digits.
fn with_suffixes(digits: &str) -> impl Iterator<Item = String> {
    let more = |places: usize| (0..10_u32.pow(places as u32)).map(move |more| (places, more));
    let ends = (1..=3).flat_map(more);
    ends.map(move |(places, more)| format!("{digits}{more:0places$}"))
}

#[test]
fn the_country_of_a_prefix_is_the_country_of_every_number_that_begins_with_it() {
    let roots = select(vec![
        "", "1", "7", "44", "4474", "390669", "590590", "26270", "6189", "358", "212", "47",
    ]);
    proptest!(cases(), |(root in roots, rest in "[1-9][0-9]{0,9}", tail in "[0-9]{15}")| {
        let prefix = &format!("{root}{rest}")[..rest.len().max(root.len()).min(10)];
        let expected = Country::from_prefix(prefix.parse().expect("digits"), prefix.len() as u32);
        let same = |digits: &str| country(digits) == expected;
        if expected.is_some() {
            prop_assert!(same(prefix));
            for length in prefix.len()..=15 {
                prop_assert!(same(&format!("{prefix}{tail}")[..length]), "{prefix} {tail} {length}");
            }
            let other = with_suffixes(prefix).find(|digits| !same(digits));
            prop_assert_eq!(other, None);
        } else if prefix.len() >= 5 && country(prefix).is_some() {
            // The longest prefix of a country has eight digits.
            let own = country(prefix);
            prop_assert!(with_suffixes(prefix).any(|digits| country(&digits) != own), "{prefix}");
        }
    });
}
