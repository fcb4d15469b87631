//! Links between the pages of the rule table, and to calls and changes.

use std::path::{Path, PathBuf};

use crate::console::access::{NumberView, Reader};
use crate::console::name_link::NameLink;
use crate::console::page::with_query;
use crate::console::state::Console;
use crate::rules::overview::{Place, RulesUsing};

/// A name with its page.
pub(super) struct Link {
    pub(super) name: String,
    /// `None` for a template, which stands for several names, and for a name with a masked number.
    pub(super) path: Option<String>,
}

/// Rules that use a definition, as links.
pub(super) struct UsedBy {
    pub(super) rules: Vec<Link>,
    /// Number of rules that are not among them.
    pub(super) more: usize,
}

/// Creates links for a reader.
pub(super) struct Links {
    /// Folder of the rule table.
    folder: PathBuf,
    /// The reader may change files.
    can_change: bool,
    view: NumberView,
}

impl Links {
    pub(super) fn new(console: &Console, reader: &Reader) -> Links {
        let path = &console.rules_path;
        let folder = if path.is_dir() { Some(&**path) } else { path.parent() };
        let folder = folder.map(Path::to_owned).unwrap_or_default();
        Links { folder, can_change: reader.is_editor(), view: reader.number_view() }
    }

    /// Returns a path relative to the folder of the rule table.
    pub(super) fn relative(&self, file: &str) -> String {
        let inside = Path::new(file).strip_prefix(&self.folder).ok();
        inside.map_or_else(|| file.to_owned(), |inside| inside.display().to_string())
    }

    /// Returns the page that changes a file at a line, for editors.
    pub(super) fn change(&self, place: &Place) -> Option<String> {
        let line = place.line.to_string();
        let pairs = [("file", &*self.relative(&place.file)), ("line", &*line)];
        self.can_change.then(|| with_query("/change", &pairs))
    }

    pub(super) fn rule(&self, name: &str) -> Link {
        self.link(name, Some(with_query("/rules/rule", &[("name", name)])))
    }

    pub(super) fn list(&self, name: &str) -> Link {
        self.link(name, Some(with_query("/rules/lists", &[("list", name)])))
    }

    pub(super) fn hours(&self, name: &str) -> Link {
        self.named("/rules/hours", name)
    }

    pub(super) fn dates(&self, name: &str) -> Link {
        let path = || format!("/rules/hours#{}", element_id("dates", name));
        self.link(name, (!name.contains("${")).then(path))
    }

    pub(super) fn agent(&self, name: &str) -> Link {
        self.named("/rules/agents", name)
    }

    /// Returns a text as the reader may see it.
    pub(super) fn text(&self, text: &str) -> String {
        self.view.text(text).into_owned()
    }

    pub(super) fn lookup(&self, name: &str) -> Link {
        // The history of callers is not defined in the table.
        let path = || format!("/rules/lookups#{}", element_id("lookup", name));
        self.link(name, (name != "history").then(path))
    }

    pub(super) fn split(&self, name: &str) -> Link {
        self.named("/rules/splits", name)
    }

    /// Returns a name without a page.
    pub(super) fn plain(&self, name: &str) -> Link {
        self.link(name, None)
    }

    /// Returns the calls with a name of the rule table, unless the name contains a number that is masked.
    pub(super) fn calls(&self, parameter: &str, name: &str) -> Option<String> {
        self.link(name, Some(with_query("/calls", &[(parameter, name)]))).path
    }

    pub(super) fn used_by(&self, uses: &RulesUsing) -> UsedBy {
        let rules: Vec<_> = uses.first.iter().map(|name| self.rule(name)).collect();
        UsedBy { more: uses.total - rules.len(), rules }
    }

    /// Returns the page that shows one item; none for a template.
    fn named(&self, path: &str, name: &str) -> Link {
        let path = (!name.contains("${")).then(|| with_query(path, &[("name", name)]));
        self.link(name, path)
    }

    /// Returns a name as the reader may see it. A name with a masked number has no page: the address contains it.
    fn link(&self, name: &str, path: Option<String>) -> Link {
        let NameLink { text, is_whole } = NameLink::new(name, self.view);
        Link { name: text, path: path.filter(|_| is_whole) }
    }
}

/// Returns the id of the element of an item: any text can be a name.
pub(super) fn element_id(kind: &str, name: &str) -> String {
    use sha2::{Digest, Sha256};

    format!("{kind}-{}", hex::encode(&Sha256::digest(name.as_bytes())[..8]))
}

/// A place for a page.
pub(super) struct PlaceView {
    /// `rules.toml, line 12`
    pub(super) text: String,
    /// Page that changes the file at this line, for editors.
    pub(super) change: Option<String>,
}

impl PlaceView {
    pub(super) fn new(place: &Place, links: &Links) -> PlaceView {
        let file = links.relative(&place.file);
        let text = format!("{file}, line {}", place.line);
        PlaceView { text, change: links.change(place) }
    }

    pub(super) fn of(place: Option<&Place>, links: &Links) -> Option<PlaceView> {
        place.map(|place| PlaceView::new(place, links))
    }
}
