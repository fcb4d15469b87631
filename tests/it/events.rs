//! Call events of each platform, and the columns parsed from them.
//!
//! A case is `tests/fixtures/PLATFORM/events/CASE.json`, a body from the platform's documentation, with
//! its expected columns in `CASE.columns.json`. After a change, `UPDATE_GOLDEN=1 cargo test events`
//! rewrites the columns; review them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::authenticate::{RequestHead, Unverified, authenticate};
use switchboard::dialect;
use switchboard::dialect::{Dialect, Event, Incoming, RECORD_ID_KEY};
use switchboard::domain::party::{NumberFormat, Party};

use crate::support::app::{self, NOW_MS, app, root, verified};

/// The event's columns that have a value, by name.
pub(crate) fn columns(event: &Event<'_>) -> Value {
    let party = |party: &Option<Party>| party.as_ref().map(|party| party.unmasked().into_owned());
    let mut columns = json!({
        "kind": event.kind,
        "known": event.known,
        "call_id": event.call_id,
        "part": event.part,
        "event_id": event.event_id,
        "last_counts": event.last_counts,
        "event_timestamp_ms": event.event_timestamp_ms,
        "record_id": event.record_id,
        "from": party(&event.from),
        "to": party(&event.to),
        "agent": event.agent,
        "agent_version": event.agent_version,
        "status": event.status,
        "direction": event.direction,
        "start_ms": event.start_ms,
        "end_ms": event.end_ms,
        "duration_ms": event.duration_ms,
        "end_reason": event.end_reason,
        "cost": event.cost,
        "summary": event.summary,
        "sentiment": event.sentiment,
        "successful": event.successful,
        "voicemail": event.voicemail,
        "recording_url": event.recording_url,
        "metadata": event.metadata,
        "variables": event.variables,
        "analysis": event.analysis,
        "actions": event.actions,
    });
    columns.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    columns
}

/// The columns of an event body.
#[track_caller]
pub(crate) fn parse_columns(dialect: &dyn Dialect, body: &[u8]) -> Value {
    match dialect.parse(&verified(dialect, body.to_vec()), &NumberFormat::default()) {
        Ok(Incoming::Event(event)) => columns(&event),
        other => panic!("expected an event, not {other:?}: {}", String::from_utf8_lossy(body)),
    }
}

/// Paths of a platform's event bodies, in alphabetical order.
pub(crate) fn cases(dialect: &dyn Dialect) -> Vec<PathBuf> {
    let folder = root().join("tests/fixtures").join(dialect.platform().as_str()).join("events");
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path());
    let bodies = entries.filter(|path| !path.display().to_string().ends_with(".columns.json"));
    bodies.collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn every_event_has_the_columns_of_its_golden_file() {
    #[expect(clippy::disallowed_methods, reason = "set by the developer who runs the tests")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for dialect in dialect::ALL {
        for case in cases(dialect) {
            let columns = parse_columns(dialect, &std::fs::read(&case).unwrap());
            let columns = serde_json::to_string_pretty(&columns).unwrap() + "\n";
            let golden = case.with_extension("columns.json");
            if update {
                std::fs::write(&golden, &columns).unwrap();
            }
            if std::fs::read_to_string(&golden).unwrap_or_default() != columns {
                wrong.push(format!("---- {}\n{columns}", case.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}{} events differ from their golden files",
        wrong.concat(),
        wrong.len()
    );
}

#[test]
fn every_documented_retell_event_has_a_golden_file() {
    let retell = dialect::by_name("retell").unwrap();
    let bodies = cases(retell).into_iter().map(|case| std::fs::read(case).unwrap());
    let events: Vec<_> = bodies.map(|body| parse_columns(retell, &body)).collect();
    let known = events.iter().filter(|event| event["known"] == true);
    let kinds: BTreeSet<_> = known.map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), 11, "{kinds:?}");
}

/// Checks one column of the event in `body`.
#[track_caller]
fn check(platform: &str, body: &Value, column: &str, expected: &Value) {
    let dialect = dialect::by_name(platform).unwrap();
    let columns = parse_columns(dialect, body.to_string().as_bytes());
    let actual = columns.get(column).unwrap_or(&Value::Null);
    assert_eq!(actual, expected, "`{column}` of {body}");
}

/// Checks one column of a Retell `call_ended` event with this field.
#[track_caller]
fn check_retell(field: &str, value: &Value, column: &str, expected: &Value) {
    check("retell", &json!({ "event": "call_ended", "call": { field: value } }), column, expected);
}

/// Checks one column of a Synthflow post-call event with this field.
#[track_caller]
fn check_synthflow(field: &str, value: &Value, column: &str, expected: &Value) {
    check("synthflow", &json!({ "call": { "call_id": "c", field: value } }), column, expected);
}

