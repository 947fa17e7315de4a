//! `report.prom`: the figures as metrics, for whatever scrapes or stores these.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::Format;
use crate::breakdown::SegmentTime;
use crate::report::Report;
use crate::statistics::Ends;
use crate::verdict::{RunReport, Status};

/// OpenMetrics text, version 1.0. Times are in seconds, as it wants them.
#[derive(Debug)]
pub struct OpenMetrics;

impl Format for OpenMetrics {
    fn file_name(&self) -> Option<&'static str> {
        Some("report.prom")
    }

    fn render(&self, report: &Report) -> String {
        let mut registry = Registry::with_prefix("stepmark");
        registry.register_collector(Box::new(Families(families(report))));
        let mut page = String::new();
        text::encode(&mut page, &registry).expect("a String takes all that is written to it");
        page
    }
}

type Labels = Vec<(&'static str, String)>;

/// A metric with its samples. (The library's own families have no order.)
#[derive(Debug)]
struct Family {
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    samples: Vec<(Labels, f64)>,
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for Family { name, unit, help, samples } in &self.0 {
            if samples.is_empty() {
                continue;
            }
            let kind = MetricType::Gauge;
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
            for (labels, value) in samples {
                family.encode_family(labels)?.encode_gauge(value)?;
            }
        }
        Ok(())
    }
}

/// What a run tells under one name: further labels, and the figure where there is one.
type Figures = Vec<(Labels, Option<f64>)>;

fn families(report: &Report) -> Vec<Family> {
    let names = report.run_names();
    let of = |name, unit, help, figures: fn(&RunReport) -> Figures| {
        let samples = report.runs.iter().zip(&names).flat_map(|(run, name)| {
            let figures = figures(run).into_iter();
            figures.filter_map(move |(labels, value)| {
                Some((run_labels(run, name).into_iter().chain(labels).collect(), value?))
            })
        });
        Family { name, unit, help, samples: samples.collect() }
    };
    let seconds = || Some(Unit::Seconds);
    let ratio = || Some(Unit::Other("ratio".to_owned()));
    vec![
        info(report),
        of("run_status", None, "1 for what is said about the run, 0 for the rest", status),
        of("samples", None, "Measured samples", |run| alone(Some(run.samples as f64))),
        of("latency", seconds(), "Latency of a sample; quantile 1 is the longest", latency),
        of("latency_interval", seconds(), "Ends of the quantile's interval of 95 %", interval),
        of("own_floor", seconds(), "What the critical path needs of the machine", |run| {
            alone(run.own_floor.map(|floor| floor.ms / 1e3))
        }),
        of("latency_own_floor", ratio(), "Latency as a multiple of the own floor", |run| {
            let of = |q, value| (vec![quantile(q)], value);
            run.own_floor.map_or(Vec::new(), |floor| {
                vec![of("0.5", floor.p50_ratio), of("0.95", floor.p95_ratio)]
            })
        }),
        of("throughput_per_second", None, "Tasks completed a second", |run| {
            alone(run.throughput_per_s)
        }),
        of("rate_per_second", None, "Samples a second of an open loop", |run| {
            let of = |kind: &str, value| (vec![("kind", kind.to_owned())], value);
            run.rate.map_or(Vec::new(), |rate| {
                vec![
                    of("asked", Some(rate.asked_per_s)),
                    of("offered", Some(rate.offered_per_s)),
                    of("achieved", Some(rate.achieved_per_s)),
                ]
            })
        }),
        of("segment", seconds(), "Time of a task in a segment of its critical path", segments),
        of("segment_share", ratio(), "Share of a segment in all latencies", |run| {
            let segments = run.breakdown.iter().flat_map(|it| &it.segments);
            segments.map(|it| (vec![("segment", it.segment.to_string())], Some(it.share))).collect()
        }),
        of("work", None, "Mean count of work a task", work),
        of("budget_kept", None, "Whether a line of the budget is kept", |run| {
            let line = |line: &crate::budget::BudgetLine| {
                let kept = line.kept.map(|kept| f64::from(u8::from(kept)));
                (vec![("budget", line.name.clone())], kept)
            };
            run.budget.iter().map(line).collect()
        }),
        of("floor", seconds(), "What the machine takes for a building block", floor),
        of(
            "difference",
            ratio(),
            "How much longer than the other scenario: median, and the \
            ends of its interval of 95 %",
            difference,
        ),
    ]
}

