//! How calls find their rule: the index against the plain scan, both against the rule language told
//! a second time, and what is said of rules that no call finds.
//!
//! 256 cases a property, or as many as the environment variable `PROPTEST_CASES` says.

mod oracle;
mod replayed;
mod sheet;
mod unreached;

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
use switchboard::domain::phone_number::{Country, Party, PhoneNumber};
use switchboard::explain::{Question, explain_call};
use switchboard::rules;
use switchboard::rules::engine::explain::{Verdict, explain};
use switchboard::rules::engine::{decide, scan};
use switchboard::rules::{CheckContext, RuleSet, matches_many};
use switchboard::settings::Purpose;

use crate::properties::{any_party, any_text, cases, quoted};
use crate::support::app;
use oracle::Told;
use sheet::{Setting, Sheet, any_nested_sheet, any_recipe, any_ring, any_setting, any_sheet};

/// Holds something for calls of all kinds at tables of all kinds.
#[track_caller]
fn for_calls(check: impl Fn(&Sheet, &RuleSet, &Call<'_>, &Setting) -> Result<(), TestCaseError>) {
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
        let text = |party: &Party| party.unmasked().into_owned();
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
    let added = decision.additions();
    let variables = added.variables.iter();
    let variables: BTreeMap<_, _> =
        variables.map(|one| (one.name.to_owned(), one.value.to_string())).collect();
    assert_eq!(variables.len(), added.variables.len(), "each name once");
    let by = added.rules.iter().map(|rule| (*rule).to_owned()).collect();
    Told { rule: decision.rule().map(str::to_owned), by, outcome, variables }
}

#[test]
fn an_explanation_tells_every_rule_until_the_deciding_one() {
    for_calls(|_, table, call, setting| {
        let facts = Facts { at: setting.at };
        let decision = decide(table, call, &facts);
        let whole = explain(table, call, &facts, true).expect("index and scan agree");
        prop_assert_eq!(&whole.decision, &decision);
        prop_assert_eq!(whole.omitted, 0);
        for (at, step) in whole.steps.iter().enumerate() {
            prop_assert_eq!((step.number, step.rule), (at + 1, &*table.rules[at].name));
            let expected = match &step.verdict {
                Verdict::NoMatch(why) => {
                    prop_assert!(!why.is_empty(), "{} does not say why", step.rule);
                    continue;
                }
                Verdict::Adds => decision.additions().rules.contains(&step.rule),
                Verdict::Decides => at + 1 == whole.steps.len(),
            };
            prop_assert!(expected, "{:?}", step);
        }
        let deciding = whole.steps.last().filter(|step| step.verdict == Verdict::Decides);
        prop_assert_eq!(deciding.map(|step| step.rule), decision.rule());
        prop_assert!(deciding.is_some() || whole.steps.len() == table.rules.len());
        let adding = whole.steps.iter().filter(|step| step.verdict == Verdict::Adds);
        prop_assert_eq!(adding.count(), decision.additions().rules.len());

        let short = explain(table, call, &facts, false).expect("index and scan agree");
        prop_assert_eq!(&short.decision, &decision);
        prop_assert_eq!(short.steps.len() + short.omitted, whole.steps.len());
        prop_assert!(short.omitted == 0 || table.rules.len() > 20);
        let (listed, others): (Vec<_>, Vec<_>) =
            whole.steps.into_iter().partition(|step| short.steps.contains(step));
        prop_assert_eq!(listed, short.steps, "in the same order");
        for step in others {
            let Verdict::NoMatch(why) = &step.verdict else {
                return Err(TestCaseError::fail(format!("{} fits, and is not listed", step.rule)));
            };
            // Had it been asked for more than its channel and its numbers, these would fit.
            let of_numbers = ["to ", "from ", "channel "].iter().any(|word| why.starts_with(word));
            prop_assert!(of_numbers, "{:?}", step);
        }
        Ok(())
    });
}

// ---- rules that are never reached

/// The rules that are said never to be reached, and what is said of them.
fn never_reached(report: &Report) -> Vec<(String, String)> {
    let those = report.diagnostics().iter().filter(|mistake| mistake.code == "never-reached");
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
                    let reached = decision.rule() == Some(&name) || decision.additions().rules.contains(&&*name);
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

// ---- how the text is cut

/// What may stand around and inside of a rule without changing what it says.
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
fn a_long_text_says_the_same_as_a_short_one() {
    let folder = tempfile::tempdir().unwrap();
    let header = select(vec![
        "[[rule]]",
        "[[ rule ]] # [[test]]",
        "  [[rule]]",
        "[[\"rule\"]]",
        "[[ 'rule']]",
    ]);
    let paddings = prop::collection::vec((header, any_padding()), 8);
    let rings = prop::collection::vec(any_ring(), 8);
    let cut = Cell::new(0);
    proptest!(cases(), |(sheet in any_sheet(), paddings in paddings, rings in rings)| {
        let short = sheet.to_toml();
        let mut parts = short.split("[[rule]]\n");
        let mut long = parts.next().expect("the house").to_owned();
        for (at, (part, (header, padding))) in parts.zip(paddings.iter().cycle()).enumerate() {
            long += &format!("{header}\n{part}{}", padding.replace("NUMBER", &at.to_string()));
        }
        cut.set(cut.get() + usize::from(long.len() > 64 << 10));
        let one = sheet.table(folder.path())?;
        let loaded = sheet.load_as(long.clone(), folder.path());
        let other = loaded.table.ok_or_else(|| TestCaseError::fail(format!("{}\n{long}", loaded.report)))?;
        prop_assert_eq!(one.rules.len(), other.rules.len());
        for ring in rings {
            let (from, to) = ring.parties(&sheet);
            let call = sheet::call(&from, &to, &ring.setting);
            let facts = Facts { at: ring.setting.at };
            prop_assert_eq!(told(&decide(&one, &call, &facts)), told(&decide(&other, &call, &facts)));
        }
    });
    assert!(cut.get() > 3, "only {} texts were long enough to be cut", cut.get());
}

#[test]
fn rules_in_any_form_are_tried_in_the_order_in_which_they_are_written() {
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
    assert_eq!(names, "cab", "files by their names");
}

// ---- splits

/// A split of these hundredths of a percent each, and who takes this caller.
fn arm_of(text: &str, caller: &str) -> Result<Option<usize>, TestCaseError> {
    let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
    let table = loaded.table.ok_or_else(|| TestCaseError::fail(loaded.report.to_string()))?;
    let fields =
        Fields { from: Party::parse(Some(caller)).party, ..Fields::unknown(Channel::Call) };
    let call = Call::synthetic("north", Platform::new("retell"), fields);
    let decision = decide(&table, &call, &Facts { at: Timestamp::UNIX_EPOCH });
    let agent = decision.arm().map(|arm| format!("agent_{arm}"));
    let Outcome::Agent(chosen) = decision.outcome() else { return Ok(None) };
    prop_assert_eq!(agent.as_deref(), Some(chosen.name));
    Ok(decision.arm())
}

#[test]
fn a_split_goes_where_the_hash_of_name_and_caller_says() {
    let cuts = prop::collection::vec(0..=10_000_u16, 0..5);
    let name = any_text().prop_map(|text| format!("x{text}"));
    let key = prop::option::of(any_text());
    let caller = prop_oneof![
        4 => "[+][1-9][0-9]{6,14}",
        1 => "client:[a-z]{1,8}",
        1 => Just("anonymous".to_owned()),
    ];
    // Often an arm ends where the caller's place is, or just behind it.
    let edge = prop::option::of(0..2_u16);
    proptest!(cases(), |(mut cuts in cuts, edge in edge, name in name, key in key, caller in caller)| {
        let hashed = Sha256::digest(format!("{}\n{caller}", key.as_deref().unwrap_or(&name)));
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
        let arm = match Party::parse(Some(&caller)).party {
            Party::Withheld => 0,
            Party::Number(_) | Party::Literal(_) => cuts[1..].iter().position(|end| place < u64::from(*end)).expect("the last ends there"),
        };
        prop_assert_eq!(arm_of(&text, &caller)?, Some(arm));
    });
}

// ---- a test that somebody pastes

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
"#;

#[test]
fn an_explanation_as_a_test_passes_behind_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, report) = app::load_settings(SETTINGS, Purpose::Inspect);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let header =
        (prop_oneof![select(vec!["x-tier", "x-a", "x b"]).prop_map_into(), any_text()], any_text());
    let headers = prop::collection::vec(header, 0..3);
    let rings = prop::collection::vec((any_ring(), any_party(), headers), 2);
    proptest!(cases(), |(sheet in any_sheet(), rings in rings)| {
        let table = sheet.table(folder.path())?;
        for (at, (ring, stranger, headers)) in rings.into_iter().enumerate() {
            let (from, to) = ring.parties(&sheet);
            // What reads as a pattern (`+12*`, `GA`) or as a mistyped number is refused in a test.
            let is_refused = |text: &str| matches_many(&Party::parse(Some(text)).party.unmasked());
            let from = if at == 0 { stranger } else { from };
            if is_refused(&from) || is_refused(&to) {
                continue;
            }
            let mut fields = sheet::call(&from, &to, &ring.setting).into_fields();
            let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
            fields.sip.extend(headers.map(|(name, value)| (name.into(), value.into())));
            let question = Question {
                source: &settings.sources[ring.setting.source],
                fields: &fields,
                facts: Facts { at: ring.setting.at },
                all: false,
            };
            let inquiry = explain_call(&table, settings.sources.iter(), question).expect("index and scan agree");
            let text = format!("{}\n{}", sheet.to_toml(), inquiry.as_test());
            let path = folder.path().join("rules.toml").display().to_string();
            let (table, report) = app::parse_rules(&path, text, &settings.check_context());
            prop_assert!(table.is_some(), "{report}\n{}", inquiry.as_test());
        }
    });
}

