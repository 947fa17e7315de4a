//! What holds of every audit.

use sqlx::PgConnection;

use super::number;

/// What must not be found of an audit, whatever has happened.
const FAULTS: &[(&str, &str)] = &[
    (
        "gaps in the audit of steps",
        "SELECT count(*) FROM (
            SELECT sort_key, from_state, lag(sort_key, 1, 0) OVER step AS key_before,
                lag(to_state, 1, 'Pending') OVER step AS state_before
            FROM workflow_step_transitions
            WINDOW step AS (PARTITION BY step_id ORDER BY sort_key)) AS x
        WHERE sort_key <> key_before + 1 OR from_state <> state_before",
    ),
    (
        "gaps in the audit of tasks",
        "SELECT count(*) FROM (
            SELECT sort_key, from_state, lag(sort_key, 1, 0) OVER task AS key_before,
                lag(to_state, 1, 'Pending') OVER task AS state_before
            FROM task_transitions WINDOW task AS (PARTITION BY task_id ORDER BY sort_key)) AS x
        WHERE sort_key <> key_before + 1 OR from_state <> state_before",
    ),
    (
        "transitions that no table allows",
        "SELECT (SELECT count(*) FROM workflow_step_transitions
                WHERE NOT step_transition_allowed(from_state, to_state))
            + (SELECT count(*) FROM task_transitions
                WHERE NOT task_transition_allowed(from_state, to_state))",
    ),
    (
        "steps whose audit does not end in their state",
        "SELECT count(*) FROM workflow_steps s LEFT JOIN LATERAL (
            SELECT x.sort_key, x.to_state FROM workflow_step_transitions x
            WHERE x.step_id = s.step_id ORDER BY x.sort_key DESC LIMIT 1) AS x ON true
        WHERE coalesce(x.to_state, 'Pending') <> s.state
            OR coalesce(x.sort_key, 0) <> s.transition_count",
    ),
    (
        "tasks whose audit does not end in their state",
        "SELECT count(*) FROM tasks t LEFT JOIN LATERAL (
            SELECT x.sort_key, x.to_state FROM task_transitions x
            WHERE x.task_id = t.task_id ORDER BY x.sort_key DESC LIMIT 1) AS x ON true
        WHERE coalesce(x.to_state, 'Pending') <> t.state
            OR coalesce(x.sort_key, 0) <> t.transition_count",
    ),
    (
        "ended tasks with steps that go on",
        "SELECT count(*) FROM tasks t JOIN workflow_steps s ON s.step_id >> 16 = t.task_id
        WHERE t.finished_at IS NOT NULL AND s.state NOT IN
            ('Complete', 'Error', 'Skipped', 'Cancelled')
            AND NOT (t.state = 'Error' AND s.state = 'Pending')",
    ),
    (
        "steps enqueued or claimed after their task's cancellation",
        "SELECT count(*) FROM task_transitions c JOIN workflow_step_transitions x
            ON x.step_id >> 16 = c.task_id
        WHERE c.to_state = 'Cancelled' AND x.to_state IN ('Enqueued', 'InProgress')
            AND x.at >= c.at",
    ),
];

/// Looks at every audit in the database.
pub async fn audit_is_sound(connection: &mut PgConnection) {
    for (fault, sql) in FAULTS {
        assert_eq!(number(connection, sql).await, 0, "{fault}");
    }
}
