//! The rule files of a request, whether they can be changed, and checks of a plan off the threads that answer
//! calls.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::console::page::off_thread;
use crate::console::state::Console;
use crate::http::HttpProblem;
use crate::rule_changes::{
    self, ChangePlan, CheckedPlan, FileDiff, RuleFiles, Versions, check_writable, diff, store_of,
};
use crate::rules::{CheckContext, ReadError};

/// The rule files, as a request finds them.
pub(super) struct Workbench {
    pub(super) files: RuleFiles,
    /// Reason for which no change can be applied, and what to do.
    pub(super) refusal: Option<String>,
}

/// A plan after its check, with the files for which it was made.
pub(super) struct CheckedChange {
    pub(super) files: RuleFiles,
    pub(super) plan: ChangePlan,
    pub(super) checked: CheckedPlan,
}

/// Compares versions of files, on a thread of its own.
pub(super) async fn differences(
    before: BTreeMap<String, &str>,
    after: BTreeMap<String, &str>,
) -> Result<Vec<FileDiff>, HttpProblem> {
    type Owned = BTreeMap<String, String>;
    let owned = |texts: BTreeMap<String, &str>| -> Owned {
        texts.into_iter().map(|(name, text)| (name, text.to_owned())).collect()
    };
    fn borrowed(texts: &Owned) -> BTreeMap<String, &str> {
        texts.iter().map(|(name, text)| (name.clone(), text.as_str())).collect()
    }
    let (before, after) = (owned(before), owned(after));
    off_thread(move || diff(&borrowed(&before), &borrowed(&after))).await
}

impl Workbench {
    /// Reads the files.
    pub(super) async fn open(console: &Console) -> Result<Workbench, HttpProblem> {
        let (path, context) = (console.rules_path.clone(), context(console));
        let read = console.checking.off_thread(move || {
            let files = RuleFiles::read(&path, &context)?;
            let writable = check_writable(&files).map_err(|error| error.to_string());
            Ok::<_, ReadError>((files, writable))
        });
        let (files, writable) =
            read.await?.map_err(|error| HttpProblem::Unavailable(error.to_string()))?;
        let refusal = refusal(console, &files, writable);
        Ok(Workbench { files, refusal })
    }

    /// Checks the table that a plan would lead to.
    pub(super) async fn check(
        self,
        console: &Console,
        plan: ChangePlan,
    ) -> Result<CheckedChange, HttpProblem> {
        let (console_of_check, files) = (console.clone(), self.files);
        let done = console.checking.off_thread(move || {
            let app = &console_of_check.app;
            let context = context(&console_of_check).after(&app.table(), app.now());
            let checked = rule_changes::check(&files, &plan, &context);
            checked.map(|checked| CheckedChange { files, plan, checked })
        });
        done.await?.map_err(|error| HttpProblem::Unavailable(error.to_string()))
    }

    /// Returns whether this plan, for these files, is the one that was checked.
    pub(super) fn is_checked(&self, plan: &ChangePlan, checked: &str) -> bool {
        hash(&self.files, plan) == checked
    }

    /// Describes why typed texts were made from another version of the files.
    pub(super) async fn conflict_message(&self, console: &Console) -> String {
        let by = match console.app.recorder().store() {
            Ok(store) => store.rule_changes().await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let last = by.into_iter().next();
        let last = last.filter(|change| change.new_fingerprint == self.files.fingerprint());
        let zone = console.app.table().zone.clone();
        let who = match last {
            Some(change) => {
                let at = change.at.to_zoned(zone).strftime("%a %d %b %H:%M").to_string();
                format!("{} changed the rules at {at}", change.who)
            }
            None => "the files were changed".to_owned(),
        };
        format!(
            "{who} while you were editing. Nothing is lost: below is how your texts differ from the files \
             as they are now. Check them again to go on with your texts."
        )
    }
}

/// Returns a hash of a plan and of the files for which it was made.
pub(super) fn hash(files: &RuleFiles, plan: &ChangePlan) -> String {
    let mut digest = Sha256::new();
    let mut add = |text: &[u8]| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    add(files.version().as_bytes());
    for (path, text) in plan.writes() {
        add(path.as_os_str().as_encoded_bytes());
        add(text.as_bytes());
    }
    add(b"");
    for path in plan.removals() {
        add(path.as_os_str().as_encoded_bytes());
    }
    hex::encode(&digest.finalize()[..16])
}

fn context(console: &Console) -> CheckContext {
    CheckContext { now: console.app.now(), ..console.context.clone() }
}

/// Returns the reason for which no change can be applied.
fn refusal(console: &Console, files: &RuleFiles, writable: Result<(), String>) -> Option<String> {
    if !console.edit {
        return Some("The settings do not allow changes here (`[admin] edit = false`).".to_owned());
    }
    if let Err(reason) = writable {
        return Some(format!("The service cannot replace the files: {reason}."));
    }
    let recorder = console.app.recorder();
    let kept = store_of(recorder)
        .and_then(|store| Versions::new(&store, recorder.numbers()).check(files).map(drop));
    kept.err().map(|reason| format!("Without a way back, nothing is changed here: {reason}."))
}
