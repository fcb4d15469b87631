//! Set-up of each platform in short: the steps of `docs/platforms/`, as data.

/// The steps for a platform.
pub(super) struct PlatformNotes {
    /// Name of the platform.
    platform: &'static str,
    /// Page of the documentation.
    pub(super) page: &'static str,
    /// Steps in the platform's user interface. `{calls}` and `{events}` stand for URLs.
    pub(super) steps: &'static [&'static str],
}

/// Steps for a platform without notes of its own.
static OTHER: PlatformNotes = PlatformNotes {
    platform: "",
    page: "docs/platforms/declared.md",
    steps: &[
        "Set the webhook for incoming calls to {calls}.",
        "Optional, to record events: set the webhook for events to {events}.",
    ],
};

static NOTES: [PlatformNotes; 19] = [
    PlatformNotes {
        platform: "retell",
        page: "docs/platforms/retell.md",
        steps: &[
            "At the phone number, set the inbound webhook to {calls}. Text messages use the same URL.",
            "The secret is the API key with the webhook badge; each workspace has its own.",
            "Optional, to record events: set the webhook of the agent or the account to {events}.",
        ],
    },
    PlatformNotes {
        platform: "synthflow",
        page: "docs/platforms/synthflow.md",
        steps: &[
            "Set the inbound webhook to {calls}.",
            "The secret is that of the workspace.",
            "Optional, to record events: set the external webhook URL to {events}.",
        ],
    },
    PlatformNotes {
        platform: "vapi",
        page: "docs/platforms/vapi.md",
        steps: &[
            "Create a custom credential of the kind HMAC with the secret, the algorithm SHA-256, and the default values of all other fields.",
            "Set the server URL of the phone number to {calls}, and select the credential there.",
            "Remove the number's assistant, squad and workflow: a number that has one does not ask.",
            "Set the number's fallback destination. It takes the call if no reply arrives.",
            "Optional, to record events: leave the server URL of the assistants empty, or set it to {events}. Choose few server messages: end-of-call-report and status-update suffice.",
        ],
    },
    PlatformNotes {
        platform: "elevenlabs",
        page: "docs/platforms/elevenlabs.md",
        steps: &[
            "In the settings of the workspace, set the conversation initiation webhook to {calls}, with the header X-Switchboard-Secret and the secret as its value.",
            "In the agent's Security tab, enable “Fetch initiation client data from webhook”, and allow each override that rules send.",
            "Optional, to record events: create a post-call webhook with HMAC and the URL {events}. Do not send audio.",
        ],
    },
    PlatformNotes {
        platform: "telnyx",
        page: "docs/platforms/telnyx.md",
        steps: &[
            "In the assistant, set the dynamic variables webhook URL to {calls}, with the method POST and a timeout of 1500 ms or more.",
            "The secret is the public key of the account: Mission Control, Keys & Credentials.",
            "Optional, to record events: set the webhook of the Call Control or TeXML application that the assistant uses to {events}.",
        ],
    },
    PlatformNotes {
        platform: "telnyx-call-control",
        page: "docs/platforms/telnyx-call-control.md",
        steps: &[
            "In the Call Control application, set the webhook URL to {calls}.",
            "The secret is the public key of the account, and api_key an API key: Mission Control, Keys & Credentials.",
        ],
    },
    PlatformNotes {
        platform: "openai",
        page: "docs/platforms/openai.md",
        steps: &[
            "In the project's settings, create a webhook for realtime.call.incoming with the URL {calls}.",
            "The secret is the signing secret that OpenAI shows once; it begins with whsec_.",
            "Point the SIP trunk at sip:PROJECT@sip.api.openai.com;transport=tls.",
        ],
    },
    PlatformNotes {
        platform: "openai-live",
        page: "docs/platforms/openai.md",
        steps: &[
            "In the project's settings, create a webhook for live.transport.incoming with the URL {calls}.",
            "The secret is the signing secret that OpenAI shows once; it begins with whsec_.",
            "Point the SIP trunk at sip:PROJECT@sip.api.openai.com;transport=tls.",
        ],
    },
    PlatformNotes {
        platform: "pipecat",
        page: "docs/platforms/pipecat.md",
        steps: &[
            "In the dial-in configuration of the number at Daily (pinless dial-in), set the room creation API to {calls}.",
            "The secret is the hmac of that configuration, and api_key a public API key of Pipecat Cloud (pk_…).",
        ],
    },
    PlatformNotes {
        platform: "texml",
        page: "docs/platforms/texml.md",
        steps: &[
            "In Mission Control, under Voice › TeXML Applications, create an application. Set its voice method to POST and its webhook URL to {calls}, and assign your numbers to it.",
            "Recommended: set the failover URL. It is asked if this service cannot be reached; without it, the call ends.",
            "Optional, to record events: set the status callback to {events}, by POST.",
        ],
    },
    PlatformNotes {
        platform: "twilio",
        page: "docs/platforms/twilio.md",
        steps: &[
            "Under Phone Numbers › Active numbers › your number › Voice configuration, set “A call comes in” to Webhook, {calls}, HTTP POST.",
            "The secret is the primary auth token of the account. Twilio signs the URL, so a proxy must not change it.",
            "Recommended: set “Primary handler fails” to a URL that Twilio hosts, such as a TwiML Bin.",
            "Optional, to record events: set “Call status changes” to {events}.",
            "Optional, for text messages: under Messaging configuration, set “A message comes in” to {calls}.",
        ],
    },
    PlatformNotes {
        platform: "fish",
        page: "docs/platforms/declared.md",
        steps: &["Set the agent's webhook “Inbound call” to {calls}."],
    },
    PlatformNotes {
        platform: "assemblyai",
        page: "docs/platforms/declared.md",
        steps: &[
            "Set the URL of the request before a call to {calls}, and name the facts caller_number, dialed_number, agent_id and session_id in what it sends.",
            "The secret is sent in the header x-api-key.",
        ],
    },
    PlatformNotes {
        platform: "vogent",
        page: "docs/platforms/declared.md",
        steps: &[
            "Set the webhook for dial.inbound to {calls}.",
            "No signature is documented: set url_token or allow_from in the source.",
        ],
    },
    PlatformNotes {
        platform: "bolna",
        page: "docs/platforms/declared.md",
        steps: &[
            "Set the URL for the context of inbound calls to {calls}, with the secret as a bearer token.",
            "With “Allow calls only from database”, a reply without variables rejects the call.",
        ],
    },
    PlatformNotes {
        platform: "millis",
        page: "docs/platforms/declared.md",
        steps: &["Set the agent's pre-fetch webhook to {calls}."],
    },
    PlatformNotes {
        platform: "jambonz",
        page: "docs/platforms/declared.md",
        steps: &[
            "Set the calling webhook of the application to {calls}, by POST.",
            "jambonz has no agent of its own, so the source needs a fallback agent.",
        ],
    },
    PlatformNotes {
        platform: "signalwire",
        page: "docs/platforms/declared.md",
        steps: &[
            "Create a SWML script with an external URL: {calls}. Assign your numbers to it.",
            "The signature covers the URL, so the source needs public_base_url, and a proxy must not change the URL.",
        ],
    },
    PlatformNotes {
        platform: "turncall",
        page: "docs/platforms/declared.md",
        steps: &["Set the webhook for call-init to {calls}."],
    },
];

/// Returns the notes for a platform.
pub(super) fn of_platform(platform: &str) -> &'static PlatformNotes {
    NOTES.iter().find(|notes| notes.platform == platform).unwrap_or(&OTHER)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dialect;

    #[test]
    fn each_platform_has_notes_and_each_page_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for dialect in dialect::ALL {
            let name = dialect.platform().as_str();
            assert_eq!(of_platform(name).platform, name);
        }
        for file in std::fs::read_dir(root.join("config/platforms")).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert_eq!(of_platform(name).platform, name);
        }
        for notes in &NOTES {
            assert!(root.join(notes.page).is_file(), "{}", notes.page);
            assert!(notes.steps[0].contains("{calls}") || notes.steps[1].contains("{calls}"));
        }
    }
}
