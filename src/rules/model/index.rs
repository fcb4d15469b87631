//! Which rules can be for two numbers, found without looking at all rules: tuple-space hashing.
//!
//! A rule becomes entries, one for each pair of what may have been dialled and who may ring. Each
//! half of an entry has a shape (any, exact, a prefix of 7 digits, a country, …) and a key of that
//! shape. For a call there is one key of each shape, so one look into the hash table for each pair
//! of shapes that is in use tells which rules can fit, and a million rules cost what ten do. The
//! pairs are tried by the first rule that has them, and no further than to the best rule so far.
//!
//! What is found here can fit; whether it does (the channel, hours, negations, digits behind an X)
//! is for the caller to judge. Nothing that fits is missing: the scan of all rules is held against
//! it in a test.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::lists::{Lists, ResolvedParty};
use super::pattern::{NumberMatcher, NumberPattern};
use crate::domain::phone_number::{Party, PhoneNumber};

/// An index over some rules of a table, by their numbers.
#[derive(Debug, Default)]
pub struct Index {
    pairs: Vec<Pair>,
    slots: HashTable<Slot>,
    /// Rule numbers of the slots that have several, ascending within each.
    several: Vec<u32>,
    /// The shapes in use, a bit each, for what was dialled and for who rings.
    shapes: [u32; 2],
}

/// A pair of shapes that is in use.
#[derive(Debug, Clone, Copy)]
struct Pair {
    to: KeyShape,
    from: KeyShape,
    /// The smallest rule number that has it.
    first: u32,
}

/// The rules behind one pair of keys.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    /// The rule itself when there is one; else where they begin in `several`.
    start: u32,
    count: u32,
}

/// The form of half an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct KeyShape(u8);

impl KeyShape {
    const ANY: KeyShape = KeyShape(0);
    // 1 to 15: a prefix of so many digits.
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

/// The keys of a party: one of each shape that it has, and one for each list that it stands on.
#[derive(Debug)]
pub struct PartyKeys {
    has: u32,
    keys: [u64; KeyShape::COUNT],
    lists: Vec<u64>,
}

/// A rule with more pairs of patterns than this is found by the longer of its two sides alone.
const MOST_PAIRS: usize = 4_096;

impl Index {
    /// Of these rules: their numbers, what may have been dialled, who may ring.
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
                entries.push((mixed(to, to_key, from, from_key), number));
            }
        }
        entries.sort_unstable();
        entries.dedup();
        let used = first.into_iter().enumerate().filter(|(_, first)| *first < u32::MAX);
        index.pairs = used
            .map(|(at, first)| {
                let shape = |at: usize| KeyShape(at as u8);
                Pair { to: shape(at / KeyShape::COUNT), from: shape(at % KeyShape::COUNT), first }
            })
            .collect();
        index.pairs.sort_by_key(|pair| pair.first);
        index.fill(&entries);
        index
    }

    fn fill(&mut self, entries: &[(u64, u32)]) {
        let groups = || entries.chunk_by(|(one, _), (other, _)| one == other);
        self.slots.reserve(groups().count(), |slot| slot.key);
        for group in groups() {
            let (key, rule) = group[0];
            let mut slot = Slot { key, start: rule, count: group.len() as u32 };
            if group.len() > 1 {
                slot.start = self.several.len() as u32;
                self.several.extend(group.iter().map(|(_, rule)| *rule));
            }
            self.slots.insert_unique(key, slot, |slot| slot.key);
        }
        self.several.shrink_to_fit();
    }

    /// Whether it has no rules at all.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The keys of the two parties of a call: what was dialled, and who rings.
    pub fn keys(&self, to: &ResolvedParty<'_>, from: &ResolvedParty<'_>) -> [PartyKeys; 2] {
        [PartyKeys::of(to, self.shapes[0]), PartyKeys::of(from, self.shapes[1])]
    }

    /// The smallest rule number that can be for these keys and that `fits`.
    pub fn first(&self, keys: &[PartyKeys; 2], fits: impl FnMut(u32) -> bool) -> Option<u32> {
        self.first_below(u32::MAX, usize::MAX, keys, fits)
    }

    /// The same below `end`; of the rules on one pair of keys no more than `most` are looked at.
    pub fn first_below(
        &self,
        end: u32,
        most: usize,
        [to, from]: &[PartyKeys; 2],
        mut fits: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut best = end;
        for pair in &self.pairs {
            if pair.first >= best {
                break;
            }
            self.each(pair, to, from, |rules| {
                let mut better = rules.iter().copied().take(most).take_while(|rule| *rule < best);
                best = better.find(|rule| fits(*rule)).unwrap_or(best);
            });
        }
        (best < end).then_some(best)
    }

    /// All rule numbers below `end` that can be for these keys, ascending, each once.
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

    /// Hands out the rules of each key that the two parties have of this pair.
    fn each(&self, pair: &Pair, to: &PartyKeys, from: &PartyKeys, mut with: impl FnMut(&[u32])) {
        for to_key in to.of_shape(pair.to) {
            for from_key in from.of_shape(pair.from) {
                let key = mixed(pair.to, *to_key, pair.from, *from_key);
                let Some(slot) = self.slots.find(key, |slot| slot.key == key) else { continue };
                match slot.count {
                    1 => with(&[slot.start]),
                    count => {
                        let start = slot.start as usize;
                        with(&self.several[start..start + count as usize]);
                    }
                }
            }
        }
    }

    /// The most rules that share one pair of keys, and how many do.
    pub fn most_crowded(&self) -> Option<&[u32]> {
        let slot = self.slots.iter().filter(|slot| slot.count > 1).max_by_key(|slot| slot.count)?;
        Some(&self.several[slot.start as usize..(slot.start + slot.count) as usize])
    }

    /// The memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.slots.allocation_size()
            + self.several.capacity() * size_of::<u32>()
            + self.pairs.capacity() * size_of::<Pair>()
    }
}

