//! What is said in words: verdicts, problems, and where it ran.

use super::{NONE, verdict};
use crate::report::Report;
use crate::report::ServerFacts;
use crate::verdict::{RunReport, Status};

/// What is said about all runs together.
pub(in crate::report) fn verdict_of_all(report: &Report) -> (Status, String) {
    let runs = &report.runs;
    let count = |status| runs.iter().filter(|run| run.status == status).count();
    let bad = [
        (Status::Invalid, "invalid"),
        (Status::Incomplete, "incomplete"),
        (Status::OverBudget, "over budget"),
    ];
    let found = bad.iter().map(|(status, words)| (*status, *words, count(*status)));
    let found: Vec<_> = found.filter(|(_, _, count)| *count > 0).collect();
    let all = match runs.len() {
        1 => "1 run".to_owned(),
        all => format!("{all} runs"),
    };
    match found.first() {
        _ if runs.is_empty() => (Status::Incomplete, "No run".to_owned()),
        None => (Status::Good, format!("{all}: every answer right, everything in budget")),
        Some((worst, ..)) => {
            let found = found.iter().map(|(_, words, count)| format!("{count} {words}"));
            (*worst, format!("{all}: {}", found.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// The run among the others, for people.
fn name(run: &RunReport) -> String {
    let mut name = format!("{} on {}", run.scenario, run.broker);
    if !run.is_closed_loop() {
        name += &format!(", {}", run.load());
    } else if run.concurrency != 1 {
        name += &format!(", {} at once", run.concurrency);
    }
    if !run.is_on_own() {
        name += &format!(", cluster {}", run.on);
    }
    name
}

/// Why runs are not good, a line each.
pub(in crate::report) fn problems(report: &Report) -> Vec<String> {
    report.runs.iter().flat_map(problems_of).collect()
}

/// The problems and notes of all runs, a line each.
pub(in crate::report) fn remarks(report: &Report) -> Vec<String> {
    let lines = |run: &RunReport| {
        let name = name(run);
        let notes = run.notes.iter().map(|text| format!("{name}: note: {text}"));
        problems_of(run).into_iter().chain(notes).collect::<Vec<_>>()
    };
    report.runs.iter().flat_map(lines).chain(report.left_out.clone()).collect()
}

fn problems_of(run: &RunReport) -> Vec<String> {
    let name = name(run);
    let verdict = match run.status {
        Status::OverBudget => String::new(), // its problems say so
        _ => format!("{}: ", verdict(run)),
    };
    run.problems.iter().map(|text| format!("{name}: {verdict}{text}")).collect()
}

/// The machine and the servers, a line each: name and value.
pub(in crate::report) fn setting(report: &Report) -> Vec<(&'static str, String)> {
    let machine = &report.machine;
    let environment = &report.environment;
    let server = |facts: &ServerFacts| {
        let settings = facts.settings.iter().map(|(name, value)| format!("{name}={value}"));
        format!("{} ({})", facts.version, settings.collect::<Vec<_>>().join(", "))
    };
    let mut lines = vec![
        ("CPU", format!("{} ({} cores)", machine.cpu, machine.cores)),
        ("memory", format!("{:.1} GiB", machine.memory_bytes as f64 / f64::from(1 << 30))),
        ("kernel", machine.kernel.clone()),
        ("disk", machine.disk.as_ref().map_or(NONE.to_owned(), |disk| disk.to_string())),
        ("backend", format!("{}: {}", environment.backend, environment.why)),
        (
            "PostgreSQL",
            format!("{}, over {}", server(&environment.postgres), environment.postgres_transport),
        ),
    ];
    lines.extend(environment.rabbitmq.as_ref().map(|facts| ("RabbitMQ", server(facts))));
    let git = report.git.as_ref().map_or(NONE.to_owned(), |git| git.to_string());
    lines.push(("revision", format!("{git}, sources {}", report.source_hash)));
    lines.push(("stepmark", report.stepmark_version.clone()));
    lines
}
