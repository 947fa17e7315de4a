//! What a reader asks first.

use super::summary::slowest;
use super::{Cell, Kind, NONE, Place, Table};
use crate::report::Report;
use crate::verdict::RunReport;

/// Languages of workers, as scenarios' names have them, and for people.
const LANGUAGES: [(&str, &str); 4] =
    [("rust", "Rust"), ("python", "Python"), ("ruby", "Ruby"), ("typescript", "TypeScript")];

/// P95 and the slowest segment of each scenario, and what each language costs over Rust; those
/// that have rows.
pub(in crate::report) fn highlights(report: &Report) -> Vec<Table> {
    let mut tables = vec![scenarios(report), languages(report)];
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// A row a scenario, two columns a broker. Scenarios without any figure are left out.
fn scenarios(report: &Report) -> Table {
    let brokers = report.brokers();
    let row = |scenario: &str| {
        let mut first = None;
        let mut row = vec![Cell::default()];
        for broker in &brokers {
            let Some((no, run)) = report.plainest(scenario, *broker) else {
                row.extend([NONE.into(), NONE.into()]);
                continue;
            };
            first.get_or_insert(no);
            let at = Place::run(no);
            row.push(at.cell("latency_ms/p95", run.latency_ms.p95, 2));
            row.push(slowest(&at, run));
        }
        let has_figure = row[1..].iter().any(|cell| cell.to_string() != NONE);
        row[0] = Cell::from(scenario.to_owned()).of_kind(Kind::Run(first?));
        has_figure.then_some(row)
    };
    let mut header = vec!["scenario".to_owned()];
    let mut slowest_of = Vec::new();
    for broker in &brokers {
        slowest_of.push(format!("slowest on {broker}"));
        header.extend([format!("P95 on {broker}"), format!("slowest on {broker}")]);
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let slowest_of: Vec<&str> = slowest_of.iter().map(String::as_str).collect();
    let note = "P95 in ms, one task at a time on the scenario's own cluster; the slowest segment \
                of the critical path, and its share of the latency. Each scenario had its own \
                minutes, and the machine may have been slower in some";
    let rows = report.scenarios().into_iter().filter_map(row);
    let table = Table::new("highlight-scenarios", "P95 and the slowest segment", note, &header);
    table.rows(rows).without_empty(&slowest_of)
}

/// A row a language and workflow, a column a broker.
fn languages(report: &Report) -> Table {
    let brokers = report.brokers();
    let row = |scenario: &str| {
        let of_scenario = |run: &&RunReport| run.scenario == scenario;
        let words = report.runs.iter().filter(of_scenario).find_map(words)?;
        let mut first = None;
        let mut row = vec![Cell::default()];
        for broker in &brokers {
            let found = report.plainest(scenario, *broker);
            let found = found.and_then(|(no, run)| Some((no, run.difference.as_ref()?)));
            let cell = found.map(|(no, difference)| {
                first.get_or_insert(no);
                let at = Place::run(no).below("difference/percent");
                signed(&at, difference.percent.median)
            });
            row.push(cell.unwrap_or_else(|| NONE.into()));
        }
        row[0] = Cell::from(words).of_kind(Kind::Run(first?));
        Some(row)
    };
    let header: Vec<&str> =
        std::iter::once("handlers").chain(brokers.iter().map(|it| it.name())).collect();
    let note = "How much longer a task takes than with handlers in Rust: one task of each in \
                turns, in the same minutes; median of the pairs";
    let rows = report.scenarios().into_iter().filter_map(row);
    Table::new("highlight-languages", "Cost of a language over Rust", note, &header).rows(rows)
}

/// Percent, with a sign before what is more than nothing.
fn signed(at: &Place, percent: f64) -> Cell {
    let figure = at.figure("median", Some(percent), 1);
    let sign = if percent > 0.0 { "+" } else { "" };
    Cell::from(sign).with(figure).with(" %")
}

/// `Python over Rust, linear`: where a run is compared with one of other handlers, by both names.
fn words(run: &RunReport) -> Option<String> {
    let difference = run.difference.as_ref()?;
    let language = |name: &str| {
        let mut words = name.split('_');
        words.find_map(|word| LANGUAGES.iter().find(|(language, _)| *language == word))
    };
    let ((own, own_name), (other, other_name)) =
        (language(&run.scenario)?, language(&difference.with)?);
    let shape: Vec<&str> = difference.with.split('_').filter(|word| word != other).collect();
    (own != other).then(|| format!("{own_name} over {other_name}, {}", shape.join(" ")))
}
