//! Scheme and dialect agree about the call id of a Synthflow body: the dialect takes a call id only if
//! the scheme verified that very one. An input is header lines, an empty line, and a body.

use super::{now, policy, request, sign, split_headers};
use switchboard::authenticate::{AuthMethod, Mode, authenticate};
use switchboard::dialect::{self, Incoming};
use switchboard::domain::party::NumberFormat;

/// Runs one input.
pub fn run(data: &[u8]) {
    let (mut headers, body) = split_headers(data);
    let dialect = dialect::by_name("synthflow").expect("a dialect");
    let mut policy = policy(dialect, Mode::Required);
    // A second factor, so that a body without a call id is accepted too.
    policy.allow_from = vec!["127.0.0.0/8".parse().expect("a network")];
    for name in ["synthflow-signature", "x-synthflow-signature", "http-synthflow-signature"] {
        headers.remove(name);
    }
    headers.remove("http_synthflow_signature");
    if let Ok(signature) = sign(&policy, body) {
        headers.extend(signature);
    }
    let Ok(verified) = authenticate(request(headers, body), &policy, now()) else { return };
    let taken = match dialect.parse(&verified, &NumberFormat::default()) {
        Ok(Incoming::Inbound(call)) => call.call_id().map(str::to_owned),
        Ok(Incoming::Event(event)) => event.call_id.as_deref().map(str::to_owned),
        Ok(Incoming::Probe) | Err(_) => None,
    };
    match verified.method() {
        AuthMethod::Signed(_) => assert!(taken.is_none() || taken.as_deref() == verified.call_id()),
        AuthMethod::SharedSecret(_)
        | AuthMethod::SecondFactor
        | AuthMethod::Observed(_)
        | AuthMethod::Off => {
            assert_eq!(taken, None, "a call id that nothing verified")
        }
    }
}
