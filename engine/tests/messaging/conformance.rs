//! What lanes rely on, whichever provider carries the messages.

use std::time::{Duration, Instant};

use sqlx::Row;
use stepmark_engine::config::Broker;
use stepmark_engine::messaging::StepId;

use crate::lane::{Processing, completions};
use crate::support::{PATIENCE, eventually, number};
use crate::transport::Transport;

/// Makes each behaviour a test for every provider, and for both types of RabbitMQ's queues.
macro_rules! conformance {
    ($($behaviour:ident),+ $(,)?) => {
        mod pgmq {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(super::Transport::start(super::Broker::Pgmq).await).await;
            })+
        }
        mod rabbitmq {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(super::Transport::start(super::Broker::Rabbitmq).await).await;
            })+
        }
        mod rabbitmq_quorum {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(super::Transport::start_quorum().await).await;
            })+
        }
    };
}

conformance!(
    a_message_sent_before_anybody_listens_is_found,
    a_waiting_lane_is_woken_long_before_its_patience_ends,
    lanes_share_messages_and_act_on_none_twice,
    no_more_is_taken_than_asked_for,
    what_failed_to_be_acted_on_comes_again,
    what_a_dead_lane_held_comes_again,
    what_was_acted_on_never_comes_again,
    namespaces_are_kept_apart_and_one_without_takers_holds_up_no_other,
    ten_thousand_messages_come_once_each,
    messages_that_lead_to_nothing_hide_no_others,
    any_valid_namespace_has_a_queue,
    a_completion_reaches_the_lane_that_waits_for_it,
    a_closed_provider_has_sent_what_it_was_given,
);

fn sorted(mut steps: Vec<StepId>) -> Vec<StepId> {
    steps.sort_unstable();
    steps
}

async fn a_message_sent_before_anybody_listens_is_found(mut transport: Transport) {
    let sent = transport.start_tasks("n", 3).await;
    let mut lane = transport.lane(&["n"]).await;
    let begun = Instant::now();
    lane.wait().await;
    assert_eq!(sorted(lane.collect(3, 10).await), sent);
    assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());
}

async fn a_waiting_lane_is_woken_long_before_its_patience_ends(mut transport: Transport) {
    let mut lane = transport.lane(&["other", "n"]).await;
    let first = transport.start_tasks("n", 1).await;
    assert_eq!(lane.collect(1, 10).await, first);
    for _ in 0..5 {
        let waiting = tokio::spawn(async move {
            let begun = Instant::now();
            lane.wait().await;
            let next = lane.collect(1, 10).await;
            (lane, next, begun.elapsed())
        });
        tokio::task::yield_now().await;
        let sent = transport.start_tasks("n", 1).await;
        let (returned, next, elapsed) = waiting.await.unwrap();
        lane = returned;
        assert_eq!(next, sent);
        assert!(elapsed < PATIENCE / 4, "woken after {elapsed:?}");
    }
}

async fn lanes_share_messages_and_act_on_none_twice(mut transport: Transport) {
    let mut lanes = [transport.lane(&["n"]).await, transport.lane(&["n"]).await];
    for lane in &mut lanes {
        lane.queue.wait(Duration::ZERO).await.unwrap(); // both listen
    }
    let sent = transport.start_tasks("n", 400).await;
    let (mut claimed, mut by_lane) = (Vec::new(), [0, 0]);
    let deadline = Instant::now() + PATIENCE;
    while claimed.len() < sent.len() {
        for (lane, count) in lanes.iter_mut().zip(&mut by_lane) {
            lane.queue.wait(Duration::from_millis(1)).await.unwrap();
            let some = lane.claim(20).await.unwrap();
            *count += some.len();
            claimed.extend(some);
        }
        assert!(Instant::now() < deadline, "{by_lane:?} of {}", sent.len());
    }
    assert!(by_lane.iter().all(|count| *count > 50), "{by_lane:?}");
    assert_eq!(sorted(claimed), sent);
    if transport.broker() == Broker::Rabbitmq {
        let delivered = lanes.iter().map(|lane| lane.delivered());
        assert_eq!(delivered.sum::<usize>(), sent.len());
    }
}

async fn no_more_is_taken_than_asked_for(mut transport: Transport) {
    let sent = transport.start_tasks("n", 10).await;
    let mut lane = transport.lane(&["n"]).await;
    let mut claimed = Vec::new();
    while claimed.len() < 10 {
        lane.queue.wait(Duration::from_millis(100)).await.unwrap();
        let some = lane.claim(3).await.unwrap();
        assert!(some.len() <= 3, "{some:?}");
        claimed.extend(some);
    }
    assert_eq!(sorted(claimed), sent);
}

async fn what_failed_to_be_acted_on_comes_again(mut transport: Transport) {
    let sent = transport.start_tasks("n", 5).await;
    let mut lane = transport.lane(&["n"]).await;
    lane.wait().await;
    assert!(lane.claim_in_vain(5).await);
    assert_eq!(sorted(lane.collect(5, 5).await), sent);
}

