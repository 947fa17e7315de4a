//! A history as people read it.

use super::{Change, Series};
use crate::grid::{Look, grid, plain};
use crate::statistics::RUNS_MIN;

/// A commit's hash is told by so many of its characters.
const REVISION_CHARS: usize = 10;

/// The changes of every series, and with `all` the series without one too.
pub fn render(look: Look, series: &[Series], all: bool) -> String {
    let header = ["run", "figure", "reports", "level", "×", "since", "begun", "reports since"];
    let rows = series.iter().flat_map(|series| {
        let steady = (series.changes.is_empty() && all).then(|| steady(series));
        series.changes.iter().map(|change| changed(series, change)).chain(steady)
    });
    let (changed, others): (Vec<&Series>, Vec<&Series>) =
        series.iter().partition(|series| !series.changes.is_empty());
    let short = others.iter().filter(|series| !series.is_long_enough()).count();
    format!(
        "{}{} of {} series changed their level; {short} have fewer than {RUNS_MIN} reports, in \
         which no change is looked for\n",
        grid(look, header, rows),
        changed.len(),
        series.len(),
    )
}

fn changed(series: &Series, change: &Change) -> [String; 8] {
    let revision = change.revision.as_deref().unwrap_or("no checkout");
    let (hash, changes) = revision.split_once(' ').unwrap_or((revision, ""));
    let hash: String = match change.revision {
        Some(_) => hash.chars().take(REVISION_CHARS).collect(),
        None => hash.to_owned(),
    };
    let [run, figure, reports] = which(series);
    [
        run,
        figure,
        reports,
        format!("{} → {}", plain(change.before), plain(change.after)),
        format!("{:.2}", change.ratio()),
        format!("{hash} {changes}").trim_end().to_owned(),
        change.created_at.clone(),
        change.reports_since.to_string(),
    ]
}

fn steady(series: &Series) -> [String; 8] {
    let [run, figure, reports] = which(series);
    let said = if series.is_long_enough() { "steady" } else { "too few reports" };
    let empty = String::new;
    let last = plain(series.last);
    [run, figure, reports, last, empty(), said.to_owned(), empty(), empty()]
}

fn which(series: &Series) -> [String; 3] {
    let place = series.fingerprint.as_ref().map(|hash| format!(" on {hash}")).unwrap_or_default();
    let figure = format!("{}{place}", series.figure.name());
    [series.run.clone(), figure, series.reports.to_string()]
}
