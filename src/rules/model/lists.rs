//! Lists of numbers, `[lists.NAME]`: membership of a party, and the columns of its row.
//!
//! All lists share one hash table, so a look-up costs the same for one list as for a hundred. Only
//! the columns that a rule uses are kept.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use crate::domain::call::Call;
use crate::domain::party::Party;
use crate::domain::phone_number::{Country, PhoneNumber};
use crate::domain::sip_address;

/// Position of a list in [`Lists`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId(u32);

/// Row of a list: the offset of its line number and cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowId(u32);

/// Position of a column among the kept columns of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnId(u16);

/// Entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// One number.
    Number(PhoneNumber),
    /// All numbers with this prefix.
    Prefix(PhoneNumber),
    /// Text that is not a number, compared without regard to case.
    Text(Box<str>),
}

/// All lists of a rule table.
#[derive(Debug, Default)]
pub struct Lists {
    lists: Vec<List>,
    entries: HashTable<KeyedRow>,
    /// Bit set of the prefix lengths in use.
    prefix_lengths: u16,
    texts: HashMap<Box<str>, Vec<(ListId, RowId)>>,
}

/// A list.
#[derive(Debug)]
pub struct List {
    /// Name used by rules.
    pub name: Box<str>,
    /// Number of distinct entries.
    pub size: usize,
    /// Number of rows with an entry of their own.
    pub rows: usize,
    /// Hash of the file; none if the rows are in the rule table.
    pub digest: Option<[u8; 32]>,
    /// The number of rows that the list may lose is limited.
    pub is_guarded: bool,
    /// File of the rows; none if they are in the rule table.
    file: Option<Box<str>>,
    columns: Vec<Box<str>>,
    /// For each row the number of its line in four bytes, and its kept cells, each preceded by its
    /// length.
    cells: Vec<u8>,
}

impl List {
    /// Returns the path of the file of the rows.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

/// Bytes of a line number.
const LINE_BYTES: usize = size_of::<u32>();

/// Place of a list's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowPlace<'l> {
    /// Path of the list's file.
    pub file: &'l str,
    /// Number of the line, from 1.
    pub line: u32,
}

/// Row of a list, with the key of a number or prefix in it.
#[derive(Debug, Clone, Copy)]
struct KeyedRow {
    key: u64,
    list: ListId,
    row: RowId,
}

/// Bit that marks the key of a prefix; keys of numbers never have it.
const PREFIX: u64 = 1 << 63;
/// Marks a length that follows in four bytes; shorter lengths take one byte.
const LONG: u8 = u8::MAX;

/// A party with the list rows that contain it.
#[derive(Debug)]
pub struct ResolvedParty<'c> {
    party: Cow<'c, Party>,
    country: OnceCell<Option<Country>>,
    rows: Vec<(ListId, RowId)>,
}

/// A call whose two parties have been looked up in the lists.
#[derive(Debug)]
pub struct ResolvedCall<'c> {
    /// Call that was resolved.
    pub call: &'c Call<'c>,
    /// Caller.
    pub from: ResolvedParty<'c>,
    /// Called party.
    pub to: ResolvedParty<'c>,
    /// Number from which the call was forwarded, looked up on first use.
    forwarded_from: OnceCell<Option<ResolvedParty<'static>>>,
    lists: &'c Lists,
}

/// Side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Caller.
    From,
    /// Called party.
    To,
    /// Number from which the call was forwarded.
    ForwardedFrom,
}

/// `LIST.column`: a column in the list row of one of the parties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Party whose row is used.
    pub side: Side,
    /// List.
    pub list: ListId,
    /// Column of the list.
    pub column: ColumnId,
}

impl<'c> ResolvedCall<'c> {
    /// Looks up both parties of a call.
    pub fn new(lists: &'c Lists, call: &'c Call<'c>) -> ResolvedCall<'c> {
        let (from, to) = (lists.lookup(call.from()), lists.lookup(call.to()));
        ResolvedCall { call, from, to, forwarded_from: OnceCell::new(), lists }
    }

    /// Returns the number from which the call was forwarded, if the platform or a SIP header tells it.
    pub fn forwarded_from(&self) -> Option<&ResolvedParty<'static>> {
        let resolve = || {
            let party = sip_address::forwarding_number(self.call)?;
            let rows = self.lists.rows_of(&party);
            Some(ResolvedParty { rows, ..ResolvedParty::new(Cow::Owned(party)) })
        };
        self.forwarded_from.get_or_init(resolve).as_ref()
    }

