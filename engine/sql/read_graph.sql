-- The steps of a task and what they wait for; no row when there is no such task. A graph that is
-- not durable may hold what a crash could still take back.
SELECT t.finished_at IS NOT NULL OR pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()
    AS durable,
    jsonb_build_object('task_uuid', t.task_uuid, 'namespace', t.namespace, 'template', tt.name,
    'state', t.state, 'created_at', t.created_at, 'finished_at', t.finished_at, 'steps', (
        SELECT jsonb_agg(jsonb_build_object(
            'step_no', s.step_id & 65535, 'name', s.name, 'type', s.type, 'state', s.state,
            'attempts', s.attempts, 'started_at', x.started_at, 'since', x.since,
            'parents', ARRAY(SELECT p.step_id & 65535 FROM unnest(s.parents) AS p (step_id)))
            ORDER BY s.step_id)
        FROM workflow_steps s CROSS JOIN LATERAL (
            SELECT max(x.at) FILTER (WHERE x.to_state = 'InProgress') AS started_at,
                max(x.at) AS since
            FROM workflow_step_transitions x WHERE x.step_id = s.step_id
        ) AS x
        WHERE s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535))::text AS document
FROM tasks t JOIN task_templates tt USING (template_id) WHERE t.task_uuid = $1
