//! Latency and throughput of every run.

use super::summary::{published, with_interval};
use super::{Cell, NONE, Place, Table, in_own_floors, verdict_cell, which};
use crate::verdict::{RateReport, RunReport};

const LATENCY: &str = "Latency in ms, from before the request is sent until the caller knows of \
                       Complete; in brackets the interval of 95 %";
const LOAD: &str = "load: a closed loop with so many tasks at once, or an open loop with so many \
                    arrivals a second, at a fixed rate or as Poisson has them, where latency runs \
                    from the intended start";
const TEN: &str = "The same on the ten instances: 2 orchestrators, and 2 workers in each language";

pub(super) fn own(runs: &[(usize, &RunReport)]) -> Table {
    latencies("latency", "Latency", LATENCY, runs)
}

pub(super) fn ten(runs: &[(usize, &RunReport)]) -> Table {
    latencies("latency-ten", "Latency on the ten instances", TEN, runs)
}

fn latencies(
    id: &'static str,
    name: &'static str,
    note: &str,
    runs: &[(usize, &RunReport)],
) -> Table {
    let header = [
        "scenario",
        "broker",
        "load",
        "n",
        "P50",
        "P95",
        "P99",
        "max",
        "tasks/s",
        "offered/s",
        "achieved/s",
        "items/s",
        "× commit",
        "× own floor",
        "a stage",
        "P50 elsewhere",
        "verdict",
    ];
    let row = |&(no, run): &(usize, &RunReport)| {
        let at = Place::run(no);
        let [scenario, broker, _, load] = which(no, run);
        let interval = run.distribution.as_ref().map(|it| it.interval_ms).unwrap_or_default();
        vec![
            scenario,
            broker,
            load,
            at.count("samples", run.samples),
            with_interval(&at, "p50", run.latency_ms.p50, interval.p50),
            with_interval(&at, "p95", run.latency_ms.p95, interval.p95),
            with_interval(&at, "p99", run.latency_ms.p99, interval.p99),
            at.cell("latency_ms/max", run.latency_ms.max, 2),
            at.cell("throughput_per_s", run.throughput_per_s, 0),
            offered(&at, run),
            at.cell("rate/achieved_per_s", run.rate.map(|rate| rate.achieved_per_s), 1),
            items(&at, run),
            at.cell("latency_commits/p50", run.latency_commits.p50, 1),
            in_own_floors(&at, run),
            at.cell("stage_ms", run.stage_ms, 2),
            published(&at, run),
            verdict_cell(run),
        ]
    };
    let table = Table::new(id, name, note, &header).rows(runs.iter().map(row));
    let mut table = table.without_empty(&[
        "offered/s",
        "achieved/s",
        "items/s",
        "× own floor",
        "P50 elsewhere",
    ]);
    table.notes.push(LOAD.to_owned());
    if runs.iter().any(|(_, run)| run.tasks_a_sample > 1) {
        let together = "of tasks that are started together: until the last of them is Complete";
        table.notes.push(together.to_owned());
    }
    let reference = runs.iter().find_map(|(_, run)| run.reference.as_ref());
    table.notes.extend(reference.map(|it| format!("P50 beside it: {}", it.label)));
    table
}

/// The rate that was offered; marked where it fell short of what was asked for.
fn offered(at: &Place, run: &RunReport) -> Cell {
    let Some(RateReport { asked_per_s, offered_per_s, is_short, .. }) = run.rate else {
        return NONE.into();
    };
    let cell = at.cell("rate/offered_per_s", Some(offered_per_s), 1);
    match is_short {
        false => cell,
        true => cell.beside(format!("SHORT of {asked_per_s}")),
    }
}

fn items(at: &Place, run: &RunReport) -> Cell {
    match &run.items {
        None => NONE.into(),
        Some(items) => {
            at.cell("items/per_s", Some(items.per_s), 0).with(format!(" {}", items.unit))
        }
    }
}

pub(super) fn throughputs(runs: &[(usize, &RunReport)]) -> Table {
    let header = [
        "scenario",
        "broker",
        "orchestrators x workers",
        "load",
        "n",
        "tasks/s",
        "P50",
        "P95",
        "verdict",
    ];
    let row = |&(no, run): &(usize, &RunReport)| {
        let at = Place::run(no);
        let [scenario, broker, on, load] = which(no, run);
        vec![
            scenario,
            broker,
            on,
            load,
            at.count("samples", run.samples),
            at.cell("throughput_per_s", run.throughput_per_s, 0),
            at.cell("latency_ms/p50", run.latency_ms.p50, 2),
            at.cell("latency_ms/p95", run.latency_ms.p95, 2),
            verdict_cell(run),
        ]
    };
    let note = "Throughput by the size of the cluster; latencies in ms";
    let name = "Throughput by the size of the cluster";
    Table::new("throughput", name, note, &header).rows(runs.iter().map(row))
}