#[test]
fn parses_numbers_written_as_strings_or_with_a_zero_fraction() {
    for value in [json!(7), json!("7"), json!(7.0), json!("7.0"), json!(" 7 ")] {
        check_retell("start_timestamp", &value, "start_ms", &json!(7));
        check_retell("duration_ms", &value, "duration_ms", &json!(7));
        check_synthflow("duration", &value, "duration_ms", &json!(7000));
    }
    for value in [json!(7), json!("7"), json!(7.0)] {
        check_retell("agent_version", &value, "agent_version", &json!("7"));
    }
    for odd in [json!("soon"), json!(1.5), json!([7]), json!({ "ms": 7 }), json!(true), json!("")] {
        check_retell("start_timestamp", &odd, "start_ms", &Value::Null);
    }
}

#[test]
fn an_invalid_duration_is_unknown() {
    check_synthflow("duration", &json!("31.5"), "duration_ms", &json!(31_500));
    check_synthflow("duration", &json!(0), "duration_ms", &json!(0));
    for odd in [json!(-1), json!(1e300), json!("NaN"), json!("1:53"), json!([]), Value::Null] {
        check_synthflow("duration", &odd, "duration_ms", &Value::Null);
    }
}

#[test]
fn a_timestamp_without_an_offset_is_unknown() {
    let at_ten = json!(1_761_559_200_000_i64);
    for text in ["2025-10-27T11:00:00+01:00", "2025-10-27T10:00:00Z", "2025-10-27 10:00:00.0Z"] {
        check_synthflow("start_time", &json!(text), "start_ms", &at_ten);
    }
    for odd in [json!("2025-10-27T11:00:00"), json!("now"), json!(0), Value::Null] {
        check_synthflow("start_time", &odd, "start_ms", &Value::Null);
    }
    let far = json!({ "call": { "start_time": "9999-12-30T00:00:00Z", "duration": 31_000_000 } });
    check("synthflow", &far, "end_ms", &json!(253_402_128_000_000_i64 + 31_000_000_000));
}

#[test]
fn a_party_is_a_number_withheld_or_unknown() {
    for (value, from) in [
        (json!("+12135550123"), json!("+12135550123")),
        (json!("sip:+12135550123@host"), json!("+12135550123")),
        (json!("anonymous"), json!("withheld")),
        (json!(""), json!("withheld")),
        (Value::Null, Value::Null),
        (json!(["+12135550123"]), Value::Null),
    ] {
        check_retell("from_number", &value, "from", &from);
        check_retell("to_number", &value, "to", &from);
        let body = |direction: Value| json!({ "lead": { "phone_number": value }, "call": { "direction": direction } });
        for direction in [json!("inbound"), Value::Null, json!("sideways")] {
            check("synthflow", &body(direction.clone()), "from", &from);
            check("synthflow", &body(direction), "to", &Value::Null);
        }
        check("synthflow", &body(json!("OUTBOUND")), "from", &Value::Null);
        check("synthflow", &body(json!("outbound")), "to", &from);
    }
}

#[test]
fn distinguishes_transfers_and_keeps_only_the_latest_transcript() {
    let body = |event: &str, beside: Value, inside: Value| json!({ "event": event, "start_timestamp": beside, "call": { "start_timestamp": inside } });
    let transfer = |beside, inside| body("transfer_started", beside, inside);
    check("retell", &transfer(json!(2), json!(1)), "part", &json!("2"));
    check("retell", &transfer(Value::Null, json!(1)), "part", &json!("1"));
    check("retell", &transfer(Value::Null, Value::Null), "part", &json!(""));
    for event in ["call_started", "call_ended", "chat_ended", "transcript_updated"] {
        check("retell", &body(event, json!(2), json!(1)), "part", &Value::Null);
        let last_counts = json!(event == "transcript_updated");
        check("retell", &body(event, json!(2), json!(1)), "last_counts", &last_counts);
    }
}

#[test]
fn collected_variables_overwrite_initial_ones() {
    let both = |given: Value, collected: Value| {
        let call = json!({
            "retell_llm_dynamic_variables": given, "collected_dynamic_variables": collected,
        });
        json!({ "event": "call_ended", "call": call })
    };
    for (given, collected, variables) in [
        (json!({ "a": 1, "b": 1 }), json!({ "b": 2 }), json!({ "a": 1, "b": 2 })),
        (json!({ "a": 1 }), Value::Null, json!({ "a": 1 })),
        (json!([]), json!({ "b": 2 }), json!({ "b": 2 })),
        (json!({}), Value::Null, json!({})),
        (Value::Null, json!("none"), Value::Null),
    ] {
        check("retell", &both(given, collected), "variables", &variables);
    }
}

#[test]
fn voicemail_is_detected_from_status_end_reason_or_analysis() {
    let body = |status: &str, reason: &str, human: Value| {
        let call = json!({ "status": status, "end_call_reason": reason });
        json!({ "call": call, "analysis": { "answered_by_human": human } })
    };
    for (status, reason, human, voicemail) in [
        ("completed", "agent_goodbye", json!("false"), json!(true)),
        ("completed", "agent_goodbye", json!(false), json!(true)),
        ("completed", "agent_goodbye", json!("TRUE"), json!(false)),
        ("completed", "agent_goodbye", json!("not_applicable"), Value::Null),
        ("completed", "agent_goodbye", Value::Null, Value::Null),
        ("left_voicemail", "agent_goodbye", json!("true"), json!(true)),
        ("hangup_on_voicemail", "undefined", Value::Null, json!(true)),
        ("completed", "voicemail", Value::Null, json!(true)),
        ("completed", "voicemail_message_left", Value::Null, json!(true)),
    ] {
        check("synthflow", &body(status, reason, human), "voicemail", &voicemail);
    }
}

