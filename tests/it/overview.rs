//! The overview of a rule table says what the table does: hours as they are evaluated, entries of lists as
//! they are found, and rules where they are written.

use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::sample::select;
use switchboard::domain::party::Party;
use switchboard::rules::overview::{
    AgentUse, FoundEntry, HoursDay, ListOrigin, OutcomeKind, Overview, PageRequest, RuleOutcome,
    RuleState, SplitOwner,
};
use switchboard::rules::{self, CheckContext, Hours, LoadedTable, RuleSet, TablePlaces};

use crate::properties::cases;

const TABLE: &str = r#"zone = "America/New_York"

[agents]
desk = "agent_desk"
night = { retell = "agent_n1ght", synthflow = "1717" }
unused = "agent_0"

[lists.vip]
numbers = ["+12137771234", "+4930901820*", "=sip:bob@example.com"]

[lists.stores]
file = "stores.csv"

[dates.holidays]
days = ["12-25", "4th thu of nov"]

[hours.office]
mon-fri = "09:00-12:30, 13:30-18:00"
sat = "22:00-02:00"
closed = "holidays"
open = { "2026-12-24" = "09:00-12:00" }

[splits.trial]
arms = [{ agent = "desk", percent = 25 }, { agent = "night", percent = 75 }]

# People we know
[[rule]]
name = "vip"
from = ["@vip", "!+12137779999"]
agent = "desk"
variables = { tier = "gold" }
delay_ms = 3000

[[rule]]
name = "paused"
enabled = false
reject = true

[[rule]]
name = "stores"
to = "@stores"
agent = "${stores.agent|night}"
hours = "office"

[[rule]]
name = "moved"
to = "+12135550111"
transfer = "+12137771234"

[[rule]]
name = "greeting"
from = ["US", "CA"]
split = [{ agent = "desk", percent = 90.5 }, { agent = "night", percent = 9.5 }]

[[rule]]
name = "trial"
channel = "sms"
split = "trial"

[[rule]]
name = "everyone else"
reject = "closed"

[[rule]]
name = "too late"
from = "DE"
keep = true
"#;

const STORES: &str = "number,agent,city\n+12135550100,desk,Rome\n+12135550101,night,Oslo\n\
                      +1213555*,desk,Bonn\n+12135550103,,Kyiv\n";

/// Loads a table from a folder with the list `stores.csv`.
fn load(text: &str) -> LoadedTable {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("stores.csv"), STORES).unwrap();
    let loaded = rules::load(&path, &CheckContext::default(), &mut |_| {}).unwrap();
    assert!(loaded.table.is_some(), "{}", loaded.report);
    loaded
}

