//! The tables of a report, as texts: what the formats for people have in common.

use super::Report;
use crate::difference::Interval;
use crate::recorder::LatencyMs;
use crate::topology::On;
use crate::verdict::{Reference, RunReport, Status};
use crate::work::Spread;

/// What stands where there is no figure.
pub(super) const NONE: &str = "–";

/// A table, still without a look.
pub(super) struct Table {
    pub title: String,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// All tables of a report that have rows.
pub(super) fn all(report: &Report) -> Vec<Table> {
    let of = |wanted: fn(&str) -> bool| {
        report.runs.iter().filter(move |run| wanted(&run.on)).collect::<Vec<&RunReport>>()
    };
    let own = of(|on| on == On::Own.to_string());
    let ten = of(|on| on == On::Ten.to_string());
    let grid = of(|on| on.contains('x'));
    let mut tables = vec![
        latencies(LATENCY, &own),
        latencies(TEN, &ten),
        throughputs(&grid),
        differences(report),
        step_times(report),
        work(report),
        floors(report),
    ];
    tables.retain(|table| !table.rows.is_empty());
    tables
}

const LATENCY: &str = "Latency in ms with so many tasks at once (closed loop), from before the \
                       request is sent until the caller knows of Complete";
const TEN: &str = "The same on the ten instances: 2 orchestrators, and 2 workers in each language";

fn latencies(title: &str, runs: &[&RunReport]) -> Table {
    let mut header = vec![
        "scenario",
        "broker",
        "at once",
        "n",
        "P50",
        "P95",
        "P99",
        "max",
        "tasks/s",
        "× commit",
        "a stage",
        "P50 elsewhere",
        "verdict",
    ];
    let row = |run: &RunReport| {
        let LatencyMs { p50, p95, p99, max } = run.latency_ms;
        vec![
            run.scenario.clone(),
            run.broker.name().to_owned(),
            run.concurrency.to_string(),
            run.samples.to_string(),
            number(p50, 2),
            number(p95, 2),
            number(p99, 2),
            number(max, 2),
            number(run.throughput_per_s, 0),
            number(run.latency_commits.p50, 1),
            number(run.stage_ms, 2),
            run.reference.as_ref().map_or_else(|| NONE.to_owned(), published),
            verdict(run).to_owned(),
        ]
    };
    let mut rows: Vec<Vec<String>> = runs.iter().copied().map(row).collect();
    if runs.iter().any(|run| run.items.is_some()) {
        let place = header.iter().position(|name| *name == "tasks/s").map_or(0, |place| place + 1);
        header.insert(place, "items/s");
        for (row, run) in rows.iter_mut().zip(runs) {
            let items = run.items.as_ref();
            let cell = items.map(|items| format!("{:.0} {}", items.per_s, items.unit));
            row.insert(place, cell.unwrap_or_else(|| NONE.to_owned()));
        }
    }
    let mut title = title.to_owned();
    if runs.iter().any(|run| run.tasks_a_sample > 1) {
        title.push_str("\nof tasks that are started together: until the last of them is Complete");
    }
    if let Some(reference) = runs.iter().find_map(|run| run.reference.as_ref()) {
        title.push_str(&format!("\nP50 beside it: {}", reference.label));
    }
    Table { title, header, rows }
}

fn throughputs(runs: &[&RunReport]) -> Table {
    let header = vec![
        "scenario",
        "broker",
        "orchestrators x workers",
        "at once",
        "n",
        "tasks/s",
        "P50",
        "P95",
        "verdict",
    ];
    let row = |run: &&RunReport| {
        vec![
            run.scenario.clone(),
            run.broker.name().to_owned(),
            run.on.clone(),
            run.concurrency.to_string(),
            run.samples.to_string(),
            number(run.throughput_per_s, 0),
            number(run.latency_ms.p50, 2),
            number(run.latency_ms.p95, 2),
            verdict(run).to_owned(),
        ]
    };
    let title = "Throughput by the size of the cluster; latencies in ms".to_owned();
    Table { title, header, rows: runs.iter().map(row).collect() }
}

fn differences(report: &Report) -> Table {
    let header = vec![
        "scenario",
        "broker",
        "what",
        "against",
        "pairs",
        "P50",
        "other P50",
        "difference (95 %)",
        "in % (95 %)",
        "a stage",
    ];
    let interval = |Interval { low, median, high }: Interval, decimals: usize| {
        format!("{median:.decimals$} ({low:.decimals$} to {high:.decimals$})")
    };
    let row = |run: &RunReport| {
        let difference = run.difference.as_ref()?;
        Some(vec![
            run.scenario.clone(),
            run.broker.name().to_owned(),
            difference.called.clone(),
            format!("{}, {} cluster", difference.with, difference.on),
            difference.pairs.to_string(),
            number(Some(difference.own_p50_ms), 2),
            number(Some(difference.other_p50_ms), 2),
            interval(difference.ms, 3),
            interval(difference.percent, 1),
            number(Some(difference.ms_a_stage), 3),
        ])
    };
    let title = "Differences in ms, one task of each in turns: median of the pairs, with the \
                 interval of 95 %"
        .to_owned();
    Table { title, header, rows: report.runs.iter().filter_map(row).collect() }
}

fn step_times(report: &Report) -> Table {
    let header = vec![
        "scenario",
        "broker",
        "at once",
        "cluster",
        "run",
        "handler",
        "JSON",
        "bridge",
        "completion",
    ];
    let row = |run: &RunReport| {
        let time = run.step_time?;
        Some(vec![
            run.scenario.clone(),
            run.broker.name().to_owned(),
            run.concurrency.to_string(),
            run.on.clone(),
            number(Some(time.run_us), 0),
            number(time.handler_us, 0),
            number(time.serialisation_us, 0),
            number(time.bridge_us, 0),
            number(Some(time.completion_us), 0),
        ])
    };
    let title = "A step in its worker, by the worker's own metrics: mean in µs. Run is handler, \
                 JSON and bridge; completion is from the outcome until it is stored"
        .to_owned();
    Table { title, header, rows: report.runs.iter().filter_map(row).collect() }
}

fn work(report: &Report) -> Table {
    let header = vec![
        "scenario",
        "broker",
        "at once",
        "cluster",
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
    let row = |run: &RunReport| {
        let work = &run.work;
        let text = run.reference.as_ref();
        let cell = |name, mean: Option<f64>, text: Option<u32>| {
            let mut cell = number(mean, 1);
            if let Some(Spread { min, max, .. }) =
                run.work_each.get(name).filter(|s| s.min != s.max)
            {
                cell.push_str(&format!(" ({min} to {max})"));
            }
            cell + &text.map(|text| format!(", text {text}")).unwrap_or_default()
        };
        let text_transitions = text.and_then(|text| text.task_transitions);
        vec![
            run.scenario.clone(),
            run.broker.name().to_owned(),
            run.concurrency.to_string(),
            run.on.clone(),
            cell("step_transitions", work.step_transitions, None),
            cell("task_transitions", work.task_transitions, text_transitions),
            cell("messages", work.messages, None),
            cell("dependency_evaluations", work.dependency_evaluations, None),
            // The text counts what runs inside functions too, so its count is not set beside it.
            cell("sql_statements", work.sql_statements, None),
            number(work.commits, 1),
            number(work.wal_flushes, 1),
            number(work.wal_bytes.map(|bytes| bytes / 1_024.0), 1),
            number(work.cpu_ms, 2),
            number(work.file_reads, 1),
            number(work.file_read_bytes.map(|bytes| bytes / 1_024.0), 1),
            number(work.http_calls, 1),
        ]
    };
    let title =
        "Work a task, counted from outside the engine: mean (lowest to highest), and the count \
                 of the published text"
            .to_owned();
    Table { title, header, rows: report.runs.iter().map(row).collect() }
}

fn floors(report: &Report) -> Table {
    let header = vec![
        "scenario",
        "broker",
        "at once",
        "cluster",
        "durable commit",
        "SQL round trip",
        "broker hop",
        "HTTP round trip",
        "drift",
    ];
    let row = |run: &RunReport| {
        let floor = &run.floor;
        let marked = if floor.drifted { " (drifted)" } else { "" };
        vec![
            run.scenario.clone(),
            run.broker.name().to_owned(),
            run.concurrency.to_string(),
            run.on.clone(),
            number(floor.median.commit_ms, 3),
            number(floor.median.sql_round_trip_ms, 3),
            number(floor.median.broker_hop_ms, 3),
            number(floor.median.http_ms, 3),
            format!("{}{marked}", number(floor.drift_ratio, 2)),
        ]
    };
    let title = "The machine's floor in the same runs, in ms (median of three rounds)".to_owned();
    Table { title, header, rows: report.runs.iter().map(row).collect() }
}

/// What is said about a run, in a word or two.
pub(super) fn verdict(run: &RunReport) -> &'static str {
    match run.status {
        Status::Good if run.budget.is_empty() => "right",
        Status::Good => "right, in budget",
        Status::OverBudget => "BUDGET BROKEN",
        Status::Incomplete => "INCOMPLETE",
        Status::Invalid => "INVALID",
    }
}

/// The run among the others, for people.
fn name(run: &RunReport) -> String {
    let mut name = format!("{} on {}", run.scenario, run.broker.name());
    if run.concurrency != 1 {
        name += &format!(", {} at once", run.concurrency);
    }
    if run.on != On::Own.to_string() {
        name += &format!(", cluster {}", run.on);
    }
    name
}

/// The problems and notes of all runs, a line each.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    let lines = |run: &RunReport| {
        let name = name(run);
        let verdict = verdict(run);
        let problems = run.problems.iter().map(|text| format!("{name}: {verdict}: {text}"));
        let notes = run.notes.iter().map(|text| format!("{name}: note: {text}"));
        problems.chain(notes).collect::<Vec<_>>()
    };
    report.runs.iter().flat_map(lines).chain(report.left_out.clone()).collect()
}

