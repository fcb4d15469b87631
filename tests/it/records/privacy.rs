//! Privacy: unless numbers are stored in full, no field of a record contains one.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use switchboard::domain::party::Party;
use switchboard::domain::secret::Secret;
use switchboard::records::{Filter, NumberPolicy};
use switchboard::settings::{NumberStorage, RecordsLocation};
use uuid::Uuid;

use super::{DIALLED, Service, TestStore, call_from, event, for_each_store, service};
use crate::support::app::NOW_MS;

fn modes() -> [NumberStorage; 2] {
    [NumberStorage::Masked, NumberStorage::Hashed(Secret::new("0123456789abcdef"))]
}

/// Finds five consecutive digits of the number in the text, with any separators.
fn leaked<'n>(number: &'n str, text: &str) -> Option<&'n str> {
    leaked_digits(5, number, text)
}

fn leaked_digits<'n>(least: usize, number: &'n str, text: &str) -> Option<&'n str> {
    let between = [' ', '-', '.', '(', ')', '/', '_', '\u{a0}', '\u{2011}', '\u{2013}'];
    let text = text.replace(between, "");
    number
        .as_bytes()
        .windows(least)
        .enumerate()
        .map(|(at, _)| &number[at..at + least])
        .find(|some| text.contains(some))
}

/// Writes a number with separators between its digits.
fn separated(number: &str, separators: &[&str]) -> String {
    let digits = number.chars().zip(separators.iter().cycle());
    digits.map(|(digit, between)| format!("{digit}{between}")).collect()
}

/// Returns all fields of the call that are neither random nor a hash.
async fn stored_fields(service: &Service, call_id: &str) -> String {
    let filter = Filter { call_id: Some(call_id.to_owned()), ..Filter::default() };
    let [call] = &service.find(&filter).await[..] else { panic!("not one call") };
    let mut all = vec![serde_json::to_value(call).unwrap()];
    all.extend(service.events(call).await.iter().map(|event| serde_json::to_value(event).unwrap()));
    assert_eq!(all.len(), 3, "not a call and two events");
    for record in &mut all {
        let record = record.as_object_mut().unwrap();
        for id in ["id", "call", "fingerprint", "latency_us"] {
            record.shift_remove(id);
        }
        record.retain(|_, value| !value.as_str().is_some_and(|text| text.starts_with("h:")));
    }
    serde_json::to_string(&all).unwrap()
}

async fn send_all_fields(service: &Service, call_id: &str, digits: &str, separators: &[&str]) {
    let number = format!("+{digits}");
    let apart = separated(digits, separators);
    let texts = json!({
        "as it is": number, "apart": apart, "with words": format!("call {apart} or {number}!"),
        "uri": format!("<sip:{number}@host>"), "bare": format!("sip:{digits}@host;user=phone"),
        "url": format!("https://host/%2B{digits}.wav"), "number": digits.parse::<u64>().unwrap(),
        "national": digits[2..].parse::<u64>().unwrap(), "float": digits.parse::<f64>().unwrap(),
        "list": [[number], { &*number: digits }],
    });
    let headers = json!({ "x-apart": apart, "diversion": format!("<sip:{number}@host>"), "x-national": &digits[2..] });
    let inner = json!({
        "call_id": call_id, "from_number": number, "to_number": DIALLED, "agent_id": number,
        "custom_sip_headers": headers,
    });
    service.send_call(&json!({ "event": "call_inbound", "call_inbound": inner })).await;
    let mut body = event("call_analyzed", call_id);
    body["call"]["from_number"] = number.clone().into();
    for key in ["metadata", "retell_llm_dynamic_variables", "call_analysis", "other"] {
        body["call"][key] = texts.clone();
    }
    body["call"]["call_analysis"]["call_summary"] = format!("{apart} rang").into();
    body["call"]["transcript"] = apart.clone().into();
    body["call"]["recording_url"] = texts["url"].clone();
    service.send_event(&body).await;
    // JSON that only a lenient parser accepts.
    let odd = format!(
        r#"{{"event":"call_ended","half":"\ud800","call":{{"call_id":"{call_id}","from_number":"{number}","more":{texts}}}}}"#
    );
    assert_eq!(service.send("/events/retell", odd.as_bytes()).await.status, 200);
}

#[test]
fn stores_no_five_consecutive_digits_of_a_number() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for mode in modes() {
        let test_store = TestStore::new("memory", RecordsLocation::Memory);
        let test_store = test_store.with(|records| records.numbers = mode.clone());
        let service = runtime.block_on(async { service(&test_store) });
        let n = std::cell::Cell::new(0);
        let between = prop::collection::vec(
            prop::sample::select(vec![
                "",
                "",
                " ",
                "-",
                ".",
                " (",
                ") ",
                "/",
                "_",
                "\u{a0}",
                "\u{2011}",
                " \u{2013} ",
            ]),
            1..6,
        );
        let case = ("[1-9][0-9][1-9][0-9]{6,12}", between);
        let mut runner =
            TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
        let ran = runner.run(&case, |(digits, between)| {
            // The fields also contain the time and the dialled number.
            let known = format!("{NOW_MS} 20260528T {}", &DIALLED[1..]);
            prop_assume!(leaked(&digits, &known).is_none());
            n.set(n.get() + 1);
            let all = runtime.block_on(async {
                let call_id = format!("c{}", n.get());
                send_all_fields(&service, &call_id, &digits, &between).await;
                stored_fields(&service, &call_id).await
            });
            prop_assert_eq!(leaked(&digits, &all), None, "{}", all);
            Ok(())
        });
        ran.unwrap_or_else(|failed| panic!("{failed}"));
        runtime.block_on(service.stop());
    }
}

