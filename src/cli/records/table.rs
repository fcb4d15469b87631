//! Tables for a terminal, on top of comfy-table: cells are truncated and columns left out until a row
//! fits the line.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width};

/// Blanks between two columns.
const GAP: u16 = 2;
/// Minimum width of a column whose cells may be truncated.
const MIN_WIDTH: u16 = 8;
const TRUNCATED: &str = "…";

/// A column of a table.
pub(in crate::cli) struct TableColumn<'t> {
    pub(in crate::cli) title: &'t str,
    pub(in crate::cli) fit: Fit,
}

/// Treatment of a column that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Fit {
    /// Always shown, never truncated.
    Whole,
    /// Never truncated. Left out if necessary; columns with a lower rank go first.
    Optional(u8),
    /// Truncated if necessary, then left out; columns with a lower rank go first.
    Truncated(u8),
}

/// Formats a table. Without a `width`, every cell is shown in full.
pub(in crate::cli) fn format(
    columns: &[TableColumn<'_>],
    rows: &[Vec<String>],
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    // A delimiter that occurs in no cell: a long cell is truncated at the width, not at a blank.
    table.load_style(NOTHING).set_truncation_indicator(TRUNCATED).set_delimiter('\0');
    let titles = columns.iter().map(|column| column.title);
    table.set_header(single_line(titles.map(str::to_owned).collect()));
    for row in rows {
        table.add_row(single_line(row.clone()));
    }
    let widths = table.column_max_content_widths();
    let hidden = width.map_or_else(Vec::new, |width| hidden_columns(columns, &widths, width));
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        if hidden.contains(&at) {
            column.set_constraint(ColumnConstraint::Hidden);
        } else if matches!(columns[at].fit, Fit::Truncated(_)) {
            let least = widths[at].min(MIN_WIDTH) + GAP;
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        } else {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = width {
        // The padding of the last column is trimmed below.
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width.saturating_add(GAP));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn single_line(cells: Vec<String>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

/// Returns the columns to leave out so that the others fit, each as narrow as it may be.
fn hidden_columns(columns: &[TableColumn<'_>], widths: &[u16], width: u16) -> Vec<usize> {
    let least = |at: usize| match columns[at].fit {
        Fit::Truncated(_) => widths[at].min(MIN_WIDTH),
        Fit::Whole | Fit::Optional(_) => widths[at],
    };
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let rank = |at: &usize| match columns[*at].fit {
        Fit::Whole => None,
        Fit::Optional(rank) | Fit::Truncated(rank) => Some(rank),
    };
    let fits = |shown: &[usize]| {
        let gaps = usize::from(GAP) * shown.len().saturating_sub(1);
        let total: usize = shown.iter().map(|at| usize::from(least(*at))).sum();
        total + gaps <= usize::from(width)
    };
    while !fits(&shown) {
        let optional = shown.iter().copied().filter(|at| rank(at).is_some());
        let Some(first) = optional.min_by_key(rank) else { break };
        shown.retain(|at| *at != first);
    }
    (0..columns.len()).filter(|at| !shown.contains(at)).collect()
}

#[cfg(test)]
mod tests {
    use console::measure_text_width;

    use super::*;

    const COLUMNS: [TableColumn<'_>; 4] = [
        TableColumn { title: "time", fit: Fit::Whole },
        TableColumn { title: "rule", fit: Fit::Truncated(1) },
        TableColumn { title: "outcome", fit: Fit::Truncated(0) },
        TableColumn { title: "id", fit: Fit::Whole },
    ];

    fn rows(rules: &[&str]) -> Vec<Vec<String>> {
        let row = |rule: &&str| {
            ["09:30:00", rule, "agent", "01a1fe18-bc7f-7e6c"].map(str::to_owned).to_vec()
        };
        rules.iter().map(row).collect()
    }

    #[test]
    fn truncates_cells_and_leaves_out_the_least_important_columns() {
        let last = |width| {
            let table = format(&COLUMNS, &rows(&["a rule with a name"]), Some(width));
            table.lines().last().unwrap().to_owned()
        };
        assert_eq!(last(60), "09:30:00  a rule with a name  agent    01a1fe18-bc7f-7e6c");
        assert_eq!(last(40), "09:30:00  a rule wi…  01a1fe18-bc7f-7e6c");
        assert_eq!(last(30), "09:30:00  01a1fe18-bc7f-7e6c");
    }

    #[test]
    fn shows_every_cell_in_full_without_a_width() {
        let long = "a rule with quite a long name, as people write them";
        let table = format(&COLUMNS, &rows(&[long]), None);
        assert!(table.contains(long) && !table.contains(TRUNCATED), "{table}");
    }

    #[test]
    fn aligns_wide_characters() {
        let rules = ["営業時間外の電話", "café ☎️ nuit", "vip"];
        for width in [None, Some(60)] {
            let table = format(&COLUMNS, &rows(&rules), width);
            let offsets: Vec<usize> = table
                .lines()
                .skip(1)
                .map(|line| measure_text_width(line.split("agent").next().unwrap()))
                .collect();
            assert!(offsets.windows(2).all(|pair| pair[0] == pair[1]), "{offsets:?}\n{table}");
        }
    }
}
