//! `report.md`: the report for a pull request or a wiki.

use super::{Format, tables};
use crate::report::Report;
use crate::verdict::Status;

/// GitHub takes 65,536 characters in a comment.
const CHARS_MAX: usize = 60_000;
/// Problems that are shown before the rest has to be unfolded.
const PROBLEMS_SHOWN_MAX: usize = 10;

/// GitHub's Markdown: the verdict and the summary, and everything else to be unfolded.
#[derive(Debug)]
pub struct Markdown;

impl Format for Markdown {
    fn file_name(&self) -> Option<&'static str> {
        Some("report.md")
    }

    fn render(&self, report: &Report) -> String {
        let (status, verdict) = tables::verdict_of_all(report);
        let mark = if status == Status::Good { "✅" } else { "❌" };
        let mut text = format!("## {mark} {verdict}\n{}", bad_runs(report));
        let mut summaries = tables::summaries(report).into_iter();
        let mut parts = Vec::new();
        if let Some(table) = summaries.next() {
            text.push_str(&format!("\n{}", drawn(&table)));
            parts.push(("What the figures are".to_owned(), lines(&table.notes)));
        }
        let highlights = tables::highlights(report).into_iter();
        let tables = highlights.chain(summaries).chain(tables::all(report));
        let setting = tables::setting(report).into_iter();
        let setting = setting.map(|(name, value)| format!("{name}: {value}")).collect();
        parts.push(("Where it ran".to_owned(), list(setting)));
        let remarks = tables::remarks(report);
        if !remarks.is_empty() {
            parts.push((format!("Problems and notes ({})", remarks.len()), list(remarks)));
        }
        parts.extend(tables.map(|table| {
            (table.name.to_owned(), format!("{}\n\n{}", lines(&table.notes), drawn(&table)))
        }));
        text.push_str(&folded(parts, CHARS_MAX.saturating_sub(text.chars().count())));
        text.push_str(&format!("\nstepmark report of {}\n", escape(&report.created_at)));
        text
    }
}

/// Why runs are not good: nobody should have to unfold that.
fn bad_runs(report: &Report) -> String {
    let mut problems = tables::problems(report);
    let all = problems.len();
    if all > PROBLEMS_SHOWN_MAX {
        problems.truncate(PROBLEMS_SHOWN_MAX);
        problems.push(format!("… {all} problems in all"));
    }
    if problems.is_empty() { String::new() } else { format!("\n{}", list(problems)) }
}

/// A line to unfold for each part, with a name and a body; those that are too long for a comment
/// are only named.
fn folded(parts: Vec<(String, String)>, chars_max: usize) -> String {
    let mut text = String::new();
    let mut left_out = Vec::new();
    for (name, body) in parts {
        // GitHub reads Markdown in it after an empty line.
        let part = format!(
            "\n<details>\n<summary>{name}</summary>\n\n{}\n\n</details>\n",
            body.trim_end()
        );
        if text.chars().count() + part.chars().count() > chars_max {
            left_out.push(name);
        } else {
            text.push_str(&part);
        }
    }
    if !left_out.is_empty() {
        let left_out = left_out.join(", ");
        text.push_str(&format!("\nToo long for a comment, see report.html: {left_out}\n"));
    }
    text
}

fn drawn(table: &tables::Table) -> String {
    let is_figure = |place: usize| table.rows.iter().all(|row| row[place].is_figure());
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let aligned = |place| if is_figure(place) { "--:" } else { "---" }.to_owned();
    let mut text = line(table.header.iter().map(|name| escape(name)).collect());
    text.push_str(&line((0..table.header.len()).map(aligned).collect()));
    text.extend(
        table
            .rows
            .iter()
            .map(|row| line(row.iter().map(|cell| escape(&cell.to_string())).collect())),
    );
    text
}

fn lines(notes: &[String]) -> String {
    notes.iter().map(|note| escape(note)).collect::<Vec<_>>().join("  \n")
}

fn list(items: Vec<String>) -> String {
    items.into_iter().map(|item| format!("- {}\n", escape(&item))).collect()
}

/// Keeps a value's own characters from being read as Markdown or HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push(' '),
            '|' | '_' | '*' | '`' | '[' | ']' | '\\' | '~' => escaped.extend(['\\', char]),
            _ => escaped.push(char),
        }
    }
    escaped
}
