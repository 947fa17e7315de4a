//! Each figure of each run over the reports, and its changes. Pure.

use std::collections::BTreeMap;

use super::{Point, Record};
use crate::statistics::{RUNS_MIN, Step, steps};

/// The smallest change of a latency that is told: below it machines differ from day to day.
const LATENCY_CHANGE_MIN: f64 = 0.1;
/// The same of a count: any change is one, and this only keeps rounding out.
const COUNT_CHANGE_MIN: f64 = 0.001;

/// What a series is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// P50 over the own floor.
    P50OwnFloor,
    /// P95 over the own floor.
    P95OwnFloor,
    /// SQL statements of the typical task.
    SqlStatements,
    /// P50 in milliseconds, in one environment.
    P50Ms,
    /// P95 in milliseconds, in one environment.
    P95Ms,
}

impl Figure {
    const ALL: [Figure; 5] = [
        Figure::P50OwnFloor,
        Figure::P95OwnFloor,
        Figure::SqlStatements,
        Figure::P50Ms,
        Figure::P95Ms,
    ];

    /// Its name, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Figure::P50OwnFloor => "P50 × own floor",
            Figure::P95OwnFloor => "P95 × own floor",
            Figure::SqlStatements => "SQL calls",
            Figure::P50Ms => "P50 ms",
            Figure::P95Ms => "P95 ms",
        }
    }

    /// Whether it is of one machine alone. Such a change may be the machine's, so that nothing
    /// follows from it.
    pub fn is_local(self) -> bool {
        matches!(self, Figure::P50Ms | Figure::P95Ms)
    }

    fn of(self, point: &Point) -> Option<f64> {
        match self {
            Figure::P50OwnFloor => point.p50_own_floor,
            Figure::P95OwnFloor => point.p95_own_floor,
            Figure::SqlStatements => point.sql_statements,
            Figure::P50Ms => point.p50_ms,
            Figure::P95Ms => point.p95_ms,
        }
    }

    fn change_min(self) -> f64 {
        if self == Figure::SqlStatements { COUNT_CHANGE_MIN } else { LATENCY_CHANGE_MIN }
    }
}

/// A figure of a run over the reports that have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The run's name.
    pub run: String,
    /// What it is of.
    pub figure: Figure,
    /// The environment's hash, where the figure is of one machine alone.
    pub fingerprint: Option<String>,
    /// How many reports have it.
    pub reports: usize,
    /// The last value.
    pub last: f64,
    /// The changes of its level, in order.
    pub changes: Vec<Change>,
}

/// A change of a level.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The level before.
    pub before: f64,
    /// The level from there on.
    pub after: f64,
    /// The first report at the new level: when it was begun.
    pub created_at: String,
    /// Its revision.
    pub revision: Option<String>,
    /// How many reports are in since then, that one too.
    pub reports_since: usize,
}

impl Change {
    /// The new level over the old one; all figures are the better the lower they are.
    pub fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

impl Series {
    /// Whether there are enough reports to find a change in.
    pub fn is_long_enough(&self) -> bool {
        self.reports >= RUNS_MIN
    }

    /// Whether its latest change is for the worse, lies within the last `recent` reports, and is
    /// not the machine's.
    pub fn has_worsened(&self, recent: usize) -> bool {
        let latest = self.changes.last().filter(|_| !self.figure.is_local());
        latest.is_some_and(|change| change.ratio() > 1.0 && change.reports_since <= recent)
    }
}

/// Whether any of the series has got worse within the last `recent` reports.
pub fn has_worsened(series: &[Series], recent: usize) -> bool {
    series.iter().any(|series| series.has_worsened(recent))
}

/// Every series of the records, by run and figure.
pub fn series(records: &[Record]) -> Vec<Series> {
    let mut found: BTreeMap<Key<'_>, Vec<(&Record, f64)>> = BTreeMap::new();
    for record in records {
        for (run, point) in &record.runs {
            for figure in Figure::ALL {
                let fingerprint = figure.is_local().then_some(point.fingerprint.as_str());
                if let Some(value) = figure.of(point) {
                    let key = Key { run, figure, fingerprint };
                    found.entry(key).or_default().push((record, value));
                }
            }
        }
    }
    found.into_iter().map(|(key, points)| key.series(&points)).collect()
}

/// What values of one series have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'r> {
    run: &'r str,
    figure: Figure,
    fingerprint: Option<&'r str>,
}

impl Key<'_> {
    fn series(&self, points: &[(&Record, f64)]) -> Series {
        let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
        let change = |step: Step| {
            let (record, _) = points[step.at];
            Change {
                before: step.before,
                after: step.after,
                created_at: record.created_at.clone(),
                revision: record.revision.clone(),
                reports_since: points.len() - step.at,
            }
        };
        Series {
            run: self.run.to_owned(),
            figure: self.figure,
            fingerprint: self.fingerprint.map(ToOwned::to_owned),
            reports: points.len(),
            last: values.last().copied().unwrap_or_default(),
            changes: steps(&values, self.figure.change_min()).into_iter().map(change).collect(),
        }
    }
}
