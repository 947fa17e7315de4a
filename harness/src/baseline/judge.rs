//! A report held against a baseline. Pure.

use super::text::told;
use super::{Count, Entry};
use crate::baseline::Baseline;
use crate::fingerprint::Fingerprint;
use crate::floor::{DRIFT_RATIO_MAX, FloorSummary};
use crate::report::Report;
use crate::verdict::{RunReport, Status};

/// Runs with more than one task at once or on larger clusters wait for cores, which are not in the
/// floor: their latencies may differ by so much more.
const CROWDED_FACTOR: f64 = 1.3;
/// A count that differs from task to task may have so much more of a mean.
const VARYING_COUNT_RATIO_MAX: f64 = 1.1;

/// What latencies that are judged are multiples of.
const OWN_FLOOR: &str = "× own floor";

const NOT_MEASURED: &str = "not measured, or of too few samples";

/// By how much latencies may be above the baseline, as multiples of the floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// P50: the ratio that is still allowed.
    pub p50_ratio_max: f64,
    /// P95: the same.
    pub p95_ratio_max: f64,
}

impl Default for Tolerance {
    /// 1.25 × for P50, 1.5 × for P95. A floor that drifts by 1.25 × within a run is not even
    /// marked ([`DRIFT_RATIO_MAX`](crate::floor::DRIFT_RATIO_MAX)), so a multiple of it is no surer
    /// than that from day to day; a tail of 5 % has less than a tenth of the samples behind it.
    fn default() -> Tolerance {
        Tolerance { p50_ratio_max: 1.25, p95_ratio_max: 1.5 }
    }
}

/// What is said about a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As the baseline allows it.
    Kept,
    /// Lower than what the baseline calls for, which is allowed: it could be updated.
    Lower,
    /// Shown, and nothing follows from it.
    Told,
    /// The baseline doesn't have it.
    New,
    /// Above what the baseline allows, or another count than it has.
    Broken,
    /// The baseline has it, and the report doesn't.
    Missing,
}

/// One figure of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The run's name.
    pub run: String,
    /// The figure, with its unit.
    pub figure: String,
    /// The baseline's.
    pub baseline: Option<f64>,
    /// The report's.
    pub measured: Option<f64>,
    /// The most that is allowed; nothing where none is called for.
    pub allowed: Option<f64>,
    /// What is said about it.
    pub verdict: Verdict,
    /// What a reader has to know besides.
    pub remark: Option<String>,
}

impl Line {
    /// Whether it is a latency that is judged.
    fn is_latency(&self) -> bool {
        self.figure.ends_with(OWN_FLOOR)
    }
}

/// The exit code that the lines call for: 0 good, 1 broken, 2 something is missing.
pub fn exit_code(lines: &[Line]) -> u8 {
    let code = |line: &Line| match line.verdict {
        Verdict::Kept | Verdict::Lower | Verdict::Told | Verdict::New => 0,
        Verdict::Broken => 1,
        Verdict::Missing => 2,
    };
    lines.iter().map(code).max().unwrap_or(0)
}

/// Holds each figure of a report against the baseline: its runs in order, then the new ones.
///
/// A run that the report has several times was measured again. A latency is broken only if it is in
/// each of them, which a bad phase of the machine seldom lasts for; a count, if it is in any.
pub fn judge(baseline: &Baseline, report: &Report, tolerance: Tolerance) -> Vec<Line> {
    let place = Fingerprint::of(report);
    let runs: Vec<(String, &RunReport)> = report.named_runs().collect();
    let mut lines = Vec::new();
    for (its_place, entry) in baseline.runs() {
        let differs = place.on(entry.broker).deviations(&its_place.on(entry.broker));
        let held = |(name, run): &(String, &RunReport)| {
            if matches!(run.status, Status::Invalid | Status::Incomplete) {
                return vec![whole(name, Verdict::Missing, &run.problems.join("; "))];
            }
            let now = Entry::of(name.clone(), run);
            let mut lines = latencies(entry, &now, tolerance, &run.floor);
            if differs.is_empty() {
                lines.extend(milliseconds(entry, &now));
            }
            lines.extend(counts(entry, &now));
            lines
        };
        let measured = runs.iter().filter(|(name, _)| entry.is_of(name));
        let found = measured.map(held).reduce(both);
        lines.extend(found.unwrap_or_else(|| {
            vec![whole(&entry.run, Verdict::Missing, "the report doesn't have this run")]
        }));
    }
    for (name, run) in &runs {
        if baseline.runs().all(|(_, entry)| !entry.is_of(name)) {
            let now = Entry::of(name.clone(), run);
            let mut line = whole(name, Verdict::New, "the baseline doesn't have this run");
            ("P50 × own floor").clone_into(&mut line.figure);
            line.measured = now.p50_own_floor;
            lines.push(line);
        }
    }
    lines
}

