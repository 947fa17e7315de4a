//! The work of a task, and the machine's floor.

use std::collections::BTreeSet;

use super::{Cell, Place, Table, which};
use crate::report::Report;
use crate::verdict::RunReport;
use crate::work::Spread;

pub(super) fn work(report: &Report) -> Table {
    let header = [
        "scenario",
        "broker",
        "cluster",
        "load",
        "step trans.",
        "task trans.",
        "messages",
        "dep. eval.",
        "SQL calls",
        "commits",
        "WAL flushes",
        "WAL KB",
        "CPU ms",
        "file reads",
        "read KB",
        "HTTP calls",
    ];
    let row = |(no, run): (usize, &RunReport)| {
        let work = &run.work;
        let published = run.reference.as_ref().and_then(|text| text.task_transitions);
        let at = Place::run(no).below("work");
        let kib = |name, value| Cell::from(at.figure_in(1_024.0, name, value, 1));
        let mut task_transitions = count(no, run, "task_transitions", work.task_transitions);
        if let Some(published) = published {
            task_transitions = task_transitions.beside(format!("published {published}"));
        }
        let figures = [
            count(no, run, "step_transitions", work.step_transitions),
            task_transitions,
            count(no, run, "messages", work.messages),
            count(no, run, "dependency_evaluations", work.dependency_evaluations),
            // The text counts what runs inside functions too, so its count is not set beside it.
            count(no, run, "sql_statements", work.sql_statements),
            at.cell("commits", work.commits, 1),
            at.cell("wal_flushes", work.wal_flushes, 1),
            kib("wal_bytes", work.wal_bytes),
            at.cell("cpu_ms", work.cpu_ms, 2),
            at.cell("file_reads", work.file_reads, 1),
            kib("file_read_bytes", work.file_read_bytes),
            at.cell("http_calls", work.http_calls, 1),
        ];
        which(no, run).into_iter().chain(figures).collect()
    };
    let note = "Work a task, counted from outside the engine: mean (lowest to highest), and the \
                count of the published text";
    let rows = report.runs.iter().enumerate().map(row);
    let mut table = Table::new("work", "Work a task", note, &header).rows(rows);
    let several = report.runs.iter().filter(|run| run.tasks_a_sample > 1);
    table.notes.extend(several.map(of_all).collect::<BTreeSet<_>>());
    table
}

fn of_all(run: &RunReport) -> String {
    format!("{}: of all {} tasks of a sample", run.scenario, run.tasks_a_sample)
}

/// A mean, and how far single tasks lie apart.
fn count(no: usize, run: &RunReport, name: &str, mean: Option<f64>) -> Cell {
    let cell = Place::run(no).below("work").cell(name, mean, 1);
    match run.work_each.get(name).filter(|spread| spread.min != spread.max) {
        None => cell,
        Some(Spread { min, max, .. }) => {
            let at = Place::run(no).below("work_each").below(name);
            cell.between(at.figure("min", Some(*min), 0), at.figure("max", Some(*max), 0))
        }
    }
}

pub(super) fn floors(report: &Report) -> Table {
    let header = [
        "scenario",
        "broker",
        "cluster",
        "load",
        "durable commit",
        "SQL round trip",
        "broker hop",
        "HTTP round trip",
        "drift",
        "own floor",
        "of commits",
        "hops",
        "SQL trips",
        "HTTP trips",
        "P50 × it",
        "P95 × it",
    ];
    let row = |(no, run): (usize, &RunReport)| {
        let (floor, own) = (&run.floor, run.own_floor);
        let at = Place::run(no);
        let (of_run, of_path) = (at.below("floor"), at.below("own_floor"));
        let mut drift = of_run.cell("drift_ratio", floor.drift_ratio, 2);
        if floor.drifted {
            drift = drift.beside("drifted");
        }
        let figures = [
            of_run.cell("commit_ms", floor.median.commit_ms, 3),
            of_run.cell("sql_round_trip_ms", floor.median.sql_round_trip_ms, 3),
            of_run.cell("broker_hop_ms", floor.median.broker_hop_ms, 3),
            of_run.cell("http_ms", floor.median.http_ms, 3),
            drift,
            of_path.cell("ms", own.map(|own| own.ms), 2),
            of_path.cell("commits", own.map(|own| own.commits.into()), 0),
            of_path.cell("hops", own.map(|own| own.hops.into()), 0),
            of_path.cell("sql_round_trips", own.map(|own| own.sql_round_trips.into()), 0),
            of_path.cell("http_round_trips", own.map(|own| own.http_round_trips.into()), 0),
            of_path.cell("p50_ratio", own.and_then(|own| own.p50_ratio), 2),
            of_path.cell("p95_ratio", own.and_then(|own| own.p95_ratio), 2),
        ];
        which(no, run).into_iter().chain(figures).collect()
    };
    let note = "The machine's floor in the same runs, in ms (median of three rounds)";
    let own = "own floor: what the commits, hops and round trips on the critical path take at that";
    let rows = report.runs.iter().enumerate().map(row);
    let table = Table::new("floors", "The machine's floor", note, &header).rows(rows);
    let mut table = table.without_empty(&header[9..]);
    if table.header.len() > 9 {
        table.notes.push(own.to_owned());
    }
    table
}
