//! Ids of agents on platforms that answer with XML: where the call is handed to, by kind.

use url::Url;

use crate::domain::agent_id;
use crate::domain::transfer::SipUri;

/// What an id of an agent names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'i> {
    /// URL that returns the XML of another platform: `https://…`.
    Redirect(&'i str),
    /// SIP address: `sip:…` or `sips:…`.
    Sip(&'i str),
    /// WebSocket of a server that speaks the ConversationRelay protocol: `relay:wss://…`.
    Relay(&'i str),
    /// WebSocket of a server that receives the audio: `stream:wss://…`.
    Stream(&'i str),
    /// Assistant of the platform itself (Telnyx): `assistant-…`.
    Assistant(&'i str),
}

/// Beginnings of the ids of assistants.
const ASSISTANT: &str = "assistant-";
const RELAY: &str = "relay:";
const STREAM: &str = "stream:";

/// Form of the ids of agents, in words.
pub(super) const FORM: &str =
    "an address that takes the call: `https://…`, `sip:…`, `relay:wss://…` or `stream:wss://…`";
/// Form of the ids of agents on a platform with assistants, in words.
pub(super) const FORM_WITH_ASSISTANTS: &str = "`assistant-…`, the id of an assistant, or an address that takes the \
     call: `https://…`, `sip:…`, `relay:wss://…` or `stream:wss://…`";

impl<'i> Endpoint<'i> {
    /// Parses the id of an agent. `has_assistants` says whether the platform has assistants of its own.
    ///
    /// # Errors
    /// Returns the reason why the text is no id, as a clause about it.
    pub(super) fn parse(id: &'i str, has_assistants: bool) -> Result<Endpoint<'i>, String> {
        let id = id.trim();
        if let Some(url) = id.strip_prefix(RELAY) {
            return check_url(url, "wss").map(|()| Endpoint::Relay(url));
        }
        if let Some(url) = id.strip_prefix(STREAM) {
            return check_url(url, "wss").and_then(|()| match url.contains(['?', '#']) {
                true => Err("the URL of a stream has no query; use variables".to_owned()),
                false => Ok(Endpoint::Stream(url)),
            });
        }
        if id.starts_with("https:") || id.starts_with("http:") {
            return check_url(id, "https").map(|()| Endpoint::Redirect(id));
        }
        if SipUri::parse(id).map_err(|error| error.to_string())?.is_some() {
            return Ok(Endpoint::Sip(id));
        }
        if id.starts_with("wss:") || id.starts_with("ws:") {
            return Err(
                "a WebSocket needs its protocol: `relay:wss://…` or `stream:wss://…`".to_owned()
            );
        }
        if has_assistants && id.starts_with(ASSISTANT) {
            return agent_id::check_plain(id).map(|()| Endpoint::Assistant(id));
        }
        Err("it is not an address that can take a call".to_owned())
    }

    /// Returns whether a reply can carry SIP headers: only a SIP address has some.
    pub(super) fn has_sip_headers(&self) -> bool {
        matches!(self, Endpoint::Sip(_))
    }

    /// Returns whether a reply can carry variables: an assistant of the platform takes none.
    pub(super) fn has_variables(&self) -> bool {
        !matches!(self, Endpoint::Assistant(_))
    }
}

/// Checks a URL that is sent as it is written. [`Url`] would repair some characters.
fn check_url(text: &str, scheme: &str) -> Result<(), String> {
    let is_forbidden = |c: &char| !c.is_ascii_graphic() || "<>\"\\^`{|}".contains(*c);
    if let Some(found) = text.chars().find(is_forbidden) {
        return Err(format!("its URL contains {found:?}, which must be escaped"));
    }
    match Url::parse(text) {
        Ok(url) if url.scheme() != scheme => Err(format!("its URL must begin with `{scheme}://`")),
        Ok(url) if url.has_host() => Ok(()),
        Ok(_) | Err(_) => Err("its URL is not valid".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_kinds_apart() {
        for (id, expected) in [
            ("https://a.example/x?y=1", Endpoint::Redirect("https://a.example/x?y=1")),
            (" sip:a@b.example;transport=tls ", Endpoint::Sip("sip:a@b.example;transport=tls")),
            ("sips:b.example", Endpoint::Sip("sips:b.example")),
            ("relay:wss://a.example/x?y=1", Endpoint::Relay("wss://a.example/x?y=1")),
            ("stream:wss://a.example/x", Endpoint::Stream("wss://a.example/x")),
            ("assistant-1", Endpoint::Assistant("assistant-1")),
        ] {
            assert_eq!(Endpoint::parse(id, true), Ok(expected));
        }
    }

    #[test]
    fn refuses_other_texts() {
        for (id, reason) in [
            ("agent_1", "it is not an address that can take a call"),
            ("assistant-1", "it is not an address that can take a call"),
            ("", "it is not an address that can take a call"),
            ("http://a.example", "its URL must begin with `https://`"),
            ("https://", "its URL is not valid"),
            ("https:/a b", "its URL contains ' ', which must be escaped"),
            ("https://a.example/\u{fc}", "its URL contains 'ü', which must be escaped"),
            ("relay:ws://a.example", "its URL must begin with `wss://`"),
            ("relay:a.example", "its URL is not valid"),
            (
                "wss://a.example",
                "a WebSocket needs its protocol: `relay:wss://…` or `stream:wss://…`",
            ),
            ("stream:wss://a.example?x=1", "the URL of a stream has no query; use variables"),
            ("sip:a b@c", "the SIP address contains ` `, which must be escaped"),
        ] {
            assert_eq!(Endpoint::parse(id, false), Err(reason.to_owned()), "{id}");
        }
        assert_eq!(Endpoint::parse("assistant-<id>", true), Err("it contains `<`".to_owned()));
    }
}