fn with_overview(text: &str, check: impl FnOnce(Overview<'_>)) {
    let loaded = load(text);
    let places = TablePlaces::new(&loaded);
    check(Overview::new(loaded.table.as_ref().unwrap(), Some(&places)));
}

#[test]
fn rules_are_in_order_with_their_lines_outcomes_and_marks() {
    with_overview(TABLE, |overview| {
        let rules = overview.rules(PageRequest::first());
        let shown = rules.items.iter().map(|rule| {
            let outcome = rule.outcome.as_ref().map_or("-".to_owned(), RuleOutcome::text);
            format!("{:?} {}: {outcome}", rule.number, rule.name)
        });
        let shown: Vec<_> = shown.collect();
        assert_eq!(
            shown,
            [
                "Some(1) vip: agent desk",
                "None paused: -",
                "Some(2) stores: agent named ${stores.agent|night}",
                "Some(3) moved: transfer to +1213***1234",
                "Some(4) greeting: split desk 90.5 %, night 9.5 %",
                "Some(5) trial: split desk 25 %, night 75 %",
                "Some(6) everyone else: reject closed",
                "Some(7) too late: keep the platform's own agent",
            ]
        );
        let vip = &rules.items[0];
        assert_eq!(vip.outcome.as_ref().unwrap().kind, OutcomeKind::Agent);
        assert_eq!(vip.adds, ["variables tier", "3000 ms of ringing"]);
        assert_eq!(vip.uses.lists, ["vip"]);
        let conditions = &vip.conditions[0];
        assert_eq!((&*conditions.key, &*conditions.value), ("from", "@vip, !+12137779999"));
        let text = vip.text.as_ref().unwrap();
        assert!(text.pieces[0].text.starts_with("# People we know\n[[rule]]\nname = \"vip\"\n"));
        assert!(text.pieces[0].text.ends_with("delay_ms = 3000\n"));
        let first_line = TABLE.lines().position(|line| line.starts_with("# People")).unwrap() + 1;
        assert_eq!(text.pieces[0].line, first_line);
        assert_eq!(vip.place.as_ref().unwrap().line, first_line + 2);
        assert_eq!(rules.items[1].state, RuleState::Disabled);
        let stores = &rules.items[2].uses;
        assert_eq!(
            (&stores.agents[..], &stores.hours[..]),
            (&["night".to_owned()][..], &["office".to_owned()][..])
        );
        let reason = "rule `everyone else` above it takes its calls".to_owned();
        assert_eq!(rules.items[7].state, RuleState::Unreachable(reason));
        let unreachable = overview.unreachable_rules(PageRequest::first());
        assert_eq!((unreachable.total, &*unreachable.items[0].name), (1, "too late"));
        assert_eq!(overview.rule("paused").unwrap().number, None);
        assert_eq!(overview.rule("nobody"), None);
    });
}

#[test]
fn pages_and_searches_count_everything() {
    with_overview(TABLE, |overview| {
        let request = PageRequest { search: "", offset: 2, limit: 2 };
        let page = overview.rules(request);
        let names: Vec<_> = page.items.iter().map(|rule| &*rule.name).collect();
        assert_eq!((names, page.total), (vec!["stores", "moved"], 8));
        let found = overview.rules(PageRequest { search: "ELSE", ..PageRequest::first() });
        assert_eq!((found.total, &*found.items[0].name), (1, "everyone else"));
    });
}

#[test]
fn agents_name_their_uses() {
    with_overview(TABLE, |overview| {
        let agents = overview.agents(PageRequest::first());
        let [desk, night, unused] = &agents.items[..] else { panic!("three agents") };
        let column =
            |rows| AgentUse::Column { list: "stores".to_owned(), column: "agent".to_owned(), rows };
        let arm = |share: &str| AgentUse::ArmOfRule("greeting".to_owned(), share.to_owned());
        let trial = |share: &str| AgentUse::ArmOfRule("trial".to_owned(), share.to_owned());
        let named = |share: &str| AgentUse::ArmOfSplit("trial".to_owned(), share.to_owned());
        let rule = AgentUse::Rule("vip".to_owned());
        assert_eq!(desk.uses, [rule, arm("90.5 %"), trial("25 %"), named("25 %"), column(2)]);
        let default = AgentUse::DefaultOfRule("stores".to_owned());
        assert_eq!(night.uses, [default, arm("9.5 %"), trial("75 %"), named("75 %"), column(1)]);
        assert_eq!((unused.uses.len(), unused.use_count), (0, 0));
        assert_eq!(night.ids[0].platform.as_deref(), Some("retell"));
        assert_eq!(desk.ids[0].platform, None);
        assert_eq!(overview.agent("desk").as_ref(), Some(desk));
        assert!(desk.place.as_ref().unwrap().file.ends_with("rules.toml"));
        assert_eq!(desk.place.as_ref().unwrap().line, 4);
    });
}

#[test]
fn a_party_is_found_in_lists_as_rules_find_it() {
    with_overview(TABLE, |overview| {
        let lists = overview.lists(PageRequest::first()).items;
        assert_eq!((lists[0].origin.clone(), lists[0].rows), (ListOrigin::Table, 3));
        assert!(matches!(&lists[1].origin, ListOrigin::File(file) if file.ends_with("stores.csv")));
        assert_eq!((lists[1].rows, &lists[1].columns[..]), (4, &["agent".to_owned()][..]));
        assert_eq!(lists[1].used_by.first, ["stores"]);
        let search = |party: &str| overview.search_lists(party, None).unwrap();
        let exact = &search("+1 (213) 555-0101")[0];
        assert_eq!(
            (&*exact.list, &*exact.entry, exact.is_prefix),
            ("stores", "+12135550101", false)
        );
        assert_eq!(exact.columns, [("agent".to_owned(), "night".to_owned())]);
        let place = exact.place.as_ref().unwrap();
        assert!(place.file.ends_with("stores.csv"));
        assert_eq!(place.line, 3);
        let prefix = &search("+12135559999")[0];
        assert_eq!((&*prefix.entry, prefix.is_prefix), ("+1213555*", true));
        let vip: &FoundEntry = &search("+4930901820123")[0];
        assert_eq!((&*vip.entry, vip.place.as_ref().unwrap().line), ("+4930901820*", 8));
        assert_eq!(search("=sip:bob@example.com")[0].list, "vip");
        assert_eq!(search("+12125550100"), []);
        assert_eq!(search("withheld"), []);
        assert_eq!(overview.search_lists("+12137771234", Some("stores")).unwrap(), []);
        assert!(overview.search_lists("+1213*", None).is_err());
        assert!(overview.search_lists("2137771234", None).unwrap_err().contains("country code"));
        assert_eq!(overview.list("vip").unwrap().name, "vip");
        assert_eq!(overview.list("vi"), None);
    });
}

#[test]
fn splits_have_declared_shares() {
    with_overview(TABLE, |overview| {
        let splits = overview.rule_splits(PageRequest::first()).items;
        let shares = splits[0].arms.iter().map(|arm| (&*arm.agent, arm.hundredths));
        assert_eq!(shares.collect::<Vec<_>>(), [("desk", 9_050), ("night", 950)]);
        assert_eq!((splits.len(), splits[0].owner), (2, SplitOwner::Rule));
        let named = overview.named_splits(PageRequest::first()).items;
        assert_eq!(
            (&*named[0].name, &named[0].used_by.first[..]),
            ("trial", &["trial".to_owned()][..])
        );
    });
}

#[test]
fn hours_name_the_exceptions_of_the_next_days() {
    with_overview(TABLE, |overview| {
        let now = "2026-12-20T15:00:00Z".parse().unwrap();
        let office = &overview.hours(PageRequest::first(), now).items[0];
        let spans = |day: &HoursDay| -> Vec<(u16, u16)> {
            day.spans.iter().map(|span| (span.start, span.end)).collect()
        };
        let week: Vec<_> = office.week.iter().map(|day| (day.weekday, spans(day))).collect();
        assert_eq!(week[0], ("Monday", vec![(540, 750), (810, 1080)]));
        assert_eq!(week[5], ("Saturday", vec![(1320, 1440)]));
        assert_eq!(week[6], ("Sunday", vec![(0, 120)]));
        assert!(!office.is_open && office.status.starts_with("office is closed on Sun"));
        assert_eq!((office.days.len(), &*office.days[0].date), (14, "2026-12-20"));
        assert_eq!(spans(&office.days[0]), [(0, 120)]);
        let exceptions: Vec<_> =
            office.days.iter().filter(|day| !day.exceptions.is_empty()).collect();
        let [eve, christmas] = exceptions[..] else { panic!("{exceptions:?}") };
        assert_eq!((&*eve.date, spans(eve)), ("2026-12-24", vec![(540, 720)]));
        assert_eq!(eve.exceptions[0].entry, "2026-12-24");
        assert_eq!(eve.exceptions[0].dates, None);
        assert_eq!((&*christmas.date, spans(christmas)), ("2026-12-25", vec![]));
        assert_eq!(christmas.exceptions[0].dates.as_deref(), Some("holidays"));
        assert_eq!(christmas.exceptions[0].entry, "12-25");
        assert_eq!(office.used_by.first, ["stores"]);
        let holidays = &overview.dates(PageRequest::first(), now).items[0];
        assert_eq!((&*holidays.next[0].date, &*holidays.next[0].entry), ("2026-12-25", "12-25"));
        assert_eq!(holidays.next[1].date, "2027-11-25");
        assert_eq!(holidays.hours, ["office"]);
        assert_eq!(overview.hours_named("office", now).as_ref(), Some(office));
    });
}

#[test]
fn without_places_the_overview_has_no_lines() {
    let loaded = load(TABLE);
    let overview = Overview::new(loaded.table.as_ref().unwrap(), None);
    assert!(!overview.has_texts());
    let rules = overview.rules(PageRequest::first());
    assert_eq!((rules.total, &rules.items[0].text, &rules.items[0].place), (7, &None, &None));
}

// ---- pictures of hours and decisions agree

const ZONES: [&str; 6] = [
    "America/New_York",
    "Europe/Berlin",
    "UTC",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Denver",
];

/// Clock changes of these zones, and an ordinary day.
const TIMES: [&str; 6] = [
    "2026-10-24T12:00:00Z",
    "2026-10-28T03:00:00Z",
    "2027-03-08T12:00:00Z",
    "2027-03-24T23:59:59Z",
    "2026-04-01T00:00:00Z",
    "2026-07-01T10:00:00Z",
];

fn any_span() -> impl Strategy<Value = String> {
    let time = |start: u16, end: u16| {
        format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
    };
    let times = (0_u16..96, 0_u16..96).prop_filter("not empty", |(start, end)| start != end);
    times.prop_map(move |(start, end)| time(start * 15, end * 15))
}

fn any_spans() -> impl Strategy<Value = String> {
    proptest::collection::vec(any_span(), 1..3).prop_map(|spans| spans.join(", "))
}

/// Generates a table with the hours `h`.
fn any_hours() -> impl Strategy<Value = String> {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "mon-fri", "fri-mon"];
    let closed = [
        "even weeks",
        "10-25",
        "11-01",
        "2026-10-31..2026-11-02",
        "last sun of oct",
        "03-28",
        "07-04",
    ];
    let open = ["2026-11-01", "2026-10-25", "2027-03-14", "2027-03-28", "2026-07-05", "2026-04-05"];
    (
        select(days.to_vec()),
        any_spans(),
        select(ZONES.to_vec()),
        proptest::option::of((
            select(closed.to_vec()),
            proptest::option::of(select(ZONES.to_vec())),
        )),
        proptest::option::of((select(open.to_vec()), any_spans())),
    )
        .prop_map(|(day, spans, zone, closed, open)| {
            let mut table = String::new();
            let mut hours = format!("[hours.h]\nzone = \"{zone}\"\n{day} = \"{spans}\"\n");
            if let Some((day, zone)) = closed {
                hours.push_str("closed = \"d\"\n");
                let zone = zone.map(|zone| format!("zone = \"{zone}\"\n")).unwrap_or_default();
                table.push_str(&format!("[dates.d]\n{zone}days = [\"{day}\"]\n"));
            }
            if let Some((day, spans)) = open {
                hours.push_str(&format!("open = {{ \"{day}\" = \"{spans}\" }}\n"));
            }
            table + &hours + "[[rule]]\nname = \"r\"\nhours = \"h\"\nkeep = true\n"
        })
}

