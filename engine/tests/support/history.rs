//! Tasks that have been.

use sqlx::PgConnection;

use super::execute;

/// Writes finished tasks of three steps with all their steps and audit.
pub async fn write_history(connection: &mut PgConnection, template_id: i32, tasks: i64) {
    let sql = format!(
        "INSERT INTO tasks (task_uuid, namespace, template_id, idempotency_key, state, \
             transition_count, steps_active, steps_unfinished, priority, context, finished_at) \
         SELECT gen_random_uuid(), 'n', {template_id}, 'old ' || nr, 'Complete', 11, 0, 0, 0, \
             '{{}}', now() FROM generate_series(1, {tasks}) AS nr; \
         INSERT INTO workflow_steps (step_id, namespace, name, handler, state, transition_count, \
             parents_remaining, attempts, max_attempts, backoff_initial_ms, backoff_max_ms, \
             timeout_ms, template_step_no, priority, outcome, parents, children) \
         SELECT task_id << 16 | no, 'n', 's' || no, 'h', 'Complete', 4, 0, 1, 3, 100, 1000, \
             60000, no, 0, 'Complete', '{{}}', '{{}}' \
         FROM tasks, generate_series(0, 2) AS no WHERE idempotency_key LIKE 'old%'; \
         INSERT INTO workflow_step_transitions \
             (step_id, sort_key, from_state, to_state, attempt) \
         SELECT task_id << 16 | no, nr, 'Pending', 'Enqueued', 1 \
         FROM tasks, generate_series(0, 2) AS no, generate_series(1, 4) AS nr \
         WHERE idempotency_key LIKE 'old%'; \
         INSERT INTO task_transitions (task_id, sort_key, from_state, to_state) \
         SELECT task_id, nr, 'Pending', 'Initializing' FROM tasks, generate_series(1, 11) AS nr \
         WHERE idempotency_key LIKE 'old%';"
    );
    execute(connection, &sql).await;
}
