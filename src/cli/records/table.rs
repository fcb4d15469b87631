//! A table for people, as wide as the terminal at most.

use std::fmt::Write;

/// Where a cell was cut.
const CUT: char = '…';
const GAP: &str = "  ";
/// A column is not made narrower, unless nothing else helps.
const NARROWEST: usize = 8;

/// A heading and cells, in lines. With a `width`, long cells of the columns that `may_be_cut` are
/// cut; where that does not do, the columns of `may_be_left_out` are left out, in this order.
pub(super) fn table(
    heading: &[&str],
    may_be_cut: &[bool],
    may_be_left_out: &[&str],
    rows: &[Vec<String>],
    width: Option<usize>,
) -> String {
    let length = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = heading.iter().map(|title| length(title)).collect();
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(length(cell));
        }
    }
    let mut shown: Vec<usize> = (0..heading.len()).collect();
    if let Some(width) = width {
        let may_be_left_out = may_be_left_out
            .iter()
            .filter_map(|title| heading.iter().position(|known| known == title));
        leave_out(&mut shown, &widths, may_be_cut, may_be_left_out, width);
        narrow(&mut widths, &shown, may_be_cut, width);
    }
    let mut lines = String::new();
    let heading: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for &at in &shown {
            let width = widths[at];
            let cell = cut(&row[at], width);
            write!(line, "{cell:width$}{GAP}").expect("a text takes whatever is written");
        }
        let line = cut(line.trim_end(), width.unwrap_or(usize::MAX));
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

fn gaps(shown: &[usize]) -> usize {
    GAP.len() * shown.len().saturating_sub(1)
}

/// Until the others fit, each as narrow as it can be.
fn leave_out(
    shown: &mut Vec<usize>,
    widths: &[usize],
    may_be_cut: &[bool],
    may_be_left_out: impl Iterator<Item = usize>,
    width: usize,
) {
    let least = |at: &usize| match may_be_cut[*at] {
        true => widths[*at].min(NARROWEST),
        false => widths[*at],
    };
    for next in may_be_left_out {
        if shown.iter().map(least).sum::<usize>() + gaps(shown) <= width {
            return;
        }
        shown.retain(|at| *at != next);
    }
}

/// Takes from the widest first.
fn narrow(widths: &mut [usize], shown: &[usize], may_be_cut: &[bool], width: usize) {
    while shown.iter().map(|at| widths[*at]).sum::<usize>() + gaps(shown) > width {
        let cuttable = shown.iter().filter(|at| may_be_cut[**at] && widths[**at] > NARROWEST);
        let Some(widest) = cuttable.max_by_key(|at| widths[**at]) else { return };
        widths[*widest] -= 1;
    }
}

/// A text of so many characters at most.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain([CUT]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![
            row(["09:30:00", "a rule with quite a long name, as people write them", "agent"]),
            row(["09:31:00", "short", "keep"]),
        ]
    }

    fn shown(width: Option<usize>) -> String {
        table(&["time", "rule", "outcome"], &[false, true, true], &[], &rows(), width)
    }

    #[test]
    fn where_not_all_columns_fit_those_that_matter_least_are_left_out() {
        let heading = ["time", "rule", "outcome", "id"];
        let rows = vec![
            ["09:30:00", "a rule with a name", "agent", "01a1fe18-bc7f-7e6c"]
                .map(str::to_owned)
                .to_vec(),
        ];
        let shown = |width| {
            table(&heading, &[false, true, true, false], &["outcome", "rule"], &rows, Some(width))
        };
        assert_eq!(
            shown(60).lines().last(),
            Some("09:30:00  a rule with a name  agent    01a1fe18-bc7f-7e6c")
        );
        assert_eq!(shown(40).lines().last(), Some("09:30:00  a rule wi…  01a1fe18-bc7f-7e6c"));
        assert_eq!(shown(30).lines().last(), Some("09:30:00  01a1fe18-bc7f-7e6c"));
    }

    #[test]
    fn a_table_is_as_wide_as_the_terminal_at_most_and_the_time_stays_whole() {
        for width in [40, 60, 79] {
            let shown = shown(Some(width));
            let widest = shown.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width}: {shown}");
            assert!(shown.contains("09:30:00  a rule") && shown.contains("keep"), "{shown}");
        }
        let narrow = shown(Some(40));
        assert!(narrow.contains("…  agent"), "{narrow}");
    }

    #[test]
    fn without_a_width_nothing_is_cut() {
        let shown = shown(None);
        assert!(shown.contains("as people write them  agent"), "{shown}");
        assert!(!shown.contains('…') && !shown.contains(" \n"), "{shown}");
    }
}
