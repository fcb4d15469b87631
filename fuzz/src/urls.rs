//! URLs that Twilio signs: an input is a base URL, a newline, the target of a request line, a newline, and a form.
//!
//! The request that was signed is accepted, whatever its URL; one with another target or another form is not.

use super::{now, policy, text};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use bytes::Bytes;
use switchboard::authenticate::{Mode, Outgoing, Policy, RequestHead, Unverified, authenticate};
use switchboard::dialect;

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (base, target, form) = (text(line()), text(line()), line());
    let Ok(uri) = target.parse::<Uri>() else { return };
    // Settings accept no other base.
    if !base.contains("://") {
        return;
    }
    // `https://host?a=b` has no path, and its query alone is no target.
    let target = uri.path_and_query().map(|target| target.as_str());
    let Some(target) = target.filter(|target| target.starts_with('/')) else { return };
    let twilio = dialect::by_name("twilio").expect("a dialect");
    let policy = Policy { public_base_url: Some(base.into()), ..policy(twilio, Mode::Required) };
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, FORM)]);
    let outgoing = Outgoing { method: &Method::POST, target, body: form };
    policy.sign(&outgoing, now(), &mut headers).expect("Twilio signs every form");
    let is_accepted = |target: &str, form: &[u8]| {
        let Ok(uri) = target.parse() else { return false };
        let client = [127, 0, 0, 1].into();
        let head = RequestHead::with_target(Method::POST, uri, headers.clone(), client, None);
        let request = Unverified::new(head, Bytes::copy_from_slice(form));
        authenticate(request, &policy, now()).is_ok()
    };
    assert!(is_accepted(target, form), "the signed request is refused");
    let other = if target.contains('?') { format!("{target}&") } else { format!("{target}?") };
    assert!(!is_accepted(&other, form), "another URL is accepted");
    let added = [form, b"&added=1"].concat();
    let repeats = form.split(|byte| *byte == b'&').any(|field| field == b"added=1");
    assert!(repeats || !is_accepted(target, &added), "another form is accepted");
}