fn info(report: &Report) -> Family {
    let git = report.git.as_ref();
    let labels = vec![
        ("version", report.stepmark_version.clone()),
        ("revision", git.map(|git| git.revision.clone()).unwrap_or_default()),
        ("dirty", git.map(|git| git.dirty.to_string()).unwrap_or_default()),
        ("created_at", report.created_at.clone()),
        ("cpu", report.machine.cpu.clone()),
        ("postgres", report.environment.postgres.version.clone()),
    ];
    let help = "Of what the report is, and where it was taken";
    Family { name: "report", unit: None, help, samples: vec![(labels, 1.0)] }
}

fn run_labels(run: &RunReport, name: &str) -> Labels {
    vec![
        ("run", name.to_owned()),
        ("scenario", run.scenario.clone()),
        ("tier", run.tier.to_string()),
        ("broker", run.broker.to_string()),
        ("cluster", run.on.clone()),
        ("load", run.load()),
    ]
}

fn alone(value: Option<f64>) -> Figures {
    vec![(Vec::new(), value)]
}

fn quantile(quantile: &str) -> (&'static str, String) {
    ("quantile", quantile.to_owned())
}

fn seconds(ms: Option<f64>) -> Option<f64> {
    ms.map(|ms| ms / 1e3)
}

fn status(run: &RunReport) -> Figures {
    let all = [
        (Status::Good, "good"),
        (Status::OverBudget, "over_budget"),
        (Status::Incomplete, "incomplete"),
        (Status::Invalid, "invalid"),
    ];
    let is = |status| Some(f64::from(u8::from(run.status == status)));
    all.iter().map(|(it, name)| (vec![("status", (*name).to_owned())], is(*it))).collect()
}

fn latency(run: &RunReport) -> Figures {
    let latency = run.latency_ms;
    let all =
        [("0.5", latency.p50), ("0.95", latency.p95), ("0.99", latency.p99), ("1", latency.max)];
    all.iter().map(|(q, value)| (vec![quantile(q)], seconds(*value))).collect()
}

fn interval(run: &RunReport) -> Figures {
    let interval = run.distribution.as_ref().map(|it| it.interval_ms).unwrap_or_default();
    let all = [("0.5", interval.p50), ("0.95", interval.p95), ("0.99", interval.p99)];
    let ends = |(q, bounds): &(&str, Option<Ends>)| {
        let end = |name: &str, value| (vec![quantile(q), ("end", name.to_owned())], seconds(value));
        [end("low", bounds.map(|it| it.low)), end("high", bounds.map(|it| it.high))]
    };
    all.iter().flat_map(ends).collect()
}

fn segments(run: &RunReport) -> Figures {
    let segments = run.breakdown.iter().flat_map(|it| &it.segments);
    let both = |segment: &SegmentTime| {
        let name = || ("segment", segment.segment.to_string());
        [
            (vec![name(), quantile("0.5")], seconds(Some(segment.p50_ms))),
            (vec![name(), quantile("0.95")], seconds(Some(segment.p95_ms))),
        ]
    };
    segments.flat_map(both).collect()
}

fn work(run: &RunReport) -> Figures {
    let figures = run.work.figures().into_iter();
    figures.map(|(name, value)| (vec![("of", name.to_owned())], value)).collect()
}

fn floor(run: &RunReport) -> Figures {
    let floor = run.floor.median;
    let all = [
        ("commit", floor.commit_ms),
        ("sql_round_trip", floor.sql_round_trip_ms),
        ("broker_hop", floor.broker_hop_ms),
        ("http", floor.http_ms),
    ];
    all.iter().map(|(name, ms)| (vec![("of", (*name).to_owned())], seconds(*ms))).collect()
}

fn difference(run: &RunReport) -> Figures {
    let Some(difference) = &run.difference else { return Vec::new() };
    let percent = difference.percent;
    let all = [("median", percent.median), ("low", percent.low), ("high", percent.high)];
    let labels = |end: &str| vec![("with", difference.with.clone()), ("end", end.to_owned())];
    all.iter().map(|(end, value)| (labels(end), Some(value / 100.0))).collect()
}
