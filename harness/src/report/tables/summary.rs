//! The summary: each scenario beside the figures that were published for it.

use super::{Cell, NONE, Place, Table, in_own_floors, verdict_cell, which};
use crate::floor::DRIFT_RATIO_MAX;
use crate::report::Report;
use crate::statistics::Ends;
use crate::verdict::{Reference, RunReport};

const NOTE: &str = "One task at a time (closed loop): latency in ms from before the request is \
                    sent until the caller knows of Complete; in brackets the interval of 95 %";
const FLOOR: &str = "× own floor: the latency as a multiple of what the machine itself needs for \
                     the commits, hops and round trips on the scenario's critical path";

/// The summary on the scenarios' own clusters and on the ten instances, and the latency of a
/// stage; those that have rows.
pub(in crate::report) fn summaries(report: &Report) -> Vec<Table> {
    let own = runs(report, RunReport::is_plain);
    let ten = runs(report, |run| run.is_alone() && run.on == "ten");
    let mut tables = vec![
        summary("summary", "Summary", NOTE, &own),
        summary("summary-ten", "Summary on the ten instances", TEN, &ten),
        stages(&own),
    ];
    tables.retain(|table| !table.rows.is_empty());
    tables
}

const TEN: &str = "The same on two orchestrators, and two workers in each language";

/// Scenario by scenario, and of each the brokers.
fn runs(report: &Report, wanted: fn(&RunReport) -> bool) -> Vec<(usize, &RunReport)> {
    let scenarios = report.scenarios();
    let place = |run: &RunReport| scenarios.iter().position(|name| *name == run.scenario);
    let runs = report.runs.iter().enumerate();
    let mut runs: Vec<(usize, &RunReport)> = runs.filter(|(_, run)| wanted(run)).collect();
    runs.sort_by_key(|(_, run)| place(run)); // stable
    runs
}

fn summary(
    id: &'static str,
    name: &'static str,
    note: &str,
    runs: &[(usize, &RunReport)],
) -> Table {
    let published_p50 = published_header(runs);
    let header = [
        "scenario",
        "tier",
        "broker",
        "P50",
        "P95",
        &published_p50,
        "of it",
        "× own floor",
        "verdict",
    ];
    let row = |&(no, run): &(usize, &RunReport)| {
        let at = Place::run(no);
        let [scenario, broker, _, _] = which(no, run);
        let interval = run.distribution.as_ref().map(|it| it.interval_ms).unwrap_or_default();
        vec![
            scenario,
            at.count("tier", run.tier.into()),
            broker,
            with_interval(&at, "p50", run.latency_ms.p50, interval.p50),
            with_interval(&at, "p95", run.latency_ms.p95, interval.p95),
            published(&at, run),
            of_published(run),
            in_own_floors(&at, run),
            verdict_cell(run),
        ]
    };
    let table = Table::new(id, name, note, &header).rows(runs.iter().map(row));
    let mut table = table.without_empty(&[&published_p50, "of it", "× own floor"]);
    if table.header.iter().any(|name| name == "× own floor") {
        table.notes.push(FLOOR.to_owned());
        if runs.iter().any(|(_, run)| run.floor.drifted) {
            table.notes.push(format!(
                "drifted: the commits of one round of the floor took more than \
                 {DRIFT_RATIO_MAX} × those of another, so that the multiple says less"
            ));
        }
    }
    table
}

fn stages(runs: &[(usize, &RunReport)]) -> Table {
    let published_p50 = published_header(runs);
    let header =
        ["scenario", "broker", "stages", "P50", "a stage", &published_p50, "of it a stage"];
    let row = |&(no, run): &(usize, &RunReport)| {
        let at = Place::run(no);
        let [scenario, broker, _, _] = which(no, run);
        let stages = run.stages()?;
        Some(vec![
            scenario,
            broker,
            format!("{stages:.0}").into(),
            at.cell("latency_ms/p50", run.latency_ms.p50, 2),
            at.cell("stage_ms", run.stage_ms, 2),
            published(&at, run),
            published_stage(run.reference.as_ref(), stages),
        ])
    };
    let note = "Latency in ms over the stages of a scenario that follow each other";
    let table = Table::new("stages", "A sequential stage", note, &header);
    let table = table.rows(runs.iter().filter_map(row));
    table.without_empty(&[&published_p50, "of it a stage"])
}

/// `P50 published, other hardware`: with the label of the runs' references.
fn published_header(runs: &[(usize, &RunReport)]) -> String {
    let mut references = runs.iter().filter_map(|(_, run)| run.reference.as_ref());
    let label = references.next().map(|reference| reference.label.as_str());
    match label {
        Some(label) if references.all(|other| other.label == label) => format!("P50 {label}"),
        _ => "P50 elsewhere".to_owned(),
    }
}

/// A percentile and its interval.
pub(in crate::report) fn with_interval(
    at: &Place,
    name: &str,
    value: Option<f64>,
    interval: Option<Ends>,
) -> Cell {
    let cell = at.cell(&format!("latency_ms/{name}"), value, 2);
    match interval.filter(|_| value.is_some()) {
        None => cell,
        Some(Ends { low, high }) => {
            let at = at.below(format!("distribution/interval_ms/{name}"));
            cell.between(at.figure("low", Some(low), 2), at.figure("high", Some(high), 2))
        }
    }
}

/// The published P50, or its lowest and highest.
pub(in crate::report) fn published(at: &Place, run: &RunReport) -> Cell {
    let Some(Reference { p50_ms_min, p50_ms_max, .. }) = run.reference else {
        return NONE.into();
    };
    let low = at.cell("reference/p50_ms_min", Some(p50_ms_min), 0);
    if p50_ms_min == p50_ms_max {
        return low;
    }
    low.with(" to ").with(at.figure("reference/p50_ms_max", Some(p50_ms_max), 0))
}

/// Our P50 in percent of the published one.
fn of_published(run: &RunReport) -> Cell {
    let Some((p50, reference)) = run.latency_ms.p50.zip(run.reference.as_ref()) else {
        return NONE.into();
    };
    let of = |published: f64| format!("{:.1}", 100.0 * p50 / published);
    let (low, high) = (of(reference.p50_ms_max), of(reference.p50_ms_min));
    if low == high { format!("{low} %").into() } else { format!("{low} to {high} %").into() }
}

fn published_stage(reference: Option<&Reference>, stages: f64) -> Cell {
    let Some(reference) = reference else { return NONE.into() };
    let of = |published: f64| format!("{:.0}", published / stages);
    let (low, high) = (of(reference.p50_ms_min), of(reference.p50_ms_max));
    if low == high { low.into() } else { format!("{low} to {high}").into() }
}

/// The segment that takes most of the time.
pub(super) fn slowest(at: &Place, run: &RunReport) -> Cell {
    let slowest = run.breakdown.as_ref().and_then(|breakdown| breakdown.slowest());
    let Some((no, segment)) = slowest else { return NONE.into() };
    let at = at.below(format!("breakdown/segments/{no}"));
    let share = at.figure_in(0.01, "share", Some(segment.share), 0);
    Cell::from(segment.segment.name()).beside(share).and_aside(" %")
}
