//! Index of rules by their two numbers (tuple-space search), so that a decision does not scan all
//! rules.
//!
//! A rule has one entry for each pair of its `to` and `from` patterns. Each half of an entry has a
//! shape (any, exact, a prefix of 7 digits, a country, …) and a key of that shape. A call has one
//! key of each shape, so one hash look-up for each pair of shapes in use finds the candidate rules,
//! and a million rules cost as much as ten. Pairs are tried in the order of their first rule, until
//! no pair can contain an earlier rule than the best one so far.
//!
//! The index returns candidates; the caller evaluates the remaining conditions (channel, hours,
//! negations, digits after an X). No matching rule is missing: a test compares the index with a scan
//! of all rules.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::lists::{ListId, Lists, ResolvedParty};
use super::pattern::{NumberMatcher, NumberPattern};
use crate::domain::party::Party;
use crate::domain::phone_number::PhoneNumber;

/// Index of some rules of a table, by their number patterns.
#[derive(Debug, Default)]
pub struct Index {
    pairs: Vec<Pair>,
    slots: HashTable<Slot>,
    /// Rule numbers of the slots with more than one rule, ascending within each slot.
    overflow: Vec<u32>,
    /// Bit sets of the shapes in use, for `to` and for `from`.
    shapes: [u32; 2],
}

/// Pair of shapes in use.
#[derive(Debug, Clone, Copy)]
struct Pair {
    to: KeyShape,
    from: KeyShape,
    /// Smallest rule number with this pair.
    first: u32,
}

/// Rules of one pair of keys.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    /// Rule number when `count` is 1; otherwise the start in `overflow`.
    start: u32,
    count: u32,
}

/// Shape of half an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct KeyShape(u8);

impl KeyShape {
    const ANY: KeyShape = KeyShape(0);
    // 1 to 15: a prefix of that length.
    const EXACT: KeyShape = KeyShape(16);
    const COUNTRY: KeyShape = KeyShape(17);
    const LIST: KeyShape = KeyShape(18);
    const WITHHELD: KeyShape = KeyShape(19);
    const TEXT: KeyShape = KeyShape(20);
    const COUNT: usize = 21;

    fn prefix(digits: usize) -> KeyShape {
        KeyShape(digits as u8)
    }

    fn bit(self) -> u32 {
        1 << self.0
    }
}

/// Keys of a party: at most one of each shape, and one for each list that contains it.
#[derive(Debug)]
pub struct PartyKeys {
    shapes: u32,
    keys: [u64; KeyShape::COUNT],
    lists: Vec<u64>,
}

/// Maximum number of pairs of a rule; a rule with more is indexed by its longer side alone.
const MAX_PAIRS: usize = 4_096;

