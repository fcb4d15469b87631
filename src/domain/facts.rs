//! Facts that a decision needs besides the call.
//!
//! The caller supplies them, so that a decision stays a pure function of rule set, call and facts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Number, Value};

/// Facts about a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Time of arrival; hours and dates are evaluated at this time.
    pub at: Timestamp,
    /// What look-ups have answered.
    pub lookups: LookupAnswers,
}

impl Facts {
    /// Returns facts to which no look-up contributes: their values are unknown.
    pub fn at(at: Timestamp) -> Facts {
        Facts { at, lookups: LookupAnswers::default() }
    }

    /// Returns the facts of a call whose look-ups can still be asked.
    pub fn before_lookups(at: Timestamp) -> Facts {
        Facts { at, lookups: LookupAnswers { answers: Vec::new(), more_to_come: true } }
    }
}

/// A look-up of a rule table: its position, counted from 1, or the built-in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(u8);

impl LookupId {
    /// The built-in look-up of the caller's earlier calls.
    pub const HISTORY: LookupId = LookupId(0);
    /// Maximum number of look-ups in a rule table.
    pub const MAX: usize = 63;

    /// Returns the id of the look-up at this position, counted from 0; `None` beyond the maximum.
    pub fn of_position(position: usize) -> Option<LookupId> {
        (position < LookupId::MAX).then_some(LookupId(position as u8 + 1))
    }

    /// Returns the position of the look-up in its table, counted from 0; `None` for the history.
    pub fn position(self) -> Option<usize> {
        usize::from(self.0).checked_sub(1)
    }
}

/// A set of look-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookupSet(u64);

impl LookupSet {
    /// Adds a look-up.
    pub fn insert(&mut self, id: LookupId) {
        self.0 |= 1 << id.0;
    }

    /// Returns whether the set contains a look-up.
    pub fn contains(self, id: LookupId) -> bool {
        self.0 >> id.0 & 1 == 1
    }

    /// Returns whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the look-ups of both sets.
    pub fn union(self, other: LookupSet) -> LookupSet {
        LookupSet(self.0 | other.0)
    }

    /// Iterates over the look-ups in the order of their positions.
    pub fn iter(self) -> impl Iterator<Item = LookupId> {
        (0..u64::BITS as u8).map(LookupId).filter(move |id| self.contains(*id))
    }
}

impl FromIterator<LookupId> for LookupSet {
    fn from_iter<T: IntoIterator<Item = LookupId>>(ids: T) -> LookupSet {
        let mut set = LookupSet::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

/// How a look-up ended. All but [`LookupState::Found`] mean that its values are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LookupState {
    /// The system knows the caller.
    Found,
    /// The system answered, and does not know the caller.
    Empty,
    /// No answer arrived in time.
    Late,
    /// The system refused, or its answer is unusable.
    Failed,
    /// Not asked, because it failed several times in a row.
    Suspended,
    /// Not asked: a value that the request needs is unknown, or this is no real call.
    NotAsked,
}

impl LookupState {
    /// All states.
    pub const ALL: [LookupState; 6] = [
        LookupState::Found,
        LookupState::Empty,
        LookupState::Late,
        LookupState::Failed,
        LookupState::Suspended,
        LookupState::NotAsked,
    ];

    /// Returns the state in words, for explanations.
    pub fn describe(self) -> &'static str {
        match self {
            LookupState::Found => "found",
            LookupState::Empty => "the look-up does not know the caller",
            LookupState::Late => "the look-up was late",
            LookupState::Failed => "the look-up failed",
            LookupState::Suspended => "the look-up is suspended after failures",
            LookupState::NotAsked => "the look-up was not asked",
        }
    }

    /// Returns the name used in logs, metrics and records.
    pub fn as_str(self) -> &'static str {
        match self {
            LookupState::Found => "found",
            LookupState::Empty => "empty",
            LookupState::Late => "late",
            LookupState::Failed => "failed",
            LookupState::Suspended => "suspended",
            LookupState::NotAsked => "not_asked",
        }
    }
}

/// Answer of a look-up.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupAnswer {
    /// How the look-up ended.
    pub state: LookupState,
    /// What it found: `Null` unless the state is [`LookupState::Found`].
    pub value: Arc<Value>,
    /// Time for which the call waited.
    pub took: Duration,
    /// The answer came from the cache.
    pub cached: bool,
    /// What went wrong, without values of the call: `status 503`.
    pub problem: Option<Arc<str>>,
}

impl LookupAnswer {
    /// Creates an answer with this value, as tests of a rule table give it.
    pub fn found(value: Value) -> LookupAnswer {
        LookupAnswer { value: Arc::new(value), ..LookupAnswer::unknown(LookupState::Found) }
    }

    /// Returns whether the look-up found something, and its value is known.
    pub fn has_value(&self) -> bool {
        self.state == LookupState::Found && !self.value.is_null()
    }

