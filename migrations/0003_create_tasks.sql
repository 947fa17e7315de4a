-- POST /v1/tasks: task, steps and audit are written, the roots enqueued and their messages handed
-- to the transport, for any number of requests in one statement and one durable commit.
-- The arrays run in parallel, one element a request. An idempotency key that its namespace has
-- already is answered with the task that holds it; whether that one was asked for in the same
-- words is told in same_request.

CREATE FUNCTION create_tasks(
    p_broker message_broker, p_task_uuids uuid[], p_template_ids integer[], p_namespaces text[],
    p_contexts text[], p_idempotency_keys text[], p_versions_asked integer[],
    OUT task_uuids uuid[], OUT states text[], OUT created boolean[], OUT same_request boolean[],
    OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    root_task_ids bigint[];
    root_step_nos integer[];
    root_namespaces text[];
BEGIN
    -- Requests go in key order, so that two orchestrators given the same keys can't deadlock.
    WITH request AS (
        SELECT * FROM unnest(p_task_uuids, p_template_ids, p_namespaces, p_contexts,
            p_idempotency_keys) AS r (task_uuid, template_id, namespace, context, idempotency_key)
    ), shape AS (
        SELECT ts.template_id, count(*) AS steps, count(*) FILTER (WHERE ts.parents = '{}') AS roots
        FROM (SELECT DISTINCT template_id FROM request) AS r JOIN template_steps ts USING (template_id)
        GROUP BY ts.template_id
    ), task AS (
        INSERT INTO tasks (task_uuid, namespace, template_id, idempotency_key, state,
            transition_count, steps_active, steps_unfinished, context)
        SELECT r.task_uuid, r.namespace, r.template_id, r.idempotency_key, 'StepsInProcess',
            3, h.roots, h.steps, r.context::jsonb
        FROM request r JOIN shape h USING (template_id)
        ORDER BY r.namespace, r.idempotency_key, r.task_uuid
        ON CONFLICT DO NOTHING
        RETURNING task_id, template_id, namespace
    ), task_audit AS (
        INSERT INTO task_transitions (task_id, sort_key, from_state, to_state)
        SELECT t.task_id, a.sort_key, a.from_state, a.to_state
        FROM task t, (VALUES (1, 'Pending'::task_state, 'Initializing'::task_state),
            (2, 'Initializing', 'EnqueuingSteps'), (3, 'EnqueuingSteps', 'StepsInProcess')
        ) AS a (sort_key, from_state, to_state)
    ), step AS (
        INSERT INTO workflow_steps (task_id, step_no, name, state, transition_count,
            parents_remaining, max_attempts, parents, children)
        SELECT t.task_id, ts.step_no, ts.name,
            CASE WHEN ts.parents = '{}' THEN 'Enqueued' ELSE 'Pending' END::step_state,
            CASE WHEN ts.parents = '{}' THEN 1 ELSE 0 END,
            cardinality(ts.parents), ts.max_attempts, ts.parents, ts.children
        FROM task t JOIN template_steps ts USING (template_id)
        RETURNING task_id, step_no, state
    ), root AS (
        INSERT INTO workflow_step_transitions
            (task_id, step_no, sort_key, from_state, to_state, attempt)
        SELECT task_id, step_no, 1, 'Pending', 'Enqueued', 0 FROM step WHERE state = 'Enqueued'
        RETURNING task_id, step_no
    )
    SELECT array_agg(r.task_id), array_agg(r.step_no), array_agg(t.namespace)
    INTO root_task_ids, root_step_nos, root_namespaces
    FROM root r JOIN task t USING (task_id);

    IF root_task_ids IS NOT NULL THEN
        outgoing := send_dispatches(p_broker, root_task_ids, root_step_nos, root_namespaces);
    END IF;

    -- A later statement, so that it sees the tasks of racing requests that got there first.
    SELECT array_agg(t.task_uuid ORDER BY r.nr), array_agg(t.state::text ORDER BY r.nr),
        array_agg(t.task_uuid = r.task_uuid ORDER BY r.nr),
        array_agg(t.context = r.context::jsonb AND held.name = asked.name
            AND coalesce(r.version_asked, held.version) = held.version ORDER BY r.nr)
    INTO task_uuids, states, created, same_request
    FROM unnest(p_task_uuids, p_template_ids, p_namespaces, p_contexts, p_idempotency_keys,
            p_versions_asked) WITH ORDINALITY
        AS r (task_uuid, template_id, namespace, context, idempotency_key, version_asked, nr)
    JOIN LATERAL (
        SELECT * FROM tasks WHERE tasks.task_uuid = r.task_uuid
        UNION ALL
        SELECT * FROM tasks
        WHERE tasks.namespace = r.namespace AND tasks.idempotency_key = r.idempotency_key
        LIMIT 1
    ) AS t ON true
    JOIN task_templates asked ON asked.template_id = r.template_id
    JOIN task_templates held ON held.template_id = t.template_id;
END $$;
