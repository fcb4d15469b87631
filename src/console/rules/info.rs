//! Parts that all pages of the rule table share: the navigation between them, and the reading of the table.

use crate::console::access::Reader;
use crate::console::calls::zone;
use crate::console::page::{Frame, PageError, PageSection, off_thread};
use crate::console::state::Console;
use crate::rules::overview::Overview;

/// Part of the rule table that has a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TablePart {
    Rules,
    Lists,
    Hours,
    Splits,
    Agents,
    LookUps,
}

/// Facts about the rule table that all of its pages show.
pub(super) struct TableInfo {
    part: TablePart,
    /// Path of the table, as in the settings.
    pub(super) path: String,
    pub(super) fingerprint: String,
    /// Name of the table's time zone.
    pub(super) zone: String,
    /// When the table became live, in that zone.
    pub(super) loaded_at: String,
}

impl TableInfo {
    pub(super) fn new(console: &Console, part: TablePart) -> TableInfo {
        let (table, status) = console.app.live_table().table_and_status();
        let overview = Overview::new(&table, None);
        let loaded_at = status.loaded_at.to_zoned(zone(console));
        TableInfo {
            part,
            path: console.rules_path.display().to_string(),
            fingerprint: overview.fingerprint().to_owned(),
            zone: overview.zone().to_owned(),
            loaded_at: loaded_at.strftime("%a %d %b %Y %H:%M").to_string(),
        }
    }

    /// Entries of the navigation: path, title, and whether it is this part.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let current = self.part;
        TablePart::ALL.into_iter().map(move |part| (part.path(), part.title(), part == current))
    }
}

impl TablePart {
    const ALL: [TablePart; 6] = [
        TablePart::Rules,
        TablePart::Lists,
        TablePart::Hours,
        TablePart::Splits,
        TablePart::Agents,
        TablePart::LookUps,
    ];

    pub(super) fn frame(self, reader: &Reader) -> Frame {
        Frame::new(self.title(), PageSection::Rules, reader)
    }

    fn title(self) -> &'static str {
        match self {
            TablePart::Rules => "Rules",
            TablePart::Lists => "Lists",
            TablePart::Hours => "Hours",
            TablePart::Splits => "Splits",
            TablePart::Agents => "Agents",
            TablePart::LookUps => "Look-ups",
        }
    }

    fn path(self) -> &'static str {
        match self {
            TablePart::Rules => "/rules",
            TablePart::Lists => "/rules/lists",
            TablePart::Hours => "/rules/hours",
            TablePart::Splits => "/rules/splits",
            TablePart::Agents => "/rules/agents",
            TablePart::LookUps => "/rules/lookups",
        }
    }
}

/// Reads the live table. A large one takes some time, which must not keep a thread from answering calls.
pub(super) async fn read_table<T: Send + 'static>(
    console: &Console,
    read: impl FnOnce(Overview<'_>) -> T + Send + 'static,
) -> Result<T, PageError> {
    let (table, status) = console.app.live_table().table_and_status();
    let work = move || read(Overview::new(&table, status.places.as_deref()));
    Ok(off_thread(work).await?)
}
