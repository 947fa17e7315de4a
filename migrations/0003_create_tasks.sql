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
    root_step_ids bigint[];
    root_namespaces text[];
    tasks_created bigint;
BEGIN
    WITH task AS (
        -- In key order, so that two orchestrators given the same keys can't deadlock.
        INSERT INTO tasks (task_uuid, namespace, template_id, idempotency_key, state,
            transition_count, steps_active, steps_unfinished, context)
        SELECT r.task_uuid, r.namespace, r.template_id, r.idempotency_key, 'StepsInProcess',
            3, tt.roots, tt.steps, r.context::jsonb
        FROM unnest(p_task_uuids, p_template_ids, p_namespaces, p_contexts, p_idempotency_keys)
            AS r (task_uuid, template_id, namespace, context, idempotency_key)
        JOIN task_templates tt USING (template_id)
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
        INSERT INTO workflow_steps (step_id, namespace, name, handler, state, transition_count,
            parents_remaining, max_attempts, backoff_initial_ms, backoff_max_ms,
            parents, children)
        SELECT t.task_id << 16 | ts.step_no, t.namespace, ts.name, ts.handler,
            CASE WHEN ts.parents = '{}' THEN 'Enqueued' ELSE 'Pending' END::step_state,
            CASE WHEN ts.parents = '{}' THEN 1 ELSE 0 END,
            cardinality(ts.parents), ts.max_attempts, ts.backoff_initial_ms, ts.backoff_max_ms,
            ARRAY(SELECT t.task_id << 16 | e.step_no FROM unnest(ts.parents) AS e (step_no)),
            ARRAY(SELECT t.task_id << 16 | e.step_no FROM unnest(ts.children) AS e (step_no))
        FROM task t JOIN template_steps ts USING (template_id)
        RETURNING step_id, state, namespace
    ), root AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt)
        SELECT step_id, 1, 'Pending', 'Enqueued', 0 FROM step WHERE state = 'Enqueued'
    )
    SELECT array_agg(step_id), array_agg(namespace), (SELECT count(*) FROM task)
    INTO root_step_ids, root_namespaces, tasks_created FROM step WHERE state = 'Enqueued';

    IF tasks_created > 0 THEN
        outgoing := send_dispatches(p_broker, root_step_ids, root_namespaces);
    END IF;
    IF tasks_created = cardinality(p_task_uuids) THEN
        task_uuids := p_task_uuids;
        states := array_fill('StepsInProcess'::text, ARRAY[cardinality(p_task_uuids)]);
        created := array_fill(true, ARRAY[cardinality(p_task_uuids)]);
        same_request := created;
        RETURN;
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