#[test]
fn a_test_tells_the_two_times_apart_that_a_clock_shows_one_hour() {
    let (settings, report) = app::load_settings(SETTINGS, Purpose::Inspect);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    // When it is half past one for the second time, Berlin is at half past seven.
    let text = r#"
zone = "America/New_York"
[hours.early]
zone = "Europe/Berlin"
mon-sun = "06:00-07:00"
[[rule]]
name = "early"
hours = "early"
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
        let facts = Facts { at: at.parse().unwrap() };
        let source = &settings.sources[0];
        let question = Question { source, fields: &fields, facts, all: false };
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
fn the_key_of_a_number_is_its_own_and_leads_back_to_it() {
    proptest!(cases(), |(one in "[1-9][0-9]{0,14}", other in "[1-9]0{0,14}", key in any::<u64>())| {
        let whole = number(&one);
        prop_assert_eq!(whole.key() >> 62, 0);
        prop_assert_eq!(PhoneNumber::from_key(whole.key()), Some(whole));
        let mut grown = number(&one[..1]);
        for digits in 1..=one.len() {
            let begins = whole.prefix(digits).expect("it has as many");
            prop_assert_eq!(begins.unmasked(), format!("+{}", &one[..digits]));
            prop_assert!(whole.starts_with(begins) && begins == grown);
            for (text, number) in [(&one[..], whole), (&other, number(&other))] {
                prop_assert_eq!(begins.key() == number.key(), one[..digits] == *text);
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

/// All digits that can follow, up to three of them.
fn followed_by_up_to_three(digits: &str) -> impl Iterator<Item = String> {
    let more = |places: usize| (0..10_u32.pow(places as u32)).map(move |more| (places, more));
    let ends = (1..=3).flat_map(more);
    ends.map(move |(places, more)| format!("{digits}{more:0places$}"))
}

#[test]
fn the_country_of_a_prefix_is_that_of_every_number_that_begins_so() {
    let roots = select(vec![
        "", "1", "7", "44", "4474", "390669", "590590", "26270", "6189", "358", "212", "47",
    ]);
    proptest!(cases(), |(root in roots, rest in "[1-9][0-9]{0,9}", tail in "[0-9]{15}")| {
        let prefix = &format!("{root}{rest}")[..rest.len().max(root.len()).min(10)];
        let of_prefix = Country::from_prefix(prefix.parse().expect("digits"), prefix.len() as u32);
        let same = |digits: &str| country(digits) == of_prefix;
        if of_prefix.is_some() {
            prop_assert!(same(prefix));
            for length in prefix.len()..=15 {
                prop_assert!(same(&format!("{prefix}{tail}")[..length]), "{prefix} {tail} {length}");
            }
            let other = followed_by_up_to_three(prefix).find(|digits| !same(digits));
            prop_assert_eq!(other, None);
        } else if prefix.len() >= 5 && country(prefix).is_some() {
            // What tells countries apart is no longer than eight digits.
            let own = country(prefix);
            prop_assert!(followed_by_up_to_three(prefix).any(|digits| country(&digits) != own), "{prefix}");
        }
    });
}
