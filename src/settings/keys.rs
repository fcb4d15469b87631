//! The language of the settings file: one declaration of each key.
//!
//! The tables of `docs/settings.md` and `config/schema/settings.json` are generated from these
//! declarations. Defaults are in `config/default.toml`, except those of a source.

mod certificates;
mod misplaced;
pub(crate) mod platforms;
pub(crate) mod reader;
mod records;
pub(crate) mod secret_mistakes;
mod signature;
mod source_keys;
mod sources;
mod users;
mod value_types;

use serde_json::Value;

use super::{DEFAULTS, LogFormat, Wait};
use crate::authenticate::{Algorithm, Encoding, KeyEncoding, Mode, TimeUnit};
use crate::dialect::generic::{RequestFormat, VariableNames};
use crate::domain::user::Role;
use crate::schema::{TableSpec, toml_table};
use platforms::{EmptyMembers, VariableForm};
use reader::{Entry, TableKeys};
use records::NumberStorageKind;
use signature::{LONGEST_TOLERANCE_S, SchemeKind};
use value_types::{
    Address, ApiUrl, Boolean, BoundedInteger, Certificates, CollectorUrl, CountryCode,
    FallbackReply, FieldMatches, FilePath, HttpHeader, LogLevel, Milliseconds, NamedPointers,
    Networks, OneOf, OnePointer, PasswordHash, PlatformName, Platforms, Pointers, PublicUrl,
    RecordsUrl, ReplyBudget, ReplyJson, SchemeList, SecretReference, SecretReferences, Section,
    SharedKeys, SignatureScheme, Sources, Text, Texts, UrlToken, Users, ValueType,
};

/// Milliseconds and connections above this are taken for a typing error.
const LIMIT: usize = 10_000_000;

toml_table! {
    /// Addresses, sources and files of Switchboard. Relative paths start from the folder of this
    /// file, which never contains a secret. `docs/settings.md` has more.
    pub(crate) struct RootKeys: "the settings file" {
        server: Section<ServerKeys>,
        admin: Section<AdminKeys>,
        rules: Section<RulesKeys>,
        records: Section<RecordsKeys>,
        log: Section<LogKeys>,
        traces: Section<TracesKeys>,
        /// Platforms that Switchboard does not know by itself, for `platform = "NAME"` in a source.
        ///
        /// `[platforms.nova]`
        platforms: Platforms,
        /// Sources of requests: one table for each workspace at a platform. NAME becomes a part of the
        /// path, `/inbound/NAME`.
        ///
        /// `[sources.retell]`
        sources: Sources,
    }
}

toml_table! {
    /// Public listener, which receives the platforms' requests.
    pub(crate) struct ServerKeys: "[server]" {
        /// Address and port. The default is loopback, for use behind a reverse proxy that terminates
        /// TLS. The container image sets `0.0.0.0:8080`.
        listen: Address,
        /// Time limit for receiving a request body, and at most 2000 for a call or text message; then
        /// the response is 408.
        request_timeout_ms: Milliseconds<1, LIMIT>,
        /// Time after which an idle connection is closed, and time limit for receiving the headers of
        /// a request. Keep it above the idle timeout of the load balancer in front.
        header_timeout_ms: Milliseconds<1, LIMIT>,
        /// Maximum number of open connections. A further connection replaces the oldest one without an
        /// authenticated request. If there is none, it waits in the kernel's queue (about 4,000 of them)
        /// until one closes.
        max_connections: BoundedInteger<1, LIMIT>,
        /// Maximum number of connections without an authenticated request from one address, except
        /// from `trusted_proxies`. A further connection replaces the oldest of them.
        max_unauthenticated_per_address: BoundedInteger<1, LIMIT>,
        /// Maximum number of authenticated requests in flight, including calls that wait for
        /// `delay_ms`. Further requests get 503 with `Retry-After`.
        max_in_flight: BoundedInteger<1, LIMIT>,
        /// Megabytes for the bodies of requests that are not authenticated yet. Further requests get
        /// 503 with `Retry-After`. One address may use half of it, and events three quarters.
        body_memory_mb: BoundedInteger<32, 1_048_576>,
        /// Time for requests in flight to finish on shutdown: longer than the slowest reply, and
        /// shorter than the 10 seconds after which containers are killed.
        shutdown_grace_ms: Milliseconds<1, LIMIT>,
        /// Addresses or networks of the reverse proxies whose `X-Forwarded-For` is trusted:
        /// `["10.0.0.0/8"]`. The client address is the rightmost one that is not a trusted proxy.
        trusted_proxies: Networks,
        /// Certificate and key, which make the listener accept TLS only: `{ cert = "fullchain.pem", key =
        /// "privkey.pem" }`. With a list of several, a client receives the first one that is valid for
        /// the name that it asks for, or else the first one. Changed files are loaded without a restart.
        tls: Certificates,
        /// Offers HTTP/2 to clients, with at most 100 requests in flight on a connection. Requires `tls`.
        http2: Boolean,
        /// Connections from `trusted_proxies` begin with a header of the PROXY protocol, version 2, in
        /// which a load balancer that does not speak HTTP passes the client address.
        proxy_protocol: Boolean,
        /// Lets several processes of this machine listen on the same address (`SO_REUSEPORT`), so that
        /// one can take over from another.
        reuse_port: Boolean,
    }
}

