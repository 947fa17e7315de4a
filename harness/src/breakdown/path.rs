//! The critical path: the steps that the end of a task waited for, one after the other.

use super::{Segment, StepMoves, TaskTimes};

/// A piece of the way from the request to the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// What it is spent on.
    pub segment: Segment,
    /// The step's place among the task's; nothing for the client's own two ends.
    pub step: Option<usize>,
    /// From when, in microseconds since the request.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
}

impl Piece {
    /// How long it takes; below 0 where the clocks, or the audit, contradict each other.
    pub fn us(&self) -> i64 {
        self.to_us - self.from_us
    }
}

/// The pieces of the way, from the request to the answer without a gap. It is found from its end:
/// the step that ended last, then of its parents the one that ended last, and so on (the critical
/// path of Kelley and Walker, 1959, taken from what has happened). Nothing where no step has run.
pub fn critical_path(task: &TaskTimes) -> Option<Vec<Piece>> {
    let has_run = |step: &StepMoves| step.pieces().next().is_some();
    let runners = task.steps.iter().enumerate().filter(|(_, step)| has_run(step));
    let (last, _) = runners.max_by_key(|(_, step)| step.last_us())?;
    let mut way = vec![last];
    // No way has more steps than the task: a cycle of parents cannot hold us.
    while way.len() <= task.steps.len() {
        let here = way.last().copied().and_then(|place| task.steps.get(place))?;
        let parents = here.parents.iter().filter_map(|parent| usize::try_from(*parent).ok());
        let parents = parents.filter(|parent| task.steps.get(*parent).is_some_and(has_run));
        match parents.max_by_key(|parent| task.steps[*parent].last_us()) {
            Some(parent) => way.push(parent),
            None => break,
        }
    }
    way.reverse();
    let mut pieces = Vec::with_capacity(way.len() * 4 + 1);
    let mut now = 0;
    for (nr, place) in way.iter().enumerate() {
        let step = &task.steps[*place];
        let (segment, of) = match nr {
            0 => (Segment::Create, None),
            _ => (Segment::Enqueue, Some(*place)),
        };
        pieces.push(Piece { segment, step: of, from_us: now, to_us: step.first_us() });
        pieces.extend(step.pieces().map(|(segment, from_us, to_us)| Piece {
            segment,
            step: Some(*place),
            from_us,
            to_us,
        }));
        now = step.last_us();
    }
    let (segment, step, to_us) = (Segment::Notify, None, task.ended_us);
    pieces.push(Piece { segment, step, from_us: now, to_us });
    Some(pieces)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use stepmark_workflow::state::StepState::{
        Complete, Enqueued, EnqueuedForOrchestration, InProgress, Skipped, WaitingForRetry,
    };

    fn step(name: u32, parents: &[u32], times: [i64; 4]) -> StepMoves {
        let states = [Enqueued, InProgress, EnqueuedForOrchestration, Complete];
        let moves = states.into_iter().zip(times).collect();
        StepMoves { name, parents: parents.to_vec(), moves }
    }

    /// Each piece as its segment, its step and its length.
    fn lengths(task: &TaskTimes) -> Vec<(Segment, Option<usize>, i64)> {
        let pieces = critical_path(task).unwrap();
        pieces.iter().map(|piece| (piece.segment, piece.step, piece.us())).collect()
    }

    #[test]
    fn the_slower_branch_of_a_diamond_is_on_the_way() {
        let steps = vec![
            step(0, &[], [10, 20, 30, 40]),
            step(1, &[0], [41, 50, 60, 70]),
            step(2, &[0], [41, 55, 80, 90]),
            step(3, &[1, 2], [92, 100, 110, 130]),
        ];
        let task = TaskTimes { ended_us: 150, steps };
        use Segment::*;
        assert_eq!(
            lengths(&task),
            [
                (Create, None, 10),
                (Claim, Some(0), 10),
                (Handler, Some(0), 10),
                (Process, Some(0), 10),
                (Enqueue, Some(2), 1),
                (Claim, Some(2), 14),
                (Handler, Some(2), 25),
                (Process, Some(2), 10),
                (Enqueue, Some(3), 2),
                (Claim, Some(3), 8),
                (Handler, Some(3), 10),
                (Process, Some(3), 20),
                (Notify, None, 20),
            ]
        );
        let pieces = critical_path(&task).unwrap();
        assert_eq!(pieces.iter().map(Piece::us).sum::<i64>(), 150);
    }

    #[test]
    fn a_retry_has_a_piece_and_a_skipped_parent_is_not_waited_for() {
        let moves = vec![
            (Enqueued, 5),
            (InProgress, 10),
            (EnqueuedForOrchestration, 20),
            (WaitingForRetry, 25),
            (Enqueued, 125),
            (InProgress, 130),
            (EnqueuedForOrchestration, 140),
            (Complete, 150),
        ];
        let retried = StepMoves { name: 0, parents: vec![], moves };
        let skipped = StepMoves { name: 1, parents: vec![0], moves: vec![(Skipped, 151)] };
        let last = step(2, &[0, 1], [152, 160, 170, 180]);
        let task = TaskTimes { ended_us: 200, steps: vec![retried, skipped, last] };
        let found = lengths(&task);
        assert!(found.contains(&(Segment::Retry, Some(0), 100)), "{found:?}");
        assert!(found.iter().all(|(_, step, _)| *step != Some(1)), "{found:?}");
        assert_eq!(found.iter().map(|(.., us)| us).sum::<i64>(), 200);
    }

    #[test]
    fn nothing_has_run_and_a_cycle_are_survived() {
        assert_eq!(critical_path(&TaskTimes { ended_us: 5, steps: vec![] }), None);
        let steps = vec![step(0, &[1], [1, 2, 3, 4]), step(1, &[0], [1, 2, 3, 5])];
        assert!(critical_path(&TaskTimes { ended_us: 9, steps }).is_some());
    }
}
