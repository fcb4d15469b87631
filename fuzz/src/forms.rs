//! Forms: every input is one, and the fields that are read from it are read again from what they are written as.

use switchboard::domain::form::{Form, to_vec};

/// Runs one input.
pub fn run(data: &[u8]) {
    let form = Form::parse(data);
    let fields = form.to_object(&[]);
    for (name, value) in &fields {
        assert!(form.has(name), "{name} is lost");
        let expected = value.as_str().filter(|text| !text.is_empty());
        assert_eq!(form.text(name).as_deref(), expected, "{name}");
    }
    let pairs = fields.iter().map(|(name, value)| (&**name, value.as_str().unwrap_or_default()));
    let written = to_vec(pairs);
    assert_eq!(
        Form::parse(&written).to_object(&[]),
        fields,
        "the fields differ when they are read again"
    );
    let headers = form.with_prefix("SipHeader_").count();
    assert!(headers == 0 || fields.keys().any(|name| name.starts_with("SipHeader_")));
}