impl Index {
    /// Builds an index of rules, given as rule number, `to` and `from`.
    pub fn new<'r>(
        rules: impl Iterator<Item = (u32, &'r NumberMatcher, &'r NumberMatcher)>,
    ) -> Index {
        let mut index = Index::default();
        let mut entries = Vec::new();
        let mut first = vec![u32::MAX; KeyShape::COUNT * KeyShape::COUNT];
        for (number, to, from) in rules {
            for ((to, to_key), (from, from_key)) in pairs(to, from) {
                index.shapes[0] |= to.bit();
                index.shapes[1] |= from.bit();
                let first = &mut first[usize::from(to.0) * KeyShape::COUNT + usize::from(from.0)];
                *first = (*first).min(number);
                entries.push((combined_key(to, to_key, from, from_key), number));
            }
        }
        entries.sort_unstable();
        entries.dedup();
        let used = first.into_iter().enumerate().filter(|(_, first)| *first < u32::MAX);
        index.pairs = used
            .map(|(index, first)| {
                let shape = |shape: usize| KeyShape(shape as u8);
                let (to, from) = (index / KeyShape::COUNT, index % KeyShape::COUNT);
                Pair { to: shape(to), from: shape(from), first }
            })
            .collect();
        index.pairs.sort_by_key(|pair| pair.first);
        index.fill(&entries);
        index
    }

    fn fill(&mut self, entries: &[(u64, u32)]) {
        let groups = || entries.chunk_by(|(left, _), (right, _)| left == right);
        self.slots.reserve(groups().count(), |slot| slot.key);
        for group in groups() {
            let (key, rule) = group[0];
            let mut slot = Slot { key, start: rule, count: group.len() as u32 };
            if group.len() > 1 {
                slot.start = self.overflow.len() as u32;
                self.overflow.extend(group.iter().map(|(_, rule)| *rule));
            }
            self.slots.insert_unique(key, slot, |slot| slot.key);
        }
        self.overflow.shrink_to_fit();
    }

    /// Returns whether the index has no rules.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns the keys of the called party and of the caller.
    pub fn keys(&self, to: &ResolvedParty<'_>, from: &ResolvedParty<'_>) -> [PartyKeys; 2] {
        [PartyKeys::new(to, self.shapes[0]), PartyKeys::new(from, self.shapes[1])]
    }

    /// Returns the smallest candidate rule number that `matches`.
    pub fn first(&self, keys: &[PartyKeys; 2], matches: impl FnMut(u32) -> bool) -> Option<u32> {
        self.first_below(u32::MAX, usize::MAX, keys, matches)
    }

    /// Returns the smallest candidate below `end` that `matches`. At most `limit` rules of each pair of
    /// keys are tried.
    pub fn first_below(
        &self,
        end: u32,
        limit: usize,
        [to, from]: &[PartyKeys; 2],
        mut matches: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = end;
        for pair in &self.pairs {
            if pair.first >= best {
                break;
            }
            self.each(pair, to, from, |rules| {
                let mut better = rules.iter().copied().take(limit).take_while(|rule| *rule < best);
                best = better.find(|rule| matches(*rule)).unwrap_or(best);
            });
        }
        (best < end).then_some(best)
    }

    /// Returns all candidate rule numbers below `end`, ascending and without duplicates.
    pub fn all(&self, [to, from]: &[PartyKeys; 2], end: u32) -> Vec<u32> {
        let mut found = Vec::new();
        for pair in self.pairs.iter().take_while(|pair| pair.first < end) {
            self.each(pair, to, from, |rules| {
                found.extend(rules.iter().take_while(|rule| **rule < end));
            });
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Calls `visit` with the rules of each pair of keys that has this pair of shapes.
    fn each(&self, pair: &Pair, to: &PartyKeys, from: &PartyKeys, mut visit: impl FnMut(&[u32])) {
        for to_key in to.of_shape(pair.to) {
            for from_key in from.of_shape(pair.from) {
                let key = combined_key(pair.to, *to_key, pair.from, *from_key);
                let Some(slot) = self.slots.find(key, |slot| slot.key == key) else { continue };
                match slot.count {
                    1 => visit(&[slot.start]),
                    count => {
                        let start = slot.start as usize;
                        visit(&self.overflow[start..start + count as usize]);
                    }
                }
            }
        }
    }

    /// Returns the rules of the pair of keys that has the most, if any pair has several.
    pub fn largest_slot(&self) -> Option<&[u32]> {
        let slot = self.slots.iter().filter(|slot| slot.count > 1).max_by_key(|slot| slot.count)?;
        Some(&self.overflow[slot.start as usize..(slot.start + slot.count) as usize])
    }

    /// Returns the memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        self.slots.allocation_size()
            + self.overflow.capacity() * size_of::<u32>()
            + self.pairs.capacity() * size_of::<Pair>()
    }
}

impl PartyKeys {
    fn new(party: &ResolvedParty<'_>, shapes: u32) -> PartyKeys {
        let mut keys = PartyKeys::wildcard();
        match party.party() {
            Party::Withheld => keys.add(KeyShape::WITHHELD, 0),
            Party::Literal(text) => keys.add(KeyShape::TEXT, text_key(text)),
            Party::Number(number) => {
                keys.add(KeyShape::EXACT, number.key());
                keys.add_prefixes(*number, shapes);
                if shapes & KeyShape::COUNTRY.bit() != 0
                    && let Some(country) = party.country()
                {
                    keys.add(KeyShape::COUNTRY, country.key());
                }
            }
        }
        if shapes & KeyShape::LIST.bit() != 0 {
            party.lists().for_each(|list| keys.add_list(list));
        }
        keys
    }

    /// Returns the keys of all entries that cover every number of a pattern.
    pub(crate) fn for_pattern(pattern: &NumberPattern, lists: &Lists) -> PartyKeys {
        let of_party = |party: Party| PartyKeys::new(&lists.lookup(&party), u32::MAX);
        let mut keys = PartyKeys::wildcard();
        match pattern {
            NumberPattern::Exact(number) => return of_party(Party::Number(*number)),
            NumberPattern::Literal(text) => return of_party(Party::Literal(text.clone())),
            NumberPattern::Prefix(prefix) => keys.add_shared(*prefix, lists),
            NumberPattern::Digits(_) => {
                if let Some(prefix) = pattern.leading_digits() {
                    keys.add_shared(prefix, lists);
                }
            }
            NumberPattern::Country(country) => keys.add(KeyShape::COUNTRY, country.key()),
            NumberPattern::List(list, _) => keys.add_list(*list),
            NumberPattern::Withheld => keys.add(KeyShape::WITHHELD, 0),
        }
        keys
    }

    /// Adds the keys that all numbers with this prefix share.
    fn add_shared(&mut self, prefix: PhoneNumber, lists: &Lists) {
        self.add_prefixes(prefix, u32::MAX);
        if let Some(country) = prefix.country_as_prefix() {
            self.add(KeyShape::COUNTRY, country.key());
        }
        for list in lists.lists_with_prefix(prefix) {
            self.add_list(list);
        }
    }

