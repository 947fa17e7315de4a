-- The audit of a task and its steps, in the order in which it was written; no row when there is
-- no such task. An audit that is not durable may hold what a crash could still take back.
SELECT t.finished_at IS NOT NULL OR pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()
    AS durable,
    jsonb_build_object('task_uuid', t.task_uuid, 'transitions', (
    SELECT jsonb_agg(a.entry ORDER BY a.at, a.step_id NULLS FIRST, a.sort_key)
    FROM (
        SELECT x.at, NULL::bigint AS step_id, x.sort_key, jsonb_build_object(
            'kind', 'task', 'step', NULL, 'sort_key', x.sort_key, 'from', x.from_state,
            'to', x.to_state, 'attempt', NULL, 'reason', x.reason, 'at', x.at) AS entry
        FROM task_transitions x WHERE x.task_id = t.task_id
        UNION ALL
        SELECT x.at, x.step_id, x.sort_key, jsonb_build_object(
            'kind', 'step', 'step', s.name, 'sort_key', x.sort_key, 'from', x.from_state,
            'to', x.to_state, 'attempt', x.attempt, 'reason', x.reason, 'at', x.at)
        FROM workflow_step_transitions x JOIN workflow_steps s USING (step_id)
        WHERE x.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
    ) AS a))::text AS document
FROM tasks t WHERE t.task_uuid = $1
