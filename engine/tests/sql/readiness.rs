//! The two functions of discovery against their pure twins, over random tasks.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{Connection, PgConnection};
use stepmark_engine::messaging::StepId;
use stepmark_workflow::readiness::{
    ReadyTask, StepReadiness, StepSnapshot, TaskSnapshot, next_ready_tasks, step_readiness,
};
use stepmark_workflow::state::{StepState, TaskState};
use uuid::Uuid;

use crate::engine::step;
use crate::support::{Database, seeds};

const NOW_MS: i64 = 1_000;

/// Only what the schema lets be: whoever waits for a retry knows until when.
fn snapshot(random: &mut StdRng, task_id: i64) -> TaskSnapshot {
    let pick = |random: &mut StdRng, count: usize| random.random_range(0..count);
    let count = random.random_range(1..8);
    let steps = (0..count).map(|_| {
        // Mostly the states that readiness is about.
        let state = match random.random_range(0..3) {
            0 => StepState::Pending,
            1 => StepState::Complete,
            _ => StepState::ALL[pick(random, StepState::ALL.len())],
        };
        let is_due_known = state == StepState::WaitingForRetry || random.random();
        StepSnapshot {
            state,
            attempts: random.random_range(0..=3),
            max_attempts: 3,
            retry_at_ms: is_due_known.then(|| random.random_range(NOW_MS - 1..=NOW_MS + 1)),
            step_type: stepmark_workflow::StepType::Standard,
            is_tolerated: false,
        }
    });
    let steps: Vec<_> = steps.collect();
    let edges: BTreeSet<_> = (0..random.random_range(0..12))
        .map(|_| (pick(random, count), pick(random, count)))
        .filter(|(from, to)| from < to)
        .collect();
    TaskSnapshot {
        task_id,
        state: TaskState::ALL[pick(random, TaskState::ALL.len())],
        steps,
        edges: edges.into_iter().collect(),
    }
}

/// Writes the task as it stands; its id becomes the database's. `now()` stands for [`NOW_MS`].
async fn insert(connection: &mut PgConnection, task: &mut TaskSnapshot) -> Uuid {
    let task_uuid = Uuid::now_v7();
    task.task_id = sqlx::query_scalar(
        "INSERT INTO tasks (task_uuid, namespace, template_id, state, transition_count, \
             steps_active, steps_unfinished, context, finished_at) \
         VALUES ($1, 'n', 1, $2::task_state, 0, 0, 0, '{}', CASE WHEN $3 THEN now() END) \
         RETURNING task_id",
    )
    .bind(task_uuid)
    .bind(task.state.name())
    .bind(task.state.is_terminal())
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    for (step_no, one) in task.steps.iter().enumerate() {
        let parents = task.edges.iter().filter(|(_, to)| *to == step_no);
        let number = |no: usize| step(task.task_id, u16::try_from(no).unwrap());
        let parents: Vec<StepId> = parents.map(|(from, _)| number(*from)).collect();
        sqlx::query(
            "INSERT INTO workflow_steps (step_id, namespace, name, handler, state, \
                 backoff_initial_ms, backoff_max_ms, parents_remaining, attempts, \
                 max_attempts, claim_token, lease_expires_at, outcome, retry_at, parents, \
                 children) \
             VALUES ($1, 'n', 's' || $1, 'h', $2::step_state, 100, 1000, 0, $3, $4, \
                 gen_random_uuid(), now(), 'Complete', now() + $5 * interval '1 ms', $6, '{}')",
        )
        .bind(number(step_no))
        .bind(one.state.name())
        .bind(i32::try_from(one.attempts).unwrap())
        .bind(i32::try_from(one.max_attempts).unwrap())
        .bind(one.retry_at_ms.map(|at| at - NOW_MS))
        .bind(parents)
        .execute(&mut *connection)
        .await
        .unwrap();
    }
    task_uuid
}

async fn readiness_in_sql(connection: &mut PgConnection, uuids: &[Uuid]) -> Vec<StepReadiness> {
    let rows: Vec<(i32, i32, bool, bool, bool)> = sqlx::query_as(
        "SELECT total_parents, completed_parents, dependencies_satisfied, retry_eligible, \
         ready_for_execution FROM get_step_readiness_status_batch($1)",
    )
    .bind(uuids)
    .fetch_all(connection)
    .await
    .unwrap();
    let size = |number: i32| usize::try_from(number).unwrap();
    rows.into_iter()
        .map(|(total, completed, satisfied, eligible, ready)| StepReadiness {
            total_parents: size(total),
            completed_parents: size(completed),
            dependencies_satisfied: satisfied,
            retry_eligible: eligible,
            ready_for_execution: ready,
        })
        .collect()
}

async fn ready_in_sql(connection: &mut PgConnection, limit: usize) -> Vec<ReadyTask> {
    let rows: Vec<(i64, Vec<i32>)> = sqlx::query_as(
        "SELECT t.task_id, r.ready_steps FROM get_next_ready_tasks($1) WITH ORDINALITY AS \
         r (task_uuid, namespace, ready_steps, nr) JOIN tasks t USING (task_uuid) ORDER BY r.nr",
    )
    .bind(i32::try_from(limit).unwrap())
    .fetch_all(connection)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(task_id, steps)| ReadyTask {
            task_id,
            ready_steps: steps.iter().map(|no| usize::try_from(*no).unwrap()).collect(),
        })
        .collect()
}

#[tokio::test]
async fn discovery_in_sql_finds_what_the_pure_functions_find() {
    let mut connection = Database::migrated().connect().await;
    let (mut ready_steps, mut waiting_steps) = (0, 0);
    for seed in seeds(60) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut transaction = connection.begin().await.unwrap();
        let (mut tasks, mut uuids) = (Vec::new(), Vec::new());
        for nr in 0..random.random_range(1..6) {
            let mut task = snapshot(&mut random, nr);
            uuids.push(insert(&mut transaction, &mut task).await);
            tasks.push(task);
        }
        let pure = tasks.iter().flat_map(|task| step_readiness(task, NOW_MS));
        let pure: Vec<StepReadiness> = pure.collect();
        let in_sql = readiness_in_sql(&mut transaction, &uuids).await;
        assert_eq!(in_sql, pure, "seed {seed}: {tasks:?}");
        for limit in [0, 1, 2, 100] {
            let pure = next_ready_tasks(&tasks, NOW_MS, limit);
            let in_sql = ready_in_sql(&mut transaction, limit).await;
            assert_eq!(in_sql, pure, "seed {seed}, limit {limit}: {tasks:?}");
        }
        ready_steps += pure.iter().filter(|step| step.ready_for_execution).count();
        waiting_steps += pure.iter().filter(|step| !step.ready_for_execution).count();
        transaction.rollback().await.unwrap();
    }
    assert!(ready_steps > 100 && waiting_steps > 100, "{ready_steps}, {waiting_steps}");
}
