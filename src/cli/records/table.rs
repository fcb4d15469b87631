//! A table for people, as wide as the terminal at most.

use std::fmt::Write;

/// Where a cell was cut.
const CUT: char = '…';
const GAP: &str = "  ";
/// A column is not made narrower, unless nothing else helps.
const NARROWEST: usize = 8;

/// A heading and cells, in lines. With a `width`, long cells of the columns that `may_be_cut` are
/// cut.
pub(super) fn table(
    heading: &[&str],
    may_be_cut: &[bool],
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
    if let Some(width) = width {
        narrow(&mut widths, may_be_cut, width);
    }
    let mut lines = String::new();
    let heading: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let cell = cut(cell, *width);
            write!(line, "{cell:width$}{GAP}").expect("a text takes whatever is written");
        }
        let line = cut(line.trim_end(), width.unwrap_or(usize::MAX));
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

/// Takes from the widest first.
fn narrow(widths: &mut [usize], may_be_cut: &[bool], width: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let cuttable = widths.iter_mut().zip(may_be_cut);
        let cuttable = cuttable.filter(|(width, may)| **may && **width > NARROWEST);
        let Some((widest, _)) = cuttable.max_by_key(|(width, _)| **width) else { return };
        *widest -= 1;
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

    #[test]
    fn a_table_is_as_wide_as_the_terminal_at_most_and_the_time_stays_whole() {
        for width in [40, 60, 79] {
            let shown =
                table(&["time", "rule", "outcome"], &[false, true, true], &rows(), Some(width));
            let widest = shown.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width}: {shown}");
            assert!(shown.contains("09:30:00  a rule") && shown.contains("keep"), "{shown}");
        }
        let narrow = table(&["time", "rule", "outcome"], &[false, true, true], &rows(), Some(40));
        assert!(narrow.contains("…  agent"), "{narrow}");
    }

    #[test]
    fn without_a_width_nothing_is_cut() {
        let shown = table(&["time", "rule", "outcome"], &[false, true, true], &rows(), None);
        assert!(shown.contains("as people write them  agent"), "{shown}");
        assert!(!shown.contains('…') && !shown.contains(" \n"), "{shown}");
    }
}