toml_table! {
    /// A certificate with its private key.
    pub(crate) struct CertificateKeys: "a certificate" {
        /// File in PEM: the certificate, followed by those that sign it.
        cert: FilePath = required,
        /// File in PEM: the private key of the certificate.
        key: FilePath = required,
    }
}

toml_table! {
    /// Admin listener: the console, health, readiness, metrics, reload, explain and records.
    pub(crate) struct AdminKeys: "[admin]" {
        /// Address and port. Requires `token` unless bound to loopback.
        listen: Address,
        /// Reference to the token: `"env:SWITCHBOARD_ADMIN_TOKEN"` or `"file:PATH"`. If set, all
        /// endpoints except `/healthz` and `/readyz` require `Authorization: Bearer …`. Without it, every
        /// user of the machine can read `/records`; a `Host` that is neither `localhost` nor a loopback
        /// address gets 403.
        token: SecretReference,
        /// People who may log in to the console: one table for each, with the name that the person types.
        /// The token opens the console too. Requires `token`.
        ///
        /// `[admin.users.ann]`
        users: Users,
        /// Shows viewers whole phone numbers. Otherwise the console masks them, except for editors.
        reveal_numbers: Boolean,
        /// Lets editors change the files of the rule table in the console. The old files are kept in the
        /// records.
        edit: Boolean,
    }
}

toml_table! {
    /// A person who may log in to the console.
    pub(crate) struct UserKeys: "a user" {
        /// Hash of the password, as `switchboard passwd` prints it, or a reference to it:
        /// `"env:ANN_PASSWORD_HASH"` or `"file:PATH"`.
        password_hash: PasswordHash = required,
        /// `"viewer"`: sees calls and rules. `"editor"`: also sees whole numbers, reloads, and changes
        /// rules where `admin.edit` allows it.
        role: OneOf<Role> = "viewer",
    }
}

toml_table! {
    /// Rule table.
    pub(crate) struct RulesKeys: "[rules]" {
        /// File, or folder whose `*.toml` files form one rule table.
        path: FilePath,
        /// Interval at which the files of the rule table, lists included, are checked for changes. A
        /// change is taken when the next check sees the same files. Changed rules are loaded without a
        /// restart; if they contain an error, the previous rules stay live. `0` disables polling: rules are
        /// then reloaded on SIGHUP or `POST /reload` only.
        poll_ms: Milliseconds<0, LIMIT>,
        /// If files of the folder have errors, they stay at their last good version, and the other files go
        /// live. A file without a last good version is left out.
        isolate: Boolean,
        /// File with a copy of the last rule table without errors, with which `serve` starts if the table
        /// at `path` has errors or is missing. The default is beside the records: the path of the SQLite
        /// file with `.last-good-table`, if numbers are stored in full. Otherwise no copy is kept.
        last_good: FilePath,
        /// Folder with the copies of lists that have a `url` or a `database`. The default is beside the
        /// records: the path of the SQLite file with `.lists`. Without one, it is the `path` of the rules
        /// with `.lists`.
        lists_dir: FilePath,
    }
}

