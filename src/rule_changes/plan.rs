//! The files that a change writes and removes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::files::{RuleFileKind, RuleFiles, is_below};
use crate::rules::{self, FileStamp, NotHeldReason, Replacements, Snapshot};

/// Edited texts of the files, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit(BTreeMap<String, Option<String>>);

impl Edit {
    /// Sets the text of a file, which may be a new one.
    pub fn set(&mut self, name: String, text: String) {
        self.0.insert(name, Some(text));
    }

    /// Removes a file.
    pub fn remove(&mut self, name: String) {
        self.0.insert(name, None);
    }
}

/// A file that an edit must not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct EditError {
    /// Name of the file.
    pub file: String,
    /// Reason.
    pub problem: EditProblem,
}

/// Reason for which an edit must not change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditProblem {
    /// The table has no such file, and it cannot be a new one.
    #[error("not a file of the rule table")]
    Unknown,
    /// The name cannot be that of a new file.
    #[error(
        "a new file needs a name without a folder that ends with .toml or .csv and does not begin with a dot"
    )]
    Name,
    /// A file of this name exists, and the table does not use it.
    #[error("a file of this name exists that the rule table does not use")]
    Exists,
    /// The table has a file of this name already.
    #[error("the rule table has a file of this name already")]
    Taken,
    /// The file is outside of the folder of the table.
    #[error("outside of the folder of the rules, so it cannot be changed here")]
    Outside,
    /// The file is the copy of a list that lives elsewhere.
    #[error("the copy of a list that lives elsewhere, where it has to be changed")]
    Copy,
    /// The text of the file is not held.
    #[error("it cannot be edited here, since it {}{}", .0.as_str(), .0.advice())]
    NotHeld(NotHeldReason),
    /// Only TOML files of a folder can be removed, and one has to stay.
    #[error("only a TOML file of a folder can be removed, and one must remain")]
    Removal,
}

/// Files to write and to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangePlan {
    write: Vec<(PathBuf, String)>,
    remove: Vec<PathBuf>,
}

/// Maximum length of the name of a new file, in bytes.
const MAX_NAME_BYTES: usize = 100;

