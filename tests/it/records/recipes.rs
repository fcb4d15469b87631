//! The recipes of `docs/recipes.md` that need a history, with calls that are really recorded.

use serde_json::{Value, json};

use super::{Service, TestStore, for_each_store, service_at};
use crate::recipes::recipe;
use crate::support::app::NOW_MS;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const CALLER: &str = "+12137771234";

/// Starts a service that waits for histories on a busy machine.
fn service(store: &TestStore, rules: &str, at_ms: i64) -> Service {
    service_at(store, &format!("{rules}\n[lookup.history]\ntimeout_ms = 8000\n"), at_ms)
}

/// Sends a call to a number, and returns the agent and the variables of the reply.
async fn send(service: &Service, from: &str, to: &str) -> (Value, Value) {
    let call = json!({ "from_number": from, "to_number": to });
    let reply = service.send_call(&json!({ "event": "call_inbound", "call_inbound": call })).await;
    let call = &reply["call_inbound"];
    (call["override_agent_id"].clone(), call["dynamic_variables"].clone())
}

/// Returns a number that is called once, so that no call looks like a repeated delivery.
fn dialled(number: usize) -> String {
    format!("+1213888{number:04}")
}

#[tokio::test]
async fn the_sixth_call_within_an_hour_is_rejected_and_returning_callers_keep_their_agent() {
    for_each_store(async |store| {
        let rules = recipe("history.toml");
        let first = service(&store, &rules, NOW_MS);
        assert_eq!(send(&first, CALLER, "+12135550199").await.0, "agent_n1ght");
        let welcome = |agent: &str| (json!(agent), json!({ "greeting": "Welcome back" }));
        for call in 1..5 {
            assert_eq!(
                send(&first, CALLER, &dialled(call)).await,
                welcome("agent_n1ght"),
                "{call}"
            );
        }
        assert_eq!(
            send(&first, CALLER, &dialled(5)).await,
            (Value::Null, Value::Null),
            "the sixth"
        );
        let hello = (json!("agent_fr0nt"), json!({ "greeting": "Hello" }));
        assert_eq!(send(&first, "+12137775678", &dialled(6)).await, hello, "another caller");
        for call in 7..14 {
            assert_eq!(
                send(&first, "anonymous", &dialled(call)).await,
                hello,
                "nobody counts these"
            );
        }
        first.stop().await;
        if !store.is_persistent() {
            return;
        }
        for (later, expected) in [(2 * HOUR_MS, welcome("agent_n1ght")), (40 * DAY_MS, hello)] {
            let service = service(&store, &rules, NOW_MS + later);
            service.flush().await;
            assert_eq!(send(&service, CALLER, &dialled(20)).await, expected, "after {later} ms");
            service.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_reaches_the_front_desk_as_often_as_the_plan_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let clients = folder.path().join("clients.csv");
    std::fs::write(&clients, recipe("clients.csv")).expect("a file");
    let file = format!("file   = \"{}\"", clients.display());
    let rules = recipe("cap.toml").replace("file   = \"clients.csv\"", &file);
    for_each_store(async |store| {
        let day = service(&store, &rules, NOW_MS);
        let acme = |agent: &str| (json!(agent), json!({ "client": "Acme" }));
        for call in 0..5 {
            let agent = if call < 3 { "agent_fr0nt" } else { "agent_l1m1t" };
            assert_eq!(send(&day, CALLER, &dialled(call)).await, acme(agent), "call {call}");
        }
        let globex = json!({ "client": "Globex" });
        for call in 10..14 {
            let reply = send(&day, "+12137775678", &dialled(call)).await;
            assert_eq!(reply, (json!("agent_fr0nt"), globex.clone()), "the large plan");
        }
        day.stop().await;
        if !store.is_persistent() {
            return;
        }
        let next_day = service(&store, &rules, NOW_MS + DAY_MS + HOUR_MS);
        next_day.flush().await;
        assert_eq!(send(&next_day, CALLER, &dialled(20)).await, acme("agent_fr0nt"));
        next_day.stop().await;
    })
    .await;
}
