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
use stepmark_workflow::{StepType, Template};
use uuid::Uuid;

use crate::engine::{Engine, step};
use crate::support::{Database, seeds};

const NOW_MS: i64 = 1_000;

/// The batch workers of the one template: number 0 fails its batch, number 1 doesn't.
const TEMPLATE: &str = "namespace: n\nname: t\nsteps:\n  \
    - {name: a, type: batchable, handler: h}\n  - {name: b, type: batchable, handler: h}\n  \
    - {name: fails, type: batch_worker, handler: h, depends_on: [a]}\n  \
    - {name: goes_on, type: batch_worker, handler: h, depends_on: [b], \
       on_failure: continue_on_failure}\n";
const FAILS: i32 = 2;
const GOES_ON: i32 = 3;

/// Only what the schema lets be: whoever waits for a retry knows until when.
fn snapshot(random: &mut StdRng, task_id: i64) -> TaskSnapshot {
    let pick = |random: &mut StdRng, count: usize| random.random_range(0..count);
    let count = random.random_range(1..8);
    let steps = (0..count).map(|_| {
        // Mostly the states that readiness is about.
        let state = match random.random_range(0..4) {
            0 => StepState::Pending,
            1 => StepState::Complete,
            2 => [StepState::Skipped, StepState::Error][pick(random, 2)],
            _ => StepState::ALL[pick(random, StepState::ALL.len())],
        };
        let is_due_known = state == StepState::WaitingForRetry || random.random();
        let step_type = StepType::ALL[pick(random, StepType::ALL.len())];
        let goes_on = step_type == StepType::BatchWorker && random.random();
        StepSnapshot {
            state,
            attempts: random.random_range(0..=3),
            max_attempts: 3,
            retry_at_ms: is_due_known.then(|| random.random_range(NOW_MS - 1..=NOW_MS + 1)),
            step_type,
            is_tolerated: goes_on && state == StepState::Error,
        }
    });
    let steps: Vec<_> = steps.collect();
    let edges: BTreeSet<_> = (0..random.random_range(0..12))
        .map(|_| (pick(random, count), pick(random, count)))
        .filter(|(from, to)| from < to)
        .collect();
    let states: Vec<TaskState> =
        TaskState::ALL.iter().copied().filter(|state| *state != TaskState::Pending).collect();
    TaskSnapshot {
        task_id,
        state: states[pick(random, states.len())],
        steps,
        edges: edges.into_iter().collect(),
    }
}

/// Writes the task as it stands; its id becomes the database's. `now()` stands for [`NOW_MS`].
async fn insert(connection: &mut PgConnection, template_id: i32, task: &mut TaskSnapshot) -> Uuid {
    let task_uuid = Uuid::now_v7();
    task.task_id = sqlx::query_scalar(
        "INSERT INTO tasks (task_uuid, namespace, template_id, state, transition_count, \
             steps_active, steps_unfinished, priority, context, finished_at, failed_at) \
         VALUES ($1, 'n', $4, $2::task_state, 0, 0, 0, 0, '{}', CASE WHEN $3 THEN now() END, \
             CASE WHEN $2 = 'Error' THEN now() END) \
         RETURNING task_id",
    )
    .bind(task_uuid)
    .bind(task.state.name())
    .bind(task.state.is_terminal())
    .bind(template_id)
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    for (step_no, one) in task.steps.iter().enumerate() {
        let parents = task.edges.iter().filter(|(_, to)| *to == step_no);
        let number = |no: usize| step(task.task_id, u16::try_from(no).unwrap());
        let parents: Vec<StepId> = parents.map(|(from, _)| number(*from)).collect();
        sqlx::query(
            "INSERT INTO workflow_steps (step_id, namespace, name, handler, state, type, \
                 backoff_initial_ms, backoff_max_ms, timeout_ms, template_step_no, priority, \
                 parents_remaining, attempts, max_attempts, claim_token, lease_expires_at, \
                 timeout_at, outcome, retry_at, parents, children) \
             VALUES ($1, 'n', 's' || $1, 'h', $2::step_state, $7::step_type, 100, 1000, 60000, \
                 $8, 0, 0, $3, $4, gen_random_uuid(), now(), now(), 'Complete', \
                 now() + $5 * interval '1 ms', $6, '{}')",
        )
        .bind(number(step_no))
        .bind(one.state.name())
        .bind(i32::try_from(one.attempts).unwrap())
        .bind(i32::try_from(one.max_attempts).unwrap())
        .bind(one.retry_at_ms.map(|at| at - NOW_MS))
        .bind(parents)
        .bind(one.step_type.name())
        .bind(if one.is_tolerated { GOES_ON } else { FAILS })
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
    let database = Database::migrated();
    let template = Template::parse("t.yaml", TEMPLATE).unwrap();
    let template_id = Engine::connect(&database).await.register(&template).await;
    let mut connection = database.connect().await;
    let (mut ready_steps, mut waiting_steps) = (0, 0);
    for seed in seeds(60) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut transaction = connection.begin().await.unwrap();
        let (mut tasks, mut uuids) = (Vec::new(), Vec::new());
        for nr in 0..random.random_range(1..6) {
            let mut task = snapshot(&mut random, nr);
            uuids.push(insert(&mut transaction, template_id, &mut task).await);
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
