//! `where`: conditions on a column of the matched list row, a SIP header, an attribute, or a look-up.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::lists::{Cell, ResolvedCall};
use super::pattern::Selector;
use crate::diagnostics::Problem;
use crate::domain::facts::{FieldPath, LookupAnswers, LookupId};

/// One entry of `where`.
#[derive(Debug, Clone, PartialEq)]
pub struct WhereClause {
    /// Operand as written: `stores.tier`.
    pub name: Box<str>,
    /// Source of the actual value.
    pub operand: Operand,
    /// Accepted values.
    pub expected: Selector<ExpectedValue>,
}

/// Value that a condition compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// Cell of a list.
    Cell(Cell),
    /// SIP header, by its name in lower case.
    Sip(Box<str>),
    /// A further fact that the platform sends, by its name.
    Attribute(Box<str>),
    /// Field of a look-up's answer.
    Lookup(LookupId, FieldPath),
}

/// Expected value of an operand.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpectedValue {
    /// Text, compared without regard to case.
    Text(Box<str>),
    /// Truth value, in the words that spreadsheets and people use.
    Truth(bool),
    /// Number, with the comparison that must be true.
    Number(Comparison, Number),
}

/// A number. Whole numbers are compared digit by digit, since a float has only 53 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Whole number.
    Whole(i128),
    /// Any other finite number.
    Float(f64),
}

impl Number {
    /// Parses a number; white space around it is ignored.
    pub fn parse(text: &str) -> Option<Number> {
        let text = text.trim();
        let whole = text.parse().ok().map(Number::Whole);
        let float = || text.parse().ok().filter(|number: &f64| number.is_finite());
        whole.or_else(|| float().map(Number::Float))
    }

    fn to_float(self) -> f64 {
        match self {
            Number::Whole(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Whole(one), Number::Whole(other)) => Some(one.cmp(&other)),
            (one, other) => one.to_float().partial_cmp(&other.to_float()),
        }
    }
}

/// Words for true in lists, in lower case: those of spreadsheets in many languages, of databases and programs, and
/// of people.
const TRUE_WORDS: [&str; 40] = [
    "true",
    "t",
    "1.0",
    "checked",
    "yes",
    "y",
    "1",
    "x",
    "on",
    "✓",
    "✔",
    "☑",
    "✅",
    "wahr",
    "ja",
    "vrai",
    "oui",
    "verdadero",
    "sí",
    "si",
    "sì",
    "vero",
    "verdadeiro",
    "sim",
    "waar",
    "sant",
    "sand",
    "sann",
    "tosi",
    "kyllä",
    "prawda",
    "tak",
    "pravda",
    "ano",
    "áno",
    "igaz",
    "igen",
    "истина",
    "да",
    "doğru",
];
/// Words for false.
const FALSE_WORDS: [&str; 31] = [
    "false",
    "f",
    "0.0",
    "unchecked",
    "no",
    "n",
    "0",
    "off",
    "✗",
    "✘",
    "☐",
    "❌",
    "falsch",
    "nein",
    "faux",
    "non",
    "falso",
    "não",
    "onwaar",
    "nee",
    "falskt",
    "falsk",
    "usann",
    "nej",
    "nei",
    "epätosi",
    "ei",
    "fałsz",
    "nepravda",
    "hamis",
    "ложь",
];

/// Comparison of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
    /// Equality.
    Equal,
}

const BAD_COMPARISON: &str = "bad-comparison";

impl WhereClause {
    /// Returns whether the condition matches. An unknown value never matches, negated or not.
    pub fn matches(&self, call: &ResolvedCall<'_>, lookups: &LookupAnswers) -> bool {
        let actual = self.operand.value(call, lookups);
        actual.is_some_and(|actual| self.expected.matches(|expected| expected.matches(&actual)))
    }

    /// Returns the help for an expected text that is a comparison in words.
    pub(crate) fn comparison_in_words(&self) -> Option<String> {
        let mut texts = self.expected.any_of.iter().map(ToString::to_string);
        let comparison = texts.find_map(|text| comparison_in_words(&text))?;
        Some(format!("for a comparison, write `\"{}\" = \"{comparison}\"`", self.name))
    }
}

