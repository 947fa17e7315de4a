//! Two reports side by side, run by run. Pure.

mod text;

use crate::fingerprint::{Deviation, Fingerprint};
use crate::report::Report;
use crate::statistics::Ends;
use crate::verdict::{RunReport, Status};

/// Counts that tasks of one kind have in common to the last one: any difference is shown. Means of
/// the other work differ from run to run.
const EXACT: [&str; 5] =
    ["step_transitions", "task_transitions", "messages", "dependency_evaluations", "http_calls"];
/// Other work is shown where the means differ by more than this share of the smaller.
const WORK_CHANGE_MIN: f64 = 0.05;
/// The only work that is measured in time, and so by the machine.
const CPU: &str = "cpu_ms";

/// Two reports, A and B.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// What tells the two apart, a line each.
    pub about: [String; 2],
    /// Where the environments differ: then no time of one says anything of the other's.
    pub deviations: Vec<Deviation>,
    /// Figures of the runs that both have, in A's order.
    pub rows: Vec<Row>,
    /// Runs that only one has, broken budgets, and runs that are not good, a sentence each.
    pub remarks: Vec<String>,
}

/// A figure of a run in both reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The run's name.
    pub run: String,
    /// The figure's name, with its unit.
    pub figure: String,
    /// A's.
    pub first: Option<f64>,
    /// B's.
    pub second: Option<f64>,
    /// B over A; nothing where the environments differ and the figure is a time.
    pub ratio: Option<Ratio>,
    /// Whether it is a time of other environments: not to be compared.
    pub is_marked: bool,
}

/// B over A.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The two percentiles' ratio.
    pub value: f64,
    /// The lowest and the highest ratio of values within the two intervals of 95 %. Both hold
    /// their percentiles at once in 90 of 100 cases and more (Bonferroni's inequality), so this
    /// one holds the ratio at least as often.
    pub interval: Option<Ends>,
}

impl Ratio {
    fn of(first: Option<f64>, second: Option<f64>, ends: Option<(Ends, Ends)>) -> Option<Ratio> {
        let (first, second) = first.filter(|first| *first > 0.0).zip(second)?;
        let ends = ends.filter(|(first, _)| first.low > 0.0);
        let interval = ends.map(|(first, second)| Ends {
            low: second.low / first.high,
            high: second.high / first.low,
        });
        Some(Ratio { value: second / first, interval })
    }

    /// Whether the two intervals lie apart; nothing without intervals.
    pub fn is_apart(&self) -> Option<bool> {
        self.interval.map(|Ends { low, high }| low > 1.0 || high < 1.0)
    }
}

/// Compares two reports, `names` are what they are called.
pub fn compare(names: [&str; 2], first: &Report, second: &Report) -> Comparison {
    let deviations = Fingerprint::of(first).deviations(&Fingerprint::of(second));
    let mut comparison = Comparison {
        about: [about(names[0], first), about(names[1], second)],
        deviations,
        rows: Vec::new(),
        remarks: Vec::new(),
    };
    let others: Vec<(String, &RunReport)> = second.named_runs().collect();
    let mut found = Vec::new();
    for (name, run) in first.named_runs() {
        comparison.remarks.extend(problems("A", &name, run));
        match others.iter().find(|(other, _)| *other == name) {
            None => comparison.remarks.push(format!("{name}: only A has it")),
            Some((_, other)) => comparison.add(&name, run, other),
        }
        found.push(name);
    }
    for (name, run) in &others {
        comparison.remarks.extend(problems("B", name, run));
        if !found.contains(name) {
            comparison.remarks.push(format!("{name}: only B has it"));
        }
    }
    comparison
}

impl Comparison {
    fn add(&mut self, name: &str, first: &RunReport, second: &RunReport) {
        let differs = !self.deviations.is_empty();
        let mut add = |figure: &str, values: [Option<f64>; 2], ends, is_time: bool| {
            let is_marked = differs && is_time;
            let ratio = Ratio::of(values[0], values[1], ends).filter(|_| !is_marked);
            let [first, second] = values;
            if first.is_some() || second.is_some() {
                let (run, figure) = (name.to_owned(), figure.to_owned());
                self.rows.push(Row { run, figure, first, second, ratio, is_marked });
            }
        };
        let both = [first, second];
        let ends = |pick: fn(&RunReport) -> Option<Ends>| pick(first).zip(pick(second));
        let p50 = |run: &RunReport| run.distribution.as_ref()?.interval_ms.p50;
        let p95 = |run: &RunReport| run.distribution.as_ref()?.interval_ms.p95;
        add("P50 ms", both.map(|run| run.latency_ms.p50), ends(p50), true);
        add("P95 ms", both.map(|run| run.latency_ms.p95), ends(p95), true);
        add("P50 × own floor", both.map(|run| run.own_floor?.p50_ratio), None, false);
        add("P95 × own floor", both.map(|run| run.own_floor?.p95_ratio), None, false);
        add("tasks/s", both.map(|run| run.throughput_per_s), None, true);
        add("SQL calls of the typical task", both.map(typical_sql), None, false);
        let work = first.work.figures().into_iter().zip(second.work.figures());
        for ((figure, first), (_, second)) in work {
            let least = if EXACT.contains(&figure) { 0.0 } else { WORK_CHANGE_MIN };
            if differ(first, second, least) {
                add(figure, [first, second], None, figure == CPU);
            }
        }
    }
}

/// The SQL calls of the typical task, where they were counted task by task.
fn typical_sql(run: &RunReport) -> Option<f64> {
    run.work_each.get("sql_statements").map(|spread| spread.p50)
}

fn differ(first: Option<f64>, second: Option<f64>, least: f64) -> bool {
    match (first, second) {
        (Some(first), Some(second)) => (first - second).abs() > least * first.min(second),
        _ => first.is_some() || second.is_some(),
    }
}

fn about(name: &str, report: &Report) -> String {
    let git = report.git.as_ref().map_or_else(|| "no checkout".to_owned(), ToString::to_string);
    let Report { created_at, source_hash, .. } = report;
    format!("{name}, {created_at}, revision {git}, sources {source_hash}")
}

fn problems(which: &str, name: &str, run: &RunReport) -> Vec<String> {
    let status = match run.status {
        Status::Good => return Vec::new(),
        Status::OverBudget => "over budget",
        Status::Incomplete => "incomplete",
        Status::Invalid => "invalid",
    };
    let problems = run.problems.iter();
    problems.map(|problem| format!("{name}: {status} in {which}: {problem}")).collect()
}
