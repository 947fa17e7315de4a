//! The tables of a report: what the forms for people have in common.

mod cell;
mod compared;
mod highlights;
mod latency;
mod setting;
mod single;
mod summary;
mod time;
mod work;

use crate::report::Report;
use crate::verdict::{RunReport, Status};

pub(super) use cell::{Cell, Figure, Kind, NONE, Part, Place};
pub(super) use highlights::highlights;
pub(super) use setting::{problems, remarks, setting, verdict_of_all};
pub(super) use single::{Tables, bars, of_run};
pub(super) use summary::{published, summaries, with_interval};

/// A table, still without a look.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Its name among the tables, fit for an address within a page.
    pub id: &'static str,
    /// A heading.
    pub name: &'static str,
    /// What the figures mean, a line each.
    pub notes: Vec<String>,
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    fn new(id: &'static str, name: &'static str, note: &str, header: &[&str]) -> Table {
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Table { id, name, notes: vec![note.to_owned()], header, rows: Vec::new() }
    }

    fn rows(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Table {
        self.rows.extend(rows);
        self
    }

    /// Takes away the columns without a single figure among those whose headers are given.
    fn without_empty(mut self, headers: &[&str]) -> Table {
        for header in headers {
            let Some(place) = self.header.iter().position(|name| name == header) else { continue };
            if self.rows.iter().all(|row| row[place].to_string() == NONE) {
                self.header.remove(place);
                for row in &mut self.rows {
                    row.remove(place);
                }
            }
        }
        self
    }

    /// The notes as one text.
    pub fn title(&self) -> String {
        self.notes.join("\n")
    }
}

/// The tables with every run's figures that have rows.
pub(super) fn all(report: &Report) -> Vec<Table> {
    let of = |wanted: fn(&RunReport) -> bool| {
        let runs = report.runs.iter().enumerate();
        runs.filter(|(_, run)| wanted(run)).collect::<Vec<(usize, &RunReport)>>()
    };
    let mut tables = vec![
        latency::own(&of(RunReport::is_on_own)),
        latency::ten(&of(|run| run.on == "ten")),
        latency::throughputs(&of(|run| run.on.contains('x'))),
        time::segments(report),
        time::ladders(report),
        compared::differences(report),
        compared::step_times(report),
        work::work(report),
        work::floors(report),
    ];
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// The cells that say which run a row is about.
fn which(no: usize, run: &RunReport) -> [Cell; 4] {
    let scenario = Cell::from(run.scenario.clone()).of_kind(Kind::Run(no));
    [scenario, run.broker.name().into(), run.on.clone().into(), run.load().into()]
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

/// P50 as a multiple of the run's own floor, marked where the floor was not steady.
pub(super) fn in_own_floors(at: &Place, run: &RunReport) -> Cell {
    let p50 = run.own_floor.and_then(|floor| floor.p50_ratio);
    let cell = at.cell("own_floor/p50_ratio", p50, 2);
    if p50.is_some() && run.floor.drifted { cell.beside("drifted") } else { cell }
}

fn verdict_cell(run: &RunReport) -> Cell {
    Cell::from(verdict(run)).of_kind(Kind::Verdict(run.status))
}
