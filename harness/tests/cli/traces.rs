//! `bench --traces` with the real engine: the trace of one task, and what it costs to write.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::engine::with_engine;
use crate::program::bench;

#[test]
fn the_report_keeps_one_trace_and_tells_what_traces_cost() {
    let mut program = with_engine(bench("traces", ""));
    program.command.args(["--traces", "--samples", "60"]);
    let finished = program.output();
    // No budget of latency is judged, and all counts are as without traces.
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let run = finished.run();
    let difference = &run["difference"];
    assert_eq!(difference["called"], "cost of traces", "{run}");
    assert_eq!(difference["with"], "itself without traces");
    assert_eq!(difference["on"], "own");
    assert_eq!(difference["pairs"], 54, "a tenth is for warming up");
    assert!(difference["ms"]["median"].is_f64(), "{difference}");
    assert!(run["notes"].to_string().contains("traces were written"), "{run}");
    assert!(finished.stdout.contains("cost of traces"), "{}", finished.stdout);

    let name = run["trace"].as_str().unwrap();
    assert_eq!(name, "linear_rust-pgmq.trace.json");
    let text = fs::read_to_string(finished.folder.join("report").join(name)).unwrap();
    let trace: Value = serde_json::from_str(&text).unwrap();
    let mut spans: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut count: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for resource in trace["resourceSpans"].as_array().unwrap() {
        let attributes = resource["resource"]["attributes"].as_array().unwrap();
        let service = attributes.iter().find(|it| it["key"] == "service.name").unwrap();
        let service = service["value"]["stringValue"].as_str().unwrap();
        for span in resource["scopeSpans"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|scope| scope["spans"].as_array().unwrap())
        {
            spans.insert(span["spanId"].as_str().unwrap(), span);
            let name = span["name"].as_str().unwrap().split(' ').next().unwrap();
            *count.entry((service, name)).or_default() += 1;
        }
    }
    let (orchestrator, worker) = ("stepmark-orchestrator", "stepmark-worker");
    let expected = [
        (("stepmark-client", "task"), 1),
        ((orchestrator, "create"), 1),
        ((orchestrator, "step"), 4),
        ((orchestrator, "queue"), 4),
        ((worker, "claim"), 4),
        ((worker, "handler"), 4),
        ((worker, "complete"), 4),
        ((orchestrator, "process"), 4),
    ];
    assert_eq!(count, BTreeMap::from(expected));
    let ns = |span: &Value, field: &str| span[field].as_str().unwrap().parse::<u64>().unwrap();
    let (roots, others): (Vec<&Value>, Vec<&Value>) =
        spans.values().partition(|span| span["name"] == "task");
    for span in others {
        assert!(spans.contains_key(span["parentSpanId"].as_str().unwrap()), "{span}");
        assert_eq!(span["traceId"], roots[0]["traceId"], "{span}");
        // One machine has one clock: it all lies between the client's request and its answer, but
        // for what a process does after the one that it tells.
        let begun = ns(span, "startTimeUnixNano");
        assert!(begun >= ns(roots[0], "startTimeUnixNano"), "{span}");
        assert!(begun <= ns(roots[0], "endTimeUnixNano"), "{span}");
    }
}

#[test]
fn what_was_not_compared_is_told() {
    let mut program = with_engine(bench("traces_at_once", ""));
    program.command.args(["--traces", "--samples", "60", "--concurrency", "4"]);
    let finished = program.output();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let run = finished.run();
    assert!(run["difference"].is_null() && run["trace"].is_string(), "{run}");
    assert!(run["notes"].to_string().contains("no cost of traces: it takes one task"), "{run}");
}
