//! Servers that stop, restart and forget.

use std::time::Duration;

use amqprs::channel::{
    BasicPublishArguments, Channel, QueueDeclareArguments, QueueDeleteArguments,
};
use amqprs::connection::Connection;
use amqprs::{BasicProperties, FieldTable, FieldValue};
use sqlx::Row;
use stepmark_engine::config::Broker;
use stepmark_engine::messaging::{Outgoing, StepId, amqp_arguments};

use crate::lane::{Processing, completions};
use crate::support::{
    Database, PATIENCE, UnflushedLog, eventually, execute, number, own_broker, own_postgres,
    rabbitmq,
};
use crate::transport::Transport;

fn sorted(mut steps: Vec<StepId>) -> Vec<StepId> {
    steps.sort_unstable();
    steps
}

async fn confirmed(transport: &mut Transport) {
    eventually("the broker has confirmed everything", async || {
        transport.service.tend().await;
        (transport.outbox().await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_broker_loses_nothing_and_is_sent_only_what_it_did_not_confirm() {
    let mut broker = own_broker();
    let mut transport = Transport::on(Database::migrated(), Some(&broker)).await;
    let mut lane = transport.lane(&["n"]).await;
    let mut expected = transport.start_tasks("n", 10).await;
    confirmed(&mut transport).await;

    broker.stop().unwrap();
    eventually("the loss is noticed", async || (!transport.service.is_ready().await).then_some(()))
        .await;
    // Nobody has taken the first ten; the broker knows nothing of the next twenty.
    let (unsent, outgoing) = transport.create_tasks("n", 20).await;
    transport.service.publish(outgoing).await;
    assert_eq!(transport.outbox().await, 20);
    broker.start_again().unwrap();

    expected.extend(unsent);
    let claimed = lane.collect_through_outages(30).await;
    assert_eq!(sorted(claimed), sorted(expected));
    confirmed(&mut transport).await;
    let marker = transport.start_tasks("n", 1).await;
    assert_eq!(lane.collect_through_outages(1).await, marker);
    assert_eq!(lane.delivered(), 31, "each message was delivered once");
    assert!(transport.service.is_ready().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_recover_when_postgresql_has_crashed_and_is_back() {
    let mut server = own_postgres();
    let database = Database::of(&server);
    let patience = std::time::Duration::from_secs(5);
    stepmark_engine::database::prepare(&database.options(), patience).await.unwrap();
    let mut transport = Transport::on(database.clone(), None).await;
    let mut lane = transport.lane(&["n"]).await;
    let before = transport.start_tasks("n", 5).await;
    assert_eq!(sorted(lane.collect(5, 5).await), before);
    let waiting = transport.start_tasks("n", 5).await;

    server.stop_immediate().unwrap();
    server.start_again().unwrap();

    transport.connection = database.connect().await;
    let after = transport.start_tasks("n", 5).await;
    // The claims of before were not yet on the disk, as their leases and messages were not: they
    // may come again, and are then claimed again.
    let mut claimed = Vec::new();
    while !waiting.iter().chain(&after).all(|step| claimed.contains(step)) {
        claimed.extend(lane.collect_through_outages(1).await);
    }
    assert!(claimed.len() <= 15, "{claimed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_a_crash_takes_back_are_made_again_because_nothing_was_acknowledged() {
    let server = own_postgres();
    let database = Database::of(&server);
    let patience = std::time::Duration::from_secs(5);
    stepmark_engine::database::prepare(&database.options(), patience).await.unwrap();
    let mut transport = Transport::on(database.clone(), Some(rabbitmq())).await;
    let steps = transport.start_tasks("n", 5).await;
    confirmed(&mut transport).await;
    let mut lane = transport.lane(&["n"]).await;

    let held = UnflushedLog::hold(database).await;
    assert_eq!(sorted(lane.collect(5, 5).await), steps);
    transport.connection = held.crash(&mut transport.connection).await;
    let claimed = "SELECT count(*) FROM workflow_steps WHERE state <> 'Enqueued'";
    assert_eq!(number(&mut transport.connection, claimed).await, 0, "the crash took them back");
    assert_eq!(sorted(lane.collect_through_outages(5).await), steps);

    // Once acknowledged, a claim is on the disk.
    let lasting = transport.start_tasks("n", 1).await;
    assert_eq!(lane.collect_through_outages(1).await, lasting);
    lane.settle().await;
    let held = UnflushedLog::hold(transport.database.clone()).await;
    transport.connection = held.crash(&mut transport.connection).await;
    assert_eq!(number(&mut transport.connection, claimed).await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluations_that_a_crash_takes_back_are_made_again_and_their_messages_do_nothing() {
    let server = own_postgres();
    let database = Database::of(&server);
    let patience = std::time::Duration::from_secs(5);
    stepmark_engine::database::prepare(&database.options(), patience).await.unwrap();
    let mut transport = Transport::on(database.clone(), Some(rabbitmq())).await;
    transport.steps = &[("a", &[]), ("b", &["a"])];
    let first = transport.start_tasks("n", 1).await[0];
    let second = StepId::new(first.task_id(), 1);
    let mut lane = transport.lane(&["n"]).await;
    assert_eq!(lane.collect(1, 1).await, [first]);
    transport.complete(first).await;
    confirmed(&mut transport).await;
    let mut ends = transport.service.open(completions(), 10).await.unwrap();

    let held = UnflushedLog::hold(database).await;
    ends.wait(PATIENCE).await.unwrap();
    let rows = ends.act(&Processing, 10).await.unwrap();
    assert_eq!(rows[0].get::<i32, _>("steps_processed"), 1);
    // The message for b reaches the broker; then the crash takes back what it rests on.
    let outgoing = Outgoing::from_row(&rows[0]).unwrap();
    assert_eq!(outgoing.message_ids.len(), 1);
    transport.service.publish(outgoing).await;
    transport.connection = held.crash(&mut transport.connection).await;
    let states = "SELECT count(*) FROM workflow_steps WHERE state = 'Pending' AND name = 'b' \
        OR state = 'EnqueuedForOrchestration' AND name = 'a'";
    assert_eq!(number(&mut transport.connection, states).await, 2, "the crash took it back");
    eventually("the message of what is lost has led to nothing", async || {
        let claimed = lane.claim(10).await;
        assert_eq!(claimed.unwrap_or_default(), []);
        let _ = lane.queue.wait(Duration::from_millis(20)).await; // its connection is lost as well
        (lane.delivered() >= 2).then_some(())
    })
    .await;

    eventually("the completion comes again", async || {
        let waited = ends.wait(Duration::from_millis(200)).await;
        let acted = ends.act(&Processing, 10).await;
        if waited.is_err() || acted.is_err() {
            ends = transport.service.open(completions(), 10).await.unwrap();
        }
        let row = acted.ok()?.into_iter().next()?;
        transport.service.publish(Outgoing::from_row(&row).unwrap()).await;
        (row.get::<i32, _>("steps_processed") == 1).then_some(())
    })
    .await;
    assert_eq!(lane.collect_through_outages(1).await, [second]);
}

/// A channel of the test's own; it lives as long as its connection.
async fn channel() -> (Connection, Channel) {
    let arguments = amqp_arguments(&rabbitmq().amqp_url()).unwrap();
    let connection = Connection::open(&arguments).await.unwrap();
    let channel = connection.open_channel(None).await.unwrap();
    (connection, channel)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_has_lost_with_its_queues_is_sent_again() {
    let mut transport = Transport::start(Broker::Rabbitmq).await;
    let sent = transport.start_tasks("n", 5).await;
    confirmed(&mut transport).await;
    let (_connection, channel) = channel().await;
    let name = format!("{}dispatch.n", transport.queue_prefix);
    let delete = QueueDeleteArguments::new(&name);
    assert_eq!(channel.queue_delete(delete.clone()).await.unwrap(), Some(5));

    // A lane of two queues, of which one is lost: the other's consumer goes on.
    let mut lane = transport.lane(&["n", "other"]).await;
    transport.service.tend().await;
    assert_eq!(sorted(lane.collect_through_outages(5).await), sent);

    // Under a lane that listens.
    let sent = transport.start_tasks("n", 5).await;
    confirmed(&mut transport).await;
    channel.queue_delete(delete).await.unwrap();
    assert_eq!(sorted(lane.collect_through_outages(5).await), sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_name_no_step_are_deleted_and_the_rest_is_taken() {
    let mut transport = Transport::start(Broker::Pgmq).await;
    for queue in ["dispatch", "completions"] {
        for body in ["{}", "{'step_id': 'x'}", "{'step_id': 1.5}", "{'step_id': 1e30}"] {
            let body = body.replace('\'', "\"");
            let insert = format!(
                "INSERT INTO pgmq.q_stepmark_{queue} (vt, message) \
                 VALUES (now(), '{{\"namespace\": \"n\"}}'::jsonb || '{body}')"
            );
            execute(&mut transport.connection, &insert).await;
        }
    }
    let sent = transport.start_tasks("n", 1).await;
    let mut lane = transport.lane(&["n"]).await;
    assert_eq!(lane.collect_through_outages(1).await, sent);
    let left = "SELECT count(*) FROM (TABLE pgmq.q_stepmark_dispatch \
        UNION ALL TABLE pgmq.q_stepmark_completions) AS left_over";
    assert_eq!(number(&mut transport.connection, left).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_none_are_refused_and_the_rest_is_delivered() {
    let mut transport = Transport::start(Broker::Rabbitmq).await;
    transport.service.declare(vec!["n".to_owned()]).await.unwrap();
    let (_connection, channel) = channel().await;
    let name = format!("{}dispatch.n", transport.queue_prefix);
    for body in ["", "{", "{}", r#"{"step_id": "x"}"#, "\u{0}"] {
        let arguments = BasicPublishArguments::new("", &name);
        let body = body.as_bytes().to_vec();
        channel.basic_publish(BasicProperties::default(), body, arguments).await.unwrap();
    }
    let sent = transport.start_tasks("n", 1).await;
    let mut lane = transport.lane(&["n"]).await;
    assert_eq!(lane.collect(1, 10).await, sent);
    assert_eq!(lane.delivered(), 1);
}

/// A broker refuses to declare a queue anew as one of another type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_queues_are_of_the_type_that_was_told() {
    for (transport, is_quorum) in
        [(Transport::start(Broker::Rabbitmq).await, false), (Transport::start_quorum().await, true)]
    {
        transport.service.declare(vec!["n".to_owned()]).await.unwrap();
        for queue in ["completions", "dispatch.n"] {
            let name = format!("{}{queue}", transport.queue_prefix);
            let mut quorum = FieldTable::new();
            let value = FieldValue::S("quorum".try_into().unwrap());
            quorum.insert("x-queue-type".try_into().unwrap(), value);
            let limit = FieldValue::I(i32::MAX);
            quorum.insert("x-delivery-limit".try_into().unwrap(), limit);
            let mut declare = QueueDeclareArguments::durable_client_named(&name);
            let (_connection, channel) = channel().await;
            let declared = channel.queue_declare(declare.arguments(quorum).finish()).await;
            assert_eq!(declared.is_ok(), is_quorum, "{name}: {declared:?}");
        }
    }
}
