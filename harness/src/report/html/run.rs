//! One run, closely.

use maud::{Markup, html};

use super::super::tables::{self, Cell, Place, Table};
use super::table::{Links, badge, bare, table};
use crate::breakdown::Breakdown;
use crate::verdict::RunReport;

/// A run with its charts and tables.
pub(super) fn article(no: usize, run: &RunReport, links: Links<'_>) -> Markup {
    let id = &links.0[no];
    let of_run = tables::of_run(no, run);
    let breakdown = run.breakdown.as_ref();
    html! {
        article #(id) .run aria-labelledby=(format!("{id}-name"))
            data-run=(no) data-scenario=(run.scenario) data-broker=(run.broker)
            data-load=(load(run)) {
            h3 #(format!("{id}-name")) tabindex="-1" {
                (run.scenario) " on " (run.broker) " "
                span.aside { (load(run)) }
            }
            (head(no, run))
            (remarks(run))
            div.pair {
                @if run.distribution.as_ref().is_some_and(|it| !it.percentiles.is_empty()) {
                    (chart(no, "percentiles", "Latency by percentile",
                        "From 90 to 99 % is as far as from 99 to 99.9 %. Bars: intervals of 95 %. \
                         The longest sample is at the right end."))
                }
                @if run.distribution.as_ref().is_some_and(|it| !it.timeline.is_empty()) {
                    (chart(no, "timeline", "Latency over time",
                        "Each dot a sample, by its start; the line is the running median."))
                }
            }
            @if let Some(breakdown) = breakdown { (time(no, breakdown, &of_run, links)) }
            @else { (part(&of_run.budget, links)) }
            div.columns {
                (part(&of_run.worker, links))
                (part(&of_run.work, links))
                (part(&of_run.cpu, links))
                (part(&of_run.floor, links))
            }
        }
    }
}

/// The cluster and the load, as a reader chooses them.
fn load(run: &RunReport) -> String {
    format!("{}, {}", run.cluster_in_words(), run.load_in_words())
}

fn time(no: usize, breakdown: &Breakdown, of_run: &tables::Tables, links: Links<'_>) -> Markup {
    html! {
        div.pair.time {
            div {
                @if let Some(segments) = &of_run.segments { (part(segments, links)) }
                (part(&of_run.budget, links))
            }
            @if !breakdown.steps.is_empty() {
                (chart(no, "graph", "The steps and their time",
                    "From enqueued to processed, median; the bar is claim, handler and \
                     processing. Bold: on the critical path of at least half the tasks."))
            }
        }
        @if let Some(steps) = of_run.steps.as_ref().filter(|it| !it.rows.is_empty()) {
            (unfolding("Time by step", steps, links))
        }
        @for (waterfall_no, waterfall) in breakdown.waterfalls.iter().enumerate() {
            (chart(no, &format!("waterfall-{waterfall_no}"),
                &format!("The task at {}, {:.2} ms", waterfall.of, waterfall.latency_ms),
                "From the task's start, in ms. Framed: on the critical path."))
            (unfolding(&format!("Segments of the task at {}", waterfall.of),
                &tables::bars(no, waterfall_no, waterfall), links))
        }
    }
}

fn head(no: usize, run: &RunReport) -> Markup {
    let at = Place::run(no);
    let interval = run.distribution.as_ref().map(|it| it.interval_ms).unwrap_or_default();
    let latency = |name, value, interval| tables::with_interval(&at, name, value, interval);
    let mut figures: Vec<(&str, Cell, &str)> = vec![
        ("P50", latency("p50", run.latency_ms.p50, interval.p50), " ms"),
        ("P95", latency("p95", run.latency_ms.p95, interval.p95), " ms"),
        ("P99", latency("p99", run.latency_ms.p99, interval.p99), " ms"),
        ("longest", at.cell("latency_ms/max", run.latency_ms.max, 2), " ms"),
        ("throughput", at.cell("throughput_per_s", run.throughput_per_s, 0), " tasks/s"),
        (
            "P50 in durable commits",
            at.cell("latency_commits/p50", run.latency_commits.p50, 1),
            " ×",
        ),
    ];
    if run.own_floor.is_some() {
        figures.push(("P50 in own floors", tables::in_own_floors(&at, run), " ×"));
    }
    if let Some(rate) = run.rate {
        let at = at.below("rate");
        let short = if rate.is_short { " /s, SHORT" } else { " /s" };
        figures.push(("asked for", at.cell("asked_per_s", Some(rate.asked_per_s), 1), " /s"));
        figures.push(("offered", at.cell("offered_per_s", Some(rate.offered_per_s), 1), short));
        figures.push(("achieved", at.cell("achieved_per_s", Some(rate.achieved_per_s), 1), " /s"));
        figures.push(("begun late, P99", at.cell("late_ms_p99", Some(rate.late_ms_p99), 2), " ms"));
    }
    if run.reference.is_some() {
        figures.push(("published P50, other hardware", tables::published(&at, run), " ms"));
    }
    let processes = run.topology.iter().map(|(kind, count)| format!("{count} {kind}"));
    let processes: Vec<String> = processes.collect();
    html! {
        p {
            (badge(run.status, &html! { (tables::verdict(run)) }))
            " " span.aside {
                (at.count("samples", run.samples).to_string()) " samples after "
                (run.warmup) " to warm up; " (processes.join(", "))
            }
        }
        dl.figures {
            @for (name, cell, unit) in &figures {
                div { dt { (name) } dd { (super::table::content(cell, Links(&[]))) (unit) } }
            }
        }
    }
}

fn remarks(run: &RunReport) -> Markup {
    html! {
        @if !run.problems.is_empty() || !run.notes.is_empty() {
            ul.remarks {
                @for problem in &run.problems { li { strong { "Problem: " } (problem) } }
                @for note in &run.notes { li { (note) } }
            }
        }
    }
}

/// A table with its heading; nothing where it has no rows.
fn part(it: &Table, links: Links<'_>) -> Markup {
    html! {
        @if !it.rows.is_empty() { section.part { h4 { (it.name) } (table(it, links)) } }
    }
}

fn unfolding(name: &str, it: &Table, links: Links<'_>) -> Markup {
    html! {
        details {
            summary { (name) }
            @for note in &it.notes { p.note { (note) } }
            (bare(it, name, links))
        }
    }
}

/// A place for a chart, which the script draws.
fn chart(no: usize, kind: &str, name: &str, note: &str) -> Markup {
    html! {
        figure.chart.(kind.split('-').next().unwrap_or(kind))
            data-chart=(kind) data-of=(format!("/runs/{no}")) {
            figcaption { h4 { (name) } p.note { (note) } }
            div.plot {}
        }
    }
}
