//! Two orchestrators complete two parents of one task at the same moment, a thousand times.

use sqlx::{Connection, PgConnection};
use stepmark_engine::messaging::StepId;
use stepmark_workflow::Template;

use crate::engine::{Engine, Request, Stored, step};
use crate::support::{Database, eventually, execute, number, template};

const ROUNDS: usize = 1_000;
/// Races that must really be some: on a machine that is busy otherwise one racer may be through
/// before the other is woken, so that more rounds are made of those that were not enough.
const OVERLAPPING_MIN: usize = 500;
const ROUNDS_MAX: usize = 10 * ROUNDS;

/// `a` and `b` end together: `join` waits for both, and the task goes on.
const JOIN: &[(&str, &[&str])] = &[("a", &[]), ("b", &[]), ("join", &["a", "b"])];
/// `a` and `b` end together, and with them the task.
const ENDS: &[(&str, &[&str])] = &[("a", &[]), ("b", &[])];

/// Tasks, by the hundred, whose steps 0 and 1 wait to be processed.
async fn waiting_tasks(database: &Database, count: usize, steps: &[(&str, &[&str])]) -> Vec<i64> {
    let mut engine = Engine::connect(database).await;
    let template = Template::parse("test.yaml", &template("n", "t", steps)).unwrap();
    let request = Request::of(&template, engine.register(&template).await);
    let mut task_ids = Vec::new();
    for _ in 0..count / 100 {
        for created in engine.create(&vec![request.clone(); 100]).await.unwrap() {
            task_ids.push(engine.task_id(created.task_uuid).await);
        }
    }
    for some in task_ids.chunks(50) {
        let parents: Vec<StepId> =
            some.iter().flat_map(|id| [step(*id, 0), step(*id, 1)]).collect();
        let claims = engine.claim(&parents).await.unwrap();
        assert_eq!(claims.len(), parents.len());
        let outcomes: Vec<Stored> = claims.iter().map(Stored::complete).collect();
        engine.complete(&outcomes).await.unwrap();
    }
    engine.connection.close().await.unwrap();
    task_ids
}

/// A race begins for both at once: when the one who holds the gate opens it. What each sees then
/// tells whether the other had ended before.
fn gated() -> String {
    let process = include_str!("../../sql/process_delivered.sql").replace("$1", "p_step_ids");
    format!(
        "CREATE OR REPLACE FUNCTION gated_process(p_step_ids bigint[], \
             OUT xid text, OUT begun_with text) LANGUAGE plpgsql AS $$ BEGIN \
             xid := pg_current_xact_id(); \
             PERFORM pg_advisory_xact_lock_shared(1); \
             begun_with := pg_current_snapshot(); \
             PERFORM * FROM (\n{process}\n) AS processed; \
         END $$"
    )
}

/// A transaction, and the snapshot that it began to work with.
type Racer = (String, String);

/// Processes one step of a task; none when the statement fails.
async fn process(mut connection: PgConnection, step: StepId) -> (PgConnection, Option<Racer>) {
    let racer = sqlx::query_as("SELECT xid, begun_with FROM gated_process($1)")
        .bind([step])
        .fetch_one(&mut connection)
        .await;
    (connection, racer.ok())
}

/// Whether each of the two began before the other had committed.
async fn overlap(connection: &mut PgConnection, one: Racer, other: Racer) -> bool {
    sqlx::query_scalar(
        "SELECT NOT pg_visible_in_snapshot($1::xid8, $2::pg_snapshot) \
         AND NOT pg_visible_in_snapshot($3::xid8, $4::pg_snapshot)",
    )
    .bind(one.0)
    .bind(other.1)
    .bind(other.0)
    .bind(one.1)
    .fetch_one(connection)
    .await
    .unwrap()
}

/// What came of the races.
#[derive(Debug, Default)]
struct Races {
    rounds: usize,
    overlapping: usize,
    failed: usize,
    deadlocks: i64,
}

