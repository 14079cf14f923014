//! Tables for people: rows below a header, and labelled lines.

use std::fmt::Display;
use std::io::IsTerminal;

use comfy_table::{ColumnConstraint, ContentArrangement, Row as TableRow, Table, Width, presets};

/// Below this many columns a table is not pressed together any more: it would be unreadable.
const NARROWEST: u16 = 60;

/// Lines that one row of a table may take in a terminal.
const ROW_LINES: usize = 4;

/// The columns of the terminal that stdout is, if it is one.
pub fn terminal_width() -> Option<u16> {
    let stdout = std::io::stdout();
    stdout
        .is_terminal()
        .then(|| terminal_size::terminal_size_of(&stdout))?
        .map(|(width, _)| width.0.max(NARROWEST))
}

/// Rows under a header. Within a width, cells are wrapped, and cut after some lines; without one nothing is. Columns that are
/// `fixed` are never wrapped.
pub fn table(header: &[&str], fixed: &[usize], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        let mut row = TableRow::from(row);
        if width.is_some() {
            row.max_height(ROW_LINES);
        }
        table.add_row(row);
    }
    match width {
        Some(width) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    let widths = table.column_max_content_widths();
    let last = header.len() - 1;
    for (index, column) in table.column_iter_mut().enumerate() {
        let gap = if index == last { 0 } else { 2 };
        column.set_padding((0, gap));
        if fixed.contains(&index) {
            let width = widths.get(index).copied().unwrap_or(0) + gap;
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// The lines, aligned. Lines of meaning are kept where the number is 0, so that a table always has the same shape.
pub fn labelled<M: Display>(lines: &[(&'static str, String, M)]) -> String {
    let what_width = lines.iter().map(|(what, ..)| what.len()).max().unwrap_or(0);
    let is_count = |value: &str| {
        let digits = value.strip_prefix("at least ").unwrap_or(value);
        value == "unknown" || digits.bytes().all(|b| b.is_ascii_digit())
    };
    let counts = lines.iter().filter(|(_, value, _)| is_count(value));
    let count_width = counts.map(|(_, value, _)| value.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (what, value, meaning) in lines {
        let value = match is_count(value) {
            true => format!("{value:>count_width$}"),
            false => value.clone(),
        };
        let line = format!("{what:what_width$}  {value}  {meaning}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_to_the_terminal_and_cuts_nothing_off_elsewhere() {
        let rows = || vec![vec!["PENDING".to_owned(), "k/".repeat(512)]];
        let narrow = table(&["status", "object"], &[0], rows(), Some(60));
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        assert_eq!(narrow.lines().count(), 1 + ROW_LINES);
        assert!(narrow.contains('…'), "{narrow}");
        let whole = table(&["status", "object"], &[0], rows(), None);
        assert_eq!(whole, format!("status   object\nPENDING  {}\n", "k/".repeat(512)));
    }
}
