//! `report.md`: the report for a pull request or a wiki.

use comfy_table::presets::ASCII_MARKDOWN;

use super::{Format, Report, tables};

/// GitHub's Markdown.
#[derive(Debug)]
pub struct Markdown;

impl Format for Markdown {
    fn file_name(&self) -> Option<&'static str> {
        Some("report.md")
    }

    fn render(&self, report: &Report) -> String {
        let mut text = format!("# stepmark report of {}\n", report.created_at);
        for table in tables::all(report) {
            let mut drawn = comfy_table::Table::new();
            let rows = table.rows.into_iter().map(|row| row.into_iter().map(escape));
            drawn.load_style(ASCII_MARKDOWN).set_header(table.header).add_rows(rows);
            text.push_str(&format!("\n{}\n\n{}\n", table.title, drawn.trim_fmt()));
        }
        let remarks = tables::remarks(report);
        if !remarks.is_empty() {
            text.push('\n');
            text.extend(remarks.into_iter().map(|remark| format!("- {}\n", escape(remark))));
        }
        text.push_str("\n## Where it ran\n\n");
        for (name, value) in tables::setting(report) {
            text.push_str(&format!("- {name}: {}\n", escape(value)));
        }
        text
    }
}

/// Keeps a value's own characters from being read as Markdown.
fn escape(text: String) -> String {
    text.replace('|', "\\|").replace('_', "\\_").replace('<', "&lt;").replace('\n', " ")
}