async fn what_a_dead_lane_held_comes_again(mut transport: Transport) {
    let sent = transport.start_tasks("n", 5).await;
    let mut lane = transport.lane(&["n"]).await;
    lane.wait().await;
    drop(lane);
    let mut lane = transport.lane(&["n"]).await;
    assert_eq!(sorted(lane.collect(5, 5).await), sent);
}

async fn what_was_acted_on_never_comes_again(mut transport: Transport) {
    let sent = transport.start_tasks("n", 5).await;
    let mut lane = transport.lane(&["n"]).await;
    assert_eq!(sorted(lane.collect(5, 5).await), sent);
    lane.queue.wait(Duration::ZERO).await.unwrap(); // settled by now
    drop(lane);
    // Messages come in order: what comes before this one would be an old one.
    let marker = transport.start_tasks("n", 1).await;
    let mut lane = transport.lane(&["n"]).await;
    assert_eq!(lane.collect(1, 5).await, marker);
    if transport.broker() == Broker::Rabbitmq {
        assert_eq!(lane.delivered(), 1);
    }
}

async fn namespaces_are_kept_apart_and_one_without_takers_holds_up_no_other(
    mut transport: Transport,
) {
    transport.start_tasks("nobodys", 500).await;
    let a = transport.start_tasks("a", 3).await;
    let b = transport.start_tasks("b", 3).await;
    let mut of_a = transport.lane(&["a"]).await;
    assert_eq!(sorted(of_a.collect(3, 10).await), a);
    let later = transport.start_tasks("a", 1).await;
    assert_eq!(of_a.collect(1, 10).await, later, "b's messages are not a's");
    let mut of_both = transport.lane(&["a", "b"]).await;
    assert_eq!(sorted(of_both.collect(3, 10).await), b);
}

async fn ten_thousand_messages_come_once_each(mut transport: Transport) {
    let mut sent = Vec::new();
    for _ in 0..20 {
        sent.extend(transport.start_tasks("n", 500).await);
    }
    let mut lane = transport.lane(&["n"]).await;
    let claimed = lane.collect(10_000, 200).await;
    assert_eq!(sorted(claimed), sorted(sent));
    if transport.broker() == Broker::Rabbitmq {
        assert_eq!(lane.delivered(), 10_000);
        eventually("everything is confirmed", async || {
            (transport.outbox().await == 0).then_some(())
        })
        .await;
    }
}

async fn messages_that_lead_to_nothing_hide_no_others(mut transport: Transport) {
    let claimed = transport.start_tasks("n", 1).await;
    let mut lane = transport.lane(&["n"]).await;
    assert_eq!(lane.collect(1, 1).await, claimed);
    let nowhere = StepId::new(i64::MAX >> 16, u16::MAX);
    let nothing = [claimed[0], nowhere].repeat(30);
    transport.send("n", &nothing).await;
    let sent = transport.start_tasks("n", 1).await;
    lane.wait().await;
    if transport.broker() == Broker::Pgmq {
        // Taken by one statement: fewer steps than asked for say that no message is left.
        assert_eq!(lane.claim(10).await.unwrap(), sent);
    } else {
        assert_eq!(lane.collect(1, 10).await, sent);
    }
}

async fn any_valid_namespace_has_a_queue(mut transport: Transport) {
    let longest = "n".repeat(63);
    let names = ["completions", "dispatch", "select", "a__", "n_1_", "pgmq", &longest];
    let mut sent = Vec::new();
    for name in names {
        sent.extend(transport.start_tasks(name, 2).await);
    }
    let mut lane = transport.lane(&names).await;
    assert_eq!(sorted(lane.collect(sent.len(), 100).await), sorted(sent));
}

async fn a_completion_reaches_the_lane_that_waits_for_it(mut transport: Transport) {
    let mut queue = transport.service.open(completions(), 10).await.unwrap();
    queue.wait(Duration::ZERO).await.unwrap(); // the first look, before there is anything
    queue.act(&Processing, 10).await.unwrap();
    let waiting = tokio::spawn(async move {
        let begun = Instant::now();
        queue.wait(PATIENCE).await.unwrap();
        let rows = queue.act(&Processing, 10).await.unwrap();
        (rows[0].get::<i32, _>("steps_processed"), begun.elapsed())
    });
    let steps = transport.start_tasks("n", 1).await;
    assert_eq!(transport.lane(&["n"]).await.collect(1, 1).await, steps);
    transport.complete(steps[0]).await;
    let (processed, elapsed) = waiting.await.unwrap();
    assert_eq!(processed, 1);
    assert!(elapsed < PATIENCE / 4, "woken after {elapsed:?}");
    let complete = "SELECT count(*) FROM tasks WHERE state = 'Complete'";
    assert_eq!(number(&mut transport.connection, complete).await, 1);
}

async fn a_closed_provider_has_sent_what_it_was_given(mut transport: Transport) {
    transport.start_tasks("n", 500).await;
    let database = transport.database.clone();
    transport.close().await;
    let mut connection = database.connect().await;
    let unconfirmed = "SELECT count(*) FROM message_outbox";
    assert_eq!(number(&mut connection, unconfirmed).await, 0);
}