/// The machine and the servers, a line each: name and value.
pub(super) fn setting(report: &Report) -> Vec<(&'static str, String)> {
    let machine = &report.machine;
    let environment = &report.environment;
    let server = |facts: &super::ServerFacts| {
        let settings = facts.settings.iter().map(|(name, value)| format!("{name}={value}"));
        format!("{} ({})", facts.version, settings.collect::<Vec<_>>().join(", "))
    };
    let mut lines = vec![
        ("CPU", format!("{} ({} cores)", machine.cpu, machine.cores)),
        ("memory", format!("{:.1} GiB", machine.memory_bytes as f64 / f64::from(1 << 30))),
        ("kernel", machine.kernel.clone()),
        ("disk", machine.disk.as_ref().map_or(NONE.to_owned(), |disk| disk.to_string())),
        ("backend", format!("{}: {}", environment.backend, environment.why)),
        ("PostgreSQL", server(&environment.postgres)),
    ];
    lines.extend(environment.rabbitmq.as_ref().map(|facts| ("RabbitMQ", server(facts))));
    let git = report.git.as_ref().map_or(NONE.to_owned(), |git| git.to_string());
    lines.push(("revision", format!("{git}, sources {}", report.source_hash)));
    lines
}

fn published(reference: &Reference) -> String {
    let Reference { p50_ms_min, p50_ms_max, .. } = reference;
    match p50_ms_min == p50_ms_max {
        true => format!("{p50_ms_min}"),
        false => format!("{p50_ms_min} to {p50_ms_max}"),
    }
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.decimals$}"))
}
