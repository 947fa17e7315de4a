-- The documents of tasks $1, as the API answers with them, in that order; where $2 says so, only of
-- a task that has come to its end. is_there tells an unfinished task from one that isn't. A
-- document that is not durable may hold what a crash could still take back.
SELECT t.task_uuid IS NOT NULL AS is_there,
    t.finished_at IS NOT NULL OR pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()
        AS durable,
    CASE WHEN t.finished_at IS NOT NULL OR NOT r.finished_only THEN jsonb_build_object(
        'task_uuid', t.task_uuid, 'namespace', t.namespace, 'template', tt.name,
        'version', tt.version, 'state', t.state, 'context', t.context,
        'idempotency_key', t.idempotency_key, 'priority', t.priority, 'created_at', t.created_at,
        'start_at', t.created_at + t.delay_ms * interval '1 ms',
        'deadline_at', CASE WHEN t.due_at IS NULL OR t.state = 'Pending'
            THEN t.created_at + coalesce(t.deadline_ms, tt.deadline_ms) * interval '1 ms'
            ELSE t.due_at END,
        'finished_at', t.finished_at, 'reason', t.reason,
        'steps', (
            SELECT jsonb_agg(jsonb_build_object(
                'name', s.name, 'type', s.type, 'state', s.state, 'attempts', s.attempts,
                'lease_expiries', s.lease_expiries, 'result', s.result, 'error', s.error)
                ORDER BY s.step_id)
            FROM workflow_steps s
            WHERE s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535))::text
    END AS document
FROM unnest($1::uuid[], $2::boolean[]) WITH ORDINALITY AS r (task_uuid, finished_only, nr)
LEFT JOIN tasks t USING (task_uuid)
LEFT JOIN task_templates tt USING (template_id)
ORDER BY r.nr
