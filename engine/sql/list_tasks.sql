-- The newest $5 tasks before task $4, in state $1, of namespace $2, template $3, each where it is
-- given; and the key of each. Which index is gone through depends on the state: failed and
-- unfinished tasks are found without those that lie between them.
WITH listed AS (
    (SELECT t.task_id FROM tasks t
    WHERE $1 = 'Error' AND t.failed_at IS NOT NULL AND t.task_id < $4
        AND ($2::text IS NULL OR t.namespace = $2)
        AND ($3::text IS NULL OR t.template_id IN (
            SELECT template_id FROM task_templates WHERE name = $3))
    ORDER BY t.task_id DESC LIMIT $5)
    UNION ALL
    (SELECT t.task_id FROM tasks t
    WHERE $1 NOT IN ('Error', 'Complete', 'Cancelled') AND t.finished_at IS NULL
        AND t.state::text = $1 AND t.task_id < $4
        AND ($2::text IS NULL OR t.namespace = $2)
        AND ($3::text IS NULL OR t.template_id IN (
            SELECT template_id FROM task_templates WHERE name = $3))
    ORDER BY t.task_id DESC LIMIT $5)
    UNION ALL
    (SELECT t.task_id FROM tasks t
    WHERE coalesce($1, 'Complete') IN ('Complete', 'Cancelled')
        AND ($1::text IS NULL OR t.state::text = $1) AND t.task_id < $4
        AND ($2::text IS NULL OR t.namespace = $2)
        AND ($3::text IS NULL OR t.template_id IN (
            SELECT template_id FROM task_templates WHERE name = $3))
    ORDER BY t.task_id DESC LIMIT $5)
)
SELECT t.task_id, jsonb_build_object('task_uuid', t.task_uuid, 'namespace', t.namespace,
    'template', tt.name, 'version', tt.version, 'state', t.state, 'priority', t.priority,
    'created_at', t.created_at, 'finished_at', t.finished_at, 'reason', t.reason,
    'failures', coalesce((
        SELECT jsonb_agg(f.failure ORDER BY f.step_id) FROM (
            SELECT s.step_id, jsonb_build_object(
                'step', s.name, 'attempts', s.attempts, 'error', s.error) AS failure
            FROM workflow_steps s
            WHERE s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
                AND s.state = 'Error'
            ORDER BY s.step_id LIMIT 10
        ) AS f), '[]'))::text AS document
FROM listed l JOIN tasks t USING (task_id) JOIN task_templates tt USING (template_id)
ORDER BY t.task_id DESC
