//! Telnyx TeXML: the webhook of a TeXML application, and its status callbacks.
//!
//! Sources: Telnyx's "TeXML" and "TeXML callbacks" pages. TeXML has the elements of TwiML, and `<AIAssistant>`, which
//! selects an assistant of Telnyx. It carries no variables to an assistant: these come from the webhook of
//! the assistant (platform `telnyx`).

use std::sync::Arc;
use std::time::Duration;

use super::twiml::{CAPABILITIES, TwimlDialect};
use crate::authenticate::Ed25519Scheme;
use crate::domain::call::{Channel, Platform};
use crate::domain::capabilities::{Profile, Timing};

/// The TeXML dialect.
pub(super) const TEXML: TwimlDialect = TwimlDialect {
    profile: Profile {
        platform: Platform::new("texml"),
        capabilities: CAPABILITIES,
        timing: Timing {
            reply_within: Duration::from_secs(4),
            // A setting of the application: `first_command_timeout_secs`.
            timeout: None,
            silence: "Telnyx asks the application's failover URL; without one, the call ends",
            retry_window: Duration::from_secs(300),
        },
    },
    scheme: || Arc::new(Ed25519Scheme::telnyx()),
    channels: &[Channel::Call],
    accepts_get: false,
    has_assistants: true,
    account: "00000000-0000-0000-0000-000000000000",
};