impl Operand {
    /// Returns the value for this call, if it is known.
    pub fn value<'c>(
        &self,
        call: &ResolvedCall<'c>,
        lookups: &LookupAnswers,
    ) -> Option<Cow<'c, str>> {
        match self {
            Operand::Cell(cell) => call.cell(*cell).map(Cow::Borrowed),
            Operand::Sip(header) => call.call.sip_header(header).map(Cow::Borrowed),
            Operand::Attribute(name) => call.call.attribute(name).map(Cow::Borrowed),
            Operand::Lookup(id, field) => lookups.field(*id, field).map(Cow::Owned),
        }
    }

    /// Returns the look-up whose answer is compared.
    pub fn lookup(&self) -> Option<LookupId> {
        match self {
            Operand::Lookup(id, _) => Some(*id),
            Operand::Cell(_) | Operand::Sip(_) | Operand::Attribute(_) => None,
        }
    }
}

/// Returns the comparison that a text has in words: `more than 6`, `6+`.
fn comparison_in_words(text: &str) -> Option<String> {
    const WORDS: [(&str, &str); 14] = [
        ("more than", ">"),
        ("greater than", ">"),
        ("over", ">"),
        ("above", ">"),
        ("at least", ">="),
        ("min", ">="),
        ("minimum", ">="),
        ("less than", "<"),
        ("fewer than", "<"),
        ("under", "<"),
        ("below", "<"),
        ("at most", "<="),
        ("up to", "<="),
        ("maximum", "<="),
    ];
    let lower = text.trim().to_lowercase();
    let in_words = || {
        let mut found = WORDS.iter().filter_map(|(words, sign)| {
            Some((*sign, lower.strip_prefix(words)?.strip_prefix(' ')?.trim()))
        });
        found.next()
    };
    let or_more = ["+", " or more", " and more"].iter().find_map(|end| lower.strip_suffix(end));
    let (sign, number) = in_words().or_else(|| or_more.map(|number| (">=", number.trim())))?;
    Number::parse(number).map(|_| format!("{sign} {number}"))
}

impl ExpectedValue {
    /// Parses an expected value such as `gold`, `true` or `>= 6`.
    ///
    /// ```
    /// use switchboard::rules::{Comparison, ExpectedValue, Number};
    ///
    /// let value = ExpectedValue::parse(">= 6").unwrap();
    /// assert_eq!(value, ExpectedValue::Number(Comparison::AtLeast, Number::Whole(6)));
    /// assert_eq!(ExpectedValue::parse("= gold").unwrap(), ExpectedValue::Text("gold".into()));
    /// assert_eq!(ExpectedValue::parse("> six").unwrap_err().code, "bad-comparison");
    /// ```
    ///
    /// # Errors
    /// Returns a problem when a comparison operator is not followed by a number, or is none of those
    /// that exist.
    pub fn parse(text: &str) -> Result<ExpectedValue, Problem> {
        let trimmed = text.trim();
        if let Some(unknown) =
            ["=>", "=<", "<>", "=~", "~"].iter().find(|op| trimmed.starts_with(**op))
        {
            let message = format!("`{text}` is not a comparison: there is no `{unknown}`");
            let help = "use `>=`, `<=`, `>` or `<`; write `6` for equal and `!6` for not equal";
            return Err(Problem::new(BAD_COMPARISON, message).help(help));
        }
        let equal = trimmed.strip_prefix("==").or_else(|| trimmed.strip_prefix('='));
        if let Some(rest) = equal {
            let rest = rest.trim();
            return Ok(match Number::parse(rest) {
                Some(number) => ExpectedValue::Number(Comparison::Equal, number),
                None => ExpectedValue::text(rest),
            });
        }
        let Some((comparison, rest)) = Comparison::WITH_OPERATOR
            .iter()
            .find_map(|comparison| Some((*comparison, trimmed.strip_prefix(comparison.as_str())?)))
        else {
            return Ok(ExpectedValue::text(text));
        };
        Number::parse(rest).map(|number| ExpectedValue::Number(comparison, number)).ok_or_else(
            || {
                let help = match rest.contains(['<', '>']) {
                    true => "for a range, exclude the upper part: [\">= 3\", \"!>= 10\"]",
                    false => "write a number after the operator: \">= 6\"",
                };
                Problem::new(BAD_COMPARISON, format!("`{text}` does not compare with a number"))
                    .help(help)
            },
        )
    }