toml_table! {
    /// Records of calls and events.
    pub(crate) struct RecordsKeys: "[records]" {
        /// Record store: `"sqlite:PATH"` for one machine, `"postgres://USER@HOST/DATABASE"` for several
        /// replicas, `"memory:"` until the service stops, or `"off"`. A URL with a password must not be
        /// in the settings: refer to it by `"env:DATABASE_URL"` or `"file:PATH"`.
        url: RecordsUrl,
        /// Age in days at which records are deleted.
        retain_days: BoundedInteger<1, 36_500>,
        /// Storage of callers' numbers. `"full"`: unchanged. `"masked"`: `+1213***1234`; such calls
        /// cannot be replayed. `"hashed"`: hashed with `hash_key`; such calls cannot be replayed, but can
        /// be found and erased by number.
        numbers: OneOf<NumberStorageKind>,
        /// Reference to the key for `numbers = "hashed"`, at least 16 bytes:
        /// `"env:SWITCHBOARD_HASH_KEY"` or `"file:PATH"`. Numbers that were hashed with another key are
        /// no longer found.
        hash_key: SecretReference,
        /// `"no"`: replies do not wait for their records; a crash loses the latest ones. `"commit"`:
        /// each reply waits until its record is committed. If the record store fails, calls wait during the
        /// first second, within `reply_within_ms`; later calls do not wait until it has recovered.
        wait: OneOf<Wait>,
        /// Adds `metadata.switchboard_id` to each reply. It joins events to decisions on platforms whose
        /// requests have no call id.
        stamp: Boolean,
        /// Keeps what look-ups found, so that `records show` and `replay` decide with the answers that the call had.
        /// Only with `numbers = "full"`.
        lookups: Boolean,
    }
}

toml_table! {
    /// Logging.
    pub(crate) struct LogKeys: "[log]" {
        /// `"error"`, `"warn"`, `"info"` (one line per call), `"debug"`, `"trace"`, or directives of
        /// the `tracing` crate: `"info,hyper=debug"`.
        level: LogLevel,
        /// `"json"`: one JSON object per line. `"pretty"`: for reading in a terminal; the default of
        /// `serve --dev`.
        format: OneOf<LogFormat>,
    }
}

toml_table! {
    /// OpenTelemetry traces: a span for each request, and one for each step of its handling.
    pub(crate) struct TracesKeys: "[traces]" {
        /// Base URL of an OTLP collector, which receives the spans as protobuf over HTTP at
        /// `/v1/traces` below it: `"http://127.0.0.1:4318"`. Without it there are no traces. Requires a
        /// build with the feature `otlp`, like the container image.
        otlp_endpoint: CollectorUrl,
    }
}

toml_table! {
    /// A source: a workspace at a platform, which sends requests to `/inbound/NAME` and
    /// `/events/NAME`.
    pub(crate) struct SourceKeys: "a source" {
        /// Platform of the workspace.
        platform: PlatformName = required,
        /// References to the valid signing keys, several during a rotation:
        /// `["env:RETELL_API_KEY", "file:/run/secrets/old_key"]`. Required unless `auth = "off"`.
        secrets: SecretReferences,
        /// `"required"`: requests that fail authentication are rejected. `"when-present"`: so are those with a
        /// wrong signature, but one without a signature needs the second factor alone; requires `url_token` or
        /// `allow_from`. `"observe"`: all requests are answered, and authentication failures are counted.
        /// `"off"`: signatures are not verified; requires `url_token` or `allow_from`.
        auth: OneOf<Mode> = "required",
        /// Second factor: reference to a token, `"env:RETELL_URL_TOKEN"` or `"file:PATH"`. The URL
        /// becomes `/inbound/NAME/TOKEN`, and requests without the token fail authentication.
        url_token: UrlToken,
        /// Second factor: addresses or networks that may send requests: `["100.20.5.228"]`.
        allow_from: Networks,
        /// Signature scheme that replaces the platform's own: `{ kind = "bearer" }`. See
        /// [signatures](signatures.md).
        signature: SignatureScheme,
        /// References to the keys that sign events, on platforms that sign them in another way than requests
        /// about calls: ElevenLabs. Then they apply to the path of events, and `secrets` to the other one.
        events_secrets: SecretReferences,
        /// Signature scheme of events that replaces the platform's own: `{ kind = "bearer" }`. Its keys are
        /// `events_secrets`.
        events_signature: SignatureScheme,
        /// URL under which the platform knows this service, up to the path: `"https://hooks.example.com"`.
        /// The path and query of each request follow it. Required if the signature covers the URL; no
        /// header of a request can replace it.
        public_base_url: PublicUrl,
        /// Reference to the key of the platform's API: `"env:OPENAI_API_KEY"` or `"file:PATH"`. Required on
        /// platforms where a request to the API carries out the decision, except with `--dev`.
        api_key: SecretReference,
        /// Base URL of that API, in place of the platform's own: `"https://api.eu.example.com/v1"`.
        /// `http://` only to a loopback address or `localhost`.
        api_url: ApiUrl,
        /// Country in whose form the platform sends national numbers: `"US"` reads `(213) 777-1234`,
        /// `"DE"` reads `030 901820` and `0049 30 901820`. Without it, numbers need a country code.
        country: CountryCode,
        /// Fields with the caller's number, in order; the first one that has a number counts:
        /// `["sip.p-asserted-identity", "from_number"]`. `sip.` begins the name of a SIP header. The platform's
        /// own field is the default, and the last one of any list: `from_number` at Retell, `from` at OpenAI,
        /// `From` at Twilio and TeXML. Other platforms have no further fields.
        from: Texts,
        /// Fields with the called number, in order: `["sip.diversion", "to_number"]`. The own
        /// fields are `to_number` at Retell, `to` at OpenAI, `To` at Twilio and TeXML.
        to: Texts,
        /// Texts that the platform sends for a withheld number, besides the usual words: `["geheim"]`.
        withheld: Texts,
        /// Deadline for a reply, from the arrival of the request. Platforms stop waiting after some time, Retell
        /// after 10 seconds. Default: that of the platform, `3000` for Retell; see `docs/platforms.md`.
        reply_within_ms: ReplyBudget,
        /// Reply when an internal error occurs: `"keep"` (the platform's default agent), `"reject"`, or
        /// the name of an agent in the rule table. At a platform whose numbers have no agent of their own, such
        /// as Vapi, the name of an agent is required; it also takes the calls that rules keep.
        fallback: FallbackReply = "keep",
    }
}

