//! Bar charts for a terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use console::{measure_text_width, truncate_str};

/// Maximum width of a name.
const NAME_WIDTH: usize = 32;

/// Formats rows with a name, a count, a percentage and a bar. The longest bar ends at `width`.
pub(super) fn bar_chart(rows: &[(String, u64)], total: u64, width: u16) -> String {
    let names: Vec<_> = rows.iter().map(|(name, _)| truncate_str(name, NAME_WIDTH, "…")).collect();
    let name_width = names.iter().map(|name| measure_text_width(name)).max().unwrap_or_default();
    let most = rows.iter().map(|(_, calls)| *calls).max().unwrap_or_default().max(1);
    let count_width = most.to_string().len();
    let bar_width = usize::from(width).saturating_sub(name_width + count_width + 15).max(4) as u64;
    let mut table = Table::new();
    table.load_style(NOTHING);
    for ((_, calls), name) in rows.iter().zip(names) {
        let percent = *calls as f64 * 100.0 / total.max(1) as f64;
        // A row with any calls has a visible bar.
        let bar = "█".repeat((calls * bar_width).div_ceil(most) as usize);
        table.add_row([name.into_owned(), calls.to_string(), format!("{percent:>5.1} %"), bar]);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if at == 0 { 2 } else { 0 }, 2));
        if at == 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fit_the_width_and_the_longest_fills_it() {
        let rows = [("a".repeat(50), 1_000), ("夜間".to_owned(), 500), ("none".to_owned(), 1)];
        for width in [60, 80, 200] {
            let chart = bar_chart(&rows, 1_501, width);
            let widths: Vec<usize> = chart.lines().map(measure_text_width).collect();
            let width = usize::from(width);
            assert!(widths[0] <= width && widths[0] + 2 >= width, "{width}: {widths:?}\n{chart}");
            assert!(widths[1] < widths[0] && chart.lines().all(|line| line.ends_with('█')));
        }
    }
}
