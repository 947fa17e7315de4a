-- InProgress → EnqueuedForOrchestration: stores the outcomes of any number of steps with their
-- audit and completion messages, in one commit. Only the holder of the claim token may store one:
-- a late result of a lost lease is fenced, which is an outcome and not an error. accepted tells for
-- each element whether it was stored. The steps come sorted, so that all lock in key order.
--
-- On RabbitMQ the commit is durable. On PGMQ it is asynchronous, and durable is false: the caller
-- flushes the log and keeps the outcomes until that is done, to store them again if the database
-- crashes before. Meanwhile they are evaluated; but nobody is told of them before they are on disk:
-- not the handlers that are given them (claim_steps), nor the readers of a task. Where commits wait
-- for a standby, which the log's position doesn't tell of, this one does.

CREATE FUNCTION complete_steps(
    p_broker message_broker, p_step_ids bigint[], p_claim_tokens uuid[],
    p_outcomes text[], p_results text[], p_errors text[], p_retry_after_ms bigint[],
    OUT accepted boolean[], OUT durable boolean, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    asynchronous text;
    step_ids bigint[];
    accepted_nrs bigint[];
BEGIN
    durable := p_broker <> 'pgmq' OR current_setting('synchronous_standby_names') <> '';
    IF NOT durable THEN
        asynchronous := set_config('synchronous_commit', 'off', true);
    END IF;
    WITH stored AS (
        UPDATE workflow_steps s
        SET state = 'EnqueuedForOrchestration', outcome = p_outcomes[m.nr]::step_outcome,
            result = p_results[m.nr]::jsonb, error = p_errors[m.nr]::jsonb,
            retry_after_ms = p_retry_after_ms[m.nr], lease_expires_at = NULL,
            transition_count = s.transition_count + 1
        FROM unnest(p_step_ids) WITH ORDINALITY AS m (step_id, nr)
        WHERE s.step_id = m.step_id AND s.state = 'InProgress'
            AND s.claim_token = p_claim_tokens[m.nr]
        RETURNING s.step_id, s.transition_count, s.attempts, m.nr
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt)
        SELECT step_id, transition_count, 'InProgress', 'EnqueuedForOrchestration', attempts
        FROM stored
    )
    SELECT array_agg(step_id), array_agg(nr) INTO step_ids, accepted_nrs
    FROM stored;

    IF step_ids IS NOT NULL THEN
        outgoing := send_completions(p_broker, step_ids);
    END IF;
    IF cardinality(step_ids) = cardinality(p_step_ids) THEN
        accepted := array_fill(true, ARRAY[cardinality(p_step_ids)]);
        RETURN;
    END IF;
    SELECT array_agg(coalesce(m.nr = ANY (accepted_nrs), false) ORDER BY m.nr) INTO accepted
    FROM generate_subscripts(p_step_ids, 1) AS m (nr);
END $$;
