//! `history` in rules, from the records of each kind of store.

use serde_json::json;
use switchboard::domain::call::Call;
use switchboard::domain::secret::Secret;
use switchboard::rules::engine::decide_offline;
use switchboard::settings::{NumberStorage, RecordsLocation, Wait};

use super::{CALLER, DIALLED, call as call_with_id, for_each_store, service_at};
use crate::support::app::NOW_MS;

const RULES: &str = r#"
    [agents]
    desk = "agent_desk"
    night = "agent_night"

    # The machine may be busy with other tests.
    [lookup.history]
    timeout_ms = 8000

    [[rule]]
    name = "too many calls"
    where = { "history.calls_1h" = ">= 3" }
    reject = "rate"

    [[rule]]
    name = "returning"
    where = { "history.last_seen_days" = "<= 30" }
    agent = "${history.last_agent|desk}"
    variables = { calls = "${history.calls_30d|0}", rule = "${history.last_rule|none}" }

    [[rule]]
    name = "night line"
    to = "+12137770001"
    agent = "night"

    [[rule]]
    name = "everyone"
    agent = "desk"
"#;

const HOUR_MS: i64 = 3_600_000;

fn call(from: &str, to: &str) -> serde_json::Value {
    json!({ "event": "call_inbound", "call_inbound": { "from_number": from, "to_number": to } })
}

#[tokio::test]
async fn a_caller_is_known_by_earlier_calls_to_the_same_source() {
    for_each_store(async |store| {
        let night = service_at(&store, RULES, NOW_MS);
        let first = night.send_call(&call(CALLER, "+12137770001")).await;
        assert_eq!(first["call_inbound"]["override_agent_id"], "agent_night");
        night.stop().await;
        if !store.is_persistent() {
            return;
        }
        let later = service_at(&store, RULES, NOW_MS + 5 * HOUR_MS);
        later.flush().await;
        let again = later.send_call(&call(CALLER, DIALLED)).await;
        assert_eq!(again["call_inbound"]["override_agent_id"], "agent_night", "the last agent");
        let variables = &again["call_inbound"]["dynamic_variables"];
        assert_eq!(*variables, json!({ "calls": "1", "rule": "night line" }));
        let stranger = later.send_call(&call("+12137779999", DIALLED)).await;
        assert_eq!(stranger["call_inbound"]["override_agent_id"], "agent_desk");
        let withheld = later.send_call(&call("anonymous", DIALLED)).await;
        assert_eq!(withheld["call_inbound"]["override_agent_id"], "agent_desk");
        later.stop().await;
    })
    .await;
}