impl ChangePlan {
    /// Plans an edit. Texts that are equal to those on disk are left out.
    ///
    /// # Errors
    /// Fails if the table does not have one of the files, and it cannot be added.
    pub fn of_edit(files: &RuleFiles, edit: &Edit) -> Result<ChangePlan, EditError> {
        let mut plan = ChangePlan::default();
        for (name, text) in &edit.0 {
            plan.add(files, name, text.as_deref())
                .map_err(|problem| EditError { file: name.clone(), problem })?;
        }
        let rules = files.rules();
        if !plan.remove.is_empty() && rules.iter().all(|path| plan.remove.contains(path)) {
            let file = files.name(&plan.remove[0]);
            return Err(EditError { file, problem: EditProblem::Removal });
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        files: &RuleFiles,
        name: &str,
        text: Option<&str>,
    ) -> Result<(), EditProblem> {
        let known = files.find(name);
        match (known.as_ref().map(|file| file.kind), text) {
            (Some(RuleFileKind::Outside), _) => return Err(EditProblem::Outside),
            (Some(RuleFileKind::Copy), _) => return Err(EditProblem::Copy),
            (Some(RuleFileKind::NotHeld(reason)), _) => return Err(EditProblem::NotHeld(reason)),
            (Some(RuleFileKind::Rules), None) if files.is_folder() => {}
            (Some(_), None) => return Err(EditProblem::Removal),
            (None, None) => return Err(EditProblem::Unknown),
            (None, Some(_)) if !files.is_folder() => return Err(EditProblem::Unknown),
            (None, Some(_)) => check_new_name(files.folder(), name)?,
            (Some(RuleFileKind::Rules | RuleFileKind::List | RuleFileKind::Other), Some(_)) => {}
        }
        let old = known.as_ref().map(|file| file.text);
        let path = known.map_or_else(|| files.folder().join(name), |file| file.path.to_owned());
        match text {
            Some(text) if old == Some(text) => {}
            Some(text) => self.write.push((path, text.to_owned())),
            None => self.remove.push(path),
        }
        Ok(())
    }

    /// Plans the return to a stored version. TOML files of a folder that it does not have are removed; copies
    /// of lists that live elsewhere stay.
    ///
    /// # Errors
    /// Fails if the version has several files of rules and the path of the rules is no folder.
    pub fn of_version(path: &Path, version: &Snapshot) -> Result<ChangePlan, String> {
        let is_folder = path.is_dir();
        let rules = version.rules();
        if !is_folder && rules.len() != 1 {
            let files = rules.len();
            let path = path.display();
            return Err(format!("the table consists of {files} files, and {path} is not a folder"));
        }
        let folder = if is_folder { path } else { path.parent().unwrap_or(Path::new("")) };
        let old_folder = rules.first().and_then(|rules| rules.parent()).unwrap_or(Path::new(""));
        let place = |old: &Path| {
            let is_rules = rules.iter().any(|rules| rules == old);
            // An absolute path stays: the table names the list by it.
            let relative = old.strip_prefix(old_folder).unwrap_or(old);
            if !is_folder && is_rules { path.to_owned() } else { folder.join(relative) }
        };
        let texts = version.texts().filter(|(path, _)| !rules::is_list_copy(path));
        let mut write: Vec<_> = texts.map(|(path, text)| (place(path), text.to_owned())).collect();
        let mut remove = Vec::new();
        if is_folder {
            let current = FileStamp::all_current(&[FileStamp::current(path)]);
            let paths = current.iter().map(|file| file.path().to_owned());
            let is_added =
                |file: &PathBuf| file != path && !write.iter().any(|(kept, _)| kept == file);
            remove = paths.filter(is_added).collect();
        }
        write.retain(|(path, text)| fs::read(path).ok().as_deref() != Some(text.as_bytes()));
        Ok(ChangePlan { write, remove })
    }

    /// Returns whether the files are as they should be already.
    pub fn is_empty(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty()
    }

    /// Returns the files to write, with their texts.
    pub fn writes(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.write.iter().map(|(path, text)| (&**path, &**text))
    }

    /// Returns the files to remove.
    pub fn removals(&self) -> impl Iterator<Item = &Path> {
        self.remove.iter().map(PathBuf::as_path)
    }

    /// Returns the first file outside of the folder of the table that the plan would change.
    pub fn outside(&self, files: &RuleFiles) -> Option<&Path> {
        let paths = self.writes().map(|(path, _)| path).chain(self.removals());
        let is_outside = |path: &&Path| !path.strip_prefix(files.folder()).is_ok_and(is_below);
        paths.into_iter().find(is_outside)
    }

    /// Returns the texts by name as they would be after the plan.
    pub fn texts_after<'p>(&'p self, files: &'p RuleFiles) -> BTreeMap<String, &'p str> {
        let mut texts = files.texts();
        for path in self.removals() {
            texts.remove(&files.name(path));
        }
        texts.extend(self.writes().map(|(path, text)| (files.name(path), text)));
        texts
    }

    /// Returns the texts with which the table can be loaded as if the plan had been carried out.
    pub fn replacements(&self) -> Replacements {
        let mut replaced = Replacements::default();
        for (path, text) in &self.write {
            replaced.add(path.clone(), Some(text.clone()));
        }
        for path in &self.remove {
            replaced.add(path.clone(), None);
        }
        replaced
    }
}

fn check_new_name(folder: &Path, name: &str) -> Result<(), EditProblem> {
    let path = Path::new(name);
    let mut parts = path.components();
    let is_plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    let is_allowed = is_plain
        && ["toml", "csv"].contains(&end)
        && name.len() <= MAX_NAME_BYTES
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
        && !rules::is_list_copy(path);
    if !is_allowed {
        return Err(EditProblem::Name);
    }
    match fs::symlink_metadata(folder.join(path)) {
        Ok(_) => Err(EditProblem::Exists),
        Err(_) => Ok(()),
    }
}
