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

use super::lists::{Known, Lists};
use super::pattern::{NumberPattern, Numbers};
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
    to: Shape,
    from: Shape,
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
struct Shape(u8);

impl Shape {
    const ANY: Shape = Shape(0);
    // 1 to 15: a prefix of so many digits.
    const EXACT: Shape = Shape(16);
    const COUNTRY: Shape = Shape(17);
    const LIST: Shape = Shape(18);
    const WITHHELD: Shape = Shape(19);
    const TEXT: Shape = Shape(20);
    const COUNT: usize = 21;

    fn prefix(digits: usize) -> Shape {
        Shape(digits as u8)
    }

    fn bit(self) -> u32 {
        1 << self.0
    }
}

/// The keys of a party: one of each shape that it has, and one for each list that it stands on.
#[derive(Debug)]
pub struct Keys {
    has: u32,
    keys: [u64; Shape::COUNT],
    lists: Vec<u64>,
}

/// A rule with more pairs of patterns than this is found by the longer of its two sides alone.
const MOST_PAIRS: usize = 4_096;

impl Index {
    /// Of these rules: their numbers, what may have been dialled, who may ring.
    pub fn new<'r>(rules: impl Iterator<Item = (u32, &'r Numbers, &'r Numbers)>) -> Index {
        let mut index = Index::default();
        let mut entries = Vec::new();
        let mut first = vec![u32::MAX; Shape::COUNT * Shape::COUNT];
        for (number, to, from) in rules {
            for ((to, to_key), (from, from_key)) in pairs(to, from) {
                index.shapes[0] |= to.bit();
                index.shapes[1] |= from.bit();
                let first = &mut first[usize::from(to.0) * Shape::COUNT + usize::from(from.0)];
                *first = (*first).min(number);
                entries.push((mixed(to, to_key, from, from_key), number));
            }
        }
        entries.sort_unstable();
        entries.dedup();
        let used = first.into_iter().enumerate().filter(|(_, first)| *first < u32::MAX);
        index.pairs = used
            .map(|(at, first)| {
                let shape = |at: usize| Shape(at as u8);
                Pair { to: shape(at / Shape::COUNT), from: shape(at % Shape::COUNT), first }
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
    pub fn keys(&self, to: &Known<'_>, from: &Known<'_>) -> [Keys; 2] {
        [Keys::of(to, self.shapes[0]), Keys::of(from, self.shapes[1])]
    }

    /// The smallest rule number that can be for these keys and that `fits`.
    pub fn first(&self, keys: &[Keys; 2], fits: impl FnMut(u32) -> bool) -> Option<u32> {
        self.first_below(u32::MAX, usize::MAX, keys, fits)
    }

    /// The same below `end`; of the rules on one pair of keys no more than `most` are looked at.
    pub fn first_below(
        &self,
        end: u32,
        most: usize,
        [to, from]: &[Keys; 2],
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
    pub fn all(&self, [to, from]: &[Keys; 2], end: u32) -> Vec<u32> {
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
    fn each(&self, pair: &Pair, to: &Keys, from: &Keys, mut with: impl FnMut(&[u32])) {
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

impl Keys {
    fn of(known: &Known<'_>, shapes: u32) -> Keys {
        let mut keys = Keys { has: 0, keys: [0; Shape::COUNT], lists: Vec::new() };
        keys.add(Shape::ANY, 0);
        match known.party() {
            Party::Withheld => keys.add(Shape::WITHHELD, 0),
            Party::Literal(text) => keys.add(Shape::TEXT, text_key(text)),
            Party::Number(number) => {
                keys.add(Shape::EXACT, number.key());
                keys.add_prefixes(*number, shapes);
                if shapes & Shape::COUNTRY.bit() != 0 {
                    let country = known.country();
                    country.inspect(|country| keys.add(Shape::COUNTRY, country.key()));
                }
            }
        }
        if shapes & Shape::LIST.bit() != 0 {
            known.lists().for_each(|list| keys.add_list(list.at() as u64));
        }
        keys
    }

    /// The keys of all entries that can hold every number of a pattern.
    pub(crate) fn holding(pattern: &NumberPattern, lists: &Lists) -> Keys {
        let mut keys = Keys { has: 0, keys: [0; Shape::COUNT], lists: Vec::new() };
        match pattern {
            NumberPattern::Exact(number) => {
                let party = Party::Number(*number);
                return Keys::of(&lists.know(&party), u32::MAX);
            }
            NumberPattern::Literal(text) => {
                let party = Party::Literal(text.clone());
                return Keys::of(&lists.know(&party), u32::MAX);
            }
            NumberPattern::Prefix(prefix) => keys.add_shared(*prefix, lists),
            NumberPattern::Digits(_) => {
                if let Some(prefix) = pattern.leading_digits() {
                    keys.add_shared(prefix, lists);
                }
            }
            NumberPattern::Country(country) => keys.add(Shape::COUNTRY, country.key()),
            NumberPattern::List(list, _) => keys.add_list(list.at() as u64),
            NumberPattern::Withheld => keys.add(Shape::WITHHELD, 0),
        }
        keys.add(Shape::ANY, 0);
        keys
    }

    /// What all numbers that begin so have in common.
    fn add_shared(&mut self, prefix: PhoneNumber, lists: &Lists) {
        self.add_prefixes(prefix, u32::MAX);
        let country = prefix.country_as_prefix();
        country.inspect(|country| self.add(Shape::COUNTRY, country.key()));
        lists.with_prefix(prefix).into_iter().for_each(|list| self.add_list(list.at() as u64));
    }

    /// The keys of what asks for nothing, or only takes away.
    pub(crate) fn anything() -> Keys {
        let mut keys = Keys { has: 0, keys: [0; Shape::COUNT], lists: Vec::new() };
        keys.add(Shape::ANY, 0);
        keys
    }

    fn add(&mut self, shape: Shape, key: u64) {
        self.has |= shape.bit();
        self.keys[usize::from(shape.0)] = key;
    }

    fn add_list(&mut self, key: u64) {
        self.has |= Shape::LIST.bit();
        self.lists.push(key);
    }

    fn add_prefixes(&mut self, number: PhoneNumber, shapes: u32) {
        for digits in 1..=number.digits() {
            let shape = Shape::prefix(digits);
            if shapes & shape.bit() != 0 {
                number.first(digits).inspect(|prefix| self.add(shape, prefix.key()));
            }
        }
    }

    fn of_shape(&self, shape: Shape) -> &[u64] {
        if self.has & shape.bit() == 0 {
            return &[];
        }
        match shape {
            Shape::LIST => &self.lists,
            Shape(at) => std::slice::from_ref(&self.keys[usize::from(at)]),
        }
    }
}

type Half = (Shape, u64);

/// What a rule is found by.
fn pairs(to: &Numbers, from: &Numbers) -> impl Iterator<Item = (Half, Half)> {
    let (mut to, mut from) = (halves(to), halves(from));
    if to.len() * from.len() > MOST_PAIRS {
        let shorter = if to.len() < from.len() { &mut to } else { &mut from };
        *shorter = vec![(Shape::ANY, 0)];
    }
    to.into_iter().flat_map(move |to| from.clone().into_iter().map(move |from| (to, from)))
}

fn halves(numbers: &Numbers) -> Vec<Half> {
    match numbers.any_of() {
        [] => vec![(Shape::ANY, 0)],
        patterns => patterns.iter().map(half).collect(),
    }
}

fn half(pattern: &NumberPattern) -> Half {
    match pattern {
        NumberPattern::Exact(number) => (Shape::EXACT, number.key()),
        NumberPattern::Prefix(prefix) => (Shape::prefix(prefix.digits()), prefix.key()),
        NumberPattern::Digits(_) => match pattern.leading_digits() {
            Some(prefix) => (Shape::prefix(prefix.digits()), prefix.key()),
            None => (Shape::ANY, 0),
        },
        NumberPattern::Country(country) => (Shape::COUNTRY, country.key()),
        NumberPattern::List(list, _) => (Shape::LIST, list.at() as u64),
        NumberPattern::Withheld => (Shape::WITHHELD, 0),
        NumberPattern::Literal(text) => (Shape::TEXT, text_key(text)),
    }
}

/// One number for a pair of halves. Should two pairs ever share one, a rule more is judged.
fn mixed(to: Shape, to_key: u64, from: Shape, from_key: u64) -> u64 {
    FixedState::default().hash_one((u16::from(to.0) << 8 | u16::from(from.0), to_key, from_key))
}

fn text_key(text: &str) -> u64 {
    FixedState::default().hash_one(text.to_ascii_lowercase())
}
