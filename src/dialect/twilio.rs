//! Twilio: the webhooks of a phone number for voice and for messages, and status callbacks.
//!
//! Sources: Twilio's "TwiML for Programmable Voice" and "Webhooks" pages, `twilio` 6.2.0 (npm) and 9.13.0 (PyPI).
//! Twilio has no agents of its own: an agent is an address that takes the call. Replies to messages are empty:
//! whoever answers messages does so with Twilio's API.

use std::sync::Arc;
use std::time::Duration;

use super::twiml::{CAPABILITIES, TwimlDialect};
use crate::authenticate::TwilioScheme;
use crate::domain::call::{Channel, Platform};
use crate::domain::capabilities::{Profile, Timing};

/// The Twilio dialect.
pub(super) const TWILIO: TwimlDialect = TwimlDialect {
    profile: Profile {
        platform: Platform::new("twilio"),
        capabilities: CAPABILITIES,
        timing: Timing {
            reply_within: Duration::from_secs(8),
            timeout: Some(Duration::from_secs(15)),
            silence: "Twilio asks the number's fallback URL; without one, the caller hears an error and the call ends",
            retry_window: Duration::from_secs(300),
        },
    },
    scheme: || Arc::new(TwilioScheme),
    channels: &Channel::ALL,
    accepts_get: true,
    has_assistants: false,
    account: "AC00000000000000000000000000000000",
};