fn parse(text: &str) -> RuleSet {
    let loaded = rules::parse("rules.toml", text.to_owned(), &CheckContext::default());
    loaded.table.unwrap_or_else(|| panic!("{text}: {}", loaded.report))
}

/// Returns the quarter-hours of fourteen days from the start of the day of `now`.
fn quarters(hours: &Hours, now: Timestamp) -> Vec<Timestamp> {
    let first = hours.zone.to_datetime(now).date();
    let start = first.to_zoned(hours.zone.clone()).unwrap().timestamp();
    let end =
        first.checked_add(14.days()).unwrap().to_zoned(hours.zone.clone()).unwrap().timestamp();
    let quarter = |number: i64| start.checked_add((number * 15).minutes()).unwrap();
    (0..).map(quarter).take_while(|at| *at < end).collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_picture_of_hours_agrees_with_each_quarter_of_an_hour(text in any_hours(), now in select(TIMES.to_vec())) {
        let table = parse(&text);
        let now: Timestamp = now.parse().unwrap();
        let entry = Overview::new(&table, None).hours_named("h", now).unwrap();
        let hours = &table.hours[0];
        for at in quarters(hours, now) {
            let status = hours.status(at);
            let date = status.local.date().to_string();
            let day = entry.days.iter().find(|day| day.date == date).unwrap();
            let minute = status.local.hour() as u16 * 60 + status.local.minute() as u16;
            let mut spans = day.spans.iter();
            let is_open = spans.any(|span| {
                (span.from..span.until).contains(&at) && (span.start..span.end).contains(&minute)
            });
            prop_assert_eq!(is_open, status.open, "{} at {}", status, at);
            let is_exception = !day.exceptions.is_empty();
            let reason = format!("{:?}", status.reason);
            prop_assert!(is_exception || reason == "Week" || reason == "DayBefore", "{}", reason);
        }
    }

    #[test]
    fn entries_of_lists_are_those_that_rules_match(numbers in proptest::collection::vec("\\+1213555[0-9]{0,4}", 1..20), caller in "\\+1213555[0-9]{4}") {
        let lists: Vec<_> = numbers.chunks(4).enumerate().map(|(index, numbers)| {
            let texts = numbers.iter().map(|number| match number.len() {
                12 => format!("\"{number}\""),
                _ => format!("\"{number}*\""),
            });
            format!("[lists.l{index}]\nnumbers = [{}]\n", texts.collect::<Vec<_>>().join(", "))
        }).collect();
        let table = parse(&(lists.concat() + "[[rule]]\nname = \"r\"\nkeep = true\n"));
        let party = Party::parse(Some(&caller)).party;
        let matched: Vec<_> = {
            let resolved = table.lists.lookup(&party);
            let mut lists: Vec<_> = resolved.lists().collect();
            lists.sort();
            lists.iter().map(|list| table.lists.list(*list).name.to_string()).collect()
        };
        let found = Overview::new(&table, None).search_lists(&caller, None).unwrap();
        for entry in &found {
            let is_match = match entry.entry.strip_suffix('*') {
                Some(prefix) => caller.starts_with(prefix),
                None => caller == entry.entry,
            };
            prop_assert!(is_match, "{:?}", entry);
        }
        prop_assert_eq!(found.into_iter().map(|entry| entry.list).collect::<Vec<_>>(), matched);
    }
}
