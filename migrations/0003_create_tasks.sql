-- POST /v1/tasks: task, steps and audit are written, the roots enqueued and their messages handed
-- to the transport, for any number of requests in one statement and one durable commit. A task with
-- a delay stays Pending, for start_tasks.
-- The arrays run in parallel, one element a request; what a request leaves out is NULL. An
-- idempotency key that its namespace has already is answered with the task that holds it; whether
-- that one was asked for in the same words is told in same_request.

CREATE FUNCTION create_tasks(
    p_broker message_broker, p_task_uuids uuid[], p_template_ids integer[], p_namespaces text[],
    p_contexts text[], p_idempotency_keys text[], p_versions_asked integer[],
    p_priorities smallint[], p_delays_ms bigint[], p_deadlines_ms bigint[],
    OUT task_uuids uuid[], OUT states text[], OUT created boolean[], OUT same_request boolean[],
    OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    root_step_ids bigint[];
    root_namespaces text[];
    root_priorities smallint[];
    tasks_created bigint;
BEGIN
    WITH task AS (
        -- In key order, so that two orchestrators given the same keys can't deadlock.
        INSERT INTO tasks (task_uuid, namespace, template_id, idempotency_key, state,
            transition_count, steps_active, steps_unfinished, priority, delay_ms, deadline_ms,
            due_at, context)
        SELECT r.task_uuid, r.namespace, r.template_id, r.idempotency_key,
            CASE WHEN r.delay_ms IS NULL THEN 'StepsInProcess' ELSE 'Pending' END::task_state,
            CASE WHEN r.delay_ms IS NULL THEN 3 ELSE 0 END,
            CASE WHEN r.delay_ms IS NULL THEN tt.roots ELSE 0 END,
            tt.steps, r.priority, r.delay_ms, r.deadline_ms,
            now() + least(r.delay_ms, r.deadline_ms, tt.deadline_ms) * interval '1 ms',
            r.context::jsonb
        FROM unnest(p_task_uuids, p_template_ids, p_namespaces, p_contexts, p_idempotency_keys,
                p_priorities, p_delays_ms, p_deadlines_ms)
            AS r (task_uuid, template_id, namespace, context, idempotency_key, priority, delay_ms,
                deadline_ms)
        JOIN task_templates tt USING (template_id)
        ORDER BY r.namespace, r.idempotency_key, r.task_uuid
        ON CONFLICT DO NOTHING
        RETURNING task_id, template_id, namespace, priority, delay_ms
    ), task_audit AS (
        INSERT INTO task_transitions (task_id, sort_key, from_state, to_state)
        SELECT t.task_id, a.sort_key, a.from_state, a.to_state
        FROM task t, (VALUES (1, 'Pending'::task_state, 'Initializing'::task_state),
            (2, 'Initializing', 'EnqueuingSteps'), (3, 'EnqueuingSteps', 'StepsInProcess')
        ) AS a (sort_key, from_state, to_state)
        WHERE t.delay_ms IS NULL
    ), step AS (
        INSERT INTO workflow_steps (step_id, namespace, name, type, handler, template_step_no,
            priority, state, transition_count, parents_remaining, max_attempts, backoff_initial_ms,
            backoff_max_ms, timeout_ms, parents, children)
        SELECT t.task_id << 16 | ts.step_no, t.namespace, ts.name, ts.type, ts.handler, ts.step_no,
            t.priority,
            CASE WHEN ts.parents = '{}' AND t.delay_ms IS NULL
                THEN 'Enqueued' ELSE 'Pending' END::step_state,
            CASE WHEN ts.parents = '{}' AND t.delay_ms IS NULL THEN 1 ELSE 0 END,
            cardinality(ts.parents), ts.max_attempts, ts.backoff_initial_ms, ts.backoff_max_ms,
            ts.timeout_ms,
            ARRAY(SELECT t.task_id << 16 | e.step_no FROM unnest(ts.parents) AS e (step_no)),
            ARRAY(SELECT t.task_id << 16 | e.step_no FROM unnest(ts.children) AS e (step_no))
        FROM task t JOIN template_steps ts USING (template_id)
        WHERE ts.type <> 'batch_worker'
        RETURNING step_id, state, namespace, priority
    ), root AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt)
        SELECT step_id, 1, 'Pending', 'Enqueued', 0 FROM step WHERE state = 'Enqueued'
    )
    SELECT array_agg(step_id), array_agg(namespace), array_agg(priority),
        (SELECT count(*) FROM task)
    INTO root_step_ids, root_namespaces, root_priorities, tasks_created
    FROM step WHERE state = 'Enqueued';

    IF root_step_ids IS NOT NULL THEN
        outgoing := send_dispatches(p_broker, root_step_ids, root_namespaces, root_priorities);
    END IF;
    IF tasks_created = cardinality(p_task_uuids) THEN
        task_uuids := p_task_uuids;
        IF array_remove(p_delays_ms, NULL) = '{}' THEN
            states := array_fill('StepsInProcess'::text, ARRAY[cardinality(p_task_uuids)]);
        ELSE
            states := ARRAY(
                SELECT CASE WHEN d.delay_ms IS NULL THEN 'StepsInProcess' ELSE 'Pending' END
                FROM unnest(p_delays_ms) WITH ORDINALITY AS d (delay_ms, nr) ORDER BY d.nr);
        END IF;
        created := array_fill(true, ARRAY[cardinality(p_task_uuids)]);
        same_request := created;
        RETURN;
    END IF;

    -- A later statement, so that it sees the tasks of racing requests that got there first.
    SELECT array_agg(t.task_uuid ORDER BY r.nr), array_agg(t.state::text ORDER BY r.nr),
        array_agg(t.task_uuid = r.task_uuid ORDER BY r.nr),
        array_agg(t.context = r.context::jsonb AND held.name = asked.name
            AND coalesce(r.version_asked, held.version) = held.version
            AND t.priority = r.priority AND t.delay_ms IS NOT DISTINCT FROM r.delay_ms
            AND t.deadline_ms IS NOT DISTINCT FROM r.deadline_ms ORDER BY r.nr)
    INTO task_uuids, states, created, same_request
    FROM unnest(p_task_uuids, p_template_ids, p_namespaces, p_contexts, p_idempotency_keys,
            p_versions_asked, p_priorities, p_delays_ms, p_deadlines_ms) WITH ORDINALITY
        AS r (task_uuid, template_id, namespace, context, idempotency_key, version_asked,
            priority, delay_ms, deadline_ms, nr)
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

