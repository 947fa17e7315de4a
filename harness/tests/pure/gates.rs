//! What a gate says of rows.

use stepmark_harness::breakdown::{RunTimes, Segment, StepMoves, TaskTimes};
use stepmark_harness::broker::Broker;
use stepmark_harness::gate::{Gate, Row, markdown, shifts, terminal};
use stepmark_harness::measurement::Turns;
use stepmark_workflow::state::StepState;

/// Latencies of 5 ms with a tenth of noise, every seventh three times as long; the head's are
/// longer by this factor.
fn blocks(factor: f64) -> Vec<[[f64; 2]; 2]> {
    let noise = |nr: u64| 1.0 + 0.1 * (((nr * 7_919) % 101) as f64 / 50.0 - 1.0);
    let one = |nr: u64| 5.0 * noise(nr) * if nr % 7 == 3 { 3.0 } else { 1.0 };
    let block = |nr: u64| {
        let (base, head) = ([one(4 * nr), one(4 * nr + 3)], [one(4 * nr + 1), one(4 * nr + 2)]);
        [base, head.map(|ms| factor * ms)]
    };
    (0..400).map(block).collect()
}

/// Tasks of one step whose claim takes so long, in microseconds.
fn times(claim_us: i64) -> RunTimes {
    use StepState::{Complete, Enqueued, EnqueuedForOrchestration, InProgress};
    let moves = vec![
        (Enqueued, 500),
        (InProgress, 500 + claim_us),
        (EnqueuedForOrchestration, 700 + claim_us),
        (Complete, 900 + claim_us),
    ];
    let steps = vec![StepMoves { name: 0, parents: vec![], moves }];
    let task = TaskTimes { ended_us: 1_000 + claim_us, steps };
    RunTimes { names: vec!["one".to_owned()], tasks: vec![task; 10] }
}

fn row(factor: f64, claim_us: i64) -> Row {
    let times = [times(300), times(claim_us)];
    let turns = Turns { pairs: vec![blocks(factor); 4], times, problems: vec![] };
    Row::of("linear_rust", Broker::Pgmq, &turns)
}

fn gate(first: Vec<Row>, second: Vec<Row>) -> Gate {
    let mut gate = Gate::new("main (0123456789ab)".to_owned(), "this tree".to_owned());
    (gate.first, gate.second) = (first, second);
    Gate::decide(&mut gate.first);
    Gate::decide(&mut gate.second);
    gate
}

#[test]
fn a_slower_head_is_suspected_and_an_equal_or_a_faster_one_is_not() {
    let rows = [1.0, 1.05, 0.9, 1.01].map(|factor| row(factor, 300).differences());
    let shifts = shifts(&rows);
    let suspected: Vec<bool> = shifts.iter().map(|shift| shift.is_suspect).collect();
    assert_eq!(suspected, [false, true, false, false], "{shifts:?}");
    assert!((shifts[1].ratio - 1.05).abs() < 0.01, "{shifts:?}");
    assert!((shifts[2].ratio - 0.9).abs() < 0.01, "{shifts:?}");
}

#[test]
fn a_pair_of_clusters_that_something_else_has_slowed_fails_nothing() {
    let row = |factors: [f64; 4]| {
        let pairs = factors.map(blocks).into();
        let turns = Turns { pairs, times: [times(300), times(300)], problems: vec![] };
        Row::of("linear_rust", Broker::Pgmq, &turns).differences()
    };
    let found = shifts(&[row([1.3, 1.0, 1.0, 1.2]), row([1.0, 1.1, 1.1, 1.1])]);
    assert!(found[0].ratio > 1.03 && found[0].p < 0.05, "{found:?}");
    assert_eq!([found[0].is_suspect, found[1].is_suspect], [false, true], "{found:?}");
}

#[test]
fn a_regression_names_its_segment_in_all_forms() {
    let gate = gate(vec![row(1.0, 300), row(1.2, 1_300)], vec![row(1.2, 1_300)]);
    assert_eq!(gate.regressions().len(), 1);
    let grown = gate.regressions()[0].grown().unwrap();
    assert_eq!((grown.segment, grown.more_ms()), (Segment::Claim, 1.0));
    let said = "slower than the base: linear_rust on pgmq takes 1.20 × as long (most: enqueue → \
                claim +1.000 ms)";
    assert_eq!(gate.verdict(), said);
    assert!(terminal(&gate).ends_with(said), "{}", terminal(&gate));
    let markdown = markdown(&gate);
    assert!(markdown.starts_with(&format!("## ❌ {said}")), "{markdown}");
    assert!(markdown.contains("| linear_rust on pgmq | 5.08 ms"), "{markdown}");
}

#[test]
fn a_suspicion_that_the_second_run_does_not_share_fails_nothing() {
    let gate = gate(vec![row(1.2, 1_300), row(1.0, 300)], vec![row(1.0, 300)]);
    assert!(gate.regressions().is_empty());
    assert_eq!(gate.verdict(), "no slower than the base; one suspicion was not confirmed");
    assert!(markdown(&gate).starts_with("## ✅ "));
}

#[test]
fn a_gate_that_was_broken_off_has_decided_nothing() {
    let mut gate = gate(vec![row(1.2, 1_300)], vec![]);
    gate.second = vec![row(1.2, 1_300)];
    gate.stopped = Some("interrupted".to_owned());
    assert_eq!(gate.verdict(), "not decided: interrupted");
    assert!(markdown(&gate).starts_with("## ❌ not decided: interrupted"));
    assert!(terminal(&gate).contains("not decided"), "{}", terminal(&gate));
}

#[test]
fn a_row_without_samples_or_with_a_problem_decides_nothing() {
    let empty = Row::of("linear_rust", Broker::Pgmq, &Turns::default());
    assert_eq!(empty.problems, ["there are no samples"]);
    let failed = Row::failed("linear_rust", Broker::Pgmq, "head: a worker ended".to_owned());
    let gate = gate(vec![failed, row(1.0, 300)], vec![]);
    assert_eq!(gate.verdict(), "not decided: linear_rust on pgmq: head: a worker ended");
    assert!(markdown(&gate).starts_with("## ❌ "));
}
