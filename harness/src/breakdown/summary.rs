//! A run's breakdown: segments, steps, and the waterfalls of two tasks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::path::{Piece, critical_path};
use super::{RunTimes, Segment, TaskTimes};
use crate::statistics::quantile_of_sorted;

/// How far the sum of a task's segments may be from its latency.
const SUM_TOLERANCE: f64 = 0.02;
/// Most bars of a waterfall beside those on the critical path.
const BARS_MAX: usize = 400;
/// Most steps that are summed up by name.
const STEPS_MAX: usize = 200;

/// Where the time of a run's tasks goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// The tasks that it is made of.
    pub tasks: usize,
    /// The share of them, 0 to 1, whose segments sum to their latency within 2 %; a negative one
    /// counts as nothing, so that contradicting clocks show.
    pub sums_within_2_percent: f64,
    /// The segments of the critical path that any task has spent time on.
    pub segments: Vec<SegmentTime>,
    /// The steps by name, in the order in which they begin.
    pub steps: Vec<StepTimes>,
    /// The tasks at the median and, where there are 100 and more, at P99.
    pub waterfalls: Vec<Waterfall>,
}

/// A segment of the critical path: what all its pieces in a task take together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentTime {
    /// The segment.
    pub segment: Segment,
    /// The median over the tasks, in milliseconds.
    pub p50_ms: f64,
    /// The 95th percentile, in milliseconds.
    pub p95_ms: f64,
    /// Its share of all time of all tasks, 0 to 1.
    pub share: f64,
}

/// A step by its name: medians over the tasks that have run it, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTimes {
    /// The step's name.
    pub step: String,
    /// The names of its parents that have run.
    pub parents: Vec<String>,
    /// Tasks that have run it.
    pub tasks: usize,
    /// The share of these, 0 to 1, in which it is on the critical path.
    pub on_path: f64,
    /// From the request until it is Enqueued.
    pub enqueued_ms: f64,
    /// From Enqueued to claimed.
    pub claim_ms: f64,
    /// From claimed until the outcome is stored.
    pub handler_ms: f64,
    /// From there until it is processed.
    pub process_ms: f64,
}

/// One task, piece by piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waterfall {
    /// Which task of the run: `P50` or `P99`.
    pub of: String,
    /// Its latency, in milliseconds.
    pub latency_ms: f64,
    /// Its pieces by their beginning.
    pub bars: Vec<Bar>,
}

/// A bar of a waterfall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// The step's name; nothing for the client's own two ends.
    pub step: Option<String>,
    /// What the time is spent on.
    pub segment: Segment,
    /// From when, in milliseconds since the request.
    pub from_ms: f64,
    /// Until when.
    pub to_ms: f64,
    /// Whether the end of the task waited for it.
    pub on_path: bool,
}

impl Breakdown {
    /// The segment that takes most of the time, and its place among the segments.
    pub fn slowest(&self) -> Option<(usize, &SegmentTime)> {
        let by_share = |a: &(usize, &SegmentTime), b: &(usize, &SegmentTime)| {
            a.1.share.total_cmp(&b.1.share).then(b.0.cmp(&a.0))
        };
        self.segments.iter().enumerate().max_by(by_share)
    }
}

/// Sums up a run; nothing where no task has run a step.
pub fn breakdown(times: &RunTimes) -> Option<Breakdown> {
    let paths = times.tasks.iter().filter_map(|task| Some((task, critical_path(task)?)));
    let paths: Vec<(&TaskTimes, Vec<Piece>)> = paths.collect();
    if paths.is_empty() {
        return None;
    }
    let is_sound = |(task, pieces): &&(&TaskTimes, Vec<Piece>)| {
        let sum: i64 = pieces.iter().map(|piece| piece.us().max(0)).sum();
        (sum - task.ended_us).abs() as f64 <= SUM_TOLERANCE * task.ended_us as f64
    };
    let sound = paths.iter().filter(is_sound).count();
    Some(Breakdown {
        tasks: paths.len(),
        sums_within_2_percent: sound as f64 / paths.len() as f64,
        segments: segments(&paths),
        steps: steps(times, &paths),
        waterfalls: waterfalls(times, &paths),
    })
}