async fn race(database: &Database, task_ids: &[i64]) -> Races {
    let mut gate = database.connect().await;
    execute(&mut gate, &gated()).await;
    let (mut first, mut second) = (database.connect().await, database.connect().await);
    let mut races = Races::default();
    for task_id in task_ids {
        races.rounds += 1;
        execute(&mut gate, "SELECT pg_advisory_lock(1)").await;
        let (one, other) = (step(*task_id, 0), step(*task_id, 1));
        let (one, other) = (process(first, one), process(second, other));
        let (one, other) = (tokio::spawn(one), tokio::spawn(other));
        eventually("both stand at the gate", async || {
            let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
                AND NOT granted AND database = \
                    (SELECT oid FROM pg_database WHERE datname = current_database())";
            (number(&mut gate, waiting).await == 2).then_some(())
        })
        .await;
        execute(&mut gate, "SELECT pg_advisory_unlock(1)").await;
        let (one_racer, other_racer);
        (first, one_racer) = one.await.unwrap();
        (second, other_racer) = other.await.unwrap();
        match (one_racer, other_racer) {
            (Some(one), Some(other)) => {
                races.overlapping += usize::from(overlap(&mut gate, one, other).await);
            }
            _ => races.failed += 1,
        }
    }
    for connection in [gate, first, second] {
        connection.close().await.unwrap();
    }
    races.deadlocks = database.deadlocks().await;
    println!("{races:?}");
    races
}

/// Races of tasks with these steps until enough of them overlapped.
async fn race_often(database: &Database, steps: &[(&str, &[&str])]) -> Races {
    let mut all = Races::default();
    while all.overlapping < OVERLAPPING_MIN && all.failed == 0 && all.rounds < ROUNDS_MAX {
        let task_ids = waiting_tasks(database, ROUNDS, steps).await;
        let races = race(database, &task_ids).await;
        all.rounds += races.rounds;
        all.overlapping += races.overlapping;
        all.failed += races.failed;
        all.deadlocks += races.deadlocks;
    }
    assert!(all.overlapping >= OVERLAPPING_MIN, "{all:?}");
    assert_eq!((all.failed, all.deadlocks), (0, 0));
    all
}

async fn count(database: &Database, of: &str) -> usize {
    let mut connection = database.connect().await;
    let sql = format!("SELECT count(*) FROM {of}");
    usize::try_from(number(&mut connection, &sql).await).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn of_two_racing_orchestrators_one_enqueues_the_child() {
    let database = Database::migrated();
    let rounds = race_often(&database, JOIN).await.rounds;
    let enqueued = "workflow_steps WHERE step_id & 65535 = 2 AND state = 'Enqueued'";
    assert_eq!(count(&database, enqueued).await, rounds);
    let transitions = "workflow_step_transitions WHERE step_id & 65535 = 2";
    assert_eq!(count(&database, transitions).await, rounds);
    let messages =
        "(SELECT DISTINCT body FROM message_outbox WHERE (body ->> 'step_id')::bigint & 65535 = 2)";
    assert_eq!(count(&database, &format!("{messages} AS m")).await, rounds);
    let messages = "message_outbox WHERE (body ->> 'step_id')::bigint & 65535 = 2";
    assert_eq!(count(&database, messages).await, rounds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn of_two_racing_orchestrators_one_ends_the_task() {
    let database = Database::migrated();
    let rounds = race_often(&database, ENDS).await.rounds;
    assert_eq!(count(&database, "tasks WHERE state = 'Complete'").await, rounds);
    let ends = "task_transitions WHERE to_state = 'Complete'";
    assert_eq!(count(&database, ends).await, rounds);
}

/// The function without what makes a race safe: the tasks' lock, which gives the statements that
/// follow a snapshot younger than the lock; and the counting on the child's own row, which an
/// UPDATE reads anew when it has had to wait for it. Here the count is read from the snapshot.
async fn take_the_safeguards_out(database: &Database) {
    let mut connection = database.connect().await;
    let source: String = sqlx::query_scalar(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'process_completions'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    let begin = source.find("PERFORM 1 FROM tasks").expect("the lock");
    let end = begin + source[begin..].find(';').unwrap() + 1;
    let lock = &source[begin..end];
    assert!(lock.contains("FOR NO KEY UPDATE"), "{lock}");
    let counted = "child.parents_remaining";
    assert!(source.contains(counted), "{source}");
    let in_snapshot = "(SELECT k.parents_remaining FROM workflow_steps k \
        WHERE k.step_id = child.step_id)";
    let unsafe_one = source.replace(lock, "").replace(counted, in_snapshot);
    execute(&mut connection, &unsafe_one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn without_its_safeguards_races_are_lost_and_this_test_sees_it() {
    let database = Database::migrated();
    take_the_safeguards_out(&database).await;
    let task_ids = waiting_tasks(&database, 200, JOIN).await;
    let races = race(&database, &task_ids).await;
    let lost = count(&database, "workflow_steps WHERE state = 'Pending'").await;
    println!("{lost} children are Pending for ever");
    assert_eq!(races.failed, 0, "some other fault is seen here");
    assert!(lost > 0, "{races:?}");
}