    /// Creates an answer without a value.
    pub fn unknown(state: LookupState) -> LookupAnswer {
        let value = Arc::new(Value::Null);
        LookupAnswer { state, value, took: Duration::ZERO, cached: false, problem: None }
    }
}

/// Answers of the look-ups of a call; each is asked at most once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LookupAnswers {
    answers: Vec<(LookupId, LookupAnswer)>,
    /// Look-ups without an answer can still be asked; otherwise, they count as not asked.
    more_to_come: bool,
}

impl LookupAnswers {
    /// Adds the answer of a look-up that has none yet.
    pub fn insert(&mut self, id: LookupId, answer: LookupAnswer) {
        if self.get(id).is_none() {
            self.answers.push((id, answer));
        }
    }

    /// Ends the questions: look-ups without an answer count as not asked.
    pub fn complete(&mut self) {
        self.more_to_come = false;
    }

    /// Returns the answers as before the end of the questions.
    pub fn resumed(self) -> LookupAnswers {
        LookupAnswers { more_to_come: true, ..self }
    }

    /// Returns the answer of a look-up, if there is one.
    pub fn get(&self, id: LookupId) -> Option<&LookupAnswer> {
        self.answers.iter().find(|(known, _)| *known == id).map(|(_, answer)| answer)
    }

    /// Iterates over the answers in the order in which they arrived.
    pub fn iter(&self) -> impl Iterator<Item = (LookupId, &LookupAnswer)> {
        self.answers.iter().map(|(id, answer)| (*id, answer))
    }

    /// Returns whether a look-up must be asked before its values are known.
    pub fn is_pending(&self, id: LookupId) -> bool {
        self.more_to_come && self.get(id).is_none()
    }

    /// Returns those of the look-ups that must be asked.
    pub fn pending(&self, needed: LookupSet) -> LookupSet {
        needed.iter().filter(|id| self.is_pending(*id)).collect()
    }

    /// Returns the text of a field of an answer, if it is known.
    pub fn field(&self, id: LookupId, path: &FieldPath) -> Option<String> {
        path.text(&self.get(id)?.value)
    }
}

/// A field of a look-up's answer: a path of names and array indexes, as in `contact.phones.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath(Box<[Box<str>]>);

impl FieldPath {
    /// Reads a dotted path. Returns `None` if a part is empty.
    pub fn parse(text: &str) -> Option<FieldPath> {
        let parts: Box<[Box<str>]> = text.split('.').map(Box::from).collect();
        parts.iter().all(|part| !part.is_empty()).then_some(FieldPath(parts))
    }

    /// Returns the text of the field: strings as they are, numbers in their shortest form, booleans as in
    /// JSON. Anything else, and an empty string, is unknown.
    pub fn text(&self, answer: &Value) -> Option<String> {
        fn step<'v>(value: &'v Value, part: &str) -> Option<&'v Value> {
            match value {
                Value::Object(object) => object.get(part),
                Value::Array(array) => array.get(part.parse::<usize>().ok()?),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            }
        }
        match self.0.iter().try_fold(answer, |value, part| step(value, part))? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Number(number) => Some(shortest_form(number)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// Returns a number in its shortest form: `12` for `12.00`, `2.5` for `2.50`.
///
/// ```
/// use switchboard::domain::facts::shortest_form;
///
/// let number = |text: &str| text.parse().expect("a number");
/// assert_eq!(shortest_form(&number("12.00")), "12");
/// assert_eq!(shortest_form(&number("1e3")), "1000");
/// ```
pub fn shortest_form(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Prints the path as it is written: `contact.phones.0`.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_set_holds_the_history_and_every_position() {
        let last = LookupId::of_position(LookupId::MAX - 1).expect("the last position");
        let set: LookupSet = [last, LookupId::HISTORY].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [LookupId::HISTORY, last]);
        assert_eq!((last.position(), LookupId::HISTORY.position()), (Some(62), None));
        assert_eq!(LookupId::of_position(LookupId::MAX), None);
    }

    #[test]
    fn fields_are_found_by_names_and_indexes() {
        let answer =
            json!({ "a": [{ "b": "x", "n": 2.50, "w": 12.00, "t": true, "e": "", "o": {} }] });
        let text = |path| FieldPath::parse(path).expect("a path").text(&answer);
        assert_eq!(text("a.0.b").as_deref(), Some("x"));
        assert_eq!(text("a.0.n").as_deref(), Some("2.5"));
        assert_eq!(text("a.0.w").as_deref(), Some("12"));
        assert_eq!(text("a.0.t").as_deref(), Some("true"));
        for unknown in ["a", "a.1.b", "a.b", "a.0.e", "a.0.o", "a.0.b.c", "b"] {
            assert_eq!(text(unknown), None, "{unknown}");
        }
        assert_eq!(FieldPath::parse("a..b"), None);
    }
}
