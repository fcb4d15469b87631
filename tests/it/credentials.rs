//! Signing keys, URL tokens, the admin token and certificates are replaced while the service runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{self, Served, admin_request, run, start, text};
use crate::support::tls::{SelfSigned, connect};
use crate::support::wait;

const RULES: &str = "[[rule]]\nname = \"everyone\"\nagent = \"agent_1\"\n";
const OLD: &str = "key_old_0123456789abcdef";
const NEW: &str = "key_new_0123456789abcdef";

/// A running service whose credentials are in files.
struct Service {
    served: Served,
    folder: TempDir,
    settings: String,
}

fn serve(rules: &str) -> Service {
    let settings = format!(
        "[rules]\n{rules}\n[admin]\ntoken = \"file:token\"\n\
         [sources.retell]\nplatform = \"retell\"\nsecrets = [\"file:key\"]\nurl_token = \"file:url\"\n"
    );
    let (folder, settings) = program::folder(&settings, RULES);
    for (name, secret) in [("key", OLD), ("token", OLD), ("url", OLD)] {
        std::fs::write(folder.path().join(name), secret).unwrap();
    }
    let served = Served::new(start(&["--config", &settings]));
    Service { served, folder, settings }
}

impl Service {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn replace(&self, name: &str, content: &str) {
        replace(&self.path(name), content);
    }

    /// Sends a call, signed with the key and to the URL that the files contain now. Returns the exit code.
    fn send(&self) -> Option<i32> {
        run(&["send", "--config", &self.settings, "--url", &self.served.url]).status.code()
    }

    /// Sends a call that was signed with `key` and sent to the URL with `token`.
    fn send_with(&self, key: &str, token: &str) -> Option<i32> {
        let settings = std::fs::read_to_string(&self.settings).unwrap();
        let (folder, settings) = program::folder(&settings, RULES);
        for (name, secret) in [("key", key), ("new", key), ("token", OLD), ("url", token)] {
            std::fs::write(folder.path().join(name), secret).unwrap();
        }
        run(&["send", "--config", &settings, "--url", &self.served.url]).status.code()
    }

    fn admin(&self, request: &str, token: &str) -> (u16, Value) {
        let (status, body) = self.admin_text(request, token);
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    fn admin_text(&self, request: &str, token: &str) -> (u16, String) {
        let token = format!("Authorization: Bearer {token}\r\n");
        admin_request(&self.served.admin, request, &token)
    }

    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(&Service) -> bool) {
        assert!(wait::until(|| condition(self)), "{what}: {}", self.served.log());
    }
}

/// Replaces a file as an ACME client or an editor does.
fn replace(path: &Path, content: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, content).unwrap();
    std::fs::rename(next, path).unwrap();
}

#[test]
fn new_secrets_replace_the_old_ones_without_a_restart() {
    let service = serve("");
    assert_eq!(service.send(), Some(0));
    service.replace("key", NEW);
    service.until("the new key is in use", |service| service.send() == Some(0));
    assert_eq!(service.send_with(OLD, OLD), Some(1), "the old key is refused");
    service.replace("url", NEW);
    service.until("the new URL token is in use", |service| service.send() == Some(0));
    assert_eq!(service.send_with(NEW, OLD), Some(1), "the old URL token is refused");
    service.replace("token", NEW);
    service.until("the new admin token is in use", |service| {
        service.admin("GET /metrics", NEW).0 == 200
    });
    assert_eq!(service.admin("GET /metrics", OLD).0, 401);
}

#[test]
fn a_rotation_accepts_both_keys() {
    let service = serve("poll_ms = 0");
    let settings = std::fs::read_to_string(&service.settings).unwrap();
    let both = settings.replace("[\"file:key\"]", "[\"file:new\", \"file:key\"]");
    std::fs::write(service.path("new"), NEW).unwrap();
    std::fs::write(&service.settings, both).unwrap();
    assert_eq!(service.send_with(NEW, OLD), Some(1), "not before the reload");
    let (status, body) = service.admin("POST /reload", OLD);
    assert_eq!((status, &body["ok"]), (200, &true.into()), "{body}");
    assert_eq!([OLD, NEW].map(|key| service.send_with(key, OLD)), [Some(0); 2]);
}