toml_table! {
    /// A platform that Switchboard does not know by itself: where its requests have the facts of a call, and
    /// which replies it reads. The files of `config/platforms/` are such tables.
    pub(crate) struct PlatformKeys: "a platform" {
        /// Encoding of requests. `"json"`: POST with a JSON object. `"form"`: POST with a form. `"query"`: GET
        /// with a query.
        request: OneOf<RequestFormat> = "json",
        /// Requests that ask for a decision: `{ pointer = "/event", equals = "call.inbound" }`. The others are
        /// events. Default: all requests ask, except those on the path of events.
        when: FieldMatches,
        /// Requests with which the platform checks the URL: `{ pointer = "/Test", equals = "test" }`.
        probe: FieldMatches,
        /// Caller's number: a JSON pointer such as `"/call/from"`, or a list, of which the first one to a value
        /// that is not empty counts. In a form or a query, a pointer has one part: `"/from"`.
        from: Pointers,
        /// Called number: pointers as in `from`.
        to: Pointers,
        /// Id of the call, which is the same on every retry: pointers as in `from`.
        call_id: Pointers,
        /// Agent that the platform has assigned to the number: pointers as in `from`.
        agent: Pointers,
        /// The platform's id of the called number, for the rule key `number_id`: pointers as in `from`.
        number_id: Pointers,
        /// Object with the SIP headers of the call: a pointer.
        sip: OnePointer,
        /// Further facts, for `attr.NAME` in rules: `{ city = "/call/city" }`.
        attributes: NamedPointers,
        /// Kind of an event: pointers as in `from`.
        event: Pointers,
        /// Signature scheme of its requests, which a source can replace: `{ kind = "bearer" }`. See
        /// [signatures](signatures.md). Default: `{ kind = "none" }`, with which a source needs `url_token` or
        /// `allow_from`.
        signature: SignatureScheme,
        /// Reply templates: `keep` or `agent`, and others. An outcome without a template is one that the platform
        /// cannot express.
        reply: Section<ReplyKeys>,
        /// Form and limits of variables.
        variables: Section<VariableKeys>,
        /// Time after which the platform stops waiting, in milliseconds, if that is known.
        timeout_ms: Milliseconds<1, LIMIT>,
        /// Reply deadline of a source that sets none. Default: 60 % of `timeout_ms`, and at most `3000`.
        reply_within_ms: ReplyBudget,
    }
}

toml_table! {
    /// Values by which a request is recognized.
    pub(crate) struct FieldMatchKeys: "a match" {
        /// Pointer to the value.
        pointer: OnePointer = required,
        /// Text, or a list of texts of which any matches.
        equals: Texts = required,
    }
}