    /// Returns the key that every party has, and no other: that of a matcher without positive patterns.
    pub(crate) fn wildcard() -> PartyKeys {
        let mut keys = PartyKeys { shapes: 0, keys: [0; KeyShape::COUNT], lists: Vec::new() };
        keys.add(KeyShape::ANY, 0);
        keys
    }

    fn add(&mut self, shape: KeyShape, key: u64) {
        self.shapes |= shape.bit();
        self.keys[usize::from(shape.0)] = key;
    }

    fn add_list(&mut self, list: ListId) {
        self.shapes |= KeyShape::LIST.bit();
        self.lists.push(list.index() as u64);
    }

    fn add_prefixes(&mut self, number: PhoneNumber, shapes: u32) {
        // Prefixes of all lengths from 1 to that of the number, as far as they are in use.
        let mut in_use = shapes & ((1 << (number.digits() + 1)) - 1) & !KeyShape::ANY.bit();
        while in_use != 0 {
            let digits = in_use.trailing_zeros() as usize;
            in_use &= in_use - 1;
            if let Some(prefix) = number.prefix(digits) {
                self.add(KeyShape::prefix(digits), prefix.key());
            }
        }
    }

    fn of_shape(&self, shape: KeyShape) -> &[u64] {
        if self.shapes & shape.bit() == 0 {
            return &[];
        }
        match shape {
            KeyShape::LIST => &self.lists,
            KeyShape(shape) => std::slice::from_ref(&self.keys[usize::from(shape)]),
        }
    }
}

type Half = (KeyShape, u64);

/// Returns the pairs of keys under which a rule is indexed.
fn pairs(to: &NumberMatcher, from: &NumberMatcher) -> impl Iterator<Item = (Half, Half)> {
    let (mut to, mut from) = (halves(to), halves(from));
    if to.len() * from.len() > MAX_PAIRS {
        let shorter = if to.len() < from.len() { &mut to } else { &mut from };
        *shorter = vec![(KeyShape::ANY, 0)];
    }
    to.into_iter().flat_map(move |to| from.clone().into_iter().map(move |from| (to, from)))
}

/// Returns the condition that accepts fewer numbers, as far as their patterns show.
pub(crate) fn narrower<'m>(
    first: &'m NumberMatcher,
    second: &'m NumberMatcher,
) -> &'m NumberMatcher {
    let breadth = |numbers: &NumberMatcher| {
        let widest = numbers.any_of().iter().map(breadth).max();
        (widest.unwrap_or(u8::MAX), numbers.any_of().len())
    };
    if breadth(second) < breadth(first) { second } else { first }
}

/// Returns an estimate of how many numbers a pattern matches, for comparison with other patterns.
fn breadth(pattern: &NumberPattern) -> u8 {
    const LIST: u8 = 8;
    const PREFIX: u8 = 16;
    const COUNTRY: u8 = PREFIX + 1;
    match half(pattern).0 {
        KeyShape::EXACT | KeyShape::TEXT | KeyShape::WITHHELD => 0,
        KeyShape::LIST => LIST,
        KeyShape::COUNTRY => COUNTRY,
        KeyShape::ANY => u8::MAX,
        KeyShape(digits) => PREFIX - digits,
    }
}

fn halves(numbers: &NumberMatcher) -> Vec<Half> {
    match numbers.any_of() {
        [] => vec![(KeyShape::ANY, 0)],
        patterns => patterns.iter().map(half).collect(),
    }
}

fn half(pattern: &NumberPattern) -> Half {
    match pattern {
        NumberPattern::Exact(number) => (KeyShape::EXACT, number.key()),
        NumberPattern::Prefix(prefix) => (KeyShape::prefix(prefix.digits()), prefix.key()),
        NumberPattern::Digits(_) => match pattern.leading_digits() {
            Some(prefix) => (KeyShape::prefix(prefix.digits()), prefix.key()),
            None => (KeyShape::ANY, 0),
        },
        NumberPattern::Country(country) => (KeyShape::COUNTRY, country.key()),
        NumberPattern::List(list, _) => (KeyShape::LIST, list.index() as u64),
        NumberPattern::Withheld => (KeyShape::WITHHELD, 0),
        NumberPattern::Literal(text) => (KeyShape::TEXT, text_key(text)),
    }
}

/// Combines the halves of an entry into one key. A collision only adds a candidate.
fn combined_key(to: KeyShape, to_key: u64, from: KeyShape, from_key: u64) -> u64 {
    FixedState::default().hash_one((u16::from(to.0) << 8 | u16::from(from.0), to_key, from_key))
}

fn text_key(text: &str) -> u64 {
    FixedState::default().hash_one(text.to_ascii_lowercase())
}
