//! Lists of numbers, `[lists.NAME]`: who stands on which, and what the columns of that row say.
//!
//! All lists share one hash table, so that it costs the same to ask whether a caller stands on one
//! list or on a hundred. Of a file's columns only those are kept that a rule uses.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use crate::domain::call::Call;
use crate::domain::phone_number::{Country, Party, PhoneNumber};

/// A list, by its place in [`Lists`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId(u32);

/// A row of a list: where what it says begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row(u32);

/// A column that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column(u16);

/// What stands on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// This number.
    Number(PhoneNumber),
    /// All numbers that begin so.
    Prefix(PhoneNumber),
    /// This text, which is no number; capitals make no difference.
    Text(Box<str>),
}

/// All lists of a table.
#[derive(Debug, Default)]
pub struct Lists {
    lists: Vec<List>,
    entries: HashTable<ListEntry>,
    /// The lengths of prefixes that there are, a bit each.
    prefix_lengths: u16,
    texts: HashMap<Box<str>, Vec<(ListId, Row)>>,
}

/// One list.
#[derive(Debug)]
pub struct List {
    /// The name that rules use.
    pub name: Box<str>,
    /// How many different numbers, prefixes and texts it has.
    pub size: usize,
    columns: Vec<Box<str>>,
    /// The kept cells of all rows, each behind its length.
    cells: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct ListEntry {
    key: u64,
    list: ListId,
    row: Row,
}

/// Set in the key of a prefix; no number's key has it.
const PREFIX: u64 = 1 << 63;
/// The length of a cell takes one byte, or this one and four more.
const LONG: u8 = u8::MAX;

/// A party, and the lists that it stands on.
#[derive(Debug)]
pub struct ResolvedParty<'c> {
    party: &'c Party,
    country: OnceCell<Option<Country>>,
    rows: Vec<(ListId, Row)>,
}

/// A call, and what a table's lists say of its two parties.
#[derive(Debug)]
pub struct ResolvedCall<'c> {
    /// The call.
    pub call: &'c Call<'c>,
    /// Who rings.
    pub from: ResolvedParty<'c>,
    /// What was dialled.
    pub to: ResolvedParty<'c>,
    lists: &'c Lists,
}

/// One of the two parties of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who rings.
    From,
    /// What was dialled.
    To,
}

/// `LIST.column`: what the row says on which one of the parties stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Whose row.
    pub side: Side,
    /// On which list.
    pub list: ListId,
    /// In which column.
    pub column: Column,
}

impl<'c> ResolvedCall<'c> {
    /// Looks both parties of a call up.
    pub fn new(lists: &'c Lists, call: &'c Call<'c>) -> ResolvedCall<'c> {
        ResolvedCall { call, from: lists.lookup(call.from()), to: lists.lookup(call.to()), lists }
    }

    /// What stands in a cell; none when it is empty, and when the party is not on the list.
    pub fn cell(&self, cell: Cell) -> Option<&'c str> {
        let known = match cell.side {
            Side::From => &self.from,
            Side::To => &self.to,
        };
        let text = self.lists.cell(cell.list, known.row(cell.list)?, cell.column);
        Some(text).filter(|text| !text.is_empty())
    }
}

impl<'c> ResolvedParty<'c> {
    /// A party that stands on no list.
    pub fn alone(party: &'c Party) -> ResolvedParty<'c> {
        ResolvedParty { party, country: OnceCell::new(), rows: Vec::new() }
    }

    /// Who it is.
    pub fn party(&self) -> &'c Party {
        self.party
    }

    /// The country of its number.
    pub fn country(&self) -> Option<Country> {
        *self.country.get_or_init(|| self.party.number().and_then(|number| number.country()))
    }

    /// Its row on this list, when it stands there: the number's own before that of a prefix, a
    /// longer prefix before a shorter one.
    pub fn row(&self, list: ListId) -> Option<Row> {
        self.rows.iter().find(|(on, _)| *on == list).map(|(_, row)| *row)
    }

    /// The lists that it stands on.
    pub fn lists(&self) -> impl Iterator<Item = ListId> {
        self.rows.iter().map(|(list, _)| *list)
    }
}

impl ListId {
    /// Its place, counted from 0.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl Column {
    /// Its place among the kept columns, counted from 0.
    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}

