//! The files of the rules as the editor shows them.

use std::collections::BTreeSet;

use super::form::{Draft, text_hash};
use super::link;
use super::workbench::Workbench;
use crate::console::access::Reader;
use crate::rule_changes::{Grid, RuleFile, RuleFileKind};

/// Largest text that is sent to a page.
const MAX_SHOWN_BYTES: usize = 512 << 10;
/// Largest texts that are sent to a page together: the larger ones are left out.
const MAX_PAGE_BYTES: usize = 2 << 20;

/// A file in the editor.
pub(super) struct FileView {
    pub(super) name: String,
    /// Number in the page, for ids.
    pub(super) number: usize,
    pub(super) text: String,
    /// Hash of the text of the file, by which a form tells whether it was edited.
    pub(super) sent: String,
    /// Mode of the editor: `toml`, or none.
    pub(super) mode: &'static str,
    pub(super) kind: &'static str,
    pub(super) is_open: bool,
    pub(super) is_editable: bool,
    /// Reason for which the text is not on the page, after "This file".
    pub(super) unseen: Option<String>,
    pub(super) size: String,
    pub(super) is_changed: bool,
    /// Link to the grid, if the list can be edited as one.
    pub(super) grid: Option<String>,
    pub(super) can_remove: bool,
    pub(super) is_removed: bool,
}

/// Inputs that the views of all files share.
struct Context<'c> {
    reader: &'c Reader,
    draft: Option<&'c Draft>,
    /// Names of the files whose texts are on the page.
    shown: BTreeSet<&'c str>,
    /// A TOML file can be removed.
    can_remove: bool,
}

impl Context<'_> {
    /// Returns the text that was typed for a file.
    fn typed(&self, name: &str) -> Option<&str> {
        self.draft.and_then(|draft| draft.texts.get(name)).map(String::as_str)
    }

    /// Returns the reason for which the text of a file is not on the page. What was typed always is.
    fn unseen(&self, file: &RuleFile<'_>) -> Option<String> {
        if self.typed(&file.name).is_some() {
            None
        } else if let RuleFileKind::NotHeld(reason) = file.kind {
            Some(format!("{}{}", reason.as_str(), reason.advice()))
        } else if self.shown.contains(&*file.name) {
            None
        } else {
            Some("is too large for a page".to_owned())
        }
    }
}

impl FileView {
    pub(super) fn all(bench: &Workbench, reader: &Reader, draft: Option<&Draft>) -> Vec<FileView> {
        let files = bench.files.files();
        let rules = files.iter().filter(|file| file.kind == RuleFileKind::Rules).count();
        let can_remove = reader.is_editor() && bench.files.is_folder() && rules > 1;
        let context = Context { reader, draft, shown: shown(&files, draft), can_remove };
        let view = |(number, file)| FileView::new(number, file, &context);
        let mut views: Vec<FileView> = files.iter().enumerate().map(view).collect();
        // Texts of files that someone else has removed.
        let typed = draft.iter().flat_map(|draft| &draft.texts);
        for (name, text) in typed.filter(|(name, _)| bench.files.find(name).is_none()) {
            views.push(FileView::without_file(views.len(), name, text));
        }
        views
    }

    fn new(number: usize, file: &RuleFile<'_>, context: &Context<'_>) -> FileView {
        let Context { reader, draft, can_remove, .. } = context;
        let typed = context.typed(&file.name);
        let text = typed.unwrap_or(file.text);
        let unseen = context.unseen(file);
        let is_editable = file.kind.is_editable() && reader.is_editor();
        let has_grid = is_editable
            && file.kind == RuleFileKind::List
            && typed.is_none()
            && Grid::parse(&file.name, text).is_ok();
        FileView {
            name: file.name.clone(),
            number,
            sent: text_hash(file.text),
            text: match unseen {
                Some(_) => String::new(),
                None => reader.text(text).into_owned(),
            },
            mode: if file.kind == RuleFileKind::Rules { "toml" } else { "" },
            kind: match file.kind {
                RuleFileKind::Rules => "rules",
                RuleFileKind::List => "list",
                RuleFileKind::Other => "dates",
                RuleFileKind::Outside => "outside of the folder of the rules",
                RuleFileKind::Copy => "copy of a list that lives elsewhere",
                RuleFileKind::NotHeld(_) => "not shown",
            },
            is_open: false,
            is_editable: is_editable && unseen.is_none(),
            unseen,
            size: size(typed.map_or(file.bytes, |text| text.len() as u64)),
            is_changed: text != file.text,
            grid: has_grid.then(|| link("/change/list", &file.name)),
            can_remove: *can_remove && file.kind == RuleFileKind::Rules,
            is_removed: draft.is_some_and(|draft| draft.removed.contains(&file.name)),
        }
    }

    /// A text that was typed for a file that the table no longer has.
    fn without_file(number: usize, name: &str, text: &str) -> FileView {
        FileView {
            name: name.to_owned(),
            number,
            sent: String::new(),
            text: text.to_owned(),
            mode: "",
            kind: "no file of the rules",
            is_open: false,
            is_editable: true,
            unseen: None,
            size: size(text.len() as u64),
            is_changed: true,
            grid: None,
            can_remove: false,
            is_removed: false,
        }
    }

    /// Link to the file as it is on disk.
    pub(super) fn download(&self) -> String {
        link("/change/file", &self.name)
    }
}

/// Returns the names of the files whose texts are sent to the page: those that were typed, and of the others the
/// smallest, rules first, as many as have room.
fn shown<'f>(files: &'f [RuleFile<'f>], draft: Option<&Draft>) -> BTreeSet<&'f str> {
    let typed = |name: &str| draft.and_then(|draft| draft.texts.get(name));
    let mut by_size: Vec<_> = files.iter().collect();
    by_size.sort_by_key(|file| {
        (typed(&file.name).is_none(), file.kind != RuleFileKind::Rules, file.text.len())
    });
    let mut bytes = 0;
    let has_room = |file: &&RuleFile<'_>| match typed(&file.name) {
        // What was typed came in a form, so it has room in the next one.
        Some(text) => {
            bytes += text.len();
            true
        }
        None => {
            let fits = bytes + file.text.len() <= MAX_PAGE_BYTES;
            bytes += if fits { file.text.len() } else { 0 };
            fits && file.text.len() <= MAX_SHOWN_BYTES
        }
    };
    by_size.into_iter().filter(has_room).map(|file| file.name.as_str()).collect()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        _ => format!("{} KB", bytes / 1024),
    }
}
