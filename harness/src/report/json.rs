//! `report.json`: everything, for programs.

use super::{Format, Report};

/// JSON, indented. The fields are those of [`Report`].
#[derive(Debug)]
pub struct Json;

impl Format for Json {
    fn file_name(&self) -> Option<&'static str> {
        Some("report.json")
    }

    fn render(&self, report: &Report) -> String {
        let mut text = serde_json::to_string_pretty(report)
            .expect("a report is numbers, texts and maps with text keys");
        text.push('\n');
        text
    }
}
