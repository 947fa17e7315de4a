-- Enqueued → InProgress for the steps of any number of dispatch messages. A message whose step is
-- not Enqueued (claimed already, or a duplicate) changes nothing.
--
-- RabbitMQ: the messages have been delivered and name the steps (p_task_ids, p_step_nos).
-- PGMQ: these are NULL, and up to p_max messages of p_namespaces are taken here. Taking is deleting:
-- the row's lock is its visibility timeout, and an aborted claim puts it back at once. Fewer than
-- p_max rows mean that no message was left: those that claim nothing are taken too, and make room
-- for others. What comes later calls by NOTIFY. The commit may then be asynchronous: what it loses
-- in a crash, the message brings back, because taking the message is lost with it.
--
-- (In PL/pgSQL, like all that is called for each message: a function in SQL is planned at each call.)
CREATE FUNCTION claim_steps(
    p_namespaces text[], p_max integer, p_task_ids bigint[], p_step_nos integer[],
    p_worker text, p_lease_ms bigint
) RETURNS TABLE (
    task_id bigint, step_no integer, claim_token uuid, task_uuid uuid, namespace text, step text,
    handler text, attempt integer, max_attempts integer, backoff_initial_ms bigint,
    backoff_max_ms bigint, context text, parent_results text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    from_queue boolean := p_task_ids IS NULL;
    room integer := p_max;
    claimed integer;
BEGIN
    IF from_queue THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    LOOP
        IF from_queue THEN
            -- Namespaces in random order, so that a busy one can't starve the others.
            WITH picked AS MATERIALIZED (
                SELECT m.msg_id
                FROM (SELECT unnest(p_namespaces) AS namespace ORDER BY random()) AS n
                CROSS JOIN LATERAL (
                    SELECT q.msg_id FROM pgmq.q_stepmark_dispatch q
                    WHERE q.message ->> 'namespace' = n.namespace AND q.vt <= clock_timestamp()
                    ORDER BY q.msg_id LIMIT room
                    FOR UPDATE SKIP LOCKED
                ) AS m
                LIMIT room
            ), taken AS (
                DELETE FROM pgmq.q_stepmark_dispatch q USING picked
                WHERE q.msg_id = picked.msg_id
                RETURNING q.message
            )
            SELECT array_agg((message ->> 'task_id')::bigint),
                array_agg((message ->> 'step_no')::integer)
            INTO p_task_ids, p_step_nos FROM taken;
            EXIT WHEN p_task_ids IS NULL;
        END IF;

        RETURN QUERY
        WITH claimed AS (
            UPDATE workflow_steps s
            SET state = 'InProgress', attempts = s.attempts + 1,
                transition_count = s.transition_count + 1, claim_token = gen_random_uuid(),
                claimed_by = p_worker, lease_expires_at = now() + p_lease_ms * interval '1 ms'
            FROM (
                SELECT * FROM unnest(p_task_ids, p_step_nos) AS m (task_id, step_no) ORDER BY 1, 2
            ) AS m
            WHERE s.task_id = m.task_id AND s.step_no = m.step_no AND s.state = 'Enqueued'
            RETURNING s.task_id, s.step_no, s.name, s.attempts, s.max_attempts, s.claim_token,
                s.transition_count, s.parents
        ), audit AS (
            INSERT INTO workflow_step_transitions
                (task_id, step_no, sort_key, from_state, to_state, attempt)
            SELECT c.task_id, c.step_no, c.transition_count, 'Enqueued', 'InProgress', c.attempts
            FROM claimed c
        )
        SELECT c.task_id, c.step_no, c.claim_token, t.task_uuid, t.namespace, c.name, ts.handler,
            c.attempts, c.max_attempts, ts.backoff_initial_ms, ts.backoff_max_ms,
            t.context::text, coalesce((
                SELECT jsonb_object_agg(p.name, p.result)
                FROM unnest(c.parents) AS e (parent_no)
                JOIN workflow_steps p ON p.task_id = c.task_id AND p.step_no = e.parent_no
            ), '{}')::text
        FROM claimed c
        JOIN tasks t ON t.task_id = c.task_id
        JOIN template_steps ts ON ts.template_id = t.template_id AND ts.step_no = c.step_no;
        GET DIAGNOSTICS claimed = ROW_COUNT;
        EXIT WHEN NOT from_queue OR cardinality(p_task_ids) < room OR claimed = room;
        room := room - claimed;
    END LOOP;
END $$;

-- The way back for a worker that drains before a claimed step began, or cannot end it in time:
-- InProgress → Enqueued with a new message; neither an attempt nor a lease expiry is counted.
CREATE FUNCTION release_steps(
    p_broker message_broker, p_task_ids bigint[], p_step_nos integer[], p_claim_tokens uuid[],
    OUT released bigint, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    task_ids bigint[];
    step_nos integer[];
BEGIN
    WITH given_back AS (
        UPDATE workflow_steps s
        SET state = 'Enqueued', attempts = s.attempts - 1, claim_token = NULL,
            lease_expires_at = NULL, transition_count = s.transition_count + 1
        FROM (
            SELECT * FROM unnest(p_task_ids, p_step_nos, p_claim_tokens)
                AS m (task_id, step_no, claim_token)
            ORDER BY 1, 2
        ) AS m
        WHERE s.task_id = m.task_id AND s.step_no = m.step_no AND s.state = 'InProgress'
            AND s.claim_token = m.claim_token
        RETURNING s.task_id, s.step_no, s.transition_count, s.attempts
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (task_id, step_no, sort_key, from_state, to_state, attempt, reason)
        SELECT r.task_id, r.step_no, r.transition_count, 'InProgress', 'Enqueued', r.attempts,
            'released'
        FROM given_back r
    )
    SELECT array_agg(task_id), array_agg(step_no) INTO task_ids, step_nos FROM given_back;
    released := coalesce(cardinality(task_ids), 0);
    IF released > 0 THEN
        outgoing := send_dispatches(p_broker, task_ids, step_nos);
    END IF;
END $$;
