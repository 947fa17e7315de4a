//! What races end in, over many rounds with the rivals' starts put off at random.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use stepmark_engine::config::Broker;
use stepmark_engine::worker::{Step, StepError, Worker};
use tokio::time::Instant;

use crate::client::Client;
use crate::cluster::{Cluster, obedient, on_both_brokers, post, step};
use crate::support::{eventually, execute, number, seeds};

on_both_brokers!(
    a_cancel_and_a_completion_end_a_task_once,
    a_time_out_and_a_completion_count_an_attempt_once,
    an_expired_lease_and_a_completion_leave_the_last_holders_result,
    a_redrive_and_a_late_result_leave_the_redriven_ones,
    a_pause_and_claims_leave_nothing_claimed,
    a_failing_batch_and_its_completions_are_redriven_to_the_end,
);

const LINE: &str = "{namespace: n, name: line, steps: [{name: a, handler: work},
    {name: b, handler: work, depends_on: [a]}, {name: c, handler: work, depends_on: [a]},
    {name: d, handler: work, depends_on: [b, c]}]}";

const HASTY: &str = "{namespace: n, name: hasty, steps: [{name: a, handler: work, timeout_ms: 200,
    retry: {max_attempts: 4, backoff_initial_ms: 1, backoff_max_ms: 1}}]}";

const BATCH: &str = "{namespace: n, name: batch, steps: [
    {name: divide, type: batchable, handler: divide},
    {name: part, type: batch_worker, handler: part, depends_on: [divide]},
    {name: merge, type: deferred_convergence, handler: collect, depends_on: [part]}]}";

const ONE: &str = "{namespace: n, name: one, steps: [{name: a, handler: work}]}";

/// Every run of a handler, numbered as they began.
const RUNS: &str = "CREATE TABLE runs (task_uuid uuid, step text, run bigint)";

/// Steps whose result is not what the run gave that began last. One worker's runs begin in the
/// order of its claims.
const NOT_THE_LAST: &str = "SELECT count(*) FROM workflow_steps s \
    JOIN tasks t ON t.task_id = s.step_id >> 16 WHERE s.state = 'Complete' \
    AND (s.result ->> 'run')::bigint <> (SELECT max(r.run) FROM runs r \
        WHERE r.task_uuid = t.task_uuid AND r.step = s.name)";

/// Claims without a run of the handler, or runs without a claim; but for the claims that expired
/// before their turn came.
const UNCLAIMED_RUNS: &str = "SELECT abs((SELECT count(*) FROM runs) - (SELECT \
    count(*) FILTER (WHERE to_state = 'InProgress') \
    - count(*) FILTER (WHERE reason = 'lease expired while held back') \
    FROM workflow_step_transitions))";

/// A pause up to this many ms.
async fn put_off(random: &mut StdRng, ms_max: u64) {
    let us = random.random_range(0..=ms_max * 1000);
    tokio::time::sleep(Duration::from_micros(us)).await;
}

/// A worker whose handler notes each run, and works for a time between these, in ms, at random.
async fn noting(cluster: &Cluster, seed: u64, ms_min: u64, ms_max: u64) -> Worker {
    execute(&mut cluster.connect().await, RUNS).await;
    again(cluster, seed, ms_min, ms_max)
}

/// The same once more, for a second worker.
fn again(cluster: &Cluster, seed: u64, ms_min: u64, ms_max: u64) -> Worker {
    let runs: PgPool =
        PgPoolOptions::new().max_connections(4).connect_lazy_with(cluster.database.options());
    let begun = AtomicI64::new(0);
    Worker::new().handler("n", "work", move |step: Step| {
        let (runs, run) = (runs.clone(), begun.fetch_add(1, Ordering::Relaxed));
        let mut random = StdRng::seed_from_u64(seed ^ run.unsigned_abs());
        let us = random.random_range(ms_min * 1000..=ms_max * 1000);
        let until = Instant::now() + Duration::from_micros(us);
        async move {
            sqlx::query("INSERT INTO runs VALUES ($1, $2, $3)")
                .bind(step.task_uuid)
                .bind(&step.name)
                .bind(run)
                .execute(&runs)
                .await?;
            tokio::time::sleep_until(until).await; // it works
            Ok::<_, StepError>(json!({"run": run, "attempt": step.attempt}))
        }
    })
}