    /// Returns the text of a cell, unless it is empty or the party is not on the list.
    pub fn cell(&self, cell: Cell) -> Option<&'c str> {
        let party = match cell.side {
            Side::From => &self.from,
            Side::To => &self.to,
            Side::ForwardedFrom => self.forwarded_from()?,
        };
        let text = self.lists.cell(cell.list, party.row(cell.list)?, cell.column);
        Some(text).filter(|text| !text.is_empty())
    }
}

impl<'c> ResolvedParty<'c> {
    /// Creates a party that is on no list.
    pub fn unlisted(party: &'c Party) -> ResolvedParty<'c> {
        ResolvedParty::new(Cow::Borrowed(party))
    }

    fn new(party: Cow<'c, Party>) -> ResolvedParty<'c> {
        ResolvedParty { party, country: OnceCell::new(), rows: Vec::new() }
    }

    /// Returns the party itself.
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// Returns the country of the number.
    pub fn country(&self) -> Option<Country> {
        *self.country.get_or_init(|| self.party.number().and_then(|number| number.country()))
    }

    /// Returns the row on this list, if any: an exact entry before a prefix, a longer prefix before
    /// a shorter one.
    pub fn row(&self, list: ListId) -> Option<RowId> {
        self.rows.iter().find(|(other, _)| *other == list).map(|(_, row)| *row)
    }

    /// Returns the lists that contain the party.
    pub fn lists(&self) -> impl Iterator<Item = ListId> {
        self.rows.iter().map(|(list, _)| *list)
    }
}

impl ListId {
    /// Returns the position, counted from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ColumnId {
    /// Returns the position among the kept columns, counted from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Lists {
    /// Looks up a party in all lists at once.
    pub fn lookup<'c>(&self, party: &'c Party) -> ResolvedParty<'c> {
        ResolvedParty { rows: self.rows_of(party), ..ResolvedParty::unlisted(party) }
    }

    /// Returns the rows that contain a party, at most one of each list.
    fn rows_of(&self, party: &Party) -> Vec<(ListId, RowId)> {
        let mut found = Vec::new();
        match party {
            Party::Withheld => {}
            Party::Literal(_) if self.texts.is_empty() => {}
            Party::Literal(text) => {
                let rows = self.texts.get(text.to_ascii_lowercase().as_str());
                found.extend(rows.into_iter().flatten());
            }
            Party::Number(number) => {
                self.add_rows(number.key(), &mut found);
                self.add_prefixes(*number, &mut found);
            }
        }
        found
    }

    /// Returns the lists that contain every number with this prefix, through a prefix entry of their
    /// own.
    pub fn lists_with_prefix(&self, prefix: PhoneNumber) -> Vec<ListId> {
        let mut rows = Vec::new();
        self.add_prefixes(prefix, &mut rows);
        rows.into_iter().map(|(list, _)| list).collect()
    }

    fn add_prefixes(&self, number: PhoneNumber, rows: &mut Vec<(ListId, RowId)>) {
        let mut lengths = self.prefix_lengths;
        while lengths != 0 {
            let longest = lengths.ilog2();
            lengths &= !(1 << longest);
            if let Some(prefix) = number.prefix(longest as usize) {
                self.add_rows(prefix.key() | PREFIX, rows);
            }
        }
    }

    /// Returns the row of each list that contains a party, with the entry through which it does: the same
    /// rows as [`Lists::lookup`].
    pub(crate) fn find_entries(&self, party: &Party) -> Vec<(ListId, RowId, Item)> {
        let number = match party {
            Party::Withheld => return Vec::new(),
            Party::Literal(text) => {
                let rows = self.rows_of(party).into_iter();
                return rows.map(|(list, row)| (list, row, Item::Text(text.clone()))).collect();
            }
            Party::Number(number) => *number,
        };
        let prefixes = (1..=number.digits()).rev().filter_map(|digits| number.prefix(digits));
        let prefixes = prefixes.map(|prefix| (prefix.key() | PREFIX, Item::Prefix(prefix)));
        let mut rows = Vec::new();
        let mut found = Vec::new();
        for (key, item) in [(number.key(), Item::Number(number))].into_iter().chain(prefixes) {
            let known = rows.len();
            self.add_rows(key, &mut rows);
            let added = rows[known..].iter();
            found.extend(added.map(|(list, row)| (*list, *row, item.clone())));
        }
        found
    }

