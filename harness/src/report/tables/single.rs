//! The tables of a single run.

use super::time::{percent, segment_cells};
use super::{Cell, Kind, NONE, Place, Table};
use crate::breakdown::{Bar, Breakdown, StepTimes, Waterfall};
use crate::verdict::RunReport;

/// What there is to one run.
pub(in crate::report) fn of_run(no: usize, run: &RunReport) -> Tables {
    Tables {
        segments: run.breakdown.as_ref().map(|it| segments(no, it)),
        steps: run.breakdown.as_ref().map(|it| steps(no, it)),
        worker: worker(no, run),
        budget: budget(run),
        work: work(no, run),
        cpu: cpu(no, run),
        floor: floor(no, run),
    }
}

/// The tables of a run; without rows where it has nothing to tell.
pub(in crate::report) struct Tables {
    pub segments: Option<Table>,
    pub steps: Option<Table>,
    pub worker: Table,
    pub budget: Table,
    pub work: Table,
    pub cpu: Table,
    pub floor: Table,
}

/// The segments of one run.
fn segments(no: usize, breakdown: &Breakdown) -> Table {
    let at = Place::run(no).below("breakdown");
    let note = "The segments of the critical path, in ms a task; storing the outcome is in \
                handler, its commit is not";
    let rows = breakdown.segments.iter().enumerate();
    let rows = rows.map(|(no, segment)| Vec::from(segment_cells(&at, no, segment)));
    let header = ["segment", "P50", "P95", "share"];
    let mut table = Table::new("segments-of", "Where the time goes", note, &header).rows(rows);
    let (share, tasks) = (100.0 * breakdown.sums_within_2_percent, breakdown.tasks);
    table
        .notes
        .push(format!("they sum to the latency within 2 % in {share:.1} % of {tasks} tasks"));
    table
}

/// The steps of one run.
fn steps(no: usize, breakdown: &Breakdown) -> Table {
    let header = [
        "step",
        "waits for",
        "enqueued at",
        "enqueue → claim",
        "handler",
        "result → processed",
        "on the critical path",
        "tasks",
    ];
    let row = |(step_no, step): (usize, &StepTimes)| {
        let at = Place::run(no).below(format!("breakdown/steps/{step_no}"));
        let parents = step.parents.join(", ");
        vec![
            step.step.clone().into(),
            if parents.is_empty() { NONE.into() } else { parents.into() },
            at.cell("enqueued_ms", Some(step.enqueued_ms), 3),
            at.cell("claim_ms", Some(step.claim_ms), 3),
            at.cell("handler_ms", Some(step.handler_ms), 3),
            at.cell("process_ms", Some(step.process_ms), 3),
            percent(at.figure_in(0.01, "on_path", Some(step.on_path), 0), step.on_path),
            at.count("tasks", step.tasks as u64),
        ]
    };
    let note = "Medians by step, in ms; enqueued at: from the task's start";
    let rows = breakdown.steps.iter().enumerate().map(row);
    Table::new("steps-of", "Time by step", note, &header).rows(rows)
}

/// The segments of one task of a run.
pub(in crate::report) fn bars(no: usize, waterfall_no: usize, waterfall: &Waterfall) -> Table {
    let header = ["step", "segment", "from", "to", "took", "critical path"];
    let row = |(bar_no, bar): (usize, &Bar)| {
        let at = format!("breakdown/waterfalls/{waterfall_no}/bars/{bar_no}");
        let at = Place::run(no).below(at);
        vec![
            bar.step.clone().unwrap_or_else(|| NONE.to_owned()).into(),
            bar.segment.name().into(),
            at.cell("from_ms", Some(bar.from_ms), 3),
            at.cell("to_ms", Some(bar.to_ms), 3),
            format!("{:.3}", bar.to_ms - bar.from_ms).into(),
            if bar.on_path { "yes" } else { "no" }.into(),
        ]
    };
    let note = format!("One task of {:.2} ms, in ms from its start", waterfall.latency_ms);
    let rows = waterfall.bars.iter().enumerate().map(row);
    Table::new("bars", "Segments of the task", &note, &header).rows(rows)
}

/// The budget of one run, line by line.
fn budget(run: &RunReport) -> Table {
    let rows = run.budget.iter().map(|line| {
        let words = match line.kept {
            Some(true) => "kept",
            Some(false) => "BROKEN",
            None => "not measured",
        };
        vec![
            line.name.replace('_', " ").into(),
            line.allowed.clone().into(),
            line.measured.clone().into(),
            Cell::from(words).of_kind(Kind::Kept(line.kept)),
        ]
    });
    let note = format!("Work {}, and latency as a multiple of a durable commit", a_sample(run));
    let header = ["budget", "allowed", "measured", "verdict"];
    Table::new("budget-of", "Budget", &note, &header).rows(rows)
}

