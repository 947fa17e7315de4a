//! Where the time of all runs goes: by segment and by rate.

use super::{Cell, Kind, Part, Place, Table, which};
use crate::breakdown::SegmentTime;
use crate::report::Report;
use crate::verdict::RunReport;

pub(super) fn segments(report: &Report) -> Table {
    let header =
        ["scenario", "broker", "cluster", "load", "segment", "P50", "P95", "share", "tasks"];
    let rows = |(no, run): (usize, &RunReport)| {
        let breakdown = run.breakdown.iter();
        let rows = breakdown.flat_map(move |breakdown| {
            let at = Place::run(no).below("breakdown");
            breakdown.segments.iter().enumerate().map(move |(segment_no, segment)| {
                let mut row = Vec::from(which(no, run));
                row.extend(segment_cells(&at, segment_no, segment));
                row.push(at.count("tasks", breakdown.tasks as u64));
                row
            })
        });
        rows.collect::<Vec<_>>()
    };
    let note = "Where the time of a task goes, in ms: the segments of its critical path, from the \
                engine's own transition times and the client's; their sum is the latency";
    let rows = report.runs.iter().enumerate().flat_map(rows);
    Table::new("segments", "Where the time goes", note, &header).rows(rows)
}

pub(super) fn segment_cells(at: &Place, no: usize, segment: &SegmentTime) -> [Cell; 4] {
    let at = at.below(format!("segments/{no}"));
    [
        segment.segment.name().into(),
        at.cell("p50_ms", Some(segment.p50_ms), 3),
        at.cell("p95_ms", Some(segment.p95_ms), 3),
        percent(at.figure_in(0.01, "share", Some(segment.share), 1), segment.share),
    ]
}

pub(super) fn percent(figure: Part, share: f64) -> Cell {
    Cell::from(figure).with(" %").of_kind(Kind::Share(share))
}

pub(super) fn ladders(report: &Report) -> Table {
    let header =
        ["scenario", "broker", "cluster", "asked/s", "achieved/s", "n", "P50", "P95", "remark"];
    let rows = report.ladders.iter().enumerate().flat_map(|(no, ladder)| {
        ladder.rungs.iter().enumerate().map(move |(rung_no, rung)| {
            let at = Place::ladder(no).below(format!("rungs/{rung_no}"));
            let is_knee = ladder.knee_per_s == Some(rung.asked_per_s);
            let remark = match (is_knee, rung.is_short) {
                (true, _) => "the knee",
                (false, true) => "SHORT of the rate",
                (false, false) => "",
            };
            vec![
                ladder.scenario.clone().into(),
                ladder.broker.name().into(),
                ladder.on.clone().into(),
                at.cell("asked_per_s", Some(rung.asked_per_s), 1),
                at.cell("achieved_per_s", Some(rung.achieved_per_s), 1),
                at.count("samples", rung.samples),
                at.cell("p50_ms", Some(rung.p50_ms), 2),
                at.cell("p95_ms", Some(rung.p95_ms), 2),
                remark.into(),
            ]
        })
    });
    let note = "Throughput against latency: an open loop at rising rates, latencies in ms; at the \
                knee throughput over latency is highest";
    let mut table = Table::new("ladders", "Rate ladders", note, &header).rows(rows);
    for ladder in &report.ladders {
        let name = format!("{} on {}, {} cluster", ladder.scenario, ladder.broker, ladder.on);
        let knee = ladder.knee_per_s.map_or_else(
            || "no knee was found".to_owned(),
            |knee| format!("the knee is at {knee:.0}/s"),
        );
        table.notes.push(format!("{name}: {knee}; stopped: {}", ladder.why_stopped));
    }
    table
}