    /// Returns the cells of a column, row by row.
    pub(crate) fn column_cells(
        &self,
        list: ListId,
        column: ColumnId,
    ) -> impl Iterator<Item = &str> {
        let List { cells, columns, .. } = &self.lists[list.index()];
        let mut rest = &cells[..];
        std::iter::from_fn(move || {
            rest = rest.get(LINE_BYTES..)?;
            let mut wanted: &[u8] = &[];
            for index in 0..columns.len() {
                let (cell, after) = split_cell(rest);
                if index == column.index() {
                    wanted = cell;
                }
                rest = after;
            }
            Some(std::str::from_utf8(wanted).unwrap_or_default()) // inserted as UTF-8
        })
    }

    fn add_rows(&self, key: u64, rows: &mut Vec<(ListId, RowId)>) {
        for entry in self.entries.iter_hash(hash(key)).filter(|entry| entry.key == key) {
            if !rows.iter().any(|(list, _)| *list == entry.list) {
                rows.push((entry.list, entry.row));
            }
        }
    }

    /// Returns the text of a cell, which may be empty.
    pub fn cell(&self, list: ListId, row: RowId, column: ColumnId) -> &str {
        let mut rest = &self.lists[list.index()].cells[row.0 as usize + LINE_BYTES..];
        for _ in 0..column.0 {
            rest = split_cell(rest).1;
        }
        std::str::from_utf8(split_cell(rest).0).unwrap_or_default() // inserted as UTF-8
    }