impl Lists {
    /// Looks a party up in all lists at once.
    pub fn lookup<'c>(&self, party: &'c Party) -> ResolvedParty<'c> {
        let mut known = ResolvedParty::alone(party);
        match party {
            Party::Withheld => {}
            Party::Literal(_) if self.texts.is_empty() => {}
            Party::Literal(text) => {
                let rows = self.texts.get(text.to_ascii_lowercase().as_str());
                known.rows.extend(rows.into_iter().flatten());
            }
            Party::Number(number) => {
                self.add_rows(number.key(), &mut known.rows);
                self.add_prefixes(*number, &mut known.rows);
            }
        }
        known
    }

    /// The lists that have all numbers that begin so, by a prefix of their own.
    pub fn with_prefix(&self, prefix: PhoneNumber) -> Vec<ListId> {
        let mut rows = Vec::new();
        self.add_prefixes(prefix, &mut rows);
        rows.into_iter().map(|(list, _)| list).collect()
    }

    fn add_prefixes(&self, number: PhoneNumber, rows: &mut Vec<(ListId, Row)>) {
        let mut lengths = self.prefix_lengths;
        while lengths != 0 {
            let longest = lengths.ilog2();
            lengths &= !(1 << longest);
            if let Some(prefix) = number.prefix(longest as usize) {
                self.add_rows(prefix.key() | PREFIX, rows);
            }
        }
    }

    fn add_rows(&self, key: u64, rows: &mut Vec<(ListId, Row)>) {
        for entry in self.entries.iter_hash(hash(key)).filter(|entry| entry.key == key) {
            if !rows.iter().any(|(list, _)| *list == entry.list) {
                rows.push((entry.list, entry.row));
            }
        }
    }

    /// What a cell says; empty when the row has nothing there.
    pub fn cell(&self, list: ListId, row: Row, column: Column) -> &str {
        let mut rest = &self.lists[list.at()].cells[row.0 as usize..];
        for _ in 0..column.0 {
            rest = take_cell(rest).1;
        }
        std::str::from_utf8(take_cell(rest).0).unwrap_or_default() // was text when it was put in
    }

    /// The list of this name.
    pub fn named(&self, name: &str) -> Option<ListId> {
        let at = self.lists.iter().position(|list| &*list.name == name)?;
        Some(ListId(at as u32))
    }

    /// A list.
    pub fn list(&self, id: ListId) -> &List {
        &self.lists[id.at()]
    }

    /// All lists, in the order in which they were written.
    pub fn all(&self) -> &[List] {
        &self.lists
    }

    /// A number or a text that stands on the list; the shortest that begins with a prefix.
    pub fn somebody_on(&self, list: ListId) -> Option<Item> {
        let of_list = self.entries.iter().filter(|entry| entry.list == list);
        let least = of_list.map(|entry| entry.key).min();
        let text = || {
            let mut texts = self.texts.iter();
            texts.find(|(_, rows)| rows.iter().any(|(on, _)| *on == list))
        };
        match least {
            Some(key) if key & PREFIX == 0 => PhoneNumber::from_key(key).map(Item::Number),
            Some(key) => PhoneNumber::from_key(key & !PREFIX).map(Item::Prefix),
            None => text().map(|(text, _)| Item::Text(text.clone())),
        }
    }

    /// A new list without rows; the names are looked at by the caller.
    pub(crate) fn add(&mut self, name: &str) -> ListId {
        let id = ListId(self.lists.len() as u32);
        let (columns, cells) = (Vec::new(), Vec::new());
        self.lists.push(List { name: name.into(), size: 0, columns, cells });
        id
    }

    /// Remembers that a rule uses this column. To be said before the first row is put in.
    pub(crate) fn keep(&mut self, list: ListId, column: &str) -> Column {
        let kept = &mut self.lists[list.at()].columns;
        let known = kept.iter().position(|known| &**known == column);
        let at = known.unwrap_or_else(|| {
            kept.push(column.into());
            kept.len() - 1
        });
        Column(at as u16)
    }

    /// The columns that rules use.
    pub(crate) fn kept(&self, list: ListId) -> &[Box<str>] {
        &self.lists[list.at()].columns
    }

    /// Makes room for more rows like the first ones of a list, so that nothing has to grow again and
    /// again.
    pub(crate) fn expect(&mut self, list: ListId, rows: usize) {
        self.entries.reserve(rows, |entry| hash(entry.key));
        let of = &mut self.lists[list.at()];
        let bytes_a_row = of.cells.len() / of.size.max(1);
        of.cells.reserve(bytes_a_row * rows);
    }

    /// Puts a row in, with its cells in the order of [`Lists::kept`]. False when the same stands
    /// there already; the earlier row stays.
    pub(crate) fn put<'a>(
        &mut self,
        list: ListId,
        item: &Item,
        cells: impl Iterator<Item = &'a str>,
    ) -> bool {
        let of = &mut self.lists[list.at()];
        let row = Row(of.cells.len() as u32);
        let is_new = match item {
            Item::Text(text) => {
                let rows = self.texts.entry(text.to_ascii_lowercase().into()).or_default();
                let is_new = !rows.iter().any(|(on, _)| *on == list);
                if is_new {
                    rows.push((list, row));
                }
                is_new
            }
            Item::Number(number) => insert(&mut self.entries, number.key(), list, row),
            Item::Prefix(prefix) => {
                self.prefix_lengths |= 1 << prefix.digits();
                insert(&mut self.entries, prefix.key() | PREFIX, list, row)
            }
        };
        if is_new {
            of.size += 1;
            cells.for_each(|cell| put_cell(&mut of.cells, cell));
        }
        is_new
    }
}

fn insert(entries: &mut HashTable<ListEntry>, key: u64, list: ListId, row: Row) -> bool {
    let same = |entry: &ListEntry| entry.key == key && entry.list == list;
    match entries.entry(hash(key), same, |entry| hash(entry.key)) {
        TableEntry::Occupied(_) => false,
        TableEntry::Vacant(place) => {
            place.insert(ListEntry { key, list, row });
            true
        }
    }
}

fn hash(key: u64) -> u64 {
    FixedState::default().hash_one(key)
}

fn put_cell(cells: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < LONG => cells.push(length),
        _ => {
            cells.push(LONG);
            cells.extend((text.len() as u32).to_le_bytes());
        }
    }
    cells.extend_from_slice(text.as_bytes());
}

/// The first cell, and what stands behind it.
fn take_cell(cells: &[u8]) -> (&[u8], &[u8]) {
    match cells {
        [] => (&[], &[]),
        [LONG, a, b, c, d, rest @ ..] => {
            rest.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        [length, rest @ ..] => rest.split_at(usize::from(*length)),
    }
}