#[test]
fn a_key_of_one_of_several_schemes_is_rotated() {
    let service = serve("poll_ms = 0");
    let settings = std::fs::read_to_string(&service.settings).unwrap();
    let all = "[sources.retell.signature]\nall = [{ kind = \"retell\" }, { kind = \"shared\", \
               header = \"x-shared\", secrets = [\"file:new\"] }]\n";
    std::fs::write(&service.settings, settings + all).unwrap();
    std::fs::write(service.path("new"), OLD).unwrap();
    let served = Served::new(start(&["--config", &service.settings]));
    let service = Service { served, ..service };
    // A table of the settings was compared by its text, whose keys came in another order each time.
    for key in [NEW, OLD, NEW, OLD, NEW] {
        service.replace("new", key);
        let (status, body) = service.admin("POST /reload", OLD);
        assert_eq!((status, &body["diagnostics"]), (200, &Value::Array(Vec::new())), "{body}");
        assert_eq!(service.send(), Some(0), "{key}: {}", service.served.log());
    }
}

#[test]
fn a_file_that_appears_after_the_settings_that_name_it_is_read() {
    let service = serve("");
    let settings = std::fs::read_to_string(&service.settings).unwrap();
    let both = settings.replace("[\"file:key\"]", "[\"file:new\", \"file:key\"]");
    // A syntax error hides every file but that of the settings.
    for (text, problem) in [(format!("{both}["), "syntax"), (both, "unusable-secret")] {
        if problem == "unusable-secret" {
            std::fs::write(service.path("new"), "   ").unwrap();
        }
        replace(service.settings.as_ref(), &text);
        service.served.wait_for_log(problem);
    }
    service.replace("new", NEW);
    service.until("both keys are in use", |service| {
        [OLD, NEW].iter().all(|key| service.send_with(key, OLD) == Some(0))
    });
}

#[test]
fn unusable_secrets_keep_the_old_ones() {
    let service = serve("poll_ms = 0");
    service.replace("key", "\"key_in_quotes_0123456789\"");
    service.replace("token", NEW);
    let (status, body) = service.admin("POST /reload", OLD);
    assert_eq!((status, &body["ok"]), (422, &false.into()), "{body}");
    assert_eq!(body["diagnostics"][0]["code"], "unusable-secret", "{body}");
    assert_eq!(service.send_with(OLD, OLD), Some(0));
    let (_, ready) = service.admin("GET /readyz", OLD);
    assert_eq!(ready["credentials"]["ok"], false, "{ready}");
    assert_eq!(ready["warning"], "secrets and certificates could not be reloaded");
    let (_, metrics) = service.admin_text("GET /metrics", OLD);
    assert!(metrics.contains("switchboard_credentials_reload_last_successful 0"), "{metrics}");
    service.replace("key", NEW);
    assert_eq!(service.admin("POST /reload", OLD).0, 200);
    assert_eq!(service.send_with(NEW, OLD), Some(0));
    let (_, ready) = service.admin("GET /readyz", NEW);
    assert_eq!((&ready["credentials"]["ok"], &ready["warning"]), (&true.into(), &Value::Null));
}