toml_table! {
    /// Reply templates: JSON in which `"$agent"`, `"$agent_version"`, `"$variables"`, `"$metadata"`,
    /// `"$agent_override"`, `"$reason"`, `"$sip_status"`, `"$say"`, `"$target"` and `"$sip_headers"` stand for
    /// values of the decision. A string that is nothing else keeps the value's type; `$$` is a dollar sign. A
    /// template can contain the values of its outcome alone.
    pub(crate) struct ReplyKeys: "the replies of a platform" {
        /// An agent is selected, `$agent`: `'{ "agent": "$agent", "variables": "$variables" }'`.
        agent: ReplyJson,
        /// The platform's own agent answers.
        keep: ReplyJson,
        /// The call is rejected.
        reject: ReplyJson,
        /// The call is transferred to `$target`.
        transfer: ReplyJson,
        /// Members whose value is an empty object or list: `"keep"`, or `"drop"` to leave them out.
        empty: OneOf<EmptyMembers> = "keep",
    }
}

toml_table! {
    /// Form and limits of the variables in a reply.
    pub(crate) struct VariableKeys: "the variables of a platform" {
        /// `"object"`: members with names. `"list"`: objects with `name` and `value`.
        form: OneOf<VariableForm> = "object",
        /// Maximum number of variables.
        max: BoundedInteger<1, LIMIT>,
        /// Maximum length of a value, in characters.
        max_chars: BoundedInteger<1, LIMIT>,
        /// Beginnings of names that the platform reserves: `["system__"]`.
        reserved: Texts,
        /// Names that the platform accepts: `"any"`, or `"identifiers"`: a letter, then letters, digits and `_`.
        names: OneOf<VariableNames> = "any",
    }
}

toml_table! {
    /// A signature scheme: how a source proves that its requests are its own.
    pub(crate) struct SignatureKeys: "a signature" {
        /// Kind of the scheme.
        kind: OneOf<SchemeKind>,
        /// In place of `kind`: a list of schemes, every one of which must hold. Each but one has its own
        /// `secrets`.
        all: SchemeList,
        /// In a scheme of `all`: references to its keys, like `secrets` of the source.
        secrets: SecretReferences,
        /// `hmac`: hash function; the sender never chooses it. Default: `"sha256"`.
        algorithm: OneOf<Algorithm>,
        /// Encoding of the signature; with `jwt`, of the hash in `body_claim`. Default: `"base64"` for
        /// `ed25519`, otherwise `"hex"`.
        encoding: OneOf<Encoding>,
        /// Form of the secret: the bytes of the text, base64, hexadecimal digits, or `whsec_` and base64.
        /// Default: `"base64"` for `ed25519`, otherwise `"text"`.
        key_encoding: OneOf<KeyEncoding>,
        /// The signed bytes: a text with `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}`, `{path}`,
        /// `{query}`. With `format = "t,v1"` the timestamp is `{t}` as well. `{url}` requires
        /// `public_base_url`.
        message: Text,
        /// Header with the signature.
        signature_header: HttpHeader,
        /// Header with the timestamp, if the message has one.
        timestamp_header: HttpHeader,
        /// Header with the id, if the message has one.
        id_header: HttpHeader,
        /// Text before each signature: `"sha256="`. Signatures with another one are skipped.
        prefix: Text,
        /// Text between several signatures in the header, one of which must match: `","`.
        list_separator: Text,
        /// `hmac`: the one header with timestamp and signatures. `shared`: the header with the secret.
        /// `bearer`, `jwt`: the header with the token; default: `"authorization"`.
        header: HttpHeader,
        /// `hmac`: names of the timestamp and of the signatures in `header`: `"t,v1"` for
        /// `t=1795700000,v1=00ff…`. Other names are skipped.
        format: Text,
        /// `jwt`: claim with the SHA-256 of the body: `"payload_hash"` at Vonage, `"sha256"` at LiveKit. Without
        /// it, the token does not prove the body.
        body_claim: Text,
        /// Unit of the timestamp: seconds, milliseconds, either of the two by its magnitude, or a date and
        /// time with an offset. Default: `"s"`.
        timestamp_unit: OneOf<TimeUnit>,
        /// Maximum distance of the timestamp from now in seconds, in the past and in the future. Default:
        /// 300.
        tolerance_s: BoundedInteger<1, LONGEST_TOLERANCE_S>,
        /// `standard_webhooks`: beginning of the three headers. Default: `"webhook-"`.
        header_prefix: Text,
        /// `twilio`: references to shared keys (public beta) by their ids: `{ webhooks_sharedkey_01… =
        /// "env:NAME" }`. A request that names one is verified with it alone.
        shared_keys: SharedKeys,
        /// `url_token`: parameter of the query with the token, in place of the path.
        query: Text,
        /// `url_token`: segment of the path with the token, counted from 0. It is 2 in
        /// `/inbound/NAME/TOKEN`, the default.
        path_segment: BoundedInteger<2, 2>,
    }
    constrain signature::constrain;
}

