//! Explanations and replays of recorded calls with look-ups: how each ended then, not now.

use serde_json::json;
use switchboard::explain::recorded::{
    RecordedExplanation, TableChoice, WantedRules, explain_recorded,
};
use switchboard::replay::Replay;
use switchboard::rules::RuleSet;
use switchboard::settings::Purpose;
use switchboard::source::Source;

use super::{CALLER, call_from, for_each_store, service_at};
use crate::support::app::{NOW_MS, SETTINGS, load_settings, parse_rules};

/// A table with a look-up at a port at which nothing listens.
fn rules(port: u16) -> String {
    format!(
        r#"
        [lookup.crm]
        url = "http://127.0.0.1:{port}/by-phone?phone=${{from}}"
        allow_private = true
        timeout_ms = 8000

        [lookup.history]
        timeout_ms = 8000

        [[rule]]
        name = "gold"
        where = {{ "crm.tier" = "gold" }}
        agent = "agent_gold"

        [[rule]]
        name = "everyone"
        agent = "agent_1"
        variables = {{ calls = "${{history.calls_1h|unknown}}" }}
        "#
    )
}

#[tokio::test]
async fn a_recorded_call_is_explained_with_the_states_of_then() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let rules = rules(listener.local_addr().expect("an address").port());
    drop(listener);
    for_each_store(async |store| {
        for keeps in [false, true] {
            let caller = if keeps { "+12137775555" } else { CALLER };
            let store = store.with(|records| records.lookups = keeps);
            let service = service_at(&store, &rules, NOW_MS);
            service.flush().await;
            service.send_call(&call_from(caller, None)).await;
            let record = service.calls().await.into_iter().rfind(|record| record.from == caller);
            let record = record.expect("the call");
            let (settings, _) = load_settings(SETTINGS, Purpose::Inspect);
            let sources = settings.expect("settings").sources;
            let table = service.app.live_table().shared_table();
            let named: Vec<&Source> = sources.iter().collect();
            let explanation = explain_recorded(
                &record,
                TableChoice::Given(&table),
                &named,
                WantedRules::default(),
            );
            let RecordedExplanation::Available { text, json, .. } = explanation else {
                panic!("no explanation");
            };
            let history = if keeps {
                "history: found ("
            } else {
                "history: found, its values were not kept ("
            };
            for expected in [
                "where crm.tier is unknown (the look-up failed)",
                "\nlook-up crm: failed, ",
                history,
            ] {
                assert!(text.contains(expected), "{expected}: {text}");
            }
            assert!(!text.contains("--live"), "nothing can be asked any more: {text}");
            assert_eq!(json["lookups"][0]["state"], "failed", "{json}");
            drop(table);
            service.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_replay_says_which_look_ups_were_not_asked_at_the_time() {
    for_each_store(async |store| {
        let store = store.with(|records| records.lookups = true);
        let service = service_at(&store, &rules(1), NOW_MS);
        service.flush().await;
        service.send_call(&call_from(CALLER, None)).await;
        service.send_call(&call_from("+12137775555", None)).await;
        let calls = service.calls().await;
        let (settings, _) = load_settings(SETTINGS, Purpose::Inspect);
        let settings = settings.expect("settings");
        let shop = "[lookup.shop]\nurl = \"https://shop.example.com/${from}\"\n\
                    [[rule]]\nname = \"orders\"\nwhere = { \"shop.orders\" = \">= 1\" }\nagent = \"agent_2\"\n";
        let next = rules(1).replacen("[[rule]]", &format!("{shop}[[rule]]"), 1);
        let (next, report) = parse_rules("rules.toml", next, &settings.check_context());
        let next = next.unwrap_or_else(|| panic!("{report}"));
        let current = service.app.live_table().shared_table();
        let tables: [(&RuleSet, _); 2] = [(&current, json!({})), (&next, json!({ "shop": 2 }))];
        for (table, without) in tables {
            let mut replay = Replay::new(table, &settings.sources, 3);
            calls.iter().for_each(|record| replay.call(record));
            assert_eq!(replay.to_json()["without_lookup"], without);
            assert_eq!(replay.replayed(), 2);
            let text = replay.to_text(&jiff::tz::TimeZone::UTC).to_string();
            assert_eq!(text.contains("      2  look-up `shop`\n"), without != json!({}), "{text}");
        }
        drop(current);
        service.stop().await;
    })
    .await;
}
