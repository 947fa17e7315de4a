-- The specification's two discovery functions, over the steps' edges. The counters on the rows are
-- not used: these are what the counters are held against, in tests and in recovery.

-- Readiness of every step of the given tasks.
CREATE FUNCTION get_step_readiness_status_batch(p_task_uuids uuid[])
RETURNS TABLE (
    task_uuid uuid, step_no integer, step text, state step_state, total_parents integer,
    completed_parents integer, dependencies_satisfied boolean, retry_eligible boolean,
    ready_for_execution boolean
) LANGUAGE sql STABLE AS $$
    SELECT t.task_uuid, (s.step_id & 65535)::integer, s.name, s.state,
        cardinality(s.parents), p.completed, p.satisfied,
        r.eligible, r.eligible OR s.state = 'Pending' AND p.satisfied
    FROM unnest(p_task_uuids) AS a (task_uuid)
    JOIN tasks t USING (task_uuid)
    -- In order and with a limit: so the planner looks at each task's steps through the index, and
    -- not at all steps of all tasks, however few it thinks there are.
    CROSS JOIN LATERAL (
        SELECT * FROM workflow_steps
        WHERE step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
        ORDER BY step_id LIMIT 65536
    ) AS s
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE parent.state = 'Complete')::integer AS completed, CASE s.type
            WHEN 'deferred_convergence' THEN cardinality(s.parents) = 0
                OR count(*) = cardinality(s.parents)
                    AND count(*) FILTER (WHERE parent.state <> 'Skipped') > 0
            ELSE count(*) FILTER (WHERE parent.state = 'Complete') = cardinality(s.parents)
            END AS satisfied
        FROM unnest(s.parents) AS e (step_id)
        JOIN workflow_steps parent ON parent.step_id = e.step_id
        WHERE parent.state IN ('Complete', 'Skipped')
            -- A failure that its batch goes on without.
            OR parent.state = 'Error' AND parent.type = 'batch_worker' AND EXISTS (
                SELECT FROM template_steps ts
                WHERE ts.template_id = t.template_id AND ts.step_no = parent.template_step_no
                    AND ts.on_failure = 'continue_on_failure')
    ) AS p
    CROSS JOIN LATERAL (
        SELECT s.state = 'WaitingForRetry' AND s.attempts < s.max_attempts
            AND coalesce(s.retry_at <= now(), true) AS eligible
    ) AS r
    ORDER BY s.step_id
$$;

-- Unfinished tasks that have a step ready to be enqueued, oldest first.
CREATE FUNCTION get_next_ready_tasks(p_limit integer)
RETURNS TABLE (task_uuid uuid, namespace text, ready_steps integer[])
LANGUAGE sql STABLE AS $$
    SELECT t.task_uuid, t.namespace, r.ready_steps
    FROM tasks t
    CROSS JOIN LATERAL (
        SELECT array_agg(s.step_no ORDER BY s.step_no) AS ready_steps
        FROM get_step_readiness_status_batch(ARRAY[t.task_uuid]) AS s
        WHERE s.ready_for_execution
    ) AS r
    WHERE t.finished_at IS NULL AND t.state <> 'Pending' AND r.ready_steps IS NOT NULL
    ORDER BY t.task_id
    LIMIT p_limit
$$;