/// Plays as many rounds at once, each with randomness of its own.
async fn rounds<T: Send + 'static, F>(count: u64, seed: u64, round: impl Fn(StdRng) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let all: Vec<_> = (0..count)
        .map(|nr| tokio::spawn(round(StdRng::seed_from_u64(seed ^ (nr << 32)))))
        .collect();
    let mut ended = Vec::new();
    for one in all {
        ended.push(one.await.unwrap());
    }
    ended
}

async fn create(client: &Client, namespace: &str, template: &str) -> String {
    client.create(&json!({"namespace": namespace, "template": template})).await
}

/// Tasks of a template that begin at random moments, at their ends.
async fn ended_tasks(cluster: &Cluster, template: &'static str, seed: u64) -> Vec<Value> {
    let client = cluster.client.clone();
    rounds(25, seed, |mut random| {
        let client = client.clone();
        async move {
            put_off(&mut random, 50).await;
            let task = create(&client, "n", template).await;
            client.ended(&task).await
        }
    })
    .await
}

async fn count(cluster: &Cluster, sql: &str) -> i64 {
    number(&mut cluster.connect().await, sql).await
}

/// Every claim led to a run, and every run had a claim.
async fn runs_are_those_of_claims(cluster: &Cluster) {
    let mut connection = cluster.connect().await;
    eventually("each claim has led to a run", async || {
        (number(&mut connection, UNCLAIMED_RUNS).await == 0).then_some(())
    })
    .await;
}

async fn a_cancel_and_a_completion_end_a_task_once(broker: Broker) {
    let cluster = Cluster::start(broker, &[LINE], &[]);
    let other = cluster.another();
    let worker = noting(&cluster, 0, 0, 5).await;
    let _workers = [cluster.worker(worker, &[]), cluster.worker(again(&cluster, 1, 0, 5), &[])];
    let mut ends = [0, 0];
    for (seed, ms_max) in seeds(5).zip([20, 60, 120, 250, 500]) {
        let clients = [cluster.client.clone(), Client::of(&other)];
        let ended = rounds(20, seed, |mut random| {
            let [client, other] = clients.clone();
            async move {
                let task = create(&client, "n", "line").await;
                put_off(&mut random, ms_max).await;
                let path = format!("/v1/tasks/{task}/cancel");
                let (one, two) =
                    tokio::join!(post(&client, &path, None), post(&other, &path, None));
                (task, one.status, two.status)
            }
        });
        for (task, one, two) in ended.await {
            let state = cluster.client.ended(&task).await["state"].clone();
            let expected = if state == "Cancelled" { 200 } else { 409 };
            assert_eq!((one, two), (expected, expected), "{task} is {state}");
            ends[usize::from(state == "Cancelled")] += 1;
        }
    }
    assert!(ends.iter().all(|count| *count > 0), "no race: {ends:?}");
    let ended_twice = "SELECT count(*) FROM tasks t WHERE 1 <> (SELECT count(*) \
        FROM task_transitions x WHERE x.task_id = t.task_id \
        AND x.to_state IN ('Complete', 'Error', 'Cancelled'))";
    assert_eq!(count(&cluster, ended_twice).await, 0);
    runs_are_those_of_claims(&cluster).await;
    cluster.audit_is_sound().await;
}

