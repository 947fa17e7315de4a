//! What a baseline says of a report, as people read it.

use super::{Line, Verdict};
use crate::grid::{Look, NONE, figure, grid, plain};

impl Verdict {
    /// In a word or two.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Kept => "kept",
            Verdict::Lower => "lower",
            Verdict::Told => "",
            Verdict::New => "new",
            Verdict::Broken => "BROKEN",
            Verdict::Missing => "MISSING",
        }
    }
}

impl Line {
    /// Whether the figure is another one than the baseline's.
    pub fn has_moved(&self) -> bool {
        let is_whole = matches!(self.verdict, Verdict::Missing | Verdict::New);
        is_whole || self.baseline != self.measured
    }
}

/// The lines as a table. Those that are kept, and milliseconds that only stand beside them, are
/// left out unless `all` is asked for.
pub fn render(look: Look, lines: &[Line], all: bool) -> String {
    let bears = |line: &&Line| all || !matches!(line.verdict, Verdict::Kept | Verdict::Told);
    let header = ["run", "figure", "baseline", "measured", "×", "allowed", "verdict", "remark"];
    let rows = lines.iter().filter(bears).map(|line| {
        let [run, figure, baseline, measured, ratio] = cells(line);
        let allowed = told(line.allowed);
        let verdict = line.verdict.words().to_owned();
        [run, figure, baseline, measured, ratio, allowed, verdict, remark(line)]
    });
    let kept = lines.iter().filter(|line| line.verdict == Verdict::Kept).count();
    format!("{}{kept} figures are as the baseline has them\n", grid(look, header, rows))
}

/// What moved from the baseline to the report, row by row.
pub fn moves(look: Look, lines: &[Line]) -> String {
    let header = ["run", "figure", "was", "is", "×", "remark"];
    let rows = lines.iter().filter(|line| line.has_moved()).map(|line| {
        let [run, figure, was, is, ratio] = cells(line);
        [run, figure, was, is, ratio, remark(line)]
    });
    match grid(look, header, rows) {
        nothing if nothing.is_empty() => "nothing has moved\n".to_owned(),
        table => table,
    }
}

fn cells(line: &Line) -> [String; 5] {
    let ratio = line.baseline.filter(|was| *was > 0.0).zip(line.measured);
    let ratio = figure(ratio.map(|(was, is)| is / was), 2);
    [line.run.clone(), line.figure.clone(), told(line.baseline), told(line.measured), ratio]
}

/// A figure as it stands in a table.
pub(super) fn told(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), plain)
}

fn remark(line: &Line) -> String {
    line.remark.clone().unwrap_or_default()
}
