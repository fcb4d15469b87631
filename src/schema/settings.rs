//! The settings, as `settings::file` reads them. The comments are what an editor shows; the
//! defaults are those of `config/default.toml`, which a test compares.

#![expect(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, json_schema};

use super::kinds;
use crate::dialect;

/// Where Switchboard listens, who may ask, and where its rules are. Relative paths are taken from
/// the folder of this file; a secret never stands in it. `docs/settings.md` says more.
#[derive(JsonSchema)]
#[schemars(
    title = "Switchboard: the settings",
    deny_unknown_fields,
    extend("$id" = "urn:switchboard:schema:settings")
)]
pub(super) struct Settings {
    server: Option<Server>,
    admin: Option<Admin>,
    rules: Option<Rules>,
    records: Option<Records>,
    log: Option<Log>,
    /// Who asks: a table for each workspace. The NAME becomes the path, `/inbound/NAME`.
    ///
    /// `[sources.retell]`
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9_-]+$" }))]
    sources: Option<BTreeMap<String, Source>>,
}

/// The public listener, where the platforms ask.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Server {
    /// Address and port. Loopback by default: put a proxy that speaks TLS in front.
    #[schemars(extend("default" = "127.0.0.1:8080"))]
    listen: Option<String>,
    /// A request whose body has not arrived by then gets 408. Milliseconds.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = 10000))]
    request_timeout_ms: Option<u64>,
    /// A connection that is silent for this long is closed, and so is one whose header takes
    /// longer. Keep it above the idle time of the load balancer in front. Milliseconds.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = 75000))]
    header_timeout_ms: Option<u64>,
    /// More connections than this wait in the kernel until one ends.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = 16384))]
    max_connections: Option<u64>,
    /// More requests than this at once get 503 with Retry-After.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = 4096))]
    max_in_flight: Option<u64>,
    /// What requests in flight are given to finish when the service stops. Milliseconds.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = 9500))]
    shutdown_grace_ms: Option<u64>,
    /// Addresses or networks of proxies whose X-Forwarded-For is believed: `["10.0.0.0/8"]`.
    #[schemars(extend("default" = []))]
    trusted_proxies: Option<Texts>,
}

/// The operator's listener: health, readiness and metrics.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Admin {
    /// Address and port. Off loopback only with a token.
    #[schemars(extend("default" = "127.0.0.1:9090"))]
    listen: Option<String>,
    /// Where the token is, not what it is: `"env:SWITCHBOARD_ADMIN_TOKEN"` or `"file:PATH"`. Then
    /// metrics ask for `Authorization: Bearer …`.
    token: Option<Secret>,
}

/// The rule table.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rules {
    /// The file that holds it.
    #[schemars(extend("default" = "rules.toml"))]
    path: Option<String>,
    /// How often to look whether it has changed, in milliseconds. 0: never.
    #[schemars(extend("default" = 1000))]
    poll_ms: Option<u64>,
}

/// What is kept of what was answered.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Records {
    /// `"sqlite:PATH"`, a file; `"postgres://USER@HOST/DATABASE"`, for several replicas;
    /// `"memory:"`, until the service stops; `"off"`, nowhere. Or where one of these stands, for a
    /// URL with a password never stands here: `"env:DATABASE_URL"` or `"file:PATH"`.
    #[schemars(extend("default" = "sqlite:data/switchboard.db"))]
    url: Option<RecordsUrl>,
    /// Records older than this are deleted. Days.
    #[schemars(range(min = 1, max = 36_500), extend("default" = 30))]
    retain_days: Option<u64>,
    /// How callers' numbers are kept. `"full"`: as they are. `"masked"`: `+1213***1234`; cannot be
    /// replayed. `"hashed"`: with `hash_key`; cannot be replayed, but searched and forgotten by
    /// number.
    #[schemars(extend("default" = "full"))]
    numbers: Option<Numbers>,
    /// Where the key for hashed numbers is: `"env:SWITCHBOARD_HASH_KEY"` or `"file:PATH"`. With
    /// another key, numbers that were hashed before are not found again.
    hash_key: Option<Secret>,
    /// `"no"`: a reply does not wait for its record. `"commit"`: it does, so no answered call is
    /// without one; each reply is later by the time of a commit.
    #[schemars(extend("default" = "no"))]
    wait: Option<Wait>,
    /// Puts `metadata.switchboard_id` into each reply, so that events of platforms without a call
    /// id in their request can be joined to the decision.
    #[schemars(extend("default" = false))]
    stamp: Option<bool>,
}

/// What is logged, and how a line looks.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Log {
    /// `"error"`, `"warn"`, `"info"` (one line a call), `"debug"`, `"trace"`, or tracing's
    /// directives: `"info,hyper=debug"`.
    #[schemars(extend("default" = "info"))]
    level: Option<String>,
    /// `"json"`: one object a line; `"pretty"`: for people.
    #[schemars(extend("default" = "json"))]
    format: Option<Format>,
}

/// A workspace that asks: `POST /inbound/NAME` and `/events/NAME`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Source {
    /// Which platform asks here.
    platform: Platform,
    /// Where the keys are that sign its requests, several while you rotate them:
    /// `["env:RETELL_API_KEY", "file:/run/secrets/old_key"]`.
    secrets: Option<Secrets>,
    /// `"required"`: what is not proved is refused. `"observe"`: everything is answered, and what
    /// would have been refused is counted. `"off"`: signatures are not looked at; only with
    /// `url_token` or `allow_from`.
    #[schemars(extend("default" = "required"))]
    auth: Option<Auth>,
    /// A second factor: the URL becomes `/inbound/NAME/TOKEN`. Where the token is:
    /// `"env:RETELL_URL_TOKEN"` or `"file:PATH"`.
    url_token: Option<Secret>,
    /// Another one: addresses or networks that may ask. `["100.20.5.228"]`
    allow_from: Option<Texts>,
    /// The budget for an answer, from the arrival of the request, in milliseconds.
    #[schemars(range(min = 1, max = 9000), extend("default" = 3000))]
    reply_within_ms: Option<u64>,
    /// The reply when something breaks: `"keep"` (the platform's own agent), `"reject"`, or the
    /// name of an agent in the rule table.
    #[schemars(length(min = 1), extend("default" = "keep"))]
    fallback: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Format {
    Json,
    Pretty,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Numbers {
    Full,
    Masked,
    Hashed,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Wait {
    No,
    Commit,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Auth {
    Required,
    Observe,
    Off,
}

/// Where a secret is. Anything else may be a secret itself.
const REFERENCE: &str = "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$";

/// Where records are kept, or where that is said; never with a password.
const RECORDS_URL: &str = "^(off|memory:(//)?|sqlite:[^?]*[^?/]|\
                           postgres(ql)?://([^:@?]*@)?[^@?]+([?].*)?|\
                           env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$";

kinds! {
    RecordsUrl = json_schema!({ "type": "string", "pattern": RECORDS_URL });
    Texts = json_schema!({ "type": ["string", "array"], "items": { "type": "string" } });
    Secret = json_schema!({ "type": "string", "pattern": REFERENCE });
    Secrets = json_schema!({
        "type": ["string", "array"],
        "pattern": REFERENCE,
        "items": { "type": "string", "pattern": REFERENCE },
    });
    Platform = {
        let all = dialect::ALL.map(|dialect| dialect.platform().as_str());
        json_schema!({ "type": "string", "enum": all })
    };
}