impl PartyKeys {
    fn of(known: &ResolvedParty<'_>, shapes: u32) -> PartyKeys {
        let mut keys = PartyKeys { has: 0, keys: [0; KeyShape::COUNT], lists: Vec::new() };
        keys.add(KeyShape::ANY, 0);
        match known.party() {
            Party::Withheld => keys.add(KeyShape::WITHHELD, 0),
            Party::Literal(text) => keys.add(KeyShape::TEXT, text_key(text)),
            Party::Number(number) => {
                keys.add(KeyShape::EXACT, number.key());
                keys.add_prefixes(*number, shapes);
                if shapes & KeyShape::COUNTRY.bit() != 0 {
                    let country = known.country();
                    country.inspect(|country| keys.add(KeyShape::COUNTRY, country.key()));
                }
            }
        }
        if shapes & KeyShape::LIST.bit() != 0 {
            known.lists().for_each(|list| keys.add_list(list.at() as u64));
        }
        keys
    }

    /// The keys of all entries that can hold every number of a pattern.
    pub(crate) fn holding(pattern: &NumberPattern, lists: &Lists) -> PartyKeys {
        let mut keys = PartyKeys { has: 0, keys: [0; KeyShape::COUNT], lists: Vec::new() };
        match pattern {
            NumberPattern::Exact(number) => {
                let party = Party::Number(*number);
                return PartyKeys::of(&lists.lookup(&party), u32::MAX);
            }
            NumberPattern::Literal(text) => {
                let party = Party::Literal(text.clone());
                return PartyKeys::of(&lists.lookup(&party), u32::MAX);
            }
            NumberPattern::Prefix(prefix) => keys.add_shared(*prefix, lists),
            NumberPattern::Digits(_) => {
                if let Some(prefix) = pattern.leading_digits() {
                    keys.add_shared(prefix, lists);
                }
            }
            NumberPattern::Country(country) => keys.add(KeyShape::COUNTRY, country.key()),
            NumberPattern::List(list, _) => keys.add_list(list.at() as u64),
            NumberPattern::Withheld => keys.add(KeyShape::WITHHELD, 0),
        }
        keys.add(KeyShape::ANY, 0);
        keys
    }

    /// What all numbers that begin so have in common.
    fn add_shared(&mut self, prefix: PhoneNumber, lists: &Lists) {
        self.add_prefixes(prefix, u32::MAX);
        let country = prefix.country_as_prefix();
        country.inspect(|country| self.add(KeyShape::COUNTRY, country.key()));
        lists.with_prefix(prefix).into_iter().for_each(|list| self.add_list(list.at() as u64));
    }

    /// The keys of what asks for nothing, or only takes away.
    pub(crate) fn anything() -> PartyKeys {
        let mut keys = PartyKeys { has: 0, keys: [0; KeyShape::COUNT], lists: Vec::new() };
        keys.add(KeyShape::ANY, 0);
        keys
    }

    fn add(&mut self, shape: KeyShape, key: u64) {
        self.has |= shape.bit();
        self.keys[usize::from(shape.0)] = key;
    }

    fn add_list(&mut self, key: u64) {
        self.has |= KeyShape::LIST.bit();
        self.lists.push(key);
    }

    fn add_prefixes(&mut self, number: PhoneNumber, shapes: u32) {
        for digits in 1..=number.digits() {
            let shape = KeyShape::prefix(digits);
            if shapes & shape.bit() != 0 {
                number.prefix(digits).inspect(|prefix| self.add(shape, prefix.key()));
            }
        }
    }

    fn of_shape(&self, shape: KeyShape) -> &[u64] {
        if self.has & shape.bit() == 0 {
            return &[];
        }
        match shape {
            KeyShape::LIST => &self.lists,
            KeyShape(at) => std::slice::from_ref(&self.keys[usize::from(at)]),
        }
    }
}

type Half = (KeyShape, u64);

/// What a rule is found by.
fn pairs(to: &NumberMatcher, from: &NumberMatcher) -> impl Iterator<Item = (Half, Half)> {
    let (mut to, mut from) = (halves(to), halves(from));
    if to.len() * from.len() > MOST_PAIRS {
        let shorter = if to.len() < from.len() { &mut to } else { &mut from };
        *shorter = vec![(KeyShape::ANY, 0)];
    }
    to.into_iter().flat_map(move |to| from.clone().into_iter().map(move |from| (to, from)))
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
        NumberPattern::List(list, _) => (KeyShape::LIST, list.at() as u64),
        NumberPattern::Withheld => (KeyShape::WITHHELD, 0),
        NumberPattern::Literal(text) => (KeyShape::TEXT, text_key(text)),
    }
}

/// One number for a pair of halves. Should two pairs ever share one, a rule more is judged.
fn mixed(to: KeyShape, to_key: u64, from: KeyShape, from_key: u64) -> u64 {
    FixedState::default().hash_one((u16::from(to.0) << 8 | u16::from(from.0), to_key, from_key))
}

fn text_key(text: &str) -> u64 {
    FixedState::default().hash_one(text.to_ascii_lowercase())
}
