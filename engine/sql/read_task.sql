-- The document of a task, as the API answers with it; no row when there is no such task.
SELECT jsonb_build_object(
    'task_uuid', t.task_uuid, 'namespace', t.namespace, 'template', tt.name,
    'version', tt.version, 'state', t.state, 'context', t.context,
    'idempotency_key', t.idempotency_key, 'created_at', t.created_at,
    'finished_at', t.finished_at,
    'steps', (
        SELECT jsonb_agg(jsonb_build_object(
            'name', s.name, 'state', s.state, 'attempts', s.attempts,
            'lease_expiries', s.lease_expiries, 'result', s.result, 'error', s.error)
            ORDER BY s.step_no)
        FROM workflow_steps s WHERE s.task_id = t.task_id))::text
FROM tasks t JOIN task_templates tt USING (template_id)
WHERE t.task_uuid = $1
