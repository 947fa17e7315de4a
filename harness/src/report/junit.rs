//! `junit.xml`: a test case a run, for whatever shows the results of tests.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Format, tables};
use crate::report::Report;
use crate::verdict::{RunReport, Status};

/// JUnit's XML. A broken budget is a failure, a run that is invalid or incomplete an error, and
/// what was left out by choice is skipped.
#[derive(Debug)]
pub struct Junit;

impl Format for Junit {
    fn file_name(&self) -> Option<&'static str> {
        Some("junit.xml")
    }

    fn render(&self, report: &Report) -> String {
        let mut page = quick_junit::Report::new("stepmark");
        let names = report.run_names();
        for broker in report.brokers() {
            let mut suite = TestSuite::new(broker.name());
            let runs = report.runs.iter().zip(&names).filter(|(run, _)| run.broker == broker);
            suite.add_test_cases(runs.map(|(run, name)| case(run, name)));
            page.add_test_suite(suite);
        }
        if !report.left_out.is_empty() {
            let mut suite = TestSuite::new("left out");
            suite.add_test_cases(report.left_out.iter().map(|line| left_out(line)));
            page.add_test_suite(suite);
        }
        page.to_string().expect("memory takes all of it")
    }
}

fn case(run: &RunReport, name: &str) -> TestCase {
    let mut status = match run.status {
        Status::Good => TestCaseStatus::success(),
        Status::OverBudget => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Incomplete | Status::Invalid => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if run.status != Status::Good {
        status.set_type(tables::verdict(run).to_lowercase());
        status.set_message(run.problems.first().cloned().unwrap_or_default());
        status.set_description(run.problems.join("\n"));
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("stepmark.tier{}.{}", run.tier, run.scenario));
    if let Some(busy_ms) = run.busy_ms() {
        case.set_time(Duration::from_secs_f64(busy_ms / 1e3));
    }
    case.set_system_out(told(run));
    case
}

/// The figures and the notes, a line each.
fn told(run: &RunReport) -> String {
    let load = format!("{}, {}", run.cluster_in_words(), run.load_in_words());
    let latencies = [
        ("P50", run.latency_ms.p50),
        ("P95", run.latency_ms.p95),
        ("P99", run.latency_ms.p99),
        ("max", run.latency_ms.max),
    ];
    let latencies = latencies.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    let mut lines = vec![format!("{load}, {} samples", run.samples)];
    lines.extend(latencies.map(|(name, value)| format!("{name} {value} ms")));
    lines.extend(run.throughput_per_s.map(|rate| format!("{rate:.1} tasks/s")));
    lines.extend(
        run.budget
            .iter()
            .map(|line| format!("{}: {} of {} allowed", line.name, line.measured, line.allowed)),
    );
    lines.extend(run.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn left_out(line: &str) -> TestCase {
    let (name, why) = line.split_once(" was left out: ").unwrap_or((line, ""));
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    TestCase::new(name, status)
}
