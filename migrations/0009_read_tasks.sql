-- What the API tells of a task, as the JSON document it answers with.

CREATE FUNCTION read_task(p_task_uuid uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
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
            FROM workflow_steps s WHERE s.task_id = t.task_id))
    FROM tasks t JOIN task_templates tt USING (template_id)
    WHERE t.task_uuid = p_task_uuid
$$;

-- The audit of a task and its steps, in the order in which it was written.
CREATE FUNCTION read_transitions(p_task_uuid uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('task_uuid', t.task_uuid, 'transitions', (
        SELECT jsonb_agg(a.entry ORDER BY a.at, a.step_no NULLS FIRST, a.sort_key)
        FROM (
            SELECT x.at, NULL::integer AS step_no, x.sort_key, jsonb_build_object(
                'kind', 'task', 'step', NULL, 'sort_key', x.sort_key, 'from', x.from_state,
                'to', x.to_state, 'attempt', NULL, 'reason', NULL, 'at', x.at) AS entry
            FROM task_transitions x WHERE x.task_id = t.task_id
            UNION ALL
            SELECT x.at, x.step_no, x.sort_key, jsonb_build_object(
                'kind', 'step', 'step', s.name, 'sort_key', x.sort_key, 'from', x.from_state,
                'to', x.to_state, 'attempt', x.attempt, 'reason', x.reason, 'at', x.at)
            FROM workflow_step_transitions x JOIN workflow_steps s USING (task_id, step_no)
            WHERE x.task_id = t.task_id
        ) AS a))
    FROM tasks t WHERE t.task_uuid = p_task_uuid
$$;
