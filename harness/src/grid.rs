//! Tables of plain text, for a terminal or a comment.

use comfy_table::Table;
use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};

/// What stands where there is no figure.
pub const NONE: &str = "–";

/// Who reads a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// People at a terminal.
    Terminal,
    /// GitHub, in a comment or a summary.
    Markdown,
}

/// The table; nothing where there are no rows.
pub fn grid<const COLUMNS: usize>(
    look: Look,
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    let preset = match look {
        Look::Terminal => UTF8_FULL_CONDENSED,
        Look::Markdown => ASCII_MARKDOWN,
    };
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return String::new();
    }
    let escaped = rows.map(|row| match look {
        Look::Terminal => row,
        // What HTML or a column's end would be made of.
        Look::Markdown => {
            row.map(|cell| cell.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|"))
        }
    });
    table.load_style(preset).set_header(header).add_rows(escaped);
    format!("{}\n", table.trim_fmt())
}

/// A figure with so many decimals.
pub fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.decimals$}"))
}

/// A number with as many decimals as it needs, two at most.
pub fn plain(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