#[test]
fn other_settings_need_a_restart_which_a_warning_says() {
    let service = serve("poll_ms = 0");
    let settings = std::fs::read_to_string(&service.settings).unwrap();
    let changed = settings
        .replace("platform = \"retell\"", "platform = \"retell\"\nfallback = \"reject\"")
        .replace("[admin]", "[server]\nmax_in_flight = 7\n[admin]");
    std::fs::write(&service.settings, changed).unwrap();
    let (status, body) = service.admin("POST /reload", OLD);
    assert_eq!(status, 200, "{body}");
    let warning = &body["diagnostics"][0];
    let message = "settings have changed since the start: \
                   server.max_in_flight, sources.retell.fallback";
    assert_eq!((&warning["severity"], &warning["message"]), (&"warning".into(), &message.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let [old, new] = [(); 2].map(|()| SelfSigned::new(&["hooks.example"]));
    let (folder, settings) = program::folder(
        &format!(
            "[server]\ntls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n{}",
            program::SETTINGS
        ),
        RULES,
    );
    let store = |certificate: &SelfSigned| {
        replace(&folder.path().join("key.pem"), &certificate.key);
        replace(&folder.path().join("cert.pem"), &certificate.chain);
    };
    store(&old);
    let served = Served::new(start(&["--config", &settings]));
    let address: SocketAddr = served.url.strip_prefix("https://").unwrap().parse().unwrap();
    let accepts = async |certificate: &SelfSigned| {
        connect(address, "hooks.example", certificate, &[]).await.is_ok()
    };
    assert!(accepts(&old).await && !accepts(&new).await);
    let (_, metrics) = admin_request(&served.admin, "GET /metrics", "");
    assert!(
        metrics.contains("switchboard_certificate_expiry_timestamp_seconds{certificate=\""),
        "{metrics}"
    );
    store(&new);
    assert!(wait::until_async(async || accepts(&new).await).await, "{}", served.log());
    assert!(!accepts(&old).await);
    replace(&folder.path().join("cert.pem"), &old.chain);
    served.wait_for_log("bad-certificate");
    assert!(accepts(&new).await, "a certificate without its key is not used");
    store(&SelfSigned::expired("hooks.example"));
    served.wait_for_log("certificate-validity");
    store(&new);
    let sent = run(&["send", "--config", &settings]);
    assert!(text(&sent.stderr).contains("write --url https://NAME"), "{}", text(&sent.stderr));
}

#[test]
fn mistakes_in_certificates_are_found_at_the_start() {
    let [good, other] = [(); 2].map(|()| SelfSigned::new(&["hooks.example"]));
    let expired = SelfSigned::expired("hooks.example");
    let pair = |cert: &str, key: &str| format!("{{ cert = \"{cert}\", key = \"{key}\" }}");
    for (tls, problem) in [
        (pair("good.pem", "other.key"), "does not belong to the first certificate"),
        (pair("good.key", "good.key"), "contains no certificate in PEM"),
        (pair("good.pem", "good.pem"), "contains no private key in PEM"),
        (pair(".", "good.key"), "it is a folder, not a regular file"),
        (pair("expired.pem", "expired.key"), "the certificate expired at 2020-04-01T00:00:00Z"),
        ("{ cert = \"good.pem\" }".to_owned(), "`server.tls`: `key` is missing"),
        ("[]".to_owned(), "`server.tls` has no certificate"),
        (
            "[".to_owned() + &pair("good.pem", "good.key") + ", { certt = \"x\" }]",
            "did you mean `cert`?",
        ),
        (pair("good.pem", "good.key") + "\nhttp3 = true", "unknown key `server.http3`"),
        ("{ cert = \"none.pem\", key = \"good.key\" }".to_owned(), "cannot read"),
    ] {
        let settings = format!("[server]\ntls = {tls}\n{}", program::SETTINGS);
        let (folder, settings) = program::folder(&settings, RULES);
        for (name, certificate) in [("good", &good), ("other", &other), ("expired", &expired)] {
            let path = |extension| folder.path().join(format!("{name}.{extension}"));
            std::fs::write(path("pem"), &certificate.chain).unwrap();
            std::fs::write(path("key"), &certificate.key).unwrap();
        }
        let checked = text(&run(&["check", "--config", &settings]).stdout);
        assert!(checked.contains(problem), "{tls}: {checked}");
        assert!(checked.contains("s.toml:2:") || checked.contains("s.toml:3:"), "{tls}: {checked}");
    }
    for (server, problem) in [
        ("http2 = true", "`server.http2` requires `server.tls`"),
        ("proxy_protocol = true", "`server.proxy_protocol` requires `server.trusted_proxies`"),
    ] {
        let settings = format!("[server]\n{server}\n{}", program::SETTINGS);
        let (_folder, settings) = program::folder(&settings, RULES);
        let checked = text(&run(&["check", "--config", &settings]).stdout);
        assert!(checked.contains(problem), "{checked}");
    }
}
