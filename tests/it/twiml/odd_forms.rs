//! Forms that no documentation describes: none of them ends a call.

use switchboard::dialect::{Incoming, ParseError};
use switchboard::domain::call::Channel;
use switchboard::domain::party::{NumberFormat, Party};

use super::{CALL, PLATFORMS, content, dialect, reply, rules_of_agent};
use crate::support::app::verified;

/// Values in the place of a documented one.
fn odd_values() -> Vec<String> {
    let mut values: Vec<String> = [
        "",
        "+",
        "%",
        "%4",
        "%zz",
        "%00",
        "%ff%fe",
        "%ED%A0%80",
        "null",
        "0",
        "-1",
        "true",
        "[]",
        "{}",
        "%7B%22a%22%3A1%7D",
        "a=b",
        "%3CReject%2F%3E",
        "%F0%9F%91%8B",
        "%E2%80%AE",
        "%0D%0A",
        "%252B",
        "anonymous",
        "client%3Ajane",
    ]
    .map(str::to_owned)
    .into();
    values.push("9".repeat(8_000));
    values.push("%F0%9F%91%8B".repeat(1_000));
    values
}

/// Forms about a call: the recorded one with one field removed, repeated or changed, and with text around it.
fn odd_forms() -> Vec<String> {
    let fields: Vec<&str> = CALL.split('&').collect();
    let mut forms = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let name = field.split('=').next().expect("a name");
        let with = |fields: &[&str]| {
            let mut all = self::fields_without(at);
            all.extend(fields.iter().map(|field| (*field).to_owned()));
            all.join("&")
        };
        forms.push(with(&[]));
        forms.push(with(&[name]));
        forms.push(with(&[field, field]));
        forms.push(with(&[field, &format!("{name}=")]));
        forms.extend(odd_values().iter().map(|value| with(&[&format!("{name}={value}")])));
    }
    for around in ["&", "&&&=&", "%", "\u{feff}=1&", "a;b&"] {
        forms.extend([format!("{around}{CALL}"), format!("{CALL}{around}")]);
    }
    forms.push(format!("{CALL}&{}", "x=1&".repeat(5_000)));
    forms.push(format!("{CALL}&SipHeader_=1&SipHeader_X-%00=%00&SipHeader_X-A=1&SipHeader_X-A=2"));
    forms.extend(
        ["CallSid=CA1", "From=1", "Caller", "Called=", "CallStatus=%ff"].map(str::to_owned),
    );
    forms
}

fn fields_without(at: usize) -> Vec<String> {
    let fields = CALL.split('&').enumerate();
    fields.filter(|(other, _)| *other != at).map(|(_, field)| field.to_owned()).collect()
}

#[test]
fn no_odd_form_ends_a_call() {
    let forms = odd_forms();
    assert!(forms.len() >= 100, "{}", forms.len());
    for platform in PLATFORMS {
        let rules =
            rules_of_agent(platform, "sip:a@b.example", "variables = { caller = \"${from}\" }");
        for form in &forms {
            let reply = reply(platform, form.as_bytes(), &rules);
            let (content, _) = content(&reply);
            let start = r#"<Dial answerOnBridge="true" timeout="20"><Sip>sip:a@b.example"#;
            assert!(content.starts_with(start), "{platform}: {content} after {form}");
        }
    }
}

#[test]
fn a_form_about_nothing_is_refused() {
    for form in ["a=1", "%", "=", "\u{1f44b}", "Body=Hi", "[1]", "AccountSid=AC1"] {
        for platform in PLATFORMS {
            let verified = verified(dialect(platform), form.into());
            let parsed = dialect(platform).parse(&verified, &NumberFormat::default());
            assert_eq!(parsed, Err(ParseError::Missing("CallSid")), "{platform}: {form}");
        }
    }
}

