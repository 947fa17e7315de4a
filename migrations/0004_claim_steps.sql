-- Enqueued → InProgress for the steps of any number of dispatch messages. A message whose step is
-- not Enqueued (claimed already, or a duplicate) changes nothing.
--
-- RabbitMQ: the messages have been delivered and name the steps (p_task_ids, p_step_nos; sorted,
-- so that all lock in key order).
-- PGMQ: up to p_max messages of p_namespaces are taken here. Taking is deleting: the row's lock is
-- its visibility timeout, and an aborted claim puts it back at once. Fewer than p_max rows mean
-- that no message was left: those that claim nothing are taken too, and make room for others. What
-- comes later calls by NOTIFY. The commit may then be asynchronous: what it loses in a crash, the
-- message brings back, because taking the message is lost with it.
--
-- In PL/pgSQL, like all that is called for each message (a function in SQL is planned at each
-- call), and of few plan nodes: one step at a time, setting plans up is a quarter of the work.
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
    called text;
    synchronous text;
    room integer;
    claimed integer;
    taken_task_ids bigint[];
    taken_step_nos integer[];
BEGIN
    IF p_namespaces IS NOT NULL THEN
        synchronous := set_config('synchronous_commit', 'off', true);
    END IF;
    LOOP
        IF p_namespaces IS NOT NULL THEN
            room := p_max;
            p_task_ids := '{}';
            p_step_nos := '{}';
            FOREACH called IN ARRAY p_namespaces LOOP
                WITH taken AS (
                    DELETE FROM pgmq.q_stepmark_dispatch WHERE ctid = ANY (ARRAY(
                        SELECT q.ctid FROM pgmq.q_stepmark_dispatch q
                        WHERE q.message ->> 'namespace' = called AND q.vt <= clock_timestamp()
                        ORDER BY q.msg_id LIMIT room
                        FOR UPDATE SKIP LOCKED))
                    RETURNING message
                )
                SELECT array_agg((message ->> 'task_id')::bigint),
                    array_agg((message ->> 'step_no')::integer)
                INTO taken_task_ids, taken_step_nos FROM taken;
                CONTINUE WHEN taken_task_ids IS NULL;
                p_task_ids := p_task_ids || taken_task_ids;
                p_step_nos := p_step_nos || taken_step_nos;
                room := p_max - cardinality(p_task_ids);
                EXIT WHEN room = 0;
            END LOOP;
            EXIT WHEN room = p_max;
        END IF;

        RETURN QUERY
        WITH claimed AS (
            UPDATE workflow_steps s
            SET state = 'InProgress', attempts = s.attempts + 1,
                transition_count = s.transition_count + 1, claim_token = gen_random_uuid(),
                claimed_by = p_worker, lease_expires_at = now() + p_lease_ms * interval '1 ms'
            FROM unnest(p_task_ids, p_step_nos) AS m (task_id, step_no)
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
            c.attempts, c.max_attempts, ts.backoff_initial_ms, ts.backoff_max_ms, t.context::text, (
                SELECT jsonb_object_agg(p.name, p.result) FROM workflow_steps p
                WHERE p.task_id = c.task_id AND p.step_no = ANY (c.parents)
            )::text
        FROM claimed c
        JOIN tasks t ON t.task_id = c.task_id
        JOIN template_steps ts ON ts.template_id = t.template_id AND ts.step_no = c.step_no;
        GET DIAGNOSTICS claimed = ROW_COUNT;
        EXIT WHEN p_namespaces IS NULL OR room > 0 OR claimed = p_max;
        p_max := p_max - claimed;
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
        FROM unnest(p_task_ids, p_step_nos, p_claim_tokens) AS m (task_id, step_no, claim_token)
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