async fn a_time_out_and_a_completion_count_an_attempt_once(broker: Broker) {
    let cluster = Cluster::start(broker, &[HASTY], &["--sweep-ms", "10"]);
    let _other = cluster.another();
    let worker = noting(&cluster, 0, 100, 300).await;
    let _worker = cluster.worker(worker, &[]);
    let mut complete = 0;
    for seed in seeds(3) {
        for task in ended_tasks(&cluster, "hasty", seed).await {
            let step = &task["steps"][0];
            if task["state"] == "Complete" {
                assert_eq!(step["result"]["attempt"], step["attempts"], "{task}");
                complete += 1;
            } else {
                assert_eq!((&task["state"], &step["attempts"]), (&json!("Error"), &json!(4)));
                assert_eq!(step["error"]["kind"], "timeout", "{task}");
                assert_eq!(step["result"], Value::Null, "{task}");
            }
        }
    }
    let timed_out = "SELECT count(*) FROM workflow_step_transitions WHERE reason = 'timed out'";
    assert!(complete > 0 && count(&cluster, timed_out).await > 0, "no race: {complete}");
    runs_are_those_of_claims(&cluster).await;
    assert_eq!(count(&cluster, NOT_THE_LAST).await, 0);
    cluster.audit_is_sound().await;
}

async fn an_expired_lease_and_a_completion_leave_the_last_holders_result(broker: Broker) {
    let flags = ["--sweep-ms", "10", "--lease-expiries-max", "1000"];
    let cluster = Cluster::start(broker, &[ONE], &flags);
    let _other = cluster.another();
    let worker = noting(&cluster, 0, 100, 300).await;
    let _worker = cluster.worker(worker, &["--lease-ms", "200"]);
    for seed in seeds(3) {
        for task in ended_tasks(&cluster, "one", seed).await {
            assert_eq!(
                (&task["state"], &task["steps"][0]["attempts"]),
                (&json!("Complete"), &json!(1))
            );
        }
    }
    let expired = "SELECT count(*) FROM workflow_step_transitions WHERE reason = 'lease expired'";
    assert!(count(&cluster, expired).await > 0, "no race");
    runs_are_those_of_claims(&cluster).await;
    assert_eq!(count(&cluster, NOT_THE_LAST).await, 0);
    cluster.audit_is_sound().await;
}

async fn a_redrive_and_a_late_result_leave_the_redriven_ones(broker: Broker) {
    let flags = ["--sweep-ms", "10", "--lease-expiries-max", "1"];
    let cluster = Cluster::start(broker, &[ONE], &flags);
    let other = cluster.another();
    let worker = noting(&cluster, 0, 50, 200).await;
    let _worker = cluster.worker(worker, &["--lease-ms", "120"]);
    let mut redriven = 0;
    for seed in seeds(2) {
        let clients = [cluster.client.clone(), Client::of(&other)];
        let ended = rounds(15, seed, |mut random| {
            let [client, other] = clients.clone();
            async move {
                let task = create(&client, "n", "one").await;
                let path = format!("/v1/tasks/{task}/redrive");
                let mut redriven = 0;
                while client.ended(&task).await["state"] == "Error" {
                    put_off(&mut random, 30).await;
                    let (one, two) =
                        tokio::join!(post(&client, &path, None), post(&other, &path, None));
                    let ok = [one.status, two.status].map(|it| i64::from(it == 200));
                    assert!([one.status, two.status].iter().all(|it| [200, 409].contains(it)));
                    assert!(ok != [0, 0], "{} {}", one.text, two.text);
                    redriven += ok[0] + ok[1];
                }
                redriven
            }
        });
        redriven += ended.await.iter().sum::<i64>();
    }
    let redrives = "SELECT count(*) FROM task_transitions WHERE from_state = 'Error'";
    assert!(redriven > 0, "no race");
    assert_eq!(count(&cluster, redrives).await, redriven, "each redrive was told to one");
    runs_are_those_of_claims(&cluster).await;
    assert_eq!(count(&cluster, NOT_THE_LAST).await, 0);
    cluster.audit_is_sound().await;
}

