//! What people read of a gate: on the terminal, and in a pull request.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{AGREE, EFFECT, ERROR_RATE, Gate, Row, TOLERATED};
use crate::grid::{Look, NONE, grid};

const HEADER: [&str; 7] = [
    "scenario",
    "base P50",
    "head P50",
    "head/base",
    "p",
    "segment that has grown most",
    "verdict",
];

impl Gate {
    /// Writes `gate.json` and `gate.md` into a report's folder.
    ///
    /// # Errors
    /// A file cannot be written; the error names it.
    pub fn write(&self, folder: &Path) -> Result<(), (PathBuf, io::Error)> {
        let json = serde_json::to_string(self).map_err(io::Error::from);
        for (name, text) in [("gate.json", json), ("gate.md", Ok(markdown(self)))] {
            let path = folder.join(name);
            let written = text.and_then(|text| fs::write(&path, text + "\n"));
            written.map_err(|error| (path, error))?;
        }
        Ok(())
    }

    /// What has come of it, in a sentence.
    pub fn verdict(&self) -> String {
        let problems = self.problems();
        if !problems.is_empty() {
            return format!("not decided: {}", problems.join("; "));
        }
        let regressions: Vec<String> = self.regressions().into_iter().map(told).collect();
        match (regressions.is_empty(), self.first.iter().filter(|row| row.is_suspect()).count()) {
            (true, 0) => "no slower than the base".to_owned(),
            (true, 1) => "no slower than the base; one suspicion was not confirmed".to_owned(),
            (true, many) => {
                format!("no slower than the base; {many} suspicions were not confirmed")
            }
            (false, _) => format!("slower than the base: {}", regressions.join("; ")),
        }
    }
}

/// The gate for a terminal.
pub fn terminal(gate: &Gate) -> String {
    let mut text = format!("{}\n", title(gate));
    for (name, rows) in runs(gate) {
        text += &format!("{name}\n{}\n", grid(Look::Terminal, HEADER, rows.iter().map(cells)));
    }
    text + &format!("{}\n{}", rule(), gate.verdict())
}

/// The gate for a pull request.
pub fn markdown(gate: &Gate) -> String {
    let good = gate.problems().is_empty() && gate.regressions().is_empty();
    let mark = if good { "✅" } else { "❌" };
    let mut text = format!("## {mark} {}\n\n{}\n", gate.verdict(), title(gate));
    for (name, rows) in runs(gate) {
        let table = grid(Look::Markdown, HEADER, rows.iter().map(cells));
        text += &format!("\n<details>\n<summary>{name}</summary>\n\n{table}\n</details>\n");
    }
    text + &format!("\n{}\n", rule())
}

fn title(gate: &Gate) -> String {
    format!("{} held against {}, task by task in turns", gate.head, gate.base)
}

fn runs(gate: &Gate) -> impl Iterator<Item = (&'static str, &[Row])> {
    let runs = [("All rows", &gate.first[..]), ("Suspected, once more", &gate.second[..])];
    runs.into_iter().filter(|(_, rows)| !rows.is_empty())
}

fn rule() -> String {
    format!(
        "A row fails that is at least {:.0} % slower, slower than {:.1} % for sure (error rate \
         {:.0} % for all rows of a run together) and on {:.0} % of its pairs of clusters, in two \
         runs.",
        100.0 * EFFECT,
        100.0 * TOLERATED,
        100.0 * ERROR_RATE,
        100.0 * AGREE
    )
}

fn cells(row: &Row) -> [String; 7] {
    let [base, head] = row.p50_ms.map(|ms| format!("{ms:.2} ms"));
    let (ratio, p) = match row.shift {
        None => (NONE.to_owned(), NONE.to_owned()),
        Some(shift) if shift.p < 1e-4 => (format!("{:.3}", shift.ratio), "< 0.0001".to_owned()),
        Some(shift) => (format!("{:.3}", shift.ratio), format!("{:.4}", shift.p)),
    };
    let verdict = match (row.problems.is_empty(), row.shift.map(|shift| shift.is_suspect)) {
        (false, _) => "INVALID",
        (true, None) => "not decided",
        (true, Some(true)) => "slower",
        (true, Some(false)) => "not shown to be slower",
    };
    [row.name.clone(), base, head, ratio, p, grown(row), verdict.to_owned()]
}

fn grown(row: &Row) -> String {
    row.grown().map_or_else(
        || "none".to_owned(),
        |grown| format!("{} {:+.3} ms", grown.segment, grown.more_ms()),
    )
}

/// A row that fails, with the segment that has grown most.
fn told(row: &Row) -> String {
    let ratio = row.shift.map_or(1.0, |shift| shift.ratio);
    format!("{} takes {:.2} × as long (most: {})", row.name, ratio, grown(row))
}
