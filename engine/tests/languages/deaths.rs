//! Handlers that end their process, or don't end.

use std::time::Duration;

use serde_json::json;

use crate::cluster::{post, step};
use crate::process::{Language, Workers, cluster, create};
use crate::support::{eventually, number};

crate::in_every_language!(
    a_handler_that_ends_its_process_ends_in_error_and_no_other_step_is_lost,
    a_handler_that_does_not_end_costs_its_process_which_is_started_again,
    a_handler_keeps_its_lease_by_heartbeats_until_it_is_told_to_stop,
);

const ONCE: &str = ", retry: {max_attempts: 1}";
/// A lease that is over soon, so that what a dead process held is soon another's.
const SHORT_LEASE: &[&str] = &["--lease-ms", "1000"];

async fn a_handler_that_ends_its_process_ends_in_error_and_no_other_step_is_lost(
    language: Language,
) {
    let cluster = cluster(language, &[("exit", ONCE), ("crash", ONCE), ("wait", ONCE)], &[]);
    let workers = Workers::start(language, &cluster, SHORT_LEASE);
    for (deadly, end) in [("exit", "exit status: 3"), ("crash", "signal: ")] {
        let before = workers.ends().len();
        let killer = create(&cluster, language, deadly, json!({})).await;
        let mut others = Vec::new();
        for _ in 0..10 {
            others.push(create(&cluster, language, "wait", json!({"ms": 20})).await);
        }
        let killer = cluster.ended(&killer, "Error").await;
        let only = step(&killer, "only");
        assert_eq!(only["error"]["kind"], "lease_expired", "{only}");
        assert_eq!(only["lease_expiries"], 4, "{only}");
        // Whoever was beside it has paid for that twice at most.
        for other in others {
            let other = cluster.ended(&other, "Complete").await;
            let expiries = step(&other, "only")["lease_expiries"].as_i64().unwrap();
            assert!(expiries <= 2, "{other}");
        }
        // The last one's end may take a while to be seen.
        let ends =
            async || workers.ends().get(before..).filter(|all| all.len() >= 4).map(<[_]>::to_vec);
        let ends = eventually("four ends", ends).await;
        assert!(ends.iter().all(|it| it.starts_with(end)), "{ends:?}");
    }
    // A process that has begun anew is as good as the first.
    let next = create(&cluster, language, "wait", json!({"ms": 1})).await;
    cluster.ended(&next, "Complete").await;
    assert_eq!(workers.drain().await, "exit status: 0");
    cluster.audit_is_sound().await;
}

async fn a_handler_that_does_not_end_costs_its_process_which_is_started_again(language: Language) {
    let timed = ", timeout_ms: 500, retry: {max_attempts: 1}";
    let cluster = cluster(language, &[("loop", timed), ("wait", ONCE)], &[]);
    let workers = Workers::start(language, &cluster, &["--lease-ms", "60000"]);
    let stuck = create(&cluster, language, "loop", json!({})).await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(create(&cluster, language, "wait", json!({"ms": 20})).await);
    }
    let stuck = cluster.ended(&stuck, "Error").await;
    assert_eq!(step(&stuck, "only")["error"]["kind"], "timeout", "{stuck}");
    for other in others {
        let other = cluster.ended(&other, "Complete").await;
        // What the process could not do it gave back: no lease had to expire.
        assert_eq!(step(&other, "only")["lease_expiries"], 0, "{other}");
    }
    let first = eventually("the end of the process", async || workers.ends().first().cloned());
    assert_eq!(first.await, "exit status: 75");
    let next = create(&cluster, language, "wait", json!({"ms": 1})).await;
    cluster.ended(&next, "Complete").await;
    assert_eq!(workers.drain().await, "exit status: 0");
    assert_eq!(workers.ends().len(), 2, "{:?}", workers.ends());
    cluster.audit_is_sound().await;
}

async fn a_handler_keeps_its_lease_by_heartbeats_until_it_is_told_to_stop(language: Language) {
    let cluster = cluster(language, &[("heartbeat", ONCE), ("wait", ONCE)], &[]);
    let workers = Workers::start(language, &cluster, SHORT_LEASE);
    let task = create(&cluster, language, "heartbeat", json!({})).await;
    let mut sql = cluster.connect().await;
    // Long past its first lease it is still the same attempt's.
    let past = "SELECT count(*) FROM workflow_steps WHERE state = 'InProgress' AND EXISTS (
        SELECT FROM workflow_step_transitions t WHERE t.step_id = workflow_steps.step_id
        AND t.to_state = 'InProgress' AND t.at < clock_timestamp() - interval '3 s')";
    eventually("three leases", async || (number(&mut sql, past).await == 1).then_some(())).await;
    let cancel = post(&cluster.client, &format!("/v1/tasks/{task}/cancel"), None).await;
    assert_eq!(cancel.status, 200, "{}", cancel.text);
    let task = cluster.ended(&task, "Cancelled").await;
    assert_eq!(step(&task, "only")["lease_expiries"], 0);
    let next = create(&cluster, language, "wait", json!({"ms": 1})).await;
    cluster.ended(&next, "Complete").await;
    // The handler was told, so that the drain has nobody to wait for.
    let begun = std::time::Instant::now();
    assert_eq!(workers.drain().await, "exit status: 0");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(workers.ends().len(), 1);
}
