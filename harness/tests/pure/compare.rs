//! Two reports side by side, and what makes them comparable.

use serde_json::{Value, json};
use stepmark_harness::broker::Broker;
use stepmark_harness::compare::{Comparison, Row, compare};
use stepmark_harness::fingerprint::Fingerprint;
use stepmark_harness::grid::Look;
use stepmark_harness::report::Report;

use crate::sample;

fn read(report: &Value) -> Report {
    Report::parse(&report.to_string()).unwrap()
}

fn compared(first: &Value, second: &Value) -> Comparison {
    compare(["before", "after"], &read(first), &read(second))
}

fn row<'c>(comparison: &'c Comparison, run: &str, figure: &str) -> &'c Row {
    comparison.rows.iter().find(|row| row.run == run && row.figure == figure).unwrap()
}

/// The sample in which everything of its first run takes so much longer.
fn slower(ratio: f64) -> Value {
    let mut report = sample::small();
    let run = &mut report["runs"][0];
    for place in [
        "/latency_ms/p50",
        "/latency_ms/p95",
        "/distribution/interval_ms/p50/low",
        "/distribution/interval_ms/p50/high",
        "/distribution/interval_ms/p95/low",
        "/distribution/interval_ms/p95/high",
        "/own_floor/p50_ratio",
    ] {
        let figure = run.pointer_mut(place).unwrap();
        *figure = json!(figure.as_f64().unwrap() * ratio);
    }
    report
}

#[test]
fn a_report_beside_a_slower_one_reads_well() {
    let mut second = slower(1.25);
    second["git"]["revision"] = json!("b76d60ba1f0e5c1f9f0d5a114a38476e6ba2f37b");
    second["source_hash"] = json!("fedcba9876543210");
    let run = &mut second["runs"][0];
    run["work"]["messages"] = json!(9.0);
    run["work"]["wal_bytes"] = json!(20_000.0);
    run["work_each"]["sql_statements"]["p50"] = json!(13.0);
    run["status"] = json!("over_budget");
    run["problems"] = json!(["budget broken: messages is 9 where 8 is allowed"]);
    let other = second["runs"][1].take();
    second["runs"].as_array_mut().unwrap().truncate(1);
    assert_eq!(other["scenario"], "ffi_linear_python");
    let comparison = compared(&sample::small(), &second);
    assert_eq!(comparison.refusal(), None);
    insta::assert_snapshot!("compared.txt", comparison.render(Look::Terminal));
    insta::assert_snapshot!("compared.md", comparison.render(Look::Markdown));
}

#[test]
fn the_intervals_say_whether_a_ratio_can_be_chance() {
    let run = "linear_rust-pgmq";
    for (ratio, apart) in [(1.25, true), (0.8, true), (1.001, false)] {
        let comparison = compared(&sample::small(), &slower(ratio));
        let found = row(&comparison, run, "P50 ms").ratio.unwrap();
        assert!((found.value - ratio).abs() < 1e-9, "{found:?}");
        let ends = found.interval.unwrap();
        assert!(ends.low < ratio && ratio < ends.high, "{found:?}");
        assert_eq!(found.is_apart(), Some(apart), "{found:?}");
    }
    let same = compared(&sample::small(), &sample::small());
    assert_eq!(row(&same, run, "tasks/s").ratio.unwrap().interval, None);
    let is_work = |row: &Row| row.figure.contains('_');
    assert!(!same.rows.iter().any(is_work), "work that is the same is not told");
    // Of an older harness there are no intervals.
    let old = compared(&sample::old(), &sample::small());
    assert_eq!(row(&old, run, "P50 ms").ratio.unwrap().is_apart(), None);
}

#[test]
fn times_of_other_environments_are_marked_and_multiples_are_not() {
    let mut second = sample::small();
    second["machine"]["cores"] = json!(4);
    second["environment"]["postgres"]["settings"]["fsync"] = json!("off");
    let comparison = compared(&sample::small(), &second);
    let refusal = comparison.refusal().unwrap();
    assert!(refusal.contains("  cores: 2 | 4\n"), "{refusal}");
    assert!(refusal.contains("  postgres fsync: on | off\n"), "{refusal}");
    for (figure, is_marked) in
        [("P50 ms", true), ("P95 ms", true), ("tasks/s", true), ("P50 × own floor", false)]
    {
        let row = row(&comparison, "linear_rust-pgmq", figure);
        assert_eq!((row.is_marked, row.ratio.is_none()), (is_marked, is_marked), "{row:?}");
    }
    let text = comparison.render(Look::Terminal);
    assert!(text.lines().any(|line| line.contains("P50 ms") && line.contains('≠')), "{text}");
}

#[test]
fn runs_are_found_by_name_and_open_loops_by_their_arrivals_too() {
    let mut second = sample::whole();
    let runs = second["runs"].as_array_mut().unwrap();
    let poisson = runs.iter_mut().find(|run| run["mode"] == "open loop, Poisson").unwrap();
    poisson["mode"] = json!("open loop, fixed");
    let remarks = compared(&sample::whole(), &second).remarks;
    for remark in
        ["linear_rust-pgmq-50ps: only A has it", "linear_rust-pgmq-50ps-fixed: only B has it"]
    {
        assert!(remarks.iter().any(|it| it == remark), "{remark}: {remarks:?}");
    }
    assert!(!remarks.iter().any(|it| it.starts_with("diamond_rust")), "{remarks:?}");
}

#[test]
fn a_fingerprint_is_of_the_place_and_not_of_the_revision() {
    let of = |change: &dyn Fn(&mut Value)| {
        let mut report = sample::small();
        change(&mut report);
        Fingerprint::of(&read(&report))
    };
    let here = of(&|_| {});
    for same in [
        of(&|report| report["source_hash"] = json!("other")),
        of(&|report| report["git"] = Value::Null),
        of(&|report| report["machine"]["memory_bytes"] = json!(25_769_803_776_u64 - 4_096)),
        of(&|report| report["machine"]["disk"]["mounted_at"] = json!("/data")),
    ] {
        assert_eq!(same.hash(), here.hash());
    }
    for other in [
        of(&|report| report["machine"]["cpu"] = json!("Another CPU")),
        of(&|report| report["machine"]["memory_bytes"] = json!(8_u64 << 30)),
        of(&|report| report["machine"]["kernel"] = json!("Linux 6.12")),
        of(&|report| report["machine"]["disk"] = Value::Null),
        of(&|report| report["environment"]["backend"] = json!("docker")),
        of(&|report| report["environment"]["postgres_transport"] = json!("tcp")),
        of(&|report| report["environment"]["postgres"]["version"] = json!("17.1")),
        of(&|report| report["environment"]["rabbitmq"]["version"] = json!("4.0")),
    ] {
        assert_ne!(other.hash(), here.hash());
        assert_eq!(here.deviations(&other).len(), 1);
    }
    // Runs on PGMQ have the same place with and without RabbitMQ, whose absence is no deviation.
    let without = of(&|report| report["environment"]["rabbitmq"] = Value::Null);
    assert_eq!(here.deviations(&without), []);
    assert_eq!(here.on(Broker::Pgmq).hash(), without.on(Broker::Pgmq).hash());
    assert_ne!(here.on(Broker::Rabbitmq).hash(), without.on(Broker::Rabbitmq).hash());
}
