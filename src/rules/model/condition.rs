//! `where`: what a row of a list, or a header of the call, has to say.

use std::fmt;

use super::lists::{Cell, ResolvedCall};
use super::pattern::Selector;
use crate::diagnostics::Problem;

/// One line of `where`.
#[derive(Debug, Clone, PartialEq)]
pub struct Where {
    /// What is looked at, as it was written: `stores.tier`.
    pub name: Box<str>,
    /// Where that is found.
    pub fact: Operand,
    /// What it has to be.
    pub wanted: Selector<ExpectedValue>,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A cell of a list.
    Cell(Cell),
    /// A SIP header, by its name in lower case.
    Sip(Box<str>),
}

/// What a fact may be.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpectedValue {
    /// This text, letter by letter.
    Text(Box<str>),
    /// A number that compares so.
    Number(Comparison, f64),
}

/// How two numbers compare.
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
    /// The number itself.
    Equal,
}

const BAD_COMPARISON: &str = "bad-comparison";

impl Where {
    /// Whether it holds. What is unknown never fits, negated or not.
    pub fn holds(&self, placed: &ResolvedCall<'_>) -> bool {
        let actual = self.fact.of(placed);
        actual.is_some_and(|actual| self.wanted.holds(|wanted| wanted.is(actual)))
    }
}

impl Operand {
    /// What it says for this call; none when that is unknown.
    pub fn of<'c>(&self, placed: &ResolvedCall<'c>) -> Option<&'c str> {
        match self {
            Operand::Cell(cell) => placed.cell(*cell),
            Operand::Sip(header) => placed.call.sip_header(header),
        }
    }
}

impl ExpectedValue {
    /// Reads `gold` or `>= 6`.
    ///
    /// # Errors
    /// When a comparison is not followed by a number.
    pub fn parse(text: &str) -> Result<ExpectedValue, Problem> {
        let number =
            |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        let Some((comparison, rest)) = Comparison::ALL.iter().find_map(|comparison| {
            Some((*comparison, text.trim().strip_prefix(comparison.as_str())?))
        }) else {
            let behind_equal =
                text.trim().strip_prefix('=').map(|rest| rest.trim_start_matches(['=', '>', '<']));
            return match behind_equal.and_then(number) {
                Some(_) => Err(Problem::new(BAD_COMPARISON, format!("`{text}` is no comparison"))
                    .help("there are >=, <=, > and <; `6` alone is equal, `!6` is not")),
                None => Ok(ExpectedValue::Text(text.into())),
            };
        };
        number(rest).map(|number| ExpectedValue::Number(comparison, number)).ok_or_else(|| {
            let help = match rest.contains(['<', '>']) {
                true => "for a range take away what is above it: [\">= 3\", \"!>= 10\"]",
                false => "write a number behind it: \">= 6\"",
            };
            Problem::new(BAD_COMPARISON, format!("`{text}` compares with no number")).help(help)
        })
    }

    fn is(&self, actual: &str) -> bool {
        match self {
            ExpectedValue::Text(text) => **text == *actual,
            ExpectedValue::Number(comparison, number) => {
                let actual = actual.trim().parse().ok().filter(|actual: &f64| actual.is_finite());
                actual.is_some_and(|actual| comparison.holds(actual, *number))
            }
        }
    }
}

impl Comparison {
    /// Those that are written, longer ones before those that they begin with.
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

    fn holds(self, actual: f64, number: f64) -> bool {
        match self {
            Comparison::AtLeast => actual >= number,
            Comparison::AtMost => actual <= number,
            Comparison::Above => actual > number,
            Comparison::Below => actual < number,
            Comparison::Equal => actual == number,
        }
    }
}

/// As it is written in a rule.
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
