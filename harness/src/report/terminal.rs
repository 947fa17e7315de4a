//! The report for the terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::{Format, tables};
use crate::report::Report;

/// Tables with lines, problems below them.
#[derive(Debug)]
pub struct Terminal;

impl Format for Terminal {
    fn file_name(&self) -> Option<&'static str> {
        None
    }

    fn render(&self, report: &Report) -> String {
        let mut text = String::new();
        for table in tables::all(report) {
            let title = table.title();
            let mut drawn = comfy_table::Table::new();
            drawn.load_style(UTF8_FULL_CONDENSED).set_header(table.header).add_rows(table.rows);
            text.push_str(&format!("{title}\n{}\n\n", drawn.trim_fmt()));
        }
        for (name, value) in tables::setting(report) {
            text.push_str(&format!("{name:>10}  {value}\n"));
        }
        let remarks = tables::remarks(report);
        if !remarks.is_empty() {
            text.push_str(&format!("\n{}\n", remarks.join("\n")));
        }
        text
    }
}
