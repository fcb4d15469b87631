//! Reload of credentials: the signing keys, URL tokens, the admin token and the certificates.
//!
//! They are read again with the settings that refer to them, so that a key is rotated without a restart.
//! Mistakes leave all credentials as they were. Other settings apply at the next start.

use std::sync::{Arc, Mutex, PoisonError};

use super::settle::{Settling, wait_until_settled};
use crate::diagnostics::{Report, Severity};
use crate::domain::secret::LiveSecret;
use crate::domain::user::LiveUsers;
use crate::pipeline::Switchboard;
use crate::rules::FileStamp;
use crate::settings::{self, AdminSettings, Inputs, LoadedSettings, SettingValues, Settings};
use crate::tls::LiveCertificates;

/// The credentials in use, and what they were read from.
pub struct Credentials {
    inputs: Inputs,
    app: Arc<Switchboard>,
    admin_token: LiveSecret,
    admin_users: LiveUsers,
    certificates: Option<LiveCertificates>,
    /// Values of the settings at the start.
    values: SettingValues,
    files: Vec<FileStamp>,
    /// A change of the files that has not been read yet.
    settling: Settling,
    status: CredentialStatus,
}

/// Result of the last attempt to reload the credentials.
#[derive(Debug, Clone, Default)]
pub struct CredentialStatus(Arc<Mutex<Option<Arc<Report>>>>);

impl CredentialStatus {
    /// Returns the report of the last attempt if it failed.
    pub fn last_error(&self) -> Option<Arc<Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, last_error: Option<Arc<Report>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last_error;
    }
}

/// Warnings about secrets and certificates, which a reload has read again. Others are about settings that it does
/// not replace.
const WARNINGS: [&str; 2] = ["certificate-validity", "exposed-secret"];

impl Credentials {
    /// Creates the reloader of the credentials that were read from `inputs`: `files` and `values` are
    /// those of that time.
    pub fn new(
        inputs: Inputs,
        (files, values): (Vec<FileStamp>, SettingValues),
        app: Arc<Switchboard>,
        (admin_token, admin_users): (LiveSecret, LiveUsers),
        certificates: Option<LiveCertificates>,
    ) -> Credentials {
        let (status, settling) = (CredentialStatus::default(), Settling::default());
        Credentials {
            inputs,
            app,
            admin_token,
            admin_users,
            certificates,
            values,
            files,
            settling,
            status,
        }
    }

    /// Returns where the result of the last attempt can be read.
    pub(super) fn status(&self) -> CredentialStatus {
        self.status.clone()
    }

    /// Returns whether a file has changed since the last attempt, and not any more since the last poll.
    pub(super) fn have_changed(&mut self) -> bool {
        self.settling.poll(&self.files)
    }

    /// Reads the settings again and replaces the credentials, unless there are errors. The report has
    /// the errors, and a warning if other settings have changed.
    pub(super) fn reload(&mut self) -> Report {
        self.files = wait_until_settled(&self.files);
        self.settling.finish();
        let mut report = match settings::load(&self.inputs) {
            Ok(LoadedSettings { settings, mut report, files, values, .. }) => {
                self.watch(files, settings.is_some());
                report.retain(|diagnostic| {
                    diagnostic.severity == Severity::Error || WARNINGS.contains(&diagnostic.code)
                });
                if let Some(settings) = settings {
                    self.warn_of_other_changes(&values, &mut report);
                    self.replace(settings, &self.values.need_restart(&values));
                }
                report
            }
            Err(error) => {
                let message = format!("cannot read the settings: {error}");
                Report::from_error("no-settings", message)
            }
        };
        report = report.with_excerpts_only();
        let ok = report.error_count() == 0;
        self.status.set((!ok).then(|| Arc::new(report.clone())));
        self.app.counters().credentials_reloaded(ok);
        if ok {
            tracing::info!("secrets and certificates reloaded");
        } else {
            let errors = report.error_count();
            tracing::error!(errors, "reload failed, kept the previous secrets and certificates");
        }
        report
    }

    /// Watches these files from now on. If an error hid some, those of the previous attempt as well.
    fn watch(&mut self, files: Vec<FileStamp>, are_all: bool) {
        self.files.retain(|old| !are_all && !files.iter().any(|new| new.path() == old.path()));
        self.files.extend(files);
    }

    fn warn_of_other_changes(&self, values: &SettingValues, report: &mut Report) {
        let changed = self.values.need_restart(values);
        if !changed.is_empty() {
            let message = format!("settings have changed since the start: {}", changed.join(", "));
            report.warning("restart-needed", None, message).help(
                "restart the service to apply them; a reload replaces secrets and certificates",
            );
        }
    }

    /// Replaces the credentials. `unapplied` are the settings that need a restart.
    fn replace(&self, settings: Settings, unapplied: &[String]) {
        let Settings { sources, server, admin: AdminSettings { token, users, .. }, .. } = settings;
        for new in sources {
            // A new source needs a restart, and so does a change of the paths.
            let Some(endpoint) = self.app.endpoint(&new.name) else { continue };
            let old = &endpoint.source;
            if let (Some(old), Some(new)) = (&old.api, &new.api) {
                old.key.replace_by(&new.key);
            }
            // The keys of another scheme match nothing.
            let has_changed = |key: &str| {
                let path = format!("sources.{}.{key}", new.name);
                unapplied.iter().any(|changed| changed.starts_with(&path))
            };
            if old.policy.has_url_token() != new.policy.has_url_token() || has_changed("platform") {
                continue;
            }
            if !has_changed("signature") {
                old.policy.secrets.store(new.policy.secrets.load_full());
            }
            if let (Some(old), Some(new)) = (&old.events_policy, &new.events_policy)
                && !has_changed("events_signature")
            {
                old.secrets.store(new.secrets.load_full());
            }
        }
        self.admin_token.replace(token);
        self.admin_users.replace(users);
        if let (Some(certificates), Some(new)) = (&self.certificates, &server.tls) {
            // The names are labels of metrics; a change of the paths needs a restart.
            let new = new.current();
            if new
                .iter()
                .map(|new| &new.name)
                .eq(certificates.current().iter().map(|old| &old.name))
            {
                self.app.counters().certificates(&new);
                certificates.replace(new);
            }
        }
    }
}