#[test]
fn an_empty_form_is_a_probe_and_json_an_unknown_event() {
    for platform in PLATFORMS {
        for body in ["", " \r\n"] {
            let verified = verified(dialect(platform), body.into());
            let parsed = dialect(platform).parse(&verified, &NumberFormat::default());
            assert_eq!(parsed, Ok(Incoming::Probe));
        }
        for (body, kind) in
            [(r#"{"EventType":"onMessageAdded"}"#, "onMessageAdded"), ("{}", "json")]
        {
            let verified = verified(dialect(platform), body.into());
            let parsed = dialect(platform).parse(&verified, &NumberFormat::default());
            let Ok(Incoming::Event(event)) = parsed else { panic!("{parsed:?}") };
            assert_eq!((&*event.kind, event.known), (kind, false));
        }
    }
}

/// Checks how a request is understood: `call`, `sms`, or the kind of an event.
#[track_caller]
fn check(form: &str, expected: &str) {
    let verified = verified(dialect("twilio"), form.into());
    let parsed = dialect("twilio").parse(&verified, &NumberFormat::default());
    let kind = match &parsed {
        Ok(Incoming::Inbound(call)) => call.channel().as_str(),
        Ok(Incoming::Event(event)) => &event.kind,
        Ok(Incoming::Probe) | Err(_) => panic!("{parsed:?}"),
    };
    assert_eq!(kind, expected, "{form}");
}

#[test]
fn only_what_has_happened_is_an_event() {
    check("CallSid=CA1&CallStatus=ringing&Direction=inbound", "call");
    // Another platform has sent the call back.
    check("CallSid=CA1&CallStatus=in-progress&Direction=inbound", "call");
    check("CallSid=CA1&CallStatus=in-progress&Direction=outbound-api", "call");
    check("CallSid=CA1&CallStatus=teleported", "call");
    check("CallSid=CA1", "call");
    for status in ["completed", "busy", "failed", "no-answer", "canceled"] {
        check(&format!("CallSid=CA1&CallStatus={status}"), "call_status");
    }
    check("CallSid=CA1&CallStatus=ringing&CallbackSource=call-progress-events", "call_status");
    check("CallSid=CA1&CallStatus=in-progress&SessionId=VX1&SessionStatus=ended", "connect_done");
    check("CallSid=CA1&CallStatus=in-progress&DialCallStatus=busy", "dial_done");
    check("CallSid=CA1&RecordingSid=RE1&RecordingStatus=completed", "recording_status");
    // The other callbacks, which have no status of the call.
    check("CallSid=CA1&AnsweredBy=machine_start&MachineDetectionDuration=3", "answered_by");
    check("CallSid=CA1&CallStatus=in-progress&AnsweredBy=human", "call");
    check("CallSid=CA1&StreamSid=MZ1&StreamEvent=stream-stopped", "stream_status");
    check("CallSid=CA1&TranscriptionSid=GT1&TranscriptionEvent=x", "transcription_status");
    check("CallSid=CA1&TranscriptionStatus=completed", "transcription_status");
    check("ConferenceSid=CF1&StatusCallbackEvent=conference-end", "conference_status");
    check(
        "ConferenceSid=CF1&CallSid=CA1&StatusCallbackEvent=participant-join",
        "conference_status",
    );
    check("ConferenceSid=CF1", "conference_status");
    check("CallSid=CA1&CallStatus=answered", "call_status");
    check("MessageSid=SM1&SmsStatus=received&Body=Hi", "sms");
    check("SmsSid=SM1&Body=", "sms");
    check("MessageSid=SM1&SmsStatus=delivered&MessageStatus=delivered", "message_status");
}

#[test]
fn reads_callers_of_all_kinds() {
    for (value, expected) in [
        ("%2B266696687", Party::Withheld),
        ("anonymous", Party::Withheld),
        ("", Party::Withheld),
        ("client%3Ajane", Party::Literal("client:jane".into())),
        ("sip%3Abob%40pbx.example", Party::Literal("sip:bob@pbx.example".into())),
    ] {
        let form = format!("CallSid=CA1&From={value}&To=%2B15005550006");
        let verified = verified(dialect("twilio"), form.into());
        let parsed = dialect("twilio").parse(&verified, &NumberFormat::default());
        let Ok(Incoming::Inbound(call)) = parsed else { panic!("{parsed:?}") };
        assert_eq!((call.channel(), call.from()), (Channel::Call, &expected), "{value}");
    }
}

#[test]
fn reads_headers_and_attributes() {
    let form = "CallSid=CA1&From=%2B1&SipHeader_X-Tier=gold&SipDomain=a.sip.example&FromCity=PARIS&FromZip=&ForwardedFrom=%2B12137771234\
        &CallerName=Ada+B&StirVerstat=TN-Validation-Failed-C";
    let verified = verified(dialect("twilio"), form.into());
    let parsed = dialect("twilio").parse(&verified, &NumberFormat::default());
    let Ok(Incoming::Inbound(call)) = parsed else { panic!("{parsed:?}") };
    assert_eq!(call.sip_header("x-tier"), Some("gold"));
    for (name, expected) in [
        ("sip_domain", Some("a.sip.example")),
        ("from_city", Some("PARIS")),
        ("from_zip", None),
        ("forwarded_from", Some("+12137771234")),
        ("caller_name", Some("Ada B")),
        ("verified", Some("false")),
        ("to_city", None),
    ] {
        assert_eq!(call.attribute(name), expected, "{name}");
    }
}