/// Returns the sections with their keys, except those that consist of named tables.
fn sections() -> [(&'static str, &'static TableSpec); 6] {
    [
        ("server", ServerKeys::spec()),
        ("admin", AdminKeys::spec()),
        ("rules", RulesKeys::spec()),
        ("records", RecordsKeys::spec()),
        ("log", LogKeys::spec()),
        ("traces", TracesKeys::spec()),
    ]
}

/// Returns the keys at the top of the settings.
fn root_spec() -> &'static TableSpec {
    RootKeys::spec()
}

/// Returns the keys of a source.
fn source_spec() -> &'static TableSpec {
    SourceKeys::spec()
}

/// Returns the variable that is meant by a name with one underscore in place of two, or with two:
/// `SWITCHBOARD_RULES_PATH` means `SWITCHBOARD__RULES__PATH`. `None` if there is no such key.
pub(super) fn variable_of(name: &str) -> Option<String> {
    let single = name.replace("__", "_");
    let rest = single.strip_prefix("SWITCHBOARD_")?;
    for (section, spec) in sections() {
        let section = section.to_uppercase();
        let key = rest.strip_prefix(&*section).and_then(|rest| rest.strip_prefix('_'));
        if let Some(key) = key
            && spec.names().any(|name| name.to_uppercase() == key)
        {
            return Some(format!("SWITCHBOARD__{section}__{key}"));
        }
    }
    let source = rest.strip_prefix("SOURCES_")?;
    let keys = SourceKeys::spec().names().map(str::to_uppercase);
    let found = keys.filter_map(|key| {
        let name = source.strip_suffix(&key)?.strip_suffix('_').filter(|name| !name.is_empty())?;
        Some((format!("SWITCHBOARD__SOURCES__{name}__{key}"), key.len()))
    });
    // `events_secrets` ends with `_secrets`: the longer key is meant, unless the name says otherwise.
    let (meant, _) = found.max_by_key(|(meant, length)| (meant == name, *length))?;
    Some(meant)
}

/// Returns the JSON Schema of a settings file, for editors, with the defaults of
/// `config/default.toml`.
pub fn json_schema() -> Value {
    let mut schema = RootKeys::spec().root_schema("settings", "Switchboard: the settings");
    let defaults = config::File::from_str(DEFAULTS, config::FileFormat::Toml);
    let defaults = config::Config::builder().add_source(defaults).build();
    let defaults = defaults.and_then(config::Config::try_deserialize::<Value>);
    let sections = defaults.expect("the defaults are TOML");
    for (section, defaults) in sections.as_object().into_iter().flatten() {
        for (key, default) in defaults.as_object().into_iter().flatten() {
            schema["properties"][section]["properties"][key]["default"] = default.clone();
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_whose_key_ends_like_another_one_is_what_it_says() {
        for (name, expected) in [
            ("SWITCHBOARD__SOURCES__LAB__EVENTS_SECRETS", "LAB__EVENTS_SECRETS"),
            ("SWITCHBOARD__SOURCES__LAB_EVENTS__SECRETS", "LAB_EVENTS__SECRETS"),
            ("SWITCHBOARD__SOURCES__MY_ALLOW__FROM", "MY_ALLOW__FROM"),
            ("SWITCHBOARD_SOURCES_LAB_EVENTS_SECRETS", "LAB__EVENTS_SECRETS"),
            ("SWITCHBOARD_SOURCES_LAB_SECRETS", "LAB__SECRETS"),
        ] {
            let expected = format!("SWITCHBOARD__SOURCES__{expected}");
            assert_eq!(variable_of(name), Some(expected), "{name}");
        }
    }
}
