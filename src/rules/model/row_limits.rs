//! Limits of the number of rows of a list: `max_shrink` and `min_rows`.

use crate::diagnostics::Problem;

/// How many rows a list may lose at once, and how many it must have.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowLimits {
    /// Largest share of its rows that the list may lose, in percent.
    pub max_shrink: Option<f64>,
    /// Smallest number of rows.
    pub min_rows: Option<usize>,
}

/// How an operator takes a list that shrank on purpose.
const TAKE_IT: &str = "if this is right, `POST /reload?force=true` takes the list as it is";

impl RowLimits {
    /// Returns whether there is a limit.
    pub fn exist(&self) -> bool {
        self.max_shrink.is_some() || self.min_rows.is_some()
    }

    /// Returns what is wrong with the number of rows of the list `name`, which had `before` rows until now.
    pub fn problem(&self, name: &str, rows: usize, before: Option<usize>) -> Option<Problem> {
        let noun = if rows == 1 { "row" } else { "rows" };
        if let (Some(max_shrink), Some(before)) = (self.max_shrink, before) {
            let least = before as f64 * (100.0 - max_shrink) / 100.0;
            // A quotient of decimals can be a little more than the whole number that is meant.
            if (rows as f64) < least - 1e-6 {
                let message = format!(
                    "list `{name}` has {rows} {noun} and had {before}; it may lose {max_shrink}% at once"
                );
                return Some(Problem::new("list-shrank", message).help(TAKE_IT));
            }
        }
        let min_rows = self.min_rows.filter(|min_rows| rows < *min_rows)?;
        let message = format!("list `{name}` has {rows} {noun}; it must have at least {min_rows}");
        let help = match before {
            Some(_) => TAKE_IT,
            None => "complete the file, or lower min_rows",
        };
        Some(Problem::new("list-too-small", message).help(help))
    }
}

/// Returns the share that a number without `%` probably means: `20%` for `0.2` and for `20`.
pub(crate) fn suggest_share(text: &str) -> Option<String> {
    const PERCENT: f64 = 100.0;
    let number = text.trim().parse::<f64>().ok()?;
    let percent = if number < 1.0 { number * PERCENT } else { number };
    // `0.07 * 100.0` is a little more than 7.
    let percent = (percent * PERCENT).round() / PERCENT;
    (0.0..PERCENT).contains(&percent).then(|| format!("{percent}%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_fraction_or_a_percentage() {
        for (text, share) in [
            ("0.2", "20%"),
            ("0.07", "7%"),
            ("2", "2%"),
            ("50", "50%"),
            ("12.5", "12.5%"),
            ("0", "0%"),
        ] {
            assert_eq!(suggest_share(text).as_deref(), Some(share), "{text}");
        }
        for text in ["100", "-1", "half", "", "inf", "nan"] {
            assert_eq!(suggest_share(text), None, "{text}");
        }
    }
}