/// Another connection holds the lock of the database, so nothing is written: the queue alone tells of the
/// calls.
#[tokio::test]
async fn calls_that_are_not_written_yet_count() {
    for_each_store(async |store| {
        let RecordsLocation::Sqlite(path) = &store.records.location else { return };
        let store = store.with(|records| records.wait = Wait::No);
        let service = service_at(&store, RULES, NOW_MS);
        service.flush().await;
        let other = rusqlite::Connection::open(path).expect("the database");
        other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        let mut agents = Vec::new();
        for number in 0..5 {
            let reply = service.send_call(&call(CALLER, &format!("+1213888{number:04}"))).await;
            agents.push(reply["call_inbound"]["override_agent_id"].clone());
        }
        other.execute_batch("ROLLBACK").expect("the lock is released");
        assert_eq!(agents[..3], ["agent_desk", "agent_desk", "agent_desk"]);
        assert!(agents[3].is_null() && agents[4].is_null(), "{agents:?}");
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn replicas_that_share_a_store_count_the_same() {
    for_each_store(async |store| {
        if !matches!(store.records.location, RecordsLocation::Postgres(_)) {
            return;
        }
        let (one, two) = (service_at(&store, RULES, NOW_MS), service_at(&store, RULES, NOW_MS));
        for (number, service) in [&one, &two, &one].into_iter().enumerate() {
            let reply = service.send_call(&call(CALLER, &format!("+1213888{number:04}"))).await;
            assert!(reply["call_inbound"]["override_agent_id"].is_string(), "{reply}");
        }
        for service in [&one, &two] {
            let reply = service.send_call(&call(CALLER, DIALLED)).await;
            assert!(reply["call_inbound"]["override_agent_id"].is_null(), "{reply}");
        }
        one.stop().await;
        two.stop().await;
    })
    .await;
}

#[tokio::test]
async fn hashed_numbers_have_a_history_and_masked_ones_have_none() {
    for_each_store(async |store| {
        let key = Secret::new("key_0123456789abcdef");
        for (numbers, known) in [(NumberStorage::Hashed(key), true), (NumberStorage::Masked, false)]
        {
            let store = store.with(|records| records.numbers = numbers);
            let service = service_at(&store, RULES, NOW_MS + HOUR_MS * i64::from(known));
            service.flush().await;
            for number in 0..4 {
                service.send_call(&call(CALLER, &format!("+1213888{number:04}"))).await;
            }
            let reply = service.send_call(&call(CALLER, DIALLED)).await;

            assert_eq!(reply["call_inbound"]["override_agent_id"].is_null(), known, "{reply}");
            service.stop().await;
        }
    })
    .await;
}

/// A record says how each look-up ended; with `lookups = true` it has the values, too, with which the call
/// can be decided again.
#[tokio::test]
async fn records_keep_how_look_ups_ended_and_their_values_where_the_settings_say_so() {
    for_each_store(async |store| {
        for keeps in [false, true] {
            let store = store.with(|records| records.lookups = keeps);
            let caller = if keeps { "+12137775555" } else { CALLER };
            let service = service_at(&store, RULES, NOW_MS);
            service.flush().await;
            service.send_call(&call(caller, "+12137770001")).await;
            let reply = service.send_call(&call(caller, DIALLED)).await;
            let mut calls = service.calls().await.into_iter();
            let record = calls.rfind(|record| (&*record.from, &*record.to) == (caller, DIALLED));
            let record = record.expect("the second call");
            let [asked] = &record.details.lookups[..] else { panic!("{:?}", record.details) };
            assert_eq!((&*asked.name, &*asked.state), ("history", "found"));
            assert_eq!(asked.value.is_some(), keeps);
            assert_eq!(record.lacks_lookups(), !keeps);
            let table = service.app.live_table().shared_table();
            let facts = record.facts(&table);
            let fields = record.fields().expect("whole numbers");
            let platform = switchboard::dialect::ALL[0].platform();
            let again = Call::synthetic("retell", platform, fields);
            let decision = decide_offline(&table, &again, &facts);
            let expected = if keeps { "returning" } else { "everyone" };
            assert_eq!(decision.rule(), Some(expected), "{reply}");
            service.stop().await;
        }
    })
    .await;
}

/// The platform repeats a delivery, and the load balancer sends it to another replica.
#[tokio::test]
async fn a_call_does_not_count_its_own_earlier_delivery() {
    for_each_store(async |store| {
        if !store.is_persistent() {
            return;
        }
        let deliveries = [
            call_with_id("call_1"),
            json!({ "event": "call_inbound", "call_inbound": { "from_number": "+12137775678", "to_number": DIALLED } }),
        ];
        for delivery in deliveries {
            let (one, two) = (service_at(&store, RULES, NOW_MS), service_at(&store, RULES, NOW_MS));
            one.flush().await;
            two.flush().await;
            let first = one.send_call(&delivery).await;
            let again = two.send_call(&delivery).await;
            assert_eq!(first, again, "the first delivery is no earlier call");
            let mut next = delivery;
            next["call_inbound"]["call_id"] = "call_2".into();
            let next = two.send_call(&next).await;
            assert_eq!(next["call_inbound"]["dynamic_variables"]["calls"], "1");
            one.stop().await;
            two.stop().await;
        }
    })
    .await;
}
