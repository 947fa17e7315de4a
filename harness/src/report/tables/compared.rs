//! What runs cost more than others, and a step's time in its worker.

use super::{Cell, Place, Table, which};
use crate::report::Report;
use crate::statistics::Interval;
use crate::verdict::RunReport;

pub(super) fn differences(report: &Report) -> Table {
    let header = [
        "scenario",
        "broker",
        "load",
        "what",
        "against",
        "pairs",
        "P50",
        "other P50",
        "difference (95 %)",
        "in % (95 %)",
        "a stage",
    ];
    let row = |(no, run): (usize, &RunReport)| {
        let difference = run.difference.as_ref()?;
        let at = Place::run(no).below("difference");
        let [scenario, broker, _, load] = which(no, run);
        Some(vec![
            scenario,
            broker,
            load,
            difference.called.clone().into(),
            format!("{}, {} cluster", difference.with, difference.on).into(),
            at.count("pairs", difference.pairs as u64),
            at.cell("own_p50_ms", Some(difference.own_p50_ms), 2),
            at.cell("other_p50_ms", Some(difference.other_p50_ms), 2),
            interval(&at.below("ms"), difference.ms, 3),
            interval(&at.below("percent"), difference.percent, 1),
            at.cell("ms_a_stage", Some(difference.ms_a_stage), 3),
        ])
    };
    let note = "Differences in ms, one task of each in turns: median of the pairs, with the \
                interval of 95 %";
    let rows = report.runs.iter().enumerate().filter_map(row);
    Table::new("differences", "Differences", note, &header).rows(rows)
}

/// A median with both ends of its interval.
pub(super) fn interval(at: &Place, interval: Interval, decimals: usize) -> Cell {
    let Interval { low, median, high } = interval;
    let figure = |name, value| at.figure(name, Some(value), decimals);
    Cell::from(figure("median", median)).between(figure("low", low), figure("high", high))
}

pub(super) fn step_times(report: &Report) -> Table {
    let header =
        ["scenario", "broker", "cluster", "load", "run", "handler", "JSON", "bridge", "completion"];
    let row = |(no, run): (usize, &RunReport)| {
        let time = run.step_time?;
        let at = Place::run(no).below("step_time");
        let figures = [
            at.cell("run_us", Some(time.run_us), 0),
            at.cell("handler_us", time.handler_us, 0),
            at.cell("serialisation_us", time.serialisation_us, 0),
            at.cell("bridge_us", time.bridge_us, 0),
            at.cell("completion_us", Some(time.completion_us), 0),
        ];
        Some(which(no, run).into_iter().chain(figures).collect())
    };
    let note = "A step in its worker, by the worker's own metrics: mean in µs. Run is handler, \
                JSON and bridge; completion is from the outcome until it is stored";
    let rows = report.runs.iter().enumerate().filter_map(row);
    Table::new("step-times", "A step in its worker", note, &header).rows(rows)
}
