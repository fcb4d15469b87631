//! Lists of numbers, and the search for a party in them.

use super::words::url_start;
use super::{Overview, Page, PageRequest, Place, RulesUsing, page};
use crate::domain::party::{NumberFormat, Party};
use crate::rules::model::lists::{Item, ListId, RowId};
use crate::rules::places::DefinitionKind;
use crate::rules::{LiveList, LookupBackend, parse_party};

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Name.
    pub name: String,
    /// Place of its definition.
    pub place: Option<Place>,
    /// Where its rows are.
    pub origin: ListOrigin,
    /// Number of rows.
    pub rows: usize,
    /// Number of numbers, prefixes and texts: several for a row with several numbers.
    pub entries: usize,
    /// Columns that rules use. The others are not kept.
    pub columns: Vec<String>,
    /// A reload that loses many of its rows is refused.
    pub is_guarded: bool,
    /// Rules that match on it.
    pub used_by: RulesUsing,
}

/// Where the rows of a list are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListOrigin {
    /// In the rule table.
    Table,
    /// In a file.
    File(String),
    /// At a host that is asked over HTTP.
    Url(String),
    /// In a database, whose URL the settings or a file have.
    Database(String),
}

/// An entry of a list that contains a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEntry {
    /// Name of the list.
    pub list: String,
    /// The entry as it is written, unmasked: `+12137771234`, `+1213*`.
    pub entry: String,
    /// The entry is a prefix of the number.
    pub is_prefix: bool,
    /// Columns that rules use, each with the cell of the row.
    pub columns: Vec<(String, String)>,
    /// File and line of the row; that of the list's definition if its numbers are in the rule table.
    pub place: Option<Place>,
}

impl Overview<'_> {
    /// Returns lists in the order of the table.
    pub fn lists(&self, request: PageRequest<'_>) -> Page<ListEntry> {
        let mut uses = self.rules_by_list();
        let all = self.table.lists.all().iter().enumerate();
        page(
            request,
            all,
            |(_, list)| &list.name,
            |(index, _)| self.list_entry(index, std::mem::take(&mut uses[index])),
        )
    }

    /// Returns the list with this name.
    pub fn list(&self, name: &str) -> Option<ListEntry> {
        let index = self.table.lists.find(name)?.index();
        Some(self.list_entry(index, self.rules_by_list().swap_remove(index)))
    }

    fn list_entry(&self, index: usize, used_by: RulesUsing) -> ListEntry {
        let list = &self.table.lists.all()[index];
        ListEntry {
            name: list.name.to_string(),
            place: self.place_of(DefinitionKind::List, index),
            origin: self.origin(&list.name, list.file()),
            rows: list.rows,
            entries: list.size,
            columns: self.columns(&list.name),
            is_guarded: list.is_guarded,
            used_by,
        }
    }

    /// Returns the entries that contain a party: at most one of each list, or of the list with this name. The
    /// party is a number with `+`, a number as it is written in the country of the table, or another text.
    ///
    /// # Errors
    /// Fails if the text is a pattern, or a number without a country code.
    pub fn search_lists(&self, party: &str, list: Option<&str>) -> Result<Vec<FoundEntry>, String> {
        let format = NumberFormat { country: self.table.country, ..NumberFormat::default() };
        Ok(self.find_party(&parse_party(party, &format)?, list))
    }

    fn find_party(&self, party: &Party, list: Option<&str>) -> Vec<FoundEntry> {
        let lists = &self.table.lists;
        let mut found = lists.find_entries(party);
        found.sort_by_key(|(list, ..)| *list);
        let found = found.into_iter().map(|(list, row, item)| self.found_entry(list, row, &item));
        found.filter(|entry| list.is_none_or(|name| entry.list == name)).collect()
    }

    fn found_entry(&self, list: ListId, row: RowId, item: &Item) -> FoundEntry {
        let lists = &self.table.lists;
        let entry = match item {
            Item::Number(number) => number.unmasked(),
            Item::Prefix(prefix) => format!("{}*", prefix.unmasked()),
            Item::Text(text) => text.to_string(),
        };
        let columns = lists
            .columns(list)
            .map(|(name, column)| (name.to_owned(), lists.cell(list, row, column).to_owned()));
        let place = lists.place(list, row);
        let place = place.map(|place| Place { file: place.file.into(), line: place.line as usize });
        FoundEntry {
            list: lists.list(list).name.to_string(),
            entry,
            is_prefix: matches!(item, Item::Prefix(_)),
            columns: columns.collect(),
            place: place.or_else(|| self.place_of(DefinitionKind::List, list.index())),
        }
    }

    fn columns(&self, list: &str) -> Vec<String> {
        let lists = &self.table.lists;
        let kept = lists.find(list).map(|list| lists.kept_columns(list));
        kept.unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    fn origin(&self, name: &str, file: Option<&str>) -> ListOrigin {
        let live = self.table.live_lists.iter().find(|live| *live.name == *name);
        match (live, file) {
            (Some(live), _) => live_origin(live),
            (None, Some(file)) => ListOrigin::File(file.to_owned()),
            (None, None) => ListOrigin::Table,
        }
    }
}

/// Returns where a live list is fetched from.
fn live_origin(list: &LiveList) -> ListOrigin {
    match &list.backend {
        LookupBackend::Http(http) => ListOrigin::Url(url_start(&http.url).to_owned()),
        LookupBackend::Sql(sql) => ListOrigin::Database(sql.database.to_string()),
    }
}
