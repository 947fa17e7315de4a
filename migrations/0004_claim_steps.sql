-- Enqueued → InProgress for the steps of any number of dispatch messages. A message whose step is
-- not Enqueued (claimed already, cancelled, or a duplicate) changes nothing; nor does one of a
-- paused namespace, whose messages come anew when it is resumed.
--
-- RabbitMQ: the messages have been delivered and name the steps (p_step_ids; sorted, so that all
-- lock in key order).
-- PGMQ: up to p_max messages of p_namespaces are taken here, those of the highest priority first.
-- Taking is deleting: the row's lock is its visibility timeout, and an aborted claim puts it back
-- at once. Fewer than p_max rows mean that no message was left: those that claim nothing are taken
-- too, and make room for others. What comes later calls by NOTIFY.
--
-- The commit is asynchronous: what it loses in a crash, the message brings back. Taking it from
-- PGMQ is lost too, and RabbitMQ is told that it is done with only after a flush of the log. But
-- no handler begins before what it is given is on disk: a claim that gets here before the flush of
-- its parents' results (see complete_steps) waits for its own, which lies behind them in the log;
-- the column synchronous tells.
--
-- A step whose lease has expired twice may be what ends the process that runs it: it is held back
-- until its worker begins it, alone (engine/src/worker/suspects.rs). A lease that expires before
-- that is not counted.
--
-- In PL/pgSQL, like all that is called for each message (a function in SQL is planned at each
-- call), and of few plan nodes: one step at a time, setting plans up is a quarter of the work.
CREATE FUNCTION claim_steps(
    p_namespaces text[], p_max integer, p_step_ids bigint[], p_worker text, p_lease_ms bigint
) RETURNS TABLE (
    step_id bigint, claim_token uuid, task_uuid uuid, namespace text, step text, type text,
    handler text, attempt integer, max_attempts integer, backoff_initial_ms bigint,
    backoff_max_ms bigint, timeout_ms bigint, is_held_back boolean, parents_failed integer,
    input text, checkpoint text, context text, parent_results text, synchronous text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    called text;
    asynchronous text;
    room integer;
    claimed integer;
    taken bigint[];
BEGIN
    asynchronous := set_config('synchronous_commit', 'off', true);
    LOOP
        IF p_namespaces IS NOT NULL THEN
            room := p_max;
            p_step_ids := '{}';
            FOREACH called IN ARRAY p_namespaces LOOP
                WITH message AS (
                    DELETE FROM pgmq.q_stepmark_dispatch WHERE ctid = ANY (ARRAY(
                        SELECT q.ctid FROM pgmq.q_stepmark_dispatch q
                        WHERE q.message ->> 'namespace' = called AND q.vt <= clock_timestamp()
                        ORDER BY (q.message ->> 'priority')::integer DESC, q.msg_id
                        LIMIT room
                        FOR UPDATE SKIP LOCKED))
                    RETURNING (message ->> 'step_id')::bigint AS step_id
                )
                SELECT array_agg(message.step_id) INTO taken FROM message;
                CONTINUE WHEN taken IS NULL;
                p_step_ids := p_step_ids || taken;
                room := p_max - cardinality(p_step_ids);
                EXIT WHEN room = 0;
            END LOOP;
            EXIT WHEN room = p_max;
        END IF;

        RETURN QUERY
        WITH claimed AS (
            UPDATE workflow_steps s
            SET state = 'InProgress', attempts = s.attempts + 1,
                transition_count = s.transition_count + 1, claim_token = gen_random_uuid(),
                is_held_back = s.lease_expiries >= 2, claimed_by = p_worker,
                timeout_at = CASE WHEN s.lease_expiries < 2
                    THEN now() + s.timeout_ms * interval '1 ms' END,
                lease_expires_at = now() + p_lease_ms * interval '1 ms'
            WHERE s.step_id = ANY (p_step_ids) AND s.state = 'Enqueued'
                AND NOT EXISTS (SELECT FROM paused_namespaces p
                    WHERE p.namespace = s.namespace AND NOT p.is_resuming)
            RETURNING s.step_id, s.namespace, s.name, s.type, s.handler, s.attempts,
                s.max_attempts, s.backoff_initial_ms, s.backoff_max_ms, s.timeout_ms,
                s.is_held_back, s.claim_token, s.transition_count, s.parents, s.parents_failed,
                s.input, s.checkpoint, s.rests_on
        ), audit AS (
            INSERT INTO workflow_step_transitions
                (step_id, sort_key, from_state, to_state, attempt)
            SELECT c.step_id, c.transition_count, 'Enqueued', 'InProgress', c.attempts
            FROM claimed c
        )
        SELECT c.step_id, c.claim_token, t.task_uuid, c.namespace, c.name, c.type::text, c.handler,
            c.attempts, c.max_attempts, c.backoff_initial_ms, c.backoff_max_ms, c.timeout_ms,
            c.is_held_back, c.parents_failed,
            c.input::text, c.checkpoint::text, t.context::text, (
                SELECT jsonb_object_agg(p.name, p.result) FROM workflow_steps p
                WHERE p.step_id = ANY (c.parents)
            )::text, CASE WHEN c.rests_on > pg_current_wal_flush_lsn()
                THEN set_config('synchronous_commit', 'on', true) END
        FROM claimed c JOIN tasks t ON t.task_id = c.step_id >> 16;
        GET DIAGNOSTICS claimed = ROW_COUNT;
        EXIT WHEN p_namespaces IS NULL OR room > 0 OR claimed = p_max;
        p_max := p_max - claimed;
    END LOOP;
END $$;

-- The way back for a worker that drains before a claimed step began, or cannot end it in time:
-- InProgress → Enqueued with a new message; neither an attempt nor a lease expiry is counted.
CREATE FUNCTION release_steps(
    p_broker message_broker, p_step_ids bigint[], p_claim_tokens uuid[],
    OUT released bigint, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    step_ids bigint[];
    namespaces text[];
    priorities smallint[];
BEGIN
    WITH given_back AS (
        UPDATE workflow_steps s
        SET state = 'Enqueued', attempts = s.attempts - 1, claim_token = NULL,
            lease_expires_at = NULL, timeout_at = NULL, transition_count = s.transition_count + 1
        FROM unnest(p_step_ids, p_claim_tokens) AS m (step_id, claim_token)
        WHERE s.step_id = m.step_id AND s.state = 'InProgress' AND s.claim_token = m.claim_token
        RETURNING s.step_id, s.namespace, s.priority, s.transition_count, s.attempts
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt, reason)
        SELECT r.step_id, r.transition_count, 'InProgress', 'Enqueued', r.attempts, 'released'
        FROM given_back r
    )
    SELECT array_agg(step_id), array_agg(namespace), array_agg(priority)
    INTO step_ids, namespaces, priorities FROM given_back;
    released := coalesce(cardinality(step_ids), 0);
    IF released > 0 THEN
        outgoing := send_dispatches(p_broker, step_ids, namespaces, priorities);
    END IF;
END $$;

-- The handler of a step that was held back begins now, with a lease and a time that begin now too.
-- Tells whether the claim still holds.
CREATE FUNCTION begin_step(p_step_id bigint, p_claim_token uuid, p_lease_ms bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE workflow_steps s
    SET is_held_back = false, lease_expires_at = now() + p_lease_ms * interval '1 ms',
        timeout_at = now() + s.timeout_ms * interval '1 ms'
    WHERE s.step_id = p_step_id AND s.state = 'InProgress' AND s.claim_token = p_claim_token;
    RETURN FOUND;
END $$;

-- A handler tells that it is still at work: its lease is extended, but not past its time-out, and
-- its checkpoint is kept where it gives one, for the next attempt to go on from. held tells for
-- each element whether the claim is still the step's; a handler whose claim isn't should stop.
-- Durable when a checkpoint is stored.
CREATE FUNCTION heartbeat_steps(
    p_step_ids bigint[], p_claim_tokens uuid[], p_checkpoints text[], p_lease_ms bigint
) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
    asynchronous text;
    held_tokens uuid[];
BEGIN
    IF array_remove(p_checkpoints, NULL) = '{}' THEN
        asynchronous := set_config('synchronous_commit', 'off', true);
    END IF;
    WITH held AS (
        UPDATE workflow_steps s
        SET lease_expires_at = least(s.timeout_at, now() + p_lease_ms * interval '1 ms'),
            checkpoint = coalesce(p_checkpoints[m.nr]::jsonb, s.checkpoint)
        FROM unnest(p_step_ids) WITH ORDINALITY AS m (step_id, nr)
        WHERE s.step_id = m.step_id AND s.state = 'InProgress'
            AND s.claim_token = p_claim_tokens[m.nr]
        RETURNING s.claim_token
    )
    SELECT coalesce(array_agg(claim_token), '{}') INTO held_tokens FROM held;
    RETURN ARRAY(SELECT m.claim_token = ANY (held_tokens)
        FROM unnest(p_claim_tokens) WITH ORDINALITY AS m (claim_token, nr) ORDER BY m.nr);
END $$;