/// What two measurements of a run say together; where one has no figures, that is said alone.
fn both(first: Vec<Line>, second: Vec<Line>) -> Vec<Line> {
    let is_missing =
        |lines: &Vec<Line>| matches!(lines.as_slice(), [line] if line.verdict == Verdict::Missing);
    if is_missing(&first) || is_missing(&second) {
        return if is_missing(&first) { first } else { second };
    }
    let one = |first: Line| {
        let Some(second) = second.iter().find(|other| other.figure == first.figure).cloned() else {
            return first;
        };
        let (decides, other) = match (first.is_latency(), first.verdict, second.verdict) {
            (true, Verdict::Broken, Verdict::Kept | Verdict::Lower) => (second, first),
            (false, _, Verdict::Broken) => (second, first),
            _ => (first, second),
        };
        let again = format!("measured again: {}", told(other.measured));
        let remark = decides.remark.map_or(again.clone(), |remark| format!("{remark}; {again}"));
        Line { remark: Some(remark), ..decides }
    };
    first.into_iter().map(one).collect()
}

/// A line about a run as a whole.
fn whole(run: &str, verdict: Verdict, remark: &str) -> Line {
    Line {
        run: run.to_owned(),
        figure: "run".to_owned(),
        baseline: None,
        measured: None,
        allowed: None,
        verdict,
        remark: Some(remark.to_owned()),
    }
}

fn latencies(entry: &Entry, now: &Entry, tolerance: Tolerance, floor: &FloorSummary) -> Vec<Line> {
    let crowded = if entry.is_plain() { 1.0 } else { CROWDED_FACTOR };
    // Between the rounds of a floor that drifted, the multiple could as well be another one.
    let drift = floor.drift_ratio.filter(|_| floor.drifted).unwrap_or(1.0);
    let factor = crowded * (drift / DRIFT_RATIO_MAX).max(1.0);
    let line = |figure: &str, baseline: Option<f64>, measured: Option<f64>, ratio_max: f64| {
        let baseline = baseline?;
        let allowed = baseline * ratio_max * factor;
        let verdict = match measured {
            None => Verdict::Missing,
            Some(measured) if measured > allowed => Verdict::Broken,
            Some(measured) if measured * ratio_max * factor < baseline => Verdict::Lower,
            Some(_) => Verdict::Kept,
        };
        let remark = match (verdict, floor.drifted) {
            (Verdict::Missing, _) => Some(NOT_MEASURED),
            (_, true) => Some("the floor drifted during the run"),
            (_, false) => None,
        };
        let remark = remark.map(ToOwned::to_owned);
        let (run, figure) = (entry.run.clone(), figure.to_owned());
        let (baseline, allowed) = (Some(baseline), Some(allowed));
        Some(Line { run, figure, baseline, measured, allowed, verdict, remark })
    };
    let Tolerance { p50_ratio_max, p95_ratio_max } = tolerance;
    let lines = [
        line("P50 × own floor", entry.p50_own_floor, now.p50_own_floor, p50_ratio_max),
        line("P95 × own floor", entry.p95_own_floor, now.p95_own_floor, p95_ratio_max),
    ];
    lines.into_iter().flatten().collect()
}

/// Milliseconds of the same place. The multiples judge, which the machine's phases bear on less.
fn milliseconds(entry: &Entry, now: &Entry) -> Vec<Line> {
    let line = |(figure, baseline, measured): (&str, Option<f64>, Option<f64>)| {
        baseline.zip(measured)?;
        let (run, figure) = (entry.run.clone(), figure.to_owned());
        let (allowed, verdict, remark) = (None, Verdict::Told, None);
        Some(Line { run, figure, baseline, measured, allowed, verdict, remark })
    };
    let lines = [("P50 ms", entry.p50_ms, now.p50_ms), ("P95 ms", entry.p95_ms, now.p95_ms)];
    lines.into_iter().filter_map(line).collect()
}

fn counts(entry: &Entry, now: &Entry) -> Vec<Line> {
    let line = |(name, of): (&String, &Count)| {
        let measured = now.counts.get(name).map(|count| count.a_task);
        let allowed = if of.is_exact { of.a_task } else { of.a_task * VARYING_COUNT_RATIO_MAX };
        // Fewer statements for the same work are what everybody wants.
        let may_be_lower = !of.is_exact || name == "sql_statements";
        let verdict = match measured {
            None => Verdict::Missing,
            Some(measured) if measured == of.a_task => Verdict::Kept,
            Some(measured) if measured < of.a_task && may_be_lower => Verdict::Lower,
            Some(measured) if measured <= allowed && !of.is_exact => Verdict::Kept,
            Some(_) => Verdict::Broken,
        };
        Line {
            run: entry.run.clone(),
            figure: name.clone(),
            baseline: Some(of.a_task),
            measured,
            allowed: Some(allowed),
            verdict,
            remark: (verdict == Verdict::Missing).then(|| NOT_MEASURED.to_owned()),
        }
    };
    entry.counts.iter().map(line).collect()
}