    /// Returns the place of a row, if the list has a file.
    pub fn place(&self, list: ListId, row: RowId) -> Option<RowPlace<'_>> {
        let List { file, cells, .. } = &self.lists[list.index()];
        let line = cells[row.0 as usize..].first_chunk().map(|line| u32::from_le_bytes(*line))?;
        file.as_deref().map(|file| RowPlace { file, line })
    }

    /// Returns the list with this name.
    pub fn find(&self, name: &str) -> Option<ListId> {
        let index = self.lists.iter().position(|list| &*list.name == name)?;
        Some(ListId(index as u32))
    }

    /// Returns a list.
    pub fn list(&self, id: ListId) -> &List {
        &self.lists[id.index()]
    }

    /// Returns all lists, in table order.
    pub fn all(&self) -> &[List] {
        &self.lists
    }

    /// Returns the smallest entry of a list: a number if it has one, else a prefix or a text.
    pub fn any_item(&self, list: ListId) -> Option<Item> {
        match self.keys_of(list).min() {
            Some(key) if key & PREFIX == 0 => PhoneNumber::from_key(key).map(Item::Number),
            Some(key) => PhoneNumber::from_key(key & !PREFIX).map(Item::Prefix),
            None => self.texts_of(list).min().map(|text| Item::Text(text.into())),
        }
    }

    /// Returns the keys of the numbers and prefixes of a list, in no particular order.
    fn keys_of(&self, list: ListId) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(move |entry| entry.list == list).map(|entry| entry.key)
    }

    /// Returns the texts of a list, in no particular order.
    fn texts_of(&self, list: ListId) -> impl Iterator<Item = &str> {
        let on_list = move |rows: &[(ListId, RowId)]| rows.iter().any(|(other, _)| *other == list);
        self.texts.iter().filter(move |(_, rows)| on_list(rows)).map(|(text, _)| &**text)
    }

    /// Returns all entries of a list, unless it has more than `limit` or one is a prefix.
    pub(crate) fn parties(&self, list: ListId, limit: usize) -> Option<Vec<Party>> {
        if self.list(list).size > limit {
            return None;
        }
        let mut keys: Vec<u64> = self.keys_of(list).collect();
        keys.sort_unstable();
        let numbers = keys.into_iter().map(|key| Some(Party::Number(PhoneNumber::from_key(key)?)));
        let mut parties = numbers.collect::<Option<Vec<Party>>>()?;
        parties.extend(self.texts_of(list).map(|text| Party::Literal(text.into())));
        Some(parties)
    }

    /// Adds an empty list. The caller ensures that the name is new.
    pub(crate) fn add(&mut self, name: &str, file: Option<&str>) -> ListId {
        let id = ListId(self.lists.len() as u32);
        self.lists.push(List {
            name: name.into(),
            size: 0,
            rows: 0,
            digest: None,
            is_guarded: false,
            file: file.map(Box::from),
            columns: Vec::new(),
            cells: Vec::new(),
        });
        id
    }

    /// Notes the hash of a list's file, and whether its number of rows is guarded.
    pub(crate) fn set_digest(&mut self, list: ListId, digest: [u8; 32], is_guarded: bool) {
        let list = &mut self.lists[list.index()];
        (list.digest, list.is_guarded) = (Some(digest), is_guarded);
    }

    /// Counts a row that has been inserted, if an entry of it is new.
    pub(crate) fn count_row(&mut self, list: ListId, is_new: bool) {
        self.lists[list.index()].rows += usize::from(is_new);
    }

    /// Keeps a column that a rule uses. Must be called before the first row is inserted.
    pub(crate) fn keep_column(&mut self, list: ListId, column: &str) -> ColumnId {
        let columns = &mut self.lists[list.index()].columns;
        let existing = columns.iter().position(|kept| &**kept == column);
        let index = existing.unwrap_or_else(|| {
            columns.push(column.into());
            columns.len() - 1
        });
        ColumnId(index as u16)
    }

    /// Returns the columns that rules use, with their names.
    pub(crate) fn columns(&self, list: ListId) -> impl Iterator<Item = (&str, ColumnId)> {
        let kept = self.kept_columns(list).iter().enumerate();
        kept.map(|(index, name)| (&**name, ColumnId(index as u16)))
    }

    /// Returns the columns that rules use.
    pub(crate) fn kept_columns(&self, list: ListId) -> &[Box<str>] {
        &self.lists[list.index()].columns
    }

    /// Reserves memory for more rows of the average size so far, so that loading does not reallocate
    /// repeatedly.
    pub(crate) fn reserve_rows(&mut self, list: ListId, rows: usize) {
        self.entries.reserve(rows, |entry| hash(entry.key));
        let list = &mut self.lists[list.index()];
        let bytes_per_row = list.cells.len() / list.size.max(1);
        list.cells.reserve(bytes_per_row * rows);
    }

    /// Inserts a row of this line with its cells in the order of [`Lists::kept_columns`]. Returns
    /// false and keeps the earlier row when the list already has this item.
    pub(crate) fn insert<'a>(
        &mut self,
        list: ListId,
        item: &Item,
        line: u32,
        cells: impl Iterator<Item = &'a str>,
    ) -> bool {
        let target = &mut self.lists[list.index()];
        let row = RowId(target.cells.len() as u32);
        let is_new = match item {
            Item::Text(text) => {
                let rows = self.texts.entry(text.to_ascii_lowercase().into()).or_default();
                let is_new = !rows.iter().any(|(other, _)| *other == list);
                if is_new {
                    rows.push((list, row));
                }
                is_new
            }
            Item::Number(number) => insert_key(&mut self.entries, number.key(), list, row),
            Item::Prefix(prefix) => {
                self.prefix_lengths |= 1 << prefix.digits();
                insert_key(&mut self.entries, prefix.key() | PREFIX, list, row)
            }
        };
        if is_new {
            target.size += 1;
            target.cells.extend(line.to_le_bytes());
            cells.for_each(|cell| push_cell(&mut target.cells, cell));
        }
        is_new
    }
}

fn insert_key(entries: &mut HashTable<KeyedRow>, key: u64, list: ListId, row: RowId) -> bool {
    let same = |entry: &KeyedRow| entry.key == key && entry.list == list;
    match entries.entry(hash(key), same, |entry| hash(entry.key)) {
        TableEntry::Occupied(_) => false,
        TableEntry::Vacant(slot) => {
            slot.insert(KeyedRow { key, list, row });
            true
        }
    }
}

fn hash(key: u64) -> u64 {
    FixedState::default().hash_one(key)
}

fn push_cell(cells: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < LONG => cells.push(length),
        _ => {
            cells.push(LONG);
            cells.extend((text.len() as u32).to_le_bytes());
        }
    }
    cells.extend_from_slice(text.as_bytes());
}

/// Splits off the first cell.
fn split_cell(cells: &[u8]) -> (&[u8], &[u8]) {
    match cells {
        [] => (&[], &[]),
        [LONG, a, b, c, d, rest @ ..] => {
            rest.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        [length, rest @ ..] => rest.split_at(usize::from(*length)),
    }
}