#[tokio::test]
async fn no_file_of_the_store_contains_the_number() {
    let number = "98765432101";
    for_each_store(async |test_store| {
        for mode in modes() {
            let service = service(&test_store.with(|records| records.numbers = mode));
            let word = service.app.recorder().numbers().as_str();
            send_all_fields(&service, word, number, &["-", "", " "]).await;
            assert!(stored_fields(&service, word).await.contains("***"));
            service.stop().await;
        }
        if let RecordsLocation::Sqlite(path) = &test_store.records.location {
            let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
            assert!(text.contains("call_analyzed"), "the file does not contain the event");
            // Ids and hashes are in the file, too; five of their digits can match by chance.
            assert_eq!(leaked_digits(7, number, &text), None);
        }
    })
    .await;
}

#[tokio::test]
async fn finds_a_hashed_number_with_its_key_only() {
    for_each_store(async |test_store| {
        let key = |key: &str| NumberStorage::Hashed(Secret::new(key));
        let service =
            service(&test_store.with(|records| records.numbers = key("0123456789abcdef")));
        send_all_fields(&service, "call_1", "98765432101", &["-"]).await;
        let [party, other] =
            ["+98765432101", "+98765432102"].map(|text| Party::parse(Some(text)).party);
        let found = async |number: Vec<String>| {
            let filter = Filter { number: Some(number), ..Filter::default() };
            service.find(&filter).await.len()
        };
        assert_eq!(found(service.app.recorder().numbers().stored_forms(&party)).await, 1);
        assert_eq!(found(service.app.recorder().numbers().stored_forms(&other)).await, 0);
        assert_eq!(found(NumberPolicy::new(key("another key")).stored_forms(&party)).await, 0);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn callers_that_are_masked_alike_are_two_calls() {
    for_each_store(async |test_store| {
        let masked = test_store.with(|records| records.numbers = NumberStorage::Masked);
        let service = service(&masked);
        for caller in ["+12137771234", "+12139991234", "+12137771234"] {
            service.send_call(&call_from(caller, None)).await;
        }
        let mut attempts: Vec<_> = service.calls().await.iter().map(|call| call.attempts).collect();
        attempts.sort();
        assert_eq!(attempts, [1, 2], "{}", test_store.name);
        service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn does_not_redact_other_digits() {
    for_each_store(async |test_store| {
        for mode in modes() {
            let service = service(&test_store.with(|records| records.numbers = mode));
            let call_id =
                format!("call_{}_9f1e2d3c4b5a", service.app.recorder().numbers().as_str());
            let mut body = event("call_ended", &call_id);
            body["call"]["start_timestamp"] = NOW_MS.into();
            body["call"]["duration_ms"] = 61_234.into();
            body["call"]["agent_id"] = "agent_1234567890".into();
            body["call"]["note"] = "on 2026-05-28 at 10:30, 3 times".into();
            service.send_event(&body).await;
            let [stored] = &service.events_with_id("retell", &call_id).await[..] else {
                panic!("one event")
            };
            for (column, value) in [
                ("start_ms", NOW_MS.into()),
                ("duration_ms", 61_234.into()),
                ("agent", json!("agent_1234567890")),
            ] {
                assert_eq!(stored.columns[column], value);
            }
            let body: Value = serde_json::from_str(&stored.body).unwrap();
            assert_eq!(body["call"]["note"], "on 2026-05-28 at 10:30, 3 times");
            assert_eq!(body["call"]["start_timestamp"], json!(NOW_MS));
            service.stop().await;
        }
    })
    .await;
}

/// The key of an event without a call id is a hash of its body. A hash of the original body would
/// reveal the number to anyone who tries them all.
#[tokio::test]
async fn the_key_of_an_event_hashes_the_redacted_body() {
    let event = |from: &str| json!({ "event": "call_ended", "call": { "from_number": from } });
    for (numbers, rows) in [(NumberStorage::Masked, 1), (NumberStorage::Full, 2)] {
        let test_store = TestStore::new("memory", RecordsLocation::Memory);
        let service = service(&test_store.with(|records| records.numbers = numbers.clone()));
        service.send_event(&event("+12137771234")).await;
        service.send_event(&event("+12137781234")).await;
        let (events, _) = service.store().lone_events(Uuid::nil(), 10).await.unwrap();
        assert_eq!(events.len(), rows, "{events:?}");
    }
}