-- The delayed tasks among these, whose time has come: Pending → Initializing → EnqueuingSteps →
-- StepsInProcess, and their roots are enqueued. Called with the tasks locked.
CREATE FUNCTION start_tasks(p_broker message_broker, p_task_ids bigint[])
RETURNS outgoing_messages LANGUAGE plpgsql AS $$
DECLARE
    root_step_ids bigint[];
    root_namespaces text[];
    root_priorities smallint[];
BEGIN
    WITH task AS (
        UPDATE tasks t
        SET state = 'StepsInProcess', transition_count = t.transition_count + 3,
            steps_active = tt.roots,
            due_at = t.created_at
                + coalesce(t.deadline_ms, tt.deadline_ms) * interval '1 ms'
        FROM task_templates tt
        WHERE t.task_id = ANY (p_task_ids) AND t.state = 'Pending'
            AND tt.template_id = t.template_id
        RETURNING t.task_id, t.transition_count
    ), task_audit AS (
        INSERT INTO task_transitions (task_id, sort_key, from_state, to_state)
        SELECT t.task_id, t.transition_count - a.back, a.from_state, a.to_state
        FROM task t, (VALUES (2, 'Pending'::task_state, 'Initializing'::task_state),
            (1, 'Initializing', 'EnqueuingSteps'), (0, 'EnqueuingSteps', 'StepsInProcess')
        ) AS a (back, from_state, to_state)
    ), root AS (
        UPDATE workflow_steps s
        SET state = 'Enqueued', transition_count = s.transition_count + 1
        FROM task t
        WHERE s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
            AND s.state = 'Pending' AND s.parents = '{}'
        RETURNING s.step_id, s.namespace, s.priority, s.transition_count
    ), audit AS (
        INSERT INTO workflow_step_transitions (step_id, sort_key, from_state, to_state, attempt)
        SELECT step_id, transition_count, 'Pending', 'Enqueued', 0 FROM root
    )
    SELECT array_agg(step_id), array_agg(namespace), array_agg(priority)
    INTO root_step_ids, root_namespaces, root_priorities FROM root;
    IF root_step_ids IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN send_dispatches(p_broker, root_step_ids, root_namespaces, root_priorities);
END $$;
