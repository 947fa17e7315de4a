//! `report.csv`: a row a run, for spreadsheets and notebooks.

use super::Format;
use crate::distribution::{Distribution, LatencyIntervals};
use crate::report::Report;
use crate::statistics::Ends;
use crate::verdict::{RunReport, Status};

/// CSV as RFC 4180 has it, with a header. What was not measured is empty; units are in the names.
#[derive(Debug)]
pub struct Csv;

impl Format for Csv {
    fn file_name(&self) -> Option<&'static str> {
        Some("report.csv")
    }

    fn render(&self, report: &Report) -> String {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        let invariant = "every row has as many fields as the header, and memory takes them all";
        writer.write_record(COLUMNS.iter().map(|(name, _)| *name)).expect(invariant);
        for run in &report.runs {
            let row = COLUMNS.iter().map(|(_, field)| field(run).unwrap_or_default());
            writer.write_record(row).expect(invariant);
        }
        let bytes = writer.into_inner().expect(invariant);
        String::from_utf8(bytes).expect("every field is UTF-8")
    }
}

type Field = fn(&RunReport) -> Option<String>;

#[rustfmt::skip] // a line a column
const COLUMNS: &[(&str, Field)] = &[
    ("scenario", |run| Some(run.scenario.clone())),
    ("tier", |run| text(run.tier)),
    ("broker", |run| text(run.broker)),
    ("cluster", |run| Some(run.on.clone())),
    ("mode", |run| Some(run.mode.clone())),
    ("concurrency", |run| text(run.concurrency)),
    ("asked_per_s", |run| text(run.rate?.asked_per_s)),
    ("offered_per_s", |run| text(run.rate?.offered_per_s)),
    ("achieved_per_s", |run| text(run.rate?.achieved_per_s)),
    ("late_ms_p99", |run| text(run.rate?.late_ms_p99)),
    ("is_short", |run| text(run.rate?.is_short)),
    ("tasks_a_sample", |run| text(run.tasks_a_sample)),
    ("samples", |run| text(run.samples)),
    ("warmup", |run| text(run.warmup)),
    ("status", |run| text(status(run.status))),
    ("correct", |run| text(run.correct)),
    ("p50_ms", |run| text(run.latency_ms.p50?)),
    ("p50_ms_low", |run| text(bounds(run, |it| it.p50)?.low)),
    ("p50_ms_high", |run| text(bounds(run, |it| it.p50)?.high)),
    ("p95_ms", |run| text(run.latency_ms.p95?)),
    ("p95_ms_low", |run| text(bounds(run, |it| it.p95)?.low)),
    ("p95_ms_high", |run| text(bounds(run, |it| it.p95)?.high)),
    ("p99_ms", |run| text(run.latency_ms.p99?)),
    ("p99_ms_low", |run| text(bounds(run, |it| it.p99)?.low)),
    ("p99_ms_high", |run| text(bounds(run, |it| it.p99)?.high)),
    ("max_ms", |run| text(run.latency_ms.max?)),
    ("p50_commits", |run| text(run.latency_commits.p50?)),
    ("p95_commits", |run| text(run.latency_commits.p95?)),
    ("own_floor_ms", |run| text(run.own_floor?.ms)),
    ("p50_own_floors", |run| text(run.own_floor?.p50_ratio?)),
    ("p95_own_floors", |run| text(run.own_floor?.p95_ratio?)),
    ("stage_ms", |run| text(run.stage_ms?)),
    ("throughput_per_s", |run| text(run.throughput_per_s?)),
    ("items_unit", |run| Some(run.items.as_ref()?.unit.clone())),
    ("items_per_s", |run| text(run.items.as_ref()?.per_s)),
    ("slowest_segment", |run| text(run.breakdown.as_ref()?.slowest()?.1.segment)),
    ("slowest_segment_p50_ms", |run| text(run.breakdown.as_ref()?.slowest()?.1.p50_ms)),
    ("slowest_segment_share", |run| text(run.breakdown.as_ref()?.slowest()?.1.share)),
    ("step_transitions", |run| text(run.work.step_transitions?)),
    ("task_transitions", |run| text(run.work.task_transitions?)),
    ("messages", |run| text(run.work.messages?)),
    ("dependency_evaluations", |run| text(run.work.dependency_evaluations?)),
    ("sql_statements", |run| text(run.work.sql_statements?)),
    ("commits", |run| text(run.work.commits?)),
    ("wal_flushes", |run| text(run.work.wal_flushes?)),
    ("wal_bytes", |run| text(run.work.wal_bytes?)),
    ("cpu_ms", |run| text(run.work.cpu_ms?)),
    ("file_reads", |run| text(run.work.file_reads?)),
    ("file_read_bytes", |run| text(run.work.file_read_bytes?)),
    ("http_calls", |run| text(run.work.http_calls?)),
    ("budgets_broken", |run| Some(broken(run))),
    ("floor_commit_ms", |run| text(run.floor.median.commit_ms?)),
    ("floor_sql_round_trip_ms", |run| text(run.floor.median.sql_round_trip_ms?)),
    ("floor_broker_hop_ms", |run| text(run.floor.median.broker_hop_ms?)),
    ("floor_http_ms", |run| text(run.floor.median.http_ms?)),
    ("floor_drift_ratio", |run| text(run.floor.drift_ratio?)),
    ("difference", |run| Some(run.difference.as_ref()?.called.clone())),
    ("difference_with", |run| Some(run.difference.as_ref()?.with.clone())),
    ("difference_ms", |run| text(run.difference.as_ref()?.ms.median)),
    ("difference_percent", |run| text(run.difference.as_ref()?.percent.median)),
    ("difference_percent_low", |run| text(run.difference.as_ref()?.percent.low)),
    ("difference_percent_high", |run| text(run.difference.as_ref()?.percent.high)),
    ("published_p50_ms_min", |run| text(run.reference.as_ref()?.p50_ms_min)),
    ("published_p50_ms_max", |run| text(run.reference.as_ref()?.p50_ms_max)),
];

fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

fn bounds(run: &RunReport, pick: fn(&LatencyIntervals) -> Option<Ends>) -> Option<Ends> {
    run.distribution.as_ref().map(|Distribution { interval_ms, .. }| interval_ms).and_then(pick)
}

/// As `report.json` has it.
fn status(status: Status) -> &'static str {
    match status {
        Status::Good => "good",
        Status::OverBudget => "over_budget",
        Status::Incomplete => "incomplete",
        Status::Invalid => "invalid",
    }
}

fn broken(run: &RunReport) -> String {
    let broken = run.budget.iter().filter(|line| line.kept == Some(false));
    broken.map(|line| line.name.as_str()).collect::<Vec<_>>().join(" ")
}