#[test]
fn ignores_boolean_sentiments_and_partial_success() {
    let body = |key: &str, verdict: Value| json!({ "call": {}, "analysis": { key: verdict } });
    for (verdict, sentiment) in [
        (json!("Positive"), json!("positive")),
        (json!("true"), Value::Null),
        (json!("not_applicable"), Value::Null),
        (json!(1), Value::Null),
    ] {
        check("synthflow", &body("user_sentiment", verdict), "sentiment", &sentiment);
    }
    for (verdict, successful) in [
        (json!("True"), json!(true)),
        (json!("FALSE"), json!(false)),
        (json!("partial"), Value::Null),
        (Value::Null, Value::Null),
    ] {
        check("synthflow", &body("call_completion", verdict), "successful", &successful);
    }
}

#[test]
fn finds_the_record_id_wherever_the_metadata_is_returned() {
    let metadata_with_id = json!({ RECORD_ID_KEY: "sb_1", "desk": 1 });
    for body in [
        json!({ "call": {}, "metadata": metadata_with_id }),
        json!({ "call": { "metadata": metadata_with_id } }),
        json!({ "call": {}, "metadata": {}, "lead": { "prompt_variables": metadata_with_id } }),
        json!({ "call": { "custom_variables": metadata_with_id } }),
        json!({ "call": {}, "custom_variables": metadata_with_id }),
    ] {
        check("synthflow", &body, "record_id", &json!("sb_1"));
    }
    check_retell("metadata", &metadata_with_id, "record_id", &json!("sb_1"));
    for odd in [
        json!({ RECORD_ID_KEY: "" }),
        json!({ RECORD_ID_KEY: null }),
        json!({ RECORD_ID_KEY: {} }),
        json!(RECORD_ID_KEY),
    ] {
        check_retell("metadata", &odd, "record_id", &Value::Null);
        check_synthflow("metadata", &odd, "record_id", &Value::Null);
    }
}

#[test]
fn prefers_the_signed_call_id() {
    let synthflow = dialect::by_name("synthflow").unwrap();
    let app = app(app::SETTINGS, app::RULES).app;
    let policy = &app.endpoint("synthflow").unwrap().source.policy;
    let now = Timestamp::from_millisecond(NOW_MS).unwrap();
    let key = &policy.secrets.load().keys[0];
    let signed = app::sign_with(&*synthflow.scheme(), key, br#"{"call_id":"signed"}"#, now);
    let mut headers = signed.unwrap();
    headers.insert("x-call-id", "signed".parse().unwrap());
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let token = Some(app::URL_TOKEN.into());
    let request = Unverified::new(
        RequestHead::new(headers, client, token),
        r#"{"status":"completed"}"#.into(),
    );
    let Ok(request) = authenticate(request, policy, now) else { panic!("authentication failed") };
    let Ok(Incoming::Event(event)) = synthflow.parse(&request, &NumberFormat::default()) else {
        panic!("not an event")
    };
    assert_eq!(event.call_id.as_deref(), Some("signed"));
}

#[test]
fn half_a_surrogate_pair_hides_no_other_field() {
    let body = r#"{"event":"call_analyzed","call":{"call_id":"c","metadata":{"half":"\ud83d","desk":1},
        "call_analysis":{"call_summary":"fine \ud83d","call_successful":true}}}"#;
    let event = parse_columns(dialect::by_name("retell").unwrap(), body.as_bytes());
    let half = "\u{fffd}";
    assert_eq!(event["metadata"], json!({ "half": half, "desk": 1 }));
    assert_eq!(event["summary"], json!(format!("fine {half}")));
    assert_eq!(event["analysis"]["call_successful"], true);
}

#[test]
fn skips_a_transcript_of_10_mb_without_parsing_it() {
    let word = r#"{"word":"hello \ud83d\ude00","start":1.25,"end":1.5},"#;
    let words = word.repeat(10_000_000 / word.len());
    let words = words.trim_end_matches(',');
    let retell = format!(
        r#"{{"event":"call_ended","call":{{"transcript_object":[{words}],"call_id":"c","metadata":{{"a":1}}}}}}"#
    );
    let transcript = json!(words).to_string();
    let synthflow =
        format!(r#"{{"call":{{"transcript":{transcript},"call_id":"c"}},"metadata":{{"a":1}}}}"#);
    for (platform, body) in [("retell", retell), ("synthflow", synthflow)] {
        let dialect = dialect::by_name(platform).unwrap();
        let event = parse_columns(dialect, body.as_bytes());
        assert_eq!((&event["call_id"], &event["metadata"]), (&json!("c"), &json!({ "a": 1 })));
    }
}