async fn a_pause_and_claims_leave_nothing_claimed(broker: Broker) {
    let elsewhere = ONE.replace("namespace: n", "namespace: m");
    let cluster = Cluster::start(broker, &[LINE, &elsewhere], &[]);
    let another = cluster.another();
    let other = Client::of(&another);
    let worker = noting(&cluster, 0, 0, 3).await;
    let worker = worker.handler("m", "work", async |_: Step| Ok::<_, StepError>(json!(1)));
    let _worker = cluster.worker(worker, &["--concurrency", "4"]);
    let claims = "SELECT count(*) FROM workflow_step_transitions x \
        JOIN workflow_steps s USING (step_id) \
        WHERE x.to_state = 'InProgress' AND s.namespace = 'n'";
    let mut connection = cluster.connect().await;
    let mut claimed_before = 0;
    for seed in seeds(6) {
        let mut random = StdRng::seed_from_u64(seed);
        let client = cluster.client.clone();
        let mut tasks = rounds(15, seed, |_| {
            let client = client.clone();
            async move { create(&client, "n", "line").await }
        })
        .await;
        eventually("the worker is at work", async || {
            (number(&mut connection, claims).await > claimed_before).then_some(())
        })
        .await;
        put_off(&mut random, 30).await;
        assert_eq!(post(&client, "/v1/namespaces/n/pause", None).await.status, 200);
        // What was under way when the pause was told may still claim.
        let paused_at: String = sqlx::query_scalar("SELECT clock_timestamp()::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        eventually("statements that began before the pause are over", async || {
            let older = "SELECT count(*) FROM pg_stat_activity WHERE xact_start < $1::timestamptz \
                AND datname = current_database() AND pid <> pg_backend_pid()";
            let older = sqlx::query_scalar::<_, i64>(older).bind(&paused_at);
            (older.fetch_one(&mut connection).await.unwrap() == 0).then_some(())
        })
        .await;
        let claimed = number(&mut connection, claims).await;
        tasks.push(create(&other, "n", "line").await);
        for _ in 0..3 {
            let elsewhere = create(&other, "m", "one").await;
            cluster.ended(&elsewhere, "Complete").await;
        }
        let after = number(&mut connection, claims).await;
        assert_eq!(after, claimed, "claimed in a paused namespace");
        assert_eq!(post(&other, "/v1/namespaces/n/resume", None).await.status, 200);
        for task in tasks {
            cluster.ended(&task, "Complete").await;
        }
        claimed_before = number(&mut connection, claims).await;
    }
    cluster.audit_is_sound().await;
}

async fn a_failing_batch_and_its_completions_are_redriven_to_the_end(broker: Broker) {
    let cluster = Cluster::start(broker, &[BATCH], &[]);
    let another = cluster.another();
    let other = Client::of(&another);
    let worker = obedient().handler("n", "part", async |step: Step| {
        let mut random: StdRng = StdRng::from_os_rng();
        put_off(&mut random, 10).await;
        if random.random_bool(0.15) {
            return Err(StepError::permanent("a part fails"));
        }
        Ok(json!(step.input::<i64>()?))
    });
    let _worker = cluster.worker(worker, &[]);
    let mut redriven = 0;
    for seed in seeds(2) {
        let clients = [cluster.client.clone(), other.clone()];
        let ended = rounds(6, seed, |mut random| {
            let clients = clients.clone();
            async move {
                let body = json!({"namespace": "n", "template": "batch",
                    "context": {"divide": 20}});
                let task = clients[0].create(&body).await;
                let mut redriven = 0;
                loop {
                    let client = &clients[random.random_range(0..2)];
                    let ended = client.ended(&task).await;
                    if ended["state"] == "Complete" {
                        return (ended, redriven);
                    }
                    let answer = post(client, &format!("/v1/tasks/{task}/redrive"), None).await;
                    assert_eq!(answer.status, 200, "{}", answer.text);
                    redriven += 1;
                }
            }
        });
        for (task, times) in ended.await {
            assert_eq!(step(&task, "merge")["result"], json!({"count": 20, "sum": 210}));
            redriven += times;
        }
    }
    assert!(redriven > 0, "no race");
    let twice = "SELECT count(*) FROM (SELECT s.step_id >> 16, s.name FROM workflow_steps s \
        WHERE s.state = 'Complete' GROUP BY 1, 2 HAVING count(*) > 1) AS x";
    assert_eq!(count(&cluster, twice).await, 0, "a part is Complete twice");
    cluster.audit_is_sound().await;
}