fn segments(paths: &[(&TaskTimes, Vec<Piece>)]) -> Vec<SegmentTime> {
    let all_us: i64 = paths.iter().map(|(task, _)| task.ended_us).sum();
    let summed = |segment| {
        let of_task = |pieces: &[Piece]| -> i64 {
            pieces.iter().filter(|piece| piece.segment == segment).map(Piece::us).sum()
        };
        let mut each: Vec<f64> = paths.iter().map(|(_, way)| ms(of_task(way))).collect();
        let sum: f64 = each.iter().sum();
        each.sort_by(f64::total_cmp);
        let at = |quantile| quantile_of_sorted(&each, quantile).unwrap_or_default();
        let share = sum / ms(all_us.max(1));
        SegmentTime { segment, p50_ms: at(0.5), p95_ms: at(0.95), share }
    };
    let is_there = |segment: &Segment| {
        paths.iter().any(|(_, way)| way.iter().any(|piece| piece.segment == *segment))
    };
    Segment::ALL.into_iter().filter(is_there).map(summed).collect()
}

#[derive(Default)]
struct Gathered {
    parents: BTreeMap<u32, ()>,
    on_path: usize,
    enqueued: Vec<f64>,
    in_segment: BTreeMap<Segment, Vec<f64>>,
}

fn steps(times: &RunTimes, paths: &[(&TaskTimes, Vec<Piece>)]) -> Vec<StepTimes> {
    let mut gathered: BTreeMap<u32, Gathered> = BTreeMap::new();
    for (task, way) in paths {
        for (place, step) in task.steps.iter().enumerate() {
            if step.pieces().next().is_none() {
                continue;
            }
            let entry = gathered.entry(step.name).or_default();
            entry.enqueued.push(ms(step.first_us()));
            entry.on_path += usize::from(way.iter().any(|piece| piece.step == Some(place)));
            let mut own: BTreeMap<Segment, i64> = BTreeMap::new();
            for (segment, from, to) in step.pieces() {
                *own.entry(segment).or_default() += to - from;
            }
            for (segment, us) in own {
                entry.in_segment.entry(segment).or_default().push(ms(us));
            }
            let parents = step.parents.iter().filter_map(|parent| task.steps.get(*parent as usize));
            let parents = parents.filter(|parent| parent.pieces().next().is_some());
            entry.parents.extend(parents.map(|parent| (parent.name, ())));
        }
    }
    let name = |name: u32| times.names.get(name as usize).cloned().unwrap_or_default();
    let summed = |(of, entry): (u32, Gathered)| {
        let tasks = entry.enqueued.len();
        let segment = |segment| median(entry.in_segment.get(&segment).cloned().unwrap_or_default());
        StepTimes {
            step: name(of),
            parents: entry.parents.keys().map(|parent| name(*parent)).collect(),
            tasks,
            on_path: entry.on_path as f64 / tasks as f64,
            enqueued_ms: median(entry.enqueued.clone()),
            claim_ms: segment(Segment::Claim),
            handler_ms: segment(Segment::Handler),
            process_ms: segment(Segment::Process),
        }
    };
    let mut steps: Vec<StepTimes> = gathered.into_iter().map(summed).collect();
    steps.sort_by(|a, b| a.enqueued_ms.total_cmp(&b.enqueued_ms).then(a.step.cmp(&b.step)));
    steps.truncate(STEPS_MAX);
    steps
}

fn waterfalls(times: &RunTimes, paths: &[(&TaskTimes, Vec<Piece>)]) -> Vec<Waterfall> {
    let mut by_latency: Vec<&(&TaskTimes, Vec<Piece>)> = paths.iter().collect();
    by_latency.sort_by_key(|(task, _)| task.ended_us);
    let at = |quantile: f64| by_latency[((by_latency.len() - 1) as f64 * quantile) as usize];
    let mut wanted = vec![("P50", at(0.5))];
    if by_latency.len() >= 100 {
        wanted.push(("P99", at(0.99)));
    }
    wanted.into_iter().map(|(of, (task, way))| waterfall(times, of, task, way)).collect()
}