    fn text(text: &str) -> ExpectedValue {
        match text {
            "true" => ExpectedValue::Truth(true),
            "false" => ExpectedValue::Truth(false),
            text => ExpectedValue::Text(text.into()),
        }
    }

    /// Returns whether a value is a word for true or for false.
    pub(crate) fn is_truth_value(actual: &str) -> bool {
        [true, false].iter().any(|truth| ExpectedValue::Truth(*truth).matches(actual))
    }

    /// Returns whether an actual value is the expected one.
    pub fn matches(&self, actual: &str) -> bool {
        match self {
            ExpectedValue::Text(text) => {
                text.eq_ignore_ascii_case(actual)
                    || (!text.is_ascii() && text.to_lowercase() == actual.to_lowercase())
            }
            ExpectedValue::Truth(truth) => {
                let words: &[&str] = if *truth { &TRUE_WORDS } else { &FALSE_WORDS };
                words.contains(&actual.trim().to_lowercase().as_str())
            }
            ExpectedValue::Number(comparison, number) => {
                let order = Number::parse(actual).and_then(|actual| actual.compare(*number));
                order.is_some_and(|order| comparison.is_true(order))
            }
        }
    }
}

impl Comparison {
    /// Comparisons with an operator; longer operators come before their prefixes.
    const WITH_OPERATOR: [Comparison; 4] =
        [Comparison::AtLeast, Comparison::AtMost, Comparison::Above, Comparison::Below];

    fn as_str(self) -> &'static str {
        match self {
            Comparison::AtLeast => ">=",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::Below => "<",
            Comparison::Equal => "",
        }
    }

    /// Returns whether the comparison is true of an actual value with this order to the expected one.
    fn is_true(self, order: Ordering) -> bool {
        match self {
            Comparison::AtLeast => order.is_ge(),
            Comparison::AtMost => order.is_le(),
            Comparison::Above => order.is_gt(),
            Comparison::Below => order.is_lt(),
            Comparison::Equal => order.is_eq(),
        }
    }
}

/// Prints the value as written in a rule.
impl fmt::Display for ExpectedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpectedValue::Text(text) => f.write_str(text),
            ExpectedValue::Truth(truth) => truth.fmt(f),
            ExpectedValue::Number(Comparison::Equal, number) => number.fmt(f),
            ExpectedValue::Number(comparison, number) => {
                write!(f, "{} {number}", comparison.as_str())
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(number) => number.fmt(f),
            Number::Float(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: &str, actual: &str, matches: bool) {
        let value = ExpectedValue::parse(expected).unwrap();
        assert_eq!(value.matches(actual), matches, "{actual} as {expected}");
    }

    #[test]
    fn compares_texts_truth_values_and_numbers() {
        for (expected, actual, matches) in [
            ("gold", "gold", true),
            ("gold", "Gold", true),
            ("= gold", "gold", true),
            ("== gold", "silver", false),
            ("Ä", "ä", true),
            ("true", "TRUE", true),
            ("true", "WAHR", true),
            ("true", "x", true),
            ("true", "Sant", true),
            ("true", "SÍ", true),
            ("true", "✓", true),
            ("true", "1.0", true),
            ("true", "t", true),
            ("true", "Checked", true),
            ("false", "0.0", true),
            ("false", "f", true),
            ("false", "unchecked", true),
            ("true", "unchecked", false),
            ("true", "ИСТИНА", true),
            ("false", "ONWAAR", true),
            ("true", "false", false),
            ("true", "", false),
            ("false", "no", true),
            ("= 6", "6.0", true),
            ("= 6", "+6", true),
            ("= 6", "++6", false),
            ("= -6", "+-6", false),
            (">= 6", " 7 ", true),
            ("< 6", "5.5", true),
            ("> 9007199254740992", "9007199254740993", true),
            ("== 9007199254740993", "9007199254740992", false),
            (">= 6", "six", false),
        ] {
            check(expected, actual, matches);
        }
    }

    #[test]
    fn rejects_what_looks_like_an_operator_and_is_none() {
        for text in ["=> 6", "=< 6", "<> gold", "=~ gold", "> six", ">= 3 < 9"] {
            assert_eq!(ExpectedValue::parse(text).unwrap_err().code, BAD_COMPARISON, "{text}");
        }
    }
}
