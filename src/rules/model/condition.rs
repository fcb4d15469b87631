//! `where`: conditions on a column of the matched list row or on a SIP header.

use std::fmt;

use super::lists::{Cell, ResolvedCall};
use super::pattern::Selector;
use crate::diagnostics::Problem;

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
}

/// Expected value of an operand.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpectedValue {
    /// Exact text, case-sensitive.
    Text(Box<str>),
    /// Number, with the comparison that must be true.
    Number(Comparison, f64),
}

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
    pub fn matches(&self, call: &ResolvedCall<'_>) -> bool {
        let actual = self.operand.value(call);
        actual.is_some_and(|actual| self.expected.matches(|expected| expected.matches(actual)))
    }
}

impl Operand {
    /// Returns the value for this call, if it is known.
    pub fn value<'c>(&self, call: &ResolvedCall<'c>) -> Option<&'c str> {
        match self {
            Operand::Cell(cell) => call.cell(*cell),
            Operand::Sip(header) => call.call.sip_header(header),
        }
    }
}

impl ExpectedValue {
    /// Parses an expected value such as `gold` or `>= 6`.
    ///
    /// ```
    /// use switchboard::rules::{Comparison, ExpectedValue};
    ///
    /// let value = ExpectedValue::parse(">= 6").unwrap();
    /// assert_eq!(value, ExpectedValue::Number(Comparison::AtLeast, 6.0));
    /// assert_eq!(ExpectedValue::parse("> six").unwrap_err().code, "bad-comparison");
    /// ```
    ///
    /// # Errors
    /// Returns a problem when a comparison operator is not followed by a number.
    pub fn parse(text: &str) -> Result<ExpectedValue, Problem> {
        let number =
            |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        let Some((comparison, rest)) = Comparison::ALL.iter().find_map(|comparison| {
            Some((*comparison, text.trim().strip_prefix(comparison.as_str())?))
        }) else {
            let after_equals =
                text.trim().strip_prefix('=').map(|rest| rest.trim_start_matches(['=', '>', '<']));
            return match after_equals.and_then(number) {
                Some(_) => {
                    Err(Problem::new(BAD_COMPARISON, format!("`{text}` is not a comparison")).help(
                        "use `>=`, `<=`, `>` or `<`; write `6` for equal and `!6` for not equal",
                    ))
                }
                None => Ok(ExpectedValue::Text(text.into())),
            };
        };
        number(rest).map(|number| ExpectedValue::Number(comparison, number)).ok_or_else(|| {
            let help = match rest.contains(['<', '>']) {
                true => "for a range, exclude the upper part: [\">= 3\", \"!>= 10\"]",
                false => "write a number after the operator: \">= 6\"",
            };
            Problem::new(BAD_COMPARISON, format!("`{text}` does not compare with a number"))
                .help(help)
        })
    }

    fn matches(&self, actual: &str) -> bool {
        match self {
            ExpectedValue::Text(text) => **text == *actual,
            ExpectedValue::Number(comparison, number) => {
                let actual = actual.trim().parse().ok().filter(|actual: &f64| actual.is_finite());
                actual.is_some_and(|actual| comparison.is_true(actual, *number))
            }
        }
    }
}

impl Comparison {
    /// Comparisons with an operator; longer operators come before their prefixes.
    const ALL: [Comparison; 4] =
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

    fn is_true(self, actual: f64, number: f64) -> bool {
        match self {
            Comparison::AtLeast => actual >= number,
            Comparison::AtMost => actual <= number,
            Comparison::Above => actual > number,
            Comparison::Below => actual < number,
            Comparison::Equal => actual == number,
        }
    }
}

/// Prints the value as written in a rule.
impl fmt::Display for ExpectedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpectedValue::Text(text) => f.write_str(text),
            ExpectedValue::Number(Comparison::Equal, number) => number.fmt(f),
            ExpectedValue::Number(comparison, number) => {
                write!(f, "{} {number}", comparison.as_str())
            }
        }
    }
}