fn waterfall(times: &RunTimes, of: &str, task: &TaskTimes, way: &[Piece]) -> Waterfall {
    let name = |place: usize| {
        let step = task.steps.get(place)?;
        times.names.get(step.name as usize).cloned()
    };
    let bar = |piece: &Piece, on_path| Bar {
        step: piece.step.and_then(name),
        segment: piece.segment,
        from_ms: ms(piece.from_us),
        to_ms: ms(piece.to_us),
        on_path,
    };
    let is_beside = |place: &usize| way.iter().all(|piece| piece.step != Some(*place));
    let beside = (0..task.steps.len()).filter(is_beside).flat_map(|place| {
        let piece =
            move |(segment, from_us, to_us)| Piece { segment, step: Some(place), from_us, to_us };
        task.steps[place].pieces().map(piece)
    });
    let beside: Vec<Bar> = beside.take(BARS_MAX).map(|piece| bar(&piece, false)).collect();
    let mut bars: Vec<Bar> = way.iter().map(|piece| bar(piece, true)).chain(beside).collect();
    bars.sort_by(|a, b| a.from_ms.total_cmp(&b.from_ms));
    Waterfall { of: of.to_owned(), latency_ms: ms(task.ended_us), bars }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile_of_sorted(&values, 0.5).unwrap_or_default()
}

fn ms(us: i64) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::StepMoves;
    use super::*;
    use stepmark_workflow::state::StepState::{
        Complete, Enqueued, EnqueuedForOrchestration, InProgress,
    };

    /// A chain of two steps; `slow` is how much longer the second one's handler takes.
    fn task(slow: i64) -> TaskTimes {
        let step = |name: u32, parents: Vec<u32>, from: i64, slow: i64| StepMoves {
            name,
            parents,
            moves: vec![
                (Enqueued, from),
                (InProgress, from + 100),
                (EnqueuedForOrchestration, from + 300 + slow),
                (Complete, from + 400 + slow),
            ],
        };
        let steps = vec![step(0, vec![], 500, 0), step(1, vec![0], 910, slow)];
        TaskTimes { ended_us: 1_500 + slow, steps }
    }

    fn times(tasks: Vec<TaskTimes>) -> RunTimes {
        RunTimes { names: vec!["first".to_owned(), "second".to_owned()], tasks }
    }

    #[test]
    fn segments_and_steps_are_summed_up_and_two_tasks_shown() {
        let found = breakdown(&times((0..100).map(|nr| task(nr * 10)).collect())).unwrap();
        assert_eq!((found.tasks, found.sums_within_2_percent), (100, 1.0));
        let handler = &found.segments[2];
        assert_eq!(handler.segment, Segment::Handler);
        assert!((handler.p50_ms - 0.89).abs() < 1e-9, "{handler:?}");
        assert!((found.segments.iter().map(|s| s.share).sum::<f64>() - 1.0).abs() < 1e-9);
        let second = &found.steps[1];
        assert_eq!(
            (second.step.as_str(), &second.parents[..]),
            ("second", &["first".to_owned()][..])
        );
        assert_eq!((second.on_path, second.claim_ms), (1.0, 0.1));
        let shown: Vec<_> =
            found.waterfalls.iter().map(|w| (w.of.as_str(), w.latency_ms)).collect();
        assert_eq!(shown, [("P50", 1.99), ("P99", 2.48)]);
        assert_eq!(found.waterfalls[0].bars.len(), 9);
    }

    #[test]
    fn clocks_that_contradict_each_other_show() {
        let mut ahead = task(0);
        // The database's clock is 0.4 ms ahead of the client's: the last piece is negative.
        for step in &mut ahead.steps {
            step.moves.iter_mut().for_each(|(_, at)| *at += 400);
        }
        let found = breakdown(&times(vec![task(0), ahead])).unwrap();
        assert_eq!(found.sums_within_2_percent, 0.5);
    }
}
