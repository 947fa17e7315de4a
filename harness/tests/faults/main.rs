//! What is killed under load, and what is left of the tasks then: all of them, and all right.
#![allow(clippy::unwrap_used, clippy::panic)]

mod rig;

use std::os::unix::process::ExitStatusExt;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use stepmark_harness::broker::Broker;

use rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_holds_steps_on_pgmq() {
    killed_worker("worker_pgmq", Broker::Pgmq).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_holds_steps_on_rabbitmq() {
    killed_worker("worker_rabbitmq", Broker::Rabbitmq).await;
}

async fn killed_worker(name: &str, broker: Broker) {
    let rig = Rig::start(name, broker).await;
    let expired = "workflow_step_transitions WHERE reason = 'lease expired'";
    let holding = "workflow_steps WHERE state = 'InProgress'";
    let under_way = "pg_stat_activity WHERE datname = current_database() AND state = 'active' \
        AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    rig.survives(async {
        let worker = rig.cluster.instances().last().unwrap();
        let pid = worker.pid().unwrap();
        // A kill between two batches would hold nothing, and PostgreSQL brings to its end what it
        // was sent: the worker is stopped until it is seen to hold steps, and killed then.
        loop {
            rig.wait_for("a step InProgress", async || rig.count(holding).await > 0).await;
            signal(pid, Signal::STOP);
            rig.wait_for("silence", async || rig.count(under_way).await == 0).await;
            if rig.count(holding).await > 0 {
                break;
            }
            signal(pid, Signal::CONT);
        }
        signal(pid, Signal::KILL);
        rig.wait_for("a lease that expires", async || rig.count(expired).await > 0).await;
    })
    .await;
    rig.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_killed_under_load() {
    let rig = Rig::start("orchestrator", Broker::Pgmq).await;
    rig.survives(async {
        let orchestrator = rig.cluster.instances().next().unwrap();
        for _ in 0..3 {
            rig.wait_for("an orchestrator", async || orchestrator.pid().is_some()).await;
            kill(orchestrator.pid().unwrap());
            rig.wait_for("its end", async || orchestrator.pid().is_none()).await;
        }
        rig.wait_for("its return", async || orchestrator.pid().is_some()).await;
    })
    .await;
    rig.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_ten_instances_killed_under_load_on_pgmq() {
    killed_ten("ten_pgmq", Broker::Pgmq).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_ten_instances_killed_under_load_on_rabbitmq() {
    killed_ten("ten_rabbitmq", Broker::Rabbitmq).await;
}

async fn killed_ten(name: &str, broker: Broker) {
    let rig = Rig::start_ten(name, broker).await;
    assert_eq!(rig.cluster.instances().count(), 10);
    rig.survives(async {
        for instance in rig.cluster.instances() {
            kill(instance.pid().unwrap());
            let name = instance.name();
            rig.wait_for(&format!("{name}'s end"), async || instance.restarts() == 1).await;
            rig.wait_for(&format!("{name}'s return"), async || instance.pid().is_some()).await;
        }
    })
    .await;
    assert_eq!(rig.cluster.faults().all().len(), 10, "each has died once, and none besides");
    rig.cluster.stop().await;
}

/// What was committed and not published lies in the outbox, and is published by somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn processes_that_end_between_commit_and_publish() {
    let rig = Rig::start("failpoints", Broker::Rabbitmq).await;
    rig.survives(async {
        for (program, failpoint) in [
            (rig.orchestrator(), "orchestrator_after_process_commit"),
            (rig.worker(), "worker_after_complete_commit"),
        ] {
            let mut failing = rig.start_failing(program, failpoint);
            rig.wait_for(failpoint, async || failing_has_ended(&mut failing)).await;
        }
        let unsent = "message_outbox WHERE sent_at < clock_timestamp() - interval '1 s'";
        rig.wait_for("messages that nobody published", async || rig.count(unsent).await > 0).await;
    })
    .await;
    rig.cluster.stop().await;
}

fn failing_has_ended(failing: &mut Child) -> bool {
    match failing.try_wait().unwrap() {
        None => false,
        Some(status) => {
            assert_eq!(status.signal(), Some(6), "it aborts at its failpoint: {status}");
            true
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_crashes_and_returns_on_pgmq() {
    crashed_postgres("postgres_pgmq", Broker::Pgmq).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_crashes_and_returns_on_rabbitmq() {
    crashed_postgres("postgres_rabbitmq", Broker::Rabbitmq).await;
}

async fn crashed_postgres(name: &str, broker: Broker) {
    let rig = Rig::start(name, broker).await;
    rig.survives(async {
        for _ in 0..2 {
            let mut postgres = rig.postgres.take().unwrap();
            let restarted = tokio::task::spawn_blocking(move || {
                postgres.stop_immediate().unwrap();
                postgres.start_again().unwrap();
                postgres
            });
            rig.postgres.replace(Some(restarted.await.unwrap()));
        }
    })
    .await;
    assert_eq!(rig.cluster.faults().all(), Vec::<String>::new(), "the processes live on");
    rig.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_restarts() {
    let rig = Rig::start("rabbitmq", Broker::Rabbitmq).await;
    rig.survives(async {
        let mut rabbitmq = rig.rabbitmq.take().unwrap();
        let restarted = tokio::task::spawn_blocking(move || {
            rabbitmq.kill().unwrap();
            rabbitmq.start_again().unwrap();
            rabbitmq
        });
        rig.rabbitmq.replace(Some(restarted.await.unwrap()));
    })
    .await;
    assert_eq!(rig.cluster.faults().all(), Vec::<String>::new(), "the processes live on");
    rig.cluster.stop().await;
}

fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}