/// What work is counted for: a task, or all those of a sample.
fn a_sample(run: &RunReport) -> String {
    match run.tasks_a_sample {
        1 => "a task".to_owned(),
        tasks => format!("a sample of {tasks} tasks at once"),
    }
}

/// A step's time in its worker, part by part.
fn worker(no: usize, run: &RunReport) -> Table {
    let at = Place::run(no).below("step_time");
    let rows = run.step_time.iter().flat_map(|time| {
        let all = time.run_us + time.completion_us;
        let parts = [
            ("handler", "handler_us", time.handler_us),
            ("JSON, on both sides", "serialisation_us", time.serialisation_us),
            ("bridge between the languages", "bridge_us", time.bridge_us),
            ("run: from the claim to the outcome", "run_us", Some(time.run_us)),
            ("completion: until it is stored", "completion_us", Some(time.completion_us)),
        ];
        let row = |(words, name, us): (&str, &str, Option<f64>)| {
            let us = us?;
            let share = us / all;
            let bar = Cell::from(format!("{:.0} %", 100.0 * share)).of_kind(Kind::Share(share));
            Some(vec![words.into(), at.cell(name, Some(us), 0), bar])
        };
        parts.into_iter().filter_map(row).collect::<Vec<_>>()
    });
    let note = "A step, by the worker's own metrics: mean in µs; run is handler, JSON and bridge";
    Table::new("worker-of", "A step in its worker", note, &["part", "µs", "share"]).rows(rows)
}

/// The mean work of a task, and how far single tasks lie apart.
fn work(no: usize, run: &RunReport) -> Table {
    let at = Place::run(no);
    let row = |(name, mean): (&str, Option<f64>)| {
        let mean = Some(mean?);
        let each = run.work_each.get(name);
        let of_each = at.below("work_each").below(name);
        Some(vec![
            name.replace('_', " ").into(),
            at.below("work").cell(name, mean, 2),
            of_each.cell("min", each.map(|it| it.min), 0),
            of_each.cell("p50", each.map(|it| it.p50), 0),
            of_each.cell("max", each.map(|it| it.max), 0),
        ])
    };
    let note = "Counted from outside the engine; lowest, median and highest where it was counted \
                task by task";
    let what = format!("work {}", a_sample(run));
    let header = [what.as_str(), "mean", "lowest", "median", "highest"];
    Table::new("work-of", "Work", note, &header)
        .rows(run.work.figures().into_iter().filter_map(row))
}

fn cpu(no: usize, run: &RunReport) -> Table {
    let at = Place::run(no).below("cpu_ms_by_process");
    let all = run.work.cpu_ms.filter(|ms| *ms > 0.0);
    let row = |(process, ms): (&String, &Option<f64>)| {
        let share = match ms.zip(all) {
            None => NONE.into(),
            Some((ms, all)) => {
                Cell::from(format!("{:.0} %", 100.0 * ms / all)).of_kind(Kind::Share(ms / all))
            }
        };
        vec![process.clone().into(), at.cell(process, *ms, 2), share]
    };
    let note = format!("CPU milliseconds {}", a_sample(run));
    let header = ["process", "CPU ms", "share"];
    Table::new("cpu-of", "CPU", &note, &header).rows(run.cpu_ms_by_process.iter().map(row))
}

fn floor(no: usize, run: &RunReport) -> Table {
    let at = Place::run(no);
    let (floor, of_run, of_path) = (&run.floor.median, at.below("floor"), at.below("own_floor"));
    let own = run.own_floor;
    let blocks = [
        ("durable commit", "commit_ms", floor.commit_ms, "commits", own.map(|it| it.commits)),
        (
            "SQL round trip",
            "sql_round_trip_ms",
            floor.sql_round_trip_ms,
            "sql_round_trips",
            own.map(|it| it.sql_round_trips),
        ),
        ("broker hop", "broker_hop_ms", floor.broker_hop_ms, "hops", own.map(|it| it.hops)),
        (
            "HTTP round trip",
            "http_ms",
            floor.http_ms,
            "http_round_trips",
            own.map(|it| it.http_round_trips),
        ),
    ];
    let row = |(words, name, ms, count_name, count): (&str, _, Option<f64>, _, Option<u32>)| {
        let ms = Some(ms?);
        let figures = [of_run.cell(name, ms, 3), of_path.cell(count_name, count.map(f64::from), 0)];
        Some(std::iter::once(Cell::from(words)).chain(figures).collect())
    };
    let note = "What the machine itself takes, in ms (median of three rounds), and how often the \
                critical path needs it";
    let header = ["building block", "ms", "on the path"];
    let rows = blocks.into_iter().filter_map(row);
    let mut table = Table::new("floor-of", "The machine's floor", note, &header).rows(rows);
    table.notes.extend(own.map(|own| {
        format!(
            "the own floor of the scenario: {:.3} ms, if all of these follow each other",
            own.ms
        )
    }));
    table.without_empty(&["on the path"])
}
